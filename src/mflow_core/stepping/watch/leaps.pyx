"""Steps under error control that leap over a pole.

A rate s/(K + s) has a pole at s = -K, just beyond 0, where no solution goes: the rate is 0 at s = 0. A step from s >> K to s << -K sees
none of it, for the rate is nearly 1 on both sides, and so is its error estimate near 0: the run would go on below 0 for good.

Where a component changes its sign in a good step, and moves on in the same direction at much the same speed, f is asked once: where the
component arrives at 0, on the polynomial through the step, from the side that it comes from. If its slope there is far from the polynomial's
(and the distance counts in tolerances: in implicit steps as what (1 - gh J)^-1 leaves of it) the step is thrown away, and the next one is a
fifth of it. So steps come down to where they see the rate change. A component that passes once is not looked at again: what oscillates costs
one evaluation in all. Of many components that cross one after the other a few are looked at, and more with the number of steps.

With a mass matrix M y' = f the slopes are those of M^-1, so the distance is what (M - gh J)^-1 (f - M y') says of the component.

Not seen: other numbers than 0, rates that change within the tolerances, masses that change with time or belong to a host's problem, motion.
"""
from libc.math cimport fabs
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.registry cimport REDUCE
from mflow_core.solvers.newton cimport newton_lsolve
from mflow_core.solvers.stages.mass cimport mass_times, mass_varies
from mflow_core.stepping.output cimport extend
from mflow_core.stepping.run cimport LEAPS_OF, run_t
from mflow_core.types cimport MF_FRESH, MF_IMPLICIT

cdef enum:
    DEGREE = 8                           # of polynomials, at most
    HALVINGS = 40
    PASSED = 32                          # evaluations that found nothing, and one more in PER steps
    PER = 16
    THROWN = 256                         # steps thrown away: so many, and one more a step

cdef double ARRIVES = 1e-9               # of where it began: where f is asked, rather than at 0, where it may have no value
cdef double ALIKE = 4.0                  # a factor between slopes of a component on both sides of 0, and there
cdef double OTHER = 0.5                  # of a slope: a difference that no error within the tolerances makes
cdef double FAR = 8.0                    # tolerances
cdef double FIFTH = 1e12                 # the square of an error that asks for a step as short as one try may make it


cdef inline int coefficients(const run_t *r, ptrdiff_t i, double h, double *c) noexcept nogil:
    """Of the polynomial a + c_0 theta + c_1 theta^2 + ... through the step; their number. That of an explicit step has the slopes of both
    ends, or at a start that of its end."""
    cdef double change, u, v
    cdef int k
    if r.newton != NULL:
        for k in range(r.n_D):
            c[k] = r.f.D[k * r.ld + i]
        return r.n_D
    change, u, v = r.next[0][i] - r.now[0][i], h * r.now[1][i], h * r.next[1][i]
    if r.f.flags & MF_FRESH:
        c[0], c[1] = 2.0 * change - v, v - change
        return 2
    c[0], c[1], c[2] = u, 3.0 * change - (2.0 * u + v), (u + v) - 2.0 * change
    return 3


cdef inline double value(const double *c, int degree, double a, double theta) noexcept nogil:
    cdef double s = c[degree - 1]
    cdef int k
    for k in range(degree - 2, -1, -1):
        s = c[k] + theta * s
    return a + theta * s


cdef inline double rate(const double *c, int degree, double theta) noexcept nogil:
    """h times the polynomial's slope."""
    cdef double s = degree * c[degree - 1]
    cdef int k
    for k in range(degree - 1, 0, -1):
        s = k * c[k - 1] + theta * s
    return s


cdef double crossing(const double *c, int degree, double a) noexcept nogil:
    """Where the polynomial is 0, by halves: theta."""
    cdef double low = 0.0, high = 1.0, middle = 0.5
    cdef int _
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        if (value(c, degree, a, middle) < 0.0) == (a < 0.0):
            low = middle
        else:
            high = middle
    return middle


cdef inline bint alike(double slope, double there) noexcept nogil:
    return slope * there > 0.0 and fabs(there) <= ALIKE * fabs(slope) and fabs(slope) <= ALIKE * fabs(there)


cdef int massive_offset(run_t *r, ptrdiff_t i, double h, double theta, double *off) noexcept nogil:
    """How far component i goes astray in the step for f - M y' at theta, f in slope_there; the status of that solution."""
    cdef double[DEGREE] c
    cdef double gh = r.newton.m.gh
    cdef double *rates = r.slope_there + r.ld
    cdef ptrdiff_t j
    cdef int status
    for j in range(r.n):
        rates[j] = rate(c, coefficients(r, j, h, c), theta)
    mass_times(r.newton.c.matrix.mass, r.n, rates, r.err)
    for j in range(r.n):
        r.err[j] = gh * r.slope_there[j] - gh / h * r.err[j]
    status = newton_lsolve(r.t, gh, r.err, r.slope_there, r.n, r.newton)
    off[0] = fabs(r.slope_there[i] * (h / gh))
    return status


cdef int differs(run_t *r, ptrdiff_t i, double h, double theta, double size, bint *far) noexcept nogil:
    """Whether f is far from the slope of the polynomial where component i arrives at 0; the status of that evaluation."""
    cdef double[DEGREE] c
    cdef double gh, there, f, off
    cdef double *state = r.err               # whose number has been taken
    cdef bint massive = r.newton != NULL and r.newton.c.matrix.mass != NULL
    cdef int degree, status
    cdef ptrdiff_t j
    for j in range(r.n):
        degree = coefficients(r, j, h, c)
        state[j] = value(c, degree, r.now[0][j], theta)
    state[i] = ARRIVES * r.now[0][i]
    status = r.p.rhs(r.t + theta * h, state, r.slope_there, r.n, r.p.ctx)
    r.leaps[0] += 1
    if status != 0 or not REDUCE.all_finite(r.slope_there, r.n):
        return min(status, 0)
    there, f = rate(c, coefficients(r, i, h, c), theta), h * r.slope_there[i]
    if massive:
        if not r.newton.m.has_factors:
            return 0
        status = massive_offset(r, i, h, theta, &off)
        far[0] = status == 0 and off > OTHER * fabs(there) and off > FAR * size
        return min(status, 0)
    off = fabs(f - there)
    if off <= OTHER * max(fabs(f), fabs(there)):
        return 0
    if r.newton != NULL and r.newton.m.has_factors:
        gh = r.newton.m.gh
        for j in range(r.n):
            state[j] = gh * r.slope_there[j] - gh / h * rate(c, coefficients(r, j, h, c), theta)
        status = newton_lsolve(r.t, gh, state, r.slope_there, r.n, r.newton)
        if status != 0:
            return min(status, 0)
        off = fabs(r.slope_there[i] * (h / gh))
    far[0] = off > FAR * size
    return 0


cdef bint leaps(run_t *r, double h, double t_next, double *err, int *status) noexcept nogil:
    """Whether a good step is thrown away: err is too large then, or the status is below 0, that of a callback."""
    cdef double[DEGREE] c
    cdef double a, b, size, theta, there
    cdef ptrdiff_t i
    cdef int degree
    cdef bint far = False
    if mass_varies(r.newton.c.matrix.mass) if r.newton != NULL else r.p.mass != NULL or r.m.flags & MF_IMPLICIT != 0:
        return False                     # M(t) of another t would cost factors, or the problem solves its steps itself
    for i in range(r.n):
        a, b = r.now[0][i], r.next[0][i]
        if not (b < 0.0 if a > 0.0 else b > 0.0) or a == 0.0 or r.leaps[LEAPS_OF + i // 64] >> (i % 64) & 1:
            continue
        if r.leaps[0] - r.leaps[1] >= PASSED + r.k // PER or r.leaps[1] >= THROWN + r.k or 0.2 * fabs(h) <= r.c.min_step:
            return False
        size = ((r.c.atol if r.c.atol_of == NULL else r.c.atol_of[i])
                + (r.c.rtol if r.c.rtol_of == NULL else r.c.rtol_of[i]) * max(fabs(a), fabs(b)))
        if not fabs(b - a) > FAR * size:
            continue
        if r.newton != NULL:
            status[0] = extend(r, t_next)
            if status[0] != 0:
                status[0] = min(status[0], 0)
                return status[0] != 0
        degree = coefficients(r, i, h, c)
        theta = crossing(c, degree, a)
        there = rate(c, degree, theta)
        if not (alike(rate(c, degree, 1.0), there) and (r.newton != NULL or alike(c[0], there))):
            continue                     # of implicit steps the polynomial bends at its start, as stages lie beyond the pole
        status[0] = differs(r, i, h, theta, size, &far)
        if status[0] != 0:
            return True
        if far:
            r.leaps[1] += 1
            err[0] = FIFTH
            return True
        r.leaps[LEAPS_OF + i // 64] |= <int64_t> 1 << (i % 64)
    return False
