"""Lengths of differences that are held against each other, where the size of x says nothing of the function's own length.

A parameter that carries an offset (day numbers, epoch seconds, raw units) is large beside the lengths over which its function changes, and
a share of it reaches over many of those. So a difference over the usual length is believed where one over a much shorter length is about
the same. Where it is not, differences are taken over all lengths in between and below: those that tell the derivative agree with their
neighbours, as those that are too long do not, nor those in which rounding is all there is.

    plateau     two neighbours, ten times apart, that agree to `CLOSE`, or three to `NEAR`; the shortest one is that of the point itself
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from mflow.base.checks import Array
from mflow.derivatives.differences import EPS, along, fitting_length, tried

__all__ = ["Agreed", "agreeing", "own_lengths"]

Derivative = Callable[[float], Array]
MUCH = 1e-4  # of the usual length: a much shorter one
CLOSE, NEAR = 1e-3, 0.03  # relative: what neighbours are apart by, of two and of three
ROUGH = 0.25  # of a derivative: more rounding leaves nothing of it
RATIO = 10.0  # of neighbours
ROUNDED = 1e3  # times the rounding of x: no length is shorter
DEEP = 1e-12  # of the usual length, at x = 0: likewise
FLOOR = 1e-290  # shorter ones underflow
BENDS = 1e-2  # of the usual length of a second difference: a much shorter one
SHORT = 0.3  # of the length of second differences: that of first ones beside them
CURVED = 1e-3  # relative: the usual length of second differences


class Agreed(NamedTuple):
    """length : over which the derivative is believed, the usual one where it is. apart : what it and its neighbours are apart by, in the
    norm of the derivative; nan where no two lengths agree: nothing is known then. calls : of the derivative."""

    length: float
    apart: float
    calls: int


def agreeing(
    derivative: Derivative, usual: float, size: float, much: float = MUCH, own: float = math.nan,
    rounding: Callable[[float], float] | None = None,
) -> Agreed:  # fmt: skip
    """The length over which a derivative along one direction is taken.

    Parameters
    ----------
    derivative : callable
        ``derivative(length)`` -> float64 array, by differences over this length. It may raise, or not be finite.
    usual : float
    size : float
        The largest entry of x that moves, whose rounding is a bound to lengths.
    much : float
        Of the usual length: that of the first comparison.
    own : float
        The length that the size of x tells, where it is still shorter than that.
    rounding : callable, optional
        Of the derivative's norm, over a length, as far as it is known; neighbours may differ by twice that.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.derivatives.agreement import agreeing
    >>> x = 1e7 * np.pi
    >>> slope = lambda h: np.array([(np.sin(x + h) - np.sin(x - h)) / (2 * h)])
    >>> agreeing(slope, 2e-5 * x, x).length < 0.1
    True
    """
    seen: dict[float, Array | None] = {}

    def at(length: float) -> Array | None:
        if length not in seen:
            out = tried(derivative, length)
            seen[length] = None if out is None or not np.all(np.isfinite(out)) else np.asarray(out, dtype=np.float64)
        return seen[length]

    def apart(a: float, b: float) -> float:
        """Relative to the larger one; inf where one is nothing."""
        first, second = at(a), at(b)
        if first is None or second is None:
            return math.inf
        with np.errstate(all="ignore"):
            sizes = float(np.linalg.norm(first)), float(np.linalg.norm(second))
            off = float(np.linalg.norm(first - second))
        if max(sizes) == 0.0:
            return 0.0
        off -= 2.0 * rounding(min(a, b)) if rounding is not None else 0.0
        return max(off, 0.0) / max(sizes) if min(sizes) > 0.0 or off <= 0.0 else math.inf

    if 0.0 < own < much * usual:  # shares of something small, which have to show the same over lengths ten times as long
        fitting = fitting_length(lambda h: found_at(at(h)), usual, own / usual)
        if fitting != usual:
            return Agreed(fitting, 0.0, len(seen))
    short = max(much * usual, least_length(usual, size))
    enough = CLOSE if much == MUCH else NEAR
    if short >= usual or (apart(usual, short) <= enough and np.any(at(usual))):
        return Agreed(usual, 0.0, len(seen))
    down = math.ceil(math.log(usual / least_length(usual, size)) / math.log(RATIO) - 0.5)
    lengths = [usual / RATIO**k for k in range(max(down, 1) + 1)]

    def told(length: float) -> bool:
        """Whether there is more than rounding over this length."""
        value = at(length)
        size = 0.0 if value is None else float(np.linalg.norm(value))
        return size > 0.0 and (rounding is None or rounding(length) <= ROUGH * size)

    off = [apart(a, b) if told(a) and told(b) else math.inf for a, b in itertools.pairwise(lengths)]
    found = _plateau(off)
    if found is None and off[0] <= NEAR:  # rounding is in what is shorter
        found = 0, 0
    if found is None:
        flat = not any(value is None or np.any(value) for value in seen.values())
        return Agreed(usual, 0.0 if flat else math.nan, len(seen))
    first, best = found
    value = at(lengths[best + 1])
    assert value is not None
    length = (
        usual if first == 0 and (off[0] <= enough or min(off[1:], default=1.0) > NEAR) else math.sqrt(lengths[best] * lengths[best + 1])
    )
    return Agreed(length, off[best] * float(np.linalg.norm(value)), len(seen))


def found_at(value: Array | None) -> Array:
    """The derivative over a length, NaN where there is none."""
    return np.full(1, math.nan) if value is None else value


def least_length(usual: float, size: float) -> float:
    """Below which steps are rounded too roughly."""
    return max(ROUNDED * EPS * size if size > 0.0 else DEEP * usual, FLOOR)


def _plateau(off: list[float]) -> tuple[int, int] | None:
    """(where the shortest plateau begins at its long end, its pair that agrees best), in pairs of neighbours from the longest on."""
    k = len(off) - 1
    while k >= 0:
        end = k
        while k >= 0 and off[k] <= NEAR:
            k -= 1
        run = range(k + 1, end + 1)
        if len(run) > 1 or (len(run) == 1 and off[end] <= CLOSE):
            return k + 1, min(run, key=lambda i: off[i])
        k -= not run
    return None


def own_lengths(value: Callable[[Array], float], x: Array, relative: float = CURVED) -> Array | None:
    """Lengths of second differences of a cost along each parameter that agree with shorter ones; None where the usual ones do.

    value : the cost at a flat point. Four evaluations and one where the usual lengths, `relative` to max(1, |x|), are right.
    """
    here = value(x)

    def bend(move: Array) -> Callable[[float], Array]:
        def derivative(h: float) -> Array:
            up, down = x + h * move, x - h * move
            return np.array([(value(up) - here + (value(down) - here)) / h / h])

        return derivative

    def rounding(h: float) -> float:
        return 4.0 * EPS * abs(here) / h / h

    size = float(np.max(np.abs(x), initial=0.0))
    usual = relative * max(1.0, float(np.linalg.norm(x)))
    small = (np.abs(x) < 10.0 * BENDS * usual) & (x != 0.0)
    if not small.any():
        first = agreeing(bend(along(x.size)), usual, size, BENDS, rounding=rounding)
        if first.length == usual and first.apart == 0.0:
            return None
    out = relative * np.maximum(1.0, np.abs(x))
    plain = out.copy()
    for j in range(x.size):
        own = 0.1 * relative * abs(float(x[j]))
        out[j] = agreeing(bend(1.0 * (np.arange(x.size) == j)), float(out[j]), abs(float(x[j])), BENDS, own, rounding).length
    return None if small.any() and np.array_equal(out, plain) and np.all(plain >= BENDS * usual) else out
