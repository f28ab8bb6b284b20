"""The load f(t) of linear dynamics: asked for once a time, and tables of it.

Those at both ends of a step are kept, since the works of the ledger use them, and the last one between: a time inside the step does not
drive its ends away.
"""
from libc.math cimport NAN, fabs


cdef inline bint same_time(double a, double b) noexcept nogil:
    """To rounding: a kernel ends its step at t + dt, the run's grid has t0 + k dt."""
    return a == b or fabs(a - b) <= 8.9e-16 * fabs(a)


cdef int load_at(load_t *load, double t, const double **f) noexcept nogil:
    """f(t), asked for where it is not at hand; NULL: there is none."""
    cdef int status, other = 1 - load.last
    f[0] = NULL
    if load.fun == NULL:
        if load.constant:
            f[0] = load.f[0]
        return 0
    if same_time(t, load.t[load.last]):
        f[0] = load.f[load.last]
        return 0
    if (t - load.t[0]) * (t - load.t[1]) < 0.0 and not same_time(t, load.t[other]):
        other = 2                            # inside the step: both its ends stay
    if not same_time(t, load.t[other]):
        load.t[other] = NAN
        load.count += 1
        status = load.fun(t, load.f[other], load.n, load.ctx)
        if status != 0:
            return status
        load.t[other] = t
    if other != 2:
        load.last = other                    # the next one to be asked for takes the place of the one before
    f[0] = load.f[other]
    return 0


cdef int table_load(double t, double *f, ptrdiff_t n, void *ctx) noexcept nogil:
    """Linear between the points of a table, and its end values beyond them."""
    cdef table_t *table = <table_t *> ctx
    cdef ptrdiff_t lo = 0, hi = table.count - 1, middle, i, k = table.at
    cdef double part = 0.0, value
    cdef const double *a
    cdef const double *b
    if not (table.times[k] <= t and t < table.times[k + 1]):
        if k + 2 < table.count and table.times[k + 1] <= t and t < table.times[k + 2]:
            k += 1
        else:
            while hi - lo > 1:
                middle = (lo + hi) // 2
                if table.times[middle] <= t:
                    lo = middle
                else:
                    hi = middle
            k = lo
    table.at = k
    if t >= table.times[k + 1]:
        part = 1.0
    elif t > table.times[k]:
        part = (t - table.times[k]) / (table.times[k + 1] - table.times[k])
    if table.pattern != NULL:
        value = table.values[k] + part * (table.values[k + 1] - table.values[k])
        for i in range(n):
            f[i] = value * table.pattern[i]
        return 0
    a, b = table.values + k * n, table.values + (k + 1) * n
    for i in range(n):
        f[i] = a[i] + part * (b[i] - a[i])
    return 0
