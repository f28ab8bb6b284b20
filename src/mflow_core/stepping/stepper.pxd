"""The run as Python sees it."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

cimport numpy as cnp

from mflow_core.problems.problem cimport Problem
from mflow_core.registry cimport MethodRecord
from mflow_core.solvers.solver cimport Solver
from mflow_core.stepping.rows cimport Rows
from mflow_core.stepping.run cimport run_t


cdef class Run:
    cdef run_t *r
    cdef readonly MethodRecord record
    cdef readonly Problem problem
    cdef readonly Solver solver
    cdef bint compiled                   # no Python anywhere: loops release the GIL
    cdef readonly tuple shape
    cdef ptrdiff_t watched               # numbers that events see: y, or x and v
    cdef tuple bounds                    # arrays that a descent is projected onto, or None
    cdef int64_t piece                   # steps of the next piece of a paced loop
    cdef run_t *other(self) noexcept     # of two methods in legs the one that waits; else NULL
    cdef bytes problem_state(self)
    cdef int go(self, int64_t count, double t_last, Rows rows, double dt, bint adaptive, bint paced, const double *h,
                const double *ends) except? -1
    cdef void change_dt(self, double dt) noexcept
    cdef int pointers(self, cnp.ndarray y, cnp.ndarray v, const double **state) except -1


cdef int raise_or(int status) except? -1
cdef copy_of(const double *x, ptrdiff_t n, tuple shape)
