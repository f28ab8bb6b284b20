"""Where the eigenvalues of M = I - gh J lie: what tells whether a root of an implicit step continues from gh = 0."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t

from mflow_core.solvers.linalg cimport poll_fn


cdef enum:
    CROSSED = 0                          # det M < 0: an eigenvalue of J has passed 1 / gh
    POSITIVE_SIGN = 1                    # det M > 0: an even number has, or none
    REGULAR = 2                          # I - s J is regular for every s from 0 to gh; if J is symmetric, M is positive definite

    MOST_EIGENVALUES = 100               # of a matrix with more rows none are computed
    MOST_ALONE = 64                      # rows alone that a solve keeps at 0


cdef inline bint is_alone(ptrdiff_t n, const double *J, ptrdiff_t i) noexcept nogil:
    """Whether row i of J, n x n, has nothing beside its diagonal: a species that grows from itself alone, and is not there."""
    cdef ptrdiff_t j
    for j in range(n):
        if J[i * n + j] != 0.0 and j != i:
            return False
    return True


cdef inline ptrdiff_t rows_at_0(ptrdiff_t n, const double *J, const double *b, const double *b2, ptrdiff_t *rows) noexcept nogil:
    """How many rows of M x = b (and b2, or NULL) have x_i = 0, as b_i = 0 and M_ij = 0 beside the diagonal; pivots turn it into rounding."""
    cdef ptrdiff_t count = 0, i
    for i in range(n):
        if b[i] == 0.0 and (b2 == NULL or b2[i] == 0.0) and count < MOST_ALONE and is_alone(n, J, i):
            rows[count] = i
            count += 1
    return count


cdef bint dominant(ptrdiff_t n, const double *a, double *columns, double *size) noexcept nogil
cdef bint dominant_band(ptrdiff_t n, ptrdiff_t lower, ptrdiff_t upper, const double *a, double *columns, double *size) noexcept nogil
cdef bint dominant_in_scales(ptrdiff_t n, double *a) noexcept nogil
cdef int positive(ptrdiff_t n, double *a, double *column, poll_fn poll) noexcept nogil
cdef int positive_band(ptrdiff_t n, ptrdiff_t lower, ptrdiff_t upper, double *a, poll_fn poll) noexcept nogil
cdef bint clear_of_negative_axis(ptrdiff_t n, double *a) noexcept nogil
cdef bint in_right_half_plane(ptrdiff_t n, double *a) noexcept nogil
cdef void real_parts(ptrdiff_t n, double *a, double *lowest, double *highest) noexcept nogil
cdef int sign_of_lu(ptrdiff_t n, ptrdiff_t stride, const double *diagonal, const int32_t *pivots) noexcept nogil
