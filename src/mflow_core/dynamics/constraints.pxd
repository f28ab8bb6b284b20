"""Constraints g(x) = 0 on a motion: projections of drifts, multipliers of implicit equations."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t

from mflow_core.dynamics.factors cimport structure_t
from mflow_core.methods.second_order.hooks cimport hooks_t
from mflow_core.types cimport mf_problem

ctypedef int (*constraint_fn)(const double *x, double *out, ptrdiff_t n, void *ctx) noexcept nogil


ctypedef struct constraint_t:
    hooks_t hooks                        # first: kernels find them at the problem's ctx
    mf_problem inner                     # the forces, without the constraints
    structure_t *body                    # the mass
    ptrdiff_t n, m
    constraint_fn g                      # m numbers
    constraint_fn jac                    # G, m x n by rows
    void *g_ctx
    void *jac_ctx
    bint whole                           # `accel` has the forces of the constraints
    bint differenced                     # G is made of differences of g
    bint known                           # G, W and L are those of `at`
    double *at
    double *G                            # m x n
    double *W                            # m x n, rows M^-1 G_j
    double *L                            # m x m: Cholesky's factor of G W'
    double *G1                           # of another point
    double *A1                           # m x m, LU
    double *J                            # m x m: how the residual of an implicit step answers multipliers; and its LU
    double *J_lu
    int32_t *pivots
    int32_t *J_pivots
    double w, bx, bv                     # of J
    bint J_ready
    double *value                        # m numbers each
    double *lam
    double *change
    double *x                            # n numbers each
    double *q
    double *a
    int failed                           # how the last solve failed: 0, or 1 + the constraint that depends on others, or -1: no convergence
    int64_t n_g, n_jac


cdef double dot(ptrdiff_t n, const double *a, const double *b) noexcept nogil
cdef double largest(ptrdiff_t n, const double *x) noexcept nogil
cdef int values_at(constraint_t *c, const double *x) noexcept nogil
cdef int gradients_at(constraint_t *c, const double *x, double *G) noexcept nogil
cdef int moved(double h, const double *x0, double *x1, double *v1, ptrdiff_t n, void *ctx) noexcept nogil
cdef int ended(double t, const double *x1, double *v1, double *a1, ptrdiff_t n, void *ctx) noexcept nogil
cdef int on_constraints(constraint_t *c, double t, const double *x, const double *v, double *a) noexcept nogil
cdef int constrained_accel(double t, const double *x, const double *v, double *a, ptrdiff_t n, void *ctx) noexcept nogil
cdef int constrained_solve(double t, double w, const double *xp, const double *vp, double bx, double bv, const double *q, double *a, ptrdiff_t n,
                           void *ctx) noexcept nogil
cdef int constrained_energy(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n, void *ctx) noexcept nogil
