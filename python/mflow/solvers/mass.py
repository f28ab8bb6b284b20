"""The matrix M of M y' = f(t, y): the forms that it is given in, and its null spaces.

The equations U' f(t, y) = 0, U the left null space, are algebraic, and the part of y in the right null space V follows from them. Only a
diagonal M has algebraic components; in general both are spaces. They are found block by block: rows and columns of M that are connected by
its entries make a block, whose singular values tell its rank.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from mflow_core.problems.bands import packed_too, spread_band
from mflow_core.problems.sparse import check_sparse, check_unmasked, is_sparse
from numpy.typing import NDArray

from mflow.base.checks import Array, shown
from mflow.base.extras import need
from mflow.base.pace import interruptible, joined

__all__ = ["Mass", "Rows", "mass_of"]

Index = NDArray[np.int32]
EPS = float(np.finfo(np.float64).eps)
MOST = 1500  # rows of a block whose singular values are computed
FOR_WORDS = 500  # rows of an M that is solved with for words
WATCHED = 64  # rows of a block of M(t) whose rank is looked at at every time
DENSE = 0.1  # of a block's places: more entries are factored as a full matrix
ENTRIES = 1 << 20  # of a full matrix that are looked through at a time
PIVOT = 1e-13  # of the largest pivot: a smaller one of a larger block says that it is singular


class Rows(NamedTuple):
    """Sparse rows of n numbers (CSR).

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.solvers.mass import Rows
    >>> rows = Rows(3, np.array([0, 2]), np.array([0, 2]), np.array([3.0, 4.0]))
    >>> rows.times(np.ones(3)), rows.back(np.ones(1))
    (array([7.]), array([3., 0., 4.]))
    """

    n: int
    indptr: Index
    indices: Index
    values: Array

    @property
    def height(self) -> int:
        """How many rows there are."""
        return len(self.indptr) - 1

    @property
    def row_of(self) -> Index:
        """The row of each entry."""
        return np.repeat(np.arange(self.height, dtype=np.int32), np.diff(self.indptr))

    def times(self, v: Array) -> Array:
        """The product of each row with v."""
        out: Array = np.bincount(self.row_of, self.values * v[self.indices], minlength=self.height).astype(np.float64)
        return out

    def back(self, q: Array) -> Array:
        """The sum of the rows, each times its number in q."""
        out: Array = np.bincount(self.indices, self.values * q[self.row_of], minlength=self.n).astype(np.float64)
        return out

    def full(self) -> Array:
        """All entries, (count, n)."""
        out = np.zeros((self.height, self.n))
        out[self.row_of, self.indices] = self.values
        return out

    def sparse(self) -> Any:
        """The same as SciPy's CSR."""
        return need("scipy.sparse", "a sparse mass matrix").csr_matrix(
            (self.values, self.indices, self.indptr), shape=(self.height, self.n)
        )


class Mass:
    """M as sparse rows, with its left and right null spaces, orthonormal vectors as rows."""

    varies = False  # whether it is a function of t

    def __init__(self, rows: Rows) -> None:
        self.n, self.rows = rows.n, rows
        self.left, self.right = _null_spaces(rows)

    def at(self, t: float) -> Mass:
        """M at this time."""
        return self

    @property
    def n_algebraic(self) -> int:
        """The number of algebraic equations: n less the rank of M."""
        return self.left.height

    @property
    def is_scale(self) -> bool:
        """Whether M alone scales each slope: it is diagonal and regular."""
        return not self.n_algebraic and self.bands == (0, 0)

    @property
    def scales(self) -> Array | None:
        """The entries of a diagonal M that is constant; None of others."""
        if not np.array_equal(self.rows.row_of, self.rows.indices):
            return None
        out = np.zeros(self.n)
        out[self.rows.indices] = self.rows.values
        return out

    def slopes(self, f: Array) -> Array:
        """y' where M y' = f, for words: NaN where M tells none, or has too many rows to be solved with for them."""
        rows = self.rows
        if np.array_equal(rows.row_of, rows.indices):
            out = np.full(f.shape, np.nan)
            out[rows.indices] = f[rows.indices] / rows.values
            return out
        if self.n_algebraic or self.n > FOR_WORDS:
            return np.full(f.shape, np.nan)
        solved: Array = np.asarray(np.linalg.solve(rows.full(), f), dtype=np.float64)
        return solved

    @property
    def bands(self) -> tuple[int, int]:
        """How many diagonals there are below and above the main one."""
        away = self.rows.row_of - self.rows.indices
        return int(max(away.max(initial=0), 0)), int(max((-away).max(initial=0), 0))

    @property
    def checksum(self) -> int:
        """The checksum of all entries, for saved runs."""
        places = zlib.crc32(self.rows.indices.tobytes() + self.rows.indptr.tobytes())
        return int(interruptible(8.0 * self.rows.values.size, zlib.crc32, self.rows.values, places))

    def sparse(self) -> Any:
        """M as SciPy's CSR, with all of its places where it is a function."""
        return self.rows.sparse()

    def packed(self, exclude_algebraic: bool) -> tuple[Any, ...]:
        """The arrays that `mflow_core.solvers.solver.Solver` takes."""
        left_out = self.right[1:] if exclude_algebraic and self.right.height else ()
        return (*self.rows[1:], *left_out)


class MovingMass(Mass):
    """M(t): entries whose places stay, those of a diagonal, of a band, or of all of a matrix. As a `Mass` it is that of the start, t.

    Its rank stays too: where it changes, algebraic equations come or go, and y' is not bounded. Called at t it returns the entries, or None
    where the rank is another one than at the last start; `changed` tells where. The sign of an entry that is alone in its row and column
    tells it, and that of the determinant, and the rank, of blocks of up to WATCHED rows. Between `side` a function may jump.
    """

    varies = True
    scales = None  # at every time
    changed: tuple[float, int, int] | None = None  # where, the algebraic equations before, and there
    side = (-math.inf, math.inf)  # t is asked for between these

    def __init__(self, function: Callable[..., Any], t: float, n: int, bands: tuple[int | None, int | None], args: tuple[Any, ...]) -> None:
        self.function, self.args, self.n, self._bands, self.t0 = function, args, n, bands, t
        given = self._read(t)
        self._told, self._since, self._stands = np.zeros(0), t, True
        self._blocks: list[tuple[Any, Any, Any, tuple[int, int]]]
        self.diagonal = not is_sparse(given) and given.ndim == 1
        if self.diagonal:
            self.i = self.j = np.arange(n)
        elif is_sparse(given):
            places = np.unique(given.tocoo().row.astype(np.int64) * n + given.tocoo().col)
            self.i, self.j = places // n, places % n
        else:
            i, j = np.indices((n, n))
            lower, upper = (n if width is None else width for width in bands)
            self.i, self.j = (index[(i - j <= lower) & (j - i <= upper)] for index in (i, j))
        self._watch()
        super().__init__(self.at(t).rows)

    def _read(self, t: float) -> Any:
        """What the function returns: a diagonal, a matrix or a sparse one. Raises TypeError or ValueError."""
        try:
            given = self.function(t, *self.args)
        except TypeError as error:
            if _takes_one_more(self.function, (t, *self.args)):
                raise TypeError(
                    "mass: expected a function of t and args, got one that takes one more argument; where a regular M depends on y, take "
                    "y' = v with the algebraic equations M(t, y) v = f(t, y)"
                ) from error
            raise
        return _as_matrix(given, self.n, *self._bands)

    def __call__(self, t: float) -> Array | None:
        values = self.values(t)
        told = self._ranks(values)
        if self._stands and t != self._since:  # where it begins alone M may be of lower rank
            self._stands = False
            if np.count_nonzero(told) > np.count_nonzero(self._told):
                self._told = told
        if np.array_equal(told, self._told):
            return values
        if self.changed is None or abs(t - self._since) < abs(self.changed[0] - self._since):
            before, there = (int(np.count_nonzero(one == 0.0)) for one in (self._told, told))
            self.changed = t, before, there
        return None

    def _ranks(self, values: Array) -> Array:
        """What tells a change of rank: the signs of entries and determinants; for a singular block its rank, and a zero for each that it
        lacks."""
        told = [np.sign(values[self._alone])]
        for entries, i, j, shape in self._blocks:
            block = np.zeros(shape)
            block[i, j] = values[entries]
            s = np.linalg.svd(block, compute_uv=False)
            rank = int(np.count_nonzero(s > 4.0 * max(shape) * EPS * s[0]))
            full = rank == shape[0] == shape[1]
            told.append(np.array([np.linalg.slogdet(block)[0]] if full else [rank + 0.5, *[0.0] * (max(shape) - rank)]))
        return np.concatenate(told)

    def _watch(self) -> None:
        """Finds the blocks, from the places of all entries."""
        rows = Rows(self.n, np.searchsorted(self.i, np.arange(self.n + 1)).astype(np.int32), self.j.astype(np.int32), np.ones(self.i.size))
        of_row, of_column = _labels(rows)
        sizes, widths = (np.bincount(labels, minlength=2 * self.n) for labels in (of_row, of_column))
        label = of_row[self.i]
        alone = (sizes[label] == 1) & (widths[label] == 1)
        self._alone, self._blocks = np.flatnonzero(alone), []
        for one in np.unique(label[~alone]):
            if max(sizes[one], widths[one]) <= WATCHED:
                entries = np.flatnonzero(label == one)
                i = np.searchsorted(np.flatnonzero(of_row == one), self.i[entries])
                j = np.searchsorted(np.flatnonzero(of_column == one), self.j[entries])
                self._blocks.append((entries, i, j, (int(sizes[one]), int(widths[one]))))

    def values(self, t: float) -> Array:
        """The entries at their places."""
        given = self._read(min(max(t, self.side[0]), self.side[1]))
        if is_sparse(given):
            entries = given.tocoo()
            return self._placed(entries.row, entries.col, entries.data, t)
        if given.ndim == 1:
            return np.asarray(given) if self.diagonal else self._placed(np.arange(self.n), np.arange(self.n), given, t)
        out: Array = given[self.i, self.j]
        if np.count_nonzero(out) != np.count_nonzero(given):
            raise self._misplaced(t)
        return out

    def _placed(self, i: Any, j: Any, values: Array, t: float) -> Array:
        """Entries at (i, j), those at one place summed, at the places of the start."""
        places, some = self.i * self.n + self.j, np.flatnonzero(values)
        wanted = i[some].astype(np.int64) * self.n + j[some]
        at = np.searchsorted(places, wanted)
        if not np.array_equal(places[np.minimum(at, places.size - 1)] if places.size else places, wanted):
            raise self._misplaced(t)
        return np.bincount(at, values[some], minlength=places.size).astype(np.float64)

    @staticmethod
    def _misplaced(t: float) -> ValueError:
        return ValueError(f"mass: expected entries where those at the start are, got others at t = {t:g}; give zeros there at the start")

    def at(self, t: float) -> Mass:
        """M at this time, where a run begins."""
        values = self.values(t)
        self._told, self._since, self._stands, self.changed = self._ranks(values), t, True, None
        return Mass(_rows_of(self.n, self.n, self.i, self.j, values))

    @property
    def words(self) -> str:
        """Where the rank changes, for a run that could not go on; "" where it does not."""
        if self.changed is None:
            return ""
        t, before, there = self.changed
        counts = f"{before} algebraic equation{'' if before == 1 else 's'} before, {there} there"
        if before == there:
            counts = "M is singular between"
        return (
            f"the rank of mass changes before t = {t:.9g} ({counts}), and the equations with it: end the run before, or name the time in "
            "breaks= where M jumps"
        )

    @property
    def bands(self) -> tuple[int, int]:
        away = self.i - self.j
        return int(max(away.max(initial=0), 0)), int(max((-away).max(initial=0), 0))

    def sparse(self) -> Any:
        indptr = np.searchsorted(self.i, np.arange(self.n + 1)).astype(np.int32)
        return need("scipy.sparse", "a sparse mass matrix").csr_matrix((self.values(self.t0), self.j, indptr), shape=(self.n, self.n))

    def packed(self, exclude_algebraic: bool) -> tuple[Any, ...]:
        if exclude_algebraic:
            raise ValueError("exclude_algebraic: expected False where mass is a function, whose null space moves, got True; omit it")
        indptr = np.searchsorted(self.i, np.arange(self.n + 1)).astype(np.int32)
        return indptr, self.j.astype(np.int32), self


def mass_of(value: Any, n: int, lband: int | None = None, uband: int | None = None, *, t: float = 0.0, args: tuple[Any, ...] = ()) -> Mass:
    """M from what `solve_ivp` takes as ``mass``.

    Parameters
    ----------
    value : array_like (n,), (n, n) or packed (lband + uband + 1, n), or sparse matrix (n, n); or a function of t, *args that returns one
        A diagonal, all entries, or the entries of a band as SciPy packs them: entry (i, j) at [i - j + uband, j].
    n : int
    t, args
        The start, where a function is asked first, and what else it gets.
    lband, uband : int, optional
        The band of a packed one.

    Raises
    ------
    TypeError, ValueError
        Other numbers than real ones, another shape, or entries that are not finite.

    Examples
    --------
    >>> from mflow.solvers.mass import mass_of
    >>> mass_of([1.0, 1.0, 0.0], 3).n_algebraic
    1
    >>> M = mass_of([[-1.0, 1.0], [1.0, -1.0]], 2)
    >>> abs(M.right.full().round(4)).tolist()
    [[0.7071, 0.7071]]
    """
    if callable(value):
        return MovingMass(value, t, n, (lband, uband), args)
    array = _as_matrix(value, n, lband, uband)
    if is_sparse(array):
        coordinates = array.tocoo()
        return Mass(_rows_of(n, n, coordinates.row, coordinates.col, coordinates.data))
    if array.ndim == 1:
        return Mass(_rows_of(n, n, np.arange(n), np.arange(n), array))
    return Mass(_rows_of_full(array))


def _takes_one_more(function: Callable[..., Any], given: tuple[Any, ...]) -> bool:
    """Whether a function that does not take these arguments takes them with one more."""
    import inspect  # seldom needed

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a built-in one
        return False

    def takes(arguments: tuple[Any, ...]) -> bool:
        try:
            signature.bind(*arguments)
        except TypeError:
            return False
        return True

    return not takes(given) and takes((*given, None))


def _as_matrix(value: Any, n: int, lband: int | None, uband: int | None) -> Any:
    """A diagonal (n,), all entries (n, n), or a sparse matrix. Raises TypeError or ValueError."""
    if is_sparse(value):
        matrix = check_sparse(value, "mass").tocsr()
        if tuple(matrix.shape) != (n, n):
            raise ValueError(
                f"mass: expected shape ({n}, {n}), as the state has {n} components, got a sparse matrix of shape {matrix.shape}"
            )
        if not np.all(np.isfinite(matrix.data)):
            raise ValueError("mass: expected finite entries, got NaN or an infinity")
        return matrix
    check_unmasked(value, "mass")
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.asarray(value, dtype=object)
    if array.dtype.kind not in "biuf":
        advice = "; for complex entries pass a complex y0, as in y0 + 0j" if array.dtype.kind == "c" else ""
        raise TypeError(f"mass: expected an array of real numbers or a sparse matrix, got {shown(value)}{advice}")
    return _unpacked(array.astype(np.float64), n, lband, uband)


def _unpacked(array: Array, n: int, lband: int | None, uband: int | None) -> Array:
    """A diagonal (n,) or all entries (n, n), of any form. Raises ValueError."""
    lower, upper = lband or 0, uband or 0
    banded = lband is not None or uband is not None
    shapes = {(n,), (n, n), (lower + upper + 1, n)} if banded else {(n,), (n, n)}
    if array.shape not in shapes:
        packed = f", or packed ({lower + upper + 1}, {n})" if banded else ""
        raise ValueError(f"mass: expected shape ({n},) of a diagonal or ({n}, {n}){packed}, as the state has {n} components, got shape "
                         f"{array.shape}")  # fmt: skip
    if not np.all(np.isfinite(array)):
        raise ValueError("mass: expected finite entries, got NaN or an infinity")
    if array.ndim == 1 or (
        array.shape == (n, n) and not (banded and lower + upper + 1 == n and packed_too(array, lower, upper, False, "mass"))
    ):
        return array
    i, k = np.indices((n, lower + upper + 1))
    j = i + k - lower
    inside = (j >= 0) & (j < n)
    rows = np.zeros((n, lower + upper + 1))
    rows[inside] = array[(i - j + upper)[inside], j[inside]]
    full: Array = spread_band(rows, lower)
    return full


def _rows_of(count: int, n: int, i: Any, j: Any, values: Any) -> Rows:
    """Rows from entries at (i, j), sorted, those at one place summed, without zeros."""
    values = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(values)):
        raise ValueError("mass: expected finite entries, got NaN or an infinity")
    place, where = np.unique(np.asarray(i, dtype=np.int64) * max(n, 1) + np.asarray(j, dtype=np.int64), return_inverse=True)
    sums = np.bincount(where, values, minlength=len(place))
    place, sums = place[sums != 0.0], sums[sums != 0.0]
    rows, columns = np.divmod(place, max(n, 1))
    indptr = np.searchsorted(rows, np.arange(count + 1)).astype(np.int32)
    return Rows(n, indptr, columns.astype(np.int32), np.ascontiguousarray(sums))


def _rows_of_full(array: Array) -> Rows:
    """Rows of what is not 0 in all entries of a matrix, some rows after others."""
    n = array.shape[1]
    counts, indices, values = [np.zeros(1, dtype=np.int64)], [np.zeros(0, dtype=np.int32)], [np.zeros(0)]
    many = max(1, ENTRIES // max(n, 1))
    for first in range(0, len(array), many):
        some = array[first : first + many]
        counts.append(np.count_nonzero(some, axis=1))
        places = np.flatnonzero(some)
        indices.append((places % n).astype(np.int32))
        values.append(some.ravel()[places])
    return Rows(n, np.cumsum(np.concatenate(counts)).astype(np.int32), joined(indices), joined(values))


# ---- null spaces ------------------------------------------------------------------------------------------------------------------


def _labels(rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
    """The block of each row and of each column: rows and columns that entries connect have one label."""
    n, i, j = rows.n, rows.row_of, rows.indices
    parent, lengths = np.arange(2 * n), np.diff(rows.indptr)
    if n and lengths.max() == n:  # a row that connects all columns
        label = int(np.argmax(lengths))
        return np.where(lengths > 0, label, parent[:n]), np.full(n, label)
    while True:
        a, b = parent[i], parent[j + n]
        if np.array_equal(a, b):
            return parent[:n], parent[n:]
        np.minimum.at(parent, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(parent, parent[parent]):
            parent = parent[parent]


def _null_spaces(rows: Rows) -> tuple[Rows, Rows]:
    """Left and right null vectors, as rows. Raises ValueError where a large block may be singular."""
    n, of_row, of_column = rows.n, *_labels(rows)
    sizes, widths = np.bincount(of_row, minlength=2 * n), np.bincount(of_column, minlength=2 * n)
    left: list[tuple[Any, Array]] = [(np.array([i]), np.ones(1)) for i in np.flatnonzero(widths[of_row] == 0)]
    right: list[tuple[Any, Array]] = [(np.array([j]), np.ones(1)) for j in np.flatnonzero(sizes[of_column] == 0)]
    larger = np.flatnonzero((sizes > 0) & (widths > 0) & (sizes + widths > 2))
    by_row, by_column = np.argsort(of_row, kind="stable"), np.argsort(of_column, kind="stable")
    for label in larger:
        i = by_row[slice(*np.searchsorted(of_row[by_row], [label, label + 1]))]
        j = by_column[slice(*np.searchsorted(of_column[by_column], [label, label + 1]))]
        for vectors, found in zip((left, right), _null_of_block(rows, i, j), strict=True):
            vectors += [(i if vectors is left else j, vector) for vector in found]
    return _stacked(n, left), _stacked(n, right)


def _null_of_block(rows: Rows, i: Any, j: Any) -> tuple[Array, Array]:
    """(left, right) null vectors of the block of rows i and columns j."""
    if max(len(i), len(j)) > MOST:
        if len(i) == len(j) and _factors(rows, i, j):
            return np.zeros((0, len(i))), np.zeros((0, len(j)))
        raise ValueError(
            f"mass: expected a regular matrix where more than {MOST} rows are connected by its entries, got a block of {len(i)} rows and "
            f"{len(j)} columns that is singular, or nearly; write its algebraic equations as rows of zeros"
        )
    block = _block(rows, i, j)
    u, s, vt = interruptible(20.0 * float(max(block.shape)) ** 3, np.linalg.svd, block)
    rank = int(np.count_nonzero(s > 4.0 * max(block.shape) * EPS * s[0]))
    return u[:, rank:].T, vt[rank:]


def _block(rows: Rows, i: Any, j: Any) -> Array:
    """All entries of rows i and columns j."""
    block, at = np.zeros((len(i), len(j))), np.zeros(rows.n, dtype=np.int64)
    at[j] = np.arange(len(j))
    for k, row in enumerate(i):
        entries = slice(rows.indptr[row], rows.indptr[row + 1])
        block[k, at[rows.indices[entries]]] = rows.values[entries]
    return block


def _factors(rows: Rows, i: Any, j: Any) -> bool:
    """Whether the block of rows i and columns j, as many, has factors with pivots that are not small."""
    if np.sum(rows.indptr[i + 1] - rows.indptr[i]) > DENSE * len(i) * len(j):  # SuperLU would fill it in, and nobody could break it off
        pivots = np.diagonal(interruptible(1.4 * float(len(i)) ** 3, np.linalg.qr, _block(rows, i, j), mode="r"))
    else:
        splu = need("scipy.sparse.linalg", f"a mass matrix that connects more than {MOST} rows").splu
        try:
            pivots = splu(rows.sparse()[i][:, j].tocsc()).U.diagonal()
        except RuntimeError:
            return False
    return bool(np.abs(pivots).min() > PIVOT * np.abs(pivots).max())


def _stacked(n: int, vectors: list[tuple[Any, Array]]) -> Rows:
    """Vectors, each with the places of its numbers, as rows."""
    lengths = [len(place) for place, _ in vectors]
    indptr = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int32)
    indices = np.concatenate([place for place, _ in vectors]) if vectors else np.zeros(0)
    values = np.concatenate([vector for _, vector in vectors]) if vectors else np.zeros(0)
    return Rows(n, indptr, indices.astype(np.int32), values.astype(np.float64))
