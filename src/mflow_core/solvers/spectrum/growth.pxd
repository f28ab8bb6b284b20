"""Factors under error control, where a mode that grows faster than the step can follow counts as singular."""
from mflow_core.solvers.matrix cimport matrix_t


cdef enum:
    GROWTH_STATE = 6                     # doubles of growth_pack


cdef int factor_watched(matrix_t *m, double gh, bint linear, const double *state) noexcept nogil
cdef void growth_forget(matrix_t *m) noexcept nogil
cdef void growth_pack(const matrix_t *m, double *state) noexcept nogil
cdef bint growth_unpack(matrix_t *m, const double *state) noexcept nogil
