"""`solve_system` of runs: all stages at once, and in a fixed step the root that continues from where the step stands."""
from libc.stddef cimport ptrdiff_t

from mflow_core.types cimport mf_tableau


cdef int coupled_solve(const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, ptrdiff_t n,
                       void *ctx) noexcept nogil
