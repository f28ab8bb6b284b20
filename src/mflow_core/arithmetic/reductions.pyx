"""The reductions of vec.pxd, compiled for each instruction set. Code that is compiled once uses them on every state and gradient.

Their order is fixed (two levels, 16 lanes; whole numbers in any order), so every level gives the same bits.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.stddef cimport ptrdiff_t

from mflow_core.arithmetic cimport control, vec
from mflow_core.arithmetic.control cimport control_t, reductions_t


cdef bint all_finite(const double *x, ptrdiff_t n) noexcept nogil:
    return vec.all_finite(x, n)


cdef bint all_tame(const double *x, ptrdiff_t n) noexcept nogil:
    return vec.all_tame(x, n)


cdef double max_abs(const double *x, ptrdiff_t n) noexcept nogil:
    return vec.max_abs(x, n)


cdef double sum_of_squares(const double *x, ptrdiff_t n) noexcept nogil:
    return vec.sum_of_squares(x, n)


cdef double error_sum(const control_t *c, const double *e, const double *y0, const double *y1, ptrdiff_t n) noexcept nogil:
    return control.error_sum(c, e, y0, y1, n)


cdef reductions_t TABLE
TABLE.all_finite, TABLE.all_tame, TABLE.max_abs = all_finite, all_tame, max_abs
TABLE.sum_of_squares, TABLE.error_sum = sum_of_squares, error_sum

_table = PyCapsule_New(&TABLE, b"mflow_core._reductions", NULL)
