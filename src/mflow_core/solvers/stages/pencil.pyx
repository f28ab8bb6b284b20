"""Callbacks of a kernel that takes M y' = f(t, y): products by M, and what linearly implicit methods need of the pencil M - gh J.

A host may give M as a product alone. Its rows are then made of n products, for a dense solver.
"""
from libc.math cimport NAN, fabs, sqrt
from libc.stdint cimport int32_t, uintptr_t
from libc.stdlib cimport free
from libc.string cimport memcmp

from mflow_core.arithmetic.bits cimport keeps_single
from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.solvers.spectrum.growth cimport factor_watched
from mflow_core.solvers.matrix cimport finite, matrix_jacobian, matrix_refresh, matrix_rhs, matrix_solve
from mflow_core.solvers.newton cimport goal, newton_lsolve, newton_mass_at, newton_t, weights_of_size
from mflow_core.solvers.stages.lengths cimport length_beside
from mflow_core.solvers.stages.mass cimport MASS_TIMES, mass_alone, mass_is_diagonal, mass_move, mass_times
from mflow_core.solvers.stages.overstated cimport may_be_compared, overstated
from mflow_core.types cimport MF_E_MEMORY, MF_RETRY_NON_FINITE, MF_RETRY_SOLVE, mf_mass_at_of, mf_times_mass

cdef double ROOT_EPS = 1.4901161193847656e-08


ctypedef struct products_t:
    const mf_problem *p
    double *unit                         # a unit vector, zeros between calls, and its product


cdef int pencil_mass(const double *v, double *Mv, ptrdiff_t n, void *ctx) noexcept nogil:
    """`mass` of runs that solve with this newton_t."""
    mass_times((<newton_t *> ctx).c.matrix.mass, n, v, Mv)
    return 0


cdef int pencil_mass_at(double t, const double *v, double *Mv, ptrdiff_t n, void *ctx) noexcept nogil:
    """`mass_at` of them, where M depends on time."""
    cdef int status = mass_move((<newton_t *> ctx).c.matrix.mass, t)
    if status == 0:
        mass_times((<newton_t *> ctx).c.matrix.mass, n, v, Mv)
    return status


cdef int pencil_slopes(newton_t *s, double t, const double *f, double *out, const double **told) noexcept nogil:
    """out = y' where M y' = f; told points there, or is NULL where M tells none. A diagonal M tells them, 0 for what is algebraic, and a
    regular one, whose factors take the place of those at hand. 0, or a negative code. f may be out."""
    cdef const mass_t *mass = s.c.matrix.mass if s != NULL else NULL
    cdef ptrdiff_t i
    cdef int status
    told[0] = NULL
    if mass == NULL:
        return 0
    status = newton_mass_at(s, t)
    if status == 0 and mass_is_diagonal(mass, s.n):
        for i in range(s.n):
            out[i] = f[i] / mass_alone(mass, i) if mass_alone(mass, i) != 0.0 else 0.0
    elif status == 0:
        status = newton_lsolve(t, 0.0, f, out, s.n, s)
    if status == 0 and finite(out, s.n):
        told[0] = out
    return min(status, 0)


cdef int values_of_products(double t, double *values, void *ctx) noexcept nogil:
    """All entries of a host's M(t), of n products."""
    cdef products_t *of = <products_t *> ctx
    cdef ptrdiff_t n = of.p.n, i, j
    cdef int status
    for j in range(n):
        of.unit[j] = 1.0
        status = mf_times_mass(of.p, t, of.unit, of.unit + n, n)
        of.unit[j] = 0.0
        if status != 0:
            return status
        for i in range(n):
            values[i * n + j] = of.unit[n + i]
    return 0


cdef int pencil_of_products(const mf_problem *p, mass_t **made) noexcept nogil:
    """The rows of a host's M, in one block that `free` releases: 0, MF_E_MEMORY, or the code of its callback."""
    cdef ptrdiff_t n = p.n, i, whole = n + 1 + n * n + 1, times = MASS_TIMES if mf_mass_at_of(p) != NULL else 1
    cdef mass_t *mass
    cdef products_t *of
    cdef double *values
    cdef int32_t *indptr
    cdef int k, status = 0
    if n > 30_000:                                   # n^2 entries would leave int32, and no memory holds their factors
        return MF_E_MEMORY
    mass = <mass_t *> mf_zeros(1, sizeof(mass_t) + sizeof(products_t) + (times * n * n + 2 * n + 8) * sizeof(double) + whole * sizeof(int32_t))
    if mass == NULL:
        return MF_E_MEMORY
    of = <products_t *> (mass + 1)
    values = <double *> (((<uintptr_t> (of + 1)) + 63) // 64 * 64)
    of.p, of.unit = p, values + times * n * n
    indptr = <int32_t *> (of.unit + 2 * n)
    if times > 1:
        mass.at, mass.ctx, mass.kept, mass.entries, mass.t = values_of_products, of, values, n * n, NAN
        for k in range(MASS_TIMES):
            mass.times[k] = NAN
    else:
        status = values_of_products(0.0, values, of)
    if status != 0:
        free(mass)
        return status
    for i in range(n + 1):
        indptr[i] = <int32_t> (i * n)
    for i in range(n * n):
        indptr[n + 1 + i] = <int32_t> (i % n)
    mass.indptr, mass.indices, mass.values = indptr, indptr + n + 1, values
    made[0] = mass
    return 0


# ---- linearly implicit methods --------------------------------------------------------------------------------------------------------

cdef inline double length_in_time(double t, double gh, double reach) noexcept nogil:
    cdef double step = min(reach * sqrt(max(fabs(t), fabs(gh))) * sqrt(fabs(gh)), fabs(gh))
    return (t + (step if gh > 0.0 else -step)) - t


cdef int time_derivative(newton_t *s, double t, double gh, const double *y, double *dfdt) noexcept nogil:
    """As given, or by a difference into the step, no longer than gh: beyond the step f may end. f(t, y) in, the derivative out.

    Its length is the mean of gh, as f changes over the length of a step, and of what rounding of t is worth, eps |t|.
    """
    cdef double reach = length_beside(s.c.matrix.mass, dfdt, s.n), step, scale
    cdef ptrdiff_t i
    cdef int status
    if s.rhs_t != NULL:
        status = s.rhs_t(t, y, dfdt, s.n, s.rhs_t_ctx)
        return MF_RETRY_NON_FINITE if status == 0 and not finite(dfdt, s.n) else status
    step = length_in_time(t, gh, reach)
    status = matrix_rhs(&s.m, t + step, y, s.f)
    if reach > ROOT_EPS and status >= 0 and (status > 0 or not keeps_single(dfdt, s.f, s.n)):
        step = length_in_time(t, gh, ROOT_EPS)
        status = matrix_rhs(&s.m, t + step, y, s.f)
    if status != 0:
        return status
    scale = 1.0 / step if step != 0.0 else 0.0       # a step of a few units in the last place of t
    for i in range(s.n):
        dfdt[i] = (s.f[i] - dfdt[i]) * scale
    return 0


cdef int linearized(newton_t *s, double t, double gh, const double *y, const double *f, bint here) noexcept nogil:
    """J at (t, y), unless it is here, and the factors; MF_RETRY_SOLVE without a J where the user's is too large: differences are next."""
    cdef ptrdiff_t i
    cdef bint fresh = not (here and s.m.has_jacobian)
    cdef int status = matrix_jacobian(&s.m, t, y, gh) if fresh else 0
    if status == 0 and not (s.m.has_factors and s.m.gh == gh):
        status = factor_watched(&s.m, gh, True, s.state)
    if status != 0 or not fresh or not may_be_compared(&s.m):
        return status
    for i in range(s.n):
        s.d[i] = s.bar[i] = gh * f[i]
    status = matrix_solve(&s.m, s.d)
    return overstated(&s.m, gh, goal(s), s.bar, s.d, s.next_d, True) if status == 0 else status


cdef int pencil_linearize(double t, double gh, const double *y, double *dfdt, ptrdiff_t n, void *ctx) noexcept nogil:
    """`linearize` of runs: J at (t, y), which a try of another length finds at hand, and the factors of M - gh J."""
    cdef newton_t *s = <newton_t *> ctx
    cdef bint here = s.m.has_point and s.m.t == t and memcmp(s.m.y, y, n * sizeof(double)) == 0
    cdef int status = 0
    s.nsolve += 1
    status = newton_mass_at(s, t)
    if here and status == 0:
        status = matrix_refresh(&s.m)
    if status == 0 and not (here and s.m.has_jacobian) and not s.controlled:
        weights_of_size(s, y, y)
    s.m.watch = True                     # in steps of fixed length, too
    if status == 0:
        status = linearized(s, t, gh, y, dfdt, here)
        if status == MF_RETRY_SOLVE and not s.m.has_jacobian:
            status = linearized(s, t, gh, y, dfdt, False)
    if status == 0:
        status = time_derivative(s, t, gh, y, dfdt)
    if status > 0:
        s.nfail += 1
    return status
