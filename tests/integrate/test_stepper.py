"""`Stepper`: one step at a time, saved, loaded, and after errors."""

import inspect
import math
import sys
import warnings
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mflow_core.stepping import stepper as core

import mflow
from mflow.integrate.control import OF_RUNS
from support.oracles.tableaus import evaluations
from support.problems import RHS_C, Array, Boom, calls_are_known, decay, decay_cfunc, start_of, waves

EPS = 2.0**-52


def test_stepper_is_solve_ivp_step_by_step(step_method: Any) -> None:
    y0 = start_of(6).reshape(2, 3)
    r = mflow.solve_ivp(waves, (0.5, 1.5), y0, step_method.name, dt=0.125)
    st = mflow.Stepper(step_method.name, waves, y0, t0=0.5)
    for k in range(1, 9):
        st.step(0.125)
        assert (st.k, st.t) == (k, r.t[k])
        assert np.array_equal(st.y, r.y[..., k])
        assert st.nfev == evaluations(step_method, k) or not calls_are_known(step_method)
    assert st.nfev == r.nfev
    with pytest.raises(ValueError, match="read-only"):
        st.y[:] = 0.0  # it would be lost
    assert np.array_equal(st.y, r.y[..., -1])


def test_stepper_counts_its_time() -> None:
    st = mflow.Stepper("euler", decay_cfunc(), [1.0])
    st.advance(1000, 0.1)
    assert (st.t, st.k) == (1000 * 0.1, 1000)
    st.advance(10, -0.1)
    assert st.t == 100.0 + 10 * -0.1
    st.advance(0, 0.1)
    assert st.k == 1010


@pytest.mark.parametrize("dt", [0.1, -0.1])
def test_stepper_saves_and_loads(step_method: Any, tmp_path: Path, dt: float) -> None:
    def make() -> mflow.Stepper:
        return mflow.Stepper(step_method.name, waves, start_of(6).reshape(2, 3), t0=0.3)

    straight, first = make(), make()
    for st in (straight, first):
        st.advance(3, dt / 3)
    straight.advance(11, dt)
    first.advance(4, dt)
    first.save(tmp_path / "state")
    first.advance(7, dt)
    loaded = mflow.Stepper.load(tmp_path / "state", waves)
    loaded.advance(7, dt)
    for st in (first, loaded):
        assert (st.t, st.k, st.y.tobytes(), st.y.shape) == (straight.t, straight.k, straight.y.tobytes(), (2, 3))
    assert loaded.method == straight.method
    assert [p.name for p in tmp_path.iterdir()] == ["state"]  # nothing else is left behind


def test_damaged_files_never_load(tmp_path: Path) -> None:
    st = mflow.Stepper("rk4", decay, [1.0, 2.0])
    st.advance(3, 0.1)
    st.save(tmp_path / "good")
    good, bad = (tmp_path / "good").read_bytes(), tmp_path / "bad"
    for i in range(len(good)):
        for flip in (0x01, 0x80, 0xFF):
            bad.write_bytes(good[:i] + bytes([good[i] ^ flip]) + good[i + 1 :])
            with pytest.raises(ValueError, match="bad: damaged, or not a stepper"):
                mflow.Stepper.load(bad, decay)
    for cut in range(len(good)):
        bad.write_bytes(good[:cut])
        with pytest.raises(ValueError, match="bad: damaged"):
            mflow.Stepper.load(bad, decay)
    with pytest.raises(FileNotFoundError):
        mflow.Stepper.load(tmp_path / "none", decay)


def test_a_file_with_a_right_checksum_and_wrong_contents(tmp_path: Path) -> None:
    st = mflow.Stepper("rk4", decay, [1.0, 2.0])
    st.save(tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    magic, body = good[: good.index(b"{") - 4], good[good.index(b"{") :]
    for wrong in (body.replace(b"[2]", b"[3]"), body.replace(b"rk4", b"rk3", 1), body[:-1], b"{}\n", b"[]\n", b"", b"\xff\n"):
        (tmp_path / "bad").write_bytes(magic + zlib.crc32(wrong).to_bytes(4, "little") + wrong)
        with pytest.raises(ValueError, match=r"damaged|no method|saved state"):
            mflow.Stepper.load(tmp_path / "bad", decay)


def test_stepper_errors_keep_the_last_good_state() -> None:
    st = mflow.Stepper("euler", lambda t, y: np.full(1, np.inf) if t > 0.15 else -y, [1.0])
    with pytest.raises(FloatingPointError, match=r"non-finite state in the step from t = 0\.2 with dt = 0\.1 \(step 2\)"):
        st.advance(9, 0.1)
    assert (st.k, st.t, st.y.tolist()) == (2, 0.2, [0.81])
    error = Boom()

    def fun(t: float, y: Array) -> Array:
        raise error

    with pytest.raises(Boom) as info:
        mflow.Stepper("rk4", fun, [1.0]).step(0.1)
    assert info.value is error
    failing = mflow.Stepper("euler", RHS_C(lambda t, y, out, n, ctx: -5), [1.0])
    with pytest.raises(RuntimeError, match=r"the right-hand side gave up in the step from t = 0 .* with code -5; the state stays at t = 0"):
        failing.step(0.1)
    for wrong, kind in ((math.nan, ValueError), ("x", TypeError), (math.inf, ValueError)):
        with pytest.raises(kind, match="dt: "):
            st.step(wrong)
    with pytest.raises(ValueError, match=r"steps: .*, got -1"):
        st.advance(-1, 0.1)
    with pytest.raises(TypeError, match="grad: expected the gradient by name"):
        mflow.Stepper("adam", decay, [1.0])


def test_stepper_entered_from_its_own_callback() -> None:
    def fun(t: float, y: Array) -> Array:
        st.step(0.1)
        return -y

    st = mflow.Stepper("rk4", fun, [1.0])
    with pytest.raises(RuntimeError, match="already stepping, in another thread or from its own callback"):
        st.step(0.1)
    assert (st.k, st.y.tolist()) == (0, [1.0])
    assert core.NON_FINITE < -1000


@pytest.mark.parametrize("name", sorted(OF_RUNS))
def test_arguments_of_whole_runs_name_their_driver(name: str) -> None:
    """They are arguments of the driver that is named, and none of the stepper."""
    with pytest.raises(TypeError, match=rf"^{name}: a stepper does not take it, .*; mflow.solve_ivp has it"):
        mflow.Stepper("dopri5", lambda t, y: -y, [1.0], **{name: 1})  # type: ignore[call-overload]
    assert name in inspect.signature(mflow.solve_ivp).parameters
    if name in inspect.signature(mflow.solve_dynamics).parameters:
        with pytest.raises(TypeError, match=rf"^{name}: a stepper does not take it, .*; mflow.solve_dynamics has it"):
            mflow.Stepper("newmark", lambda t, x, v: -x, [1.0], **{name: 1})  # type: ignore[call-overload]


def test_steps_of_a_size_go_to_a_time():
    """They land on breaks and doses on the way, and the last one is shorter."""
    st = mflow.Stepper("rk4", lambda t, y: -y, [1.0], doses=[(0.35, 0, 1.0)])
    st.advance_to(1.0, dt=0.1)
    assert (st.t, st.k) == (1.0, 11)
    assert abs(st.y[0] - (math.exp(-1.0) + math.exp(-0.65))) < 1e-5
    plain = mflow.Stepper("rk4", lambda t, y: -y, [1.0])
    plain.advance_to(-0.25, dt=-0.1)
    whole = mflow.solve_ivp(lambda t, y: -y, (0.0, -0.25), [1.0], "rk4", dt=0.1)
    assert plain.k == whole.nsteps == 3
    np.testing.assert_array_equal(plain.y, whole.y[:, -1])
    for dt, words in ((0.1, "lead from"), (0.0, "lead from")):
        with pytest.raises(ValueError, match=words):
            plain.advance_to(-1.0, dt=dt)
    with pytest.raises(TypeError, match="under error control"):
        mflow.Stepper("tsit5", lambda t, y: -y, [1.0], rtol=1e-6).advance_to(1.0, dt=0.1)
    with pytest.raises(TypeError, match="steps of its lr"):
        mflow.Stepper("sgd", grad=lambda x: x, y0=[1.0], lr=0.1).advance_to(1.0, dt=0.1)


@pytest.mark.parametrize("method", ["euler", "rk4", "leapfrog", "esdirk43", "radau5", "bdf"])
def test_steps_behind_a_short_one_count_from_there(method):
    """`advance_to` ends with a short step; the next ones moved t by the rest of it, too, and the state by dt alone."""
    slope = lambda t, *y: np.array([1.0, 1.0])  # noqa: E731
    start = {"leapfrog": ([0.0, 0.0], [1.0, 1.0])}.get(method, ([0.0, 0.0],))
    if method == "leapfrog":
        slope = lambda t, x, v: np.zeros(2)  # noqa: E731
    st = mflow.Stepper(method, slope, *start)
    for dt, end, more in ((0.003, 0.3332, 5), (0.01, 0.5, 3), (0.01, 0.7001, 1)):
        st.advance_to(end, dt)
        assert st.t == end
        st.advance(more, dt)
        assert st.t == pytest.approx(end + more * dt, rel=1e-14)
        assert st._copy(0) == pytest.approx([st.t, st.t], rel=1e-12)


@pytest.mark.parametrize("method", ["euler", "esdirk43", "trapezoidal", "bdf"])
def test_the_last_step_is_never_as_short_as_rounding_of_the_time(method):
    """From t = 1000.074 to 1000.083 there were ten steps of .001, the last one of 0, and implicit equations of it have no solution."""
    st = mflow.Stepper(method, lambda t, y: np.array([-200.0 * (y[0] - np.cos(t)), y[0] - y[1]]), [0.0, 1.0], t0=1000.0)
    for k in range(1, 40):
        end = st.t + 0.009
        st.advance_to(end, 0.001)
        assert (st.t, st.k) == (end, 9 * k)


@pytest.mark.parametrize("bad", [10**400, math.nan, math.inf, "down", None])
def test_a_direction_is_a_finite_number(bad: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="direction: expected a finite number, whose sign counts"):
        mflow.Stepper("dopri5", lambda t, y: -y, [1.0], rtol=1e-3, direction=bad)


def test_a_start_far_below_the_default_atol_is_told_of() -> None:
    with pytest.warns(RuntimeWarning, match="Stepper: atol: the start is at most 1e-09, and errors of the default 1e-06"):
        mflow.Stepper("dopri5", lambda t, y: -y, [1e-9], rtol=1e-3)
    with pytest.warns(RuntimeWarning, match="Stepper: atol: the start is at most 1e-09"):
        mflow.Stepper("newmark", lambda t, x, v: -x, [0.0], [1e-9], rtol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mflow.Stepper("dopri5", lambda t, y: -y, [1e-9], rtol=1e-3, atol=1e-12)
        mflow.Stepper("newmark", lambda t, x, v: -x, [0.0], [1.0], rtol=1e-3)
        mflow.Stepper("dopri5", lambda t, y: -y, [0.0], rtol=1e-3)


def test_a_subclass_with_an_init_of_any_kind() -> None:
    """As one that is compiled, which has no code object."""
    kind = type("Mine", (mflow.Stepper,), {"__init__": partial(mflow.Stepper.__init__), "__module__": "mine"})
    assert issubclass(kind, mflow.Stepper)


@pytest.mark.parametrize(("options", "dt", "most"), [({"rtol": 1e-6, "atol": 1e-8}, None, 3), ({}, 1e-3, 4)], ids=["controlled", "fixed"])
def test_a_step_where_nothing_has_its_turn_calls_few_functions(options: dict[str, float], dt: float | None, most: int) -> None:
    """What a step of a Python loop costs is calls of functions: they are counted between two looks."""
    st, called = mflow.Stepper("dopri5", lambda t, y: np.array([y[1], -y[0]]), [1.0, 0.0], **options), []
    for _ in range(40):
        st.step(dt)

    def note(frame: Any, event: str, arg: object) -> None:
        if event == "call" and str(frame.f_globals.get("__name__")).startswith("mflow."):
            called.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        st.step(dt)
    finally:
        sys.setprofile(before)
    assert 1 <= len(called) <= most, called
