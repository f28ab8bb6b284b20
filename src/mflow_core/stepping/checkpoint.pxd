"""Saving and restoring a run."""
from libc.stdint cimport int64_t

from mflow_core.stepping.run cimport run_t

cdef int run_pack(const run_t *r, void *buffer, int64_t room, int64_t *bytes) noexcept nogil
cdef int run_unpack(run_t *r, const void *buffer, int64_t bytes, bint same) noexcept nogil
