"""Events that act: both sides of a jump kept, no root met twice, endless ones told.

Oracles: closed forms (bouncing balls, integrate-and-fire), restarts by hand.
"""

import ctypes
import math
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.integrate.control import Event
from support.levels import first_order

G = 9.81


def ball(t: float, y: Any) -> Any:
    return [y[1], -G]


def bounces(height: float, e: float, count: int) -> list[float]:
    """Times of the impacts of a ball that is let fall."""
    t, v, times = math.sqrt(2.0 * height / G), math.sqrt(2.0 * height * G), []
    for _ in range(count):
        times.append(t)
        v *= e
        t += 2.0 * v / G
    return times


def floor(e: float, **settings: Any) -> Event:
    def reflect(t: float, y: Any) -> None:
        y[1] *= -e

    return Event(lambda t, y: y[0], action=reflect, **settings)


WITH_ERROR = [name for name in first_order("embedded") if "rkc" not in name]
FIXED = ["rk4", "tsit5", "crank_nicolson"]


@pytest.mark.parametrize("method", WITH_ERROR)
@pytest.mark.parametrize("direction", [-1, 0])
def test_a_ball_bounces(method: str, direction: int) -> None:
    r = mflow.solve_ivp(ball, (0, 4), [1.0, 0.0], method, events=floor(0.9, direction=direction), rtol=1e-9, atol=1e-11, dense_output=True)
    times = bounces(1.0, 0.9, 8)
    times = [t for t in times if t < 4]
    assert r.reason == "finished"
    assert r.t_events[0].size == len(times)
    np.testing.assert_allclose(r.t_events[0], times, rtol=1e-7)
    np.testing.assert_allclose(r.y_after[0][:, 1], -0.9 * r.y_events[0][:, 1], rtol=0)
    np.testing.assert_array_equal(r.y_after[0][:, 0], r.y_events[0][:, 0])
    jumps = np.flatnonzero(np.diff(r.t) == 0.0)
    np.testing.assert_array_equal(r.t[jumps], r.t_events[0])
    np.testing.assert_array_equal(r.y[:, jumps].T, r.y_events[0])
    np.testing.assert_array_equal(r.y[:, jumps + 1].T, r.y_after[0])
    assert np.min(r.sol(np.linspace(0, 4, 999))[0]) > -1e-7
    for t, before, after in zip(r.t_events[0], r.y_events[0], r.y_after[0], strict=True):
        assert abs(r.sol(t - 1e-9)[1] - before[1]) < 1e-6
        assert r.sol(t)[1] == after[1]


@pytest.mark.parametrize("method", FIXED)
def test_fixed_steps_bounce(method: str) -> None:
    r = mflow.solve_ivp(ball, (0, 2), [1.0, 0.0], method, dt=0.05, events=floor(0.8, direction=-1))
    times = [t for t in bounces(1.0, 0.8, 9) if t < 2]
    assert r.t_events[0].size == len(times)
    assert r.t[-1] == 2.0
    np.testing.assert_allclose(r.t_events[0], times, rtol=1e-12)  # of order 2 at least: exact
    first = np.flatnonzero(r.t == r.t_events[0][0])[-1]
    np.testing.assert_allclose(np.diff(r.t)[first : first + 3], 0.05, rtol=1e-12)  # counted from the root


@pytest.mark.parametrize(("e", "span"), [(0.5, 2.0), (0.1, 2.0), (0.0, 1.0), (0.01, 2.0)])
@pytest.mark.parametrize("how", [{"rtol": 1e-8, "atol": 1e-10}, {"method": "rk4", "dt": 0.03}])
@pytest.mark.parametrize("level", [0.0, 3.0])
def test_bounces_that_accumulate_are_told(e: float, span: float, how: dict[str, Any], level: float) -> None:
    event = floor(e)._replace(fun=lambda t, y: y[0] - level)
    r = mflow.solve_ivp(ball, (0, span), [level + 1.0, 0.0], events=event, **how)
    end = math.sqrt(2.0 / G) * (1.0 + 2.0 * e / (1.0 - e))
    assert r.reason == "zeno"
    assert not r.success
    assert r.status == -1
    assert "event 0" in r.message
    assert abs(r.t[-1] - end) < 1e-5
    assert abs(r.y[0, -1] - level) < 1e-9
    assert r.t_events[0].size == r.y_after[0].shape[0] >= 1
    np.testing.assert_allclose(r.t_events[0][:2], bounces(1.0, e, 2)[: r.t_events[0].size], rtol=1e-6)


def test_a_root_that_goes_on_is_met_once() -> None:
    """Actions that leave the event as it was: nothing at all, a count, a brake, a dose elsewhere."""
    acts = [lambda t, y: None, lambda t, y: [y[0], y[1] + 1.0], lambda t, y: [y[0], y[1] * 0.01]]
    for act in acts:
        event = Event(lambda t, y: y[0] - 1000.0, action=act)
        r = mflow.solve_ivp(lambda t, y: [1.0, 0.0], (0, 10), [995.0, 1.0], events=event, rtol=1e-8)
        assert r.reason == "finished"
        assert abs(r.y[0, -1] - 1005.0) < 1e-9
        assert r.t_events[0].size == 1
        assert abs(r.t_events[0][0] - 5.0) < 1e-12
    with_two = [Event(lambda t, y: y[0] - 0.5, action=lambda t, y: [0.0]), Event(lambda t, y: y[0] - 0.25)]
    r = mflow.solve_ivp(lambda t, y: [1.0], (0, 2.1), [0.0], events=with_two, rtol=1e-8)
    np.testing.assert_allclose(r.t_events[0], [0.5, 1.0, 1.5, 2.0], rtol=1e-12)
    np.testing.assert_allclose(r.t_events[1], np.arange(1, 9) / 4, rtol=1e-12)  # upwards by the flow, downwards by the jump


def test_a_threshold_that_reset_does_not_leave_is_told() -> None:
    event = Event(lambda t, y: y[0] - 1.0, action=lambda t, y: [1.0 - 4e-14])
    r = mflow.solve_ivp(lambda t, y: [1.0], (0, 3), [0.0], events=event)
    assert r.reason == "zeno"
    assert abs(r.t[-1] - 1.0) < 1e-11
    assert r.t_events[0].size > 30


def lif(t: float, y: Any, drive: float) -> Any:
    return (drive - y) / 10.0


@pytest.mark.parametrize("drive", [1.2, 2.0])
def test_the_rate_of_integrate_and_fire(drive: float) -> None:
    spike = Event(lambda t, y, drive: y[0] - 1.0, direction=1, action=lambda t, y, drive: [0.0])
    r = mflow.solve_ivp(lif, (0, 200), [0.0], events=spike, args=(drive,), rtol=1e-10, atol=1e-12)
    period = 10.0 * math.log(drive / (drive - 1.0))
    assert r.t_events[0].size == int(200 / period)
    np.testing.assert_allclose(r.t_events[0], period * np.arange(1, int(200 / period) + 1), rtol=1e-8)


def test_terminal_counts_keep_their_meaning() -> None:
    r = mflow.solve_ivp(ball, (0, 9), [1.0, 0.0], events=floor(0.9, terminal=3), rtol=1e-8, atol=1e-10)
    assert r.reason == "event"
    assert r.status == 1
    assert r.t_events[0].size == 3
    np.testing.assert_array_equal(r.y[:, -1], r.y_events[0][-1])  # the state before: nothing acts where the run ends
    np.testing.assert_array_equal(r.y_after[0][-1], r.y_events[0][-1])
    assert r.y[1, -1] < 0.0
    both = [floor(0.9), Event(lambda t, y: y[0], terminal=True)]
    r = mflow.solve_ivp(ball, (0, 9), [1.0, 0.0], events=both, rtol=1e-8, atol=1e-10)
    assert r.reason == "event"
    assert [t.size for t in r.t_events] == [1, 1]
    assert r.y[1, -1] < 0.0


def test_a_switch_by_args_and_a_run_back() -> None:
    heater = {"on": 0.0}

    def act(t: float, y: Any) -> None:
        heater["on"] = 1.0 - heater["on"]

    events = [Event(lambda t, y: y[0] - 18.0, direction=-1, action=act), Event(lambda t, y: y[0] - 22.0, direction=1, action=act)]
    r = mflow.solve_ivp(lambda t, y: 5.0 * heater["on"] - 0.1 * y, (0, 60), [20.0], events=events, rtol=1e-9, dense_output=True)
    down, up = 10.0 * math.log(22.0 / 18.0), 10.0 * math.log(32.0 / 28.0)
    np.testing.assert_allclose(np.diff(r.t_events[0]), down + up, rtol=1e-6)
    assert abs(r.t_events[0][0] - 10.0 * math.log(20.0 / 18.0)) < 1e-7
    back = mflow.solve_ivp(lambda t, y: [1.0], (1, 0), [0.0], events=Event(lambda t, y: y[0] + 0.25, action=lambda t, y: y + 0.2))
    np.testing.assert_allclose(back.t_events[0], [0.75, 0.55, 0.35, 0.15], rtol=1e-12)


# ---- compiled, batches, motion -----------------------------------------------------------------------------------------------------------

DOUBLES = ctypes.POINTER(ctypes.c_double)
RHS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, DOUBLES, DOUBLES, ctypes.c_ssize_t, ctypes.c_void_p)
FORCE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, DOUBLES, DOUBLES, DOUBLES, ctypes.c_ssize_t, ctypes.c_void_p)


@RHS
def c_ball(t: float, y: Any, out: Any, n: int, ctx: Any) -> int:
    out[0], out[1] = y[1], -G
    return 0


@RHS
def c_height(t: float, y: Any, out: Any, n: int, ctx: Any) -> int:
    out[0] = y[0]
    return 0


@RHS
def c_reflect(t: float, y: Any, out: Any, n: int, ctx: Any) -> int:
    out[1] = -0.9 * y[1]  # out[0] holds y[0]
    return 0


@RHS
def c_wrong(t: float, y: Any, out: Any, n: int, ctx: Any) -> int:
    out[1] = math.nan
    return 0


@FORCE
def c_throw(t: float, x: Any, v: Any, out: Any, n: int, ctx: Any) -> int:
    out[n] = -0.9 * v[0]
    return 0


def test_compiled_actions_have_the_same_bits() -> None:
    event = Event(c_height, direction=-1, action=c_reflect)
    options = {"rtol": 1e-8, "atol": 1e-10}
    c = mflow.solve_ivp(c_ball, (0, 4), [1.0, 0.0], events=event, **options)
    python = mflow.solve_ivp(ball, (0, 4), [1.0, 0.0], events=floor(0.9, direction=-1), **options)
    np.testing.assert_array_equal(c.t, python.t)
    np.testing.assert_array_equal(c.y, python.y)
    b = mflow.solve_ivp_batch(c_ball, (0, 4), [[1.0, 0.0], [2.0, 0.0]], events=event, threads=2, **options)
    assert b.success
    assert b[0].y_after[0].shape == (6, 2)
    np.testing.assert_array_equal(b.y[0], c.y[:, -1])
    np.testing.assert_array_equal(b.y_after[0][0], c.y_after[0])


@pytest.mark.parametrize("how", [{"dt": 0.01}, {"dt": 0.01, "fixed": [1]}, {"rtol": 1e-8, "atol": 1e-10}])
def test_a_mass_bounces(how: dict[str, Any]) -> None:
    event = Event(lambda t, x, v: x[0], direction=-1, action=lambda t, x, v: (x, -0.9 * v))
    s = mflow.solve_dynamics(mass=1.0, load=[-G, 0.0], t_span=(0, 2), x0=[1.0, 0.0], events=event, dense_output=True, **how)
    times = [t for t in bounces(1.0, 0.9, 9) if t < 2]
    np.testing.assert_allclose(s.t_events[0], times, rtol=1e-9)
    np.testing.assert_allclose(s.v_after[0][:, 0], -0.9 * s.v_events[0][:, 0], rtol=1e-14)
    assert s.v_half is None
    assert np.min(s.sol(np.linspace(0, 2, 400))[0]) > -1e-9
    lost = sum(0.5 * (v[0] ** 2) * (1.0 - 0.81) for v in s.v_events[0])
    e = s.energy
    assert abs((e.kinetic[0] + e.potential[0]) - (e.kinetic[-1] + e.potential[-1]) + e.load[-1] + e.numerical[-1]) < 1e-10
    work = -G * (s.x[0, -1] - 1.0)
    assert abs(e.load[-1] - (work - lost)) < 1e-9
    assert abs(e.residual[-1]) < 1e-11
    if "fixed" not in how:
        c = mflow.solve_dynamics(mass=1.0, load=[-G, 0.0], t_span=(0, 2), x0=[1.0, 0.0], events=event._replace(action=c_throw), **how)
        np.testing.assert_allclose(c.x[0, -1], s.x[0, -1], rtol=1e-12)


# ---- keeping --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"dense_output": True}, {"save_every": 4}, {"method": "rk4", "dt": 0.1}, {"t_eval": [0.1, 1.0, 2.5]}])
def test_resume_has_the_same_bits(tmp_path: Any, how: dict[str, Any]) -> None:
    options = {"events": floor(0.9), **how}
    whole = mflow.solve_ivp(ball, (0, 3), [1.0, 0.0], **options)
    path = tmp_path / "state"
    for most in (1, 6, 11, 20):
        mflow.solve_ivp(ball, (0, 3), [1.0, 0.0], **options, max_steps=most, checkpoint=path, checkpoint_every=1)
        r = mflow.solve_ivp(ball, (0, 3), [1.0, 0.0], **options, resume=path)
        for name in ("t", "y"):
            np.testing.assert_array_equal(r[name], whole[name])
        for name in ("t_events", "y_events", "y_after"):
            np.testing.assert_array_equal(r[name][0], whole[name][0])
        assert (r.nfev, r.nsteps, r.nrejected) == (whole.nfev, whole.nsteps, whole.nrejected)


def test_saved_rows_hold_both_sides() -> None:
    r = mflow.solve_ivp(ball, (0, 3), [1.0, 0.0], events=floor(0.9), save_every=5, rtol=1e-8)
    jumps = np.flatnonzero(np.diff(r.t) == 0.0)
    np.testing.assert_array_equal(r.t[jumps], r.t_events[0])
    dense = mflow.solve_ivp(ball, (0, 3), [1.0, 0.0], events=floor(0.9), save_every=5, rtol=1e-8, dense_output=True)
    np.testing.assert_array_equal(dense.t, r.t)
    np.testing.assert_array_equal(dense.y, r.y)
    last = mflow.solve_ivp(ball, (0, 3), [1.0, 0.0], events=floor(0.9), save="last", rtol=1e-8)
    np.testing.assert_array_equal(last.y[:, -1], r.y[:, -1])
    many = mflow.solve_ivp(lambda t, y: [1.0], (0, 10), [0.0], events=Event(lambda t, y: y[0] - 0.01, action=lambda t, y: [0.0]))
    assert many.t_events[0].size in (999, 1000)
    assert many.reason == "finished"


# ---- what is refused --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda t, y: [1.0], r"events\[0\]\.action: expected the new state, of shape \(2,\).* got shape \(1,\)"),
        (lambda t, y: "up", r"events\[0\]\.action: expected the new state, of real numbers"),
        (lambda t, y: y * 1j, r"events\[0\]\.action: expected the new state, of real numbers, got dtype complex128"),
    ],
)
def test_a_wrong_action_is_named_and_nothing_is_lost(action: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        mflow.solve_ivp(ball, (0, 3), [1.0, 0.0], events=Event(lambda t, y: y[0], action=action))
    part = caught.value.partial_result  # type: ignore[attr-defined]
    assert abs(part.t[-1] - math.sqrt(2.0 / G)) < 1e-6
    assert part.t_events[0].size == 1


def test_actions_that_fail_are_named() -> None:
    for action in (lambda t, y: [math.nan, 0.0], lambda t, y: [0.0, math.inf]):
        r = mflow.solve_ivp(ball, (0, 3), [1.0, 0.0], events=Event(lambda t, y: y[0], action=action))
        assert r.reason == "event_failed"
        assert "the action of event 0 at t = 0.45" in r.message
        assert "component" in r.message
        assert np.all(np.isfinite(r.y))
        assert r.t[-1] == r.t_events[0][0]
    r = mflow.solve_ivp(c_ball, (0, 3), [1.0, 0.0], events=Event(c_height, action=c_wrong))
    assert r.reason == "event_failed"
    assert "component 1" in r.message
    with pytest.raises(ZeroDivisionError) as caught:
        mflow.solve_ivp(ball, (0, 3), [1.0, 0.0], events=Event(lambda t, y: y[0], action=lambda t, y: [1 / 0, 0.0]))
    assert caught.value.partial_result.t[-1] > 0.4  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"events\.action: expected a function"):
        mflow.solve_ivp(ball, (0, 3), [1.0, 0.0], events=Event(lambda t, y: y[0], action=3.0))
    with pytest.raises(TypeError, match=r"events\[0\]\.action: expected the pair"):
        mflow.solve_dynamics(
            mass=1.0, load=[-G], t_span=(0, 2), x0=[1.0], dt=0.01, events=Event(lambda t, x, v: x[0], action=lambda t, x, v: x)
        )
    for how in ({"dt": [1.0, 1.0, 1.0]}, {"dt": "auto", "method": "euler"}):
        with pytest.raises(ValueError, match="an action needs error control or steps of one size"):
            mflow.solve_ivp(ball, (0, 3), [1.0, 0.0], events=floor(0.5), **how)


@pytest.mark.parametrize("direction", [-1, 0])
@pytest.mark.parametrize("order", [{}, {"max_order": 1}, {"max_order": 2}, {"order": 3}], ids=str)
def test_flights_shorter_than_a_first_step_are_seen(direction: int, order: dict[str, int]) -> None:
    """A multistep method begins at first order; its first step behind an action has a cubic inside."""
    r = mflow.solve_ivp(ball, (0, 3), [1.0, 0.0], "bdf", events=floor(0.5, direction=direction), rtol=1e-4, atol=1e-4, **order)
    assert r.reason == "zeno"
    assert r.t[-1] == pytest.approx(math.sqrt(2.0 / G) * 3.0, rel=0.05)
    assert np.min(r.y[0]) > -1e-3
    heights = 0.25 ** np.arange(1, 30)
    speeds = np.sqrt(2.0 * G * heights)
    np.testing.assert_allclose(r.y_after[0][:3, 1], speeds[:3], rtol=0.05)
    assert r.t_events[0].size > 12  # flights of 1e-4 of the first, far below the tolerance


@pytest.mark.parametrize("order", [{}, {"max_order": 3}], ids=str)
def test_fixed_steps_of_a_multistep_method_bounce(order: dict[str, int]) -> None:
    r = mflow.solve_ivp(ball, (0, 2), [1.0, 0.0], "bdf", dt=0.05, events=floor(0.8, direction=-1), **order)
    np.testing.assert_allclose(r.t_events[0], [t for t in bounces(1.0, 0.8, 9) if t < 2], rtol=1e-9)
    with pytest.raises(ValueError, match=r"^events: expected none that acts with fixed steps of bdf of order 2"):
        mflow.solve_ivp(ball, (0, 2), [1.0, 0.0], "bdf", dt=0.05, events=floor(0.8, direction=-1), max_order=2)


def test_a_multistep_method_bounces_with_a_mass() -> None:
    """Its first step has a parabola inside; that of fixed steps is a line, and could miss a short flight."""

    def heavy(t: float, y: Any) -> Any:
        return [3.0 * y[1], -2.0 * G]

    heavier: dict[str, Any] = {"mass": [[3.0, 0.0], [0.0, 2.0]]}
    for method in ("bdf", "radau5"):
        r = mflow.solve_ivp(heavy, (0, 3), [1.0, 0.0], method, events=floor(0.05), rtol=1e-8, atol=1e-10, **heavier)
        assert r.reason == "zeno"
        assert r.t[-1] == pytest.approx(math.sqrt(2.0 / G) * (1.0 + 0.1 / 0.95), rel=1e-6)
        r = mflow.solve_ivp(heavy, (0, 2), [1.0, 0.0], method, events=floor(0.8, direction=-1), rtol=1e-8, atol=1e-10, **heavier)
        np.testing.assert_allclose(r.t_events[0], [t for t in bounces(1.0, 0.8, 9) if t < 2], rtol=1e-6)
    with pytest.raises(ValueError, match=r"^events: expected none that acts with fixed steps of bdf with mass=, whose first step"):
        mflow.solve_ivp(heavy, (0, 3), [1.0, 0.0], "bdf", events=floor(0.05), dt=0.1, **heavier)
    seen = mflow.solve_ivp(heavy, (0, 3), [1.0, 0.0], "bdf", events=lambda t, y: y[0], **heavier)  # which does not act
    assert seen.t_events[0].size == 1


def test_a_multistep_method_starts_behind_doses_and_breaks() -> None:
    given = {"doses": [(1.0, 0, 1.0), (1.001, 0, 1.0)], "breaks": [0.5], "rtol": 1e-8, "atol": 1e-10}
    r = mflow.solve_ivp(lambda t, y: -2.0 * y, (0, 3), [1.0], "bdf", **given)
    exact = math.exp(-6.0) + math.exp(-4.0) + math.exp(-2.0 * 1.999)
    assert abs(r.y[0, -1] - exact) < 1e-7


@pytest.mark.parametrize("method", ["dopri5", "radau5"])
def test_a_state_moved_below_zero_is_outside_of_the_domain(method: str) -> None:
    r = mflow.solve_ivp(lambda t, y: -y, (0, 3), [1.0], method, nonnegative=True, doses=[(1.0, 0, -5.0)])
    assert r.reason == "left_domain"
    assert r.message.startswith("component 0, which must not be below 0, is -4.63 at t = 1, behind a dose")
    below = Event(lambda t, y: y[0] - 0.5, action=lambda t, y: [-1.0])
    r = mflow.solve_ivp(lambda t, y: -y, (0, 3), [1.0], method, nonnegative=True, events=below)
    assert r.reason == "left_domain"
    assert "is -1 at t = 0.69" in r.message


def test_jumps_that_algebraic_equations_do_not_allow_are_refused() -> None:
    dae = {"method": "radau5", "mass": [1.0, 0.0]}
    fun = lambda t, y: [-y[0], y[1] - y[0]]  # noqa: E731
    with pytest.raises(ValueError, match=r"^doses\[0\]: expected a component that mass moves, got 1, whose column in mass is 0"):
        mflow.solve_ivp(fun, (0, 1), [1.0, 1.0], **dae, doses=[(0.5, 1, 3.0)])
    with pytest.raises(ValueError, match=r"^events: expected none that acts where mass is singular"):
        mflow.solve_ivp(fun, (0, 1), [1.0, 1.0], **dae, events=Event(lambda t, y: y[0] - 0.5, action=lambda t, y: y))
    r = mflow.solve_ivp(fun, (0, 1), [1.0, 1.0], **dae, rtol=1e-8, atol=1e-10, doses=[(0.5, 0, 3.0)])
    np.testing.assert_allclose(r.y[:, -1], math.exp(-1.0) + 3.0 * math.exp(-0.5), rtol=1e-7)


# ---- crossed by a jump alone ------------------------------------------------------------------------------------------------------------


def above(level, **settings):
    return Event(lambda t, y: y[0] - level, **settings)


@pytest.mark.parametrize("method", ["dopri5", "radau5", "rk4"])
def test_an_event_that_a_dose_crosses_is_met_at_its_time(method):
    how = {"dt": 0.1} if method == "rk4" else {"rtol": 1e-8, "atol": 1e-10}
    decay = lambda t, y: -y  # noqa: E731
    r = mflow.solve_ivp(
        decay, (0, 3), [1.0], method, doses=[(1.0, 0, 2.0), (2.0, 0, 0.5)], events=[above(1.5), above(1.5, direction=-1)], **how
    )
    assert r.success
    down = 1.0 + math.log((math.exp(-1.0) + 2.0) / 1.5)
    np.testing.assert_allclose(r.t_events[0], [1.0, down], atol=1e-5)
    np.testing.assert_allclose(r.t_events[1], [down], atol=1e-5)
    assert r.t_events[0][0] == 1.0
    np.testing.assert_allclose(r.y_events[0][0], [math.exp(-1.0) + 2.0], rtol=1e-5)  # the state behind the jump
    stopped = mflow.solve_ivp(decay, (0, 3), [1.0], method, doses=[(1.0, 0, 2.0)], events=above(1.5, terminal=True), **how)
    assert (stopped.reason, stopped.t[-1]) == ("event", 1.0)
    assert stopped.y[0, -1] == stopped.y_events[0][0, 0]
    first = mflow.solve_ivp(decay, (0, 3), [1.0], method, doses=[(0.0, 0, 2.0), (3.0, 0, 9.0)], events=above(1.5, direction=1), **how)
    assert first.t_events[0].tolist() == [0.0, 3.0]


def test_an_event_that_a_dose_crosses_acts():
    cap = above(1.5, direction=1, action=lambda t, y: [1.0])
    how = {"doses": [(1.0, 0, 2.0)], "events": cap, "rtol": 1e-9, "atol": 1e-11}
    r = mflow.solve_ivp(lambda t, y: -y, (0, 2), [1.0], **how)
    assert r.t_events[0].tolist() == [1.0]
    np.testing.assert_allclose(r.y[0, r.t == 1.0], [math.exp(-1.0), math.exp(-1.0) + 2.0, 1.0], rtol=1e-8)
    np.testing.assert_allclose(r.y[0, -1], math.exp(-1.0), rtol=1e-8)
    times = mflow.solve_ivp(
        lambda t, y: -y, (0, 2), [1.0], doses=[(1.0, 0, 2.0)], events=cap, t_eval=[0.5, 1.0, 2.0], rtol=1e-9, atol=1e-11
    )
    np.testing.assert_allclose(times.y[0], [math.exp(-0.5), 1.0, math.exp(-1.0)], rtol=1e-8)


@pytest.mark.parametrize("method", ["dopri5", "radau5", "rk4"])
def test_an_event_that_an_action_crosses_is_met_too_and_acts_once(method):
    how = {"dt": 0.01} if method == "rk4" else {"rtol": 1e-8, "atol": 1e-10}
    kick = Event(lambda t, y: t - 1.0, action=lambda t, y: [y[0] + 5.0])
    seen, cap = above(3.0, direction=1), above(4.0, direction=1, action=lambda t, y: [2.0])
    r = mflow.solve_ivp(lambda t, y: -y, (0, 2), [1.0], method, events=[kick, seen, cap], **how)
    assert [len(t) for t in r.t_events] == [1, 1, 1]
    assert abs(r.t_events[1][0] - 1.0) < 1e-12
    np.testing.assert_allclose(r.y_events[1][0], [math.exp(-1.0) + 5.0], rtol=1e-6)
    np.testing.assert_allclose(r.y_after[2][0], [2.0])
    np.testing.assert_allclose(r.y[0, -1], 2.0 * math.exp(-1.0), rtol=1e-6)
    ends = mflow.solve_ivp(lambda t, y: -y, (0, 2), [1.0], method, events=[kick, above(3.0, terminal=True)], **how)
    assert (ends.reason, ends.message.startswith("event 1 stopped it")) == ("event", True)
    np.testing.assert_allclose([ends.t[-1], ends.y[0, -1]], [1.0, math.exp(-1.0) + 5.0], rtol=1e-6)


def test_the_reset_of_an_event_is_no_crossing_of_its_own():
    spike = above(1.0, action=lambda t, y: [-1.0])
    r = mflow.solve_ivp(lambda t, y: [1.0], (0, 5), [0.0], events=spike)
    np.testing.assert_allclose(r.t_events[0], [1.0, 3.0, 5.0], atol=1e-9)


@pytest.mark.parametrize("method", ["dopri5", "radau5", "bdf", "auto"])
@pytest.mark.parametrize("dose", [0.9, 1.6, 3.0, 50.0])
def test_an_event_that_a_jump_has_crossed_acts_once(method: str, dose: float) -> None:
    """y grows by .1 t; a dose lifts it over 1, where it is set back to 0."""

    def full(t: float, y: Any) -> Any:
        return y[0] - 1.0

    full.action = lambda t, y: [0.0]  # type: ignore[attr-defined]
    r = mflow.solve_ivp(lambda t, y: [0.1], (0, 8), [0.0], method, events=full, doses=[(4.0, 0, dose)])
    assert r.t_events[0].tolist() == [4.0]
    assert abs(r.y[0, -1] - 0.4) < 1e-12


def test_an_event_that_an_action_has_crossed_acts_once() -> None:
    def kick(t: float, y: Any) -> Any:
        return t - 3.0

    def full(t: float, y: Any) -> Any:
        return y[0] - 1.0

    kick.action = lambda t, y: [y[0] + 5.0]  # type: ignore[attr-defined]
    full.action = lambda t, y: [0.9]  # type: ignore[attr-defined]
    r = mflow.solve_ivp(lambda t, y: [-0.01 * y[0]], (0, 8), [0.5], "dopri5", events=[kick, full], rtol=1e-10, atol=1e-12)
    assert [len(times) for times in r.t_events] == [1, 1]
    assert abs(r.y[0, -1] - 0.9 * np.exp(-0.05)) < 1e-9
