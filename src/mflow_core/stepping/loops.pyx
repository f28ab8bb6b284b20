"""The loops over steps that need no Python.

Fixed steps take their times from the step index, t = t_base + (k - k_base) dt, so that no error piles up in t. Under error control t is
carried; the controller is in control.pxd. A step that was not good is tried again from the same state:

    error above 1                            h shrinks as the controller says
    not finite (a state, a slope, the error, h/4, and below what failed for some accepted steps; it is over where steps of 16 units in
    or the extension, where it is needed)    the last place of t do not work, or 64 tries in a row were not finite
    not solved, or asked for by a callback   h/4
    h too short to move t                    it is over, for the reason of the last try

Of one-step methods for stiff problems the error between both ends counts too, where something is seen there (`between`): a transient that
decays at once is damped out of a long step and of its error estimate, and the polynomial through it is not.

Every ending leaves the run at its last good state.

Behind an action of an event a run begins anew (starts.pyx). Under error control the loop goes on there by itself; fixed steps are counted
from there, so their loop returns.

Where accelerations follow from their arguments alone (r.calls), fixed steps that leave nothing behind work in place, on half the memory: a
copy of the state is kept every `BLOCK` steps, and only there are numbers looked at. No second-order method makes a number finite again, for
x+ = x + ... and v+ = v + ...; so where one is not finite, or a step has failed, the block is taken again from the copy, a step at a time.
"""
from libc.math cimport INFINITY, NAN, fabs
from libc.string cimport memcpy

from mflow_core.arithmetic.clock cimport MF_PIECE, mf_seconds
from mflow_core.arithmetic.control cimport (MF_LOOKS, after_bad, after_good, error_sum as short_error_sum, go_on, look_for_stiffness,
                                            planned_step, size_of_time, two_errors)
from mflow_core.arithmetic.vec cimport MF_SHORT, mf_fp_enter, mf_fp_leave
from mflow_core.methods.tableau cimport MAX_STAGES, NO_STEPS, slope_at_start as slope_in_work
from mflow_core.registry cimport REDUCE, STEPS
from mflow_core.solvers.newton cimport newton_lsolve, newton_weights
from mflow_core.solvers.stages.mass cimport leave_null_space
from mflow_core.stepping.energy.ledger cimport ledger_idle, ledger_step, ledger_told
from mflow_core.stepping.motion cimport motion_error, motion_start
from mflow_core.stepping.output cimport RECORD_ACT, RECORD_EVENT, RECORD_FULL, extend, is_full, polynomial, write_step
from mflow_core.stepping.run cimport (LEAPS_STOPPED, LEG_OVER, POLE_DUE, RHO_DUE, RUN_INSIDE, RUN_WALLS, WALL_DUE, accept, couples, end_has_slope,
                                      linearizes, rho_is_due, run_ready, run_settle, try_step)
from mflow_core.stepping.starts cimport leave_grid, run_act, size_of
from mflow_core.stepping.legs.handover cimport ALONE, run_doubt, run_turns, run_watch
from mflow_core.stepping.watch.leaps cimport leaps, note_taken
from mflow_core.stepping.watch.longs cimport contradicted
from mflow_core.stepping.watch.poles cimport leads_over_pole
from mflow_core.stepping.watch.past cimport PAST_DUE, past_is_due, past_t
from mflow_core.types cimport (MF_AGAIN, MF_E_MEMORY, MF_E_NON_FINITE, MF_E_STEP, MF_IMPLICIT, MF_MULTISTEP, MF_RETRY_NON_FINITE,
                               MF_SECOND_ORDER, mf_problem, mf_step_fn, mf_tableau, mf_times_mass)


cdef enum:
    FIRST_WALL = 32                      # tries without an error estimate, before the driver looks for a wall; then at each power of 2
    BLOCK = 32                           # steps in place between two copies of the state
    LEAST = 4                            # fewer are not worth one

cdef double SMOOTH = 3.0625              # beyond 1.4 of the limit no step is accepted for long: that is a jump in f
cdef double KEPT = 1.2                   # implicit motions: a step that could grow by less stays
cdef int64_t SLOW_START = 32             # steps of multistep methods, whose first ones are short, and grow by and by
cdef double GROWS = 1.5                  # times the step before: no pole in time is near one that grows by more
cdef double LEFT = 0.95                  # and one that should shrink by less: it was chosen at 0.9 of what the tolerance allows
cdef double LEAST_RATE = 0.2             # for one iteration of multistep methods with a mass: what it leaves of algebraic equations no step mends
cdef double INSIDE = 0.4                 # of a step: between the nodes of radau5, where its polynomial is farthest off
cdef double BESIDE_WALL = 1e-3           # of what Newton's iteration leaves elsewhere


# ---- fixed steps ------------------------------------------------------------------------------------------------------------------------

cdef int run_fixed(run_t *r, int64_t count, double t_last, record_t *record) noexcept nogil:
    """`count` steps of r.dt; where t_last is a number the last of them lands on it. 0, or why it stopped at the last good step."""
    cdef unsigned int mode = mf_fp_enter()
    cdef int64_t i = -1, quiet, singly = 0
    cdef double t_next, h
    cdef int status = 0
    cdef bint lands = t_last == t_last, keeps_books = r.ledger != NULL and record != NULL and (record.n_at > 0 or record.events != NULL)
    r.f.err = NULL
    r.f.rtol = r.f.atol = NULL
    if r.m.flags & MF_SECOND_ORDER and count > 0:
        status = motion_start(r)
    if not run_ready(r):
        status = MF_E_MEMORY
    while status == 0 and i + 1 < count:
        i += 1
        if record != NULL and is_full(record):
            status = RECORD_FULL
            break
        if r.calls != NULL and i >= singly:
            quiet = quiet_steps(r, record, count - 1 - i)
            if quiet >= LEAST:
                if block_in_place(r, quiet):
                    i += quiet - 1
                    continue
                singly = i + quiet
        if rho_is_due(r):
            status = RHO_DUE
            break
        if r.past != NULL and past_is_due(<past_t *> r.past, r.k):
            status = PAST_DUE
            break
        h = r.dt
        t_next = r.t_base + <double> (r.k + 1 - r.k_base) * r.dt
        if lands and i == count - 1:
            if fabs(t_next - t_last) > 4.5e-16 * (fabs(t_last) + fabs(r.t_base)):
                h = t_last - r.t             # else the grid ends there, and only rounding has moved it: the step is a whole one
            t_next = t_last
        status = fixed_step(r, h, t_next, lands and i == count - 1, keeps_books, record)
        if status == 0 and h != r.dt:
            r.t_base, r.k_base = r.t, r.k    # steps that follow count from here
        if status == RECORD_ACT:
            status = run_act(r, r.t, record)
            status = RECORD_ACT if status == 0 else status
        if status != 0:
            break
    mf_fp_leave(mode)
    return status


cdef inline bint stands(int status) noexcept nogil:
    """Whether a step was taken, to where an event has moved its end."""
    return status == RECORD_EVENT or status == RECORD_ACT


cdef inline int fixed_step(run_t *r, double h, double t_next, bint at_end, bint keeps_books, record_t *record) noexcept nogil:
    """One step of h to t_next, booked, written and accepted; RECORD_EVENT and RECORD_ACT are steps that were taken."""
    cdef int status = try_step(r, h) if r.past == NULL or r.k < (<past_t *> r.past).next else (<past_t *> r.past).step(r, h)
    if status == 0 and r.ledger != NULL:
        if keeps_books:
            r.books = r.ledger[0]
        status = book(r, t_next, h)
    if status == 0 and record != NULL:
        record.end = at_end
        status = write_step(r, &t_next, record)
        if keeps_books and status != 0 and not stands(status):
            r.ledger[0] = r.books            # the step is not taken
    if status != 0 and not stands(status):
        return status
    accept(r, t_next)
    if stands(status):
        leave_grid(r)
    return status


cdef int run_given(run_t *r, int64_t count, const double *h, const double *ends, double t_end, record_t *record) noexcept nogil:
    """`count` steps of sizes h, each to the time in `ends` that a compensated sum gives; t_end is that of the run. 0, or why it stopped at
    the last good step."""
    cdef unsigned int mode = mf_fp_enter()
    cdef int64_t i
    cdef int status = 0
    cdef bint keeps_books = r.ledger != NULL and record != NULL and (record.n_at > 0 or record.events != NULL)
    r.f.err = NULL
    r.f.rtol = r.f.atol = NULL
    if r.m.flags & MF_SECOND_ORDER and count > 0:
        status = motion_start(r)
    if not run_ready(r):
        status = MF_E_MEMORY
    for i in range(count if status == 0 else 0):
        if record != NULL and is_full(record):
            status = RECORD_FULL
        elif rho_is_due(r):
            status = RHO_DUE
        elif r.past != NULL and past_is_due(<past_t *> r.past, r.k):
            status = PAST_DUE
        else:
            r.dt, r.t_base, r.k_base = h[i], r.t, r.k
            status = fixed_step(r, h[i], ends[i], ends[i] == t_end, keeps_books, record)
        if status != 0:
            break
    mf_fp_leave(mode)
    return status


cdef int64_t quiet_steps(const run_t *r, const record_t *record, int64_t most) noexcept nogil:
    """How many of the next steps, `BLOCK` at most, leave nothing behind but the state."""
    cdef int64_t count = most if most < BLOCK else BLOCK, before
    if (r.ledger != NULL and not ledger_idle(r.ledger, r.dt)) or (record != NULL and (record.events != NULL or record.n_at > 0)):
        return 0
    if record != NULL and record.every > 0:
        before = record.every - 1 - r.k % record.every
        count = before if before < count else count
    return count


cdef int steps_in_place(run_t *r, int64_t count) noexcept nogil:
    cdef mf_step_fn step = r.m.step
    cdef int64_t i
    cdef int status
    for i in range(count):
        r.f.k = r.k + i
        status = step(r.m, &r.f)
        if status == 0 and r.ledger != NULL and r.ledger.each_step and not ledger_told(r.ledger):
            status = NO_STEPS                # a method that does not tell: it books steps that are not in place
        if status != 0:
            return status
        r.f.t = r.t_base + <double> (r.k + i + 1 - r.k_base) * r.dt
    return 0


cdef bint block_in_place(run_t *r, int64_t count) noexcept nogil:
    """`count` whole steps in place. False: one of them was not good, and the run stands where it did."""
    cdef int64_t n_rhs = r.f.n_rhs, n_solve = r.f.n_solve, calls = r.calls[0]
    cdef int j, status = NO_STEPS
    for j in range(r.sizes.n_vec):
        memcpy(r.next[j], r.now[j], r.n * sizeof(double))
    memcpy(r.s_next, r.s_now, r.sizes.n_scal * sizeof(double))
    if r.ledger != NULL:
        r.books = r.ledger[0]
    r.f.x0, r.f.x1, r.f.s0, r.f.s1 = <const double *const *> r.now, <double *const *> r.now, r.s_now, r.s_now
    r.f.t, r.f.h = r.t, r.dt
    if r.n == 1 and r.m.step == STEPS.step:
        r.f.k = r.k
        status = STEPS.many(r.m, &r.f, count, r.t_base, r.k - r.k_base)
    if status == 0:
        r.f.t = r.t_base + <double> (r.k + count - r.k_base) * r.dt
    elif status == NO_STEPS:
        status = steps_in_place(r, count)
    for j in range(r.n_tested if status == 0 else 0):
        if not REDUCE.all_finite(r.now[j], r.n):
            status = MF_E_NON_FINITE
            break
    if status == 0:
        r.t = r.f.t
        r.k += count
        return True
    r.now, r.next = r.next, r.now
    r.s_now, r.s_next = r.s_next, r.s_now
    if r.ledger != NULL:
        r.ledger[0] = r.books
    r.f.n_rhs, r.f.n_solve, r.calls[0] = n_rhs, n_solve, calls
    return False


cdef int book(run_t *r, double t_next, double h) noexcept nogil:
    """The energies of a good step, before it is accepted."""
    return ledger_step(r.ledger, r.t, <const double *const *> r.now, t_next, <const double *const *> r.next, h)


# ---- error control ----------------------------------------------------------------------------------------------------------------------

cdef inline double error_of(run_t *r) noexcept nogil:
    """Square of the step's error in units of the tolerance."""
    cdef double first
    if r.m.flags & MF_SECOND_ORDER:
        return motion_error(r)
    if r.newton != NULL and r.newton.c.matrix.mass != NULL:
        leave_null_space(r.newton.c.matrix.mass, r.err)
    if r.n <= MF_SHORT and r.sizes.n_err == 1:
        return short_error_sum(&r.c, r.err, r.now[0], r.next[0], r.n) * r.c.per_n
    first = size_of(r, r.err, r.now[0], r.next[0])
    if r.sizes.n_err == 2:
        return two_errors(first, size_of(r, r.err + r.ld, r.now[0], r.next[0]), r.c.per_n)
    return first * r.c.per_n


cdef void weigh(run_t *r) noexcept nogil:
    """Implicit steps are solved to a fraction of the tolerances; beside a wall, which may be nearer than that, to less of it."""
    cdef bint vectors = r.c.rtol_of != NULL
    cdef ptrdiff_t i
    newton_weights(r.newton, r.now[0], r.c.rtol_of if vectors else &r.c.rtol, r.c.atol_of if vectors else &r.c.atol, r.n if vectors else 1)
    r.newton.state, r.newton.m.watch = r.now[0], True
    if r.m.flags & MF_MULTISTEP and r.newton.c.matrix.mass != NULL:
        r.newton.eta = max(r.newton.eta, LEAST_RATE)
    if r.c.near:
        for i in range(r.n):
            r.newton.m.size[i] *= BESIDE_WALL
            r.newton.m.weight[i] = 1.0 / r.newton.m.size[i]


cdef int checked_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    """The right-hand side, which ends the try at the first slope that is not finite."""
    cdef run_t *r = <run_t *> ctx
    cdef int status = r.ode.rhs(t, y, dydt, n, r.ode.ctx)
    return MF_RETRY_NON_FINITE if status == 0 and not REDUCE.all_finite(dydt, n) else status


cdef int careful_step(run_t *r, double h) noexcept nogil:
    """A try near one that was not finite: it ends at the first such slope. Newton's iteration looks at its slopes anyway, but not where its
    last update led; the next step would begin there."""
    cdef mf_problem plain = r.p
    cdef int status
    if r.newton != NULL:
        status = try_step(r, h)
        return end_has_slope(r, h) if status == 0 and not r.newton.m.met else status
    if r.m.flags & MF_SECOND_ORDER or r.ode.rhs == NULL:
        return try_step(r, h)
    r.p.rhs, r.p.ctx = checked_rhs, r
    status = try_step(r, h)
    r.p = plain
    return status


cdef int leave_step(run_t *r, double *t_next, double h, double t_end, record_t *record) noexcept nogil:
    """Books and writes down a good step; where that fails the books are as before, for the next try."""
    cdef int status = 0
    if r.ledger != NULL:
        r.books = r.ledger[0]
        status = book(r, t_next[0], h)
    if status == 0 and record != NULL:
        record.end = t_next[0] == t_end
        status = write_step(r, t_next, record)
    if r.ledger != NULL and status != 0 and not stands(status):
        r.ledger[0] = r.books
    return status


cdef inline bint slope_is_finite(run_t *r) noexcept nogil:
    """Of a slope at the end that is the next step's first one and has no part in the error estimate (dop853)."""
    return not r.tests_slope or REDUCE.all_finite(r.next[1], r.n)


cdef inline void look(run_t *r, double h) noexcept nogil:
    """Whether the step just taken was held by the stability limit, before its extension uses `work` (layout: embedded.pyx). Four times as
    rare for long vectors, where a look costs more than the rest of error control."""
    cdef int64_t hits = r.c.n_stiff
    if r.c.n_stiff > 0 or r.leg.most > 0 or r.leg.near_limit > 0 or r.k % (MF_LOOKS if r.n <= MF_SHORT else 4 * MF_LOOKS) == 0:
        if r.m.tab.c[r.m.tab.s - 2] == 1.0:
            look_for_stiffness(&r.c, r.n, h, r.f.work, r.next[0], r.f.work + (r.m.tab.s - 1) * r.ld, r.next[1], INFINITY)
            run_turns(r, h, hits)
        else:
            extrapolate(r, h)
            look_for_stiffness(&r.c, r.n, h, r.f.work, r.next[0], r.err, r.next[1], SMOOTH)


cdef void extrapolate(run_t *r, double h) noexcept nogil:
    """What a look compares with the end of the step where no other stage stands there: three stages and their slopes, at the end by the
    parabola through them. Forcing that the steps resolve hardly differs from its parabola. Into r.f.work and r.err, which have been used."""
    cdef const mf_tableau *tab = r.m.tab
    cdef int s = tab.s, i, j, k
    cdef int[3] of
    cdef double[3] w
    cdef double[MAX_STAGES] share
    cdef const double *K[MAX_STAGES]
    cdef double y
    cdef ptrdiff_t e
    of[0], of[1], of[2] = 0, s - 3, s - 2
    for i in range(3):
        w[i] = 1.0
        for j in range(3):
            if j != i:
                w[i] *= (1.0 - tab.c[of[j]]) / (tab.c[of[i]] - tab.c[of[j]])
    for j in range(s - 2):
        K[j] = r.f.work + (j + 1) * r.ld
        share[j] = 0.0
        for k in range(3):
            share[j] += h * w[k] * tab.A[of[k] * s + j]
    K[0], K[s - 2] = slope_in_work(&r.f, r.f.work + r.ld), r.f.work + (s - 1) * r.ld
    for e in range(r.n):
        y = r.now[0][e]
        for j in range(s - 2):
            y += share[j] * K[j][e]
        r.f.work[e] = y
        r.err[e] = w[0] * K[0][e] + w[1] * K[of[1]][e] + w[2] * K[of[2]][e]


cdef bint sees_between(const run_t *r, const record_t *record, double t_next) noexcept nogil:
    """Whether what is written of the step at hand, or may be asked for, lies inside it, and its error there may be larger than at the end."""
    if r.y_between == NULL or (r.newton != NULL and not (couples(r.m) or linearizes(r.m))):
        return False
    if record == NULL or r.flags & RUN_INSIDE:
        return r.flags & RUN_INSIDE != 0
    if record.D != NULL or record.events != NULL:
        return True
    return record.i_at < record.n_at and (t_next - record.at[record.i_at]) * (1.0 if r.f.h > 0.0 else -1.0) > 0.0


cdef inline double rate_inside(const run_t *r, ptrdiff_t i) noexcept nogil:
    """h P', P the extension of the step at hand, at INSIDE."""
    cdef double rate = r.n_D * r.f.D[(r.n_D - 1) * r.ld + i]
    cdef int k
    for k in range(r.n_D - 1, 0, -1):
        rate = k * r.f.D[(k - 1) * r.ld + i] + INSIDE * rate
    return rate


cdef int between(run_t *r, double t_next, double *err) noexcept nogil:
    """err becomes the square of the error inside the step, where that is larger: of the extension P at INSIDE it is about

        (M - gh J)^-1 gh (f(t, P) - M P'),

    which is P's distance to the solution in components that decay within the step, and gh times the slope that it lacks in others."""
    cdef double gh = r.newton.m.gh, t = r.t + INSIDE * r.f.h, scale = gh / r.f.h, inside
    cdef double *left = r.slope1
    cdef ptrdiff_t i
    cdef int status = extend(r, t_next)
    if status != 0 or not r.newton.m.has_factors:
        return status
    polynomial(&r.f, r.n_D, INSIDE, r.y_between)
    status = r.p.rhs(t, r.y_between, r.slope0, r.n, r.p.ctx)
    r.f.n_rhs += 1
    for i in range(r.n):
        r.y_between[i] = scale * rate_inside(r, i)
    memcpy(left, r.y_between, r.n * sizeof(double))
    if status == 0 and r.p.mass != NULL:
        status = mf_times_mass(&r.p, t, r.y_between, left, r.n)
    for i in range(r.n):
        left[i] = gh * r.slope0[i] - left[i]
    if status != 0 or not REDUCE.all_finite(left, r.n):
        return min(status, 0)
    status = newton_lsolve(r.t, gh, left, r.slope0, r.n, r.newton)
    if status == 0:
        if r.newton.c.matrix.mass != NULL:
            leave_null_space(r.newton.c.matrix.mass, r.slope0)
        inside = size_of(r, r.slope0, r.now[0], r.next[0]) * r.c.per_n * (r.widened * r.widened)
        err[0] = inside if inside > err[0] else err[0]
    return min(status, 0)


cdef int beyond(run_t *r, double t_next, double *err) noexcept nogil:
    """The same of an explicit pair near its stability limit, where another method can go on: what decays at the rate seen takes the defect of
    the extension, h (f(t, P) - P'), as 1/(1 + h |lambda|) of it. Where that is too large LEG_OVER, or a shorter step where the rate is not
    believed."""
    cdef double scale = 1.0 / (1.0 + r.c.seen), inside
    cdef ptrdiff_t i
    cdef int status = extend(r, t_next)
    if status != 0:
        return status
    polynomial(&r.f, r.n_D, INSIDE, r.y_between)
    status = r.p.rhs(r.t + INSIDE * r.f.h, r.y_between, r.slope0, r.n, r.p.ctx)
    r.f.n_rhs += 1
    for i in range(r.n):
        r.slope0[i] = scale * (r.f.h * r.slope0[i] - rate_inside(r, i))
    if status != 0 or not REDUCE.all_finite(r.slope0, r.n):
        return min(status, 0)
    inside = size_of(r, r.slope0, r.now[0], r.next[0]) * r.c.per_n
    if inside <= 1.0:
        return 0
    err[0] = inside
    r.leg.over = r.c.believed
    if r.leg.over:
        r.c.stiff_lambda, r.c.stiff_h = r.c.seen / fabs(r.f.h), r.f.h
    return LEG_OVER if r.leg.over else 0


cdef int step_once(run_t *r, double t_end, record_t *record) noexcept nogil:
    """One accepted step towards t_end, after as many tries as it takes."""
    cdef double h, planned, t_next, err
    cdef int64_t failed
    cdef int status
    while True:
        planned = h = planned_step(&r.c, r.t)
        if fabs(h) < r.pole_h and fabs(h) < GROWS * r.h_before:
            if not r.m.flags & MF_MULTISTEP or r.k >= r.k_base + SLOW_START:
                r.heads_for_0 = False
                return POLE_DUE
        t_next = r.t + h
        if t_next == r.t and r.n > 0:
            r.c.h = h                        # max_step is lost in rounding
            return MF_E_STEP
        if t_next >= t_end if h > 0.0 else t_next <= t_end:
            h = t_end - r.t
            t_next = t_end
        err = INFINITY
        if r.newton != NULL:
            weigh(r)
        if r.k == r.k_base or r.c.after_reject:
            r.f.flags = r.f.flags | MF_AGAIN
        status = careful_step(r, h) if r.c.near else try_step(r, h)
        r.f.flags = r.f.flags & ~MF_AGAIN
        if r.m.flags & MF_MULTISTEP:
            r.c.q = r.f.order + 1.0
            r.c.per_q = 1.0 / r.c.q
        if status == 0:
            err = error_of(r)
            if r.inside != NULL and err <= 1.0:
                status = run_settle(r, h, &err)
            if status == 0 and err <= 1.0 and r.newton != NULL and sees_between(r, record, t_next):
                status = between(r, t_next, &err)
            if status == 0 and (err != err or not slope_is_finite(r)):
                status = MF_E_NON_FINITE
            elif status == 0 and err <= 1.0:
                if r.c.edge > 0.0:
                    look(r, h)
                    if r.leg.most > 0 and r.c.seen > 0.0 and sees_between(r, record, t_next):
                        status = beyond(r, t_next, &err)
                if status == 0 and err <= 1.0 and not (r.leaps != NULL and (
                        leaps(r, h, t_next, &err, &status) or contradicted(r, h, t_next, &err, &status))):
                    if r.pole_h > 0.0 and leads_over_pole(r, h, t_next, &status):
                        return status
                    status = leave_step(r, &t_next, h, t_end, record)
                    if status == 0 or stands(status):
                        break
        if status == LEG_OVER:
            return status
        failed = r.c.failed
        status = after_bad(&r.c, status, err, r.t, h)
        if status == 0 and r.leg.most > 0:
            status = run_doubt(r, planned)
        if status == 0 and r.flags & RUN_WALLS and (r.c.failed > failed >= FIRST_WALL - 1 and r.c.failed & failed == 0
                                                    or r.leaps != NULL and r.leaps[LEAPS_STOPPED] != 0):
            status = WALL_DUE
        if status != 0:
            return status
    if r.m.flags & MF_MULTISTEP:
        go_on(&r.c, r.f.h_next, h, planned)
    else:
        after_good(&r.c, err, h, planned)
    if r.m.flags & (MF_SECOND_ORDER | MF_IMPLICIT) == (MF_SECOND_ORDER | MF_IMPLICIT) and h == planned and LEFT <= r.c.h / h < KEPT:
        r.c.h = h                            # a new factorisation, or Jacobian, would cost more than so few steps saved
    if r.leaps != NULL:
        note_taken(r)
    accept(r, t_next)
    if r.inside != NULL:
        r.inside.left = -1                   # tries before this one do not count
    if r.leg.most > 0 and (h == planned or r.leg.most == ALONE):
        run_watch(r, h, t_end)
    if stands(status):
        leave_grid(r)
    return status


cdef void give_tolerances(run_t *r) noexcept nogil:
    """Gives the tolerances to a kernel that varies its order."""
    cdef bint vectors = r.c.rtol_of != NULL
    r.f.rtol, r.f.atol = r.c.rtol_of if vectors else &r.c.rtol, r.c.atol_of if vectors else &r.c.atol
    r.f.n_tol = r.n if vectors else 1


cdef int run_adaptive(run_t *r, int64_t count, double t_end, record_t *record) noexcept nogil:
    """Up to `count` accepted steps, until t_end. 0, RECORD_FULL, RECORD_EVENT, RHO_DUE, WALL_DUE, POLE_DUE, or why it could not go on."""
    cdef unsigned int mode = mf_fp_enter()
    cdef int64_t _i
    cdef int status = 0
    r.f.err = r.err
    give_tolerances(r)
    r.c.t_size, r.span = size_of_time(r.t_base, t_end), fabs(t_end - r.t_base)
    if r.m.flags & MF_SECOND_ORDER and count > 0:
        status = motion_start(r)
    for _i in range(count if status == 0 else 0):
        if r.t == t_end:
            break
        if record != NULL and is_full(record):
            status = RECORD_FULL
            break
        if rho_is_due(r) or r.leg.over:
            status = LEG_OVER if r.leg.over else RHO_DUE
            break
        status = step_once(r, t_end, record)
        if status == RECORD_ACT:
            status = run_act(r, t_end, record)
            r.c.t_size, r.span = size_of_time(r.t_base, t_end), fabs(t_end - r.t_base)
        if status != 0:
            break
    mf_fp_leave(mode)
    return status


# ---- any loop, in pieces ----------------------------------------------------------------------------------------------------------------

cdef int some(run_t *r, int64_t count, double t_last, record_t *record, bint adaptive, const double *h, const double *ends) noexcept nogil:
    if h != NULL:
        return run_given(r, count, h, ends, t_last, record)
    return run_adaptive(r, count, t_last, record) if adaptive else run_fixed(r, count, t_last, record)


cdef int run_trial(run_t *r, double h) noexcept nogil:
    """One step of h from where the run stands, which stays there; `next` is its end."""
    cdef unsigned int mode = mf_fp_enter()
    cdef int status
    r.dense_k = -1
    status = try_step(r, h) if run_ready(r) else MF_E_MEMORY
    mf_fp_leave(mode)
    return status


cdef int run_many(run_t *r, int64_t count, double t_last, record_t *record, bint adaptive, const double *h, const double *ends,
                  int64_t *piece) noexcept nogil:
    """Steps of their own choice, of one size, or of the sizes h. piece: not NULL: in pieces that a clock measures, of which this is the size
    of the next; then it may end early, with status 0, so that signals are looked at. Results do not depend on the cuts."""
    cdef double began, before, now
    cdef int64_t steps, left = count
    cdef int status
    if piece == NULL:
        return some(r, count, t_last, record, adaptive, h, ends)
    began = before = mf_seconds()
    while True:
        steps = min(piece[0], left)
        status = some(r, steps, t_last if adaptive or h != NULL or steps == left else NAN, record, adaptive, h, ends)
        left -= steps
        if status != 0 or left == 0 or r.t == t_last:
            return status
        if h != NULL:
            h, ends = h + steps, ends + steps
        now = mf_seconds()
        piece[0] = <int64_t> max(1.0, min(4.0 * piece[0], steps * MF_PIECE / max(now - before, 1e-9)))
        if now - began >= MF_PIECE:
            return 0
        before = now
