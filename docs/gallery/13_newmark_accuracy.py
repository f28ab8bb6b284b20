"""Newmark's methods: damping and period
=====================================

Left, by what a step multiplies an oscillation: above 1 it grows, so central differencing ends at dt = T/pi; below 1 it is damped, which
hht and generalised alpha do to what is fast and not to what is slow. Right, by how much the period comes out too long.
"""

from matplotlib.figure import Figure

import mflow
from mflow import plot

methods = {
    "trapezoidal (1/4, 1/2)": mflow.Newmark(0.25, 0.5),
    "linear acceleration (1/6, 1/2)": mflow.Newmark(1 / 6, 0.5),
    "central differencing (0, 1/2)": mflow.Newmark(0.0, 0.5),
    "damped (0.3025, 0.6)": mflow.Newmark(0.3025, 0.6),
    "hht, alpha = -0.1": mflow.get_method("hht", alpha=-0.1),
    "generalised alpha, rho = 0.5": mflow.get_method("generalized_alpha", rho_inf=0.5),
}
figure = Figure(figsize=(10.5, 3.6), layout="constrained")
left, right = figure.subplots(1, 2)
plot.spectral_radius(methods, ax=left).get_legend().remove()
plot.period_error(methods, ax=right)
figure.savefig("13_newmark_accuracy.png", dpi=90)
