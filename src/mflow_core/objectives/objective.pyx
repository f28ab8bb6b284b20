"""Compiled objectives for Python: the rows of every module of objectives, joined, and one class for all.

An `Objective` is called like a function, and handed to drivers as `fun`: they find its compiled functions through `compiled_address`
and run without the GIL. It keeps its arrays alive and writes nothing when it is evaluated, so threads may share one.
"""
from libc.math cimport NAN
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset, strcmp

cimport numpy as cnp

from mflow_core.arithmetic.vec cimport mf_fp_enter, mf_fp_leave
from mflow_core.objectives.objectives cimport (MAX_CLASSES, MAX_UNKNOWNS, OBJECTIVE_LABELLED, OBJECTIVE_LIBM, OBJECTIVE_SETS, OBJECTIVE_SMALL, OBJECTIVE_SQUARES,
                                    objective_row_t, objective_t)
from mflow_core.registry cimport kernels
from mflow_core.types cimport MF_E_MEMORY

import numpy as np

from mflow_core.problems.signatures import HESSIAN_SIGNATURE, OBJECTIVE_SIGNATURE, RHS_SIGNATURE
from mflow_core.registry import LEVEL, unknown

cnp.import_array()

MODULES = ("objectives_plain", "objectives_linear", "objectives_nist", "objectives_mgh")      # a new one: here and in meson.build
MOST_CLASSES = MAX_CLASSES

cdef enum:
    MAX_ROWS = 128
    SMALL = 20000                        # numbers of data that are not worth letting go of the GIL

cdef const objective_row_t *ROWS[MAX_ROWS + 1]


cdef int join(const objective_row_t **rows, str level) except -1:
    cdef const objective_row_t **own
    cdef int count = 0
    for name in MODULES:
        own = <const objective_row_t **> kernels(f"objectives.{name}", "_rows", b"mflow_core._objectives", level)
        while own[0] != NULL:
            if count == MAX_ROWS:
                raise ImportError(f"mflow_core: more than {MAX_ROWS} objectives")
            rows[count] = own[0]
            count += 1
            own += 1
    rows[count] = NULL
    return count


join(ROWS, LEVEL)


cdef const objective_row_t *find_objective(const char *name) noexcept nogil:
    cdef int i = 0
    while ROWS[i] != NULL:
        if strcmp(ROWS[i].name, name) == 0:
            return ROWS[i]
        i += 1
    return NULL


FLAGS = {"libm": OBJECTIVE_LIBM, "labelled": OBJECTIVE_LABELLED, "squares": OBJECTIVE_SQUARES, "sets": OBJECTIVE_SETS,
         "small": OBJECTIVE_SMALL}


def records():
    """(name, family, formula, labels, reference, flags) of every objective."""
    cdef int i = 0
    out = []
    while ROWS[i] != NULL:
        flags = [name for name, bit in FLAGS.items() if ROWS[i].flags & bit]
        out.append((ROWS[i].name.decode(), ROWS[i].family.decode(), ROWS[i].formula.decode(), ROWS[i].labels.decode(),
                    ROWS[i].reference.decode(), frozenset(flags)))
        i += 1
    return out


every_record = records                         # where `rows` is the name of an argument


# ---- what the drivers call besides the row's own functions --------------------------------------------------------------------------

cdef int descent_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept nogil:
    """The gradient flow y' = -grad f(y)."""
    cdef int status = (<const objective_t *> ctx).row.value_grad(y, NULL, dydt, n, ctx)
    cdef ptrdiff_t i
    for i in range(n):
        dydt[i] = -dydt[i]
    return status


cdef int hessian(const double *x, double *hess, ptrdiff_t n, void *ctx) noexcept nogil:
    """n x n, column after column in the place of its row: symmetric but for rounding, and made so. It allocates, as solvers of it do."""
    cdef const objective_t *o = <const objective_t *> ctx
    cdef double *unit = <double *> calloc(n, sizeof(double))
    cdef ptrdiff_t i, j
    cdef int status = 0
    if unit == NULL:
        return MF_E_MEMORY
    for i in range(n):
        unit[i] = 1.0
        status = o.row.hessp(x, unit, hess + i * n, n, ctx)
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
    """A C-contiguous float64 array, the same one where it is such an array already; all finite."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{argument}: dtype {array.dtype} came; real numbers are wanted")
    array = np.ascontiguousarray(array, dtype=np.float64)
    if not np.isfinite(array).all():
        bad = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{argument}: entry {bad} is {array[bad]}: every entry must be finite")
    return array


cdef int check_labels(const objective_row_t *row, cnp.ndarray y) except -1:
    cdef double *at = <double *> cnp.PyArray_DATA(y)
    cdef ptrdiff_t i
    if row.allows != NULL:
        for i in range(cnp.PyArray_SIZE(y)):
            if not row.allows(at[i]):
                raise ValueError(f"y: entry {i} is {at[i]:g}; {row.name.decode()} takes {row.labels.decode()}")
    return 0


cdef cnp.ndarray mean_one(cnp.ndarray weights, ptrdiff_t rows):
    """Weights from 0 on, one a row, divided by their mean: a weight of 2 is a row that is there twice, in minibatches as well."""
    if cnp.PyArray_NDIM(weights) != 1 or cnp.PyArray_SIZE(weights) != rows:
        raise ValueError(f"weights: shape {(<object> weights).shape} came; ({rows},) is wanted")
    if (<object> weights).min() < 0.0 or (<object> weights).max() == 0.0:
        raise ValueError("weights: numbers from 0 on are wanted, not all 0")
    return weights / (<object> weights).mean()


cdef cnp.ndarray indices(idx, ptrdiff_t rows):
    """An index set as C-contiguous int64: whole numbers from 0 to rows - 1, or a mask of `rows` truth values."""
    array = np.asarray(idx)
    if array.dtype.kind == "b" and array.shape == (rows,):
        array = np.flatnonzero(array)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(f"idx: shape {array.shape} and dtype {array.dtype} came; whole numbers in one dimension are wanted (or {rows} truth values)")
    if not array.size:
        raise ValueError("idx is empty: at least one row is wanted")
    if array.min() < 0 or array.max() >= rows:
        raise ValueError(f"idx: {array.min() if array.min() < 0 else array.max()} came; rows are numbered 0 to {rows - 1}")
    return np.array(array, dtype=np.int64, order="C")


cdef class Objective:
    """A cost that is compiled: value, gradient and Hessian-vector product without Python.

    Hand it to `mflow.minimize`, `gradient_flow`, `line_search` or `Stepper` in the place of a function; they run it without the GIL.
    Made by the classes and functions of `mflow.objectives`.
    """

    def __cinit__(self, *args, **kwargs):
        memset(&self.c, 0, sizeof(objective_t))

    def fill(self, str name, shape, x0, X=None, y=None, weights=None, double l2=0.0, double delta=0.0, double factor=1.0,
             Py_ssize_t n_classes=0, bint intercept=False, Py_ssize_t rows=0):
        """Makes it: all checks but those of shapes that only the caller knows. X (rows, columns), y one label a row."""
        cdef bytes encoded = name.encode()
        cdef const objective_row_t *row = find_objective(encoded)
        cdef ptrdiff_t n = 1
        if row == NULL:
            raise ValueError(unknown("objective: there is no", name, [one[0] for one in every_record()]))
        if self.c.row != NULL:
            raise TypeError("an objective is made once: make a new one")
        for length in shape:
            n *= length
        if n < 1:
            raise ValueError(f"{name}: {n} unknowns; at least one is wanted")
        if row.flags & OBJECTIVE_SMALL and n > MAX_UNKNOWNS:
            raise ValueError(f"{name}: {n} unknowns; at most {MAX_UNKNOWNS} are taken")
        self.shape, self.x0_ = tuple(shape), x0
        if X is not None:
            self.X_ = numbers(X, "X")
            self.c.X = <double *> cnp.PyArray_DATA(self.X_)
            self.c.rows = self.X_.shape[0]
            self.c.columns = self.c.ldx = self.X_.shape[1] if self.X_.ndim > 1 else 1
        if y is not None:
            self.y_ = numbers(y, "y")
            check_labels(row, self.y_)
            self.c.y = <double *> cnp.PyArray_DATA(self.y_)
        if weights is not None:
            self.weight_ = mean_one(numbers(weights, "weights"), self.c.rows)
            self.c.weight = <double *> cnp.PyArray_DATA(self.weight_)
        self.c.rows = self.c.count = rows or self.c.rows
        self.c.n, self.c.l2, self.c.shape, self.c.factor = n, l2, delta, factor
        self.c.classes, self.c.intercept = n_classes, intercept
        self.c.row = row

    cdef int same_data(self, Objective other) except -1:
        """Takes the other's struct and shares its arrays."""
        if other.c.row == NULL:
            raise TypeError(f"{type(other).__name__}: its __init__ did not run")
        self.c = other.c
        self.shape, self.x0_ = other.shape, other.x0_
        self.X_, self.y_, self.weight_, self.order_ = other.X_, other.y_, other.weight_, other.order_
        return 0

    def batch(self, idx):
        """The same cost over the rows `idx` alone (repeats count as often as they come): a minibatch that shares the data.

        idx: whole numbers as rows are counted in the whole data, or a mask of truth values, one a row. Raises TypeError or ValueError where it is empty or out of range.
        """
        cdef Objective out
        if not self.c.row.flags & OBJECTIVE_SETS:
            raise TypeError(f"batch: {self.name} has no rows")
        out = type(self).__new__(type(self))
        out.same_data(self)
        if hasattr(self, "__dict__"):
            out.__dict__.update(self.__dict__)
        out.order_ = indices(idx, self.c.rows)
        out.c.order, out.c.count = <int64_t *> cnp.PyArray_DATA(out.order_), out.order_.size
        return out

    data_names = ("X", "y")              # what the arrays X_ and y_ are called by whoever made it

    def data_for_batch(self, dict given, Py_ssize_t lanes):
        """Arrays (lanes, *shape) that stand for X and y, a set a lane, each None where it is not given. `given` goes by own names."""
        out = [None, None]
        for name, value in given.items():
            if name not in self.data_names:
                raise TypeError(unknown("lane_data: no data", name, list(self.data_names)))
            place = self.data_names.index(name)
            own = (self.X_, self.y_)[place]
            if own is None:
                raise ValueError(f"lane_data: this objective was made without {name}: give it one, of the shape of a lane's own")
            array = <object> numbers(value, name)
            if array.shape != (lanes, *own.shape):
                raise ValueError(f"lane_data: {name} has shape {array.shape}; {(lanes, *own.shape)} is wanted, a set for each of {lanes} lanes")
            out[place] = array
        if out[1] is not None:
            check_labels(self.c.row, out[1])
            if self.c.classes and out[1].size and out[1].max() >= self.c.classes:
                raise ValueError(f"lane_data: class {out[1].max():g} came; there are {self.c.classes}, numbered from 0")
        return tuple(out)

    # ---- evaluation ----

    cdef double *point(self, value, str argument, list keep) except NULL:
        """A float64 array of n numbers, of any shape; `keep` holds it."""
        array = np.asarray(value)
        if self.c.row == NULL:
            raise TypeError(f"{type(self).__name__}: its __init__ did not run")
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{argument}: dtype {array.dtype} came; real numbers are wanted")
        array = np.ascontiguousarray(array, dtype=np.float64)
        if array.size != self.c.n:
            raise ValueError(f"{argument}: shape {array.shape} came; {self.c.n} numbers of shape {self.shape} are wanted")
        keep.append(array)
        return <double *> cnp.PyArray_DATA(<cnp.ndarray> array)

    cdef int evaluate(self, const double *x, double *value, double *grad) except -1:
        cdef unsigned int mode
        cdef int status
        if self.c.count * (self.c.columns + 1) > SMALL:
            with nogil:
                mode = mf_fp_enter()
                status = self.c.row.value_grad(x, value, grad, self.c.n, &self.c)
                mf_fp_leave(mode)
        else:
            mode = mf_fp_enter()
            status = self.c.row.value_grad(x, value, grad, self.c.n, &self.c)
            mf_fp_leave(mode)
        if status != 0:
            raise RuntimeError(f"{self.name}: code {status}")
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
        cdef int status = self.c.row.hessp(at, way, <double *> cnp.PyArray_DATA(out), self.c.n, &self.c)
        mf_fp_leave(mode)
        if status != 0:
            raise RuntimeError(f"{self.name}: code {status}")
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
        cdef double gone
        cdef unsigned int mode
        if self.c.row.residual == NULL:
            raise TypeError(f"{self.name} is no sum of squares: it has no residuals")
        mode = mf_fp_enter()
        for k in range(self.c.count):
            at = k if self.c.order == NULL else self.c.order[k]
            gone = self.c.row.residual(&self.c, x, at, NULL if J == NULL else J + k * self.c.n)
            if r != NULL:
                r[k] = gone
        mf_fp_leave(mode)
        return 0

    def residuals(self, x):
        """The residuals r (m,) at x: the cost is factor * sum r^2, l2 apart. Raises TypeError where it is no sum of squares."""
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
        cdef const objective_row_t *other[MAX_ROWS + 1]
        cdef Objective out = Objective()
        cdef int i
        out.same_data(self)
        for i in range(join(other, level)):
            if strcmp(other[i].name, self.c.row.name) == 0:
                out.c.row = other[i]
        return out

    # ---- what it is ----

    @property
    def name(self):
        return self.c.row.name.decode() if self.c.row != NULL else "objective"

    @property
    def n(self):
        """Unknowns."""
        return self.c.n

    @property
    def m(self):
        """Rows, or residuals: of the index set where there is one."""
        return self.c.count

    @property
    def factor(self):
        """The cost is factor * sum of squared residuals, where it is a sum of squares."""
        return 0.5 / self.c.count if self.c.row.flags & OBJECTIVE_LABELLED else self.c.factor

    @property
    def x0(self):
        """Where to start: a new array of the unknowns' shape."""
        return np.array(self.x0_, dtype=np.float64)

    @property
    def family(self):
        """"plain", "regression", "nist" or "mgh"."""
        return self.c.row.family.decode()

    @property
    def formula(self):
        return self.c.row.formula.decode()

    @property
    def reference(self):
        return self.c.row.reference.decode()

    @property
    def flags(self):
        """"squares": a sum of squares. "sets": `batch` is there. "libm": other machines may give other last bits."""
        return frozenset(name for name, bit in FLAGS.items() if self.c.row.flags & bit)

    def compiled_address(self, str argument, str signature):
        """(address, user data) of the function that stands for it as this argument, as mflow_core.problems.signatures asks for it."""
        if self.c.row == NULL:
            raise TypeError(f"{type(self).__name__}: its __init__ did not run")
        if signature == OBJECTIVE_SIGNATURE:
            return <size_t> self.c.row.value_grad, <size_t> &self.c
        if signature == HESSIAN_SIGNATURE:
            return <size_t> hessian, <size_t> &self.c
        if signature == RHS_SIGNATURE:   # and of its Jacobian
            return <size_t> flow_jacobian if argument == "jac" else <size_t> descent_rhs, <size_t> &self.c
        raise TypeError(f"{argument}: a function is wanted, and an objective came: {self!r}")

    def __reduce__(self):
        own = self.__dict__ if hasattr(self, "__dict__") else {}
        return _rebuild, (type(self), self.name, self.shape, self.x0_, self.X_, self.y_, self.weight_, self.order_,
                          (self.c.l2, self.c.shape, self.c.factor, self.c.classes, self.c.intercept, self.c.rows), own)

    def __repr__(self):
        rows = f", {self.c.count} rows" if self.c.row != NULL and self.c.row.flags & OBJECTIVE_SETS else ""
        return f"<{type(self).__name__} {self.name}: {self.c.n} unknowns{rows}>"


def _rebuild(cls, name, shape, x0, X, y, weights, order, numbers_, own):
    """An objective from what `__reduce__` gave."""
    cdef Objective out = cls.__new__(cls)
    l2, delta, factor, n_classes, intercept, rows = numbers_
    out.fill(name, shape, x0, X, y, None, l2, delta, factor, n_classes, intercept, rows)
    if weights is not None:
        out.weight_ = np.ascontiguousarray(weights)
        out.c.weight = <double *> cnp.PyArray_DATA(out.weight_)
    if own:
        out.__dict__.update(own)
    return out if order is None else out.batch(order)
