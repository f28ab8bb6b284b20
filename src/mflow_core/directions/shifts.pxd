# cython: language_level=3
"""The passes of two-loop recursions: a vector is shifted, and its product with the next one formed in the same pass.

Sums go in the 16 lanes of dot.pxd, in chunks of 1024 added in order, so that every level has the same bits.
"""
from libc.stddef cimport ptrdiff_t

from mflow_core.arithmetic.dot cimport mf_dot_alone


cdef extern from *:
    """
    #if defined(__GNUC__)
    #define MF_PUT(p, a) (*(mf_four *)(p) = (a))
    #define MF_TIMES(a, c) ((a) * (c))
    #define MF_PLUS(a, x, c) ((a) + (x) * (c))
    #define MF_LESS(a, b) ((a) - (b))
    #else
    static inline void MF_PUT(double *p, mf_four a) { for (int j = 0; j < 4; j++) p[j] = a.of[j]; }
    static inline mf_four MF_TIMES(mf_four a, double c) { for (int j = 0; j < 4; j++) a.of[j] = a.of[j] * c; return a; }
    static inline mf_four MF_PLUS(mf_four a, mf_four x, double c) {
      for (int j = 0; j < 4; j++) a.of[j] = a.of[j] + x.of[j] * c; return a; }
    static inline mf_four MF_LESS(mf_four a, mf_four b) { for (int j = 0; j < 4; j++) a.of[j] = a.of[j] - b.of[j]; return a; }
    #endif
    /* q = c (q + a v), and w.q of the new q, w.q with the bits of mf_dot_alone. */
    static inline double mf_shift_chunk(double *q, const double *v, const double *w, double a, double c, ptrdiff_t n) {
      mf_four a0 = {0}, a1 = {0}, a2 = {0}, a3 = {0};
      double p, r;
      ptrdiff_t i = 0;
      for (; i + 16 <= n; i += 16) {
        const mf_four q0 = MF_TIMES(MF_PLUS(MF_AT(q + i), MF_AT(v + i), a), c), q1 = MF_TIMES(MF_PLUS(MF_AT(q + i + 4), MF_AT(v + i + 4), a), c);
        const mf_four q2 = MF_TIMES(MF_PLUS(MF_AT(q + i + 8), MF_AT(v + i + 8), a), c);
        const mf_four q3 = MF_TIMES(MF_PLUS(MF_AT(q + i + 12), MF_AT(v + i + 12), a), c);
        MF_PUT(q + i, q0); MF_PUT(q + i + 4, q1); MF_PUT(q + i + 8, q2); MF_PUT(q + i + 12, q3);
        a0 = MF_PLUS_PRODUCT(a0, MF_AT(w + i), q0);
        a1 = MF_PLUS_PRODUCT(a1, MF_AT(w + i + 4), q1);
        a2 = MF_PLUS_PRODUCT(a2, MF_AT(w + i + 8), q2);
        a3 = MF_PLUS_PRODUCT(a3, MF_AT(w + i + 12), q3);
      }
      a0 = MF_SUM(a0, a2); a1 = MF_SUM(a1, a3);
      if (i + 8 <= n) {
        const mf_four q0 = MF_TIMES(MF_PLUS(MF_AT(q + i), MF_AT(v + i), a), c), q1 = MF_TIMES(MF_PLUS(MF_AT(q + i + 4), MF_AT(v + i + 4), a), c);
        MF_PUT(q + i, q0); MF_PUT(q + i + 4, q1);
        a0 = MF_PLUS_PRODUCT(a0, MF_AT(w + i), q0);
        a1 = MF_PLUS_PRODUCT(a1, MF_AT(w + i + 4), q1);
        i += 8;
      }
      a0 = MF_SUM(a0, a1);
      if (i + 4 <= n) {
        const mf_four q0 = MF_TIMES(MF_PLUS(MF_AT(q + i), MF_AT(v + i), a), c);
        MF_PUT(q + i, q0);
        a0 = MF_PLUS_PRODUCT(a0, MF_AT(w + i), q0);
        i += 4;
      }
      p = MF_OF(a0, 0) + MF_OF(a0, 2); r = MF_OF(a0, 1) + MF_OF(a0, 3);
      if (i + 2 <= n) {
        q[i] = (q[i] + v[i] * a) * c; q[i + 1] = (q[i + 1] + v[i + 1] * a) * c;
        p = p + w[i] * q[i]; r = r + w[i + 1] * q[i + 1];
        i += 2;
      }
      p = p + r;
      if (i < n) { q[i] = (q[i] + v[i] * a) * c; p = p + w[i] * q[i]; }
      return p;
    }
    /* s = x - x_old, y = g - g_old, and s.y, y.y, s.s in eight lanes. */
    static inline void mf_pair_chunk(const double *x, const double *x_old, const double *g, const double *g_old, double *s, double *y,
                                     ptrdiff_t n, double *sums) {
      mf_four a0 = {0}, a1 = {0}, b0 = {0}, b1 = {0}, c0 = {0}, c1 = {0};
      double a, b, c;
      ptrdiff_t i = 0;
      for (; i + 8 <= n; i += 8) {
        const mf_four s0 = MF_LESS(MF_AT(x + i), MF_AT(x_old + i)), s1 = MF_LESS(MF_AT(x + i + 4), MF_AT(x_old + i + 4));
        const mf_four y0 = MF_LESS(MF_AT(g + i), MF_AT(g_old + i)), y1 = MF_LESS(MF_AT(g + i + 4), MF_AT(g_old + i + 4));
        MF_PUT(s + i, s0); MF_PUT(s + i + 4, s1); MF_PUT(y + i, y0); MF_PUT(y + i + 4, y1);
        a0 = MF_PLUS_PRODUCT(a0, s0, y0); a1 = MF_PLUS_PRODUCT(a1, s1, y1);
        b0 = MF_PLUS_PRODUCT(b0, y0, y0); b1 = MF_PLUS_PRODUCT(b1, y1, y1);
        c0 = MF_PLUS_PRODUCT(c0, s0, s0); c1 = MF_PLUS_PRODUCT(c1, s1, s1);
      }
      a0 = MF_SUM(a0, a1); b0 = MF_SUM(b0, b1); c0 = MF_SUM(c0, c1);
      a = (MF_OF(a0, 0) + MF_OF(a0, 2)) + (MF_OF(a0, 1) + MF_OF(a0, 3));
      b = (MF_OF(b0, 0) + MF_OF(b0, 2)) + (MF_OF(b0, 1) + MF_OF(b0, 3));
      c = (MF_OF(c0, 0) + MF_OF(c0, 2)) + (MF_OF(c0, 1) + MF_OF(c0, 3));
      for (; i < n; i++) {
        s[i] = x[i] - x_old[i]; y[i] = g[i] - g_old[i];
        a = a + s[i] * y[i]; b = b + y[i] * y[i]; c = c + s[i] * s[i];
      }
      sums[0] = sums[0] + a; sums[1] = sums[1] + b; sums[2] = sums[2] + c;
    }
    """
    double mf_shift_chunk(double *q, const double *v, const double *w, double a, double c, ptrdiff_t n) noexcept nogil
    void mf_pair_chunk(const double *x, const double *x_old, const double *g, const double *g_old, double *s, double *y, ptrdiff_t n,
                       double *sums) noexcept nogil


cdef inline double shift_and_dot(double *q, const double *v, const double *w, double a, double c, ptrdiff_t n) noexcept nogil:
    """q = c (q + a v); w.q of the new one."""
    cdef double total = 0.0
    cdef ptrdiff_t lo
    if n <= 1024:
        return mf_shift_chunk(q, v, w, a, c, n)
    for lo in range(0, n, 1024):
        total += mf_shift_chunk(q + lo, v + lo, w + lo, a, c, min(n - lo, <ptrdiff_t> 1024))
    return total


cdef inline void pair_and_sums(const double *x, const double *x_old, const double *g, const double *g_old, double *s, double *y,
                               ptrdiff_t n, double *sums) noexcept nogil:
    """s = x - x_old, y = g - g_old; sums: s.y, y.y, s.s."""
    cdef ptrdiff_t lo
    sums[0] = sums[1] = sums[2] = 0.0
    for lo in range(0, n, 1024):
        mf_pair_chunk(x + lo, x_old + lo, g + lo, g_old + lo, s + lo, y + lo, min(n - lo, <ptrdiff_t> 1024), sums)
