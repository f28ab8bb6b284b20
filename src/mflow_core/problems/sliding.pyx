"""A problem whose slope jumps where a component passes a number, from both sides towards it: a relay, dry friction, a thermostat.

No step goes on there: the solution is pressed against the jump, every step over it is turned back, and f at the number itself says nothing.
What it does is slide along the jump (Filippov, Differential Equations with Discontinuous Righthand Sides, 1988): with f- at the last number
below the jump and f+ at the first one above,

    y' = (1 - w) f- + w f+,    w such that y_j' = 0    (0 < w < 1 where f_j- leads up and f_j+ down)

until one of them no longer leads back. Then the solution leaves on that side, where its slope is 0 at first, so nothing jumps. `Sliding`
makes that of a problem's right-hand side, in place, for a run that has been pressed against such a jump. A component that has left within
a step is followed on its own side; whoever owns it asks for `side` after a step, and releases it. Each call asks f twice.
"""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.problems.problem cimport Problem
from mflow_core.types cimport mf_jac_fn, mf_problem

import numpy as np

cnp.import_array()


ctypedef struct sliding_t:
    mf_problem of                        # the problem as it was
    mf_jac_fn jac
    void *jac_ctx
    ptrdiff_t component
    double low, high                     # next to the jump, on both sides
    double direction                     # of the run: -1 backwards
    int side                             # where the last call found the solution: 0 at the jump, 1 above it, -1 below
    bint on
    double *moved                        # a state and a slope
    int64_t *calls                       # counts the second of the two; or NULL


cdef int slope_beside(sliding_t *s, double t, const double *y, bint above, double *dydt, ptrdiff_t n) noexcept nogil:
    """f on one side of the jump: where y is, if it is on that side already."""
    cdef ptrdiff_t j = s.component
    memcpy(s.moved, y, n * sizeof(double))
    s.moved[j] = max(y[j], s.high) if above else min(y[j], s.low)
    return s.of.rhs(t, s.moved, dydt, n, s.of.ctx)


cdef int sliding_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef sliding_t *s = <sliding_t *> ctx
    cdef ptrdiff_t i, j = s.component
    cdef double *below = s.moved + n
    cdef double up, down, weight
    cdef int status
    if not s.on:
        return s.of.rhs(t, y, dydt, n, s.of.ctx)
    status = slope_beside(s, t, y, False, below, n)
    if status == 0:
        status = slope_beside(s, t, y, True, dydt, n)
    if s.calls != NULL:
        s.calls[0] += 1
    if status != 0:
        return status
    up, down = s.direction * below[j], -s.direction * dydt[j]
    if up > 0.0 and down > 0.0:
        weight, s.side = up / (up + down), 0
        for i in range(n):
            dydt[i] = (1.0 - weight) * below[i] + weight * dydt[i]
        dydt[j] = 0.0
    elif up > 0.0 or (down <= 0.0 and y[j] >= s.high):
        s.side = 1
    else:
        s.side = -1
        memcpy(dydt, below, n * sizeof(double))
    return 0


cdef int sliding_jac(double t, const double *y, double *jac, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef sliding_t *s = <sliding_t *> ctx
    return s.jac(t, y, jac, n, s.jac_ctx)


cdef int sliding_own_jac(double t, const double *y, double *jac, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef sliding_t *s = <sliding_t *> ctx
    return s.of.jac(t, y, jac, n, s.of.ctx)


cdef class Sliding:
    """A component of a problem that may slide, again and again: see `take_up`. calls : the address of a count of evaluations, or 0.

    Raises ValueError for a problem that is more than a right-hand side and its Jacobian.
    """
    cdef sliding_t s
    cdef cnp.ndarray moved

    def __cinit__(self, Problem problem, ptrdiff_t component, size_t calls=0):
        cdef mf_problem *c = &problem.c
        if c.rhs == NULL or c.value_grad != NULL or c.solve != NULL or c.lsolve != NULL or c.solve_system != NULL or c.mass != NULL \
                or c.solve_mass != NULL or c.linearize != NULL or c.mass_at != NULL or c.accel != NULL or c.solve_accel != NULL \
                or c.energy != NULL:
            raise ValueError("problem: expected a right-hand side fun(t, y) alone, with its Jacobian or without")
        if not 0 <= component < c.n:
            raise ValueError(f"component: expected one from 0 to {c.n - 1}, got {component}")
        self.s.of, self.s.jac, self.s.jac_ctx = c[0], problem.jac, problem.jac_ctx
        self.s.component, self.s.on = component, False
        self.s.calls = <int64_t *> calls
        self.moved = np.empty(2 * c.n)
        self.s.moved = <double *> cnp.PyArray_DATA(self.moved)
        c.rhs, c.ctx = sliding_rhs, &self.s
        if c.jac != NULL:
            c.jac = sliding_own_jac
        if problem.jac != NULL:
            problem.jac, problem.jac_ctx = sliding_jac, &self.s
        problem.owner = (problem.owner, self)

    def take_up(self, double low, double high, double direction=1.0):
        """The component slides between `low` and `high` from here on. Raises ValueError."""
        if not low < high:
            raise ValueError(f"low, high: expected low < high, got {low}, {high}")
        self.s.low, self.s.high, self.s.direction, self.s.side, self.s.on = low, high, direction, 0, True

    @property
    def side(self):
        """Where the last call found the solution: 0 at the jump, 1 above it, -1 below."""
        return self.s.side

    def release(self):
        """The component slides no more."""
        self.s.on = False

    def let_go(self):
        """The run is over, and its count with it."""
        self.s.calls = NULL
