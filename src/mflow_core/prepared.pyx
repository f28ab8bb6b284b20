"""Prepared solvers: a run that is made once and started again and again, from Python or, by the struct of ivp.h, from any compiled code.

A call puts the run where a new one would stand (`run_set`, which forgets all that belongs to the steps before; counts and the controller
begin anew), so that its end has the bits of `mflow.solve_ivp`. The right-hand side gets the address of `args` as its user data.
"""
from libc.math cimport INFINITY, NAN, ceil, copysign, fabs, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

cimport numpy as cnp
from cpython.exc cimport PyErr_CheckSignals

from mflow_core.arithmetic.starts cimport numbers
from mflow_core.owner cimport mf_give, mf_take
from mflow_core.problems.problem cimport Problem
from mflow_core.registry cimport REDUCE, MethodRecord, mf_error_text
from mflow_core.stepping.loops cimport run_many
from mflow_core.stepping.run cimport RUN_CONTROL, RUN_LEAPS, run_make, run_release, run_set, run_t, run_tolerances
from mflow_core.stepping.starts cimport run_begin
from mflow_core.stepping.watch.past cimport past_init, past_starts, past_t
from mflow_core.types cimport (MF_E_ARGUMENT, MF_E_BUSY, MF_E_MEMORY, MF_E_NON_FINITE, MF_E_STEP, MF_E_STEPS, MF_IMPLICIT, MF_NEEDS_RHO,
                               MF_RETRY_NON_FINITE, MF_SECOND_ORDER)

import numpy as np

cnp.import_array()

cdef double MOST = 9007199254740992.0      # fixed steps of a call: 2^53


# ---- a call, without Python ---------------------------------------------------------------------------------------------------------------

cdef int begin(prepared_t *p, double t0, double t_end, const double *y0, const double *args) noexcept nogil:
    """The run at the start of a call, which owns it from here on unless the status is MF_E_BUSY."""
    cdef run_t *r = p.run
    cdef const double *start[8]
    cdef double sign = 1.0 if t_end >= t0 else -1.0
    cdef int j
    if not mf_take(&r.owner):
        return MF_E_BUSY
    p.face.t, p.face.nfev, p.face.nsteps, p.face.nrejected = t0, 0, 0, 0
    r.f.n_rhs = r.f.n_solve = 0
    r.k = 0
    if not fabs(t_end - t0) < INFINITY or (p.face.n > 0 and y0 == NULL) or (p.face.n_args > 0 and args == NULL):
        return MF_E_ARGUMENT
    for j in range(8):
        start[j] = NULL
    start[0] = y0
    run_set(r, t0, NAN if p.rtol != NULL else copysign(p.dt, sign), start)
    if not REDUCE.all_finite(y0, r.n):
        return MF_E_NON_FINITE
    if p.looks != NULL:
        past_starts(&p.past, r.n, 0)
    if p.face.n_args > 0:
        r.inner.ctx = r.p.ctx = r.ode.ctx = <void *> args
    if p.rtol != NULL:
        run_tolerances(r, p.rtol, p.atol, p.n_tolerances)
        r.c.max_step, r.c.min_step = p.max_step, p.min_step
        if p.first_step > fabs(t_end - t0) > 0.0:
            return MF_E_ARGUMENT
        return 0 if t0 == t_end else run_begin(r, t_end, sign * p.first_step if p.first_step > 0.0 else 0.0)
    if t0 == t_end:
        p.steps = 0
        return 0
    if t0 + r.dt == t0 or fabs(t_end - t0) / p.dt > MOST:
        return MF_E_STEP
    p.steps = <int64_t> max(1.0, ceil((t_end - t0) / r.dt * (1.0 - 1e-12)))
    return 0


cdef int go(prepared_t *p, double t_end, int64_t *piece) noexcept nogil:
    """Steps, to t_end where piece is NULL; else 0 may mean that signals should be looked at."""
    cdef run_t *r = p.run
    cdef int64_t count = p.max_steps - r.k
    if count <= 0:
        return MF_E_STEPS
    if p.rtol != NULL:
        return run_many(r, count, t_end, NULL, True, NULL, NULL, piece)
    count = min(count, p.steps - r.k)
    return run_many(r, count, t_end if r.k + count == p.steps else NAN, NULL, False, NULL, NULL, piece)


cdef int end(prepared_t *p, int status, double *y) noexcept nogil:
    """The end of a call: its state, counts and status. Where no smaller step is left, a code that asks for one is an error."""
    cdef run_t *r = p.run
    if y != NULL:
        memcpy(y, r.now[0], r.n * sizeof(double))
    p.face.t, p.face.nfev, p.face.nsteps, p.face.nrejected = r.t, r.f.n_rhs, r.k, r.c.rejected
    mf_give(&r.owner)
    if status == MF_RETRY_NON_FINITE:
        return MF_E_NON_FINITE
    return MF_E_STEP if status > 0 else status


cdef int solve(mf_ivp *face, double t0, double t_end, const double *y0, const double *args, double *y) noexcept nogil:
    cdef prepared_t *p = <prepared_t *> face
    cdef int status
    if face == NULL or (face.n > 0 and y == NULL):
        return MF_E_ARGUMENT
    status = begin(p, t0, t_end, y0, args)
    if status == MF_E_BUSY:
        return status
    if status == MF_E_ARGUMENT:
        return end(p, status, NULL)
    while status == 0 and p.run.t != t_end:
        status = go(p, t_end, NULL)
    return end(p, status, y)


# ---- what Python sees ---------------------------------------------------------------------------------------------------------------------

def error_text(int code):
    """What a code of this library means."""
    return mf_error_text(code).decode()


cdef class Prepared:
    """A method on a compiled right-hand side of n numbers, ready to be called; `mflow.compile_solver` makes it.

    rtol, atol: float64 arrays of one number each, or of n; None: steps of dt. first_step 0: chosen from the slopes. edge: the h |lambda|
    between two slopes beyond which a call from Python is looked back at (`seen`, `look`); 0: none is.
    """

    def __cinit__(self, MethodRecord record, Problem problem, dict parameters, Py_ssize_t n_args=0, double dt=0.0, cnp.ndarray rtol=None,
                  cnp.ndarray atol=None, double first_step=0.0, double max_step=INFINITY, double min_step=0.0,
                  int64_t max_steps=<int64_t> 1 << 62, double edge=0.0, **more):
        cdef const double *start[8]
        cdef double *par
        cdef int j, status = 0
        memset(&self.p, 0, sizeof(prepared_t))
        if not problem.compiled or problem.c.rhs == NULL:
            raise TypeError("fun: expected a compiled right-hand side, got a Python function or a cost")
        if record.m.step == NULL or record.m.flags & (MF_IMPLICIT | MF_SECOND_ORDER | MF_NEEDS_RHO):
            raise ValueError(f"method: expected an explicit one of y' = f(t, y), got {record.name}")
        self.record, self.problem, self.rtol, self.atol = record, problem, rtol, atol
        for j in range(8):
            start[j] = NULL
        room = np.zeros(problem.c.n)
        start[0] = <double *> cnp.PyArray_DATA(<cnp.ndarray> room)
        par = record.parameters(parameters)
        vectors = rtol is not None and rtol.size > 1
        self.p.run = run_make(record.m, &problem.c, par, 0.0, NAN, start,
                              (RUN_CONTROL if vectors else 0) | (RUN_LEAPS if rtol is not None else 0), &status)
        free(par)
        if self.p.run == NULL:
            raise MemoryError(f"no memory for {record.name} with {problem.c.n} components") if status == MF_E_MEMORY else ValueError(
                f"problem: {record.name} cannot run on it (code {status})")
        self.p.face.size, self.p.face.solve, self.p.face.n, self.p.face.n_args = sizeof(mf_ivp), solve, problem.c.n, n_args
        self.p.face.t = NAN
        self.p.dt, self.p.first_step, self.p.max_step, self.p.min_step, self.p.max_steps = dt, first_step, max_step, min_step, max_steps
        self.p.piece = 1
        if rtol is not None:
            if self.p.run.err == NULL or rtol.size != atol.size or rtol.size not in (1, problem.c.n):
                raise ValueError(f"rtol, atol: expected 1 or {problem.c.n} numbers each, and a method with an error estimate")
            self.p.rtol, self.p.atol = <const double *> cnp.PyArray_DATA(rtol), <const double *> cnp.PyArray_DATA(atol)
            self.p.n_tolerances = rtol.size
        elif edge > 0.0:
            self.p.looks = <double *> calloc(4 * problem.c.n + 1, sizeof(double))
            if self.p.looks == NULL:
                raise MemoryError(f"no memory for looks at {problem.c.n} components")
            past_init(&self.p.past, record.m, record.stages, problem.c.n, self.p.looks, True)
            self.p.past.edge, self.p.past.most = edge, <int64_t> 1 << 62
            self.p.run.past = &self.p.past

    def __dealloc__(self):
        run_release(self.p.run)
        free(self.p.looks)

    cdef int advance(self, double t_end) except? -1:
        """Steps to t_end, between which signals are looked at."""
        cdef int status = 0
        while status == 0 and self.p.run.t != t_end:
            with nogil:
                status = go(&self.p, t_end, &self.p.piece)
            if self.p.run.t != t_end:
                PyErr_CheckSignals()
        return status

    def __call__(self, t_span, y0, args=()):
        """y at the end of t_span from y0 at its start: a new array of n numbers.

        t_span: (t0, t_end). y0: n numbers. args: n_args numbers for fun. The last call's `nfev`, `nsteps`, `nrejected` and `t` are
        attributes. Raises FloatingPointError where a state or slope is not finite, RuntimeError where the run ends before t_end for another
        reason; both say where, and have what was reached as `partial_result`, (t, y).
        """
        cdef cnp.ndarray start = numbers(y0, self.p.face.n, "y0")
        cdef cnp.ndarray more = None if type(args) is tuple and not args and self.p.face.n_args == 0 else numbers(args, self.p.face.n_args, "args")
        cdef cnp.ndarray out
        cdef cnp.npy_intp n = self.p.face.n
        cdef double t0, t_end
        cdef int status
        try:
            first, last = t_span
            t0, t_end = first, last
        except (TypeError, ValueError):
            raise ValueError(f"t_span: expected two numbers (t0, t_end), got {t_span!r}") from None
        if not fabs(t_end - t0) < INFINITY:
            raise ValueError(f"t_span: expected finite times, got ({t0!r}, {t_end!r})")
        out = cnp.PyArray_SimpleNew(1, &n, cnp.NPY_DOUBLE)
        status = begin(&self.p, t0, t_end, <const double *> cnp.PyArray_DATA(start), NULL if more is None else <const double *> cnp.PyArray_DATA(more))
        if status == MF_E_BUSY:
            raise RuntimeError("this solver is in use, in another thread or by its own fun (or was in another thread when this process was "
                               "forked): give each its own, copy.copy(solver)")
        try:
            if status == 0:
                status = self.advance(t_end)
        finally:
            status = end(&self.p, status, <double *> cnp.PyArray_DATA(out))
        if status != 0:
            self.refuse(status, t_end, out)
        if self.p.looks != NULL and self.p.past.count:
            self.look(start, more)
        return out

    def look(self, start, args):
        """Steps of the call from this start, with these args, were beyond the edge."""

    @property
    def seen(self):
        """(t, y, h) of the steepest of them, h |lambda| between its slopes, and (t, y) some steps behind it, or where the call has ended."""
        cdef const past_t *past = &self.p.past
        cdef bint kept = past.snaps == 2
        y, after = np.empty(self.p.face.n), np.empty(self.p.face.n)
        memcpy(cnp.PyArray_DATA(<cnp.ndarray> y), past.start, self.p.face.n * sizeof(double))
        memcpy(cnp.PyArray_DATA(<cnp.ndarray> after), past.after if kept else self.p.run.now[0], self.p.face.n * sizeof(double))
        return past.t_from, y, past.h_from, sqrt(past.steepest), past.t_after if kept else self.p.face.t, after

    def slope(self, double t, y, args):
        """fun(t, y, args): an array of n numbers, NaNs where it gives up. args: n_args numbers, or None."""
        cdef cnp.ndarray at = numbers(y, self.p.face.n, "y")
        cdef cnp.ndarray more = None if args is None else numbers(args, self.p.face.n_args, "args")
        cdef run_t *r = self.p.run
        out = np.empty(self.p.face.n)
        if r.ode.rhs(t, <const double *> cnp.PyArray_DATA(at), <double *> cnp.PyArray_DATA(<cnp.ndarray> out), r.n,
                     r.ode.ctx if more is None else cnp.PyArray_DATA(more)) != 0:
            out.fill(np.nan)
        return out

    def refuse(self, int status, double t_end, out):
        """Raises the error of a call that ended before its end."""
        raise RuntimeError(f"code {status} at t = {self.p.face.t:g}, before {t_end:g}")

    @property
    def handle(self):
        """The address of the struct of ivp.h, good while this object lives."""
        return <size_t> &self.p.face

    @property
    def address(self):
        """The address of its function, ``int (mf_ivp *, double t0, double t_end, const double *y0, const double *args, double *y)``."""
        return <size_t> self.p.face.solve

    @property
    def n(self):
        """Numbers of a state."""
        return self.p.face.n

    @property
    def n_args(self):
        """Numbers of args."""
        return self.p.face.n_args

    @property
    def t(self):
        """The time that the last call has reached."""
        return self.p.face.t

    @property
    def nfev(self):
        """Evaluations of fun in the last call."""
        return self.p.face.nfev

    @property
    def nsteps(self):
        """Steps of the last call."""
        return self.p.face.nsteps

    @property
    def nrejected(self):
        """Rejected steps of the last call."""
        return self.p.face.nrejected
