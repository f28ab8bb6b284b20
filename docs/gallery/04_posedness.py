"""Posedness: three cases of c' = lambda c
=======================================

With lambda > 0 nearby solutions part, and every small error grows: ill-posed. With lambda < 0 they close, and errors fade: well-posed.
With lambda = 0 they keep their distance, and errors neither grow nor fade but add up: linearly stable.
"""

import numpy as np
from matplotlib.figure import Figure

import mflow
from mflow import plot

starts = np.linspace(-1.0, 1.0, 9)
figure = Figure(figsize=(9.6, 3.2), layout="constrained")
for ax, rate in zip(figure.subplots(1, 3, sharey=True), (1.0, -1.0, 0.0), strict=True):
    family = mflow.family(lambda t, c, k=rate: k * c, starts, (0, 3))
    plot.family(family, ax=ax, y_range=(-1.5, 1.5))
    ax.set_title(f"$\\lambda$ = {rate:g}: {mflow.posedness(family.fun, 0.0, [0.0]).verdict}", fontsize="medium")
    ax.set_ylabel("c" if rate == 1.0 else "")
figure.savefig("04_posedness.png", dpi=90)
