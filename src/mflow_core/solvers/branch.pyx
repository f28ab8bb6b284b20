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
is asked. Where |gh J| is not small, or the way is as long as a quarter of the state's size, f is looked at between both ends, too, once for
each factorization. Symmetric problems with long steps are looked at anew where the root has moved by a tenth. Elsewhere a second solver, the
scout (scout.pyx), follows the branch from s = 0 in steps that Newton's iteration contracts well. Where it arrives at Newton's root, that is
kept to the bit.

Where the branch turns back, a gradient flow follows the flow of the equation itself, z' = -grad(f(z) + |z - r|^2 / (2 gh)), by short implicit
steps from there: it ends in a local minimum that is no higher than f(r), too. Error-controlled steps are not touched: they are short where f
bends.

For an infinite gh there is no r, and the root is the rest that the flow itself reaches, z' = f(t, z) with t at rest. Where f is affine, as
far as a few probes tell, and all of its modes decay, Newton's step leads there. Else the flow is followed by an implicit pair under sharp
error control, until a step as long as a quarter of all the time so far hardly moves; Newton's iteration ends it, near there. A flow whose
slopes do not fall by a hundredth while the number of its steps doubles is said not to come to rest.

The scout is made before the first step of fixed length; no state of it survives a solve. An infinite step, of which there is one in a run,
allocates room for the flow.
"""
from libc.math cimport INFINITY, NAN, copysign, fabs
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from mflow_core.arithmetic.control cimport after_bad, after_good, control_begin, control_t, planned_step
from mflow_core.registry cimport REDUCE, mf_find
from mflow_core.solvers.spectrum.definite cimport CROSSED, REGULAR
from mflow_core.solvers.matrix cimport (IDENTITY, KRYLOV, LINALG, SPARSE, finite, matrix_decays, matrix_factor, matrix_rhs, matrix_solve,
                                        weighted_norm)
from mflow_core.solvers.newton cimport (FLOW_ENDS, FLOW_LEAVES, FLOW_STOPS, FLOW_SWINGS, newton_config_t, newton_make, newton_solve,
                                        newton_t, newton_weights, refine, solve_full, update, weights_of_size)
from mflow_core.solvers.scout cimport (LONG, LONG_WAY, bends, distance, first_update, fits, follow, is_nothing, look_at, relax,
                                       stand)
from mflow_core.types cimport (MF_E_MEMORY, MF_E_NON_FINITE, MF_E_SOLVE, MF_E_STEP, MF_RETRY_SOLVE, mf_frame, mf_method, mf_new_frame,
                               mf_new_problem, mf_problem, mf_rhs_fn)

cdef enum:
    MOST_STEPS = 200_000                 # of the flow to a rest
    WINDOW = 2048                        # of them, before its slopes must have fallen
    RESTS = 8                            # steps in a row that hardly move, where the slope has not fallen far
    LISTEN = 32                          # steps between looks at signals
    PROBES = 4                           # of whether f is affine

cdef double CONTRACTION = 1.0 / 3.0      # of updates that are trusted
cdef double QUARTER = 0.25
cdef double HALF = 0.5
cdef double MOVED = 0.1                  # of the size of the state; where a look costs RITZ evaluations, FAR
cdef double FAR = 0.5
cdef double SAME = 1e-6                  # two computations of one root
cdef double NEAR = 0.05                  # where the branch ends within CLOSE of gh, Newton's root that is no farther off than this part
cdef double CLOSE = 1e-4                 # of the way belongs to it
cdef double AFFINE = 1e-4                # of the way to a rest: what f may bend on it
cdef double FLOW_RTOL = 1e-6
cdef double FLOW_ATOL = 1e-9             # of the largest size that a component has had
cdef double STILL = 1e-6                 # of that size: a step that hardly moves
cdef double FALLEN = 1e-3                # of the largest slope
cdef double FALLING = 0.99               # of the largest slope in the steps before as many
cdef double BESIDE = 1e-3                # of that size: Newton's way from where the flow has come to, to the rest

cdef const mf_method *PAIR = mf_find(b"esdirk43")


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
    the way. Factors that have agreed once are asked again where a way is more than twice as long."""
    cdef bint matrix = s.c.matrix.kind != KRYLOV
    cdef double way
    cdef ptrdiff_t i
    cdef int status
    for i in range(s.n):
        s.bar[i] = z[i] - r[i]
    way = weighted_norm(&s.m, s.bar)
    if way <= 2.0 * s.m.agreed and (matrix or is_checked(s, gh, z)):
        return 1
    if matrix and s.m.size_gh <= 0.5 and way <= LONG_WAY:
        return 1
    status = matrix_rhs(&s.m, t, r, s.f)
    if status == 0:
        status = bends(s, t, gh, r, r, s.f, z, way, False)
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


cdef int depart(newton_t *scout, double t, double gh, const double *r) noexcept nogil:
    """The scout stands at r."""
    cdef int status
    memcpy(scout.start, r, scout.n * sizeof(double))
    weights_of_size(scout, r, r)
    status = matrix_rhs(&scout.m, t, r, scout.slope)
    return stand(scout, t, gh, r) if status == 0 else status


cdef bint is_open(newton_t *s, double gh, const double *r, const double *z) noexcept nogil:
    """Whether a look at Newton's root may decide where the scout did not arrive."""
    cdef newton_t *scout = s.scout
    if s.m.symmetric:
        return False
    return not scout.turned or (scout.reached > 1.0 - CLOSE and distance(s, z, scout.start) <= NEAR * distance(s, z, r))


cdef int settle(newton_t *s, double t, double gh, const double *r, const double *begin, double *z, int found) noexcept nogil:
    """Find the step's root by the scout. found: 0 where z is a root by Newton's iteration, else why there is none."""
    cdef newton_t *scout = scout_of(s)
    cdef lifted_t w
    cdef int status, regular = CROSSED
    cdef bint same = False
    if scout == NULL:
        return MF_E_MEMORY
    scout.turned, scout.non_finite = False, 0
    if begin != r:
        lift(scout, &w, s.mix)
    status = walk(scout, t, gh, begin)
    if begin != r:
        lower(scout, &w)
    if status == 0:
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
    elif status > 0 and found == 0 and is_open(s, gh, begin, z):
        status = look_at(scout, t, gh, z, &regular)      # f has a corner, perhaps, or gh ends where the branch does
        same = True
        if status == 0 and not fits(s, regular, not scout.turned):
            status = MF_RETRY_SOLVE
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

ctypedef struct flow_t:                  # the flow z' = f(t, z), t at rest: one run of PAIR
    newton_t *s
    double t
    mf_problem p
    mf_frame f
    control_t c
    void *block
    double *now[2]                       # the state and its slope
    double *next[2]
    double *tolerances                   # rtol, then atol, of each component
    double *err


cdef int flow_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef flow_t *w = <flow_t *> ctx
    return matrix_rhs(&w.s.m, w.t, y, dydt)


cdef int flow_solve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef flow_t *w = <flow_t *> ctx
    return newton_solve(w.t, gh, r, z, n, w.s)


cdef int flow_begin(flow_t *w, newton_t *s, double t, double gh) noexcept nogil:
    """From s.start, whose slope is s.slope. s works under error control until flow_end."""
    cdef ptrdiff_t n = s.n, ld = (n + 7) // 8 * 8, i
    cdef double *at
    cdef int j
    memset(w, 0, sizeof(flow_t))
    w.block = calloc((6 + PAIR.sizes.n_work + PAIR.sizes.n_err) * ld + 8, sizeof(double))
    if w.block == NULL:
        return MF_E_MEMORY
    at = <double *> w.block
    for j in range(2):
        w.now[j], w.next[j] = at + j * ld, at + (2 + j) * ld
    w.tolerances, w.err = at + 4 * ld, at + 6 * ld
    w.s, w.t = s, t
    w.p, w.f = mf_new_problem(), mf_new_frame()
    w.p.n, w.p.ctx, w.p.rhs, w.p.solve = n, w, flow_rhs, flow_solve
    w.f.n, w.f.ld, w.f.p, w.f.err, w.f.work = n, ld, &w.p, w.err, w.err + PAIR.sizes.n_err * ld
    memcpy(w.now[0], s.start, n * sizeof(double))
    memcpy(w.now[1], s.slope, n * sizeof(double))
    control_begin(&w.c, n, PAIR.order, PAIR.order_hat, PAIR.sizes.n_err)
    w.c.rtol, w.c.max_step, w.c.rtol_of, w.c.atol_of = FLOW_RTOL, INFINITY, w.tolerances, w.tolerances + ld
    memset(s.checked, 0, n * sizeof(double))
    for i in range(n):
        w.tolerances[i] = FLOW_RTOL
    w.c.h = 1e-3 * max(REDUCE.max_abs(s.start, n), 1e-6) / REDUCE.max_abs(s.slope, n)
    w.c.h = copysign(min(max(w.c.h, 1e-280), 1e280), gh)
    s.controlled, s.m.look = True, False
    return 0


cdef void flow_end(flow_t *w, double unit) noexcept nogil:
    """The scout is what it was; where the flow has come to is in s.root."""
    cdef newton_t *s = w.s
    memcpy(s.root, w.now[0], s.n * sizeof(double))
    free(w.block)
    s.controlled, s.m.look, s.m.unit, s.state, s.eta = False, True, unit, NULL, 1.0
    s.want_jacobian = s.m.has_point = s.m.has_jacobian = s.m.has_factors = False


cdef double flow_slope(flow_t *w) noexcept nogil:
    """The slope's size: its largest component in units of how large that of the state has been, which is noted for the tolerances too."""
    cdef newton_t *s = w.s
    cdef double top = 0.0, least, size, share
    cdef ptrdiff_t i
    for i in range(s.n):
        s.checked[i] = max(s.checked[i], fabs(w.now[0][i]))
    least = 1e-6 * max(REDUCE.max_abs(s.checked, s.n), 1e-140)
    for i in range(s.n):
        size = max(s.checked[i], least)
        (<double *> w.c.atol_of)[i] = FLOW_ATOL * size
        share = fabs(w.now[1][i]) / size
        top = share if share > top or share != share else top
    return top


cdef int flow_step(flow_t *w) noexcept nogil:
    """One step, after as many tries as it takes; 0, or why there is none. w.f.h is its length."""
    cdef ptrdiff_t n = w.s.n
    cdef double err, h
    cdef int status, j
    while True:
        h = planned_step(&w.c, 0.0)
        newton_weights(w.s, w.now[0], w.tolerances, w.c.atol_of, n)
        w.s.state = w.now[0]
        w.f.h, w.f.x0, w.f.x1 = h, <const double *const *> w.now, <double *const *> w.next
        status = PAIR.step(PAIR, &w.f)
        err = INFINITY
        if status == 0 and not (finite(w.next[0], n) and finite(w.next[1], n)):
            status = MF_E_NON_FINITE
        if status == 0 and w.s.m.met:            # a state beyond a wall is none
            status = matrix_rhs(&w.s.m, w.t, w.next[0], w.s.f)
        w.s.m.met = False
        if status == 0:
            err = REDUCE.error_sum(&w.c, w.err, w.now[0], w.next[0], n) * w.c.per_n
            if err <= 1.0:
                break
            status = MF_E_NON_FINITE if err != err else 0
        status = after_bad(&w.c, status, err, 0.0, h)
        if status != 0:
            return status
    after_good(&w.c, err, h, h)
    for j in range(2):
        w.now[j], w.next[j] = w.next[j], w.now[j]
    return 0


cdef int flow_to_rest(newton_t *s, double t, double gh) noexcept nogil:
    """Follow the flow from s.start until it has come to rest, in s.root; MF_RETRY_SOLVE, with the reason in s.flow, where it does not."""
    cdef flow_t w
    cdef double unit = s.m.unit, slope, highest, top = 0.0, before = INFINITY, elapsed = 0.0, moved
    cdef int k, still = 0, window = WINDOW, status = flow_begin(&w, s, t, gh)
    if status != 0:
        return status
    highest = flow_slope(&w)
    s.flow = FLOW_SWINGS
    for k in range(1, MOST_STEPS + 1):
        status = flow_step(&w)
        if status == 0 and k % LISTEN == 0 and LINALG.poll != NULL:
            status = LINALG.poll()
        if status != 0:
            s.flow = FLOW_LEAVES if status == MF_E_NON_FINITE else FLOW_STOPS
            break
        elapsed += fabs(w.f.h)
        slope = flow_slope(&w)
        moved = fabs(w.f.h) * slope
        highest, top = max(highest, slope), max(top, slope)
        still = still + 1 if moved <= STILL and fabs(w.f.h) >= QUARTER * elapsed else 0
        if slope == 0.0 or still >= (1 if slope <= FALLEN * highest else RESTS):
            s.flow = FLOW_ENDS
            break
        if not elapsed < 1e280 or not REDUCE.max_abs(w.now[0], s.n) < 1e150:
            s.flow = FLOW_LEAVES
            break
        if k == window:
            if top > FALLING * before:
                break
            before, top, window = top, 0.0, 2 * window
    s.flow_time = elapsed
    flow_end(&w, unit)
    if status < 0 and status != MF_E_NON_FINITE and status != MF_E_STEP and status != MF_E_SOLVE:
        return status
    return 0 if s.flow == FLOW_ENDS else MF_RETRY_SOLVE


cdef int affine(newton_t *s, double t, double gh) noexcept nogil:
    """1 if f is affine around the way of Newton's step from s.start to s.root, where the flow may go, and all of its modes decay; else 0, or
    a negative code. Where f is affine, M^-1 f(p) is what Newton's step from p is: p + that is the root for every p."""
    cdef int status
    cdef double first, part, wide, far
    cdef ptrdiff_t i
    cdef int k
    if gh < 0.0:
        return 0
    status = matrix_decays(&s.m)
    if status != 1:
        return status
    status = matrix_factor(&s.m, gh)
    if status == 0:
        first = first_update(s, t, gh, s.start, &status)
    if status != 0 or not first < INFINITY:
        return min(status, 0)
    wide = REDUCE.max_abs(s.d, s.n)
    for k in range(1, PROBES + 1):
        part = <double> k / PROBES
        for i in range(s.n):             # a fixed choice of directions, of no pattern
            far = wide * (2.0 * (<double> (((i + 1) * 7919 + k * 104729) % 4093) / 4093.0) - 1.0)
            s.trial[i] = s.start[i] + part * s.d[i] + (far if k % 2 == 0 else -far)
        status = matrix_rhs(&s.m, t, s.trial, s.next_d)
        if status == 0:
            status = matrix_solve(&s.m, s.next_d)
        for i in range(s.n):
            s.next_d[i] += s.trial[i] - s.root[i]
            s.bar[i] = s.trial[i] - s.root[i]
        if status != 0 or not weighted_norm(&s.m, s.next_d) <= AFFINE * max(first, weighted_norm(&s.m, s.bar)):
            return min(status, 0)
    return 1


cdef int polish(newton_t *s, double t, double gh) noexcept nogil:
    """The rest beside s.root, into it: it is no farther off than BESIDE of the sizes in s.checked."""
    cdef double least = 1e-6 * REDUCE.max_abs(s.checked, s.n)
    cdef ptrdiff_t i
    cdef int status
    cdef int _k
    memcpy(s.mix, s.root, s.n * sizeof(double))
    s.non_finite = 0
    for _k in range(8):                  # of a rest at 0 there is always less
        memcpy(s.guess, s.root, s.n * sizeof(double))
        status = solve_full(s, t, gh, s.mix, s.root)
        if status != 0:
            return status
        if not 0.0 < REDUCE.max_abs(s.root, s.n) <= 1e-9 * REDUCE.max_abs(s.guess, s.n):
            break
    for i in range(s.n):
        if not fabs(s.root[i] - s.mix[i]) <= BESIDE * max(s.checked[i], least):
            return MF_RETRY_SOLVE
    return 0


cdef int find_rest(newton_t *s, double t, double gh, const double *r) noexcept nogil:
    """The rest that the flow from r reaches, into s.root."""
    cdef ptrdiff_t i
    cdef int status = depart(s, t, gh, r), answer
    memcpy(s.root, r, s.n * sizeof(double))
    if status != 0 or REDUCE.max_abs(s.slope, s.n) == 0.0:
        return status
    answer = affine(s, t, gh)
    if answer < 0:
        return answer
    if answer == 1:
        for i in range(s.n):
            s.checked[i] = max(fabs(s.root[i]), fabs(r[i]))
    else:
        status = flow_to_rest(s, t, gh)
        if status != 0:
            return status
    status = polish(s, t, gh)
    if status > 0:                       # a rest where the slope vanishes to higher order: by short ways
        status = depart(s, t, gh, s.mix)
        if status == 0:
            status = relax(s, t, gh, s.checked)
        if status == 0:
            status = polish(s, t, gh)
    return status


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
        return newton_solve(t, gh, r, z, n, ctx)
    if fabs(gh) == INFINITY:
        return steady_state(s, t, gh, z)
    s.m.look = True
    s.reached = NAN
    status = newton_solve(t, gh, r, z, n, ctx)
    if status < 0:
        return status
    begin = begin_of(s, gh, r)
    if status == 0:
        if begin != r:
            lift(s, &w, s.mix)
        sure = trusted(s, t, gh, begin, z, crossed)
        if begin != r:
            lower(s, &w)
        if sure != 0:
            return 0 if sure == 1 else sure
    return settle(s, t, gh, r, begin, z, status)
