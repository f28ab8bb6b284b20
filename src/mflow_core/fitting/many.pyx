"""Many fits of compiled residuals: one function, or an objective with data of its own for each, and a start for each.

A fit is the run of marquardt.pyx from its start to its end, with the bits that it has alone; a thread keeps one block of memory for all
the fits that it does. Residuals and Jacobian of a trial come in one evaluation, as nearly all trials are taken.
"""
from libc.math cimport INFINITY, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.fitting.compiled cimport CompiledResiduals, weighed_residuals, weighed_t
from mflow_core.fitting.marquardt cimport advance
from mflow_core.fitting.point cimport BAD_START, PAUSE, WAITING, allocate, begin, marquardt_t, restart
from mflow_core.fitting.robust cimport CompiledLoss, robust_loss, share_of_hessian
from mflow_core.fitting.triangle cimport inverse_square
from mflow_core.types cimport MF_E_MEMORY

import numpy as np

cnp.import_array()

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define mf_see(flag) __atomic_load_n(flag, __ATOMIC_RELAXED)
    #else
    #define mf_see(flag) (*(volatile int *)(flag))
    #endif
    """
    int mf_see(int *flag) noexcept nogil

cdef enum:
    INSENSITIVE = 16                     # J is 0 and the residuals are not


ENDINGS = {WAITING: "interrupted", INSENSITIVE: "insensitive"}     # beside those of fit.pyx


cdef class Fits:
    """Fits from starts (count, n); `work` does some of them and may run in several threads at once.

    X, y: data of a fit of its own each, (count, ...), in the place of the objective's. errors: whether standard errors are computed.
    """
    cdef readonly cnp.ndarray x, cost, optimality, nit, nfev, code, errors
    cdef CompiledResiduals residuals
    cdef CompiledLoss loss
    cdef cnp.ndarray X, y, lower, upper, fixed
    cdef ptrdiff_t n, m, count
    cdef double ftol, xtol, gtol
    cdef int64_t limit
    cdef int stopped
    cdef bint own_data, wants_errors

    def __init__(self, CompiledResiduals residuals not None, cnp.ndarray starts not None, double ftol, double xtol, double gtol, int64_t limit,
                 X=None, y=None, lower=None, upper=None, fixed=None, bint errors=False, CompiledLoss loss=None):
        self.residuals, self.m, self.loss = residuals, residuals.m, loss
        self.x = np.array(starts, dtype=np.float64, order="C")
        self.count, self.n = cnp.PyArray_DIM(self.x, 0), cnp.PyArray_DIM(self.x, 1)
        self.ftol, self.xtol, self.gtol, self.limit = ftol, xtol, gtol, limit
        self.X, self.y, self.lower, self.upper, self.wants_errors = X, y, lower, upper, errors
        self.fixed = None if fixed is None else np.ascontiguousarray(fixed, dtype=np.int32)
        self.own_data = X is not None or y is not None
        self.cost, self.optimality = np.full(self.count, np.nan), np.full(self.count, np.nan)
        self.nit, self.nfev = np.zeros(self.count, dtype=np.int64), np.zeros(self.count, dtype=np.int64)
        self.code = np.full(self.count, WAITING, dtype=np.int32)
        self.errors = np.full((self.count if errors else 0, self.n), np.nan)

    def stop(self):
        """Ends `work` wherever it is, between two fits or in a long one; those that are not through stay where they began."""
        self.stopped = 1

    def work(self, int64_t first, int64_t last):
        """The fits first ... last, without the GIL."""
        cdef int status
        cdef unsigned int mode
        with nogil:
            mode = mf_fp_enter()
            status = self.run(first, last)
            mf_fp_leave(mode)
        if status == MF_E_MEMORY:
            raise MemoryError(f"no memory for a fit of {self.m} residuals with {self.n} parameters")

    cdef int run(self, int64_t first, int64_t last) noexcept nogil:
        cdef marquardt_t s
        cdef weighed_t w = self.residuals.w
        cdef int64_t k
        s.n, s.m, s.own_scale = self.n, self.m, False
        if allocate(&s) != 0:
            return MF_E_MEMORY
        s.fun, s.ctx, s.loss, s.loss_ctx = weighed_residuals, &w, NULL, NULL
        if self.loss is not None:
            s.loss, s.loss_ctx = robust_loss, &self.loss.c
        s.ftol, s.xtol, s.gtol, s.limit, s.call_limit = self.ftol, self.xtol, self.gtol, self.limit, 0
        s.dt, s.eps, s.blur, s.grain, s.floor = 0.0, 2.220446049250313e-16, 0.0, 0.0, 1e-3
        s.differences = s.central = s.refinable = s.accelerated = s.tell = False
        s.together, s.bounded = True, self.lower is not None
        if s.bounded:
            memcpy(s.lower, cnp.PyArray_DATA(self.lower), self.n * sizeof(double))
            memcpy(s.upper, cnp.PyArray_DATA(self.upper), self.n * sizeof(double))
        if self.fixed is not None:
            memcpy(s.fixed, cnp.PyArray_DATA(self.fixed), self.n * sizeof(int32_t))
        for k in range(first, last):
            if mf_see(&self.stopped):
                break
            if self.X is not None:
                w.objective.X = <double *> cnp.PyArray_DATA(self.X) + k * (cnp.PyArray_SIZE(self.X) // self.count)
            if self.y is not None:
                w.objective.y = <double *> cnp.PyArray_DATA(self.y) + k * (cnp.PyArray_SIZE(self.y) // self.count)
            self.one(&s, k)
        free(s.block)
        return 0

    cdef void one(self, marquardt_t *s, int64_t k) noexcept nogil:
        """Fit k from its start to its end."""
        cdef double *at = <double *> cnp.PyArray_DATA(self.x) + k * self.n
        cdef double largest = 0.0, size
        cdef ptrdiff_t a
        cdef int status
        restart(s)
        memcpy(s.x, at, self.n * sizeof(double))
        status = begin(s, False)
        while status == 0 or status == PAUSE:
            status = advance(s)
            if mf_see(&self.stopped):
                return
        if status > 0 and status != BAD_START:
            memcpy(at, s.x, self.n * sizeof(double))
            for a in range(s.k):
                size = s.g[s.columns[a]]
                size = -size if size < 0.0 else size
                largest = size if size > largest or size != size else largest
            (<double *> cnp.PyArray_DATA(self.cost))[k] = s.cost
            (<double *> cnp.PyArray_DATA(self.optimality))[k] = largest
            if s.steepest == 0.0 and s.cost > 0.0 and flat(s):
                status = INSENSITIVE
            if self.wants_errors:
                self.standard_errors(s, <double *> cnp.PyArray_DATA(self.errors) + k * self.n)
        (<int64_t *> cnp.PyArray_DATA(self.nit))[k] = s.nit
        (<int64_t *> cnp.PyArray_DATA(self.nfev))[k] = s.nfev
        (<int32_t *> cnp.PyArray_DATA(self.code))[k] = status

    cdef void standard_errors(self, marquardt_t *s, double *out) noexcept nogil:
        """sqrt of the diagonal of 2 cost/(m - n) inv(J'J) of the n parameters that are not held; inf where that does not exist, 0 of the
        others. J is lost."""
        cdef ptrdiff_t i, j, a, n = 0
        if s.loss != NULL:
            self.bend(s)
        for j in range(self.n):
            out[j] = 0.0
            if not s.fixed[j]:
                s.columns[n], s.norms[n] = <int32_t> j, s.norms[j]
                n += 1
        for i in range(s.m):
            for a in range(n):
                s.J[i * n + a] = s.J[i * self.n + s.columns[a]]
        cdef ptrdiff_t rank = inverse_square(s.J, s.m, n, s.A, s.norms, s.pivot, s.z, s.room, s.R, s.S, s.J_new, &s.ear) if n else 0
        for a in range(n):
            out[s.columns[a]] = sqrt(s.J_new[a * n + a] * 2.0 * s.cost / (s.m - n)) if rank == n and s.m > n else INFINITY

    cdef void bend(self, marquardt_t *s) noexcept nogil:
        """J'J becomes the Hessian of the cost but for the residuals' curvature: SciPy's, which has rho''."""
        cdef double share, square
        cdef ptrdiff_t i, j
        for j in range(self.n):
            s.norms[j] = 0.0
        for i in range(s.m):
            share = sqrt(share_of_hessian(&self.loss.c, s.f[i])) / s.root[i] if s.root[i] > 0.0 else 0.0
            for j in range(self.n):
                s.J[i * self.n + j] = share * s.J[i * self.n + j]
                square = s.J[i * self.n + j]
                s.norms[j] = s.norms[j] + square * square
        for j in range(self.n):
            s.norms[j] = sqrt(s.norms[j])


cdef bint flat(const marquardt_t *s) noexcept nogil:
    cdef ptrdiff_t j
    for j in range(s.n):
        if s.norms[j] != 0.0:
            return False
    return True
