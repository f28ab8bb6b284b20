"""Walls away from 0, tanks in a row, and events on what rests at a wall.

Oracles: SciPy on the same equations with max(..., 0), which have no wall, by short steps; mirrored copies of one problem.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp as scipy_solve_ivp

import mflow
from support.problems import Array

METHODS = ["dopri5", "auto", "radau5", "bdf", "esdirk43", "rodas5p"]

pytestmark = pytest.mark.filterwarnings("ignore::mflow.StiffnessWarning", "ignore:invalid value:RuntimeWarning")


def inflow(t: float) -> float:
    """0 at t = pi, 3 pi, ... alone."""
    return float(0.25 * (1.0 + np.cos(t)))


@functools.cache
def depth(t_end: float) -> float:
    """x of x' = q - sqrt(x), from 1."""
    r = scipy_solve_ivp(lambda t, x: inflow(t) - np.sqrt(np.maximum(x, 0.0)), (0, t_end), [1.0], rtol=1e-9, atol=1e-12, max_step=0.02)
    return float(r.y[0, -1])


# f, its start, the end of the solution from that of x, and what the message says
AWAY = {
    "above 1": (lambda t, h: inflow(t) - np.sqrt(h - 1.0), 2.0, lambda x: 1.0 + x, "component 0 was kept at 1 or above"),
    "below 2": (lambda t, h: np.sqrt(2.0 - h) - inflow(t), 1.0, lambda x: 2.0 - x, "component 0 was kept at 2 or below"),
    "above -1": (lambda t, h: inflow(t) - np.sqrt(h + 1.0), 0.0, lambda x: x - 1.0, "component 0 was kept at -1 or above"),
    "below 0": (lambda t, h: np.sqrt(-h) - inflow(t), -1.0, lambda x: -x, "component 0 was kept at 0 or below"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", AWAY)
def test_a_wall_stands_anywhere(name: str, method: str) -> None:
    fun, start, of_depth, words = AWAY[name]
    r = mflow.solve_ivp(fun, (0, 12), [start], method, rtol=1e-5, atol=1e-7, max_steps=3000)
    assert r.reason == "finished"
    assert r.nfev < 6000
    assert r.y[0, -1] == pytest.approx(of_depth(depth(12.0)), abs=3e-4)
    assert np.all(np.isfinite(fun(0.0, r.y)))
    assert words in r.message or (name, method) == ("below 0", "bdf")  # which finds the roots beside it without


def test_a_wall_that_a_solution_passes_through_ends_the_run() -> None:
    """h' = -.1 - sqrt(h - 1), from 2: u = sqrt(h - 1), u' = -(.1/u + 1)/2, which is 0 at t = 2 (1 - .1 ln 11)."""
    for method in METHODS:
        r = mflow.solve_ivp(lambda t, h: -0.1 - np.sqrt(h - 1.0), (0, 30), [2.0], method, rtol=1e-6, atol=1e-9)
        assert not r.success
        assert r.reason in ("non_finite", "solve_failed"), (method, r.message)
        assert r.t[-1] == pytest.approx(2.0 - 0.2 * np.log(11.0), abs=1e-4)
        assert "was kept" not in r.message


def test_a_wall_that_moves_is_none_that_a_component_is_kept_at() -> None:
    """sqrt(h - sin(t)): at any time another number is the last one."""
    fun = lambda t, h: np.cos(t) + inflow(t) - np.sqrt(h - np.sin(t))  # noqa: E731
    for method in ("dopri5", "radau5"):
        r = mflow.solve_ivp(fun, (0, 12), [1.0], method, rtol=1e-4, atol=1e-6, max_steps=400)
        assert "was kept" not in r.message, method


def test_a_run_that_goes_on_behind_such_a_wall_has_the_same_bits(tmp_path: Path) -> None:
    def go(**more: object) -> mflow.IVPResult:
        fun = AWAY["below 2"][0]
        return mflow.solve_ivp(fun, (0, 12), [1.0], "radau5", rtol=1e-5, atol=1e-7, checkpoint_every=20, **more)  # type: ignore[arg-type]

    path = tmp_path / "run"
    whole = go(checkpoint=tmp_path / "whole")
    assert "kept at 2 or below" in whole.message
    part = go(checkpoint=path, max_steps=int(np.searchsorted(whole.t, 6.0)))
    assert part.reason == "max_steps"
    rest = go(checkpoint=path, resume=path)
    np.testing.assert_array_equal(rest.y, whole.y)
    assert rest.message == whole.message


@pytest.mark.parametrize("method", ["bs32", "dopri5", "tsit5", "dop853", "auto"])
def test_three_tanks_in_a_row(method: str) -> None:
    """The inflow of the second and third tank is what leaves the one above; explicit pairs took more than 20000 steps."""
    c, e = np.array([1.05, 1.33, 1.39]), np.array([0.72, 0.37, 0.5])

    def fun(t: float, h: Array) -> Array:
        out = c * h**e
        into = np.array([max(0.0, 0.5 - t), *out[:-1]])
        return np.asarray(into - out)

    r = mflow.solve_ivp(fun, (0, 12), [0.92, 0.14, 0.84], method, rtol=1e-4, atol=1e-6, max_steps=8000, t_eval=[1.0, 2.0, 3.0, 12.0])
    exact = scipy_solve_ivp(fun, (0, 2.9), [0.92, 0.14, 0.84], "Radau", rtol=1e-9, atol=1e-12, t_eval=[1.0, 2.0]).y
    assert r.reason == "finished"
    np.testing.assert_allclose(r.y[:, :2], exact, rtol=3e-3, atol=3e-5)  # dense output, far from the walls
    np.testing.assert_allclose(r.y[:, -1], 0.0, atol=1e-5)
    assert np.all(r.y >= 0.0)


@pytest.mark.parametrize("method", METHODS)
def test_an_event_at_a_wall_is_met_once_while_a_component_rests_there(method: str) -> None:
    """h' = max(0, sin t) - sqrt(h) is empty from t = pi + 2 sqrt(h(pi)) to 2 pi: once, where radau5 met it 50 times."""
    h_pi = scipy_solve_ivp(lambda t, h: np.sin(t) - np.sqrt(h), (0, np.pi), [1.0], rtol=1e-10, atol=1e-12).y[0, -1]
    events = [lambda t, h: h[0], lambda t, h: h[0] - 0.3, lambda t, h: t - 5.0]
    fun = lambda t, h: max(0.0, float(np.sin(t))) - np.sqrt(h)  # noqa: E731
    r = mflow.solve_ivp(fun, (0, 6), [1.0], method, rtol=1e-6, atol=1e-8, events=events)
    assert r.reason == "finished"
    assert [len(t) for t in r.t_events] == [1, 1, 1]
    assert r.t_events[0][0] == pytest.approx(np.pi + 2.0 * np.sqrt(h_pi), abs=1e-3)
    assert r.t_events[2][0] == pytest.approx(5.0, abs=1e-12)
    late = mflow.solve_ivp(fun, (0, 8), [1.0], method, rtol=1e-6, atol=1e-8, events=mflow.Event(events[1], terminal=2))
    assert late.reason == "event"
    assert 6.5 < late.t[-1] < 8.0


@pytest.mark.parametrize("method", ["dopri5", "radau5", "auto"])
def test_an_event_that_nothing_has_met_before_a_wall(method: str) -> None:
    """h comes to rest at 0 at t = 2, where no event has been found yet."""
    r = mflow.solve_ivp(lambda t, h: -np.sqrt(h), (0.0, 10.0), [1.0], method, rtol=1e-6, atol=1e-9, events=lambda t, h: t - 7.0)
    assert r.reason == "finished"
    assert r.t_events[0] == pytest.approx([7.0], abs=1e-9)
