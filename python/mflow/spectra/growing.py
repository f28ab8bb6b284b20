"""Steps on oscillations that grow by themselves: how much faster errors grow than solutions do.

A solution exp(lambda t) with lambda = a + i w, a > 0, is no decay that a step could spoil, and sets no limit of stability. Yet a step of h
multiplies errors by R(h lambda), which may be far more than exp(h a): that of euler grows like exp(h w^2/2) however small a is. What is
looked for is the step up to which errors grow at most twice as fast as solutions do, |R(h lambda)| <= exp(2 h a); as a falls to 0 it
becomes the limit of stability for the frequency w. Where a is larger than w a step that is too long is one that is not accurate: growth
without oscillation is followed from below by every explicit method.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.spectra.eigenvalues import FIRST, NOISE, Values, bisect

__all__ = ["growing", "twice_as_fast"]

TWICE = 2.0  # times as fast as solutions errors may grow
ROUNDING = 1e-15  # of |R|
STEPS = np.concatenate([np.geomspace(1e-7, FIRST, 150), np.arange(FIRST, 16.0, 0.02)[1:]])  # of |z|, where it is looked for
FARTHER = 400  # beyond those
LARGEST = 700.0  # exponent of what solutions grow by, as far as that is a number
MOST = 4  # eigenvalues that are looked at of each of two kinds: those that turn farthest while they grow by e, and those that turn fastest


def growing(values: Values) -> Values:
    """Those of oscillations that grow by themselves, by less than e in a radian; the upper half-plane's."""
    tiny = NOISE * float(np.max(np.abs(values), initial=0.0))
    chosen = np.unique(values[(values.real > tiny) & (values.imag > values.real)])
    hardest, fastest = (np.argsort(-size, kind="stable")[:MOST] for size in (chosen.imag**2 / chosen.real, chosen.imag))
    return np.asarray(chosen[np.union1d(hardest, fastest)], dtype=np.complex128)


def twice_as_fast(value: complex, factors: Callable[[Values], Array], most: float) -> float:
    """The largest step up to which errors grow at most twice as fast as the solution of an eigenvalue; inf where none is longer.

    factors : ``factors(z)`` -> |R(z)|. most : where the search ends in |z|.
    """
    unit = value / abs(value)

    def exceeds(x: Array) -> NDArray[np.bool_]:
        z = np.asarray(x * unit, dtype=np.complex128)
        return np.asarray(~(factors(z) <= np.exp(TWICE * z.real) + ROUNDING))

    x = np.concatenate([STEPS, np.geomspace(STEPS[-1], most, FARTHER)[1:]])
    x = x[TWICE * unit.real * x < LARGEST]
    beyond = np.flatnonzero(exceeds(x))
    if not beyond.size:
        return math.inf
    if beyond[0] == 0:
        return 0.0
    upper = float(x[beyond[0]])
    return bisect(lambda one: bool(exceeds(np.array([one]))[0]), float(x[beyond[0] - 1]), upper) / abs(value)
