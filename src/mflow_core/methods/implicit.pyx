"""Diagonally implicit Runge-Kutta methods: y' = f(t, y), stiff.

    r_i = y + h sum_(l<i) A_il K_l,   z_i - h A_ii f(t + c_i h, z_i) = r_i,   K_i = (z_i - r_i)/(h A_ii),   y+ = z_s

The kernels contain no Newton iteration. The callback `solve` of the problem gets the equation of a stage, with a guess in z; a code other
than 0 ends the step. The last stage is the result: methods are stiffly accurate, or end with an explicit stage, z = r and K = f(t + h, z).
The slope of an implicit stage follows from its equation and not from a new call of the right-hand side, which would multiply the error of
the solve by the stiffness. The last slope is carried in x1[1]. It is the first stage of methods that begin with an explicit one (FSAL);
the others use it in guesses only, and do without it when MF_FRESH.

Guesses extrapolate the polynomial through known slopes, z = r + h A_ii K; if that is not finite, z = r. In backward Euler h may be
infinite: then the equation is f(t, z) = 0, t stays the same, the guess is y and the slope is 0. The first stages of a method of many know
little: theirs take a slope from inside the step before, too, which x1[2] carries, with that step's length in s[0]. More
slopes of this step would make guesses worse, as extrapolation multiplies their errors.

`work` holds r, z and K_1 ... K_(s-1). x1 may be x0: y is read for the last time in the last r, and the carried slope in the last guess,
or it is copied before.

The error estimate h sum_j d_j K_j contains fast components that have decayed in y+. If the problem has `lsolve`, the estimate is divided
by I - h A_ss J, in which they decay too.

With a mass matrix, M y' = f(t, y), M may be singular, and y' does not follow from f. Slopes are then values f_j of f, and stages solve

    M z_i - h A_ii f(t + c_i h, z_i) = M y + h sum_(l<i) A_il f_l.

The f_l of implicit stages are not formed: with k_l = (z_l - r_l)/(h A_ll), r_l = y + h sum_(1<m<l) A_lm k_m, which differs from the recursion
above by the explicit first stage alone, M k_l = f_l + w_l f_1 for numbers w_l of the tableau, and the right-hand side is M r_i + h A_ii w_i f_1.
So one product by M a stage is all that is needed, and an explicit first stage needs no inverse. K holds the k_l; the last one stands in
the place of z, as the carried slope is f_s = M k_s - w_s f_1. The estimate h sum_j d_j f_j is divided by M - h A_ss J, which gives algebraic
components the errors that follow from the others. The extension does without k_1: its weights are those that stay bounded at infinite
stiffness, sum_l b_l w_l = b_1. Guesses go through values of stages; what is carried is such a value, less that at the end.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport INFINITY, fabs
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t
from libc.stdlib cimport calloc
from libc.string cimport memcpy

from mflow_core.arithmetic.vec cimport all_finite, mf_cvec
from mflow_core.methods.tableau cimport (MAX_STAGES, combine_at, doubles, first_slope, new_record, node, pack, plan_row, plans, records_t,
                                         slope_at_start, square, weigh)
from mflow_core.types cimport (MF_AGAIN, MF_DERIVED, MF_EMBEDDED, MF_E_ARGUMENT, MF_E_CALLBACK, MF_FRESH, MF_FSAL, MF_IMPLICIT, MF_MASS,
                               MF_STIFFLY_ACCURATE, mf_frame, mf_mass_of, mf_method, mf_tableau)

from math import fsum

from mflow_core.methods.coefficients import guess_of, values_of


ctypedef struct dirk_t:                  # the nonzeros of a tableau
    plan_row *stage                      # s rows, left of the diagonal
    plan_row *guess                      # s rows over K_1 ... and, column s, the carried slope
    plan_row *fresh_guess                # the same without it
    plan_row *err
    plan_row *dense
    plan_row *mass_stage                 # with a mass matrix, the same without the explicit first stage; guesses through values
    plan_row *mass_guess
    plan_row *mass_err
    plan_row *mass_dense
    double[MAX_STAGES] w                 # of f_1 in M k_l = f_l + w_l f_1
    double mass_d                        # d_1 - sum_l d_l w_l
    double[MAX_STAGES] gamma             # the diagonal; 0: the stage is explicit
    double filter                        # the last one that is not 0
    int carried                          # the stage whose slope the next step's guesses take; 0: none
    int32_t[MAX_STAGES] n_back           # of stages whose guess takes it: through how many slopes of this step besides; -1: it does not
    int32_t[MAX_STAGES * MAX_STAGES] back
    plan_row *carried_value              # with a mass matrix


cdef double LONGER = 2.0                 # a step so many times as long as the one before takes no slope from it


# ---- kernels -------------------------------------------------------------------------------------------------------------------------

cdef double ratio_of(const dirk_t *packed, const mf_frame *f) noexcept nogil:
    """The step over the one before; 0 where guesses take nothing from that: after a step that was rejected, as before a wall, too."""
    cdef double ratio
    if packed.carried == 0 or f.flags & (MF_FRESH | MF_AGAIN) or f.s0[0] == 0.0:
        return 0.0
    ratio = f.h / f.s0[0]
    return ratio if 0.0 < ratio <= LONGER else 0.0


cdef bint guess_from_before(const mf_tableau *tab, const dirk_t *packed, int j, double ratio, double h, plan_row *row) noexcept nogil:
    """Whether stage j takes its guess from the step before, too; then the weights, of what is carried as entry s + 1. h 0: the polynomial
    goes through slopes; else, with a mass matrix, through values less that of the start, where the first known stage stands."""
    cdef double[MAX_STAGES + 2] at, spread
    cdef const int32_t *known = packed.back + j * MAX_STAGES
    cdef double weight
    cdef int count = packed.n_back[j], e, i, k
    if count < 0 or ratio == 0.0:
        return False
    for e in range(count):
        at[e] = tab.c[known[e]]
    at[count] = (tab.c[packed.carried] - 1.0) / ratio
    for k in range(tab.s + 2):
        spread[k] = 0.0
    for e in range(count + 1):
        weight = 1.0
        for i in range(count + 1):
            if i != e:
                weight = weight * ((tab.c[j] - at[i]) / (at[e] - at[i]))
        if h == 0.0:
            spread[known[e] if e < count else tab.s + 1] = weight
            continue
        if e == count:
            spread[tab.s + 1] = weight / h
        for k in range(1, known[e] + 1 if e < count else 0):     # none for the start
            spread[k] += weight * tab.A[known[e] * tab.s + k]
    row.q = 0
    for k in range(tab.s + 2):
        if spread[k] != 0.0:
            row.col[row.q], row.w[row.q] = k, spread[k]
            row.q += 1
    return True


cdef void slope_of(ptrdiff_t n, double *K, mf_cvec z, mf_cvec r, double gh) noexcept nogil:
    """K = (z - r)/gh; 0 if gh is infinite."""
    cdef double factor = 1.0 / gh
    cdef ptrdiff_t i
    for i in range(n):
        K[i] = (z[i] - r[i]) * factor


cdef int dirk_step(const mf_method *m, mf_frame *f) noexcept nogil:
    cdef const mf_tableau *tab = m.tab
    cdef const dirk_t *packed = <const dirk_t *> tab.packed
    cdef const plan_row *guess = packed.fresh_guess if f.flags & MF_FRESH else packed.guess
    cdef double *r = f.work
    cdef double *z = f.work + f.ld
    cdef double *slope
    cdef double h = f.h, t, gh
    cdef double ratio = ratio_of(packed, f)
    cdef plan_row before
    cdef ptrdiff_t n = f.n, i
    cdef int s = tab.s, j, first = 0, status
    cdef bint steady = fabs(h) == INFINITY
    cdef const double *K[MAX_STAGES + 2]
    if steady and s > 1:
        return MF_E_ARGUMENT
    if mf_mass_of(f.p) != NULL:
        return mass_step(m, f)
    K[s], K[s + 1] = f.x0[1], f.x0[2] if packed.carried > 0 else NULL
    if packed.gamma[0] == 0.0:
        first = 1
        status = first_slope(f, f.work + 2 * f.ld, K)
        if status != 0:
            return status
    for j in range(first, s):
        slope = f.work + (j + 2) * f.ld
        if j == s - 1:
            z, slope = f.x1[0], f.x1[1]
        gh = packed.gamma[j] * h
        t = f.t if steady else f.t + tab.c[j] * h
        K[j] = slope
        if packed.gamma[j] == 0.0:
            combine_at(n, z, f.x0[0], h, K, packed.stage + j)
            status = f.p.rhs(t, z, slope, n, f.p.ctx)
            f.n_rhs += 1
            if status != 0:
                return status
            continue
        combine_at(n, r, f.x0[0], h, K, packed.stage + j)
        if steady:
            for i in range(n):
                z[i] = r[i]
        else:
            combine_at(n, z, r, gh, K, &before if guess_from_before(tab, packed, j, ratio, 0.0, &before) else guess + j)
            if not all_finite(z, n):
                for i in range(n):
                    z[i] = r[i]
        status = f.p.solve(t, gh, r, z, n, f.p.ctx)
        f.n_solve += 1
        if status != 0:
            return status
        slope_of(n, slope, z, r, gh)
    if packed.carried > 0:
        memcpy(f.x1[2], K[packed.carried], n * sizeof(double))
        f.s1[0] = h
    return estimate(m, f, K) if f.err != NULL and tab.n_hat > 0 else 0


cdef int estimate(const mf_method *m, mf_frame *f, const double *const *K) noexcept nogil:
    """The error estimate, times (I - gh J)^-1 if the problem has `lsolve`. r is not used any more."""
    cdef const dirk_t *packed = <const dirk_t *> m.tab.packed
    if f.p.lsolve == NULL:
        weigh(f.n, f.err, f.h, K, packed.err)
        return 0
    weigh(f.n, f.work, f.h, K, packed.err)
    return f.p.lsolve(f.t + f.h, packed.filter * f.h, f.work, f.err, f.n, f.p.ctx)


cdef int mass_step(const mf_method *m, mf_frame *f) noexcept nogil:
    """The same for M y' = f(t, y)."""
    cdef const mf_tableau *tab = m.tab
    cdef const dirk_t *packed = <const dirk_t *> m.tab.packed
    cdef double *R = f.work
    cdef double *z = f.work + f.ld
    cdef double *k
    cdef double h = f.h, t, gh, factor, ratio = ratio_of(packed, f)
    cdef plan_row before
    cdef ptrdiff_t n = f.n, i
    cdef int s = tab.s, j, first = 0, status
    cdef const double *K[MAX_STAGES + 2]
    if f.p.solve_mass == NULL or fabs(h) == INFINITY:
        return MF_E_CALLBACK if f.p.solve_mass == NULL else MF_E_ARGUMENT
    K[s + 1] = f.x0[2] if packed.carried > 0 else NULL
    if packed.gamma[0] == 0.0:
        first = 1
        status = first_slope(f, f.work + 2 * f.ld, K)
        if status != 0:
            return status
    for j in range(first, s):
        k = f.work + (j + 2) * f.ld
        if j == s - 1:
            z, k = f.x1[0], f.work + f.ld
        gh, t = packed.gamma[j] * h, f.t + tab.c[j] * h
        K[j] = k
        combine_at(n, k, f.x0[0], h, K, packed.mass_stage + j)
        status = f.p.mass(k, R, n, f.p.ctx)
        if status != 0:
            return status
        if first:
            factor = gh * packed.w[j]
            for i in range(n):
                R[i] = R[i] + factor * K[0][i]
        combine_at(n, z, f.x0[0], h, K, &before if guess_from_before(tab, packed, j, ratio, h, &before) else packed.mass_guess + j)
        if not all_finite(z, n):
            for i in range(n):
                z[i] = k[i]
        status = f.p.solve_mass(t, gh, R, z, n, f.p.ctx)
        f.n_solve += 1
        if status != 0:
            return status
        factor = 1.0 / gh
        for i in range(n):
            k[i] = (z[i] - k[i]) * factor
    if packed.carried > 0:
        weigh(n, f.x1[2], h, K, packed.carried_value)
        f.s1[0] = h
    if f.err != NULL and tab.n_hat > 0:
        status = mass_estimate(m, f, K)
        if status != 0:
            return status
    status = f.p.mass(K[s - 1], R, n, f.p.ctx)
    for i in range(n):
        f.x1[1][i] = R[i] - packed.w[s - 1] * K[0][i] if first else R[i]
    return status


cdef int mass_estimate(const mf_method *m, mf_frame *f, const double *const *K) noexcept nogil:
    """(M - gh J)^-1 h sum_j d_j f_j. R is not used any more."""
    cdef const dirk_t *packed = <const dirk_t *> m.tab.packed
    cdef double *R = f.work
    cdef double part = f.h * packed.mass_d
    cdef ptrdiff_t i
    cdef int status
    if f.p.lsolve == NULL:
        return MF_E_CALLBACK
    weigh(f.n, f.err, f.h, K, packed.mass_err)
    status = f.p.mass(f.err, R, f.n, f.p.ctx)
    if status != 0:
        return status
    if packed.gamma[0] == 0.0:
        for i in range(f.n):
            R[i] = R[i] + part * K[0][i]
    return f.p.lsolve(f.t + f.h, packed.filter * f.h, R, f.err, f.n, f.p.ctx)


cdef int dirk_dense(const mf_method *m, mf_frame *f) noexcept nogil:
    """The last vector is the difference to the end of the step: large weights in its place would miss the end by their rounding."""
    cdef const dirk_t *packed = <const dirk_t *> m.tab.packed
    cdef const double *K[MAX_STAGES]
    cdef double *last = f.D + (m.sizes.n_dense - 1) * f.ld
    cdef double *D
    cdef const plan_row *rows = packed.dense if mf_mass_of(f.p) == NULL else packed.mass_dense
    cdef int s = m.tab.s, j
    cdef ptrdiff_t i
    K[0] = slope_at_start(f, f.work + 2 * f.ld)
    for j in range(1, s - 1):
        K[j] = f.work + (j + 2) * f.ld
    K[s - 1] = f.x1[1] if mf_mass_of(f.p) == NULL else f.work + f.ld
    for i in range(f.n):
        last[i] = f.x1[0][i] - f.x0[0][i]
    for j in range(m.sizes.n_dense - 1):
        D = f.D + j * f.ld
        weigh(f.n, D, f.h, K, rows + j)
        for i in range(f.n):
            last[i] = last[i] - D[i]
    return 0


# ---- method records ------------------------------------------------------------------------------------------------------------------

cdef records_t RECORDS


cdef int pack_mass(dirk_t *packed, list A, list c, list known, list d, list dense) except -1:
    """What a step with a mass matrix needs."""
    cdef int s = len(A), first = packed.gamma[0] == 0.0, j
    w = [0.0] * s
    packed.mass_stage, packed.mass_guess = plans(s), plans(s)
    packed.mass_err, packed.mass_dense = plans(1), plans(len(dense))
    for j in range(first, s):
        w[j] = fsum([A[j][0], *[-A[j][k] * w[k] for k in range(1, j)]]) / A[j][j] if first else 0.0
        packed.w[j] = w[j]
        pack(packed.mass_stage + j, [0.0] * first + A[j][first:j])
        pack(packed.mass_guess + j, values_of(c, A, known[j], j, first))
    for row in d:
        packed.mass_d = fsum([row[0], *[-row[k] * w[k] for k in range(1, s)]]) if first else 0.0
        pack(packed.mass_err, [0.0] * first + row[first:])
    for j, row in enumerate(dense):
        pack(packed.mass_dense + j, [0.0] * first + row[first:])
    return 0


cdef int carry(mf_method *m, dirk_t *packed, list A, int stage, dict back) except -1:
    """Let the guesses of `back`, {stage: known slopes, 0 first}, take the slope of `stage` in the step before."""
    cdef int s = len(A), j
    packed.carried, packed.carried_value = stage, plans(1)
    pack(packed.carried_value, [0.0] + [(A[stage][k] if k <= stage else 0.0) - A[s - 1][k] for k in range(1, s)])
    for j in range(s):
        packed.n_back[j] = len(back[j]) if j in back else -1
        for e, known in enumerate(back.get(j, [])):
            packed.back[j * MAX_STAGES + e] = known
    m.vectors = b"y|f|k"
    m.sizes.n_vec, m.sizes.n_scal = 3, 1
    return 0


cdef int dirk(const char *name, const char *class_name, const char *aliases, int order, list A, list known, const char *formula,
              const char *doc, const char *reference, int order_hat=0, list d=None, list dense=None, int carried=0, dict back=None) except -1:
    """Add a method.

    A: row j has its first j + 1 entries, the last one is b (with 0 on the diagonal if the last stage is explicit, as in the implicit
    midpoint rule, A=[[1./2], [1, 0]]). known: for each stage the slopes through which its guess goes; s is the carried one. d: b - bhat.
    dense: row k has the weights of theta^(k+1). carried, back: of a method that begins with an explicit stage, see `carry`.
    """
    cdef int s = len(A), j
    cdef mf_method *m = new_record(&RECORDS, b"implicit_runge_kutta", name, class_name, aliases, order, s, formula, doc, reference)
    cdef mf_tableau *tab = <mf_tableau *> m.tab
    cdef dirk_t *packed = <dirk_t *> calloc(1, sizeof(dirk_t))
    if packed == NULL:
        raise MemoryError("no memory for the tableaus")
    d, dense = d or [], dense or []
    full = square(A, s)
    c = [node(fsum(row)) for row in A]
    tab.A = doubles([a for row in full for a in row])
    tab.b = doubles(full[s - 1])
    tab.c = doubles(c)
    packed.stage, packed.guess, packed.fresh_guess = plans(s), plans(s), plans(s)
    packed.err, packed.dense = plans(len(d)), plans(len(dense))
    for j in range(s):
        packed.gamma[j] = A[j][j]
        packed.filter = A[j][j] or packed.filter
        pack(packed.stage + j, A[j][:j])
        pack(packed.guess + j, guess_of(c, known[j], j, False))
        pack(packed.fresh_guess + j, guess_of(c, known[j], j, True))
    for j in range(len(d)):
        pack(packed.err + j, d[j])
    for j in range(len(dense)):
        pack(packed.dense + j, dense[j])
    tab.packed = packed
    m.vectors = b"y|f"
    m.flags = m.flags | MF_IMPLICIT | MF_FSAL | MF_DERIVED
    if all([A[j][j] != 0 for j in range(1, s)]):
        pack_mass(packed, A, c, known, d, dense)
        m.flags = m.flags | MF_MASS
    m.flags = m.flags | (MF_STIFFLY_ACCURATE if A[s - 1][s - 1] != 0 else 0)
    m.step = dirk_step
    m.sizes.n_vec, m.sizes.n_work = 2, s + 1
    if carried > 0:
        carry(m, packed, A, carried, back)
    if d:
        tab.d, tab.n_hat = doubles([a for row in square(d, s) for a in row]), len(d)
        m.flags, m.order_hat, m.sizes.n_err = m.flags | MF_EMBEDDED, order_hat, len(d)
    if dense:
        tab.degree = m.sizes.n_dense = len(dense)
        m.dense = dirk_dense
    return 0


dirk(b"backward_euler", b"BackwardEuler", b"implicit_euler", 1,
     A=[[1]], known=[[1]],
     formula=b"y+ = y + dt f(t + dt, y+)",
     doc=b"Backward Euler: stable for every step. On gradient flow it is the proximal-point step, and dt = inf gives the steady state.",
     reference=b"E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), IV.3; R. T. Rockafellar, SIAM J. Control "
               b"Optim. 14 (1976) 877-898")

dirk(b"trapezoidal", b"Trapezoidal", b"crank_nicolson|trapezoid", 2,
     A=[[0], [1./2, 1./2]], known=[[], [0]],
     formula=b"y+ = y + dt (f(t, y) + f(t + dt, y+))/2",
     doc=b"The trapezoidal rule: second order and stable for every step, but what decays fast changes sign at each step and hardly dies.",
     reference=b"J. Crank and P. Nicolson, Proc. Camb. Phil. Soc. 43 (1947) 50-67")

dirk(b"sdirk2", b"SDIRK2", b"sdirk22|alexander2", 2,
     A=[[0.2928932188134524755991556378951509607152], [0.7071067811865475244008443621048490392848,
                                                      0.2928932188134524755991556378951509607152]], known=[[2], [2, 0]],
     formula=b"g = 1 - sqrt(2)/2: k1 = f(t + g dt, y + g dt k1), y+ = y + (1 - g) dt k1 + g dt f(t + dt, y+)",
     doc=b"Two equal implicit stages, second order, L-stable: what decays fast is gone in one step.",
     reference=b"R. Alexander, SIAM J. Numer. Anal. 14 (1977) 1006-1021")

# Its continuous extension has weights b(theta) with sum b_i = theta, sum b_i c_i = theta^2/2, sum b_i c_i^2 = theta^3/3,
# sum b_i c_i^3 = theta^4/4 and sum b_i a_ij c_j^2 = theta^4/12, all there is of order 4 since stages have order 2, and
# b_1 = sum b_i (A^-1 a)_i over the implicit stages with a the first column, so that it stays bounded as h J grows: six equations for
# six weights, solved in 50 digits. At theta = 1 they are the method's. The published cubic errs several times as much as the step.
dirk(b"esdirk43", b"ESDIRK43", b"esdirk436l2sa", 4, order_hat=3,
     A=[[0], [1./4, 1./4], [8611./62500, -1743./31250, 1./4], [5012029./34652500, -654441./2922500, 174375./388108, 1./4],
        [15267082809./155376265600, -71443401./120774400, 730878875./902184768, 2285395./8070912, 1./4],
        [82889./524892, 0, 15625./83664, 69875./102672, -2260./8211, 1./4]],
     known=[[], [0], [0, 1], [0, 2, 1], [0, 2, 3], [0, 3, 4]], carried=3, back={1: [0], 2: [0, 1], 4: [0, 2, 3]},
     d=[[82889./524892 - 4586570599./29645900160, 0, 15625./83664 - 178811875./945068544, 69875./102672 - 814220225./1159782912,
         -2260./8211 + 3700637./11593932, 1./4 - 61727./225920]],
     dense=[[2.0808935933487269762, 8.994708994708994709, -7.6114643760226089543, 1.6123080186310667844,
             -7.3764462306661795153, 3.3],
            [-10.387222137878286544, -62.260336469917308241, 58.030587920544453262, -14.648494910599558247,
             52.129238052940520129, -22.863772455089820359],
            [15.163428676357077573, 97.536545955707632354, -92.479746950925076601, 27.18232694654325446,
             -83.230099537862528505, 35.827544910179640719],
            [-6.699183836665846652, -44.270918480499318823, 42.247382346927233059, -13.465574759265428418,
             38.202067184593181193, -16.013772455089820359]],
     formula=b"six stages, the first explicit, the others z - dt/4 f(t + c dt, z) = r; y+ = y + dt (82889/524892 k1 + 15625/83664 k3 "
             b"+ 69875/102672 k4 - 2260/8211 k5 + k6/4)",
     doc=b"Kennedy and Carpenter's ESDIRK4(3)6L[2]SA, the implicit half of ARK4(3)6L[2]SA: L-stable, with an error estimate. Continuous: "
         b"the quartic of order 4 that stays bounded where stiffness is infinite.",
     reference=b"C. Kennedy and M. Carpenter, Appl. Numer. Math. 44 (2003) 139-181")


_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
