"""Newton's iteration as the `solve` and `lsolve` of implicit steps: z - gh f(t, z) = r."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t

from mflow_core.solvers.matrix cimport KRYLOV, matrix_config_t, matrix_t
from mflow_core.solvers.stages.mass cimport mass_move, mass_varies
from mflow_core.solvers.stages.scaled cimport scales_of_rows
from mflow_core.types cimport mf_jac_fn, mf_problem, mf_rhs_fn, mf_tableau

cdef double EPS, LONG, RESIDUAL, ROUNDED

cdef enum:
    GROWN = 4                            # J is evaluated again when gh has grown by this factor since (see prepare)


cdef enum:
    FLOW_ENDS = 0                        # branch.pyx: the flow to a steady state comes to rest, or none was followed
    FLOW_SWINGS = 1                      # its slopes do not fall
    FLOW_LEAVES = 2                      # it grows without bound, or meets slopes that are not finite
    FLOW_STOPS = 3                       # its steps vanish
    FLOW_WRONG = 4                       # J is not the derivative of f


ctypedef struct newton_config_t:
    matrix_config_t matrix
    int max_iter
    bint full                            # a new J and new factors in every iteration
    double fraction                      # error-controlled runs: of the tolerances; 0: as the method needs it
    double tol                           # fixed steps: relative


ctypedef struct coupled_t:               # stages that are solved together (coupled.pyx); vectors of three stages are ld apart
    ptrdiff_t ld
    double *W                            # the stages, transformed
    double *F
    double *d
    double *guess
    double *f                            # slopes of the stages
    double *stand                        # fixed steps: where the branch of roots has been followed to, the tangent there, that of the next point
    double *tangent
    double *before
    double *root                         # Newton's root
    double *re                           # factors of I - q J, q = re_q + i im_q
    double *im
    double *krylov
    int32_t *pivots
    double re_q, im_q, gh                # gh of the real factors that they belong to
    double rest                          # how far the last iteration went after its first update, at most
    double stretch                       # stages stand at t + c h stretch; not 1 along a branch, where time rests at the end of the step
    bint has_factors
    const mf_tableau *tab                # KRYLOV: of the step at hand
    const double *y
    double t, h


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
    double *seen                         # doubted.pyx: f at the guess of the stage before, and the slope that J made of it
    double *said
    int doubts                           # of doubted.pyx; anew each step
    double followed                      # the same: the residual over gh that was looked at by this J
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
    bint own_fraction                    # the configuration gives none
    bint controlled                      # weights follow from the tolerances of the run; else each solve sets its own
    bint want_jacobian                   # convergence was slow: the next solve evaluates J again
    int non_finite                       # slopes that were not finite, in this solve
    bint off_domain                      # the last of them was met at the start value itself
    const double *state                  # the state that the step starts from, where the slope is finite; or NULL
    int64_t niter, nsolve, nfail
    coupled_t *coupled                   # NULL: stages are solved one by one
    mf_rhs_fn rhs_t                      # the partial derivative of f by t; NULL: a difference
    void *rhs_t_ctx
    void *mass                           # a mass matrix that goes with the solver, to be freed; NULL: it is borrowed, or there is none


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
cdef double goal(const newton_t *s) noexcept nogil
cdef double attainable(const newton_t *s) noexcept nogil
cdef void first_weights(newton_t *s, const double *y, const double *Z) noexcept nogil
cdef void newton_forget(newton_t *s) noexcept nogil


cdef inline int newton_mass_at(newton_t *s, double t) noexcept nogil:
    """Where M depends on time: that of t, and no factors of another's. 0, or the code of its function."""
    cdef int status
    if not mass_varies(s.c.matrix.mass):
        return 0
    status = mass_move(s.c.matrix.mass, t)
    if s.m.t_mass != t:
        s.m.has_factors = False
    s.m.stale = min(s.m.stale, 1)
    return status


cdef inline int newton_mass_for(newton_t *s, double t, double gh, const double *y) noexcept nogil:
    """The same, and for GMRES the scales of the rows at y."""
    cdef int status = newton_mass_at(s, t)
    if status != 0 or s.c.matrix.kind != KRYLOV:
        return status
    if not s.controlled:
        weights_of_size(s, y, y)
    return scales_of_rows(&s.m, t, gh, y) if s.c.matrix.mass != NULL else 0


cdef inline void move(newton_t *s, double *out, const double *z, const double *d, double length) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(s.n):
        out[i] = z[i] + length * d[i]


cdef inline bint too_slow(double theta, double eta, double norm, double tol, int left) noexcept nogil:
    """Whether so many further iterations will not suffice."""
    cdef double power = 1.0
    cdef int _j
    for _j in range(left):
        power *= theta
    return theta >= 1.0 or power * eta * norm > tol
