"""Families of solutions

c' = c has one solution through every start: c(t) = c0 exp(t). The strokes show the slope that each must follow.
"""

from pathlib import Path

import numpy as np

import mflow
from mflow import plot

starts = [-1.0, -0.6, -0.25, 0.0, 0.25, 0.6, 1.0]
solutions = [mflow.solve_ivp(lambda t, c: c, (0, 2), [c0], t_eval=np.linspace(0, 2, 60), rtol=1e-8, atol=1e-10) for c0 in starts]
ax = plot.family(solutions, lambda t, c: c)
ax.set_ylabel("c")
ax.set_title("c' = c")
ax.figure.savefig(Path(__file__).with_suffix(".png"), dpi=90)
