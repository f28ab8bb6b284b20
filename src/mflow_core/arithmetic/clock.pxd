"""Seconds of a clock that never goes back, and how long a piece of a long loop takes, behind which signals are looked at."""

cdef extern from *:
    """
    #if defined(_WIN32)
    #include <windows.h>
    #undef near                          /* words of 16-bit compilers, which windows.h turns into nothing; here they are fields */
    #undef far
    static double mf_seconds(void) { LARGE_INTEGER now, rate; QueryPerformanceCounter(&now); QueryPerformanceFrequency(&rate);
      return (double)now.QuadPart / (double)rate.QuadPart; }
    #else
    #include <time.h>
    static double mf_seconds(void) { struct timespec now; clock_gettime(CLOCK_MONOTONIC, &now); return now.tv_sec + 1e-9 * now.tv_nsec; }
    #endif
    #define MF_PIECE 0.01                /* seconds that a piece of a long loop should take */
    """
    double mf_seconds() noexcept nogil
    const double MF_PIECE
