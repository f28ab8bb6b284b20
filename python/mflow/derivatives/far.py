"""What values do far from a point: over which lengths they change by more than their rounding hides, and whether a cost falls without end.

A parameter of SI units may be 1e15 and begin at 1: nothing that is done to it near 1 changes the values, though they depend on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.derivatives.differences import LONGER, tried

__all__ = ["endless_along", "far_length", "moves_far", "seen_lengths"]

EPS = 2.0**-52
FARTHER = tuple(10.0**k for k in range(5, 41, 5))  # units of a parameter: from one to the next no change passes from unseen to overflow
SOMEWHERE = (1e20, 1e40)  # values that are the same at both are not asked further
BEYOND = (1e5, 1e10, 1e20, 1e60)  # to both sides: where they are asked for any change before that is said
SEEN = EPS ** (1 / 3)  # of the values: a change over which the slope of a central difference is best
HIDES = 100.0  # times the rounding of the values: what the usual lengths change them by at most, else these show the slope themselves
BENT = 0.1  # relative: what slopes over a length and a tenth of it are apart by where there is none to follow
FAR, SUNK = 100.0, 1e-8  # of a cost without a minimum: the way, what is left of the cost at half of it


def far_length(changes: Callable[[float], Array], unit: float, size: float) -> float:
    """The length at which a parameter, moved by it, changes values of this size so that a central difference shows their slope; 0 where
    shorter lengths of `differences.LONGER` times its unit would have shown it, or there is no such slope.

    changes(h) : the changes as it moves by h, NaN where nothing can be asked.
    """
    least = SEEN * size
    if not least > 0.0 or not any(_moved(changes, h * unit).any() for h in SOMEWHERE):
        return 0.0
    far = next((h * unit for h in FARTHER if not _largest(_moved(changes, h * unit)) < least), 0.0)
    if not far > FARTHER[0] * unit:
        return 0.0
    length = next(h for h in (1e-4 * far, 1e-3 * far, 1e-2 * far, 0.1 * far, far) if h == far or _largest(_moved(changes, h)) >= least)
    slope, nearer = _slope(changes, length), _slope(changes, 0.1 * length)
    steepest = _largest(slope)
    hidden = LONGER[-1] * unit * steepest <= HIDES * EPS * size
    return length if hidden and _largest(nearer - slope) <= BENT * steepest else 0.0


def _moved(changes: Callable[[float], Array], length: float) -> Array:
    """On the side where there is something to ask."""
    up = changes(length)
    return up if np.isfinite(up).all() else changes(-length)


def _slope(changes: Callable[[float], Array], length: float) -> Array:
    """By a central difference, or likewise."""
    up, down = changes(length), changes(-length)
    if not np.isfinite(up).all():
        return -down / length
    return up / length if not np.isfinite(down).all() else (up - down) / (2.0 * length)


def _largest(values: Array) -> float:
    """The largest size among these, 0 of none; NaN where one is NaN."""
    return float(np.max(np.abs(values), initial=0.0))


def seen_lengths(changes: Callable[[Array], Array], lengths: Array, most: Array, least: float) -> Array:
    """Each length that is not 0, or ten, a hundred ... times it up to `most`, over which the largest of the changes along the coordinate is
    at least this; itself where there is none."""
    out = lengths.copy()
    for j in np.flatnonzero(lengths):
        while out[j] <= most[j] and not float(np.max(np.abs(changes(out[j] * (np.arange(out.size) == j))), initial=0.0)) >= least:
            out[j] *= 10.0
        out[j] = out[j] if out[j] <= most[j] else lengths[j]
    return out


def moves_far(values: Callable[[Array], Array], x: Array, here: Array, some: NDArray[np.bool_], inside: Callable[[Array], bool]) -> bool:
    """Whether values are others far from x where these parameters move together."""
    unit = np.where(some, np.maximum(np.abs(x), 1.0), 0.0)
    ends = (x + sign * h * unit for h in BEYOND for sign in (1.0, -1.0))
    seen = (tried(values, end) for end in ends if inside(end))
    return any(one is not None and np.isfinite(one).all() and not np.array_equal(one, here) for one in seen)


def endless_along(cost_of: Callable[[Array], float], start: Array, x: Array, cost: float, inside: Callable[[Array], bool]) -> int:
    """The parameter that has gone far while the cost fell by orders of magnitude, and is no higher at twice the way; -1: there is none."""
    way = x - start
    j = int(np.argmax(np.abs(way)))
    if not abs(way[j]) > FAR * max(1.0, float(np.max(np.abs(start)))):
        return -1
    away = (np.arange(x.size) == j) * way
    if not inside(x + away):
        return -1
    costs = [tried(cost_of, x + share * away) for share in (-1.0, -0.5, 1.0)]
    first, half, twice = (math.nan if one is None else one for one in costs)
    return j if half <= SUNK * first and twice <= cost <= half else -1
