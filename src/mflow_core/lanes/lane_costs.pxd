"""The costs of many descents."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

cimport numpy as cnp

from mflow_core.objectives.objectives cimport objective_t
from mflow_core.types cimport mf_value_grad_fn


cdef class LaneCosts:
    cdef list costs                      # they keep the functions alive
    cdef cnp.ndarray X, y, functions, contexts
    cdef ptrdiff_t lanes
    cdef bint own_data                   # each lane has data of its own
    cdef readonly bint objectives        # all of them are compiled objectives
    cdef int take(self, ptrdiff_t k, ptrdiff_t n) except -1
    cdef void place(self, int64_t lane, mf_value_grad_fn *fun, void **ctx, objective_t *objective) noexcept nogil
