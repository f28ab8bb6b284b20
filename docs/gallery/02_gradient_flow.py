"""Continuous and discrete paths
=============================

Gradient flow is a curve. Steepest descent with a line search jumps along it, each jump at a right angle to the one before; small fixed
steps of forward Euler stay close to the curve.
"""

import numpy as np

import mflow
from mflow import plot

H = np.array([[1.0, 0.0], [0.0, 6.0]])
start = np.array([-4.0, 1.0])


def cost(c):
    return 0.5 * c @ H @ c, H @ c


points = [start]
for _ in range(12):
    c, (_, g) = points[-1], cost(points[-1])
    points.append(c - mflow.line_search(cost, c, -g, "exact", jac=True).alpha * g)
paths = {
    "gradient flow": mflow.gradient_flow(lambda c: H @ c, start, 8.0, "dopri5", rtol=1e-8, atol=1e-10),
    "exact line search": np.array(points).T,
    "forward Euler, dt = 0.15": mflow.gradient_flow(lambda c: H @ c, start, 6.0, "euler", dt=0.15),
}
ax = plot.paths(paths, cost, minimum=[0.0, 0.0])
ax.set_aspect("equal")
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize="small", frameon=False)
ax.figure.set_size_inches(7.2, 3.2)
ax.figure.savefig("02_gradient_flow.png", dpi=90)
