"""Descent along a cost's gradient."""
from libc.stdint cimport int64_t

from mflow_core.stepping.run cimport run_t
from mflow_core.types cimport mf_method


cdef enum:
    MAX_VECTORS = 8                      # of an optimizer: x among them
    CONVERGED = 0x7FFFFFFF               # no code that a callback would return
    ALARM = 0x7FFFFFFB                   # nor this: the gradient has grown beyond what the driver allows; no step was taken
    OVERFLOWED = 0x7FFFFFF9              # the square of a gradient overflowed in a vector of the method: it would stand still from here on

cdef bint asks_ahead(const mf_method *m, int n_vec, const double *coef) noexcept nogil
cdef int run_descend(run_t *r, int64_t count, double gtol, bint want_value, double alarm, bint brake) noexcept nogil
