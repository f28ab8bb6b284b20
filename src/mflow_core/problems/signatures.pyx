"""Compiled functions, whichever way they come: their address and user data, after a check of the C signature."""
from cpython.pycapsule cimport PyCapsule_CheckExact, PyCapsule_GetContext, PyCapsule_GetName, PyCapsule_GetPointer

import re
import sys

RHS_SIGNATURE = "int (double, double const *, double *, ptrdiff_t, void *)"
JACOBIAN_SIGNATURE = "int (double, double const *, double *, ptrdiff_t, void *)"
OBJECTIVE_SIGNATURE = "int (double const *, double *, double *, ptrdiff_t, void *)"
LOAD_SIGNATURE = "int (double, double *, ptrdiff_t, void *)"
FORCE_SIGNATURE = "int (double, double const *, double const *, double *, ptrdiff_t, void *)"
SOLVE_ACCEL_SIGNATURE = ("int (double, double, double const *, double const *, double, double, double const *, double *, ptrdiff_t, "
                         "void *)")
POTENTIAL_SIGNATURE = "int (double, double const *, double *, ptrdiff_t, void *)"
PRODUCT_SIGNATURE = "int (double const *, double *, ptrdiff_t, void *)"
HESSIAN_SIGNATURE = "int (double const *, double *, ptrdiff_t, void *)"

# Codes of functions that `mflow.compile` makes, and what they mean.
RAISED, WRONG_LENGTH = -101, -102
CODES = {RAISED: "an exception was raised inside the compiled function; call it with the same arguments to see it",
         WRONG_LENGTH: "the compiled function returned another number of values than the state has"}

_TYPES = {"float64": "double", "int32": "int", "int32_t": "int", "ptrdiff_t": "size", "Py_ssize_t": "size", "ssize_t": "size",
          "intptr_t": "size", "npy_intp": "size", "int64_t": "size", "int64": "size", "long": "size", "long long": "size",
          "c_double": "double", "c_int": "int", "c_long": "size", "c_longlong": "size", "c_ssize_t": "size"}


def code_text(status):
    """A callback's code, with what it means where `mflow.compile` made the callback."""
    return f"code {status}: {CODES[status]}" if status in CODES else f"code {status}"


def companion(fun, name, given):
    """What was given, or the derivative that a compiled function brings with it: its `jac` or `hess`, or, an objective, itself."""
    if given is not None or not hasattr(type(fun), "compiled_address"):
        return given
    own = getattr(fun, name, None)
    return own if own is None or hasattr(type(own), "compiled_address") else fun


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


def _fits(found, wanted):
    """`void *` may stand for any pointer (ctypes says no more), and the last argument, the user's data, may be any pointer."""
    if found is None or found[0] != wanted[0] or len(found[1]) != len(wanted[1]):
        return False
    *came, data = found[1]
    *asked, _ = wanted[1]
    return data.endswith("*") and all(c == a or (c == "void *" and a.endswith("*")) for c, a in zip(came, asked))


def check_signature(argument, found, wanted):
    if not _fits(_shape_of(found), _shape_of(wanted)):
        raise TypeError(f"{argument}: a compiled function with the signature {found!r} came; {wanted!r} is wanted")


cdef tuple from_capsule(object capsule, str argument, str wanted):
    cdef const char *name = PyCapsule_GetName(capsule)
    if name == NULL:
        raise TypeError(f"{argument}: a PyCapsule without a name came; its name must be the C signature {wanted!r}")
    check_signature(argument, name.decode(), wanted)
    return <size_t> PyCapsule_GetPointer(capsule, name), <size_t> PyCapsule_GetContext(capsule)


def check_size(fun, n, where):
    """An `Objective`, and a function from symbols, know their n: with less they would touch what is not theirs."""
    own = fun.n if hasattr(type(fun), "compiled_address") else None
    if own is not None and own != n:
        raise ValueError(f"{where} {n} numbers, and {fun!r} wants {own}")


def compiled_address(fun, argument, wanted):
    """(address, user data) of a compiled function, checked against the wanted C signature; None for a Python function."""
    kind = type(fun)
    if hasattr(kind, "compiled_address"):           # an Objective, or what `mflow.compile` made
        return fun.compiled_address(argument, wanted)
    if PyCapsule_CheckExact(fun):
        return from_capsule(fun, argument, wanted)
    if kind.__name__ == "LowLevelCallable" and kind.__module__.startswith("scipy"):
        return from_capsule(tuple.__getitem__(fun, 0), argument, wanted)
    if hasattr(fun, "native_name") and hasattr(fun, "address") and hasattr(fun, "_sig"):      # numba.cfunc
        check_signature(argument, str(fun._sig), wanted)
        return fun.address, 0
    ctypes = sys.modules.get("ctypes")
    if ctypes is not None and isinstance(fun, ctypes._CFuncPtr):
        if fun.argtypes is None:
            raise TypeError(f"{argument}: a ctypes function without argtypes came; set argtypes and restype to match {wanted!r}")
        if fun._flags_ & 4:                          # PYFUNCTYPE, PyDLL: it would use Python without holding the GIL
            raise TypeError(f"{argument}: a ctypes function that needs the GIL (PYFUNCTYPE) came; CFUNCTYPE is wanted, or the Python "
                            "function itself")
        names = ", ".join(getattr(a, "__name__", str(a)) for a in fun.argtypes)
        check_signature(argument, f"{getattr(fun.restype, '__name__', fun.restype)} ({names})", wanted)
        return ctypes.cast(fun, ctypes.c_void_p).value, 0
    return None
