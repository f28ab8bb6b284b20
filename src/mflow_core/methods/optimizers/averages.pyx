"""Optimizers that average the points they pass: asgd, and the schedule-free forms of sgd and adamw.

asgd steps at c and keeps the mean a of the points from t0 on beside it. A schedule-free method has two sequences, z that steps and the mean
x of it that is the result:

    y = (1 - b) z + b x,        z -= lr u(g(y)),        x += w/(w_0 + ... + w) (z - x),        w = (largest lr so far)^weight_lr_power

c is x, and the vector d is z - x: it begins at 0, `ask` is c + (1 - b) d, and with q = w/sum w and e = d - lr u a step is c += q e,
d = (1 - q) e. Weight decay is that of y, in the step of z; decoupled, it is beside u, else in g.

How an optimizer is written stands in `records.pxd`. The elements here see one number more than their vectors: the point of g.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.arithmetic.scalars cimport mf_power, one_minus
from mflow_core.methods.optimizers.elementwise cimport DECAY, OWN, SHRINK, apply, apply_alone, apply_seen, ask_ahead, common, moved, next_power
from mflow_core.methods.optimizers.records cimport betas, epsilon, optimizer, optimizers_t, learning_rate, real
from mflow_core.types cimport MF_UPPER_OPEN, mf_method


# ---- asgd ----------------------------------------------------------------------------------------------------------------------------
# scal: eta of the next step, from the lr of this one, as torch has it; and 1, as eta may be 0. Where it is not known it follows from lr.

cdef inline double falling(const double *par, int64_t t) noexcept nogil:
    return par[0] / mf_power(1.0 + par[1] * par[0] * <double> t, par[2])


cdef int asgd_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double lambd = par[1], passed = <double> k - par[3], eta = scal[0] if k > 0 and scal[1] == 1.0 else falling(par, k)
    cdef double *w
    scal[0], scal[1] = falling(par, k + 1), 1.0
    w = common(m, par, eta, coef)
    w[0] = -eta
    w[1] = lambd * eta
    w[2] = coef[SHRINK]
    w[3] = 1.0 / passed if passed > 1.0 else 1.0
    return 0


# Each element stands twice, without decoupled decay as well: the point that the mean takes is then the one that `apply_seen` stores.

cdef inline double asgd(double g, double *s, const double *w) noexcept nogil:
    cdef double add = w[0] * g - w[1] * s[1]
    s[0] = s[0] + w[3] * ((s[1] + add) - s[0])
    return add


cdef inline double asgd_decayed(double g, double *s, const double *w) noexcept nogil:
    cdef double add = w[0] * g - w[1] * s[1]
    s[0] = s[0] + w[3] * (moved(s[1], add, w[2]) - s[0])
    return add


cdef inline double asgd_early(double g, double *s, const double *w) noexcept nogil:
    """Before t0 the mean is the last point."""
    cdef double add = w[0] * g - w[1] * s[1]
    s[0] = s[1] + add
    return add


cdef inline double asgd_early_decayed(double g, double *s, const double *w) noexcept nogil:
    cdef double add = w[0] * g - w[1] * s[1]
    s[0] = moved(s[1], add, w[2])
    return add


cdef int asgd_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                     const double *g) noexcept nogil:
    cdef bint early = coef[OWN + 3] == 1.0
    if coef[SHRINK] != 0.0 and early:
        return apply_seen(asgd_early_decayed, 1, 0.0, coef[SHRINK], coef, gscale, lo, hi, x, g)
    if coef[SHRINK] != 0.0:
        return apply_seen(asgd_decayed, 1, 0.0, coef[SHRINK], coef, gscale, lo, hi, x, g)
    if early:
        return apply_seen(asgd_early, 1, 0.0, 0.0, coef, gscale, lo, hi, x, g)
    return apply_seen(asgd, 1, 0.0, 0.0, coef, gscale, lo, hi, x, g)


# ---- schedule-free -------------------------------------------------------------------------------------------------------------------
# scal: the sum of the weights, the largest lr; adamw: beta2^t (hi, lo) and beta2 too. A sum of 0 after step 0 is not known: then all lr
# before are taken to have been the present one.

cdef double weight_share(double lr, double power, int64_t k, double *scal) noexcept nogil:
    """w/sum w of this step."""
    cdef double weight
    if k == 0:
        scal[0] = scal[1] = 0.0
    scal[1] = lr if lr > scal[1] else scal[1]
    weight = mf_power(scal[1], power)
    if k > 0 and scal[0] == 0.0:
        scal[0] = <double> k * weight
    scal[0] = scal[0] + weight
    return weight / scal[0] if scal[0] > 0.0 else 0.0


cdef inline void free_begin(const mf_method *m, const double *par, double b, double power, int64_t k, double *scal,
                            double *coef) noexcept nogil:
    """What both forms share."""
    cdef double *w = common(m, par, par[0], coef)
    cdef double share = weight_share(par[0], power, k, scal)
    w[0] = -par[0]
    w[1] = share
    w[2] = 1.0 - share
    w[3] = par[0] * par[m.n_par - 3] if par[m.n_par - 2] != 0 else 0.0
    w[4] = 1.0 - b                       # how far ahead `ask` is
    coef[SHRINK] = 0.0                   # decoupled decay pulls z, and c by way of it


cdef int free_sgd_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    free_begin(m, par, par[1], par[2], k, scal, coef)
    return 0


cdef inline bint decays(const double *coef) noexcept nogil:
    """Without weight decay no element needs to see its point."""
    return coef[DECAY] != 0.0 or coef[OWN + 3] != 0.0


cdef inline double free_sgd(double g, double *s, const double *w) noexcept nogil:
    cdef double e = s[0] + w[0] * g
    s[0] = w[2] * e
    return w[1] * e


cdef inline double free_sgd_decayed(double g, double *s, const double *w) noexcept nogil:
    cdef double e = s[0] + (w[0] * g - w[3] * s[1])
    s[0] = w[2] * e
    return w[1] * e


cdef int free_sgd_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                         const double *g) noexcept nogil:
    if not decays(coef):
        return apply(free_sgd, 1, coef, gscale, lo, hi, x, g)
    return apply_seen(free_sgd_decayed, 1, coef[OWN + 4], coef[SHRINK], coef, gscale, lo, hi, x, g)


cdef int free_adamw_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    free_begin(m, par, par[1], par[4], k, scal, coef)
    next_power(par[2], k, scal + 2, scal + 4)
    coef[OWN + 5] = par[2]
    coef[OWN + 6] = 1.0 - par[2]
    coef[OWN + 7] = 1.0 / sqrt(one_minus(scal + 2))
    coef[OWN + 8] = par[3]
    return 0


cdef inline double free_adamw(double g, double *s, const double *w) noexcept nogil:
    cdef double v = w[5] * s[1] + w[6] * (g * g)
    cdef double e = s[0] + w[0] * (g / (sqrt(v) * w[7] + w[8]))
    s[0], s[1] = w[2] * e, v
    return w[1] * e


cdef inline double free_adamw_decayed(double g, double *s, const double *w) noexcept nogil:
    cdef double v = w[5] * s[1] + w[6] * (g * g)
    cdef double e = s[0] + (w[0] * (g / (sqrt(v) * w[7] + w[8])) - w[3] * s[2])
    s[0], s[1] = w[2] * e, v
    return w[1] * e


cdef int free_adamw_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                           const double *g) noexcept nogil:
    if not decays(coef):
        return apply_alone(free_adamw, 2, coef, gscale, lo, hi, x, g)
    return apply_seen(free_adamw_decayed, 2, coef[OWN + 4], coef[SHRINK], coef, gscale, lo, hi, x, g)


# ---- method records ------------------------------------------------------------------------------------------------------------------

cdef optimizers_t RECORDS
RECORDS.count = 0
_names = []
cdef mf_method *made

optimizer(&RECORDS, _names, b"asgd", b"ASGD", b"",
    [learning_rate(1e-2), real(b"lambd", 1e-4, 0, INFINITY, b"decay of c, and of the rate eta", MF_UPPER_OPEN),
     real(b"alpha", 0.75, 0, INFINITY, b"power by which eta falls", MF_UPPER_OPEN),
     real(b"t0", 1e6, 0, INFINITY, b"step from which on c is averaged", MF_UPPER_OPEN)],
    b"c|a", 2, asgd_begin, asgd_update,
    b"eta = lr/(1 + lambd lr t)^alpha at t = 0, 1, ..., c = (1 - lambd eta) c - eta g, a += (c - a)/max(1, t - t0)",
    b"Steepest descent with a falling rate, and the mean a of its points beside it. As in torch a new lr counts in the step after the next: eta "
    b"is made at the end of the step before it is used.",
    b"B. Polyak and A. Juditsky, SIAM J. Control Optim. 30 (1992) 838-855; L. Bottou, in Neural Networks: Tricks of the Trade (2012), "
    b"5.3; torch.optim.ASGD")

cdef object weight_power = real(b"weight_lr_power", 2, 0, INFINITY, b"a point counts by this power of the largest lr so far", MF_UPPER_OPEN)

made = optimizer(&RECORDS, _names, b"schedule_free_sgd", b"SGDScheduleFree", b"schedule_free",
    [learning_rate(1.0), real(b"momentum", 0.9, 0, 1, b"b: the gradient is taken at (1 - b) z + b c"), weight_power],
    b"c|d", 2, free_sgd_begin, free_sgd_update,
    b"z = c + d, g at y = c + (1 - b) d, z -= lr g, c += w/(sum of w) (z - c), w = (largest lr so far)^weight_lr_power",
    b"Steepest descent whose result c is the mean of its points z, so that lr needs no schedule. The gradient is taken at `ask`.",
    b"A. Defazio et al., The Road Less Scheduled, NeurIPS 2024, equations (3) to (5)", decoupled=True)
made.ask = ask_ahead

made = optimizer(&RECORDS, _names, b"schedule_free_adamw", b"AdamWScheduleFree", b"",
    [learning_rate(2.5e-3)] + betas(0.9, 0.999) + [epsilon(1e-8), weight_power],
    b"c|d|v", 5, free_adamw_begin, free_adamw_update,
    b"z = c + d, g at y = c + (1 - beta1) d, v = beta2 v + (1 - beta2) g^2, z -= lr (g/(sqrt(v/(1 - beta2^t)) + eps) + weight_decay y), "
    b"c += w/(sum of w) (z - c), w = (largest lr so far)^weight_lr_power",
    b"AdamW whose result c is the mean of its points z, so that lr needs no schedule. The gradient is taken at `ask`.",
    b"A. Defazio et al., The Road Less Scheduled, NeurIPS 2024, algorithm 1", decoupled=True)
made.ask = ask_ahead

_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
