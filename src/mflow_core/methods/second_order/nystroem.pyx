"""Runge-Kutta-Nystroem pairs for x'' = a(t, x): the stages are accelerations, and v is no part of them.

    X_i = x + c_i dt v + dt^2 sum_j a_ij k_j,   k_i = a(t + c_i dt, X_i);   x+ = x + dt v + dt^2 sum b_i k_i,   v+ = v + dt sum b'_i k_i

The last stage is x+ itself, so that its k is the a at the end, which the next step begins with. The errors of x and v are the differences
to the embedded weights, dt^2 sum d_i k_i and dt sum d'_i k_i. Where a depends on v, stages take v as it is at the start: first order.

work: k_1 where the carried a will be overwritten or is not there, then k_2 ... k_(s-1), then X_i. k_s is x1[2]. x1 may be x0: x+ is written
after the other stages and combines entry by entry, and v is written at last.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.string cimport memcpy

from mflow_core.methods.second_order.between cimport QUINTIC, SEPTIC, between
from mflow_core.methods.second_order.records cimport acceleration, in_place, new_record, start
from mflow_core.methods.tableau cimport MAX_STAGES, combine_at, plan_row, records_t, weigh
from mflow_core.types cimport MF_EMBEDDED, mf_frame, mf_method

cdef enum:
    STAGES = 10


ctypedef struct nystroem_t:
    mf_method m
    int s
    double[STAGES] c
    plan_row[STAGES] row                 # of X_i: col 0 is v, col j + 1 is k_j; w are those of v, c_i, and a_ij
    plan_row v, of_x, of_v               # of v+, and of the errors: col j + 1 is k_j


cdef inline void scaled(const plan_row *row, double h, plan_row *out) noexcept nogil:
    """The row of a position: weights of slopes are multiplied by h once more; the first is that of v."""
    cdef int e
    out.q = row.q
    for e in range(row.q):
        out.col[e] = row.col[e]
        out.w[e] = h * row.w[e] if row.col[e] > 0 else row.w[e]


cdef int nystroem_step(const mf_method *m, mf_frame *f) noexcept nogil:
    cdef const nystroem_t *s = <const nystroem_t *> m
    cdef const double *K[STAGES + 1]
    cdef const double *a
    cdef double *X = f.work + (s.s - 1) * f.ld
    cdef double *at
    cdef plan_row row
    cdef ptrdiff_t n = f.n
    cdef int i, last = s.s - 1
    cdef int status = start(f, f.work, &a)
    if status != 0:
        return status
    if in_place(f) and a != f.work:
        memcpy(f.work, a, n * sizeof(double))
        a = f.work
    K[0], K[1] = f.x0[1], a
    for i in range(1, s.s):
        at = f.x1[0] if i == last else X
        K[i + 1] = f.x1[2] if i == last else f.work + i * f.ld
        scaled(&s.row[i], f.h, &row)
        combine_at(n, at, f.x0[0], f.h, K, &row)
        status = acceleration(f, f.t + s.c[i] * f.h, at, f.x0[1], <double *> K[i + 1])
        if status != 0:
            return status
    if f.err != NULL:
        scaled(&s.of_x, f.h, &row)
        weigh(n, f.err, f.h, K, &row)
        weigh(n, f.err + f.ld, f.h, K, &s.of_v)
    combine_at(n, f.x1[1], f.x0[1], f.h, K, &s.v)
    return 0


# ---- records -------------------------------------------------------------------------------------------------------------------------

cdef records_t RECORDS


cdef int pack(plan_row *row, double of_v, list weights) except -1:
    """The nonzeros of one combination."""
    cdef int j
    row.q = 0
    if of_v != 0.0:
        row.col[0], row.w[0], row.q = 0, of_v, 1
    for j in range(len(weights)):
        if weights[j] != 0.0:
            row.col[row.q], row.w[row.q] = j + 1, weights[j]
            row.q += 1
    return 0


cdef int pair(const char *name, const char *class_name, const char *aliases, int order, int order_hat, list A, list c, list b, list db,
              list dv, const char *doc, const char *reference) except -1:
    """A: the rows of the stages, the last of which is x+. b: the weights of v+. db, dv: x+ and v+ less the embedded ones."""
    cdef int i
    cdef nystroem_t *s = <nystroem_t *> new_record(&RECORDS, sizeof(nystroem_t), name, class_name, aliases, order, len(A), [], b"x|v|a",
                                                   len(A), nystroem_step)
    if len(A) > STAGES or len(A) > MAX_STAGES:
        raise ImportError(f"nystroem: more than {STAGES} stages")
    s.m.formula = (b"k_i = a(t + c_i dt, x + c_i dt v + dt^2 sum a_ij k_j), x+ = x + dt v + dt^2 sum b_i k_i, v+ = v + dt sum b'_i k_i")
    s.m.doc, s.m.reference = doc, reference
    s.m.flags = s.m.flags | MF_EMBEDDED
    s.m.order_hat, s.m.sizes.n_err = order_hat, 2
    s.m.dense, s.m.sizes.n_dense = between, SEPTIC if order > 5 else QUINTIC
    s.s = len(A)
    for i in range(s.s):
        s.c[i] = c[i]
        pack(&s.row[i], c[i], A[i])
    pack(&s.v, 0.0, b)
    pack(&s.of_x, 0.0, db)
    pack(&s.of_v, 0.0, dv)
    return 0


pair(b"rkn64", b"RKN64", b"dprkn6", 6, 4,
    A=[[], [1./200], [-1./2200, 1./22], [637./6600, -7./110, 7./33], [225437./1968750, -30073./281250, 65569./281250, -9367./984375],
       [151./2142, 5./116, 385./1368, 55./168, -6250./28101]],
    c=[0.0, 1./10, 3./10, 7./10, 17./25, 1.0],
    b=[151./2142, 25./522, 275./684, 275./252, -78125./112404, 1./12],
    db=[151./2142 - 1349./157500, 5./116 - 7873./50000, 385./1368 - 192199./900000, 55./168 - 521683./2100000, -6250./28101 + 16./125, 0.0],
    dv=[151./2142 - 1349./157500, 25./522 - 7873./45000, 275./684 - 27457./90000, 275./252 - 521683./630000, -78125./112404 + 2./5, 0.0],
    doc=b"Dormand, El-Mikkawy and Prince's pair 6(4), five forces a step: for smooth forces that do not depend on v, under error control.",
    reference=b"J. Dormand, M. El-Mikkawy and P. Prince, IMA J. Numer. Anal. 7 (1987) 235-250, RKN6(4)6FM")

pair(b"rkn86", b"RKN86", b"dprkn8", 8, 6,
    A=[[], [1./800], [1./600, 1./300], [9./200, -9./100, 9./100], [-66701./197352, 28325./32892, -2665./5482, 2170./24669],
       [227015747./304251000, -54897451./30425100, 12942349./10141700, -9499./304251, 539./9250],
       [-1131891597./901789000, 41964921./12882700, -6663147./3220675, 270954./644135, -108./5875, 114./1645],
       [13836959./3667458, -17731450./1833729, 1063919505./156478208, -33213845./39119552, 13335./28544, -705./14272, 1645./57088],
       [223./7938, 0.0, 1175./8064, 925./6048, 41./448, 925./14112, 1175./72576, 0.0]],
    c=[0.0, 1./20, 1./10, 3./10, 1./2, 7./10, 9./10, 1.0, 1.0],
    b=[223./7938, 0.0, 5875./36288, 4625./21168, 41./224, 4625./21168, 5875./36288, 223./7938, 0.0],
    db=[223./7938 - 7987313./109941300, 0.0, 1175./8064 - 1610737./44674560, 925./6048 - 10023263./33505920, 41./448 + 497221./12409600,
        925./14112 - 10023263./78180480, 1175./72576 - 1610737./402071040, 0.0, 0.0],
    dv=[223./7938 - 7987313./109941300, 0.0, 5875./36288 - 1610737./40207104, 4625./21168 - 10023263./23454144, 41./224 + 497221./6204800,
        4625./21168 - 10023263./23454144, 5875./36288 - 1610737./40207104, 223./7938 + 4251941./54970650, -3./20],
    doc=b"Dormand, El-Mikkawy and Prince's pair 8(6), eight forces a step: for smooth forces that do not depend on v and small tolerances.",
    reference=b"J. Dormand, M. El-Mikkawy and P. Prince, IMA J. Numer. Anal. 7 (1987) 423-430, RKN8(6)9FM")


_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
