"""Batches: a trajectory is what a run alone would be, whatever runs beside it, on whatever threads, processes or machines."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent import futures
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import mflow_core
import numpy as np
import pytest
from mflow_core import registry
from mflow_core.lanes import lanes as core
from mflow_core.problems import signatures

import mflow
from support.oracles.tableaus import rough_between
from support.places import environment_for
from support.problems import Array, capsule, cfunc, decay_cfunc, lorenz

pytestmark = pytest.mark.filterwarnings("ignore:no trajectory took a step:RuntimeWarning")  # where all members are made to fail

LANES_C = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double),
    ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p,
)  # fmt: skip

LANELESS = {"implicit", "staged", "needs_rho", "second_order"}
NAMES = [record.name for record in registry.records() if record.kind == "step" and not LANELESS & record.flags]
PAIRS = [name for name in NAMES if "embedded" in registry.find(name).flags]


# ---- compiled functions: of one trajectory, and of a block ------------------------------------------------------------------------------


@functools.cache
def waves(kind: str) -> Any:
    """y_i' = y_j + t/8 - y_i/(1 + y_i^2), j the component after i: no function of the C library, so that all compilers give its bits."""
    if kind == "one":

        def fun(t, y, f, n, ctx):
            for i in range(n):
                f[i] = y[(i + 1) % n] + 0.125 * t - y[i] / (1.0 + y[i] * y[i])
            return 0

    else:

        def fun(t, y, f, n, lanes, ctx):
            for i in range(n):
                for l in range(lanes):
                    a = y[i * lanes + l]
                    f[i * lanes + l] = y[((i + 1) % n) * lanes + l] + 0.125 * t[l] - a / (1.0 + a * a)
            return 0

    return cfunc(kind)(fun)


def py_waves(t: float, y: Array) -> Array:
    return np.roll(y, -1) + 0.125 * t - y / (1.0 + y * y)


@functools.cache
def rates() -> Any:
    """y_i' = -(p_0 + i p_1) y_i for a block, p a trajectory's two parameters."""

    def fun(t, y, f, n, lanes, ctx):
        for i in range(n):
            for l in range(lanes):
                f[i * lanes + l] = -(y[n * lanes + l] + i * y[(n + 1) * lanes + l]) * y[i * lanes + l]
        return 0

    return cfunc("block")(fun)


@functools.cache
def squares() -> Any:
    """y' = y^2: 1/(1/y0 - t)."""

    def fun(t, y, f, n, lanes, ctx):
        for k in range(n * lanes):
            f[k] = y[k] * y[k]
        return 0

    return cfunc("block")(fun)


@functools.cache
def roots() -> Any:
    """y' = -sqrt(y), NaN below 0, for a block."""

    def fun(t, y, f, n, lanes, ctx):
        for k in range(n * lanes):
            f[k] = -math.sqrt(y[k]) if y[k] >= 0 else math.nan
        return 0

    return cfunc("block")(fun)


def starts(m: int, n: int = 3) -> Array:
    return np.random.default_rng(5).standard_normal((1000, n))[:m].copy()


def fields(r: Any) -> list[Any]:
    """Everything that a trajectory has, to be compared bit by bit."""
    return [r.y.tobytes(), r.status.tolist(), r.reason, *(r[k].tolist() for k in ("nfev", "nsteps", "nrejected", "reached"))]


# ---- bits -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("span", [(0.0, 1.0), (1.0, 0.25)])
def test_a_trajectory_has_the_bits_of_a_run(name: str, span: tuple[float, float]) -> None:
    y0, times = starts(7), np.linspace(*span, 12)[1:-1]
    for how in ({}, {"t_eval": times}):
        r = mflow.solve_ivp_batch(waves("block"), span, y0, name, dt=0.03, batch=True, **how)
        assert r.success
        for k in range(len(y0)):
            alone = mflow.solve_ivp(waves("one"), span, y0[k], name, dt=0.03, **how)
            assert np.array_equal(r.y[k] if how else r.y[k][:, None], alone.y if how else alone.y[:, -1:]), (k, how)
            assert r.nsteps[k] == alone.nsteps


HOW = [{"dt": 0.01}, {"dt": 0.01, "own_spans": True}, *({"method": name, "rtol": 1e-6, "atol": 1e-8} for name in PAIRS)]


@pytest.mark.parametrize("how", HOW, ids=str)
@pytest.mark.parametrize("at", [None, np.linspace(0.0, 1.0, 5)])
def test_bits_do_not_depend_on_company(how: dict[str, Any], at: Any) -> None:
    how = {"method": "rk4", "t_eval": at, "batch": True} | how
    span = np.tile((0.0, 1.0), (1000, 1)) if how.pop("own_spans", False) else None
    y0 = starts(1000)

    def solve(which: Any, **more: Any) -> Any:
        which = np.asarray(which)
        return mflow.solve_ivp_batch(waves("block"), (0.0, 1.0) if span is None else span[which], y0[which], **how, **more)

    whole = solve(np.arange(1000), threads=1)
    assert whole.success
    for threads in (2, 3):
        assert fields(solve(np.arange(1000), threads=threads)) == fields(whole)
    back = solve(np.arange(1000)[::-1])
    assert back.y[::-1].tobytes() == whole.y.tobytes()
    assert back.nfev[::-1].tolist() == whole.nfev.tolist()
    for count in (1, 7, 64, 65):
        few = solve(np.arange(count))
        assert few.y.tobytes() == whole.y[:count].tobytes()
        assert few.nfev.tolist() == whole.nfev[:count].tolist()


@pytest.mark.parametrize("how", HOW, ids=str)
def test_a_trajectory_that_fails_leaves_the_others(how: dict[str, Any]) -> None:
    how = {"method": "rk4"} | how
    own_spans = how.pop("own_spans", False)
    y0 = np.random.default_rng(1).uniform(0.1, 0.4, (100, 1))
    span = np.tile((0.0, 2.0), (100, 1)) if own_spans else (0.0, 2.0)
    well = mflow.solve_ivp_batch(squares(), span, y0, batch=True, **how)
    assert well.success
    bad = y0.copy()
    bad[[3, 40, 99]] = 5.0  # runs off at t = 0.2
    r = mflow.solve_ivp_batch(squares(), span, bad, batch=True, **how)
    fallen = np.flatnonzero(r.status < 0).tolist()
    assert fallen == [3, 40, 99]
    assert {r.reason[k] for k in fallen} == {"non_finite" if "dt" in how else "diverged"}
    assert set(r.messages) == set(fallen)
    assert not r.success
    assert "97 of 100 trajectories finished" in r.message
    keep = np.setdiff1d(np.arange(100), fallen)
    assert r.y[keep].tobytes() == well.y[keep].tobytes()
    assert np.all(np.isfinite(r.y))  # of the fallen, the last good state
    assert np.all(r.t[fallen] < 2.0)
    if "dt" not in how:
        assert np.all(np.abs(r.t[fallen] - 0.2) < 1e-3)
        with np.errstate(over="ignore"):
            alone = mflow.solve_ivp(lambda t, y: y * y, span, bad[3], **how)
        assert alone.reason == "diverged"
        assert np.all(np.abs(r.nfev[fallen] - alone.nfev) <= 0.01 * alone.nfev)


def bits_here() -> list[tuple[str, str, str]]:
    """(level, pair, digest) of each pair, in this process."""
    found = []
    for name in PAIRS:
        r = mflow.solve_ivp_batch(waves("block"), (0, 1), starts(70), name, [0.3, 1.0], rtol=1e-7, atol=1e-9, batch=True)
        found.append((mflow_core.isa(), name, hashlib.sha256(repr(fields(r)).encode()).hexdigest()))
    return found


@functools.cache
def bits_of(level: str) -> dict[str, str]:
    """{pair: digest}, by one process: it has to compile the equation first. That of the level in use has compiled it."""
    lines: Any = bits_here()
    if level != mflow_core.isa():
        command = [sys.executable, "-c", "import test_batch as t; [print(*line) for line in t.bits_here()]"]
        out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment_for(__file__, MFLOW_ISA=level))
        lines = [line.split() for line in out.stdout.splitlines()]
    assert {used for used, _, _ in lines} == {level}
    return {name: bits for _, name, bits in lines}


@pytest.mark.parametrize("name", PAIRS)
def test_bits_do_not_depend_on_the_instruction_set(name: str) -> None:
    bits = {level: bits_of(level)[name] for level in registry.available_levels()}
    assert len(set(bits.values())) == 1, bits


# ---- accuracy ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("back", [False, True])
def test_error_control_agrees_with_runs(name: str, back: bool) -> None:
    span, y0 = ((1.0, -1.0) if back else (-1.0, 1.0)), starts(9)
    at = np.linspace(*span, 9)
    r = mflow.solve_ivp_batch(waves("block"), span, y0, name, at, rtol=1e-9, atol=1e-10, batch=True)
    for k in range(9):
        alone = mflow.solve_ivp(waves("one"), span, y0[k], name, at, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(r.y[k][:, -1], alone.y[:, -1], rtol=1e-7, atol=1e-8)
        if not rough_between(registry.find(name)):
            np.testing.assert_allclose(r.y[k], alone.y, rtol=1e-7, atol=1e-8)
        assert abs(int(r.nsteps[k]) - alone.nsteps) <= 1  # the same controller, other roundings
        assert abs(int(r.nrejected[k]) - alone.nrejected) <= 1


@pytest.mark.parametrize("name", PAIRS)
def test_trajectories_with_parameters_of_their_own(name: str) -> None:
    p = np.random.default_rng(2).uniform(0.1, 2.0, (150, 2))
    r = mflow.solve_ivp_batch(rates(), (0, 1), [1.0, 2.0, -1.0], name, rtol=1e-8, atol=1e-10, batch=True, batch_args=p)
    rate = p[:, :1] + p[:, 1:] * np.arange(3)
    np.testing.assert_allclose(r.y, np.array([1.0, 2.0, -1.0]) * np.exp(-rate), rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_parameters_stand_behind_every_stage(name: str) -> None:
    p, at = np.random.default_rng(3).uniform(0.1, 2.0, (70, 2)), [0.1, 0.25, 0.7]
    r = mflow.solve_ivp_batch(rates(), (0, 1), np.ones((70, 2)), name, at, dt=0.125, batch=True, batch_args=p)
    for k in (0, 69):
        alone = mflow.solve_ivp(lambda t, y, a, b: -(a + b * np.arange(2)) * y, (0, 1), [1.0, 1.0], name, at, dt=0.125, args=tuple(p[k]))
        np.testing.assert_allclose(r.y[k], alone.y, rtol=1e-12)


@pytest.mark.parametrize("how", [{"dt": 0.01}, *({"method": name, "rtol": 1e-8, "atol": 1e-9} for name in PAIRS)], ids=str)
def test_spans_of_their_own(how: dict[str, Any]) -> None:
    how = {"method": "rk4"} | how
    y0 = starts(130)
    span = np.stack([np.linspace(-0.5, 0.1, 130), np.linspace(0.9, 0.3, 130)], axis=1)
    span[17] = 0.25
    r = mflow.solve_ivp_batch(waves("block"), span, y0, batch=True, **how)
    assert r.t.tolist() == span[:, 1].tolist()
    assert np.array_equal(r.y[17], y0[17])
    for k in (0, 64, 129):
        alone = mflow.solve_ivp(waves("one"), span[k], y0[k], **how)
        np.testing.assert_allclose(r.y[k], alone.y[:, -1], rtol=1e-6, atol=1e-8)
        assert abs(int(r.nsteps[k]) - alone.nsteps) <= 1
    at = [0.15, 0.25]
    r = mflow.solve_ivp_batch(waves("block"), span[:17], y0[:17], t_eval=at, batch=True, **how)
    assert r.reached.tolist() == [2] * 17


def test_trajectories_stop_for_reasons_of_their_own() -> None:
    pair = {"method": "dop853", "batch": True}
    r = mflow.solve_ivp_batch(roots(), (0, 3.0), [[1.0], [100.0]], **pair)  # the first leaves the domain at t = 2
    assert r.reason == ["non_finite", "finished"]
    assert 1.95 < r.t[0] <= 2.0
    assert r.nfev[0] < 1000
    np.testing.assert_allclose(r.y[1], (10.0 - 1.5) ** 2, rtol=1e-3)
    r = mflow.solve_ivp_batch(squares(), (0, 1.0), [[0.1], [0.99]], rtol=1e-8, max_steps=6, **pair)
    assert r.reason[1] == "max_steps"
    assert r.nsteps[1] == 6
    r = mflow.solve_ivp_batch(squares(), (0, 2.0), [[0.01], [1.0]], rtol=1e-6, min_step=1e-3, **pair)
    assert r.reason == ["finished", "step_too_small"]
    r = mflow.solve_ivp_batch(squares(), (0, 1.0), [[0.1], [0.5]], max_step=0.01, first_step=0.005, **pair)
    assert r.success
    assert np.all(r.nsteps >= 100)


# ---- functions of one trajectory --------------------------------------------------------------------------------------------------------


def fails_at(t: float, y: Array, bad: float = 0.5) -> Array:
    if t > bad:
        raise ArithmeticError(f"no slope at {t}")
    return -y


def test_python_trajectories() -> None:
    y0 = starts(5)
    r = mflow.solve_ivp_batch(lorenz, (0, 0.5), y0, "rk4", dt=0.01)
    at = np.linspace(0, 0.5, 4)
    some = mflow.solve_ivp_batch(lorenz, (0, 0.5), y0, "rk4", at, dt=0.01)
    assert some.t.tolist() == at.tolist()
    for k in range(5):
        alone = mflow.solve_ivp(lorenz, (0, 0.5), y0[k], "rk4", dt=0.01)
        assert np.array_equal(r.y[k], alone.y[:, -1])
        assert (r[k].nfev, r[k].reason, r[k].t.tolist()) == (alone.nfev, "finished", [0.5])
        assert np.array_equal(some[k].y, mflow.solve_ivp(lorenz, (0, 0.5), y0[k], "rk4", at, dt=0.01).y)
    assert r[-1].y.tobytes() == r[4].y.tobytes()
    with pytest.raises(IndexError, match=r"result\[5\]: the batch has 5 trajectories"):
        r[5]


def test_states_of_any_shape() -> None:
    y0 = np.arange(24.0).reshape(2, 3, 4) / 10
    r = mflow.solve_ivp_batch(lambda t, y: -y, (0, 1), y0, "rk4", [0.5, 1.0], dt=0.01)
    assert r.y.shape == (2, 3, 4, 2)
    np.testing.assert_allclose(r.y[..., 1], y0 * math.exp(-1), rtol=1e-8)
    assert r[1].y.shape == (3, 4, 2)


def test_one_function_for_all_trajectories_in_a_plain_run() -> None:
    """A state (m, n) with one right-hand side needs no batch: one step for all."""
    y0 = starts(6)
    r = mflow.solve_ivp(lambda t, y: np.roll(y, -1, axis=1) + 0.125 * t - y / (1.0 + y * y), (0, 1), y0, "rk4", dt=0.05)
    assert r.y.shape == (6, 3, 21)
    batch = mflow.solve_ivp_batch(py_waves, (0, 1), y0, "rk4", dt=0.05)
    assert np.array_equal(r.y[..., -1], batch.y)


def test_an_exception_ends_its_trajectory_alone() -> None:
    r = mflow.solve_ivp_batch(fails_at, (0, 1), [[1.0], [2.0], [3.0]], "rk4", [0.1, 0.3, 0.9], dt=0.1, batch_args=[2.0, 0.5, 3.0])
    assert r.reason == ["finished", "rhs_failed", "finished"]
    assert r.status.tolist() == [0, -1, 0]
    assert list(r.errors) == [1]
    assert isinstance(r.errors[1], ArithmeticError)
    assert r.reached.tolist() == [3, 2, 3]
    assert np.isnan(r.y[1, :, 2]).all()
    assert np.isfinite(r.y[[0, 2]]).all()
    assert r[1].t.tolist() == [0.1, 0.3]
    assert "2 of 3 trajectories finished; 1 rhs_failed (trajectory 1: ArithmeticError at t =" in r.message
    copy = pickle.loads(pickle.dumps(r))
    assert fields(copy) == fields(r)
    assert copy[1].message == r[1].message


def test_wrong_arguments_are_nobody_s_trajectory() -> None:
    with pytest.raises(ValueError, match=r"dt: .*, got -1"):
        mflow.solve_ivp_batch(lorenz, (0, 1), starts(2), "rk4", dt=-1)
    with pytest.raises(TypeError, match="colour"):
        mflow.solve_ivp_batch(lorenz, (0, 1), starts(2), "rk4", dt=0.1, colour="red")


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_compiled_trajectories_on_threads(threads: int) -> None:
    y0 = starts(20)
    r = mflow.solve_ivp_batch(waves("one"), (0, 1), y0, "rk4", dt=0.01, threads=threads)
    assert r.success
    for k in range(20):
        assert np.array_equal(r.y[k], mflow.solve_ivp(waves("one"), (0, 1), y0[k], "rk4", dt=0.01).y[:, -1])


@pytest.mark.skipif(not PAIRS, reason="no method has an error estimate")
def test_every_trajectory_has_its_events() -> None:
    def down(t: float, y: Array, rate: float) -> float:
        return float(y[0] - 0.5)

    down.terminal = True  # type: ignore[attr-defined]
    rate = np.array([0.5, 1.0, 2.0])
    how: dict[str, Any] = {"batch_args": rate, "events": down, "rtol": 1e-8, "atol": 1e-10}
    r = mflow.solve_ivp_batch(lambda t, y, rate: -rate * y, (0, 1), np.ones((3, 1)), **how)
    assert r.reason == ["finished", "event", "event"]
    assert r.success
    assert [len(k[0]) for k in r.t_events] == [0, 1, 1]
    np.testing.assert_allclose(r.t[1:], math.log(2) / rate[1:], rtol=1e-6)
    np.testing.assert_allclose([k[0][0][0] for k in r.y_events[1:]], 0.5, rtol=1e-6)
    assert r[2].t_events[0].tolist() == r.t_events[2][0].tolist()


# ---- what comes in ----------------------------------------------------------------------------------------------------------------------


def block_decay() -> Any:
    return rates()


BAD = [
    ({"y0": [1.0, 2.0]}, ValueError, r"y0: .* shape \(m, n\), got shape \(2,\); for one number a trajectory give y0\[:, None\]"),
    ({"y0": 1.0}, ValueError, r"y0: .*, got shape \(\)"),
    ({"y0": [[1.0, math.nan]]}, ValueError, "y0: .*, got nan in entry 1"),
    ({"y0": np.ones((2, 2, 2)), "batch": True}, ValueError, r"shape \(m, n\) with batch=True, got shape \(2, 2, 2\)"),
    ({"t_span": (0, 1, 2)}, ValueError, r"t_span: .*, got shape \(3,\)"),
    ({"t_span": [(0, 1)] * 4}, ValueError, r"t_span: .*\(3, 2\), got shape \(4, 2\)"),
    ({"t_span": "ab"}, TypeError, "t_span: .*, got 'ab'"),
    ({"t_span": (0, math.inf)}, ValueError, r"t_span\[1\]"),
    ({"batch_args": [1.0]}, ValueError, "batch_args: expected 3 entries, .*, got 1"),
    ({"batch_args": 1.0}, TypeError, "batch_args: expected a sequence"),
    ({"t_eval": [2.0]}, ValueError, r"t_eval: .*, got 2.0 in entry 0"),
    ({"t_eval": [0.5], "t_span": [(0, 1), (1, 0), (0, 1)]}, ValueError, "one direction"),
    ({"t_eval": [0.5], "t_span": [(0, 1), (2, 3), (0, 1)]}, ValueError, "a time in common, got none"),
    ({"threads": 0}, ValueError, "threads: .*, got 0"),
    ({"executor": 4}, TypeError, "executor: expected a concurrent.futures.Executor .*, got 4"),
    ({"save": "all"}, TypeError, "save: a batch does not take it; t_eval says what to keep"),
    ({"batch": True}, TypeError, "fun: expected with batch=True a compiled function"),
    ({"fun": block_decay, "batch": True, "events": py_waves}, TypeError, "events: a function for blocks takes none"),
    ({"fun": block_decay, "batch": True, "args": (1.0,)}, TypeError, "args: a function for blocks"),
    ({"fun": block_decay, "batch": True, "inplace": True}, TypeError, "inplace: a function for blocks"),
    ({"fun": block_decay, "batch": True, "dt": -1.0}, ValueError, "dt: .*, got -1.0"),
    ({"fun": block_decay, "batch": True, "dt": 1e-30, "t_span": (1, 2)}, ValueError, "lost in rounding"),
    ({"fun": block_decay, "batch": True, "rtol": 1e-3}, ValueError, "dt, rtol, atol"),
    ({"fun": block_decay, "batch": True, "dt": None}, ValueError, "dt: expected the size of the fixed steps of rk4, got None"),
    ({"fun": block_decay, "batch": True, "colour": 1}, TypeError, "colour"),
    ({"fun": block_decay, "batch": True, "t_span": [(0, 1), (1, 0), (0, 1)]}, ValueError, "one direction"),
    ({"fun": decay_cfunc, "batch": True}, TypeError, "fun: expected a compiled function with the signature"),
]


@pytest.mark.parametrize(("change", "error", "text"), BAD)
def test_bad_input(change: dict[str, Any], error: type[Exception], text: str) -> None:
    how: dict[str, Any] = {"fun": py_waves, "t_span": (0, 1), "y0": np.ones((3, 2)), "method": "rk4", "dt": 0.1} | change
    if how["fun"] is not py_waves:
        how["fun"] = how["fun"]()
    with pytest.raises(error, match=text):
        mflow.solve_ivp_batch(**how)


@pytest.mark.parametrize("batch", [False, True])
def test_no_trajectories(batch: bool) -> None:
    fun = waves("block") if batch else py_waves
    for at in (None, [0.5]):
        r = mflow.solve_ivp_batch(fun, (0, 1), np.empty((0, 3)), "rk4", at, dt=0.1, batch=batch)
        assert (r.success, r.reason, r.message) == (True, [], "0 of 0 trajectories finished")
        assert r.y.shape == (0, 3) + (() if at is None else (1,))


@pytest.mark.parametrize("how", HOW, ids=str)
def test_trajectories_without_components(how: dict[str, Any]) -> None:
    how = {"method": "rk4"} | how
    span = np.tile((0.0, 1.0), (5, 1)) if how.pop("own_spans", False) else (0.0, 1.0)
    r = mflow.solve_ivp_batch(waves("block"), span, np.empty((5, 0)), batch=True, **how)
    assert (r.success, r.y.shape, r.t.tolist()) == (True, (5, 0), [1.0] * 5)


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    for batch in (False, True):
        fun = waves("block") if batch else py_waves
        mflow.solve_ivp_batch(fun, (0, 1), starts(30), "rk4", dt=0.1, batch=batch, progress=True)
        assert "30 of 30 trajectories" in capsys.readouterr().err


def test_functions_for_blocks_of_every_kind() -> None:
    """ctypes functions, capsules and LowLevelCallables, with user data."""
    scipy = pytest.importorskip("scipy")
    rate = ctypes.c_double(0.25)
    seen: set[Any] = set()

    @LANES_C
    def fun(t: Any, y: Any, f: Any, n: int, lanes: int, ctx: int | None) -> int:
        k = ctypes.c_double.from_address(ctx).value if ctx else 1.0
        seen.add((n, lanes, len({t[l] for l in range(lanes)})))
        for i in range(n * lanes):
            f[i] = -k * y[i]
        return 0

    address = ctypes.cast(fun, ctypes.c_void_p).value
    assert address
    signature = signatures.RHS_LANES_SIGNATURE.encode()
    y0 = [[1.0, 2.0]]
    r = mflow.solve_ivp_batch(fun, (0, 1), y0, "rk4", dt=0.1, batch=True)
    np.testing.assert_allclose(r.y[0], np.array(y0[0]) * math.exp(-1), rtol=1e-5)
    assert seen == {(2, core.BLOCK, 1)}
    for made in (
        capsule(address, signature, ctypes.addressof(rate)),
        scipy.LowLevelCallable(capsule(address, signature, ctypes.addressof(rate))),
    ):
        r = mflow.solve_ivp_batch(made, (0, 1), y0, "rk4", dt=0.1, batch=True)
        np.testing.assert_allclose(r.y[0], np.array(y0[0]) * math.exp(-0.25), rtol=1e-5)


@pytest.mark.parametrize("code", [-7, 3])
def test_a_code_ends_the_whole_block(code: int) -> None:
    calls = []

    @LANES_C
    def fun(t: Any, y: Any, f: Any, n: int, lanes: int, ctx: int | None) -> int:
        calls.append(t[0])
        for i in range(n * lanes):
            f[i] = -y[i]
        return code if t[0] > 0.5 and calls[-1] < 100 else 0

    y0 = starts(3)
    r = mflow.solve_ivp_batch(fun, (0, 1), y0, "rk4", dt=0.125, batch=True, threads=1)
    assert r.reason == ["rhs_failed"] * 3
    assert r.t.tolist() == [0.5] * 3
    assert f"returned {code}" in r.messages[0]
    np.testing.assert_allclose(r.y, y0 * math.exp(-0.5), rtol=1e-4)
    assert sum(t > 0.5 for t in calls) == 1  # after a code it is not called again


# ---- executors --------------------------------------------------------------------------------------------------------------------------


class Odd(Exception):
    """Does not come out of a pickle."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


def odd_or_killed(t: float, y: Array, kinds: float) -> Array:
    if kinds == 1 and t > 0.5:
        raise Odd("no ", "slope")
    if kinds == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return -y


def by_dask(test: Any) -> Any:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None) as cluster, \
            distributed.Client(cluster) as client:  # fmt: skip
        return test(client.get_executor())


def by_processes(test: Any) -> Any:
    with futures.ProcessPoolExecutor(2) as pool:
        return test(pool)


def by_threads(test: Any) -> Any:
    with futures.ThreadPoolExecutor(2) as pool:
        return test(pool)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("by", [by_processes, by_threads, by_dask])
def test_executors(by: Any) -> None:
    y0 = starts(21)
    here = mflow.solve_ivp_batch(py_waves, (0, 1), y0, "rk4", [0.5, 1.0], dt=0.05)

    def test(executor: Any) -> None:
        sent = mflow.solve_ivp_batch(py_waves, (0, 1), y0, "rk4", [0.5, 1.0], dt=0.05, executor=executor)
        assert fields(sent) == fields(here)
        kinds = np.zeros(21)
        kinds[4] = 1
        r = mflow.solve_ivp_batch(odd_or_killed, (0, 1), y0, "rk4", dt=0.05, batch_args=kinds, executor=executor)
        assert [k for k, reason in enumerate(r.reason) if reason != "finished"] == [4]
        assert "no slope" in str(r.errors[4])
        with pytest.raises(ValueError, match=r"dt: .*, got -1"):
            mflow.solve_ivp_batch(py_waves, (0, 1), y0, "rk4", dt=-1, executor=executor)

    by(test)


def test_executor_with_a_function_for_blocks() -> None:
    y0 = starts(300)
    with futures.ThreadPoolExecutor(2) as pool:
        r = mflow.solve_ivp_batch(waves("block"), (0, 1), y0, "rk4", dt=0.05, batch=True, executor=pool)
    assert fields(r) == fields(mflow.solve_ivp_batch(waves("block"), (0, 1), y0, "rk4", dt=0.05, batch=True))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_lost_worker_costs_its_trajectories_alone() -> None:
    kinds = np.zeros(16)
    kinds[15] = 2
    with futures.ProcessPoolExecutor(1) as pool:
        r = mflow.solve_ivp_batch(odd_or_killed, (0, 1), starts(16), "rk4", dt=0.1, batch_args=kinds, executor=pool)
        assert r.reason[15] == "executor_failed"
        assert set(r.reason) == {"finished", "executor_failed"}
        assert isinstance(r.errors[15], BrokenProcessPool)
        assert np.array_equal(r.y[15], starts(16)[15])
        done = [k for k, reason in enumerate(r.reason) if reason == "finished"]
        assert done
        np.testing.assert_allclose(r.y[done], starts(16)[done] * math.exp(-1), rtol=1e-5)
        again = mflow.solve_ivp_batch(odd_or_killed, (0, 1), starts(2), "rk4", dt=0.1, batch_args=[0, 0], executor=pool)
        assert again.reason == ["executor_failed"] * 2  # the pool stays broken


# ---- Ctrl-C -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("kind", ["block", "one", "python"])
def test_ctrl_c_gives_what_is_done(kind: str) -> None:
    fun = {"block": roots, "one": decay_cfunc, "python": lambda: py_waves}[kind]()
    y0, count = np.zeros((200, 3)), 20 if kind == "python" else 100
    span = np.tile((0.0, 0.2), (200, 1))
    span[count:, 1] = 1e9
    how: dict[str, Any] = {"dt": 0.1, "batch": kind == "block", "threads": 2}
    mflow.solve_ivp_batch(fun, span[:2], y0[:2], "rk4", **how)
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    timer.start()
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt) as caught:
        mflow.solve_ivp_batch(fun, span, y0, "rk4", **how)
    assert time.perf_counter() - began < 30.0
    partial = caught.value.partial_result  # type: ignore[attr-defined]
    assert partial.reason[:count] == ["finished"] * count
    assert partial.reason[-1] == "interrupted"
    assert np.all(np.isfinite(partial.y))
