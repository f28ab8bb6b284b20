"""Bounds of fits in SciPy's forms, and parameters that are held."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mflow_core.registry import unknown
from numpy.typing import NDArray

from mflow.base.checks import Array, as_array, check_list, real_array, shown

__all__ = ["EVERYWHERE", "check_box", "check_fixed", "sides", "sides_by_name"]

EVERYWHERE = (-math.inf, math.inf)  # bounds where there are none


def sides(bounds: Any, n: int) -> tuple[Array, Array]:
    """(lower, upper), (n,) each, of a pair of numbers or vectors, or of SciPy's `Bounds`. Raises TypeError or ValueError."""
    pair = [bounds.lb, bounds.ub] if hasattr(bounds, "lb") else check_list(bounds, "bounds", "a pair (lower, upper)")
    form = _of_pairs(pair, n)
    if len(pair) != 2 or (form and any(side is None for ends in pair for side in ends)):
        raise ValueError(f"bounds: expected a pair (lower, upper), got {shown(bounds)}{form}")
    out = []
    for side, name in zip(pair, ("lower", "upper"), strict=True):
        values = np.asarray(real_array(side, "bounds"), dtype=np.float64)
        if values.ndim > 1 or (values.ndim == 1 and values.size != n):
            raise ValueError(f"bounds: expected a number as {name} bound, or {n}, as there are parameters, got shape {values.shape}")
        if (lost := np.flatnonzero(np.isnan(values))).size:
            where = f" for parameter {lost[0]}" if values.ndim else ""
            raise ValueError(f"bounds: expected {name} bounds that are numbers or infinite, got nan{where}; use inf where there is none")
        out.append(np.broadcast_to(values, (n,)).copy())
    lower, upper = out
    crossed = np.flatnonzero(lower >= upper)
    if crossed.size:
        j = int(crossed[0])
        raise ValueError(
            f"bounds: expected each lower bound below its upper one, got {lower[j]:g} and {upper[j]:g} for parameter {j}; "
            f"fixed= holds a parameter{form}"
        )
    return lower, upper


def _of_pairs(bounds: Any, n: int) -> str:
    """The fix where it is one pair of numbers or None, in order, for each parameter, as `minimize` takes them; else no words."""
    rows = all(isinstance(ends, tuple | list) or (isinstance(ends, np.ndarray) and ends.ndim) for ends in bounds)
    if len(bounds) != n or not rows or any(len(ends) != 2 for ends in bounds):
        return ""
    if not all(end is None or np.isscalar(end) for ends in bounds for end in ends):
        return ""
    lower, upper = ([far if ends[k] is None else ends[k] for ends in bounds] for k, far in enumerate(EVERYWHERE))
    try:
        ordered = all(low < high for low, high in zip(lower, upper, strict=True))
    except TypeError:  # no numbers
        return ""
    words = ("[" + ", ".join(f"{end:g}" for end in ends) + "]" for ends in (lower, upper))
    return f"; a pair for each parameter is ({', '.join(words)}) in SciPy's form" if ordered else ""


def sides_by_name(bounds: dict[str, Any], names: tuple[str, ...]) -> tuple[Array, Array]:
    """(lower, upper) of pairs for some of the parameters with these names. Raises TypeError or ValueError, which name the key."""
    lower, upper = np.full(len(names), -math.inf), np.full(len(names), math.inf)
    for name, given in bounds.items():
        if name not in names:
            raise ValueError(unknown("bounds: expected names of parameters, got", str(name), list(names)))
        label = f"bounds[{name!r}]"
        pair = check_list(given, label, "a pair (lower, upper)")
        if len(pair) != 2:
            raise ValueError(f"{label}: expected a pair (lower, upper), got {shown(given)}")
        low, high = (end if side is None else real_array(side, label) for side, end in zip(pair, EVERYWHERE, strict=True))
        if np.ndim(low) or np.ndim(high) or not low < high:
            raise ValueError(
                f"{label}: expected two numbers or None, the lower bound below the upper one, got {shown(given)}; fixed= holds a parameter"
            )
        lower[names.index(name)], upper[names.index(name)] = low, high
    return lower, upper


def check_box(bounds: Any, x0: Array) -> tuple[Array, Array] | None:
    """The sides where one is finite, else None. Raises ValueError where x0 is outside."""
    if bounds is EVERYWHERE:
        return None
    lower, upper = sides(bounds, x0.size)
    if np.isneginf(lower).all() and np.isposinf(upper).all():
        return None
    outside = np.flatnonzero((x0 < lower) | (x0 > upper))
    if outside.size:
        j = int(outside[0])
        raise ValueError(f"x0: expected a start within bounds, got x0[{j}] = {x0[j]:g} outside of [{lower[j]:g}, {upper[j]:g}]")
    return lower, upper


def check_fixed(fixed: Any, n: int, or_names: str = "") -> NDArray[np.bool_] | None:
    """(n,) truth values of a mask or of numbers of parameters; None where none is held. Raises TypeError or ValueError.

    or_names: what else the caller takes, for the message.
    """
    if fixed is None:
        return None
    given = as_array(fixed, "fixed")
    if given.dtype.kind == "b" and given.shape == (n,):
        mask = given.copy()
    elif given.ndim == 1 and (given.dtype.kind in "iu" or not given.size):
        if given.size and (given.min() < -n or given.max() >= n):
            raise ValueError(f"fixed: expected numbers of parameters from 0 to {n - 1}, got {shown(fixed)}")
        numbers = given.astype(int) % n
        if np.unique(numbers).size < numbers.size:  # 0 and 1 in the places of a mask, most likely
            raise ValueError(f"fixed: expected truth values, or each number of a parameter once, got {shown(fixed)}; a mask is of bools")
        mask = np.zeros(n, dtype=bool)
        mask[numbers] = True
    else:
        raise TypeError(f"fixed: expected {n} truth values, or numbers of parameters{or_names}, got {shown(fixed)}")
    return mask if mask.any() else None
