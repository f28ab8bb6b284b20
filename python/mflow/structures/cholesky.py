"""Sparse Cholesky factors of sums M + c C + k K: CHOLMOD's, by way of scikit-sparse (an extra), beside SciPy's SuperLU.

A symmetric factor has half the numbers of an LU, and an order that is chosen for it fewer still. The order and the pattern of the factor
are found once for a pattern (the analysis) and serve all later sums of it, so that a change of dt costs the numbers alone.
`mode="supernodal"`: the other one would factor an indefinite matrix as L D L', without exchanges and without a word.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.base.extras import need
from mflow.base.telling import tell

__all__ = ["Cholesky"]


class _Factor:
    """`solve` of SuperLU's factors, by CHOLMOD's."""

    def __init__(self, factor: Any) -> None:
        self.solve: Any = factor.solve_A


class Cholesky:
    """What `Structure` factorizes sparse sums with, where ``linear_solver="cholesky"``.

    Raises ImportError where scikit-sparse is missing or has no `analyze` (0.5 and newer do not).
    """

    def __init__(self) -> None:
        self.cholmod = need("sksparse.cholmod", 'linear_solver="cholesky"')
        if not hasattr(self.cholmod, "analyze"):
            raise ImportError('linear_solver="cholesky" needs scikit-sparse below 0.5: pip install "scikit-sparse<0.5"')
        self.analysed: list[tuple[Array, Array, Any]] = []  # of M and of the sum: the pattern and its analysis
        self.told = False

    def __call__(self, total: Any) -> Any:
        """Factors of a symmetric matrix (CSC); SuperLU's where it is not positive definite. RuntimeError where it is singular."""
        total.sort_indices()
        factors = self._factors(total)
        if factors is None and not self.told:
            self.told = True
            tell(
                'linear_solver: "cholesky" does not factor M + c C + k K, which is not positive definite: SuperLU does. '
                "See whether the signs of stiffness and damping are meant"
            )
        return need("scipy.sparse.linalg", "a sparse matrix").splu(total) if factors is None else factors

    def _factors(self, total: Any) -> _Factor | None:
        """CHOLMOD's; None of a matrix that is not positive definite."""
        if not (total.diagonal() > 0.0).all():
            return None
        try:
            return _Factor(self._analysis(total).cholesky(total))
        except self.cholmod.CholmodNotPositiveDefiniteError:
            return None

    def _analysis(self, total: Any) -> Any:
        for indptr, indices, analysis in self.analysed:
            if np.array_equal(indptr, total.indptr) and np.array_equal(indices, total.indices):
                return analysis
        analysis = self.cholmod.analyze(total, mode="supernodal")
        self.analysed = [*self.analysed[-1:], (total.indptr, total.indices, analysis)]
        return analysis
