"""Descents for api.pyx."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.optimize.descents cimport descent_t
from mflow_core.types cimport mf_descent_options, mf_direction, mf_method, mf_problem


cdef enum:
    LIMIT_REACHED = 0x7FFFFFF0           # no code that a callback would return: max_iter iterations, and not converged


ctypedef struct host_descent_t:
    descent_t s
    mf_problem p
    double *par
    int owner
    bint failed                          # the last call ended by an error: what is shown is the lowest point


cdef int host_direct(const mf_method *m, mf_direction *w) noexcept nogil
cdef int host_room(const mf_method *m, const double *par, ptrdiff_t n, int bounded, int64_t *kept, int64_t *work) noexcept nogil
cdef host_descent_t *host_new(const mf_method *m, const mf_problem *p, const mf_descent_options *options, const double *x0,
                              int *err) noexcept nogil
cdef int host_advance(host_descent_t *d, int64_t max_iter, double gtol) noexcept nogil
cdef const double *host_x(host_descent_t *d, double *value, double *gmax, int64_t *nit, int64_t *nfev) noexcept nogil
cdef int64_t host_save(host_descent_t *d, void *buf, int64_t room) noexcept nogil
cdef int host_restore(host_descent_t *d, const void *buf, int64_t bytes) noexcept nogil
cdef void host_free(host_descent_t *d) noexcept nogil
