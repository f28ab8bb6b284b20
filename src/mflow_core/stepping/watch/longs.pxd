"""Looks at long steps under error control: whether f is there what the step takes it to be."""
from mflow_core.stepping.run cimport run_t


cdef bint contradicted(run_t *r, double h, double t_next, double *err, int *status) noexcept nogil
