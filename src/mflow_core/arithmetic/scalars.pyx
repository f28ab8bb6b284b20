"""A door to the scalars that kernels and the step controller inline from scalars.pxd, for tests; and to norms.pxd."""
cimport numpy as cnp

from mflow_core.arithmetic.norms cimport scaled_norm as _scaled_norm

import numpy as np

cnp.import_array()


def _power(double x, double p):
    """x^p as the step controller computes it."""
    return mf_power(x, p)


def _exp(double x):
    return mf_exp(x)


def _expm1(double x):
    return mf_expm1(x)


def _log(double x):
    return mf_log(x)


def _log1p(double x):
    return mf_log1p(x)


def scaled_norm(values, weights=None):
    """|w v| of n numbers, also where their squares under- or overflow: inf where one is infinite, NaN where one is NaN."""
    cdef cnp.ndarray v = np.ascontiguousarray(values, dtype=np.float64), w = None
    if weights is not None:
        w = np.ascontiguousarray(weights, dtype=np.float64)
        if w.size != v.size:
            raise ValueError(f"weights: expected {v.size} numbers, got {w.size}")
    return _scaled_norm(v.size, <double *> cnp.PyArray_DATA(v), NULL if w is None else <double *> cnp.PyArray_DATA(w), 1.0)
