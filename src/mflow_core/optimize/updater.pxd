"""An optimizer bound to arrays."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.registry cimport MethodRecord
from mflow_core.types cimport mf_method, mf_sizes


cdef enum:
    MAX_VECTORS = 8
    MAX_SCALARS = 8
    MAX_COEFFICIENTS = 24
    MAX_PARAMETERS = 24


ctypedef struct tensor_t:
    double *x[MAX_VECTORS]              # the user's array, then the row's vectors
    const double *g
    ptrdiff_t n
    int group


ctypedef struct group_t:
    double[MAX_PARAMETERS] par
    double[MAX_COEFFICIENTS] coef
    double[MAX_SCALARS] scal
    double sign                          # -1: maximize
    mf_sizes sizes


cdef class Updater:
    cdef readonly MethodRecord record
    cdef const mf_method *m
    cdef tensor_t *tensors
    cdef const double **starts           # of the parameter arrays, sorted, and their ends
    cdef const double **ends
    cdef int lr_index
    cdef group_t *groups
    cdef Py_ssize_t n_tensors, n_groups
    cdef ptrdiff_t total
    cdef void *block
    cdef int64_t k
    cdef int64_t known                   # the step count that the groups' coefficients belong to; -1: none
    cdef list arrays, bound, schedules
    cdef bint scheduled
    cdef int busy
    cdef public bint check_finite
    cdef double max_norm
    cdef int take(self, Py_ssize_t i, object g) except -1
    cdef int idle(self) except -1
    cdef int group_index(self, Py_ssize_t g) except -1
    cdef list views(self, grads)
    cdef int take_list(self, list flat) except -1
    cdef int test(self) except -1
    cdef int refuse(self, Py_ssize_t i, ptrdiff_t at, int64_t step, str state) except -1
    cdef double norm(self) except? -1.0
    cdef bint shares(self, const double *data, ptrdiff_t n)
    cdef int advance(self, double scale) except -1
