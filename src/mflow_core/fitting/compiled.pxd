"""Compiled residuals as C sees them."""
from libc.stddef cimport ptrdiff_t

cimport numpy as cnp

from mflow_core.fitting.point cimport residuals_fn
from mflow_core.objectives.objectives cimport objective_t

ctypedef struct weighed_t:
    residuals_fn fun
    void *ctx                            # NULL with an objective: its own
    const double *sigma                  # NULL: 1
    ptrdiff_t n_sigma                    # 1 or m
    objective_t objective


cdef class CompiledResiduals:
    cdef weighed_t w
    cdef object owner
    cdef cnp.ndarray sigma_
    cdef readonly ptrdiff_t m

cdef int objective_residuals(const double *x, double *r, double *J, ptrdiff_t m, ptrdiff_t n, void *ctx) noexcept nogil
cdef int weighed_residuals(const double *x, double *r, double *J, ptrdiff_t m, ptrdiff_t n, void *ctx) noexcept nogil
