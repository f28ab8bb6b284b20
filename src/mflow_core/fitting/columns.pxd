# cython: language_level=3
"""The loops over all residuals at a point of a fit, as columns.pyx compiles them for each instruction set."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t

from mflow_core.fitting.triangle cimport ear_t


ctypedef struct columns_t:
    # A: the columns of J (m, n), one after the other; unless r is NULL norms: their lengths, g = J'r
    void (*spread)(const double *J, const double *r, ptrdiff_t m, ptrdiff_t n, double *A, double *norms, double *g) noexcept nogil
    # A, b become QR of the k columns `columns` of A over their units, and Q'b; D: units, 1 where one is 0; room: 2 k
    void (*factor)(double *A, double *b, const double *D, const int32_t *columns, ptrdiff_t m, ptrdiff_t k, int32_t *pivot, double *diag,
                   double *room, ear_t *ear) noexcept nogil
