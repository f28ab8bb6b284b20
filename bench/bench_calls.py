"""What a call costs before it does any work: drivers over a span of one step, objects that are made, a prepared solver.

The peers do the same work in the same run: SciPy's drivers, torch's optimizer, numbalsoda where it is installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mflow

if TYPE_CHECKING:
    from conftest import Bench

COMPILED, PYTHON, MOTION, STEPPER, OPTIMIZER, PREPARED = 12e3, 15e3, 20e3, 8e3, 5e3, 1.5e3  # ns
START, SHORT = np.array([1.0, 2.0, 3.0]), (0.0, 1e-3)
TOLERANCES = {"rtol": 1e-6, "atol": 1e-8}


def decay(t: float, y: Any) -> Any:
    return -y


def decay_into(t: float, y: Any, out: Any) -> None:
    for i in range(y.size):
        out[i] = -y[i]


def test_solve_ivp(bench: Bench) -> None:
    pytest.importorskip("numba")
    scipy = pytest.importorskip("scipy.integrate")
    names = {"f": decay, "c": mflow.compile(decay_into, inplace=True), "span": SHORT, "y0": START, "tol": TOLERANCES}
    theirs = bench.loop("solve(f, span, y0, **tol)", solve=scipy.solve_ivp, **names)
    assert np.allclose(mflow.solve_ivp(decay, SHORT, START).y[:, -1], scipy.solve_ivp(decay, SHORT, START).y[:, -1])
    ours = bench.loop("solve(c, span, y0, **tol)", solve=mflow.solve_ivp, **names)
    bench.compare("solve_ivp, one step, compiled", {"mflow": ours, "SciPy": theirs}, limit_ns=COMPILED)
    ours = bench.loop("solve(f, span, y0, **tol)", solve=mflow.solve_ivp, **names)
    bench.compare("solve_ivp, one step, Python function", {"mflow": ours, "SciPy": theirs}, limit_ns=PYTHON)


def test_gradient_flow(bench: Bench) -> None:
    scipy = pytest.importorskip("scipy.integrate")
    ours = bench.loop("flow(grad, y0, 0.1, dt=0.1)", flow=mflow.gradient_flow, grad=lambda c: 2.0 * c, y0=START)
    theirs = bench.loop("solve(f, span, y0)", solve=scipy.solve_ivp, f=lambda t, c: -2.0 * c, span=SHORT, y0=START)
    bench.compare("gradient_flow, one step, Python function", {"mflow": ours, "SciPy's solve_ivp": theirs}, limit_ns=PYTHON)


def test_minimize(bench: Bench) -> None:
    pytest.importorskip("numba")
    optimize = pytest.importorskip("scipy.optimize")

    def cost(x: Any) -> Any:
        return ((x - 1.0) ** 2).sum()

    def grad(x: Any) -> Any:
        return 2.0 * (x - 1.0)

    names = {"cost": cost, "grad": grad, "c": mflow.compile(cost, jac=grad), "x0": START}
    theirs = bench.loop("minimize(cost, x0, jac=grad, method='L-BFGS-B')", minimize=optimize.minimize, **names)
    default = bench.loop("minimize(cost, x0, jac=grad)", minimize=optimize.minimize, **names)
    ours = bench.loop("minimize(c, x0)", minimize=mflow.minimize, **names)
    bench.compare("minimize |x - 1|^2, compiled", {"mflow": ours, "SciPy, L-BFGS-B": theirs}, limit_ns=COMPILED)
    ours = bench.loop("minimize(cost, x0, jac=grad)", minimize=mflow.minimize, **names)
    peers = {"SciPy, L-BFGS-B": theirs, "SciPy, default": default}
    bench.compare("minimize |x - 1|^2, Python functions", {"mflow": ours, **peers}, limits={"SciPy, default": 1.0})


def test_solve_dynamics(bench: Bench) -> None:
    scipy = pytest.importorskip("scipy.integrate")
    solve = mflow.solve_dynamics
    ours = bench.loop("solve(mass=1.0, stiffness=4.0, t_span=(0.0, 0.1), x0=x0, dt=0.1)", solve=solve, x0=np.ones(1))
    oscillator = {"solve": scipy.solve_ivp, "f": lambda t, y: [y[1], -4.0 * y[0]], "span": SHORT, "y0": np.array([1.0, 0.0])}
    theirs = bench.loop("solve(f, span, y0)", **oscillator)
    bench.compare("solve_dynamics, one step of an oscillator", {"mflow": ours, "SciPy's solve_ivp": theirs}, limit_ns=MOTION)


def test_objects(bench: Bench) -> None:
    ours = bench.loop("Stepper('dopri5', f, y0, **tol)", Stepper=mflow.Stepper, f=decay, y0=START, tol=TOLERANCES)
    scipy = pytest.importorskip("scipy.integrate")
    theirs = bench.loop("RK45(f, 0.0, y0, 1.0, **tol)", RK45=scipy.RK45, f=decay, y0=START, tol=TOLERANCES)
    bench.compare("Stepper is made", {"mflow": ours, "SciPy's RK45": theirs}, limit_ns=STEPPER)
    torch = pytest.importorskip("torch")
    ours = bench.loop("Adam(c)", Adam=mflow.optim.Adam, c=np.zeros(3))
    theirs = bench.loop("Adam([c])", Adam=torch.optim.Adam, c=torch.zeros(3, requires_grad=True))
    bench.compare("optim.Adam is made", {"mflow": ours, "torch": theirs}, limit_ns=OPTIMIZER)


def test_prepared(bench: Bench) -> None:
    pytest.importorskip("numba")
    compiled = mflow.compile(decay_into, inplace=True)
    solver = mflow.compile_solver(compiled, 3, **TOLERANCES)
    names = {"span": SHORT, "y0": START}
    assert np.array_equal(solver(SHORT, START), mflow.solve_ivp(compiled, SHORT, START, **TOLERANCES).y[:, -1])
    ours = bench.loop("solver(span, y0)", solver=solver, **names)
    full = bench.loop("solve(c, span, y0, **tol)", solve=mflow.solve_ivp, c=compiled, tol=TOLERANCES, **names)
    peers = {"solve_ivp": full}
    try:
        import numbalsoda
    except ImportError:
        pass
    else:
        code = made_for_numbalsoda(numbalsoda)
        peers["numbalsoda"] = bench.loop("lsoda(a, y0, times)", lsoda=numbalsoda.lsoda, a=code.address, y0=START, times=np.array(SHORT))
    bench.compare("a prepared solver is called, one step", {"mflow": ours, **peers}, limit_ns=PREPARED)


def made_for_numbalsoda(numbalsoda: Any) -> Any:
    """The right-hand side in its form."""
    import numba

    @numba.cfunc(numbalsoda.lsoda_sig)
    def rhs(t: Any, y: Any, dy: Any, p: Any) -> None:
        for i in range(3):
            dy[i] = -y[i]

    return rhs
