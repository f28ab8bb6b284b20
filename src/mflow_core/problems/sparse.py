"""Sparse matrices and masked arrays of users: structure and masks are looked at before anything reads the numbers.

SciPy's compiled routines trust the index arrays of a matrix, and an array may have been changed after the matrix was made: an index outside
its shape is then memory that belongs to something else. NumPy drops the mask of an array without a word. Nothing here imports SciPy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["SparseRows", "check_indices", "check_pointers", "check_sparse", "check_unmasked", "is_sparse", "plain_array", "sparse_rows"]


class SparseRows(NamedTuple):
    """values, the column of each, where each row begins and the last ends, the number of columns."""

    values: NDArray[np.float64]
    at: NDArray[np.int32]
    first: NDArray[np.int64]
    columns: int


def check_unmasked(value: Any, argument: str) -> None:
    """Raises ValueError for an array of `numpy.ma` with entries that are masked."""
    if type(value) is np.ndarray or not isinstance(value, np.ndarray):
        return
    count = int(np.sum(getattr(value, "mask", False)))
    if count:
        raise ValueError(
            f"{argument}: expected numbers that all count, got a masked array with {count} of {value.size} entries masked; omit those, "
            "as by ~np.ma.getmaskarray(a) as an index of each array"
        )


def plain_array(value: Any, argument: str) -> NDArray[Any]:
    """What NumPy makes of a value in which no entry is masked. Raises ValueError."""
    check_unmasked(value, argument)
    return np.asarray(value)


def is_sparse(value: Any) -> bool:
    """Whether it is a sparse matrix or array, as SciPy has them."""
    return hasattr(value, "tocsr")


def check_sparse(matrix: Any, argument: str, kinds: str = "biuf") -> Any:
    """The same matrix, in CSR and CSC form as a new object on the same memory that knows nothing of the order of its entries.

    Parameters
    ----------
    matrix : sparse matrix
    argument : str
        For messages.
    kinds : str
        Of dtypes that are taken, as NumPy's ``dtype.kind``.

    Raises
    ------
    TypeError
        Its entries are of another kind.
    ValueError
        It has no two dimensions, or its index arrays do not fit each other or its shape; the text names the array and the entry.

    Examples
    --------
    >>> import scipy.sparse
    >>> from mflow_core.problems.sparse import check_sparse
    >>> A = scipy.sparse.csr_matrix([[1.0, 0.0], [0.0, 2.0]])
    >>> A.indices[1] = 7
    >>> check_sparse(A, "X")
    Traceback (most recent call last):
        ...
    ValueError: X: expected indices from 0 to 1 in indices, got 7 in entry 1
    """
    shape = tuple(matrix.shape)
    if len(shape) != 2:
        raise ValueError(f"{argument}: expected a sparse matrix of two dimensions, got shape {shape}")
    if getattr(matrix.dtype, "kind", "O") not in kinds:
        raise TypeError(f"{argument}: expected real numbers, got a sparse matrix of dtype {matrix.dtype}")
    kind = getattr(matrix, "format", None)
    if kind in ("csr", "csc", "bsr"):
        _check_compressed(matrix, argument, shape, kind)
        if kind == "bsr":
            return matrix
        return type(matrix)((matrix.data, matrix.indices, matrix.indptr), shape=shape)
    if kind == "coo":
        _check_coordinates(matrix, argument, shape)
    elif kind == "dia":
        offsets = _whole(matrix.offsets, argument, "offsets")
        if np.ndim(matrix.data) != 2 or len(matrix.data) != offsets.size:
            given = np.shape(matrix.data)
            raise ValueError(f"{argument}: expected a diagonal in data for each of {offsets.size} offsets, got shape {given}")
    elif kind == "lil":
        _check_lists(matrix, argument, shape)
    elif kind == "dok":
        for key in matrix.keys():  # noqa: SIM118 (its iterator is that of the rows)
            _check_bounds(np.asarray(key), argument, "its keys", shape)
    else:
        return check_sparse(matrix.tocsr(), argument, kinds)
    return matrix


def sparse_rows(matrix: Any, argument: str) -> SparseRows:
    """The rows of a sparse matrix, after `check_sparse`.

    Values are those of the matrix itself where it has CSR's form and float64; the indices are copies.

    Raises
    ------
    TypeError, ValueError
        As `check_sparse`; more than 2^31 - 1 columns.

    Examples
    --------
    >>> import scipy.sparse
    >>> from mflow_core.problems.sparse import sparse_rows
    >>> [part.tolist() for part in sparse_rows(scipy.sparse.csr_matrix([[1.0, 0.0], [0.0, 2.0]]), "X")[:3]]
    [[1.0, 2.0], [0, 1], [0, 1, 2]]
    """
    rows = check_sparse(matrix, argument).tocsr()
    if rows.shape[1] > 2**31 - 1:
        raise ValueError(f"{argument}: expected at most 2^31 - 1 columns of sparse rows, got {rows.shape[1]}")
    values = np.ascontiguousarray(rows.data, dtype=np.float64)
    at, first = np.array(rows.indices, dtype=np.int32), np.array(rows.indptr, dtype=np.int64)
    return SparseRows(values, at, first, int(rows.shape[1]))


def check_indices(indices: Any, argument: str, name: str, below: int) -> NDArray[Any]:
    """Whole numbers from 0 to below - 1, one-dimensional. Raises ValueError, with the first entry that is not.

    Examples
    --------
    >>> from mflow_core.problems.sparse import check_indices
    >>> check_indices([0, 2], "pattern", "indices", 3).tolist()
    [0, 2]
    """
    array = _whole(indices, argument, name)
    if array.size and (int(array.min()) < 0 or int(array.max()) >= below):
        bad = int(np.flatnonzero((array < 0) | (array >= below))[0])
        raise ValueError(f"{argument}: expected indices from 0 to {below - 1} in {name}, got {array[bad]} in entry {bad}")
    return array


def _whole(values: Any, argument: str, name: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"{argument}: expected whole numbers of one dimension in {name}, got dtype {array.dtype} and shape {array.shape}")
    return array


def _check_compressed(matrix: Any, argument: str, shape: tuple[int, ...], kind: str) -> None:
    rows, columns = shape if kind != "csc" else shape[::-1]
    values = np.asarray(matrix.data)
    if kind == "bsr":
        if values.ndim != 3 or 0 in values.shape[1:] or rows % values.shape[1] or columns % values.shape[2]:
            raise ValueError(f"{argument}: expected blocks in data that divide its shape {shape}, got shape {values.shape}")
        rows, columns = rows // values.shape[1], columns // values.shape[2]
    pointers = check_pointers(matrix.indptr, argument, rows, min(len(values), np.size(matrix.indices)))
    if (values.ndim != 1 and kind != "bsr") or len(values) != np.size(matrix.indices):
        raise ValueError(f"{argument}: expected as many indices as entries of data, got {np.size(matrix.indices)} for shape {values.shape}")
    check_indices(matrix.indices[: int(pointers[-1])], argument, "indices", columns)


def check_pointers(indptr: Any, argument: str, rows: int, entries: int) -> NDArray[Any]:
    """Row or column pointers: rows + 1 whole numbers that rise from 0 and end at most at `entries`. Raises ValueError."""
    pointers = _whole(indptr, argument, "indptr")
    if pointers.size != rows + 1 or not pointers.size:
        raise ValueError(f"{argument}: expected {max(rows, 0) + 1} numbers in indptr, got {pointers.size}")
    if pointers[0] != 0:
        raise ValueError(f"{argument}: expected indptr to begin with 0, got {pointers[0]}")
    falls = np.flatnonzero(pointers[1:] < pointers[:-1])
    if falls.size:
        k = int(falls[0])
        raise ValueError(f"{argument}: expected indptr to rise, got {pointers[k]} and then {pointers[k + 1]} in entry {k + 1}")
    if int(pointers[-1]) > entries:
        raise ValueError(f"{argument}: expected indptr to end at most at {entries}, the number of indices and of data, got {pointers[-1]}")
    return pointers


def _check_coordinates(matrix: Any, argument: str, shape: tuple[int, ...]) -> None:
    coordinates = getattr(matrix, "coords", None) or (matrix.row, matrix.col)
    for array, name, size in zip(coordinates, ("row", "col"), shape, strict=True):
        if check_indices(array, argument, name, size).size != np.size(matrix.data):
            raise ValueError(f"{argument}: expected as many numbers in {name} as in data, got {np.size(array)} for {np.size(matrix.data)}")


def _check_lists(matrix: Any, argument: str, shape: tuple[int, ...]) -> None:
    if len(matrix.rows) != shape[0] or len(matrix.data) != shape[0]:
        raise ValueError(f"{argument}: expected {shape[0]} lists in rows and in data, got {len(matrix.rows)} and {len(matrix.data)}")
    for i, (columns, values) in enumerate(zip(matrix.rows, matrix.data, strict=True)):
        if len(columns) != len(values):
            raise ValueError(f"{argument}: expected as many columns as entries in row {i}, got {len(columns)} for {len(values)}")
        check_indices(np.asarray(columns), argument, f"row {i}", shape[1])


def _check_bounds(key: NDArray[Any], argument: str, name: str, shape: tuple[int, ...]) -> None:
    if key.shape != (2,) or key.dtype.kind not in "iu" or not all(0 <= int(k) < size for k, size in zip(key, shape, strict=True)):
        raise ValueError(f"{argument}: expected {name} inside its shape {shape}, got {key.tolist()}")
