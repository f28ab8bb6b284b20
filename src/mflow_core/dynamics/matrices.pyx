"""Matrices of dynamics as users give them: checked, and put into the narrowest form that fits (operators.pxd)."""
from cpython.exc cimport PyErr_CheckSignals

from libc.math cimport INFINITY, isfinite

cimport numpy as cnp

from mflow_core.solvers.operators cimport OP_BANDED, OP_DENSE, OP_DIAGONAL, OP_SPARSE, OP_TRIDIAGONAL

import numpy as np

from mflow_core.problems.sparse import check_sparse, check_unmasked

cnp.import_array()

cdef enum:
    PORTION = 1_000_000                  # numbers between looks at signals


def row_pieces(array):
    """Slices that cut the rows of a large matrix, with a look at signals before each."""
    step = max(1, PORTION // max(array.shape[1], 1))
    for first in range(0, array.shape[0], step):
        PyErr_CheckSignals()
        yield slice(first, first + step)


def reach_of(array):
    """(how far entries lie below the diagonal, how far above, how many there are)."""
    lower = upper = count = 0
    pieces = [slice(0, None)] if hasattr(array, "tocsr") else row_pieces(array)
    for piece in pieces:
        rows, columns = array.nonzero() if hasattr(array, "tocsr") else array[piece].nonzero()
        ahead = columns.astype(np.int64) - rows - piece.start
        lower, upper = max(lower, int(-ahead.min(initial=0))), max(upper, int(ahead.max(initial=0)))
        count += rows.size
    return lower, upper, count


cdef cnp.ndarray repeated(double value, cnp.npy_intp n):
    """n times the same number."""
    cdef cnp.ndarray out = cnp.PyArray_SimpleNew(1, &n, cnp.NPY_DOUBLE)
    cdef double *numbers = <double *> cnp.PyArray_DATA(out)
    cdef cnp.npy_intp i
    for i in range(n):
        numbers[i] = value
    return out


def smallest(cnp.ndarray array not None):
    """The smallest number of a C-contiguous float64 array: inf of an empty one, NaN where one is among them."""
    cdef const double *numbers = <const double *> cnp.PyArray_DATA(array)
    cdef double least = INFINITY
    cdef cnp.npy_intp i
    if cnp.PyArray_TYPE(array) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(array):
        raise TypeError(f"array: expected a C-contiguous float64 array, got dtype {(<object> array).dtype}")
    for i in range(cnp.PyArray_SIZE(array)):
        if numbers[i] < least or numbers[i] != numbers[i]:
            least = numbers[i]
    return least


def checked_matrix(value, str argument, Py_ssize_t n):
    """A number, n numbers, n x n or a SciPy sparse matrix: float64, finite; vectors stand for diagonals."""
    if type(value) is float and isfinite(value):
        return repeated(value, n)
    if hasattr(value, "tocsr"):
        array = check_sparse(value, argument).tocsr().astype(np.float64)
        array.sum_duplicates()
        entries = array.data
    else:
        check_unmasked(value, argument)
        try:
            array = np.asarray(value)
        except ValueError:
            raise ValueError(f"{argument}: expected numbers or a matrix, got rows of different lengths") from None
        if callable(value):
            varies = "; where the mass varies, give no mass, and force=(t, x, v) that returns accelerations; rods and joints are constraints="
            raise TypeError(
                f"{argument}: expected numbers or a matrix, got a function"
                + (varies if argument == "mass" else "; nonlinear forces go into force=(t, x, v)")
            )
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{argument}: expected real numbers, got dtype {array.dtype}")
        array = entries = np.array(array, dtype=np.float64, order="C")
    if array.shape not in ((), (1,), (n,), (n, n)):
        raise ValueError(f"{argument}: expected a number, {n} numbers (a diagonal) or a matrix of shape ({n}, {n}) for {n} degrees of freedom, got "
                         f"shape {array.shape}")
    if not np.isfinite(entries).all():
        raise ValueError(f"{argument}: expected finite numbers, got an entry that is not")
    return np.full(n, array.item()) if array.size == 1 and array.ndim < 2 and not hasattr(array, "tocsr") else array


def is_function(value):
    """Whether products come from a function or a LinearOperator, not from a matrix."""
    if value is None or hasattr(value, "tocsr") or isinstance(value, (int, float, list, tuple, np.ndarray, np.generic)) and \
            type(value).__name__ != "LowLevelCallable":
        return False
    return callable(value) or hasattr(value, "matvec") or type(value).__name__ in ("PyCapsule", "LowLevelCallable")


def shape_of(array, Py_ssize_t n):
    """(kind, lower, upper) of the narrowest form that a checked matrix fits well."""
    if array.ndim == 1:
        return OP_DIAGONAL, 0, 0
    sparse = hasattr(array, "tocsr")
    lower, upper, count = reach_of(array)
    width = lower + upper + 1
    if width == 1:
        return OP_DIAGONAL, 0, 0
    if lower <= 1 and upper <= 1 and n > 2:
        return OP_TRIDIAGONAL, 1, 1
    if (n > 8 and 2 * width <= n) and (not sparse or width * n <= 6 * count + 64 * n):
        return OP_BANDED, lower, upper
    if sparse and n > 200:
        return OP_SPARSE, n - 1, n - 1
    return OP_DENSE, n - 1, n - 1


def values_of(array, int kind, Py_ssize_t lower, Py_ssize_t upper, Py_ssize_t n):
    """The numbers of a checked matrix in this form."""
    if array.ndim == 1:
        diagonal = array
        if kind == OP_DIAGONAL:
            return np.ascontiguousarray(diagonal)
        array = np.diag(diagonal) if kind == OP_DENSE else None
    sparse = array is not None and hasattr(array, "tocsr")
    if kind == OP_DENSE:
        return np.ascontiguousarray(array.toarray() if sparse else array)
    bands = {}
    for k in range(-lower, upper + 1):
        band = np.zeros(n)
        entries = (diagonal if k == 0 else np.zeros(0)) if array is None else np.asarray(array.diagonal(k))
        band[max(-k, 0):max(-k, 0) + entries.size] = entries
        bands[k] = band
    if kind == OP_DIAGONAL:
        return bands[0]
    return np.concatenate([bands[k] for k in (-1, 0, 1)]) if kind == OP_TRIDIAGONAL else np.stack([bands[k] for k in bands], axis=1).copy()


def is_zero(array):
    """Whether it is None or has no entry but zeros."""
    cdef const double *numbers
    cdef cnp.npy_intp i
    if type(array) is cnp.ndarray and cnp.PyArray_TYPE(array) == cnp.NPY_DOUBLE and cnp.PyArray_ISCARRAY_RO(array):
        numbers = <const double *> cnp.PyArray_DATA(array)
        for i in range(cnp.PyArray_SIZE(array)):
            if numbers[i] != 0.0:
                return False
        return True
    return array is None or np.count_nonzero(array.data if hasattr(array, "tocsr") else array) == 0


def is_symmetric(array):
    """Whether the array is symmetric, to rounding."""
    if array is None or array.ndim == 1 or not array.size:
        return True
    if hasattr(array, "tocsr"):
        return not abs(array - array.T).max() > 8 * 2.0**-52 * abs(array).max()
    size = max(abs(array[piece]).max() for piece in row_pieces(array))
    return not any(abs(array[piece] - array[:, piece].T).max() > 8 * 2.0**-52 * size for piece in row_pieces(array))


def first_bad_sparse(mass):
    """0, or the row (from 1) where a SciPy sparse matrix shows that it is not positive definite: a diagonal that outweighs its rows is enough, else the signs of the pivots count,
    taken symmetrically; a row that is named is then one of those where it shows."""
    import scipy.sparse.linalg

    diagonal = mass.diagonal()
    if not np.all(diagonal > 0):
        return int(np.argmin(diagonal)) + 1
    if np.all(2.0 * diagonal > np.asarray(abs(mass).sum(axis=1)).ravel()):
        return 0
    try:
        factors = scipy.sparse.linalg.splu(mass.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    except RuntimeError:                     # exactly singular
        return int(np.argmin(diagonal)) + 1
    pivots = factors.U.diagonal()
    if np.array_equal(factors.perm_r, factors.perm_c) and np.all(pivots > 4.0 * 2.0**-52 * np.max(diagonal)):
        return 0
    return int(np.flatnonzero(factors.perm_c == int(np.argmin(pivots)))[0]) + 1
