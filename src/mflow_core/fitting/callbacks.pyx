"""Residuals that are Python functions: fun(x, *args, **kwargs), or a model f(xdata, *x) less the data.

A function gets a new array at each call, and results are copied, so that nobody shares a buffer with the run. Arrays of float64 are taken
as they are; all else goes to a checker in Python, whose errors name what does not fit. sigma divides: one number, one a residual, or
the lower triangle L of a covariance L L', which is solved with.
"""
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_New, PyTuple_SET_ITEM
from libc.math cimport sqrt
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.bits cimport most_bits
from mflow_core.problems.values cimport numbers_of

import numpy as np

cnp.import_array()

cdef extern from *:
    """
    #include "numpy/arrayscalars.h"
    static PyObject *mf_float64(double x) {
      PyObject *out = PyArrayScalar_New(Double);
      if (out) { PyArrayScalar_ASSIGN(out, Double, x); }
      return out; }
    """
    object mf_float64(double)            # numpy.float64

cdef enum:
    ENTRIES = 400                        # of the values of a function, that are looked at for their digits
    FULL = 45                            # significant bits from which on values count as those of float64
    DECIMALS = 10                        # significant decimal digits up to which values count as rounded


cdef object array_of(const double *x, ptrdiff_t n):
    cdef cnp.npy_intp length = n
    cdef cnp.ndarray out = cnp.PyArray_SimpleNew(1, &length, cnp.NPY_DOUBLE)
    memcpy(cnp.PyArray_DATA(out), x, n * sizeof(double))
    return out


cdef inline bint is_plain(object a, ptrdiff_t size):
    """Whether it is a vector of float64, one number behind the other, of this size (-1: any)."""
    if not cnp.PyArray_CheckExact(a):
        return False
    return (cnp.PyArray_TYPE(<cnp.ndarray> a) == cnp.NPY_DOUBLE and cnp.PyArray_NDIM(<cnp.ndarray> a) == 1
            and cnp.PyArray_ISCARRAY_RO(<cnp.ndarray> a) and (size < 0 or cnp.PyArray_SIZE(<cnp.ndarray> a) == size))


def all_finite(cnp.ndarray a not None):
    """Whether no entry of a float64 array is NaN or infinite."""
    cdef const double *values
    cdef double total = 0.0
    cdef ptrdiff_t i
    if not (cnp.PyArray_TYPE(a) == cnp.NPY_DOUBLE and cnp.PyArray_ISCARRAY_RO(a)):
        return bool(np.isfinite(a).all())
    values = <const double *> cnp.PyArray_DATA(a)
    for i in range(cnp.PyArray_SIZE(a)):
        total += values[i] - values[i]
    return total == 0.0


cdef class Calls:
    """The user's functions. checker(raw) and jac_checker(raw) return float64 arrays (m,) and (m, n), or raise.

    y None: fun returns residuals; else it is a model of xdata, and y is taken off. sigma: (1,) or (m,); root: (m, m) in its place.
    seen: a list that takes what fun returns as it is. watch(raw): called with it at each evaluation. count: calls of fun.
    """

    def __init__(self, fun, jac, tuple args, dict kwargs, ptrdiff_t n, checker, jac_checker, xdata=None, y=None, sigma=None, root=None):
        self.fun, self.jac, self.after, self.kwargs, self.n = fun, jac, args, kwargs or None, n
        self.checker, self.jac_checker, self.watch = checker, jac_checker, None
        self.xdata, self.y, self.sigma, self.root, self.model = xdata, y, sigma, root, y is not None
        self.m, self.seen, self.count = -1 if y is None else cnp.PyArray_SIZE(y), None, 0

    cdef object arguments(self, const double *x):
        cdef tuple out
        cdef object one
        cdef ptrdiff_t i
        if not self.model:
            at = array_of(x, self.n)
            return (at, *self.after) if self.after else (at,)
        out = PyTuple_New(1 + self.n)
        Py_INCREF(self.xdata)
        PyTuple_SET_ITEM(out, 0, self.xdata)
        for i in range(self.n):
            one = mf_float64(x[i])
            Py_INCREF(one)
            PyTuple_SET_ITEM(out, 1 + i, one)
        return out

    cdef int into(self, object raw, double *r) except -1:
        """What fun returned, less the data of a model, over sigma."""
        cdef const double *values
        cdef const double *data
        cdef ptrdiff_t i
        if not is_plain(raw, self.m):
            raw = self.checker(raw)
            if not is_plain(raw, self.m):
                raise ValueError(f"fun: expected {self.m} residuals, got {np.shape(raw)}")
        values = <const double *> cnp.PyArray_DATA(<cnp.ndarray> raw)
        if self.model:
            data = <const double *> cnp.PyArray_DATA(self.y)
            for i in range(self.m):
                r[i] = values[i] - data[i]
        else:
            memcpy(r, values, self.m * sizeof(double))
        self.whiten(r, 1)
        return 0

    cdef void whiten(self, double *r, ptrdiff_t stride) noexcept:
        cdef const double *of
        cdef ptrdiff_t i, j, m = self.m
        cdef double total
        if self.root is not None:
            of = <const double *> cnp.PyArray_DATA(self.root)
            for i in range(m):
                total = r[i * stride]
                for j in range(i):
                    total = total - of[i * m + j] * r[j * stride]
                r[i * stride] = total / of[i * m + i]
        elif self.sigma is not None:
            of = <const double *> cnp.PyArray_DATA(self.sigma)
            if cnp.PyArray_SIZE(self.sigma) == 1:
                for i in range(m):
                    r[i * stride] = r[i * stride] / of[0]
            else:
                for i in range(m):
                    r[i * stride] = r[i * stride] / of[i]

    def first(self, cnp.ndarray x not None):
        """The residuals at the start, (m,); m is known from then on."""
        cdef object raw, out
        raw = self.raw(x)
        if self.m < 0 or self.model and self.m == 1:
            raw = np.ascontiguousarray(self.checker(raw))
            self.m = cnp.PyArray_SIZE(<cnp.ndarray> raw)
            if self.model and cnp.PyArray_SIZE(self.y) != self.m:
                self.y = np.full(self.m, self.y[0])
        out = np.empty(self.m)
        self.into(raw, <double *> cnp.PyArray_DATA(<cnp.ndarray> out))
        return out

    def raw(self, x):
        """What fun returns at x."""
        args = self.arguments(numbers_of(np.ascontiguousarray(x, dtype=np.float64), self.n))
        self.count += 1
        return self.fun(*args) if self.kwargs is None else self.fun(*args, **self.kwargs)

    def residuals(self, x):
        """The residuals at x."""
        return self.weighted(self.raw(x))

    def weighted(self, raw):
        """The residuals that follow from what fun returned."""
        out = np.empty(self.m)
        self.into(raw, <double *> cnp.PyArray_DATA(<cnp.ndarray> out))
        return out

    def carries_all_digits(self):
        """Whether a look at what was seen tells at once that these are numbers of float64, neither shorter nor rounded."""
        cdef const double *values
        cdef ptrdiff_t i, last
        if not self.seen or not is_plain(self.seen[0], -1):
            return False
        values = <const double *> cnp.PyArray_DATA(<cnp.ndarray> self.seen[0])
        last = min(cnp.PyArray_SIZE(<cnp.ndarray> self.seen[0]), <ptrdiff_t> ENTRIES)
        for i in range(last):
            if values[i] - values[i] == 0.0 and most_bits(values + i, 1, 0) >= FULL:
                digits = repr(abs(values[i])).partition("e")[0].replace(".", "").strip("0")
                return len(digits) > DECIMALS
        return False


cdef int fill_jacobian(Calls c, const double *x, double *J, ptrdiff_t m, ptrdiff_t n) except -1:
    cdef object raw
    cdef ptrdiff_t j
    args = c.arguments(x)
    raw = c.jac(*args) if c.kwargs is None else c.jac(*args, **c.kwargs)
    a = c.jac_checker(raw)
    memcpy(J, numbers_of(a, m * n), m * n * sizeof(double))
    for j in range(n):
        c.whiten(J + j, n)
    return 0


cdef int residuals_of_python(const double *x, double *r, double *J, ptrdiff_t m, ptrdiff_t n, void *ctx) except -1:
    """Residuals or Jacobian, or both; an exception stays set."""
    cdef Calls c = <Calls> ctx
    cdef object raw
    if r != NULL:
        args = c.arguments(x)
        c.count += 1
        raw = c.fun(*args) if c.kwargs is None else c.fun(*args, **c.kwargs)
        if c.seen is not None:
            c.seen.append(raw)
        c.into(raw, r)
        if c.watch is not None:
            c.watch(raw)
    if J != NULL:
        fill_jacobian(c, x, J, m, n)
    return 0


cdef int loss_of_python(const double *f, double *cost, double *root, ptrdiff_t m, void *ctx) except -1:
    cdef object rho = <object> ctx
    cdef object at = array_of(f, m)
    cdef const double *slopes
    cdef ptrdiff_t i
    cost[0] = rho.cost(at)
    if root != NULL:
        slope = np.ascontiguousarray(rho.weights(at), dtype=np.float64)
        slopes = numbers_of(slope, m)
        for i in range(m):
            root[i] = sqrt(slopes[i])
    return 0
