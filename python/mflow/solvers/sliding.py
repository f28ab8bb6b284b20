"""Right-hand sides that jump, where both sides of the jump lead back to it: no classical solution goes on from there.

y' = -sign(y) is at 0 after a time, and a body stands in dry friction. The solution slides along the jump (A. F. Filippov, Differential
Equations with Discontinuous Righthand Sides (1988)): explicit steps chatter there, and equations of implicit ones have no root.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mflow.base.checks import Array

__all__ = ["sliding_words"]

REACHES = tuple(4.0**k for k in range(-1, 6))  # steps, within which the jump is looked for
HALVINGS = 60
JUMPS = 0.3  # what is left of a difference of slopes where the way between them has no length
BEYOND = (1e-3, 1e-6)  # of that way: how far the slope leads from the jump to the other side
SHOWN = 4  # components


def sliding_words(slope: Callable[[float, Array], Array], t: float, y: Array, h: float, most: float = math.inf) -> str:
    """Words, where a step of h from y at t leads over a jump that attracts from both sides; "" otherwise.

    slope : returns NaNs where it has no value. most : steps of h, in which the jump is looked for.
    """
    first = slope(t, y)
    if not np.array_equal(first, slope(t, y)):  # noise, which jumps everywhere
        return ""
    for reach in REACHES:
        ends = _jump(slope, t, y, reach * h * first) if reach <= most else None
        if ends is not None:
            (a, fa), (b, fb) = ends
            if any(_attracts(slope, t, a, fa, b, fb, part * reach * h) for part in BEYOND):
                where = f" y = {np.ravel(a).tolist()}" if a.size <= SHOWN else ""
                return (
                    f"the right-hand side jumps near t = {t:g}{where or ' the state'}, and both sides of the jump lead back to it: the "
                    "solution slides along it, which no step can follow; round the jump off, as np.tanh(x/eps) in place of np.sign(x), or "
                    "let an event change fun there"
                )
    return ""


def _jump(slope: Callable[[float, Array], Array], t: float, y: Array, way: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]] | None:
    """Two neighbours on the way and their slopes, which differ as those of its ends do; None where there are none."""
    a, b = y, y + way
    fa, fb = slope(t, a), slope(t, b)
    apart = float(np.max(np.abs(fb - fa), initial=0.0))
    if not apart > 0.0:
        return None
    for _ in range(HALVINGS):
        c = 0.5 * (a + b)
        if np.array_equal(c, a) or np.array_equal(c, b):
            break
        if not float(np.max(np.abs(fb - fa))) > JUMPS * apart:  # a slope that changes evenly is known for it after two halvings
            return None
        fc = slope(t, c)
        if not _nearer(fc, fb, fa):
            a, fa = c, fc
        else:
            b, fb = c, fc
    left = float(np.max(np.abs(fb - fa)))
    return ((a, fa), (b, fb)) if left > JUMPS * apart and np.isfinite(left) else None


def _nearer(f: Array, to: Array, than: Array) -> bool:
    return bool(np.max(np.abs(f - to)) < np.max(np.abs(f - than)))


def _attracts(slope: Callable[[float, Array], Array], t: float, a: Array, fa: Array, b: Array, fb: Array, h: float) -> bool:
    """Whether each side's slope leads to where the slope is more like the other's."""
    return _nearer(slope(t, a + h * fa), fb, fa) and _nearer(slope(t, b + h * fb), fa, fb)
