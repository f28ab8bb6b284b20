"""Steepest descent and momentum: sgd, momentum, nesterov, consistent_momentum. All are linear in c, g and the velocity v.

How an optimizer is written stands in `records.pxd`.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.methods.optimizers.elementwise cimport OWN, apply, apply_ahead, apply_alone, ask_ahead, common
from mflow_core.methods.optimizers.records cimport boolean, optimizer, optimizers_t, learning_rate, real
from mflow_core.types cimport MF_CHOICE, MF_LINEAR, MF_LOWER_OPEN, MF_UPPER_OPEN, mf_method

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


# One formula for the whole family:  v = w0 v - w1 g,  c = c - shrink c + (w2 v + w3 g), with g at c + w4 v

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


cdef inline double along(double g, double *s, const double *w) noexcept nogil:
    """Where w3 is 0."""
    s[0] = w[0] * s[0] - w[1] * g
    return w[2] * s[0]


cdef int momentum_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                         const double *g) noexcept nogil:
    cdef double ahead = coef[OWN + 4]
    if ahead == 0.0 and coef[OWN + 3] == 0.0:
        return apply_alone(along, 1, coef, gscale, lo, hi, x, g)
    if ahead == 0.0:
        return apply_alone(momentum, 1, coef, gscale, lo, hi, x, g)
    return apply_ahead(momentum, 1, ahead, coef, gscale, lo, hi, x, g)


# ---- method records ------------------------------------------------------------------------------------------------------------------

cdef optimizers_t RECORDS
RECORDS.count = 0
_names = []
cdef mf_method *made

made = optimizer(&RECORDS, _names, b"sgd", b"SGD", b"gradient_descent|steepest_descent", [learning_rate(1e-3)],
    b"c", 0, sgd_begin, sgd_update,
    b"c -= lr g",
    b"Steepest descent with a fixed step: forward Euler on gradient flow, bit for bit.",
    b"A. Cauchy, C. R. Acad. Sci. 25 (1847) 536-538; H. Robbins and S. Monro, Ann. Math. Stat. 22 (1951) 400-407")
made.flags = MF_LINEAR

made = optimizer(&RECORDS, _names, b"momentum", b"Momentum", b"heavy_ball",
    [learning_rate(1e-3), real(b"momentum", 0.9, 0, INFINITY, b"mu: how much of the velocity is kept a step", MF_UPPER_OPEN),
     real(b"dampening", 0, 0, 1, b"g counts 1 - dampening from the second step on, as in torch")],
    b"c|v", 0, momentum_begin, momentum_update,
    b"v = mu v - (1 - dampening) g, c += lr v",
    b"The original momentum method with lr and mu as independent numbers (torch's buffer is -v). At fixed mu it follows "
    b"c' = -g/(1 - mu) as lr -> 0, to first order, not Newton's second law.",
    b"B. Polyak, USSR Comput. Math. Math. Phys. 4(5) (1964) 1-17; I. Sutskever et al., ICML 2013")
made.flags = MF_LINEAR

made = optimizer(&RECORDS, _names, b"nesterov", b"Nesterov", b"nag",
    [learning_rate(1e-3), real(b"momentum", 0.9, 0, INFINITY, b"mu: how much of the velocity is kept a step", MF_UPPER_OPEN),
     (b"form", 0, 0, 1, MF_CHOICE, 0, b"push|pull", b"push: the parameters are the look-ahead point (torch). pull: g is taken at `ask`")],
    b"c|v", 0, nesterov_begin, momentum_update,
    b"pull: g at c + lr mu v, v = mu v - g, c += lr v. push: the stored point is c + lr mu v: v = mu v - g, c += lr (mu v - g)",
    b"Nesterov's momentum: a predictor step along the old velocity, then the gradient there. At constant lr and mu both forms "
    b"make one sequence; under a schedule push follows torch.",
    b"Y. Nesterov, Sov. Math. Dokl. 27 (1983) 372-376; I. Sutskever et al., ICML 2013")
made.flags, made.ask = MF_LINEAR, ask_ahead

made = optimizer(&RECORDS, _names, b"consistent_momentum", b"ConsistentMomentum", b"",
    [learning_rate(1e-2, b"time step dt"), real(b"beta_hat", 1, 0, INFINITY, b"strength of the force -g", MF_LOWER_OPEN | MF_UPPER_OPEN),
     real(b"friction", 1, 0, INFINITY, b"rate at which the velocity decays; at 0 energy is kept and nothing is minimised", MF_UPPER_OPEN),
     boolean(b"lookahead", 0, b"take g at c + dt v")],
    b"c|v", 0, consistent_begin, momentum_update,
    b"v = (1 - friction lr) v - lr beta_hat g(c, or c + lr v with lookahead), c += lr v",
    b"Momentum that is consistent with Newton's second law: converges to c'' = -friction c' - beta_hat g as lr = dt -> 0.",
    b"the symplectic Euler method on Newton's law; E. Hairer, C. Lubich and G. Wanner, Geometric Numerical Integration (2006), I.1")
made.flags, made.ask = MF_LINEAR, ask_ahead

_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
