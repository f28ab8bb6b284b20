"""Dense and banded LU with partial pivoting, a tridiagonal solve and GMRES, compiled once per instruction set. No allocation, no Python but
the `poll` of a long factorization.

    P A = L U: the row of the largest entry in column k becomes row k, and its multiples are subtracted from every row below.

Rows are contiguous, so elimination is `row_i -= l row_k`, elementwise: the compiler vectorises it and the bits are the same on every
instruction set. Multiples are subtracted from an entry one after the other in the order of k, whether they are taken one at a time (small n)
or four in a pass (large n, to touch the trailing matrix a quarter as often): the bits do not depend on that either. The diagonal
holds the reciprocals of the pivots, so a solve does not divide. Sums run in fixed lanes (partial sums that SIMD registers hold).
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset

from mflow_core.arithmetic.vec cimport MF_SHORT, fold_lanes, mf_cvec, mf_scalar, mf_vec
from mflow_core.solvers.linalg cimport PORTION, apply_fn, linalg_t, listen

cdef linalg_t TABLE

cdef enum:
    PANEL = 4
    FEW_CYCLES = 4                       # of GMRES without a limit of their number: each that follows must take off a hundredth
    MOST_CYCLES = 1000

cdef double PROGRESS = 0.99


# ---- sums and rows --------------------------------------------------------------------------------------------------------------------

cdef inline double dot_short(const double *a, const double *b, ptrdiff_t n) noexcept nogil:
    """Sum of a[i] b[i], in order."""
    cdef double total = 0.0
    cdef ptrdiff_t i
    for i in range(n):
        total = mf_scalar(total + a[i] * b[i])
    return total


cdef double dot(const double *a, const double *b, ptrdiff_t n) noexcept nogil:
    """Sum of a[i] b[i]: in order if it is short, else in 16 lanes."""
    cdef double[16] lane
    cdef ptrdiff_t i, whole = n - n % 16
    cdef int j
    if n < 16:
        return dot_short(a, b, n)
    for j in range(16):
        lane[j] = 0.0
    for i in range(0, whole, 16):
        for j in range(16):
            lane[j] += a[i + j] * b[i + j]
    for j in range(<int> (n - whole)):
        lane[j] += a[whole + j] * b[whole + j]
    return fold_lanes(lane)


cdef inline void subtract_1(ptrdiff_t n, mf_vec row, mf_cvec a, double u) noexcept nogil:
    cdef ptrdiff_t i
    if n <= MF_SHORT:
        for i in range(n):
            row[i] = mf_scalar(row[i] - u * a[i])
    else:
        for i in range(n):
            row[i] = row[i] - u * a[i]


cdef inline void subtract_4(ptrdiff_t n, mf_vec row, mf_cvec a, mf_cvec b, mf_cvec c, mf_cvec d, const double *u) noexcept nogil:
    cdef double u0 = u[0], u1 = u[1], u2 = u[2], u3 = u[3]
    cdef ptrdiff_t i
    for i in range(n):
        row[i] = (((row[i] - u0 * a[i]) - u1 * b[i]) - u2 * c[i]) - u3 * d[i]


cdef inline void swap(ptrdiff_t n, double *a, double *b) noexcept nogil:
    cdef double kept
    cdef ptrdiff_t i
    for i in range(n):
        kept = a[i]
        a[i] = b[i]
        b[i] = kept


cdef inline void add_multiple(ptrdiff_t n, mf_vec out, mf_cvec a, double u) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        out[i] = out[i] + u * a[i]


# ---- dense ----------------------------------------------------------------------------------------------------------------------------

cdef inline ptrdiff_t largest(const double *column, ptrdiff_t stride, ptrdiff_t first, ptrdiff_t last) noexcept nogil:
    """The row in first..last-1 with the largest entry; the first such row if there are several."""
    cdef ptrdiff_t i, best = first
    cdef double size, top = fabs(column[first * stride])
    for i in range(first + 1, last):
        size = fabs(column[i * stride])
        if size > top:
            best, top = i, size
    return best


cdef inline int lu_panel(ptrdiff_t n, ptrdiff_t first, ptrdiff_t end, double *a, int32_t *pivots) noexcept nogil:
    """Columns first..end-1 over all rows; whole rows change places."""
    cdef ptrdiff_t k, i, j, p
    cdef double *row
    cdef double reciprocal, multiple
    for k in range(first, end):
        row = a + k * n
        p = largest(a + k, n, k, n)
        pivots[k] = <int32_t> p
        if p != k:
            swap(n, row, a + p * n)
        reciprocal = 1.0 / row[k]
        if not fabs(reciprocal) < INFINITY:
            return <int> k + 1
        row[k] = reciprocal
        for i in range(k + 1, n):
            multiple = a[i * n + k] * reciprocal
            a[i * n + k] = multiple
            for j in range(k + 1, end):
                a[i * n + j] -= multiple * row[j]
    return 0


cdef int lu_factor(ptrdiff_t n, double *a, int32_t *pivots) noexcept nogil:
    cdef ptrdiff_t first = 0, end, k, i, width = PANEL
    cdef double *row
    cdef double work = 0.0
    cdef int status
    if n <= MF_SHORT:
        return lu_panel(n, 0, n, a, pivots)
    while first < n:
        end = min(first + width, n)
        status = listen(&work, <double> width * <double> (n - first) * <double> (n - first), TABLE.poll)
        if status == 0:
            status = lu_panel(n, first, end, a, pivots)
        if status != 0:
            return status
        for k in range(first + 1, end):              # rows of the panel, to the right of it
            for i in range(first, k):
                subtract_1(n - end, a + k * n + end, a + i * n + end, a[k * n + i])
        row = a + first * n + end
        for i in range(end, n):                      # there are rows below only a whole panel
            subtract_4(n - end, a + i * n + end, row, row + n, row + 2 * n, row + 3 * n, a + i * n + first)
        first = end
    return 0


cdef void lu_solve(ptrdiff_t n, const double *lu, const int32_t *pivots, double *b) noexcept nogil:
    cdef ptrdiff_t i
    cdef double kept
    for i in range(n):
        kept = b[i]
        b[i] = b[pivots[i]]
        b[pivots[i]] = kept
    if n <= MF_SHORT:                    # calls would take longer than the sums
        for i in range(1, n):
            b[i] = b[i] - dot_short(lu + i * n, b, i)
        for i in range(n - 1, -1, -1):
            b[i] = (b[i] - dot_short(lu + i * n + i + 1, b + i + 1, n - 1 - i)) * lu[i * n + i]
        return
    for i in range(1, n):
        b[i] = b[i] - dot(lu + i * n, b, i)
    for i in range(n - 1, -1, -1):
        b[i] = (b[i] - dot(lu + i * n + i + 1, b + i + 1, n - 1 - i)) * lu[i * n + i]


# ---- banded ---------------------------------------------------------------------------------------------------------------------------

cdef inline int band_columns(ptrdiff_t n, ptrdiff_t first, ptrdiff_t last, ptrdiff_t lower, ptrdiff_t upper, double *a,
                             int32_t *pivots) noexcept nogil:
    """Eliminate columns first..last-1."""
    # The entry below, in the same column, is width - 1 places further on. Multipliers stay in place: rows are swapped from column k
    # on, as in LAPACK's gbtrf.
    cdef ptrdiff_t width = 2 * lower + upper + 1, k, i, p, right, rows
    cdef double *row
    cdef double *below
    cdef double reciprocal
    for k in range(first, last):
        row = a + k * width + lower
        rows, right = min(lower, n - 1 - k), min(lower + upper, n - 1 - k)
        p = largest(row, width - 1, 0, rows + 1)
        pivots[k] = <int32_t> (k + p)
        if p != 0:
            swap(right + 1, row, row + p * (width - 1))
        reciprocal = 1.0 / row[0]
        if not fabs(reciprocal) < INFINITY:
            return <int> k + 1
        row[0] = reciprocal
        for i in range(1, rows + 1):
            below = row + i * (width - 1)
            below[0] *= reciprocal
            subtract_1(right, below + 1, row + 1, below[0])
    return 0


cdef int band_factor(ptrdiff_t n, ptrdiff_t lower, ptrdiff_t upper, double *a, int32_t *pivots) noexcept nogil:
    cdef ptrdiff_t width = 2 * lower + upper + 1, k, first = 0, last
    cdef double each = <double> (lower + 1) * <double> (lower + upper + 1), work = 0.0
    cdef ptrdiff_t portion = <ptrdiff_t> (<double> PORTION / each) + 1
    cdef int status
    for k in range(n):
        memset(a + k * width + lower + upper + 1, 0, lower * sizeof(double))
    while first < n:
        last = min(first + portion, n)
        status = band_columns(n, first, last, lower, upper, a, pivots)
        if status == 0 and last < n:
            status = listen(&work, <double> (last - first) * each, TABLE.poll)
        if status != 0:
            return status
        first = last
    return 0


cdef void band_solve(ptrdiff_t n, ptrdiff_t lower, ptrdiff_t upper, const double *lu, const int32_t *pivots, double *b) noexcept nogil:
    cdef ptrdiff_t width = 2 * lower + upper + 1, k, i
    cdef const double *row
    cdef double kept
    for k in range(n):
        kept = b[k]
        b[k] = b[pivots[k]]
        b[pivots[k]] = kept
        row = lu + k * width + lower
        for i in range(1, min(lower, n - 1 - k) + 1):
            b[k + i] = b[k + i] - row[i * (width - 1)] * b[k]
    for k in range(n - 1, -1, -1):
        row = lu + k * width + lower
        b[k] = (b[k] - dot(row + 1, b + k + 1, min(lower + upper, n - 1 - k))) * row[0]


cdef int tridiagonal_solve(ptrdiff_t n, double *below, double *diagonal, double *above, double *above2, double *b) noexcept nogil:
    """Elimination with the larger of two rows as the pivot row, which fills one diagonal more."""
    cdef ptrdiff_t k
    cdef double factor, kept
    for k in range(n - 1):
        if k < n - 2:
            above2[k] = 0.0
        if fabs(below[k]) > fabs(diagonal[k]):       # rows k and k + 1 change places
            diagonal[k], below[k] = below[k], diagonal[k]
            above[k], diagonal[k + 1] = diagonal[k + 1], above[k]
            b[k], b[k + 1] = b[k + 1], b[k]
            if k < n - 2:
                above2[k], above[k + 1] = above[k + 1], 0.0
        diagonal[k] = 1.0 / diagonal[k]
        if not fabs(diagonal[k]) < INFINITY:
            return <int> k + 1
        factor = below[k] * diagonal[k]
        diagonal[k + 1] -= factor * above[k]
        b[k + 1] -= factor * b[k]
        if k < n - 2:
            above[k + 1] -= factor * above2[k]
    for k in range(n - 1, -1, -1):
        if k == n - 1:
            diagonal[k] = 1.0 / diagonal[k]
            if not fabs(diagonal[k]) < INFINITY:
                return <int> n
        kept = b[k]
        if k < n - 1:
            kept -= above[k] * b[k + 1]
        if k < n - 2:
            kept -= above2[k] * b[k + 2]
        b[k] = kept * diagonal[k]
    return 0


# ---- GMRES ----------------------------------------------------------------------------------------------------------------------------

cdef double rotate(int j, double *column, double *cosine, double *sine, double *g) noexcept nogil:
    """Apply the rotations so far to column j of the Hessenberg matrix, make the next one, and return the norm of the residual."""
    cdef double kept, size
    cdef int i
    for i in range(j):
        kept = cosine[i] * column[i] + sine[i] * column[i + 1]
        column[i + 1] = cosine[i] * column[i + 1] - sine[i] * column[i]
        column[i] = kept
    size = sqrt(column[j] * column[j] + column[j + 1] * column[j + 1])
    cosine[j] = column[j] / size if size > 0.0 else 1.0
    sine[j] = column[j + 1] / size if size > 0.0 else 0.0
    column[j] = size
    g[j + 1] = -sine[j] * g[j]
    g[j] = cosine[j] * g[j]
    return fabs(g[j + 1])


cdef void combine_basis(ptrdiff_t n, int used, int m, const double *basis, const double *triangle, double *g, double *x) noexcept nogil:
    """x += V y with R y = g, where R's columns have length m + 1."""
    cdef int i, j
    for j in range(used - 1, -1, -1):
        g[j] = g[j] / triangle[j * (m + 1) + j] if triangle[j * (m + 1) + j] != 0.0 else 0.0
        for i in range(j):
            g[i] -= g[j] * triangle[j * (m + 1) + i]
    for j in range(used):
        add_multiple(n, x, basis + j * n, g[j])


cdef int gmres(apply_fn apply, void *ctx, ptrdiff_t n, const double *b, double *x, int m, int cycles, double tol, double *work,
               double *residual, double share) noexcept nogil:
    """Solve A x = b until |b - A x| <= tol, or after `cycles` times m products; cycles 0: for as long as a cycle takes something off.
    With a share, |b - A x| <= share |x| must hold, too. Modified Gram-Schmidt, twice if half of a vector cancels."""
    cdef double *basis = work
    cdef double *triangle = basis + (m + 1) * n
    cdef double *cosine = triangle + m * (m + 1)
    cdef double *sine = cosine + m + 1
    cdef double *g = sine + m + 1
    cdef double *v
    cdef double *column
    cdef double size, before, h, last = INFINITY, done = 0.0, enough = tol
    cdef ptrdiff_t i
    cdef int cycle, j, k, _turn, used, status, most = cycles if cycles > 0 else MOST_CYCLES
    memset(x, 0, n * sizeof(double))
    residual[0] = sqrt(dot(b, b, n))
    for cycle in range(most):
        if share > 0.0 and cycle > 0:
            enough = min(tol, share * sqrt(dot(x, x, n)))
        if not residual[0] > enough:
            return 0
        if cycle == 0:
            memcpy(basis, b, n * sizeof(double))
        else:
            status = apply(x, basis, n, ctx)
            if status != 0:
                return status
            for i in range(n):
                basis[i] = b[i] - basis[i]
            residual[0] = sqrt(dot(basis, basis, n))
            if not residual[0] > enough or (cycles == 0 and cycle >= FEW_CYCLES and not residual[0] <= PROGRESS * last):
                return 0
        last = residual[0]
        h = 1.0 / residual[0]
        for i in range(n):
            basis[i] = basis[i] * h
        g[0] = residual[0]
        used = 0
        for j in range(m):
            v = basis + (j + 1) * n
            column = triangle + j * (m + 1)
            status = apply(v - n, v, n, ctx)
            if status != 0:
                return status
            status = listen(&done, 4.0 * <double> n * (j + 1), TABLE.poll)
            if status != 0:
                return status
            before = sqrt(dot(v, v, n))
            memset(column, 0, (m + 1) * sizeof(double))
            for _turn in range(2):
                for k in range(j + 1):
                    h = dot(basis + k * n, v, n)
                    column[k] += h
                    add_multiple(n, v, basis + k * n, -h)
                size = sqrt(dot(v, v, n))
                if size > 0.7 * before:
                    break
            column[j + 1] = size
            residual[0] = rotate(j, column, cosine, sine, g)
            used = j + 1
            if not residual[0] > enough or not size > 1e-15 * before:
                break                            # solved, or the basis spans the whole Krylov space
            h = 1.0 / size
            for i in range(n):
                v[i] = v[i] * h
        combine_basis(n, used, m, basis, triangle, g, x)
        if not size > 1e-15 * before:
            return 0
    return 0


TABLE.lu_factor, TABLE.lu_solve = lu_factor, lu_solve
TABLE.band_factor, TABLE.band_solve, TABLE.tridiagonal_solve = band_factor, band_solve, tridiagonal_solve
TABLE.gmres, TABLE.dot, TABLE.poll = gmres, dot, NULL

_table = PyCapsule_New(&TABLE, b"mflow_core._linalg", NULL)
