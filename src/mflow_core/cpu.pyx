"""Which instruction-set levels this processor runs: baseline code, imported before any kernel."""

cdef extern from *:
    """
    #if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
    #define MF_HAS_CPU 1
    static int mf_cpu_level(void) {
      __builtin_cpu_init();
      if (!(__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt"))) return 1;
    #if !defined(__clang__) && __GNUC__ >= 12
      if (!__builtin_cpu_supports("x86-64-v3")) return 2;
      return __builtin_cpu_supports("x86-64-v4") ? 4 : 3;
    #endif
      if (!(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
            __builtin_cpu_supports("bmi2"))) return 2;
      if (!(__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))) return 3;
      return 4;
    }
    #else
    #define MF_HAS_CPU 0
    static int mf_cpu_level(void) { return 0; }
    #endif
    """
    int mf_cpu_level()


def levels():
    """Levels this processor can run, the best first: of "v4", "v3", "v2" and "base"."""
    return [f"v{k}" for k in range(mf_cpu_level(), 1, -1)] + ["base"]
