"""Poles in time: whether f(t, y) grows without bound between two times, so fast that no state follows it.

Steps of a size that only stability has chosen leap over a pole of the forcing, as of 1/(1 - t)^2, for no Jacobian tells of it. f is looked
at along the way at one state, and where it stands out, ever nearer to where it is largest. At a pole like |t - t*|^-p the integral diverges
if p >= 1, and p is measured between two distances. At one with p < 1, at a logarithm and at what is steep and bounded it does not. A pole
that belongs to the state, as of 1/(y - t), is not there at another state beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mflow.base.checks import Array

__all__ = ["pole_words"]

LOOKS = 6  # at f on the way
STANDS_OUT = 1.5  # times the median of these
GROWS = 1.05  # from one side of the largest to it, however near: at what is bounded it comes down to 1
ZOOMS = 64
LAST = 64.0  # units in the last place of t: a pole is not known more closely
NEAR, FAR = 1024.0, 2.0**20  # times that: the distances between which the power is measured, to .0002
LEAST_POWER = 0.998
ASIDE = 1e-3  # of the state: where a pole in time stands as well, and one at which the state is met by something does not

Slope = Callable[[float, Array], Array]


def pole_words(slope: Slope, t0: float, t1: float, y: Array) -> str:
    """Words, where f(t, y) has a pole between t0 and t1 whose integral diverges; "" where it has none, or none that stands out."""

    def size(t: float, y: Array = y) -> float:
        try:
            with np.errstate(all="ignore"):
                value = float(np.linalg.norm(slope(t, y)))
        except ArithmeticError:  # Python's own 1/0
            return math.inf
        return math.inf if math.isnan(value) else value

    if size(t0) == size(t0 + 0.618 * (t1 - t0)) or size(t1) == math.inf:  # no forcing, or a wall, which the steps themselves meet
        return ""
    width = (t1 - t0) / (LOOKS + 1)
    times = [t0 + (i + 1) * width for i in range(LOOKS)]
    values = [size(t) for t in times]
    best = max(range(LOOKS), key=values.__getitem__)
    if not values[best] > STANDS_OUT * float(np.median(values)):
        return ""
    t, near = _zoom(size, times[best], values[best], width)
    if not 0.0 < FAR * near < abs(width):
        return ""
    far, close = (min(size(t + d), size(t - d)) for d in (FAR * near, NEAR * near))
    beside = size(t + NEAR * near, y + ASIDE * (np.abs(y) + (np.max(np.abs(y), initial=0.0) or 1.0)))
    if not (0.0 < far < close < math.inf and math.log(close / far) >= LEAST_POWER * math.log(FAR / NEAR) and beside > 0.5 * close):
        return ""
    return f"the right-hand side grows without bound at t = {t:.9g}, so fast that its integral diverges: no step leads over it"


def _zoom(size: Callable[[float], float], t: float, value: float, width: float) -> tuple[float, float]:
    """Where |f| is largest next to t, where it is `value`, larger than `width` away; how closely that is known, 0 where f is bounded."""
    for _ in range(ZOOMS):
        width *= 0.5
        if abs(width) < LAST * math.ulp(t):
            break
        sides = [(size(t + shift), t + shift) for shift in (-width, width)]
        (low, _), (most, there) = min(sides), max(sides)
        if not max(most, value) > GROWS * low:
            return t, 0.0
        if most > value:
            value, t = most, there
    return t, max(abs(width), LAST * math.ulp(t))
