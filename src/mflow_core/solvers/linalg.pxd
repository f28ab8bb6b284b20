"""Linear algebra of the implicit steps: the table of functions that linalg.pyx makes, one for each instruction set.

Every matrix is row-major. Factoring works in place and returns 0, or the number (from 1) of the column whose pivot has no finite
reciprocal: the matrix is singular, or holds a NaN. A large one asks `poll` on the way, and returns its code where that is not 0.
"""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t

ctypedef int (*apply_fn)(const double *v, double *out, ptrdiff_t n, void *ctx) noexcept nogil
ctypedef int (*poll_fn)() noexcept nogil

cdef enum:
    PORTION = 16_000_000                 # multiplications between looks at signals: some milliseconds


ctypedef struct linalg_t:
    # a: n x n, becomes L below the diagonal, U above it, and the reciprocals of U's diagonal on it; pivots: n
    int (*lu_factor)(ptrdiff_t n, double *a, int32_t *pivots) noexcept nogil
    void (*lu_solve)(ptrdiff_t n, const double *lu, const int32_t *pivots, double *b) noexcept nogil
    # a: n rows of 2 lower + upper + 1, entry (i, j) at a[i * width + j - i + lower]; its last `lower` places are room for fill-in
    int (*band_factor)(ptrdiff_t n, ptrdiff_t lower, ptrdiff_t upper, double *a, int32_t *pivots) noexcept nogil
    void (*band_solve)(ptrdiff_t n, ptrdiff_t lower, ptrdiff_t upper, const double *lu, const int32_t *pivots, double *b) noexcept nogil
    # below, above: n - 1; diagonal, b: n; above2: n - 2, room for fill-in. All are overwritten; b becomes the solution
    int (*tridiagonal_solve)(ptrdiff_t n, double *below, double *diagonal, double *above, double *above2, double *b) noexcept nogil
    # x: 0 in, the solution out; work: gmres_room(n, m) doubles; residual: the norm that was reached. Returns a code of `apply`, or 0
    int (*gmres)(apply_fn apply, void *ctx, ptrdiff_t n, const double *b, double *x, int m, int cycles, double tol, double *work,
                 double *residual, double share) noexcept nogil
    double (*dot)(const double *a, const double *b, ptrdiff_t n) noexcept nogil
    # set by matrix.pyx: a look at signals, -1 with the exception set where a handler raised; NULL: nobody looks
    poll_fn poll


cdef inline int listen(double *work, double more, poll_fn poll) noexcept nogil:
    """Count `more` multiplications; after each portion, what `poll` returns."""
    work[0] += more
    if work[0] < PORTION or poll == NULL:
        return 0
    work[0] = 0.0
    return poll()


cdef inline ptrdiff_t gmres_room(ptrdiff_t n, int m) noexcept nogil:
    """m + 1 basis vectors, the triangle after the rotations, the rotations and the right-hand side."""
    return (m + 1) * n + m * (m + 1) + 3 * (m + 1)
