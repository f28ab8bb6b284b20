# cython: language_level=3
"""The parts of a compiled objective: one struct for every kind of data, and the objective record, a table of functions.

    value_grad   f(x) and its gradient: an mf_value_grad_fn whose ctx is the objective_t; either output may be NULL
    hessp        H(x) p
    residual     r_i(x) and, unless d is NULL, its gradient d; NULL if it is no sum of squares.  f = factor sum_i r_i^2
    dual         the same in dual numbers (below), from which H(x) p follows

An objective_t holds pointers into arrays of its owner, and no call writes to it: threads may share one. `order` is an index set of
`count` rows (NULL: the first `count`). A copy with another order is a minibatch, made without Python.

Dual numbers are complex ones whose imaginary part is so small (2^-300) that its products vanish: the imaginary part of g(x + i h p) is
h times the derivative of g along p, to the last digits. Each residual is therefore written once, with its gradient, for both kinds of
number.
"""
from libc.math cimport atan, cos, fabs, sin, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t

from mflow_core.arithmetic.scalars cimport mf_exp, mf_log
from mflow_core.types cimport mf_value_grad_fn


cdef enum:                               # flags of a record
    OBJECTIVE_LIBM = 1                   # sin, cos or atan of the C library: other machines may give other last bits
    OBJECTIVE_LABELLED = 2               # a mean over rows of X with labels y: weights, l2, intercept
    OBJECTIVE_SQUARES = 4                # a sum of squares: it has residuals
    OBJECTIVE_SETS = 8                   # sums over an index set
    OBJECTIVE_SMALL = 16                 # at most MAX_UNKNOWNS unknowns
    MAX_CLASSES = 1024                   # of softmax, whose logits are on the stack
    MAX_UNKNOWNS = 256                   # of a sum of squares, whose derivatives are on the stack


ctypedef fused number:
    double
    double complex


ctypedef int (*hessp_fn)(const double *x, const double *p, double *out, ptrdiff_t n, void *ctx) noexcept nogil
ctypedef double (*residual_fn)(const objective_t *o, const double *x, ptrdiff_t i, double *d) noexcept nogil
ctypedef double complex (*dual_fn)(const objective_t *o, const double complex *x, ptrdiff_t i, double complex *d) noexcept nogil


ctypedef struct objective_record_t:
    const char *name
    const char *family                   # "plain", "regression", "nist" or "mgh"
    const char *formula
    const char *labels                   # allowed entries of y, in words
    const char *reference
    int flags
    int (*allows)(double y) noexcept nogil               # whether a label is in the domain; NULL: there are no labels
    mf_value_grad_fn value_grad
    hessp_fn hessp
    residual_fn residual
    dual_fn dual
    const void *extra                    # private to the module of the record: the losses of a predictor


ctypedef struct objective_t:
    const objective_record_t *record
    ptrdiff_t n                          # unknowns
    ptrdiff_t rows, columns, ldx         # of the data; a sum of squares has `rows` residuals
    const double *X
    const double *y
    const double *weight                 # mean 1; NULL: all 1
    const int64_t *order
    ptrdiff_t count
    double l2, shape, factor
    ptrdiff_t classes
    bint intercept
    const int64_t *first                 # sparse rows: row i are the entries first[i] ... first[i + 1] of X, of the columns `at`; NULL: dense
    const int32_t *at


# ---- dual numbers -------------------------------------------------------------------------------------------------------------------

cdef inline double real_of(number z) noexcept nogil:
    if number is double:
        return z
    else:
        return z.real


cdef inline number along(number z, double value, double slope) noexcept nogil:
    """phi(z) from phi and phi' at the real part of z."""
    if number is double:
        return value
    else:
        return value + 1j * (slope * z.imag)


cdef inline number over(number a, number b) noexcept nogil:
    """a / b. Complex division is the compiler's library's, whose last bits are other ones elsewhere (aarch64 has fused products there);
    a dual number needs none: with q = a / b, q' = (a' - q b') / b."""
    cdef double q
    if number is double:
        return a / b
    else:
        q = a.real / b.real
        return q + 1j * ((a.imag - q * b.imag) / b.real)


cdef inline number exp_of(number z) noexcept nogil:
    cdef double E = mf_exp(real_of(z))
    return along(z, E, E)


cdef inline number log_of(number z) noexcept nogil:
    cdef double x = real_of(z)
    return along(z, mf_log(x), 1.0 / x)


cdef inline number sqrt_of(number z) noexcept nogil:
    cdef double root = sqrt(real_of(z))
    return along(z, root, 0.5 / root)


cdef inline number sin_of(number z) noexcept nogil:
    cdef double x = real_of(z)
    return along(z, sin(x), cos(x))


cdef inline number cos_of(number z) noexcept nogil:
    cdef double x = real_of(z)
    return along(z, cos(x), -sin(x))


cdef inline number atan_of(number z) noexcept nogil:
    cdef double x = real_of(z)
    return along(z, atan(x), 1.0 / (1.0 + x * x))


# ---- sums of squares ----------------------------------------------------------------------------------------------------------------

cdef inline int squares_value_grad(const double *x, double *value, double *grad, ptrdiff_t n, void *ctx) noexcept nogil:
    """f = factor sum r_i^2 over the index set, grad = 2 factor sum r_i d_i, summed in the order of the set."""
    cdef const objective_t *o = <const objective_t *> ctx
    cdef double[MAX_UNKNOWNS] d
    cdef double r, total = 0.0, twice
    cdef ptrdiff_t k, j
    if grad != NULL:
        for j in range(n):
            grad[j] = 0.0
    for k in range(o.count):
        r = o.record.residual(o, x, k if o.order == NULL else o.order[k], d if grad != NULL else NULL)
        total += r * r
        if grad != NULL:
            for j in range(n):
                grad[j] += r * d[j]
    if value != NULL:
        value[0] = o.factor * total
    if grad != NULL:
        twice = 2.0 * o.factor
        for j in range(n):
            grad[j] = twice * grad[j]
    return 0


cdef inline int squares_hessp(const double *x, const double *p, double *out, ptrdiff_t n, void *ctx) noexcept nogil:
    """The derivative of that gradient along p, by dual numbers."""
    cdef const objective_t *o = <const objective_t *> ctx
    cdef double complex[MAX_UNKNOWNS] z
    cdef double complex[MAX_UNKNOWNS] d
    cdef double complex r
    cdef double h = 4.909093465297727e-91, largest = 0.0, back          # 2^-300
    cdef ptrdiff_t k, j
    for j in range(n):
        out[j] = 0.0
        largest = fabs(p[j]) if fabs(p[j]) > largest else largest
    if largest == 0.0:
        return 0
    h = h / largest
    for j in range(n):
        z[j] = x[j] + 1j * (h * p[j])
    for k in range(o.count):
        r = o.record.dual(o, z, k if o.order == NULL else o.order[k], d)
        for j in range(n):
            out[j] += r.real * d[j].imag + r.imag * d[j].real
    back = 2.0 * o.factor / h
    for j in range(n):
        out[j] = back * out[j]
    return 0


cdef inline void set_squares(objective_record_t *r, residual_fn residual, dual_fn dual, int flags) noexcept:
    """Fill the record of a sum of squares over a data set, all but its name, formula, family and reference."""
    r.labels, r.flags, r.allows, r.extra = b"finite numbers", OBJECTIVE_SQUARES | OBJECTIVE_SETS | OBJECTIVE_SMALL | flags, NULL, NULL
    r.value_grad, r.hessp, r.residual, r.dual = squares_value_grad, squares_hessp, residual, dual
