"""Curves that are fitted every day: f = sum (model(x_i; b) - y_i)^2/2.

Each formula has one function, as in objectives_nist.pyx: the residual of row i of the data and, unless d is NULL, its derivatives. y NULL:
the model alone. The names of the parameters stand in the formula, f(x; a, k, c) = ..., and "for x >= 0" where it takes no other x; starting
values are in `mflow.problems.curves`.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.stddef cimport ptrdiff_t

from mflow_core.objectives.objectives cimport (OBJECTIVE_LIBM, cos_of, dual_fn, exp_of, log_of, number, objective_record_t, objective_t,
                                               over, real_of, residual_fn, set_squares, sin_of)


cdef inline double y_of(const objective_t *o, ptrdiff_t i) noexcept nogil:
    return 0.0 if o.y == NULL else o.y[i]


cdef number exponential(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number E = exp_of(-b[1] * x)
    if d != NULL:
        d[0], d[1], d[2] = E, -b[0] * x * E, 1.0
    return b[0] * E + b[2] - y_of(o, i)


cdef number gaussian(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef number away = over(o.X[i * o.ldx] - b[1], b[2]), E = exp_of(-0.5 * (away * away)), slope
    if d != NULL:
        slope = over(b[0] * E * away, b[2])
        d[0], d[1], d[2], d[3] = E, slope, slope * away, 1.0
    return b[0] * E + b[3] - y_of(o, i)


cdef number logistic(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    """With E = e^(-|k (x - m)|), which does not overflow."""
    cdef number away = o.X[i * o.ldx] - b[2], z = b[1] * away, one = 1.0, E, share, slope
    if real_of(z) >= 0.0:
        E = exp_of(-z)
        share = over(one, 1.0 + E)
    else:
        E = exp_of(z)
        share = over(E, 1.0 + E)
    if d != NULL:
        slope = over(b[0] * E, (1.0 + E) * (1.0 + E))
        d[0], d[1], d[2] = share, slope * away, -slope * b[1]
    return b[0] * share - y_of(o, i)


cdef number sine(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number angle = b[1] * x + b[2], s = sin_of(angle), c
    if d != NULL:
        c = b[0] * cos_of(angle)
        d[0], d[1], d[2], d[3] = s, c * x, c, 1.0
    return b[0] * s + b[3] - y_of(o, i)


cdef number power_law(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number L = log_of(<number> x), power = exp_of(b[1] * L)
    if d != NULL:
        if x == 0.0:
            L = 0.0                      # x^b log x is 0 there, b > 0
        d[0], d[1] = power, b[0] * power * L
    return b[0] * power - y_of(o, i)


cdef number michaelis_menten(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number share = over(<number> x, b[1] + x)
    if d != NULL:
        d[0], d[1] = share, over(-b[0] * share, b[1] + x)
    return b[0] * share - y_of(o, i)


# ---- the records --------------------------------------------------------------------------------------------------------------------

cdef objective_record_t[6] TABLE
cdef const objective_record_t *RECORDS[7]
cdef int count = 0


cdef void record(const char *name, const char *formula, const char *reference, residual_fn residual, dual_fn dual, int flags=0) noexcept:
    global count
    cdef objective_record_t *r = &TABLE[count]
    set_squares(r, residual, dual, flags)
    r.name, r.formula, r.family, r.reference = name, formula, b"curves", reference
    RECORDS[count] = r
    count += 1
    RECORDS[count] = NULL


record(b"exponential", b"f(x; a, k, c) = a e^(-k x) + c", b"A. de Moivre, Annuities upon Lives (1725)", exponential, exponential)
record(b"gaussian_peak", b"f(x; a, m, s, c) = a e^(-(x - m)^2/(2 s^2)) + c", b"C. Gauss, Theoria motus (1809)", gaussian, gaussian)
record(b"logistic_growth", b"f(x; l, k, m) = l/(1 + e^(-k (x - m)))", b"P. Verhulst, Corresp. math. phys. 10 (1838) 113-121", logistic,
       logistic)
record(b"sine", b"f(x; a, w, p, c) = a sin(w x + p) + c", b"J. Fourier, Theorie analytique de la chaleur (1822)", sine, sine, OBJECTIVE_LIBM)
record(b"power_law", b"f(x; a, b) = a x^b for x >= 0", b"O. Snell, Arch. Psychiatr. 23 (1892) 436-446", power_law, power_law)
record(b"michaelis_menten", b"f(x; v, k) = v x/(k + x)", b"L. Michaelis and M. Menten, Biochem. Z. 49 (1913) 333-369", michaelis_menten,
       michaelis_menten)

_records = PyCapsule_New(<void *> RECORDS, b"mflow_core._objectives", NULL)
