"""States in one look: a copy of the numbers of a start, if they are what most calls give; the largest of them; points beside one, and what
the values there say of a gradient."""
from cpython.float cimport PyFloat_AS_DOUBLE
from libc.math cimport NAN, fabs
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.vec cimport all_finite, max_abs

cnp.import_array()

cdef extern from "Python.h":
    bint PyFloat_CheckExact(object)

cdef double EPS = 2.220446049250313e-16
cdef double ROOT = 6.055454452393343e-06  # EPS^(1/3), the length of central differences
# What `mflow.derivatives.remainder` says of a derivative: of its terms, what an inexact but useful one may be off by; it may be that of a
# point so near to x; "right" is said only where an error of this share of the slope would have shown.
SHARE, NEAR, SEEN = 1e-4, 1e-6, 0.01
cdef double c_share = SHARE, c_near = NEAR, c_seen = SEEN


def new_start(value):
    """A new C-contiguous float64 array of finite numbers from a float64 array, or from a list or tuple of floats; None for all else, which
    needs a closer look."""
    cdef cnp.ndarray out
    cdef cnp.npy_intp n
    cdef double *numbers
    cdef Py_ssize_t i
    if type(value) is cnp.ndarray:
        if cnp.PyArray_TYPE(value) != cnp.NPY_DOUBLE or not cnp.PyArray_ISBEHAVED_RO(value):
            return None
        out = cnp.PyArray_NewCopy(value, cnp.NPY_CORDER)
    elif type(value) is list or type(value) is tuple:
        n = len(value)
        out = cnp.PyArray_SimpleNew(1, &n, cnp.NPY_DOUBLE)
        numbers = <double *> cnp.PyArray_DATA(out)
        for i in range(n):
            one = value[i]
            if not PyFloat_CheckExact(one):
                return None
            numbers[i] = PyFloat_AS_DOUBLE(one)
    else:
        return None
    return out if all_finite(<double *> cnp.PyArray_DATA(out), cnp.PyArray_SIZE(out)) else None


def largest(cnp.ndarray array not None):
    """The largest absolute value of a C-contiguous float64 array: 0 of an empty one, NaN where one is among them."""
    if cnp.PyArray_TYPE(array) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(array):
        raise TypeError(f"array: expected a C-contiguous float64 array, got dtype {(<object> array).dtype}")
    return max_abs(<double *> cnp.PyArray_DATA(array), cnp.PyArray_SIZE(array))


def parts_of(cnp.ndarray rows not None, tuple shape):
    """The parts of rows (m, parts, n), a C-contiguous float64 array, as new arrays (*shape, m): rows lie one after the other, and their axis is the last."""
    cdef cnp.npy_intp m, parts, n, i, j
    cdef cnp.npy_intp[2] dims
    cdef double *numbers
    cdef const double *at = <const double *> cnp.PyArray_DATA(rows)
    if cnp.PyArray_NDIM(rows) != 3 or cnp.PyArray_TYPE(rows) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(rows):
        raise TypeError(f"rows: expected a C-contiguous float64 array (m, parts, n), got shape {(<object> rows).shape}")
    m, parts, n = cnp.PyArray_DIM(rows, 0), cnp.PyArray_DIM(rows, 1), cnp.PyArray_DIM(rows, 2)
    dims[0], dims[1] = m, n
    out = []
    for j in range(parts):
        one = cnp.PyArray_SimpleNew(2, dims, cnp.NPY_DOUBLE)
        numbers = <double *> cnp.PyArray_DATA(<cnp.ndarray> one)
        for i in range(m):
            memcpy(numbers + i * n, at + (i * parts + j) * n, n * sizeof(double))
        one = one.T if len(shape) == 1 else one.reshape(m, *shape).transpose((*range(1, len(shape) + 1), 0))
        out.append(one)
    return out


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
