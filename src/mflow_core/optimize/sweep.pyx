"""Sweeps over samples, for the driver of implicit SGD.

`Samples` binds arrays of rows and labels once, with the checks that keep memory safe; `Learner` owns weights, sums and scalars of one
method and loss, and sweeps samples in any order, without the GIL, in portions between which Ctrl-C is heard. What a learner has learned
does not depend on the portions. `loss_map` and `losses` open the tables of losses to the driver and, level by level, to tests.
"""
from cpython.exc cimport PyErr_CheckSignals
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.memory cimport mf_zeros
from mflow_core.arithmetic.vec cimport mf_bits, mf_fp_enter, mf_fp_leave
from mflow_core.methods.losses cimport loss_t, toward_zero
from mflow_core.owner cimport mf_give, mf_take
from mflow_core.registry cimport MethodRecord, kernels, mf_sizes_of
from mflow_core.types cimport mf_loss, mf_new_sweep, mf_sizes, mf_sweep

import numpy as np

from mflow_core import registry
from mflow_core.optimize.arrays import checked
from mflow_core.registry import unknown

cnp.import_array()

NON_FINITE = -1005                       # MF_E_NON_FINITE
NOT_SOLVED = -1010                       # MF_E_SOLVE: no certified root, for x.w or gamma |x|^2 is beyond the range of the losses

cdef enum:
    PORTION = 4_000_000                  # numbers of X between looks at signals
    MAX_SCALARS = 16


# ---- losses -------------------------------------------------------------------------------------------------------------------------

cdef const loss_t **table_of(str level) except NULL:
    return <const loss_t **> kernels("methods.implicit_sgd", "_losses", b"mflow_core._losses", level or registry.LEVEL)


cdef const loss_t *loss_of(str name, str level) except NULL:
    cdef const loss_t **table = table_of(level)
    cdef int i = 0
    known = []
    while table[i] != NULL:
        known.append(table[i].name.decode())
        if known[i] == name:
            return table[i]
        i += 1
    raise ValueError(unknown("loss: there is no", name, known))


def losses():
    """{name: (labels, formula, index of `shape` among the method's parameters or -1)} of every loss."""
    cdef const loss_t **table = table_of(None)
    cdef int i = 0
    out = {}
    while table[i] != NULL:
        out[table[i].name.decode()] = (table[i].labels.decode(), table[i].formula.decode(), table[i].parameter)
        i += 1
    return out


def bad_label(name, cnp.ndarray y):
    """Index of the first label that is not in the loss's domain; -1: there is none."""
    cdef const loss_t *loss = loss_of(str(name), None)
    cdef const double *label = <const double *> cnp.PyArray_DATA(checked(y, "y", False))
    cdef ptrdiff_t i
    for i in range(cnp.PyArray_SIZE(y)):
        if not loss.allows(label[i]):
            return i
    return -1


def loss_map(name, str function, t, y, g=0.0, double shape=0.0, str level=None):
    """One function of a loss, elementwise over arrays of one shape: "value", "curvature", "slopes", "root" or "flow".

    slopes gives (low, high); root and flow give (t at the end, (s - t)/g). `shape` is delta or tau.
    """
    cdef const loss_t *loss = loss_of(str(name), level)
    t, y, g = (np.ascontiguousarray(a, dtype=np.float64) for a in np.broadcast_arrays(t, y, g))
    first, second = np.empty_like(t), np.empty_like(t)
    cdef const double *T = <const double *> cnp.PyArray_DATA(t)
    cdef const double *Y = <const double *> cnp.PyArray_DATA(y)
    cdef const double *G = <const double *> cnp.PyArray_DATA(g)
    cdef double *out = <double *> cnp.PyArray_DATA(first)
    cdef double *more = <double *> cnp.PyArray_DATA(second)
    cdef ptrdiff_t i, n = cnp.PyArray_SIZE(t)
    cdef unsigned int mode = mf_fp_enter()
    if function == "value":
        for i in range(n):
            out[i] = loss.value(T[i], Y[i], shape)
    elif function == "curvature":
        for i in range(n):
            out[i] = loss.curvature(T[i], Y[i], shape)
    elif function == "slopes":
        for i in range(n):
            loss.slopes(T[i], Y[i], shape, &out[i], &more[i])
    elif function == "root":
        for i in range(n):
            out[i] = loss.root(T[i], Y[i], G[i], shape, &more[i])
    elif function == "flow":
        for i in range(n):
            out[i] = loss.flow(T[i], Y[i], G[i], shape, &more[i])
    else:
        mf_fp_leave(mode)
        raise ValueError(f"function: expected value, curvature, slopes, root or flow, got {function!r}")
    mf_fp_leave(mode)
    return first if function in ("value", "curvature") else (first, second)


# ---- samples ------------------------------------------------------------------------------------------------------------------------

cdef whole_numbers(array, str argument, dtype):
    if not isinstance(array, np.ndarray) or array.dtype != dtype or not array.flags.c_contiguous or array.ndim != 1:
        raise TypeError(f"{argument}: expected a contiguous array of {np.dtype(dtype)} with one dimension")
    return array


cdef class Samples:
    """Rows of numbers, a label each, and perhaps a weight each; dense, or `csr` = (indptr int64, indices int32, values float64)."""

    def __init__(self, X, y, weight=None, n=None):
        self.owners = (X, y, weight)
        if isinstance(X, tuple):
            indptr, indices, values = X
            whole_numbers(indptr, "indptr", np.int64)
            whole_numbers(indices, "indices", np.int32)
            checked(values, "values", False)
            self.n, self.rows = n, len(indptr) - 1
            if self.rows < 0 or indptr[0] != 0 or indptr[self.rows] > min(len(indices), len(values)) or np.any(np.diff(indptr) < 0):
                raise ValueError("indptr: expected numbers that rise from 0 to the number of entries")
            if len(indices) and (indices.min() < 0 or indices.max() >= n):
                raise ValueError(f"indices: expected columns from 0 to {n - 1}, got one outside")
            self.indptr = <const int64_t *> cnp.PyArray_DATA(indptr)
            self.indices = <const int32_t *> cnp.PyArray_DATA(indices)
            self.values = <const double *> cnp.PyArray_DATA(values)
            self.entries = len(indices)
        else:
            checked(X, "X", False)
            if X.ndim != 2:
                raise ValueError(f"X: expected two dimensions, got shape {X.shape}")
            self.rows, self.n = X.shape
            self.X = <const double *> cnp.PyArray_DATA(X)
            self.entries = self.rows * self.n
        for array, argument in ((y, "y"), (weight, "sample_weight")):
            if array is not None and checked(array, argument, False).shape != (self.rows,):
                raise ValueError(f"{argument}: expected shape ({self.rows},), got {array.shape}")
        self.label = <const double *> cnp.PyArray_DATA(y)
        self.weight = <const double *> cnp.PyArray_DATA(weight) if weight is not None else NULL

    def __len__(self):
        return self.rows

    def keys(self):
        """A uint64 a row, equal for equal rows and labels, dense or sparse (entries of a sparse row in any order; zeros do not count)."""
        out = np.empty(self.rows, dtype=np.uint64)
        cdef uint64_t *key = <uint64_t *> cnp.PyArray_DATA(out)
        cdef ptrdiff_t i, j, portion = max(1, PORTION // max(1, self.entries // max(1, self.rows)))
        for i in range(self.rows):
            if i % portion == portion - 1:
                PyErr_CheckSignals()
            key[i] = mixed(self.label[i], self.n)
            if self.X != NULL:
                for j in range(self.n):
                    key[i] += mixed(self.X[i * self.n + j], j)
            else:
                for j in range(self.indptr[i], self.indptr[i + 1]):
                    key[i] += mixed(self.values[j], self.indices[j])
        return out

    def equal(self, a, b):
        """Whether rows a[i] and b[i] and their labels are equal, for each i; sparse rows entry by entry, as they are stored."""
        whole_numbers(a, "a", np.int64)
        whole_numbers(b, "b", np.int64)
        if len(a) != len(b) or len(a) and not 0 <= min(a.min(), b.min()) <= max(a.max(), b.max()) < self.rows:
            raise ValueError(f"a, b: expected two lists of equal length with rows from 0 to {self.rows - 1}")
        out = np.empty(len(a), dtype=np.bool_)
        cdef uint8_t *same = <uint8_t *> cnp.PyArray_DATA(out)
        cdef const int64_t *one = <const int64_t *> cnp.PyArray_DATA(a)
        cdef const int64_t *other = <const int64_t *> cnp.PyArray_DATA(b)
        cdef ptrdiff_t i, count = len(a), portion = max(1, PORTION // max(1, self.entries // max(1, self.rows)))
        for i in range(count):
            if i % portion == portion - 1:
                PyErr_CheckSignals()
            same[i] = self.label[one[i]] == self.label[other[i]] and self.same_row(one[i], other[i])
        return out

    cdef bint same_row(self, ptrdiff_t a, ptrdiff_t b) noexcept nogil:
        cdef ptrdiff_t j, count = self.n
        cdef const double *one
        cdef const double *other
        if self.X != NULL:
            one, other = self.X + a * self.n, self.X + b * self.n
        else:
            count = self.indptr[a + 1] - self.indptr[a]
            if self.indptr[b + 1] - self.indptr[b] != count:
                return False
            for j in range(count):
                if self.indices[self.indptr[a] + j] != self.indices[self.indptr[b] + j]:
                    return False
            one, other = self.values + self.indptr[a], self.values + self.indptr[b]
        for j in range(count):
            if one[j] != other[j]:
                return False
        return True


cdef inline uint64_t mixed(double value, ptrdiff_t place) noexcept nogil:
    """Well-mixed bits of a number and its place (the finaliser of splitmix64); 0 for 0."""
    cdef uint64_t z = mf_bits(value) ^ (<uint64_t> (place + 1) * <uint64_t> 0x9E3779B97F4A7C15)
    z = (z ^ (z >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t> 0x94D049BB133111EB
    return (z ^ (z >> 31)) * <uint64_t> (value != 0.0)


# ---- the learner --------------------------------------------------------------------------------------------------------------------

cdef class Learner:
    """Weights that a sweep method learns for one loss: `parameters` by the method's names as numbers, n columns."""

    def __cinit__(self, MethodRecord record not None, dict parameters not None, loss not None, ptrdiff_t n):
        cdef mf_sizes sizes
        cdef int j
        if record.m.sweep == NULL:
            raise TypeError(f"method: expected one that sweeps over samples, got {record.name}")
        self.record, self.parameters, self.loss, self.n = record, dict(parameters), str(loss), n
        self.par = record.parameters(parameters)
        self.functions = loss_of(self.loss, record.level)
        if mf_sizes_of(record.m, self.par, &sizes) != 0:
            raise ValueError("flow: expected another than 'exact' with an L2 penalty; set l2 = 0, or take another flow")
        if n < 0 or sizes.n_scal > MAX_SCALARS:
            raise ValueError(f"n: expected a number of columns of at least 0, got {n}")
        self.n_vec, self.n_scal = sizes.n_vec, sizes.n_scal
        self.block = <double *> mf_zeros(max(<size_t> (self.n_vec * n), 1), sizeof(double))
        if self.block == NULL:
            raise MemoryError()
        for j in range(self.n_vec):
            self.x[j] = self.block + j * n

    def __dealloc__(self):
        free(self.block)
        free(self.par)

    def sweep(self, Samples samples not None, order=None, ptrdiff_t first=0, ptrdiff_t count=-1):
        """Learns samples order[first : first + count], order None: in sequence. Returns 0, NON_FINITE where x.w left the numbers, or NOT_SOLVED."""
        cdef ptrdiff_t last = len(samples) if order is None else len(order), portion, here
        cdef const int64_t *at = NULL
        cdef mf_sweep s = mf_new_sweep()
        cdef unsigned int mode
        cdef int status = 0
        if samples.n != self.n:
            raise ValueError(f"X: expected {self.n} columns, one for each weight, got {samples.n}")
        if order is not None:
            whole_numbers(order, "order", np.int64)
            if len(order) and (order.min() < 0 or order.max() >= samples.rows):
                raise ValueError(f"order: expected indices from 0 to {samples.rows - 1}, got one outside")
            at = <const int64_t *> cnp.PyArray_DATA(order)
        last = last if count < 0 else first + count
        if not 0 <= first <= last or last > (len(samples) if order is None else len(order)):
            raise ValueError(f"first, count: expected a range inside the samples, got {first} and {count}")
        portion = max(1, PORTION // max(1, samples.entries // max(1, samples.rows)))
        if not mf_take(&self.owner):
            raise RuntimeError("this learner is in use in another thread (or was when this process was forked): give each its own")
        s.n, s.rows, s.ldx = self.n, samples.rows, samples.n
        s.X, s.indptr, s.indices, s.values = samples.X, samples.indptr, samples.indices, samples.values
        s.label, s.weight, s.loss, s.x, s.scal = samples.label, samples.weight, <const mf_loss *> self.functions, self.x, self.scal
        s.worst_phi = self.worst_phi
        try:
            while first < last and status == 0:
                here = min(portion, last - first)
                with nogil:
                    mode = mf_fp_enter()
                    if at != NULL:
                        s.order, s.count = at + first, here
                    else:
                        s.count = here
                        shift(&s, samples, first)
                    status = self.record.m.sweep(self.record.m, self.par, &s)
                    mf_fp_leave(mode)
                self.worst_phi = s.worst_phi
                first += here
                PyErr_CheckSignals()
        finally:
            mf_give(&self.owner)
        return status

    cdef tuple read(self, bint mean):
        """(w, b): the weights as they stand, or the mean of the iterates."""
        cdef ptrdiff_t j
        cdef double scale = self.scal[4] if self.scal[4] != 0.0 else 1.0, total = self.scal[5], count = self.scal[3]
        out = np.empty(self.n)
        cdef double *w = <double *> cnp.PyArray_DATA(out)
        if self.n_vec == 4 and self.scal[6] != 0.0:          # what l1 is behind with, on sparse rows
            for j in range(self.n):
                w[j] = scale * toward_zero(self.x[0][j], self.scal[6] - self.x[3][j])
            return out, self.scal[0]
        if not mean or self.n_vec == 1 or count == 0.0:
            for j in range(self.n):
                w[j] = scale * self.x[0][j]
            return out, self.scal[0]
        for j in range(self.n):
            w[j] = (self.x[1][j] + self.x[0][j] * (total - self.x[2][j])) / count
        return out, self.scal[1] / count

    @property
    def last(self):
        """(w, b) as they stand."""
        return self.read(False)

    @property
    def mean(self):
        """(w, b), the mean of the iterates where the method averages and has begun to; otherwise as they stand."""
        return self.read(True)

    @property
    def count(self):
        """Samples learned so far, those of weight 0 left out."""
        return <int64_t> self.scal[2]

    def set_weights(self, cnp.ndarray w not None, double b):
        """Starts anew from these weights; nothing is averaged or counted yet."""
        if checked(w, "w", False).shape != (self.n,):
            raise ValueError(f"w: expected shape ({self.n},), got {np.shape(w)}")
        cdef ptrdiff_t j
        for j in range(self.n_vec * self.n):
            self.block[j] = 0.0
        for j in range(MAX_SCALARS):
            self.scal[j] = 0.0
        memcpy(self.block, cnp.PyArray_DATA(w), self.n * sizeof(double))
        self.scal[0], self.worst_phi = b, 0.0

    def state(self):
        """All that it has learned, as an array of float64: vectors, scalars, the worst phi."""
        out = np.empty(self.n_vec * self.n + self.n_scal + 1)
        cdef double *to = <double *> cnp.PyArray_DATA(out)
        memcpy(to, self.block, self.n_vec * self.n * sizeof(double))
        memcpy(to + self.n_vec * self.n, self.scal, self.n_scal * sizeof(double))
        to[self.n_vec * self.n + self.n_scal] = self.worst_phi
        return out

    def set_state(self, cnp.ndarray state not None):
        """Goes on from what `state` gave, to the same bits."""
        cdef ptrdiff_t size = self.n_vec * self.n
        if checked(state, "state", False).shape != (size + self.n_scal + 1,):
            raise ValueError(f"state: expected shape ({size + self.n_scal + 1},), got {np.shape(state)}")
        cdef const double *saved = <const double *> cnp.PyArray_DATA(state)
        memcpy(self.block, saved, size * sizeof(double))
        memcpy(self.scal, saved + size, self.n_scal * sizeof(double))
        self.worst_phi = saved[size + self.n_scal]

    def __reduce__(self):
        return remake, (self.record, self.parameters, self.loss, self.n, self.state())


def remake(record, parameters, loss, n, state):
    """A pickled learner again."""
    learner = Learner(record, parameters, loss, n)
    learner.set_state(state)
    return learner


cdef void shift(mf_sweep *s, Samples samples, ptrdiff_t first) noexcept nogil:
    """Samples in sequence from `first` on, as a table of its own."""
    if samples.X != NULL:
        s.X = samples.X + first * samples.n
    else:
        s.indptr = samples.indptr + first
    s.label = samples.label + first
    s.weight = samples.weight + first if samples.weight != NULL else NULL
