"""Mass, damping and stiffness matrices: their storage, and the table of the functions of operators.pyx, one for each instruction set."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t


cdef enum:                               # kinds, from narrow to wide: a sum of two has the larger kind
    OP_NONE = 0
    OP_DIAGONAL = 1                      # values: n
    OP_TRIDIAGONAL = 2                   # values: below, diagonal and above, n each; below[0] = above[n - 1] = 0
    OP_BANDED = 3                        # values: n rows of lower + upper + 1, entry (i, j) at place j - i + lower
    OP_DENSE = 4                         # values: n x n
    OP_SPARSE = 5                        # CSR
    OP_FUNCTION = 6                      # none: a callback computes the products


ctypedef struct operator_t:
    int kind
    ptrdiff_t n, lower, upper
    const double *values
    const int32_t *indptr
    const int32_t *indices


ctypedef struct operators_t:
    # out += scale A x
    void (*add_product)(const operator_t *A, double scale, const double *x, double *out) noexcept nogil
    # out_i = (w (f_i - k_i x_i - c_i v_i) + m_i q_i) r_i: everything diagonal; f, k, c and q may be NULL
    void (*diagonal_solve)(ptrdiff_t n, double w, const double *f, const double *k, const double *x, const double *c, const double *v,
                           const double *m, const double *q, const double *r, double *out) noexcept nogil
    # out = r w (f - K x - C v) elementwise; K tridiagonal, C tridiagonal or none; f and r may be NULL
    void (*tridiagonal_force)(ptrdiff_t n, double w, const double *f, const operator_t *K, const double *x, const operator_t *C,
                              const double *v, const double *r, double *out) noexcept nogil
    # lu: 3 n. 0, or the number (from 1) of the row whose pivot is not positive
    int (*tridiagonal_factor)(ptrdiff_t n, const double *values, double *lu) noexcept nogil
    void (*tridiagonal_solve)(ptrdiff_t n, const double *lu, double *b) noexcept nogil
    # b = d b elementwise
    void (*scale)(ptrdiff_t n, const double *d, double *b) noexcept nogil
    double (*dot)(const double *a, const double *b, ptrdiff_t n) noexcept nogil
    # sum of (x1 - x0) (a f0 + b f1)
    double (*work)(ptrdiff_t n, const double *x0, const double *x1, double a, const double *f0, double b, const double *f1) noexcept nogil
    # (x1 - x0)' C (a v0 + b v1)
    double (*damping_work)(const operator_t *C, const double *x0, const double *x1, double a, const double *v0, double b,
                           const double *v1) noexcept nogil
    # its part of rows lo to lo + m, from dx = x1 - x0 and the mean velocities, with a neighbour on each side. below: C's, or that of a
    # symmetric C by way of the diagonal above, above - 1, which is in the cache then; the number before it meets the neighbour 0
    double (*damping_block)(const operator_t *C, const double *below, ptrdiff_t lo, ptrdiff_t m, const double *dx,
                            const double *mean) noexcept nogil
