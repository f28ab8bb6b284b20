"""A run: a row, a problem, the buffers, and the loops that need no Python."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.types cimport mf_frame, mf_method, mf_problem, mf_sizes


cdef enum:
    CONVERGED = 0x7FFFFFFF               # no code that a callback would return
    RUN_DENSE = 1                        # room for slopes at both ends: output between steps
    RUN_DESCEND = 2                      # room for a gradient, the point it is wanted at, and the last good pair


ctypedef struct flow_t:                  # -grad f as a right-hand side; the gradient at one point may be known already
    const mf_problem *inner
    const double *at
    const double *known
    int64_t hits


ctypedef struct run_t:
    const mf_method *m
    mf_problem p, inner                  # p is what the kernel sees; inner the user's, where p is its flow
    flow_t flow
    mf_sizes sizes
    mf_frame f
    ptrdiff_t n, ld
    void *block                          # one allocation holds every array below
    double *par
    double *coef
    double **now                         # n_vec pointers each; an accepted step swaps the two
    double **next
    double *s_now
    double *s_next
    double *slope0
    double *slope1
    double *grad
    double *at
    double *good                         # the last point whose gradient was finite, that gradient, and its facts below
    double *good_grad
    double t, t_base, dt                 # t = t_base + (k - k_base) dt
    int64_t k, k_base
    int64_t n_value_grad                 # calls of value_grad
    double value, gmax                   # of the last evaluation, whatever it was
    double good_value, good_gmax, first_gmax
    int64_t slope_k                      # slope0 belongs to the start of step slope_k
    int flags, owner


ctypedef struct record_t:                # what a fixed-step loop writes down
    int64_t every, rows                  # every k-th step; 0: none. rows written so far
    double *y
    double *t
    const double *at                     # or: these times, in order
    int64_t n_at, i_at


cdef run_t *run_make(const mf_method *m, const mf_problem *p, const double *par, double t0, double dt, const double *const *y0,
                     int flags, int *status) noexcept nogil
cdef void run_release(run_t *r) noexcept nogil
cdef int run_enter(run_t *r) noexcept nogil
cdef void run_leave(run_t *r) noexcept nogil
cdef int try_step(run_t *r, double h) noexcept nogil
cdef int run_fixed(run_t *r, int64_t count, double t_last, record_t *record) noexcept nogil
cdef int run_descend(run_t *r, int64_t count, double gtol, bint want_value) noexcept nogil
cdef int hermite(const mf_frame *f, const double *slope0, const double *slope1, double theta, double *y) noexcept nogil
