"""Factors of M = I - gh J under error control, where a mode that grows faster than the step can follow counts as singular.

A real eigenvalue of J beyond 1/gh, of the sign of gh, is a mode that grows by more than e in a step. A stiffly stable method damps it
instead: it would go on behind a pole of f or a wall that the solution runs into, or keep for good a start that is small and not at rest.
Where an odd number of eigenvalues is beyond, det M has not the sign that it has for short steps. The factors tell it, at n operations; then
M counts as singular, and the step is cut until the growth is resolved, or the run ends where none is short enough. From the first cut on
the sign is looked at for WIDE gh, as steps just below the limit may turn the growth's sign, until a step that is offered passes that.

An even number leaves the sign. It mostly leaves pivots below 0 or exchanges of rows; where there are some, M is looked at (grows):
a symmetric one by L D L', another by its eigenvalues if it is dense and small. What passes still: an even number of modes of a larger J
that is not symmetric, growing oscillations, which the methods damp where they turn fast, all where no factors are at hand (Krylov), and
where rounding in the entries of J may move an eigenvalue by 1/gh. For a sparse J the object that factors it tells (objects.pyx).

A linearly implicit method of many stages has a stability function that is negative and large in the last part before its pole. There the
sign is looked at for TWICE gh whenever gh is longer than it was before, of a matrix that is small enough for this to cost little.

A component that is 0 and moved by nothing but itself (a species that is absent) stays 0, and its growth counts for nothing. Another mode
may stay at rest exactly. After MOST cuts with gh of about one size or longer, every third of them at least before a step in which the mode
grew by e^(1/16) or more, what there is of it began 1e-27 below the tolerances or less: then steps pass it.
"""
from libc.math cimport fabs
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from mflow_core.solvers.spectrum.definite cimport (CROSSED, POSITIVE_SIGN, dominant, dominant_in_scales, is_alone, positive, positive_band,
                                                   real_parts, sign_of_lu)
from mflow_core.solvers.matrix cimport BANDED, BY_DIFFERENCES, DENSE, LINALG, SPARSE, at_diagonal, matrix_build, matrix_factor
from mflow_core.solvers.objects cimport sparse_outgrown
from mflow_core.solvers.stages.mass cimport mass_varies
from mflow_core.types cimport MF_RETRY_SOLVE

cdef double EPS = 2.220446049250313e-16
cdef double ROOT_EPS = 1.4901161193847656e-08
cdef double SHORT = 1e-3                 # of a step: for the sign of det M where a mass matrix gives it
cdef double WIDE = 4.0                   # times gh: where the sign is looked at, too, once a mode has outgrown a step
cdef double TWICE = 2.0
cdef double TOLD = 0.1                   # by how much rounding may move gh lambda
cdef double SYMMETRIC = 1e-6             # of the largest entry: a difference that rounding may leave
cdef double SAME = 0.0625                # gh of about one size: not below so much of the one before

cdef enum:
    MOST = 3000                          # cuts in a row
    FEW = 64                             # rows of a matrix that is factored once more
    FEW_EIGENVALUES = 32                 # rows of a matrix whose eigenvalues are computed


cdef int sign_of(const matrix_t *m) noexcept nogil:
    if m.c.kind == DENSE:
        return sign_of_lu(m.n, m.n + 1, m.lu, m.pivots)
    return sign_of_lu(m.n, 2 * m.c.lower + m.c.upper + 1, m.lu + m.c.lower, m.pivots)


cdef bint turned(const matrix_t *m) noexcept nogil:
    """Whether a pivot is below 0 or rows were exchanged."""
    cdef ptrdiff_t stride = m.n + 1 if m.c.kind == DENSE else 2 * m.c.lower + m.c.upper + 1, k
    cdef const double *diagonal = m.lu if m.c.kind == DENSE else m.lu + m.c.lower
    for k in range(m.n):
        if diagonal[k * stride] < 0.0 or m.pivots[k] != k:
            return True
    return False


cdef bint is_told(const matrix_t *m, double gh) noexcept nogil:
    """Whether what M tells is of J and not of the rounding in its entries."""
    cdef ptrdiff_t count = m.n * (m.n if m.c.kind == DENSE else m.c.lower + m.c.upper + 1), k
    cdef double top = 0.0, noise = ROOT_EPS if m.c.source == BY_DIFFERENCES else EPS
    for k in range(count):
        if fabs(m.jacobian[k]) > top:
            top = fabs(m.jacobian[k])
    return fabs(gh) * top * <double> m.n * noise < TOLD


cdef inline ptrdiff_t reach_of(const matrix_t *m) noexcept nogil:
    return m.n if m.c.kind == DENSE else max(m.c.lower, m.c.upper)


cdef inline ptrdiff_t place_of(const matrix_t *m, ptrdiff_t i, ptrdiff_t j) noexcept nogil:
    """The place of J_ij in m.jacobian."""
    return i * m.n + j if m.c.kind == DENSE else i * (m.c.lower + m.c.upper) + j + m.c.lower


cdef bint stands_alone(const matrix_t *m, ptrdiff_t i) noexcept nogil:
    """Whether row i of J has nothing beside its diagonal."""
    cdef ptrdiff_t j
    if m.c.kind == DENSE:
        return is_alone(m.n, m.jacobian, i)
    for j in range(max(i - m.c.lower, <ptrdiff_t> 0), min(i + m.c.upper + 1, m.n)):
        if j != i and m.jacobian[place_of(m, i, j)] != 0.0:
            return False
    return True


cdef bint nearly_symmetric(const matrix_t *m) noexcept nogil:
    """Whether J is, but for the rounding of differences."""
    cdef ptrdiff_t count = m.n * (m.n if m.c.kind == DENSE else m.c.lower + m.c.upper + 1), i, j, k
    cdef double top = 0.0
    if m.c.kind == BANDED and m.c.lower != m.c.upper:
        return False
    for k in range(count):
        top = max(top, fabs(m.jacobian[k]))
    for i in range(m.n):
        for j in range(max(i - reach_of(m), <ptrdiff_t> 0), i):
            if fabs(m.jacobian[place_of(m, i, j)] - m.jacobian[place_of(m, j, i)]) > SYMMETRIC * top:
                return False
    return True


cdef uint64_t absent(const matrix_t *m, const double *state) noexcept nogil:
    """The components that are 0 in `state` and moved by nothing but themselves, of FEW_EIGENVALUES or less, a bit each."""
    cdef uint64_t found = 0
    cdef ptrdiff_t i
    for i in range(m.n if state != NULL else 0):
        if state[i] == 0.0 and stands_alone(m, i):
            found |= <uint64_t> 1 << i
    return found


cdef int grows_by_eigenvalues(matrix_t *m, double gh, const double *state) noexcept nogil:
    """`grows` of a small dense J that is not symmetric. What the eigenvalues of J tell serves all gh."""
    cdef uint64_t gone = absent(m, state)
    cdef double[FEW_EIGENVALUES * FEW_EIGENVALUES] a         # m.lu keeps the factors
    cdef double size
    cdef ptrdiff_t i
    if not m.has_range or m.absent != gone:
        for i in range(m.n * m.n):
            a[i] = -gh * m.jacobian[i]
        for i in range(m.n):
            a[i * (m.n + 1)] = 1.0 if gone >> i & 1 else a[i * (m.n + 1)] + 1.0
        if dominant(m.n, a, m.f1, &size) or dominant_in_scales(m.n, a):      # at a tenth of what eigenvalues cost
            return 0
        memcpy(a, m.jacobian, m.n * m.n * sizeof(double))
        for i in range(m.n):
            if gone >> i & 1:
                a[i * (m.n + 1)] = 0.0
        real_parts(m.n, a, &m.lowest, &m.highest)
        m.has_range, m.absent = True, gone
    return gh * (m.highest if gh > 0.0 else m.lowest) > 1.0


cdef int grows(matrix_t *m, double gh, const double *state) noexcept nogil:
    """1 if an eigenvalue of M = I - gh J is seen to have a real part below 0, by L D L' of a symmetric M or by the eigenvalues of a small
    dense one; else 0, or a negative code. Components that are 0 in `state` and moved by nothing but themselves do not count. It may leave
    no factors."""
    cdef ptrdiff_t stride = m.n + 1 if m.c.kind == DENSE else 2 * m.c.lower + m.c.upper + 1, i
    cdef int found
    if not nearly_symmetric(m):
        return grows_by_eigenvalues(m, gh, state) if m.c.kind == DENSE and m.n <= FEW_EIGENVALUES else 0
    m.has_factors = False
    matrix_build(m, gh)
    for i in range(m.n if state != NULL else 0):
        if state[i] == 0.0 and stands_alone(m, i):
            m.lu[i * stride + (0 if m.c.kind == DENSE else m.c.lower)] = 1.0
    if m.c.kind == DENSE:
        found = positive(m.n, m.lu, m.f1, LINALG.poll)
    else:
        found = positive_band(m.n, m.c.lower, m.c.upper, m.lu, LINALG.poll)
    return found if found < 0 else 1 - found


cdef bint goes_on(matrix_t *m, double gh) noexcept nogil:
    """Whether this cut is one more of a row that is too long for a mode which is not at rest."""
    if m.n_outgrown == 0 or not gh / m.gh_outgrown > SAME:
        m.n_outgrown, m.gh_outgrown = 0, gh
    if m.n_outgrown < MOST:
        m.n_outgrown += 1
    return m.n_outgrown == MOST


cdef void growth_forget(matrix_t *m) noexcept nogil:
    """The state jumps."""
    m.n_outgrown, m.has_side, m.outgrown, m.close, m.gh_clear = 0, False, False, False, 0.0


cdef void growth_pack(const matrix_t *m, double *state) noexcept nogil:
    """What decides later bits, as GROWTH_STATE doubles."""
    state[0], state[1], state[2], state[3] = <double> m.n_outgrown, m.gh_outgrown, m.has_side, m.side
    state[4], state[5] = m.close, m.gh_clear


cdef bint growth_unpack(matrix_t *m, const double *state) noexcept nogil:
    """Restores what growth_pack wrote; False if it cannot have written it."""
    if not 0.0 <= state[0] <= <double> MOST or state[1] != state[1] or (state[2] != 0.0 and state[2] != 1.0) or (
            state[3] != <double> CROSSED and state[3] != <double> POSITIVE_SIGN) or (state[4] != 0.0 and state[4] != 1.0) or not state[5] >= 0.0:
        return False
    m.n_outgrown, m.gh_outgrown, m.has_side, m.side = <int64_t> state[0], state[1], state[2] != 0.0, <int> state[3]
    m.close, m.gh_clear = state[4] != 0.0, state[5]
    return True


cdef int side_of(const matrix_t *m, double gh, int side, const double *state) noexcept nogil:
    """The sign of det M where no mode has outgrown gh: `side`, or the other one for an odd number of components that would outgrow it, were
    they not 0 and moved by nothing but themselves."""
    cdef int64_t count = 0
    cdef ptrdiff_t i
    if m.c.mass == NULL and state != NULL:
        for i in range(m.n):
            if state[i] == 0.0 and gh * m.jacobian[at_diagonal(m, i)] > 1.0 and stands_alone(m, i):
                count += 1
    if count % 2 == 0:
        return side
    return CROSSED if side == POSITIVE_SIGN else POSITIVE_SIGN


cdef int factor_for(matrix_t *m, double gh, int side, const double *state, bint *grown) noexcept nogil:
    """matrix_factor; grown: whether the factors tell that a mode has outgrown gh."""
    cdef int64_t nlu = m.nlu + 1
    cdef int status = matrix_factor(m, gh), found
    grown[0] = False
    if status != 0:
        return status
    grown[0] = sign_of(m) != side_of(m, gh, side, state)
    if grown[0] or m.c.mass != NULL or not turned(m) or not is_told(m, gh):
        return 0
    found = grows(m, gh, state)
    if found < 0:
        return found
    grown[0] = found == 1
    if not m.has_factors:
        status = matrix_factor(m, gh)
        m.nlu = nlu
    return status


cdef int look_ahead(matrix_t *m, double gh, int side, const double *state, bint *grown) noexcept nogil:
    """The same for a gh that nobody asked for; a singular M counts as outgrown. Only a negative code is returned."""
    cdef int64_t nlu = m.nlu
    cdef int status = factor_for(m, gh, side, state, grown)
    m.nlu = nlu
    if status > 0:
        grown[0] = True
    return status if status < 0 else 0


cdef int factor_sparse(matrix_t *m, double gh, bint linear, const double *state) noexcept nogil:
    """factor_watched where a Python object factors."""
    cdef bint watches = m.watch and m.c.mass == NULL and state != NULL
    cdef int status = 0, grown = 0
    if watches and linear and fabs(gh) > m.gh_clear:
        grown = sparse_outgrown(m, TWICE * gh, state)
    if grown >= 0:
        status = matrix_factor(m, gh)
    if status == 0 and watches and grown == 0:
        grown = sparse_outgrown(m, gh, state)
    if status != 0 or grown < 0:
        return status if status != 0 else grown
    if grown == 0 or goes_on(m, gh):
        if fabs(gh) > m.gh_clear:
            m.gh_clear = fabs(gh)
        return 0
    m.outgrown, m.has_factors = True, False
    return MF_RETRY_SOLVE


cdef int factor_watched(matrix_t *m, double gh, bint linear, const double *state) noexcept nogil:
    """matrix_factor; MF_RETRY_SOLVE, too, where a mode has outgrown the step of a run under error control. linear: a linearly implicit one.
    state: where the step starts, or NULL."""
    cdef int64_t nlu = m.nlu
    cdef int status = 0, side = POSITIVE_SIGN
    cdef bint ahead = False, grown = False
    m.outgrown = False
    if m.c.kind == SPARSE:
        return factor_sparse(m, gh, linear, state)
    if not m.watch or not (m.c.kind == DENSE or m.c.kind == BANDED) or mass_varies(m.c.mass):
        return matrix_factor(m, gh)
    if m.c.mass != NULL:
        if not m.has_side:
            status = matrix_factor(m, SHORT * gh)
            m.side = sign_of(m) if status == 0 else CROSSED
            m.has_side = status >= 0
            m.nlu = nlu
        side = m.side
    if m.close and status >= 0:
        status = look_ahead(m, WIDE * gh, side, state, &ahead)
        m.close = ahead
    elif linear and fabs(gh) > m.gh_clear and m.n <= FEW and status >= 0:
        status = look_ahead(m, TWICE * gh, side, state, &ahead)
    if status >= 0:
        status = factor_for(m, gh, side, state, &grown)
    if status != 0:
        return status
    if not (grown or ahead) or not is_told(m, gh) or goes_on(m, gh):
        m.close = False
        if fabs(gh) > m.gh_clear:
            m.gh_clear = fabs(gh)
        return 0
    m.outgrown = m.close = True
    m.has_factors = False
    return MF_RETRY_SOLVE
