"""What runs of second-order methods need beside those of first-order ones: a first acceleration, errors of x and v, a first step."""
from mflow_core.stepping.run cimport run_t


cdef int acceleration(run_t *r, double t, const double *x, const double *v, double *a) noexcept nogil
cdef int motion_start(run_t *r) noexcept nogil
cdef int motion_begin(run_t *r, double t_end, double first_step) noexcept nogil
cdef double motion_error(run_t *r) noexcept nogil
