"""Loops over one block of lanes, compiled once per instruction set: the work of lane_steps.pyx between the steps of a method.

    x[i * WIDTH + l]         component i of lane l

Every loop is elementwise over l and runs i in order, so a lane's bits depend on its own numbers alone: not on its place in the block,
on its neighbours, or on the width of a register.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.stddef cimport ptrdiff_t

from mflow_core.arithmetic.control cimport scaled
from mflow_core.arithmetic.vec cimport mf_cvec, mf_vec
from mflow_core.lanes.lane_loops cimport WIDTH, lane_loops_t


cdef void fill(double value, double *out) noexcept nogil:
    cdef int col
    for col in range(WIDTH):
        out[col] = value


cdef void times(double c, const double *t, const double *h, double *out) noexcept nogil:
    cdef int col
    cdef mf_cvec at = t
    cdef mf_cvec step = h
    cdef mf_vec a = out
    for col in range(WIDTH):
        a[col] = at[col] + c * step[col]


cdef void scale(ptrdiff_t n, const double *factor, double *x) noexcept nogil:
    cdef ptrdiff_t i
    cdef int col
    cdef mf_cvec by = factor
    cdef mf_vec a
    for i in range(n):
        a = x + i * WIDTH
        for col in range(WIDTH):
            a[col] = a[col] * by[col]


cdef void accept(ptrdiff_t n, const double *take, const double *factor, const double *next, double *now) noexcept nogil:
    cdef ptrdiff_t i
    cdef int col
    cdef mf_cvec taken = take
    cdef mf_cvec by = factor
    cdef mf_cvec b
    cdef mf_vec a
    cdef double u, v
    for i in range(n):
        a = now + i * WIDTH
        b = next + i * WIDTH
        if factor == NULL:
            for col in range(WIDTH):
                u = a[col]
                v = b[col]
                a[col] = v if taken[col] != 0.0 else u
        else:
            for col in range(WIDTH):
                u = a[col]
                v = b[col]
                a[col] = (v if taken[col] != 0.0 else u) * by[col]


cdef void finite(ptrdiff_t n, const double *x, double *bad) noexcept nogil:
    cdef ptrdiff_t i
    cdef int col
    cdef mf_vec sum = bad
    cdef mf_cvec a
    for i in range(n):
        a = x + i * WIDTH
        for col in range(WIDTH):
            sum[col] = sum[col] + (a[col] - a[col])


cdef void error_sums(ptrdiff_t n, const double *e, const double *y0, const double *y1, const double *rtol, const double *atol,
                     double *out) noexcept nogil:
    cdef ptrdiff_t i
    cdef int col
    cdef mf_vec sum = out
    cdef const double *d
    cdef const double *a
    cdef const double *b
    cdef double s, r, c
    for col in range(WIDTH):
        sum[col] = 0.0
    for i in range(n):
        d = e + i * WIDTH
        a = y0 + i * WIDTH
        b = y1 + i * WIDTH
        r = rtol[i]
        c = atol[i]
        for col in range(WIDTH):
            s = scaled(d[col], a[col], b[col], r, c)
            sum[col] = sum[col] + s * s


cdef void polynomial(ptrdiff_t n, ptrdiff_t ld, int degree, const double *theta, const double *y0, const double *D,
                     double *y) noexcept nogil:
    cdef ptrdiff_t i
    cdef int k, col
    cdef double[WIDTH] s
    cdef mf_cvec by = theta
    cdef mf_cvec d
    cdef mf_cvec a
    cdef mf_vec out
    for i in range(n):
        d = D + (degree - 1) * ld + i * WIDTH
        for col in range(WIDTH):
            s[col] = d[col]
        for k in range(degree - 2, -1, -1):
            d = D + k * ld + i * WIDTH
            for col in range(WIDTH):
                s[col] = d[col] + by[col] * s[col]
        a = y0 + i * WIDTH
        out = y + i * WIDTH
        for col in range(WIDTH):
            out[col] = a[col] + by[col] * s[col]


cdef lane_loops_t TABLE
TABLE.fill, TABLE.times = fill, times
TABLE.scale, TABLE.accept, TABLE.finite, TABLE.error_sums, TABLE.polynomial = scale, accept, finite, error_sums, polynomial

_table = PyCapsule_New(&TABLE, b"mflow_core._lane_loops", NULL)
