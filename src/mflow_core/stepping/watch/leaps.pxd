"""Looks at steps under error control that take a component over 0: whether f is there what the step takes it to be."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.stepping.run cimport run_t


cdef bint leaps(run_t *r, double h, double t_next, double *err, int *status) noexcept nogil
