"""Residuals that call Python, as C sees them."""
from libc.stddef cimport ptrdiff_t

cimport numpy as cnp

cdef class Calls:
    cdef object fun, jac, checker, jac_checker
    cdef tuple after
    cdef dict kwargs
    cdef readonly object xdata
    cdef cnp.ndarray y, sigma, root      # y: of a model; root: L of a matrix sigma = L L'
    cdef public list seen
    cdef public object watch
    cdef readonly ptrdiff_t m
    cdef readonly ptrdiff_t count        # calls of fun
    cdef ptrdiff_t n
    cdef readonly bint model
    cdef int into(self, object raw, double *r) except -1
    cdef object arguments(self, const double *x)
    cdef void whiten(self, double *r, ptrdiff_t stride) noexcept

cdef int residuals_of_python(const double *x, double *r, double *J, ptrdiff_t m, ptrdiff_t n, void *ctx) except -1
cdef int loss_of_python(const double *f, double *cost, double *root, ptrdiff_t m, void *ctx) except -1
