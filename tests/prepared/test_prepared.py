"""Prepared solvers: the bits of solve_ivp, from Python, C and numba; true endings; what they refuse."""

from __future__ import annotations

import copy
import ctypes
import math
import pickle
import threading

import numpy as np
import pytest
from mflow_core import registry

import mflow
from mflow.problems import compiled
from support.hosts import library, needs_compiler
from support.levels import first_order

DOUBLES = ctypes.POINTER(ctypes.c_double)
RHS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, DOUBLES, DOUBLES, ctypes.c_ssize_t, ctypes.c_void_p)
EXPLICIT = first_order(without=("implicit", "needs_rho"))
PAIRS = first_order("embedded", without=("implicit", "needs_rho"))
REFUSED = [record.name for record in registry.records() if record.kind == "step" and record.name not in EXPLICIT]


@RHS
def pendulum(t, y, dydt, n, ctx):
    """y'' = -p0 y (1 + y^2) - p1 y' + sin t, where ctx is the address of p; p = 1.3, 0.1 where it is NULL."""
    p = ctypes.cast(ctx, DOUBLES) if ctx else (1.3, 0.1)
    dydt[0] = y[1]
    dydt[1] = -p[0] * y[0] * (1.0 + y[0] * y[0]) - p[1] * y[1] + 0.5 * t
    return 0


@RHS
def leaving(t, y, dydt, n, ctx):
    """No slope beyond y = 1.5; gives up beyond t = 0.5 where y is below 0."""
    dydt[0] = 1.0 if y[0] < 1.5 else math.nan
    return -7 if y[0] < 0.0 and t > 0.5 else 0


START = np.array([0.7, -0.2])


@pytest.mark.parametrize("name", EXPLICIT)
def test_fixed_steps_have_the_bits_of_solve_ivp(name):
    solver = mflow.compile_solver(pendulum, 2, name, dt=0.07)
    for t0, t1 in ((0.0, 1.0), (2.0, 1.3), (0.5, 0.5)):
        r = mflow.solve_ivp(pendulum, (t0, t1), START, name, dt=0.07)
        assert np.array_equal(solver((t0, t1), START), r.y[:, -1])
        assert (solver.nfev, solver.nsteps, solver.t) == (r.nfev, r.nsteps, t1)


@pytest.mark.parametrize("name", PAIRS)
def test_error_control_has_the_bits_of_solve_ivp_after_any_other_call(name):
    solver = mflow.compile_solver(pendulum, 2, name, rtol=1e-7, atol=[1e-9, 1e-8], max_step=0.9)
    for t0, t1 in ((0.0, 3.0), (1.0, -0.5)):
        r = mflow.solve_ivp(pendulum, (t0, t1), START, name, rtol=1e-7, atol=[1e-9, 1e-8], max_step=0.9)
        assert np.array_equal(solver((t0, t1), list(START)), r.y[:, -1])
        assert (solver.nfev, solver.nsteps, solver.nrejected) == (r.nfev, r.nsteps, r.nrejected)
        with pytest.raises(FloatingPointError):
            solver((0.0, 1.0), [math.nan, 0.0])
        with pytest.raises((FloatingPointError, RuntimeError)):  # its stages overflow, and leave numbers that are none in the run's vectors
            solver((0.0, 1.0), [1e160, 1e300])


def test_closed_form():
    solver = mflow.compile_solver(decay_by_ctx, 1, n_args=1, rtol=1e-10, atol=1e-13)
    for rate in (0.3, 2.0, -1.0):
        assert abs(solver((0.0, 2.0), [1.5], [rate])[0] - 1.5 * math.exp(-2.0 * rate)) < 1e-8


@RHS
def decay_by_ctx(t, y, dydt, n, ctx):
    """y' = -p y."""
    dydt[0] = -ctypes.cast(ctx, DOUBLES)[0] * y[0]
    return 0


def test_args_are_the_user_data_of_a_compiled_function():
    solver, plain = mflow.compile_solver(pendulum, 2, n_args=2), mflow.compile_solver(pendulum, 2)
    assert np.array_equal(solver((0.0, 1.0), START, [1.3, 0.1]), plain((0.0, 1.0), START))
    assert not np.array_equal(solver((0.0, 1.0), START, np.array([1.3, 0.2])), plain((0.0, 1.0), START))
    with pytest.raises(ValueError, match=r"args: expected an array of shape \(2,\), got shape \(3,\)"):
        solver((0.0, 1.0), START, [1.0, 2.0, 3.0])


def test_a_slope_that_was_given_up_is_nan():
    """`leaving` writes a number before it gives up."""
    solver = mflow.compile_solver(leaving, 1, "rk4", dt=0.1)
    assert solver.slope(0.0, [-1.0], None).tolist() == [1.0]
    assert math.isnan(solver.slope(0.6, [-1.0], None)[0])


def test_endings_are_true():
    solver = mflow.compile_solver(leaving, 1, "rk4", dt=0.1)
    with pytest.raises(FloatingPointError, match=r"stopped at t = 0\.4 after 4 steps, before t_end = 1") as told:
        solver((0.0, 1.0), [1.0])
    t, y = told.value.partial_result
    assert t == 0.4
    assert abs(y[0] - 1.4) < 1e-14
    with pytest.raises(RuntimeError, match="fun gave up with code -7"):
        solver((0.0, 1.0), [-2.0])
    short = mflow.compile_solver(pendulum, 2, rtol=1e-9, max_steps=3)
    with pytest.raises(RuntimeError, match="after 3 steps"):
        short((0.0, 50.0), START)
    assert short.nsteps == 3


def test_a_solver_that_is_in_use_says_so():
    errors, solvers = [], []

    @RHS
    def again(t, y, dydt, n, ctx):
        dydt[0] = 1.0
        try:
            solvers[0]((0.0, 1.0), [0.0])
        except RuntimeError as error:
            errors.append(str(error))
        return 0

    solvers.append(mflow.compile_solver(again, 1, "euler", dt=0.5))
    assert solvers[0]((0.0, 1.0), [0.0])[0] == 1.0
    assert len(errors) == 2
    assert "copy.copy(solver)" in errors[0]


def test_copies_go_on_threads():
    solver = mflow.compile_solver(pendulum, 2, rtol=1e-8)
    expected, found = solver((0.0, 5.0), START), {}

    def work(k, mine):
        found[k] = [mine((0.0, 5.0), START) for _ in range(3)]

    threads = [threading.Thread(target=work, args=(k, copy.copy(solver))) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(y, expected) for k in range(3) for y in found[k])


@pytest.mark.parametrize("name", REFUSED)
def test_methods_beyond_it_are_refused_by_name(name):
    with pytest.raises(ValueError, match=f"method: {name} is|method: {name} measures"):
        mflow.compile_solver(pendulum, 2, name, dt=0.1)


def test_arguments_beyond_it_are_refused():
    for more, kind, text in (
        ({"dt": "auto"}, TypeError, "dt: expected a number"),
        ({"dt": 0.1, "max_step": 1.0}, ValueError, "first_step, min_step, max_step"),
        ({"dt": 0.1, "rtol": 1e-3}, ValueError, "dt, rtol: dt gives fixed steps"),
        ({"max_step": lambda t, y: 1.0}, TypeError, "max_step: expected a number"),
        ({"inplace": True}, TypeError, "inplace"),
        ({"events": None}, TypeError, "compile_solver has no argument 'events'"),
        ({"method": "euler"}, ValueError, "dt: expected the size of the fixed steps of euler"),
    ):
        with pytest.raises(kind, match=text):
            mflow.compile_solver(pendulum, 2, **more)
    solver = mflow.compile_solver(pendulum, 2)
    with pytest.raises(ValueError, match="t_span"):
        solver((0.0, math.inf), START)
    with pytest.raises(ValueError, match=r"y0: expected an array of shape \(2,\)"):
        solver((0.0, 1.0), [1.0])
    with pytest.raises(TypeError, match="y0: expected 2 real numbers"):
        solver((0.0, 1.0), ["a", "b"])
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(solver)


@pytest.mark.parametrize(
    ("name", "value"),
    [("rtol", -1.0), ("atol", [1.0, math.nan]), ("first_step", "x"), ("max_steps", 0.5), ("min_step", -1.0), ("dt", -0.1), ("n_args", 1.5)],
)
def test_settings_are_refused_before_a_function_is_compiled(name, value, monkeypatch):
    """That takes most of a second."""
    monkeypatch.setattr(compiled, "need_numba", lambda: pytest.fail("numba was asked"))
    with pytest.raises((TypeError, ValueError), match=name):
        mflow.compile_solver(lambda t, y, a: -a * y, 2, **{name: value})


def test_a_python_function_without_numba_says_what_to_install(monkeypatch):
    def missing():
        raise ImportError("mflow.compile needs numba")

    monkeypatch.setattr(compiled, "need_numba", missing)
    with pytest.raises(ImportError, match="numba"):
        mflow.compile_solver(lambda t, y: -y, 1)


HOST = """
#include "mflow/ivp.h"
/* The sum of squares at t_end of many starts; the number of calls that failed. */
int host_loss(void *handle, double t_end, const double *starts, int count, const double *args, double *y, double *loss) {
  mf_ivp *s = (mf_ivp *)handle;
  int k, failed = 0;
  if (s->size < sizeof(mf_ivp)) return -1;
  for (*loss = 0.0, k = 0; k < count; k++) {
    if (s->solve(s, 0.0, t_end, starts + k * s->n, args, y) != 0 || s->t != t_end || s->nsteps < 1) failed++;
    *loss += y[0] * y[0] + y[1] * y[1];
  }
  return failed;
}
"""


@needs_compiler
def test_a_host_in_c(tmp_path):
    host = library(HOST, tmp_path)
    host.host_loss.argtypes = [ctypes.c_void_p, ctypes.c_double, DOUBLES, ctypes.c_int, DOUBLES, DOUBLES, DOUBLES]
    solver = mflow.compile_solver(pendulum, 2, n_args=2, rtol=1e-8)
    starts, args, y, loss = np.array([[0.1, 0.2], [0.3, -0.4], [1.0, 0.0]]), np.array([1.3, 0.1]), np.empty(2), np.empty(1)
    pointers = [a.ctypes.data_as(DOUBLES) for a in (starts, args, y, loss)]
    assert host.host_loss(solver.handle, 2.0, pointers[0], 3, *pointers[1:]) == 0
    ends = [solver((0.0, 2.0), start, args) for start in starts]
    total = 0.0
    for e in ends:
        total += float(e[0] * e[0] + e[1] * e[1])  # as the host adds; sum() compensates for rounding from Python 3.12 on
    assert loss[0] == total
    # y may be y0, and a call that cannot be made changes nothing
    one = starts[2].copy()
    assert solver.function(solver.handle, 0.0, 2.0, one.ctypes.data, args.ctypes.data, one.ctypes.data) == 0
    assert np.array_equal(one, ends[2])
    assert solver.function(solver.handle, 0.0, math.inf, one.ctypes.data, args.ctypes.data, one.ctypes.data) < 0
    assert solver.function(solver.handle, 0.0, 1.0, one.ctypes.data, None, one.ctypes.data) < 0
    assert np.array_equal(one, ends[2])


def test_from_numba():
    numba = pytest.importorskip("numba")

    def lotka(t, y, out, a, b):
        out[0] = a * y[0] - y[0] * y[1]
        out[1] = b * y[0] * y[1] - y[1]

    solver = mflow.compile_solver(lotka, 2, rtol=1e-9, atol=1e-11, inplace=True)
    assert (solver.n, solver.n_args) == (2, 2)
    solve, handle = solver.function, solver.handle

    @numba.njit(nogil=True)
    def loss(handle, starts, args, out):
        total = 0.0
        for y0 in starts:
            if solve(handle, 0.0, 3.0, y0.ctypes.data, args.ctypes.data, out.ctypes.data) != 0:
                return np.nan
            total += out[0] ** 2
        return total

    starts, args = np.array([[1.0, 1.0], [2.0, 0.5]]), np.array([1.5, 0.75])
    fixed = mflow.compile(lotka, args=(1.5, 0.75), inplace=True)
    ends = [mflow.solve_ivp(fixed, (0.0, 3.0), y0, rtol=1e-9, atol=1e-11).y[:, -1] for y0 in starts]
    assert loss(handle, starts, args, np.empty(2)) == ends[0][0] ** 2 + ends[1][0] ** 2
    assert np.array_equal(solver((0.0, 3.0), starts[0], args), ends[0])


def test_numba_functions_that_return_their_slopes_and_wrong_ones():
    pytest.importorskip("numba")
    solver = mflow.compile_solver(lambda t, y, a: -a * y, 3)
    assert np.abs(solver((0.0, 1.0), np.ones(3), [0.5]) - math.exp(-0.5)).max() < 1e-4
    with pytest.raises(ValueError, match="fun: expected arguments"):
        mflow.compile_solver(lambda t: t, 1)
    with pytest.raises(ValueError, match="and 2, got 3 arguments"):
        mflow.compile_solver(lambda t, y, a: -a * y, 1, n_args=2)
    wrong = mflow.compile_solver(lambda t, y: np.zeros(2), 3)
    with pytest.raises(RuntimeError, match="another number of values"):
        wrong((0.0, 1.0), np.ones(3))
