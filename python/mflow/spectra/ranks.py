"""Ranks of Jacobians, whose columns are scaled to length 1, and the directions that they tell nothing of."""

from __future__ import annotations

from typing import Any

import numpy as np
from mflow_core.arithmetic.scalars import scaled_norm

from mflow.base.checks import Array
from mflow.base.pace import interruptible

__all__ = ["blank_directions", "column_norms", "least_share", "lost_share", "rank_of", "still_directions", "triangle_values"]


def lost_share(J: Array) -> float:
    """The share of the largest singular value below which one is rounding."""
    return float(max(J.shape)) * 2.0**-52


def column_norms(J: Array) -> Array:
    """The lengths of the columns, also of those whose squares under- or overflow."""
    with np.errstate(all="ignore"):
        squares = (J * J).sum(axis=0)
    out: Array = np.sqrt(squares)
    for j in np.flatnonzero(~((squares > 1e-290) & (squares < 1e300))):
        out[j] = scaled_norm(J[:, j])
    return out


def rank_of(J: Array) -> int:
    """Of a Jacobian, to rounding, its columns scaled to length 1."""
    if not J.size or not np.isfinite(J).all():
        return 0
    norms = column_norms(J)
    s = interruptible(float(J.size) * J.shape[1], np.linalg.svd, J / np.where(norms > 0.0, norms, 1.0), compute_uv=False)
    return int(np.sum(s > lost_share(J) * s[:1].max(initial=0.0)))


def least_share(J: Array) -> float:
    """The least singular value of a Jacobian, its columns that are not 0 scaled to length 1, relative to the largest; 1 where all are 0."""
    norms = column_norms(J)
    _, s, _ = triangle_values(J[:, norms > 0.0] / norms[norms > 0.0])
    return float(s[-1] / s[0]) if s.size else 1.0


def triangle_values(J: Array) -> Any:
    """U, the singular values, and V' in rows, of the triangle of J, which are those of J itself."""
    n = J.shape[1]
    R = interruptible(float(J.size) * n, np.linalg.qr, J, mode="r")
    return interruptible(10.0 * float(n) ** 3, np.linalg.svd, R)


def blank_directions(J: Array, x: Array, size: float, rounding: Array, least: float) -> tuple[Array, Array]:
    """Directions, (some, n), orthonormal in parameters times the lengths of the columns, along which nothing is seen but rounding, and
    these lengths: for differences J of residuals of this length at x. rounding: of a difference, relative to values. least: relative to J,
    what differences are wrong by at any rate."""
    norms = column_norms(J)
    norms = np.where(norms > 0.0, norms, 1.0)
    values = float(norms @ np.abs(x)) + size  # of what residuals are differences of
    _, s, V = triangle_values(J / norms)
    s = np.append(s, np.zeros(len(V) - s.size))
    lost = np.sqrt((V * values * rounding / norms) ** 2 @ np.ones(x.size)) + least
    return V[s <= lost], norms


def still_directions(J: Array, most: int) -> Array:
    """So many directions, in rows, that a Jacobian takes to 0 though none of the columns that they combine is 0."""
    some = np.flatnonzero(J.any(axis=0))
    norms = column_norms(J[:, some])
    _, s, V = triangle_values(J[:, some] / norms)
    rows = V[int(np.sum(s > lost_share(J) * s[0])) :][:most] / norms
    out = np.zeros((len(rows), J.shape[1]))
    out[:, some] = rows / np.max(np.abs(rows), axis=1, initial=0.0, keepdims=True)
    return out
