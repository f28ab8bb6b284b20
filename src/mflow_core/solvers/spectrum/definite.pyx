"""Tests of M = I - gh J before it is factored. Each proves that I - s J is regular for every s between 0 and gh, where it says yes.

I - s J = (1 - q) I + q M with q = s / gh in (0, 1], so it is enough that M is strictly diagonally dominant, by rows or by columns, with a
positive diagonal; or that its symmetric part is positive definite; or that it has no real eigenvalue below 0. The first costs a pass over
the matrix, the second half a factorization, the third some ten of them, and only small matrices are asked for it. For a symmetric M the
second is exact. The tests that eliminate work in place: the caller builds the matrix again. The second asks `poll` on the way, as an LU
does, and returns its code where that is negative.
"""
from libc.math cimport INFINITY, copysign, fabs, sqrt

from mflow_core.solvers.linalg cimport listen, poll_fn

cdef double EPS = 2.220446049250313e-16

cdef enum:
    SWEEPS = 60                          # of QR, before an eigenvalue is given up


cdef bint dominant(ptrdiff_t n, const double *a, double *columns, double *size) noexcept nogil:
    """Diagonal dominance; size: the largest row sum of |M - I|, which is |gh J|. columns: n numbers of scratch."""
    cdef double row, top = 0.0
    cdef bint rows = True, cols = True
    cdef ptrdiff_t i, j
    for j in range(n):
        columns[j] = 0.0
    for i in range(n):
        row = 0.0
        for j in range(n):
            if j != i:
                row += fabs(a[i * n + j])
                columns[j] += fabs(a[i * n + j])
        rows = rows and a[i * (n + 1)] > row
        row += fabs(a[i * (n + 1)] - 1.0)
        top = row if row > top or row != row else top
    for j in range(n):
        cols = cols and a[j * (n + 1)] > columns[j]
    size[0] = top
    return rows or cols


cdef bint dominant_band(ptrdiff_t n, ptrdiff_t lower, ptrdiff_t upper, const double *a, double *columns, double *size) noexcept nogil:
    """The same of a band in the layout of band_factor."""
    cdef ptrdiff_t width = 2 * lower + upper + 1, i, j
    cdef double row, top = 0.0, entry
    cdef bint rows = True, cols = True
    for j in range(n):
        columns[j] = 0.0
    for i in range(n):
        row = 0.0
        for j in range(max(i - lower, <ptrdiff_t> 0), min(i + upper + 1, n)):
            if j != i:
                entry = fabs(a[i * width + j - i + lower])
                row += entry
                columns[j] += entry
        rows = rows and a[i * width + lower] > row
        row += fabs(a[i * width + lower] - 1.0)
        top = row if row > top or row != row else top
    for j in range(n):
        cols = cols and a[j * width + lower] > columns[j]
    size[0] = top
    return rows or cols


cdef bint dominant_in_scales(ptrdiff_t n, double *a) noexcept nogil:
    """Whether there are scales d_j > 0 in which a is strictly dominant by rows, a_ii d_i > sum |a_ij| d_j, with a positive diagonal: no
    eigenvalue has a real part of 0 or below then. There are where elimination without exchanges of the matrix of these sizes, |a_ij| below 0
    beside the diagonal, leaves pivots above 0 (A. Berman and R. Plemmons, Nonnegative Matrices in the Mathematical Sciences (1994), 6.2.3);
    none is subtracted from another of its sign but on the diagonal, so that rounding is seen there. a is destroyed."""
    cdef ptrdiff_t i, j, k
    cdef double multiple, least = <double> n * 4.0 * EPS
    cdef double[MOST_EIGENVALUES] whole
    for i in range(n):
        whole[i] = a[i * (n + 1)]
        for j in range(n):
            if j != i:
                a[i * n + j] = -fabs(a[i * n + j])
    for k in range(n):
        if not a[k * (n + 1)] > least * whole[k]:
            return False
        for i in range(k + 1, n):
            if a[i * n + k] != 0.0:
                multiple = a[i * n + k] / a[k * (n + 1)]
                for j in range(k + 1, n):
                    a[i * n + j] -= multiple * a[k * n + j]
    return True


cdef int positive(ptrdiff_t n, double *a, double *column, poll_fn poll) noexcept nogil:
    """1 if (M + M')/2 is positive definite, else 0: L D L' in the lower triangle, all of D above rounding. column: n numbers of scratch."""
    cdef ptrdiff_t i, j, k
    cdef double pivot, multiple, top = 0.0, work = 0.0
    cdef int status
    for i in range(n):
        for j in range(i):
            a[i * n + j] = 0.5 * (a[i * n + j] + a[j * n + i])
        top = max(top, fabs(a[i * (n + 1)]))
    for k in range(n):
        pivot = a[k * (n + 1)]
        if not pivot > <double> n * EPS * top:
            return 0
        for i in range(k + 1, n):
            column[i] = a[i * n + k]
        for i in range(k + 1, n):
            multiple = column[i] / pivot
            for j in range(k + 1, i + 1):
                a[i * n + j] -= multiple * column[j]
        status = listen(&work, 0.5 * <double> (n - k) * <double> (n - k), poll)
        if status < 0:
            return status
    return 1


cdef int positive_band(ptrdiff_t n, ptrdiff_t lower, ptrdiff_t upper, double *a, poll_fn poll) noexcept nogil:
    """The same of a band in the layout of band_factor, in its upper triangle."""
    cdef ptrdiff_t width = 2 * lower + upper + 1, k = max(lower, upper), i, d, e
    cdef double *row
    cdef double pivot, multiple, top = 0.0, work = 0.0
    cdef int status
    for i in range(n):
        row = a + i * width + lower
        for d in range(1, min(k, n - 1 - i) + 1):
            row[d] = 0.5 * ((row[d] if d <= upper else 0.0) + (row[d * (width - 1)] if d <= lower else 0.0))
        top = max(top, fabs(row[0]))
    for i in range(n):
        row = a + i * width + lower
        pivot = row[0]
        if not pivot > <double> n * EPS * top:
            return 0
        for d in range(1, min(k, n - 1 - i) + 1):
            multiple = row[d] / pivot
            for e in range(d, min(k, n - 1 - i) + 1):
                row[d * width + e - d] -= multiple * row[e]
        status = listen(&work, 0.5 * <double> k * <double> k, poll)
        if status < 0:
            return status
    return 1


cdef int sign_of_lu(ptrdiff_t n, ptrdiff_t stride, const double *diagonal, const int32_t *pivots) noexcept nogil:
    """The sign of a determinant, from the (reciprocal) pivots of its LU and its exchanges of rows."""
    cdef bint negative = False
    cdef ptrdiff_t k
    for k in range(n):
        negative ^= (diagonal[k * stride] < 0.0) ^ (pivots[k] != k)
    return CROSSED if negative else POSITIVE_SIGN


# ---- eigenvalues: reduction to Hessenberg form by elimination, then the double-shift QR (J. Wilkinson and C. Reinsch, Handbook for
# ---- Automatic Computation II (1971), II/13 and II/14)

cdef void to_hessenberg(ptrdiff_t n, double *a) noexcept nogil:
    cdef ptrdiff_t m, i, j
    cdef double x, y
    for m in range(1, n - 1):
        x, i = 0.0, m
        for j in range(m, n):
            if fabs(a[j * n + m - 1]) > fabs(x):
                x, i = a[j * n + m - 1], j
        if i != m:
            for j in range(m - 1, n):
                a[i * n + j], a[m * n + j] = a[m * n + j], a[i * n + j]
            for j in range(n):
                a[j * n + i], a[j * n + m] = a[j * n + m], a[j * n + i]
        if x == 0.0:
            continue
        for i in range(m + 1, n):
            y = a[i * n + m - 1] / x
            if y == 0.0:
                continue
            for j in range(m - 1, n):
                a[i * n + j] -= y * a[m * n + j]
            for j in range(n):
                a[j * n + m] += y * a[j * n + i]
    for i in range(2, n):
        for j in range(i - 1):
            a[i * n + j] = 0.0


cdef ptrdiff_t split(ptrdiff_t n, double *a, ptrdiff_t last, double norm) noexcept nogil:
    """The first row of the block that ends at row `last`: the entry below the diagonal before it has vanished."""
    cdef ptrdiff_t low = last
    cdef double size
    while low > 0:
        size = fabs(a[(low - 1) * (n + 1)]) + fabs(a[low * (n + 1)])
        if fabs(a[low * n + low - 1]) <= EPS * (size if size != 0.0 else norm):
            a[low * n + low - 1] = 0.0
            return low
        low -= 1
    return 0


cdef void pair(double x, double y, double w, double *re, double *im) noexcept nogil:
    """The eigenvalues of [[y, .], [., x]], w the product of the two other entries."""
    cdef double p = 0.5 * (y - x), q = p * p + w, z = sqrt(fabs(q))
    if q < 0.0:
        re[0], im[0], re[1], im[1] = x + p, z, x + p, -z
        return
    z = p + copysign(z, p)
    re[0], re[1] = x + z, x - w / z if z != 0.0 else x
    im[0] = im[1] = 0.0


cdef void sweep(ptrdiff_t n, double *a, ptrdiff_t low, ptrdiff_t last, double x, double y, double w) noexcept nogil:
    """One double QR step, with the shifts of the last two rows, on rows and columns low ... last."""
    cdef ptrdiff_t m = last - 2, k, i, j
    cdef double p = 0.0, q = 0.0, r = 0.0, s = 0.0, z, u, v
    while True:
        z = a[m * (n + 1)]
        r, s = x - z, y - z
        p = (r * s - w) / a[(m + 1) * n + m] + a[m * n + m + 1]
        q = a[(m + 1) * (n + 1)] - z - r - s
        r = a[(m + 2) * n + m + 1]
        s = fabs(p) + fabs(q) + fabs(r)
        p, q, r = p / s, q / s, r / s
        if m == low:
            break
        u = fabs(a[m * n + m - 1]) * (fabs(q) + fabs(r))
        v = fabs(p) * (fabs(a[(m - 1) * (n + 1)]) + fabs(z) + fabs(a[(m + 1) * (n + 1)]))
        if u <= EPS * v:
            break
        m -= 1
    for i in range(m, last - 1):
        a[(i + 2) * n + i] = 0.0
        if i != m:
            a[(i + 2) * n + i - 1] = 0.0
    for k in range(m, last):
        if k != m:
            p, q = a[k * n + k - 1], a[(k + 1) * n + k - 1]
            r = a[(k + 2) * n + k - 1] if k + 1 != last else 0.0
            x = fabs(p) + fabs(q) + fabs(r)
            if x != 0.0:
                p, q, r = p / x, q / x, r / x
        s = copysign(sqrt(p * p + q * q + r * r), p)
        if s == 0.0:
            continue
        if k != m:
            a[k * n + k - 1] = -s * x
        elif low != m:
            a[k * n + k - 1] = -a[k * n + k - 1]
        p += s
        x, y, z = p / s, q / s, r / s
        q, r = q / p, r / p
        for j in range(k, last + 1):
            p = a[k * n + j] + q * a[(k + 1) * n + j]
            if k + 1 != last:
                p += r * a[(k + 2) * n + j]
                a[(k + 2) * n + j] -= p * z
            a[(k + 1) * n + j] -= p * y
            a[k * n + j] -= p * x
        for i in range(low, min(last, k + 3) + 1):
            p = x * a[i * n + k] + y * a[i * n + k + 1]
            if k + 1 != last:
                p += z * a[i * n + k + 2]
                a[i * n + k + 2] -= p * r
            a[i * n + k + 1] -= p * q
            a[i * n + k] -= p


cdef ptrdiff_t without_isolated(ptrdiff_t n, double *a, double *re, double *im) noexcept nogil:
    """Writes the eigenvalues that stand on the diagonal, as those of a row or a column with nothing beside it in what is left, to the end of
    re and im. The matrix of the rows and columns that stay is moved to the start of a; returns their number. n is at most MOST_EIGENVALUES."""
    cdef ptrdiff_t[MOST_EIGENVALUES] in_row, in_column
    cdef bint[MOST_EIGENVALUES] gone
    cdef ptrdiff_t i, j, left = n, at
    cdef bint found = True
    for i in range(n):
        in_row[i] = in_column[i] = 0
        gone[i] = False
    for i in range(n):
        for j in range(n):
            if i != j and a[i * n + j] != 0.0:
                in_row[i] += 1
                in_column[j] += 1
    while found:
        found = False
        for i in range(n):
            if gone[i] or (in_row[i] != 0 and in_column[i] != 0):
                continue
            gone[i] = found = True
            left -= 1
            re[left], im[left] = a[i * (n + 1)], 0.0
            for j in range(n):
                in_row[j] -= j != i and a[j * n + i] != 0.0
                in_column[j] -= j != i and a[i * n + j] != 0.0
    at = 0
    for i in range(n):
        for j in range(n):
            if not gone[i] and not gone[j]:
                a[at] = a[i * n + j]
                at += 1
    return left


cdef bint eigenvalues(ptrdiff_t n, double *a, double *re, double *im, double *norm) noexcept nogil:
    """All of a, which is destroyed, n of them at most MOST_EIGENVALUES; norm: the sum of all entries. False where QR does not converge or an
    entry is not finite."""
    cdef double x, y, w, shift
    cdef ptrdiff_t last, low, i
    cdef int sweeps = 0
    norm[0] = 0.0
    for i in range(n * n):
        norm[0] += fabs(a[i])
    if not norm[0] < INFINITY:
        return False
    n = without_isolated(n, a, re, im)
    last = n - 1
    to_hessenberg(n, a)
    while last >= 0:
        low = split(n, a, last, norm[0])
        x = a[last * (n + 1)]
        if low == last:
            re[last], im[last] = x, 0.0
            last, sweeps = last - 1, 0
            continue
        y, w = a[(last - 1) * (n + 1)], a[last * n + last - 1] * a[(last - 1) * n + last]
        if low == last - 1:
            pair(x, y, w, re + low, im + low)
            last, sweeps = last - 2, 0
            continue
        if sweeps == SWEEPS:
            return False
        if sweeps % 10 == 9:                     # an exceptional shift: the two of a block that turns in a circle
            shift = fabs(a[last * n + last - 1]) + fabs(a[(last - 1) * n + last - 2])
            x = y = 0.75 * shift
            w = -0.4375 * shift * shift
        sweeps += 1
        sweep(n, a, low, last, x, y, w)
    return True


cdef bint clear_of_negative_axis(ptrdiff_t n, double *a) noexcept nogil:
    """Whether no eigenvalue is real and at most 0: 0 and pairs close to it count, as two equal real eigenvalues come out as such a pair.
    False, too, where that cannot be told."""
    cdef double[MOST_EIGENVALUES] re, im
    cdef double norm
    cdef ptrdiff_t i
    if not eigenvalues(n, a, re, im, &norm):
        return False
    for i in range(n):
        if re[i] <= 0.0 and fabs(im[i]) <= 0.01 * fabs(re[i]):
            return False
    return True


cdef bint in_right_half_plane(ptrdiff_t n, double *a) noexcept nogil:
    """Whether every eigenvalue has a real part above 0, by more than rounding. False, too, where that cannot be told."""
    cdef double[MOST_EIGENVALUES] re, im
    cdef double norm
    cdef ptrdiff_t i
    if not eigenvalues(n, a, re, im, &norm):
        return False
    for i in range(n):
        if re[i] <= 1e-9 * norm:
            return False
    return True


cdef void real_parts(ptrdiff_t n, double *a, double *lowest, double *highest) noexcept nogil:
    """Between which numbers the real parts of all eigenvalues are; infinite where that cannot be told."""
    cdef double[MOST_EIGENVALUES] re, im
    cdef double norm
    cdef ptrdiff_t i
    lowest[0], highest[0] = -INFINITY, INFINITY
    if not eigenvalues(n, a, re, im, &norm):
        return
    lowest[0] = highest[0] = re[0]
    for i in range(1, n):
        lowest[0], highest[0] = min(lowest[0], re[i]), max(highest[0], re[i])
