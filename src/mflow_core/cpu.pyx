"""Which instruction-set level is used: what this processor runs, what this build holds, and MFLOW_ISA. Baseline code, imported before any kernel."""
import os

from mflow_core import _levels

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


def available_levels():
    """Levels that this build holds and this processor runs, the best first."""
    return [level for level in levels() if level in _levels.LEVELS]


def choose_level():
    """The level whose kernels are used: the best of `available_levels`, or the one that MFLOW_ISA names."""
    usable = available_levels()
    level = os.environ.get("MFLOW_ISA", "")
    if level:
        if level not in usable:
            raise ImportError(f"MFLOW_ISA={level!r}: this build on this processor can run {', '.join(usable) or 'nothing'}; "
                              "unset MFLOW_ISA, or set it to one of these")
        return level
    if not usable:
        raise ImportError(f"mflow was built for {', '.join(_levels.LEVELS)}, and this processor runs none of them: build it from source")
    return usable[0]
