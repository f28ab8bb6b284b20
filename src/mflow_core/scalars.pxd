# cython: language_level=3
"""Scalars carried from step to step, the same bits on every machine: running products in double-double, and a power. No libm, no fma."""
from libc.stdint cimport int64_t, uint64_t

from mflow_core.vec cimport mf_bits, mf_from_bits


cdef inline double product_error(double a, double b, double p) noexcept nogil:
    """a b - p, exactly, where p is the rounded product (Dekker 1971)."""
    cdef double c = 134217729.0 * a, a_hi, a_lo, b_hi, b_lo
    a_hi = c - (c - a)
    a_lo = a - a_hi
    c = 134217729.0 * b
    b_hi = c - (c - b)
    b_lo = b - b_hi
    return ((a_hi * b_hi - p) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo


cdef inline void multiply(double *pair, double factor) noexcept nogil:
    """pair (hi + lo) *= factor, without fma; 0 below 2^-60, where 1 - pair is 1."""
    cdef double p = pair[0] * factor, error = product_error(pair[0], factor, p) + pair[1] * factor, total = p + error
    pair[1] = error - (total - p)
    pair[0] = total
    if total < 8.673617379884035e-19:
        pair[0] = pair[1] = 0.0


cdef inline double one_minus(const double *pair) noexcept nogil:
    return (1.0 - pair[0]) - pair[1]


cdef extern from *:
    """
    /* The series of exp: 1/j!. */
    static const double MF_EXP[14] = {1., 1., 1./2, 1./6, 1./24, 1./120, 1./720, 1./5040, 1./40320, 1./362880, 1./3628800,
                                      1./39916800, 1./479001600, 1./6227020800};
    """
    const double *MF_EXP


cdef inline double power_of_096(double x) noexcept nogil:
    """0.96^x for x >= 0 to about one unit in the last place, the same bits everywhere: 2^(x log2 0.96) by range reduction."""
    cdef double log2_hi = -0.05889368905356852, log2_lo = 2.4578078353456555e-18    # log2(0.96) to 107 bits
    cdef double p = x * log2_hi, e, f, s = MF_EXP[13]
    cdef int64_t whole
    cdef int j
    if not x < 1200.0:                   # below 2^-70, and infinity: the schedule is over
        return 0.0
    e = product_error(x, log2_hi, p) + x * log2_lo
    whole = <int64_t> (p - 0.5)          # p <= 0: the nearest whole number
    f = ((p - <double> whole) + e) * 0.6931471805599453
    for j in range(12, -1, -1):          # exp(f), |f| <= 0.35
        s = MF_EXP[j] + s * f
    return s * mf_from_bits(<uint64_t> (1023 + whole) << 52)


cdef extern from *:
    """
    /* The series of log((1 + s)/(1 - s))/(2 s) in s^2: 1/(2 j + 1). */
    static const double MF_LOG[12] = {1., 1./3, 1./5, 1./7, 1./9, 1./11, 1./13, 1./15, 1./17, 1./19, 1./21, 1./23};
    """
    const double *MF_LOG


cdef inline double mf_power(double x, double p) noexcept nogil:
    """x^p to about two units in the last place for |p| <= 1, the same bits everywhere; NaN where x < 0.

    With x = 2^e m, sqrt(1/2) <= m < sqrt(2): x^p = 2^(p e) exp(p log m). p e is kept exactly, so that a large exponent costs no digits.
    """
    cdef double scale = 0.0, m, s, square, series = MF_LOG[11], u, v, whole_u, whole_v, f, value = MF_EXP[13]
    cdef uint64_t bits
    cdef int64_t whole, half
    cdef int j
    if p == 0.0:
        return 1.0
    if not (x > 0.0 and x - x == 0.0 and p - p == 0.0):
        if x == 0.0 or x - x != 0.0 and x > 0.0:
            if p == p:
                return 0.0 if (x == 0.0) == (p > 0.0) else mf_from_bits(0x7FF0000000000000)
        if x > 0.0 and p == p:           # p is infinite
            return 1.0 if x == 1.0 else (0.0 if (x < 1.0) == (p > 0.0) else mf_from_bits(0x7FF0000000000000))
        return mf_from_bits(0x7FF8000000000000)
    if x < 2.2250738585072014e-308:      # subnormal: 2^54 more
        x = x * 18014398509481984.0
        scale = -54.0
    bits = mf_bits(x)
    scale = scale + <double> (<int64_t> (bits >> 52) - 1023)
    m = mf_from_bits((bits & <uint64_t> 0x000FFFFFFFFFFFFF) | <uint64_t> 0x3FF0000000000000)
    if m > 1.4142135623730951:
        m = 0.5 * m
        scale = scale + 1.0
    s = (m - 1.0) / (m + 1.0)            # |s| < 0.172
    square = s * s
    for j in range(10, -1, -1):
        series = MF_LOG[j] + series * square
    series = 2.0 * (s * series)          # log m
    u = p * scale                        # x^p = 2^u exp(p log m); v is the second exponent against 2
    v = p * (series * 1.4426950408889634)
    if not u + v < 1030.0:
        return mf_from_bits(0x7FF0000000000000)
    if u + v < -1080.0:
        return 0.0
    whole_u = <double> <int64_t> (u - 0.5 if u < 0.0 else u + 0.5)
    whole_v = <double> <int64_t> (v - 0.5 if v < 0.0 else v + 0.5)
    f = ((u - whole_u) + product_error(p, scale, u)) * 0.6931471805599453 + (p * series - whole_v * 0.6931471805599453)
    whole = <int64_t> whole_u + <int64_t> whole_v
    if f > 0.34657359027997264:          # the two remainders together: back into one half
        f -= 0.6931471805599453
        whole += 1
    elif f < -0.34657359027997264:
        f += 0.6931471805599453
        whole -= 1
    for j in range(12, -1, -1):          # exp(f), |f| <= 0.36
        value = MF_EXP[j] + value * f
    half = whole // 2                    # in two factors: the exponent of one alone may overflow where the power does not
    return (value * mf_from_bits(<uint64_t> (1023 + half) << 52)) * mf_from_bits(<uint64_t> (1023 + (whole - half)) << 52)
