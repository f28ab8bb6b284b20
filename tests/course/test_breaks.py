"""Breaks and doses: landed on exactly, one side asked at a time, a new start behind each.

Oracles: closed forms, runs that are started by hand at each break, SciPy from break to break.
"""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp as scipy_ivp

import mflow
from support.levels import first_order

PULSE = [3.0, 3.001]


def pulse(t: float, y: Any) -> Any:
    """A pulse of area 1, of a length that a run from 0 to 10 would step over; 3.001 is on the other side by < and by <=."""
    return np.array([1000.0 if 3.0 <= t < 3.001 else 0.0])


def circuit(t: float, y: Any) -> Any:
    """RC circuit, tau = 0.5, driven by a square wave of period 2."""
    return (np.array([1.0 if t % 2.0 < 1.0 else 0.0]) - y) / 0.5


def charged(k: int) -> float:
    """Its voltage at t = k from 0 at t = 0."""
    v, decay = 0.0, math.exp(-2.0)
    for j in range(k):
        v = v * decay + (1.0 - decay if j % 2 == 0 else 0.0)
    return v


WITH_ERROR = [name for name in first_order("embedded") if "rkc" not in name]
EXPLICIT_FIXED = first_order(without=("implicit", "needs_rho", "staged"))


@pytest.mark.parametrize("method", WITH_ERROR)
def test_a_pulse_is_never_stepped_over(method: str) -> None:
    assert mflow.solve_ivp(pulse, (0, 10), [0.0], method).y[0, -1] == 0.0  # that is the trouble
    r = mflow.solve_ivp(pulse, (0, 10), [0.0], method, breaks=PULSE)
    assert r.reason == "finished"
    assert set(PULSE) <= set(r.t)
    assert abs(r.y[0, -1] - 1.0) < 1e-12
    back = mflow.solve_ivp(pulse, (10, 0), [1.0], method, breaks=PULSE)
    assert abs(back.y[0, -1]) < 1e-12


@pytest.mark.parametrize("method", EXPLICIT_FIXED)
def test_fixed_steps_land_and_count_anew(method: str) -> None:
    r = mflow.solve_ivp(pulse, (0, 10), [0.0], method, dt=0.7, breaks=PULSE[::-1])
    assert abs(r.y[0, -1] - 1.0) < 1e-12  # exact for a slope that is constant on each side, of any method
    expected = [*(0.7 * k for k in range(5)), 3.0, 3.001, *(3.001 + 0.7 * k for k in range(1, 10)), 10.0]
    np.testing.assert_allclose(r.t, expected, rtol=1e-15)


@pytest.mark.parametrize("method", ["dopri5", "dop853", "esdirk43", "radau5", "rkc2"])
def test_a_circuit_against_its_closed_form_and_restarts(method: str) -> None:
    breaks, options = np.arange(1.0, 7.0), {"rtol": 1e-8, "atol": 1e-10}
    r = mflow.solve_ivp(circuit, (0, 6), [0.0], method, breaks=breaks, **options)
    at = dict(zip(r.t.tolist(), r.y[0].tolist(), strict=True))
    for k in range(1, 7):
        assert abs(at[float(k)] - charged(k)) < 1e-6
    y = [0.0]
    for a, b in itertools.pairwise([0.0, *breaks]):  # by hand: what the function is on this side, from a start
        value = 1.0 if a % 2.0 < 1.0 else 0.0
        y = mflow.solve_ivp(lambda t, y, value=value: (np.array([value]) - y) / 0.5, (a, b), y, method, **options).y[:, -1]
    assert r.y[0, -1] == y[0]  # the same bits
    for a, b in itertools.pairwise([0.0, *breaks]):
        value = 1.0 if a % 2.0 < 1.0 else 0.0
        y = scipy_ivp(lambda t, y, value=value: (value - y) / 0.5, (a, b), y if a else [0.0], "DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    assert abs(r.y[0, -1] - y[0]) < 1e-6


def test_what_follows_the_run_knows_all_of_the_equation() -> None:
    r = mflow.solve_ivp(lambda t, y: (1.0 if t < 1.0 else -3.0) * y, (0, 2), [1.0], breaks=[1.0], rtol=1e-8)
    assert abs(float(r.posedness().growth[-1]) - math.exp(-2.0)) < 1e-3


def test_no_side_is_asked_for_the_other() -> None:
    asked: list[float] = []

    def f(t: float, y: Any) -> Any:
        asked.append(t)
        return [0.0]

    for span in ((0.0, 2.0), (2.0, 0.0)):
        for options in ({"rtol": 1e-6}, {"dt": 0.4}):
            asked.clear()
            mflow.solve_ivp(f, span, [0.0], breaks=[0.0, 1.0], t_eval=sorted((0.3, 1.0, 1.2), reverse=span[0] > span[1]), **options)
            assert 1.0 not in asked
            assert 0.0 not in asked
            assert len(asked) > 4


def test_the_continuous_solution_is_right_on_both_sides() -> None:
    r = mflow.solve_ivp(circuit, (0, 6), [0.0], breaks=range(1, 7), rtol=1e-9, atol=1e-11, dense_output=True)
    for k in range(1, 6):
        v = charged(k)
        for t, drive in ((k - 1e-6, (k - 1) % 2 == 0), (k + 1e-6, k % 2 == 0)):
            slope = ((1.0 if drive else 0.0) - v) / 0.5
            assert abs(r.sol(t)[0] - (v + (t - k) * slope)) < 1e-9
            assert abs(r.sol.derivative(t)[0] - slope) < 1e-4
    times = np.linspace(0, 6, 25)
    at = mflow.solve_ivp(circuit, (0, 6), [0.0], breaks=range(1, 7), rtol=1e-9, atol=1e-11, t_eval=times)
    np.testing.assert_array_equal(at.y, r.sol(times))


@pytest.mark.parametrize("level", [charged(1), charged(1) * 0.999999])
def test_events_at_a_break_and_next_to_it(level: float) -> None:
    """The top of the wave is a kink: an upward crossing just before it, a downward one just after."""
    event = mflow.Event(lambda t, y: y[0] - level)
    r = mflow.solve_ivp(circuit, (0, 1.9), [0.0], breaks=[1.0], events=event, rtol=1e-10, atol=1e-12)
    if level == charged(1):
        assert all(abs(t - 1.0) < 1e-8 for t in r.t_events[0])
    else:
        exact = [-0.5 * math.log(1.0 - level), 1.0 + 0.5 * math.log(charged(1) / level)]
        np.testing.assert_allclose(r.t_events[0], exact, rtol=1e-8)


def test_a_function_knows_its_breaks() -> None:
    def f(t: float, y: Any) -> Any:
        return pulse(t, y)

    f.breaks = [*PULSE, 77.0]  # type: ignore[attr-defined]
    assert abs(mflow.solve_ivp(f, (0, 10), [0.0]).y[0, -1] - 1.0) < 1e-12
    assert mflow.solve_ivp(f, (3.5, 10), [0.0]).y[0, -1] == 0.0
    st = mflow.Stepper("dopri5", f, [0.0], rtol=1e-6, atol=1e-9)
    st.advance_to(10.0)
    assert abs(st.y[0] - 1.0) < 1e-12


# ---- doses ----------------------------------------------------------------------------------------------------------------------------

KA, KE, TAU = 1.2, 0.3, 12.0
DOSES = [(TAU * j, 0, 100.0) for j in range(10)]


def body(t: float, y: Any) -> Any:
    """Depot and central compartment."""
    return [-KA * y[0], KA * y[0] - KE * y[1]]


def superposed(t: float) -> tuple[float, float]:
    """Ten doses, each by its closed form."""
    since = [t - at for at, _, _ in DOSES if at <= t]
    depot = sum(100.0 * math.exp(-KA * s) for s in since)
    return depot, sum(100.0 * KA / (KA - KE) * (math.exp(-KE * s) - math.exp(-KA * s)) for s in since)


@pytest.mark.parametrize("how", [{"method": "dopri5"}, {"method": "radau5"}, {"method": "rk4", "dt": 0.04}])
def test_ten_doses_superpose(how: dict[str, Any]) -> None:
    how = how if "dt" in how else {**how, "rtol": 1e-9, "atol": 1e-9}
    times = np.array([0.0, 1.0, 12.0, 30.0, 108.0, 119.0, 120.0])
    r = mflow.solve_ivp(body, (0, 120), [0.0, 0.0], t_eval=times, doses=DOSES, **how)
    np.testing.assert_allclose(r.y.T, [superposed(t) for t in times], rtol=1e-6, atol=1e-5)
    whole = mflow.solve_ivp(body, (0, 120), [0.0, 0.0], doses=DOSES, dense_output=True, **how)
    jumps = np.flatnonzero(np.diff(whole.t) == 0.0)
    assert whole.t[jumps].tolist() == [t for t, _, _ in DOSES]
    np.testing.assert_allclose(whole.y[:, jumps + 1] - whole.y[:, jumps], [[100.0] * 10, [0.0] * 10], atol=1e-12)
    for t in (11.999999, 12.0, 12.000001):
        np.testing.assert_allclose(whole.sol(t), superposed(t), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("complex_state", [False, True])
def test_a_table_of_doses_is_the_list_of_its_rows(complex_state: bool) -> None:
    """An array, as from a file, or its tolist(), whose index is then a float."""
    table = np.array([[0.0, 0.0, 100.0], [12.0, 1.0, 50.0], [24.0, 0.0, -3.0]])
    start: Any = [0.0, 0.0] if not complex_state else [0.0, 0.0j]
    rows = [(t, int(index), amount * (1j if complex_state else 1.0)) for t, index, amount in table.tolist()]
    forms: list[Any] = [table * [1.0, 1.0, 1j] if complex_state else table, [list(row) for row in rows]]
    forms += [table.tolist(), table[:, :].astype(np.float32)] if not complex_state else []
    whole = mflow.solve_ivp(body, (0, 30), start, doses=rows)
    for form in forms:
        assert mflow.solve_ivp(body, (0, 30), start, doses=form).y.tobytes() == whole.y.tobytes()
    batch = mflow.solve_ivp_batch(body, (0, 30), np.array([start, start]), doses=forms[0])
    assert np.array_equal(batch.y[0], whole.y[:, -1])


@pytest.mark.parametrize(
    ("doses", "words"),
    [
        (np.zeros((2, 2)), r"^doses: expected a list of .*, or an array of shape \(n, 3\) with such rows, got an array of shape \(2, 2\)"),
        (np.array([[0.5, 0.5, 1.0]]), r"^doses\[0\]: expected the index of a component, a whole number or a tuple of them, got 0.5"),
        (np.array([[0.5, np.nan, 1.0]]), r"^doses\[0\]: expected the index"),
        (zip([0.5], [0], [1.0], strict=True), "^doses: expected a list"),
    ],
)
def test_a_table_that_is_none_is_named(doses: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        mflow.solve_ivp(body, (0, 1), [0.0, 0.0], doses=doses)


def test_a_table_for_a_state_of_several_axes_is_told_how_to_be_written() -> None:
    """An array cannot name a component of such a state, and a list can."""
    start = np.ones((2, 2))
    with pytest.raises(IndexError, match=r"of shape \(2, 2\), got 1\.0; give a list of doses \(t, \(0, 0\), amount\)"):
        mflow.solve_ivp(lambda t, y: 0.0 * y, (0, 3), start, doses=np.array([[1.0, 1.0, 2.0]]))
    r = mflow.solve_ivp(lambda t, y: 0.0 * y, (0, 3), start, doses=[(1.0, (0, 1), 2.0)])
    np.testing.assert_array_equal(r.y[..., -1], [[1.0, 3.0], [1.0, 1.0]])


def test_a_run_back_takes_the_doses_away() -> None:
    options = {"rtol": 1e-11, "atol": 1e-11}
    doses = [(0.0, 0, 100.0), (2.0, 1, 50.0), (5.0, 0, -10.0)]
    there = mflow.solve_ivp(body, (0, 5), [0.0, 1.0], doses=doses, **options)
    back = mflow.solve_ivp(body, (5, 0), there.y[:, -1], doses=doses, **options)
    np.testing.assert_allclose(back.y[:, -1], [0.0, 1.0], atol=1e-6)  # errors grow by exp(6)
    last = mflow.solve_ivp(lambda t, y: [0.0], (0, 1), [0.0], doses=[(1.0, 0, 2.0), (0.0, 0, 3.0), (1.0, -1, 5.0)])
    assert last.t.tolist()[:2] == [0.0, 0.0]
    assert last.t.tolist()[-2:] == [1.0, 1.0]
    assert last.y[0, [0, 1, -2, -1]].tolist() == [0.0, 3.0, 3.0, 10.0]
    still = mflow.solve_ivp(lambda t, y: [0.0], (1, 1), [0.0], doses=[(1.0, 0, 2.0)])
    assert still.y[0, -1] == 2.0


@pytest.mark.parametrize("method", ["radau5", "rodas5p"])
def test_algebraic_parts_jump_with_the_equation(method: str) -> None:
    """y' = u - y, 0 = 2 y + u - z, with u = 1 from t = 1 on: z jumps there, y does not."""

    def f(t: float, y: Any) -> Any:
        u = 1.0 if t >= 1.0 else 0.0
        return [u - y[0], 2.0 * y[0] + u - y[1]]

    options = {"mass": [1.0, 0.0], "breaks": [1.0], "rtol": 1e-8, "atol": 1e-10}
    r = mflow.solve_ivp(f, (0, 2), [1.0, 2.0], method, **options)
    jump = int(np.flatnonzero(np.diff(r.t) == 0.0)[0])
    at = math.exp(-1.0)
    np.testing.assert_allclose(r.y[:, jump : jump + 2], [[at, at], [2 * at, 2 * at + 1]], rtol=1e-7)
    end = 1.0 + (at - 1.0) * math.exp(-1.0)
    np.testing.assert_allclose(r.y[:, -1], [end, 2 * end + 1], rtol=1e-7)
    st = mflow.Stepper(method, f, [1.0, 2.0], **options)
    st.advance_to(2.0)
    np.testing.assert_array_equal(st.y, r.y[:, -1])
    with pytest.raises(ValueError, match="until: expected none with mass="):
        mflow.solve_ivp(f, (0, 2), [1.0, 2.0], method, mass=[1.0, 0.0], until="steady")


# ---- keeping and going on ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how", [{}, {"dense_output": True}, {"t_eval": [0.0, 5.0, 12.0, 40.0]}, {"save_every": 3}, {"method": "rk4", "dt": 1.0}]
)
@pytest.mark.parametrize("every", [1, 2, 5])
def test_resume_has_the_same_bits(tmp_path: Any, how: dict[str, Any], every: int) -> None:
    options = {"doses": DOSES, "breaks": [6.0, 50.5], "max_steps": 1000, **how}
    whole = mflow.solve_ivp(body, (0, 60), [1.0, 0.0], **{**options, "doses": DOSES[:5]})
    path = tmp_path / "state"
    for most in (1, 7, 20):
        part = mflow.solve_ivp(
            body, (0, 60), [1.0, 0.0], **{**options, "doses": DOSES[:5], "max_steps": most}, checkpoint=path, checkpoint_every=every
        )
        if not path.exists():
            continue
        assert part.reason == "max_steps"
        r = mflow.solve_ivp(body, (0, 60), [1.0, 0.0], **{**options, "doses": DOSES[:5]}, resume=path)
        np.testing.assert_array_equal(r.t, whole.t)
        np.testing.assert_array_equal(r.y, whole.y)
        assert (r.nfev, r.nsteps) == (whole.nfev, whole.nsteps)
        if whole.sol is not None:
            np.testing.assert_array_equal(r.sol(np.linspace(0, 60, 99)), whole.sol(np.linspace(0, 60, 99)))
    with pytest.raises(ValueError, match="breaks"):
        mflow.solve_ivp(body, (0, 60), [1.0, 0.0], **{**options, "doses": DOSES[:5], "breaks": [6.5]}, resume=path)


def test_a_stepper_lands_and_goes_on(tmp_path: Any) -> None:
    breaks, options = [1.0, 2.0, 3.0], {"rtol": 1e-8, "atol": 1e-10}
    whole = mflow.solve_ivp(circuit, (0, 3.5), [0.0], breaks=breaks, **options)
    st = mflow.Stepper("dopri5", circuit, [0.0], breaks=breaks, **options)
    seen = []
    while st.t < 3.5:
        st.step()
        seen.append(st.t)
        if st.t == 2.0:
            assert abs(st.interpolate(1.999)[0] - st.y[0]) < 0.01
            st.save(tmp_path / "st")
            st = mflow.Stepper.load(tmp_path / "st", circuit, breaks=breaks)
    assert set(breaks) <= set(seen)
    upto = whole.t.tolist().index(3.0)
    assert seen[:upto] == whole.t.tolist()[1 : upto + 1]
    fixed = mflow.Stepper("rk4", circuit, [0.0], breaks=breaks)
    with pytest.raises(ValueError, match=r"dt: .* passes? no break|dt: expected steps that pass no break.*1\.0"):
        fixed.advance(3, 0.4)
    assert fixed.k == 2
    fixed.step(1.0 - fixed.t)
    assert fixed.t == 1.0
    assert abs(fixed.y[0] - charged(1)) < 1e-2
    fixed.advance(10, 0.1)
    assert fixed.t == 2.0
    assert abs(fixed.y[0] - charged(2)) < 1e-2


def test_batches_and_flows_take_breaks() -> None:
    r = mflow.solve_ivp_batch(pulse, [(0, 10), (3.5, 10)], [[0.0], [0.0]], breaks=PULSE)
    np.testing.assert_allclose(r.y[:, 0], [1.0, 0.0], atol=1e-12)
    r = mflow.solve_ivp_batch(body, (0, 120), [[0.0, 0.0], [1.0, 0.0]], doses=DOSES, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(r.y[0], superposed(120.0), rtol=1e-6, atol=1e-8)
    flow = mflow.gradient_flow(lambda c: c, [1.0], 2.0, "dopri5", rtol=1e-9, atol=1e-12, doses=[(1.0, 0, 1.0)])
    assert abs(flow.y[0, -1] - (math.exp(-2) + math.exp(-1))) < 1e-8


@pytest.mark.parametrize("method", [m.name for m in mflow.methods(family="second_order") if m.order > 1])
def test_every_method_of_motion_takes_one_side(method: str) -> None:
    def load(t: float) -> Any:
        return [1.0 if 1.0 <= t < 2.0 else 0.0]

    s = mflow.solve_dynamics(mass=1.0, load=load, t_span=(0, 3), x0=[0.0], breaks=[1.0, 2.0], dt=0.3, method=method)
    assert abs(s.x[0, -1] - 1.5) < 1e-13
    assert abs(s.energy.residual[-1]) < 1e-14
    thrown = mflow.Event(lambda t, x, v: x[0], direction=-1, action=lambda t, x, v: (x, -0.5 * v))
    s = mflow.solve_dynamics(mass=1.0, load=[-2.0], t_span=(0, 1.9), x0=[1.0], dt=0.3, method=method, events=thrown)
    assert s.t_events[0].size == 1
    assert abs(s.t_events[0][0] - 1.0) < 1e-14
    assert abs(s.x[0, -1] - 0.09) < 1e-13
    assert abs(s.energy.residual[-1]) < 1e-13


def test_motion_takes_breaks() -> None:
    """A mass that is pushed from 1 to 2 alone, undamped and free: x(3) = 1/2 + 1."""

    def load(t: float) -> Any:
        return [1.0 if 1.0 < t <= 2.0 else 0.0]

    for how in ({"dt": 0.3}, {"rtol": 1e-6}):
        s = mflow.solve_dynamics(mass=1.0, load=load, t_span=(0, 3), x0=[0.0], breaks=[1.0, 2.0], dense_output=True, **how)
        assert abs(s.x[0, -1] - 1.5) < 1e-12
        assert abs(s.sol(1.5)[0] - 0.125) < 1e-12
        jumps = np.flatnonzero(np.diff(s.t) == 0.0)
        assert s.t[jumps].tolist() == [1.0, 2.0]
        np.testing.assert_array_equal(s.a[0, jumps], [0.0, 1.0])
        np.testing.assert_array_equal(s.a[0, jumps + 1], [1.0, 0.0])
        assert abs(s.energy.residual[-1]) < 1e-13
    table = ([0.0, 1.0, 1.1, 1.2, 5.0], [[0.0, 0.0, 10.0, 0.0, 0.0]])
    s = mflow.solve_dynamics(mass=1.0, load=table, t_span=(0, 3), x0=[0.0], breaks="load", dt=0.5)
    assert {1.0, 1.1, 1.2} <= set(s.t)
    assert abs(s.v[0, -1] - 1.0) < 1e-12


# ---- what is refused --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"breaks": [1.0, 12.0]}, r"breaks\[1\]: expected a time inside t_span = \(0, 10\), got 12"),
        ({"breaks": [math.nan]}, r"breaks\[0\]: expected a time, got nan"),
        ({"breaks": [[1.0]]}, r"breaks: expected times, .* got shape \(1, 1\)"),
        ({"breaks": "soon"}, "breaks: expected real numbers"),
        ({"breaks": [1.0], "dt": [5.0, 5.0]}, "breaks: it needs error control or steps of one size"),
        ({"breaks": [1.0], "dt": "auto", "method": "euler"}, "breaks: it needs error control"),
        ({"doses": [(1.0, 3, 1.0)]}, r"doses\[0\]: expected the index of a component in a state of shape \(1,\), got 3"),
        ({"doses": [(1.0, 0.5, 1.0)]}, r"doses\[0\]: expected the index"),
        ({"doses": [(11.0, 0, 1.0)]}, r"doses\[0\]: expected a time inside"),
        ({"doses": [(1.0, 0, math.nan)]}, r"doses\[0\]: amount"),
        ({"doses": [(1.0, 0)]}, r"doses\[0\]: expected \(t, index, amount\)"),
        ({"doses": 3.0}, "doses: expected a list"),
    ],
)
def test_bad_input_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises((TypeError, ValueError, IndexError), match=words):
        mflow.solve_ivp(lambda t, y: -y, (0, 10), [1.0], **options)


def test_what_is_sorted_and_merged() -> None:
    a, b = (mflow.solve_ivp(circuit, (0, 6), [0.0], breaks=given) for given in ([5, 1, 2, 2, 4, 3, 6], np.arange(1.0, 7.0)))
    np.testing.assert_array_equal(a.y, b.y)
    near = mflow.solve_ivp(circuit, (0, 2), [0.0], breaks=[1.0, np.nextafter(1.0, 2.0), 2.0])
    assert near.reason == "finished"
    assert abs(near.y[0, -1] - charged(2)) < 1e-3


@pytest.mark.parametrize("method", ["radau5", "bdf"])
def test_a_resumed_run_asks_for_the_jacobian_on_the_side_it_was_made_on(method: str, tmp_path: Any) -> None:
    """J is made where the run begins anew, at the break itself; a run that is resumed makes it again."""
    A = np.array([[-1.0, 2.0, 0.0], [-2.0, -1.0, 0.5], [0.0, 0.3, -40.0]])

    def fun(t: float, y: Any) -> Any:
        asked.append(t)
        return A @ y + (1.0 if t > 0.9 else 0.0)

    asked: list[float] = []
    call: dict[str, Any] = {"method": method, "mass": np.ones(3), "breaks": [0.9], "rtol": 1e-8, "atol": 1e-10}
    whole = mflow.solve_ivp(fun, (0, 2), [1.0, 1.0, 0.0], **call)
    at = int(np.flatnonzero(whole.t == 0.9)[0])
    for more in (2, 5):
        mflow.solve_ivp(fun, (0, 2), [1.0, 1.0, 0.0], max_steps=at + more, checkpoint=tmp_path / "run", checkpoint_every=1, **call)
        asked.clear()
        resumed = mflow.solve_ivp(fun, (0, 2), [1.0, 1.0, 0.0], resume=tmp_path / "run", **call)
        on_the_way = asked[: asked.index(2.0)]  # a run that has ended may look back
        assert min(t for t in on_the_way if t > 0.0) > 0.9
        assert resumed.y.tobytes() == whole.y.tobytes()
