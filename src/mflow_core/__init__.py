"""mflow_core: the compiled core of mflow. Needs numpy only.

    get_include()   folder of mflow/mflow.h, for C compilers
    isa()           the instruction-set level whose kernels are in use

`from mflow_core.api cimport ...` gives Cython the frozen C API, `mflow_python.h` gives it to C, `mflow_core.abi` to numba, ctypes and
cffi; `mflow-config` says where the header and the CMake and pkg-config files lie.
"""

from __future__ import annotations

import os

__all__ = ["get_include", "isa"]


def get_include() -> str:
    """Folder to hand to a C compiler as -I, so that `#include "mflow/mflow.h"` is found."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "include")


def isa() -> str:
    """Instruction-set level of the kernels in use: "v2", "v3", "v4" (x86-64) or "base". MFLOW_ISA forces one."""
    from mflow_core.registry import LEVEL

    return str(LEVEL)
