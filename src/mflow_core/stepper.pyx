"""`Run`: a run with its row and problem, for Python. The loops are in run.pyx, saving in checkpoint.pyx."""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport NAN
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

cimport numpy as cnp

from mflow_core.checkpoint cimport run_pack, run_unpack
from mflow_core.problem cimport Problem
from mflow_core.registry cimport Row
from mflow_core.run cimport (CONVERGED as _CONVERGED, RUN_DENSE, RUN_DESCEND, record_t, run_descend, run_enter, run_fixed, run_leave,
                             run_make, run_release,
                             try_step)
from mflow_core.types cimport MF_E_BUSY, MF_E_CALLBACK, MF_E_MEMORY, MF_E_NON_FINITE
from mflow_core.vec cimport mf_fp_enter, mf_fp_leave

import numpy as np

cnp.import_array()

cdef extern from "Python.h":
    void *PyErr_Occurred()


NON_FINITE, CONVERGED = MF_E_NON_FINITE, _CONVERGED


# ---- the run as Python sees it ----------------------------------------------------------------------------------------------------

cdef int raise_or(int status) except? -1:
    """The status, unless a callback's exception is waiting."""
    if status < 0 and PyErr_Occurred() != NULL:
        return -1
    if status == MF_E_BUSY:
        raise RuntimeError("this run is already stepping, in another thread or from its own callback: give each its own")
    return status


cdef class Run:
    """A row on a problem from a start, stepped in place. The drivers and `mflow.Stepper` are made of it.

    y0 is a float64 C-contiguous array (its shape is the state's), `parameters` the row's own by name.
    """

    def __cinit__(self, Row row, Problem problem, cnp.ndarray y0, double t0=0.0, double dt=NAN, dict parameters=None,
                  bint dense=False, bint descend=False):
        cdef double *par
        cdef int status = 0
        cdef const double *start[8]
        cdef int j
        if cnp.PyArray_TYPE(y0) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(y0):
            raise TypeError("y0: a C-contiguous float64 array is wanted")
        if cnp.PyArray_SIZE(y0) != problem.c.n:
            raise ValueError(f"y0 has {cnp.PyArray_SIZE(y0)} components, the problem {problem.c.n}")
        self.row, self.problem, self.shape, self.keep = row, problem, (<object> y0).shape, 0
        par = row.parameters(parameters or {})
        for j in range(8):
            start[j] = <double *> cnp.PyArray_DATA(y0)
        self.r = run_make(row.m, &problem.c, par, t0, dt, start, (RUN_DENSE if dense else 0) | (RUN_DESCEND if descend else 0), &status)
        free(par)
        if self.r == NULL:
            if status == MF_E_MEMORY:
                raise MemoryError(f"no memory for {row.name} with {problem.c.n} components")
            if status == MF_E_CALLBACK:
                raise TypeError(f"{row.name} needs another callback than this problem gives")
            raise ValueError(f"{row.name} cannot be run on this problem (code {status})")

    def __dealloc__(self):
        run_release(self.r)

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
        if self.problem.callback is None or self.problem.c.value_grad == NULL:
            return self.r.f.n_rhs + self.r.n_value_grad
        return self.problem.callback.nfev if self.problem.has_value else self.problem.callback.njev

    @property
    def njev(self):
        """Evaluations of a cost's gradient."""
        if self.problem.callback is None:
            return self.r.f.n_rhs + self.r.n_value_grad
        return self.problem.callback.njev

    @property
    def value(self):
        """The cost at the last good point of a descent; NaN where it was not asked for."""
        return self.r.good_value

    @property
    def largest_slope(self):
        """The largest entry of the gradient: at the first good point, and at the last."""
        return self.r.first_gmax, self.r.good_gmax

    def vector(self, int j):
        """A copy of the j-th carried vector."""
        if not 0 <= j < self.r.sizes.n_vec:
            raise IndexError(j)
        return copy_of(self.r.now[j], self.r.n, self.shape)

    def here(self):
        """(point, gradient) of the last good evaluation of a descent."""
        if self.r.good == NULL:
            raise TypeError(f"{self.row.name}: this run was not made for descent (descend=True)")
        return copy_of(self.r.good, self.r.n, self.shape), copy_of(self.r.good_grad, self.r.n, self.shape)

    def evaluate(self, cnp.ndarray x, bint want_grad=True):
        """(cost, gradient) at a float64 array of the state's size; NaNs in place of a gradient that is not wanted."""
        cdef double value = NAN
        grad = np.full(self.shape, np.nan)
        cdef double *out = <double *> cnp.PyArray_DATA(<cnp.ndarray> grad)
        at = np.ascontiguousarray(x, dtype=np.float64)
        if self.r.inner.value_grad == NULL or at.size != self.r.n:
            raise TypeError(f"evaluate: a cost is wanted, and {self.r.n} numbers; {at.size} came")
        self.r.n_value_grad += 1
        raise_or(self.r.inner.value_grad(<double *> cnp.PyArray_DATA(<cnp.ndarray> at), &value if self.problem.has_value else NULL,
                                         out if want_grad else NULL, self.r.n, self.r.inner.ctx))
        return value, grad

    def slope(self, double t, cnp.ndarray y):
        """The right-hand side at a float64 array of the state's size; for a cost, of its gradient flow."""
        out = np.full(self.shape, np.nan)
        at = np.ascontiguousarray(y, dtype=np.float64)
        if self.r.p.rhs == NULL or at.size != self.r.n:
            raise TypeError(f"slope: a right-hand side is wanted, and {self.r.n} numbers; {at.size} came")
        self.r.f.n_rhs += 1
        raise_or(self.r.p.rhs(t, <double *> cnp.PyArray_DATA(<cnp.ndarray> at), <double *> cnp.PyArray_DATA(<cnp.ndarray> out),
                              self.r.n, self.r.p.ctx))
        return out

    def trial(self, double h):
        """The state that one step of h leads to, finite or not; the run stays where it is."""
        cdef int status
        cdef unsigned int mode
        if self.r.m.step == NULL:
            raise TypeError(f"{self.row.name} is an update, not a step")
        raise_or(run_enter(self.r))
        try:
            mode = mf_fp_enter()
            status = try_step(self.r, h)
            mf_fp_leave(mode)
            raise_or(status)
        finally:
            run_leave(self.r)
        return copy_of(self.r.next[0], self.r.n, self.shape)

    def set_dt(self, double dt):
        """The step of the fixed loops from here on: t counts anew from where the run stands."""
        raise_or(run_enter(self.r))
        self.change_dt(dt)
        run_leave(self.r)

    cdef void change_dt(self, double dt) noexcept:
        if dt != self.r.dt:
            self.r.dt, self.r.t_base, self.r.k_base = dt, self.r.t, self.r.k

    def set_parameter(self, str name, double value):
        """Changes one parameter of the row (a schedule's learning rate) from the next step on."""
        cdef double *par = self.row.parameters({name: value})
        cdef int j
        if run_enter(self.r) != 0:
            free(par)
            raise_or(MF_E_BUSY)
        for j in range(self.row.m.n_par):
            if self.row.m.par[j].name.decode() == name:
                self.r.par[j] = par[j]
        run_leave(self.r)
        free(par)

    def fixed(self, int64_t count, double t_last=NAN, int64_t every=0, cnp.ndarray y=None, cnp.ndarray t=None, cnp.ndarray at=None,
              int64_t first=0, double dt=NAN):
        """(status, rows written) of `count` fixed steps; every k-th state, or those at the times `at`, goes into y and t, from row 0 on.

        first: how many of `at` are done already. dt: the step from here on; NaN: as before.
        """
        cdef record_t record
        cdef int status
        memset(&record, 0, sizeof(record))
        if y is not None:
            record.y, record.t = <double *> cnp.PyArray_DATA(y), <double *> cnp.PyArray_DATA(t)
            record.every = every
            if at is not None:
                record.every = 0
                record.at, record.n_at, record.i_at = <double *> cnp.PyArray_DATA(at), cnp.PyArray_SIZE(at), first
        if self.r.m.step == NULL or (at is not None and self.r.slope0 == NULL):
            raise TypeError(f"{self.row.name}: this run was not made for fixed steps, or not for output between them (dense=True)")
        self.keep = 0
        raise_or(run_enter(self.r))
        try:
            if dt == dt:
                self.change_dt(dt)
            if self.problem.compiled:
                with nogil:
                    status = run_fixed(self.r, count, t_last, &record)
            else:
                status = run_fixed(self.r, count, t_last, &record)
            raise_or(status)
        finally:
            run_leave(self.r)
            self.keep = record.rows      # for the driver, where an exception takes the place of the result
        return status, record.rows

    @property
    def rows_written(self):
        return self.keep

    def step(self, double dt):
        """One step of dt; the status."""
        return self.fixed(1, dt=dt)[0]

    def descend(self, int64_t count, double gtol, bint want_value):
        """The status of up to `count` iterations: CONVERGED, 0 not yet, or why it could not go on."""
        cdef int status
        if self.r.good == NULL or self.r.inner.value_grad == NULL:
            raise TypeError(f"{self.row.name}: this run was not made for descent (descend=True)")
        raise_or(run_enter(self.r))
        try:
            if self.problem.compiled:
                with nogil:
                    status = run_descend(self.r, count, gtol, want_value)
            else:
                status = run_descend(self.r, count, gtol, want_value)
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
            run_pack(self.r, PyBytes_AS_STRING(out), bytes, &bytes)
        finally:
            run_leave(self.r)
        return out

    def unpack(self, bytes data):
        """Puts the run where `pack` was called. Raises ValueError, and changes nothing, if the bytes are damaged or foreign."""
        cdef int status
        raise_or(run_enter(self.r))
        status = run_unpack(self.r, PyBytes_AS_STRING(data), len(data))
        run_leave(self.r)
        if status < 0:
            raise ValueError(f"saved state: damaged, or not of {self.row.name} with {self.r.n} components")


cdef copy_of(const double *x, ptrdiff_t n, tuple shape):
    out = np.empty(shape)
    memcpy(<double *> cnp.PyArray_DATA(<cnp.ndarray> out), x, n * sizeof(double))
    return out
