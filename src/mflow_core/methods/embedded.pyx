"""Explicit Runge-Kutta pairs: y' = f(t, y), with an error estimate and a continuous extension of their own.

    K_1 = f(t, y),   K_j = f(t + c_j h, y + h sum_l A_jl K_l),   y+ = y + h sum_j b_j K_j,   K_s = f(t + h, y+)
    err = h sum_j d_j K_j,   d = b - bhat      (dop853 has two: of order 5, then of order 3)

The last slope is the first of the next step (FSAL): it is carried in x1[1] and counts as a stage. With MF_FRESH there is no such slope
yet, and K_1 is computed. `work` holds the argument of the next slope, then K_1 ... K_(s-1), then the slopes that `dense` adds. After a
step the first is the argument of K_(s-1): error control looks for stiffness there (control.pxd). x1 may be x0: y is read for the last time
in the combination that writes y+, and K_1 is copied before the last slope overwrites it.

Between t and t + h, with d = y+ - y, a = h K_1, b = h K_s, every extension is the cubic through both ends with their slopes, plus terms
that vanish at both ends together with their slopes,

    theta^2 (1-theta)^2 Q_1 + theta^3 (1-theta)^2 Q_2 + theta^3 (1-theta)^3 Q_3 + theta^4 (1-theta)^3 Q_4,   Q_i = h sum_j q_ij K_j:

none of them for bs32, Q_1 for dopri5 and tsit5, all four for dop853, whose sums include three more slopes. So y(t + h) is y+ in spite
of rounding, and one function gives the powers of theta for all.

Write fractions as 1./3: the kernels are compiled with C's division, in which 1/3 is 0.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.stddef cimport ptrdiff_t
from libc.stdlib cimport calloc

from mflow_core.arithmetic.sums cimport mf_add, mf_add_and_sums, mf_sum
from mflow_core.methods.tableau cimport (MAX_STAGES, combine_at, doubles, first_slope, new_record, pack, plan_row, plans, records_t,
                                         slope_at_start, square, weigh)
from mflow_core.types cimport MF_DERIVED, MF_EMBEDDED, MF_FSAL, mf_frame, mf_method, mf_rhs_fn, mf_tableau


ctypedef struct pair_t:                  # the nonzeros of a pair
    plan_row *stage                      # s rows; the last is b
    plan_row *err                        # n_hat rows
    plan_row *extra                      # slopes that `dense` adds
    plan_row *q                          # Q_1 ...
    int n_extra, n_q
    bint together                        # y+ and two estimates are sums of the same eight slopes, and made in one pass
    double[3] c_extra


# ---- kernels -------------------------------------------------------------------------------------------------------------------------

cdef inline double *slope_slot(const mf_frame *f, int s, int j) noexcept nogil:
    """The place of slope j in `work`; the last one, s - 1, is in x1[1] and has none."""
    return f.work + (j + 1 if j < s else j) * f.ld


cdef int pair_step(const mf_method *m, mf_frame *f) noexcept nogil:
    cdef const mf_tableau *tab = m.tab
    cdef const pair_t *packed = <const pair_t *> tab.packed
    cdef const plan_row *row = packed.stage + 1
    cdef const double *c = tab.c
    cdef const double *y = f.x0[0]
    cdef double *z = f.work
    cdef double *out
    cdef double t = f.t, h = f.h
    cdef ptrdiff_t n = f.n, ld = f.ld
    cdef mf_rhs_fn rhs = f.p.rhs
    cdef void *ctx = f.p.ctx
    cdef int s = tab.s, j, status
    cdef const double *K[MAX_STAGES]
    status = first_slope(f, f.work + ld, K)
    if status != 0:
        return status
    for j in range(1, s):
        out = f.work + (j + 1) * ld
        if j == s - 1:
            z, out = f.x1[0], f.x1[1]
        if j == s - 1 and f.err != NULL and packed.together:
            mf_add_and_sums(n, z, y, f.err, f.err + ld, h, K, row.col, row.w, packed.err[0].w, packed.err[1].w)
        elif not mf_add(n, z, y, h, K, row.q, row.col, row.w):
            combine_at(n, z, y, h, K, row)
        K[j] = out
        row += 1
        status = rhs(t + c[j] * h, z, out, n, ctx)
        if status != 0:
            f.n_rhs += j
            return status
    f.n_rhs += s - 1
    if f.err != NULL and not packed.together:
        for j in range(tab.n_hat):
            row = packed.err + j
            if not mf_sum(n, f.err + j * ld, h, K, row.q, row.col, row.w):
                weigh(n, f.err + j * ld, h, K, row)
    return 0


cdef int pair_dense(const mf_method *m, mf_frame *f) noexcept nogil:
    """Write the powers of theta to D, from both ends, their slopes, and the Q, which D[3] ... hold first."""
    cdef const pair_t *packed = <const pair_t *> m.tab.packed
    cdef const double *K[MAX_STAGES]
    cdef double *out
    cdef int s = m.tab.s, j, status
    K[0] = slope_at_start(f, f.work + f.ld)
    for j in range(1, s - 1):
        K[j] = slope_slot(f, s, j)
    K[s - 1] = f.x1[1]
    for j in range(packed.n_extra):
        out = slope_slot(f, s, s + j)
        combine_at(f.n, f.work, f.x0[0], f.h, K, packed.extra + j)
        K[s + j] = out
        status = f.p.rhs(f.t + packed.c_extra[j] * f.h, f.work, out, f.n, f.p.ctx)
        f.n_rhs += 1
        if status != 0:
            return status
    for j in range(packed.n_q):
        weigh(f.n, f.D + (3 + j) * f.ld, f.h, K, packed.q + j)
    cubic(f, K[0], K[s - 1], f.D + 3 * f.ld if packed.n_q else NULL)
    if packed.n_q == 4:
        seventh(f)
    return 0


cdef void cubic(const mf_frame *f, const double *first, const double *last, const double *q) noexcept nogil:
    """theta, theta^2, theta^3 of the cubic through both ends and, if there is one, of theta^2 (1-theta)^2 Q_1."""
    cdef const double *y0 = f.x0[0]
    cdef const double *y1 = f.x1[0]
    cdef double *D0 = f.D
    cdef double *D1 = f.D + f.ld
    cdef double *D2 = f.D + 2 * f.ld
    cdef double h = f.h, a, b, d
    cdef ptrdiff_t i
    for i in range(f.n):
        a = h * first[i]
        b = h * last[i]
        d = y1[i] - y0[i]
        D0[i] = a
        D1[i] = (d - a) + (2.0 * d - a - b)
        D2[i] = (a + b) - 2.0 * d
    if q != NULL:
        for i in range(f.n):
            D1[i] = D1[i] + q[i]
            D2[i] = D2[i] - 2.0 * q[i]


cdef void seventh(const mf_frame *f) noexcept nogil:
    """The powers of theta of all four Q, which are in D[3] ... D[6]; `cubic` has added the first."""
    cdef double *D2 = f.D + 2 * f.ld
    cdef double *D3 = f.D + 3 * f.ld
    cdef double *D4 = f.D + 4 * f.ld
    cdef double *D5 = f.D + 5 * f.ld
    cdef double *D6 = f.D + 6 * f.ld
    cdef double q1, q2, q3, q4
    cdef ptrdiff_t i
    for i in range(f.n):
        q1 = D3[i]
        q2 = D4[i]
        q3 = D5[i]
        q4 = D6[i]
        D2[i] = D2[i] + (q2 + q3)
        D3[i] = (q1 - 2.0 * q2) + (q4 - 3.0 * q3)
        D4[i] = (q2 + 3.0 * q3) - 3.0 * q4
        D5[i] = 3.0 * q4 - q3
        D6[i] = -q4


# ---- method records ------------------------------------------------------------------------------------------------------------------

cdef records_t RECORDS


cdef list columns(list row):
    """The columns of the nonzeros."""
    return [j for j, value in enumerate(row) if value != 0]


cdef int pair(const char *name, const char *class_name, const char *aliases, int order, int order_hat, list c, list A, list d,
              list q, const char *formula, const char *doc, const char *reference, list c_extra=None, list extra=None) except -1:
    """Add a pair. A: row j has its first j entries, the last row is b. d: b - bhat, a row for each estimate. q: rows of the extension."""
    cdef int s = len(A), n_extra = len(extra) if extra else 0, j
    cdef mf_method *m = new_record(&RECORDS, b"embedded_runge_kutta", name, class_name, aliases, order, s, formula, doc, reference)
    cdef mf_tableau *tab = <mf_tableau *> m.tab
    cdef pair_t *packed = <pair_t *> calloc(1, sizeof(pair_t))
    if packed == NULL:
        raise MemoryError("no memory for the tableaus")
    if len(q) not in (0, 1, 4):
        raise ValueError(f"{name.decode()}: expected 0, 1 or 4 rows q of the continuous extension, got {len(q)}")
    full = square(A, s)
    tab.A = doubles([a for row in full for a in row])
    tab.b = doubles(full[s - 1])
    tab.c = doubles(c)
    tab.d = doubles([a for row in square(d, s) for a in row])
    tab.n_hat, tab.degree = len(d), 3 + len(q)
    packed.stage, packed.err, packed.extra, packed.q = plans(s), plans(len(d)), plans(n_extra), plans(len(q))
    packed.n_extra, packed.n_q = n_extra, len(q)
    for j in range(s):
        pack(packed.stage + j, A[j])
    for j in range(len(d)):
        pack(packed.err + j, d[j])
    packed.together = len(d) == 2 and packed.err.q == 8 and columns(A[s - 1]) == columns(d[0]) == columns(d[1])
    for j in range(n_extra):
        pack(packed.extra + j, extra[j])
        packed.c_extra[j] = c_extra[j]
    for j in range(len(q)):
        pack(packed.q + j, q[j])
    tab.packed = packed
    m.vectors = b"y|f"
    m.flags = m.flags | MF_FSAL | MF_EMBEDDED | MF_DERIVED
    m.order_hat, m.step, m.dense = order_hat, pair_step, pair_dense
    m.sizes.n_vec, m.sizes.n_work, m.sizes.n_err, m.sizes.n_dense = 2, s + n_extra, len(d), 3 + len(q)
    return 0


pair(b"bs32", b"BS32", b"rk23|bogacki_shampine", 3, 2,
     c=[0, 1./2, 3./4, 1],
     A=[[], [1./2], [0, 3./4], [2./9, 1./3, 4./9]],
     d=[[-5./72, 1./12, 1./9, -1./8]], q=[],
     formula=b"k1 = f(t, y), k2 = f(t + dt/2, y + dt/2 k1), k3 = f(t + 3/4 dt, y + 3/4 dt k2), y+ = y + dt (2 k1 + 3 k2 + 4 k3)/9, "
             b"k4 = f(t + dt, y+), err = dt (-5/72 k1 + k2/12 + k3/9 - k4/8)",
     doc=b"The pair of orders 3 and 2 of Bogacki and Shampine: three slopes a step, for loose tolerances. Continuous: the cubic "
         b"through both ends.",
     reference=b"P. Bogacki and L. Shampine, Appl. Math. Lett. 2 (1989) 321-325")

pair(b"dopri5", b"DOPRI5", b"rk45|dormand_prince", 5, 4,
     c=[0, 1./5, 3./10, 4./5, 8./9, 1, 1],
     A=[[], [1./5], [3./40, 9./40], [44./45, -56./15, 32./9], [19372./6561, -25360./2187, 64448./6561, -212./729],
        [9017./3168, -355./33, 46732./5247, 49./176, -5103./18656],
        [35./384, 0, 500./1113, 125./192, -2187./6784, 11./84]],
     d=[[71./57600, 0, -71./16695, 71./1920, -17253./339200, 22./525, -1./40]],
     q=[[-12715105075./11282082432, 0, 87487479700./32700410799, -10690763975./1880347072, 701980252875./199316789632,
         -1453857185./822651844, 69997945./29380423]],
     formula=b"y+ = y + dt (35/384 k1 + 500/1113 k3 + 125/192 k4 - 2187/6784 k5 + 11/84 k6), k7 = f(t + dt, y+), "
             b"err = dt (71/57600 k1 - 71/16695 k3 + 71/1920 k4 - 17253/339200 k5 + 22/525 k6 - k7/40)",
     doc=b"The pair of orders 5 and 4 of Dormand and Prince, which SciPy calls RK45: six slopes a step. Continuous: Shampine's quartic.",
     reference=b"J. Dormand and P. Prince, J. Comput. Appl. Math. 6 (1980) 19-26; L. Shampine, Math. Comp. 46 (1986) 135-150")

pair(b"tsit5", b"Tsit5", b"tsitouras5", 5, 4,
     c=[0, 161./1000, 327./1000, 9./10, 0.9800255409045096857298102862870245954942, 1, 1],
     A=[[], [161./1000], [-0.0084806554923569885444268742502307746751, 0.3354806554923569885444268742502307746751],
        [2.8971530571054934321304325941929387649249, -6.3594484899750748431481599123838256259527,
         4.3622954328695814110177273181908868610278],
        [5.3258648284392566044288779208405113178365, -11.7488835640628278777471703397857729618874,
         7.4955393428898362083046047845643581556587, -0.0924950663617552492565020793320719161135],
        [5.8614554429464200286592514869826478903943, -12.9209693178471092917061186817833593954178,
         8.1593678985761586431804007945392534851819, -0.0715849732814009972245305425258297386913,
         -0.0282690503940683829090030572127122414672],
        [0.0964607668180652295181673131651287633371, 1./100, 0.4798896504144995747752495322905965199130,
         1.3790085741037418931922748218568727707565, -3.2900695154360806799010475857113638501157,
         2.3247105240997739824153559183987657961091]],
     d=[[0.0017800110522257714193793556147941605991, 0.0008164344596567469032236360633546862402,
         -0.0078808780102619960103143156725317216561, 0.1447110071732629075366188979729991167215,
         -0.5823571654525552250199376106520421794260, 0.4580821059291869466616365188325542974439, -1./66]],
     q=[[-1.0530884977290216, 0.1017, 2.490627285651252793, -16.54810288924490272, 47.37952196281928122, -34.87065786149660974, 5./2]],
     formula=b"seven slopes, the last of them k7 = f(t + dt, y+): y+ = y + dt sum b_j k_j, err = dt sum d_j k_j "
             b"(coefficients: Tsitouras's tables)",
     doc=b"The pair of orders 5 and 4 of Tsitouras: six slopes a step, smaller errors than Dormand and Prince's. Continuous: his quartic.",
     reference=b"C. Tsitouras, Comput. Math. Appl. 62 (2011) 770-775")

pair(b"dop853", b"DOP853", b"dormand_prince_853", 8, 5,
     c=[0, 0.0526001519587677318785587544488, 0.0789002279381515978178381316732, 0.118350341907227396726757197510,
        0.281649658092772603273242802490, 1./3, 1./4, 4./13,
        0.651282051282051282051282051282, 3./5, 6./7, 1, 1],
     A=[[],
        [0.0526001519587677318785587544488],
        [0.0197250569845378994544595329183, 0.0591751709536136983633785987549],
        [0.0295875854768068491816892993775, 0, 0.0887627564304205475450678981324],
        [0.241365134159266685502369798665, 0, -0.884549479328286085344864962717, 0.924834003261792003115737966543],
        [1./27, 0, 0, 0.170828608729473871279604482173, 0.125467687566822425016691814123],
        [19./512, 0, 0, 0.170252211019544039314978060272, 0.0602165389804559606850219397283, -9./512],
        [0.0370920001185047927108779319836, 0, 0, 0.170383925712239993810214054705, 0.107262030446373284651809199168,
         -0.0153194377486244017527936158236, 0.00827378916381402288758473766002],
        [0.624110958716075717114429577812, 0, 0, -3.36089262944694129406857109825, -0.868219346841726006818189891453,
         27.5920996994467083049415600797, 20.1540675504778934086186788979, -43.4898841810699588477366255144],
        [0.477662536438264365890433908527, 0, 0, -2.48811461997166764192642586468, -0.590290826836842996371446475743,
         21.2300514481811942347288949897, 15.2792336328824235832596922938, -33.2882109689848629194453265587,
         -0.0203312017085086261358222928593],
        [-0.93714243008598732571704021658, 0, 0, 5.18637242884406370830023853209, 1.09143734899672957818500254654,
         -8.14978701074692612513997267357, -18.5200656599969598641566180701, 22.7394870993505042818970056734,
         2.49360555267965238987089396762, -3.0467644718982195003823669022],
        [2.27331014751653820792359768449, 0, 0, -10.5344954667372501984066689879, -2.00087205822486249909675718444,
         -17.9589318631187989172765950534, 27.9488845294199600508499808837, -2.85899827713502369474065508674,
         -8.87285693353062954433549289258, 12.3605671757943030647266201528, 0.643392746015763530355970484046],
        [0.0542937341165687622380535766363, 0, 0, 0, 0, 4.45031289275240888144113950566, 1.89151789931450038304281599044,
         -5.8012039600105847814672114227, 0.31116436695781989440891606237, -0.152160949662516078556178806805,
         0.201365400804030348374776537501, 0.0447106157277725905176885569043]],
     d=[[0.01312004499419488073250102996, 0, 0, 0, 0, -1.225156446376204440720569753, -0.4957589496572501915214079952,
         1.664377182454986536961530415, -0.3503288487499736816886487290, 0.3341791187130174790297318841, 0.08192320648511571246570742613,
         -0.02235530786388629525884427845],
        [0.0542937341165687622380535766363 - 0.244094488188976377952755905512, 0, 0, 0, 0, 4.45031289275240888144113950566,
         1.89151789931450038304281599044, -5.8012039600105847814672114227,
         0.31116436695781989440891606237 - 0.733846688281611857341361741547, -0.152160949662516078556178806805,
         0.201365400804030348374776537501, 0.0447106157277725905176885569043 - 0.0220588235294117647058823529412]],
     q=[[-8.4289382761090128651353491142, 0, 0, 0, 0, 0.56671495351937776962531783590, -3.0689499459498916912797304727,
         2.3846676565120698287728149680, 2.1170345824450282767155149946, -0.87139158377797299206789907490, 2.2404374302607882758541771650,
         0.63157877876946881815570249290, -0.088990336451333310820698117400, 18.148505520854727256656404962,
         -9.1946323924783554000451984436, -4.4360363875948939664310572000],
        [10.427508642579134603413151009, 0, 0, 0, 0, 242.28349177525818288430175319, 165.20045171727028198505394887,
         -374.54675472269020279518312152, -22.113666853125306036270938578, 7.7334326684722638389603898808,
         -30.674084731089398182061213626, -9.3321305264302278729567221706, 15.697238121770843886131091075,
         -31.139403219565177677282850411, -9.3529243588444783865713862664, 35.816841486394083752465898540],
        [19.985053242002433820987653617, 0, 0, 0, 0, -387.03730874935176555105901742, -189.17813819516756882830838328,
         527.80815920542364900561016686, -11.573902539959630126141871134, 6.8812326946963000169666922661, -1.0006050966910838403183860980,
         0.77771377980534432092869265740, -2.7782057523535084065932004339, -60.196695231264120758267380846,
         84.320405506677161018159903784, 11.992291136182789328035130030],
        [-25.693933462703749003312586129, 0, 0, 0, 0, -154.18974869023643374053993627, -231.52937917604549567536039109,
         357.63911791061412378285349910, 93.405324183624310003907691704, -37.458323136451633156875139351, 104.09964950896230045147246184,
         29.840293426660503123344363579, -43.533456590011143754432175058, 96.324553959188282948394950600, -39.177261675615439165231486172,
         -149.72683625798562581422125276]],
     c_extra=[1./10, 1./5, 7./9],
     extra=[[0.0561675022830479523392909219681, 0, 0, 0, 0, 0, 0.253500210216624811088794765333, -0.246239037470802489917441475441,
             -0.124191423263816360469010140626, 0.15329179827876569731206322685, 0.00820105229563468988491666602057,
             0.00756789766054569976138603589584, -0.008298],
            [0.0318346481635021405060768473261, 0, 0, 0, 0, 0.0283009096723667755288322961402, 0.0535419883074385676223797384372,
             -0.0549237485713909884646569340306, 0, 0, -0.000108347328697249322858509316994, 0.000382571090835658412954920192323,
             -0.000340465008687404560802977114492, 0.141312443674632500278074618366],
            [-0.428896301583791923408573538692, 0, 0, 0, 0, -4.69762141536116384314449447206, 7.68342119606259904184240953878,
             4.06898981839711007970213554331, 0.356727187455281109270669543021, 0, 0, 0, -0.00139902416515901462129418009734,
             2.9475147891527723389556272149, -9.15095847217987001081870187138]],
     formula=b"twelve slopes, then k13 = f(t + dt, y+): y+ = y + dt sum b_j k_j; errors of orders 5 and 3: dt sum d_j k_j "
             b"(coefficients: Hairer's tables)",
     doc=b"Dormand and Prince's method of order 8 with Hairer's estimates of orders 5 and 3: twelve slopes a step, for sharp tolerances. "
         b"Continuous: degree 7, with three more slopes if it is used.",
     reference=b"E. Hairer, S. Norsett and G. Wanner, Solving Ordinary Differential Equations I (1993), II.5 and II.6")


_records = PyCapsule_New(<void *> RECORDS.record, b"mflow_core._rows", NULL)
