"""Optimizers: gradient flow c' = -grad f(c) by elementwise updates. lr is dt.

`begin` turns the scalars of one step (schedules, bias corrections) into a few coefficients. `update` is one elementwise pass over c, the
optimizer's vectors and the gradient. `ask`, which some optimizers have, writes the point at which the gradient is needed. So chunks,
threads and a thousand small tensors share one `begin`, and any split of the range gives the same bits.

All end their parameter list with weight_decay, decoupled_weight_decay and clip_value, and form the gradient they use on the fly:

    g <- clip(gscale g, +-clip_value) + decay c,        c <- keep c + (the optimizer's step)

with (decay, keep) = (weight_decay, 1), or (0, 1 - lr weight_decay) if the decay is decoupled. gscale carries `maximize` (-1),
accumulation (1/m) and clipping by the global norm.

x[0] is c, x[1] ... the optimizer's vectors, 0 at the start unless `start` fills them; none may overlap, nor g. Powers beta^t are running
products in double-double arithmetic (Dekker), exact to the last bit over 1e6 steps, and 0 below 2^-60; where beta is another one than in
the step before, all of it is made anew by squaring. No libm but sqrt, no fma: the same bits on every machine.

To add an optimizer, write four things here and its few lines of NumPy, from the paper, in tests/support/oracles/reference.py:

    begin       once a step. `w = common(m, par, lr, coef)` writes the shared coefficients; then w[0], w[1] ... are yours, at most 12.
                k counts the steps from 0; `scal` is kept from step to step, and saved
    element     the mathematics: from g, the entries s[0], s[1] ... of your vectors, updated in place, and w, the addition to c
    update      one line: `apply(element, number of your vectors, ...)`
    record      `optimizer(...)`, in the table at the end

The element is branch-free, so that the loop vectorises: conditions choose between two values. A NaN in g must reach c and
every vector in which a small change of g would be seen: comparisons with NaN are false, so let the last choice be the number itself, as
`larger` does.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc

from mflow_core.arithmetic.scalars cimport multiply, one_minus, power_of_096, power_pair
from mflow_core.methods.elementwise cimport OWN, WIDTH, apply, apply_ahead, common, larger
from mflow_core.types cimport (MF_BOOL, MF_CHOICE, MF_LINEAR, MF_LOWER_OPEN, MF_REAL, MF_UPPER_OPEN, mf_begin_fn, mf_method,
                               mf_new_method, mf_param, mf_sizes, mf_update_fn)

# ---- sgd, momentum, nesterov, consistent_momentum ------------------------------------------------------------------------------------

cdef int sgd_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double *w = common(m, par, par[0], coef)
    w[0] = -par[0]
    return 0


cdef inline double sgd(double g, double *s, const double *w) noexcept nogil:
    return w[0] * g


cdef int sgd_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                    const double *g) noexcept nogil:
    return apply(sgd, 0, coef, gscale, lo, hi, x, g)


# One formula for the whole family:  v = w0 v - w1 g,  c = keep c + (w2 v + w3 g), with g at c + w4 v

cdef int momentum_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double lr = par[0], mu = par[1], dampening = par[2]
    cdef double *w = common(m, par, lr, coef)
    w[0] = mu
    w[1] = 1.0 if k == 0 else 1.0 - dampening
    w[2] = lr
    w[3] = 0.0
    w[4] = 0.0
    return 0


cdef int nesterov_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double lr = par[0], mu = par[1]
    cdef bint pull = par[2] != 0
    cdef double *w = common(m, par, lr, coef)
    w[0] = mu
    w[1] = 1.0
    w[2] = lr if pull else lr * mu                        # pull: c += lr v.  push: c += lr (mu v - g)
    w[3] = 0.0 if pull else -lr
    w[4] = lr * mu if pull else 0.0
    return 0


cdef int consistent_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double dt = par[0], beta_hat = par[1], friction = par[2]
    cdef bint lookahead = par[3] != 0
    cdef double *w = common(m, par, dt, coef)
    w[0] = 1.0 - friction * dt
    w[1] = dt * beta_hat
    w[2] = dt
    w[3] = 0.0
    w[4] = dt if lookahead else 0.0
    return 0


cdef inline double momentum(double g, double *s, const double *w) noexcept nogil:
    s[0] = w[0] * s[0] - w[1] * g
    return w[2] * s[0] + w[3] * g


cdef int momentum_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                         const double *g) noexcept nogil:
    cdef double ahead = coef[OWN + 4]
    if ahead == 0.0:
        return apply(momentum, 1, coef, gscale, lo, hi, x, g)
    return apply_ahead(momentum, 1, ahead, coef, gscale, lo, hi, x, g)


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
    cdef double *w = common(m, par, lr, coef)
    w[0] = -lr
    w[1] = par[3]
    return 0


cdef int adagrad_start(const mf_method *m, const double *par, ptrdiff_t lo, ptrdiff_t hi, double *const *x) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(lo, hi):
        x[1][i] = par[2]
    return 0


cdef inline double adagrad(double g, double *s, const double *w) noexcept nogil:
    s[0] = s[0] + g * g
    return w[0] * (g / (sqrt(s[0]) + w[1]))


cdef int adagrad_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                        const double *g) noexcept nogil:
    return apply(adagrad, 1, coef, gscale, lo, hi, x, g)


cdef int adadelta_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double *w = common(m, par, par[0], coef)
    w[0] = -par[0]
    w[1] = par[1]
    w[2] = 1.0 - par[1]
    w[3] = par[2]
    return 0


cdef inline double adadelta(double g, double *s, const double *w) noexcept nogil:
    cdef double rho = w[1], rest = w[2], eps = w[3], v = rho * s[0] + rest * (g * g)
    cdef double d = sqrt((s[1] + eps) / (v + eps)) * g    # one root of the quotient: a rounding less than two roots
    s[0] = v
    s[1] = rho * s[1] + rest * (d * d)
    return w[0] * d


cdef int adadelta_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                         const double *g) noexcept nogil:
    return apply(adadelta, 2, coef, gscale, lo, hi, x, g)


cdef int rmsprop_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double *w = common(m, par, par[0], coef)
    w[0] = -par[0]
    w[1] = par[1]
    w[2] = 1.0 - par[1]
    w[3] = par[2]
    w[4] = par[3]                                         # momentum
    w[5] = par[4]                                         # centered
    return 0


cdef int rmsprop_sizes(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil:
    sizes[0] = m.sizes                                    # c, v; the buffer of momentum; the mean of the centred form
    sizes.n_vec = 4 if par[4] != 0 else 3 if par[3] != 0 else 2
    return 0


cdef inline double rmsprop(double g, double *s, const double *w) noexcept nogil:
    s[0] = w[1] * s[0] + w[2] * (g * g)
    return w[0] * (g / (sqrt(s[0]) + w[3]))


cdef inline double rmsprop_momentum(double g, double *s, const double *w) noexcept nogil:
    s[0] = w[1] * s[0] + w[2] * (g * g)
    s[1] = w[4] * s[1] + g / (sqrt(s[0]) + w[3])
    return w[0] * s[1]


cdef inline double rmsprop_centered(double g, double *s, const double *w) noexcept nogil:
    cdef double spread
    s[0] = w[1] * s[0] + w[2] * (g * g)
    s[2] = w[1] * s[2] + w[2] * g
    spread = s[0] - s[2] * s[2]
    spread = 0.0 if spread < 0.0 else spread              # rounding may give less than zero, for which torch's form is NaN
    s[1] = w[4] * s[1] + g / (sqrt(spread) + w[3])
    return w[0] * s[1]


cdef int rmsprop_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                        const double *g) noexcept nogil:
    if coef[OWN + 5] != 0:
        return apply(rmsprop_centered, 3, coef, gscale, lo, hi, x, g)
    if coef[OWN + 4] != 0:
        return apply(rmsprop_momentum, 2, coef, gscale, lo, hi, x, g)
    return apply(rmsprop, 1, coef, gscale, lo, hi, x, g)


# ---- adam, adamw, adamax, nadam ------------------------------------------------------------------------------------------------------
# scal: beta1^t (hi, lo), beta2^t (hi, lo), beta1, beta2. nadam: the product of mu, beta2^t, 0.96^((t+1) rate), the rate and beta2. The last
# two say what the powers were made with: where the parameters are others by now, or a state has -1 there, the powers are made anew.

cdef void renew_power(double beta, int64_t k, double *pair, double *made_with) noexcept nogil:
    """pair = beta^(k + 1), from nothing."""
    power_pair(pair, beta, k + 1)
    made_with[0] = beta


cdef inline void next_power(double beta, int64_t k, double *pair, double *made_with) noexcept nogil:
    """pair = beta^(k + 1): of the present beta, whatever those before were (torch's 1 - beta^t)."""
    if k > 0 and made_with[0] == beta:
        multiply(pair, beta)
    else:
        renew_power(beta, k, pair, made_with)


cdef inline void advance(const double *par, int64_t k, double *scal) noexcept nogil:
    next_power(par[1], k, scal, scal + 4)
    next_power(par[2], k, scal + 2, scal + 5)


cdef int adam_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double *w = common(m, par, par[0], coef)
    advance(par, k, scal)
    w[0] = -par[0] / one_minus(scal)
    w[1] = par[1]
    w[2] = 1.0 - par[1]
    w[3] = par[2]
    w[4] = 1.0 - par[2]
    w[5] = 1.0 / sqrt(one_minus(scal + 2))
    w[6] = par[3]
    w[7] = par[4]                                         # amsgrad
    return 0


cdef int adam_sizes(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil:
    sizes[0] = m.sizes
    sizes.n_vec = 4 if par[4] != 0 else 3
    return 0


cdef inline double adam(double g, double *s, const double *w) noexcept nogil:
    s[0] = w[1] * s[0] + w[2] * g
    s[1] = w[3] * s[1] + w[4] * (g * g)
    return w[0] * (s[0] / (sqrt(s[1]) * w[5] + w[6]))


cdef inline double amsgrad(double g, double *s, const double *w) noexcept nogil:
    s[0] = w[1] * s[0] + w[2] * g
    s[1] = w[3] * s[1] + w[4] * (g * g)
    s[2] = larger(s[2], s[1])
    return w[0] * (s[0] / (sqrt(s[2]) * w[5] + w[6]))


cdef int adam_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                     const double *g) noexcept nogil:
    if coef[OWN + 7] != 0:
        return apply(amsgrad, 3, coef, gscale, lo, hi, x, g)
    return apply(adam, 2, coef, gscale, lo, hi, x, g)


cdef int adamax_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double *w = common(m, par, par[0], coef)
    advance(par, k, scal)
    w[0] = -par[0] / one_minus(scal)
    w[1] = par[1]
    w[2] = 1.0 - par[1]
    w[3] = par[2]
    w[4] = par[3]
    return 0


cdef inline double adamax(double g, double *s, const double *w) noexcept nogil:
    cdef double size = fabs(g) + w[4]
    s[0] = w[1] * s[0] + w[2] * g
    s[1] = larger(w[3] * s[1], size)
    return w[0] * (s[0] / s[1])


cdef int adamax_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                       const double *g) noexcept nogil:
    return apply(adamax, 2, coef, gscale, lo, hi, x, g)


cdef int nadam_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double lr = par[0], b1 = par[1], b2 = par[2], rate = par[4], mu, mu_next
    cdef double[2] ahead
    cdef double *w = common(m, par, lr, coef)
    if k == 0:
        scal[0], scal[1] = 1.0, 0.0
    if k == 0 or scal[5] != rate:
        scal[4], scal[5] = power_of_096(<double> (k + 1) * rate), rate
    mu = b1 * (1.0 - 0.5 * scal[4])
    scal[4] = power_of_096(<double> (k + 2) * rate)
    mu_next = b1 * (1.0 - 0.5 * scal[4])
    multiply(scal, mu)                                    # a product under changing betas, too, as in torch
    next_power(b2, k, scal + 2, scal + 6)
    ahead[0], ahead[1] = scal[0], scal[1]
    multiply(ahead, mu_next)
    w[0] = -lr * (1.0 - mu) / one_minus(scal)             # of g
    w[1] = -lr * mu_next / one_minus(ahead)               # of m
    w[2] = b1
    w[3] = 1.0 - b1
    w[4] = b2
    w[5] = 1.0 - b2
    w[6] = 1.0 / sqrt(one_minus(scal + 2))
    w[7] = par[3]
    return 0


cdef inline double nadam(double g, double *s, const double *w) noexcept nogil:
    s[0] = w[2] * s[0] + w[3] * g
    s[1] = w[4] * s[1] + w[5] * (g * g)
    return (w[0] * g + w[1] * s[0]) / (sqrt(s[1]) * w[6] + w[7])


cdef int nadam_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                      const double *g) noexcept nogil:
    return apply(nadam, 2, coef, gscale, lo, hi, x, g)


# ---- method records ------------------------------------------------------------------------------------------------------------------

cdef mf_method *RECORDS[64 + 1]                # NULL ends them
cdef int n_records = 0
_names = []                              # keeps the strings of the parameters alive

_inf = float("inf")


def _real(name, value, lower, upper, doc, open=0):
    return (name, value, lower, upper, MF_REAL, open, b"", doc)


def _bool(name, value, doc):
    return (name, value, 0, 1, MF_BOOL, 0, b"", doc)


def _lr(value, doc=b"learning rate: the time step dt of the flow"):
    return _real(b"lr", value, 0, _inf, doc, MF_UPPER_OPEN)


def _eps(value, doc=b"added to the denominator, outside the root"):
    return _real(b"eps", value, 0, _inf, doc, MF_UPPER_OPEN)


def _betas(b1, b2, second=b"decay of the mean of g^2"):
    return [_real(b"betas[0]", b1, 0, 1, b"decay of the mean of g", MF_UPPER_OPEN),
            _real(b"betas[1]", b2, 0, 1, second, MF_UPPER_OPEN)]


def _shared(weight_decay, decoupled):
    return [_real(b"weight_decay", weight_decay, 0, _inf, b"pull towards zero", MF_UPPER_OPEN),
            _bool(b"decoupled_weight_decay", decoupled, b"c shrinks by 1 - lr weight_decay (AdamW) in place of g += weight_decay c"),
            _real(b"clip_value", _inf, 0, _inf, b"gradient entries are cut to +-clip_value; None: not cut", MF_LOWER_OPEN)]


cdef mf_method *optimizer(const char *name, const char *class_name, const char *aliases, list par, const char *vectors, int n_scal,
                          mf_begin_fn begin, mf_update_fn update, const char *formula, const char *doc,
                          const char *reference, bint decoupled=False, double weight_decay=0.0) except NULL:
    """A method record; `par` without the three shared parameters. Sizes count all of `vectors`, unless a sizes_fn says less."""
    global n_records
    cdef mf_method *m = <mf_method *> calloc(1, sizeof(mf_method))
    cdef mf_param *p
    cdef int j
    everything = par + _shared(weight_decay, decoupled)
    p = <mf_param *> calloc(len(everything), sizeof(mf_param))
    if m == NULL or p == NULL or n_records == 64:
        raise MemoryError("optimizers: expected at most 64 methods, or no memory")
    if vectors.count(b"|") > 4:
        raise ValueError(f"{name.decode()}: expected at most 4 own vectors, got {vectors.count(b'|')}")
    _names.append(everything)
    for j, (label, value, lower, upper, kind, open, choices, words) in enumerate(everything):
        p[j].name, p[j].value, p[j].lower, p[j].upper = label, value, lower, upper
        p[j].kind, p[j].open, p[j].choices, p[j].doc = kind, open, choices, words
    m[0] = mf_new_method()
    m.name, m.class_name, m.aliases, m.family, m.vectors = name, class_name, aliases, b"optimizers", vectors
    m.formula, m.doc, m.reference = formula, doc, reference
    m.order, m.stages, m.n_par, m.par = 1, 1, len(everything), p
    m.sizes.n_vis, m.sizes.n_vec, m.sizes.n_scal, m.sizes.n_coef = 1, len(vectors.split(b"|")), n_scal, OWN + WIDTH
    m.begin, m.update = begin, update
    RECORDS[n_records] = m
    n_records += 1
    return m


cdef mf_method *made

made = optimizer(b"sgd", b"SGD", b"gradient_descent|steepest_descent", [_lr(1e-3)], b"c", 0, sgd_begin, sgd_update,
    b"c -= lr g",
    b"Steepest descent with a fixed step: forward Euler on gradient flow, bit for bit.",
    b"A. Cauchy, C. R. Acad. Sci. 25 (1847) 536-538; H. Robbins and S. Monro, Ann. Math. Stat. 22 (1951) 400-407")
made.flags = MF_LINEAR

made = optimizer(b"momentum", b"Momentum", b"heavy_ball",
    [_lr(1e-3), _real(b"momentum", 0.9, 0, _inf, b"mu: how much of the velocity is kept a step", MF_UPPER_OPEN),
     _real(b"dampening", 0, 0, 1, b"g counts 1 - dampening from the second step on, as in torch")],
    b"c|v", 0, momentum_begin, momentum_update,
    b"v = mu v - (1 - dampening) g, c += lr v",
    b"The original momentum method with lr and mu as independent numbers (torch's buffer is -v). At fixed mu it follows "
    b"c' = -g/(1 - mu) as lr -> 0, to first order, not Newton's second law.",
    b"B. Polyak, USSR Comput. Math. Math. Phys. 4(5) (1964) 1-17; I. Sutskever et al., ICML 2013")
made.flags = MF_LINEAR

made = optimizer(b"nesterov", b"Nesterov", b"nag",
    [_lr(1e-3), _real(b"momentum", 0.9, 0, _inf, b"mu: how much of the velocity is kept a step", MF_UPPER_OPEN),
     (b"form", 0, 0, 1, MF_CHOICE, 0, b"push|pull", b"push: the parameters are the look-ahead point (torch). pull: g is taken at `ask`")],
    b"c|v", 0, nesterov_begin, momentum_update,
    b"pull: g at c + lr mu v, v = mu v - g, c += lr v. push: the stored point is c + lr mu v: v = mu v - g, c += lr (mu v - g)",
    b"Nesterov's momentum: a predictor step along the old velocity, then the gradient there. At constant lr and mu both forms "
    b"make one sequence; under a schedule push follows torch.",
    b"Y. Nesterov, Sov. Math. Dokl. 27 (1983) 372-376; I. Sutskever et al., ICML 2013")
made.flags, made.ask = MF_LINEAR, ahead_ask

made = optimizer(b"consistent_momentum", b"ConsistentMomentum", b"",
    [_lr(1e-2, b"time step dt"), _real(b"beta_hat", 1, 0, _inf, b"strength of the force -g", MF_LOWER_OPEN | MF_UPPER_OPEN),
     _real(b"friction", 0, 0, _inf, b"rate at which the velocity decays; at 0 energy is kept and nothing is minimised", MF_UPPER_OPEN),
     _bool(b"lookahead", 0, b"take g at c + dt v")],
    b"c|v", 0, consistent_begin, momentum_update,
    b"v = (1 - friction lr) v - lr beta_hat g(c, or c + lr v with lookahead), c += lr v",
    b"Momentum that is consistent with Newton's second law: converges to c'' = -friction c' - beta_hat g as lr = dt -> 0.",
    b"the symplectic Euler method on Newton's law; E. Hairer, C. Lubich and G. Wanner, Geometric Numerical Integration (2006), I.1")
made.flags, made.ask = MF_LINEAR, ahead_ask

made = optimizer(b"adagrad", b"Adagrad", b"",
    [_lr(1e-2), _real(b"lr_decay", 0, 0, _inf, b"lr/(1 + t lr_decay) at step t = 0, 1, ..., in decoupled decay too", MF_UPPER_OPEN),
     _real(b"initial_accumulator_value", 0, 0, _inf, b"first value of s", MF_UPPER_OPEN), _eps(1e-10)],
    b"c|s", 0, adagrad_begin, adagrad_update,
    b"s += g^2, c -= lr g/(sqrt(s) + eps)",
    b"A step for each parameter, divided by the root of all it has seen: it only falls, and often stalls.",
    b"J. Duchi, E. Hazan and Y. Singer, JMLR 12 (2011) 2121-2159")
made.start = adagrad_start

optimizer(b"adadelta", b"Adadelta", b"",
    [_lr(1.0), _real(b"rho", 0.9, 0, 1, b"decay of the means of g^2 and d^2", MF_UPPER_OPEN),
     _real(b"eps", 1e-6, 0, _inf, b"added inside both roots; at 0 nothing would ever move", MF_LOWER_OPEN | MF_UPPER_OPEN)],
    b"c|v|u", 0, adadelta_begin, adadelta_update,
    b"v = rho v + (1 - rho) g^2, d = sqrt(u + eps)/sqrt(v + eps) g, u = rho u + (1 - rho) d^2, c -= lr d",
    b"Adagrad with a memory that fades, in the units of the parameters.",
    b"M. Zeiler, arXiv:1212.5701 (2012), algorithm 1")

made = optimizer(b"rmsprop", b"RMSprop", b"",
    [_lr(1e-2), _real(b"alpha", 0.99, 0, 1, b"decay of the mean of g^2", MF_UPPER_OPEN), _eps(1e-8),
     _real(b"momentum", 0, 0, _inf, b"mu of a velocity on top; 0: none", MF_UPPER_OPEN),
     _bool(b"centered", 0, b"divide by the spread of g about its mean")],
    b"c|v|b|a", 0, rmsprop_begin, rmsprop_update,
    b"v = alpha v + (1 - alpha) g^2, c -= lr g/(sqrt(v) + eps). momentum: b = mu b + g/(sqrt(v) + eps), c -= lr b. "
    b"centered: a = alpha a + (1 - alpha) g, and v - a^2 in place of v under the root",
    b"Steps divided by a fading root mean square of the gradient.",
    b"T. Tieleman and G. Hinton, Neural Networks for Machine Learning, lecture 6.5 (2012); centred: A. Graves, arXiv:1308.0850 (2013)")
made.sizes_fn = rmsprop_sizes

cdef const char *adam_formula = (
    b"m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, c -= lr/(1 - beta1^t) m/(sqrt(v)/sqrt(1 - beta2^t) + eps); "
    b"amsgrad: u = max(u, v) in place of v under the root")
cdef list amsgrad_choice = [_bool(b"amsgrad", 0, b"divide by the largest v so far")]

made = optimizer(b"adam", b"Adam", b"", [_lr(1e-3)] + _betas(0.9, 0.999) + [_eps(1e-8)] + amsgrad_choice,
    b"c|m|v|u", 6, adam_begin, adam_update, adam_formula,
    b"Momentum and a step for each parameter in one, both averages corrected for their start at zero.",
    b"D. Kingma and J. Ba, ICLR 2015, algorithm 1; amsgrad: S. Reddi, S. Kale and S. Kumar, ICLR 2018")
made.sizes_fn = adam_sizes

made = optimizer(b"adamw", b"AdamW", b"", [_lr(1e-3)] + _betas(0.9, 0.999) + [_eps(1e-8)] + amsgrad_choice,
    b"c|m|v|u", 6, adam_begin, adam_update, adam_formula,
    b"Adam with decoupled weight decay.",
    b"I. Loshchilov and F. Hutter, ICLR 2019, algorithm 2", decoupled=True, weight_decay=1e-2)
made.sizes_fn = adam_sizes

optimizer(b"adamax", b"Adamax", b"", [_lr(2e-3)] + _betas(0.9, 0.999, b"decay of the largest |g|") + [_eps(1e-8, b"added to |g|")],
    b"c|m|u", 6, adamax_begin, adamax_update,
    b"m = beta1 m + (1 - beta1) g, u = max(beta2 u, |g| + eps), c -= lr/(1 - beta1^t) m/u",
    b"Adam with the largest gradient in place of the root mean square.",
    b"D. Kingma and J. Ba, ICLR 2015, algorithm 2")

optimizer(b"nadam", b"NAdam", b"", [_lr(2e-3)] + _betas(0.9, 0.999) + [_eps(1e-8),
     _real(b"momentum_decay", 4e-3, 0, _inf, b"rate of mu's warm-up; 1: Keras' form; None: mu = beta1 from the start")],
    b"c|m|v", 7, nadam_begin, nadam_update,
    b"mu_t = beta1 (1 - 0.5 0.96^(t momentum_decay)), P = mu_1 ... mu_t, m and v as adam, d = sqrt(v/(1 - beta2^t)) + eps, "
    b"c -= lr (1 - mu_t)/(1 - P) g/d + lr mu_(t+1)/(1 - P mu_(t+1)) m/d",
    b"Adam with Nesterov's momentum.",
    b"T. Dozat, ICLR 2016 workshop, algorithm 8, in the form of torch.optim.NAdam")

_records = PyCapsule_New(<void *> RECORDS, b"mflow_core._rows", NULL)
