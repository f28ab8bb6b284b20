"""Optimizers that divide by the size of the gradients so far: adagrad, adadelta, rmsprop, adam and its relatives.

A mean of squares v is a vector of its own, never negative; its root, with eps added, divides the step. What the start of the means at zero
takes away is given back by 1 - beta^t, whose powers are in `scal`. How an optimizer is written stands in `records.pxd`.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.arithmetic.scalars cimport multiply, multiply_pair, one_minus, power_of_096, product_error
from mflow_core.methods.optimizers.elementwise cimport OWN, apply, apply_alone, common, larger, next_power
from mflow_core.methods.optimizers.records cimport betas, boolean, epsilon, optimizer, optimizers_t, learning_rate, real
from mflow_core.types cimport MF_LOWER_OPEN, MF_UPPER_OPEN, mf_method, mf_sizes

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
    if par[4] != 0:
        scal[0] = 1.0                                     # of the spread: states in which v was the mean of squares have no such number
    return 0


cdef int rmsprop_sizes(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil:
    sizes[0] = m.sizes                                    # c, v; the buffer of momentum; the mean of the centred form
    sizes.n_vec = 4 if par[4] != 0 else 3 if par[3] != 0 else 2
    sizes.n_scal = 1 if par[4] != 0 else 0
    return 0


cdef inline double rmsprop(double g, double *s, const double *w) noexcept nogil:
    s[0] = w[1] * s[0] + w[2] * (g * g)
    return w[0] * (g / (sqrt(s[0]) + w[3]))


cdef inline double rmsprop_momentum(double g, double *s, const double *w) noexcept nogil:
    s[0] = w[1] * s[0] + w[2] * (g * g)
    s[1] = w[4] * s[1] + g / (sqrt(s[0]) + w[3])
    return w[0] * s[1]


cdef inline double rmsprop_centered(double g, double *s, const double *w) noexcept nogil:
    """v is the spread itself, m - a^2 of the mean m of g^2, by m+ - a+^2 = alpha (m - a^2 + (1 - alpha) (g - a)^2).

    The difference would lose all that m and a have in common, and rounding could take it below 0.
    """
    cdef double off = g - s[2]
    s[2] = s[2] + w[2] * off
    s[0] = w[1] * (s[0] + w[2] * (off * off))
    s[1] = w[4] * s[1] + g / (sqrt(s[0]) + w[3])
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
    return apply_alone(adam, 2, coef, gscale, lo, hi, x, g)


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
    return apply_alone(nadam, 2, coef, gscale, lo, hi, x, g)

# sparse_adam: adam with eps beside the root of v as it is. A sparse gradient moves the entries that it names alone (`lazy`).

cdef int sparse_adam_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double *w = common(m, par, par[0], coef)
    advance(par, k, scal)
    w[0] = -par[0] * sqrt(one_minus(scal + 2)) / one_minus(scal)
    w[1] = par[1]
    w[2] = 1.0 - par[1]
    w[3] = par[2]
    w[4] = 1.0 - par[2]
    w[5] = 1.0
    w[6] = par[3]
    return 0


cdef int sparse_adam_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                            const double *g) noexcept nogil:
    return apply(adam, 2, coef, gscale, lo, hi, x, g)


cdef inline double belief(double g, double *s, const double *w) noexcept nogil:
    """m, and s: the mean of (g - m)^2, to which eps is added in each step."""
    cdef double off
    s[0] = w[1] * s[0] + w[2] * g
    off = g - s[0]
    s[1] = (w[3] * s[1] + w[4] * (off * off)) + w[6]
    return s[1]


cdef inline double adabelief(double g, double *s, const double *w) noexcept nogil:
    cdef double size = sqrt(belief(g, s, w)) * w[5] + w[6]
    return w[0] * (s[0] / size)


cdef inline double adabelief_amsgrad(double g, double *s, const double *w) noexcept nogil:
    s[2] = larger(s[2], belief(g, s, w))
    return w[0] * (s[0] / (sqrt(s[2]) * w[5] + w[6]))


cdef int adabelief_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                          const double *g) noexcept nogil:
    if coef[OWN + 7] != 0:
        return apply(adabelief_amsgrad, 3, coef, gscale, lo, hi, x, g)
    return apply(adabelief, 2, coef, gscale, lo, hi, x, g)


cdef double averaged_steps(double b2, int64_t t, const double *power) noexcept nogil:
    """rho = rho_inf - 2 t b2^t/(1 - b2^t), rho_inf = (1 + b2)/(1 - b2): how many g^2 the mean v is worth; power = b2^t in two parts.

    As it stands it takes thousands from thousands. Here it is ((1 + b2) q - 2 t b2^t (1 - b2))/((1 - b2) q), q = 1 - b2^t, and the
    difference above is taken in double-double.
    """
    cdef double q = 1.0 - power[0], q_rest = ((1.0 - q) - power[0]) - power[1]
    cdef double up = 1.0 + b2, up_rest = (1.0 - up) + b2, down = 1.0 - b2, down_rest = (1.0 - down) - b2
    cdef double first = up * q, first_rest = product_error(up, q, first) + (up * q_rest + up_rest * q)
    cdef double[2] second, factor
    second[0], second[1] = power[0], power[1]
    factor[0], factor[1] = down, down_rest
    multiply(second, 2.0 * <double> t)
    multiply_pair(second, factor)
    return ((first - second[0]) + (first_rest - second[1])) / (down * q)


cdef int radam_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double b2 = par[2], most = (1.0 + b2) / (1.0 - b2), rho
    cdef double *w = common(m, par, par[0], coef)
    advance(par, k, scal)
    rho = averaged_steps(b2, k + 1, scal + 2)
    w[0] = -par[0] / one_minus(scal)
    w[1] = par[1]
    w[2] = 1.0 - par[1]
    w[3] = b2
    w[4] = 1.0 - b2
    w[5] = par[3]
    if rho > 5.0:
        w[0] = w[0] * sqrt(one_minus(scal + 2) * ((rho - 4.0) * (rho - 2.0) * most / ((most - 4.0) * (most - 2.0) * rho)))
        w[6] = 1.0                                        # the spread of v is small enough to divide by it
    return 0


cdef inline double radam(double g, double *s, const double *w) noexcept nogil:
    s[0] = w[1] * s[0] + w[2] * g
    s[1] = w[3] * s[1] + w[4] * (g * g)
    return w[0] * (s[0] / (sqrt(s[1]) + w[5]))


cdef inline double radam_early(double g, double *s, const double *w) noexcept nogil:
    s[0] = w[1] * s[0] + w[2] * g
    s[1] = w[3] * s[1] + w[4] * (g * g)
    return w[0] * s[0]


cdef int radam_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                      const double *g) noexcept nogil:
    if coef[OWN + 6] != 0:
        return apply(radam, 2, coef, gscale, lo, hi, x, g)
    return apply(radam_early, 2, coef, gscale, lo, hi, x, g)


# ---- method records ------------------------------------------------------------------------------------------------------------------

cdef optimizers_t RECORDS
RECORDS.count = 0
_names = []
cdef mf_method *made

made = optimizer(&RECORDS, _names, b"adagrad", b"Adagrad", b"",
    [learning_rate(1e-2),
     real(b"lr_decay", 0, 0, INFINITY, b"lr/(1 + t lr_decay) at step t = 0, 1, ..., in decoupled decay too", MF_UPPER_OPEN),
     real(b"initial_accumulator_value", 0, 0, INFINITY, b"first value of s", MF_UPPER_OPEN), epsilon(1e-10)],
    b"c|s", 0, adagrad_begin, adagrad_update,
    b"s += g^2, c -= lr g/(sqrt(s) + eps)",
    b"A step for each parameter, divided by the root of all it has seen: it only falls, and often stalls.",
    b"J. Duchi, E. Hazan and Y. Singer, JMLR 12 (2011) 2121-2159")
made.start = adagrad_start

optimizer(&RECORDS, _names, b"adadelta", b"Adadelta", b"",
    [learning_rate(1.0), real(b"rho", 0.9, 0, 1, b"decay of the means of g^2 and d^2", MF_UPPER_OPEN),
     real(b"eps", 1e-6, 0, INFINITY, b"added inside both roots; at 0 nothing would ever move", MF_LOWER_OPEN | MF_UPPER_OPEN)],
    b"c|v|u", 0, adadelta_begin, adadelta_update,
    b"v = rho v + (1 - rho) g^2, d = sqrt(u + eps)/sqrt(v + eps) g, u = rho u + (1 - rho) d^2, c -= lr d",
    b"Adagrad with a memory that fades, in the units of the parameters.",
    b"M. Zeiler, arXiv:1212.5701 (2012), algorithm 1")

made = optimizer(&RECORDS, _names, b"rmsprop", b"RMSprop", b"",
    [learning_rate(1e-2), real(b"alpha", 0.99, 0, 1, b"decay of the mean of g^2", MF_UPPER_OPEN), epsilon(1e-8),
     real(b"momentum", 0, 0, INFINITY, b"mu of a velocity on top; 0: none", MF_UPPER_OPEN),
     boolean(b"centered", 0, b"divide by the spread of g about its mean")],
    b"c|v|b|a", 0, rmsprop_begin, rmsprop_update,
    b"v = alpha v + (1 - alpha) g^2, c -= lr g/(sqrt(v) + eps). momentum: b = mu b + g/(sqrt(v) + eps), c -= lr b. "
    b"centered: v = alpha (v + (1 - alpha) (g - a)^2), then a = alpha a + (1 - alpha) g: the mean of g^2 less a^2",
    b"Steps divided by a fading root mean square of the gradient.",
    b"T. Tieleman and G. Hinton, Neural Networks for Machine Learning, lecture 6.5 (2012); centred: A. Graves, arXiv:1308.0850 (2013)")
made.sizes_fn = rmsprop_sizes

cdef const char *adam_formula = (
    b"m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2, c -= lr/(1 - beta1^t) m/(sqrt(v)/sqrt(1 - beta2^t) + eps); "
    b"amsgrad: u = max(u, v) in place of v under the root")
cdef list amsgrad_choice = [boolean(b"amsgrad", 0, b"divide by the largest v so far")]

made = optimizer(&RECORDS, _names, b"adam", b"Adam", b"", [learning_rate(1e-3)] + betas(0.9, 0.999) + [epsilon(1e-8)] + amsgrad_choice,
    b"c|m|v|u", 6, adam_begin, adam_update, adam_formula,
    b"Momentum and a step for each parameter in one, both averages corrected for their start at zero.",
    b"D. Kingma and J. Ba, ICLR 2015, algorithm 1; amsgrad: S. Reddi, S. Kale and S. Kumar, ICLR 2018")
made.sizes_fn = adam_sizes

made = optimizer(&RECORDS, _names, b"adamw", b"AdamW", b"", [learning_rate(1e-3)] + betas(0.9, 0.999) + [epsilon(1e-8)] + amsgrad_choice,
    b"c|m|v|u", 6, adam_begin, adam_update, adam_formula,
    b"Adam with decoupled weight decay.",
    b"I. Loshchilov and F. Hutter, ICLR 2019, algorithm 2", decoupled=True, weight_decay=1e-2)
made.sizes_fn = adam_sizes

optimizer(&RECORDS, _names, b"adamax", b"Adamax", b"",
    [learning_rate(2e-3)] + betas(0.9, 0.999, b"decay of the largest |g|") + [epsilon(1e-8, b"added to |g|")],
    b"c|m|u", 6, adamax_begin, adamax_update,
    b"m = beta1 m + (1 - beta1) g, u = max(beta2 u, |g| + eps), c -= lr/(1 - beta1^t) m/u",
    b"Adam with the largest gradient in place of the root mean square.",
    b"D. Kingma and J. Ba, ICLR 2015, algorithm 2")

optimizer(&RECORDS, _names, b"nadam", b"NAdam", b"", [learning_rate(2e-3)] + betas(0.9, 0.999) + [epsilon(1e-8),
     real(b"momentum_decay", 4e-3, 0, INFINITY, b"rate of mu's warm-up; 1: Keras' form; None: mu = beta1 from the start")],
    b"c|m|v", 7, nadam_begin, nadam_update,
    b"mu_t = beta1 (1 - 0.5 0.96^(t momentum_decay)), P = mu_1 ... mu_t, m and v as adam, d = sqrt(v/(1 - beta2^t)) + eps, "
    b"c -= lr (1 - mu_t)/(1 - P) g/d + lr mu_(t+1)/(1 - P mu_(t+1)) m/d",
    b"Adam with Nesterov's momentum.",
    b"T. Dozat, ICLR 2016 workshop, algorithm 8, in the form of torch.optim.NAdam")
optimizer(&RECORDS, _names, b"radam", b"RAdam", b"", [learning_rate(1e-3)] + betas(0.9, 0.999) + [epsilon(1e-8)],
    b"c|m|v", 6, radam_begin, radam_update,
    b"m and v as adam, rho = rho_inf - 2 t beta2^t/(1 - beta2^t), rho_inf = 2/(1 - beta2) - 1; rho > 5: c -= r lr/(1 - beta1^t) "
    b"sqrt(1 - beta2^t) m/(sqrt(v) + eps), r^2 = (rho - 4)(rho - 2) rho_inf/((rho_inf - 4)(rho_inf - 2) rho); else c -= lr/(1 - beta1^t) m",
    b"Adam that begins as momentum and divides by v once v is a mean of enough gradients.",
    b"L. Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, ICLR 2020, algorithm 2; torch.optim.RAdam")

made = optimizer(&RECORDS, _names, b"adabelief", b"AdaBelief", b"",
    [learning_rate(1e-3)] + betas(0.9, 0.999, b"decay of the mean of (g - m)^2")
    + [epsilon(1e-16, b"added to s in each step, and to its root")]
    + amsgrad_choice,
    b"c|m|s|u", 6, adam_begin, adabelief_update,
    b"m = beta1 m + (1 - beta1) g, s = beta2 s + (1 - beta2) (g - m)^2 + eps, c -= lr/(1 - beta1^t) m/(sqrt(s)/sqrt(1 - beta2^t) + eps); "
    b"amsgrad: u = max(u, s) in place of s under the root",
    b"Adam divided by how far gradients are from what the momentum expects of them, not by how large they are.",
    b"J. Zhuang et al., AdaBelief Optimizer, NeurIPS 2020, algorithm 2, without the rectification of the authors' code", decoupled=True)
made.sizes_fn = adam_sizes

optimizer(&RECORDS, _names, b"sparse_adam", b"SparseAdam", b"",
    [learning_rate(1e-3)] + betas(0.9, 0.999) + [epsilon(1e-8),
     boolean(b"lazy", 1, b"a sparse gradient moves only the entries that it names, with their m and v; else it is a dense one")],
    b"c|m|v", 6, sparse_adam_begin, sparse_adam_update,
    b"m and v as adam, c -= lr sqrt(1 - beta2^t)/(1 - beta1^t) m/(sqrt(v) + eps)",
    b"Adam for sparse gradients: entries that a gradient does not name stay as they are.",
    b"D. Kingma and J. Ba, ICLR 2015, end of section 2; torch.optim.SparseAdam")

_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
