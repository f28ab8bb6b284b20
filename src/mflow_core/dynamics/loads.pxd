"""The load of linear dynamics."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

ctypedef int (*load_fn)(double t, double *f, ptrdiff_t n, void *ctx) noexcept nogil


cdef enum:
    LOADS = 4                            # that are kept


ctypedef struct load_t:
    load_fn fun                          # NULL: no load, or a constant one
    void *ctx
    bint constant
    double *f[LOADS]
    double t[LOADS]
    int last, inside                     # the place that was asked for last; that of 2 and 3
    ptrdiff_t n
    int64_t count                        # times asked for


ctypedef struct table_t:                 # a load that is linear between its points
    const double *times
    const double *values                 # a row of n a time; or one number a time, that goes with `pattern`
    const double *pattern
    ptrdiff_t count, at                  # at: where the last time was found


cdef int load_at(load_t *load, double t, const double **f) noexcept nogil
cdef int table_load(double t, double *f, ptrdiff_t n, void *ctx) noexcept nogil
