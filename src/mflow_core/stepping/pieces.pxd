"""Passes over long vectors in pieces that threads share."""
from libc.stddef cimport ptrdiff_t

from mflow_core.types cimport mf_frame, mf_method

cdef int update_all(const mf_method *m, const double *coef, double gscale, ptrdiff_t n, double *const *x, const double *g) noexcept nogil
cdef int step_all(const mf_method *m, mf_frame *f, int n_tested) noexcept nogil
