"""A compiled objective as Python sees it: its struct, and the arrays that it keeps alive."""
from mflow_core.objectives.objectives cimport objective_record_t, objective_t

cdef const objective_record_t *find_objective(const char *name) noexcept nogil


cdef class Objective:
    cdef objective_t c
    cdef object X_, y_, weight_, order_  # X_: an array, or SparseRows
    cdef readonly tuple shape            # of the unknowns
    cdef object x0_
    cdef object __weakref__
    cdef int take_rows(self, X) except -1
    cdef int same_data(self, Objective other) except -1
    cdef double *point(self, value, str argument, list keep) except NULL
    cdef int evaluate(self, const double *x, double *value, double *grad) except -1
    cdef int squares(self, const double *x, double *r, double *J) except -1
