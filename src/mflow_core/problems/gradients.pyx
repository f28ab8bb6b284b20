"""What values on both sides of a point say of a gradient there, in one look: `mflow.derivatives.remainder` looks closer. Where a descent
has told nothing of a cost, and what its values are there: `mflow.optimize.doubts` looks closer."""
from libc.math cimport INFINITY, NAN, fabs, sqrt

cimport numpy as cnp

from mflow_core.problems.values cimport numbers_of

cnp.import_array()

cdef double EPS = 2.220446049250313e-16
cdef double ROOT = 6.055454452393343e-06  # EPS^(1/3), the length of central differences
SHARE = 1e-4                             # of a derivative's terms, what an inexact but useful one may be off by
NEAR = 1e-6                              # a derivative may be that of a point so near to x
SEEN = 0.01                              # "right" is said only where an error of this share of the slope would have shown
LITTLE = 1e-3                            # of a direction beside others, whose rises must not hide their falls
cdef double c_share = SHARE, c_near = NEAR, c_seen = SEEN, c_little = LITTLE


cdef tuple both_sides(cnp.ndarray x, cnp.ndarray grad, cnp.ndarray direction, double h, double small):
    """(x + h d, x - h d, the change between them by the gradient, the sum of its absolute terms, whether an entry other than 0
    is below `small`), d_j = max(1, |x_j|) direction_j.

    All are C-contiguous float64 arrays (n,). The change is that between the rounded points.
    """
    cdef cnp.npy_intp n = cnp.PyArray_SIZE(x), i
    cdef cnp.ndarray above, below
    cdef double *up
    cdef double *down
    cdef const double *at = numbers_of(x, n)
    cdef const double *g = numbers_of(grad, n)
    cdef const double *d = numbers_of(direction, n)
    cdef double size, move, part, claimed = 0.0, terms = 0.0
    cdef bint some = False
    above, below = cnp.PyArray_SimpleNew(1, &n, cnp.NPY_DOUBLE), cnp.PyArray_SimpleNew(1, &n, cnp.NPY_DOUBLE)
    up, down = <double *> cnp.PyArray_DATA(above), <double *> cnp.PyArray_DATA(below)
    for i in range(n):
        size = fabs(at[i])
        move = h * ((size if size > 1.0 else 1.0) * d[i])
        up[i], down[i] = at[i] + move, at[i] - move
        part = g[i] * (up[i] - down[i])
        claimed += part
        terms += fabs(part)
        some = some or 0.0 < size < small
    return above, below, claimed, terms, some


cdef str judged(double error, double change, double terms, double rounding, double bend, double eps, double longer, bint small):
    """`judged_sides`; small: whether x has parameters that are small, but not 0."""
    cdef double slope = terms if terms > change else change, most, share = 10.0 * eps
    cdef bint seen
    if longer == 0.0 and bend > slope:
        slope = bend
    seen = rounding <= c_seen * slope or (slope == 0.0 and bend == 0.0)
    most = c_seen * slope if longer != 0.0 else 0.1 * (share if share > c_share else c_share) * terms + rounding
    if error > most and longer == 0.0 and not small:
        most += 0.2 * c_near * bend / eps ** (1.0 / 3.0)     # what a move of x by NEAR changes
    if error > most + (rounding if longer != 0.0 else 0.0):
        return "off"
    return "right" if seen and error <= most else "unseen"


def judged_sides(double error, double change, double terms, double rounding, double bend, double eps, near, double longer=0.0):
    """"right", "off", or "unseen" where rounding hides an error of SEEN: of a central difference and what a derivative says of it.

    error: by how much they differ; change: between the two sides; terms: the sum of the derivative's absolute terms; bend: the second
    difference; near(): whether x has parameters that are small, but not 0; longer: the length, where it is not that which suits eps.
    """
    cdef str word = judged(error, change, terms, rounding, bend, eps, longer, True)
    if word != "off" or longer != 0.0 or near():
        return word
    return judged(error, change, terms, rounding, bend, eps, longer, False)


def agrees(values, cnp.ndarray x not None, at, cnp.ndarray grad not None, cnp.ndarray direction not None, double small):
    """(whether a gradient is right beyond doubt, [the values on both sides]): those of a cost at x +- EPS^(1/3) d, NaN where it raises.

    at: its value at x, or None. The arrays are as in `both_sides`.
    """
    cdef double up, down, claimed, terms, bend, size
    above, below, claimed, terms, some = both_sides(x, grad, direction, ROOT, small)
    sides = []
    for point in (above, below):
        try:
            sides.append(values(point))
        except Exception:                    # outside of the domain, perhaps
            sides.append(NAN)
    first, second = sides
    if not (isinstance(first, float) and isinstance(second, float)):
        return False, sides
    up, down = first, second
    if up - up != 0.0 or down - down != 0.0:
        return False, sides
    bend = 0.0 if at is None else fabs(up - 2.0 * <double> at + down)
    size = fabs(up) if fabs(up) > fabs(down) else fabs(down)
    return judged(fabs((up - down) - claimed), fabs(up - down), terms, 8.0 * EPS * size, bend, EPS, 0.0, some) == "right", sides


cdef inline double sized(double at) noexcept nogil:
    return fabs(at) if fabs(at) > 1.0 else 1.0


cdef double part_across(double *u, const double *x, const double *start, cnp.npy_intp n, double length) noexcept nogil:
    """Takes from u, in entries other than 0, its part along x - start, and gives what is left the length that u had. Returns the share of
    its square, `length`, that was left; where that is next to nothing u stays."""
    cdef double along = 0.0, way = 0.0, left = 0.0, share, move
    cdef cnp.npy_intp i
    for i in range(n):
        move = x[i] - start[i] if u[i] != 0.0 else 0.0
        along += u[i] * move
        way += move * move
    if not 0.0 < way < INFINITY:
        return 1.0
    share = along / way
    for i in range(n):
        move = u[i] - share * (x[i] - start[i]) if u[i] != 0.0 else 0.0
        left += move * move
    if not left > 1e-6 * length:
        return 0.0
    for i in range(n):
        if u[i] != 0.0:
            u[i] = (u[i] - share * (x[i] - start[i])) * sqrt(length / left)
    return left / length


cdef void turn_across(double *u, const double *x, const double *start, cnp.npy_intp n) noexcept nogil:
    """Turns u, in entries other than 0, until it is across x - start; one that lies along it has every second entry turned round first. A
    single entry stays."""
    cdef double length = 0.0, side = 1.0
    cdef cnp.npy_intp i
    for i in range(n):
        length += u[i] * u[i]
    if part_across(u, x, start, n, length) > 0.0:
        return
    for i in range(n):
        if u[i] != 0.0:
            u[i], side = side * u[i], -side
    part_across(u, x, start, n, length)


cdef bint is_line(cnp.ndarray x, cnp.ndarray start, first):
    """Whether a descent that began with the gradient `first`, an array or None, has gone along it all the way."""
    cdef cnp.npy_intp n = cnp.PyArray_SIZE(x), i
    cdef const double *at = numbers_of(x, n)
    cdef const double *begun = numbers_of(start, n)
    cdef const double *g
    cdef double move, both = 0.0, way = 0.0, size = 0.0
    if first is None or n < 2:
        return False
    g = numbers_of(first, n)
    for i in range(n):
        move = at[i] - begun[i]
        both, way, size = both + g[i] * move, way + move * move, size + g[i] * g[i]
    return both * both >= (1.0 - 1e-12) * way * size and way * size > 0.0


def unseen_moves(
    cnp.ndarray x not None, cnp.ndarray start not None, first, cnp.ndarray grad not None, cnp.ndarray direction not None, int most
):
    """Up to `most` directions in which a descent from `start`, with the gradient `first` or None, to x, with `grad`, has told nothing of
    the cost: a list of arrays (n,), empty where there is none.

    One along all parameters that stand where they began, with a gradient of 0, and one more, not counted, with every second of these turned
    round, as a saddle of two lies between two of its four quarters; one across x - start, where all of grad is 0, or the way was that of
    the first gradient; where all of grad is 0 also single parameters. In units of max(1, |x_j|). Those along many leave entries as they
    are in which `direction` is 0. All are C-contiguous float64 arrays of one size.
    """
    cdef cnp.npy_intp n = cnp.PyArray_SIZE(x), i, still = 0, moved = 0
    cdef const double *at = numbers_of(x, n)
    cdef const double *begun = numbers_of(start, n)
    cdef const double *g = numbers_of(grad, n)
    cdef const double *d = numbers_of(direction, n)
    cdef bint whole = True, stands, across
    cdef int which
    cdef cnp.ndarray one
    cdef double *u
    cdef double side
    for i in range(n):
        whole = whole and g[i] == 0.0
        stands = at[i] == begun[i]
        still += stands and g[i] == 0.0
        moved += not stands
    across = moved > 0 and (whole or is_line(x, start, first))
    out = []
    for which in range(2):                   # along all that stand; across the way
        if len(out) == most or not (across if which == 1 else still > 0):
            continue
        one = cnp.PyArray_SimpleNew(1, &n, cnp.NPY_DOUBLE)
        u = <double *> cnp.PyArray_DATA(one)
        for i in range(n):
            u[i] = sized(at[i]) * d[i] if which == 1 or (g[i] == 0.0 and at[i] == begun[i]) else 0.0
        if which == 1:
            turn_across(u, at, begun, n)
        out.append(one)
    if still > 1 and out:                    # the first is along all that stand
        one = cnp.PyArray_SimpleNew(1, &n, cnp.NPY_DOUBLE)
        u = <double *> cnp.PyArray_DATA(one)
        side = 1.0
        for i in range(n):
            u[i] = (<double *> cnp.PyArray_DATA(<cnp.ndarray> out[0]))[i] * side
            if u[i] != 0.0:
                side = -side
        most += 1
        out.insert(1, one)
    for which in range(2):
        if (which == 0 and still < 2) or (which == 1 and (not whole or n < 2)):
            continue
        for i in range(n):
            if len(out) == most:
                return out
            if g[i] == 0.0 and (at[i] == begun[i]) == (which == 0):
                one = cnp.PyArray_ZEROS(1, &n, cnp.NPY_DOUBLE, 0)
                (<double *> cnp.PyArray_DATA(one))[i] = sized(at[i])
                out.append(one)
    return out


def asked_beside(values, cnp.ndarray x not None, double at, list moves not None, double h, fits=None):
    """(those of these arrays along which the cost falls from x, at which it is `at`, on one side at least over h of them, those along which
    it does not change by more than its rounding, evaluations). A point that fits(point) refuses is not asked."""
    cdef cnp.npy_intp n = cnp.PyArray_SIZE(x), i
    cdef const double *begun = numbers_of(x, n)
    cdef const double *move
    cdef double *end
    cdef double side, rise
    cdef cnp.ndarray point
    cdef int count = 0
    cdef bint falls, level
    out, even = [], []
    for one in moves:
        move, falls, level = numbers_of(one, n), False, True
        for side in (h, -h):
            point = cnp.PyArray_SimpleNew(1, &n, cnp.NPY_DOUBLE)     # a user may keep it
            end = <double *> cnp.PyArray_DATA(point)
            for i in range(n):
                end[i] = begun[i] + side * move[i]
            if fits is None or fits(point):
                count += 1
                rise = value_at(values, point) - at
                falls, level = rise < -8.0 * EPS * fabs(at) or falls, fabs(rise) <= 8.0 * EPS * fabs(at) and level
        if falls:
            out.append(one)
        elif level:
            even.append(one)
    return out, even, count


cdef bint is_quadratic(cnp.ndarray x, cnp.ndarray start, double began, cnp.ndarray first, double at, cnp.ndarray grad):
    """Whether values and gradients at both ends of a way are those of a quadratic, to rounding that would hide no error, and the
    parameters that stand have no slope at either."""
    cdef cnp.npy_intp n = cnp.PyArray_SIZE(x), i
    cdef const double *end = numbers_of(x, n)
    cdef const double *begun = numbers_of(start, n)
    cdef const double *g = numbers_of(grad, n)
    cdef const double *f = numbers_of(first, n)
    cdef double part, change = 0.0, terms = 0.0, rounding = 8.0 * EPS * (fabs(at) if fabs(at) > fabs(began) else fabs(began))
    for i in range(n):
        if end[i] == begun[i] and not (f[i] == 0.0 and g[i] == 0.0):
            return False
        part = 0.5 * (f[i] + g[i]) * (end[i] - begun[i])
        change += part
        terms += fabs(part)
    return fabs((at - began) - change) <= rounding + 8.0 * EPS * terms and rounding <= c_seen * fabs(at - began)


cdef list ways_across(cnp.ndarray x, cnp.ndarray start, cnp.ndarray direction):
    """The directions, in units of max(1, |x_j|), in which the end of a straight descent is still to be looked at: across its way; where
    parameters stand, along these, and along the others across the way, which are moved by little where several stand: these are moved
    too, every second one turned round, as a saddle of two lies between two of its four quarters."""
    cdef cnp.npy_intp n = cnp.PyArray_SIZE(x), i, still = 0
    cdef const double *end = numbers_of(x, n)
    cdef const double *begun = numbers_of(start, n)
    cdef const double *d = numbers_of(direction, n)
    cdef cnp.ndarray one, other
    cdef double *u
    cdef double *v
    cdef double side = 1.0
    one, other = cnp.PyArray_ZEROS(1, &n, cnp.NPY_DOUBLE, 0), cnp.PyArray_ZEROS(1, &n, cnp.NPY_DOUBLE, 0)
    u, v = <double *> cnp.PyArray_DATA(one), <double *> cnp.PyArray_DATA(other)
    for i in range(n):
        if end[i] != begun[i]:
            v[i] = sized(end[i]) * d[i]
        else:
            u[i] = d[i]
            still += 1
    if n - still > 1:
        turn_across(v, end, begun, n)
    for i in range(n):
        v[i] /= sized(end[i])
    if still == 0:
        return [other]
    if still == n - 1 and still == 1:
        return [one]
    for i in range(n):
        if end[i] == begun[i]:
            if still > 1:
                v[i], side = side * d[i], -side
        elif n - still == 1:                 # the way itself
            v[i] = 0.0
        elif still > 1:
            v[i] *= c_little
    return [one, other]


def rises_as_told(
    values, cnp.ndarray x not None, cnp.ndarray start not None, double began, first, double at, cnp.ndarray grad not None,
    cnp.ndarray direction not None, double h, bint more
):
    """What values on both sides of x, the end of a straight descent, tell beside its way: how many were asked, where the cost rises and
    `grad` is right; the negative of it, where not; 0, they were not asked. more: where parameters stand, or all of grad is 0, they would
    not be all that has to be asked.

    Along the way the values and gradients at both ends must be those of a quadratic, began and `first` at its start, at and `grad` at x.
    Their agreement to rounding there, and across by a central difference over h, is what a gradient that is wrong has by chance alone.
    """
    cdef cnp.npy_intp n = cnp.PyArray_SIZE(x), i
    cdef const double *end = numbers_of(x, n)
    cdef const double *begun = numbers_of(start, n)
    cdef const double *g = numbers_of(grad, n)
    cdef cnp.ndarray above, below
    cdef int count = 0
    cdef bint whole = True, stands = False
    if first is None or (n != 1 and not is_line(x, start, first)):
        return 0
    for i in range(n):
        whole = whole and g[i] == 0.0
        stands = stands or end[i] == begun[i]
    if (more and (whole or stands)) or not is_quadratic(x, start, began, first, at, grad):
        return 0
    for move in ways_across(x, start, direction):
        above, below, claimed, _, _ = both_sides(x, grad, move, h, 0.0)
        count += 2
        if not agree_and_rise(value_at(values, above), value_at(values, below), at, claimed, h):
            return -count
    return count


cdef bint agree_and_rise(double up, double down, double at, double claimed, double h) noexcept nogil:
    """Whether values on both sides, over h, differ as is claimed, to the rounding of values and points, which would hide no error, and lie
    above the one between them."""
    cdef double bend = up - 2.0 * at + down
    cdef double rounding = 8.0 * EPS * ((fabs(up) if fabs(up) > fabs(down) else fabs(down)) + fabs(bend) / h)
    return fabs((up - down) - claimed) <= rounding and rounding <= c_seen * bend and up >= at and down >= at


cdef value_at(values, point):
    try:
        return float(values(point))
    except Exception:                    # outside of the domain, perhaps
        return NAN
