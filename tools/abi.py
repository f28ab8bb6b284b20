"""The frozen face of the C API: `python tools/abi.py` rewrites tests/support/abi.txt, `--check` says what it would change.

Sizes and offsets come from a C compiler that reads mflow.h, types from the header's text, signatures of the functions for cimport from
the compiled module. A line of abi.txt never changes and never goes: hosts have it compiled in. New lines are appended fields and
functions, and need a greater MF_API_VERSION: the number of lines that each version has is frozen too. Sizes of structs may grow, so they
are not in it, but for two that hosts hold by value or as arrays: mf_sizes and mf_param.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from pathlib import Path

import mflow_core
from mflow_core import abi, api

BY_VALUE = ("mf_sizes", "mf_param")
FROZEN = Path(__file__).resolve().parents[1] / "tests" / "support" / "abi.txt"


def offsets(include: Path, compiler: str = "cc") -> dict[str, int]:
    """{"mf_frame.h": 48, ...}, asked of a compiler; the header's `sizeof` as "mf_frame"."""
    structs = abi.structs(include / "mflow" / "mflow.h")
    lines = ["#include <stdio.h>", '#include "mflow/mflow.h"', "int main(void) {"]
    for name, fields in structs.items():
        typed = f"struct {name}"
        lines += [f'  printf("{name}.{field.name} %zu\\n", offsetof({typed}, {field.name}));' for field in fields]
        lines.append(f'  printf("{name} %zu\\n", sizeof({typed}));')
    lines += ["  return 0;", "}"]
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "offsets.c"), Path(folder, "offsets")
        source.write_text("\n".join(lines), encoding="utf-8")
        subprocess.run([compiler, "-std=c99", f"-I{include}", str(source), "-o", str(program)], check=True)
        out = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout
    return {name: int(value) for name, value in (line.split() for line in out.splitlines())}


def signatures() -> dict[str, str]:
    """{"mf_find": "struct mf_method const *(char const *)", ...}: what `cimport` compares."""
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
    return {name: name_of(capsule).decode() for name, capsule in api.__pyx_capi__.items()}


def face(include: Path, compiler: str = "cc") -> list[str]:
    """All that a host has compiled in, a line each, in the header's order."""
    header = include / "mflow" / "mflow.h"
    at = offsets(include, compiler)
    lines = [f"constant {name} = {value}" for name, value in abi.enums(header).items() if name != "MF_API_VERSION"]
    for name, function in abi.callbacks(header).items():
        lines.append(f"callback {name}: {function.returns} ({', '.join(argument.type for argument in function.arguments)})")
    for name, fields in abi.structs(header).items():
        lines += [f"field {at[f'{name}.{field.name}']:4d} {name}.{field.name}: {field.type}" for field in fields]
    lines += [f"size {at[name]} {name}" for name in BY_VALUE]
    lines += sorted(f"cimport {name}: {text}" for name, text in signatures().items())
    version = abi.enums(header)["MF_API_VERSION"]
    return [*lines, *earlier_versions(version), f"version {version}: {len(lines)} lines, mf_api of {at['mf_api']} bytes"]


def frozen() -> list[str]:
    """The lines of abi.txt."""
    return FROZEN.read_text(encoding="utf-8").splitlines() if FROZEN.exists() else []


def earlier_versions(version: int) -> list[str]:
    """What abi.txt says of versions before this one."""
    return [line for line in frozen() if line.startswith("version ") and int(line.split()[1].rstrip(":")) < version]


def broken(include: Path, compiler: str = "cc") -> list[str]:
    """Frozen lines that no longer hold. The line of a version among them: something was appended, and MF_API_VERSION was not raised."""
    now = set(face(include, compiler))
    return [line for line in frozen() if line not in now]


def main() -> int:
    """Writes, or checks."""
    include = Path(mflow_core.get_include())
    lines = face(include)
    lost = broken(include)
    if lost:
        print("hosts have this compiled in, and it has changed (a version's line: raise MF_API_VERSION):", *lost, sep="\n  ")
        return 1
    text = "\n".join(lines) + "\n"
    if "--check" in sys.argv[1:]:
        if FROZEN.read_text(encoding="utf-8") != text:
            print("tests/support/abi.txt lacks what was appended: run python tools/abi.py")
            return 1
    else:
        FROZEN.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
