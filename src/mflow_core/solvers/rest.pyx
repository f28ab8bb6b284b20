"""The rest of a flow, for steps of infinite length: f(t, z) = 0 where z' = f(t, z), t at rest, comes to rest.

Where f is affine, as far as a few probes tell, and all of its modes decay, Newton's step leads there. Else the flow is followed by an
implicit pair under sharp error control, until a step as long as a quarter of all the time so far hardly moves; Newton's iteration ends it,
near there. A flow whose slopes do not fall by a hundredth while the number of its steps doubles is said not to come to rest.

A wrong Jacobian lets steps vanish, or crawl. After many evaluations J is compared with differences of f along one direction, again each
time that their number has doubled, and a J that differs ends the flow. One that differs and leads to the rest before that may serve.

The one who calls owns the scout (branch.pyx). An infinite step, of which there is one in a run, allocates room for the flow.
"""
from libc.math cimport INFINITY, copysign, fabs
from libc.stdint cimport int64_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from mflow_core.arithmetic.control cimport after_bad, after_good, control_begin, control_t, planned_step
from mflow_core.arithmetic.memory cimport mf_zeros, stride_of
from mflow_core.registry cimport REDUCE, mf_find
from mflow_core.solvers.matrix cimport KRYLOV, LINALG, finite, matrix_decays, matrix_factor, matrix_rhs, matrix_solve, weighted_norm
from mflow_core.solvers.newton cimport (FLOW_ENDS, FLOW_LEAVES, FLOW_STOPS, FLOW_SWINGS, FLOW_WRONG, newton_solve, newton_t, newton_weights,
                                        solve_full)
from mflow_core.solvers.scout cimport depart, first_update, relax
from mflow_core.types cimport (MF_E_MEMORY, MF_E_NON_FINITE, MF_E_SOLVE, MF_E_STEP, MF_RETRY_SOLVE, mf_frame, mf_method, mf_new_frame,
                               mf_new_problem, mf_problem)

cdef enum:
    MOST_STEPS = 200_000                 # of the flow to a rest
    WINDOW = 2048                        # of them, before its slopes must have fallen
    RESTS = 8                            # steps in a row that hardly move, where the slope has not fallen far
    LISTEN = 32                          # steps between looks at signals
    PROBES = 4                           # of whether f is affine
    LONG_FLOW = 2000                     # evaluations before J is compared with differences
    CARRIED = 3                          # vectors of PAIR, which has one scalar

cdef double QUARTER = 0.25
cdef double AFFINE = 1e-4                # of the way to a rest: what f may bend on it
cdef double FLOW_RTOL = 1e-6
cdef double FLOW_ATOL = 1e-9             # of the largest size that a component has had
cdef double STILL = 1e-6                 # of that size: a step that hardly moves
cdef double FALLEN = 1e-3                # of the largest slope
cdef double FALLING = 0.99               # of the largest slope in the steps before as many
cdef double BESIDE = 1e-3                # of that size: Newton's way from where the flow has come to, to the rest
cdef double DIFFERENCE = 1e-4            # of central differences, relative to the state's size; and a tenth of it
cdef double WRONG = 0.05                 # of a product with J: what no rounding explains

cdef const mf_method *PAIR = mf_find(b"esdirk43")


# ---- is it the Jacobian? ------------------------------------------------------------------------------------------------------------------

cdef int slope_along(newton_t *s, const double *y, const double *v, double length, double *out) noexcept nogil:
    """out = (f(y + length v) - f(y - length v)) / (2 length), at the time of J; a code of a callback."""
    cdef ptrdiff_t i
    cdef int status
    for i in range(s.n):
        s.trial[i] = y[i] + length * v[i]
    status = matrix_rhs(&s.m, s.m.t, s.trial, out)
    for i in range(s.n):
        s.trial[i] = y[i] - length * v[i]
    if status == 0:
        status = matrix_rhs(&s.m, s.m.t, s.trial, s.f)
    for i in range(s.n):
        out[i] = (out[i] - s.f[i]) / (2.0 * length)
    return status


cdef int is_wrong(newton_t *s) noexcept nogil:
    """1 if J is not the derivative of f where it was evaluated, along a direction v; else 0, or a negative code of a callback.

    M v = w for a w of no pattern, so that J v = (v - w) / gh, whatever the kind of matrix.
    """
    cdef double *w = s.d
    cdef double *v = s.next_d
    cdef double *far = s.bar
    cdef double *near = s.mix
    cdef double longest = 0.0, top = 0.0, product, off, gh = s.m.gh
    cdef ptrdiff_t i
    cdef int status
    if s.c.matrix.kind == KRYLOV or s.c.matrix.mass != NULL or not s.m.has_factors or not 0.0 < fabs(gh) < INFINITY:
        return 0
    for i in range(s.n):
        w[i] = s.m.size[i] * (0.5 + <double> ((i * 7919 + 104729) % 4093) / 4093.0)
        v[i] = w[i]
    status = matrix_solve(&s.m, v)
    for i in range(s.n):
        longest = max(longest, fabs(v[i]) / max(s.checked[i], s.m.size[i]))
    if status == 0 and not 0.0 < longest < INFINITY:
        return 0
    if status == 0:
        status = slope_along(s, s.m.y, v, DIFFERENCE / longest, far)
    if status == 0:
        status = slope_along(s, s.m.y, v, 0.1 * DIFFERENCE / longest, near)
    if status != 0:
        return min(status, 0)
    for i in range(s.n):
        top = max(top, fabs(far[i]))
    for i in range(s.n):
        product = (v[i] - w[i]) / gh
        off = fabs(product - far[i]) - 10.0 * fabs(far[i] - near[i]) - 1e-8 * (fabs(v[i]) + fabs(w[i])) / fabs(gh)
        if off > WRONG * max(fabs(far[i]), fabs(product)) + 1e-6 * top:
            return 1
    return 0


# ---- the flow -----------------------------------------------------------------------------------------------------------------------------

ctypedef struct flow_t:                  # the flow z' = f(t, z), t at rest: one run of PAIR
    newton_t *s
    double t
    mf_problem p
    mf_frame f
    control_t c
    void *block
    double *now[CARRIED]                 # the state, its slope, and what PAIR carries besides
    double *next[CARRIED]
    double[1] length, next_length        # its scalar: 0, so that no guess extrapolates what a nearly solved step left, beside a rest
    double *tolerances                   # rtol, then atol, of each component
    double *err


cdef int flow_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef flow_t *w = <flow_t *> ctx
    return matrix_rhs(&w.s.m, w.t, y, dydt)


cdef int flow_solve(double t, double gh, const double *r, double *z, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef flow_t *w = <flow_t *> ctx
    return newton_solve(w.t, gh, r, z, n, w.s)


cdef int flow_begin(flow_t *w, newton_t *s, double t, double gh) noexcept nogil:
    """From s.start, whose slope is s.slope. s works under error control until flow_end."""
    cdef ptrdiff_t n = s.n, ld = stride_of(n), i
    cdef double *at
    cdef int j
    memset(w, 0, sizeof(flow_t))
    w.block = mf_zeros((2 * CARRIED + 2 + PAIR.sizes.n_work + PAIR.sizes.n_err) * ld + 8, sizeof(double))
    if w.block == NULL:
        return MF_E_MEMORY
    at = <double *> w.block
    for j in range(CARRIED):
        w.now[j], w.next[j] = at + j * ld, at + (CARRIED + j) * ld
    w.tolerances, w.err = at + 2 * CARRIED * ld, at + (2 * CARRIED + 2) * ld
    w.s, w.t = s, t
    w.p, w.f = mf_new_problem(), mf_new_frame()
    w.p.n, w.p.ctx, w.p.rhs, w.p.solve = n, w, flow_rhs, flow_solve
    w.f.n, w.f.ld, w.f.p, w.f.err, w.f.work = n, ld, &w.p, w.err, w.err + PAIR.sizes.n_err * ld
    memcpy(w.now[0], s.start, n * sizeof(double))
    memcpy(w.now[1], s.slope, n * sizeof(double))
    control_begin(&w.c, n, PAIR.order, PAIR.order_hat, PAIR.sizes.n_err)
    w.c.rtol, w.c.max_step, w.c.rtol_of, w.c.atol_of = FLOW_RTOL, INFINITY, w.tolerances, w.tolerances + ld
    memset(s.checked, 0, n * sizeof(double))
    for i in range(n):
        w.tolerances[i] = FLOW_RTOL
    w.c.h = 1e-3 * max(REDUCE.max_abs(s.start, n), 1e-6) / REDUCE.max_abs(s.slope, n)
    w.c.h = copysign(min(max(w.c.h, 1e-280), 1e280), gh)
    s.controlled, s.m.look = True, False
    return 0


cdef void flow_end(flow_t *w, double unit) noexcept nogil:
    """The scout is what it was; where the flow has come to is in s.root."""
    cdef newton_t *s = w.s
    memcpy(s.root, w.now[0], s.n * sizeof(double))
    free(w.block)
    s.controlled, s.m.look, s.m.unit, s.state, s.eta = False, True, unit, NULL, 1.0
    s.want_jacobian = s.m.has_point = s.m.has_jacobian = s.m.has_factors = False


cdef double flow_slope(flow_t *w) noexcept nogil:
    """The slope's size: its largest component in units of how large that of the state has been, which is noted for the tolerances too."""
    cdef newton_t *s = w.s
    cdef double top = 0.0, least, size, share
    cdef ptrdiff_t i
    for i in range(s.n):
        s.checked[i] = max(s.checked[i], fabs(w.now[0][i]))
    least = 1e-6 * max(REDUCE.max_abs(s.checked, s.n), 1e-140)
    for i in range(s.n):
        size = max(s.checked[i], least)
        (<double *> w.c.atol_of)[i] = FLOW_ATOL * size
        share = fabs(w.now[1][i]) / size
        top = share if share > top or share != share else top
    return top


cdef int flow_step(flow_t *w) noexcept nogil:
    """One step, after as many tries as it takes; 0, or why there is none. w.f.h is its length."""
    cdef ptrdiff_t n = w.s.n
    cdef double err, h
    cdef int status, j
    while True:
        h = planned_step(&w.c, 0.0)
        newton_weights(w.s, w.now[0], w.tolerances, w.c.atol_of, n)
        w.s.state = w.now[0]
        w.f.h, w.f.x0, w.f.x1 = h, <const double *const *> w.now, <double *const *> w.next
        w.f.s0, w.f.s1 = w.length, w.next_length
        status = PAIR.step(PAIR, &w.f)
        err = INFINITY
        if status == 0 and not (finite(w.next[0], n) and finite(w.next[1], n)):
            status = MF_E_NON_FINITE
        if status == 0 and w.s.m.met:            # a state beyond a wall is none
            status = matrix_rhs(&w.s.m, w.t, w.next[0], w.s.f)
        w.s.m.met = False
        if status == 0:
            err = REDUCE.error_sum(&w.c, w.err, w.now[0], w.next[0], n) * w.c.per_n
            if err <= 1.0:
                break
            status = MF_E_NON_FINITE if err != err else 0
        status = after_bad(&w.c, status, err, 0.0, h)
        if status != 0:
            return status
    after_good(&w.c, err, h, h)
    for j in range(CARRIED):
        w.now[j], w.next[j] = w.next[j], w.now[j]
    return 0


cdef int flow_to_rest(newton_t *s, double t, double gh) noexcept nogil:
    """Follow the flow from s.start until it has come to rest, in s.root; MF_RETRY_SOLVE, with the reason in s.flow, where it does not."""
    cdef flow_t w
    cdef double unit = s.m.unit, slope, highest, top = 0.0, before = INFINITY, elapsed = 0.0, moved
    cdef int64_t first = s.m.n_rhs, next_look = LONG_FLOW
    cdef int k, still = 0, window = WINDOW, status = flow_begin(&w, s, t, gh)
    if status != 0:
        return status
    highest = flow_slope(&w)
    s.flow = FLOW_SWINGS
    for k in range(1, MOST_STEPS + 1):
        status = flow_step(&w)
        if status == 0 and k % LISTEN == 0 and LINALG.poll != NULL:
            status = LINALG.poll()
        if status == 0 and s.m.n_rhs - first >= next_look:
            next_look *= 2
            status = is_wrong(s)
        if status != 0:
            s.flow = FLOW_WRONG if status > 0 else FLOW_LEAVES if status == MF_E_NON_FINITE else FLOW_STOPS
            break
        elapsed += fabs(w.f.h)
        slope = flow_slope(&w)
        moved = fabs(w.f.h) * slope
        highest, top = max(highest, slope), max(top, slope)
        still = still + 1 if moved <= STILL and fabs(w.f.h) >= QUARTER * elapsed else 0
        if slope == 0.0 or still >= (1 if slope <= FALLEN * highest else RESTS):
            s.flow = FLOW_ENDS
            break
        if not elapsed < 1e280 or not REDUCE.max_abs(w.now[0], s.n) < 1e150:
            s.flow = FLOW_LEAVES
            break
        if k == window:
            if top > FALLING * before:
                break
            before, top, window = top, 0.0, 2 * window
    s.flow_time = elapsed
    flow_end(&w, unit)
    if status < 0 and status != MF_E_NON_FINITE and status != MF_E_STEP and status != MF_E_SOLVE:
        return status
    return 0 if s.flow == FLOW_ENDS else MF_RETRY_SOLVE


cdef int affine(newton_t *s, double t, double gh) noexcept nogil:
    """1 if f is affine around the way of Newton's step from s.start to s.root, where the flow may go, and all of its modes decay; else 0, or
    a negative code. Where f is affine, M^-1 f(p) is what Newton's step from p is: p + that is the root for every p."""
    cdef int status
    cdef double first, part, wide, far
    cdef ptrdiff_t i
    cdef int k
    if gh < 0.0:
        return 0
    status = matrix_decays(&s.m)
    if status != 1:
        return status
    status = matrix_factor(&s.m, gh)
    if status == 0:
        first = first_update(s, t, gh, s.start, &status)
    if status != 0 or not first < INFINITY:
        return min(status, 0)
    wide = REDUCE.max_abs(s.d, s.n)
    for k in range(1, PROBES + 1):
        part = <double> k / PROBES
        for i in range(s.n):             # a fixed choice of directions, of no pattern
            far = wide * (2.0 * (<double> (((i + 1) * 7919 + k * 104729) % 4093) / 4093.0) - 1.0)
            s.trial[i] = s.start[i] + part * s.d[i] + (far if k % 2 == 0 else -far)
        status = matrix_rhs(&s.m, t, s.trial, s.next_d)
        if status == 0:
            status = matrix_solve(&s.m, s.next_d)
        for i in range(s.n):
            s.next_d[i] += s.trial[i] - s.root[i]
            s.bar[i] = s.trial[i] - s.root[i]
        if status != 0 or not weighted_norm(&s.m, s.next_d) <= AFFINE * max(first, weighted_norm(&s.m, s.bar)):
            return min(status, 0)
    return 1


cdef int polish(newton_t *s, double t, double gh) noexcept nogil:
    """The rest beside s.root, into it: it is no farther off than BESIDE of the sizes in s.checked."""
    cdef double least = 1e-6 * REDUCE.max_abs(s.checked, s.n)
    cdef ptrdiff_t i
    cdef int status
    cdef int _k
    memcpy(s.mix, s.root, s.n * sizeof(double))
    s.non_finite = 0
    for _k in range(8):                  # of a rest at 0 there is always less
        memcpy(s.guess, s.root, s.n * sizeof(double))
        status = solve_full(s, t, gh, s.mix, s.root)
        if status != 0:
            return status
        if not 0.0 < REDUCE.max_abs(s.root, s.n) <= 1e-9 * REDUCE.max_abs(s.guess, s.n):
            break
    for i in range(s.n):
        if not fabs(s.root[i] - s.mix[i]) <= BESIDE * max(s.checked[i], least):
            return MF_RETRY_SOLVE
    return 0


cdef int find_rest(newton_t *s, double t, double gh, const double *r) noexcept nogil:
    """The rest that the flow from r reaches, into s.root."""
    cdef ptrdiff_t i
    cdef int status = depart(s, t, gh, r), answer
    memcpy(s.root, r, s.n * sizeof(double))
    if status != 0 or REDUCE.max_abs(s.slope, s.n) == 0.0:
        return status
    answer = affine(s, t, gh)
    if answer < 0:
        return answer
    if answer == 1:
        for i in range(s.n):
            s.checked[i] = max(fabs(s.root[i]), fabs(r[i]))
    else:
        status = flow_to_rest(s, t, gh)
        if status != 0:
            return status
    status = polish(s, t, gh)
    if status > 0:                       # a rest where the slope vanishes to higher order: by short ways
        status = depart(s, t, gh, s.mix)
        if status == 0:
            status = relax(s, t, gh, s.checked)
        if status == 0:
            status = polish(s, t, gh)
    return status
