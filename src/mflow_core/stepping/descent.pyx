"""Descent: an optimizer, an integrator along gradient flow, or a second-order method with friction, until the gradient is small.

The gradient at x_k is evaluated once: it is tested, kept with its point as the last good pair, and handed to the step as its first slope.

A method that looks ahead takes its gradient elsewhere, at the point that `ask` names. The last good point is x_k all the same, and the
descent converges only where the gradient at x_k is small, too: it is evaluated there once that ahead is.

With bounds the step of an optimizer is projected onto them, and so is the gradient that is tested.
"""
from libc.math cimport INFINITY, NAN, fabs
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy, memset

from mflow_core.arithmetic.dot cimport dot_and_square
from mflow_core.arithmetic.vec cimport MF_WILD, mf_fp_enter, mf_fp_leave
from mflow_core.registry cimport REDUCE
from mflow_core.stepping.motion cimport motion_start
from mflow_core.stepping.run cimport RHO_DUE, accept, rho_is_due, run_ready, try_step
from mflow_core.stepping.pieces cimport update_all
from mflow_core.types cimport MF_E_MEMORY, MF_E_NON_FINITE, MF_E_SOLVE, MF_IMPLICIT, MF_SECOND_ORDER, mf_method


cdef double HIGHER = 1e-6                # of the costs, which rounding and noise may hide
cdef double _one = 1.0
cdef double *_at_one[MAX_VECTORS]        # the point and its vectors, one number each
cdef int _j
for _j in range(MAX_VECTORS):
    _at_one[_j] = &_one


cdef bint asks_ahead(const mf_method *m, int n_vec, const double *coef) noexcept nogil:
    """Whether the method takes its gradient elsewhere with these coefficients: where x and all its vectors are 1, `ask` names another.

    One of more vectors than an optimizer may have is asked as if it did.
    """
    cdef double at = 1.0
    if n_vec > MAX_VECTORS:
        return True
    m.ask(m, coef, 0, 1, <const double *const *> _at_one, &at)
    return at != 1.0


cdef bint is_ahead(const run_t *r, const double *at) noexcept nogil:
    """Whether the gradient was taken at another point than x_k: a velocity of 0 leads nowhere."""
    cdef ptrdiff_t i
    for i in range(r.n):
        if at[i] != r.now[0][i]:
            return True
    return False


cdef bint lies_higher(const run_t *r) noexcept nogil:
    """Whether a proximal step has led to a root of its equation that is not the one asked for: f(z) + |z - c|^2/(2 dt) is above f(c)."""
    cdef double way = 0.0
    cdef ptrdiff_t i
    if r.m.stages != 1 or not r.m.flags & MF_IMPLICIT or r.m.flags & MF_SECOND_ORDER or r.k == 0 or not r.good_value < INFINITY:
        return False
    for i in range(r.n):
        way += (r.now[0][i] - r.good[i]) * (r.now[0][i] - r.good[i])
    return r.value + way / (2.0 * r.dt) > r.good_value + HIGHER * (fabs(r.value) + fabs(r.good_value))


cdef double largest_entry(const run_t *r, const double *x, const double *g) noexcept nogil:
    """The largest entry of a gradient; with bounds, of x - clip(x - g), without the rounding of x."""
    cdef double most = REDUCE.max_abs(g, r.n), part, room
    cdef ptrdiff_t i
    if r.lower == NULL or not most < INFINITY:
        return most
    most = 0.0
    for i in range(r.n):
        room = x[i] - r.upper[i] if g[i] < 0.0 else x[i] - r.lower[i]
        part = fabs(room) if fabs(room) < fabs(g[i]) else fabs(g[i])
        most = part if part > most else most
    return most


cdef void project(const run_t *r, double *x) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(r.n):
        x[i] = r.lower[i] if x[i] < r.lower[i] else (r.upper[i] if x[i] > r.upper[i] else x[i])


cdef int gradient_here(run_t *r, const double *at, bint want_value) noexcept nogil:
    """r.grad (and r.value) at a point; r.gmax is its largest entry, NaN or infinite where the gradient is."""
    cdef int status
    r.value = NAN
    status = r.inner.value_grad(at, &r.value if want_value else NULL, r.grad, r.n, r.inner.ctx)
    r.n_value_grad += 1
    if status != 0:
        return status
    r.gmax = largest_entry(r, at, r.grad)
    if not r.gmax < INFINITY or (want_value and not (r.value - r.value == 0.0)):
        return MF_E_NON_FINITE
    if want_value and lies_higher(r):
        r.now, r.next = r.next, r.now                # the step is not taken
        r.k -= 1
        r.t = r.t_base + <double> (r.k - r.k_base) * r.dt
        return MF_E_SOLVE
    memcpy(r.good, r.now[0], r.n * sizeof(double))
    memcpy(r.good_grad, r.grad, r.n * sizeof(double))
    r.good_value, r.good_gmax = r.value, r.gmax
    r.good_ahead = at != r.now[0] and is_ahead(r, at)
    if r.first_gmax != r.first_gmax:
        r.first_gmax = r.gmax
    return 0


cdef int converged_behind(run_t *r, double gtol, bint want_value) noexcept nogil:
    """The gradient is small ahead: is it so at x_k? CONVERGED, then the good gradient and value are those of x_k; 0: not yet."""
    cdef double value = NAN, gmax
    cdef int status = r.inner.value_grad(r.now[0], &value if want_value else NULL, r.good_grad, r.n, r.inner.ctx)
    r.n_value_grad += 1
    if status != 0:
        return status
    gmax = largest_entry(r, r.now[0], r.good_grad)
    if gmax <= gtol and not (want_value and value - value != 0.0):
        r.value = r.good_value = value
        r.gmax = r.good_gmax = gmax
        r.good_ahead = False
        return CONVERGED
    memcpy(r.good_grad, r.grad, r.n * sizeof(double))
    return 0


cdef bint carries_finite(const run_t *r) noexcept nogil:
    """Whether the vectors that the method carries are finite."""
    cdef int j
    for j in range(1, r.sizes.n_vec):
        if not REDUCE.all_finite(r.now[j], r.n):
            return False
    return True


cdef int descend_once(run_t *r, double gtol, bint want_value, bint move, double alarm, bint brake) noexcept nogil:
    """The gradient at x_k, the test, and (move) the step to x_(k+1). CONVERGED, or why not. r.good: the last good point.

    brake: a velocity that leads uphill is put to 0 (B. O'Donoghue and E. Candes, Found. Comput. Math. 15 (2015) 715-732, gradient scheme).
    """
    cdef const double *at = r.now[0]
    cdef double square
    cdef int status
    if r.m.update != NULL:
        memcpy(r.s_next, r.s_now, r.sizes.n_scal * sizeof(double))
        status = r.m.begin(r.m, r.par, r.k, r.s_next, r.coef)
        if status == 0 and r.m.ask != NULL and asks_ahead(r.m, r.sizes.n_vec, r.coef):
            status = r.m.ask(r.m, r.coef, 0, r.n, <const double *const *> r.now, r.at)
            at = r.at
            if r.lower != NULL:
                project(r, r.at)
        if status != 0:
            return status
    status = gradient_here(r, at, want_value)
    if status != 0:
        return status
    if r.gmax <= gtol:
        if not r.good_ahead:
            return CONVERGED
        status = converged_behind(r, gtol, want_value)
        if status != 0:
            return status
    if not move:
        return 0
    if r.gmax > alarm:
        return ALARM
    if r.m.update != NULL:
        if brake and r.sizes.n_vec == 2 and dot_and_square(r.now[1], r.grad, r.n, &square) > 0.0:
            memset(r.now[1], 0, r.n * sizeof(double))
        status = update_all(r.m, r.coef, 1.0, r.n, r.now, r.grad)
        if status == 0 and not REDUCE.all_finite(r.now[0], r.n):
            status = MF_E_NON_FINITE
        elif status == 0 and (r.gmax >= MF_WILD or r.lower != NULL) and not carries_finite(r):
            status = OVERFLOWED
        if status != 0:
            return status
        if r.lower != NULL:
            project(r, r.now[0])
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


cdef int run_descend(run_t *r, int64_t count, double gtol, bint want_value, double alarm, bint brake) noexcept nogil:
    """Up to `count` iterations, each with its gradient test first; count 0 evaluates and tests where the run stands."""
    cdef unsigned int mode = mf_fp_enter()
    cdef int64_t _i
    cdef int status = 0
    if not run_ready(r):
        mf_fp_leave(mode)
        return MF_E_MEMORY
    if count == 0:
        status = descend_once(r, gtol, want_value, False, alarm, brake)
    for _i in range(count):
        status = descend_once(r, gtol, want_value, True, alarm, brake)
        if status != 0:
            break
    mf_fp_leave(mode)
    return status
