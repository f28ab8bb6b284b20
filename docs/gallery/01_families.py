"""Families of solutions
=====================

c' = c has one solution through every start: c(t) = c0 exp(t). The strokes show the slope that each must follow.
"""

import mflow
from mflow import plot

family = mflow.family(lambda t, c: c, [-1.0, -0.6, -0.25, 0.0, 0.25, 0.6, 1.0], (0, 2))
ax = plot.family(family)
ax.set_ylabel("c")
ax.set_title("c' = c")
ax.figure.savefig("01_families.png", dpi=90)
