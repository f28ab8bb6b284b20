"""The spectral radius of a right-hand side, without Python."""
from mflow_core.stepping.run cimport run_t

cdef int estimate_rho(run_t *r) noexcept nogil
