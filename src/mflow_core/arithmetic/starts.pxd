"""Numbers that Python gives, as an array."""
from libc.stddef cimport ptrdiff_t

cimport numpy as cnp

cdef cnp.ndarray numbers(value, ptrdiff_t n, str argument)
