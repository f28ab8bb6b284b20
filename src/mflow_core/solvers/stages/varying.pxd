"""Three stages with a mass matrix of their own each."""
from libc.stddef cimport ptrdiff_t

from mflow_core.solvers.newton cimport newton_t
from mflow_core.types cimport mf_tableau


cdef int varying_residual(newton_t *s, const mf_tableau *tab, double t, double h, const double *f, const double *Z, ptrdiff_t ld,
                          double *out) noexcept nogil
cdef int factor_stages(newton_t *s, const mf_tableau *tab) noexcept nogil
cdef int direction_of_varying(newton_t *s, const mf_tableau *tab, const double *Z, ptrdiff_t ld) noexcept nogil


cdef inline ptrdiff_t stages_below(const newton_t *s) noexcept nogil:
    """Subdiagonals of the band of all stages."""
    return 3 * s.m.c.lower + 2


cdef inline ptrdiff_t stages_above(const newton_t *s) noexcept nogil:
    return 3 * s.m.c.upper + 2
