"""Linear dynamics, M x'' + C v + K x = f(t), as a problem for second-order rows."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t

from mflow_core.operators cimport operator_t
from mflow_core.problem cimport Problem

ctypedef int (*load_fn)(double t, double *f, ptrdiff_t n, void *ctx) noexcept nogil


cdef enum:
    FACTORS = 2                          # M, and the last sum M + c C + k K


ctypedef struct factor_t:
    double c, k                          # of M + c C + k K
    int kind                             # of operators.pxd; what it is factored as
    bint ready, unit                     # unit: a diagonal of ones
    double *lu
    int32_t *pivots


ctypedef struct load_t:
    load_fn fun                          # NULL: no load, or a constant one
    void *ctx
    bint constant
    double *f[3]                         # the loads at the ends of a step, and at the last time asked for between them
    double t[3]
    int last


ctypedef struct table_t:                 # a load that is linear between its points
    const double *times
    const double *values                 # a row of n a time; or one number a time, that goes with `pattern`
    const double *pattern
    ptrdiff_t count, at                  # at: where the last time was found


ctypedef struct structure_t:
    ptrdiff_t n, lower, upper
    int kind                             # of the widest sum
    operator_t M, C, K
    load_t load
    factor_t factors[FACTORS]
    int64_t solves, n_factor, n_load
    double lean                          # gamma - 1/2: how the works of a step are weighted
    double *room                         # three vectors of scratch
    int singular                         # the row (from 1) where a matrix was found to be singular
    void *owner                          # the Structure: for sparse factors


cdef int body_solve(structure_t *s, double *b) noexcept nogil
cdef void body_product(structure_t *s, const double *x, double *out) noexcept nogil
cdef double body_work(structure_t *s, const double *x, const double *f) noexcept nogil


cdef class Structure(Problem):
    cdef structure_t s
    cdef table_t table
    cdef void *block
    cdef list arrays                     # keep what the operators point to
    cdef object load_callback, sparse, factorize
    cdef list sparse_factors
    cdef readonly bint symmetric         # M and K are: there is a potential
    cdef void take_rows(self, operator_t *A, array)
    cdef ptrdiff_t room_of(self, int kind)
    cdef int factor_sparse(self, int slot) except -1
    cdef int solve_sparse(self, int slot, double *b) except -1
