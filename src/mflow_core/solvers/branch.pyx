"""Which root of z - gh f(t, z) = r an implicit step of fixed length takes: the one that continues from the state as the step grows from 0.

The equation may have many roots or none. Its roots for s between 0 and gh form curves, and the one through (0, r) is the branch of the step:

    z - s f(t, z) = r,     dz/ds = (I - s J)^-1 f(t, z)

It goes on while I - s J is regular, and may turn back before s = gh; then no root continues. On gradient flow z(s) is a local minimum of
f(z) + |z - r|^2 / (2 s), whose value falls along the branch (R. T. Rockafellar, SIAM J. Control Optim. 14 (1976) 877-898).

Where r is not the state y that the step starts from, as after an explicit stage, r - y grows with the step, too: r = y + s c. The branch then
is that of z - s (f(t, z) + c) = y, and f stands for f + c, r for y, in all that follows.

Newton's iteration is trusted, at no cost, where it cannot have left the branch: M = I - gh J was seen to be regular all the way from gh = 0
(definite.pyx), every update was at most a third of the one before, and the whole way from r to the root agrees with M to one half. The last
holds where the iteration began at r, where |gh J| is small, or where the observed change of M along the last updates says so; else f(t, r)
is asked. Where |gh J| is not small, or the way is as long as a quarter of the state's size, f is looked at between both ends, too: once for
each factorization on short ways, on each long one, at few points where f looks tame.
Symmetric problems with long steps are looked at anew where the root has moved by a tenth. Elsewhere a second solver, the
scout (scout.pyx), follows the branch from s = 0 in steps that Newton's iteration contracts well. Where it arrives at Newton's root, that is
kept to the bit.

Where the branch turns back, a gradient flow follows the flow of the equation itself, z' = -grad(f(z) + |z - r|^2 / (2 gh)), by short implicit
steps from there: it ends in a local minimum that is no higher than f(r), too. Error-controlled steps are not touched: they are short where f
bends. There one unknown for which all this fails is bracketed, where f falls steeply (brackets.pyx).

For an infinite gh there is no r, and the root is the rest that the flow itself reaches (rest.pyx).

The scout is made before the first step of fixed length; no state of it survives a solve. An infinite step, of which there is one in a run,
allocates room for the flow.
"""
from libc.math cimport INFINITY, NAN, fabs
from libc.stdint cimport int64_t
from libc.string cimport memcmp, memcpy

from mflow_core.registry cimport REDUCE
from mflow_core.solvers.spectrum.definite cimport CROSSED, REGULAR
from mflow_core.solvers.matrix cimport IDENTITY, KRYLOV, SPARSE, finite, matrix_rhs, weighted_norm
from mflow_core.solvers.newton cimport (FLOW_ENDS, newton_config_t, newton_make, newton_solve, newton_t, refine, solve_full, update)
from mflow_core.solvers.rest cimport find_rest
from mflow_core.solvers.scout cimport LONG, LONG_WAY, bends, depart, distance, fits, follow, is_nothing, is_still, look_at, relax
from mflow_core.solvers.stages.brackets cimport lone_root
from mflow_core.types cimport MF_E_MEMORY, MF_RETRY_SOLVE, mf_new_problem, mf_problem, mf_rhs_fn

cdef double CONTRACTION = 1.0 / 3.0      # of updates that are trusted
cdef double QUARTER = 0.25
cdef double HALF = 0.5
cdef double MOVED = 0.1                  # of the size of the state; where a look costs RITZ evaluations, FAR
cdef double FAR = 0.5
cdef double STRAIGHT = 1e-6              # of an update: the next one, where f is affine between both;
cdef double SHARE = 5e-3                 # where GMRES leaves a thousandth of each
cdef double TAME = 0.05                  # the same where it bends a little
cdef double SAME = 1e-6                  # two computations of one root
cdef double NEAR = 0.05                  # where the branch ends within CLOSE of gh, Newton's root that is no farther off than this part
cdef double CLOSE = 1e-4                 # of the way belongs to it


# ---- where a branch begins ----------------------------------------------------------------------------------------------------------------

ctypedef struct lifted_t:                # f + c, while a branch is followed
    mf_rhs_fn rhs
    void *ctx
    void *columns
    const double *c


cdef int lifted_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef lifted_t *w = <lifted_t *> ctx
    cdef ptrdiff_t i
    cdef int status = w.rhs(t, y, dydt, n, w.ctx)
    if status == 0:
        for i in range(n):
            dydt[i] += w.c[i]
    return status


cdef const double *begin_of(newton_t *s, double gh, const double *r) noexcept nogil:
    """The point where the branch begins; where that is not r, c is in s.mix."""
    cdef ptrdiff_t i
    if s.state == NULL or memcmp(s.state, r, s.n * sizeof(double)) == 0:
        return r
    for i in range(s.n):
        s.mix[i] = (r[i] - s.state[i]) / gh
    return s.state if finite(s.mix, s.n) else r


cdef void lift(newton_t *s, lifted_t *w, const double *c) noexcept nogil:
    w.rhs, w.ctx, w.columns, w.c = s.m.rhs, s.m.rhs_ctx, s.m.c.columns, c
    s.m.rhs, s.m.rhs_ctx, s.m.c.columns = lifted_rhs, w, NULL


cdef void lower(newton_t *s, const lifted_t *w) noexcept nogil:
    s.m.rhs, s.m.rhs_ctx, s.m.c.columns = w.rhs, w.ctx, w.columns


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
                s.scout.c.matrix.sparse = s.scout.m.c.sparse = NULL      # the solver's preconditioner is not its own
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


cdef int agrees_with_start(newton_t *s, double t, double gh, const double *r, const double *z) noexcept nogil:
    """1 if the mean of M from r to z is that of the factors to one half (Newton's step from r is z - r to that), and if f does not bend on
    the way. Factors that have agreed once are asked again where a way is more than twice as long, or long, or there is no matrix: at a few
    points where f looks tame, as second updates were small beside first ones, and these not longer than the way; at none beside a good guess
    from r, or one from farther off than the way is long, where it looks affine."""
    cdef bint matrix = s.c.matrix.kind != KRYLOV, known, seen
    cdef double way = distance(s, z, r)
    cdef ptrdiff_t i
    cdef int status
    known = way <= 2.0 * s.m.agreed and (matrix or is_checked(s, gh, z))
    seen = known and s.rate <= TAME and (s.first <= way or s.rate * s.first <= STRAIGHT * way)
    if seen and not QUARTER * way < s.first <= way and s.rate <= (STRAIGHT if matrix else SHARE) and s.m.rhs != lifted_rhs:
        return 1
    if matrix and way <= LONG_WAY and (known or s.m.size_gh <= 0.5):
        return 1
    status = matrix_rhs(&s.m, t, r, s.f)
    if status == 0:
        status = bends(s, t, gh, r, r, s.f, z, way, way > LONG_WAY and not seen, False)
    if status != 0:
        return status if status < 0 else 0
    if not (memcmp(s.guess, r, s.n * sizeof(double)) == 0 or s.rate * way <= QUARTER * s.first):
        for i in range(s.n):
            s.d[i] = gh * s.f[i]
        status = update(s, t, gh, r, s.d)
        if status != 0:
            return status if status < 0 else 0
        for i in range(s.n):
            s.d[i] -= z[i] - r[i]
        if not weighted_norm(&s.m, s.d) <= HALF * way:
            return 0
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
    if s.m.symmetric and 1.0 < s.m.size_gh and not (distance(s, z, s.m.y) <= MOVED or is_checked(s, gh, z)):
        return check_here(s, t, gh, z)
    return 1


cdef int walk(newton_t *scout, double t, double gh, const double *r) noexcept nogil:
    """The root that belongs to the step, from r, into scout.root."""
    cdef int status = depart(scout, t, gh, r)
    if status == 0 and REDUCE.max_abs(scout.slope, scout.n) == 0.0:      # at rest: it stays, whatever may branch off there
        memcpy(scout.root, r, scout.n * sizeof(double))
        return 0
    if status == 0:
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
    if s.m.symmetric:
        return False
    return not scout.turned or (scout.reached > 1.0 - CLOSE and distance(s, z, scout.start) <= NEAR * distance(s, z, r))


cdef int is_beside(newton_t *s, double t, double gh, const double *begin, const double *z) noexcept nogil:
    """0 if Newton's root may be the branch's where that could not be followed to its end, as f has a corner, perhaps, or gh ends where the
    branch does; else MF_RETRY_SOLVE, or a negative code."""
    cdef newton_t *scout = s.scout
    cdef int regular = CROSSED, status = look_at(scout, t, gh, z, &regular)
    if status == 0 and not fits(s, regular, not scout.turned):
        return MF_RETRY_SOLVE
    if status != 0 or scout.turned or s.c.matrix.kind == KRYLOV:      # without a matrix residuals of stiff systems are far from proportional
        return status
    status = matrix_rhs(&scout.m, t, begin, scout.slope)
    if status == 0:
        status = bends(scout, t, gh, begin, begin, scout.slope, z, distance(scout, z, begin), True, False)
    return MF_RETRY_SOLVE if status > 0 else status


cdef int settle(newton_t *s, double t, double gh, const double *r, const double *begin, double *z, int found) noexcept nogil:
    """Find the step's root by the scout. found: 0 where z is a root by Newton's iteration, else why there is none."""
    cdef newton_t *scout = scout_of(s)
    cdef lifted_t w
    cdef int status
    cdef bint same = False
    if scout == NULL:
        return MF_E_MEMORY
    scout.turned, scout.non_finite = False, 0
    if begin != r:
        lift(scout, &w, s.mix)
    status = walk(scout, t, gh, begin)
    if status > 0 and found == 0 and is_open(s, gh, begin, z):
        status, same = is_beside(s, t, gh, begin, z), True
    if begin != r:
        lower(scout, &w)
    if status == 0 and not same:
        same = found == 0 and distance(s, z, scout.root) <= SAME
        if not same:
            scout.non_finite = 0
            memcpy(scout.guess, scout.root, s.n * sizeof(double))
            memcpy(scout.mix, scout.root, s.n * sizeof(double))
            status = (refine if s.c.matrix.kind == KRYLOV else solve_full)(scout, t, gh, r, scout.root)
            if status == 0 and not (distance(s, scout.root, scout.mix) <= 1e-2 or is_nothing(s, scout.mix, begin)):
                status = MF_RETRY_SOLVE
            if status == 0:
                memcpy(z, scout.root, s.n * sizeof(double))
    s.reached = scout.reached if status > 0 and scout.turned else NAN
    call_back(s)
    if status == 0 and same:
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


# ---- the steady state ---------------------------------------------------------------------------------------------------------------------

cdef int steady_state(newton_t *s, double t, double gh, double *z) noexcept nogil:
    """f(t, z) = 0: the rest that the flow from z reaches, or a positive code."""
    cdef newton_t *scout = scout_of(s)
    cdef int status
    if scout == NULL:
        return MF_E_MEMORY
    s.nsolve += 1
    s.reached, scout.flow, scout.flow_time = NAN, FLOW_ENDS, 0.0
    status = find_rest(scout, t, gh, z)
    call_back(s)
    s.flow, s.flow_time = scout.flow, scout.flow_time
    s.want_jacobian = True
    if status == 0:
        memcpy(z, scout.root, s.n * sizeof(double))
    elif status > 0:
        s.nfail += 1
    return status


cdef int branch_solve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil:
    """newton_solve, and where the step is of fixed length: the root that continues from the state, or a positive code."""
    cdef newton_t *s = <newton_t *> ctx
    cdef int64_t crossed = s.m.crossed
    cdef const double *begin
    cdef lifted_t w
    cdef int status, sure
    if s.controlled or s.c.matrix.kind == IDENTITY or n == 0:
        status = newton_solve(t, gh, r, z, n, ctx)
        return lone_root(s, t, gh, r, z, status) if status > 0 and s.c.matrix.kind != IDENTITY else status
    if fabs(gh) == INFINITY:
        return steady_state(s, t, gh, z)
    s.m.look = True
    s.reached = NAN
    status = newton_solve(t, gh, r, z, n, ctx)
    if status < 0:
        return status
    begin = begin_of(s, gh, r)
    if status == 0:
        if is_still(n, z, begin, z):
            return 0
        if begin != r:
            lift(s, &w, s.mix)
        sure = trusted(s, t, gh, begin, z, crossed)
        if begin != r:
            lower(s, &w)
        if sure != 0:
            return 0 if sure == 1 else sure
    return settle(s, t, gh, r, begin, z, status)
