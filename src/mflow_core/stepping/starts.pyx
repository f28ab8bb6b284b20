"""Where a run begins: its first step under error control, and new starts on the way.

Where f jumps (a break) or the state does (an action of an event, a dose) the run begins anew, as if it were made there: slopes, Jacobian,
carried vectors, controller and first step. Nothing of the other side is used again; only counts go on.

"""
from libc.math cimport INFINITY, NAN, copysign, fabs, sqrt

from mflow_core.arithmetic.control cimport control_t, first_step_of, not_finite_at, trial_step_of
from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.events.crossings cimport EVENT_STOP, events_act, events_behind
from mflow_core.registry cimport REDUCE
from mflow_core.solvers.stages.mass cimport mass_move, slope_sizes
from mflow_core.stepping.energy.ledger cimport ledger_enter, ledger_leave
from mflow_core.stepping.motion cimport motion_begin, motion_start
from mflow_core.stepping.output cimport RECORD_EVENT, write_behind
from mflow_core.stepping.run cimport run_restart
from mflow_core.stepping.watch.past cimport past_moved, past_t
from mflow_core.types cimport MF_E_ARGUMENT, MF_E_NON_FINITE, MF_FRESH, MF_FSAL, MF_SECOND_ORDER


# ---- the first step ---------------------------------------------------------------------------------------------------------------------

cdef int slope_at_start(run_t *r, double *slope) noexcept nogil:
    cdef int status = r.p.rhs(r.t, r.now[0], slope, r.n, r.p.ctx)
    r.f.n_rhs += 1
    if status == 0 and not REDUCE.all_finite(slope, r.n):
        return MF_E_NON_FINITE
    return status


cdef int choose_first_step(run_t *r, double t_end, const double *f0) noexcept nogil:
    """r.c.h by an explicit Euler trial: how much does the slope change? `next` is scratch. Time is in units of the span where slopes are so
    large that their squares overflow."""
    cdef double *y1 = r.next[0]
    cdef double *f1 = r.err
    cdef double span = fabs(t_end - r.t), sign = 1.0 if t_end >= r.t else -1.0, root = sqrt(<double> r.n), d0, d1, d2, h0, h
    cdef double unit = 1.0
    cdef ptrdiff_t i
    cdef int status
    cdef int _try
    d0 = sqrt(size_of(r, r.now[0], r.now[0], r.now[0])) / root
    d1 = sqrt(size_of(r, f0, r.now[0], r.now[0])) / root
    if d1 == INFINITY and span < 1.0:
        unit = span
        for i in range(r.n):
            y1[i] = unit * f0[i]
        d1 = sqrt(size_of(r, y1, r.now[0], r.now[0])) / root
    h0 = unit * trial_step_of(d0, d1)
    h0 = h0 if h0 < span else span
    h0 = h0 if h0 < r.c.max_step else r.c.max_step
    h = h0
    for _try in range(8):
        for i in range(r.n):
            y1[i] = r.now[0][i] + sign * h0 * f0[i]
        status = r.p.rhs(r.t + sign * h0, y1, f1, r.n, r.p.ctx)
        r.f.n_rhs += 1
        if status < 0:
            return status
        if status == 0 and REDUCE.all_finite(f1, r.n):
            for i in range(r.n):
                f1[i] = unit * (f1[i] - f0[i])
            d2 = sqrt(size_of(r, f1, r.now[0], r.now[0])) / root / (h0 / unit)
            h = unit * first_step_of(d0, d1, d2, h0 / unit, r.c.q)
            break
        if status == 0:
            not_finite_at(&r.c, h0)
        h0 = 1e-2 * h0                       # the trial left the domain: nearer
        h = h0
    h = h if h > 0.0 else 1e-12 * min(span, 1.0)     # slopes are larger than can be measured
    h = h if h < span else span
    h = h if h < r.c.max_step else r.c.max_step
    r.c.h = sign * h
    return 0


cdef int first_step_with_mass(run_t *r, double t_end, const double *f0) noexcept nogil:
    """r.c.h from the sizes of state and slopes: M y' = f tells no slope in algebraic directions, so nothing can be tried."""
    cdef double span = fabs(t_end - r.t), root = sqrt(<double> r.n), h
    cdef int status = mass_move(r.newton.c.matrix.mass, r.t)
    if status != 0:
        return status
    slope_sizes(r.newton.c.matrix.mass, r.n, f0, r.err)
    h = trial_step_of(sqrt(size_of(r, r.now[0], r.now[0], r.now[0])) / root, sqrt(size_of(r, r.err, r.now[0], r.now[0])) / root)
    h = min(min(h, span), r.c.max_step)
    r.c.h = h if t_end >= r.t else -h
    return 0


cdef int run_begin(run_t *r, double t_end, double first_step) noexcept nogil:
    """Before the first step under error control: the slope that an FSAL method carries, and the first step (0: estimated here)."""
    cdef unsigned int mode
    cdef double *slope
    cdef bint carries = r.m.flags & MF_FSAL != 0 and r.sizes.n_vec > 1
    cdef int status = 0
    if r.m.flags & MF_SECOND_ORDER:
        return motion_begin(r, t_end, first_step)
    if r.err == NULL:
        return MF_E_ARGUMENT
    mode = mf_fp_enter()
    slope = r.now[1] if carries else r.f.work
    if r.n > 0 and (first_step == 0.0 or (carries and r.f.flags & MF_FRESH)):
        if not carries or r.f.flags & MF_FRESH:
            status = slope_at_start(r, slope)
        if status == 0 and first_step == 0.0 and r.p.mass != NULL and r.newton != NULL:
            status = first_step_with_mass(r, t_end, slope)
        elif status == 0 and first_step == 0.0:
            status = choose_first_step(r, t_end, slope)
        if status == 0 and carries:
            r.f.flags = r.f.flags & ~MF_FRESH
    if first_step != 0.0 or r.n == 0:
        r.c.h = t_end - r.t if first_step == 0.0 else first_step
    mf_fp_leave(mode)
    return status


# ---- new starts -------------------------------------------------------------------------------------------------------------------------

cdef void leave_grid(run_t *r) noexcept nogil:
    """The state stands where no step ended: what the method carries besides it is made anew, and fixed steps count from here."""
    r.f.flags = r.f.flags | MF_FRESH
    r.t_base, r.k_base = r.t, r.k
    r.slope_k = r.dense_k = -1
    r.t_before = NAN


cdef int run_jump(run_t *r, double t_end, const double *const *y, record_t *record) noexcept nogil:
    """A new start where the run stands, from the visible vectors of y that are not NULL; the state behind goes into the record, if there is
    one. Under error control the first step towards t_end is chosen as at a start. What was seen of stiffness stays."""
    cdef unsigned int mode = mf_fp_enter()
    cdef control_t seen = r.c
    cdef double first = r.first_step if r.first_step < fabs(t_end - r.t) else fabs(t_end - r.t)
    cdef int status = 0
    if r.ledger != NULL:
        status = ledger_leave(r.ledger, r.t, <const double *const *> r.now)
    if status == 0:
        run_restart(r, r.t, y)
        if r.past != NULL:
            past_moved(<past_t *> r.past)
        r.c.edge, r.c.n_held, r.c.stiff, r.c.stiff_lambda, r.c.stiff_h = seen.edge, seen.n_held, seen.stiff, seen.stiff_lambda, seen.stiff_h
        if r.m.flags & MF_SECOND_ORDER:
            status = motion_start(r)
    if status == 0 and r.ledger != NULL:
        status = ledger_enter(r.ledger, r.t, <const double *const *> r.now)
    if status == 0 and record != NULL:
        status = write_behind(r, record)
    if status == 0 and r.c.q > 0.0 and r.t != t_end:
        status = run_begin(r, t_end, copysign(first, t_end - r.t) if first > 0.0 else 0.0)
    mf_fp_leave(mode)
    return status


cdef int run_act(run_t *r, double t_end, record_t *record) noexcept nogil:
    """The actions of the events that have stopped the step, and the new start behind them."""
    cdef const double *y[8]
    cdef int j, behind, status = events_act(record.events, r.t)
    for j in range(8):
        y[j] = NULL
    y[0] = record.events.after
    if r.m.flags & MF_SECOND_ORDER:
        y[1] = record.events.after + r.n
    if status < 0:
        return status
    behind = run_jump(r, t_end, y, record)
    if behind == 0:
        behind = events_behind(record.events, r.t)
    return behind if behind != 0 else RECORD_EVENT if status == EVENT_STOP else 0
