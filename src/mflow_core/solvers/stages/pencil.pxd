"""Callbacks of a kernel that takes M y' = f(t, y), and of linearly implicit ones."""
from libc.stddef cimport ptrdiff_t

from mflow_core.solvers.newton cimport newton_t
from mflow_core.solvers.stages.mass cimport mass_t
from mflow_core.types cimport mf_problem


cdef int pencil_mass(const double *v, double *Mv, ptrdiff_t n, void *ctx) noexcept nogil
cdef int pencil_mass_at(double t, const double *v, double *Mv, ptrdiff_t n, void *ctx) noexcept nogil
cdef int pencil_of_products(const mf_problem *p, mass_t **made) noexcept nogil
cdef int pencil_slopes(newton_t *s, double t, const double *f, double *out, const double **told) noexcept nogil
cdef int pencil_linearize(double t, double gh, const double *y, double *dfdt, ptrdiff_t n, void *ctx) noexcept nogil
