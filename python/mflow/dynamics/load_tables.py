"""Tables of loads (times, values), linear between their times: where steps must not pass over them, and how much fixed steps leave out.

A step knows the load at its ends alone (methods that look inside it know it at one more time). A step whose ends find no load misses a
pulse between them, and no estimate of the error sees it. Steps under error control therefore end where the table bends, at the latest;
what is left up to the next bend is cut into equal parts, so that steps stay about as long as they were. For fixed steps the impulse of
the load over each step is compared with the impulse that the loads at its ends make.
"""

from __future__ import annotations

import math

import numpy as np

from mflow.base.checks import Array

__all__ = ["bends", "left_out", "up_to"]

STRAIGHT = 1e-12  # of the largest value: what a point may be off the line between its neighbours
NEAR = 1e-6  # of the way between two bends: at one of them


def bends(times: Array, values: Array) -> Array:
    """Times (k,) of a table with values (m,) or (n, m) where its slope changes; its ends always do."""
    rows = np.atleast_2d(values)
    part = (times[1:-1] - times[:-2]) / (times[2:] - times[:-2])
    off = np.max(np.abs(rows[:, 1:-1] - rows[:, :-2] - part * (rows[:, 2:] - rows[:, :-2])), axis=0)
    keep = np.ones(times.size, dtype=bool)
    keep[1:-1] = off > STRAIGHT * float(np.max(np.abs(rows)))
    return times[keep]


def up_to(bend: Array, t: float, h: float, sign: float) -> float:
    """The longest step from t, in the direction of ``sign``, that passes no bend; h is the step that would be taken."""
    ahead = sign * (bend if sign > 0 else bend[::-1])
    k = int(np.searchsorted(ahead, sign * t, side="right"))
    if k < ahead.size and k > 0 and ahead[k] - sign * t <= NEAR * (ahead[k] - ahead[k - 1]):
        k += 1
    if k == ahead.size:
        return math.inf
    rest = float(ahead[k]) - sign * t
    return rest / math.ceil(rest / abs(h)) if 0.0 < abs(h) < rest else rest


def left_out(times: Array, values: Array, t0: float, t1: float, dt: float) -> float:
    """The share of a table's impulse that steps of dt from t0 to t1 leave out, or count though it is not there: 0 nothing, 1 all of it."""
    low, high = min(t0, t1), max(t0, t1)
    inside = times[(times > low) & (times < high)]
    if inside.size == 0:
        return 0.0
    step = np.unique(np.floor(np.abs(inside - t0) / dt))  # those that hold a point; elsewhere the table is straight
    starts = t0 + math.copysign(dt, t1 - t0) * step
    ends = np.clip(starts + math.copysign(dt, t1 - t0), low, high)
    first, last = np.minimum(starts, ends), np.maximum(starts, ends)
    knots = np.concatenate([[low], inside, [high]])
    wrong = total = 0.0
    for row in np.atleast_2d(values):
        at = np.interp(knots, times, row)
        exact = _integral(knots, at, last) - _integral(knots, at, first)
        seen = 0.5 * (last - first) * (np.interp(first, times, row) + np.interp(last, times, row))
        wrong += float(np.sum(np.abs(exact - seen)))
        total += float(np.sum(0.5 * np.diff(knots) * (np.abs(at[1:]) + np.abs(at[:-1]))))
    return wrong / total if total > 0.0 else 0.0


def _integral(knots: Array, at: Array, t: Array) -> Array:
    """Of the line through the knots, from the first one to each t."""
    sums = np.concatenate([[0.0], np.cumsum(0.5 * np.diff(knots) * (at[1:] + at[:-1]))])
    k = np.clip(np.searchsorted(knots, t, side="right") - 1, 0, knots.size - 2)
    here = np.interp(t, knots, at)
    out: Array = sums[k] + 0.5 * (t - knots[k]) * (at[k] + here)
    return out
