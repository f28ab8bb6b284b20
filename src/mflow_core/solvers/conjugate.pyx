"""Conjugate gradients: A x = b, A symmetric and positive definite, known by its products alone.

    p = z + (z'r / z'r before) p,    x += a p,    r -= a A p,    a = z'r / p'Ap,    z = r / diagonal

(M. Hestenes and E. Stiefel, J. Res. Nat. Bur. Standards 49 (1952) 409-436, scaled by the diagonal). The iteration ends when |r| of the
recurrence is below CLOSE |b|, or after 10 n + 100 steps. Then the residual is computed again and must be below TESTED (|b| + |A| |x|), where
|A| is the largest p'Ap / p'p of the iteration. If b is not finite, or |b| overflows, the solution is NaN, which the run reports. All sums
run in fixed lanes (see linalg.pyx), so the bits depend on the numbers alone. Nothing is allocated.
"""
from libc.math cimport INFINITY, NAN, sqrt
from libc.string cimport memcpy, memset


cdef double CLOSE = 1e-15
cdef double TESTED = 1e-12


cdef int residual_of(apply_fn A, void *ctx, ptrdiff_t n, const double *b, const double *x, double *r) noexcept nogil:
    cdef int status = A(x, r, ctx)
    cdef ptrdiff_t i
    for i in range(n):
        r[i] = b[i] - r[i]
    return status


cdef double direction(ptrdiff_t n, const double *r, const double *scale, double *p, double back, double *z, dot_fn dot) noexcept nogil:
    """p = z + (z'r back) p; returns z'r."""
    cdef ptrdiff_t i
    cdef double zr, beta
    for i in range(n):
        z[i] = scale[i] * r[i]
    zr = dot(z, r, n)
    beta = zr * back
    for i in range(n):
        p[i] = z[i] + beta * p[i]
    return zr


cdef int conjugate_gradients(apply_fn A, void *ctx, dot_fn dot, ptrdiff_t n, const double *scale, double *b, double *room, int64_t *count,
                             int *failed) noexcept nogil:
    """Solve A x = b; b becomes the solution. room: four vectors, of which the first holds a guess. scale: reciprocals of the diagonal.

    Return the code of A. *failed: 0, or the reason why there is no solution.
    """
    cdef double *x = room
    cdef double *r = room + n
    cdef double *p = room + 2 * n
    cdef double *q = room + 3 * n
    cdef double size = sqrt(dot(b, b, n)), left = 0.0, zr, pq, step, back = 0.0, norm = 0.0
    cdef int64_t k, most = 10 * n + 100
    cdef ptrdiff_t i
    cdef int status
    failed[0] = 0
    if size == 0.0:
        memset(b, 0, n * sizeof(double))
        return 0
    if not size < INFINITY:
        b[0] = NAN
        return 0
    status = residual_of(A, ctx, n, b, x, r)
    memset(p, 0, n * sizeof(double))
    for k in range(most + 1):
        if status != 0:
            return status
        left = sqrt(dot(r, r, n))
        if left <= CLOSE * size or k == most:
            break
        zr = direction(n, r, scale, p, back, q, dot)
        status = A(p, q, ctx)
        if status != 0:
            return status
        pq = dot(p, q, n)
        if not pq > 0.0:
            failed[0] = CG_INDEFINITE
            return 0
        count[0] += 1
        norm = max(norm, pq / dot(p, p, n))
        step, back = zr / pq, 1.0 / zr
        for i in range(n):
            x[i] = x[i] + step * p[i]
            r[i] = r[i] - step * q[i]
    status = residual_of(A, ctx, n, b, x, r)
    if status == 0 and not sqrt(dot(r, r, n)) <= TESTED * (size + norm * sqrt(dot(x, x, n))):
        failed[0] = CG_SLOW if left > CLOSE * size else CG_RESIDUAL
    memcpy(b, x, n * sizeof(double))
    return status
