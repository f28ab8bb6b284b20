"""Steppers with events, actions and doses: the bits of `solve_ivp`, what a call has met, and saved states."""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow
from support.problems import Array

TOL = {"rtol": 1e-7, "atol": 1e-9}


def swing(t: float, y: Array) -> list[float]:
    return [y[1], -y[0]]


def event(fun: Any = None, **settings: Any) -> Any:
    return mflow.Event(fun or (lambda t, y: y[0]), **settings)


def fall(t: float, y: Array) -> list[float]:
    return [y[1], -1.0]


def bounce(t: float, y: Array) -> list[float]:
    return [0.0, -0.8 * y[1]]


def controlled() -> list[str]:
    return [
        m.name for m in mflow.methods() if m.kind == "step" and "embedded" in m.flags and "second_order" not in m.flags and m.name != "rkc2"
    ] + ["auto"]


@pytest.mark.parametrize("method", controlled())
def test_events_have_the_bits_of_solve_ivp(method: str) -> None:
    both = [event(), event(lambda t, y: y[1] - 0.3, direction=1)]
    r = mflow.solve_ivp(swing, (0.0, 7.0), [1.0, 0.0], method, events=both, **TOL)
    st = mflow.Stepper(method, swing, [1.0, 0.0], events=both, **TOL)
    met: list[Any] = []
    st.advance_to(7.0)
    met += st.events
    assert np.array_equal(st.y, r.y[:, -1])
    assert st.reason is None
    for j in range(2):
        assert [one.t for one in met if one.event == j] == r.t_events[j].tolist()
        assert np.array_equal([one.y for one in met if one.event == j], r.y_events[j])
    assert len(met) == 3
    assert [one.t for one in met] == sorted(one.t for one in met)
    assert abs(met[0].t - math.pi / 2) < 1e-5
    assert met[0].y_after is None


def test_steps_meet_what_one_advance_meets() -> None:
    one, two = (mflow.Stepper("dopri5", swing, [1.0, 0.0], events=event(), **TOL) for _ in range(2))
    met: list[Any] = []
    while one.t < 7.0:
        one.step()
        met += one.events
    two.advance_to(one.t)
    assert [m.t for m in met] == [m.t for m in two.events]
    assert len(met) == 2
    two.step()
    assert two.events == []  # of the last call alone


@pytest.mark.parametrize("method", ["tsit5", "radau5", "bdf", "auto"])
def test_a_terminal_event_ends_the_call_and_the_next_goes_on(method: str) -> None:
    r = mflow.solve_ivp(swing, (0.0, 20.0), [1.0, 0.0], method, events=event(terminal=True), **TOL)
    st = mflow.Stepper(method, swing, [1.0, 0.0], events=event(terminal=True), **TOL)
    st.advance_to(20.0)
    assert st.reason == "event"
    assert st.t == r.t[-1]
    assert np.array_equal(st.y, r.y[:, -1])
    assert [one.t for one in st.events] == [st.t]
    st.advance_to(20.0)
    assert st.reason == "event"
    assert abs(st.t - 1.5 * math.pi) < 1e-4
    st.step()
    assert st.reason is None
    assert st.events == []


def test_actions_have_the_bits_of_solve_ivp() -> None:
    ball = event(direction=-1, action=bounce)
    for method in ("dopri5", "radau5", "bdf", "auto"):
        r = mflow.solve_ivp(fall, (0.0, 6.0), [1.0, 0.0], method, events=ball, **TOL)
        st = mflow.Stepper(method, fall, [1.0, 0.0], events=ball, **TOL)
        st.advance_to(6.0)
        assert np.array_equal(st.y, r.y[:, -1])
        assert [one.t for one in st.events] == r.t_events[0].tolist()
        assert len(st.events) == 3
        assert np.array_equal([one.y_after for one in st.events], r.y_after[0])
        flight = math.sqrt(2.0)
        assert np.allclose(r.t_events[0], [flight, 2.6 * flight, 3.88 * flight], rtol=0, atol=1e-4)


def test_fixed_steps_stop_at_events_and_act() -> None:
    st = mflow.Stepper("rk4", fall, [1.0, 0.0], events=event(direction=-1, action=bounce))
    r = mflow.solve_ivp(fall, (0.0, 1.5), [1.0, 0.0], "rk4", dt=0.1, events=event(direction=-1, action=bounce))
    st.advance(15, 0.1)  # the rest of a step behind an impact is a step of its own, as its last one is
    assert st.t == 1.5
    assert np.array_equal(st.y, r.y[:, -1])
    assert [one.t for one in st.events] == r.t_events[0].tolist()
    st = mflow.Stepper("rk4", fall, [1.0, 0.0], events=event(terminal=True))
    st.advance(100, 0.1)
    assert st.reason == "event"
    assert st.k == 15
    assert abs(st.t - math.sqrt(2.0)) < 1e-12


def back_to_zero(t: float, y: Any) -> Any:
    return np.zeros(1)


@pytest.mark.parametrize("h", [0.1, 0.7, 1.9])
@pytest.mark.parametrize("method", ["euler", "rk4", "radau5"])
def test_a_step_of_dt_is_one_of_dt_where_events_act(method: str, h: float) -> None:
    """y' = sqrt(3), set back to 0 at 1: after t it is sqrt(3) t less whole numbers. In a step of 1.9 events act three times or four."""
    slope = math.sqrt(3.0)
    one, many = (mflow.Stepper(method, lambda t, y: [slope], [0.0], events=event_at_one()) for _ in range(2))
    met = 0
    for k in range(1, 101):
        one.step(h)
        met += len(one.events)
        assert abs(one.t - k * h) < 1e-12
        assert abs(one.y[0] - slope * k * h % 1.0) < 1e-9
    many.advance(100, h)
    assert abs(many.t - 100 * h) < 1e-12
    assert met == len(many.events) == int(slope * 100 * h)
    assert one.k == many.k == 100 + met


def test_the_rest_of_a_step_lands_on_a_dose() -> None:
    """3 * 0.1 is not 0.3: y' = 3.5 is back to 0 at 2/7, inside the third step, and the dose of 0.5 at 0.3 is taken once."""
    st = mflow.Stepper("rk4", lambda t, y: [3.5], [0.0], events=event_at_one(), doses=[(0.3, 0, 0.5)])
    st.advance(4, 0.1)
    assert abs(st.t - 0.4) < 1e-15
    assert len(st.events) == 1
    assert abs(st.y[0] - (0.4 * 3.5 - 1.0 + 0.5)) < 1e-12


def event_at_one() -> mflow.Event:
    return mflow.Event(lambda t, y: y[0] - 1.0, direction=1, action=back_to_zero)


def test_a_motion_stays_on_its_grid_where_events_act() -> None:
    """A ball at 2 m/s^2 from 1 m that loses nothing is back at the top after 2 s."""
    st = mflow.Stepper(
        "velocity_verlet", lambda t, x, v: [-2.0], [1.0], events=mflow.Event(lambda t, x, v: x[0], direction=-1, action=flip)
    )
    for _ in range(25):
        st.step(0.08)
    assert st.t == 2.0
    assert abs(st.x[0] - 1.0) < 1e-12
    assert abs(st.v[0]) < 1e-12


def flip(t: float, x: Any, v: Any) -> Any:
    return x, -v


def test_doses_have_the_bits_of_solve_ivp() -> None:
    doses = [(0.0, 0, 1.0), (1.0, 0, 2.0), (1.0, 0, 0.5), (2.5, 0, 1.0)]
    for method in ("dopri5", "radau5", "bdf", "auto"):
        r = mflow.solve_ivp(lambda t, y: -y, (0.0, 4.0), [0.0], method, doses=doses, **TOL)
        st = mflow.Stepper(method, lambda t, y: -y, [0.0], doses=doses, **TOL)
        assert st.y[0] == 1.0  # that at the start
        st.advance_to(1.0)
        assert abs(st.y[0] - (math.exp(-1.0) + 2.5)) < 1e-5  # behind the dose, once
        st.advance_to(4.0)
        exact = sum(amount * math.exp(t - 4.0) for t, _, amount in doses)
        assert abs(st.y[0] - exact) < 1e-5
        whole = mflow.Stepper(method, lambda t, y: -y, [0.0], doses=doses, **TOL)
        whole.advance_to(4.0)
        assert np.array_equal(whole.y, r.y[:, -1])
    st = mflow.Stepper("rk4", lambda t, y: -y, [0.0], doses=doses)
    st.advance(10, 0.1)
    assert st.t == 1.0
    assert abs(st.y[0] - (math.exp(-1.0) + 2.5)) < 1e-6
    with pytest.raises(ValueError, match="pass no dose"):
        st.advance(1, 2.0)


def test_a_dose_meets_events_and_breaks_stand_beside_it() -> None:
    over = event(lambda t, y: y[0] - 1.5, terminal=True)
    st = mflow.Stepper("dopri5", lambda t, y: -y + (t > 1.0), [1.0], events=over, doses=[(1.0, 0, 2.0)], breaks=[1.0], **TOL)
    st.advance_to(3.0)
    assert (st.t, st.reason) == (1.0, "event")
    assert [one.t for one in st.events] == [1.0]
    assert st.y[0] > 2.0
    st.advance_to(3.0)
    assert st.reason == "event"
    assert abs(st.y[0] - 1.5) < 1e-9
    st.advance_to(3.0)
    exact = 1.0 + (1.0 + math.exp(-1.0)) * math.exp(-2.0)
    assert st.t == 3.0
    assert abs(st.y[0] - exact) < 1e-5


def test_set_state_begins_events_again() -> None:
    st = mflow.Stepper("dopri5", lambda t, y: [1.0], [-1.0], events=event(), doses=[(2.0, 0, 1.0)], **TOL)
    st.y = [1.0]
    st.advance_to(0.5)
    assert st.events == []  # what is set crosses nothing
    st.set_state(t=2.0, y=[-1.0])
    st.advance_to(4.0)
    assert [round(one.t, 9) for one in st.events] == [3.0]
    assert abs(st.y[0] - 1.0) < 1e-12


def test_saved_and_copied_with_events(tmp_path: Path) -> None:
    def make() -> mflow.Stepper:
        return mflow.Stepper("radau5", fall, [1.0, 0.0], events=EVENTS, doses=[(3.0, 1, 0.5)], **TOL)

    for stop in (1.0, math.sqrt(2.0) + 1e-12, 2.0, 3.0):
        st = make()
        st.advance_to(stop)
        st.save(tmp_path / "s")
        loaded = mflow.Stepper.load(tmp_path / "s", fall, events=EVENTS, doses=[(3.0, 1, 0.5)])
        copied = copy.copy(st)
        for one in (st, loaded, copied):
            assert one.t == stop
            one.advance_to(5.0)
            assert {met.event for met in one.events} == {0, 1}
        assert np.array_equal(loaded.y, st.y)
        assert np.array_equal(copied.y, st.y)
        assert [m.t for m in loaded.events] == [m.t for m in st.events] == [m.t for m in copied.events]
    with pytest.raises(ValueError, match="events"):
        mflow.Stepper.load(tmp_path / "s", fall)
    mflow.Stepper("radau5", fall, [1.0, 0.0], **TOL).save(tmp_path / "none")
    with pytest.raises(ValueError, match="events"):
        mflow.Stepper.load(tmp_path / "none", fall, events=EVENTS)


EVENTS = [mflow.Event(lambda t, y: y[0], direction=-1, action=bounce), mflow.Event(lambda t, y: y[1] + 0.1)]


def test_motion_has_events_too() -> None:
    floor = mflow.Event(lambda t, x, v: x[0], direction=-1, action=lambda t, x, v: (0.0 * x, -0.5 * v))
    st = mflow.Stepper("velocity_verlet", lambda t, x, v: [-1.0], [1.0], events=floor)
    r = mflow.solve_dynamics(force=lambda t, x, v: [-1.0], t_span=(0.0, 1.5), x0=[1.0], method="velocity_verlet", dt=0.1, events=floor)
    st.advance(15, 0.1)
    assert st.x[0] == r.x[0, -1]
    assert st.t == r.t[-1] == 1.5
    assert abs(st.events[0].t - math.sqrt(2.0)) < 1e-12
    assert st.events[0].y.shape == (2, 1)
    assert st.events[0].y_after[1] > 0.0
    with pytest.raises(ValueError, match="fixed"):
        mflow.Stepper("velocity_verlet", None, [1.0, 0.0], mass=[1.0, 1.0], stiffness=np.eye(2), fixed=[1], events=floor)


def test_what_does_not_go_is_said() -> None:
    with pytest.raises(ValueError, match="bdf of order 1"):
        mflow.Stepper("bdf", fall, [1.0, 0.0], order=1, events=event(action=bounce))
    with pytest.raises(ValueError, match=r"events.*singular"):
        mflow.Stepper("radau5", lambda t, y: [-y[0], y[0] - y[1]], [1.0, 1.0], mass=[1.0, 0.0], events=event(action=bounce), **TOL)
    with pytest.raises(IndexError, match=r"doses\[0\]"):
        mflow.Stepper("rk4", fall, [1.0, 0.0], doses=[(1.0, 2, 1.0)])
    st = mflow.Stepper("dopri5", fall, [1.0, 0.0], events=event(lambda t, y: math.nan if t > 0.5 else 1.0), **TOL)
    with pytest.raises(RuntimeError, match=r"event 0 .* is nan"):
        st.advance_to(2.0)
    assert st.t <= 1.0
    assert np.all(np.isfinite(st.y))
    rest = event(direction=-1, action=lambda t, y: [0.0, 0.0])
    st = mflow.Stepper("dopri5", fall, [1.0, 0.0], events=rest, **TOL)
    with pytest.raises(RuntimeError, match="met without end"):
        st.advance_to(9.0)
    assert abs(st.t - math.sqrt(2.0)) < 1e-6


def test_motion_says_what_stands_for_arguments_of_first_order() -> None:
    call: dict[str, Any] = {"mass": 2.0, "stiffness": 8.0, "t_span": (0.0, 2.0), "x0": [0.0], "dt": 0.01}
    refused = ("doses", [(1.0, 0, 3.0)], "event that acts"), ("nonnegative", True, "Contact"), ("until", "steady", "event")
    for name, value, words in refused:
        with pytest.raises(TypeError, match=f"{name}: .*{words}"):
            mflow.solve_dynamics(**call, **{name: value})
    with pytest.raises(TypeError, match=r"doses: .*event that acts"):
        mflow.Stepper("newmark", lambda t, x, v: -x, [1.0], doses=[(1.0, 0, 3.0)])
    kick = mflow.Event(lambda t, x, v: t - 1.0, action=lambda t, x, v: (x, v + 3.0 / 2.0))  # as the message says
    s = mflow.solve_dynamics(**call, events=kick)
    assert abs(s.x[0, -1] - 0.75 * math.sin(2.0)) < 1e-4
