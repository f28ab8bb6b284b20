"""Stability regions
=================

Where a step does not enlarge the solution of c' = lambda c, in the plane of lambda dt. Forward Euler's disc meets the real axis at -2,
which is the restriction dt < 2/(-lambda). Higher orders reach further, and some of them hold a part of the imaginary axis.
"""

from mflow import plot

labels = {"forward Euler": "euler", "RK2": "rk2", "TVD RK3": "tvd_rk3", "RK4": "rk4", "Dormand-Prince 5": "dopri5"}
ax = plot.stability_regions(labels)
ax.figure.savefig("06_stability_regions.png", dpi=90)
