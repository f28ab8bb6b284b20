"""Newton's iteration as the `solve` and `lsolve` of implicit steps: z - gh f(t, z) = r."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.solvers.matrix cimport matrix_config_t, matrix_t
from mflow_core.types cimport mf_jac_fn, mf_problem


cdef enum:
    FLOW_ENDS = 0                        # branch.pyx: the flow to a steady state comes to rest, or none was followed
    FLOW_SWINGS = 1                      # its slopes do not fall
    FLOW_LEAVES = 2                      # it grows without bound, or meets slopes that are not finite
    FLOW_STOPS = 3                       # its steps vanish


ctypedef struct newton_config_t:
    matrix_config_t matrix
    int max_iter
    bint full                            # a new J and new factors in every iteration
    double fraction                      # error-controlled runs: of the tolerances
    double tol                           # fixed steps: relative


ctypedef struct newton_t:
    newton_config_t c
    matrix_t m
    ptrdiff_t n
    void *block
    double *guess
    double *f
    double *d                            # the residual, then the update
    double *trial
    double *next_d
    double *bar
    double *checked                      # branch.pyx: where M was looked at, for gh_checked
    double *start                        # branch.pyx: where a scout stands, f there, and its next point
    double *slope
    double *root
    double *mix
    newton_t *scout                      # branch.pyx: made where a branch of roots is followed
    double worst, first, rate            # of the last iteration: the largest rate, the first update and the first rate
    double gh_checked                    # 0: nowhere
    double reached                       # how much of gh the branch goes before it turns back; NaN where it does not
    bint turned
    int flow                             # how the flow to a steady state ended, FLOW_..., and how far it was followed
    double flow_time
    double eta                           # rate / (1 - rate) of the last solve with these factors; 1 if it is not known
    double gh_jac                        # |gh| when J was evaluated
    double noise                         # an update below it may be rounding in the terms of f, however small z is
    bint controlled                      # weights follow from the tolerances of the run; else each solve sets its own
    bint want_jacobian                   # convergence was slow: the next solve evaluates J again
    int non_finite                       # slopes that were not finite, in this solve
    bint off_domain                      # the last of them was met at the start value itself
    const double *state                  # error-controlled runs: the state that the step starts from, where the slope is finite; or NULL
    int64_t niter, nsolve, nfail


cdef void newton_defaults(newton_config_t *c, bint has_jacobian) noexcept nogil
cdef newton_t *newton_make(const newton_config_t *c, const mf_problem *inner, ptrdiff_t n, mf_jac_fn jac, void *jac_ctx) noexcept nogil
cdef void newton_release(newton_t *s) noexcept nogil
cdef int newton_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil
cdef int newton_solve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil
cdef int residual(newton_t *s, double t, double gh, const double *r, const double *z, double *out) noexcept nogil
cdef int update(newton_t *s, double t, double gh, const double *z, double *d) noexcept nogil
cdef int refine(newton_t *s, double t, double gh, const double *r, double *z) noexcept nogil
cdef int solve_full(newton_t *s, double t, double gh, const double *r, double *z) noexcept nogil
cdef void weights_of_size(newton_t *s, const double *a, const double *b) noexcept nogil
cdef int newton_lsolve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil
cdef void newton_weights(newton_t *s, const double *y, const double *rtol, const double *atol, ptrdiff_t n_tol) noexcept nogil
cdef ptrdiff_t newton_state_size(const newton_t *s) noexcept nogil
cdef void newton_forget(newton_t *s) noexcept nogil
cdef void newton_pack(const newton_t *s, double *state) noexcept nogil
cdef int newton_unpack(newton_t *s, const double *state) noexcept nogil


cdef inline void move(newton_t *s, double *out, const double *z, const double *d, double length) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(s.n):
        out[i] = z[i] + length * d[i]
