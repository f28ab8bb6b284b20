"""`mflow-config`: where the header, the CMake package and the pkg-config file of the installed mflow lie."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence

from mflow_core import get_include
from mflow_core._levels import VERSION


def folder(name: str) -> str:
    """A folder of the installed package: "include", "cmake", "pkgconfig"."""
    return os.path.join(os.path.dirname(get_include()), name)


# option: (what it prints, what it is)
ANSWERS = {
    "--version": (lambda: VERSION, "version of mflow"),
    "--cflags": (lambda: shlex.quote(f"-I{get_include()}"), "flags for a C compiler"),
    "--libs": (lambda: "", "nothing: a host links against no library of mflow's, it is handed a table of functions"),
    "--includedir": (get_include, "folder of mflow/mflow.h"),
    "--cmakedir": (lambda: folder("cmake"), "folder for -Dmflow_DIR=..., with mflowConfig.cmake"),
    "--pkgconfigdir": (lambda: folder("pkgconfig"), "folder for PKG_CONFIG_PATH, with mflow.pc"),
    "--pxddir": (lambda: os.path.dirname(os.path.dirname(get_include())), "folder for cython -I, so that cimport finds mflow_core"),
    "--fortran": (lambda: os.path.join(get_include(), "mflow", "mflow.f90"), "path of the Fortran module"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what each option asks for, one line each. Returns the exit code."""
    parser = argparse.ArgumentParser("mflow-config", description=__doc__)
    for option, (_, what) in ANSWERS.items():
        parser.add_argument(option, dest="wanted", action="append_const", const=option, help=what)
    wanted = parser.parse_args(arguments).wanted
    if not wanted:
        parser.print_usage(sys.stderr)
        return 2
    for option in wanted:
        print(ANSWERS[option][0]())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
