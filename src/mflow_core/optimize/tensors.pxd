"""The arrays of an optimizer with the vectors carried for each."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

from mflow_core.stepping.descent cimport MAX_VECTORS


ctypedef struct tensor_t:
    double *x[MAX_VECTORS]               # the user's array, then the method's vectors
    const double *g                      # the gradient of the step at hand
    ptrdiff_t n
    int group, n_vec


cdef class Tensors:
    cdef tensor_t *c
    cdef Py_ssize_t count
    cdef ptrdiff_t total                 # numbers of all arrays together
    cdef list arrays, labels
    cdef const double **starts           # of the arrays, sorted, and their ends
    cdef const double **ends
    cdef void *block
    cdef int sort(self) except -1
    cdef int carry(self, str name) except -1
    cdef str label(self, Py_ssize_t i)
    cdef bint shares(self, const double *data, ptrdiff_t n) noexcept
    cdef int take(self, Py_ssize_t i, object g) except -1
    cdef int take_all(self, list gradients) except -1
    cdef list hold(self, list gradients)
    cdef void release(self) noexcept
    cdef int test(self, int64_t k) except -1
    cdef int refuse(self, Py_ssize_t i, ptrdiff_t at, int64_t k, str state) except -1
    cdef bint finite(self) noexcept
    cdef double norm(self) except? -1.0
    cdef double largest(self) noexcept
    cdef double norm_by(self, double unit) except? -1.0
    cdef dict vectors(self, Py_ssize_t i, tuple names)
    cdef int restore(self, Py_ssize_t i, tuple names, dict values) except -1
    cdef int move_rows(self, Py_ssize_t i, const int64_t *rows, ptrdiff_t count, ptrdiff_t width, double *room, bint back) except -1
