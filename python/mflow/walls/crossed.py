"""Components that have another sign than at their start, and cannot have: for runs whose steps are not kept on one side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mflow.base.checks import Array

__all__ = ["crossed", "crossed_words"]

ASKED = 8
LEAST = 0.01  # of what it was at the start: how far beyond 0 a component is that counts


def crossed(slope: Callable[[float, Array], Array], t0: float, t: float, y: Array, start: Array) -> int:
    """The component that has another sign at t than at the start, t0, and cannot have: where it is 0, so is its slope, wherever the others
    are, and whenever. -1: there is none. Those that are farthest beyond 0 are asked, `ASKED` at most, by up to three evaluations each."""
    y, start = y.ravel(), start.ravel()
    with np.errstate(all="ignore"):
        share = np.where(start != 0.0, -y / start, 0.0)
        far = np.argsort(-share, kind="stable")[:ASKED]
        return next((k for k in far[share[far] > LEAST].tolist() if _rests(slope, t0, t, y, start, k)), -1)


def _rests(slope: Callable[[float, Array], Array], t0: float, t: float, y: Array, start: Array, which: int) -> bool:
    """Whether the slope of a component is 0 where the component is, beside three states of the others."""
    for others, part in ((y, 1.0), (start, 0.618), (y, 0.273)):
        there = others.copy()
        there[which] = 0.0
        if np.asarray(slope(t0 + part * (t - t0), there), dtype=np.float64).ravel()[which] != 0.0:
            return False
    return True


def crossed_words(slope: Callable[[float, Array], Array], t0: float, t: float, y: Array, start: Array) -> str:
    """The same in words; "" where there is none."""
    which = crossed(slope, t0, t, y, start)
    if which < 0:
        return ""
    return (
        f"component {which} has changed its sign, which no solution does, as its slope is 0 where it is 0: it fell below atol, "
        "and steps led over 0; give a smaller atol"
    )
