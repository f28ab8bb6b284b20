"""The root of an implicit step that continues from where the step stands: `solve` of runs with fixed steps."""
from libc.stddef cimport ptrdiff_t


cdef int branch_solve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil
