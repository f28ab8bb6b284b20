"""What a step leaves behind: saved states, the continuous extension between both ends, events.

All of it happens between a step that has been found good and its acceptance, while `now` is its start and `next` its end. Inside the
step the state is a polynomial in theta = (t - t0)/h,

    y(t0 + theta h) = y0 + sum_k theta^(k+1) D_k,

that of the method (`dense`), or the cubic that has both ends' states and slopes (error h^4; with a mass matrix a straight line). It is made when first asked for, once a step.
In second order x and v have a cubic each, D of x first, and a is linear: slopes are there without a call. Where the method has an extension of
its own, D has three groups, of x, v and a.
"""
from libc.stdint cimport int64_t
from libc.math cimport NAN, fabs
from libc.string cimport memcpy, memset

from mflow_core.arithmetic.control cimport control_t
from mflow_core.registry cimport REDUCE
from mflow_core.events.crossings cimport EVENT_ACT, EVENT_HELD, EVENT_STOP, events_room, events_scan
from mflow_core.problems.inside cimport inside_t, inward, move_inside
from mflow_core.stepping.energy.ledger cimport LEDGER_COLUMNS, ledger_part, ledger_row, ledger_t
from mflow_core.stepping.motion cimport acceleration
from mflow_core.types cimport MF_E_ARGUMENT, MF_E_NON_FINITE, MF_FRESH, MF_FSAL, MF_SECOND_ORDER


cdef double LINGERS = 8.0                # tolerances


cdef void hermite(const mf_frame *f, const double *slope0, const double *slope1, double *D) noexcept nogil:
    """D of the cubic through both ends with their slopes."""
    hermite_of(f, f.x0[0], f.x1[0], slope0, slope1, D)


cdef void hermite_of(const mf_frame *f, const double *a, const double *b, const double *slope0, const double *slope1, double *D) noexcept nogil:
    cdef double *D1 = D
    cdef double *D2 = D + f.ld
    cdef double *D3 = D + 2 * f.ld
    cdef double h = f.h, change, u, v
    cdef ptrdiff_t i
    for i in range(f.n):
        change = b[i] - a[i]
        u = h * slope0[i]
        v = h * slope1[i]
        D1[i] = u
        D2[i] = 3.0 * change - (2.0 * u + v)
        D3[i] = (u + v) - 2.0 * change


cdef void straight(run_t *r) noexcept nogil:
    """D of the straight line through both ends: with a mass matrix slopes of f are none of y."""
    cdef ptrdiff_t i
    memset(r.f.D, 0, r.n_D * r.ld * sizeof(double))
    for i in range(r.n):
        r.f.D[i] = r.next[0][i] - r.now[0][i]


cdef int end_slopes(run_t *r, double t_next) noexcept nogil:
    """slope0 and slope1 at both ends of the step; the end of one step is the start of the next."""
    cdef int status
    if r.slope_k != r.k:
        status = r.p.rhs(r.t, r.now[0], r.slope0, r.n, r.p.ctx)
        r.f.n_rhs += 1
        if status != 0:
            return status
    status = r.p.rhs(t_next, r.next[0], r.slope1, r.n, r.p.ctx)
    r.f.n_rhs += 1
    return status


cdef int extend(run_t *r, double t_next) noexcept nogil:
    """D of the step from r.t to t_next, if it is not there yet. MF_E_ARGUMENT in a run that was not made with RUN_DENSE.

    MF_E_NON_FINITE where it is not finite: both ends may be, and a slope that belongs to it alone may not.
    """
    cdef int k, status
    if r.dense_k == r.k:
        return 0
    if r.y_between == NULL and r.m.dense == NULL:
        return MF_E_ARGUMENT
    if r.m.dense != NULL:
        status = r.m.dense(r.m, &r.f)
    elif r.m.flags & MF_SECOND_ORDER:
        hermite_of(&r.f, r.now[0], r.next[0], r.now[1], r.next[1], r.f.D)
        hermite_of(&r.f, r.now[1], r.next[1], r.now[2], r.next[2], r.f.D + 3 * r.ld)
        status = 0
    elif r.p.mass != NULL:
        straight(r)
        status = 0
    elif r.m.flags & MF_FSAL and r.sizes.n_vec > 1 and not r.f.flags & MF_FRESH:
        hermite(&r.f, r.now[1], r.next[1], r.f.D)
        status = 0
    else:
        status = end_slopes(r, t_next)
        if status == 0:
            hermite(&r.f, r.slope0, r.slope1, r.f.D)
            r.slope0, r.slope1 = r.slope1, r.slope0
            r.slope_k = r.k + 1
    if status != 0:
        return status
    for k in range(r.n_D):
        if not REDUCE.all_finite(r.f.D + k * r.ld, r.n):
            return MF_E_NON_FINITE
    r.dense_k = r.k
    return 0


cdef int look_back(run_t *r, double t, double *y) noexcept nogil:
    """The state at t inside the step that was accepted last; MF_E_ARGUMENT where there is none, or t lies outside it."""
    cdef double t_end = r.t, start = r.t_before
    cdef unsigned int flags = r.f.flags
    cdef int status
    if not ((t - start) * (t_end - t) >= 0.0):
        return MF_E_ARGUMENT
    if r.dense_k != r.k - 1:                 # made now, from where that step began
        swap_back(r, start, r.k - 1, r.flags_before)
        status = extend(r, t_end)
        swap_back(r, t_end, r.k + 1, flags)
        if status != 0:
            return status
    if t == t_end:
        copy_visible(r, r.now, y)
    else:
        swap_back(r, start, r.k - 1, r.flags_before)
        visible_at(r, (t - start) / (t_end - start), y)
        swap_back(r, t_end, r.k + 1, flags)
    return 0


cdef void swap_back(run_t *r, double t, int64_t k, unsigned int flags) noexcept nogil:
    r.now, r.next = r.next, r.now
    r.t, r.k, r.f.flags = t, k, flags


cdef void polynomial(const mf_frame *f, int degree, double theta, double *y) noexcept nogil:
    """The state at theta by Horner's rule."""
    horner(f, f.x0[0], f.D, degree, theta, y)


cdef void horner(const mf_frame *f, const double *a, const double *D, int degree, double theta, double *y) noexcept nogil:
    cdef double s
    cdef ptrdiff_t i
    cdef int k
    for i in range(f.n):
        s = D[(degree - 1) * f.ld + i]
        for k in range(degree - 2, -1, -1):
            s = D[k * f.ld + i] + theta * s
        y[i] = a[i] + theta * s


cdef inline int width(const run_t *r) noexcept nogil:
    """In second order: vectors of D for x, and as many for v."""
    return r.sizes.n_dense // 3 if r.sizes.n_dense else 3


cdef void copy_visible(const run_t *r, double **vectors, double *y) noexcept nogil:
    cdef int j
    for j in range(r.sizes.n_vis):
        memcpy(y + j * r.n, vectors[j], r.n * sizeof(double))


cdef void visible_at(run_t *r, double theta, double *y) noexcept nogil:
    """The visible vectors inside the step from `now` to `next`, whose D has been made."""
    cdef ptrdiff_t i
    if theta == 0.0 or theta == 1.0:
        copy_visible(r, r.now if theta == 0.0 else r.next, y)
    elif r.sizes.n_vis == 1:
        polynomial(&r.f, r.n_D, theta, y)
    else:
        horner(&r.f, r.now[0], r.f.D, width(r), theta, y)
        horner(&r.f, r.now[1], r.f.D + width(r) * r.ld, width(r), theta, y + r.n)
        if r.sizes.n_dense:
            horner(&r.f, r.now[2], r.f.D + 2 * width(r) * r.ld, width(r), theta, y + 2 * r.n)
            return
        for i in range(r.n):
            y[2 * r.n + i] = r.now[2][i] + theta * (r.next[2][i] - r.now[2][i])


cdef bint rests(const inside_t *s, const control_t *c, const double *start, double *y) noexcept nogil:
    """Puts components that are within a tolerance of a wall there, and those that a step from there leads a little away; whether there are
    any. The errors of some steps add up to more than a tolerance."""
    cdef bint any_rests = False
    cdef double size
    cdef ptrdiff_t k, i
    for k in range(s.n_signs):
        i = s.signs[k]
        size = (c.atol if c.atol_of == NULL else c.atol_of[i]) + (c.rtol if c.rtol_of == NULL else c.rtol_of[i]) * fabs(s.bounds[k])
        if inward(s, k, y) <= (LINGERS * size if inward(s, k, start) <= size else size):
            y[i], any_rests = s.bounds[k], True
    return any_rests


cdef int state_at(double theta, double *y, void *ctx) noexcept nogil:
    """What events see: y, or x and v."""
    cdef run_t *r = <run_t *> ctx
    cdef double **end = r.now if theta == 0.0 else r.next
    cdef bint motion = r.m.flags & MF_SECOND_ORDER != 0
    if theta == 0.0 or theta == 1.0:
        memcpy(y, end[0], r.n * sizeof(double))
        if motion:
            memcpy(y + r.n, end[1], r.n * sizeof(double))
    elif motion:
        horner(&r.f, r.now[0], r.f.D, width(r), theta, y)
        horner(&r.f, r.now[1], r.f.D + width(r) * r.ld, width(r), theta, y + r.n)
    else:
        polynomial(&r.f, r.n_D, theta, y)
    return EVENT_HELD if r.inside != NULL and r.inside.met and rests(r.inside, &r.c, r.now[0], y) else 0


cdef int write_times(run_t *r, double t_next, double length, bint with_end, record_t *record) noexcept nogil:
    """The times to save in (r.t, t_next), and t_next too if with_end; theta = (t - r.t)/length."""
    cdef double t, sign = 1.0 if t_next >= r.t else -1.0
    cdef double *y
    cdef int status
    while record.i_at < record.n_at and (t_next - record.at[record.i_at]) * sign >= 0:
        t = record.at[record.i_at]
        if t == t_next and not with_end:
            return 0
        y = record.y + record.rows * r.n * r.sizes.n_vis
        if t != t_next:
            status = extend(r, t_next)
            if status != 0:
                return status
        visible_at(r, 1.0 if t == t_next else (t - r.t) / length, y)
        if r.inside != NULL and r.inside.met:
            move_inside(r.inside, y)
        status = write_energy(r, t, t == t_next, y, record)
        if status != 0:
            return status
        record.t[record.rows] = t
        record.rows += 1
        record.i_at += 1
    return 0


cdef int write_energy(run_t *r, double t, bint at_end, double *y, record_t *record) noexcept nogil:
    """The energies of the saved state; at a state inside the step (x and v from y on) those of a ledger that books the step up to there."""
    cdef double *e = record.energy + record.rows * LEDGER_COLUMNS
    cdef ledger_t part
    cdef double *inside[3]
    cdef int j, status = MF_E_NON_FINITE
    if record.energy == NULL:
        return 0
    if r.ledger != NULL and at_end:
        return ledger_row(r.ledger, t, <const double *const *> r.next, e)
    if r.ledger != NULL:
        part = r.books
        inside[0], inside[1], inside[2] = y, y + r.n, r.slope0
        status = acceleration(r, t, inside[0], inside[1], inside[2])
        if status == 0:
            status = ledger_part(&part, r.t, <const double *const *> r.now, t, <const double *const *> inside, t - r.t)
        if status == 0:
            return ledger_row(&part, t, <const double *const *> inside, e)
    for j in range(LEDGER_COLUMNS):
        e[j] = NAN
    return status if status < 0 and status != MF_E_NON_FINITE else 0


cdef int write_row(run_t *r, double t_next, double part, record_t *record) noexcept nogil:
    """The end of the step, and its polynomial over the part of it that was kept."""
    cdef double *out
    cdef double scale = 1.0
    cdef ptrdiff_t i
    cdef int k
    cdef int status = write_energy(r, t_next, True, NULL, record)
    if status != 0:
        return status
    copy_visible(r, r.next, record.y + record.rows * r.n * r.sizes.n_vis)
    record.t[record.rows] = t_next
    if record.D != NULL:
        for k in range(r.n_D):
            out = record.D + (record.rows * record.n_D + k) * r.n
            scale = scale * part if r.sizes.n_vis == 1 or k % width(r) else part
            for i in range(r.n):
                out[i] = scale * r.f.D[k * r.ld + i]
        memset(record.D + (record.rows * record.n_D + r.n_D) * r.n, 0, (record.n_D - r.n_D) * r.n * sizeof(double))
    record.rows += 1
    return 0


cdef bint is_full(const record_t *record) noexcept nogil:
    """Whether the next step would find no room for what it has to leave: where events act, both sides of a jump."""
    if record.every > 0 and record.rows + (record.events != NULL and record.events.acts) >= record.room:
        return True
    return record.events != NULL and not events_room(record.events)


cdef int move_end(run_t *r, const record_t *record) noexcept nogil:
    """The end of the step becomes the place of a terminal event: a is M^-1 F there, and the ledger books the step up to it."""
    cdef const double *state = record.events.found_y + record.events.stop_row * record.events.n
    cdef double t = record.events.stop_t, theta = record.events.stop_theta
    cdef ptrdiff_t i
    cdef int status
    memcpy(r.next[0], state, r.n * sizeof(double))
    if not r.m.flags & MF_SECOND_ORDER or theta == 1.0:
        return 0
    memcpy(r.next[1], state + r.n, r.n * sizeof(double))
    status = acceleration(r, t, r.next[0], r.next[1], r.slope0)
    if status < 0 and status != MF_E_NON_FINITE:
        return status
    for i in range(r.n):                     # where it cannot be had, a is on the straight line between both ends
        r.next[2][i] = r.slope0[i] if status == 0 else r.now[2][i] + theta * (r.next[2][i] - r.now[2][i])
    if r.ledger == NULL:
        return 0
    r.ledger[0] = r.books
    return ledger_part(r.ledger, r.t, <const double *const *> r.now, t, <const double *const *> r.next, t - r.t)


cdef int write_step(run_t *r, double *t_next, record_t *record) noexcept nogil:
    """Saves what was asked for of a good step. RECORD_EVENT: a terminal event has moved its end, t_next, to where it happened; RECORD_ACT:
    so has one that acts, and `write_behind` follows."""
    cdef double length = t_next[0] - r.t, part = 1.0
    cdef int status, ending = 0
    if record.D != NULL or record.events != NULL:
        status = extend(r, t_next[0])
        if status != 0:
            return status
    if record.events != NULL:
        status = events_scan(record.events, r.t, t_next[0], length, state_at, r)
        if status == EVENT_STOP or status == EVENT_ACT:
            ending = RECORD_EVENT if status == EVENT_STOP else RECORD_ACT
            part = record.events.stop_theta
            t_next[0] = record.events.stop_t
            if record.n_at > 0:              # before the end moves
                status = write_times(r, t_next[0], length, False, record)
                if status != 0:
                    return status
            status = move_end(r, record)
            if status != 0:
                return status
        elif status != 0:
            return status
    if record.n_at > 0 and ending != RECORD_ACT:
        status = write_times(r, t_next[0], length, True, record)
        if status != 0:
            return status
    if record.every > 0 and (ending or record.end or (r.k + 1) % record.every == 0):
        status = write_row(r, t_next[0], part, record)
        if status != 0:
            return status
    return ending


cdef int write_behind(run_t *r, record_t *record) noexcept nogil:
    """The state behind a jump, where the run stands: a row of its own at the same t, whose extension has no length."""
    cdef double *e
    cdef int j, status
    while (record.n_at > 0 and record.i_at < record.n_at and record.at[record.i_at] == r.t) or (record.n_at == 0 and record.every > 0):
        copy_visible(r, r.now, record.y + record.rows * r.n * r.sizes.n_vis)
        record.t[record.rows] = r.t
        if record.D != NULL:
            memset(record.D + record.rows * record.n_D * r.n, 0, record.n_D * r.n * sizeof(double))
        if record.energy != NULL:
            e = record.energy + record.rows * LEDGER_COLUMNS
            for j in range(LEDGER_COLUMNS):
                e[j] = NAN
            if r.ledger != NULL:
                status = ledger_row(r.ledger, r.t, <const double *const *> r.now, e)
                if status != 0:
                    return status
        record.rows += 1
        if record.n_at == 0:
            break
        record.i_at += 1
    return 0
