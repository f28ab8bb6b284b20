"""A fit with its bands
====================

A decay with a background, through 40 points with noise. The dark band is where the curve may lie, the light one where a further point
would. Right, the residuals, which show no pattern.
"""

import numpy as np

import mflow
from mflow import plot

x = np.linspace(0, 5, 40)
y = 2.5 * np.exp(-1.3 * x) + 0.5 + 0.08 * np.random.default_rng(3).standard_normal(40)
result = mflow.curve_fit(lambda x, a, k, c: a * np.exp(-k * x) + c, x, y)
figure = plot.fit(result)
figure.savefig("23_fit_with_bands.png", dpi=90)
