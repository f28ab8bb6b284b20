"""A force beside the matrices and the load of a structure: M x'' + C v + K x = load(t) + F(t, x, v).

    accel:        a = M^-1 (load(t) - C v - K x + F(t, x, v))
    solve_accel:  S a = w (load(t) - C vp - K xp + F(t, xp + bx a, vp + bv a)) + M q,       S = M + w bv C + w bx K

The matrices stay on the left, so that methods which are implicit in them alone solve one linear system a step: F does not depend on a where
bx is 0 and either bv is 0 or F does not use v. Otherwise Newton's iteration solves a - w S^-1 F(t, xp + bx a, vp + bv a) = r with
r = S^-1 (w (load - C vp - K xp) + M q), as in force.pyx, whose mass is S here.

To what the ledger books of the load and of C, `book_parts` of force.pyx adds what F does.
"""
from libc.string cimport memcpy, memset

from mflow_core.dynamics.force cimport Force, book_parts, force_equation, force_t
from mflow_core.dynamics.structure cimport (Structure, body_forces, body_product, body_solve, body_sum_solve, structure_energy,
                                              structure_inertia)
from mflow_core.dynamics.factors cimport structure_t
from mflow_core.solvers.operators cimport OP_NONE
from mflow_core.solvers.solver cimport Solver
from mflow_core.types cimport MF_VELOCITY_FREE, mf_accel_fn, mf_energy_fn, mf_solve_accel_fn

cdef enum:
    HEAD = 2                             # numbers of state of its own


# ---- accelerations --------------------------------------------------------------------------------------------------------------------

cdef int joined_accel(double t, const double *x, const double *v, double *a, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef force_t *p = <force_t *> ctx
    cdef int status
    p.n_force += 1
    status = p.force(t, x, v, a, n, p.ctx)
    if status == 0:
        status = body_forces(p.body, t, x, v, a)
    return body_solve(p.body, a) if status == 0 else status


cdef int joined_solve(double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q, double *a, ptrdiff_t n,
                      void *ctx) noexcept nogil:
    cdef force_t *p = <force_t *> ctx
    cdef structure_t *s = p.body
    cdef double c = w * bv if s.C.kind != OP_NONE else 0.0, k = w * bx if s.K.kind != OP_NONE else 0.0
    cdef bint is_known = bx == 0.0 and (bv == 0.0 or not p.parts.uses_v)      # what F is, whatever a will be
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

cdef int joined_inertia(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n, void *ctx) noexcept nogil:
    return structure_inertia(t0, y0, t1, y1, e, n, (<force_t *> ctx).body)


cdef int joined_energy(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef force_t *p = <force_t *> ctx
    cdef double of_potential = 0.0
    cdef int status = structure_energy(t0, y0, t1, y1, e, n, p.body)
    if status != 0:
        return status
    if y0 == NULL:
        if p.potential != NULL:
            status = p.potential(t1, y1[0], &of_potential, n, p.potential_ctx)
            e[1] = e[1] + of_potential
        return status
    return book_parts(p, t0, y0, t1, y1, e, n)


# ---- the problem ----------------------------------------------------------------------------------------------------------------------

cdef class JoinedForce(Force):
    """M x'' + C v + K x = load(t) + force(t, x, v): `structure` has the matrices and the load; the other arguments are those of `Force`."""
    def __init__(self, force, tuple shape, Structure structure, tuple args=(), bint inplace=False, dfdx=None, dfdv=None, potential=None,
                 bint velocity_free=False, Solver solver=None):
        super().__init__(force, shape, args=args, inplace=inplace, dfdx=dfdx, dfdv=dfdv, potential=potential, solver=solver, body=structure)
        self.f.parts.uses_v = not velocity_free
        self.c.flags = MF_VELOCITY_FREE if velocity_free and structure.s.C.kind == OP_NONE else 0
        self.c.accel = <mf_accel_fn> joined_accel
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

    cdef ptrdiff_t state_size(self):
        return HEAD + self.body.state_size() + Force.state_size(self)

    cdef int state_pack(self, double *state) except -1:
        """The equation at hand, then the structure's and the force's own."""
        state[0], state[1] = self.f.c, self.f.k
        self.body.state_pack(state + HEAD)
        return Force.state_pack(self, state + HEAD + self.body.state_size())

    cdef int state_unpack(self, const double *state) except -1:
        self.body.state_unpack(state + HEAD)
        Force.state_unpack(self, state + HEAD + self.body.state_size())
        self.f.c, self.f.k = state[0], state[1]
        return 0

    @property
    def symmetric(self):
        """Whether M and K are: there is a potential."""
        return self.body.symmetric

    def forget(self):
        """As of a force; the load jumps, too."""
        Force.forget(self)
        self.body.forget()

    @property
    def counters(self):
        """Those of a force and those of a structure: nfev counts calls of the force, nlu all factorisations."""
        of_body, of_force = self.body.counters, Force.counters.__get__(self)
        return {**of_body, **of_force, "nlu": of_body["nlu"] + of_force["nlu"]}
