# cython: language_level=3
"""Error control of one trajectory: from the size of an error estimate to the next step.

Runs and the lanes of a batch (one trajectory each) share it. It is inline and keeps its state in control_t.

    err = ||e / (atol + rtol max(|y0|, |y1|))||, root mean square; a step is accepted if err <= 1
    accepted   h+ = h clip(0.9 err^(-alpha) err_before^beta, 0.2, 10)
    rejected   h+ = h max(0.2, 0.9 err^(-1/q)),                 q the order of the error estimate

While steps are accepted this is the elementary controller, alpha = 1/q and beta = 0, which takes SciPy's steps. If steps are rejected
again and again, because stability and not accuracy limits them, it is a PI controller, alpha = 0.7/q and beta = 0.4/q, which keeps
the step steady below the limit (Gustafsson, ACM TOMS 17 (1991) 533-554; Hairer and Wanner II, IV.2). `pressed` decides between the two:
while the step stays about the same, a rejection adds MF_PRESS and an accepted step subtracts 1. PI begins at MF_PRESS_ON and ends at 0,
or when the step has changed by half. After a rejection the step does not grow.

Methods of variable order (MF_MULTISTEP) suggest their next step themselves, and 1/q is that of the order of the step at hand.

Methods that factor a matrix anew for each other step have a predictive controller instead (Gustafsson, ACM TOMS 20 (1994) 496-517; Hairer
and Wanner II, IV.8): h+ is the smaller of 0.9 err^(-1/q) h and that times (h/h_before) (err_before/err)^(1/q), which goes on with the trend
of the errors. A step that would grow by less than a fifth stays as it is: its factors serve again. Powers are computed by log2 and exp2 below, from
polynomials and bit patterns, so that the steps are the same on every machine. They are accurate to 1e-7, more than a controller needs.

A try is not finite where a slope, the new state or the error estimate is not. The next one is a quarter of it. Beside a wall in state space
(the root of a level that stages overshoot) shorter steps work, and the run goes on below the size that failed: at nine tenths of it for
MF_HOLD accepted steps, then growing again, without a limit after MF_FREE of them. So one step in ten is lost there, not every other one. At
a wall in time none works, and the run ends where steps of 16 units in the last place of max(|t|, |t0|, 1e-3 span), or of min_step, fail too.

Stiffness is seen in what an explicit pair has computed anyway. Its last stage is y+ itself, and the one before, g, is another estimate of
the same state at the same time (bs32 has none; there it is extrapolated from three stages), so that

    h |lambda| = h |K_s - K_(s-1)| / |y+ - g|

is the size of the eigenvalue in whose direction the two differ (Hairer and Wanner II, IV.2). Norms are in units of the tolerances: there what
is stiff stands out, for it is unstable to the size of the tolerances. One look in MF_LOOKS steps, each step after a hit. A hit is an
eigenvalue that is (mostly) real and negative and beyond `edge`, near the stability limit, in a direction in which the step moves by a tenth
of the tolerances at least: where it does not, something else holds the step. After MF_STIFF hits the problem is stiff, if there were no
MF_CALM misses in a row between them, nor growth at such a rate: what drives a problem in turns looks like decay and like growth. Nothing of
it changes a step.
"""
from libc.math cimport fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint64_t

from mflow_core.arithmetic.vec cimport MF_SHORT, fold_lanes, mf_bits, mf_from_bits
from mflow_core.types cimport MF_E_NON_FINITE, MF_E_SOLVE, MF_E_STEP, MF_RETRY_NON_FINITE, MF_RETRY_SOLVE


cdef enum:
    MF_MOST_BAD = 64                     # tries in a row that are not finite: the run ends
    MF_HOLD = 8
    MF_FREE = 32
    MF_LOOKS = 16
    MF_STIFF = 15
    MF_CALM = 6
    MF_PRESS = 8
    MF_PRESS_ON = 48
    MF_PRESS_MOST = 96


ctypedef struct control_t:
    double rtol, atol
    const double *rtol_of                # n numbers each, or both NULL: rtol and atol hold for every component
    const double *atol_of
    double max_step, min_step            # lengths; INFINITY and 0: none
    double q, per_q                      # order of the error estimate, one more than that of the lower formula; 1/q
    double per_n                         # 1/n
    # state, which is saved
    double h                             # the next step to try, with its sign
    double log_before                    # log2 of the last accepted error
    double cap                           # near a try that was not finite, no step is longer
    int64_t near, n_good                 # whether one is near; accepted steps since
    int64_t n_bad                        # tries in a row that were not finite
    int64_t rejected                     # tries thrown away
    int64_t failed                       # of them without an error estimate: not finite, not solved, or rejected by a callback
    int64_t after_reject, pressed, steady    # steady: the PI controller is in charge
    double h_pressed                     # the approximate size of the steps that are rejected again and again; `predicts`: the last step
    # set by the caller before each piece, not saved: the size of t by which a step is lost in rounding; h |lambda| near the stability limit
    double t_size
    double edge                          # 0: nobody looks
    bint predicts                        # the controller is the predictive one
    # what has been seen of stiffness; not saved, for no step depends on it
    double stiff_lambda, stiff_h         # |lambda| at the last hit, and the step there
    double seen                          # in the last look, h |lambda| of what decays, near the limit or beyond; else 0
    bint believed                        # and whether it is no jump in f
    int64_t n_stiff, n_calm              # hits, and misses in a row since
    int64_t n_held                       # hits since the start
    int64_t stiff                        # 1: hits were MF_STIFF; 2: TURNING, of handover.pxd; else 0


ctypedef struct reductions_t:            # the sums below and in vec.pxd as compiled by reductions.pyx, one table for each level
    bint (*all_finite)(const double *x, ptrdiff_t n) noexcept nogil
    double (*max_abs)(const double *x, ptrdiff_t n) noexcept nogil
    double (*sum_of_squares)(const double *x, ptrdiff_t n) noexcept nogil
    double (*error_sum)(const control_t *c, const double *e, const double *y0, const double *y1, ptrdiff_t n) noexcept nogil
    bint (*all_tame)(const double *x, ptrdiff_t n) noexcept nogil


cdef inline void control_begin(control_t *c, ptrdiff_t n, int order, int order_hat, int n_err) noexcept nogil:
    """The state before the first step. Two error estimates combine to the order of the method (dop853)."""
    c.q = <double> order if n_err == 2 else (order_hat if order_hat < order else order) + 1.0
    c.per_q = 1.0 / c.q
    c.per_n = 1.0 / <double> max(n, <ptrdiff_t> 1)
    c.h = c.h_pressed = c.cap = 0.0
    c.log_before = -13.287712379549449   # log2 1e-4
    c.n_bad = c.near = c.n_good = c.rejected = c.failed = c.after_reject = c.pressed = c.steady = 0
    c.t_size = c.edge = c.stiff_lambda = c.stiff_h = c.seen = 0.0
    c.n_stiff = c.n_calm = c.n_held = c.stiff = 0
    c.predicts = False


cdef inline double log2_of(double x) noexcept nogil:
    """log2 of a positive normal number, to 1e-8: twice the series of the inverse hyperbolic tangent.

    x = 2^e m with m from sqrt(1/2) to sqrt(2), split without a branch: the step waits for it, and the branch could not be predicted.
    """
    cdef uint64_t one = 0x3FF0000000000000, root = 0x3FE6A09E667F3BCD, fraction = 0x000FFFFFFFFFFFFF, whole = 0x4330000000000000
    cdef uint64_t u = mf_bits(x) + (one - root)
    cdef double e = mf_from_bits((u >> 52) | whole) - 4503599627371519.0      # 2^52 + 1023: exact, and lanes do it on every level
    cdef double m = mf_from_bits((u & fraction) + root)
    cdef double s = (m - 1.0) / (m + 1.0), w = s * s, v = w * w
    return e + s * ((2.8853900817779268 + w * 0.9617966939259756)
                    + v * ((0.5770780163555854 + w * 0.4121985831111324) + v * 0.3205988979753252))


cdef inline double exp2_of(double x) noexcept nogil:
    """2^x for |x| < 1000, to 1e-7: the series of exp, its terms summed in pairs.

    Adding 1.5 2^52 puts the nearest whole number into the low bits. Shifted up, they are the exponent.
    """
    cdef double shift = 6755399441055744.0, moved = x + shift
    cdef double f = (x - (moved - shift)) * 0.6931471805599453, g = f * f
    cdef double s = (1.0 + f) + g * ((0.5 + f * 0.16666666666666666)
                                     + g * ((0.041666666666666664 + f * 0.008333333333333333) + g * 0.001388888888888889))
    return s * mf_from_bits((mf_bits(moved) + 1023) << 52)


cdef inline double clip(double x, double lower, double upper) noexcept nogil:
    return lower if x < lower else (upper if x > upper else x)


cdef inline void let_go(control_t *c, double h) noexcept nogil:
    """Forget the limit of the step once the step has changed: something else limits it now."""
    cdef bint changed = (fabs(h) < 0.67 * c.h_pressed) | (fabs(h) > 1.5 * c.h_pressed)
    c.pressed = 0 if changed else c.pressed
    c.steady = 0 if changed else c.steady
    c.h_pressed = fabs(h) if changed else c.h_pressed


cdef inline double factor_predicted(control_t *c, double square, double h) noexcept nogil:
    """The same of the predictive controller."""
    cdef double now = 0.5 * log2_of(square) if square > 1e-60 else -100.0, factor, trend
    factor = clip(0.9 * exp2_of(-now * c.per_q), 0.2, 8.0)
    if c.h_pressed > 0.0:
        trend = fabs(h) / c.h_pressed * exp2_of((c.log_before - now) * c.per_q)
        if trend < 1.0:
            factor = clip(factor * trend, 0.2, 8.0)
    c.h_pressed = fabs(h)
    c.log_before = now if now > -6.643856189774724 else -6.643856189774724          # log2 1e-2
    return 1.0 if 1.0 < factor < 1.2 else factor


cdef inline double factor_accepted(control_t *c, double square, double h) noexcept nogil:
    """The factor by which the step may change after it was accepted. square: of the error, which is stored. See `held_back`."""
    cdef double now, factor
    if c.predicts:
        return factor_predicted(c, square, h)
    let_go(c, h)
    c.steady = 0 if c.pressed == 1 else c.steady     # without a branch, as in `let_go`: lanes compute it for all of them at once
    c.pressed -= c.pressed > 0
    now = 0.5 * log2_of(square)
    now = now if square > 1e-60 else -200.0          # then the factor is 10 for every q
    factor = clip(0.9 * exp2_of((0.4 * c.log_before - 0.7 * now if c.steady else -now) * c.per_q), 0.2, 10.0)
    c.log_before = now if now > -13.287712379549449 else -13.287712379549449         # log2 1e-4
    return factor


cdef inline double held_back(control_t *c, double factor) noexcept nogil:
    """The factor in use: a step does not grow after a rejection."""
    cdef double most = 1.0 if c.after_reject else 10.0
    c.after_reject = 0
    return factor if factor < most else most


cdef inline double factor_rejected(control_t *c, double square, double h) noexcept nogil:
    """The factor by which the step shrinks after an error above 1. square: of the error; it may be infinite."""
    if not c.predicts:
        let_go(c, h)
    c.after_reject = 1
    c.rejected += 1
    c.pressed = c.pressed + MF_PRESS if c.pressed < MF_PRESS_MOST else MF_PRESS_MOST
    c.steady = c.steady or c.pressed >= MF_PRESS_ON
    return clip(0.9 * exp2_of(-0.5 * log2_of(square) * c.per_q), 0.2, 1.0) if square < 1e300 else 0.2


cdef inline double shortest(double t, double min_step) noexcept nogil:
    """The shortest step that moves t noticeably: ten units in its last place."""
    cdef double least = 2.220446049250313e-15 * fabs(t)
    least = least if least > 1e-300 else 1e-300
    return least if least > min_step else min_step


cdef inline double planned_step(const control_t *c, double t) noexcept nogil:
    """The next step between its bounds, and long enough to move t unless max_step forbids it."""
    cdef double size = fabs(c.h), least = shortest(t, c.min_step)
    if c.near and size > c.cap:
        size = c.cap
    size = size if size > least else least
    size = size if size < c.max_step else c.max_step
    return size if c.h > 0.0 else -size


cdef inline double size_of_time(double t0, double t_end) noexcept nogil:
    """c.t_size of a run from t0 to t_end, which may be infinite or not known (NaN)."""
    cdef double span = fabs(t_end - t0), size = fabs(t0)
    return max(size, 1e-3 * span) if span < 1e300 else size


cdef inline double shortest_near(const control_t *c, double t) noexcept nogil:
    """The shortest step that is tried after one that was not finite: 16 units in the last place."""
    cdef double size = fabs(t), least
    size = size if size > c.t_size else c.t_size
    least = 3.552713678800501e-15 * size
    least = least if least > 1e-300 else 1e-300
    return least if least > c.min_step else c.min_step


cdef inline void not_finite_at(control_t *c, double h) noexcept nogil:
    """A try of h was not finite: near it no step is longer than nine tenths of h."""
    c.near, c.n_good = 1, 0
    c.cap = 0.9 * fabs(h)


cdef inline int after_bad(control_t *c, int status, double square, double t, double h) noexcept nogil:
    """After a rejected try of h, put the next, shorter step into c.h and return 0; or return the code that ends the run.

    status: 0 if the error, whose square is given, is above 1; MF_E_NON_FINITE; or a positive code.
    """
    cdef double least
    if status < 0 and status != MF_E_NON_FINITE:
        return status
    if status == MF_E_NON_FINITE or status == MF_RETRY_NON_FINITE:
        c.rejected += 1
        c.failed += 1
        c.after_reject = 1
        c.n_bad += 1
        not_finite_at(c, h)
        c.h = h * 0.25
        least = shortest_near(c, t)
        if c.n_bad >= MF_MOST_BAD or fabs(h) <= least:
            return MF_E_NON_FINITE
        if fabs(c.h) < least:
            c.h = least if h > 0.0 else -least
        return 0
    c.n_bad = 0
    if status == 0:
        c.h = h * factor_rejected(c, square, h)
    else:
        c.rejected += 1
        c.failed += 1
        c.after_reject = 1
        c.h = h * 0.25
    if fabs(c.h) >= shortest(t, c.min_step):
        return 0
    if status == MF_RETRY_SOLVE:
        return MF_E_SOLVE
    return MF_E_STEP if status == 0 else status


cdef inline void after_good(control_t *c, double square, double h, double planned) noexcept nogil:
    """After an accepted try of h, put the next step into c.h. planned: h before it was shortened to land on the end."""
    go_on(c, h * held_back(c, factor_accepted(c, square, h)), h, planned)


cdef inline void go_on(control_t *c, double h_next, double h, double planned) noexcept nogil:
    """The same where the next step is known: by a factor, or suggested by a method that varies its order."""
    if c.near:
        c.n_bad = 0
        c.n_good += 1
        c.near = c.n_good < MF_FREE
        if c.n_good > MF_HOLD:
            c.cap = (1.25 if c.n_good <= 2 * MF_HOLD else 2.0) * c.cap
    c.after_reject = 0
    # It may have been shortened to land, not because of its error.
    c.h = planned if (fabs(h) < fabs(planned)) & (fabs(h_next) < fabs(planned)) else h_next


cdef inline void look_for_stiffness(control_t *c, ptrdiff_t n, double h, const double *g, const double *y, const double *before,
                                    const double *last, double most) noexcept nogil:
    """One look: g and y are the arguments of the last two stages, `before` and `last` their slopes. most: the largest (h |lambda| / edge)^2
    that is believed."""
    cdef double moved = 0.0, changed = 0.0, along = 0.0, u, v, size, part, against
    cdef bint near
    cdef ptrdiff_t i
    c.seen = 0.0
    for i in range(n):
        size = (c.atol if c.atol_of == NULL else c.atol_of[i]) + (c.rtol if c.rtol_of == NULL else c.rtol_of[i]) * fabs(y[i])
        if size > 0.0:
            u = (y[i] - g[i]) / size
            v = (last[i] - before[i]) / size
            moved += u * u
            changed += v * v
            along += u * v
    if not 0.0 < moved < 1e300 or not changed < 1e300:
        return
    # h |lambda| > edge, and at least half of it against the motion: growth and oscillation are no stiffness.
    part = h * h * changed / (c.edge * c.edge * moved)
    near = 0.4 < part and h * h * changed * c.per_n > 0.01
    against = (-along if h > 0.0 else along) / (sqrt(moved) * sqrt(changed)) if near else 0.0
    if against > 0.5:
        c.seen, c.believed = fabs(h) * sqrt(changed / moved), part < most
    if not 1.0 < part < most:
        against = 0.0
    if against < -0.5:
        c.n_stiff = c.n_calm = 0
    elif against > 0.5:
        c.n_stiff += 1
        c.n_held += 1
        c.n_calm = 0
        c.stiff_lambda, c.stiff_h = sqrt(changed / moved), h
        c.stiff = c.stiff or c.n_stiff >= MF_STIFF
    elif c.n_stiff > 0:
        c.n_calm += 1
        if c.n_calm == MF_CALM:
            c.n_stiff = c.n_calm = 0


cdef inline double first_step_of(double d0, double d1, double d2, double h0, double q) noexcept nogil:
    """The starting step from ||y0||, ||f0|| and ||f1 - f0||/h0, all in units of the tolerance (Hairer, Norsett and Wanner I, II.4)."""
    cdef double largest = d1 if d1 > d2 else d2, h1
    if largest <= 1e-15:
        h1 = 1e-3 * h0 if h0 > 1e-3 else 1e-6
    else:
        h1 = exp2_of((-6.643856189774724 - log2_of(largest)) / q)     # (0.01/largest)^(1/q)
    return h1 if h1 < 100.0 * h0 else 100.0 * h0


cdef inline double trial_step_of(double d0, double d1) noexcept nogil:
    """The step of the explicit Euler trial from which d2 is computed."""
    return 1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1


cdef inline double scaled(double e, double y0, double y1, double rtol, double atol) noexcept nogil:
    """One component of the error in units of its tolerance; 0 for an error of 0, even if the tolerance is 0."""
    cdef double a = fabs(y0), b = fabs(y1)
    return 0.0 if e == 0.0 else e / (atol + rtol * (b if b > a else a))


cdef inline double two_errors(double sum5, double sum3, double per_n) noexcept nogil:
    """Square of dop853's combination of its two estimates (Hairer, Norsett and Wanner I, II.10), from the sums of their squares."""
    return sum5 * (sum5 / (sum5 + 0.01 * sum3)) * per_n if sum5 > 0.0 else (sum5 if sum5 != sum5 else 0.0)


cdef inline double error_sum(const control_t *c, const double *e, const double *y0, const double *y1, ptrdiff_t n) noexcept nogil:
    """Sum of the squares of all scaled errors: in order for a few numbers, else in 16 lanes for each chunk of 1024."""
    cdef double[16] lane
    cdef double total = 0.0, s, rtol = c.rtol, atol = c.atol
    cdef const double *r = c.rtol_of
    cdef const double *a = c.atol_of
    cdef ptrdiff_t lo, i, m, whole
    cdef int j
    if n <= MF_SHORT:
        for i in range(n):
            s = scaled(e[i], y0[i], y1[i], r[i] if r != NULL else rtol, a[i] if a != NULL else atol)
            total += s * s
        return total
    for lo in range(0, n, 1024):
        m = min(n - lo, <ptrdiff_t> 1024)
        whole = m - m % 16
        for j in range(16):
            lane[j] = 0.0
        if r == NULL:
            for i in range(lo, lo + whole, 16):
                for j in range(16):
                    s = scaled(e[i + j], y0[i + j], y1[i + j], rtol, atol)
                    lane[j] += s * s
        else:
            for i in range(lo, lo + whole, 16):
                for j in range(16):
                    s = scaled(e[i + j], y0[i + j], y1[i + j], r[i + j], a[i + j])
                    lane[j] += s * s
        for j in range(<int> (m - whole)):
            i = lo + whole + j
            s = scaled(e[i], y0[i], y1[i], r[i] if r != NULL else rtol, a[i] if a != NULL else atol)
            lane[j] += s * s
        total += fold_lanes(lane)
    return total
