"""Fits without p0 that begin again in units of the data, as the fit from 1 is poor: limits and callbacks are those of all together."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mflow import GradientWarning, curve_fit

Array = NDArray[np.float64]
X = 1e-6 * np.linspace(0.02, 1.0, 50)
FIRST = 8  # steps of the fit from 1


def peak(x: Array, a: float, m: float, s: float) -> Array:
    return a * np.exp(-((x - m) ** 2) / (2 * s * s))


Y = peak(X, 2.0, 4e-7, 1e-7)


class Watcher:
    """A callback that raises, or asks to stop, at its n-th call."""

    def __init__(self, at: int, error: type[Exception] | None = None) -> None:
        self.at, self.error, self.seen = at, error, []  # type: tuple[int, type[Exception] | None, list[Array]]

    def __call__(self, x: Array) -> bool:
        self.seen.append(x.copy())
        if len(self.seen) == self.at and self.error is not None:
            raise self.error("the user's own")
        return len(self.seen) == self.at


class Counted:
    """The peak, and how often it is called."""

    calls = 0

    def __call__(self, x: Array, a: float, m: float, s: float) -> Array:
        self.calls += 1
        return peak(x, a, m, s)


@pytest.mark.parametrize("at", [3, FIRST + 1, FIRST + 4])
def test_a_callback_stops_each_of_them(at: int) -> None:
    """Its True in the second fit was no end: the poor fit from 1 was returned as "converged"."""
    watcher = Watcher(at)
    with pytest.raises(RuntimeError, match="the callback stopped it") as told:
        curve_fit(peak, X, Y, callback=watcher)
    left: Any = told.value.partial_result  # type: ignore[attr-defined]
    assert (left.reason, len(watcher.seen)) == ("callback", at)
    np.testing.assert_array_equal(left.x, watcher.seen[-1])
    assert ("began at 1 in units of the data" in left.message) is (at > FIRST)


@pytest.mark.parametrize("at", [3, FIRST + 1, FIRST + 4])
def test_what_a_callback_raises_is_raised(at: int) -> None:
    """In the second fit it was swallowed."""
    watcher = Watcher(at, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError, match="the user's own") as told:
        curve_fit(peak, X, Y, callback=watcher)
    left: Any = told.value.partial_result  # type: ignore[attr-defined]
    assert (left.reason, len(watcher.seen)) == ("callback_failed", at)
    np.testing.assert_array_equal(left.x, watcher.seen[-1])


def test_what_the_model_raises_in_a_second_fit_leaves_the_first_one() -> None:
    """It may do so far from 1, where nobody has asked for it; nor does a search over decades lead there."""

    def model(x: Array, a: float, m: float, s: float) -> Array:
        if not 1e-3 < m < 2.0 and np.max(x) < 0.5:
            raise ValueError("m is outside of what was measured")
        return peak(x, a, m, s)

    with pytest.warns(RuntimeWarning, match="could not be estimated"):
        fit = curve_fit(model, X, Y)
    assert fit.popt[1] > 1e-3


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ({"max_nfev": 5}, "5 evaluations, the limit;"),
        ({"maxfev": 20}, "20 calls of f, the limit maxfev = 20;"),
        ({"maxfev": 30}, "30 calls of f, the limit maxfev = 30;"),
    ],
)
def test_a_fit_that_ends_at_its_limit_does_not_begin_again(limit: dict[str, int], words: str) -> None:
    """It took three times as much, and its message called 15 evaluations the limit of 5."""
    seen = []
    for p0 in (None, [1.0, 1.0, 1.0]):
        model = Counted()
        with pytest.raises(RuntimeError, match=words) as told:
            curve_fit(model, X, Y, p0, **limit)  # type: ignore[arg-type]
        left: Any = told.value.partial_result  # type: ignore[attr-defined]
        seen.append((model.calls, left.nfev, left.message))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("most", [20, 26, 40])
def test_what_is_left_of_the_limit_is_that_of_the_next(most: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # 20 do not reach the peak
        fit = curve_fit(peak, X, Y, max_nfev=most)
    assert fit.nfev <= most
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        fit = curve_fit(peak, X, Y, maxfev=4 * most)
    assert fit.calls < 4 * most + 20  # a Jacobian by differences, and looks at two ends, are not broken off


def test_a_wrong_jacobian_is_told_once() -> None:
    """From each start, three times, at four times the calls: another start does not change it."""
    seen = []
    for p0 in (None, [1.0, 1.0, 1.0]):
        model = Counted()
        with pytest.warns(GradientWarning) as told, pytest.raises(RuntimeError, match="the Jacobian is not that of the residuals"):
            curve_fit(model, X, Y, p0, jac=lambda x, a, m, s: np.outer(peak(x, 1.0, m, s), [1.0, 2.0, 3.0]))
        seen.append((len(told), model.calls))
    assert seen[0] == seen[1]
    assert seen[0][0] == 1


@pytest.mark.parametrize(("u", "v"), [(162.35900773909393, 1.891720508416025e-11), (720.1233847094753, 1.0597254280307172e-12)])
def test_a_fit_at_the_usual_limit_begins_again(u: float, v: float) -> None:
    """The fit from 1 takes its 2000 evaluations; nobody has asked for no more than these."""
    x = u * np.linspace(0.02, 1.0, 50)
    fit = curve_fit(lambda x, L, k, m: L / (1 + np.exp(-k * (x - m))), x, 2 * v / (1 + np.exp(-12 / u * (x - 0.5 * u))))
    np.testing.assert_allclose(fit.popt, [2 * v, 12 / u, 0.5 * u], rtol=1e-6)
    assert fit.nfev > 2000
