"""Significant bits of values: 24 from float32, nearly always 53 from float64; and how far differences of such values go."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, uint64_t
from libc.string cimport memcpy


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


cdef inline bint tell_little(const double *differences, ptrdiff_t n) noexcept nogil:
    """Whether they are all 0, or some are not finite."""
    cdef ptrdiff_t i
    for i in range(n):
        if differences[i] - differences[i] != 0.0:
            return True
    return most_bits(differences, n, 0) == 0


cdef inline bint is_single(double value) noexcept nogil:
    """Whether it has the bits of float32, 18 to 24; those with fewer are numbers that happen to be short."""
    cdef uint64_t word
    memcpy(&word, &value, sizeof(double))
    return not word & 0x1FFFFFFFULL and word & 0xFFFFFFFFFULL


cdef inline bint keeps_single(const double *f, const double *moved, ptrdiff_t n) noexcept nogil:
    """Whether entries of f that have the bits of float32 change from one point to another and have no more there: constants do not, nor
    does what cancels to few bits."""
    cdef bint changes = False
    cdef ptrdiff_t i
    for i in range(n):
        if is_single(f[i]):
            if most_bits(moved + i, 1, 0) > 24:
                return False
            changes = changes or moved[i] != f[i]
    return changes


cdef inline double relative_length(const double *f, ptrdiff_t n, const int32_t *rows) noexcept nogil:
    """Of differences of f, relative: the square root of what rounding costs. One entry with the bits of float32 stands for a part of f
    that is computed in it. rows: NULL, or where the rows of a mass matrix begin; f is what cancels where they are empty, and tells nothing."""
    cdef ptrdiff_t i
    for i in range(n):
        if is_single(f[i]) and (rows == NULL or rows[i] < rows[i + 1]):
            return 0.000244140625
    return 1.4901161193847656e-08
