# cython: language_level=3
"""The common parts of the optimizers: the gradient that they use, and one loop over the parameters for all of them.

An optimizer is an `element`, a function that returns what one step adds to one parameter. `apply` runs it over a range, with decoupled
decay and clipping if they are on.
"""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.arithmetic.scalars cimport multiply, power_pair
from mflow_core.arithmetic.vec cimport mf_cvec, mf_vec
from mflow_core.types cimport mf_method

cdef extern from "math.h" nogil:
    const double INFINITY


cdef enum:
    DECAY = 0                            # the first three coefficients of every optimizer, written by `common`
    SHRINK = 1
    CLIP = 2
    OWN = 3                              # the index of the first coefficient of the optimizer itself
    WIDTH = 12                           # the number of those coefficients, at most

# The addition to one parameter in one step, from its gradient g, its entries s[0], s[1] ... of the optimizer's vectors x[1], x[2] ...,
# which the function updates, and the optimizer's coefficients w.
ctypedef double (*element)(double g, double *s, const double *w) noexcept nogil


cdef inline double *common(const mf_method *m, const double *par, double lr, double *coef) noexcept nogil:
    """Write the shared coefficients, from the last three parameters. Return the address of the optimizer's coefficients."""
    cdef double weight_decay = par[m.n_par - 3]
    cdef bint decoupled = par[m.n_par - 2] != 0
    cdef int j
    coef[DECAY] = 0.0 if decoupled else weight_decay
    coef[SHRINK] = lr * weight_decay if decoupled else 0.0
    coef[CLIP] = par[m.n_par - 1]
    for j in range(OWN, OWN + WIDTH):
        coef[j] = 0.0
    return coef + OWN


cdef inline void renew_power(double beta, int64_t k, double *pair, double *made_with) noexcept nogil:
    """pair = beta^(k + 1), from nothing."""
    power_pair(pair, beta, k + 1)
    made_with[0] = beta


cdef inline void next_power(double beta, int64_t k, double *pair, double *made_with) noexcept nogil:
    """pair = beta^(k + 1): of the present beta, whatever those before were (torch's 1 - beta^t)."""
    if k > 0 and made_with[0] == beta:
        multiply(pair, beta)
    else:
        renew_power(beta, k, pair, made_with)


cdef inline double gradient(double g, double c, double gscale, double clip, double decay, bint alone) noexcept nogil:
    """alone : nothing is clipped and no decay adds to it, so that it need not wait for c, which is the end of the step before."""
    cdef double scaled = gscale * g
    if alone:
        return scaled
    scaled = clip if scaled > clip else scaled           # both comparisons let NaN through
    scaled = -clip if scaled < -clip else scaled
    return scaled + decay * c


cdef inline double moved(double c, double add, double shrink) noexcept nogil:
    """(1 - shrink) c + add. The difference from 1 would be rounded, and c by it in every step alike: errors that add up over a run."""
    return c + add if shrink == 0.0 else c + (add - shrink * c)


cdef inline double larger(double old, double new) noexcept nogil:
    """max(old, new) that lets a NaN in `new` through."""
    return old if old > new else new


cdef inline void own_coefficients(const double *coef, double *w) noexcept nogil:
    """All WIDTH of them, one by one: a loop becomes vector stores into memory, for which the reads of single numbers wait."""
    w[0], w[1], w[2], w[3] = coef[OWN], coef[OWN + 1], coef[OWN + 2], coef[OWN + 3]
    w[4], w[5], w[6], w[7] = coef[OWN + 4], coef[OWN + 5], coef[OWN + 6], coef[OWN + 7]
    w[8], w[9], w[10], w[11] = coef[OWN + 8], coef[OWN + 9], coef[OWN + 10], coef[OWN + 11]


# One loop for each number of own vectors: only arguments of a function are `restrict`, without which no loop vectorises. The compiler
# inlines all of it, `each` included; s and w are copies, which no vector overlaps, and so live in registers.

cdef inline void over_0(element each, ptrdiff_t lo, ptrdiff_t hi, double gscale, double clip, double decay, bint alone, double shrink,
                        const double *w, mf_cvec g, mf_vec c) noexcept nogil:
    cdef ptrdiff_t i
    for i in range(lo, hi):
        c[i] = moved(c[i], each(gradient(g[i], c[i], gscale, clip, decay, alone), NULL, w), shrink)


cdef inline void over_1(element each, ptrdiff_t lo, ptrdiff_t hi, double gscale, double clip, double decay, bint alone, double shrink,
                        const double *w, mf_cvec g, double ahead, mf_vec c, mf_vec x1) noexcept nogil:
    cdef double[1] s
    cdef double add
    cdef ptrdiff_t i
    for i in range(lo, hi):
        s[0] = x1[i]
        add = each(gradient(g[i], c[i] + ahead * s[0] if ahead != 0.0 else c[i], gscale, clip, decay, alone), s, w)
        x1[i] = s[0]
        c[i] = moved(c[i], add, shrink)


cdef inline void over_2(element each, ptrdiff_t lo, ptrdiff_t hi, double gscale, double clip, double decay, bint alone, double shrink,
                        const double *w, mf_cvec g, mf_vec c, mf_vec x1, mf_vec x2) noexcept nogil:
    cdef double[2] s
    cdef double add
    cdef ptrdiff_t i
    for i in range(lo, hi):
        s[0], s[1] = x1[i], x2[i]
        add = each(gradient(g[i], c[i], gscale, clip, decay, alone), s, w)
        x1[i], x2[i] = s[0], s[1]
        c[i] = moved(c[i], add, shrink)


cdef inline void over_3(element each, ptrdiff_t lo, ptrdiff_t hi, double gscale, double clip, double decay, bint alone, double shrink,
                        const double *w, mf_cvec g, mf_vec c, mf_vec x1, mf_vec x2, mf_vec x3) noexcept nogil:
    cdef double[3] s
    cdef double add
    cdef ptrdiff_t i
    for i in range(lo, hi):
        s[0], s[1], s[2] = x1[i], x2[i], x3[i]
        add = each(gradient(g[i], c[i], gscale, clip, decay, alone), s, w)
        x1[i], x2[i], x3[i] = s[0], s[1], s[2]
        c[i] = moved(c[i], add, shrink)


cdef inline void over_4(element each, ptrdiff_t lo, ptrdiff_t hi, double gscale, double clip, double decay, bint alone, double shrink,
                        const double *w, mf_cvec g, mf_vec c, mf_vec x1, mf_vec x2, mf_vec x3, mf_vec x4) noexcept nogil:
    cdef double[4] s
    cdef double add
    cdef ptrdiff_t i
    for i in range(lo, hi):
        s[0], s[1], s[2], s[3] = x1[i], x2[i], x3[i], x4[i]
        add = each(gradient(g[i], c[i], gscale, clip, decay, alone), s, w)
        x1[i], x2[i], x3[i], x4[i] = s[0], s[1], s[2], s[3]
        c[i] = moved(c[i], add, shrink)


cdef inline void over(element each, int own, ptrdiff_t lo, ptrdiff_t hi, double gscale, const double *coef, double clip, bint alone,
                      double shrink, double *const *x, const double *g, double ahead) noexcept nogil:
    cdef double[WIDTH] w
    cdef double decay = coef[DECAY]
    own_coefficients(coef, w)
    if own == 0:
        over_0(each, lo, hi, gscale, clip, decay, alone, shrink, w, g, x[0])
    elif own == 1:
        over_1(each, lo, hi, gscale, clip, decay, alone, shrink, w, g, ahead, x[0], x[1])
    elif own == 2:
        over_2(each, lo, hi, gscale, clip, decay, alone, shrink, w, g, x[0], x[1], x[2])
    elif own == 3:
        over_3(each, lo, hi, gscale, clip, decay, alone, shrink, w, g, x[0], x[1], x[2], x[3])
    else:
        over_4(each, lo, hi, gscale, clip, decay, alone, shrink, w, g, x[0], x[1], x[2], x[3], x[4])


cdef inline int apply(element each, int own, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                      const double *g) noexcept nogil:
    """c = c - shrink c + each(g, s, w) for lo <= i < hi. own: the count of the optimizer's vectors.

    Without decoupled decay and clipping, the constants 0 and infinity in their place give the same bits with less work.
    """
    if coef[SHRINK] == 0.0 and coef[CLIP] == INFINITY:
        over(each, own, lo, hi, gscale, coef, INFINITY, False, 0.0, x, g, 0.0)
    else:
        over(each, own, lo, hi, gscale, coef, coef[CLIP], False, coef[SHRINK], x, g, 0.0)
    return 0


cdef inline int apply_alone(element each, int own, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi, double *const *x,
                            const double *g) noexcept nogil:
    """As `apply`; where no decay adds to the gradient a step needs not wait for c, that is for the end of the last one."""
    if coef[DECAY] != 0.0 or coef[CLIP] != INFINITY:
        return apply(each, own, coef, gscale, lo, hi, x, g)
    if coef[SHRINK] == 0.0:
        over(each, own, lo, hi, gscale, coef, INFINITY, True, 0.0, x, g, 0.0)
    else:
        over(each, own, lo, hi, gscale, coef, INFINITY, True, coef[SHRINK], x, g, 0.0)
    return 0


cdef inline int apply_ahead(element each, int own, double ahead, const double *coef, double gscale, ptrdiff_t lo, ptrdiff_t hi,
                            double *const *x, const double *g) noexcept nogil:
    """The same with a gradient at c + ahead x[1]; that of the decay is taken there, too."""
    over(each, own, lo, hi, gscale, coef, coef[CLIP], False, coef[SHRINK], x, g, ahead)
    return 0

# An element that sees the point of its gradient, c + ahead x1: behind its own entries, s[own].

cdef inline void over_seen_1(element each, ptrdiff_t lo, ptrdiff_t hi, double gscale, double clip, double decay, bint alone,
                             double shrink, const double *w, mf_cvec g, double ahead, mf_vec c, mf_vec x1) noexcept nogil:
    cdef double[2] s
    cdef double add
    cdef ptrdiff_t i
    for i in range(lo, hi):
        s[0] = x1[i]
        s[1] = c[i] + ahead * s[0] if ahead != 0.0 else c[i]
        add = each(gradient(g[i], s[1], gscale, clip, decay, alone), s, w)
        x1[i] = s[0]
        c[i] = moved(c[i], add, shrink)


cdef inline void over_seen_2(element each, ptrdiff_t lo, ptrdiff_t hi, double gscale, double clip, double decay, bint alone,
                             double shrink, const double *w, mf_cvec g, double ahead, mf_vec c, mf_vec x1, mf_vec x2) noexcept nogil:
    cdef double[3] s
    cdef double add
    cdef ptrdiff_t i
    for i in range(lo, hi):
        s[0], s[1] = x1[i], x2[i]
        s[2] = c[i] + ahead * s[0] if ahead != 0.0 else c[i]
        add = each(gradient(g[i], s[2], gscale, clip, decay, alone), s, w)
        x1[i], x2[i] = s[0], s[1]
        c[i] = moved(c[i], add, shrink)


cdef inline void over_seen(element each, int own, double ahead, ptrdiff_t lo, ptrdiff_t hi, double gscale, const double *coef, double clip,
                           bint alone, double shrink, double *const *x, const double *g) noexcept nogil:
    cdef double[WIDTH] w
    cdef double decay = coef[DECAY]
    own_coefficients(coef, w)
    if own == 1:
        over_seen_1(each, lo, hi, gscale, clip, decay, alone, shrink, w, g, ahead, x[0], x[1])
    else:
        over_seen_2(each, lo, hi, gscale, clip, decay, alone, shrink, w, g, ahead, x[0], x[1], x[2])


cdef inline int apply_seen(element each, int own, double ahead, double shrink, const double *coef, double gscale, ptrdiff_t lo,
                           ptrdiff_t hi, double *const *x, const double *g) noexcept nogil:
    """As `apply_alone` for 1 or 2 own vectors, with an element that finds the point of its gradient, c + ahead x[1], in s[own].

    shrink : coef[SHRINK], or the constant 0 where it is known to be that.
    """
    if coef[CLIP] != INFINITY:
        over_seen(each, own, ahead, lo, hi, gscale, coef, coef[CLIP], False, shrink, x, g)
    elif coef[DECAY] != 0.0:
        over_seen(each, own, ahead, lo, hi, gscale, coef, INFINITY, False, shrink, x, g)
    else:
        over_seen(each, own, ahead, lo, hi, gscale, coef, INFINITY, True, shrink, x, g)
    return 0


cdef inline int ask_ahead(const mf_method *m, const double *coef, ptrdiff_t lo, ptrdiff_t hi, const double *const *x,
                          double *at) noexcept nogil:
    """The point of the gradient, c + w[4] x[1]."""
    cdef const double *c = x[0]
    cdef const double *v = x[1]
    cdef double ahead = coef[OWN + 4]
    cdef ptrdiff_t i
    for i in range(lo, hi):
        at[i] = c[i] + ahead * v[i]
    return 0
