"""Samples and learners: the Python face of methods that sweep over samples."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t

from mflow_core.methods.losses cimport loss_t
from mflow_core.registry cimport MethodRecord


cdef class Samples:
    cdef tuple owners                    # keeps the arrays alive
    cdef ptrdiff_t n, rows, entries
    cdef const double *X
    cdef const int64_t *indptr
    cdef const int32_t *indices
    cdef const double *values
    cdef const double *label
    cdef const double *weight
    cdef bint same_row(self, ptrdiff_t a, ptrdiff_t b) noexcept nogil


cdef class Learner:
    cdef readonly MethodRecord record
    cdef readonly dict parameters
    cdef readonly str loss
    cdef readonly ptrdiff_t n
    cdef readonly double worst_phi       # largest |phi(t)| of a backward step so far: a bound on every root's error
    cdef const loss_t *functions         # those of the loss
    cdef double *par
    cdef double *block
    cdef double *x[4]
    cdef double[16] scal
    cdef int n_vec, n_scal
    cdef int owner
    cdef tuple read(self, bint mean)
