"""Sums of the matrices of linear dynamics, and how they are solved with."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t

from mflow_core.dynamics.loads cimport load_t
from mflow_core.methods.second_order.hooks cimport hooks_t
from mflow_core.solvers.operators cimport operator_t, operators_t

cdef operators_t OPERATORS               # products and narrow solves of the active level

ctypedef int (*product_fn)(const double *v, double *out, ptrdiff_t n, void *ctx) noexcept nogil


cdef enum:
    FACTORS = 2                          # M, and the last sum M + c C + k K
    BY_CG = 7                            # kind of a factor that is none, after those of operators.pxd


ctypedef struct factor_t:
    double c, k                          # of M + c C + k K
    int kind                             # of operators.pxd; what it is factored as
    ptrdiff_t lower, upper               # of a band
    bint ready, unit                     # unit: a diagonal of ones
    double *lu
    int32_t *pivots


ctypedef struct structure_t

ctypedef struct structure_t:
    hooks_t hooks                        # first: kernels find them at the problem's ctx
    ptrdiff_t n, lower, upper
    int kind                             # of the widest sum
    operator_t M, C, K
    const double *below                  # of a tridiagonal C, for damping_block of operators.pxd
    load_t load
    factor_t factors[FACTORS]
    int64_t solves, n_factor
    double *room                         # three vectors of scratch
    bint cg                              # sums that are not diagonal are solved by conjugate gradients
    int cg_failed                        # how the last of them failed (conjugate.pxd)
    int64_t n_cg                         # their iterations
    double *cg_room                      # four vectors: the first holds a guess
    product_fn damp                      # C v by a function; NULL: by the matrix
    void *damp_ctx
    double *damped
    int singular                         # the row (from 1) where a matrix was found to be singular
    void *owner                          # the Structure: for sparse factors, which it makes and solves with
    int (*factor_outside)(structure_t *s, int slot) noexcept nogil
    int (*solve_outside)(structure_t *s, int slot, double *b) noexcept nogil


ctypedef struct sum_t:                   # M + c C + k K, not as factored but as given
    structure_t *s
    const factor_t *f


cdef int sum_product(const double *x, double *out, void *ctx) noexcept nogil
cdef int factor(structure_t *s, int slot, double c, double k) noexcept nogil
cdef int apply(structure_t *s, int slot, double *b) noexcept nogil
cdef int first_bad_pivot(const operator_t *A) except -1
cdef int product(structure_t *s, const operator_t *A, double scale, const double *x, double *out) noexcept nogil
