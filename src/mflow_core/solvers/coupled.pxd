"""Newton's iteration for stages that are solved together: the `solve_system` of implicit steps."""
from libc.stddef cimport ptrdiff_t

from mflow_core.solvers.newton cimport newton_t
from mflow_core.types cimport mf_tableau


cdef int newton_couple(newton_t *s) noexcept nogil
cdef int newton_solve_system(const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, ptrdiff_t n,
                             void *ctx) noexcept nogil
