"""`Run`: a run of a method on a problem, for Python.

A run is one struct, `run_t`, that C functions work on: run.pyx makes it and takes a step, loops.pyx and descent.pyx go on, checkpoint.pyx
saves it. `LastStep` (last_step.pyx) looks into the step just taken, `Energies` (energies.pyx) at the ledger of a second-order run.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport INFINITY, NAN
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

cimport numpy as cnp

from mflow_core.arithmetic.starts cimport empty, nans
from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.methods.second_order.records cimport IN_PLACE
from mflow_core.methods.tableau cimport MOST_STAGES as _MOST_STAGES, TOO_MANY_STAGES
from mflow_core.problems.problem cimport Problem, raise_or as raise_error_or
from mflow_core.pool cimport set_width, width
from mflow_core.registry cimport MethodRecord
from mflow_core.solvers.solver cimport Solver
from mflow_core.stepping.checkpoint cimport run_pack, run_unpack
from mflow_core.stepping.descent cimport ALARM as _ALARM, CONVERGED as _CONVERGED, OVERFLOWED as _OVERFLOWED, run_descend
from mflow_core.stepping.loops cimport run_many, run_trial
from mflow_core.stepping.motion cimport motion_start
from mflow_core.stepping.output cimport RECORD_ACT as _ACTED, RECORD_EVENT as _EVENT, RECORD_FULL as _FULL, record_t
from mflow_core.stepping.rows cimport Rows
from mflow_core.stepping.run cimport (POLE_DUE as _POLE_DUE, RHO_DUE as _RHO_DUE, WALL_DUE as _WALL_DUE, RUN_CONTROL, RUN_DENSE, RUN_DESCEND, RUN_LEAPS, RUN_SOLVE, evaluations, note_rho, rho_held, run_choose_tests, run_enter, run_guard,
                             run_leave, run_make, run_release, run_restart, run_solve_with, run_tolerances, run_tolerances_of_v, LEAPS_ASKED)
from mflow_core.stepping.starts cimport run_begin, run_jump
from mflow_core.types cimport (MF_E_ARGUMENT, MF_EMBEDDED, MF_E_BUSY, MF_E_CALLBACK, MF_E_MEMORY, MF_E_NON_FINITE, MF_E_SOLVE, MF_E_STEP,
                               MF_IMPLICIT, MF_RETRY_NON_FINITE, MF_RETRY_SOLVE, MF_SECOND_ORDER)

import zlib
import numpy as np
cnp.import_array()

NON_FINITE, CONVERGED, ALARM, OVERFLOWED = MF_E_NON_FINITE, _CONVERGED, _ALARM, _OVERFLOWED
ACTED, FULL, EVENT, RHO_DUE, WALL_DUE, POLE_DUE = _ACTED, _FULL, _EVENT, _RHO_DUE, _WALL_DUE, _POLE_DUE
MANY_STAGES, MOST_STAGES = TOO_MANY_STAGES, _MOST_STAGES
STEP_TOO_SMALL, SOLVE_FAILED, RETRY_SOLVE, RETRY_NON_FINITE = MF_E_STEP, MF_E_SOLVE, MF_RETRY_SOLVE, MF_RETRY_NON_FINITE


cdef int raise_or(int status) except? -1:
    """As that of problems, and an error of its own for a run that is entered twice."""
    if raise_error_or(status) == MF_E_BUSY:
        raise RuntimeError("this run is already stepping, in another thread or from its own callback (or was in another thread when this "
                           "process was forked): give each its own, and read its state between two steps")
    return status


cdef class Run:
    """A method on a problem from a start, stepped in place. The drivers and `mflow.Stepper` are made of it.

    y0 is a float64 C-contiguous array (its shape is the state's), `parameters` those of the method by name. In second order y0 is x, and v0
    its velocity; the accelerations are made at the first step, or by `prepare`.
    """

    def __cinit__(self, MethodRecord record, Problem problem, cnp.ndarray y0, double t0=0.0, double dt=NAN, dict parameters=None,
                  bint dense=False, bint descend=False, bint control=False, Solver solver=None, cnp.ndarray v0=None):
        cdef double *par
        cdef int status = 0
        cdef const double *start[8]
        if cnp.PyArray_TYPE(y0) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(y0):
            raise TypeError(f"y0: expected a C-contiguous float64 array, got dtype {(<object> y0).dtype} and strides {(<object> y0).strides}")
        if cnp.PyArray_SIZE(y0) != problem.c.n:
            raise ValueError(f"y0: expected {problem.c.n} components, as the problem has, got {cnp.PyArray_SIZE(y0)}")
        self.record, self.problem, self.shape = record, problem, (<object> y0).shape
        par = record.parameters(parameters or {})
        memset(start, 0, sizeof(start))
        start[0] = <double *> cnp.PyArray_DATA(y0)
        if record.m.flags & MF_SECOND_ORDER:
            if v0 is None or cnp.PyArray_TYPE(v0) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(v0) or cnp.PyArray_SIZE(v0) != problem.c.n:
                raise TypeError(f"v0: expected a C-contiguous float64 array of {problem.c.n} numbers for {record.name}")
            start[1] = <double *> cnp.PyArray_DATA(v0)
        self.r = run_make(record.m, &problem.c, par, t0, dt, start, (RUN_DENSE if dense else 0)
                          | (RUN_DESCEND if descend else 0) | (RUN_LEAPS if dt != dt and not descend else 0) | (RUN_CONTROL if control else 0) | (RUN_SOLVE if solver is not None else 0),
                          &status)
        free(par)
        if self.r == NULL:
            if status == MF_E_MEMORY:
                raise MemoryError(f"no memory for {record.name} with {problem.c.n} components")
            if status == MF_E_CALLBACK:
                raise TypeError(f"problem: {record.name} needs a callback that this problem does not have")
            raise ValueError(f"problem: {record.name} cannot run on it (code {status})")
        self.solver, self.compiled, self.piece = solver, problem.compiled, 1
        run_guard(self.r, problem.inside)
        if record.m.flags & MF_SECOND_ORDER and (record.m.flags & IN_PLACE or self.r.n == 1):
            self.r.calls = problem.calls     # other kernels copy vectors when they work in place
        self.watched = 2 * self.r.n if record.m.flags & MF_SECOND_ORDER else self.r.n
        if solver is not None:
            if not run_solve_with(self.r, solver.attach(&self.r.ode, problem.jac, problem.jac_ctx)):
                raise MemoryError(f"no memory to solve the equations of {record.name} with {problem.c.n} components")
            solver.held = True
            self.compiled = problem.compiled and problem.jac_callback is None and not solver.python

    def __dealloc__(self):
        run_release(self.r)

    cdef run_t *other(self) noexcept:
        return NULL

    @property
    def t(self):
        return self.r.t

    @property
    def k(self):
        """Steps taken since the start."""
        return self.r.k

    @property
    def y(self):
        """A copy of the state."""
        return self.vector(0)

    @property
    def nfev(self):
        """Evaluations of the right-hand side; for a cost, of the cost, or of its gradient where that is all there is."""
        if self.problem.callback is None or self.problem.c.value_grad == NULL or self.r.good == NULL:
            return evaluations(self.r, True) + self.r.n_value_grad
        return self.problem.callback.nfev if self.problem.has_value else self.problem.callback.njev

    @property
    def nlooks(self):
        """Evaluations, beside `nfev`, of looks at steps over 0."""
        return self.r.leaps[LEAPS_ASKED] if self.r.leaps != NULL else 0

    @property
    def njev(self):
        """Evaluations of a cost's gradient."""
        return self.r.f.n_rhs + self.r.n_value_grad if self.problem.callback is None else self.problem.callback.njev

    @property
    def njac(self):
        """Jacobians that implicit steps were solved with."""
        return self.solver.njev if self.solver is not None else 0

    @property
    def equations(self):
        """The solver of implicit steps; None where there is none."""
        return self.solver

    @property
    def nlu(self):
        """Factorisations."""
        return self.solver.nlu if self.solver is not None else 0

    @property
    def value(self):
        """The cost at the last good point of a descent, at the start where none was good; NaN where it was not asked for."""
        return self.r.good_value if self.r.first_gmax == self.r.first_gmax else self.r.value

    @property
    def largest_slope(self):
        """The largest entry of the gradient: at the first good point, and at the last."""
        return self.r.first_gmax, self.r.good_gmax

    def vector(self, int j):
        """A copy of the j-th carried vector, whole: not while another thread steps."""
        if not 0 <= j < self.r.sizes.n_vec:
            raise IndexError(j)
        raise_or(run_enter(self.r))
        out = copy_of(self.r.now[j], self.r.n, self.shape)
        run_leave(self.r)
        return out

    def write(self, Rows rows not None):
        """A row of where the run stands: its time and state, in second order x, v and a."""
        cdef int j, wide = 3 if self.r.m.flags & MF_SECOND_ORDER else 1
        if rows.y is None or rows.c.rows >= rows.c.room or cnp.PyArray_SIZE(rows.y) != rows.c.room * wide * self.r.n:
            raise ValueError(f"rows: expected room for {wide} x {self.r.n} numbers in row {rows.c.rows}")
        raise_or(run_enter(self.r))
        for j in range(wide):
            memcpy(rows.c.y + (rows.c.rows * wide + j) * self.r.n, self.r.now[j], self.r.n * sizeof(double))
        rows.c.t[rows.c.rows] = self.r.t
        rows.c.rows += 1
        run_leave(self.r)

    @property
    def scalars(self):
        """The numbers that the method carries from step to step, beside its vectors."""
        return [self.r.s_now[j] for j in range(self.r.sizes.n_scal)]

    def place(self, int64_t k, list vectors, list scalars):
        """Puts an optimizer's run where k steps have led: all carried vectors, float64 C-contiguous arrays, and its scalars."""
        cdef cnp.ndarray one
        cdef int j
        if self.r.m.update == NULL or k < 0 or len(vectors) != self.r.sizes.n_vec or len(scalars) != self.r.sizes.n_scal:
            raise ValueError(f"vectors, scalars: expected {self.r.sizes.n_vec} and {self.r.sizes.n_scal} of {self.record.name}, an optimizer")
        raise_or(run_enter(self.r))
        for j in range(self.r.sizes.n_vec):
            one = np.ascontiguousarray(vectors[j], dtype=np.float64).reshape(self.shape)
            memcpy(self.r.now[j], cnp.PyArray_DATA(one), self.r.n * sizeof(double))
        for j in range(self.r.sizes.n_scal):
            self.r.s_now[j] = scalars[j]
        self.r.k = k
        run_leave(self.r)

    @property
    def looked_ahead(self):
        """Whether value and gradient of the last good point were taken ahead of it."""
        return self.r.good_ahead != 0

    def here(self):
        """(point, gradient) of the last good evaluation of a descent; `looked_ahead` says whether the gradient belongs to another point."""
        if self.r.good == NULL:
            raise TypeError(f"{self.record.name}: expected a run made for descent; pass descend=True")
        raise_or(run_enter(self.r))
        both = copy_of(self.r.good, self.r.n, self.shape), copy_of(self.r.good_grad, self.r.n, self.shape)
        run_leave(self.r)
        return both

    def restart(self, double t, cnp.ndarray y=None, cnp.ndarray v=None):
        """Another state at another time, as at a start: float64 C-contiguous arrays of the state's shape, None for what stays. Only counts
        go on, see `run_restart`."""
        cdef const double *state[8]
        self.pointers(y, v, state)
        if not t - t == 0.0:
            raise ValueError(f"t: expected a finite number, got {t!r}")
        raise_or(run_enter(self.r))
        run_restart(self.r, t, state)
        run_leave(self.r)

    def jump(self, double t_end, cnp.ndarray y=None, cnp.ndarray v=None, Rows rows=None):
        """The status of a new start where the run stands, see `run_jump`; rows take the state behind it."""
        cdef const double *state[8]
        self.pointers(y, v, state)
        raise_or(run_enter(self.r))
        try:
            return raise_or(run_jump(self.r, t_end, state, NULL if rows is None else &rows.c))
        finally:
            run_leave(self.r)

    cdef int pointers(self, cnp.ndarray y, cnp.ndarray v, const double **state) except -1:
        """The visible vectors of another state, NULL for what stays."""
        cdef int j
        memset(state, 0, 8 * sizeof(state[0]))
        for j, one in enumerate((y, v)):
            if one is None:
                continue
            if cnp.PyArray_TYPE(one) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(one) or cnp.PyArray_SIZE(one) != self.r.n:
                raise TypeError(f"y, v: expected C-contiguous float64 arrays of {self.r.n} numbers")
            if j == 1 and not self.r.m.flags & MF_SECOND_ORDER:
                raise TypeError(f"v: {self.record.name} is not of second order")
            state[j] = <double *> cnp.PyArray_DATA(one)
        return 0

    def evaluate(self, cnp.ndarray x, bint want_grad=True):
        """(cost, gradient) at a float64 array of the state's size; without want_grad, NaNs in place of the gradient."""
        cdef double value = NAN
        cdef cnp.ndarray grad = nans(self.shape)
        at = np.ascontiguousarray(x, dtype=np.float64)
        if self.r.inner.value_grad == NULL or at.size != self.r.n:
            raise TypeError(f"x: expected a problem with a cost and {self.r.n} numbers, got {at.size}")
        self.r.n_value_grad += 1
        raise_or(self.r.inner.value_grad(<double *> cnp.PyArray_DATA(<cnp.ndarray> at), &value if self.problem.has_value else NULL,
                                         <double *> cnp.PyArray_DATA(grad) if want_grad else NULL, self.r.n, self.r.inner.ctx))
        return value, grad

    def slope(self, double t, y):
        """The right-hand side at a float64 array of the state's size; for a cost, of its gradient flow."""
        out = nans(self.shape)
        at = np.ascontiguousarray(y, dtype=np.float64)
        if self.r.p.rhs == NULL or at.size != self.r.n:
            raise TypeError(f"y: expected a problem with a right-hand side and {self.r.n} numbers, got {at.size}")
        self.r.f.n_rhs += 1
        raise_or(self.r.p.rhs(t, <double *> cnp.PyArray_DATA(<cnp.ndarray> at), <double *> cnp.PyArray_DATA(<cnp.ndarray> out),
                              self.r.n, self.r.p.ctx))
        return out

    def trial(self, double h):
        """The state that one step of h leads to, finite or not; the run stays where it is."""
        cdef int status
        if self.r.m.step == NULL:
            raise TypeError(f"{self.record.name} is an update, not a step")
        raise_or(run_enter(self.r))
        try:
            if self.compiled:
                with nogil:                  # threads that share a step may call Python
                    status = run_trial(self.r, h)
            else:
                status = run_trial(self.r, h)
            raise_or(status)
        finally:
            run_leave(self.r)
        return copy_of(self.r.next[0], self.r.n, self.shape)

    def prepare(self):
        """The acceleration at the start of a second-order run, before its first step; the status."""
        cdef unsigned int mode
        cdef int status
        if not self.r.m.flags & MF_SECOND_ORDER:
            raise TypeError(f"{self.record.name} is not of second order")
        raise_or(run_enter(self.r))
        try:
            mode = mf_fp_enter()
            status = motion_start(self.r)
            mf_fp_leave(mode)
            return raise_or(status)
        finally:
            run_leave(self.r)

    def acceleration(self, double t, cnp.ndarray x, cnp.ndarray v):
        """M^-1 F(t, x, v) of a second-order run; x and v are float64 arrays of the state's size."""
        cdef cnp.ndarray at = np.ascontiguousarray(x, dtype=np.float64), moving = np.ascontiguousarray(v, dtype=np.float64)
        cdef cnp.ndarray out = nans(self.shape)
        if self.r.p.accel == NULL or cnp.PyArray_SIZE(at) != self.r.n or cnp.PyArray_SIZE(moving) != self.r.n:
            raise TypeError(f"x, v: expected a second-order run and {self.r.n} numbers each, got {at.size} and {moving.size}")
        self.r.f.n_rhs += 1
        raise_or(self.r.p.accel(t, <double *> cnp.PyArray_DATA(at), <double *> cnp.PyArray_DATA(moving), <double *> cnp.PyArray_DATA(out),
                                self.r.n, self.r.p.ctx))
        return out

    @property
    def nsolve(self):
        """Calls of solve_accel in second order, of solve else."""
        return self.r.f.n_solve

    def set_dt(self, double dt):
        """The step of the fixed loops from here on: t counts anew from where the run stands."""
        raise_or(run_enter(self.r))
        self.change_dt(dt)
        run_leave(self.r)

    cdef void change_dt(self, double dt) noexcept:
        if dt != self.r.dt:
            self.r.dt, self.r.t_base, self.r.k_base = dt, self.r.t, self.r.k

    def set_parameter(self, str name, double value):
        """Changes one parameter of the method (a schedule's learning rate) from the next step on."""
        cdef double *par = self.record.parameters({name: value})
        cdef int j
        if run_enter(self.r) != 0:
            free(par)
            raise_or(MF_E_BUSY)
        for j in range(self.record.m.n_par):
            if self.record.m.par[j].name.decode() == name:
                self.r.par[j] = par[j]
        run_choose_tests(self.r)
        run_leave(self.r)
        free(par)

    def control(self, cnp.ndarray rtol, cnp.ndarray atol, double max_step=INFINITY, double min_step=0.0, cnp.ndarray rtol_v=None,
                cnp.ndarray atol_v=None):
        """Error control from here on: rtol and atol hold one number each, or one a component (then the run has control=True).
        rtol_v, atol_v: those of v in second order, of the same sizes; None: as of x."""
        cdef ptrdiff_t count = cnp.PyArray_SIZE(rtol)
        if self.r.err == NULL:
            raise TypeError(f"{self.record.name} has no error estimate")
        if count != cnp.PyArray_SIZE(atol) or (count != 1 and (count != self.r.n or self.r.tolerances == NULL)):
            raise ValueError(f"rtol, atol: expected 1 or {self.r.n} numbers each, got {count} and {cnp.PyArray_SIZE(atol)}")
        run_tolerances(self.r, <double *> cnp.PyArray_DATA(rtol), <double *> cnp.PyArray_DATA(atol), count)
        if rtol_v is not None:
            if cnp.PyArray_SIZE(rtol_v) != count or cnp.PyArray_SIZE(atol_v) != count:
                raise ValueError(f"rtol_v, atol_v: expected {count} numbers each as in rtol and atol, got {cnp.PyArray_SIZE(rtol_v)} and "
                                 f"{cnp.PyArray_SIZE(atol_v)}")
            run_tolerances_of_v(self.r, <double *> cnp.PyArray_DATA(rtol_v), <double *> cnp.PyArray_DATA(atol_v), count)
        self.r.c.max_step, self.r.c.min_step = max_step, min_step

    def begin(self, double t_end, double first_step=0.0):
        """Before the first step under error control; 0 or why it cannot begin. first_step has the sign of the span; 0: it is estimated."""
        raise_or(run_enter(self.r))
        try:
            return raise_or(run_begin(self.r, t_end, first_step))
        finally:
            run_leave(self.r)

    @property
    def h(self):
        """The next step that error control would try."""
        return self.r.c.h

    @property
    def tried(self):
        """The step that was tried last."""
        return self.r.f.h

    @property
    def rejected(self):
        """(rejected tries, those among them that had no error estimate)."""
        return self.r.c.rejected, self.r.c.failed

    def look_for_stiffness(self, double limit):
        """From here on, whether error control holds its steps at the stability limit, |lambda| h = limit, is looked at in passing. Without
        effect on the steps, and without one at all for methods but explicit pairs."""
        if self.r.m.flags & MF_EMBEDDED and self.r.m.tab != NULL and not self.r.m.flags & (MF_IMPLICIT | MF_SECOND_ORDER):
            self.r.c.edge = 0.8 * limit

    @property
    def stiffness(self):
        """(whether steps were held at the stability limit, |lambda| at the last such step, its h, how many), of what was looked at."""
        return self.r.c.stiff != 0, self.r.c.stiff_lambda, self.r.c.stiff_h, self.r.c.n_held

    @property
    def grid(self):
        """(dt, k, t) of fixed steps: their size, and the step and the time that they are counted from."""
        return self.r.dt, self.r.k_base, self.r.t_base

    @property
    def max_step(self):
        return self.r.c.max_step

    def set_first_step(self, double size):
        """Of new starts under error control; 0: estimated."""
        self.r.first_step = size

    @max_step.setter
    def max_step(self, double value):
        self.r.c.max_step = value

    @property
    def rho(self):
        """The spectral radius that the method works with, and the step at which it was estimated (-1: never)."""
        return self.r.f.rho, self.r.rho_k

    @rho.setter
    def rho(self, double value):
        note_rho(self.r, value)

    def hold_rho(self, double value):
        """The spectral radius is known, and stays: it is never due again."""
        self.r.f.rho, self.r.rho_k, self.r.rho_next = value, self.r.k, rho_held()

    def fixed(self, int64_t count, double t_last=NAN, Rows rows=None, double dt=NAN, bint paced=False):
        """The status of `count` fixed steps, written into `rows`. dt: the step from here on; NaN: as before. paced: it may return with steps
        left, so that signals are looked at."""
        if self.r.m.step == NULL:
            raise TypeError(f"{self.record.name} is an update, not a step")
        return self.go(count, t_last, rows, dt, False, paced, NULL, NULL)

    def given(self, cnp.ndarray h, cnp.ndarray ends, double t_end, Rows rows=None, bint paced=False):
        """The status of steps of sizes h to the times `ends`, two float64 arrays of one length; t_end is that of the whole run."""
        cdef ptrdiff_t count = cnp.PyArray_SIZE(h)
        if self.r.m.step == NULL:
            raise TypeError(f"{self.record.name} is an update, not a step")
        for one in (h, ends):
            if cnp.PyArray_TYPE(one) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(one) or cnp.PyArray_SIZE(one) != count:
                raise TypeError(f"h, ends: expected C-contiguous float64 arrays of {count} numbers")
        return self.go(count, t_end, rows, NAN, False, paced, <double *> cnp.PyArray_DATA(h), <double *> cnp.PyArray_DATA(ends))

    def adaptive(self, int64_t count, double t_end, Rows rows=None, bint paced=False):
        """The status of up to `count` accepted steps under error control, until t_end."""
        if self.r.err == NULL or self.r.c.q == 0.0:
            raise TypeError(f"{self.record.name}: expected a run under error control; call control and begin first")
        return self.go(count, t_end, rows, NAN, True, paced, NULL, NULL)

    cdef int go(self, int64_t count, double t_last, Rows rows, double dt, bint adaptive, bint paced, const double *h,
                const double *ends) except? -1:
        cdef int status, before = 0
        cdef record_t *output = NULL
        cdef bint alone = self.compiled      # no Python inside
        if rows is not None:
            output = &rows.c
            if rows.events is not None and rows.events.c.n != self.watched:
                raise TypeError(f"events: expected events of {self.watched} numbers, as this run shows them, got {rows.events.c.n}")
            if (rows.needs_dense or rows.events is not None) and self.r.y_between == NULL:
                raise TypeError(f"{self.record.name}: expected a run made for output between its steps; pass dense=True")
            alone = alone and (rows.events is None or rows.events.compiled)
        raise_or(run_enter(self.r))
        try:
            before = set_width(width() if alone else 1)      # no other thread could call Python while its lock is held here
            if dt == dt:
                self.change_dt(dt)
            if alone:
                with nogil:
                    status = run_many(self.r, count, t_last, output, adaptive, h, ends, &self.piece if paced else NULL)
            else:
                status = run_many(self.r, count, t_last, output, adaptive, h, ends, &self.piece if paced else NULL)
            return raise_or(status)
        finally:
            set_width(before)
            run_leave(self.r)

    @property
    def degree(self):
        """Degree of the continuous extension in this run."""
        return self.r.n_D

    def step(self, double dt):
        """One step of dt; the status."""
        return self.fixed(1, dt=dt)

    def set_bounds(self, cnp.ndarray lower not None, cnp.ndarray upper not None):
        """The descent of an optimizer is projected onto lower <= x <= upper, float64 arrays of x's shape. Once, before it begins."""
        for array in (lower, upper):
            if array.dtype != np.float64 or not array.flags.c_contiguous or array.size != self.r.n:
                raise TypeError(f"bounds: expected C-contiguous float64 arrays of {self.r.n} numbers")
        if self.record.m.update == NULL or self.bounds is not None or self.r.k != 0:
            raise ValueError(f"bounds: expected an optimizer that has not begun, got {self.record.name}")
        self.bounds, self.r.lower, self.r.upper = (lower, upper), <const double *> cnp.PyArray_DATA(lower), <const double *> cnp.PyArray_DATA(upper)

    def descend(self, int64_t count, double gtol, bint want_value, double alarm=INFINITY, bint brake=False):
        """The status of up to `count` iterations: CONVERGED, 0 not yet, or why it could not go on."""
        cdef int status
        if self.r.good == NULL or self.r.inner.value_grad == NULL:
            raise TypeError(f"{self.record.name}: expected a run made for descent; pass descend=True")
        raise_or(run_enter(self.r))
        try:
            if self.compiled:
                with nogil:
                    status = run_descend(self.r, count, gtol, want_value, alarm, brake)
            else:
                status = run_descend(self.r, count, gtol, want_value, alarm, brake)
            return raise_or(status)
        finally:
            run_leave(self.r)

    def pack(self):
        """The state as bytes: what `unpack` needs to go on with the same bits."""
        cdef int64_t bytes = 0
        raise_or(run_enter(self.r))
        try:
            run_pack(self.r, NULL, 0, &bytes)
            out = PyBytes_FromStringAndSize(NULL, bytes)
            if run_pack(self.r, PyBytes_AS_STRING(out), bytes, &bytes) != 0:
                raise MemoryError(f"no memory to save a run of {self.r.n} components")
            return out + self.problem_state()
        finally:
            run_leave(self.r)

    cdef bytes problem_state(self):
        """What the problem keeps that decides later bits, with a checksum; nothing where there is none."""
        cdef cnp.ndarray state = np.empty(self.problem.state_size())
        if state.size == 0:
            return b""
        self.problem.state_pack(<double *> cnp.PyArray_DATA(state))
        data = state.astype("<f8").tobytes()
        return data + zlib.crc32(data).to_bytes(4, "little")

    def unpack(self, bytes data, bint counts=True):
        """Puts the run where `pack` was called. Raises ValueError, and changes nothing, if the bytes are damaged or foreign. Without counts
        the evaluations go on as they are: those since then were made."""
        cdef int64_t n_rhs = self.r.f.n_rhs, n_solve = self.r.f.n_solve
        cdef Py_ssize_t extra = 8 * self.problem.state_size(), core
        cdef cnp.ndarray state
        cdef int status = MF_E_ARGUMENT
        raise_or(run_enter(self.r))
        try:
            core = len(data) - (extra + 4 if extra else 0)
            if extra == 0 or zlib.crc32(data[core:core + extra]) == int.from_bytes(data[core + extra:], "little"):
                status = run_unpack(self.r, PyBytes_AS_STRING(data), core, True)
            if status >= 0 and not counts:
                self.r.f.n_rhs, self.r.f.n_solve = n_rhs, n_solve
            if status >= 0 and extra:
                state = np.frombuffer(data[core:core + extra], dtype="<f8").astype(np.float64)
                self.problem.state_unpack(<double *> cnp.PyArray_DATA(state))
        finally:
            run_leave(self.r)
        if status < 0:
            raise ValueError(f"data: expected the saved state of {self.record.name} with {self.r.n} components, got bytes that are damaged or of another run")


cdef copy_of(const double *x, ptrdiff_t n, tuple shape):
    cdef cnp.ndarray out = empty(shape)
    memcpy(<double *> cnp.PyArray_DATA(out), x, n * sizeof(double))
    return out
