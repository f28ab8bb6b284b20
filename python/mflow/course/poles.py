"""Poles in time: whether f(t, y) grows without bound between two times, so fast that no state follows it.

Steps of a size that only stability has chosen leap over a pole of the forcing, as of 1/(1 - t)^2, for no Jacobian tells of it. f is looked
at along the way at one state, and where it stands out, ever nearer to where it is largest: at a pole like |t - t*|^-p with p >= 1 what
|f| is at a distance, times that distance, does not become less. Its integral diverges. At one with p < 1, at a logarithm and at what is
steep and bounded it does.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mflow.base.checks import Array

__all__ = ["pole_words"]

LOOKS = 8  # at f on the way
STANDS_OUT = 1.5  # times the median of these
GROWS = 1.05  # from one side of the largest to it, however near: at what is bounded it comes down to 1
ZOOMS = 64
FIRST = 3  # zooms until what is seen is the pole alone
LAST = 64.0  # units in the last place of t
HOLDS = 0.2  # of |f| times the distance after these zooms: with p = 1 it stays, with p = .9 it is .06 after 40 more

Slope = Callable[[float, Array], Array]


def pole_words(slope: Slope, t0: float, t1: float, y: Array) -> str:
    """Words, where f(t, y) has a pole between t0 and t1 whose integral diverges; "" where it has none, or none that stands out."""

    def size(t: float) -> float:
        try:
            with np.errstate(all="ignore"):
                value = float(np.linalg.norm(slope(t, y)))
        except ArithmeticError:  # Python's own 1/0
            return math.inf
        return math.inf if math.isnan(value) else value

    width = (t1 - t0) / (LOOKS + 1)
    ends = size(t0), size(t1)
    if ends[0] == ends[1] == size(t0 + 0.618 * (t1 - t0)):
        return ""
    times = [t0 + (i + 1) * width for i in range(LOOKS)]
    values = [size(t) for t in times]
    best = max(range(LOOKS), key=values.__getitem__)
    if not values[best] > STANDS_OUT * float(np.median(values)):
        return ""
    return _zoom(size, times[best], values[best], width)


def _zoom(size: Callable[[float], float], t: float, value: float, width: float) -> str:
    """The same, next to t, where |f| is `value` and larger than `width` away."""
    first = last = math.nan
    for k in range(ZOOMS):
        width *= 0.5
        if abs(width) < LAST * math.ulp(t):
            break
        sides = [(size(t + shift), t + shift) for shift in (-width, width)]
        (low, _), (most, there) = min(sides), max(sides)
        if not max(most, value) > GROWS * low:
            return ""
        if most > value:
            value, t = most, there
        last = low * abs(width)
        first = last if k <= FIRST else first
    if not last >= HOLDS * first:
        return ""
    return f"the right-hand side grows without bound at t = {t:.9g}, so fast that its integral diverges: no step leads over it"
