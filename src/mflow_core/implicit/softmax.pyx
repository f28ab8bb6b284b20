"""Implicit SGD with the softmax loss: l(t; y) = log sum_k e^(t_k) - t_y, t = W x + b for K classes, one sample after the other.

A step of backward Euler moves row k of W along x by -gamma (p_k - [k = y]) x, p = softmax(t) where the step ends, so that it is an equation
of K numbers:

    t = s - g (p(t) - e_y),    g = gamma q, q = |x|^2 (+1 with intercepts)

whose left side minus the right, F, is the gradient of the strongly convex |t - s|^2/2 + g l(t). Newton's iteration with a line search finds
its only root; J = I + g (diag p - p p') is inverted by Sherman and Morrison's formula, whose denominator is sum p_k/(1 + g p_k). As J >= I
the distance to the root is at most |F|: the certificate. With l2 the penalty's gradient is inside the step, as in implicit_sgd.pyx.
"""
from libc.math cimport INFINITY, fabs, sqrt
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.scalars cimport mf_exp, mf_log
from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.owner cimport mf_give, mf_take

import numpy as np

from mflow_core.optimize.arrays import checked

cnp.import_array()

cdef enum:
    MOST_ITERATIONS = 100
    MOST_HALVINGS = 40

cdef double EPS = 2.220446049250313e-16


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
    cdef bint intercept
    cdef int owner
    cdef public double l2, worst
    cdef public int64_t averaged

    def __cinit__(self, ptrdiff_t classes, ptrdiff_t n, bint intercept, double l2=0.0):
        cdef ptrdiff_t size = classes * (n + 1)
        if classes < 2 or n < 0:
            raise ValueError(f"classes, n: expected at least 2 classes and a number of columns, got {classes} and {n}")
        self.classes, self.n, self.intercept, self.l2 = classes, n, intercept, l2
        self.block = <double *> calloc(2 * size + 7 * classes, sizeof(double))
        if self.block == NULL:
            raise MemoryError(f"no memory for {classes} classes of {n} columns")
        self.W, self.b, self.sum = self.block, self.block + classes * n, self.block + size
        self.s = self.block + 2 * size
        self.t, self.trial, self.p = self.s + classes, self.s + 2 * classes, self.s + 3 * classes
        self.p_trial, self.F, self.d = self.s + 4 * classes, self.s + 5 * classes, self.s + 6 * classes

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
            if self.intercept:
                self.b[k] += along
        return True

    def run(self, cnp.ndarray X not None, cnp.ndarray y not None, cnp.ndarray order not None, cnp.ndarray gammas not None,
            cnp.ndarray weight=None, ptrdiff_t average=-1):
        """Learns samples in this order, each with its gamma; from number `average` of the order on (below 0: never) points are added up.
        The number of samples learned: fewer than all where a step has no certified root."""
        cdef ptrdiff_t count = cnp.PyArray_SIZE(order), k, i, size = self.classes * (self.n + 1), done = 0
        cdef const double *rows
        cdef const double *gamma
        cdef const double *w = NULL
        cdef const int64_t *label
        cdef const int64_t *at
        cdef unsigned int mode
        checked(X, "X", False)
        checked(gammas, "gammas", False)
        if cnp.PyArray_NDIM(X) != 2 or X.shape[1] != self.n:
            raise ValueError(f"X: expected shape (rows, {self.n}), got {(<object> X).shape}")
        for one, name in ((y, "y"), (order, "order")):
            if one.dtype != np.int64 or not one.flags.c_contiguous or one.ndim != 1:
                raise TypeError(f"{name}: expected a contiguous array of int64 with one dimension")
        if y.shape[0] != X.shape[0] or (y.size and not 0 <= y.min() <= y.max() < self.classes):
            raise ValueError(f"y: expected {X.shape[0]} classes from 0 to {self.classes - 1}")
        if count and not 0 <= order.min() <= order.max() < X.shape[0]:
            raise ValueError(f"order: expected rows from 0 to {X.shape[0] - 1}, got one outside")
        if cnp.PyArray_SIZE(gammas) != count:
            raise ValueError(f"gammas: expected {count} numbers, got {cnp.PyArray_SIZE(gammas)}")
        if weight is not None:
            if checked(weight, "weight", False).shape != (X.shape[0],):
                raise ValueError(f"weight: expected shape ({X.shape[0]},), got {(<object> weight).shape}")
            w = <const double *> cnp.PyArray_DATA(weight)
        rows, gamma = <const double *> cnp.PyArray_DATA(X), <const double *> cnp.PyArray_DATA(gammas)
        label, at = <const int64_t *> cnp.PyArray_DATA(y), <const int64_t *> cnp.PyArray_DATA(order)
        if not mf_take(&self.owner):
            raise RuntimeError("these weights are in use in another thread: give each its own")
        try:
            with nogil:
                mode = mf_fp_enter()
                for k in range(count):
                    i = at[k]
                    if not self.learn(rows + i * self.n, label[i], gamma[k], 1.0 if w == NULL else w[i]):
                        break
                    done += 1
                    if 0 <= average <= k:
                        for i in range(size):
                            self.sum[i] += self.W[i]
                        self.averaged += 1
                mf_fp_leave(mode)
        finally:
            mf_give(&self.owner)
        return done

    def weights(self, bint mean=False):
        """(W, b): as they stand, or the mean of the points that were added up."""
        cdef ptrdiff_t size = self.classes * (self.n + 1)
        cdef cnp.ndarray out = np.empty(size)
        memcpy(cnp.PyArray_DATA(out), self.sum if mean and self.averaged else self.W, size * sizeof(double))
        if mean and self.averaged:
            out /= self.averaged
        return out[:self.classes * self.n].reshape(self.classes, self.n).copy(), out[self.classes * self.n:].copy()
