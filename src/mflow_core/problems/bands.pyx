"""The two forms of a band: an array (n, n), and SciPy's packed one, whose row upper + i - j holds entry (i, j) in column j."""
import numpy as np


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
