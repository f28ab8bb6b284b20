"""Newmark's methods
=================

x'' = -x with steps of an eighth of a period. With gamma = 1/2 no method damps; the trapezoidal rule (beta = 1/4) swings too slowly,
central differencing (beta = 0) too fast, and constant acceleration (beta = gamma = 0) blows up.
"""

import warnings

import numpy as np

import mflow
from mflow import plot

methods = {
    "trapezoidal (1/4, 1/2)": mflow.Newmark(0.25, 0.5),
    "central differencing (0, 1/2)": mflow.Newmark(0.0, 0.5),
    "damped (0.3025, 0.6)": mflow.Newmark(0.3025, 0.6),
    "constant acceleration (0, 0)": "constant_acceleration",
}
warnings.filterwarnings("ignore", message=".*exceeds the stability limit of constant_acceleration")  # it is meant to here
runs = {}
for name, method in methods.items():
    s = mflow.solve_dynamics(stiffness=1.0, mass=1.0, x0=[1.0], v0=[0.0], t_span=(0, 16), method=method, dt=0.8)
    runs[name] = (s.t, s.x)
ax = plot.iterates(runs, np.cos)
ax.set_ylim(-2.5, 2.5)
ax.set_ylabel("x")
ax.figure.set_size_inches(9, 3.8)
ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize="small", frameon=False)
ax.figure.savefig("12_newmark.png", dpi=90)
