# cython: language_level=3
"""x.w and |x|^2 of a row of data in one pass, in 16 fixed lanes (partial sums that SIMD registers hold).

A sample of 50 numbers takes 20 ns, so the lanes must stay in registers up to the last number. They are written as vectors of four, which
every instruction set splits to its width without another order of association. 16 lanes fold to 8, 4, 2 and 1; the remainder of n is
added when as many lanes are left as it fills. Longer rows are split into chunks, whose sums are added in order.
"""
from libc.stddef cimport ptrdiff_t


cdef extern from *:
    """
    #if defined(__GNUC__)
    typedef double mf_four __attribute__((vector_size(32), aligned(8), may_alias));
    #define MF_AT(p) (*(const mf_four *)(p))
    #define MF_SUM(a, b) ((a) + (b))
    #define MF_PLUS_PRODUCT(a, x, w) ((a) + (x) * (w))
    #define MF_OF(a, j) ((a)[j])
    #else
    typedef struct { double of[4]; } mf_four;
    #define MF_AT(p) (*(const mf_four *)(p))
    #define MF_OF(a, j) ((a).of[j])
    static inline mf_four MF_SUM(mf_four a, mf_four b) { for (int j = 0; j < 4; j++) a.of[j] = a.of[j] + b.of[j]; return a; }
    static inline mf_four MF_PLUS_PRODUCT(mf_four a, mf_four x, mf_four w) {
      for (int j = 0; j < 4; j++) a.of[j] = a.of[j] + x.of[j] * w.of[j]; return a; }
    #endif
    static inline double mf_dot_chunk(const double *x, const double *w, ptrdiff_t n, double *square) {
      mf_four a0 = {0}, a1 = {0}, a2 = {0}, a3 = {0}, b0 = {0}, b1 = {0}, b2 = {0}, b3 = {0};
      double p, q, r, s;
      ptrdiff_t i = 0;
      for (; i + 16 <= n; i += 16) {
        const mf_four x0 = MF_AT(x + i), x1 = MF_AT(x + i + 4), x2 = MF_AT(x + i + 8), x3 = MF_AT(x + i + 12);
        a0 = MF_PLUS_PRODUCT(a0, x0, MF_AT(w + i));
        a1 = MF_PLUS_PRODUCT(a1, x1, MF_AT(w + i + 4));
        a2 = MF_PLUS_PRODUCT(a2, x2, MF_AT(w + i + 8));
        a3 = MF_PLUS_PRODUCT(a3, x3, MF_AT(w + i + 12));
        b0 = MF_PLUS_PRODUCT(b0, x0, x0);
        b1 = MF_PLUS_PRODUCT(b1, x1, x1);
        b2 = MF_PLUS_PRODUCT(b2, x2, x2);
        b3 = MF_PLUS_PRODUCT(b3, x3, x3);
      }
      a0 = MF_SUM(a0, a2); a1 = MF_SUM(a1, a3); b0 = MF_SUM(b0, b2); b1 = MF_SUM(b1, b3);
      if (i + 8 <= n) {
        const mf_four x0 = MF_AT(x + i), x1 = MF_AT(x + i + 4);
        a0 = MF_PLUS_PRODUCT(a0, x0, MF_AT(w + i));
        a1 = MF_PLUS_PRODUCT(a1, x1, MF_AT(w + i + 4));
        b0 = MF_PLUS_PRODUCT(b0, x0, x0);
        b1 = MF_PLUS_PRODUCT(b1, x1, x1);
        i += 8;
      }
      a0 = MF_SUM(a0, a1); b0 = MF_SUM(b0, b1);
      if (i + 4 <= n) {
        const mf_four x0 = MF_AT(x + i);
        a0 = MF_PLUS_PRODUCT(a0, x0, MF_AT(w + i));
        b0 = MF_PLUS_PRODUCT(b0, x0, x0);
        i += 4;
      }
      p = MF_OF(a0, 0) + MF_OF(a0, 2); q = MF_OF(a0, 1) + MF_OF(a0, 3);
      r = MF_OF(b0, 0) + MF_OF(b0, 2); s = MF_OF(b0, 1) + MF_OF(b0, 3);
      if (i + 2 <= n) {
        p = p + x[i] * w[i]; q = q + x[i + 1] * w[i + 1];
        r = r + x[i] * x[i]; s = s + x[i + 1] * x[i + 1];
        i += 2;
      }
      p = p + q; r = r + s;
      if (i < n) { p = p + x[i] * w[i]; r = r + x[i] * x[i]; }
      *square = r;
      return p;
    }
    /* The product x.w alone, with the same bits. */
    static inline double mf_dot_alone(const double *x, const double *w, ptrdiff_t n) {
      mf_four a0 = {0}, a1 = {0}, a2 = {0}, a3 = {0};
      double p, q;
      ptrdiff_t i = 0;
      for (; i + 16 <= n; i += 16) {
        a0 = MF_PLUS_PRODUCT(a0, MF_AT(x + i), MF_AT(w + i));
        a1 = MF_PLUS_PRODUCT(a1, MF_AT(x + i + 4), MF_AT(w + i + 4));
        a2 = MF_PLUS_PRODUCT(a2, MF_AT(x + i + 8), MF_AT(w + i + 8));
        a3 = MF_PLUS_PRODUCT(a3, MF_AT(x + i + 12), MF_AT(w + i + 12));
      }
      a0 = MF_SUM(a0, a2); a1 = MF_SUM(a1, a3);
      if (i + 8 <= n) {
        a0 = MF_PLUS_PRODUCT(a0, MF_AT(x + i), MF_AT(w + i));
        a1 = MF_PLUS_PRODUCT(a1, MF_AT(x + i + 4), MF_AT(w + i + 4));
        i += 8;
      }
      a0 = MF_SUM(a0, a1);
      if (i + 4 <= n) { a0 = MF_PLUS_PRODUCT(a0, MF_AT(x + i), MF_AT(w + i)); i += 4; }
      p = MF_OF(a0, 0) + MF_OF(a0, 2); q = MF_OF(a0, 1) + MF_OF(a0, 3);
      if (i + 2 <= n) { p = p + x[i] * w[i]; q = q + x[i + 1] * w[i + 1]; i += 2; }
      p = p + q;
      if (i < n) p = p + x[i] * w[i];
      return p;
    }
    """
    double mf_dot_alone(const double *x, const double *w, ptrdiff_t n) noexcept nogil
    double mf_dot_chunk(const double *x, const double *w, ptrdiff_t n, double *square) noexcept nogil


cdef inline double dot_and_square(const double *x, const double *w, ptrdiff_t n, double *square) noexcept nogil:
    """x.w; |x|^2 goes to `square`."""
    cdef double dot = 0.0, part
    cdef ptrdiff_t lo
    if n <= 1024:
        return mf_dot_chunk(x, w, n, square)
    square[0] = 0.0
    for lo in range(0, n, 1024):
        dot += mf_dot_chunk(x + lo, w + lo, min(n - lo, <ptrdiff_t> 1024), &part)
        square[0] += part
    return dot


cdef inline double dot(const double *x, const double *w, ptrdiff_t n) noexcept nogil:
    """x.w, with the bits of `dot_and_square`."""
    cdef double total = 0.0
    cdef ptrdiff_t lo
    if n <= 1024:
        return mf_dot_alone(x, w, n)
    for lo in range(0, n, 1024):
        total += mf_dot_alone(x + lo, w + lo, min(n - lo, <ptrdiff_t> 1024))
    return total
