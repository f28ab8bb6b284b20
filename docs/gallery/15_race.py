"""A race
======

The first 150 steps of five methods down Rosenbrock's valley, side by side.
"""

import numpy as np

from mflow import plot


def cost(c):
    a, b = c[1] - c[0] ** 2, 1 - c[0]
    return 100 * a**2 + b**2, np.array([-400 * c[0] * a - 2 * b, 200 * a])


rates = {"sgd": 1.5e-3, "momentum": 1e-3, "nesterov": 1e-3, "adam": 0.05, "nadam": 0.05}
paths = {name: plot.trace(cost, [-1.2, 1.0], name, jac=True, lr=lr, maxiter=150) for name, lr in rates.items()}
plot.animate(paths, cost, "15_race.gif", frames=50, fps=12, minimum=[1.0, 1.0])
