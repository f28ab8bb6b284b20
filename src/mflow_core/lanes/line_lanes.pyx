"""Many descents by line searches or trust regions: each member runs from its start to its end, one after the other in a thread's buffers.

A member has the bits that `line_descend` gives it alone, for that is what it is.
"""
from libc.math cimport NAN, fabs
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.lanes.lane_block cimport mf_read
from mflow_core.lanes.lane_costs cimport LaneCosts
from mflow_core.objectives.objectives cimport objective_t
from mflow_core.optimize.descents cimport (LINE_FAILED, descent_close, descent_open, descent_products, descent_start, descent_t, line_descend,
                                           lowest_point, path_t, rule_t)
from mflow_core.optimize.line_descent cimport read_rule
from mflow_core.registry cimport REDUCE, MethodRecord
from mflow_core.stepping.descent cimport CONVERGED as _CONVERGED
from mflow_core.types cimport MF_E_MEMORY, MF_E_NON_FINITE, mf_new_problem, mf_problem

import numpy as np

from mflow_core.lanes.lane_descent import ENDINGS

cnp.import_array()

cdef int LIMIT = ENDINGS["max_iter"], CONVERGED = ENDINGS["converged"], NON_FINITE = ENDINGS["non_finite"]
cdef int WAITING = ENDINGS["interrupted"], SEARCH = ENDINGS["line_search_failed"]

cdef enum:
    AT_ONCE = 32                         # iterations between two looks at `stopped`


cdef class LineDescents:
    """As `Descents` of lane_descent, for methods with a direction, and for optimizers by line searches. kind, rule: the search's."""
    cdef readonly cnp.ndarray x, fun, gmax, first, nit, code, extra
    cdef MethodRecord record
    cdef LaneCosts costs
    cdef cnp.ndarray scale               # lengths of the parameters, of all members, or None
    cdef double *par
    cdef rule_t rule
    cdef ptrdiff_t n, lanes
    cdef int64_t limit
    cdef double gtol
    cdef int stopped

    def __cinit__(self, MethodRecord record, fun, cnp.ndarray starts not None, int64_t limit, double gtol, dict parameters, int kind, dict rule,
                  X=None, y=None, cnp.ndarray scale=None):
        self.record, self.limit, self.gtol, self.scale = record, limit, gtol, scale
        self.par = record.parameters(parameters)
        read_rule(&self.rule, kind, rule)
        self.x = np.array(starts, dtype=np.float64, order="C")
        self.lanes, self.n = cnp.PyArray_DIM(self.x, 0), cnp.PyArray_DIM(self.x, 1)
        self.fun, self.gmax, self.first = (np.full(self.lanes, np.nan) for _ in range(3))    # first: gmax at the start
        self.nit, self.code = np.zeros(self.lanes, dtype=np.int64), np.full(self.lanes, WAITING, dtype=np.int32)
        self.extra = np.zeros(self.lanes, dtype=np.int64)
        self.costs = LaneCosts(fun, self.n, self.lanes, X, y)

    def __dealloc__(self):
        free(self.par)

    def stop(self):
        """Ends `work` wherever it is; members that are not through stay where they began."""
        self.stopped = 1

    def work(self, int64_t lo, int64_t hi):
        """The members lo ... hi, without the GIL."""
        cdef int status
        cdef unsigned int mode
        with nogil:
            mode = mf_fp_enter()
            status = self.run(lo, hi)
            mf_fp_leave(mode)
        if status == MF_E_MEMORY:
            raise MemoryError(f"no memory for {self.record.name} with {self.n} components")
        if status != 0:
            raise RuntimeError(f"{self.record.name}: code {status}")

    cdef int run(self, int64_t lo, int64_t hi) noexcept nogil:
        cdef descent_t s
        cdef mf_problem p = mf_new_problem()
        cdef objective_t objective
        cdef const double *scale = NULL
        cdef int64_t k
        cdef int status
        p.n = self.n
        if self.scale is not None:
            scale = <const double *> cnp.PyArray_DATA(self.scale)
        status = descent_open(&s, self.record.m, &p, self.par, &self.rule, False, self.scale is not None)
        if status != 0:
            return status
        for k in range(lo, hi):
            self.costs.place(k, &p.value_grad, &p.ctx, &objective)
            if p.ctx == NULL and self.costs.own_data:
                p.ctx = &objective
            if self.costs.objectives:
                descent_products(&s, (<objective_t *> p.ctx).record.hessp, p.ctx)
            descent_start(&s, <double *> cnp.PyArray_DATA(self.x) + k * self.n, NULL, NULL, scale)
            if not self.member(&s, k):
                break
        descent_close(&s)
        return 0

    cdef double largest(self, const double *grad) noexcept nogil:
        """The largest entry of a gradient, in lengths of the parameters."""
        cdef double most = 0.0, part
        cdef ptrdiff_t i
        if self.scale is None:
            return REDUCE.max_abs(grad, self.n)
        for i in range(self.n):
            part = fabs((<double *> cnp.PyArray_DATA(self.scale))[i] * grad[i])
            most = part if part > most else most
        return most

    cdef bint member(self, descent_t *s, int64_t k) noexcept nogil:
        """One member to its end, and its result. False: stopped on the way."""
        cdef path_t path
        cdef const double *grad = NULL
        cdef const double *x
        cdef int status = 0
        path.x = path.d = path.a = path.f = NULL
        while True:
            if mf_read(&self.stopped):
                return False
            status = line_descend(s, min(self.limit - s.k, <int64_t> AT_ONCE), self.gtol, &path)
            if status != 0 or s.k >= self.limit:
                break
        if s.evaluated:
            x = lowest_point(s, &grad) if status != _CONVERGED else s.x
            grad = s.g if x == s.x else grad
            memcpy(<double *> cnp.PyArray_DATA(self.x) + k * self.n, x, self.n * sizeof(double))
            (<double *> cnp.PyArray_DATA(self.fun))[k] = s.f_low if status != _CONVERGED else s.f
            (<double *> cnp.PyArray_DATA(self.gmax))[k] = (
                s.gmax if x == s.x else self.largest(grad) if grad != NULL else NAN)
        (<double *> cnp.PyArray_DATA(self.first))[k] = s.first_gmax
        (<int64_t *> cnp.PyArray_DATA(self.nit))[k] = s.k
        (<int64_t *> cnp.PyArray_DATA(self.extra))[k] = s.nfev - s.k - 1
        (<int32_t *> cnp.PyArray_DATA(self.code))[k] = ending(status)
        return True


cdef int ending(int status) noexcept nogil:
    if status == _CONVERGED:
        return CONVERGED
    if status == LINE_FAILED:
        return SEARCH
    if status == MF_E_NON_FINITE:
        return NON_FINITE
    return LIMIT if status == 0 else status if status < 0 else -status
