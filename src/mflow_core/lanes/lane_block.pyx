"""A block of lanes: one thread's buffers, the columns in it, and the results that the lanes leave behind.

A lane is the place of one trajectory in a SIMD block, a column of its numbers:

    component i of lane l:   y[i * WIDTH + l],     its parameter j:   y[(n + j) * WIDTH + l],     its time:   t[l]

The parameters stand behind the state in every vector of the block, where kernels, which know of n WIDTH components, never write. An idle
column is a copy of a live one, or stands still where its lane has ended, with h = 0. `now` and `next` are exchanged or merged by the loops
in lane_steps.pyx; lanes end where `now` is.
"""
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memset

from mflow_core.arithmetic.control cimport control_t, size_of_time
from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.lanes.lane_loops cimport columns_t, lane_loops_t
from mflow_core.registry cimport kernels
from mflow_core.stepping.output cimport hermite
from mflow_core.types cimport MF_E_MEMORY, MF_E_NON_FINITE, MF_FRESH, MF_FSAL, mf_new_frame, mf_new_problem

LOOPS = (<lane_loops_t *> kernels("lanes.lane_loops", "_table", b"mflow_core._lane_loops"))[0]


# ---- a block's memory and its columns -----------------------------------------------------------------------------------------------------

cdef enum:
    PLACE = 32768                        # bytes: a block begins at a multiple of it, elsewhere it may take a fifth longer


cdef int block_make(block_t *b, const job_t *job) noexcept nogil:
    cdef const mf_sizes *s = &job.sizes
    cdef ptrdiff_t scalars = (s.n_scal + 7) // 8 * 8, looks = (7 * job.n + 7) // 8 * 8 if job.edge > 0.0 else 0, total
    cdef double *at
    cdef int j
    memset(b, 0, sizeof(block_t))
    b.n_vectors = 2 * s.n_vec + s.n_err + job.n_D + 3 + s.n_work
    total = b.n_vectors * job.ld + s.work_extra + 3 * WIDTH + sizeof(columns_t) // sizeof(double) + 2 * scalars + looks
    b.memory = mf_zeros(total * sizeof(double) + 2 * s.n_vec * sizeof(double *) + PLACE, 1)
    if b.memory == NULL:
        return MF_E_MEMORY
    b.job = job
    at = <double *> ((<uintptr_t> b.memory + PLACE - 1) // PLACE * PLACE)
    b.now = <double **> (at + total)
    b.next = b.now + s.n_vec
    b.call.t, b.work1, b.work2 = at, at + WIDTH, at + 2 * WIDTH
    at += 3 * WIDTH
    b.of = <columns_t *> at
    at += sizeof(columns_t) // sizeof(double)
    b.look = at
    at += looks
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
    b.p.rhs = LOOPS.own_rhs if job.own_times else LOOPS.common_rhs
    b.call.rhs, b.call.ctx, b.call.n, b.call.of = job.rhs, job.ctx, job.n, b.of
    b.f.p, b.f.n, b.f.ld, b.f.par = &b.p, b.p.n, job.ld, job.par
    b.f.s0, b.f.s1 = b.s_now, b.s_next
    return 0


cdef void block_free(block_t *b) noexcept nogil:
    free(b.memory)


cdef void load(block_t *b, int col, int64_t lane) noexcept nogil:
    """A lane's start and parameters into column l."""
    cdef const job_t *job = b.job
    cdef ptrdiff_t i, v
    cdef int j
    for j in range(job.sizes.n_vec):
        for i in range(job.n):
            b.now[j][i * WIDTH + col] = job.y0[lane * job.n + i] if j < job.sizes.n_vis else 0.0
    for v in range(b.n_vectors):
        for i in range(job.p):
            b.vectors[v * job.ld + (job.n + i) * WIDTH + col] = job.args[lane * job.p + i]


cdef void copy_column(block_t *b, double **x, int source, int col) noexcept nogil:
    """Column l of the carried vectors x becomes that of `source`, and so do its parameters and its time."""
    cdef const job_t *job = b.job
    cdef ptrdiff_t i, v
    cdef int j
    for j in range(job.sizes.n_vec):
        for i in range(job.n):
            x[j][i * WIDTH + col] = x[j][i * WIDTH + source]
    for v in range(b.n_vectors):
        for i in range(job.n, job.n + job.p):
            b.vectors[v * job.ld + i * WIDTH + col] = b.vectors[v * job.ld + i * WIDTH + source]
    b.of.t[col] = b.of.t_next[col] = b.of.t[source]


cdef void fill_idle(block_t *b, double **x) noexcept nogil:
    """Idle columns become copies of the first live one."""
    cdef int col, source = 0
    while source < WIDTH and b.slot[source].lane < 0:
        source += 1
    if source < WIDTH and b.live < WIDTH:
        for col in range(WIDTH):
            if b.slot[col].lane < 0:
                copy_column(b, x, source, col)


cdef void save(block_t *b, int col, const double *x) noexcept nogil:
    """Column l of x is the lane's state at its next time to save."""
    cdef const job_t *job = b.job
    cdef slot_t *slot = &b.slot[col]
    cdef ptrdiff_t i
    for i in range(job.n):
        job.y[(slot.lane * job.n + i) * job.n_at + slot.saved] = x[i * WIDTH + col]
    slot.saved += 1


cdef void retire(block_t *b, int col, int status) noexcept nogil:
    """The lane in column l ends where `now` is."""
    cdef const job_t *job = b.job
    cdef slot_t *slot = &b.slot[col]
    cdef int64_t lane = slot.lane
    cdef ptrdiff_t i
    for i in range(job.n):
        job.y_last[lane * job.n + i] = b.now[0][i * WIDTH + col]
    job.t_last[lane], job.code[lane], job.saved[lane] = b.of.t[col], status, slot.saved
    job.nfev[lane], job.nsteps[lane], job.nrejected[lane] = slot.nfev + b.f.n_rhs - slot.since, b.of.k[col], slot.c.rejected
    slot.lane, b.of.live[col], b.of.h[col] = -1, 0, 0.0
    b.live -= 1


cdef void retire_all(block_t *b, int status) noexcept nogil:
    cdef int col
    for col in range(WIDTH):
        if b.slot[col].lane >= 0:
            retire(b, col, status)


cdef void read_control(const block_t *b, int col, control_t *c) noexcept nogil:
    """The lane's controller, put together from its columns."""
    c[0] = b.slot[col].c
    c.h, c.log_before, c.h_pressed, c.cap = b.of.size[col], b.of.log_before[col], b.of.h_pressed[col], b.of.cap[col]
    c.near, c.after_reject, c.pressed, c.steady = b.of.near[col], b.of.after_reject[col], b.of.pressed[col], b.of.steady[col]


cdef void write_control(block_t *b, int col, const control_t *c) noexcept nogil:
    b.slot[col].c = c[0]
    b.of.size[col], b.of.log_before[col], b.of.h_pressed[col], b.of.cap[col] = c.h, c.log_before, c.h_pressed, c.cap
    b.of.near[col], b.of.after_reject[col], b.of.pressed[col], b.of.steady[col] = c.near, c.after_reject, c.pressed, c.steady


cdef void begin_lane(block_t *b, int col, int64_t lane) noexcept nogil:
    cdef const job_t *job = b.job
    cdef slot_t *slot = &b.slot[col]
    memset(slot, 0, sizeof(slot_t))
    slot.lane, slot.fresh, slot.since = lane, True, b.f.n_rhs
    write_control(b, col, &job.control)
    slot.c.t_size = size_of_time(job.t0[lane], job.t_end[lane])
    b.of.t[col] = b.of.t_next[col] = job.t0[lane]
    b.of.t_end[col], b.of.h[col], b.of.k[col] = job.t_end[lane], 0.0, 0
    b.of.live[col], b.of.take[col], b.of.over[col] = 1, 0, 0
    b.live += 1
    load(b, col, lane)
    if job.n_at and job.at[0] == b.of.t[col]:
        save(b, col, b.now[0])


# ---- output between steps -----------------------------------------------------------------------------------------------------------------

cdef int extend(block_t *b) noexcept nogil:
    """The continuous extension of the step at hand, for every column. b.slopes_known: slope0 is that of its start."""
    cdef const job_t *job = b.job
    cdef int status = 0
    if job.m.dense != NULL:
        return job.m.dense(job.m, &b.f)
    if job.m.flags & MF_FSAL and job.sizes.n_vec > 1 and not b.f.flags & MF_FRESH:
        hermite(&b.f, b.now[1], b.next[1], b.f.D)
        return 0
    if not b.slopes_known:
        status = b.p.rhs(b.f.t, b.now[0], b.slope0, b.p.n, b)
        b.f.n_rhs += 1
    if status == 0:
        status = b.p.rhs(b.end, b.next[0], b.slope1, b.p.n, b)
        b.f.n_rhs += 1
    if status == 0:
        hermite(&b.f, b.slope0, b.slope1, b.f.D)
    return status


cdef void drop_unextended(block_t *b) noexcept nogil:
    """Lanes that need an extension which is not finite end where their step began."""
    cdef int col, k
    memset(b.work2, 0, WIDTH * sizeof(double))
    for k in range(b.job.n_D):
        LOOPS.finite(b.job.n, b.f.D + k * b.job.ld, b.work2)
    for col in range(WIDTH):
        if b.work1[col] >= 0.0 and b.work2[col] != 0.0:
            b.work1[col] = -1.0
            retire(b, col, MF_E_NON_FINITE)


cdef int write_times(block_t *b, bint common) noexcept nogil:
    """The times to save in (t, t_next] of every column whose step is taken. With a common time, slope1 becomes the next slope0."""
    cdef const job_t *job = b.job
    cdef bint again = True, made = False
    cdef int64_t before = b.f.n_rhs
    cdef int col, status
    cdef double at, sign
    while again:
        again = False
        for col in range(WIDTH):           # one time of each column a round
            b.work1[col] = -1.0
            if b.slot[col].lane < 0 or b.of.take[col] == 0 or b.slot[col].saved >= job.n_at:
                continue
            at = job.at[b.slot[col].saved]
            sign = 1.0 if b.of.t_next[col] >= b.of.t[col] else -1.0
            if (b.of.t_next[col] - at) * sign < 0.0:
                continue
            if at == b.of.t_next[col]:
                save(b, col, b.next[0])
                continue
            b.work1[col] = (at - b.of.t[col]) / (b.of.t_next[col] - b.of.t[col])
            again = True
        if not again:
            break
        if not made:
            status = extend(b)
            if status != 0:
                return status
            made = True
            drop_unextended(b)
            for col in range(WIDTH):       # the cost of the extension falls on those who need it: all, with a common time
                b.slot[col].since += b.f.n_rhs - before if b.work1[col] < 0.0 else 0
        LOOPS.polynomial(job.n, job.ld, job.n_D, b.work1, b.now[0], b.f.D, b.between)
        for col in range(WIDTH):
            if b.work1[col] >= 0.0:
                save(b, col, b.between)
    b.slopes_known = False
    if made and common and job.m.dense == NULL:
        b.slope0, b.slope1 = b.slope1, b.slope0
        b.slopes_known = True
    return 0
