# cython: language_level=3
"""Passes of second-order methods over x, v and a: one elementwise loop for each update of a step, read and written once.

Outputs may be inputs where they are plain pointers: x1 may be x and v1 may be v. Short vectors (n <= MF_SHORT) stay scalar, see vec.pxd.
"""
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy

from mflow_core.arithmetic.vec cimport MF_SHORT, mf_cvec, mf_scalar, mf_vec


cdef inline void taylor(ptrdiff_t n, const double *x, const double *v, const double *a, double *x1, double *v1, double h, double cx,
                        double cv) noexcept nogil:
    """x1 = x + (h v + cx a), v1 = v + cv a."""
    cdef double vi, ai
    cdef ptrdiff_t i
    if n <= MF_SHORT:
        for i in range(n):
            vi, ai = v[i], a[i]
            x1[i] = mf_scalar(x[i] + (h * vi + cx * ai))
            v1[i] = mf_scalar(vi + cv * ai)
    else:
        for i in range(n):
            vi, ai = v[i], a[i]
            x1[i] = x[i] + (h * vi + cx * ai)
            v1[i] = vi + cv * ai


cdef inline void advance(ptrdiff_t n, const double *x, const double *v, const double *a, mf_cvec a1, double *x1, double *v1, double h,
                         double cx, double cv, double bx, double bv) noexcept nogil:
    """x1 = x + (h v + cx a + bx a1), v1 = v + (cv a + bv a1): one rounding of the size of x and one of v, so that energies drift less."""
    cdef double vi, ai
    cdef ptrdiff_t i
    if n <= MF_SHORT:
        for i in range(n):
            vi, ai = v[i], a[i]
            x1[i] = mf_scalar(x[i] + ((h * vi + cx * ai) + bx * a1[i]))
            v1[i] = mf_scalar(vi + (cv * ai + bv * a1[i]))
    else:
        for i in range(n):
            vi, ai = v[i], a[i]
            x1[i] = x[i] + ((h * vi + cx * ai) + bx * a1[i])
            v1[i] = vi + (cv * ai + bv * a1[i])


cdef inline void advance_v(ptrdiff_t n, const double *v, const double *a, mf_cvec a1, double *v1, double cv, double bv) noexcept nogil:
    """v1 = v + (cv a + bv a1)."""
    cdef ptrdiff_t i
    if n <= MF_SHORT:
        for i in range(n):
            v1[i] = mf_scalar(v[i] + (cv * a[i] + bv * a1[i]))
    else:
        for i in range(n):
            v1[i] = v[i] + (cv * a[i] + bv * a1[i])


cdef inline void kick_drift(ptrdiff_t n, const double *x, const double *v, const double *a, double *x1, double *v1, double h, double kick,
                            bint keep_v) noexcept nogil:
    """v(1/2) = v + kick a, x1 = x + h v(1/2); v1 = v(1/2), or v itself."""
    cdef double half
    cdef ptrdiff_t i
    if n <= MF_SHORT:
        for i in range(n):
            half = v[i] + kick * a[i]
            x1[i] = mf_scalar(x[i] + h * half)
            v1[i] = mf_scalar(v[i] if keep_v else half)
    elif keep_v:
        for i in range(n):
            half = v[i] + kick * a[i]
            x1[i] = x[i] + h * half
            v1[i] = v[i]
    else:
        for i in range(n):
            half = v[i] + kick * a[i]
            x1[i] = x[i] + h * half
            v1[i] = half


cdef inline void drift(ptrdiff_t n, const double *x, const double *v, double *x1, double *v1, double h) noexcept nogil:
    """x1 = x + h v, v1 = v."""
    cdef double vi
    cdef ptrdiff_t i
    if n <= MF_SHORT:
        for i in range(n):
            vi = v[i]
            x1[i] = mf_scalar(x[i] + h * vi)
            v1[i] = mf_scalar(vi)
    else:
        for i in range(n):
            vi = v[i]
            x1[i] = x[i] + h * vi
            v1[i] = vi


cdef inline void add(ptrdiff_t n, mf_vec y, mf_cvec a, double c) noexcept nogil:
    """y += c a."""
    cdef ptrdiff_t i
    if n <= MF_SHORT:
        for i in range(n):
            y[i] = mf_scalar(y[i] + c * a[i])
    else:
        for i in range(n):
            y[i] = y[i] + c * a[i]


cdef inline void correct(ptrdiff_t n, mf_vec x, mf_vec v, mf_cvec a, double bx, double bv) noexcept nogil:
    """x += bx a, v += bv a."""
    cdef ptrdiff_t i
    if bx == 0.0:
        add(n, v, a, bv)
    elif n <= MF_SHORT:
        for i in range(n):
            x[i] = mf_scalar(x[i] + bx * a[i])
            v[i] = mf_scalar(v[i] + bv * a[i])
    else:
        for i in range(n):
            x[i] = x[i] + bx * a[i]
            v[i] = v[i] + bv * a[i]


cdef inline void guess(ptrdiff_t n, const double *a, double *a1) noexcept nogil:
    """a1 = a."""
    cdef ptrdiff_t i
    if n <= MF_SHORT:
        for i in range(n):
            a1[i] = mf_scalar(a[i])
    elif a1 != a:
        memcpy(a1, a, n * sizeof(double))
