"""Runs the compiled example: `python run.py`."""

import heat
import numpy as np

x = np.linspace(0, 1, 101)
u = np.sin(np.pi * x) + x  # the sine decays with exp(-lambda t), the straight line stays
heat.relax(u, 0.01, 0.1, 1e-8)
decay = 4 / 0.01**2 * np.sin(np.pi * 0.01 / 2) ** 2
exact = np.exp(-decay * 0.1) * np.sin(np.pi * x) + x
print("largest error:", np.abs(u - exact).max())
assert np.abs(u - exact).max() < 1e-5

try:
    heat.relax(np.full(5, np.nan), 0.01, 0.1, 1e-8)
except RuntimeError as error:
    print("refused:", error)
else:
    raise AssertionError("a rod of NaNs was integrated")
