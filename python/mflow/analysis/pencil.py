"""The Jacobian of M y' = F(t, y), where M may be singular, in the directions that M moves.

With L and R orthonormal bases of the left and right null spaces of M, and L', R' of what is orthogonal to them, y = R'z + R w. A problem of
index 1 has a regular D = L^T J R, so that its algebraic equations give w, and small errors of z follow

    S dz' = (A - B D^-1 C) dz,      S = L'^T M R',  A = L'^T J R',  B = L'^T J R,  C = L^T J R'

The eigenvalues of S^-1 (A - B D^-1 C) are the finite ones of the pencil (J, M): det(J - lambda M) = 0. M(t) is taken as it is at t.

References
----------
E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), VI.1; U. Ascher and L. Petzold, Computer Methods for Ordinary
Differential Equations and Differential-Algebraic Equations (1998), 9.1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mflow.analysis.field import Field
from mflow.base.checks import Array
from mflow.solvers.mass import Mass

__all__ = ["PencilField"]

SINGULAR = 1e-12  # a condition number of D beyond the inverse: not of index 1


class PencilField(Field):
    """A field whose Jacobian is that of z; its points are those of y."""

    def __init__(self, fun: Any, t: float, y: Array, jac: Any, args: tuple[Any, ...], mass: Mass) -> None:
        self.whole = Field(fun, t, y, jac, args)
        self.fun = self.jac = None
        self.shape, self.sign, self.mass = y.shape, 1.0, mass
        self.n = y.size - mass.at(t).n_algebraic

    def entries(self, t: float, y: Array) -> tuple[Array, Array]:
        """(S^-1 (A - B D^-1 C), the error of each entry, from that of J alone)."""
        J, errors = self.whole.entries(t, y)
        mass = self.mass.at(t)
        left, right = mass.left.full().T, mass.right.full().T
        L, R = _beside(left), _beside(right)
        S = L.T @ mass.rows.full() @ R
        if S.shape != (self.n, self.n):
            raise ValueError(f"mass: expected the rank {self.n} that it has at the start at t = {t:g}, got {S.shape[0]}")
        top, spread = L.T @ J @ R, 1.0
        if left.size:
            D, C, B = left.T @ J @ right, left.T @ J @ R, L.T @ J @ right
            sizes = np.linalg.svd(D, compute_uv=False)
            if not sizes[-1] > SINGULAR * sizes[0]:
                raise ValueError(
                    f"mass: expected a problem of index 1 at t = {t:g}, got algebraic equations that do not tell the components that mass "
                    "leaves out; differentiate a constraint until they do"
                )
            inner = np.linalg.solve(D, C)
            top = top - B @ inner
            spread = (1.0 + float(np.linalg.norm(B, 2)) / float(sizes[-1])) * (1.0 + float(np.linalg.norm(inner, 2)))
        out = np.linalg.solve(S, top)
        unit = spread / float(np.linalg.svd(S, compute_uv=False)[-1])
        error = max(unit * float(np.linalg.norm(errors)), 4.0 * self.n * 2.0**-52 * float(np.linalg.norm(out)))
        return np.asarray(out, dtype=np.float64), np.full(out.shape, error / math.sqrt(out.size), dtype=np.float64)


def _beside(vectors: Array) -> Array:
    """Columns that are an orthonormal basis of what is orthogonal to these columns."""
    n, count = vectors.shape
    return np.eye(n) if not count else np.asarray(np.linalg.qr(vectors, mode="complete")[0][:, count:])
