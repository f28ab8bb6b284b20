"""What Python objects do for a matrix."""
from libc.stddef cimport ptrdiff_t

from mflow_core.solvers.matrix cimport matrix_t


cdef object as_array(const double *x, ptrdiff_t n)
cdef int columns_of(matrix_t *m, ptrdiff_t count, double *out) noexcept nogil
cdef int sparse_jacobian(matrix_t *m) noexcept nogil
cdef int sparse_fill(matrix_t *m) noexcept nogil
cdef int sparse_factor(matrix_t *m, double gh) noexcept nogil
cdef int sparse_solve(matrix_t *m, double *b) noexcept nogil
cdef int sparse_take_stage(matrix_t *m, int k) noexcept nogil
cdef int sparse_factor_stages(matrix_t *m, double h, const double *A_inv) noexcept nogil
cdef int sparse_solve_stages(matrix_t *m, double *b) noexcept nogil
cdef int sparse_outgrown(matrix_t *m, double gh, const double *state) noexcept nogil
