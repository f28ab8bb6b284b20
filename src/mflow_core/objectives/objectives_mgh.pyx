"""The 35 test problems of More, Garbow and Hillstrom: f = sum f_i(x)^2.

Each problem has one function: residual i (from 0; the paper counts from 1) and, unless d is NULL, its derivatives. It is written for
doubles and for dual numbers (objectives.pxd). y holds measurements and X the points at which they were taken. Starts, sizes and minima
are in `mflow.problems.mgh`. The flag OBJECTIVE_LIBM marks records that use sin, cos or atan of the C library.

Source: J. More, B. Garbow and K. Hillstrom, ACM Trans. Math. Softw. 7 (1981) 17-41. Problem 11 follows the authors' program
(Algorithm 566), because the paper has a misprint.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.stddef cimport ptrdiff_t

from mflow_core.arithmetic.scalars cimport mf_exp, mf_log
from mflow_core.objectives.objectives cimport (OBJECTIVE_LIBM, atan_of, cos_of, dual_fn, exp_of, log_of, number, objective_record_t,
                                               objective_t, over, real_of, residual_fn, set_squares, sin_of, sqrt_of)

cdef extern from "math.h" nogil:
    double sin(double)
    double cos(double)


cdef inline bint clear(const objective_t *o, number *d) noexcept nogil:
    """Fill d with zeros. Return False if d is NULL."""
    cdef ptrdiff_t j
    if d == NULL:
        return False
    for j in range(o.n):
        d[j] = 0.0
    return True


# ---- two and three unknowns ---------------------------------------------------------------------------------------------------------

cdef number extended_rosenbrock(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef ptrdiff_t k = i - i % 2
    cdef bint has_gradient = clear(o, d)
    if i % 2:
        if has_gradient:
            d[k] = -1.0
        return 1.0 - x[k]
    if has_gradient:
        d[k], d[k + 1] = -20.0 * x[k], 10.0
    return 10.0 * (x[k + 1] - x[k] * x[k])


cdef number freudenstein_roth(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    if i == 0:
        if d != NULL:
            d[0], d[1] = 1.0, (10.0 - 3.0 * x[1]) * x[1] - 2.0
        return -13.0 + x[0] + ((5.0 - x[1]) * x[1] - 2.0) * x[1]
    if d != NULL:
        d[0], d[1] = 1.0, (3.0 * x[1] + 2.0) * x[1] - 14.0
    return -29.0 + x[0] + ((x[1] + 1.0) * x[1] - 14.0) * x[1]


cdef number powell_badly_scaled(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef number E, F
    if i == 0:
        if d != NULL:
            d[0], d[1] = 1e4 * x[1], 1e4 * x[0]
        return 1e4 * x[0] * x[1] - 1.0
    E, F = exp_of(-x[0]), exp_of(-x[1])
    if d != NULL:
        d[0], d[1] = -E, -F
    return E + F - 1.0001


cdef number brown_badly_scaled(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef bint has_gradient = clear(o, d)
    if i == 2:
        if has_gradient:
            d[0], d[1] = x[1], x[0]
        return x[0] * x[1] - 2.0
    if has_gradient:
        d[i] = 1.0
    return x[0] - 1e6 if i == 0 else x[1] - 2e-6


cdef number beale(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef number power = 1.0
    cdef ptrdiff_t _k
    for _k in range(i):
        power = power * x[1]
    if d != NULL:
        d[0], d[1] = power * x[1] - 1.0, <double> (i + 1) * x[0] * power
    return o.y[i] - x[0] * (1.0 - power * x[1])


cdef number jennrich_sampson(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double k = <double> (i + 1)
    cdef number E = exp_of(k * x[0]), F = exp_of(k * x[1])
    if d != NULL:
        d[0], d[1] = -k * E, -k * F
    return 2.0 + 2.0 * k - (E + F)


cdef number helical_valley(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    """The angle, in turns, is -1/4 to 3/4; on the axis x1 = 0 it is the limit from the right."""
    cdef number square = x[0] * x[0] + x[1] * x[1], root, turn
    cdef double a = real_of(x[0]), b = real_of(x[1])
    cdef bint has_gradient = clear(o, d)
    if i == 2:
        if has_gradient:
            d[2] = 1.0
        return x[2]
    if i == 1:
        root = sqrt_of(square)
        if has_gradient:
            d[0], d[1] = over(10.0 * x[0], root), over(10.0 * x[1], root)
        return 10.0 * (root - 1.0)
    if has_gradient:
        d[0], d[1], d[2] = over(100.0 * 0.15915494309189535 * x[1], square), over(-100.0 * 0.15915494309189535 * x[0], square), 10.0
    if a == 0.0:
        turn = (0.25 if b > 0.0 else -0.25) - atan_of(over(x[0], x[1])) * 0.15915494309189535
    else:
        turn = atan_of(over(x[1], x[0])) * 0.15915494309189535 + (0.5 if a < 0.0 else 0.0)
    return 10.0 * (x[2] - 10.0 * turn)


cdef number bard(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double u = <double> (i + 1), v = 15.0 - <double> i, w = u if u < v else v
    cdef number below = v * x[1] + w * x[2], slope
    if d != NULL:
        slope = over(<number> u, below * below)
        d[0], d[1], d[2] = -1.0, v * slope, w * slope
    return o.y[i] - (x[0] + over(<number> u, below))


cdef number gaussian(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef number away = (7.0 - <double> i) * 0.5 - x[2], E = exp_of(-0.5 * x[1] * (away * away))
    if d != NULL:
        d[0], d[1], d[2] = E, -0.5 * x[0] * E * (away * away), x[0] * x[1] * E * away
    return x[0] * E - o.y[i]


cdef number meyer(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef number shifted = 50.0 + 5.0 * <double> i + x[2], E = exp_of(over(x[1], shifted))
    if d != NULL:
        d[0], d[1], d[2] = E, over(x[0] * E, shifted), over(-x[0] * E * x[1], shifted * shifted)
    return x[0] * E - o.y[i]


cdef number gulf(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double t = 0.01 * <double> (i + 1)
    cdef number away = 25.0 + mf_exp(2./3 * mf_log(-50.0 * mf_log(t))) - x[1], size = -away if real_of(away) < 0.0 else away
    cdef number L = log_of(size), power = over(exp_of(x[2] * L), x[0]), E = exp_of(-power)
    if d != NULL:
        d[0], d[1], d[2] = over(E * power, x[0]), over(E * power * x[2], away), -E * power * L
    return E - t


cdef number box_three(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double t = 0.1 * <double> (i + 1), fixed = mf_exp(-t) - mf_exp(-10.0 * t)
    cdef number E = exp_of(-t * x[0]), F = exp_of(-t * x[1])
    if d != NULL:
        d[0], d[1], d[2] = -t * E, t * F, -fixed
    return E - F - x[2] * fixed


# ---- four unknowns and more ---------------------------------------------------------------------------------------------------------

cdef number extended_powell(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef ptrdiff_t k = i - i % 4
    cdef number part
    cdef bint has_gradient = clear(o, d)
    if i % 4 == 0:
        if has_gradient:
            d[k], d[k + 1] = 1.0, 10.0
        return x[k] + 10.0 * x[k + 1]
    if i % 4 == 1:
        if has_gradient:
            d[k + 2], d[k + 3] = 2.23606797749979, -2.23606797749979
        return 2.23606797749979 * (x[k + 2] - x[k + 3])
    if i % 4 == 2:
        part = x[k + 1] - 2.0 * x[k + 2]
        if has_gradient:
            d[k + 1], d[k + 2] = 2.0 * part, -4.0 * part
        return part * part
    part = x[k] - x[k + 3]
    if has_gradient:
        d[k], d[k + 3] = 6.324555320336759 * part, -6.324555320336759 * part
    return 3.1622776601683795 * (part * part)


cdef number wood(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double scale = 10.0 if i == 0 else 9.486832980505138
    cdef ptrdiff_t k = i - i % 2
    cdef bint has_gradient = clear(o, d)
    if i == 0 or i == 2:
        if has_gradient:
            d[k], d[k + 1] = -2.0 * scale * x[k], scale
        return scale * (x[k + 1] - x[k] * x[k])
    if i == 1 or i == 3:
        if has_gradient:
            d[k] = -1.0
        return 1.0 - x[k]
    if i == 4:
        if has_gradient:
            d[1] = d[3] = 3.1622776601683795
        return 3.1622776601683795 * (x[1] + x[3] - 2.0)
    if has_gradient:
        d[1], d[3] = 0.31622776601683794, -0.31622776601683794
    return 0.31622776601683794 * (x[1] - x[3])


cdef number kowalik_osborne(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double u = o.X[i]
    cdef number above = u * (u + x[1]), below = u * (u + x[2]) + x[3], share = over(above, below)
    if d != NULL:
        d[0], d[1], d[2], d[3] = -share, over(-x[0] * u, below), over(x[0] * share * u, below), over(x[0] * share, below)
    return o.y[i] - x[0] * share


cdef number brown_dennis(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double t = 0.2 * <double> (i + 1), s = sin(t)
    cdef number a = x[0] + t * x[1] - mf_exp(t), b = x[2] + s * x[3] - cos(t)
    if d != NULL:
        d[0], d[1], d[2], d[3] = 2.0 * a, 2.0 * t * a, 2.0 * b, 2.0 * s * b
    return a * a + b * b


cdef number osborne_1(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double t = 10.0 * <double> i
    cdef number E = exp_of(-t * x[3]), F = exp_of(-t * x[4])
    if d != NULL:
        d[0], d[1], d[2], d[3], d[4] = -1.0, -E, -F, t * x[1] * E, t * x[2] * F
    return o.y[i] - (x[0] + x[1] * E + x[2] * F)


cdef number biggs_exp6(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double t = 0.1 * <double> (i + 1), y = mf_exp(-t) - 5.0 * mf_exp(-10.0 * t) + 3.0 * mf_exp(-4.0 * t)
    cdef number E = exp_of(-t * x[0]), F = exp_of(-t * x[1]), G = exp_of(-t * x[4])
    if d != NULL:
        d[0], d[1], d[2], d[3], d[4], d[5] = -t * x[2] * E, t * x[3] * F, E, -F, -t * x[5] * G, G
    return x[2] * E - x[3] * F + x[5] * G - y


cdef number osborne_2(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double t = 0.1 * <double> i
    cdef number E = exp_of(-t * x[4]), total = x[0] * E, away
    cdef int k
    if d != NULL:
        d[0], d[4] = -E, t * x[0] * E
    for k in range(3):
        away = t - x[8 + k]
        E = exp_of(-(away * away) * x[5 + k])
        total = total + x[1 + k] * E
        if d != NULL:
            d[1 + k], d[5 + k], d[8 + k] = -E, x[1 + k] * E * (away * away), -2.0 * x[1 + k] * x[5 + k] * E * away
    return o.y[i] - total


cdef number watson(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double t = <double> (i + 1) / 29.0, power = 1.0, before = 0.0
    cdef number value = 0.0, slope = 0.0
    cdef ptrdiff_t j
    if i >= 29:
        if clear(o, d):
            d[0] = 1.0 if i == 29 else -2.0 * x[0]
            d[1] = 0.0 if i == 29 else 1.0
        return x[0] if i == 29 else x[1] - x[0] * x[0] - 1.0
    for j in range(o.n):
        value = value + power * x[j]
        slope = slope + <double> j * before * x[j]
        before, power = power, power * t
    power, before = 1.0, 0.0
    if d != NULL:
        for j in range(o.n):
            d[j] = <double> j * before - 2.0 * value * power
            before, power = power, power * t
    return slope - value * value - 1.0


# ---- any number of unknowns ---------------------------------------------------------------------------------------------------------

cdef number penalty_1(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef number total = 0.0
    cdef ptrdiff_t j
    if i < o.n:
        if clear(o, d):
            d[i] = 0.0031622776601683794
        return 0.0031622776601683794 * (x[i] - 1.0)
    for j in range(o.n):
        total = total + x[j] * x[j]
        if d != NULL:
            d[j] = 2.0 * x[j]
    return total - 0.25


cdef number penalty_2(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double root = 0.0031622776601683794, y
    cdef number total = 0.0, E, F
    cdef ptrdiff_t j
    cdef bint has_gradient = clear(o, d)
    if i == 0:
        if has_gradient:
            d[0] = 1.0
        return x[0] - 0.2
    if i < o.n:
        y = mf_exp(0.1 * <double> (i + 1)) + mf_exp(0.1 * <double> i)
        E, F = exp_of(0.1 * x[i]), exp_of(0.1 * x[i - 1])
        if has_gradient:
            d[i], d[i - 1] = 0.1 * root * E, 0.1 * root * F
        return root * (E + F - y)
    if i < 2 * o.n - 1:
        E = exp_of(0.1 * x[i - o.n + 1])
        if has_gradient:
            d[i - o.n + 1] = 0.1 * root * E
        return root * (E - mf_exp(-0.1))
    for j in range(o.n):
        total = total + <double> (o.n - j) * (x[j] * x[j])
        if has_gradient:
            d[j] = 2.0 * <double> (o.n - j) * x[j]
    return total - 1.0


cdef number variably_dimensioned(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef number total = 0.0
    cdef ptrdiff_t j
    if i < o.n:
        if clear(o, d):
            d[i] = 1.0
        return x[i] - 1.0
    for j in range(o.n):
        total = total + <double> (j + 1) * (x[j] - 1.0)
    if d != NULL:
        for j in range(o.n):
            d[j] = <double> (j + 1) * (1.0 if i == o.n else 2.0 * total)
    return total if i == o.n else total * total


cdef number trigonometric(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef number total = 0.0, cosine = cos_of(x[i]), s = sin_of(x[i])
    cdef ptrdiff_t j
    for j in range(o.n):
        total = total + (1.0 - cos_of(x[j]))
        if d != NULL:
            d[j] = sin_of(x[j])
    if d != NULL:
        d[i] = d[i] + <double> (i + 1) * s - cosine
    return total + <double> (i + 1) * (1.0 - cosine) - s


cdef number brown_almost_linear(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef number total = 0.0, product = 1.0
    cdef ptrdiff_t j, k
    if i < o.n - 1:
        for j in range(o.n):
            total = total + x[j]
            if d != NULL:
                d[j] = 1.0
        if d != NULL:
            d[i] = 2.0
        return x[i] + total - <double> (o.n + 1)
    for j in range(o.n):
        product = product * x[j]
    if d != NULL:
        for j in range(o.n):             # no division: an x_j may be 0
            d[j] = 1.0
            for k in range(o.n):
                if k != j:
                    d[j] = d[j] * x[k]
    return product - 1.0


cdef number discrete_boundary(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double h = 1.0 / <double> (o.n + 1), t = h * <double> (i + 1)
    cdef number bump = x[i] + (t + 1.0), value = 2.0 * x[i] + 0.5 * (h * h) * (bump * bump * bump)
    cdef bint has_gradient = clear(o, d)
    if has_gradient:
        d[i] = 2.0 + 1.5 * (h * h) * (bump * bump)
    if i > 0:
        value = value - x[i - 1]
        if has_gradient:
            d[i - 1] = -1.0
    if i < o.n - 1:
        value = value - x[i + 1]
        if has_gradient:
            d[i + 1] = -1.0
    return value


cdef number discrete_integral(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double h = 1.0 / <double> (o.n + 1), t = h * <double> (i + 1), s, kernel
    cdef number total = 0.0, bump
    cdef ptrdiff_t j
    for j in range(o.n):
        s = h * <double> (j + 1)
        kernel = 0.5 * h * ((1.0 - t) * s if j <= i else t * (1.0 - s))
        bump = x[j] + (s + 1.0)
        total = total + kernel * (bump * bump * bump)
        if d != NULL:
            d[j] = 3.0 * kernel * (bump * bump)
    if d != NULL:
        d[i] = d[i] + 1.0
    return x[i] + total


cdef number broyden_tridiagonal(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef number value = (3.0 - 2.0 * x[i]) * x[i] + 1.0
    cdef bint has_gradient = clear(o, d)
    if has_gradient:
        d[i] = 3.0 - 4.0 * x[i]
    if i > 0:
        value = value - x[i - 1]
        if has_gradient:
            d[i - 1] = -1.0
    if i < o.n - 1:
        value = value - 2.0 * x[i + 1]
        if has_gradient:
            d[i + 1] = -2.0
    return value


cdef number broyden_banded(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef number value = x[i] * (2.0 + 5.0 * (x[i] * x[i])) + 1.0
    cdef ptrdiff_t j
    cdef bint has_gradient = clear(o, d)
    for j in range(max(<ptrdiff_t> 0, i - 5), min(o.n, i + 2)):
        if j != i:
            value = value - x[j] * (1.0 + x[j])
            if has_gradient:
                d[j] = -1.0 - 2.0 * x[j]
    if has_gradient:
        d[i] = 2.0 + 15.0 * (x[i] * x[i])
    return value


cdef number linear_full_rank(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double share = 2.0 / <double> o.rows
    cdef number total = 0.0, entry = 0.0
    cdef ptrdiff_t j
    for j in range(o.n):
        total = total + x[j]
        if d != NULL:
            d[j] = -share + (1.0 if j == i else 0.0)
    if i < o.n:
        entry = x[i]
    return entry - share * total - 1.0


cdef number linear_rank_1(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double factor = <double> (i + 1)
    cdef number total = 0.0
    cdef ptrdiff_t j
    for j in range(o.n):
        total = total + <double> (j + 1) * x[j]
        if d != NULL:
            d[j] = factor * <double> (j + 1)
    return factor * total - 1.0


cdef number linear_rank_1_zeros(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    cdef double factor = 0.0 if i == 0 or i == o.rows - 1 else <double> i
    cdef number total = 0.0
    cdef ptrdiff_t j
    cdef bint has_gradient = clear(o, d)
    for j in range(1, o.n - 1):
        total = total + <double> (j + 1) * x[j]
        if has_gradient:
            d[j] = factor * <double> (j + 1)
    return factor * total - 1.0


cdef number chebyquad(const objective_t *o, const number *x, ptrdiff_t i, number *d) noexcept nogil:
    """The mean of T_(i+1)(2 x_j - 1), less its integral over [0, 1]; T and T' by their recurrences."""
    cdef double share = 1.0 / <double> o.n, k = <double> (i + 1), integral = 0.0 if i % 2 == 0 else -1.0 / (k * k - 1.0)
    cdef number total = 0.0, z, T, older, S, oldest
    cdef ptrdiff_t j, _step
    for j in range(o.n):
        z = 2.0 * x[j] - 1.0
        older, T, oldest, S = 1.0, z, 0.0, 2.0
        for _step in range(i):
            older, T, oldest, S = T, 2.0 * z * T - older, S, 4.0 * T + 2.0 * z * S - oldest
        total = total + T
        if d != NULL:
            d[j] = share * S
    return share * total - integral


# ---- the records, in the paper's order ----------------------------------------------------------------------------------------------

cdef objective_record_t[35] TABLE
cdef const objective_record_t *RECORDS[36]
cdef int count = 0


cdef void record(const char *name, const char *formula, residual_fn residual, dual_fn dual, int flags=0) noexcept:
    global count
    cdef objective_record_t *r = &TABLE[count]
    set_squares(r, residual, dual, flags)
    r.name, r.formula, r.family = name, formula, b"mgh"
    r.reference = b"J. More, B. Garbow and K. Hillstrom, ACM Trans. Math. Softw. 7 (1981) 17-41"
    RECORDS[count] = r
    count += 1
    RECORDS[count] = NULL


record(b"rosenbrock_valley", b"10 (x2 - x1^2), 1 - x1", extended_rosenbrock, extended_rosenbrock)
record(b"freudenstein_roth", b"-13 + x1 + ((5 - x2) x2 - 2) x2, -29 + x1 + ((x2 + 1) x2 - 14) x2", freudenstein_roth, freudenstein_roth)
record(b"powell_badly_scaled", b"1e4 x1 x2 - 1, e^-x1 + e^-x2 - 1.0001", powell_badly_scaled, powell_badly_scaled)
record(b"brown_badly_scaled", b"x1 - 1e6, x2 - 2e-6, x1 x2 - 2", brown_badly_scaled, brown_badly_scaled)
record(b"beale", b"y_i - x1 (1 - x2^i)", beale, beale)
record(b"jennrich_sampson", b"2 + 2 i - (e^(i x1) + e^(i x2))", jennrich_sampson, jennrich_sampson)
record(b"helical_valley", b"10 (x3 - 10 angle(x1, x2)), 10 (sqrt(x1^2 + x2^2) - 1), x3", helical_valley, helical_valley, OBJECTIVE_LIBM)
record(b"bard", b"y_i - (x1 + u_i/(v_i x2 + w_i x3))", bard, bard)
record(b"gaussian", b"x1 e^(-x2 (t_i - x3)^2/2) - y_i", gaussian, gaussian)
record(b"meyer", b"x1 e^(x2/(t_i + x3)) - y_i", meyer, meyer)
record(b"gulf", b"e^(-|y_i - x2|^x3/x1) - t_i", gulf, gulf)
record(b"box_three", b"e^(-t_i x1) - e^(-t_i x2) - x3 (e^-t_i - e^(-10 t_i))", box_three, box_three)
record(b"powell_singular", b"x1 + 10 x2, sqrt(5) (x3 - x4), (x2 - 2 x3)^2, sqrt(10) (x1 - x4)^2", extended_powell, extended_powell)
record(b"wood", b"10 (x2 - x1^2), 1 - x1, sqrt(90) (x4 - x3^2), 1 - x3, sqrt(10) (x2 + x4 - 2), (x2 - x4)/sqrt(10)", wood, wood)
record(b"kowalik_osborne", b"y_i - x1 (u_i^2 + u_i x2)/(u_i^2 + u_i x3 + x4)", kowalik_osborne, kowalik_osborne)
record(b"brown_dennis", b"(x1 + t_i x2 - e^t_i)^2 + (x3 + x4 sin t_i - cos t_i)^2", brown_dennis, brown_dennis, OBJECTIVE_LIBM)
record(b"osborne_1", b"y_i - (x1 + x2 e^(-t_i x4) + x3 e^(-t_i x5))", osborne_1, osborne_1)
record(b"biggs_exp6", b"x3 e^(-t_i x1) - x4 e^(-t_i x2) + x6 e^(-t_i x5) - y_i", biggs_exp6, biggs_exp6)
record(b"osborne_2", b"y_i - (x1 e^(-t_i x5) + three bells)", osborne_2, osborne_2)
record(b"watson", b"sum (j - 1) x_j t_i^(j - 2) - (sum x_j t_i^(j - 1))^2 - 1, x1, x2 - x1^2 - 1", watson, watson)
record(b"extended_rosenbrock", b"10 (x_(2k) - x_(2k-1)^2), 1 - x_(2k-1)", extended_rosenbrock, extended_rosenbrock)
record(b"extended_powell", b"powell_singular of each four unknowns", extended_powell, extended_powell)
record(b"penalty_1", b"sqrt(1e-5) (x_i - 1), sum x_j^2 - 1/4", penalty_1, penalty_1)
record(b"penalty_2", b"x1 - 0.2, sqrt(1e-5) (e^(x_i/10) + e^(x_(i-1)/10) - y_i), ..., sum (n - j + 1) x_j^2 - 1", penalty_2, penalty_2)
record(b"variably_dimensioned", b"x_i - 1, sum j (x_j - 1), its square", variably_dimensioned, variably_dimensioned)
record(b"trigonometric", b"n - sum cos x_j + i (1 - cos x_i) - sin x_i", trigonometric, trigonometric, OBJECTIVE_LIBM)
record(b"brown_almost_linear", b"x_i + sum x_j - (n + 1), prod x_j - 1", brown_almost_linear, brown_almost_linear)
record(b"discrete_boundary", b"2 x_i - x_(i-1) - x_(i+1) + h^2 (x_i + t_i + 1)^3/2", discrete_boundary, discrete_boundary)
record(b"discrete_integral", b"x_i + h ((1 - t_i) sum_(j<=i) t_j c_j + t_i sum_(j>i) (1 - t_j) c_j)/2, c_j = (x_j + t_j + 1)^3",
    discrete_integral, discrete_integral)
record(b"broyden_tridiagonal", b"(3 - 2 x_i) x_i - x_(i-1) - 2 x_(i+1) + 1", broyden_tridiagonal, broyden_tridiagonal)
record(b"broyden_banded", b"x_i (2 + 5 x_i^2) + 1 - sum of x_j (1 + x_j), j from i - 5 to i + 1 but i", broyden_banded, broyden_banded)
record(b"linear_full_rank", b"x_i - (2/m) sum x_j - 1, x_i being 0 beyond n", linear_full_rank, linear_full_rank)
record(b"linear_rank_1", b"i sum j x_j - 1", linear_rank_1, linear_rank_1)
record(b"linear_rank_1_zeros", b"(i - 1) sum_(1<j<n) j x_j - 1, the first and the last -1", linear_rank_1_zeros, linear_rank_1_zeros)
record(b"chebyquad", b"mean of T_i(2 x_j - 1) less its integral", chebyquad, chebyquad)

_records = PyCapsule_New(<void *> RECORDS, b"mflow_core._objectives", NULL)
