"""A run: a method, a problem and the buffers; one step at a time. The loops are in loops.pyx and descent.pyx."""
from libc.math cimport fabs
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.arithmetic.control cimport control_t, exp2_of, log2_of
from mflow_core.problems.inside cimport inside_t
from mflow_core.solvers.newton cimport newton_t
from mflow_core.stepping.energy.ledger cimport ledger_t
from mflow_core.types cimport MF_EMBEDDED, MF_FRESH, MF_FSAL, MF_NEEDS_RHO, MF_SECOND_ORDER, MF_STAGED, mf_frame, mf_method, mf_problem, mf_sizes


cdef enum:
    RUN_DENSE = 1                        # room for the continuous extension of a step: output between steps, events
    RUN_DESCEND = 2                      # room for a gradient, the point where it is evaluated, and the last good pair
    RUN_CONTROL = 4                      # room for tolerances of each component
    RUN_SOLVE = 8                        # a solver will be attached: the problem need not have one
    RUN_INSIDE = 16                      # the extension of every step is asked for after it: see `sees_between`
    RUN_WALLS = 32                       # WALL_DUE is returned where steps fail again and again
    RUN_LEAPS = 64                       # under error control: steps over 0 are looked at, see watch/leaps.pyx
    LEAPS_ASKED = 0                      # `leaps`: evaluations
    LEAPS_THROWN = 1                     # those of them that no limit counts: of steps thrown away, and for poles in time
    LEAPS_STOPPED = 2                    # of `stopped_at_0`: one more than the component, below 0 on the side below; 0: none
    LEAPS_OF = 3                         # where the bits of components begin
    RHO_EVERY = 25                       # steps between estimates of the spectral radius, at most, where the method needs it
    POLE_DUE = 0x7FFFFFF6                # is there a pole in time ahead? The driver looks, and goes on
    WALL_DUE = 0x7FFFFFF7                # is there a wall that steps should not go beyond? The driver looks, and goes on
    LEG_OVER = 0x7FFFFFF8                # the leg of this method is over, see `leg_t`: the driver goes on with the other
    RHO_DUE = 0x7FFFFFFC                 # no code that a callback would return: the driver estimates it, and goes on


ctypedef struct flow_t:                  # -grad f as a right-hand side; the gradient at one point may be known already
    const mf_problem *inner
    const double *at
    const double *known
    int64_t hits


ctypedef struct leg_t:                   # whether error control should go on with another method; see legs/handover.pyx
    int64_t most                         # steps in a row that say so, before the leg is over; 0: nobody looks
    int64_t tries                        # of the first step, thrown away so far
    double first                         # and the first of them
    int64_t mild                         # implicit: steps in a row that an explicit method could have taken
    int64_t near_limit                   # explicit: looks that have found steps near the limit, less those that have not
    int64_t njev                         # and the Jacobian whose spectral radius `radius` is
    double radius, limit                 # h |lambda| up to which an explicit method could take the step
    double worth                         # explicit: steps at the stability limit ahead that the other method is worth beginning for
    bint tries_other, try_due            # whether the other is tried where that alone can tell, and whether it should be now
    int64_t try_patience                 # times which a try takes what the first takes; 1 or more
    int64_t seen                         # evaluations that have been looked at
    double cost, path                    # explicit: evaluations of the last steps, and their length
    double pace, at_limit                # implicit: evaluations a time of the explicit leg before, INFINITY: not known; at its limit, over |lambda|
    double cap                           # times the latter: the most that is believed of the former
    double saved, loss                   # evaluations that the leg has saved, below 0: lost; below -loss it is over
    bint over


ctypedef struct run_t:
    const mf_method *m
    mf_problem p, ode, inner             # p is what the kernel sees; ode without the solver; inner the user's, where ode is its flow
    newton_t *newton                     # solves implicit steps; NULL: the problem does it itself
    bint owns_newton                     # it goes with the run
    ledger_t *ledger                     # energies of second-order runs; NULL: not kept
    ledger_t books                       # the ledger before the step at hand, where its end may move or states inside it are asked for
    flow_t flow
    inside_t *inside                     # what the problem's callbacks go through, where a step must not leave its domain; or NULL
    leg_t leg
    mf_sizes sizes
    mf_frame f
    ptrdiff_t n, ld
    void *block                          # one allocation holds every array below
    size_t block_bytes
    double *par
    double *coef
    double **now                         # n_vec pointers each; an accepted step swaps the two
    double **next
    double *s_now
    double *s_next
    double *err
    double *tolerances                   # rtol and atol of each component, ld apart; in second order those of v follow
    double widened                       # the largest factor by which they exceed what is asked, see `widen`; 1 for most methods
    double *slope0
    double *slope1
    double *grad
    double *at
    double *good                         # the last point whose gradient was finite, that gradient, and its facts below
    double *good_grad
    const double *lower                  # bounds of a descent by an optimizer, which is projected onto them; NULL: none
    const double *upper
    double *y_between                    # scratch for a state inside a step
    double t, t_base, dt                 # fixed steps: t = t_base + (k - k_base) dt; under error control t is carried
    double span                          # of the run, or behind an action: from t_base to its end, which may be infinite
    double t_before                      # where the last step began; NaN: there is none, or it cannot be looked into
    unsigned int flags_before            # the frame's, during it
    int64_t k, k_base
    control_t c
    double pole_h                        # POLE_DUE is returned where steps below it do not grow; 0: never
    bint heads_for_0                     # the good step that POLE_DUE is about does not change as beside a pole: a component would be 0 in it
    int64_t pole_k                       # good steps before this one are not looked at, whether they lead over a pole in time
    double h_before                      # the length of the last step; 0: there was none
    double first_step                    # of a start under error control, behind an action too; 0: estimated
    control_t of_v                       # tolerances of a velocity, in second order; the rest of it is not used
    int n_D                              # vectors of the continuous extension: its degree
    int64_t dense_k                      # D belongs to the step that begins at k
    int64_t rho_k, rho_next              # the steps at which f.rho was estimated (below 0: never), and will be again
    int64_t n_value_grad                 # calls of value_grad
    double value, gmax                   # of the last evaluation, whatever it was
    double good_value, good_gmax, first_gmax
    bint good_ahead                      # whether value and gradient of the good point were taken ahead of it
    int64_t slope_k                      # slope0 belongs to the start of step slope_k
    int flags, owner
    int n_tested                         # visible vectors whose new numbers a step looks at
    bint cuts                            # a step may be taken in pieces of the state: its right-hand side is elementwise
    bint tests_slope                     # error control looks at the carried slope too
    int64_t *leaps                       # of steps over 0, or NULL: LEAPS_ASKED ... LEAPS_STOPPED, and bits of components
    double *slope_there                  # of the look at hand
    void *past                           # the looks of watch/past.pxd, Python's; NULL: nobody looks
    int64_t *calls                       # not NULL: fixed steps may be taken in place and repeated; a counter of the problem's (problem.pxd)


cdef run_t *run_make(const mf_method *m, const mf_problem *p, const double *par, double t0, double dt, const double *const *y0,
                     int flags, int *status) noexcept nogil
cdef void run_choose_tests(run_t *r) noexcept nogil
cdef void run_set(run_t *r, double t0, double dt, const double *const *y0) noexcept nogil
cdef void run_restart(run_t *r, double t, const double *const *y) noexcept nogil
cdef void run_release(run_t *r) noexcept nogil
cdef int run_enter(run_t *r) noexcept nogil
cdef void run_leave(run_t *r) noexcept nogil
cdef void run_tolerances(run_t *r, const double *rtol, const double *atol, ptrdiff_t count) noexcept nogil
cdef void run_tolerances_of_v(run_t *r, const double *rtol, const double *atol, ptrdiff_t count) noexcept nogil
cdef void run_attach(run_t *r, const mf_problem *p) noexcept nogil
cdef void note_rho(run_t *r, double value) noexcept nogil
cdef int estimate_rho(run_t *r) noexcept nogil
cdef void run_guard(run_t *r, inside_t *inside) noexcept nogil
cdef int try_step(run_t *r, double h) noexcept nogil
cdef int run_settle(run_t *r, double h, double *err) noexcept nogil
cdef int end_has_slope(run_t *r, double h) noexcept nogil
cdef bint run_ready(run_t *r) noexcept nogil
cdef bint solves(const mf_method *m, const mf_problem *p) noexcept nogil
cdef bint has_mass(const mf_problem *p) noexcept nogil
cdef bint run_solve_with(run_t *r, newton_t *newton) noexcept nogil


cdef inline bint couples(const mf_method *m) noexcept nogil:
    """Whether the stages of this method are solved together."""
    return m.tab != NULL and m.tab.A_inv != NULL


cdef inline bint linearizes(const mf_method *m) noexcept nogil:
    """Whether this method is linearly implicit."""
    return m.tab != NULL and m.tab.G != NULL


cdef inline double widen(const mf_method *m, double *rtol, double *atol) noexcept nogil:
    """The tolerances of the steps of a method whose stages are solved together, from those that are asked of the solution; the factor.

    The record says below which rtol' steps have looser ones, and by which power p: rtol' (rtol/rtol')^(1 - p), and atol in proportion.
    rtol = 0: what is asked is atol, as it is. The extension inside of steps is of a low order like the estimate: `between` keeps it to
    what is asked.
    """
    cdef const double *wider = <const double *> m.tab.packed + m.tab.s
    cdef double grown = 1.0
    if 0.0 < rtol[0] < wider[0]:
        grown = exp2_of(-wider[1] * log2_of((1.0 / wider[0]) * (rtol[0] if rtol[0] > 1e-14 else 1e-14)))
        rtol[0], atol[0] = grown * rtol[0], grown * atol[0]
    return grown


# Inline: a loop asks these at every step.

cdef inline int64_t evaluations(const run_t *r, bint with_jacobians) noexcept nogil:
    """Calls of the right-hand side so far; those for differences of Jacobians are counted apart."""
    cdef int64_t count = r.f.n_rhs + (r.f.n_solve if r.m.flags & MF_SECOND_ORDER else 0)
    if r.newton != NULL:
        count += r.newton.m.n_rhs - (0 if with_jacobians else r.newton.m.n_rhs_jac)
    return count


cdef inline int64_t leaps_size(const run_t *r) noexcept nogil:
    """Numbers in `leaps`."""
    return LEAPS_OF + 3 * ((r.n + 63) // 64)


cdef inline int64_t rho_held() noexcept nogil:
    """The step of the next estimate where the radius is known and stays."""
    return <int64_t> 1 << 62


cdef inline bint carries_untested_slope(const mf_method *m) noexcept nogil:
    """Whether the last slope, the next step's first, has no weight in the error estimate: what is not finite in it would not show there."""
    cdef int j, s
    if m.tab == NULL or m.tab.d == NULL or m.flags & MF_SECOND_ORDER or m.flags & (MF_FSAL | MF_EMBEDDED) != (MF_FSAL | MF_EMBEDDED):
        return False
    s = m.tab.s
    for j in range(m.tab.n_hat):
        if m.tab.d[j * s + s - 1] != 0.0:
            return False
    return True


cdef inline bint rho_is_due(const run_t *r) noexcept nogil:
    """Whether the method needs its spectral radius estimated before the next step. The first parameter of a method whose stages are set at
    run time is their number, 0 where they follow from the radius."""
    if not r.m.flags & MF_NEEDS_RHO or (r.m.flags & MF_STAGED and r.m.n_par > 0 and r.par[0] > 0.0):
        return False
    return r.rho_next <= r.k


cdef inline void accept(run_t *r, double t) noexcept nogil:
    r.now, r.next = r.next, r.now
    r.s_now, r.s_next = r.s_next, r.s_now
    r.h_before = fabs(t - r.t)
    r.t_before, r.flags_before = r.t, r.f.flags
    r.t = t
    r.k += 1
    r.f.flags = r.f.flags & ~MF_FRESH
