"""Newton's iteration for three stages that are solved together: `solve_system` of runs."""
from libc.stddef cimport ptrdiff_t

from mflow_core.solvers.newton cimport newton_t
from mflow_core.types cimport mf_tableau


cdef int newton_couple(newton_t *s) noexcept nogil
cdef int coupled_solve(const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, ptrdiff_t n,
                       void *ctx) noexcept nogil
