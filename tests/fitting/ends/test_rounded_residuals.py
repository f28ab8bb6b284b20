"""Residuals that are rounded to a few decimals, or come from a converter of few bits, against SciPy on those that are not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mflow
from support.problems import Array

T = np.linspace(0.0, 1.0, 30)


def line(noise: float) -> Callable[[Array], Array]:
    data = 2.0 * np.exp(-1.5 * T) + noise * np.sin(40.0 * T**2)
    return lambda b: b[0] * np.exp(-b[1] * T) - data


def slopes(b: Array) -> Array:
    return np.stack([np.exp(-b[1] * T), -b[0] * T * np.exp(-b[1] * T)], axis=1)


@pytest.mark.parametrize("jac", [{}, {"jac": slopes}], ids=["differences", "jac"])
@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("quantum", [0.1, 0.01, 0.001, 1 / 128, 1 / 1024])
def test_the_end_is_as_good_as_the_quantum_allows(quantum: float, noise: float, jac: dict[str, Any]) -> None:
    """It was "converged" 0.08 off, after a step, as the residuals were "as small as rounding lets them be"."""
    optimize = pytest.importorskip("scipy.optimize")
    exact = optimize.least_squares(line(noise), [1.0, 0.0], method="lm")

    def rounded(b: Array) -> Array:
        values = np.round(line(noise)(b) / quantum)
        return np.round(values * quantum, 4) if quantum * 1000 % 1 == 0 else values * quantum

    r = mflow.least_squares(rounded, [1.0, 0.0], **jac)
    assert r.reason == "converged"
    assert np.linalg.norm(slopes(exact.x) @ (r.x - exact.x)) <= 1.2 * np.sqrt(T.size / 12.0) * quantum
    assert np.linalg.norm(r.fun) <= np.linalg.norm(exact.fun) + np.sqrt(T.size / 4.0) * quantum
    if r.cost > 0.0 and "as small as rounding" in r.message:
        assert np.linalg.norm(r.fun) <= 0.5 * np.sqrt(T.size) * quantum


def test_one_residual() -> None:
    def fun(x: Array) -> Array:
        return np.round(x - 1.0, 2)

    r = mflow.least_squares(fun, [1.05])
    assert (r.success, r.cost) == (True, 0.0)
    assert abs(r.x[0] - 1.0) <= 0.005
    short = mflow.least_squares(fun, [1.05], diff_step=1e-3)
    assert (short.success, short.reason) == (False, "insensitive")
    assert "differences over diff_step are 0, though the residuals change over longer steps" in short.message
    for step in (5e-3, 1e-2, 2e-2, 5e-2, 0.1):
        given = mflow.least_squares(fun, [1.05], diff_step=step)
        assert given.success == (given.cost == 0.0)
        assert "multiples of 0.01): diff_step=0.1 would suit them" in given.message
    assert given.success


def test_a_jacobian_that_is_right_at_x0_and_wrong_elsewhere() -> None:
    def wrong(b: Array) -> Array:
        out = slopes(b)
        out[:, 1] += 0.3 if abs(b[0] - 1.0) > 0.05 else 0.0
        return out

    for loss in ("linear", "soft_l1"):
        with pytest.warns(mflow.GradientWarning, match=r"the Jacobian is not that of the residuals at x: .*\(residual \d+\)"):
            r = mflow.least_squares(line(0.1), [1.0, 0.0], wrong, gtol=1e-2, loss=loss)
        assert (r.success, r.ncheck > 4) == (False, True)
        right = mflow.least_squares(line(0.1), [1.0, 0.0], slopes, loss=loss)
        assert (right.reason, right.ncheck) == ("converged", 4)


VANISHING: dict[str, tuple[Callable[[Array], Any], list[float], float]] = {
    "square": (lambda b: [b[0] ** 2 + 1.0], [1.0], 0.5),
    "cosine": (lambda b: [np.cos(b[0]) + 2.0], [1.0], 0.5),
    "saturated": (lambda x: np.array([np.tanh(30.0 * x[1]) ** 2 + np.tanh(50.0 + x[0]), 1.0]), [0.5, 0.5], 1.0),
    "saturated, beside": (lambda x: np.array([np.tanh(30.0 * x[1]) ** 2 + np.tanh(50.0 + x[0]), 1.0]), [0.5, 0.01], 1.0),
}


@pytest.mark.filterwarnings("ignore:least_squares. the Jacobian is 0 along")
@pytest.mark.parametrize("name", VANISHING)
def test_a_minimum_at_which_a_column_vanishes(name: str) -> None:
    """The cosine with a column that goes to 0 stays what it is: it was step_too_small at the minimum."""
    fun, start, cost = VANISHING[name]
    r = mflow.least_squares(fun, start)
    assert (r.reason, r.success) == ("converged", True)
    assert r.cost == pytest.approx(cost, rel=1e-12)


def test_no_minimum_where_a_column_is_small() -> None:
    """A column of 1e-9 of a residual that falls on: the cost does not rise on both sides."""
    r = mflow.least_squares(lambda b: [1.0 + 1e-9 * b[0], 0.0], [1.0], lambda b: [[-1e-9], [0.0]], check_gradient=False, max_nfev=50)
    assert not r.success


def test_a_quantum_that_shows_later() -> None:
    """Near x0 = (3, 3) all residuals have one decimal by chance: those further on have two."""
    exact = mflow.least_squares(lambda x: [x[0] - 1.0, x[1] - 2.0, x[0] * x[1] - 2.2], [3.0, 3.0])
    r = mflow.least_squares(lambda x: np.round([x[0] - 1.0, x[1] - 2.0, x[0] * x[1] - 2.2], 2), [3.0, 3.0])
    assert r.reason == "converged"
    assert "as small as rounding" not in r.message
    assert "multiples of 0.01" in r.message
    np.testing.assert_allclose(r.x, exact.x, atol=0.01)


def test_a_parameter_that_passes_0() -> None:
    """Steps of differences relative to a parameter near 0 did not move residuals by one quantum."""
    r = mflow.least_squares(lambda x: np.round([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]], 3), [-1.2, 1.0])
    assert (r.reason, r.cost) == ("converged", 0.0)
    np.testing.assert_allclose(r.x, [1.0, 1.0], atol=2e-3)


@pytest.mark.parametrize("test", [{"xtol": 1e-8}, {"ftol": 1e-8}, {"xtol": 1e-8, "ftol": 1e-8}], ids="+".join)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("noise", [1e-8, 1e-6])
def test_tests_of_steps_are_not_met_by_noise(noise: float, seed: int, test: dict[str, float]) -> None:
    """Differences of noise let no step lower the cost, so that each is short at last: that was "converged" at thousands of times the
    least cost. Against SciPy on residuals without noise."""
    optimize = pytest.importorskip("scipy.optimize")
    t, draws = np.linspace(0.0, 4.0, 40), np.random.default_rng(seed)
    data = 2.5 * np.exp(-1.3 * t) + 0.5 + 0.05 * np.cos(40.0 * t)

    def exact(b: Array) -> Array:
        return np.asarray(b[0] * np.exp(-b[1] * t) + b[2] - data)

    best = optimize.least_squares(exact, [1.0, 1.0, 0.0], method="lm")
    r = mflow.least_squares(lambda b: exact(b) + noise * draws.normal(size=40), [1.0, 1.0, 0.0], **test)
    assert r.success
    assert 0.5 * float(np.sum(exact(r.x) ** 2)) <= 1.01 * best.cost


def test_a_change_by_rounding_alone_is_no_minimum():
    """A peak far from the data is lost in the rounding of float32 data but for one unit in the last place of one of them."""
    x = np.array([1.019, 1.4267, 1.5258, 1.5263, 1.5324, 2.0151, 2.1524, 2.5296, 2.7726], np.float32)
    y = np.array([0.4533, 0.1509, 0.4547, 0.4249, 0.0968, 0.2762, -0.0294, -0.6817, 0.1735], np.float32)

    def residuals(p):
        p = np.asarray(p, np.float32)
        return p[0] * np.exp(-((x - p[1]) ** 2) / (2 * p[2] ** 2 + np.float32(1e-3))) - y

    for options in ({}, {"ftol": 1e-8}, {"jac": "3-point"}):
        r = mflow.least_squares(residuals, [0.89, -1.406, -0.409], **options)
        assert (r.reason, r.success) == ("insensitive", False)


@pytest.mark.parametrize("step", [0.1, 0.01, 2.0**-7])
def test_whole_numbers_and_a_round_step_are_no_rounding(step: float) -> None:
    """The point to the side, at which short numbers are told from rounded ones, was 1.00137 times x: a short decimal number itself."""
    x = np.array([2.0, 13.0, -1.0, 15.0, -1.0])
    y = np.array([-17.0, -92.0, 8.0, -105.0, 9.0])
    for start in ([1.0], [2.0]):
        r = mflow.least_squares(lambda a: a[0] * x - y, start, diff_step=step)
        assert (r.reason, "carry" in r.message) == ("converged", False)
        np.testing.assert_allclose(r.x, x @ y / (x @ x), rtol=1e-12)
        fit = mflow.curve_fit(lambda x, a: a * x, x, y, start, epsfcn=step**2, full_output=True)
        assert "carry" not in fit[3]
