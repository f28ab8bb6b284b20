"""A component that slides along a jump again and again: told once each time, at any tolerance, and without growing costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mflow_core.problems.sliding
import numpy as np
import pytest
from scipy.optimize import brentq

import mflow
from mflow.base.checks import Array


def pressed(t: float, y: Array) -> Array:
    return np.array([-2.0 * np.sign(y[0]) + 3.0 * np.sin(t), y[0]])


def arrivals() -> list[float]:
    """Of y0 from 1 with y0' = 3 sin t - 2 sign y0, to t = 9: from closed forms between them; it slides while |3 sin t| < 2."""
    first = brentq(lambda t: 1.0 - 2.0 * t + 3.0 * (1.0 - np.cos(t)), 2.0, 5.0, xtol=1e-14)
    left = np.pi + np.arcsin(2.0 / 3.0)
    second = brentq(lambda t: 2.0 * (t - left) + 3.0 * (np.cos(left) - np.cos(t)), left + 1.0, left + 4.0, xtol=1e-14)
    return [first, second]


@pytest.mark.parametrize("method", ["dopri5", "tsit5", "dop853", "bs32", "rodas5p", "bdf", "auto"])
@pytest.mark.parametrize("tol", [1e-4, 1e-5, 1e-8])
def test_each_arrival_is_told_once(method: str, tol: float) -> None:
    """bs32 told departures, and the others told hundreds of arrivals at 1e-4."""
    r = mflow.solve_ivp(pressed, (0, 9), [1.0, 0.0], method, rtol=tol, atol=tol, events=lambda t, y: y[0], max_steps=4000)
    assert r.reason == "finished"
    assert len(r.t_events[0]) == 2
    assert np.allclose(r.t_events[0], arrivals(), rtol=0, atol=100 * tol + 1e-6)
    assert "component 0 slid along 0 2 times, where the right-hand side jumps" in r.message


def test_a_terminal_event_at_a_jump_ends_the_run() -> None:
    event: Any = mflow.Event(lambda t, y: y[0], terminal=True)
    r = mflow.solve_ivp(pressed, (0, 9), [1.0, 0.0], "bdf", rtol=1e-6, atol=1e-8, events=event)
    assert r.reason == "event"
    assert abs(r.t[-1] - arrivals()[0]) < 1e-4


def test_one_component_takes_one_slider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each arrival left another one in the chain of the right-hand side, for ever."""
    made, kind = [], mflow_core.problems.sliding.Sliding
    monkeypatch.setattr(mflow_core.problems.sliding, "Sliding", lambda *given: made.append(given) or kind(*given))
    r = mflow.solve_ivp(lambda t, y: 1.5 * np.sin(t) - np.sign(y), (0, 20), [1.0], rtol=1e-5, atol=1e-7)
    assert r.reason == "finished"
    assert len(made) == 1
    assert abs(r.y[0, -1]) < 2.0
    assert "slid along 0 6 times" in r.message


def test_a_run_that_is_resumed_knows_its_slides(tmp_path: Path) -> None:
    """In a slide, and after one."""
    call: Any = {"rtol": 1e-6, "atol": 1e-8, "events": lambda t, y: y[0], "method": "bdf"}
    whole = mflow.solve_ivp(pressed, (0, 7.5), [1.0, 0.0], **call)
    inside = int(np.searchsorted(whole.t, 3.7))
    for steps in (inside, inside + 1, int(np.searchsorted(whole.t, 4.5)), int(np.searchsorted(whole.t, 6.7))):
        file = tmp_path / f"{steps}.mflow"
        mflow.solve_ivp(pressed, (0, 7.5), [1.0, 0.0], **call, checkpoint=file, checkpoint_every=1, max_steps=steps)
        rest = mflow.solve_ivp(pressed, (0, 7.5), [1.0, 0.0], **call, resume=file)
        assert np.array_equal(rest.y, whole.y)
        assert np.array_equal(rest.t_events[0], whole.t_events[0])
        assert rest.message == whole.message


@pytest.mark.filterwarnings("ignore::mflow.StiffnessWarning")
def test_a_run_that_is_resumed_looks_where_the_whole_one_does(tmp_path: Path) -> None:
    """How many tries have failed since the last look, and a component that a look has just put at its wall."""

    def relay(t: float, y: Array) -> Array:  # and a fast lag behind it
        return np.array([-np.sign(y[0]) + (0.0 if t < 3 else 1.5), -100.0 * (y[1] - y[0])])

    for method, cuts in (("bs32", (46, 72, 128)), ("dopri5", (60, 600))):
        whole = mflow.solve_ivp(relay, (0, 5), [1.0, 0.0], method)
        for steps in cuts:
            file = tmp_path / "cut.mflow"
            mflow.solve_ivp(relay, (0, 5), [1.0, 0.0], method, checkpoint=file, max_steps=steps)
            rest = mflow.solve_ivp(relay, (0, 5), [1.0, 0.0], method, resume=file)
            assert np.array_equal(rest.y, whole.y), (method, steps)
            assert rest.nfev == whole.nfev
