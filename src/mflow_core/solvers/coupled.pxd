"""Newton's iteration for three stages that are solved together: `solve_system` of runs."""
from libc.stddef cimport ptrdiff_t

from mflow_core.solvers.newton cimport newton_t
from mflow_core.types cimport mf_tableau

cdef enum:
    S = 3                                # stages


cdef int newton_couple(newton_t *s) noexcept nogil
cdef int coupled_solve(const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, ptrdiff_t n,
                       void *ctx) noexcept nogil


cdef inline void copy(newton_t *s, double *out, ptrdiff_t ld_out, const double *a, ptrdiff_t ld) noexcept nogil:
    cdef ptrdiff_t i
    cdef int k
    for k in range(S):
        for i in range(s.n):
            out[k * ld_out + i] = a[k * ld + i]
