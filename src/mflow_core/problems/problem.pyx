"""Any callable as an `mf_problem`: Python functions, and compiled ones that run without the GIL.

A Python function never sees the buffers of the run. It gets a private read-only copy of y that the run owns. If the reference count of
the copy is above one after the call, the user has kept it: the user may have it, and the next call gets a new one. Returned arrays are
copied. An exception stays set in its thread while the kernels return, and the driver raises it unchanged.

A compiled function is a SciPy LowLevelCallable, a numba cfunc, a ctypes function pointer or a PyCapsule (name = C signature, context =
user data). Its signature is checked. `inplace` says whether a Python function fills `out`; this is never guessed.
"""
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from libc.math cimport NAN, fabs
from libc.string cimport memcpy

cimport numpy as cnp

from mflow_core.arithmetic.bits cimport most_bits, tell_little
from mflow_core.arithmetic.starts cimport empty
from mflow_core.problems.values cimport keep_within, vector_of
from mflow_core.types cimport MF_ELEMENTWISE, mf_jac_fn, mf_new_problem, mf_rhs_fn, mf_value_grad_fn
import numpy as np

from mflow_core.problems.bands import check_matrix, checked_matrix, packed_too, spread_band
from mflow_core.problems.sparse import check_unmasked, plain_array
from mflow_core.problems.signatures import (HESSIAN_SIGNATURE, JACOBIAN_SIGNATURE, OBJECTIVE_SIGNATURE, RHS_SIGNATURE, Recoverable,
                                            check_size, compiled_address, is_compiled)

cnp.import_array()

cdef extern from "Python.h":
    PyObject *PyObject_Vectorcall(PyObject *, PyObject *const *, size_t, PyObject *)
    PyObject *PyFloat_FromDouble(double)
    Py_ssize_t Py_REFCNT(PyObject *)
    void Py_DECREF "Py_DecRef"(PyObject *)
    void PyErr_Clear()
    void PyErr_SetObject(PyObject *, PyObject *)
    const size_t PY_VECTORCALL_ARGUMENTS_OFFSET

cdef extern from *:
    """
    #ifdef Py_GIL_DISABLED
    #define MF_SHARED(a) 1               /* another thread may hold it unseen: always take a new array */
    #else
    #define MF_SHARED(a) (Py_REFCNT(a) > 1)
    #endif
    """
    bint MF_SHARED(PyObject *)

cdef enum:
    RHS = 0                              # fun(t, y)
    GRADIENT = 1                         # jac(c): no value
    SEPARATE = 2                         # fun(c) and jac(c)
    PAIR = 3                             # fun(c) -> value, gradient
    FORWARD = 4                          # fun(c) without a gradient: forward differences
    CENTRAL = 5                          # fun(c) without a gradient: central differences
    JACOBIAN = 6                         # jac(t, y) -> n x n
    HESSIAN = 7                          # hess(c) -> n x n, whose negative is the Jacobian of the gradient flow


# ---- Python functions ---------------------------------------------------------------------------------------------------------------

cdef class Callback:

    def __cinit__(self, fun, jac, tuple shape, tuple args, int mode, bint inplace):
        cdef Py_ssize_t i
        self.fun, self.jac, self.shape, self.args = fun, jac, shape, args
        self.mode, self.inplace, self.takes_t = mode, inplace, mode == RHS or mode == JACOBIAN
        self.lower = -1
        self.n = size_of(shape)
        self.stack = <PyObject **> PyMem_Malloc((4 + len(args)) * sizeof(PyObject *))
        if self.stack == NULL:
            raise MemoryError()
        self.renew()
        self.n_args = self.takes_t + 1
        if inplace:
            self.renew_out()
            self.n_args += 1
        for i in range(len(args)):
            self.stack[1 + self.n_args + i] = <PyObject *> args[i]
        self.n_args += len(args)

    def __dealloc__(self):
        PyMem_Free(self.stack)

    cdef int renew(self) except -1:
        cdef cnp.ndarray array = empty(self.shape)
        self.buffer = <double *> cnp.PyArray_DATA(array)
        cnp.PyArray_CLEARFLAGS(array, cnp.NPY_ARRAY_WRITEABLE)
        self.view = array
        self.stack[1 + self.takes_t] = <PyObject *> array
        return 0

    cdef int renew_out(self) except -1:
        array = np.zeros(self.shape)
        self.out_buffer = <double *> cnp.PyArray_DATA(array)
        self.out = array
        self.stack[2 + self.takes_t] = <PyObject *> array
        return 0

    cdef PyObject *call(self, PyObject *fun, double t) except NULL:
        """Call the function at self.buffer; return a new reference to its result."""
        cdef PyObject *result
        cdef PyObject *time = NULL
        if self.takes_t:
            time = PyFloat_FromDouble(t)
            self.stack[1] = time
        result = PyObject_Vectorcall(fun, self.stack + 1, self.n_args | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL)
        if time != NULL:
            Py_DECREF(time)
        if MF_SHARED(<PyObject *> self.view):
            if result == NULL:
                self.renew_after_error()
            else:
                self.renew()
        return result

    cdef int renew_after_error(self) except -1:
        # The exception must stay set, so it is put aside while a new array is made.
        cdef PyObject *error = PyErr_GetRaisedException()
        self.renew()
        PyErr_SetRaisedException(error)
        return 0


cdef extern from *:
    """
    #if PY_VERSION_HEX >= 0x030C0000
    #define mf_fetch PyErr_GetRaisedException
    #define mf_restore PyErr_SetRaisedException
    #else
    static PyObject *mf_fetch(void) { PyObject *t, *v, *b; PyErr_Fetch(&t, &v, &b); PyErr_NormalizeException(&t, &v, &b);
      if (b && v) { PyException_SetTraceback(v, b); }
      Py_XDECREF(t); Py_XDECREF(b); return v; }
    static void mf_restore(PyObject *v) { PyObject *t = (PyObject *)Py_TYPE(v); Py_INCREF(t);
      PyErr_Restore(t, v, PyException_GetTraceback(v)); }
    #endif
    """
    PyObject *PyErr_GetRaisedException "mf_fetch"()
    void PyErr_SetRaisedException "mf_restore"(PyObject *)


cdef int copy_out(Callback c, PyObject *result, double *out, str function) except -1:
    """Copy result, an array_like of the shape of the state, to out. function: the name for messages."""
    cdef cnp.ndarray a
    if cnp.PyArray_CheckExact(<object> result):
        a = <cnp.ndarray> result
        if (cnp.PyArray_TYPE(a) == cnp.NPY_DOUBLE and cnp.PyArray_NDIM(a) == 1 and len(c.shape) == 1
                and cnp.PyArray_DIM(a, 0) == c.n and cnp.PyArray_ISCARRAY_RO(a)):
            memcpy(out, cnp.PyArray_DATA(a), c.n * sizeof(double))
            return 0
    copy_any(c, <object> result, <size_t> out, function)
    return 0


def copy_any(Callback c, result, size_t out, str function):
    if result is None:
        fix = "return it, or pass inplace=True if the function fills its `out`" if c.mode == RHS else "return it"
        raise TypeError(f"{function}: expected a return value of shape {c.shape}, got None; {fix}")
    array = plain_array(result, function)
    if array.dtype.kind not in "biuf":
        fix = "; for complex slopes pass a complex y0, as in y0 + 0j" if array.dtype.kind == "c" and c.mode == RHS else ""
        raise TypeError(f"{function}: expected a return value of real numbers (float64), got dtype {array.dtype}{fix}")
    if array.shape != c.shape and not (array.size == 1 and c.n == 1):
        raise ValueError(f"{function}: expected a return value of shape {c.shape}, as the state has, got shape {array.shape}; return one "
                         "number for each component")
    array = np.ascontiguousarray(array, dtype=np.float64)
    memcpy(<double *> out, cnp.PyArray_DATA(array), c.n * sizeof(double))


cdef double number(PyObject *result, str function) except? -1.0:
    """The value that an objective returned. function: the name for messages."""
    value = <object> result
    if isinstance(value, float):
        return value
    if isinstance(value, tuple):
        raise TypeError(f"{function}: expected a real number as return value, got a tuple of {len(value)}; if it is (cost, gradient), "
                        "pass jac=True")
    array = plain_array(value, function)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise TypeError(f"{function}: expected a single real number as return value, got {type(value).__name__} of shape "
                        f"{array.shape} and dtype {array.dtype}")
    return array.item()


cdef int evaluate_rhs(Callback c, double t, const double *y, double *dydt) except -1:
    cdef PyObject *result
    cdef ptrdiff_t i
    memcpy(c.buffer, y, c.n * sizeof(double))
    if c.inplace:
        for i in range(c.n):                 # an entry that the function does not fill is NaN, not the slope of another stage
            c.out_buffer[i] = NAN
    c.nfev += 1
    result = c.call(<PyObject *> c.fun, t)
    try:
        if c.inplace:
            if result != <PyObject *> None and result != <PyObject *> c.out:
                raise TypeError(f"fun: expected no return value, for inplace=True says that it fills its `out`, got "
                                f"{type(<object> result).__name__}; return nothing, or omit inplace=True")
            memcpy(dydt, c.out_buffer, c.n * sizeof(double))
            if MF_SHARED(<PyObject *> c.out) and Py_REFCNT(<PyObject *> c.out) > 1 + (result == <PyObject *> c.out):
                c.renew_out()
        else:
            copy_out(c, result, dydt, "fun")
    finally:
        Py_DECREF(result)
    c.bits = most_bits(dydt, c.n, c.bits)
    return 0


cdef double value_at(Callback c) except? -1.0:
    """fun at c.buffer."""
    cdef PyObject *result
    c.nfev += 1
    result = c.call(<PyObject *> c.fun, 0.0)
    try:
        if c.seen is not None:
            c.seen.append(<object> result)
        return number(result, "fun")
    finally:
        Py_DECREF(result)


cdef int gradient_at(Callback c, const double *x, double *grad) except -1:
    cdef PyObject *result
    memcpy(c.buffer, x, c.n * sizeof(double))
    c.njev += 1
    result = c.call(<PyObject *> c.jac, 0.0)
    try:
        return copy_out(c, result, grad, "grad" if c.mode == GRADIENT else "jac")
    finally:
        Py_DECREF(result)


cdef int pair_at(Callback c, const double *x, double *value, double *grad) except -1:
    cdef PyObject *result
    cdef double f
    memcpy(c.buffer, x, c.n * sizeof(double))
    c.nfev += 1
    c.njev += 1
    result = c.call(<PyObject *> c.fun, 0.0)
    try:
        if not isinstance(<object> result, (tuple, list)) or len(<object> result) != 2:
            raise TypeError(f"fun: expected the pair (value, gradient), as jac=True says, got {type(<object> result).__name__}")
        first, second = <object> result
        f = number(<PyObject *> first, "fun")
        if value != NULL:
            value[0] = f
        if grad != NULL:
            copy_out(c, <PyObject *> second, grad, "fun's gradient")
    finally:
        Py_DECREF(result)
    return 0


cdef int differences(Callback c, const double *x, double *value, double *grad) except -1:
    """Forward or central differences with the steps of SciPy, eps^(1/2) or eps^(1/3) times max(1, |x_i|), or with c.scales times that;
    c.scales may be two rows, the second what stands for the 1."""
    cdef ptrdiff_t i
    cdef double f = NAN, h, up, down, x_up, x_down
    cdef double usual = 1.4901161193847656e-08 if c.mode == FORWARD else 6.055454452393343e-06
    cdef double *scales = NULL if c.scales is None else <double *> cnp.PyArray_DATA(<cnp.ndarray> c.scales)
    cdef double *units = scales + c.n if c.scales is not None and cnp.PyArray_SIZE(<cnp.ndarray> c.scales) == 2 * c.n else NULL
    if value != NULL or (c.mode == FORWARD and grad != NULL):
        memcpy(c.buffer, x, c.n * sizeof(double))
        f = value_at(c)
    if value != NULL:
        value[0] = f
    if grad == NULL:
        return 0
    c.njev += 1
    for i in range(c.n):
        h = (usual if scales == NULL else scales[i]) * max(1.0 if units == NULL else units[i], fabs(x[i]))
        h = -h if x[i] < 0 else h
        x_up, x_down = x[i] + h, x[i] - h
        if c.within is not None and not keep_within(c.within, i, c.mode == FORWARD, x[i], &x_up, &x_down):
            grad[i] = 0.0
            continue
        memcpy(c.buffer, x, c.n * sizeof(double))    # copied each time: the user may have kept the last array
        c.buffer[i] = x_up
        up = value_at(c)
        if c.mode == FORWARD:
            grad[i] = (up - f) / (x_up - x[i])
        else:
            memcpy(c.buffer, x, c.n * sizeof(double))
            c.buffer[i] = x_down
            down = value_at(c)
            grad[i] = (up - down) / (x_up - x_down)
    return 0


cdef int evaluate_plainly(Callback c, const double *x, double *value, double *grad) except -1:
    if c.mode == PAIR:
        return pair_at(c, x, value, grad)
    if c.mode == FORWARD or c.mode == CENTRAL:
        return differences(c, x, value, grad)
    if value != NULL:
        if c.mode == GRADIENT:
            value[0] = NAN
        else:
            memcpy(c.buffer, x, c.n * sizeof(double))
            value[0] = value_at(c)
    if grad != NULL:
        gradient_at(c, x, grad)
    return 0


cdef int evaluate_objective(Callback c, const double *x, double *value, double *grad) except -1:
    evaluate_plainly(c, x, value, grad)
    while (grad != NULL and c.look is not None and (c.njev == 1 or (c.mode >= FORWARD and tell_little(grad, c.n)))
           and c.look(c, vector_of(x, c.n), NAN if value == NULL else value[0], vector_of(grad, c.n))):
        differences(c, x, value, grad)                       # with the steps that the look has chosen
    return 0


# The error must stay set when these return, so they call through pointers whose type tells Cython that nothing was raised.
ctypedef int (*quiet_rhs)(Callback, double, const double *, double *) noexcept
ctypedef int (*quiet_jacobian)(Callback, double, const double *, double *) noexcept
ctypedef int (*quiet_objective)(Callback, const double *, double *, double *) noexcept


cdef int failed() noexcept:
    """Return -1 and leave the exception set, or clear it and return +1 if it is `Recoverable`."""
    cdef PyObject *error = PyErr_GetRaisedException()
    cdef bint recoverable = isinstance(<object> error, Recoverable)
    if recoverable:
        Py_DECREF(error)
        return 1
    PyErr_SetRaisedException(error)
    return -1


cdef int call_rhs(double t, const double *y, double *dydt, ptrdiff_t n, void *ctx) noexcept with gil:
    if (<quiet_rhs> evaluate_rhs)(<Callback> ctx, t, y, dydt) == 0:
        return 0
    return failed()


cdef int call_objective(const double *x, double *value, double *grad, ptrdiff_t n, void *ctx) noexcept with gil:
    if (<quiet_objective> evaluate_objective)(<Callback> ctx, x, value, grad) == 0:
        return 0
    return failed()


# ---- Jacobians ------------------------------------------------------------------------------------------------------------------------

cdef object matrix_at(Callback c, double t, const double *y):
    """The result of the user's function at (t, y), or the constant given in its place."""
    cdef PyObject *result
    c.njev += 1
    if not callable(c.fun):
        return c.fun
    memcpy(c.buffer, y, c.n * sizeof(double))
    result = c.call(<PyObject *> c.fun, t)
    try:
        return <object> result
    finally:
        Py_DECREF(result)


cdef int evaluate_jacobian(Callback c, double t, const double *y, double *out) except -1:
    """Write n x n entries, or the band: rows of lower + upper + 1, entry (i, j) at place j - i + lower."""
    cdef cnp.ndarray array = checked_matrix(matrix_at(c, t, y), c.n, c.lower, c.upper, name_of(c))
    cdef double *values = <double *> cnp.PyArray_DATA(array)
    cdef ptrdiff_t n = c.n, width = c.lower + c.upper + 1, i, j
    if c.lower < 0:
        memcpy(out, values, n * n * sizeof(double))
    elif cnp.PyArray_DIM(array, 0) == n and not (c.lower + c.upper + 1 == n and packed_too(array, c.lower, c.upper, callable(c.fun), name_of(c))):
        for i in range(n):
            for j in range(max(i - c.lower, <ptrdiff_t> 0), min(i + c.upper + 1, n)):
                out[i * width + j - i + c.lower] = values[i * n + j]
    else:                                # SciPy's packed form: entry (i, j) at [i - j + upper, j]
        for i in range(n):
            for j in range(max(i - c.lower, <ptrdiff_t> 0), min(i + c.upper + 1, n)):
                out[i * width + j - i + c.lower] = values[(i - j + c.upper) * n + j]
    if c.mode == HESSIAN:
        for i in range(n * (n if c.lower < 0 else width)):
            out[i] = -out[i]
    return 0


cdef str name_of(Callback c):
    return "hess" if c.mode == HESSIAN else "jac"


cdef int call_jacobian(double t, const double *y, double *jac, ptrdiff_t n, void *ctx) noexcept with gil:
    if (<quiet_jacobian> evaluate_jacobian)(<Callback> ctx, t, y, jac) == 0:
        return 0
    return failed()


cdef int negative_hessian(double t, const double *y, double *jac, ptrdiff_t n, void *ctx) noexcept nogil:
    """The Jacobian of a gradient flow, by a compiled Hessian."""
    cdef hessian_t *h = <hessian_t *> ctx
    cdef int status = h.fun(y, jac, n, h.ctx)
    cdef ptrdiff_t i
    for i in range(n * n):
        jac[i] = -jac[i]
    return status


cdef int add_jacobian(Problem problem, jac, str argument, str signature, tuple shape, tuple args, int mode) except -1:
    address = compiled_address(jac, argument, signature)
    if address is not None:
        if args and problem.compiled is False:
            raise TypeError(f"{argument}: expected a Python function, for args are given, got a compiled one; give args to mflow.compile")
        check_size(jac, argument, size_of(shape))
        problem.owner = (problem.owner, jac)
        if mode == HESSIAN:
            problem.hessian.fun, problem.hessian.ctx = <hessian_fn> <size_t> address[0], <void *> <size_t> address[1]
            problem.jac, problem.jac_ctx = negative_hessian, &problem.hessian
        else:
            problem.jac, problem.jac_ctx = <mf_jac_fn> <size_t> address[0], <void *> <size_t> address[1]
            if problem.compiled and problem.jac_ctx == problem.c.ctx:
                problem.c.jac = problem.jac
        return 0
    if not callable(jac) and not hasattr(jac, "tocsc"):
        check_unmasked(jac, argument)
        try:
            jac = np.asarray(jac, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            raise TypeError(f"{argument}: expected a function, a constant array, a sparse matrix or a compiled function, got "
                            f"{type(jac).__name__}") from None
    problem.jac_callback = Callback(jac, None, shape, args, mode, False)
    problem.jac, problem.jac_ctx = <mf_jac_fn> call_jacobian, <void *> problem.jac_callback
    if not callable(jac) and not (jac.ndim == 2 and jac.shape[0] < problem.jac_callback.n == jac.shape[1]):
        check_matrix(jac, problem.jac_callback.n, -1, -1, argument)    # a packed one is looked at when its band is known
    return 0


# ---- problems -------------------------------------------------------------------------------------------------------------------------

cdef Problem python_problem(fun, jac, tuple shape, tuple args, int mode, bint inplace):
    cdef Problem problem = Problem.__new__(Problem)
    problem.callback = Callback(fun, jac, shape, args, mode, inplace)
    problem.c.ctx = <void *> problem.callback
    return problem


cdef class Problem:

    def look(self, t, x, v, h):
        """What its energies depend on is looked for at the start of a motion, whose first step may be h."""

    def __cinit__(self):
        self.c = mf_new_problem()

    cdef ptrdiff_t state_size(self):
        """The count of numbers in the problem that decide later bits: what it has cached, factored and counted."""
        return 0

    @property
    def saved_bytes(self):
        """The length of its part of a saved run, at the end of `Run.pack`, with the checksum; 0: it has none."""
        cdef ptrdiff_t size = 8 * self.state_size()
        return size + 4 if size > 0 else 0

    cdef int state_pack(self, double *state) except -1:
        return 0

    cdef int state_unpack(self, const double *state) except -1:
        """Restore what `state_pack` wrote. ValueError, with nothing changed, if `state_pack` cannot have written it."""
        return 0

    @property
    def n(self):
        return self.c.n

    @property
    def has_jac(self):
        return self.jac != NULL

    @property
    def jac_is_compiled(self):
        return self.jac != NULL and self.jac_callback is None

    def jacobian(self, double t, y):
        """J at (t, y), n x n: of f, or of the gradient flow of a cost. ValueError if the problem has none."""
        cdef cnp.ndarray at = np.ascontiguousarray(y, dtype=np.float64).ravel()
        cdef cnp.ndarray out = np.empty((self.c.n, self.c.n))
        cdef int status
        if self.jac == NULL:
            raise ValueError("jac: expected a problem with a Jacobian, got one without; pass jac=...")
        if at.size != self.c.n:
            raise ValueError(f"y: expected {self.c.n} numbers, got {at.size}")
        if self.jac_callback is not None and self.jac_callback.lower >= 0:
            return self.whole_band(t, at)
        status = self.jac(t, <double *> cnp.PyArray_DATA(at), <double *> cnp.PyArray_DATA(out), self.c.n, self.jac_ctx)
        if raise_or(status) != 0:
            raise ValueError(f"jac: expected the code 0 of success, got {status}")
        return out

    def whole_band(self, double t, cnp.ndarray y):
        """J at (t, y) from the band that `set_band` named."""
        cdef Callback c = self.jac_callback
        cdef cnp.ndarray band = np.empty((c.n, c.lower + c.upper + 1))
        evaluate_jacobian(c, t, <const double *> cnp.PyArray_DATA(y), <double *> cnp.PyArray_DATA(band))
        return spread_band(band, c.lower)

    def set_band(self, Py_ssize_t lower, Py_ssize_t upper):
        """From now on a Python jac fills only the band, and may return it packed."""
        if self.jac_callback is not None:
            self.jac_callback.lower, self.jac_callback.upper = lower, upper


cdef int refuse(fun, str argument) except -1:
    if not callable(fun):
        raise TypeError(f"{argument}: expected a callable (or a LowLevelCallable, numba cfunc, ctypes function or PyCapsule), got "
                        f"{type(fun).__name__}")
    return 0


cdef int no_extras(str argument, tuple args, bint inplace) except -1:
    if args or inplace:
        raise TypeError(f"{argument}: expected a Python function, for args or inplace is given, got a compiled one; give "
                        "args to mflow.compile")
    return 0


cdef ptrdiff_t size_of(tuple shape):
    cdef ptrdiff_t n = 1
    for length in shape:
        n *= length
    return n


def rhs_problem(fun, tuple shape, args=(), bint inplace=False, jac=None, bint elementwise=False):
    """y' = fun(t, y, *args), or fun(t, y, out, *args) with inplace=True; y has the given shape, jac(t, y, *args) n x n.

    elementwise: fun may be called with pieces of y, in several threads at once. It is compiled then.
    """
    cdef Problem problem
    address = compiled_address(fun, "fun", RHS_SIGNATURE)
    args = tuple(args) if isinstance(args, (tuple, list)) else (args,)
    if address is not None:
        no_extras("fun", args, inplace)
        problem = Problem.__new__(Problem)
        problem.compiled, problem.owner = True, fun
        problem.c.rhs = <mf_rhs_fn> <size_t> address[0]
        problem.c.ctx = <void *> <size_t> address[1]
    else:
        refuse(fun, "fun")
        problem = python_problem(fun, None, shape, args, RHS, inplace)
        problem.c.rhs = <mf_rhs_fn> call_rhs
    if elementwise:
        if not problem.compiled:
            raise TypeError("elementwise: expected a compiled fun, for Python functions are called in one thread, got a Python function; "
                            "compile it by mflow.compile")
        problem.c.flags |= MF_ELEMENTWISE
    problem.c.n = size_of(shape)
    check_size(fun, "fun", problem.c.n)
    if jac is not None:
        add_jacobian(problem, jac, "jac", JACOBIAN_SIGNATURE, shape, args, JACOBIAN)
    return problem


def objective_problem(fun, jac, tuple shape, args=(), hess=None):
    """A cost with its gradient. fun None: the gradient alone. jac: a function, True (fun returns both), None, "2-point" or "3-point".

    hess(c, *args), n x n, is for implicit methods.
    """
    cdef Problem problem
    cost, argument = (fun, "fun") if fun is not None else (jac, "grad")
    address = compiled_address(cost, argument, OBJECTIVE_SIGNATURE)
    args = tuple(args) if isinstance(args, (tuple, list)) else (args,)
    if isinstance(jac, np.ndarray):
        raise TypeError(f"jac: expected a function, True, '2-point' or '3-point', got an array of shape {jac.shape}")
    if address is not None:
        if fun is not None and jac is not None and jac is not True:
            raise TypeError("jac: expected none, for a compiled fun returns value and gradient in one call; omit jac")
        no_extras("fun", args, False)
        problem = Problem.__new__(Problem)
        problem.compiled, problem.value_is_free, problem.has_value, problem.owner = True, True, True, (fun, jac)
        problem.c.value_grad = <mf_value_grad_fn> <size_t> address[0]
        problem.c.ctx = <void *> <size_t> address[1]
    else:
        refuse(cost, argument)
        if fun is None:
            mode = GRADIENT
        elif jac is True:
            mode = PAIR
        elif jac is None or jac is False or (isinstance(jac, str) and jac == "2-point"):
            mode = FORWARD
        elif isinstance(jac, str) and jac == "3-point":
            mode = CENTRAL
        elif isinstance(jac, str):
            raise ValueError(f'jac: expected a function, True, "2-point" or "3-point", got {jac!r}')
        else:
            refuse(jac, "jac")
            if is_compiled(jac):
                raise TypeError(f"jac: expected a gradient, got a cost with its gradient, {jac!r}; pass it as fun, and omit jac")
            mode = SEPARATE
        problem = python_problem(fun, jac, shape, args, mode, False)
        problem.value_is_free, problem.has_value = mode == PAIR or mode == FORWARD, mode != GRADIENT
        problem.c.value_grad = <mf_value_grad_fn> call_objective
    problem.c.n = size_of(shape)
    check_size(cost, argument, problem.c.n)
    if hess is not None:
        add_jacobian(problem, hess, "hess", HESSIAN_SIGNATURE, shape, args, HESSIAN)
    return problem
