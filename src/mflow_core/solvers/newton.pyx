"""Newton's iteration for implicit steps: z - gh f(t, z) = r, solved without Python; compiled and Python problems alike come here.

    d_k = M^-1 (r + gh f(t, z_k) - z_k),    z_(k+1) = z_k + d_k,    M = I - gh J

Simplified Newton: J and the factors of M are kept over iterations, stages and steps while they converge. M is factored anew where gh
has changed by more than a fifth (a smaller change scales d by 2 / (1 + gh / gh_factored), which is exact where stiffness is large and
halves the error elsewhere), J is taken anew where an old one converges slowly or not at all. The iteration ends where
theta / (1 - theta) |d_k| <= tol, theta the observed rate (Hairer and Wanner, Solving Ordinary Differential Equations II (1996), IV.8).

Two kinds of runs: error-controlled ones bring weights w_i = 1 / (atol + rtol |y_i|) and stop at a small fraction of that, and where
nothing helps they shrink the step; fixed steps have no tolerances, so they converge to rounding, and where simplified Newton fails they
go on with full Newton, damped by the natural test |M^-1 G(z + lambda d)| <= (1 - lambda/4) |d| (Deuflhard, Newton Methods for
Nonlinear Problems (2004), 3.3). gh infinite is the steady state, f(t, z) = 0, with M = -J: always full Newton.

r and z may not overlap. The state that decides later bits is what newton_pack writes; factors are rebuilt from it.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdint cimport int32_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

cimport numpy as cnp

from mflow_core.problems.problem cimport Problem
from mflow_core.registry cimport REDUCE
from mflow_core.solvers.matrix cimport (BANDED, BY_BAND_CALLBACK, BY_CALLBACK, BY_DIFFERENCES, BY_OBJECT, DENSE, IDENTITY, KRYLOV, SPARSE, finite,
                                matrix_factor, matrix_jacobian, matrix_make, matrix_refresh, matrix_release, matrix_rhs, matrix_solve,
                                weighted_norm)
from mflow_core.types cimport MF_E_DAMAGED, MF_RETRY_NON_FINITE, MF_RETRY_SOLVE

import numpy as np

cnp.import_array()

cdef extern from "Python.h":
    void *PyErr_Occurred()

cdef double EPS = 2.220446049250313e-16
cdef double LEAST_SIZE = 1e-150          # without tolerances: squares of slopes in units of it stay finite
cdef double TINY = 1e-290                # no weight overflows, however far a solution has died away

cdef enum:
    MAX_NON_FINITE = 16                  # slopes that are not finite, before a solve gives up
    HALVINGS = 12
    STATE = 17                           # doubles of state that do not scale with n
    GROWN = 4                            # J is taken afresh where gh has grown by this since (see prepare)


# ---- making one -----------------------------------------------------------------------------------------------------------------------

cdef void newton_defaults(newton_config_t *c, bint has_jacobian) noexcept nogil:
    """What mflow.nonlinear.Newton() is: dense, with the Jacobian of the problem or one of differences."""
    memset(c, 0, sizeof(newton_config_t))
    c.matrix.kind = DENSE
    c.matrix.source = BY_CALLBACK if has_jacobian else BY_DIFFERENCES
    c.max_iter, c.fraction, c.tol = 10, 0.01, 1e-14


cdef newton_t *newton_make(const newton_config_t *c, const mf_problem *inner, ptrdiff_t n, mf_jac_fn jac, void *jac_ctx) noexcept nogil:
    """NULL where there is no memory. jac NULL: inner's own."""
    cdef newton_t *s = <newton_t *> calloc(1, sizeof(newton_t))
    cdef ptrdiff_t padded = (n + 7) // 8 * 8
    cdef double *at
    if s == NULL:
        return NULL
    s.block = calloc(6 * padded * sizeof(double) + 64, 1)
    if s.block == NULL or matrix_make(&s.m, &c.matrix, n) != 0:
        free(s.block)
        free(s)
        return NULL
    at = <double *> ((<uintptr_t> s.block + 63) // 64 * 64)
    s.guess, s.f, s.d = at, at + padded, at + 2 * padded
    s.trial, s.next_d, s.bar = at + 3 * padded, at + 4 * padded, at + 5 * padded
    s.c, s.n, s.eta = c[0], n, 1.0
    s.m.rhs, s.m.rhs_ctx = inner.rhs, inner.ctx
    s.m.jac, s.m.jac_ctx = jac, jac_ctx
    if jac == NULL:
        s.m.jac, s.m.jac_ctx = inner.jac, inner.ctx
    return s


cdef void newton_release(newton_t *s) noexcept nogil:
    if s != NULL:
        matrix_release(&s.m)
        free(s.block)
        free(s)


# ---- weights --------------------------------------------------------------------------------------------------------------------------

cdef void newton_weights(newton_t *s, const double *y, const double *rtol, const double *atol, ptrdiff_t n_tol) noexcept nogil:
    """Weights from the tolerances of an error-controlled run (n_tol 1 or n), before each step. Below rounding nothing is asked."""
    cdef double least = 64.0 * EPS / s.c.fraction, size
    cdef ptrdiff_t i, j
    s.controlled = True
    s.m.unit = 1e-3
    for i in range(s.n):
        j = i if n_tol > 1 else 0
        size = max(max(atol[j] + rtol[j] * fabs(y[i]), least * fabs(y[i])), TINY)
        s.m.size[i], s.m.weight[i] = size, 1.0 / size


cdef void own_weights(newton_t *s, const double *a, const double *b) noexcept nogil:
    """Without tolerances: each entry's own size, no less than a thousandth of the largest, at either of two points. A state that has
    decayed to almost nothing is measured by LEAST_SIZE: weights of its own size would overflow, and the steps would end there."""
    cdef double top = max(REDUCE.max_abs(a, s.n), REDUCE.max_abs(b, s.n)), size
    cdef ptrdiff_t i
    if not 0.0 < top < INFINITY:
        top = 1.0
    for i in range(s.n):
        size = max(max(fabs(a[i]), fabs(b[i])), max(1e-3 * top, LEAST_SIZE))
        s.m.size[i], s.m.weight[i] = size, 1.0 / size


cdef double goal(const newton_t *s) noexcept nogil:
    return s.c.fraction if s.controlled else s.c.tol


cdef bint at_rounding(newton_t *s, const double *z, double norm, bint fresh) noexcept nogil:
    """An update that no longer shrinks counts as converged where it is rounding alone; with a fresh J also well below what is asked."""
    cdef double scale = max(REDUCE.max_abs(z, s.n), REDUCE.max_abs(s.guess, s.n))
    if REDUCE.max_abs(s.d, s.n) <= max(64.0 * EPS * scale, s.noise):
        return True
    return fresh and s.c.matrix.kind != IDENTITY and norm <= (0.05 if s.controlled else 1e-10)


# ---- one evaluation -------------------------------------------------------------------------------------------------------------------

cdef int residual(newton_t *s, double t, double gh, const double *r, const double *z, double *out) noexcept nogil:
    """out = r + gh f(t, z) - z, or f(t, z) where gh is infinite; f stays in s.f."""
    cdef int status = matrix_rhs(&s.m, t, z, s.f)
    cdef ptrdiff_t i
    if status == MF_RETRY_NON_FINITE:
        s.non_finite += 1
    if status != 0:
        return status
    if fabs(gh) == INFINITY:
        memcpy(out, s.f, s.n * sizeof(double))
        return 0
    for i in range(s.n):
        out[i] = (r[i] - z[i]) + gh * s.f[i]
    return 0


cdef int update(newton_t *s, double t, double gh, const double *z, double *d) noexcept nogil:
    """d becomes M^-1 d, with factors of a gh close by; z and s.f are where a Krylov method differentiates."""
    cdef double scale, wanted
    cdef ptrdiff_t i
    cdef int status
    if s.c.matrix.kind == IDENTITY:
        return 0
    if s.c.matrix.kind == KRYLOV:
        s.m.at, s.m.f_at, s.m.t_at, s.m.gh_at = z, s.f, t, gh
        wanted = 0.1 * goal(s)
        s.m.krylov_tol = max(wanted, 1e-3 * weighted_norm(&s.m, d))
        return matrix_solve(&s.m, d)
    status = matrix_solve(&s.m, d)
    if status == 0 and gh != s.m.gh:
        scale = 2.0 / (1.0 + gh / s.m.gh)
        for i in range(s.n):
            d[i] = d[i] * scale
    return status


cdef inline void move(newton_t *s, double *out, const double *z, const double *d, double length) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(s.n):
        out[i] = z[i] + length * d[i]


# ---- simplified Newton ----------------------------------------------------------------------------------------------------------------

cdef double first_eta(newton_t *s, double gh) noexcept nogil:
    """theta / (1 - theta) before a rate is seen: that of the solve before to the power 3/4, no less than what another gh than the
    factors' costs (theta = |q - 1| / (q + 1), q their ratio), and never so small that an update above the tolerances ends it."""
    cdef double eta = max(sqrt(sqrt(s.eta)) * sqrt(s.eta), s.c.fraction), ratio, theta
    if gh != s.m.gh and s.m.has_factors:
        ratio = gh / s.m.gh
        theta = fabs(ratio - 1.0) / (ratio + 1.0)
        eta = max(eta, theta / (1.0 - theta))
    return eta


cdef int simplified(newton_t *s, double t, double gh, const double *r, double *z, bint fresh) noexcept nogil:
    """Iterates with the matrix as it is. 0, or MF_RETRY_SOLVE where it converges too slowly, or what a callback said."""
    cdef double tol = goal(s), norm, before = 0.0, theta = 0.0, eta = first_eta(s, gh), power
    cdef int k, _j, status
    cdef bint slow
    if not s.controlled and s.c.matrix.kind == KRYLOV:
        own_weights(s, z, z)
    for k in range(s.c.max_iter):
        status = residual(s, t, gh, r, z, s.d)
        if status == 0:
            status = update(s, t, gh, z, s.d)
        if status != 0:
            return status
        s.niter += 1
        if k == 0 and not s.controlled:
            move(s, s.trial, z, s.d, 1.0)
            own_weights(s, z, s.trial)
        norm = weighted_norm(&s.m, s.d)
        if not norm < INFINITY:
            return MF_RETRY_SOLVE
        if k > 0:
            theta = norm / before
            eta = theta / (1.0 - theta) if theta < 1.0 else INFINITY
            power = 1.0
            for _j in range(s.c.max_iter - 1 - k):
                power *= theta
            slow = theta >= 1.0 or power * eta * norm > tol      # it will not get there in the iterations that are left
            if (slow or theta > 0.5) and at_rounding(s, z, norm, fresh):
                move(s, z, z, s.d, 1.0)
                return 0
            if slow:
                return MF_RETRY_SOLVE
        move(s, z, z, s.d, 1.0)
        # The first update is judged by the rate of the solve before; a fixed step, whose weights it has just made, by its size alone.
        if norm == 0.0 or (norm <= tol if k == 0 and not s.controlled else eta * norm <= tol):
            s.want_jacobian = theta > 0.3
            if k > 0:
                s.eta = max(eta, EPS)
            return 0
        before = norm
    return MF_RETRY_SOLVE


cdef int prepare(newton_t *s, double t, double gh, const double *z, bint *fresh) noexcept nogil:
    """A matrix for this gh; fresh: J was taken just now, at z, and M factored with this very gh.

    A J from a fast transition is not kept for the long steps after it: its large entries can hold the updates so small that they pass
    for converged (Van der Pol's y1 does not move at all).
    """
    cdef int status
    cdef double ratio
    fresh[0] = False
    if s.c.matrix.kind == IDENTITY or s.c.matrix.kind == KRYLOV:
        fresh[0] = True
        return 0
    if not s.m.has_jacobian or s.want_jacobian or (s.controlled and fabs(gh) > GROWN * s.gh_jac):
        fresh[0] = True
        if not s.controlled:
            own_weights(s, z, z)
        status = matrix_jacobian(&s.m, t, z, gh)
        if status != 0:
            return status
        s.want_jacobian = False
        s.gh_jac = fabs(gh)
    ratio = gh / s.m.gh if s.m.has_factors else INFINITY
    if not fabs(ratio - 1.0) <= (0.2 if s.controlled else 0.0):      # a fixed step changes once, if ever
        s.eta = 1.0
        return matrix_factor(&s.m, gh)
    return 0


cdef int solve_simplified(newton_t *s, double t, double gh, const double *r, double *z) noexcept nogil:
    """The guess in z, up to three matrices: as it stands, factored for this gh, and with a new J."""
    cdef bint fresh
    cdef int _attempt, status = MF_RETRY_SOLVE
    for _attempt in range(3):
        status = prepare(s, t, gh, s.guess, &fresh)
        if status == 0:
            status = simplified(s, t, gh, r, z, fresh)
        if status == 0 or status < 0 or fresh:
            break
        memcpy(z, s.guess, s.n * sizeof(double))
        if s.m.has_factors and s.m.gh != gh and status == MF_RETRY_SOLVE:
            s.m.has_factors = False
        else:
            s.want_jacobian = True
    return status


# ---- full Newton, damped --------------------------------------------------------------------------------------------------------------

cdef int matrix_at(newton_t *s, double t, double gh, const double *z) noexcept nogil:
    cdef int status
    if s.c.matrix.kind == KRYLOV:
        return 0
    status = matrix_jacobian(&s.m, t, z, gh)
    return matrix_factor(&s.m, gh) if status == 0 else status


cdef int shorten(newton_t *s, double t, double gh, const double *r, const double *z, double merit, double *length) noexcept nogil:
    """Halves the step along s.d until the merit shrinks: |M^-1 G|, or |G| where M is no matrix. Leaves the new point in s.trial, its
    residual in s.next_d, and f there in s.f."""
    cdef double there
    cdef int status = MF_RETRY_SOLVE, reason = MF_RETRY_SOLVE, _j
    length[0] = 1.0
    for _j in range(HALVINGS):
        move(s, s.trial, z, s.d, length[0])
        status = residual(s, t, gh, r, s.trial, s.next_d)
        if status == 0 and s.c.matrix.kind != KRYLOV:
            memcpy(s.bar, s.next_d, s.n * sizeof(double))
            status = matrix_solve(&s.m, s.bar)
        if status < 0 or s.non_finite >= MAX_NON_FINITE:
            return status
        if status == 0:
            there = weighted_norm(&s.m, s.next_d if s.c.matrix.kind == KRYLOV else s.bar)
            if there <= (1.0 - 0.25 * length[0]) * merit:
                return 0
            status = MF_RETRY_SOLVE
        reason = status
        length[0] *= 0.5
    return reason


cdef int solve_full(newton_t *s, double t, double gh, const double *r, double *z) noexcept nogil:
    """A new matrix in every iteration. 0, MF_RETRY_SOLVE, or what a callback said."""
    cdef double tol = goal(s), norm, merit, before = INFINITY, length = 1.0
    cdef int k, status
    s.want_jacobian = False
    s.m.stale = 0
    s.eta = 1.0
    if not s.controlled:
        own_weights(s, z, z)
    status = residual(s, t, gh, r, z, s.d)
    for k in range(5 * s.c.max_iter):
        if status == 0:
            status = matrix_at(s, t, gh, z)
        if status != 0:
            return status
        merit = weighted_norm(&s.m, s.d)
        status = update(s, t, gh, z, s.d)
        if status != 0:
            return status
        s.niter += 1
        if not s.controlled:
            move(s, s.trial, z, s.d, 1.0)
            own_weights(s, z, s.trial if k == 0 else s.guess)
        norm = weighted_norm(&s.m, s.d)
        if not norm < INFINITY:
            return MF_RETRY_SOLVE
        # with a new matrix each time the error after a whole step is about norm^2 / before
        if norm <= tol or (k > 0 and length == 1.0 and norm < 0.5 * before and norm * (norm / before) <= 0.5 * tol) or (
                k > 0 and norm > 0.5 * before and at_rounding(s, z, norm, True)):
            move(s, z, z, s.d, 1.0)
            return 0
        status = shorten(s, t, gh, r, z, merit if s.c.matrix.kind == KRYLOV else norm, &length)
        if status != 0:
            if status > 0 and at_rounding(s, z, norm, True):
                move(s, z, z, s.d, 1.0)
                return 0
            return status
        before = norm
        memcpy(z, s.trial, s.n * sizeof(double))
        s.d, s.next_d = s.next_d, s.d
    return MF_RETRY_SOLVE


# ---- the callbacks of a kernel --------------------------------------------------------------------------------------------------------

cdef int newton_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    """The problem's own f, for a kernel that knows one ctx only."""
    cdef newton_t *s = <newton_t *> ctx
    return s.m.rhs(t, y, dydt, n, s.m.rhs_ctx)


cdef int newton_solve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil:
    """z - gh f(t, z) = r; z holds the guess. After a positive code z holds no more than the guess."""
    cdef newton_t *s = <newton_t *> ctx
    cdef bint steady = fabs(gh) == INFINITY
    cdef int status
    s.non_finite = 0
    s.nsolve += 1
    memcpy(s.guess, z, n * sizeof(double))
    if steady and s.c.matrix.kind == IDENTITY:
        return MF_RETRY_SOLVE
    if steady or (s.c.full and s.c.matrix.kind != IDENTITY):
        status = solve_full(s, t, gh, r, z)
    else:
        status = matrix_refresh(&s.m) if not s.want_jacobian else 0
        if status == 0:
            status = solve_simplified(s, t, gh, r, z)
        if status > 0 and not s.controlled and s.c.matrix.kind != IDENTITY and s.non_finite < MAX_NON_FINITE:
            memcpy(z, s.guess, n * sizeof(double))
            status = solve_full(s, t, gh, r, z)
    if status == 0 and not finite(z, n):
        status = MF_RETRY_NON_FINITE
    if status == 0 and s.c.matrix.kind == KRYLOV:
        matrix_jacobian(&s.m, t, z, gh)              # remembers the point for lsolve
    if status > 0:
        s.nfail += 1
        memcpy(z, s.guess, n * sizeof(double))
    return status


cdef int newton_lsolve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil:
    """(I - gh J) z = r with the J of the last solve, its factors where gh is within a fifth of theirs. J = 0 in fixed-point iteration."""
    cdef newton_t *s = <newton_t *> ctx
    cdef int status = 0
    memmove(z, r, n * sizeof(double))
    if s.c.matrix.kind == IDENTITY:
        return 0
    if s.c.matrix.kind == KRYLOV:
        if not s.m.has_point:
            return MF_RETRY_SOLVE
        status = matrix_rhs(&s.m, s.m.t, s.m.y, s.f)
        if status != 0:
            return status
        if not s.controlled:
            own_weights(s, s.m.y, s.m.y)
        s.m.at, s.m.f_at, s.m.t_at, s.m.gh_at = s.m.y, s.f, s.m.t, gh
        s.m.krylov_tol = 1e-3 * weighted_norm(&s.m, z)
        return matrix_solve(&s.m, z)
    status = matrix_refresh(&s.m)
    if status == 0 and not s.m.has_jacobian:
        status = MF_RETRY_SOLVE
    if status == 0 and not (s.m.has_factors and fabs(gh / s.m.gh - 1.0) <= 0.2):
        s.eta = 1.0
        status = matrix_factor(&s.m, gh)
    return update(s, t, gh, s.m.y, z) if status == 0 else status


# ---- state ----------------------------------------------------------------------------------------------------------------------------

cdef ptrdiff_t newton_state_size(const newton_t *s) noexcept nogil:
    return STATE + 2 * s.n


cdef void newton_pack(const newton_t *s, double *state) noexcept nogil:
    """newton_state_size doubles: flags, counters, and the point where J was taken."""
    cdef double[STATE] head
    head[0], head[1], head[2], head[3] = s.m.has_point, s.m.t, s.m.gh, s.eta
    head[4], head[5] = s.m.has_jacobian or s.m.stale >= 1, s.m.has_factors or s.m.stale == 2
    head[6], head[7] = s.want_jacobian, <double> s.m.njev
    head[8], head[9], head[10] = <double> s.m.nlu, <double> s.m.n_rhs, <double> s.m.n_rhs_jac
    head[11], head[12], head[13], head[14] = <double> s.m.n_krylov, <double> s.niter, <double> s.nsolve, <double> s.nfail
    head[15], head[16] = <double> s.c.matrix.kind, s.gh_jac
    memcpy(state, head, sizeof(head))
    memcpy(state + STATE, s.m.y, s.n * sizeof(double))
    memcpy(state + STATE + s.n, s.m.least, s.n * sizeof(double))


cdef int newton_unpack(newton_t *s, const double *state) noexcept nogil:
    """What newton_pack wrote; J and factors come back at the next solve. MF_E_DAMAGED where it cannot have been written."""
    cdef int j
    for j in range(7):
        if (j == 0 or j > 3) and state[j] != 0.0 and state[j] != 1.0:
            return MF_E_DAMAGED
    for j in range(7, 15):
        if not 0.0 <= state[j] < 9007199254740992.0:
            return MF_E_DAMAGED
    if state[15] != <double> s.c.matrix.kind or not state[3] > 0.0 or not state[16] >= 0.0:
        return MF_E_DAMAGED
    s.m.has_point, s.m.t, s.m.gh, s.eta = state[0] != 0.0, state[1], state[2], state[3]
    s.m.has_jacobian = s.m.has_factors = False
    s.m.stale = 0 if state[4] == 0.0 else 2 if state[5] != 0.0 else 1
    s.want_jacobian, s.gh_jac = state[6] != 0.0, state[16]
    s.m.njev, s.m.nlu, s.m.n_rhs, s.m.n_rhs_jac = <int64_t> state[7], <int64_t> state[8], <int64_t> state[9], <int64_t> state[10]
    s.m.n_krylov, s.niter, s.nsolve, s.nfail = <int64_t> state[11], <int64_t> state[12], <int64_t> state[13], <int64_t> state[14]
    memcpy(s.m.y, state + STATE, s.n * sizeof(double))
    memcpy(s.m.least, state + STATE + s.n, s.n * sizeof(double))
    return 0


# ---- the Python face ------------------------------------------------------------------------------------------------------------------

KINDS = {"dense": DENSE, "banded": BANDED, "sparse": SPARSE, "krylov": KRYLOV, "fixed_point": IDENTITY}


cdef int raise_or(int status) except? -1:
    """The exception that a callback left set; else the code as it is."""
    if status < 0 and PyErr_Occurred() != NULL:
        return -1
    return status


cdef class Solver:

    def __cinit__(self, str kind, *, bint jac=False, bint band_jac=False, Py_ssize_t lower=0, Py_ssize_t upper=0, object pattern=None,
                  object sparse=None, int max_iter=10, bint full=False, double fraction=0.01, double tol=1e-14, int krylov_dim=30,
                  int krylov_cycles=4):
        """jac: the problem has one (band_jac: it fills the band). pattern: (groups, indptr, indices), int32 arrays, for differences.
        sparse: the object that factors (matrix.pyx says what it must do)."""
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
        m.krylov_dim, m.krylov_cycles = krylov_dim, krylov_cycles
        self.config.max_iter, self.config.full, self.config.fraction, self.config.tol = max_iter, full, fraction, tol

    def __dealloc__(self):
        newton_release(self.c)

    cdef newton_t *attach(self, const mf_problem *inner, mf_jac_fn jac, void *jac_ctx) except NULL:
        """The newton_t of a run of this problem; the one before is gone, unless a run holds it. jac NULL: inner's own."""
        cdef ptrdiff_t n = inner.n
        cdef newton_config_t config = self.config
        if self.held:
            raise ValueError("solver: a run has this one already: make another")
        if config.matrix.source in (BY_CALLBACK, BY_BAND_CALLBACK) and jac == NULL and inner.jac == NULL:
            raise ValueError("solver: it wants a Jacobian, and the problem has none: give jac=...")
        if self.group is not None and (self.group.size != n or self.indptr.size != n + 1):
            raise ValueError(f"solver: its sparsity pattern has {self.group.size} columns, but the state has {n} components")
        if config.matrix.kind == BANDED:
            config.matrix.lower, config.matrix.upper = min(config.matrix.lower, max(n - 1, 0)), min(config.matrix.upper, max(n - 1, 0))
        config.matrix.krylov_dim = <int> min(<ptrdiff_t> config.matrix.krylov_dim, max(n, 1))
        newton_release(self.c)
        self.c = newton_make(&config, inner, n, jac, jac_ctx)
        if self.c == NULL:
            raise MemoryError(f"solver: no memory for a {n} x {n} Jacobian and its factors; jac_sparsity, lband and uband or "
                              "newton_krylov need less")
        return self.c

    def bind(self, Problem problem):
        """Attaches to a problem with a right-hand side, for `solve` below."""
        if problem.c.rhs == NULL:
            raise ValueError("solver: the problem has no right-hand side")
        self.attach(&problem.c, problem.jac, problem.jac_ctx)
        self.problem = problem

    def solve(self, double t, double gh, r, guess, rtol=None, atol=None):
        """z of z - gh f(t, z) = r, from a guess: (z, status, iterations). Tolerances: as in an error-controlled step."""
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
        """z of (I - gh J) z = r with the last J: (z, status)."""
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

    def pack(self):
        """The state that decides later bits, as doubles."""
        self.check(None, "")
        cdef cnp.ndarray state = np.empty(newton_state_size(self.c))
        newton_pack(self.c, <double *> cnp.PyArray_DATA(state))
        return state

    def unpack(self, state):
        """Takes over what `pack` gave. ValueError where it does not belong here."""
        self.check(None, "")
        cdef cnp.ndarray array = np.ascontiguousarray(state, dtype=np.float64)
        if array.size != newton_state_size(self.c) or newton_unpack(self.c, <double *> cnp.PyArray_DATA(array)) != 0:
            raise ValueError("solver: this state is damaged, or belongs to another solver or size")

    def check(self, z, str argument):
        if self.c == NULL:
            raise ValueError("solver: it is not attached to a problem yet")
        if z is not None and self.problem is None:
            raise ValueError("solver: it belongs to a run, which solves with it; bind another to a problem")
        if z is not None and z.size != self.c.n:
            raise ValueError(f"{argument}: {z.size} numbers came, {self.c.n} are wanted")

    @property
    def counters(self):
        """njev, nlu, Newton iterations, solves, failed solves, right-hand sides (of these for J or J v), GMRES solves."""
        if self.c == NULL:
            return dict.fromkeys(("njev", "nlu", "niter", "nsolve", "nfail", "n_rhs", "n_rhs_jac", "n_krylov"), 0)
        return {"njev": self.c.m.njev, "nlu": self.c.m.nlu, "niter": self.c.niter, "nsolve": self.c.nsolve, "nfail": self.c.nfail,
                "n_rhs": self.c.m.n_rhs, "n_rhs_jac": self.c.m.n_rhs_jac, "n_krylov": self.c.m.n_krylov}

    @property
    def njev(self):
        return self.c.m.njev if self.c != NULL else 0

    @property
    def nlu(self):
        return self.c.m.nlu if self.c != NULL else 0

    @property
    def kind(self):
        return next(name for name, kind in KINDS.items() if kind == self.config.matrix.kind)
