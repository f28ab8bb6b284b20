"""Columns of the Jacobian that are 0 where a fit ends, beside others that are not: a minimum, a maximum, or no effect."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mflow import curve_fit, least_squares

Array = NDArray[np.float64]
GIVEN: dict[str, Any] = {"jac": lambda p: [[2.0 * p[0], 0.0], [0.0, 1.0]]}


def hill(p: Array) -> list[float]:
    """Least at (-1, 2) and (1, 2), with a ridge between them."""
    return [p[0] ** 2 - 1.0, p[1] - 2.0]


@pytest.mark.filterwarnings("ignore:least_squares. the Jacobian is 0 along")
@pytest.mark.parametrize("how", [GIVEN, {"jac": "3-point"}, {"jac": "3-point", "loss": "soft_l1"}, {**GIVEN, "bounds": ([0, -9], [9, 9])}])
def test_a_maximum_along_one_parameter(how: dict[str, Any]) -> None:
    r = least_squares(hill, [0.0, 1.0], **how)
    assert (r.reason, r.success, r.status, r.x[0]) == ("not_a_minimum", False, -1, 0.0)
    assert "the Jacobian is 0 along x[0], and the cost falls there on " in r.message
    assert "depends" not in r.message


def test_a_minimum_along_one_parameter() -> None:
    with pytest.warns(RuntimeWarning, match=r"the Jacobian is 0 along x\[0\] at x, where the Jacobian has rank 1 for 2 parameters"):
        r = least_squares(lambda p: [p[0] ** 2 + 1.0, p[1] - 2.0], [0.0, 1.0], "3-point")
    assert (r.reason, r.success) == ("converged", True)
    assert "depends" not in r.message


def test_held_parameters_are_not_looked_at() -> None:
    r = least_squares(hill, [0.0, 1.0], fixed=[True, False], **GIVEN)
    assert (r.reason, r.success, r.x.tolist()) == ("converged", True, [0.0, 2.0])


@pytest.mark.filterwarnings("ignore:least_squares. ")
def test_parameters_without_effect_and_with_one() -> None:
    r = least_squares(lambda p: [p[0] ** 2 + 1.0, p[1] - 2.0, 0.5], [0.0, 1.0, 3.0], "3-point")
    assert r.success
    assert "no residual depends on x[2] at x, and the Jacobian is 0 along x[0] at x, where" in r.message


@pytest.mark.filterwarnings("ignore:least_squares. ")
def test_a_saddle_at_the_start_of_an_exponential() -> None:
    """Its rate changes nothing where its factor is 0, beside a constant that is the mean of the data."""
    x = np.arange(4.0)
    r = least_squares(lambda p: p[2] + p[0] * np.exp(-p[1] * x) - [2.0, 1.0, 0.5, 0.2], [0.0, 0.0, 0.925])
    assert (r.reason, r.success) == ("not_a_minimum", False)
    assert "along x[1], and the cost falls where others move with it on both sides of x" in r.message
    assert r.cost > 0.9


def test_a_curve_at_a_maximum() -> None:
    t = np.linspace(0.0, 1.0, 5)
    with pytest.raises(RuntimeError, match=r"the Jacobian is 0 along a, and the cost falls there on both sides of it: start elsewhere"):
        curve_fit(
            lambda t, a, b: a**2 + b * t, t, 1.0 + 0.0 * t + t - t.mean(), [0.0, 1.0], jac=lambda t, a, b: np.stack([2 * a + 0 * t, t], 1)
        )


def test_a_step_that_is_cut_at_a_bound_where_the_cost_is_largest_goes_on_inside() -> None:
    """A hyperbola whose width enters as a square: the first step asks for one below 0, where the slope along it is 0."""
    optimize = pytest.importorskip("scipy.optimize")

    def hyperbola(x: Array, s: float, t: float, a: float, b: float, c: float) -> Any:
        return b + 0.5 * (t - s) * (x - a) + 0.5 * (s + t) * np.sqrt((x - a) ** 2 + c**2 / 4)

    x = np.array([-32.0, -16, -8, 4, 4, 8, 16, 32])
    y = hyperbola(x, -2, 0.4, -1, -5, 9.5)
    box = ([-3.0, 0, -2, -10, 0], [0.0, 3, 3, 0, 10])
    start = [-2.5 / 3, 4 / 3, 1.0, -4.0, 0.5]
    peer = optimize.curve_fit(hyperbola, x, y, start, bounds=box)[0]
    fit = curve_fit(hyperbola, x, y, start, bounds=box)
    np.testing.assert_allclose(fit[0], peer, rtol=1e-4)
    assert np.sum((hyperbola(x, *fit[0]) - y) ** 2) <= np.sum((hyperbola(x, *peer) - y) ** 2) * (1 + 1e-9)
    r = least_squares(lambda p: hyperbola(x, *p) - y, start, bounds=box)
    assert (r.reason, r.active_mask[4]) == ("converged", 0)
    np.testing.assert_allclose(r.x[4], peer[4], rtol=1e-4)


def test_a_bound_that_is_a_maximum_is_left_from_a_small_start_too() -> None:
    """Over shares of x0 the cost changes in its last digits alone, so shares of 1 are looked at."""

    def residuals(p: Array) -> list[float]:
        return [1 / (1 + p[0] ** 2) - 0.218, 1 / (1 + p[1] ** 2) - 0.00568, p[0] ** 2 + p[1] ** 2 - 1]

    r = least_squares(residuals, [0.01507, 1.476], bounds=([0, 0], [1.5, 2.95]))
    assert r.success
    np.testing.assert_allclose(r.x, [0.7053983, 0.8384169], rtol=1e-5)
    np.testing.assert_allclose(r.cost, 0.2903331900866, rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-200, 1e-160, 1e155, 1e200])
def test_standard_errors_in_any_unit_of_a_parameter(unit: float) -> None:
    """Those of a parameter near 1e-160 were 0, near 1e170 infinite, and the rank was 1, as squares under- and overflowed."""
    x = np.linspace(0.0, 1.0, 20)
    y = 2.0 * np.exp(-x) + 0.01 * np.cos(40.0 * x)
    plain = curve_fit(lambda x, a, b: a * np.exp(-b * x), x, y, p0=[1.0, 0.5])
    fit = curve_fit(lambda x, a, b: a / unit * np.exp(-b * x), x, y, p0=[unit, 0.5])
    assert fit.rank == 2
    np.testing.assert_allclose(fit.stderr / [unit, 1.0], plain.stderr, rtol=1e-6)
    np.testing.assert_allclose(fit.correlation, plain.correlation, rtol=1e-6)
    band, other = fit.confidence_band(x), plain.confidence_band(x)
    np.testing.assert_allclose(band, other, rtol=1e-6)


@pytest.mark.parametrize(("start", "words"), [(1e-8, "the gradient is not small"), (1e-9, "the cost falls on both sides of x")])
def test_a_saddle_across_two_parameters_whose_columns_vanish_is_no_minimum(start: float, words: str) -> None:
    """The frequency vanishes with the amplitude, and along each alone nothing changes: it ended as the best fit."""
    x = np.linspace(0.0, 3.0, 40)
    y = 2.0 * np.sin(1.5 * x)
    with pytest.raises(RuntimeError, match=words) as told:
        curve_fit(lambda x, a, w: a * np.sin(w * x), x, y, [1.0, start])
    a, w = told.value.partial_result.x  # type: ignore[attr-defined]
    assert np.sum((y - (a + 0.01) * np.sin((w - 0.01) * x)) ** 2) < np.sum((y - a * np.sin(w * x)) ** 2)
