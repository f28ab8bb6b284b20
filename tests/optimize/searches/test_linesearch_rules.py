"""What a line search calls converged meets the rule that its documentation names, on random functions, each rule computed here."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.optimize.linesearch import LineSearchResult, line_search

Array = np.ndarray
EPS = 2.0**-52
C1, C2 = 1e-4, 0.9


def random_function(rng: np.random.Generator) -> tuple[Callable[[Array], tuple[float, Array]], Array]:
    """(cost and gradient, start): a sum over coordinates of a parabola, waves, a quartic, a kink or a hill, with an offset."""
    n = int(rng.integers(1, 4))
    a, b, w, q, k = rng.normal(size=n), rng.normal(size=n), rng.uniform(0.5, 8, n), rng.uniform(0, 2, n), int(rng.integers(5))
    offset = float(rng.choice([0.0, 1.0, 1e8]))

    def cost(x: Array) -> tuple[float, Array]:
        f, g = 0.5 * q * x * x + a * np.sin(w * x), q * x + a * w * np.cos(w * x)
        if k == 1:
            f, g = f + x**4, g + 4 * x**3
        if k == 2:
            f, g = f + abs(x - b), g + np.where(x >= b, 1.0, -1.0)
        if k == 3:
            f, g = f - 3 * np.exp(-((x - b) ** 2)), g + 6 * (x - b) * np.exp(-((x - b) ** 2))
        if k == 4:
            f, g = f * 1e-6, g * 1e-6
        return float(np.sum(f)) + offset, g

    return cost, rng.uniform(-4, 4, n)


def holds(kind: str, r: LineSearchResult, cost: Any, x: Array, d: Array, tol: float, reference: float) -> bool:
    """The documented rule, from values computed anew at x + alpha d."""
    f0, g0 = cost(x)
    at = x + r.alpha * d
    f, g = cost(at)
    slope0, slope = float(g0 @ d), float(g @ d)
    rounding = 4 * EPS * (abs(f0) + abs(f))
    assert np.array_equal(at, r.x)
    assert r.fun == f
    low = f <= max(reference, f0) + C1 * r.alpha * slope0 + rounding
    if kind == "exact":
        return abs(slope) <= tol * abs(slope0) * (1 + 1e-9)
    if kind == "strong_wolfe":
        low = low or (abs(f - f0) <= 10 * EPS * abs(f0) and slope <= (2 * C1 - 1) * slope0 * (1 - 1e-9))
        return low and abs(slope) <= C2 * abs(slope0) * (1 + 1e-9)
    return low


@pytest.mark.parametrize("kind", ["exact", "backtracking", "armijo", "strong_wolfe", "barzilai_borwein"])
def test_converged_means_that_the_rule_is_met(kind: str) -> None:
    rng = np.random.default_rng(sum(map(ord, kind)))
    met = 0
    for _ in range(400):
        cost, x = random_function(rng)
        f0, g0 = cost(x)
        d = -g0 * rng.uniform(0.5, 2.0, x.size)
        tol, more = float(10.0 ** -rng.uniform(0.3, 10)), {}
        reference = -math.inf
        if kind == "barzilai_borwein":
            older, reference = x + 0.1 * rng.normal(size=x.size), f0 + float(rng.uniform(0, 1))
            more = {"previous": (older, cost(older)[1]), "fun0": f0, "jac0": g0, "history": [reference, f0 - 1.0]}
        r = line_search(cost, x, d, kind, jac=True, initial=float(10.0 ** rng.uniform(-3, 1)), tol=tol, c1=C1, c2=C2, **more)
        assert (r.reason == "converged") == r.success
        if r.success:
            met += 1
            assert holds(kind, r, cost, x, d, tol, reference)
    assert met > 250


def test_a_loose_exact_search_meets_its_tolerance() -> None:
    def cost(x: Array) -> tuple[float, Array]:
        return float(x[0] ** 2 + 0.9 * np.sin(5 * x[0])), 2 * x + 4.5 * np.cos(5 * x)

    x = np.array([-3.7])
    r = line_search(cost, x, -cost(x)[1], "exact", jac=True, initial=0.1, tol=0.1)
    assert r.success
    assert abs(r.slope) <= 0.1 * abs(r.slope0)


def test_a_kink_is_not_called_converged() -> None:
    r = line_search(lambda x: (abs(float(x[0]) - 0.3), np.sign(x - 0.3)), [0.0], [1.0], "exact", jac=True)
    assert (r.success, r.reason) == (False, "step_too_small")
    assert "jumps" in r.message
    assert r.alpha == pytest.approx(0.3, abs=1e-9)


def test_minimize_goes_on_from_a_kink() -> None:
    """The search ends at the kink, which is as good a step as there is, and the descent takes it."""
    r = mflow.minimize(
        lambda x: (abs(float(x[0]) - 0.3) + 0.5 * float(x[1]) ** 2, np.array([np.sign(x[0] - 0.3), x[1]])),
        [0.0, 0.5], jac=True, method="sgd", line_search="exact", gtol=1e-6,
    )  # fmt: skip
    assert r.x[0] == pytest.approx(0.3, abs=1e-8)
    assert r.fun < 1e-8


@pytest.mark.parametrize("tol", [1e-10, 0.1])
def test_an_exact_step_ends_no_higher_than_it_began(tol):
    """Behind a hill there are level points above the start; d leads down, so one below is nearer."""
    rng = np.random.default_rng(5)
    for _ in range(150):
        a, b, w, x0 = rng.uniform([-1, 0, 1, -3], [1, 2, 8, 3])
        f = lambda x, a=a, b=b, w=w: float((x[0] - a) ** 2 / 2 + b * np.sin(w * x[0]))  # noqa: E731
        g = lambda x, a=a, b=b, w=w: np.array([x[0] - a + b * w * np.cos(w * x[0])])  # noqa: E731
        x = np.array([x0])
        d = -g(x)
        r = mflow.line_search(f, x, d, "exact", jac=g, tol=tol)
        if r.success:
            assert f(x + r.alpha * d) <= f(x)
            assert abs(g(x + r.alpha * d) @ d) <= 1.01 * tol * (d @ d) + 1e-9
