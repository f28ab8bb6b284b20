"""The loop as C sees it: marquardt.pyx says how it goes."""
from mflow_core.fitting.point cimport marquardt_t

cdef int advance(marquardt_t *s) noexcept nogil
