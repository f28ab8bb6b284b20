"""Fits that ended where none was: beside columns of the Jacobian that are rounding, and with errors of parameters that are not told apart."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mflow import curve_fit, least_squares

Array = NDArray[np.float64]
X = np.linspace(-1.0, 1.0, 21)
T = np.linspace(0.0, 1.0, 20)
NOISE = 0.1 * np.cos(41.0 * T)


def gauss(x: Array, a: float, s: float) -> Array:
    return a * np.exp(-((s * x) ** 2))


def sinc(x: Array, a: float, s: float) -> Array:
    return a * np.sinc(s * x)


def raised(x: Array, a: float, s: float, c: float) -> Array:
    return gauss(x, a, s) + c


EVEN = [(gauss, (2.0, 1.5), [1.0, 0.0]), (sinc, (2.0, 1.0), [1.0, 0.0]), (raised, (3.0, 1.2, -0.5), [1.0, 0.0, 0.3])]


@pytest.mark.parametrize(("model", "truth", "start"), EVEN)
def test_a_start_at_0_of_a_parameter_that_enters_by_its_square(
    model: Callable[..., Array], truth: tuple[float, ...], start: list[float]
) -> None:  # fmt: skip
    """Its column is rounding there. The first step went so far, or was cut so short for all others, that xtol ended the fit at once, as
    "converged" at [1, 0.635] where the data were made with [2, 1.5]."""
    fit = curve_fit(model, X, model(X, *truth), start)
    np.testing.assert_allclose(fit.popt, truth, rtol=1e-7)
    assert fit.cost < 1e-14


def test_ftol_does_not_end_a_run_at_its_start() -> None:
    """It was "converged" at x0 with a cosine of 0.894 and a cost of 2.5, as the column of x[0] was the length of a difference."""
    r = least_squares(lambda b: np.array([b[0] ** 2 + 1.0, b[1] - 2.0]), [0.0, 0.0], ftol=1e-8)
    assert r.success
    np.testing.assert_allclose(r.x, [0.0, 2.0], atol=1e-4)
    np.testing.assert_allclose(r.cost, 0.5, rtol=1e-8)


def test_ftol_does_not_make_a_ridge_a_minimum() -> None:
    """The cost falls to both sides along x[1]: to 0.28125 at 1/sqrt(2)."""
    r = least_squares(lambda b: np.array([1.0 + b[0] ** 2 - b[1] ** 2 + b[1] ** 4]), [0.0, 0.0], ftol=1e-8)
    assert not r.success or r.cost < 0.2813
    assert r.success or r.reason == "not_a_minimum"


def test_a_parameter_of_other_units_from_0() -> None:
    """Its column is short as well, but tells its slope: 1e9 is reached at once."""
    fit = curve_fit(lambda x, a, k: a + k * (1e-9 * x), X, 1.0 + 2e9 * (1e-9 * X), [0.5, 0.0])
    np.testing.assert_allclose(fit.popt, [1.0, 2e9], rtol=1e-7)
    assert fit.nfev < 8


SAME = [
    (lambda x, a, b, c: a * x + b * x + c, 2 * T + 1, [1.0, 2.0, 0.0], ["a", "b"]),
    (lambda x, a, b, c: a * x + b * x + c, 2 * T + 1 + NOISE, [1.0, 2.0, 0.0], ["a", "b"]),
    (lambda x, a, b: a / b * x, T, [1.0, 2.0], ["a", "b"]),
    (lambda x, a, b: a / b * x, T + NOISE, [1.0, 2.0], ["a", "b"]),
    (lambda x, a, b, k: (a + b) * np.exp(-k * x), 2 * np.exp(-T), [1.0, 2.0, 0.5], ["a", "b"]),
    (lambda x, a, b, k: (a + b) * np.exp(-k * x), 2 * np.exp(-T) + NOISE, [1.0, 2.0, 0.5], ["a", "b"]),
]


@pytest.mark.parametrize(("model", "y", "p0", "names"), SAME)
@pytest.mark.parametrize("jac", ["2-point", "3-point"])
def test_parameters_that_are_not_told_apart(model: Any, y: Array, p0: list[float], names: list[str], jac: str) -> None:
    """Their columns of differences are alike but for rounding, of which standard errors were made, without a word."""
    with pytest.warns(RuntimeWarning, match="do not tell a and b apart"):
        fit = curve_fit(model, T, y, p0, jac=jac)
    assert [name for name, error in zip(fit.names, fit.stderr, strict=True) if np.isinf(error)] == names
    assert fit.rank == len(p0) - 1
    assert np.isinf(fit.pcov).all()
    assert "do not determine all parameters" in str(fit)
    plain = least_squares(lambda p: model(T, *p) - y, p0, jac=jac)
    assert plain.rank == len(p0) - 1
    assert np.isinf(np.diagonal(plain.covariance())).tolist() == np.isinf(fit.stderr).tolist()


@pytest.mark.parametrize("share", [1e-4, 1e-6])
def test_columns_that_are_nearly_alike_are_told_apart(share: float) -> None:
    """The model is linear: errors are those of its exact columns."""
    y = 2.0 + share * T + NOISE
    columns = np.stack([np.ones(T.size), 1.0 + share * T], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = curve_fit(lambda x, a, b: a + b * (1.0 + share * x), T, y, [1.0, 2.0])
    best = np.linalg.lstsq(columns, y, rcond=None)[0]
    variance = np.sum((columns @ best - y) ** 2) / (T.size - 2)
    centred = T - T.mean()
    np.testing.assert_allclose(fit.stderr[1], np.sqrt(variance / (centred @ centred)) / share, rtol=2e-2)
