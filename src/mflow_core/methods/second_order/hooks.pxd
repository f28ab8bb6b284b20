# cython: language_level=3
"""Constraints, as second-order kernels see them: a problem with MF_CONSTRAINED has two functions at the start of its ctx.

RATTLE (H. Andersen, J. Comput. Phys. 52 (1983) 24-34) is kick, drift, kick with two projections: a drift x1 = x0 + h v is moved back onto
g(x) = 0 along M^-1 G(x0)', by a change of the v that it was made with, and the v at the end is projected onto G(x1) v = 0. Kicks in between
may point anywhere along M^-1 G': the next projection takes that out. Implicit methods find the forces of the constraints where they solve
for a (dynamics/constraints.pyx).
"""
from libc.stddef cimport ptrdiff_t

from mflow_core.types cimport mf_frame


cdef enum:
    MF_CONSTRAINED = 1 << 30             # of a problem's flags, and of none that a host makes


ctypedef struct hooks_t:
    # x1 = x0 + h v1 onto g = 0, with v1 (NULL: there is none to change). x0 NULL: where the last projection ended.
    int (*moved)(double h, const double *x0, double *x1, double *v1, ptrdiff_t n, void *ctx) noexcept nogil
    # v1 onto G(x1) v = 0; a1 (NULL: none) becomes the acceleration of the constrained motion at the new state.
    int (*ended)(double t, const double *x1, double *v1, double *a1, ptrdiff_t n, void *ctx) noexcept nogil


cdef inline bint constrained(const mf_frame *f) noexcept nogil:
    return f.p.flags & MF_CONSTRAINED != 0


cdef inline int moved(mf_frame *f, double h, const double *x0, double *x1, double *v1) noexcept nogil:
    return (<const hooks_t *> f.p.ctx).moved(h, x0, x1, v1, f.n, f.p.ctx) if constrained(f) else 0


cdef inline int ended(mf_frame *f, double *a1) noexcept nogil:
    """At the end of a step, where x1 stands."""
    return (<const hooks_t *> f.p.ctx).ended(f.t + f.h, f.x1[0], f.x1[1], a1, f.n, f.p.ctx) if constrained(f) else 0
