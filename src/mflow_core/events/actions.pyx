"""Actions of events: the state behind a root from the one before it.

    action(t, y, *args)         returns the new y, or changes the y that it was given, its own, and returns None
    action(t, x, v, *args)      of a motion: returns the pair (x, v), or changes both in place

Compiled ones have the signature of a right-hand side, or of a force: their output holds the state before (x, then v) when they are called.
"""
from libc.stddef cimport ptrdiff_t
from libc.string cimport memcpy

cimport numpy as cnp

import numpy as np

from mflow_core.problems.sparse import plain_array

cnp.import_array()


cdef class Action:
    """One action with how it is called. shape: of a state, (2, *shape) of a motion; j: the number of its event, for messages."""

    def __init__(self, fun, tuple shape, tuple args, int j, bint motion):
        self.fun, self.shape, self.args, self.motion, self.name = fun, shape, args, motion, f"events[{j}].action"
        if not callable(fun):
            raise TypeError(f"{self.name}: expected a function, got {type(fun).__name__}")


def _state_of(result, tuple shape, str name, bint motion):
    """What an action returned as float64 numbers."""
    kind = "the pair (x, v)" if motion else "the new state"
    if motion and not (isinstance(result, (tuple, list)) and len(result) == 2):
        given = f"a {type(result).__name__}" + (f" of {len(result)}" if isinstance(result, (tuple, list)) else "")
        raise TypeError(f"{name}: expected {kind}, or None where both were changed in place, got {given}")
    one, parts = (shape[1:], result) if motion else (shape, [result])
    arrays = [plain_array(part, name) for part in parts]
    for array in arrays:
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{name}: expected {kind}, of real numbers, got dtype {array.dtype}")
        if array.shape != one and not (array.size == 1 and cnp.PyArray_SIZE(np.empty(one)) == 1):
            raise ValueError(f"{name}: expected {kind}, of shape {one}, or None where it was changed in place, got shape {array.shape}")
    return np.concatenate([np.ascontiguousarray(array, dtype=np.float64).ravel() for array in arrays])


cdef int act(Action a, double t, const double *y, double *out, ptrdiff_t n) except -1:
    state = np.empty(a.shape)
    memcpy(cnp.PyArray_DATA(<cnp.ndarray> state), y, n * sizeof(double))
    result = a.fun(t, state[0], state[1], *a.args) if a.motion else a.fun(t, state, *a.args)
    behind = state if result is None else _state_of(result, a.shape, a.name, a.motion)
    memcpy(out, cnp.PyArray_DATA(<cnp.ndarray> behind), n * sizeof(double))
    return 0


# The exception must stay set when this returns, so it calls through a pointer that promises Cython nothing was raised.
ctypedef int (*quiet_action)(Action, double, const double *, double *, ptrdiff_t) noexcept


cdef int call_action(double t, const double *y, double *out, ptrdiff_t n, void *ctx) noexcept with gil:
    return (<quiet_action> act)(<Action> ctx, t, y, out, n)


cdef int call_pair_action(double t, const double *y, double *out, ptrdiff_t n, void *ctx) noexcept nogil:
    """A compiled action of (t, x, v), which fills 2 n numbers."""
    cdef pair_t *pair = <pair_t *> ctx
    return pair.fun(t, y, y + n // 2, out, n // 2, pair.ctx)
