"""Where a run begins, and begins anew."""
from mflow_core.arithmetic.control cimport error_sum as short_error_sum
from mflow_core.arithmetic.vec cimport MF_SHORT
from mflow_core.registry cimport REDUCE
from mflow_core.stepping.output cimport record_t
from mflow_core.stepping.run cimport run_t


cdef int run_begin(run_t *r, double t_end, double first_step) noexcept nogil
cdef int run_jump(run_t *r, double t_end, const double *const *y, record_t *record) noexcept nogil
cdef int run_act(run_t *r, double t_end, record_t *record) noexcept nogil
cdef void leave_grid(run_t *r) noexcept nogil


cdef inline double size_of(run_t *r, const double *e, const double *y0, const double *y1) noexcept nogil:
    """Sum of the squares of e's components in units of their tolerances."""
    return short_error_sum(&r.c, e, y0, y1, r.n) if r.n <= MF_SHORT else REDUCE.error_sum(&r.c, e, y0, y1, r.n)
