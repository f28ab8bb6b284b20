"""The edge of stability
=====================

Full-batch training of a small network, watched with ``monitor="curvature"``: lr times the largest curvature of the loss rises until it is
at the limit of the method, and stays there: 2 for descent, 2 (1 + mu) with momentum, 2 (1 + b1)/(1 - b1) = 38 for Adam, whose curvature is
that in the metric of its second moments (Cohen et al., 2021 and 2022). Right: the losses, which go on falling all the same.
"""

import warnings

import numpy as np
from matplotlib.figure import Figure

import mflow

x = np.linspace(-1.0, 1.0, 20)[:, None]
target = np.cos(4 * np.arccos(x))
rng, width = np.random.default_rng(0), 30
start = [
    rng.normal(size=(1, width)), np.zeros(width), rng.normal(size=(width, width)) / width**0.5, np.zeros(width),
    rng.normal(size=(width, 1)) / width**0.5, np.zeros(1),
]  # fmt: skip


def network(p, x, y):
    A, a, B, b, C, c = p
    g = np.tanh(x @ A + a)
    h = np.tanh(g @ B + b)
    r = (h @ C + c - y) / len(x)
    dh = (r @ C.T) * (1 - h * h)
    dg = (dh @ B.T) * (1 - g * g)
    return 0.5 * len(x) * float(np.sum(r * r)), [x.T @ dg, dg.sum(0), g.T @ dh, dh.sum(0), h.T @ r, r.sum(0)]


runs = {}
for name, steps, settings in (("sgd", 2400, {"lr": 0.1}), ("momentum", 2400, {"lr": 0.2, "momentum": 0.5}), ("adam", 2400, {"lr": 1e-3})):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the limit is exceeded is what the picture is about
        runs[f"{name}, lr = {settings['lr']:g}"] = mflow.train(
            network,
            start,
            (x, target),
            name,
            epochs=steps,
            batch_size=20,
            jac=True,
            seed=0,
            monitor="curvature",
            monitor_every=20,
            **settings,
        )

figure = Figure(figsize=(11.0, 4.0), layout="constrained")
left, right = figure.subplots(1, 2)
mflow.plot.curvature(runs, ax=left)
for (name, run), line in zip(runs.items(), left.lines, strict=False):
    right.semilogy(run.history.loss, label=name, color=line.get_color(), linewidth=1.0)
right.set(xlabel="step", ylabel="loss")
right.legend()
figure.savefig("19_edge_of_stability.png", dpi=80)
