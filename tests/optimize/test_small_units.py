"""Differences of a cost whose parameters are small numbers: their size tells the length, and no end is called one that is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mflow

Array = NDArray[np.float64]
COSTS: dict[str, tuple[Callable[[Array, float], float], list[float], list[float]]] = {
    "saturation": (lambda z, s: float((z[0] / (1.0 + abs(z[0])) - 0.3) ** 2), [3.0], [3.0 / 7.0]),
    "quadratic": (lambda z, s: float((z[0] - 2.0) ** 2 + 3.0 * (z[1] - 1.0) ** 2), [3.0, 4.0], [2.0, 1.0]),
    "rosenbrock": (lambda z, s: float(100.0 * (z[1] - z[0] ** 2) ** 2 + (1.0 - z[0]) ** 2), [-1.2, 1.0], [1.0, 1.0]),
    "logarithm": (lambda z, s: math.log(abs(z[0]) / 2.0) ** 2, [1.0], [2.0]),
}


class Counter:
    """A cost of x in units of s, and how often it was asked."""

    def __init__(self, fun: Callable[[Array, float], float], s: float) -> None:
        self.fun, self.s, self.calls = fun, s, 0

    def __call__(self, x: Array) -> float:
        self.calls += 1
        return self.fun(x / self.s, self.s)


@pytest.mark.parametrize(("name", "s"), [*((name, s) for name in COSTS for s in (1e-6, 1e-9, 1e-12)), ("saturation", 1e-15)])
@pytest.mark.parametrize("how", [{}, {"method": "bfgs"}, {"jac": "3-point"}])
def test_the_size_of_small_parameters_tells_the_length(name: str, s: float, how: dict[str, Any]) -> None:
    fun, start, best = COSTS[name]
    cost = Counter(fun, s)
    r = mflow.minimize(cost, np.array(start) * s, gtol=1e-5 / s, **how)
    assert (r.reason, r.success) == ("converged", True), r.message
    np.testing.assert_allclose(r.x / s, best, rtol=1e-3)
    assert r.nfev == cost.calls


def test_an_optimizer_does_not_converge_where_the_cost_has_slopes() -> None:
    """It starts at a large number, so that its end alone can show that differences are too long there."""

    def cost(x: Array) -> float:
        return float(1e12 * max(0.0, x[0] - 5e-4) ** 2 + (math.log(x[0] / 1e-9) / 10.0) ** 2)

    first = mflow.minimize(cost, [1e-3], method="sgd", maxiter=0, lr=1.0)
    counted = Counter(lambda z, s: cost(z), 1.0)
    r = mflow.minimize(counted, [1e-3], method="sgd", lr=(1e-3 - 1e-13) / first.jac[0], gtol=1e8)
    assert r.x[0] == pytest.approx(1e-13, rel=1e-3)
    assert (r.reason, r.success, r.nfev) == ("wrong_gradient", False, counted.calls)
    assert "differences are longer than small numbers x" in r.message


def test_ordinary_numbers_are_not_looked_at() -> None:
    """Beside small numbers that break a symmetry two evaluations are taken at the start, and two at most at the end."""
    counts = []
    for small in (0.0, 1e-6):
        cost = Counter(lambda z, s: float(z @ z + 0.1 * np.sum(z**4)), 1.0)
        r = mflow.minimize(cost, [-1.2, 1.0, small])
        assert r.success
        assert r.nfev == cost.calls
        counts.append(r.nfev)
    assert counts[1] <= counts[0] + 6
    noisy = Counter(lambda z, s: float(z @ z) + 1e-10 * math.sin(1e17 * float(z.sum())), 1.0)
    assert "small numbers" not in mflow.minimize(noisy, [1e-6, 1e-5], gtol=1e-3).message
