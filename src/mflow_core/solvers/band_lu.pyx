"""The banded LU of the core for Python: for a sparse matrix whose reordering has a narrow band."""
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

cimport numpy as cnp

from mflow_core.problems.problem cimport raise_or
from mflow_core.registry cimport kernels
from mflow_core.solvers.complex_lu cimport complex_lu_t
from mflow_core.solvers.matrix cimport LINALG

import numpy as np

cnp.import_array()

cdef complex_lu_t COMPLEX = (<complex_lu_t *> kernels("solvers.complex_lu", "_table", b"mflow_core._complex_lu"))[0]


cdef class BandLU:
    """LU with partial pivoting of an n x n matrix that has a band after its rows and columns are reordered.

    order: n numbers; row order[k] of the matrix is row k of the band. lower, upper: subdiagonals and superdiagonals of the band.
    """
    cdef ptrdiff_t n, lower, upper
    cdef cnp.ndarray order, place, lu, pivots

    def __init__(self, order, Py_ssize_t lower, Py_ssize_t upper):
        self.order = np.ascontiguousarray(order, dtype=np.int64)
        self.n, self.lower, self.upper = self.order.size, lower, upper
        self.place = np.empty(self.n, dtype=np.int64)
        self.place[self.order] = np.arange(self.n)
        self.lu = np.zeros(self.n * (2 * lower + upper + 1))
        self.pivots = np.zeros(self.n, dtype=np.int32)

    cdef int put(self, indptr, indices, values, cnp.ndarray into) except -1:
        """Write a matrix in CSR form to the band. Raises ValueError for an entry outside of it."""
        cdef cnp.ndarray start = np.ascontiguousarray(indptr, dtype=np.int64), column = np.ascontiguousarray(indices, dtype=np.int64)
        cdef cnp.ndarray value = np.ascontiguousarray(values, dtype=np.float64)
        cdef const int64_t *s = <const int64_t *> cnp.PyArray_DATA(start)
        cdef const int64_t *c = <const int64_t *> cnp.PyArray_DATA(column)
        cdef const double *a = <const double *> cnp.PyArray_DATA(value)
        cdef const int64_t *place = <const int64_t *> cnp.PyArray_DATA(self.place)
        cdef double *lu = <double *> cnp.PyArray_DATA(into)
        cdef ptrdiff_t width = 2 * self.lower + self.upper + 1, i, k, p, q
        if start.size != self.n + 1 or column.size != value.size or start[self.n] != value.size:
            raise ValueError(f"indptr, indices, values: expected a matrix of {self.n} rows in CSR form, got {start.size} row pointers, "
                             f"{column.size} columns and {value.size} values")
        if start.size and (start[0] < 0 or np.any(np.diff(start) < 0)) or column.size and not 0 <= column.min() <= column.max() < self.n:
            raise ValueError(f"indptr, indices: expected row pointers that rise from 0, and columns from 0 to {self.n - 1}, got others")
        memset(lu, 0, self.n * width * sizeof(double))
        for i in range(self.n):
            p = place[i]
            for k in range(s[i], s[i + 1]):
                q = place[c[k]]
                if not -self.lower <= q - p <= self.upper:
                    raise ValueError(f"indices: expected entries inside the band, got one at ({i}, {c[k]})")
                lu[p * width + q - p + self.lower] += a[k]
        return 0

    def factor(self, indptr, indices, values):
        """Factor a matrix in CSR form. Return False if it is singular. Raises ValueError for an entry outside the band."""
        cdef int status
        self.put(indptr, indices, values, self.lu)
        status = LINALG.band_factor(self.n, self.lower, self.upper, <double *> cnp.PyArray_DATA(self.lu),
                                    <int32_t *> cnp.PyArray_DATA(self.pivots))
        raise_or(status)                     # of a signal's handler
        return status == 0

    def has_positive_sign(self):
        """Whether the determinant of what was factored last is above 0. An order that is the same for rows and columns does not change it."""
        cdef const double *lu = <const double *> cnp.PyArray_DATA(self.lu)
        cdef const int32_t *pivots = <const int32_t *> cnp.PyArray_DATA(self.pivots)
        cdef ptrdiff_t width = 2 * self.lower + self.upper + 1, k
        cdef int changes = 0
        for k in range(self.n):
            changes += (lu[k * width + self.lower] < 0.0) + (pivots[k] != k)
        return changes % 2 == 0

    def is_turned(self):
        """Whether a pivot is below 0 or rows were exchanged."""
        cdef const double *lu = <const double *> cnp.PyArray_DATA(self.lu)
        cdef const int32_t *pivots = <const int32_t *> cnp.PyArray_DATA(self.pivots)
        cdef ptrdiff_t width = 2 * self.lower + self.upper + 1, k
        for k in range(self.n):
            if lu[k * width + self.lower] < 0.0 or pivots[k] != k:
                return True
        return False

    def solve(self, b):
        """The solution for one right-hand side, in the order of the matrix."""
        cdef cnp.ndarray x = np.asarray(b, dtype=np.float64)[self.order]
        LINALG.band_solve(self.n, self.lower, self.upper, <const double *> cnp.PyArray_DATA(self.lu),
                          <const int32_t *> cnp.PyArray_DATA(self.pivots), <double *> cnp.PyArray_DATA(x))
        out = np.empty(self.n)
        out[self.order] = x
        return out


cdef class ComplexBandLU(BandLU):
    """The same of a complex matrix."""
    cdef cnp.ndarray imaginary

    def __init__(self, order, Py_ssize_t lower, Py_ssize_t upper):
        BandLU.__init__(self, order, lower, upper)
        self.imaginary = np.zeros_like(self.lu)

    def factor(self, indptr, indices, values):
        """Factor a complex matrix in CSR form. Return False if it is singular. Raises ValueError for an entry outside the band."""
        cdef int status
        self.put(indptr, indices, np.real(values), self.lu)
        self.put(indptr, indices, np.imag(values), self.imaginary)
        status = COMPLEX.band_factor(self.n, self.lower, self.upper, <double *> cnp.PyArray_DATA(self.lu),
                                     <double *> cnp.PyArray_DATA(self.imaginary), <int32_t *> cnp.PyArray_DATA(self.pivots))
        raise_or(status)
        return status == 0

    def has_positive_sign(self):
        """A complex determinant has none."""
        raise TypeError("has_positive_sign: expected the factors of a real matrix, got those of a complex one")

    def solve(self, b):
        """The solution for one right-hand side, in the order of the matrix: complex128."""
        cdef cnp.ndarray x = np.ascontiguousarray(np.real(b)[self.order], dtype=np.float64)
        cdef cnp.ndarray y = np.ascontiguousarray(np.imag(b)[self.order], dtype=np.float64)
        COMPLEX.band_solve(self.n, self.lower, self.upper, <const double *> cnp.PyArray_DATA(self.lu),
                           <const double *> cnp.PyArray_DATA(self.imaginary), <const int32_t *> cnp.PyArray_DATA(self.pivots),
                           <double *> cnp.PyArray_DATA(x), <double *> cnp.PyArray_DATA(y))
        out = np.empty(self.n, dtype=np.complex128)
        out.real[self.order] = x
        out.imag[self.order] = y
        return out
