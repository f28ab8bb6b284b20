"""Rosenbrock-Wanner methods: M y' = f(t, y), stiff, without Newton's iteration. M = I where the problem has no `mass`.

    M k_i = h f(t + c_i h, y + sum_(j<i) alpha_ij k_j) + h J sum_(j<=i) gamma_ij k_j + h^2 gamma_i f_t,    y+ = y + sum_i b_i k_i

J and f_t, the partial derivative by t, are taken at the start of the step; gamma_i = sum_j gamma_ij, and gamma_ii = gamma for all i. So a
step solves s linear systems with one matrix. In u_i = sum_j gamma_ij k_j products by J are not needed (Hairer and Wanner II, IV.7):

    (M - gamma h J) u_i = gamma h (f(t + c_i h, y + sum_j a_ij u_j) + h d_i f_t) + gamma M sum_(j<i) C_ij u_j,    y+ = y + sum_i m_i u_i

with Gamma^-1 = I/gamma - C, a = alpha Gamma^-1, m = b Gamma^-1, d_i = gamma_i: these numbers are what the kernel works with, and what is
published; alpha, gamma_ij and b in the tableau are made of them. The callback `linearize` of the problem takes J and f_t and prepares
M - gamma h J, `lsolve` solves. M may be singular (index 1): the methods here are stiffly accurate, and meet the conditions of order of such
problems. The error estimate is sum_i e_i u_i, the difference to the embedded formula.

`work` holds u_1 ... u_s, f, the point of a stage, f_t, and a right-hand side. x1 may be x0: the result is written when all else is done.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, fabs
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy

from mflow_core.methods.tableau cimport MAX_STAGES, combine_at, doubles, new_record, pack, plan_row, plans, records_t, weigh
from mflow_core.types cimport (MF_EMBEDDED, MF_E_ARGUMENT, MF_IMPLICIT, MF_MASS, MF_STIFFLY_ACCURATE, mf_frame, mf_mass_of, mf_method,
                               mf_tableau)

from mflow_core.methods.coefficients import of_gamma


ctypedef struct rosenbrock_t:
    plan_row *stage                      # a: s rows
    plan_row *sum                        # C: s rows
    plan_row *end                        # m
    plan_row *err                        # e
    plan_row *dense                      # of Q_0, Q_1, ...
    double[MAX_STAGES] d
    double gamma


# ---- kernels -------------------------------------------------------------------------------------------------------------------------

cdef int rosenbrock_stage(const mf_method *m, mf_frame *f, int i, const double *const *U, const double *slope, const double *dfdt,
                          double *at, double *r) noexcept nogil:
    """u_i, from f at its point."""
    cdef const rosenbrock_t *packed = <const rosenbrock_t *> m.tab.packed
    cdef double gh = packed.gamma * f.h, hd = f.h * packed.d[i]
    cdef const double *sum = r
    cdef ptrdiff_t j, n = f.n
    cdef int status
    if i > 0:
        weigh(n, r, packed.gamma, U, packed.sum + i)
        if mf_mass_of(f.p) != NULL:
            status = f.p.mass(r, at, n, f.p.ctx)
            if status != 0:
                return status
            sum = at
        for j in range(n):
            r[j] = gh * (slope[j] + hd * dfdt[j]) + sum[j]
    else:
        for j in range(n):
            r[j] = gh * (slope[j] + hd * dfdt[j])
    return f.p.lsolve(f.t, gh, r, <double *> U[i], n, f.p.ctx)


cdef int rosenbrock_step(const mf_method *m, mf_frame *f) noexcept nogil:
    cdef const mf_tableau *tab = m.tab
    cdef const rosenbrock_t *packed = <const rosenbrock_t *> tab.packed
    cdef double *slope = f.work + tab.s * f.ld
    cdef double *at = slope + f.ld
    cdef double *dfdt = at + f.ld
    cdef double *r = dfdt + f.ld
    cdef const double *U[MAX_STAGES]
    cdef ptrdiff_t n = f.n
    cdef int i, status
    if fabs(f.h) == INFINITY:
        return MF_E_ARGUMENT
    for i in range(tab.s):
        U[i] = f.work + i * f.ld
    status = f.p.rhs(f.t, f.x0[0], slope, n, f.p.ctx)
    f.n_rhs += 1
    if status == 0:
        memcpy(dfdt, slope, n * sizeof(double))
        status = f.p.linearize(f.t, packed.gamma * f.h, f.x0[0], dfdt, n, f.p.ctx)
        f.n_solve += 1
    for i in range(tab.s):
        if status == 0 and i > 0:
            combine_at(n, at, f.x0[0], 1.0, U, packed.stage + i)
            status = f.p.rhs(f.t + tab.c[i] * f.h, at, slope, n, f.p.ctx)
            f.n_rhs += 1
        if status == 0:
            status = rosenbrock_stage(m, f, i, U, slope, dfdt, at, r)
        if status != 0:
            return status
    if f.err != NULL:
        weigh(n, f.err, 1.0, U, packed.err)
    combine_at(n, f.x1[0], f.x0[0], 1.0, U, packed.end)
    return 0


cdef int rosenbrock_dense(const mf_method *m, mf_frame *f) noexcept nogil:
    """y(theta) = y + theta (y+ - y) + theta (1 - theta) (Q_0 + theta Q_1 + ...), Q_k sums of the u_i: the vectors of its powers."""
    cdef const rosenbrock_t *packed = <const rosenbrock_t *> m.tab.packed
    cdef const double *U[MAX_STAGES]
    cdef double *D
    cdef int last = m.sizes.n_dense - 1, i, k
    cdef ptrdiff_t j
    for i in range(m.tab.s):
        U[i] = f.work + i * f.ld
    for k in range(last):
        weigh(f.n, f.D + k * f.ld, 1.0, U, packed.dense + k)
    for j in range(f.n):
        D = f.D + j
        D[last * f.ld] = -D[(last - 1) * f.ld]
        for k in range(last - 1, 0, -1):
            D[k * f.ld] = D[k * f.ld] - D[(k - 1) * f.ld]
        D[0] = D[0] + (f.x1[0][j] - f.x0[0][j])
    return 0


# ---- method records ------------------------------------------------------------------------------------------------------------------

cdef records_t RECORDS


cdef int rosenbrock(const char *name, const char *class_name, const char *aliases, int order, int order_hat, double gamma, list a, list C,
                    list c, list d, list m, list e, list dense, const char *formula, const char *doc, const char *reference) except -1:
    """Add a stiffly accurate method. a, C: rows of the stages, left of the diagonal. dense: rows of the weights of Q_0, Q_1, ..."""
    cdef int s = len(c), j
    cdef mf_method *made = new_record(&RECORDS, b"rosenbrock", name, class_name, aliases, order, s, formula, doc, reference)
    cdef mf_tableau *tab = <mf_tableau *> made.tab
    cdef rosenbrock_t *packed = <rosenbrock_t *> calloc(1, sizeof(rosenbrock_t))
    if packed == NULL:
        raise MemoryError("no memory for the tableaus")
    alpha, G, b = of_gamma(gamma, C, a, m)
    tab.A, tab.b, tab.c = doubles([x for line in alpha for x in line]), doubles(b), doubles(c)
    tab.G, tab.packed = doubles([x for line in G for x in line]), packed
    packed.gamma = gamma
    packed.stage, packed.sum, packed.end, packed.err, packed.dense = plans(s), plans(s), plans(1), plans(1), plans(len(dense))
    for j in range(s):
        packed.d[j] = d[j]
        pack(packed.stage + j, a[j])
        pack(packed.sum + j, C[j])
    pack(packed.end, m)
    pack(packed.err, e)
    for j in range(len(dense)):
        pack(packed.dense + j, dense[j])
    made.flags = made.flags | MF_IMPLICIT | MF_STIFFLY_ACCURATE | MF_EMBEDDED | MF_MASS
    made.order_hat, made.step, made.dense = order_hat, rosenbrock_step, rosenbrock_dense
    made.sizes.n_work, made.sizes.n_err, made.sizes.n_dense = s + 4, 1, len(dense) + 1
    tab.degree = len(dense) + 1
    return 0


rosenbrock(
    b"rodas5p", b"Rodas5P", b"", 5, 4, 0.21193756319429014,
    a=[[], [3.0], [2.849394379747939, 0.45842242204463923], [-6.954028509809101, 2.489845061869568, -10.358996098473584],
       [2.8029986275628964, 0.5072464736228206, -0.3988312541770524, -0.04721187230404641],
       [-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946],
       [-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946, 1.0],
       [-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946, 1.0, 1.0]],
    C=[[], [-14.155112264123755], [-17.97296035885952, -2.859693295451294], [147.12150275711716, -1.41221402718213, 71.68940251302358],
       [165.43517024871676, -0.4592823456491126, 42.90938336958603, -5.961986721573306],
       [24.854864614690072, -3.0009227002832186, 47.4931110020768, 5.5814197821558125, -0.6610691825249471],
       [30.91273214028599, -3.1208243349937974, 77.79954646070892, 34.28646028294783, -19.097331116725623, -28.087943162872662],
       [37.80277123390563, -3.2571969029072276, 112.26918849496327, 66.9347231244047, -40.06618937091002, -54.66780262877968,
        -9.48861652309627]],
    c=[0.0, 0.6358126895828704, 0.4095798393397535, 0.9769306725060716, 0.4288403609558664, 1.0, 1.0, 1.0],
    d=[0.21193756319429014, -0.42387512638858027, -0.3384627126235924, 1.8046452872882734, 2.325825639765069, 0.0, 0.0, 0.0],
    m=[-7.502846399306121, 2.561846144803919, -11.627539656261098, -0.18268767659942256, 0.030198172008377946, 1.0, 1.0, 1.0],
    e=[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    dense=[[25.948786856663858, -2.5579724845846235, 10.433815404888879, -2.3679251022685204, 0.524948541321073, 1.1241088310450404,
            0.4272876194431874, -0.17202221070155493],
           [-9.91568850695171, -0.9689944594115154, 3.0438037242978453, -24.495224566215796, 20.176138334709044, 15.98066361424651,
            -6.789040303419874, -6.710236069923372],
           [11.419903575922262, 2.8879645146136994, 72.92137995996029, 80.12511834622643, -52.072871366152654, -59.78993625266729,
            -0.15582684282751913, 4.883087185713722]],
    formula=b"k_i = dt f(t + c_i dt, y + sum_(j<i) alpha_ij k_j) + dt J sum_(j<=i) gamma_ij k_j + dt^2 gamma_i f_t, i = 1 ... 8; "
            b"y+ = y + sum_i b_i k_i",
    doc=b"Rosenbrock-Wanner method of order 5, for stiff problems and M y' = f of index 1: L-stable, eight stages of one matrix, with an error "
        b"estimate; no Newton iteration, a Jacobian and a derivative by t each step. Continuous: a quartic of order 4.",
    reference=b"G. Steinebach, BIT Numer. Math. 63 (2023) 27")


_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
