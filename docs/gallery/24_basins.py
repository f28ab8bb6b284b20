"""Basins
======

Which of Himmelblau's four minima gradient descent reaches from each start. With a small step the borders are those of the flow (left);
a step near the limit throws steep starts, those at the edges, into other basins (right).
"""

import numpy as np
from matplotlib.figure import Figure

import mflow
from mflow import plot


def slope(c):
    a, b = c[0] ** 2 + c[1] - 11, c[0] + c[1] ** 2 - 7
    return np.array([4 * c[0] * a + 2 * b, 2 * a + 4 * c[1] * b])


def cost(c):
    return (c[0] ** 2 + c[1] - 11) ** 2 + (c[0] + c[1] ** 2 - 7) ** 2


grid = np.linspace(-5, 5, 30), np.linspace(-5, 5, 30)
figure = Figure(figsize=(10.5, 4.4), layout="constrained")
for ax, lr in zip(figure.subplots(1, 2), (0.002, 0.014), strict=True):
    plot.basins(mflow.basins(slope, grid, lr=lr, maxiter=400, gtol=1e-3, paths=False), cost=cost, ax=ax)
    ax.set_title(f"lr = {lr}")
figure.savefig("24_basins.png", dpi=80)
