"""Which root the equations of stages have in a step: `solve_system` of runs.

A step of fixed length takes the root that continues from Z = 0 as h grows from 0 (branch.pyx says why). Newton's root is trusted where
I - g J was seen to be regular all the way, every update was at most a third of the one before, and the first update from Z = 0 leads to
within half of the way to the root. Elsewhere `follow` goes along the branch by steps of h, each from the line through the last two points,
by Newton's iteration with J at every stage: it contracts by a quarter, and what is left after its first update is at most a quarter of the
way, with I - g J not behind a pole at the end of the step. Where the branch turns back no step is short enough. Newton's root is kept to
the bit where both agree. Error control needs none of it.
With a mass matrix there is no branch that begins at h = 0, where M may be singular: the root is the one that Newton's iteration finds from
the guess.
"""
from libc.math cimport NAN
from libc.string cimport memcpy, memset

from mflow_core.solvers.spectrum.definite cimport CROSSED, MOST_EIGENVALUES, REGULAR
from mflow_core.solvers.matrix cimport DENSE, IDENTITY, KRYLOV, finite, matrix_rhs, matrix_t
from mflow_core.solvers.newton cimport coupled_t, newton_t, weights_of_size
from mflow_core.solvers.stages.coupled cimport (FULL, MANY, MAX_NON_FINITE, S, TOGETHER, attempts, copy, direction, direction_of_stages, iterate,
                                                matrix_at_end, residual_of_stages, stage_norm, transform)
from mflow_core.types cimport MF_RETRY_NON_FINITE, MF_RETRY_SOLVE, mf_tableau

cdef enum:
    TRIES = 200                          # of steps along a branch

cdef double CONTRACTION = 1.0 / 3.0      # of updates that are trusted
cdef double QUARTER = 0.25               # of those along a branch, and of what is left of the way after the first
cdef double HALF = 0.5
cdef double SAME = 1e-6                  # relative: two computations of one root
cdef double SHORT = 1e-7                 # of h: a shorter step along a branch is none


cdef double size_of_stages(newton_t *s, const double *a, const double *b, ptrdiff_t ld_b) noexcept nogil:
    """|a - b|, weighted; b NULL: |a|."""
    cdef coupled_t *c = s.coupled
    cdef ptrdiff_t i
    cdef int k
    for k in range(S):
        for i in range(s.n):
            c.d[k * c.ld + i] = a[k * c.ld + i] - (b[k * ld_b + i] if b != NULL else 0.0)
    return stage_norm(s, c.d)


cdef int first_update(newton_t *s, const mf_tableau *tab, double t, double h, const double *y, double *out) noexcept nogil:
    """Newton's first update from Z = 0, with the factors at hand and f(t, y) as the slope of all stages."""
    cdef coupled_t *c = s.coupled
    cdef double norm
    cdef int status = matrix_rhs(&s.m, t, y, c.f)
    memcpy(c.f + c.ld, c.f, s.n * sizeof(double))
    memcpy(c.f + 2 * c.ld, c.f, s.n * sizeof(double))
    memset(c.W, 0, S * c.ld * sizeof(double))
    memset(out, 0, S * c.ld * sizeof(double))
    if status != 0:
        return status
    if s.c.matrix.kind == KRYLOV:
        status = residual_of_stages(s, tab, h, out, c.ld, &norm)
        if status == 0:
            status = direction_of_stages(s, tab, t, h, y, out, c.ld)
        copy(s, out, c.ld, c.d, c.ld)
        return status
    status = direction(s, tab, h)
    transform(tab.T, s.n, c.ld, c.d, c.ld, out)
    return status


cdef int trusted(newton_t *s, const mf_tableau *tab, double t, double h, const double *y, const double *Z, ptrdiff_t ld) noexcept nogil:
    """1 if Newton's root is on the branch by what is known; 0 if that is open; a negative code of a callback."""
    cdef coupled_t *c = s.coupled
    cdef int status
    if s.worst > CONTRACTION or not (s.c.matrix.kind == KRYLOV or s.m.regular == REGULAR):
        return 0
    status = first_update(s, tab, t, h, y, c.stand)
    if status != 0:
        return status if status < 0 else 0
    copy(s, c.root, c.ld, Z, ld)
    return size_of_stages(s, c.stand, Z, ld) <= HALF * size_of_stages(s, c.root, NULL, 0)


cdef bint is_behind(const matrix_t *m) noexcept nogil:
    """Whether I - g J is seen to have an eigenvalue below 0: behind a pole of the method the root of a linear f continues from nowhere."""
    if m.c.kind == IDENTITY or m.c.kind == KRYLOV or not m.look or m.regular == REGULAR:
        return False
    return m.regular == CROSSED or m.symmetric or (m.c.kind == DENSE and m.n <= MOST_EIGENVALUES)


cdef int follow(newton_t *s, const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld) noexcept nogil:
    """The branch from Z = 0 to h; its end into Z. MF_RETRY_SOLVE: not reached, s.reached of h is. c.root keeps what Z held."""
    cdef coupled_t *c = s.coupled
    cdef double at = 0.0, last = 0.0, step = 1.0, share
    cdef ptrdiff_t i
    cdef int k, _try, status = 0
    cdef bint singular = False
    copy(s, c.root, c.ld, Z, ld)
    memset(c.stand, 0, S * c.ld * sizeof(double))
    memset(c.before, 0, S * c.ld * sizeof(double))
    for _try in range(TRIES):
        step = min(step, 1.0 - at)
        status = matrix_at_end(s, tab, t + at * h, (at + step) * h / tab.mu[0], y, c.stand + 2 * c.ld)
        singular = status > 0
        if status == 0 and is_behind(&s.m):
            status = MF_RETRY_SOLVE
        share = step / (at - last) if at > 0.0 else 0.0
        for k in range(S):
            for i in range(s.n):
                Z[k * ld + i] = c.stand[k * c.ld + i] + share * (c.stand[k * c.ld + i] - c.before[k * c.ld + i])
        if status == 0:
            status = iterate(s, tab, t, (at + step) * h, y, Z, ld, TOGETHER, MANY, True)
        if status == 0 and (s.worst > QUARTER or c.rest > QUARTER * size_of_stages(s, c.stand, Z, ld)):
            status = MF_RETRY_SOLVE
        if status < 0:
            return status
        if status == 0:
            last = at
            at += step
            if at >= 1.0:
                return 0
            copy(s, c.before, c.ld, c.stand, c.ld)
            copy(s, c.stand, c.ld, Z, ld)
            step *= 2.0
        else:
            step *= 0.5
            if step < SHORT or s.non_finite >= MAX_NON_FINITE:
                break
    if status == MF_RETRY_SOLVE and not singular:
        s.reached = at
    return status if status > 0 else MF_RETRY_SOLVE


cdef int settle(newton_t *s, const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, int found) noexcept nogil:
    """The step's root along its branch. found: 0 where Z holds Newton's root, else why there is none."""
    cdef int status = follow(s, tab, t, h, y, Z, ld)
    s.want_jacobian = True
    if status == 0 and found == 0 and size_of_stages(s, s.coupled.root, Z, ld) <= SAME:
        copy(s, Z, ld, s.coupled.root, s.coupled.ld)
    return status


cdef int coupled_solve(const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld, ptrdiff_t n,
                       void *ctx) noexcept nogil:
    """Solve for all stages; Z holds the guess, and holds it again after a positive code."""
    cdef newton_t *s = <newton_t *> ctx
    cdef coupled_t *c = s.coupled
    cdef bint fresh = False, plain = s.c.matrix.kind == IDENTITY, fixed = not s.controlled
    cdef int status, sure = 0
    s.non_finite, s.m.krylov_left = 0, 0.0
    s.nsolve += 1
    copy(s, c.guess, c.ld, Z, ld)
    if fixed:
        s.m.look = not plain and s.c.matrix.mass == NULL
        s.reached = NAN
        weights_of_size(s, y, y)
    status = attempts(s, tab, t, h, y, Z, ld, &fresh)
    if status == MF_RETRY_NON_FINITE:                    # the guess, extrapolated, may lie outside the domain of f
        memset(Z, 0, S * ld * sizeof(double))
        status = attempts(s, tab, t, h, y, Z, ld, &fresh)
    if s.c.matrix.mass != NULL:
        if fixed and status == MF_RETRY_SOLVE:
            copy(s, Z, ld, c.guess, c.ld)
            status = iterate(s, tab, t, h, y, Z, ld, FULL, MANY, True)
            s.want_jacobian = True
    elif fixed and not plain and (status == 0 or status == MF_RETRY_SOLVE):
        sure = trusted(s, tab, t, h, y, Z, ld) if status == 0 else 0
        if sure != 1:
            status = settle(s, tab, t, h, y, Z, ld, status) if sure == 0 else sure
    if status == MF_RETRY_SOLVE and s.non_finite > 0 and not fixed:
        status = MF_RETRY_NON_FINITE                     # that is why it was not solved
    if status == 0 and not (finite(Z, n) and finite(Z + ld, n) and finite(Z + 2 * ld, n)):
        status = MF_RETRY_NON_FINITE
    if status > 0:
        s.nfail += 1
        s.want_jacobian = s.want_jacobian or not fresh
        copy(s, Z, ld, c.guess, c.ld)
    return status
