"""The parameter arrays of an optimizer, the vectors that its method carries for each, and the gradients of the step at hand.

The arrays are the user's. The vectors of all of them lie in one allocation, each on a cache line of its own. A gradient is a pointer
into an array of the user's: whoever takes gradients keeps their arrays alive, and releases the gradients when the step is done.
"""
from cpython.list cimport PyList_GET_ITEM
from libc.math cimport INFINITY, sqrt
from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.arithmetic.vec cimport first_non_finite
from mflow_core.registry cimport REDUCE

import numpy as np

from mflow_core.optimize.arrays import checked, shared_array

cnp.import_array()

cdef object np_ndarray = np.ndarray


cdef ptrdiff_t padded(ptrdiff_t n) noexcept:
    return (n + 7) // 8 * 8


cdef class Tensors:
    """Arrays of parameters. The list of a group's arrays follows that of the group before it. labels: how messages name the gradient of each.

    Raises ValueError where two of the arrays share memory.
    """

    def __cinit__(self, list members, list labels):
        cdef Py_ssize_t i = 0
        self.arrays = [array for group in members for array in group]
        self.count, self.labels = len(self.arrays), labels
        self.c = <tensor_t *> calloc(max(self.count, 1), sizeof(tensor_t))
        self.starts = <const double **> calloc(2 * max(self.count, 1), sizeof(double *))
        if self.c == NULL or self.starts == NULL:
            raise MemoryError()
        self.ends = self.starts + self.count
        for g, group in enumerate(members):
            for array in group:
                self.c[i].n, self.c[i].group, self.c[i].n_vec = array.size, g, 1
                self.c[i].x[0] = <double *> cnp.PyArray_DATA(array)
                self.total += array.size
                i += 1
        self.sort()

    def __dealloc__(self):
        free(self.c)
        free(self.starts)
        free(self.block)

    cdef int sort(self) except -1:
        """Finds where the arrays lie, in the order of their addresses."""
        cdef Py_ssize_t i, place
        spans = sorted([(<size_t> self.c[i].x[0], self.c[i].n, i) for i in range(self.count) if self.c[i].n > 0])
        for place, (_, _, i) in enumerate(spans):
            self.starts[place] = self.c[i].x[0]
            self.ends[place] = self.c[i].x[0] + self.c[i].n
            if place and self.ends[place - 1] > self.starts[place]:
                raise ValueError(f"params: expected arrays that share no memory, got arrays {spans[place - 1][2]} and {i} that do; one "
                                 "number would be updated twice a step")
        for i in range(len(spans), self.count):              # empty arrays lie nowhere
            self.starts[i] = self.ends[i] = <const double *> ~<size_t> 0
        return 0

    cdef int carry(self, str name) except -1:
        """Makes room for the vectors of every array: n_vec of them, the array itself among these, all zero."""
        cdef Py_ssize_t i
        cdef ptrdiff_t room = 8, place
        cdef double *at
        cdef int j
        cdef tensor_t *tensor
        for i in range(self.count):
            tensor = &self.c[i]
            room += (tensor.n_vec - 1) * (padded(tensor.n) + (512 if tensor.n >= 512 else 0))
        self.block = mf_zeros(room, sizeof(double))
        if self.block == NULL:
            raise MemoryError(f"{name}: no memory for the vectors of {self.total} parameters")
        at = <double *> ((<uintptr_t> self.block + 63) // 64 * 64)
        for i in range(self.count):
            tensor = &self.c[i]
            for j in range(1, tensor.n_vec):
                if tensor.n >= 512:
                    # Loads that lie a multiple of 4096 bytes behind a recent store wait for it: start each long vector at a place
                    # of its own, 3, 5 and 7 eighths of a page behind the parameters. Gradients begin where these do, most often.
                    place = <ptrdiff_t> ((<uintptr_t> tensor.x[0] // 64 * 64 - <uintptr_t> at) // 8 % 512)
                    at += (64 + 128 * j + place) % 512
                tensor.x[j] = at
                at += padded(tensor.n)
        return 0

    # ---- gradients ----

    cdef str label(self, Py_ssize_t i):
        return self.labels[i]

    cdef bint shares(self, const double *data, ptrdiff_t n) noexcept:
        """Whether [data, data + n) meets any parameter array; their starts are sorted."""
        cdef Py_ssize_t low = 0, high = self.count, middle
        if n == 0:
            return False
        while low < high:                # the first array that ends behind data
            middle = (low + high) // 2
            if self.ends[middle] <= data:
                low = middle + 1
            else:
                high = middle
        return low < self.count and self.starts[low] < data + n

    cdef int take(self, Py_ssize_t i, object g) except -1:
        """Points array i at its gradient. The caller keeps g alive."""
        cdef tensor_t *tensor = &self.c[i]
        cdef cnp.ndarray a, c
        cdef double *data
        if type(g) is np_ndarray:
            a, c = <cnp.ndarray> g, <cnp.ndarray> self.arrays[i]
            if (cnp.PyArray_TYPE(a) == cnp.NPY_DOUBLE and cnp.PyArray_ISCARRAY_RO(a) and cnp.PyArray_NDIM(a) == cnp.PyArray_NDIM(c)
                    and (cnp.PyArray_DIM(a, 0) == tensor.n if cnp.PyArray_NDIM(a) == 1 else cnp.PyArray_SAMESHAPE(a, c))):
                data = <double *> cnp.PyArray_DATA(a)
                if self.shares(data, tensor.n):
                    raise ValueError(f"{self.label(i)}: expected memory of its own, got a gradient that shares memory with parameters, "
                                     "which change while it is read; pass a copy")
                tensor.g = data
                return 0
        checked(g, self.label(i), False)
        raise ValueError(f"{self.label(i)}: expected shape {self.arrays[i].shape} as the parameters have, got {g.shape}")

    cdef int take_all(self, list gradients) except -1:
        """All gradients, or an error and none. Their number has been checked."""
        cdef Py_ssize_t i
        try:
            for i in range(self.count):
                self.take(i, <object> PyList_GET_ITEM(gradients, i))
        except BaseException:
            self.release()
            raise
        return 0

    cdef list hold(self, list gradients):
        """Takes the gradients; returns the list that keeps their arrays alive, whatever happens to the user's."""
        cdef Py_ssize_t i
        cdef list held = list(gradients)
        if len(held) != self.count:
            raise ValueError(f"g: expected {self.count} gradients, one for each parameter array, got {len(held)}")
        for i in range(self.count):
            if type(held[i]) is not np_ndarray:
                held[i] = shared_array(held[i], self.label(i))
        self.take_all(held)
        return held

    cdef void release(self) noexcept:
        """Forgets the gradients: the caller may free their arrays."""
        if self.count:
            self.c[0].g = NULL

    cdef int test(self, int64_t k) except -1:
        """Scans all gradients: 1 where one is so large that its square may overflow, else 0. Raises FloatingPointError at the first number
        that is not finite."""
        cdef Py_ssize_t i
        cdef int wild = 0
        for i in range(self.count):
            if not REDUCE.all_tame(self.c[i].g, self.c[i].n):
                wild = 1
                if not REDUCE.all_finite(self.c[i].g, self.c[i].n):
                    self.refuse(i, first_non_finite(self.c[i].g, self.c[i].n), k, "nothing was changed")
        return wild

    cdef bint finite(self) noexcept:
        """Whether all gradients are finite."""
        cdef Py_ssize_t i
        for i in range(self.count):
            if not REDUCE.all_finite(self.c[i].g, self.c[i].n):
                return False
        return True

    cdef int refuse(self, Py_ssize_t i, ptrdiff_t at, int64_t k, str state) except -1:
        cdef double value = self.c[i].g[at]
        index = tuple(int(j) for j in np.unravel_index(at, self.arrays[i].shape))
        raise FloatingPointError(f"{self.label(i)}{list(index)} = {value} at step {k}: {state}. Look for the cause in the cost "
                                 "function or lower lr; check_finite=False turns this test off")

    cdef double norm(self) except? -1.0:
        """Euclidean norm of all gradients, in fixed order: the same bits everywhere."""
        cdef Py_ssize_t i
        cdef double total = 0.0, largest
        for i in range(self.count):
            total += REDUCE.sum_of_squares(self.c[i].g, self.c[i].n)
        if total < INFINITY or total != total:
            return sqrt(total)
        largest = self.largest()             # squares overflow, or an entry is infinite
        return largest * self.norm_by(largest) if largest < INFINITY else largest

    cdef double largest(self) noexcept:
        """The largest magnitude of all gradients."""
        cdef Py_ssize_t i
        cdef double out = 0.0
        for i in range(self.count):
            out = max(out, REDUCE.max_abs(self.c[i].g, self.c[i].n))
        return out

    cdef double norm_by(self, double unit) except? -1.0:
        """The norm in multiples of `unit`."""
        cdef Py_ssize_t i
        cdef double scaled = 0.0
        for i in range(self.count):
            part = np.empty(self.c[i].n)
            memcpy(<double *> cnp.PyArray_DATA(<cnp.ndarray> part), self.c[i].g, self.c[i].n * sizeof(double))
            part /= unit
            scaled += REDUCE.sum_of_squares(<double *> cnp.PyArray_DATA(<cnp.ndarray> part), self.c[i].n)
        return sqrt(scaled)

    # ---- the carried vectors ----

    cdef dict vectors(self, Py_ssize_t i, tuple names):
        """Copies of the vectors carried for array i, by name."""
        cdef tensor_t *tensor
        cdef int j
        if not 0 <= i < self.count:
            raise IndexError(f"array {i} of {self.count}")
        tensor = &self.c[i]
        out = {}
        for j in range(1, tensor.n_vec):
            copy = np.empty(self.arrays[i].shape)
            memcpy(<double *> cnp.PyArray_DATA(<cnp.ndarray> copy), tensor.x[j], tensor.n * sizeof(double))
            out[names[j]] = copy
        return out

    cdef int restore(self, Py_ssize_t i, tuple names, dict values) except -1:
        """Puts back what `vectors` gave; the shapes have been checked."""
        cdef int j
        for j in range(1, self.c[i].n_vec):
            if names[j] in values:
                memcpy(self.c[i].x[j], <double *> cnp.PyArray_DATA(<cnp.ndarray> values[names[j]]), self.c[i].n * sizeof(double))
        return 0

    # ---- rows ----

    cdef int move_rows(self, Py_ssize_t i, const int64_t *rows, ptrdiff_t count, ptrdiff_t width, double *room, bint back) except -1:
        """Copies rows of array i and of its vectors into `room`, vector by vector; or back. A row is `width` numbers."""
        cdef tensor_t *tensor = &self.c[i]
        cdef ptrdiff_t r
        cdef int j
        with nogil:
            for j in range(tensor.n_vec):
                for r in range(count):
                    if back:
                        memcpy(tensor.x[j] + rows[r] * width, room + (j * count + r) * width, width * sizeof(double))
                    else:
                        memcpy(room + (j * count + r) * width, tensor.x[j] + rows[r] * width, width * sizeof(double))
        return 0
