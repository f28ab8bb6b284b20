"""Looks at good steps under error control that may have led over a pole of f in time."""
from mflow_core.stepping.run cimport run_t


cdef bint leads_over_pole(run_t *r, double h, double t_next, int *status) noexcept nogil
