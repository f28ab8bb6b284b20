"""Where a run writes its states."""
cimport numpy as cnp

from mflow_core.events.events cimport Events
from mflow_core.stepping.output cimport record_t


cdef class Rows:
    cdef record_t c
    cdef cnp.ndarray y, t, D, at, energy
    cdef readonly Events events
    cdef bint needs_dense
