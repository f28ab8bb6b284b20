"""The solver of a run as Python sees it."""
from mflow_core.problems.problem cimport Problem
from mflow_core.solvers.matrix cimport matrix_t
from mflow_core.solvers.newton cimport newton_config_t, newton_t
from mflow_core.solvers.stages.mass cimport mass_t
from mflow_core.types cimport mf_jac_fn, mf_problem


cdef class Solver:
    """A configuration of mflow.nonlinear, and the newton_t of the run that holds it."""
    cdef newton_config_t config
    cdef newton_t *c
    cdef object group, indptr, indices, sparse, columns, rows, left
    cdef mass_t mass
    cdef readonly object mass_at         # a Python function of t, where mass depends on it
    cdef Problem problem                 # of `bind`
    cdef Problem rhs_t                   # its right-hand side is df/dt; None: differences
    cdef public int probes               # calls of the user's Jacobian before the run
    cdef bint held                       # by a run, for good: no other run may attach it or solve with it
    cdef readonly bint python            # factors or evaluates J in Python
    cdef newton_t *attach(self, const mf_problem *inner, mf_jac_fn jac, void *jac_ctx) except NULL


cdef int sparse_pair_factor(matrix_t *m, double re, double im) noexcept nogil
cdef int sparse_pair_solve(matrix_t *m, double *x, double *y) noexcept nogil
