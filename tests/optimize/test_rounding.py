"""Minima to rounding are called so, and nothing else is; the truth is of 50 digits."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

import mflow

Array = NDArray[np.float64]


def quadratic(seed: int, unit: float, size: float, offset: float) -> tuple[Any, Array, Any]:
    """(cost, x0, how far f(x) lies above the minimum in 50 digits) of x'Ax/2 - b'x and an offset, in these units."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    Q, _ = np.linalg.qr(rng.normal(size=(n, n)))
    A = (Q * np.geomspace(1.0, 1e4, n)) @ Q.T
    A = 0.5 * (A + A.T) * (unit / size**2)
    b = A @ rng.normal(size=n) * size

    def above(x: Array) -> float:
        with mpmath.workdps(50):
            best = mpmath.lu_solve(mpmath.matrix(A.tolist()), mpmath.matrix(b.tolist()))
            d = mpmath.matrix(x.tolist()) - best
            return float((d.T * mpmath.matrix(A.tolist()) * d)[0] / 2)

    return lambda x: (0.5 * x @ (A @ x) - b @ x + offset, A @ x - b), rng.normal(size=n) * size, above


@pytest.mark.parametrize("method", ["lbfgs", "bfgs", "trust_ncg"])
@pytest.mark.parametrize(("unit", "size", "offset"), [(1e30, 1e-3, 0.0), (1e20, 1e12, 1e21), (1e9, 1.0, 1e15)])
def test_a_minimum_to_rounding_has_converged(method: str, unit: float, size: float, offset: float) -> None:
    """No gradient in such units is at most 1e-5; it was line_search_failed or trust_region_failed."""
    for seed in range(6):
        fun, x0, above = quadratic(seed, unit, size, offset)
        r = mflow.minimize(fun, x0, method=method, jac=True)
        assert (r.reason, r.success, r.status) == ("converged", True, 0), r.message
        assert above(r.x) <= 1e-14 * (above(x0) + abs(r.fun))
        assert np.max(np.abs(r.jac)) <= 1e-5 or "a minimum to rounding" in r.message


def test_a_line_through_data_with_a_large_offset() -> None:
    rng = np.random.default_rng(2)
    t = np.sort(rng.uniform(0.0, 10.0, 40))
    for seed in range(30):
        y = 1e9 + 0.3 * t + 1e-2 * np.random.default_rng(seed).normal(size=40)

        def cost(x: Array, y: Array = y) -> tuple[float, Array]:
            r = x[0] + x[1] * t - y
            return float(r @ r), np.array([2.0 * r.sum(), 2.0 * r @ t])

        r = mflow.minimize(cost, [0.0, 0.0], jac=True)
        assert r.success, r.message
        np.testing.assert_allclose(r.x[1], np.polyfit(t, y - 1e9, 1)[0], atol=1e-3)


def kinked(x: Array) -> tuple[float, Array]:
    return float(np.sum(np.abs(x - 0.3))), np.sign(x - 0.3)


def stepped(x: Array) -> tuple[float, Array]:
    """A jump at 0.5 keeps the minimum at 0 from being reached."""
    return float(x @ x) + 10.0 * float(x[0] < 0.5), 2.0 * x


def wrong(x: Array) -> tuple[float, Array]:
    return float(np.sum((x - 1.0) ** 2)), 2.0 * (x - 1.2)


def noisy(x: Array) -> tuple[float, Array]:
    return float(np.sum((x - 1.0) ** 2) + 1e-6 * np.sin(1e9 * np.sum(x))), 2.0 * (x - 1.0)


@pytest.mark.parametrize("fun", [kinked, stepped, wrong, noisy])
@pytest.mark.parametrize("method", ["lbfgs", "cg", "trust_ncg"])
def test_no_other_end_is_a_minimum_to_rounding(fun: Any, method: str) -> None:
    with np.errstate(all="ignore"):
        r = mflow.minimize(fun, [1.7, 2.2], jac=True, method=method, check_gradient=False, gtol=1e-13)
    assert "a minimum to rounding" not in r.message
    assert r.reason != "converged" or np.max(np.abs(r.jac)) <= 1e-13


@pytest.mark.parametrize("seed", [49, 219, 220])
def test_an_error_of_the_gradient_across_one_direction_is_seen(seed: int) -> None:
    """Of 400 seeds, those where the error was across the direction that was looked along: "a minimum to rounding"."""
    rng = np.random.default_rng(seed)
    n, unit = int(rng.integers(2, 6)), 10.0 ** rng.uniform(6, 20)
    best = rng.normal(size=n) * 3.0
    x0, A = best + rng.normal(size=n), rng.normal(size=(n, n))
    A = A @ A.T + 0.1 * np.eye(n)
    error = rng.normal(size=n) * 1e-3 * unit
    cost, slope = (lambda x: unit * 0.5 * (x - best) @ A @ (x - best)), (lambda x: unit * A @ (x - best) + error)
    r = mflow.minimize(cost, x0, jac=slope, method="trust_ncg", maxiter=3000)
    assert not r.success


def test_a_cost_that_raises_beside_its_end_leaves_the_end_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """What raises in the look at the end itself is no word on the cost: it was passed over, too."""
    fun, x0, _ = quadratic(0, 1e30, 1e-3, 0.0)
    seen: list[Array] = []

    def narrow(x: Array, most: float = np.inf) -> tuple[float, Array]:
        seen.append(x)
        if len(seen) > most:
            raise OverflowError("beside the end")
        return fun(x)

    with monkeypatch.context() as here:
        here.setattr("mflow.curvature.resting.rests", lambda *of: False)
        mflow.minimize(narrow, x0, jac=True, check_gradient=False)
    count = len(seen)
    assert mflow.minimize(fun, x0, jac=True, check_gradient=False).success
    seen.clear()
    r = mflow.minimize(narrow, x0, (count,), jac=True, check_gradient=False)
    assert (r.reason, len(seen) > count) == ("line_search_failed", True)
    monkeypatch.setattr("mflow.curvature.resting.rests", lambda *of: {}["no such name"])
    with pytest.raises(KeyError, match="no such name"):
        mflow.minimize(fun, x0, jac=True)


def test_within_bounds_a_minimum_to_rounding_has_free_parameters_alone() -> None:
    seen = []

    def cost(x: Array) -> tuple[float, Array]:
        seen.append(x.copy())
        d = x - np.array([0.1, 2.0, -3.0])
        return 1e25 * float(d @ d) + 1e27, 2e25 * d

    r = mflow.minimize(cost, [0.5, 0.5, 0.5], jac=True, bounds=[(0.0, 1.0)] * 3)
    assert r.success, r.message
    np.testing.assert_allclose(r.x, [0.1, 1.0, 0.0], rtol=1e-7)
    assert all(np.all((x >= 0.0) & (x <= 1.0)) for x in seen)
    assert len(seen) == r.nfev + r.ncheck


@pytest.mark.parametrize("offset", [0.0, 1e-9, -1e-12])
@pytest.mark.parametrize("start", [[0.0, 0.0], [1e-10, -2e-10]])
def test_a_cost_in_small_units_beside_an_offset_is_minimised(offset: float, start: list[float]) -> None:
    """A cost of 1e-18 at 1e-10 beside an offset, where it falls by no thousandth of itself, had converged at its start."""
    best = np.array([3e-10, -1e-10])

    def cost(x: Array) -> tuple[float, Array]:
        z = (x - best) / 1e-10
        return 1e-18 * float(z @ z) + offset, 2e-18 * z / 1e-10

    r = mflow.minimize(cost, start, jac=True)
    assert r.success, r.message
    np.testing.assert_allclose(r.x, best, rtol=1e-3)


@pytest.mark.parametrize("size", [1e10, 1e6])
def test_a_run_from_0_finds_the_large_size_of_its_parameters(size: float) -> None:
    r = mflow.minimize(lambda x: (float((x[0] / size - 1.0) ** 2), 2.0 * (x / size - 1.0) / size), [0.0], jac=True)
    assert r.success, r.message
    np.testing.assert_allclose(r.x, [size], rtol=1e-3)


def test_a_trust_region_by_differences_of_gradients_in_small_units() -> None:
    """Products over 3e-8 of 1 beside parameters of 1e-10 led nowhere: trust_region_failed in the first iteration."""

    def morse(x: Array) -> tuple[float, Array]:
        q = np.exp(-2e10 * (x[0] - 1.5e-10))
        return 7e-19 * (1.0 - q) ** 2, np.array([2.0 * 7e-19 * 2e10 * q * (1.0 - q)])

    r = mflow.minimize(morse, [1.8e-10], jac=True, method="trust_ncg")
    assert r.success, r.message
    np.testing.assert_allclose(r.x, [1.5e-10], rtol=1e-4)


@pytest.mark.parametrize("size", [1e-10, 1e-11, 1e-12])
@pytest.mark.parametrize("unit", [1.0, 1e-18])
def test_a_trust_region_by_differences_of_gradients_from_0(size: float, unit: float) -> None:
    """Products over 3e-8 overflowed, or led nowhere: trust_region_failed at x0."""
    best = np.array([3.0, -1.0])

    def cost(x: Array) -> tuple[float, Array]:
        with np.errstate(over="ignore"):
            return unit * float(np.sum(np.cosh(x / size - best))), unit / size * np.sinh(x / size - best)

    r = mflow.minimize(cost, [0.0, 0.0], jac=True, method="trust_ncg")
    assert r.success, r.message
    np.testing.assert_allclose(r.x, size * best, rtol=1e-6)
    assert r.nfev <= 30


@pytest.mark.parametrize("bend", [-0.117, 0.117])
@pytest.mark.parametrize(("offset", "n"), [(1e6, 4), (1e7, 2)])
def test_a_saddle_beside_an_offset_is_told_by_the_gradient(bend: float, offset: float, n: int) -> None:
    """Values that differ by less than their rounding called it a minimum, as the same cost that bends up has."""
    seen = []

    def cost(x: Array) -> tuple[float, Array]:
        seen.append(x)
        d = x - 1.3
        w = d[-1]
        return offset + 0.5 * float(d[:-1] @ d[:-1]) + bend * w**2 + w**4, np.append(d[:-1], 2 * bend * w + 4 * w**3)

    start = np.full(n, 2.0)
    start[-1] = 1.3
    r = mflow.minimize(cost, start, jac=True)
    assert r.reason == ("converged" if bend > 0.0 else "not_a_minimum"), r.message
    assert r.x[-1] == 1.3
    assert len(seen) == r.nfev + r.ncheck


def water(x: Array) -> Any:
    """Two bonds in metres and an angle, in joules."""
    e, r, turn = np.exp(-2.2e10 * (x[:2] - 0.958e-10)), x[:2] - 0.958e-10, x[2] - 1.8
    slope = 2 * 8.2e-19 * 2.2e10 * (1 - e) * e + 4e-10 * turn
    value = 8.2e-19 * float(np.sum((1 - e) ** 2)) + 3.8e-19 * turn**2 + 4e-10 * float(np.sum(r)) * turn
    return value, np.append(slope, 7.6e-19 * turn + 4e-10 * np.sum(r))


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_words_of_parameters_in_very_different_units() -> None:
    """Differences of gradients along all three at once lead far beyond what a bond is: no product overflows by its size."""
    r = mflow.minimize(water, [1.1e-10, 0.9e-10, 2.2], jac=True, method="trust_ncg", gtol=1e-20, check_gradient=False)
    assert not r.success
    assert "give hess, or x in units" in r.message
    assert "scale the cost" not in r.message


@pytest.mark.parametrize(("method", "seed"), [("cg", 12), ("cg", 33), ("trust_ncg", 23)])
def test_a_sum_that_rounds_by_more_than_its_value(method: str, seed: int) -> None:
    """log cosh by a difference of numbers near 1, in units of 1e-12 from 0: its values are off by more than four points beside x show, and
    the point, right to 5e-7, was line_search_failed."""
    rng = np.random.default_rng(seed)
    n, unit = int(rng.integers(2, 6)), 10.0 ** rng.uniform(-13, -9)
    best, J = rng.normal(size=n), rng.normal(size=(n, n)) + 2.0 * np.eye(n)

    def cost(x: Array) -> tuple[float, Array]:
        r = J @ (x / unit - best)
        return float(np.sum(np.logaddexp(r, -r) - np.log(2.0))), J.T @ np.tanh(r) / unit

    r = mflow.minimize(cost, np.zeros(n), jac=True, method=method)
    assert r.reason == "converged", r.message
    np.testing.assert_allclose(r.x / unit, best, atol=1e-6)
