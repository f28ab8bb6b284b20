"""Descent: a method gives the direction, a search along it the step.

    d = a method's own direction (directions/: lbfgs, cg ...), or an optimizer's update of c = 0 with lr = 1 and the gradient at x
        (sgd: -g;  momentum: v = mu v - g;  Adam: its step)
    x = x + a d,  a by the rule of linesearch.pyx; Barzilai and Borwein's a = s's/s'y (or s'y/y'y) is guarded by Armijo's rule against
                  the largest of the last values (Raydan 1997), and belongs to d = -g

A step of a trust region is tried as it is, and taken where it gains enough of what was predicted.

A method whose direction does not lead down, or along which no step is found, begins again: what it remembers is forgotten and d follows
the gradient at x alone. Where that fails too, the descent is over. Whatever happens, the lowest point seen is kept with its gradient,
trials of a search among them.

With bounds every point lies within them, and the gradient is small where its projection is: entry i of x - clip(x - g).

With lengths D of the parameters a direction is that of the cost over z = x/D, whose gradient is D g, and so is the gradient that is to be
small; x, g and the search along d stay as they are. Lengths are powers of 2, so nothing is rounded on the way.

One allocation holds every array; none overlap. A step rotates pointers: the trial that was accepted is the next x, and its gradient g.
Where the lowest point is x, or was before the last step, it is not copied. With a compiled cost the whole loop runs without the GIL.
"""
from libc.math cimport INFINITY, NAN, fabs, sqrt
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from mflow_core.arithmetic.dot cimport dot
from mflow_core.arithmetic.memory cimport mf_zeros, stride_of
from mflow_core.optimize.linesearch cimport (ARMIJO, BACKTRACKING, CLOSED, EXACT, NO_DESCENT, STRONG_WOLFE, TOO_MANY, TOO_SMALL, bb_length,
                                             best_gradient, line_begin, line_search, line_trial, point_along)
from mflow_core.registry cimport REDUCE, mf_sizes_of
from mflow_core.stepping.descent cimport CONVERGED as _CONVERGED
from mflow_core.types cimport MF_E_KIND, MF_E_MEMORY, MF_E_NON_FINITE, MF_TRUST_REGION, mf_new_direction

cdef double EPS = 2.220446049250313e-16
cdef double USUAL_C2 = 0.9
cdef double STEP = 2.9802322387695312e-08    # 2 sqrt(eps): of differences of gradients
cdef double TINY = 1e-4                   # an x below it is small beside the usual length, which is 3e-4 of it there: a gradient may bend over more
cdef double LITTLE = 1e-3                 # of the gradient at 0: over what it changes by so much it bends by as little
cdef int SHORTEST = 10                    # times that a length gets shorter there, a hundred times each
cdef double SINKS = 0.9                   # of the largest entry of the gradient: what a step must lower it to that values cannot judge


# ---- where it stands ----------------------------------------------------------------------------------------------------------------

cdef inline bint is_finite(double x) noexcept nogil:
    return x - x == 0.0


cdef int evaluate(descent_t *s, bint want_value) noexcept nogil:
    """Gradient (and value) at s.x. The lowest point is brought up to date."""
    cdef double value = s.f
    cdef int status = s.p.value_grad(s.x, &value if want_value else NULL, s.g, s.n, s.p.ctx)
    s.nfev += want_value
    s.njev += 1
    if status != 0:
        return status
    s.f = value
    return note(s)


cdef double projected_max(const descent_t *s) noexcept nogil:
    """The largest entry of x - clip(x - g), without the rounding of x, all in lengths of the parameters."""
    cdef double most = 0.0, part, room, unit = 1.0
    cdef ptrdiff_t i
    for i in range(s.n):
        unit = s.scale[i] if s.scale != NULL and not s.plain else 1.0
        part = unit * s.g[i]
        room = (s.x[i] - s.upper[i] if part < 0.0 else s.x[i] - s.lower[i]) / unit
        part = fabs(room) if fabs(room) < fabs(part) else fabs(part)
        most = part if part > most else most
    return most


cdef double scaled_max(const descent_t *s) noexcept nogil:
    cdef double most = 0.0, part
    cdef ptrdiff_t i
    for i in range(s.n):
        part = fabs(s.scale[i] * s.g[i])
        most = part if part > most else most
    return most


cdef int note(descent_t *s) noexcept nogil:
    """s.x, s.f and s.g belong together: the largest entry of the gradient, and is this the lowest point."""
    s.gmax = REDUCE.max_abs(s.g, s.n)
    if not (s.gmax < INFINITY and is_finite(s.f)):
        return MF_E_NON_FINITE
    if s.lower != NULL:
        s.gmax = projected_max(s)
    elif s.scale != NULL and not s.plain:
        s.gmax = scaled_max(s)
        if not s.gmax < INFINITY:
            return MF_E_NON_FINITE
    if s.first_gmax != s.first_gmax:
        s.first_gmax = s.gmax
    if not s.f > s.f_low or s.f_low != s.f_low:
        s.f_low, s.low_has_grad, s.low_at = s.f, True, LOW_HERE
    elif s.low_at == LOW_BEFORE:
        memcpy(s.low, s.x_old, s.n * sizeof(double))
        memcpy(s.low_grad, s.g_old, s.n * sizeof(double))
        s.low_at = LOW_STORED
    s.evaluated = True
    return 0


cdef const double *lowest_point(const descent_t *s, const double **grad) noexcept nogil:
    """The lowest point seen; its gradient, or NULL where that was not evaluated."""
    if s.low_at == LOW_HERE:
        grad[0] = s.g
        return s.x
    if s.low_at == LOW_BEFORE:
        grad[0] = s.g_old
        return s.x_old
    grad[0] = s.low_grad if s.low_has_grad else NULL
    return s.low


cdef void keep_lowest_trial(descent_t *s, bint taken) noexcept nogil:
    """The lowest trial of a search, should it be lower than all before. taken: the last trial is the next point, and `note` will see it."""
    cdef const double *grad = best_gradient(&s.line)
    cdef ptrdiff_t i
    if s.line.best_a > 0.0 and s.line.best_f < s.f_low and not (taken and s.line.best_a == s.line.a):
        for i in range(s.n):
            s.low[i] = point_along(&s.line, s.line.best_a, i)
        s.f_low, s.low_has_grad, s.low_at = s.line.best_f, grad != NULL, LOW_STORED
        if grad != NULL:
            memcpy(s.low_grad, grad, s.n * sizeof(double))


# ---- direction ----------------------------------------------------------------------------------------------------------------------

cdef int begin_again(descent_t *s) noexcept nogil:
    """The method as it is before its first step."""
    cdef int j, status = 0
    for j in range(1, s.sizes.n_vec):
        memset(s.carried[j], 0, s.n * sizeof(double))
    memset(s.scal, 0, s.sizes.n_scal * sizeof(double))
    if not s.pristine:
        memset(s.way.kept, 0, s.n_kept * sizeof(double))
    s.row_k, s.fresh, s.pristine, s.way.ratio = 0, True, False, NAN
    if s.m.start != NULL:
        status = s.m.start(s.m, s.par, 0, s.n, s.carried)
    return status


cdef void look_scaled(descent_t *s) noexcept nogil:
    """Where s.way sees x, g and those of the point before."""
    cdef double *z = s.seen
    cdef ptrdiff_t i, ld = s.stride
    s.way.x, s.way.g, s.way.x_old, s.way.g_old = s.x, s.g, s.x_old, s.g_old
    if s.scale == NULL:
        return
    for i in range(s.n):
        z[i], z[2 * ld + i] = s.x[i] / s.scale[i], s.x_old[i] / s.scale[i]
        z[ld + i], z[3 * ld + i] = s.g[i] * s.scale[i], s.g_old[i] * s.scale[i]
    s.way.x, s.way.g, s.way.x_old, s.way.g_old = z, z + ld, z + 2 * ld, z + 3 * ld


cdef int find_direction(descent_t *s) noexcept nogil:
    cdef ptrdiff_t i
    cdef int status
    look_scaled(s)
    s.way.k = s.row_k
    s.way.first = s.way.c2 = s.way.gain = s.way.least = 0.0
    if s.m.direct != NULL:
        status = s.m.direct(s.m, &s.way)
    else:
        memset(s.d, 0, s.n * sizeof(double))
        status = s.m.begin(s.m, s.par, s.row_k, s.scal, s.coef)
        if status == 0:
            status = s.m.update(s.m, s.coef, 1.0, 0, s.n, s.carried, s.way.g)
    if s.scale != NULL:
        for i in range(s.n):
            s.d[i] = s.d[i] * s.scale[i]
    return status


cdef int scaled_product(const double *x, const double *p, double *out, ptrdiff_t n, void *ctx) noexcept nogil:
    """A product that is given, as a direction sees it: D H D p."""
    cdef descent_t *s = <descent_t *> ctx
    cdef ptrdiff_t i
    cdef int status
    for i in range(n):
        s.aside[i] = s.scale[i] * p[i]
    status = s.hessp(s.x, s.aside, out, n, s.hessp_ctx)
    for i in range(n):
        out[i] = s.scale[i] * out[i]
    return status


cdef int difference_product(const double *x, const double *p, double *out, ptrdiff_t n, void *ctx) noexcept nogil:
    """H p = (g(x + h p) - g(x))/h, x where the descent stands (Nocedal and Wright, 8.20). A small x tells the length, as in SI units; where
    it is 0, the length gets shorter where a gradient that is given changes by more than itself, until that is a small part of it."""
    cdef descent_t *s = <descent_t *> ctx
    cdef double size = sqrt(dot(p, p, n)), own = sqrt(dot(x, x, n)), h, change, most = sqrt(dot(s.way.g, s.way.g, n))
    cdef ptrdiff_t i
    cdef int status, tried = 0
    if size == 0.0:
        memset(out, 0, n * sizeof(double))
        return 0
    h = s.product_step * (own if 0.0 < own < TINY else 1.0 + own) / size
    while True:
        status = change_along(s, p, h, out, n)
        if status != 0 or own > 0.0 or s.product_step > STEP or tried == SHORTEST:
            break
        change = sqrt(dot(out, out, n))
        if change <= most:
            break
        most = most if tried > 0 else LITTLE * most
        h, tried = 0.01 * h, tried + 1
    for i in range(n):
        out[i] = out[i] / h
    return status


cdef int change_along(descent_t *s, const double *p, double h, double *out, ptrdiff_t n) noexcept nogil:
    """g(x + h p) - g, where the descent stands."""
    cdef ptrdiff_t i
    cdef int status
    for i in range(n):
        s.aside[i] = s.x[i] + (h * p[i] * s.scale[i] if s.scale != NULL else h * p[i])
    status = s.p.value_grad(s.aside, NULL, out, n, s.p.ctx)
    s.njev += 1
    for i in range(n):
        out[i] = (out[i] - s.g[i]) * (s.scale[i] if s.scale != NULL else 1.0)
    return status


# ---- step ---------------------------------------------------------------------------------------------------------------------------

cdef double first_trial(descent_t *s) noexcept nogil:
    """The step before is a guide: with a like change of value (Nocedal and Wright, 3.60) where slopes decide."""
    cdef double a = NAN, size
    cdef int kind = s.rule.kind
    if kind == BARZILAI_BORWEIN and s.has_old:
        a = bb_length(s.n, s.way.x, s.way.x_old, s.way.g, s.way.g_old, s.rule.form)
        if a == a:
            return a
    if s.rule.initial > 0.0:
        return s.rule.initial
    if s.m.direct != NULL and s.k == 0 and s.rule.first_try > 0.0:
        return s.rule.first_try
    if s.way.first > 0.0:
        return s.way.first
    if s.a > 0.0 and not (s.m.direct != NULL and s.row_k == 0):
        a = s.a
        if kind != EXACT and kind != BACKTRACKING:
            a = s.a * (s.slope / s.line.slope0)
            a = 10.0 * s.a if a > 10.0 * s.a else (a if a > 0.1 * s.a else 0.1 * s.a)
        if s.at_once and (kind == BACKTRACKING or kind == ARMIJO):
            a = a / s.line.shrink        # these never lengthen a step themselves
        return a
    if s.rule.first_try > 0.0:
        return s.rule.first_try
    size = length_of(s)
    return 1.0 / size if size > 1.0 else 1.0


cdef double length_of(const descent_t *s) noexcept nogil:
    """|d|, in lengths of the parameters."""
    cdef double total = 0.0
    cdef ptrdiff_t i
    if s.scale == NULL:
        return sqrt(dot(s.d, s.d, s.n))
    for i in range(s.n):
        total += (s.d[i] / s.scale[i]) * (s.d[i] / s.scale[i])
    return sqrt(total)


cdef double reference(const descent_t *s) noexcept nogil:
    """What Armijo's rule compares with: the largest of the last values."""
    cdef double top = s.f
    cdef int64_t j, known = s.k if s.k < s.rule.memory else s.rule.memory
    if s.rule.kind == BARZILAI_BORWEIN:
        for j in range(known):
            top = s.values[j] if s.values[j] > top else top
    return top


cdef void step_to(descent_t *s, double a, const double *grad) noexcept nogil:
    """The pointers of x and g go to the new point, those of the old one to what was there. grad NULL: it is not known yet."""
    cdef double *spare = s.x_old
    cdef ptrdiff_t i
    if a == s.line.a:                        # the last trial
        s.x_old, s.x, s.line.at = s.x, s.line.at, spare
    else:
        for i in range(s.n):
            spare[i] = point_along(&s.line, a, i)
        s.x_old, s.x = s.x, spare
    spare = s.g_old
    s.g_old = s.g
    if grad == NULL:
        s.g = spare
    elif grad == s.line.grad:
        s.g, s.line.grad = s.line.grad, spare
    else:
        s.g, s.line.best_grad = s.line.best_grad, spare
    s.line.best_here = False
    s.low_at = LOW_BEFORE if s.low_at == LOW_HERE else s.low_at
    s.has_old = True


cdef int go_there(descent_t *s, double a, double f, const double *grad, path_t *path) noexcept nogil:
    """x + a d is the next point; grad NULL: not known yet."""
    if path.x != NULL:
        memcpy(path.d, s.d, s.n * sizeof(double))
        path.a[0] = a
    s.values[s.k % s.rule.memory] = s.f
    s.a, s.slope, s.f = a, s.line.slope0, f
    step_to(s, a, grad)
    s.k += 1
    if path.x != NULL:
        memcpy(path.x, s.x, s.n * sizeof(double))
        path.f[0] = f
        path.x += s.n
        path.d += s.n
        path.a += 1
        path.f += 1
    return evaluate(s, False) if grad == NULL else note(s)


cdef void limit_step(descent_t *s) noexcept nogil:
    """The longest step: the rule's, and to the first bound. In the first iteration 1, for nothing is known of the scale."""
    cdef double most = INFINITY, room
    cdef ptrdiff_t i
    s.line.max_step, s.line.wall = s.rule.max_step, False
    if s.lower == NULL:
        return
    for i in range(s.n):
        if s.d[i] != 0.0:
            room = ((s.upper[i] if s.d[i] > 0.0 else s.lower[i]) - s.x[i]) / s.d[i]
            most = room if room < most else most
    if most < INFINITY and (s.row_k == 0 or most < 1.0):     # below 1 by rounding alone: d leads to a point within
        most = 1.0
    if most <= s.rule.max_step:
        s.line.max_step, s.line.wall = most, True


cdef int one_search(descent_t *s, path_t *path) noexcept nogil:
    """One iteration. LINE_FAILED: the direction is no good, or no step along it; the method may begin again."""
    cdef line_t *line = &s.line
    cdef double a
    cdef bint exact_worse
    cdef int kind = ARMIJO if s.rule.kind == BARZILAI_BORWEIN else s.rule.kind
    cdef int status = find_direction(s)
    if status != 0:
        return status
    line.x, line.d, line.f0, line.slope0 = s.x, s.d, s.f, dot(s.g, s.d, s.n)
    line.c2 = s.rule.c2 if s.rule.c2 > 0.0 else (s.way.c2 if s.way.c2 > 0.0 else USUAL_C2)
    line.c2 = line.c1 if line.c2 < line.c1 else line.c2     # a method's own, beside a c1 that was given
    line.f_ref = reference(s)
    limit_step(s)
    line_begin(line)
    s.line_status = status = line_search(line, kind, first_trial(s))
    s.row_k += 1
    s.nfev += line.nfev
    s.njev += line.njev
    status = 0 if status == CLOSED else status   # the last trial is as near to the root as numbers are: a good step
    exact_worse = kind == EXACT and line.f > s.f
    keep_lowest_trial(s, status == 0 and not exact_worse and line.has_grad)
    if status < 0:
        return status
    if status == 0 and not exact_worse:
        s.at_once, s.fresh = line.nfev == 1, False
        return go_there(s, line.a, line.f, line.grad if line.has_grad else NULL, path)
    if line.best_a > 0.0:                   # a step that leads down is taken, whatever the rule says of it
        a = line.best_a
        s.at_once, s.fresh = False, s.fresh and status != 0
        status = go_there(s, a, line.best_f, best_gradient(line), path)
        if status != 0:
            return status
        if s.line_status == 0 or s.line_status == CLOSED:
            return 0
    return LINE_FAILED


cdef double judged(const descent_t *s) noexcept nogil:
    """What the trial gained of what was predicted. Where values have no digits left, the gradient decides: by so much as no short step
    does it, or rounded costs would be followed in steps of nothing."""
    cdef double gained = s.f - s.line.f, noise = 10.0 * EPS * fabs(s.f)
    if fabs(gained) <= noise and s.way.gain <= noise:
        return 1.0 if s.line.has_grad and REDUCE.max_abs(s.line.grad, s.n) < SINKS * s.gmax else -1.0
    return gained / s.way.gain


cdef bint stays(const descent_t *s) noexcept nogil:
    """Whether x + d is x."""
    cdef ptrdiff_t i
    for i in range(s.n):
        if s.x[i] + s.d[i] != s.x[i]:
            return False
    return True


cdef int one_trust_step(descent_t *s, path_t *path) noexcept nogil:
    """One iteration of a trust region: trials, each with a smaller radius, until one is taken. LINE_FAILED: none was."""
    cdef line_t *line = &s.line
    cdef int status
    line.x, line.d, line.f0, line.f_ref = s.x, s.d, s.f, s.f
    line.slope0 = 0.0
    line_begin(line)
    while True:
        status = find_direction(s)
        if status != 0:
            return status
        line.slope0 = dot(s.g, s.d, s.n)
        if not s.way.gain > 0.0 or stays(s):
            s.line_status = TOO_SMALL if s.way.gain > 0.0 else NO_DESCENT
            break
        status = line_trial(line, 1.0, True)
        if status < 0:
            return status
        if status == TOO_MANY:
            s.line_status = TOO_MANY
            break
        s.nfev += 1
        s.njev += 1
        s.way.ratio = judged(s) if status == 0 else -INFINITY
        if s.way.ratio > s.way.least:
            s.line_status, s.fresh = 0, False
            s.row_k += 1
            return go_there(s, 1.0, line.f, line.grad, path)
        keep_lowest_trial(s, False)
        line.best_a, line.best_f, line.best_here = 0.0, line.f0, False   # d will be another one
    return LINE_FAILED


cdef int line_descend(descent_t *s, int64_t count, double gtol, path_t *path) noexcept nogil:
    """Up to `count` iterations, each with its gradient test first; then the test once more. CONVERGED, 0, or why it could not go on."""
    cdef int64_t goal = s.k + count, before
    cdef int status = 0
    if not s.evaluated:
        status = evaluate(s, True)
        if status == 0:
            status = begin_again(s)
        if status != 0:
            return status
    while True:
        if s.gmax <= gtol:
            return _CONVERGED
        if s.k >= goal:
            return 0
        before = s.k
        status = one_trust_step(s, path) if s.m.flags & MF_TRUST_REGION else one_search(s, path)
        if status == LINE_FAILED and not s.fresh and not s.once:
            s.restarts += 1
            s.a = 0.0 if s.k == before else s.a
            status = begin_again(s)
        if status != 0:
            return _CONVERGED if status == LINE_FAILED and s.gmax <= gtol else status


# ---- life ---------------------------------------------------------------------------------------------------------------------------

cdef void rule_defaults(rule_t *rule) noexcept nogil:
    rule.kind, rule.form, rule.memory = STRONG_WOLFE, 1, 10
    rule.c1, rule.c2, rule.shrink, rule.tol, rule.max_step = 1e-4, 0.0, 0.5, 1e-10, INFINITY
    rule.initial = rule.first_try = 0.0
    rule.limit, rule.rises = 60, 8


cdef int descent_open(descent_t *s, const mf_method *m, const mf_problem *p, const double *par, const rule_t *rule, bint bounded,
                      bint scaled) noexcept nogil:
    """Room for descents of this kind. `par` has to live as long."""
    cdef int64_t n_kept = 0, n_work = 0
    cdef ptrdiff_t n = p.n, ld = stride_of(n), vectors
    cdef double *room
    cdef int j, status
    memset(s, 0, sizeof(descent_t))
    s.p, s.m, s.par, s.n, s.rule, s.product_step = p, m, par, n, rule[0], STEP
    status = mf_sizes_of(m, par, &s.sizes)
    if status == 0 and m.room != NULL:
        status = m.room(m, par, n, bounded, &n_kept, &n_work)
    elif status == 0 and bounded:
        status = MF_E_KIND
    if status != 0:
        return status
    vectors = 10 + s.sizes.n_vec + (2 if bounded else 0) + (7 if scaled else 0)
    s.block = mf_zeros(vectors * ld + s.sizes.n_scal + s.sizes.n_coef + s.sizes.n_vec + 1 + n_kept + n_work, sizeof(double))
    if s.block == NULL:
        return MF_E_MEMORY
    room = <double *> s.block
    s.x, s.g, s.x_old, s.g_old, s.low, s.low_grad = room, room + ld, room + 2 * ld, room + 3 * ld, room + 4 * ld, room + 5 * ld
    s.line.at, s.line.grad, s.line.best_grad, s.aside = room + 6 * ld, room + 7 * ld, room + 8 * ld, room + 9 * ld
    if bounded:
        s.lower, s.upper = room + (10 + s.sizes.n_vec) * ld, room + (11 + s.sizes.n_vec) * ld
    if scaled:
        s.scale = room + (vectors - 7) * ld
        s.seen, s.stride = s.scale + ld, ld
    s.way = mf_new_direction()
    s.way.n, s.way.par, s.way.lower, s.way.upper = n, par, s.lower, s.upper
    if scaled and bounded:
        s.way.lower, s.way.upper = s.seen + 4 * ld, s.seen + 5 * ld
    s.way.kept = room + vectors * ld
    s.way.work = s.way.kept + n_kept
    s.scal = s.way.work + n_work
    s.coef = s.scal + s.sizes.n_scal
    s.carried = <double **> (s.coef + s.sizes.n_coef)
    for j in range(s.sizes.n_vec):
        s.carried[j] = room + (10 + j) * ld
    s.d = s.way.d = s.carried[0]
    s.n_kept, s.pristine = n_kept, True
    s.line.p, s.line.n, s.line.lower, s.line.upper = p, n, s.lower, s.upper
    s.line.c1, s.line.shrink, s.line.tol, s.line.limit, s.line.rises = rule.c1, rule.shrink, rule.tol, rule.limit, rule.rises
    descent_products(s, NULL, NULL)
    return 0


cdef void descent_products(descent_t *s, mf_hessp_fn hessp, void *ctx) noexcept nogil:
    """Where products H p come from; NULL: differences of gradients."""
    s.hessp, s.hessp_ctx = hessp, ctx
    s.way.hessp = difference_product if hessp == NULL else (hessp if s.scale == NULL else scaled_product)
    s.way.hessp_ctx = <void *> s if hessp == NULL or s.scale != NULL else ctx


cdef void descent_start(descent_t *s, const double *x0, const double *lower, const double *upper, const double *scale) noexcept nogil:
    """From x0, moved into its bounds; nothing is evaluated yet. scale: lengths of the parameters, of a descent that has room for them."""
    cdef ptrdiff_t i
    memcpy(s.x, x0, s.n * sizeof(double))
    if s.lower != NULL:
        memcpy(s.lower, lower, s.n * sizeof(double))
        memcpy(s.upper, upper, s.n * sizeof(double))
        for i in range(s.n):
            s.x[i] = lower[i] if s.x[i] < lower[i] else (upper[i] if s.x[i] > upper[i] else s.x[i])
    if s.scale != NULL:
        memcpy(s.scale, scale, s.n * sizeof(double))
        if s.lower != NULL:
            for i in range(s.n):
                s.seen[4 * s.stride + i], s.seen[5 * s.stride + i] = lower[i] / scale[i], upper[i] / scale[i]
    s.f = s.f_low = s.gmax = s.first_gmax = NAN
    s.low_at, s.low_has_grad, s.evaluated, s.has_old, s.at_once, s.once = LOW_STORED, False, False, False, False, False
    s.a = s.slope = 0.0
    s.k = s.row_k = s.nfev = s.njev = s.restarts = 0
    s.line_status = 0
    line_begin(&s.line)


cdef int descent_renew(descent_t *s, bint keeps) noexcept nogil:
    """Value and gradient anew at the lowest point, as another gradient is given from here on. keeps: what a quasi-Newton method has learned
    stays; else the method begins again."""
    cdef const double *grad = NULL
    cdef const double *low = lowest_point(s, &grad)
    cdef int status
    if low != s.x:
        memcpy(s.x, low, s.n * sizeof(double))
    s.first_gmax = NAN      # that of untrue differences says nothing of units
    status = evaluate(s, True)
    s.a, s.once, s.fresh = 0.0, False, False
    if status != 0:
        return status
    if not keeps:
        s.restarts += 1
        return begin_again(s)
    memcpy(s.x_old, s.x, s.n * sizeof(double))   # no pair follows from a point to itself
    memcpy(s.g_old, s.g, s.n * sizeof(double))
    return 0


cdef void descent_close(descent_t *s) noexcept nogil:
    free(s.block)
    s.block = NULL
