"""Hessian-vector products for the core."""
from libc.stddef cimport ptrdiff_t

from mflow_core.types cimport mf_hessp_fn


cdef class Products:
    cdef mf_hessp_fn fun
    cdef void *ctx
    cdef object owner                    # keeps it alive; or the Python function
    cdef tuple shape
    cdef readonly int count              # calls of the Python function
