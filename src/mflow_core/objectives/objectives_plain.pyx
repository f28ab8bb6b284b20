"""Objectives without rows of data: quadratics and Rosenbrock's valley.

    quadratic            x'A x/2 - b'x, A symmetric: X is A, y is b (NULL: 0)
    diagonal_quadratic   sum a_i x_i^2/2 - b'x: X is a
    rosenbrock           sum 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2

No libm: the same bits everywhere. Sums run in the fixed lanes of dot.pxd, or in the order of the formula.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.stddef cimport ptrdiff_t

from mflow_core.arithmetic.dot cimport dot
from mflow_core.objectives.objectives cimport (OBJECTIVE_SQUARES, hessp_fn, number, objective_record_t, objective_t)
from mflow_core.types cimport mf_value_grad_fn


# ---- quadratic ----------------------------------------------------------------------------------------------------------------------

cdef int finite(double y) noexcept nogil:
    return y - y == 0.0


cdef int quadratic(const double *x, double *value, double *grad, ptrdiff_t n, void *ctx) noexcept nogil:
    """f = sum x_i ((A x)_i/2 - b_i)."""
    cdef const objective_t *o = <const objective_t *> ctx
    cdef double slope, b = 0.0, total = 0.0
    cdef ptrdiff_t i
    for i in range(n):
        slope = dot(o.X + i * o.ldx, x, n)
        if o.y != NULL:
            b = o.y[i]
        total += x[i] * (0.5 * slope - b)
        if grad != NULL:
            grad[i] = slope - b
    if value != NULL:
        value[0] = total
    return 0


cdef int quadratic_hessp(const double *x, const double *p, double *out, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef const objective_t *o = <const objective_t *> ctx
    cdef ptrdiff_t i
    for i in range(n):
        out[i] = dot(o.X + i * o.ldx, p, n)
    return 0


cdef int diagonal(const double *x, double *value, double *grad, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef const objective_t *o = <const objective_t *> ctx
    cdef double slope, b = 0.0, total = 0.0
    cdef ptrdiff_t i
    for i in range(n):
        slope = o.X[i] * x[i]
        if o.y != NULL:
            b = o.y[i]
        total += x[i] * (0.5 * slope - b)
        if grad != NULL:
            grad[i] = slope - b
    if value != NULL:
        value[0] = total
    return 0


cdef int diagonal_hessp(const double *x, const double *p, double *out, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef const objective_t *o = <const objective_t *> ctx
    cdef ptrdiff_t i
    for i in range(n):
        out[i] = o.X[i] * p[i]
    return 0


# ---- Rosenbrock ---------------------------------------------------------------------------------------------------------------------

cdef int rosenbrock(const double *x, double *value, double *grad, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef double total = 0.0, bend, gap, left = 0.0
    cdef ptrdiff_t i
    for i in range(n - 1):
        bend = x[i + 1] - x[i] * x[i]
        gap = 1.0 - x[i]
        total += 100.0 * (bend * bend) + gap * gap
        if grad != NULL:
            grad[i] = left - (400.0 * (x[i] * bend) + 2.0 * gap)
            left = 200.0 * bend
    if grad != NULL:
        grad[n - 1] = left
    if value != NULL:
        value[0] = total
    return 0


cdef int rosenbrock_hessp(const double *x, const double *p, double *out, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef double left = 0.0, cross
    cdef ptrdiff_t i
    for i in range(n - 1):
        cross = -400.0 * x[i]
        out[i] = left + ((1200.0 * (x[i] * x[i]) - 400.0 * x[i + 1] + 2.0) * p[i] + cross * p[i + 1])
        left = cross * p[i] + 200.0 * p[i + 1]
    out[n - 1] = left
    return 0


cdef number valley(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    """Residuals 10 (x_(k+1) - x_k^2) at i = 2 k, 1 - x_k at i = 2 k + 1."""
    cdef ptrdiff_t k = i // 2, j
    if d != NULL:
        for j in range(o.n):
            d[j] = 0.0
    if i % 2:
        if d != NULL:
            d[k] = -1.0
        return 1.0 - x[k]
    if d != NULL:
        d[k], d[k + 1] = -20.0 * x[k], 10.0
    return 10.0 * (x[k + 1] - x[k] * x[k])


# ---- the records --------------------------------------------------------------------------------------------------------------------

cdef objective_record_t[3] TABLE
cdef const objective_record_t *RECORDS[4]


cdef void record(int i, const char *name, const char *formula, mf_value_grad_fn value_grad, hessp_fn hessp) noexcept:
    cdef objective_record_t *r = &TABLE[i]
    r.name, r.formula, r.labels, r.reference = name, formula, b"finite numbers", b""
    r.flags, r.allows, r.value_grad, r.hessp, r.residual, r.dual, r.extra = 0, finite, value_grad, hessp, NULL, NULL, NULL
    r.family = b"plain"
    RECORDS[i] = r


record(0, b"quadratic", b"x'A x/2 - b'x", quadratic, quadratic_hessp)
record(1, b"diagonal_quadratic", b"sum a_i x_i^2/2 - b'x", diagonal, diagonal_hessp)
record(2, b"rosenbrock", b"sum 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2", rosenbrock, rosenbrock_hessp)
TABLE[2].flags = OBJECTIVE_SQUARES
TABLE[2].residual, TABLE[2].dual = valley, valley
TABLE[2].reference = b"H. Rosenbrock, Comput. J. 3 (1960) 175-184"
RECORDS[3] = NULL

_records = PyCapsule_New(<void *> RECORDS, b"mflow_core._objectives", NULL)
