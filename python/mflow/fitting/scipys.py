"""SciPy's arguments of `least_squares` and `curve_fit`: those that mean the same here, and the fix for each that does not."""

from __future__ import annotations

from typing import Any

import numpy as np
from mflow_core.registry import unknown

from mflow.base.checks import Array, check_number, shown
from mflow.optimize.directions import asks_nothing
from mflow.solvers.sparsity import Index, color_columns, pattern_of

__all__ = ["ELSEWHERE", "check_how", "check_method", "coloured", "of_minpack"]

OTHERS = ("trf", "dogbox")  # SciPy's further methods, which are other algorithms
ELSEWHERE = {
    "verbose": "print the result, or its message; callback= sees each step",
    "tr_solver": "steps come from a QR factorisation of the whole Jacobian, SciPy's 'exact'; omit it",
    "tr_options": "a QR factorisation has none; omit it",
    "workers": "differences are taken one after the other; omit it (least_squares_batch makes many fits at once)",
    "factor": "give dt=, the first step; by default it is as long as p0 at most",
    "col_deriv": "return jac as (m, n), row i the derivatives of datum i; omit it",
    "Dfun": "give jac=",
    "args": "f takes (xdata, *parameters) alone; bind the rest, as by functools.partial",
    "kwargs": "f takes (xdata, *parameters) alone; bind the rest, as by functools.partial",
}
NOTHING: dict[str, tuple[Any, ...]] = {  # values that ask for what happens anyway
    "verbose": (0,), "tr_solver": ("exact",), "tr_options": (), "workers": (1,), "col_deriv": (0,), "Dfun": (),
}  # fmt: skip


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


def check_how(owner: str, given: dict[str, Any], known: tuple[str, ...] = ()) -> None:
    """Raises ValueError for arguments that ask for what is not done here, with the fix, and for names that nobody has."""
    for name, value in given.items():
        if name in known or (name in NOTHING and asks_nothing(value, NOTHING[name])):
            continue
        if name not in ELSEWHERE:
            raise ValueError(unknown(f"{owner}: expected a known argument, got", name, list(known)))
        raise ValueError(f"{name}: {ELSEWHERE[name]}, got {shown(value)}")


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
    values = np.asarray(diag, dtype=np.float64)
    if values.shape not in ((), (n,)) or not np.all((values > 0.0) & np.isfinite(values)):
        raise ValueError(f"diag: expected {n} numbers above 0, got {shown(diag)}")
    return 1.0 / values


def coloured(jac_sparsity: Any, m: int, n: int) -> tuple[Index, Index, Index]:
    """(indptr, indices, the group of each column) of a pattern (m, n) of the Jacobian: see `color_columns`."""
    indptr, indices = pattern_of(jac_sparsity, n, m)
    return indptr, indices, color_columns(indptr, indices)
