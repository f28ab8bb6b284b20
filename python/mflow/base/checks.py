"""Checks of what a user hands over, with errors that name the argument, what came and the fix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_number", "check_start", "check_times", "real_array"]

Array = NDArray[np.float64]


def check_start(value: Any, argument: str) -> Array:
    """A start state as a new C-contiguous float64 array of its own shape.

    Raises TypeError for anything but real numbers, ValueError where one is not finite.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{argument}: dtype {array.dtype} came; real numbers are wanted (a complex state: stack real and imaginary parts)")
    out = np.array(array, dtype=np.float64, order="C")
    bad = np.flatnonzero(~np.isfinite(out))
    if bad.size:
        raise ValueError(f"{argument}: entry {bad[0]} is {out.flat[bad[0]]}: every entry must be finite")
    return out


def real_array(value: Any, what: str) -> Array:
    """What a user's function returned, as float64. Raises TypeError for complex numbers, whose imaginary parts NumPy would drop."""
    array = np.asarray(value)
    if array.dtype.kind == "c":
        raise TypeError(f"{what} is complex; real numbers are wanted: stack real and imaginary parts")
    return np.asarray(array, dtype=np.float64)


def check_number(value: Any, argument: str, what: str = "a finite number") -> float:
    """A finite float. Raises TypeError or ValueError."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{argument} = {value!r}: {what} is wanted") from None
    if not math.isfinite(number):
        raise ValueError(f"{argument} = {value!r}: {what} is wanted")
    return number


def check_times(value: Any, t0: float, t1: float) -> Array:
    """``t_eval``: sorted in the direction of integration and inside the span."""
    times = np.array(value, dtype=np.float64, order="C")
    if times.ndim != 1:
        raise ValueError(f"t_eval: shape {times.shape} came, one dimension is wanted")
    if not np.all(np.isfinite(times)):
        raise ValueError("t_eval: every time must be finite")
    times[np.abs(times - t1) <= 4.5e-16 * abs(t1)] = t1  # 0.1 + 0.2 against a span that ends at 0.3
    lower, upper = min(t0, t1), max(t0, t1)
    outside = np.flatnonzero((times < lower) | (times > upper))
    if outside.size:
        raise ValueError(f"t_eval[{outside[0]}] = {float(times[outside[0]])!r} is outside t_span = ({t0!r}, {t1!r})")
    steps = np.diff(times) if t1 >= t0 else -np.diff(times)
    wrong = np.flatnonzero(steps <= 0)
    if wrong.size:
        raise ValueError(f"t_eval is not sorted from t0 to t_end without repeats: see entries {wrong[0]} and {wrong[0] + 1}")
    return times
