"""`Lanes`: a batch of trajectories on a compiled right-hand side that takes a block of them at once, for Python.

A lane is the place of one trajectory in a SIMD block: a block steps WIDTH trajectories together, number by number. The loops are in
lane_steps.pyx.
"""
from libc.math cimport INFINITY, NAN
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free

cimport numpy as cnp

from mflow_core.arithmetic.control cimport control_begin
from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.lanes.lane_block cimport LANE_WAITING, block_free, block_make, block_t, job_t, mf_next, mf_read
from mflow_core.lanes.lane_loops cimport WIDTH
from mflow_core.lanes.lane_steps cimport run_common, run_own
from mflow_core.registry cimport MethodRecord, mf_sizes_of
from mflow_core.stepping.watch.past cimport past_init
from mflow_core.types cimport (MF_EMBEDDED, MF_E_STEP, MF_E_STEPS, MF_FSAL, MF_IMPLICIT, MF_NEEDS_RHO, MF_SECOND_ORDER, MF_STAGED,
                               mf_method, mf_rhs_lanes_fn)

import numpy as np

cnp.import_array()

BLOCK, WAITING, TOO_SMALL, TOO_MANY = WIDTH, LANE_WAITING, MF_E_STEP, MF_E_STEPS


cdef double *numbers(cnp.ndarray a) except? NULL:
    if cnp.PyArray_TYPE(a) != cnp.NPY_DOUBLE or not cnp.PyArray_ISCARRAY_RO(a):
        raise TypeError(f"batch: expected C-contiguous float64 arrays, got dtype {(<object> a).dtype} and strides {(<object> a).strides}")
    return <double *> cnp.PyArray_DATA(a)


cdef class Lanes:
    """Trajectories from the rows of y0 (lanes, n), integrated by as many calls of `work` as there are threads.

    function: (address, user data), as `compiled_address` gives. t0, t_end: (lanes,). args: (lanes, p) or None. dt: fixed steps, as many
    as `steps` (lanes,) says, or NaN: error control with rtol and atol of shape (n,). own: every lane has its own time. t_eval: (m,) or
    None. edge: with one span, the steepest step of each block's first lane that is beyond it is kept in `seen`, see job_t; 0: none is.
    All arrays are checked by the caller. Results: y_last, t_last, y (lanes, n, m), code, nfev, nsteps, nrejected, saved; a code
    of WAITING means that a lane was not brought to its end. Raises ValueError for a method that this cannot run.
    """

    def __cinit__(self, MethodRecord record, tuple function, cnp.ndarray y0, cnp.ndarray t0, cnp.ndarray t_end, *, dict parameters=None, args=None,
                  t_eval=None, double dt=NAN, steps=None, bint own=False, rtol=None, atol=None, double first_step=0.0,
                  double max_step=INFINITY, double min_step=0.0, int64_t max_steps=0x7FFFFFFFFFFFFFFF,
                  double edge=0.0):
        cdef job_t *j = &self.j
        self.record = record
        j.m, j.rhs, j.ctx = record.m, <mf_rhs_lanes_fn> <size_t> function[0], <void *> <size_t> function[1]
        j.par = record.parameters(parameters or {})
        mf_sizes_of(record.m, j.par, &j.sizes)
        j.lanes, j.n, j.own_times, j.dt = y0.shape[0], y0.shape[1], own or dt != dt, dt
        self.check_method()
        j.y0, j.t0, j.t_end = numbers(y0), numbers(t0), numbers(t_end)
        lanes, n, m = (<object> y0).shape[0], (<object> y0).shape[1], 0
        if args is not None:
            j.p, j.args = args.shape[1], numbers(args)
        if t_eval is not None:
            m = j.n_at = t_eval.shape[0]
            j.at = numbers(t_eval)
            j.n_D = j.sizes.n_dense if record.m.dense != NULL else 3
        if dt == dt:
            j.steps = <int64_t *> cnp.PyArray_DATA(steps)
        else:
            j.rtol, j.atol = numbers(rtol), numbers(atol)
        j.ld = max(<ptrdiff_t> 1, j.n + j.p) * WIDTH
        if j.ld % 512 == 0:
            j.ld += 8
        j.first_step, j.max_steps = first_step, max_steps
        control_begin(&j.control, j.n, record.m.order, record.m.order_hat, j.sizes.n_err)
        j.control.max_step, j.control.min_step = max_step, min_step
        self.y_last, self.t_last, self.y = np.array(y0), np.array(t0), np.full((lanes, n, m), np.nan)
        self.code = np.full(lanes, WAITING, dtype=np.int32)
        self.nfev, self.nsteps, self.nrejected, self.saved = np.zeros((4, lanes), dtype=np.int64)
        j.y_last, j.t_last, j.y = numbers(self.y_last), numbers(self.t_last), numbers(self.y)
        j.code = <int32_t *> cnp.PyArray_DATA(self.code)
        j.nfev, j.nsteps = <int64_t *> cnp.PyArray_DATA(self.nfev), <int64_t *> cnp.PyArray_DATA(self.nsteps)
        j.nrejected, j.saved = <int64_t *> cnp.PyArray_DATA(self.nrejected), <int64_t *> cnp.PyArray_DATA(self.saved)
        self.seen = np.zeros((-(-lanes // WIDTH) if edge > 0.0 and dt == dt and not own else 0, 5 + 2 * n))
        if self.seen.size:
            j.edge, j.seen = edge, numbers(self.seen)
        self.keep = (y0, t0, t_end, args, t_eval, steps, rtol, atol)

    def __dealloc__(self):
        free(self.j.par)

    cdef int check_method(self) except -1:
        cdef const job_t *j = &self.j
        cdef const mf_method *m = j.m
        if m.step == NULL or m.flags & (MF_IMPLICIT | MF_SECOND_ORDER | MF_NEEDS_RHO | MF_STAGED):
            raise ValueError(f"method: expected an explicit Runge-Kutta method for a batch, got {self.record.name}")
        if j.dt != j.dt and not (m.flags & MF_EMBEDDED and j.sizes.n_err):
            raise ValueError(f"method: expected one with an error estimate where dt is not given, got {self.record.name}; pass dt")
        if j.own_times and (j.sizes.n_scal or j.sizes.n_vec > (2 if m.flags & MF_FSAL else 1)):
            raise ValueError(f"method: expected one that carries at most a slope from step to step, because the trajectories have different "
                             f"times, got {self.record.name}")
        return 0

    def work(self):
        """Integrates lanes until none is left, without the GIL. Call it from several threads at once, one call a thread."""
        cdef block_t block
        cdef unsigned int mode
        cdef int64_t first
        cdef int status, stages = self.record.stages
        with nogil:
            mode = mf_fp_enter()
            status = block_make(&block, &self.j)
            if status == 0 and self.j.edge > 0.0:
                past_init(&block.past, self.j.m, stages, self.j.n, block.look, True)
                block.past.edge = self.j.edge
            if status == 0 and self.j.own_times:
                run_own(&block)
            while status == 0 and not self.j.own_times and not mf_read(&self.j.stop):
                first = mf_next(&self.j.begun) * WIDTH
                if first >= self.j.lanes:
                    break
                run_common(&block, first, min(first + <int64_t> WIDTH, self.j.lanes))
            block_free(&block)
            mf_fp_leave(mode)
        if status != 0:
            raise MemoryError(f"no memory for a block of lanes with {self.j.n} components")

    def stop(self):
        """`work` returns soon, in every thread."""
        self.j.stop = 1
