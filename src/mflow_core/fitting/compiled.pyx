"""Compiled residuals: those of an `Objective` that is a sum of squares, and any compiled function of their signature, over sigma."""
from libc.stddef cimport ptrdiff_t

cimport numpy as cnp

from mflow_core.fitting.point cimport residuals_fn
from mflow_core.objectives.objective cimport Objective
from mflow_core.objectives.objectives cimport objective_t

cnp.import_array()


cdef int objective_residuals(const double *x, double *r, double *J, ptrdiff_t m, ptrdiff_t n, void *ctx) noexcept nogil:
    """Residuals of the index set, and their derivatives, one row after the other."""
    cdef const objective_t *o = <const objective_t *> ctx
    cdef ptrdiff_t k, at
    cdef double value
    for k in range(m):
        at = k if o.order == NULL else o.order[k]
        value = o.record.residual(o, x, at, NULL if J == NULL else J + k * n)
        if r != NULL:
            r[k] = value
    return 0


cdef int weighed_residuals(const double *x, double *r, double *J, ptrdiff_t m, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef const weighed_t *w = <const weighed_t *> ctx
    cdef double sigma
    cdef ptrdiff_t i, j
    cdef int status = w.fun(x, r, J, m, n, <void *> &w.objective if w.objective.record != NULL else w.ctx)
    if status > 0:
        status = -status                 # the loop's own codes are above 0
    if status != 0 or w.sigma == NULL:
        return status
    for i in range(m):
        sigma = w.sigma[i if w.n_sigma > 1 else 0]
        if r != NULL:
            r[i] = r[i] / sigma
        if J != NULL:
            for j in range(n):
                J[i * n + j] = J[i * n + j] / sigma
    return 0


cdef class CompiledResiduals:
    """m residuals of an objective, or of (address, user data) of a function of RESIDUALS_SIGNATURE; sigma: (1,) or (m,), or None."""

    def __init__(self, source, ptrdiff_t m, cnp.ndarray sigma, owner):
        self.m, self.owner, self.sigma_ = m, owner, sigma
        if isinstance(source, Objective):
            self.w.fun, self.w.objective = objective_residuals, (<Objective> source).c
        else:
            self.w.fun, self.w.ctx = <residuals_fn> <size_t> source[0], <void *> <size_t> (source[1] or 0)
        if sigma is not None:
            self.w.sigma, self.w.n_sigma = <const double *> cnp.PyArray_DATA(sigma), cnp.PyArray_SIZE(sigma)

    @property
    def functions(self):
        """(address, context, owner), as `Fit` takes them."""
        return <size_t> weighed_residuals, <size_t> &self.w, self
