"""The loops over steps that need no Python.

Fixed steps take their times from the step index, t = t_base + (k - k_base) dt, so that no error piles up in t. Under error control t is
carried; the controller is in control.pxd. A step that was not good is tried again from the same state:

    error above 1                            h shrinks as the controller says
    not finite (a state, a slope, the error, h/4, and below what failed for some accepted steps; it is over where steps of 16 units in
    or the extension, where it is needed)    the last place of t do not work, or 64 tries in a row were not finite
    not solved, or asked for by a callback   h/4
    h too short to move t                    it is over, for the reason of the last try

Every ending leaves the run at its last good state.

Where f jumps (a break) or the state does (an action of an event, a dose) the run begins anew, as if it were made there: slopes, Jacobian,
carried vectors, controller and first step. Nothing of the other side is used again; only counts go on. Under error control the loop goes on
behind an action by itself; fixed steps are counted from there, so their loop returns.

Where accelerations follow from their arguments alone (r.calls), fixed steps that leave nothing behind work in place, on half the memory: a
copy of the state is kept every `BLOCK` steps, and only there are numbers looked at. No second-order method makes a number finite again, for
x+ = x + ... and v+ = v + ...; so where one is not finite, or a step has failed, the block is taken again from the copy, a step at a time.
"""
from libc.math cimport INFINITY, NAN, copysign, fabs, sqrt
from libc.string cimport memcpy

from mflow_core.arithmetic.control cimport (MF_LOOKS, after_bad, after_good, control_t, error_sum as short_error_sum, first_step_of, go_on,
                                            look_for_stiffness, not_finite_at, planned_step, size_of_time, trial_step_of, two_errors)
from mflow_core.arithmetic.vec cimport MF_SHORT, mf_fp_enter, mf_fp_leave
from mflow_core.methods.tableau cimport MAX_STAGES, NO_STEPS, slope_at_start as slope_in_work
from mflow_core.events.crossings cimport EVENT_STOP, events_act, events_behind
from mflow_core.registry cimport REDUCE, STEPS
from mflow_core.solvers.newton cimport newton_weights
from mflow_core.solvers.stages.mass cimport leave_null_space, slope_sizes
from mflow_core.stepping.energy.ledger cimport ledger_enter, ledger_idle, ledger_leave, ledger_step
from mflow_core.stepping.motion cimport motion_begin, motion_error, motion_start
from mflow_core.stepping.output cimport RECORD_ACT, RECORD_EVENT, RECORD_FULL, is_full, write_behind, write_step
from mflow_core.stepping.run cimport (LEG_OVER, RHO_DUE, accept, end_has_slope, rho_is_due, run_doubt, run_ready, run_restart, run_settle,
                                      run_watch, try_step)
from mflow_core.types cimport (MF_AGAIN, MF_E_ARGUMENT, MF_E_MEMORY, MF_E_NON_FINITE, MF_E_STEP, MF_FRESH, MF_FSAL, MF_IMPLICIT,
                               MF_MULTISTEP, MF_RETRY_NON_FINITE, MF_SECOND_ORDER, mf_problem, mf_step_fn, mf_tableau)


cdef enum:
    BLOCK = 32                           # steps in place between two copies of the state
    LEAST = 4                            # fewer are not worth one

cdef double SMOOTH = 3.0625              # beyond 1.4 of the limit no step is accepted for long: that is a jump in f
cdef double KEPT = 1.2                   # implicit motions: a step that could grow by less stays
cdef double LEFT = 0.95                  # and one that should shrink by less: it was chosen at 0.9 of what the tolerance allows
cdef double LEAST_RATE = 0.2             # for one iteration of multistep methods with a mass: what it leaves of algebraic equations no step mends
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
        h = r.dt
        t_next = r.t_base + <double> (r.k + 1 - r.k_base) * r.dt
        if lands and i == count - 1:
            if fabs(t_next - t_last) > 4.5e-16 * (fabs(t_last) + fabs(r.t_base)):
                h = t_last - r.t             # else the grid ends there, and only rounding has moved it: the step is a whole one
            t_next = t_last
        status = fixed_step(r, h, t_next, lands and i == count - 1, keeps_books, record)
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
    cdef int status = try_step(r, h)
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
    r.f.n_rhs, r.f.n_solve, r.calls[0] = n_rhs, n_solve, calls
    return False


cdef int book(run_t *r, double t_next, double h) noexcept nogil:
    """The energies of a good step, before it is accepted."""
    return ledger_step(r.ledger, r.t, <const double *const *> r.now, t_next, <const double *const *> r.next, h)


cdef void leave_grid(run_t *r) noexcept nogil:
    """The state stands where no step ended: what the method carries besides it is made anew, and fixed steps count from here."""
    r.f.flags = r.f.flags | MF_FRESH
    r.t_base, r.k_base = r.t, r.k
    r.slope_k = r.dense_k = -1
    r.t_before = NAN


# ---- new starts -------------------------------------------------------------------------------------------------------------------------

cdef int run_jump(run_t *r, double t_end, const double *const *y, record_t *record) noexcept nogil:
    """A new start where the run stands, from the visible vectors of y that are not NULL; the state behind goes into the record, if there is
    one. Under error control the first step towards t_end is chosen as at a start. What was seen of stiffness stays."""
    cdef unsigned int mode = mf_fp_enter()
    cdef control_t seen = r.c
    cdef double first = r.first_step if r.first_step < fabs(t_end - r.t) else fabs(t_end - r.t)
    cdef int status = 0
    if r.ledger != NULL:
        status = ledger_leave(r.ledger, r.t, <const double *const *> r.now)
    if status == 0:
        run_restart(r, r.t, y)
        r.c.edge, r.c.n_held, r.c.stiff, r.c.stiff_lambda, r.c.stiff_h = seen.edge, seen.n_held, seen.stiff, seen.stiff_lambda, seen.stiff_h
        if r.m.flags & MF_SECOND_ORDER:
            status = motion_start(r)
    if status == 0 and r.ledger != NULL:
        status = ledger_enter(r.ledger, r.t, <const double *const *> r.now)
    if status == 0 and record != NULL:
        status = write_behind(r, record)
    if status == 0 and r.c.q > 0.0 and r.t != t_end:
        status = run_begin(r, t_end, copysign(first, t_end - r.t) if first > 0.0 else 0.0)
    mf_fp_leave(mode)
    return status


cdef int run_act(run_t *r, double t_end, record_t *record) noexcept nogil:
    """The actions of the events that have stopped the step, and the new start behind them."""
    cdef const double *y[8]
    cdef int j, behind, status = events_act(record.events, r.t)
    for j in range(8):
        y[j] = NULL
    y[0] = record.events.after
    if r.m.flags & MF_SECOND_ORDER:
        y[1] = record.events.after + r.n
    if status < 0:
        return status
    behind = run_jump(r, t_end, y, record)
    if behind == 0:
        behind = events_behind(record.events, r.t)
    return behind if behind != 0 else RECORD_EVENT if status == EVENT_STOP else 0


# ---- error control ----------------------------------------------------------------------------------------------------------------------

cdef double size_of(run_t *r, const double *e, const double *y0, const double *y1) noexcept nogil:
    """Sum of the squares of e's components in units of their tolerances."""
    return short_error_sum(&r.c, e, y0, y1, r.n) if r.n <= MF_SHORT else REDUCE.error_sum(&r.c, e, y0, y1, r.n)


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


cdef int slope_at_start(run_t *r, double *slope) noexcept nogil:
    cdef int status = r.p.rhs(r.t, r.now[0], slope, r.n, r.p.ctx)
    r.f.n_rhs += 1
    if status == 0 and not REDUCE.all_finite(slope, r.n):
        return MF_E_NON_FINITE
    return status


cdef int choose_first_step(run_t *r, double t_end, const double *f0) noexcept nogil:
    """r.c.h by an explicit Euler trial: how much does the slope change? `next` is scratch."""
    cdef double *y1 = r.next[0]
    cdef double *f1 = r.err
    cdef double span = fabs(t_end - r.t), sign = 1.0 if t_end >= r.t else -1.0, root = sqrt(<double> r.n), d0, d1, d2, h0, h
    cdef ptrdiff_t i
    cdef int status
    cdef int _try
    d0 = sqrt(size_of(r, r.now[0], r.now[0], r.now[0])) / root
    d1 = sqrt(size_of(r, f0, r.now[0], r.now[0])) / root
    h0 = trial_step_of(d0, d1)
    h0 = h0 if h0 < span else span
    h0 = h0 if h0 < r.c.max_step else r.c.max_step
    h = h0
    for _try in range(8):
        for i in range(r.n):
            y1[i] = r.now[0][i] + sign * h0 * f0[i]
        status = r.p.rhs(r.t + sign * h0, y1, f1, r.n, r.p.ctx)
        r.f.n_rhs += 1
        if status < 0:
            return status
        if status == 0 and REDUCE.all_finite(f1, r.n):
            for i in range(r.n):
                f1[i] = f1[i] - f0[i]
            d2 = sqrt(size_of(r, f1, r.now[0], r.now[0])) / root / h0
            h = first_step_of(d0, d1, d2, h0, r.c.q)
            break
        if status == 0:
            not_finite_at(&r.c, h0)
        h0 = 1e-2 * h0                       # the trial left the domain: nearer
        h = h0
    h = h if h < span else span
    h = h if h < r.c.max_step else r.c.max_step
    r.c.h = sign * h
    return 0


cdef void first_step_with_mass(run_t *r, double t_end, const double *f0) noexcept nogil:
    """r.c.h from the sizes of state and slopes: M y' = f tells no slope in algebraic directions, so nothing can be tried."""
    cdef double span = fabs(t_end - r.t), root = sqrt(<double> r.n), h
    slope_sizes(r.newton.c.matrix.mass, r.n, f0, r.err)
    h = trial_step_of(sqrt(size_of(r, r.now[0], r.now[0], r.now[0])) / root, sqrt(size_of(r, r.err, r.now[0], r.now[0])) / root)
    h = min(min(h, span), r.c.max_step)
    r.c.h = h if t_end >= r.t else -h


cdef int run_begin(run_t *r, double t_end, double first_step) noexcept nogil:
    """Before the first step under error control: the slope that an FSAL method carries, and the first step (0: estimated here)."""
    cdef unsigned int mode
    cdef double *slope
    cdef bint carries = r.m.flags & MF_FSAL != 0 and r.sizes.n_vec > 1
    cdef int status = 0
    if r.m.flags & MF_SECOND_ORDER:
        return motion_begin(r, t_end, first_step)
    if r.err == NULL:
        return MF_E_ARGUMENT
    mode = mf_fp_enter()
    slope = r.now[1] if carries else r.f.work
    if r.n > 0 and (first_step == 0.0 or (carries and r.f.flags & MF_FRESH)):
        if not carries or r.f.flags & MF_FRESH:
            status = slope_at_start(r, slope)
        if status == 0 and first_step == 0.0 and r.p.mass != NULL and r.newton != NULL:
            first_step_with_mass(r, t_end, slope)
        elif status == 0 and first_step == 0.0:
            status = choose_first_step(r, t_end, slope)
        if status == 0 and carries:
            r.f.flags = r.f.flags & ~MF_FRESH
    if first_step != 0.0 or r.n == 0:
        r.c.h = t_end - r.t if first_step == 0.0 else first_step
    mf_fp_leave(mode)
    return status


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
    if r.c.n_stiff > 0 or r.leg.most > 0 or r.k % (MF_LOOKS if r.n <= MF_SHORT else 4 * MF_LOOKS) == 0:
        if r.m.tab.c[r.m.tab.s - 2] == 1.0:
            look_for_stiffness(&r.c, r.n, h, r.f.work, r.next[0], r.f.work + (r.m.tab.s - 1) * r.ld, r.next[1], INFINITY)
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


cdef int step_once(run_t *r, double t_end, record_t *record) noexcept nogil:
    """One accepted step towards t_end, after as many tries as it takes."""
    cdef double h, planned, t_next, err
    cdef int status
    while True:
        planned = h = planned_step(&r.c, r.t)
        t_next = r.t + h
        if t_next == r.t and r.n > 0:
            r.c.h = h                        # max_step is lost in rounding
            return MF_E_STEP
        if (t_next - t_end) * h >= 0.0:
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
            if status == 0 and (err != err or not slope_is_finite(r)):
                status = MF_E_NON_FINITE
            elif status == 0 and err <= 1.0:
                if r.c.edge > 0.0:
                    look(r, h)
                status = leave_step(r, &t_next, h, t_end, record)
                if status == 0 or stands(status):
                    break
        status = after_bad(&r.c, status, err, r.t, h)
        if status == 0 and r.leg.most > 0:
            status = run_doubt(r, planned)
        if status != 0:
            return status
    if r.m.flags & MF_MULTISTEP:
        go_on(&r.c, r.f.h_next, h, planned)
    else:
        after_good(&r.c, err, h, planned)
    if r.m.flags & (MF_SECOND_ORDER | MF_IMPLICIT) == (MF_SECOND_ORDER | MF_IMPLICIT) and h == planned and LEFT <= r.c.h / h < KEPT:
        r.c.h = h                            # a new factorisation, or Jacobian, would cost more than so few steps saved
    accept(r, t_next)
    if r.inside != NULL:
        r.inside.left = -1                   # tries before this one do not count
    if r.leg.most > 0 and h == planned:
        run_watch(r, h, t_end)
    if stands(status):
        leave_grid(r)
    return status


cdef void give_tolerances(run_t *r) noexcept nogil:
    """To a kernel that varies its order."""
    cdef bint vectors = r.c.rtol_of != NULL
    r.f.rtol, r.f.atol = r.c.rtol_of if vectors else &r.c.rtol, r.c.atol_of if vectors else &r.c.atol
    r.f.n_tol = r.n if vectors else 1


cdef int run_adaptive(run_t *r, int64_t count, double t_end, record_t *record) noexcept nogil:
    """Up to `count` accepted steps, until t_end. 0, RECORD_FULL, RECORD_EVENT, RHO_DUE, or why it could not go on."""
    cdef unsigned int mode = mf_fp_enter()
    cdef int64_t _i
    cdef int status = 0
    r.f.err = r.err
    give_tolerances(r)
    r.c.t_size = size_of_time(r.t_base, t_end)
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
            r.c.t_size = size_of_time(r.t_base, t_end)
        if status != 0:
            break
    mf_fp_leave(mode)
    return status


# ---- any loop, in pieces ----------------------------------------------------------------------------------------------------------------

cdef extern from *:
    """
    #if defined(_WIN32)
    #include <windows.h>
    static double mf_seconds(void) { LARGE_INTEGER now, rate; QueryPerformanceCounter(&now); QueryPerformanceFrequency(&rate);
      return (double)now.QuadPart / (double)rate.QuadPart; }
    #else
    #include <time.h>
    static double mf_seconds(void) { struct timespec now; clock_gettime(CLOCK_MONOTONIC, &now); return now.tv_sec + 1e-9 * now.tv_nsec; }
    #endif
    #define MF_PIECE 0.01                /* seconds that a piece of a long loop should take */
    """
    double mf_seconds() noexcept nogil
    const double MF_PIECE


cdef int some(run_t *r, int64_t count, double t_last, record_t *record, bint adaptive, const double *h, const double *ends) noexcept nogil:
    if h != NULL:
        return run_given(r, count, h, ends, t_last, record)
    return run_adaptive(r, count, t_last, record) if adaptive else run_fixed(r, count, t_last, record)


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
