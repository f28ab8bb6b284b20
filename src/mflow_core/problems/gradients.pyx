"""What values on both sides of a point say of a gradient there, in one look: `mflow.derivatives.remainder` looks closer."""
from libc.math cimport NAN, fabs

cimport numpy as cnp

cnp.import_array()

cdef double EPS = 2.220446049250313e-16
cdef double ROOT = 6.055454452393343e-06  # EPS^(1/3), the length of central differences
SHARE = 1e-4                             # of a derivative's terms, what an inexact but useful one may be off by
NEAR = 1e-6                              # a derivative may be that of a point so near to x
SEEN = 0.01                              # "right" is said only where an error of this share of the slope would have shown
cdef double c_share = SHARE, c_near = NEAR, c_seen = SEEN


cdef tuple both_sides(cnp.ndarray x, cnp.ndarray grad, cnp.ndarray direction, double h, double small):
    """(x + h d, x - h d, the change between them by the gradient, the sum of its absolute terms, whether an entry other than 0
    is below `small`), d_j = max(1, |x_j|) direction_j.

    All are C-contiguous float64 arrays (n,). The change is that between the rounded points.
    """
    cdef cnp.npy_intp n = cnp.PyArray_SIZE(x), i
    cdef cnp.ndarray above, below
    cdef double *up
    cdef double *down
    cdef const double *at
    cdef const double *g
    cdef const double *d
    cdef double size, move, part, claimed = 0.0, terms = 0.0
    cdef bint some = False
    for one in (x, grad, direction):
        if cnp.PyArray_TYPE(one) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(one) or cnp.PyArray_SIZE(one) != n:
            raise TypeError(f"x, grad, direction: expected C-contiguous float64 arrays of {n} numbers, got {one.size} of dtype {one.dtype}")
    above, below = cnp.PyArray_SimpleNew(1, &n, cnp.NPY_DOUBLE), cnp.PyArray_SimpleNew(1, &n, cnp.NPY_DOUBLE)
    up, down = <double *> cnp.PyArray_DATA(above), <double *> cnp.PyArray_DATA(below)
    at, g, d = <double *> cnp.PyArray_DATA(x), <double *> cnp.PyArray_DATA(grad), <double *> cnp.PyArray_DATA(direction)
    for i in range(n):
        size = fabs(at[i])
        move = h * ((size if size > 1.0 else 1.0) * d[i])
        up[i], down[i] = at[i] + move, at[i] - move
        part = g[i] * (up[i] - down[i])
        claimed += part
        terms += fabs(part)
        some = some or 0.0 < size < small
    return above, below, claimed, terms, some


def judged_sides(double error, double change, double terms, double rounding, double bend, double eps, near, double longer=0.0):
    """"right", "off", or "unseen" where rounding hides an error of SEEN: of a central difference and what a derivative says of it.

    error: by how much they differ; change: between the two sides; terms: the sum of the derivative's absolute terms; bend: the second
    difference; near(): whether x has parameters that are small, but not 0; longer: the length, where it is not that which suits eps.
    """
    cdef double slope = terms if terms > change else change, most, share = 10.0 * eps
    cdef bint seen
    if longer == 0.0 and bend > slope:
        slope = bend
    seen = rounding <= c_seen * slope or (slope == 0.0 and bend == 0.0)
    most = c_seen * slope if longer != 0.0 else 0.1 * (share if share > c_share else c_share) * terms + rounding
    if error > most and longer == 0.0 and not near():
        most += 0.2 * c_near * bend / eps ** (1.0 / 3.0)     # what a move of x by NEAR changes
    if error > most + (rounding if longer != 0.0 else 0.0):
        return "off"
    return "right" if seen and error <= most else "unseen"


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
    word = judged_sides(fabs((up - down) - claimed), fabs(up - down), terms, 8.0 * EPS * size, bend, EPS, lambda: some)
    return word == "right", sides
