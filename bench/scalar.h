/* For the C twins: functions that are part of who calls them, and numbers that stay scalar. */
#define INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__)
INLINE double scalar(double x) { __asm__("" : "+x"(x)); return x; }
#elif defined(__aarch64__)
INLINE double scalar(double x) { __asm__("" : "+w"(x)); return x; }
#else
INLINE double scalar(double x) { return x; }
#endif
