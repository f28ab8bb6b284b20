"""A force beside the matrices and the load of a structure: M x'' + C v + K x = load(t) + F(t, x, v).

    accel:        a = M^-1 (load(t) - C v - K x + F(t, x, v))
    solve_accel:  S a = w (load(t) - C vp - K xp + F(t, xp + bx a, vp + bv a)) + M q,       S = M + w bv C + w bx K

The matrices stay on the left, so that methods which are implicit in them alone solve one linear system a step: F does not depend on a where
bx is 0 and either bv is 0 or F does not use v. Otherwise Newton's iteration solves a - w S^-1 F(t, xp + bx a, vp + bv a) = r with
r = S^-1 (w (load - C vp - K xp) + M q), as in force.pyx, whose mass is S here.

Energies over a step, with bars for the mean of both ends and D for the difference, as the ledger has them for the load:

    damping     Dx'C vbar - Dx'F_vbar,      F_v = F(t, x, v) - F(t, x, 0)
    load        Dx'fbar; without a potential of F also Dx'F_xbar,      F_x = F(t, x, 0)

With a potential the work of F_x is the change of the potential, and the residual shows by how much the step's quadrature is off. F at the end
of a step is kept for the next one.
"""
from libc.math cimport NAN
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from mflow_core.dynamics.force cimport Force, force_equation, force_t
from mflow_core.dynamics.structure cimport (Structure, body_forces, body_product, body_solve, body_sum_solve, body_work, structure_energy,
                                              structure_inertia)
from mflow_core.dynamics.factors cimport structure_t
from mflow_core.solvers.operators cimport OP_NONE
from mflow_core.solvers.solver cimport Solver
from mflow_core.types cimport MF_VELOCITY_FREE, mf_accel_fn, mf_energy_fn, mf_solve_accel_fn

cdef enum:
    HEAD = 3                             # numbers of state of its own


ctypedef struct joined_t:
    force_t *f
    bint free_of_v                       # F does not use v
    bint known, uncounted                # of_v, of_x are those of (t, x, v); what is asked for after a restore had been counted before it
    double t
    double *x
    double *v
    double *of_v                         # F(t, x, v) - F(t, x, 0)
    double *of_x                         # F(t, x, 0)
    double *next_of_v
    double *next_of_x
    double *nil


# ---- accelerations --------------------------------------------------------------------------------------------------------------------

cdef int joined_accel(double t, const double *x, const double *v, double *a, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef force_t *p = (<joined_t *> ctx).f
    cdef int status
    p.n_force += 1
    status = p.force(t, x, v, a, n, p.ctx)
    if status == 0:
        status = body_forces(p.body, t, x, v, a)
    return body_solve(p.body, a) if status == 0 else status


cdef int joined_solve(double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q, double *a, ptrdiff_t n,
                      void *ctx) noexcept nogil:
    cdef joined_t *j = <joined_t *> ctx
    cdef force_t *p = j.f
    cdef structure_t *s = p.body
    cdef double c = w * bv if s.C.kind != OP_NONE else 0.0, k = w * bx if s.K.kind != OP_NONE else 0.0
    cdef bint is_known = bx == 0.0 and (bv == 0.0 or j.free_of_v)      # what F is, whatever a will be
    cdef double *r = p.r
    cdef ptrdiff_t i
    cdef int status = 0
    if s.cg:
        memcpy(s.cg_room, a, n * sizeof(double))         # the guess
    if is_known:
        p.n_force += 1
        status = p.force(t, xp, vp, r, n, p.ctx)
    else:
        memset(r, 0, n * sizeof(double))
    if status == 0:
        status = body_forces(s, t, xp, vp, r)
    if status != 0:
        return status
    if w != 1.0:
        for i in range(n):
            r[i] = w * r[i]
    if q != NULL:
        body_product(s, q, p.v)
        for i in range(n):
            r[i] = r[i] + p.v[i]
    status = body_sum_solve(s, c, k, r)
    if status != 0:
        return status
    if not is_known:
        return force_equation(p, t, w, xp, vp, bx, bv, c, k, a, n)
    memcpy(a, r, n * sizeof(double))
    return 0


# ---- energies -------------------------------------------------------------------------------------------------------------------------

cdef int parts_at(joined_t *j, double t, const double *x, const double *v, double *of_v, double *of_x) noexcept nogil:
    """F_v and F_x at a state; of_x alone where F does not use v."""
    cdef force_t *p = j.f
    cdef ptrdiff_t i, n = p.n
    cdef int status = p.force(t, x, j.nil, of_x, n, p.ctx)
    p.n_force += 1
    if status != 0 or j.free_of_v:
        return status
    p.n_force += 1
    status = p.force(t, x, v, of_v, n, p.ctx)
    for i in range(n):
        of_v[i] = of_v[i] - of_x[i]
    return status


cdef int parts_at_start(joined_t *j, double t, const double *x, const double *v) noexcept nogil:
    """They are those of the last end, where that is this state."""
    cdef ptrdiff_t size = j.f.n * sizeof(double)
    cdef int64_t before = j.f.n_force
    cdef int status
    if j.known and j.t == t and memcmp(j.x, x, size) == 0 and memcmp(j.v, v, size) == 0:
        return 0
    status = parts_at(j, t, x, v, j.of_v, j.of_x)
    if j.uncounted:
        j.f.n_force = before
    j.uncounted = False
    return status


cdef int joined_inertia(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n, void *ctx) noexcept nogil:
    return structure_inertia(t0, y0, t1, y1, e, n, (<joined_t *> ctx).f.body)


cdef int joined_energy(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef joined_t *j = <joined_t *> ctx
    cdef force_t *p = j.f
    cdef double of_potential = 0.0
    cdef double *dx = p.x
    cdef ptrdiff_t i
    cdef int status = structure_energy(t0, y0, t1, y1, e, n, p.body)
    if status != 0:
        return status
    if y0 == NULL:
        if p.potential != NULL:
            status = p.potential(t1, y1[0], &of_potential, n, p.potential_ctx)
            e[1] = e[1] + of_potential
        return status
    if j.free_of_v and p.potential != NULL:
        return 0
    status = parts_at_start(j, t0, y0[0], y0[1])
    if status == 0:
        j.known = False
        status = parts_at(j, t1, y1[0], y1[1], j.next_of_v, j.next_of_x)
    if status != 0:
        return status
    for i in range(n):
        dx[i] = y1[0][i] - y0[0][i]
        p.v[i] = 0.5 * j.of_x[i] + 0.5 * j.next_of_x[i]
    if p.potential == NULL:
        e[2] += body_work(p.body, dx, p.v)
    if not j.free_of_v:
        for i in range(n):
            p.v[i] = 0.5 * j.of_v[i] + 0.5 * j.next_of_v[i]
        e[3] -= body_work(p.body, dx, p.v)
    j.of_v, j.next_of_v = j.next_of_v, j.of_v
    j.of_x, j.next_of_x = j.next_of_x, j.of_x
    memcpy(j.x, y1[0], n * sizeof(double))
    memcpy(j.v, y1[1], n * sizeof(double))
    j.t, j.known = t1, True
    return 0


# ---- the problem ----------------------------------------------------------------------------------------------------------------------

cdef class JoinedForce(Force):
    """M x'' + C v + K x = load(t) + force(t, x, v): `structure` has the matrices and the load; the other arguments are those of `Force`."""
    cdef joined_t j
    cdef double *kept

    def __init__(self, force, tuple shape, Structure structure, tuple args=(), bint inplace=False, dfdx=None, dfdv=None, potential=None,
                 bint velocity_free=False, Solver solver=None):
        cdef ptrdiff_t n = structure.s.n, padded = (n + 7) // 8 * 8
        cdef double *at
        super().__init__(force, shape, args=args, inplace=inplace, dfdx=dfdx, dfdv=dfdv, potential=potential, solver=solver, body=structure)
        self.kept = <double *> calloc(7 * padded + 8, sizeof(double))
        if self.kept == NULL:
            raise MemoryError(f"force: no memory for {n} components")
        at = <double *> ((<uintptr_t> self.kept + 63) // 64 * 64)
        self.j.x, self.j.v, self.j.of_v, self.j.of_x = at, at + padded, at + 2 * padded, at + 3 * padded
        self.j.next_of_v, self.j.next_of_x, self.j.nil = at + 4 * padded, at + 5 * padded, at + 6 * padded
        self.j.f, self.j.free_of_v, self.j.t = &self.f, velocity_free, NAN
        self.c.flags = MF_VELOCITY_FREE if velocity_free and structure.s.C.kind == OP_NONE else 0
        self.c.accel, self.c.ctx = <mf_accel_fn> joined_accel, &self.j
        self.c.solve_accel = <mf_solve_accel_fn> joined_solve
        self.c.energy = <mf_energy_fn> joined_energy if structure.symmetric else NULL
        self.energy_inertia, self.energy_whole = <mf_energy_fn> joined_inertia, True
        self.energy_each_step = structure.energy_each_step or not velocity_free or potential is None
        if structure.calls == NULL:
            self.calls = NULL                # its load may know only the times that it is asked for in order

    def sparse_tangent(self, double t, a):
        """As of a force; the solver factors with the sum of the matrices in place of the mass."""
        self.solver.sparse.take_sum(self.f.c, self.f.k)
        return Force.sparse_tangent(self, t, a)

    def __dealloc__(self):
        free(self.kept)

    cdef ptrdiff_t state_size(self):
        return HEAD + self.body.state_size() + Force.state_size(self)

    cdef int state_pack(self, double *state) except -1:
        """The equation at hand, then the structure's and the force's own."""
        state[0], state[1], state[2] = self.f.c, self.f.k, 1.0 if self.j.known or self.j.uncounted else 0.0
        self.body.state_pack(state + HEAD)
        return Force.state_pack(self, state + HEAD + self.body.state_size())

    cdef int state_unpack(self, const double *state) except -1:
        self.body.state_unpack(state + HEAD)
        Force.state_unpack(self, state + HEAD + self.body.state_size())
        self.f.c, self.f.k = state[0], state[1]
        self.j.known, self.j.uncounted = False, state[2] == 1.0
        return 0

    @property
    def symmetric(self):
        """Whether M and K are: there is a potential."""
        return self.body.symmetric

    def forget(self):
        """As of a force; the load jumps, too, and so may F, which is not known here any more."""
        Force.forget(self)
        self.j.known = False
        self.body.forget()

    @property
    def counters(self):
        """Those of a force and those of a structure: nfev counts calls of the force, nlu all factorisations."""
        of_body, of_force = self.body.counters, Force.counters.__get__(self)
        return {**of_body, **of_force, "nlu": of_body["nlu"] + of_force["nlu"]}
