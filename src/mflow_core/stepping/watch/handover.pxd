"""When the leg of one of two methods is over."""
from libc.stdint cimport int64_t

from mflow_core.stepping.run cimport run_t


cdef int run_doubt(run_t *r, double planned) noexcept nogil
cdef void run_watch(run_t *r, double h, double t_end) noexcept nogil
cdef void run_turns(run_t *r, double h, int64_t hits) noexcept nogil
