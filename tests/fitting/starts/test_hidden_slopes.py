"""Parameters so far from where they begin that nothing near there changes the residuals by more than rounding: SI units beside offsets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mflow

Array = NDArray[np.float64]
U = np.linspace(0.0, 1.0, 30)
BEND = 0.01 * np.cos(7.0 * U)  # which no model has


def oracle(columns: list[Array], y: Array) -> Array:
    """By QR, in units in which all is about 1."""
    return np.asarray(np.linalg.lstsq(np.stack(columns, 1), y, rcond=None)[0])


@pytest.mark.parametrize("start", [[0.0, 0.0], [1.0, 1.0], [2.0, -1.0]])
@pytest.mark.parametrize("unit", [1e-10, 1e-13, 1e-15, 1e-24])
def test_a_line_over_lengths_in_SI_units(unit: float, start: list[float]) -> None:
    """Its slope stayed where it began, and "no residual depends on b"."""
    y = 2.0 + 3.0 * U + BEND
    best = oracle([U**0, U], y)
    fit = mflow.curve_fit(lambda x, a, b: a + b * x, unit * U, y, start)
    assert fit.reason == "converged"
    np.testing.assert_allclose(fit.popt * [1.0, unit], best, rtol=1e-6)
    r = mflow.least_squares(lambda p: p[0] + p[1] * unit * U - y, start)
    np.testing.assert_allclose(r.x * [1.0, unit], best, rtol=1e-6)


@pytest.mark.parametrize("more", [{}, {"bounds": ([-np.inf, -np.inf, 0.0], np.inf)}, {"loss": "soft_l1", "f_scale": 100.0}])
def test_a_peak_on_a_slope(more: dict[str, Any]) -> None:
    peak = np.exp(-(((U - 0.5) / 0.1) ** 2))
    y = 8.0 * peak + 30.0 + 3.0 * (U - 0.5) + BEND
    fit = mflow.curve_fit(lambda x, h, b, m: h * peak + b + m * (x - 5e-16), 1e-15 * U, y, [5.0, 20.0, 0.0], **more)
    np.testing.assert_allclose(fit.popt * [1.0, 1.0, 1e-15], oracle([peak, U**0, U - 0.5], y), rtol=1e-4)
    assert fit.rank == 3


def test_a_rate() -> None:
    x = 1e-15 * U
    fit = mflow.curve_fit(lambda x, a, k, c: a * np.exp(-k * x) + c, x, 2.0 * np.exp(-3.0 * U) + 1.0, [1.0, 1.0, 1.0])
    np.testing.assert_allclose(fit.popt, [2.0, 3e15, 1.0], rtol=1e-6)


def test_data_far_larger_than_the_model_at_its_start() -> None:
    fit = mflow.curve_fit(lambda x, a, b: a + b * x, U, 1e18 + 2e15 * U, [0.0, 0.0])
    assert fit.success
    np.testing.assert_allclose(fit.popt, [1e18, 2e15], rtol=1e-9)


@pytest.mark.filterwarnings("ignore:least_squares. ")
def test_what_is_said_where_nothing_near_x_moves() -> None:
    """A threshold far away: residuals depend on it, differences do not show how."""
    r = mflow.least_squares(lambda p: [p[0] - 1.0, float(p[1] > 1e9), 0.0 * p[2]], [0.0, 1.0, 1.0])
    assert "no residual depends on x[2] at x, and the Jacobian is 0 along x[1] at x, where" in r.message


def test_a_length_that_was_given_and_moves_nothing() -> None:
    with pytest.warns(RuntimeWarning, match="diff_step"):
        fit = mflow.curve_fit(lambda x, a, b: a + b * x, 1e-15 * U, 2.0 + 3.0 * U, [1.0, 1.0], diff_step=1e-3)
    assert (fit.success, fit.reason) == (False, "insensitive")
    assert "differences over diff_step are 0 along b, though the residuals change over longer steps" in fit.message
