"""Loops over one block of lanes: component i of lane l is x[i * WIDTH + l]. One table a level, made by lane_loops.pyx."""
from libc.stddef cimport ptrdiff_t


cdef enum:
    WIDTH = 64                           # lanes in a block, whatever their number: 64 doubles are 8 registers of the widest kind


ctypedef struct lane_loops_t:
    # out[l] = value
    void (*fill)(double value, double *out) noexcept nogil
    # out[l] = t[l] + c h[l]
    void (*times)(double c, const double *t, const double *h, double *out) noexcept nogil
    # x[i][l] *= factor[l]
    void (*scale)(ptrdiff_t n, const double *factor, double *x) noexcept nogil
    # now[i][l] = (next[i][l] if take[l] != 0 else now[i][l]) * factor[l]; factor NULL: 1
    void (*accept)(ptrdiff_t n, const double *take, const double *factor, const double *next, double *now) noexcept nogil
    # bad[l] += 0 where all x[i][l] are finite, NaN where one is not
    void (*finite)(ptrdiff_t n, const double *x, double *bad) noexcept nogil
    # out[l] = sum_i (e / (atol_i + rtol_i max(|y0|, |y1|)))^2, in the order of i
    void (*error_sums)(ptrdiff_t n, const double *e, const double *y0, const double *y1, const double *rtol, const double *atol,
                       double *out) noexcept nogil
    # y[i][l] = y0[i][l] + sum_k theta[l]^(k+1) D_k[i][l], D_k being ld apart, by Horner's rule
    void (*polynomial)(ptrdiff_t n, ptrdiff_t ld, int degree, const double *theta, const double *y0, const double *D,
                       double *y) noexcept nogil
