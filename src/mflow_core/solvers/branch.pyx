"""Which root of z - gh f(t, z) = r an implicit step of fixed length takes: the one that continues from z = r at gh = 0.

The equation may have many roots or none. Its roots for s between 0 and gh form curves, and the one through (0, r) is the branch of the step:

    z - s f(t, z) = r,     dz/ds = (I - s J)^-1 f(t, z)

It goes on while I - s J is regular, and may turn back before s = gh; then no root continues. On gradient flow z(s) is a local minimum of
f(z) + |z - r|^2 / (2 s), whose value falls along the branch (R. T. Rockafellar, SIAM J. Control Optim. 14 (1976) 877-898).

Newton's iteration is trusted, at no cost, where it cannot have left the branch: M = I - gh J was seen to be regular all the way from gh = 0
(definite.pyx), every update was at most a third of the one before, and the whole way from r to the root agrees with M to one half. The last
holds where the iteration began at r, where |gh J| is small, or where the observed change of M along the last updates says so; else f(t, r)
is asked. Symmetric problems with long steps are looked at anew where the root has moved by a tenth. Elsewhere a second solver, the scout,
follows the branch from s = 0 in steps that Newton's iteration contracts well. Where it arrives at Newton's root, that is kept to the bit.

Where the branch turns back, a gradient flow follows the flow of the equation itself, z' = -grad(f(z) + |z - r|^2 / (2 gh)), by short implicit
steps from there: it ends in a local minimum that is no higher than f(r), too. For an infinite gh there is no r: the flow itself is
followed, z' = f(t, z) with t at rest, by implicit steps that grow. Error-controlled steps are not touched: they are short where f bends.

The scout is made before the first step of fixed length; no state of it survives a solve.
"""
from libc.math cimport INFINITY, NAN, copysign, fabs, sqrt
from libc.stdint cimport int64_t
from libc.string cimport memcmp, memcpy, memset

from mflow_core.registry cimport REDUCE
from mflow_core.solvers.definite cimport CROSSED, POSITIVE_SIGN, REGULAR, clear_of_negative_axis, positive
from mflow_core.solvers.matrix cimport (IDENTITY, KRYLOV, LINALG, SPARSE, krylov_apply, matrix_factor, matrix_jacobian, matrix_rhs,
                                        matrix_solve, weighted_norm)
from mflow_core.solvers.newton cimport (move, newton_config_t, newton_make, newton_solve, newton_t, refine, residual, solve_full, update,
                                        weights_of_size)
from mflow_core.types cimport MF_E_MEMORY, MF_RETRY_SOLVE, mf_new_problem, mf_problem

cdef enum:
    TRIES = 400                          # of steps along the branch or the flow
    CORRECTIONS = 12
    RITZ = 20                            # vectors that look at a matrix which is not there

cdef double CONTRACTION = 1.0 / 3.0      # of updates that are trusted
cdef double QUARTER = 0.25               # of those of a scout
cdef double HALF = 0.5
cdef double LONG_WAY = 0.25              # of the size of the state
cdef double EASY = 0.05
cdef double MOVED = 0.1                  # of the size of the state; where a look costs RITZ evaluations, FAR
cdef double FAR = 0.5
cdef double SAME = 1e-6                  # two computations of one root
cdef double SHORT = 1e-7                 # relative: a shorter step along the branch is none; where it ends within CLOSE of gh, Newton's root
cdef double NEAR = 0.05                 # that is no farther off than this part of the way belongs to it
cdef double CLOSE = 1e-4
cdef double STEEP = 10.0                 # |s dz/ds| over |z - r|: the branch turns
cdef double LONG = 6e-6                  # relative length of a difference that must be right to three digits


# ---- looks at M -----------------------------------------------------------------------------------------------------------------------

cdef double distance(newton_t *s, const double *a, const double *b) noexcept nogil:
    """|a - b| in the weights of the larger of the two."""
    cdef ptrdiff_t i
    weights_of_size(s, a, b)
    for i in range(s.n):
        s.bar[i] = a[i] - b[i]
    return weighted_norm(&s.m, s.bar)


cdef bint is_nothing(const newton_t *s, const double *z, const double *r) noexcept nogil:
    """Whether hardly anything of r is left in z: a state that dies away changes by all of its size in each step."""
    return REDUCE.max_abs(z, s.n) <= 1e-9 * REDUCE.max_abs(r, s.n)


cdef int ritz(newton_t *s, double t, double gh, const double *z, const double *f, int *regular) noexcept nogil:
    """What the projection of M on a Krylov space tells: exact for few unknowns, and of the ends of the spectrum for many."""
    cdef double[RITZ * RITZ] H
    cdef double[RITZ * RITZ] copy
    cdef double[RITZ] column
    cdef ptrdiff_t n = s.n, i
    cdef int most = <int> min(n, min(<ptrdiff_t> RITZ, <ptrdiff_t> s.m.c.krylov_dim)), j, k, _turn, used = most, status
    cdef double *basis = s.m.work
    cdef double *v
    cdef double top = max(REDUCE.max_abs(z, n), 1e-150), h, size, before
    for i in range(n):
        s.m.size[i], s.m.weight[i] = top, 1.0 / top
        basis[i] = 0.5 + <double> ((i * 7919 + 104729) % 4093) / 4093.0
        if i % 3 == 1:
            basis[i] = -basis[i]
    s.m.at, s.m.f_at, s.m.t_at, s.m.gh_at = z, f, t, gh
    s.m.krylov_move = LONG
    h = 1.0 / sqrt(LINALG.dot(basis, basis, n))
    for i in range(n):
        basis[i] *= h
    memset(H, 0, sizeof(H))
    for j in range(most):
        v = basis + (j + 1) * n
        status = krylov_apply(v - n, v, n, &s.m)
        if status != 0:
            return status
        before = sqrt(LINALG.dot(v, v, n))
        for _turn in range(2):
            for k in range(j + 1):
                h = LINALG.dot(basis + k * n, v, n)
                H[k * most + j] += h
                for i in range(n):
                    v[i] -= h * basis[k * n + i]
        size = sqrt(LINALG.dot(v, v, n))
        if j + 1 == most:
            break
        if not size > 1e-6 * before:             # the differences have no more digits
            used = j + 1
            break
        H[(j + 1) * most + j] = size
        for i in range(n):
            v[i] = v[i] / size
    for j in range(used):
        for k in range(used):
            copy[j * used + k] = H[j * most + k]
    if positive(used, copy, column, NULL) > 0:
        regular[0] = REGULAR
        return 0
    for j in range(used):
        for k in range(used):
            copy[j * used + k] = H[j * most + k]
    regular[0] = REGULAR if not s.m.symmetric and clear_of_negative_axis(used, copy) else CROSSED
    return 0


cdef int look(newton_t *s, double t, double gh, const double *z, const double *f, int *regular) noexcept nogil:
    """Factor M for J at z, which has been evaluated, and say what it is."""
    cdef int status
    if s.c.matrix.kind == KRYLOV:
        return ritz(s, t, gh, z, f, regular)
    status = matrix_factor(&s.m, gh)
    regular[0] = s.m.regular if status == 0 else CROSSED
    return status if status < 0 else 0


cdef int look_at(newton_t *scout, double t, double gh, const double *z, int *regular) noexcept nogil:
    """M at a point."""
    cdef int status
    weights_of_size(scout, z, z)
    status = matrix_rhs(&scout.m, t, z, scout.slope)
    if status == 0:
        status = matrix_jacobian(&scout.m, t, z, gh)
    if status == 0:
        status = look(scout, t, gh, z, scout.slope, regular)
    if status > 0:
        regular[0] = CROSSED
        return 0
    return status


# ---- one step of the scout --------------------------------------------------------------------------------------------------------------

cdef int stand(newton_t *s, double t, double gh, const double *r) noexcept nogil:
    """J where the scout stands, at s.start, if it is not the one at hand."""
    weights_of_size(s, s.start, r)
    if s.m.has_jacobian and s.m.t == t and memcmp(s.m.y, s.start, s.n * sizeof(double)) == 0:
        return 0
    return matrix_jacobian(&s.m, t, s.start, gh)


cdef int divide(newton_t *s, double t, double gh, const double *z, const double *f, double *d) noexcept nogil:
    """d becomes M^-1 d, M at z."""
    if s.c.matrix.kind == KRYLOV:
        if f != s.f:
            memcpy(s.f, f, s.n * sizeof(double))
        return update(s, t, gh, z, d)
    return matrix_solve(&s.m, d)


cdef double first_update(newton_t *s, double t, double gh, const double *r, int *status) noexcept nogil:
    """Newton's update from s.start into s.d, its residual into s.guess, the new point into s.root; the norm of the update."""
    cdef ptrdiff_t i
    for i in range(s.n):
        s.d[i] = s.slope[i] if fabs(gh) == INFINITY else (r[i] - s.start[i]) + gh * s.slope[i]
    memcpy(s.guess, s.d, s.n * sizeof(double))
    status[0] = divide(s, t, gh, s.start, s.slope, s.d)
    if status[0] != 0:
        return INFINITY
    move(s, s.root, s.start, s.d, 1.0)
    weights_of_size(s, s.start, s.root)
    return weighted_norm(&s.m, s.d)


cdef inline int open_or(int status) noexcept nogil:
    """The answer of a question where a callback has returned `status`: 1 where it could not say, and a negative code is passed on."""
    return status if status < 0 else status != 0


cdef inline bint fits(const newton_t *s, int regular, bint lenient) noexcept nogil:
    return regular == REGULAR or (lenient and regular == POSITIVE_SIGN and not s.m.symmetric)


cdef int leaps(newton_t *s, double t, double gh_before, double gh, const double *r) noexcept nogil:
    """1 if M at s.start changes by more than a half from gh_before to gh, in the direction of the update: eigenvalues may have passed in
    pairs. Else 0, and M is factored for gh; or a negative code."""
    cdef int status, regular = CROSSED
    cdef double first = first_update(s, t, gh, r, &status)
    cdef ptrdiff_t i
    if status == 0:
        status = look(s, t, gh_before, s.start, s.slope, &regular)
    if status == 0:
        status = divide(s, t, gh_before, s.start, s.slope, s.guess)
    if status != 0:
        return open_or(status)
    for i in range(s.n):
        s.guess[i] -= s.d[i]
    if not weighted_norm(&s.m, s.guess) <= HALF * first:
        return 1
    return open_or(look(s, t, gh, s.start, s.slope, &regular))


cdef int changed(newton_t *s, double t, double gh, double first) noexcept nogil:
    """1 if M at s.root is not that at s.start to a half, in the direction of the update; else 0, or a negative code."""
    cdef ptrdiff_t i
    cdef int status
    if s.c.matrix.kind == KRYLOV:
        return 0
    memcpy(s.bar, s.guess, s.n * sizeof(double))
    status = matrix_solve(&s.m, s.bar)
    if status != 0:
        return open_or(status)
    for i in range(s.n):
        s.bar[i] -= s.root[i] - s.start[i]
    return not weighted_norm(&s.m, s.bar) <= HALF * first


cdef int attempt(newton_t *s, double t, double gh, const double *r, double gh_before, bint rough) noexcept nogil:
    """From s.start to the root for gh and r, into s.root: M must be regular on the way, and vary little, and updates must contract.

    gh_before, if gh is at most twice that: a positive determinant is enough, if M changes little from there. rough: one update is enough;
    s.f and J are those at s.root then. J must be that at s.start, and is not any more afterwards.
    """
    cdef double first, before, norm
    cdef bint lenient = fabs(gh) <= 2.0 * fabs(gh_before)
    cdef int k, regular = CROSSED, answer, status = look(s, t, gh, s.start, s.slope, &regular)
    if status != 0 or not fits(s, regular, lenient):
        return status if status != 0 else MF_RETRY_SOLVE
    weights_of_size(s, s.start, s.start)
    answer = leaps(s, t, gh_before, gh, r) if regular != REGULAR else 0
    if answer != 0:
        return answer if answer < 0 else MF_RETRY_SOLVE
    first = before = first_update(s, t, gh, r, &status)
    for k in range(CORRECTIONS):
        if status == 0 and not before < INFINITY:
            status = MF_RETRY_SOLVE
        if status == 0:
            status = residual(s, t, gh, r, s.root, s.d)
        if status == 0:
            status = matrix_jacobian(&s.m, t, s.root, gh)
        if status == 0:
            status = look(s, t, gh, s.root, s.f, &regular)
        if status == 0:
            weights_of_size(s, s.start, s.root)
            answer = 1 if not fits(s, regular, lenient) else changed(s, t, gh, first) if k == 0 else 0
            if answer != 0:
                status = answer if answer < 0 else MF_RETRY_SOLVE
        if status == 0:
            status = divide(s, t, gh, s.root, s.f, s.d)
        if status != 0:
            return status
        norm = weighted_norm(&s.m, s.d)
        if not norm <= QUARTER * before and not norm <= 1e-10:
            return MF_RETRY_SOLVE
        if rough:
            s.rate = norm / first if first > 0.0 else 0.0
            return 0
        move(s, s.root, s.root, s.d, 1.0)
        if norm <= 1e-4 * first or norm <= 1e-10:
            return 0
        before = norm
    return MF_RETRY_SOLVE


cdef void step_on(newton_t *s) noexcept nogil:
    """The scout stands at s.root, where a rough attempt has left f and J."""
    memcpy(s.start, s.root, s.n * sizeof(double))
    memcpy(s.slope, s.f, s.n * sizeof(double))


# ---- along the branch, and along the flow -------------------------------------------------------------------------------------------------

cdef int turns(newton_t *s, double t, double at, const double *r) noexcept nogil:
    """1 if the branch turns back at s = at, where the scout stands; 0: it could not be followed for another reason; or a negative code."""
    cdef int regular = CROSSED, status = look(s, t, at * (1.0 + 1e-6), s.start, s.slope, &regular)
    cdef double way
    if status == 0 and regular == CROSSED:
        return 1
    if status == 0:
        status = look(s, t, at, s.start, s.slope, &regular)
    if status != 0:
        return open_or(status)
    memcpy(s.d, s.slope, s.n * sizeof(double))
    weights_of_size(s, s.start, r)
    status = divide(s, t, at, s.start, s.slope, s.d)
    if status != 0:
        return open_or(status)
    way = fabs(at) * weighted_norm(&s.m, s.d)
    return not way <= STEEP * distance(s, s.start, r)


cdef int follow(newton_t *s, double t, double gh, const double *r) noexcept nogil:
    """The branch from r, where the scout stands, to gh; its end into s.root. MF_RETRY_SOLVE: not reached, s.reached of gh is."""
    cdef double at = 0.0, step = gh, next_at
    cdef int status, _try
    s.reached, s.turned = 0.0, False
    for _try in range(TRIES):
        next_at = at + step
        if not fabs(next_at) < 0.999999 * fabs(gh):
            next_at = gh
        status = attempt(s, t, next_at, r, at, next_at != gh)
        if status < 0:
            return status
        if status == 0:
            if next_at == gh:
                return 0
            step = copysign(max((4.0 if s.rate < EASY else 2.0) * fabs(next_at - at), fabs(next_at)), gh)
            at = next_at
            step_on(s)
        else:
            step = 0.25 * (next_at - at)
            if fabs(step) < 1e-290 or fabs(step) <= SHORT * fabs(at):
                break
        status = stand(s, t, next_at, r)
        if status != 0:
            return status
    s.reached = at / gh
    status = stand(s, t, at, r)
    if status == 0 and at != 0.0:
        status = turns(s, t, at, r)
        s.turned = status > 0
    return status if status < 0 else MF_RETRY_SOLVE


cdef int relax(newton_t *s, double t, double gh, const double *r) noexcept nogil:
    """The flow z' = f(t, z) - (z - r) / gh, t at rest, from s.start to its rest, by implicit steps that grow; its end into s.root."""
    cdef double tau, short_tau, gh_step, last = 0.0, part, norm
    cdef ptrdiff_t i
    cdef bint near = False, moved = True
    cdef int status, _try
    status = stand(s, t, gh, r)
    if status != 0:
        return status
    norm = weighted_norm(&s.m, s.slope)
    tau = copysign(1.0 / norm if 1e-290 < norm < INFINITY else 1.0, gh)
    short_tau = 1e-12 * fabs(tau)
    for _try in range(TRIES):
        if moved:
            status = attempt(s, t, gh, r, last if near else 0.0, False)
            if status <= 0:
                return status
            status = stand(s, t, gh, r)
            if status != 0:
                return status
        part = 0.0 if fabs(gh) == INFINITY else tau / gh
        gh_step = tau / (1.0 + part)
        for i in range(s.n):
            s.mix[i] = s.start[i] if part == 0.0 else (s.start[i] + part * r[i]) / (1.0 + part)
        status = attempt(s, t, gh_step, s.mix, last, True)
        if status < 0:
            return status
        moved = status == 0
        if moved:
            near = distance(s, s.root, s.start) <= 1e-3 or is_nothing(s, s.root, r)
            step_on(s)
            last = gh_step
            tau = 4.0 * tau if fabs(tau) < 1e280 else tau
        else:
            tau *= 0.25
            if fabs(tau) < short_tau:
                return MF_RETRY_SOLVE
        status = stand(s, t, gh_step, r)
        if status != 0:
            return status
    return MF_RETRY_SOLVE


# ---- the solver of a step -----------------------------------------------------------------------------------------------------------------

cdef newton_t *scout_of(newton_t *s) noexcept nogil:
    """The scout, made where there is none yet. Without a matrix it works in the solver's own vectors of the Krylov basis."""
    cdef mf_problem inner
    cdef newton_config_t config = s.c
    if s.scout == NULL:
        inner = mf_new_problem()
        inner.rhs, inner.ctx = s.m.rhs, s.m.rhs_ctx
        if config.matrix.kind == KRYLOV:
            config.matrix.krylov_dim = 1
        s.scout = newton_make(&config, &inner, s.n, s.m.jac, s.m.jac_ctx)
        if s.scout != NULL:
            s.scout.m.look, s.scout.m.symmetric = True, s.m.symmetric
            if config.matrix.kind == KRYLOV:
                s.scout.c, s.scout.m.c, s.scout.m.work = s.c, s.m.c, s.m.work
                s.scout.m.unit = s.scout.m.krylov_reach = LONG
    return s.scout


cdef bint branch_ready(newton_t *s) noexcept nogil:
    """Make the scout before the first step; False if there is no memory."""
    return s.c.matrix.kind == IDENTITY or scout_of(s) != NULL


cdef void call_back(newton_t *s) noexcept nogil:
    """The scout's work is the solver's. A sparse object holds one matrix only: the solver's own is rebuilt when it is needed."""
    cdef newton_t *scout = s.scout
    s.m.n_rhs += scout.m.n_rhs
    s.m.n_rhs_jac += scout.m.n_rhs_jac
    s.m.njev += scout.m.njev
    s.m.nlu += scout.m.nlu
    s.m.n_krylov += scout.m.n_krylov
    s.niter += scout.niter
    scout.m.n_rhs = scout.m.n_rhs_jac = scout.m.njev = scout.m.nlu = scout.m.n_krylov = scout.niter = 0
    if s.c.matrix.kind == SPARSE and scout.m.has_point:
        s.m.stale = 2 if s.m.has_factors else 1 if s.m.has_jacobian else s.m.stale
        s.m.has_jacobian = s.m.has_factors = False
        s.m.recount = True
    scout.m.has_point = scout.m.has_jacobian = False


cdef int check_here(newton_t *s, double t, double gh, const double *z) noexcept nogil:
    """1 if M at z is regular, by a look, and z is remembered; 0 if it is not seen to be."""
    cdef newton_t *scout = scout_of(s)
    cdef int regular = CROSSED, status
    if scout == NULL:
        return MF_E_MEMORY
    status = look_at(scout, t, gh, z, &regular)
    call_back(s)
    if status < 0:
        return status
    if regular == REGULAR:
        memcpy(s.checked, z, s.n * sizeof(double))
        s.gh_checked = gh
    return regular == REGULAR


cdef bint is_checked(newton_t *s, double gh, const double *z) noexcept nogil:
    return s.gh_checked == gh and distance(s, z, s.checked) <= (FAR if s.c.matrix.kind == KRYLOV else MOVED)


cdef int bends(newton_t *s, double t, double gh, const double *r, const double *z, double way) noexcept nogil:
    """1 if f half-way from r to z is not the mean of f at both ends to one half; else 0, or a negative code. gh f(t, z) is z - r."""
    cdef ptrdiff_t i
    cdef int status
    for i in range(s.n):
        s.trial[i] = 0.5 * r[i] + 0.5 * z[i]
    status = matrix_rhs(&s.m, t, s.trial, s.d)
    if status == 0:
        status = matrix_rhs(&s.m, t, r, s.f)
    if status != 0:
        return open_or(status)
    for i in range(s.n):
        s.d[i] = gh * (s.d[i] - 0.5 * s.f[i]) - 0.5 * (z[i] - r[i])
    return not weighted_norm(&s.m, s.d) <= HALF * way


cdef int agrees_with_start(newton_t *s, double t, double gh, const double *r, const double *z) noexcept nogil:
    """1 if the mean of M from r to z is that of the factors to one half (Newton's step from r is z - r to that), and if f does not bend on a
    way of about the size of the state. Factors that have agreed once are asked again where a way is more than twice as long."""
    cdef ptrdiff_t i
    cdef double way
    cdef int status
    if fabs(gh) == INFINITY:
        return 1
    for i in range(s.n):
        s.bar[i] = z[i] - r[i]
    way = weighted_norm(&s.m, s.bar)
    if way <= 2.0 * s.m.agreed:
        return 1
    status = bends(s, t, gh, r, z, way) if way > LONG_WAY else 0
    if status != 0:
        return status if status < 0 else 0
    if s.m.size_gh <= 0.5 or memcmp(s.guess, r, s.n * sizeof(double)) == 0 or s.rate * way <= QUARTER * s.first:
        if way > LONG_WAY and s.c.matrix.kind != KRYLOV:
            s.m.agreed = way
        return 1
    status = matrix_rhs(&s.m, t, r, s.f)
    if status == 0:
        for i in range(s.n):
            s.d[i] = gh * s.f[i]
        status = update(s, t, gh, r, s.d)
    if status != 0:
        return status if status < 0 else 0
    for i in range(s.n):
        s.d[i] -= z[i] - r[i]
    if not weighted_norm(&s.m, s.d) <= HALF * way:
        return 0
    if s.c.matrix.kind != KRYLOV:
        s.m.agreed = way
    return 1


cdef int trusted(newton_t *s, double t, double gh, const double *r, const double *z, int64_t crossed) noexcept nogil:
    """1 if Newton's root is on the branch by what is known; 0 if that is open; a negative code of a callback."""
    cdef bint matrix = s.c.matrix.kind != KRYLOV
    cdef int status
    if s.worst > CONTRACTION or s.m.crossed != crossed:
        return 0
    if matrix and not (s.m.regular == REGULAR or s.m.verified):
        return 0
    status = agrees_with_start(s, t, gh, r, z)
    if status != 1:
        return status
    if not matrix:
        return 1 if is_checked(s, gh, z) else check_here(s, t, gh, z)
    if s.m.symmetric and 1.0 < s.m.size_gh and fabs(gh) < INFINITY and not (distance(s, z, s.m.y) <= MOVED or is_checked(s, gh, z)):
        return check_here(s, t, gh, z)
    return 1


cdef int walk(newton_t *scout, double t, double gh, const double *r) noexcept nogil:
    """The root that belongs to the step, from r, into scout.root."""
    cdef int status
    cdef bint steady = fabs(gh) == INFINITY
    memcpy(scout.start, r, scout.n * sizeof(double))
    weights_of_size(scout, r, r)
    status = matrix_rhs(&scout.m, t, r, scout.slope)
    if status == 0:
        status = stand(scout, t, gh, r)
    if status != 0:
        return status
    if REDUCE.max_abs(scout.slope, scout.n) == 0.0:      # at rest: it stays, whatever may branch off there
        memcpy(scout.root, r, scout.n * sizeof(double))
        return 0
    if not steady:
        status = follow(scout, t, gh, r)
        if status <= 0 or not scout.m.symmetric:
            return status
    status = relax(scout, t, gh, r)
    if status == 0:
        scout.turned = False
    return status


cdef bint is_open(newton_t *s, double gh, const double *r, const double *z) noexcept nogil:
    """Whether a look at Newton's root may decide where the scout did not arrive."""
    cdef newton_t *scout = s.scout
    if fabs(gh) == INFINITY or s.m.symmetric:
        return False
    return not scout.turned or (scout.reached > 1.0 - CLOSE and distance(s, z, scout.start) <= NEAR * distance(s, z, r))


cdef int settle(newton_t *s, double t, double gh, const double *r, double *z, int found) noexcept nogil:
    """Find the step's root by the scout. found: 0 where z is a root by Newton's iteration, else why there is none."""
    cdef newton_t *scout = scout_of(s)
    cdef int status, regular = CROSSED
    cdef bint same = False
    if scout == NULL:
        return MF_E_MEMORY
    scout.turned, scout.non_finite = False, 0
    status = walk(scout, t, gh, r)
    if status == 0:
        same = found == 0 and distance(s, z, scout.root) <= SAME
        if not same:
            scout.non_finite = 0
            memcpy(scout.guess, scout.root, s.n * sizeof(double))
            memcpy(scout.mix, scout.root, s.n * sizeof(double))
            status = (refine if s.c.matrix.kind == KRYLOV and fabs(gh) < INFINITY else solve_full)(scout, t, gh, r, scout.root)
            if status == 0 and not (distance(s, scout.root, scout.mix) <= 1e-2 or is_nothing(s, scout.mix, r)):
                status = MF_RETRY_SOLVE
            if status == 0:
                memcpy(z, scout.root, s.n * sizeof(double))
    elif status > 0 and found == 0 and is_open(s, gh, r, z):
        status = look_at(scout, t, gh, z, &regular)      # f has a corner, perhaps, or gh ends where the branch does
        same = True
        if status == 0 and not fits(s, regular, not scout.turned):
            status = MF_RETRY_SOLVE
    s.reached = scout.reached if status > 0 and scout.turned else NAN
    call_back(s)
    if status == 0 and same and fabs(gh) < INFINITY:
        s.m.verified = True
        memcpy(s.checked, z, s.n * sizeof(double))
        s.gh_checked = gh
    elif status == 0:
        s.want_jacobian = True
        s.nfail -= found != 0
    elif found == 0:
        s.nfail += 1
        memcpy(z, s.guess, s.n * sizeof(double))
    elif status > 0:
        status = found
    return status


cdef int branch_solve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil:
    """newton_solve, and where the step is of fixed length: the root that continues from r, or a positive code."""
    cdef newton_t *s = <newton_t *> ctx
    cdef int64_t crossed = s.m.crossed
    cdef int status, sure
    if s.controlled or s.c.matrix.kind == IDENTITY or n == 0:
        return newton_solve(t, gh, r, z, n, ctx)
    s.m.look = True
    s.reached = NAN
    status = newton_solve(t, gh, r, z, n, ctx)
    if status < 0:
        return status
    if status == 0:
        sure = trusted(s, t, gh, r, z, crossed)
        if sure != 0:
            return 0 if sure == 1 else sure
    return settle(s, t, gh, r, z, status)
