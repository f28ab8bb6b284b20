"""Whether a steady state is stable: the eigenvalues of the Jacobian there."""

from __future__ import annotations

from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.base.pace import interruptible
from mflow.derivatives.differences import central_jacobian

__all__ = ["MOST", "at_rest", "jacobian_at"]

MOST = 500  # unknowns of a problem whose Jacobian is made and whose eigenvalues are computed
LONG = 6e-6  # of differences, relative
MARGIN = 1e-6  # of the largest eigenvalue: differences tell no more about the sign


def at_rest(run: Any, symmetric: bool, doubted: bool = False) -> str:
    """Words on the stability of the state where an infinite step ended. symmetric: the Jacobian is minus a Hessian. doubted: differences
    contradict the user's, so that they tell."""
    y = np.array(run.y, dtype=np.float64).ravel()
    if not y.size:
        return ""
    if y.size > MOST:
        return f"; whether the steady state is stable was not computed for {y.size} unknowns"
    matrix = _differenced(run, y, run.t) if doubted else jacobian_at(run, y)
    if not np.all(np.isfinite(matrix)):
        return "; whether the steady state is stable is not known: the Jacobian there is not finite"
    half = 0.5 * (matrix + matrix.T)
    values = interruptible(float(y.size) ** 3, np.linalg.eigvalsh if symmetric else np.linalg.eigvals, half if symmetric else matrix)
    top, scale = float(np.max(values.real)), float(np.max(np.abs(values)))
    if symmetric:
        least = f"the least curvature there is about {-top:.4g}"
        if abs(top) <= MARGIN * scale:
            return f"; whether it is a minimum is not known from its curvature: {least}, the largest {scale:.4g}"
        return f"; it is a minimum: {least}" if top < 0.0 else f"; it is no minimum: {least}"
    largest = f"the largest real part of the Jacobian's eigenvalues there is about {top:.4g}"
    if abs(top) <= MARGIN * scale:
        return f"; whether the steady state is stable is not known from its linearisation: {largest}, the largest size {scale:.4g}"
    return f"; the steady state is {'stable' if top < 0.0 else 'unstable'}: {largest}"


def jacobian_at(run: Any, y: Array, t: float | None = None) -> Array:
    """The user's Jacobian, where the run stands or at t, or central differences: where there is none, and where they have taken its place
    on the way."""
    t = run.t if t is None else t
    if run.problem.has_jac and not (run.equations is not None and run.equations.overstated):
        given: Array = np.asarray(run.problem.jacobian(t, y))
        return given
    return _differenced(run, y, t)


def _differenced(run: Any, y: Array, t: float) -> Array:
    with np.errstate(all="ignore"):
        lengths = LONG * np.maximum(np.abs(y), max(1e-3 * float(np.max(np.abs(y))), 1e-8))
        return central_jacobian(lambda x: np.array(run.slope(t, x), dtype=np.float64).ravel(), y, lengths)
