"""The costs of many descents: one for all, or one for each lane, and data that replace those of an objective, a set for each lane."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t

cimport numpy as cnp

from mflow_core.objectives.objective cimport Objective
from mflow_core.objectives.objectives cimport objective_t
from mflow_core.types cimport mf_value_grad_fn

import numpy as np

from mflow_core.problems.signatures import OBJECTIVE_SIGNATURE, check_size, compiled_address

cnp.import_array()


cdef class LaneCosts:
    """fun: an `Objective`, another compiled cost, or a list of them. X, y: (lanes, ...) or None."""

    def __cinit__(self, fun, ptrdiff_t n, ptrdiff_t lanes, X=None, y=None):
        cdef ptrdiff_t k
        self.X, self.y, self.lanes, self.own_data = X, y, lanes, X is not None or y is not None
        self.costs = list(fun) if isinstance(fun, list) else [fun]
        self.functions, self.contexts = np.zeros(len(self.costs), dtype=np.uint64), np.zeros(len(self.costs), dtype=np.uint64)
        self.objectives = all(isinstance(cost, Objective) for cost in self.costs)
        for k in range(len(self.costs)):
            self.take(k, n)

    cdef int take(self, ptrdiff_t k, ptrdiff_t n) except -1:
        cost = self.costs[k]
        check_size(cost, "fun", n)
        address = compiled_address(cost, "fun", OBJECTIVE_SIGNATURE)
        if address is None:
            raise TypeError(f"fun: expected a compiled cost (mflow.objectives, numba cfunc, LowLevelCallable), got {type(cost).__name__}; "
                            "minimise a Python function from one start after the other with mflow.minimize")
        self.functions[k], self.contexts[k] = address[0], address[1] or 0
        if self.own_data and not isinstance(cost, Objective):
            raise TypeError("batch_data: expected an objective of mflow.objectives, got a compiled function; pass a list of functions with "
                            "the data of each in its user data")
        return 0

    cdef void place(self, int64_t lane, mf_value_grad_fn *fun, void **ctx, objective_t *objective) noexcept nogil:
        """Whose cost a lane follows. Where it has data of its own they are in `objective`, and ctx is NULL: it is wherever that lies."""
        cdef ptrdiff_t of = lane if cnp.PyArray_DIM(self.functions, 0) > 1 else 0
        fun[0] = <mf_value_grad_fn> <size_t> (<cnp.uint64_t *> cnp.PyArray_DATA(self.functions))[of]
        ctx[0] = <void *> <size_t> (<cnp.uint64_t *> cnp.PyArray_DATA(self.contexts))[of]
        if not self.own_data:
            return
        objective[0] = (<objective_t *> ctx[0])[0]
        ctx[0] = NULL
        if self.X is not None:
            objective.X = <double *> cnp.PyArray_DATA(self.X) + lane * (cnp.PyArray_SIZE(self.X) // self.lanes)
        if self.y is not None:
            objective.y = <double *> cnp.PyArray_DATA(self.y) + lane * (cnp.PyArray_SIZE(self.y) // self.lanes)
