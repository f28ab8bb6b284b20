"""What a newcomer to `solve_dynamics` met: pulses that steps pass over, shapes and names in messages, masks, steps without a limit."""

import ctypes
import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import scipy
from scipy.integrate import solve_ivp

import mflow
from mflow.cli import simulate
from mflow.dynamics import load_tables

K = np.array([[2.0, -1.0], [-1.0, 1.0]])
TIMES, VALUES = np.array([0.0, 5.0, 5.02, 5.05, 5.07, 20.0]), np.array([0.0, 0.0, 1.0, 1.0, 0.0, 0.0])


def call(**more: Any) -> Any:
    return mflow.solve_dynamics(**{"mass": [1.0, 1.0], "stiffness": K, "t_span": (0, 1), "dt": 0.1, **more})


# ---- tables of loads --------------------------------------------------------------------------------------------------------------------


def reference(t0: float, t1: float) -> Any:
    """By SciPy, each straight piece of the table on its own."""
    low, high = min(t0, t1), max(t0, t1)
    knots = sorted({low, high, *TIMES[(low < TIMES) & (high > TIMES)]}, reverse=t1 < t0)
    y, top = np.zeros(4), 0.0
    for a, b in itertools.pairwise(knots):
        force = lambda t, y: np.concatenate([y[2:], -0.2 * y[2:] - K @ y[:2] + [0.0, np.interp(t, TIMES, VALUES)]])  # noqa: E731
        found = solve_ivp(force, (a, b), y, method="DOP853", rtol=1e-11, atol=1e-14)
        y, top = found.y[:, -1], max(top, float(np.max(np.abs(found.y[:2]))))
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
    found = simulate.respond(simulate.load_building(), simulate.half_sine(0.3, 0.5), "newmark", dt=1.0)
    assert any("impulse falls between steps of dt = 1" in note for note in found.warnings)
    assert not simulate.respond(simulate.load_building(), simulate.half_sine(0.3, 0.5), "newmark").warnings


# ---- messages ---------------------------------------------------------------------------------------------------------------------------


def test_compiled_damping_needs_no_start() -> None:
    """Its size comes from the matrices; NumPy cannot tell the shape of a ctypes function, and SciPy's LowLevelCallable is a tuple."""
    doubles = ctypes.POINTER(ctypes.c_double)
    kind = ctypes.CFUNCTYPE(ctypes.c_int, doubles, doubles, ctypes.c_ssize_t, ctypes.c_void_p)

    def fill(v: Any, out: Any, n: int, context: Any) -> int:
        for i in range(n):
            out[i] = 0.3 * v[i]
        return 0

    damp = kind(fill)
    wanted = call(load=[0.0, 1.0], damping=0.3)
    for damping in (damp, scipy.LowLevelCallable(damp, signature="int (double *, double *, long, void *)")):
        assert np.max(np.abs(call(load=[0.0, 1.0], damping=damping).x - wanted.x)) < 1e-12


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"load": [1.0, 2.0, 3.0]}, r"load: shape \(3,\) came, but there are 2 degrees of freedom: 2 numbers, a function of t, or a table"),
        ({"load": np.ones((2, 11))}, r"load: shape \(2, 11\) came"),
        ({"x0": [1.0, 2.0, 3.0]}, r"x0: shape \(3,\) came, but the matrices are of 2 degrees of freedom"),
        ({"x0": []}, r"x0: shape \(0,\) came, but the matrices are of 2 degrees of freedom"),
        ({"v0": 1.0}, r"v0: shape \(1,\) came, but the matrices are of 2 degrees of freedom"),
        ({"load": [np.nan, 0.0]}, "load: entry 0 is nan"),
        ({"load": [[0.0, 0.5, 1.0], np.ones((2, 3))]}, r"load: its parts have shapes \(3,\), \(2, 3\): a table is a tuple"),
        ({"load": ([0.0, 0.5, 1.0], [0.0, 1.0, 2.0])}, "one value a time goes with a pattern of 2 numbers"),
        ({"load": ([0.0, 0.5, 1.0], [0.0, 1.0, 2.0], [1.0, 1.0, 1.0])}, r"load, its pattern: shape \(3,\) came"),
        ({"load": ([0.0, 0.5, 1.0], [0.0, np.nan, 2.0], [1.0, 1.0])}, r"load: values\[1\] of the table is nan"),
        ({"load": ([0.0, np.inf, 1.0], [0.0, 1.0, 2.0], [1.0, 1.0])}, r"load: times\[1\] of the table is inf"),
        ({"load": lambda t: 1.0}, r"load: expected a function that returns 2 numbers, one for each degree of freedom, got shape \(\)"),
        ({"load": lambda t: [1.0]}, r"load: expected a function that returns 2 numbers, one for each degree of freedom, got shape \(1,\)"),
        ({"stiffness": lambda x: x}, "stiffness: expected numbers or a matrix, got a function; nonlinear forces go into force="),
        ({"events": 3}, r"of second order event\(t, x, v\), is wanted"),
        ({"dt": "auto"}, 'dt = "auto" follows the stability limit, and newmark has none: give dt'),
        ({"dt": "auto", "method": "hht"}, 'dt = "auto" follows the stability limit, and hht has none: give dt'),
        ({"fixed": np.zeros((3, 2), dtype=bool)}, r"fixed = .*: indices of degrees of freedom from 0 to 1 are wanted, or a mask"),
    ],
)
def test_messages_name_what_came_and_what_is_wanted(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        call(**wrong)


def test_auto_is_still_there_where_the_method_has_a_limit() -> None:
    s = call(dt="auto", method=mflow.Newmark(1 / 6, 0.5), t_span=(0, 100), x0=[1.0, 0.0])
    assert s.nsteps == np.ceil(100 / (0.9 * np.sqrt(12) / np.sqrt(np.linalg.eigvalsh(K)[-1])))


def test_an_unsolved_step_asks_for_the_tangents_by_their_names() -> None:
    s = mflow.solve_dynamics(
        force=lambda t, x, v: -100 * x**3, dfdx=lambda t, x, v: np.diag(300 * x**2), t_span=(0, 1), x0=[1.0, 0.0], dt=0.1
    )
    assert s.reason == "solve_failed"
    assert "give dfdx= and dfdv= (or check" in s.message


def test_a_force_that_is_not_finite_from_the_start_is_named() -> None:
    s = call(load=lambda t: [0.0, np.nan])
    assert (s.reason, s.message) == ("non_finite", "the force is not finite at the start, t = 0: see its component 1")
    s = mflow.solve_dynamics(force=lambda t, x, v: np.array([0.0, 0.0, np.nan]), t_span=(0, 1), x0=np.ones(3), fixed=[0], dt=0.1)
    assert (s.reason, s.message) == ("non_finite", "the force is not finite at the start, t = 0: see its component 2")
    r = mflow.solve_ivp(lambda t, y: [0.0, np.nan], (0, 1), [1.0, 1.0], method="euler", dt=0.1)
    assert (r.reason, r.message) == ("non_finite", "the right-hand side is not finite at the start, t = 0: see its component 1")


@pytest.mark.parametrize("step", [{"method": "hht", "dt": 0.1}, {"method": "generalized_alpha", "dt": 0.01}, {"rtol": 1e-6, "atol": 1e-9}])
def test_motion_that_comes_to_rest_is_followed_by_differences(step: dict[str, Any]) -> None:
    """Accelerations fade while positions do not: differences in a must still move x by more than its rounding."""
    rest = np.arange(1.0, 4.0)
    calls: dict[str, Any] = {"t_span": (0, 50), "x0": [0.5, 1.0, 2.0], **step}
    pull = lambda t, x, v: -100 * (x**3 - rest**3) - 2 * v  # noqa: E731
    s = mflow.solve_dynamics(force=pull, **calls)
    exact = mflow.solve_dynamics(force=pull, dfdx=lambda t, x, v: np.diag(-300 * x**2), dfdv=-2 * np.eye(3), **calls)
    assert s.reason == exact.reason == "finished"
    assert np.max(np.abs(s.x[:, -1] - rest)) < 1e-6
    assert s.nfev < 1.6 * exact.nfev + 4 * s.njev


def test_minimize_has_no_automatic_step_of_second_order() -> None:
    with pytest.raises(ValueError, match='dt = "auto" is not for second-order methods such as velocity_verlet: give a number'):
        mflow.minimize(lambda x: (x @ x, 2 * x), np.ones(2), jac=True, method="leapfrog", dt="auto")


def test_a_table_of_storeys_says_which_columns_came(tmp_path: Any) -> None:
    file = tmp_path / "tower.csv"
    file.write_text("storey,mass,stiffness\n1,2e4,3e7\n")
    with pytest.raises(ValueError, match="and no others; it holds 'storey', 'mass', 'stiffness'"):
        simulate.read_building(file)


# ---- shapes -----------------------------------------------------------------------------------------------------------------------------


def test_a_mask_and_a_load_may_have_the_shape_of_x0() -> None:
    x0 = np.arange(6.0).reshape(3, 2)
    held, weight = np.zeros((3, 2), dtype=bool), np.arange(6.0).reshape(3, 2)
    held[1] = True
    more: dict[str, Any] = {"mass": 1.0, "stiffness": 4.0, "x0": x0, "t_span": (0, 1), "dt": 0.1}
    s = mflow.solve_dynamics(**more, load=weight, fixed=held)
    flat = mflow.solve_dynamics(**more, load=weight.ravel(), fixed=[2, 3])
    assert np.array_equal(s.x, flat.x)
    assert np.array_equal(s.x[1], np.repeat(x0[1][:, None], s.t.size, axis=1))
    table = mflow.solve_dynamics(**more, load=([0.0, 1.0], [1.0, 1.0], weight), fixed=held)
    assert np.array_equal(s.x, table.x)
