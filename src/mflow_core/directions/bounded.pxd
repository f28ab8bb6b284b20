# cython: language_level=3
"""A direction that respects bounds: L-BFGS-B (Byrd, Lu, Nocedal and Zhu 1995), with the projection of Morales and Nocedal (2011).

    B = theta I - W M W',   W = [Y  theta S],   M^-1 = K = [[-D  L'], [L  theta S'S]],   D and L the diagonal and the strict lower part of S'Y

1. The Cauchy point: the first local minimiser of the quadratic model along the projected gradient path (section 4). Its breakpoints come
   from a heap, so only those that are passed are sorted.
2. The model is minimised over the variables that are free there, by the direct primal method (section 5.1):
   (K - W_F'W_F/theta) v = W_F'r, u = -(r + W_F v/theta)/theta, r the model's gradient at the Cauchy point.
3. The point found is projected onto the bounds. Where that is no way down it is cut back to the bounds instead. d leads there from x.

K and the matrix of step 2 have 2 x pairs rows, and are factored by elimination with partial pivoting; where one is singular the memory
is at fault, d is the way to the Cauchy point of theta I alone. Pairs are taken from the oldest to the newest.

work: the Cauchy point, its path's direction, breakpoints and their heap, n each; then the small matrices and vectors.
"""
from libc.math cimport INFINITY, fabs
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from mflow_core.arithmetic.dot cimport dot
from mflow_core.directions.records cimport padded
from mflow_core.types cimport mf_direction


ctypedef struct pairs_t:
    ptrdiff_t n, ld, places, count, next
    double *rho
    double *alpha
    double *S
    double *Y
    double *SY                           # s_i.y_j at [i places + j], by places
    double *SS


ctypedef struct bounded_t:
    const pairs_t *p
    double theta
    ptrdiff_t m, m2                      # pairs, and twice that
    double *at                           # the Cauchy point
    double *path
    double *breaks
    double *heap                         # indices
    double *K                            # factored, with its pivots
    double *pivots
    double *N
    double *N_pivots
    double *row                          # W_i
    double *c
    double *v
    double *Mc
    double *Mp
    double *Mw
    double *pvec


cdef inline int64_t bounded_work(ptrdiff_t pairs, ptrdiff_t n) noexcept nogil:
    return 4 * padded(n) + 2 * padded(4 * pairs * pairs) + 9 * padded(2 * pairs)


cdef inline void bounded_lay_out(bounded_t *b, double *work) noexcept nogil:
    cdef ptrdiff_t ld = b.p.ld, most = b.p.places - 1, square = padded(4 * most * most), side = padded(2 * most)
    b.at, b.path, b.breaks, b.heap = work, work + ld, work + 2 * ld, work + 3 * ld
    b.K, b.N = work + 4 * ld, work + 4 * ld + square
    b.pivots = b.N + square
    b.N_pivots, b.row, b.c, b.v = b.pivots + side, b.pivots + 2 * side, b.pivots + 3 * side, b.pivots + 4 * side
    b.Mc, b.Mp, b.Mw, b.pvec = b.pivots + 5 * side, b.pivots + 6 * side, b.pivots + 7 * side, b.pivots + 8 * side


# ---- small systems ------------------------------------------------------------------------------------------------------------------

cdef inline bint factor(double *A, double *pivots, ptrdiff_t n) noexcept nogil:
    """LU in place, rows exchanged. False: singular."""
    cdef ptrdiff_t i, j, k, best
    cdef double t
    for k in range(n):
        best = k
        for i in range(k + 1, n):
            best = i if fabs(A[i * n + k]) > fabs(A[best * n + k]) else best
        pivots[k] = <double> best
        if not fabs(A[best * n + k]) > 0.0 or A[best * n + k] - A[best * n + k] != 0.0:
            return False
        if best != k:
            for j in range(n):
                t = A[k * n + j]
                A[k * n + j] = A[best * n + j]
                A[best * n + j] = t
        for i in range(k + 1, n):
            A[i * n + k] = A[i * n + k] / A[k * n + k]
            for j in range(k + 1, n):
                A[i * n + j] = A[i * n + j] - A[i * n + k] * A[k * n + j]
    return True


cdef inline void solve(const double *A, const double *pivots, ptrdiff_t n, const double *right, double *x) noexcept nogil:
    cdef ptrdiff_t i, j, k
    cdef double t
    for i in range(n):
        x[i] = right[i]
    for k in range(n):
        j = <ptrdiff_t> pivots[k]
        t = x[k]
        x[k] = x[j]
        x[j] = t
    for i in range(n):
        for j in range(i):
            x[i] = x[i] - A[i * n + j] * x[j]
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            x[i] = x[i] - A[i * n + j] * x[j]
        x[i] = x[i] / A[i * n + i]


cdef inline ptrdiff_t place_of(const bounded_t *b, ptrdiff_t i) noexcept nogil:
    """The place of pair i, the oldest being 0."""
    cdef ptrdiff_t place = b.p.next - b.m + i
    return place if place >= 0 else place + b.p.places


cdef inline bint middle_matrix(bounded_t *b) noexcept nogil:
    """K, factored."""
    cdef ptrdiff_t i, j, pi, pj, m = b.m, m2 = b.m2, places = b.p.places
    for i in range(m):
        pi = place_of(b, i)
        for j in range(m):
            pj = place_of(b, j)
            b.K[i * m2 + j] = -b.p.SY[pi * places + pi] if i == j else 0.0
            b.K[(m + i) * m2 + j] = b.K[j * m2 + m + i] = b.p.SY[pi * places + pj] if i > j else 0.0
            b.K[(m + i) * m2 + m + j] = b.theta * b.p.SS[pi * places + pj]
    return factor(b.K, b.pivots, m2)


cdef inline void row_of(bounded_t *b, ptrdiff_t i) noexcept nogil:
    """b.row = W_i."""
    cdef ptrdiff_t j, place
    for j in range(b.m):
        place = place_of(b, j)
        b.row[j] = b.p.Y[place * b.p.ld + i]
        b.row[b.m + j] = b.theta * b.p.S[place * b.p.ld + i]


# ---- the Cauchy point ---------------------------------------------------------------------------------------------------------------

cdef inline void sink(double *heap, const double *key, ptrdiff_t count, ptrdiff_t at) noexcept nogil:
    """Restore the order below `at`: the least key is on top, and of equal ones the least index."""
    cdef ptrdiff_t child, i, j
    cdef double t
    while 2 * at + 1 < count:
        child = 2 * at + 1
        if child + 1 < count:
            i, j = <ptrdiff_t> heap[child], <ptrdiff_t> heap[child + 1]
            child += key[j] < key[i] or (key[j] == key[i] and j < i)
        i, j = <ptrdiff_t> heap[at], <ptrdiff_t> heap[child]
        if key[i] < key[j] or (key[i] == key[j] and i < j):
            return
        t = heap[at]
        heap[at] = heap[child]
        heap[child] = t
        at = child


cdef inline ptrdiff_t breakpoints(mf_direction *w, bounded_t *b) noexcept nogil:
    """Where each variable meets its bound along -g, the path's direction, and a heap of those that do. The number of these."""
    cdef ptrdiff_t i, count = 0
    cdef double t
    for i in range(w.n):
        b.at[i] = w.x[i]
        t = (w.x[i] - w.upper[i]) / w.g[i] if w.g[i] < 0.0 else ((w.x[i] - w.lower[i]) / w.g[i] if w.g[i] > 0.0 else INFINITY)
        t = t if t > 0.0 else 0.0
        b.breaks[i] = t
        b.path[i] = -w.g[i] if t > 0.0 else 0.0
        if 0.0 < t < INFINITY:
            b.heap[count] = <double> i
            count += 1
    for i in range(count // 2 - 1, -1, -1):
        sink(b.heap, b.breaks, count, i)
    return count


cdef inline void along_path(bounded_t *b) noexcept nogil:
    """pvec = W'path."""
    cdef ptrdiff_t j, place
    for j in range(b.m):
        place = place_of(b, j)
        b.pvec[j] = dot(b.p.Y + place * b.p.ld, b.path, b.p.n)
        b.pvec[b.m + j] = b.theta * dot(b.p.S + place * b.p.ld, b.path, b.p.n)


cdef inline void cauchy_point(mf_direction *w, bounded_t *b) noexcept nogil:
    """b.at, with c = W'(b.at - x)."""
    cdef ptrdiff_t count = breakpoints(w, b), i, j
    cdef double slope = -dot(b.path, b.path, w.n), curve = -b.theta * slope, least, floor, old = 0.0, step, g, z, stay
    along_path(b)
    memset(b.c, 0, b.m2 * sizeof(double))
    solve(b.K, b.pivots, b.m2, b.pvec, b.Mp)
    floor = 2.220446049250313e-16 * curve
    curve -= dot(b.pvec, b.Mp, b.m2)
    curve = curve if curve > floor else floor
    if slope == 0.0:
        return
    least = -slope / curve
    while count > 0:
        i = <ptrdiff_t> b.heap[0]
        step = b.breaks[i] - old
        if least < step:
            break
        count -= 1
        b.heap[0] = b.heap[count]
        sink(b.heap, b.breaks, count, 0)
        b.at[i] = w.upper[i] if b.path[i] > 0.0 else w.lower[i]
        z, g = b.at[i] - w.x[i], w.g[i]
        row_of(b, i)
        for j in range(b.m2):
            b.c[j] = b.c[j] + step * b.pvec[j]
        solve(b.K, b.pivots, b.m2, b.row, b.Mw)
        solve(b.K, b.pivots, b.m2, b.pvec, b.Mp)
        slope += step * curve + g * g + b.theta * g * z - g * dot(b.Mw, b.c, b.m2)
        curve += -b.theta * g * g - 2.0 * g * dot(b.row, b.Mp, b.m2) - g * g * dot(b.row, b.Mw, b.m2)
        curve = curve if curve > floor else floor
        for j in range(b.m2):
            b.pvec[j] = b.pvec[j] + g * b.row[j]
        b.path[i] = 0.0
        old = b.breaks[i]
        least = -slope / curve
        if count == 0 and dot(b.path, b.path, w.n) == 0.0:
            least = 0.0
            break
    stay = least if least > 0.0 else 0.0
    for i in range(w.n):
        if b.path[i] != 0.0:
            b.at[i] = clipped(w.x[i] + (old + stay) * b.path[i], w.lower[i], w.upper[i])
    for j in range(b.m2):
        b.c[j] = b.c[j] + stay * b.pvec[j]


cdef inline double clipped(double x, double lower, double upper) noexcept nogil:
    return lower if x < lower else (upper if x > upper else x)


# ---- the free variables -------------------------------------------------------------------------------------------------------------

cdef inline bint is_free(const mf_direction *w, const bounded_t *b, ptrdiff_t i) noexcept nogil:
    return w.lower[i] < b.at[i] < w.upper[i]


cdef inline double free_gradient(const mf_direction *w, bounded_t *b, ptrdiff_t i) noexcept nogil:
    """r_i, the model's gradient at the Cauchy point; b.row = W_i."""
    row_of(b, i)
    return w.g[i] + b.theta * (b.at[i] - w.x[i]) - dot(b.row, b.Mc, b.m2)


cdef inline bint free_system(const mf_direction *w, bounded_t *b) noexcept nogil:
    """N = K - W_F'W_F/theta, factored, and v = N^-1 W_F'r."""
    cdef ptrdiff_t i, j, k, m2 = b.m2
    cdef double r
    memset(b.N, 0, m2 * m2 * sizeof(double))
    memset(b.pvec, 0, m2 * sizeof(double))
    for i in range(w.n):
        if is_free(w, b, i):
            r = free_gradient(w, b, i)
            for j in range(m2):
                b.pvec[j] = b.pvec[j] + r * b.row[j]
                for k in range(m2):
                    b.N[j * m2 + k] = b.N[j * m2 + k] - b.row[j] * b.row[k]
    for j in range(m2 * m2):
        b.N[j] = b.N[j] / b.theta
    add_middle(b)
    if not factor(b.N, b.N_pivots, m2):
        return False
    solve(b.N, b.N_pivots, m2, b.pvec, b.v)
    return True


cdef inline void add_middle(bounded_t *b) noexcept nogil:
    """N += K, which is factored where it stood."""
    cdef ptrdiff_t i, j, pi, pj, m = b.m, m2 = b.m2, places = b.p.places
    for i in range(m):
        pi = place_of(b, i)
        b.N[i * m2 + i] -= b.p.SY[pi * places + pi]
        for j in range(m):
            pj = place_of(b, j)
            b.N[(m + i) * m2 + m + j] += b.theta * b.p.SS[pi * places + pj]
            if i > j:
                b.N[(m + i) * m2 + j] += b.p.SY[pi * places + pj]
                b.N[j * m2 + m + i] += b.p.SY[pi * places + pj]


cdef inline void subspace_minimum(mf_direction *w, bounded_t *b) noexcept nogil:
    """w.d: from x to the minimum over the free variables, projected; where that is no way down, cut back."""
    cdef ptrdiff_t i
    cdef double share = 1.0, limit
    solve(b.K, b.pivots, b.m2, b.c, b.Mc)
    if not free_system(w, b):
        return
    for i in range(w.n):
        b.path[i] = 0.0
        if is_free(w, b, i):
            limit = free_gradient(w, b, i)
            b.path[i] = -(limit + dot(b.row, b.v, b.m2) / b.theta) / b.theta
        w.d[i] = clipped(b.at[i] + b.path[i], w.lower[i], w.upper[i]) - w.x[i]
    if dot(w.d, w.g, w.n) < 0.0:
        return
    for i in range(w.n):
        if b.path[i] != 0.0:
            limit = ((w.upper[i] if b.path[i] > 0.0 else w.lower[i]) - b.at[i]) / b.path[i]
            share = limit if limit < share else share
    for i in range(w.n):
        w.d[i] = clipped(b.at[i] + share * b.path[i], w.lower[i], w.upper[i]) - w.x[i]


cdef inline double shorter(const mf_direction *w) noexcept nogil:
    """1, or what a gradient is divided by that is so small beside x that a step of -g would be lost in rounding, as in SI units: the step is
    a tenth of x then."""
    cdef double most = 0.0, size = 0.0
    cdef ptrdiff_t i
    for i in range(w.n):
        most = fabs(w.g[i]) if fabs(w.g[i]) > most else most
        size = fabs(w.x[i]) if fabs(w.x[i]) > size else size
    return most / (0.1 * size) if 0.0 < most < 1e-12 * size else 1.0


cdef inline int bounded_direction(mf_direction *w, const pairs_t *p, double theta) noexcept nogil:
    cdef bounded_t b
    cdef ptrdiff_t i
    cdef bint boxed = True
    b.p, b.theta, b.m = p, theta if p.count > 0 else theta * shorter(w), p.count
    bounded_lay_out(&b, w.work)
    b.m2 = 2 * b.m
    if not middle_matrix(&b):
        b.m = b.m2 = 0
    cauchy_point(w, &b)
    for i in range(w.n):
        w.d[i] = b.at[i] - w.x[i]
    if b.m > 0:
        subspace_minimum(w, &b)
    if w.k == 0:
        for i in range(w.n):
            boxed = boxed and w.lower[i] > -INFINITY and w.upper[i] < INFINITY
        w.first = 1.0 if boxed else 0.0
    return 0
