"""Orders of accuracy

Errors at the end of a pendulum's swing as dt shrinks. Halving the step halves forward Euler's error and divides RK4's by 16, until
rounding takes over.
"""

from pathlib import Path

import numpy as np

import mflow
from mflow import plot


def pendulum(t, y):
    return np.array([y[1], -np.sin(y[0])])


exact = mflow.solve_ivp(pendulum, (0, 2), [1.0, 0.0], "dop853", rtol=1e-13, atol=1e-14).y[:, -1]
steps = 0.4 / 2.0 ** np.arange(7)
table = {}
for name, method in {"forward Euler": "euler", "RK2": "rk2", "TVD RK3": "tvd_rk3", "RK4": "rk4"}.items():
    ends = [mflow.solve_ivp(pendulum, (0, 2), [1.0, 0.0], method, dt=dt, save="last").y[:, -1] for dt in steps]
    table[name] = (steps, np.array([np.abs(end - exact).max() for end in ends]))
ax = plot.convergence(table)
ax.figure.savefig(Path(__file__).with_suffix(".png"), dpi=90)
