"""Saving and restoring a run."""
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from mflow_core.stepping.run cimport run_t

cdef int run_pack(const run_t *r, void *buffer, int64_t room, int64_t *bytes) noexcept nogil
cdef int run_unpack(run_t *r, const void *buffer, int64_t bytes, bint same) noexcept nogil

# What other saved states are made of.

cdef const uint8_t *state_in_file(const void *buffer, int64_t *bytes) noexcept nogil
cdef uint32_t crc32(const uint8_t *data, int64_t bytes) noexcept nogil
cdef void put_doubles(uint8_t **at, const double *x, ptrdiff_t n) noexcept nogil
cdef void get_doubles(const uint8_t **at, double *x, ptrdiff_t n) noexcept nogil


cdef inline void put(uint8_t **at, uint64_t value, int bytes) noexcept nogil:
    cdef int j
    for j in range(bytes):
        at[0][0] = <uint8_t> (value >> (8 * j))
        at[0] += 1


cdef inline uint64_t get(const uint8_t **at, int bytes) noexcept nogil:
    cdef uint64_t value = 0
    cdef int j
    for j in range(bytes):
        value |= (<uint64_t> at[0][0]) << (8 * j)
        at[0] += 1
    return value
