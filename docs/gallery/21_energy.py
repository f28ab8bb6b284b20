"""The energy of a comet
=====================

Four turns of an orbit of eccentricity 0.6, a thousand steps each. Forward Euler gains energy with every step and loses the orbit; Heun's
method drifts more slowly. The energy of leapfrog swings once a turn, and comes back each time to where it began.
"""

import warnings

import numpy as np
from matplotlib.figure import Figure

import mflow

start, dt = np.array([0.4, 0.0, 0.0, 2.0]), 2 * np.pi / 1000


def pull(x):
    return -x / np.sum(x * x, axis=0) ** 1.5


def energy(x, v):
    return 0.5 * np.sum(v * v, axis=0) - 1 / np.sqrt(np.sum(x * x, axis=0))


runs = {}
with warnings.catch_warnings():  # of steps that make the orbit spiral
    warnings.simplefilter("ignore", RuntimeWarning)
    for method in ("euler", "heun"):
        r = mflow.solve_ivp(lambda t, y: [*y[2:], *pull(y[:2])], (0, 8 * np.pi), start, method, dt=dt)
        runs[method] = r.t, energy(r.y[:2], r.y[2:])
s = mflow.solve_dynamics(force=lambda t, x, v: pull(x), t_span=(0, 8 * np.pi), x0=start[:2], v0=start[2:], method="leapfrog", dt=dt)
runs["leapfrog"] = s.t, energy(s.x, s.v)

figure = Figure(figsize=(6.4, 4.0), layout="constrained")
ax = figure.subplots()
for (method, (t, e)), dash in zip(runs.items(), ("--", "-.", "-"), strict=True):
    ax.semilogy(t / (2 * np.pi), np.abs(e - e[0]) + 1e-12, dash, label=method)
ax.set(xlabel="turns", ylabel="|E - E(0)|", title="Energy of an orbit", ylim=(1e-8, 1))
ax.legend()
figure.savefig("21_energy.png", dpi=90)
