"""The 27 nonlinear regressions of NIST's Statistical Reference Datasets: f = sum (model(x_i; b) - y_i)^2/2.

Each formula has one function: the residual of row i of the data and, unless d is NULL, its derivatives. y NULL: the model alone. Sums
of terms are built from functions of their parameters. Each is written for doubles and for dual numbers (objectives.pxd). Exponentials
and logarithms are those of scalars.pxd; the flag OBJECTIVE_LIBM marks records that use sin, cos or atan of the C library.

Source: NIST/ITL Statistical Reference Datasets, nonlinear regression.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.stddef cimport ptrdiff_t

from mflow_core.arithmetic.scalars cimport mf_exp, mf_expm1, mf_log1p
from mflow_core.objectives.objectives cimport (OBJECTIVE_LIBM, along, atan_of, cos_of, dual_fn, exp_of, log_of, number,
                                               objective_record_t, objective_t, over, real_of, residual_fn, set_squares, sin_of, sqrt_of)


cdef inline double y_of(const objective_t *o, ptrdiff_t i) noexcept nogil:
    return 0.0 if o.y == NULL else o.y[i]


cdef inline number expm1_of(number z) noexcept nogil:
    cdef double x = real_of(z)
    return along(z, mf_expm1(x), mf_exp(x))


cdef inline number softplus_of(number z) noexcept nogil:
    """log(1 + e^z), which is about z where e^z overflows."""
    cdef double x = real_of(z), E = mf_exp(-x if x > 0.0 else x)
    return along(z, (x if x > 0.0 else 0.0) + mf_log1p(E), (1.0 if x > 0.0 else E) / (1.0 + E))


# ---- terms of several models: value, and derivatives to d ---------------------------------------------------------------------------

cdef inline number decay(double x, const number *b, number *d) noexcept nogil:
    """b1 e^(-b2 x)."""
    cdef number E = exp_of(-b[1] * x)
    if d != NULL:
        d[0], d[1] = E, -b[0] * x * E
    return b[0] * E


cdef inline number peak(double x, const number *b, number *d) noexcept nogil:
    """b1 e^(-((x - b2)/b3)^2)."""
    cdef number away = over(x - b[1], b[2]), E = exp_of(-(away * away)), slope
    if d != NULL:
        slope = over(2.0 * b[0] * away * E, b[2])
        d[0], d[1], d[2] = E, slope, slope * away
    return b[0] * E


cdef inline number wave(double x, const number *b, number *d) noexcept nogil:
    """b2 cos(a) + b3 sin(a), a = 2 pi x/b1."""
    cdef number whole = 6.283185307179586 * x, angle = over(whole, b[0]), c = cos_of(angle), s = sin_of(angle)
    if d != NULL:
        d[0], d[1], d[2] = over((b[1] * s - b[2] * c) * angle, b[0]), c, s
    return b[1] * c + b[2] * s


cdef inline number ratio(double x, const number *b, int above, int below, number *d) noexcept nogil:
    """(b0 + b1 x + ... )/(1 + ...): polynomials of degrees above and below."""
    cdef number top = b[above], bottom = b[above + below], share
    cdef double power = 1.0
    cdef int k
    for k in range(above - 1, -1, -1):
        top = top * x + b[k]
    for k in range(below - 1, 0, -1):
        bottom = bottom * x + b[above + k]
    bottom = 1.0 + bottom * x
    share = over(top, bottom)
    if d != NULL:
        for k in range(above + 1):
            d[k] = over(<number> power, bottom)
            power = power * x
        power = 1.0
        for k in range(below):
            power = power * x
            d[above + 1 + k] = over(-share * power, bottom)
    return share


# ---- the models ---------------------------------------------------------------------------------------------------------------------

cdef number misra_exponential(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number share = -expm1_of(-b[1] * x)
    if d != NULL:
        d[0], d[1] = share, b[0] * x * exp_of(-b[1] * x)
    return b[0] * share - y_of(o, i)


cdef number misra_two(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number one = 1.0, left = over(one, 1.0 + b[1] * x * 0.5)
    if d != NULL:
        d[0], d[1] = 1.0 - left * left, b[0] * x * left * left * left
    return b[0] * (1.0 - left * left) - y_of(o, i)


cdef number misra_half(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number one = 1.0, left = over(one, sqrt_of(1.0 + 2.0 * b[1] * x))
    if d != NULL:
        d[0], d[1] = 1.0 - left, b[0] * x * left * left * left
    return b[0] * (1.0 - left) - y_of(o, i)


cdef number misra_one(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number one = 1.0, left = over(one, 1.0 + b[1] * x)
    if d != NULL:
        d[0], d[1] = b[1] * x * left, b[0] * x * left * left
    return b[0] * b[1] * x * left - y_of(o, i)


cdef number chwirut(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number below = b[1] + b[2] * x, value = over(exp_of(-b[0] * x), below)
    if d != NULL:
        d[0], d[1], d[2] = -x * value, over(-value, below), over(-x * value, below)
    return value - y_of(o, i)


cdef number three_decays(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number value = decay(x, b, d)
    value = value + decay(x, b + 2, d + 2 if d != NULL else d)
    value = value + decay(x, b + 4, d + 4 if d != NULL else d)
    return value - y_of(o, i)


cdef number decay_and_two_peaks(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number value = decay(x, b, d)
    value = value + peak(x, b + 2, d + 2 if d != NULL else d)
    value = value + peak(x, b + 5, d + 5 if d != NULL else d)
    return value - y_of(o, i)


cdef number danwood(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef number L = log_of(<number> o.X[i * o.ldx]), power = exp_of(b[1] * L)
    if d != NULL:
        d[0], d[1] = power, b[0] * power * L
    return b[0] * power - y_of(o, i)


cdef number kirby(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    return ratio(o.X[i * o.ldx], b, 2, 2, d) - y_of(o, i)


cdef number cubic_ratio(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    return ratio(o.X[i * o.ldx], b, 3, 3, d) - y_of(o, i)


cdef number nelson(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef number E = o.X[i * o.ldx] * exp_of(-b[2] * o.X[i * o.ldx + 1])
    if d != NULL:
        d[0], d[1], d[2] = 1.0, -E, b[1] * o.X[i * o.ldx + 1] * E
    return b[0] - b[1] * E - y_of(o, i)


cdef number constant_and_two_decays(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number E = exp_of(-b[3] * x), F = exp_of(-b[4] * x)
    if d != NULL:
        d[0], d[1], d[2], d[3], d[4] = 1.0, E, F, -b[1] * x * E, -b[2] * x * F
    return b[0] + b[1] * E + b[2] * F - y_of(o, i)


cdef number roszman(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number away = x - b[3], scale
    if d != NULL:
        scale = 0.3183098861837907
        scale = over(scale, away * away + b[2] * b[2])
        d[0], d[1], d[2], d[3] = 1.0, -x, -away * scale, -b[2] * scale
    return b[0] - b[1] * x - atan_of(over(b[2], away)) * 0.3183098861837907 - y_of(o, i)


cdef number enso(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    """A constant, a yearly wave, and two of free periods."""
    cdef double x = o.X[i * o.ldx]
    cdef number angle = 6.283185307179586 * x / 12.0, c = cos_of(angle), s = sin_of(angle), value = b[0] + b[1] * c + b[2] * s
    if d != NULL:
        d[0], d[1], d[2] = 1.0, c, s
    value = value + wave(x, b + 3, d + 3 if d != NULL else d)
    value = value + wave(x, b + 6, d + 6 if d != NULL else d)
    return value - y_of(o, i)


cdef number mgh09(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number below = x * (x + b[2]) + b[3], share = over(x * (x + b[1]), below)
    if d != NULL:
        d[0], d[1], d[2], d[3] = share, over(b[0] * x, below), over(-b[0] * share * x, below), over(-b[0] * share, below)
    return b[0] * share - y_of(o, i)


cdef number mgh10(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef number shifted = o.X[i * o.ldx] + b[2], E = exp_of(over(b[1], shifted))
    if d != NULL:
        d[0], d[1], d[2] = E, over(b[0] * E, shifted), over(-b[0] * E * b[1], shifted * shifted)
    return b[0] * E - y_of(o, i)


cdef number rat42(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number u = b[1] - b[2] * x, share = exp_of(-softplus_of(u)), slope
    if d != NULL:
        slope = -b[0] * share * exp_of(-softplus_of(-u))
        d[0], d[1], d[2] = share, slope, -x * slope
    return b[0] * share - y_of(o, i)


cdef number rat43(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef double x = o.X[i * o.ldx]
    cdef number u = b[1] - b[2] * x, L = softplus_of(u), share = exp_of(over(-L, b[3])), slope
    if d != NULL:
        slope = over(-b[0] * share, b[3]) * exp_of(-softplus_of(-u))
        d[0], d[1], d[2], d[3] = share, slope, -x * slope, over(b[0] * share * L, b[3] * b[3])
    return b[0] * share - y_of(o, i)


cdef number eckerle(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef number away = over(o.X[i * o.ldx] - b[2], b[1]), E = over(exp_of(-0.5 * (away * away)), b[1]), scaled
    if d != NULL:
        scaled = over(b[0] * E, b[1])
        d[0], d[1], d[2] = E, scaled * (away * away - 1.0), scaled * away
    return b[0] * E - y_of(o, i)


cdef number bennett(const objective_t *o, const number *b, ptrdiff_t i, number *d) noexcept nogil:
    cdef number shifted = b[1] + o.X[i * o.ldx], L = log_of(shifted), power = exp_of(over(-L, b[2])), scaled
    if d != NULL:
        scaled = over(b[0] * power, b[2])
        d[0], d[1], d[2] = power, over(-scaled, shifted), over(scaled * L, b[2])
    return b[0] * power - y_of(o, i)


# ---- the records, in NIST's order: lower, then average, then higher difficulty ------------------------------------------------------

cdef objective_record_t[27] TABLE
cdef const objective_record_t *RECORDS[28]
cdef int count = 0


cdef void record(const char *name, const char *formula, residual_fn residual, dual_fn dual, int flags=0) noexcept:
    global count
    cdef objective_record_t *r = &TABLE[count]
    set_squares(r, residual, dual, flags)
    r.name, r.formula, r.family = name, formula, b"nist"
    r.reference = b"NIST/ITL Statistical Reference Datasets (2003)"
    RECORDS[count] = r
    count += 1
    RECORDS[count] = NULL


cdef const char *saturation = b"b1 (1 - e^(-b2 x))"
cdef const char *decays = b"b1 e^(-b2 x) + b3 e^(-b4 x) + b5 e^(-b6 x)"
cdef const char *peaks = b"b1 e^(-b2 x) + b3 e^(-((x - b4)/b5)^2) + b6 e^(-((x - b7)/b8)^2)"
cdef const char *cubics = b"(b1 + b2 x + b3 x^2 + b4 x^3)/(1 + b5 x + b6 x^2 + b7 x^3)"

record(b"Misra1a", saturation, misra_exponential, misra_exponential)
record(b"Chwirut2", b"e^(-b1 x)/(b2 + b3 x)", chwirut, chwirut)
record(b"Chwirut1", b"e^(-b1 x)/(b2 + b3 x)", chwirut, chwirut)
record(b"Lanczos3", decays, three_decays, three_decays)
record(b"Gauss1", peaks, decay_and_two_peaks, decay_and_two_peaks)
record(b"Gauss2", peaks, decay_and_two_peaks, decay_and_two_peaks)
record(b"DanWood", b"b1 x^b2", danwood, danwood)
record(b"Misra1b", b"b1 (1 - (1 + b2 x/2)^-2)", misra_two, misra_two)
record(b"Kirby2", b"(b1 + b2 x + b3 x^2)/(1 + b4 x + b5 x^2)", kirby, kirby)
record(b"Hahn1", cubics, cubic_ratio, cubic_ratio)
record(b"Nelson", b"b1 - b2 x1 e^(-b3 x2), of log y", nelson, nelson)
record(b"MGH17", b"b1 + b2 e^(-b4 x) + b3 e^(-b5 x)", constant_and_two_decays, constant_and_two_decays)
record(b"Lanczos1", decays, three_decays, three_decays)
record(b"Lanczos2", decays, three_decays, three_decays)
record(b"Gauss3", peaks, decay_and_two_peaks, decay_and_two_peaks)
record(b"Misra1c", b"b1 (1 - (1 + 2 b2 x)^(-1/2))", misra_half, misra_half)
record(b"Misra1d", b"b1 b2 x/(1 + b2 x)", misra_one, misra_one)
record(b"Roszman1", b"b1 - b2 x - atan(b3/(x - b4))/pi", roszman, roszman, OBJECTIVE_LIBM)
record(b"ENSO", b"b1 + b2 cos(2 pi x/12) + b3 sin(2 pi x/12) + two waves of periods b4 and b7", enso, enso, OBJECTIVE_LIBM)
record(b"MGH09", b"b1 (x^2 + b2 x)/(x^2 + b3 x + b4)", mgh09, mgh09)
record(b"Thurber", cubics, cubic_ratio, cubic_ratio)
record(b"BoxBOD", saturation, misra_exponential, misra_exponential)
record(b"Rat42", b"b1/(1 + e^(b2 - b3 x))", rat42, rat42)
record(b"MGH10", b"b1 e^(b2/(x + b3))", mgh10, mgh10)
record(b"Eckerle4", b"b1/b2 e^(-((x - b3)/b2)^2/2)", eckerle, eckerle)
record(b"Rat43", b"b1/(1 + e^(b2 - b3 x))^(1/b4)", rat43, rat43)
record(b"Bennett5", b"b1 (b2 + x)^(-1/b3)", bennett, bennett)

_records = PyCapsule_New(<void *> RECORDS, b"mflow_core._objectives", NULL)
