"""Batches: many trajectories of y' = f(t, y) at once, on a compiled right-hand side that takes a block of lanes.

    component i of lane l of a block:   y[i * WIDTH + l],     its parameter j:   y[(n + j) * WIDTH + l],     its time:   t[l]

No method has a second kernel. A row's ordinary `step` runs on a vector of n WIDTH components, through an adapter that hands it the
callback for lanes as a right-hand side:

    one time for all     a fixed step on a common span: t and h belong to the block, and a lane has the bits of a scalar run
    own times            K = h_l f, and 0 and 1 for t and h in the frame: the adapter calls f at t_l + c h_l and multiplies slopes by h_l

With own times (error control, or spans of their own) every lane has its own step, controller and ending. A slope that an FSAL row
carries is h_l f, and is multiplied by the ratio of the steps when h_l changes: a rounding, no evaluation. Lanes that have ended make
room for waiting ones of the same group when an eighth of the block is idle. Idle columns are copies of a live one.

The parameters stand behind the state in every vector of the block, where kernels, which know of n WIDTH components, never write.
All loops are elementwise over l, and a block always has WIDTH columns, so a lane's bits depend neither on the number of lanes nor on
its neighbours, threads or order. Groups are given out to threads one by one. A callback's code ends every lane that is in the block:
one that is only in a bad place itself says so with NaN.
"""
from libc.math cimport INFINITY, NAN, fabs, sqrt
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_GetPointer

from mflow_core.control cimport MF_BUDGET, factor_accepted, factor_rejected, first_step_of, trial_step_of, two_errors
from mflow_core.lane_loops cimport lane_loops_t
from mflow_core.registry cimport REDUCE, mf_sizes_of
from mflow_core.types cimport (MF_EMBEDDED, MF_E_MEMORY, MF_E_NON_FINITE, MF_E_STEP, MF_E_STEPS, MF_FRESH, MF_FSAL, MF_IMPLICIT,
                               MF_NEEDS_RHO, MF_SECOND_ORDER, MF_STAGED, mf_new_frame, mf_new_problem)
from mflow_core.vec cimport mf_fp_enter, mf_fp_leave

import importlib

import numpy as np

from mflow_core.registry import LEVEL

cnp.import_array()

RHS_LANES_SIGNATURE = "int (double const *, double const *, double *, ptrdiff_t, ptrdiff_t, void *)"
BLOCK, WAITING, TOO_SMALL, TOO_MANY = WIDTH, LANE_WAITING, MF_E_STEP, MF_E_STEPS

cdef lane_loops_t LOOPS = (<lane_loops_t *> PyCapsule_GetPointer(importlib.import_module(f"mflow_core._lane_loops_{LEVEL}")._table,
                                                                 b"mflow_core._lane_loops"))[0]

cdef extern from *:
    """
    #if defined(__GNUC__)
    static inline int64_t mf_next(int64_t *counter) { return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }
    static inline int mf_read(const int *flag) { return __atomic_load_n(flag, __ATOMIC_RELAXED); }
    #else
    #include <windows.h>
    static inline int64_t mf_next(int64_t *counter) { return InterlockedExchangeAdd64((volatile LONG64 *)counter, 1); }
    static inline int mf_read(const int *flag) { return *(volatile const int *)flag; }
    #endif
    """
    int64_t mf_next(int64_t *counter) noexcept nogil
    bint mf_read(const int *flag) noexcept nogil


# ---- adapters: the callback for lanes as a right-hand side ------------------------------------------------------------------------------

cdef int common_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef block_t *b = <block_t *> ctx
    cdef int l
    for l in range(WIDTH):
        b.t_call[l] = t
    return b.job.rhs(b.t_call, y, dydt, b.job.n, WIDTH, b.job.ctx)


cdef int own_rhs(double c, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef block_t *b = <block_t *> ctx
    cdef int l, status
    for l in range(WIDTH):
        b.t_call[l] = b.t[l] + c * b.h[l]
    status = b.job.rhs(b.t_call, y, dydt, b.job.n, WIDTH, b.job.ctx)
    LOOPS.scale(b.job.n, b.h, dydt)
    return status


# ---- a block's memory and its columns -----------------------------------------------------------------------------------------------------

cdef int block_make(block_t *b, const job_t *job) noexcept nogil:
    cdef const mf_sizes *s = &job.sizes
    cdef ptrdiff_t scalars = (s.n_scal + 7) // 8 * 8, total
    cdef double *at
    cdef int j
    memset(b, 0, sizeof(block_t))
    b.n_vectors = 2 * s.n_vec + s.n_err + job.n_D + 3 + s.n_work
    total = b.n_vectors * job.ld + s.work_extra + 8 * WIDTH + 2 * scalars
    b.memory = calloc(total * sizeof(double) + 2 * s.n_vec * sizeof(double *) + 64, 1)
    if b.memory == NULL:
        return MF_E_MEMORY
    b.job = job
    at = <double *> ((<uintptr_t> b.memory + 63) // 64 * 64)
    b.now = <double **> (at + total)
    b.next = b.now + s.n_vec
    b.t_call, b.t, b.t_next, b.h = at, at + WIDTH, at + 2 * WIDTH, at + 3 * WIDTH
    at += 4 * WIDTH
    b.take, b.factor, b.work1, b.work2 = at, at + WIDTH, at + 2 * WIDTH, at + 3 * WIDTH
    at += 4 * WIDTH
    b.s_now, b.s_next = at, at + scalars
    at += 2 * scalars
    b.vectors = at
    for j in range(s.n_vec):
        b.now[j], b.next[j] = at, at + job.ld
        at += 2 * job.ld
    b.err = at
    at += s.n_err * job.ld
    b.slope0, b.slope1, b.between = at, at + job.ld, at + 2 * job.ld
    at += 3 * job.ld
    b.f = mf_new_frame()
    b.f.D = at
    at += job.n_D * job.ld
    b.f.work = at                        # last: what does not scale with n follows it
    b.p = mf_new_problem()
    b.p.n, b.p.ctx = job.n * WIDTH, b
    b.p.rhs = own_rhs if job.own else common_rhs
    b.f.p, b.f.n, b.f.ld, b.f.par = &b.p, b.p.n, job.ld, job.par
    b.f.s0, b.f.s1 = b.s_now, b.s_next
    return 0


cdef void load(block_t *b, int l, int64_t lane) noexcept nogil:
    """A lane's start and parameters into column l."""
    cdef const job_t *job = b.job
    cdef ptrdiff_t i, v
    cdef int j
    for j in range(job.sizes.n_vec):
        for i in range(job.n):
            b.now[j][i * WIDTH + l] = job.y0[lane * job.n + i] if j < job.sizes.n_vis else 0.0
    for v in range(b.n_vectors):
        for i in range(job.p):
            b.vectors[v * job.ld + (job.n + i) * WIDTH + l] = job.args[lane * job.p + i]


cdef void copy_column(block_t *b, double **x, int source, int l) noexcept nogil:
    """Column l of the carried vectors x becomes that of `source`, and so do its parameters and its step."""
    cdef const job_t *job = b.job
    cdef ptrdiff_t i, v
    cdef int j
    for j in range(job.sizes.n_vec):
        for i in range(job.n):
            x[j][i * WIDTH + l] = x[j][i * WIDTH + source]
    for v in range(b.n_vectors):
        for i in range(job.n, job.n + job.p):
            b.vectors[v * job.ld + i * WIDTH + l] = b.vectors[v * job.ld + i * WIDTH + source]
    b.t[l], b.t_next[l], b.h[l] = b.t[source], b.t_next[source], b.h[source]


cdef void fill_idle(block_t *b, double **x) noexcept nogil:
    """Idle columns become copies of the first live one."""
    cdef int l, source = 0
    while source < WIDTH and b.slot[source].lane < 0:
        source += 1
    if source < WIDTH and b.live < WIDTH:
        for l in range(WIDTH):
            if b.slot[l].lane < 0:
                copy_column(b, x, source, l)


cdef void save(block_t *b, int l, const double *x) noexcept nogil:
    """Column l of x is the lane's state at its next wanted time."""
    cdef const job_t *job = b.job
    cdef slot_t *slot = &b.slot[l]
    cdef ptrdiff_t i
    for i in range(job.n):
        job.y[(slot.lane * job.n + i) * job.n_at + slot.saved] = x[i * WIDTH + l]
    slot.saved += 1


cdef void retire(block_t *b, int l, int status) noexcept nogil:
    """The lane in column l ends where `now` is."""
    cdef const job_t *job = b.job
    cdef slot_t *slot = &b.slot[l]
    cdef int64_t lane = slot.lane
    cdef ptrdiff_t i
    for i in range(job.n):
        job.y_last[lane * job.n + i] = b.now[0][i * WIDTH + l]
    job.t_last[lane], job.code[lane], job.saved[lane] = b.t[l], status, slot.saved
    job.nfev[lane], job.nsteps[lane], job.nrejected[lane] = slot.nfev, slot.k, slot.c.rejected
    slot.lane = -1
    b.live -= 1


cdef void retire_all(block_t *b, int status) noexcept nogil:
    cdef int l
    for l in range(WIDTH):
        if b.slot[l].lane >= 0:
            retire(b, l, status)


cdef void begin_lane(block_t *b, int l, int64_t lane) noexcept nogil:
    cdef const job_t *job = b.job
    cdef slot_t *slot = &b.slot[l]
    memset(slot, 0, sizeof(slot_t))
    slot.lane, slot.fresh, slot.c, slot.t_end = lane, True, job.control, job.t_end[lane]
    b.t[l] = b.t_next[l] = job.t0[lane]
    b.h[l] = 0.0
    b.live += 1
    load(b, l, lane)
    if job.n_at and job.at[0] == b.t[l]:
        save(b, l, b.now[0])


# ---- output between steps -----------------------------------------------------------------------------------------------------------------

cdef void cubic(ptrdiff_t n, ptrdiff_t ld, double h, const double *a, const double *b, const double *slope0, const double *slope1,
                double *D) noexcept nogil:
    """D of the cubic through both ends with their slopes, in the order of association of a scalar run."""
    cdef double change, u, v
    cdef ptrdiff_t i
    for i in range(n):
        change = b[i] - a[i]
        u = h * slope0[i]
        v = h * slope1[i]
        D[i] = u
        D[ld + i] = 3.0 * change - (2.0 * u + v)
        D[2 * ld + i] = (u + v) - 2.0 * change


cdef int extend(block_t *b) noexcept nogil:
    """The continuous extension of the step at hand, for every column. b.slopes_known: slope0 is that of its start."""
    cdef const job_t *job = b.job
    cdef int status = 0
    if job.m.dense != NULL:
        return job.m.dense(job.m, &b.f)
    if job.m.flags & MF_FSAL and job.sizes.n_vec > 1 and not b.f.flags & MF_FRESH:
        cubic(b.p.n, job.ld, b.f.h, b.now[0], b.next[0], b.now[1], b.next[1], b.f.D)
        return 0
    if not b.slopes_known:
        status = b.p.rhs(b.f.t, b.now[0], b.slope0, b.p.n, b)
        b.f.n_rhs += 1
    if status == 0:
        status = b.p.rhs(b.end, b.next[0], b.slope1, b.p.n, b)
        b.f.n_rhs += 1
    if status == 0:
        cubic(b.p.n, job.ld, b.f.h, b.now[0], b.next[0], b.slope0, b.slope1, b.f.D)
    return status


cdef int write_times(block_t *b, bint common) noexcept nogil:
    """The wanted times in (t, t_next] of every column whose step is taken. With a common time, slope1 becomes the next slope0."""
    cdef const job_t *job = b.job
    cdef bint again = True, made = False
    cdef int l, status
    cdef double at, sign
    while again:
        again = False
        for l in range(WIDTH):           # one wanted time of each column a round
            b.work1[l] = -1.0
            if b.slot[l].lane < 0 or b.take[l] == 0.0 or b.slot[l].saved >= job.n_at:
                continue
            at = job.at[b.slot[l].saved]
            sign = 1.0 if b.t_next[l] >= b.t[l] else -1.0
            if (b.t_next[l] - at) * sign < 0.0:
                continue
            if at == b.t_next[l]:
                save(b, l, b.next[0])
                continue
            b.work1[l] = (at - b.t[l]) / (b.t_next[l] - b.t[l])
            again = True
        if not again:
            break
        if not made:
            status = extend(b)
            if status != 0:
                return status
            made = True
        LOOPS.polynomial(job.n, job.ld, job.n_D, b.work1, b.now[0], b.f.D, b.between)
        for l in range(WIDTH):
            if b.work1[l] >= 0.0:
                save(b, l, b.between)
    b.slopes_known = False
    if made and common and job.m.dense == NULL:
        b.slope0, b.slope1 = b.slope1, b.slope0
        b.slopes_known = True
    return 0


# ---- one time for all ---------------------------------------------------------------------------------------------------------------------

cdef void drop_non_finite(block_t *b) noexcept nogil:
    """Lanes whose new state is not finite end at their last one; nobody else notices."""
    cdef int l
    memset(b.work2, 0, WIDTH * sizeof(double))
    LOOPS.finite(b.job.n, b.next[0], b.work2)
    for l in range(WIDTH):
        if b.slot[l].lane >= 0 and b.work2[l] != 0.0:
            retire(b, l, MF_E_NON_FINITE)
    fill_idle(b, b.next)


cdef void count_steps(block_t *b, int64_t k, int64_t evaluations, double t) noexcept nogil:
    cdef int l
    for l in range(WIDTH):
        b.slot[l].k, b.slot[l].nfev, b.t[l] = k, evaluations, t


cdef bint wanted(const block_t *b, double t_next) noexcept nogil:
    """Whether the next time to save at lies in the step to t_next: the same for all live lanes."""
    cdef int l = 0
    if b.job.n_at == 0:
        return False
    while b.slot[l].lane < 0:
        l += 1
    if b.slot[l].saved == b.job.n_at:
        return False
    return (t_next - b.job.at[b.slot[l].saved]) * b.job.dt >= 0.0


cdef int common_step(block_t *b, int64_t k, double t, double h, double t_next) noexcept nogil:
    """now -> next for all lanes; those that fail are gone, the others' output is written."""
    cdef const job_t *job = b.job
    cdef int status, l
    b.f.t, b.f.h, b.f.k, b.end = t, h, k, t_next
    b.f.x0, b.f.x1 = <const double *const *> b.now, <double *const *> b.next
    b.f.s0, b.f.s1 = b.s_now, b.s_next
    status = job.m.step(job.m, &b.f)
    if status != 0 or not REDUCE.all_finite(b.next[0], b.p.n):
        count_steps(b, k, b.f.n_rhs, t)
        if status == 0:
            drop_non_finite(b)
    if status == 0 and b.live and wanted(b, t_next):
        for l in range(WIDTH):
            b.t[l], b.t_next[l], b.take[l] = t, t_next, 1.0
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
    cdef int l, status = 0
    b.live = 0
    for l in range(WIDTH):
        if first + l < last:
            begin_lane(b, l, first + l)
        else:
            b.slot[l].lane = -1
    fill_idle(b, b.now)
    memset(b.s_now, 0, job.sizes.n_scal * sizeof(double))
    b.f.flags, b.f.n_rhs, b.slopes_known = MF_FRESH, 0, False
    for k in range(job.steps[0]):
        if mf_read(&job.stop):
            status = LANE_WAITING
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

cdef void plan(block_t *b, int l) noexcept nogil:
    """h and t_next of the step that the lane tries next."""
    cdef const job_t *job = b.job
    cdef slot_t *slot = &b.slot[l]
    cdef double t = b.t[l], h, t_next
    if job.dt == job.dt:
        h = job.dt
        t_next = job.t0[slot.lane] + <double> (slot.k + 1) * job.dt
        slot.ends = slot.k + 1 >= job.steps[slot.lane]
        if slot.ends:
            if fabs(t_next - slot.t_end) > 4.5e-16 * (fabs(slot.t_end) + fabs(job.t0[slot.lane])):
                h = slot.t_end - t
            t_next = slot.t_end
    else:
        h = slot.c.h
        if fabs(h) > slot.c.max_step:
            h = slot.c.max_step if h > 0.0 else -slot.c.max_step
        slot.planned = h
        t_next = t + h
        slot.ends = (t + 1.01 * h - slot.t_end) * h >= 0.0       # a last step a little longer is better than a tiny one more
        if slot.ends:
            h = slot.t_end - t
            t_next = slot.t_end
    b.h[l], b.t_next[l] = h, t_next


cdef inline double shortest(double t, double min_step) noexcept nogil:
    """Below this a step does not move t by a length worth the name: ten units in its last place."""
    cdef double least = 2.220446049250313e-15 * fabs(t)
    least = least if least > 1e-300 else 1e-300
    return least if least > min_step else min_step


cdef int shrink(block_t *b, int l, double err) noexcept nogil:
    """After a try that was not good: the next, shorter step, or why the lane ends. err NaN: a state or slope is not finite."""
    cdef slot_t *slot = &b.slot[l]
    cdef double h = b.h[l], at = b.t[l] + h
    cdef bint bad = err != err
    if not bad:
        slot.c.h = h * factor_rejected(&slot.c, err)
    else:
        if slot.c.n_bad == 0:
            slot.c.bad_from = slot.nfev
            slot.c.t_bad = at
        slot.c.n_bad += 1
        slot.c.rejected += 1
        slot.c.failed += 1
        slot.c.after_reject = 1
        slot.c.h = 0.1 * h
        if (at - slot.c.t_bad) * h < 0.0:
            slot.c.t_bad = at
        if slot.nfev - slot.c.bad_from > MF_BUDGET:
            return MF_E_NON_FINITE
    if fabs(slot.c.h) >= shortest(b.t[l], slot.c.min_step):
        return 0
    return MF_E_NON_FINITE if bad else MF_E_STEP


cdef void grow(block_t *b, int l, double err) noexcept nogil:
    """After a good try: the next step."""
    cdef slot_t *slot = &b.slot[l]
    cdef double h = b.h[l], factor = factor_accepted(&slot.c, err)
    if slot.c.n_bad > 0 and (b.t_next[l] - slot.c.t_bad) * h > 0.0:
        slot.c.n_bad = 0
    slot.c.h = h * factor
    if fabs(h) < fabs(slot.planned) and fabs(slot.c.h) < fabs(slot.planned):
        slot.c.h = slot.planned


cdef void sizes_of(block_t *b, const double *x, double *out) noexcept nogil:
    """Root mean squares of x in units of the tolerance at `now`."""
    cdef double root = sqrt(<double> b.job.n)
    cdef int l
    LOOPS.error_sums(b.job.n, x, b.now[0], b.now[0], b.job.rtol, b.job.atol, out)
    for l in range(WIDTH):
        out[l] = sqrt(out[l]) / root


cdef int slopes_at_start(block_t *b, double *f0) noexcept nogil:
    """f(t, y) of all columns, unscaled. Fresh lanes without a finite one end here."""
    cdef const job_t *job = b.job
    cdef int l, status
    status = job.rhs(b.t, b.now[0], f0, job.n, WIDTH, job.ctx)
    memset(b.work1, 0, WIDTH * sizeof(double))
    LOOPS.finite(job.n, f0, b.work1)
    for l in range(WIDTH):
        if b.slot[l].lane >= 0 and b.slot[l].fresh:
            b.slot[l].nfev += 1
            if status == 0 and b.work1[l] != 0.0:
                retire(b, l, MF_E_NON_FINITE)
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
    cdef int l, status
    cdef int _try
    sizes_of(b, b.now[0], d0)
    sizes_of(b, f0, d1)
    for l in range(WIDTH):
        still[l] = h0[l] = 0.0
        sign[l] = 1.0
        if b.slot[l].lane >= 0 and b.slot[l].fresh:
            span = fabs(b.slot[l].t_end - b.t[l])
            sign[l] = 1.0 if b.slot[l].t_end >= b.t[l] else -1.0
            h = trial_step_of(d0[l], d1[l])
            h = h if h < span else span
            h0[l] = h if h < b.slot[l].c.max_step else b.slot[l].c.max_step
            still[l], more = 1.0, True
            b.slot[l].c.h = h0[l]
    for _try in range(4):
        if not more:
            break
        for i in range(job.n):
            for l in range(WIDTH):
                y1[i * WIDTH + l] = b.now[0][i * WIDTH + l] + sign[l] * h0[l] * f0[i * WIDTH + l]
        for l in range(WIDTH):
            b.t_call[l] = b.t[l] + sign[l] * h0[l]
        status = job.rhs(b.t_call, y1, f1, job.n, WIDTH, job.ctx)
        if status != 0:
            return status
        memset(b.work1, 0, WIDTH * sizeof(double))
        LOOPS.finite(job.n, f1, b.work1)
        for i in range(job.n * WIDTH):
            f1[i] = f1[i] - f0[i]
        sizes_of(b, f1, b.work2)
        more = False
        for l in range(WIDTH):
            if still[l] == 0.0:
                continue
            b.slot[l].nfev += 1
            if b.work1[l] == 0.0:
                b.slot[l].c.h = first_step_of(d0[l], d1[l], b.work2[l] / h0[l], h0[l], b.slot[l].c.q)
                still[l] = 0.0
            else:                            # the trial left the domain: nearer
                h0[l] = 1e-2 * h0[l]
                b.slot[l].c.h = h0[l]
                more = True
    for l in range(WIDTH):
        if b.slot[l].lane >= 0 and b.slot[l].fresh:
            span = fabs(b.slot[l].t_end - b.t[l])
            h = b.slot[l].c.h
            h = h if h < span else span
            b.slot[l].c.h = sign[l] * (h if h < b.slot[l].c.max_step else b.slot[l].c.max_step)
    return 0


cdef int settle(block_t *b) noexcept nogil:
    """Fresh lanes get their first step, and the slope that an FSAL row carries."""
    cdef const job_t *job = b.job
    cdef bint carries = job.sizes.n_vec > 1, controlled = job.dt != job.dt
    cdef ptrdiff_t i
    cdef int l, status = 0
    fill_idle(b, b.now)
    if carries or (controlled and job.first_step == 0.0):
        status = slopes_at_start(b, b.slope0)
        if status == 0 and controlled and job.first_step == 0.0:
            fill_idle(b, b.now)
            status = first_steps(b, b.slope0)
        if status != 0:
            return status
    for l in range(WIDTH):
        if b.slot[l].lane < 0 or not b.slot[l].fresh:
            continue
        if controlled and job.first_step != 0.0:
            b.slot[l].c.h = job.first_step if b.slot[l].t_end >= b.t[l] else -job.first_step
        b.slot[l].fresh = False
        plan(b, l)
        if carries:
            for i in range(job.n):
                b.now[1][i * WIDTH + l] = b.h[l] * b.slope0[i * WIDTH + l]
    fill_idle(b, b.now)
    return 0


cdef int judge(block_t *b) noexcept nogil:
    """take[l] of every column after a step: 1 it is good, 0 it is tried again. Lanes that cannot go on end. How many are good."""
    cdef const job_t *job = b.job
    cdef double n = <double> job.n, err
    cdef bint controlled = job.dt != job.dt
    cdef int l, good = 0, ending
    memset(b.factor, 0, WIDTH * sizeof(double))
    LOOPS.finite(job.n, b.next[0], b.factor)
    if controlled:
        LOOPS.error_sums(job.n, b.err, b.now[0], b.next[0], job.rtol, job.atol, b.work1)
        if job.sizes.n_err == 2:
            LOOPS.error_sums(job.n, b.err + job.ld, b.now[0], b.next[0], job.rtol, job.atol, b.work2)
    for l in range(WIDTH):
        b.take[l] = 0.0
        if b.slot[l].lane < 0:
            continue
        err = 0.0
        if controlled and job.n:
            err = two_errors(b.work1[l], b.work2[l], n) if job.sizes.n_err == 2 else sqrt(b.work1[l] / n)
        if b.factor[l] != 0.0:
            err = NAN
        if err <= 1.0:
            b.take[l] = 1.0
            good += 1
            if controlled:
                grow(b, l, err)
            continue
        ending = shrink(b, l, err) if controlled else MF_E_NON_FINITE
        if ending != 0:
            retire(b, l, ending)
    return good


cdef void advance(block_t *b) noexcept nogil:
    """Good lanes go on to `next`; every lane's next step is planned, and the slope that it carries goes with it."""
    cdef const job_t *job = b.job
    cdef double h
    cdef int j, l
    for l in range(WIDTH):
        b.factor[l] = 1.0
        if b.slot[l].lane < 0:
            continue
        if b.take[l] != 0.0:
            b.t[l] = b.t_next[l]
            b.slot[l].k += 1
            b.slot[l].over = b.slot[l].ends
            if b.slot[l].over:
                continue
        h = b.h[l]
        plan(b, l)
        b.factor[l] = b.h[l] / h
    LOOPS.accept(job.n, b.take, NULL, b.next[0], b.now[0])
    for j in range(1, job.sizes.n_vec):
        LOOPS.accept(job.n, b.take, b.factor, b.next[j], b.now[j])
    for l in range(WIDTH):
        if b.slot[l].lane >= 0 and b.take[l] != 0.0:
            if b.slot[l].over:
                retire(b, l, 0)
            elif b.slot[l].k >= job.max_steps:
                retire(b, l, MF_E_STEPS)


cdef int own_step(block_t *b) noexcept nogil:
    """One try of every lane."""
    cdef const job_t *job = b.job
    cdef int64_t before = b.f.n_rhs
    cdef int l, status
    b.f.t, b.f.h, b.f.flags, b.end = 0.0, 1.0, 0, 1.0
    b.f.err = b.err if job.dt != job.dt else NULL
    b.f.x0, b.f.x1 = <const double *const *> b.now, <double *const *> b.next
    b.slopes_known = False
    status = job.m.step(job.m, &b.f)
    for l in range(WIDTH):
        b.slot[l].nfev += b.f.n_rhs - before
    if status != 0:
        return status
    if judge(b) and job.n_at:
        before = b.f.n_rhs
        status = write_times(b, False)
        for l in range(WIDTH):
            b.slot[l].nfev += b.f.n_rhs - before
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
    cdef int l, status
    b.live = 0
    for l in range(WIDTH):
        b.slot[l].lane = -1
    while b.live or waiting < last:
        if mf_read(&job.stop):
            retire_all(b, LANE_WAITING)
            return
        if waiting < last and (b.live == 0 or WIDTH - b.live >= WIDTH // 8):
            for l in range(WIDTH):
                while b.slot[l].lane < 0 and waiting < last:
                    begin_lane(b, l, waiting)
                    waiting += 1
                    if b.t[l] == b.slot[l].t_end:
                        retire(b, l, 0)
            status = settle(b) if b.live else 0
        else:
            status = own_step(b)
        if status != 0:
            retire_all(b, status)


# ---- the batch as Python sees it ------------------------------------------------------------------------------------------------------------

cdef double *numbers(cnp.ndarray a) except? NULL:
    if cnp.PyArray_TYPE(a) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(a):
        raise TypeError("lanes: C-contiguous float64 arrays are wanted")
    return <double *> cnp.PyArray_DATA(a)


cdef class Lanes:
    """Trajectories from the rows of y0 (lanes, n), integrated by as many calls of `work` as there are threads.

    function: (address, user data), as `compiled_address` gives. t0, t_end: (lanes,). args: (lanes, p) or None. dt: fixed steps, as many
    as `steps` (lanes,) says, or NaN: error control with rtol and atol of shape (n,). own: every lane has its own time. t_eval: (m,) or
    None. All arrays are checked by the caller. Results: y_last, t_last, y (lanes, n, m), code, nfev, nsteps, nrejected, saved; a code
    of WAITING means that a lane was not brought to its end. Raises ValueError for a row that this cannot run.
    """

    def __cinit__(self, Row row, tuple function, cnp.ndarray y0, cnp.ndarray t0, cnp.ndarray t_end, *, dict parameters=None, args=None,
                  t_eval=None, double dt=NAN, steps=None, bint own=False, rtol=None, atol=None, double first_step=0.0,
                  double max_step=INFINITY, double min_step=0.0, int64_t max_steps=0x7FFFFFFFFFFFFFFF):
        cdef job_t *j = &self.j
        cdef int lower = row.m.order_hat if row.m.order_hat < row.m.order else row.m.order
        self.row = row
        j.m, j.rhs, j.ctx = row.m, <mf_rhs_lanes_fn> <size_t> function[0], <void *> <size_t> function[1]
        j.par = row.parameters(parameters or {})
        mf_sizes_of(row.m, j.par, &j.sizes)
        j.lanes, j.n, j.own, j.dt = y0.shape[0], y0.shape[1], own or dt != dt, dt
        self.check_row()
        j.y0, j.t0, j.t_end = numbers(y0), numbers(t0), numbers(t_end)
        lanes, n, m = (<object> y0).shape[0], (<object> y0).shape[1], 0
        if args is not None:
            j.p, j.args = args.shape[1], numbers(args)
        if t_eval is not None:
            m = j.n_at = t_eval.shape[0]
            j.at = numbers(t_eval)
            j.n_D = j.sizes.n_dense if row.m.dense != NULL else 3
        if dt == dt:
            j.steps = <int64_t *> cnp.PyArray_DATA(steps)
        else:
            j.rtol, j.atol = numbers(rtol), numbers(atol)
        j.ld = max(<ptrdiff_t> 1, j.n + j.p) * WIDTH
        if j.ld % 512 == 0:
            j.ld += 8
        j.first_step, j.max_steps = first_step, max_steps
        j.control.max_step, j.control.min_step, j.control.q = max_step, min_step, lower + 1.0
        j.group = WIDTH * min(8, max(1, j.lanes // (32 * WIDTH))) if j.own else WIDTH
        self.y_last, self.t_last, self.y = np.array(y0), np.array(t0), np.full((lanes, n, m), np.nan)
        self.code = np.full(lanes, WAITING, dtype=np.int32)
        self.nfev, self.nsteps, self.nrejected, self.saved = np.zeros((4, lanes), dtype=np.int64)
        j.y_last, j.t_last, j.y = numbers(self.y_last), numbers(self.t_last), numbers(self.y)
        j.code = <int32_t *> cnp.PyArray_DATA(self.code)
        j.nfev, j.nsteps = <int64_t *> cnp.PyArray_DATA(self.nfev), <int64_t *> cnp.PyArray_DATA(self.nsteps)
        j.nrejected, j.saved = <int64_t *> cnp.PyArray_DATA(self.nrejected), <int64_t *> cnp.PyArray_DATA(self.saved)
        self.keep = (y0, t0, t_end, args, t_eval, steps, rtol, atol)

    def __dealloc__(self):
        free(self.j.par)

    cdef int check_row(self) except -1:
        cdef const job_t *j = &self.j
        cdef const mf_method *m = j.m
        if m.step == NULL or m.flags & (MF_IMPLICIT | MF_SECOND_ORDER | MF_NEEDS_RHO | MF_STAGED):
            raise ValueError(f"method: {self.row.name} cannot run on lanes: an explicit Runge-Kutta method is wanted")
        if j.dt != j.dt and not (m.flags & MF_EMBEDDED and j.sizes.n_err):
            raise ValueError(f"method: {self.row.name} has no error estimate: give dt")
        if j.own and (j.sizes.n_scal or j.sizes.n_vec > (2 if m.flags & MF_FSAL else 1)):
            raise ValueError(f"method: {self.row.name} carries more than a slope from step to step: lanes cannot have times of their own")
        return 0

    def work(self):
        """Integrates groups of lanes until none is left, without the GIL. Call it from as many threads as wanted, at once."""
        cdef block_t block
        cdef unsigned int mode
        cdef int64_t first
        cdef int status
        with nogil:
            mode = mf_fp_enter()
            status = block_make(&block, &self.j)
            while status == 0 and not mf_read(&self.j.stop):
                first = mf_next(&self.j.begun) * self.j.group
                if first >= self.j.lanes:
                    break
                if self.j.own:
                    run_own(&block, first, min(first + self.j.group, self.j.lanes))
                else:
                    run_common(&block, first, min(first + self.j.group, self.j.lanes))
            free(block.memory)
            mf_fp_leave(mode)
        if status != 0:
            raise MemoryError(f"no memory for a block of lanes with {self.j.n} components")

    def stop(self):
        """`work` returns soon, in every thread."""
        self.j.stop = 1
