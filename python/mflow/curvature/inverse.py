"""The approximation of the inverse Hessian that a quasi-Newton run ends with."""

from __future__ import annotations

from typing import Any

import numpy as np
from mflow_core import registry
from mflow_core.optimize import line_descent
from mflow_core.problems.problem import objective_problem

from mflow.base.checks import Array
from mflow.base.pace import pieces

__all__ = ["InverseHessian"]


class InverseHessian:
    """The approximation H of the inverse Hessian where a quasi-Newton method ended: ``H @ v``, ``H.todense()``."""

    def __init__(self, run: line_descent.LineDescent, n: int, how: tuple[Any, ...]) -> None:
        self._run, self.shape, self._how = run, (n, n), how

    def __reduce__(self) -> Any:
        return _inverse_from, (self._run.record.name, self.shape[0], self._how, self._run.save(), self._run.scale, self._run.plain)

    def __matmul__(self, right: Any) -> Array:
        columns = np.asarray(right, dtype=np.float64)
        if columns.ndim not in (1, 2) or len(columns) != self.shape[0]:
            raise ValueError(f"H @ v: expected {self.shape[0]} numbers, or as many rows, got shape {columns.shape}")
        out = self._run.inverse_hessian(np.ascontiguousarray(np.atleast_2d(columns.T)))
        return out[0] if columns.ndim == 1 else np.ascontiguousarray(out.T)

    def whole(self) -> Array:
        """The same of a method that keeps H itself."""
        found = self._run.inverse_hessian_whole()
        return self.todense() if found is None else found

    def todense(self) -> Array:
        """H as an (n, n) array."""
        out, first = np.empty(self.shape), 0
        for count, _ in pieces(self.shape[0]):
            out[:, first : first + count] = self @ np.eye(self.shape[0], count, -first)
            first += count
        return out

    def __repr__(self) -> str:
        return f"InverseHessian(shape={self.shape})"


def _inverse_from(name: str, n: int, how: tuple[Any, ...], state: bytes, scale: Array | None, plain: bool) -> InverseHessian:
    """What was pickled: the method with what it keeps, on a cost that nobody asks."""
    problem = objective_problem(lambda x: 0.0, np.zeros_like, (n,))
    flat = None if scale is None else np.ascontiguousarray(scale.ravel())
    kind, rule, numbers = how
    run = line_descent.LineDescent(registry.find(name), problem, np.zeros(n), kind, rule, numbers, scale=flat)
    run.plain = plain
    run.restore(state)
    return InverseHessian(run, n, how)
