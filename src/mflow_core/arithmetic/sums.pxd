# cython: language_level=3
"""Sums of vectors, a loop for each number of terms: out = y + h sum_e w_e K[col_e], the same without y, and averages of Euler steps.

One written order of association, the same for all lengths, is what makes the bits equal on every instruction set:

    out = y + (((w0 k0 + w1 k1) + (w2 k2 + w3 k3)) + w4 k4) + ...

`out` may be `y` or a vector of K: where it is, a number is read before it is written. Up to MF_SHORT numbers a loop is scalar and a part of
who calls it; two and three numbers are unrolled, so that they are stored together, as the next right-hand side reads them. Longer ones are
vectorised, and no time is spent on finding out which vectors overlap. They are functions of their own: in a step they would take its
registers, and room on the stack that short vectors pay for. The loops are written by macros, since a sum of q terms takes 2 q arguments
otherwise. `_apart` are for callers that do much else in between, and take any number of terms. `_looked` are for long vectors, and say
whether all that they have written is finite: a pass of its own would read it again.
"""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t

from mflow_core.arithmetic.vec cimport MF_SHORT, mf_bits, mf_scalar


cdef extern from *:
    """
    #if defined(__clang__)
    #define MF_FREELY _Pragma("clang loop vectorize(assume_safety)")
    #elif defined(__GNUC__)
    #define MF_FREELY _Pragma("GCC ivdep")
    #else
    #define MF_FREELY
    #endif
    #if defined(__GNUC__)
    #define MF_APART static __attribute__((noinline))
    #define MF_INSIDE static inline __attribute__((always_inline))
    #else
    #define MF_APART static
    #define MF_INSIDE static inline
    #endif
    /* what is known of the length of the loops for long vectors, and saves them what they do for shorter ones */
    #if defined(__GNUC__)
    #define MF_NOT_SHORT(n) if ((n) <= MF_SHORT) __builtin_unreachable();
    #else
    #define MF_NOT_SHORT(n)
    #endif
    #define MF_FEW(count, out, value)                                                                                                   \\
      { double few[count];                                                                                                              \\
        for (ptrdiff_t i = 0; i < count; i++) few[i] = mf_scalar(value);                                                                \\
        for (ptrdiff_t i = 0; i < count; i++) (out)[i] = few[i]; }
    /* n <= MF_SHORT, and longer ones */
    #define MF_BRIEF(n, out, value)                                                                                                     \\
      if ((n) == 3) MF_FEW(3, out, value)                                                                                               \\
      else if ((n) == 2) MF_FEW(2, out, value)                                                                                          \\
      else for (ptrdiff_t i = 0; i < (n); i++) (out)[i] = mf_scalar(value);
    #define MF_LONG(n, out, value) MF_NOT_SHORT(n) MF_FREELY for (ptrdiff_t i = 0; i < (n); i++) (out)[i] = (value);
    /* The same, and whether all is finite: x - x is +0, all bits zero, for every number that is. */
    #define MF_WRONG(x) mf_bits((x) - (x))
    #define MF_LOOKED(n, out, value)                                                                                                    \\
      uint64_t wrong = 0;                                                                                                               \\
      MF_NOT_SHORT(n)                                                                                                                   \\
      MF_FREELY for (ptrdiff_t i = 0; i < (n); i++) { const double one = (value); (out)[i] = one; wrong |= MF_WRONG(one); }             \\
      return wrong == 0;
    /* A pass with one output, from its parameters in brackets, and the same as arguments. */
    #define MF_PASS(name, parameters, arguments, out, value)                                                                            \\
      MF_APART void name##_long parameters { MF_LONG(n, out, value) }                                                                   \\
      MF_APART int name##_looked parameters { MF_LOOKED(n, out, value) }                                                                \\
      MF_INSIDE void name parameters {                                                                                                  \\
        if (n > MF_SHORT) name##_long arguments; else MF_BRIEF(n, out, value)                                                           \\
      }

    /* SUM_q: the sum of q terms at i. TAKE_q: the vectors and weights that it names. */
    #define MF_TERM(j) w##j * k##j[i]
    #define MF_SUM_1 MF_TERM(0)
    #define MF_SUM_2 MF_SUM_1 + MF_TERM(1)
    #define MF_SUM_3 (MF_SUM_2) + MF_TERM(2)
    #define MF_SUM_4 (MF_SUM_2) + (MF_TERM(2) + MF_TERM(3))
    #define MF_SUM_5 (MF_SUM_4) + MF_TERM(4)
    #define MF_SUM_6 (MF_SUM_5) + MF_TERM(5)
    #define MF_SUM_7 (MF_SUM_6) + MF_TERM(6)
    #define MF_SUM_8 (MF_SUM_7) + MF_TERM(7)
    #define MF_SUM_9 (MF_SUM_8) + MF_TERM(8)
    #define MF_SUM_10 (MF_SUM_9) + MF_TERM(9)
    #define MF_SUM_11 (MF_SUM_10) + MF_TERM(10)
    #define MF_SUM_12 (MF_SUM_11) + MF_TERM(11)
    #define MF_TAKE(j) const double *k##j = K[col[j]]; const double w##j = h * w[j];
    #define MF_TAKE_1 MF_TAKE(0)
    #define MF_TAKE_2 MF_TAKE_1 MF_TAKE(1)
    #define MF_TAKE_3 MF_TAKE_2 MF_TAKE(2)
    #define MF_TAKE_4 MF_TAKE_3 MF_TAKE(3)
    #define MF_TAKE_5 MF_TAKE_4 MF_TAKE(4)
    #define MF_TAKE_6 MF_TAKE_5 MF_TAKE(5)
    #define MF_TAKE_7 MF_TAKE_6 MF_TAKE(6)
    #define MF_TAKE_8 MF_TAKE_7 MF_TAKE(7)
    #define MF_TAKE_9 MF_TAKE_8 MF_TAKE(8)
    #define MF_TAKE_10 MF_TAKE_9 MF_TAKE(9)
    #define MF_TAKE_11 MF_TAKE_10 MF_TAKE(10)
    #define MF_TAKE_12 MF_TAKE_11 MF_TAKE(11)

    #define MF_ADDED ptrdiff_t n, double *out, const double *y, double h, const double *const *K, int q, const int32_t *col, const double *w
    #define MF_SUMMED ptrdiff_t n, double *out, double h, const double *const *K, int q, const int32_t *col, const double *w
    #define MF_ROWS(q)                                                                                                                  \\
      MF_APART void mf_add_long_##q(MF_ADDED) { MF_TAKE_##q MF_LONG(n, out, y[i] + (MF_SUM_##q)) }                                        \\
      MF_APART int mf_add_looked_##q(MF_ADDED) { MF_TAKE_##q MF_LOOKED(n, out, y[i] + (MF_SUM_##q)) }                                     \\
      MF_APART void mf_sum_long_##q(MF_SUMMED) { MF_TAKE_##q MF_LONG(n, out, MF_SUM_##q) }                                                \\
      MF_INSIDE void mf_add_##q(MF_ADDED) {                                                                                             \\
        if (n > MF_SHORT) mf_add_long_##q(n, out, y, h, K, q, col, w); else { MF_TAKE_##q MF_BRIEF(n, out, y[i] + (MF_SUM_##q)) }         \\
      }                                                                                                                                 \\
      MF_INSIDE void mf_sum_##q(MF_SUMMED) {                                                                                            \\
        if (n > MF_SHORT) mf_sum_long_##q(n, out, h, K, q, col, w); else { MF_TAKE_##q MF_BRIEF(n, out, MF_SUM_##q) }                     \\
      }
    MF_ROWS(1) MF_ROWS(2) MF_ROWS(3) MF_ROWS(4) MF_ROWS(5) MF_ROWS(6) MF_ROWS(7) MF_ROWS(8) MF_ROWS(9) MF_ROWS(10) MF_ROWS(11) MF_ROWS(12)

    #define MF_CASE(q, name, ...) case q: name##_##q(__VA_ARGS__); return 1;
    #define MF_CASES(q, ...)                                                                                                            \\
      switch (q) {                                                                                                                      \\
        MF_CASE(1, __VA_ARGS__) MF_CASE(2, __VA_ARGS__) MF_CASE(3, __VA_ARGS__) MF_CASE(4, __VA_ARGS__) MF_CASE(5, __VA_ARGS__)         \\
        MF_CASE(6, __VA_ARGS__) MF_CASE(7, __VA_ARGS__) MF_CASE(8, __VA_ARGS__) MF_CASE(9, __VA_ARGS__) MF_CASE(10, __VA_ARGS__)        \\
        MF_CASE(11, __VA_ARGS__) MF_CASE(12, __VA_ARGS__)                                                                               \\
        default: return 0;                                                                                                              \\
      }
    MF_INSIDE int mf_add(MF_ADDED) { MF_CASES(q, mf_add, n, out, y, h, K, q, col, w) }
    MF_INSIDE int mf_sum(MF_SUMMED) { MF_CASES(q, mf_sum, n, out, h, K, q, col, w) }
    MF_INSIDE int mf_add_few(MF_ADDED) {
      switch (q) {
        MF_CASE(1, mf_add, n, out, y, h, K, q, col, w) MF_CASE(2, mf_add, n, out, y, h, K, q, col, w)
        MF_CASE(3, mf_add, n, out, y, h, K, q, col, w) MF_CASE(4, mf_add, n, out, y, h, K, q, col, w)
        default: return 0;
      }
    }

    #define MF_LOOK(q) case q: return mf_add_looked_##q(n, out, y, h, K, q, col, w);

    /* More than twelve terms: the sum is built in a block that stays in the first cache. */
    static void mf_many(ptrdiff_t n, double *out, const double *y, double h, const double *const *K, int q, const int32_t *col,
                        const double *w) {
      double sum[512];
      for (ptrdiff_t lo = 0; lo < n; lo += 512) {
        const ptrdiff_t m = n - lo < 512 ? n - lo : 512;
        const double *part[12];
        int32_t own[12];
        for (int e = 0; e < 12; e++) {
          part[e] = K[col[e]] + lo, own[e] = e;
        }
        mf_sum(m, sum, h, part, 12, own, w);
        for (int e = 12; e < q; e++) {
          const double *k = K[col[e]] + lo, by = h * w[e];
          for (ptrdiff_t i = 0; i < m; i++) sum[i] = sum[i] + by * k[i];
        }
        for (ptrdiff_t i = 0; i < m; i++) out[lo + i] = y != NULL ? y[lo + i] + sum[i] : sum[i];
      }
    }
    MF_APART void mf_add_apart(MF_ADDED) {
      if (q == 0) for (ptrdiff_t i = 0; i < n; i++) out[i] = y[i];
      else if (!mf_add(n, out, y, h, K, q, col, w)) mf_many(n, out, y, h, K, q, col, w);
    }
    MF_APART int mf_add_looked(MF_ADDED) {
      uint64_t wrong = 0;
      switch (q) {
        MF_LOOK(1) MF_LOOK(2) MF_LOOK(3) MF_LOOK(4) MF_LOOK(5) MF_LOOK(6) MF_LOOK(7) MF_LOOK(8) MF_LOOK(9) MF_LOOK(10) MF_LOOK(11) MF_LOOK(12)
      }
      mf_add_apart(n, out, y, h, K, q, col, w);
      for (ptrdiff_t i = 0; i < n; i++) wrong |= MF_WRONG(out[i]);
      return wrong == 0;
    }
    MF_APART void mf_sum_apart(MF_SUMMED) {
      if (q == 0) for (ptrdiff_t i = 0; i < n; i++) out[i] = 0.0;
      else if (!mf_sum(n, out, h, K, q, col, w)) mf_many(n, out, NULL, h, K, q, col, w);
    }

    /* Averages of y and of Euler steps u + r f: those of Shu and Osher's forms that are usual. */
    MF_PASS(mf_euler, (ptrdiff_t n, double *out, const double *u, const double *f, double r), (n, out, u, f, r), out, u[i] + r * f[i])
    MF_PASS(mf_average_2,
      (ptrdiff_t n, double *out, const double *y, double a, const double *u, const double *f, double b, double r),
      (n, out, y, a, u, f, b, r), out, a * y[i] + b * (u[i] + r * f[i]))
    MF_PASS(mf_average_3,
      (ptrdiff_t n, double *out, const double *y, double a, const double *u, const double *f, double b, double r, const double *v,
       const double *g, double c, double s),
      (n, out, y, a, u, f, b, r, v, g, c, s), out, (a * y[i] + b * (u[i] + r * f[i])) + c * (v[i] + s * g[i]))

    #define MF_EIGHT(c)                                                                                                                 \\
      ((((((c[0] * k0[i] + c[1] * k1[i]) + (c[2] * k2[i] + c[3] * k3[i])) + c[4] * k4[i]) + c[5] * k5[i]) + c[6] * k6[i]) + c[7] * k7[i])
    #define MF_TWICE ptrdiff_t n, double *out, const double *y, double *restrict first, double *restrict second, double h,               \\
      const double *const *K, const int32_t *col, const double *w, const double *u, const double *v
    #define MF_TAKE_TWICE                                                                                                               \\
      const double *k0 = K[col[0]], *k1 = K[col[1]], *k2 = K[col[2]], *k3 = K[col[3]];                                                  \\
      const double *k4 = K[col[4]], *k5 = K[col[5]], *k6 = K[col[6]], *k7 = K[col[7]];                                                  \\
      double a[8], b[8], c[8];                                                                                                          \\
      for (int e = 0; e < 8; e++) a[e] = h * w[e], b[e] = h * u[e], c[e] = h * v[e];
    MF_APART void mf_add_and_sums_long(MF_TWICE) {
      MF_TAKE_TWICE
      MF_NOT_SHORT(n)
      MF_FREELY for (ptrdiff_t i = 0; i < n; i++) {
        const double end = y[i] + MF_EIGHT(a);
        first[i] = MF_EIGHT(b);
        second[i] = MF_EIGHT(c);
        out[i] = end;
      }
    }
    MF_INSIDE void mf_add_and_sums(MF_TWICE) {
      if (n > MF_SHORT) mf_add_and_sums_long(n, out, y, first, second, h, K, col, w, u, v);
      else {
        MF_TAKE_TWICE
        MF_BRIEF(n, out, y[i] + MF_EIGHT(a))
        MF_BRIEF(n, first, MF_EIGHT(b))
        MF_BRIEF(n, second, MF_EIGHT(c))
      }
    }
    """
    # y + h sum and h sum, of q = 1 to 12 terms (`_few`: to 4). False: of another number, and nothing is done.
    bint mf_add(ptrdiff_t n, double *out, const double *y, double h, const double *const *K, int q, const int32_t *col,
                const double *w) noexcept nogil
    bint mf_add_few(ptrdiff_t n, double *out, const double *y, double h, const double *const *K, int q, const int32_t *col,
                    const double *w) noexcept nogil
    bint mf_sum(ptrdiff_t n, double *out, double h, const double *const *K, int q, const int32_t *col, const double *w) noexcept nogil
    # Of any number of terms.
    void mf_add_apart(ptrdiff_t n, double *out, const double *y, double h, const double *const *K, int q, const int32_t *col,
                      const double *w) noexcept nogil
    void mf_sum_apart(ptrdiff_t n, double *out, double h, const double *const *K, int q, const int32_t *col, const double *w) noexcept nogil
    bint mf_add_looked(ptrdiff_t n, double *out, const double *y, double h, const double *const *K, int q, const int32_t *col,
                       const double *w) noexcept nogil
    # u + r f; a y + b (u + r f); a y + b (u + r f) + c (v + s g).
    void mf_euler(ptrdiff_t n, double *out, const double *u, const double *f, double r) noexcept nogil
    void mf_average_2(ptrdiff_t n, double *out, const double *y, double a, const double *u, const double *f, double b, double r) noexcept nogil
    void mf_average_3(ptrdiff_t n, double *out, const double *y, double a, const double *u, const double *f, double b, double r,
                      const double *v, const double *g, double c, double s) noexcept nogil
    bint mf_euler_looked(ptrdiff_t n, double *out, const double *u, const double *f, double r) noexcept nogil
    bint mf_average_2_looked(ptrdiff_t n, double *out, const double *y, double a, const double *u, const double *f, double b,
                             double r) noexcept nogil
    bint mf_average_3_looked(ptrdiff_t n, double *out, const double *y, double a, const double *u, const double *f, double b, double r,
                             const double *v, const double *g, double c, double s) noexcept nogil
    # y + h sum, and two sums of the same eight vectors with weights u and v, in one pass.
    void mf_add_and_sums(ptrdiff_t n, double *out, const double *y, double *first, double *second, double h, const double *const *K,
                         const int32_t *col, const double *w, const double *u, const double *v) noexcept nogil
