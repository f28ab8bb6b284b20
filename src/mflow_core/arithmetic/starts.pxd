"""Numbers that Python gives, as an array; and arrays that functions fill."""
from libc.stddef cimport ptrdiff_t

cimport numpy as cnp

cdef cnp.ndarray numbers(value, ptrdiff_t n, str argument)
cdef cnp.ndarray empty(tuple shape)
cdef cnp.ndarray nans(tuple shape)
