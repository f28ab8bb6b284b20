"""When the leg of one of two methods is over."""
from libc.stdint cimport int64_t

from mflow_core.stepping.run cimport run_t

cdef enum:
    ALONE = 0x40000000                   # leg.most of an implicit method that has no other beside it
    TURNING = 2                          # control_t.stiff of an explicit pair alone that is held by what turns while it decays
    FEW = 8                              # explicit steps, well within their limit, for each of its own


cdef int run_doubt(run_t *r, double planned) noexcept nogil
cdef void run_watch(run_t *r, double h, double t_end) noexcept nogil
cdef void run_turns(run_t *r, double h, int64_t hits) noexcept nogil
