"""Which residuals run without Python: those of objectives that are sums of squares, and compiled functions of their signature; sigma."""

from __future__ import annotations

from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
from mflow_core.fitting.compiled import CompiledResiduals
from mflow_core.objectives.objective import Objective
from mflow_core.problems.signatures import RESIDUALS_SIGNATURE, compiled_address

from mflow.base.checks import Array, check_whole, real_array, shown

__all__ = ["Compiled", "check_sigma", "compiled_residuals"]


class Compiled(NamedTuple):
    """Compiled residuals: for the core, how many, whether they have their Jacobian, whether it needs no check."""

    functions: Any
    m: int
    has_jacobian: bool
    trusted: bool


def objective_of(fun: Any, jac: Any) -> Objective | None:
    """The objective itself, or that whose `residuals`, and `jac` where one is given, these are."""
    if isinstance(fun, Objective):
        return fun
    owner = getattr(fun, "__self__", None)
    if not isinstance(owner, Objective) or getattr(fun, "__name__", "") != "residuals":
        return None
    same = getattr(jac, "__self__", None) is owner and getattr(jac, "__name__", "") == "jac"
    return owner if same else None


def compiled_residuals(fun: Any, jac: Any, n: int, m: Any, sigma: Array | None) -> Compiled | None:
    """None for a Python function.

    Raises
    ------
    TypeError, ValueError
        An objective that is no sum of squares, or of another number of unknowns; m missing, or given where it is not needed; a
        compiled function with a Python Jacobian.
    """
    if type(fun) is FunctionType and m is None:
        return None
    objective = objective_of(fun, jac)
    if objective is not None:
        if "squares" not in objective.flags:
            raise TypeError(f"fun: expected residuals, got {objective!r}, which is no sum of squares")
        if objective.n != n:
            raise ValueError(f"x0: expected {objective.n} numbers for {objective!r}, got {n}")
        return _made(objective, objective.m, True, True, sigma)
    address = compiled_address(fun, "fun", RESIDUALS_SIGNATURE)
    if address is None:
        if m is not None:
            raise ValueError(f"m: expected None beside a Python function, whose residuals are counted, got {shown(m)}; omit it")
        return None
    if m is None:
        raise ValueError("m: expected the number of residuals of a compiled function, got None")
    if jac is not True and not isinstance(jac, str):
        raise TypeError(f'jac: expected True, where the compiled function fills its Jacobian, "2-point" or "3-point", got {shown(jac)}')
    return _made((*address, fun), check_whole(m, "m", 1), jac is True, False, sigma)


def _made(source: Any, m: int, has_jacobian: bool, trusted: bool, sigma: Array | None) -> Compiled:
    if sigma is not None and sigma.size not in (1, m):
        raise ValueError(f"sigma: expected {m} numbers, one for each residual, got {sigma.size}")
    return Compiled(CompiledResiduals(source, m, sigma, source).functions, m, has_jacobian, trusted)


def check_sigma(sigma: Any) -> Array | None:
    """Standard deviations, (1,) or (m,). Raises TypeError or ValueError."""
    if sigma is None:
        return None
    values = np.ascontiguousarray(real_array(sigma, "sigma").ravel(), dtype=np.float64)
    bad = np.flatnonzero(~((values > 0.0) & np.isfinite(values)))
    if bad.size:
        number = values[bad[0]]
        kind, fix = (
            ("finite standard deviations", "; remove the datum, which counts for nothing") if number > 0.0 else ("standard deviations", "")
        )
        raise ValueError(f"sigma: expected {kind} above 0, got {number:g} at entry {bad[0]}{fix}")
    return values
