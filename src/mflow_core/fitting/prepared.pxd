"""Prepared fits of a model to data: see fit.h."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

cimport numpy as cnp

from mflow_core.fitting.point cimport marquardt_t, residuals_fn
from mflow_core.objectives.objective cimport Objective
from mflow_core.objectives.objectives cimport objective_t


cdef extern from "mflow/fit.h":
    int MF_FIT_MAX_NFEV, MF_FIT_STUCK, MF_FIT_UNDETERMINED, MF_FIT_DOUBTFUL
    ctypedef struct mf_fit:
        size_t size
        int (*solve)(mf_fit *s, const double *x, const double *y, const double *sigma, const double *p0, double *p) noexcept nogil
        ptrdiff_t m, n
        double cost
        int64_t nfev, nit
        int ending


ctypedef struct prepared_fit_t:
    mf_fit face                          # first: what hosts see is the address of it
    marquardt_t s
    residuals_fn model                   # the values f(x, p) and their Jacobian; its user data are x
    objective_t curve                    # a curve by its name, in the place of `model`, where it has a record
    const double *x                      # of the call at hand
    const double *y
    const double *sigma
    double xtol
    bint differences
    bint slow                            # an evaluation takes long: signals are due after each
    int gave                             # the code with which the model ended the last call; 0: it did not
    int busy


cdef class PreparedFit:
    cdef prepared_fit_t f
    cdef Objective objective
    cdef object owner
    cdef bint looked
    cdef int proceed(self) except? -1
    cdef int taken(self) except -1
