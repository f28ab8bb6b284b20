# cython: language_level=3
"""What second-order kernels find at the start of a problem's ctx: with MF_CONSTRAINED the two functions of its constraints, with MF_TELLS the
one that is told what damping works on.

RATTLE (H. Andersen, J. Comput. Phys. 52 (1983) 24-34) is kick, drift, kick with two projections: a drift x1 = x0 + h v is moved back onto
g(x) = 0 along M^-1 G(x0)', by a change of the v that it was made with, and the v at the end is projected onto G(x1) v = 0. Kicks in between
may point anywhere along M^-1 G': the next projection takes that out. Implicit methods find the forces of the constraints where they solve
for a (dynamics/constraints.pyx).

A run that keeps a ledger asks for MF_TELLS where the problem has MF_LISTENS. The last pass of a step then goes block by block, and hands over
the changes of x and the mean velocities of each block while they are in the first cache: the work of damping costs a look at its matrix, and
no second pass over x and v.
"""
from libc.stddef cimport ptrdiff_t

from mflow_core.arithmetic.vec cimport mf_vec
from mflow_core.types cimport mf_frame


cdef enum:
    MF_CONSTRAINED = 1 << 30             # of a problem's flags, and of none that a host makes
    MF_LISTENS = 1 << 29                 # the same
    MF_TELLS = 1 << 28
    MF_BLOCK = 512                       # rows of a block of work: `damping_work` and what a step tells must add the same parts


ctypedef struct hooks_t:
    # x1 = x0 + h v1 onto g = 0, with v1 (NULL: there is none to change). x0 NULL: where the last projection ended.
    int (*moved)(double h, const double *x0, double *x1, double *v1, ptrdiff_t n, void *ctx) noexcept nogil
    # v1 onto G(x1) v = 0; a1 (NULL: none) becomes the acceleration of the constrained motion at the new state.
    int (*ended)(double t, const double *x1, double *v1, double *a1, ptrdiff_t n, void *ctx) noexcept nogil
    # Of m entries from lo on, how x has changed over the step (scale d), and the means of v at its ends; mean[0] and mean[m + 1] are their
    # neighbours'.
    void (*worked)(ptrdiff_t lo, ptrdiff_t m, double scale, const double *d, const double *mean, void *ctx) noexcept nogil
    double told                          # the sum of what it made of all blocks of the last step; NaN: it is used up, or there is none
    bint alone                           # there is no other work over a step


cdef inline bint constrained(const mf_frame *f) noexcept nogil:
    return f.p.flags & MF_CONSTRAINED != 0


cdef inline int moved(mf_frame *f, double h, const double *x0, double *x1, double *v1) noexcept nogil:
    return (<const hooks_t *> f.p.ctx).moved(h, x0, x1, v1, f.n, f.p.ctx) if constrained(f) else 0


cdef inline int ended(mf_frame *f, double *a1) noexcept nogil:
    """At the end of a step, where x1 stands."""
    return (<const hooks_t *> f.p.ctx).ended(f.t + f.h, f.x1[0], f.x1[1], a1, f.n, f.p.ctx) if constrained(f) else 0


cdef inline bint tells(const mf_frame *f) noexcept nogil:
    return f.p.flags & MF_TELLS != 0


cdef inline void advance_and_tell(mf_frame *f, const double *a, const double *a1, double cx, double cv, double bx, double bv,
                                  const double *carried) noexcept nogil:
    """v1 = v + (cv a + bv a1), and x1 = x + (h v + cx a + bx a1). carried, not NULL: the velocity that has moved x already.

    Newmark's x with beta = 1/4 moves by h times the mean velocity, and no changes of x need be stored."""
    cdef const hooks_t *hooks = <const hooks_t *> f.p.ctx
    cdef const double *v = f.x0[1]
    cdef double[MF_BLOCK] dx
    cdef double[MF_BLOCK + 16] room          # the vectors that are written to it begin at a line of the cache
    cdef double *mean = room + 7
    cdef bint even = 4.0 * bx == f.h * f.h   # beta = 1/4 to the bit
    cdef ptrdiff_t lo = 0, m, i
    mean[0] = 0.0
    while lo < f.n:
        m = min(f.n - lo, <ptrdiff_t> MF_BLOCK)
        i = lo + m
        mean[m + 1] = 0.5 * v[i] + 0.5 * (v[i] + (cv * a[i] + bv * a1[i])) if i < f.n else 0.0
        if carried != NULL:
            block_of_v(m, v + lo, a + lo, a1 + lo, f.x1[1] + lo, mean + 1, cv, bv)
        elif even:
            block_of_both(m, f.x0[0] + lo, v + lo, a + lo, a1 + lo, f.x1[0] + lo, f.x1[1] + lo, NULL, mean + 1, f.h, cx, cv, bx, bv)
        else:
            block_of_both(m, f.x0[0] + lo, v + lo, a + lo, a1 + lo, f.x1[0] + lo, f.x1[1] + lo, dx, mean + 1, f.h, cx, cv, bx, bv)
        if carried == NULL and not even:
            hooks.worked(lo, m, 1.0, dx, mean, f.p.ctx)
        else:
            hooks.worked(lo, m, f.h, mean + 1 if carried == NULL else carried + lo, mean, f.p.ctx)
        mean[0] = mean[m]
        lo += m


cdef inline void block_of_v(ptrdiff_t m, const double *v, const double *a, const double *a1, double *v1, mf_vec mean, double cv,
                            double bv) noexcept nogil:
    cdef double vi, after
    cdef ptrdiff_t i
    for i in range(m):
        vi = v[i]
        after = vi + (cv * a[i] + bv * a1[i])
        mean[i] = 0.5 * vi + 0.5 * after
        v1[i] = after


cdef inline void block_of_both(ptrdiff_t m, const double *x, const double *v, const double *a, const double *a1, double *x1, double *v1,
                               mf_vec dx, mf_vec mean, double h, double cx, double cv, double bx, double bv) noexcept nogil:
    cdef double vi, ai, after, change
    cdef ptrdiff_t i
    for i in range(m):
        vi, ai = v[i], a[i]
        change = (h * vi + cx * ai) + bx * a1[i]
        after = vi + (cv * ai + bv * a1[i])
        if dx != NULL:
            dx[i] = change
        mean[i] = 0.5 * vi + 0.5 * after
        x1[i] = x[i] + change
        v1[i] = after
