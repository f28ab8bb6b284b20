"""Threads that share the parts of one piece of work: `share`."""
from libc.stddef cimport ptrdiff_t


cdef enum:
    PIECE = 4096                         # numbers of a vector that make a part
    LONG = 50000                         # vectors of fewer numbers are not cut: waking a thread takes as long as their pass

ctypedef void (*part_fn)(void *job, ptrdiff_t part) noexcept nogil

cdef void share(part_fn work, void *job, ptrdiff_t parts) noexcept nogil
cdef int set_width(int threads) noexcept nogil
cdef int width() noexcept nogil
cdef double *borrow(ptrdiff_t numbers, bint *lent) noexcept nogil
cdef void give_back(double *room, bint lent) noexcept nogil


cdef inline ptrdiff_t pieces(ptrdiff_t n) noexcept nogil:
    return (n + PIECE - 1) // PIECE
