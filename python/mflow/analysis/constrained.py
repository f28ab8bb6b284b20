"""Points within bounds: which bounds press, and whether the cost rises along every way that they leave open.

With g the gradient at x, the entries of x are

    held      its bounds leave no room
    pressed   on a bound, and the cost falls beyond it: the bound's multiplier |g_i| is above gtol. x_i does not move, to second order
    loose     on a bound whose multiplier is 0 as far as gtol tells: x_i may move off it, one way
    free      between its bounds

x is stationary where x - clip(x - g) is small (Karush, Kuhn and Tucker). It is a minimum if d'Hd > 0 for every d != 0 that is 0 where x is
held or pressed and points inwards where it is loose. Where H is positive definite on the free and loose entries together that is so. Else,
with H positive definite on the free entries, it is so exactly if the Schur complement of the loose ones, with the signs of their ways
inwards, is strictly copositive: Hadeler's test, over all principal submatrices.

References
----------
J. Nocedal and S. Wright, Numerical Optimization (2006), theorems 12.5 and 12.6; K. Hadeler, Linear Algebra Appl. 49 (1983) 79-89,
theorem 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array

__all__ = ["Face", "face_of", "open_way"]

TOUCH = 1e-9  # of max(1, |x|): nearer to a bound than this, x is on it
LOOSE = 12  # loose entries whose submatrices are all looked at
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Face:
    """Where x may move: masks (n,). inwards : 1 or -1 at a loose entry, else 0. slope : x - clip(x - g), without the rounding of x."""

    held: Mask
    pressed: Mask
    loose: Mask
    inwards: Array
    slope: Array

    @property
    def moves(self) -> NDArray[np.intp]:
        """The free and the loose entries."""
        return np.flatnonzero(~(self.held | self.pressed))


def face_of(x: Array, grad: Array, lower: Array, upper: Array, gtol: float) -> Face:
    """What the bounds do at x."""
    below, above = x - lower, upper - x
    held = upper <= lower
    room = np.where(grad > 0.0, below, above)  # where the cost falls
    slope = np.where(held, 0.0, np.copysign(np.minimum(np.abs(grad), np.maximum(room, 0.0)), grad))
    pressed = ~held & (np.abs(grad) > gtol) & (room <= gtol)
    touch = TOUCH * np.maximum(1.0, np.abs(x))
    loose = ~held & ~pressed & ((below <= touch) | (above <= touch))
    return Face(held, pressed, loose, np.where(loose, np.where(below <= touch, 1.0, -1.0), 0.0), slope)


def open_way(H: Array, loose: Mask, inwards: Array, error: float) -> tuple[str, Array | None]:
    """("minimum", "saddle", "flat" or "not known", the way along which the cost falls) of a Hessian of the free and loose entries that is
    not positive definite. error: of its eigenvalues."""
    free = np.flatnonzero(~loose)
    values, vectors = np.linalg.eigh(H[np.ix_(free, free)]) if free.size else (np.ones(1), np.zeros((0, 1)))
    if values[0] < -error:
        way = np.zeros(len(H))
        way[free] = vectors[:, 0]
        return "saddle", way
    if values[0] <= error:
        return "flat", None
    at = np.flatnonzero(loose)
    if at.size > LOOSE:
        return "not known", None
    across = H[np.ix_(free, at)] * inwards[at]
    follow = -np.linalg.solve(H[np.ix_(free, free)], across) if free.size else np.zeros((0, at.size))
    signs = np.outer(inwards[at], inwards[at])
    kind, v = _copositive(signs * H[np.ix_(at, at)] + across.T @ follow, error * (1.0 + float(np.linalg.norm(follow))) ** 2)
    if v is None:
        return kind, None
    way = np.zeros(len(H))
    way[at], way[free] = inwards[at] * v, follow @ v
    return kind, way / float(np.linalg.norm(way))


def _copositive(S: Array, error: float) -> tuple[str, Array | None]:
    """Whether v'Sv > 0 for all v >= 0 but 0: "minimum"; "saddle", with a v where it is below 0; or "flat"."""
    flat = False
    for size in range(1, len(S) + 1):
        for some in combinations(range(len(S)), size):
            part = S[np.ix_(some, some)]
            values, vectors = np.linalg.eigh(part)
            near = int(np.argmin(np.abs(values)))
            if abs(values[near]) <= error:
                null = vectors[:, near] * np.sign(vectors[:, near].sum() or 1.0)
                flat = flat or bool(np.all(null >= -1e-8))
            elif np.prod(np.sign(values)) < 0.0:
                inverse = np.linalg.inv(part)
                v = np.zeros(len(S))
                v[list(some)] = np.maximum(-inverse.sum(axis=1), 0.0)
                if np.all(inverse <= 1e-12 * np.abs(inverse).max()) and v @ S @ v < -error * (v @ v):
                    return "saddle", v / float(np.linalg.norm(v))
    return ("flat" if flat else "minimum"), None
