"""Regressions: the mean over rows of a loss of the linear predictor t_i = x_i.c + bias.

    f = (1/m) sum_i w_i l(t_i; y_i) + l2 |c|^2/2            the bias, the last unknown where there is one, is free of l2

Rows of the data are processed in blocks of at most 16: predictors first, then the losses of the block, then the gradient, four rows at a
time so that it is loaded and stored a quarter as often. This fixes the order of every sum at every level. Data of more than PART numbers
are summed in parts of rows that threads share (pool.pyx); the cuts, and the order in which the partial sums are added, depend on the data's
size alone. Sparse rows (`sparse_rows.pxd`) go one by one, entry after entry, in one part, and cost what their entries cost. The scalar
functions are those of losses.pxd. Softmax uses the whole vector of logits, with unknowns (columns, classes). No libm: the same bits
everywhere. Arguments of exponentials are at most 0 (logistic, softmax), so that a finite result does not overflow on the way.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.math cimport fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy, memset

from mflow_core.arithmetic.dot cimport dot
from mflow_core.arithmetic.scalars cimport mf_exp, mf_log, mf_log1p
from mflow_core.arithmetic.vec cimport mf_cvec, mf_vec
from mflow_core.methods.losses cimport a_sign, above_tangent, any_number, exponential_slope, not_negative, where_negative
from mflow_core.objectives.objectives cimport (MAX_CLASSES, OBJECTIVE_LABELLED, OBJECTIVE_SETS, OBJECTIVE_SQUARES, dual_fn,
                                               objective_record_t, objective_t)
from mflow_core.objectives.sparse_rows cimport add_row, row_dot
from mflow_core.pool cimport borrow, give_back, share as share_out
from mflow_core.types cimport MF_E_MEMORY, mf_value_grad_fn

cdef enum:
    BLOCK = 16
    PART = 65536                         # numbers of the data that make a part, at least
    LEAST_ROWS = 256                     # and rows: adding up partial sums is then no work
    MOST_PARTS = 64

# Value (NULL: omit it) and slope of each of m samples; or its second derivative.
ctypedef void (*losses_fn)(const double *t, const double *y, double shape, ptrdiff_t m, double *value, double *slope) noexcept nogil
ctypedef void (*bends_fn)(const double *t, const double *y, double shape, ptrdiff_t m, double *bend) noexcept nogil

ctypedef struct linear_t:
    losses_fn losses
    bends_fn bends


# ---- losses of a block --------------------------------------------------------------------------------------------------------------

cdef void squared(const double *t, const double *y, double shape, ptrdiff_t m, double *value, double *slope) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(m):
        slope[i] = t[i] - y[i]
    if value != NULL:
        for i in range(m):
            value[i] = 0.5 * (slope[i] * slope[i])


cdef void squared_bends(const double *t, const double *y, double shape, ptrdiff_t m, double *bend) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(m):
        bend[i] = 1.0


cdef void huber(const double *t, const double *y, double shape, ptrdiff_t m, double *value, double *slope) noexcept nogil:
    cdef double e, s
    cdef ptrdiff_t i
    for i in range(m):
        e = t[i] - y[i]
        s = shape if e > shape else e
        s = -shape if s < -shape else s                  # both comparisons let NaN through
        slope[i] = s
        if value != NULL:
            value[i] = s * (e - 0.5 * s)


cdef void huber_bends(const double *t, const double *y, double shape, ptrdiff_t m, double *bend) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(m):
        bend[i] = 1.0 if fabs(t[i] - y[i]) <= shape else 0.0


cdef void logistic(const double *t, const double *y, double shape, ptrdiff_t m, double *value, double *slope) noexcept nogil:
    """log(1 + e^-v) and -y/(1 + e^v) with v = y t, from E = e^-|v|."""
    cdef double v, E
    cdef ptrdiff_t i
    for i in range(m):
        v = y[i] * t[i]
        E = mf_exp(-fabs(v))
        slope[i] = -y[i] * where_negative(v, 1.0, E) / (1.0 + E)
        if value != NULL:
            value[i] = mf_log1p(E) - (v if v < 0.0 else 0.0)


cdef void logistic_bends(const double *t, const double *y, double shape, ptrdiff_t m, double *bend) noexcept nogil:
    cdef double E, share
    cdef ptrdiff_t i
    for i in range(m):
        E = mf_exp(-fabs(t[i]))
        share = 1.0 / (1.0 + E)
        bend[i] = E * (share * share)


cdef void poisson(const double *t, const double *y, double shape, ptrdiff_t m, double *value, double *slope) noexcept nogil:
    """e^t - y t, above its least value: half the deviance."""
    cdef double E
    cdef ptrdiff_t i
    for i in range(m):
        slope[i] = exponential_slope(t[i], 1.0, y[i], &E)
        if value != NULL:
            value[i] = y[i] * above_tangent(t[i] - mf_log(y[i])) if y[i] > 0.0 else E


cdef void poisson_bends(const double *t, const double *y, double shape, ptrdiff_t m, double *bend) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(m):
        bend[i] = mf_exp(t[i])


# ---- blocks of rows -----------------------------------------------------------------------------------------------------------------

cdef inline ptrdiff_t rows_a_block(const objective_t *o) noexcept nogil:
    """A multiple of four, 16 or fewer for long rows: few enough that reading from memory and computing overlap."""
    if o.first != NULL:
        return BLOCK
    return max(<ptrdiff_t> 4, min(<ptrdiff_t> BLOCK, 4096 // o.columns)) // 4 * 4


cdef inline void find_rows(const objective_t *o, ptrdiff_t lo, ptrdiff_t m, const double **x, ptrdiff_t *row, double *y,
                           double *w) noexcept nogil:
    """Addresses, numbers, labels and weights of the rows lo ... lo + m of the index set."""
    cdef ptrdiff_t i, at
    for i in range(m):
        at = lo + i if o.order == NULL else o.order[lo + i]
        x[i], row[i] = o.X + at * o.ldx, at
        y[i] = o.y[at]
        w[i] = 1.0 if o.weight == NULL else o.weight[at]


cdef inline void predict(const objective_t *o, const double *c, const double *const *x, const ptrdiff_t *row, ptrdiff_t m,
                         double *t) noexcept nogil:
    cdef double bias = c[o.columns] if o.intercept else 0.0
    cdef ptrdiff_t i
    if o.first != NULL:
        for i in range(m):
            t[i] = row_dot(o, row[i], c) + bias
        return
    for i in range(m):
        t[i] = dot(x[i], c, o.columns) + bias


cdef inline void add_four(ptrdiff_t n, mf_vec out, mf_cvec a, mf_cvec b, mf_cvec c, mf_cvec d, double u, double v, double w,
                          double z) noexcept nogil:
    cdef ptrdiff_t j
    for j in range(n):
        out[j] = out[j] + ((u * a[j] + v * b[j]) + (w * c[j] + z * d[j]))


cdef inline void add_one(ptrdiff_t n, mf_vec out, mf_cvec a, double u) noexcept nogil:
    cdef ptrdiff_t j
    for j in range(n):
        out[j] = out[j] + u * a[j]


cdef inline void gather(const objective_t *o, const double *const *x, const ptrdiff_t *row, const double *s, ptrdiff_t m,
                        double *out) noexcept nogil:
    """out += sum s_i x_i, and the share of the bias."""
    cdef ptrdiff_t i, whole = m - m % 4
    cdef double total = 0.0
    if o.first != NULL:
        for i in range(m):
            add_row(o, row[i], s[i], out)
    else:
        for i in range(0, whole, 4):
            add_four(o.columns, out, x[i], x[i + 1], x[i + 2], x[i + 3], s[i], s[i + 1], s[i + 2], s[i + 3])
        for i in range(whole, m):
            add_one(o.columns, out, x[i], s[i])
    if o.intercept:
        for i in range(m):
            total += s[i]
        out[o.columns] += total


cdef inline void shrink(const objective_t *o, ptrdiff_t free, const double *c, double share, double *out) noexcept nogil:
    """out = share out + l2 c; entries from `free` on have no l2."""
    cdef ptrdiff_t j
    for j in range(free):
        out[j] = share * out[j] + o.l2 * c[j]
    for j in range(free, o.n):
        out[j] = share * out[j]


cdef inline double penalty(const objective_t *o, ptrdiff_t free, const double *c) noexcept nogil:
    return 0.5 * (o.l2 * dot(c, c, free)) if o.l2 != 0.0 else 0.0


# ---- parts ----------------------------------------------------------------------------------------------------------------------------

# Sums over the rows lo ... hi of the index set: of values (value NULL: not asked for), and of what follows from c, and p, in n numbers (or
# NULL).
ctypedef void (*rows_fn)(const objective_t *o, const double *c, const double *p, ptrdiff_t lo, ptrdiff_t hi, double *value,
                         double *out) noexcept nogil

ctypedef struct sums_t:
    rows_fn add
    const objective_t *o
    const double *c
    const double *p
    ptrdiff_t rows, ld                   # of a part, of its sums: the value stands behind the others
    double *room
    bint values, vectors                 # which are asked for


cdef void sums_of_part(void *at, ptrdiff_t part) noexcept nogil:
    cdef sums_t *s = <sums_t *> at
    cdef double *out = s.room + part * s.ld
    cdef ptrdiff_t lo = part * s.rows
    s.add(s.o, s.c, s.p, lo, min(lo + s.rows, s.o.count), out + s.o.n if s.values else NULL, out if s.vectors else NULL)


cdef int over_rows(rows_fn add, const objective_t *o, const double *c, const double *p, double *value, double *out) noexcept nogil:
    """The sums over all rows; 0, or MF_E_MEMORY."""
    cdef sums_t s
    cdef ptrdiff_t parts = 1, part
    cdef bint lent
    if o.first == NULL:
        parts = min(o.count * o.columns // PART, min(o.count // LEAST_ROWS, <ptrdiff_t> MOST_PARTS))
    if parts < 2:
        add(o, c, p, 0, o.count, value, out)
        return 0
    s.rows = (o.count + parts - 1) // parts
    s.rows = (s.rows + BLOCK - 1) // BLOCK * BLOCK
    parts = (o.count + s.rows - 1) // s.rows
    s.ld = (o.n + 16) // 8 * 8
    s.add, s.o, s.c, s.p, s.values, s.vectors = add, o, c, p, value != NULL, out != NULL
    s.room = borrow(parts * s.ld, &lent)
    if s.room == NULL:
        return MF_E_MEMORY
    share_out(sums_of_part, &s, parts)
    if value != NULL:
        value[0] = s.room[o.n]
        for part in range(1, parts):
            value[0] += s.room[part * s.ld + o.n]
    if out != NULL:
        memcpy(out, s.room, o.n * sizeof(double))
        for part in range(1, parts):
            add_one(o.n, out, s.room + part * s.ld, 1.0)
    give_back(s.room, lent)
    return 0


# ---- linear predictors ----------------------------------------------------------------------------------------------------------------

cdef void linear_rows(const objective_t *o, const double *c, const double *p, ptrdiff_t lo, ptrdiff_t hi, double *value,
                      double *grad) noexcept nogil:
    cdef const linear_t *kind = <const linear_t *> o.record.extra
    cdef const double *x[BLOCK]
    cdef ptrdiff_t[BLOCK] row
    cdef double[BLOCK] y, w, t, s, l
    cdef double total = 0.0, part
    cdef ptrdiff_t i, m, most = rows_a_block(o)
    if grad != NULL:
        memset(grad, 0, o.n * sizeof(double))
    while lo < hi:
        m = min(hi - lo, most)
        find_rows(o, lo, m, x, row, y, w)
        predict(o, c, x, row, m, t)
        kind.losses(t, y, o.shape, m, l if value != NULL else NULL, s)
        if value != NULL:
            part = 0.0
            for i in range(m):
                part += w[i] * l[i]
            total += part
        if grad != NULL:
            if o.weight != NULL:
                for i in range(m):
                    s[i] = w[i] * s[i]
            gather(o, x, row, s, m, grad)
        lo += m
    if value != NULL:
        value[0] = total


cdef int mean_over_rows(rows_fn add, ptrdiff_t free, const double *c, double *value, double *grad, const objective_t *o) noexcept nogil:
    """The mean over the rows, with the penalty of the unknowns before `free`."""
    cdef double mean = 1.0 / <double> o.count
    cdef int status = over_rows(add, o, c, NULL, value, grad)
    if value != NULL and status == 0:
        value[0] = mean * value[0] + penalty(o, free, c)
    if grad != NULL and status == 0:
        shrink(o, free, c, mean, grad)
    return status


cdef int linear_value_grad(const double *c, double *value, double *grad, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef const objective_t *o = <const objective_t *> ctx
    return mean_over_rows(linear_rows, o.columns, c, value, grad, o)


cdef void linear_bends(const objective_t *o, const double *c, const double *p, ptrdiff_t lo, ptrdiff_t hi, double *value,
                       double *out) noexcept nogil:
    cdef const linear_t *kind = <const linear_t *> o.record.extra
    cdef const double *x[BLOCK]
    cdef ptrdiff_t[BLOCK] row
    cdef double[BLOCK] y, w, t, s, along
    cdef ptrdiff_t i, m, most = rows_a_block(o)
    memset(out, 0, o.n * sizeof(double))
    while lo < hi:
        m = min(hi - lo, most)
        find_rows(o, lo, m, x, row, y, w)
        predict(o, c, x, row, m, t)
        predict(o, p, x, row, m, along)
        kind.bends(t, y, o.shape, m, s)
        for i in range(m):
            s[i] = (w[i] * s[i]) * along[i]
        gather(o, x, row, s, m, out)
        lo += m


cdef int product_over_rows(rows_fn add, ptrdiff_t free, const double *c, const double *p, double *out, const objective_t *o) noexcept nogil:
    cdef int status = over_rows(add, o, c, p, NULL, out)
    if status == 0:
        shrink(o, free, p, 1.0 / <double> o.count, out)
    return status


cdef int linear_hessp(const double *c, const double *p, double *out, ptrdiff_t n, void *ctx) noexcept nogil:
    """H p = (1/m) sum w_i l''(t_i) (x_i.p) x_i + l2 p."""
    cdef const objective_t *o = <const objective_t *> ctx
    return product_over_rows(linear_bends, o.columns, c, p, out, o)


cdef double linear_residual(const objective_t *o, const double *c, ptrdiff_t i, double *d) noexcept nogil:
    """sqrt(w_i) (t_i - y_i): f = sum r_i^2/(2 m), without l2."""
    cdef const double *x = o.X + i * o.ldx
    cdef double root = 1.0 if o.weight == NULL else sqrt(o.weight[i]), t
    cdef ptrdiff_t j
    if d != NULL:
        for j in range(o.columns):
            d[j] = root * x[j] if o.first == NULL else 0.0
        if o.first != NULL:
            add_row(o, i, root, d)
        if o.intercept:
            d[o.columns] = root
    t = dot(x, c, o.columns) if o.first == NULL else row_dot(o, i, c)
    return root * ((t + (c[o.columns] if o.intercept else 0.0)) - o.y[i])


# ---- softmax ------------------------------------------------------------------------------------------------------------------------

cdef inline void logits(const objective_t *o, const double *c, ptrdiff_t row, double *z) noexcept nogil:
    cdef const double *x = o.X + row * o.ldx
    cdef ptrdiff_t K = o.classes, j, k
    for k in range(K):
        z[k] = c[o.columns * K + k] if o.intercept else 0.0
    if o.first != NULL:
        for j in range(o.first[row], o.first[row + 1]):
            add_one(K, z, c + o.at[j] * K, o.X[j])
        return
    for j in range(o.columns):
        add_one(K, z, c + j * K, x[j])


cdef inline double shares_of(double *z, ptrdiff_t K, double *most) noexcept nogil:
    """Replace z by e^z/sum e^z. Return the logarithm of that sum less the largest z, which is stored in `most`."""
    cdef double top = z[0], total = 0.0
    cdef ptrdiff_t k
    for k in range(1, K):
        top = z[k] if z[k] > top or z[k] != z[k] else top
    for k in range(K):
        z[k] = mf_exp(z[k] - top)
        total += z[k]
    for k in range(K):
        z[k] = z[k] / total
    most[0] = top
    return mf_log(total)


cdef inline void spread(const objective_t *o, ptrdiff_t row, const double *z, double *out) noexcept nogil:
    """out += x z', and the share of the biases."""
    cdef const double *x = o.X + row * o.ldx
    cdef ptrdiff_t K = o.classes, j
    if o.first != NULL:
        for j in range(o.first[row], o.first[row + 1]):
            add_one(K, out + o.at[j] * K, z, o.X[j])
    else:
        for j in range(o.columns):
            add_one(K, out + j * K, z, x[j])
    if o.intercept:
        add_one(K, out + o.columns * K, z, 1.0)


cdef void softmax_rows(const objective_t *o, const double *c, const double *p, ptrdiff_t lo, ptrdiff_t hi, double *value,
                       double *grad) noexcept nogil:
    cdef double[MAX_CLASSES] z
    cdef double total = 0.0, logit, most, rest, weight
    cdef ptrdiff_t K = o.classes, i, k, at, label
    if grad != NULL:
        memset(grad, 0, o.n * sizeof(double))
    for i in range(lo, hi):
        at = i if o.order == NULL else o.order[i]
        label = <ptrdiff_t> o.y[at]
        weight = 1.0 if o.weight == NULL else o.weight[at]
        logits(o, c, at, z)
        logit = z[label]
        rest = shares_of(z, K, &most)
        total += weight * ((most - logit) + rest)
        if grad != NULL:
            z[label] = z[label] - 1.0
            for k in range(K):
                z[k] = weight * z[k]
            spread(o, at, z, grad)
    if value != NULL:
        value[0] = total


cdef int softmax_value_grad(const double *c, double *value, double *grad, ptrdiff_t n, void *ctx) noexcept nogil:
    """l = log sum e^z - z_y: y is the number of a class."""
    cdef const objective_t *o = <const objective_t *> ctx
    return mean_over_rows(softmax_rows, o.columns * o.classes, c, value, grad, o)


cdef void softmax_bends(const objective_t *o, const double *c, const double *p, ptrdiff_t lo, ptrdiff_t hi, double *value,
                        double *out) noexcept nogil:
    cdef double[MAX_CLASSES] z, u
    cdef double mean, most, weight
    cdef ptrdiff_t K = o.classes, i, k, at
    memset(out, 0, o.n * sizeof(double))
    for i in range(lo, hi):
        at = i if o.order == NULL else o.order[i]
        weight = 1.0 if o.weight == NULL else o.weight[at]
        logits(o, c, at, z)
        logits(o, p, at, u)
        shares_of(z, K, &most)
        mean = 0.0
        for k in range(K):
            mean += z[k] * u[k]
        for k in range(K):
            u[k] = weight * (z[k] * (u[k] - mean))
        spread(o, at, u, out)


cdef int softmax_hessp(const double *c, const double *p, double *out, ptrdiff_t n, void *ctx) noexcept nogil:
    """H p = (1/m) sum w_i x_i (q - s (s.u))', q_k = s_k u_k, u the logits of p and s the shares of c; + l2 p."""
    cdef const objective_t *o = <const objective_t *> ctx
    return product_over_rows(softmax_bends, o.columns * o.classes, c, p, out, o)


# ---- the records --------------------------------------------------------------------------------------------------------------------

cdef int whole_number(double y) noexcept nogil:
    return 0.0 <= y < MAX_CLASSES and y == <double> <ptrdiff_t> y


cdef objective_record_t[5] TABLE
cdef linear_t[5] KINDS
cdef const objective_record_t *RECORDS[6]


cdef void record(int i, const char *name, const char *formula, const char *labels, int (*allows)(double) noexcept nogil, losses_fn losses,
              bends_fn bends) noexcept:
    cdef objective_record_t *r = &TABLE[i]
    KINDS[i].losses, KINDS[i].bends = losses, bends
    r.name, r.formula, r.labels, r.reference, r.flags, r.allows = name, formula, labels, b"", OBJECTIVE_LABELLED | OBJECTIVE_SETS, allows
    r.value_grad, r.hessp, r.residual, r.dual, r.extra = linear_value_grad, linear_hessp, NULL, <dual_fn> NULL, &KINDS[i]
    r.family = b"regression"
    RECORDS[i] = r


record(0, b"least_squares", b"mean of (t - y)^2/2", b"finite numbers", any_number, squared, squared_bends)
TABLE[0].residual = linear_residual
TABLE[0].flags |= OBJECTIVE_SQUARES
record(1, b"logistic", b"mean of log(1 + e^(-y t))", b"0 and 1, or -1 and +1", a_sign, logistic, logistic_bends)
record(2, b"poisson", b"mean of e^t - y t above its least value", b"counts: numbers from 0 on", not_negative, poisson, poisson_bends)
record(3, b"huber", b"mean of (t - y)^2/2 up to |t - y| = delta, delta (|t - y| - delta/2) beyond", b"finite numbers", any_number, huber,
    huber_bends)
TABLE[3].reference = b"P. Huber, Ann. Math. Stat. 35 (1964) 73-101"
record(4, b"softmax", b"mean of log sum_k e^(z_k) - z_y", b"numbers of classes, 0 to n_classes - 1", whole_number, NULL, NULL)
TABLE[4].value_grad, TABLE[4].hessp = <mf_value_grad_fn> softmax_value_grad, softmax_hessp
RECORDS[5] = NULL

_records = PyCapsule_New(<void *> RECORDS, b"mflow_core._objectives", NULL)
