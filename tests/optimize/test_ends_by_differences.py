"""Ends of minimisations by differences: kinks, steep valleys and rounding that forward ones do not see through."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.curvature.resting import rests_by_values
from support.problems import Array


def test_a_minimum_by_differences_is_looked_at_twice() -> None:
    """Three gradients of n + 1 evaluations, and two beside the end; it took a further one a parameter, and more."""
    for n in (2, 10):
        seen: list[Array] = []

        def cost(x: Array) -> float:
            seen.append(x)  # noqa: B023
            return float((x - 1) @ (x - 1))

        r = mflow.minimize(cost, np.zeros(n))
        assert (r.reason, r.nfev) == ("converged", len(seen))
        assert r.nfev == 3 * (n + 1) + 2


@pytest.mark.parametrize("method", ["lbfgs", "bfgs"])
@pytest.mark.parametrize("far", [0.0, 0.3])
def test_a_kink_within_the_differences_ends_soon(method: str, far: float) -> None:
    """It went on to max_iter, 48 027 evaluations: steps along one of two kinks lowered the cost by ever less.

    A callback changes nothing.
    """
    cost = lambda x: abs(x[0] - 1) + abs(x[1])  # noqa: E731
    r = mflow.minimize(cost, [far, 1.0], method=method)
    assert r.success or "kink" in r.message or "slopes above gtol" in r.message
    assert "have not lowered the cost" not in r.message  # it falls, by a few units in the last place
    assert r.nfev < 2000
    assert r.fun < 1e-6
    watched = mflow.minimize(cost, [far, 1.0], method=method, callback=lambda *_: None)
    assert (watched.nfev, watched.message, watched.x.tobytes()) == (r.nfev, r.message, r.x.tobytes())


@pytest.mark.parametrize("method", ["lbfgs", "bfgs"])
@pytest.mark.parametrize(
    ("cost", "start", "most", "least"),
    [
        (lambda x: float(np.abs(x).sum()), [1.0, 2.0], 4000, 1e-9),
        (lambda x: float(np.abs(x).sum()), [1.0, 2.0, -3.0, 4.0, 0.5], 6000, 1e-9),
        (lambda x: float(((x - [3.0, 0.2, -2.0]) ** 2).sum() + np.abs(x).sum()), [1.0] * 3, 700, 4.54 + 0.05),  # (2.5, 0, -1.5): 4.54
    ],
)
def test_kinks_end_a_run_by_differences_soon(cost: Any, start: list[float], most: int, least: float, method: str) -> None:
    """The first took 15 520 evaluations, and the last 909: its searches went on over steps that no difference can judge."""
    r = mflow.minimize(cost, start, method=method)
    assert r.nfev < most
    assert r.fun < least


def test_a_search_that_fails_by_forward_differences_goes_on_by_central_ones() -> None:
    """Brown's badly scaled function, 0 at (1e6, 2e-6): 820 evaluations. The method keeps what it has learned of the curvature."""
    r = mflow.minimize(lambda x: (x[0] - 1e6) ** 2 + (x[1] - 2e-6) ** 2 + (x[0] * x[1] - 2) ** 2, [1.0, 1.0])
    assert r.success
    assert r.nfev < 500
    np.testing.assert_allclose(r.x, [1e6, 2e-6], rtol=1e-5)


def test_the_end_of_a_steep_valley_by_differences_is_that_of_central_ones() -> None:
    """Of Brown and Dennis's function the gradient is up to 1e6 as large at x0; it was 3e-4 where it was said to be below 1e-5."""
    t = np.arange(1, 21) / 5

    def parts(x: Array) -> tuple[Array, Array]:
        return x[0] + t * x[1] - np.exp(t), x[2] + x[3] * np.sin(t) - np.cos(t)

    def slope(x: Array) -> Array:
        a, b = parts(x)
        s = 4 * (a**2 + b**2)
        return np.array([s @ a, s @ (a * t), s @ b, s @ (b * np.sin(t))])

    r = mflow.minimize(lambda x: float(np.sum((parts(x)[0] ** 2 + parts(x)[1] ** 2) ** 2)), [25.0, 5.0, -5.0, -1.0])
    assert np.max(np.abs(slope(r.x))) < 1e-4
    assert r.nfev < 1200


@pytest.mark.parametrize("high", [1e4, 1e5])
@pytest.mark.parametrize("start", [(3e-5, 1e-6), (3e-5, 2e-5), (1e-4, 1e-6), (1e-4, 1e-4)])
def test_slopes_that_rounding_hides_from_forward_differences_are_those_of_central_ones(high: float, start: tuple[float, float]) -> None:
    """All forward differences are 0 near the minimum of a large cost; longer ones, taken over what shows the least slope best, were as much
    as 2e-4 beside the other slope, and the run "converged", or no search found a step."""

    def cost(x: Array) -> float:
        u, v = x - 1.0
        return float(high + 5.0 * u**2 + 1e4 * u**3 + 1e7 * u**4 + 0.5 * v**2)

    r = mflow.minimize(cost, 1.0 + np.array(start))
    u, v = r.x - 1.0
    assert r.success
    assert max(abs(10.0 * u + 3e4 * u**2 + 4e7 * u**3), abs(v)) < 1.5e-5
    assert r.nfev < 150
    assert "vanish over shorter steps" not in r.message


def test_a_slow_valley_is_no_stall() -> None:
    """The least of a quadratic cost with a condition of about 1e4, in closed form."""
    r = mflow.minimize(lambda x: 0.5 * ((x[0] - 1) ** 2 + 1e4 * (x[1] - x[0] / 2) ** 2), [-3.0, 2.0], method="lbfgs")
    assert r.reason in ("converged", "line_search_failed")
    np.testing.assert_allclose(r.x, [1.0, 0.5], atol=1e-3)


@pytest.mark.parametrize(("steepness", "most"), [(1e4, 2000), (1e5, 3500), (1e6, 8000)])
@pytest.mark.parametrize("bounds", [None, [(-2, 4)] * 2, [(-3, 3)] * 2])
def test_steep_valleys_by_differences(steepness: float, most: int, bounds: Any) -> None:
    """The minimum is 0 at (1, 1). Errors of forward differences, their length times the curvature, were larger than the slope along the
    valley: 337 116 evaluations to 2.5e-4, or a line search that failed, once with a kink that the cost has not."""
    r = mflow.minimize(lambda x: steepness * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, [-1.2, 1.0], bounds=bounds)
    assert r.fun < 1e-6
    assert r.nfev < most
    assert "kink near" not in r.message


@pytest.mark.parametrize("method", ["lbfgs", "cg", "sgd"])
@pytest.mark.parametrize("jac", [None, "3-point"])
@pytest.mark.parametrize("x0", [1e5, 1e6, 1e7, 3e7, 1e9])
def test_differences_that_reach_over_periods_find_no_end(x0: float, jac: Any, method: str) -> None:
    """Differences over shares of x passed over thousands of periods of a cosine, and x0 was "converged". The slope is -sin(x)."""
    r = mflow.minimize(lambda b: np.cos(b[0]), [x0], jac=jac, method=method, **({"lr": 0.5} if method == "sgd" else {}))
    if r.success:
        assert abs(math.sin(r.x[0])) < 2e-5
        assert math.cos(r.x[0]) < -0.99
    else:
        assert "differences reach over lengths within which the cost bends" in r.message
    assert r.success or method == "sgd"


@pytest.mark.parametrize(("method", "shape", "size"), [("lbfgs", "log cosh", 6e-6), ("bfgs", "log cosh", 6e-6), ("cg", "hyperbola", 3e-4)])
def test_a_search_from_0_that_values_tell_no_farther_is_at_a_minimum(method: str, shape: str, size: float) -> None:
    """In small units, at a cost of 0 or its rounding: one of four runs, and all of cg, were line_search_failed."""
    rng = np.random.default_rng(7)
    for _ in range(4):
        b, w = rng.normal(size=4) * 3.0, 10 ** rng.uniform(-1, 1, 4)

        def cost(x: Array) -> float:
            z = (x / size - b) * w  # noqa: B023
            return float(np.sum(np.logaddexp(z, -z) - math.log(2)) if shape == "log cosh" else np.sum(np.sqrt(1 + z * z) - 1))

        r = mflow.minimize(cost, np.zeros(4), method=method)
        assert r.success, r.message
        assert r.fun <= 1e-8  # of some 10 at the start


@pytest.mark.parametrize(
    "cost",
    [
        lambda z: float(z @ z + 0.1 * np.sum(np.abs(z))),  # a kink
        lambda z: float(z @ z + 1e-9 * np.sin(1e7 * np.sum(z))),  # ripples
        lambda z: float(z[0] - z[1]) ** 4 + 1e-3 * float(z[0] + z[1]),  # falls along its valley
        lambda z: float(z[0] ** 2 - z[1] ** 2),  # a saddle
        lambda z: float(z[0] ** 2 + z[1]),  # a slope
    ],
)
def test_values_call_nothing_else_a_minimum(cost: Any) -> None:
    x = np.array([3e-5, -2e-5])
    values = lambda at: cost((at - x) / 1e-5)  # noqa: E731
    assert not rests_by_values(values, x, values(x))
    assert rests_by_values(lambda at: float(np.sum(((at - x) / 1e-5) ** 2)), x, 0.0)
    aside = x + np.array([1e-10, 0.0])  # the cost there is 1e-10 of where it began, and no rounding
    assert not rests_by_values(lambda at: float(np.sum(((at - x) / 1e-5) ** 2)), aside, 1e-10)


@pytest.mark.parametrize("upper", [None, 100.0])
@pytest.mark.parametrize("d", [1e-6, 1e-7])
def test_a_parameter_in_small_units_that_comes_to_its_bound_keeps_a_length_of_its_own(d: float, upper: float | None) -> None:
    """It ended "converged" at (1, 0) d: there, at its bound, the difference was 60 d long."""
    bound = (0.0, None if upper is None else upper * d)
    r = mflow.minimize(lambda x: 0.5 * float(np.sum((x / d - 1.0) ** 2)), [0.5 * d, 3.0 * d], bounds=[bound, bound])
    assert r.success
    np.testing.assert_allclose(r.x, [d, d], rtol=1e-4)


@pytest.mark.parametrize(
    ("cost", "start", "best"),
    [
        (lambda x: float(x[0] - np.log(x[0])), [1e-12], [1.0]),
        (lambda x: float(x[0] + 1.0 / x[0] + (x[1] - 1.0) ** 2), [1e-12, 3.0], [1.0, 1.0]),
        (lambda x: float(np.log(x[0] / 0.3) ** 2 + (x[1] - 1.0) ** 2), [1e-12, 3.0], [0.3, 1.0]),
    ],
)
def test_lengths_of_small_numbers_grow_with_them(cost: Any, start: list[float], best: list[float]) -> None:
    """The first ended "converged" at .033, where a length of 6e-18 no longer changes x, so that its gradient was 0."""
    r = mflow.minimize(cost, start)
    assert r.success
    np.testing.assert_allclose(r.x, best, rtol=1e-4)


@pytest.mark.parametrize(
    ("cost", "start", "best"),
    [
        (lambda x: float(np.log(np.cosh(x[0] / 1e-11 - 1.0)) + (x[1] - 1.0) ** 2), [0.5e-11, 2.0], [1e-11, 1.0]),
        (lambda x: float(-np.log(x[0]) - np.log(1.0 - x[0])), [1.0 - 1e-12], [0.5]),
    ],
)
def test_a_difference_that_reaches_to_where_the_cost_is_not_finite_is_shortened(cost: Any, start: list[float], best: list[float]) -> None:
    """They were "non_finite" at x0. The second takes the usual lengths again where it is away from the barrier."""
    with np.errstate(all="ignore"):
        r = mflow.minimize(cost, start)
    assert r.success
    np.testing.assert_allclose(r.x, best, rtol=1e-5)


def test_where_no_difference_is_finite_it_is_not_said_that_the_start_is_not() -> None:
    r = mflow.minimize(lambda x: 1.0 if x[0] == 0.5 else math.inf, [0.5])
    assert (r.success, r.reason) == (False, "non_finite")
    assert r.message.startswith("the cost is finite at x0, and beside it")
    assert r.nfev < 50


def test_a_kink_is_looked_for_within_the_bounds_and_told_with_what_to_do() -> None:
    seen: list[float] = []

    def cost(x: Any) -> float:
        seen.append(float(np.min(x)))
        return float(abs(x[0] - 0.3) + (x[0] - 0.4) ** 2 + (x[1] + 1.0) ** 2)

    r = mflow.minimize(cost, [0.9, 0.0], bounds=[(0.0, 1.0), (0.0, None)])
    assert (r.success, r.reason) == (False, "kink")
    assert min(seen) >= 0.0
    assert "the cost falls along no single parameter" in r.message
    assert "smooth it" in r.message
    np.testing.assert_allclose(r.x, [0.3, 0.0], atol=1e-6)


def test_a_kink_beside_a_gradient_is_named() -> None:
    """It was asked whether the gradient is the cost's."""
    both = lambda x: (float(abs(x[0] - 0.3) + abs(x[1] - 0.7)), np.where(x < [0.3, 0.7], -1.0, 1.0))  # noqa: E731
    r = mflow.minimize(both, [2.0, 1.0], jac=True)
    assert (r.success, r.reason) == (False, "kink")
    assert "is it the gradient of this cost" not in r.message
    assert "has a kink at x" in r.message
