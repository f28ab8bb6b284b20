"""Backward differentiation of order 1 to 5, in backward differences of steps of one length: y' = f(t, y), stiff.

    sum_(m=1..k) (1/m) D^m y+  -  kappa_k gamma_k (y+ - p)  =  h f(t + h, y+),     p = sum_(m=0..k) D^m y,    gamma_k = sum_(m=1..k) 1/m

These are the numerical differentiation formulas of Shampine and Reichelt (1997), kappa = -0.1850, -1/9, -0.0823, -0.0415, 0. The last is
BDF itself. The others take steps a quarter longer for the same error (order 4 an eighth), and orders 1 to 3 are where large steps are
taken; for that the wedge of stability is a little narrower (A(alpha), alpha = 90, 90, 80, 66, 51 degrees, BDF 90, 90, 86, 73, 51). A form
of fixed leading coefficient (Brenan, Campbell and Petzold) keeps its stability where steps change at will. Here they stay the same for k +
1 steps at least, so that Jacobian and factors serve again, and the differences are the interpolating polynomial: the continuous extension
of a step and the prediction of the next need nothing else.

With z = y+ and e = z - p this is the equation of an implicit stage, which the callback `solve` gets with the guess p,

    z - c f(t + h, z) = p - sum_(m=1..k) (gamma_m/alpha_k) D^m y,     alpha_k = (1 - kappa_k) gamma_k,   c = h/alpha_k.

Carried are y and d_1 ... d_(K+2), d_j = D^j y, K the greatest order; the last two are those of orders k + 1 and k + 2 that tell what the
next order would do. After a step d_(k+2) = e - d_(k+1), d_(k+1) = e, and d_j += d_(j+1) downwards. Scalars: s[0] the order of the next
step, s[1] the length that the differences belong to, s[2] the steps of that length and order so far, s[3] the order of the step just taken.
s[1] = 0 means that they belong to this step's, of the greatest order.

A step of another length takes the same polynomial in new points: d'_j = sum_(m>=j) R_jm d_m, from x0 into x1. Where the step has grown so
much (after a short one that landed on the end of a piece) that this multiplies rounding and the rest of Newton's iteration by more than
AMPLIFIED, the order is lowered until it does not; in fixed steps the method starts anew.

The start. With an error estimate: two implicit Euler results, of one step and of two halves, extrapolated to order 2 (s[2] = FIRST). Its
error counts as that of a step of order 1, which is as long; d_1 and d_2 are known then, and order 2 is next. The continuous extension is
the cubic Hermite one: behind an event that acts a line would miss what is shorter than the step, as the flight of a ball is. In fixed
steps no estimate would shorten the first ones, whose low order would be that of the run. So each of the first K steps, before which there
are less than K differences (s[2] = STARTING), is taken by extrapolation of K implicit Euler results (as SEULEX, Hairer and Wanner II,
IV.9). Inside the first two of them the continuous extension is the cubic Hermite one.

With a mass matrix, M y' = f(t, y), M singular or not, the equation is M z - c f(t + h, z) = M r, r the right side above, M that of t + h
where it depends on time. f tells no slope then: the continuous extension of the first step is the parabola of d_1 and d_2. What the
iteration left of algebraic equations at the start of a step is in e however short the step is; where that alone is above the tolerances no
step would do. So under error control a step that rejections have made STUCK times as long as the one before begins anew, from M y.

Error and order, as in the paper: err = C_k e with C_k = STRICTER (kappa_k gamma_k + 1/(k + 1)); after k + 1 steps of one length those of
the orders below and above, C_(k-1) d_k and C_(k+1) d_(k+2). The order whose step would be longest is next. Norms are those of error
control, from rtol and atol of the frame. Without them the order rises to K and the step stays.

`work` holds r, z, p or y, M r, and for the start K results more. x1 may be x0: every element is read before it is written, y last.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, fabs
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from mflow_core.arithmetic.control cimport clip, control_t, error_sum, exp2_of, log2_of
from mflow_core.arithmetic.vec cimport mf_cvec, mf_scalar, mf_vec
from mflow_core.methods.tableau cimport new_record, records_t
from mflow_core.types cimport (MF_AGAIN, MF_EMBEDDED, MF_E_ARGUMENT, MF_E_CALLBACK, MF_FRESH, MF_IMPLICIT, MF_INT, MF_MASS, MF_MASS_AT, MF_MULTISTEP,
                               mf_frame, mf_mass_of, mf_method, mf_param, mf_sizes, mf_times_mass)

cdef extern from *:
    """
    #define mf_frame_has_orders(f) MF_HAS(f, mf_frame, order_next)     /* an older host's frame ends before */
    """
    bint mf_frame_has_orders(const mf_frame *f) noexcept nogil

cdef enum:
    MOST = 5                             # the greatest order
    STARTING = -1                        # s[2] in the first of fixed steps
    FIRST = -2                           # s[2] of the first step under error control
    CUBIC = 3                            # coefficients of the Hermite extension
    BRIEF = 4                            # components; loops over more are worth vectors

cdef double AMPLIFIED = 100.0
cdef double STRICTER = 8.0               # errors of steps add up: each is held to this part of its tolerance
cdef double SAFETY = 0.75                # the step is this part of what the error estimate allows
cdef double GROWS = 1.2                  # a step that would grow by less stays: its factors serve again
cdef double LARGEST = 10.0               # growth of a step
cdef double STUCK = 1e-3

cdef double[MOST + 1] KAPPA, GAMMA, ALPHA, ERROR
cdef double[(MOST + 1) * (MOST + 1)] BASIS       # row j: coefficients of theta^0 ... of the j-th polynomial in theta - 1


# ---- orders and differences ------------------------------------------------------------------------------------------------------------

cdef inline int greatest(const mf_frame *f) noexcept nogil:
    return <int> (f.par[0] if f.par[0] > 0.0 else f.par[1])


cdef inline int order_in(double value, int most) noexcept nogil:
    """An order that is carried; where it is none, the greatest."""
    return <int> value if 1.0 <= value <= most else most


cdef void changes(int k, double ratio, double *R) noexcept nogil:
    """R[j][m]: how much of d_m is in d_j of steps `ratio` times as long; rows and columns from 1, MOST + 1 apart."""
    cdef double[MOST + 1] polynomial         # s (s + 1) ... (s + m - 1)/m!, the m-th of the differences, at s = -ratio i
    cdef double[MOST + 1] value
    cdef int i, j, m
    for i in range(k + 1):
        polynomial[i] = 1.0
    for m in range(1, k + 1):
        for i in range(k + 1):
            polynomial[i] = polynomial[i] * ((-ratio * i + (m - 1)) / m)
            value[i] = polynomial[i]
        for j in range(1, m + 1):            # the j-th difference of the values, at the first of them
            for i in range(k + 1 - j):
                value[i] = value[i] - value[i + 1]
            R[j * (MOST + 1) + m] = value[0]


cdef void rescale(ptrdiff_t n, const double **d, double *const *x1, int k, double ratio) noexcept nogil:
    """d_1 ... d_k of steps `ratio` times as long, into x1; row j needs what is at or after it, so x1 may be where d points."""
    cdef double[(MOST + 1) * (MOST + 1)] R
    cdef double s
    cdef ptrdiff_t i
    cdef int j, m
    changes(k, ratio, R)
    for j in range(1, k + 1):
        for i in range(n):
            s = R[j * (MOST + 1) + j] * d[j][i]
            for m in range(j + 1, k + 1):
                s = mf_scalar(s + R[j * (MOST + 1) + m] * d[m][i])
            x1[j][i] = s
        d[j] = x1[j]


cdef inline bint is_tame(int k, double ratio) noexcept nogil:
    """Whether order k may go on with a step that is `ratio` times as long."""
    cdef double growth = 1.0
    cdef int _j
    for _j in range(k - 1):
        growth = growth * ratio
    return growth <= AMPLIFIED


# ---- an equation -------------------------------------------------------------------------------------------------------------------------

cdef int solved(mf_frame *f, double t, double gh, const double *r, double *z, double *R) noexcept nogil:
    """z - gh f(t, z) = r, or M z - gh f(t, z) = M r; R is room for that."""
    cdef int status
    f.n_solve += 1
    if mf_mass_of(f.p) == NULL:
        return f.p.solve(t, gh, r, z, f.n, f.p.ctx)
    if f.p.solve_mass == NULL:
        return MF_E_CALLBACK
    status = mf_times_mass(f.p, t, r, R, f.n)
    return f.p.solve_mass(t, gh, R, z, f.n, f.p.ctx) if status == 0 else status


# ---- the start of fixed steps ----------------------------------------------------------------------------------------------------------

cdef int extrapolated(mf_frame *f, int columns, double *r, double *z, double *y, double *T) noexcept nogil:
    """y becomes the state at the end: implicit Euler in 1, 2, ... steps, extrapolated by Aitken and Neville. T: a vector for each."""
    cdef ptrdiff_t i, n = f.n
    cdef int j, k, status
    cdef double now, older
    for j in range(1, columns + 1):
        memcpy(z, y, n * sizeof(double))
        for k in range(1, j + 1):
            memcpy(r, z, n * sizeof(double))
            status = solved(f, f.t + (f.h * k) / j if k < j else f.t + f.h, f.h / j, r, z, T + columns * f.ld)
            if status != 0:
                return status
        for i in range(n):
            now = z[i]
            for k in range(1, j):
                older = T[(k - 1) * f.ld + i]
                T[(k - 1) * f.ld + i] = now
                now = now + (now - older) * (<double> (j - k) / k)
            T[(j - 1) * f.ld + i] = now
    memcpy(y, T + (columns - 1) * f.ld, n * sizeof(double))
    return 0


cdef void differ(mf_frame *f, const double *z, const double **d, int valid) noexcept nogil:
    """The differences at z, one more than there are at y."""
    cdef ptrdiff_t i
    cdef double now, older
    cdef int j
    for i in range(f.n):
        now = z[i] - f.x0[0][i]
        for j in range(1, valid + 1):
            older = d[j][i]
            f.x1[j][i] = now
            now = now - older
        f.x1[valid + 1][i] = now


cdef int start_of_controlled(mf_frame *f, int most) noexcept nogil:
    """The first step under error control."""
    cdef double *y = f.work + 2 * f.ld
    cdef const double *coarse = f.work + 3 * f.ld
    cdef double second
    cdef ptrdiff_t i
    cdef int j, status
    memcpy(y, f.x0[0], f.n * sizeof(double))
    status = extrapolated(f, 2, f.work, f.work + f.ld, y, f.work + 3 * f.ld)
    if status != 0:
        return status
    for i in range(f.n):
        second = 4.0 * (coarse[i] - y[i])                # h^2 y''
        f.err[i] = STRICTER * ERROR[1] * second
        f.x1[2][i] = second
        f.x1[1][i] = y[i] - f.x0[0][i]
    for j in range(3, most + 3):
        for i in range(f.n):
            f.x1[j][i] = 0.0
    memcpy(f.x1[0], y, f.n * sizeof(double))
    finish(f, 1, min(2, most), FIRST, f.h)
    return 0


cdef int start_of_fixed(mf_frame *f, const double **d, int valid, int most) noexcept nogil:
    """One of the first steps, from `valid` differences."""
    cdef double *y = f.work + 2 * f.ld
    cdef ptrdiff_t i
    cdef int j, status
    memcpy(y, f.x0[0], f.n * sizeof(double))
    status = extrapolated(f, most, f.work, f.work + f.ld, y, f.work + 3 * f.ld)
    if status != 0:
        return status
    differ(f, y, d, valid)
    for j in range(valid + 2, most + 3):
        for i in range(f.n):
            f.x1[j][i] = 0.0
    memcpy(f.x1[0], y, f.n * sizeof(double))
    finish(f, valid + 1, valid + 1, STARTING if valid + 1 < most else 0, f.h)
    return 0


# ---- a step ------------------------------------------------------------------------------------------------------------------------------

cdef void finish(mf_frame *f, int order, int order_next, int steps, double h_next) noexcept nogil:
    f.s1[0], f.s1[1], f.s1[2], f.s1[3] = order_next, f.h, steps, order
    if mf_frame_has_orders(f):
        f.order, f.order_next, f.h_next = order, order_next, h_next


cdef void predict(ptrdiff_t n, mf_vec p, mf_vec r, mf_vec z, const double *y, const double **d, int k) noexcept nogil:
    """p, the polynomial at the end of the step, r, the right side of the equation, and p once more as the guess."""
    cdef double scale = 1.0 / ALPHA[k], sum, known
    cdef ptrdiff_t i
    cdef int j
    for i in range(n):
        sum = known = 0.0
        for j in range(k, 0, -1):            # the smallest first
            sum = mf_scalar(sum + d[j][i])
            known = mf_scalar(known + GAMMA[j] * d[j][i])
        p[i] = y[i] + sum
        z[i] = p[i]
        r[i] = p[i] - scale * known


cdef void correct(ptrdiff_t n, mf_vec p, mf_cvec z, const double **d, double *const *x1, int k, int most, bint goes_on) noexcept nogil:
    """The differences at the end of the step; p becomes e. goes_on: d_(k+1) belongs to steps of this length."""
    cdef ptrdiff_t i
    cdef double sum
    cdef int j
    if n <= BRIEF:                       # a pass of its own for each of the differences takes longer
        for i in range(n):
            p[i] = sum = z[i] - p[i]
            for j in range(k + 3, most + 3):
                x1[j][i] = 0.0
            x1[k + 2][i] = sum - d[k + 1][i] if goes_on else 0.0
            x1[k + 1][i] = sum
            for j in range(k, 0, -1):
                sum = mf_scalar(d[j][i] + sum)
                x1[j][i] = sum
        return
    for i in range(n):
        p[i] = z[i] - p[i]
    for j in range(k + 3, most + 3):
        for i in range(n):
            x1[j][i] = 0.0
    for i in range(n):
        x1[k + 2][i] = p[i] - d[k + 1][i] if goes_on else 0.0
    for i in range(n):
        x1[k + 1][i] = p[i]
    for j in range(k, 0, -1):
        for i in range(n):
            x1[j][i] = d[j][i] + x1[j + 1][i]


cdef inline double factor_of(double square, double constant, int order) noexcept nogil:
    """How much longer a step of this order may be; square: of the norm of what `constant` multiplies to its error."""
    square = square * (STRICTER * constant) * (STRICTER * constant)
    if not square > 1e-60:
        return LARGEST if square == square else 0.0
    return clip(SAFETY * exp2_of(-0.5 * log2_of(square) / (order + 1)), 0.0, LARGEST) if square < 1e300 else 0.0


cdef void suggest(const mf_frame *f, const double *e, const double *z, int k, int most, int *next_order, double *h_next) noexcept nogil:
    """Order and step after k + 1 steps of one length at least: those of the longest step."""
    cdef control_t c
    cdef double per_n = 1.0 / max(f.n, <ptrdiff_t> 1), same, lower = 0.0, higher = 0.0
    c.rtol, c.atol = f.rtol[0], f.atol[0]
    c.rtol_of = c.atol_of = NULL
    if f.n_tol > 1:
        c.rtol_of, c.atol_of = f.rtol, f.atol
    same = factor_of(error_sum(&c, e, f.x0[0], z, f.n) * per_n, ERROR[k], k)
    if k > 1:
        lower = factor_of(error_sum(&c, f.x1[k], f.x0[0], z, f.n) * per_n, ERROR[k - 1], k - 1)
    if k < most:
        higher = factor_of(error_sum(&c, f.x1[k + 2], f.x0[0], z, f.n) * per_n, ERROR[k + 1], k + 1)
    if f.par[0] > 0.0:                   # the order is given: up to it, and there it stays
        next_order[0] = k + 1 if k < most else k
        if k < most:
            same = min(same, 1.0)
    elif higher > same and higher >= lower:
        next_order[0], same = k + 1, higher
    elif lower > same:
        next_order[0], same = k - 1, lower
    if same >= GROWS or same < 1.0:
        h_next[0] = f.h * same


cdef int bdf_step(const mf_method *m, mf_frame *f) noexcept nogil:
    cdef int most = greatest(f), k, next_order, steps = 0, j, status
    cdef bint fresh = f.flags & MF_FRESH != 0
    cdef double *r = f.work
    cdef double *z = f.work + f.ld
    cdef double *p = f.work + 2 * f.ld
    cdef const double *d[MOST + 3]
    cdef double ratio = 1.0, h_next = f.h, scale
    cdef ptrdiff_t i, n = f.n
    if fabs(f.h) == INFINITY or f.h == 0.0:
        return MF_E_ARGUMENT
    for j in range(most + 3):
        d[j] = f.x0[j]
    k = order_in(f.s0[0], most)
    if not fresh and f.s0[1] != 0.0:
        ratio = f.h / f.s0[1]
        fresh = not 0.0 < ratio < INFINITY or (f.err == NULL and not is_tame(k, ratio))
        if f.err != NULL and f.flags & MF_AGAIN and mf_mass_of(f.p) != NULL:
            fresh = fresh or ratio < STUCK
    if f.err == NULL and (fresh or f.s0[2] < 0.0):
        k = 0 if fresh else k
        if k > 0 and ratio != 1.0:
            rescale(n, d, f.x1, k, ratio)
        return start_of_fixed(f, d, k, most)
    if fresh:
        k = 1
    elif ratio != 1.0:
        while k > 1 and not is_tame(k, ratio):
            k -= 1
        rescale(n, d, f.x1, k, ratio)
    else:
        steps = <int> clip(f.s0[2], 0.0, 1e6)
    next_order = k
    if mf_frame_has_orders(f):
        f.order = k
    if fresh:
        return start_of_controlled(f, most)
    predict(n, p, r, z, f.x0[0], d, k)
    status = solved(f, f.t + f.h, f.h / ALPHA[k], r, z, f.work + 3 * f.ld)
    if status != 0:
        return status
    correct(n, p, z, d, f.x1, k, most, steps > 0)
    steps += 1
    if f.err != NULL:
        scale = STRICTER * ERROR[k]
        for i in range(n):
            f.err[i] = scale * p[i]
    if steps > k:
        if not mf_frame_has_orders(f) or f.rtol == NULL:
            next_order = min(k + 1, most)
        else:
            suggest(f, p, z, k, most, &next_order, &h_next)
    if next_order != k:
        steps = 0
    memcpy(f.x1[0], z, n * sizeof(double))
    finish(f, k, next_order, steps, h_next)
    return 0


cdef int hermite(mf_frame *f, int most) noexcept nogil:
    """The cubic through both ends and their slopes."""
    cdef double *a = f.work
    cdef double *b = f.work + f.ld
    cdef double change
    cdef ptrdiff_t i, n = f.n
    cdef int c, status = f.p.rhs(f.t, f.x0[0], a, n, f.p.ctx)
    if status == 0:
        status = f.p.rhs(f.t + f.h, f.x1[0], b, n, f.p.ctx)
    f.n_rhs += 2
    if status != 0:
        return status
    for i in range(n):
        change = f.x1[0][i] - f.x0[0][i]
        f.D[i] = f.h * a[i]
        f.D[f.ld + i] = 3.0 * change - f.h * (2.0 * a[i] + b[i])
        f.D[2 * f.ld + i] = f.h * (a[i] + b[i]) - 2.0 * change
    for c in range(3, most):             # most below 3: there is room for a cubic
        for i in range(n):
            f.D[c * f.ld + i] = 0.0
    return 0


cdef int bdf_dense(const mf_method *m, mf_frame *f) noexcept nogil:
    """The polynomial of the differences, of the order of the step: coefficients of theta, theta^2, ... The first one follows from the end,
    which is met in spite of rounding."""
    cdef int most = greatest(f), k = order_in(f.s1[3], most), c, j
    cdef ptrdiff_t i
    cdef double s
    if (f.s1[2] == FIRST or (f.s1[2] < 0.0 and k < 3 <= most)) and mf_mass_of(f.p) == NULL:
        return hermite(f, most)
    if f.s1[2] == FIRST:
        k = min(2, most)
    for c in range(2, max(most, CUBIC) + 1):
        for i in range(f.n):
            s = 0.0
            for j in range(c, k + 1):
                s = s + BASIS[j * (MOST + 1) + c] * f.x1[j][i]
            f.D[(c - 1) * f.ld + i] = s
    for i in range(f.n):
        s = f.x1[0][i] - f.x0[0][i]
        for c in range(2, k + 1):
            s = s - f.D[(c - 1) * f.ld + i]
        f.D[i] = s
    return 0


cdef int bdf_sizes(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil:
    cdef int most = <int> (par[0] if par[0] > 0.0 else par[1])
    sizes[0] = m.sizes
    sizes.n_vec, sizes.n_work, sizes.n_dense, sizes.order = most + 3, most + 4, max(most, CUBIC), most
    return 0


# ---- method records ------------------------------------------------------------------------------------------------------------------

cdef records_t RECORDS


cdef int make_constants() except -1:
    cdef int k, j, c
    cdef double gamma = 0.0
    for k, kappa in enumerate((0.0, -0.1850, -1.0 / 9.0, -0.0823, -0.0415, 0.0)):
        gamma += 1.0 / k if k > 0 else 0.0
        KAPPA[k], GAMMA[k], ALPHA[k], ERROR[k] = kappa, gamma, (1.0 - kappa) * gamma, kappa * gamma + 1.0 / (k + 1)
    BASIS[0] = 1.0
    for j in range(1, MOST + 1):             # times (theta - 1 + j - 1)/j
        for c in range(j + 1):
            BASIS[j * (MOST + 1) + c] = ((BASIS[(j - 1) * (MOST + 1) + c - 1] if c > 0 else 0.0)
                                         + (j - 2.0) * (BASIS[(j - 1) * (MOST + 1) + c] if c < j else 0.0)) / j
    return 0


cdef int bdf() except -1:
    cdef mf_param *p = <mf_param *> calloc(2, sizeof(mf_param))
    cdef mf_method *m = new_record(
        &RECORDS, b"multistep", b"bdf", b"BDF", b"ndf", MOST, 1,
        b"sum_(m=1..k) D^m y+/m - kappa_k gamma_k (y+ - y+(0)) = dt f(t + dt, y+), D^m backward differences, y+(0) = sum_(m=0..k) D^m y, "
        b"kappa = -0.1850, -1/9, -0.0823, -0.0415, 0, gamma_k = 1 + 1/2 + ... + 1/k",
        b"Backward differentiation of variable order, 1 to 5, for stiff problems, large ones most of all: one equation a step whatever "
        b"the order. The formulas are NDF, BDF with a term more that lowers the error. Continuous: the interpolating polynomial of the differences.",
        b"L. Shampine and M. Reichelt, SIAM J. Sci. Comput. 18 (1997) 1-22")
    if p == NULL:
        raise MemoryError("no memory for the parameters")
    p.name, p.value, p.lower, p.upper, p.kind, p.choices = b"order", 0.0, 0.0, MOST, MF_INT, b""
    p.doc = b"the order of all steps but those of the start; 0: error control chooses it, and fixed steps take the greatest"
    p[1].name, p[1].value, p[1].lower, p[1].upper, p[1].kind, p[1].choices = b"max_order", MOST, 1.0, MOST, MF_INT, b""
    p[1].doc = b"the greatest order that is chosen; orders above 2 are not stable for all oscillations that decay"
    free(<void *> m.tab)
    m.tab = NULL
    m.par, m.n_par, m.sizes_fn, m.step, m.dense = p, 2, bdf_sizes, bdf_step, bdf_dense
    m.vectors, m.order_hat = b"y|d1|d2|d3|d4|d5|d6|d7", 1
    m.flags = m.flags | MF_IMPLICIT | MF_EMBEDDED | MF_MULTISTEP | MF_MASS | MF_MASS_AT
    m.sizes.n_vec, m.sizes.n_scal, m.sizes.n_work, m.sizes.n_err, m.sizes.n_dense = MOST + 3, 4, MOST + 4, 1, MOST
    return 0


make_constants()
bdf()

_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
