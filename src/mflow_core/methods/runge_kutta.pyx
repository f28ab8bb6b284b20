"""Explicit Runge-Kutta methods: y' = f(t, y).

    Butcher form     K_j = f(t + c_j h, y + h sum_l A_jl K_l),     y+ = y + h sum_j b_j K_j
    Shu-Osher form   u_0 = y,   u_i = sum_j alpha_ij (u_j + h (beta_ij / alpha_ij) f(u_j)),     y+ = u_s

Methods in Butcher form use `work` for the argument of the next slope and then K_0 ... K_(s-1), each `ld` apart. Only the nonzeros of A
and b are visited; they are packed once, when the module is imported. TVD (strong stability preserving) methods are stored as convex
combinations of Euler steps and computed as such: rounding destroys the convex combination in the Butcher form of the same method. Their
vectors share few slots of `work`, which are assigned by last use, so ssprk104 needs five for its ten stages.

x1[0] may be x0[0]: a kernel reads x0 for the last time, element by element, in the combination that writes x1.

To add a method, write its coefficients and facts in the table at the end; no other file changes. Write fractions as 1./3: the kernels are
compiled with C's division, in which 1/3 is 0.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.stddef cimport ptrdiff_t

from mflow_core.arithmetic.sums cimport (mf_add_few, mf_add_looked, mf_average_2, mf_average_2_looked, mf_average_3, mf_average_3_looked,
                                         mf_euler, mf_euler_looked)
from mflow_core.methods.tableau cimport (LOOK, MAX_STAGES, MF_BLOCK, combine_at, doubles, looked, mf_all_blocks, new_record, node, pack,
                                         plan_row, plans, records_t, square)
from mflow_core.types cimport MF_SSP, mf_frame, mf_method, mf_rhs_fn, mf_tableau

from math import fsum

from mflow_core.methods.coefficients import convex, share_slots


# ---- kernels -------------------------------------------------------------------------------------------------------------------------

# Where a driver has the new state looked at (LOOK), the last slope is written to x1, and the last combination over it: a step touches a
# vector less, which for Euler's method is one of three.

cdef inline double *last_slope(const mf_frame *f, double *room) noexcept nogil:
    return f.x1[0] if f.flags & LOOK and f.x1[0] != f.x0[0] else room


cdef inline int end_looked_at(mf_frame *f, const plan_row *row, const double *const *K) noexcept nogil:
    """The last row of a step."""
    return looked(f, mf_add_looked(f.n, f.x1[0], f.x0[0], f.h, K, row.q, row.col, row.w))


cdef enum:                               # forms of a row: which loop computes it
    GENERAL = 0
    EULER = 1                            # an Euler step alone; Butcher: with the slope of the stage before
    AVERAGE_2 = 2                        # averages of y, without a slope, with one or two of them
    AVERAGE_3 = 3


cdef inline int slope(mf_frame *f, double c, const double *y, double *k) noexcept nogil:
    f.n_rhs += 1
    return f.p.rhs(f.t + c * f.h, y, k, f.n, f.p.ctx)


cdef inline void move(mf_frame *f, double *out, const double *const *K, const double *k, const plan_row *row) noexcept nogil:
    """The combination of a row; k: the slope before it."""
    if row.form == EULER:
        mf_euler(f.n, out, f.x0[0], k, f.h * row.w[0])
    elif not mf_add_few(f.n, out, f.x0[0], f.h, K, row.q, row.col, row.w):
        combine_at(f.n, out, f.x0[0], f.h, K, row)


cdef int one_stage_step(const mf_method *m, mf_frame *f) noexcept nogil:
    """Euler's method: without a loop over stages, which costs it a quarter at a few numbers."""
    cdef const plan_row *row = <const plan_row *> m.tab.packed + 1
    cdef const double *k = last_slope(f, f.work + f.ld)
    cdef int status = slope(f, 0.0, f.x0[0], <double *> k)
    if status != 0:
        return status
    if f.flags & LOOK:
        return end_looked_at(f, row, &k)
    mf_euler(f.n, f.x1[0], f.x0[0], k, f.h * row.w[0])
    return 0


cdef int butcher_step(const mf_method *m, mf_frame *f) noexcept nogil:
    cdef const mf_tableau *tab = m.tab
    cdef const double *c = tab.c
    cdef const plan_row *row = <const plan_row *> tab.packed + 1
    cdef double *z = f.work
    cdef double *k = z + f.ld
    cdef const double *at = f.x0[0]
    cdef const double *K[MAX_STAGES]
    cdef double t = f.t, h = f.h
    cdef ptrdiff_t n = f.n
    cdef mf_rhs_fn rhs = f.p.rhs
    cdef void *ctx = f.p.ctx
    cdef int last = tab.s - 1, j, status
    for j in range(last):
        K[j] = k
        status = rhs(t + c[j] * h, at, k, n, ctx)
        if status != 0:
            f.n_rhs += j + 1
            return status
        move(f, z, K, k, row)
        at = z
        k = k + f.ld
        row += 1
    K[last] = k = last_slope(f, k)
    status = rhs(t + c[last] * h, at, k, n, ctx)
    f.n_rhs += last + 1
    if status != 0:
        return status
    if f.flags & LOOK:
        return end_looked_at(f, row, K)
    move(f, f.x1[0], K, k, row)
    return 0


cdef inline int slope_along(mf_frame *f, double c, const plan_row *row, const double *k, double *out) noexcept nogil:
    """The slope where the one before leads."""
    mf_euler(f.n, f.work, f.x0[0], k, f.h * row.w[0])
    return slope(f, c, f.work, out)


cdef int four_stage_step(const mf_method *m, mf_frame *f) noexcept nogil:
    """Four stages, each along the slope before it, as of RK4. They are spelled out: the loop over stages, and the choice of a loop for each
    row, cost a tenth of a step of 30 numbers."""
    cdef const double *c = m.tab.c
    cdef const plan_row *row = <const plan_row *> m.tab.packed + 1
    cdef double *k = f.work + f.ld
    cdef const double *K[4]
    cdef int status
    K[0], K[1], K[2], K[3] = k, k + f.ld, k + 2 * f.ld, last_slope(f, k + 3 * f.ld)
    status = slope(f, c[0], f.x0[0], k)
    if status == 0:
        status = slope_along(f, c[1], row, K[0], <double *> K[1])
    if status == 0:
        status = slope_along(f, c[2], row + 1, K[1], <double *> K[2])
    if status == 0:
        status = slope_along(f, c[3], row + 2, K[2], <double *> K[3])
    if status != 0:
        return status
    if f.flags & LOOK:
        return end_looked_at(f, row + 3, K)
    mf_add_few(f.n, f.x1[0], f.x0[0], f.h, K, 4, row[3].col, row[3].w)
    return 0


cdef inline const double *slot(const mf_frame *f, int index) noexcept nogil:
    return f.x0[0] if index < 0 else f.work + index * f.ld


cdef inline const double *slope_of(const mf_frame *f, const plan_row *row, int e, const double *last) noexcept nogil:
    """The slope of term e; last: that of this stage."""
    return last if row.f[e] == row.slope else f.work + row.f[e] * f.ld


cdef inline void average_usual(mf_frame *f, double *out, const plan_row *row, const double *last) noexcept nogil:
    """A row of a usual form, to out."""
    cdef const double *u = slot(f, row.col[0])
    cdef double h = f.h
    if row.form == EULER:
        mf_euler(f.n, out, u, slope_of(f, row, 0, last), h * row.r[0])
    elif row.form == AVERAGE_2:
        mf_average_2(f.n, out, u, row.w[0], slot(f, row.col[1]), slope_of(f, row, 1, last), row.w[1], h * row.r[1])
    else:
        mf_average_3(f.n, out, u, row.w[0], slot(f, row.col[1]), slope_of(f, row, 1, last), row.w[1], h * row.r[1],
                     slot(f, row.col[2]), slope_of(f, row, 2, last), row.w[2], h * row.r[2])


cdef inline int average_looked_at(mf_frame *f, const plan_row *row, const double *last) noexcept nogil:
    """The last row of a step, of a usual form, as `average_usual`."""
    cdef const double *u = slot(f, row.col[0])
    cdef double h = f.h
    if row.form == EULER:
        return looked(f, mf_euler_looked(f.n, f.x1[0], u, slope_of(f, row, 0, last), h * row.r[0]))
    if row.form == AVERAGE_2:
        return looked(f, mf_average_2_looked(f.n, f.x1[0], u, row.w[0], slot(f, row.col[1]), slope_of(f, row, 1, last), row.w[1],
                                             h * row.r[1]))
    return looked(f, mf_average_3_looked(f.n, f.x1[0], u, row.w[0], slot(f, row.col[1]), slope_of(f, row, 1, last), row.w[1], h * row.r[1],
                                         slot(f, row.col[2]), slope_of(f, row, 2, last), row.w[2], h * row.r[2]))


ctypedef struct row_t:                   # a combination that is made block by block
    mf_frame *f
    const plan_row *row
    double *out


cdef void general_block(void *at, ptrdiff_t lo, ptrdiff_t m) noexcept nogil:
    """A row of any form, added in order in a block that stays in the first cache, since out may be one of the u. A term without a slope adds
    0 times one, which changes no number; what is not finite in it is in another term of its row, too."""
    cdef const row_t *job = <const row_t *> at
    cdef const plan_row *row = job.row
    cdef mf_frame *f = job.f
    cdef double[MF_BLOCK] sum
    cdef const double *u
    cdef const double *g
    cdef double a, r
    cdef ptrdiff_t i
    cdef int e
    for e in range(row.q):
        u, g = slot(f, row.col[e]) + lo, slot(f, row.slope if row.f[e] == -2 else row.f[e]) + lo
        a, r = row.w[e], f.h * row.r[e]
        for i in range(m):
            sum[i] = a * (u[i] + r * g[i]) if e == 0 else sum[i] + a * (u[i] + r * g[i])
    for i in range(m):
        job.out[lo + i] = sum[i]


cdef inline void average_general(mf_frame *f, const plan_row *row, double *out) noexcept nogil:
    cdef row_t job
    job.f, job.row, job.out = f, row, out
    mf_all_blocks(f.n, general_block, &job)


cdef int shu_osher_step(const mf_method *m, mf_frame *f) noexcept nogil:
    cdef const double *c = m.tab.c
    cdef const plan_row *row = <const plan_row *> m.tab.packed
    cdef const double *at = f.x0[0]
    cdef double *out
    cdef double *k
    cdef int s = m.tab.s, i, status
    for i in range(s):
        row += 1
        k = f.work + row.slope * f.ld
        if i + 1 == s and row.form != GENERAL:
            k = last_slope(f, k)
        status = slope(f, c[i], at, k)
        if status != 0:
            return status
        if i + 1 == s and row.form != GENERAL and f.flags & LOOK:
            return average_looked_at(f, row, k)
        out = f.x1[0] if i + 1 == s else f.work + row.out * f.ld
        at = out
        if row.form == GENERAL:
            average_general(f, row, out)
        else:
            average_usual(f, out, row, k)
    return 0


# ---- method records ------------------------------------------------------------------------------------------------------------------

cdef records_t RECORDS


cdef int butcher(const char *name, const char *class_name, const char *aliases, int order, list A, list b, const char *formula,
                 const char *doc, const char *reference) except -1:
    """Add a method in Butcher form. A: row j has its first j entries; the nodes c are the row sums."""
    cdef int s = len(b), j
    cdef mf_method *m = new_record(&RECORDS, b"runge_kutta", name, class_name, aliases, order, s, formula, doc, reference)
    cdef mf_tableau *tab = <mf_tableau *> m.tab
    cdef plan_row *plan = plans(s + 1)
    full = square(A, s)
    tab.A = doubles([a for row in full for a in row])
    tab.b = doubles(b)
    tab.c = doubles([node(fsum(row)) for row in full])
    for j, row in enumerate(full + [b]):
        pack(plan + j, row)
        plan[j].form = EULER if plan[j].q == 1 and plan[j].col[0] == j - 1 else GENERAL
    tab.packed = plan
    m.step = butcher_step if s > 1 else one_stage_step
    if s == 4 and plan[4].q == 4 and all([plan[j].form == EULER for j in range(1, 4)]):
        m.step = four_stage_step
    m.sizes.n_work = s + 1
    return 0


cdef int form_of(const plan_row *row) noexcept:
    if row.q == 1 and row.w[0] == 1.0 and row.f[0] >= 0:
        return EULER
    if row.q == 2 and row.f[0] == -2 and row.f[1] >= 0:
        return AVERAGE_2
    if row.q == 3 and row.f[0] == -2 and row.f[1] >= 0 and row.f[2] >= 0:
        return AVERAGE_3
    return GENERAL


cdef int shu_osher(const char *name, const char *class_name, const char *aliases, int order, list alpha, list beta,
                   const char *formula, const char *doc, const char *reference) except -1:
    """Add a method in Shu-Osher form. Row i of alpha and beta gives u_(i+1) from u_0 ... u_i; where beta is not 0, alpha is not 0."""
    cdef int s = len(alpha), i, e
    cdef mf_method *m = new_record(&RECORDS, b"runge_kutta", name, class_name, aliases, order, s, formula, doc, reference)
    cdef mf_tableau *tab = <mf_tableau *> m.tab
    cdef plan_row *plan = plans(s + 1)
    full_alpha, full_beta = [convex(row, name.decode()) for row in square(alpha, s)], square(beta, s)
    tab.alpha = doubles([0.0] * s + [a for row in full_alpha for a in row])
    tab.beta = doubles([0.0] * s + [a for row in full_beta for a in row])
    nodes = [0.0]
    for i in range(s - 1):
        nodes.append(node(fsum([full_alpha[i][j] * nodes[j] + full_beta[i][j] for j in range(i + 1)])))
    tab.c = doubles(nodes)
    if any([b != 0 and full_alpha[i][j] == 0 for i, row in enumerate(full_beta) for j, b in enumerate(row)]):
        raise ValueError(f"{name.decode()}: expected beta = 0 where alpha = 0, got another beta")
    terms = [[(j, a, full_beta[i][j] / a) for j, a in enumerate(row) if a != 0] for i, row in enumerate(full_alpha)]
    u_slot, f_slot, n_slots = share_slots(terms)
    for i, row in enumerate(terms):
        plan[i + 1].slope = f_slot[i]
        plan[i + 1].out = u_slot[i + 1]
        plan[i + 1].q = len(row)
        for e, (j, a, ratio) in enumerate(row):
            plan[i + 1].col[e] = u_slot[j]
            plan[i + 1].f[e] = f_slot[j] if ratio != 0 else -2
            plan[i + 1].w[e] = a
            plan[i + 1].r[e] = ratio
        plan[i + 1].form = form_of(plan + i + 1)
    tab.packed = plan
    m.step = shu_osher_step
    m.flags = m.flags | MF_SSP
    m.sizes.n_work = n_slots
    return 0


butcher(b"euler", b"Euler", b"forward_euler|rk1|tvd_rk1", 1,
        A=[[]], b=[1],
        formula=b"y+ = y + dt f(t, y)",
        doc=b"Forward Euler. On gradient flow it is steepest descent with a fixed step: the learning rate is dt.",
        reference=b"L. Euler, Institutionum calculi integralis (1768), sec. 650")

butcher(b"rk2", b"RK2", b"heun|modified_euler", 2,
        A=[[], [1]], b=[1./2, 1./2],
        formula=b"k1 = f(t, y), k2 = f(t + dt, y + dt k1), y+ = y + dt (k1 + k2)/2",
        doc=b"Heun's method: an Euler predictor, then the average of both slopes.",
        reference=b"K. Heun, Z. Math. Phys. 45 (1900) 23-38")

butcher(b"midpoint", b"Midpoint", b"", 2,
        A=[[], [1./2]], b=[0, 1],
        formula=b"k1 = f(t, y), y+ = y + dt f(t + dt/2, y + dt/2 k1)",
        doc=b"The explicit midpoint rule (modified Euler).",
        reference=b"C. Runge, Math. Ann. 46 (1895) 167-178")

butcher(b"rk3", b"RK3", b"kutta3", 3,
        A=[[], [1./2], [-1, 2]], b=[1./6, 2./3, 1./6],
        formula=b"k1 = f(t, y), k2 = f(t + dt/2, y + dt/2 k1), k3 = f(t + dt, y + dt (2 k2 - k1)), y+ = y + dt (k1 + 4 k2 + k3)/6",
        doc=b"Kutta's third-order method, the standard RK3; not the TVD one.",
        reference=b"W. Kutta, Z. Math. Phys. 46 (1901) 435-453")

butcher(b"rk4", b"RK4", b"", 4,
        A=[[], [1./2], [0, 1./2], [0, 0, 1]], b=[1./6, 1./3, 1./3, 1./6],
        formula=b"k1 = f(t, y), k2 = f(t + dt/2, y + dt/2 k1), k3 = f(t + dt/2, y + dt/2 k2), k4 = f(t + dt, y + dt k3), "
                b"y+ = y + dt (k1 + 2 k2 + 2 k3 + k4)/6",
        doc=b"The classical fourth-order method.",
        reference=b"W. Kutta, Z. Math. Phys. 46 (1901) 435-453")

shu_osher(b"tvd_rk2", b"TVDRK2", b"ssprk22", 2,
          alpha=[[1], [1./2, 1./2]], beta=[[1], [0, 1./2]],
          formula=b"y1 = y + dt f(t, y), y2 = y1 + dt f(t + dt, y1), y+ = (y + y2)/2",
          doc=b"Two Euler steps, then the average of start and end. Heun's method with other bits.",
          reference=b"C.-W. Shu and S. Osher, J. Comput. Phys. 77 (1988) 439-471, eq. (2.16)")

shu_osher(b"tvd_rk3", b"TVDRK3", b"ssprk33", 3,
          alpha=[[1], [3./4, 1./4], [1./3, 0, 2./3]], beta=[[1], [0, 1./4], [0, 0, 2./3]],
          formula=b"y1 = y + dt f(t, y), y2 = 3/4 y + 1/4 (y1 + dt f(t + dt, y1)), y+ = 1/3 y + 2/3 (y2 + dt f(t + dt/2, y2))",
          doc=b"Third order by Euler steps and averages alone, so it keeps what Euler keeps (bounds, total variation).",
          reference=b"C.-W. Shu and S. Osher, J. Comput. Phys. 77 (1988) 439-471, eq. (2.18)")

shu_osher(b"ssprk104", b"SSPRK104", b"", 4,
          alpha=[[1], [0, 1], [0, 0, 1], [0, 0, 0, 1], [3./5, 0, 0, 0, 2./5],
                 [0, 0, 0, 0, 0, 1], [0] * 6 + [1], [0] * 7 + [1], [0] * 8 + [1],
                 [1./25, 0, 0, 0, 9./25, 0, 0, 0, 0, 3./5]],
          beta=[[1./6], [0, 1./6], [0, 0, 1./6], [0, 0, 0, 1./6], [0, 0, 0, 0, 1./15],
                [0, 0, 0, 0, 0, 1./6], [0] * 6 + [1./6], [0] * 7 + [1./6], [0] * 8 + [1./6],
                [0, 0, 0, 0, 3./50, 0, 0, 0, 0, 1./10]],
          formula=b"ten Euler steps of dt/6 with averages after the fifth and the tenth: "
                  b"u5 = 3/5 y + 2/5 (u4 + dt/6 f(u4)), y+ = 1/25 y + 9/25 (u4 + dt/6 f(u4)) + 3/5 (u9 + dt/6 f(u9))",
          doc=b"Strong stability preserving with coefficient 6: six times Euler's step for ten slopes, at fourth order.",
          reference=b"D. Ketcheson, SIAM J. Sci. Comput. 30 (2008) 2113-2136")


_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
