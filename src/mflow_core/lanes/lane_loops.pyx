"""Loops over one block of lanes, compiled once per instruction set: the work of lane_steps.pyx between the steps of a method.

    x[i * WIDTH + l]         component i of lane l

Every loop is elementwise over l and runs i in order, so a lane's bits depend on its own numbers alone: not on its place in the block,
on its neighbours, or on the width of a register.
"""
from cpython.pycapsule cimport PyCapsule_New
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint64_t

from mflow_core.arithmetic.control cimport after_good, control_t, planned_step, scaled, two_errors
from mflow_core.arithmetic.vec cimport mf_bits, mf_cvec, mf_from_bits, mf_vec
from mflow_core.lanes.lane_loops cimport WIDTH, caller_t, columns_t, lane_loops_t


# ---- adapters: the callback for lanes as a right-hand side ------------------------------------------------------------------------------

cdef int common_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef const caller_t *call = <const caller_t *> ctx
    cdef mf_vec at = call.t
    cdef int col
    for col in range(WIDTH):                 # even where it is t already: to ask would be a branch that cannot be foreseen
        at[col] = t
    return call.rhs(at, y, dydt, call.n, WIDTH, call.ctx)


cdef int own_rhs(double c, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef const caller_t *call = <const caller_t *> ctx
    cdef mf_cvec t = call.of.t
    cdef mf_cvec h = call.of.h
    cdef mf_vec at = call.t
    cdef mf_vec slope
    cdef ptrdiff_t i
    cdef int col, status
    for col in range(WIDTH):
        at[col] = t[col] + c * h[col]
    status = call.rhs(at, y, dydt, call.n, WIDTH, call.ctx)
    for i in range(call.n):
        slope = dydt + i * WIDTH
        for col in range(WIDTH):
            slope[col] = slope[col] * h[col]
    return status


# ---- loops ------------------------------------------------------------------------------------------------------------------------------

cdef void accept(ptrdiff_t n, const int64_t *take, const double *factor, const double *next, double *now) noexcept nogil:
    cdef ptrdiff_t i
    cdef int col
    cdef mf_cvec by = factor
    cdef mf_cvec b
    cdef mf_vec a
    cdef double u, v
    for i in range(n):
        a = now + i * WIDTH
        b = next + i * WIDTH
        if factor == NULL:
            for col in range(WIDTH):
                u = a[col]
                v = b[col]
                a[col] = v if take[col] else u
        else:
            for col in range(WIDTH):
                u = a[col]
                v = b[col]
                a[col] = (v if take[col] else u) * by[col]


cdef void finite(ptrdiff_t n, const double *x, double *bad) noexcept nogil:
    cdef ptrdiff_t i
    cdef int col
    cdef mf_vec sum = bad
    cdef mf_cvec a
    for i in range(n):
        a = x + i * WIDTH
        for col in range(WIDTH):
            sum[col] = sum[col] + (a[col] - a[col])


cdef void error_sums(ptrdiff_t n, const double *e, const double *y0, const double *y1, const double *rtol, const double *atol,
                     double *out) noexcept nogil:
    cdef ptrdiff_t i
    cdef int col
    cdef mf_vec sum = out
    cdef const double *d
    cdef const double *a
    cdef const double *b
    cdef double s, r, c
    for col in range(WIDTH):
        sum[col] = 0.0
    for i in range(n):
        d = e + i * WIDTH
        a = y0 + i * WIDTH
        b = y1 + i * WIDTH
        r = rtol[i]
        c = atol[i]
        for col in range(WIDTH):
            s = scaled(d[col], a[col], b[col], r, c)
            sum[col] = sum[col] + s * s


cdef void polynomial(ptrdiff_t n, ptrdiff_t ld, int degree, const double *theta, const double *y0, const double *D,
                     double *y) noexcept nogil:
    cdef ptrdiff_t i
    cdef int k, col
    cdef double[WIDTH] s
    cdef mf_cvec by = theta
    cdef mf_cvec d
    cdef mf_cvec a
    cdef mf_vec out
    for i in range(n):
        d = D + (degree - 1) * ld + i * WIDTH
        for col in range(WIDTH):
            s[col] = d[col]
        for k in range(degree - 2, -1, -1):
            d = D + k * ld + i * WIDTH
            for col in range(WIDTH):
                s[col] = d[col] + by[col] * s[col]
        a = y0 + i * WIDTH
        out = y + i * WIDTH
        for col in range(WIDTH):
            out[col] = a[col] + by[col] * s[col]


# ---- error control: the rules of control.pxd for every column at once -----------------------------------------------------------------

cdef void squares(const double *sum5, const double *sum3, double per_n, const double *bad, double *out) noexcept nogil:
    cdef int col
    cdef mf_cvec a = sum5
    cdef mf_cvec b = sum3
    cdef mf_cvec c = bad
    cdef mf_vec to = out
    if sum3 == NULL:
        for col in range(WIDTH):
            to[col] = a[col] * per_n + c[col]
    else:
        for col in range(WIDTH):
            to[col] = two_errors(a[col], b[col], per_n) + c[col]


cdef inline uint64_t either_of(uint64_t ok, uint64_t a, uint64_t b) noexcept nogil:
    """a if ok, which is 0 or 1, else b: by its bits, since many choices by one condition would become a branch."""
    return (a & (0 - ok)) | (b & (ok - 1))


cdef inline double either(uint64_t ok, double a, double b) noexcept nogil:
    return mf_from_bits(either_of(ok, mf_bits(a), mf_bits(b)))


cdef void take(columns_t *s, const control_t *rule, bint moves, const double *square) noexcept nogil:
    cdef control_t c, old                # of one column, in registers
    cdef double per_q = rule.per_q, h
    cdef int64_t ok, still = not moves
    cdef int col
    for col in range(WIDTH):
        c.per_q, c.predicts, c.near = per_q, False, 0
        old.h, old.log_before, old.h_pressed = s.size[col], s.log_before[col], s.h_pressed[col]
        old.after_reject, old.pressed, old.steady = s.after_reject[col], s.pressed[col], s.steady[col]
        c.h, c.log_before, c.h_pressed = old.h, old.log_before, old.h_pressed
        c.after_reject, c.pressed, c.steady = old.after_reject, old.pressed, old.steady
        h = s.h[col]
        after_good(&c, square[col], h, s.planned[col])
        ok = s.live[col] & <int64_t> (square[col] <= 1.0) & <int64_t> (s.near[col] == 0)
        ok &= <int64_t> (s.t_next[col] != s.t[col]) | s.ends[col] | still
        s.take[col] = ok
        s.size[col], s.log_before[col] = either(ok, c.h, old.h), either(ok, c.log_before, old.log_before)
        s.h_pressed[col] = either(ok, c.h_pressed, old.h_pressed)
        s.after_reject[col], s.pressed[col] = either_of(ok, c.after_reject, old.after_reject), either_of(ok, c.pressed, old.pressed)
        s.steady[col] = either_of(ok, c.steady, old.steady)


cdef void go_on(columns_t *s) noexcept nogil:
    cdef double t, t_next
    cdef int64_t good
    cdef int col
    for col in range(WIDTH):
        t, t_next, good = s.t[col], s.t_next[col], s.take[col]
        s.t[col] = t_next if good else t
        s.k[col] = s.k[col] + good
        s.over[col] = good & s.ends[col]


cdef void plan(columns_t *s, const control_t *rule) noexcept nogil:
    cdef control_t c
    cdef double h, t_next, rest, before
    cdef bint ends, goes
    cdef int col
    c.max_step, c.min_step = rule.max_step, rule.min_step
    for col in range(WIDTH):
        c.h, c.near, c.cap = s.size[col], s.near[col], s.cap[col]
        before = s.h[col]
        h = planned_step(&c, s.t[col])
        s.planned[col] = h
        rest = s.t_end[col] - s.t[col]
        t_next = s.t[col] + h
        ends = t_next >= s.t_end[col] if h > 0.0 else t_next <= s.t_end[col]
        goes = s.live[col] != 0
        s.ends[col] = ends
        h = rest if ends else h
        t_next = s.t_end[col] if ends else t_next
        h = h if goes else 0.0
        s.h[col] = h
        s.t_next[col] = t_next if goes else s.t[col]
        s.factor[col] = h / before if goes else 1.0


cdef lane_loops_t TABLE
TABLE.common_rhs, TABLE.own_rhs = common_rhs, own_rhs
TABLE.accept, TABLE.finite, TABLE.error_sums, TABLE.polynomial = accept, finite, error_sums, polynomial
TABLE.squares, TABLE.take, TABLE.go_on, TABLE.plan = squares, take, go_on, plan

_table = PyCapsule_New(&TABLE, b"mflow_core._lane_loops", NULL)
