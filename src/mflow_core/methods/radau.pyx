"""Fully implicit Runge-Kutta methods whose stages are solved together: y' = f(t, y), stiff.

    Z_i = h sum_j A_ij f(t + c_j h, y + Z_j),    y+ = y + Z_s         (i = 1 ... s, stiffly accurate: the last stage is the result)

The kernel contains no Newton iteration. The callback `solve_system` of the problem gets all stages at once, with a guess in Z; a code other
than 0 ends the step. With A^-1 = T L T^-1 the linear equations of its iteration split into one real system of n unknowns and one complex
one: the tableau holds T, its inverse and L's numbers. The slope at the end follows from the stages, h f(t + h, y+) = sum_j (A^-1)_sj Z_j, and not
from a call of the right-hand side, which would multiply the error of the solve by the stiffness. It is carried in x1[1].

Guesses extrapolate the collocation polynomial P of the step before, Z_i = P(1 + c_i h/h_before) - P(1). So its stages are carried, x[2] ... x[4],
and its length, s[0]. With MF_FRESH there is none, and Z = 0.

The error estimate (Hairer and Wanner II, IV.8, with mu the real eigenvalue of A^-1) is that of an embedded formula of order 3,

    err = (I - h/mu J)^-1 (h/mu f(t, y) + 1/mu sum_j E_j Z_j),

one solve with the factors of the real system (`lsolve`). At the first step and after a rejection (MF_AGAIN), f(t, y) is
replaced by f(t, y + err) and the solve repeated, so that components which decay at once do not count. It is of a lower order than the
solution: with the estimate at the tolerances, errors at the end of stiff problems were a hundredth of them and less. So below `wider[0]`
a run compares it with tolerances that are looser by the power `wider[1]` (`widen` in mflow_core.stepping.run). Hairer's code RADAU5 has
0.1 rtol^(2/3); with powers of 0.3 and 0.2 errors of y' = -L (y - cos t) - sin t rose above 10 tolerances for some L, for where the order is
reduced they are as large as the estimate.

With a mass matrix, M y' = f(t, y), the stages solve M Z_i = h sum_j A_ij f(...), M stands before the sums of Z_j in the slope and in the
estimate, and before I: slopes are values of f, and no inverse of M is needed. Where M depends on t, that of each stage stands before its
sum of Z_j in the equations, M(t_i) sum_j (A^-1)_ij Z_j = h f(...), that of the end in the slope, and that of the start in the estimate.

`work` holds Z_1 ... Z_3, a right-hand side, a trial point, and f(t, y). x1 may be x0: the carried vectors are written when all else is done.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, fabs
from libc.stddef cimport ptrdiff_t

from mflow_core.arithmetic.vec cimport all_finite, mf_cvec, mf_vec
from mflow_core.methods.tableau cimport doubles, first_slope, new_record, records_t
from mflow_core.types cimport (MF_AGAIN, MF_DERIVED, MF_EMBEDDED, MF_E_ARGUMENT, MF_E_CALLBACK, MF_FRESH, MF_FSAL, MF_IMPLICIT, MF_MASS, MF_MASS_AT,
                               MF_STIFFLY_ACCURATE, mf_frame, mf_mass_of, mf_method, mf_tableau, mf_times_mass)

cdef enum:
    S = 3                                # stages


# ---- kernels -------------------------------------------------------------------------------------------------------------------------

cdef void weigh_stages(ptrdiff_t n, mf_vec out, mf_cvec a, mf_cvec b, mf_cvec c, double u, double v, double w) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(n):
        out[i] = (u * a[i] + v * b[i]) + w * c[i]


cdef double basis(const mf_tableau *tab, int j, double theta) noexcept nogil:
    """The j-th polynomial of the collocation: 1 at c_j, 0 at the other nodes and at 0."""
    cdef const double *w = tab.W + j * S
    return theta * (w[0] + theta * (w[1] + theta * w[2]))


cdef void extrapolate(const mf_tableau *tab, const mf_frame *f, double *Z) noexcept nogil:
    """The polynomial of the step before in the nodes of this one, relative to its end; 0 if that is not finite."""
    cdef const double *const *x = f.x0
    cdef double ratio = f.h / f.s0[0], theta
    cdef ptrdiff_t i, n = f.n
    cdef int k
    for k in range(S):
        theta = 1.0 + tab.c[k] * ratio
        weigh_stages(n, Z + k * f.ld, x[2], x[3], x[4], basis(tab, 0, theta), basis(tab, 1, theta), basis(tab, 2, theta) - 1.0)
        if not all_finite(Z + k * f.ld, n):
            for i in range(n):
                Z[k * f.ld + i] = 0.0


cdef int mass_part(const mf_tableau *tab, mf_frame *f, const double *Z, double *out) noexcept nogil:
    """out = M (1/mu sum_j E_j Z_j); f.err is scratch."""
    cdef const double *E = <const double *> tab.packed
    cdef double inverse = 1.0 / tab.mu[0]
    weigh_stages(f.n, f.err, Z, Z + f.ld, Z + 2 * f.ld, inverse * E[0], inverse * E[1], inverse * E[2])
    return mf_times_mass(f.p, f.t, f.err, out, f.n)


cdef int estimate_with_mass(const mf_tableau *tab, mf_frame *f, const double *Z, const double *f0, double *r, double *at) noexcept nogil:
    """`estimate` for M y' = f(t, y)."""
    cdef double gh = f.h / tab.mu[0]
    cdef ptrdiff_t i, n = f.n
    cdef int status
    if f.p.lsolve == NULL:
        return MF_E_CALLBACK
    status = mass_part(tab, f, Z, at)
    for i in range(n):
        r[i] = gh * f0[i] + at[i]
    if status == 0:
        status = f.p.lsolve(f.t, gh, r, f.err, n, f.p.ctx)
    if status != 0 or not f.flags & MF_AGAIN:
        return status
    for i in range(n):
        at[i] = f.x0[0][i] + f.err[i]
    if not all_finite(at, n):
        return 0
    status = f.p.rhs(f.t, at, r, n, f.p.ctx)
    f.n_rhs += 1
    if status != 0 or not all_finite(r, n):
        return status if status < 0 else 0
    status = mass_part(tab, f, Z, at)
    for i in range(n):
        r[i] = gh * r[i] + at[i]
    return f.p.lsolve(f.t, gh, r, f.err, n, f.p.ctx) if status == 0 else status


cdef int estimate(const mf_tableau *tab, mf_frame *f, const double *Z, const double *f0, double *r, double *at) noexcept nogil:
    cdef const double *E = <const double *> tab.packed
    cdef double gh = f.h / tab.mu[0], inverse = 1.0 / tab.mu[0]
    cdef ptrdiff_t i, n = f.n, ld = f.ld
    cdef int status
    if f.p.lsolve == NULL:
        return MF_E_CALLBACK
    for i in range(n):
        r[i] = gh * f0[i] + inverse * ((E[0] * Z[i] + E[1] * Z[ld + i]) + E[2] * Z[2 * ld + i])
    status = f.p.lsolve(f.t, gh, r, f.err, n, f.p.ctx)
    if status != 0 or not f.flags & MF_AGAIN:
        return status
    for i in range(n):
        at[i] = f.x0[0][i] + f.err[i]
    if not all_finite(at, n):
        return 0
    status = f.p.rhs(f.t, at, r, n, f.p.ctx)
    f.n_rhs += 1
    if status != 0:
        return status if status < 0 else 0
    for i in range(n):
        r[i] = gh * r[i] + inverse * ((E[0] * Z[i] + E[1] * Z[ld + i]) + E[2] * Z[2 * ld + i])
    if not all_finite(r, n):
        return 0
    return f.p.lsolve(f.t, gh, r, f.err, n, f.p.ctx)


cdef int radau_step(const mf_method *m, mf_frame *f) noexcept nogil:
    cdef const mf_tableau *tab = m.tab
    cdef const double *last = tab.A_inv + S * (S - 1)
    cdef double *Z = f.work
    cdef double *Z2 = Z + f.ld
    cdef double *Z3 = Z2 + f.ld
    cdef const double *K[1]
    cdef double scale = 1.0 / f.h
    cdef ptrdiff_t i, n = f.n
    cdef int status = 0
    K[0] = NULL
    if fabs(f.h) == INFINITY:
        return MF_E_ARGUMENT
    if f.err != NULL:
        status = first_slope(f, f.work + (S + 2) * f.ld, K)
        if status != 0:
            return status
    if f.flags & MF_FRESH or f.s0[0] == 0.0:
        for i in range(S * f.ld):
            Z[i] = 0.0
    else:
        extrapolate(tab, f, Z)
    status = f.p.solve_system(tab, f.t, f.h, f.x0[0], Z, f.ld, n, f.p.ctx)
    f.n_solve += 1
    if status == 0 and f.err != NULL and mf_mass_of(f.p) == NULL:
        status = estimate(tab, f, Z, K[0], f.work + S * f.ld, f.work + (S + 1) * f.ld)
    elif status == 0 and f.err != NULL:
        status = estimate_with_mass(tab, f, Z, K[0], f.work + S * f.ld, f.work + (S + 1) * f.ld)
    if status != 0:
        return status
    for i in range(n):
        f.x1[0][i] = f.x0[0][i] + Z3[i]
    weigh_stages(n, f.x1[1] if mf_mass_of(f.p) == NULL else f.work + S * f.ld, Z, Z2, Z3, last[0] * scale, last[1] * scale, last[2] * scale)
    if mf_mass_of(f.p) != NULL:
        status = mf_times_mass(f.p, f.t + f.h, f.work + S * f.ld, f.x1[1], n)
    for i in range(n):
        f.x1[2][i] = Z[i]
        f.x1[3][i] = Z2[i]
        f.x1[4][i] = Z3[i]
    f.s1[0] = f.h
    return status


cdef int radau_dense(const mf_method *m, mf_frame *f) noexcept nogil:
    """The collocation polynomial, coefficients of theta, theta^2, theta^3. The last one follows from the end, which is met in spite of
    rounding."""
    cdef const double *W = m.tab.W
    cdef double *D = f.D
    cdef double *last = f.D + (S - 1) * f.ld
    cdef ptrdiff_t i, ld = f.ld
    cdef int k
    for k in range(S - 1):
        weigh_stages(f.n, D + k * ld, f.x1[2], f.x1[3], f.x1[4], W[k], W[S + k], W[2 * S + k])
    for i in range(f.n):
        last[i] = ((f.x1[0][i] - f.x0[0][i]) - D[i]) - D[ld + i]
    return 0


# ---- method records ------------------------------------------------------------------------------------------------------------------

cdef records_t RECORDS


cdef list flat(list rows):
    return [entry for row in rows for entry in row]


cdef int collocation(const char *name, const char *class_name, const char *aliases, int order, int order_hat, list c, list A, list A_inv,
                     list T, list T_inv, list mu, list E, list wider, list W, const char *formula, const char *doc, const char *reference) except -1:
    """Add a stiffly accurate collocation method of three stages. mu: the real eigenvalue of A^-1, and the two parts of the complex ones. E: weights of
    the stages in the error estimate. wider: rtol below which steps have looser tolerances, and by which power. W: row j has the coefficients of theta, theta^2, ... of the j-th polynomial."""
    cdef mf_method *m = new_record(&RECORDS, b"implicit_runge_kutta", name, class_name, aliases, order, S, formula, doc, reference)
    cdef mf_tableau *tab = <mf_tableau *> m.tab
    tab.c, tab.A, tab.A_inv = doubles(c), doubles(flat(A)), doubles(flat(A_inv))
    tab.b = tab.A + S * (S - 1)
    tab.T, tab.T_inv = doubles(flat(T)), doubles(flat(T_inv))
    tab.mu, tab.packed = doubles(mu), <const void *> doubles(E + wider)
    tab.W, tab.degree = doubles(flat(W)), S
    m.vectors = b"y|f|z1|z2|z3"
    m.flags = m.flags | MF_IMPLICIT | MF_FSAL | MF_DERIVED | MF_STIFFLY_ACCURATE | MF_EMBEDDED | MF_MASS | MF_MASS_AT
    m.order_hat, m.step, m.dense = order_hat, radau_step, radau_dense
    m.sizes.n_vec, m.sizes.n_scal, m.sizes.n_work, m.sizes.n_err, m.sizes.n_dense = S + 2, 1, S + 3, 1, S
    return 0


collocation(
    b"radau5", b"Radau5", b"radau|radau_iia5", 5, 3,
    c=[0.155051025721682190180271592529410861, 0.644948974278317809819728407470589139, 1.0],
    A=[[0.19681547722366042586838614299182989, -0.0655354258501983881085227825696086918, 0.023770974348220152420408232107189663],
       [0.394424314739087276997411671458497581, 0.292073411665228463020502745897058999, -0.0415487521259979301981860098849674408],
       [0.376403062700467275050075442369280795, 0.512485826188421613838813446519608094, 0.111111111111111111111111111111111111]],
    A_inv=[[3.2247448713915890490986420373529457, 1.16784008469040549492404127221569501, -0.253197264742180826185942419921571038],
           [-3.56784008469040549492404127221569501, 0.775255128608410950901357962647054304, 1.05319726474218082618594241992157104],
           [5.53197264742180826185942419921571038, -7.53197264742180826185942419921571038, 5.0]],
    T=[[0.0944387624889752414874900795064165863, -0.141255295020954208427990383807797309, -0.0300291941051474244918611170890538667],
       [0.250213122965333311376509067512501684, 0.204129352293799931995990810298338174, 0.38294211275726193779543823359987321],
       [1.0, 1.0, 0.0]],
    T_inv=[[4.17871859155190472734646265851205623, 0.327682820761062387082533272429616234, 0.523376445499449548039930915908987502],
           [-4.17871859155190472734646265851205623, -0.327682820761062387082533272429616234, 0.476623554500550451960069084091012498],
           [-0.502872634945786875951247343139544293, 2.57192694985560542918678535360167505, -0.596039204828224924968821911099302403]],
    mu=[3.6378342527444957322084185135777758, 2.6810828736277521338957907432111121, 3.0504301992474105694263776247875679],
    E=[-10.0488093998274155624603295076470799, 1.38214273316074889579366284098041325, -0.333333333333333333333333333333333333],
    wider=[1e-3, 0.15],
    W=[[10.0488093998274155624603295076470799, -25.6295914470766393867800832145098702, 15.5807820472492238243197537068627903],
       [-1.38214273316074889579366284098041325, 10.2962581137433060534467498811765369, -8.91411538058255715765308704019612363],
       [0.333333333333333333333333333333333333, -2.66666666666666666666666666666666667, 3.33333333333333333333333333333333333]],
    formula=b"z_i = dt sum_j a_ij f(t + c_j dt, y + z_j), i = 1 ... 3, c = (4 - sqrt(6))/10, (4 + sqrt(6))/10, 1; y+ = y + z_3",
    doc=b"Radau IIA of order 5, for stiff problems to high accuracy: L-stable, three stages solved together (one real and one complex linear "
        b"system), with an error estimate. Continuous: the collocation polynomial, of order 3. The estimate is of a lower order than the "
        b"solution: below rtol = 1e-3 it is compared with rtol' = 1e-3 (rtol/1e-3)^0.85, atol in proportion, so that errors at the end are "
        b"near the tolerances given, and not far below them.",
    reference=b"E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), IV.5 and IV.8")


_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
