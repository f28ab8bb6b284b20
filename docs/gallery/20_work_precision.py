"""Work and precision
==================

What a digit costs on Lotka-Volterra's equations: calls of f against the largest error on the way, each method at nine tolerances. The
steeper a curve, the higher the order: pairs of low order are cheap for three digits, and nobody pays them ten.
"""

import numpy as np
from matplotlib.figure import Figure

import mflow


def f(t, y):
    return [y[0] * (1.5 - y[1]), y[1] * (y[0] - 3.0)]


times = np.linspace(0, 10, 201)
exact = mflow.solve_ivp(f, (0, 10), [10.0, 5.0], "dop853", rtol=1e-13, atol=1e-13, t_eval=times).y
figure = Figure(figsize=(6.4, 4.2), layout="constrained")
ax = figure.subplots()
for method, mark in {"bs32": "o", "tsit5": "s", "dopri5": "^", "dop853": "D"}.items():
    points = []
    for rtol in 10.0 ** -np.arange(3, 12):
        r = mflow.solve_ivp(f, (0, 10), [10.0, 5.0], method, rtol=rtol, atol=rtol, t_eval=times)
        points.append((r.nfev, np.abs(r.y - exact).max()))
    ax.loglog(*np.transpose(points), mark + "-", label=method)
ax.set(xlabel="calls of f", ylabel="largest error", title="Lotka-Volterra")
ax.legend()
figure.savefig("20_work_precision.png", dpi=90)
