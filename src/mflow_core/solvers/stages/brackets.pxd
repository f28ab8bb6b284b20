"""Newton's iteration where slopes are infinite, or far from those on the way: the length of each step is bracketed."""
from libc.stddef cimport ptrdiff_t

from mflow_core.solvers.conjugate cimport apply_fn
from mflow_core.solvers.newton cimport newton_t


cdef int bracket_solve(double t, double gh, const double *r, double *z, ptrdiff_t n, newton_t *s, apply_fn metric, void *metric_ctx) noexcept nogil
cdef int lone_root(newton_t *s, double t, double gh, const double *r, double *z, int failed) noexcept nogil
