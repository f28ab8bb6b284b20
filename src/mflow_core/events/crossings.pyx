"""Where functions g(t, y) change sign along a run, located on the continuous extension of each step.

After an accepted step the loop calls `events_scan`. It evaluates every event at the ends of `samples` equal pieces of the step, finds
each sign change that those values show, closes in on it by Chandrupatla's method (inverse quadratic interpolation where it is safe,
else halving) until the bracket is 2 ulp of t wide, and reports its far end: there the event has its new sign, so that a run which
starts again from the state found does not find the same crossing twice. With the rounding of t = t0 + theta h that is within 4 ulp of
t; where t0 and t1 lie on both sides of 0 it is to the rounding of theta h, and next to t0 = 0 to 2^-100 of the step.

A sign s, then an exact zero, then -s is one crossing, at the zero. s, a zero, s is a touch and no event; nor is one that no sample sees.
But zeros that last, before a sample that is 0 or from one to the next, are a rest, which is met at its first zero, once; so is what becomes 0
where the run holds a component at a wall, within its tolerance, as the state that events see is at the wall. Zeros at the very start are no
crossing. A step that ends in a single zero leaves the decision to the next one, which then reports the crossing at its own start;
`events_finish` counts it where no next step follows.

Crossings of all events are put in order of t, then of their number. The first terminal event that has reached its count ends the
scan: what lies behind it is dropped, what has the same t is kept, and every event's sign is set to that of its value there.

A jump of the state crosses what lies between its sides: an event whose sign is another behind it (`events_jump`, `events_act`) was met at
its time, and its state is that behind the jump. Of an action this holds for the other events, not for those that were met at its root.

An event that acts ends the scan too. `events_act` then makes the state behind the root, and `events_behind` looks at every event there. An
event that its action has left at the root (its value is not above rounding there, beside the largest in the step before: x at the floor,
when a ball bounces) must not be met again for that root, and yet a flight may be short. So from there on its value is counted from what it is now, its sign is not known, and the first piece of the next step is looked at in ever longer parts, from 64 units
in the last place of t on: the shortest flight that can be told from none. Where the value leaves the root like t^2, onwards through it, the
action has stopped what was on its way and the flow pushes it through again: that is met without end, at this time (a ball at rest). So it
is where an event acts `MOST_QUICK` times in a row within `QUICK` units of t.

Nothing here allocates. A callback's negative code is returned at once, so that a Python exception stays set in its thread.

T. R. Chandrupatla, Adv. Eng. Softw. 28 (1997) 145-149; L. F. Shampine, I. Gladwell and R. W. Brankin, ACM TOMS 17 (1991) 11-25.
"""
from libc.math cimport NAN, fabs
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcmp, memcpy

from mflow_core.arithmetic.vec cimport mf_bits, mf_fp_enter, mf_fp_leave, mf_from_bits

cdef enum:
    PATIENCE = 40                        # evaluations after which a bracket is only halved
    QUICK = 256                          # units in the last place of t: no time at all
    MOST_QUICK = 32


cdef double NEXT_TO_ZERO = 7.888609052210118e-31
cdef double AT_ROOT = 1.4e-14            # of the largest value in a step: rounding
cdef double NEAREST = 64.0               # units in the last place of t: the first look behind an action
cdef double A_REST = 9.5367431640625e-07  # of a piece: zeros that last longer are a rest
cdef double CROSSED = -1.0               # for the reach of an event that a jump has crossed: its value was nowhere near 0
cdef double LIKE_SQUARE = 8.0            # the value grows by more than that where t grows by 4


ctypedef struct walk_t:                  # along a step: the last value of an event, and its last sign
    int sign
    double theta, g


ctypedef struct step_t:
    double t0, t1, h
    dense_at_fn dense_at
    void *ctx


# ---- values -----------------------------------------------------------------------------------------------------------------------------

cdef inline double spacing(double x) noexcept nogil:
    """One unit in the last place of x."""
    cdef uint64_t exponent = (mf_bits(x) >> 52) & 0x7FF
    return mf_from_bits((exponent - 52) << 52) if exponent > 52 else mf_from_bits(1)


cdef inline int sign_of(double x) noexcept nogil:
    return (x > 0.0) - (x < 0.0)


cdef inline double time_at(const step_t *st, double theta) noexcept nogil:
    cdef double t
    if theta >= 1.0:
        return st.t1
    t = st.t0 + theta * st.h
    if (t - st.t1) * st.h > 0.0:         # rounding alone could pass the end
        return st.t1
    return t


cdef int evaluate(events_t *e, int j, double t, const double *y, double *value) noexcept nogil:
    cdef event_t *one = &e.one[j]
    cdef int status
    e.out[0] = NAN
    status = one.value(t, y, e.out, e.n, one.ctx)
    e.calls += 1
    value[0] = e.out[0] - one.shift
    if status == 0 and value[0] - value[0] == 0.0:
        return 0
    e.bad_which, e.bad_code, e.bad_t, e.bad_value = j, status, t, value[0]
    if status == 0:
        return EVENT_NAN
    return status if status < 0 else EVENT_REFUSED


cdef inline int extend(events_t *e, const step_t *st, double theta, double *y) noexcept nogil:
    """The state at theta. No code of the extension may pass for one of the scan."""
    cdef int status = st.dense_at(theta, y, st.ctx)
    if status == EVENT_HELD:
        e.held = True
        return 0
    if status <= 0:
        return status
    e.bad_which, e.bad_code, e.bad_t = -1, status, time_at(st, theta)
    return EVENT_REFUSED


cdef int value_at(events_t *e, const step_t *st, int j, double theta, double *value) noexcept nogil:
    cdef int status = extend(e, st, theta, e.y)
    if status != 0:
        return status
    return evaluate(e, j, time_at(st, theta), e.y, value)


cdef int sample(events_t *e, const step_t *st) noexcept nogil:
    """Every event at the ends of its pieces; the extension is evaluated once for all events that have as many."""
    cdef int i, j, k, samples, status
    for j in range(e.count):
        samples = e.one[j].samples
        e.one[j].g[0] = e.one[j].last
        for k in range(j):
            if e.one[k].samples == samples:
                break
        else:
            for i in range(1, samples + 1):
                status = extend(e, st, <double> i / samples, e.y)
                if status != 0:
                    return status
                for k in range(j, e.count):
                    if e.one[k].samples == samples:
                        status = evaluate(e, k, time_at(st, <double> i / samples), e.y, &e.one[k].g[i])
                        if status != 0:
                            return status
    return 0


# ---- crossings --------------------------------------------------------------------------------------------------------------------------

cdef inline double next_guess(double x1, double f1, double x2, double f2, double x3, double f3, double tolerance) noexcept nogil:
    """Where between x1 (0) and x2 (1) to look next: the inverse parabola through the three where it is monotone, else the middle."""
    cdef double xi = (x1 - x2) / (x3 - x2), phi = (f1 - f2) / (f3 - f2), share = 0.5, least
    if phi * phi < xi and (1.0 - phi) * (1.0 - phi) < 1.0 - xi:
        share = f1 / (f2 - f1) * (f3 / (f2 - f3)) + (x3 - x1) / (x2 - x1) * (f1 / (f3 - f1)) * (f2 / (f3 - f2))
    least = 0.5 * tolerance / fabs(x2 - x1)
    if share > 1.0 - least:
        share = 1.0 - least
    if not share > least:
        share = least
    return share


cdef int first_zero(events_t *e, const step_t *st, int j, double a, double b, double lasting, double *theta) noexcept nogil:
    """Where the value becomes zero between a and b > a, where it is. lasting : of the way; b where it is not 0 that much before it, or 0."""
    cdef double x, g = 0.0
    cdef int status
    theta[0] = b
    if lasting > 0.0:
        status = value_at(e, st, j, b - lasting * (b - a), &g)
        if status != 0 or g != 0.0:
            return status
    while b - a > max(2.0 * spacing(time_at(st, b)) / fabs(st.h), NEXT_TO_ZERO):
        x = a + 0.5 * (b - a)
        if not a < x < b:
            break
        status = value_at(e, st, j, x, &g)
        if status != 0:
            return status
        a, b = (a, x) if g == 0.0 else (x, b)
    theta[0] = b
    return 0


cdef int locate(events_t *e, const step_t *st, int j, double a, double f_a, double b, double f_b, double *theta) noexcept nogil:
    """The sign change between a and b > a: the far end of the last bracket, or an exact zero, the first where they last."""
    cdef double x1 = b, f1 = f_b, x2 = a, f2 = f_a, x3 = a, f3 = f_a, x, f = 0.0, share = 0.5, tolerance
    cdef int tried = 0, far = sign_of(f_b), status
    while True:
        tolerance = 2.0 * spacing(time_at(st, x1)) / fabs(st.h)
        if tolerance < NEXT_TO_ZERO:
            tolerance = NEXT_TO_ZERO
        if fabs(x2 - x1) <= tolerance:
            break
        x = x1 + share * (x2 - x1)
        if not (x1 < x < x2 or x2 < x < x1):
            x = x1 + 0.5 * (x2 - x1)
            if not (x1 < x < x2 or x2 < x < x1):
                break                        # no number lies between
        status = value_at(e, st, j, x, &f)
        if status != 0:
            return status
        tried += 1
        if f == 0.0:
            return first_zero(e, st, j, a, x, A_REST, theta)
        if (f > 0.0) == (f1 > 0.0):
            x3, f3 = x1, f1
        else:
            x3, f3, x2, f2 = x2, f2, x1, f1
        x1, f1 = x, f
        share = 0.5 if tried > PATIENCE else next_guess(x1, f1, x2, f2, x3, f3, tolerance)
    theta[0] = x1 if sign_of(f1) == far else x2
    return 0


cdef inline int advance(events_t *e, const step_t *st, int j, walk_t *w, double theta, double g, int *count) noexcept nogil:
    """The next value of event j along a step; a crossing since the one before it goes to e.step."""
    cdef found_t *found
    cdef int now = sign_of(g), status
    if now != 0:
        if w.sign == -now:
            found = &e.step[count[0]]
            found.which, found.turn = j, now
            if w.g == 0.0:
                found.theta = w.theta
            else:
                status = locate(e, st, j, w.theta, w.g, theta, g, &found.theta)
                if status != 0:
                    return status
            found.t = time_at(st, found.theta)
            count[0] += 1
        w.sign = now
    elif w.sign != 0:
        found = &e.step[count[0]]
        found.which, found.turn, found.theta = j, -w.sign, w.theta
        status = first_zero(e, st, j, w.theta, theta, 0.0 if e.held else A_REST, &found.theta) if w.g != 0.0 else 0
        if status != 0:
            return status
        if e.held or found.theta < theta:
            found.t = time_at(st, found.theta)
            count[0] += 1
            w.sign = 0
    w.theta, w.g = theta, g
    return 0


cdef int probe(events_t *e, const step_t *st, int j, walk_t *w, int *count) noexcept nogil:
    """The first piece of a step that begins where the action of event j has left it at the root. EVENT_ZENO: it is driven on through it."""
    cdef event_t *one = &e.one[j]
    cdef double t = max(fabs(st.t0), fabs(st.t1)), theta = NEAREST * spacing(t) / fabs(st.h), end = 1.0 / one.samples, g = 0.0
    cdef double before = 0.0
    cdef int _k, status, like_square = 0, looked = 0, known = count[0]
    for _k in range(PROBES):
        if theta >= end:
            break
        status = value_at(e, st, j, theta, &g)
        if status == 0:
            status = advance(e, st, j, w, theta, g, count)
        if status != 0:
            return status
        if sign_of(g) == one.turn:
            if looked > 0 and fabs(g) > LIKE_SQUARE * fabs(before):
                like_square += 1
            looked += 1
            before = g
            if like_square == 3 and looked == 4 and count[0] == known:
                e.bad_which, e.bad_t = j, st.t0
                return EVENT_ZENO
        theta *= 4.0
    return 0


cdef int crossings(events_t *e, const step_t *st, int j, int *count) noexcept nogil:
    """Adds event j's crossings in this step to e.step, in order; directions are not looked at yet."""
    cdef event_t *one = &e.one[j]
    cdef walk_t w
    cdef int i, status = 0
    w.sign, w.theta, w.g = one.sign, 0.0, one.g[0]
    if one.g[0] != 0.0:
        w.sign = sign_of(one.g[0])
    if one.at_root:
        status = probe(e, st, j, &w, count)
    for i in range(1, one.samples + 1):
        if status != 0:
            return status
        status = advance(e, st, j, &w, <double> i / one.samples, one.g[i], count)
    one.next_sign = w.sign
    return status


cdef void sort(found_t *found, int count, double h) noexcept nogil:
    """By t in the direction of integration, then by number: insertion, since each event's own are in order already."""
    cdef int i, k
    cdef found_t item
    for i in range(1, count):
        item = found[i]
        k = i
        while k > 0 and ((item.t - found[k - 1].t) * h < 0.0 or (item.t == found[k - 1].t and item.which < found[k - 1].which)):
            found[k] = found[k - 1]
            k -= 1
        found[k] = item


cdef inline bint hit(events_t *e, int which, int turn) noexcept nogil:
    """Counts a crossing in the event's direction; its row is e.n_found then."""
    cdef event_t *one = &e.one[which]
    one.sign = turn
    if one.direction != 0 and one.direction != turn:
        return False
    one.hits += 1
    one.turn = turn
    return True


cdef inline bint reached(const event_t *one) noexcept nogil:
    """Whether a terminal event has reached its count."""
    return one.stop_after > 0 and one.hits >= one.stop_after


cdef void write_found(events_t *e, int which, double t) noexcept nogil:
    """The row of an event that was met, whose state is there already; that behind it is the same until it acts."""
    e.found_which[e.n_found], e.found_t[e.n_found] = which, t
    if e.found_after != NULL:
        memcpy(e.found_after + e.n_found * e.n, e.found_y + e.n_found * e.n, e.n * sizeof(double))
    e.n_found += 1


cdef int keep(events_t *e, const step_t *st, int count) noexcept nogil:
    """Writes the rows, up to the first event that acts or is terminal and has reached its count. Where several have the same t, a terminal
    one decides."""
    cdef found_t *found
    cdef event_t *one
    cdef int64_t first = e.n_found
    cdef int i, ending = 0, status
    for i in range(count):
        found = &e.step[i]
        if ending != 0 and found.t != e.stop_t:
            break
        if not hit(e, found.which, found.turn):
            continue
        status = extend(e, st, found.theta, e.found_y + e.n_found * e.n)
        if status != 0:
            return status
        one = &e.one[found.which]
        if ending != EVENT_STOP and (reached(one) or (ending == 0 and one.act != NULL)):
            if ending == 0:
                e.act_from = e.n_found
                while e.act_from > first and e.found_t[e.act_from - 1] == found.t:
                    e.act_from -= 1
            ending = EVENT_STOP if reached(one) else EVENT_ACT
            e.stop_which, e.stop_row, e.stop_t, e.stop_theta = found.which, e.n_found, found.t, found.theta
        write_found(e, found.which, found.t)
    status = end_of_scan(e, ending)
    return ending if status == 0 else status


cdef int end_of_scan(events_t *e, int ending) noexcept nogil:
    """Every event's value and sign at the end of what was scanned: that of the step, or where an event has stopped it."""
    cdef event_t *one
    cdef double value = 0.0
    cdef int i, j, status
    for j in range(e.count):
        one = &e.one[j]
        one.at_root, one.shift = False, 0.0
        if ending != 0:
            one.reach = 0.0
            for i in range(one.samples + 1):
                one.reach = max(one.reach, fabs(one.g[i]))
            status = evaluate(e, j, e.stop_t, e.found_y + e.stop_row * e.n, &value)
            if status != 0:
                return status
            one.last = value
            one.sign = sign_of(value) if value != 0.0 else one.sign
        else:
            one.last, one.sign = one.g[one.samples], one.next_sign
    return 0


# ---- what the loop calls ----------------------------------------------------------------------------------------------------------------

cdef int events_start(events_t *e, double t0, const double *y0) noexcept nogil:
    """Values at a start, or after the state was changed from outside. Counts of hits stay."""
    cdef int j, status
    for j in range(e.count):
        e.one[j].at_root, e.one[j].shift = False, 0.0
        status = evaluate(e, j, t0, y0, &e.one[j].last)
        if status != 0:
            return status
        e.one[j].sign = sign_of(e.one[j].last)
    return 0


cdef int events_jump(events_t *e, double t, const double *y) noexcept nogil:
    """The state was changed from outside, to y: events whose sign is another now were crossed. 0, EVENT_STOP, EVENT_ACT, EVENT_FULL."""
    cdef event_t *one
    cdef double value = 0.0
    cdef int j, now, status, ending = 0
    e.act_from = e.n_found
    if not events_room(e):
        return EVENT_FULL
    for j in range(e.count):
        one = &e.one[j]
        one.at_root, one.shift, one.reach = False, 0.0, 0.0
        status = evaluate(e, j, t, y, &value)
        if status != 0:
            return status
        now = sign_of(value)
        if now != 0 and now == -one.sign and hit(e, j, now):
            memcpy(e.found_y + e.n_found * e.n, y, e.n * sizeof(double))
            if ending != EVENT_STOP and (reached(one) or (ending == 0 and one.act != NULL)):
                ending = EVENT_STOP if reached(one) else EVENT_ACT
                e.stop_which, e.stop_row, e.stop_t, e.stop_theta = j, e.n_found, t, 1.0
            write_found(e, j, t)
            one.reach = CROSSED
        one.last, one.sign = value, now if now != 0 else one.sign
    return ending


cdef int act(events_t *e, double t, int64_t row) noexcept nogil:
    """The action of the event of a row, on e.after."""
    cdef int which = <int> e.found_which[row], status
    cdef event_t *one = &e.one[which]
    cdef ptrdiff_t i
    if one.act == NULL:
        return 0
    e.bad_which, e.bad_t, e.bad_code = which, t, 0
    one.quick = one.quick + 1 if one.quick >= 0 and fabs(t - one.acted) <= QUICK * spacing(fabs(t)) else 0
    one.acted = t
    if one.quick >= MOST_QUICK:
        return EVENT_ZENO
    memcpy(e.moved, e.after, e.n * sizeof(double))
    status = one.act(t, e.after, e.moved, e.n, one.act_ctx)
    if status != 0:
        e.bad_code = status
        return status if status < 0 else EVENT_ACTION
    for i in range(e.n):
        if not e.moved[i] - e.moved[i] == 0.0:
            e.bad_value, e.bad_index = e.moved[i], i
            return EVENT_ACTION
    one.acting = memcmp(e.moved, e.after, e.n * sizeof(double)) != 0
    memcpy(e.after, e.moved, e.n * sizeof(double))
    memcpy(e.found_after + row * e.n, e.after, e.n * sizeof(double))
    return 0


cdef bint was_met(const events_t *e, int j) noexcept nogil:
    """Whether event j has a row in the stop in hand."""
    cdef int64_t row
    for row in range(e.act_from, e.n_found):
        if e.found_which[row] == j:
            return True
    return False


cdef int events_act(events_t *e, double t) noexcept nogil:
    """Where an event has stopped the scan: the actions of all that were met there, in the order of their numbers, make e.after of the state
    found; then those of events that this jump has crossed, each once. 0, EVENT_STOP (one of these is terminal and has reached its count),
    EVENT_ZENO, EVENT_ACTION, or a callback's negative code."""
    cdef event_t *one
    cdef double value = 0.0
    cdef int64_t row, rows = e.n_found
    cdef int j, now, status, ending = 0
    memcpy(e.after, e.found_y + e.stop_row * e.n, e.n * sizeof(double))
    for row in range(e.act_from, rows):
        status = act(e, t, row)
        if status != 0:
            return status
    for j in range(e.count):
        one = &e.one[j]
        if one.sign == 0 or was_met(e, j):
            continue
        status = evaluate(e, j, t, e.after, &value)
        if status != 0:
            return status
        now = sign_of(value)
        if now != -one.sign or not hit(e, j, now):
            continue
        row = e.n_found
        memcpy(e.found_y + row * e.n, e.after, e.n * sizeof(double))
        write_found(e, j, t)
        one.reach = CROSSED
        if reached(one) and ending == 0:
            ending, e.stop_which, e.stop_row, e.stop_t = EVENT_STOP, j, row, t
        if not reached(one):
            status = act(e, t, row)
            if status != 0:
                return status
    return ending


cdef int events_behind(events_t *e, double t) noexcept nogil:
    """Every event's value and sign behind the actions of a stop."""
    cdef event_t *one
    cdef double value = 0.0, root
    cdef int j, status
    for j in range(e.count):
        one = &e.one[j]
        status = evaluate(e, j, t, e.after, &value)
        if status != 0:
            return status
        root = 0.0 if one.reach == CROSSED else max(fabs(one.last), AT_ROOT * one.reach)
        if one.acting and fabs(value) <= root:
            one.at_root, one.shift, one.last, one.sign = True, value, 0.0, 0
        elif value != one.last:
            one.last, one.sign = value, sign_of(value)
        one.acting = False
    return 0


cdef int events_scan(events_t *e, double t0, double t1, double h, dense_at_fn dense_at, void *ctx) noexcept nogil:
    """Finds what lies in the step from t0 to t1 = t0 + h (as rounded by the caller). 0, EVENT_STOP, EVENT_FULL, or < 0."""
    cdef unsigned int mode = mf_fp_enter()
    cdef step_t st
    cdef int64_t before = e.n_found
    cdef int j, count = 0, status = 0
    st.t0, st.t1, st.h, st.dense_at, st.ctx = t0, t1, h, dense_at, ctx
    e.held = False
    if not events_room(e):
        status = EVENT_FULL
    if status == 0:
        status = sample(e, &st)
    for j in range(e.count):
        if status == 0:
            status = crossings(e, &st, j, &count)
    if status == 0:
        sort(e.step, count, h)
        status = keep(e, &st, count)
    if status < 0:
        e.n_found = before
    mf_fp_leave(mode)
    return status


cdef int events_finish(events_t *e, double t, const double *y) noexcept nogil:
    """Where a run ends, or the state is changed from outside: an event that arrived at exactly zero there counts, as if it went on. 0,
    EVENT_STOP, EVENT_ACT, EVENT_FULL."""
    cdef event_t *one
    cdef int j, status = 0
    e.act_from = e.n_found
    if not events_room(e):
        return EVENT_FULL
    for j in range(e.count):
        one = &e.one[j]
        if one.last != 0.0 or one.sign == 0 or not hit(e, j, -one.sign):
            continue
        memcpy(e.found_y + e.n_found * e.n, y, e.n * sizeof(double))
        if status != EVENT_STOP and (reached(one) or (status == 0 and one.act != NULL)):
            status = EVENT_STOP if reached(one) else EVENT_ACT
            e.stop_which, e.stop_row, e.stop_t, e.stop_theta = j, e.n_found, t, 1.0
            one.reach = 0.0
        write_found(e, j, t)
    return status


cdef void events_pack(const events_t *e, double *state) noexcept nogil:
    """`event_numbers` of each: hits, sign, last value; and with actions whether it is at its root, its turn and shift, and when it acted."""
    cdef const event_t *one
    cdef int j
    for j in range(e.count):
        one = &e.one[j]
        state[0], state[1], state[2] = <double> one.hits, <double> one.sign, one.last
        if e.acts:
            state[3], state[4], state[5], state[6], state[7] = one.at_root, one.turn, one.shift, one.quick, one.acted
        state += event_numbers(e)


cdef inline bint is_finite(double x) noexcept nogil:
    return x - x == 0.0


cdef bint one_fits(const events_t *e, const double *state) noexcept nogil:
    """Whether these are numbers that `events_pack` writes of an event."""
    cdef double hits = state[0], sign = state[1]
    if not (0.0 <= hits < 9007199254740992.0 and hits == <double> <int64_t> hits):
        return False
    if sign not in (-1.0, 0.0, 1.0) or not is_finite(state[2]):
        return False
    if state[2] != 0.0 and sign != <double> sign_of(state[2]):
        return False
    if not e.acts:
        return True
    if state[3] not in (0.0, 1.0) or state[4] not in (-1.0, 0.0, 1.0) or not is_finite(state[5]) or not is_finite(state[7]):
        return False
    if (state[3] == 0.0 and state[5] != 0.0) or (state[3] == 1.0 and state[2] != 0.0):
        return False
    return -1.0 <= state[6] < MOST_QUICK and state[6] == <double> <int> state[6] and state[6] <= hits - 1.0


cdef int events_unpack(events_t *e, const double *state) noexcept nogil:
    """0, or -1 with nothing changed where these are not numbers that `events_pack` writes."""
    cdef event_t *one
    cdef int j, numbers = event_numbers(e)
    for j in range(e.count):
        if not one_fits(e, state + j * numbers):
            return -1
    for j in range(e.count):
        one = &e.one[j]
        one.hits, one.sign, one.last = <int64_t> state[0], <int> state[1], state[2]
        if e.acts:
            one.at_root, one.turn, one.shift = state[3] == 1.0, <int> state[4], state[5]
            one.quick, one.acted = <int> state[6], state[7]
        state += numbers
    return 0
