"""Integrators and drivers: runs and `solve_ivp` against hand-written C that calls the same pointer, and what Python right-hand sides cost.

A run tests every new state for finite numbers and keeps the last good one, which the twins of twins.c do not. Kernels alone are in
bench_kernels.py.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mflow_core.problems import problem
from mflow_core.stepping import stepper

import mflow

if TYPE_CHECKING:
    from conftest import Bench, Runner

Array = np.ndarray[Any, np.dtype[np.float64]]

AGAINST_C = 1.15
BEYOND_CALL = 150.0  # ns an evaluation of a Python right-hand side
START = (1.0, 1.0, 20.0)
DT = 1e-3
CHECKED_STEPS = 100

POINTER = ctypes.POINTER(ctypes.c_double)
RHS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, POINTER, POINTER, ctypes.c_ssize_t, ctypes.c_void_p)
COST = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, POINTER, ctypes.c_ssize_t, ctypes.c_void_p)


def compiled(library: ctypes.CDLL, name: str, kind: Any = RHS) -> Any:
    return kind((name, library))


class Twin:
    """A hand-written integrator with buffers of its own."""

    def __init__(self, library: ctypes.CDLL, name: str, rhs: Any, room: Callable[..., Array], start: Array) -> None:
        n = start.size
        self.function = getattr(library, f"twin_{name}")
        self.function.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_double, ctypes.c_double,
                                  ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t]  # fmt: skip
        self.function.restype = None
        self.ld = (n + 7) // 8 * 8 + 8
        self.y, self.work = room(n, start), room(5 * self.ld)
        self.n, self.rhs = n, ctypes.cast(rhs, ctypes.c_void_p).value

    def __call__(self, count: int) -> None:
        self.function(self.rhs, self.n, count, 0.0, DT, self.y.ctypes.data, self.work.ctypes.data, self.ld)


def run_of(name: str, rhs: Any, start: Array) -> stepper.Run:
    return stepper.Run(mflow.get_method(name).record, problem.rhs_problem(rhs, start.shape), start, 0.0, DT)


# ---- runs against twins ------------------------------------------------------------------------------------------------------------------


def test_lorenz_rk4(bench: Bench, twins: ctypes.CDLL, room: Callable[..., Array]) -> None:
    """The loop of the core, and `solve_ivp` as users call it, at 100 000 steps."""
    rhs, start, steps = compiled(twins, "lorenz"), np.array(START), 100_000
    end = mflow.solve_ivp(rhs, (0.0, CHECKED_STEPS * DT), start, "rk4", dt=DT, save="last")
    twin, run = Twin(twins, "rk4", rhs, room, start), run_of("rk4", rhs, start)
    twin(CHECKED_STEPS)
    run.fixed(CHECKED_STEPS)
    np.testing.assert_allclose(end.y[:, -1], twin.y, rtol=1e-12)
    np.testing.assert_array_equal(end.y[:, -1], run.y)

    def public(count: int) -> None:
        for _ in range(count):
            result = mflow.solve_ivp(rhs, (0.0, steps * DT), start, "rk4", dt=DT, save="last")
            assert result.nsteps == steps

    bench.compare("Lorenz, rk4, a step of Run.fixed", {"mflow": run.fixed, "C twin": twin}, {"C twin": AGAINST_C})
    functions = {"mflow": public, "C twin": lambda count: twin(steps * count)}
    bench.compare("Lorenz, rk4, solve_ivp of 1e5 steps, save='last'", functions, {"C twin": AGAINST_C})


@pytest.mark.parametrize("n", [1_000_000, 10_000_000])
@pytest.mark.parametrize("name", ["euler", "rk4", "tvd_rk3"])
def test_long_states(name: str, n: int, bench: Bench, twins: ctypes.CDLL, room: Callable[..., Array]) -> None:
    """Beyond the caches: a run, which keeps the last good state and looks at the new one; and one whose right-hand side may be cut."""
    rhs, start = compiled(twins, "linear"), np.cos(np.arange(n))
    run, twin = run_of(name, rhs, start), Twin(twins, name, rhs, room, start)
    cut = stepper.Run(mflow.get_method(name).record, problem.rhs_problem(rhs, start.shape, elementwise=True), start, 0.0, DT)
    run.fixed(2)
    cut.fixed(2)
    assert np.array_equal(run.y, cut.y)

    def shared(count: int) -> None:
        with mflow.threads(2):
            cut.fixed(count)

    how = {"rounds": 9, "seconds": 2e-2}
    what = f"{name}, n = {n:,}, y' = -y/2, a step of Run.fixed"
    bench.compare(what, {"mflow": run.fixed, "C twin": twin}, {"C twin": AGAINST_C}, **how)
    bench.compare(f"{what}, elementwise", {"mflow": cut.fixed, "C twin": twin}, {"C twin": 1.0}, **how)
    bench.compare(f"{what}, elementwise, two threads", {"mflow": shared, "one thread": cut.fixed}, {"one thread": 1.0}, **how)


# ---- Python right-hand sides -----------------------------------------------------------------------------------------------------------


def beyond(found: Any, bare: Any, scale: float) -> Any:
    """Quartiles of an evaluation less those of the bare call."""
    return type(found)(*(q / scale - bare.lower for q in (found.lower, found.median, found.upper)))


def test_python_rhs(bench: Bench) -> None:
    """What an evaluation costs beyond the call of the function itself, which here does nothing: it hands out one array."""
    slope, start, steps = np.array([0.5, -0.25, 1.0]), np.array(START), 1000

    def fun(t: float, y: Array) -> Array:
        return slope

    run = run_of("rk4", fun, start)
    run.fixed(10)
    np.testing.assert_allclose(run.y, start + 10 * DT * slope, rtol=1e-12)
    t_end = steps * DT
    names: dict[str, Any] = {"solve": mflow.solve_ivp, "fun": fun, "t_end": t_end, "start": start, "dt": DT}
    functions: dict[str, Runner] = {
        "Run.fixed": run.fixed,
        "solve_ivp": bench.loop("solve(fun, (0.0, t_end), start, 'rk4', dt=dt, save='last')", **names),
        "bare": bench.loop("fun(0.5, y)", fun=fun, y=start),
    }
    evaluations = {"Run.fixed": 4.0, "solve_ivp": 4.0 * steps}
    scipy = has_scipy()
    if scipy is not None:
        options = {"method": "RK45", "max_step": DT, "first_step": DT, "rtol": 1.0, "atol": 1.0}
        evaluations["scipy"] = float(scipy.solve_ivp(fun, (0.0, t_end), start, **options).nfev)
        functions["scipy"] = bench.loop("solve(fun, (0.0, t_end), y, **o)", solve=scipy.solve_ivp, fun=fun, t_end=t_end, y=start, o=options)
    found = bench.interleaved(functions, rounds=15, seconds=5e-3)
    bench.show(functions["solve_ivp"])
    net = {name: beyond(found[name], found["bare"], count) for name, count in evaluations.items()}
    for name in ("Run.fixed", "solve_ivp"):
        what = f"Python rhs of 3, beyond the call ({found['bare'].lower:.0f} ns), {name}"
        bench.line(bench.Line(what, net[name], "scipy solve_ivp RK45" if scipy else "", net.get("scipy"), None, BEYOND_CALL))


def has_scipy() -> Any:
    try:
        import scipy.integrate
    except ImportError:
        return None
    return scipy.integrate


# ---- drivers with a compiled cost ------------------------------------------------------------------------------------------------------


def test_drivers(bench: Bench, twins: ctypes.CDLL) -> None:
    """Rosenbrock's function of 10 variables, an iteration; SciPy's iterations do more, and call Python: for orientation."""
    optimize = pytest.importorskip("scipy.optimize")
    cost, x0, steps = compiled(twins, "rosenbrock", COST), np.linspace(-1.0, 1.0, 10), 2000
    gradient = mflow.minimize(cost, x0, method="sgd", lr=1e-4, maxiter=0).jac
    np.testing.assert_allclose(gradient, optimize.rosen_der(x0), rtol=1e-12)
    descended = mflow.minimize(cost, x0, method="sgd", lr=1e-4, maxiter=steps, gtol=0.0)
    flowed = mflow.gradient_flow(cost, x0, steps * 1e-4, "euler", dt=1e-4, save="last")
    assert descended.nit == flowed.nsteps == steps
    x = x0.copy()
    for _ in range(steps):
        x -= 1e-4 * optimize.rosen_der(x)
    np.testing.assert_allclose(flowed.y[:, -1], x, rtol=1e-9)

    out = np.empty(10)
    twins.call_cost.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p]
    twins.call_cost.restype = ctypes.c_double
    address = ctypes.cast(cost, ctypes.c_void_p).value
    calls: dict[str, tuple[Callable[[], Any], int]] = {
        "minimize, sgd": (lambda: mflow.minimize(cost, x0, method="sgd", lr=1e-4, maxiter=steps, gtol=0.0), steps),
        "minimize, adam": (lambda: mflow.minimize(cost, x0, method="adam", lr=1e-4, maxiter=steps, gtol=0.0), steps),
        "minimize, rk4": (lambda: mflow.minimize(cost, x0, method="rk4", dt=1e-4, maxiter=steps, gtol=0.0), steps),
        "gradient_flow, euler": (lambda: mflow.gradient_flow(cost, x0, steps * 1e-4, "euler", dt=1e-4, save="last"), steps),
    }
    for name in ("BFGS", "CG"):

        def minimise(name: str = name) -> Any:
            return optimize.minimize(optimize.rosen, x0, method=name, jac=optimize.rosen_der)

        calls[f"scipy {name}"] = (minimise, minimise().nit)
    functions = {name: bench.loop("f()", f=f) for name, (f, _) in calls.items()}
    functions["the cost alone, from C"] = lambda count: twins.call_cost(address, 10, count, x0.ctypes.data, out.ctypes.data)
    found = bench.interleaved(functions, rounds=15)
    bench.show(functions["minimize, sgd"])
    each = {name: beyond(q, type(q)(0.0, 0.0, 0.0), calls[name][1] if name in calls else 1) for name, q in found.items()}
    for name in list(calls)[:4]:
        for peer in ("the cost alone, from C", "scipy BFGS", "scipy CG"):
            bench.line(bench.Line(f"{name}, Rosenbrock of 10, an iteration", each[name], peer, each[peer]))
