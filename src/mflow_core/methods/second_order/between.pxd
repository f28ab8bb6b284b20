# cython: language_level=3
"""What methods of order 4 and more are between the ends of a step: x from x, v and a at both, and from two accelerations inside.

With theta = (t - t0)/dt, x is the quintic that has both ends' x, v and a (error dt^6; of v, its derivative, dt^5). Methods of order 6 and more
add dt^2-small terms that leave the ends as they are,

    theta^3 (1 - theta)^3 (alpha + beta (2 theta - 1)),

so that x'' is M^-1 F at theta = 1/10 and 9/10 as well, at the x and v of the quintic, which is good to dt^8 so near the ends: errors of
dt^8 in x and dt^7 in v. a is x''.

D has three groups of n_dense/3 vectors, for x, v and a: powers of theta from 1 on. The group of a is scratch until it is written. On constraints
a may not be that of the end: x and v are cubics there.
"""
from libc.stddef cimport ptrdiff_t
from libc.string cimport memset

from mflow_core.methods.second_order.hooks cimport constrained
from mflow_core.methods.second_order.records cimport acceleration
from mflow_core.types cimport mf_frame, mf_method

cdef enum:
    QUINTIC = 15                         # vectors of D
    SEPTIC = 21


cdef inline void cubics(mf_frame *f, double *X, double *V) noexcept nogil:
    cdef double h = f.h, dx, dv, u, p
    cdef ptrdiff_t i, ld = f.ld
    for i in range(f.n):
        dx, dv = f.x1[0][i] - f.x0[0][i], f.x1[1][i] - f.x0[1][i]
        u, p = h * f.x0[1][i], h * f.x0[2][i]
        X[i], X[ld + i], X[2 * ld + i] = u, 3.0 * (dx - u) - h * dv, h * dv - 2.0 * (dx - u)
        V[i], V[ld + i], V[2 * ld + i] = p, 3.0 * (dv - p) - h * (f.x1[2][i] - f.x0[2][i]), h * (f.x1[2][i] - f.x0[2][i]) - 2.0 * (dv - p)


cdef inline void quintic(mf_frame *f, double *X) noexcept nogil:
    cdef double h = f.h, u, p, dx, dv, da
    cdef ptrdiff_t i, ld = f.ld
    for i in range(f.n):
        u, p = h * f.x0[1][i], 0.5 * (h * h) * f.x0[2][i]
        dx = (f.x1[0][i] - f.x0[0][i]) - (u + p)
        dv = (h * f.x1[1][i] - u) - 2.0 * p
        da = (h * h) * f.x1[2][i] - 2.0 * p
        X[i], X[ld + i] = u, p
        X[2 * ld + i] = (10.0 * dx - 4.0 * dv) + 0.5 * da
        X[3 * ld + i] = (7.0 * dv - 15.0 * dx) - da
        X[4 * ld + i] = (6.0 * dx - 3.0 * dv) + 0.5 * da


cdef inline int acceleration_at(mf_frame *f, double theta, const double *X, double *x, double *v, double *a) noexcept nogil:
    """a = M^-1 F at theta of the quintic, whose x and v are left in x and v."""
    cdef double s, w
    cdef ptrdiff_t i, ld = f.ld
    cdef int k
    for i in range(f.n):
        s, w = X[4 * ld + i], 5.0 * X[4 * ld + i]
        for k in range(3, -1, -1):
            s, w = X[k * ld + i] + theta * s, (k + 1) * X[k * ld + i] + theta * w
        x[i], v[i] = f.x0[0][i] + theta * s, w / f.h
    return acceleration(f, f.t + theta * f.h, x, v, a)


cdef inline double second_derivative(const double *X, ptrdiff_t ld, ptrdiff_t i, double theta) noexcept nogil:
    """Of the quintic, with respect to theta."""
    return 2.0 * X[ld + i] + theta * (6.0 * X[2 * ld + i] + theta * (12.0 * X[3 * ld + i] + theta * (20.0 * X[4 * ld + i])))


cdef inline int between(const mf_method *m, mf_frame *f) noexcept nogil:
    """The `dense` of these methods."""
    cdef int width = m.sizes.n_dense // 3, k, status
    cdef ptrdiff_t i, ld = f.ld
    cdef double *X = f.D
    cdef double *V = f.D + width * ld
    cdef double *A = f.D + 2 * width * ld
    cdef double h = f.h, r1, r2, alpha, beta, per = 1.0 / f.h
    if constrained(f):
        memset(f.D, 0, m.sizes.n_dense * ld * sizeof(double))
        cubics(f, X, V)
        for i in range(f.n):
            A[i] = f.x1[2][i] - f.x0[2][i]
        return 0
    quintic(f, X)
    if width == 7:
        status = acceleration_at(f, 0.1, X, A, A + ld, A + 2 * ld)
        if status == 0:
            status = acceleration_at(f, 0.9, X, A, A + ld, A + 3 * ld)
        if status != 0:
            return status
        for i in range(f.n):
            r1 = (h * h) * A[2 * ld + i] - second_derivative(X, ld, i, 0.1)
            r2 = (h * h) * A[3 * ld + i] - second_derivative(X, ld, i, 0.9)
            alpha, beta = (r1 + r2) / 0.594, (r2 - r1) / 0.31968
            X[2 * ld + i] = X[2 * ld + i] + (alpha - beta)
            X[3 * ld + i] = X[3 * ld + i] + (5.0 * beta - 3.0 * alpha)
            X[4 * ld + i] = X[4 * ld + i] + (3.0 * alpha - 9.0 * beta)
            X[5 * ld + i] = 7.0 * beta - alpha
            X[6 * ld + i] = -2.0 * beta
    for k in range(width):
        for i in range(f.n):
            V[k * ld + i] = (k + 2) * per * X[(k + 1) * ld + i] if k + 1 < width else 0.0
    for k in range(width):
        for i in range(f.n):
            A[k * ld + i] = (k + 2) * per * V[(k + 1) * ld + i] if k + 2 < width else 0.0
    return 0
