"""The run: owns the buffers of one integration or descent, and takes one step.

A step maps `now` to `next`; accepting it swaps the two, rejecting it does nothing, so the last good state is always there. A run that
is entered twice (from its own callback, or by a second thread) meets an owner flag and says MF_E_BUSY. Nothing here allocates while it
steps. What the kernel sees as its problem, `p`, may be made from the user's, `inner`: a cost becomes the flow of its gradient.
"""
from libc.math cimport INFINITY, NAN, copysign, fabs, sqrt
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

from mflow_core.arithmetic.control cimport control_begin
from mflow_core.arithmetic.memory cimport mf_zeros, stride_of
from mflow_core.arithmetic.vec cimport MF_SHORT, mf_scalar
from mflow_core.owner cimport mf_give, mf_take
from mflow_core.methods.tableau cimport LOOK, LOOKED
from mflow_core.pool cimport LONG
from mflow_core.problems.inside cimport inside_t, inward, mirrored
from mflow_core.registry cimport REDUCE, mf_sizes_of
from mflow_core.solvers.branch cimport branch_ready, branch_solve
from mflow_core.solvers.matrix cimport matrix_rhs
from mflow_core.solvers.newton cimport newton_forget, newton_lsolve, newton_release, newton_rhs, newton_solve
from mflow_core.solvers.spectrum.products cimport deepest_below, jacobian_bend, lift
from mflow_core.solvers.stages.coupled cimport newton_couple
from mflow_core.solvers.stages.mass cimport mass_is_diagonal, mass_varies
from mflow_core.solvers.stages.pencil cimport pencil_linearize, pencil_mass, pencil_mass_at, pencil_slopes
from mflow_core.solvers.stages.settled cimport coupled_solve
from mflow_core.stepping.energy.ledger cimport ledger_release
from mflow_core.stepping.pieces cimport step_all
from mflow_core.types cimport (MF_ELEMENTWISE, MF_EMBEDDED, MF_E_ARGUMENT, MF_E_BUSY, MF_E_CALLBACK, MF_E_KIND, MF_E_MEMORY,
                               MF_E_NON_FINITE, MF_FRESH, MF_FSAL, MF_IMPLICIT, MF_MASS, MF_MASS_AT, MF_MULTISTEP, MF_NEEDS_RHO,
                               MF_RETRY_NON_FINITE, MF_SECOND_ORDER, mf_mass_at_of, mf_mass_of, mf_new_frame, mf_new_problem, mf_tableau)


cdef enum:
    RHO_ITERATIONS = 50

cdef double ROUNDED = 3.6e-15            # of the largest slope, or of where a step began: rounding in another, or in where it ended
cdef double REFUSED = 4.0                # a squared error that asks for a shorter step
cdef double FRACTION_OF_STAGES = 0.3     # of the tolerances: .74 of the evaluations of .01 for the same error (bench/stiff.py)
cdef double MULTISTEP = 0.05             # what is left over stays in the differences


cdef extern from *:
    """
    #define mf_problem_of_version_1() offsetof(mf_problem, jac)     /* an older host's problem ends here */
    #define mf_has_solve_system(p) MF_HAS(p, mf_problem, solve_system)
    #define mf_has_linearize(p) MF_HAS(p, mf_problem, linearize)     /* and what was appended with it */
    /* In the sanitizer's build every vector is followed by at least one number that nobody may touch: a callback that writes past n is told. */
    #if defined(__SANITIZE_ADDRESS__)
    #include <sanitizer/asan_interface.h>
    #define MF_GUARD 1
    #define mf_forbid(at, bytes) __asan_poison_memory_region((at), (bytes))
    #define mf_allow(at, bytes) __asan_unpoison_memory_region((at), (bytes))
    #else
    #define MF_GUARD 0
    #define mf_forbid(at, bytes) ((void)(at), (void)(bytes))
    #define mf_allow(at, bytes) ((void)(at), (void)(bytes))
    #endif
    """
    enum:
        MF_GUARD
        MOST "((ptrdiff_t)1 << 40)"      # of n: nobody has more memory, and sizes in bytes stay far from overflow
    size_t problem_of_version_1 "mf_problem_of_version_1"() noexcept nogil
    bint MF_HAS_SOLVE_SYSTEM "mf_has_solve_system"(const mf_problem *p) noexcept nogil
    bint MF_HAS_LINEARIZE "mf_has_linearize"(const mf_problem *p) noexcept nogil
    void mf_forbid(void *at, size_t bytes) noexcept nogil
    void mf_allow(void *at, size_t bytes) noexcept nogil


# ---- gradient flow --------------------------------------------------------------------------------------------------------------------
# One ctx serves the kernel's calls of rhs and solve: it is the flow's. The problem's other callbacks are called with the problem's ctx.

cdef int flow_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef flow_t *flow = <flow_t *> ctx
    cdef ptrdiff_t i
    cdef int status
    if flow.known != NULL and y == flow.at:
        memcpy(dydt, flow.known, n * sizeof(double))
        flow.hits += 1
    else:
        status = flow.inner.value_grad(y, NULL, dydt, n, flow.inner.ctx)
        if status != 0:
            return status
    for i in range(n):
        dydt[i] = -dydt[i]
    return 0


cdef int flow_solve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef flow_t *flow = <flow_t *> ctx
    return flow.inner.solve(t, gh, r, z, n, flow.inner.ctx)


cdef int flow_lsolve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef flow_t *flow = <flow_t *> ctx
    return flow.inner.lsolve(t, gh, r, z, n, flow.inner.ctx)


cdef int flow_solve_system(const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, ptrdiff_t n,
                           void *ctx) noexcept nogil:
    cdef flow_t *flow = <flow_t *> ctx
    return flow.inner.solve_system(tab, t, h, y, Z, ld, n, flow.inner.ctx)


cdef int flow_jac(double t, const double *y, double *jac, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef flow_t *flow = <flow_t *> ctx
    return flow.inner.jac(t, y, jac, n, flow.inner.ctx)


# ---- making a run -----------------------------------------------------------------------------------------------------------------------

cdef int check_callbacks(const mf_method *m, const mf_problem *p, int flags) noexcept nogil:
    if m.flags & MF_SECOND_ORDER:
        return MF_E_CALLBACK if p.accel == NULL and p.solve_accel == NULL else 0
    if m.update != NULL:
        return MF_E_CALLBACK if p.value_grad == NULL else 0
    if m.step == NULL:
        return MF_E_KIND
    if p.rhs == NULL and p.value_grad == NULL:
        return MF_E_CALLBACK
    if has_mass(p) and (p.rhs == NULL or not m.flags & (MF_MASS if mf_mass_at_of(p) == NULL else MF_MASS_AT)):
        return MF_E_KIND
    return MF_E_CALLBACK if m.flags & MF_IMPLICIT and not solves(m, p) and not flags & RUN_SOLVE else 0


cdef bint solves(const mf_method *m, const mf_problem *p) noexcept nogil:
    """Whether the problem solves the equations of this implicit method itself."""
    if couples(m):
        return MF_HAS_SOLVE_SYSTEM(p) and p.solve_system != NULL
    if linearizes(m):
        return MF_HAS_LINEARIZE(p) and p.linearize != NULL and p.lsolve != NULL and p.rhs != NULL
    return p.solve_mass != NULL if has_mass(p) else p.solve != NULL


cdef bint has_mass(const mf_problem *p) noexcept nogil:
    return mf_mass_of(p) != NULL


cdef bint may_leap(const mf_method *m, const mf_problem *p, const mf_sizes *sizes) noexcept nogil:
    """Whether a step has a polynomial that watch/leaps.pyx can look at."""
    if sizes.n_err == 0 or m.flags & MF_SECOND_ORDER or (has_mass(p) and not m.flags & MF_IMPLICIT):
        return False
    return m.dense != NULL if m.flags & MF_IMPLICIT else m.flags & MF_FSAL != 0 and sizes.n_vec > 1


cdef inline int64_t whole_lines(int64_t numbers) noexcept nogil:
    return (numbers + 7) // 8 * 8


cdef int dense_vectors(const mf_sizes *sizes, int flags) noexcept nogil:
    """A method without a continuous extension gets the cubic Hermite one: three vectors, in second order for x and v each."""
    if sizes.n_dense or not flags & RUN_DENSE:
        return sizes.n_dense
    return 3 if sizes.n_vis == 1 else 6


cdef int control_vectors(const mf_method *m) noexcept nogil:
    return 2 if m.flags & MF_SECOND_ORDER else 1


cdef int64_t room_of(const mf_method *m, const mf_sizes *sizes, int flags, ptrdiff_t ld) noexcept nogil:
    """Numbers that a run of this method needs."""
    cdef int64_t vectors = 2 * sizes.n_vec + sizes.n_work + sizes.n_err + dense_vectors(sizes, flags)
    vectors += (3 if flags & RUN_DENSE else 0) + (4 if flags & RUN_DESCEND else 0) + (2 * control_vectors(m) if flags & RUN_CONTROL else 0)
    if flags & RUN_LEAPS:
        vectors += 2 + 1                 # of numbers, and of bits
    return vectors * ld + whole_lines(sizes.work_extra) + 2 * whole_lines(sizes.n_scal) + whole_lines(sizes.n_coef) + whole_lines(m.n_par)


cdef double *vectors(const run_t *r, double **at, int count) noexcept nogil:
    """The next vectors of the block, ld apart."""
    cdef double *first = at[0]
    cdef int j
    if MF_GUARD:
        for j in range(count):
            mf_forbid(first + j * r.ld + r.n, (r.ld - r.n) * sizeof(double))
    at[0] = first + count * r.ld
    return first


cdef void run_lay_out(run_t *r, int64_t total) noexcept nogil:
    """Gives every array its place in the block."""
    cdef double *at = <double *> (((<uintptr_t> r.block) + 63) // 64 * 64)
    cdef int j
    r.now = <double **> (at + total)
    r.next = r.now + r.sizes.n_vec
    r.f = mf_new_frame()
    for j in range(r.sizes.n_vec):
        r.now[j] = vectors(r, &at, 1)
        r.next[j] = vectors(r, &at, 1)
    r.f.work = vectors(r, &at, r.sizes.n_work)
    at += whole_lines(r.sizes.work_extra)        # what does not scale with n follows the vectors of work
    r.err = vectors(r, &at, r.sizes.n_err) if r.sizes.n_err else NULL
    r.n_D = dense_vectors(&r.sizes, r.flags)
    r.f.D = vectors(r, &at, r.n_D)
    if r.flags & RUN_DENSE:
        r.slope0, r.slope1, r.y_between = vectors(r, &at, 1), vectors(r, &at, 1), vectors(r, &at, 1)
    if r.flags & RUN_DESCEND:
        r.grad, r.at, r.good, r.good_grad = vectors(r, &at, 1), vectors(r, &at, 1), vectors(r, &at, 1), vectors(r, &at, 1)
    if r.flags & RUN_CONTROL:
        r.tolerances = vectors(r, &at, 2 * control_vectors(r.m))
    if r.flags & RUN_LEAPS:
        r.slope_there = vectors(r, &at, 2)
        r.leaps = <int64_t *> at
        at += r.ld
    r.s_now = at
    r.s_next = at + whole_lines(r.sizes.n_scal)
    r.coef = r.s_next + whole_lines(r.sizes.n_scal)
    r.par = r.coef + whole_lines(r.sizes.n_coef)


cdef run_t *run_make(const mf_method *m, const mf_problem *p, const double *par, double t0, double dt, const double *const *y0,
                     int flags, int *status) noexcept nogil:
    cdef run_t *r
    cdef mf_sizes sizes
    cdef ptrdiff_t n = p.n, ld
    cdef int64_t total
    status[0] = mf_sizes_of(m, par, &sizes)
    if status[0] == 0:
        status[0] = check_callbacks(m, p, flags)
    if status[0] == 0 and (n < 0 or p.size < problem_of_version_1()):
        status[0] = MF_E_ARGUMENT
    if status[0] == 0 and n > MOST:
        status[0] = MF_E_MEMORY
    if status[0] != 0:
        return NULL
    if not may_leap(m, p, &sizes):
        flags &= ~<int> RUN_LEAPS
    ld = stride_of(max(n + MF_GUARD, <ptrdiff_t> 1))
    total = room_of(m, &sizes, flags, ld)
    r = <run_t *> calloc(1, sizeof(run_t))
    if r != NULL:
        r.block_bytes = total * sizeof(double) + 2 * sizes.n_vec * sizeof(double *) + 64
        r.block = mf_zeros(r.block_bytes, 1)
    if r == NULL or r.block == NULL:
        free(r)
        status[0] = MF_E_MEMORY
        return NULL
    r.m, r.n, r.ld, r.sizes, r.flags = m, n, ld, sizes, flags
    run_lay_out(r, total)
    if m.n_par:
        memcpy(r.par, par, m.n_par * sizeof(double))
    run_choose_tests(r)
    run_attach(r, p)
    run_set(r, t0, dt, y0)
    return r


cdef void run_choose_tests(run_t *r) noexcept nogil:
    """Which vectors tell that a step is finite. A second-order method whose gamma is above 0 makes v+ = ... + gamma dt a+: where a+ is not
    finite v+ is not, and one pass over memory is saved."""
    cdef double[4] c
    r.n_tested = r.sizes.n_vis
    r.tests_slope = carries_untested_slope(r.m)
    if r.m.flags & MF_SECOND_ORDER and r.sizes.n_coef == 4:
        r.m.begin(r.m, r.par, 0, NULL, c)
        if c[1] > 0.0:
            r.n_tested = 2


cdef bint may_be_cut(const run_t *r) noexcept nogil:
    """Whether the steps of this method are elementwise where its right-hand side is."""
    return (r.m.tab != NULL and not r.m.flags & (MF_IMPLICIT | MF_SECOND_ORDER | MF_MULTISTEP) and r.sizes.n_scal == 0
            and r.sizes.n_vec == r.m.sizes.n_vec and r.sizes.work_extra == 0)


cdef void run_attach(run_t *r, const mf_problem *p) noexcept nogil:
    """Takes a problem over; a cost alone becomes its gradient flow where the method needs a right-hand side."""
    r.inner = mf_new_problem()
    memcpy(&r.inner, p, min(<size_t> p.size, sizeof(mf_problem)))
    r.inner.size = sizeof(mf_problem)
    r.p = r.inner
    if r.m.step != NULL and r.inner.value_grad != NULL and r.inner.rhs == NULL and not r.m.flags & MF_SECOND_ORDER:
        r.flow.inner = &r.inner
        r.p.rhs, r.p.ctx = flow_rhs, &r.flow
        if r.inner.solve != NULL:
            r.p.solve = flow_solve
        if r.inner.lsolve != NULL:
            r.p.lsolve = flow_lsolve
        if r.inner.solve_system != NULL:
            r.p.solve_system = flow_solve_system
        if r.inner.jac != NULL:
            r.p.jac = flow_jac
    r.ode = r.p
    r.f.p = &r.p
    r.f.n, r.f.ld, r.f.par = r.n, r.ld, r.par
    r.cuts = r.inner.flags & MF_ELEMENTWISE and r.inner.rhs != NULL and r.n >= LONG and may_be_cut(r)


cdef bint run_solve_with(run_t *r, newton_t *newton) noexcept nogil:
    """Implicit steps are solved by this, made for r.ode: one context serves the kernel's calls of rhs and solve. False: no memory."""
    r.newton = newton
    r.p.ctx = newton
    newton.m.symmetric = r.flow.inner != NULL
    if r.inside != NULL and r.inside.n_signs > 0:
        newton.m.inside, r.inside.bend, r.inside.bend_ctx = r.inside, jacobian_bend, &newton.m
    r.p.rhs, r.p.solve = newton_rhs, branch_solve    # lsolve stays NULL: a filter on esdirk43's estimate would hide real errors
    if newton.own_fraction and r.m.flags & MF_EMBEDDED and not couples(r.m):
        newton.c.fraction = MULTISTEP if r.m.flags & MF_MULTISTEP else FRACTION_OF_STAGES
    r.p.linearize = pencil_linearize
    if newton.c.matrix.mass != NULL:                 # there it makes errors of y from errors of M y
        r.p.mass, r.p.solve, r.p.solve_mass, r.p.lsolve = pencil_mass, NULL, newton_solve, newton_lsolve
        if mass_varies(newton.c.matrix.mass):
            r.p.mass_at = pencil_mass_at
    if linearizes(r.m):
        r.p.lsolve = newton_lsolve
    if couples(r.m):
        r.p.solve_system, r.p.lsolve = coupled_solve, newton_lsolve
        return newton_couple(newton) == 0
    return r.dt != r.dt or run_ready(r)              # without a dt, steps are error-controlled or each is given its own


cdef bint run_ready(run_t *r) noexcept nogil:
    """Make what solving the equations of fixed steps may need, before the first of them: no step allocates. False: no memory."""
    if r.newton == NULL or r.newton.controlled or couples(r.m) or linearizes(r.m) or r.p.mass != NULL:
        return True
    return branch_ready(r.newton)


cdef void run_set(run_t *r, double t0, double dt, const double *const *y0) noexcept nogil:
    """Puts the state at a start: visible vectors given (in second order a may be NULL, it is made), the others at their first values."""
    cdef int j
    for j in range(r.sizes.n_vec):
        if j < r.sizes.n_vis and y0[j] != NULL:
            memcpy(r.now[j], y0[j], r.n * sizeof(double))
        else:
            memset(r.now[j], 0, r.n * sizeof(double))
    if r.m.start != NULL:
        r.m.start(r.m, r.par, 0, r.n, r.now)
    memset(r.s_now, 0, r.sizes.n_scal * sizeof(double))
    r.t = r.t_base = t0
    r.dt, r.k, r.k_base = dt, 0, 0
    r.slope_k = r.dense_k = r.rho_k = -1
    r.rho_next = 0
    r.t_before, r.h_before = NAN, 0.0
    r.f.flags = MF_FRESH
    r.pole_k = 0
    if r.leaps != NULL:
        memset(r.leaps, 0, leaps_size(r) * sizeof(int64_t))
    r.value = r.gmax = r.good_value = r.good_gmax = r.first_gmax = NAN


cdef void forget_beyond(run_t *r, const double *y) noexcept nogil:
    """Of components that another state moves it is not known whether an error has taken them beyond 0; of the others that stays."""
    cdef int64_t *beyond
    cdef ptrdiff_t i
    if r.leaps == NULL or y == NULL:
        return
    beyond = r.leaps + LEAPS_OF + (r.n + 63) // 64
    for i in range(r.n):
        if y[i] != r.now[0][i]:
            beyond[i // 64] &= ~(<int64_t> 1 << (i % 64))


cdef void run_restart(run_t *r, double t, const double *const *y) noexcept nogil:
    """Another state at another time, as at a start: visible vectors that are not NULL are taken over (in second order a is made anew), and
    what belongs to the steps before is forgotten: carried vectors, the controller's memory and its step, the Jacobian, the inside of the
    last step. Counts go on; fixed steps are counted from here."""
    cdef bint held = r.rho_next == rho_held()
    cdef int64_t rejected = r.c.rejected, failed = r.c.failed
    cdef int j
    forget_beyond(r, y[0])
    for j in range(r.sizes.n_vec):
        if j >= r.sizes.n_vis:
            memset(r.now[j], 0, r.n * sizeof(double))
        elif y[j] != NULL:
            memcpy(r.now[j], y[j], r.n * sizeof(double))
    if r.m.flags & MF_SECOND_ORDER:
        memset(r.now[2], 0, r.n * sizeof(double))
    if r.m.start != NULL:
        r.m.start(r.m, r.par, 0, r.n, r.now)
    memset(r.s_now, 0, r.sizes.n_scal * sizeof(double))
    r.t = r.t_base = t
    r.k_base = r.k
    r.slope_k = r.dense_k = r.rho_k = -1
    r.leg.tries = r.leg.mild = r.leg.near_limit = 0
    r.leg.over = False
    r.rho_next = rho_held() if held else r.k
    r.t_before, r.h_before = NAN, 0.0
    r.f.flags = MF_FRESH
    if r.c.q > 0.0:
        begin_control(r)
        r.c.rejected, r.c.failed = rejected, failed
    if r.newton != NULL:
        newton_forget(r.newton)


cdef void run_release(run_t *r) noexcept nogil:
    if r != NULL:
        ledger_release(r.ledger)
        if r.owns_newton:
            newton_release(r.newton)
        mf_allow(r.block, r.block_bytes)
        free(r.block)
        free(r)


cdef int run_enter(run_t *r) noexcept nogil:
    return 0 if mf_take(&r.owner) else MF_E_BUSY


cdef void run_leave(run_t *r) noexcept nogil:
    mf_give(&r.owner)


cdef void begin_control(run_t *r) noexcept nogil:
    cdef int order = r.sizes.order if r.sizes.order else r.m.order
    # Two estimates of one vector combine (dop853); those of x and v are one each.
    control_begin(&r.c, r.n, order, r.m.order_hat if r.m.order_hat < order else order, r.sizes.n_err if r.sizes.n_vis == 1 else 1)
    r.c.predicts = couples(r.m) or (
        r.m.flags & (MF_IMPLICIT | MF_SECOND_ORDER) == MF_IMPLICIT and r.m.tab != NULL and not linearizes(r.m))


cdef void run_tolerances(run_t *r, const double *rtol, const double *atol, ptrdiff_t count) noexcept nogil:
    """Error control: one rtol and atol for all components (count 1), or n of each (a run made with RUN_CONTROL)."""
    begin_control(r)
    r.c.max_step, r.c.min_step = INFINITY, 0.0
    set_tolerances(r, &r.c, r.tolerances, rtol, atol, count)
    run_tolerances_of_v(r, rtol, atol, count)


cdef void set_tolerances(run_t *r, control_t *c, double *room, const double *rtol, const double *atol, ptrdiff_t count) noexcept nogil:
    cdef ptrdiff_t i
    c.rtol, c.atol = rtol[0], atol[0]
    c.rtol_of = c.atol_of = NULL
    if count > 1:
        c.rtol_of, c.atol_of = room, room + r.ld
        memcpy(room, rtol, r.n * sizeof(double))
        memcpy(room + r.ld, atol, r.n * sizeof(double))
    r.widened = widen(r.m, &c.rtol, &c.atol) if couples(r.m) else 1.0
    for i in range(r.n if count > 1 and couples(r.m) else 0):
        r.widened = max(r.widened, widen(r.m, room + i, room + r.ld + i))


cdef void run_tolerances_of_v(run_t *r, const double *rtol, const double *atol, ptrdiff_t count) noexcept nogil:
    """Tolerances of the velocity, where they are not those of the position."""
    if r.m.flags & MF_SECOND_ORDER:
        set_tolerances(r, &r.of_v, r.tolerances + 2 * r.ld if r.tolerances != NULL else NULL, rtol, atol, count)


cdef void note_rho(run_t *r, double value) noexcept nogil:
    """The spectral radius was estimated. It is due again after twice as many steps as the last time, RHO_EVERY at most; after one
    where it has grown by half."""
    cdef int64_t gap = 2 * (r.k - r.rho_k)
    gap = gap if gap < RHO_EVERY else RHO_EVERY
    if gap < 1 or r.rho_k < 0 or value > 1.5 * r.f.rho:
        gap = 1
    r.f.rho, r.rho_k, r.rho_next = value, r.k, r.k + gap


cdef int estimate_rho(run_t *r) noexcept nogil:
    """r.f.rho where the run stands, for hosts in C; the drivers in Python measure more (`mflow.stability.spectrum`).

    Nonlinear power iteration (Sommeijer, Shampine and Verwer, J. Comput. Appl. Math. 88 (1998) 315-326): v <- (f(y + v) - f(y)) scaled back
    to the length of a difference, until the growth changes by less than a hundredth. The estimate approaches the radius from below, so a
    fifth is added. Scratch: `next` and the method's work, which hold nothing between two steps.
    """
    cdef double *v = r.next[0]
    cdef double *at = r.f.work
    cdef double *slope = r.f.work + r.ld
    cdef double *base = r.f.work + 2 * r.ld
    cdef const double *y = r.now[0]
    cdef double length = 1.5e-8 * max(1.0, sqrt(REDUCE.sum_of_squares(y, r.n))), norm, rho = 0.0, before
    cdef ptrdiff_t i
    cdef int _k, status
    status = r.p.rhs(r.t, y, base, r.n, r.p.ctx)
    r.f.n_rhs += 1
    for i in range(r.n):
        v[i] = base[i] if base[i] != 0.0 else 1.0
    for _k in range(RHO_ITERATIONS):
        if status != 0:
            return status
        norm = sqrt(REDUCE.sum_of_squares(v, r.n))
        if not norm - norm == 0.0:
            return MF_E_NON_FINITE
        if norm == 0.0:
            break
        for i in range(r.n):
            at[i] = y[i] + v[i] * (length / norm)
        status = r.p.rhs(r.t, at, slope, r.n, r.p.ctx)
        r.f.n_rhs += 1
        for i in range(r.n):
            v[i] = slope[i] - base[i]
        before = rho
        rho = sqrt(REDUCE.sum_of_squares(v, r.n)) / length
        if _k > 1 and fabs(rho - before) <= 0.01 * rho:
            break
    if not rho - rho == 0.0:
        return MF_E_NON_FINITE
    note_rho(r, 1.2 * rho)
    return status


# ---- steps ------------------------------------------------------------------------------------------------------------------------------

cdef inline bint short_finite(const double *x, ptrdiff_t n) noexcept nogil:
    # For a few numbers the call alone would cost more; scalar, because they have just been stored number by number.
    cdef double sum = 0.0
    cdef ptrdiff_t i
    for i in range(n):
        sum = mf_scalar(sum + (x[i] - x[i]))
    return sum == 0.0


cdef int end_has_slope(run_t *r, double h) noexcept nogil:
    """Where Newton's iteration has met slopes that are not finite, its last update may have led beyond the wall: MF_RETRY_NON_FINITE."""
    return matrix_rhs(&r.newton.m, r.t + h, r.next[0], r.newton.f)


cdef enum:
    LOOKED_AT = 64                       # numbers from which on a step looks at its end itself; steps of fewer are plain


cdef int try_step(run_t *r, double h) noexcept nogil:
    """now -> next, over h, not accepted. MF_E_NON_FINITE where `next` is not finite. What was known of the step before, and of another
    try of this one, is overwritten."""
    cdef int j, status
    cdef int64_t hits = r.flow.hits
    cdef bint cut = r.cuts and r.inside == NULL, looked
    r.t_before, r.dense_k = NAN, -1
    if r.slope_k > r.k:
        r.slope_k = -1
    r.f.t, r.f.h, r.f.k = r.t, h, r.k
    r.f.x0, r.f.x1 = <const double *const *> r.now, <double *const *> r.next
    r.f.s0, r.f.s1 = r.s_now, r.s_next
    if r.newton != NULL:
        r.newton.m.met = False
        r.newton.state = r.now[0]
    if r.n >= LOOKED_AT and not cut:
        r.f.flags |= LOOK
    status = step_all(r.m, &r.f, r.n_tested) if cut else r.m.step(r.m, &r.f)
    looked = cut or r.f.flags & LOOKED
    r.f.flags &= ~(<unsigned int> LOOK | <unsigned int> LOOKED)
    r.f.n_rhs -= r.flow.hits - hits
    if status == 0:
        for j in range(0 if looked else r.n_tested):
            if not (short_finite(r.next[j], r.n) if r.n <= MF_SHORT else REDUCE.all_finite(r.next[j], r.n)):
                return MF_E_NON_FINITE
        if r.newton != NULL and r.newton.m.met and fabs(h) < INFINITY:
            return end_has_slope(r, h)
    return status


# ---- signs that are kept ----------------------------------------------------------------------------------------------------------------

cdef void run_guard(run_t *r, inside_t *inside) noexcept nogil:
    """The run's problem goes through this, or through nothing (NULL). `run_solve_with` tells it of a Jacobian."""
    r.inside = inside
    if inside != NULL and inside.n_signs > 0 and r.m.flags & MF_NEEDS_RHO and r.p.rhs != flow_rhs:
        inside.bend, inside.bend_ctx = mirrored, &r.f.n_rhs


cdef int run_settle(run_t *r, double h, double *err) noexcept nogil:
    """The end of a good step, where components must not be below 0; err is the square of its error, in units of the tolerances.

    Below 0 by more than a tolerance is an error of that size. By less it is one that is allowed, and the component becomes 0 (`lift`), unless
    f drives it down from 0, more than by rounding: then it is the solution that leaves, MF_RETRY_NON_FINITE. Where more than it may be is
    put into one component, a method without a Jacobian to keep sums by takes a shorter step, and so does one with a mass matrix that is not
    diagonal. A slope that the method carries is that of the new state.
    """
    cdef double *y = r.next[0]
    cdef double *slope = r.next[1] if r.m.flags & MF_FSAL and r.sizes.n_vec > 1 else r.err      # its error is known
    cdef const double *rate = slope
    cdef ptrdiff_t which = -1, i, k
    cdef double deep = deepest_below(r.inside, &r.c, r.now[0], y, &which), alone
    cdef int status = 0
    if deep == 0.0:
        return 0
    if deep > 1.0:
        r.inside.left = which
        err[0] = max(err[0], deep * deep)
        return 0
    memcpy(r.inside.nearest, y, r.n * sizeof(double))
    alone = lift(r.inside, &r.c, &r.newton.m if r.newton != NULL else NULL, r.now[0], r.next,
                 r.sizes.n_vec if r.m.flags & MF_MULTISTEP else 1, r.n, r.err)
    if alone > 1.0 and (r.newton == NULL or (r.p.mass != NULL and not mass_is_diagonal(r.newton.c.matrix.mass, r.n))):
        r.inside.left = which
        err[0] = max(err[0], REFUSED)
        return 0
    status = r.ode.rhs(r.t + h, y, slope, r.n, r.ode.ctx)
    r.f.n_rhs += 1
    if status == 0 and r.p.mass != NULL:
        status = pencil_slopes(r.newton, r.t + h, slope, r.err, &rate)
    if status != 0:
        return status
    for k in range(r.inside.n_signs if rate != NULL else 0):
        i = r.inside.signs[k]
        if (inward(r.inside, k, r.inside.nearest) < 0.0 and inward(r.inside, k, y) <= ROUNDED * fabs(r.now[0][i])
                and r.inside.sides[k] * rate[i] * copysign(1.0, h) < -ROUNDED * REDUCE.max_abs(rate, r.n)):
            r.inside.left = i
            return MF_RETRY_NON_FINITE
    return 0
