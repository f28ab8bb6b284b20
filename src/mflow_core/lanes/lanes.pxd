"""A batch of trajectories on one compiled right-hand side for lanes."""
from mflow_core.lanes.lane_block cimport job_t
from mflow_core.registry cimport MethodRecord


cdef class Lanes:
    cdef job_t j
    cdef MethodRecord record
    cdef object keep
    cdef readonly object y_last, t_last, y, code, nfev, nsteps, nrejected, saved, seen
    cdef int check_method(self) except -1
