"""A Jacobian of the user's that is far too large: then (M - gh J)^-1 takes every update to nothing, and each iteration looks converged,
whatever is left of its equation. Steps stand still, and no error estimate sees it, as those are made of such stages.

A large J that is right does the same to a residual b, as stiff components hardly move. The two differ in f: with (M - gh J) d = b,

    gh J d = M d - b,

so that f has to change by (M d - b) / gh along d. It is asked where less is left of a component of b, in M d, than ever, by a factor:
that is two evaluations, a few times in a run. Where f changes by less than a part of it, it is asked less far, and the other way, as
curvature and a kink may be the reason. From there on J is made of differences, for the rest of the run.
"""
from libc.math cimport INFINITY, fabs

from mflow_core.solvers.matrix cimport BY_BAND_CALLBACK, BY_CALLBACK, matrix_rhs, weighted_norm
from mflow_core.types cimport MF_RETRY_SOLVE

FEW = 50.0                               # |b_i| / |(M d)_i|: J is not taken to be wrong by less
RISE = 300.0                             # of the largest that was compared
cdef double PART = 0.02                  # of what J says that f changes by
cdef double FAR = 0.1                    # of the weights: how far f is asked,
cdef double NEAR = 1e-7                  # and of the components, where that is less
cdef double NOISE = 1e-10                # of f: a change below it is rounding
cdef double LEAST = 1e-200


cdef double reach(matrix_t *m, const double *d, double part) noexcept nogil:
    """The multiple of d that moves no component by more than this part of itself."""
    cdef double most = INFINITY
    cdef ptrdiff_t i
    for i in range(m.n):
        if fabs(d[i]) * NEAR > LEAST * fabs(m.y[i]) and m.y[i] != 0.0:
            most = min(most, part * fabs(m.y[i]) / fabs(d[i]))
    return most


cdef int follows(matrix_t *m, double gh, double tol, const double *b, const double *d, const double *Md, double length, bint *so) noexcept nogil:
    """Whether f, f at J's point in m.f0, changes along length * d as J says, in all components that are taken away."""
    cdef double change
    cdef ptrdiff_t i
    cdef int status
    so[0] = True
    for i in range(m.n):
        m.kept[i] = m.y[i] + length * d[i]
    status = matrix_rhs(m, m.t, m.kept, m.f1)
    for i in range(m.n if status == 0 else 0):
        change = fabs(length * (Md[i] - b[i]))
        if is_taken_away(m, tol, b[i], Md[i], i) and fabs(gh * (m.f1[i] - m.f0[i])) < PART * change and change > NOISE * fabs(gh * m.f0[i]):
            so[0] = False
    return min(status, 0)


cdef int compared(matrix_t *m, double gh, double tol, const double *b, const double *d, const double *Md) noexcept nogil:
    cdef double norm = weighted_norm(m, d), far, share = 0.0
    cdef double[3] lengths
    cdef bint so = not norm > LEAST
    cdef ptrdiff_t i
    cdef int k, status = 0
    for i in range(m.n):
        if is_taken_away(m, tol, b[i], Md[i], i):
            share = max(share, fabs(b[i]) / max(fabs(Md[i]), LEAST))
    if norm > LEAST:
        status = matrix_rhs(m, m.t, m.y, m.f0)
        if status != 0:
            return min(status, 0)
        far = FAR / norm
        lengths[0], lengths[1], lengths[2] = far, min(far, reach(m, d, NEAR)), -far
        for k in range(3):
            if so or status != 0:
                break
            status = follows(m, gh, tol, b, d, Md, lengths[k], &so)
    if status != 0:
        return status
    if so:
        m.believed = share
        return 0
    if m.c.source == BY_CALLBACK or m.c.source == BY_BAND_CALLBACK:
        m.c.source, m.c.columns, m.has_jacobian, m.believed = BY_DIFFERENCES, NULL, False, -1.0
    return MF_RETRY_SOLVE
