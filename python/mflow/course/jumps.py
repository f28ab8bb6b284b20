"""Jumps of the right-hand side that nobody told of, found where error control has had to make its steps very short.

A step across a jump is of first order, whatever the method: error control rejects it and tries shorter ones, down to a thousandth of the
steps on both sides. Where that happens again and again a run spends most of its evaluations on it, and steps that grow long in between
can leap over a pulse as a whole, which no error estimate sees. So a run that has rejected many of its steps is looked at, once, at its end:
where its steps were shortest the interval is halved, always towards the half over which the slope changes more. If the change stays while
the interval shrinks to nothing, it is a jump; a steep slope changes less and less.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.base.result import IVPResult
from mflow.base.telling import tell

__all__ = ["jumps_along", "tell_of_jumps"]

SHARE = 0.1  # of all steps tried that were rejected
DIP = 0.03  # of the longest steps nearby: a step so short stands at a jump
NEARBY = 12  # steps on each side
LOOKS = 4  # places that are looked at
HALVINGS = 40
STAYS, GROWS = 0.5, 2.0  # of the change over the first interval, over the last one: a jump leaves about all of it, a pole makes more
ALIKE = 4.0  # times the shortest step: those before it that a method begins anew with, behind the jump
NAMED = 3  # times in the words
CURE = {
    True: "a pulse between two such times may be leapt over; give all of them as breaks=, which steps land on, or a max_step",
    False: "it jumps with the state: let an event with an action change what jumps",
}


def _dips(t: Array) -> list[int]:
    """Numbers of steps that are far shorter than those on both sides of them, the shortest first, each away from the others."""
    lengths = np.abs(np.diff(t))
    found: list[int] = []
    for k in np.argsort(lengths):
        before, after = lengths[max(k - NEARBY, 0) : k], lengths[k + 1 : k + 1 + NEARBY]
        if not (before.size and after.size and lengths[k] < DIP * min(before.max(), after.max())):
            continue
        told = lengths[max(k - 2, 0) : k + 3].min() == 0.0  # both sides of a break or a dose
        if not told and all(abs(int(k) - other) > NEARBY // 2 for other in found):
            found.append(int(k))
        if len(found) == LOOKS:
            break
    return found


def _before(t: Array, k: int) -> int:
    """A step before the jump that step k stands at, or behind, as one of many that are as short."""
    lengths, first = np.abs(np.diff(t[max(k - 2 * NEARBY, 0) : k + 1])), k
    while k - first < lengths.size and lengths[first - k - 1] < ALIKE * abs(t[k + 1] - t[k]):
        first -= 1
    return max(first - 2, 0)


def _place(slope: Callable[[float], Array], low: float, high: float) -> float:
    """Where a function of one number jumps between two; nan where it does not."""
    at_low, at_high = slope(low), slope(high)
    first = change = float(np.linalg.norm(at_high - at_low))
    if not (math.isfinite(first) and first > 0.0):
        return math.nan
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if not min(low, high) < middle < max(low, high):
            break
        between = slope(middle)
        left, right = float(np.linalg.norm(between - at_low)), float(np.linalg.norm(at_high - between))
        if not math.isfinite(left + right):
            return math.nan
        if left > right:
            high, at_high, change = middle, between, left
        else:
            low, at_low, change = middle, between, right
    return high if STAYS * first < change < GROWS * first else math.nan


def jumps_along(slope: Callable[[float, Array], Any], t: Array, y: Array) -> tuple[list[float], list[float]]:
    """Times at which the slope jumps along a path of steps under error control: those where it jumps with t, and those with the state.

    slope : of (t, state), as often as some three hundred times.
    t, y : (k,) and (n, k), all steps.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.course.jumps import jumps_along
    >>> t = np.concatenate([np.linspace(0, 0.9, 10), 1 + np.array([-1e-4, 0.0, 1e-4]), np.linspace(1.1, 2, 10)])
    >>> jumps_along(lambda t, y: np.array([1.0 if t < 1.00005 else -1.0]), t, np.zeros((1, t.size)))
    ([1.00005], [])
    """
    by_time: list[float] = []
    by_state: list[float] = []
    seen: list[tuple[int, int]] = []
    for k in _dips(t):
        first, last = _before(t, k), min(k + 3, t.size - 1)
        if any(first < other[1] and other[0] < last for other in seen):
            continue
        seen.append((first, last))
        start, end = y[:, first].copy(), y[:, last].copy()

        def along(s: float, first: int = first, last: int = last, start: Array = start, end: Array = end) -> Array:
            return np.array(slope((1.0 - s) * t[first] + s * t[last], (1.0 - s) * start + s * end), dtype=np.float64)

        where = _place(along, 0.0, 1.0)
        if math.isnan(where):
            continue
        time = float((1.0 - where) * t[first] + where * t[last])
        still = _place(lambda at, state=start: np.array(slope(at, state), dtype=np.float64), float(t[first]), float(t[last]))  # type: ignore[misc]
        (by_state if math.isnan(still) else by_time).append(float(f"{time if math.isnan(still) else still:.12g}"))
    return sorted(by_time), sorted(by_state)


def tell_of_jumps(result: IVPResult, run: Any, name: str) -> None:
    """Warn of the jumps of the right-hand side in a finished run that kept every step and rejected many.

    run : of the core.

    What a function raises at these points is none of the run's: nothing is said then.
    """
    steps, rejected = result.nsteps, result.nrejected
    if not result.success or rejected < SHARE * (steps + rejected) or result.t.size <= steps:
        return
    before = run.nfev
    try:
        by_time, by_state = jumps_along(run.slope, result.t, result.y.reshape(-1, result.t.size))
    except Exception:
        return
    finally:
        result["ncheck"] += int(run.nfev - before)
    if by_time or by_state:
        places = ", ".join(f"{time:g}" for time in (by_time or by_state)[:NAMED])
        tell(f"{name}: fun jumps, at t = {places}: {rejected} of {steps + rejected} steps were rejected; {CURE[bool(by_time)]}")
