"""Fits without p0 of models with constants of nature in them, in SI units: found, or said to be poor."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import curve_fit as scipy_curve_fit

from mflow import curve_fit
from mflow.fitting.starts import Search

Array = NDArray[np.float64]
H, C, K = 6.62607015e-34, 2.99792458e8, 1.380649e-23


def planck(lam: Array, A: float, T: float) -> Array:
    return A * 2 * H * C**2 / lam**5 / np.expm1(H * C / (lam * K * T))


def slit(x: Array, I0: float, a: float, x0: float) -> Array:
    return I0 * np.sinc(a * (x - x0) / 633e-9) ** 2


def langevin(B: Array, M: float, m: float) -> Array:
    return M * (1 / np.tanh(m * B / (K * 300)) - K * 300 / (m * B))


def sellmeier(lam: Array, B: float, c: float) -> Array:
    return np.sqrt(1 + B * lam**2 / (lam**2 - c))


def interferometer(nu: Array, I0: float, F: float, d: float) -> Array:
    return I0 / (1 + F * np.sin(2 * np.pi * nu * d / C) ** 2)


LAB: dict[str, tuple[Callable[..., Array], Array, list[float]]] = {
    "planck": (planck, np.linspace(300e-9, 2500e-9, 60), [1e-13, 5800.0]),
    "slit": (slit, np.linspace(-0.02, 0.02, 81), [100.0, 1e-4, 1e-3]),
    "langevin": (langevin, np.linspace(0.01, 2.0, 40), [4.8e5, 2e-20]),
    "sellmeier": (sellmeier, np.linspace(400e-9, 1600e-9, 40), [1.1, 8.5e-15]),
}


def noisy(model: Callable[..., Array], x: Array, truth: list[float], share: float) -> tuple[Array, float]:
    """(data, the sum of squares that the truth leaves)."""
    clean = model(x, *truth)
    noise = share * np.ptp(clean) * np.random.default_rng(2).normal(size=x.size)
    return clean + noise, float(noise @ noise)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("name", LAB)
def test_constants_of_nature_in_a_model(name: str, share: float) -> None:
    """Planck's and the slit's were "converged" with R^2 below 0, or at 1e15 with an R^2 of 0.55."""
    model, x, truth = LAB[name]
    y, left = noisy(model, x, truth, share)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", category=RuntimeWarning, message="invalid value|overflow|divide")  # the models' own
        fit = curve_fit(model, x, y)
    assert 2.0 * fit.cost <= left + 1e-12 * float(y @ y)
    assert (fit.success, fit.reason) == (True, "converged")
    if share == 0.0:
        np.testing.assert_allclose(np.abs(fit.popt), truth, rtol=1e-5)


@pytest.mark.filterwarnings("ignore:invalid value|overflow|divide")
def test_peaks_on_a_level_of_their_own() -> None:
    """An inverted peak beside them was taken for the answer, silently or not."""
    peak = lambda x, a, m, s, c: a * s * s / ((x - m) ** 2 + s * s) + c  # noqa: E731
    shapes = [(6.3e-7, 590.0, (1.9, 0.68, 0.19, 1.0)), (1.3e-9, 4.5e-7, (2.3, 0.72, 0.14, 0.4)), (1.1e3, 1.6, (3.8, 0.8, 0.19, 1.5))]
    for u, v, shape in shapes:
        x = u * np.linspace(0.02, 1.0, 50)
        truth = np.array(shape) * [v, u, u, v]
        fit = curve_fit(peak, x, peak(x, *truth))
        np.testing.assert_allclose(np.abs(fit.popt), truth, rtol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_a_needle_that_is_not_found_is_told(share: float) -> None:
    """Fringes whose order is near 1e5: they are found beside the truth only."""
    x, truth = np.linspace(5.0e14, 5.0001e14, 200), [2e-3, 40.0, 0.05]
    y, _ = noisy(interferometer, x, truth, share)
    with pytest.warns(RuntimeWarning, match=r"leaves most of the variance of the data, R\^2 = .*p0 was not given, .* give p0= near"):
        fit = curve_fit(interferometer, x, y)
    assert "give p0=" in fit.message
    assert fit.rsquared < 0.5


SEASONS = np.linspace(0.0, 10.0, 120)
HONEST: dict[str, Any] = {
    "line": (lambda x, a, b: a + b * x, 0.1 * SEASONS + np.sin(2.0 * SEASONS)),
    "parabola": (lambda x, a, b: a + b * x, (SEASONS - 4.0) ** 2),
    "growth": (lambda x, a, k: a * np.exp(k * x), np.exp(0.05 * SEASONS) + 0.6 * np.sin(2.0 * SEASONS)),
    "decay": (lambda x, a, k, c: a * np.exp(-k * x) + c, np.exp(-0.5 * SEASONS) + 0.5 * np.sin(3.0 * SEASONS)),
    "alternating": (lambda x, a, k: a * np.exp(k * x), np.exp(0.05 * SEASONS) + np.where(np.arange(120) % 2, 0.6, -0.6)),
}


@pytest.mark.parametrize("name", HONEST)
def test_the_best_fit_of_a_model_that_is_too_simple_is_one(name: str) -> None:
    """A trend through seasons has no better parameters: it was no success, and near which p0 should be was asked of a straight line."""
    model, y = HONEST[name]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit = curve_fit(model, SEASONS, y)
    best = scipy_curve_fit(model, SEASONS, y)[0]
    np.testing.assert_allclose(fit.popt, best, rtol=1e-4)
    assert (fit.success, fit.reason, fit.rsquared < 0.5) == (True, "converged", True)
    words = [str(one.message) for one in said if "R^2" in str(one.message)]
    assert len(words) == (name in ("growth", "decay", "alternating"))
    assert all(("alternate" if name == "alternating" else "are alike") in one for one in words)
    assert all("if the model has a term for what is left" in one for one in words)


def test_no_nearer_than_the_mean_from_p0() -> None:
    """Another p0 leads to the peak; a model that is linear has no better parameters, and nothing is said."""
    x = np.linspace(0.0, 1.0, 40)
    peak = lambda x, a, m: 1.0 + a * np.exp(-(((x - m) / 0.05) ** 2))  # noqa: E731
    y = peak(x, 2.0, 0.3)
    with pytest.warns(RuntimeWarning, match=r"no nearer to the data than their mean is, R\^2 = -0.\d+; if other parameters lead nearer"):
        fit = curve_fit(peak, x, y, [-3.0, 0.9])
    assert fit.success  # it is a minimum, from the start that was asked for
    assert fit.rsquared < 0.0
    assert "R^2 = -" in fit.message
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for p0 in (None, [1.0]):
            line = curve_fit(lambda x, a: a * x, x, 5.0 - x, p0)
            assert (line.success, line.rsquared < 0.0) == (True, True)


def test_noise_that_is_left_is_not_said_to_be_poor() -> None:
    x = np.linspace(0.0, 3.0, 60)
    y = np.exp(-x) + np.random.default_rng(1).normal(size=60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit = curve_fit(lambda x, a, k: a * np.exp(-k * x), x, y)
    assert (fit.success, fit.rsquared < 0.5) == (True, True)


@pytest.mark.parametrize("jac", [False, True])
@pytest.mark.parametrize("unit", [1.0, 1e5])
@pytest.mark.parametrize("name", ["decay", "planck"])
@pytest.mark.filterwarnings("ignore:invalid value|overflow|divide")
def test_calls_are_those_that_a_user_counts(name: str, unit: float, jac: bool) -> None:
    """27 were said to be 83, and 14 to be 129, as looks beside starts and ends, and other starts, were left out."""
    calls = 0

    def counted(x: Array, *p: float) -> Array:
        nonlocal calls
        calls += 1
        return model(x, *p)

    def slopes(x: Array, a: float, k: float) -> Array:
        return np.stack([np.exp(-k * x), -a * x * np.exp(-k * x)], axis=1)

    model: Any = planck if name == "planck" else lambda x, a, k: a * np.exp(-k * x)
    x = LAB["planck"][1] if name == "planck" else unit * np.linspace(0.02, 1.0, 30)
    y = model(x, *(LAB["planck"][2] if name == "planck" else [3.0, 2.0 / unit]))
    counted.__signature__ = inspect.signature(model)  # type: ignore[attr-defined]
    fit = curve_fit(counted, x, y, jac=slopes if jac and name == "decay" else None)
    assert fit.calls == calls
    full = curve_fit(counted, x, y, full_output=True)
    assert full[2]["nfev"] == full.calls


@pytest.mark.filterwarnings("ignore:invalid value|overflow|divide")
def test_a_search_keeps_to_limits() -> None:
    model, x, truth = LAB["planck"]
    y = model(x, *truth)
    with pytest.warns(RuntimeWarning, match="no nearer to the data than their mean"):
        assert curve_fit(model, x, y, maxfev=600).calls < 700
    assert not Search.can(x[:, None], y)
    assert not Search.can(x, np.ones(x.size))
    assert not Search.can(np.ones(x.size), y)


@pytest.mark.parametrize("works", [10, 60_000])
def test_a_model_that_makes_many_calls_is_not_searched(works: int) -> None:
    """By their number, which no other work of the machine changes; nothing more of it is asked, and none of Python's own hooks is lost."""
    asked = 0

    def model(x: Array, a: float, k: float) -> Array:
        nonlocal asked
        asked += 1
        for _ in range(works):
            abs(k)
        return a * np.exp(-k * x)

    x = np.linspace(0.0, 1.0, 20)
    search = Search(model, x, np.cos(9.0 * x), np.ones(20), np.ones(2))
    found = search.starts(0.0)
    assert (search.slow, asked == search.calls, asked < 10) == (works > 10, True, works > 10)
    assert bool(found) == (works <= 10)
    assert sys.getprofile() is None


def test_residuals_that_oscillate_are_no_noise() -> None:
    """By 1.5 periods from datum to datum their neighbours are as unlike as those of noise."""
    x = np.linspace(0.0, 60.0, 40)
    decay = lambda x, a, k: a * np.exp(-k * x)  # noqa: E731
    with pytest.warns(RuntimeWarning, match="leaves most of the variance .* residuals oscillate along x"):
        curve_fit(decay, x, np.sin(3.0 * x))
    draws = np.random.default_rng(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(20):
            fit = curve_fit(decay, x, np.exp(-0.1 * x) + draws.normal(size=40))
            assert (fit.success, "oscillate" in fit.message) == (True, False)


LEVELS: dict[str, Any] = {
    "decay": (lambda x, k: np.exp(-k * x), np.exp(-0.1 * SEASONS)[::-1]),
    "hyperbola": (lambda x, k: 1.0 / (1.0 + np.abs(k) * x), 0.5 + 0.05 * np.cos(3e3 * SEASONS)),
    "sine": (lambda x, a: a * np.sin(x), np.cos(np.linspace(0.0, 2.0 * np.pi, 121)[:-1])),
}


@pytest.mark.parametrize("name", LEVELS)
def test_a_model_without_a_level_has_no_better_parameters(name: str) -> None:
    """At the least squares, from SciPy's from many starts, it was said to be no success."""
    model, y = LEVELS[name]
    x = np.linspace(0.0, 2.0 * np.pi, 121)[:-1] if name == "sine" else SEASONS
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit = curve_fit(model, x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ends = [scipy_curve_fit(model, x, y, [start])[0] for start in (0.01, 0.1, 1.0, 10.0)]
    least = min(0.5 * float(np.sum((model(x, *end) - y) ** 2)) for end in ends)
    assert fit.cost <= least * (1.0 + 1e-6)
    assert (fit.success, fit.reason, fit.rsquared < 1e-6) == (True, "converged", True)
    assert len([one for one in said if "R^2" in str(one.message)]) == (name != "sine")


@pytest.mark.parametrize("u", [1e-9, 1.0, 1e5])
@pytest.mark.parametrize("how", ["corners", "signs", "soft_l1"])
def test_starts_are_searched_with_bounds_and_losses(how: str, u: float) -> None:
    """The fits from the middle of the bounds, or with a loss from 1, ended at a corner or on a level; nothing is asked outside bounds."""
    truth, x = np.array([3.0, 0.4 * u, 0.07 * u, 2.0]), u * np.linspace(0.01, 1.0, 60)
    low, high = {"corners": (truth / 5.0, truth * 5.0), "signs": (0.0 * truth, np.inf * truth), "soft_l1": (-np.inf, np.inf)}[how]

    def line(x: Array, a: float, m: float, g: float, c: float) -> Array:
        assert np.all((low <= np.array([a, m, g, c])) & (np.array([a, m, g, c]) <= high))
        return a / (1.0 + ((x - m) / g) ** 2) + c

    y = line(x, *truth) + 0.01 * np.cos(1e4 * np.arange(60.0))
    more: dict[str, Any] = {"loss": "soft_l1", "f_scale": 0.02} if how == "soft_l1" else {"bounds": (low, high)}
    fit = curve_fit(line, x, y, **more)
    assert fit.success
    np.testing.assert_allclose([fit.popt[0], fit.popt[1], abs(fit.popt[2]), fit.popt[3]], truth, rtol=0.03)
