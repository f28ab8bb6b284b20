"""Optimizers: gradient flow c' = -grad f(c) by elementwise updates. lr is dt.

Every row is a push row: `begin` turns the scalars of one step (schedules, bias corrections) into a few coefficients, `update` is one
elementwise pass over c, the row's own vectors and the gradient, `ask` (where a row has one) writes the point at which the gradient is
wanted. So chunks, threads and a thousand small tensors share one `begin`, and any split of the range gives the same bits.

All rows end their parameter list with weight_decay, decoupled_weight_decay and clip_value, and form the gradient they use on the fly:

    g <- clip(gscale g, +-clip_value) + decay c,        c <- keep c + (the row's step)

with (decay, keep) = (weight_decay, 1), or (0, 1 - lr weight_decay) where the decay is decoupled. gscale carries `maximize` (-1),
accumulation (1/m) and clipping by the global norm.

x[0] is c, x[1] ... the row's vectors; none may overlap, nor g. Powers beta^t are running products in double-double arithmetic
(Dekker), exact to the last bit over 1e6 steps, and 0 below 2^-60; no libm but sqrt, no fma: the same bits on every machine.

To add an optimizer: a `begin`, an `update` and a row in the table at the end, and its few lines of NumPy in tests/support/reference.py.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc

from mflow_core.arithmetic.scalars cimport multiply, one_minus, power_of_096
from mflow_core.arithmetic.vec cimport mf_cvec, mf_vec
from mflow_core.types cimport (MF_BOOL, MF_CHOICE, MF_LINEAR, MF_LOWER_OPEN, MF_REAL, MF_UPPER_OPEN, mf_begin_fn, mf_method,
                               mf_new_method, mf_param, mf_sizes, mf_update_fn)

cdef extern from "math.h" nogil:
    const double INFINITY

cdef enum:
    DECAY = 0                            # the first three coefficients of every row
    KEEP = 1
    CLIP = 2
    OWN = 3


# ---- shared by all kernels -----------------------------------------------------------------------------------------------------------

cdef inline double gradient(double g, double c, double gscale, double clip, double decay) noexcept nogil:
    cdef double scaled = gscale * g
    scaled = clip if scaled > clip else scaled           # both comparisons let NaN through
    scaled = -clip if scaled < -clip else scaled
    return scaled + decay * c


cdef inline double larger(double old, double new) noexcept nogil:
    """max(old, new) that lets a NaN in `new` through."""
    return old if old > new else new


cdef inline bint plain(const double *coef) noexcept nogil:
    """Neither decoupled decay nor clipping: the pass with the constants 1 and infinity in their place has the same bits, and less to do."""
    return coef[KEEP] == 1.0 and coef[CLIP] == INFINITY


cdef inline void common(const mf_method *m, const double *par, double lr, double *coef) noexcept nogil:
    cdef double weight_decay = par[m.n_par - 3]
    cdef bint decoupled = par[m.n_par - 2] != 0
    coef[DECAY] = 0.0 if decoupled else weight_decay
    coef[KEEP] = 1.0 - lr * weight_decay if decoupled else 1.0
    coef[CLIP] = par[m.n_par - 1]


# ---- sgd, momentum, nesterov, consistent_momentum ------------------------------------------------------------------------------------

cdef int sgd_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    common(m, par, par[0], coef)
    coef[OWN] = -par[0]
    return 0


cdef inline void sgd_pass(ptrdiff_t lo, ptrdiff_t hi, double gscale, const double *coef, double keep, double clip, mf_vec c,
                          mf_cvec g) noexcept nogil:
    cdef double decay = coef[DECAY], minus_lr = coef[OWN]
    cdef ptrdiff_t i
    for i in range(lo, hi):
        c[i] = keep * c[i] + minus_lr * gradient(g[i], c[i], gscale, clip, decay)


cdef int sgd_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                    const double *g) noexcept nogil:
    if plain(coef):
        sgd_pass(lo, hi, gscale, coef, 1.0, INFINITY, x[0], g)
    else:
        sgd_pass(lo, hi, gscale, coef, coef[KEEP], coef[CLIP], x[0], g)
    return 0


# One pass for the whole family:  v = mu v - w g,  c = keep c + (a v + b g)

cdef int momentum_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double lr = par[0], mu = par[1], dampening = par[2]
    common(m, par, lr, coef)
    coef[OWN] = mu
    coef[OWN + 1] = 1.0 if k == 0 else 1.0 - dampening
    coef[OWN + 2] = lr
    coef[OWN + 3] = 0.0
    coef[OWN + 4] = 0.0
    return 0


cdef int nesterov_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double lr = par[0], mu = par[1]
    cdef bint pull = par[2] != 0
    common(m, par, lr, coef)
    coef[OWN] = mu
    coef[OWN + 1] = 1.0
    coef[OWN + 2] = lr if pull else lr * mu              # pull: c += lr v.  push: c += lr (mu v - g)
    coef[OWN + 3] = 0.0 if pull else -lr
    coef[OWN + 4] = lr * mu if pull else 0.0             # how far ahead the gradient is wanted
    return 0


cdef int consistent_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double dt = par[0], beta_hat = par[1], friction = par[2]
    cdef bint lookahead = par[3] != 0
    common(m, par, dt, coef)
    coef[OWN] = 1.0 - friction * dt
    coef[OWN + 1] = dt * beta_hat
    coef[OWN + 2] = dt
    coef[OWN + 3] = 0.0
    coef[OWN + 4] = dt if lookahead else 0.0
    return 0


cdef inline void momentum_pass(ptrdiff_t lo, ptrdiff_t hi, double gscale, const double *coef, double keep, double clip,
                               bint looks, mf_vec c, mf_vec v, mf_cvec g) noexcept nogil:
    cdef double decay = coef[DECAY], mu = coef[OWN], w = coef[OWN + 1], a = coef[OWN + 2], b = coef[OWN + 3], ahead = coef[OWN + 4]
    cdef double gi, vi
    cdef ptrdiff_t i
    for i in range(lo, hi):
        gi = gradient(g[i], c[i] + ahead * v[i] if looks else c[i], gscale, clip, decay)      # the decay's gradient where g was taken
        vi = mu * v[i] - w * gi
        v[i] = vi
        c[i] = keep * c[i] + (a * vi + b * gi)


cdef int momentum_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                         const double *g) noexcept nogil:
    if coef[OWN + 4] != 0.0:
        momentum_pass(lo, hi, gscale, coef, coef[KEEP], coef[CLIP], True, x[0], x[1], g)
    elif plain(coef):
        momentum_pass(lo, hi, gscale, coef, 1.0, INFINITY, False, x[0], x[1], g)
    else:
        momentum_pass(lo, hi, gscale, coef, coef[KEEP], coef[CLIP], False, x[0], x[1], g)
    return 0


cdef int ahead_ask(const mf_method *m, const double *coef, ptrdiff_t lo, ptrdiff_t hi, const double *const *x,
                   double *at) noexcept nogil:
    cdef const double *c = x[0]
    cdef const double *v = x[1]
    cdef double ahead = coef[OWN + 4]
    cdef ptrdiff_t i
    for i in range(lo, hi):
        at[i] = c[i] + ahead * v[i]
    return 0


# ---- adagrad, adadelta, rmsprop ------------------------------------------------------------------------------------------------------

cdef int adagrad_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double lr = par[0] / (1.0 + <double> k * par[1])
    common(m, par, lr, coef)
    coef[OWN] = -lr
    coef[OWN + 1] = par[3]
    return 0


cdef int adagrad_start(const mf_method *m, const double *par, ptrdiff_t lo, ptrdiff_t hi, double *const *x) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(lo, hi):
        x[1][i] = par[2]
    return 0


cdef inline void adagrad_pass(ptrdiff_t lo, ptrdiff_t hi, double gscale, const double *coef, double keep, double clip, mf_vec c,
                              mf_vec s, mf_cvec g) noexcept nogil:
    cdef double decay = coef[DECAY], minus_lr = coef[OWN], eps = coef[OWN + 1], gi, si
    cdef ptrdiff_t i
    for i in range(lo, hi):
        gi = gradient(g[i], c[i], gscale, clip, decay)
        si = s[i] + gi * gi
        s[i] = si
        c[i] = keep * c[i] + minus_lr * (gi / (sqrt(si) + eps))


cdef int adagrad_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                        const double *g) noexcept nogil:
    if plain(coef):
        adagrad_pass(lo, hi, gscale, coef, 1.0, INFINITY, x[0], x[1], g)
    else:
        adagrad_pass(lo, hi, gscale, coef, coef[KEEP], coef[CLIP], x[0], x[1], g)
    return 0


cdef int adadelta_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    common(m, par, par[0], coef)
    coef[OWN] = -par[0]
    coef[OWN + 1] = par[1]
    coef[OWN + 2] = 1.0 - par[1]
    coef[OWN + 3] = par[2]
    return 0


cdef inline void adadelta_pass(ptrdiff_t lo, ptrdiff_t hi, double gscale, const double *coef, double keep, double clip, mf_vec c,
                               mf_vec v, mf_vec u, mf_cvec g) noexcept nogil:
    cdef double decay = coef[DECAY]
    cdef double minus_lr = coef[OWN], rho = coef[OWN + 1], rest = coef[OWN + 2], eps = coef[OWN + 3], gi, vi, d
    cdef ptrdiff_t i
    for i in range(lo, hi):
        gi = gradient(g[i], c[i], gscale, clip, decay)
        vi = rho * v[i] + rest * (gi * gi)
        d = sqrt((u[i] + eps) / (vi + eps)) * gi          # one root of the quotient: a rounding less than two roots
        v[i] = vi
        u[i] = rho * u[i] + rest * (d * d)
        c[i] = keep * c[i] + minus_lr * d


cdef int adadelta_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                         const double *g) noexcept nogil:
    if plain(coef):
        adadelta_pass(lo, hi, gscale, coef, 1.0, INFINITY, x[0], x[1], x[2], g)
    else:
        adadelta_pass(lo, hi, gscale, coef, coef[KEEP], coef[CLIP], x[0], x[1], x[2], g)
    return 0


cdef int rmsprop_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    common(m, par, par[0], coef)
    coef[OWN] = -par[0]
    coef[OWN + 1] = par[1]
    coef[OWN + 2] = 1.0 - par[1]
    coef[OWN + 3] = par[2]
    coef[OWN + 4] = par[3]                                # momentum
    coef[OWN + 5] = par[4]                                # centered
    return 0


cdef int rmsprop_sizes(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil:
    sizes[0] = m.sizes                                    # c, v; the buffer of momentum; the mean of the centred form
    sizes.n_vec = 4 if par[4] != 0 else 3 if par[3] != 0 else 2
    return 0


cdef inline void rmsprop_pass(ptrdiff_t lo, ptrdiff_t hi, double gscale, const double *coef, double keep, double clip, mf_vec c,
                              mf_vec v, mf_cvec g) noexcept nogil:
    cdef double decay = coef[DECAY]
    cdef double minus_lr = coef[OWN], alpha = coef[OWN + 1], rest = coef[OWN + 2], eps = coef[OWN + 3], gi, vi
    cdef ptrdiff_t i
    for i in range(lo, hi):
        gi = gradient(g[i], c[i], gscale, clip, decay)
        vi = alpha * v[i] + rest * (gi * gi)
        v[i] = vi
        c[i] = keep * c[i] + minus_lr * (gi / (sqrt(vi) + eps))


cdef inline void rmsprop_momentum_pass(ptrdiff_t lo, ptrdiff_t hi, double gscale, const double *coef, double keep, double clip,
                                       mf_vec c, mf_vec v, mf_vec b, mf_cvec g) noexcept nogil:
    cdef double decay = coef[DECAY], mu = coef[OWN + 4]
    cdef double minus_lr = coef[OWN], alpha = coef[OWN + 1], rest = coef[OWN + 2], eps = coef[OWN + 3], gi, vi, bi
    cdef ptrdiff_t i
    for i in range(lo, hi):
        gi = gradient(g[i], c[i], gscale, clip, decay)
        vi = alpha * v[i] + rest * (gi * gi)
        bi = mu * b[i] + gi / (sqrt(vi) + eps)
        v[i] = vi
        b[i] = bi
        c[i] = keep * c[i] + minus_lr * bi


cdef inline void rmsprop_centered_pass(ptrdiff_t lo, ptrdiff_t hi, double gscale, const double *coef, double keep, double clip,
                                       mf_vec c, mf_vec v, mf_vec b, mf_vec mean, mf_cvec g) noexcept nogil:
    cdef double decay = coef[DECAY], mu = coef[OWN + 4]
    cdef double minus_lr = coef[OWN], alpha = coef[OWN + 1], rest = coef[OWN + 2], eps = coef[OWN + 3], gi, vi, bi, ai, spread
    cdef ptrdiff_t i
    for i in range(lo, hi):
        gi = gradient(g[i], c[i], gscale, clip, decay)
        vi = alpha * v[i] + rest * (gi * gi)
        ai = alpha * mean[i] + rest * gi
        spread = vi - ai * ai
        spread = 0.0 if spread < 0.0 else spread          # rounding can take it below zero, where torch's form gives NaN
        bi = mu * b[i] + gi / (sqrt(spread) + eps)
        v[i] = vi
        mean[i] = ai
        b[i] = bi
        c[i] = keep * c[i] + minus_lr * bi


cdef int rmsprop_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                        const double *g) noexcept nogil:
    if coef[OWN + 5] != 0:
        if plain(coef):
            rmsprop_centered_pass(lo, hi, gscale, coef, 1.0, INFINITY, x[0], x[1], x[2], x[3], g)
        else:
            rmsprop_centered_pass(lo, hi, gscale, coef, coef[KEEP], coef[CLIP], x[0], x[1], x[2], x[3], g)
    elif coef[OWN + 4] != 0:
        if plain(coef):
            rmsprop_momentum_pass(lo, hi, gscale, coef, 1.0, INFINITY, x[0], x[1], x[2], g)
        else:
            rmsprop_momentum_pass(lo, hi, gscale, coef, coef[KEEP], coef[CLIP], x[0], x[1], x[2], g)
    else:
        if plain(coef):
            rmsprop_pass(lo, hi, gscale, coef, 1.0, INFINITY, x[0], x[1], g)
        else:
            rmsprop_pass(lo, hi, gscale, coef, coef[KEEP], coef[CLIP], x[0], x[1], g)
    return 0


# ---- adam, adamw, adamax, nadam ------------------------------------------------------------------------------------------------------
# scal: beta1^t (hi, lo), beta2^t (hi, lo). nadam: the product of mu, beta2^t, then 0.96^((t+1) rate) and the rate it was made with

cdef inline void advance(const double *par, int64_t k, double *scal) noexcept nogil:
    if k == 0:
        scal[0], scal[1], scal[2], scal[3] = 1.0, 0.0, 1.0, 0.0
    multiply(scal, par[1])
    multiply(scal + 2, par[2])


cdef int adam_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    common(m, par, par[0], coef)
    advance(par, k, scal)
    coef[OWN] = -par[0] / one_minus(scal)
    coef[OWN + 1] = par[1]
    coef[OWN + 2] = 1.0 - par[1]
    coef[OWN + 3] = par[2]
    coef[OWN + 4] = 1.0 - par[2]
    coef[OWN + 5] = 1.0 / sqrt(one_minus(scal + 2))
    coef[OWN + 6] = par[3]
    coef[OWN + 7] = par[4]                                # amsgrad
    return 0


cdef int adam_sizes(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil:
    sizes[0] = m.sizes
    sizes.n_vec = 4 if par[4] != 0 else 3
    return 0


cdef inline void adam_pass(ptrdiff_t lo, ptrdiff_t hi, double gscale, const double *coef, double keep, double clip, mf_vec c,
                           mf_vec m, mf_vec v, mf_cvec g) noexcept nogil:
    cdef double decay = coef[DECAY], minus_lr = coef[OWN], b1 = coef[OWN + 1]
    cdef double w1 = coef[OWN + 2], b2 = coef[OWN + 3], w2 = coef[OWN + 4], root = coef[OWN + 5], eps = coef[OWN + 6], gi, mi, vi
    cdef ptrdiff_t i
    for i in range(lo, hi):
        gi = gradient(g[i], c[i], gscale, clip, decay)
        mi = b1 * m[i] + w1 * gi
        vi = b2 * v[i] + w2 * (gi * gi)
        m[i] = mi
        v[i] = vi
        c[i] = keep * c[i] + minus_lr * (mi / (sqrt(vi) * root + eps))


cdef inline void amsgrad_pass(ptrdiff_t lo, ptrdiff_t hi, double gscale, const double *coef, double keep, double clip, mf_vec c,
                              mf_vec m, mf_vec v, mf_vec top, mf_cvec g) noexcept nogil:
    cdef double decay = coef[DECAY], minus_lr = coef[OWN], b1 = coef[OWN + 1]
    cdef double w1 = coef[OWN + 2], b2 = coef[OWN + 3], w2 = coef[OWN + 4], root = coef[OWN + 5], eps = coef[OWN + 6]
    cdef double gi, mi, vi, ui
    cdef ptrdiff_t i
    for i in range(lo, hi):
        gi = gradient(g[i], c[i], gscale, clip, decay)
        mi = b1 * m[i] + w1 * gi
        vi = b2 * v[i] + w2 * (gi * gi)
        ui = larger(top[i], vi)
        m[i] = mi
        v[i] = vi
        top[i] = ui
        c[i] = keep * c[i] + minus_lr * (mi / (sqrt(ui) * root + eps))


cdef int adam_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                     const double *g) noexcept nogil:
    if coef[OWN + 7] != 0:
        if plain(coef):
            amsgrad_pass(lo, hi, gscale, coef, 1.0, INFINITY, x[0], x[1], x[2], x[3], g)
        else:
            amsgrad_pass(lo, hi, gscale, coef, coef[KEEP], coef[CLIP], x[0], x[1], x[2], x[3], g)
    else:
        if plain(coef):
            adam_pass(lo, hi, gscale, coef, 1.0, INFINITY, x[0], x[1], x[2], g)
        else:
            adam_pass(lo, hi, gscale, coef, coef[KEEP], coef[CLIP], x[0], x[1], x[2], g)
    return 0


cdef int adamax_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    common(m, par, par[0], coef)
    advance(par, k, scal)
    coef[OWN] = -par[0] / one_minus(scal)
    coef[OWN + 1] = par[1]
    coef[OWN + 2] = 1.0 - par[1]
    coef[OWN + 3] = par[2]
    coef[OWN + 4] = par[3]
    return 0


cdef inline void adamax_pass(ptrdiff_t lo, ptrdiff_t hi, double gscale, const double *coef, double keep, double clip, mf_vec c,
                             mf_vec m, mf_vec u, mf_cvec g) noexcept nogil:
    cdef double decay = coef[DECAY], minus_lr = coef[OWN], b1 = coef[OWN + 1]
    cdef double w1 = coef[OWN + 2], b2 = coef[OWN + 3], eps = coef[OWN + 4], gi, mi, ui, size
    cdef ptrdiff_t i
    for i in range(lo, hi):
        gi = gradient(g[i], c[i], gscale, clip, decay)
        mi = b1 * m[i] + w1 * gi
        size = fabs(gi) + eps
        ui = larger(b2 * u[i], size)
        m[i] = mi
        u[i] = ui
        c[i] = keep * c[i] + minus_lr * (mi / ui)


cdef int adamax_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                       const double *g) noexcept nogil:
    if plain(coef):
        adamax_pass(lo, hi, gscale, coef, 1.0, INFINITY, x[0], x[1], x[2], g)
    else:
        adamax_pass(lo, hi, gscale, coef, coef[KEEP], coef[CLIP], x[0], x[1], x[2], g)
    return 0


cdef int nadam_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double lr = par[0], b1 = par[1], b2 = par[2], rate = par[4], mu, mu_next
    cdef double[2] ahead
    common(m, par, lr, coef)
    if k == 0:
        scal[0], scal[1], scal[2], scal[3] = 1.0, 0.0, 1.0, 0.0
    if k == 0 or scal[5] != rate:
        scal[4], scal[5] = power_of_096(<double> (k + 1) * rate), rate
    mu = b1 * (1.0 - 0.5 * scal[4])
    scal[4] = power_of_096(<double> (k + 2) * rate)
    mu_next = b1 * (1.0 - 0.5 * scal[4])
    multiply(scal, mu)
    multiply(scal + 2, b2)
    ahead[0], ahead[1] = scal[0], scal[1]
    multiply(ahead, mu_next)
    coef[OWN] = -lr * (1.0 - mu) / one_minus(scal)
    coef[OWN + 1] = -lr * mu_next / one_minus(ahead)
    coef[OWN + 2] = b1
    coef[OWN + 3] = 1.0 - b1
    coef[OWN + 4] = b2
    coef[OWN + 5] = 1.0 - b2
    coef[OWN + 6] = 1.0 / sqrt(one_minus(scal + 2))
    coef[OWN + 7] = par[3]
    return 0


cdef inline void nadam_pass(ptrdiff_t lo, ptrdiff_t hi, double gscale, const double *coef, double keep, double clip, mf_vec c,
                            mf_vec m, mf_vec v, mf_cvec g) noexcept nogil:
    cdef double decay = coef[DECAY], of_g = coef[OWN], of_m = coef[OWN + 1], b1 = coef[OWN + 2]
    cdef double w1 = coef[OWN + 3], b2 = coef[OWN + 4], w2 = coef[OWN + 5], root = coef[OWN + 6], eps = coef[OWN + 7], gi, mi, vi
    cdef ptrdiff_t i
    for i in range(lo, hi):
        gi = gradient(g[i], c[i], gscale, clip, decay)
        mi = b1 * m[i] + w1 * gi
        vi = b2 * v[i] + w2 * (gi * gi)
        m[i] = mi
        v[i] = vi
        c[i] = keep * c[i] + (of_g * gi + of_m * mi) / (sqrt(vi) * root + eps)


cdef int nadam_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                      const double *g) noexcept nogil:
    if plain(coef):
        nadam_pass(lo, hi, gscale, coef, 1.0, INFINITY, x[0], x[1], x[2], g)
    else:
        nadam_pass(lo, hi, gscale, coef, coef[KEEP], coef[CLIP], x[0], x[1], x[2], g)
    return 0


# ---- rows ----------------------------------------------------------------------------------------------------------------------------

cdef mf_method *ROWS[64]
cdef int n_rows = 0
_names = []                              # keeps the strings of the parameters alive as long as the process

_inf = float("inf")


def _real(name, value, lower, upper, doc, open=0):
    return (name, value, lower, upper, MF_REAL, open, b"", doc)


def _bool(name, value, doc):
    return (name, value, 0, 1, MF_BOOL, 0, b"", doc)


def _lr(value, doc=b"learning rate: the time step dt of the flow"):
    return _real(b"lr", value, 0, _inf, doc, MF_UPPER_OPEN)


def _eps(value, doc=b"added to the denominator, outside the root"):
    return _real(b"eps", value, 0, _inf, doc, MF_UPPER_OPEN)


def _betas(b1, b2):
    return [_real(b"betas[0]", b1, 0, 1, b"decay of the mean of g", MF_UPPER_OPEN),
            _real(b"betas[1]", b2, 0, 1, b"decay of the mean of g^2 (adamax: of the largest |g|)", MF_UPPER_OPEN)]


def _shared(weight_decay, decoupled):
    return [_real(b"weight_decay", weight_decay, 0, _inf, b"pull towards zero", MF_UPPER_OPEN),
            _bool(b"decoupled_weight_decay", decoupled, b"c shrinks by 1 - lr weight_decay (AdamW) in place of g += weight_decay c"),
            _real(b"clip_value", _inf, 0, _inf, b"gradient entries are cut to +-clip_value; None: not cut", MF_LOWER_OPEN)]


cdef mf_method *row(const char *name, const char *class_name, const char *aliases, list par, const char *vectors, int n_scal,
                    int n_coef, mf_begin_fn begin, mf_update_fn update, const char *formula, const char *doc,
                    const char *reference, double weight_decay=0.0, bint decoupled=False) except NULL:
    """A row; `par` without the three shared parameters. Sizes count all of `vectors`, unless a sizes_fn says less."""
    global n_rows
    cdef mf_method *m = <mf_method *> calloc(1, sizeof(mf_method))
    cdef mf_param *p
    cdef int j
    everything = par + _shared(weight_decay, decoupled)
    p = <mf_param *> calloc(len(everything), sizeof(mf_param))
    if m == NULL or p == NULL or n_rows == 64:
        raise MemoryError("optimizers: no room for another row")
    _names.append(everything)
    for j, (label, value, lower, upper, kind, open, choices, words) in enumerate(everything):
        p[j].name, p[j].value, p[j].lower, p[j].upper = label, value, lower, upper
        p[j].kind, p[j].open, p[j].choices, p[j].doc = kind, open, choices, words
    m[0] = mf_new_method()
    m.name, m.class_name, m.aliases, m.family, m.vectors = name, class_name, aliases, b"optimizers", vectors
    m.formula, m.doc, m.reference = formula, doc, reference
    m.order, m.stages, m.n_par, m.par = 1, 1, len(everything), p
    m.sizes.n_vis, m.sizes.n_vec, m.sizes.n_scal, m.sizes.n_coef = 1, len(vectors.split(b"|")), n_scal, n_coef
    m.begin, m.update = begin, update
    ROWS[n_rows] = m
    n_rows += 1
    return m


cdef mf_method *made

made = row(b"sgd", b"SGD", b"gradient_descent|steepest_descent", [_lr(1e-3)], b"c", 0, OWN + 1, sgd_begin, sgd_update,
    b"c -= lr g",
    b"Steepest descent with a fixed step: forward Euler on gradient flow, bit for bit.",
    b"A. Cauchy, C. R. Acad. Sci. 25 (1847) 536-538; H. Robbins and S. Monro, Ann. Math. Stat. 22 (1951) 400-407")
made.flags = MF_LINEAR

made = row(b"momentum", b"Momentum", b"heavy_ball",
    [_lr(1e-3), _real(b"momentum", 0.9, 0, _inf, b"mu: how much of the velocity is kept a step", MF_UPPER_OPEN),
     _real(b"dampening", 0, 0, 1, b"g counts 1 - dampening from the second step on, as in torch")],
    b"c|v", 0, OWN + 5, momentum_begin, momentum_update,
    b"v = mu v - (1 - dampening) g, c += lr v",
    b"The original momentum method with lr and mu as independent numbers (torch's buffer is -v). At fixed mu it follows "
    b"c' = -g/(1 - mu) as lr -> 0, to first order, not Newton's second law.",
    b"B. Polyak, USSR Comput. Math. Math. Phys. 4(5) (1964) 1-17; I. Sutskever et al., ICML 2013")
made.flags = MF_LINEAR

made = row(b"nesterov", b"Nesterov", b"nag",
    [_lr(1e-3), _real(b"momentum", 0.9, 0, _inf, b"mu: how much of the velocity is kept a step", MF_UPPER_OPEN),
     (b"form", 0, 0, 1, MF_CHOICE, 0, b"push|pull", b"push: the parameters are the look-ahead point (torch). pull: g is taken at `ask`")],
    b"c|v", 0, OWN + 5, nesterov_begin, momentum_update,
    b"pull: g at c + lr mu v, v = mu v - g, c += lr v. push: the stored point is c + lr mu v: v = mu v - g, c += lr (mu v - g)",
    b"Nesterov's momentum: a predictor step along the old velocity, then the gradient there. At constant lr and mu both forms "
    b"make one sequence; under a schedule push follows torch.",
    b"Y. Nesterov, Sov. Math. Dokl. 27 (1983) 372-376; I. Sutskever et al., ICML 2013")
made.flags, made.ask = MF_LINEAR, ahead_ask

made = row(b"consistent_momentum", b"ConsistentMomentum", b"",
    [_lr(1e-2, b"time step dt"), _real(b"beta_hat", 1, 0, _inf, b"strength of the force -g", MF_LOWER_OPEN | MF_UPPER_OPEN),
     _real(b"friction", 0, 0, _inf, b"rate at which the velocity decays; at 0 energy is kept and nothing is minimised", MF_UPPER_OPEN),
     _bool(b"lookahead", 0, b"take g at c + dt v")],
    b"c|v", 0, OWN + 5, consistent_begin, momentum_update,
    b"v = (1 - friction lr) v - lr beta_hat g(c, or c + lr v with lookahead), c += lr v",
    b"Momentum that is consistent with Newton's second law: converges to c'' = -friction c' - beta_hat g as lr = dt -> 0.",
    b"the symplectic Euler method on Newton's law; E. Hairer, C. Lubich and G. Wanner, Geometric Numerical Integration (2006), I.1")
made.flags, made.ask = MF_LINEAR, ahead_ask

made = row(b"adagrad", b"Adagrad", b"",
    [_lr(1e-2), _real(b"lr_decay", 0, 0, _inf, b"lr/(1 + t lr_decay) at step t = 0, 1, ...", MF_UPPER_OPEN),
     _real(b"initial_accumulator_value", 0, 0, _inf, b"first value of s", MF_UPPER_OPEN), _eps(1e-10)],
    b"c|s", 0, OWN + 2, adagrad_begin, adagrad_update,
    b"s += g^2, c -= lr g/(sqrt(s) + eps)",
    b"A step for each parameter, divided by the root of all it has seen: it only falls, and often stalls.",
    b"J. Duchi, E. Hazan and Y. Singer, JMLR 12 (2011) 2121-2159")
made.start = adagrad_start

row(b"adadelta", b"Adadelta", b"",
    [_lr(1.0), _real(b"rho", 0.9, 0, 1, b"decay of the means of g^2 and d^2", MF_UPPER_OPEN), _eps(1e-6, b"added inside both roots")],
    b"c|v|u", 0, OWN + 4, adadelta_begin, adadelta_update,
    b"v = rho v + (1 - rho) g^2, d = sqrt(u + eps)/sqrt(v + eps) g, u = rho u + (1 - rho) d^2, c -= lr d",
    b"Adagrad with a memory that fades, in the units of the parameters.",
    b"M. Zeiler, arXiv:1212.5701 (2012), algorithm 1")

made = row(b"rmsprop", b"RMSprop", b"",
    [_lr(1e-2), _real(b"alpha", 0.99, 0, 1, b"decay of the mean of g^2", MF_UPPER_OPEN), _eps(1e-8),
     _real(b"momentum", 0, 0, _inf, b"mu of a velocity on top; 0: none", MF_UPPER_OPEN),
     _bool(b"centered", 0, b"divide by the spread of g about its mean")],
    b"c|v|b|a", 0, OWN + 6, rmsprop_begin, rmsprop_update,
    b"v = alpha v + (1 - alpha) g^2, c -= lr g/(sqrt(v) + eps). momentum: b = mu b + g/(sqrt(v) + eps), c -= lr b. "
    b"centered: a = alpha a + (1 - alpha) g, and v - a^2 in place of v under the root",
    b"Steps divided by a fading root mean square of the gradient.",
    b"T. Tieleman and G. Hinton, Neural Networks for Machine Learning, lecture 6.5 (2012); centred: A. Graves, arXiv:1308.0850 (2013)")
made.sizes_fn = rmsprop_sizes

cdef const char *adam_formula = (
    b"m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, c -= lr/(1 - beta1^t) m/(sqrt(v)/sqrt(1 - beta2^t) + eps); "
    b"amsgrad: u = max(u, v) in place of v under the root")
cdef list amsgrad = [_bool(b"amsgrad", 0, b"divide by the largest v so far")]

made = row(b"adam", b"Adam", b"", [_lr(1e-3)] + _betas(0.9, 0.999) + [_eps(1e-8)] + amsgrad,
    b"c|m|v|u", 4, OWN + 8, adam_begin, adam_update, adam_formula,
    b"Momentum and a step for each parameter in one, both averages corrected for their start at zero.",
    b"D. Kingma and J. Ba, ICLR 2015, algorithm 1; amsgrad: S. Reddi, S. Kale and S. Kumar, ICLR 2018")
made.sizes_fn = adam_sizes

made = row(b"adamw", b"AdamW", b"", [_lr(1e-3)] + _betas(0.9, 0.999) + [_eps(1e-8)] + amsgrad,
    b"c|m|v|u", 4, OWN + 8, adam_begin, adam_update, adam_formula,
    b"Adam with decoupled weight decay.",
    b"I. Loshchilov and F. Hutter, ICLR 2019, algorithm 2", weight_decay=1e-2, decoupled=True)
made.sizes_fn = adam_sizes

row(b"adamax", b"Adamax", b"", [_lr(2e-3)] + _betas(0.9, 0.999) + [_eps(1e-8, b"added to |g|")],
    b"c|m|u", 4, OWN + 5, adamax_begin, adamax_update,
    b"m = beta1 m + (1 - beta1) g, u = max(beta2 u, |g| + eps), c -= lr/(1 - beta1^t) m/u",
    b"Adam with the largest gradient in place of the root mean square.",
    b"D. Kingma and J. Ba, ICLR 2015, algorithm 2")

row(b"nadam", b"NAdam", b"", [_lr(2e-3)] + _betas(0.9, 0.999) + [_eps(1e-8),
     _real(b"momentum_decay", 4e-3, 0, _inf, b"rate of mu's warm-up; 1: Keras' form; None: mu = beta1 from the start")],
    b"c|m|v", 6, OWN + 8, nadam_begin, nadam_update,
    b"mu_t = beta1 (1 - 0.5 0.96^(t momentum_decay)), P = mu_1 ... mu_t, m and v as adam, d = sqrt(v/(1 - beta2^t)) + eps, "
    b"c -= lr (1 - mu_t)/(1 - P) g/d + lr mu_(t+1)/(1 - P mu_(t+1)) m/d",
    b"Adam with Nesterov's momentum.",
    b"T. Dozat, ICLR 2016 workshop, algorithm 8, in the form of torch.optim.NAdam")

_rows = PyCapsule_New(<void *> ROWS, b"mflow_core._rows", NULL)
