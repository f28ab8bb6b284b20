# cython: language_level=3
"""A fit as C sees it: functions, settings, the point where it stands and its factorisation."""
from libc.math cimport fabs
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t

from mflow_core.fitting.triangle cimport ear_t

# r (m,) and jac (m, n), row-major, at x; either may be NULL. 0, or a code below 0 that ends the run.
ctypedef int (*residuals_fn)(const double *x, double *r, double *jac, ptrdiff_t m, ptrdiff_t n, void *ctx) noexcept nogil
# The cost of residuals f, and the square roots of the loss's slope at each, unless `root` is NULL.
ctypedef int (*loss_fn)(const double *f, double *cost, double *root, ptrdiff_t m, void *ctx) noexcept nogil

cdef enum:                               # how `advance` ends: the names of ENDINGS, or what the caller is asked for
    GTOL = 1
    DIFFERENCES = 2
    FTOL = 3
    XTOL = 4
    BOTH = 5
    VANISHED = 6
    ROUNDING = 7
    STUCK = 8
    MAX_NFEV = 9
    BAD_START = 10
    STEPPED = 11                         # a step was taken, and somebody wants to know
    BLURRED = 12                         # differences are longer than the steps
    ZEROS = 13                           # columns of differences are 0 that were not before
    PAUSE = 14                           # so much work was done that signals are due
    WAITING = 15                         # not begun


ctypedef struct marquardt_t:
    residuals_fn fun
    void *ctx
    loss_fn loss                         # NULL: squares
    void *loss_ctx
    ptrdiff_t m, n, k, rank              # k: columns in the factorisation
    double ftol, xtol, gtol, dt, eps, blur, grain
    int64_t limit, call_limit
    bint differences, central, refinable, accelerated, own_scale, bounded, tell, together
    double floor
    double *x                            # ---- n numbers each ----
    double *new
    double *move
    double *moved
    double *D
    double *norms
    double *g
    double *lower
    double *upper
    double *steps
    double *least
    double *size
    double *top
    double *edge
    double *at
    double *w
    double *z
    double *room                         # 4 n
    int32_t *fixed
    int32_t *seen_zero
    int32_t *columns                     # those in the factorisation, and which one is column j of R
    int32_t *pivot
    const int32_t *group                 # with a pattern of J, columns (indptr, indices): the group of each, of `groups`
    const int32_t *indptr
    const int32_t *indices
    ptrdiff_t groups
    double *f                            # ---- m numbers each: residuals, those of a trial, as they are weighed, Q'r, the loss's roots, room ----
    double *trial
    double *r
    double *b
    double *root
    double *other
    double *J                            # ---- m n ----
    double *J_new
    double *A
    double *R                            # ---- n n ----
    double *S
    double *block
    double cost, steepest, cosine, noise, rounding, plane, length, delta, lam, first, work, lost
    int64_t nit, nfev, njev, calls
    int idle, still, ended, bent
    bint dirty, stale, zeros, raised     # raised: whether the curvature of the cost has set units
    ear_t ear


cdef inline double unit(const marquardt_t *s, ptrdiff_t j) noexcept nogil:
    """The unit of a parameter."""
    return s.D[j] if s.D[j] > 0.0 else 1.0


cdef inline double usual_length(const marquardt_t *s, const double *x, ptrdiff_t j) noexcept nogil:
    """The length of a difference of parameter j at x, bounds aside."""
    cdef double scale = fabs(x[j]), h
    scale = s.floor * s.size[j] if s.floor * s.size[j] > scale else scale
    h = s.steps[j] * (scale if scale > 0.0 else 1.0)
    return s.least[j] if s.least[j] > h else h


cdef inline bint rests(const marquardt_t *s, ptrdiff_t j) noexcept nogil:
    """Whether a parameter is held, or at a bound through which the cost would push it."""
    return s.fixed[j] or s.x[j] <= s.lower[j] and s.g[j] > 0.0 or s.x[j] >= s.upper[j] and s.g[j] < 0.0


cdef int allocate(marquardt_t *s) noexcept nogil
cdef void restart(marquardt_t *s) noexcept nogil
cdef int begin(marquardt_t *s, bint has_residuals) noexcept nogil
cdef int renew(marquardt_t *s) noexcept nogil
cdef int jacobian(marquardt_t *s, const double *x, const double *f, double *J) noexcept nogil
cdef void look(marquardt_t *s) noexcept nogil
cdef bint finite(const double *v, ptrdiff_t n) noexcept nogil
cdef int cost_of(marquardt_t *s, const double *f, double *cost) noexcept nogil
cdef double step_of(const marquardt_t *s, const double *x, ptrdiff_t j, double *second) noexcept nogil
cdef void clear_fixed(const marquardt_t *s, double *J) noexcept nogil
cdef void transposed(const marquardt_t *s) noexcept nogil
cdef void factor(marquardt_t *s, const double *r) noexcept nogil
cdef void free_columns(marquardt_t *s) noexcept nogil
cdef int weigh(marquardt_t *s) noexcept nogil
cdef int weigh_residuals(marquardt_t *s) noexcept nogil
