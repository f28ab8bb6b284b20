# cython: language_level=3
"""Householder's QR factorisation with column pivoting, and the damped solutions that come from its triangle.

A is m x k, column-major with leading dimension m; after `qr` the Householder vectors stand on and below its diagonal and R above it, with
R's diagonal in `diag`. Where k > m there are m reflections, and the last k - m diagonal entries are 0. One factorisation serves every damping lambda of

    min |R z - w|^2 + lambda |z|^2          w = the first k entries of Q'b

by Givens rotations of sqrt(lambda) I into R (More 1978). R, S and w are small: k x k, row-major, and k. Sums run in the fixed lanes of
dot.pxd, and no libm is called but sqrt.

Sources: P. Businger and G. Golub, Numer. Math. 7 (1965) 269-276; J. More, Lecture Notes in Math. 630 (1978) 105-116.
"""
from libc.math cimport fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t
from libc.string cimport memcpy

from mflow_core.arithmetic.dot cimport dot
from mflow_core.solvers.linalg cimport listen, poll_fn

cdef enum:
    ROUNDS = 10                          # of Newton's method for lambda


ctypedef struct ear_t:                   # looks at signals on the way of long loops, which end early once one was heard
    poll_fn poll                         # NULL: nobody looks
    double work
    int heard                            # what poll returned that is not 0; all results are then void


cdef inline bint interrupted(ear_t *ear, double more) noexcept nogil:
    """Count `more` multiplications; whether the loop is to end."""
    if ear.heard == 0:
        ear.heard = listen(&ear.work, more, ear.poll)
    return ear.heard != 0


cdef inline double length(const double *v, ptrdiff_t n) noexcept nogil:
    return sqrt(dot(v, v, n))


cdef inline void swap_columns(double *a, double *b, ptrdiff_t n) noexcept nogil:
    cdef double held
    cdef ptrdiff_t i
    for i in range(n):
        held = a[i]
        a[i] = b[i]
        b[i] = held


cdef inline void reflect(const double *v, double *b, ptrdiff_t n) noexcept nogil:
    """b -= v (v.b)/v_0: the reflection that `qr` stores as v."""
    cdef double share
    cdef ptrdiff_t i
    if v[0] != 0.0:
        share = dot(v, b, n) / v[0]
        for i in range(n):
            b[i] = b[i] - share * v[i]


cdef inline void qr(double *A, ptrdiff_t m, ptrdiff_t k, int32_t *pivot, double *diag, double *norms, ear_t *ear) noexcept nogil:
    """A becomes Q and R, the column that is longest next; pivot[j]: which column of A is column j of R. norms: room for 2 k."""
    cdef double *full = norms + k
    cdef double *v
    cdef double size, share
    cdef ptrdiff_t j, i, e, best, rows = m if m < k else k
    cdef int32_t held
    for j in range(k):
        pivot[j] = <int32_t> j
        norms[j] = full[j] = length(A + j * m, m)
    for j in range(rows, k):
        diag[j] = 0.0
    for j in range(rows):
        if interrupted(ear, 2.0 * <double> (m - j) * <double> (k - j)):
            return
        best = j
        for e in range(j + 1, k):
            if norms[e] > norms[best]:
                best = e
        if best != j:
            swap_columns(A + j * m, A + best * m, m)
            norms[best], full[best] = norms[j], full[j]
            held = pivot[j]
            pivot[j] = pivot[best]
            pivot[best] = held
        v = A + j * m + j
        size = length(v, m - j)
        if size == 0.0:
            diag[j] = 0.0
            continue
        size = -size if v[0] < 0.0 else size
        for i in range(m - j):
            v[i] = v[i] / size
        v[0] += 1.0
        diag[j] = -size
        for e in range(j + 1, k):
            reflect(v, A + e * m + j, m - j)
            if norms[e] != 0.0:
                share = A[e * m + j] / norms[e]
                share = 1.0 - share * share
                norms[e] = norms[e] * sqrt(share if share > 0.0 else 0.0)
                share = norms[e] / full[e]
                if not 0.05 * share * share > 2.220446049250313e-16:     # cancelled: anew
                    norms[e] = full[e] = length(A + e * m + j + 1, m - j - 1)


cdef inline void apply_qt(const double *A, ptrdiff_t m, ptrdiff_t k, double *b) noexcept nogil:
    """b becomes Q'b."""
    cdef ptrdiff_t j
    for j in range(m if m < k else k):
        reflect(A + j * m + j, b + j, m - j)


cdef inline void triangle_of(const double *A, const double *diag, ptrdiff_t m, ptrdiff_t k, double *R) noexcept nogil:
    """R, k x k, row-major; below its diagonal, and beside it below row m, it is not written."""
    cdef ptrdiff_t i, j
    for j in range(k):
        for i in range(j if j < m else m):
            R[i * k + j] = A[j * m + i]
        R[j * k + j] = diag[j]


cdef inline void back(const double *S, const double *w, double *z, ptrdiff_t k, ptrdiff_t rank) noexcept nogil:
    """S z = w in the first `rank` unknowns; the others are 0."""
    cdef double total
    cdef ptrdiff_t i, j
    for i in range(rank, k):
        z[i] = 0.0
    for i in range(rank - 1, -1, -1):
        total = w[i]
        for j in range(i + 1, rank):
            total = total - S[i * k + j] * z[j]
        z[i] = total / S[i * k + i]


cdef inline double forward(const double *S, const double *w, double *q, ptrdiff_t k) noexcept nogil:
    """|q|, S'q = w."""
    cdef ptrdiff_t i, j
    for i in range(k):
        q[i] = w[i]
    for i in range(k):
        q[i] = q[i] / S[i * k + i]
        for j in range(i + 1, k):
            q[j] = q[j] - S[i * k + j] * q[i]
    return length(q, k)


cdef inline void damped(const double *R, const double *w, double root, double *S, double *z, double *room, ptrdiff_t k,
                        ear_t *ear) noexcept nogil:
    """min |R z - w|^2 + root^2 |z|^2; S'S = R'R + root^2 I, upper triangular. room: 2 k."""
    cdef double *row = room
    cdef double *right = room + k
    cdef double c, s, t, moved, held
    cdef ptrdiff_t i, j, e
    for i in range(k):
        memcpy(S + i * k + i, R + i * k + i, (k - i) * sizeof(double))
        right[i] = w[i]
    for j in range(k):
        if interrupted(ear, 2.0 * <double> (k - j) * <double> (k - j)):
            return
        for e in range(j, k):
            row[e] = 0.0
        row[j] = root
        moved = 0.0
        for e in range(j, k):
            if row[e] == 0.0:
                continue
            if fabs(S[e * k + e]) < fabs(row[e]):
                t = S[e * k + e] / row[e]
                s = 1.0 / sqrt(1.0 + t * t)
                c = s * t
            else:
                t = row[e] / S[e * k + e]
                c = 1.0 / sqrt(1.0 + t * t)
                s = c * t
            S[e * k + e] = c * S[e * k + e] + s * row[e]
            held = c * right[e] + s * moved
            moved = c * moved - s * right[e]
            right[e] = held
            for i in range(e + 1, k):
                held = c * S[e * k + i] + s * row[i]
                row[i] = c * row[i] - s * S[e * k + i]
                S[e * k + i] = held
    back(S, right, z, k, k)


cdef inline ptrdiff_t rank_of(const double *R, const double *norms, ptrdiff_t k, double least) noexcept nogil:
    """How many columns stand out: after them all entries of R's diagonal are below `least` times their columns' norms, of R's order."""
    cdef ptrdiff_t j
    for j in range(k - 1, -1, -1):
        if fabs(R[j * k + j]) > least * norms[j]:
            return j + 1
    return 0


cdef inline double marquardt(const double *R, const double *w, double delta, double before, double least, double *S, double *z, double *room,
                             ptrdiff_t k, ptrdiff_t rank, ear_t *ear) noexcept nogil:
    """The lambda for which |z| is delta to a tenth, or `least` where the step is then no longer; z: that step, the solution of `damped`.

    More's secular equation 1/|z(lambda)| = 1/delta by Newton's method within bounds that close. before: the lambda of the last step.
    least: 0, or what a singular R needs. room: 3 k.
    """
    cdef double size, away, last, low = 0.0, high = 0.0, lam, slope, part
    cdef double *q = room + 2 * k
    cdef ptrdiff_t i, j
    cdef int it
    if least == 0.0:
        back(R, w, z, k, rank)
    else:
        damped(R, w, sqrt(least), S, z, room, k, ear)
    size = length(z, k)
    away = size - delta
    if not away > 0.1 * delta:
        return least
    if least == 0.0:
        for i in range(k):
            q[i] = z[i] / size
        slope = forward(R, q, q, k)
        low = ((away / delta) / slope) / slope
    for j in range(k):
        part = 0.0
        for i in range(j + 1):
            part = part + R[i * k + j] * w[i]
        high = high + part * part
    high = sqrt(high)
    slope = high / size
    high = high / delta
    lam = before if before > low else low
    lam = high if lam > high else lam
    if not lam > 0.0:
        lam = slope
    for it in range(ROUNDS):
        if not lam > 0.0:
            lam = 0.001 * high if 0.001 * high > 2.2250738585072014e-308 else 2.2250738585072014e-308
        damped(R, w, sqrt(lam), S, z, room, k, ear)
        if ear.heard != 0:
            return lam
        size, last = length(z, k), away
        away = size - delta
        if fabs(away) <= 0.1 * delta or (low == 0.0 and away <= last and last < 0.0) or it == ROUNDS - 1:
            break
        for i in range(k):
            q[i] = z[i] / size
        slope = forward(S, q, q, k)
        part = ((away / delta) / slope) / slope
        if away > 0.0:
            low = lam if lam > low else low
        else:
            high = lam if lam < high else high
        lam = lam + part if lam + part > low else low
    return lam


cdef inline ptrdiff_t inverse_square(const double *J, ptrdiff_t m, ptrdiff_t n, double *A, const double *norms, int32_t *pivot, double *diag,
                                     double *room, double *R, double *S, double *out, ear_t *ear) noexcept nogil:
    """The rank of J (m, n), row-major; where it is n, out = inv(J'J). norms: of J's columns. A: room for m n; room: 2 n."""
    cdef double total, inverse
    cdef ptrdiff_t i, j, e, rank
    for j in range(n):
        inverse = 1.0 / norms[j] if norms[j] > 0.0 else 1.0
        for i in range(m):
            A[j * m + i] = J[i * n + j] * inverse
    qr(A, m, n, pivot, diag, room, ear)
    triangle_of(A, diag, m, n, R)
    for j in range(n):
        room[j] = 1.0 if norms[pivot[j]] > 0.0 else 0.0
    rank = rank_of(R, room, n, <double> m * 2.220446049250313e-16)
    for j in range(rank):                # one that does not stand out among them
        if not fabs(R[j * n + j]) > <double> m * 2.220446049250313e-16:
            rank -= 1
    if rank < n:
        return rank
    for j in range(n):                   # S = inv(R), upper triangular
        if interrupted(ear, <double> j * <double> j):
            return 0
        for i in range(n):
            S[i * n + j] = 0.0
        S[j * n + j] = 1.0 / R[j * n + j]
        for i in range(j - 1, -1, -1):
            total = 0.0
            for e in range(i + 1, j + 1):
                total = total + R[i * n + e] * S[e * n + j]
            S[i * n + j] = -total / R[i * n + i]
    for i in range(n):
        if interrupted(ear, 2.0 * <double> i * <double> (n - i)):
            return 0
        for j in range(i + 1):
            total = 0.0
            for e in range(i, n):        # j <= i: both rows have entries from i on
                total = total + S[i * n + e] * S[j * n + e]
            total = total / norms[pivot[i]] / norms[pivot[j]]
            out[pivot[i] * n + pivot[j]] = total
            out[pivot[j] * n + pivot[i]] = total
    return rank
