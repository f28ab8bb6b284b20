"""Products with the Jacobian at hand: its spectral radius, and what they undo below 0."""
from libc.stddef cimport ptrdiff_t

from mflow_core.arithmetic.control cimport control_t
from mflow_core.problems.inside cimport inside_t
from mflow_core.solvers.matrix cimport matrix_t


cdef int jacobian_bend(const void *inside, double t, const double *y, double *dydt, void *ctx) noexcept nogil
cdef double deepest_below(const inside_t *s, const control_t *c, const double *y0, const double *y, ptrdiff_t *which) noexcept nogil
cdef double lift(const inside_t *s, const control_t *c, matrix_t *m, const double *y0, double **end, int vectors, ptrdiff_t n,
               double *change) noexcept nogil
cdef double jacobian_radius(matrix_t *m) noexcept nogil
