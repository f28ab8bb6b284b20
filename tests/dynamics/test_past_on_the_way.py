"""Fixed steps of a force past a stability limit that it has on the way, not at the start: where it saturates nothing overflows, and the run
says what it is. Limits are 2/omega and its like, with frequencies of the forces written out here; motions are bounded by their energy.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow
from support.problems import Array

SAID = "exceeds the stability limit"
WHOLE = {"velocity_verlet": {}, "central_difference": {}, "staggered": {}, "symplectic_euler": {}, "newmark": {"beta": 0.0}}


def pendulum(t: float, x: Array, v: Array) -> Array:
    """Its frequency is 10 below, sqrt(100 cos 1) = 7.4 at x = 1."""
    return -100.0 * np.sin(x)


def attraction(t: float, x: Array, v: Array) -> Array:
    """Its frequency is 10 at 0, and falls on both sides."""
    return -100.0 * x / (1.0 + x**2)


def two(t: float, x: Array, v: Array) -> Array:
    pull = 3.0 * (x[0] - x[1])
    return np.array([-100.0 * math.sin(x[0]) - pull, pull - 20.0 * math.sin(x[1])])


def told(call: Any) -> tuple[Any, list[str]]:
    with warnings.catch_warnings(record=True) as seen, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        r = call()
    return r, [str(w.message) for w in seen]


def moved(force: Callable[..., Any], x0: list[float], method: str, dt: float, **more: Any) -> tuple[Any, list[str]]:
    return told(lambda: mflow.solve_dynamics(1.0, None, None, t_span=(0, 40), x0=x0, method=method, dt=dt, force=force, **more))


@pytest.mark.parametrize("method", WHOLE)
@pytest.mark.parametrize(("force", "x0"), [(pendulum, [1.0]), (attraction, [0.5]), (two, [1.0, 0.5])])
def test_a_motion_that_gains_energy_is_told_of(force: Callable[..., Any], x0: list[float], method: str) -> None:
    calls = [0]

    def counted(t: float, x: Array, v: Array) -> Array:
        calls[0] += 1
        return force(t, x, v)

    r, seen = moved(counted, x0, method, 0.26, velocity_free=True, **WHOLE[method])
    assert r.reason == "finished"
    assert np.max(np.abs(r.x)) > 10.0  # x0 is where it turns, and the farthest that it comes to
    assert len(seen) == 1
    assert SAID in seen[0]
    assert r.doubts == (seen[0].removeprefix("solve_dynamics: "),)
    assert r.doubts[0] in r.message
    assert calls[0] == r.nfev + r.ncheck
    named = float(r.message.split(f"{SAID} ")[1].removeprefix("about ").split(" ")[0])
    assert 2.0 / math.sqrt(100.0 + 3.0 * (force is two) + 1.0) < named < 0.26


@pytest.mark.parametrize("method", ["velocity_verlet", "central_difference", "newmark"])
@pytest.mark.parametrize(("force", "x0"), [(pendulum, [1.0]), (attraction, [0.5]), (two, [1.0, 0.5])])
def test_within_the_limit_nothing_is_said(force: Callable[..., Any], x0: list[float], method: str) -> None:
    r, seen = moved(force, x0, method, 0.18, velocity_free=True, **WHOLE[method])
    assert np.max(np.abs(r.x)) < 1.05 * x0[0]
    assert not seen
    assert r.doubts == ()
    assert r.ncheck < 100


@pytest.mark.parametrize("more", [{"save": "last"}, {"save_every": 7}, {"t_eval": [0.0, 20.0, 40.0]}])
def test_however_few_states_are_kept(more: dict[str, Any]) -> None:
    r, seen = moved(pendulum, [1.0], "velocity_verlet", 0.26, velocity_free=True, **more)
    assert np.max(np.abs(r.x)) > 10.0
    assert len(seen) == 1
    assert SAID in r.message


def test_growth_of_the_motion_is_not_accused() -> None:
    falls, seen = moved(lambda t, x, v: np.array([-9.81]), [0.0], "velocity_verlet", 0.1, velocity_free=True)
    assert falls.x[0, -1] == pytest.approx(-9.81 * 800.0, rel=1e-9)
    assert not seen
    resonance, seen = moved(lambda t, x, v: math.cos(2.0 * t) - 4.0 * x, [0.0], "velocity_verlet", 0.02, velocity_free=True)
    assert resonance.x[0, -1] == pytest.approx(10.0 * math.sin(80.0), abs=0.2)
    assert not seen


def test_what_was_warned_of_at_the_start_is_among_the_doubts(tmp_path: Path) -> None:
    """-100 tanh x from 0.5 has the frequency 8.9 there; a structure has its own all along."""
    runs: list[dict[str, Any]] = [
        {"mass": 1.0, "force": lambda t, x, v: -100.0 * np.tanh(x), "x0": [0.5], "dt": 0.26},
        {"mass": 1.0, "stiffness": 100.0, "x0": [1e-3], "dt": 0.2001},
    ]
    for run in runs:
        whole, seen = told(lambda run=run: mflow.solve_dynamics(t_span=(0, 10), method="velocity_verlet", **run))
        assert whole.reason == "finished"
        assert len(seen) == 1
        assert whole.doubts == (seen[0].removeprefix("solve_dynamics: "),)
        assert whole.message.count(SAID) == 1
        path = tmp_path / "run"
        told(lambda run=run, path=path: mflow.solve_dynamics(t_span=(0, 10), method="velocity_verlet", checkpoint=path, max_steps=9, **run))
        rest, _ = told(lambda run=run, path=path: mflow.solve_dynamics(t_span=(0, 10), method="velocity_verlet", resume=path, **run))
        assert np.array_equal(rest.x, whole.x)
        assert (rest.doubts, rest.message, rest.nfev, rest.ncheck) == (whole.doubts, whole.message, whole.nfev, whole.ncheck)


@pytest.mark.parametrize("method", ["velocity_verlet", "central_difference", "staggered"])
def test_a_stepper_tells_once(method: str) -> None:
    calls = [0]

    def counted(t: float, x: Array, v: Array) -> Array:
        calls[0] += 1
        return pendulum(t, x, v)

    st = mflow.Stepper(method, counted, [1.0], [0.0])
    _, seen = told(lambda: [st.advance(50, dt=0.26) for _ in range(4)])
    assert len(seen) == 1
    assert seen[0].startswith("Stepper: dt = 0.26 exceeds the stability limit")
    assert st.nfev == calls[0]
    one = mflow.Stepper(method, pendulum, [1.0], [0.0])
    _, seen = told(lambda: [one.step(0.26) for _ in range(200)])
    assert len(seen) == 1
    whole, _ = told(lambda: mflow.solve_dynamics(1.0, t_span=(0, st.t), x0=[1.0], method=method, dt=0.26, force=pendulum))
    assert np.array_equal(st.x, whole.x[:, -1])  # looks change no bits
    assert np.array_equal(one.x, st.x)
    within = mflow.Stepper(method, pendulum, [1.0], [0.0])
    _, seen = told(lambda: within.advance(200, dt=0.18))
    assert not seen


def test_a_batch_tells_of_its_motions() -> None:
    def batch(dt: float) -> Any:
        return mflow.solve_dynamics_batch(
            mass=1.0, t_span=(0, 40), x0=[[1.0], [0.5]], method="velocity_verlet", dt=dt, force=pendulum, velocity_free=True
        )

    r, seen = told(lambda: batch(0.26))
    assert set(r.doubts) == set(r.messages) == {0, 1}
    for k in (0, 1):
        assert SAID in r.doubts[k][0]
        assert r[k].doubts == r.doubts[k]
        assert r[k].doubts[0] in r[k].message
    assert len(seen) == 2
    r, seen = told(lambda: batch(0.18))
    assert r.doubts == {}
    assert r[0].doubts == ()
    assert not seen


@pytest.mark.parametrize(("speed", "dt"), [(0.3, 1e-3), (0.5, 1e-3), (0.25, 1e-3), (0.5, 1e-4), (0.3, 3e-5)])
def test_a_planet_that_steps_throw_out_of_its_orbit(speed: float, dt: float) -> None:
    """Its energy says that it is bound: beside the sun, steps lead over where the force changes a thousandfold."""
    sun = 4.0 * np.pi**2
    with pytest.warns(RuntimeWarning, match="steps go where the motion does not"):
        s = mflow.solve_dynamics(
            force=lambda t, x, v: -sun * x / np.hypot(*x) ** 3, t_span=(0, 1), x0=[1.0, 0.0], v0=[0.0, speed], method="leapfrog", dt=dt
        )
    assert s.doubts
    assert np.hypot(*s.x).max() > 1.01


@pytest.mark.parametrize("speed", [1.0, 2.0, 6.0])
def test_a_planet_that_is_followed(speed: float) -> None:
    sun = 4.0 * np.pi**2
    s = mflow.solve_dynamics(
        force=lambda t, x, v: -sun * x / np.hypot(*x) ** 3, t_span=(0, 1), x0=[1.0, 0.0], v0=[0.0, speed], method="leapfrog", dt=1e-4
    )
    assert not s.doubts
