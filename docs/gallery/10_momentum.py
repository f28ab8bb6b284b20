"""Momentum and Nesterov
=====================

Sixty steps in a long valley with one learning rate. Gradient descent creeps; momentum carries its history along and runs past the minimum
before it comes back; Nesterov's look ahead damps that.
"""

import numpy as np

from mflow import plot

H = np.array([1.0, 25.0])


def cost(c):
    return 0.5 * c @ (H * c), H * c


methods = {"gradient descent": "sgd", "momentum": "momentum", "Nesterov": "nesterov"}
rates = {name: {"momentum": 0.85} if method != "sgd" else {} for name, method in methods.items()}
paths = {name: plot.trace(cost, [-4.0, 1.0], method, jac=True, lr=0.018, maxiter=60, **rates[name]) for name, method in methods.items()}
ax = plot.paths(paths, cost, minimum=[0.0, 0.0])
ax.figure.set_size_inches(8.6, 4.0)
ax.figure.savefig("10_momentum.png", dpi=90)
