"""Passes over long vectors in pieces that threads share: an optimizer's update, and a step whose right-hand side is elementwise.

Both are elementwise, so any cut gives the same bits. A step of a piece goes through all of its stages before the next piece begins: its
vectors stay in the second cache, where those of a long state do not.
"""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.owner cimport mf_give, mf_take
from mflow_core.pool cimport LONG, PIECE, pieces, share
from mflow_core.registry cimport REDUCE
from mflow_core.stepping.descent cimport MAX_VECTORS
from mflow_core.types cimport MF_E_NON_FINITE, mf_frame, mf_method, mf_problem


ctypedef struct update_t:
    const mf_method *m
    const double *coef
    double gscale
    ptrdiff_t n
    double *const *x
    const double *g
    int status


cdef void update_piece(void *at, ptrdiff_t part) noexcept nogil:
    cdef update_t *u = <update_t *> at
    cdef ptrdiff_t lo = part * PIECE
    cdef int status = u.m.update(u.m, u.coef, u.gscale, lo, min(lo + <ptrdiff_t> PIECE, u.n), u.x, u.g)
    if status != 0:
        u.status = status


cdef int update_all(const mf_method *m, const double *coef, double gscale, ptrdiff_t n, double *const *x, const double *g) noexcept nogil:
    cdef update_t u
    if n < LONG:
        return m.update(m, coef, gscale, 0, n, x, g)
    u.m, u.coef, u.gscale, u.n, u.x, u.g, u.status = m, coef, gscale, n, x, g, 0
    share(update_piece, &u, pieces(n))
    return u.status


ctypedef struct step_t:
    const mf_method *m
    mf_frame *f
    int n_vec, n_tested, taken           # vectors; those that are looked at; the flag of who writes what follows
    ptrdiff_t at                         # the first piece that was not good
    int status                           # and its code
    int64_t n_rhs


cdef void step_piece(void *job, ptrdiff_t part) noexcept nogil:
    cdef step_t *s = <step_t *> job
    cdef mf_frame f = s.f[0]
    cdef mf_problem p = s.f.p[0]
    cdef const double *x0[MAX_VECTORS]
    cdef double *x1[MAX_VECTORS]
    cdef ptrdiff_t lo = part * PIECE
    cdef int j, status
    for j in range(s.n_vec):
        x0[j], x1[j] = s.f.x0[j] + lo, s.f.x1[j] + lo
    f.n = p.n = min(lo + <ptrdiff_t> PIECE, s.f.n) - lo
    f.p, f.x0, f.x1, f.work, f.D = &p, x0, x1, s.f.work + lo, s.f.D + lo
    if f.err != NULL:
        f.err = s.f.err + lo
    status = s.m.step(s.m, &f)
    for j in range(s.n_tested if status == 0 else 0):
        if not REDUCE.all_finite(x1[j], f.n):
            status = MF_E_NON_FINITE
    if part == 0:
        s.n_rhs = f.n_rhs
    if status != 0:
        while not mf_take(&s.taken):
            pass
        if part < s.at:
            s.at, s.status = part, status
        mf_give(&s.taken)


cdef int step_all(const mf_method *m, mf_frame *f, int n_tested) noexcept nogil:
    """One step of an explicit method that carries no scalars, for a right-hand side of the flag MF_ELEMENTWISE; MF_E_NON_FINITE where one of
    its first n_tested vectors is not finite."""
    cdef step_t s
    s.m, s.f, s.n_vec, s.taken, s.at, s.status, s.n_rhs, s.n_tested = m, f, m.sizes.n_vec, 0, pieces(f.n), 0, f.n_rhs, n_tested
    share(step_piece, &s, pieces(f.n))
    f.n_rhs = s.n_rhs
    return s.status
