"""Tables of loads (times, values), linear between their times: where steps must not pass over them, and how much fixed steps leave out.

A step knows the load at its ends alone (methods that look inside it know it at one more time). A step whose ends find no load misses a
pulse between them, and no estimate of the error sees it. Steps under error control therefore end where the table bends, at the latest;
what is left up to the next bend is cut into equal parts, so that steps stay about as long as they were. For fixed steps the load is
compared with the straight line between its values at the ends of each step: the integral of the absolute difference, so that nothing
cancels, not even a load whose period divides dt.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mflow.base.checks import Array

__all__ = ["LEFT_OUT", "PER_NUMBER", "bends", "ended", "held", "left_out", "sampled", "stays", "unseen", "up_to"]

PER_NUMBER = 20.0  # multiplications, about, that a look at a number of a table takes
STRAIGHT = 1e-12  # of the largest value: what a point may be off the line between its neighbours
NEAR = 1e-6  # of the way between two bends: at one of them
SUDDEN = 1e-6  # of the last interval: in which a table that ends goes to zero
SAMPLES = 64  # over a run, between whose steps a function is looked at
LEFT_OUT = 0.1  # of a load's size: where it is off the lines between steps by more, fixed steps are too long for it
SMALL = 1e-3  # of the largest load's size: what is less does not count
LOOKS = 8  # steps of a run in which a function is looked at
FEW = 20  # steps: of fewer it is not looked at
INSIDE = 3  # times in each of them, beside its ends


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


def ended(times: Array, values: Array) -> tuple[Array, Array]:
    """The table with zeros outside its times: it falls to them in a millionth of its last interval, and rises in one of its first."""
    if times.size < 2 or values.shape[-1:] != times.shape:
        return times, values  # what is wrong with it is said elsewhere
    zeros = np.zeros_like(values[..., :1])
    for end, inner in ((-1, -2), (0, 1)):
        if np.any(values[..., end] != 0.0):
            far = SUDDEN * abs(times[end] - times[inner]) + 32.0 * float(np.spacing(abs(times[end])))
            parts, at = [values, zeros], [times, times[-1:] + far]
            if end == 0:
                parts, at = [zeros, values], [times[:1] - far, times]
            values, times = np.concatenate(parts, axis=-1), np.concatenate(at)
    return times, values


def held(times: Array, values: Array, t0: float, t1: float) -> list[tuple[float, float]]:
    """Of the ends of a table that a run from t0 to t1 passes: (time, the share of its peak that is held there)."""
    low, high, peak = min(t0, t1), max(t0, t1), float(np.max(np.abs(values), initial=0.0))
    out = []
    for passed, end in ((low < times[0], 0), (high > times[-1], -1)):
        if passed:
            share = float(np.max(np.abs(values[..., end]))) / peak if peak > 0.0 else 0.0
            out.append((float(times[end]), share if share > STRAIGHT else 0.0))
    return out


def stays(values: Array, end: int) -> bool:
    """Whether a table is one of a load that stays as it is at this end, 0 or -1: it has settled there, or goes one way up to it."""
    rows = np.atleast_2d(values if end else values[..., ::-1])
    rows = rows[np.abs(rows[:, -1]) > STRAIGHT * float(np.max(np.abs(rows)))]
    ways = np.diff(np.abs(rows), axis=-1)
    one_way = np.all(ways >= 0.0) and np.all(rows * rows[:, -1:] >= 0.0)
    return bool(one_way or np.all(np.abs(ways[:, -1:]) <= STRAIGHT * np.abs(rows[:, -1:])))


def left_out(times: Array, values: Array, t0: float, t1: float, dt: float) -> float:
    """What a table does between the ends of steps of dt from t0 to t1, against its size: the integral of its absolute distance from the
    straight lines between its values there, over that of its absolute value; of the degree of freedom where that is most."""
    low, high = min(t0, t1), max(t0, t1)
    inside = times[(times > low) & (times < high)]
    if inside.size == 0:
        return 0.0
    step = np.unique(np.floor(np.abs(inside - t0) / dt))  # those that hold a point; elsewhere the table is straight
    starts = t0 + math.copysign(dt, t1 - t0) * step
    ends = np.clip(starts + math.copysign(dt, t1 - t0), low, high)
    first, last = np.minimum(starts, ends), np.maximum(starts, ends)
    knots = np.concatenate([[low], inside, [high]])
    points = np.unique(np.concatenate([inside, first, last]))
    of = np.clip(np.searchsorted(step, np.floor(np.abs(0.5 * (points[1:] + points[:-1]) - t0) / dt)), 0, step.size - 1)
    within = (points[:-1] >= first[of]) & (points[1:] <= last[of])
    p, q, of = points[:-1][within], points[1:][within], of[within]
    width = np.where(last > first, last - first, 1.0)[of]
    wrong, total = [], []
    for row in np.atleast_2d(values):
        f0, f1 = np.interp(first, times, row)[of], np.interp(last, times, row)[of]
        off = [np.interp(t, times, row) - (f0 + (t - first[of]) / width * (f1 - f0)) for t in (p, q)]
        wrong.append(_of_absolute(q - p, *off))
        at = np.interp(knots, times, row)
        total.append(_of_absolute(np.diff(knots), at[:-1], at[1:]))
    return _worst(np.array(wrong), np.array(total))


def _worst(wrong: Array, total: Array) -> float:
    """The largest share of a degree of freedom's own load, where that counts beside the largest load."""
    counts = (wrong > SMALL * float(np.max(total, initial=0.0))) & (total > 0.0)
    return float(np.max(wrong[counts] / total[counts], initial=0.0))


def _of_absolute(length: Array, a: Array, b: Array) -> float:
    """The integral of |f| for an f that goes from a to b along straight lines of these lengths."""
    size = np.abs(a) + np.abs(b)
    crossing = a * b < 0.0
    mean = np.where(crossing, (a * a + b * b) / np.where(size > 0.0, 2.0 * size, 1.0), 0.5 * size)
    return float(np.sum(length * mean))


def sampled(load: Callable[[float], Array], t0: float, t1: float, dt: float, steps: int) -> float:
    """About the same for a function, from times inside a few of the steps, the worst of them left out: a load may jump once in a while.

    A fifth as many evaluations as there are steps, or 6 where these are fewer than 50; a run of fewer than 20 is not looked at: 0.
    """
    if steps < FEW:
        return 0.0
    inside = INSIDE if steps >= 10 * (INSIDE + 2) else 1
    count = max(min(steps // (5 * (inside + 2)), LOOKS), 2)
    h, wrong, total = math.copysign(dt, t1 - t0), [], []
    for i in range(count):
        k = (2 * i + 1) * steps // (2 * count)
        start, end = t0 + k * h, (t1 if k == steps - 1 else t0 + (k + 1) * h)
        first, last = load(start), load(end)
        parts = (0.2113 + 0.3819 * np.arange(inside) + 0.1459 * i) % 1.0  # of no period
        here = [(part, load(start + part * (end - start))) for part in parts.tolist()]
        wrong.append(np.sum([np.abs(f - (first + part * (last - first))) for part, f in here], axis=0))
        total.append(np.sum([np.abs(f) for _, f in here], axis=0))
    rest = np.sum(wrong, axis=0) - np.max(wrong, axis=0)
    return _worst(rest * (count / (count - 1)), np.sum(total, axis=0))


def unseen(load: Callable[[float], Array], t: Array) -> tuple[float, float, float]:
    """(time, size there, the largest at t), the time one of `SAMPLES` others, where a function is largest.

    Steps that ended at t have not seen it where the one is far above the other.
    """
    known = max(float(np.max(np.abs(load(at)), initial=0.0)) for at in t.tolist())
    times = (t[0] + (t[-1] - t[0]) * ((np.arange(SAMPLES) + 0.5) / SAMPLES)).tolist()
    sizes = [float(np.max(np.abs(load(at)), initial=0.0)) for at in times]
    top = int(np.argmax(sizes))
    return times[top], sizes[top], known
