"""Dense and banded LU of complex matrices with partial pivoting, compiled once per instruction set. No allocation, no Python.

As in linalg.pyx rows are contiguous, elimination is `row_i -= l row_k`, elementwise, and multiples are subtracted from an entry in the order
of k. Real and imaginary parts lie in arrays of their own, so that rows vectorise. The pivot is the entry of the largest |re| + |im|, as in
LAPACK. The diagonal holds reciprocals of the pivots. A solution x + i y overwrites the right-hand side.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, fabs
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t
from libc.string cimport memset

from mflow_core.arithmetic.vec cimport MF_SHORT, fold_lanes, mf_cvec, mf_scalar, mf_vec
from mflow_core.solvers.complex_lu cimport complex_lu_t
from mflow_core.solvers.linalg cimport listen

cdef complex_lu_t TABLE


# ---- sums and rows --------------------------------------------------------------------------------------------------------------------

cdef inline void dot_short(mf_cvec a, mf_cvec b, mf_cvec x, mf_cvec y, ptrdiff_t n, double *re, double *im) noexcept nogil:
    """Sum of (a + i b)(x + i y), without conjugation, in order."""
    cdef double u = 0.0, v = 0.0
    cdef ptrdiff_t i
    for i in range(n):
        u = mf_scalar(u + (a[i] * x[i] - b[i] * y[i]))
        v = mf_scalar(v + (a[i] * y[i] + b[i] * x[i]))
    re[0], im[0] = u, v


cdef void dot(mf_cvec a, mf_cvec b, mf_cvec x, mf_cvec y, ptrdiff_t n, double *re, double *im) noexcept nogil:
    """The same: in order if it is short, else in 16 lanes."""
    cdef double[16] lane_re
    cdef double[16] lane_im
    cdef ptrdiff_t i, whole = n - n % 16
    cdef int j
    if n < 16:
        dot_short(a, b, x, y, n, re, im)
        return
    for j in range(16):
        lane_re[j] = 0.0
        lane_im[j] = 0.0
    for i in range(0, whole, 16):
        for j in range(16):
            lane_re[j] += a[i + j] * x[i + j] - b[i + j] * y[i + j]
        for j in range(16):
            lane_im[j] += a[i + j] * y[i + j] + b[i + j] * x[i + j]
    for j in range(<int> (n - whole)):
        i = whole + j
        lane_re[j] += a[i] * x[i] - b[i] * y[i]
        lane_im[j] += a[i] * y[i] + b[i] * x[i]
    re[0], im[0] = fold_lanes(lane_re), fold_lanes(lane_im)


cdef inline void subtract(ptrdiff_t n, mf_vec re, mf_vec im, mf_cvec a, mf_cvec b, double u, double v) noexcept nogil:
    """re + i im -= (u + i v)(a + i b)."""
    cdef ptrdiff_t i
    if n <= MF_SHORT:
        for i in range(n):
            re[i] = mf_scalar(re[i] - (u * a[i] - v * b[i]))
            im[i] = mf_scalar(im[i] - (u * b[i] + v * a[i]))
    else:
        for i in range(n):
            re[i] = re[i] - (u * a[i] - v * b[i])
            im[i] = im[i] - (u * b[i] + v * a[i])


cdef inline void swap(ptrdiff_t n, double *a, double *b) noexcept nogil:
    cdef double kept
    cdef ptrdiff_t i
    for i in range(n):
        kept = a[i]
        a[i] = b[i]
        b[i] = kept


cdef inline ptrdiff_t largest(const double *re, const double *im, ptrdiff_t stride, ptrdiff_t first, ptrdiff_t last) noexcept nogil:
    """The row in first..last-1 with the largest entry of a column; the first such row if there are several."""
    cdef ptrdiff_t i, best = first
    cdef double size, top = fabs(re[first * stride]) + fabs(im[first * stride])
    for i in range(first + 1, last):
        size = fabs(re[i * stride]) + fabs(im[i * stride])
        if size > top:
            best, top = i, size
    return best


cdef inline bint reciprocal(double *re, double *im) noexcept nogil:
    """1/(re + i im) in place; False if it is not finite. The larger part is taken out first, so that no square overflows (Smith 1962)."""
    cdef double a = re[0], b = im[0], ratio, size
    if fabs(a) >= fabs(b):
        ratio = b / a
        size = a + b * ratio
        re[0], im[0] = 1.0 / size, -ratio / size
    else:
        ratio = a / b
        size = a * ratio + b
        re[0], im[0] = ratio / size, -1.0 / size
    return fabs(re[0]) + fabs(im[0]) < INFINITY


cdef inline void multiply(double *re, double *im, double u, double v) noexcept nogil:
    """re + i im times u + i v, in place."""
    cdef double a = re[0], b = im[0]
    re[0], im[0] = a * u - b * v, a * v + b * u


# ---- dense ----------------------------------------------------------------------------------------------------------------------------

cdef int lu_factor(ptrdiff_t n, double *re, double *im, int32_t *pivots) noexcept nogil:
    cdef ptrdiff_t k, i, p, right
    cdef double *a
    cdef double *b
    cdef double work = 0.0
    cdef int status
    for k in range(n):
        a, b, right = re + k * n, im + k * n, n - k - 1
        p = largest(re + k, im + k, n, k, n)
        pivots[k] = <int32_t> p
        if p != k:
            swap(n, a, re + p * n)
            swap(n, b, im + p * n)
        if not reciprocal(a + k, b + k):
            return <int> k + 1
        for i in range(k + 1, n):
            multiply(re + i * n + k, im + i * n + k, a[k], b[k])
            subtract(right, re + i * n + k + 1, im + i * n + k + 1, a + k + 1, b + k + 1, re[i * n + k], im[i * n + k])
        status = listen(&work, 4.0 * <double> right * <double> right, TABLE.poll)
        if status != 0:
            return status
    return 0


cdef void lu_solve(ptrdiff_t n, const double *re, const double *im, const int32_t *pivots, double *x, double *y) noexcept nogil:
    cdef ptrdiff_t i
    cdef double kept, u, v
    for i in range(n):
        kept = x[i]
        x[i] = x[pivots[i]]
        x[pivots[i]] = kept
        kept = y[i]
        y[i] = y[pivots[i]]
        y[pivots[i]] = kept
    for i in range(1, n):
        if n <= MF_SHORT:                # a call would take longer than the sum
            dot_short(re + i * n, im + i * n, x, y, i, &u, &v)
        else:
            dot(re + i * n, im + i * n, x, y, i, &u, &v)
        x[i] = x[i] - u
        y[i] = y[i] - v
    for i in range(n - 1, -1, -1):
        if n <= MF_SHORT:
            dot_short(re + i * n + i + 1, im + i * n + i + 1, x + i + 1, y + i + 1, n - 1 - i, &u, &v)
        else:
            dot(re + i * n + i + 1, im + i * n + i + 1, x + i + 1, y + i + 1, n - 1 - i, &u, &v)
        x[i] = x[i] - u
        y[i] = y[i] - v
        multiply(x + i, y + i, re[i * n + i], im[i * n + i])


# ---- banded ---------------------------------------------------------------------------------------------------------------------------

cdef int band_factor(ptrdiff_t n, ptrdiff_t lower, ptrdiff_t upper, double *re, double *im, int32_t *pivots) noexcept nogil:
    cdef ptrdiff_t width = 2 * lower + upper + 1, k, i, p, right, rows, at
    cdef double *a
    cdef double *b
    for k in range(n):
        memset(re + k * width + lower + upper + 1, 0, lower * sizeof(double))
        memset(im + k * width + lower + upper + 1, 0, lower * sizeof(double))
    for k in range(n):
        a, b = re + k * width + lower, im + k * width + lower
        rows, right = min(lower, n - 1 - k), min(lower + upper, n - 1 - k)
        p = largest(a, b, width - 1, 0, rows + 1)
        pivots[k] = <int32_t> (k + p)
        if p != 0:
            swap(right + 1, a, a + p * (width - 1))
            swap(right + 1, b, b + p * (width - 1))
        if not reciprocal(a, b):
            return <int> k + 1
        for i in range(1, rows + 1):
            at = i * (width - 1)
            multiply(a + at, b + at, a[0], b[0])
            subtract(right, a + at + 1, b + at + 1, a + 1, b + 1, a[at], b[at])
    return 0


cdef void band_solve(ptrdiff_t n, ptrdiff_t lower, ptrdiff_t upper, const double *re, const double *im, const int32_t *pivots,
                     double *x, double *y) noexcept nogil:
    cdef ptrdiff_t width = 2 * lower + upper + 1, k, i, p, at
    cdef const double *a
    cdef const double *b
    cdef double kept, u, v
    for k in range(n):
        p = pivots[k]
        kept = x[k]
        x[k] = x[p]
        x[p] = kept
        kept = y[k]
        y[k] = y[p]
        y[p] = kept
        a, b = re + k * width + lower, im + k * width + lower
        for i in range(1, min(lower, n - 1 - k) + 1):
            at = i * (width - 1)
            x[k + i] = x[k + i] - (a[at] * x[k] - b[at] * y[k])
            y[k + i] = y[k + i] - (a[at] * y[k] + b[at] * x[k])
    for k in range(n - 1, -1, -1):
        a, b = re + k * width + lower, im + k * width + lower
        dot(a + 1, b + 1, x + k + 1, y + k + 1, min(lower + upper, n - 1 - k), &u, &v)
        x[k] = x[k] - u
        y[k] = y[k] - v
        multiply(x + k, y + k, a[0], b[0])


TABLE.poll = NULL
TABLE.lu_factor, TABLE.lu_solve, TABLE.band_factor, TABLE.band_solve = lu_factor, lu_solve, band_factor, band_solve

_table = PyCapsule_New(&TABLE, b"mflow_core._complex_lu", NULL)
