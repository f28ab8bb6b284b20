"""Implicit SGD with the softmax loss: l(t; y) = log sum_k e^(t_k) - t_y, t = W x + b for K classes, one sample after the other.

A step of backward Euler moves row k of W along x by -gamma (p_k - [k = y]) x, p = softmax(t) where the step ends, so that it is an equation
of K numbers:

    t = s - g (p(t) - e_y),    g = gamma q, q = |x|^2 (+1 with intercepts)

whose left side minus the right, F, is the gradient of the strongly convex |t - s|^2/2 + g l(t). Newton's iteration with a line search finds
its only root; J = I + g (diag p - p p') is inverted by Sherman and Morrison's formula, whose denominator is sum p_k/(1 + g p_k). As J >= I
the distance to the root is at most |F|: the certificate. With l2 the penalty's gradient is inside the step, and with l1 the proximal map
of gamma l1 |W|_1 follows it, as in implicit_sgd.pyx.

Sparse rows move the columns of W that they have entries in. The rest waits, as there: W = scale V, and what a column's sums, and its moves
by l1, are behind with is made up when it is used next. With both a mean and l1, rows are made dense, for a weight stops at 0 on the way.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.arithmetic.scalars cimport mf_exp, mf_log
from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.methods.losses cimport toward_zero
from mflow_core.optimize.sweep cimport Samples
from mflow_core.owner cimport mf_give, mf_take

import numpy as np

from mflow_core.optimize.arrays import checked

cnp.import_array()

cdef enum:
    MOST_ITERATIONS = 100
    MOST_HALVINGS = 40

cdef double EPS = 2.220446049250313e-16
cdef double SMALL_SCALE = 1.52587890625e-05          # 2^-16: below it, V and W are merged


cdef double log_sum(const double *t, double *p, ptrdiff_t K) noexcept nogil:
    """log sum e^t; p = softmax(t)."""
    cdef double most = t[0], total = 0.0
    cdef ptrdiff_t k
    for k in range(1, K):
        most = t[k] if t[k] > most else most
    for k in range(K):
        p[k] = mf_exp(t[k] - most)
        total += p[k]
    for k in range(K):
        p[k] = p[k] / total
    return most + mf_log(total)


cdef class SoftmaxSteps:
    """W (K, n) and b (K,), and steps on samples."""
    cdef readonly ptrdiff_t classes, n
    cdef double *block
    cdef double *W
    cdef double *b
    cdef double *sum
    cdef double *s
    cdef double *t
    cdef double *trial
    cdef double *p
    cdef double *p_trial
    cdef double *F
    cdef double *d
    cdef double *seen                    # of each column: the sum of the scales when it was last used
    cdef double *behind                  # likewise of the moves by l1, in units of the scale
    cdef double *row                     # a sparse row made dense
    cdef double scale, total, cut
    cdef bint intercept
    cdef int owner
    cdef public double l1, l2, worst
    cdef public int64_t averaged

    def __cinit__(self, ptrdiff_t classes, ptrdiff_t n, bint intercept, double l2=0.0, double l1=0.0):
        cdef ptrdiff_t size = classes * (n + 1)
        if classes < 2 or n < 0:
            raise ValueError(f"classes, n: expected at least 2 classes and a number of columns, got {classes} and {n}")
        self.classes, self.n, self.intercept, self.l1, self.l2, self.scale = classes, n, intercept, l1, l2, 1.0
        self.block = <double *> mf_zeros(2 * size + 7 * classes + 3 * n, sizeof(double))
        if self.block == NULL:
            raise MemoryError(f"no memory for {classes} classes of {n} columns")
        self.W, self.b, self.sum = self.block, self.block + classes * n, self.block + size
        self.s = self.block + 2 * size
        self.t, self.trial, self.p = self.s + classes, self.s + 2 * classes, self.s + 3 * classes
        self.p_trial, self.F, self.d = self.s + 4 * classes, self.s + 5 * classes, self.s + 6 * classes
        self.seen = self.s + 7 * classes
        self.behind, self.row = self.seen + n, self.seen + 2 * n

    def __dealloc__(self):
        free(self.block)

    cdef double residual(self, double g, ptrdiff_t y, double *size) noexcept nogil:
        """F at t, and |F|; size: that of its terms."""
        cdef double total = 0.0
        cdef ptrdiff_t k
        size[0] = g
        for k in range(self.classes):
            self.F[k] = (self.t[k] - self.s[k]) + g * (self.p[k] - (1.0 if k == y else 0.0))
            total += self.F[k] * self.F[k]
            size[0] += fabs(self.t[k]) + fabs(self.s[k])
        return sqrt(total)

    cdef double height(self, const double *t, double lse, double g, ptrdiff_t y) noexcept nogil:
        cdef double total = 0.0
        cdef ptrdiff_t k
        for k in range(self.classes):
            total += (t[k] - self.s[k]) * (t[k] - self.s[k])
        return 0.5 * total + g * (lse - t[y])

    cdef bint root(self, double g, ptrdiff_t y) noexcept nogil:
        """t and p at the root; False where it is not found to rounding."""
        cdef double length, size, before, level, share, inner, outer, slope, lse
        cdef ptrdiff_t k, K = self.classes
        cdef int _i, _j
        memcpy(self.t, self.s, K * sizeof(double))
        lse = log_sum(self.t, self.p, K)
        level = self.height(self.t, lse, g, y)
        before = INFINITY
        for _i in range(MOST_ITERATIONS):
            length = self.residual(g, y, &size)
            if not length < INFINITY:
                return False
            if length <= 4.0 * EPS * size or (length >= before and length <= 64.0 * EPS * size):
                self.worst = length if length > self.worst else self.worst
                return True
            before = length
            inner = outer = slope = 0.0
            for k in range(K):
                inner += self.p[k] * self.F[k] / (1.0 + g * self.p[k])
                outer += self.p[k] / (1.0 + g * self.p[k])
            for k in range(K):
                self.d[k] = -(self.F[k] + g * (inner / outer) * self.p[k]) / (1.0 + g * self.p[k])
                slope += self.F[k] * self.d[k]
            share = 1.0
            for _j in range(MOST_HALVINGS):
                for k in range(K):
                    self.trial[k] = self.t[k] + share * self.d[k]
                lse = log_sum(self.trial, self.p_trial, K)
                inner = self.height(self.trial, lse, g, y)
                if inner <= level + 1e-4 * share * slope or -slope <= 64.0 * EPS * size * (1.0 + size):
                    break
                share *= 0.5
            level = inner
            self.t, self.trial = self.trial, self.t
            self.p, self.p_trial = self.p_trial, self.p
        return False

    cdef bint learn(self, const double *x, ptrdiff_t y, double gamma, double weight) noexcept nogil:
        cdef double keep = 1.0 / (1.0 + gamma * self.l2), square = 0.0, dot, along, h = gamma * weight
        cdef double *w
        cdef ptrdiff_t j, k
        for j in range(self.n):
            square += x[j] * x[j]
        for k in range(self.classes):
            w, dot = self.W + k * self.n, 0.0
            for j in range(self.n):
                dot += w[j] * x[j]
            self.s[k] = keep * dot + self.b[k]
        if not self.root(h * (keep * square + (1.0 if self.intercept else 0.0)), y):
            return False
        for k in range(self.classes):
            w, along = self.W + k * self.n, -h * (self.p[k] - (1.0 if k == y else 0.0))
            for j in range(self.n):
                w[j] = keep * (w[j] + along * x[j])
            if self.l1 > 0.0:
                for j in range(self.n):
                    w[j] = toward_zero(w[j], gamma * self.l1)
            if self.intercept:
                self.b[k] += along
        return True

    cdef void use(self, ptrdiff_t j) noexcept nogil:
        """Column j of V and of its sums as if each step had visited it."""
        cdef double waited = self.total - self.seen[j], cut = self.cut - self.behind[j]
        cdef ptrdiff_t k
        for k in range(self.classes):
            self.sum[k * self.n + j] += waited * self.W[k * self.n + j]
            if cut > 0.0:
                self.W[k * self.n + j] = toward_zero(self.W[k * self.n + j], cut)
        self.seen[j], self.behind[j] = self.total, self.cut

    cdef void settle(self) noexcept nogil:
        """All columns, with a scale of 1."""
        cdef ptrdiff_t j
        for j in range(self.n):
            self.use(j)
            self.seen[j] = self.behind[j] = 0.0
        for j in range(self.classes * self.n):
            self.W[j] = self.scale * self.W[j]
        self.scale, self.total, self.cut = 1.0, 0.0, 0.0

    cdef bint learn_sparse(self, const int32_t *column, const double *value, ptrdiff_t entries, ptrdiff_t y, double gamma,
                           double weight) noexcept nogil:
        cdef double keep = 1.0 / (1.0 + gamma * self.l2), square = 0.0, dot, along, h = gamma * weight
        cdef double *w
        cdef ptrdiff_t j, k
        for j in range(entries):
            self.use(column[j])
            square += value[j] * value[j]
        for k in range(self.classes):
            w, dot = self.W + k * self.n, 0.0
            for j in range(entries):
                dot += w[column[j]] * value[j]
            self.s[k] = keep * (self.scale * dot) + self.b[k]
        if not self.root(h * (keep * square + (1.0 if self.intercept else 0.0)), y):
            return False
        if keep * self.scale < SMALL_SCALE:
            self.settle()
        for k in range(self.classes):
            w, along = self.W + k * self.n, -h * (self.p[k] - (1.0 if k == y else 0.0))
            for j in range(entries):
                w[column[j]] += along / self.scale * value[j]
            if self.intercept:
                self.b[k] += along
        self.scale = keep * self.scale
        self.cut += gamma * self.l1 / self.scale
        return True

    cdef bint learn_whole(self, const int32_t *column, const double *value, ptrdiff_t entries, ptrdiff_t y, double gamma,
                          double weight) noexcept nogil:
        """A sparse row as a dense one."""
        cdef ptrdiff_t j
        cdef bint found
        for j in range(entries):
            self.row[column[j]] = value[j]
        found = self.learn(self.row, y, gamma, weight)
        for j in range(entries):
            self.row[column[j]] = 0.0
        return found

    cdef void add_up(self, bint waits) noexcept nogil:
        """The point in the sums; waits: W when its columns are used next."""
        cdef ptrdiff_t i, first = self.classes * self.n if waits else 0
        if waits:
            self.total += self.scale
        for i in range(first, self.classes * (self.n + 1)):
            self.sum[i] += self.W[i]
        self.averaged += 1

    def run(self, Samples samples not None, cnp.ndarray order not None, cnp.ndarray gammas not None, ptrdiff_t average=-1):
        """Learns samples, whose labels are classes, in this order, each with its gamma; from number `average` of the order on (below 0:
        never) points are added up. The number of samples learned: fewer than all where a step has no certified root."""
        cdef ptrdiff_t count = cnp.PyArray_SIZE(order), k
        cdef const int64_t *at
        checked(gammas, "gammas", False)
        if samples.n != self.n:
            raise ValueError(f"X: expected shape (rows, {self.n}), got {samples.n} columns")
        if order.dtype != np.int64 or not order.flags.c_contiguous or order.ndim != 1:
            raise TypeError("order: expected a contiguous array of int64 with one dimension")
        for k in range(samples.rows):
            if not 0.0 <= samples.label[k] < self.classes:
                raise ValueError(f"y: expected {samples.rows} classes from 0 to {self.classes - 1}")
        if count and not 0 <= order.min() <= order.max() < samples.rows:
            raise ValueError(f"order: expected rows from 0 to {samples.rows - 1}, got one outside")
        if cnp.PyArray_SIZE(gammas) != count:
            raise ValueError(f"gammas: expected {count} numbers, got {cnp.PyArray_SIZE(gammas)}")
        at = <const int64_t *> cnp.PyArray_DATA(order)
        if not mf_take(&self.owner):
            raise RuntimeError("these weights are in use in another thread (or were when this process was forked): give each its own")
        try:
            with nogil:
                count = self.all_of(samples, at, <const double *> cnp.PyArray_DATA(gammas), count, average)
        finally:
            mf_give(&self.owner)
        return count

    cdef ptrdiff_t all_of(self, Samples samples, const int64_t *at, const double *gamma, ptrdiff_t count, ptrdiff_t average) noexcept nogil:
        cdef unsigned int mode = mf_fp_enter()
        cdef bint sparse = samples.X == NULL, waits = sparse and not (self.l1 > 0.0 and average >= 0), found
        cdef ptrdiff_t k, i, y, first, entries
        cdef double weight
        if not waits and (self.scale != 1.0 or self.total != 0.0 or self.cut != 0.0):
            self.settle()
        for k in range(count):
            i = at[k]
            y, weight = <ptrdiff_t> samples.label[i], 1.0 if samples.weight == NULL else samples.weight[i]
            if sparse:
                first, entries = samples.indptr[i], samples.indptr[i + 1] - samples.indptr[i]
            if not sparse:
                found = self.learn(samples.X + i * self.n, y, gamma[k], weight)
            elif waits:
                found = self.learn_sparse(samples.indices + first, samples.values + first, entries, y, gamma[k], weight)
            else:
                found = self.learn_whole(samples.indices + first, samples.values + first, entries, y, gamma[k], weight)
            if not found:
                count = k
                break
            if 0 <= average <= k:
                self.add_up(waits)
        mf_fp_leave(mode)
        return count

    def weights(self, bint mean=False):
        """(W, b): as they stand, or the mean of the points that were added up."""
        cdef ptrdiff_t size = self.classes * (self.n + 1), i, j
        cdef cnp.ndarray out = np.empty(size)
        cdef double *to = <double *> cnp.PyArray_DATA(out)
        mean = mean and self.averaged
        memcpy(to, self.sum if mean else self.W, size * sizeof(double))
        for i in range(self.classes * self.n if self.scale != 1.0 or self.total != 0.0 or self.cut != 0.0 else 0):
            j = i % self.n
            if mean:
                to[i] += (self.total - self.seen[j]) * self.W[i]
            else:
                to[i] = self.scale * toward_zero(self.W[i], self.cut - self.behind[j])
        if mean:
            out /= self.averaged
        return out[:self.classes * self.n].reshape(self.classes, self.n).copy(), out[self.classes * self.n:].copy()
