"""Learning rate and momentum
==========================

On a quadratic of curvature L: by what a step multiplies the error. Beyond the thick line it grows. Momentum widens the stable range of
rates to 2 (1 + momentum), while Nesterov's look ahead narrows it and damps what is fast.
"""

from matplotlib.figure import Figure

from mflow import plot

figure = Figure(figsize=(10.5, 3.8), layout="constrained")
for ax, method in zip(figure.subplots(1, 2), ("momentum", "nesterov"), strict=True):
    plot.parameter_region(method, ax=ax)
figure.savefig("14_parameters.png", dpi=90)
