"""Which root the equations of stages have in a step: `solve_system` of runs.

A step of fixed length takes the root that continues from Z = 0 as h grows from 0 (branch.pyx says why). Newton's root is trusted where
I - g J was seen to be regular all the way, every update was at most a third of the one before, the first update from Z = 0 leads to within
half of the way to the root, and f does not bend on a long way, as `bends` of scout.pyx tells it for one stage. Elsewhere `follow` goes on
along the branch by steps of h, the stages' times at rest, each from the tangent by Newton's iteration with J at every stage: it contracts by
a quarter, the tangents at both ends agree with the step, and f hardly bends on it, with I - g J not behind a pole at the end of the step.
Where the branch turns back no step is short enough. Newton's root is kept to the bit where both agree. Error control needs none of it.
With a mass matrix there is no branch that begins at h = 0, where M may be singular: the root is the one that Newton's iteration finds from
the guess.
"""
from libc.math cimport NAN
from libc.string cimport memcpy, memset

from mflow_core.solvers.spectrum.definite cimport CROSSED, MOST_EIGENVALUES, REGULAR
from mflow_core.solvers.matrix cimport DENSE, IDENTITY, KRYLOV, finite, matrix_t
from mflow_core.solvers.newton cimport coupled_t, newton_t, weights_of_size
from mflow_core.solvers.scout cimport FALLS, LONG_WAY, MOST_PARTS, distance, is_still, look_at, open_or, parts_of
from mflow_core.solvers.stages.coupled cimport (FULL, MANY, MAX_NON_FINITE, S, TOGETHER, attempts, copy, direction, direction_of_stages, iterate,
                                                matrix_at_end, precondition, residual_of_stages, slopes, stage_norm, transform)
from mflow_core.types cimport MF_RETRY_NON_FINITE, MF_RETRY_SOLVE, mf_tableau

cdef enum:
    TRIES = 400                          # of steps along a branch

cdef double CONTRACTION = 1.0 / 3.0      # of updates that are trusted
cdef double QUARTER = 0.25               # of those along a branch
cdef double CURVED = 0.2                 # of a step along it: how far its end may be beside the tangents
cdef double HALF = 0.5
cdef double STRAIGHT = 1e-6              # of the first update: those after it, where f is affine;
cdef double SHARE = 0.02                 # where GMRES leaves a hundredth of each;
cdef double TAME = 0.05                  # where it bends a little
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
    """Newton's first update from Z = 0, with the factors at hand."""
    cdef coupled_t *c = s.coupled
    cdef double norm
    cdef int status
    memset(c.W, 0, S * c.ld * sizeof(double))
    memset(out, 0, S * c.ld * sizeof(double))
    status = slopes(s, tab, t, h, y, out, c.ld)
    if status != 0:
        return status
    if s.c.matrix.kind == KRYLOV:
        status = residual_of_stages(s, tab, h, out, c.ld, &norm)
        if status == 0:
            status = direction_of_stages(s, tab, t, h, y, out, c.ld)
        copy(s, out, c.ld, c.d, c.ld)
        return status
    status = direction(s, tab, h, False)
    transform(tab.T, s.n, c.ld, c.d, c.ld, out)
    return status


cdef int bends(newton_t *s, const mf_tableau *tab, double t, double h, const double *y, const double *A, const double *Z, ptrdiff_t ld,
               double way, bint seen, bint strict) noexcept nogil:
    """1 if f bends on the straight way from A to the root Z of a step of h; else 0, or a negative code. The residual, divided by I - g J, is
    looked at as in `bends` of scout.pyx; seen: at few points, as f looks affine."""
    cdef coupled_t *c = s.coupled
    cdef double[MOST_PARTS] parts
    cdef double *point = c.krylov
    cdef double *first = c.krylov + S * c.ld
    cdef double part, before = 0.0, along, square, off, u, v, norm
    cdef int count, j, k, status
    cdef ptrdiff_t i
    for i in range(s.n):
        s.trial[i], s.bar[i] = y[i] + A[2 * c.ld + i], y[i] + Z[2 * ld + i]
    count = parts_of(s.n, s.m.weight, s.trial, s.bar, way > LONG_WAY and not seen, parts)
    for j in range(-1, count):
        part = parts[j] if j >= 0 else 0.0
        for k in range(S):
            for i in range(s.n):
                point[k * c.ld + i] = (1.0 - part) * A[k * c.ld + i] + part * Z[k * ld + i]
        status = slopes(s, tab, t, h, y, point, c.ld)
        if status == 0:
            status = residual_of_stages(s, tab, h, point, c.ld, &norm)
        if status == 0:
            status = precondition(s, tab, c.d)
        if status != 0:
            return open_or(status)
        if j < 0:
            copy(s, first, c.ld, c.d, c.ld)
        along = square = off = 0.0
        for k in range(S):
            for i in range(s.n):
                u = (part - before) * first[k * c.ld + i] * s.m.weight[i]
                v = (c.W[k * c.ld + i] - c.d[k * c.ld + i]) * s.m.weight[i] if j >= 0 else 0.0
                along += u * v
                square += u * u
                off += (v - u) * (v - u)
        if not (off <= HALF * HALF * square if strict else along >= FALLS * square):
            return 1
        copy(s, c.W, c.ld, c.d, c.ld)
        before = part
    return 0


cdef int crosses(newton_t *s, double t, double gh, const double *y, const double *Z3) noexcept nogil:
    """Without a matrix: 1 if I - g J at y + Z3 is not seen to be regular all the way from g = 0, by a look that serves until the state has
    moved by half; else 0, or a negative code."""
    cdef int regular = CROSSED, status
    cdef ptrdiff_t i
    for i in range(s.n):
        s.root[i] = y[i] + Z3[i]
    if s.gh_checked == gh and distance(s, s.root, s.checked) <= HALF:
        return 0
    status = look_at(s, t, gh, s.root, &regular)
    if status == 0 and regular == REGULAR:
        memcpy(s.checked, s.root, s.n * sizeof(double))
        s.gh_checked = gh
    return status if status < 0 else regular != REGULAR


cdef int trusted(newton_t *s, const mf_tableau *tab, double t, double h, const double *y, const double *Z, ptrdiff_t ld) noexcept nogil:
    """1 if Newton's root is on the branch by what is known; 0 if that is open; a negative code of a callback."""
    cdef coupled_t *c = s.coupled
    cdef double way
    cdef bint seen
    cdef int status
    if s.worst > CONTRACTION or not (s.c.matrix.kind == KRYLOV or s.m.regular == REGULAR):
        return 0
    status = first_update(s, tab, t, h, y, c.stand)
    if status != 0:
        return status if status < 0 else 0
    copy(s, c.root, c.ld, Z, ld)
    way = size_of_stages(s, c.root, NULL, 0)
    if not size_of_stages(s, c.stand, Z, ld) <= HALF * way:
        return 0
    if s.c.matrix.kind == KRYLOV:
        status = crosses(s, t + h, h / tab.mu[0], y, Z + 2 * ld)
        if status != 0:
            return min(status, 0)
    elif way <= LONG_WAY:
        return 1
    seen = way <= 2.0 * s.m.agreed and c.rest <= TAME * s.first and (s.first <= way or c.rest <= STRAIGHT * way)
    if seen and not QUARTER * way < s.first <= way and c.rest <= (STRAIGHT if s.c.matrix.kind != KRYLOV else SHARE) * s.first:
        return 1
    memset(c.stand, 0, S * c.ld * sizeof(double))
    status = bends(s, tab, t, h, y, c.stand, Z, ld, way, seen, False)
    if status == 0:
        s.m.agreed = way
    return status if status < 0 else status == 0


cdef bint is_behind(const matrix_t *m) noexcept nogil:
    """Whether I - g J is seen to have an eigenvalue below 0: behind a pole of the method the root of a linear f continues from nowhere."""
    if m.c.kind == IDENTITY or m.c.kind == KRYLOV or not m.look or m.regular == REGULAR:
        return False
    return m.regular == CROSSED or m.symmetric or (m.c.kind == DENSE and m.n <= MOST_EIGENVALUES)


cdef int tangent(newton_t *s, const mf_tableau *tab, double t, double h, double at, const double *y, const double *Z, ptrdiff_t ld,
                 double *out) noexcept nogil:
    """dZ/ds at the point Z of the branch, s the part of h that `at` is; 0, or why there is none."""
    cdef coupled_t *c = s.coupled
    cdef ptrdiff_t i
    cdef int k, status
    c.stretch = 1.0
    status = slopes(s, tab, t, h, y, Z, ld)
    transform(tab.A, s.n, c.ld, c.f, c.ld, c.d)
    for k in range(S):
        for i in range(s.n):
            c.d[k * c.ld + i] *= h
    if status == 0 and at > 0.0:
        c.stretch = 1.0 / at
        status = direction_of_stages(s, tab, t, at * h, y, Z, ld)
    copy(s, out, c.ld, c.d, c.ld)
    c.stretch = 1.0
    return status


cdef double beside(newton_t *s, const double *Z, ptrdiff_t ld, double step, const double *slope) noexcept nogil:
    """How far Z is from the line through c.stand with this slope, after a step; weighted."""
    cdef coupled_t *c = s.coupled
    cdef ptrdiff_t i
    cdef int k
    for k in range(S):
        for i in range(s.n):
            c.d[k * c.ld + i] = Z[k * ld + i] - (c.stand[k * c.ld + i] + step * slope[k * c.ld + i])
    return stage_norm(s, c.d)


cdef int attempt(newton_t *s, const mf_tableau *tab, double t, double h, double at, double step, const double *y, double *Z,
                 ptrdiff_t ld) noexcept nogil:
    """The point of the branch at + step from c.stand, the one at `at`, into Z, and its tangent into c.before; or why it is none. c.rest: how
    far, relative to the step, the farther of both ends is beside the other's tangent."""
    cdef coupled_t *c = s.coupled
    cdef ptrdiff_t i
    cdef double way, off = 0.0
    cdef int k, status
    for k in range(S):
        for i in range(s.n):
            Z[k * ld + i] = c.stand[k * c.ld + i] + step * c.tangent[k * c.ld + i]
    c.stretch = 1.0 / (at + step)
    status = iterate(s, tab, t, (at + step) * h, y, Z, ld, TOGETHER, MANY, True)
    way = size_of_stages(s, c.stand, Z, ld)
    if status == 0:
        off = beside(s, Z, ld, step, c.tangent)
        status = 0 if s.worst <= QUARTER and off <= CURVED * way else MF_RETRY_SOLVE
    if status == 0:
        status = bends(s, tab, t, (at + step) * h, y, c.stand, Z, ld, way, False, True)
    c.stretch = 1.0
    if status == 0:
        status = tangent(s, tab, t, h, at + step, y, Z, ld, c.before)
    if status == 0:
        off = max(off, beside(s, Z, ld, step, c.before))
        status = 0 if off <= CURVED * way else MF_RETRY_SOLVE
    c.rest = off / way if way > 0.0 else 0.0
    return MF_RETRY_SOLVE if status == 1 else status


cdef int follow(newton_t *s, const mf_tableau *tab, double t, double h, const double *y, double *Z, ptrdiff_t ld) noexcept nogil:
    """The branch from Z = 0 to h; its end into Z. MF_RETRY_SOLVE: not reached, s.reached of h is. c.root keeps what Z held."""
    cdef coupled_t *c = s.coupled
    cdef double at = 0.0, step = 1.0
    cdef int _try, status
    cdef bint singular = False
    copy(s, c.root, c.ld, Z, ld)
    memset(c.stand, 0, S * c.ld * sizeof(double))
    status = tangent(s, tab, t, h, 0.0, y, c.stand, c.ld, c.tangent)
    if status != 0:
        return status
    for _try in range(TRIES):
        step = min(step, 1.0 - at)
        status = matrix_at_end(s, tab, t + h, (at + step) * h / tab.mu[0], y, c.stand + 2 * c.ld)
        singular = status > 0
        if status == 0 and is_behind(&s.m):
            status = MF_RETRY_SOLVE
        if status == 0:
            status = attempt(s, tab, t, h, at, step, y, Z, ld)
        if status < 0:
            return status
        if status == 0:
            at += step
            if at >= 1.0:
                return 0
            copy(s, c.stand, c.ld, Z, ld)
            c.tangent, c.before = c.before, c.tangent
            step *= min(2.0, 0.8 * CURVED / max(c.rest, 1e-3))
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
        if status == 0 and sure == 0 and is_still(n, Z, NULL, y) and is_still(n, Z + ld, NULL, y) and is_still(n, Z + 2 * ld, NULL, y):
            sure = 1
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
