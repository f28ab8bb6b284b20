"""What an event does to the state: Python functions, and compiled ones of (t, x, v)."""
from libc.stddef cimport ptrdiff_t

from mflow_core.types cimport mf_accel_fn


ctypedef struct pair_t:
    mf_accel_fn fun
    void *ctx


cdef class Action:
    cdef object fun
    cdef tuple shape, args
    cdef str name
    cdef bint motion


cdef int call_action(double t, const double *y, double *out, ptrdiff_t n, void *ctx) noexcept with gil
cdef int call_pair_action(double t, const double *y, double *out, ptrdiff_t n, void *ctx) noexcept nogil
