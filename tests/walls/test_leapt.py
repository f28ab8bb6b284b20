"""Poles of the right-hand side that lead on to both sides: steps lead over them with loose tolerances, and none does with tight ones."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.walls.leapt import poles_along

METHODS = ["dopri5", "tsit5", "dop853", "esdirk43", "rodas5p", "bdf", "auto"]


@pytest.mark.parametrize("method", ["dopri5", "tsit5", "dop853", "esdirk43", "auto"])
@pytest.mark.parametrize(
    ("power", "at", "span"),
    [(2, 2.0, 3.0), (4, 2.0, 3.0), (2, 0.0, 3.0), (2, -1.0, 3.0), (1.5, 2.0, 2.0)],
)
def test_a_pole_that_steps_lead_over_is_told_with_its_state_and_time(method: str, power: float, at: float, span: float) -> None:
    # |y - at|^(power + 1) falls evenly from 1: y is there at 1/(power + 1)
    with pytest.warns(RuntimeWarning, match="grows without bound next to y") as told, np.errstate(divide="ignore"):
        r = mflow.solve_ivp(lambda t, y: -1 / np.abs(y - at) ** power, (0, span), [at + 1], method, rtol=1e-3, atol=1e-5)
    [words] = [str(one.message) for one in told]
    assert r.success
    assert f"y = [{at:g}] (t = " in words
    assert float(words.split("(t = ")[1].split(")")[0]) == pytest.approx(1 / (power + 1), abs=0.04)
    assert r.ncheck > 0


@pytest.mark.parametrize("method", ["dopri5", "tsit5", "esdirk43", "rodas5p", "auto"])
def test_a_pole_that_moves_with_an_oscillator_is_told(method: str) -> None:
    def fun(t: float, y: np.ndarray) -> np.ndarray:
        return np.array([1 / (y[0] - np.cos(2 * t)) ** 2, y[2], -y[1]])

    with pytest.warns(RuntimeWarning, match="grows without bound next to y"):
        assert mflow.solve_ivp(fun, (0, 2), [-2.0, 1.0, 0.0], method, rtol=1e-3, atol=1e-5).success


@pytest.mark.parametrize("method", [*METHODS, "radau5"])
def test_a_run_that_ends_at_such_a_pole_names_it(method: str) -> None:
    r = mflow.solve_ivp(lambda t, y: [1 / (y[0] - 2) ** 2, -y[1]], (0, 3), [1.0, 1.0], method, rtol=1e-9, atol=1e-11)
    assert not r.success
    assert r.t[-1] == pytest.approx(1 / 3, abs=1e-6)
    assert f"grows without bound next to y = [2, {np.exp(-1 / 3):.4g}]" in r.message


@pytest.mark.parametrize("method", ["dopri5", "dop853", "bs32"])
@pytest.mark.parametrize("power", [1, 2])
def test_a_pole_behind_the_start_has_not_been_met(method: str, power: int) -> None:
    """y' = 1e50/y^p leads away from 0, where it has never been."""
    r = mflow.solve_ivp(lambda t, y: 1e50 / y**power, (1, 2), [1e6], method)
    assert r.reason == "step_too_small"
    assert r.nsteps == 0
    assert "without bound" not in r.message


def kepler(t: float, y: np.ndarray) -> np.ndarray:
    return np.array([y[2], y[3], *(-y[:2] / np.hypot(y[0], y[1]) ** 3)])


QUIET = {
    "bounded, as steep": (lambda t, y: -1 / ((y - 2) ** 2 + 1e-6), (0, 3), [3.0]),
    "root with infinite slope": (lambda t, y: -np.cbrt(y - 2), (0, 1), [3.0]),
    "logarithm": (lambda t, y: np.log(abs(y - 2)) - 1, (0, 2), [3.0]),
    "jump": (lambda t, y: -y + (t >= 1), (0, 3), [1.0]),
    "wall": (lambda t, y: 0.1 - np.sqrt(y), (0, 20), [4.0]),
    "comet": (kepler, (0, 20), [0.01, 0.0, 0.0, (1.99 / 0.01) ** 0.5]),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", QUIET)
def test_what_is_steep_and_has_no_pole_is_not_told(name: str, method: str) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert mflow.solve_ivp(*QUIET[name], method, rtol=1e-5, atol=1e-7).success
    assert not [one for one in told if "without bound" in str(one.message)]


@pytest.mark.parametrize("kind", [ValueError, KeyError, mflow.Recoverable, RuntimeError, KeyboardInterrupt])
def test_what_fun_raises_beside_the_path(kind: type[BaseException]) -> None:
    """What says that fun has no value there is none of the run's; other errors come through, with all of the run."""
    last: list[float] = []

    def fun(t: float, y: np.ndarray) -> np.ndarray:
        last.append(t)
        if len(last) > 1 and max(last) == 2.0 and t < 1.0:
            raise kind("outside")
        return -1 / (y - 2) ** 2

    call: Any = (fun, (0, 2), [3.0], "dopri5")
    if kind in (RuntimeError, KeyboardInterrupt):
        with pytest.raises(kind) as told:
            mflow.solve_ivp(*call, rtol=1e-3, atol=1e-5)
        r = told.value.partial_result  # type: ignore[attr-defined]
    else:
        r = mflow.solve_ivp(*call, rtol=1e-3, atol=1e-5)
    assert r.success
    assert r.t[-1] == 2.0


def test_one_place_is_named_once() -> None:
    t = np.concatenate([np.linspace(0, 0.9, 10), 1 + np.array([-1e-4, -0.5e-4, 0.0, 0.5e-4, 1e-4]), np.linspace(1.1, 2, 10)])
    y = np.stack([np.cbrt(t - 1.00002), np.cos(t)])
    [(time, state)] = poles_along(lambda t, y: np.array([1 / (3 * y[0] ** 2), -y[1]]), t, y)
    assert time == pytest.approx(1, abs=1e-4)
    assert state[0] == 0.0
