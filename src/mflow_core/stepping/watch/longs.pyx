"""Long steps under error control that lead over a phase of the motion.

Behind a stiff wall, K max(0, y - 1), stages stand as J of the wall puts them, and an error estimate of (1 - gh J)^-1 is next to nothing of
what f says: a step may lead over the place where f leaves the wall, and over where it comes back, and go on as if it had never left.
So a step of more than `LONG` of the span whose error is far below the tolerances is looked at, inside and at its end; at most 1/LONG of them
are taken in a run. On the polynomial P through it f is asked; with

    (1 - gh J) e = gh (f(t, P) - P')

P is off by e, if J is right. Where e is next to nothing of a component of the right side that counts, f is asked at P + e. If it has not
followed, J is that of another place: the step is thrown away, the next one is a fifth of it, and J is evaluated again. A step in which
nothing moves is thrown away too where e counts, as forcing inside it has been leapt over.

Not seen: what shorter steps lead over, forcing that is narrower than the way between the places looked at, and problems with a mass matrix.
"""
from libc.math cimport fabs
from libc.stddef cimport ptrdiff_t

from mflow_core.registry cimport REDUCE
from mflow_core.solvers.matrix cimport IDENTITY, KRYLOV
from mflow_core.solvers.newton cimport newton_lsolve
from mflow_core.stepping.output cimport extend
from mflow_core.stepping.run cimport run_t
from mflow_core.stepping.watch.leaps cimport coefficients, forgive, rate, tolerance
from mflow_core.types cimport MF_SECOND_ORDER

cdef enum:
    DEGREE = 8                           # of polynomials, at most

cdef double LONG = 0.05                  # of the span
cdef double SMALL = 1e-2                 # the square of an error far below the tolerances
cdef double INSIDE = 0.6180339887498949  # of the step: no simple fraction, as phases of forcing may be
cdef double SWALLOWED = 0.05             # of what is left
cdef double FOLLOWS = 0.1                # of the change of f that J says
cdef double FAR = 8.0                    # tolerances
cdef double THROWN = 1e12                # the square of an error that asks for a step as short as one try may make it


cdef double point(const double *c, int degree, double a, double theta) noexcept nogil:
    cdef double s = c[degree - 1]
    cdef int k
    for k in range(degree - 2, -1, -1):
        s = c[k] + theta * s
    return a + theta * s


cdef int ask(run_t *r, double t, double *slope) noexcept nogil:
    """f at r.err. 0; 1: it has none there; below 0: an exception."""
    cdef int status = r.p.rhs(t, r.err, slope, r.n, r.p.ctx)
    r.f.n_rhs += 1
    if status == 0:
        return 0 if REDUCE.all_finite(slope, r.n) else 1
    return status if status < 0 and not forgive() else 1


cdef inline double far(const run_t *r, ptrdiff_t i) noexcept nogil:
    return FAR * tolerance(r, i, r.now[0][i], r.next[0][i])


cdef inline bint swallowed(const run_t *r, ptrdiff_t i, double left, double e) noexcept nogil:
    """Whether e is next to nothing of what counts."""
    return fabs(e) < SWALLOWED * fabs(left) and fabs(left) > far(r, i)


cdef bint nothing_moves(const run_t *r, double h) noexcept nogil:
    cdef double[DEGREE] c
    cdef double most
    cdef int degree
    cdef ptrdiff_t i
    for i in range(r.n):
        degree = coefficients(r, i, h, c)
        most = far(r, i)
        if fabs(rate(c, degree, 0.0)) > most or fabs(rate(c, degree, 1.0)) > most or fabs(r.next[0][i] - r.now[0][i]) > most:
            return False
    return True


cdef int first_look(run_t *r, double h, double theta, double *left, bint *counts) noexcept nogil:
    """P into r.err, and gh (f - P') there into left; whether it counts; 0, 1 or a status as of `ask`."""
    cdef double[DEGREE] c
    cdef double gh = r.newton.m.gh
    cdef int status
    cdef ptrdiff_t i
    for i in range(r.n):
        r.err[i] = point(c, coefficients(r, i, h, c), r.now[0][i], theta)
    status = ask(r, r.t + theta * h, left)
    for i in range(r.n if status == 0 else 0):
        left[i] = gh * left[i] - gh / h * rate(c, coefficients(r, i, h, c), theta)
        if fabs(left[i]) > far(r, i):
            counts[0] = True
    return status


cdef int look_at(run_t *r, double h, double theta, bint *odd) noexcept nogil:
    """Whether f contradicts the step at theta; 0, 1 or a status."""
    cdef double[DEGREE] c
    cdef double gh = r.newton.m.gh, came
    cdef double *left = r.slope_there
    cdef double *e = r.slope_there + r.ld
    cdef double *slope = r.newton.trial
    cdef bint counts = False, off = False
    cdef int status = first_look(r, h, theta, left, &counts)
    cdef ptrdiff_t i
    if status != 0 or not counts:
        return status
    status = newton_lsolve(r.t, gh, left, e, r.n, r.newton)
    if status != 0:
        return status
    counts = False
    for i in range(r.n):
        off = off or fabs(e[i]) > far(r, i)
        counts = counts or swallowed(r, i, left[i], e[i])
        r.err[i] += e[i]
    if off and nothing_moves(r, h):
        odd[0] = True
        return 0
    if counts:
        status = ask(r, r.t + theta * h, slope)
    for i in range(r.n if counts and status == 0 else 0):
        if swallowed(r, i, left[i], e[i]):
            came = gh * slope[i] - gh / h * rate(c, coefficients(r, i, h, c), theta) - left[i]
            if -1.0 <= came / (e[i] - left[i]) <= FOLLOWS:
                odd[0] = True
                return 0
    return status


cdef bint contradicted(run_t *r, double h, double t_next, double *err, int *status) noexcept nogil:
    """Whether a good step is thrown away: err is too large then, or the status is below 0, that of a callback."""
    cdef bint odd = False
    if not (fabs(h) > LONG * r.span and err[0] < SMALL) or r.newton == NULL or r.inside != NULL or r.m.flags & MF_SECOND_ORDER:
        return False
    if (not r.newton.m.has_factors or r.newton.c.matrix.mass != NULL or r.newton.c.matrix.kind == IDENTITY
            or r.newton.c.matrix.kind == KRYLOV):
        return False
    status[0] = extend(r, t_next)
    if status[0] == 0:
        status[0] = look_at(r, h, INSIDE, &odd)
    if status[0] == 0 and not odd:
        status[0] = look_at(r, h, 1.0, &odd)
    status[0] = min(status[0], 0)
    if odd:
        err[0] = THROWN
        r.newton.want_jacobian = True
    return odd or status[0] != 0
