"""Newton's iteration for three stages that are solved together."""
from libc.stddef cimport ptrdiff_t

from mflow_core.solvers.newton cimport newton_t
from mflow_core.types cimport mf_tableau

cdef enum:
    S = 3                                # stages
    SIMPLIFIED = 0                       # ways of the iteration: the factors at hand,
    FULL = 1                             # a new J at the last stage each time,
    TOGETHER = 2                         # or J at every stage, by GMRES
    MANY = 30                            # iterations of fixed steps
    MAX_NON_FINITE = 16                  # slopes that are not finite, before it is given up


cdef int newton_couple(newton_t *s) noexcept nogil
cdef void transform(const double *M, ptrdiff_t n, ptrdiff_t ld, const double *a, ptrdiff_t ld_a, double *out) noexcept nogil
cdef int direction(newton_t *s, const mf_tableau *tab, double h, bint compare) noexcept nogil
cdef int slopes(newton_t *s, const mf_tableau *tab, double t, double h, const double *y, const double *Z, ptrdiff_t ld) noexcept nogil
cdef int precondition(newton_t *s, const mf_tableau *tab, double *d) noexcept nogil
cdef double stage_norm(newton_t *s, const double *d) noexcept nogil
cdef int residual_of_stages(newton_t *s, const mf_tableau *tab, double h, const double *Z, ptrdiff_t ld, double *norm) noexcept nogil
cdef int direction_of_stages(newton_t *s, const mf_tableau *tab, double t, double h, const double *y, const double *Z,
                             ptrdiff_t ld) noexcept nogil
cdef int iterate(newton_t *s, const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, int how, int most,
                 bint fresh) noexcept nogil
cdef int matrix_at_end(newton_t *s, const mf_tableau *tab, double t, double gh, const double *y, const double *Z3) noexcept nogil
cdef int attempts(newton_t *s, const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, bint *fresh) noexcept nogil


cdef inline void copy(newton_t *s, double *out, ptrdiff_t ld_out, const double *a, ptrdiff_t ld) noexcept nogil:
    cdef ptrdiff_t i
    cdef int k
    for k in range(S):
        for i in range(s.n):
            out[k * ld_out + i] = a[k * ld + i]
