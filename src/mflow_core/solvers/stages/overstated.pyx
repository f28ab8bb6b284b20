"""A Jacobian of the user's that is far too large: then (M - gh J)^-1 takes every update to nothing, and each iteration looks converged,
whatever is left of its equation. Steps stand still, and no error estimate sees it, as those are made of such stages.

A large J that is right does the same to a residual b, as stiff components hardly move. The two differ in f: with (M - gh J) d = b,

    gh J d = M d - b,

so that f has to change by (M d - b) / gh along d. It is asked where less is left of a component of b, in M d, than ever, by a factor:
that is two evaluations, a few times in a run. Where f changes by less than a part of it, it is asked less far, and the other way, as
curvature and a kink may be the reason. Where it contradicts at every length, J is made of differences for the rest of the run. Only what
f is seen to follow is believed, each component by itself: one column may be wrong alone, and f may have no value where it is asked.

f may be a small difference of large terms, as where a nuclide decays as fast as it is made, and the rates of others are 20 decades below:
then a change of f is lost in the rounding of its terms, or of y. How large that is tells one more evaluation, before J is contradicted,
where each component has moved by hundreds of roundings. Moves are of different lengths, so that terms which cancel do not move alike.

A row that is too large alone takes b to what the others say, not to nothing. The next residual of an iteration tells of it; linearly
implicit stages have none, so that all that J says is compared there, until f is seen to follow.
"""
from libc.math cimport INFINITY, fabs, floor

from mflow_core.solvers.matrix cimport BY_BAND_CALLBACK, BY_CALLBACK, matrix_rhs, weighted_norm
from mflow_core.types cimport MF_RETRY_SOLVE

FEW = 50.0                               # |b_i| / |(M d)_i|: J is not taken to be wrong by less
RISE = 300.0                             # of the largest that f was seen to follow
FREE = 10                                # looks before they are counted; then they are at most one of
SPARE = 100                              # so many evaluations
PART_OF = 0.3                            # of b and M d: what J has to say, where all of it is compared
cdef double PART = 0.1                   # of what J says that f changes by: less is a contradiction, LIKE where J has to be exact
cdef double LIKE = 0.5                   # relative: what differs by less follows
cdef double FAR = 0.1                    # of the weights: how far f is asked,
cdef double NEAR = 1e-7                  # and of the components, where that is less
cdef double NEAREST = 1e-11              # the same, where f saturates: a friction's tanh(v / 1e-9)
cdef double NOISE = 1e-10                # of f: a change below it is rounding
cdef double ROUNDED = 1e-13             # of each component, 0.5 to 1.5 times: moves that rounding in f is known by
cdef double GOLDEN = 0.6180339887498949  # parts of its multiples are spread evenly
cdef double LEAST = 1e-200

cdef enum:
    LENGTHS = 4

cdef enum:
    UNKNOWN                              # f has no value there, or only rounding is to be seen
    FOLLOWS                              # or changes by something between
    CONTRADICTS


cdef double reach(matrix_t *m, const double *d, double most, double part) noexcept nogil:
    """The multiple of d / most that moves no component by more than this part of itself."""
    cdef double found = INFINITY
    cdef ptrdiff_t i
    for i in range(m.n):
        if fabs(d[i] / most) * NEAR > LEAST * fabs(m.y[i]) and m.y[i] != 0.0:
            found = min(found, part * fabs(m.y[i]) / fabs(d[i] / most))
    return found


cdef int answer(matrix_t *m, double gh, double tol, const double *b, const double *Md, double unit, double length, bint all_of_it) noexcept nogil:
    """Of f in m.f1, length away from J's point: one component that contradicts, beyond m.noise, is enough. Notes what follows."""
    cdef double change, seen
    cdef int out = FOLLOWS
    cdef ptrdiff_t i
    for i in range(m.n):
        if not is_due(m, tol, b[i], Md[i], i, all_of_it):
            continue
        change, seen = (Md[i] - b[i]) / unit * length, gh * (m.f1[i] - m.f0[i])
        if fabs(seen - change) <= LIKE * fabs(change):
            m.believed[i] = max(m.believed[i], max(fabs(b[i]) / max(fabs(Md[i]), LEAST), 1.0))
        elif fabs(change) <= max(NOISE * fabs(gh * m.f0[i]), m.noise[i]):
            out = UNKNOWN
        elif fabs(seen) < (LIKE if all_of_it else PART) * fabs(change):
            return CONTRADICTS
    return out


cdef int listened(matrix_t *m, double gh) noexcept nogil:
    """m.noise: what f changes by where y moves by rounding, or so. Return 0, or a negative code."""
    cdef double part
    cdef ptrdiff_t i
    cdef int status
    for i in range(m.n):
        part = GOLDEN * (i + 1)
        part = 0.5 + (part - floor(part))
        m.kept[i] = m.y[i] + ROUNDED * (-part if i % 3 == 1 else part) * m.y[i]
    status = matrix_rhs(m, m.t, m.kept, m.noise)
    for i in range(m.n):
        m.noise[i] = fabs(gh * (m.noise[i] - m.f0[i])) if status == 0 else 0.0
    return min(status, 0)


cdef int asked(matrix_t *m, double gh, double tol, const double *b, const double *d, const double *Md, bint all_of_it, int *found) noexcept nogil:
    """Ask f along d, at lengths one after the other, until one does not contradict. d may be so small that its squares are 0."""
    cdef double norm, most = 0.0
    cdef double[LENGTHS] lengths
    cdef ptrdiff_t i
    cdef int k, status, out
    cdef bint heard = False
    for i in range(m.n):
        most = max(most, fabs(d[i]))
    if most == 0.0:                      # no number is large enough for what J says
        found[0] = CONTRADICTS
        return 0
    for i in range(m.n):
        m.kept[i] = d[i] / most
    norm = weighted_norm(m, m.kept)
    if not norm > LEAST:
        return 0
    status = matrix_rhs(m, m.t, m.y, m.f0)
    if status != 0:
        return min(status, 0)
    lengths[0], lengths[1], lengths[2] = FAR / norm, min(FAR / norm, reach(m, d, most, NEAR)), -FAR / norm
    lengths[3] = min(FAR / norm, reach(m, d, most, NEAREST))
    for i in range(m.n):
        m.noise[i] = 0.0
    for k in range(LENGTHS):
        for i in range(m.n):
            m.kept[i] = m.y[i] + lengths[k] * (d[i] / most)
        status = matrix_rhs(m, m.t, m.kept, m.f1)
        if status < 0:
            return status
        out = answer(m, gh, tol, b, Md, most, lengths[k], all_of_it) if status == 0 else UNKNOWN
        if out == CONTRADICTS and not heard:
            status, heard = listened(m, gh), True
            if status != 0:
                return status
            out = answer(m, gh, tol, b, Md, most, lengths[k], all_of_it)
        if out != UNKNOWN:
            found[0] = out
        if out == FOLLOWS:
            break
    return 0


cdef int compared(matrix_t *m, double gh, double tol, const double *b, const double *d, const double *Md, bint all_of_it) noexcept nogil:
    cdef int found = UNKNOWN, status
    status = asked(m, gh, tol, b, d, Md, all_of_it, &found)
    if status != 0 or found != CONTRADICTS:
        m.looks += 1
        return status
    if m.c.source == BY_CALLBACK or m.c.source == BY_BAND_CALLBACK:
        m.c.source, m.c.columns, m.has_jacobian, m.overstated = BY_DIFFERENCES, NULL, False, True
    return MF_RETRY_SOLVE
