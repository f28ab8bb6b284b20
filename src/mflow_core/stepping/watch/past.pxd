"""Looks at fixed explicit steps: how h |lambda| along the way compares with what is stable, from slopes that the steps compute anyway."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.stepping.run cimport run_t

cdef enum:
    PAST_DUE = 0x7FFFFFF4                # no code that a callback would return: the driver measures the Jacobian, and goes on


ctypedef struct past_t:
    int (*step)(run_t *r, double h) noexcept nogil       # `watched_step`: loops need no module of this one
    int64_t next                         # the step of the next look
    int64_t most, count                  # looks beyond the edge that are due a measurement, and those so far
    double edge                          # of h |lambda|
    double largest, steepest             # (h |lambda|)^2 of the look at hand, and of those beyond the edge so far
    double h
    int seen, calls, skip                # slopes kept in the look at hand; those asked for in this step, and the first that are not kept
    double *y
    double *f


cdef inline bint past_is_due(const past_t *past) noexcept nogil:
    return past.count >= past.most
