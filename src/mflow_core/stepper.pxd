"""The run as Python sees it."""
from mflow_core.problem cimport Problem
from mflow_core.registry cimport Row
from mflow_core.run cimport run_t


cdef class Run:
    cdef run_t *r
    cdef readonly Row row
    cdef readonly Problem problem
    cdef readonly tuple shape
    cdef object keep
    cdef void change_dt(self, double dt) noexcept
