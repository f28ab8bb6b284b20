"""Loops over one block of lanes: component i of lane l is x[i * WIDTH + l]. One table a level, made by lane_loops.pyx."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.arithmetic.control cimport control_t
from mflow_core.types cimport mf_rhs_lanes_fn


cdef enum:
    WIDTH = 64                           # lanes in a block, whatever their number: 64 doubles are 8 registers of the widest kind


ctypedef struct columns_t:               # what changes in every step of lanes with times of their own: a number of each column
    double[WIDTH] t, t_next, h           # the step at hand; an idle column stands still, with h = 0
    double[WIDTH] t_end, planned         # planned: h before it was shortened to land on t_end
    double[WIDTH] factor                 # h over the last one
    double[WIDTH] size, log_before, cap, h_pressed      # of the lane's control_t, as are the next ones; size: its h
    int64_t[WIDTH] near, after_reject, pressed, steady
    int64_t[WIDTH] live, ends, take, over               # there is a lane; the step at hand is its last, and good; its last was
    int64_t[WIDTH] k                     # steps that were good


ctypedef struct caller_t:                # a callback for lanes, and the times that it is called at
    mf_rhs_lanes_fn rhs
    void *ctx
    ptrdiff_t n
    double *t                            # WIDTH numbers
    const columns_t *of


ctypedef struct lane_loops_t:
    # The callback as right-hand sides of kernels, which know of n WIDTH components; ctx begins with a caller_t. `common_rhs`: all columns
    # have the kernel's time. `own_rhs`: dydt = h[l] f(t[l] + c h[l], y), for a kernel whose time is c and whose h is 1.
    int (*common_rhs)(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil
    int (*own_rhs)(double c, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil
    # now[i][l] = (next[i][l] if take[l] else now[i][l]) * factor[l]; factor NULL: 1
    void (*accept)(ptrdiff_t n, const int64_t *take, const double *factor, const double *next, double *now) noexcept nogil
    # bad[l] += 0 where all x[i][l] are finite, NaN where one is not
    void (*finite)(ptrdiff_t n, const double *x, double *bad) noexcept nogil
    # out[l] = sum_i (e / (atol_i + rtol_i max(|y0|, |y1|)))^2, in the order of i
    void (*error_sums)(ptrdiff_t n, const double *e, const double *y0, const double *y1, const double *rtol, const double *atol,
                       double *out) noexcept nogil
    # y[i][l] = y0[i][l] + sum_k theta[l]^(k+1) D_k[i][l], D_k being ld apart, by Horner's rule
    void (*polynomial)(ptrdiff_t n, ptrdiff_t ld, int degree, const double *theta, const double *y0, const double *D,
                       double *y) noexcept nogil
    # take[l], and the next size, of the lanes whose error is at most 1; others, and those near a bad place, are left to the caller
    void (*take)(columns_t *s, const control_t *rule, bint moves, const double *square) noexcept nogil
    # good lanes go on to t_next
    void (*go_on)(columns_t *s) noexcept nogil
    # h, t_next and factor of the step that every lane tries next
    void (*plan)(columns_t *s, const control_t *rule) noexcept nogil
    # out[l]: squares of the errors from their sums, NaN where bad[l] is; sum3 NULL: there is one estimate
    void (*squares)(const double *sum5, const double *sum3, double per_n, const double *bad, double *out) noexcept nogil
