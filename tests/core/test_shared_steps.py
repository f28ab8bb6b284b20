"""Steps that threads share: the bits do not depend on how many there are, nor on who else uses the pool."""

from __future__ import annotations

import ctypes
import os
import pickle
import subprocess
import sys
import threading
from concurrent import futures
from typing import Any

import numpy as np
import pytest
from mflow_core import pool, registry
from mflow_core.optimize import updater

import mflow
from support.levels import KINDS
from support.places import environment_for

PIECE, LONG = 4096, 50_000  # of src/mflow_core/pool.pxd
LENGTHS = (LONG - 1, LONG, 13 * PIECE - 1, 13 * PIECE, 13 * PIECE + 1)
WIDTHS = (2, 3, 4)
OPTIMIZERS = [record for record in registry.records() if KINDS["update"](record)]


def gradients(n: int) -> list[Any]:
    rng = np.random.default_rng(n)
    return [rng.normal(size=n) for _ in range(3)]


def steps(record: Any, n: int, threads: int, **options: Any) -> list[Any]:
    """The parameters and all vectors of the method after three steps."""
    c = np.linspace(-1.0, 1.0, n)
    opt = getattr(mflow.optim, record.class_name)(c, threads=threads, **options)
    for g in gradients(n):
        opt.step(g)
    return [c, *opt.state_dict()["vectors"][0].values()]


@pytest.mark.parametrize("record", OPTIMIZERS, ids=lambda record: record.name)
def test_an_optimizer_has_the_same_bits_on_any_number_of_threads(record: Any) -> None:
    for n in LENGTHS:
        alone = steps(record, n, 1)
        assert np.all(np.isfinite(alone[0]))
        for threads in WIDTHS:
            assert all(np.array_equal(a, b) for a, b in zip(alone, steps(record, n, threads), strict=True)), (n, threads)


@pytest.mark.parametrize("record", OPTIMIZERS, ids=lambda record: record.name)
def test_the_step_is_the_kernel_s(record: Any) -> None:
    """One uncut call of the kernel, which no pool sees, against the step of four threads."""
    n, (g, *_) = 13 * PIECE + 1, gradients(13 * PIECE + 1)
    opt = getattr(mflow.optim, record.class_name)(np.linspace(-1.0, 1.0, n), threads=4)
    opt.step(g)
    parameters = dict(opt.parameters_of(0))
    vectors = [np.linspace(-1.0, 1.0, n), *(np.zeros(n) for _ in opt.state_dict()["vectors"][0])]
    updater.start(record, parameters, vectors)
    updater.update(record, updater.begin(record, parameters, 0), 1.0, vectors, g)
    for whole, shared in zip(vectors, [opt.arrays[0], *opt.state_dict()["vectors"][0].values()], strict=True):
        assert np.array_equal(whole, shared)


@pytest.mark.parametrize("options", [{"clip_norm": 1.0}, {"check_finite": False}, {"maximize": True, "weight_decay": 0.1}])
def test_options(options: dict[str, Any]) -> None:
    adam = registry.find("adam")
    assert all(np.array_equal(a, b) for a, b in zip(steps(adam, 70_000, 1, **options), steps(adam, 70_000, 3, **options), strict=True))


def test_blocks_that_are_left_out_do_not_depend_on_threads() -> None:
    ends = []
    for threads in (1, 4):
        c, g = np.ones(100_000), np.ones(100_000)
        g[70_000], g[60_000], g[99_999] = 1e200, np.nan, np.inf
        with pytest.raises(
            FloatingPointError, match=r"^g\[60000\] = nan at step 0: all took this step but the blocks of 512 .* g.flat\[59904\]"
        ):
            mflow.optim.Adam(c, lr=0.5, threads=threads).step(g)
        ends.append(c)
    left_out = np.flatnonzero(ends[0] == 1.0) // 512
    assert np.array_equal(ends[0], ends[1])
    assert sorted(set(left_out)) == [60_000 // 512, 70_000 // 512, 99_999 // 512]


def test_the_setting_is_kept_by_copies_and_checked() -> None:
    opt = mflow.optim.Adam(np.ones(3), threads=2)
    assert pickle.loads(pickle.dumps(opt)).threads == 2
    assert mflow.optim.Adam(np.ones(3)).threads is None
    for bad, kind in ((0, ValueError), (65, ValueError), (1.5, ValueError), ("two", TypeError)):
        with pytest.raises(kind, match="threads"):
            mflow.optim.Adam(np.ones(3), threads=bad)
        with pytest.raises(kind, match="number"):
            mflow.threads(bad)


def test_the_width_belongs_to_the_block_and_the_thread() -> None:
    before, seen = pool.threads(), []
    with mflow.threads(3):
        with mflow.threads(2):
            assert pool.threads() == 2
        assert pool.threads() == 3
        other = threading.Thread(target=lambda: seen.append(pool.threads()))
        other.start()
        other.join()
    assert pool.threads() == before
    assert seen == [before]


@pytest.mark.parametrize(("value", "expected"), [("", "1"), ("3", "3"), ("0", "ImportError"), ("two", "ImportError")])
def test_the_environment_variable(value: str, expected: str) -> None:
    code = "from mflow_core import pool; print(pool.threads())"
    out = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "MFLOW_THREADS": value}, capture_output=True, text=True, check=False
    )
    assert (out.stdout.strip() or out.stderr.strip().splitlines()[-1].partition(":")[0]) == expected


def test_several_threads_of_a_program_step_at_once() -> None:
    """One has the pool, the others work alone: all have the bits of one."""
    adam = registry.find("adam")
    alone = steps(adam, 200_000, 1)
    with futures.ThreadPoolExecutor(4) as executor:
        for result in executor.map(lambda _: steps(adam, 200_000, 2), range(16)):
            assert all(np.array_equal(a, b) for a, b in zip(alone, result, strict=True))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_a_pool_of_its_own() -> None:
    code = """
import os, sys, numpy as np, mflow
def run():
    c, g = np.ones(100_000), np.ones(100_000)
    opt = mflow.optim.Adam(c, threads=2)
    for _ in range(20):
        opt.step(g)
    return c
before = run()
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(run(), before) else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert np.array_equal(run(), before)
"""
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", code], check=True, timeout=60)


# ---- objectives, training, minimize ------------------------------------------------------------------------------------------------------


def regression(name: str, rows: int, columns: int) -> Any:
    rng = np.random.default_rng(rows)
    X, t = rng.normal(size=(rows, columns)), rng.normal(size=rows)
    y = {"Logistic": np.sign(t), "Poisson": np.floor(np.abs(2 * t)), "Softmax": np.floor(np.abs(t)) % 3}.get(name, t)
    return getattr(mflow.objectives, name)(X, y, weights=rng.uniform(0.5, 2.0, rows), l2=0.1)


@pytest.mark.parametrize("rows", [511, 512, 6553, 6554, 9841])
@pytest.mark.parametrize("name", ["LeastSquares", "Logistic", "Poisson", "Huber", "Softmax"])
def test_sums_over_rows(name: str, rows: int) -> None:
    fun = regression(name, rows, 20 if rows > 512 else 256)
    at, along = np.random.default_rng(1).normal(size=(2, fun.n)) / 20
    value, grad, product = *fun.value_and_grad(at), fun.hessp(at, along)
    for threads in WIDTHS:
        with mflow.threads(threads):
            shared = fun.value_and_grad(at)
            assert shared[0] == value == fun(at)
            assert np.array_equal(shared[1], grad)
            assert np.array_equal(fun.hessp(at, along), product)
    pieces = [np.arange(k, min(k + 200, rows)) for k in range(0, rows, 200)]  # each of them is one part
    means = [(len(p) / rows, *fun.batch(p).value_and_grad(at), fun.batch(p).hessp(at, along)) for p in pieces]
    np.testing.assert_allclose(sum(w * v for w, v, *_ in means), value, rtol=1e-12)
    np.testing.assert_allclose(sum(w * g for w, _, g, _ in means), grad, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(sum(w * h for w, *_, h in means), product, rtol=1e-10, atol=1e-13)


def test_drivers() -> None:
    fun = regression("Logistic", 8000, 20)
    ends = [mflow.minimize(fun, fun.x0, maxiter=20, threads=threads) for threads in (None, 3)]
    assert np.array_equal(ends[0].x, ends[1].x)
    long, start = mflow.objectives.Rosenbrock(60_000), np.full(60_000, 0.9)
    ends = [mflow.minimize(long, start, method="adam", maxiter=20, gtol=0.0, threads=threads) for threads in (None, 3)]
    assert np.array_equal(ends[0].x, ends[1].x)
    trained = [mflow.train(fun, fun.x0, None, "adam", 3, 7000, seed=0, threads=threads) for threads in (None, 3)]
    assert np.array_equal(trained[0].params, trained[1].params)
    trained = [mflow.train(lambda c: 2 * c, np.ones(60_000), None, "adam", 3, threads=threads) for threads in (None, 3)]
    assert np.array_equal(trained[0].params, trained[1].params)
    assert pool.threads() == int(os.environ.get("MFLOW_THREADS") or 1)


# ---- elementwise right-hand sides --------------------------------------------------------------------------------------------------------

SLOPE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_double, ctypes.POINTER(ctypes.c_double), ctypes.POINTER(ctypes.c_double), ctypes.c_ssize_t, ctypes.c_void_p
)


def as_array(pointer: Any, n: int) -> Any:
    return np.ctypeslib.as_array(pointer, (n,))


def test_an_elementwise_right_hand_side_in_pieces() -> None:
    lengths: list[int] = []

    @SLOPE
    def fun(t: float, y: Any, dydt: Any, n: int, ctx: Any) -> int:
        lengths.append(n)
        as_array(dydt, n)[:] = t - as_array(y, n) ** 2
        return 0

    n, explicit = 13 * PIECE + 5, [r.name for r in registry.records() if KINDS["one_step"](r) and "implicit" not in r.flags]
    start = np.linspace(0.0, 1.0, n)
    for method in explicit:
        options = {"method": method, "dt": 0.05, "save": "last"}
        if "needs_rho" in registry.find(method).flags:
            continue  # its stages may follow from an estimate, so that its steps are not cut
        lengths.clear()
        whole = mflow.solve_ivp(fun, (0.0, 0.1), start, **options)
        assert set(lengths) == {n}
        for threads in (1, 3):
            lengths.clear()
            cut = mflow.solve_ivp(fun, (0.0, 0.1), start, **options, elementwise=True, threads=threads)
            assert np.array_equal(cut.y, whole.y), method
            assert cut.nfev == whole.nfev
            assert set(lengths) == {PIECE, 5}, method
    pair = [mflow.solve_ivp(fun, (0.0, 0.1), start, "dopri5", elementwise=flag, threads=2 if flag else None) for flag in (False, True)]
    assert np.array_equal(pair[0].y, pair[1].y)


def test_an_elementwise_right_hand_side_that_fails() -> None:
    @SLOPE
    def fun(t: float, y: Any, dydt: Any, n: int, ctx: Any) -> int:
        as_array(dydt, n)[:] = 1.0
        return -7 if as_array(y, n)[-1] > 1.5 else 0

    start = np.linspace(0.0, 1.0, 60_000)
    run = mflow.solve_ivp(fun, (0.0, 1.0), start, "rk4", dt=0.1, elementwise=True, threads=2)
    assert (run.reason, "-7" in run.message) == ("rhs_failed", True)
    np.testing.assert_allclose(run.y[:, -1], start + 0.4)


def test_an_elementwise_right_hand_side_that_leaves_the_numbers() -> None:
    @SLOPE
    def fun(t: float, y: Any, dydt: Any, n: int, ctx: Any) -> int:
        as_array(dydt, n)[:] = np.where(as_array(y, n) > 1.55, np.inf, 1.0)
        return 0

    start = np.linspace(0.0, 1.0, 60_000)
    run = mflow.solve_ivp(fun, (0.0, 1.0), start, "euler", dt=0.1, elementwise=True, threads=2)
    assert run.reason == "non_finite"
    np.testing.assert_allclose(run.y[:, -1], start + 0.6)


def test_events_in_python_keep_the_pieces_in_one_thread() -> None:
    """They hold the lock of Python, which a right-hand side in another thread might wait for."""
    seen: set[int] = set()

    @SLOPE
    def fun(t: float, y: Any, dydt: Any, n: int, ctx: Any) -> int:
        seen.add(threading.get_ident())
        as_array(dydt, n)[:] = 1.0
        return 0

    start = np.linspace(0.0, 1.0, 60_000)
    run = mflow.solve_ivp(fun, (0.0, 1.0), start, "rk4", dt=0.1, events=lambda t, y: t - 0.5, elementwise=True, threads=2)
    assert run.success
    assert seen == {threading.get_ident()}


def test_a_look_at_a_step_leaves_the_lock_of_python_to_other_threads() -> None:
    """A step tried on the side, for a look: a right-hand side that calls Python in another thread would wait for ever."""
    code = """
import ctypes, threading, time, numpy as np
from mflow_core import pool, registry
from mflow_core.problems import problem
from mflow_core.stepping import stepper
from test_shared_steps import SLOPE, as_array
here, other = threading.get_ident(), threading.Event()
@SLOPE
def fun(t, y, dydt, n, ctx):
    if threading.get_ident() != here:
        other.set()
        time.sleep(0.05)  # so that the other one is done before
    elif not other.is_set():
        assert other.wait(50)  # the other thread takes a piece, however busy the machine is
    as_array(dydt, n)[:] = -as_array(y, n)
    return 0
pool.set_threads(2)
run = stepper.Run(registry.find("euler"), problem.rhs_problem(fun, (60_000,), elementwise=True), np.ones(60_000), 0.0, 0.25)
assert np.all(run.trial(0.5) == 0.5) and np.all(run.y == 1.0) and other.is_set()
other.clear()
run.fixed(1)
assert np.all(run.y == 0.75) and other.is_set()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment_for(__file__))


def test_a_python_function_is_not_cut() -> None:
    with pytest.raises(TypeError, match="elementwise: expected a compiled fun"):
        mflow.solve_ivp(lambda t, y: -y, (0, 1), np.ones(3), elementwise=True)
