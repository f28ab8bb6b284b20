"""What grows from below atol: error control sees nothing of it there, and it grows too early or too late. Oracle: closed forms."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.integrate
from mflow_core.arithmetic.starts import grown_from_below

import mflow
from support.problems import Array

SAID = "within atol = 1e-06 of 0, and has grown from there since"
TOLERANCE = 1e-6 + 1e-3 * 0.5


def grows(t: float, y: Array) -> Array:
    return y * (1.0 - y)


def given(t: float, y: Array) -> Array:
    return np.array([y[0], 0.5])


def half(start: float) -> float:
    """When y' = y (1 - y) is 1/2."""
    return math.log(1.0 / start - 1.0)


@pytest.mark.parametrize("method", ["bs32", "dopri5", "tsit5", "bdf", "auto"])
def test_growth_from_below_atol_is_told_and_the_atol_that_is_named_will_do(method: str) -> None:
    with pytest.warns(RuntimeWarning, match=SAID):
        r = mflow.solve_ivp(grows, (0, half(1e-8)), [1e-8], method, atol=1e-6)
    assert abs(r.y[0, -1] - 0.5) > 200.0 * TOLERANCE
    assert len(r.doubts) == 1
    assert r.doubts[0] in r.message
    named = float(r.doubts[0].rpartition("give atol = ")[2])
    r = mflow.solve_ivp(grows, (0, half(1e-8)), [1e-8], method, atol=named)
    assert abs(r.y[0, -1] - 0.5) < 15.0 * TOLERANCE
    assert r.doubts == ()


def test_an_epidemic_and_a_valley() -> None:
    def epidemic(t: float, y: Array) -> Array:
        return np.array([-0.5 * y[0] * y[1], 0.5 * y[0] * y[1] - 0.1 * y[1]])

    def predators(t: float, y: Array) -> Array:
        return np.array([y[0] * (1.0 - y[1]), -y[1] * (1.0 - y[0])])

    for fun, start, end in ((epidemic, [1.0, 1e-7], 48.0), (predators, [20.0, 1.0], 40.0)):
        with pytest.warns(RuntimeWarning, match=SAID):
            mflow.solve_ivp(fun, (0, end), start)
        assert mflow.solve_ivp(fun, (0, end), start, rtol=1e-6, atol=1e-14).doubts == ()


@pytest.mark.parametrize(
    ("fun", "start", "more"),
    [
        (lambda t, y: np.array([1.0 - y[0]]), [1e-8], {}),  # led by others
        (lambda t, y: np.array([-y[0], y[0]]), [1.0, 0.0], {}),
        (lambda t, y: np.array([y[1], -y[0]]), [1.0, 1e-8], {}),  # passes 0
        (lambda t, y: -y, [1.0], {"doses": [(30.0, 0, 1.0)]}),
        (grows, [0.0], {"doses": [(20.0, 0, 0.5)]}),  # is absent until then
        (lambda t, y: 0.01 * y, [1e-8], {"doses": [(1.0, 0, 0.5)]}),  # has grown to 1.5e-8
        (lambda t, y: 0.01 * y, [1e-8], {"doses": [(1.0, 0, 0.5)], "t_eval": [0.0, 40.0]}),
        (lambda t, y: np.array([1.0, 0.01 * y[1]]), [0.0, 1e-8], {"events": mflow.Event(lambda t, y: y[0] - 1.0, action=given)}),
        (lambda t, y: np.array([-1e-3 * y[0], 1e6 * y[0]]), [1e-7, 1e-9], {}),  # led by what is as small
        (lambda t, y: np.sqrt(np.abs(y)), [1e-8], {"t_eval": [0.0, 4.0]}),  # f falls more slowly than y: errors do not grow with it
        (grows, [1e-8], {"atol": 1e-11}),
    ],
)
def test_what_has_not_grown_by_itself_is_none(fun: Any, start: list[float], more: dict[str, Any]) -> None:
    """In silence: warnings are errors."""
    assert mflow.solve_ivp(fun, (0, 40), start, **({"atol": 1e-6} | more)).doubts == ()


def outbreak(t: float, y: Array) -> Array:
    """Susceptible, exposed and infectious; the last two feed one another."""
    return np.array([-0.5 * y[0] * y[2], 0.5 * y[0] * y[2] - 0.2 * y[1], 0.2 * y[1] - 0.1 * y[2]])


@pytest.mark.parametrize("method", ["bs32", "dopri5", "radau5", "bdf", "auto"])
def test_components_that_grow_together_from_below_atol(method: str) -> None:
    """The rates are the positive eigenvalues of [[-.2, .5], [.2, -.1]] and of [[0, 1], [1, 0]]."""
    rate = -0.15 + math.sqrt(0.05**2 + 0.1)
    for fun, start, end, said in ((outbreak, [1.0, 0.0, 1e-7], 90.0, rate), (lambda t, y: y[::-1].copy(), [1e-7, 1e-7], 16.0, 1.0)):
        with pytest.warns(RuntimeWarning, match=SAID):
            r = mflow.solve_ivp(fun, (0, end), start, method, atol=1e-6)
        told = re.search(r"at a rate of ([\d.]+) together with component (\d): .*give atol = (\S+)", r.doubts[0])
        assert told is not None
        assert float(told[1]) == pytest.approx(said, rel=0.02)
        good = scipy.integrate.solve_ivp(fun, (0, end), start, "LSODA", rtol=1e-10, atol=1e-20).y[:, -1]
        tolerance = 1e-6 + 1e-3 * np.abs(good)
        assert np.max(np.abs(mflow.solve_ivp(fun, (0, end), start, method, atol=float(told[3])).y[:, -1] - good) / tolerance) < 25.0


@pytest.mark.parametrize("speed", [0.0, 19.0])
def test_what_spreads_has_not_grown(speed: float) -> None:
    """A concentration that diffuses, or flows, comes to where it was below atol with no error that grows."""

    def spreads(t: float, u: Array) -> Array:
        before, behind = np.append(0.0, u[:-1]), np.append(u[1:], u[-1])
        return speed * (before - u) if speed else 0.4 * (before - 2.0 * u + behind)

    r = mflow.solve_ivp(spreads, (0, 3 if not speed else 0.6), np.exp(-3.0 * np.arange(20.0)), "bdf", atol=1e-6)
    assert grown_from_below(np.ascontiguousarray(r.y.T), np.array([1e-6])) != []
    assert r.doubts == ()


def test_a_resumed_run_says_the_same(tmp_path: Path) -> None:
    call: Any = (grows, (0, 40), [1e-8], "bs32")
    with pytest.warns(RuntimeWarning, match=SAID):
        whole = mflow.solve_ivp(*call, atol=1e-6)
    mflow.solve_ivp(*call, atol=1e-6, max_steps=4, checkpoint=tmp_path / "run")
    with pytest.warns(RuntimeWarning, match=SAID):
        rest = mflow.solve_ivp(*call, atol=1e-6, resume=tmp_path / "run")
    assert rest.doubts == whole.doubts


def test_a_function_that_raises_where_the_run_does_not_go_says_nothing() -> None:
    def strict(t: float, y: Array) -> Array:
        if y[0] < 1e-8:
            raise RuntimeError("fewer than one animal")
        return y * (1.0 - y)

    r = mflow.solve_ivp(strict, (0, 20), [5e-7], "dopri5", atol=1e-6, max_step=0.5)
    assert r.success
    assert r.doubts == ()
    with pytest.warns(RuntimeWarning, match="give atol = 1e-300"):
        mflow.solve_ivp(grows, (0, 800), [1e-310], "bdf", atol=1e-6)


def test_the_rows_in_which_a_component_has_grown() -> None:
    rows = np.array([[1.0, 0.0, -1e-8], [1e-7, 1e-9, -1e-7], [1e-8, 1e-7, -1e-5], [2.0, 1.0, -1.0]])
    assert grown_from_below(rows, np.array([1e-6])) == [(0, 2, 1e-8), (2, 1, 1e-8)]
    assert grown_from_below(rows, np.array([1e-6, 1e-6, 1e-2])) == [(0, 2, 1e-8)]
    with pytest.raises(TypeError, match="least: expected a C-contiguous float64 array of 3 numbers or 1"):
        grown_from_below(rows, np.ones(2))
    with pytest.raises(TypeError, match="rows: expected"):
        grown_from_below(rows[:, ::2], np.ones(1))
