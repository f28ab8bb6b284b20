"""The matrix of an implicit step, M = I - gh J: the source of J, factors, and solves. newton.pyx iterates with it.

J is evaluated at one point (t, y), which matrix_t keeps. Differences of f are a pure function of what it keeps (t, y, the least
increments), so that a restored run rebuilds the same bits. Column j moves by

    h_j = sign(y_j) max(sqrt(eps) |y_j|, least_j),    least_j = max(max(1000 |gh| eps n |f|, unit) / w_j, least_move)

in the weighted norm of the step's tolerances: rounding in f then costs a thousandth of M (as in CVODE, Hindmarsh and others, ACM TOMS
31 (2005) 363), and a column whose y_j is 0 moves by far less than the tolerance. At a guess where |f| is enormous, as behind the corner of
a diode, that noise would ask for more: the length is at most max(1 / w_j, sqrt(eps) max |y|), as farther off f is another function. Where f
carries the digits of float32 (arithmetic/bits.pxd) lengths are those of its rounding. Columns that share no row move together: every
(lower + upper + 1)-th column of a band, or a colouring of the pattern (Curtis, Powell and Reid, J. Inst. Math. Appl. 13 (1974) 117).
If gh is infinite, M = -J. A mass matrix, where there is one, stands in the place of I. Nothing allocates after matrix_make, except the Python object behind SPARSE.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from mflow_core.arithmetic.bits cimport keeps_single
from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.arithmetic.norms cimport scaled_norm
from mflow_core.arithmetic.vec cimport MF_SHORT
from mflow_core.problems.inside cimport inside_t, move_inside
from mflow_core.problems.problem cimport failed
from mflow_core.registry cimport REDUCE, kernels
from mflow_core.solvers.linalg cimport gmres_room
from mflow_core.solvers.objects cimport columns_of, sparse_factor, sparse_fill, sparse_jacobian, sparse_solve
from mflow_core.solvers.spectrum.definite cimport (CROSSED, MOST_ALONE, MOST_EIGENVALUES, REGULAR, clear_of_negative_axis, dominant,
                                                   dominant_band, in_right_half_plane, positive, positive_band, rows_at_0, sign_of_lu)
from mflow_core.solvers.stages.lengths cimport length_beside
from mflow_core.solvers.stages.mass cimport add_mass, add_mass_to_band, mass_varies
from mflow_core.solvers.stages.scaled cimport apply_with_mass
from mflow_core.types cimport MF_E_MEMORY, MF_RETRY_NON_FINITE, MF_RETRY_SOLVE

cdef double ROOT_EPS = 1.4901161193847656e-08
cdef double EPS = 2.220446049250313e-16, BESIDE = 1e-5      # of the largest component's move: what an algebraic sum of components resolves
cdef double BESIDE_FLOAT32 = 1e-2        # the same of any sum, where f is computed in float32

cdef extern from "Python.h":
    int PyErr_CheckSignals() noexcept    # `failed` sees to the exception


cdef int poll() noexcept with gil:
    """Run the handlers of signals; -1, with the exception set, where one raised, as for Ctrl-C."""
    return failed() if PyErr_CheckSignals() == -1 else 0


cdef linalg_t *table = <linalg_t *> kernels("solvers.linalg", "_table", b"mflow_core._linalg")
table.poll = poll
LINALG = table[0]
cdef enum:
    LOOK = 4_000_000                     # n^2 of the evaluations of f between looks at signals
NEARER = 1.0 / 32.0
cdef double NO_LINE = 1.0 / 1024.0       # of a move: where a line has moved as little, and no root or jump
NOTHING = 1e-120                         # a size of a component this far below the largest one says nothing
cdef double LEAVES = 1e-3                # of a preconditioned residual


# ---- making one -----------------------------------------------------------------------------------------------------------------------

cdef inline double *take(double **at, ptrdiff_t count) noexcept nogil:
    at[0] += (count + 7) // 8 * 8
    return at[0] - (count + 7) // 8 * 8


cdef int matrix_make(matrix_t *m, const matrix_config_t *c, ptrdiff_t n) noexcept nogil:
    """Allocate a matrix of the given kind; the caller sets rhs, jac and their contexts. Return 0 or MF_E_MEMORY."""
    cdef ptrdiff_t jacobian = 0, lu = 0, work = 0, wide = 0
    cdef double *at
    memset(m, 0, sizeof(matrix_t))
    m.c, m.n = c[0], n
    if c.kind == DENSE:
        jacobian = lu = n * n
    elif c.kind == BANDED:
        jacobian, lu = n * (c.lower + c.upper + 1), n * (2 * c.lower + c.upper + 1)
        work = n * n if c.source == BY_CALLBACK else 0
    elif c.kind == SPARSE:
        jacobian = c.entries
    elif c.kind == KRYLOV:
        work = (gmres_room(n, c.krylov_dim) + 7) // 8 * 8 + 6 * ((n + 7) // 8 * 8)
    if c.columns != NULL and c.source == BY_DIFFERENCES and c.kind != KRYLOV and c.kind != IDENTITY:
        wide = 2 * groups_of(m) * n
    m.block = mf_zeros((9 * ((n + 7) // 8 * 8) + jacobian + lu + work + wide + 40 + (n + 1) // 2) * sizeof(double) + 64, 1)
    if m.block == NULL:
        return MF_E_MEMORY
    at = <double *> ((<uintptr_t> m.block + 63) // 64 * 64)
    m.y, m.least, m.weight, m.size, m.kept = take(&at, n), take(&at, n), take(&at, n), take(&at, n), take(&at, n)
    m.believed, m.noise, m.f0, m.f1 = take(&at, n), take(&at, n), take(&at, n), take(&at, n)
    m.jacobian, m.lu, m.work, m.wide = take(&at, jacobian), take(&at, lu), take(&at, work), take(&at, wide)
    m.pivots = <int32_t *> at
    m.unit, m.krylov_reach, m.least_move = ROOT_EPS, ROOT_EPS, 0.0
    if c.kind == KRYLOV:
        m.size_gh, m.row = INFINITY, NULL if c.mass == NULL or c.sparse != NULL else m.work + work - 3 * ((n + 7) // 8 * 8)
    return 0


cdef void matrix_release(matrix_t *m) noexcept nogil:
    free(m.block)
    m.block = NULL


# ---- norms and right-hand sides -------------------------------------------------------------------------------------------------------

cdef double weighted_norm(matrix_t *m, const double *d) noexcept nogil:
    """sqrt(mean((w_i d_i)^2)); 0 for an empty state. Where the squares overflow, as those of slopes by a tiny time, in units of the largest."""
    cdef double total = 0.0
    cdef ptrdiff_t i, n = m.n
    if n <= MF_SHORT:
        for i in range(n):
            total += (d[i] * m.weight[i]) * (d[i] * m.weight[i])
    else:
        for i in range(n):
            m.f1[i] = d[i] * m.weight[i]
        total = REDUCE.sum_of_squares(m.f1, n)
    if total == INFINITY:
        return scaled_norm(n, d, m.weight, <double> n)
    return sqrt(total / <double> n) if n > 0 else 0.0


cdef bint finite(const double *x, ptrdiff_t n) noexcept nogil:
    cdef double sum = 0.0
    cdef ptrdiff_t i
    if n > MF_SHORT:
        return REDUCE.all_finite(x, n)
    for i in range(n):
        sum += x[i] - x[i]
    return sum == 0.0


cdef int matrix_rhs(matrix_t *m, double t, const double *y, double *dydt) noexcept nogil:
    """Evaluate and count f(t, y); MF_RETRY_NON_FINITE if it is not finite."""
    cdef int status = m.rhs(t, y, dydt, m.n, m.rhs_ctx)
    m.n_rhs += 1
    if status == 0 and not finite(dydt, m.n):
        m.met = True
        return MF_RETRY_NON_FINITE
    return status


cdef inline bint is_plain(const matrix_t *m) noexcept nogil:
    """Whether there is nothing to evaluate and nothing to factor: a preconditioner is a matrix."""
    return m.c.kind == IDENTITY or (m.c.kind == KRYLOV and m.c.sparse == NULL)


# ---- the Jacobian ---------------------------------------------------------------------------------------------------------------------

cdef inline void put(matrix_t *m, ptrdiff_t i, ptrdiff_t j, ptrdiff_t entry, double value) noexcept nogil:
    if m.c.kind == DENSE:
        m.jacobian[i * m.n + j] = value
    elif m.c.kind == BANDED:
        if -m.c.lower <= j - i <= m.c.upper:
            m.jacobian[i * (m.c.lower + m.c.upper + 1) + j - i + m.c.lower] = value
    else:
        m.jacobian[entry] = value


cdef void take_column(matrix_t *m, ptrdiff_t j, double reciprocal) noexcept nogil:
    """Column j from f1 - f0."""
    cdef ptrdiff_t first = 0, last = m.n, entry, i
    if m.c.group != NULL:
        for entry in range(m.c.indptr[j], m.c.indptr[j + 1]):
            i = m.c.indices[entry]
            put(m, i, j, entry, (m.f1[i] - m.f0[i]) * reciprocal)
        return
    if m.c.kind == BANDED:
        first, last = max(j - m.c.upper, <ptrdiff_t> 0), min(j + m.c.lower + 1, m.n)
    for i in range(first, last):
        put(m, i, j, 0, (m.f1[i] - m.f0[i]) * reciprocal)


cdef ptrdiff_t groups_of(const matrix_t *m) noexcept nogil:
    """How many groups of columns move together."""
    if m.c.group != NULL:
        return m.c.n_groups
    return min(m.n, m.c.lower + m.c.upper + 1) if m.c.kind == BANDED else m.n


cdef inline double moved(const matrix_t *m, ptrdiff_t j) noexcept nogil:
    """Entry j of y where its column moves."""
    cdef double h = max(ROOT_EPS * fabs(m.y[j]), m.least[j])
    return m.y[j] - h if m.y[j] < 0.0 else m.y[j] + h


cdef inline bint belongs(const matrix_t *m, ptrdiff_t j, ptrdiff_t g, ptrdiff_t groups) noexcept nogil:
    return m.c.group[j] == g if m.c.group != NULL else j % groups == g


cdef int differences_at_once(matrix_t *m) noexcept nogil:
    """The same numbers from one call of f for all groups."""
    cdef ptrdiff_t groups = groups_of(m), n = m.n, g, j
    cdef double *slopes = m.wide + groups * n
    cdef int status
    for g in range(groups):
        memcpy(m.wide + g * n, m.y, n * sizeof(double))
        for j in range(n):
            if belongs(m, j, g, groups):
                m.wide[g * n + j] = moved(m, j)
    status = columns_of(m, groups, slopes)
    m.n_rhs += 1
    m.n_rhs_jac += 1
    if status != 0:
        return status
    for g in range(groups):
        if not finite(slopes + g * n, n):
            return MF_RETRY_NON_FINITE
        memcpy(m.f1, slopes + g * n, n * sizeof(double))
        for j in range(n):
            if belongs(m, j, g, groups):
                take_column(m, j, 1.0 / (m.wide[g * n + j] - m.y[j]))
    return 0


cdef int differences(matrix_t *m) noexcept nogil:
    """J from f0 = f(t, y) and a call for each group of columns; more where f is not finite: beside a wall they move the other way, less far."""
    cdef ptrdiff_t groups = groups_of(m), stride = 1 if m.c.group != NULL else groups, g
    cdef double work = 0.0, reach
    cdef int status, k
    if m.c.columns != NULL:
        status = differences_at_once(m)
        if status != MF_RETRY_NON_FINITE:
            return status
    for g in range(groups):
        reach = 1.0
        for k in range(SIDES):
            status = difference(m, g, stride, reach)
            if status != MF_RETRY_NON_FINITE:
                break
            reach = -reach if k % 2 == 0 else -NEARER * reach
        work += <double> m.n * <double> m.n
        if work > LOOK and status == 0:                  # a compiled f sees no signal
            work, status = 0.0, poll()
        if status != 0:
            return status
    return 0


cdef int difference(matrix_t *m, ptrdiff_t g, ptrdiff_t stride, double reach) noexcept nogil:
    """The columns of a group, by moves of `reach` times what is best. y itself moves and is restored: that gives the rounded size."""
    cdef double *y = m.y
    cdef double h
    cdef ptrdiff_t j = 0 if m.c.group != NULL else g
    cdef int status
    while j < m.n:
        if m.c.group == NULL or m.c.group[j] == g:
            h = reach * max(ROOT_EPS * fabs(y[j]), m.least[j])
            m.kept[j] = y[j]
            y[j] = y[j] - h if y[j] < 0.0 else y[j] + h
        j += stride
    status = matrix_rhs(m, m.t, y, m.f1)
    m.n_rhs_jac += 1
    j = 0 if m.c.group != NULL else g
    while j < m.n:
        if m.c.group == NULL or m.c.group[j] == g:
            h = y[j] - m.kept[j]
            y[j] = m.kept[j]
            if status == 0:
                take_column(m, j, 1.0 / h)
        j += stride
    return status


cdef int leave_out_rests(matrix_t *m) noexcept nogil:
    """The columns of components that rest at a wall which the run has met become 0 where f beside it leads back and is no line: it jumps there,
    or is like a root. Such a slope says how strongly f holds what rests, and a step would go on to hold it where f itself leads away."""
    cdef const inside_t *s = m.inside
    cdef double h, far
    cdef ptrdiff_t k, j
    cdef int status
    for k in range(s.n_signs if s != NULL and s.met else 0):
        j = s.signs[k]
        h = moved(m, j) - m.y[j]
        far = on_diagonal(m, j) * h
        if m.y[j] != s.bounds[k] or far == 0.0 or not m.f0[j] * far >= 0.0:
            continue
        if s.sides[k] * h < 0.0:         # f is not asked beyond, but in calls for all columns
            take_column(m, j, 0.0)
            continue
        m.y[j] = s.bounds[k] + NO_LINE * h
        status = matrix_rhs(m, m.t, m.y, m.f1)
        m.n_rhs_jac += 1
        m.y[j] = s.bounds[k]
        if status < 0:
            return status
        if status == 0 and fabs(m.f1[j] - m.f0[j]) > 16.0 * NO_LINE * fabs(far):
            take_column(m, j, 0.0)
    return 0


cdef int evaluate(matrix_t *m) noexcept nogil:
    """Evaluate J at the point (m.t, m.y); differences need f of it in f0. MF_RETRY_NON_FINITE if an entry is not finite."""
    cdef ptrdiff_t width = m.c.lower + m.c.upper + 1, i, j, n = m.n
    cdef int status = 0
    m.has_range = False
    if m.c.source == BY_OBJECT:
        return sparse_jacobian(m)
    if m.c.source == BY_DIFFERENCES:
        status = differences(m)
        if status == 0:
            status = leave_out_rests(m)
        if status == 0 and m.c.kind == SPARSE:
            status = sparse_fill(m)
        return status
    if m.c.kind == BANDED and m.c.source == BY_CALLBACK:
        status = m.jac(m.t, m.y, m.work, n, m.jac_ctx)
        for i in range(n):
            for j in range(max(i - m.c.lower, <ptrdiff_t> 0), min(i + m.c.upper + 1, n)):
                m.jacobian[i * width + j - i + m.c.lower] = m.work[i * n + j]
    else:
        status = m.jac(m.t, m.y, m.jacobian, n, m.jac_ctx)
    if status == 0 and not REDUCE.all_finite(m.jacobian, n * (width if m.c.kind == BANDED else n)):
        return MF_RETRY_NON_FINITE
    return status


cdef int length_of_moves(matrix_t *m, double *reach) noexcept nogil:
    """Relative to y, from f0. Where that has entries with the bits of float32, an evaluation beside y, by no power of two, tells whether f
    carries no more."""
    cdef ptrdiff_t i
    cdef int status
    reach[0] = length_beside(m.c.mass, m.f0, m.n)
    if reach[0] == ROOT_EPS:
        return 0
    for i in range(m.n):
        m.kept[i] = m.y[i] + 1.1 * reach[0] * max(fabs(m.y[i]), m.size[i] if m.size[i] < INFINITY else 0.0)
    status = matrix_rhs(m, m.t, m.kept, m.f1)
    m.n_rhs_jac += 1
    if status < 0:
        return status
    if status > 0 or not keeps_single(m.f0, m.f1, m.n):
        reach[0] = ROOT_EPS
    return 0


cdef int matrix_jacobian(matrix_t *m, double t, const double *y, double gh) noexcept nogil:
    """Evaluate J at (t, y), for use from the next factoring on. Weights must be set."""
    cdef ptrdiff_t i
    cdef double floor = m.unit, noise, least, reach, step
    cdef int status
    if y != m.y:
        memcpy(m.y, y, m.n * sizeof(double))
    if m.inside != NULL:
        move_inside(m.inside, m.y)
    m.t, m.stale = t, 0
    m.has_point = m.has_jacobian = m.has_factors = False
    if is_plain(m):
        m.has_point = True
        return 0
    if m.c.source == BY_DIFFERENCES:
        status = matrix_rhs(m, t, m.y, m.f0)
        m.n_rhs_jac += 1
        if status != 0:
            return status
        status = length_of_moves(m, &reach)
        if status != 0:
            return status
        noise = 1000.0 * EPS * <double> m.n * fabs(gh) * weighted_norm(m, m.f0) if fabs(gh) < INFINITY else 0.0
        floor = max(floor, noise) if noise < 1e100 else floor       # else no tolerance says how small a component may be
        least = reach * (REDUCE.max_abs(m.y, m.n) or 1.0)
        for i in range(m.n):
            step = min(floor * m.size[i], max(m.size[i], least)) if m.size[i] > NOTHING * least else least
            m.least[i] = max(step, BESIDE * least if m.c.mass != NULL else m.least_move)
            if reach > ROOT_EPS:
                m.least[i] = max(m.least[i], max(reach * fabs(m.y[i]), BESIDE_FLOAT32 * least))
    status = evaluate(m)
    if status == 0 or m.c.source != BY_DIFFERENCES:      # the user's function has been called, and counts if it failed too
        m.njev += 1
    if status == 0:
        m.has_point = m.has_jacobian = True
    return status


# ---- factors and solves ---------------------------------------------------------------------------------------------------------------

cdef void matrix_build(matrix_t *m, double gh) noexcept nogil:
    """Write M to lu."""
    cdef ptrdiff_t n = m.n, width = m.c.lower + m.c.upper + 1, room = width + m.c.lower, i, k
    cdef double scale = -1.0 if fabs(gh) == INFINITY else -gh, one = 0.0 if fabs(gh) == INFINITY else 1.0
    if m.c.kind == DENSE:
        for k in range(n * n):
            m.lu[k] = scale * m.jacobian[k]
        add_mass(m.c.mass, n, one, m.lu)
        return
    for i in range(n):
        for k in range(width):
            m.lu[i * room + k] = scale * m.jacobian[i * width + k]
    add_mass_to_band(m.c.mass, n, m.c.lower, room, one, m.lu)


cdef int is_regular(matrix_t *m, double gh) noexcept nogil:
    """1 if M, built in lu, is seen to be regular all the way from gh = 0, else 0; a negative code if a signal's handler raised. What the
    tests destroy is built again."""
    cdef int found
    if m.c.kind == DENSE:
        if dominant(m.n, m.lu, m.f1, &m.size_gh):
            return 1
        found = positive(m.n, m.lu, m.f1, table.poll)
        matrix_build(m, gh)
        if found == 0 and not m.symmetric and m.n <= MOST_EIGENVALUES:
            found = clear_of_negative_axis(m.n, m.lu)
            matrix_build(m, gh)
        return found
    if dominant_band(m.n, m.c.lower, m.c.upper, m.lu, m.f1, &m.size_gh):
        return 1
    found = positive_band(m.n, m.c.lower, m.c.upper, m.lu, table.poll)
    matrix_build(m, gh)
    return found


cdef int factor(matrix_t *m, double gh) noexcept nogil:
    cdef int status = 0, regular = 0
    if m.c.kind == SPARSE or (not is_plain(m) and m.c.kind == KRYLOV):
        m.size_gh = INFINITY
        return sparse_factor(m, gh)
    if m.c.kind != DENSE and m.c.kind != BANDED:
        return 0
    matrix_build(m, gh)
    if m.look:
        regular = is_regular(m, gh)
    if regular < 0:                      # a signal's handler raised
        return regular
    if m.c.kind == DENSE:
        status = LINALG.lu_factor(m.n, m.lu, m.pivots)
    else:
        status = LINALG.band_factor(m.n, m.c.lower, m.c.upper, m.lu, m.pivots)
    if status < 0:                       # the same
        return status
    if status > 0:
        m.regular = CROSSED
        return MF_RETRY_SOLVE
    if regular:
        m.regular = REGULAR
    elif m.look and m.c.kind == DENSE:
        m.regular = sign_of_lu(m.n, m.n + 1, m.lu, m.pivots)
    elif m.look:
        m.regular = sign_of_lu(m.n, 2 * m.c.lower + m.c.upper + 1, m.lu + m.c.lower, m.pivots)
    return 0


cdef int matrix_decays(matrix_t *m) noexcept nogil:
    """1 if every mode of J is seen to decay: all eigenvalues of -J have a real part above 0; else 0, or a negative code. It leaves no factors."""
    cdef double size
    cdef int found
    if m.c.kind != DENSE and m.c.kind != BANDED:
        return 0
    m.has_factors = False
    matrix_build(m, INFINITY)
    if m.c.kind == BANDED:
        return (dominant_band(m.n, m.c.lower, m.c.upper, m.lu, m.f1, &size)
                or positive_band(m.n, m.c.lower, m.c.upper, m.lu, table.poll))
    if dominant(m.n, m.lu, m.f1, &size):
        return 1
    found = positive(m.n, m.lu, m.f1, table.poll)
    if found == 0 and not m.symmetric and m.n <= MOST_EIGENVALUES:
        matrix_build(m, INFINITY)
        found = in_right_half_plane(m.n, m.lu)
    return found


cdef int matrix_factor(matrix_t *m, double gh) noexcept nogil:
    """Factor M for this gh. MF_RETRY_SOLVE if M is singular."""
    cdef int status = factor(m, gh)
    m.has_factors, m.gh = status == 0, gh
    if mass_varies(m.c.mass):
        m.t_mass = m.c.mass.t
    m.verified, m.agreed = False, 0.0
    if m.look and (status != 0 or m.regular != REGULAR):
        m.crossed += 1
    if not is_plain(m):
        m.nlu += 1
    return status


cdef int matrix_refresh(matrix_t *m) noexcept nogil:
    """After a restore, rebuild J and the factors: the same bits from the same point. Counts are as without it; what was called counts apart."""
    cdef int64_t n_rhs = m.n_rhs, n_rhs_jac = m.n_rhs_jac
    cdef int status = 0, stale = m.stale, jacobians = 0, factors = 0
    cdef bint recount = m.recount
    m.stale, m.recount = 0, False
    if stale == 0 or is_plain(m):
        return 0
    if m.c.source == BY_DIFFERENCES:
        status = matrix_rhs(m, m.t, m.y, m.f0)
        m.n_rhs_jac += 1
    if status == 0:
        jacobians = 1
        status = evaluate(m)
    m.has_jacobian = status == 0
    if status == 0 and stale == 2:
        factors = 1
        status = factor(m, m.gh)
        m.has_factors = status == 0
    if recount:
        m.njev += 1
        return status
    m.again_jac += jacobians
    m.again_lu += factors
    m.again_rhs += m.n_rhs - n_rhs
    m.n_rhs, m.n_rhs_jac = n_rhs, n_rhs_jac
    return status


cdef int matrix_solve(matrix_t *m, double *b) noexcept nogil:
    """b becomes M^-1 b."""
    cdef ptrdiff_t[MOST_ALONE] rows
    cdef ptrdiff_t count, k
    if m.c.kind == DENSE:
        count = rows_at_0(m.n, m.jacobian, b, NULL, rows) if m.c.mass == NULL else 0
        LINALG.lu_solve(m.n, m.lu, m.pivots, b)
        for k in range(count):
            b[rows[k]] = 0.0
    elif m.c.kind == BANDED:
        LINALG.band_solve(m.n, m.c.lower, m.c.upper, m.lu, m.pivots, b)
    elif m.c.kind == SPARSE:
        return sparse_solve(m, b)
    elif m.c.kind == KRYLOV:
        return krylov_solve(m, b)
    return 0


# ---- Krylov: GMRES in the scaled unknowns w_i d_i, J v by a difference along v -----------------------------------------------------
# A preconditioner P, near to M, stands on the right, M P^-1 u = b and d = P^-1 u, so that the residual is that of the equation. It is kept
# like J and its factors. With a mass matrix, whose rows are of any size, it stands on the left, and the residual is of the size of d.

cdef inline bint preconditioned(const matrix_t *m) noexcept nogil:
    return m.c.sparse != NULL and m.has_factors


cdef int krylov_apply(const double *v, double *out, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef matrix_t *m = <matrix_t *> ctx
    cdef double *moved = m.work + (gmres_room(n, m.c.krylov_dim) + 7) // 8 * 8 + 2 * ((n + 7) // 8 * 8)
    cdef double norm, step, scale, one
    cdef ptrdiff_t i
    cdef int status, k
    if preconditioned(m) and m.c.mass == NULL:
        for i in range(n):
            moved[i] = v[i] * m.size[i]
        status = sparse_solve(m, moved)
        if status != 0:
            return status
        for i in range(n):
            out[i] = moved[i] * m.weight[i]
        v = out
    norm = sqrt(LINALG.dot(v, v, n) / <double> n)
    if norm == 0.0:
        memset(out, 0, n * sizeof(double))
        return 0
    step = m.krylov_move / norm
    for k in range(SIDES):
        for i in range(n):
            moved[i] = m.at[i] + step * (v[i] * m.size[i])
        status = matrix_rhs(m, m.t_at, moved, m.f1)
        m.n_rhs_jac += 1
        if status != MF_RETRY_NON_FINITE:
            break
        step = -step if k % 2 == 0 else -NEARER * step
    if status != 0:
        return status
    one = 0.0 if fabs(m.gh_at) == INFINITY else 1.0
    scale = 1.0 / step if one == 0.0 else m.gh_at * (1.0 / step)
    if m.c.mass != NULL:
        return apply_with_mass(m, v, one, scale, moved, out)
    for i in range(n):
        out[i] = one * v[i] - scale * (m.weight[i] * (m.f1[i] - m.f_at[i]))
    return 0


cdef int krylov_solve(matrix_t *m, double *b) noexcept nogil:
    """Solve M d = b at the point m.at, to m.krylov_tol. MF_RETRY_SOLVE if the residual of GMRES stays above that."""
    cdef ptrdiff_t n = m.n, padded = (m.n + 7) // 8 * 8, i
    cdef double *scaled = m.work + (gmres_room(n, m.c.krylov_dim) + 7) // 8 * 8
    cdef double *x = scaled + padded
    cdef double residual = 0.0, norm = weighted_norm(m, m.at), before = weighted_norm(m, b)
    cdef int status
    m.krylov_move = max(m.unit, max(m.krylov_reach, length_beside(m.c.mass, m.f_at, n)) * norm)
    if preconditioned(m) and m.c.mass != NULL:
        status = sparse_solve(m, b)
        if status != 0:
            return status
        before = weighted_norm(m, b)
        m.krylov_tol = LEAVES * before
    for i in range(n):
        scaled[i] = b[i] * m.weight[i]
    status = LINALG.gmres(krylov_apply, m, n, scaled, x, m.c.krylov_dim, m.c.krylov_cycles, m.krylov_tol * sqrt(<double> n), m.work,
                          &residual, 0.0)
    m.n_krylov += 1
    if status != 0:
        return status
    residual = residual / sqrt(<double> n) if n > 0 else 0.0
    if not (residual <= m.krylov_tol or residual <= 0.1 * before) or not finite(x, n):
        m.krylov_left = residual / before
        return MF_RETRY_SOLVE
    for i in range(n):
        b[i] = x[i] * m.size[i]
    return sparse_solve(m, b) if preconditioned(m) and m.c.mass == NULL else 0
