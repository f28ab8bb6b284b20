"""Runge-Kutta-Chebyshev: y' = f(t, y), mildly stiff, with eigenvalues near the negative real axis. Explicit.

s stages give a stability polynomial of at most 1 on about [-0.65 s^2, 0], so a long step costs the square root of Euler's evaluations.
With T_j the Chebyshev polynomials at w0 = 1 + eps/s^2, eps the damping, their derivatives there, and w1 = T_s'/T_s'',

    b_j = T_j''/(T_j')^2,   b_0 = b_2,   b_1 = 1/w0,   a_j = 1 - b_j T_j,
    mu_j = 2 b_j w0/b_(j-1),   nu_j = -b_j/b_(j-2),   m_j = 2 b_j w1/b_(j-1),   g_j = -a_(j-1) m_j,
    Z_0 = 0,   Z_1 = h b_1 w1 F_0,   Z_j = mu_j Z_(j-1) + nu_j Z_(j-2) + h m_j F_(j-1) + h g_j F_0,   F_j = f(t + c_j h, y + Z_j),

y+ = y + Z_s, and c_j follows from the same recurrence with 1 in place of F. The stages are stored as increments Z over y, so that rounding,
which grows with s^2, is relative to the size of the step and not of the state. T_j, T_j', T_j'' are computed by their differences in j,
which are sums of positive terms: no cancellation, no cosh.

err = 0.8 (y - y+) + 0.4 h (f(t, y) + f(t + h, y+)). The last slope is carried in x1[1] and is the first of the next step. The spectral
radius, `rho` of the frame, and the step give s: the least s that is stable, from 3 on (for s = 2, err is 0 for all slopes that depend on t
only). More than MOST_STAGES ask for a smaller step. The parameter `stages` fixes s instead. The stability function is
1 - b_s T_s(w0) + b_s T_s(w0 + w1 z): for stiff modes it swings around a third, at most 0.95 where eps = 2/13, as the reference has it.
Greater eps shrinks them more in each step, on a shorter interval: 0.43 on [-0.46 s^2, 0] where eps = 4. `work` holds five vectors for any s: F_0, F,
two Z, and the argument of the next slope. x1 may be x0: y is read for the last time where y+ is written.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport calloc, free

from mflow_core.arithmetic.vec cimport mf_cvec, mf_vec
from mflow_core.methods.tableau cimport MOST_STAGES, TOO_MANY_STAGES, first_slope, new_record, records_t
from mflow_core.types cimport (MF_DERIVED, MF_EMBEDDED, MF_E_ARGUMENT, MF_E_PARAMETER, MF_FSAL, MF_INT, MF_NEEDS_RHO, MF_REAL, MF_STAGED,
                               mf_frame, mf_method, mf_param, mf_sizes)


cdef double DAMPING = 2.0 / 13.0

cdef enum:
    LEAST_STAGES = 3                     # two are Heun's method, whose quadrature error the estimate does not see


ctypedef struct chebyshev_t:             # T_j, T_j', T_j'' at w0 = 1 + delta = 1 + eps/s^2, and their differences to j - 1
    double delta, T, d1, d2, by_T, by_d1, by_d2


# ---- kernels -------------------------------------------------------------------------------------------------------------------------

cdef inline void begin(chebyshev_t *c, int s, double damping) noexcept nogil:
    """j = 1."""
    c.delta = damping / (<double> s * <double> s)
    c.T = 1.0 + c.delta
    c.by_T = c.delta
    c.d1 = c.by_d1 = 1.0
    c.d2 = c.by_d2 = 0.0


cdef inline void advance(chebyshev_t *c) noexcept nogil:
    """j to j + 1: T_(j+1) - T_j = T_j - T_(j-1) + 2 delta T_j, and its derivatives."""
    c.by_d2 = c.by_d2 + (2.0 * c.delta * c.d2 + 4.0 * c.d1)
    c.by_d1 = c.by_d1 + (2.0 * c.delta * c.d1 + 2.0 * c.T)
    c.by_T = c.by_T + 2.0 * c.delta * c.T
    c.d2 = c.d2 + c.by_d2
    c.d1 = c.d1 + c.by_d1
    c.T = c.T + c.by_T


cdef double reach(int s, double damping) noexcept nogil:
    """The length of the stability interval of s stages: w0 + w1 z, which begins at w0, is -1 at its end."""
    cdef chebyshev_t c
    cdef int _j
    begin(&c, s, damping)
    for _j in range(1, s):
        advance(&c)
    return (2.0 + c.delta) * c.d2 / c.d1


cdef int least_stages(double x, double damping) noexcept nogil:
    """The least s, from 3 on, whose stability interval has the length x: s^2 grows with x, nearly in proportion. Or 0."""
    cdef double far, guess
    cdef int s = LEAST_STAGES
    while s <= MOST_STAGES:
        far = reach(s, damping)
        if far >= x:
            break
        guess = <double> s * sqrt(x / far)
        if not guess < <double> MOST_STAGES + 1.0:
            return 0
        s = max(s + 1, <int> guess)
    while s > LEAST_STAGES and reach(s - 1, damping) >= x:
        s -= 1
    return s if s <= MOST_STAGES else 0


cdef inline int stages_of(const mf_frame *f, double damping) noexcept nogil:
    """s, or 0 if it would be too large, or MF_E_ARGUMENT without a spectral radius."""
    cdef int fixed = <int> f.par[0] if f.par != NULL else 0
    cdef double x = 1.54 * fabs(f.h) * f.rho + 1.0
    if fixed > 0:
        return fixed
    if not f.rho >= 0.0:
        return MF_E_ARGUMENT
    if not x < <double> (MOST_STAGES - 1) * <double> (MOST_STAGES - 1):
        return 0
    if damping != DAMPING:
        return least_stages(fabs(f.h) * f.rho, damping)
    return max(<int> LEAST_STAGES, 1 + <int> sqrt(x))


cdef void stage(ptrdiff_t n, mf_vec z, mf_cvec a, mf_cvec F, mf_cvec F0, const double *y, double *out, double mu, double nu,
                double u, double v) noexcept nogil:
    """z = mu a + nu z + u F + v F0, and out = y + z; out may be y."""
    cdef ptrdiff_t i
    for i in range(n):
        z[i] = (mu * a[i] + nu * z[i]) + (u * F[i] + v * F0[i])
    for i in range(n):
        out[i] = y[i] + z[i]


cdef int rkc2_step(const mf_method *m, mf_frame *f) noexcept nogil:
    cdef ptrdiff_t n = f.n, i
    cdef double *F = f.work + f.ld
    cdef double *z = f.work + 2 * f.ld               # Z_(j-1)
    cdef double *older = f.work + 3 * f.ld           # Z_(j-2), then Z_j
    cdef double *at = f.work + 4 * f.ld
    cdef double *out = at
    cdef const double *F0
    cdef chebyshev_t c
    cdef double h = f.h, w0, w1, b, b1, b2, a, mu, nu, share, g, node, node1, node2
    cdef double damping = f.par[1] if f.par != NULL else DAMPING
    cdef int s = stages_of(f, damping), _j, j, status
    if s <= 0:
        return s if s < 0 else TOO_MANY_STAGES
    status = first_slope(f, f.work, &F0)
    if status != 0:
        return status
    begin(&c, s, damping)
    w0 = c.T
    for _j in range(1, s):
        advance(&c)
    w1 = c.d1 / c.d2
    b1, b2 = 1.0 / w0, 1.0 / (4.0 * w0 * w0)         # b_(j-1), b_(j-2) at j = 2
    a = 0.0                                          # a_(j-1) there
    node1, node2 = b1 * w1, 0.0
    for i in range(n):
        z[i] = h * node1 * F0[i]
        older[i] = 0.0
    for i in range(n):
        at[i] = f.x0[0][i] + z[i]
    begin(&c, s, damping)
    for j in range(2, s + 1):
        status = f.p.rhs(f.t + node1 * h, at, F, n, f.p.ctx)
        f.n_rhs += 1
        if status != 0:
            return status
        advance(&c)
        b = c.d2 / (c.d1 * c.d1)
        mu, nu, share = 2.0 * b * w0 / b1, -b / b2, 2.0 * b * w1 / b1
        g = -a * share
        node = (mu * node1 + nu * node2) + (share + g)
        out = f.x1[0] if j == s else at
        stage(n, older, z, F, F0, f.x0[0], out, mu, nu, h * share, h * g)
        z, older = older, z
        a = 1.0 - b * c.T
        b2, b1 = b1, b
        node2, node1 = node1, node
    status = f.p.rhs(f.t + h, f.x1[0], f.x1[1], n, f.p.ctx)
    f.n_rhs += 1
    if status == 0 and f.err != NULL:
        error_of(n, f.err, z, F0, f.x1[1], 0.4 * h)
    return status


cdef void error_of(ptrdiff_t n, mf_vec err, mf_cvec z, mf_cvec F0, mf_cvec F1, double u) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        err[i] = u * (F0[i] + F1[i]) - 0.8 * z[i]


cdef int rkc2_sizes(const mf_method *m, const double *par, mf_sizes *sizes) noexcept nogil:
    sizes[0] = m.sizes
    return MF_E_PARAMETER if par[0] == 1.0 else 0    # one stage is Euler's step, of first order


# ---- method records ------------------------------------------------------------------------------------------------------------------

cdef records_t RECORDS


cdef int rkc2() except -1:
    cdef mf_param *p = <mf_param *> calloc(2, sizeof(mf_param))
    cdef mf_method *m = new_record(
        &RECORDS, b"chebyshev", b"rkc2", b"RKC2", b"rkc", 2, LEAST_STAGES,
        b"Z_1 = dt b_1 w1 f(t, y), Z_j = mu_j Z_(j-1) + nu_j Z_(j-2) + dt m_j f(t + c_j dt, y + Z_(j-1)) + dt g_j f(t, y), y+ = y + Z_s",
        b"Runge-Kutta-Chebyshev of second order, damped: explicit, stable for decay up to |lambda| dt = 0.65 s^2 with s stages. "
        b"Made for diffusion and gradient flow, whose eigenvalues are real.",
        b"B. Sommeijer, L. Shampine and J. Verwer, J. Comput. Appl. Math. 88 (1998) 315-326")
    if p == NULL:
        raise MemoryError("no memory for the parameters")
    p.name, p.value, p.lower, p.upper, p.kind, p.choices = b"stages", 0.0, 0.0, MOST_STAGES, MF_INT, b""
    p.doc = b"the number of stages s, from 2 on; 0: the least from 3 on that is stable for the step and the spectral radius of the problem"
    p[1].name, p[1].value, p[1].lower, p[1].upper, p[1].kind, p[1].choices = b"damping", DAMPING, 0.0, 10.0, MF_REAL, b""
    p[1].doc = b"eps: greater values shrink stiff modes more in each step, on a shorter stability interval; with dt = \"auto\" it is 4 by default"
    free(<void *> m.tab)
    m.tab = NULL                                     # the tableau depends on s
    m.par, m.n_par, m.sizes_fn, m.step = p, 2, rkc2_sizes, rkc2_step
    m.vectors, m.order_hat = b"y|f", 2
    m.flags = m.flags | MF_NEEDS_RHO | MF_STAGED | MF_EMBEDDED | MF_FSAL | MF_DERIVED
    m.sizes.n_vec, m.sizes.n_work, m.sizes.n_err = 2, 5, 1
    return 0


rkc2()

_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
