"""Newton's iteration where slopes are infinite, or far from those on the way: dampers c sgn(v) |v|^a, a < 1, springs like cbrt(x), kinks.

Beside v = 0 the slope of |v|^a says next to nothing of the way to the root: Newton's step is far too short where v leaves 0 (it takes off a
percent of the residual G, and a test for its decrease fails at every length), or leaps over 0 again and again. But its direction d is good: such
equations are monotone, and have one root. So d = M^-1 G(z), with M from differences at z, is followed to where

    q(l) = (M^-1 G(z + l d), d) / (d, d),     q(0) = 1,

passes 0: l grows until q changes its sign, and regula falsi (the Illinois variant) finds the place to a tenth. In one unknown that is the
root, by brackets alone. In several M^-1 knows of the slopes at z only, and q may stay above 0: where l has grown, the place where (B d, G)
passes 0 is an end as well. B is the metric in which the equation is monotone: mass, with a part of damping and stiffness. Differences are
no longer than a tenth of the last move: else they mix both sides of a kink, each column in its own way.

It ends where d is small, as Newton's iteration does, or is rounding. Where q jumps over 0 between neighbouring numbers, a single unknown is
there, as the equation is infinitely steep at it. Several unknowns that are held this way jump about the root: the iteration ends where the last
HELD moves were below NEAR and none had to go on beyond its bracket.

Steps of y' = f have no such metric: under error control, one unknown is bracketed (lone_root).
"""
from libc.math cimport INFINITY, copysign, fabs, sqrt
from libc.string cimport memcpy

from mflow_core.registry cimport REDUCE
from mflow_core.solvers.matrix cimport (BY_BAND_CALLBACK, BY_CALLBACK, BY_DIFFERENCES, DENSE, IDENTITY, KRYLOV, matrix_factor,
                                        matrix_jacobian, matrix_rhs, matrix_solve, weighted_norm)
from mflow_core.solvers.newton cimport EPS, goal, move, newton_solve, newton_t, residual, update, weights_of_size
from mflow_core.types cimport MF_RETRY_NON_FINITE, MF_RETRY_SOLVE

cdef enum:
    DIRECTIONS = 100
    LENGTHS = 60                         # tried along one direction
    FIRST = 3                            # of these, in which G has to get steeper
    HALVINGS = 100                       # of the bracket of one unknown, at most: two evaluations each
    HELD = 8

cdef double ENOUGH = 0.1                 # |q|
cdef double LEAP = 100.0                 # the most by which a length grows at once
cdef double NEAR = 1e-8
cdef double MONOTONE = 1.001             # q of one unknown grows by no more than rounding
cdef double ROOT_EPS = 1.4901161193847656e-08
cdef double LEAST = 1e-13                # relative: the least difference
cdef double SHARE = 0.1                  # of the last move
cdef double STIFF = 1e-6                 # of the terms of G
cdef double UNTOUCHED = 0.5              # of G before the last update
cdef double STEEPER = 2.0                # times the slope of G over the first bracket: that at a root which Newton's iteration bounces over
cdef double JUMP = 0.25                  # of the change of G over the first bracket, which the last has yet

ctypedef struct bracket_t:               # q is above 0 at `low`, and below it at `high`
    double low, at_low, high, at_high
    int last                             # which end moved last: 1 low, -1 high


# ---- directions -------------------------------------------------------------------------------------------------------------------------

cdef int columns(newton_t *s, double t, const double *z, double moved) noexcept nogil:
    """J at z, where f is s.f, by differences no longer than a part of what was moved."""
    cdef double *y = s.m.y
    cdef double h
    cdef ptrdiff_t i, j, n = s.n
    cdef int status, k
    memcpy(y, z, n * sizeof(double))
    for j in range(n):
        h = max(min(ROOT_EPS * s.m.size[j], SHARE * moved), LEAST * s.m.size[j])
        status = MF_RETRY_NON_FINITE
        for k in range(2):
            y[j] = z[j] + (h if k == 0 else -h)
            if status == MF_RETRY_NON_FINITE:
                status = matrix_rhs(&s.m, t, y, s.next_d)
                s.m.n_rhs_jac += 1
                h = y[j] - z[j]
        y[j] = z[j]
        if status != 0:
            return status
        for i in range(n):
            s.m.jacobian[i * n + j] = (s.next_d[i] - s.f[i]) / h
    s.m.njev += 1
    return 0


cdef int divided(newton_t *s, double t, double gh, const double *z, double *d) noexcept nogil:
    """d becomes M^-1 d, M at z. GMRES asks for f there: it is in s.root."""
    if s.c.matrix.kind != KRYLOV:
        return matrix_solve(&s.m, d)
    memcpy(s.f, s.root, s.n * sizeof(double))
    return update(s, t, gh, z, d)


cdef int direction(newton_t *s, double t, double gh, const double *r, const double *z, double moved) noexcept nogil:
    """Newton's update from z into s.d, the residual into s.mix, and the weights of both ends."""
    cdef int status
    weights_of_size(s, z, z)
    status = residual(s, t, gh, r, z, s.d)
    memcpy(s.root, s.f, s.n * sizeof(double))
    memcpy(s.mix, s.d, s.n * sizeof(double))
    if status == 0 and s.c.matrix.kind != KRYLOV:
        status = columns(s, t, z, moved) if s.c.matrix.kind == DENSE else matrix_jacobian(&s.m, t, z, gh)
        if status == 0:
            status = matrix_factor(&s.m, gh)
    if status == 0:
        status = divided(s, t, gh, z, s.d)
    s.niter += 1
    move(s, s.trial, z, s.d, 1.0)
    weights_of_size(s, z, s.trial)
    return status


# ---- lengths ----------------------------------------------------------------------------------------------------------------------------

cdef double along(const newton_t *s, const double *a) noexcept nogil:
    """(a, d) in the weights."""
    cdef double sum = 0.0
    cdef ptrdiff_t i
    for i in range(s.n):
        sum += (a[i] * s.m.weight[i]) * (s.d[i] * s.m.weight[i])
    return sum


cdef double against(const newton_t *s, const double *g) noexcept nogil:
    """(B d, g)."""
    cdef double sum = 0.0
    cdef ptrdiff_t i
    for i in range(s.n):
        sum += s.bar[i] * g[i]
    return sum


cdef int place(newton_t *s, double t, double gh, const double *r, const double *z, double length, double *q) noexcept nogil:
    """s.trial = z + length d, and q there. Where f is not finite it is too far."""
    cdef double slope = against(s, s.mix), here = slope
    cdef int status
    move(s, s.trial, z, s.d, length)
    status = residual(s, t, gh, r, s.trial, s.next_d)
    if status == MF_RETRY_NON_FINITE:
        q[0] = -INFINITY
        return 0
    if status == 0:
        here = against(s, s.next_d)
        status = divided(s, t, gh, z, s.next_d)
    if status == 0:
        q[0] = along(s, s.next_d) / along(s, s.d)
        if length > 1.0 and q[0] > 0.0 and slope > 0.0 and here <= 0.0:
            q[0] = here / slope
    return status


cdef double narrowed(bracket_t *b, double length, double q) noexcept nogil:
    """Put a length and its q into the bracket; the next length to try."""
    cdef double following
    if q > 0.0:
        if b.last == 1:
            b.at_high *= 0.5
        b.low, b.at_low, b.last = length, q, 1
    else:
        if b.last == -1:
            b.at_low *= 0.5
        b.high, b.at_high, b.last = length, q, -1
    if b.high == INFINITY:
        return length * min(max(2.0, 1.0 + q / max(1.0 - q, 1e-3)), LEAP)
    following = b.low + (b.high - b.low) * (b.at_low / (b.at_low - b.at_high))
    return following if b.low < following < b.high else 0.5 * (b.low + b.high)


cdef int search(newton_t *s, double t, double gh, const double *r, const double *z, double norm, double *length, bint *jumps) noexcept nogil:
    """The length along s.d, and the point there in s.trial. jumps: q passes 0 between neighbouring numbers."""
    cdef bracket_t b
    cdef double q = 0.0
    cdef int _k, status
    b.low, b.at_low, b.high, b.at_high, b.last = 0.0, 1.0, INFINITY, 0.0, 0
    length[0], jumps[0] = 1.0, False
    for _k in range(LENGTHS):
        status = place(s, t, gh, r, z, length[0], &q)
        if status != 0:
            return status
        if q != q or (s.n == 1 and length[0] > b.low and q > MONOTONE * b.at_low and b.last >= 0):
            return MF_RETRY_SOLVE
        if fabs(q) <= ENOUGH:
            return 0
        length[0] = narrowed(&b, length[0], q)
        if (b.high - b.low) * norm <= 4.0 * EPS:
            length[0], jumps[0] = b.low, True
            move(s, s.trial, z, s.d, b.low)
            return 0
    return MF_RETRY_SOLVE


# ---- the iteration ------------------------------------------------------------------------------------------------------------------------

cdef int bracketed(newton_t *s, double t, double gh, const double *r, double *z, apply_fn metric, void *metric_ctx) noexcept nogil:
    """Iterate from z. 0, MF_RETRY_SOLVE, or the code of a callback."""
    cdef double norm, size, length, moved = INFINITY
    cdef bint jumps
    cdef int _k, held = 0, status
    for _k in range(DIRECTIONS):
        status = direction(s, t, gh, r, z, moved)
        if status != 0:
            return status
        norm = weighted_norm(&s.m, s.d)
        if not norm < INFINITY:
            return MF_RETRY_SOLVE
        size = max(REDUCE.max_abs(z, s.n), REDUCE.max_abs(s.guess, s.n))
        if norm <= goal(s) or REDUCE.max_abs(s.d, s.n) <= max(64.0 * EPS * size, s.noise) or (held >= HELD and norm <= NEAR):
            move(s, z, z, s.d, 1.0)
            return 0
        status = metric(s.d, s.bar, metric_ctx)
        if status == 0:
            status = search(s, t, gh, r, z, norm, &length, &jumps)
        if status != 0:
            return status
        moved = length * REDUCE.max_abs(s.d, s.n)
        memcpy(z, s.trial, s.n * sizeof(double))
        if jumps and s.n == 1:
            return 0
        held = held + 1 if length <= 1.0 and length * norm <= NEAR else 0
    return MF_RETRY_SOLVE


cdef int stands_still(newton_t *s, double t, double gh, const double *r, const double *z, bint *still) noexcept nogil:
    """Whether Newton's iteration ended at z though its last update took nothing off a residual that is no rounding of its terms: slopes that
    the user gave may be so large that every point stays as it is. Differences are not. f of the point before is in s.f."""
    cdef double left = 0.0, size = 0.0
    cdef ptrdiff_t i
    cdef int status
    still[0] = False
    if s.m.c.source == BY_DIFFERENCES or s.c.matrix.mass != NULL or s.c.matrix.kind == KRYLOV:
        return 0
    for i in range(s.n):
        left = max(left, fabs((r[i] - z[i]) + gh * s.f[i]))
        size = max(size, max(max(fabs(r[i]), fabs(z[i])), fabs(gh * s.f[i])))
    size = max(STIFF * size, 4.0 * s.noise)
    if left <= size:
        return 0
    status = residual(s, t, gh, r, z, s.next_d)
    still[0] = status == 0 and REDUCE.max_abs(s.next_d, s.n) > max(UNTOUCHED * left, size)
    return status


cdef int bracket_solve(double t, double gh, const double *r, double *z, ptrdiff_t n, newton_t *s, apply_fn metric, void *metric_ctx) noexcept nogil:
    """newton_solve; where it fails in a fixed step, though f is finite, or leaves the residual as it was, by brackets. Slopes that the user gave
    may be infinite, or bounded to a number that is far from them: there they are differences."""
    cdef int source = s.m.c.source, answer, status = newton_solve(t, gh, r, z, n, s)
    cdef bint still = True
    if status < 0 or s.controlled or s.c.matrix.kind == IDENTITY or s.non_finite > 0 or fabs(gh) == INFINITY:
        return status
    answer = stands_still(s, t, gh, r, z, &still) if status == 0 else 0
    if answer < 0 or not still:
        return min(answer, 0)
    if source == BY_CALLBACK or source == BY_BAND_CALLBACK:
        s.m.c.source = BY_DIFFERENCES
    memcpy(z, s.guess, n * sizeof(double))
    answer = bracketed(s, t, gh, r, z, metric, metric_ctx)
    s.m.c.source = source
    s.m.has_point = s.m.has_jacobian = s.m.has_factors = False
    s.m.stale = 0
    s.want_jacobian, s.eta = True, 1.0
    s.nfail += (answer > 0) - (status > 0)
    if answer > 0:
        memcpy(z, s.guess, n * sizeof(double))
        return status if status > 0 else answer
    return answer


# ---- one unknown of a step of y' = f ------------------------------------------------------------------------------------------------------

cdef int value(newton_t *s, double t, double gh, const double *r, double z, double *g) noexcept nogil:
    s.trial[0] = z
    return residual(s, t, gh, r, s.trial, g)


cdef int halved(newton_t *s, double t, double gh, const double *r, double *a, double *at_a, double *b, double *at_b) noexcept nogil:
    """Ridders' method once: a bracket that is at most half as long. MF_RETRY_SOLVE where G is seen to rise."""
    cdef double side = 1.0 if at_a[0] > 0.0 else -1.0, half = 0.5 * (b[0] - a[0]), x = a[0] + half, g = 0.0
    cdef int k, status
    for k in range(2):
        status = value(s, t, gh, r, x, &g)
        if status != 0:
            return status
        if not side * at_b[0] <= side * g <= side * at_a[0]:
            return MF_RETRY_SOLVE
        if side * g > 0.0:
            a[0], at_a[0] = x, g
        else:
            b[0], at_b[0] = x, g
        if g == 0.0:
            a[0], at_a[0] = x, g
            return 0
        if k == 0:
            half = fabs(half)
            x = x + copysign(half * fabs(g) / sqrt(g * g + fabs(at_a[0] * at_b[0])), g)
            if not min(a[0], b[0]) < x < max(a[0], b[0]):
                return 0
    return 0


cdef int lone_root(newton_t *s, double t, double gh, const double *r, double *z, int failed) noexcept nogil:
    """Where Newton's iteration fails for one unknown, though f is finite: the root of G = r + gh f(t, z) - z, if G falls; else `failed`.

    Where f falls and gh > 0, G falls faster than z rises: the root lies between z and z + G(z). It may do so with an infinite slope there, as
    that of a root, over which Newton's iteration bounces: there alone a root is taken, as one of an ordinary slope may lie beyond a fold. At
    a jump of f there is none.
    """
    cdef double a = z[0], b, at_a = 0.0, at_b = 0.0, gap, enough, left, steep   # z is no farther from the root than G is large
    cdef int k, status
    cdef bint narrow
    if failed != MF_RETRY_SOLVE or s.n != 1 or s.non_finite > 0 or fabs(gh) == INFINITY or s.c.matrix.mass != NULL:
        return failed
    status = value(s, t, gh, r, a, &at_a)
    b = a + at_a
    if status == 0:
        status = value(s, t, gh, r, b, &at_b)
    if status != 0:
        return status if status < 0 else failed
    if (at_a > 0.0) == (at_b > 0.0) and at_a != 0.0 and at_b != 0.0:
        return failed
    gap, enough = fabs(at_a - at_b), goal(s) / s.m.weight[0] if s.controlled else 0.0
    steep = STEEPER * gap / fabs(b - a) if b != a else 0.0
    for k in range(HALVINGS):
        left = min(fabs(at_a), fabs(at_b))
        narrow = fabs(b - a) <= 4.0 * EPS * max(fabs(a), fabs(b)) or (k >= FIRST and fabs(at_a - at_b) < steep * fabs(b - a))
        if narrow or ((left <= enough or fabs(b - a) <= enough) and fabs(at_a - at_b) >= steep * fabs(b - a)):
            if fabs(at_a - at_b) < steep * fabs(b - a) or (left > enough and fabs(at_a - at_b) > JUMP * gap):
                return failed            # of an ordinary slope, where Newton's iteration has failed for a reason; a jump
            z[0] = a if fabs(at_a) <= fabs(at_b) else b
            s.want_jacobian = True
            s.nfail -= 1
            return 0
        status = halved(s, t, gh, r, &a, &at_a, &b, &at_b)
        if status != 0:
            return status if status < 0 else failed
    return failed
