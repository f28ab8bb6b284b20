"""Descent by line searches or trust regions: the state of one, and its functions, which need no Python."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.optimize.linesearch cimport line_t
from mflow_core.types cimport mf_direction, mf_hessp_fn, mf_method, mf_problem, mf_sizes


cdef enum:
    BARZILAI_BORWEIN = 4                 # a kind beside those of linesearch.pxd
    MAX_HISTORY = 64                     # values that a nonmonotone search looks back on
    LINE_FAILED = 0x7FFFFFF1             # no code that a callback would return: no search from here met its rule

cdef enum:                               # where the lowest point is
    LOW_STORED = 0
    LOW_HERE = 1                         # x and g
    LOW_BEFORE = 2                       # x_old and g_old


ctypedef struct rule_t:                  # how a search goes
    int kind, form, memory
    double c1, c2, shrink, tol, max_step     # c2 0: the method's, or 0.9
    double initial, first_try            # the first trial of every search, of the first one alone; 0: estimated
    int64_t limit                        # evaluations
    int rises                            # as in line_t


ctypedef struct descent_t:
    const mf_problem *p
    const mf_method *m
    const double *par
    mf_sizes sizes
    ptrdiff_t n
    rule_t rule
    line_t line                          # its rule's numbers; x, d and buffers are set for each search
    mf_direction way                     # of methods with `direct`: what they are told, and tell
    int64_t n_kept
    double product_step                  # of differences of gradients along p, relative
    double *x                            # where it stands, with value and gradient
    double *g
    double *d
    double *x_old                        # the point before
    double *g_old
    double *low                          # the lowest point seen, with its gradient, where low_at is LOW_STORED
    double *low_grad
    double *lower                        # bounds; NULL: none
    double *upper
    double *aside                        # a point for differences of gradients
    double *scale                        # lengths of the parameters, powers of 2, that directions see x in; NULL: all are 1
    bint plain                           # whether the gradient that is to be small is that of x all the same
    double *seen                         # six vectors so seen, `stride` apart: x, g, x_old, g_old and bounds
    ptrdiff_t stride
    mf_hessp_fn hessp                    # products that are given, of x as it is
    void *hessp_ctx
    double **carried                     # an optimizer's: x[0] is d, then the method's vectors
    double *scal
    double *coef
    void *block                          # one allocation holds all of these
    double f, gmax, f_low, first_gmax
    int low_at
    bint low_has_grad, evaluated, fresh, pristine, has_old
    double a, slope                      # the last step, and its slope at 0
    bint at_once                         # the last search took its first trial
    bint once                            # a search that fails is an end, where the method would begin again
    double[MAX_HISTORY] values
    int64_t k, row_k, nfev, njev, restarts
    int line_status


ctypedef struct path_t:                  # rows for the iterations of one call; or all NULL
    double *x
    double *d
    double *a
    double *f


cdef void rule_defaults(rule_t *rule) noexcept nogil
cdef int descent_open(descent_t *s, const mf_method *m, const mf_problem *p, const double *par, const rule_t *rule, bint bounded,
                      bint scaled) noexcept nogil
cdef void descent_products(descent_t *s, mf_hessp_fn hessp, void *ctx) noexcept nogil
cdef void descent_start(descent_t *s, const double *x0, const double *lower, const double *upper, const double *scale) noexcept nogil
cdef void look_scaled(descent_t *s) noexcept nogil
cdef int descent_renew(descent_t *s, bint keeps) noexcept nogil
cdef void descent_close(descent_t *s) noexcept nogil
cdef int line_descend(descent_t *s, int64_t count, double gtol, path_t *path) noexcept nogil
cdef const double *lowest_point(const descent_t *s, const double **grad) noexcept nogil
