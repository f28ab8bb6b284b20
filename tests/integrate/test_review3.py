"""Corners of runs: slopes that the extension alone meets, looks into steps that are gone, saved runs with other ends, hosts in C."""

from __future__ import annotations

import ctypes
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mflow_core import api, registry
from mflow_core.problems import problem
from mflow_core.solvers.solver import Solver
from mflow_core.stepping import stepper

import mflow
from support.kernels import CProblem
from support.problems import cfunc

Array = np.ndarray


# ---- slopes that the continuous extension alone meets -----------------------------------------------------------------------------------


def no_slope_from_one_on(t: float, y: Array) -> Array:
    return np.full(1, np.nan if t >= 1.0 else 1.0)


def no_slope_at_a_tenth(t: float, y: Array) -> Array:
    return np.full(1, np.nan if abs(t - 0.1) < 1e-12 else 1.0)


def test_no_nan_between_fixed_steps() -> None:
    """Euler never asks for the slope at the end of its last step; the cubic between the ends does."""
    r = mflow.solve_ivp(no_slope_from_one_on, (0, 1), [0.0], "euler", dt=0.1, t_eval=[0.5, 0.95, 1.0])
    assert (r.reason, r.nsteps) == ("non_finite", 9)
    np.testing.assert_allclose(r.y, [[0.5]], rtol=1e-14)
    assert mflow.solve_ivp(no_slope_from_one_on, (0, 1), [0.0], "euler", dt=0.1, t_eval=[0.5, 1.0]).success
    r = mflow.solve_ivp(no_slope_from_one_on, (0, 1), [0.0], "euler", dt=0.1, dense_output=True)
    assert r.reason == "non_finite"
    assert np.all(np.isfinite(r.sol(np.linspace(0.0, r.t[-1], 50))))


def test_dop853_has_slopes_for_its_extension_alone() -> None:
    """K_14 lies at a tenth of the step: with fixed steps the run ends there, under error control another step goes round it."""
    r = mflow.solve_ivp(no_slope_at_a_tenth, (0, 1), [0.0], "dop853", dt=1.0, t_eval=[0.5, 1.0])
    assert (r.reason, r.t.size) == ("non_finite", 0)
    r = mflow.solve_ivp(no_slope_at_a_tenth, (0, 1), [0.0], "dop853", rtol=1e-6, atol=1e-6, first_step=1.0, t_eval=[0.5, 1.0])
    assert (r.reason, r.nrejected) == ("finished", 1)
    np.testing.assert_allclose(r.y, [[0.5, 1.0]], rtol=1e-14)


def test_a_smaller_step_asked_for_by_the_extension_is_taken() -> None:
    def slope(t: float, y: Array) -> Array:
        if abs(t - 0.1) < 1e-12:
            raise mflow.Recoverable
        return np.ones(1)

    r = mflow.solve_ivp(slope, (0, 1), [0.0], "dop853", rtol=1e-6, atol=1e-6, first_step=1.0, events=lambda t, y: y[0] - 0.5)
    assert (r.reason, r.nrejected) == ("finished", 1)
    np.testing.assert_allclose(r.t_events[0], [0.5], rtol=1e-14)


@pytest.mark.parametrize("spans", [(0, 1), [[0, 1]] * 3])
def test_no_nan_between_steps_of_lanes(spans: Any) -> None:
    @cfunc("block")
    def ones(t, y, f, n, lanes, ctx):
        for i in range(lanes):
            f[i] = 1.0 if t[i] < y[lanes + i] - 1e-9 else math.nan
            f[lanes + i] = 0.0
        return 0

    starts = [[0.0, 2.0], [0.0, 1.0], [0.0, 3.0]]  # the second component: where slopes end
    r = mflow.solve_ivp_batch(ones, spans, starts, "euler", dt=0.1, t_eval=[0.5, 0.95, 1.0], batch=True)
    assert r.reason == ["finished", "non_finite", "finished"]
    assert r.reached.tolist() == [3, 1, 3]
    assert r.nsteps.tolist() == [10, 9, 10]
    np.testing.assert_allclose(r.y[:, 0], [[0.5, 0.95, 1.0], [0.5, np.nan, np.nan], [0.5, 0.95, 1.0]], rtol=1e-13)


@pytest.mark.parametrize("spans", [(0, 1), [[0, 1]] * 2])
def test_max_steps_of_lanes(spans: Any) -> None:
    @cfunc("block")
    def ones(t, y, f, n, lanes, ctx):
        for i in range(lanes):
            f[i] = 1.0
        return 0

    r = mflow.solve_ivp_batch(ones, spans, np.zeros((2, 1)), "rk4", dt=0.125, max_steps=3, batch=True)
    assert r.reason == ["max_steps"] * 2
    assert r.nsteps.tolist() == [3, 3]
    assert r.t.tolist() == [0.375, 0.375]
    assert mflow.solve_ivp_batch(ones, spans, np.zeros((2, 1)), "rk4", dt=0.125, max_steps=8, batch=True).success


# ---- looks into the last step -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made_before", [False, True])
def test_no_look_into_a_step_after_a_failed_try(step_method: Any, made_before: bool) -> None:
    """A failed try overwrites what the step before had left: the answer would be of another step."""
    broken = [False]

    def slope(t: float, y: Array) -> Array:
        return np.full(1, np.nan) if broken[0] else -y

    st = mflow.Stepper(step_method.name, slope, [1.0])
    st.step(0.1)
    st.step(0.1)
    if made_before:
        assert abs(st.interpolate(0.15)[0] - np.exp(-0.15)) < 0.02
    broken[0] = True
    with pytest.raises((FloatingPointError, RuntimeError)):
        st.step(0.1)
    broken[0] = False
    with pytest.raises(ValueError, match="no last step"):
        st.interpolate(0.15)
    st.step(0.1)
    assert abs(st.interpolate(0.25)[0] - np.exp(-0.25)) < 0.03


# ---- saved runs -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{"method": "rk4", "dt": 0.3}, {"method": "dopri5"}])
@pytest.mark.parametrize("end", [0.5, 2.0])
def test_resume_wants_the_same_end(tmp_path: Path, how: dict[str, Any], end: float) -> None:
    """A grid whose last step was shorter does not go on: t would jump by more than the step. Nor does a run go back."""
    path = tmp_path / "run"
    mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], checkpoint=path, checkpoint_every=2, **how)
    with pytest.raises(ValueError, match="t_span was"):
        mflow.solve_ivp(lambda t, y: -y, (0, end), [1.0], resume=path, **how)


def test_resume_counts_all_gradients(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(t: float, y: Array) -> None:
        if t > 0.5:
            raise Stop

    path, start = tmp_path / "run", np.ones(2)
    with pytest.raises(Stop):
        mflow.gradient_flow(lambda c: c, start, 1.0, "dopri5", checkpoint=path, checkpoint_every=1, callback=stop)
    straight = mflow.gradient_flow(lambda c: c, start, 1.0, "dopri5")
    resumed = mflow.gradient_flow(lambda c: c, start, 1.0, "dopri5", resume=path)
    assert (resumed.nfev, resumed.nsteps) == (straight.nfev, straight.nsteps)
    assert resumed.y.tobytes() == straight.y.tobytes()


def test_span_without_length_with_dense_output() -> None:
    r = mflow.solve_ivp(lambda t, y: -y, (2, 2), [1.0], t_eval=[2.0], dense_output=True)
    assert (r.t.tolist(), r.y.tolist(), r.sol(2.0).tolist()) == ([2.0], [[1.0]], [1.0])


# ---- a solver has one owner -------------------------------------------------------------------------------------------------------------


def test_a_solver_belongs_to_one_run() -> None:
    """The second run would free what the first one solves with."""
    row, solver = registry.find("backward_euler"), Solver("dense")
    first = problem.rhs_problem(lambda t, y: -y, (3,))
    run = stepper.Run(row, first, np.ones(3), 0.0, 0.1, {}, solver=solver)
    other = problem.rhs_problem(lambda t, y: -y, (50,))
    with pytest.raises(ValueError, match="make a new one"):
        stepper.Run(row, other, np.ones(50), 0.0, 0.1, {}, solver=solver)
    with pytest.raises(ValueError, match="make a new one"):
        solver.bind(other)
    with pytest.raises(ValueError, match="got the solver of a run"):
        solver.solve(0.0, 0.1, np.ones(3), np.ones(3))
    assert run.step(0.1) == 0
    np.testing.assert_allclose(run.y, np.full(3, 1.0 / 1.1), rtol=1e-14)


# ---- hosts in C -------------------------------------------------------------------------------------------------------------------------

P, REAL, DOUBLES = ctypes.c_void_p, ctypes.c_double, ctypes.POINTER(ctypes.c_double)
VALUE_GRAD = ctypes.CFUNCTYPE(ctypes.c_int, DOUBLES, DOUBLES, DOUBLES, ctypes.c_ssize_t, P)
SOLVE = type(CProblem().solve)
RHS = type(CProblem().rhs)
JAC = ctypes.CFUNCTYPE(ctypes.c_int, REAL, DOUBLES, DOUBLES, ctypes.c_ssize_t, P)
MF_E_STEP, MF_E_SOLVE = -1011, -1010


class Options(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("t0", REAL), ("dt", REAL), ("par", P), ("rtol", REAL), ("atol", REAL),
        ("first_step", REAL), ("max_step", REAL), ("min_step", REAL),
    ]  # fmt: skip


class Host:
    """A run of one component through mf_api."""

    def __init__(self, name: str, start: float, dt: float, rtol: float = 0.0, **callbacks: Any) -> None:
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = P, [ctypes.py_object, ctypes.c_char_p]
        self.table = get(api._C_API, b"mflow_core.api._C_API")
        self.problem = CProblem(size=ctypes.sizeof(CProblem), n=1, ctx=777)
        self.keep = callbacks
        for field, fun in callbacks.items():
            setattr(self.problem, field, fun if field in ("rhs", "solve") else ctypes.cast(fun, P))
        options = Options(size=ctypes.sizeof(Options), dt=dt, rtol=rtol, atol=rtol)
        y0, error = (DOUBLES * 1)(ctypes.pointer(REAL(start))), ctypes.c_int(99)
        row = self.entry(0, P, ctypes.c_char_p)(name.encode())
        self.run = self.entry(9, P, P, P, P, P, P)(
            row, ctypes.addressof(self.problem), ctypes.addressof(options), ctypes.addressof(y0), ctypes.addressof(error)
        )
        assert self.run, error.value

    def entry(self, place: int, *prototype: Any) -> Any:
        return ctypes.CFUNCTYPE(*prototype)(P.from_address(self.table + 16 + 8 * place).value)

    def advance(self, t_end: float, steps: int = 1000) -> int:
        return int(self.entry(10, ctypes.c_int, P, REAL, ctypes.c_int64)(self.run, t_end, steps))

    @property
    def y(self) -> float:
        return float(self.entry(11, ctypes.POINTER(DOUBLES), P, P, P)(self.run, None, None)[0][0])

    def free(self) -> None:
        self.entry(14, None, P)(self.run)


@VALUE_GRAD
def square(c: Any, value: Any, grad: Any, n: int, ctx: int) -> int:
    """c^2/2; value may be NULL."""
    if grad:
        grad[0] = c[0]
    return 0 if ctx == 777 else -5


@SOLVE
def solve_square(t: float, gh: float, r: Any, z: Any, n: int, ctx: int) -> int:
    z[0] = r[0] / (1.0 + gh)
    return 0 if ctx == 777 else -5


@JAC
def jac_of_square(t: float, y: Any, jac: Any, n: int, ctx: int) -> int:
    jac[0] = -1.0
    return 0 if ctx == 777 else -5


@pytest.mark.parametrize("extra", [{"solve": solve_square}, {"jac": jac_of_square}, {}])
def test_every_callback_of_a_host_gets_its_own_context(extra: dict[str, Any]) -> None:
    """Along gradient flow, too, where the right-hand side is made by the library."""
    host = Host("backward_euler", 1.0, 0.125, value_grad=square, **extra)
    assert host.advance(1.0) == 0
    np.testing.assert_allclose(host.y, (1.0 / 1.125) ** 8, rtol=1e-13)
    host.free()


@RHS
def wall(t: float, y: Any, dydt: Any, n: int, ctx: int) -> int:
    dydt[0] = 1.0
    return 1 if t > 0.5 else 0


@SOLVE
def never(t: float, gh: float, r: Any, z: Any, n: int, ctx: int) -> int:
    return 1001 if t > 0.5 else 0


def test_one_means_max_steps_and_nothing_else() -> None:
    """A host that goes on while 1 comes back must not go on for ever where a callback returns 1."""
    for rtol in (0.0, 1e-6):
        host = Host("bs32", 0.0, 0.125, rtol, rhs=wall)
        assert host.advance(1.0, 2) == 1
        assert host.advance(1.0) == MF_E_STEP
        assert 0.375 <= host.y <= 0.5
        host.free()
    host = Host("backward_euler", 0.0, 0.125, rhs=wall, solve=never)
    assert host.advance(1.0, 2) == 1
    assert host.advance(1.0) == MF_E_SOLVE
    host.free()
