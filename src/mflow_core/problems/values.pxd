"""Values of a user's function: their significant bits (24 from float32, nearly always 53 from float64), and a copy for Python."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

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


cdef inline int most_bits(const double *values, ptrdiff_t n, int most) noexcept nogil:
    """The largest number of significant bits, and `most` before them; the search ends where it passes 24. 0 and NaN count as none."""
    cdef uint64_t word
    cdef ptrdiff_t i
    cdef int count
    for i in range(n):
        if most > 24:
            break
        if values[i] == 0.0 or values[i] != values[i]:
            continue
        memcpy(&word, &values[i], sizeof(double))
        word = (word & 0xFFFFFFFFFFFFFULL) | 0x10000000000000ULL
        count = 53
        while not word & 1:
            word >>= 1
            count -= 1
        most = max(most, count)
    return most


cdef inline object vector_of(const double *values, ptrdiff_t n):
    """A new array of n numbers; the module that calls this has called import_array."""
    cdef cnp.npy_intp length = n
    return cnp.PyArray_SimpleNewFromData(1, &length, cnp.NPY_DOUBLE, <void *> values).copy()
