"""An optimizer bound to arrays."""
from libc.math cimport INFINITY
from libc.stdint cimport int64_t

from mflow_core.optimize.arrangement cimport Arrangement
from mflow_core.optimize.tensors cimport Tensors
from mflow_core.registry cimport MethodRecord
from mflow_core.types cimport mf_method, mf_sizes


cdef enum:
    MAX_SCALARS = 8
    MAX_COEFFICIENTS = 24
    MAX_PARAMETERS = 24


ctypedef struct group_t:
    double[MAX_PARAMETERS] par
    double[MAX_COEFFICIENTS] coef
    double[MAX_SCALARS] scal
    double sign                          # -1: maximize
    bint divides                         # eps = 0: a step may be 0/0
    mf_sizes sizes
    int64_t since                        # the steps that were taken before the group was added


cdef inline double clip_scale(double max_norm, double norm, double unit, double in_units) noexcept nogil:
    """What gradients of this norm are multiplied by, with torch's 1e-6 where it is above the limit; a NaN stays NaN.

    unit: their largest entry, in_units: their norm in multiples of it. Both are read only where the norm is too large to be a number.
    """
    if norm == INFINITY and unit < INFINITY:
        return (max_norm / unit) / in_units
    return 1.0 if norm <= max_norm else max_norm / (norm + 1e-6)


cdef class Updater:
    cdef readonly MethodRecord record
    cdef const mf_method *m
    cdef Tensors tensors                 # None until the optimizer is complete
    cdef readonly Arrangement arrangement
    cdef group_t *groups
    cdef group_t *groups_before          # these two keep what a step may have to put back; NULL until one is taken that may
    cdef double *room
    cdef Py_ssize_t n_groups
    cdef int lr_index
    cdef int64_t k
    cdef int64_t known                   # the step count that the groups' coefficients belong to; -1: none
    cdef list bound, schedules
    cdef bint scheduled
    cdef int busy
    cdef public bint check_finite
    cdef int width                       # threads of a step on long arrays; 0: as many as the thread that steps has set
    cdef double max_norm
    cdef int idle(self) except -1
    cdef int complete(self) except -1
    cdef void fill(self) noexcept
    cdef int enter(self) except -1
    cdef int group_index(self, Py_ssize_t g) except -1
    cdef double clip_factor(self, double norm) except? -1.0
    cdef bint divides(self) noexcept
    cdef int begin_all(self) except -1
    cdef int advance(self, double scale, bint careful) except -1
    cdef int make_room(self) except -1
    cdef int advance_kept(self, double scale) except -1
    cdef int stop_at(self, Py_ssize_t i, ptrdiff_t at, int which) except -1
    cdef str spoiled_text(self, Py_ssize_t i, ptrdiff_t at, int which, double g, int64_t k, str state)
