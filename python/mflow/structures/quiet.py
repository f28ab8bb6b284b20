"""Where a load that is a function stops to stand still: steps under error control grow while nothing happens, and would pass a pulse."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["QuietLoad"]

LOOKS = 256  # pieces of the span
QUIET = 1e-6  # of the largest load seen: what it changes by over a piece in which it stands still
PIECES = 3  # in a row that are a stretch
REACHED = 1e-6  # of a piece


class QuietLoad:
    """The ends of the stretches over which a load stands still, to a piece of the span; none where it knows the times of steps alone.

    ends : times, ascending in the direction of the run. calls : of the load. piece : its length.

    Examples
    --------
    >>> from mflow.structures.quiet import QuietLoad
    >>> quiet = QuietLoad(lambda t: [1.0 if 1.0 < t < 1.5 else 0.0], (0.0, 2.0))
    >>> quiet.ends, quiet.calls
    ([1.0, 1.4921875], 257)
    >>> quiet.bound(0.25), quiet.bound(1.0), quiet.bound(1.75)
    (0.75, 0.0078125, inf)
    """

    def __init__(self, load: Callable[[float], Any], span: tuple[float, float]) -> None:
        times, values = np.linspace(*span, LOOKS + 1), []
        self.piece, self.sign, self.ends, self.calls = abs(span[1] - span[0]) / LOOKS, math.copysign(1.0, span[1] - span[0]), [], 0
        try:
            with np.errstate(all="ignore"):
                for t in times.tolist():
                    self.calls += 1
                    values.append(np.array(load(t), dtype=np.float64).ravel())
                numbers = np.array(values)
        except Exception:  # the run calls it again, and its error names it
            return
        still = np.max(np.abs(np.diff(numbers, axis=0)), axis=1, initial=0.0) <= QUIET * np.max(np.abs(numbers), initial=0.0)
        lasting = np.all([still[k : still.size - PIECES + k] for k in range(PIECES)], axis=0)
        self.ends = (self.sign * times[PIECES:-1][lasting & ~still[PIECES:]]).tolist()

    def bound(self, t: float) -> float:
        """The longest step from t that does not pass an end: a piece from there on."""
        k = bisect_right(self.ends, self.sign * t + REACHED * self.piece)
        ahead = self.ends[k] - self.sign * t if k < len(self.ends) else math.inf
        return min(ahead, self.piece) if k and self.sign * t < self.ends[k - 1] + self.piece else ahead
