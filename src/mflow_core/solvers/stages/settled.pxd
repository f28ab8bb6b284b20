"""Which root the equations of stages have in a step: `solve_system` of runs."""
from libc.stddef cimport ptrdiff_t

from mflow_core.types cimport mf_tableau


cdef int coupled_solve(const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, ptrdiff_t n,
                       void *ctx) noexcept nogil
