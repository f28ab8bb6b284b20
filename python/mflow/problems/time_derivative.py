"""``rhs_t=``: the partial derivative of a right-hand side by time, as linearly implicit methods need it."""

from __future__ import annotations

from typing import Any

import numpy as np
from mflow_core import registry
from mflow_core.problems import problem
from mflow_core.problems.signatures import RHS_SIGNATURE, compiled_address

from mflow.base.checks import Array, shown
from mflow.base.methods import Method

__all__ = ["time_derivative"]


def time_derivative(rhs_t: Any, shape: tuple[int, ...], args: tuple[Any, ...], inplace: bool, method: Method) -> problem.Problem:
    """A problem whose right-hand side is ``rhs_t(t, y, *args)``, or fills ``out`` with inplace.

    Raises
    ------
    TypeError, ValueError
        rhs_t is no function, or the method does not use it. A function that returns something else raises them when it is called.
    """
    linear = [record.name for record in registry.records() if "G" in (record.tableau or {})]
    if method.name not in linear:
        raise ValueError(f"rhs_t: expected a method that uses the derivative by time ({', '.join(linear)}), got {method.name}; omit it")
    if compiled_address(rhs_t, "rhs_t", RHS_SIGNATURE) is not None:
        return problem.rhs_problem(rhs_t, shape, args)
    if not callable(rhs_t):
        raise TypeError(f"rhs_t: expected a function of (t, y), got {shown(rhs_t)}")
    if inplace:
        return problem.rhs_problem(rhs_t, shape, args, True)

    def asked(t: float, y: Array, *more: Any) -> Array:
        out = np.asarray(rhs_t(t, y, *more))
        if out.dtype.kind not in "biuf" or out.shape != shape:
            raise ValueError(f"rhs_t: expected real numbers of shape {shape}, got dtype {out.dtype} and shape {out.shape}")
        return out

    return problem.rhs_problem(asked, shape, args)
