# cython: language_level=3
"""Scalars carried from step to step, the same bits on every machine: running products in double-double, and a power. No libm, no fma."""
from libc.stdint cimport int64_t, uint64_t

from mflow_core.vec cimport mf_from_bits


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
