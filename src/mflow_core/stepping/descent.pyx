"""Descent: an optimizer, an integrator along gradient flow, or a second-order method with friction, until the gradient is small.

The gradient at x_k is evaluated once: it is tested, kept with its point as the last good pair, and handed to the step as its first slope.
"""
from libc.math cimport INFINITY, NAN
from libc.string cimport memcpy

from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.registry cimport REDUCE
from mflow_core.stepping.motion cimport motion_start
from mflow_core.stepping.run cimport RHO_DUE, accept, rho_is_due, try_step
from mflow_core.types cimport MF_E_NON_FINITE, MF_SECOND_ORDER


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


cdef int descend_once(run_t *r, double gtol, bint want_value, bint move, double alarm) noexcept nogil:
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
    if r.gmax > alarm:
        return ALARM
    if r.m.update != NULL:
        status = r.m.update(r.m, r.coef, 1.0, 0, r.n, r.now, r.grad)
        if status == 0 and not REDUCE.all_finite(r.now[0], r.n):
            status = MF_E_NON_FINITE
        if status != 0:
            return status
        r.s_now, r.s_next = r.s_next, r.s_now
        r.k += 1
        return 0
    if rho_is_due(r):
        return RHO_DUE
    if r.m.flags & MF_SECOND_ORDER:
        status = motion_start(r)
        if status != 0:
            return status
    r.flow.at, r.flow.known = r.now[0], r.grad
    status = try_step(r, r.dt)
    r.flow.known = NULL
    if status == 0:
        accept(r, r.t_base + <double> (r.k + 1 - r.k_base) * r.dt)
    return status


cdef int run_descend(run_t *r, int64_t count, double gtol, bint want_value, double alarm) noexcept nogil:
    """Up to `count` iterations, each with its gradient test first; count 0 evaluates and tests where the run stands."""
    cdef unsigned int mode = mf_fp_enter()
    cdef int64_t _i
    cdef int status = 0
    if count == 0:
        status = descend_once(r, gtol, want_value, False, alarm)
    for _i in range(count):
        status = descend_once(r, gtol, want_value, True, alarm)
        if status != 0:
            break
    mf_fp_leave(mode)
    return status
