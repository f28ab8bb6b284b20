"""Quasi-Newton directions: d = -H g, H an approximation of the inverse Hessian from pairs s = x - x_old, y = g - g_old.

    lbfgs   H from the last maxcor pairs by the two-loop recursion (Nocedal and Wright, algorithm 7.4), from gamma I, gamma = s.y/y.y
    bfgs    H+ = (I - rho s y') H (I - rho y s') + rho s s', rho = 1/s.y (6.17), from gamma I at the first pair (6.20)

With bounds lbfgs is the L-BFGS-B of Byrd, Lu, Nocedal and Zhu (1995): bounded.pxd. A pair with s.y <= 1e-10 |s| |y| is skipped, so H stays
positive definite whatever the line search. The first step of an iteration is 1; that of the first iteration has length 1.

kept of lbfgs: count, place of the next pair, gamma, padded to 8; rho and alpha of every place; S, then Y, maxcor + 1 vectors each, `ld` apart:
a pair is made in the place that is free, so a skipped one costs nothing. With bounds the tables S'Y and S'S follow, by places.
kept of bfgs: H, n rows `ld` apart. Its update and the product with g are one pass over H.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.arithmetic.dot cimport dot
from mflow_core.directions.bounded cimport bounded_direction, bounded_work, pairs_t
from mflow_core.directions.records cimport direction, directions_t, padded
from mflow_core.directions.shifts cimport pair_and_sums, shift_and_dot
from mflow_core.types cimport MF_E_DAMAGED, MF_E_KIND, MF_INT, mf_direction, mf_method

cdef double LEAST = 1e-10                # of s.y/(|s| |y|)

cdef enum:
    HEAD = 8                             # numbers before the tables
    COUNT = 0                            # places among them
    NEXT = 1
    GAMMA = 2
    MOST_PAIRS = 1000


# ---- lbfgs --------------------------------------------------------------------------------------------------------------------------

cdef int lbfgs_room(const mf_method *m, const double *par, ptrdiff_t n, int bounded, int64_t *kept, int64_t *work) noexcept nogil:
    cdef ptrdiff_t places = <ptrdiff_t> par[0] + 1
    kept[0] = HEAD + 2 * padded(places) + 2 * places * padded(n) + (2 * padded(places * places) if bounded else 0)
    work[0] = bounded_work(places - 1, n) if bounded else 0
    return 0


cdef void lay_out(mf_direction *w, pairs_t *p) noexcept nogil:
    """Where everything stands in w.kept."""
    cdef ptrdiff_t places = <ptrdiff_t> w.par[0] + 1
    p.n, p.ld, p.places = w.n, padded(w.n), places
    p.count, p.next = <ptrdiff_t> w.kept[COUNT], <ptrdiff_t> w.kept[NEXT]
    p.rho = w.kept + HEAD
    p.alpha = p.rho + padded(places)
    p.S = p.alpha + padded(places)
    p.Y = p.S + places * p.ld
    p.SY = p.Y + places * p.ld
    p.SS = p.SY + padded(places * places)


cdef inline ptrdiff_t before(const pairs_t *p, ptrdiff_t place) noexcept nogil:
    return place - 1 if place > 0 else p.places - 1


cdef inline ptrdiff_t after(const pairs_t *p, ptrdiff_t place) noexcept nogil:
    return place + 1 if place + 1 < p.places else 0


cdef void add_pair(mf_direction *w, pairs_t *p) noexcept nogil:
    cdef double[3] sums
    cdef ptrdiff_t place = p.next, j, _k
    pair_and_sums(w.x, w.x_old, w.g, w.g_old, p.S + place * p.ld, p.Y + place * p.ld, p.n, sums)
    if not sums[0] > LEAST * sqrt(sums[1]) * sqrt(sums[2]):
        return
    p.rho[place] = 1.0 / sums[0]
    w.kept[GAMMA] = sums[0] / sums[1]
    p.count = p.count + 1 if p.count < p.places - 1 else p.count
    p.next = after(p, place)
    w.kept[COUNT], w.kept[NEXT] = <double> p.count, <double> p.next
    if w.lower == NULL:
        return
    j = place
    for _k in range(p.count):
        p.SY[place * p.places + j] = dot(p.S + place * p.ld, p.Y + j * p.ld, p.n)
        p.SY[j * p.places + place] = dot(p.S + j * p.ld, p.Y + place * p.ld, p.n)
        p.SS[place * p.places + j] = p.SS[j * p.places + place] = dot(p.S + place * p.ld, p.S + j * p.ld, p.n)
        j = before(p, j)


cdef void two_loops(mf_direction *w, const pairs_t *p) noexcept nogil:
    """d = -H g. Each vector is read once a loop: the shift by one pair and the product with the next are one pass."""
    cdef double *d = w.d
    cdef double gamma = w.kept[GAMMA], product, beta
    cdef ptrdiff_t newest = before(p, p.next), oldest, j = newest, i, k
    for i in range(p.n):
        d[i] = -w.g[i]
    product = dot(p.S + j * p.ld, d, p.n)
    for k in range(p.count):                 # the newest first
        p.alpha[j] = p.rho[j] * product
        oldest = j
        if k + 1 < p.count:
            j = before(p, j)
            product = shift_and_dot(d, p.Y + oldest * p.ld, p.S + j * p.ld, -p.alpha[oldest], 1.0, p.n)
    j = oldest
    product = shift_and_dot(d, p.Y + j * p.ld, p.Y + j * p.ld, -p.alpha[j], gamma, p.n)
    for k in range(p.count):
        beta = p.alpha[j] - p.rho[j] * product
        if k + 1 < p.count:
            product = shift_and_dot(d, p.S + j * p.ld, p.Y + after(p, j) * p.ld, beta, 1.0, p.n)
            j = after(p, j)
    for i in range(p.n):
        d[i] = d[i] + beta * p.S[newest * p.ld + i]


cdef inline void first_direction(mf_direction *w) noexcept nogil:
    """-g, tried with the length 1: nothing is known of the scale."""
    cdef double size = sqrt(dot(w.g, w.g, w.n))
    cdef ptrdiff_t i
    for i in range(w.n):
        w.d[i] = -w.g[i]
    w.first = 1.0 / size


cdef int lbfgs_direct(const mf_method *m, mf_direction *w) noexcept nogil:
    cdef pairs_t p
    w.first = 1.0
    if not (0.0 <= w.kept[COUNT] <= w.par[0] and 0.0 <= w.kept[NEXT] <= w.par[0]):     # read from a file, perhaps
        return MF_E_DAMAGED
    lay_out(w, &p)
    if w.k > 0:
        add_pair(w, &p)
    if w.lower != NULL:
        return bounded_direction(w, &p, 1.0 / w.kept[GAMMA] if p.count > 0 else 1.0)
    if p.count == 0:
        first_direction(w)
    else:
        two_loops(w, &p)
    return 0


# ---- bfgs ---------------------------------------------------------------------------------------------------------------------------

cdef int bfgs_room(const mf_method *m, const double *par, ptrdiff_t n, int bounded, int64_t *kept, int64_t *work) noexcept nogil:
    kept[0], work[0] = n * padded(n), 3 * padded(n)
    return MF_E_KIND if bounded else 0


cdef void begin_matrix(mf_direction *w, double gamma) noexcept nogil:
    cdef ptrdiff_t i, j, ld = padded(w.n)
    for i in range(w.n):
        for j in range(ld):
            w.kept[i * ld + j] = 0.0
        w.kept[i * ld + i] = gamma


cdef bint update_matrix(mf_direction *w) noexcept nogil:
    """H+ = H + s (c s - rho u)' - rho u s', u = H y, c = rho (1 + rho y.u), and d = -H+ g, row by row. False: the pair is skipped."""
    cdef ptrdiff_t n = w.n, ld = padded(w.n), i, j
    cdef double *s = w.work
    cdef double *y = w.work + ld
    cdef double *u = w.work + 2 * ld
    cdef double *row
    cdef double[3] sums
    cdef double rho, c, si, ui
    pair_and_sums(w.x, w.x_old, w.g, w.g_old, s, y, n, sums)
    if not sums[0] > LEAST * sqrt(sums[1]) * sqrt(sums[2]):
        return False
    if w.kept[0] == 0.0:
        begin_matrix(w, sums[0] / sums[1])
    rho = 1.0 / sums[0]
    for i in range(n):
        u[i] = dot(w.kept + i * ld, y, n)
    c = rho * (1.0 + rho * dot(y, u, n))
    for i in range(n):
        row, si, ui = w.kept + i * ld, s[i], rho * u[i]
        for j in range(n):
            row[j] = row[j] + (c * (si * s[j]) - (si * (rho * u[j]) + ui * s[j]))
        w.d[i] = -dot(row, w.g, n)
    return True


cdef int bfgs_direct(const mf_method *m, mf_direction *w) noexcept nogil:
    cdef ptrdiff_t i, ld = padded(w.n)
    w.first = 1.0
    if w.k > 0 and update_matrix(w):
        return 0
    if w.k == 0 or w.kept[0] == 0.0:
        first_direction(w)
        return 0
    for i in range(w.n):
        w.d[i] = -dot(w.kept + i * ld, w.g, w.n)
    return 0


# ---- method records -----------------------------------------------------------------------------------------------------------------

cdef directions_t RECORDS
RECORDS.count = 0
_names = []

direction(&RECORDS, _names, b"lbfgs", b"LBFGS", b"l_bfgs|lbfgsb|l_bfgs_b", b"quasi_newton",
    [(b"maxcor", 10, 1, MOST_PAIRS, MF_INT, 0, b"", b"pairs that it remembers")],
    lbfgs_direct, lbfgs_room,
    b"d = -H g, H from the last maxcor pairs s = x - x_old, y = g - g_old by two loops, from gamma I, gamma = s.y/y.y; pairs with "
    b"s.y <= 1e-10 |s| |y| are skipped",
    b"Limited-memory BFGS, for any number of parameters; with bounds the L-BFGS-B of Byrd, Lu, Nocedal and Zhu.",
    b"J. Nocedal, Math. Comp. 35 (1980) 773-782; D. Liu and J. Nocedal, Math. Program. 45 (1989) 503-528; R. Byrd, P. Lu, J. Nocedal and "
    b"C. Zhu, SIAM J. Sci. Comput. 16 (1995) 1190-1208; J. Morales and J. Nocedal, ACM TOMS 38 (2011) 7")

direction(&RECORDS, _names, b"bfgs", b"BFGS", b"", b"quasi_newton", [],
    bfgs_direct, bfgs_room,
    b"d = -H g, H+ = (I - rho s y') H (I - rho y s') + rho s s', rho = 1/s.y, from (s.y/y.y) I; pairs with s.y <= 1e-10 |s| |y| are skipped",
    b"BFGS with the inverse Hessian in full, n^2 numbers: few iterations, for up to some hundreds of parameters.",
    b"J. Nocedal and S. Wright, Numerical Optimization (2006), 6.1")

_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
