"""Robust losses as C sees them: robust.pyx says what they are."""
from libc.stddef cimport ptrdiff_t

ctypedef double (*rho_fn)(double z, double *slope, double *bend) noexcept nogil      # rho(z), and rho' and rho''

ctypedef struct robust_t:
    rho_fn rho
    double scale


cdef class CompiledLoss:
    cdef robust_t c
    cdef readonly str name
    cdef readonly double f_scale

cdef int robust_loss(const double *f, double *cost, double *root, ptrdiff_t m, void *ctx) noexcept nogil
cdef double share_of_hessian(const robust_t *loss, double f) noexcept nogil
