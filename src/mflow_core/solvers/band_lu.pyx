"""The banded LU of the core for Python: for a sparse matrix whose reordering has a narrow band."""
from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

cimport numpy as cnp

from mflow_core.problems.problem cimport raise_or
from mflow_core.registry cimport kernels
from mflow_core.solvers.complex_lu cimport complex_lu_t
from mflow_core.solvers.linalg cimport linalg_t

import numpy as np

cnp.import_array()

cdef linalg_t LINALG = (<linalg_t *> kernels("solvers.linalg", "_table", b"mflow_core._linalg"))[0]
cdef complex_lu_t COMPLEX = (<complex_lu_t *> kernels("solvers.complex_lu", "_table", b"mflow_core._complex_lu"))[0]


cdef class BandLU:
    """LU with partial pivoting of an n x n matrix that has a band after its rows and columns are reordered.

    order: n numbers; row order[k] of the matrix is row k of the band. lower, upper: subdiagonals and superdiagonals of the band.
    """
    cdef ptrdiff_t n, lower, upper
    cdef cnp.ndarray order, place, lu, pivots, room
    cdef cnp.ndarray at_one, at_jacobian     # where the entries of M and of J stand in `lu`; None: `lay_out` has not been called
    cdef band_t c
    cdef readonly object handle              # for band_solve

    def __init__(self, order, Py_ssize_t lower, Py_ssize_t upper):
        self.order = np.ascontiguousarray(order, dtype=np.int64)
        self.n, self.lower, self.upper = self.order.size, lower, upper
        self.place = np.empty(self.n, dtype=np.int64)
        self.place[self.order] = np.arange(self.n)
        self.lu = np.zeros(self.n * (2 * lower + upper + 1))
        self.pivots = np.zeros(self.n, dtype=np.int32)
        self.room = np.zeros(self.n)
        self.c.owner, self.c.solve = <void *> self, solve_real
        self.handle = PyCapsule_New(&self.c, b"mflow_core.band", NULL)

    cdef cnp.ndarray places(self, rows, columns):
        """Where entries stand in `lu`. Raises ValueError for one outside the matrix or the band."""
        cdef cnp.ndarray i = np.asarray(rows, dtype=np.int64), j = np.asarray(columns, dtype=np.int64)
        if i.size != j.size or i.size and not (0 <= i.min() <= i.max() < self.n and 0 <= j.min() <= j.max() < self.n):
            raise ValueError(f"rows, columns: expected as many of both, from 0 to {self.n - 1}, got others")
        ahead = self.place[j] - self.place[i]
        if i.size and not -self.lower <= ahead.min() <= ahead.max() <= self.upper:
            raise ValueError(f"rows, columns: expected entries inside the band, got one {ahead.max()} places above or {-ahead.min()} below")
        return np.ascontiguousarray(self.place[i] * (2 * self.lower + self.upper + 1) + ahead + self.lower, dtype=np.int64)

    def lay_out(self, one, jacobian):
        """Where the entries of M and of J are, a pair (rows, columns) each without duplicates, for `factor_sum`."""
        self.at_one, self.at_jacobian = self.places(one[0], one[1]), self.places(jacobian[0], jacobian[1])

    cdef int add(self, cnp.ndarray into, one, jacobian, double c) except -1:
        """into = M - c J, or -c J where one is None."""
        cdef cnp.ndarray of_one = cnp.PyArray_FROMANY(() if one is None else one, cnp.NPY_DOUBLE, 1, 1, cnp.NPY_ARRAY_CARRAY_RO)
        cdef cnp.ndarray of_jacobian = cnp.PyArray_FROMANY(jacobian, cnp.NPY_DOUBLE, 1, 1, cnp.NPY_ARRAY_CARRAY_RO)
        cdef const int64_t *at
        cdef const double *a
        cdef double *lu = <double *> cnp.PyArray_DATA(into)
        cdef ptrdiff_t k
        if self.at_one is None or of_jacobian.size != self.at_jacobian.size or one is not None and of_one.size != self.at_one.size:
            raise ValueError("one, jacobian: expected as many values as lay_out has been told of entries, got others")
        memset(lu, 0, into.size * sizeof(double))
        at, a = <const int64_t *> cnp.PyArray_DATA(self.at_one), <const double *> cnp.PyArray_DATA(of_one)
        for k in range(of_one.size):
            lu[at[k]] = a[k]
        at, a = <const int64_t *> cnp.PyArray_DATA(self.at_jacobian), <const double *> cnp.PyArray_DATA(of_jacobian)
        for k in range(of_jacobian.size):
            lu[at[k]] -= c * a[k]
        return 0

    def factor_sum(self, one, jacobian, c):
        """Factor M - c J, or -c J where one is None, from the values of their entries. Return False if it is singular."""
        self.add(self.lu, one, jacobian, c)
        return self.eliminate()

    cdef bint eliminate(self) except -1:
        """Factor what stands in the band; False if it is singular."""
        cdef int status = LINALG.band_factor(self.n, self.lower, self.upper, <double *> cnp.PyArray_DATA(self.lu),
                                             <int32_t *> cnp.PyArray_DATA(self.pivots))
        raise_or(status)                     # of a signal's handler
        return status == 0

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
        self.put(indptr, indices, values, self.lu)
        return self.eliminate()

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

    cdef void solve_in_place(self, double *b) noexcept:
        """b becomes the solution, in the order of the matrix."""
        cdef const int64_t *order = <const int64_t *> cnp.PyArray_DATA(self.order)
        cdef double *x = <double *> cnp.PyArray_DATA(self.room)
        cdef ptrdiff_t k
        for k in range(self.n):
            x[k] = b[order[k]]
        LINALG.band_solve(self.n, self.lower, self.upper, <const double *> cnp.PyArray_DATA(self.lu),
                          <const int32_t *> cnp.PyArray_DATA(self.pivots), x)
        for k in range(self.n):
            b[order[k]] = x[k]

    def solve(self, b):
        """The solution for one right-hand side, in the order of the matrix."""
        cdef cnp.ndarray x = np.array(b, dtype=np.float64, order="C")
        if x.size != self.n:
            raise ValueError(f"b: expected {self.n} numbers, got {x.size}")
        self.solve_in_place(<double *> cnp.PyArray_DATA(x))
        return x


cdef class ComplexBandLU(BandLU):
    """The same of a complex matrix."""
    cdef cnp.ndarray imaginary, imaginary_room

    def __init__(self, order, Py_ssize_t lower, Py_ssize_t upper):
        BandLU.__init__(self, order, lower, upper)
        self.imaginary, self.imaginary_room = np.zeros_like(self.lu), np.zeros(self.n)
        self.c.solve = solve_complex

    def factor(self, indptr, indices, values):
        """Factor a complex matrix in CSR form. Return False if it is singular. Raises ValueError for an entry outside the band."""
        self.put(indptr, indices, np.real(values), self.lu)
        self.put(indptr, indices, np.imag(values), self.imaginary)
        return self.eliminate()

    def factor_sum(self, one, jacobian, c):
        """Factor M - c J, c complex, from the values of their entries. Return False if it is singular."""
        self.add(self.lu, one, jacobian, c.real)
        self.add(self.imaginary, None, jacobian, c.imag)
        return self.eliminate()

    cdef bint eliminate(self) except -1:
        cdef int status = COMPLEX.band_factor(self.n, self.lower, self.upper, <double *> cnp.PyArray_DATA(self.lu),
                                              <double *> cnp.PyArray_DATA(self.imaginary), <int32_t *> cnp.PyArray_DATA(self.pivots))
        raise_or(status)
        return status == 0

    def has_positive_sign(self):
        """TypeError, as the determinant of a complex matrix has no sign."""
        raise TypeError("has_positive_sign: expected the factors of a real matrix, got those of a complex one")

    cdef void solve_pair(self, double *x, double *y) noexcept:
        """x + i y becomes the solution, in the order of the matrix."""
        cdef const int64_t *order = <const int64_t *> cnp.PyArray_DATA(self.order)
        cdef double *u = <double *> cnp.PyArray_DATA(self.room)
        cdef double *v = <double *> cnp.PyArray_DATA(self.imaginary_room)
        cdef ptrdiff_t k
        for k in range(self.n):
            u[k], v[k] = x[order[k]], y[order[k]]
        COMPLEX.band_solve(self.n, self.lower, self.upper, <const double *> cnp.PyArray_DATA(self.lu),
                           <const double *> cnp.PyArray_DATA(self.imaginary), <const int32_t *> cnp.PyArray_DATA(self.pivots), u, v)
        for k in range(self.n):
            x[order[k]], y[order[k]] = u[k], v[k]

    def solve(self, b):
        """The solution for one right-hand side, in the order of the matrix: complex128."""
        cdef cnp.ndarray x = np.array(np.real(b), dtype=np.float64, order="C")
        cdef cnp.ndarray y = np.array(np.imag(b), dtype=np.float64, order="C")
        if x.size != self.n:
            raise ValueError(f"b: expected {self.n} numbers, got {x.size}")
        self.solve_pair(<double *> cnp.PyArray_DATA(x), <double *> cnp.PyArray_DATA(y))
        out = np.empty(self.n, dtype=np.complex128)
        out.real, out.imag = x, y
        return out


cdef void solve_real(void *owner, double *x, double *y) noexcept:
    (<BandLU> owner).solve_in_place(x)


cdef void solve_complex(void *owner, double *x, double *y) noexcept:
    (<ComplexBandLU> owner).solve_pair(x, y)
