"""`mflow-config`: where the header, the CMake package and the pkg-config file of the installed mflow lie."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import sysconfig
from collections.abc import Callable, Sequence

from mflow_core import get_include
from mflow_core._levels import VERSION


def folder(name: str) -> str:
    """A folder of the installed package: "include", "cmake", "pkgconfig"."""
    return os.path.join(os.path.dirname(get_include()), name)


def pkgconfig() -> str:
    """The folder of mflow.pc. Raises LookupError where it has none."""
    there = folder("pkgconfig")
    if not os.path.isfile(os.path.join(there, "mflow.pc")):
        raise LookupError(
            f"there is no mflow.pc in {there}: an editable install has none; install mflow without --editable, or use --cflags"
        )
    return there


def embedding() -> str:
    """Flags that compile and link a program which starts this Python. Raises LookupError where Python does not say which."""
    needed = ("LDVERSION", "LIBDIR")
    version, libdir = (sysconfig.get_config_var(name) for name in needed)
    if lacking := [name for name, value in zip(needed, (version, libdir), strict=True) if not value]:
        raise LookupError(f"this Python does not say how it is linked (no {', '.join(lacking)}); with CMake, link Python::Python")
    folders = dict.fromkeys((libdir, sysconfig.get_config_var("LIBPL") or libdir))  # a packager may leave the second out
    paths = [f"-I{sysconfig.get_path('include')}", *(f"-L{path}" for path in folders), f"-Wl,-rpath,{libdir}"]
    libraries = [sysconfig.get_config_var(name) or "" for name in ("LIBS", "SYSLIBS", "LINKFORSHARED")]
    return " ".join([*map(shlex.quote, paths), f"-lpython{version}", *libraries, "-lm"])


# option: (function whose result it prints, description)
ANSWERS: dict[str, tuple[Callable[[], str], str]] = {
    "--version": (lambda: VERSION, "version of mflow"),
    "--cflags": (lambda: shlex.quote(f"-I{get_include()}"), "flags for a C compiler"),
    "--embed": (embedding, "flags for a C program that starts this Python itself, to compile and to link it"),
    "--libs": (lambda: "", "nothing: a host links against no library of mflow, it receives a table of functions"),
    "--includedir": (get_include, "folder of mflow/mflow.h"),
    "--cmakedir": (lambda: folder("cmake"), "folder for -Dmflow_DIR=..., with mflowConfig.cmake"),
    "--pkgconfigdir": (pkgconfig, "folder for PKG_CONFIG_PATH, with mflow.pc"),
    "--pxddir": (lambda: os.path.dirname(os.path.dirname(get_include())), "folder for cython -I, so that cimport finds mflow_core"),
    "--fortran": (lambda: os.path.join(get_include(), "mflow", "mflow.f90"), "path of the Fortran module"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints what each option asks for, one line each. Returns the exit code."""
    parser = argparse.ArgumentParser("mflow-config", description=__doc__)
    for option, (_, description) in ANSWERS.items():
        parser.add_argument(option, dest="options", action="append_const", const=option, help=description)
    options = parser.parse_args(arguments).options
    if not options:
        parser.error(f"expected one of {', '.join(ANSWERS)}")
    code = 0
    for option in options:
        try:
            print(ANSWERS[option][0]())
        except LookupError as error:
            print(f"mflow-config: {option}: {error.args[0]}", file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    raise SystemExit(main())
