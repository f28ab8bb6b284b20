"""mflow_core: the compiled core of mflow. Needs numpy only.

    get_include()   folder of mflow/mflow.h, for C compilers
    isa()           the instruction-set level whose kernels are in use

`from mflow_core.api cimport ...` gives Cython the frozen C API, `mflow_python.h` gives it to C, `mflow_core.abi` to numba, ctypes and
cffi; `mflow-config` says where the header and the CMake and pkg-config files lie.
"""

from __future__ import annotations

import functools
import os
import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import find_spec, spec_from_file_location
from typing import Any

from mflow_core._levels import LIBRARIES, VERSION

__all__ = ["get_include", "isa"]

__version__ = VERSION  # of mflow too: they are one distribution


class _Finder:
    """Finds the compiled modules of this package: those of a folder share one library, in which each has its own entry point.

    A library is itself an extension module by its place and name, so that an editable install knows where it was built; only its parts are
    ever imported.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Of one of these modules; None for all others."""
        place = _place(LIBRARIES[name]) if name in LIBRARIES else None
        return spec_from_file_location(name, place, loader=ExtensionFileLoader(name, place)) if place else None


@functools.cache
def _place(library: str) -> str | None:
    """The file of a library."""
    spec = find_spec(library)
    return spec.origin if spec else None


class _Last:
    """Asked where no finder has a module of this package: whether it is here, but was built for another Python."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        """Raises ImportError, which names both, where that is so."""
        if not name.startswith("mflow_core."):
            return
        base = os.path.dirname(os.path.abspath(__file__))
        folder, stem = os.path.split(os.path.join(base, *LIBRARIES.get(name, name).split(".")[1:]))
        files = [file.split(".") for file in (os.listdir(folder) if os.path.isdir(folder) else ())]
        kinds = sorted(file[1] for file in files if file[0] == stem and len(file) > 2 and file[-1] in ("so", "pyd"))
        if kinds:
            raise ImportError(
                f"{name}: {base} was built for {', '.join(kinds)}, and this is {sys.implementation.cache_tag}, {sys.executable}: install "
                "momentum-flow for this Python, or use the one that it was built for",
                name=name,
            )


if _Finder not in sys.meta_path:
    sys.meta_path.insert(0, _Finder)
    sys.meta_path.append(_Last)


def get_include() -> str:
    """Folder to hand to a C compiler as -I, so that `#include "mflow/mflow.h"` is found."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "include")


def isa() -> str:
    """Instruction-set level of the kernels in use: "v2", "v3", "v4" (x86-64) or "base". MFLOW_ISA forces one."""
    from mflow_core.registry import LEVEL

    return str(LEVEL)
