"""Searches along a direction d: a step a > 0 with phi(a) = f(x + a d) low enough, by the rule of its kind.

    backtracking   phi(a) <= f_ref + c1 a phi'(0), a shrunk by a factor until it holds
    armijo         the same, a from the parabola or the cubic through what is known, kept between a/10 and a/2
    strong_wolfe   that, and |phi'(a)| <= c2 |phi'(0)|: a bracket, then zoom by cubics with safeguards
    exact          |phi'(a)| <= tol |phi'(0)|, phi(a) no higher than phi(0): a bracketed root; on a quadratic its first secant is the
                   answer. Where the slope changes sign within 1e-10 a and the rule still fails (a kink, or slopes that are rounding), it
                   ends as CLOSED

Where values have no digits left, |phi(a) - phi(0)| <= 10 eps |phi(0)|, strong_wolfe takes a point by its slope:
phi'(a) <= (2 c1 - 1) phi'(0) stands for Armijo's rule there. A trial whose value or slope is no number counts as too far, and so does
a callback's recoverable code. The lowest value seen is kept with its step and gradient, however a search ends.
A compiled callback never meets Python here: `line_search` runs without the GIL.
"""
from libc.math cimport INFINITY, NAN, fabs, sqrt
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.dot cimport dot_and_square
from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.problems.problem cimport Problem, raise_or

import numpy as np

from mflow_core.optimize.arrays import checked

cnp.import_array()

_CLOSED = CLOSED
_FOUND, _NO_DESCENT, _TOO_SMALL, _TOO_MANY, _UNBOUNDED = FOUND, NO_DESCENT, TOO_SMALL, TOO_MANY, UNBOUNDED
KINDS = {"exact": EXACT, "backtracking": BACKTRACKING, "armijo": ARMIJO, "strong_wolfe": STRONG_WOLFE}

cdef enum:
    GO_ON = 100                          # a trial that is too far
    USUAL_RISES = 8                      # after so many the bracket of a zoom is given up

cdef double EPS = 2.220446049250313e-16


# ---- trials -------------------------------------------------------------------------------------------------------------------------

cdef void line_begin(line_t *l) noexcept nogil:
    """With x, d, f0 and slope0 in place: nothing is evaluated yet."""
    l.a, l.f, l.slope, l.has_grad = 0.0, l.f0, l.slope0, False
    l.best_a, l.best_f, l.best_has_grad, l.best_here = 0.0, l.f0, False, False
    l.nfev = l.njev = 0


cdef inline bint is_finite(double x) noexcept nogil:
    return x - x == 0.0


cdef int line_trial(line_t *l, double a, bint want_grad) noexcept nogil:
    """phi(a), and phi'(a) where asked for. GO_ON: too far to have a value. < 0: the callback gave up. TOO_MANY: not evaluated."""
    cdef double none
    cdef ptrdiff_t i
    cdef int status
    if l.nfev >= l.limit:
        return TOO_MANY
    if l.best_here:
        l.grad, l.best_grad, l.best_here = l.best_grad, l.grad, False
    l.a, l.f, l.slope, l.has_grad = a, NAN, NAN, False
    if l.lower == NULL:
        for i in range(l.n):
            l.at[i] = l.x[i] + a * l.d[i]
    else:
        for i in range(l.n):
            l.at[i] = point_along(l, a, i)
    status = l.p.value_grad(l.at, &l.f, l.grad if want_grad else NULL, l.n, l.p.ctx)
    l.nfev += 1
    l.njev += want_grad
    if status < 0:
        return status
    if status > 0 or not is_finite(l.f):
        l.f = INFINITY if l.f != -INFINITY else NAN
        return GO_ON
    if want_grad:
        l.slope, l.has_grad = dot_and_square(l.grad, l.d, l.n, &none), True
        if not is_finite(l.slope):
            l.f, l.has_grad = INFINITY, False
            return GO_ON
    if l.f < l.best_f:
        l.best_a, l.best_f, l.best_has_grad, l.best_here = a, l.f, want_grad, want_grad
    return 0


cdef inline bint moves(const line_t *l, double a) noexcept nogil:
    """Whether x + a d is another point than x, by more than the least move."""
    cdef ptrdiff_t i
    for i in range(l.n):
        if l.x[i] + a * l.d[i] != l.x[i] and not fabs(a * l.d[i]) < l.least * (fabs(l.x[i]) if fabs(l.x[i]) > 1.0 else 1.0):
            return True
    return False


cdef inline bint low_enough(const line_t *l) noexcept nogil:
    return l.f <= l.f_ref + l.c1 * l.a * l.slope0


cdef inline double between(double a, double low, double high) noexcept nogil:
    """a, if it lies there; the nearer end else, low where a is no number."""
    return (high if a > high else a) if a > low else low


cdef inline double cubic_minimum(double a, double fa, double da, double b, double fb, double db) noexcept nogil:
    """Of the cubic with these values and slopes at a and b; NaN where it has none."""
    cdef double d1 = da + db - 3.0 * (fa - fb) / (a - b), square = d1 * d1 - da * db, d2
    if not square >= 0.0:
        return NAN
    d2 = sqrt(square) if b > a else -sqrt(square)
    return b - (b - a) * ((db + d2 - d1) / (db - da + 2.0 * d2))


# ---- backtracking and armijo --------------------------------------------------------------------------------------------------------

cdef int back(line_t *l, double a, bint interpolate) noexcept nogil:
    cdef double older_a = 0.0, older_f = 0.0, next_a, r1, r2, c, q
    cdef int status
    while True:
        status = line_trial(l, a, False)
        if status != 0 and status != GO_ON:
            return status
        if status == 0 and low_enough(l):
            return FOUND
        next_a = l.shrink * a
        if interpolate and status == 0:
            if older_a == 0.0:           # the parabola through phi(0), phi'(0), phi(a)
                next_a = -0.5 * l.slope0 * a * a / (l.f - l.f0 - l.slope0 * a)
            else:                        # the cubic through these and the trial before
                r1 = (l.f - l.f0 - l.slope0 * a) / (a * a)
                r2 = (older_f - l.f0 - l.slope0 * older_a) / (older_a * older_a)
                c = (r1 - r2) / (a - older_a)
                q = r1 - c * a
                next_a = (sqrt(q * q - 3.0 * c * l.slope0) - q) / (3.0 * c) if c != 0.0 else -0.5 * l.slope0 / q
            next_a = between(next_a, 0.1 * a, 0.5 * a)
            older_a, older_f = a, l.f
        if not moves(l, next_a):
            return TOO_SMALL
        a = next_a


# ---- strong Wolfe -------------------------------------------------------------------------------------------------------------------

cdef inline bint flat_enough(const line_t *l) noexcept nogil:
    return fabs(l.slope) <= -l.c2 * l.slope0


cdef inline double noise(const line_t *l) noexcept nogil:
    """Values nearer to each other than this are the same."""
    return 10.0 * EPS * fabs(l.f0)


cdef inline bint accepted(const line_t *l) noexcept nogil:
    """Armijo's rule, or the one that stands for it where values have no digits left."""
    return low_enough(l) or (fabs(l.f - l.f0) <= noise(l) and l.slope <= (2.0 * l.c1 - 1.0) * l.slope0)


cdef int zoom(line_t *l, double low, double f_low, double slope_low, double high, double f_high, double slope_high) noexcept nogil:
    """Between low, the best point that Armijo's rule lets pass, and high: phi' at low points towards high."""
    cdef double a, width = fabs(high - low), older = INFINITY, least, most, margin
    cdef int status, rises = 0           # trials in a row that lie above low, towards which phi' leads down: the slopes are untrue there
    while rises < l.rises:
        least, most = (low, high) if low < high else (high, low)
        if not moves(l, most) or most - least <= 2.0 * EPS * most:
            return TOO_SMALL
        a = cubic_minimum(low, f_low, slope_low, high, f_high, slope_high) if is_finite(slope_high) and is_finite(f_high) else NAN
        margin = 0.1 * (most - least)
        # Twice in a row a bracket that shrank by less than a third: in the middle.
        if a != a or fabs(high - low) > 0.66 * older:
            a = 0.5 * (low + high)
        a = between(a, least + margin, most - margin)
        older, width = width, fabs(high - low)
        status = line_trial(l, a, True)
        if status != 0 and status != GO_ON:
            return status
        if status == GO_ON or not accepted(l) or l.f > f_low + noise(l):
            high, f_high, slope_high = a, l.f, l.slope
            rises += low > 0.0           # up to the first point that passes, brackets may be long
            continue
        if flat_enough(l):
            return FOUND
        if l.slope * (high - low) >= 0.0:
            high, f_high, slope_high = low, f_low, slope_low
        low, f_low, slope_low, rises = a, l.f, l.slope, 0
    return TOO_SMALL


cdef int wolfe(line_t *l, double a) noexcept nogil:
    cdef double older_a = 0.0, older_f = l.f0, older_slope = l.slope0, guess
    cdef bint first = True
    cdef int status
    while True:
        status = line_trial(l, a, True)
        if status != 0 and status != GO_ON:
            return status
        if status == GO_ON or not accepted(l) or (not first and l.f > older_f + noise(l)):
            return zoom(l, older_a, older_f, older_slope, a, l.f, l.slope)
        if flat_enough(l):
            return FOUND
        if l.slope >= 0.0:
            return zoom(l, a, l.f, l.slope, older_a, older_f, older_slope)
        if a >= l.max_step:
            return UNBOUNDED
        guess = cubic_minimum(older_a, older_f, older_slope, a, l.f, l.slope)
        older_f, older_slope = l.f, l.slope
        guess = between(guess, 2.0 * a, 10.0 * a) if guess == guess and guess > a else 4.0 * a
        older_a, a, first = a, (guess if guess < l.max_step else l.max_step), False


# ---- exact --------------------------------------------------------------------------------------------------------------------------

cdef inline bint is_end(const line_t *l, double a, double low, double high) noexcept nogil:
    """Whether x + a d is the very point of low or of high: steps tell more apart than points do."""
    cdef bint first = True, last = True
    cdef ptrdiff_t i = 0
    while i < l.n and (first or last):
        first = first and l.x[i] + a * l.d[i] == l.x[i] + low * l.d[i]
        last = last and l.x[i] + a * l.d[i] == l.x[i] + high * l.d[i]
        i += 1
    return first or last


cdef inline int closed(const line_t *l, double low, double slope_high) noexcept nogil:
    """The slope changes sign in the bracket (or right at 0), by its rounding perhaps: no point is known to be nearer to its root.
    Where there are no numbers on the far side, or the value jumps up within, this is an edge and no root: the best point is kept."""
    return CLOSED if low > 0.0 and slope_high == slope_high and l.f <= l.f0 else TOO_SMALL


cdef int exact(line_t *l, double a) noexcept nogil:
    """A root of phi': outwards until the slope is not negative, then Illinois' secants, with bisection where they are slow."""
    cdef double low = 0.0, slope_low = l.slope0, high = INFINITY, slope_high = NAN, guess, width = INFINITY
    cdef double narrow = between(l.tol, 2.0 * EPS, 1e-10)
    cdef int status, side = 0
    cdef bint level, above
    while True:
        status = line_trial(l, a, True)
        if status != 0 and status != GO_ON:
            return status
        level = status == 0 and fabs(l.slope) <= -l.tol * l.slope0
        above = status == 0 and l.f > l.f0 + 4.0 * EPS * fabs(l.f0)
        if level and not above:
            return FOUND
        if status == GO_ON or (above and (level or l.slope < 0.0)):
            high, slope_high, side = a, NAN, 0       # no number there, or behind a hill: without a slope to draw a secant through
        elif l.slope < 0.0:
            if a >= l.max_step:
                return UNBOUNDED
            guess = a + (a - low) * (l.slope / (slope_low - l.slope))    # the secant's root, beyond a where the slope rises
            slope_high = 0.5 * slope_high if side < 0 else slope_high
            low, slope_low, side = a, l.slope, -1
            if high == INFINITY:
                a = between(guess, 1.01 * low, 10.0 * low) if guess == guess and guess > low else 10.0 * low
                a = a if a < l.max_step else l.max_step
                continue
        else:
            slope_low = 0.5 * slope_low if side > 0 else slope_low
            high, slope_high, side = a, l.slope, 1
        if high - low <= narrow * high or not moves(l, high):
            return closed(l, low, slope_high)
        guess = low - slope_low * ((high - low) / (slope_high - slope_low))
        if not (guess > low and guess < high) or high - low > 0.9 * width or is_end(l, guess, low, high):
            guess = low + 0.5 * (high - low)
            if is_end(l, guess, low, high):
                return closed(l, low, slope_high)
        width = high - low
        a = guess


# ---- all --------------------------------------------------------------------------------------------------------------------------------

cdef int line_search(line_t *l, int kind, double a) noexcept nogil:
    """From step a on. FOUND: the trial is the answer. Above 0: why there is none (best_a holds the lowest value seen). < 0: a callback."""
    cdef int status
    if not l.slope0 < 0.0:
        return NO_DESCENT
    a = a if a < l.max_step else l.max_step
    if kind == EXACT:
        status = exact(l, a)
    elif kind == STRONG_WOLFE:
        status = wolfe(l, a)
    else:
        status = back(l, a, kind == ARMIJO)
    return FOUND if status == UNBOUNDED and l.wall else status


cdef double bb_length(ptrdiff_t n, const double *x, const double *x_old, const double *g, const double *g_old, int form) noexcept nogil:
    """Barzilai and Borwein's step: s's/s'y (form 1) or s'y/y'y (form 2), s = x - x_old, y = g - g_old; NaN where s'y is not above 0."""
    cdef double ss = 0.0, sy = 0.0, yy = 0.0, s, y
    cdef ptrdiff_t i
    for i in range(n):
        s, y = x[i] - x_old[i], g[i] - g_old[i]
        ss += s * s
        sy += s * y
        yy += y * y
    if not sy > 0.0:
        return NAN
    s = ss / sy if form == 1 else sy / yy
    return s if is_finite(s) and s > 0.0 else NAN


def barzilai_borwein_step(x, x_old, g, g_old, int form=1):
    """The step's length, NaN where the curvature s'y is not above 0. Four contiguous float64 arrays of one size."""
    arrays = [checked(a, name, False) for a, name in ((x, "x"), (x_old, "x_old"), (g, "g"), (g_old, "g_old"))]
    if len({a.size for a in arrays}) != 1:
        raise ValueError(f"x, x_old, g, g_old: expected arrays of one size, got {[a.size for a in arrays]}")
    return bb_length(arrays[0].size, <const double *> cnp.PyArray_DATA(arrays[0]), <const double *> cnp.PyArray_DATA(arrays[1]),
                     <const double *> cnp.PyArray_DATA(arrays[2]), <const double *> cnp.PyArray_DATA(arrays[3]), form)


def search(Problem problem not None, cnp.ndarray x not None, cnp.ndarray d not None, int kind, double initial, double f0, g0, f_ref,
           double c1, double c2, double shrink, double tol, double max_step, int64_t limit):
    """One search. f0 NaN or g0 None: evaluated first. Returns a dict; an exception of a Python callback is raised, x untouched.

    status as above (negative: the callback's code); a, f, grad (or None) of the answer, or of the lowest value where there is none;
    best_a, best_f; slope0; nfev, njev.
    """
    cdef line_t l
    cdef ptrdiff_t n = checked(x, "x", False).size
    cdef double none, start_value = f0
    cdef int status = 0
    cdef bint begun
    cdef unsigned int mode
    cdef double *block
    cdef const double *slope_at
    if checked(d, "d", False).size != n or problem.c.n != n:
        raise ValueError(f"d: expected {n} numbers as in x, got {d.size}")
    block = <double *> mf_zeros(max(<size_t> (4 * n), 1), sizeof(double))
    if block == NULL:
        raise MemoryError()
    l.p, l.n, l.x, l.d = &problem.c, n, <const double *> cnp.PyArray_DATA(x), <const double *> cnp.PyArray_DATA(d)
    l.at, l.grad, l.best_grad = block, block + n, block + 2 * n
    l.c1, l.c2, l.shrink, l.tol, l.max_step, l.limit = c1, c2, shrink, tol, max_step, limit
    l.f0, l.slope0 = f0, NAN
    l.lower = l.upper = NULL
    l.wall, l.rises, l.least = False, USUAL_RISES, 0.0
    try:
        line_begin(&l)
        if g0 is not None:
            if checked(g0, "g0", False).size != n:
                raise ValueError(f"g0: expected {n} numbers as in x, got {g0.size}")
            memcpy(block + 3 * n, cnp.PyArray_DATA(g0), n * sizeof(double))
        begun = g0 is not None and start_value == start_value
        slope_at = block + 3 * n
        with nogil:
            mode = mf_fp_enter()
            if not begun:
                memcpy(l.at, l.x, n * sizeof(double))
                status = l.p.value_grad(l.at, &start_value, block + 3 * n, n, l.p.ctx)
            mf_fp_leave(mode)
        if status == 0:
            l.f0, l.slope0 = start_value, dot_and_square(slope_at, l.d, n, &none)
            l.f_ref = start_value if f_ref is None else f_ref
            evaluated = 0 if begun else 1
            line_begin(&l)
            l.nfev = l.njev = evaluated
            if not (is_finite(l.f0) and is_finite(l.slope0)):
                status = -1005
        elif status > 0:
            status = -1005
        if status == 0:
            with nogil:
                mode = mf_fp_enter()
                status = line_search(&l, kind, initial)
                mf_fp_leave(mode)
        raise_or(status)
        return answer(&l, status, block + 3 * n)
    finally:
        free(block)


cdef dict answer(line_t *l, int status, const double *start_grad):
    cdef bint ours = status == FOUND
    cdef double a = l.a if ours else l.best_a
    cdef const double *grad = l.grad if ours else (best_gradient(l) if l.best_a > 0.0 else start_grad)
    cdef bint has_grad = l.has_grad if ours else (l.best_has_grad or l.best_a == 0.0)
    out = None
    if has_grad:
        out = np.empty(l.n)
        memcpy(cnp.PyArray_DATA(out), grad, l.n * sizeof(double))
    return {"status": status, "a": a, "f": l.f if ours else l.best_f, "grad": out, "best_a": l.best_a, "best_f": l.best_f, "f0": l.f0,
            "slope0": l.slope0, "edge": l.a, "nfev": l.nfev, "njev": l.njev}
