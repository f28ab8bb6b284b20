"""A fresh virtual environment with a real install of the mflow under test, for codes that embed it.

The wheel is packed again from the files of the running install, so nothing is compiled: from what its RECORD lists, or, where the
install is an editable one, from what Meson installs out of its build folder. NumPy, build tools and the other packages that examples
need are those of the running environment, seen through a .pth file; mflow itself is found in the fresh environment first.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Any

import mflow_core
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler on this machine")


def library(source: str, folder: Path) -> ctypes.CDLL:
    """A host in C99 that includes mflow's header, compiled without a warning."""
    path, target = folder / "host.c", folder / "host.so"
    path.write_text(source)
    flags = ["-shared", "-fPIC", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{mflow_core.get_include()}"]
    subprocess.run([str(COMPILER), *flags, str(path), "-o", str(target)], check=True)
    return ctypes.CDLL(str(target))


def skip(reason: str) -> Any:
    """MFLOW_EXAMPLES=all: what is missing is a failure."""
    if os.environ.get("MFLOW_EXAMPLES") == "all":
        pytest.fail(reason)
    return pytest.skip(reason)


def need_program(*names: str) -> str:
    """The first of these programs that is here; else the test is skipped with the reason."""
    for name in names:
        found = shutil.which(name, path=tool_path())
        if found:
            return found
    return str(skip(f"{' or '.join(names)} is not on this machine"))


def need_package(name: str, module: str) -> None:
    if importlib.util.find_spec(module) is None:
        skip(f"the package {name} is not installed: pip install '.[test]'")


def need_python_to_build(embed: bool = False) -> None:
    """Python's own headers, and its library for a program that embeds it."""
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        skip("Python.h is not on this machine: install Python's development files")
    folders = [sysconfig.get_config_var(name) for name in ("LIBDIR", "LIBPL")]
    names = [sysconfig.get_config_var(name) for name in ("LDLIBRARY", "LIBRARY")]
    if embed and not any(Path(folder, name).is_file() for folder in folders for name in names if folder and name):
        skip("libpython is not on this machine: install Python's development files")


def tool_path() -> str:
    return os.pathsep.join([str(Path(sys.executable).parent), sysconfig.get_path("scripts"), os.environ["PATH"]])


def installed_files(folder: Path) -> list[tuple[Path, str]]:
    """(where it is, its name in a wheel) of every file of the installed mflow but its dist-info."""
    editable = [finder for finder in sys.meta_path if type(finder).__name__ == "MesonpyMetaFinder" and "mflow" in finder._top_level_modules]
    if not editable:
        files = importlib.metadata.distribution("momentum-flow").files or []
        kept = [file for file in files if file.parts[0] in ("mflow", "mflow_core") and file.suffix != ".pyc"]
        return [(Path(str(file.locate())), str(file)) for file in kept]
    meson = [sys.executable, "-m", "mesonbuild.mesonmain"]
    command = [*meson, "install", "-C", editable[0]._build_path, "--no-rebuild", "--quiet", "--destdir", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    places = {path.parent for path in folder.rglob("mflow*/__init__.py")}
    return [(file, str(file.relative_to(place.parent))) for place in places for file in place.rglob("*") if file.is_file()]


def pack_wheel(folder: Path) -> Path:
    """The running install as a wheel."""
    distribution = importlib.metadata.distribution("momentum-flow")
    info = f"momentum_flow-{distribution.version}.dist-info"
    texts = {name: distribution.read_text(name) for name in ("METADATA", "WHEEL", "entry_points.txt")}
    tag = next(line.split()[1] for line in texts["WHEEL"].splitlines() if line.startswith("Tag:"))
    wheel = folder / f"momentum_flow-{distribution.version}-{tag}.whl"
    files = installed_files(folder / "staged")
    names = [name for _, name in files] + [f"{info}/{name}" for name in texts]
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, name in files:
            archive.write(path, name)
        for name, text in texts.items():
            archive.writestr(f"{info}/{name}", text)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*names, f"{info}/RECORD"]))
    return wheel


class Environment:
    """The fresh environment, and how commands run in it: as after `activate`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "venv"
        venv.create(self.folder, with_pip=False, symlinks=True)
        self.python = self.folder / "bin" / "python"
        self.purelib = next((self.folder / "lib").glob("python*/site-packages"))
        seen = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        (self.purelib / "tools.pth").write_text("\n".join(seen) + "\n")
        self.variables = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PIP_")) or name == "PYTHONMALLOC"
        }
        self.variables |= {
            "PATH": os.pathsep.join([str(self.folder / "bin"), tool_path()]),
            "VIRTUAL_ENV": str(self.folder),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_INDEX": "1",
            # what is tested is that a host builds, not how fast it is: half of the time was the compilers' optimization
            "CFLAGS": "-O0",
            "CXXFLAGS": "-O1",  # its simulations run for a while
            "SKBUILD_CMAKE_BUILD_TYPE": "Debug",
            # a host program's interpreter; where it lies is the host's affair
            "LD_LIBRARY_PATH": os.pathsep.join(filter(None, [sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH")])),
        }
        self.pip_install(pack_wheel(folder))

    def run(self, *command: object, cwd: Path | None = None, build: bool = False, **variables: str) -> str:
        """Runs a command and hands out what it printed; a failure shows all of it. build: without a sanitizer's preloaded libraries."""
        known = {name: value for name, value in self.variables.items() if not build or name != "LD_PRELOAD"}
        done = subprocess.run(
            [str(word) for word in command], cwd=cwd or self.folder, env={**known, **variables},
            capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def pip_install(self, *what: Path) -> None:
        """Modules are compiled as they are imported: a few of the some 300."""
        self.run(
            sys.executable, "-m", "pip", "--python", self.python, "install", "--quiet", "--no-deps", "--no-build-isolation",
            "--no-warn-script-location", "--ignore-installed", "--no-compile", *what, build=True,
        )  # fmt: skip

    def copy(self, example: str, folder: Path) -> Path:
        """A clean copy of an example."""
        return Path(shutil.copytree(EXAMPLES / example, folder / example))
