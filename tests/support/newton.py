"""The core's Newton solver on a right-hand side: what the tests of solvers share."""

from __future__ import annotations

from mflow_core.problems.problem import rhs_problem
from mflow_core.solvers.newton import Solver

RETRY_SOLVE, RETRY_NON_FINITE = 1001, 1002


def bound(fun, n, kind="dense", jac=None, **options):
    """A solver that is bound to y' = fun(t, y) with n components."""
    solver = Solver(kind, jac=jac is not None, **options)
    solver.bind(rhs_problem(fun, (n,), jac=jac))
    return solver
