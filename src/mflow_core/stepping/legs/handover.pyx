"""When the leg of one of two methods is over (legs.pyx): looks at its tries and at its steps.

Constants of tries and of their cost whose line says "value: number" were varied one by one on 320 problems drawn at random (22 families, rtol
1e-2 to 1e-6): the number is how many of them took more than 1.3 times the evaluations of the better method alone with that value, 20 with the
one that stands here, and the largest ratio where it is a great one. They were measured before LOSS in legs.pyx went from 50 to 25 and a bound
on what a leg may have saved was taken out, and not again since. Constants whose line says no number (GRACE, RISES, TURNS, BENDS, SHARE,
SWINGS, NOISE, THIRD, SLOW and their like; SETTLED in legs.pyx) were not varied so: what stands beside them is what was seen on single problems.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.arithmetic.control cimport MF_STIFF
from mflow_core.solvers.spectrum.products cimport jacobian_radius
from mflow_core.stepping.run cimport LEG_OVER, evaluations, run_t
from mflow_core.types cimport MF_FRESH, MF_MULTISTEP

cdef enum:
    DOUBTS = 3                           # tries of a first step
    HEAD_START = 64                      # explicit steps, more than FEW for each implicit one
    SURE = 6                             # looks near the edge: what one step far beyond it is worth, a first try. 3: 33, and 114 times
    GRACE = 2                            # steps of an implicit leg that do not count: it has a Jacobian to take
    RISES = 24                           # steps with which a multistep method comes to its order, in which they say nothing

cdef double KEPT = 0.875                 # of what explicit steps took, a step later. 0.75: 21
cdef double BEYOND = 1.5                 # of the edge, with which a step has grown far beyond it. 2: 25
cdef double NEAR = 0.7                   # of the edge, from which on a step is near it. 0.85: 20
cdef double TRY = 3.0                    # times the steps for which the other method is worth beginning: for which a try is. 1.5, 6: 20
cdef double TURNS = 0.5                  # of the edge: h |lambda| of what is held while it turns, as the limit is nearer off the real axis
# Tolerances, and part of the state: by how much the motion in a step may change of what nothing but its limit holds: some 12 to 150 for modes
# damped by .3 to .01 of their frequency. Oscillations that steps follow have 200 of 1e-2, where that is a large part of them, and 700 of 1e-3.
cdef double BENDS = 384.0
cdef double EIGHTH = 4.0                 # times that for the pair of order 8, whose tolerances are finer
cdef double SHARE = 0.125
cdef double SWINGS = 0.5                 # a step in which the motion changes by this part of itself, and more than errors at a limit make it,
cdef double NOISE = 16.0                 # in tolerances: the other method could take no longer one
# Tolerances: what a formula of order 2 would leave out of the motion in a step, where it explains no error of the pair. Damped oscillators
# that follow a force have 0.1 of rtol 1e-3 and 4 of 1e-6, with the pair of order 8 80 to 700. Ripples that are not damped, so small that
# their steps are near the limit, have 20 and more, with the other pair 1300; what steps follow else has 100 times that.
cdef double THIRD = 8.0
cdef double THIRD_EIGHTH = 128.0         # times that for the pair of order 8
cdef double SLOW = 0.1                   # the part of itself by which the motion in a step may change then
cdef double SEEN = 0.01                  # of the edge: the least h |lambda|, of a difference that need not lie along what turns
cdef double LOG_HELD = -3.321928094887362    # log2 0.1: smaller errors hold no steps
cdef double GROWS = 1.2                  # an implicit step that grows by more says nothing: a leg begins with short ones, of low order


cdef void look_for_try(run_t *r, double h, double changed, double at_edge, double moved) noexcept nogil:
    """Whether the other method is worth a try, after a look in which h |lambda| was sqrt(changed/at_edge) of the edge. At loose tolerances
    nothing tells motion that steps have to follow from modes that the limit holds: their errors are a large part of the state. A step that
    has grown far beyond the edge is enough, as what it stirs up the other method has to follow; or many near the edge, more than are not."""
    r.leg.try_due = False
    if not moved > 0.0 or not changed * r.c.per_n > 0.01:
        return
    if changed > BEYOND * BEYOND * at_edge:
        r.leg.near_limit += SURE
    elif changed > NEAR * NEAR * at_edge:
        r.leg.near_limit += 1
    elif r.leg.near_limit > 0:
        r.leg.near_limit -= 1
    if r.leg.near_limit >= 2 * r.leg.most * r.leg.try_patience:
        r.leg.try_due, r.leg.near_limit = True, 2 * r.leg.most * r.leg.try_patience
        r.c.stiff_lambda, r.c.stiff_h = sqrt(changed / moved) / fabs(h), h


cdef void run_turns(run_t *r, double h, int64_t hits) noexcept nogil:
    """After a look of an explicit pair. Where it found decay at its edge, that counts only if the motion in a step is not such as steps have
    to follow anyway (chaos at loose tolerances is at the edge, and no longer step could be taken). Where it found none: what is damped and
    turns, faster than it fades, is held by the limit too, and its differences point anywhere; or it is held well within the limit, where it
    follows a force, as stages are of low order there. hits : before that look. Of a pair alone, without an implicit one to
    go over to, it is for words, and counts by itself.

    It is no oscillation that steps have to follow where the motion in a whole step, h y', changes by some tolerances alone, a small part of
    the state; or where it changes by so small a part of itself that it explains none of the errors that hold the steps."""
    cdef bint eighth = r.m.order > 5, near, held
    cdef const double *y = r.next[0]
    cdef const double *g = r.f.work
    cdef const double *before = r.f.work + (r.m.tab.s - 1) * r.ld
    cdef const double *last = r.next[1]
    cdef double moved = 0.0, changed = 0.0, bent = 0.0, state = 0.0, went = 0.0, bends = BENDS * (EIGHTH if eighth else 1.0)
    cdef double third = THIRD * (THIRD_EIGHTH if eighth else 1.0), edge = r.leg.limit if r.leg.most > 0 else r.c.edge, size, u, v, w, d
    cdef ptrdiff_t i
    if r.f.flags & MF_FRESH or r.m.tab.c[r.m.tab.s - 2] != 1.0:
        return
    for i in range(r.n):
        size = ((r.c.atol if r.c.atol_of == NULL else r.c.atol_of[i])
                + (r.c.rtol if r.c.rtol_of == NULL else r.c.rtol_of[i]) * fabs(y[i]))
        if size > 0.0:
            u, v, w, d = (y[i] - g[i]) / size, (last[i] - before[i]) / size, (last[i] - r.now[1][i]) / size, (y[i] - r.now[0][i]) / size
            moved += u * u
            changed += v * v
            bent += w * w
            went += d * d
            state += y[i] / size * (y[i] / size)
    edge *= edge
    changed *= h * h
    bent *= h * h
    if r.leg.tries_other:
        look_for_try(r, h, changed, edge * moved, moved)
    if r.c.n_stiff > hits:
        if r.leg.most == 0:
            r.leg.near_limit = 0
            if r.c.stiff == TURNING and r.c.n_stiff >= MF_STIFF:
                r.c.stiff, r.c.n_held = 1, r.c.n_stiff
        elif bent > SWINGS * SWINGS * went and bent * r.c.per_n > NOISE * NOISE + SHARE * SHARE * state * r.c.per_n:
            r.c.n_stiff = hits
        return
    if not 0.0 < moved < 1e300 or not changed < 1e300 or not changed * r.c.per_n > 0.01:
        return
    state *= SHARE * SHARE * (4.0 if bent * moved > 0.25 * changed * went else 1.0)    # the motion of one mode: twice the part
    near = changed > TURNS * TURNS * edge * moved and bent < min(bends * bends / r.c.per_n, state)
    held = changed > SEEN * SEEN * edge * moved and bent < SLOW * SLOW * went and r.c.log_before > LOG_HELD
    near = near or (held and bent * bent * r.c.per_n < third * third * went)
    if near and r.leg.most > 0:
        r.c.n_stiff, r.c.n_calm = hits + 1, 0
    elif r.leg.most == 0:
        r.leg.near_limit = r.leg.near_limit + 1 if near else 0
        near = r.leg.near_limit >= MF_STIFF and r.c.stiff != 1
        if near:
            r.c.n_held, r.c.stiff = r.c.n_held + 1 if r.c.stiff else r.leg.near_limit, TURNING
    if near:
        r.c.stiff_lambda, r.c.stiff_h = sqrt(changed / moved) / fabs(h), h


cdef int run_doubt(run_t *r, double planned) noexcept nogil:
    """After a try that was thrown away. A first step that an explicit pair has to shorten again and again is one that stiffness does not
    allow, as the estimate of that step knows of none: LEG_OVER, and the other method begins with it. Else 0."""
    if r.newton != NULL or r.k != r.k_base:
        return 0
    r.leg.first = planned if r.leg.tries == 0 else r.leg.first
    r.leg.tries += 1
    if r.leg.tries < DOUBTS or r.c.n_bad > 0:
        return 0
    r.c.h = r.leg.first
    return LEG_OVER


cdef bint falls_behind(run_t *r, double h) noexcept nogil:
    """After an implicit step: whether this leg has taken more evaluations than the steps of the explicit one before would have."""
    cdef int64_t count = evaluations(r, True)
    cdef double cost = <double> (count - r.leg.seen), least = r.leg.at_limit * r.leg.radius, pace
    r.leg.seen = count
    if r.k < r.k_base + GRACE or r.leg.pace == INFINITY or least == INFINITY:
        return False
    pace = max(r.leg.pace if r.leg.cap == INFINITY else min(r.leg.pace, r.leg.cap * least), least)
    r.leg.saved += pace * fabs(h) - cost
    return r.leg.saved < -r.leg.loss


cdef void run_watch(run_t *r, double h, double t_end) noexcept nogil:
    """Whether a leg is over, after a step of h of its own choice. Of an explicit pair: enough looks in a row have seen it held at its
    stability limit (control.pxd), and many such steps are ahead. Of an implicit method: h times the spectral radius of the last Jacobian
    was within the explicit limit in as many steps in a row. Of one that has no other beside it (ALONE) that product is summed, while explicit
    steps within the limit would not be many times its own."""
    cdef int64_t count
    cdef double ahead
    if r.newton == NULL:
        count = evaluations(r, True)
        r.leg.cost = KEPT * r.leg.cost + <double> (count - r.leg.seen)
        r.leg.path = KEPT * r.leg.path + fabs(h)
        r.leg.seen = count
        ahead = fabs(t_end - r.t) / (r.leg.worth * fabs(h))
        r.leg.over = (r.c.n_stiff >= r.leg.most and ahead > 1.0) or (r.leg.try_due and ahead > TRY)
        return
    if r.leg.njev != r.newton.m.njev:
        r.leg.njev, r.leg.radius = r.newton.m.njev, jacobian_radius(&r.newton.m)
    if r.leg.most == ALONE:
        r.leg.mild += 1
        r.leg.worth += fabs(h) * r.leg.radius
        if not r.leg.worth <= r.leg.limit * (FEW * r.leg.mild + HEAD_START):
            r.leg.most = 0
        return
    if not fabs(h) * r.leg.radius < r.leg.limit:
        r.leg.mild = 0
    elif min(fabs(r.c.h), r.c.max_step) <= GROWS * fabs(h) and not (r.m.flags & MF_MULTISTEP and r.k < r.k_base + RISES):
        r.leg.mild += 1
    r.leg.over = falls_behind(r, h) or r.leg.mild >= r.leg.most
