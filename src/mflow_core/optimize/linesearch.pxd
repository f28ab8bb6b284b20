"""Searches along a direction: the state of one, and the functions that descent may call without Python."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.types cimport mf_problem


cdef enum:                               # kinds
    EXACT = 0
    BACKTRACKING = 1
    ARMIJO = 2
    STRONG_WOLFE = 3

cdef enum:                               # endings above 0: the last good point is there all the same
    FOUND = 0
    NO_DESCENT = 1                       # the direction does not lead down
    TOO_SMALL = 2                        # the step does not move x any more
    TOO_MANY = 3                         # the limit on evaluations
    UNBOUNDED = 4                        # still falling at the largest step allowed
    CLOSED = 5                           # exact: the slope changes sign right there, and is not as small as asked


ctypedef struct line_t:
    const mf_problem *p
    ptrdiff_t n
    const double *x                      # where it starts, and the way it goes
    const double *d
    const double *lower                  # trials are kept between them; both NULL: no bounds
    const double *upper
    bint wall                            # max_step is where bounds are met: still falling there is an answer
    double f0, slope0                    # value and slope at 0; f_ref is what Armijo compares with (a nonmonotone search: an older value)
    double f_ref
    double c1, c2, shrink, tol, max_step
    int64_t limit                        # evaluations
    double least                         # of max(1, |x|): shorter moves count as none, as slopes tell nothing of them
    int rises                            # trials in a row that rise where slopes say they fall, after which slopes count as untrue
    double *at                           # the trial: x + a d, its value, gradient and slope
    double *grad
    double a, f, slope
    bint has_grad
    double *best_grad                    # the lowest value seen, the start among them
    double best_a, best_f
    bint best_has_grad, best_here        # best_here: it is the last trial, whose gradient has not been put aside
    int64_t nfev, njev


cdef inline const double *best_gradient(const line_t *l) noexcept nogil:
    """The gradient of the lowest value seen; NULL where it was not evaluated."""
    return NULL if not l.best_has_grad else (l.grad if l.best_here else l.best_grad)


cdef inline double point_along(const line_t *l, double a, ptrdiff_t i) noexcept nogil:
    """Entry i of the point at step a."""
    cdef double at = l.x[i] + a * l.d[i]
    if l.lower == NULL:
        return at
    return l.lower[i] if at < l.lower[i] else (l.upper[i] if at > l.upper[i] else at)


cdef void line_begin(line_t *l) noexcept nogil
cdef int line_trial(line_t *l, double a, bint want_grad) noexcept nogil
cdef int line_search(line_t *l, int kind, double a) noexcept nogil
cdef double bb_length(ptrdiff_t n, const double *x, const double *x_old, const double *g, const double *g_old, int form) noexcept nogil
