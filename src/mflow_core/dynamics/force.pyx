"""Nonlinear dynamics, M x'' = F(t, x, v): accelerations for second-order methods, by Newton's iteration where they are implicit.

    a - w M^-1 F(t, xp + bx a, vp + bv a) - q = 0

has the form z - gh f(t, z) = r of newton.pyx, with gh = 1 and f of the unknown a; its Jacobian, w M^-1 (bx dF/dx + bv dF/dv), is
made from the user's tangents or from differences, and is kept over steps as long as w, bx and bv are what they were. The mass is a
`Structure` without springs.

A Python force gets private read-only copies of x and v; if it keeps one it has it for itself, and the next call gets another.
"""
from cpython.object cimport PyObject
from libc.math cimport NAN, fabs
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memcmp, memcpy, memset

cimport numpy as cnp

from mflow_core.arithmetic.bits cimport most_bits
from mflow_core.arithmetic.memory cimport mf_zeros, stride_of
from mflow_core.dynamics.factors cimport sum_product, sum_t
from mflow_core.dynamics.structure cimport body_product, body_solve, body_sum_solve, body_work
from mflow_core.problems.problem cimport failed, raise_or
from mflow_core.registry cimport REDUCE
from mflow_core.solvers.matrix cimport matrix_refresh
from mflow_core.solvers.newton cimport EPS, newton_forget
from mflow_core.solvers.stages.brackets cimport bracket_solve
from mflow_core.solvers.stages.resumed cimport newton_pack, newton_state_size, newton_unpack
from mflow_core.types cimport (MF_E_CALLBACK, MF_VELOCITY_FREE, mf_accel_fn, mf_energy_fn, mf_jac_fn, mf_new_problem,
                               mf_problem, mf_rhs_fn, mf_solve_accel_fn)

import numpy as np
from mflow_core.problems.sparse import check_sparse, plain_array
from mflow_core.problems.signatures import FORCE_SIGNATURE, POTENTIAL_SIGNATURE, SOLVE_ACCEL_SIGNATURE, check_size, compiled_address

cnp.import_array()

cdef double FOUR_ROOT_EPS = 4.0 * 1.4901161193847656e-08     # differences in a move x (or v) by sqrt(eps) of its own size at least

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define MF_KEPT(a) 1                 /* another thread may hold it unseen: always take a new array */
    #else
    #define MF_KEPT(a) (Py_REFCNT(a) > 1)
    #endif
    """
    bint MF_KEPT(PyObject *)


# ---- accelerations --------------------------------------------------------------------------------------------------------------------

cdef int force_accel(double t, const double *x, const double *v, double *a, ptrdiff_t n, void *ctx) noexcept nogil:
    """a = M^-1 F(t, x, v)."""
    cdef force_t *p = <force_t *> ctx
    cdef int status
    p.n_force += 1
    status = p.force(t, x, v, a, n, p.ctx)
    return body_solve(p.body, a) if status == 0 else status


cdef int force_rhs(double t, const double *a, double *out, ptrdiff_t n, void *ctx) noexcept nogil:
    """w M^-1 F at the state that belongs to a."""
    cdef force_t *p = <force_t *> ctx
    cdef ptrdiff_t i
    cdef int status
    for i in range(n):
        p.x[i] = p.xp[i] + p.bx * a[i]
        p.v[i] = p.vp[i] + p.bv * a[i]
    p.n_force += 1
    status = p.force(t, p.x, p.v, out, n, p.ctx)
    if status == 0:
        status = body_sum_solve(p.body, p.c, p.k, out)
    if status == 0 and p.w != 1.0:
        for i in range(n):
            out[i] = p.w * out[i]
    return status


cdef int force_solve(double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q, double *a, ptrdiff_t n,
                     void *ctx) noexcept nogil:
    cdef force_t *p = <force_t *> ctx
    cdef ptrdiff_t i
    cdef int status
    if p.user_solve != NULL:
        return p.user_solve(t, w, xp, vp, bx, bv, q, a, n, p.user_ctx)
    if bx == 0.0 and bv == 0.0:
        status = take_equation(p, w, xp, vp, bx, bv, 0.0, 0.0)
        if status == 0:
            status = force_rhs(t, xp, a, n, ctx)     # whatever a is: it does not count
        if status == 0 and q != NULL:
            for i in range(n):
                a[i] = a[i] + q[i]
        return status
    if q == NULL:
        memset(p.r, 0, n * sizeof(double))
    else:
        memcpy(p.r, q, n * sizeof(double))
    return force_equation(p, t, w, xp, vp, bx, bv, 0.0, 0.0, a, n)


cdef int take_equation(force_t *p, double w, const double *xp, const double *vp, double bx, double bv, double c, double k) noexcept nogil:
    """The equation at hand is this one from here on."""
    cdef int status = 0
    if p.newton != NULL and (p.w != w or p.bx != bx or p.bv != bv):
        p.newton.want_jacobian = True        # the one at hand is of another equation
    if p.newton != NULL and p.newton.m.stale and not p.newton.want_jacobian and not p.newton.c.full:
        status = rebuild(p)
    p.w, p.bx, p.bv, p.xp, p.vp, p.c, p.k = w, bx, bv, xp, vp, c, k
    return status if status < 0 else 0


cdef int force_equation(force_t *p, double t, double w, const double *xp, const double *vp, double bx, double bv, double c, double k, double *a,
                        ptrdiff_t n) noexcept nogil:
    """Solve a = w (M + c C + k K)^-1 F(t, xp + bx a, vp + bv a) + p.r by Newton's iteration; a holds a guess."""
    cdef sum_t sum = sum_t(p.body, &p.body.factors[0 if c == 0.0 and k == 0.0 else 1])
    cdef int64_t taken
    cdef int status = take_equation(p, w, xp, vp, bx, bv, c, k)
    if status != 0:
        return status
    if p.newton == NULL:
        return MF_E_CALLBACK
    taken = p.newton.m.njev
    p.newton.noise = rounding(p)
    p.newton.m.least_move = p.newton.noise / FOUR_ROOT_EPS
    p.newton.noise += 4.0 * EPS * REDUCE.max_abs(p.r, n)     # what friction holds: all forces balance, up to the rounding of each
    status = bracket_solve(t, 1.0, p.r, a, n, p.newton, sum_product, &sum)
    if p.newton.m.njev != taken:
        memcpy(p.jx, xp, n * sizeof(double))
        memcpy(p.jv, vp, n * sizeof(double))
    return status


cdef double rounding(const force_t *p) noexcept nogil:
    """By how much an acceleration may be off because x and v are rounded: near rest it is small, and the force a difference of large
    numbers. Stiffness and damping that outweigh the mass give the most, EPS x / bx and EPS v / bv."""
    cdef double of_x = REDUCE.max_abs(p.xp, p.n) / p.bx if p.bx != 0.0 else 0.0
    cdef double of_v = REDUCE.max_abs(p.vp, p.n) / p.bv if p.bv != 0.0 else 0.0
    return 4.0 * EPS * (fabs(of_x) + fabs(of_v))


cdef int rebuild(force_t *p) noexcept nogil:
    """After a restore: the Jacobian and its factors as they were, which belong to an earlier equation; counted apart."""
    cdef int64_t before = p.n_force
    cdef int status
    p.xp, p.vp = p.jx, p.jv
    status = matrix_refresh(&p.newton.m)
    p.n_force = before
    return status


cdef int force_energy(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n, void *ctx) noexcept nogil:
    """Kinetic and potential energy; or, over a step, the work of the whole force, M a, or what it did beside its potential."""
    cdef force_t *p = <force_t *> ctx
    cdef ptrdiff_t i
    if y0 == NULL:
        body_product(p.body, y1[1], p.v)
        e[0] = 0.5 * body_work(p.body, y1[1], p.v)
        return p.potential(t1, y1[0], e + 1, n, p.potential_ctx) if p.potential != NULL else 0
    if p.potential == NULL:
        for i in range(n):
            p.x[i] = 0.5 * y0[2][i] + 0.5 * y1[2][i]
        body_product(p.body, p.x, p.v)
        for i in range(n):
            p.x[i] = y1[0][i] - y0[0][i]
        e[2] += body_work(p.body, p.x, p.v)
        return 0
    return book_parts(p, t0, y0, t1, y1, e, n)


# ---- parts of F, for the ledger ------------------------------------------------------------------------------------------------------

# Over a step, with bars for the mean of both ends and D for the difference, F is booked as
#
#     damping     - Dx'F_vbar,      F_v = F(t, x, v) - F(t, x, 0)
#     load        Dx'F_xbar,        F_x = F(t, x, 0);      with a potential Dx'F_xbar + D potential, and that only where F depends on t
#
# With a potential and no t the work of F_x is the change of the potential, and the residual shows by how much the step's quadrature is off.
# F at the end of a step is kept for the next one.

cdef int parts_at(force_t *p, double t, const double *x, const double *v, double *of_v, double *of_x) noexcept nogil:
    """F_v and F_x at a state; of_x alone where F does not use v."""
    cdef ptrdiff_t i, n = p.n
    cdef int status = p.force(t, x, p.parts.nil, of_x, n, p.ctx)
    p.n_force += 1
    if status != 0 or not p.parts.uses_v:
        return status
    p.n_force += 1
    status = p.force(t, x, v, of_v, n, p.ctx)
    for i in range(n):
        of_v[i] = of_v[i] - of_x[i]
    return status


cdef int parts_at_start(force_t *p, double t, const double *x, const double *v) noexcept nogil:
    """They are those of the last end, where that is this state."""
    cdef parts_t *at = &p.parts
    cdef ptrdiff_t size = p.n * sizeof(double)
    cdef int64_t before = p.n_force
    cdef int status
    if at.known and at.t == t and memcmp(at.x, x, size) == 0 and memcmp(at.v, v, size) == 0:
        return 0
    status = parts_at(p, t, x, v, at.of_v, at.of_x)
    if at.uncounted:
        p.n_force = before
    at.uncounted = False
    return status


cdef int book_parts(force_t *p, double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n) noexcept nogil:
    """Adds what F has done over a step, where something of it is booked."""
    cdef parts_t *at = &p.parts
    cdef double before = 0.0, after = 0.0
    cdef double *dx = p.x
    cdef ptrdiff_t i
    cdef int status
    if not at.uses_v and not at.uses_t and p.potential != NULL:
        return 0
    status = parts_at_start(p, t0, y0[0], y0[1])
    if status == 0:
        at.known = False
        status = parts_at(p, t1, y1[0], y1[1], at.next_of_v, at.next_of_x)
    if status == 0 and at.uses_t:
        status = p.potential(t0, y0[0], &before, n, p.potential_ctx)
        if status == 0:
            status = p.potential(t1, y1[0], &after, n, p.potential_ctx)
    if status != 0:
        return status
    for i in range(n):
        dx[i] = y1[0][i] - y0[0][i]
        p.v[i] = 0.5 * at.of_x[i] + 0.5 * at.next_of_x[i]
    if p.potential == NULL or at.uses_t:
        e[2] += body_work(p.body, dx, p.v) + (after - before)
    if at.uses_v:
        for i in range(n):
            p.v[i] = 0.5 * at.of_v[i] + 0.5 * at.next_of_v[i]
        e[3] -= body_work(p.body, dx, p.v)
    at.of_v, at.next_of_v = at.next_of_v, at.of_v
    at.of_x, at.next_of_x = at.next_of_x, at.of_x
    memcpy(at.x, y1[0], n * sizeof(double))
    memcpy(at.v, y1[1], n * sizeof(double))
    at.t, at.known = t1, True
    return 0


# ---- Python functions -----------------------------------------------------------------------------------------------------------------

ctypedef int (*quiet_force)(Force, double, const double *, const double *, double *) noexcept
ctypedef int (*quiet_potential)(Force, double, const double *, double *) noexcept


cdef int ask_force(Force p, double t, const double *x, const double *v, double *out) except -1:
    cdef cnp.ndarray array
    cdef ptrdiff_t i
    p.point(x, v)
    try:
        if p.inplace:
            for i in range(p.f.n):           # an entry that the function forgets is NaN, never the force of another state
                p.out_data[i] = NAN
            result = p.fun(t, p.x_view, p.v_view, p.out, *p.args)
            if result is not None and result is not p.out:
                raise TypeError(f"force: expected a function that fills its `out` and returns nothing (inplace=True), got {type(result).__name__}; "
                                "omit inplace=True")
            memcpy(out, p.out_data, p.f.n * sizeof(double))
            return 0
        result = p.fun(t, p.x_view, p.v_view, *p.args)
    finally:
        p.leave()
    if result is None:
        raise TypeError("force: expected a function that returns the force, got None; pass inplace=True if it fills its `out`")
    array = plain_array(result, "force")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"force: expected a function that returns real numbers, got dtype {array.dtype}")
    if (<object> array).shape != p.shape and not (cnp.PyArray_SIZE(array) == 1 and p.f.n == 1):
        raise ValueError(f"force: expected a function that returns shape {p.shape} as the state has, got shape {(<object> array).shape}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    memcpy(out, cnp.PyArray_DATA(array), p.f.n * sizeof(double))
    return 0


cdef int python_force(double t, const double *x, const double *v, double *out, ptrdiff_t n, void *ctx) noexcept with gil:
    cdef Force p = <Force> ctx
    cdef int status = (<quiet_force> ask_force)(p, t, x, v, out)
    if status == 0:
        p.bits = most_bits(out, n, p.bits)
    return failed() if status == -1 else status


cdef int ask_potential(Force p, double t, const double *x, double *value) except -1:
    p.point(x, x)
    try:
        result = plain_array(p.potential(p.x_view, *p.args), "potential")
    finally:
        p.leave()
    if result.size != 1 or result.dtype.kind not in "biuf":
        raise TypeError(f"potential: expected a function that returns a single real number, got shape {result.shape} and dtype {result.dtype}")
    value[0] = result.item()
    return 0


cdef int python_potential(double t, const double *x, double *value, ptrdiff_t n, void *ctx) noexcept with gil:
    cdef int status = (<quiet_potential> ask_potential)(<Force> ctx, t, x, value)
    return failed() if status == -1 else status


ctypedef int (*quiet_solve)(Force, double, double, const double *, const double *, double, double, const double *, double *) noexcept


cdef object array_of(Force p, const double *x):
    """A copy, the user's to keep; None for NULL."""
    if x == NULL:
        return None
    array = np.empty(p.shape)
    memcpy(cnp.PyArray_DATA(<cnp.ndarray> array), x, p.f.n * sizeof(double))
    return array


cdef int ask_solve(Force p, double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q, double *a) except -1:
    cdef cnp.ndarray array
    result = p.user(t, w, array_of(p, xp), array_of(p, vp), bx, bv, array_of(p, q), array_of(p, a))
    if result is None:
        raise TypeError("solve_accel: expected a function that returns the accelerations, got None")
    if np.iscomplexobj(result):
        raise TypeError("solve_accel: expected a function that returns real numbers, got complex ones")
    array = np.ascontiguousarray(result, dtype=np.float64)
    if (<object> array).shape != p.shape:
        raise ValueError(f"solve_accel: expected a function that returns shape {p.shape} as the state has, got shape {(<object> array).shape}")
    memcpy(a, cnp.PyArray_DATA(array), p.f.n * sizeof(double))
    return 0


cdef int python_solve(double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q, double *a, ptrdiff_t n,
                      void *ctx) noexcept with gil:
    cdef int status = (<quiet_solve> ask_solve)(<Force> ctx, t, w, xp, vp, bx, bv, q, a)
    return failed() if status == -1 else status


cdef object tangent_at(Force p, double t, fun, str argument):
    """One of dF/dx and dF/dv, n x n."""
    if fun is None:
        return 0.0
    result = fun(t, p.x_view, p.v_view, *p.args) if callable(fun) else fun
    array = check_sparse(result, argument).toarray() if hasattr(result, "tocsr") else plain_array(result, argument)
    if array.dtype.kind == "c":
        raise TypeError(f"{argument}: expected real numbers, got complex ones")
    if array.shape != (p.f.n, p.f.n):
        raise ValueError(f"{argument}: expected shape ({p.f.n}, {p.f.n}) for a state of {p.f.n} components, got {array.shape}; row i holds the "
                         "derivatives of component i of the force")
    return np.asarray(array, dtype=np.float64)


cdef int ask_tangent(Force p, double t, const double *a, double *jac) except -1:
    """w M^-1 (bx dF/dx + bv dF/dv) at the state that belongs to a."""
    cdef cnp.ndarray column
    cdef ptrdiff_t i, j, n = p.f.n
    for i in range(n):
        p.f.x[i] = p.f.xp[i] + p.f.bx * a[i]
        p.f.v[i] = p.f.vp[i] + p.f.bv * a[i]
    p.point(p.f.x, p.f.v)
    try:
        total = p.f.bx * tangent_at(p, t, p.dfdx, "dfdx") + p.f.bv * tangent_at(p, t, p.dfdv, "dfdv")
    finally:
        p.leave()
    total = p.f.w * (total + np.zeros((n, n)))
    for j in range(n):
        column = np.ascontiguousarray(total[:, j])
        body_sum_solve(p.f.body, p.f.c, p.f.k, <double *> cnp.PyArray_DATA(column))
        for i in range(n):
            jac[i * n + j] = (<double *> cnp.PyArray_DATA(column))[i]
    return 0


cdef object sparse_part(Force p, double t, fun, str argument, double scale):
    """scale times one of dF/dx and dF/dv, as SciPy has it; None where it does not count."""
    import scipy.sparse

    if fun is None or scale == 0.0:
        return None
    value = fun(t, p.x_view, p.v_view, *p.args) if callable(fun) else fun
    value = scipy.sparse.csr_array(check_sparse(value, argument) if hasattr(value, "tocsr") else value)
    if value.dtype.kind == "c":
        raise TypeError(f"{argument}: expected real numbers, got complex ones")
    if value.shape != (p.f.n, p.f.n):
        raise ValueError(f"{argument}: expected shape ({p.f.n}, {p.f.n}) for a state of {p.f.n} components, got {value.shape}")
    return scale * value


ctypedef int (*quiet_tangent)(Force, double, const double *, double *) noexcept


cdef int python_tangent(double t, const double *a, double *jac, ptrdiff_t n, void *ctx) noexcept with gil:
    cdef int status = (<quiet_tangent> ask_tangent)(<Force> ctx, t, a, jac)
    return failed() if status == -1 else status


# ---- the problem ----------------------------------------------------------------------------------------------------------------------

cdef class Force(Problem):
    """M x'' = force(t, x, v, *args), or force(t, x, v, out, *args) with inplace=True; x and v have the given shape.

    dfdx, dfdv: constant matrices or functions of (t, x, v). potential(x): for the ledger. velocity_free: the force does not use v.
    solver: how implicit accelerations are solved for; None: they cannot be. solve_accel(t, w, xp, vp, bx, bv, q, guess): in its place, a of
    a = w M^-1 F(t, xp + bx a, vp + bv a) + q (q may be None).
    """

    def __init__(self, force, tuple shape, mass=None, tuple args=(), bint inplace=False, dfdx=None, dfdv=None, potential=None,
                 bint velocity_free=False, Solver solver=None, solve_accel=None, Structure body=None):
        cdef parts_t *parts = &self.f.parts
        cdef ptrdiff_t n = 1, padded
        cdef double *at
        for length in shape:
            n *= length
        padded = stride_of(n)
        self.shape, self.args, self.inplace, self.fun, self.dfdx, self.dfdv = shape, args, inplace, force, dfdx, dfdv
        self.body = Structure(n, mass) if body is None else body
        self.block = mf_zeros(12 * padded * sizeof(double) + 64, 1)
        if self.block == NULL:
            raise MemoryError(f"force: no memory for {n} components")
        at = <double *> ((<uintptr_t> self.block + 63) // 64 * 64)
        self.f.n, self.f.body, self.f.x, self.f.v, self.f.r = n, &self.body.s, at, at + padded, at + 2 * padded
        self.f.jx, self.f.jv = at + 3 * padded, at + 4 * padded
        parts.x, parts.v, parts.of_v, parts.of_x = at + 5 * padded, at + 6 * padded, at + 7 * padded, at + 8 * padded
        parts.next_of_v, parts.next_of_x, parts.nil, parts.t = at + 9 * padded, at + 10 * padded, at + 11 * padded, NAN
        self.f.w = self.f.bx = self.f.bv = NAN
        self.f.c = self.f.k = 0.0
        self.c.n = n
        self.c.flags = MF_VELOCITY_FREE if velocity_free else 0
        self.c.accel, self.c.ctx = <mf_accel_fn> force_accel, &self.f
        self.c.solve_accel = <mf_solve_accel_fn> force_solve
        self.c.energy = <mf_energy_fn> force_energy
        self.take_force(force)
        self.take_potential(potential)
        if solve_accel is not None:
            self.take_solve_accel(solve_accel)
        elif solver is not None:
            self.take_solver(solver)
        elif self.compiled:
            self.calls = &self.f.n_force

    cdef object value(self, double t, const double *x, const double *v):
        """F there; None where it is not finite."""
        cdef cnp.ndarray out = np.empty(self.f.n)
        cdef int status = self.f.force(t, x, v, <double *> cnp.PyArray_DATA(out), self.f.n, self.f.ctx)
        self.f.n_force += 1
        return out if raise_or(status) == 0 and np.isfinite(out).all() else None

    def look(self, double t, cnp.ndarray x not None, cnp.ndarray v not None, double h):
        """For the ledger, at the start: whether F has more than its potential, by way of the velocity or, over the first step, of the time."""
        cdef const double *at = <const double *> cnp.PyArray_DATA(x)
        cdef bint alone = self.c.energy == <mf_energy_fn> force_energy
        if self.f.potential == NULL:
            return
        still, later = self.value(t, at, self.f.parts.nil), self.value(t + h, at, self.f.parts.nil)
        self.f.parts.uses_t = still is not None and later is not None and not np.array_equal(still, later)
        if alone and not self.c.flags & MF_VELOCITY_FREE:
            speed = np.ascontiguousarray(v if np.any(v) else np.ones(self.f.n))
            moving = self.value(t, at, <const double *> cnp.PyArray_DATA(<cnp.ndarray> speed))
            self.f.parts.uses_v = still is not None and moving is not None and not np.array_equal(still, moving)
        self.energy_each_step = self.f.parts.uses_t or (self.f.parts.uses_v if alone else self.energy_each_step)

    def take_force(self, force):
        address = compiled_address(force, "force", FORCE_SIGNATURE)
        if address is not None:
            if self.args or self.inplace:
                raise TypeError("force: expected no args and no inplace for a compiled function; put its data into its user data")
            check_size(force, "force", self.c.n)
            self.owner = force
            self.f.force, self.f.ctx = <mf_accel_fn> <size_t> address[0], <void *> <size_t> address[1]
        elif callable(force):
            self.renew()
            self.f.force, self.f.ctx = <mf_accel_fn> python_force, <void *> self
        else:
            raise TypeError(f"force: expected a function of (t, x, v) or a compiled one, got {type(force).__name__}")
        self.compiled = address is not None and self.body.compiled

    def take_potential(self, potential):
        self.energy_whole = self.energy_each_step = potential is None
        if potential is None:
            return
        address = compiled_address(potential, "potential", POTENTIAL_SIGNATURE)
        self.potential = potential
        if address is not None:
            self.f.potential, self.f.potential_ctx = <potential_fn> <size_t> address[0], <void *> <size_t> address[1]
        elif callable(potential):
            if self.x_view is None:
                self.renew()
            self.f.potential, self.f.potential_ctx = <potential_fn> python_potential, <void *> self
            self.compiled = False
        else:
            raise TypeError(f"potential: expected a function of x, got {type(potential).__name__}")

    def take_solve_accel(self, solve_accel):
        address = compiled_address(solve_accel, "solve_accel", SOLVE_ACCEL_SIGNATURE)
        self.user = solve_accel
        if address is not None:
            self.f.user_solve, self.f.user_ctx = <mf_solve_accel_fn> <size_t> address[0], <void *> <size_t> address[1]
        elif callable(solve_accel):
            self.f.user_solve, self.f.user_ctx = <mf_solve_accel_fn> python_solve, <void *> self
            self.compiled = False
        else:
            raise TypeError("solve_accel: expected a function of (t, w, xp, vp, bx, bv, q, guess) or a compiled one, got "
                            f"{type(solve_accel).__name__}")

    def take_solver(self, Solver solver):
        cdef mf_problem inner = mf_new_problem()
        cdef mf_jac_fn jac = NULL
        inner.n, inner.rhs, inner.ctx = self.f.n, <mf_rhs_fn> force_rhs, &self.f
        if self.dfdx is not None or self.dfdv is not None:
            jac = <mf_jac_fn> python_tangent
            if self.x_view is None:
                self.renew()
            self.compiled = False
        if solver.sparse is not None:
            solver.sparse.ask = self.sparse_tangent
            if self.x_view is None:
                self.renew()
        self.f.newton = solver.attach(&inner, jac, <void *> self)
        self.solver = solver
        self.compiled = self.compiled and not solver.python

    def sparse_tangent(self, double t, cnp.ndarray a):
        """w (bx dF/dx + bv dF/dv) at the state that belongs to a, as a SciPy sparse matrix."""
        cdef const double *at = <const double *> cnp.PyArray_DATA(a)
        cdef ptrdiff_t i
        for i in range(self.f.n):
            self.f.x[i] = self.f.xp[i] + self.f.bx * at[i]
            self.f.v[i] = self.f.vp[i] + self.f.bv * at[i]
        self.point(self.f.x, self.f.v)
        try:
            parts = [sparse_part(self, t, self.dfdx, "dfdx", self.f.w * self.f.bx), sparse_part(self, t, self.dfdv, "dfdv", self.f.w * self.f.bv)]
        finally:
            self.leave()
        given = [part for part in parts if part is not None]
        if not given:
            import scipy.sparse

            return scipy.sparse.csr_array((self.f.n, self.f.n))
        return given[0] if len(given) == 1 else given[0] + given[1]

    cdef int renew(self) except -1:
        """Arrays of the user's own from here on."""
        self.x_view, self.v_view = np.empty(self.shape), np.empty(self.shape)
        self.x_data = <double *> cnp.PyArray_DATA(<cnp.ndarray> self.x_view)
        self.v_data = <double *> cnp.PyArray_DATA(<cnp.ndarray> self.v_view)
        self.x_view.flags.writeable = self.v_view.flags.writeable = False
        self.out = np.zeros(self.shape)
        self.out_data = <double *> cnp.PyArray_DATA(<cnp.ndarray> self.out)
        return 0

    cdef int point(self, const double *x, const double *v) except -1:
        """Copies for the user to look at."""
        memcpy(self.x_data, x, self.f.n * sizeof(double))
        memcpy(self.v_data, v, self.f.n * sizeof(double))
        return 0

    cdef int leave(self) except -1:
        """After a call: arrays that the user has kept are his."""
        if MF_KEPT(<PyObject *> self.x_view) or MF_KEPT(<PyObject *> self.v_view) or MF_KEPT(<PyObject *> self.out):
            self.renew()
        return 0

    def __dealloc__(self):
        free(self.block)

    cdef ptrdiff_t state_size(self):
        return 5 + 2 * self.f.n + (newton_state_size(self.f.newton) if self.f.newton != NULL else 0)

    cdef int state_pack(self, double *state) except -1:
        """The equation whose Jacobian is at hand, where that was taken, whether the parts of F are at hand, and the solver's state."""
        cdef ptrdiff_t n = self.f.n
        state[0], state[1], state[2], state[3] = <double> self.f.n_force, self.f.w, self.f.bx, self.f.bv
        memcpy(state + 4, self.f.jx, n * sizeof(double))
        memcpy(state + 4 + n, self.f.jv, n * sizeof(double))
        state[4 + 2 * n] = 1.0 if self.f.parts.known or self.f.parts.uncounted else 0.0
        if self.f.newton != NULL:
            newton_pack(self.f.newton, state + 5 + 2 * n)
        return 0

    def forget(self):
        """The state jumps: the Jacobian at hand and its equation belong to the old one."""
        if self.f.newton != NULL:
            newton_forget(self.f.newton)
        self.f.w = self.f.bx = self.f.bv = 0.0
        self.f.parts.known = False           # F may jump, too

    cdef int state_unpack(self, const double *state) except -1:
        cdef ptrdiff_t n = self.f.n
        if not 0.0 <= state[0] < 9007199254740992.0 or (self.f.newton != NULL and newton_unpack(self.f.newton, state + 5 + 2 * n) != 0):
            raise ValueError("data: expected the saved state of a force, got one that is damaged")
        self.f.n_force, self.f.w, self.f.bx, self.f.bv = <int64_t> state[0], state[1], state[2], state[3]
        memcpy(self.f.jx, state + 4, n * sizeof(double))
        memcpy(self.f.jv, state + 4 + n, n * sizeof(double))
        self.f.parts.known, self.f.parts.uncounted = False, state[4 + 2 * n] == 1.0
        return 0

    @property
    def counters(self):
        """nfev: calls of the force; njev, nlu, niter: of Newton's iteration."""
        solved = self.solver.counters if self.solver is not None else {}
        return {"nfev": self.f.n_force, "njev": solved.get("njev", 0), "nlu": solved.get("nlu", 0), "niter": solved.get("niter", 0)}
