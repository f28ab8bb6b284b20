"""Matrices that a user's function returns, checked; and the two forms of a band: an array (n, n), and SciPy's packed one, whose row
upper + i - j holds entry (i, j) in column j."""
import numpy as np

from mflow_core.problems.sparse import check_sparse, plain_array


def checked_matrix(result, Py_ssize_t n, Py_ssize_t lower, Py_ssize_t upper, str name):
    """A Jacobian of n components as a C-contiguous float64 array: (n, n), or packed where lower >= 0. Raises TypeError or ValueError."""
    if result is None:
        raise TypeError(f"{name}: expected an array of shape ({n}, {n}), got None")
    array = check_sparse(result, name) if hasattr(result, "tocsc") else plain_array(result, name)
    check_matrix(array, n, lower, upper, name)
    return np.ascontiguousarray(array.toarray() if hasattr(array, "tocsc") else array, dtype=np.float64)


def check_matrix(array, Py_ssize_t n, Py_ssize_t lower, Py_ssize_t upper, str name):
    """Raises TypeError or ValueError where the numbers or the shape of a Jacobian are not as `checked_matrix` takes them."""
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name}: expected real numbers (float64), got dtype {array.dtype}")
    shapes = [(n, n), (lower + upper + 1, n)] if lower >= 0 else [(n, n)]
    if array.shape not in shapes:
        expected = " or, packed, ".join(map(str, shapes))
        raise ValueError(f"{name}: expected shape {expected} for a state of {n} components, got shape {array.shape}; row i holds the "
                         "derivatives of component i")


def packed_too(array, Py_ssize_t lower, Py_ssize_t upper, bint from_function, str name):
    """Whether an array (n, n) with n = lower + upper + 1, the shape of both forms, is packed. ValueError where it can be neither, or either.

    An entry where the full matrix of the band has none says that it is packed; one that the packed form leaves empty, that it is full.
    What a function returns is full where its entries do not tell.
    """
    n = array.shape[0]
    i, j = np.indices((n, n))
    inside = (j - i >= -lower) & (j - i <= upper)
    used = (i + j - upper >= 0) & (i + j - upper < n)
    outside, unused = bool(np.any(array[~inside])), bool(np.any(array[~used]))
    if outside and unused:
        raise ValueError(f"{name}: expected entries inside the band lband = {lower}, uband = {upper} alone, got others, whether the array "
                         f"({n}, {n}) is read in full or packed; omit lband and uband")
    if not outside and not unused and not from_function and np.any(array[inside] != array[(i - j + upper)[inside], j[inside]]):
        raise ValueError(f"{name}: lband + uband + 1 is {n}, so that an array ({n}, {n}) may be full or packed, and nothing in this one "
                         "tells which; omit lband and uband, and give it in full")
    return outside


def spread_band(band, Py_ssize_t lower):
    """The full matrix of a band whose row i begins with entry (i, i - lower)."""
    n, width = band.shape
    out = np.zeros((n, n))
    for i in range(n):
        first, last = max(i - lower, 0), min(i - lower + width, n)
        out[i, first:last] = band[i, first - i + lower : last - i + lower]
    return out
