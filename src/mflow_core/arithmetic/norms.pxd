"""Lengths of vectors whose squares under- or overflow, where a plain sum of squares says so."""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stddef cimport ptrdiff_t


cdef inline double scaled_norm(ptrdiff_t n, const double *v, const double *w, double count) noexcept nogil:
    """sqrt(sum((w_i v_i)^2) / count) by parts of the largest; w NULL: plain ones. inf where one is infinite, NaN where one is NaN."""
    cdef double top = 0.0, total = 0.0, part
    cdef ptrdiff_t i
    for i in range(n):
        part = fabs(v[i] if w == NULL else v[i] * w[i])
        top = part if part > top or part != part else top
    if not 0.0 < top < INFINITY:
        return top
    for i in range(n):
        part = (v[i] if w == NULL else v[i] * w[i]) / top
        total += part * part
    return top * sqrt(total / count)
