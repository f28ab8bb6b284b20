"""The loops over all residuals at a point of a fit, compiled for each instruction set: point.pyx takes those of the level in use.

Sums run in the fixed lanes of dot.pxd, so every level gives the same bits.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t

from mflow_core.arithmetic.dot cimport dot_and_square
from mflow_core.fitting.columns cimport columns_t
from mflow_core.fitting.triangle cimport apply_qt, ear_t, qr


cdef void spread(const double *J, const double *r, ptrdiff_t m, ptrdiff_t n, double *A, double *norms, double *g) noexcept nogil:
    cdef double square
    cdef ptrdiff_t i, j
    for j in range(n):
        for i in range(m):
            A[j * m + i] = J[i * n + j]
        if r != NULL:
            g[j] = dot_and_square(A + j * m, r, m, &square)
            norms[j] = sqrt(square)


cdef void factor(double *A, double *b, const double *D, const int32_t *columns, ptrdiff_t m, ptrdiff_t k, int32_t *pivot, double *diag,
                 double *room, ear_t *ear) noexcept nogil:
    cdef double inverse
    cdef ptrdiff_t a, i, j
    for a in range(k):                   # in place: columns rise
        j = columns[a]
        inverse = 1.0 / (D[j] if D[j] > 0.0 else 1.0)
        for i in range(m):
            A[a * m + i] = A[j * m + i] * inverse
    qr(A, m, k, pivot, diag, room, ear)
    if ear.heard == 0:
        apply_qt(A, m, k, b)


cdef columns_t TABLE
TABLE.spread, TABLE.factor = spread, factor

_table = PyCapsule_New(&TABLE, b"mflow_core._columns", NULL)
