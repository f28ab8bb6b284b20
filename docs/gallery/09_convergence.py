"""Orders of accuracy
==================

Errors at the end of a pendulum's swing as dt shrinks. Halving the step halves forward Euler's error and divides RK4's by 16, until
rounding takes over.
"""

import numpy as np

import mflow
from mflow import plot


def pendulum(t, y):
    return np.array([y[1], -np.sin(y[0])])


steps = 0.4 / 2.0 ** np.arange(7)
methods = {"forward Euler": "euler", "RK2": "rk2", "TVD RK3": "tvd_rk3", "RK4": "rk4"}
problem = (pendulum, (0, 2), [1.0, 0.0])
ax = plot.convergence({name: mflow.convergence(method, problem, dt=steps) for name, method in methods.items()})
ax.figure.savefig("09_convergence.png", dpi=90)
