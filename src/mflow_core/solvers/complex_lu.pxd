"""Complex linear algebra of coupled implicit stages: the table of functions that complex_lu.pyx makes, one for each instruction set.

Matrices are those of linalg.pxd, real parts and imaginary parts in an array each, of the same layout. Factoring works in place and returns
0, or the number (from 1) of the column whose pivot has no finite reciprocal. A large dense one asks `poll` on the way, and returns its code
where that is not 0.
"""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t

from mflow_core.solvers.linalg cimport poll_fn


ctypedef struct complex_lu_t:
    int (*lu_factor)(ptrdiff_t n, double *re, double *im, int32_t *pivots) noexcept nogil
    void (*lu_solve)(ptrdiff_t n, const double *re, const double *im, const int32_t *pivots, double *x, double *y) noexcept nogil
    int (*band_factor)(ptrdiff_t n, ptrdiff_t lower, ptrdiff_t upper, double *re, double *im, int32_t *pivots) noexcept nogil
    void (*band_solve)(ptrdiff_t n, ptrdiff_t lower, ptrdiff_t upper, const double *re, const double *im, const int32_t *pivots,
                       double *x, double *y) noexcept nogil
    poll_fn poll                         # set by coupled.pyx: that of the real matrices
