"""Many trajectories at once
=========================

Forty Lorenz systems that begin within a millionth of each other, integrated as one batch. They stay together for some 25 units of
time; then each goes its own way.
"""

import numpy as np
from matplotlib.figure import Figure

import mflow

starts = np.array([1.0, 1.0, 1.0]) + 1e-6 * np.random.default_rng(0).standard_normal((40, 3))
times = np.linspace(0, 35, 701)


def lorenz(t, y):
    return [10.0 * (y[1] - y[0]), y[0] * (28.0 - y[2]) - y[1], y[0] * y[1] - 8.0 / 3.0 * y[2]]


batch = mflow.solve_ivp_batch(lorenz, (0, 35), starts, "dopri5", rtol=1e-8, atol=1e-10, t_eval=times)
figure = Figure(figsize=(6.4, 3.6), layout="constrained")
ax = figure.subplots()
ax.plot(times, np.transpose([y[0] for y in batch.y]), color="#0072B2", linewidth=0.4, alpha=0.3)
ax.set(xlabel="t", ylabel="x", title="40 Lorenz systems")
figure.savefig("25_batch.png", dpi=90)
