"""Optimization as dynamics: x'' = -grad f(x) - friction x', with mass 1, stepped by a second-order row from rest.

`MomentumRun` looks to `mflow.minimize` as a run of the core does. The gradient at a point is asked for once: the acceleration at the end of
a step and the test of convergence share it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mflow_core import force, problem, registry, stepper

from mflow import nonlinear
from mflow.arrays import Array
from mflow.methods import Method

__all__ = ["MomentumRun"]


class MomentumRun:
    """A descent with friction from a start, one step of dt an iteration."""

    def __init__(
        self, method: Method, what: problem.Problem, start: Array, dt: float, friction: float, hess: Any, args: tuple[Any, ...], solver: Any
    ) -> None:
        self.friction, self._point = friction, b""
        self._cost = stepper.Run(registry.find("euler"), what, start, descend=True)
        solves = method.is_implicit or method.parameters.get("damping") == "implicit"
        tangent: Any = None
        if hess is not None and solves:
            tangent = (lambda t, x, v: -_matrix(hess(x, *args))) if callable(hess) else -_matrix(hess)
        inner = nonlinear.force_solver(solver, start.size, tangent is not None) if solves else None
        n = start.size
        acting = force.Force(
            self._force, start.shape, velocity_free=friction == 0.0, solver=inner, dfdx=tangent,
            dfdv=None if tangent is None else -friction * np.eye(n),
        )  # fmt: skip
        self._run = stepper.Run(method.row, acting, start, 0.0, dt, method._values, v0=np.zeros_like(start))
        self._good: tuple[Array, Array, float] | None = None
        self.largest_slope = (math.nan, math.nan)

    def _force(self, t: float, x: Array, v: Array) -> Array:
        return -self._at(x)[1] - self.friction * v

    def _at(self, x: Array) -> tuple[float, Array]:
        """Cost and gradient, once a point."""
        point = x.tobytes()
        if point != self._point:
            self._last = self._cost.evaluate(x)
            self._point = point
        return self._last

    def descend(self, count: int, gtol: float, want_value: bool, alarm: float = math.inf) -> int:
        """Up to ``count`` iterations: CONVERGED, 0 not yet, or why it could not go on. A count of 0 looks where it stands."""
        for i in range(max(count, 1)):
            x = self._run.y
            value, grad = self._at(x)
            if not np.all(np.isfinite(grad)):
                return int(stepper.NON_FINITE)
            size = float(np.max(np.abs(grad), initial=0.0))
            self._good = (x, grad, value)
            self.largest_slope = (size if math.isnan(self.largest_slope[0]) else self.largest_slope[0], size)
            if size <= gtol:
                return int(stepper.CONVERGED)
            if i < count:
                status = self._run.fixed(1)
                if status != 0:
                    return int(status)
        return 0

    def here(self) -> tuple[Array, Array]:
        """(point, gradient) of the last good evaluation."""
        assert self._good is not None
        return self._good[0].copy(), self._good[1].copy()

    def evaluate(self, x: Array, want_grad: bool = True) -> tuple[float, Array]:
        """(cost, gradient)."""
        return self._cost.evaluate(x, want_grad)

    def set_dt(self, dt: float) -> None:
        """The step from here on."""
        self._run.set_dt(dt)

    @property
    def k(self) -> int:
        """Steps taken."""
        return self._run.k

    @property
    def y(self) -> Array:
        """A copy of the point."""
        return self._run.y

    @property
    def value(self) -> float:
        """The cost at the last good point."""
        return math.nan if self._good is None else self._good[2]

    @property
    def nfev(self) -> int:
        """Evaluations of the cost."""
        return self._cost.nfev

    @property
    def njev(self) -> int:
        """Evaluations of its gradient."""
        return self._cost.njev

    @property
    def rho(self) -> tuple[float, int]:
        """No second-order row works with a spectral radius."""
        return math.nan, -1


def _matrix(H: Any) -> Array:
    return np.asarray(H.toarray() if hasattr(H, "toarray") else H, dtype=np.float64)
