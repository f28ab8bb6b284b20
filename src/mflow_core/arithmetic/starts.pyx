"""States in one look: a copy of the numbers of a start, if they are what most calls give; the largest of them; points beside one."""
from cpython.float cimport PyFloat_AS_DOUBLE
from libc.math cimport fabs

cimport numpy as cnp

from mflow_core.arithmetic.vec cimport all_finite, max_abs

cnp.import_array()

cdef extern from "Python.h":
    bint PyFloat_CheckExact(object)


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


def both_sides(cnp.ndarray x not None, cnp.ndarray grad not None, cnp.ndarray direction not None, double h, double small):
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
