"""Optimization as dynamics: x'' = -grad f(x) - friction x', with mass 1, stepped by a second-order method from rest.

The loop over steps is the core's, as for any descent: the gradient at the end of a step, the test of convergence and the next acceleration
are one evaluation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mflow_core.dynamics import slope_force
from mflow_core.problems.problem import Problem
from mflow_core.stepping import stepper

from mflow.base.checks import Array, dense_array
from mflow.base.methods import Method
from mflow.solvers import nonlinear

__all__ = ["MomentumRun", "momentum_run"]


class MomentumRun(stepper.Run):
    """A descent with friction from a start, one step of dt an iteration."""

    @property
    def nfev(self) -> int:
        """Evaluations of the cost."""
        return self._calls if self.problem.callback is None else super().nfev

    @property
    def njev(self) -> int:
        """Evaluations of its gradient."""
        return self._calls if self.problem.callback is None else super().njev

    @property
    def _calls(self) -> int:
        assert isinstance(self.problem, slope_force.SlopeForce)
        return self.problem.calls


def momentum_run(
    method: Method, cost: Problem, start: Array, dt: float, friction: float, hess: Any, args: tuple[Any, ...], solver: Any
) -> MomentumRun:
    """The run of a cost from rest at the start.

    hess: the cost's Hessian, a function or constant, for implicit methods; solver: how their steps are solved.
    """
    solves = method.is_implicit or method.parameters.get("damping") == "implicit"
    tangent: Any = None
    if hess is not None and solves:
        tangent = (lambda t, x, v: -_matrix(hess(x, *args))) if callable(hess) else -_matrix(hess)
    inner = nonlinear.force_solver(solver, start.size, tangent is not None) if solves else None
    damping = None if tangent is None else -friction * np.eye(start.size)
    acting = slope_force.SlopeForce(cost, start.shape, friction, dfdx=tangent, dfdv=damping, solver=inner)
    return MomentumRun(method.record, acting, start, 0.0, dt, method.numbers, descend=True, v0=np.zeros_like(start))


def _matrix(H: Any) -> Array:
    return dense_array(H, "hess")
