"""The run: owns the buffers of one integration or descent, and the loops over steps that need no Python.

A step maps `now` to `next`; accepting it swaps the two, rejecting it does nothing, so the last good state is always there. Fixed
steps take their times from the step index, t = t_base + (k - k_base) dt, so that no error piles up in t. A run that is entered twice
(from its own callback, or by a second thread) meets an owner flag and says MF_E_BUSY. Nothing here allocates while it steps.
"""
from libc.math cimport INFINITY, NAN, fabs
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from mflow_core.owner cimport mf_give, mf_take
from mflow_core.registry cimport REDUCE, mf_sizes_of
from mflow_core.types cimport (MF_E_ARGUMENT, MF_E_BUSY, MF_E_CALLBACK, MF_E_KIND, MF_E_MEMORY, MF_E_NON_FINITE, MF_FRESH,
                               MF_IMPLICIT, MF_SECOND_ORDER, mf_new_frame, mf_new_problem)
from mflow_core.vec cimport MF_SHORT, mf_fp_enter, mf_fp_leave, mf_scalar


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
    if status[0] == 0 and (n < 0 or p.size < sizeof(mf_problem)):
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

cdef inline bint short_finite(const double *x, ptrdiff_t n) noexcept nogil:
    # For a few numbers the call alone would cost more; scalar, because they have just been stored number by number.
    cdef double sum = 0.0
    cdef ptrdiff_t i
    for i in range(n):
        sum = mf_scalar(sum + (x[i] - x[i]))
    return sum == 0.0


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
            if not (short_finite(r.next[j], r.n) if r.n <= MF_SHORT else REDUCE.all_finite(r.next[j], r.n)):
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
            if fabs(t_next - t_last) > 4.5e-16 * (fabs(t_last) + fabs(r.t_base)):
                h = t_last - r.t             # else the grid ends there, and only rounding has moved it: the step is a whole one
            t_next = t_last
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
    """The gradient at x_k, the test, and (move) the step to x_(k+1). CONVERGED, or why not. r.good: the last good point."""
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
        return CONVERGED
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
    cdef int64_t _i
    cdef int status = 0
    if count == 0:
        status = descend_once(r, gtol, want_value, False)
    for _i in range(count):
        status = descend_once(r, gtol, want_value, True)
        if status != 0:
            break
    mf_fp_leave(mode)
    return status
