"""A stable and an unstable step
=============================

Forward Euler on c' = -c, whose limit is dt = 2. With dt = 0.5 the iterates track the solution; with dt = 3 each step overshoots by twice
what is left, and they grow while the solution decays.
"""

import warnings

import numpy as np
from matplotlib.figure import Figure

import mflow
from mflow import plot

figure = Figure(figsize=(9, 3.4), layout="constrained")
for ax, dt, t_end in zip(figure.subplots(1, 2), (0.5, 3.0), (6.0, 9.0), strict=True):
    with warnings.catch_warnings(action="ignore"):  # that dt = 3 is past the limit
        run = mflow.solve_ivp(lambda t, c: -c, (0, t_end), [1.0], "euler", dt=dt)
    plot.iterates({"forward Euler": run}, lambda t: np.exp(-t), ax=ax)
    ax.set_title(f"dt = {dt:g}: {'stable' if dt < mflow.stability_limit('euler') else 'unstable'}", fontsize="medium")
    ax.set_ylabel("c")
figure.savefig("05_stable_and_unstable.png", dpi=90)
