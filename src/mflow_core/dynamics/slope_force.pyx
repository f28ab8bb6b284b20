"""Descent as motion: the force -grad f(x) - friction v of a cost f, with mass 1, for second-order methods.

The gradient and the cost of the last point are kept: the acceleration at the end of a step and the test of convergence there are of one
point, which is recognised by its bits. `value_grad` of this problem is the cost's own, by way of what is kept, so that a run of it can
be asked to descend.
"""
from cpython.pycapsule cimport PyCapsule_New, PyCapsule_SetContext
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy

from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.dynamics.force cimport Force, force_t
from mflow_core.problems.problem cimport Problem
from mflow_core.solvers.solver cimport Solver
from mflow_core.types cimport mf_value_grad_fn

from mflow_core.problems.signatures import FORCE_SIGNATURE

ctypedef struct slope_t:
    mf_value_grad_fn fun
    void *ctx
    double friction, value
    double *at                           # the last point, and its gradient
    double *grad
    bint known, has_value, value_is_free
    int64_t calls

cdef bytes NAME = FORCE_SIGNATURE.encode()


cdef int ask(slope_t *s, const double *x, ptrdiff_t n, bint want_value) noexcept nogil:
    """at and grad (and value) are those of x."""
    cdef int status
    if s.known and memcmp(x, s.at, n * sizeof(double)) == 0:
        if s.has_value or not want_value:
            return 0
        s.calls += 1
        status = s.fun(x, &s.value, NULL, n, s.ctx)
        s.has_value = status == 0
        return status
    s.known = False
    s.has_value = want_value or s.value_is_free
    s.calls += 1
    status = s.fun(x, &s.value if s.has_value else NULL, s.grad, n, s.ctx)
    if status == 0:
        memcpy(s.at, x, n * sizeof(double))
        s.known = True
    return status


cdef int slope_force(double t, const double *x, const double *v, double *out, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef slope_t *s = <slope_t *> ctx
    cdef ptrdiff_t i
    cdef int status = ask(s, x, n, False)
    if status != 0:
        return status
    for i in range(n):
        out[i] = -s.grad[i] - s.friction * v[i]
    return 0


cdef int slope_value_grad(const double *x, double *value, double *grad, ptrdiff_t n, void *ctx) noexcept nogil:
    """ctx is the force's, as for its accelerations."""
    cdef slope_t *s = <slope_t *> (<force_t *> ctx).ctx
    cdef int status
    if grad == NULL and not (s.known and memcmp(x, s.at, n * sizeof(double)) == 0):
        s.calls += 1                     # the value alone, of a point that is not kept
        return s.fun(x, value, NULL, n, s.ctx)
    status = ask(s, x, n, value != NULL)
    if status != 0:
        return status
    if value != NULL:
        value[0] = s.value
    if grad != NULL:
        memcpy(grad, s.grad, n * sizeof(double))
    return 0


cdef class SlopeForce(Force):
    """The force of a cost, a problem with value_grad. dfdx, dfdv, solver: as of `Force`."""
    cdef slope_t s
    cdef double *room

    def __init__(self, Problem cost, tuple shape, double friction, dfdx=None, dfdv=None, Solver solver=None):
        cdef ptrdiff_t n = cost.c.n
        capsule = PyCapsule_New(<void *> slope_force, NAME, NULL)
        PyCapsule_SetContext(capsule, &self.s)
        self.room = <double *> mf_zeros(2 * n + 1, sizeof(double))
        if self.room == NULL:
            raise MemoryError(f"no memory for {n} components")
        self.s.fun, self.s.ctx, self.s.friction = cost.c.value_grad, cost.c.ctx, friction
        self.s.at, self.s.grad, self.s.value_is_free = self.room, self.room + n, cost.value_is_free
        super().__init__(capsule, shape, velocity_free=friction == 0.0, dfdx=dfdx, dfdv=dfdv, solver=solver)
        self.owner = (capsule, cost)
        self.c.value_grad = slope_value_grad
        self.callback, self.has_value, self.value_is_free = cost.callback, cost.has_value, cost.value_is_free
        self.compiled = self.compiled and cost.compiled

    def __dealloc__(self):
        free(self.room)

    @property
    def calls(self):
        """Calls of the cost's function."""
        return self.s.calls
