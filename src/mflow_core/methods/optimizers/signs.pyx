"""Optimizers that take only the sign of something from the gradient: lion, rprop. Their steps have a length that no gradient changes.

The sign of u is 1 if u > 0, -1 if u < 0, and u itself otherwise: 0 stays 0, and NaN is not lost. How an optimizer is written stands in
`records.pxd`.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.methods.optimizers.elementwise cimport apply, common
from mflow_core.methods.optimizers.records cimport betas, optimizer, optimizers_t, learning_rate, real
from mflow_core.types cimport MF_LOWER_OPEN, MF_UPPER_OPEN, mf_method


cdef inline double sign(double u) noexcept nogil:
    return 1.0 if u > 0.0 else (-1.0 if u < 0.0 else u)


# ---- lion ----------------------------------------------------------------------------------------------------------------------------

cdef int lion_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double *w = common(m, par, par[0], coef)
    w[0] = -par[0]
    w[1] = par[1]
    w[2] = 1.0 - par[1]
    w[3] = par[2]
    w[4] = 1.0 - par[2]
    return 0


cdef inline double lion(double g, double *s, const double *w) noexcept nogil:
    cdef double u = w[1] * s[0] + w[2] * g
    s[0] = w[3] * s[0] + w[4] * g
    return w[0] * sign(u)


cdef int lion_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                     const double *g) noexcept nogil:
    return apply(lion, 1, coef, gscale, lo, hi, x, g)


# ---- rprop ---------------------------------------------------------------------------------------------------------------------------

cdef int rprop_begin(const mf_method *m, const double *par, int64_t k, double *scal, double *coef) noexcept nogil:
    cdef double *w = common(m, par, par[0], coef)
    w[0] = par[1]
    w[1] = par[2]
    w[2] = par[3]
    w[3] = par[4]
    return 0


cdef int rprop_start(const mf_method *m, const double *par, ptrdiff_t lo, ptrdiff_t hi, double *const *x) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(lo, hi):
        x[2][i] = par[0]
    return 0


cdef inline double rprop(double g, double *s, const double *w) noexcept nogil:
    cdef double down = w[0], up = w[1], shortest = w[2], longest = w[3], turn = g * s[0], step, used, way
    step = down if turn < 0.0 else 1.0   # one choice a line: of choices within others the compiler makes more comparisons
    step = up if turn > 0.0 else step
    step = s[1] * step
    step = shortest if step < shortest else step
    step = longest if step > longest else step
    used = 0.0 if turn < 0.0 else g      # after a turn a parameter rests for a step, and so does the test of its next sign
    s[0], s[1] = used, step
    way = 1.0 if used < 0.0 else -used
    way = -1.0 if used > 0.0 else way
    return step * way


cdef int rprop_update(const mf_method *m, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                      const double *g) noexcept nogil:
    return apply(rprop, 2, coef, gscale, lo, hi, x, g)


# ---- method records ------------------------------------------------------------------------------------------------------------------

cdef optimizers_t RECORDS
RECORDS.count = 0
_names = []
cdef mf_method *made

optimizer(&RECORDS, _names, b"lion", b"Lion", b"", [learning_rate(1e-4)] + betas(0.9, 0.99, b"decay of the mean of g that is carried on"),
    b"c|m", 0, lion_begin, lion_update,
    b"u = sign(beta1 m + (1 - beta1) g), m = beta2 m + (1 - beta2) g, c -= lr (u + weight_decay c)",
    b"The sign of a momentum as the step: every parameter moves by lr, whatever its gradient. lr is some 3 to 10 times smaller than "
    b"Adam's, weight_decay as much larger.",
    b"X. Chen et al., Symbolic Discovery of Optimization Algorithms, NeurIPS 2023, algorithm 2", decoupled=True)

made = optimizer(&RECORDS, _names, b"rprop", b"Rprop", b"",
    [learning_rate(1e-2, b"the first step of every parameter"),
     real(b"etas[0]", 0.5, 0, 1, b"factor of the step where the gradient has changed its sign", MF_LOWER_OPEN | MF_UPPER_OPEN),
     real(b"etas[1]", 1.2, 1, INFINITY, b"factor of the step where it has not", MF_LOWER_OPEN | MF_UPPER_OPEN),
     real(b"step_sizes[0]", 1e-6, 0, INFINITY, b"the shortest step", MF_UPPER_OPEN),
     real(b"step_sizes[1]", 50, 0, INFINITY, b"the longest step", MF_UPPER_OPEN)],
    b"c|p|h", 0, rprop_begin, rprop_update,
    b"h = clip(h eta, step_sizes), eta = etas[1] if g p > 0, etas[0] if g p < 0, else 1; g = 0 if g p < 0; c -= h sign(g), p = g",
    b"A step for each parameter that grows while its gradient keeps its sign and shrinks when it turns; for full batches.",
    b"M. Riedmiller and H. Braun, IEEE Int. Conf. Neural Networks (1993) 586-591; C. Igel and M. Huesken, ICANN 2000, as iRprop-, "
    b"torch.optim.Rprop")
made.start = rprop_start

_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
