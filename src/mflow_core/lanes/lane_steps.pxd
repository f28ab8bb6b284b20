"""The loops over steps of a block of lanes."""
from libc.stdint cimport int64_t

from mflow_core.lanes.lane_block cimport block_t


cdef void run_common(block_t *b, int64_t first, int64_t last) noexcept nogil
cdef void run_own(block_t *b) noexcept nogil
