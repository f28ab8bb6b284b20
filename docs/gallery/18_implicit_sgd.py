"""Implicit SGD on nonlinear least squares
=======================================

Two passes over noisy data of b1 exp(-b2 t), one datum a step, by learning rates over five decades. Explicit steps end in numbers that are
not finite beyond a learning rate of about 2; implicit ones (backward Euler on one datum) end near the best fit at every rate, and the
average over the second pass nearer still.
"""

import numpy as np
from matplotlib.figure import Figure

import mflow

rng = np.random.default_rng(0)
t = np.linspace(0.0, 3.0, 60)
y = 2.0 * np.exp(-1.5 * t) + 0.02 * rng.normal(size=60)


def residual(b, t, y):
    return b[0] * np.exp(-b[1] * t) - y


def jacobian(b, t, y):
    return np.array([1.0, -b[0] * t]) * np.exp(-b[1] * t)


def loss(b):
    return 0.5 * np.mean(residual(b, t, y) ** 2)


def explicit(lr):
    b = np.array([1.0, 0.2])
    with np.errstate(all="ignore"):
        for _ in range(2):
            for i in np.random.default_rng(1).permutation(60):
                b = b - lr * residual(b, t[i], y[i]) * jacobian(b, t[i], y[i])
        return loss(b)


def implicit(lr, **average):
    model = mflow.ImplicitSGD(residual=residual, jacobian=jacobian, lr=lr, **average)
    return loss(model.fit((t, y), x0=[1.0, 0.2], epochs=2, seed=1).params)


rates = np.geomspace(1e-2, 1e3, 26)
least = loss(mflow.least_squares(lambda b: residual(b, t, y), [1.0, 0.2]).x)
figure = Figure(figsize=(7.2, 3.8), layout="constrained")
ax = figure.subplots()
losses = np.array([explicit(lr) for lr in rates])
good = np.isfinite(losses) & (losses < 1e3)
ax.loglog(rates[good], losses[good], "o--", color="#D55E00", label="explicit SGD")
ax.loglog(rates[~good], np.full(int((~good).sum()), 1e3), "x", color="#D55E00", label="explicit: beyond 1000, or not finite")
ax.loglog(rates, [implicit(lr) for lr in rates], "s-", color="#0072B2", label="implicit SGD")
ax.loglog(rates, [implicit(lr, average=60) for lr in rates], "^-", color="#009E73", label="implicit SGD, averaged over the second pass")
ax.axhline(least, color="black", linewidth=0.8, label="least squares")
ax.set_xlabel("learning rate")
ax.set_ylabel("loss after two passes")
ax.legend(fontsize="small")
figure.savefig("18_implicit_sgd.png", dpi=90)
