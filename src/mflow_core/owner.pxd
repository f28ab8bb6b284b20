"""A flag that one owner at a time can take: runs and optimizers are not for two threads at once, and say so."""


cdef extern from *:
    """
    #if defined(__GNUC__)
    static inline int mf_take(int *flag) { return !__atomic_exchange_n(flag, 1, __ATOMIC_ACQUIRE); }
    static inline void mf_give(int *flag) { __atomic_store_n(flag, 0, __ATOMIC_RELEASE); }
    #elif defined(_MSC_VER)
    #include <intrin.h>
    static inline int mf_take(int *flag) { return !_InterlockedExchange((volatile long *)flag, 1); }
    static inline void mf_give(int *flag) { _InterlockedExchange((volatile long *)flag, 0); }
    #else
    static inline int mf_take(int *flag) { if (*flag) return 0; *flag = 1; return 1; }
    static inline void mf_give(int *flag) { *flag = 0; }
    #endif
    """
    bint mf_take(int *flag) noexcept nogil
    void mf_give(int *flag) noexcept nogil
