"""Products with the matrices of linear dynamics, and solves with narrow ones; compiled once per instruction set. No allocation, no Python.

A tridiagonal matrix is factored without exchanges, which is stable if it is symmetric and positive definite: all pivots are positive
then, and `tridiagonal_factor` returns the row of one that is not. Elimination runs from both ends and meets at the middle row, so that a
solve has two chains of operations that do not wait for each other. Reciprocals of the pivots are stored, so a solve does not divide:

    b_i -= m_i b_(i-1) above the middle, b_i -= m_i b_(i+1) below it; the middle row subtracts from both sides (m and g) and is solved;
    then outward        b_i = b_i r_i - g_i b_(i+1) above,        b_i = b_i r_i - g_i b_(i-1) below

(a twisted factorisation: I. Babuska, SIAM J. Numer. Anal. 9 (1972) 53-77).

Every sum has one written order; long sums run in fixed lanes (partial sums that SIMD registers hold).
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY
from libc.stddef cimport ptrdiff_t

from mflow_core.arithmetic.vec cimport fold_lanes, mf_cvec, mf_vec
from mflow_core.methods.second_order.hooks cimport MF_BLOCK
from mflow_core.solvers.operators cimport OP_BANDED, OP_DENSE, OP_DIAGONAL, OP_NONE, OP_TRIDIAGONAL, operator_t, operators_t


# ---- sums -----------------------------------------------------------------------------------------------------------------------------

cdef double dot(const double *a, const double *b, ptrdiff_t n) noexcept nogil:
    """Sum of a[i] b[i]: in order if it is short, else in 16 lanes for each chunk of 1024."""
    cdef double[16] lane
    cdef double total = 0.0
    cdef ptrdiff_t lo, i, m, whole
    cdef int j
    if n < 16:
        for i in range(n):
            total += a[i] * b[i]
        return total
    for lo in range(0, n, 1024):
        m = min(n - lo, <ptrdiff_t> 1024)
        whole = m - m % 16
        for j in range(16):
            lane[j] = 0.0
        for i in range(lo, lo + whole, 16):
            for j in range(16):
                lane[j] += a[i + j] * b[i + j]
        for j in range(<int> (m - whole)):
            lane[j] += a[lo + whole + j] * b[lo + whole + j]
        total += fold_lanes(lane)
    return total


cdef double work(ptrdiff_t n, const double *x0, const double *x1, double a, const double *f0, double b, const double *f1) noexcept nogil:
    cdef double[16] lane
    cdef double total = 0.0
    cdef ptrdiff_t lo, i, m, whole
    cdef int j
    if n < 16:
        for i in range(n):
            total += (x1[i] - x0[i]) * (a * f0[i] + b * f1[i])
        return total
    for lo in range(0, n, 1024):
        m = min(n - lo, <ptrdiff_t> 1024)
        whole = m - m % 16
        for j in range(16):
            lane[j] = 0.0
        for i in range(lo, lo + whole, 16):
            for j in range(16):
                lane[j] += (x1[i + j] - x0[i + j]) * (a * f0[i + j] + b * f1[i + j])
        for j in range(<int> (m - whole)):
            i = lo + whole + j
            lane[j] += (x1[i] - x0[i]) * (a * f0[i] + b * f1[i])
        total += fold_lanes(lane)
    return total


# ---- products -------------------------------------------------------------------------------------------------------------------------

cdef void add_diagonal(ptrdiff_t n, double scale, mf_cvec d, mf_cvec x, mf_vec out) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        out[i] = out[i] + scale * (d[i] * x[i])


cdef inline double tridiagonal_row(ptrdiff_t n, mf_cvec below, mf_cvec diagonal, mf_cvec above, mf_cvec x, ptrdiff_t i) noexcept nogil:
    """(T x)_i at an end, summed in the order of the other rows."""
    cdef double left = below[i] * x[i - 1] if i > 0 else 0.0, right = above[i] * x[i + 1] if i < n - 1 else 0.0
    return (left + diagonal[i] * x[i]) + right


cdef void add_tridiagonal(ptrdiff_t n, double scale, mf_cvec below, mf_cvec diagonal, mf_cvec above, mf_cvec x, mf_vec out) noexcept nogil:
    cdef ptrdiff_t i
    out[0] = out[0] + scale * tridiagonal_row(n, below, diagonal, above, x, 0)
    for i in range(1, n - 1):
        out[i] = out[i] + scale * ((below[i] * x[i - 1] + diagonal[i] * x[i]) + above[i] * x[i + 1])
    if n > 1:
        out[n - 1] = out[n - 1] + scale * tridiagonal_row(n, below, diagonal, above, x, n - 1)


cdef void add_product(const operator_t *A, double scale, const double *x, double *out) noexcept nogil:
    cdef ptrdiff_t n = A.n, i, first, last, width = A.lower + A.upper + 1, k
    cdef double sum
    if n == 0 or A.kind == OP_NONE:
        return
    if A.kind == OP_DIAGONAL:
        add_diagonal(n, scale, A.values, x, out)
    elif A.kind == OP_TRIDIAGONAL:
        add_tridiagonal(n, scale, A.values, A.values + n, A.values + 2 * n, x, out)
    elif A.kind == OP_BANDED:
        for i in range(n):
            first, last = max(i - A.lower, <ptrdiff_t> 0), min(i + A.upper + 1, n)
            out[i] = out[i] + scale * dot(A.values + i * width + first - i + A.lower, x + first, last - first)
    elif A.kind == OP_DENSE:
        for i in range(n):
            out[i] = out[i] + scale * dot(A.values + i * n, x, n)
    else:
        for i in range(n):
            sum = 0.0
            for k in range(A.indptr[i], A.indptr[i + 1]):
                sum += A.values[k] * x[A.indices[k]]
            out[i] = out[i] + scale * sum


cdef void scale(ptrdiff_t n, const double *d, double *b) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        b[i] = b[i] * d[i]


cdef void diagonal_solve(ptrdiff_t n, double w, const double *f, const double *k, const double *x, const double *c, const double *v,
                         const double *m, const double *q, const double *r, double *out) noexcept nogil:
    cdef double s
    cdef ptrdiff_t i
    for i in range(n):
        s = f[i] if f != NULL else 0.0
        if c != NULL:
            s = s - c[i] * v[i]
        if k != NULL:
            s = s - k[i] * x[i]
        s = w * s
        if q != NULL:
            s = s + m[i] * q[i]
        out[i] = s * r[i]


cdef inline void springs(ptrdiff_t n, double w, const double *f, mf_cvec below, mf_cvec diagonal, mf_cvec above, mf_cvec x, const double *r,
                         mf_vec out) noexcept nogil:
    """out = r w (f - T x); f and r may be NULL, and each case has a separate loop."""
    cdef ptrdiff_t i
    cdef double s
    cdef int end
    for end in range(2):
        i = 0 if end == 0 else n - 1
        s = w * ((f[i] if f != NULL else 0.0) - tridiagonal_row(n, below, diagonal, above, x, i))
        out[i] = s * r[i] if r != NULL else s
    if f == NULL and r == NULL:
        for i in range(1, n - 1):
            out[i] = w * (0.0 - ((below[i] * x[i - 1] + diagonal[i] * x[i]) + above[i] * x[i + 1]))
    elif f == NULL:
        for i in range(1, n - 1):
            out[i] = (w * (0.0 - ((below[i] * x[i - 1] + diagonal[i] * x[i]) + above[i] * x[i + 1]))) * r[i]
    elif r == NULL:
        for i in range(1, n - 1):
            out[i] = w * (f[i] - ((below[i] * x[i - 1] + diagonal[i] * x[i]) + above[i] * x[i + 1]))
    else:
        for i in range(1, n - 1):
            out[i] = (w * (f[i] - ((below[i] * x[i - 1] + diagonal[i] * x[i]) + above[i] * x[i + 1]))) * r[i]


cdef void springs_and_dashpots(ptrdiff_t n, double w, const double *f, mf_cvec kb, mf_cvec kd, mf_cvec ka, mf_cvec x, mf_cvec cb, mf_cvec cd,
                               mf_cvec ca, mf_cvec v, const double *r, mf_vec out) noexcept nogil:
    cdef ptrdiff_t i
    cdef double s
    cdef int end
    if f == NULL:
        for i in range(1, n - 1):
            out[i] = w * (0.0 - (((kb[i] * x[i - 1] + kd[i] * x[i]) + ka[i] * x[i + 1]) + ((cb[i] * v[i - 1] + cd[i] * v[i]) + ca[i] * v[i + 1])))
    else:
        for i in range(1, n - 1):
            out[i] = w * (f[i] - (((kb[i] * x[i - 1] + kd[i] * x[i]) + ka[i] * x[i + 1]) + ((cb[i] * v[i - 1] + cd[i] * v[i]) + ca[i] * v[i + 1])))
    for end in range(2):
        i = 0 if end == 0 else n - 1
        s = tridiagonal_row(n, kb, kd, ka, x, i) + tridiagonal_row(n, cb, cd, ca, v, i)
        out[i] = w * ((f[i] if f != NULL else 0.0) - s)
    if r != NULL:
        for i in range(n):
            out[i] = out[i] * r[i]


cdef void tridiagonal_force(ptrdiff_t n, double w, const double *f, const operator_t *K, const double *x, const operator_t *C, const double *v,
                            const double *r, double *out) noexcept nogil:
    cdef const double *k = K.values
    cdef const double *c = C.values
    if C.kind == OP_NONE:
        springs(n, w, f, k, k + n, k + 2 * n, x, r, out)
    else:
        springs_and_dashpots(n, w, f, k, k + n, k + 2 * n, x, c, c + n, c + 2 * n, v, r, out)


cdef double damping_work(const operator_t *C, const double *x0, const double *x1, double a, const double *v0, double b,
                         const double *v1) noexcept nogil:
    """The work of C, tridiagonal, of at least two rows. A block of mean velocities with a neighbour on each side fits the first cache."""
    cdef double[MF_BLOCK] dx
    cdef double[MF_BLOCK + 2] mean
    cdef ptrdiff_t n = C.n, lo = 0, m
    cdef double total = 0.0
    while lo < n:
        m = min(n - lo, <ptrdiff_t> MF_BLOCK)
        mean[0] = a * v0[lo - 1] + b * v1[lo - 1] if lo > 0 else 0.0
        weighted_mean(m, a, v0 + lo, b, v1 + lo, mean + 1)
        mean[m + 1] = a * v0[lo + m] + b * v1[lo + m] if lo + m < n else 0.0
        change(m, x0 + lo, x1 + lo, dx)
        total += damping_block(C, C.values, lo, m, dx, mean)
        lo += m
    return total


cdef double damping_block(const operator_t *C, const double *below, ptrdiff_t lo, ptrdiff_t m, const double *dx,
                          const double *mean) noexcept nogil:
    """The work on rows lo to lo + m. mean begins with the neighbour before the block."""
    return powers(m, below + lo, C.values + C.n + lo, C.values + 2 * C.n + lo, dx, mean)


cdef inline void change(ptrdiff_t m, const double *x0, const double *x1, mf_vec dx) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(m):
        dx[i] = x1[i] - x0[i]


cdef inline void weighted_mean(ptrdiff_t m, double a, mf_cvec v0, double b, mf_cvec v1, mf_vec mean) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(m):
        mean[i] = a * v0[i] + b * v1[i]


cdef inline double power(ptrdiff_t i, const double *below, const double *diagonal, const double *above, const double *dx,
                         const double *mean) noexcept nogil:
    return dx[i] * ((below[i] * mean[i] + diagonal[i] * mean[i + 1]) + above[i] * mean[i + 2])


cdef inline double powers(ptrdiff_t m, const double *below, const double *diagonal, const double *above, const double *dx,
                          const double *mean) noexcept nogil:
    """The sum of `power` over a block, in 16 lanes."""
    cdef double[16] lane
    cdef ptrdiff_t i, whole = m - m % 16
    cdef int j
    for j in range(16):
        lane[j] = 0.0
    for i in range(0, whole, 16):
        for j in range(16):
            lane[j] += power(i + j, below, diagonal, above, dx, mean)
    for j in range(<int> (m - whole)):
        lane[j] += power(whole + j, below, diagonal, above, dx, mean)
    return fold_lanes(lane)


# ---- tridiagonal solves ---------------------------------------------------------------------------------------------------------------

cdef int tridiagonal_factor(ptrdiff_t n, const double *values, double *lu) noexcept nogil:
    cdef const double *below = values
    cdef const double *diagonal = values + n
    cdef const double *above = values + 2 * n
    cdef double *m = lu
    cdef double *r = lu + n
    cdef double *g = lu + 2 * n
    cdef double pivot
    cdef ptrdiff_t i, middle = (n - 1) // 2
    for i in range(middle):
        m[i] = below[i] * r[i - 1] if i > 0 else 0.0
        pivot = diagonal[i] - (m[i] * above[i - 1] if i > 0 else 0.0)
        r[i] = 1.0 / pivot
        if not (pivot > 0.0 and r[i] < INFINITY):
            return <int> i + 1
        g[i] = above[i] * r[i]
    for i in range(n - 1, middle, -1):
        m[i] = above[i] * r[i + 1] if i < n - 1 else 0.0
        pivot = diagonal[i] - (m[i] * below[i + 1] if i < n - 1 else 0.0)
        r[i] = 1.0 / pivot
        if not (pivot > 0.0 and r[i] < INFINITY):
            return <int> i + 1
        g[i] = below[i] * r[i]
    i = middle
    m[i] = below[i] * r[i - 1] if i > 0 else 0.0
    g[i] = above[i] * r[i + 1] if i < n - 1 else 0.0
    pivot = (diagonal[i] - (m[i] * above[i - 1] if i > 0 else 0.0)) - (g[i] * below[i + 1] if i < n - 1 else 0.0)
    r[i] = 1.0 / pivot
    return 0 if pivot > 0.0 and r[i] < INFINITY else <int> i + 1


cdef void tridiagonal_solve(ptrdiff_t n, const double *lu, double *b) noexcept nogil:
    cdef const double *m = lu
    cdef const double *r = lu + n
    cdef const double *g = lu + 2 * n
    cdef double top = 0.0, bottom = 0.0
    cdef ptrdiff_t j, middle = (n - 1) // 2
    for j in range(middle):                  # rows j and n - 1 - j: two chains of operations that do not wait for each other
        top = b[j] - m[j] * top
        bottom = b[n - 1 - j] - m[n - 1 - j] * bottom
        b[j] = top
        b[n - 1 - j] = bottom
    if n % 2 == 0:
        bottom = b[middle + 1] - m[middle + 1] * bottom
        b[middle + 1] = bottom
    top = ((b[middle] - m[middle] * top) - g[middle] * bottom) * r[middle]
    b[middle] = bottom = top
    if n % 2 == 0:
        bottom = b[middle + 1] * r[middle + 1] - g[middle + 1] * bottom
        b[middle + 1] = bottom
    for j in range(middle - 1, -1, -1):
        top = b[j] * r[j] - g[j] * top
        bottom = b[n - 1 - j] * r[n - 1 - j] - g[n - 1 - j] * bottom
        b[j] = top
        b[n - 1 - j] = bottom


cdef operators_t TABLE
TABLE.add_product, TABLE.diagonal_solve, TABLE.scale, TABLE.tridiagonal_force = add_product, diagonal_solve, scale, tridiagonal_force
TABLE.tridiagonal_factor, TABLE.tridiagonal_solve, TABLE.dot, TABLE.work = tridiagonal_factor, tridiagonal_solve, dot, work
TABLE.damping_work, TABLE.damping_block = damping_work, damping_block

_table = PyCapsule_New(&TABLE, b"mflow_core._operators", NULL)
