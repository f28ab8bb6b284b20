"""The scout: a second solver that follows a branch of roots of z - s f(t, z) = r from s = 0 (branch.pyx), and looks at M = I - s J.

A step along the branch goes from a root for s to one for a larger s by Newton's iteration. It counts where M is regular on the way, where M
and f vary little between both ends, and where updates contract well; else it is made shorter. Where M turns singular the branch turns back.
The flow z' = f(t, z) - (z - r) / gh, t at rest, is followed in the same way, by implicit steps that grow: each is a short branch of its own.
"""
from libc.math cimport INFINITY, copysign, fabs, ldexp, sqrt
from libc.string cimport memcmp, memcpy, memmove, memset

from mflow_core.registry cimport REDUCE
from mflow_core.solvers.spectrum.definite cimport CROSSED, POSITIVE_SIGN, REGULAR, clear_of_negative_axis, positive
from mflow_core.solvers.matrix cimport (KRYLOV, LINALG, krylov_apply, matrix_factor, matrix_jacobian, matrix_rhs, matrix_solve,
                                        weighted_norm)
from mflow_core.solvers.newton cimport move, newton_t, residual, update, weights_of_size
from mflow_core.types cimport MF_RETRY_SOLVE

cdef enum:
    TRIES = 400                          # of steps along the branch or the flow
    CORRECTIONS = 12
    RITZ = 20                            # vectors that look at a matrix which is not there
    POINTS = 15                          # between both ends of a way, at which f is looked at
    FEW = 3                              # of a short one
    FINER = 5                            # halvings of their distance, around a place where a component passes 0

LONG_WAY = 0.25
LONG = 6e-6
cdef double QUARTER = 0.25               # of updates of a scout
cdef double HALF = 0.5
cdef double EASY = 0.05
FALLS = 0.1
cdef double SHORT = 1e-7                 # relative: a shorter step along the branch is none
cdef double LEAST_PART = 1e-4            # of a way
cdef double STEEP = 10.0                 # |s dz/ds| over |z - r|: the branch turns


# ---- looks at M -----------------------------------------------------------------------------------------------------------------------

cdef double distance(newton_t *s, const double *a, const double *b) noexcept nogil:
    """|a - b| in the weights of the larger of the two."""
    cdef ptrdiff_t i
    weights_of_size(s, a, b)
    for i in range(s.n):
        s.bar[i] = a[i] - b[i]
    return weighted_norm(&s.m, s.bar)


cdef bint is_nothing(const newton_t *s, const double *z, const double *r) noexcept nogil:
    """Whether hardly anything of r is left in z: a state that dies away changes by all of its size in each step."""
    return REDUCE.max_abs(z, s.n) <= 1e-9 * REDUCE.max_abs(r, s.n)


cdef int ritz(newton_t *s, double t, double gh, const double *z, const double *f, int *regular) noexcept nogil:
    """What the projection of M on a Krylov space tells: exact for few unknowns, and of the ends of the spectrum for many."""
    cdef double[RITZ * RITZ] H
    cdef double[RITZ * RITZ] copy
    cdef double[RITZ] column
    cdef ptrdiff_t n = s.n, i
    cdef int most = <int> min(n, min(<ptrdiff_t> RITZ, <ptrdiff_t> s.m.c.krylov_dim)), j, k, _turn, used = most, status
    cdef double *basis = s.m.work
    cdef double *v
    cdef double top = max(REDUCE.max_abs(z, n), 1e-150), h, size, before
    for i in range(n):
        s.m.size[i], s.m.weight[i] = top, 1.0 / top
        basis[i] = 0.5 + <double> ((i * 7919 + 104729) % 4093) / 4093.0
        if i % 3 == 1:
            basis[i] = -basis[i]
    s.m.at, s.m.f_at, s.m.t_at, s.m.gh_at = z, f, t, gh
    s.m.krylov_move = LONG
    h = 1.0 / sqrt(LINALG.dot(basis, basis, n))
    for i in range(n):
        basis[i] *= h
    memset(H, 0, sizeof(H))
    for j in range(most):
        v = basis + (j + 1) * n
        status = krylov_apply(v - n, v, n, &s.m)
        if status != 0:
            return status
        before = sqrt(LINALG.dot(v, v, n))
        for _turn in range(2):
            for k in range(j + 1):
                h = LINALG.dot(basis + k * n, v, n)
                H[k * most + j] += h
                for i in range(n):
                    v[i] -= h * basis[k * n + i]
        size = sqrt(LINALG.dot(v, v, n))
        if j + 1 == most:
            break
        if not size > 1e-6 * before:             # the differences have no more digits
            used = j + 1
            break
        H[(j + 1) * most + j] = size
        for i in range(n):
            v[i] = v[i] / size
    for j in range(used):
        for k in range(used):
            copy[j * used + k] = H[j * most + k]
    if positive(used, copy, column, NULL) > 0:
        regular[0] = REGULAR
        return 0
    for j in range(used):
        for k in range(used):
            copy[j * used + k] = H[j * most + k]
    regular[0] = REGULAR if not s.m.symmetric and clear_of_negative_axis(used, copy) else CROSSED
    return 0


cdef int look(newton_t *s, double t, double gh, const double *z, const double *f, int *regular) noexcept nogil:
    """Factor M for J at z, which has been evaluated, and say what it is."""
    cdef int status
    if s.c.matrix.kind == KRYLOV:
        return ritz(s, t, gh, z, f, regular)
    status = matrix_factor(&s.m, gh)
    regular[0] = s.m.regular if status == 0 else CROSSED
    return status if status < 0 else 0


cdef int look_at(newton_t *scout, double t, double gh, const double *z, int *regular) noexcept nogil:
    """M at a point."""
    cdef int status
    weights_of_size(scout, z, z)
    status = matrix_rhs(&scout.m, t, z, scout.slope)
    if status == 0:
        status = matrix_jacobian(&scout.m, t, z, gh)
    if status == 0:
        status = look(scout, t, gh, z, scout.slope, regular)
    if status > 0:
        regular[0] = CROSSED
        return 0
    return status


# ---- one step of the scout --------------------------------------------------------------------------------------------------------------

cdef int stand(newton_t *s, double t, double gh, const double *r) noexcept nogil:
    """J where the scout stands, at s.start, if it is not the one at hand."""
    weights_of_size(s, s.start, r)
    if s.m.has_jacobian and s.m.t == t and memcmp(s.m.y, s.start, s.n * sizeof(double)) == 0:
        return 0
    return matrix_jacobian(&s.m, t, s.start, gh)


cdef int divide(newton_t *s, double t, double gh, const double *z, const double *f, double *d) noexcept nogil:
    """d becomes M^-1 d, M at z."""
    if s.c.matrix.kind == KRYLOV:
        if f != s.f:
            memcpy(s.f, f, s.n * sizeof(double))
        return update(s, t, gh, z, d)
    return matrix_solve(&s.m, d)


cdef double first_update(newton_t *s, double t, double gh, const double *r, int *status) noexcept nogil:
    """Newton's update from s.start into s.d, its residual into s.guess, the new point into s.root; the norm of the update."""
    cdef ptrdiff_t i
    for i in range(s.n):
        s.d[i] = s.slope[i] if fabs(gh) == INFINITY else (r[i] - s.start[i]) + gh * s.slope[i]
    memcpy(s.guess, s.d, s.n * sizeof(double))
    status[0] = divide(s, t, gh, s.start, s.slope, s.d)
    if status[0] != 0:
        return INFINITY
    move(s, s.root, s.start, s.d, 1.0)
    weights_of_size(s, s.start, s.root)
    return weighted_norm(&s.m, s.d)


cdef bint fits(const newton_t *s, int regular, bint lenient) noexcept nogil:
    return regular == REGULAR or (lenient and regular == POSITIVE_SIGN and not s.m.symmetric)


cdef int leaps(newton_t *s, double t, double gh_before, double gh, const double *r) noexcept nogil:
    """1 if M at s.start changes by more than a half from gh_before to gh, in the direction of the update: eigenvalues may have passed in
    pairs. Else 0, and M is factored for gh; or a negative code."""
    cdef int status, regular = CROSSED
    cdef double first = first_update(s, t, gh, r, &status)
    cdef ptrdiff_t i
    if status == 0:
        status = look(s, t, gh_before, s.start, s.slope, &regular)
    if status == 0:
        status = divide(s, t, gh_before, s.start, s.slope, s.guess)
    if status != 0:
        return open_or(status)
    for i in range(s.n):
        s.guess[i] -= s.d[i]
    if not weighted_norm(&s.m, s.guess) <= HALF * first:
        return 1
    return open_or(look(s, t, gh, s.start, s.slope, &regular))


cdef int changed(newton_t *s, double t, double gh, double first) noexcept nogil:
    """1 if M at s.root is not that at s.start to a half, in the direction of the update; else 0, or a negative code."""
    cdef ptrdiff_t i
    cdef int status
    memcpy(s.bar, s.guess, s.n * sizeof(double))
    status = divide(s, t, gh, s.root, s.f, s.bar)
    if status != 0:
        return open_or(status)
    for i in range(s.n):
        s.bar[i] -= s.root[i] - s.start[i]
    return not weighted_norm(&s.m, s.bar) <= HALF * first


cdef inline int put(double *parts, int count, double part) noexcept nogil:
    """Into its place among parts in order, if it is between 0 and 1 and not there yet; their new number."""
    cdef int k = count
    if not (0.0 < part < 1.0) or count == MOST_PARTS - 1:
        return count
    while k > 0 and parts[k - 1] > part:
        k -= 1
    if (k > 0 and part - parts[k - 1] < LEAST_PART) or (k < count and parts[k] - part < LEAST_PART):
        return count
    memmove(parts + k + 1, parts + k, (count - k) * sizeof(double))
    parts[k] = part
    return count + 1


cdef int parts_of(ptrdiff_t n, const double *weight, const double *a, const double *b, bint wide, double *parts) noexcept nogil:
    """Where f is looked at on the straight way from a to b, as parts of it in order, of which the last is 1; their number.

    At even distances and where a component passes 0: each of few components, of many the one that moves most. There f may bend on the scale
    of what is small: on a wide way also around that place, and near a, from a quarter of its size on.
    """
    cdef int points = POINTS if wide else FEW, halvings = FINER if wide else 0, count = 0, k
    cdef double each = 1.0 / (points + 1.0), least = 1e-3 * REDUCE.max_abs(a, n), far = 0.0, part, most = 0.0
    cdef ptrdiff_t i, mover = -1
    for k in range(points):
        count = put(parts, count, (k + 1) * each)
    for i in range(n):
        far = max(far, fabs(b[i] - a[i]) / max(max(fabs(a[i]), least), 1e-150))
        if a[i] * b[i] < 0.0 and fabs(b[i] - a[i]) * weight[i] > most:
            most, mover = fabs(b[i] - a[i]) * weight[i], i
    part = max(QUARTER / far, LEAST_PART) if wide and far > 0.0 else 1.0
    while part < each:
        count = put(parts, count, part)
        part *= 2.0
    for i in range(n if mover >= 0 else 0):
        if a[i] * b[i] < 0.0 and (i == mover or n <= FEW):
            part = a[i] / (a[i] - b[i])
            count = put(parts, count, part)
            for k in range(1, halvings + 1):
                count = put(parts, put(parts, count, part - ldexp(each, -k)), part + ldexp(each, -k))
    parts[count] = 1.0
    return count + 1


cdef int bends(newton_t *s, double t, double gh, const double *r, const double *a, const double *f_a, const double *b, double way,
               bint wide, bint strict) noexcept nogil:
    """1 if M varies too much between a and b, where the residual r + gh f(t, z) - z is 0; else 0, or a negative code.

    The residual is looked at on the straight line between them, M^-1 times it where there is a matrix. It must fall in every part of the way,
    and be proportional to what is left of it, to a half; strict: so must it fall in every part. Narrower bumps are not seen.
    """
    cdef bint steady = fabs(gh) == INFINITY, matrix = s.c.matrix.kind != KRYLOV
    cdef double[MOST_PARTS] parts
    cdef int count = parts_of(s.n, s.m.weight, a, b, wide, parts), k, status
    cdef double part, before = 0.0, along, square, off, u, v, bound = 0.0
    cdef ptrdiff_t i
    for k in range(-1, count):
        part = parts[k] if k >= 0 else 0.0
        status = 0
        for i in range(s.n):
            s.trial[i] = (1.0 - part) * a[i] + part * b[i]
        if k < 0:
            memcpy(s.next_d, f_a, s.n * sizeof(double))
        elif k < count - 1:
            status = matrix_rhs(&s.m, t, s.trial, s.next_d)
        for i in range(s.n):
            s.next_d[i] = 0.0 if k == count - 1 else s.next_d[i] if steady else gh * s.next_d[i] - (s.trial[i] - r[i])
        if status == 0 and matrix and k < count - 1:
            status = matrix_solve(&s.m, s.next_d)
        if status != 0:
            return open_or(status)
        if k < 0:
            memcpy(s.d, s.next_d, s.n * sizeof(double))
            memcpy(s.bar, s.next_d, s.n * sizeof(double))
            bound = HALF * (way if matrix else weighted_norm(&s.m, s.d))
            continue
        along = square = off = 0.0
        for i in range(s.n):
            u = (part - before) * s.d[i] * s.m.weight[i]
            v = (s.bar[i] - s.next_d[i]) * s.m.weight[i]
            along += u * v
            square += u * u
            off += (v - u) * (v - u)
            s.bar[i] = s.next_d[i]
            s.next_d[i] -= (1.0 - part) * s.d[i]
        before = part
        if not (off <= HALF * HALF * square if strict else along >= FALLS * square) or not weighted_norm(&s.m, s.next_d) <= bound:
            return 1
    return 0


cdef int straight(newton_t *s, double t, double gh, const double *r) noexcept nogil:
    """0 if M varies little on the way from s.start to s.root; else MF_RETRY_SOLVE, or a negative code."""
    cdef double way = distance(s, s.root, s.start)
    cdef int answer = bends(s, t, gh, r, s.start, s.slope, s.root, way, way > LONG_WAY, True) if way > 0.0 else 0
    return MF_RETRY_SOLVE if answer > 0 else answer


cdef int attempt(newton_t *s, double t, double gh, const double *r, double gh_before, bint rough) noexcept nogil:
    """From s.start to the root for gh and r, into s.root: M must be regular on the way, and vary little, and updates must contract.

    gh_before, if gh is at most twice that: a positive determinant is enough, if M changes little from there. rough: what is left may be EASY
    of the way; s.f and J are those at s.root then. J must be that at s.start, and is not any more afterwards.
    """
    cdef double first, before, norm
    cdef bint lenient = fabs(gh) <= 2.0 * fabs(gh_before)
    cdef int k, regular = CROSSED, answer, status = look(s, t, gh, s.start, s.slope, &regular)
    if status != 0 or not fits(s, regular, lenient):
        return status if status != 0 else MF_RETRY_SOLVE
    weights_of_size(s, s.start, s.start)
    answer = leaps(s, t, gh_before, gh, r) if regular != REGULAR else 0
    if answer != 0:
        return answer if answer < 0 else MF_RETRY_SOLVE
    first = before = first_update(s, t, gh, r, &status)
    for k in range(CORRECTIONS):
        if status == 0 and not before < INFINITY:
            status = MF_RETRY_SOLVE
        if status == 0:
            status = residual(s, t, gh, r, s.root, s.d)
        if status == 0:
            status = matrix_jacobian(&s.m, t, s.root, gh)
        if status == 0:
            status = look(s, t, gh, s.root, s.f, &regular)
        if status == 0:
            weights_of_size(s, s.start, s.root)
            answer = 1 if not fits(s, regular, lenient) else changed(s, t, gh, first) if k == 0 else 0
            if answer != 0:
                status = answer if answer < 0 else MF_RETRY_SOLVE
        if status == 0:
            status = divide(s, t, gh, s.root, s.f, s.d)
        if status != 0:
            return status
        norm = weighted_norm(&s.m, s.d)
        if not norm <= QUARTER * before and not norm <= 1e-10:
            return MF_RETRY_SOLVE
        if k == 0:
            s.rate = norm / first if first > 0.0 else 0.0
        if rough and norm <= EASY * first:
            return straight(s, t, gh, r)
        move(s, s.root, s.root, s.d, 1.0)
        if norm <= 1e-4 * first or norm <= 1e-10:
            return straight(s, t, gh, r)
        before = norm
    return MF_RETRY_SOLVE


cdef void step_on(newton_t *s) noexcept nogil:
    """The scout stands at s.root, where a rough attempt has left f and J."""
    memcpy(s.start, s.root, s.n * sizeof(double))
    memcpy(s.slope, s.f, s.n * sizeof(double))


# ---- along the branch, and along the flow -------------------------------------------------------------------------------------------------

cdef int depart(newton_t *scout, double t, double gh, const double *r) noexcept nogil:
    """The scout stands at r."""
    cdef int status
    memcpy(scout.start, r, scout.n * sizeof(double))
    weights_of_size(scout, r, r)
    status = matrix_rhs(&scout.m, t, r, scout.slope)
    return stand(scout, t, gh, r) if status == 0 else status


cdef int turns(newton_t *s, double t, double at, const double *r) noexcept nogil:
    """1 if the branch turns back at s = at, where the scout stands; 0: it could not be followed for another reason; or a negative code."""
    cdef int regular = CROSSED, status = look(s, t, at * (1.0 + 1e-6), s.start, s.slope, &regular)
    cdef double way
    if status == 0 and regular == CROSSED:
        return 1
    if status == 0:
        status = look(s, t, at, s.start, s.slope, &regular)
    if status != 0:
        return open_or(status)
    memcpy(s.d, s.slope, s.n * sizeof(double))
    weights_of_size(s, s.start, r)
    status = divide(s, t, at, s.start, s.slope, s.d)
    if status != 0:
        return open_or(status)
    way = fabs(at) * weighted_norm(&s.m, s.d)
    return not way <= STEEP * distance(s, s.start, r)


cdef int follow(newton_t *s, double t, double gh, const double *r) noexcept nogil:
    """The branch from r, where the scout stands, to gh; its end into s.root. MF_RETRY_SOLVE: not reached, s.reached of gh is."""
    cdef double at = 0.0, step = gh, next_at
    cdef bint easy = True
    cdef int status, _try
    s.reached, s.turned = 0.0, False
    for _try in range(TRIES):
        next_at = at + step
        if not fabs(next_at) < 0.999999 * fabs(gh):
            next_at = gh
        status = attempt(s, t, next_at, r, at, next_at != gh)
        if status < 0:
            return status
        if status == 0:
            if next_at == gh:
                return 0
            step = copysign(max((4.0 if s.rate < EASY else 2.0) * fabs(next_at - at), fabs(next_at) if easy else 0.0), gh)
            at = next_at
            step_on(s)
        else:
            easy = False                         # near a fold steps grow by factors, or most tries would be too long
            step = 0.25 * (next_at - at)
            if fabs(step) < 1e-290 or fabs(step) <= SHORT * fabs(at):
                break
        status = stand(s, t, next_at, r)
        if status != 0:
            return status
    s.reached = at / gh
    status = stand(s, t, at, r)
    if status == 0 and at != 0.0:
        status = turns(s, t, at, r)
        s.turned = status > 0
    return status if status < 0 else MF_RETRY_SOLVE


cdef int relax(newton_t *s, double t, double gh, const double *r) noexcept nogil:
    """The flow z' = f(t, z) - (z - r) / gh, t at rest, from s.start to its rest, by implicit steps that grow; its end into s.root."""
    cdef double tau, short_tau, gh_step, last = 0.0, part, norm
    cdef ptrdiff_t i
    cdef bint near = False, moved = True
    cdef int status, _try
    status = stand(s, t, gh, r)
    if status != 0:
        return status
    norm = weighted_norm(&s.m, s.slope)
    tau = copysign(1.0 / norm if 1e-290 < norm < INFINITY else 1.0, gh)
    short_tau = 1e-12 * fabs(tau)
    for _try in range(TRIES):
        if moved:
            status = attempt(s, t, gh, r, last if near else 0.0, False)
            if status <= 0:
                return status
            status = stand(s, t, gh, r)
            if status != 0:
                return status
        part = 0.0 if fabs(gh) == INFINITY else tau / gh
        gh_step = tau / (1.0 + part)
        for i in range(s.n):
            s.mix[i] = s.start[i] if part == 0.0 else (s.start[i] + part * r[i]) / (1.0 + part)
        status = attempt(s, t, gh_step, s.mix, last, True)
        if status < 0:
            return status
        moved = status == 0
        if moved:
            near = distance(s, s.root, s.start) <= 1e-3 or is_nothing(s, s.root, r)
            step_on(s)
            last = gh_step
            tau = 4.0 * tau if fabs(tau) < 1e280 else tau
        else:
            tau *= 0.25
            if fabs(tau) < short_tau:
                return MF_RETRY_SOLVE
        status = stand(s, t, gh_step, r)
        if status != 0:
            return status
    return MF_RETRY_SOLVE
