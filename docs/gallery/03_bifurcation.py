"""Where paths part
================

Two minima and a saddle between them. Starts a little apart on either side of the ridge end in different minima; so may one start and a
small error on the way.
"""

import numpy as np

import mflow
from mflow import plot


def cost(c):
    return 0.25 * (c[0] ** 2 - 1.0) ** 2 + 0.5 * (c[1] - 0.4 * c[0]) ** 2


def grad(c):
    r = c[1] - 0.4 * c[0]
    return np.array([c[0] * (c[0] ** 2 - 1.0) - 0.4 * r, r])


x, y = np.linspace(-1.8, 1.8, 145), np.linspace(-1.5, 1.5, 121)
ends = mflow.gradient_flow(grad, np.array(np.meshgrid(x, y)), 30.0, "rk4", dt=0.25, save="last").y[..., -1]
labels = (ends[0] > 0).astype(int)
ax = plot.basins((x, y), labels, [[-1.0, -0.4], [1.0, 0.4]], cost=cost)
starts = {"start": [0.22, -1.2], "start, moved by 0.04": [0.26, -1.2]}
plot.paths(
    {name: mflow.gradient_flow(grad, c, 12.0, "rk4", dt=0.25) for name, c in starts.items()}, ax=ax, limits=((-1.8, 1.8), (-1.5, 1.5))
)
ax.figure.set_size_inches(7.2, 4.2)
ax.figure.savefig("03_bifurcation.png", dpi=90)
