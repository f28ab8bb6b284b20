"""`LastStep`: the inside of the step that a run has just taken, for Python. The continuous extension is in output.pyx. And whether a run has
come downhill."""
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.starts cimport nans
from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.stepping.output cimport look_back
from mflow_core.stepping.run cimport run_enter, run_leave
from mflow_core.stepping.stepper cimport Run, copy_of, raise_or
from mflow_core.types cimport MF_E_ARGUMENT

import numpy as np

cnp.import_array()


cdef class LastStep:
    """The last step of a run made with dense=True; after each step of the run, that one."""
    cdef Run run

    def __cinit__(self, Run run not None):
        if run.r.y_between == NULL:
            raise TypeError(f"{run.record.name}: expected a run made for output between its steps; pass dense=True")
        self.run = run

    def state(self, double t):
        """The state at a time inside the step, by the continuous extension; in second order x, v and a."""
        cdef int status
        cdef unsigned int mode
        cdef Run run = self.run
        out = np.empty(run.shape if run.r.sizes.n_vis == 1 else (run.r.sizes.n_vis, *run.shape))
        raise_or(run_enter(run.r))
        try:
            mode = mf_fp_enter()
            status = look_back(run.r, t, <double *> cnp.PyArray_DATA(<cnp.ndarray> out))
            mf_fp_leave(mode)
            raise_or(status)
        finally:
            run_leave(run.r)
        if status == MF_E_ARGUMENT:
            if run.r.t_before != run.r.t_before:
                raise ValueError(f"t: expected a time in the last step, got {t!r}; there is no last step: none was taken, an event ended it, "
                                 "or a later try failed")
            raise ValueError(f"t: expected a time in the last step, from {run.r.t_before:g} to {run.r.t:g}, got {t!r}")
        if status != 0:
            raise RuntimeError(f"fun returned {status} at an end of the last step")
        return out

    def extension(self):
        """(t, y, D) of the step: its start, the state there, and the vectors of the continuous extension."""
        cdef Run run = self.run
        cdef int k
        self.state(run.r.t)                  # makes D, if it is not there yet
        D = np.empty((run.r.n_D, *run.shape))
        raise_or(run_enter(run.r))
        try:
            for k in range(run.r.n_D):
                memcpy(<double *> cnp.PyArray_DATA(<cnp.ndarray> D) + k * run.r.n, run.r.f.D + k * run.r.ld, run.r.n * sizeof(double))
            return run.r.t_before, copy_of(run.r.next[0], run.r.n, run.shape), D
        finally:
            run_leave(run.r)


def climbs(Run run not None, start):
    """Whether the slope at either end of the straight way from a start to where the run stands points back along it. Both are slopes at
    t = 0, the one at the run's end first; the second is not asked for where the first does."""
    cdef cnp.ndarray begin = np.ascontiguousarray(start, dtype=np.float64), out = nans(run.shape)
    cdef const double *at = <const double *> cnp.PyArray_DATA(begin)
    cdef double *slope = <double *> cnp.PyArray_DATA(out)
    cdef double along
    cdef ptrdiff_t i, n = run.r.n
    cdef int end
    if run.r.p.rhs == NULL or cnp.PyArray_SIZE(begin) != n:
        raise TypeError(f"start: expected {n} numbers, of a run of an equation, got {cnp.PyArray_SIZE(begin)}")
    for end in range(2):
        run.r.f.n_rhs += 1
        raise_or(run.r.p.rhs(0.0, run.r.now[0] if end == 0 else at, slope, n, run.r.p.ctx))
        along = 0.0
        for i in range(n):
            along += (run.r.now[0][i] - at[i]) * slope[i]
        if along < 0.0:
            return True
    return False
