"""Tables of loads: pulses that steps must not pass over, and what fixed steps leave out."""

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import mflow
from mflow.cli import building
from mflow.dynamics import load_tables

K = np.array([[2.0, -1.0], [-1.0, 1.0]])
TIMES, VALUES = np.array([0.0, 5.0, 5.02, 5.05, 5.07, 20.0]), np.array([0.0, 0.0, 1.0, 1.0, 0.0, 0.0])


def call(**more: Any) -> Any:
    return mflow.solve_dynamics(**{"mass": [1.0, 1.0], "stiffness": K, "t_span": (0, 1), "dt": 0.1, **more})


def reference(t0: float, t1: float) -> Any:
    """By SciPy, each straight piece of the table on its own."""
    low, high = min(t0, t1), max(t0, t1)
    knots = sorted({low, high, *TIMES[(low < TIMES) & (high > TIMES)]}, reverse=t1 < t0)
    y, top = np.zeros(4), 0.0
    for a, b in itertools.pairwise(knots):
        force = lambda t, y: np.concatenate([y[2:], -0.2 * y[2:] - K @ y[:2] + [0.0, np.interp(t, TIMES, VALUES)]])  # noqa: E731
        response = solve_ivp(force, (a, b), y, method="DOP853", rtol=1e-11, atol=1e-14)
        y, top = response.y[:, -1], max(top, float(np.max(np.abs(response.y[:2]))))
    return y, top


@pytest.mark.parametrize("span", [(0.0, 20.0), (20.0, 0.0)])
@pytest.mark.parametrize("as_pattern", [True, False])
def test_steps_under_error_control_see_every_pulse_of_a_table(span: tuple[float, float], as_pattern: bool) -> None:
    load = (TIMES, VALUES, [0.0, 1.0]) if as_pattern else (TIMES, np.array([np.zeros(6), VALUES]))
    s = mflow.solve_dynamics(mass=[1, 1], stiffness=K, damping=0.2, load=load, t_span=span, rtol=1e-7, atol=1e-10)
    state, top = reference(*span)
    assert s.reason == "finished"
    assert np.max(np.min(np.abs(TIMES[:, None] - s.t), axis=1)) < 1e-13
    assert np.max(np.abs(s.x[:, -1] - state[:2])) < 3e-5 * top
    if span[1] > span[0]:
        assert abs(np.max(np.abs(s.x)) / top - 1) < 1e-3
    assert s.nsteps < 5000


def test_a_table_keeps_the_users_bounds_and_resumes(tmp_path: Any) -> None:
    more: dict[str, Any] = {"load": (TIMES, VALUES, [0.0, 1.0]), "dt": None, "rtol": 1e-5, "atol": 1e-8, "t_span": (0, 20)}
    s = call(**more, max_step=0.05)
    assert np.max(np.diff(s.t)) < 0.05 * (1 + 1e-12)
    assert np.max(np.diff(call(**more, max_step=lambda t, x: 0.04).t)) < 0.04 * (1 + 1e-12)
    whole = call(**more)
    file = tmp_path / "run"
    assert call(**more, max_steps=40, checkpoint=file, checkpoint_every=7).reason == "max_steps"
    assert np.array_equal(call(**more, resume=file).x, whole.x)


def test_fixed_steps_that_miss_a_pulse_are_warned_of() -> None:
    load = (TIMES, VALUES, [0.0, 1.0])
    with pytest.warns(RuntimeWarning, match="load: 100 % of the table's impulse falls between steps of dt = 0.5"):
        call(load=load, dt=0.5, t_span=(0, 20))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(load=load, dt=0.005, t_span=(0, 20))
        call(load=([0.0, 0.5], [0.0, 1.0], [1.0, 1.0]), dt=0.02, t_span=(0, 20))  # a ramp
        t = np.linspace(0, 20, 2001)
        call(load=(t, np.sin(t), [1.0, 1.0]), dt=0.3, t_span=(0, 20))  # a smooth one, of which every thirtieth is enough
        call(load=(t + 100.0, np.sin(t), [1.0, 1.0]), dt=0.3, t_span=(0, 20))


def test_what_is_left_out_of_a_table() -> None:
    spike = np.array([0.0, 1.0, 0.0])
    t = np.array([0.0, 1.0, 2.0])
    assert load_tables.left_out(t, spike, 0.0, 2.0, 2.0) == 1.0  # area 1, and no step sees any
    assert load_tables.left_out(t, spike, 0.0, 2.0, 1.0) == 0.0
    assert load_tables.left_out(t, spike, 2.0, 0.0, 2.0) == 1.0
    # steps of 4/3: the first sees 2/3 at its end, an impulse of 4/9 where there are 7/9; in the second the table is straight
    assert load_tables.left_out(t, spike, 0.0, 2.0, 4 / 3) == pytest.approx(7 / 9 - 4 / 9)
    assert load_tables.bends(np.arange(6.0), np.array([0.0, 0, 0, 1, 2, 3])).tolist() == [0, 2, 5]
    bend = np.array([0.0, 2.0, 5.0])
    assert load_tables.up_to(bend, 0.0, 0.7, 1.0) == pytest.approx(2 / 3)
    assert load_tables.up_to(bend, 2.0 - 1e-12, 10.0, 1.0) == pytest.approx(3.0)
    assert load_tables.up_to(bend, 5.0, 1.0, 1.0) == np.inf
    assert load_tables.up_to(bend, 5.0, 10.0, -1.0) == 3.0
    assert load_tables.up_to(bend, -4.0, 10.0, 1.0) == 4.0


def test_simulate_says_that_dt_misses_the_ground() -> None:
    response = building.respond(building.load_building(), building.half_sine(0.3, 0.5), "newmark", dt=1.0)
    assert any("impulse falls between steps of dt = 1" in note for note in response.warnings)
    assert not building.respond(building.load_building(), building.half_sine(0.3, 0.5), "newmark").warnings
