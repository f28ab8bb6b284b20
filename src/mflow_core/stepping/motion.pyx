"""Second-order runs: x'' = a(t, x, v), whose visible vectors are x, v and a.

The run fills a before the first step, and after an event has moved the state, so that what is saved and what the energies are made of is
there from the start; what a method carries besides follows from it (the method's `start`). Under error control the estimates of x and v count
alike, each in units of its own tolerance:

    err^2 = (sum (e_x / tol_x)^2 + sum (e_v / tol_v)^2) / (2 n)
"""
from libc.math cimport fabs, sqrt
from libc.string cimport memset

from mflow_core.arithmetic.control cimport control_t, error_sum as short_error_sum, first_step_of, not_finite_at, trial_step_of
from mflow_core.arithmetic.vec cimport MF_SHORT, mf_fp_enter, mf_fp_leave
from mflow_core.registry cimport REDUCE
from mflow_core.types cimport MF_E_ARGUMENT, MF_E_CALLBACK, MF_E_NON_FINITE, MF_FRESH


cdef int acceleration(run_t *r, double t, const double *x, const double *v, double *a) noexcept nogil:
    """a = M^-1 F(t, x, v); MF_E_NON_FINITE where it is not finite."""
    cdef int status = MF_E_CALLBACK
    if r.p.accel != NULL:
        r.f.n_rhs += 1
        status = r.p.accel(t, x, v, a, r.n, r.p.ctx)
    elif r.p.solve_accel != NULL:
        r.f.n_solve += 1
        memset(a, 0, r.n * sizeof(double))
        status = r.p.solve_accel(t, 1.0, x, v, 0.0, 0.0, NULL, a, r.n, r.p.ctx)
    if status == 0 and not REDUCE.all_finite(a, r.n):
        return MF_E_NON_FINITE
    return status


cdef int motion_start(run_t *r) noexcept nogil:
    """a, and what is carried with it, where a step has not left it (MF_FRESH)."""
    cdef int status
    if not r.f.flags & MF_FRESH:
        return 0
    status = acceleration(r, r.t, r.now[0], r.now[1], r.now[2])
    if status != 0:
        return status
    if r.m.start != NULL:
        r.m.start(r.m, r.par, 0, r.n, r.now)
    memset(r.s_now, 0, r.sizes.n_scal * sizeof(double))
    r.f.flags = r.f.flags & ~MF_FRESH
    return 0


# ---- error control ----------------------------------------------------------------------------------------------------------------------

cdef double sum_of(const run_t *r, const control_t *c, const double *e, const double *y0, const double *y1) noexcept nogil:
    return short_error_sum(c, e, y0, y1, r.n) if r.n <= MF_SHORT else REDUCE.error_sum(c, e, y0, y1, r.n)


cdef double pair_size(const run_t *r, const double *of_x, const double *of_v) noexcept nogil:
    """Root mean square of two vectors in units of the tolerances at the start of the step."""
    return sqrt((sum_of(r, &r.c, of_x, r.now[0], r.now[0]) + sum_of(r, &r.of_v, of_v, r.now[1], r.now[1])) / (2.0 * <double> r.n))


cdef double motion_error(run_t *r) noexcept nogil:
    """Square of the step's error in units of the tolerance."""
    if r.n == 0:
        return 0.0
    return (sum_of(r, &r.c, r.err, r.now[0], r.next[0]) + sum_of(r, &r.of_v, r.err + r.ld, r.now[1], r.next[1])) / (2.0 * <double> r.n)


cdef int choose_first_step(run_t *r, double t_end) noexcept nogil:
    """r.c.h by an explicit Euler trial, as for first-order runs; `next` and `err` are scratch."""
    cdef double span = fabs(t_end - r.t), sign = 1.0 if t_end >= r.t else -1.0, h0, h, d0, d1
    cdef double *change_x = r.err
    cdef double *change_v = r.err + r.ld
    cdef ptrdiff_t i
    cdef int status
    cdef int _try
    d0 = pair_size(r, r.now[0], r.now[1])
    d1 = pair_size(r, r.now[1], r.now[2])
    h0 = min(min(trial_step_of(d0, d1), span), r.c.max_step)
    h = h0
    for _try in range(8):
        for i in range(r.n):
            r.next[0][i] = r.now[0][i] + sign * h0 * r.now[1][i]
            r.next[1][i] = r.now[1][i] + sign * h0 * r.now[2][i]
        status = acceleration(r, r.t + sign * h0, r.next[0], r.next[1], r.next[2])
        if status < 0 and status != MF_E_NON_FINITE:
            return status
        if status == 0:
            for i in range(r.n):
                change_x[i] = r.next[1][i] - r.now[1][i]
                change_v[i] = r.next[2][i] - r.now[2][i]
            h = first_step_of(d0, d1, pair_size(r, change_x, change_v) / h0, h0, r.c.q)
            break
        if status == MF_E_NON_FINITE:
            not_finite_at(&r.c, h0)
        h0 = 1e-2 * h0                       # the trial left the domain: nearer
        h = h0
    r.c.h = sign * min(min(h, span), r.c.max_step)
    return 0


cdef int motion_begin(run_t *r, double t_end, double first_step) noexcept nogil:
    """Before the first step under error control: a, and the first step (0: estimated here)."""
    cdef unsigned int mode
    cdef int status
    if r.err == NULL:
        return MF_E_ARGUMENT
    mode = mf_fp_enter()
    status = motion_start(r)
    if first_step != 0.0 or r.n == 0:
        r.c.h = t_end - r.t if first_step == 0.0 else first_step
    elif status == 0:
        status = choose_first_step(r, t_end)
    mf_fp_leave(mode)
    return status
