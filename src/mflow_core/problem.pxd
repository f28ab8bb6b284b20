"""Any callable as an mf_problem."""
from cpython.ref cimport PyObject
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.types cimport mf_problem


cdef class Callback:
    """One Python function with the private arrays that it is called with: the `ctx` of a run."""
    cdef object fun, jac, args, owner
    cdef tuple shape
    cdef object view, out                # arrays handed to the user; view is read-only
    cdef double *buffer
    cdef double *out_buffer
    cdef PyObject **stack                # vectorcall arguments: a free slot, then t, y, out, args as the kind has them
    cdef Py_ssize_t n_args
    cdef ptrdiff_t n
    cdef int mode
    cdef bint takes_t, inplace
    cdef readonly int64_t nfev, njev
    cdef int renew(self) except -1
    cdef int renew_after_error(self) except -1
    cdef int renew_out(self) except -1
    cdef PyObject *call(self, PyObject *fun, double t) except NULL


cdef class Problem:
    """An mf_problem and what keeps it alive. One per run."""
    cdef mf_problem c
    cdef readonly bint compiled          # no Python inside: may run without the GIL
    cdef readonly bint value_is_free     # value and gradient come from one call
    cdef readonly bint has_value
    cdef readonly Callback callback
    cdef object owner
