"""Factors of M = I - gh J under error control, where a mode that grows faster than the step can follow counts as singular.

A real eigenvalue of J beyond 1/gh, of the sign of gh, is a mode that grows by more than e in a step. A stiffly stable method damps it
instead: it would go on behind a pole of f or a wall that the solution runs into, or keep for good a start that is small and not at rest.
Where an odd number of eigenvalues is beyond, det M has not the sign that it has for short steps. The factors tell it, at n operations; then
M counts as singular, and the step is cut until the growth is resolved, or the run ends where none is short enough. From the first cut on
the sign is looked at for WIDE gh, as steps just below the limit may turn the growth's sign, until a step that is offered passes that. An
even number passes, and so does all where no factors are at hand (those of a sparse J that is no narrow band are SciPy's) or where rounding
in the entries of J may move an eigenvalue by 1/gh.

A linearly implicit method of many stages has a stability function that is negative and large in the last part before its pole. There the
sign is looked at for TWICE gh whenever gh is longer than it was before, of a matrix that is small enough for this to cost little.

A component that is 0 and moved by nothing but itself (a species that is absent) stays 0, and its growth counts for nothing. Another mode
may stay at rest exactly. After MOST cuts with gh of about one size or longer, every third of them at least before a step in which the mode
grew by e^(1/16) or more, what there is of it began 1e-27 below the tolerances or less: then steps pass it.
"""
from libc.math cimport fabs
from libc.stdint cimport int64_t

from mflow_core.solvers.spectrum.definite cimport CROSSED, POSITIVE_SIGN, is_alone, sign_of_lu
from mflow_core.solvers.matrix cimport BANDED, BY_DIFFERENCES, DENSE, matrix_factor
from mflow_core.solvers.stages.mass cimport mass_varies
from mflow_core.types cimport MF_RETRY_SOLVE

cdef double EPS = 2.220446049250313e-16
cdef double ROOT_EPS = 1.4901161193847656e-08
cdef double SHORT = 1e-3                 # of a step: for the sign of det M where a mass matrix gives it
cdef double WIDE = 4.0                   # times gh: where the sign is looked at, too, once a mode has outgrown a step
cdef double TWICE = 2.0
cdef double TOLD = 0.1                   # by how much rounding may move gh lambda
cdef double SAME = 0.0625                # gh of about one size: not below so much of the one before

cdef enum:
    MOST = 3000                          # cuts in a row
    FEW = 64                             # rows of a matrix that is factored once more


cdef int sign_of(const matrix_t *m) noexcept nogil:
    if m.c.kind == DENSE:
        return sign_of_lu(m.n, m.n + 1, m.lu, m.pivots)
    return sign_of_lu(m.n, 2 * m.c.lower + m.c.upper + 1, m.lu + m.c.lower, m.pivots)


cdef bint is_told(const matrix_t *m, double gh) noexcept nogil:
    """Whether the sign of det M is that of J and not of the rounding in its entries."""
    cdef ptrdiff_t count = m.n * (m.n if m.c.kind == DENSE else m.c.lower + m.c.upper + 1), k
    cdef double top = 0.0, noise = ROOT_EPS if m.c.source == BY_DIFFERENCES else EPS
    for k in range(count):
        if fabs(m.jacobian[k]) > top:
            top = fabs(m.jacobian[k])
    return fabs(gh) * top * <double> m.n * noise < TOLD


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


cdef int sign_at(matrix_t *m, double gh, int *sign) noexcept nogil:
    """The sign of det M for another gh, which costs factors that nobody asked for."""
    cdef int64_t nlu = m.nlu
    cdef int status = matrix_factor(m, gh)
    sign[0] = sign_of(m) if status == 0 else CROSSED
    m.nlu = nlu
    return status if status < 0 else 0


cdef int side_of(const matrix_t *m, double gh, int side, const double *state) noexcept nogil:
    """The sign of det M where no mode has outgrown gh: `side`, or the other one for an odd number of components that would outgrow it, were
    they not 0 and moved by nothing but themselves."""
    cdef int64_t count = 0
    cdef ptrdiff_t i
    if m.c.kind == DENSE and m.c.mass == NULL and state != NULL:
        for i in range(m.n):
            if state[i] == 0.0 and gh * m.jacobian[i * (m.n + 1)] > 1.0 and is_alone(m.n, m.jacobian, i):
                count += 1
    if count % 2 == 0:
        return side
    return CROSSED if side == POSITIVE_SIGN else POSITIVE_SIGN


cdef int factor_watched(matrix_t *m, double gh, bint linear, const double *state) noexcept nogil:
    """matrix_factor; MF_RETRY_SOLVE, too, where a mode has outgrown the step of a run under error control. linear: a linearly implicit one.
    state: where the step starts, or NULL."""
    cdef int status = 0, side = POSITIVE_SIGN, ahead = POSITIVE_SIGN
    cdef bint watches = m.watch and (m.c.kind == DENSE or m.c.kind == BANDED) and not mass_varies(m.c.mass)
    m.outgrown = False
    if watches and m.c.mass != NULL:
        if not m.has_side:
            status = sign_at(m, SHORT * gh, &m.side)
            m.has_side = status == 0
        side = ahead = m.side
    if watches and m.close and status == 0:
        status = sign_at(m, WIDE * gh, &ahead)
        ahead = side if ahead == side_of(m, WIDE * gh, side, state) else 1 - side
        m.close = ahead != side
    elif watches and linear and fabs(gh) > m.gh_clear and m.n <= FEW and status == 0:
        status = sign_at(m, TWICE * gh, &ahead)
        ahead = side if ahead == side_of(m, TWICE * gh, side, state) else 1 - side
    if status == 0:
        status = matrix_factor(m, gh)
    if status != 0 or not watches:
        return status
    if (sign_of(m) == side_of(m, gh, side, state) and ahead == side) or not is_told(m, gh) or goes_on(m, gh):
        m.close = False
        if fabs(gh) > m.gh_clear:
            m.gh_clear = fabs(gh)
        return 0
    m.outgrown = m.close = True
    m.has_factors = False
    return MF_RETRY_SOLVE
