"""Tables of loads: pulses that steps must not pass over, and what fixed steps leave out."""

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import mflow
from mflow.cli import building
from mflow.structures import load_tables

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


# ---- loads whose period divides dt ---------------------------------------------------------------------------------------------------

FINE = np.arange(0, 2.0005, 0.001)


def hum(t: Any) -> Any:
    return np.sin(2 * np.pi * 50 * t)


@pytest.mark.parametrize("dt", [0.02, 0.04, 0.01, 0.06, 0.2])
@pytest.mark.parametrize(
    "load",
    [
        (FINE, hum(FINE)[None]),
        (FINE, hum(FINE), [-3.0]),
        (FINE, (hum(FINE) + 0.5 * hum(2 * FINE) + 0.2 * np.cos(2 * np.pi * 150 * FINE))[None]),
        (FINE, np.abs(hum(FINE))[None]),
    ],
)
def test_a_table_whose_period_divides_dt_is_warned_of(load: Any, dt: float) -> None:
    """The steps see none of it; the true response, by Duhamel's integral of the smooth load, is 3.3e-4."""
    with pytest.warns(RuntimeWarning, match="load: .* of the table's impulse falls between steps"):
        mflow.solve_dynamics(stiffness=100.0, load=load, t_span=(0, 2), dt=dt)
    w, omega = 2 * np.pi * 50, 10.0
    exact = lambda t: (np.sin(w * t) - w / omega * np.sin(omega * t)) / (omega**2 - w**2)  # noqa: E731
    assert np.max(np.abs(exact(FINE))) == pytest.approx(3.3e-4, rel=0.02)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fine = mflow.solve_dynamics(stiffness=100.0, load=(FINE, hum(FINE)[None]), t_span=(0, 2), dt=0.001)
    assert np.max(np.abs(fine.x[0])) == pytest.approx(3.3e-4, rel=0.02)


@pytest.mark.parametrize("dt", [0.02, 0.04, 0.01, 0.06])
def test_a_function_whose_period_divides_dt_is_warned_of(dt: float) -> None:
    calls = []

    def load(t: float) -> float:
        calls.append(t)
        return float(hum(t))

    with pytest.warns(RuntimeWarning, match="load: at steps that were looked at it is about .* too long to see it"):
        s = mflow.solve_dynamics(stiffness=100.0, load=load, t_span=(0, 2), dt=dt)
    assert "too long to see it" in s.message
    assert len(calls) == s.nfev + s.ncheck
    assert 0 < s.ncheck <= 0.2 * s.nsteps + 1
    calls.clear()
    s = mflow.solve_dynamics(stiffness=100.0, load=load, t_span=(0, 2), dt=0.002)
    assert s.message == "reached t = 2 in 1000 steps of newmark"


def test_a_hum_beside_a_weight_is_warned_of() -> None:
    """Each degree of freedom against its own load. A function that jumps once is no fault of dt, and one that fails none of the run."""
    heavy = np.array([1e3 + 0 * FINE, 10 * hum(FINE)])
    with pytest.warns(RuntimeWarning, match="load: 100 % of the table's impulse"):
        mflow.solve_dynamics(stiffness=[100.0, 1.0], load=(FINE, heavy), t_span=(0, 2), dt=0.02)
    with pytest.warns(RuntimeWarning, match="load: at steps"):
        mflow.solve_dynamics(stiffness=[100.0, 1.0], load=lambda t: [1e3, 10 * hum(t)], t_span=(2, 0), dt=0.02)
    known = {round(0.02 * k, 9): float(k % 3) for k in range(101)}
    for load in (lambda t: float(t > 1.111), lambda t: known[round(t, 9)]):
        assert mflow.solve_dynamics(stiffness=1.0, load=load, t_span=(0, 2), dt=0.02).message == "reached t = 2 in 100 steps of newmark"


def test_the_absolute_distance_from_the_lines_of_a_table() -> None:
    """Against sums over a grid of a million points."""
    rng = np.random.default_rng(0)
    times, values = np.sort(rng.uniform(0, 10, 60)), rng.standard_normal(60)
    for t0, t1, dt in ((0.0, 10.0, 0.37), (9.7, 0.4, 0.21), (-2.0, 12.0, 1.1)):
        ends = np.append(t0 + np.sign(t1 - t0) * dt * np.arange(np.ceil(abs(t1 - t0) / dt - 1e-9)), t1)
        ends = np.sort(ends)
        t = np.linspace(ends[0], ends[-1], 1_000_001)
        f = np.interp(t, times, values)
        off = np.abs(f - np.interp(t, ends, np.interp(ends, times, values)))
        share = load_tables.left_out(times, values, t0, t1, dt)
        assert share == pytest.approx(off.sum() / np.abs(f).sum(), rel=1e-4)


# ---- where a table ends --------------------------------------------------------------------------------------------------------------


def test_a_run_says_that_it_passes_the_end_of_a_table() -> None:
    """A record that ends at 0.7 % of its peak; held, the mass stays away from its rest by the load over the stiffness."""
    t = np.linspace(0, 2, 201)
    values = np.sin(np.pi * t / 2) + 0.007 * t / 2
    call: dict[str, Any] = {"stiffness": 100.0, "damping": 10.0, "load": (t, values[None]), "t_span": (0, 12), "dt": 0.01}
    with pytest.warns(RuntimeWarning, match=r"past the end of the load's table, t = 2, .*0\.69\d % of its peak, is held: give after="):
        s = mflow.solve_dynamics(**call)
    assert "past the end of the load's table, t = 2, its value there" in s.message
    held = mflow.solve_dynamics(**call, after="hold")
    assert held.x.tobytes() == s.x.tobytes()
    assert held.x[0, -1] == pytest.approx(7e-5, rel=1e-3)
    zero = mflow.solve_dynamics(**call, after="zero")
    assert "past the end of the load's table, t = 2, it is 0 there" in zero.message
    assert abs(zero.x[0, -1]) < 1e-12
    np.testing.assert_array_equal(zero.x[0, :201], held.x[0, :201])
    assert "table" not in mflow.solve_dynamics(**{**call, "t_span": (0, 2)}).message


T = np.linspace(0, 2, 201)


@pytest.mark.parametrize("values", [np.sin(4.0 * T), np.exp(-0.3 * T), np.array([np.zeros(201), np.cos(4.0 * T)])])
@pytest.mark.parametrize("at_start", [False, True])
def test_a_record_that_is_cut_where_it_is_strong(values: Any, at_start: bool) -> None:
    """Held at 99, 55 or 15 % of its peak: what is left behind is the load over the stiffness, and no motion of the record."""
    times, span = (T, (0, 12)) if not at_start else (T + 10.0, (0, 12))
    rows = np.atleast_2d(values)[:, :: -1 if at_start else 1]
    more: dict[str, Any] = {"stiffness": [100.0] * len(rows), "damping": 10.0, "load": (times, rows), "t_span": span, "dt": 0.01}
    with pytest.warns(RuntimeWarning, match=f"{'before the start' if at_start else 'past the end'} of the load's table, .* is held: give"):
        s = mflow.solve_dynamics(**more)
    assert len(s.doubts) == 1
    assert s.doubts[0].startswith("load: the run goes")
    assert s.message.count("of the load's table") == 1
    held = np.interp(10.0 if at_start else 2.0, times, rows[-1]) / 100.0
    assert s.x[-1, 1000 if at_start else -1] == pytest.approx(held, rel=1e-4)
    for after in ("hold", "zero"):
        assert mflow.solve_dynamics(**more, after=after).doubts == ()


@pytest.mark.parametrize("values", [T, -(T**2), np.minimum(2 * T, 1.0), np.ones(201), np.where(T < 1.5, np.sin(9 * T), 0.8)])
@pytest.mark.parametrize("way", [1, -1])
def test_a_load_that_stays_is_held_without_a_word(values: Any, way: int) -> None:
    span = (0.0, 3.0) if way > 0 else (-1.0, 2.0)
    s = mflow.solve_dynamics(stiffness=100.0, load=(T, values[None, ::way]), t_span=span, dt=0.01)
    assert s.doubts == ()
    assert s.message.endswith("% of its peak, is held")


@pytest.mark.parametrize("pattern", [False, True])
def test_a_load_that_ends_suddenly(pattern: bool) -> None:
    """A constant load from 1 to 3 on a mass of 1 alone: x'' = 1 there and 0 outside, under error control and in fixed steps."""
    load = (np.array([1.0, 3.0]), np.array([1.0, 1.0]), [1.0]) if pattern else (np.array([1.0, 3.0]), np.ones((1, 2)))
    call: dict[str, Any] = {"stiffness": 0.0, "load": load, "t_span": (0, 5), "after": "zero"}
    adaptive = mflow.solve_dynamics(**call, rtol=1e-8, atol=1e-10)
    assert adaptive.v[0, -1] == pytest.approx(2.0, rel=1e-5)
    assert adaptive.x[0, -1] == pytest.approx(2.0 + 4.0, rel=1e-5)
    assert "before the start of the load's table, t = 1, it is 0 there; past the end" in adaptive.message
    fixed = mflow.solve_dynamics(**call, dt=0.01)
    assert fixed.v[0, -1] == pytest.approx(2.0, abs=0.011)  # half of dt at each of the two jumps


def test_where_after_does_not_belong() -> None:
    with pytest.raises(ValueError, match="after: expected a table as load"):
        call(load=[1.0, 0.0], after="zero")
    with pytest.raises(ValueError, match="after: expected 'hold' or 'zero', got 'linear'"):
        call(load=(TIMES, VALUES, [0.0, 1.0]), after="linear")
    with pytest.raises(ValueError, match="load: expected values of shape"):
        call(load=(TIMES, VALUES[:3]), after="zero")


def test_simulate_lets_the_ground_rest_after_the_record() -> None:
    response = building.respond(building.load_building(), building.half_sine(0.3, 0.5), "newmark")
    assert "past the end of the load's table" in response.result.message
    assert np.all(response.ground[response.result.t > 0.5 + 1e-9] == 0.0)


def test_how_a_table_ends_is_part_of_what_resumes(tmp_path: Any) -> None:
    more: dict[str, Any] = {"load": (np.linspace(0, 1, 11), np.linspace(1, 2, 11), [0.0, 1.0]), "t_span": (0, 2)}
    for before, other in (("zero", "hold"), ("hold", "zero"), ("zero", None)):
        whole = call(**more, after=before, checkpoint=tmp_path / "run", checkpoint_every=7)
        assert np.array_equal(call(**more, after=before, resume=tmp_path / "run").x, whole.x)
        with pytest.raises(ValueError, match="other values of after"):
            call(**more, after=other, resume=tmp_path / "run")


@pytest.mark.parametrize("more", [{}, {"x0": np.zeros(2)}])
def test_a_record_as_load_is_answered_by_the_table_that_it_makes(more):
    record = mflow.data.GroundMotion("a", np.linspace(0, 1, 11), np.sin(np.linspace(0, 1, 11)))
    masses, common = np.array([2.0, 1.0]), {"stiffness": [3.0, 4.0], "t_span": (0, 1), "dt": 0.05, **more}
    with pytest.raises(TypeError, match=r"load: .*got a GroundMotion: .*\(rec.t, rec.a, -masses\)"):
        mflow.solve_dynamics(masses, load=record, **common)
    assert mflow.solve_dynamics(masses, load=(record.t, record.a, -masses), **common).success
