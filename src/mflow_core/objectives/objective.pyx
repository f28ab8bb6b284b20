"""Compiled objectives for Python: the records of all modules of objectives, and one class for all.

An `Objective` is called like a function, or passed to drivers as `fun`: they get its compiled functions by `compiled_address` and run
without the GIL. It keeps its arrays alive, and an evaluation writes nothing to it, so threads may share one.
"""
from libc.math cimport NAN
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset, strcmp

cimport numpy as cnp

from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.objectives.objectives cimport (MAX_CLASSES, MAX_UNKNOWNS, OBJECTIVE_LABELLED, OBJECTIVE_LIBM, OBJECTIVE_SETS,
                                               OBJECTIVE_SMALL, OBJECTIVE_SQUARES, objective_record_t, objective_t)
from mflow_core.registry cimport kernels
from mflow_core.types cimport MF_E_MEMORY

import numpy as np

from mflow_core.problems.signatures import HESSIAN_SIGNATURE, OBJECTIVE_SIGNATURE, RHS_SIGNATURE
from mflow_core.problems.sparse import (SparseRows, check_indices, check_pointers, check_unmasked, is_sparse, plain_array,
                                         sparse_rows)
from mflow_core.registry import LEVEL, unknown

cnp.import_array()

MODULES = ("objectives_plain", "objectives_linear", "objectives_nist", "objectives_mgh", "objectives_curves")      # a new one: here and in meson.build
ONCE = ("objectives_nist", "objectives_mgh")                                                                        # not by level
MOST_CLASSES = MAX_CLASSES

cdef enum:
    MAX_RECORDS = 128
    SMALL = 20000                        # up to this many numbers of data the GIL is kept

cdef const objective_record_t *RECORDS[MAX_RECORDS + 1]


cdef int join(const objective_record_t **joined, str level) except -1:
    cdef const objective_record_t **part
    cdef int count = 0
    for name in MODULES:
        part = <const objective_record_t **> kernels(f"objectives.{name}", "_records", b"mflow_core._objectives",
                                                      "" if name in ONCE else level)
        while part[0] != NULL:
            if count == MAX_RECORDS:
                raise ImportError(f"mflow_core: expected at most {MAX_RECORDS} objectives, got more; raise MAX_RECORDS")
            joined[count] = part[0]
            count += 1
            part += 1
    joined[count] = NULL
    return count


join(RECORDS, LEVEL)


cdef const objective_record_t *find_objective(const char *name) noexcept nogil:
    cdef int i = 0
    while RECORDS[i] != NULL:
        if strcmp(RECORDS[i].name, name) == 0:
            return RECORDS[i]
        i += 1
    return NULL


FLAGS = {"libm": OBJECTIVE_LIBM, "labelled": OBJECTIVE_LABELLED, "squares": OBJECTIVE_SQUARES, "sets": OBJECTIVE_SETS,
         "small": OBJECTIVE_SMALL}


def records():
    """(name, family, formula, labels, reference, flags) of every objective."""
    cdef int i = 0
    out = []
    while RECORDS[i] != NULL:
        flags = [name for name, bit in FLAGS.items() if RECORDS[i].flags & bit]
        out.append((RECORDS[i].name.decode(), RECORDS[i].family.decode(), RECORDS[i].formula.decode(), RECORDS[i].labels.decode(),
                    RECORDS[i].reference.decode(), frozenset(flags)))
        i += 1
    return out


# ---- functions that the drivers call besides those of the record --------------------------------------------------------------------

cdef int descent_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    """The gradient flow y' = -grad f(y)."""
    cdef int status = (<const objective_t *> ctx).record.value_grad(y, NULL, dydt, n, ctx)
    cdef ptrdiff_t i
    for i in range(n):
        dydt[i] = -dydt[i]
    return status


cdef int hessian(const double *x, double *hess, ptrdiff_t n, void *ctx) noexcept nogil:
    """H, n x n, from n products, and made exactly symmetric. It allocates, as the solvers that use it do."""
    cdef const objective_t *o = <const objective_t *> ctx
    cdef double *unit = <double *> calloc(n, sizeof(double))
    cdef ptrdiff_t i, j
    cdef int status = 0
    if unit == NULL:
        return MF_E_MEMORY
    for i in range(n):
        unit[i] = 1.0
        status = o.record.hessp(x, unit, hess + i * n, n, ctx)
        unit[i] = 0.0
        if status != 0:
            break
    free(unit)
    for i in range(n):
        for j in range(i):
            hess[i * n + j] = hess[j * n + i] = 0.5 * (hess[i * n + j] + hess[j * n + i])
    return status


cdef int flow_jacobian(double t, const double *y, double *jac, ptrdiff_t n, void *ctx) noexcept nogil:
    cdef int status = hessian(y, jac, n, ctx)
    cdef ptrdiff_t i
    for i in range(n * n):
        jac[i] = -jac[i]
    return status


# ---- the class ----------------------------------------------------------------------------------------------------------------------

cdef cnp.ndarray numbers(value, str argument):
    """A C-contiguous float64 array of finite numbers; `value` itself if it is one already."""
    check_unmasked(value, argument)
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{argument}: expected an array, got rows of different lengths") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{argument}: expected real numbers, got dtype {array.dtype}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    if not np.isfinite(array).all():
        bad = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{argument}: expected finite numbers, got {array[bad]} at entry {bad}")
    return array


cdef int check_labels(const objective_record_t *record, cnp.ndarray y) except -1:
    cdef double *at = <double *> cnp.PyArray_DATA(y)
    cdef ptrdiff_t i
    if record.allows != NULL:
        for i in range(cnp.PyArray_SIZE(y)):
            if not record.allows(at[i]):
                raise ValueError(f"y: expected {record.labels.decode()} for {record.name.decode()}, got {at[i]:g} at entry {i}")
    return 0


cdef cnp.ndarray mean_one(cnp.ndarray weights, ptrdiff_t rows):
    """Nonnegative weights, one for each row, divided by their mean: a weight of 2 counts a row twice, in minibatches as well."""
    if cnp.PyArray_NDIM(weights) != 1 or cnp.PyArray_SIZE(weights) != rows:
        raise ValueError(f"weights: expected shape ({rows},), got {(<object> weights).shape}")
    least, most = (<object> weights).min(), (<object> weights).max()
    if least < 0.0 or most == 0.0:
        raise ValueError(f"weights: expected numbers from 0 on, not all 0, got {least:g} to {most:g}")
    return weights / (<object> weights).mean()


cdef cnp.ndarray indices(idx, ptrdiff_t rows):
    """An index set as a C-contiguous int64 array. idx: whole numbers from 0 to rows - 1, or a mask of `rows` truth values."""
    array = plain_array(idx, "idx")
    if array.dtype.kind == "b" and array.shape == (rows,):
        array = np.flatnonzero(array)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(f"idx: expected whole numbers in one dimension, or {rows} truth values, got shape {array.shape} and dtype "
                        f"{array.dtype}")
    if not array.size:
        raise ValueError("idx: expected at least one row, got none")
    if array.min() < 0 or array.max() >= rows:
        raise ValueError(f"idx: expected rows from 0 to {rows - 1}, got {array.min() if array.min() < 0 else array.max()}")
    return np.array(array, dtype=np.int64, order="C")


cdef class Objective:
    """A compiled cost: value, gradient and Hessian-vector product without Python.

    Pass it to `mflow.minimize`, `gradient_flow`, `line_search` or `Stepper` in place of a function; they run it without the GIL. The
    classes and functions of `mflow.objectives` make it.

    See Also
    --------
    mflow.objectives.Quadratic, mflow.objectives.Logistic, mflow.objectives.mgh

    Examples
    --------
    >>> import mflow
    >>> f = mflow.objectives.Rosenbrock(2)
    >>> isinstance(f, mflow.objectives.Objective), f([1.0, 1.0]), f.grad([1.0, 1.0])
    (True, 0.0, array([0., 0.]))
    """

    def __cinit__(self, *args, **kwargs):
        memset(&self.c, 0, sizeof(objective_t))

    def fill(self, name, shape, x0, X=None, y=None, weights=None, double l2=0.0, double delta=0.0, double factor=1.0,
             Py_ssize_t n_classes=0, bint intercept=False, Py_ssize_t rows=0):
        """Set the data, after all checks but those of shapes that only the caller knows. X: (rows, columns), for regressions a sparse matrix
        too, or its SparseRows; y: one label for each row."""
        cdef bytes encoded = str(name).encode()
        cdef const objective_record_t *record = find_objective(encoded)
        cdef ptrdiff_t n = 1
        if record == NULL:
            raise ValueError(unknown("objective: expected a known name, got", name, [one[0] for one in records()]))
        if self.c.record != NULL:
            raise TypeError("objective: expected a new one, got one that has its data already; make a new one")
        for length in shape:
            n *= length
        if n < 1:
            raise ValueError(f"{name}: expected at least one unknown, got {n}")
        if record.flags & OBJECTIVE_SMALL and n > MAX_UNKNOWNS:
            raise ValueError(f"{name}: expected at most {MAX_UNKNOWNS} unknowns, got {n}")
        self.shape, self.x0_ = tuple(shape), x0
        if is_sparse(X) or isinstance(X, SparseRows):
            self.take_rows(X)
        elif X is not None:
            self.X_ = numbers(X, "X")
            self.c.X = <double *> cnp.PyArray_DATA(self.X_)
            self.c.rows = self.X_.shape[0]
            self.c.columns = self.c.ldx = self.X_.shape[1] if self.X_.ndim > 1 else 1
        if y is not None:
            self.y_ = numbers(y, "y")
            check_labels(record, self.y_)
            self.c.y = <double *> cnp.PyArray_DATA(self.y_)
        if weights is not None:
            self.weight_ = mean_one(numbers(weights, "weights"), self.c.rows)
            self.c.weight = <double *> cnp.PyArray_DATA(self.weight_)
        self.c.rows = self.c.count = rows or self.c.rows
        self.c.n, self.c.l2, self.c.shape, self.c.factor = n, l2, delta, factor
        self.c.classes, self.c.intercept = n_classes, intercept
        self.c.record = record

    cdef int take_rows(self, X) except -1:
        """Sparse rows: values are shared where they are float64, indices never, so that nobody changes them after the look at them."""
        values, columns, pointers, count = sparse_rows(X, "X") if is_sparse(X) else X
        values, columns, pointers = numbers(values, "X"), np.array(columns, dtype=np.int32), np.array(pointers, dtype=np.int64)
        check_pointers(pointers, "X", pointers.size - 1, min(columns.size, values.size))
        check_indices(columns, "X", "indices", count)
        self.X_ = SparseRows(values, columns, pointers, count)
        self.c.X = <double *> cnp.PyArray_DATA(<cnp.ndarray> values)
        self.c.at, self.c.first = <int32_t *> cnp.PyArray_DATA(columns), <int64_t *> cnp.PyArray_DATA(pointers)
        self.c.rows, self.c.columns, self.c.ldx = pointers.size - 1, count, 0
        return 0

    cdef int same_data(self, Objective other) except -1:
        """Copy the struct of the other and share its arrays."""
        if other.c.record == NULL:
            raise TypeError(f"{type(other).__name__}: expected an object with its data, got one whose __init__ did not run")
        self.c = other.c
        self.shape, self.x0_ = other.shape, other.x0_
        self.X_, self.y_, self.weight_, self.order_ = other.X_, other.y_, other.weight_, other.order_
        return 0

    def batch(self, idx):
        """The same cost over the rows `idx` only: a minibatch that shares the data. Repeated rows count repeatedly.

        idx: numbers of rows of the whole data, or a mask of truth values, one for each row. Raises TypeError or ValueError if it is empty
        or out of range.
        """
        cdef Objective out
        if not self.c.record.flags & OBJECTIVE_SETS:
            raise TypeError(f"batch: expected an objective over rows of data, got {self.name}, which has none")
        out = type(self).__new__(type(self))
        out.same_data(self)
        if hasattr(self, "__dict__"):
            out.__dict__.update(self.__dict__)
        out.order_ = indices(idx, self.c.rows)
        out.c.order, out.c.count = <int64_t *> cnp.PyArray_DATA(out.order_), out.order_.size
        return out

    data_names = ("X", "y")              # names of the arrays X_ and y_ in the class that makes it

    def data_for_batch(self, dict given, Py_ssize_t count):
        """Arrays (count, *shape) in place of X and y, a set for each member; None if not given. The keys of `given` are data_names."""
        out = [None, None]
        for name, value in given.items():
            if name not in self.data_names:
                raise TypeError(unknown("batch_data: expected the name of an array of data, got", name, list(self.data_names)))
            place = self.data_names.index(name)
            data = (self.X_, self.y_)[place]
            if data is None or isinstance(data, SparseRows):
                kind = "one without" if data is None else "one whose rows are sparse"
                raise ValueError(f"batch_data: expected an objective with {name}, an array, got {kind}; omit batch_data[{name!r}]")
            array = <object> numbers(value, name)
            if array.shape != (count, *data.shape):
                raise ValueError(f"batch_data: expected {name} of shape {(count, *data.shape)}, a set for each of {count} members, "
                                 f"got shape {array.shape}")
            out[place] = array
        if out[1] is not None:
            check_labels(self.c.record, out[1])
            if self.c.classes and out[1].size and out[1].max() >= self.c.classes:
                raise ValueError(f"batch_data: expected classes from 0 to {self.c.classes - 1}, got {out[1].max():g}")
        return tuple(out)

    def _on(self, X, y):
        """The same cost on other arrays of data of the same shapes, which `data_for_batch` has checked; None: its own."""
        cdef Objective out = type(self).__new__(type(self))
        out.same_data(self)
        if X is not None:
            out.X_ = np.ascontiguousarray(X)
            out.c.X = <double *> cnp.PyArray_DATA(<cnp.ndarray> out.X_)
        if y is not None:
            out.y_ = np.ascontiguousarray(y)
            out.c.y = <double *> cnp.PyArray_DATA(<cnp.ndarray> out.y_)
        return out

    # ---- evaluation ----

    cdef double *point(self, value, str argument, list keep) except NULL:
        """The address of n float64 numbers, of any shape; the array is appended to `keep`."""
        array = plain_array(value, argument)
        if self.c.record == NULL:
            raise TypeError(f"{type(self).__name__}: expected an object with its data, got one whose __init__ did not run")
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{argument}: expected real numbers, got dtype {array.dtype}")
        array = np.ascontiguousarray(array, dtype=np.float64)
        if array.size != self.c.n:
            raise ValueError(f"{argument}: expected {self.c.n} numbers of shape {self.shape}, got shape {array.shape}")
        keep.append(array)
        return <double *> cnp.PyArray_DATA(<cnp.ndarray> array)

    cdef int evaluate(self, const double *x, double *value, double *grad) except -1:
        cdef unsigned int mode
        cdef int status
        if self.c.count * (self.c.columns + 1) > SMALL:
            with nogil:
                mode = mf_fp_enter()
                status = self.c.record.value_grad(x, value, grad, self.c.n, &self.c)
                mf_fp_leave(mode)
        else:
            mode = mf_fp_enter()
            status = self.c.record.value_grad(x, value, grad, self.c.n, &self.c)
            mf_fp_leave(mode)
        if status != 0:
            raise RuntimeError(f"{self.name}: the evaluation failed with code {status}")
        return 0

    def __call__(self, x):
        """The cost at x, an array of n numbers."""
        cdef double value = NAN
        cdef list keep = []
        self.evaluate(self.point(x, "x", keep), &value, NULL)
        return value

    def value_and_grad(self, x):
        """(cost, gradient) at x; the gradient has x's shape."""
        cdef double value = NAN
        cdef list keep = []
        cdef double *at = self.point(x, "x", keep)
        cdef cnp.ndarray out = np.empty(keep[0].shape)
        self.evaluate(at, &value, <double *> cnp.PyArray_DATA(out))
        return value, out

    def grad(self, x):
        """The gradient at x, of x's shape."""
        cdef list keep = []
        cdef double *at = self.point(x, "x", keep)
        cdef cnp.ndarray out = np.empty(keep[0].shape)
        self.evaluate(at, NULL, <double *> cnp.PyArray_DATA(out))
        return out

    def hessp(self, x, p):
        """H(x) p, of p's shape."""
        cdef list keep = []
        cdef double *at = self.point(x, "x", keep)
        cdef double *way = self.point(p, "p", keep)
        cdef cnp.ndarray out = np.empty(keep[1].shape)
        cdef unsigned int mode = mf_fp_enter()
        cdef int status = self.c.record.hessp(at, way, <double *> cnp.PyArray_DATA(out), self.c.n, &self.c)
        mf_fp_leave(mode)
        if status != 0:
            raise RuntimeError(f"{self.name}: the evaluation failed with code {status}")
        return out

    def hess(self, x):
        """H(x), (n, n)."""
        cdef list keep = []
        cdef double *at = self.point(x, "x", keep)
        cdef cnp.ndarray out = np.empty((self.c.n, self.c.n))
        cdef unsigned int mode = mf_fp_enter()
        cdef int status = hessian(at, <double *> cnp.PyArray_DATA(out), self.c.n, &self.c)
        mf_fp_leave(mode)
        if status == MF_E_MEMORY:
            raise MemoryError(f"{self.name}: no memory for a Hessian of {self.c.n} unknowns")
        return out

    cdef int squares(self, const double *x, double *r, double *J) except -1:
        cdef ptrdiff_t k, at
        cdef double residual
        cdef unsigned int mode
        if self.c.record.residual == NULL:
            raise TypeError(f"residuals: expected a sum of squares, got {self.name}, which has no residuals")
        mode = mf_fp_enter()
        for k in range(self.c.count):
            at = k if self.c.order == NULL else self.c.order[k]
            residual = self.c.record.residual(&self.c, x, at, NULL if J == NULL else J + k * self.c.n)
            if r != NULL:
                r[k] = residual
        mf_fp_leave(mode)
        return 0

    def residuals(self, x):
        """The residuals r (m,) at x: the cost is factor * sum r^2, without l2. Raises TypeError if it is no sum of squares."""
        cdef list keep = []
        cdef double *at = self.point(x, "x", keep)
        cdef cnp.ndarray out = np.empty(self.c.count)
        self.squares(at, <double *> cnp.PyArray_DATA(out), NULL)
        return out

    def jac(self, x):
        """The Jacobian of the residuals at x, (m, n)."""
        cdef list keep = []
        cdef double *at = self.point(x, "x", keep)
        cdef cnp.ndarray out = np.empty((self.c.count, self.c.n))
        self.squares(at, NULL, <double *> cnp.PyArray_DATA(out))
        return out

    def _at_level(self, str level):
        """The same objective with the functions of another instruction set of this build, for tests."""
        cdef const objective_record_t *other[MAX_RECORDS + 1]
        cdef Objective out = Objective()
        cdef int i
        out.same_data(self)
        for i in range(join(other, level)):
            if strcmp(other[i].name, self.c.record.name) == 0:
                out.c.record = other[i]
        return out

    # ---- facts ----

    @property
    def name(self):
        return self.c.record.name.decode() if self.c.record != NULL else "objective"

    @property
    def n(self):
        """The count of unknowns."""
        return self.c.n

    @property
    def m(self):
        """The count of rows, or residuals: those of the index set if there is one."""
        return self.c.count

    @property
    def factor(self):
        """For a sum of squares, the cost is factor * sum of squared residuals."""
        return 0.5 / self.c.count if self.c.record.flags & OBJECTIVE_LABELLED else self.c.factor

    @property
    def x0(self):
        """The start: a new array of the shape of the unknowns."""
        return np.array(self.x0_, dtype=np.float64)

    @property
    def family(self):
        """"plain", "regression", "nist", "mgh" or "curves"."""
        return self.c.record.family.decode()

    @property
    def formula(self):
        return self.c.record.formula.decode()

    @property
    def reference(self):
        return self.c.record.reference.decode()

    @property
    def flags(self):
        """"squares": a sum of squares. "sets": it has `batch`. "libm": other machines may give other last bits."""
        return frozenset(name for name, bit in FLAGS.items() if self.c.record.flags & bit)

    def compiled_address(self, str argument, str signature):
        """(address, user data) of its compiled function for this argument and signature; mflow_core.problems.signatures calls it."""
        if self.c.record == NULL:
            raise TypeError(f"{type(self).__name__}: expected an object with its data, got one whose __init__ did not run")
        if signature == OBJECTIVE_SIGNATURE:
            return <size_t> self.c.record.value_grad, <size_t> &self.c
        if signature == HESSIAN_SIGNATURE:
            return <size_t> hessian, <size_t> &self.c
        if signature == RHS_SIGNATURE:   # and of its Jacobian
            return <size_t> flow_jacobian if argument == "jac" else <size_t> descent_rhs, <size_t> &self.c
        raise TypeError(f"{argument}: expected a function, got the objective {self!r}")

    def __reduce__(self):
        attributes = self.__dict__ if hasattr(self, "__dict__") else {}
        return _rebuild, (type(self), self.name, self.shape, self.x0_, self.X_, self.y_, self.weight_, self.order_,
                          (self.c.l2, self.c.shape, self.c.factor, self.c.classes, self.c.intercept, self.c.rows), attributes)

    def __repr__(self):
        rows = f", {self.c.count} rows" if self.c.record != NULL and self.c.record.flags & OBJECTIVE_SETS else ""
        return f"<{type(self).__name__} {self.name}: {self.c.n} unknowns{rows}>"


def _rebuild(cls, name, shape, x0, X, y, weights, order, numbers_, attributes):
    """An objective from the result of `__reduce__`."""
    cdef Objective out = cls.__new__(cls)
    l2, delta, factor, n_classes, intercept, rows = numbers_
    out.fill(name, shape, x0, X, y, None, l2, delta, factor, n_classes, intercept, rows)
    if weights is not None:
        out.weight_ = np.ascontiguousarray(weights)
        out.c.weight = <double *> cnp.PyArray_DATA(out.weight_)
    if attributes:
        out.__dict__.update(attributes)
    return out if order is None else out.batch(order)
