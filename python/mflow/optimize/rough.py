"""Proximal steps on a cost whose gradient is differenced, where Newton's iteration on their equation has not come to an end.

A differenced gradient is off by about (rounding of the cost)/(length of the difference). Below that the equation z - c + dt grad f(z) = 0
has roots everywhere or nowhere, and its Jacobian, differences of differences, may be anything. What a step of backward Euler stands for can
be told still: the minimum z of f(z) + |z - c|^2/(2 dt), by values that differ by more than their rounding. So here

    gradient    central differences over eps^(1/3) of max(1, |x_j|), eps the relative rounding of the cost
    Hessian     second differences over eps^(1/4)
    z           by Newton's method, eigenvalues made positive, with steps that lower f(z) + |z - c|^2/(2 dt) by more than rounding

and the end is where no step lowers the cost by more than its rounding, or the gradient is at most gtol.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from mflow.base.checks import Array
from mflow.derivatives.differences import EPS, Digits

__all__ = ["MOST", "End", "follow"]

MOST = 60  # parameters up to which second differences are taken
NOISE = 4.0  # times the rounding of a value: of a difference of two that are rounded on the way, too
INNER = 30  # Newton's steps in one step of dt
SHORTEST = 1e-4  # share of one of them that is tried


class End(NamedTuple):
    """x, value, gradient : where it ended. steps, calls, gradients : counts. noise : what the cost's rounding hides. reason : "converged",
    "max_iter"; "rounding": no step of any length lowers the cost by more than noise; "short": none of dt does; "stuck": none was found."""

    x: Array
    value: float
    grad: Array
    steps: int
    calls: int
    gradients: int
    reason: str
    noise: float


class _Cost:
    """A cost by its values, counted, and its derivatives by differences."""

    def __init__(self, values: Callable[[Array], Any], digits: Digits | None) -> None:
        self.values, self.digits = values, digits
        self.eps = EPS if digits is None else digits.eps
        self.calls = self.gradients = 0

    def __call__(self, x: Array) -> float:
        self.calls += 1
        with np.errstate(all="ignore"):
            value = float(np.asarray(self.values(x.copy()), dtype=np.float64).reshape(()))
        return value if math.isfinite(value) else math.inf

    def noise(self, value: float) -> float:
        """Of a difference of two values of this size."""
        quantum = 0.0 if self.digits is None else self.digits.quantum
        return quantum if quantum > 0.0 else NOISE * self.eps * abs(value)

    def gradient(self, x: Array) -> Array:
        self.gradients += 1
        h = min(self.eps ** (1 / 3), 0.1) * np.maximum(1.0, np.abs(x))
        return np.array([(self(x + step) - self(x - step)) / (2.0 * step[j]) for j, step in enumerate(np.diag(h))])

    def hessian(self, x: Array, value: float) -> Array:
        h = min(self.eps**0.25, 0.2) * np.maximum(1.0, np.abs(x))
        steps, n = np.diag(h), x.size
        H = np.empty((n, n))
        for i in range(n):
            H[i, i] = (self(x + steps[i]) - 2.0 * value + self(x - steps[i])) / h[i] ** 2
            for j in range(i):
                apart = self(x + steps[i] + steps[j]) - self(x + steps[i] - steps[j])
                other = self(x - steps[i] + steps[j]) - self(x - steps[i] - steps[j])
                H[i, j] = H[j, i] = (apart - other) / (4.0 * h[i] * h[j])
        return H


def follow(values: Callable[[Array], Any], digits: Digits | None, c: Array, dt: float, gtol: float, limit: int) -> End:
    """Steps of dt from c, flat, until the gradient is at most gtol, or the cost's digits are spent, or `limit` of them are taken.

    values : the cost of a flat x. digits : what its values carry; None: all of float64.
    """
    cost, x = _Cost(values, digits), c.copy()
    value, steps = cost(x), 0
    while True:
        grad = cost.gradient(x)
        if not (math.isfinite(value) and np.isfinite(grad).all()):
            return End(x, value, grad, steps, cost.calls, cost.gradients, "stuck", cost.noise(value))
        noise = cost.noise(value)
        if float(np.max(np.abs(grad), initial=0.0)) <= gtol:
            return End(x, value, grad, steps, cost.calls, cost.gradients, "converged", noise)
        if steps == limit:
            return End(x, value, grad, steps, cost.calls, cost.gradients, "max_iter", noise)
        z, lower, told = _step(cost, x, value, grad, dt)
        if not lower < value - noise:
            return End(x, value, grad, steps, cost.calls, cost.gradients, told, noise)
        x, value, steps = z, lower, steps + 1


def _newton(H: Array, g: Array, dt: float) -> tuple[Array, float]:
    """(Newton's step, by how much it lowers the model) for f and |z - c|^2/(2 dt), g the gradient of both."""
    sizes, vectors = np.linalg.eigh(H + np.eye(g.size) / dt)
    sizes = np.maximum(np.abs(sizes), 1e-12 * max(float(np.max(np.abs(sizes))), 1e-300))
    p = -vectors @ ((vectors.T @ g) / sizes)
    return p, -0.5 * float(g @ p)


def _step(cost: _Cost, c: Array, value: float, grad: Array, dt: float) -> tuple[Array, float, str]:
    """(z, f(z), why there is none that is lower) of one step from c."""
    z, at, slope = c.copy(), value, grad
    for _ in range(INNER):
        H = cost.hessian(z, at)
        if not np.isfinite(H).all():
            return z, at, "stuck"
        p, foreseen = _newton(H, slope + (z - c) / dt, dt)
        now, share, least = at + float((z - c) @ (z - c)) / (2.0 * dt), 1.0, cost.noise(at)
        told = "stuck" if foreseen > NOISE * least else "rounding" if _newton(H, grad, math.inf)[1] <= NOISE * least else "short"
        if foreseen <= least:
            return z, at, told
        while share >= SHORTEST:
            trial = z + share * p
            new = cost(trial)
            if new + float((trial - c) @ (trial - c)) / (2.0 * dt) < now - least:
                break
            share *= 0.5
        else:
            return z, at, told
        z, at, slope = trial, new, cost.gradient(trial)
    return z, at, "stuck"
