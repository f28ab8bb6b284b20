"""Sparse Jacobians: where their entries may be, groups of columns that share a difference, and factors from SciPy.

SciPy is imported only where a sparse matrix is factored.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from mflow_core.arithmetic.starts import largest
from mflow_core.problems.sparse import check_indices, check_pointers, check_sparse
from numpy.typing import NDArray

from mflow.base.checks import Array, as_array, shown
from mflow.base.extras import need
from mflow.base.telling import knows_other_words

if TYPE_CHECKING:
    from mflow_core.solvers.band_lu import BandLU, ComplexBandLU

__all__ = ["Index", "SparseFactors", "band_of", "color_columns", "pattern_of"]

Index = NDArray[np.int32]
MOST = 2**31 - 1  # what int32 holds

SMALL = 100  # of so few unknowns eigenvalues are computed
ROUNDING, DIFFERENCES = 2.0**-52, 2.0**-26  # of the entries of J
SYMMETRIC = 1e-6  # of the largest entry of J: a difference that rounding may leave


def pattern_of(jac_sparsity: Any, n: int, m: int | None = None) -> tuple[Index, Index]:
    """(indptr, indices) by columns, of an array or sparse matrix that is not 0 where the Jacobian may have an entry: of n components of a
    state, or of m residuals with n parameters."""
    if hasattr(jac_sparsity, "tocsc"):
        matrix = check_sparse(jac_sparsity, "jac_sparsity").tocsc(copy=True)
        shape = matrix.shape
        matrix.sum_duplicates()
        matrix.sort_indices()
        indptr, indices = np.asarray(matrix.indptr), np.asarray(matrix.indices)
    else:
        array = as_array(jac_sparsity, "jac_sparsity")
        shape = array.shape
        if array.dtype.kind not in "biuf":
            raise TypeError(f"jac_sparsity: expected an array or sparse matrix of numbers, got dtype {array.dtype}")
        if array.ndim == 2:
            columns, indices = np.nonzero(array.T)
            indptr = np.searchsorted(columns, np.arange(array.shape[1] + 1))
    if tuple(shape) != (n if m is None else m, n):
        why = f"({n}, {n}), as the state has {n} components" if m is None else f"({m}, {n}), as there are {m} residuals of {n} parameters"
        raise ValueError(f"jac_sparsity: expected shape {why}, got shape {tuple(shape)}")
    if len(indices) > MOST:
        raise ValueError(f"jac_sparsity: expected at most {MOST} entries, got {len(indices)}")
    return np.ascontiguousarray(indptr, dtype=np.int32), np.ascontiguousarray(indices, dtype=np.int32)


@knows_other_words
def color_columns(indptr: Any, indices: Any) -> Index:
    """A group for each column of a pattern (CSC), so that columns of one group share no row: one difference then serves them all.

    Greedy, in the order of the columns: each takes the first group that none of its rows has met.

    Parameters
    ----------
    indptr, indices : array_like of int
        The pattern, n + 1 and nnz long.

    Returns
    -------
    ndarray of int32, (n,)

    Raises
    ------
    ValueError
        indptr does not fit indices, or one of them holds others than whole numbers of at least 0.

    See Also
    --------
    mflow.nonlinear.Newton
    mflow.solve_ivp : ``jac_sparsity=`` takes a pattern.

    Examples
    --------
    >>> from mflow.nonlinear import color_columns
    >>> color_columns([0, 2, 5, 7], [0, 1, 0, 1, 2, 1, 2]).tolist()
    [0, 1, 2]

    References
    ----------
    A. R. Curtis, M. J. D. Powell and J. K. Reid, J. Inst. Math. Appl. 13 (1974) 117-119.
    """
    rows = check_indices(indices, "indices", "the pattern", MOST).tolist()
    pointers = check_pointers(indptr, "indptr", np.size(indptr) - 1, len(rows)).tolist()
    if pointers[-1] != len(rows):
        raise ValueError(f"indptr: expected numbers from 0 to {len(rows)}, the number of indices, got {shown(pointers)}")
    taken = [0] * (max(rows, default=-1) + 1)  # bit g: the row has an entry in a column of group g
    groups = np.zeros(len(pointers) - 1, dtype=np.int32)
    for j in range(len(groups)):
        entries = rows[pointers[j] : pointers[j + 1]]
        met = 0
        for i in entries:
            met |= taken[i]
        group = ((met + 1) & ~met).bit_length() - 1
        groups[j] = group
        for i in entries:
            taken[i] |= 1 << group
    return groups


def band_of(indptr: Index, indices: Index) -> tuple[int, int]:
    """How many diagonals of a pattern lie below and above the main one."""
    columns = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    below = indices - columns
    return int(max(below.max(initial=0), 0)), int(max((-below).max(initial=0), 0))


class _Template:
    """Where the entries of a matrix in CSR or CSC form are, and where they go in J: others like it hand over their values alone."""

    def __init__(self, matrix: Any, order: Any) -> None:
        """order: +-(1 + the place in the matrix) of each entry of J; the minus where J is the negative."""
        self._form, self._shape = matrix.format, matrix.shape
        self._indptr, self._indices = matrix.indptr.tobytes(), matrix.indices.tobytes()
        self._size, self._negative = matrix.data.size, bool(order.size and order[0] < 0.0)
        place = np.abs(order).astype(np.int64) - 1
        self._place = None if np.array_equal(place, np.arange(place.size)) else place

    @staticmethod
    def of(matrix: Any, through: Callable[[Any], Any]) -> _Template | None:
        """That of a matrix which becomes J by `through`; None where its form is another one, or entries do not go one to one."""
        if getattr(matrix, "format", None) not in ("csr", "csc") or matrix.data.size != matrix.indices.size:
            return None
        numbered = type(matrix)((1.0 + np.arange(matrix.data.size), matrix.indices, matrix.indptr), shape=matrix.shape)
        order = through(numbered).data
        is_whole = np.array_equal(np.sort(np.abs(order)), numbered.data)
        return _Template(matrix, order) if is_whole else None

    def take(self, matrix: Any, into: Array) -> bool:
        """Write the values of a matrix to those of J; False where the matrix is not like this one."""
        if getattr(matrix, "format", None) != self._form or matrix.shape != self._shape:
            return False
        data = matrix.data
        if type(data) is not np.ndarray or data.dtype != np.float64 or data.shape != (self._size,):
            return False
        if matrix.indptr.tobytes() != self._indptr or matrix.indices.tobytes() != self._indices:
            return False
        into[:] = data if self._place is None else data[self._place]
        if self._negative:
            np.negative(into, out=into)
        return True


class SparseFactors:
    """J as a SciPy sparse matrix and the LU factors of I - gh J: the sparse solver that `mflow_core.solvers.objects` calls.

    jac: the user's function. mass: a sparse matrix by rows in place of I; None: I itself. check: what makes J of what jac returns.
    """

    def __init__(
        self,
        n: int,
        jac: Callable[[float, Array], Any] | None,
        indptr: Index | None = None,
        indices: Index | None = None,
        mass: Any = None,
        check: Callable[[Any], Any] | None = None,
    ) -> None:
        purpose = "a sparse Jacobian (lband and uband, or solver='newton_krylov', do without)"
        self._sparse, self._linalg = need("scipy.sparse", purpose), need("scipy.sparse.linalg", purpose)
        need("scipy.sparse.csgraph", purpose)
        self._n, self._jac, self._indptr, self._indices = n, jac, indptr, indices
        self._check = check
        self._template: _Template | None = None
        self._one = self._sparse.identity(n, format="csc") if mass is None else mass.tocsc()
        self._rows = mass  # its entries, whose order those of `take_mass` have
        self._order: Any = None
        self._stages: list[Any] = [None, None, None]
        self._matrix: Any = None
        self._factors: Any = None
        self._gh = 0.0  # of the factors
        self.band: BandLU | None = None  # the factors, where they are those of a band
        self.band_of_pair: ComplexBandLU | None = None
        self._assembly: Any = None
        self.size = math.inf  # |gh J| of the last look
        self._pair: Any = None
        self._of_stages: Any = None
        self._beside = np.arange(3 * n).reshape(3, n).T.ravel()  # the stages of a component, beside each other

    def jacobian(self, t: float, y: Array) -> bool:
        """Calls the user's function; False if an entry is not finite."""
        assert self._jac is not None
        given = self._jac(t, y)
        if self._template is None or not self._template.take(given, self._matrix.data):
            self._matrix = self._by_column(given)
            self._template = _Template.of(given, self._by_column)
        return math.isfinite(largest(self._matrix.data))

    def _by_column(self, given: Any) -> Any:
        """J by columns, without duplicates, on memory of its own."""
        matrix = self._sparse.csc_matrix(given if self._check is None else self._check(given), dtype=np.float64, copy=True)
        matrix.sum_duplicates()
        return matrix

    def fill(self, values: Array) -> bool:
        """Takes the entries of the pattern, by columns; False if one is not finite."""
        if self._matrix is None:
            self._matrix = self._sparse.csc_matrix((values, self._indices, self._indptr), shape=(self._n, self._n))
            self._matrix.sum_duplicates()  # `pattern_of` has none; this is known from here on
        self._matrix.data[:] = values
        return math.isfinite(largest(self._matrix.data))

    def factor(self, gh: float) -> bool:
        """Factors I - gh J, or -J where gh is infinite; False if it is singular."""
        self._gh = float(gh)
        assembly = self._assembled()
        self._factors = assembly.factors(self._gh, self._matrix, steady=math.isinf(gh))
        self.band = self._factors if assembly.narrow else None
        return self._factors is not None

    def take_mass(self, values: Array) -> None:
        """The entries of M, in the order of its rows, where they change with time."""
        self._one = self._by_columns(values)
        if self._assembly is not None:
            self._assembly.take(self._one.data)

    def _by_columns(self, values: Array) -> Any:
        if self._order is None:
            numbered = self._sparse.csr_matrix((np.arange(values.size), self._rows.indices, self._rows.indptr), shape=(self._n, self._n))
            self._order = numbered.tocsc()
        return self._sparse.csc_matrix((values[self._order.data], self._order.indices, self._order.indptr), shape=(self._n, self._n))

    def take_stage(self, k: int, values: Array) -> None:
        """The values of J at stage k of three."""
        self._stages[k] = self._by_columns(values)

    def factor_stages(self, h: float, A_inv: Array) -> bool:
        """Factors the matrix of all stages, blocks (A^-1)_ij M_i - delta_ij h J; False if it is singular."""
        blocks = [[A_inv[i, j] * M - h * self._matrix if i == j else A_inv[i, j] * M for j in range(3)] for i, M in enumerate(self._stages)]
        matrix = self._sparse.bmat(blocks, format="csr")[self._beside][:, self._beside]
        try:
            self._of_stages = self._linalg.splu(matrix.tocsc())
        except RuntimeError as error:
            if "singular" in str(error):
                return False
            raise
        return True

    def solve_stages(self, b: Array) -> Array:
        """The solution for one right-hand side of all stages, one after the other."""
        x = np.empty_like(b)
        x[self._beside] = self._of_stages.solve(b[self._beside])
        return x

    def factor_pair(self, re: float, im: float) -> bool:
        """Factors I - (re + i im) J; False if it is singular."""
        assembly = self._assembled()
        self._pair = assembly.factors(complex(re, im), self._matrix)
        self.band_of_pair = self._pair if assembly.narrow else None
        return self._pair is not None

    def _assembled(self) -> Any:
        """Where entries stand, found anew where the pattern of J is another one."""
        if self._assembly is None or not self._assembly.fits(self._matrix):
            from mflow.solvers.assembly import Assembly  # few runs need it

            self._assembly = Assembly(self._one, self._matrix, self._sparse)
        return self._assembly

    def product(self, v: Array) -> Array:
        """J v."""
        out: Array = np.asarray(self._matrix @ v)
        return out

    def is_regular(self, gh: float) -> bool:
        """Whether I - s J is seen to be regular for every s between 0 and gh: see `mflow_core.solvers.spectrum.definite`."""
        matrix = (-self._matrix if math.isinf(gh) else self._one - gh * self._matrix).tocsc()
        diagonal = matrix.diagonal()
        column = np.repeat(np.arange(self._n), np.diff(matrix.indptr))  # of each entry
        beside = np.where(matrix.indices == column, 0.0, np.abs(matrix.data))
        rows, columns = (np.bincount(index, beside, self._n) for index in (matrix.indices, column))
        self.size = float(np.max(rows + np.abs(diagonal - 1.0), initial=0.0))
        if math.isfinite(self.size) and (np.all(diagonal > rows) or np.all(diagonal > columns)):
            return True
        if self._n <= SMALL:
            values = np.linalg.eigvals(matrix.toarray())
            return not bool(np.any((values.real <= 0.0) & (np.abs(values.imag) <= 0.01 * np.abs(values.real))))
        return self._is_positive(matrix)

    def _is_positive(self, matrix: Any) -> bool:
        """Whether the symmetric part of a matrix is positive definite."""
        try:
            factors = self._linalg.splu(
                ((matrix + matrix.T) * 0.5).tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
            )
        except RuntimeError:
            return False
        return bool(np.array_equal(factors.perm_r, factors.perm_c) and np.all(factors.U.diagonal() > 0.0))

    def outgrown(self, gh: float, y: Array) -> bool:
        """Whether M = I - gh J is seen to have an eigenvalue with a real part below 0: a mode that outgrows the step
        (`mflow_core.solvers.spectrum.growth`). Components that are 0 in y and moved by nothing but themselves do not count.

        A small M tells it by its eigenvalues, a symmetric one by its pivots, another by the sign of its determinant, if its factors are at
        hand; where rounding may decide, none does.
        """
        J, at_hand = self._matrix, gh == self._gh
        if at_hand and self.band is not None and not self.band.is_turned():
            return False
        top = float(np.max(np.abs(J.data), initial=0.0))
        noise = ROUNDING if self._jac is not None else DIFFERENCES
        if not abs(gh) * top * self._n * noise < 0.1 or (at_hand and not self._factors.is_turned()):
            return False
        diagonal = J.diagonal()
        rows, columns = (np.asarray(abs(J).sum(axis=axis)).ravel() - np.abs(diagonal) for axis in (1, 0))
        alone = (np.asarray(y) == 0.0) & (rows == 0.0)
        keeps = np.where(alone, 1.0, 1.0 - gh * diagonal)
        if np.all(keeps > abs(gh) * rows) or np.all(keeps > abs(gh) * columns):
            return False
        matrix = (self._one - gh * J + self._sparse.diags_array(keeps - (1.0 - gh * diagonal))).tocsc()
        if self._n <= SMALL:
            return bool(np.any(np.linalg.eigvals(matrix.toarray()).real < 0.0))
        if abs(J - J.T).max() <= SYMMETRIC * top:
            return not self._is_positive(matrix)
        return at_hand and not np.any(alone) and not self.has_positive_sign()

    def has_positive_sign(self) -> bool:
        """Whether the determinant of what was factored last is above 0."""
        return bool(self._factors.has_positive_sign())

    def solve(self, b: Array) -> Array:
        """The solution for one right-hand side."""
        x: Array = self._factors.solve(b)
        return x

    def solve_pair(self, x: Array, y: Array) -> Array:
        """The solution for x + i y: its real and its imaginary parts, one after the other."""
        z = self._pair.solve(x + 1j * y)
        return np.concatenate([z.real, z.imag])
