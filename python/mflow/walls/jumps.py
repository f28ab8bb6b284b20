"""Jumps of the right-hand side that nobody told of: one search for them, between two points, and two occasions for it.

Halving an interval always keeps the half over which the slope changes more. If the change stays while the interval shrinks to two
neighbouring numbers, it is a jump; a steep slope changes less and less, and what begins anew beside it, step by step, is a staircase of
rounding, as of a function that takes its state to float32.

A run that has rejected many of its steps is looked at once, at its end. A step across a jump is of first order, whatever the method: error
control tries shorter ones, down to a thousandth of the steps on both sides, spends most of its evaluations on it, and can leap over a pulse
as a whole with the long steps in between, which no error estimate sees. So the jump is looked for where steps were shortest.

A run that cannot go on is looked at where it stands. y' = -sign(y) is at 0 after a time, and a body stands in dry friction: both sides of
the jump lead back to it, and the solution slides along it (A. F. Filippov, Differential Equations with Discontinuous Righthand Sides
(1988)). Explicit steps chatter there, and equations of implicit ones have no root. Whether the slope of one component, as a function of
itself (`drive`), has a root or a jump beside it is asked at the end of this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from mflow.base.checks import Array
from mflow.base.result import IVPResult
from mflow.base.telling import about, tell
from mflow.derivatives.differences import tried

__all__ = [
    "ENDS",
    "NEARBY",
    "REACHES",
    "dips",
    "end_words",
    "is_jump",
    "is_line",
    "is_singular",
    "jumps_along",
    "root_of",
    "sliding_words",
    "slope_or_nan",
    "tell_of_jumps",
]

HALVINGS = 60
TO_ANY = 1100  # halvings from any number to any other
NO_LINE = 0.02  # of f a 64th as far from its root; a line has .0156, |y|^0.9 .0237
BENT = 0.01  # of the change over an interval: less is a line; |y|^0.9 is bent by twice as much
STAYS, GROWS = 0.3, 2.0  # of the change over the first interval, over the last one: a jump leaves about all of it, a pole makes more
AGAIN = 0.5  # of a jump: a change beside it that is as large is the next stair
WIDEST = 1e-3  # of the state: a stair as wide is the model's own

SHARE = 0.1  # of all steps tried that were rejected
DIP = 0.03  # of the longest steps nearby: a step so short stands at a jump
NEARBY = 12  # steps on each side
LOOKS = 4  # places that are looked at
ALIKE = 4.0  # times the shortest step: those before it that a method begins anew with, behind the jump
NAMED = 3  # times in the words
KNOWN = 1e-9  # of the span: a jump so near to a break is that one
CURE = {
    True: "a pulse between two such times may be leapt over; give all of them as breaks=, which steps land on, or a max_step",
    False: "it jumps with the state: let an event with an action change what jumps",
}

REACHES = tuple(4.0**k for k in range(-1, 6))  # steps, within which the jump is looked for
BEYOND = (1e-3, 1e-6)  # of that way: how far the slope leads from the jump to the other side
SHOWN = 4  # components
POLE, UNBOUNDED = 40, 16.0  # halvings on the way to a pole, and by how much more the slope changes over the last one

OFF = 10.0  # times rtol of the way from the start: what the end of a solution that steps come to may be off by
ENDS = 1024  # steps between looks at whether a solution has ended

Slope = Callable[[float, Array], Any]


class _Point(NamedTuple):
    t: float
    y: Array
    f: Array


def _at(slope: Slope, t: float, y: Array) -> _Point:
    return _Point(t, y, np.array(slope(t, y), dtype=np.float64))


def _apart(a: _Point, b: _Point) -> float:
    return float(np.max(np.abs(b.f - a.f), initial=0.0))


def _narrowed(slope: Slope, a: _Point, b: _Point) -> tuple[_Point, _Point] | None:
    """Two neighbours between which the slope changes about as much as from a to b; None where it does not jump."""
    first = change = _apart(a, b)
    if not 0.0 < first < math.inf:
        return None
    for _ in range(HALVINGS):
        t, y = a.t + 0.5 * (b.t - a.t), 0.5 * (a.y + b.y)
        if any(t == side.t and np.array_equal(y, side.y) for side in (a, b)):
            break
        middle = _at(slope, t, y)
        left, right = _apart(a, middle), _apart(middle, b)
        a, b, change = (a, middle, left) if left > right else (middle, b, right)
        if not STAYS * first < change < math.inf:  # a slope that changes evenly is known for it after two halvings
            return None
    return (a, b) if change < GROWS * first else None


def _jump(slope: Slope, start: _Point, end: _Point) -> tuple[_Point, _Point] | None:
    """Both sides of a jump between two points that is no stair of many; None where there is none."""
    ends, way = _narrowed(slope, start, end), end.y - start.y
    length = float(np.max(np.abs(way), initial=0.0))
    if ends is None or length == 0.0:
        return ends
    far, change = max(1.0, WIDEST * float(np.max(np.abs(start.y))) / length), AGAIN * _apart(*ends)
    repeats = all(_goes_on(slope, side, sign * way, far, change) for side, sign in zip(ends, (-1.0, 1.0), strict=True))
    return None if repeats else ends


def is_jump(slope: Slope, t: float, below: Array, above: Array) -> bool:
    """Whether the slope jumps between two states, and neither has a pole there nor is a stair of many; it may be NaN where it has none."""
    return _jump(slope, _at(slope, t, below), _at(slope, t, above)) is not None


def _goes_on(slope: Slope, side: _Point, way: Array, far: float, change: float) -> bool:
    """Whether the slope jumps by `change` again within `far` times the way of the state from this side."""
    part = 0.25
    while part <= 2.0 * far:
        beyond = _at(slope, side.t, side.y + part * way)
        if not _apart(side, beyond) < change:
            return _narrowed(slope, side, beyond) is not None
        part *= 2.0
    return False


# ---- where steps were shortest ------------------------------------------------------------------------------------------------------


def dips(t: Array, deep: float = DIP, nearby: int = NEARBY) -> list[int]:
    """Numbers of steps that are far shorter than those on both sides of them, the shortest first, each away from the others.

    deep : of the longest steps nearby. nearby : how many on each side these are."""
    lengths = np.abs(np.diff(t))
    longest = np.lib.stride_tricks.sliding_window_view(np.pad(lengths, nearby), nearby).max(axis=1)  # of those before step k, at k
    candidates = np.flatnonzero(lengths < deep * np.minimum(longest[: lengths.size], longest[nearby + 1 :]))
    found: list[int] = []
    for k in candidates[np.argsort(lengths[candidates])].tolist():
        told = lengths[max(k - 2, 0) : k + 3].min() == 0.0  # both sides of a break or a dose
        if not told and all(abs(k - other) > nearby // 2 for other in found):
            found.append(k)
        if len(found) == LOOKS:
            break
    return found


def _before(t: Array, k: int) -> int:
    """A step before the jump that step k stands at, or behind, as one of many that are as short."""
    lengths, first = np.abs(np.diff(t[max(k - 2 * NEARBY, 0) : k + 1])), k
    while k - first < lengths.size and lengths[first - k - 1] < ALIKE * abs(t[k + 1] - t[k]):
        first -= 1
    return max(first - 2, 0)


def jumps_along(slope: Slope, t: Array, y: Array) -> tuple[list[float], list[float]]:
    """Times at which the slope jumps along a path of steps under error control: those where it jumps with t, and those with the state.

    slope : of (t, state), as often as some four hundred times.
    t, y : (k,) and (n, k), all steps.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.walls.jumps import jumps_along
    >>> t = np.concatenate([np.linspace(0, 0.9, 10), 1 + np.array([-1e-4, 0.0, 1e-4]), np.linspace(1.1, 2, 10)])
    >>> jumps_along(lambda t, y: np.array([1.0 if t < 1.00005 else -1.0]), t, np.zeros((1, t.size)))
    ([1.00005], [])
    """
    by_time: list[float] = []
    by_state: list[float] = []
    seen: list[tuple[int, int]] = []
    for k in dips(t):
        first, last = _before(t, k), min(k + 3, t.size - 1)
        if any(first < other[1] and other[0] < last for other in seen):
            continue
        seen.append((first, last))
        start = _at(slope, float(t[first]), y[:, first].copy())
        along = _jump(slope, start, _at(slope, float(t[last]), y[:, last].copy()))
        if along is not None:
            still = _jump(slope, start, _at(slope, float(t[last]), start.y))
            (by_state if still is None else by_time).append(float(f"{(still or along)[1].t:.12g}"))
    return sorted(by_time), sorted(by_state)


def tell_of_jumps(result: IVPResult, run: Any, name: str, known: Array, slid: bool = False) -> None:
    """Warn of the jumps of the right-hand side in a finished run that kept every step and rejected many.

    run : of the core. known : times of jumps that steps landed on. slid : the solution slid along a jump, and the message tells of it: then
    jumps with the state are not told of again.

    What a function raises at these points is none of the run's: nothing is said then.
    """
    steps, rejected = result.nsteps, result.nrejected
    if not result.success or rejected < SHARE * (steps + rejected) or result.t.size <= steps:
        return
    before = run.nfev
    try:
        found = tried(partial(jumps_along, run.slope, result.t), result.y.reshape(-1, result.t.size))
    finally:
        result["ncheck"] += int(run.nfev - before)
    if found is None:
        return
    (by_time, by_state), near = found, KNOWN * float(np.ptp(result.t))
    by_time = [time for time in by_time if not np.any(np.abs(known - time) <= near)]
    by_state = [] if slid else by_state
    if by_time or by_state:
        places = ", ".join(f"{time:g}" for time in (by_time or by_state)[:NAMED])
        tell(f"{name}: fun jumps, at t = {places}: {rejected} of {steps + rejected} steps were rejected; {CURE[bool(by_time)]}")


# ---- where a run stands -------------------------------------------------------------------------------------------------------------


def sliding_words(slope: Slope, t: float, y: Array, h: float, most: float = math.inf) -> str:
    """Words, where a step of h from y at t leads over a jump that attracts from both sides; "" otherwise.

    slope : returns NaNs where it has no value. most : steps of h, in which the jump is looked for.
    """
    here = _at(slope, t, y)
    if not np.array_equal(here.f, slope(t, y)):  # noise, which jumps everywhere
        return ""
    for reach in (reach for reach in REACHES if reach <= most):
        ends = _jump(slope, here, _at(slope, t, y + reach * h * here.f))
        if ends is not None and any(_attracts(slope, *ends, part * reach * h) for part in BEYOND):
            where = f" y = {ends[0].y.tolist()}" if y.size <= SHOWN else ""
            return (
                f"the right-hand side jumps near t = {t:g}{where or ' the state'}, and both sides of the jump lead back to it: the "
                "solution slides along it, which no step can follow; round the jump off, as np.tanh(x/eps) in place of np.sign(x), or "
                "let an event change fun there"
            )
    return ""


def slope_or_nan(ask: Callable[[float, Array], Array], t: float, y: Array) -> Array:
    """The slope, NaNs where it cannot be had: for words alone."""
    try:
        with np.errstate(all="ignore"):
            return ask(t, y)
    except Exception:
        return np.full(y.shape, math.nan)


def width_of(rtol: float, t: float, t0: float) -> float:
    """What the end of a solution may be off by, that steps from t0 come to at t."""
    return OFF * rtol * abs(t - t0)


def end_words(slope: Slope, t: float, y: Array, h: float, most: float = math.inf, over: bool = False, width: float = 0.0) -> str:
    """Words, where the solution ends within some steps of h from y at t: the slope grows without bound towards a state that it leads to
    from both sides, as of y' = -1/y at 0; "" otherwise.

    slope : returns NaNs or infinities where it has no value. most : steps of h, in which that state is looked for. over : steps may have
    gone over it before; it is to be there during the step, too. width : what t may be off by.
    """
    here = _at(slope, t, y)
    if not np.array_equal(here.f, slope(t, y)) or (over and not all(end_words(slope, t + part * h, y, h, most) for part in (0.5, 1.0))):
        return ""
    for reach in (reach for reach in REACHES if reach <= most):
        ends = _pole(slope, here, _at(slope, t, y + reach * h * here.f))
        if ends is not None:
            where = f" y = {ends[0].y.tolist()}" if y.size <= SHOWN else " a state nearby"
            before = " or before" if over else ""
            return (
                f"the solution ends near t = {about(t, width)}{before}: the right-hand side grows without bound towards{where}, "
                "and leads there from both sides; let an event end the run before, or keep the right-hand side finite there"
            )
    return ""


def _pole(slope: Slope, a: _Point, b: _Point) -> tuple[_Point, _Point] | None:
    """Two near points between which the slope has a pole that both lead to, of all that lies between a and b; None where there is none.

    The half over which the slope changes more is kept, and it changes ever more: of 1/y by 2 in each halving, of y^-0.1 by 1.07. What is
    steep and smooth changes less from some halving on, what jumps as much."""
    first = change = _apart(a, b)
    if not 0.0 < first < math.inf or not float(np.vdot(b.y - a.y, b.f)) < 0.0 < float(np.vdot(b.y - a.y, a.f)):
        return None
    for _ in range(POLE):
        middle = _at(slope, a.t, 0.5 * (a.y + b.y))
        if any(np.array_equal(middle.y, side.y) for side in (a, b)) or not np.all(np.isfinite(middle.f)):
            break
        left, right = _apart(a, middle), _apart(middle, b)
        a, b = (a, middle) if left > right else (middle, b)
        if not max(left, right) > 0.9 * change:
            return None
        change = max(left, right)
    way = b.y - a.y
    leads = float(np.vdot(way, b.f)) < 0.0 < float(np.vdot(way, a.f))
    return (a, b) if leads and change > UNBOUNDED * first else None


def _attracts(slope: Slope, a: _Point, b: _Point, h: float) -> bool:
    """Whether each side's slope leads to where the slope is more like the other's."""
    from_a, from_b = (_at(slope, side.t, side.y + h * side.f) for side in (a, b))
    return _apart(from_a, b) < _apart(from_a, a) and _apart(from_b, a) < _apart(from_b, b)


# ---- the drive of one component: its slope as a function of itself -----------------------------------------------------------------------


def is_singular(drive: Callable[[float], float], bound: float, near: float) -> bool:
    """Whether the slope is steeper than any line next to its root, too: np.tanh(1e9 * y) is steep, and a line nearer to 0."""
    distance = max(near * 2.0**-40, 4096.0 * float(np.spacing(abs(bound))))
    return all(abs(drive(bound + s * distance / 64.0)) > NO_LINE * abs(drive(bound + s * distance)) for s in (1, -1))


def is_line(drive: Callable[[float], float], y: float, size: float) -> bool:
    """Whether `drive` is a line within `size` of y, or leads to nothing there."""
    low, high = drive(y - size), drive(y + size)
    return not low > 0.0 > high or abs(drive(y - 0.4 * size) - (0.7 * low + 0.3 * high)) <= BENT * (low - high)


def root_of(drive: Callable[[float], float], y: float, size: float) -> tuple[float, bool]:
    """Where `drive`, above 0 below it and below 0 above, is 0 within `size` of y, and True; or, of the two numbers between which it
    jumps, the rounder one, and False. NaN: nowhere."""
    low, high = y - size, y + size
    if not drive(low) > 0.0 > drive(high):
        return np.nan, False
    if low < 0.0 < high and drive(0.0) == 0.0:
        return 0.0, True
    for _ in range(TO_ANY):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        value = drive(middle)
        if value == 0.0:
            return middle, True
        low, high = (middle, high) if value > 0.0 else (low, middle)
    return min(low + 0.0, high + 0.0, key=lambda number: len(repr(number))), False
