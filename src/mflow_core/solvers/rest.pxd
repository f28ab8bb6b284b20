"""The rest of a flow. For branch.pyx."""
from mflow_core.solvers.newton cimport newton_t


cdef int find_rest(newton_t *s, double t, double gh, const double *r) noexcept nogil
