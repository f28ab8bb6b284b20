"""Blocks of memory for long vectors: zeros, in large pages, and how far apart the vectors of a block begin.

Blocks of the long vectors that a run passes over at each step come from `mf_zeros`, and `free` gives them back. In pages of 4096 bytes a
pass over several long vectors looks up an address for every 512 numbers of each of them, and the first touch of a block faults as often:
under a hypervisor, or beside other work, that takes longer than the arithmetic. NumPy asks for large pages in the same way.
"""
from libc.stddef cimport ptrdiff_t

cdef extern from *:
    """
    #include <stdlib.h>
    #if defined(__linux__)
    #include <sys/mman.h>
    #endif
    static inline void *mf_zeros(size_t count, size_t size) {
      char *block = (char *)calloc(count, size);
    #if defined(__linux__) && defined(MADV_HUGEPAGE)
      const size_t large = (size_t)1 << 21;
      if (block != NULL && count * size >= 2 * large) {
        char *first = block + (large - (size_t)block % large) % large;
        madvise(first, (size_t)(block + count * size - first) / large * large, MADV_HUGEPAGE);
      }
    #endif
      return block;
    }
    """
    void *mf_zeros(size_t count, size_t size) noexcept nogil


cdef inline ptrdiff_t stride_of(ptrdiff_t n) noexcept nogil:
    """Numbers from one vector of n to the next: whole cache lines. A load that lies a multiple of 4096 bytes behind a recent store waits for
    it, so long vectors go on to another place in their page: nine in a row begin at places that are 40 numbers apart, or more."""
    cdef ptrdiff_t ld = (n + 7) // 8 * 8
    return ld + (184 - ld % 512 + 512) % 512 if n >= 512 else ld
