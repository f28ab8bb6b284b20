"""The run: owns the buffers of one integration or descent, and the loops over steps that need no Python.

A step maps `now` to `next`; accepting it swaps the two, rejecting it does nothing, so the last good state is always there. Fixed
steps take their times from the step index, t = t_base + (k - k_base) dt, so that no error piles up in t. A run that is entered twice
(from its own callback, or by a second thread) meets an owner flag and says MF_E_BUSY. Nothing here allocates while it steps.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport INFINITY, NAN
from libc.stdint cimport uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset, strlen

cimport numpy as cnp

from mflow_core.problem cimport Problem
from mflow_core.registry cimport REDUCE, Row, mf_sizes_of
from mflow_core.types cimport (MF_E_ARGUMENT, MF_E_BUSY, MF_E_CALLBACK, MF_E_DAMAGED, MF_E_KIND, MF_E_MEMORY, MF_E_NON_FINITE, MF_FRESH,
                               MF_IMPLICIT, MF_SECOND_ORDER, mf_new_frame, mf_new_problem)
from mflow_core.vec cimport mf_bits, mf_fp_enter, mf_fp_leave, mf_from_bits

import numpy as np

cnp.import_array()

cdef extern from *:
    """
    #if defined(__GNUC__)
    static inline int mf_take(int *flag) { return !__atomic_exchange_n(flag, 1, __ATOMIC_ACQUIRE); }
    static inline void mf_give(int *flag) { __atomic_store_n(flag, 0, __ATOMIC_RELEASE); }
    #else
    static inline int mf_take(int *flag) { if (*flag) return 0; *flag = 1; return 1; }
    static inline void mf_give(int *flag) { *flag = 0; }
    #endif
    """
    int mf_take(int *) noexcept nogil
    void mf_give(int *) noexcept nogil

cdef extern from "Python.h":
    void *PyErr_Occurred()


# ---- gradient flow --------------------------------------------------------------------------------------------------------------------

cdef int flow_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef flow_t *flow = <flow_t *> ctx
    cdef ptrdiff_t i
    cdef int status
    if flow.known != NULL and y == flow.at:
        memcpy(dydt, flow.known, n * sizeof(double))
        flow.hits += 1
    else:
        status = flow.inner.value_grad(y, NULL, dydt, n, flow.inner.ctx)
        if status != 0:
            return status
    for i in range(n):
        dydt[i] = -dydt[i]
    return 0


# ---- making a run -----------------------------------------------------------------------------------------------------------------------

cdef int check_callbacks(const mf_method *m, const mf_problem *p) noexcept nogil:
    if m.flags & MF_SECOND_ORDER:
        return MF_E_CALLBACK if p.accel == NULL and p.solve_accel == NULL else 0
    if m.update != NULL:
        return MF_E_CALLBACK if p.value_grad == NULL else 0
    if m.step == NULL:
        return MF_E_KIND
    if p.rhs == NULL and p.value_grad == NULL:
        return MF_E_CALLBACK
    return MF_E_CALLBACK if m.flags & MF_IMPLICIT and p.solve == NULL else 0


cdef run_t *run_make(const mf_method *m, const mf_problem *p, const double *par, double t0, double dt, const double *const *y0,
                     int flags, int *status) noexcept nogil:
    cdef run_t *r
    cdef mf_sizes sizes
    cdef ptrdiff_t n = p.n, ld
    cdef int64_t extra, total
    cdef double *at
    cdef int j
    status[0] = mf_sizes_of(m, par, &sizes)
    if status[0] == 0:
        status[0] = check_callbacks(m, p)
    if status[0] == 0 and n < 0:
        status[0] = MF_E_ARGUMENT
    if status[0] != 0:
        return NULL
    ld = (max(n, <ptrdiff_t> 1) + 7) // 8 * 8
    if ld % 512 == 0:
        ld += 8                          # a power of two would put every vector into the same few cache sets
    extra = (2 if flags & RUN_DENSE else 0) + (4 if flags & RUN_DESCEND else 0)
    total = (2 * sizes.n_vec + sizes.n_work + sizes.n_err + sizes.n_dense + extra) * <int64_t> ld + sizes.work_extra
    total += 2 * ((sizes.n_scal + 7) // 8 * 8) + (sizes.n_coef + 7) // 8 * 8 + (m.n_par + 7) // 8 * 8
    r = <run_t *> calloc(1, sizeof(run_t))
    if r != NULL:
        r.block = calloc(total * sizeof(double) + 2 * sizes.n_vec * sizeof(double *) + 64, 1)
    if r == NULL or r.block == NULL:
        free(r)
        status[0] = MF_E_MEMORY
        return NULL
    r.m, r.n, r.ld, r.sizes, r.flags = m, n, ld, sizes, flags
    at = <double *> (((<uintptr_t> r.block) + 63) // 64 * 64)
    r.now = <double **> (at + total)
    r.next = r.now + sizes.n_vec
    r.f = mf_new_frame()
    for j in range(sizes.n_vec):
        r.now[j] = at
        r.next[j] = at + ld
        at += 2 * ld
    r.f.work = at
    at += sizes.n_work * ld
    r.f.err = at if sizes.n_err else NULL
    at += sizes.n_err * ld
    r.f.D = at
    at += sizes.n_dense * ld
    if flags & RUN_DENSE:
        r.slope0, r.slope1 = at, at + ld
        at += 2 * ld
    if flags & RUN_DESCEND:
        r.grad, r.at, r.good, r.good_grad = at, at + ld, at + 2 * ld, at + 3 * ld
        at += 4 * ld
    r.s_now = at
    r.s_next = at + (sizes.n_scal + 7) // 8 * 8
    r.coef = r.s_next + (sizes.n_scal + 7) // 8 * 8
    r.par = r.coef + (sizes.n_coef + 7) // 8 * 8
    if m.n_par:
        memcpy(r.par, par, m.n_par * sizeof(double))
    run_attach(r, p)
    run_set(r, t0, dt, y0)
    return r


cdef void run_attach(run_t *r, const mf_problem *p) noexcept nogil:
    """Takes a problem over; a cost alone becomes its gradient flow where the row wants a right-hand side."""
    r.inner = mf_new_problem()
    memcpy(&r.inner, p, min(<size_t> p.size, sizeof(mf_problem)))
    r.inner.size = sizeof(mf_problem)
    r.p = r.inner
    if r.m.step != NULL and r.inner.value_grad != NULL and r.inner.rhs == NULL:
        r.flow.inner = &r.inner
        r.p.rhs, r.p.ctx = flow_rhs, &r.flow
    r.f.p = &r.p
    r.f.n, r.f.ld, r.f.par = r.n, r.ld, r.par


cdef void run_set(run_t *r, double t0, double dt, const double *const *y0) noexcept nogil:
    """Puts the state at a start: visible vectors given, the others at their first values."""
    cdef int j
    for j in range(r.sizes.n_vec):
        if j < r.sizes.n_vis:
            memcpy(r.now[j], y0[j], r.n * sizeof(double))
        else:
            memset(r.now[j], 0, r.n * sizeof(double))
    if r.m.start != NULL:
        r.m.start(r.m, r.par, 0, r.n, r.now)
    memset(r.s_now, 0, r.sizes.n_scal * sizeof(double))
    r.t = r.t_base = t0
    r.dt, r.k, r.k_base = dt, 0, 0
    r.slope_k = -1
    r.f.flags = MF_FRESH
    r.value = r.gmax = r.good_value = r.good_gmax = r.first_gmax = NAN


cdef void run_release(run_t *r) noexcept nogil:
    if r != NULL:
        free(r.block)
        free(r)


cdef int run_enter(run_t *r) noexcept nogil:
    return 0 if mf_take(&r.owner) else MF_E_BUSY


cdef void run_leave(run_t *r) noexcept nogil:
    mf_give(&r.owner)


# ---- steps ------------------------------------------------------------------------------------------------------------------------------

cdef int try_step(run_t *r, double h) noexcept nogil:
    """now -> next, over h, not accepted. MF_E_NON_FINITE where `next` is not finite."""
    cdef int j, status
    cdef int64_t hits = r.flow.hits
    r.f.t, r.f.h, r.f.k = r.t, h, r.k
    r.f.x0, r.f.x1 = <const double *const *> r.now, <double *const *> r.next
    r.f.s0, r.f.s1 = r.s_now, r.s_next
    status = r.m.step(r.m, &r.f)
    r.f.n_rhs -= r.flow.hits - hits
    if status == 0:
        for j in range(r.sizes.n_vis):
            if not REDUCE.all_finite(r.next[j], r.n):
                return MF_E_NON_FINITE
    return status


cdef void accept(run_t *r, double t) noexcept nogil:
    r.now, r.next = r.next, r.now
    r.s_now, r.s_next = r.s_next, r.s_now
    r.t = t
    r.k += 1
    r.f.flags = r.f.flags & ~MF_FRESH


cdef int hermite(const mf_frame *f, const double *slope0, const double *slope1, double theta, double *y) noexcept nogil:
    """The cubic through both ends of a step with their slopes: error h^4 between them."""
    cdef const double *a = f.x0[0]
    cdef const double *b = f.x1[0]
    cdef double h = f.h, s = theta - 1.0
    cdef ptrdiff_t i
    for i in range(f.n):
        y[i] = ((1.0 - theta) * a[i] + theta * b[i]) + theta * s * (
            (1.0 - 2.0 * theta) * (b[i] - a[i]) + (s * h * slope0[i] + theta * h * slope1[i]))
    return 0


cdef int between(run_t *r, double t_next, double t, double *y) noexcept nogil:
    """State at t inside the step just tried, [r.t, t_next]. Slopes at the ends are made when first wanted, and reused."""
    cdef double *swap
    cdef int status
    if r.slope_k != r.k:
        status = r.p.rhs(r.t, r.now[0], r.slope0, r.n, r.p.ctx)
        r.f.n_rhs += 1
        if status != 0:
            return status
        r.slope_k = r.k
    status = r.p.rhs(t_next, r.next[0], r.slope1, r.n, r.p.ctx)
    r.f.n_rhs += 1
    if status != 0:
        return status
    hermite(&r.f, r.slope0, r.slope1, (t - r.t) / (t_next - r.t), y)
    return 0


cdef int write_between(run_t *r, double t_next, record_t *record) noexcept nogil:
    """The wanted times in (r.t, t_next]."""
    cdef double t, sign = 1.0 if t_next >= r.t else -1.0
    cdef double *y
    cdef bint made = False
    cdef int status
    while record.i_at < record.n_at and (t_next - record.at[record.i_at]) * sign >= 0:
        t = record.at[record.i_at]
        y = record.y + record.rows * r.n
        if t == t_next:
            memcpy(y, r.next[0], r.n * sizeof(double))
        elif made:
            hermite(&r.f, r.slope0, r.slope1, (t - r.t) / (t_next - r.t), y)
        else:
            status = between(r, t_next, t, y)
            if status != 0:
                return status
            made = True
        record.t[record.rows] = t
        record.rows += 1
        record.i_at += 1
    if made:                             # the end of this step is the start of the next
        r.slope0, r.slope1 = r.slope1, r.slope0
        r.slope_k = r.k + 1
    return 0


cdef int run_fixed(run_t *r, int64_t count, double t_last, record_t *record) noexcept nogil:
    """`count` steps of r.dt; where t_last is a number the last of them lands on it. 0, or why it stopped at the last good step."""
    cdef unsigned int mode = mf_fp_enter()
    cdef int64_t i
    cdef double t_next, h
    cdef int status = 0
    for i in range(count):
        h = r.dt
        t_next = r.t_base + <double> (r.k + 1 - r.k_base) * r.dt
        if i == count - 1 and t_last == t_last:
            t_next, h = t_last, t_last - r.t
        status = try_step(r, h)
        if status == 0 and record != NULL and record.n_at > 0:
            status = write_between(r, t_next, record)
        if status != 0:
            break
        if record != NULL and record.every > 0 and ((r.k + 1) % record.every == 0 or (i == count - 1 and t_last == t_last)):
            memcpy(record.y + record.rows * r.n, r.next[0], r.n * sizeof(double))
            record.t[record.rows] = t_next
            record.rows += 1
        accept(r, t_next)
    mf_fp_leave(mode)
    return status


# ---- descent ----------------------------------------------------------------------------------------------------------------------------

cdef int gradient_here(run_t *r, const double *at, bint want_value) noexcept nogil:
    """r.grad (and r.value) at a point; r.gmax is its largest entry, NaN or infinite where the gradient is."""
    cdef int status
    r.value = NAN
    status = r.inner.value_grad(at, &r.value if want_value else NULL, r.grad, r.n, r.inner.ctx)
    r.n_value_grad += 1
    if status != 0:
        return status
    r.gmax = REDUCE.max_abs(r.grad, r.n)
    if not r.gmax < INFINITY or (want_value and not (r.value - r.value == 0.0)):
        return MF_E_NON_FINITE
    memcpy(r.good, at, r.n * sizeof(double))
    memcpy(r.good_grad, r.grad, r.n * sizeof(double))
    r.good_value, r.good_gmax = r.value, r.gmax
    if r.first_gmax != r.first_gmax:
        r.first_gmax = r.gmax
    return 0


cdef int descend_once(run_t *r, double gtol, bint want_value, bint move) noexcept nogil:
    """The gradient at x_k, the test, and (move) the step to x_(k+1). 1: converged. r.good: the last good point."""
    cdef const double *at = r.now[0]
    cdef int status
    if r.m.update != NULL:
        memcpy(r.s_next, r.s_now, r.sizes.n_scal * sizeof(double))
        status = r.m.begin(r.m, r.par, r.k, r.s_next, r.coef)
        if status == 0 and r.m.ask != NULL:
            status = r.m.ask(r.m, r.coef, 0, r.n, <const double *const *> r.now, r.at)
            at = r.at
        if status != 0:
            return status
    status = gradient_here(r, at, want_value)
    if status != 0:
        return status
    if r.gmax <= gtol:
        return 1
    if not move:
        return 0
    if r.m.update != NULL:
        status = r.m.update(r.m, r.coef, 1.0, 0, r.n, r.now, r.grad)
        if status == 0 and not REDUCE.all_finite(r.now[0], r.n):
            status = MF_E_NON_FINITE
        if status != 0:
            return status
        r.s_now, r.s_next = r.s_next, r.s_now
        r.k += 1
        return 0
    r.flow.at, r.flow.known = r.now[0], r.grad
    status = try_step(r, r.dt)
    r.flow.known = NULL
    if status == 0:
        accept(r, r.t_base + <double> (r.k + 1 - r.k_base) * r.dt)
    return status


cdef int run_descend(run_t *r, int64_t count, double gtol, bint want_value) noexcept nogil:
    """Up to `count` iterations, each with its gradient test first; count 0 evaluates and tests where the run stands."""
    cdef unsigned int mode = mf_fp_enter()
    cdef int64_t i
    cdef int status = 0
    if count == 0:
        status = descend_once(r, gtol, want_value, False)
    for i in range(count):
        status = descend_once(r, gtol, want_value, True)
        if status != 0:
            break
    mf_fp_leave(mode)
    return status


# ---- saving ------------------------------------------------------------------------------------------------------------------------------
# "MFLOWRUN", u32 format, u32 flags, i64 n, u32 n_vec, u32 n_scal, u32 n_par, u32 length of the name, name, t, t_base, dt, i64 k,
# i64 k_base, par, scal, vectors, CRC-32 of all before. Little-endian, no padding; NaNs in one form.

cdef uint32_t crc32(const uint8_t *data, int64_t bytes) noexcept nogil:
    cdef uint32_t crc = 0xFFFFFFFFu
    cdef int64_t i
    cdef int j
    for i in range(bytes):
        crc ^= data[i]
        for j in range(8):
            crc = (crc >> 1) ^ (0xEDB88320u & (0 - (crc & 1)))
    return crc ^ 0xFFFFFFFFu


cdef inline void put(uint8_t **at, uint64_t value, int bytes) noexcept nogil:
    cdef int j
    for j in range(bytes):
        at[0][0] = <uint8_t> (value >> (8 * j))
        at[0] += 1


cdef inline uint64_t get(const uint8_t **at, int bytes) noexcept nogil:
    cdef uint64_t value = 0
    cdef int j
    for j in range(bytes):
        value |= (<uint64_t> at[0][0]) << (8 * j)
        at[0] += 1
    return value


cdef void put_doubles(uint8_t **at, const double *x, ptrdiff_t n) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        put(at, mf_bits(x[i]) if x[i] == x[i] else 0x7FF8000000000000u, 8)


cdef void get_doubles(const uint8_t **at, double *x, ptrdiff_t n) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        x[i] = mf_from_bits(get(at, 8))


cdef int64_t packed_size(const run_t *r) noexcept nogil:
    return 40 + <int64_t> strlen(r.m.name) + 40 + 8 * (r.m.n_par + r.sizes.n_scal + <int64_t> r.sizes.n_vec * r.n) + 4


cdef int run_pack(const run_t *r, void *buffer, int64_t room, int64_t *bytes) noexcept nogil:
    cdef uint8_t *at = <uint8_t *> buffer
    cdef size_t length = strlen(r.m.name)
    cdef int j
    bytes[0] = packed_size(r)
    if buffer == NULL:
        return 0
    if room < bytes[0]:
        return MF_E_ARGUMENT
    memcpy(at, b"MFLOWRUN", 8)
    at += 8
    put(&at, 1, 4)
    put(&at, r.f.flags, 4)
    put(&at, r.n, 8)
    put(&at, r.sizes.n_vec, 4)
    put(&at, r.sizes.n_scal, 4)
    put(&at, r.m.n_par, 4)
    put(&at, length, 4)
    memcpy(at, r.m.name, length)
    at += length
    put_doubles(&at, &r.t, 1)
    put_doubles(&at, &r.t_base, 1)
    put_doubles(&at, &r.dt, 1)
    put(&at, r.k, 8)
    put(&at, r.k_base, 8)
    put_doubles(&at, r.par, r.m.n_par)
    put_doubles(&at, r.s_now, r.sizes.n_scal)
    for j in range(r.sizes.n_vec):
        put_doubles(&at, r.now[j], r.n)
    put(&at, crc32(<const uint8_t *> buffer, bytes[0] - 4), 4)
    return 0


cdef int run_unpack(run_t *r, const void *buffer, int64_t bytes) noexcept nogil:
    """All is checked before anything is written."""
    cdef const uint8_t *at = <const uint8_t *> buffer
    cdef const uint8_t *end
    cdef size_t length = strlen(r.m.name)
    cdef uint32_t flags
    cdef int j
    if buffer == NULL or bytes != packed_size(r) or memcmp(at, b"MFLOWRUN", 8) != 0:
        return MF_E_DAMAGED
    end = at + bytes - 4
    if get(&end, 4) != crc32(at, bytes - 4):
        return MF_E_DAMAGED
    at += 8
    if get(&at, 4) != 1:
        return MF_E_DAMAGED
    flags = <uint32_t> get(&at, 4)
    if <int64_t> get(&at, 8) != r.n or get(&at, 4) != <uint64_t> r.sizes.n_vec or get(&at, 4) != <uint64_t> r.sizes.n_scal:
        return MF_E_DAMAGED
    if get(&at, 4) != <uint64_t> r.m.n_par or get(&at, 4) != length or memcmp(at, r.m.name, length) != 0:
        return MF_E_DAMAGED
    at += length
    r.f.flags = flags
    get_doubles(&at, &r.t, 1)
    get_doubles(&at, &r.t_base, 1)
    get_doubles(&at, &r.dt, 1)
    r.k = <int64_t> get(&at, 8)
    r.k_base = <int64_t> get(&at, 8)
    r.slope_k = -1
    get_doubles(&at, r.par, r.m.n_par)
    get_doubles(&at, r.s_now, r.sizes.n_scal)
    for j in range(r.sizes.n_vec):
        get_doubles(&at, r.now[j], r.n)
    return 0


NON_FINITE = MF_E_NON_FINITE


# ---- the run as Python sees it ------------------------------------------------------------------------------------------------------------

cdef int raise_or(int status) except? -1:
    """The status, unless a callback's exception is waiting."""
    if status < 0 and PyErr_Occurred() != NULL:
        return -1
    if status == MF_E_BUSY:
        raise RuntimeError("this run is already stepping, in another thread or from its own callback: give each its own")
    return status


cdef class Run:
    """A row on a problem from a start, stepped in place. The drivers and `mflow.Stepper` are made of it.

    y0 is a float64 C-contiguous array (its shape is the state's), `parameters` the row's own by name.
    """

    def __cinit__(self, Row row, Problem problem, cnp.ndarray y0, double t0=0.0, double dt=NAN, dict parameters=None,
                  bint dense=False, bint descend=False):
        cdef double *par
        cdef int status = 0
        cdef const double *start[8]
        cdef int j
        if cnp.PyArray_TYPE(y0) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(y0):
            raise TypeError("y0: a C-contiguous float64 array is wanted")
        if cnp.PyArray_SIZE(y0) != problem.c.n:
            raise ValueError(f"y0 has {cnp.PyArray_SIZE(y0)} components, the problem {problem.c.n}")
        self.row, self.problem, self.shape = row, problem, (<object> y0).shape
        par = row.parameters(parameters or {})
        for j in range(8):
            start[j] = <double *> cnp.PyArray_DATA(y0)
        self.r = run_make(row.m, &problem.c, par, t0, dt, start, (RUN_DENSE if dense else 0) | (RUN_DESCEND if descend else 0), &status)
        free(par)
        if self.r == NULL:
            if status == MF_E_MEMORY:
                raise MemoryError(f"no memory for {row.name} with {problem.c.n} components")
            if status == MF_E_CALLBACK:
                raise TypeError(f"{row.name} needs another callback than this problem gives")
            raise ValueError(f"{row.name} cannot be run on this problem (code {status})")

    def __dealloc__(self):
        run_release(self.r)

    @property
    def t(self):
        return self.r.t

    @property
    def k(self):
        """Steps taken since the start."""
        return self.r.k

    @property
    def y(self):
        """A copy of the state."""
        return self.vector(0)

    @property
    def nfev(self):
        """Evaluations of the right-hand side; for a cost, of the cost, or of its gradient where that is all there is."""
        if self.problem.callback is None or self.problem.c.value_grad == NULL:
            return self.r.f.n_rhs + self.r.n_value_grad
        return self.problem.callback.nfev if self.problem.has_value else self.problem.callback.njev

    @property
    def njev(self):
        """Evaluations of a cost's gradient."""
        if self.problem.callback is None:
            return self.r.f.n_rhs + self.r.n_value_grad
        return self.problem.callback.njev

    @property
    def value(self):
        """The cost at the last good point of a descent; NaN where it was not asked for."""
        return self.r.good_value

    @property
    def largest_slope(self):
        """The largest entry of the gradient: at the first good point, and at the last."""
        return self.r.first_gmax, self.r.good_gmax

    def vector(self, int j):
        """A copy of the j-th carried vector."""
        if not 0 <= j < self.r.sizes.n_vec:
            raise IndexError(j)
        return copy_of(self.r.now[j], self.r.n, self.shape)

    def here(self):
        """(point, gradient) of the last good evaluation of a descent."""
        return copy_of(self.r.good, self.r.n, self.shape), copy_of(self.r.good_grad, self.r.n, self.shape)

    def evaluate(self, cnp.ndarray x, bint want_grad=True):
        """(cost, gradient) at a float64 array of the state's size; NaNs in place of a gradient that is not wanted."""
        cdef double value = NAN
        grad = np.full(self.shape, np.nan)
        cdef double *out = <double *> cnp.PyArray_DATA(<cnp.ndarray> grad)
        at = np.ascontiguousarray(x, dtype=np.float64)
        self.r.n_value_grad += 1
        raise_or(self.r.inner.value_grad(<double *> cnp.PyArray_DATA(<cnp.ndarray> at), &value if self.problem.has_value else NULL,
                                         out if want_grad else NULL, self.r.n, self.r.inner.ctx))
        return value, grad

    def slope(self, double t, cnp.ndarray y):
        """The right-hand side at a float64 array of the state's size; for a cost, of its gradient flow."""
        out = np.full(self.shape, np.nan)
        at = np.ascontiguousarray(y, dtype=np.float64)
        self.r.f.n_rhs += 1
        raise_or(self.r.p.rhs(t, <double *> cnp.PyArray_DATA(<cnp.ndarray> at), <double *> cnp.PyArray_DATA(<cnp.ndarray> out),
                              self.r.n, self.r.p.ctx))
        return out

    def trial(self, double h):
        """The state that one step of h leads to, finite or not; the run stays where it is."""
        raise_or(run_enter(self.r))
        try:
            raise_or(try_step(self.r, h))
        finally:
            run_leave(self.r)
        return copy_of(self.r.next[0], self.r.n, self.shape)

    def set_dt(self, double dt):
        """The step of the fixed loops from here on: t counts anew from where the run stands."""
        if dt != self.r.dt:
            self.r.dt, self.r.t_base, self.r.k_base = dt, self.r.t, self.r.k

    def set_parameter(self, str name, double value):
        """Changes one parameter of the row (a schedule's learning rate) from the next step on."""
        cdef double *par = self.row.parameters({name: value})
        cdef int j
        for j in range(self.row.m.n_par):
            if self.row.m.par[j].name.decode() == name:
                self.r.par[j] = par[j]
        free(par)

    def fixed(self, int64_t count, double t_last=NAN, int64_t every=0, cnp.ndarray y=None, cnp.ndarray t=None, cnp.ndarray at=None,
              int64_t first=0):
        """(status, rows written) of `count` fixed steps; every k-th state, or those at the times `at`, goes into y and t, from row 0 on.

        first: how many of `at` are done already.
        """
        cdef record_t record
        cdef int status
        memset(&record, 0, sizeof(record))
        if y is not None:
            record.y, record.t = <double *> cnp.PyArray_DATA(y), <double *> cnp.PyArray_DATA(t)
            record.every = every
            if at is not None:
                record.every = 0
                record.at, record.n_at, record.i_at = <double *> cnp.PyArray_DATA(at), cnp.PyArray_SIZE(at), first
        raise_or(run_enter(self.r))
        try:
            if self.problem.compiled:
                with nogil:
                    status = run_fixed(self.r, count, t_last, &record)
            else:
                status = run_fixed(self.r, count, t_last, &record)
            raise_or(status)
        finally:
            run_leave(self.r)
            self.keep = record.rows      # for the driver, where an exception takes the place of the result
        return status, record.rows

    @property
    def rows_written(self):
        return self.keep

    def step(self, double dt):
        """One step of dt; the status."""
        self.set_dt(dt)
        return self.fixed(1)[0]

    def descend(self, int64_t count, double gtol, bint want_value):
        """The status of up to `count` iterations: 1 converged, 0 not yet, < 0 why not."""
        cdef int status
        raise_or(run_enter(self.r))
        try:
            if self.problem.compiled:
                with nogil:
                    status = run_descend(self.r, count, gtol, want_value)
            else:
                status = run_descend(self.r, count, gtol, want_value)
            return raise_or(status)
        finally:
            run_leave(self.r)

    def pack(self):
        """The state as bytes: what `unpack` needs to go on with the same bits."""
        cdef int64_t bytes = 0
        run_pack(self.r, NULL, 0, &bytes)
        out = PyBytes_FromStringAndSize(NULL, bytes)
        run_pack(self.r, PyBytes_AS_STRING(out), bytes, &bytes)
        return out

    def unpack(self, bytes data):
        """Puts the run where `pack` was called. Raises ValueError, and changes nothing, if the bytes are damaged or foreign."""
        if run_unpack(self.r, PyBytes_AS_STRING(data), len(data)) < 0:
            raise ValueError(f"saved state: damaged, or not of {self.row.name} with {self.r.n} components")


cdef copy_of(const double *x, ptrdiff_t n, tuple shape):
    out = np.empty(shape)
    memcpy(<double *> cnp.PyArray_DATA(<cnp.ndarray> out), x, n * sizeof(double))
    return out
