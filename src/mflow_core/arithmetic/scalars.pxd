# cython: language_level=3
"""Scalars, the same bits on every machine: running products and whole powers in double-double, powers, exponentials and logarithms. No libm, no fma."""
from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t, uint64_t

from mflow_core.arithmetic.vec cimport mf_bits, mf_from_bits


cdef inline double product_error(double a, double b, double p) noexcept nogil:
    """a b - p, exactly, if p is the rounded product (Dekker 1971)."""
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


cdef inline void multiply_pair(double *pair, const double *factor) noexcept nogil:
    """pair *= factor, both hi + lo; they may be one. 0 below 2^-60."""
    cdef double a = pair[0], b = factor[0], p = a * b, error = product_error(a, b, p) + (a * factor[1] + pair[1] * b), total = p + error
    pair[1] = error - (total - p)
    pair[0] = total
    if total < 8.673617379884035e-19:
        pair[0] = pair[1] = 0.0


cdef inline void power_pair(double *pair, double base, int64_t exponent) noexcept nogil:
    """pair = base^exponent for 0 <= base <= 1, by squaring: as exact as so many calls of `multiply`, and 0 where they would be."""
    cdef double[2] square
    square[0], square[1] = base, 0.0
    pair[0], pair[1] = 1.0, 0.0
    while exponent > 0:
        if exponent & 1:
            multiply_pair(pair, square)
        exponent = exponent >> 1
        multiply_pair(square, square)


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
    half = whole // 2                    # in two factors: the exponent of one factor may overflow though the power does not
    return (value * mf_from_bits(<uint64_t> (1023 + half) << 52)) * mf_from_bits(<uint64_t> (1023 + (whole - half)) << 52)


# ---- exp, expm1, log and log1p ------------------------------------------------------------------------------------------------------

cdef extern from *:
    """
    /* 2^(j/32), rounded, and the relative rest of the rounding. */
    static const double MF_ROOT[32] = {
      1.0, 1.0218971486541166, 1.0442737824274138, 1.0671404006768237, 1.0905077326652577, 1.1143867425958924,
      1.1387886347566916, 1.1637248587775775, 1.189207115002721, 1.215247359980469, 1.241857812073484, 1.2690509571917332,
      1.2968395546510096, 1.3252366431597413, 1.3542555469368927, 1.383909881963832, 1.4142135623730951, 1.4451808069770467,
      1.4768261459394993, 1.5091644275934228, 1.5422108254079407, 1.5759808451078865, 1.6104903319492543, 1.645755478153965,
      1.681792830507429, 1.718619298122478, 1.7562521603732995, 1.7947090750031072, 1.8340080864093424, 1.8741676341103,
      1.9152065613971474, 1.9571441241754002};
    static const double MF_REST[32] = {
      0., 4.9997448722726326e-17, 8.1893176381955136e-17, -7.4028253094261774e-17, -2.7939114859515733e-17,
      9.3417106099050444e-17, 7.8265732586360749e-17, 3.2904726646008416e-17, 3.3484623336251524e-17, -6.3465521067294839e-17,
      3.7508542013031266e-17, 2.1023049675215714e-18, 1.9572585293112036e-17, -2.1571477251208756e-17, 5.68648095791174e-17,
      -4.8923067513522756e-17, -6.8358086576619232e-17, -2.092304381843353e-17, -2.3591094770850053e-17, -6.7352192323746829e-17,
      5.1548301170786783e-17, -6.432131775424189e-18, 1.5341410053603723e-17, -6.1526028915502647e-17, 4.8751605262270611e-17,
      -1.0772487078934056e-17, 1.6854872906289731e-17, 1.0156219011641501e-17, 1.7901269076045131e-17, -3.2669241009013178e-17,
      -5.5450656186394274e-17, 4.5784915277060089e-17};
    """
    const double *MF_ROOT
    const double *MF_REST


cdef inline int32_t split_exp(double x, double *above) noexcept nogil:
    """x = whole log(2)/32 + r, |r| <= log(2)/64: returns whole; above = e^r - 1 with the rest of the table's entry, relative to it."""
    cdef double shifted = x * 46.16624130844683 + 6755399441055744.0     # 1.5 2^52: the sum's last bit is worth 1
    cdef double whole = shifted - 6755399441055744.0
    cdef int32_t number = <int32_t> mf_bits(shifted)         # the sum's low bits are whole itself
    cdef double r = (x - whole * 0.021660849390173098) - whole * 2.325192846878874e-12
    cdef double square = r * r
    above[0] = r + (square * ((1./2 + r * (1./6)) + square * ((1./24 + r * (1./120)) + square * (1./720))) + MF_REST[number & 31])
    return number


cdef inline double scaled_root(int32_t whole) noexcept nogil:
    """2^(whole/32), as long as it is a normal number."""
    return mf_from_bits(mf_bits(MF_ROOT[whole & 31]) + (<uint64_t> <int64_t> (whole >> 5) << 52))


cdef inline double mf_exp(double x) noexcept nogil:
    """e^x to 0.55 units in the last place, the same bits everywhere."""
    cdef double above, root
    cdef int32_t whole, half
    if not fabs(x) < 708.0:              # near both ends of the range, and NaN
        if x != x:
            return x
        if x > 709.782712893384:
            return mf_from_bits(0x7FF0000000000000)
        if x < -745.14:
            return 0.0
        whole = split_exp(x, &above)
        root = MF_ROOT[whole & 31]
        whole = whole >> 5
        half = whole >> 1                # in two factors, of which neither leaves the range
        return ((root + root * above) * scaled_root(32 * half)) * scaled_root(32 * (whole - half))
    root = scaled_root(split_exp(x, &above))
    return root + root * above


cdef inline double mf_expm1(double x) noexcept nogil:
    """e^x - 1 to 2 units in the last place, the same bits everywhere."""
    cdef double above, root, square
    if not fabs(x) < 40.0:
        return mf_exp(x) if x != x or x > 0.0 else -1.0
    if fabs(x) < 0.03:                   # the series alone: above it the difference below loses little
        square = x * x
        return x + square * ((1./2 + x * (1./6)) + square * ((1./24 + x * (1./120)) + square * ((1./720 + x * (1./5040))
                                                                                               + square * (1./40320))))
    root = scaled_root(split_exp(x, &above))
    return (root - 1.0) + root * above


cdef inline double log_near_one(double x) noexcept nogil:
    """log(1 + x) for 1 + x between sqrt(1/2) and sqrt(2)."""
    cdef double s = x / (2.0 + x), square = s * s, series = MF_LOG[11]
    cdef int j
    for j in range(10, 0, -1):
        series = MF_LOG[j] + series * square
    # 2 s = x - s x, so that the large term x is exact.
    return x - s * (x - 2.0 * (square * series))


cdef inline double mf_log1p(double x) noexcept nogil:
    """log(1 + x) to 2 units in the last place, the same bits everywhere; NaN below -1."""
    cdef double u = 1.0 + x, rest, scale = 0.0
    cdef uint64_t bits
    if not (u > 0.0 and u - u == 0.0):
        return mf_from_bits(0xFFF0000000000000) if x == -1.0 else (x if x > 0.0 else mf_from_bits(0x7FF8000000000000))
    if 0.7071067811865476 < u < 1.4142135623730951:
        return log_near_one(x)
    rest = (1.0 - (u - x) if x > 1.0 else x - (u - 1.0)) / u             # the rounding of 1 + x
    bits = mf_bits(u)
    scale = <double> (<int64_t> (bits >> 52) - 1023)
    u = mf_from_bits((bits & <uint64_t> 0x000FFFFFFFFFFFFF) | <uint64_t> 0x3FF0000000000000)
    if u > 1.4142135623730951:
        u = 0.5 * u
        scale = scale + 1.0
    return scale * 0.6931471804855391 + (log_near_one(u - 1.0) + (scale * 7.440617110012397e-11 + rest))


cdef inline double mf_log(double x) noexcept nogil:
    """log(x) to 2 units in the last place, the same bits everywhere; NaN below 0."""
    cdef double scale = 0.0
    cdef uint64_t bits
    if not (x > 0.0 and x - x == 0.0):
        return mf_from_bits(0xFFF0000000000000) if x == 0.0 else (x if x > 0.0 else mf_from_bits(0x7FF8000000000000))
    if x < 2.2250738585072014e-308:      # subnormal: 2^54 more
        x = x * 18014398509481984.0
        scale = -54.0
    bits = mf_bits(x)
    scale = scale + <double> (<int64_t> (bits >> 52) - 1023)
    x = mf_from_bits((bits & <uint64_t> 0x000FFFFFFFFFFFFF) | <uint64_t> 0x3FF0000000000000)
    if x > 1.4142135623730951:
        x = 0.5 * x
        scale = scale + 1.0
    return scale * 0.6931471804855391 + (log_near_one(x - 1.0) + scale * 7.440617110012397e-11)
