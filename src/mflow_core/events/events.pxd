"""The events of a run as Python sees them."""
from libc.stdint cimport int64_t

from mflow_core.events.actions cimport pair_t
from mflow_core.events.crossings cimport events_t


cdef class Events:
    """The events of one run: their functions, and what was found."""
    cdef events_t c
    cdef readonly bint compiled          # no Python inside: may scan without the GIL
    cdef readonly tuple shape
    cdef pair_t *pairs                   # compiled events of (t, x, v)
    cdef pair_t *actions                 # and their compiled actions
    cdef bint motion
    cdef list callbacks, chunks
    cdef int attach_action(self, int j, action, tuple args) except -1
    cdef object owner
    cdef int attach(self, int j, fun, tuple args) except -1
    cdef int reserve(self, int64_t room) except -1
    cpdef int collect_rows(self) except -1
    cdef tuple joined(self)
    cdef object state(self, y)
