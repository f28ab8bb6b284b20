"""Newton's iteration for three stages that are solved together, without Python:

    Z_i = h sum_j A_ij f(t + c_j h, y + Z_j)

With A^-1 = T L T^-1, L of a real eigenvalue mu and a complex pair alpha +- i beta, and W = T^-1 Z, F = T^-1 f(y + Z), simplified Newton
is one real system of n unknowns and one complex one (Hairer and Wanner, Solving Ordinary Differential Equations II (1996), IV.8):

    (I - g J) dW_1 = g F_1 - W_1,                       g = h / mu
    (I - q J) (dW_2 + i dW_3) = q (F_2 + i F_3) - (W_2 + i W_3),    q = h / (alpha + i beta)

J is evaluated at the start of the step. It is kept while the iteration converges quickly, and the factors while the step stays the same.
The iteration ends as in newton.pyx, whose weights, tolerances, Jacobian and real factors it uses. Where simplified Newton fails in a
fixed step, and without a matrix (NewtonKrylov), GMRES solves the equations of all stages at once,

    dZ_i - h sum_j A_ij J_j dZ_j = residual,     J_j at stage j,

with J_j v by differences and, where there are factors, these as the preconditioner.

Which root a fixed step takes is told in settled.pyx. With a mass matrix, M Z_i = h sum_j A_ij f(...): then W is M W in these equations, and
M - g J and M - q J are factored. An M that depends on time does not split: varying.pyx.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdint cimport int32_t, uintptr_t
from libc.string cimport memcpy, memset

from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.arithmetic.vec cimport mf_cvec, mf_vec
from mflow_core.registry cimport kernels
from mflow_core.solvers.complex_lu cimport complex_lu_t
from mflow_core.solvers.spectrum.definite cimport MOST_ALONE, rows_at_0
from mflow_core.solvers.spectrum.growth cimport factor_watched
from mflow_core.solvers.linalg cimport gmres_room
from mflow_core.solvers.matrix cimport (BANDED, BY_DIFFERENCES, DENSE, IDENTITY, KRYLOV, LINALG, NEARER, SIDES, SPARSE, finite,
                                        matrix_jacobian, matrix_refresh, matrix_rhs, matrix_solve, weighted_norm)
from mflow_core.solvers.newton cimport (EPS, GROWN, LONG, RESIDUAL, ROUNDED, attainable, coupled_t, first_weights, goal, newton_mass_at,
                                        newton_mass_for, newton_t, too_slow, weights_of_size)
from mflow_core.solvers.solver cimport sparse_pair_factor, sparse_pair_solve
from mflow_core.solvers.stages.lengths cimport length_beside
from mflow_core.solvers.stages.doubted cimport SWALLOWED, grown
from mflow_core.solvers.stages.mass cimport add_mass, add_mass_to_band, mass_times, mass_varies
from mflow_core.solvers.stages.overstated cimport may_be_compared, overstated
from mflow_core.solvers.stages.scaled cimport left_by_gmres
from mflow_core.solvers.stages.varying cimport direction_of_varying, factor_stages, stages_above, stages_below, varying_residual
from mflow_core.types cimport MF_E_MEMORY, MF_RETRY_NON_FINITE, MF_RETRY_SOLVE, mf_tableau

cdef enum:
    DIM = 30                             # of the Krylov space where factors precondition
    CYCLES = 4

cdef double FRACTION = 0.01              # of the tolerances to which error-controlled steps are solved
cdef double SLOW = 1e-3                  # a rate above it lets J be evaluated again: that costs less than more iterations of all stages
cdef double SLOW_SPARSE = 0.01           # where J is a sparse matrix of a user's function: to make one takes the time of ten evaluations
cdef double SLOW_DIFFERENCES = 0.03      # where it takes evaluations
cdef double SLOW_FIXED = 0.1             # in fixed steps, whose factors serve as long as J does
cdef double SHARE = 0.01                 # of an update without a matrix: the residual that GMRES leaves of it in a fixed step

cdef complex_lu_t *complex_table = <complex_lu_t *> kernels("solvers.complex_lu", "_table", b"mflow_core._complex_lu")
cdef complex_lu_t COMPLEX = complex_table[0]
complex_table.poll = LINALG.poll


# ---- making one -----------------------------------------------------------------------------------------------------------------------

cdef inline int dim_of(const newton_t *s) noexcept nogil:
    if s.c.matrix.kind == KRYLOV:                    # that of a few components is bounded by their number, of all stages there are more
        return s.c.matrix.krylov_dim if s.c.matrix.krylov_dim < s.n else <int> (S * s.n)
    return <int> max(min(<ptrdiff_t> DIM, S * s.n), <ptrdiff_t> 1)


cdef int newton_couple(newton_t *s) noexcept nogil:
    """Room for stages that are solved together. 0 or MF_E_MEMORY; a solver has it once."""
    cdef ptrdiff_t n = s.n, padded = (n + 7) // 8 * 8, lu = 0, krylov = 0, rows = S * n if mass_varies(s.c.matrix.mass) else n
    cdef int kind = s.c.matrix.kind
    cdef coupled_t *c
    cdef double *at
    if s.coupled != NULL:
        return 0
    if kind == DENSE:
        lu = (rows * rows + 7) // 8 * 8
    elif kind == BANDED:
        lu = (n * (2 * s.c.matrix.lower + s.c.matrix.upper + 1) + 7) // 8 * 8
        if mass_varies(s.c.matrix.mass):
            lu = (rows * (2 * stages_below(s) + stages_above(s) + 1) + 7) // 8 * 8
    if kind != IDENTITY:
        krylov = gmres_room(S * n, dim_of(s)) + 3 * S * padded + padded
    c = <coupled_t *> mf_zeros(1, sizeof(coupled_t) + 64 + (2 * lu + krylov + 9 * S * padded + (S * padded + 1) // 2) * sizeof(double))
    if c == NULL:
        return MF_E_MEMORY
    at = <double *> (((<uintptr_t> (c + 1)) + 63) // 64 * 64)
    c.ld, c.stretch = padded, 1.0
    c.W, c.F, c.d, c.guess, c.f = at, at + S * padded, at + 2 * S * padded, at + 3 * S * padded, at + 4 * S * padded
    c.stand, c.before, c.root, c.tangent = at + 5 * S * padded, at + 6 * S * padded, at + 7 * S * padded, at + 8 * S * padded
    at += 9 * S * padded
    c.re, c.im, c.krylov = at, at + lu, at + 2 * lu
    c.pivots = <int32_t *> (at + 2 * lu + krylov)
    s.coupled = c
    if s.own_fraction:
        s.c.fraction = FRACTION
    return 0


# ---- the matrices ---------------------------------------------------------------------------------------------------------------------

cdef int factor_pair(newton_t *s, const mf_tableau *tab) noexcept nogil:
    """Factors I - q J for the q that belongs to the real factors."""
    cdef coupled_t *c = s.coupled
    cdef double h = s.m.gh * tab.mu[0], size = tab.mu[1] * tab.mu[1] + tab.mu[2] * tab.mu[2]
    cdef double re = h * tab.mu[1] / size, im = -h * tab.mu[2] / size
    cdef ptrdiff_t n = s.n, lower = s.m.c.lower, width = lower + s.m.c.upper + 1, room = width + lower, i, k
    cdef int status = 0
    c.re_q, c.im_q, c.gh = re, im, s.m.gh
    c.has_factors = False
    if s.m.c.kind == DENSE:
        for k in range(n * n):
            c.re[k] = -re * s.m.jacobian[k]
            c.im[k] = -im * s.m.jacobian[k]
        add_mass(s.m.c.mass, n, 1.0, c.re)
        status = COMPLEX.lu_factor(n, c.re, c.im, c.pivots)
    elif s.m.c.kind == BANDED:
        for i in range(n):
            for k in range(width):
                c.re[i * room + k] = -re * s.m.jacobian[i * width + k]
                c.im[i * room + k] = -im * s.m.jacobian[i * width + k]
        add_mass_to_band(s.m.c.mass, n, lower, room, 1.0, c.re)
        status = COMPLEX.band_factor(n, lower, s.m.c.upper, c.re, c.im, c.pivots)
    elif s.m.c.kind == SPARSE:
        status = sparse_pair_factor(&s.m, re, im)
        if status != 0:
            return status
    c.has_factors = status == 0
    return MF_RETRY_SOLVE if status > 0 else status


cdef int factor_both(newton_t *s, const mf_tableau *tab, double gh) noexcept nogil:
    cdef int status = newton_mass_at(s, s.coupled.t)
    if status == 0:
        status = factor_watched(&s.m, gh, False, s.state)
    if status == 0:
        s.m.nlu += 1
        status = factor_stages(s, tab) if mass_varies(s.c.matrix.mass) else factor_pair(s, tab)
    if status != 0:
        s.m.has_factors = False
    return status


cdef int refresh(newton_t *s, const mf_tableau *tab) noexcept nogil:
    """After a restore: J and both factors as they were, not counted again."""
    cdef int status = newton_mass_at(s, s.coupled.t)
    if status == 0:
        status = matrix_refresh(&s.m)
    if status == 0 and s.m.has_factors and not (s.coupled.has_factors and s.coupled.gh == s.m.gh):
        status = factor_pair(s, tab)
    return status


cdef int prepare(newton_t *s, const mf_tableau *tab, double t, double gh, const double *y, bint anew, bint *fresh) noexcept nogil:
    """J and both factors for this step. fresh: J has just been evaluated at y. anew: it must be."""
    cdef int status
    fresh[0] = False
    if s.c.matrix.kind == IDENTITY or s.c.matrix.kind == KRYLOV:
        fresh[0] = True
        return 0
    if anew or not s.m.has_jacobian or s.want_jacobian or (s.controlled and fabs(gh) > GROWN * s.gh_jac):
        fresh[0] = True
        if not s.controlled:
            weights_of_size(s, y, y)
        status = matrix_jacobian(&s.m, t, y, gh)
        if status != 0:
            return status
        s.want_jacobian, s.followed = False, 0.0
        s.gh_jac = fabs(gh)
    if s.m.has_factors and s.m.gh == gh and s.coupled.has_factors and s.coupled.gh == gh:
        return 0
    s.eta = 1.0
    return factor_both(s, tab, gh)


# ---- one iteration --------------------------------------------------------------------------------------------------------------------

cdef inline void combine(mf_cvec M, ptrdiff_t n, mf_cvec a, mf_cvec b, mf_cvec c, mf_vec first, mf_vec second, mf_vec third) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        first[i] = (M[0] * a[i] + M[1] * b[i]) + M[2] * c[i]
        second[i] = (M[S] * a[i] + M[S + 1] * b[i]) + M[S + 2] * c[i]
        third[i] = (M[2 * S] * a[i] + M[2 * S + 1] * b[i]) + M[2 * S + 2] * c[i]


cdef void transform(const double *M, ptrdiff_t n, ptrdiff_t ld, const double *a, ptrdiff_t ld_a, double *out) noexcept nogil:
    """out_i = sum_j M_ij a_j; not in place."""
    combine(M, n, a, a + ld_a, a + 2 * ld_a, out, out + ld, out + 2 * ld)


cdef int slopes(newton_t *s, const mf_tableau *tab, double t, double h, const double *y, const double *Z, ptrdiff_t ld) noexcept nogil:
    """f at the three stages, into coupled.f."""
    cdef coupled_t *c = s.coupled
    cdef ptrdiff_t i
    cdef int k, status
    for k in range(S):
        for i in range(s.n):
            s.trial[i] = y[i] + Z[k * ld + i]
        status = matrix_rhs(&s.m, t + tab.c[k] * h * c.stretch, s.trial, c.f + k * c.ld)
        if status == MF_RETRY_NON_FINITE:
            s.non_finite += 1
        if status != 0:
            return status
    return 0


cdef int solve_both(newton_t *s, double *a, double *x, double *y) noexcept nogil:
    """a by the real factors, x + i y by the complex ones."""
    cdef coupled_t *c = s.coupled
    cdef ptrdiff_t[MOST_ALONE] rows
    cdef ptrdiff_t count, k
    cdef int status = matrix_solve(&s.m, a)
    if status != 0:
        return status
    if s.c.matrix.kind == DENSE:
        count = rows_at_0(s.n, s.m.jacobian, x, y, rows) if s.m.c.mass == NULL else 0
        COMPLEX.lu_solve(s.n, c.re, c.im, c.pivots, x, y)
        for k in range(count):
            x[rows[k]] = y[rows[k]] = 0.0
    elif s.c.matrix.kind == BANDED:
        COMPLEX.band_solve(s.n, s.m.c.lower, s.m.c.upper, c.re, c.im, c.pivots, x, y)
    else:
        return sparse_pair_solve(&s.m, x, y)
    return 0


cdef int direction(newton_t *s, const mf_tableau *tab, double h, bint compare) noexcept nogil:
    """coupled.d, the update of W, from coupled.f and coupled.W. compare: whether the user's J is too large is looked at."""
    cdef coupled_t *c = s.coupled
    cdef double *F2 = c.F + c.ld
    cdef double *F3 = c.F + 2 * c.ld
    cdef double *d2 = c.d + c.ld
    cdef double *d3 = c.d + 2 * c.ld
    cdef const double *W2 = c.W + c.ld
    cdef const double *W3 = c.W + 2 * c.ld
    cdef double g = h / tab.mu[0], re = c.re_q, im = c.im_q
    cdef ptrdiff_t i, n = s.n
    cdef int status
    transform(tab.T_inv, n, c.ld, c.f, c.ld, c.F)
    if s.c.matrix.mass != NULL:
        mass_times(s.c.matrix.mass, n, c.W, c.d)
        mass_times(s.c.matrix.mass, n, c.W + c.ld, d2)
        mass_times(s.c.matrix.mass, n, c.W + 2 * c.ld, d3)
        for i in range(n):
            c.d[i] = g * c.F[i] - c.d[i]
            d2[i] = (re * F2[i] - im * F3[i]) - d2[i]
            d3[i] = (re * F3[i] + im * F2[i]) - d3[i]
    for i in range(n if s.c.matrix.mass == NULL else 0):
        c.d[i] = g * c.F[i] - c.W[i]
        d2[i] = (re * F2[i] - im * F3[i]) - W2[i]
        d3[i] = (re * F3[i] + im * F2[i]) - W3[i]
    if compare:
        memcpy(s.bar, c.d, n * sizeof(double))
    status = solve_both(s, c.d, d2, d3)
    return overstated(&s.m, g, goal(s), s.bar, c.d, s.next_d, False) if compare and status == 0 else status


cdef double stage_norm(newton_t *s, const double *d) noexcept nogil:
    """Root mean square of the weighted norms of three vectors."""
    cdef double a = weighted_norm(&s.m, d), b = weighted_norm(&s.m, d + s.coupled.ld), c = weighted_norm(&s.m, d + 2 * s.coupled.ld)
    return sqrt(((a * a + b * b) + c * c) / 3.0)


cdef bint rounding(newton_t *s, const double *y, const double *Z, ptrdiff_t ld) noexcept nogil:
    """Whether the update is rounding alone, component by component."""
    cdef coupled_t *c = s.coupled
    cdef ptrdiff_t i
    cdef int k
    for k in range(S):
        for i in range(s.n):
            if not fabs(c.d[k * c.ld + i]) <= 32.0 * EPS * max(fabs(y[i]) + fabs(Z[k * ld + i]), s.m.size[i]):
                return False
    return True


# ---- all stages at once -----------------------------------------------------------------------------------------------------------------

cdef int precondition(newton_t *s, const mf_tableau *tab, double *d) noexcept nogil:
    """d becomes the solution for the same J at all stages; nothing is done without factors."""
    cdef coupled_t *c = s.coupled
    cdef ptrdiff_t n = s.n
    cdef double *F2 = c.F + c.ld
    cdef double *F3 = c.F + 2 * c.ld
    cdef int status
    if s.c.matrix.kind == KRYLOV:
        return 0
    transform(tab.T_inv, n, c.ld, d, c.ld, c.F)
    status = solve_both(s, c.F, F2, F3)
    if status == 0:
        transform(tab.T, n, c.ld, c.F, c.ld, d)
    return status


cdef int residual_of_stages(newton_t *s, const mf_tableau *tab, double h, const double *Z, ptrdiff_t ld, double *norm) noexcept nogil:
    """coupled.d = h A f(y + Z) - Z, from coupled.f; with a mass matrix h f(y + Z) - M A^-1 Z, by scaled rows; and its norm."""
    cdef coupled_t *c = s.coupled
    cdef ptrdiff_t i
    cdef int k, status
    if s.c.matrix.mass != NULL:
        status = varying_residual(s, tab, c.t, h, c.f, Z, ld, c.d)
        norm[0] = stage_norm(s, c.d)
        return status
    transform(tab.A, s.n, c.ld, c.f, c.ld, c.d)
    for k in range(S):
        for i in range(s.n):
            c.d[k * c.ld + i] = h * c.d[k * c.ld + i] - Z[k * ld + i]
    norm[0] = stage_norm(s, c.d)
    return 0


cdef int direction_of_stages(newton_t *s, const mf_tableau *tab, double t, double h, const double *y, const double *Z,
                             ptrdiff_t ld) noexcept nogil:
    """dZ from the residual in coupled.d: by GMRES, or as it stands (fixed-point iteration)."""
    cdef coupled_t *c = s.coupled
    cdef ptrdiff_t i, n = s.n
    cdef int dim = dim_of(s), k, status
    cdef double *b = c.krylov + gmres_room(S * n, dim)
    cdef double *x = b + S * c.ld
    cdef double tol, residual = 0.0, before
    if s.c.matrix.kind == IDENTITY:
        return 0
    c.tab, c.h, c.t, c.y = tab, h, t, y
    copy(s, c.W, c.ld, Z, ld)                        # where J is taken; c.f holds the slopes there
    status = precondition(s, tab, c.d)
    if status != 0:
        return status
    for k in range(S):
        for i in range(n):
            b[k * n + i] = c.d[k * c.ld + i] * s.m.weight[i]
    before = stage_norm(s, c.d)
    tol = left_by_gmres(&s.m, 0.1 * goal(s), before)
    status = LINALG.gmres(apply_stages, s, S * n, b, x, dim, s.c.matrix.krylov_cycles if s.c.matrix.kind == KRYLOV else CYCLES,
                          tol * sqrt(<double> (S * n)), c.krylov, &residual,
                          SHARE if s.c.matrix.kind == KRYLOV and not s.controlled else 0.0)
    s.m.n_krylov += 1
    if status != 0:
        return status
    residual = residual / sqrt(<double> (S * n)) if n > 0 else 0.0
    if not (residual <= tol or residual <= 0.1 * before) or not finite(x, n) or not finite(x + n, n) or not finite(x + 2 * n, n):
        s.m.krylov_left = residual / before
        return MF_RETRY_SOLVE
    for k in range(S):
        for i in range(n):
            c.d[k * c.ld + i] = x[k * n + i] * s.m.size[i]
    return 0


cdef int apply_stages(const double *v, double *out, ptrdiff_t total, void *ctx) noexcept nogil:
    """out_i = v_i - h sum_j A_ij J_j v_j in scaled unknowns, J_j at stage j; preconditioned."""
    cdef newton_t *s = <newton_t *> ctx
    cdef coupled_t *c = s.coupled
    cdef ptrdiff_t i, n = s.n
    cdef double *moved = c.krylov + gmres_room(S * n, dim_of(s)) + 2 * S * c.ld
    cdef double *Jv = moved + c.ld
    cdef double *at
    cdef double reach = max(1.5e-8, length_beside(s.c.matrix.mass, c.f, n))
    cdef double norm, step, scale, move = max(s.m.unit, reach * weighted_norm(&s.m, c.y))
    cdef int k, j, status = 0
    if s.c.matrix.kind == KRYLOV and not s.controlled:
        move = LONG
    for j in range(S):
        norm = sqrt(LINALG.dot(v + j * n, v + j * n, n) / <double> n)
        if norm == 0.0:
            memset(Jv + j * c.ld, 0, n * sizeof(double))
            continue
        step = move / norm
        at = c.W + j * c.ld
        for k in range(SIDES):                       # beside a wall the other way, and less far
            for i in range(n):
                moved[i] = (c.y[i] + at[i]) + step * (v[j * n + i] * s.m.size[i])
            status = matrix_rhs(&s.m, c.t + c.tab.c[j] * c.h * c.stretch, moved, Jv + j * c.ld)
            s.m.n_rhs_jac += 1
            if status != MF_RETRY_NON_FINITE:
                break
            step = -step if k % 2 == 0 else -NEARER * step
        if status != 0:
            return status
        scale = 1.0 / step
        for i in range(n):
            Jv[j * c.ld + i] = scale * (Jv[j * c.ld + i] - c.f[j * c.ld + i])
    if s.c.matrix.mass != NULL:
        for k in range(S):
            for i in range(n):
                c.F[k * c.ld + i] = -v[k * n + i] * s.m.size[i]
        status = varying_residual(s, c.tab, c.t, -c.h, Jv, c.F, c.ld, c.d)
        for k in range(S):
            for i in range(n):
                out[k * n + i] = c.d[k * c.ld + i] * s.m.weight[i]
        return status
    for k in range(S):
        for i in range(n):
            c.d[k * c.ld + i] = v[k * n + i] * s.m.size[i] - c.h * (
                (c.tab.A[S * k] * Jv[i] + c.tab.A[S * k + 1] * Jv[c.ld + i]) + c.tab.A[S * k + 2] * Jv[2 * c.ld + i])
    status = precondition(s, c.tab, c.d)
    for k in range(S):
        for i in range(n):
            out[k * n + i] = c.d[k * c.ld + i] * s.m.weight[i]
    return status


# ---- iterations -----------------------------------------------------------------------------------------------------------------------

cdef inline void advance(newton_t *s, const mf_tableau *tab, double *Z, ptrdiff_t ld, bint plain) noexcept nogil:
    """W += d and Z = T W; plain: Z += d."""
    cdef coupled_t *c = s.coupled
    cdef ptrdiff_t i
    cdef int k
    for k in range(S):
        for i in range(s.n):
            if plain:
                Z[k * ld + i] += c.d[k * c.ld + i]
            else:
                c.W[k * c.ld + i] += c.d[k * c.ld + i]
    if not plain:
        transform(tab.T, s.n, ld, c.W, c.ld, Z)


cdef inline double slow_rate(const newton_t *s) noexcept nogil:
    if not s.controlled:
        return SLOW_FIXED
    if s.m.c.source == BY_DIFFERENCES:
        return SLOW_DIFFERENCES
    return SLOW_SPARSE if s.m.c.kind == SPARSE else SLOW


cdef bint left_by_stages(newton_t *s, double gh) noexcept nogil:
    """`swallowed` of doubted.pyx for the real part of the transformed equations, as coupled.d has led to coupled.W."""
    cdef coupled_t *c = s.coupled
    cdef double size = 0.0, rest, part = 1.0 / fabs(gh)
    cdef ptrdiff_t i
    if s.c.matrix.mass != NULL:
        return False
    for i in range(s.n):
        rest = fabs(gh * c.F[i] - (c.W[i] - c.d[i]))
        if fabs(c.d[i]) < SWALLOWED * rest:
            size = max(size, rest * s.m.weight[i])
    return grown(s, size * part, part)


cdef int iterate(newton_t *s, const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, int how, int most,
                 bint fresh) noexcept nogil:
    """Newton's iteration from Z, at most so many times; fresh: J is new. 0, MF_RETRY_SOLVE, or the code of a callback. In fixed steps
    without a matrix the residual decides, as in `refine` of newton.pyx."""
    cdef coupled_t *c = s.coupled
    cdef double tol = goal(s), gh = h / tab.mu[0], norm, before = 0.0, theta = 0.0, eta, left, last = INFINITY
    cdef bint by_residual = s.c.matrix.kind == KRYLOV and not s.controlled
    cdef int k, status
    cdef bint slow, full = how == FULL, sure = (fresh or full) and not s.controlled and s.c.matrix.kind != IDENTITY
    cdef bint varies = mass_varies(s.c.matrix.mass)
    cdef bint plain = how == TOGETHER or s.c.matrix.kind == IDENTITY or s.c.matrix.kind == KRYLOV or varies
    eta = max(sqrt(sqrt(s.eta)) * sqrt(s.eta), s.c.fraction)
    s.worst = c.rest = 0.0
    transform(tab.T_inv, s.n, c.ld, Z, ld, c.W)
    for k in range(most):
        if full:
            status = matrix_at_end(s, tab, t + h, gh, y, Z + 2 * ld)
            if status != 0:
                return status
        if k == 0 or by_residual:
            first_weights(s, y, Z + 2 * ld)
        status = slopes(s, tab, t, h, y, Z, ld)
        if status == 0 and varies and s.c.matrix.kind != KRYLOV:
            status = direction_of_varying(s, tab, Z, ld)
        elif status == 0 and plain:
            status = residual_of_stages(s, tab, h, Z, ld, &left)
            if status == 0 and by_residual and (left <= RESIDUAL or not left <= 0.5 * last):
                return 0 if left <= RESIDUAL or before <= ROUNDED else MF_RETRY_SOLVE
            last = left
            if status == 0:
                status = direction_of_stages(s, tab, t, h, y, Z, ld)
        elif status == 0:
            status = direction(s, tab, h, how == SIMPLIFIED and may_be_compared(&s.m))
        if status != 0:
            return status
        s.niter += 1
        norm = stage_norm(s, c.d)
        if not norm < INFINITY:
            return MF_RETRY_SOLVE
        if k > 0:
            theta = norm / before
            eta = theta / (1.0 - theta) if theta < 1.0 else INFINITY
            slow = too_slow(theta, eta, norm, tol, most - 1 - k)
            if (slow or theta > 0.5) and (sure and norm <= attainable(s) or rounding(s, y, Z, ld)):
                advance(s, tab, Z, ld, plain)
                return 0
            s.worst = max(s.worst, theta if norm > ROUNDED else 0.0)
            c.rest += norm
            if slow and not by_residual and (not full or theta >= 2.0 or k + 1 == most):
                return MF_RETRY_SOLVE
        else:
            s.first = norm
        advance(s, tab, Z, ld, plain)
        if norm == 0.0 or not by_residual and (norm <= tol if k == 0 and not s.controlled else eta * norm <= tol) and not (
                k == 0 and not plain and s.controlled and left_by_stages(s, gh)):
            s.want_jacobian = how != SIMPLIFIED or theta > slow_rate(s)
            if k > 0:
                s.eta = max(eta, EPS)
            return 0
        before = norm
    return MF_RETRY_SOLVE


cdef int matrix_at_end(newton_t *s, const mf_tableau *tab, double t, double gh, const double *y, const double *Z3) noexcept nogil:
    """A new J at y + Z3, and its factors."""
    cdef ptrdiff_t i
    cdef int status
    if s.c.matrix.kind == KRYLOV:
        return 0
    for i in range(s.n):
        s.bar[i] = y[i] + Z3[i]
    first_weights(s, y, Z3)
    status = matrix_jacobian(&s.m, t, s.bar, gh)
    return factor_both(s, tab, gh) if status == 0 else status


cdef int attempts(newton_t *s, const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, bint *fresh) noexcept nogil:
    """Iterate from the guess, with the J at hand and then with a new one."""
    cdef coupled_t *c = s.coupled
    cdef bint matrix = s.c.matrix.kind != IDENTITY and s.c.matrix.kind != KRYLOV
    cdef double gh = h / tab.mu[0]
    cdef int attempt, status
    c.t, c.h = t, h
    if s.c.matrix.kind == KRYLOV:
        status = matrix_jacobian(&s.m, t, y, gh)     # keeps the point, for lsolve
        if status == 0:
            status = newton_mass_for(s, t, gh, y)
    else:
        status = refresh(s, tab) if not s.want_jacobian else 0
    for attempt in range(2):
        if status == 0:
            status = prepare(s, tab, t, gh, y, attempt > 0, fresh)
        if status == 0:
            status = iterate(s, tab, t, h, y, Z, ld, FULL if s.c.full and matrix else SIMPLIFIED,
                             s.c.max_iter if s.controlled else MANY, fresh[0])
        if status <= 0 or attempt > 0 or (fresh[0] and s.m.has_jacobian):
            break
        copy(s, Z, ld, c.guess, c.ld)
        status = 0
    return status
