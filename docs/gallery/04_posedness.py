"""Posedness: three cases of c' = lambda c

With lambda > 0 nearby solutions part, and every small error grows: ill-posed. With lambda < 0 they close, and errors fade: well-posed.
With lambda = 0 they keep their distance, and errors neither grow nor fade but add up: linearly stable, mildly ill-posed.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import mflow
from mflow import plot

starts = np.linspace(-1.0, 1.0, 9)
figure = Figure(figsize=(9.6, 3.2), layout="constrained")
cases = [(1.0, r"$\lambda = 1$: ill-posed"), (-1.0, r"$\lambda = -1$: well-posed"), (0.0, r"$\lambda = 0$: linearly stable")]
for ax, (rate, title) in zip(figure.subplots(1, 3, sharey=True), cases, strict=True):
    times = np.linspace(0, 3, 60)
    flow = mflow.solve_ivp_batch(lambda t, c, k=rate: k * c, (0, 3), starts[:, None], t_eval=times, rtol=1e-8, atol=1e-10)
    plot.family(flow, lambda t, c, k=rate: k * c, ax=ax, y_range=(-1.5, 1.5))
    ax.set_title(title, fontsize="medium")
    ax.set_ylabel("c" if rate == 1.0 else "")
figure.savefig(Path(__file__).with_suffix(".png"), dpi=90)
