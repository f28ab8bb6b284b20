"""Motion on constraints: M x'' = F(t, x, v) - G(x)'lambda, g(x) = 0, G = dg/dx.

Explicit methods are RATTLE (hooks.pxd): kernels hand over a drift x1 = x0 + h v1, and with W = rows M^-1 G(x0)_j

    x1 -= W'mu,    v1 -= W'mu / h,    g(x1) = 0                by Newton's iteration with the matrix G(x1 of the drift) W'
    v1 -= W1'nu,   G(x1) v1 = 0                                at the end of the step

to rounding: the last correction is made where it is below it, so that no bias is left for the energy to drift with. Implicit methods solve

    a = w M^-1 (F(t, xp + bx a, vp + bv a) - G(x)'lambda) + q,     g(xp + bx a) = 0, or G(xp) (vp + bv a) = 0 where bx is 0

for a and lambda: the problem without constraints is solved with q - w W'lambda in place of q, and lambda is corrected by a matrix of
its answers, which is kept while it does. At a state alone (bx = bv = 0) lambda follows from G a + (dG/ds) v = 0, s along v. Newmark's
steps end there as well, which keeps their multipliers from oscillating (A. Cardona and M. Geradin, Comput. Struct. 33 (1989) 801-820); the
alpha methods damp that (M. Arnold and O. Bruels, Multibody Syst. Dyn. 18 (2007) 185-202).

All that is asked of g and G is kept with the point that it is of, and used for the same bits of x alone: what a step does follows from its start.
"""
from libc.math cimport INFINITY, cbrt, fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcmp, memcpy, memset

from mflow_core.dynamics.structure cimport body_solve
from mflow_core.solvers.matrix cimport LINALG
from mflow_core.types cimport MF_E_SOLVE, MF_RETRY_NON_FINITE, MF_RETRY_SOLVE

cdef enum:
    MOST = 50                            # iterations
    GROWN = 4                            # of them that may be farther off than the one before

cdef double EPS = 2.220446049250313e-16
cdef double DEPENDENT = 1e-12            # share of a gradient, squared, that the others leave


# ---- small linear algebra ---------------------------------------------------------------------------------------------------------------

cdef double dot(ptrdiff_t n, const double *a, const double *b) noexcept nogil:
    cdef double sum = 0.0
    cdef ptrdiff_t i
    for i in range(n):
        sum = sum + a[i] * b[i]
    return sum


cdef inline void take_off(ptrdiff_t n, ptrdiff_t m, const double *W, const double *lam, double scale, double *x) noexcept nogil:
    """x -= scale W'lam."""
    cdef double c
    cdef ptrdiff_t i, j
    for j in range(m):
        c = scale * lam[j]
        for i in range(n):
            x[i] = x[i] - c * W[j * n + i]


cdef double largest(ptrdiff_t n, const double *x) noexcept nogil:
    """NaN where one of them is."""
    cdef double most = 0.0
    cdef ptrdiff_t i
    for i in range(n):
        most = fabs(x[i]) if fabs(x[i]) > most or x[i] != x[i] else most
        if most != most:
            return most
    return most


cdef int cholesky(ptrdiff_t m, double *A) noexcept nogil:
    """In place, in the lower triangle. 0, or the row (from 1) that depends on those before."""
    cdef double sum
    cdef ptrdiff_t i, j, k
    for i in range(m):
        for j in range(i + 1):
            sum = A[i * m + j]
            for k in range(j):
                sum = sum - A[i * m + k] * A[j * m + k]
            if i == j:
                if not sum > DEPENDENT * A[i * m + i]:
                    return <int> i + 1
                A[i * m + i] = sqrt(sum)
            else:
                A[i * m + j] = sum / A[j * m + j]
    return 0


cdef void cholesky_solve(ptrdiff_t m, const double *L, double *b) noexcept nogil:
    cdef ptrdiff_t i, k
    for i in range(m):
        for k in range(i):
            b[i] = b[i] - L[i * m + k] * b[k]
        b[i] = b[i] / L[i * m + i]
    for i in range(m - 1, -1, -1):
        for k in range(i + 1, m):
            b[i] = b[i] - L[k * m + i] * b[k]
        b[i] = b[i] / L[i * m + i]


# ---- points -----------------------------------------------------------------------------------------------------------------------------

cdef int values_at(constraint_t *c, const double *x) noexcept nogil:
    c.n_g += 1
    return c.g(x, c.value, c.n, c.g_ctx)


cdef int gradients_at(constraint_t *c, const double *x, double *G) noexcept nogil:
    c.n_jac += 1
    return c.jac(x, G, c.n, c.jac_ctx)


cdef int take_point(constraint_t *c, const double *x) noexcept nogil:
    """G, W and L of x."""
    cdef ptrdiff_t n = c.n, m = c.m, i, j
    cdef int status
    if c.known and memcmp(x, c.at, n * sizeof(double)) == 0:
        return 0
    c.known = False
    status = gradients_at(c, x, c.G)
    if status != 0:
        return status
    memcpy(c.W, c.G, m * n * sizeof(double))
    for j in range(m):
        status = body_solve(c.body, c.W + j * n)
        if status != 0:
            return status
    for i in range(m):
        for j in range(i + 1):
            c.L[i * m + j] = dot(n, c.G + i * n, c.W + j * n)
            if c.L[i * m + j] - c.L[i * m + j] != 0.0:
                return MF_RETRY_NON_FINITE
    c.failed = cholesky(m, c.L)
    if c.failed != 0:
        return MF_E_SOLVE
    memcpy(c.at, x, n * sizeof(double))
    c.known = True
    return 0


cdef double size_of_values(constraint_t *c, const double *G, const double *x, double reach) noexcept nogil:
    """What g is made of, roughly, at its largest: rounding leaves some EPS of it. reach: a length beside those of x."""
    cdef double most = 0.0, sum, length = largest(c.n, x)
    cdef ptrdiff_t i, j
    length = length if length > reach else reach
    for j in range(c.m):
        sum = 0.0
        for i in range(c.n):
            sum = sum + fabs(G[j * c.n + i])
        most = sum if sum > most else most
    return most * length


# ---- RATTLE -----------------------------------------------------------------------------------------------------------------------------

cdef int drift_matrix(constraint_t *c, const double *x1) noexcept nogil:
    """A1 = G(x1) W', factored."""
    cdef ptrdiff_t n = c.n, m = c.m, i, j
    cdef int status = gradients_at(c, x1, c.G1)
    if status != 0:
        return status
    for i in range(m):
        for j in range(m):
            c.A1[i * m + j] = dot(n, c.G1 + i * n, c.W + j * n)
    if LINALG.lu_factor(m, c.A1, c.pivots) != 0:
        c.failed = -1
        return MF_RETRY_SOLVE
    return 0


cdef int moved(double h, const double *x0, double *x1, double *v1, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef constraint_t *c = <constraint_t *> ctx
    cdef double size, before = INFINITY, floor, reach
    cdef ptrdiff_t j
    cdef bint last = False
    cdef int it, grown = 0, status = take_point(c, x0) if x0 != NULL else 0
    if status == 0:
        status = drift_matrix(c, x1)
    if status != 0:
        return status
    reach = fabs(h) * largest(n, v1) if v1 != NULL else 0.0
    floor = EPS * size_of_values(c, c.G1, x1, reach)
    memset(c.change, 0, c.m * sizeof(double))
    for it in range(MOST):
        status = values_at(c, x1)
        if status != 0:
            return status
        size = largest(c.m, c.value)
        if size - size != 0.0:
            return MF_RETRY_NON_FINITE
        grown += it > 0 and size > before
        if grown == GROWN:
            break
        last = size <= floor or (it > 0 and size * (size / before) <= 0.25 * floor)
        if not last and it > 2 and size > 0.5 * before:
            if size <= 1e4 * floor:
                break
            status = drift_matrix(c, x1)     # it converges slowly: with the matrix of this point
            if status != 0:
                return status
        before = size
        LINALG.lu_solve(c.m, c.A1, c.pivots, c.value)
        take_off(n, c.m, c.W, c.value, 1.0, x1)
        for j in range(c.m):
            c.change[j] = c.change[j] + c.value[j]
        if last:
            break
    if not last and size > 1e4 * floor:
        c.failed = -1
        return MF_RETRY_SOLVE
    if v1 != NULL and h != 0.0:
        take_off(n, c.m, c.W, c.change, 1.0 / h, v1)
    return take_point(c, x1)


cdef int ended(double t, const double *x1, double *v1, double *a1, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef constraint_t *c = <constraint_t *> ctx
    cdef ptrdiff_t j
    cdef int status = take_point(c, x1)
    if status != 0:
        return status
    for j in range(c.m):
        c.value[j] = dot(n, c.G + j * n, v1)
    cholesky_solve(c.m, c.L, c.value)
    take_off(n, c.m, c.W, c.value, 1.0, v1)
    return on_constraints(c, t, x1, v1, a1) if a1 != NULL else 0


# ---- accelerations ----------------------------------------------------------------------------------------------------------------------

cdef int forces_alone(constraint_t *c, double t, const double *x, const double *v, double *a) noexcept nogil:
    """a = M^-1 F(t, x, v)."""
    if c.inner.accel != NULL:
        return c.inner.accel(t, x, v, a, c.n, c.inner.ctx)
    memset(a, 0, c.n * sizeof(double))
    return c.inner.solve_accel(t, 1.0, x, v, 0.0, 0.0, NULL, a, c.n, c.inner.ctx)


cdef int bend(constraint_t *c, const double *x, const double *v, double s, double *out) noexcept nogil:
    """out = d^2 g/ds^2 at x + s v, by the second difference of g: that of a differenced G would have lost more digits."""
    cdef ptrdiff_t i, j
    cdef int side, status
    for side in range(-1, 2):
        for i in range(c.n):
            c.x[i] = x[i] + side * s * v[i]
        status = values_at(c, c.x)
        if status != 0:
            return status
        for j in range(c.m):
            out[j] = out[j] + (-2.0 if side == 0 else 1.0) * c.value[j]
    for j in range(c.m):
        out[j] = out[j] / (s * s)
    return 0


cdef int along(constraint_t *c, const double *x, const double *v, double *out) noexcept nogil:
    """out = (dG/ds) v at x + s v, by a central difference."""
    cdef double speed = largest(c.n, v), length = largest(c.n, x), s
    cdef ptrdiff_t i, j
    cdef int side, status
    memset(out, 0, c.m * sizeof(double))
    if speed == 0.0:
        return 0
    length = (length if length > 0.0 else 1.0) / speed
    if c.differenced:
        return bend(c, x, v, sqrt(sqrt(EPS)) * length, out)
    s = cbrt(EPS) * length
    for side in range(2):
        for i in range(c.n):
            c.x[i] = x[i] + (s if side == 0 else -s) * v[i]
        status = gradients_at(c, c.x, c.G1)
        if status != 0:
            return status
        for j in range(c.m):
            out[j] = out[j] + (1.0 if side == 0 else -1.0) * dot(c.n, c.G1 + j * c.n, v)
    for j in range(c.m):
        out[j] = out[j] / (2.0 * s)
    return 0


cdef int project_acceleration(constraint_t *c, const double *x, const double *v, double *a) noexcept nogil:
    """a -= W'lam with G a + (dG/ds) v = 0."""
    cdef ptrdiff_t j
    cdef int status = take_point(c, x)
    if status == 0:
        status = along(c, x, v, c.lam)
    if status != 0:
        return status
    for j in range(c.m):
        c.lam[j] = c.lam[j] + dot(c.n, c.G + j * c.n, a)
    cholesky_solve(c.m, c.L, c.lam)
    take_off(c.n, c.m, c.W, c.lam, 1.0, a)
    return 0


cdef int on_constraints(constraint_t *c, double t, const double *x, const double *v, double *a) noexcept nogil:
    cdef int status = forces_alone(c, t, x, v, a)
    return project_acceleration(c, x, v, a) if status == 0 else status


cdef int constrained_accel(double t, const double *x, const double *v, double *a, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef constraint_t *c = <constraint_t *> ctx
    return on_constraints(c, t, x, v, a) if c.whole else forces_alone(c, t, x, v, a)


cdef int answer(constraint_t *c, double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q, double *a) noexcept nogil:
    """a with the multipliers at hand, at the G at hand."""
    if q == NULL:
        memset(c.q, 0, c.n * sizeof(double))
    else:
        memcpy(c.q, q, c.n * sizeof(double))
    take_off(c.n, c.m, c.W, c.lam, w, c.q)
    return c.inner.solve_accel(t, w, xp, vp, bx, bv, c.q, a, c.n, c.inner.ctx)


cdef int learn(constraint_t *c, double t, double w, const double *xp, const double *vp, double bx, double bv, const double *a) noexcept nogil:
    """J: by how much G a falls as each multiplier grows; c.q holds the q of a."""
    cdef ptrdiff_t n = c.n, m = c.m, i, j
    cdef double size, scale
    cdef double *b = c.x
    cdef int status
    c.J_ready = False
    for j in range(m):
        size, scale = largest(n, a), largest(n, c.W + j * n)
        scale = 1e-3 * (size if size > 0.0 else 1.0) / scale
        for i in range(n):
            c.a[i] = c.q[i] + scale * c.W[j * n + i]
        memcpy(b, a, n * sizeof(double))
        status = c.inner.solve_accel(t, w, xp, vp, bx, bv, c.a, b, n, c.inner.ctx)
        if status != 0:
            return status
        for i in range(n):
            b[i] = (b[i] - a[i]) * (w / scale)
        for i in range(m):
            c.J[i * m + j] = dot(n, c.G + i * n, b)
    memcpy(c.J_lu, c.J, m * m * sizeof(double))
    if LINALG.lu_factor(m, c.J_lu, c.J_pivots) != 0:
        c.failed = -1
        return MF_RETRY_SOLVE
    c.w, c.bx, c.bv, c.J_ready = w, bx, bv, True
    return 0


cdef int residual(constraint_t *c, const double *xp, const double *vp, double bx, double bv, const double *a, double *floor) noexcept nogil:
    """c.value: g(xp + bx a)/bx, or G (vp + bv a)/bv; what rounding leaves of it."""
    cdef ptrdiff_t i, j
    cdef double by = bx if bx != 0.0 else bv
    cdef int status = 0
    for i in range(c.n):
        c.x[i] = xp[i] + bx * a[i] if bx != 0.0 else vp[i] + bv * a[i]
    floor[0] = 4.0 * EPS * size_of_values(c, c.G, c.x, 0.0) / fabs(by)
    if bx != 0.0:
        status = values_at(c, c.x)
    else:
        for j in range(c.m):
            c.value[j] = dot(c.n, c.G + j * c.n, c.x)
    for j in range(c.m):
        c.value[j] = c.value[j] / by
    return status


cdef int constrained_solve(double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q, double *a, ptrdiff_t n,
                           void *ctx) noexcept nogil:
    cdef constraint_t *c = <constraint_t *> ctx
    cdef double size, before = INFINITY, floor
    cdef ptrdiff_t i, j
    cdef int it, grown = 0, status
    if bx == 0.0 and bv == 0.0:
        status = c.inner.solve_accel(t, w, xp, vp, bx, bv, q, a, n, c.inner.ctx)
        return project_acceleration(c, xp, vp, a) if status == 0 else status
    for i in range(n):
        c.x[i] = xp[i] + bx * a[i]
    status = take_point(c, c.x)
    for it in range(MOST):
        if status == 0:
            status = answer(c, t, w, xp, vp, bx, bv, q, a)
        if status == 0 and not (c.J_ready and c.w == w and c.bx == bx and c.bv == bv):
            status = learn(c, t, w, xp, vp, bx, bv, a)
        if status == 0:
            status = residual(c, xp, vp, bx, bv, a, &floor)
        if status != 0:
            return status
        size = largest(c.m, c.value)
        if size - size != 0.0:
            return MF_RETRY_NON_FINITE
        if size <= floor or (it > 3 and size > 0.5 * before and size <= 1e4 * floor):
            return 0
        grown += it > 0 and size > before
        if grown == GROWN:
            break
        if it > 1 and size > 0.3 * before:   # slow: the answers of this state
            status = learn(c, t, w, xp, vp, bx, bv, a)
            if status == 0:
                status = residual(c, xp, vp, bx, bv, a, &floor)
        before = size
        LINALG.lu_solve(c.m, c.J_lu, c.J_pivots, c.value)
        for j in range(c.m):
            c.lam[j] = c.lam[j] + c.value[j]
        if status == 0 and bx != 0.0:
            status = take_point(c, c.x)
    c.failed = -1
    return MF_RETRY_SOLVE


# ---- energies ---------------------------------------------------------------------------------------------------------------------------

cdef int constrained_energy(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n, void *ctx) noexcept nogil:
    """Those of the forces: constraints do no work."""
    cdef constraint_t *c = <constraint_t *> ctx
    return c.inner.energy(t0, y0, t1, y1, e, n, c.inner.ctx)
