"""The C API of mflow.h: one table in the capsule `mflow_core.api._C_API`, and the same functions for cimport.

Append-only. Functions check what costs nothing to check (NULL, sizes, kinds) and then call the method; none needs the GIL, save where
the host's own callback takes it. A run has an owner: a second thread, or its own callback, gets MF_E_BUSY. What a host steps itself
(step, update, sweep) lives in the host's memory, a frame a thread.

Flush-to-zero, set by a stranger's library in this thread, changes bits of numbers near 1e-308. Runs, `begin` and `sweep` put the default
back for their time; `step`, `update` and `ask` do not, for reading the control register would cost 5 of their 20 ns: a host that needs
the bits of the promise there keeps its threads in the default mode (it has not compiled with -ffast-math, and neither have its libraries).
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, NAN, ceil, fabs
from libc.stdint cimport INT64_MAX
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, strcmp

from mflow_core cimport registry
from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.host_descents cimport (LIMIT_REACHED, host_advance, host_descent_t, host_direct, host_free, host_new, host_restore, host_room,
                                       host_save, host_x)
from mflow_core.methods.losses cimport loss_t
from mflow_core.owner cimport mf_give, mf_take
from mflow_core.solvers.newton cimport newton_config_t, newton_defaults, newton_make, newton_t
from mflow_core.solvers.stages.mass cimport mass_t
from mflow_core.solvers.stages.pencil cimport pencil_of_products
from mflow_core.stepping.checkpoint cimport run_pack, run_unpack
from mflow_core.stepping.loops cimport run_adaptive, run_fixed
from mflow_core.stepping.output cimport hermite, polynomial
from mflow_core.stepping.run cimport (RHO_DUE, RUN_SOLVE, estimate_rho, run_enter, run_leave, run_make, run_release, run_restart, run_solve_with, solves,
                                      run_t, run_tolerances)
from mflow_core.stepping.starts cimport run_begin
from mflow_core.types cimport (MF_E_ARGUMENT, MF_E_CALLBACK, MF_E_KIND, MF_E_MEMORY, MF_E_NON_FINITE, MF_E_SOLVE, MF_E_STEP, MF_E_STEPS,
                               MF_E_VERSION, MF_IMPLICIT, MF_RETRY_NON_FINITE, MF_RETRY_SOLVE, MF_SECOND_ORDER, mf_new_api, mf_new_frame)

from mflow_core import _levels
from mflow_core.registry import LEVEL


cdef extern from *:
    """
    #define mf_offset_of_rtol() offsetof(mf_run_options, rtol)
    #define mf_offset_of_jac() offsetof(mf_problem, jac)
    #define mf_offset_of_tolerances() offsetof(mf_frame, rtol)
    """
    size_t offset_of_rtol "mf_offset_of_rtol"() noexcept nogil      # hosts of version 1 end here
    size_t offset_of_jac "mf_offset_of_jac"() noexcept nogil
    size_t offset_of_tolerances "mf_offset_of_tolerances"() noexcept nogil       # of version 4


cdef const mf_method *mf_find(const char *name) noexcept nogil:
    return registry.mf_find(name)


cdef const mf_method *mf_row(int i) noexcept nogil:
    return registry.mf_row(i)


cdef const char *mf_error_text(int code) noexcept nogil:
    return registry.mf_error_text(code)


cdef int mf_defaults(const mf_method *m, double *par) noexcept nogil:
    return registry.mf_defaults(m, par)


cdef int mf_get_sizes(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil:
    return registry.mf_sizes_of(m, par, sizes)


cdef int mf_step(const mf_method *m, mf_frame *f) noexcept nogil:
    if m == NULL or f == NULL or f.size < offset_of_tolerances() or f.p == NULL or f.p.size < offset_of_jac():
        return MF_E_ARGUMENT
    if f.size > sizeof(mf_frame) or f.p.size > sizeof(mf_problem):
        return MF_E_VERSION
    if m.step == NULL:
        return MF_E_KIND
    if m.flags & MF_SECOND_ORDER:
        if f.p.accel == NULL and f.p.solve_accel == NULL:
            return MF_E_CALLBACK             # which of the two it needs depends on parameters: the kernel says
    elif f.p.rhs == NULL or (m.flags & MF_IMPLICIT and not solves(m, f.p)):
        return MF_E_CALLBACK
    if f.n < 0 or f.ld < f.n or f.x0 == NULL or f.x1 == NULL or (f.work == NULL and m.sizes.n_work > 0):
        return MF_E_ARGUMENT
    if f.n > 0 and (f.x0[0] == NULL or f.x1[0] == NULL):
        return MF_E_ARGUMENT
    if (f.par == NULL and m.n_par > 0) or (m.sizes.n_scal > 0 and (f.s0 == NULL or f.s1 == NULL)):
        return MF_E_ARGUMENT
    return m.step(m, f)


cdef int mf_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef unsigned int mode
    cdef int status
    if m == NULL or par == NULL or coef == NULL or k < 0 or (scal == NULL and m.sizes.n_scal > 0):
        return MF_E_ARGUMENT
    if m.begin == NULL:
        return MF_E_KIND
    mode = mf_fp_enter()
    status = m.begin(m, par, k, scal, coef)
    mf_fp_leave(mode)
    return status


cdef int mf_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                   const double *g) noexcept nogil:
    if m == NULL or coef == NULL or x == NULL or g == NULL or lo < 0 or hi < lo:
        return MF_E_ARGUMENT
    if m.update == NULL:
        return MF_E_KIND
    return m.update(m, coef, gscale, lo, hi, x, g) if x[0] != NULL or hi == lo else MF_E_ARGUMENT


cdef int mf_ask(const mf_method *m, const double *coef, ptrdiff_t lo, ptrdiff_t hi, const double *const *x, double *at) noexcept nogil:
    if m == NULL or x == NULL or at == NULL or lo < 0 or hi < lo:
        return MF_E_ARGUMENT
    if m.update == NULL:
        return MF_E_KIND
    if m.ask == NULL:
        memcpy(at + lo, x[0] + lo, (hi - lo) * sizeof(double))
        return 0
    return m.ask(m, coef, lo, hi, x, at) if coef != NULL else MF_E_ARGUMENT


cdef int mf_start(const mf_method *m, const double *par, ptrdiff_t lo, ptrdiff_t hi, double *const *x) noexcept nogil:
    cdef mf_sizes sizes
    cdef ptrdiff_t i
    cdef int j, status
    if m == NULL or x == NULL or lo < 0 or hi < lo:
        return MF_E_ARGUMENT
    status = registry.mf_sizes_of(m, par, &sizes)
    if status != 0:
        return status
    for j in range(sizes.n_vis, sizes.n_vec):
        for i in range(lo, hi):
            x[j][i] = 0.0
    return m.start(m, par, lo, hi, x) if m.start != NULL else 0


cdef const loss_t **LOSSES = <const loss_t **> registry.kernels("methods.implicit_sgd", "_losses", b"mflow_core._losses")


cdef const mf_loss *mf_find_loss(const char *name) noexcept nogil:
    cdef int i = 0
    while name != NULL and LOSSES[i] != NULL:
        if strcmp(LOSSES[i].name, name) == 0:
            return <const mf_loss *> LOSSES[i]
        i += 1
    return NULL


cdef bint sweep_fits(const mf_sweep *s, const mf_sizes *sizes) noexcept nogil:
    """Whether rows and columns lie inside their arrays, and labels and weights inside their domains: one pass, over no row's numbers."""
    cdef const loss_t *loss = <const loss_t *> s.loss
    cdef ptrdiff_t k, i
    cdef int64_t entry
    cdef int j
    if s.loss == NULL or s.x == NULL or s.label == NULL:
        return False
    for j in range(sizes.n_vec):
        if s.x[j] == NULL and s.n > 0:
            return False
    if s.X == NULL and (s.indptr == NULL or s.indices == NULL or s.values == NULL):
        return False
    for k in range(s.count):
        i = s.order[k] if s.order != NULL else k
        if i < 0 or i >= s.rows or not loss.allows(s.label[i]):
            return False
        if s.weight != NULL and not 0.0 <= s.weight[i] < INFINITY:
            return False
        if s.X == NULL:
            if s.indptr[i] < 0 or s.indptr[i + 1] < s.indptr[i] or s.indptr[i + 1] > s.indptr[s.rows]:   # the last: their number
                return False
            for entry in range(s.indptr[i], s.indptr[i + 1]):
                if s.indices[entry] < 0 or s.indices[entry] >= s.n:
                    return False
    return True


cdef int mf_do_sweep(const mf_method *m, const double *par, mf_sweep *s) noexcept nogil:
    cdef unsigned int mode
    cdef mf_sizes sizes
    cdef int status
    if m == NULL or par == NULL or s == NULL or s.size < sizeof(mf_sweep) or s.n < 0 or s.count < 0:
        return MF_E_ARGUMENT
    if s.size > sizeof(mf_sweep):
        return MF_E_VERSION
    if m.sweep == NULL:
        return MF_E_KIND
    status = registry.mf_sizes_of(m, par, &sizes)
    if status != 0:
        return status
    if (s.X != NULL and s.ldx < s.n) or not sweep_fits(s, &sizes):
        return MF_E_ARGUMENT
    mode = mf_fp_enter()
    status = m.sweep(m, par, s)
    mf_fp_leave(mode)
    return status


cdef int mf_interpolate(const mf_method *m, mf_frame *f, double theta, double *y) noexcept nogil:
    """Between f.x0 and f.x1 of the step just taken: the method's extension where f.D has room for it, else the cubic Hermite one.

    The latter calls rhs at both ends.
    """
    cdef mf_frame g
    cdef mf_sizes sizes
    cdef double *room
    cdef int status
    if m == NULL or f == NULL or y == NULL or not 0.0 <= theta <= 1.0 or f.size < offset_of_tolerances() or f.p == NULL or f.n < 0:
        return MF_E_ARGUMENT
    if f.x0 == NULL or f.x1 == NULL or f.x0[0] == f.x1[0]:
        return MF_E_ARGUMENT                 # a step in place has overwritten its start
    if m.step == NULL or f.p.rhs == NULL or m.flags & MF_SECOND_ORDER:
        return MF_E_KIND                     # x and v of second-order methods: no extension of theirs goes through rhs
    if m.dense != NULL and f.D != NULL:
        status = m.dense(m, f)
        if status == 0:
            status = registry.mf_sizes_of(m, f.par, &sizes)
        if status == 0:
            polynomial(f, sizes.n_dense, theta, y)
        return status
    room = <double *> malloc(5 * (f.n + 1) * sizeof(double))
    if room == NULL:
        return MF_E_MEMORY
    g = mf_new_frame()
    g.n, g.h, g.x0, g.x1 = f.n, f.h, f.x0, f.x1
    g.D, g.ld = room + 2 * f.n, f.n
    status = f.p.rhs(f.t, f.x0[0], room, f.n, f.p.ctx)
    if status == 0:
        status = f.p.rhs(f.t + f.h, f.x1[0], room + f.n, f.n, f.p.ctx)
    f.n_rhs += 2
    if status == 0:
        hermite(&g, room, room + f.n, g.D)
        polynomial(&g, 3, theta, y)
    free(room)
    return status


cdef int options_fit(const mf_method *m, const mf_run_options *o) noexcept nogil:
    """Whether the numbers of a host make sense; fields of version 2 count only where the host has them."""
    if not (o.t0 - o.t0 == 0.0 and o.dt - o.dt == 0.0):
        return MF_E_ARGUMENT
    if m.step == NULL:
        return MF_E_KIND
    if o.size < sizeof(mf_run_options) or (o.rtol == 0.0 and o.atol == 0.0):
        return 0
    if m.sizes.n_err == 0:
        return MF_E_KIND
    if not (0.0 <= o.rtol < 1.0 and 0.0 <= o.atol < INFINITY and o.max_step >= 0.0 and 0.0 <= o.min_step < INFINITY):
        return MF_E_ARGUMENT
    if 0.0 < o.max_step < o.min_step:
        return MF_E_ARGUMENT
    return 0 if o.first_step - o.first_step == 0.0 else MF_E_ARGUMENT


cdef bint state_given(const mf_method *m, ptrdiff_t n, const double *const *y) noexcept nogil:
    """Whether the vectors that make a state are there: y, or x and v. An acceleration may be NULL, it is made."""
    return n <= 0 or (y[0] != NULL and (not m.flags & MF_SECOND_ORDER or y[1] != NULL))


cdef bint solved_here(const mf_method *m, const mf_problem *p) noexcept nogil:
    """An implicit method on a problem that does not solve its equations itself."""
    return m.flags & MF_IMPLICIT != 0 and m.flags & MF_SECOND_ORDER == 0 and not solves(m, p)


cdef bint give_solver(run_t *run) noexcept nogil:
    """Newton's iteration with a dense Jacobian, the host's or one of differences."""
    cdef newton_config_t config
    cdef newton_t *newton
    cdef mass_t *mass = NULL
    newton_defaults(&config, run.ode.jac != NULL)
    if run.ode.mass != NULL:
        if pencil_of_products(&run.ode, &mass) != 0:
            return False
        config.matrix.mass = mass
    newton = newton_make(&config, &run.ode, run.n, NULL, NULL)
    if newton == NULL:
        free(mass)
        return False
    newton.mass = mass
    run.owns_newton = True
    return run_solve_with(run, newton)


cdef int go_on(run_t *r, int status) noexcept nogil:
    """0 where the loop only asked for the spectral radius, which it has now."""
    return estimate_rho(r) if status == RHO_DUE else status


cdef mf_run *mf_run_new(const mf_method *m, const mf_problem *p, const mf_run_options *options, const double *const *y0,
                        int *err) noexcept nogil:
    cdef int status = MF_E_ARGUMENT
    cdef double *defaults = NULL
    cdef const double *par
    cdef run_t *run = NULL
    if m != NULL and p != NULL and options != NULL and y0 != NULL and options.size >= offset_of_rtol():
        status = MF_E_VERSION if options.size > sizeof(mf_run_options) or p.size > sizeof(mf_problem) else options_fit(m, options)
        if status == 0 and not state_given(m, p.n, y0):
            status = MF_E_ARGUMENT
        par = options.par
        if status == 0 and par == NULL and m.n_par > 0:
            defaults = <double *> malloc(m.n_par * sizeof(double))
            par = defaults
            status = MF_E_MEMORY if defaults == NULL else registry.mf_defaults(m, defaults)
        if status == 0:
            run = run_make(m, p, par, options.t0, options.dt, y0, RUN_SOLVE if solved_here(m, p) else 0, &status)
        free(defaults)
    if run != NULL and solved_here(m, p) and not give_solver(run):
        run_release(run)
        run, status = NULL, MF_E_MEMORY
    if run != NULL and options.size >= sizeof(mf_run_options) and (options.rtol > 0.0 or options.atol > 0.0):
        run_tolerances(run, &options.rtol, &options.atol, 1)
        run.c.max_step = options.max_step if options.max_step > 0.0 else INFINITY
        run.c.min_step = options.min_step
        run.c.h = options.first_step
    if err != NULL:
        err[0] = status
    return <mf_run *> run


cdef int mf_run_advance(mf_run *run, double t_end, int64_t max_steps) noexcept nogil:
    """Up to t_end, which a last, shorter step lands on; 1 where max_steps were not enough."""
    cdef run_t *r = <run_t *> run
    cdef int status
    if r == NULL or max_steps < 0 or not (t_end - t_end == 0.0):
        return MF_E_ARGUMENT
    status = run_enter(r)                    # before the first look at it
    if status != 0:
        return status
    if r.c.q == 0.0 and (r.dt == 0.0 or (t_end - r.t) * r.dt < 0):
        status = MF_E_ARGUMENT
    elif t_end != r.t:
        status = ending(advance_controlled(r, t_end, max_steps) if r.c.q > 0.0 else advance_fixed(r, t_end, max_steps))
        if status == 0 and r.t != t_end:
            status = 1
    run_leave(r)
    return status


cdef int ending(int status) noexcept nogil:
    """What a host is told. Where no smaller step is left, a code that asks for one is an error; 1 means max_steps and nothing else."""
    if status == MF_RETRY_SOLVE:
        return MF_E_SOLVE
    if status == MF_RETRY_NON_FINITE:
        return MF_E_NON_FINITE
    return MF_E_STEP if status > 0 else status


cdef int advance_controlled(run_t *r, double t_end, int64_t max_steps) noexcept nogil:
    cdef int64_t last = r.k + min(max_steps, INT64_MAX - r.k)       # INT64_MAX: no limit
    cdef int status = 0
    if r.k == 0 or (t_end - r.t) * r.c.h < 0.0:
        if (t_end - r.t) * r.c.h < 0.0:
            r.c.h = 0.0                      # the other way now: choose anew
        status = run_begin(r, t_end, r.c.h)
    while status == 0 and r.t != t_end and r.k < last:
        status = go_on(r, run_adaptive(r, last - r.k, t_end, NULL))
    return status


cdef int advance_fixed(run_t *r, double t_end, int64_t max_steps) noexcept nogil:
    # Counted on the grid that began at t_base, so that a span cut into pieces takes the same steps.
    cdef double steps = ceil(fabs((t_end - r.t_base) / r.dt) * (1.0 - 1e-12)) - <double> (r.k - r.k_base)
    cdef bint enough
    cdef int64_t last
    cdef int status = 0
    steps = max(steps, 1.0)
    enough = steps <= <double> max_steps
    last = r.k + (<int64_t> steps if enough else max_steps)
    while status == 0 and r.k < last:
        status = go_on(r, run_fixed(r, last - r.k, t_end if enough else NAN, NULL))
    return status


cdef const double *const *mf_run_y(const mf_run *run, double *t, int64_t *k) noexcept nogil:
    cdef run_t *r = <run_t *> run
    cdef const double *const *y
    if r == NULL or not mf_take(&r.owner):
        return NULL
    if t != NULL:
        t[0] = r.t
    if k != NULL:
        k[0] = r.k
    y = <const double *const *> r.now
    mf_give(&r.owner)
    return y


cdef int64_t mf_run_save(const mf_run *run, void *buf, int64_t room) noexcept nogil:
    cdef int64_t bytes = 0
    cdef int status
    if run == NULL:
        return MF_E_ARGUMENT
    status = run_enter(<run_t *> run)
    if status == 0:
        status = run_pack(<const run_t *> run, buf, room, &bytes)
        run_leave(<run_t *> run)
    return bytes if status == 0 else status


cdef int mf_run_restore(mf_run *run, const void *buf, int64_t bytes) noexcept nogil:
    cdef int status = MF_E_ARGUMENT
    if run != NULL:
        status = run_enter(<run_t *> run)
        if status == 0:
            status = run_unpack(<run_t *> run, buf, bytes, False)
            run_leave(<run_t *> run)
    return status


cdef void mf_run_free(mf_run *run) noexcept nogil:
    if run != NULL and mf_take(&(<run_t *> run).owner):      # in use: freeing it would pull the ground from under the other thread
        run_release(<run_t *> run)


cdef int mf_integrate(const mf_method *m, const mf_problem *p, const mf_run_options *options, double t_end, int64_t max_steps,
                      double *const *y) noexcept nogil:
    cdef int status = 0, j
    cdef mf_run *run = mf_run_new(m, p, options, <const double *const *> y, &status)
    cdef run_t *r = <run_t *> run
    if run == NULL:
        return status
    status = mf_run_advance(run, t_end, max_steps) if t_end != r.t else 0
    for j in range(r.sizes.n_vis):
        if y[j] != NULL:
            memcpy(y[j], r.now[j], r.n * sizeof(double))
    mf_run_free(run)
    return MF_E_STEPS if status == 1 else status


cdef int mf_run_set(mf_run *run, double t, const double *const *y) noexcept nogil:
    """Another state at another time; steps go on with their size, and are counted from 0. A Jacobian that is held belongs to the old state:
    the solver looks at it anew."""
    cdef run_t *r = <run_t *> run
    cdef double first
    cdef int status
    if r == NULL or y == NULL or not (t - t == 0.0) or not state_given(r.m, r.n, y):
        return MF_E_ARGUMENT
    status = run_enter(r)
    if status == 0:
        first = r.c.h
        run_restart(r, t, y)
        r.k = r.k_base = r.rho_next = 0
        r.c.h = first                        # the first step to try is the size of the last
        run_leave(r)
    return status


cdef int mf_direct(const mf_method *m, mf_direction *w) noexcept nogil:
    return host_direct(m, w)


cdef int mf_room(const mf_method *m, const double *par, ptrdiff_t n, int bounded, int64_t *kept, int64_t *work) noexcept nogil:
    return host_room(m, par, n, bounded, kept, work)


cdef mf_descent *mf_descent_new(const mf_method *m, const mf_problem *p, const mf_descent_options *options, const double *x0,
                                int *err) noexcept nogil:
    cdef int status = MF_E_ARGUMENT if p == NULL or p.size < offset_of_jac() else 0
    cdef host_descent_t *made = host_new(m, p, options, x0, &status) if status == 0 else NULL
    if err != NULL:
        err[0] = status
    return <mf_descent *> made


cdef int mf_descent_advance(mf_descent *descent, int64_t max_iter, double gtol) noexcept nogil:
    cdef int status = host_advance(<host_descent_t *> descent, max_iter, gtol)
    return 1 if status == LIMIT_REACHED else ending(status)


cdef const double *mf_descent_x(const mf_descent *descent, double *value, double *gmax, int64_t *nit, int64_t *nfev) noexcept nogil:
    return host_x(<host_descent_t *> descent, value, gmax, nit, nfev)


cdef int64_t mf_descent_save(const mf_descent *descent, void *buf, int64_t room) noexcept nogil:
    return host_save(<host_descent_t *> descent, buf, room)


cdef int mf_descent_restore(mf_descent *descent, const void *buf, int64_t bytes) noexcept nogil:
    return host_restore(<host_descent_t *> descent, buf, bytes)


cdef void mf_descent_free(mf_descent *descent) noexcept nogil:
    host_free(<host_descent_t *> descent)


cdef const char *mf_version_text() noexcept nogil:
    return VERSION


cdef const char *mf_isa() noexcept nogil:
    return ISA


cdef bytes _version = _levels.VERSION.encode(), _level = LEVEL.encode()     # kept: the table hands out their addresses
cdef const char *VERSION = _version
cdef const char *ISA = _level

cdef mf_api TABLE = mf_new_api()
TABLE.find, TABLE.row, TABLE.error_text = mf_find, mf_row, mf_error_text
TABLE.defaults, TABLE.sizes = mf_defaults, mf_get_sizes
TABLE.step, TABLE.begin, TABLE.update, TABLE.interpolate = mf_step, mf_begin, mf_update, mf_interpolate
TABLE.run_new, TABLE.run_advance, TABLE.run_y = mf_run_new, mf_run_advance, mf_run_y
TABLE.run_save, TABLE.run_restore, TABLE.run_free = mf_run_save, mf_run_restore, mf_run_free
TABLE.ask, TABLE.start, TABLE.sweep, TABLE.loss = mf_ask, mf_start, mf_do_sweep, mf_find_loss
TABLE.direct, TABLE.room = mf_direct, mf_room
TABLE.descent_new, TABLE.descent_advance, TABLE.descent_x = mf_descent_new, mf_descent_advance, mf_descent_x
TABLE.descent_save, TABLE.descent_restore, TABLE.descent_free = mf_descent_save, mf_descent_restore, mf_descent_free
TABLE.integrate, TABLE.run_set, TABLE.version_text, TABLE.isa = mf_integrate, mf_run_set, mf_version_text, mf_isa

_C_API = PyCapsule_New(&TABLE, b"mflow_core.api._C_API", NULL)
