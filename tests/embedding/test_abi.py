"""The face that hosts have compiled in is frozen, and the same in C, Fortran, Cython, cffi and NumPy."""

from __future__ import annotations

import ctypes
import doctest
import importlib.util
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import mflow_core
import numpy as np
import pytest
from mflow_core import abi, registry
from mflow_core import api as core_api

from support.hosts import COMPILER, needs_compiler
from support.places import ROOT

INCLUDE = Path(mflow_core.get_include())


def tool(name):
    spec = importlib.util.spec_from_file_location(f"tools_{name}", ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def offsets():
    return tool("abi").offsets(INCLUDE, COMPILER)


@needs_compiler
def test_face_is_frozen():
    """Broken lines are hosts broken; lines that are missing in abi.txt were appended, and are frozen by `python tools/abi.py`."""
    frozen = tool("abi").FROZEN.read_text().splitlines()
    assert tool("abi").broken(INCLUDE, COMPILER) == []
    assert tool("abi").face(INCLUDE, COMPILER) == frozen
    assert sum(line.startswith("cimport ") for line in frozen) == len(core_api.__pyx_capi__) >= 23


CHANGES = {
    "two numbers swapped": ("double t, h, rho;", "double h, t, rho;", {"mf_frame.t", "mf_frame.h"}),
    "two pointers swapped": ("const double *s0;  double *s1;", "double *s1;  const double *s0;", {"mf_frame.s0", "mf_frame.s1"}),
    "a field in the middle": ("  void *ctx;\n", "  double scale;\n  void *ctx;\n", {"mf_problem.ctx", "mf_problem.rhs"}),
    "another type": ("int32_t n_vis;", "uint32_t n_vis;", {"mf_sizes.n_vis"}),
    "another argument": ("(*mf_rhs_fn)(double t,", "(*mf_rhs_fn)(float t,", {"mf_rhs_fn"}),
    "another code": ("MF_E_BUSY = -1004", "MF_E_BUSY = -1044", {"MF_E_BUSY"}),
    "two functions swapped": (
        "  const char *(*version_text)(void);", "  void (*new_one)(void);\n  const char *(*version_text)(void);",
        {"mf_api.version_text", "mf_api.isa"},
    ),
    "a field more where hosts hold the struct": ("  int64_t work_extra; ", "  int64_t work_extra, more; ", {"mf_sizes"}),
}  # fmt: skip


@needs_compiler
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_header_is_seen(tmp_path, change):
    before, after, lost = CHANGES[change]
    include = Path(shutil.copytree(INCLUDE, tmp_path / "include"))
    header = include / "mflow" / "mflow.h"
    text = header.read_text()
    assert text.count(before) == 1
    header.write_text(text.replace(before, after))
    broken = tool("abi").broken(include, COMPILER)
    assert lost <= {re.split(r"[ :]+", re.sub(r"^(field +\d+|size \d+|\w+) ", "", line))[0] for line in broken}


@needs_compiler
def test_what_is_appended_breaks_nothing(tmp_path):
    include = Path(shutil.copytree(INCLUDE, tmp_path / "include"))
    header = include / "mflow" / "mflow.h"
    text = header.read_text().replace("} mf_api;", "  int (*later)(double);\n} mf_api;")
    version = abi.enums()["MF_API_VERSION"]
    header.write_text(re.sub(r"(#define MF_API_VERSION) \d+", rf"\1 {version + 1}", text))
    assert tool("abi").broken(include, COMPILER) == []
    face = tool("abi").face(include, COMPILER)
    assert any("mf_api.later" in line for line in face)
    assert [line.split(":")[0] for line in face[-2:]] == [f"version {version}", f"version {version + 1}"]


APPENDED = {
    "a function": ("} mf_api;", "  int (*later)(double);\n} mf_api;"),
    "a code": ("MF_E_STEPS = -1012", "MF_E_STEPS = -1012, MF_E_NEW = -1013"),
}


@needs_compiler
@pytest.mark.parametrize("addition", APPENDED)
@pytest.mark.parametrize("version", [0, -1])
def test_an_addition_needs_a_new_version(tmp_path, addition, version):
    """Otherwise a host of the new header is let in by a library that lacks functions that it calls. Nor does a version go back."""
    include = Path(shutil.copytree(INCLUDE, tmp_path / "include"))
    header = include / "mflow" / "mflow.h"
    now = abi.enums()["MF_API_VERSION"]
    header.write_text(re.sub(r"(#define MF_API_VERSION) \d+", rf"\1 {now + version}", header.read_text()).replace(*APPENDED[addition]))
    broken = tool("abi").broken(include, COMPILER)
    assert [line.split(":")[0] for line in broken] == [f"version {v}" for v in range(now + version, now + 1)]


# ---- the same structs elsewhere -------------------------------------------------------------------------------------------------------


@needs_compiler
def test_numpy_has_the_compilers_offsets(offsets):
    for name, fields in abi.structs().items():
        record = abi.dtype(name)
        assert record.itemsize == offsets[name], name
        assert {field.name: record.fields[field.name][1] for field in fields} == {f.name: offsets[f"{name}.{f.name}"] for f in fields}


@needs_compiler
def test_cffi_has_the_compilers_offsets(offsets):
    cffi = pytest.importorskip("cffi")
    ffi = cffi.FFI()
    ffi.cdef(abi.cdef())
    for name, fields in abi.structs().items():
        assert ffi.sizeof(f"struct {name}") == offsets[name]
        assert [ffi.offsetof(f"struct {name}", field.name) for field in fields] == [offsets[f"{name}.{field.name}"] for field in fields]


def test_fortran_face_is_up_to_date():
    out = subprocess.run([sys.executable, str(ROOT / "tools" / "make_fortran.py"), "--check"], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stdout + out.stderr


@needs_compiler
def test_fortran_has_the_compilers_offsets(tmp_path, offsets):
    """Sizes by c_sizeof and addresses of components, asked of the Fortran compiler."""
    compiler = shutil.which("gfortran")
    if compiler is None:
        pytest.skip("no gfortran on this machine")
    module = INCLUDE / "mflow" / "mflow.f90"
    types = re.findall(r"^  type, bind\(C\) :: (\w+)\n(.*?)^  end type", module.read_text(), re.M | re.S)
    declared, asked = [], []
    for name, body in types:
        declared.append(f"  type({name}), target :: a_{name}")
        asked.append(f'  print "(a, 1x, i0)", "{name}", c_sizeof(a_{name})')
        for field in re.findall(r":: (\w+)", body):
            where = f"transfer(c_loc(a_{name}%{field}), 0_c_intptr_t) - transfer(c_loc(a_{name}), 0_c_intptr_t)"
            asked.append(f'  print "(a, 1x, i0)", "{name}.{field}", &\n    {where}')
    source = tmp_path / "offsets.f90"
    source.write_text("\n".join(["program offsets", "  use mflow", "  implicit none", *declared, *asked, "end program"]))
    subprocess.run([compiler, "-std=f2018", "-Wall", "-Werror", "-J", tmp_path, module, source, "-o", tmp_path / "offsets"], check=True)
    out = subprocess.run([tmp_path / "offsets"], capture_output=True, text=True, check=True).stdout
    compiled = {name.replace("mf_sweep.dense", "mf_sweep.X"): int(value) for name, value in map(str.split, out.splitlines())}
    assert len(compiled) > 100
    assert compiled == {name: offsets[name] for name in compiled}
    for name in tool("make_fortran").TYPES:
        assert all(f"{name}.{field.name}" in compiled for field in abi.structs()[name])


def test_table_through_integers():
    name = np.frombuffer(b"rk4\0", np.uint8)
    record = registry.find("rk4")
    assert abi.function("find")(name.ctypes.data) == record.address
    assert ctypes.string_at(abi.function("isa")()).decode() == mflow_core.isa()
    with pytest.raises(ValueError, match=r"name: expected a function of the table .*, got 'stpe'"):
        abi.function("stpe")
    with pytest.raises(ValueError, match=r"name: expected a struct of mflow\.h"):
        abi.dtype("mf_frames")


def test_docstrings_of_abi_run():
    result = doctest.testmod(abi)
    assert result.attempted > 5
    assert result.failed == 0


# ---- mflow_import ---------------------------------------------------------------------------------------------------------------------


def importer(folder, **constants):
    """A module's mflow_import, of a header in which some constants have other values."""
    include = Path(shutil.copytree(INCLUDE, folder / "include"))
    header = include / "mflow" / "mflow.h"
    text = header.read_text()
    for name, value in constants.items():
        text = re.sub(rf"(#define {name}) \d+", rf"\1 {value}", text)
    header.write_text(text)
    source = folder / "host.c"
    source.write_text('#include "mflow/mflow_python.h"\nint host_import(void) { return mflow_import(); }\n')
    flags = ["-shared", "-fPIC", "-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{include}", f"-I{sysconfig.get_path('include')}"]
    subprocess.run([COMPILER, *flags, str(source), "-o", str(folder / "host.so")], check=True)
    return ctypes.PyDLL(str(folder / "host.so")).host_import


def capsule(address, name):
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(("PyCapsule_New", ctypes.pythonapi))
    return make(address, name, None)


@needs_compiler
def test_import_by_a_host(tmp_path):
    assert importer(tmp_path)() == 0


@needs_compiler
@pytest.mark.parametrize("constants", [{"MF_API_VERSION": 99}, {"MF_ABI": 2}])
def test_host_of_a_newer_header(tmp_path, constants):
    newer = importer(tmp_path, **constants)
    with pytest.raises(ImportError, match=r"this code was built for ABI \d+, API version \d+; the installed mflow has ABI 1, API version"):
        newer()


@needs_compiler
def test_capsules_of_another_kind(tmp_path, monkeypatch):
    host = importer(tmp_path)
    head = (ctypes.c_uint32 * 400)(1, 1, 16, 0)  # a table of version 1, with a size that ends before our functions
    name = b"mflow_core.api._C_API"
    monkeypatch.setattr(core_api, "_C_API", capsule(ctypes.addressof(head), name))
    with pytest.raises(ImportError, match="ABI 1, API version 1"):
        host()
    monkeypatch.setattr(core_api, "_C_API", capsule(ctypes.addressof(head), b"int (double)"))
    with pytest.raises(AttributeError, match="is not valid"):
        host()
    monkeypatch.delattr(core_api, "_C_API")
    with pytest.raises(AttributeError, match="_C_API"):
        host()
