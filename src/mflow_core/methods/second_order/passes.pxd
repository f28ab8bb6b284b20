# cython: language_level=3
"""Passes of second-order methods over x, v and a: one elementwise loop for each update of a step, read and written once.

Outputs may be inputs: every number is read before any of the same index is written. The loops are those of sums.pxd, with two or three
outputs.
"""
from libc.stddef cimport ptrdiff_t

from mflow_core.arithmetic.sums cimport mf_euler, mf_euler_looked
from mflow_core.methods.second_order.hooks cimport constrained
from mflow_core.methods.tableau cimport LOOK, looked
from mflow_core.types cimport mf_frame


cdef extern from *:
    """
    #define MF_EACH_2(count, p, first, q, second)                                                                                   \\
      for (ptrdiff_t i = 0; i < (count); i++) {                                                                                     \\
        const double one = mf_scalar(first), two = mf_scalar(second); (p)[i] = one, (q)[i] = two;                                   \\
      }
    #define MF_EACH_3(count, p, first, q, second, r, third)                                                                         \\
      for (ptrdiff_t i = 0; i < (count); i++) {                                                                                     \\
        const double one = mf_scalar(first), two = mf_scalar(second), three = mf_scalar(third);                                     \\
        (p)[i] = one, (q)[i] = two, (r)[i] = three;                                                                                 \\
      }
    #define MF_FEW_3(count, p, first, q, second, r, third)                                                                          \\
      { double one[count], two[count], three[count];                                                                                \\
        for (ptrdiff_t i = 0; i < count; i++) one[i] = mf_scalar(first), two[i] = mf_scalar(second), three[i] = mf_scalar(third);   \\
        for (ptrdiff_t i = 0; i < count; i++) (p)[i] = one[i];                                                                      \\
        for (ptrdiff_t i = 0; i < count; i++) (q)[i] = two[i];                                                                      \\
        for (ptrdiff_t i = 0; i < count; i++) (r)[i] = three[i]; }
    /* n <= MF_SHORT: two and three numbers are unrolled. Where three vectors are written, each is stored together (sums.pxd). */
    #define MF_BRIEFLY(n, few, each, ...)                                                                                           \\
      if ((n) == 3) few(3, __VA_ARGS__) else if ((n) == 2) few(2, __VA_ARGS__) else each(n, __VA_ARGS__)
    #define MF_PASS_2(name, parameters, arguments, p, first, q, second)                                                                 \\
      MF_APART void name##_long parameters {                                                                                            \\
        MF_NOT_SHORT(n)                                                                                                                 \\
        MF_FREELY for (ptrdiff_t i = 0; i < n; i++) { const double one = first, two = second; p[i] = one, q[i] = two; }                 \\
      }                                                                                                                                 \\
      MF_APART int name##_looked parameters {                                                                                           \\
        uint64_t wrong = 0;                                                                                                             \\
        MF_NOT_SHORT(n)                                                                                                                 \\
        MF_FREELY for (ptrdiff_t i = 0; i < n; i++) {                                                                                   \\
          const double one = first, two = second; p[i] = one, q[i] = two, wrong |= MF_WRONG(one) | MF_WRONG(two);                       \\
        }                                                                                                                               \\
        return wrong == 0;                                                                                                              \\
      }                                                                                                                                 \\
      MF_INSIDE void name parameters { if (n > MF_SHORT) name##_long arguments; else MF_BRIEFLY(n, MF_EACH_2, MF_EACH_2, p, first, q, second) }
    #define MF_PASS_3(name, parameters, arguments, p, first, q, second, r, third)                                                       \\
      MF_APART void name##_long parameters {                                                                                            \\
        MF_NOT_SHORT(n)                                                                                                                 \\
        MF_FREELY for (ptrdiff_t i = 0; i < n; i++) {                                                                                   \\
          const double one = first, two = second, three = third; p[i] = one, q[i] = two, r[i] = three;                                  \\
        }                                                                                                                               \\
      }                                                                                                                                 \\
      MF_INSIDE void name parameters {                                                                                                  \\
        if (n > MF_SHORT) name##_long arguments; else MF_BRIEFLY(n, MF_FEW_3, MF_EACH_3, p, first, q, second, r, third)             \\
      }

    #define MF_PASS_STATE ptrdiff_t n, const double *x, const double *v, const double *a
    #define MF_PASS_X x[i] + ((h * v[i] + cx * a[i]) + bx * a1[i])
    #define MF_PASS_V v[i] + (cv * a[i] + bv * a1[i])
    #define MF_PASS_HALF v[i] + kick * a[i]
    MF_PASS_2(mf_taylor, (MF_PASS_STATE, double *x1, double *v1, double h, double cx, double cv), (n, x, v, a, x1, v1, h, cx, cv),
      x1, x[i] + (h * v[i] + cx * a[i]), v1, v[i] + cv * a[i])
    MF_PASS_3(mf_predict, (MF_PASS_STATE, double *x1, double *v1, double *a1, double h, double cx, double cv),
      (n, x, v, a, x1, v1, a1, h, cx, cv), x1, x[i] + (h * v[i] + cx * a[i]), v1, v[i] + cv * a[i], a1, a[i])
    MF_PASS_2(mf_advance, (MF_PASS_STATE, const double *a1, double *x1, double *v1, double h, double cx, double cv, double bx, double bv),
      (n, x, v, a, a1, x1, v1, h, cx, cv, bx, bv), x1, MF_PASS_X, v1, MF_PASS_V)
    MF_PASS_3(mf_advance_all,
      (MF_PASS_STATE, const double *a1, double *x1, double *v1, double *to, double h, double cx, double cv, double bx, double bv),
      (n, x, v, a, a1, x1, v1, to, h, cx, cv, bx, bv), x1, MF_PASS_X, v1, MF_PASS_V, to, a1[i])
    MF_PASS(mf_advance_v, (ptrdiff_t n, const double *v, const double *a, const double *a1, double *v1, double cv, double bv),
      (n, v, a, a1, v1, cv, bv), v1, MF_PASS_V)
    MF_PASS_2(mf_kick_drift, (MF_PASS_STATE, double *x1, double *v1, double h, double kick), (n, x, v, a, x1, v1, h, kick),
      x1, x[i] + h * (MF_PASS_HALF), v1, MF_PASS_HALF)
    MF_PASS_2(mf_half_drift, (MF_PASS_STATE, double *x1, double *v1, double h, double kick), (n, x, v, a, x1, v1, h, kick),
      x1, x[i] + h * (MF_PASS_HALF), v1, v[i])
    MF_PASS_2(mf_drift, (ptrdiff_t n, const double *x, const double *v, double *x1, double *v1, double h), (n, x, v, x1, v1, h),
      x1, x[i] + h * v[i], v1, v[i])
    MF_PASS_2(mf_correct, (ptrdiff_t n, double *x, double *v, const double *a, double bx, double bv), (n, x, v, a, bx, bv),
      x, x[i] + bx * a[i], v, v[i] + bv * a[i])
    MF_PASS(mf_copy, (ptrdiff_t n, const double *a, double *a1), (n, a, a1), a1, a[i])
    """
    # x1 = x + (h v + cx a), v1 = v + cv a; `predict`: and a1 = a.
    void taylor "mf_taylor"(ptrdiff_t n, const double *x, const double *v, const double *a, double *x1, double *v1, double h, double cx,
                            double cv) noexcept nogil
    void predict "mf_predict"(ptrdiff_t n, const double *x, const double *v, const double *a, double *x1, double *v1, double *a1, double h,
                              double cx, double cv) noexcept nogil
    # x1 = x + (h v + cx a + bx a1), v1 = v + (cv a + bv a1): one rounding of the size of x and one of v, so that energies drift less.
    # `advance_all`: and to = a1.
    void advance "mf_advance"(ptrdiff_t n, const double *x, const double *v, const double *a, const double *a1, double *x1, double *v1,
                              double h, double cx, double cv, double bx, double bv) noexcept nogil
    void advance_all "mf_advance_all"(ptrdiff_t n, const double *x, const double *v, const double *a, const double *a1, double *x1, double *v1,
                                      double *to, double h, double cx, double cv, double bx, double bv) noexcept nogil
    bint advance_looked "mf_advance_looked"(ptrdiff_t n, const double *x, const double *v, const double *a, const double *a1, double *x1,
                                            double *v1, double h, double cx, double cv, double bx, double bv) noexcept nogil
    # v1 = v + (cv a + bv a1).
    void advance_v "mf_advance_v"(ptrdiff_t n, const double *v, const double *a, const double *a1, double *v1, double cv,
                                  double bv) noexcept nogil
    # v(1/2) = v + kick a, x1 = x + h v(1/2); v1 = v(1/2), or v itself.
    void kick_drift "mf_kick_drift"(ptrdiff_t n, const double *x, const double *v, const double *a, double *x1, double *v1, double h,
                                    double kick) noexcept nogil
    bint kick_drift_looked "mf_kick_drift_looked"(ptrdiff_t n, const double *x, const double *v, const double *a, double *x1, double *v1,
                                                  double h, double kick) noexcept nogil
    void half_drift "mf_half_drift"(ptrdiff_t n, const double *x, const double *v, const double *a, double *x1, double *v1, double h,
                                    double kick) noexcept nogil
    # x1 = x + h v, v1 = v.
    void drift "mf_drift"(ptrdiff_t n, const double *x, const double *v, double *x1, double *v1, double h) noexcept nogil
    # x += bx a, v += bv a.
    void correct_both "mf_correct"(ptrdiff_t n, double *x, double *v, const double *a, double bx, double bv) noexcept nogil
    void copied "mf_copy"(ptrdiff_t n, const double *a, double *a1) noexcept nogil


cdef inline void guess(ptrdiff_t n, const double *a, double *a1) noexcept nogil:
    """a1 = a."""
    if a1 != a:
        copied(n, a, a1)


cdef inline void add(ptrdiff_t n, double *y, const double *a, double c) noexcept nogil:
    """y += c a."""
    mf_euler(n, y, y, a, c)


cdef inline void correct(ptrdiff_t n, double *x, double *v, const double *a, double bx, double bv) noexcept nogil:
    """x += bx a, v += bv a."""
    if bx == 0.0:
        add(n, v, a, bv)
    else:
        correct_both(n, x, v, a, bx, bv)


# ---- with a look at the new state ----------------------------------------------------------------------------------------------------

cdef inline bint looks(const mf_frame *f) noexcept nogil:
    """Whether x1 and v1 are to be tested as they are written. Constraints move them afterwards, and an estimate is looked at by the driver."""
    return f.flags & LOOK != 0 and f.err == NULL and not constrained(f)


cdef inline int drift_looked_at(mf_frame *f, const double *a, double kick) noexcept nogil:
    """`kick_drift` from x0 to x1."""
    return looked(f, kick_drift_looked(f.n, f.x0[0], f.x0[1], a, f.x1[0], f.x1[1], f.h, kick))


cdef inline int kick_looked_at(mf_frame *f, double kick) noexcept nogil:
    """v1 += kick a1, which is tested, and with it a1; x1 has been."""
    return looked(f, mf_euler_looked(f.n, f.x1[1], f.x1[1], f.x1[2], kick))


cdef inline int advance_looked_at(mf_frame *f, const double *a, double cx, double cv, double bx, double bv) noexcept nogil:
    """`advance` from x0 to x1, where a1 stands; with v1, as bv is not 0, a1 is tested."""
    return looked(f, advance_looked(f.n, f.x0[0], f.x0[1], a, f.x1[2], f.x1[0], f.x1[1], f.h, cx, cv, bx, bv))
