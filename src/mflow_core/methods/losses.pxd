# cython: language_level=3
"""Losses l(t; y) of a linear predictor t: value, slopes, curvature, and the two maps of t that implicit SGD uses.

    root:  the t of  t = s - g l'(t)              backward Euler on one sample, g = gamma |x|^2
    flow:  t at time g of  t' = -l'(t), t(0) = s   the exact flow of one sample

Both also return p = (s - t)/g, without the cancellation of that difference: the weights move by -gamma p x. Values are measured from
their infimum, so the least value of a loss is 0. The squared loss and losses with kinks have closed forms. Logistic, Poisson and gamma
use Halley's iteration between bounds and end with the Taylor series of the equation when the last step d is so short that d^5 is
negligible. The series starts from a residual that is exact to the last bits, so a root is as accurate as its conditioning allows:

    |error| <= 4 2^-52 max(|t|, (|s| + g |l'(t)|)/(1 + g l''(t))).

No libm: the same bits everywhere. `shape` is Huber's delta or the level tau of a quantile; other losses ignore it.
"""
from libc.math cimport copysign, fabs
from libc.stdint cimport uint64_t

from mflow_core.arithmetic.scalars cimport mf_exp, mf_expm1, mf_log, mf_log1p
from mflow_core.arithmetic.vec cimport mf_bits, mf_from_bits
from mflow_core.types cimport mf_loss


cdef extern from *:
    """
    struct mf_loss {
      const char *name, *labels, *formula;
      int parameter;                                   /* the index of `shape` among the method's parameters; -1: none */
      int (*allows)(double y);                         /* whether y is in the domain of the loss */
      double (*value)(double t, double y, double shape);
      double (*curvature)(double t, double y, double shape);
      void (*slopes)(double t, double y, double shape, double *low, double *high);       /* equal except at a kink */
      double (*root)(double s, double y, double g, double shape, double *p);
      double (*flow)(double s, double y, double g, double shape, double *p);
    };
    """
    ctypedef struct loss_t "struct mf_loss":
        const char *name
        const char *labels
        const char *formula
        int parameter
        int (*allows)(double y) noexcept nogil
        double (*value)(double t, double y, double shape) noexcept nogil
        double (*curvature)(double t, double y, double shape) noexcept nogil
        void (*slopes)(double t, double y, double shape, double *low, double *high) noexcept nogil
        double (*root)(double s, double y, double g, double shape, double *p) noexcept nogil
        double (*flow)(double s, double y, double g, double shape, double *p) noexcept nogil


cdef enum:
    MAX_ITERATIONS = 200                 # a root takes 2 or 3; with bisections fewer than 100 from any start


# ---- squared, and losses of quadratic and linear pieces -----------------------------------------------------------------------------

cdef inline double squared_root(double s, double y, double g, double *p) noexcept nogil:
    cdef double share = 1.0 / (1.0 + g)
    p[0] = (s - y) * share
    return (s + g * y) * share


cdef inline double squared_flow(double s, double y, double g, double *p) noexcept nogil:
    cdef double e = s - y, change = mf_expm1(-g)
    p[0] = -e * change / g
    return s + e * change if g < 0.7 else y + e * mf_exp(-g)


cdef inline double huber_root(double s, double y, double g, double delta, double *p) noexcept nogil:
    cdef double e = s - y
    if fabs(e) <= delta * (1.0 + g):
        return squared_root(s, y, g, p)
    p[0] = delta if e > 0.0 else -delta
    return s - g * p[0]


cdef inline double huber_flow(double s, double y, double g, double delta, double *p) noexcept nogil:
    cdef double e = s - y, at_kink, last
    if fabs(e) <= delta:
        return squared_flow(s, y, g, p)
    p[0] = delta if e > 0.0 else -delta
    at_kink = (fabs(e) - delta) / delta
    if g <= at_kink:
        return s - g * p[0]
    last = p[0] * mf_exp(at_kink - g)
    p[0] = (e - last) / g
    return y + last


cdef inline double tilted_root(double s, double y, double g, double below, double above, double *p) noexcept nogil:
    """Slope -below under y and `above` over it: towards y, and not beyond. The exact flow is the same map."""
    cdef double e = s - y
    if -below * g <= e <= above * g:
        p[0] = e / g if g > 0.0 else 0.0
        return y
    p[0] = above if e > 0.0 else -below
    return s - g * p[0]


cdef inline double hinge_root(double s, double y, double g, double *p) noexcept nogil:
    cdef double gap = 1.0 - y * s
    if gap <= 0.0:
        p[0] = 0.0
        return s
    if gap <= g:
        p[0] = -y * (gap / g)
        return y
    p[0] = -y
    return s + y * g


# ---- logistic -----------------------------------------------------------------------------------------------------------------------

cdef inline double refined(double d, double f, double a2, double a3, double a4) noexcept nogil:
    """A step d of Halley's, corrected by f + d + a2 d^2 + a3 d^3 + a4 d^4 = 0."""
    cdef double left = (f + d) + (d * d) * (a2 + d * (a3 + d * a4)), u = d * (2.0 * a2 + d * (3.0 * a3))
    return d - left * (1.0 - u * (1.0 - u))


cdef inline double where_negative(double v, double yes, double no) noexcept nogil:
    """yes if v has a minus sign, else no; without a branch, for signs are unpredictable."""
    cdef uint64_t mask = -(mf_bits(v) >> 63)
    return mf_from_bits((mf_bits(yes) & mask) | (mf_bits(no) & ~mask))


cdef inline bint near_enough(double d, double size) noexcept nogil:
    """|d|^5/120, the remainder of the series, is below a quarter of the last digit."""
    return fabs(d) * (d * d) * (d * d) <= 5e-15 * size


cdef inline double logistic_slope(double t, double y) noexcept nogil:
    """-y sigma(-y t)."""
    cdef double E = mf_exp(-fabs(t))
    return -y * where_negative(y * t, 1.0, E) / (1.0 + E)


cdef inline double logistic_guess(double start, double g) noexcept nogil:
    """About the v of v = start + g sigma(-v), from sigma(-v) = 1/2 - v/4/(1 + v^2/12), in one division; then a step of Halley's.

    It is taken whatever the guess was worth: it nearly always ends so close that one evaluation more is the last, and a branch that
    is always taken costs nothing, where one that is taken three times in four costs as much as an exponential.
    """
    cdef double middle = start + 0.5 * g, u = 1.0 + 0.25 * g, v, E, D, M, N, missed, bend, high = start + g
    u = 12.0 * (u * u) + middle * middle
    v = middle * u / (u + 3.0 * g * ((1.0 + 0.25 * g) * (1.0 + 0.25 * g)))
    v = v if v > start else start
    E = mf_exp(-fabs(v))
    D = 1.0 + E
    N = where_negative(v, 1.0, E)
    M = D * D + g * E
    missed = (v - start) * D - (g * N)
    bend = M * M + 0.5 * (missed * (g * E)) * copysign(1.0 - E, v)
    bend = bend if bend > 0.5 * (M * M) else 0.5 * (M * M)
    v = v - (missed * (M * D)) / bend
    v = v if v < high else high
    return v if v > start else start


cdef inline double logistic_root(double s, double y, double g, double *p) noexcept nogil:
    """v = y t solves v = y s + g sigma(-v). E = e^-|v|, D = 1 + E, sigma(-v) = N/D; M = phi' D^2."""
    cdef double start = y * s, low = start, high = start + g
    cdef double v = logistic_guess(start, g), E, D, N, M, missed, bend, d = 0.0, size, tilt, share, per_D, w, r
    cdef int k
    if g > 1e18:                         # s and s + g are too far apart to bisect: sigma(-v) < e^-v, and it is 1 at -746
        bend = mf_log1p(g) + (start if start > 0.0 else 0.0)
        high = bend if bend < high else high
        low = -746.0 if low < -746.0 < high else low
        v = v if v > low else low
        v = v if v < high else high
    for k in range(MAX_ITERATIONS):
        E = mf_exp(-fabs(v))
        D = 1.0 + E
        N = where_negative(v, 1.0, E)
        M = D * D + g * E
        per_D = 1.0 / D
        share = 1.0 / M
        tilt = copysign(1.0 - E, v)
        missed = (v - start) * D - (g * N)                   # phi D
        bend = M * M + 0.5 * (missed * (g * E)) * tilt
        bend = bend if bend > 0.5 * (M * M) else 0.5 * (M * M)
        d = -(missed * (M * D)) / bend                       # Halley's step, in one division
        size = (fabs(start) * D + g * N) * (D * share)
        size = size if size > fabs(v) else fabs(v)
        if near_enough(d, size) and (g <= 1e18 or fabs(d) < 1.0):        # far from the root of a great g, size is great for nothing
            break
        if missed > 0.0:
            high = v
        else:
            low = v
        d = d + v
        if not low < d < high or k > 8 and k & 1:
            d = low + 0.5 * (high - low)
        if d == v:
            d = 0.0
            break
        v, d = d, 0.0
    r = g * E * share
    tilt = tilt * per_D                                      # tanh(v/2)
    w = E * (per_D * per_D)                                  # sigma'
    d = refined(d, missed * (D * share), -0.5 * (r * tilt), (1./6) * (r * (1.0 - 6.0 * w)), (-1./24) * (r * tilt * (1.0 - 12.0 * w)))
    if g * w < 1.0:
        p[0] = -y * (N * per_D - w * d * (1.0 - d * (0.5 * tilt - d * ((1./6) * (1.0 - 6.0 * w) - d * ((1./24) * tilt * (1.0 - 12.0 * w))))))
    else:
        p[0] = -y * (((v - start) + d) / g)
    return y * (v + d)


cdef inline double logistic_flow(double s, double y, double g, double *p) noexcept nogil:
    """v' = 1/(1 + e^v): the way d covered solves d + e^v0 (e^d - 1) = g."""
    cdef double start = y * s, d = 0.0, slope
    if start < 700.0:                    # beyond, g e^-v0 is 0
        d = exponential_root(g, mf_exp(start), 1.0, 1.0, &slope)
    p[0] = -y * (d / g)
    return s + y * d


# ---- exponential slopes: Poisson, gamma ---------------------------------------------------------------------------------------------

cdef inline double exponential_slope(double v, double a, double b, double *E) noexcept nogil:
    """a e^v - b, and E = a e^v. Near v = 0 the difference goes through e^v - 1, so that a root there keeps its digits."""
    cdef double part
    if fabs(v) < 1.0:
        part = a * mf_expm1(v)
        E[0] = a + part
        return part + (a - b)
    E[0] = a * mf_exp(v)
    return E[0] - b


cdef inline double exponential_root(double s, double g, double a, double b, double *p) noexcept nogil:
    """v = s - g (a e^v - b), a > 0, b >= 0; p = a e^v - b."""
    cdef double low, high, v = (s + g * (b - a)) / (1.0 + g * a)          # Newton from 0: above the root
    cdef double E = 0.0, slope = 0.0, phi = 0.0, M = 1.0, d = 0.0, size, bend, share = 1.0, r
    cdef int k
    if b > 0.0:                          # between s and log(b/a), and doubles have logarithms between -746 and 710
        low = s if s < -746.0 else -746.0
        high = s if s > 746.0 else 746.0
    else:
        low = (s if s < 0.0 else 0.0) - g * a
        bend = (s if s < -746.0 else -746.0) - 1.0           # e^v is negligible there
        low = bend if bend > low else low
        high = s
    if v > 1.5:                          # e^v is at most (s + g b)/(g a): Newton from 0 ends far above it
        E = mf_log((s + g * b) / (g * a))
        v = E if E < v else v
    if not low <= v <= high:
        v = high if v > high else low + 0.5 * (high - low)
    for k in range(MAX_ITERATIONS):
        slope = exponential_slope(v, a, b, &E)
        phi = (v - s) + g * slope
        M = 1.0 + g * E                                      # phi'
        share = 1.0 / M
        if M < 1e150:
            bend = M * M - 0.5 * (phi * (g * E))
            bend = bend if bend > 0.5 * (M * M) else 0.5 * (M * M)
            d = -(phi * M) / bend                            # Halley's step, in one division
        else:                                                # the same where M^2 would overflow
            bend = 1.0 - 0.5 * (phi * share)
            d = -(phi * share) / (bend if bend > 0.5 else 0.5)
        size = (fabs(s) + g * fabs(slope)) * share
        size = size if size > fabs(v) else fabs(v)
        if near_enough(d, size) and fabs(phi * share) <= 4.0 * fabs(d):   # Newton's step agrees: where e^v is far too small Halley's is 2,
            break                                            # however far the root is. False where e^v has overflowed: d is not a number
        if phi > 0.0:
            high = v
        else:
            low = v
        d = d + v
        if not low < d < high or k > 6 and k & 1:
            d = low + 0.5 * (high - low)
        if d == v:
            d = 0.0
            break
        v, d = d, 0.0
    r = g * E * share
    d = refined(d, phi * share, 0.5 * r, (1./6) * r, (1./24) * r)
    if g * E < 1.0:
        p[0] = slope + E * (d * (1.0 + d * (0.5 + d * (1./6 + d * (1./24))))) if fabs(d) < 1.0 else slope    # d of |v| > 1e15: rounding
    else:
        p[0] = ((s - v) - d) / g
    return v + d


cdef inline double log_of_sum(double a, double b) noexcept nogil:
    """log(e^a + e^b)."""
    return a + mf_log1p(mf_exp(b - a)) if a > b else b + mf_log1p(mf_exp(a - b))


cdef inline double poisson_flow(double s, double y, double g, double *p) noexcept nogil:
    """e^-t = e^-(s + y g) + (1 - e^-(y g))/y."""
    cdef double E, away = exponential_slope(s, 1.0, y, &E), span = -mf_expm1(-y * g) / y if y > 0.0 else g, t, ratio = span * away
    if -0.5 < ratio < 1.0:
        t = mf_log1p(ratio)
        p[0] = t / g
        return s - t
    t = -log_of_sum(-s - y * g, mf_log(span))
    p[0] = (s - t) / g
    return t


cdef inline double gamma_flow(double s, double y, double g, double *p) noexcept nogil:
    """e^t = y (1 - e^-g) + e^(s - g)."""
    cdef double E, away = exponential_slope(-s, y, 1.0, &E), span = -mf_expm1(-g), t, ratio = span * away
    if -0.5 < ratio < 1.0:
        t = mf_log1p(ratio)
        p[0] = -t / g
        return s + t
    t = log_of_sum(mf_log(y) + mf_log(span), s - g)
    p[0] = (s - t) / g
    return t


cdef inline double above_tangent(double u) noexcept nogil:
    """e^u - 1 - u."""
    if fabs(u) < 0.1:
        return u * u * (1./2 + u * (1./6 + u * (1./24 + u * (1./120 + u * (1./720 + u * (1./5040 + u * (1./40320 + u * (1./362880))))))))
    return mf_expm1(u) - u


cdef inline double toward_zero(double w, double cut) noexcept nogil:
    """The proximal map of cut |w|."""
    return w - cut if w > cut else (w + cut if w < -cut else 0.0 * w)


# ---- the functions of the loss records ----------------------------------------------------------------------------------------------

cdef inline bint finite(double y) noexcept nogil:
    return y - y == 0.0


cdef inline int any_number(double y) noexcept nogil:
    return finite(y)


cdef inline int a_sign(double y) noexcept nogil:
    return y == 1.0 or y == -1.0


cdef inline int not_negative(double y) noexcept nogil:
    return finite(y) and y >= 0.0


cdef inline int positive(double y) noexcept nogil:
    return finite(y) and y > 0.0


cdef inline double no_curvature(double t, double y, double shape) noexcept nogil:
    return 0.0


cdef inline double squared_value(double t, double y, double shape) noexcept nogil:
    return 0.5 * ((t - y) * (t - y))


cdef inline double squared_curvature(double t, double y, double shape) noexcept nogil:
    return 1.0


cdef inline void squared_slopes(double t, double y, double shape, double *low, double *high) noexcept nogil:
    low[0] = high[0] = t - y


cdef inline double squared_backward(double s, double y, double g, double shape, double *p) noexcept nogil:
    return squared_root(s, y, g, p)


cdef inline double squared_exact(double s, double y, double g, double shape, double *p) noexcept nogil:
    return squared_flow(s, y, g, p)


cdef inline double huber_value(double t, double y, double shape) noexcept nogil:
    cdef double e = fabs(t - y)
    return 0.5 * (e * e) if e <= shape else shape * (e - 0.5 * shape)


cdef inline double huber_curvature(double t, double y, double shape) noexcept nogil:
    return 1.0 if fabs(t - y) <= shape else 0.0


cdef inline void huber_slopes(double t, double y, double shape, double *low, double *high) noexcept nogil:
    cdef double e = t - y
    low[0] = high[0] = shape if e > shape else (-shape if e < -shape else e)


cdef inline double huber_backward(double s, double y, double g, double shape, double *p) noexcept nogil:
    return huber_root(s, y, g, shape, p)


cdef inline double huber_exact(double s, double y, double g, double shape, double *p) noexcept nogil:
    return huber_flow(s, y, g, shape, p)


cdef inline double absolute_value(double t, double y, double shape) noexcept nogil:
    return fabs(t - y)


cdef inline void absolute_slopes(double t, double y, double shape, double *low, double *high) noexcept nogil:
    low[0], high[0] = 1.0 if t > y else -1.0, -1.0 if t < y else 1.0


cdef inline double absolute_root(double s, double y, double g, double shape, double *p) noexcept nogil:
    return tilted_root(s, y, g, 1.0, 1.0, p)


cdef inline double quantile_value(double t, double y, double shape) noexcept nogil:
    return shape * (y - t) if t < y else (1.0 - shape) * (t - y)


cdef inline void quantile_slopes(double t, double y, double shape, double *low, double *high) noexcept nogil:
    low[0], high[0] = 1.0 - shape if t > y else -shape, -shape if t < y else 1.0 - shape


cdef inline double quantile_root(double s, double y, double g, double shape, double *p) noexcept nogil:
    return tilted_root(s, y, g, shape, 1.0 - shape, p)


cdef inline double hinge_value(double t, double y, double shape) noexcept nogil:
    cdef double gap = 1.0 - y * t
    return gap if gap > 0.0 else 0.0


cdef inline void hinge_slopes(double t, double y, double shape, double *low, double *high) noexcept nogil:
    cdef double margin = y * t, least = -1.0 if margin <= 1.0 else 0.0, most = -1.0 if margin < 1.0 else 0.0
    low[0], high[0] = y * least if y > 0.0 else y * most, y * most if y > 0.0 else y * least


cdef inline double hinge_backward(double s, double y, double g, double shape, double *p) noexcept nogil:
    return hinge_root(s, y, g, p)


cdef inline double logistic_value(double t, double y, double shape) noexcept nogil:
    cdef double v = y * t
    return mf_log1p(mf_exp(-v)) if v > 0.0 else mf_log1p(mf_exp(v)) - v


cdef inline double logistic_curvature(double t, double y, double shape) noexcept nogil:
    cdef double E = mf_exp(-fabs(t)), r = 1.0 / (1.0 + E)
    return E * (r * r)


cdef inline void logistic_slopes(double t, double y, double shape, double *low, double *high) noexcept nogil:
    low[0] = high[0] = logistic_slope(t, y)


cdef inline double logistic_backward(double s, double y, double g, double shape, double *p) noexcept nogil:
    return logistic_root(s, y, g, p)


cdef inline double logistic_exact(double s, double y, double g, double shape, double *p) noexcept nogil:
    return logistic_flow(s, y, g, p)


cdef inline double poisson_value(double t, double y, double shape) noexcept nogil:
    return y * above_tangent(t - mf_log(y)) if y > 0.0 else mf_exp(t)


cdef inline double poisson_curvature(double t, double y, double shape) noexcept nogil:
    return mf_exp(t)


cdef inline void poisson_slopes(double t, double y, double shape, double *low, double *high) noexcept nogil:
    cdef double E
    low[0] = high[0] = exponential_slope(t, 1.0, y, &E)


cdef inline double poisson_backward(double s, double y, double g, double shape, double *p) noexcept nogil:
    return exponential_root(s, g, 1.0, y, p)


cdef inline double poisson_exact(double s, double y, double g, double shape, double *p) noexcept nogil:
    return poisson_flow(s, y, g, p)


cdef inline double gamma_value(double t, double y, double shape) noexcept nogil:
    return above_tangent(mf_log(y) - t)


cdef inline double gamma_curvature(double t, double y, double shape) noexcept nogil:
    return y * mf_exp(-t)


cdef inline void gamma_slopes(double t, double y, double shape, double *low, double *high) noexcept nogil:
    cdef double E
    low[0] = high[0] = -exponential_slope(-t, y, 1.0, &E)


cdef inline double gamma_backward(double s, double y, double g, double shape, double *p) noexcept nogil:
    """-t solves an equation like that of Poisson's loss: v = -s - g (y e^v - 1)."""
    cdef double v = exponential_root(-s, g, y, 1.0, p)
    p[0] = -p[0]
    return -v


cdef inline double gamma_exact(double s, double y, double g, double shape, double *p) noexcept nogil:
    return gamma_flow(s, y, g, p)
