"""Sparse tangents of a nonlinear force: the matrix of an implicit acceleration, factored by the core as a band, or by SciPy.

Newton's equation for a = w M^-1 F(t, xp + bx a, vp + bv a) + q has the matrix I - M^-1 T, T = w (bx dF/dx + bv dF/dv). M^-1 would fill
it, so M - T is factored, and right-hand sides are multiplied with M (M + c C + k K where the force stands beside matrices C and K). Its
rows are put into reverse Cuthill-McKee order; if the result is a narrow band, the core's banded LU factors it, otherwise SciPy's splu.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.solvers import band_lu

from mflow.base.checks import Array
from mflow.base.extras import need

__all__ = ["TangentFactors", "is_sparse"]

NARROW = 4  # a band is used if it takes up less than this fraction, 1/NARROW, of the matrix


def is_sparse(tangent: Any, t0: float, x0: Array, v0: Array, args: tuple[Any, ...]) -> bool:
    """Whether a tangent, or its value at the start if it is a function, is a SciPy sparse matrix."""
    return hasattr(tangent(t0, x0.copy(), v0.copy(), *args) if callable(tangent) else tangent, "tocsr")


class TangentFactors:
    """T as a SciPy sparse matrix, and the factors of M - T: the sparse solver that `mflow_core.solvers.matrix` calls.

    mass, damping, stiffness : None, n numbers, or a dense or sparse matrix, checked.
    """

    band = None  # `solve` multiplies, too

    def __init__(self, n: int, mass: Any, damping: Any = None, stiffness: Any = None) -> None:
        for module in ("scipy.sparse.csgraph", "scipy.sparse.linalg"):
            need(module, "a sparse matrix")
        self._scipy, self.n = need("scipy.sparse", "a sparse matrix"), n
        self._mass, self._others = self._rows(np.ones(n) if mass is None else mass), (self._rows(damping), self._rows(stiffness))
        self._sum: Any = self._mass
        self.ask: Callable[[float, Array], Any] | None = None  # T at a time and an acceleration; `mflow_core.dynamics.force` sets it
        self._tangent: Any = None
        self._pattern: tuple[bytes, bytes] | None = None
        self._band: band_lu.BandLU | None = None
        self._factors: Any = None

    def _rows(self, matrix: Any) -> Any:
        if matrix is None:
            return None
        diagonal = np.ndim(matrix) == 1 and not hasattr(matrix, "tocsr")
        return self._scipy.diags_array(matrix).tocsr() if diagonal else self._scipy.csr_array(matrix)

    def take_sum(self, c: float, k: float) -> None:
        """From here on M + c C + k K takes the place of M."""
        self._sum = self._mass
        for share, matrix in zip((c, k), self._others, strict=True):
            if matrix is not None and share != 0.0:
                self._sum = self._sum + share * matrix

    @property
    def banded(self) -> bool:
        """Whether the last factors are a band's."""
        return self._band is not None and self._factors is self._band

    def jacobian(self, t: float, a: Array) -> bool:
        """Computes T; False if an entry is not finite."""
        assert self.ask is not None
        self._tangent = self._scipy.csr_array(self.ask(t, a))
        return bool(np.all(np.isfinite(self._tangent.data)))

    def factor(self, gh: float) -> bool:
        """Factors M - gh T, or -T where gh is infinite; False if it is singular."""
        matrix = -self._tangent if math.isinf(gh) else (self._sum - gh * self._tangent).tocsr()
        matrix.sum_duplicates()
        self._choose_band(matrix)
        if self._band is not None:
            self._factors = self._band
            return self._band.factor(matrix.indptr, matrix.indices, matrix.data)
        try:
            self._factors = self._scipy.linalg.splu(matrix.tocsc())
        except RuntimeError as error:
            if "singular" in str(error):
                return False
            raise
        return True

    def _choose_band(self, matrix: Any) -> None:
        """A band for this pattern, if the pattern has changed."""
        pattern = matrix.indptr.tobytes(), matrix.indices.tobytes()
        if pattern == self._pattern:
            return
        self._pattern, self._band = pattern, None
        order = self._scipy.csgraph.reverse_cuthill_mckee(self._scipy.csr_matrix(abs(matrix) + abs(matrix.T)), symmetric_mode=True)
        place = np.empty(self.n, dtype=np.int64)
        place[order] = np.arange(self.n)
        entries = matrix.tocoo()
        ahead = place[entries.col] - place[entries.row]
        lower, upper = int(max(-ahead.min(initial=0), 0)), int(max(ahead.max(initial=0), 0))
        if NARROW * (2 * lower + upper + 1) <= max(self.n, 16):
            self._band = band_lu.BandLU(order, lower, upper)

    def solve(self, b: Array) -> Array:
        """(I - M^-1 T)^-1 b."""
        x: Array = self._factors.solve(np.asarray(self._sum @ b))
        return x
