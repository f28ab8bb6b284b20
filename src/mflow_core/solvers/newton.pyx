"""Newton's iteration for implicit steps: z - gh f(t, z) = r, solved without Python, for compiled problems and for Python functions.

    d_k = M^-1 (r + gh f(t, z_k) - z_k),    z_(k+1) = z_k + d_k,    M = I - gh J

Simplified Newton: J and the factors of M are kept over iterations, stages and steps while they converge. M is factored again when gh
has changed by more than a fifth. A smaller change scales d by 2 / (1 + gh / gh_factored), which is exact for large stiffness and halves
the error elsewhere. J is evaluated again when an old one converges slowly or not at all. The iteration ends when eta |d_k| <= tol, eta =
theta / (1 - theta) by the rate theta (Hairer and Wanner, Solving Ordinary Differential Equations II (1996), IV.8), but at least TRUSTED.

There are two kinds of runs. Error-controlled runs set weights w_i = 1 / (atol + rtol |y_i|), stop at a small fraction of the tolerances,
and shrink the step if nothing else helps. Fixed steps have no tolerances and converge to rounding. Where simplified Newton fails they
continue with full Newton, damped by the natural test |M^-1 G(z + lambda d)| <= (1 - lambda/4) |d| (Deuflhard, Newton Methods for
Nonlinear Problems (2004), 3.3). Error-controlled runs that meet a slope that is not finite halve the update that led there; where it is
the start value, extrapolated from other stages, that lies outside the domain, they start from the state of the step. An infinite gh asks
for the steady state, f(t, z) = 0, with M = -J: always full Newton.

With a mass matrix the equation is M z - gh f(t, z) = r, and its matrix M - gh J, with M(t) where M depends on time: all else is the same.

r and z may not overlap. What decides later bits is written by stages/resumed.pyx.
"""
from libc.math cimport INFINITY, NAN, fabs, sqrt
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from mflow_core.arithmetic.memory cimport mf_zeros, stride_of
from mflow_core.registry cimport REDUCE
from mflow_core.solvers.spectrum.growth cimport factor_watched, growth_forget
from mflow_core.solvers.matrix cimport (BY_CALLBACK, BY_DIFFERENCES, DENSE, IDENTITY, KRYLOV, NOTHING, finite, matrix_factor, matrix_jacobian,
                                matrix_make, matrix_refresh, matrix_release, matrix_rhs, matrix_solve, weighted_norm)
from mflow_core.solvers.stages.mass cimport mass_forget, mass_times, scale_rows
from mflow_core.solvers.stages.overstated cimport may_be_compared, overstated
from mflow_core.solvers.stages.doubted cimport NOTHING_SAID, is_no_evidence, of_another_place
from mflow_core.solvers.stages.scaled cimport left_by_gmres, size_of_residual, unsolved
from mflow_core.types cimport MF_RETRY_NON_FINITE, MF_RETRY_SOLVE

EPS = 2.220446049250313e-16
cdef double FRACTION = 0.2                # of the tolerances to which stages are solved; more shows in the error, less costs evaluations
cdef double SLOW = 0.1                   # a rate above it lets J be evaluated again, under error control and in fixed steps
cdef double SLOW_FIXED = 0.3, TRUSTED = 0.08      # the least eta; tol if that is smaller, and where algebraic equations are left as they are
cdef double LEAST_SIZE = 1e-150          # without tolerances: squares of slopes in units of it stay finite
RESIDUAL = 1e-13                         # without a matrix, in the weights of both ends
LONG = 6e-6                              # relative length of a difference that must be right to three digits
ROUNDED = 5e-9                           # relative: what updates below it do is rounding, and no sign of another root
cdef double TINY = 1e-290                # no weight overflows, however far a solution has died away

cdef enum:
    MAX_NON_FINITE = 16                  # slopes that are not finite, before a solve gives up
    HALVINGS = 12
    VECTORS = 13


# ---- making one -----------------------------------------------------------------------------------------------------------------------

cdef void newton_defaults(newton_config_t *c, bint has_jacobian) noexcept nogil:
    """The configuration of mflow.nonlinear.Newton(): dense, with the Jacobian of the problem or one by differences."""
    memset(c, 0, sizeof(newton_config_t))
    c.matrix.kind = DENSE
    c.matrix.source = BY_CALLBACK if has_jacobian else BY_DIFFERENCES
    c.max_iter, c.fraction, c.tol = 10, 0.0, 1e-14


cdef newton_t *newton_make(const newton_config_t *c, const mf_problem *inner, ptrdiff_t n, mf_jac_fn jac, void *jac_ctx) noexcept nogil:
    """A new solver, or NULL if there is no memory. jac NULL: that of inner."""
    cdef newton_t *s = <newton_t *> calloc(1, sizeof(newton_t))
    cdef ptrdiff_t padded = stride_of(n)
    cdef double *at
    if s == NULL:
        return NULL
    s.block = mf_zeros(VECTORS * padded * sizeof(double) + 64, 1)
    if s.block == NULL or matrix_make(&s.m, &c.matrix, n) != 0:
        free(s.block)
        free(s)
        return NULL
    at = <double *> ((<uintptr_t> s.block + 63) // 64 * 64)
    s.guess, s.f, s.d = at, at + padded, at + 2 * padded
    s.trial, s.next_d, s.bar = at + 3 * padded, at + 4 * padded, at + 5 * padded
    s.checked, s.start, s.slope = at + 6 * padded, at + 7 * padded, at + 8 * padded
    s.root, s.mix = at + 9 * padded, at + 10 * padded
    s.seen, s.said = at + 11 * padded, at + 12 * padded
    s.c, s.n, s.eta, s.reached = c[0], n, 1.0, NAN
    s.own_fraction = c.fraction == 0.0
    if s.own_fraction:
        s.c.fraction = FRACTION
    s.m.rhs, s.m.rhs_ctx = inner.rhs, inner.ctx
    s.m.jac = inner.jac if jac == NULL else jac
    s.m.jac_ctx = inner.ctx if jac == NULL else jac_ctx
    return s


cdef void newton_release(newton_t *s) noexcept nogil:
    if s != NULL:
        newton_release(s.scout)
        free(s.coupled)
        free(s.mass)
        matrix_release(&s.m)
        free(s.block)
        free(s)


# ---- weights --------------------------------------------------------------------------------------------------------------------------

cdef void newton_weights(newton_t *s, const double *y, const double *rtol, const double *atol, ptrdiff_t n_tol) noexcept nogil:
    """Weights from the tolerances of an error-controlled run (n_tol 1 or n), before each step. Tolerances below rounding are raised."""
    cdef double least = 64.0 * EPS / s.c.fraction, size
    cdef ptrdiff_t i, j
    s.controlled = True
    s.doubts = NOTHING_SAID
    s.m.unit = 1e-3
    for i in range(s.n):
        j = i if n_tol > 1 else 0
        size = max(max(atol[j] + rtol[j] * fabs(y[i]), least * fabs(y[i])), TINY)
        size = max(size, NOTHING * REDUCE.max_abs(y, s.n)) if size < NOTHING else size      # squares of weights stay finite
        s.m.size[i], s.m.weight[i] = size, 1.0 / size


cdef void weights_of_size(newton_t *s, const double *a, const double *b) noexcept nogil:
    """Weights without tolerances: the size of each entry at the larger of two points, at least a thousandth of the largest entry. A state
    that has decayed to almost nothing is measured by LEAST_SIZE: weights of its own size would overflow and end the steps."""
    cdef double top = max(REDUCE.max_abs(a, s.n), REDUCE.max_abs(b, s.n)), size
    cdef ptrdiff_t i
    if not 0.0 < top < INFINITY:
        top = 1.0
    for i in range(s.n):
        size = max(max(fabs(a[i]), fabs(b[i])), max(1e-3 * top, LEAST_SIZE))
        s.m.size[i], s.m.weight[i] = size, 1.0 / size


cdef void first_weights(newton_t *s, const double *y, const double *Z) noexcept nogil:
    """Weights of a fixed step from y to y + Z; under error control they are there."""
    cdef ptrdiff_t i
    if s.controlled:
        return
    for i in range(s.n):
        s.next_d[i] = y[i] + Z[i]
    weights_of_size(s, y, s.next_d)


cdef double goal(const newton_t *s) noexcept nogil:
    return s.c.fraction if s.controlled else s.c.tol


cdef double attainable(const newton_t *s) noexcept nogil:
    """The least update that a fixed step may ask for: f itself is right to eps |J| |z|. Without a matrix |gh J| is not known."""
    return 1e-10 if s.c.matrix.kind == KRYLOV else max(1e-10, min(16.0 * EPS * s.m.size_gh, 1e-9))


cdef bint at_rounding(newton_t *s, const double *z, double norm, bint fresh) noexcept nogil:
    """Whether an update that no longer shrinks counts as converged: it is rounding alone or, with a fresh J, well below the tolerance."""
    cdef double scale = max(REDUCE.max_abs(z, s.n), REDUCE.max_abs(s.guess, s.n))
    if REDUCE.max_abs(s.d, s.n) <= max(64.0 * EPS * scale, s.noise):
        return True
    if s.controlled or s.c.matrix.kind == IDENTITY or not s.m.look:
        return fresh and s.c.matrix.kind != IDENTITY and norm <= (0.05 if s.controlled else 1e-10)
    return fresh and norm <= attainable(s)


# ---- one evaluation -------------------------------------------------------------------------------------------------------------------

cdef int residual(newton_t *s, double t, double gh, const double *r, const double *z, double *out) noexcept nogil:
    """out = r + gh f(t, z) - z (M z with a mass matrix, by scaled rows for GMRES), or f(t, z) if gh is infinite; f stays in s.f."""
    cdef int status = matrix_rhs(&s.m, t, z, s.f)
    cdef ptrdiff_t i
    if status == MF_RETRY_NON_FINITE:
        s.non_finite += 1
    if status != 0:
        return status
    if fabs(gh) == INFINITY:
        memcpy(out, s.f, s.n * sizeof(double))
        return 0
    if s.c.matrix.mass != NULL:
        mass_times(s.c.matrix.mass, s.n, z, out)
        for i in range(s.n):
            out[i] = (r[i] - out[i]) + gh * s.f[i]
        scale_rows(s.c.matrix.mass, s.n, s.m.row, out)
        return 0
    for i in range(s.n):
        out[i] = (r[i] - z[i]) + gh * s.f[i]
    return 0


cdef int update(newton_t *s, double t, double gh, const double *z, double *d) noexcept nogil:
    """d becomes M^-1 d, with the factors of a nearby gh. A Krylov method differentiates at z, where f is s.f."""
    cdef double scale
    cdef ptrdiff_t i
    cdef int status
    if s.c.matrix.kind == IDENTITY:
        return 0
    if s.c.matrix.kind == KRYLOV:
        s.m.at, s.m.f_at, s.m.t_at, s.m.gh_at = z, s.f, t, gh
        s.m.krylov_tol = left_by_gmres(&s.m, 0.1 * goal(s), weighted_norm(&s.m, d))
        return matrix_solve(&s.m, d)
    status = matrix_solve(&s.m, d)
    if status == 0 and gh != s.m.gh:
        scale = 2.0 / (1.0 + gh / s.m.gh)
        for i in range(s.n):
            d[i] = d[i] * scale
    return status


# ---- simplified Newton ----------------------------------------------------------------------------------------------------------------

cdef double first_eta(newton_t *s, double gh, double least) noexcept nogil:
    """theta / (1 - theta) before a rate is observed: that of the previous solve to the power 3/4.

    It is no less than `least`, and than what a gh other than that of the factors costs (theta = |q - 1| / (q + 1), q their ratio).
    """
    cdef double eta = max(sqrt(sqrt(s.eta)) * sqrt(s.eta), least), ratio, theta
    if gh != s.m.gh and s.m.has_factors and s.c.matrix.kind != KRYLOV:
        ratio = gh / s.m.gh
        theta = fabs(ratio - 1.0) / (ratio + 1.0)
        eta = max(eta, theta / (1.0 - theta))
    return eta


cdef inline void note_rate(newton_t *s, int k, double norm, double theta) noexcept nogil:
    if k == 0:
        s.first = norm
    elif k == 1:
        s.rate = theta
    if theta > s.worst and (norm > ROUNDED or s.controlled):
        s.worst = theta


cdef inline bint gives_up(const newton_t *s, bint slow, int k, double norm) noexcept nogil:
    """Whether too slow an iteration ends. Fixed-point iteration may grow at first in these weights and converge yet."""
    if s.c.matrix.kind != IDENTITY or s.controlled:
        return slow
    return slow and (k == s.c.max_iter - 1 or not norm < 1e8 * s.first)


cdef int go_back(newton_t *s, double t, double gh, const double *r, double *z) noexcept nogil:
    """The last update, s.d, led to a slope that is not finite: halve it until it does not. s.d is the residual there."""
    cdef ptrdiff_t i
    cdef int _j, status = MF_RETRY_NON_FINITE
    for _j in range(HALVINGS):
        for i in range(s.n):
            s.d[i] = 0.5 * s.d[i]
            z[i] = z[i] - s.d[i]
        status = residual(s, t, gh, r, z, s.d)
        if status != MF_RETRY_NON_FINITE or s.non_finite >= MAX_NON_FINITE:
            break
    return status


cdef int compared_update(newton_t *s, double t, double gh, const double *z, double tol) noexcept nogil:
    """`update` of s.d, where J is the user's: MF_RETRY_SOLVE where it is far too large."""
    cdef ptrdiff_t i
    cdef int status
    for i in range(s.n):
        s.next_d[i] = s.d[i]
    status = update(s, t, gh, z, s.d)
    return overstated(&s.m, s.m.gh, tol, s.next_d, s.d, s.trial, False) if status == 0 else status


cdef int simplified(newton_t *s, double t, double gh, const double *r, double *z, bint fresh) noexcept nogil:
    """Iterate with the matrix as it is. Return 0, MF_RETRY_SOLVE if convergence is too slow, or the code of a callback."""
    cdef double tol = goal(s), least = tol if s.c.matrix.mass != NULL else min(tol, TRUSTED)
    cdef double norm, before = 0.0, theta = 0.0, eta = first_eta(s, gh, least)
    cdef int k, status
    cdef bint slow, first = True         # no rate is observed yet
    s.worst = s.first = s.rate = 0.0
    if not s.controlled and s.c.matrix.kind == KRYLOV:
        weights_of_size(s, z, z)
    for k in range(s.c.max_iter):
        status = residual(s, t, gh, r, z, s.d)
        if status == MF_RETRY_NON_FINITE and k > 0 and s.controlled:
            status = go_back(s, t, gh, r, z)
            first, eta = True, max(eta, 1.0)
        if status == 0:
            status = compared_update(s, t, gh, z, tol) if may_be_compared(&s.m) else update(s, t, gh, z, s.d)
        if status != 0:
            s.off_domain = k == 0 and status == MF_RETRY_NON_FINITE
            return status
        s.niter += 1
        if k == 0 and not s.controlled:
            move(s, s.trial, z, s.d, 1.0)
            weights_of_size(s, z, s.trial)
        norm = weighted_norm(&s.m, s.d)
        if not norm < INFINITY:
            return MF_RETRY_SOLVE
        if not first:
            theta = norm / before
            eta = max(theta / (1.0 - theta), least) if theta < 1.0 else INFINITY
            slow = too_slow(theta, eta, norm, tol, s.c.max_iter - 1 - k)
            if (slow or theta > 0.5) and at_rounding(s, z, norm, fresh) and not (
                    of_another_place(s, fresh) or unsolved(&s.m, t, gh, r, z, s.f, s.trial)):
                move(s, z, z, s.d, 1.0)
                return 0
            if gives_up(s, slow, k, norm):
                return MF_RETRY_SOLVE
        note_rate(s, k, norm, theta)
        move(s, z, z, s.d, 1.0)
        # The first update is judged by the rate of the previous solve; in a fixed step, whose weights were just set, by its size alone.
        if (norm == 0.0 and not of_another_place(s, fresh)) or (norm <= tol if k == 0 and not s.controlled else eta * norm <= tol and not unsolved(&s.m, t, gh, r, z, s.f, s.trial)
                           and not is_no_evidence(s, k, gh, r, z)):
            s.want_jacobian = theta > (SLOW if s.controlled else SLOW_FIXED)
            if not first:
                s.eta = max(eta, EPS)
            return 0
        before, first = norm, False
        if s.c.matrix.mass != NULL:
            memcpy(s.seen, s.f, s.n * sizeof(double))
    return MF_RETRY_SOLVE


cdef int prepare(newton_t *s, double t, double gh, const double *z, bint *fresh) noexcept nogil:
    """Make a matrix for this gh. fresh: J has just been evaluated at z, and M is factored for exactly this gh.

    A J from a fast transition is not kept for the long steps after it. Its large entries can keep the updates so small that they look
    converged (y1 of Van der Pol's equation does not move at all).
    """
    cdef int status
    cdef double ratio
    fresh[0] = False
    if s.c.matrix.kind == IDENTITY or (s.c.matrix.kind == KRYLOV and s.c.matrix.sparse == NULL):
        fresh[0] = True
        return 0
    if not s.m.has_jacobian or s.want_jacobian or (s.controlled and fabs(gh) > GROWN * s.gh_jac):
        fresh[0] = True
        if not s.controlled:
            weights_of_size(s, z, z)
        status = matrix_jacobian(&s.m, t, z, gh)
        if status != 0:
            s.off_domain = status == MF_RETRY_NON_FINITE
            return status
        s.want_jacobian, s.doubts, s.followed = False, NOTHING_SAID, 0.0
        s.gh_jac = fabs(gh)
    ratio = gh / s.m.gh if s.m.has_factors else INFINITY
    if not fabs(ratio - 1.0) <= (0.2 if s.controlled else 0.0):      # a fixed step changes at most once
        s.eta = 1.0
        return factor_watched(&s.m, gh, False, s.state)
    return 0


cdef int solve_simplified(newton_t *s, double t, double gh, const double *r, double *z) noexcept nogil:
    """Solve from the guess in z with up to three matrices: the current one, one factored for this gh, and one with a new J."""
    cdef bint fresh
    cdef int _attempt, status = MF_RETRY_SOLVE
    for _attempt in range(3):
        status = prepare(s, t, gh, s.guess, &fresh)
        if status == 0:
            status = simplified(s, t, gh, r, z, fresh)
        if status == 0 or status < 0 or (fresh and s.m.has_jacobian) or (s.off_domain and s.controlled):
            break
        memcpy(z, s.guess, s.n * sizeof(double))
        if s.m.has_factors and s.m.gh != gh and status == MF_RETRY_SOLVE:
            s.m.has_factors = False
        else:
            s.want_jacobian = True
    return status


# ---- full Newton, damped --------------------------------------------------------------------------------------------------------------

cdef int matrix_at(newton_t *s, double t, double gh, const double *z) noexcept nogil:
    cdef int status
    if s.c.matrix.kind == KRYLOV:
        return 0
    status = matrix_jacobian(&s.m, t, z, gh)
    return factor_watched(&s.m, gh, False, s.state) if status == 0 else status


cdef int shorten(newton_t *s, double t, double gh, const double *r, const double *z, double merit, double *length) noexcept nogil:
    """Halve the step along s.d until the merit shrinks: |M^-1 G|, or |G| if M is no matrix. On return s.trial holds the new point, s.next_d
    its residual and s.f its slope."""
    cdef double next_merit
    cdef int status = MF_RETRY_SOLVE, reason = MF_RETRY_SOLVE, _j
    length[0] = 1.0
    for _j in range(HALVINGS):
        move(s, s.trial, z, s.d, length[0])
        status = residual(s, t, gh, r, s.trial, s.next_d)
        if status == 0 and s.c.matrix.kind != KRYLOV:
            memcpy(s.bar, s.next_d, s.n * sizeof(double))
            status = matrix_solve(&s.m, s.bar)
        if status < 0 or s.non_finite >= MAX_NON_FINITE:
            return status
        if status == 0:
            next_merit = weighted_norm(&s.m, s.next_d if s.c.matrix.kind == KRYLOV else s.bar)
            if next_merit <= (1.0 - 0.25 * length[0]) * merit:
                return 0
            status = MF_RETRY_SOLVE
        reason = status
        length[0] *= 0.5
    return reason


cdef int solve_full(newton_t *s, double t, double gh, const double *r, double *z) noexcept nogil:
    """Iterate with a new matrix each time. Return 0, MF_RETRY_SOLVE, or the code of a callback."""
    cdef double tol = goal(s), norm, merit, before = INFINITY, length = 1.0
    cdef int k, status
    s.want_jacobian = False
    s.m.stale = 0
    s.eta = 1.0
    s.worst = s.first = 0.0
    s.rate = INFINITY
    if not s.controlled:
        weights_of_size(s, z, z)
    status = residual(s, t, gh, r, z, s.d)
    s.off_domain = status == MF_RETRY_NON_FINITE
    for k in range(5 * s.c.max_iter):
        if status == 0:
            status = matrix_at(s, t, gh, z)
        if status != 0:
            return status
        merit = weighted_norm(&s.m, s.d)
        status = update(s, t, gh, z, s.d)
        if status != 0:
            return status
        s.niter += 1
        if not s.controlled:
            move(s, s.trial, z, s.d, 1.0)
            weights_of_size(s, z, s.trial if k == 0 else s.guess)
        norm = weighted_norm(&s.m, s.d)
        if not norm < INFINITY:
            return MF_RETRY_SOLVE
        # With a new matrix each time, the error after a whole step is about norm^2 / before.
        if norm <= tol or (k > 0 and length == 1.0 and norm < 0.5 * before and norm * (norm / before) <= 0.5 * tol) or (
                k > 0 and norm > 0.5 * before and at_rounding(s, z, norm, True)):
            move(s, z, z, s.d, 1.0)
            return 0
        status = shorten(s, t, gh, r, z, merit if s.c.matrix.kind == KRYLOV else norm, &length)
        if status != 0:
            if status > 0 and at_rounding(s, z, norm, True):
                move(s, z, z, s.d, 1.0)
                return 0
            return status
        note_rate(s, k, norm, INFINITY if length < 1.0 else norm / before if k > 0 else 0.0)
        s.rate = INFINITY                # that of one matrix is not known
        before = norm
        memcpy(z, s.trial, s.n * sizeof(double))
        s.d, s.next_d = s.next_d, s.d
    return MF_RETRY_SOLVE


# ---- without a matrix: the residual decides -----------------------------------------------------------------------------------------

cdef int refine(newton_t *s, double t, double gh, const double *r, double *z) noexcept nogil:
    """Iterate from z until the residual, in the weights of both ends of the step, is rounding: a GMRES that leaves a thousandth of a stiff
    residual tells nothing of slow components by its updates. Differences are long: they only need three digits, and f loses many."""
    cdef double norm, length = INFINITY, before = INFINITY, reach = s.m.krylov_reach, unit = s.m.unit
    cdef int _k, status = MF_RETRY_SOLVE
    for _k in range(3 * s.c.max_iter):
        weights_of_size(s, z if fabs(gh) == INFINITY else r, z)
        status = residual(s, t, gh, r, z, s.d)
        if status != 0:
            break
        norm = size_of_residual(&s.m, s.d, s.bar)
        if norm <= RESIDUAL or (norm > 0.5 * before and length <= ROUNDED):
            break
        if not norm <= 0.5 * before:
            status = MF_RETRY_SOLVE
            break
        before = norm
        s.m.krylov_reach = s.m.unit = LONG
        status = update(s, t, gh, z, s.d)
        s.m.krylov_reach, s.m.unit = reach, unit
        s.niter += 1
        if status != 0:
            break
        length = weighted_norm(&s.m, s.d)
        move(s, z, z, s.d, 1.0)
        status = MF_RETRY_SOLVE
    return status


# ---- the callbacks of a kernel --------------------------------------------------------------------------------------------------------

cdef int newton_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    """The f of the problem, for a kernel that knows only one ctx."""
    cdef newton_t *s = <newton_t *> ctx
    return s.m.rhs(t, y, dydt, n, s.m.rhs_ctx)


cdef int solve_from(newton_t *s, double t, double gh, const double *r, double *z) noexcept nogil:
    """Iterate from the guess, which is in z too."""
    cdef int status
    s.off_domain = False
    if fabs(gh) == INFINITY or (s.c.full and s.c.matrix.kind != IDENTITY):
        return solve_full(s, t, gh, r, z)
    status = matrix_refresh(&s.m) if not s.want_jacobian else 0
    if status == 0:
        status = solve_simplified(s, t, gh, r, z)
    if status > 0 and not s.controlled and s.c.matrix.kind != IDENTITY and s.non_finite < MAX_NON_FINITE:
        memcpy(z, s.guess, s.n * sizeof(double))
        status = solve_full(s, t, gh, r, z)
    return status


cdef int newton_solve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil:
    """Solve z - gh f(t, z) = r; z holds the guess, and holds it again after a positive code."""
    cdef newton_t *s = <newton_t *> ctx
    cdef int status
    s.non_finite, s.m.krylov_left = 0, 0.0
    s.nsolve += 1
    status = newton_mass_for(s, t, gh, z)
    if status != 0:
        return status
    memcpy(s.guess, z, n * sizeof(double))
    if fabs(gh) == INFINITY and s.c.matrix.kind == IDENTITY:
        return MF_RETRY_SOLVE
    status = solve_from(s, t, gh, r, z)
    if s.c.matrix.kind == KRYLOV and not s.controlled and status >= 0 and s.non_finite < MAX_NON_FINITE and fabs(gh) < INFINITY:
        if status > 0:
            memcpy(z, s.guess, n * sizeof(double))
        status = refine(s, t, gh, r, z)
    if s.controlled and status > 0:
        if s.off_domain and s.state != NULL:
            memcpy(s.guess, s.state, n * sizeof(double))
            memcpy(z, s.state, n * sizeof(double))
            status = solve_from(s, t, gh, r, z)
        if status == MF_RETRY_SOLVE and s.non_finite > 0:
            status = MF_RETRY_NON_FINITE         # that is why it was not solved
    if status == 0 and not finite(z, n):
        status = MF_RETRY_NON_FINITE
    if status == 0 and s.c.matrix.kind == KRYLOV and s.c.matrix.sparse == NULL:
        matrix_jacobian(&s.m, t, z, gh)              # keeps the point for lsolve, which is that of a preconditioner where there is one
    if status > 0:
        s.nfail, s.want_jacobian = s.nfail + 1, s.want_jacobian or s.controlled          # J is that of a guess which has led nowhere
        memcpy(z, s.guess, n * sizeof(double))
    return status


cdef int newton_lsolve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil:
    """Solve (I - gh J) z = r with the J of the last solve (0 in fixed-point iteration), and its factors if gh is within a fifth of theirs."""
    cdef newton_t *s = <newton_t *> ctx
    cdef int status = 0
    memmove(z, r, n * sizeof(double))
    if s.c.matrix.kind == IDENTITY:
        return 0
    if s.c.matrix.kind == KRYLOV:
        if not s.m.has_point:
            return MF_RETRY_SOLVE
        status = newton_mass_for(s, t, gh, s.m.y)
        if status == 0 and s.c.matrix.mass != NULL and s.c.matrix.sparse != NULL and not s.m.has_factors and s.m.has_jacobian:
            status = matrix_factor(&s.m, gh)
        if status == 0:
            status = matrix_rhs(&s.m, s.m.t, s.m.y, s.f)
        if status != 0:
            return status
        scale_rows(s.c.matrix.mass, n, s.m.row, z)
        s.m.at, s.m.f_at, s.m.t_at, s.m.gh_at = s.m.y, s.f, s.m.t, gh
        s.m.krylov_tol = 1e-3 * weighted_norm(&s.m, z)
        return matrix_solve(&s.m, z)
    status = newton_mass_at(s, t)
    if status == 0:
        status = matrix_refresh(&s.m)
    if status == 0 and not s.m.has_jacobian:
        status = MF_RETRY_SOLVE
    if status == 0 and not (s.m.has_factors and fabs(gh / s.m.gh - 1.0) <= 0.2):
        s.eta = 1.0
        status = matrix_factor(&s.m, gh)
    return update(s, t, gh, s.m.y, z) if status == 0 else status


cdef void newton_forget(newton_t *s) noexcept nogil:
    """The state jumps: J, its factors and what convergence has taught belong to the old one. Counts go on."""
    s.m.has_point = s.m.has_jacobian = s.m.has_factors = s.want_jacobian = False
    s.m.stale = 0
    s.eta, s.gh_jac, s.gh_checked = 1.0, 0.0, 0.0
    s.m.verified, s.m.agreed = False, 0.0
    mass_forget(s.c.matrix.mass)
    growth_forget(&s.m)
