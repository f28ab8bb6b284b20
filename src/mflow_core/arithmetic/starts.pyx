"""States in one look: a copy of the numbers of a start, if they are what most calls give; the largest of them; which have grown from within
a tolerance of 0. And how many equal steps lead from one time to another."""
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.long cimport PyLong_FromDouble
from libc.math cimport INFINITY, NAN, ceil, fabs
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.vec cimport all_finite, max_abs

import numpy as np

cnp.import_array()

cdef extern from "Python.h":
    bint PyFloat_CheckExact(object)


ROUNDING = 1e-12                         # a remainder this small against the whole span is no step of its own
cdef double NO_REST = 1.0 - 1e-12
cdef double OF_TIMES = 4.5e-16           # of both times: what the core takes for the end of a grid


def count_steps(double t0, double t1, double step):
    """Equal steps from t0 to t1, the last of which may be shorter. Raises OverflowError or ValueError where they cannot be counted."""
    cdef double lost
    if t1 == t0:
        return 0
    if not -INFINITY < step < INFINITY:
        return 1
    lost = OF_TIMES * (fabs(t0) + fabs(t1)) / fabs(step)     # far from 0: no step is as short as rounding of t, where the core lands
    return max(1, PyLong_FromDouble(ceil((t1 - t0) / step * NO_REST - (lost if lost < 0.5 else 0.5))))


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


cdef cnp.ndarray numbers(value, ptrdiff_t n, str argument):
    """A C-contiguous float64 array of n numbers: the one given, or one made of what was given."""
    cdef cnp.ndarray array
    if type(value) is cnp.ndarray and cnp.PyArray_TYPE(value) == cnp.NPY_DOUBLE and cnp.PyArray_ISCARRAY_RO(value):
        array = value
    else:
        try:
            array = np.asarray(value)
            if array.dtype.kind not in "biuf":
                raise TypeError
            array = np.ascontiguousarray(array, dtype=np.float64)
        except (TypeError, ValueError):
            raise TypeError(f"{argument}: expected {n} real numbers, got {type(value).__name__} {value!r}") from None
    if cnp.PyArray_NDIM(array) != 1 or cnp.PyArray_DIM(array, 0) != n:
        raise ValueError(f"{argument}: expected an array of shape ({n},), got shape {(<object> array).shape}")
    return array


cdef cnp.ndarray empty(tuple shape):
    """As `np.empty`, without a call of Python for vectors."""
    cdef cnp.npy_intp n
    if len(shape) != 1:
        return np.empty(shape)
    n = shape[0]
    return cnp.PyArray_SimpleNew(1, &n, cnp.NPY_DOUBLE)


cdef cnp.ndarray nans(tuple shape):
    """A new float64 array of this shape, NaN in every place: what a function is to fill."""
    cdef cnp.ndarray out = empty(shape)
    cdef double *at = <double *> cnp.PyArray_DATA(out)
    cdef ptrdiff_t i
    for i in range(cnp.PyArray_SIZE(out)):
        at[i] = NAN
    return out


def largest(cnp.ndarray array not None):
    """The largest absolute value of a C-contiguous float64 array: 0 of an empty one, NaN where one is among them."""
    if cnp.PyArray_TYPE(array) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(array):
        raise TypeError(f"array: expected a C-contiguous float64 array, got dtype {(<object> array).dtype}")
    return max_abs(<double *> cnp.PyArray_DATA(array), cnp.PyArray_SIZE(array))


def grown_from_below(cnp.ndarray rows not None, cnp.ndarray least not None, double factor=1000.0):
    """(component, the row before it grew, the smallest there) of each that is above `factor` times a number of `least` in a row of rows
    (m, n) and was within that number of 0 before, on the same side since it was larger, or since the first row. What was exactly 0 counts
    no more: it has not grown by itself. least : (n,) or (1,)."""
    cdef cnp.npy_intp m, n, j, k, low
    cdef const double *at = <const double *> cnp.PyArray_DATA(rows)
    cdef const double *bounds = <const double *> cnp.PyArray_DATA(least)
    cdef double x, before, bound, smallest
    cdef bint passes
    if cnp.PyArray_NDIM(rows) != 2 or cnp.PyArray_TYPE(rows) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(rows):
        raise TypeError(f"rows: expected a C-contiguous float64 array (m, n), got shape {(<object> rows).shape}")
    m, n = cnp.PyArray_DIM(rows, 0), cnp.PyArray_DIM(rows, 1)
    if cnp.PyArray_TYPE(least) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(least) or cnp.PyArray_SIZE(least) not in (1, n):
        raise TypeError(f"least: expected a C-contiguous float64 array of {n} numbers or 1, got shape {(<object> least).shape}")
    found = []
    for j in range(n):
        bound = bounds[j if cnp.PyArray_SIZE(least) == n else 0]
        low, before, smallest, passes = -1, 0.0, 0.0, False
        for k in range(m):
            x = at[k * n + j]
            if x == 0.0 or x * before < 0.0:
                low, passes = -1, True
            if not fabs(x) <= bound:
                if low >= 0 and fabs(x) > factor * bound:
                    found.append((j, low, smallest))
                    break
                passes = False
            elif not passes:
                smallest = fabs(x) if low < 0 else min(smallest, fabs(x))
                low = k
            before = x
    return found


def is_finite(array):
    """Whether it is a C-contiguous float64 array of finite numbers. All else needs a closer look."""
    if not isinstance(array, np.ndarray) or cnp.PyArray_TYPE(<cnp.ndarray> array) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(array):
        return False
    return all_finite(<double *> cnp.PyArray_DATA(<cnp.ndarray> array), cnp.PyArray_SIZE(array))


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
