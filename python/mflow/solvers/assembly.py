"""M - c J as a sparse matrix: its pattern, and the order in which it is factored, are found once for many factorizations.

Where rows and columns can stand so that the entries lie in a narrow band, the matrix is a band, with the LU of the core. Else the
order of the columns is the one of the two of SuperLU for which a matrix of this pattern with a dominant diagonal has small factors: COLAMD,
or minimum degree on A' + A, which is far the better one on grids (X. Li, ACM TOMS 31 (2005) 302-325). It follows from the pattern alone, so
that a run which resumes has the same one. The columns stand in it from then on, and SuperLU is told to keep them so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mflow_core.solvers.band_lu import BandLU, ComplexBandLU

from mflow.base.checks import Array

__all__ = ["Assembly", "Super"]

ORDERS = ("COLAMD", "MMD_AT_PLUS_A")
NARROW = 24  # a band is taken where it is no wider, and holds no more than so many entries for one of the matrix
Index = np.ndarray[Any, np.dtype[np.int64]]


class Super:
    """SuperLU's factors of a matrix whose columns stand at `place`."""

    def __init__(self, factors: Any, place: Index) -> None:
        self._factors, self._place = factors, place

    def solve(self, b: Array) -> Array:
        """The solution for one right-hand side."""
        x: Array = self._factors.solve(b)[self._place]
        return x

    def is_turned(self) -> bool:
        """Whether a pivot is below 0, or rows and columns do not stand in one order."""
        return not np.array_equal(self._factors.perm_r, self._factors.perm_c) or bool(np.any(self._factors.U.diagonal() < 0.0))

    def has_positive_sign(self) -> bool:
        """Whether the determinant is above 0."""
        negative = int(np.count_nonzero(self._factors.U.diagonal() < 0.0))
        return (negative + sum(map(_parity, (self._factors.perm_r, self._factors.perm_c, self._place)))) % 2 == 0


def _parity(permutation: Any) -> int:
    """1 if it takes an odd number of exchanges, else 0."""
    order, seen, cycles = np.asarray(permutation).tolist(), bytearray(len(permutation)), 0
    for start in range(len(order)):
        cycles += not seen[start]
        at = start
        while not seen[at]:
            seen[at] = 1
            at = order[at]
    return (len(order) - cycles) % 2


def _union(keys: list[Index]) -> Index:
    """The different keys of all these, in order."""
    merged = np.sort(np.concatenate(keys), kind="stable")  # which merges what is in order
    return merged[np.append(True, merged[1:] != merged[:-1])] if merged.size else merged


class _Layout:
    """Where the entries of M and of J stand among those of M - c J, by columns."""

    def __init__(self, n: int, keys: list[Index], one: Array) -> None:
        """keys: of each entry of M and of J the number column * n + row. one: the values of M."""
        of_one, of_jacobian = keys
        entries = _union(keys)
        self.indptr = np.concatenate([[0], np.cumsum(np.bincount(entries // n, minlength=n))]).astype(np.int32)
        self.indices = (entries % n).astype(np.int32)
        self._of_jacobian = np.searchsorted(entries, of_jacobian)
        self._one: Array = np.zeros(entries.size)
        self._of_one = np.searchsorted(entries, of_one)
        self.take(one)

    def take(self, one: Array) -> None:
        """Takes other values of M."""
        self._one[self._of_one] = one

    def values(self, c: complex, jacobian: Array, steady: bool) -> Any:
        """The entries of M - c J; of -J where steady."""
        out = (np.zeros_like(self._one) if steady else self._one).astype(type(c))
        out[self._of_jacobian] -= jacobian if steady else c * jacobian
        return out


class Assembly:
    """M - c J for one pattern of J.

    Parameters
    ----------
    one, jacobian : sparse matrices by columns, without duplicates
        M and J.
    scipy_sparse : module
        scipy.sparse, with its linalg and csgraph.
    """

    def __init__(self, one: Any, jacobian: Any, scipy_sparse: Any) -> None:
        n = self._n = jacobian.shape[0]
        self._scipy, self._values = scipy_sparse, one.data
        self._indptr, self._indices = jacobian.indptr, jacobian.indices
        self._at = [(m.indices.astype(np.int64), np.repeat(np.arange(n), np.diff(m.indptr))) for m in (one, jacobian)]
        self._columns, self._rows = divmod(_union([columns * n + rows for rows, columns in self._at]), n)
        self.narrow = self._narrow()
        self._bands: dict[type[BandLU], BandLU] = {}
        self._by_columns: _Layout | None = None

    def fits(self, jacobian: Any) -> bool:
        """Whether J has this pattern."""
        if jacobian.indices is self._indices and jacobian.indptr is self._indptr:
            return True
        return np.array_equal(jacobian.indptr, self._indptr) and np.array_equal(jacobian.indices, self._indices)

    def factors(self, c: complex, jacobian: Any, *, steady: bool = False) -> BandLU | Super | None:
        """Factors of M - c J, of -J where steady; None where it is singular. Those of a band last until the next call."""
        if self.narrow:
            band = self._band(ComplexBandLU if isinstance(c, complex) else BandLU)
            return band if band.factor_sum(*((None, jacobian.data, 1.0) if steady else (self._values, jacobian.data, c))) else None
        if self._by_columns is None:
            self._place = self._order()
            keys = [self._place[columns] * self._n + rows for rows, columns in self._at]
            self._by_columns = _Layout(self._n, keys, self._values)
        layout = self._by_columns
        values = layout.values(c, jacobian.data, steady)
        matrix = self._scipy.csc_matrix((values, layout.indices, layout.indptr), shape=(self._n, self._n))
        try:
            return Super(self._scipy.linalg.splu(matrix, permc_spec="NATURAL"), self._place)
        except RuntimeError as error:
            if "singular" in str(error):
                return None
            raise

    def take(self, one: Array) -> None:
        """Other values of M, whose entries stay where they are."""
        self._values = one
        if self._by_columns is not None:
            self._by_columns.take(one)

    def _band(self, kind: type[BandLU]) -> BandLU:
        """The band of real factors, or that of complex ones, made when it is asked for."""
        if kind not in self._bands:
            assert self.narrow is not None
            self._bands[kind] = kind(*self.narrow)
            self._bands[kind].lay_out(*self._at)
        return self._bands[kind]

    def _narrow(self) -> tuple[Index, int, int] | None:
        """The order and both widths of a band: as the matrix stands, or by Cuthill and McKee, backwards; None if it is wide."""
        n, rows, columns = self._n, self._rows, self._columns
        for find in (np.arange, self._backwards):
            order = find(n)
            place = np.empty(n, dtype=np.int64)
            place[order] = np.arange(n)
            ahead = place[columns] - place[rows]
            lower, upper = int(max(-ahead.min(initial=0), 0)), int(max(ahead.max(initial=0), 0))
            if lower + upper <= NARROW and (lower + upper + 1) * n <= NARROW * rows.size:
                return order, lower, upper
        return None

    def _backwards(self, n: int) -> Index:
        rows, columns = self._rows, self._columns
        pattern = self._scipy.csr_matrix((np.ones(2 * rows.size), (np.append(rows, columns), np.append(columns, rows))), shape=(n, n))
        order: Index = self._scipy.csgraph.reverse_cuthill_mckee(pattern, symmetric_mode=True).astype(np.int64)
        return order

    def _order(self) -> Index:
        """The place of each column."""
        n, rows, columns = self._n, self._rows, self._columns
        values = np.append(np.where(rows == columns, 0.0, 1.0), np.full(n, n + 1.0))
        every = np.arange(n)
        matrix = self._scipy.csc_matrix((values, (np.append(rows, every), np.append(columns, every))), shape=(n, n))
        found = [self._scipy.linalg.splu(matrix, permc_spec=spec, diag_pivot_thresh=0.0) for spec in ORDERS]
        best: Index = min(found, key=lambda factors: int(factors.nnz)).perm_c.astype(np.int64)
        return best
