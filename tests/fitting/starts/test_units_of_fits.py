"""Fits whose data, and so their parameters, are far from 1: noise-free, so that the parameters are known."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from mflow import curve_fit
from mflow.fitting.starts import sizes_in_units

Array = NDArray[np.float64]
T = np.linspace(0.02, 1.0, 50)


def decay(x: Array, a: float, k: float, c: float) -> Array:
    return a * np.exp(-k * x) + c


def lifetime(x: Array, a: float, tau: float, c: float) -> Array:
    return a * np.exp(-x / tau) + c


def peak(x: Array, a: float, m: float, s: float) -> Array:
    return a * np.exp(-((x - m) ** 2) / (2 * s * s))


def growth(x: Array, L: float, k: float, m: float) -> Array:
    return L / (1 + np.exp(-k * (x - m)))


def power(x: Array, a: float, p: float) -> Array:
    return a * x**p


def saturation(x: Array, V: float, K: float) -> Array:
    return V * x / (K + x)


# The parameters where x ends at 1, and the powers of the units of x and of y that they have.
SHAPES: dict[str, tuple[Callable[..., Array], list[float], list[float], list[float]]] = {
    "decay": (decay, [3.0, 4.0, 0.5], [0, -1, 0], [1, 0, 1]),
    "lifetime": (lifetime, [3.0, 0.25, 0.5], [0, 1, 0], [1, 0, 1]),
    "peak": (peak, [2.0, 0.4, 0.1], [0, 1, 1], [1, 0, 0]),
    "growth": (growth, [2.0, 12.0, 0.5], [0, -1, 1], [1, 0, 0]),
    "power": (power, [2.0, 1.5], [-1.5, 0], [1, 0]),
    "saturation": (saturation, [2.0, 0.3], [0, 1], [1, 0]),
}


def data(shape: str, u: float, v: float) -> tuple[Callable[..., Array], Array, Array, Array]:
    """(model, x, y, parameters), x up to u, y about v."""
    model, truth, of_x, of_y = SHAPES[shape]
    parameters = np.array(truth) * u ** np.array(of_x, float) * v ** np.array(of_y, float)
    return model, u * T, model(u * T, *parameters), parameters


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("u", "v"), [(1e-6, 1.0), (1e-6, 1e-12), (1e6, 1.0), (1e3, 1e9), (1e-12, 1e9)])
def test_a_fit_without_p0_in_any_unit(shape: str, u: float, v: float) -> None:
    """From 1, far from the parameters, most of these "converged" where the model is a constant on the data, with a rank of 2 of 3."""
    model, x, y, parameters = data(shape, u, v)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = curve_fit(model, x, y)
    np.testing.assert_allclose(np.abs(fit.popt), parameters, rtol=1e-6)
    assert (fit.success, fit.rank) == (True, parameters.size)


@pytest.mark.parametrize(("shape", "v"), [("saturation", 1e9), ("power", 1e12), ("saturation", 1e-12)])
def test_data_far_larger_than_the_model_at_the_start(shape: str, v: float) -> None:
    """The first steps, as long as the parameters, lower the cost by a small share of it, which ftol took for the end."""
    model, x, y, parameters = data(shape, 1.0, v)
    fit = curve_fit(model, x, y, np.ones(parameters.size))
    np.testing.assert_allclose(fit.popt, parameters, rtol=1e-6)


def test_a_step_from_far_parameters_to_tiny_ones_ends_nothing() -> None:
    """It was "converged", "the residuals are as small as rounding lets them be", by the Jacobian of the start; and its further steps
    followed factors of columns in the units of the start."""
    model, x, y, parameters = data("power", 1e6, 1e-12)
    fit = curve_fit(model, x, y, [1.0, 1.0])
    np.testing.assert_allclose(fit.popt, parameters, rtol=1e-6)


def test_what_is_said_of_such_a_start_and_counted() -> None:
    model, x, y, _ = data("peak", 1e-6, 1.0)
    calls = 0

    def counting(x: Array, a: float, m: float, s: float) -> Array:
        nonlocal calls
        calls += 1
        return model(x, a, m, s)

    fit = curve_fit(counting, x, y)
    assert "p0 was not given, the fit from 1 was poor, and this one began at 1 in units of the data, (2, 1e-06, 1e-06)" in fit.message
    alone = curve_fit(model, x, y, [2.0, 1e-6, 1e-6])
    assert alone.calls + 2 * 3 + 3 < fit.calls <= calls  # looks at the rank are not counted
    assert alone.nfev < fit.nfev < fit.calls
    np.testing.assert_array_equal(fit.popt, alone.popt)
    again = curve_fit(model, x, y, full_output=True, sigma=np.full(50, 0.1))
    assert again[3] == again.message == fit.message
    np.testing.assert_allclose(again.popt, fit.popt, rtol=1e-9)


def test_a_fit_with_p0_or_near_1_begins_where_it_did() -> None:
    model, x, y, _ = data("peak", 1e-6, 1.0)
    with pytest.warns(RuntimeWarning, match="do not tell a, m and s apart$"):
        assert "units of the data" not in curve_fit(model, x, y, [1.0, 1.0, 1.0]).message
    model, x, y, _ = data("decay", 1.0, 1.0)
    assert curve_fit(model, x, y).calls == curve_fit(model, x, y, [1.0, 1.0, 1.0]).calls


@pytest.mark.parametrize("how", ["raises", "nan"])
def test_a_model_that_does_not_tell_its_units(how: str) -> None:
    """It fails for x in units of its largest value; a search over decades of its parameters, at the x that are given, finds the peak."""
    x = 1e-6 * T

    def model(z: Array, a: float, m: float, s: float) -> Array:
        if how == "raises" and z[-1] > 1e-3:
            raise ValueError("x is in seconds")
        return peak(z, a, m, s) * (np.nan if how == "nan" and z[-1] > 1e-3 else 1.0)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = curve_fit(model, x, model(x, 2.0, 4e-7, 2e-7))
    np.testing.assert_allclose(np.abs(fit.popt), [2.0, 4e-7, 2e-7], rtol=1e-6)


def test_a_peak_too_narrow_to_be_found() -> None:
    """At a place that nothing tells: the fit from 1 stands, with the cure, and is no success."""
    x = 1e-6 * T
    model = lambda z, a, m, s: peak(z + 0.5, a, m, s)  # noqa: E731
    truth = [2.0, 4e-7 + 0.5, 2e-7]
    y = model(x, *truth)
    with pytest.warns(RuntimeWarning, match="p0 was not given: if they are told apart elsewhere, give p0= near there"):
        fit = curve_fit(model, x, y)
    assert (fit.rank < 3, fit.success, fit.reason) == (True, False, "poor_fit")
    assert "R^2 = " in fit.message
    near = curve_fit(model, x, y, [1.0, 5e-7 + 0.5, 1e-7])
    np.testing.assert_allclose(near.popt, truth, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_powers_of_units_of_parameters(shape: str) -> None:
    model, _, of_x, of_y = SHAPES[shape]
    (found,), calls = sizes_in_units(model, 1e-3 * T, 1e5 * T, len(of_x), (1.0,))
    expected = 1e-3 ** np.array(of_x, float) * 1e5 ** np.array(of_y, float)
    if shape == "power":
        expected[0] = 1e5 / 1e-3  # as p is 1 there
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert calls == 2 * len(of_x) + 3


@pytest.mark.parametrize("start", [1e-8, 1e-9, 1e-7])
def test_steps_that_have_become_short_beside_a_slope_are_no_end(start: float) -> None:
    """It was "converged" at the saddle, with a cosine of 0.03 to 0.2."""
    x = np.linspace(0.0, 3.0, 40)
    with pytest.raises(RuntimeError, match=r"steps have become short where the gradient is not small: start elsewhere, or give x_scale"):
        curve_fit(lambda x, a, w: a * np.sin(w * x), x, 2.0 * np.sin(1.5 * x), [start, start])
