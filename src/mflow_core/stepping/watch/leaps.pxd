"""Looks at steps under error control that take a component over 0: whether f is there what the step takes it to be."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.stepping.run cimport run_t


cdef bint leaps(run_t *r, double h, double t_next, double *err, int *status) noexcept nogil
cdef void note_taken(run_t *r) noexcept nogil


# the polynomial through a good step

cdef int coefficients(const run_t *r, ptrdiff_t i, double h, double *c) noexcept nogil
cdef double rate(const double *c, int degree, double theta) noexcept nogil
cdef double tolerance(const run_t *r, ptrdiff_t i, double a, double b) noexcept nogil
cdef bint forgive() noexcept with gil
