"""`Constrained`: forces on constraints g(x) = 0 as a problem. The algorithms are in constraints.pyx; here are the user's functions."""
from libc.math cimport NAN, cbrt, fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.dynamics.constraints cimport (constrained_accel, constrained_energy, constrained_solve, constraint_fn, constraint_t, dot, ended,
                                              gradients_at, largest, moved, on_constraints, values_at)
from mflow_core.dynamics.force cimport Force
from mflow_core.dynamics.structure cimport Structure
from mflow_core.methods.second_order.hooks cimport MF_CONSTRAINED
from mflow_core.problems.problem cimport Problem, failed, raise_or
from mflow_core.registry cimport REDUCE
from mflow_core.solvers.matrix cimport LINALG
from mflow_core.types cimport mf_accel_fn, mf_energy_fn, mf_solve_accel_fn

import numpy as np

from mflow_core.problems.signatures import PRODUCT_SIGNATURE, compiled_address
from mflow_core.problems.sparse import check_sparse, plain_array

cnp.import_array()

cdef enum:
    HEAD = 6                             # numbers of state of its own that do not scale

cdef double EPS = 2.220446049250313e-16


# ---- Python functions -------------------------------------------------------------------------------------------------------------------

ctypedef int (*quiet_fn)(Constrained, const double *, double *) noexcept


cdef object array_of(result, str argument, tuple shape, str meaning):
    if result is None:
        raise TypeError(f"{argument}: expected a function that returns {meaning}, got None")
    if hasattr(result, "tocsr"):
        result = check_sparse(result, argument).toarray()
    array = plain_array(result, argument)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{argument}: expected a function that returns real numbers, got dtype {array.dtype}")
    if array.size != np.prod(shape):
        raise ValueError(f"{argument}: expected a function that returns {meaning}, of shape {shape}, got shape {array.shape}")
    return np.ascontiguousarray(array, dtype=np.float64)


cdef int ask_values(Constrained p, const double *x, double *out) except -1:
    cdef cnp.ndarray array
    p.point(x)
    array = array_of(p.g_fun(p.view, *p.args), "constraints", (p.k.m,), f"{p.k.m} numbers, as at the start")
    memcpy(out, cnp.PyArray_DATA(array), p.k.m * sizeof(double))
    return 0


cdef int ask_gradients(Constrained p, const double *x, double *out) except -1:
    cdef cnp.ndarray array
    if p.jac_fun is None:
        return differences(p, x, out)
    p.point(x)
    result = p.jac_fun(p.view, *p.args) if callable(p.jac_fun) else p.jac_fun
    array = array_of(result, "constraints_jac", (p.k.m, p.k.n), "the gradients of the constraints as rows")
    memcpy(out, cnp.PyArray_DATA(array), p.k.m * p.k.n * sizeof(double))
    return 0


cdef int value_for(Constrained p, const double *x, double *out) except -1:
    cdef int status
    p.k.n_g += 1
    if p.k.g == python_values:
        return ask_values(p, x, out)
    status = p.k.g(x, out, p.k.n, p.k.g_ctx)
    if status != 0:
        raise ArithmeticError(f"constraints: the compiled function returned code {status} where it was differenced")
    return 0


cdef int differences(Constrained p, const double *x, double *out) except -1:
    """Central ones, to some 1e-11 of their size; beside a wall of the constraints to one side, where they are numbers there alone."""
    cdef cnp.ndarray shifted = np.empty(p.k.n), low = np.empty(p.k.m), high = np.empty(p.k.m)
    cdef double *at = <double *> cnp.PyArray_DATA(shifted)
    cdef double *f0 = <double *> cnp.PyArray_DATA(low)
    cdef double *f1 = <double *> cnp.PyArray_DATA(high)
    cdef double step, length = largest(p.k.n, x), size, up, down
    cdef ptrdiff_t i, j
    cdef int k
    memcpy(at, x, p.k.n * sizeof(double))
    for i in range(p.k.n):
        size = length if length > 0.0 else 1.0
        for k in range(3):                               # both sides, one, the other
            step = (cbrt(EPS) if k == 0 else sqrt(EPS)) * size
            up, down = x[i] + (step if k != 2 else 0.0), x[i] - (step if k != 1 else 0.0)
            at[i] = up
            value_for(p, at, f1)
            at[i] = down
            value_for(p, at, f0)
            at[i] = x[i]
            if REDUCE.all_finite(f0, p.k.m) and REDUCE.all_finite(f1, p.k.m):
                break
        for j in range(p.k.m):
            out[j * p.k.n + i] = (f1[j] - f0[j]) / (up - down)
    return 0


cdef int python_values(const double *x, double *out, ptrdiff_t n, void *ctx) noexcept with gil:
    cdef int status = (<quiet_fn> ask_values)(<Constrained> ctx, x, out)
    return failed() if status == -1 else status


cdef int python_gradients(const double *x, double *out, ptrdiff_t n, void *ctx) noexcept with gil:
    cdef int status = (<quiet_fn> ask_gradients)(<Constrained> ctx, x, out)
    return failed() if status == -1 else status


# ---- the problem ------------------------------------------------------------------------------------------------------------------------

cdef class Constrained(Problem):
    """The motion of `forces` (a Structure, a Force or a JoinedForce) on g(x) = 0, m equations for a state of the given shape.

    g(x, *args), or compiled (PRODUCT_SIGNATURE): m numbers. jac: None (differences), m x n numbers, or a function that returns them, or
    compiled, filling rows. whole: `accel` has the forces of the constraints, as implicit methods need it.
    """

    cdef constraint_t k
    cdef void *block
    cdef Problem forces
    cdef object g_fun, jac_fun, view
    cdef tuple args, shape

    def __init__(self, Problem forces, tuple shape, Py_ssize_t m, g, jac=None, tuple args=(), bint whole=False):
        cdef Structure body = forces if isinstance(forces, Structure) else (<Force> forces).body
        cdef ptrdiff_t n = forces.c.n, wide = (m * n + 7) // 8 * 8, square = (m * m + 7) // 8 * 8, short = (m + 7) // 8 * 8, padded = (n + 7) // 8 * 8
        cdef double *at
        self.forces, self.shape, self.args, self.g_fun, self.jac_fun = forces, shape, args, g, jac
        self.k.inner, self.k.body, self.k.n, self.k.m, self.k.whole = forces.c, &body.s, n, m, whole
        self.k.hooks.moved, self.k.hooks.ended = moved, ended
        self.block = mf_zeros((3 * wide + 4 * square + 3 * short + 4 * padded + 2 * (short + 8)) * sizeof(double) + 64, 1)
        if self.block == NULL:
            raise MemoryError(f"constraints: no memory for {m} constraints on {n} components")
        at = <double *> ((<uintptr_t> self.block + 63) // 64 * 64)
        self.k.G, self.k.W, self.k.G1 = at, at + wide, at + 2 * wide
        at += 3 * wide
        self.k.L, self.k.A1, self.k.J, self.k.J_lu = at, at + square, at + 2 * square, at + 3 * square
        at += 4 * square
        self.k.value, self.k.lam, self.k.change = at, at + short, at + 2 * short
        at += 3 * short
        self.k.at, self.k.x, self.k.q, self.k.a = at, at + padded, at + 2 * padded, at + 3 * padded
        at += 4 * padded
        self.k.pivots, self.k.J_pivots = <int32_t *> at, <int32_t *> (at + short + 8)
        self.c.n = n
        self.c.flags = MF_CONSTRAINED
        self.c.accel, self.c.ctx = <mf_accel_fn> constrained_accel, &self.k
        self.c.solve_accel = <mf_solve_accel_fn> constrained_solve if forces.c.solve_accel != NULL else NULL
        self.c.energy = <mf_energy_fn> constrained_energy if forces.c.energy != NULL else NULL
        self.energy_each_step = forces.energy_each_step
        self.compiled = forces.compiled
        self.take_functions(g, jac)

    def look(self, t, x, v, h):
        """As of the forces."""
        self.forces.look(t, x, v, h)
        self.energy_each_step = self.forces.energy_each_step

    def take_functions(self, g, jac):
        address = compiled_address(g, "constraints", PRODUCT_SIGNATURE)
        if address is not None:
            self.k.g, self.k.g_ctx = <constraint_fn> <size_t> address[0], <void *> <size_t> address[1]
        elif callable(g):
            self.k.g, self.k.g_ctx = python_values, <void *> self
            self.compiled = False
        else:
            raise TypeError(f"constraints: expected a function of x, got {type(g).__name__}")
        address = compiled_address(jac, "constraints_jac", PRODUCT_SIGNATURE) if jac is not None else None
        if address is not None:
            self.k.jac, self.k.jac_ctx = <constraint_fn> <size_t> address[0], <void *> <size_t> address[1]
        else:
            self.k.jac, self.k.jac_ctx, self.k.differenced = python_gradients, <void *> self, jac is None
            self.compiled = False

    cdef int point(self, const double *x) except -1:
        """A copy for the user to look at, and to keep."""
        view = np.empty(self.shape)
        memcpy(cnp.PyArray_DATA(<cnp.ndarray> view), x, self.k.n * sizeof(double))
        view.flags.writeable = False
        self.view = view
        return 0

    def __dealloc__(self):
        free(self.block)

    def at(self, double t, cnp.ndarray x, cnp.ndarray v):
        """(a, multipliers, the largest |g|, the largest |G v|) at a state: what the equations of motion say there, whatever the method."""
        cdef cnp.ndarray place = np.ascontiguousarray(x, dtype=np.float64).reshape(-1), speed = np.ascontiguousarray(v, dtype=np.float64).reshape(-1)
        cdef cnp.ndarray a = np.empty(self.k.n), lam = np.empty(self.k.m)
        cdef const double *px = <const double *> cnp.PyArray_DATA(place)
        cdef const double *pv = <const double *> cnp.PyArray_DATA(speed)
        cdef unsigned int mode = mf_fp_enter()
        cdef double off = NAN, off_v = 0.0, one
        cdef ptrdiff_t j
        cdef int status = on_constraints(&self.k, t, px, pv, <double *> cnp.PyArray_DATA(a))
        memcpy(cnp.PyArray_DATA(lam), self.k.lam, self.k.m * sizeof(double))
        if status == 0:
            for j in range(self.k.m):
                one = fabs(dot(self.k.n, self.k.G + j * self.k.n, pv))
                off_v = one if one > off_v else off_v
            status = values_at(&self.k, px)
        if status == 0:
            off = largest(self.k.m, self.k.value)
        mf_fp_leave(mode)
        raise_or(status)
        if status != 0:
            a[:] = NAN
            lam[:] = NAN
            off = off_v = NAN
        return a, lam, off, off_v

    def values(self, cnp.ndarray x):
        """g(x), (m,)."""
        cdef cnp.ndarray at = np.ascontiguousarray(x, dtype=np.float64), out = np.empty(self.k.m)
        value_for(self, <const double *> cnp.PyArray_DATA(at), <double *> cnp.PyArray_DATA(out))
        return out

    def gradients(self, cnp.ndarray x):
        """G(x), (m, n)."""
        cdef cnp.ndarray at = np.ascontiguousarray(x, dtype=np.float64), out = np.empty((self.k.m, self.k.n))
        cdef int status = gradients_at(&self.k, <const double *> cnp.PyArray_DATA(at), <double *> cnp.PyArray_DATA(out))
        raise_or(status)
        if status != 0:
            raise ArithmeticError(f"constraints_jac: the compiled function returned code {status}")
        return out

    cdef ptrdiff_t state_size(self):
        return HEAD + self.k.m + self.k.m * self.k.m + self.forces.state_size()

    cdef int state_pack(self, double *state) except -1:
        """The multipliers, which the next solve begins with, and the matrix of answers."""
        cdef ptrdiff_t m = self.k.m
        state[0], state[1] = <double> self.k.n_g, <double> self.k.n_jac
        state[2], state[3], state[4], state[5] = self.k.w, self.k.bx, self.k.bv, 1.0 if self.k.J_ready else 0.0
        memcpy(state + HEAD, self.k.lam, m * sizeof(double))
        memcpy(state + HEAD + m, self.k.J, m * m * sizeof(double))
        return self.forces.state_pack(state + HEAD + m + m * m)

    cdef int state_unpack(self, const double *state) except -1:
        cdef ptrdiff_t m = self.k.m
        if not (0.0 <= state[0] < 9007199254740992.0 and 0.0 <= state[1] < 9007199254740992.0):
            raise ValueError("data: expected the saved state of constraints, got one that is damaged")
        self.k.n_g, self.k.n_jac = <int64_t> state[0], <int64_t> state[1]
        self.k.w, self.k.bx, self.k.bv = state[2], state[3], state[4]
        memcpy(self.k.lam, state + HEAD, m * sizeof(double))
        memcpy(self.k.J, state + HEAD + m, m * m * sizeof(double))
        memcpy(self.k.J_lu, self.k.J, m * m * sizeof(double))
        self.k.J_ready = state[5] == 1.0 and LINALG.lu_factor(m, self.k.J_lu, self.k.J_pivots) == 0
        self.k.known = False
        return self.forces.state_unpack(state + HEAD + m + m * m)

    @property
    def count(self):
        """How many constraints there are."""
        return self.k.m

    @property
    def symmetric(self):
        """Whether there is a potential."""
        return getattr(self.forces, "symmetric", True)

    @property
    def bits(self):
        """The most significant bits of a number that a Python force has returned; 0 where there is none."""
        return getattr(self.forces, "bits", 0)

    @property
    def counters(self):
        """Those of the forces; ng, ngjac: calls of the constraints and of their gradients; dependent: the constraint that was found to depend
        on others, or None; diverged: whether multipliers were not found."""
        return {**self.forces.counters, "ng": self.k.n_g, "ngjac": self.k.n_jac, "dependent": self.k.failed - 1 if self.k.failed > 0 else None,
                "diverged": self.k.failed < 0}
