"""exp(h J) v of many components, to a tolerance: from Krylov spaces of J, or where J is sparse and h J large of (1 - h J/10)^-1.

The space of J resolves steps with h |J| of some tens; longer ones are taken in parts. That of the inverse does not know of |J|: a stiff J
costs one factorization (J. van den Eshof and M. Hochbruck, SIAM J. Sci. Comput. 27 (2006) 1438-1457).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.spectra import krylov
from mflow.spectra.learned import scipy_sparse
from mflow.spectra.outer import Linear

__all__ = ["Exponential", "OutOfReachError"]

TOLERANCE = 1e-9  # of the result, relative to the vector or the result, whichever is larger
VECTORS = 36
INVERSE_VECTORS = 60
LOOKS = frozenset((12, 16, 20, 25, 31, 38, 46, INVERSE_VECTORS))  # vectors after which the result is compared with the last one
EARLY = frozenset((6, 9, 13, 18, 24, 30))
AGREE = 1e-8
SHARE = 0.1  # of h, in the inverse
LARGE = 40.0  # h |J| beyond which the inverse is used
PARTS = 60  # of a step
DOUBLINGS = 10


class OutOfReachError(ArithmeticError):
    """h J is too large for its products alone."""


class Exponential:
    """exp(h J), as a map of vectors."""

    def __init__(self, J: Linear, h: float) -> None:
        self.J, self.h = J, h
        self.factors: Any = None
        matrix = J.matrix
        if hasattr(matrix, "tocsc") and abs(h) * float(np.max(abs(matrix).sum(axis=1))) > LARGE:
            sparse = scipy_sparse()
            try:
                self.factors = sparse.linalg.splu((sparse.eye_array(J.n) - SHARE * h * matrix).tocsc())
            except RuntimeError:  # singular: an eigenvalue at 10/h
                self.factors = None

    @property
    def has_back(self) -> bool:
        """Whether exp(h J)^T v can be computed."""
        return self.J.back is not None

    def times(self, v: Array, back: bool) -> Array:
        """exp(h J) v, or exp(h J)^T v. OutOfReachError where that takes too many products, FloatingPointError where one is not finite."""
        size = float(np.linalg.norm(v))
        if size == 0.0:
            return v.copy()
        if self.factors is not None:
            out = self._by_inverse(v, size, back)
            if out is not None:
                return out
        product = self.J.back if back else self.J.times
        assert product is not None
        left = 1.0
        for _ in range(PARTS):
            v, done = self._part(product, v, left)
            left -= done
            if left <= 0.0:
                return v
        raise OutOfReachError

    def _part(self, product: Any, v: Array, left: float) -> tuple[Array, float]:
        """(the vector after a part of the step, the part)."""
        size = float(np.linalg.norm(v))
        if size == 0.0:
            return v, left
        Q, H, rest = krylov.basis(
            product, v / size, min(VECTORS, v.size), lambda H, k: k in EARLY and self._error(H, k, left)[0] <= TOLERANCE
        )
        part = left
        square = np.zeros((len(H) + 1, len(H)))
        square[: len(H)], square[len(H), -1] = H, rest
        while True:
            error, small = self._error(square, len(H), part)
            if error <= TOLERANCE or not rest > 0.0:
                return np.asarray((size * small) @ Q), part
            if part < left / (4.0 * PARTS):
                raise OutOfReachError
            part *= 0.7 if error <= 1e3 * TOLERANCE else 0.5

    def _error(self, H: Array, k: int, part: float) -> tuple[float, Array]:
        """(error of a part of the step from k vectors, relative to the vector or the result, the result in the basis).

        The error is an integral over the part, whose integrand may be large at first and 0 at the end: it is looked at on the way.
        """
        E = krylov.exponential(part * self.h / 2.0**DOUBLINGS * H[:k, :k])
        most = abs(float(E[-1, 0]))
        for _ in range(DOUBLINGS):
            E = E @ E
            most = max(most, abs(float(E[-1, 0])))
        return abs(part * self.h * float(H[k, k - 1])) * most / max(1.0, float(np.linalg.norm(E[:, 0]))), E[:, 0]

    def _by_inverse(self, v: Array, size: float, back: bool) -> Array | None:
        """From the space of the inverse; None where it does not converge."""
        solve = (lambda u: self.factors.solve(u, "T")) if back else self.factors.solve
        last = [np.zeros(0)]

        def settled(H: Array, k: int) -> bool:
            if k not in LOOKS:
                return False
            small, before = self._small(H[:k, :k]), last[0]
            last[0] = small
            change = small.copy()
            change[: before.size] -= before
            return float(np.linalg.norm(change)) <= AGREE * max(1.0, float(np.linalg.norm(small)))

        Q, H, rest = krylov.basis(solve, v / size, min(INVERSE_VECTORS, v.size), settled)
        if rest > 0.0 and not settled(H, len(H)):
            return None
        return np.asarray((size * self._small(H)) @ Q)

    def _small(self, H: Array) -> Array:
        """exp of h times what the inverse says of J, applied to the first vector."""
        return krylov.exponential((np.eye(len(H)) - np.linalg.inv(H)) / SHARE)[:, 0]
