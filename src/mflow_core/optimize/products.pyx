"""Hessian-vector products H(x) p for the core: a compiled objective's own, or a Python function's.

A Python function gets private arrays, made anew for each call: it may keep them.
"""
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.objectives.objective cimport Objective
from mflow_core.problems.problem cimport failed

import numpy as np

cnp.import_array()


cdef class Products:
    """From an `Objective`, or a function (x, p) of arrays of `shape` that returns one."""

    def __cinit__(self, source, tuple shape):
        cdef Objective objective
        self.owner, self.shape, self.count = source, shape, 0
        if isinstance(source, Objective):
            objective = <Objective> source
            self.fun, self.ctx = objective.c.record.hessp, <void *> &objective.c
        elif callable(source):
            self.fun, self.ctx = call_product, <void *> self
        else:
            raise TypeError(f"hessp: expected a function (x, p), got {type(source).__name__}")


cdef int product_of(Products products, const double *x, const double *p, double *out, ptrdiff_t n) except -1:
    cdef cnp.ndarray at = np.empty(products.shape)
    cdef cnp.ndarray along = np.empty(products.shape)
    memcpy(cnp.PyArray_DATA(at), x, n * sizeof(double))
    memcpy(cnp.PyArray_DATA(along), p, n * sizeof(double))
    products.count += 1
    result = np.asarray(products.owner(at, along))
    if result.dtype.kind not in "biuf" or result.size != n:
        raise ValueError(f"hessp: expected {n} real numbers, as x has, got shape {result.shape} and dtype {result.dtype}")
    result = np.ascontiguousarray(result, dtype=np.float64)
    memcpy(out, cnp.PyArray_DATA(<cnp.ndarray> result), n * sizeof(double))
    return 0


ctypedef int (*quiet_product)(Products, const double *, const double *, double *, ptrdiff_t) noexcept


cdef int call_product(const double *x, const double *p, double *out, ptrdiff_t n, void *ctx) noexcept with gil:
    # The error must stay set, so the call goes through a pointer whose type tells Cython that nothing was raised.
    if (<quiet_product> product_of)(<Products> ctx, x, p, out, n) == 0:
        return 0
    return failed()
