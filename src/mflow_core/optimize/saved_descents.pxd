"""Saving and restoring a descent."""
from libc.stdint cimport int64_t

from mflow_core.optimize.descents cimport descent_t

cdef int descent_pack(const descent_t *s, void *buffer, int64_t room, int64_t *bytes) noexcept nogil
cdef int descent_unpack(descent_t *s, const void *buffer, int64_t bytes) noexcept nogil
