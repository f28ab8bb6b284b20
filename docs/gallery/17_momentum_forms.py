"""Three ways to step Newton's law
===============================

c'' = -grad f(c) from rest, with one dt. Forward Euler on both equations gains energy and spirals outward. Symplectic Euler, which moves c
with the new velocity, stays bounded; "the" momentum method with alpha = dt and beta = dt^2 is the same method, and its points lie on those
of the other. With alpha = 0.9 dt a tenth of the velocity is lost in each step, and the path ends in the minimum.
"""

import warnings

import numpy as np

import mflow
from mflow import plot

H = np.array([1.0, 3.0])
start, dt, steps = np.array([-2.0, 1.0]), 0.12, 60


def cost(c):
    return 0.5 * c @ (H * c), H * c


def newton(method):
    warnings.simplefilter("ignore", RuntimeWarning)  # that forward Euler has no stable step here is what the picture shows
    return mflow.solve_dynamics(force=lambda t, x, v: -H * x, x0=start, t_span=(0, steps * dt), dt=dt, method=method).x


def momentum(alpha):
    return plot.trace(cost, start, "momentum", jac=True, maxiter=steps, alpha=alpha, beta=dt**2, dt=dt)


paths = {
    "forward Euler": newton("forward_euler_system"),
    "symplectic Euler": newton("symplectic_euler"),
    "momentum, alpha = dt": momentum(dt),
    "momentum, alpha = 0.9 dt": momentum(0.9 * dt),
}
ax = plot.paths(paths, cost, minimum=[0.0, 0.0], limits=((-3.6, 3.6), (-2.1, 2.1)))
ax.set_aspect("equal")
ax.figure.set_size_inches(7.6, 4.4)
ax.figure.savefig("17_momentum_forms.png", dpi=90)
