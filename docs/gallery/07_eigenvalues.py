"""Eigenvalues along a path
========================

Gradient flow down Rosenbrock's valley: minus the Hessian's eigenvalues, times dt, from light to dark. The step is unstable at the start,
where the cost bends most, and stable further down: one fixed dt has to serve the whole path.
"""

import numpy as np

import mflow
from mflow import plot


def grad(c):
    return np.array([-400 * c[0] * (c[1] - c[0] ** 2) - 2 * (1 - c[0]), 200 * (c[1] - c[0] ** 2)])


def hessian(c):
    return np.array([[1200 * c[0] ** 2 - 400 * c[1] + 2, -400 * c[0]], [-400 * c[0], 200.0]])


run = mflow.gradient_flow(grad, [-1.2, 1.0], 2.5, "rk4", dt=1.8e-3)
path = run.posedness(jac=lambda t, c: -hessian(c), points=30)
ax = plot.eigenvalues(path, dt=2.6e-3)
ax.figure.savefig("07_eigenvalues.png", dpi=90)
