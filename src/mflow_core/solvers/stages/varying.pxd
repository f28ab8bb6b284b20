"""Three stages with a mass matrix of their own each."""
from libc.stddef cimport ptrdiff_t

from mflow_core.solvers.newton cimport newton_t
from mflow_core.types cimport mf_tableau


cdef int factor_stages(newton_t *s, const mf_tableau *tab) noexcept nogil
cdef int direction_of_varying(newton_t *s, const mf_tableau *tab, const double *Z, ptrdiff_t ld) noexcept nogil
