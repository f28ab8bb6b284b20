"""The load f(t) of linear dynamics: asked for once a time, and tables of it.

Those at both ends of a step are kept in places 0 and 1, since the works of the ledger use them, and the last two between in places 2 and 3:
a time inside the step does not drive its ends away.
"""
from libc.math cimport NAN, fabs


cdef inline bint same_time(double a, double b) noexcept nogil:
    """To rounding: a kernel ends its step at t + dt, the run's grid has t0 + k dt."""
    return a == b or fabs(a - b) <= 8.9e-16 * fabs(a)


cdef inline int place_for(const load_t *load, double t) noexcept nogil:
    """Where a load that is not at hand goes: never where the last one that was asked for is."""
    cdef int far
    if (t - load.t[0]) * (t - load.t[1]) < 0.0:
        return 5 - load.inside if load.last == load.inside else load.inside
    far = 0 if load.t[0] != load.t[0] or fabs(t - load.t[0]) > fabs(t - load.t[1]) else 1
    return 1 - far if far == load.last else far


cdef int load_at(load_t *load, double t, const double **f) noexcept nogil:
    """f(t), asked for where it is not at hand; NULL: there is none."""
    cdef int status, j = load.last
    f[0] = NULL
    if load.fun == NULL:
        if load.constant:
            f[0] = load.f[0]
        return 0
    if not same_time(t, load.t[j]):
        for j in range(LOADS):
            if same_time(t, load.t[j]):
                break
        else:
            j = place_for(load, t)
            load.t[j] = NAN
            load.count += 1
            status = load.fun(t, load.f[j], load.n, load.ctx)
            if status != 0:
                return status
            load.t[j] = t
        load.last = j
        if j >= 2:
            load.inside = j
    f[0] = load.f[j]
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
