"""The root of an implicit step that continues from where the step stands: `solve` of runs with fixed steps."""
from libc.stddef cimport ptrdiff_t

from mflow_core.solvers.newton cimport newton_t


cdef int branch_solve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil
cdef bint branch_ready(newton_t *s) noexcept nogil
