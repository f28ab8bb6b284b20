"""A point of a fit: residuals and Jacobian as they are evaluated, differenced and weighed, and the factorisation of J/D = Q R.

Everything lies in one block; J is row-major as functions give it, A holds its columns one after the other. Differences are forward ones or
central ones, or of three points on one side where a bound is near. Residuals with a loss are weighed by the roots of its slope, and the
rows of J likewise, so that what follows sees plain squares. With a pattern of J one difference serves all columns of a group, which share no
row (Curtis, Powell and Reid, J. Inst. Math. Appl. 13 (1974) 117).
"""
from libc.math cimport INFINITY, NAN, fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy, memset

from mflow_core.arithmetic.dot cimport dot
from mflow_core.arithmetic.norms cimport scaled_norm
from mflow_core.fitting.columns cimport columns_t
from mflow_core.fitting.triangle cimport length, rank_of, triangle_of
from mflow_core.registry cimport kernels
from mflow_core.types cimport MF_E_MEMORY

cdef enum:
    N_VECTORS = 21                       # of n numbers
    M_VECTORS = 6

cdef double EPS = 2.220446049250313e-16
cdef double LEAST = 1e-290               # a sum of squares below it has lost digits
cdef double SMALLEST = 1e-145            # likewise the length of a column, or above the largest
cdef double LARGEST = 1e150
cdef double LEAST_PART = 1e-140          # of the residuals, that a parameter makes
cdef double JUMP = 1e-3                  # of the residuals: a difference above it is a jump where that on the other side of x is
cdef double ALONE = 0.1                  # so small a share of it
cdef columns_t COLUMNS = (<columns_t *> kernels("fitting.columns", "_table", b"mflow_core._columns"))[0]


cdef int allocate(marquardt_t *s) noexcept nogil:
    """Room for m residuals of n parameters, in one block that the caller frees; lower and upper are infinite."""
    cdef ptrdiff_t m = ((s.m if s.m > s.n else s.n) + 7) // 8 * 8, n = s.n, j
    cdef double *at = <double *> calloc(M_VECTORS * m + 3 * s.m * n + 2 * n * n + N_VECTORS * n + 2 * n + 8, sizeof(double))
    if at == NULL:
        return MF_E_MEMORY
    s.block, s.ear.poll = at, NULL
    s.f, s.trial, s.r, s.b, s.root, s.other = at, at + m, at + 2 * m, at + 3 * m, at + 4 * m, at + 5 * m
    at += M_VECTORS * m
    s.J, s.J_new, s.A = at, at + s.m * n, at + 2 * s.m * n
    at += 3 * s.m * n
    s.R, s.S = at, at + n * n
    at += 2 * n * n
    s.x, s.new, s.move, s.moved, s.D, s.norms, s.g = at, at + n, at + 2 * n, at + 3 * n, at + 4 * n, at + 5 * n, at + 6 * n
    s.lower, s.upper, s.steps, s.least, s.size = at + 7 * n, at + 8 * n, at + 9 * n, at + 10 * n, at + 11 * n
    s.top, s.edge, s.at, s.w, s.z, s.room = at + 12 * n, at + 13 * n, at + 14 * n, at + 15 * n, at + 16 * n, at + 17 * n
    at += N_VECTORS * n
    s.fixed = <int32_t *> at
    s.seen_zero, s.columns, s.pivot = s.fixed + n, s.fixed + 2 * n, s.fixed + 3 * n
    for j in range(n):
        s.lower[j], s.upper[j], s.edge[j] = -INFINITY, INFINITY, NAN
    restart(s)
    return 0


cdef void restart(marquardt_t *s) noexcept nogil:
    """As before the first evaluation, for another start or other data."""
    cdef ptrdiff_t j
    s.delta, s.lam, s.work, s.lost = -1.0, 0.0, 0.0, 0.0
    s.nit = s.nfev = s.njev = s.calls = 0
    s.idle = s.still = s.ended = s.bent = 0
    s.raised = False
    s.dirty = s.stale = s.zeros = False
    s.ear.work, s.ear.heard = 0.0, 0
    s.cost = s.steepest = s.cosine = s.noise = s.plane = s.length = s.first = NAN
    if not s.own_scale:
        memset(s.D, 0, s.n * sizeof(double))
    for j in range(s.n):
        s.size[j] = s.top[j] = 0.0
        s.seen_zero[j] = 0


# ---- evaluations --------------------------------------------------------------------------------------------------------------------

cdef bint finite(const double *v, ptrdiff_t n) noexcept nogil:
    """In four sums, of which none waits for another."""
    cdef double p = 0.0, q = 0.0, r = 0.0, s = 0.0
    cdef ptrdiff_t i = 0
    while i + 4 <= n:
        p += v[i] - v[i]
        q += v[i + 1] - v[i + 1]
        r += v[i + 2] - v[i + 2]
        s += v[i + 3] - v[i + 3]
        i += 4
    while i < n:
        p += v[i] - v[i]
        i += 1
    return (p + q) + (r + s) == 0.0


cdef int cost_of(marquardt_t *s, const double *f, double *cost) noexcept nogil:
    if s.loss != NULL:
        return s.loss(f, cost, NULL, s.m, s.loss_ctx)
    cost[0] = 0.5 * dot(f, f, s.m)
    return 0


cdef double step_of(const marquardt_t *s, const double *x, ptrdiff_t j, double *second) noexcept nogil:
    """The difference step of parameter j at x, within the bounds; second: that of the other point, 0 for x itself."""
    cdef double h = usual_length(s, x, j)
    h = -h if x[j] < 0.0 else h
    second[0] = -h if s.central else 0.0
    if not s.bounded or s.lower[j] <= x[j] + h <= s.upper[j] and s.lower[j] <= x[j] + second[0] <= s.upper[j]:
        return h
    if s.central and s.lower[j] <= x[j] + 2.0 * h <= s.upper[j] or s.central and s.lower[j] <= x[j] - 2.0 * h <= s.upper[j]:
        h = h if s.lower[j] <= x[j] + 2.0 * h <= s.upper[j] else -h
        second[0] = 2.0 * h                  # both on one side
        return h
    second[0] = 0.0
    if s.lower[j] <= x[j] + h <= s.upper[j]:
        return h
    if s.lower[j] <= x[j] - h <= s.upper[j]:
        return -h
    return s.upper[j] - x[j] if s.upper[j] - x[j] > x[j] - s.lower[j] else s.lower[j] - x[j]


cdef double jump_at(const marquardt_t *s, const double *f) noexcept nogil:
    """A change of a residual over a central difference that is large beside all residuals, those at x0 included; none where they are
    rounded to multiples, whose steps say in their mean how they slope."""
    cdef double size = sqrt(dot(f, f, s.m))
    if s.grain > 0.0:
        return INFINITY
    return JUMP * (s.first if s.first > size else size)


cdef inline double central(double up, double f, double other, double h, double back, double jump) noexcept nogil:
    """(f(x + h) - f(x - back))/(h + back); where f jumps on one side alone, the slope on the other, on which x itself lies."""
    cdef double a = fabs(up - f), b = fabs(f - other)
    if a > jump and b < ALONE * a:
        return (f - other) / back
    if b > jump and a < ALONE * b:
        return (up - f) / h
    return (up - other) / (h + back)


cdef int differenced(marquardt_t *s, const double *x, const double *f, double *J) noexcept nogil:
    """J by differences: forward, central, or of three points on one side where a bound is near."""
    cdef ptrdiff_t m = s.m, n = s.n, i, j
    cdef double h, second, down, jump = jump_at(s, f) if s.central else 0.0
    cdef double *up = s.b                # needed no longer: `factor` makes it anew
    cdef double *other = s.other
    cdef int status
    if s.groups > 0:
        return by_groups(s, x, f, J)
    memcpy(s.at, x, n * sizeof(double))
    for j in range(n):
        s.size[j] = fabs(x[j]) if fabs(x[j]) > s.size[j] else s.size[j]
        if s.fixed[j]:
            for i in range(m):
                J[i * n + j] = 0.0
            continue
        h = step_of(s, x, j, &second)
        s.at[j] = x[j] + h
        h = s.at[j] - x[j]
        s.calls += 1
        status = s.fun(s.at, up, NULL, m, n, s.ctx)
        if status == 0 and second != 0.0:
            s.at[j] = x[j] + second
            second = s.at[j] - x[j]
            s.calls += 1
            status = s.fun(s.at, other, NULL, m, n, s.ctx)
        s.at[j] = x[j]
        if status != 0:
            return status
        if second == 0.0:
            for i in range(m):
                J[i * n + j] = (up[i] - f[i]) / h
        elif (second < 0.0) != (h < 0.0):
            for i in range(m):
                J[i * n + j] = central(up[i], f[i], other[i], h, -second, jump)
        else:                            # f'(0) of the parabola through 0, h and second
            down = h * second * (second - h)
            for i in range(m):
                J[i * n + j] = ((up[i] - f[i]) * second * second - (other[i] - f[i]) * h * h) / down
    return 0


cdef inline double quotient(double up, double other, double f, double h, double second, double jump) noexcept nogil:
    """As in `differenced`."""
    if second == 0.0:
        return (up - f) / h
    if (second < 0.0) != (h < 0.0):
        return central(up, f, other, h, -second, jump)
    return ((up - f) * second * second - (other - f) * h * h) / (h * second * (second - h))


cdef int by_groups(marquardt_t *s, const double *x, const double *f, double *J) noexcept nogil:
    """J likewise, by one point, or two, for all columns of a group; entries outside of the pattern are 0."""
    cdef ptrdiff_t m = s.m, n = s.n, g, i, j, e
    cdef double *h = s.room              # of each column, and the second one: as above
    cdef double *second = s.room + n
    cdef double jump = jump_at(s, f) if s.central else 0.0
    cdef bint some, two
    cdef int status
    memset(J, 0, m * n * sizeof(double))
    for g in range(s.groups):
        memcpy(s.at, x, n * sizeof(double))
        some = two = False
        for j in range(n):
            if s.group[j] != g or s.fixed[j]:
                continue
            s.size[j] = fabs(x[j]) if fabs(x[j]) > s.size[j] else s.size[j]
            s.at[j] = x[j] + step_of(s, x, j, second + j)
            h[j] = s.at[j] - x[j]
            some, two = True, two or second[j] != 0.0
        if not some:
            continue
        s.calls += 1
        status = s.fun(s.at, s.b, NULL, m, n, s.ctx)
        if status == 0 and two:
            for j in range(n):
                if s.group[j] == g and not s.fixed[j]:
                    s.at[j] = x[j] + second[j]
                    second[j] = s.at[j] - x[j]
            s.calls += 1
            status = s.fun(s.at, s.other, NULL, m, n, s.ctx)
        if status != 0:
            return status
        for j in range(n):
            if s.group[j] == g and not s.fixed[j]:
                for e in range(s.indptr[j], s.indptr[j + 1]):
                    i = s.indices[e]
                    J[i * n + j] = quotient(s.b[i], s.other[i], f[i], h[j], second[j], jump)
    return 0


cdef void clear_fixed(const marquardt_t *s, double *J) noexcept nogil:
    cdef ptrdiff_t i, j
    for j in range(s.n):
        if s.fixed[j]:
            for i in range(s.m):
                J[i * s.n + j] = 0.0


cdef int jacobian(marquardt_t *s, const double *x, const double *f, double *J) noexcept nogil:
    """The Jacobian as the function gives it, or by differences; columns of fixed parameters are 0."""
    cdef int status
    s.njev += 1
    s.work += <double> s.m * <double> s.n
    if s.differences:
        return differenced(s, x, f, J)
    status = s.fun(x, NULL, J, s.m, s.n, s.ctx)
    clear_fixed(s, J)
    return status


# ---- a point and its factorisation --------------------------------------------------------------------------------------------------

cdef void transposed(const marquardt_t *s) noexcept nogil:
    """A: the columns of J."""
    COLUMNS.spread(s.J, NULL, s.m, s.n, s.A, NULL, NULL)


cdef void factor(marquardt_t *s, const double *r) noexcept nogil:
    """R and w = -Q'r of the columns J_j/D_j in s.columns. A holds all columns of J, and is overwritten."""
    cdef ptrdiff_t m = s.m, k = s.k, a, j
    memcpy(s.b, r, m * sizeof(double))
    COLUMNS.factor(s.A, s.b, s.D, s.columns, m, k, s.pivot, s.z, s.room, &s.ear)
    if s.ear.heard != 0:
        return
    triangle_of(s.A, s.z, m, k, s.R)
    for a in range(k):
        s.w[a] = -s.b[a]
    for a in range(k):
        j = s.columns[s.pivot[a]]
        s.room[a] = s.norms[j] / unit(s, j)
    s.rank = rank_of(s.R, s.room, k, <double> m * EPS)
    for a in range(s.rank, k):           # rounding, which the shortest step must not follow
        s.w[a] = 0.0
        memset(s.R + a * k + a, 0, (k - a) * sizeof(double))
    s.work += 3.0 * <double> m * <double> (k * (k + 1))


cdef void free_columns(marquardt_t *s) noexcept nogil:
    """s.columns: the parameters that may move; one at a bound rests where the cost would push it out."""
    cdef ptrdiff_t j
    s.k = 0
    for j in range(s.n):
        if rests(s, j):
            continue
        s.columns[s.k] = <int32_t> j
        s.k += 1


cdef double turned_by_grain(const marquardt_t *s) noexcept nogil:
    """By how much rounding to multiples may turn a column of differences, and a third derivative over steps so long."""
    cdef double h, second, scale, part, most = 0.0, longest = 0.0
    cdef ptrdiff_t j
    for j in range(s.n):
        if s.fixed[j]:
            continue
        h = fabs(step_of(s, s.x, j, &second))
        part = 3.0 * s.grain * (sqrt(0.5) if s.central else sqrt(2.0)) / h / (s.norms[j] if s.norms[j] > 0.0 else 1.0)
        most = part if part > most else most
        scale = fabs(s.x[j])
        scale = s.floor * s.size[j] if s.floor * s.size[j] > scale else scale
        part = h / (scale if scale > 0.0 else 1.0)
        longest = part if part > longest else longest
    most = most + (longest * longest if s.central else 0.0)
    return most if most < 1.0 else 1.0


cdef void in_other_units(marquardt_t *s, ptrdiff_t j) noexcept nogil:
    """The length of a column whose squares under- or overflow, where the parameter is so large, or small, that it counts."""
    cdef double size = scaled_norm(s.m, s.A + j * s.m, NULL, 1.0)
    if size > 1.0 or size * fabs(s.x[j]) > LEAST_PART:
        s.norms[j] = size


cdef void look(marquardt_t *s) noexcept nogil:
    """Scale, gradient and factors of the point x, where f and J are known; r and J have the weights of the loss."""
    cdef ptrdiff_t m = s.m, j, a
    cdef double spread = 0.0, share, blur = 0.0
    COLUMNS.spread(s.J, s.r, m, s.n, s.A, s.norms, s.g)
    s.steepest = 0.0
    s.length = length(s.r, m)
    for j in range(s.n):
        if not SMALLEST < s.norms[j] < LARGEST:
            in_other_units(s, j)
        if not s.own_scale and s.norms[j] > s.D[j]:
            s.D[j] = s.norms[j]
        spread += s.norms[j] * fabs(s.x[j])
        if s.differences and s.norms[j] == 0.0 and not s.fixed[j] and not s.seen_zero[j]:
            s.zeros = True
    free_columns(s)
    for a in range(s.k):
        j = s.columns[a]
        share = fabs(s.g[j]) / (s.norms[j] if s.norms[j] > 0.0 else 1.0)
        s.steepest = share if share > s.steepest or share != share else s.steepest
    s.cosine = s.steepest / s.length if s.length > 0.0 else 0.0
    if s.differences:
        blur = 10.0 * s.blur if s.eps > EPS else 1.4901161193847656e-06
    elif s.eps > EPS:
        blur = 400.0 * s.eps
    s.rounding = 400.0 * s.eps * spread
    s.noise = s.rounding + blur * (s.length + spread)
    if s.grain > 0.0:                    # residuals that move in quanta: their errors do not grow with them
        s.lost = turned_by_grain(s) if s.differences else 0.0
        s.rounding, s.noise = sqrt(3.0 * <double> m) * s.grain, 3.0 * s.grain + s.lost * s.length
        if s.differences:
            s.blur = s.lost
    if s.ended != 0:                     # no step goes on from here: the factors are made where somebody asks for them
        s.dirty, s.stale = True, False
        return
    factor(s, s.r)
    s.dirty = s.ear.heard != 0
    if s.dirty:
        return
    s.plane = length(s.w, s.rank)
    s.stale = False


cdef int weigh(marquardt_t *s) noexcept nogil:
    """r and J from f and J as it was given: with a loss their squares lie above it and touch it here."""
    cdef double cost
    cdef ptrdiff_t i, j
    cdef int status
    if s.loss == NULL:
        memcpy(s.r, s.f, s.m * sizeof(double))
        return 0
    status = s.loss(s.f, &cost, s.root, s.m, s.loss_ctx)
    for i in range(s.m):
        s.r[i] = s.root[i] * s.f[i]
        for j in range(s.n):
            s.J[i * s.n + j] = s.root[i] * s.J[i * s.n + j]
    return status


cdef int weigh_residuals(marquardt_t *s) noexcept nogil:
    """r from f, where J has its weights."""
    cdef double cost
    cdef ptrdiff_t i
    cdef int status
    if s.loss == NULL:
        memcpy(s.r, s.f, s.m * sizeof(double))
        return 0
    status = s.loss(s.f, &cost, s.root, s.m, s.loss_ctx)
    for i in range(s.m):
        s.r[i] = s.root[i] * s.f[i]
    return status


cdef bint underflows(const marquardt_t *s) noexcept nogil:
    """Whether squares of residuals that are not 0 have lost digits: no step could be judged by them."""
    cdef ptrdiff_t i
    if s.cost < LEAST:
        for i in range(s.m):
            if s.f[i] != 0.0:
                return True
    return False


cdef int begin(marquardt_t *s, bint has_residuals) noexcept nogil:
    """The first evaluation, unless f is known. BAD_START where a number is not finite: f, cost and J tell which."""
    cdef int status
    if not has_residuals:
        s.nfev += 1
        s.calls += 1
        status = s.fun(s.x, s.f, NULL, s.m, s.n, s.ctx)
        if status != 0:
            return status
    memset(s.J, 0, s.m * s.n * sizeof(double))
    status = cost_of(s, s.f, &s.cost)
    if status != 0 or not s.cost - s.cost == 0.0 or underflows(s):
        return status if status != 0 else BAD_START
    memcpy(s.top, s.x, s.n * sizeof(double))
    status = renew(s)
    s.first = s.length
    return status


cdef int renew(marquardt_t *s) noexcept nogil:
    """The Jacobian at x, and what follows from it; BAD_START where it is not finite."""
    cdef int status = jacobian(s, s.x, s.f, s.J)
    s.ended = 0                          # a step may go on from here
    if status == 0 and not finite(s.J, s.m * s.n):
        return BAD_START
    if status == 0:
        status = weigh(s)
    if status == 0:
        look(s)
        status = s.ear.heard
    return status
