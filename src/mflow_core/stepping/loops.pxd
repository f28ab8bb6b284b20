"""The loops over steps: fixed ones, and ones under error control."""
from libc.stdint cimport int64_t

from mflow_core.stepping.output cimport record_t
from mflow_core.stepping.run cimport run_t


cdef int run_fixed(run_t *r, int64_t count, double t_last, record_t *record) noexcept nogil
cdef int run_given(run_t *r, int64_t count, const double *h, const double *ends, double t_end, record_t *record) noexcept nogil
cdef int run_adaptive(run_t *r, int64_t count, double t_end, record_t *record) noexcept nogil
cdef int run_trial(run_t *r, double h) noexcept nogil
cdef int run_many(run_t *r, int64_t count, double t_last, record_t *record, bint adaptive, const double *h, const double *ends,
                  int64_t *piece) noexcept nogil
