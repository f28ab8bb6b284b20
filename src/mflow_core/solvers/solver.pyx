"""The solver of a run as Python sees it: what mflow.nonlinear configures, and the newton_t of the one run that it belongs to.

A Solver is made from its configuration alone. A run attaches it to its problem and holds it for good; `bind` attaches it to a problem
without a run, for `solve` and `lsolve` from Python.
"""
from libc.math cimport INFINITY, NAN, fabs, floor
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.vec cimport max_abs
from mflow_core.problems.problem cimport Problem, failed, raise_or
from mflow_core.solvers.band_lu cimport band_solve
from mflow_core.solvers.matrix cimport (BANDED, BY_BAND_CALLBACK, BY_CALLBACK, BY_DIFFERENCES, BY_OBJECT, DENSE, IDENTITY, KRYLOV, SPARSE,
                                matrix_config_t, matrix_refresh, matrix_t)
from mflow_core.solvers.newton cimport (newton_config_t, newton_lsolve, newton_make, newton_release, newton_solve, newton_t, newton_weights)
from mflow_core.solvers.objects cimport as_array
from mflow_core.solvers.stages.mass cimport MASS_TIMES, mass_t
from mflow_core.solvers.stages.resumed cimport newton_pack, newton_state_size, newton_unpack
from mflow_core.types cimport MF_RETRY_SOLVE, mf_jac_fn, mf_problem

import numpy as np

cnp.import_array()

cdef double ROUNDED = 1e-13              # of f: what its values may be off by
cdef double WRONG = 0.05                 # a relative difference that no rounding explains
cdef double GOLDEN = 0.6180339887498949

KINDS = {"dense": DENSE, "banded": BANDED, "sparse": SPARSE, "krylov": KRYLOV, "fixed_point": IDENTITY}


def direction_at(cnp.ndarray y not None):
    """A direction of all components of a float64 array, each of the size of its entry, in which nothing cancels."""
    cdef cnp.ndarray out = np.empty(cnp.PyArray_SIZE(y))
    cdef double *v = <double *> cnp.PyArray_DATA(out)
    cdef const double *at
    cdef cnp.npy_intp n = cnp.PyArray_SIZE(y), i
    cdef double top, part
    y = np.ascontiguousarray(y, dtype=np.float64)
    at = <const double *> cnp.PyArray_DATA(y)
    top = 1e-3 * max(max_abs(at, n), 1e-150)
    for i in range(n):
        part = <double> (i + 1) * GOLDEN
        v[i] = max(fabs(at[i]), top) * (0.5 + (part - floor(part))) * (-1.0 if i % 3 == 1 else 1.0)
    return out


def contradicted(cnp.ndarray product not None, list slopes not None, double long_length, double short_length):
    """(the entry of J v that differences contradict most, what they give there); -1 for the entry where they agree, or tell nothing.

    product : J v. slopes : f at the ends of the longer difference along v, of the shorter, and between; float64 arrays of one size."""
    cdef const double *f[5]
    cdef const double *p = <const double *> cnp.PyArray_DATA(product)
    cdef cnp.npy_intp n = cnp.PyArray_SIZE(product), i, worst = -1
    cdef double top = 0.0, most = 1.0, given = NAN, long_one, short_one, ahead, behind, off, side, bound
    cdef int k
    for k in range(5):
        if cnp.PyArray_SIZE(<cnp.ndarray> slopes[k]) != n:
            return -1, NAN
        f[k] = <const double *> cnp.PyArray_DATA(<cnp.ndarray> slopes[k])
    for i in range(n):
        long_one = fabs((f[0][i] - f[1][i]) / long_length)
        top = long_one if long_one > top or long_one != long_one else top
    for i in range(n):
        long_one, short_one = (f[0][i] - f[1][i]) / long_length, (f[2][i] - f[3][i]) / short_length
        ahead, behind = 2.0 * (f[2][i] - f[4][i]) / short_length, 2.0 * (f[4][i] - f[3][i]) / short_length
        side = max(min(ahead, behind) - p[i], p[i] - max(ahead, behind))         # beyond the slopes to both sides
        off = min(fabs(p[i] - long_one) - 10.0 * fabs(long_one - short_one), side)
        if not (fabs(off) < INFINITY and side == side):
            continue
        if fabs(short_one - long_one) > 0.5 * fabs(short_one) and fabs(p[i] - short_one) < fabs(p[i] - long_one):
            continue                     # f saturates nearer still
        bound = WRONG * max(fabs(long_one), fabs(p[i])) + 1e-6 * top + ROUNDED * max(fabs(f[2][i]), fabs(f[3][i])) / short_length
        if off / bound > most:
            worst, most, given = i, off / bound, long_one
    return worst, given


cdef class Solver:

    def __cinit__(self, str kind, *, bint jac=False, bint band_jac=False, Py_ssize_t lower=0, Py_ssize_t upper=0, object pattern=None,
                  object sparse=None, object columns=None, int max_iter=10, bint full=False, double fraction=0.0, double tol=1e-14, int krylov_dim=30,
                  int krylov_cycles=0, tuple mass=None, Problem rhs_t=None, tuple left=None):
        """jac: the problem has a Jacobian (band_jac: one that fills the band). pattern: int32 arrays (groups, indptr, indices) for
        differences. sparse: the object that factors (see the contract in objects.pyx). columns: f at every column of Y, as rows of a
        C-contiguous float64 array, for (t, Y). krylov_cycles: restarts of GMRES at most; 0: as long as they help. mass: the rows of M
        (indptr, indices, values), and three more arrays of the vectors that error norms leave out, or no more; or (indptr, indices, at), at a
        function of t that returns the values, or None where no step may go. rhs_t: a problem whose right-hand side is the partial derivative of f by t. left: for krylov, the
        left null vectors of M as rows (indptr, indices, values)."""
        cdef matrix_config_t *m = &self.config.matrix
        m.kind = KINDS[kind]
        m.source = BY_BAND_CALLBACK if band_jac else BY_CALLBACK if jac else BY_DIFFERENCES
        m.lower, m.upper = lower, upper
        if pattern is not None:
            self.group, self.indptr, self.indices = (np.ascontiguousarray(a, dtype=np.int32) for a in pattern)
            m.group = <const int32_t *> cnp.PyArray_DATA(<cnp.ndarray> self.group)
            m.indptr = <const int32_t *> cnp.PyArray_DATA(<cnp.ndarray> self.indptr)
            m.indices = <const int32_t *> cnp.PyArray_DATA(<cnp.ndarray> self.indices)
            m.n_groups = int(self.group.max()) + 1 if self.group.size else 0
            m.entries = self.indices.size
        if m.kind == SPARSE:
            self.sparse, self.python = sparse, True
            m.sparse = <void *> sparse
            m.source = BY_OBJECT if pattern is None else BY_DIFFERENCES
        if m.kind == KRYLOV and sparse is not None:          # a preconditioner
            self.sparse, self.python = sparse, True
            m.sparse, m.source = <void *> sparse, BY_OBJECT
        if columns is not None:
            self.columns, self.python = columns, True
            m.columns = <void *> columns
        if mass is not None:
            take_mass(self, mass)
            m.mass = &self.mass
        if left is not None:
            self.left = tuple(np.ascontiguousarray(a, dtype=np.float64 if k == 2 else np.int32) for k, a in enumerate(left))
            self.mass.n_left = self.left[0].size - 1
            self.mass.left_indptr = <const int32_t *> cnp.PyArray_DATA(<cnp.ndarray> self.left[0])
            self.mass.left_indices = <const int32_t *> cnp.PyArray_DATA(<cnp.ndarray> self.left[1])
            self.mass.left_values = <const double *> cnp.PyArray_DATA(<cnp.ndarray> self.left[2])
        if rhs_t is not None:
            self.rhs_t, self.python = rhs_t, self.python or not rhs_t.compiled
        m.krylov_dim, m.krylov_cycles = krylov_dim, krylov_cycles
        self.config.max_iter, self.config.full, self.config.fraction, self.config.tol = max_iter, full, fraction, tol

    def __dealloc__(self):
        newton_release(self.c)

    cdef newton_t *attach(self, const mf_problem *inner, mf_jac_fn jac, void *jac_ctx) except NULL:
        """The newton_t of a run of this problem, in place of the one before. ValueError if a run holds that. jac NULL: that of inner."""
        cdef ptrdiff_t n = inner.n
        cdef newton_config_t config = self.config
        if self.held:
            raise ValueError("solver: expected one that no run holds, got the solver of another run; make a new one")
        if config.matrix.source in (BY_CALLBACK, BY_BAND_CALLBACK) and jac == NULL and inner.jac == NULL:
            raise ValueError("solver: expected a problem with a Jacobian, got one without; pass jac=...")
        if self.group is not None and (self.group.size != n or self.indptr.size != n + 1):
            raise ValueError(f"solver: expected a sparsity pattern of {n} columns, one for each component, got {self.group.size}")
        if config.matrix.kind == BANDED:
            config.matrix.lower, config.matrix.upper = min(config.matrix.lower, max(n - 1, 0)), min(config.matrix.upper, max(n - 1, 0))
        config.matrix.krylov_dim = <int> min(<ptrdiff_t> config.matrix.krylov_dim, max(n, 1))
        if self.rows is not None and self.rows[0].size != n + 1:
            raise ValueError(f"solver: expected a mass matrix of {n} rows, one for each component, got {self.rows[0].size - 1}")
        newton_release(self.c)
        self.c = newton_make(&config, inner, n, jac, jac_ctx)
        if self.c == NULL:
            raise MemoryError(f"solver: no memory for a {n} x {n} Jacobian and its factors; use jac_sparsity, lband and uband, or "
                              "newton_krylov, which need less")
        if self.rhs_t is not None:
            self.c.rhs_t, self.c.rhs_t_ctx = self.rhs_t.c.rhs, self.rhs_t.c.ctx
        return self.c

    def bind(self, Problem problem):
        """Attach to a problem with a right-hand side, for `solve` and `lsolve`."""
        if problem.c.rhs == NULL:
            raise ValueError("solver: expected a problem with a right-hand side, got one without")
        self.attach(&problem.c, problem.jac, problem.jac_ctx)
        self.problem = problem

    def solve(self, double t, double gh, r, guess, rtol=None, atol=None):
        """Solve z - gh f(t, z) = r from a guess: (z, status, iterations). With tolerances, as in an error-controlled step."""
        cdef cnp.ndarray z = np.array(guess, dtype=np.float64, order="C")
        cdef cnp.ndarray b = np.array(r, dtype=np.float64, order="C")
        cdef cnp.ndarray rt, at
        cdef int64_t before
        cdef int status
        cdef double *z_data = <double *> cnp.PyArray_DATA(z)
        cdef double *b_data = <double *> cnp.PyArray_DATA(b)
        self.check(z, "guess")
        self.check(b, "r")
        if rtol is not None:
            rt, at = np.atleast_1d(np.array(rtol, dtype=np.float64)), np.atleast_1d(np.array(atol, dtype=np.float64))
            newton_weights(self.c, z_data, <double *> cnp.PyArray_DATA(rt), <double *> cnp.PyArray_DATA(at), rt.size)
        before = self.c.niter
        if self.problem.compiled and not self.python:
            with nogil:
                status = newton_solve(t, gh, b_data, z_data, self.c.n, self.c)
        else:
            status = newton_solve(t, gh, b_data, z_data, self.c.n, self.c)
        raise_or(status)
        return z, status, self.c.niter - before

    def lsolve(self, double t, double gh, r):
        """Solve (I - gh J) z = r with the last J: (z, status)."""
        cdef cnp.ndarray z = np.array(r, dtype=np.float64, order="C")
        cdef cnp.ndarray b = z.copy()
        cdef int status
        self.check(z, "r")
        status = newton_lsolve(t, gh, <double *> cnp.PyArray_DATA(b), <double *> cnp.PyArray_DATA(z), self.c.n, self.c)
        raise_or(status)
        return z, status

    def jacobian(self):
        """A copy of the J in use: n x n, rows of the band, or the pattern's entries."""
        cdef cnp.npy_intp[1] count
        self.check(None, "")
        count[0] = self.c.n * (self.c.n if self.c.c.matrix.kind == DENSE else self.c.c.matrix.lower + self.c.c.matrix.upper + 1)
        if self.c.c.matrix.kind == SPARSE:
            count[0] = self.c.c.matrix.entries
        return cnp.PyArray_SimpleNewFromData(1, count, cnp.NPY_DOUBLE, self.c.m.jacobian).copy()

    def directional(self, direction):
        """(t, y, v, J v) at the point of the J in use, v = direction(y); None where there is none."""
        cdef matrix_t *m
        cdef cnp.ndarray at
        cdef ptrdiff_t n, width, i, first, last
        if self.c == NULL or raise_or(matrix_refresh(&self.c.m)) != 0 or not self.c.m.has_jacobian:
            return None
        m, n = &self.c.m, self.c.n
        at = np.empty(n)
        memcpy(cnp.PyArray_DATA(at), m.y, n * sizeof(double))
        v = direction(at)
        if m.c.kind == SPARSE:
            return m.t, at, v, self.sparse.product(v)
        entries = self.jacobian()
        if m.c.kind == DENSE:
            return m.t, at, v, entries.reshape(n, n) @ v
        width, out = m.c.lower + m.c.upper + 1, np.empty(n)
        for i in range(n):
            first, last = max(i - m.c.lower, <ptrdiff_t> 0), min(i + m.c.upper + 1, n)
            out[i] = entries[i * width + first - i + m.c.lower : i * width + last - i + m.c.lower] @ v[first:last]
        return m.t, at, v, out

    @property
    def reached(self):
        """How much of the last step's gh the branch of its root goes before it turns back; NaN where it does not, or was not followed."""
        return self.c.reached if self.c != NULL else np.nan

    @property
    def outgrown(self):
        """Whether the last factors were refused because a mode grows faster than the step could follow."""
        return self.c != NULL and self.c.m.outgrown

    @property
    def overstated(self):
        """Whether the user's J was seen to be far too large along a step, so that differences have taken its place."""
        return self.c != NULL and self.c.m.overstated

    @property
    def krylov_dim(self):
        return self.config.matrix.krylov_dim

    @property
    def krylov_left(self):
        """What GMRES left of a residual where it failed, in the last solve; 0 where it did not."""
        return self.c.m.krylov_left if self.c != NULL else 0.0

    @property
    def flow(self):
        """(how the flow to a steady state ended: 0 at rest, or not followed, 1 its slopes did not fall, 2 it left, 3 its steps vanished;
        how far it was followed)."""
        if self.c == NULL:
            return 0, 0.0
        return self.c.flow, self.c.flow_time

    def pack(self):
        """The state that decides later bits, as doubles."""
        self.check(None, "")
        cdef cnp.ndarray state = np.empty(newton_state_size(self.c))
        newton_pack(self.c, <double *> cnp.PyArray_DATA(state))
        return state

    def unpack(self, state):
        """Restore what `pack` returned. ValueError if it does not belong to this solver."""
        self.check(None, "")
        cdef cnp.ndarray array = np.ascontiguousarray(state, dtype=np.float64)
        if array.size != newton_state_size(self.c) or newton_unpack(self.c, <double *> cnp.PyArray_DATA(array)) != 0:
            raise ValueError("state: expected what pack() of this solver returned, got numbers that are damaged or of another solver or size")

    def check(self, z, str argument):
        if self.c == NULL:
            raise ValueError("solver: expected one that is attached to a problem, got one that is not attached yet; call bind(problem)")
        if z is not None and self.problem is None:
            raise ValueError("solver: expected one that is bound to a problem, got the solver of a run; bind another one")
        if z is not None and z.size != self.c.n:
            raise ValueError(f"{argument}: expected {self.c.n} numbers, got {z.size}")

    @property
    def redone(self):
        """(right-hand sides, Jacobians, factorisations) that rebuilt what was at hand where a state was saved, apart from `counters`."""
        if self.c == NULL:
            return 0, 0, 0
        return self.c.m.again_rhs, self.c.m.again_jac, self.c.m.again_lu

    @property
    def counters(self):
        """njev, nlu, Newton iterations, solves, failed solves, right-hand sides (of these for J or J v), GMRES solves."""
        if self.c == NULL:
            return dict.fromkeys(("njev", "nlu", "niter", "nsolve", "nfail", "n_rhs", "n_rhs_jac", "n_krylov"), 0)
        return {"njev": self.njev, "nlu": self.c.m.nlu, "niter": self.c.niter, "nsolve": self.c.nsolve, "nfail": self.c.nfail,
                "n_rhs": self.c.m.n_rhs, "n_rhs_jac": self.c.m.n_rhs_jac, "n_krylov": self.c.m.n_krylov}

    @property
    def njev(self):
        return self.probes + (self.c.m.njev if self.c != NULL else 0)

    @property
    def nlu(self):
        return self.c.m.nlu if self.c != NULL else 0

    @property
    def differenced(self):
        """Whether J is differences of the right-hand side in every entry, which leaves no doubt whose it is."""
        return self.config.matrix.kind == DENSE and self.config.matrix.source == BY_DIFFERENCES and self.group is None

    @property
    def kind(self):
        return next(name for name, kind in KINDS.items() if kind == self.config.matrix.kind)


cdef int take_mass(Solver solver, tuple mass) except -1:
    """Keeps the arrays of `mass`, and points at them."""
    cdef mass_t *m = &solver.mass
    cdef int k
    if callable(mass[2]):
        m.entries = mass[1].size
        solver.mass_at, solver.python = mass[2], True
        mass = (mass[0], mass[1], np.zeros(MASS_TIMES * m.entries))
        m.at, m.ctx, m.t = call_mass, <void *> solver, NAN
        for k in range(MASS_TIMES):
            m.times[k] = NAN
    solver.rows = [np.ascontiguousarray(a, dtype=np.float64 if k % 3 == 2 else np.int32) for k, a in enumerate(mass)]
    m.indptr = <const int32_t *> cnp.PyArray_DATA(<cnp.ndarray> solver.rows[0])
    m.indices = <const int32_t *> cnp.PyArray_DATA(<cnp.ndarray> solver.rows[1])
    m.values = m.kept = <double *> cnp.PyArray_DATA(<cnp.ndarray> solver.rows[2])
    if len(solver.rows) > 3:
        m.n_null = solver.rows[3].size - 1
        m.null_indptr = <const int32_t *> cnp.PyArray_DATA(<cnp.ndarray> solver.rows[3])
        m.null_indices = <const int32_t *> cnp.PyArray_DATA(<cnp.ndarray> solver.rows[4])
        m.null_values = <const double *> cnp.PyArray_DATA(<cnp.ndarray> solver.rows[5])
    return 0


cdef int ask_mass(Solver solver, double t, double *values) except -1:
    cdef object found = solver.mass_at(t)
    cdef cnp.ndarray given
    if found is None:                    # of another rank than before: no step goes there
        return MF_RETRY_SOLVE
    given = np.ascontiguousarray(found, dtype=np.float64)
    if given.size != solver.mass.entries:
        raise ValueError(f"mass: expected {solver.mass.entries} entries at t = {t:g}, as at the start, got {given.size}")
    memcpy(values, cnp.PyArray_DATA(given), given.size * sizeof(double))
    return 0


# The exception must stay set when this returns, so it calls through a pointer that promises Cython nothing was raised.
ctypedef int (*quiet_mass)(Solver, double, double *) noexcept


cdef int call_mass(double t, double *values, void *ctx) noexcept with gil:
    return (<quiet_mass> ask_mass)(<Solver> ctx, t, values)


# ---- the pair of a sparse Jacobian, for coupled.pyx: see the contract in objects.pyx ----------------------------------------------------

ctypedef int (*quiet_pair_factor)(matrix_t *, double, double) noexcept
ctypedef int (*quiet_pair_solve)(matrix_t *, double *, double *) noexcept


cdef int ask_pair_factor(matrix_t *m, double re, double im) except -1:
    return 0 if (<object> m.c.sparse).factor_pair(re, im) else MF_RETRY_SOLVE


cdef int ask_pair_solve(matrix_t *m, double *x, double *y) except -1:
    cdef object band = (<object> m.c.sparse).band_of_pair, array
    cdef const double *both
    if band is not None:
        return band_solve(band, x, y)
    array = cnp.PyArray_FROMANY((<object> m.c.sparse).solve_pair(as_array(x, m.n), as_array(y, m.n)), cnp.NPY_DOUBLE, 1, 1,
                                cnp.NPY_ARRAY_CARRAY_RO)
    both = <const double *> cnp.PyArray_DATA(<cnp.ndarray> array)
    memcpy(x, both, m.n * sizeof(double))
    memcpy(y, both + m.n, m.n * sizeof(double))
    return 0


cdef int gil_pair_factor(matrix_t *m, double re, double im) noexcept with gil:
    cdef int status = (<quiet_pair_factor> ask_pair_factor)(m, re, im)
    return failed() if status == -1 else status


cdef int gil_pair_solve(matrix_t *m, double *x, double *y) noexcept with gil:
    cdef int status = (<quiet_pair_solve> ask_pair_solve)(m, x, y)
    return failed() if status == -1 else status


cdef int sparse_pair_factor(matrix_t *m, double re, double im) noexcept nogil:
    return gil_pair_factor(m, re, im)


cdef int sparse_pair_solve(matrix_t *m, double *x, double *y) noexcept nogil:
    return gil_pair_solve(m, x, y)
