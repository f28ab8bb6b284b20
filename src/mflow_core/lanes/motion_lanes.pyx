"""`MotionLanes`: many motions M x'' + C x' + K x = F(t, x, v) with diagonal matrices of their own, a block of WIDTH at a time.

    number i of lane l:   x[i * WIDTH + l],   its parameter j:   x[(n + j) * WIDTH + l],   v alike

No method has a second kernel: its ordinary `step` runs on n WIDTH components, fixed steps on a common span. What an implicit method solves is
a division, S = M + w bv C + w bx K being diagonal, where F does not depend on the unknown. All is elementwise over l and a block always has
WIDTH columns, so a lane's bits depend neither on the others nor on threads. A lane whose new state is not finite ends where the step began;
its column goes on as a copy of zeros, and nobody looks at it.
"""
from libc.math cimport NAN, fabs
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memset

cimport numpy as cnp

from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.lanes.lane_block cimport LANE_WAITING, mf_next, mf_read
from mflow_core.lanes.lane_loops cimport WIDTH
from mflow_core.registry cimport REDUCE, MethodRecord, mf_sizes_of
from mflow_core.types cimport (MF_E_MEMORY, MF_E_NON_FINITE, MF_SECOND_ORDER, MF_VELOCITY_FREE, mf_frame, mf_method, mf_new_frame,
                               mf_new_problem, mf_problem, mf_sizes)

import numpy as np

cnp.import_array()

FORCE_LANES_SIGNATURE = "int (double const *, double const *, double const *, double *, ptrdiff_t, ptrdiff_t, void *)"

ctypedef int (*force_lanes_fn)(const double *t, const double *x, const double *v, double *f, ptrdiff_t n, ptrdiff_t lanes, void *ctx) noexcept nogil

ctypedef struct motions_t:               # what all threads share
    const mf_method *m
    mf_sizes sizes
    double *par
    force_lanes_fn force                 # NULL: none
    void *ctx
    ptrdiff_t n, p, lanes, ld
    bint free_of_v
    const double *x0                     # lanes x n
    const double *v0
    const double *mass                   # lanes x n; NULL: ones, or none
    const double *damping
    const double *stiffness
    const double *args                   # lanes x p
    double t0, t_end, dt
    int64_t steps
    const double *at                     # times to save at
    int64_t n_at
    double *x_last                       # lanes x n
    double *v_last
    double *t_last
    double *x                            # lanes x n x n_at
    double *v
    int32_t *code
    int64_t *nfev
    int64_t *nsteps
    int64_t *saved
    int64_t begun
    int stop

ctypedef struct columns_t:               # one thread's
    const motions_t *job
    mf_problem p
    mf_frame f
    void *memory
    double *first                        # the first vector; all are ld apart
    ptrdiff_t count
    double *now[8]
    double *next[8]
    double *t                            # WIDTH times for the callback
    double *M                            # of the block, n WIDTH
    double *C
    double *K
    double *r                            # 1 / (M + c C + k K)
    double c, k
    int64_t of_lane[WIDTH]               # -1: over, or none


cdef int ask(columns_t *b, double t, const double *x, const double *v, double *f) noexcept nogil:
    """f = F - C v - K x."""
    cdef const motions_t *job = b.job
    cdef ptrdiff_t i, size = job.n * WIDTH
    cdef int col, status
    if job.force == NULL:
        memset(f, 0, size * sizeof(double))
    else:
        for col in range(WIDTH):
            b.t[col] = t
        status = job.force(b.t, x, v, f, job.n, WIDTH, job.ctx)
        if status != 0:
            return status
    if job.damping != NULL:
        for i in range(size):
            f[i] = f[i] - b.C[i] * v[i]
    if job.stiffness != NULL:
        for i in range(size):
            f[i] = f[i] - b.K[i] * x[i]
    return 0


cdef void divide_by(columns_t *b, double c, double k) noexcept nogil:
    """r of M + c C + k K."""
    cdef ptrdiff_t i
    if b.c == c and b.k == k:
        return
    for i in range(b.job.n * WIDTH):
        b.r[i] = 1.0 / (b.M[i] + (c * b.C[i] + k * b.K[i]))
    b.c, b.k = c, k


cdef int lanes_accel(double t, const double *x, const double *v, double *a, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef columns_t *b = <columns_t *> ctx
    cdef ptrdiff_t i
    cdef int status = ask(b, t, x, v, a)
    if status != 0 or b.job.mass == NULL:
        return status
    for i in range(n):
        a[i] = a[i] / b.M[i]
    return 0


cdef int lanes_solve(double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q, double *a, ptrdiff_t n,
                     void *ctx) noexcept nogil:
    cdef columns_t *b = <columns_t *> ctx
    cdef ptrdiff_t i
    cdef int status = ask(b, t, xp, vp, a)
    if status != 0:
        return status
    divide_by(b, w * bv, w * bx)
    for i in range(n):
        a[i] = w * a[i] * b.r[i] if q == NULL else (w * a[i] + b.M[i] * q[i]) * b.r[i]
    return 0


cdef int make(columns_t *b, const motions_t *job) noexcept nogil:
    cdef const mf_sizes *s = &job.sizes
    cdef ptrdiff_t extra = WIDTH + 4 * job.ld + 2 * ((s.n_scal + 7) // 8 * 8)
    cdef double *at
    cdef int j
    memset(b, 0, sizeof(columns_t))
    b.count = 2 * s.n_vec + s.n_work + (s.n_dense if job.n_at > 0 else 0)
    b.memory = mf_zeros((b.count * job.ld + s.work_extra + extra) * sizeof(double) + 64, 1)
    if b.memory == NULL:
        return MF_E_MEMORY
    b.job = job
    at = <double *> ((<uintptr_t> b.memory + 63) // 64 * 64)
    b.t, b.M, b.C, b.K, b.r = at, at + WIDTH, at + WIDTH + job.ld, at + WIDTH + 2 * job.ld, at + WIDTH + 3 * job.ld
    at += WIDTH + 4 * job.ld
    b.f = mf_new_frame()
    b.f.s0, b.f.s1 = at, at + (s.n_scal + 7) // 8 * 8
    at += 2 * ((s.n_scal + 7) // 8 * 8)
    b.first = at
    for j in range(s.n_vec):
        b.now[j], b.next[j] = at, at + job.ld
        at += 2 * job.ld
    b.f.work, b.f.D = at, at + s.n_work * job.ld
    b.p = mf_new_problem()
    b.p.n, b.p.ctx, b.p.accel, b.p.solve_accel = job.n * WIDTH, b, lanes_accel, lanes_solve
    b.p.flags = MF_VELOCITY_FREE if job.free_of_v and job.damping == NULL else 0
    b.f.p, b.f.n, b.f.ld, b.f.par = &b.p, b.p.n, job.ld, job.par
    return 0


cdef void load(columns_t *b, int64_t first, int64_t last) noexcept nogil:
    """The lanes first ... last - 1 into columns; idle ones are copies of the first."""
    cdef const motions_t *job = b.job
    cdef ptrdiff_t i, v
    cdef int64_t lane
    cdef int col
    for v in range(2 * job.sizes.n_vec):
        memset(b.first + v * job.ld, 0, job.ld * sizeof(double))
    for col in range(WIDTH):
        lane = first + col if first + col < last else first
        b.of_lane[col] = lane if first + col < last else -1
        for i in range(job.n):
            b.now[0][i * WIDTH + col], b.now[1][i * WIDTH + col] = job.x0[lane * job.n + i], job.v0[lane * job.n + i]
            b.M[i * WIDTH + col] = job.mass[lane * job.n + i] if job.mass != NULL else 1.0
            b.C[i * WIDTH + col] = job.damping[lane * job.n + i] if job.damping != NULL else 0.0
            b.K[i * WIDTH + col] = job.stiffness[lane * job.n + i] if job.stiffness != NULL else 0.0
        for v in range(b.count):
            for i in range(job.p):
                b.first[v * job.ld + (job.n + i) * WIDTH + col] = job.args[lane * job.p + i]
    memset(<void *> b.f.s0, 0, job.sizes.n_scal * sizeof(double))
    b.c = b.k = NAN


cdef void retire(columns_t *b, int col, int64_t k, double t, int status) noexcept nogil:
    """The lane in a column ends where `now` is."""
    cdef const motions_t *job = b.job
    cdef int64_t lane = b.of_lane[col]
    cdef ptrdiff_t i
    for i in range(job.n):
        if status == 0 and b.now[0][i * WIDTH + col] - b.now[0][i * WIDTH + col] != 0.0:
            status = MF_E_NON_FINITE
        job.x_last[lane * job.n + i], job.v_last[lane * job.n + i] = b.now[0][i * WIDTH + col], b.now[1][i * WIDTH + col]
    job.t_last[lane], job.code[lane], job.nsteps[lane], job.nfev[lane] = t, status, k, b.f.n_rhs + b.f.n_solve
    b.of_lane[col] = -1


cdef inline double inside(const columns_t *b, int j, ptrdiff_t at, double s) noexcept nogil:
    """x (j = 0) or v (1) by the method's own extension, as output.pyx has it."""
    cdef ptrdiff_t ld = b.job.ld
    cdef int powers = b.job.sizes.n_dense // 3, k
    cdef const double *D = b.f.D + j * powers * ld
    cdef double value = D[(powers - 1) * ld + at]
    for k in range(powers - 2, -1, -1):
        value = D[k * ld + at] + s * value
    return b.now[j][at] + s * value


cdef int save(columns_t *b, double t, double t_next, int64_t *next_at) noexcept nogil:
    """The times to save at in (t, t_next]: the method's own extension, or cubics for x and v."""
    cdef const motions_t *job = b.job
    cdef double h = t_next - t, s, d, x, v
    cdef ptrdiff_t i, at
    cdef int64_t lane
    cdef bint made = False
    cdef int col, status
    while next_at[0] < job.n_at and (t_next - job.at[next_at[0]]) * (1.0 if h > 0.0 else -1.0) >= 0.0:
        s = (job.at[next_at[0]] - t) / h if job.at[next_at[0]] != t_next else 1.0
        if s != 1.0 and job.m.dense != NULL and not made:
            status, made = job.m.dense(job.m, &b.f), True
            if status != 0:
                return status
        for col in range(WIDTH):
            lane = b.of_lane[col]
            for i in range(job.n if lane >= 0 else 0):
                at = i * WIDTH + col
                x, v = b.next[0][at], b.next[1][at]
                if s != 1.0 and made:
                    x, v = inside(b, 0, at, s), inside(b, 1, at, s)
                elif s != 1.0:
                    d = x - b.now[0][at]
                    x = b.now[0][at] + s * (h * b.now[1][at] + s * ((3.0 * d - h * (2.0 * b.now[1][at] + v)) + s * (h * (b.now[1][at] + v) - 2.0 * d)))
                    d = v - b.now[1][at]
                    v = b.now[1][at] + s * (h * b.now[2][at] + s * ((3.0 * d - h * (2.0 * b.now[2][at] + b.next[2][at]))
                                                                    + s * (h * (b.now[2][at] + b.next[2][at]) - 2.0 * d)))
                job.x[(lane * job.n + i) * job.n_at + next_at[0]], job.v[(lane * job.n + i) * job.n_at + next_at[0]] = x, v
            if lane >= 0:
                job.saved[lane] = next_at[0] + 1
        next_at[0] += 1
    return 0


cdef void drop(columns_t *b, int64_t k, double t) noexcept nogil:
    """Lanes that are not finite in `next` end."""
    cdef const motions_t *job = b.job
    cdef ptrdiff_t i
    cdef bint good
    cdef int col, j
    for col in range(WIDTH):
        good = True
        for i in range(job.n):
            for j in range(3):
                good = good and b.next[j][i * WIDTH + col] - b.next[j][i * WIDTH + col] == 0.0
        if not good:
            if b.of_lane[col] >= 0:
                retire(b, col, k, t, MF_E_NON_FINITE)
            for i in range(job.n):
                for j in range(job.sizes.n_vec):
                    b.next[j][i * WIDTH + col] = 0.0


cdef int first_acceleration(columns_t *b) noexcept nogil:
    cdef const motions_t *job = b.job
    cdef int status = lanes_accel(job.t0, b.now[0], b.now[1], b.now[2], b.p.n, b)
    b.f.n_rhs = 1
    b.f.n_solve = 0
    if status == 0 and job.m.start != NULL:
        job.m.start(job.m, job.par, 0, b.p.n, b.now)
    b.f.flags = 0
    return status


cdef void run(columns_t *b, int64_t first, int64_t last) noexcept nogil:
    cdef const motions_t *job = b.job
    cdef double t = job.t0, t_next, h
    cdef int64_t k, next_at = 0
    cdef ptrdiff_t i
    cdef int col, j, status
    cdef double *swap
    load(b, first, last)
    if job.n_at > 0 and job.at[0] == t:
        for j in range(2):
            for i in range(job.n * WIDTH):
                b.next[j][i] = b.now[j][i]
        save(b, t - 1.0, t, &next_at)
    status = first_acceleration(b)
    for k in range(job.steps if status == 0 else 0):
        if mf_read(&job.stop):
            status = LANE_WAITING
            break
        h, t_next = job.dt, job.t0 + <double> (k + 1) * job.dt
        if k == job.steps - 1:
            if fabs(t_next - job.t_end) > 4.5e-16 * (fabs(job.t_end) + fabs(job.t0)):
                h = job.t_end - t
            t_next = job.t_end
        b.f.t, b.f.h, b.f.k = t, h, k
        b.f.x0, b.f.x1 = <const double *const *> b.now, <double *const *> b.next
        status = job.m.step(job.m, &b.f)
        if status != 0:
            break
        if not REDUCE.all_finite(b.next[1], b.p.n):    # an x or an a that is not finite makes such a v, here or in the next step
            drop(b, k, t)
        if next_at < job.n_at:
            status = save(b, t, t_next, &next_at)
            if status != 0:
                break
        for j in range(job.sizes.n_vec):
            swap = b.now[j]
            b.now[j], b.next[j] = b.next[j], swap
        t = t_next
    for col in range(WIDTH):
        if b.of_lane[col] >= 0:
            retire(b, col, job.steps if status == 0 else k, t, status)


# ---- for Python -------------------------------------------------------------------------------------------------------------------------

cdef double *numbers(cnp.ndarray a) except? NULL:
    if cnp.PyArray_TYPE(a) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(a):
        raise TypeError(f"batch: expected C-contiguous float64 arrays, got dtype {(<object> a).dtype} and strides {(<object> a).strides}")
    return <double *> cnp.PyArray_DATA(a)


cdef class MotionLanes:
    """Motions from the rows of x0 and v0 (lanes, n), integrated by as many calls of `work` as there are threads.

    function: (address, user data) of a force for lanes, or None. mass, damping, stiffness: (lanes, n) or None. args: (lanes, p) or None.
    t_eval: (m,) or None. All is checked by the caller. Results: x_last, v_last, t_last, x and v (lanes, n, m), code, nfev, nsteps, saved.
    """
    cdef motions_t j
    cdef MethodRecord record
    cdef object keep
    cdef readonly object x_last, v_last, t_last, x, v, code, nfev, nsteps, saved

    def __cinit__(self, MethodRecord record, function, cnp.ndarray x0, cnp.ndarray v0, double t0, double t_end, double dt, int64_t steps, *,
                  dict parameters=None, mass=None, damping=None, stiffness=None, args=None, t_eval=None, bint velocity_free=False):
        cdef motions_t *j = &self.j
        self.record = record
        j.m = record.m
        j.par = record.parameters(parameters or {})
        mf_sizes_of(record.m, j.par, &j.sizes)
        if not record.m.flags & MF_SECOND_ORDER or j.sizes.n_vec > 8:
            raise ValueError(f"method: expected one of second order, got {record.name}")
        if function is not None:
            j.force, j.ctx = <force_lanes_fn> <size_t> function[0], <void *> <size_t> function[1]
        j.lanes, j.n, j.free_of_v = x0.shape[0], x0.shape[1], velocity_free
        j.t0, j.t_end, j.dt, j.steps = t0, t_end, dt, steps
        j.x0, j.v0 = numbers(x0), numbers(v0)
        j.mass = numbers(mass) if mass is not None else NULL
        j.damping = numbers(damping) if damping is not None else NULL
        j.stiffness = numbers(stiffness) if stiffness is not None else NULL
        lanes, n, m = (<object> x0).shape[0], (<object> x0).shape[1], 0
        if args is not None:
            j.p, j.args = args.shape[1], numbers(args)
        if t_eval is not None:
            m = j.n_at = t_eval.shape[0]
            j.at = numbers(t_eval)
        j.ld = max(<ptrdiff_t> 1, j.n + j.p) * WIDTH
        if j.ld % 512 == 0:
            j.ld += 8
        self.x_last, self.v_last, self.t_last = np.array(x0), np.array(v0), np.full(lanes, t0)
        self.x, self.v = np.full((2, lanes, n, m), np.nan)
        self.code = np.full(lanes, LANE_WAITING, dtype=np.int32)
        self.nfev, self.nsteps, self.saved = np.zeros((3, lanes), dtype=np.int64)
        j.x_last, j.v_last, j.t_last, j.x, j.v = numbers(self.x_last), numbers(self.v_last), numbers(self.t_last), numbers(self.x), numbers(self.v)
        j.code, j.nfev = <int32_t *> cnp.PyArray_DATA(self.code), <int64_t *> cnp.PyArray_DATA(self.nfev)
        j.nsteps, j.saved = <int64_t *> cnp.PyArray_DATA(self.nsteps), <int64_t *> cnp.PyArray_DATA(self.saved)
        self.keep = (x0, v0, mass, damping, stiffness, args, t_eval, function)

    def __dealloc__(self):
        free(self.j.par)

    def work(self):
        """Integrates blocks until none is left, without the GIL. Call it from several threads at once, one call a thread."""
        cdef columns_t block
        cdef unsigned int mode
        cdef int64_t first
        cdef int status
        with nogil:
            mode = mf_fp_enter()
            status = make(&block, &self.j)
            while status == 0 and not mf_read(&self.j.stop):
                first = mf_next(&self.j.begun) * WIDTH
                if first >= self.j.lanes:
                    break
                run(&block, first, min(first + WIDTH, self.j.lanes))
            free(block.memory)
            mf_fp_leave(mode)
        if status != 0:
            raise MemoryError(f"no memory for a block of lanes with {self.j.n} components")

    def stop(self):
        """`work` returns soon, in every thread."""
        self.j.stop = 1
