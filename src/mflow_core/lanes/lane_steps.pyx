"""The loops over steps of a block of lanes. No method has a second kernel: its ordinary `step` runs on n WIDTH components.

    one time for all     fixed steps on a common span: t and h belong to the block, and a lane has the bits of a scalar run
    own times            K = h_l f, and 0 and 1 for t and h in the frame: the adapter calls f at t_l + c h_l and multiplies slopes by h_l

With own times (error control, or spans of their own) every lane has its own step, controller and ending. A slope that an FSAL method
carries is h_l f, and is multiplied by the ratio of the steps when h_l changes: a rounding, no evaluation. Lanes that have ended make
room for waiting ones when an eighth of the block is idle; until then they stand still. What every step computes of every lane is in
loops over the columns (lane_loops.pyx); here is what is rare: a try that was not good, a start, an end. The rules of loops.pyx hold for
each lane, but for one: a callback's code ends every lane that is in the block. One that is only in a bad place itself says so with NaN.

All loops are elementwise over l, and a block always has WIDTH columns, so a lane's bits depend neither on the number of lanes nor on
its neighbours, threads or order.
"""
from libc.math cimport fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from mflow_core.arithmetic.control cimport after_bad, after_good, control_t, first_step_of, not_finite_at, trial_step_of
from mflow_core.lanes.lane_block cimport (LANE_WAITING, LOOPS, begin_lane, block_t, fill_idle, job_t, mf_next, mf_read, read_control, retire,
                                          retire_all, write_control, write_times)
from mflow_core.lanes.lane_loops cimport WIDTH, columns_t
from mflow_core.methods.tableau cimport LOOK, LOOKED
from mflow_core.registry cimport REDUCE
from mflow_core.stepping.run cimport carries_untested_slope
from mflow_core.stepping.watch.past cimport past_closes, past_hears, past_knows, past_opens, past_starts
from mflow_core.types cimport MF_E_NON_FINITE, MF_E_STEP, MF_E_STEPS, MF_FRESH, MF_FSAL


# ---- one time for all ---------------------------------------------------------------------------------------------------------------------

cdef void drop_non_finite(block_t *b) noexcept nogil:
    """Lanes whose new state is not finite end at their last one; nobody else notices."""
    cdef int col
    memset(b.work2, 0, WIDTH * sizeof(double))
    LOOPS.finite(b.job.n, b.next[0], b.work2)
    for col in range(WIDTH):
        if b.slot[col].lane >= 0 and b.work2[col] != 0.0:
            retire(b, col, MF_E_NON_FINITE)
    fill_idle(b, b.next)


cdef void count_steps(block_t *b, int64_t k, int64_t evaluations, double t) noexcept nogil:
    cdef int col
    for col in range(WIDTH):
        b.slot[col].nfev = b.slot[col].since = evaluations
        b.of.k[col], b.of.t[col] = k, t


cdef bint saves_between(const block_t *b, double t_next) noexcept nogil:
    """Whether the next time to save at lies in the step to t_next: the same for all live lanes."""
    cdef int col = 0
    if b.job.n_at == 0:
        return False
    while b.slot[col].lane < 0:
        col += 1
    if b.slot[col].saved == b.job.n_at:
        return False
    return (t_next - b.job.at[b.slot[col].saved]) * b.job.dt >= 0.0


cdef const double *first_lane(const block_t *b, const double *x, int place) noexcept nogil:
    """The numbers of the first lane among those of the block, copied to the place-th of three vectors."""
    cdef double *out = b.look + (4 + place) * b.job.n
    cdef ptrdiff_t i
    for i in range(b.job.n):
        out[i] = x[i * WIDTH]
    return out


cdef int common_listening(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    """The right-hand side of the block, which keeps what a look at its first lane needs."""
    cdef block_t *b = <block_t *> ctx
    cdef int status = LOOPS.common_rhs(t, y, dydt, n, ctx)
    if status == 0:
        past_hears(&b.past, t, first_lane(b, y, 1), first_lane(b, dydt, 2), b.job.n)
    return status


cdef int step_of(block_t *b, int64_t k, double t, double h, bint *finite) noexcept nogil:
    """The method's step, whose new state is written to its end even where it is not finite; with a part of a look where one is due, which
    changes no bits."""
    cdef const job_t *job = b.job
    cdef int status
    cdef bint listens = job.edge > 0.0 and b.slot[0].lane >= 0 and k >= b.past.next
    if listens:
        past_opens(&b.past, k, t, h, first_lane(b, b.now[0], 0), job.n)
        if b.past.skip == 0 and job.m.flags & MF_FSAL and job.sizes.n_vec > 1 and not b.f.flags & MF_FRESH:
            past_knows(&b.past, first_lane(b, b.now[0], 1), first_lane(b, b.now[1], 2), job.n)
        b.p.rhs = common_listening
    if b.p.n > 0:                            # of WIDTH = 64 lanes a number: never a short step
        b.f.flags |= LOOK
    status = job.m.step(job.m, &b.f)
    finite[0] = status == 0
    if b.f.flags & LOOKED and status == MF_E_NON_FINITE:  # of the look; a lane that is not finite is no fault of the others
        status = 0
    elif status == 0 and not b.f.flags & LOOKED:
        finite[0] = REDUCE.all_finite(b.next[0], b.p.n)
    b.f.flags &= ~(<unsigned int> LOOK | <unsigned int> LOOKED)
    if listens:
        b.p.rhs = LOOPS.common_rhs
        past_closes(&b.past, status, job.n)
    return status


cdef void keep_seen(block_t *b, int64_t block) noexcept nogil:
    """What has been seen of the steepest step of a block's first lane."""
    cdef ptrdiff_t n = b.job.n
    cdef double *out = b.job.seen + block * (5 + 2 * n)
    out[0], out[1], out[2], out[3], out[4] = sqrt(b.past.steepest), b.past.t_from, b.past.h_from, b.past.snaps == 2, b.past.t_after
    memcpy(out + 5, b.past.start, n * sizeof(double))
    memcpy(out + 5 + n, b.past.after, n * sizeof(double))


cdef int common_step(block_t *b, int64_t k, double t, double h, double t_next) noexcept nogil:
    """now -> next for all lanes; those that fail are gone, the others' output is written."""
    cdef int status, col
    cdef bint finite
    b.f.t, b.f.h, b.f.k, b.end = t, h, k, t_next
    b.f.x0, b.f.x1 = <const double *const *> b.now, <double *const *> b.next
    b.f.s0, b.f.s1 = b.s_now, b.s_next
    status = step_of(b, k, t, h, &finite)
    if not finite:
        count_steps(b, k, b.f.n_rhs, t)
        if status == 0:
            drop_non_finite(b)
    if status == 0 and b.live and saves_between(b, t_next):
        count_steps(b, k, b.f.n_rhs, t)
        for col in range(WIDTH):
            b.of.t_next[col], b.of.take[col] = t_next, 1
        status = write_times(b, True)
        if status != 0:
            count_steps(b, k, b.f.n_rhs, t)
    else:
        b.slopes_known = False
    return status


cdef void run_common(block_t *b, int64_t first, int64_t last) noexcept nogil:
    """The lanes first ... last - 1, at most WIDTH, in equal steps of dt on one span."""
    cdef const job_t *job = b.job
    cdef double t0 = job.t0[0], t_end = job.t_end[0], t = t0, t_next, h
    cdef int64_t k
    cdef int col, status = 0
    b.live = 0
    for col in range(WIDTH):
        if first + col < last:
            begin_lane(b, col, first + col)
        else:
            b.slot[col].lane = -1
    fill_idle(b, b.now)
    memset(b.s_now, 0, job.sizes.n_scal * sizeof(double))
    b.f.flags, b.f.n_rhs, b.slopes_known = MF_FRESH, 0, False
    if job.edge > 0.0:
        past_starts(&b.past, job.n, 0)
    for k in range(job.steps[0]):
        if mf_read(&job.stop):
            status = LANE_WAITING
            count_steps(b, k, b.f.n_rhs, t)
            break
        if k == job.max_steps:
            status = MF_E_STEPS
            count_steps(b, k, b.f.n_rhs, t)
            break
        h = job.dt
        t_next = t0 + <double> (k + 1) * job.dt
        if k == job.steps[0] - 1:
            if fabs(t_next - t_end) > 4.5e-16 * (fabs(t_end) + fabs(t0)):
                h = t_end - t                # else only rounding has moved the grid's end: the step is a whole one
            t_next = t_end
        status = common_step(b, k, t, h, t_next)
        if status != 0 or b.live == 0:
            break
        b.now, b.next = b.next, b.now
        b.s_now, b.s_next = b.s_next, b.s_now
        b.f.flags = b.f.flags & ~MF_FRESH
        t = t_next
    if status == 0:
        count_steps(b, job.steps[0], b.f.n_rhs, t)
    if job.edge > 0.0 and b.past.count:
        keep_seen(b, first // WIDTH)
    retire_all(b, status)


# ---- own times ----------------------------------------------------------------------------------------------------------------------------

cdef void plan_equal(block_t *b) noexcept nogil:
    """h and t_next of the fixed step that every lane tries next."""
    cdef const job_t *job = b.job
    cdef columns_t *of = b.of
    cdef double before, t0, t_end
    cdef int col
    for col in range(WIDTH):
        if not of.live[col] or of.over[col]:
            continue
        before, t0, t_end = of.h[col], job.t0[b.slot[col].lane], of.t_end[col]
        of.h[col] = job.dt
        of.t_next[col] = t0 + <double> (of.k[col] + 1) * job.dt
        of.ends[col] = of.k[col] + 1 >= job.steps[b.slot[col].lane]
        if of.ends[col]:
            if fabs(of.t_next[col] - t_end) > 4.5e-16 * (fabs(t_end) + fabs(t0)):
                of.h[col] = t_end - of.t[col]
            of.t_next[col] = t_end
        of.factor[col] = of.h[col] / before


cdef void plan(block_t *b) noexcept nogil:
    if b.job.dt == b.job.dt:
        plan_equal(b)
    else:
        LOOPS.plan(b.of, &b.job.control)


cdef void sizes_of(block_t *b, const double *x, double *out) noexcept nogil:
    """Root mean squares of x in units of the tolerance at `now`."""
    cdef double root = sqrt(<double> b.job.n)
    cdef int col
    LOOPS.error_sums(b.job.n, x, b.now[0], b.now[0], b.job.rtol, b.job.atol, out)
    for col in range(WIDTH):
        out[col] = sqrt(out[col]) / root


cdef int slopes_at_start(block_t *b, double *f0) noexcept nogil:
    """f(t, y) of all columns, unscaled. Fresh lanes without a finite one end here."""
    cdef const job_t *job = b.job
    cdef int col, status
    status = job.rhs(b.of.t, b.now[0], f0, job.n, WIDTH, job.ctx)
    memset(b.work1, 0, WIDTH * sizeof(double))
    LOOPS.finite(job.n, f0, b.work1)
    for col in range(WIDTH):
        if b.slot[col].lane >= 0 and b.slot[col].fresh:
            b.slot[col].nfev += 1
            if status == 0 and b.work1[col] != 0.0:
                retire(b, col, MF_E_NON_FINITE)
    return status


cdef int first_steps(block_t *b, const double *f0) noexcept nogil:
    """The first step of every fresh lane, by an explicit Euler trial: how much does the slope change? `next` and err are scratch."""
    cdef const job_t *job = b.job
    cdef double[WIDTH] d0, d1, h0, sign, still
    cdef double *y1 = b.next[0]
    cdef double *f1 = b.err
    cdef double span, h
    cdef control_t c
    cdef ptrdiff_t i
    cdef bint more = False
    cdef int col, status
    cdef int _try
    sizes_of(b, b.now[0], d0)
    sizes_of(b, f0, d1)
    for col in range(WIDTH):
        still[col] = h0[col] = 0.0
        sign[col] = 1.0
        if b.slot[col].lane >= 0 and b.slot[col].fresh:
            span = fabs(b.of.t_end[col] - b.of.t[col])
            sign[col] = 1.0 if b.of.t_end[col] >= b.of.t[col] else -1.0
            h = trial_step_of(d0[col], d1[col])
            h = h if h < span else span
            h0[col] = h if h < job.control.max_step else job.control.max_step
            still[col], more = 1.0, True
            b.of.size[col] = h0[col]
    for _try in range(8):
        if not more:
            break
        for i in range(job.n):
            for col in range(WIDTH):
                y1[i * WIDTH + col] = b.now[0][i * WIDTH + col] + sign[col] * h0[col] * f0[i * WIDTH + col]
        for col in range(WIDTH):
            b.call.t[col] = b.of.t[col] + sign[col] * h0[col]
        status = job.rhs(b.call.t, y1, f1, job.n, WIDTH, job.ctx)
        if status != 0:
            return status
        memset(b.work1, 0, WIDTH * sizeof(double))
        LOOPS.finite(job.n, f1, b.work1)
        for i in range(job.n * WIDTH):
            f1[i] = f1[i] - f0[i]
        sizes_of(b, f1, b.work2)
        more = False
        for col in range(WIDTH):
            if still[col] == 0.0:
                continue
            b.slot[col].nfev += 1
            if b.work1[col] == 0.0:
                b.of.size[col] = first_step_of(d0[col], d1[col], b.work2[col] / h0[col], h0[col], job.control.q)
                still[col] = 0.0
            else:                            # the trial left the domain: nearer
                read_control(b, col, &c)
                not_finite_at(&c, h0[col])
                h0[col] = 1e-2 * h0[col]
                c.h = h0[col]
                write_control(b, col, &c)
                more = True
    for col in range(WIDTH):
        if b.slot[col].lane >= 0 and b.slot[col].fresh:
            span = fabs(b.of.t_end[col] - b.of.t[col])
            h = b.of.size[col]
            h = h if h < span else span
            b.of.size[col] = sign[col] * (h if h < job.control.max_step else job.control.max_step)
    return 0


cdef int settle(block_t *b) noexcept nogil:
    """Fresh lanes get their first step, and the slope that an FSAL method carries."""
    cdef const job_t *job = b.job
    cdef bint carries = job.sizes.n_vec > 1, controlled = job.dt != job.dt
    cdef ptrdiff_t i
    cdef int col, status = 0
    fill_idle(b, b.now)
    if carries or (controlled and job.first_step == 0.0):
        status = slopes_at_start(b, b.slope0)
        if status == 0 and controlled and job.first_step == 0.0:
            fill_idle(b, b.now)
            status = first_steps(b, b.slope0)
        if status != 0:
            return status
    if controlled and job.first_step != 0.0:
        for col in range(WIDTH):
            if b.slot[col].lane >= 0 and b.slot[col].fresh:
                b.of.size[col] = job.first_step if b.of.t_end[col] >= b.of.t[col] else -job.first_step
    plan(b)                              # which leaves the others' as it was
    for col in range(WIDTH):
        if b.slot[col].lane < 0 or not b.slot[col].fresh:
            continue
        b.slot[col].fresh = False
        if carries:
            for i in range(job.n):
                b.now[1][i * WIDTH + col] = b.of.h[col] * b.slope0[i * WIDTH + col]
    fill_idle(b, b.now)
    return 0


cdef void judge_bad(block_t *b, int col, double square) noexcept nogil:
    """One column that `take` has left: its lane's try is good after all, or its next one is shorter, or it ends."""
    cdef const job_t *job = b.job
    cdef columns_t *of = b.of
    cdef control_t c
    cdef int ending = MF_E_NON_FINITE
    if job.dt != job.dt:
        if job.n and of.t_next[col] == of.t[col] and not of.ends[col]:
            retire(b, col, MF_E_STEP)        # max_step is lost in rounding
            return
        read_control(b, col, &c)
        if square <= 1.0:
            of.take[col], ending = 1, 0
            after_good(&c, square, of.h[col], of.planned[col])
        else:
            ending = after_bad(&c, ending if square != square else 0, square, of.t[col], of.h[col])
        write_control(b, col, &c)
    if ending != 0:
        retire(b, col, ending)


cdef int judge(block_t *b) noexcept nogil:
    """take[l] of every column after a step: 1 it is good, 0 it is tried again. Lanes that cannot go on end. How many are good."""
    cdef const job_t *job = b.job
    cdef double[WIDTH] bad
    cdef columns_t *of = b.of
    cdef int col, good = 0
    memset(bad, 0, sizeof(bad))
    LOOPS.finite(job.n, b.next[0], bad)
    if job.dt == job.dt:
        for col in range(WIDTH):
            of.take[col] = of.live[col] & <int64_t> (bad[col] == 0.0)
    else:
        if carries_untested_slope(job.m):
            LOOPS.finite(job.n, b.next[1], bad)
        LOOPS.error_sums(job.n, b.err, b.now[0], b.next[0], job.rtol, job.atol, b.work1)
        if job.sizes.n_err == 2:
            LOOPS.error_sums(job.n, b.err + job.ld, b.now[0], b.next[0], job.rtol, job.atol, b.work2)
        LOOPS.squares(b.work1, b.work2 if job.sizes.n_err == 2 else NULL, job.control.per_n, bad, b.work1)
        LOOPS.take(of, &job.control, job.n > 0, b.work1)
    for col in range(WIDTH):
        if of.live[col] and not of.take[col]:
            judge_bad(b, col, b.work1[col])
        good += <int> of.take[col]
    return good


cdef void advance(block_t *b) noexcept nogil:
    """Good lanes go on to `next`; every lane's next step is planned, and the slope that it carries goes with it."""
    cdef const job_t *job = b.job
    cdef columns_t *of = b.of
    cdef int64_t done = 0
    cdef int j, col
    LOOPS.go_on(of)
    plan(b)
    LOOPS.accept(job.n, of.take, NULL, b.next[0], b.now[0])
    for j in range(1, job.sizes.n_vec):
        LOOPS.accept(job.n, of.take, of.factor, b.next[j], b.now[j])
    for col in range(WIDTH):
        done |= of.over[col] | <int64_t> (of.k[col] >= job.max_steps)
    if not done:
        return
    for col in range(WIDTH):
        if of.live[col] and of.take[col]:
            if of.over[col]:
                retire(b, col, 0)
            elif of.k[col] >= job.max_steps:
                retire(b, col, MF_E_STEPS)


cdef int own_step(block_t *b) noexcept nogil:
    """One try of every lane."""
    cdef const job_t *job = b.job
    cdef int status
    b.f.t, b.f.h, b.f.flags, b.end = 0.0, 1.0, 0, 1.0
    b.f.err = b.err if job.dt != job.dt else NULL
    b.f.x0, b.f.x1 = <const double *const *> b.now, <double *const *> b.next
    b.slopes_known = False
    status = job.m.step(job.m, &b.f)
    if status != 0:
        return status
    if judge(b) and job.n_at:
        status = write_times(b, False)
        if status != 0:
            return status
    if b.live:
        advance(b)
    return 0


cdef bint fill(block_t *b) noexcept nogil:
    """Waiting lanes take the idle columns. False: none waits any more."""
    cdef const job_t *job = b.job
    cdef int64_t lane
    cdef int col
    for col in range(WIDTH):
        while b.slot[col].lane < 0:
            lane = mf_next(<int64_t *> &job.begun)
            if lane >= job.lanes:
                return False
            begin_lane(b, col, lane)
            if b.of.t[col] == b.of.t_end[col]:
                retire(b, col, 0)
    return True


cdef void run_own(block_t *b) noexcept nogil:
    """Lanes in their own steps, as long as some wait: they take the places of those that have ended."""
    cdef const job_t *job = b.job
    cdef int col, status
    cdef bint waiting = True
    b.live = 0
    for col in range(WIDTH):
        b.slot[col].lane = -1
    while b.live or waiting:
        if mf_read(&job.stop):
            retire_all(b, LANE_WAITING)
            return
        if waiting and WIDTH - b.live >= WIDTH // 8:
            waiting = fill(b)
            status = settle(b) if b.live else 0
        else:
            status = own_step(b)
        if status != 0:
            retire_all(b, status)
