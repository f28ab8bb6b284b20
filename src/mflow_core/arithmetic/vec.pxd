# cython: language_level=3
"""Vector kernels that every family inlines: fixed-lane reductions, finiteness. Linear combinations are in sums.pxd.

A lane is one of the partial sums that a SIMD register holds side by side. Code that is compiled once for all levels calls the reductions
through `registry.REDUCE`, compiled for the level in use.

Elementwise loops are left to the compiler, which vectorises them; short loops (n <= MF_SHORT) go through `mf_scalar`, an empty barrier
that keeps them scalar: a vector load of numbers that a callback has just stored one by one stalls. Reductions run in two levels, a
compile-time chunk and 16 lanes, so that their order never depends on the register width.
"""
from libc.stdint cimport int64_t, uint64_t
from libc.stddef cimport ptrdiff_t


cdef extern from *:
    """
    #include <float.h>
    #include <math.h>
    #include <stdint.h>
    #include <string.h>
    #if defined(__FAST_MATH__)
    #error "mflow promises the same bits everywhere: build it without -ffast-math"
    #endif
    #if FLT_EVAL_METHOD != 0
    #error "mflow promises the same bits everywhere: build it with double arithmetic (SSE2 on x86)"
    #endif
    #define MF_SHORT 12
    #define MF_WILD 0x1p465
    typedef double *restrict mf_vec;
    typedef const double *restrict mf_cvec;
    #if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
    static inline double mf_scalar(double x) { __asm__("" : "+x"(x)); return x; }
    #elif defined(__GNUC__) && defined(__aarch64__)
    static inline double mf_scalar(double x) { __asm__("" : "+w"(x)); return x; }
    #else
    static inline double mf_scalar(double x) { return x; }
    #endif
    static inline uint64_t mf_bits(double x) { uint64_t u; memcpy(&u, &x, 8); return u; }
    static inline double mf_from_bits(uint64_t u) { double x; memcpy(&x, &u, 8); return x; }
    /* Other code in this thread may have set flush-to-zero or another rounding mode, which changes bits: use the default for a while. */
    #if defined(__x86_64__) && defined(__GNUC__)
    #include <xmmintrin.h>
    static inline unsigned mf_fp_enter(void) { unsigned s = _mm_getcsr(); if (s & 0xE040u) _mm_setcsr(s & ~0xE040u); return s; }
    static inline void mf_fp_leave(unsigned s) { if (s & 0xE040u) _mm_setcsr(s); }
    #elif defined(__aarch64__) && defined(__GNUC__)
    static inline unsigned mf_fp_enter(void) { uint64_t s; __asm__ volatile("mrs %0, fpcr" : "=r"(s));
      if (s & 0x1C00000u) __asm__ volatile("msr fpcr, %0" : : "r"(s & ~(uint64_t)0x1C00000u)); return (unsigned)s; }
    static inline void mf_fp_leave(unsigned s) { if (s & 0x1C00000u) __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)s)); }
    #else
    static inline unsigned mf_fp_enter(void) { return 0; }
    static inline void mf_fp_leave(unsigned s) { (void)s; }
    #endif
    """
    enum:
        MF_SHORT
    const double MF_WILD
    ctypedef double *mf_vec
    ctypedef const double *mf_cvec
    double mf_scalar(double x) noexcept nogil
    uint64_t mf_bits(double x) noexcept nogil
    double mf_from_bits(uint64_t u) noexcept nogil
    unsigned int mf_fp_enter() noexcept nogil
    void mf_fp_leave(unsigned int) noexcept nogil


# ---- reductions ---------------------------------------------------------------------------------------------------------------------

# Whether some bits are set in any of many words. Words are ORed in 16 lanes, then in 8, and one by one at the end, as the numbers have just
# been stored: a wider load than the store would wait for it.

cdef inline uint64_t any_bits(const uint64_t *lane) noexcept nogil:
    """The bits of 8 lanes."""
    cdef uint64_t[4] four
    cdef int j
    for j in range(4):
        four[j] = lane[j] | lane[j + 4]
    return (four[0] | four[2]) | (four[1] | four[3])


cdef inline bint each_finite(const double *x, ptrdiff_t n) noexcept nogil:
    """True if no x[i] is NaN or infinite: x - x is +0, all bits zero, for every other number."""
    cdef uint64_t[16] lane
    cdef uint64_t[8] half
    cdef uint64_t bad = 0
    cdef ptrdiff_t i, whole = n - n % 16
    cdef int j
    if whole > 0:
        for j in range(16):
            lane[j] = 0
        for i in range(0, whole, 16):
            for j in range(16):
                lane[j] |= mf_bits(x[i + j] - x[i + j])
        for j in range(8):
            half[j] = lane[j] | lane[j + 8]
        if n - whole >= 8:
            for j in range(8):
                half[j] |= mf_bits(x[whole + j] - x[whole + j])
            whole += 8
        bad = any_bits(half)
    for i in range(whole, n):
        bad |= mf_bits(x[i] - x[i])
    return bad == 0


cdef inline bint all_finite(const double *x, ptrdiff_t n) noexcept nogil:
    """True if no x[i] is NaN or infinite. The sum of many is not finite if one of them is not, and costs half as much as a look at each;
    where only the sum has overflowed, each is looked at."""
    cdef double[16] lane
    cdef double[8] half
    cdef double[4] four
    cdef double sum
    cdef ptrdiff_t i, whole = n - n % 64
    cdef int j
    if whole <= 0:
        return each_finite(x, n)
    for j in range(16):
        lane[j] = (x[j] + x[j + 16]) + (x[j + 32] + x[j + 48])
    for i in range(64, whole, 64):
        for j in range(16):
            lane[j] += (x[i + j] + x[i + j + 16]) + (x[i + j + 32] + x[i + j + 48])
    for j in range(8):
        half[j] = lane[j] + lane[j + 8]
    for j in range(4):
        four[j] = half[j] + half[j + 4]
    sum = (four[0] + four[2]) + (four[1] + four[3])
    if sum - sum != 0.0:
        whole = 0
    return whole == n or each_finite(x + whole, n - whole)


cdef inline bint all_tame(const double *x, ptrdiff_t n) noexcept nogil:
    """True if every |x[i]| is below MF_WILD = 2^465, about 9.5e139: no square overflows then, nor any sum of squares. NaN is not below."""
    cdef uint64_t magnitude = 0x7FFFFFFFFFFFFFFF, top = 0x8000000000000000
    cdef uint64_t rest = 0x8000000000000000 - 0x5D00000000000000       # what carries the bits of 2^465 to the top bit
    cdef uint64_t[16] lane
    cdef uint64_t[8] half
    cdef uint64_t wild = 0
    cdef ptrdiff_t i, whole = n - n % 16
    cdef int j
    if whole > 0:
        for j in range(16):
            lane[j] = 0
        for i in range(0, whole, 16):
            for j in range(16):
                lane[j] |= (mf_bits(x[i + j]) & magnitude) + rest
        for j in range(8):
            half[j] = lane[j] | lane[j + 8]
        if n - whole >= 8:
            for j in range(8):
                half[j] |= (mf_bits(x[whole + j]) & magnitude) + rest
            whole += 8
        wild = any_bits(half)
    for i in range(whole, n):
        wild |= (mf_bits(x[i]) & magnitude) + rest
    return (wild & top) == 0


cdef inline ptrdiff_t first_non_finite(const double *x, ptrdiff_t n) noexcept nogil:
    cdef uint64_t exponent = 0x7FF0000000000000
    cdef ptrdiff_t i
    for i in range(n):
        if (mf_bits(x[i]) & exponent) == exponent:
            return i
    return -1


cdef inline double fold_lanes(double *lane) noexcept nogil:
    cdef int j, width = 8
    while width > 0:
        for j in range(width):
            lane[j] = lane[j] + lane[j + width]
        width = width // 2
    return lane[0]


cdef inline double sum_of_squares(const double *x, ptrdiff_t n) noexcept nogil:
    """Sum of x[i]^2 in 16 lanes for each chunk of 1024; chunk sums are added in order."""
    cdef double[16] lane
    cdef double total = 0.0
    cdef ptrdiff_t lo, i, m, whole
    cdef int j
    for lo in range(0, n, 1024):
        m = min(n - lo, <ptrdiff_t> 1024)
        whole = m - m % 16
        for j in range(16):
            lane[j] = 0.0
        for i in range(0, whole, 16):
            for j in range(16):
                lane[j] += x[lo + i + j] * x[lo + i + j]
        for j in range(<int> (m - whole)):
            lane[j] += x[lo + whole + j] * x[lo + whole + j]
        total += fold_lanes(lane)
    return total


cdef inline double max_abs(const double *x, ptrdiff_t n) noexcept nogil:
    """max |x[i]|, NaN if any x[i] is NaN. Magnitudes compare as integers: exact, in any order, and NaN is the largest. They are below 2^63,
    and processors before AVX-512 compare numbers with a sign alone."""
    cdef int64_t magnitude = 0x7FFFFFFFFFFFFFFF
    cdef int64_t[16] lane
    cdef int64_t[8] half
    cdef int64_t u, top = 0
    cdef ptrdiff_t i, whole = n - n % 16
    cdef int j
    if whole > 0:
        for j in range(16):
            lane[j] = 0
        for i in range(0, whole, 16):
            for j in range(16):
                u = <int64_t> mf_bits(x[i + j]) & magnitude
                lane[j] = u if u > lane[j] else lane[j]
        for j in range(8):
            half[j] = lane[j] if lane[j] > lane[j + 8] else lane[j + 8]
        if n - whole >= 8:
            for j in range(8):
                u = <int64_t> mf_bits(x[whole + j]) & magnitude
                half[j] = u if u > half[j] else half[j]
            whole += 8
        for j in range(4):
            half[j] = half[j] if half[j] > half[j + 4] else half[j + 4]
        for j in range(4):
            top = half[j] if half[j] > top else top
    for i in range(whole, n):
        u = <int64_t> mf_bits(x[i]) & magnitude
        top = u if u > top else top
    return mf_from_bits(<uint64_t> top)
