"""Steps under error control that leap over a pole, or over a number where a component rests.

A rate s/(K + s) has a pole at s = -K, just beyond 0, where no solution goes: the rate is 0 at s = 0. A step from s >> K to s << -K sees
none of it, for the rate is nearly 1 on both sides, and so is its error estimate near 0: the run would go on below 0 for good. Nor does any
solution cross 0 where y' = -k y^2, or a species or a population ends; below 0, where an error within the tolerances puts it, f leads away.

Where a component changes its sign in a good step and moves on beyond, f is asked once, where the component arrives at 0, on the polynomial
through the step. Where that slope is far from the polynomial's, which has to lead on there at much the same speed (and the distance counts in
tolerances: in implicit steps as what (1 - gh J)^-1 leaves of it), the step is thrown away, and the next one is a fifth of it. So steps come
down to where they see the rate change. A component whose own slope vanishes there with it, or grows there without bound against it, cannot
cross: where steps are too short to see more, the driver, if there is one (RUN_WALLS), looks closer, and may keep the component on its side
from there on. A component that passes once is not looked at again: what oscillates costs one evaluation in all. What goes beyond 0 by
an error and comes back costs none; it is looked at when it leads further away. Of many components that cross one after the other a few are
looked at, and more with the number of steps.

With a mass matrix M y' = f the slopes are those of M^-1, so the distance is what (M - gh J)^-1 (f - M y') says of the component.

With a mass matrix of other than diagonal form (RUN_WALLS is not set there) nothing is kept.

Not seen: other numbers than 0, rates that change within the tolerances beside another number, masses that change with time or belong to a
host's problem, motion.
"""
from cpython.exc cimport PyErr_Clear, PyErr_ExceptionMatches, PyErr_Occurred
from libc.math cimport fabs
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.string cimport memset

from mflow_core.registry cimport REDUCE
from mflow_core.solvers.newton cimport newton_lsolve
from mflow_core.solvers.stages.mass cimport mass_alone, mass_times, mass_varies
from mflow_core.stepping.output cimport extend
from mflow_core.stepping.run cimport LEAPS_ASKED, LEAPS_OF, LEAPS_STOPPED, LEAPS_THROWN, RUN_WALLS, run_t
from mflow_core.types cimport MF_FRESH, MF_IMPLICIT

cdef enum:
    HAS_PASSED                           # bits of a component
    BEYOND                               # 0, by an error
    ASKED                                # in a step that bends there, and it may cross
    TURNS                                # BEYOND is another, if the step at hand is taken
    DEGREE = 8                           # of polynomials, at most
    HALVINGS = 40
    PASSED = 32                          # evaluations that found nothing, and one more in PER steps
    PER = 16
    THROWN = 256                         # those for steps thrown away: so many, one more a step, and OF_EACH a component
    OF_EACH = 64

cdef double NEAR_0 = 1e-300              # where f is asked, rather than at 0, where it may have no value
cdef double ARRIVES = 1e-9               # of where it began: where f is asked if it has none there
cdef double VANISHES = 1e-90             # of the slope in the step: a root of NEAR_0 is less
cdef double GROWS = 1e12                 # times that slope
cdef double ALIKE = 4.0                  # a factor between slopes of a component on both sides of 0, and there
cdef double OTHER = 0.5                  # of a slope: a difference that no error within the tolerances makes
cdef double FAR = 8.0                    # tolerances
cdef double BROAD = 256.0                # tolerances: what is narrower a solution may lead through unseen, as steps of FAR are taken
cdef double FIFTH = 1e12                 # the square of an error that asks for a step as short as one try may make it


cdef int coefficients(const run_t *r, ptrdiff_t i, double h, double *c) noexcept nogil:
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


cdef double rate(const double *c, int degree, double theta) noexcept nogil:
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


cdef inline double rate_there(const run_t *r, ptrdiff_t i) noexcept nogil:
    """y_i' where f has been asked for; f_i where M tells none by itself."""
    cdef double alone = mass_alone(r.newton.c.matrix.mass, i) if r.newton != NULL else 1.0
    return r.slope_there[i] / alone if alone != 0.0 else r.slope_there[i]


cdef int ask(run_t *r, double h, double theta, ptrdiff_t i, double value_of_i) noexcept nogil:
    """f on the polynomial through the step, with component i at a value, into slope_there. 0; 1: it has none there; below 0: an exception.

    An error of arithmetic in the user's function is none of the run's, which does not go there.
    """
    cdef double[DEGREE] c
    cdef double *state = r.err               # whose number has been taken
    cdef int degree, status
    cdef ptrdiff_t j
    for j in range(r.n):
        degree = coefficients(r, j, h, c)
        state[j] = value(c, degree, r.now[0][j], theta)
    state[i] = value_of_i
    status = r.p.rhs(r.t + theta * h, state, r.slope_there, r.n, r.p.ctx)
    r.leaps[LEAPS_ASKED] += 1
    if status == 0:
        return 0 if REDUCE.all_finite(r.slope_there, r.n) else 1
    return status if status < 0 and not forgive() else 1


cdef bint forgive() noexcept with gil:
    """Whether an exception of the user's function, if there is one, could be put aside."""
    if PyErr_Occurred() != NULL:
        if not (PyErr_ExceptionMatches(ArithmeticError) or PyErr_ExceptionMatches(ValueError)):
            return False
        PyErr_Clear()
    return True


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


cdef int differs(run_t *r, ptrdiff_t i, double h, double theta, double there, double size, bint *far) noexcept nogil:
    """Whether the slope that f has been asked for is far from the polynomial's, `there`, in component i; 0 or a status."""
    cdef double[DEGREE] c
    cdef double gh, f = h * r.slope_there[i], off = fabs(f - there)
    cdef double *state = r.err
    cdef ptrdiff_t j
    cdef int status
    if r.newton != NULL and r.newton.c.matrix.mass != NULL:
        if not r.newton.m.has_factors:
            return 0
        status = massive_offset(r, i, h, theta, &off)
        far[0] = status == 0 and off > OTHER * fabs(there) and off > FAR * size
        return min(status, 0)
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


cdef inline int64_t *word_of(run_t *r, ptrdiff_t i, int which) noexcept nogil:
    """Where such a bit of component i is."""
    return r.leaps + LEAPS_OF + i // 64 + which * ((r.n + 63) // 64)


cdef double tolerance(const run_t *r, ptrdiff_t i, double a, double b) noexcept nogil:
    return ((r.c.atol if r.c.atol_of == NULL else r.c.atol_of[i])
            + (r.c.rtol if r.c.rtol_of == NULL else r.c.rtol_of[i]) * max(fabs(a), fabs(b)))


cdef inline bint most_asked(const run_t *r, int share) noexcept nogil:
    """Whether enough evaluations have found nothing, of one in so many that may."""
    return (r.leaps[LEAPS_ASKED] - r.leaps[LEAPS_THROWN]) * share >= PASSED + r.k // PER


cdef bint look_at(run_t *r, ptrdiff_t i, bint crosses, double h, double t_next, double *err, int *status) noexcept nogil:
    """Whether a step is thrown away that takes component i over 0, or further away behind it."""
    cdef double[DEGREE] c
    cdef double a = r.now[0][i], b = r.next[0][i], size = tolerance(r, i, a, b), end, slope, theta, there
    cdef int64_t bit = <int64_t> 1 << (i % 64), asked = r.leaps[LEAPS_ASKED]
    cdef int degree, side = 1 if b < 0.0 else -1
    cdef bint far = False, bends = False, leap, ends
    if r.newton != NULL:
        status[0] = extend(r, t_next)
        if status[0] != 0:
            status[0] = min(status[0], 0)
            return status[0] != 0
    degree = coefficients(r, i, h, c)
    end = rate(c, degree, 1.0)
    leap = crosses and fabs(b - a) > FAR * size
    if end * b > 0.0 and not leap and r.newton != NULL and r.flags & RUN_WALLS:      # of a short step the polynomial's slope tells little
        if fabs(b) <= size and most_asked(r, 2):     # what wobbles about 0 leaves leaps their half
            end = 0.0
        else:
            status[0] = ask(r, h, 1.0, i, b)
            if status[0] != 0:
                return status[0] < 0
            end = h * rate_there(r, i)
    if not end * b > 0.0:
        if crosses:
            word_of(r, i, TURNS)[0] |= bit
        return False
    theta = crossing(c, degree, a) if crosses else 0.0
    there = rate(c, degree, theta)
    if leap and not (alike(end, there) and (r.newton != NULL or alike(c[0], there))):
        leap = False                         # of implicit steps the polynomial bends at its start, as stages lie beyond the pole
        bends = fabs(b - a) > BROAD * size
        if bends and word_of(r, i, ASKED)[0] & bit:
            return False
    if not leap and not r.flags & RUN_WALLS:
        return False
    status[0] = ask(r, h, theta, i, side * NEAR_0)
    slope = h * rate_there(r, i)
    ends = status[0] == 0 and r.flags & RUN_WALLS and (
        fabs(slope) <= VANISHES * fabs(end) or (slope * b < 0.0 and fabs(slope) > GROWS * fabs(end)))
    if leap and not (ends and fabs(b - a) <= BROAD * size):
        if status[0] == 1:
            status[0] = ask(r, h, theta, i, ARRIVES * a)
        if status[0] == 0:
            status[0] = differs(r, i, h, theta, there, size, &far)
    if status[0] < 0:
        return True
    status[0] = 0
    if ends and not far:                     # where steps cannot see it by being short
        r.leaps[LEAPS_STOPPED] = side * (i + 1)
    if ends or far:
        r.leaps[LEAPS_THROWN] += r.leaps[LEAPS_ASKED] - asked
        err[0] = FIFTH
        return True
    word_of(r, i, ASKED if bends else HAS_PASSED)[0] |= bit
    return False


cdef inline bint is_still(const double *a, const double *b, ptrdiff_t count) noexcept nogil:
    """Whether none of these numbers changes its sign: one pass that vectorises."""
    cdef double least = 0.0, product
    cdef ptrdiff_t i
    for i in range(count):
        product = a[i] * b[i]
        least = product if product < least else least
    return not least < 0.0


cdef bint leaps(run_t *r, double h, double t_next, double *err, int *status) noexcept nogil:
    """Whether a good step is thrown away: err is too large then, or the status is below 0, that of a callback."""
    cdef const double *a = r.now[0]
    cdef const double *b = r.next[0]
    cdef ptrdiff_t i, first
    cdef bint crosses, beyond
    if mass_varies(r.newton.c.matrix.mass) if r.newton != NULL else r.p.mass != NULL or r.m.flags & MF_IMPLICIT != 0:
        return False                     # M(t) of another t would cost factors, or the problem solves its steps itself
    memset(word_of(r, 0, TURNS), 0, (r.n + 63) // 64 * sizeof(int64_t))
    for first in range(0, r.n, 64):      # those that share a word of bits
        if word_of(r, first, BEYOND)[0] == 0 and is_still(a + first, b + first, min(r.n - first, 64)):
            continue
        for i in range(first, min(first + 64, r.n)):
            crosses = (b[i] < 0.0 if a[i] > 0.0 else b[i] > 0.0) and a[i] != 0.0
            beyond = word_of(r, i, BEYOND)[0] >> (i % 64) & 1
            if not (crosses or beyond) or word_of(r, i, HAS_PASSED)[0] >> (i % 64) & 1:
                continue
            if beyond and (crosses or b[i] == 0.0):      # it comes back
                word_of(r, i, TURNS)[0] |= <int64_t> 1 << (i % 64)
                continue
            if not crosses and fabs(b[i]) <= fabs(a[i]):
                continue
            if most_asked(r, 1) or r.leaps[LEAPS_THROWN] >= THROWN + OF_EACH * r.n + r.k or 0.2 * fabs(h) <= r.c.min_step:
                continue
            if look_at(r, i, crosses, h, t_next, err, status):
                return True
    return False


cdef void note_taken(run_t *r) noexcept nogil:
    """The step that `leaps` has looked at is taken. One that is thrown away, for another component or a pole, leaves all as it was."""
    cdef ptrdiff_t i
    for i in range(0, r.n, 64):
        word_of(r, i, BEYOND)[0] ^= word_of(r, i, TURNS)[0]
