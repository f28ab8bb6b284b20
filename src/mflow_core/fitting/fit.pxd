"""One fit, as other modules of C see it."""
from mflow_core.fitting.callbacks cimport Calls
from mflow_core.fitting.point cimport marquardt_t

cdef class Fit:
    cdef marquardt_t s
    cdef readonly Calls calls
    cdef object keep, loss, columns
    cdef int busy
    cdef bint compiled, nogil_           # nogil_: neither residuals nor loss need Python
    cdef int finish(self, int status) except? -1
    cdef int take(self) except -1
