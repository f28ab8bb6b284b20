"""Good steps that lead over a pole of f in time.

Stages fall beside a pole as of 1/(1 - t), and at loose tolerances their estimate may be small by chance. Such a step is no longer than the
one before, as steps have come down, and a component leaves or ends it against its change there, or that is much more than its slopes at
both ends make. A component that is 0 at a pole, as the solutions of y' = 2 y/(t - 1), may be there in steps of any size once it is below its
tolerance: as it begins such a step it would come to 0 in it, or an implicit one, whose polynomial tells little of what is that small, changes it much.
Then f is asked at the state where the step begins and at other times in the step: nowhere else where it is the same at two, as it does not
depend on time there, and ever nearer to where it is largest, as long as it grows. If it grows all the way the driver looks (POLE_DUE).
"""
from libc.math cimport fabs
from libc.stddef cimport ptrdiff_t

from mflow_core.stepping.output cimport extend
from mflow_core.stepping.run cimport LEAPS_ASKED, LEAPS_THROWN, POLE_DUE, run_t
from mflow_core.stepping.watch.leaps cimport coefficients, forgive, rate, tolerance
from mflow_core.types cimport MF_FRESH, MF_IMPLICIT, MF_MULTISTEP, MF_SECOND_ORDER

cdef enum:
    DEGREE = 8                           # of polynomials, at most
    HALVINGS = 5
    APART = 16                           # steps between looks, and one more in PER steps
    CHEAP = 64                           # of one evaluation
    PER = 8
    CUBIC = 3
    AT_0 = 1
    BESIDE = 2
    SELDOM = 256                         # where f is found not to depend on time, and 4 more a step

cdef double SAME = 1.001                 # times the step before
cdef double FAR = 8.0                    # tolerances
cdef double BULGES = 0.8                 # times the change that both slopes together make
cdef double GROWS = 1.2                  # from one side of the largest to it
cdef double OTHER = 0.5                  # of a component: it is another one at the end
cdef double NEARER = 1.1                 # in half a step


cdef int is_odd(run_t *r, ptrdiff_t i, double h, bint shorter) noexcept nogil:
    """BESIDE: a component changes as beside a pole. AT_0: it would be 0 in the step if it went on as it begins, as what
    vanishes at a pole does, however small it is, or may have been. 0: neither. shorter : the step is no longer than the one before."""
    cdef double[DEGREE] c
    cdef double change = r.next[0][i] - r.now[0][i], first, last, size
    cdef int degree
    if r.newton == NULL:
        first, last = h * r.now[1][i], h * r.next[1][i]
    else:
        degree = coefficients(r, i, h, c)
        first, last = rate(c, degree, 0.0), rate(c, degree, 1.0)
    if shorter and (first * change < 0.0 or last * change < 0.0 or fabs(change) > BULGES * (fabs(first) + fabs(last))):
        size = FAR * tolerance(r, i, r.now[0][i], r.next[0][i])
        if fabs(first) > size or fabs(last) > size or fabs(change) > size:
            return BESIDE
    if r.now[0][i] * (r.now[0][i] + first) < 0.0 or (r.newton != NULL and fabs(change) > OTHER * fabs(r.now[0][i])):
        return AT_0
    return 0


cdef bint none_is_odd(const run_t *r, double h, bint shorter) noexcept nogil:
    """Of an explicit step, whatever the tolerances: one pass that vectorises, or two."""
    cdef const double *a = r.now[0]
    cdef const double *b = r.next[0]
    cdef const double *u = r.now[1]
    cdef const double *v = r.next[1]
    cdef double least = 0.0, change, first, last, one
    cdef ptrdiff_t i
    for i in range(r.n):
        one = a[i] * (a[i] + h * u[i])
        least = one if one < least else least
    for i in range(r.n if shorter else 0):
        change, first, last = b[i] - a[i], h * u[i], h * v[i]
        one = BULGES * (fabs(first) + fabs(last)) - fabs(change)
        least = one if one < least else least
        one = first * change
        least = one if one < least else least
        one = last * change
        least = one if one < least else least
    return not least < 0.0


cdef bint ask(run_t *r, double t, double *slope, int *status) noexcept nogil:
    """f at that time, at the state where the step begins. False: the status is an exception's."""
    cdef int answer = r.p.rhs(t, r.now[0], slope, r.n, r.p.ctx)
    r.leaps[LEAPS_ASKED] += 1
    r.leaps[LEAPS_THROWN] += 1
    if answer < 0 and not forgive():
        status[0] = answer
        return False
    return True


cdef bint grows(run_t *r, ptrdiff_t i, double h, double value, double theta, int *status) noexcept nogil:
    """Whether |f_i| grows towards some time in the step, where it is `value` at theta, from every distance that is looked at."""
    cdef double *slope = r.slope_there
    cdef double width = 0.25, at = theta, low, other, there
    cdef int side
    for _ in range(HALVINGS):
        low = other = value
        for side in range(-1, 2, 2):
            there = theta + side * width
            if not 0.0 <= there <= 1.0:
                continue
            if not ask(r, r.t + there * h, slope, status):
                return False
            low = min(low, fabs(slope[i]))
            if fabs(slope[i]) > other:
                other, at = fabs(slope[i]), there
        if not max(value, other) > GROWS * low:
            return False
        value, theta = other, at
        width *= 0.5
    return True


cdef bint leads_over_pole(run_t *r, double h, double t_next, int *status) noexcept nogil:
    """Whether the driver should look at this good step before it is left: the status is POLE_DUE then, or an exception's."""
    cdef double *middle = r.slope_there
    cdef double *other = r.slope_there + r.ld if r.newton != NULL else r.now[1]
    cdef double most = 0.0, most_of_it = 0.0, off, part, value = 0.0, value_of_it = 0.0, earlier, later
    cdef bint shorter = fabs(h) <= SAME * r.h_before
    cdef ptrdiff_t i, first = -1, found = -1, relative = -1, grown
    if r.k < r.pole_k or r.leaps == NULL or r.m.flags & MF_SECOND_ORDER:
        return False
    if r.newton == NULL and (r.m.flags & MF_IMPLICIT or r.f.flags & MF_FRESH):
        return False                     # the problem solves its steps itself, or no slope is known at the start
    if not shorter and r.m.flags & MF_MULTISTEP and r.f.order < CUBIC:
        return False                     # the polynomial of such a step would take evaluations
    if r.newton != NULL:
        status[0] = extend(r, t_next)
        if status[0] != 0:
            status[0] = min(status[0], 0)
            return status[0] != 0
    elif none_is_odd(r, h, shorter):
        return False
    for i in range(r.n):
        if is_odd(r, i, h, shorter):
            first = i
            break
    if first < 0:
        return False
    if not ask(r, r.t + 0.5 * h, middle, status) or (r.newton != NULL and not ask(r, t_next, other, status)):
        return True
    r.pole_k = SELDOM + 4 * r.k
    for i in range(first, r.n):
        if middle[i] != other[i]:
            r.pole_k = r.k + (CHEAP if r.m.flags & MF_MULTISTEP else APART) + r.k // PER
            off = fabs(middle[i] - other[i])
            part = off / max(fabs(middle[i]), fabs(other[i]))
            if (off > most or part > most_of_it) and is_odd(r, i, h, shorter):
                if off > most:
                    most, found, value = off, i, fabs(middle[i])
                if part > most_of_it:
                    most_of_it, relative, value_of_it = part, i, fabs(middle[i])
    if found < 0:
        return False
    earlier, later = fabs(other[relative]), value_of_it
    if r.newton != NULL:
        earlier, later = later, earlier
    grown = found if grows(r, found, h, value, 0.5, status) else -1
    if grown < 0 and status[0] == 0 and relative != found and grows(r, relative, h, value_of_it, 0.5, status):
        grown = relative
    if grown < 0:
        if later > NEARER * earlier:     # one of the next steps may lead over it
            r.pole_k = r.k + 1
        return status[0] != 0
    r.heads_for_0 = is_odd(r, grown, h, shorter) == AT_0
    status[0] = POLE_DUE
    return True
