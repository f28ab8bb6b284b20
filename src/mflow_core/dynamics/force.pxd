"""Nonlinear dynamics, M x'' = F(t, x, v), as a problem for second-order methods."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.dynamics.factors cimport structure_t
from mflow_core.dynamics.structure cimport Structure
from mflow_core.problems.problem cimport Problem
from mflow_core.solvers.newton cimport newton_t
from mflow_core.solvers.solver cimport Solver
from mflow_core.types cimport mf_accel_fn, mf_solve_accel_fn

ctypedef int (*potential_fn)(double t, const double *x, double *value, ptrdiff_t n, void *ctx) noexcept nogil


ctypedef struct parts_t:                 # of F at the ends of a step, for the ledger: F_v = F(t, x, v) - F(t, x, 0), F_x = F(t, x, 0)
    bint uses_v, uses_t                  # there is an F_v to book; F_x is not the slope of the potential alone
    bint known, uncounted                # of_v, of_x are those of (t, x, v); what is asked for after a restore had been counted before it
    double t
    double *x
    double *v
    double *of_v
    double *of_x
    double *next_of_v
    double *next_of_x
    double *nil


ctypedef struct force_t:
    ptrdiff_t n
    mf_accel_fn force                    # F itself, not divided by the mass
    void *ctx
    structure_t *body                    # the mass
    newton_t *newton
    potential_fn potential
    void *potential_ctx
    double w, bx, bv                     # of the equation at hand: a = w M^-1 F(t, xp + bx a, vp + bv a) + q
    double c, k                          # M + c C + k K stands in place of M where the body has springs and dashpots (joined_force.pyx)
    const double *xp
    const double *vp
    double *x                            # the point where F is evaluated
    double *v
    double *r
    double *jx                           # xp and vp where the Jacobian at hand was taken
    double *jv
    mf_solve_accel_fn user_solve         # the user's own, in place of Newton's iteration; NULL: none
    void *user_ctx
    int64_t n_force
    parts_t parts


cdef int book_parts(force_t *p, double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n) noexcept nogil
cdef int force_equation(force_t *p, double t, double w, const double *xp, const double *vp, double bx, double bv, double c, double k, double *a,
                        ptrdiff_t n) noexcept nogil


cdef class Force(Problem):
    cdef force_t f
    cdef void *block
    cdef Structure body
    cdef readonly Solver solver
    cdef object fun, dfdx, dfdv, potential, user, x_view, v_view, out
    cdef tuple args, shape
    cdef double *x_data
    cdef double *v_data
    cdef double *out_data
    cdef bint inplace
    cdef readonly int bits               # the most significant bits of a number that a Python force has returned
    cdef object value(self, double t, const double *x, const double *v)
    cdef int renew(self) except -1
    cdef int point(self, const double *x, const double *v) except -1
    cdef int leave(self) except -1
