"""Values of a user's function: where differences of them may go, and arrays of Python as numbers, and back."""
from libc.stddef cimport ptrdiff_t

cimport numpy as cnp


cdef inline bint keep_within(object bounds, ptrdiff_t i, bint one_sided, double x, double *up, double *down):
    """Moves the two ends of a difference into the bounds of entry i: a forward one turns round where it has no room. False: there is none."""
    cdef double lower = bounds[0][i], upper = bounds[1][i]
    if one_sided and up[0] > upper:
        up[0] = down[0] if down[0] >= lower or x - lower > upper - x else upper
    elif one_sided and up[0] < lower:
        up[0] = down[0] if down[0] <= upper or upper - x > x - lower else lower
    up[0] = lower if up[0] < lower else (upper if up[0] > upper else up[0])
    down[0] = lower if down[0] < lower else (upper if down[0] > upper else down[0])
    return up[0] != (x if one_sided else down[0])


cdef inline double *numbers_of(cnp.ndarray one, ptrdiff_t n) except NULL:
    """The numbers of a C-contiguous float64 array of n. Raises TypeError."""
    if cnp.PyArray_TYPE(one) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(one) or cnp.PyArray_SIZE(one) != n:
        raise TypeError(f"expected a C-contiguous float64 array of {n} numbers, got {one.size} of dtype {one.dtype}")
    return <double *> cnp.PyArray_DATA(one)


cdef inline object vector_of(const double *values, ptrdiff_t n):
    """A new array of n numbers; the module that calls this has called import_array."""
    cdef cnp.npy_intp length = n
    return cnp.PyArray_SimpleNewFromData(1, &length, cnp.NPY_DOUBLE, <void *> values).copy()
