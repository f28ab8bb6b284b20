"""Methods with one acceleration a step: M x'' = F(t, x, v), by the callbacks accel (a = M^-1 F) and solve_accel (implicit in a) of the problem.

Every method carries x, v and a, all visible. a belongs to the end of the step, where it is M^-1 F(t, x, v) unless the doc of the method
says otherwise, and the next step begins with it: explicit methods call `accel` once a step, implicit ones call `solve_accel` once. With
MF_FRESH, a and the vectors after it are not filled, and the kernel computes them. Most methods are cases of

    x+ = x + dt v + dt^2 ((1/2 - beta) a + beta a+),    v+ = v + dt ((1 - gamma) a + gamma a+)
    (1 - am) a+ + am a = (1 - af) phi+ + af phi,         phi = M^-1 F

and `begin` writes beta, gamma, am and af for given parameters (n_coef = 4; 0 if there are none), for kernels and for the ledger.

During the solve for the acceleration, x1[0] and x1[1] hold the predictors and x1[2] a guess. x1 may be x0: then these are in `work`, or
no vector is read again after it is written. If the problem sets MF_VELOCITY_FREE, F does not depend on v: equations that are implicit
only in v are explicit, and `accel` is enough.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from mflow_core.methods.second_order.hooks cimport advance_and_tell, constrained, ended, moved, tells
from mflow_core.methods.second_order.passes cimport (add, advance, advance_all, advance_looked_at, advance_v, correct, drift_looked_at, guess,
                                                     half_drift, kick_drift, kick_looked_at, looks, predict, taylor)
from mflow_core.methods.second_order.plain cimport is_plain, plain_newmark, plain_verlet
from mflow_core.methods.second_order.records cimport IN_PLACE, acceleration, choice, in_place, new_record, real, solve, start, step_before
from mflow_core.methods.tableau cimport NO_STEPS, mf_step_apart, records_t, steps_t
from mflow_core.types cimport (MF_EMBEDDED, MF_FRESH, MF_IMPLICIT, MF_SYMPLECTIC, MF_VELOCITY_FREE, mf_begin_fn, mf_frame, mf_method,
                               mf_sizes, mf_sizes_fn, mf_step_fn)

cdef enum:                               # choices of `damping`: symplectic_euler, velocity_verlet, staggered
    SYMPLECTIC_IMPLICIT = 1
    VERLET_EXPLICIT = 1
    STAGGERED_TRAPEZOIDAL = 0
    STAGGERED_BACKWARD = 1
    STAGGERED_EXPLICIT = 2

    BETA = 0                             # the coefficients that `begin` writes
    GAMMA = 1
    AM = 2
    AF = 3


# ---- Euler's family ------------------------------------------------------------------------------------------------------------------

cdef int forward_step(const mf_method *m, mf_frame *f) noexcept nogil:
    """x + dt v, v + dt a, both from the start of the step."""
    cdef const double *a
    cdef int status = start(f, f.work, &a)
    if status != 0:
        return status
    taylor(f.n, f.x0[0], f.x0[1], a, f.x1[0], f.x1[1], f.h, 0.0, f.h)
    return acceleration(f, f.t + f.h, f.x1[0], f.x1[1], f.x1[2])


cdef int symplectic_step(const mf_method *m, mf_frame *f) noexcept nogil:
    """v first, then x with the new v. Implicit: v+ = v + dt a(t, x, v+), and this a is carried."""
    cdef const double *a
    cdef ptrdiff_t n = f.n
    cdef int status
    if f.par[0] == SYMPLECTIC_IMPLICIT:
        if f.flags & MF_FRESH:
            memset(f.x1[2], 0, n * sizeof(double))
        else:
            guess(n, f.x0[2], f.x1[2])
        status = solve(f, f.t, 1.0, f.x0[0], f.x0[1], 0.0, f.h, NULL, f.x1[2])
        if status == 0:
            kick_drift(n, f.x0[0], f.x0[1], f.x1[2], f.x1[0], f.x1[1], f.h, f.h)
        return status
    status = start(f, f.work, &a)
    if status != 0:
        return status
    kick_drift(n, f.x0[0], f.x0[1], a, f.x1[0], f.x1[1], f.h, f.h)
    return acceleration(f, f.t + f.h, f.x1[0], f.x1[1], f.x1[2])


# ---- Newmark -------------------------------------------------------------------------------------------------------------------------

cdef int newmark_one(mf_frame *f, int64_t count, double t_base, int64_t done) noexcept nogil:
    """`count` steps of one degree of freedom, implicit in x, with a carried a and no error: the arithmetic of `newmark_many`, in registers.

    The first step begins at f.t, the others on the grid t_base + k h, where k is `done` for the first.
    """
    cdef double x = f.x0[0][0], v = f.x0[1][0], a = f.x0[2][0], t = f.t, h = f.h, beta = f.par[BETA], gamma = f.par[GAMMA]
    cdef double cx = (0.5 - beta) * (h * h), cv = (1.0 - gamma) * h, bx = beta * (h * h), bv = gamma * h, dx, dv, xp, vp
    cdef int64_t i
    cdef int status
    for i in range(count):
        dx, dv = h * v + cx * a, cv * a
        xp, vp = x + dx, v + dv
        f.n_solve += 1
        status = f.p.solve_accel(t + h, 1.0, &xp, &vp, bx, bv, NULL, &a, 1, f.p.ctx)
        if status != 0:
            return status
        x, v = x + (dx + bx * a), v + (dv + bv * a)
        t = t_base + <double> (done + i + 1) * h
    f.x1[0][0], f.x1[1][0], f.x1[2][0] = x, v, a
    f.s1[0] = 0.0
    return 0


cdef int newmark_step(const mf_method *m, mf_frame *f) noexcept nogil:
    """The method `newmark`; beta and gamma are its parameters."""
    if f.err == NULL and not f.flags & MF_FRESH and f.par[BETA] > 0.0 and f.p.solve_accel != NULL:
        if f.n == 1:
            return newmark_one(f, 1, f.t, f.k)
        if is_plain(f) and not in_place(f):
            return plain_newmark(f, f.par[BETA], f.par[GAMMA])
    return mf_step_apart(newmark_many, m, f)


cdef int newmark_steps(const mf_method *m, mf_frame *f, int64_t count, double t_base, int64_t done) noexcept nogil:
    """`count` steps of `newmark_step` at once, in place."""
    return newmark_one(f, count, t_base, done) if f.par[BETA] > 0.0 and f.p.solve_accel != NULL else NO_STEPS


cdef int newmark_many(const mf_method *m, mf_frame *f) noexcept nogil:
    """Newmark, central differences and constant acceleration: `begin` of the method gives beta and gamma."""
    cdef double[4] c
    cdef const double *a
    cdef bint place = in_place(f), with_error = f.err != NULL and m.sizes.n_err > 0
    cdef double *xp = f.work + f.ld if place else f.x1[0]
    cdef double *vp = f.work + 2 * f.ld if place else f.x1[1]
    cdef double *a1 = f.work + 3 * f.ld if place else f.x1[2]
    cdef double h = f.h, cx, cv, bx, bv, h_before = 0.0
    cdef int status = start(f, f.work, &a)
    if status != 0:
        return status
    if m.begin == newmark_begin:
        c[BETA], c[GAMMA] = f.par[BETA], f.par[GAMMA]
    else:
        m.begin(m, f.par, 0, NULL, c)
    cx, cv = (0.5 - c[BETA]) * (h * h), (1.0 - c[GAMMA]) * h
    bx, bv = c[BETA] * (h * h), c[GAMMA] * h
    if m.sizes.n_scal:
        h_before = step_before(f)
    predict(f.n, f.x0[0], f.x0[1], a, xp, vp, a1, h, cx, cv)
    status = solve(f, f.t + h, 1.0, xp, vp, bx, bv, NULL, a1)
    if status == 0 and with_error:
        status = estimate(f, c, a, a1, h_before)
    if status != 0:
        return status
    if tells(f):
        advance_and_tell(f, a, a1, cx, cv, bx, bv, NULL)
    elif bx == 0.0:
        if place:
            memcpy(f.x1[0], xp, f.n * sizeof(double))
        advance_v(f.n, f.x0[1], a, a1, f.x1[1], cv, bv)
    elif place:
        advance_all(f.n, f.x0[0], f.x0[1], a, a1, f.x1[0], f.x1[1], f.x1[2], h, cx, cv, bx, bv)
        return ended(f, f.x1[2])
    elif looks(f) and bv != 0.0:
        return advance_looked_at(f, a, cx, cv, bx, bv)
    else:
        advance(f.n, f.x0[0], f.x0[1], a, a1, f.x1[0], f.x1[1], h, cx, cv, bx, bv)
    if place:
        memcpy(f.x1[2], a1, f.n * sizeof(double))
    return ended(f, f.x1[2])


cdef int second_difference(mf_frame *f, const double *c, const double *a, const double *a1, double *s) noexcept nogil:
    """s = dt^2 a'' without a previous step: from one more acceleration, in the middle of the step, at the cubic Hermite interpolants of x
    and v."""
    cdef double *xm = f.work + 5 * f.ld
    cdef double *vm = f.work + 6 * f.ld
    cdef double h = f.h, cx = (0.5 - c[BETA]) * (h * h), cv = (1.0 - c[GAMMA]) * h, bx = c[BETA] * (h * h), bv = c[GAMMA] * h
    cdef double dx, dv
    cdef ptrdiff_t i
    cdef int status
    for i in range(f.n):
        dx = (h * f.x0[1][i] + cx * a[i]) + bx * a1[i]
        dv = cv * a[i] + bv * a1[i]
        xm[i] = f.x0[0][i] + (0.5 * dx - 0.125 * h * dv)
        vm[i] = f.x0[1][i] + (0.5 * dv - 0.125 * h * (a1[i] - a[i]))
    status = acceleration(f, f.t + 0.5 * h, xm, vm, s)
    for i in range(f.n):
        s[i] = 4.0 * ((a[i] - s[i]) + (a1[i] - s[i]))
    return status


cdef int estimate(mf_frame *f, const double *c, const double *a, const double *a1, double h_before) noexcept nogil:
    """Local errors of x and v, to their leading order for every beta and gamma: with d = a+ - a and s = dt^2 a'',

        e_x = dt^2 ((1/6 - beta) d - s/24),    e_v = dt ((1/2 - gamma) d - s/12)

    s follows from the slope j of a over the previous step, which is carried.
    """
    cdef double h = f.h, of_x = (1./6 - c[BETA]) * (h * h), of_v = (0.5 - c[GAMMA]) * h
    cdef double s_x = (h * h) * (1./24), s_v = h * (1./12), ratio, slope = 1.0 / h, d
    cdef double *s = f.work + 4 * f.ld
    cdef const double *j = f.x0[3]
    cdef double *j1 = f.x1[3]
    cdef double *e_x = f.err
    cdef double *e_v = f.err + f.ld
    cdef ptrdiff_t i
    cdef int status
    if h_before == 0.0:
        status = second_difference(f, c, a, a1, s)
        if status != 0:
            return status
    else:
        ratio = 2.0 * h / (h + h_before)
        for i in range(f.n):
            s[i] = ratio * ((a1[i] - a[i]) - h * j[i])
    for i in range(f.n):
        d = a1[i] - a[i]
        e_x[i] = of_x * d - s_x * s[i]
        e_v[i] = of_v * d - s_v * s[i]
        j1[i] = slope * d
    f.s1[0] = h
    return 0


# ---- half steps ----------------------------------------------------------------------------------------------------------------------

cdef int end_explicitly(mf_frame *f) noexcept nogil:
    """From v(1/2) in x1[1], v+ = v(1/2) + dt/2 a(x+, v(1/2)), and a at the end."""
    cdef int status = acceleration(f, f.t + f.h, f.x1[0], f.x1[1], f.x1[2])
    if status != 0:
        return status
    add(f.n, f.x1[1], f.x1[2], 0.5 * f.h)
    return 0 if f.p.flags & MF_VELOCITY_FREE else acceleration(f, f.t + f.h, f.x1[0], f.x1[1], f.x1[2])


cdef int verlet_in_full(const mf_method *m, mf_frame *f) noexcept nogil:
    cdef double[4] c
    cdef const double *a
    cdef double h_before
    cdef bint look = looks(f) and f.par[0] != VERLET_EXPLICIT
    cdef int status = start(f, f.work, &a)
    if status != 0:
        return status
    h_before = step_before(f) if f.par[0] != VERLET_EXPLICIT else 0.0
    if f.err != NULL and a != f.work and in_place(f):
        memcpy(f.work, a, f.n * sizeof(double))
        a = f.work
    if look:
        status = drift_looked_at(f, a, 0.5 * f.h)
    else:
        kick_drift(f.n, f.x0[0], f.x0[1], a, f.x1[0], f.x1[1], f.h, 0.5 * f.h)
        status = moved(f, f.h, f.x0[0], f.x1[0], f.x1[1])
    if status != 0:
        return status
    if f.par[0] == VERLET_EXPLICIT:
        status = end_explicitly(f)
        return ended(f, NULL) if status == 0 else status
    status = acceleration(f, f.t + f.h, f.x1[0], f.x1[1], f.x1[2])
    if status != 0:
        return status
    if look:
        return kick_looked_at(f, 0.5 * f.h)
    add(f.n, f.x1[1], f.x1[2], 0.5 * f.h)
    if f.err != NULL and m.sizes.n_err > 0:
        central_begin(m, f.par, 0, NULL, c)
        status = estimate(f, c, a, f.x1[2], h_before)
    return ended(f, NULL) if status == 0 else status


cdef int verlet_step(const mf_method *m, mf_frame *f) noexcept nogil:
    if is_plain(f) and f.par[0] != VERLET_EXPLICIT and f.p.accel != NULL:
        return plain_verlet(f)
    return mf_step_apart(verlet_in_full, m, f)


cdef int staggered_step(const mf_method *m, mf_frame *f) noexcept nogil:
    cdef const double *a
    cdef bint place = in_place(f), backward = f.par[0] == STAGGERED_BACKWARD
    cdef double *vp = f.work + f.ld if place or tells(f) else f.x1[1]
    cdef double *a1 = f.work + 2 * f.ld if place else f.x1[2]
    cdef double half = 0.5 * f.h, bv = f.h if backward else half
    cdef int status = start(f, f.work, &a)
    if status != 0:
        return status
    if f.par[0] == STAGGERED_EXPLICIT:
        kick_drift(f.n, f.x0[0], f.x0[1], a, f.x1[0], f.x1[1], f.h, half)
        return end_explicitly(f)
    if backward:
        half_drift(f.n, f.x0[0], f.x0[1], a, f.x1[0], vp, f.h, half)
    else:
        kick_drift(f.n, f.x0[0], f.x0[1], a, f.x1[0], vp, f.h, half)
    status = moved(f, f.h, f.x0[0], f.x1[0], NULL if backward else vp)
    if status != 0:
        return status
    guess(f.n, a, a1)
    status = solve(f, f.t + f.h, 1.0, f.x1[0], vp, 0.0, bv, NULL, a1)
    if status != 0:
        return status
    if constrained(f):                       # vp has been moved
        guess(f.n, vp, f.x1[1])
        add(f.n, f.x1[1], a1, bv)
    elif tells(f) and not backward:
        advance_and_tell(f, a, a1, 0.0, half, 0.0, bv, vp)
    else:
        advance_v(f.n, f.x0[1], a, a1, f.x1[1], 0.0 if backward else half, bv)
    if place:
        memcpy(f.x1[2], a1, f.n * sizeof(double))
    return 0


# ---- generalised alpha ---------------------------------------------------------------------------------------------------------------

cdef int alpha_step(const mf_method *m, mf_frame *f) noexcept nogil:
    """The last parameter is the convention of the load. a is that of the recurrence: M^-1 F at its point, and not at the end."""
    cdef double[4] c
    cdef const double *a
    cdef double h_before
    cdef int status
    if f.err != NULL and m.sizes.n_err > 0 and in_place(f) and f.par[m.n_par - 1] != 1:
        return alpha_from_copies(m, f)
    status = start(f, f.work, &a)
    if status != 0:
        return status
    m.begin(m, f.par, 0, NULL, c)
    if f.par[m.n_par - 1] == 1:
        return shifted_step(f, c, a)
    h_before = step_before(f)
    if h_before != 0.0 and h_before != f.h:
        a = moved_along(f, a, f.h / h_before)
    status = interpolated_step(f, c, a)
    return alpha_estimate(f, c, a, h_before) if status == 0 and f.err != NULL and m.sizes.n_err > 0 else status


cdef int alpha_from_copies(const mf_method *m, mf_frame *f) noexcept nogil:
    """In place, with an estimate, which looks at the start once more: from copies of it in `work`."""
    cdef const double *copies[5]
    cdef const double *const *x0 = f.x0
    cdef int j, status
    for j in range(5):
        copies[j] = f.work + (6 + j) * f.ld
        memcpy(<void *> copies[j], x0[j], f.n * sizeof(double))
    f.x0 = copies
    status = alpha_step(m, f)
    f.x0 = x0
    return status


cdef int interpolated_step(mf_frame *f, const double *c, const double *a) noexcept nogil:
    """a+ = (1 - af)/(1 - am) phi+ + q, where q = (af phi - am a)/(1 - am) is known and phi+ is M^-1 F at the end of the step."""
    cdef double h = f.h, bx = c[BETA] * (h * h), bv = c[GAMMA] * h
    cdef double share = 1.0 / (1.0 - c[AM]), w = (1.0 - c[AF]) * share, of_phi = c[AF] * share, of_a = -c[AM] * share, back = 1.0 / w
    cdef const double *phi = a if f.flags & MF_FRESH else f.x0[3]
    cdef double *q = f.work + f.ld
    cdef double *a1 = f.x1[2]
    cdef double *phi1 = f.x1[3]
    cdef ptrdiff_t i
    cdef int status
    for i in range(f.n):
        q[i] = of_phi * phi[i] + of_a * a[i]
    taylor(f.n, f.x0[0], f.x0[1], a, f.x1[0], f.x1[1], h, (0.5 - c[BETA]) * (h * h), (1.0 - c[GAMMA]) * h)
    guess(f.n, a, a1)
    status = solve(f, f.t + h, w, f.x1[0], f.x1[1], bx, bv, q, a1)
    if status != 0:
        return status
    correct(f.n, f.x1[0], f.x1[1], a1, bx, bv)
    for i in range(f.n):
        phi1[i] = back * (a1[i] - q[i])
    return 0


cdef const double *moved_along(mf_frame *f, const double *a, double ratio) noexcept nogil:
    """a of the recurrence, for a step of another size: it stands off the end of the step before by a share of that step, phi does not."""
    cdef double *to = f.work + 5 * f.ld
    cdef ptrdiff_t i
    for i in range(f.n):
        to[i] = f.x0[3][i] + ratio * (a[i] - f.x0[3][i])
    return to


cdef int alpha_estimate(mf_frame *f, const double *c, const double *a, double h_before) noexcept nogil:
    """Local errors of x and v, against the cubic and the parabola that phi at both ends and s = dt^2 phi'' give; d = phi+ - phi.

        e_x = dt^2 ((1/2 - beta) a + beta a+ - phi/3 - phi+/6 + s/24),    e_v = dt ((1 - gamma) a + gamma a+ - (phi + phi+)/2 + s/12)

    s as in `estimate`, from the middle of the step at first.
    """
    cdef double h = f.h, ratio, slope = 1.0 / h
    cdef const double *phi = a if f.flags & MF_FRESH else f.x0[3]
    cdef const double *phi1 = f.x1[3]
    cdef const double *a1 = f.x1[2]
    cdef double *s = f.work + 2 * f.ld
    cdef double *xm = f.work + 3 * f.ld
    cdef double *vm = f.work + 4 * f.ld
    cdef ptrdiff_t i
    cdef int status
    if h_before == 0.0:
        for i in range(f.n):
            xm[i] = 0.5 * (f.x0[0][i] + f.x1[0][i]) + 0.125 * h * (f.x0[1][i] - f.x1[1][i])
            vm[i] = 0.5 * (f.x0[1][i] + f.x1[1][i]) + 0.125 * h * (phi[i] - phi1[i])
        status = acceleration(f, f.t + 0.5 * h, xm, vm, s)
        if status != 0:
            return status
        for i in range(f.n):
            s[i] = 4.0 * ((phi[i] - s[i]) + (phi1[i] - s[i]))
    else:
        ratio = 2.0 * h / (h + h_before)
        for i in range(f.n):
            s[i] = ratio * ((phi1[i] - phi[i]) - h * f.x0[4][i])
    for i in range(f.n):
        f.err[i] = (h * h) * ((((0.5 - c[BETA]) * a[i] + c[BETA] * a1[i]) - (2.0 * phi[i] + phi1[i]) * (1./6)) + s[i] * (1./24))
        f.err[f.ld + i] = h * ((((1.0 - c[GAMMA]) * a[i] + c[GAMMA] * a1[i]) - 0.5 * (phi[i] + phi1[i])) + s[i] * (1./12))
        f.x1[4][i] = slope * (phi1[i] - phi[i])
    f.s1[0] = h
    return 0


cdef int shifted_step(mf_frame *f, const double *c, const double *a) noexcept nogil:
    """(1 - am) a+ + am a = M^-1 F at t+ - af dt and the interpolated state at that time."""
    cdef double h = f.h, share = 1.0 / (1.0 - c[AM]), of_a = -c[AM] * share, part = 1.0 - c[AF]
    cdef double cx = (0.5 - c[BETA]) * (h * h), cv = (1.0 - c[GAMMA]) * h, bx = c[BETA] * (h * h), bv = c[GAMMA] * h
    cdef double *q = f.work + f.ld
    cdef double *xp = f.work + 2 * f.ld
    cdef double *vp = f.work + 3 * f.ld
    cdef ptrdiff_t i
    cdef int status
    for i in range(f.n):
        q[i] = of_a * a[i]
    taylor(f.n, f.x0[0], f.x0[1], a, xp, vp, part * h, part * cx, part * cv)
    taylor(f.n, f.x0[0], f.x0[1], a, f.x1[0], f.x1[1], h, cx, cv)
    guess(f.n, a, f.x1[2])
    status = solve(f, f.t + part * h, share, xp, vp, part * bx, part * bv, NULL if c[AM] == 0.0 else q, f.x1[2])
    if status == 0:
        correct(f.n, f.x1[0], f.x1[1], f.x1[2], bx, bv)
    return status


# ---- coefficients and sizes ------------------------------------------------------------------------------------------------------------

cdef int set_coef(double *coef, double beta, double gamma, double am, double af) noexcept nogil:
    coef[BETA], coef[GAMMA], coef[AM], coef[AF] = beta, gamma, am, af
    return 0


cdef int newmark_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    return set_coef(coef, par[0], par[1], 0.0, 0.0)


cdef int central_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    return set_coef(coef, 0.0, 0.5, 0.0, 0.0)


cdef int constant_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    return set_coef(coef, 0.0, 0.0, 0.0, 0.0)


cdef int hht_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double alpha = par[0]
    return set_coef(coef, 0.25 * ((1.0 - alpha) * (1.0 - alpha)), 0.5 - alpha, 0.0, -alpha)


cdef int alpha_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double rho = par[0], af = rho / (rho + 1.0), am = (2.0 * rho - 1.0) / (rho + 1.0), spread = (1.0 - am) + af
    return set_coef(coef, 0.25 * (spread * spread), (0.5 - am) + af, am, af)


cdef int newmark_sizes(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil:
    sizes[0] = m.sizes
    sizes.order = 2 if par[1] == 0.5 else 1
    return 0


cdef int verlet_sizes(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil:
    sizes[0] = m.sizes
    if par[0] == VERLET_EXPLICIT:
        sizes.order, sizes.n_coef, sizes.n_vec, sizes.n_err, sizes.n_scal = 1, 0, 3, 0, 0
    return 0


cdef int staggered_sizes(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil:
    sizes[0] = m.sizes
    if par[0] != STAGGERED_TRAPEZOIDAL:
        sizes.order, sizes.n_coef = 1, 0
    return 0


cdef int alpha_sizes(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil:
    sizes[0] = m.sizes
    if par[m.n_par - 1] == 1:                # shifted: neither phi nor its slope is carried, and there is no estimate
        sizes.n_vec, sizes.n_work, sizes.n_err, sizes.n_scal = 3, 4, 0, 0
    return 0


cdef int alpha_start(const mf_method *m, const double *par, ptrdiff_t lo, ptrdiff_t hi, double *const *x) noexcept nogil:
    """phi = a, for a is M^-1 F at the start."""
    if par[m.n_par - 1] != 1:
        memcpy(x[3] + lo, x[2] + lo, (hi - lo) * sizeof(double))
    return 0


# ---- records -------------------------------------------------------------------------------------------------------------------------

cdef records_t RECORDS


cdef mf_method *record(const char *name, const char *class_name, const char *aliases, int order, list par, const char *vectors,
                       int n_work, mf_step_fn step, const char *formula, const char *doc, const char *reference, int flags=0,
                       mf_begin_fn begin=NULL, mf_sizes_fn sizes=NULL) except NULL:
    cdef mf_method *m = <mf_method *> new_record(&RECORDS, sizeof(mf_method), name, class_name, aliases, order, 1, par, vectors, n_work, step)
    m.formula, m.doc, m.reference = formula, doc, reference
    m.flags = m.flags | flags
    m.sizes.n_coef = 4 if begin != NULL else 0
    m.begin, m.sizes_fn = begin, sizes
    return m


cdef mf_method *made

record(b"forward_euler_system", b"ForwardEulerSystem", b"", 1, [], b"x|v|a", 1, forward_step,
    b"x+ = x + dt v, v+ = v + dt a(t, x, v)",
    b"Forward Euler on x' = v, v' = a: gains energy at every step, and has no stable step without damping.",
    b"L. Euler, Institutiones calculi integralis (1768); E. Hairer, C. Lubich and G. Wanner, Geometric Numerical Integration (2006), I.1")

record(b"symplectic_euler", b"SymplecticEuler", b"semi_implicit_euler", 1,
    [choice(b"damping", b"explicit|implicit", b"the velocity in a: at the start of the step, or the new one (the carried a is then "
             b"a(t, x, v+))")],
    b"x|v|a", 1, symplectic_step,
    b"v+ = v + dt a(t, x, v), x+ = x + dt v+; implicit: v+ = v + dt a(t, x, v+)",
    b"Velocity first, then position with the new velocity. Without damping it is symplectic and stable for omega dt < 2.",
    b"R. de Vogelaere, Notre Dame report 4 (1956); E. Hairer, C. Lubich and G. Wanner, Geometric Numerical Integration (2006), I.1",
    MF_SYMPLECTIC)

record(b"constant_acceleration", b"ConstantAcceleration", b"", 1, [], b"x|v|a", 4, newmark_many,
    b"x+ = x + dt v + dt^2/2 a, v+ = v + dt a",
    b"The kinematic formulas of elementary physics, Newmark's at beta = gamma = 0: first order, and no stable step without damping. "
    b"Average and linear acceleration, the methods of structural dynamics, are newmark's with beta = 1/4 and 1/6.",
    b"N. Newmark, J. Eng. Mech. Div. ASCE 85 (1959) 67-94", 0, constant_begin)

made = record(b"newmark", b"Newmark", b"average_acceleration", 2,
    [real(b"beta", 0.25, 0, 1, b"share of the new acceleration in x: 1/4 average, 1/6 linear acceleration, 1/12 Fox-Goodwin, 0 explicit"),
     real(b"gamma", 0.5, 0, 1, b"share of the new acceleration in v: 1/2 for second order; above it high frequencies are damped, below it "
          b"motions gain energy; OpenSees gives gamma before beta")],
    b"x|v|a|j", 7, newmark_step,
    b"x+ = x + dt v + dt^2/2 ((1 - 2 beta) a + 2 beta a+), v+ = v + dt ((1 - gamma) a + gamma a+), a+ = M^-1 F(t+, x+, v+)",
    b"Newmark's family. Stable for every step where 2 beta >= gamma >= 1/2. Its estimates of the errors of x and v hold for every "
    b"beta and gamma.",
    b"N. Newmark, J. Eng. Mech. Div. ASCE 85 (1959) 67-94; error estimate: O. Zienkiewicz and Y. Xie, Earthq. Eng. Struct. Dyn. 20 (1991) "
    b"871-887",
    MF_IMPLICIT | MF_EMBEDDED, newmark_begin, newmark_sizes)
made.order_hat, made.sizes.n_err, made.sizes.n_scal = 2, 2, 1

record(b"central_difference", b"CentralDifference", b"", 2, [], b"x|v|a", 4, newmark_many,
    b"x+ = x + dt v + dt^2/2 a, v+ = v + dt (a + a+)/2, a+ = M^-1 F(t+, x+, v+)",
    b"Newmark's method at beta = 0, gamma = 1/2: v = (x+ - x-)/(2 dt) and a = (x+ - 2 x + x-)/dt^2. Explicit in x; implicit in v only "
    b"where F depends on v. Stable for omega dt < 2, whatever the damping.",
    b"N. Newmark, J. Eng. Mech. Div. ASCE 85 (1959) 67-94; K.-J. Bathe, Finite Element Procedures (1996), 9.2",
    MF_IMPLICIT | MF_SYMPLECTIC, central_begin)

made = record(b"velocity_verlet", b"VelocityVerlet", b"leapfrog|verlet|stoermer_verlet", 2,
    [choice(b"damping", b"none|explicit", b"none: F does not depend on v (if it does: first order, a at the half step). explicit: "
             b"v(1/2) stands in for v+, and a is taken anew at the end")],
    b"x|v|a|j", 7, verlet_step,
    b"v(1/2) = v + dt/2 a, x+ = x + dt v(1/2), v+ = v(1/2) + dt/2 a(t+, x+, v(1/2))",
    b"Kick, drift, kick: symplectic, one force a step. The same path as central differences where F does not depend on v.",
    b"L. Verlet, Phys. Rev. 159 (1967) 98-103; W. Swope et al., J. Chem. Phys. 76 (1982) 637-649",
    MF_SYMPLECTIC | MF_EMBEDDED | IN_PLACE, central_begin, verlet_sizes)
made.order_hat, made.sizes.n_err, made.sizes.n_scal = 2, 2, 1

record(b"staggered", b"Staggered", b"", 2,
    [choice(b"damping", b"trapezoidal|backward_euler|explicit", b"how the end of the step takes v: trapezoidal is second order; "
             b"backward_euler is first order, even undamped, and stable there for omega dt < sqrt(2)")],
    b"x|v|a", 3, staggered_step,
    b"v(1/2) = v + dt/2 a(t, x, v), x+ = x + dt v(1/2); trapezoidal: v+ = v(1/2) + dt/2 a(t+, x+, v+), backward_euler: "
    b"v+ = v + dt a(t+, x+, v+), explicit: v+ = v(1/2) + dt/2 a(t+, x+, v(1/2))",
    b"Central differences with a staggered velocity: explicit in x and implicit in v, so that damping does not limit the step.",
    b"A. Selle, M. Lentine and R. Fedkiw, ACM Trans. Graph. 27(3) (2008) 64; R. Bridson, S. Marino and R. Fedkiw, Proc. Symp. Computer "
    b"Animation (2003) 28-36",
    MF_IMPLICIT | MF_SYMPLECTIC, central_begin, staggered_sizes)

_LOAD = choice(b"load", b"interpolated|shifted", b"interpolated: (1 - af) F(t+, x+, v+) + af F(t, x, v). shifted: F once, at t+ - af dt "
                b"and the state between")

made = record(b"hht", b"HHT", b"hilber_hughes_taylor|hht_alpha", 2,
    [real(b"alpha", -0.1, -1./3, 0, b"numerical damping of high frequencies: 0 none (average acceleration), -1/3 most"), _LOAD],
    b"x|v|a|f|j", 11, alpha_step,
    b"M a+ = (1 + alpha) F+ - alpha F, x+ and v+ as Newmark's with beta = (1 - alpha)^2/4, gamma = 1/2 - alpha",
    b"Hilber, Hughes and Taylor's alpha method: second order, stable for every step, damps what the step does not resolve.",
    b"H. Hilber, T. Hughes and R. Taylor, Earthq. Eng. Struct. Dyn. 5 (1977) 283-292",
    MF_IMPLICIT | MF_EMBEDDED, hht_begin, alpha_sizes)
made.start = alpha_start
made.order_hat, made.sizes.n_err, made.sizes.n_scal = 2, 2, 1

made = record(b"generalized_alpha", b"GeneralizedAlpha", b"chung_hulbert", 2,
    [real(b"rho_inf", 0.8, 0, 1, b"spectral radius at infinite frequency: 1 keeps everything, 0 kills it in a step"), _LOAD],
    b"x|v|a|f|j", 11, alpha_step,
    b"M ((1 - am) a+ + am a) = (1 - af) F+ + af F, am = (2 rho - 1)/(rho + 1), af = rho/(rho + 1), x+ and v+ as Newmark's with "
    b"beta = (1 - am + af)^2/4, gamma = 1/2 - am + af",
    b"The generalised alpha method: of all its kind it damps low frequencies least for a given damping of the high ones.",
    b"J. Chung and G. Hulbert, J. Appl. Mech. 60 (1993) 371-375",
    MF_IMPLICIT | MF_EMBEDDED, alpha_begin, alpha_sizes)
made.start = alpha_start
made.order_hat, made.sizes.n_err, made.sizes.n_scal = 2, 2, 1


cdef steps_t STEPS
STEPS.step, STEPS.many = newmark_step, newmark_steps

_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
_steps = PyCapsule_New(&STEPS, b"mflow_core._steps", NULL)
