"""The spectral radius of a right-hand side, without Python: for hosts in C that run a row which wants it.

Nonlinear power iteration (Sommeijer, Shampine and Verwer, J. Comput. Appl. Math. 88 (1998) 315-326): v <- (f(y + v) - f(y)) scaled back
to the length of a difference, until the growth changes by less than a hundredth. What is found comes from below, so a fifth is added.
The drivers in Python measure more (`mflow.stability.spectrum`).
"""
from libc.math cimport fabs, sqrt
from libc.stddef cimport ptrdiff_t

from mflow_core.registry cimport REDUCE
from mflow_core.stepping.run cimport note_rho
from mflow_core.types cimport MF_E_NON_FINITE


cdef enum:
    MOST = 50


cdef int estimate_rho(run_t *r) noexcept nogil:
    """r.f.rho where the run stands. Scratch: `next` and the row's work, which hold nothing between two steps."""
    cdef double *v = r.next[0]
    cdef double *at = r.f.work
    cdef double *slope = r.f.work + r.ld
    cdef double *base = r.f.work + 2 * r.ld
    cdef const double *y = r.now[0]
    cdef double length = 1.5e-8 * max(1.0, sqrt(REDUCE.sum_of_squares(y, r.n))), norm, rho = 0.0, before
    cdef ptrdiff_t i
    cdef int _k, status
    status = r.p.rhs(r.t, y, base, r.n, r.p.ctx)
    r.f.n_rhs += 1
    for i in range(r.n):
        v[i] = base[i] if base[i] != 0.0 else 1.0
    for _k in range(MOST):
        if status != 0:
            return status
        norm = sqrt(REDUCE.sum_of_squares(v, r.n))
        if not norm - norm == 0.0:
            return MF_E_NON_FINITE
        if norm == 0.0:
            break
        for i in range(r.n):
            at[i] = y[i] + v[i] * (length / norm)
        status = r.p.rhs(r.t, at, slope, r.n, r.p.ctx)
        r.f.n_rhs += 1
        for i in range(r.n):
            v[i] = slope[i] - base[i]
        before = rho
        rho = sqrt(REDUCE.sum_of_squares(v, r.n)) / length
        if _k > 1 and fabs(rho - before) <= 0.01 * rho:
            break
    if not rho - rho == 0.0:
        return MF_E_NON_FINITE
    note_rho(r, 1.2 * rho)
    return status
