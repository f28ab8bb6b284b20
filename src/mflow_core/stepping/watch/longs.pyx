"""Long steps under error control that lead over a phase of the motion.

Behind a stiff wall, K max(0, y - 1), stages stand as J of the wall puts them, and an error estimate of (1 - gh J)^-1 is next to nothing of
what f says: a step may lead over the place where f leaves the wall, and over where it comes back, and go on as if it had never left.
So a step of more than `LONG` of the span whose error is far below the tolerances is looked at, inside and at its end; at most 1/LONG of them
are taken in a run. On the polynomial P through it f is asked; with

    (1 - gh J) e = gh (f(t, P) - P')

P is off by e, if J is right. Where e is next to nothing of a component of the right side that counts, f is asked at P + e. If it has not
followed, J is that of another place: the step is thrown away, the next one is a fifth of it, and J is evaluated again. A step in which
nothing moves is thrown away too where e counts, as forcing inside it has been leapt over.

Linearly implicit steps are looked at whatever their length, at the end, where their last stage u stands: (1 - gh J) u = b, and f at the stage
are there, and f is asked at the end of the step where u is next to nothing of b. Of 96 runs of rodas5p along a soft wall (K to 1e8, tolerances
to 1e-9) 49 were off by more than 100 tolerances without that, 24 by 1e4, and 12 and 2 are; ordinary runs take 1.011 of the evaluations with all
looks. u below .02 of b, in place of .05, leaves 14 and 2, and 1.010.

Not seen: what shorter steps of other methods lead over, forcing that is narrower than the way between the places looked at, and problems
with a mass matrix.
"""
from libc.math cimport fabs
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy

from mflow_core.registry cimport REDUCE
from mflow_core.solvers.matrix cimport IDENTITY, KRYLOV
from mflow_core.solvers.newton cimport newton_lsolve
from mflow_core.solvers.stages.doubted cimport stays
from mflow_core.stepping.output cimport extend
from mflow_core.stepping.run cimport linearizes, run_t
from mflow_core.stepping.watch.leaps cimport coefficients, forgive, rate, tolerance
from mflow_core.types cimport MF_SECOND_ORDER

cdef enum:
    DEGREE = 8                           # of polynomials, at most

cdef double LONG = 0.05                  # of the span
cdef double SMALL = 1e-2                 # the square of an error far below the tolerances
cdef double INSIDE = 0.6180339887498949  # of the step: no simple fraction, as phases of forcing may be
cdef double VANISHES = 0.05              # of what is left
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


cdef inline bint vanishes(const run_t *r, ptrdiff_t i, double left, double e) noexcept nogil:
    """Whether e is next to nothing of what counts."""
    return fabs(e) < VANISHES * fabs(left) and fabs(left) > far(r, i)


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
    cdef double gh = r.newton.m.gh, change
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
        counts = counts or vanishes(r, i, left[i], e[i])
        r.err[i] += e[i]
    if off and nothing_moves(r, h):
        odd[0] = True
        return 0
    if counts:
        status = ask(r, r.t + theta * h, slope)
    for i in range(r.n if counts and status == 0 else 0):
        if vanishes(r, i, left[i], e[i]):
            change = gh * slope[i] - gh / h * rate(c, coefficients(r, i, h, c), theta) - left[i]
            if stays(change, e[i] - left[i]):
                odd[0] = True
                return 0
    return status


cdef bint has_last_stage(const run_t *r) noexcept nogil:
    return linearizes(r.m) and r.newton.m.has_factors and r.newton.c.matrix.mass == NULL and r.inside == NULL


cdef int look_at_last_stage(run_t *r, double t_next, bint *odd) noexcept nogil:
    """Whether f contradicts the end of a linearly implicit step: from its last stage u on f changes by (u - b) / gh, if J is right. 0, 1 or
    a status. Layout of work: rosenbrock.pyx."""
    cdef const double *u = r.f.work + (r.m.tab.s - 1) * r.ld
    cdef const double *f = r.f.work + r.m.tab.s * r.ld
    cdef const double *b = r.f.work + (r.m.tab.s + 3) * r.ld
    cdef double gh = r.newton.m.gh
    cdef bint counts = False
    cdef int status
    cdef ptrdiff_t i
    for i in range(r.n):
        counts = counts or vanishes(r, i, b[i], u[i])
    if not counts:
        return 0
    memcpy(r.err, r.next[0], r.n * sizeof(double))
    status = ask(r, t_next, r.slope_there)
    for i in range(r.n if status == 0 else 0):
        if vanishes(r, i, b[i], u[i]) and stays(gh * (r.slope_there[i] - f[i]), u[i] - b[i]):
            odd[0] = True
    return status


cdef bint is_long(const run_t *r, double h, double err) noexcept nogil:
    """Whether the step is looked at inside."""
    if not (fabs(h) > LONG * r.span and err < SMALL) or r.inside != NULL or r.m.flags & MF_SECOND_ORDER:
        return False
    return (r.newton.m.has_factors and r.newton.c.matrix.mass == NULL and r.newton.c.matrix.kind != IDENTITY
            and r.newton.c.matrix.kind != KRYLOV)


cdef bint contradicted(run_t *r, double h, double t_next, double *err, int *status) noexcept nogil:
    """Whether a good step is thrown away: err is too large then, or the status is below 0, that of a callback."""
    cdef bint odd = False, ends = r.newton != NULL and has_last_stage(r)
    if ends:
        status[0] = look_at_last_stage(r, t_next, &odd)
    if r.newton != NULL and status[0] >= 0 and not odd and is_long(r, h, err[0]):
        status[0] = extend(r, t_next)
        if status[0] == 0:
            status[0] = look_at(r, h, INSIDE, &odd)
        if status[0] == 0 and not odd and not ends:
            status[0] = look_at(r, h, 1.0, &odd)
    status[0] = min(status[0], 0)
    if odd:
        err[0] = THROWN
        r.newton.want_jacobian = True
    return odd or status[0] != 0
