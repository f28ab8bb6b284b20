"""A problem seen from inside: from one side of its breaks, and where none of some components is below 0.

A step that ends at a break has stages there, and so has the one that begins there: f would be asked twice at the same time, and which side
it answers for is a matter of < or <= in the user's code. `Inside` therefore hands every time on between two numbers, `low` and `high`, those
next to the breaks at both ends, so that f is asked inside and nowhere else. Derivatives follow it.

Where components must not be below 0, f is not asked at a state where one is. Stages of a step may lie there all the same, in a stiff
decay for ever: the step's end is then 0 but for an error, of either sign. So f is continued from the nearest state inside, y+: by its value
there, f(y+), and in implicit and stabilized methods by f(y+) + J (y - y+), for with f(y+) alone what decays at a large rate would not decay
below 0, and neither Newton's iteration nor a damped polynomial do what it should. J is the one at hand, or without one J (y - y+) is f(y+)
less f at the mirror image of y in y+ (`mirrored`). A solution that stays inside knows nothing of this; what a step's end may be is
error control's matter (`run_settle` in mflow_core.stepping.run). Jacobians are taken at y+ (Shampine, Thompson, Kierzenka and Byrne, Appl.
Math. Comput. 170 (2005) 556-569).

The problem's callbacks are exchanged for those of this file, with the same meaning, before a run is made of it.
"""
from libc.stdint cimport int64_t
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.problems.problem cimport Problem
from mflow_core.types cimport mf_energy_fn, mf_jac_fn, mf_tableau

import numpy as np

cnp.import_array()


cdef inline double at(const inside_t *s, double t) noexcept nogil:
    if t < s.low:
        return s.low
    return s.high if t > s.high else t


cdef inline const double *nearest(const inside_t *s, const double *y, ptrdiff_t n) noexcept nogil:
    memcpy(s.nearest, y, n * sizeof(double))
    move_inside(s, s.nearest)
    return s.nearest


cdef int inside_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef inside_t *s = <inside_t *> ctx
    cdef int status
    if s.n_signs == 0 or not is_outside(s, y):
        return s.of.rhs(at(s, t), y, dydt, n, s.of.ctx)
    status = s.of.rhs(at(s, t), nearest(s, y, n), dydt, n, s.of.ctx)
    return s.bend(s, t, y, dydt, s.bend_ctx) if status == 0 and s.bend != NULL else status


cdef int inside_value_grad(const double *y, double *value, double *grad, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef inside_t *s = <inside_t *> ctx
    cdef ptrdiff_t i
    cdef int status
    if s.n_signs == 0 or not is_outside(s, y):
        return s.of.value_grad(y, value, grad, n, s.of.ctx)
    status = s.of.value_grad(nearest(s, y, n), value, grad, n, s.of.ctx)
    if status == 0 and s.bend != NULL and grad != NULL:
        for i in range(n):                   # the Jacobian at hand is that of the flow
            grad[i] = -grad[i]
        status = s.bend(s, 0.0, y, grad, s.bend_ctx)
        for i in range(n):
            grad[i] = -grad[i]
    return status


cdef int mirrored(const void *inside, double t, const double *y, double *dydt, void *ctx) noexcept nogil:
    """A bend without a Jacobian: an evaluation more, which `ctx`, an int64_t, counts."""
    cdef const inside_t *s = <const inside_t *> inside
    cdef ptrdiff_t n = s.of.n, k
    cdef double *slope = s.nearest + n
    cdef int status
    (<int64_t *> ctx)[0] += 1
    memcpy(s.nearest, y, n * sizeof(double))
    for k in range(s.n_signs):
        if inward(s, k, y) < 0.0:
            s.nearest[s.signs[k]] = 2.0 * s.bounds[k] - y[s.signs[k]]
    status = s.of.rhs(at(s, t), s.nearest, slope, n, s.of.ctx)
    for k in range(n if status == 0 else 0):
        dydt[k] = 2.0 * dydt[k] - slope[k]
    return status


cdef int inside_solve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef inside_t *s = <inside_t *> ctx
    return s.of.solve(at(s, t), gh, r, z, n, s.of.ctx)


cdef int inside_lsolve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef inside_t *s = <inside_t *> ctx
    return s.of.lsolve(at(s, t), gh, r, z, n, s.of.ctx)


cdef int inside_solve_system(const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, ptrdiff_t n,
                             void *ctx) noexcept nogil:
    cdef inside_t *s = <inside_t *> ctx
    return s.of.solve_system(tab, at(s, t), h, y, Z, ld, n, s.of.ctx)


cdef int inside_mass(const double *v, double *Mv, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef inside_t *s = <inside_t *> ctx
    return s.of.mass(v, Mv, n, s.of.ctx)


cdef int inside_solve_mass(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef inside_t *s = <inside_t *> ctx
    return s.of.solve_mass(at(s, t), gh, r, z, n, s.of.ctx)


cdef int inside_linearize(double t, double gh, const double *y, double *dfdt, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef inside_t *s = <inside_t *> ctx
    return s.of.linearize(at(s, t), gh, y, dfdt, n, s.of.ctx)


cdef int inside_accel(double t, const double *x, const double *v, double *a, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef inside_t *s = <inside_t *> ctx
    return s.of.accel(at(s, t), x, v, a, n, s.of.ctx)


cdef int inside_solve_accel(double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q, double *a,
                            ptrdiff_t n, void *ctx) noexcept nogil:
    cdef inside_t *s = <inside_t *> ctx
    return s.of.solve_accel(at(s, t), w, xp, vp, bx, bv, q, a, n, s.of.ctx)


cdef int inside_energy(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n,
                       void *ctx) noexcept nogil:
    cdef inside_t *s = <inside_t *> ctx
    return s.of.energy(at(s, t0), y0, at(s, t1), y1, e, n, s.of.ctx)


cdef int inside_inertia(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n,
                      void *ctx) noexcept nogil:
    cdef inside_t *s = <inside_t *> ctx
    return s.inertia(at(s, t0), y0, at(s, t1), y1, e, n, s.of.ctx)


cdef int inside_jac(double t, const double *y, double *jac, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef inside_t *s = <inside_t *> ctx
    return s.jac(at(s, t), nearest(s, y, n) if s.n_signs > 0 else y, jac, n, s.jac_ctx)


cdef class Inside:
    """What a problem is asked for from here on, and where: made before the run.

    signs : int64 array of the components that are kept at their bounds or on their sides, or None. bounds, sides : one for each, None: 0
    and 1, at 0 or above. met : whether these are walls that a run has met.
    """
    cdef inside_t s
    cdef cnp.ndarray signs, bounds, sides, nearest

    def __cinit__(self, Problem problem, cnp.ndarray signs=None, bounds=None, sides=None, bint met=False):
        self.s.of, self.s.jac, self.s.jac_ctx, self.s.inertia = problem.c, problem.jac, problem.jac_ctx, problem.energy_inertia
        self.s.low, self.s.high, self.s.left = -np.inf, np.inf, -1
        if signs is not None:
            self.nearest = np.empty(2 * max(problem.c.n, 1))
            self.s.nearest = <double *> cnp.PyArray_DATA(self.nearest)
            self.keep(signs, bounds, sides)
            self.s.met = met
        self.exchange(problem)
        problem.owner, problem.inside = (problem.owner, self), &self.s

    cdef int exchange(self, Problem problem) except -1:
        """The callbacks of this file in place of the problem's."""
        if problem.c.rhs != NULL:
            problem.c.rhs = inside_rhs
        if problem.c.value_grad != NULL:
            problem.c.value_grad = inside_value_grad
        if problem.c.solve != NULL:
            problem.c.solve = inside_solve
        if problem.c.lsolve != NULL:
            problem.c.lsolve = inside_lsolve
        if problem.c.solve_system != NULL:
            problem.c.solve_system = inside_solve_system
        if problem.c.mass != NULL:
            problem.c.mass = inside_mass
        if problem.c.solve_mass != NULL:
            problem.c.solve_mass = inside_solve_mass
        if problem.c.linearize != NULL:
            problem.c.linearize = inside_linearize
        if problem.c.accel != NULL:
            problem.c.accel = inside_accel
        if problem.c.solve_accel != NULL:
            problem.c.solve_accel = inside_solve_accel
        if problem.c.energy != NULL:
            problem.c.energy = inside_energy
        if problem.energy_inertia != NULL:
            problem.energy_inertia = <mf_energy_fn> inside_inertia
        if problem.jac != NULL:
            problem.jac, problem.jac_ctx = <mf_jac_fn> inside_jac, &self.s
        if problem.c.jac != NULL:
            problem.c.jac = inside_jac
        problem.c.ctx = &self.s
        return 0

    def keep(self, cnp.ndarray signs not None, bounds=None, sides=None):
        """These components are kept from here on, and no others. The arguments are those of an `Inside` that was made with `signs`."""
        cdef ptrdiff_t n = self.s.of.n
        kept = np.ascontiguousarray(signs, dtype=np.int64)
        at = np.zeros(kept.size) if bounds is None else np.array(bounds, dtype=np.float64)
        of = np.ones(kept.size) if sides is None else np.array(sides, dtype=np.float64)
        if kept.size and not (0 <= np.min(kept) and np.max(kept) < n):
            raise ValueError(f"signs: expected components from 0 to {n - 1}, got {kept.tolist()}")
        if not kept.size == at.size == of.size:
            raise ValueError(f"bounds, sides: expected {kept.size} of each, got {at.size} and {of.size}")
        self.signs, self.bounds, self.sides = kept, at, of
        self.s.signs, self.s.n_signs = <const int64_t *> cnp.PyArray_DATA(self.signs), kept.size
        self.s.bounds, self.s.sides = <const double *> cnp.PyArray_DATA(self.bounds), <const double *> cnp.PyArray_DATA(self.sides)
        self.s.left = -1

    def between(self, double low, double high):
        """Times are handed on between these two from here on; where there is no number between them, all are `low`."""
        self.s.low, self.s.high = low, high if high >= low else low

    @property
    def left(self):
        """The component that the last tries would have led below 0; None: there was none."""
        return None if self.s.left < 0 else self.s.left

    def forget(self):
        """As if no component had been below 0."""
        self.s.left = -1

    def release(self):
        """No component is kept any more."""
        self.s.n_signs, self.s.left = 0, -1

    def let_go(self):
        """The run is over: what it lent for states below 0, its Jacobian, may be gone before the problem is."""
        self.s.bend = NULL
