"""SciPy's arguments of `least_squares` and `curve_fit`: those that mean the same here, and the fix for each that does not."""

from __future__ import annotations

from typing import Any

import numpy as np

from mflow.base.checks import Array, check_number, real_array, shown
from mflow.base.foreign import NOTHING, ONE_BY_ONE, asks_nothing
from mflow.solvers.sparsity import Index, color_columns, pattern_of

__all__ = ["OWN", "check_method", "check_scipys", "coloured", "of_minpack"]

OTHERS = ("trf", "dogbox")  # SciPy's further methods, which are other algorithms
OWN = {  # what SciPy's further arguments are told here
    "verbose": "print the result, or its message; callback= sees each step",
    "workers": ONE_BY_ONE,
    "tr_solver": "steps come from a QR factorisation of the whole Jacobian, SciPy's 'exact'; omit it",
    "tr_options": "a QR factorisation has none; omit it",
    "factor": "give dt=, the first step; by default it is as long as p0 at most",
    "col_deriv": "return jac as (m, n), row i the derivatives of datum i; omit it",
    "args": "f takes (xdata, *parameters) alone; bind the rest, as by functools.partial",
    "vary": 'fixed=["name"] holds parameters at their p0',
    "weights": "give sigma=1/weights",
    "params": "give p0=, bounds= and fixed=",
    "expr": "write the relation into the model, which then has a parameter less",
    **dict.fromkeys(("xerr", "sx"), "errors of xdata are not taken, scipy.odr does; small ones count as sigma=sqrt(yerr^2 + (f' xerr)^2)"),
    "beta0": "give p0=",
    "kwargs": "f takes (xdata, *parameters) alone; bind the rest, as by functools.partial",
}


def check_method(method: Any) -> bool:
    """Whether it is "lm" by name, which wants as many residuals as parameters. Raises ValueError for what is not ours."""
    if method is None:
        return False
    if isinstance(method, str) and method == "lm":
        return True
    expected = "method: expected 'lm' (Levenberg-Marquardt, with bounds or without), or None"
    if isinstance(method, str) and method in OTHERS:
        raise ValueError(f"{expected}, got {method!r}, which is SciPy's; omit it: bounds and any number of residuals are taken without it")
    raise ValueError(f"{expected}, got {shown(method)}")


def check_scipys(**given: Any) -> None:
    """Raises ValueError for arguments of `least_squares` that ask for what is not done here."""
    for name, value in given.items():
        if not asks_nothing(name, value):
            usual = NOTHING.get(name, (None,))[0]
            raise ValueError(f"{name}: expected {usual!r}, got {shown(value)}; {OWN[name]}")


def of_minpack(given: dict[str, Any], n: int) -> dict[str, Any]:
    """The arguments of a fit, with those of MINPACK's lm by our names: epsfcn is the square of a step, diag the inverse of units."""
    out = dict(given)
    for name, ours in (("epsfcn", "diff_step"), ("diag", "x_scale")):
        value = out.pop(name, None)
        if value is not None and ours in out:
            raise TypeError(f"{name}, {ours}: they are one thing, got both; give one of them")
        if value is not None and name == "epsfcn":
            out[ours] = float(np.sqrt(max(check_number(value, name, low=0.0), 2.0**-52)))
        elif value is not None:
            out[ours] = _inverse(value, n)
    return out


def _inverse(diag: Any, n: int) -> Array:
    values = real_array(diag, "diag")
    if values.shape not in ((), (n,)) or not np.all((values > 0.0) & np.isfinite(values)):
        raise ValueError(f"diag: expected {n} numbers above 0, got {shown(diag)}")
    return 1.0 / values


def coloured(jac_sparsity: Any, m: int, n: int) -> tuple[Index, Index, Index]:
    """(indptr, indices, the group of each column) of a pattern (m, n) of the Jacobian: see `color_columns`."""
    indptr, indices = pattern_of(jac_sparsity, n, m)
    return indptr, indices, color_columns(indptr, indices)
