"""Where functions g(t, y) change sign along a run, located on the continuous extension of each step.

After an accepted step the loop calls `events_scan`. It evaluates every event at the ends of `samples` equal pieces of the step, finds
each sign change that those values show, closes in on it by Chandrupatla's method (inverse quadratic interpolation where it is safe,
else halving) until the bracket is 2 ulp of t wide, and reports its far end: there the event has its new sign, so that a run which
starts again from the state found does not find the same crossing twice. With the rounding of t = t0 + theta h that is within 4 ulp of
t; where t0 and t1 lie on both sides of 0 it is to the rounding of theta h, and next to t0 = 0 to 2^-100 of the step.

A sign s, then exact zeros, then -s is one crossing, at the last zero. s, zeros, s is a touch and no event; nor is one that no sample
sees. Zeros at the very start are no crossing. A step that ends in a zero leaves the decision to the next one, which then reports the
crossing at its own start; `events_finish` counts it where no next step follows.

Crossings of all events are put in order of t, then of their number. The first terminal event that has reached its count ends the
scan: what lies behind it is dropped, what has the same t is kept, and every event's sign is set to that of its value there.

Nothing here allocates. A callback's negative code is returned at once, so that a Python exception stays set in its thread.

T. R. Chandrupatla, Adv. Eng. Softw. 28 (1997) 145-149; L. F. Shampine, I. Gladwell and R. W. Brankin, ACM TOMS 17 (1991) 11-25.
"""
from libc.math cimport NAN, fabs
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from mflow_core.arithmetic.vec cimport mf_bits, mf_fp_enter, mf_fp_leave, mf_from_bits

cdef enum:
    PATIENCE = 40                        # evaluations after which a bracket is only halved


cdef double NEXT_TO_ZERO = 7.888609052210118e-31


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
    value[0] = e.out[0]
    if status == 0 and value[0] - value[0] == 0.0:
        return 0
    e.bad_which, e.bad_code, e.bad_t, e.bad_value = j, status, t, value[0]
    if status == 0:
        return EVENT_NAN
    return status if status < 0 else EVENT_REFUSED


cdef inline int extend(events_t *e, const step_t *st, double theta, double *y) noexcept nogil:
    """The state at theta. No code of the extension may pass for one of the scan."""
    cdef int status = st.dense_at(theta, y, st.ctx)
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


cdef int locate(events_t *e, const step_t *st, int j, double a, double f_a, double b, double f_b, double *theta) noexcept nogil:
    """The sign change between a and b > a: the far end of the last bracket, or an exact zero."""
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
            theta[0] = x
            return 0
        if (f > 0.0) == (f1 > 0.0):
            x3, f3 = x1, f1
        else:
            x3, f3, x2, f2 = x2, f2, x1, f1
        x1, f1 = x, f
        share = 0.5 if tried > PATIENCE else next_guess(x1, f1, x2, f2, x3, f3, tolerance)
    theta[0] = x1 if sign_of(f1) == far else x2
    return 0


cdef int crossings(events_t *e, const step_t *st, int j, int *count) noexcept nogil:
    """Adds event j's crossings in this step to e.step, in order; directions are not looked at yet."""
    cdef event_t *one = &e.one[j]
    cdef found_t *found
    cdef int i, now, sign = one.sign, zero = -1, status
    for i in range(one.samples + 1):
        now = sign_of(one.g[i])
        if now == 0:
            zero = i
            continue
        if sign == -now:
            found = &e.step[count[0]]
            found.which, found.turn = j, now
            if zero == i - 1:
                found.theta = <double> zero / one.samples
            else:
                status = locate(e, st, j, <double> (i - 1) / one.samples, one.g[i - 1], <double> i / one.samples, one.g[i], &found.theta)
                if status != 0:
                    return status
            found.t = time_at(st, found.theta)
            count[0] += 1
        sign = now
    one.next_sign = sign
    return 0


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
    return True


cdef int keep(events_t *e, const step_t *st, int count) noexcept nogil:
    """Writes the rows, up to the first terminal event that has reached its count."""
    cdef found_t *found
    cdef event_t *one
    cdef bint stopped = False
    cdef double value = 0.0
    cdef int i, j, status
    for i in range(count):
        found = &e.step[i]
        if stopped and found.t != e.stop_t:
            break
        if not hit(e, found.which, found.turn):
            continue
        status = extend(e, st, found.theta, e.found_y + e.n_found * e.n)
        if status != 0:
            return status
        e.found_which[e.n_found], e.found_t[e.n_found] = found.which, found.t
        one = &e.one[found.which]
        if not stopped and one.stop_after > 0 and one.hits >= one.stop_after:
            stopped = True
            e.stop_which, e.stop_row, e.stop_t, e.stop_theta = found.which, e.n_found, found.t, found.theta
        e.n_found += 1
    for j in range(e.count):
        one = &e.one[j]
        if stopped:
            status = evaluate(e, j, e.stop_t, e.found_y + e.stop_row * e.n, &value)
            if status != 0:
                return status
            one.last = value
            one.sign = sign_of(value) if value != 0.0 else one.sign
        else:
            one.last, one.sign = one.g[one.samples], one.next_sign
    return EVENT_STOP if stopped else 0


# ---- what the loop calls ----------------------------------------------------------------------------------------------------------------

cdef int events_start(events_t *e, double t0, const double *y0) noexcept nogil:
    """Values at a start, or after the state was changed from outside. Counts of hits stay."""
    cdef int j, status
    for j in range(e.count):
        status = evaluate(e, j, t0, y0, &e.one[j].last)
        if status != 0:
            return status
        e.one[j].sign = sign_of(e.one[j].last)
    return 0


cdef int events_scan(events_t *e, double t0, double t1, double h, dense_at_fn dense_at, void *ctx) noexcept nogil:
    """Finds what lies in the step from t0 to t1 = t0 + h (as rounded by the caller). 0, EVENT_STOP, EVENT_FULL, or < 0."""
    cdef unsigned int mode = mf_fp_enter()
    cdef step_t st
    cdef int64_t before = e.n_found
    cdef int j, count = 0, status = 0
    st.t0, st.t1, st.h, st.dense_at, st.ctx = t0, t1, h, dense_at, ctx
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
    """At the end of a run: an event that arrived at exactly zero there counts, as if it went on. 0, EVENT_STOP, EVENT_FULL."""
    cdef event_t *one
    cdef int j, status = 0
    if not events_room(e):
        return EVENT_FULL
    for j in range(e.count):
        one = &e.one[j]
        if one.last != 0.0 or one.sign == 0 or not hit(e, j, -one.sign):
            continue
        memcpy(e.found_y + e.n_found * e.n, y, e.n * sizeof(double))
        e.found_which[e.n_found], e.found_t[e.n_found] = j, t
        if status == 0 and one.stop_after > 0 and one.hits >= one.stop_after:
            status = EVENT_STOP
            e.stop_which, e.stop_row, e.stop_t, e.stop_theta = j, e.n_found, t, 1.0
        e.n_found += 1
    return status


cdef void events_pack(const events_t *e, double *state) noexcept nogil:
    """Three numbers an event: hits, sign, last value."""
    cdef int j
    for j in range(e.count):
        state[3 * j], state[3 * j + 1], state[3 * j + 2] = <double> e.one[j].hits, <double> e.one[j].sign, e.one[j].last


cdef int events_unpack(events_t *e, const double *state) noexcept nogil:
    """0, or -1 with nothing changed where these are not numbers that `events_pack` writes."""
    cdef int j
    cdef double hits, sign
    for j in range(e.count):
        hits, sign = state[3 * j], state[3 * j + 1]
        if not (0.0 <= hits < 9007199254740992.0 and hits == <double> <int64_t> hits):
            return -1
        if sign not in (-1.0, 0.0, 1.0) or not fabs(state[3 * j + 2]) <= 1.7976931348623157e308:
            return -1
        if state[3 * j + 2] != 0.0 and sign != <double> sign_of(state[3 * j + 2]):
            return -1
    for j in range(e.count):
        e.one[j].hits, e.one[j].sign, e.one[j].last = <int64_t> state[3 * j], <int> state[3 * j + 1], state[3 * j + 2]
    return 0
