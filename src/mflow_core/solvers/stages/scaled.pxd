"""The rows of M z - gh f(t, z) = r where no matrix is made."""
from mflow_core.solvers.matrix cimport matrix_t


cdef int scales_of_rows(matrix_t *m, double t, double gh, const double *y) noexcept nogil
