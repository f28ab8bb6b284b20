"""What the battery's files share: runs of a row, rows of another instruction set, bits; and bound solvers."""

from typing import Any

import numpy as np
from mflow_core import registry
from mflow_core.problems import problem
from mflow_core.solvers.solver import Solver
from mflow_core.stepping import stepper

from mflow.solvers.nonlinear import make_solver
from support.kernels import go
from support.problems import RHO, Array

EPS = 2.0**-52
RETRY_SOLVE, RETRY_NON_FINITE = 1001, 1002


def bits(a: Any) -> bytes:
    return np.ascontiguousarray(a, dtype=np.float64).tobytes()


def same_at(row: Any, level: str) -> Any:
    return next(other for other in registry.records_of(level) if other.name == row.name)


def run_of(row: Any, fun: Any, y0: Array, dt: float = 0.05, t0: float = 0.0, dense: bool = False) -> Any:
    what = problem.rhs_problem(fun, y0.shape)
    solver = make_solver(None, what, y0.shape, (t0, y0)) if "implicit" in row.flags else None
    run = stepper.Run(row, what, y0, t0, dt, dense=dense, solver=solver)
    if "needs_rho" in row.flags:
        run.hold_rho(RHO)
    return run


def end_of(row: Any, what: Any, y0: Array, t0: float, h: float, steps: int) -> Array:
    """The state after fixed steps: of a run, or, where Newton's iteration would let components meet, with equations solved in closed
    form through the C API."""
    if "implicit" in row.flags:
        return go(what.kernel(row, y0.size), t0, y0, h, steps)[0]
    run = run_of(row, what.rhs, y0, h, t0)
    assert run.fixed(steps) == 0
    return run.y


def descent_of(row: Any, grad: Any, c0: Array, parameters: dict[str, float] | None = None) -> Any:
    what = problem.objective_problem(None, grad, c0.shape)
    return stepper.Run(row, what, c0, 0.0, 0.01, parameters, descend=True)


def bound(fun: Any, n: int, kind: str = "dense", jac: Any = None, **options: Any) -> Solver:
    """The core's Newton solver, bound to y' = fun(t, y) with n components."""
    solver = Solver(kind, jac=jac is not None, **options)
    solver.bind(problem.rhs_problem(fun, (n,), jac=jac))
    return solver
