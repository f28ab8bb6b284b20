"""Prepared solvers of y' = f(t, y, args): see ivp.h."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

cimport numpy as cnp

from mflow_core.problems.problem cimport Problem
from mflow_core.registry cimport MethodRecord
from mflow_core.stepping.run cimport run_t
from mflow_core.stepping.watch.past cimport past_t


cdef extern from "mflow/ivp.h":
    ctypedef struct mf_ivp:
        size_t size
        int (*solve)(mf_ivp *s, double t0, double t_end, const double *y0, const double *args, double *y) noexcept nogil
        ptrdiff_t n, n_args
        double t
        int64_t nfev, nsteps, nrejected


ctypedef struct prepared_t:
    mf_ivp face                          # first: what hosts see is the address of it
    run_t *run
    const double *rtol                   # n_tolerances numbers each; NULL: fixed steps
    const double *atol
    ptrdiff_t n_tolerances
    double dt, first_step, max_step, min_step
    int64_t max_steps
    int64_t steps                        # of the call at hand, where they are fixed
    past_t past                          # looks at fixed steps, for calls from Python
    double *looks                        # and their room; NULL: none
    int64_t piece                        # of a loop that looks at signals


cdef class Prepared:
    cdef prepared_t p
    cdef readonly Problem problem
    cdef readonly MethodRecord record
    cdef cnp.ndarray rtol, atol
    cdef int advance(self, double t_end) except? -1
