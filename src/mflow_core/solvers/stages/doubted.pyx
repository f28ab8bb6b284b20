"""A stage that is taken for solved at its first update, where f does not have the slope that J makes of it.

Where f saturates, or bends at a wall, J may be that of its steep part while f is flat: updates are then small whatever is left, and each
stage looks solved. By J, f changes from its value at the guess to (M z - r) / gh. Guesses of later stages go through such slopes; f there
is near them where J is right, up to J times what the guess is off by. Where f has not moved towards the slope that was said, but stands as
it stood in the stage before, or went further away, the first update is no evidence: the iteration goes on, and its rate tells. That is one
evaluation, at most once a step and J; of 397 ordinary runs it costs 0.3 % in the mean. Nothing of that is kept over steps.

`swallowed` looks at the residual instead, which is kept with J: an update that is next to nothing beside it is followed by another where the
residual is twice the least since one was followed. Between, it is smooth, as steps are. 1.000 of the evaluations in 780 runs (bdf, radau5).

`stands` looks at the rows of algebraic equations, where M is empty, one by one. A diode's row exp(v / .03) falls by 1/e an update where J is
that of its steep part, whatever is left, and each update is .03: less than a tolerance of 1e-2 makes of 10 V. The norm does not tell, as other
components converge beside it. What an update leaves of a row has to be a quarter of what it was, where it is more than J makes of a hundredth of
the tolerances; and a first update is followed by another by the rule of `swallowed`. Of 360 runs of esdirk43 on drawn circuits of diodes 8
were off by more than 100 tolerances without that, up to 1e22; 2 are, by 150. Ordinary runs take 1.03 to 1.06 of the evaluations, for .9 of
the error. Multistep methods, which solve stages to less than SLACK of the tolerances, have no such runs without it.
"""
from libc.math cimport fabs
from libc.stddef cimport ptrdiff_t

from mflow_core.solvers.matrix cimport BANDED, DENSE, IDENTITY, KRYLOV
from mflow_core.solvers.stages.mass cimport mass_t

cdef double FOLLOWS = 0.1                # of the change of f that J says: f has moved towards it
cdef double AWAY = 1.0                   # of that change: how far f may go the other way; not varied
cdef double SWALLOWED = 0.05             # of a residual: what an update does to it
cdef double GROWN = 2.0                  # times the least residual since one was looked at
cdef double FALLS = 0.25                 # of a row: what is left by an update. by .35 3 of those runs are off by 100 tolerances, by .5 4
cdef double COUNTS = 1e-2                # of the tolerances, as J makes a row of them; by 1e-3 1.09 of the evaluations in those runs
cdef double ROUNDING = 1e-13             # of each component
cdef double SMALL = 1e-6                 # of the tolerances, the same, for first updates; by 1e-2 a run is off by 1e4 of them
cdef double SLACK = 0.1                  # of the tolerances
cdef double TINY = 1e-300


cdef bint stays(double change, double said) noexcept nogil:
    """Whether f, which J says to change by `said`, has stayed where it was, or went the other way by no more than that."""
    return -AWAY <= change / said <= FOLLOWS


cdef bint doubted(newton_t *s, double gh, const double *r, const double *z) noexcept nogil:
    """Whether the first update, which led to z, has to be followed by another. A change of less than the tolerances is none."""
    cdef ptrdiff_t i
    cdef double change, slope
    cdef bint out = False
    if not s.controlled or s.doubts == FOLLOWED or s.c.matrix.mass != NULL or s.c.matrix.kind == IDENTITY or s.c.matrix.kind == KRYLOV:
        return False
    for i in range(s.n):
        slope = (z[i] - r[i]) / gh
        if s.doubts == SAID:
            change = s.said[i] - s.seen[i]
            if s.m.weight[i] * fabs(gh * change) > 1.0 and stays(s.f[i] - s.seen[i], change):
                out = True
        s.said[i], s.seen[i] = slope, s.f[i]
    s.doubts = FOLLOWED if out else SAID
    return out


cdef bint swallowed(newton_t *s, double gh, const double *r, const double *z) noexcept nogil:
    """Whether the first update, s.d, which led to z, makes next to nothing of a residual that counts, and that is larger than the one that
    was looked at. Where f is flat beside a stiff wall and J is that of the wall, every residual looks like that, and the state goes on as
    it was predicted."""
    cdef double size = 0.0, rest, part = 1.0 / fabs(gh)
    cdef ptrdiff_t i
    if not s.m.watch or not s.controlled or s.c.matrix.mass != NULL or s.c.matrix.kind == IDENTITY or s.c.matrix.kind == KRYLOV:
        return False
    for i in range(s.n):
        rest = fabs(r[i] - (z[i] - s.d[i]) + gh * s.f[i])
        if fabs(s.d[i]) < SWALLOWED * rest:
            size = max(size, rest * s.m.weight[i])
    return grown(s, size * part, part)


cdef bint of_another_place(const newton_t *s, bint fresh) noexcept nogil:
    """Whether an update that is rounding may be so because J is that of another place: a diode's beside its steep part."""
    return s.controlled and not fresh and s.c.matrix.mass != NULL and s.c.matrix.kind < KRYLOV


cdef bint grown(newton_t *s, double size, double part) noexcept nogil:
    """Whether a residual over gh is twice the least since one was looked at: what is smooth costs next to nothing. part: what counts."""
    cdef double before = s.followed
    size = max(size, part)
    s.followed = size if size > GROWN * before else min(size, before)
    return size > part and size > GROWN * before


cdef bint algebraic(const newton_t *s, ptrdiff_t i) noexcept nogil:
    """Whether row i of M is empty."""
    cdef const mass_t *mass = s.c.matrix.mass
    cdef ptrdiff_t e
    for e in range(mass.indptr[i], mass.indptr[i + 1]):
        if mass.values[e] != 0.0:
            return False
    return True


cdef double says(const newton_t *s, ptrdiff_t i, const double *z, double part) noexcept nogil:
    """sum_j |J_ij| x_j, x_j a part of the tolerance of z_j, and rounding."""
    cdef double sum = 0.0, entry
    cdef ptrdiff_t j, width = s.c.matrix.lower + s.c.matrix.upper + 1, first = 0, end = s.n
    if s.c.matrix.kind == BANDED:
        first, end = max(first, i - s.c.matrix.lower), min(end, i + s.c.matrix.upper + 1)
    for j in range(first, end):
        entry = s.m.jacobian[i * s.n + j] if s.c.matrix.kind == DENSE else s.m.jacobian[i * width + j - i + s.c.matrix.lower]
        sum += fabs(entry) * (part * s.m.size[j] + ROUNDING * fabs(z[j]))
    return sum


cdef bint stands(newton_t *s, int k, double gh, const double *r, const double *z) noexcept nogil:
    """Whether an algebraic equation is as far from solved as it was before the last update but one, or the first update, k = 0, has to be
    followed by another that tells. s.seen: f there."""
    cdef double size = 0.0, rest, before
    cdef ptrdiff_t i
    if not s.controlled or s.c.fraction < SLACK or s.c.matrix.mass == NULL or s.c.matrix.group != NULL:
        return False
    if s.c.matrix.kind != DENSE and s.c.matrix.kind != BANDED:
        return False
    for i in range(s.n):
        if not algebraic(s, i):
            continue
        rest = fabs(r[i] + gh * s.f[i])
        if k == 0:
            size = max(size, rest / max(fabs(gh) * says(s, i, z, 1.0), TINY))
            continue
        before = fabs(r[i] + gh * s.seen[i])
        if rest > FALLS * before and rest > fabs(gh) * says(s, i, z, COUNTS):
            return True
    return k == 0 and grown(s, size, SMALL)


cdef bint is_no_evidence(newton_t *s, int k, double gh, const double *r, const double *z) noexcept nogil:
    """Whether another update has to follow the k-th one, s.d, which led to z, though it is small."""
    return k == 0 and (doubted(s, gh, r, z) or swallowed(s, gh, r, z)) or stands(s, k, gh, r, z)
