"""Compiled functions of every kind: their address and user data, after a check of the C signature."""
from cpython.pycapsule cimport PyCapsule_CheckExact, PyCapsule_GetContext, PyCapsule_GetName, PyCapsule_GetPointer

import functools
import re
import sys
from types import FunctionType

RHS_SIGNATURE = "int (double, double const *, double *, ptrdiff_t, void *)"
RHS_LANES_SIGNATURE = "int (double const *, double const *, double *, ptrdiff_t, ptrdiff_t, void *)"
JACOBIAN_SIGNATURE = "int (double, double const *, double *, ptrdiff_t, void *)"
OBJECTIVE_SIGNATURE = "int (double const *, double *, double *, ptrdiff_t, void *)"
LOAD_SIGNATURE = "int (double, double *, ptrdiff_t, void *)"
FORCE_SIGNATURE = "int (double, double const *, double const *, double *, ptrdiff_t, void *)"
SOLVE_ACCEL_SIGNATURE = ("int (double, double, double const *, double const *, double, double, double const *, double *, ptrdiff_t, "
                         "void *)")
POTENTIAL_SIGNATURE = "int (double, double const *, double *, ptrdiff_t, void *)"
PRODUCT_SIGNATURE = "int (double const *, double *, ptrdiff_t, void *)"
HESSIAN_SIGNATURE = "int (double const *, double *, ptrdiff_t, void *)"
RESIDUALS_SIGNATURE = "int (double const *, double *, double *, ptrdiff_t, ptrdiff_t, void *)"
DATUM_SIGNATURE = "int (double const *, double const *, double *, double *, ptrdiff_t, ptrdiff_t, void *)"

# Codes of functions that `mflow.compile` makes, and their meaning.
RAISED, WRONG_LENGTH = -101, -102
CODES = {RAISED: "an exception was raised inside the compiled function; call it with the same arguments to see it",
         WRONG_LENGTH: "the compiled function returned another number of values than the state has"}

_TYPES = {"float64": "double", "int32": "int", "int32_t": "int", "ptrdiff_t": "size", "Py_ssize_t": "size", "ssize_t": "size",
          "intptr_t": "size", "npy_intp": "size", "int64_t": "size", "int64": "size", "long": "size", "long long": "size",
          "c_double": "double", "c_int": "int", "c_long": "size", "c_longlong": "size", "c_ssize_t": "size"}


class Recoverable(Exception):
    """Raise this in a callback if the point cannot be evaluated but a smaller step may help.

    Methods under error control then try the step again, shorter. A compiled function returns a positive code instead.

    See Also
    --------
    mflow.solve_ivp, mflow.solve_dynamics, mflow.Stepper

    Examples
    --------
    >>> import math, mflow
    >>> def emptying(t, h):
    ...     if h[0] < 0:
    ...         raise mflow.Recoverable("the level is below the outlet")
    ...     return [-math.sqrt(h[0])]
    >>> r = mflow.solve_ivp(emptying, (0, 1.9), [1.0], rtol=1e-8)
    >>> r.success, round(float(r.y[0, -1]), 6)
    (True, 0.0025)
    """


def code_text(status):
    """The code of a callback, with its meaning if `mflow.compile` made the callback."""
    return f"code {status}: {CODES[status]}" if status in CODES else f"code {status}"


def companion(fun, name, given):
    """`given`, or the derivative of this name that belongs to a compiled function: its `jac` or `hess`. An objective is its own."""
    if given is not None or not is_compiled(fun):
        return given
    derivative = getattr(fun, name, None)
    return derivative if derivative is None or is_compiled(derivative) else fun


def _plain(text):
    """A C type without qualifiers, all signed 64-bit integers alike."""
    text = re.sub(r"\b(const|restrict|signed|struct)\b", " ", text)
    text = {"c_void_p": "void *", "LP_c_double": "double *"}.get(text.strip(), text)
    base = " ".join(text.replace("*", " ").split())
    return _TYPES.get(base, base) + " *" * text.count("*")


def _shape_of(signature):
    """(return type, argument types) of "int (double, double *)" or of numba's "(float64, float64*) -> int32"."""
    text = re.sub(r"\b(noexcept|nogil)\b", " ", signature)
    match = re.fullmatch(r"\s*\((.*)\)\s*->\s*(.*)", text)
    if match:
        arguments, result = match.groups()
    else:
        match = re.fullmatch(r"\s*([^()]*?)\s*\((.*)\)\s*", text)
        if not match:
            return None
        result, arguments = match.groups()
    return _plain(result), tuple(_plain(a) for a in arguments.split(","))


def _fits(given, expected):
    """Whether two shapes agree. `void *` stands for any pointer (ctypes knows no more); the last argument, user data, is any pointer."""
    if given is None or given[0] != expected[0] or len(given[1]) != len(expected[1]):
        return False
    *arguments, data = given[1]
    *parameters, _ = expected[1]
    return data.endswith("*") and all(a == p or (a == "void *" and p.endswith("*")) for a, p in zip(arguments, parameters))


@functools.lru_cache(maxsize=256)
def _agree(signature, expected):
    """Whether two signatures agree; kept by their texts, for a program calls the same few again and again."""
    return _fits(_shape_of(signature), _shape_of(expected))


def check_signature(argument, signature, expected):
    if not _agree(signature, expected):
        raise TypeError(f"{argument}: expected a compiled function with the signature {expected!r}, got {signature!r}")


cdef tuple from_capsule(object capsule, str argument, str expected):
    cdef const char *name = PyCapsule_GetName(capsule)
    if name == NULL:
        raise TypeError(f"{argument}: expected a PyCapsule whose name is the C signature {expected!r}, got one without a name")
    check_signature(argument, name.decode(), expected)
    return <size_t> PyCapsule_GetPointer(capsule, name), <size_t> PyCapsule_GetContext(capsule)


def is_compiled(fun):
    """Whether it is an `Objective` or a function that `mflow.compile` made: both have the method `compiled_address`."""
    return hasattr(type(fun), "compiled_address")


def check_size(fun, argument, n):
    """ValueError if fun is for another number of unknowns than the n of the start: an `Objective`, or a function from symbols."""
    expected = None if type(fun) is FunctionType or not is_compiled(fun) else fun.n
    if expected is not None and expected != n:
        raise ValueError(f"{argument}: expected a function of {n} numbers, as the start has, got {fun!r}, which is of {expected}")


def compiled_address(fun, argument, expected):
    """(address, user data) of a compiled function, checked against the expected C signature; None for a Python function."""
    kind = type(fun)
    if kind is FunctionType:
        return None
    if is_compiled(fun):
        return fun.compiled_address(argument, expected)
    if PyCapsule_CheckExact(fun):
        return from_capsule(fun, argument, expected)
    if kind.__name__ == "LowLevelCallable" and kind.__module__.startswith("scipy"):
        return from_capsule(tuple.__getitem__(fun, 0), argument, expected)
    if hasattr(fun, "native_name") and hasattr(fun, "address") and hasattr(fun, "_sig"):      # numba.cfunc
        check_signature(argument, str(fun._sig), expected)
        return fun.address, 0
    ctypes = sys.modules.get("ctypes")
    if ctypes is not None and isinstance(fun, ctypes._CFuncPtr):
        if fun.argtypes is None:
            raise TypeError(f"{argument}: expected a ctypes function with argtypes, got one without; set argtypes and restype to match "
                            f"{expected!r}")
        if fun._flags_ & 4:                          # PYFUNCTYPE, PyDLL: it would use Python without holding the GIL
            raise TypeError(f"{argument}: expected a ctypes function that does not need the GIL, got one that does (PYFUNCTYPE); use "
                            "CFUNCTYPE, or pass the Python function")
        names = ", ".join(getattr(a, "__name__", str(a)) for a in fun.argtypes)
        check_signature(argument, f"{getattr(fun.restype, '__name__', fun.restype)} ({names})", expected)
        return ctypes.cast(fun, ctypes.c_void_p).value, 0
    return None
