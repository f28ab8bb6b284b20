"""Bounds of a minimisation in SciPy's forms, and parameters that are held fixed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from mflow.base.checks import Array, as_array, shown
from mflow.base.telling import tell

__all__ = ["Box", "read_box"]


class Box(NamedTuple):
    """``lower <= x <= upper``, each of x's shape; infinite where there is no bound."""

    lower: Array
    upper: Array

    @property
    def flat(self) -> tuple[Array, Array]:
        """(lower, upper) as vectors."""
        return self.lower.ravel(), self.upper.ravel()

    def clipped(self, x: Array) -> Array:
        """The nearest point within."""
        return np.ascontiguousarray(np.clip(x, self.lower, self.upper))

    def inside(self, x: Array, share: float) -> bool:
        """Whether x is away from every bound by `share` of max(1, |x|)."""
        room = share * np.maximum(1.0, np.abs(x))
        return bool(np.all(x - room > self.lower) and np.all(x + room < self.upper))


def read_box(bounds: Any, fixed: Any, x0: Array) -> Box | None:
    """What ``bounds=`` and ``fixed=`` say; None where nothing is bounded. Raises TypeError or ValueError."""
    if bounds is None and fixed is None:
        return None
    lower, upper = _ends(bounds, x0) if bounds is not None else (np.full(x0.shape, -np.inf), np.full(x0.shape, np.inf))
    wrong = np.argwhere(~(lower <= upper))
    if len(wrong):
        at = tuple(int(k) for k in wrong[0])
        where = at[0] if len(at) == 1 else at
        what = "is no number" if np.isnan(lower[at]) or np.isnan(upper[at]) else "excludes every point"
        raise ValueError(f"bounds: expected lower <= upper, got ({lower[at]:g}, {upper[at]:g}) for x[{where}], which {what}")
    if fixed is not None:
        held = _mask(fixed, x0)
        at_start = np.clip(x0, lower, upper)
        lower, upper = np.where(held, at_start, lower), np.where(held, at_start, upper)
    if not (np.any(lower > -np.inf) or np.any(upper < np.inf)):
        return None
    return Box(np.ascontiguousarray(lower), np.ascontiguousarray(upper))


def _ends(bounds: Any, x0: Array) -> tuple[Array, Array]:
    """(lower, upper) from an object with lb and ub, as scipy.optimize.Bounds, or from a (min, max) pair for each entry of x."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        return _spread(bounds.lb, "bounds.lb", x0), _spread(bounds.ub, "bounds.ub", x0)
    if isinstance(bounds, (str, bytes)) or not isinstance(bounds, Iterable) or getattr(bounds, "ndim", 1) == 0:
        raise TypeError(f"bounds: expected a (min, max) pair for each parameter or a scipy.optimize.Bounds, got {shown(bounds)}")
    pairs = list(bounds)
    if len(pairs) != x0.size:
        raise ValueError(f"bounds: expected {x0.size} pairs (min, max), one for each parameter, got {len(pairs)}")
    lower, upper = np.empty(x0.size), np.empty(x0.size)
    for j, pair in enumerate(pairs):
        try:
            low, high = pair
        except (TypeError, ValueError):
            raise ValueError(f"bounds: expected a pair (min, max) for x[{j}], got {shown(pair)}") from None
        lower[j], upper[j] = _end(low, -np.inf, j), _end(high, np.inf, j)
    _doubt(lower, upper, x0.ravel())
    return lower.reshape(x0.shape), upper.reshape(x0.shape)


def _doubt(lower: Array, upper: Array, x: Array) -> None:
    """Warns where two pairs leave x0 outside and, read as all the lower and all the upper ends, as SciPy's least_squares reads them, do
    not, or where the pairs hold both parameters, and these ends do not."""
    if x.size != 2 or np.all((lower <= x) & (x <= upper)):
        return
    lows, highs = (np.array([lower[0], upper[0]]), np.array([lower[1], upper[1]]))
    held = bool(np.all(lower == upper) and np.all(lows < highs))
    if held or np.all((lows <= x) & (x <= highs)):
        tell(
            f"bounds: read as pairs (min, max), x[0] in [{lower[0]:g}, {upper[0]:g}] and x[1] in [{lower[1]:g}, {upper[1]:g}]; x0 is "
            f"outside them{', and they hold both parameters' if held else ''}; if these are the lower and the upper ends of both, give "
            "list(zip(lower, upper)) or scipy.optimize.Bounds(lower, upper)",
            UserWarning,
        )


def _end(value: Any, none: float, j: int) -> float:
    if value is None:
        return none
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"bounds: expected numbers or None for x[{j}], got {shown(value)}") from None


def _spread(values: Any, name: str, x0: Array) -> Array:
    try:
        return np.array(np.broadcast_to(np.asarray(values, dtype=np.float64), x0.shape))
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected numbers of x0's shape {x0.shape}, got {shown(values)}") from None


def _mask(fixed: Any, x0: Array) -> Array:
    held = as_array(fixed, "fixed")
    if held.dtype != np.bool_:
        raise TypeError(f"fixed: expected True or False for each parameter, got dtype {held.dtype}")
    if held.shape != x0.shape:
        raise ValueError(f"fixed: expected shape {x0.shape}, as x0 has, got {held.shape}")
    return held
