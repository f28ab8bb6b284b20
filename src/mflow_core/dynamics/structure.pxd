"""Linear dynamics, M x'' + C v + K x = f(t), as a problem for second-order methods."""
from libc.stddef cimport ptrdiff_t

from mflow_core.dynamics.factors cimport structure_t
from mflow_core.dynamics.loads cimport table_t
from mflow_core.problems.problem cimport Problem
from mflow_core.solvers.operators cimport operator_t

cdef int body_solve(structure_t *s, double *b) noexcept nogil
cdef void body_product(structure_t *s, const double *x, double *out) noexcept nogil
cdef double body_work(structure_t *s, const double *x, const double *f) noexcept nogil
cdef int body_forces(structure_t *s, double t, const double *x, const double *v, double *f) noexcept nogil
cdef int body_sum_solve(structure_t *s, double c, double k, double *b) noexcept nogil
cdef int structure_inertia(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n,
                           void *ctx) noexcept nogil
cdef int structure_energy(double t0, const double *const *y0, double t1, const double *const *y1, double *e, ptrdiff_t n,
                          void *ctx) noexcept nogil


cdef class Structure(Problem):
    cdef structure_t s
    cdef table_t table
    cdef void *block
    cdef list arrays                     # keep what the operators point to
    cdef object load_callback, damp_callback, damp_owner, sparse, factorize
    cdef list sparse_factors
    cdef readonly bint symmetric         # M and K are: there is a potential
    cdef void take_rows(self, operator_t *A, array)
    cdef ptrdiff_t room_of(self, int kind)
    cdef int factor_sparse(self, int slot) except -1
    cdef int solve_sparse(self, int slot, double *b) except -1
