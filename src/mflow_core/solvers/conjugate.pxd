"""Conjugate gradients for symmetric positive definite systems, without a matrix."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

ctypedef int (*apply_fn)(const double *x, double *out, void *ctx) noexcept nogil
ctypedef double (*dot_fn)(const double *a, const double *b, ptrdiff_t n) noexcept nogil


cdef enum:                               # reasons of failure
    CG_INDEFINITE = 1                    # x'Ax <= 0 for some x
    CG_SLOW = 2                          # no convergence after 10 n + 100 iterations
    CG_RESIDUAL = 3                      # converged by the recurrence, but not by the residual


cdef int conjugate_gradients(apply_fn A, void *ctx, dot_fn dot, ptrdiff_t n, const double *scale, double *b, double *room, int64_t *count,
                             int *failed) noexcept nogil
