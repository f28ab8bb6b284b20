"""Implicit SGD: for each sample a step of its gradient flow, w' = -l'(x.w; y) x, by backward Euler (or forward, or exactly).

With s = x.w and q = |x|^2 (+1 with an intercept b) a step of size gamma moves w along x only, so it is a step of the scalar s:

    backward   t = s - gamma q l'(t),   w -= gamma l'(t) x        never diverges, for any gamma
    forward    w -= gamma l'(s) x                                 plain SGD
    exact      s' = -q l'(s) for time gamma

The implicit step includes the gradient of an L2 penalty, which does not act on b:  k = 1/(1 + gamma l2),
t = k x.w + b - gamma (k |x|^2 + 1) l'(t),   w = k (w - gamma l'(t) x). The weight of a sample multiplies gamma in front of l' only.
After it comes the proximal map of gamma l1 |w|_1, which moves each entry of w toward 0 by gamma l1, and no further than there.

Vectors: w; the sum of the iterates (Polyak-Ruppert); for sparse data the part of the sum that is added already. For sparse data the
weights are kept as w = scale v, and the share of a coordinate is added to the sum when the coordinate is used next:

    sum_i += v_i (total - seen_i),  total = the sum of all scales so far,

so that the cost of a sample is proportional to its entries. Likewise for l1: maps that follow each other add up, so that a coordinate is
moved when it is used next, by what the total of all moves has grown since then. Where there are both a sum and l1 this fails, for a
coordinate stops at 0 somewhere on the way: then each sample visits all weights. Scalars: S_... below. Nothing depends on how a sweep is split into calls.
The capsule `_losses` holds the loss records (`mf_loss`), each a table of functions from losses.pxd.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t

from mflow_core.arithmetic.dot cimport dot_and_square
from mflow_core.arithmetic.scalars cimport mf_power
from mflow_core.arithmetic.vec cimport mf_cvec, mf_vec
from mflow_core.methods.losses cimport (a_sign, absolute_root, absolute_slopes, absolute_value, any_number, gamma_backward, gamma_curvature,
                                        gamma_exact, gamma_slopes, gamma_value, hinge_backward, hinge_slopes, hinge_value, huber_backward,
                                        huber_curvature, huber_exact, huber_slopes, huber_value, logistic_backward, logistic_curvature,
                                        logistic_exact, logistic_root, logistic_slope, logistic_slopes, logistic_value, loss_t,
                                        no_curvature, not_negative, poisson_backward, poisson_curvature, poisson_exact, poisson_slopes,
                                        poisson_value, positive, quantile_root, quantile_slopes, quantile_value, squared_backward,
                                        squared_curvature, squared_exact, squared_root, squared_slopes, squared_value, toward_zero)
from mflow_core.types cimport (MF_BOOL, MF_CHOICE, MF_E_ARGUMENT, MF_E_NON_FINITE, MF_E_PARAMETER, MF_E_SOLVE, MF_IMPLICIT, MF_INT,
                               MF_LOWER_OPEN, MF_REAL, MF_UPPER_OPEN, mf_method, mf_new_method, mf_param, mf_sizes, mf_sweep)

cdef enum:                               # parameters of the method
    P_LR = 0
    P_DECAY = 1
    P_POWER = 2
    P_FLOW = 3
    P_L2 = 4
    P_INTERCEPT = 5
    P_AVERAGE = 6
    P_TRUNCATED = 7
    P_DELTA = 8
    P_TAU = 9
    P_L1 = 10
    N_PAR = 11

cdef enum:
    BACKWARD = 0
    FORWARD = 1
    EXACT = 2

cdef enum:                               # scalars
    S_INTERCEPT = 0
    S_INTERCEPT_SUM = 1
    S_COUNT = 2                          # samples so far
    S_AVERAGED = 3                       # iterates in the sums
    S_SCALE = 4                          # w = scale v; 0 means 1, so that a run may start from zeros
    S_TOTAL = 5                          # sum of the scales
    N_SCAL = 6
    S_CUT = 6                            # with l1 alone: the sum of its moves, in units of the scale

cdef enum:
    AHEAD = 4                            # samples between the prefetch of a row and its use

cdef double SMALL_SCALE = 1.52587890625e-05          # 2^-16: below it, v and w are merged


cdef extern from *:
    """
    #if defined(__GNUC__)
    #define MF_PREFETCH(p) __builtin_prefetch(p)
    #else
    #define MF_PREFETCH(p) ((void)0)
    #endif
    """
    void MF_PREFETCH(const void *p) noexcept nogil


# ---- one sample: from (x.w, |x|^2) to the move of w ---------------------------------------------------------------------------------

ctypedef struct plan_t:                  # the parameters of a sweep, read once
    const loss_t *loss
    double lr, decay, power, l2, l1, shape, extra            # extra: the share of the intercept in q
    double start                                         # iterates are averaged from this sample on
    int flow
    bint truncated, averaged


ctypedef struct move_t:                  # w = keep w + along x, then by `cut` toward 0,  b -= step
    double keep, along, step, cut


cdef inline double step_size(const plan_t *p, double count) noexcept nogil:
    """gamma0 (1 + a gamma0 n)^-c."""
    cdef double z
    if p.decay == 0.0 or p.power == 0.0:
        return p.lr
    z = 1.0 + p.decay * p.lr * count
    if p.power == 1.0:
        return p.lr / z
    if p.power == 0.5:
        return p.lr / sqrt(z)
    return p.lr * mf_power(z, -p.power)


cdef inline double missed(const loss_t *loss, double s, double y, double g, double t, double shape) noexcept nogil:
    """|phi(t)|, phi(t) = t - s + g l'(t); at a kink of the loss, the distance of 0 to the set of its values."""
    cdef double low, high, from_low, from_high
    loss.slopes(t, y, shape, &low, &high)
    from_low = (t - s) + g * low
    from_high = (t - s) + g * high
    return from_low if from_low > 0.0 else (-from_high if from_high < 0.0 else 0.0)


cdef inline bint is_root(double phi, double s, double t, double moved, double bend) noexcept nogil:
    """Whether |phi(t)| is rounding, and `moved` is s - t.

    Far outside the range that losses.pxd promises (|s| or g near 1e100) the result of a root function may be no root, or NaN.
    """
    cdef double size = fabs(s) + fabs(t) + 1e-300
    return phi - phi == 0.0 and phi <= 1e-9 * (size + bend * fabs(t)) and fabs((t - s) + moved) <= 1e-9 * size


cdef inline int plan_move(const plan_t *p, double dot, double square, double b, double y, double weight, double count, move_t *move,
                          double *worst) noexcept nogil:
    cdef double gamma = step_size(p, count), h = gamma * weight, s, g, t, slope, other, phi, limit
    move.keep, move.cut = 1.0, gamma * p.l1
    if p.l2 != 0.0:
        move.keep = 1.0 / (1.0 + gamma * p.l2) if p.flow == BACKWARD else 1.0 - gamma * p.l2
    s = (move.keep * dot if p.flow == BACKWARD else dot) + b
    if s - s != 0.0:
        return MF_E_NON_FINITE
    if p.truncated:
        p.loss.slopes(s, y, p.shape, &slope, &other)
        limit = p.loss.value(s, y, p.shape) / ((square + p.extra) * (slope * slope))
        h = limit if limit < h else h
    if p.flow == FORWARD:
        p.loss.slopes(s, y, p.shape, &slope, &other)
        slope = 0.0 if slope <= 0.0 <= other else slope                 # at a kink: the smallest subgradient
    else:
        g = h * ((move.keep * square if p.flow == BACKWARD else square) + p.extra)
        slope = 0.0
        if g > 0.0:
            if p.flow == EXACT:
                p.loss.flow(s, y, g, p.shape, &slope)
            else:
                t = p.loss.root(s, y, g, p.shape, &slope)
                phi = missed(p.loss, s, y, g, t, p.shape)
                if not is_root(phi, s, t, g * slope, 0.0) and not is_root(phi, s, t, g * slope, g * p.loss.curvature(t, y, p.shape)):
                    return MF_E_SOLVE
                worst[0] = phi if phi > worst[0] else worst[0]
    move.step = h * slope
    move.along = -move.step * (move.keep if p.flow == BACKWARD else 1.0)
    return 0 if move.step - move.step == 0.0 else MF_E_SOLVE


cdef inline void plan_sweep(const double *par, const mf_sweep *s, plan_t *p) noexcept nogil:
    p.loss = <const loss_t *> s.loss
    p.lr, p.decay, p.power, p.l2, p.l1 = par[P_LR], par[P_DECAY], par[P_POWER], par[P_L2], par[P_L1]
    p.shape = par[p.loss.parameter] if p.loss.parameter >= 0 else 0.0
    p.extra = 1.0 if par[P_INTERCEPT] != 0.0 else 0.0
    p.flow = <int> par[P_FLOW]
    p.truncated = par[P_TRUNCATED] != 0.0
    p.averaged, p.start = par[P_AVERAGE] > 0.0, par[P_AVERAGE] - 1.0


# ---- dense data ---------------------------------------------------------------------------------------------------------------------

cdef inline void move_weights(mf_vec w, mf_cvec x, double keep, double along, ptrdiff_t n) noexcept nogil:
    cdef ptrdiff_t j
    if keep == 1.0:
        for j in range(n):
            w[j] = w[j] + along * x[j]
    else:
        for j in range(n):
            w[j] = keep * w[j] + along * x[j]


cdef inline void shrink(mf_vec w, double cut, ptrdiff_t n) noexcept nogil:
    cdef ptrdiff_t j
    for j in range(n):
        w[j] = toward_zero(w[j], cut)


cdef inline void move_and_add(mf_vec w, mf_vec total, mf_cvec x, double keep, double along, ptrdiff_t n) noexcept nogil:
    cdef ptrdiff_t j
    for j in range(n):
        w[j] = keep * w[j] + along * x[j]
        total[j] = total[j] + w[j]


cdef inline void add_up(const plan_t *p, mf_sweep *s, double b, double count) noexcept nogil:
    """The iterate in the sums, where it belongs there."""
    cdef ptrdiff_t j
    if p.averaged and count > p.start:
        for j in range(s.n):
            s.x[1][j] += s.x[0][j]
        s.scal[S_INTERCEPT_SUM] += b
        s.scal[S_AVERAGED] += 1.0


cdef enum:                               # sweeps with inlined losses: a call would take a third of the time of a sample
    GENERAL = 0
    SQUARED = 1
    SQUARED_FORWARD = 2
    LOGISTIC = 3


cdef inline int direct_move(const plan_t *p, int kind, double dot, double square, double b, double y, double weight, double count,
                            move_t *move, double *worst) noexcept nogil:
    """plan_move for one kind, which is known at compile time; the same arithmetic."""
    cdef double gamma = step_size(p, count), h = gamma * weight, s, g, t, slope, phi
    move.keep = 1.0
    if p.l2 != 0.0:
        move.keep = 1.0 - gamma * p.l2 if kind == SQUARED_FORWARD else 1.0 / (1.0 + gamma * p.l2)
    s = (dot if kind == SQUARED_FORWARD else move.keep * dot) + b
    if s - s != 0.0:
        return MF_E_NON_FINITE
    if kind == SQUARED_FORWARD:
        move.step = h * (s - y)
        move.along = -move.step
        return 0
    g = h * (move.keep * square + p.extra)
    if kind == SQUARED:
        t = squared_root(s, y, g, &slope)
        phi = fabs((t - s) + g * (t - y))
    else:
        t = logistic_root(s, y, g, &slope)
        phi = fabs((t - s) + g * logistic_slope(t, y))
    if not is_root(phi, s, t, g * slope, 0.0):           # only where that fails is the curvature worth its price
        if not is_root(phi, s, t, g * slope, g if kind == SQUARED else g * logistic_curvature(t, y, 0.0)):
            return MF_E_SOLVE
    worst[0] = phi if phi > worst[0] else worst[0]
    move.step = h * slope
    move.along = -move.step * move.keep
    return 0


cdef inline int walk_rows(const plan_t *p, mf_sweep *s, int kind) noexcept nogil:
    cdef double *w = s.x[0]
    cdef double *scal = s.scal
    cdef const double *x
    cdef const double *next_row
    cdef double dot, square, weight, worst = s.worst_phi, b = scal[S_INTERCEPT], count = scal[S_COUNT]
    cdef ptrdiff_t k, i, j, n = s.n
    cdef move_t move
    cdef int status = 0
    for k in range(s.count):
        i = s.order[k] if s.order != NULL else k
        if s.order != NULL and k + AHEAD < s.count:      # shuffled rows are not prefetched by the hardware
            next_row = s.X + s.order[k + AHEAD] * s.ldx
            for j in range(0, n, 8):
                MF_PREFETCH(next_row + j)
            MF_PREFETCH(next_row + (n - 1))
            MF_PREFETCH(s.label + s.order[k + AHEAD])
        weight = s.weight[i] if s.weight != NULL else 1.0
        if weight == 0.0:
            continue
        x = s.X + i * s.ldx
        dot = dot_and_square(x, w, n, &square)
        if kind != GENERAL:
            status = direct_move(p, kind, dot, square, b, s.label[i], weight, count, &move, &worst)
        else:
            status = plan_move(p, dot, square, b, s.label[i], weight, count, &move, &worst)
        if status != 0:
            break
        b -= p.extra * move.step
        count += 1.0
        if kind == GENERAL and p.l1 != 0.0:
            move_weights(w, x, move.keep, move.along, n)
            shrink(w, move.cut, n)
            add_up(p, s, b, count)
        elif p.averaged and count > p.start:
            move_and_add(w, s.x[1], x, move.keep, move.along, n)
            scal[S_INTERCEPT_SUM] += b
            scal[S_AVERAGED] += 1.0
        else:
            move_weights(w, x, move.keep, move.along, n)
    scal[S_INTERCEPT], scal[S_COUNT], s.worst_phi = b, count, worst
    return status


cdef int dense_sweep(const plan_t *p, mf_sweep *s) noexcept nogil:
    if p.truncated or p.l1 != 0.0:
        return walk_rows(p, s, GENERAL)
    if p.loss.root == squared_backward and p.flow == BACKWARD:
        return walk_rows(p, s, SQUARED)
    if p.loss.root == squared_backward and p.flow == FORWARD:
        return walk_rows(p, s, SQUARED_FORWARD)
    if p.loss.root == logistic_backward and p.flow == BACKWARD:
        return walk_rows(p, s, LOGISTIC)
    return walk_rows(p, s, GENERAL)


# ---- sparse data --------------------------------------------------------------------------------------------------------------------

cdef void settle(const plan_t *p, mf_sweep *s) noexcept nogil:
    """Merge v and scale to w, and add all iterates so far to the sums, or move all weights by what l1 is behind with."""
    cdef double scale = s.scal[S_SCALE] if s.scal[S_SCALE] != 0.0 else 1.0, total = s.scal[S_TOTAL]
    cdef double *v = s.x[0]
    cdef double *sums = s.x[1]
    cdef double *seen = s.x[2]
    cdef ptrdiff_t j
    if p.averaged:
        for j in range(s.n):
            sums[j] += v[j] * (total - seen[j])
            seen[j] = 0.0
    elif p.l1 != 0.0:
        for j in range(s.n):
            v[j] = toward_zero(v[j], s.scal[S_CUT] - s.x[3][j])
            s.x[3][j] = 0.0
        s.scal[S_CUT] = 0.0
    for j in range(s.n):
        v[j] = scale * v[j]
    s.scal[S_SCALE], s.scal[S_TOTAL] = 1.0, 0.0


cdef int whole_sparse_sweep(const plan_t *p, mf_sweep *s) noexcept nogil:
    """With a sum and l1: all weights at every sample."""
    cdef double *w = s.x[0]
    cdef double *scal = s.scal
    cdef const int32_t *column
    cdef const double *value
    cdef double dot, square, weight
    cdef ptrdiff_t k, i, j, entries
    cdef move_t move
    cdef int status
    for k in range(s.count):
        i = s.order[k] if s.order != NULL else k
        weight = s.weight[i] if s.weight != NULL else 1.0
        if weight == 0.0:
            continue
        column, value, entries = s.indices + s.indptr[i], s.values + s.indptr[i], s.indptr[i + 1] - s.indptr[i]
        dot = square = 0.0
        for j in range(entries):
            dot = dot + value[j] * w[column[j]]
            square = square + value[j] * value[j]
        status = plan_move(p, dot, square, scal[S_INTERCEPT], s.label[i], weight, scal[S_COUNT], &move, &s.worst_phi)
        if status != 0:
            return status
        scal[S_INTERCEPT] -= p.extra * move.step
        scal[S_COUNT] += 1.0
        if move.keep != 1.0:
            for j in range(s.n):
                w[j] = move.keep * w[j]
        for j in range(entries):
            w[column[j]] += move.along * value[j]
        shrink(w, move.cut, s.n)
        add_up(p, s, scal[S_INTERCEPT], scal[S_COUNT])
    return 0


cdef int sparse_sweep(const plan_t *p, mf_sweep *s) noexcept nogil:
    cdef double *v = s.x[0]
    cdef double *behind = s.x[3] if p.l1 != 0.0 else NULL
    cdef double *scal = s.scal
    cdef const int32_t *column
    cdef const double *value
    cdef double dot, square, weight, along, worst = s.worst_phi, scale
    cdef ptrdiff_t k, i, j, entries
    cdef move_t move
    cdef int status = 0
    if scal[S_SCALE] == 0.0:
        scal[S_SCALE] = 1.0
    for k in range(s.count):
        i = s.order[k] if s.order != NULL else k
        weight = s.weight[i] if s.weight != NULL else 1.0
        if weight == 0.0:
            continue
        column, value, entries = s.indices + s.indptr[i], s.values + s.indptr[i], s.indptr[i + 1] - s.indptr[i]
        scale = scal[S_SCALE]
        if behind != NULL:
            for j in range(entries):
                v[column[j]] = toward_zero(v[column[j]], scal[S_CUT] - behind[column[j]])
                behind[column[j]] = scal[S_CUT]
        dot = square = 0.0
        for j in range(entries):
            dot = dot + value[j] * v[column[j]]
            square = square + value[j] * value[j]
        status = plan_move(p, scale * dot, square, scal[S_INTERCEPT], s.label[i], weight, scal[S_COUNT], &move, &worst)
        if status != 0:
            break
        scal[S_INTERCEPT] -= p.extra * move.step
        scal[S_COUNT] += 1.0
        if fabs(move.keep * scale) < SMALL_SCALE:        # forward steps may even change the sign
            settle(p, s)
            for j in range(s.n):
                v[j] = move.keep * v[j]
            scale = 1.0
        else:
            scale = move.keep * scale
        scal[S_SCALE] = scale
        along = move.along / scale
        if p.averaged:
            for j in range(entries):
                s.x[1][column[j]] += v[column[j]] * (scal[S_TOTAL] - s.x[2][column[j]])
                s.x[2][column[j]] = scal[S_TOTAL]
        for j in range(entries):
            v[column[j]] = v[column[j]] + along * value[j]
        if behind != NULL:
            scal[S_CUT] += move.cut / fabs(scale)
        if p.averaged and scal[S_COUNT] > p.start:
            scal[S_TOTAL] += scale
            scal[S_INTERCEPT_SUM] += scal[S_INTERCEPT]
            scal[S_AVERAGED] += 1.0
    s.worst_phi = worst
    return status


cdef int sweep(const mf_method *m, const double *par, mf_sweep *s) noexcept nogil:
    cdef plan_t p
    if s.loss == NULL or s.x == NULL or s.scal == NULL or s.label == NULL:
        return MF_E_ARGUMENT
    plan_sweep(par, s, &p)
    if s.X != NULL:
        if s.scal[S_SCALE] != 0.0 and (s.scal[S_SCALE] != 1.0 or s.scal[S_TOTAL] != 0.0 or (p.l1 != 0.0 and s.scal[S_CUT] != 0.0)):
            settle(&p, s)
        return dense_sweep(&p, s)
    if s.indptr == NULL or s.indices == NULL or s.values == NULL:
        return MF_E_ARGUMENT
    return whole_sparse_sweep(&p, s) if p.l1 != 0.0 and p.averaged else sparse_sweep(&p, s)


cdef int sizes_of(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil:
    if par[P_FLOW] == EXACT and par[P_L2] > 0.0:         # both flows together have no closed form
        return MF_E_PARAMETER
    sizes[0] = m.sizes
    sizes.n_vec = 4 if par[P_L1] > 0.0 else 3 if par[P_AVERAGE] > 0.0 else 1
    sizes.n_scal = N_SCAL + (1 if par[P_L1] > 0.0 else 0)
    return 0


# ---- the loss records ---------------------------------------------------------------------------------------------------------------

cdef loss_t LOSS_TABLE[8]
cdef const loss_t *LOSSES[9]


cdef void loss(int i, const char *name, const char *labels, const char *formula, int parameter, int (*allows)(double) noexcept nogil,
               double (*value)(double, double, double) noexcept nogil, double (*curvature)(double, double, double) noexcept nogil,
               void (*slopes)(double, double, double, double *, double *) noexcept nogil,
               double (*root)(double, double, double, double, double *) noexcept nogil,
               double (*flow)(double, double, double, double, double *) noexcept nogil) noexcept:
    cdef loss_t *record = &LOSS_TABLE[i]
    record.name, record.labels, record.formula, record.parameter = name, labels, formula, parameter
    record.allows, record.value, record.curvature, record.slopes, record.root, record.flow = allows, value, curvature, slopes, root, flow
    LOSSES[i] = record


cdef const char *number = b"finite numbers"
cdef const char *sign = b"-1 and +1"

loss(0, b"squared", number, b"(t - y)^2/2", -1, any_number, squared_value, squared_curvature, squared_slopes, squared_backward,
     squared_exact)
loss(1, b"huber", number, b"(t - y)^2/2 up to |t - y| = delta, delta (|t - y| - delta/2) beyond", P_DELTA, any_number, huber_value,
     huber_curvature, huber_slopes, huber_backward, huber_exact)
loss(2, b"absolute", number, b"|t - y|", -1, any_number, absolute_value, no_curvature, absolute_slopes, absolute_root, absolute_root)
loss(3, b"quantile", number, b"tau (y - t) under y, (1 - tau) (t - y) over it", P_TAU, any_number, quantile_value, no_curvature,
     quantile_slopes, quantile_root, quantile_root)
loss(4, b"hinge", sign, b"max(0, 1 - y t)", -1, a_sign, hinge_value, no_curvature, hinge_slopes, hinge_backward, hinge_backward)
loss(5, b"logistic", sign, b"log(1 + e^(-y t))", -1, a_sign, logistic_value, logistic_curvature, logistic_slopes, logistic_backward,
     logistic_exact)
loss(6, b"poisson", b"numbers from 0 on", b"e^t - y t, above its least value", -1, not_negative, poisson_value, poisson_curvature,
     poisson_slopes, poisson_backward, poisson_exact)
loss(7, b"gamma", b"numbers above 0", b"t + y e^-t, above its least value", -1, positive, gamma_value, gamma_curvature, gamma_slopes,
     gamma_backward, gamma_exact)

_losses = PyCapsule_New(<void *> LOSSES, b"mflow_core._losses", NULL)


# ---- the method record --------------------------------------------------------------------------------------------------------------

cdef double _inf = float("inf")
cdef mf_method RECORD = mf_new_method()
cdef mf_method *RECORDS[2]
cdef mf_param PARAMETERS[N_PAR]


cdef void parameter(int i, const char *name, double value, double lower, double upper, int kind, int open, const char *choices,
                    const char *doc) noexcept:
    PARAMETERS[i].name, PARAMETERS[i].value, PARAMETERS[i].lower, PARAMETERS[i].upper = name, value, lower, upper
    PARAMETERS[i].kind, PARAMETERS[i].open, PARAMETERS[i].choices, PARAMETERS[i].doc = kind, open, choices, doc


parameter(P_LR, b"lr", 1.0, 0.0, _inf, MF_REAL, MF_UPPER_OPEN, b"", b"gamma0: the time step of each sample's flow")
parameter(P_DECAY, b"lr_decay", 0.0, 0.0, _inf, MF_REAL, MF_UPPER_OPEN, b"", b"a in gamma = gamma0 (1 + a gamma0 n)^-c after n samples")
parameter(P_POWER, b"lr_power", 1.0, 0.0, 1.0, MF_REAL, 0, b"", b"c of that schedule")
parameter(P_FLOW, b"flow", 0.0, 0.0, 2.0, MF_CHOICE, 0, b"backward|forward|exact", b"how a sample's flow is stepped")
parameter(P_L2, b"l2", 0.0, 0.0, _inf, MF_REAL, MF_UPPER_OPEN, b"", b"adds l2 |w|^2/2 to each sample's loss; the intercept is free of it")
parameter(P_INTERCEPT, b"intercept", 1.0, 0.0, 1.0, MF_BOOL, 0, b"", b"fit an intercept b as well: t = x.w + b")
parameter(P_AVERAGE, b"average", 0.0, 0.0, 9007199254740992.0, MF_INT, 0, b"",
          b"average the iterates from this sample on, 1 being the first (Polyak-Ruppert); 0: do not")
parameter(P_TRUNCATED, b"truncated", 0.0, 0.0, 1.0, MF_BOOL, 0, b"", b"gamma at most (l(s) - inf l)/(q l'(s)^2): the aProx step")
parameter(P_DELTA, b"delta", 1.0, 0.0, _inf, MF_REAL, MF_LOWER_OPEN | MF_UPPER_OPEN, b"", b"where Huber's loss turns straight")
parameter(P_TAU, b"tau", 0.5, 0.0, 1.0, MF_REAL, MF_LOWER_OPEN | MF_UPPER_OPEN, b"", b"level of the quantile loss")
parameter(P_L1, b"l1", 0.0, 0.0, _inf, MF_REAL, MF_UPPER_OPEN, b"",
          b"after each step the proximal map of gamma l1 |w|_1, entries of w by gamma l1 toward 0; with l2 the elastic net")

RECORD.name, RECORD.class_name, RECORD.aliases, RECORD.family = b"implicit_sgd", b"ImplicitSGD", b"isgd", b"implicit_sgd"
RECORD.vectors = b"w|sum|seen|behind"
RECORD.formula = b"t = s - gamma q l'(t) with s = x.w + b, q = |x|^2 + 1; w -= gamma l'(t) x, b -= gamma l'(t)"
RECORD.doc = (b"Backward Euler on the gradient flow of one sample after the other: the move is the gradient where the step ends, "
           b"so no learning rate makes it diverge.")
RECORD.reference = (b"P. Toulis and E. Airoldi, Ann. Stat. 45 (2017) 1694-1727; B. Polyak and A. Juditsky, SIAM J. Control Optim. 30 "
                    b"(1992) 838-855; H. Asi and J. Duchi, SIAM J. Optim. 29 (2019) 2257-2290")
RECORD.flags = MF_IMPLICIT
RECORD.order, RECORD.stages, RECORD.n_par, RECORD.par = 1, 1, N_PAR, PARAMETERS
RECORD.sizes.n_vis, RECORD.sizes.n_vec, RECORD.sizes.n_scal = 1, 1, N_SCAL
RECORD.sizes_fn, RECORD.sweep = sizes_of, sweep
RECORDS[0], RECORDS[1] = &RECORD, NULL

_records = PyCapsule_New(<void *> RECORDS, b"mflow_core._rows", NULL)
