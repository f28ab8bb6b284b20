# cython: language_level=3
"""Sums of vectors, a loop for each number of terms: out = y + h sum_e w_e K[col_e], and the same without y.

The order of association is that of vec.pxd. `out` may be `y`, while a vector of K may be neither. Up to MF_SHORT numbers a loop stays
scalar; longer ones are vectorised, and no time is spent on finding out which vectors overlap: where out is y, a number is read before it is
written. The loops are written by macros, since a sum of q terms takes 2 q arguments otherwise. They are a part of who calls them, which saves
dopri5 a tenth of a step; `_apart` are functions of their own, for callers that do much else in between.
"""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t

from mflow_core.arithmetic.vec cimport MF_SHORT, mf_scalar


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
    #define MF_EACH(n, out, value)                                                                                                      \\
      if ((n) <= MF_SHORT) for (ptrdiff_t i = 0; i < (n); i++) (out)[i] = mf_scalar(value);                                             \\
      else { MF_FREELY for (ptrdiff_t i = 0; i < (n); i++) (out)[i] = (value); }

    /* Sq: the sum of q terms at i. Lq: the vectors and weights that it names. */
    #define MF_T(j) w##j * k##j[i]
    #define MF_S1 MF_T(0)
    #define MF_S2 MF_S1 + MF_T(1)
    #define MF_S3 (MF_S2) + MF_T(2)
    #define MF_S4 (MF_S2) + (MF_T(2) + MF_T(3))
    #define MF_S5 (MF_S4) + MF_T(4)
    #define MF_S6 (MF_S5) + MF_T(5)
    #define MF_S7 (MF_S6) + MF_T(6)
    #define MF_S8 (MF_S7) + MF_T(7)
    #define MF_S9 (MF_S8) + MF_T(8)
    #define MF_S10 (MF_S9) + MF_T(9)
    #define MF_S11 (MF_S10) + MF_T(10)
    #define MF_S12 (MF_S11) + MF_T(11)
    #define MF_L(j) const double *restrict k##j = K[col[j]]; const double w##j = h * w[j];
    #define MF_L1 MF_L(0)
    #define MF_L2 MF_L1 MF_L(1)
    #define MF_L3 MF_L2 MF_L(2)
    #define MF_L4 MF_L3 MF_L(3)
    #define MF_L5 MF_L4 MF_L(4)
    #define MF_L6 MF_L5 MF_L(5)
    #define MF_L7 MF_L6 MF_L(6)
    #define MF_L8 MF_L7 MF_L(7)
    #define MF_L9 MF_L8 MF_L(8)
    #define MF_L10 MF_L9 MF_L(9)
    #define MF_L11 MF_L10 MF_L(10)
    #define MF_L12 MF_L11 MF_L(11)

    #define MF_ADDED ptrdiff_t n, double *out, const double *y, double h, const double *const *K, int q, const int32_t *col, const double *w
    #define MF_SUMMED ptrdiff_t n, double *out, double h, const double *const *K, int q, const int32_t *col, const double *w
    #define MF_ROWS(q)                                                                                                                  \\
      MF_INSIDE void mf_add_##q(MF_ADDED) { MF_L##q MF_EACH(n, out, y[i] + (MF_S##q)) }                                                   \\
      MF_INSIDE void mf_sum_##q(MF_SUMMED) { MF_L##q MF_EACH(n, out, MF_S##q) }
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
    MF_APART int mf_add_apart(MF_ADDED) { return mf_add(n, out, y, h, K, q, col, w); }
    MF_APART int mf_sum_apart(MF_SUMMED) { return mf_sum(n, out, h, K, q, col, w); }

    #define MF_EIGHT(c)                                                                                                                 \\
      ((((((c[0] * k0[i] + c[1] * k1[i]) + (c[2] * k2[i] + c[3] * k3[i])) + c[4] * k4[i]) + c[5] * k5[i]) + c[6] * k6[i]) + c[7] * k7[i])
    MF_INSIDE void mf_add_and_sums(ptrdiff_t n, double *out, const double *y, double *restrict first, double *restrict second, double h,
                                   const double *const *K, const int32_t *col, const double *w, const double *u, const double *v) {
      const double *restrict k0 = K[col[0]], *restrict k1 = K[col[1]], *restrict k2 = K[col[2]], *restrict k3 = K[col[3]];
      const double *restrict k4 = K[col[4]], *restrict k5 = K[col[5]], *restrict k6 = K[col[6]], *restrict k7 = K[col[7]];
      double a[8], b[8], c[8];
      for (int e = 0; e < 8; e++) {
        a[e] = h * w[e], b[e] = h * u[e], c[e] = h * v[e];
      }
      if (n <= MF_SHORT)
        for (ptrdiff_t i = 0; i < n; i++) {
          out[i] = mf_scalar(y[i] + MF_EIGHT(a));
          first[i] = mf_scalar(MF_EIGHT(b));
          second[i] = mf_scalar(MF_EIGHT(c));
        }
      else {
        MF_FREELY for (ptrdiff_t i = 0; i < n; i++) {
          const double end = y[i] + MF_EIGHT(a);
          first[i] = MF_EIGHT(b);
          second[i] = MF_EIGHT(c);
          out[i] = end;
        }
      }
    }
    """
    # y + h sum and h sum, of q = 1 to 12 terms. False: of another number, and nothing is done.
    bint mf_add(ptrdiff_t n, double *out, const double *y, double h, const double *const *K, int q, const int32_t *col,
                const double *w) noexcept nogil
    bint mf_sum(ptrdiff_t n, double *out, double h, const double *const *K, int q, const int32_t *col, const double *w) noexcept nogil
    bint mf_add_apart(ptrdiff_t n, double *out, const double *y, double h, const double *const *K, int q, const int32_t *col,
                      const double *w) noexcept nogil
    bint mf_sum_apart(ptrdiff_t n, double *out, double h, const double *const *K, int q, const int32_t *col, const double *w) noexcept nogil
    # y + h sum, and two sums of the same eight vectors with weights u and v, in one pass.
    void mf_add_and_sums(ptrdiff_t n, double *out, const double *y, double *first, double *second, double h, const double *const *K,
                         const int32_t *col, const double *w, const double *u, const double *v) noexcept nogil
