"""The state of Newton's iteration that decides later bits."""
from libc.stddef cimport ptrdiff_t

from mflow_core.solvers.newton cimport newton_t


cdef ptrdiff_t newton_state_size(const newton_t *s) noexcept nogil
cdef void newton_pack(const newton_t *s, double *state) noexcept nogil
cdef int newton_unpack(newton_t *s, const double *state) noexcept nogil
