"""The loops over steps of a block of lanes. No method has a second kernel: its ordinary `step` runs on n WIDTH components.

    one time for all     fixed steps on a common span: t and h belong to the block, and a lane has the bits of a scalar run
    own times            K = h_l f, and 0 and 1 for t and h in the frame: the adapter calls f at t_l + c h_l and multiplies slopes by h_l

With own times (error control, or spans of their own) every lane has its own step, controller and ending. A slope that an FSAL method
carries is h_l f, and is multiplied by the ratio of the steps when h_l changes: a rounding, no evaluation. Lanes that have ended make
room for waiting ones of the same group when an eighth of the block is idle. The rules of loops.pyx hold for each lane, but for one: a
callback's code ends every lane that is in the block. One that is only in a bad place itself says so with NaN.

All loops are elementwise over l, and a block always has WIDTH columns, so a lane's bits depend neither on the number of lanes nor on
its neighbours, threads or order.
"""
from libc.math cimport NAN, fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.string cimport memset

from mflow_core.arithmetic.control cimport after_bad, after_good, first_step_of, not_finite_at, planned_step, trial_step_of, two_errors
from mflow_core.lanes.lane_block cimport LANE_WAITING, LOOPS, begin_lane, block_t, fill_idle, job_t, mf_read, retire, retire_all, slot_t, write_times
from mflow_core.lanes.lane_loops cimport WIDTH
from mflow_core.registry cimport REDUCE
from mflow_core.stepping.run cimport carries_untested_slope
from mflow_core.types cimport MF_E_NON_FINITE, MF_E_STEP, MF_E_STEPS, MF_FRESH


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
        b.slot[col].k, b.slot[col].nfev, b.t[col] = k, evaluations, t


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


cdef int common_step(block_t *b, int64_t k, double t, double h, double t_next) noexcept nogil:
    """now -> next for all lanes; those that fail are gone, the others' output is written."""
    cdef const job_t *job = b.job
    cdef int status, col
    b.f.t, b.f.h, b.f.k, b.end = t, h, k, t_next
    b.f.x0, b.f.x1 = <const double *const *> b.now, <double *const *> b.next
    b.f.s0, b.f.s1 = b.s_now, b.s_next
    status = job.m.step(job.m, &b.f)
    if status != 0 or not REDUCE.all_finite(b.next[0], b.p.n):
        count_steps(b, k, b.f.n_rhs, t)
        if status == 0:
            drop_non_finite(b)
    if status == 0 and b.live and saves_between(b, t_next):
        count_steps(b, k, b.f.n_rhs, t)
        for col in range(WIDTH):
            b.t_next[col], b.take[col] = t_next, 1.0
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
    retire_all(b, status)


# ---- own times ----------------------------------------------------------------------------------------------------------------------------

cdef void plan(block_t *b, int col) noexcept nogil:
    """h and t_next of the step that the lane tries next."""
    cdef const job_t *job = b.job
    cdef slot_t *slot = &b.slot[col]
    cdef double t = b.t[col], h, t_next
    if job.dt == job.dt:
        h = job.dt
        t_next = job.t0[slot.lane] + <double> (slot.k + 1) * job.dt
        slot.ends = slot.k + 1 >= job.steps[slot.lane]
        if slot.ends:
            if fabs(t_next - slot.t_end) > 4.5e-16 * (fabs(slot.t_end) + fabs(job.t0[slot.lane])):
                h = slot.t_end - t
            t_next = slot.t_end
    else:
        slot.planned = h = planned_step(&slot.c, t)
        t_next = t + h
        slot.ends = t_next >= slot.t_end if h > 0.0 else t_next <= slot.t_end
        if slot.ends:
            h = slot.t_end - t
            t_next = slot.t_end
    b.h[col], b.t_next[col] = h, t_next


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
    status = job.rhs(b.t, b.now[0], f0, job.n, WIDTH, job.ctx)
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
            span = fabs(b.slot[col].t_end - b.t[col])
            sign[col] = 1.0 if b.slot[col].t_end >= b.t[col] else -1.0
            h = trial_step_of(d0[col], d1[col])
            h = h if h < span else span
            h0[col] = h if h < b.slot[col].c.max_step else b.slot[col].c.max_step
            still[col], more = 1.0, True
            b.slot[col].c.h = h0[col]
    for _try in range(8):
        if not more:
            break
        for i in range(job.n):
            for col in range(WIDTH):
                y1[i * WIDTH + col] = b.now[0][i * WIDTH + col] + sign[col] * h0[col] * f0[i * WIDTH + col]
        for col in range(WIDTH):
            b.t_call[col] = b.t[col] + sign[col] * h0[col]
        status = job.rhs(b.t_call, y1, f1, job.n, WIDTH, job.ctx)
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
                b.slot[col].c.h = first_step_of(d0[col], d1[col], b.work2[col] / h0[col], h0[col], b.slot[col].c.q)
                still[col] = 0.0
            else:                            # the trial left the domain: nearer
                not_finite_at(&b.slot[col].c, h0[col])
                h0[col] = 1e-2 * h0[col]
                b.slot[col].c.h = h0[col]
                more = True
    for col in range(WIDTH):
        if b.slot[col].lane >= 0 and b.slot[col].fresh:
            span = fabs(b.slot[col].t_end - b.t[col])
            h = b.slot[col].c.h
            h = h if h < span else span
            b.slot[col].c.h = sign[col] * (h if h < b.slot[col].c.max_step else b.slot[col].c.max_step)
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
    for col in range(WIDTH):
        if b.slot[col].lane < 0 or not b.slot[col].fresh:
            continue
        if controlled and job.first_step != 0.0:
            b.slot[col].c.h = job.first_step if b.slot[col].t_end >= b.t[col] else -job.first_step
        b.slot[col].fresh = False
        plan(b, col)
        if carries:
            for i in range(job.n):
                b.now[1][i * WIDTH + col] = b.h[col] * b.slope0[i * WIDTH + col]
    fill_idle(b, b.now)
    return 0


cdef int judge(block_t *b) noexcept nogil:
    """take[l] of every column after a step: 1 it is good, 0 it is tried again. Lanes that cannot go on end. How many are good."""
    cdef const job_t *job = b.job
    cdef double per_n = job.control.per_n, square
    cdef slot_t *slot
    cdef bint controlled = job.dt != job.dt
    cdef int col, good = 0, ending
    memset(b.factor, 0, WIDTH * sizeof(double))
    LOOPS.finite(job.n, b.next[0], b.factor)
    if controlled and carries_untested_slope(job.m):
        LOOPS.finite(job.n, b.next[1], b.factor)
    if controlled:
        LOOPS.error_sums(job.n, b.err, b.now[0], b.next[0], job.rtol, job.atol, b.work1)
        if job.sizes.n_err == 2:
            LOOPS.error_sums(job.n, b.err + job.ld, b.now[0], b.next[0], job.rtol, job.atol, b.work2)
    for col in range(WIDTH):
        b.take[col] = 0.0
        slot = &b.slot[col]
        if slot.lane < 0:
            continue
        if controlled and job.n and b.t_next[col] == b.t[col] and not slot.ends:
            retire(b, col, MF_E_STEP)        # max_step is lost in rounding
            continue
        square = 0.0
        if controlled and job.n:
            square = two_errors(b.work1[col], b.work2[col], per_n) if job.sizes.n_err == 2 else b.work1[col] * per_n
        if b.factor[col] != 0.0:
            square = NAN
        if square <= 1.0:
            b.take[col] = 1.0
            good += 1
            if controlled:
                after_good(&slot.c, square, b.h[col], slot.planned)
            continue
        ending = MF_E_NON_FINITE
        if controlled:
            ending = after_bad(&slot.c, ending if square != square else 0, square, b.t[col], b.h[col])
        if ending != 0:
            retire(b, col, ending)
    return good


cdef void advance(block_t *b) noexcept nogil:
    """Good lanes go on to `next`; every lane's next step is planned, and the slope that it carries goes with it."""
    cdef const job_t *job = b.job
    cdef double h
    cdef int j, col
    for col in range(WIDTH):
        b.factor[col] = 1.0
        if b.slot[col].lane < 0:
            continue
        if b.take[col] != 0.0:
            b.t[col] = b.t_next[col]
            b.slot[col].k += 1
            b.slot[col].over = b.slot[col].ends
            if b.slot[col].over:
                continue
        h = b.h[col]
        plan(b, col)
        b.factor[col] = b.h[col] / h
    LOOPS.accept(job.n, b.take, NULL, b.next[0], b.now[0])
    for j in range(1, job.sizes.n_vec):
        LOOPS.accept(job.n, b.take, b.factor, b.next[j], b.now[j])
    for col in range(WIDTH):
        if b.slot[col].lane >= 0 and b.take[col] != 0.0:
            if b.slot[col].over:
                retire(b, col, 0)
            elif b.slot[col].k >= job.max_steps:
                retire(b, col, MF_E_STEPS)


cdef int own_step(block_t *b) noexcept nogil:
    """One try of every lane."""
    cdef const job_t *job = b.job
    cdef int64_t before = b.f.n_rhs
    cdef int col, status
    b.f.t, b.f.h, b.f.flags, b.end = 0.0, 1.0, 0, 1.0
    b.f.err = b.err if job.dt != job.dt else NULL
    b.f.x0, b.f.x1 = <const double *const *> b.now, <double *const *> b.next
    b.slopes_known = False
    status = job.m.step(job.m, &b.f)
    for col in range(WIDTH):
        b.slot[col].nfev += b.f.n_rhs - before
    if status != 0:
        return status
    if judge(b) and job.n_at:
        status = write_times(b, False)
        if status != 0:
            return status
    if b.live:
        advance(b)
        fill_idle(b, b.now)
    return 0


cdef void run_own(block_t *b, int64_t first, int64_t last) noexcept nogil:
    """The lanes first ... last - 1, each in its own steps; waiting ones take the place of those that have ended."""
    cdef const job_t *job = b.job
    cdef int64_t waiting = first
    cdef int col, status
    b.live = 0
    for col in range(WIDTH):
        b.slot[col].lane = -1
    while b.live or waiting < last:
        if mf_read(&job.stop):
            retire_all(b, LANE_WAITING)
            return
        if waiting < last and (b.live == 0 or WIDTH - b.live >= WIDTH // 8):
            for col in range(WIDTH):
                while b.slot[col].lane < 0 and waiting < last:
                    begin_lane(b, col, waiting)
                    waiting += 1
                    if b.t[col] == b.slot[col].t_end:
                        retire(b, col, 0)
            status = settle(b) if b.live else 0
        else:
            status = own_step(b)
        if status != 0:
            retire_all(b, status)
