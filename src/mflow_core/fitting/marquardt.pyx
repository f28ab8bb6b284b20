"""Levenberg and Marquardt's method for residuals r(x), within bounds: one loop for compiled functions and for those that call back.

    min |J p + r|^2/2  with |D p| <= delta          (J'J + lambda D^2) p = -J'r,  D_j the largest |column j of J| so far

lambda comes from More's secular equation on R of J/D = Q R (triangle.pxd): 0, Gauss and Newton's step, where that lies within delta.
delta follows the gain, the actual decrease over the foreseen one, as in MINPACK, but shrinks by no more than 0.35 at once. In the
words of the gradient flow D^2 x' = -J'r, of which a step is one of backward Euler, 1/lambda is its dt.

Where the residuals stay large, the cost may bend along a parameter by far more than its column tells, as by f f'' where f' vanishes. Such a
D_j leaves the others no step within delta; after six steps along which the cost bends by BENT times |D p|^2/2, D_j of the parameters that
do so becomes the root of the curvature of the cost over their parts of the step.

Bounds, by projection and active sets: a parameter at a bound that the cost would push through it rests. A step that leaves the box ends on
it: the parameters that would leave are set on their bounds, and the others' step is solved for anew, until none leaves. As delta shrinks
the step turns into that of the projected gradient, which descends (Bertsekas, SIAM J. Control Optim. 20 (1982) 221-246).

As k of x/(k + x) passes 0 a fit may leap over poles between the data, into minima between them. A step over 0 in a parameter is
taken only where the residuals are near those of the linear model.

Where f has no digits left to compare, a step is judged by the length of r in the plane of the columns, |Q'r|, which Gauss and Newton's
step takes to 0.

Nothing is allocated on the way. Sums run in the fixed lanes of dot.pxd, and no libm is called but sqrt.

Sources: J. More, Lecture Notes in Math. 630 (1978) 105-116; J. More, B. Garbow and K. Hillstrom, MINPACK-1 (1980); for `accelerated`,
M. Transtrum and J. Sethna, arXiv:1201.5885 (2012).
"""
from libc.math cimport INFINITY, NAN, fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset

from mflow_core.arithmetic.dot cimport dot
from mflow_core.fitting.point cimport (BLURRED, BOTH, DIFFERENCES, FTOL, GTOL, MAX_NFEV, PAUSE, ROUNDING, STEPPED, STUCK, VANISHED, XTOL,
                                       ZEROS, clear_fixed, cost_of, factor, finite, free_columns, jacobian, look, marquardt_t, step_of,
                                       transposed, unit, weigh, weigh_residuals)
from mflow_core.fitting.triangle cimport apply_qt, back, damped, length, marquardt

cdef enum:
    PATIENCE = 6                         # steps in a row that change nothing, or along which the cost bends too much
    LONG = 20                            # such steps before another look, where one has changed no unit
    FEW = 50                             # parameters

cdef double EPS = 2.220446049250313e-16
cdef double FLAT = 1e-12                 # changes of f below this share of it tell nothing
cdef double MOST_FLAT = 1e-3
cdef double SEEN = 1e-10                 # of |r|: the first step where x does not move the residuals by so much
cdef double PLANE = 100.0                # times gtol: the cosine of r with the plane of the columns
cdef double SINGULAR = 1e-13             # the least lambda where R is singular: its step is the shortest one to rounding
cdef double SHRINK = 0.35
cdef double COUNTS = 0.1                 # of |D p|: of many parameters those whose part of it is larger are looked at alone
cdef double BENT = 20.0                  # times D_j^2: curvatures of the cost above it change D_j,
cdef double BENT_AGAIN = 4.0             # and above this, where they have changed one before
cdef double NEAR = 2.0                   # times the cost: where it is higher, as on walls of exponentials, it tells no unit of another place
cdef double BEND = 0.75                  # the largest 2 |a|/|p|
cdef double PROBE = 0.1                  # the part of p over which the second derivative along it is taken
cdef double STRAYS = 2.0                 # times the largest entry of |J p|: how far a step over a parameter's 0 may lead from f + J p
cdef double CUT = 10.0                   # times the root of ftol: what of |r| lies in the plane of the columns where a short step ends nothing
cdef double LEAP = 0.1                   # of |D x|: a step above it is no last one unless the Jacobian at its end says so
cdef double PORTION = 2e7                # multiplications between looks at signals


# ---- the step -----------------------------------------------------------------------------------------------------------------------

cdef void scatter(marquardt_t *s) noexcept nogil:
    """move from z, in the columns of the factorisation."""
    cdef ptrdiff_t a, j
    for a in range(s.k):
        j = s.columns[s.pivot[a]]
        s.move[j] = s.z[a] / unit(s, j)


cdef double solved(marquardt_t *s, double radius) noexcept nogil:
    """z of length `radius` at most, and lambda, in the columns of the factorisation."""
    cdef double lowest = 0.0
    if s.rank == 0:
        memset(s.z, 0, s.k * sizeof(double))
        return s.lam
    if s.rank < s.k:
        lowest = SINGULAR * s.R[0] * s.R[0]
    return marquardt(s.R, s.w, radius, s.lam, lowest, s.S, s.z, s.room, s.k, s.rank, &s.ear)


cdef double first_radius(marquardt_t *s) noexcept nogil:
    """delta of the first step: where dt is given the length of that step of the flow, else |D x|, so that no parameter is lost, but not
    below what lowers the cost by more than its rounding; |r|, which one column alone could take away, where x is 0."""
    cdef double square = 0.0, part, least = SEEN * s.length
    cdef ptrdiff_t a, j
    if s.dt > 0.0:
        s.lam = 1.0 / s.dt
        damped(s.R, s.w, sqrt(s.lam), s.S, s.z, s.room, s.k, &s.ear)
        return length(s.z, s.k)
    for a in range(s.k):
        j = s.columns[a]
        part = unit(s, j) * s.x[j]
        square = square + part * part
    part = sqrt(square)
    if part > 0.0:
        return part if part > least else least
    return s.length if s.length > 0.0 else 1.0


cdef bint leaves(const marquardt_t *s) noexcept nogil:
    """Whether x + move is outside of the box in a parameter that moves."""
    cdef ptrdiff_t a, j
    for a in range(s.k):
        j = s.columns[a]
        if not s.lower[j] <= s.x[j] + s.move[j] <= s.upper[j]:
            return True
    return False


cdef void onto_the_box(marquardt_t *s) noexcept nogil:
    """Those that would leave end on their bounds, the step of the others is solved for anew, until none leaves."""
    cdef ptrdiff_t m = s.m, n = s.n, a, j, i, kept
    cdef double used = 0.0, part, radius
    while s.k and leaves(s):
        kept = 0
        for a in range(s.k):
            j = s.columns[a]
            if s.lower[j] <= s.x[j] + s.move[j] <= s.upper[j]:
                s.columns[kept] = <int32_t> j
                kept += 1
                s.move[j] = 0.0
                continue
            s.move[j] = (s.lower[j] if s.x[j] + s.move[j] < s.lower[j] else s.upper[j]) - s.x[j]
            part = unit(s, j) * s.move[j]
            used = used + part * part
        s.k = kept
        memcpy(s.trial, s.r, m * sizeof(double))
        for i in range(m):
            part = 0.0
            for j in range(n):
                part = part + s.J[i * n + j] * s.move[j]
            s.trial[i] = s.trial[i] + part
        transposed(s)
        factor(s, s.trial)
        if s.ear.heard != 0:
            break
        radius = s.delta * s.delta - used
        radius = sqrt(radius) if radius > 0.01 * s.delta * s.delta else 0.1 * s.delta
        if s.k:
            solved(s, radius)
            scatter(s)
    s.dirty = True


cdef double foreseen_by(const marquardt_t *s, double *slope) noexcept nogil:
    """By how much the linear model lowers the cost over `move`; slope: g.move."""
    cdef double square = 0.0, part
    cdef ptrdiff_t i, j, n = s.n
    for i in range(s.m):
        part = 0.0
        for j in range(n):
            part = part + s.J[i * n + j] * s.move[j]
        square = square + part * part
    slope[0] = dot(s.g, s.move, n)
    return -slope[0] - 0.5 * square


cdef int accelerate(marquardt_t *s, bint *straight) noexcept nogil:
    """move += a/2, where a is the second derivative of the path; straight: whether that is short enough beside it."""
    cdef ptrdiff_t m = s.m, n = s.n, i, j, a
    cdef double part, square = dot(s.z, s.z, s.k)
    cdef int status
    straight[0] = False
    for j in range(n):
        s.new[j] = s.x[j] + PROBE * s.move[j]
    s.nfev += 1
    s.calls += 1
    status = s.fun(s.new, s.trial, NULL, m, n, s.ctx)
    if status != 0:
        return status
    for i in range(m):
        part = 0.0
        for j in range(n):
            part = part + s.J[i * n + j] * s.move[j]
        s.trial[i] = (2.0 / PROBE) * ((s.trial[i] - s.f[i]) * (1.0 if s.loss == NULL else s.root[i]) / PROBE - part)
    if not finite(s.trial, m):
        return 0
    apply_qt(s.A, m, s.k, s.trial)
    for a in range(s.k):
        s.trial[a] = -s.trial[a]
    if s.lam > 0.0:
        damped(s.R, s.trial, sqrt(s.lam), s.S, s.z, s.room, s.k, &s.ear)
    else:
        back(s.R, s.trial, s.z, s.k, s.rank)
    if not 2.0 * length(s.z, s.k) <= BEND * sqrt(square):
        return 0
    straight[0] = True
    for a in range(s.k):
        j = s.columns[s.pivot[a]]
        s.move[j] = s.move[j] + 0.5 * s.z[a] / unit(s, j)
    return 0


cdef int find_step(marquardt_t *s, double *foreseen, double *slope, double *size, bint *good) noexcept nogil:
    """new = x + move, |D move| and what the linear model foresees; good: whether it is worth an evaluation."""
    cdef ptrdiff_t j, a
    cdef double part
    cdef int status = 0
    if s.dirty:
        transposed(s)
        free_columns(s)
        factor(s, s.r)
        s.dirty = s.ear.heard != 0
        if s.dirty:
            return s.ear.heard
    memset(s.move, 0, s.n * sizeof(double))
    good[0] = True
    if s.delta < 0.0:
        s.delta = first_radius(s)
        if s.dt <= 0.0:
            s.lam = solved(s, s.delta)
        part = length(s.z, s.k)
        s.delta = part if part < s.delta else s.delta
    else:
        s.lam = solved(s, s.delta)
    if s.ear.heard != 0:
        return s.ear.heard
    scatter(s)
    size[0] = length(s.z, s.k)
    if s.bounded and leaves(s):
        onto_the_box(s)
        foreseen[0] = foreseen_by(s, slope)
        size[0] = 0.0
        for j in range(s.n):
            part = unit(s, j) * s.move[j]
            size[0] = size[0] + part * part
        size[0] = sqrt(size[0])
        good[0] = foreseen[0] > 0.0
    else:
        foreseen[0], slope[0] = s.lam * size[0] * size[0], 0.0
        part = 0.0
        for a in range(s.k):
            part = part + rows_square(s, a)
            slope[0] = slope[0] + s.g[s.columns[s.pivot[a]]] * s.move[s.columns[s.pivot[a]]]
        foreseen[0] = foreseen[0] + 0.5 * part
        if s.accelerated and foreseen[0] > 1e-10 * s.cost and PROBE * PROBE * sqrt(part) >= 20.0 * s.grain:
            status = accelerate(s, good)
    for j in range(s.n):
        s.new[j] = s.x[j] + s.move[j]
        s.new[j] = s.lower[j] if s.new[j] < s.lower[j] else (s.upper[j] if s.new[j] > s.upper[j] else s.new[j])
    return status if status != 0 else s.ear.heard


cdef inline double rows_square(const marquardt_t *s, ptrdiff_t a) noexcept nogil:
    """(R z)_a^2."""
    cdef double total = 0.0
    cdef ptrdiff_t i
    for i in range(a, s.k):
        total = total + s.R[a * s.k + i] * s.z[i]
    return total * total


# ---- the loop -----------------------------------------------------------------------------------------------------------------------

cdef inline void swap(double **a, double **b) noexcept nogil:
    cdef double *held = a[0]
    a[0] = b[0]
    b[0] = held


cdef void exchange(marquardt_t *s) noexcept nogil:
    """The trial point becomes x, and x the trial."""
    swap(&s.x, &s.new)
    swap(&s.f, &s.trial)
    swap(&s.J, &s.J_new)


cdef inline void shorten(marquardt_t *s, double size, double share) noexcept nogil:
    s.delta = share * (s.delta if s.delta < 10.0 * size else 10.0 * size)
    s.lam = s.lam / share


cdef int check(marquardt_t *s) noexcept nogil:
    """The tests at a point; 0: go on."""
    if s.ended != 0:
        return s.ended
    if s.zeros:
        return ZEROS
    if s.cosine <= s.gtol and s.plane <= PLANE * s.gtol * s.length:
        return GTOL
    if s.differences and s.plane <= s.blur * s.length:
        return DIFFERENCES
    if s.nfev >= s.limit or s.call_limit > 0 and s.calls >= s.call_limit:
        return MAX_NFEV
    if s.still >= PATIENCE and s.length <= EPS * s.first:
        return VANISHED
    if s.work > PORTION:
        s.work = 0.0
        return PAUSE
    return 0


cdef inline int given_up(marquardt_t *s) noexcept nogil:
    return ROUNDING if s.steepest <= s.noise or s.plane <= 1e-9 * s.length else STUCK


cdef int trial(marquardt_t *s, double *cost) noexcept nogil:
    """f, and J where both come together, at the new point."""
    cdef int status
    s.nfev += 1
    s.calls += 1
    if s.together:
        s.njev += 1
    status = s.fun(s.new, s.trial, s.J_new if s.together else NULL, s.m, s.n, s.ctx)
    if s.together:
        clear_fixed(s, s.J_new)
    s.work += 10.0 * <double> s.m
    return status if status != 0 else cost_of(s, s.trial, cost)


cdef int go_there(marquardt_t *s, double cost, bint judged, bint *taken) noexcept nogil:
    """x becomes the new point, with its Jacobian; judged: only if |Q'r| sinks there. taken: False where J is not finite, too."""
    cdef double before = s.plane, cost_before = s.cost
    cdef int status = 0 if s.together else jacobian(s, s.new, s.trial, s.J_new)
    taken[0] = False
    if status != 0 or not finite(s.J_new, s.m * s.n):
        return status
    exchange(s)
    s.cost = cost
    status = weigh(s)
    if status != 0:
        return status
    look(s)
    if s.ear.heard != 0:
        return s.ear.heard
    if judged and not s.plane < 0.9 * before:
        exchange(s)
        s.cost = cost_before
        status = weigh_residuals(s)
        if status == 0:
            look(s)
            status = s.ear.heard
        return status
    taken[0] = True
    return 0


cdef void judge(marquardt_t *s, double gain, double fall, double slope, double size, bint flat) noexcept nogil:
    """delta and lambda after a step; fall: the share of the cost that it took off; slope: g.p/(2 cost)."""
    cdef double share
    if gain <= 0.25:
        share = 0.5 if fall >= 0.0 else 0.5 * slope / (slope + 0.5 * fall)
        share = 0.25 if flat else (share if share > SHRINK else SHRINK)
        shorten(s, size, share)
    elif s.lam == 0.0 or s.rank < s.k or gain >= 0.75:
        s.delta, s.lam = 2.0 * size, 0.5 * s.lam


cdef void settle(marquardt_t *s, double size) noexcept nogil:
    """After a step that was taken: how far x has come, and where it stands still."""
    cdef bint still = True
    cdef ptrdiff_t j
    s.nit += 1
    for j in range(s.n):
        s.moved[j] = s.x[j] - s.new[j]
        if fabs(s.x[j]) > s.top[j]:
            s.top[j] = fabs(s.x[j])
        if fabs(s.moved[j]) > EPS * s.top[j]:
            still = False
    s.still = s.still + 1 if still else 0


cdef inline double too_bent(const marquardt_t *s) noexcept nogil:
    return BENT_AGAIN if s.raised else BENT


cdef int in_units_that_bend(marquardt_t *s, double size) noexcept nogil:
    """D_j of the parameters that a step moves: at least the root of the curvature of the cost over their part of it. Columns alone tell that
    where the residuals are small or hardly bend; one that vanishes at the minimum would leave the others no step at all."""
    cdef ptrdiff_t a, j
    cdef double h, cost = NAN, bend, square = 0.0
    cdef bint changed = False
    cdef int status
    for a in range(s.k):
        j = s.columns[a]
        h = s.new[j] - s.x[j]
        if h == 0.0 or s.k > FEW and not unit(s, j) * fabs(h) >= COUNTS * size:
            continue
        memcpy(s.at, s.x, s.n * sizeof(double))
        s.at[j] = s.new[j]
        s.nfev += 1
        s.calls += 1
        status = s.fun(s.at, s.other, NULL, s.m, s.n, s.ctx)
        if status == 0:
            status = cost_of(s, s.other, &cost)
        if status != 0:
            return status
        bend = (cost - s.cost) - s.g[j] * h
        if not cost <= NEAR * s.cost or bend <= flat_below(s) * s.cost:
            continue
        bend = 2.0 * bend / h / h
        if bend > too_bent(s) * s.D[j] * s.D[j]:
            s.D[j], changed = sqrt(bend), True
    s.raised = s.raised or changed
    s.bent = 0 if changed else -LONG
    if not changed:
        return 0
    for j in range(s.n):
        bend = unit(s, j) * (s.new[j] - s.x[j])
        square = square + bend * bend
    s.delta, s.dirty = sqrt(square), True
    return 0


cdef inline bint sloped(const marquardt_t *s) noexcept nogil:
    """Whether the least of the linear model is lower by far more than ftol."""
    return s.plane > CUT * sqrt(s.ftol) * s.length


cdef inline bint begins_to_fall(const marquardt_t *s, double gain) noexcept nogil:
    """Whether a step was cut by the radius, which now grows, as it went as foreseen, far above the least of the linear model: that it
    lowered the cost by a small share, as the first steps towards much larger parameters do, tells no end."""
    return s.lam > 0.0 and 0.75 <= gain <= 2.0 and sloped(s)


cdef bint leaps(const marquardt_t *s, double cost, double size) noexcept nogil:
    """Whether a step is a large part of x, or of a parameter that counts beside the residuals at its end, so that the Jacobian where it
    began tells nothing there."""
    cdef double square = 0.0, part, least = LEAP * sqrt(2.0 * cost)
    cdef ptrdiff_t j
    for j in range(s.n):
        part = unit(s, j) * s.new[j]
        square = square + part * part
        part = fabs(s.new[j] - s.x[j])
        if part > 0.5 * fabs(s.new[j]) and s.norms[j] * part > least:
            return True
    return size > LEAP * sqrt(square)


cdef int tolerance(const marquardt_t *s, const double *x, double fall, double foreseen, double gain, bint took) noexcept nogil:
    """MINPACK's tests: FTOL, XTOL or BOTH; 0 where neither holds."""
    cdef double square = 0.0, part
    cdef ptrdiff_t j
    cdef int found = 0
    if s.ftol > 0.0 and fabs(fall) <= s.ftol and foreseen <= s.ftol * s.cost and gain <= 2.0:
        found = FTOL
    if s.xtol > 0.0 and took:
        for j in range(s.n):
            part = unit(s, j) * x[j]
            square = square + part * part
        if s.delta <= s.xtol * sqrt(square):
            found = BOTH if found else XTOL
    return found


cdef bint blurred(const marquardt_t *s) noexcept nogil:
    """Whether steps have become shorter than those of differences on the way to a root, where J vanishes as well."""
    cdef double second
    cdef ptrdiff_t j
    if not s.length * s.length <= EPS * s.first * s.first or not s.plane * s.plane > 0.25 * s.length * s.length:
        return False
    for j in range(s.n):
        if not s.fixed[j] and not fabs(s.moved[j]) < fabs(step_of(s, s.x, j, &second)):
            return False
    return True


cdef double flat_below(const marquardt_t *s) noexcept nogil:
    """The share of the cost below which changes tell nothing: what rounding of the residuals, whose terms may be much larger, makes."""
    cdef double level = FLAT if FLAT > 10.0 * s.eps else 10.0 * s.eps
    cdef double made = 0.01 * s.rounding / s.length if s.length > 0.0 else 0.0
    if s.grain > 0.0:
        made = 6.0 * s.grain / sqrt(2.0 * s.cost)
        made = made if made < 1.0 else 1.0
        return made if made > FLAT else FLAT
    made = made if made < MOST_FLAT else MOST_FLAT
    return level if level > made else made


cdef bint strays(marquardt_t *s) noexcept nogil:
    """Whether a step over 0 in a parameter, where a pole of the model may lie, leads too far from f + J p in some residual, without the
    loss. The cost does not tell: beyond the pole it may be as low as foreseen, the more so where a loss counts residuals beside it for
    little."""
    cdef double linear = 0.0, off = 0.0, part, rest
    cdef ptrdiff_t i, j
    cdef bint crosses = False
    for j in range(s.n):
        crosses = crosses or s.x[j] * s.new[j] < 0.0
    if not crosses:
        return False
    s.work += <double> s.m * <double> s.n
    for i in range(s.m):
        part = 0.0
        for j in range(s.n):
            part = part + s.J[i * s.n + j] * (s.new[j] - s.x[j])
        if s.loss != NULL:               # J has its weights
            if not s.root[i] > 0.0:
                continue
            part = part / s.root[i]
        rest = s.trial[i] - s.f[i] - part
        linear = fabs(part) if fabs(part) > linear else linear
        off = fabs(rest) if fabs(rest) > off else off
    return off > STRAYS * linear


cdef int try_step(marquardt_t *s) noexcept nogil:
    """One trial; 0: go on."""
    cdef double foreseen, slope, size, cost = NAN, gain, told, fall, level
    cdef bint good, flat, take, judged, falls, taken = False
    cdef int found = 0, status = find_step(s, &foreseen, &slope, &size, &good)
    if status != 0:
        return status
    if s.idle >= PATIENCE or not s.delta > 1e-300 or stands(s):
        return given_up(s)
    if not good:
        shorten(s, size, SHRINK)
        return 0
    status = trial(s, &cost)
    if status != 0:
        return status
    if cost - cost != 0.0:
        memcpy(s.edge, s.new, s.n * sizeof(double))
        shorten(s, size, 0.25)
        return 0
    gain = (s.cost - cost) / foreseen if foreseen > 0.0 else 0.0
    fall = (s.cost - cost) / s.cost
    s.idle = s.idle + 1 if foreseen <= EPS * s.cost and not gain > 0.0 else 0
    level = flat_below(s)
    flat = foreseen <= level * s.cost and cost <= s.cost * (1.0 + level)
    judged = flat and not gain > 0.75    # values have no digits left: the gradient decides
    take = judged or gain > 1e-4
    told = 1.0 if flat else gain         # a gain of rounding tells nothing of the model
    if s.lam == 0.0:
        s.bent = 0
    elif not (flat or s.own_scale) and cost <= NEAR * s.cost and (cost - s.cost) - slope > 0.5 * too_bent(s) * size * size:
        s.bent += 1                      # the cost bends by more than the units of the parameters say
    slope = slope / (2.0 * s.cost)
    if take and not judged and strays(s):
        shorten(s, size, SHRINK)
        return 0
    if take and not judged:
        falls = begins_to_fall(s, told)
        judge(s, gain, fall, slope, size, False)
        found = 0 if falls else tolerance(s, s.new, fall, foreseen, told, True)
        s.ended = 0 if leaps(s, cost, size) else found
        if s.ended != 0 and s.differences:
            return last_step(s, cost, size)
    if take:
        status = go_there(s, cost, judged, &taken)
        if status != 0:
            return status
        if taken and not judged and not sloped(s):
            s.ended = found
    if judged or not taken:
        judge(s, 1.0 if taken else 0.0, 0.0 if taken else -INFINITY, slope, size, flat)
        s.ended = 0 if taken else tolerance(s, s.x, fall, foreseen, told, False)
    if taken:
        settle(s, size)
    if s.bent >= PATIENCE and s.ended == 0:
        status = in_units_that_bend(s, size)
        if status != 0:
            return status
    if not taken:
        return 0
    if s.refinable and gain < 0.9 and blurred(s):
        return BLURRED
    return STEPPED if s.tell else 0


cdef int last_step(marquardt_t *s, double cost, double size) noexcept nogil:
    """The step that ends a run by SciPy's tests: no differences for another Jacobian, which nobody would follow."""
    cdef int status
    swap(&s.x, &s.new)
    swap(&s.f, &s.trial)
    s.cost, s.stale = cost, True
    status = weigh_residuals(s)
    s.length = length(s.r, s.m)
    settle(s, size)
    return status if status != 0 else (STEPPED if s.tell else 0)


cdef inline bint stands(const marquardt_t *s) noexcept nogil:
    cdef ptrdiff_t j
    for j in range(s.n):
        if s.new[j] != s.x[j]:
            return False
    return True


cdef int advance(marquardt_t *s) noexcept nogil:
    """On to an ending, or to what the caller is asked for; a code below 0 is that of the function."""
    cdef int status
    while True:
        status = check(s)
        if status == 0:
            status = try_step(s)
        if status != 0:
            return status
