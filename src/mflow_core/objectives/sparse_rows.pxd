# cython: language_level=3
"""Rows of a sparse table: the entries first[i] ... first[i + 1] of X, of the columns `at`, as CSR has them; a column may stand twice.

The order of sums is that of the entries: four partial sums of a product, entry after entry where a row is added.
"""
from libc.stddef cimport ptrdiff_t

from mflow_core.objectives.objectives cimport objective_t


cdef inline double row_dot(const objective_t *o, ptrdiff_t i, const double *c) noexcept nogil:
    """x_i.c"""
    cdef double p = 0.0, q = 0.0, r = 0.0, s = 0.0
    cdef ptrdiff_t k = o.first[i], end = o.first[i + 1]
    while k + 4 <= end:
        p = p + o.X[k] * c[o.at[k]]
        q = q + o.X[k + 1] * c[o.at[k + 1]]
        r = r + o.X[k + 2] * c[o.at[k + 2]]
        s = s + o.X[k + 3] * c[o.at[k + 3]]
        k += 4
    p = (p + q) + (r + s)
    while k < end:
        p = p + o.X[k] * c[o.at[k]]
        k += 1
    return p


cdef inline void add_row(const objective_t *o, ptrdiff_t i, double share, double *out) noexcept nogil:
    """out += share x_i"""
    cdef ptrdiff_t k
    for k in range(o.first[i], o.first[i + 1]):
        out[o.at[k]] = out[o.at[k]] + share * o.X[k]
