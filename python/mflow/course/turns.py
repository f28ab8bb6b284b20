"""Whether steps that are stable resolve how a solution swings: what dt="auto" is asked by those who meant "accurate".

In the plane of the slope f and of J f a solution that swings with one frequency obeys J^2 f = a J f + b f, and lambda^2 = a lambda + b has
the roots of that swing. J f and J^2 f are differences. Where the fit is not close there is more than one frequency, and nothing is said.

Orbits and cycles whose J changes on the way obey no such equation. There some steps are taken again, half as long: what relaxes forgets
the difference, and where a solution swings it grows from step to step.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable

import numpy as np

from mflow.base.checks import Array
from mflow.stability.spectrum import Looks

__all__ = ["FEW", "compare", "cross", "find", "settle", "swing", "words", "words_of_course", "words_of_motion"]

AWAY = 1e-6  # of the size of the state: the length of differences
CLOSE = 0.05  # of J^2 f: how far from the plane it may be
TURNING = 0.7  # of |lambda|: the frequency of what is an oscillation; with less, next to nothing is left of it after one period
FEW = 10.0  # steps in each period, below which an oscillation is not followed
LEFT = 0.01  # of the fastest slope seen: what must be left at the end of an oscillation that counts
STRETCH = 16  # steps that are compared with twice as many of half their length
RARER = 8  # times as many steps lie before the next stretch
ASTRAY = 0.1  # of how far the solution goes: a difference at the end, from which on steps do not follow it
SLIGHT = 0.01  # the same of a first step, times the steps that are left: with less, nothing is compared
BENT = 1.6  # times as long as its span is the way of what swings, in a stretch; of half a circle it is 1.57
GROWING = 1.2  # from the middle of a stretch to its end: a difference that lasts
PART, LEAST = 4, 4  # a motion's last quarter, and the rows that are needed

Slope = Callable[[float, Array], Array]
Steps = Callable[[int, int], Array | None]


def swing(slope: Slope, t: float, y: Array, f: Array) -> complex:
    """The eigenvalue of the Jacobian, of the upper half plane, that f and J f belong to; 0 where there is no such pair. Two evaluations."""
    length = AWAY * max(float(np.linalg.norm(y)), math.sqrt(y.size) * AWAY)
    size = float(np.linalg.norm(f))
    with np.errstate(all="ignore"):
        if not 0.0 < size < math.inf:
            return 0j
        first = (np.asarray(slope(t, y + (length / size) * f), dtype=np.float64) - f).ravel() * (1.0 / length)
        turned = float(np.linalg.norm(first))
        if not 0.0 < turned < math.inf:
            return 0j
        second = (np.asarray(slope(t, y + (length / turned) * first.reshape(y.shape)), dtype=np.float64) - f).ravel() * (turned / length)
        base = np.stack([first, f.ravel() / size], axis=1)  # J f and f, of a slope of size 1
        if not (np.isfinite(second).all() and np.isfinite(base).all()):
            return 0j
        (a, b), *_ = np.linalg.lstsq(base, second, rcond=None)
        rest = float(np.linalg.norm(base @ (a, b) - second))
    if not rest <= CLOSE * float(np.linalg.norm(second)) or not a * a + 4.0 * b < 0.0:
        return 0j
    value = 0.5 * (float(a) + cmath.sqrt(float(a * a + 4.0 * b)))
    return value if value.imag > TURNING * abs(value) else 0j


def find(looks: Looks, slope: Slope, t: float, y: Array, f: Array, left: float) -> None:
    """A look at where the run stands: what swings there, if it is still there in the time that is left, is `looks.ahead`."""
    size = float(np.linalg.norm(f))
    looks.ahead = 0.0
    looks.fastest = max(looks.fastest, size if size < math.inf else 0.0)
    if not size > LEFT * looks.fastest:
        return
    found = swing(slope, t, y, f)
    if size * math.exp(min(0.0, found.real * left)) > LEFT * looks.fastest:
        looks.ahead = found.imag


def settle(looks: Looks, step: float) -> None:
    """Steps of this length have been taken from the last look on, for good."""
    turn = abs(step) * looks.ahead
    if turn > looks.turn:
        looks.turn, looks.omega = turn, looks.ahead
    looks.ahead = 0.0


def compare(looks: Looks, take: Steps, k: int, t: float, left: int) -> None:
    """Whether the next steps, before step k at t, lead where steps of half their length do; `looks.astray` is by how much they do not.

    take : (count, parts) -> the states from here on in so many steps, each in so many parts, (count parts + 1, n); None where they cannot
    be taken. left : steps to the end.
    """
    looks.compare = max(STRETCH, RARER * k)
    count = min(STRETCH, left) // 2 * 2
    first, halves = (take(1, parts) for parts in (1, 2))
    if count < LEAST or first is None or halves is None:
        return
    apart, way = (float(np.linalg.norm(one)) for one in (halves[-1] - first[-1], first[-1] - first[0]))
    if not apart * left > SLIGHT * way:
        return
    whole, parts = (take(count, parts) for parts in (1, 2))
    if whole is None or parts is None:
        return
    apart_by = np.linalg.norm(whole - parts[::2], axis=1)
    middle, end = float(np.max(apart_by[: count // 2 + 1])), float(np.max(apart_by))
    moves = np.linalg.norm(np.diff(parts, axis=0), axis=1)
    size, way = float(np.max(np.linalg.norm(parts - parts[0], axis=1))), float(np.sum(moves))
    if not way > BENT * size or not end > GROWING * middle:
        return
    share = (end + (end - middle) * (2.0 * (left - count) / count)) / size
    if share > max(ASTRAY, looks.astray):
        looks.astray, looks.place = share, t
    if share > ASTRAY:
        fading = float(np.max(moves[count:])) / float(np.max(moves))  # in half of the stretch
        looks.lasting = max(looks.lasting, looks.slope / looks.fastest * fading ** (2.0 * left / count))


def cross(looks: Looks, slope: Slope, t0: float, t: float, y: Array, start: Array) -> None:
    """Whether a component has another sign at t than at the start, t0, and cannot have: where it is 0, so is its slope, wherever the others
    are, and whenever."""
    y, start = y.ravel(), start.ravel()
    with np.errstate(all="ignore"):
        share = np.where(start != 0.0, -y / start, 0.0)
        which = int(np.argmax(share))
        if not share[which] > LEFT:
            return
        for others, part in ((y, 1.0), (start, 0.618), (y, 0.273)):
            there = others.copy()
            there[which] = 0.0
            if np.asarray(slope(t0 + part * (t - t0), there), dtype=np.float64).ravel()[which] != 0.0:
                return
    looks.crossed = which + 1


def words_of_course(looks: Looks) -> str:
    """Words, where the run looks otherwise than a solution: by `cross`, then by `compare`; ""."""
    if looks.crossed > 0:
        why = f"component {looks.crossed - 1} has changed its sign, which no solution does, as its slope is 0 where it is 0"
    elif looks.astray > 0.0 and max(looks.lasting, looks.slope / looks.fastest) > LEFT:  # what has come to rest has forgotten it
        why = f"from t = {looks.place:.3g} on, steps of half their length lead elsewhere"
    else:
        return ""
    return f'dt = "auto" gives steps that are stable, not accurate ones: {why}; give rtol= in place of dt, or a smaller dt'


def words(turn: float, omega: float, other: str = "rtol= in place of dt, or ") -> str:
    """Words, where what oscillates with this frequency turns so far in a step, in radians; "" where that is not far. other : than dt."""
    if not turn * FEW > 2.0 * math.pi:
        return ""
    period = 2.0 * math.pi / omega
    return (
        f'dt = "auto" gives steps that are stable, not accurate ones: the solution oscillates with a period of about {period:.3g}, and '
        f"there are {2.0 * math.pi / turn:.2g} steps in each, too few to follow it; give {other}dt = {0.05 * period:.2g}"
    )


def words_of_motion(step: float, x: Array, v: Array, a: Array) -> str:
    """The same of a motion by fixed steps, (n, times), from what is left of it in its last part: a harmonic oscillation round any state has
    accelerations of -omega^2 (x - mean), and a decay has them on the side of x."""
    part = slice(-max(x.shape[-1] // PART, LEAST), None)
    speed = np.sqrt(np.sum(v.reshape(-1, v.shape[-1]) ** 2, axis=0))
    if x.shape[-1] < LEAST or not np.all(np.isfinite(speed)) or not np.max(speed[part]) > LEFT * np.max(speed):
        return ""
    x, a = (one[..., part] - np.mean(one[..., part], axis=-1, keepdims=True) for one in (x, a))
    with np.errstate(all="ignore"):
        square = -float(np.vdot(a, x)) / float(np.vdot(x, x))
    return words(abs(step) * math.sqrt(square), math.sqrt(square), other="") if 0.0 < square < math.inf else ""
