"""Descent along a cost's gradient."""
from libc.stdint cimport int64_t

from mflow_core.run cimport run_t


cdef enum:
    CONVERGED = 0x7FFFFFFF               # no code that a callback would return

cdef int run_descend(run_t *r, int64_t count, double gtol, bint want_value) noexcept nogil
