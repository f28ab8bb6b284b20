"""Codes that embed mflow: every project under examples/ is installed for real, into a fresh virtual environment, and runs there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from support.hosts import EXAMPLES, ROOT, Environment, need_package, need_program, need_python_to_build

DOCS = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    if sys.platform == "win32":
        pytest.skip("the examples are built as on Unix")
    need_package("pip", "pip")
    environment = Environment(tmp_path_factory.mktemp("fresh"))
    where = environment.run("python", "-c", "import mflow, mflow_core; print(mflow.__file__, mflow_core.__file__)").split()
    assert all(Path(path).is_relative_to(environment.folder) for path in where)
    return environment


def test_mflow_config(fresh):
    out = fresh.run(
        "mflow-config", "--version", "--cflags", "--libs", "--includedir", "--cmakedir", "--pkgconfigdir", "--pxddir", "--fortran"
    )
    version, cflags, libs, include, cmake, pkgconfig, pxd, fortran = out.split("\n")[:8]
    assert version == fresh.run("python", "-c", "import mflow; print(mflow.__version__)").strip()
    assert cflags.strip("'\"") == f"-I{include}"
    assert libs == ""
    assert (Path(include) / "mflow" / "mflow.h").is_file()
    assert (Path(cmake) / "mflowConfig.cmake").is_file()
    assert (Path(pkgconfig) / "mflow.pc").is_file()
    assert (Path(pxd) / "mflow_core" / "api.pxd").is_file()
    assert Path(fortran).is_file()


def test_pkg_config(fresh):
    need_program("pkg-config")
    folder = fresh.run("mflow-config", "--pkgconfigdir").strip()
    flags = fresh.run("pkg-config", "--cflags", "mflow", PKG_CONFIG_PATH=folder).strip()
    assert Path(flags.removeprefix("-I"), "mflow", "mflow.h").is_file()
    assert fresh.run("pkg-config", "--modversion", "mflow", PKG_CONFIG_PATH=folder) == fresh.run("mflow-config", "--version")


def need_meson_python() -> None:
    need_package("meson-python", "mesonpy")
    need_package("meson", "mesonbuild")
    need_program("ninja")


def test_cython(fresh, tmp_path):
    need_python_to_build()
    need_meson_python()
    need_program("cython")
    need_program("cc", "gcc", "clang")
    folder = fresh.copy("cython", tmp_path)
    fresh.pip_install(folder)
    assert "rk4" in fresh.run("python", folder / "run.py")


def test_cmake(fresh, tmp_path):
    need_python_to_build()
    need_package("scikit-build-core", "scikit_build_core")
    need_program("cmake")
    need_program("ninja")
    need_program("c++", "g++", "clang++")
    folder = fresh.copy("cmake", tmp_path)
    fresh.pip_install(folder)
    assert "not finite" in fresh.run("python", folder / "run.py")


PYTHON_PROJECTS = {"numba": "njit_loops", "cffi": "cffi_host", "python": "bar"}  # example: its module


@pytest.fixture(scope="module")
def python_projects(fresh, tmp_path_factory):
    """All of them installed, at once: most of the time of an install is pip's own."""
    need_meson_python()
    fresh.pip_install(*(fresh.copy(example, tmp_path_factory.mktemp(example)) for example in PYTHON_PROJECTS))
    return PYTHON_PROJECTS


@pytest.mark.parametrize("example", PYTHON_PROJECTS)
def test_python_projects(fresh, python_projects, example):
    if example != "python":
        need_package(example, example)
    assert fresh.run("python", "-m", python_projects[example])


def test_c(fresh, tmp_path):
    need_python_to_build(embed=True)
    need_program("make")
    need_program("cc", "gcc", "clang")
    folder = fresh.copy("c", tmp_path)
    fresh.run("make", "install", f"PREFIX={tmp_path}", cwd=folder, build=True)
    assert "have the same bits: yes" in fresh.run(tmp_path / "bin" / "ensemble", OMP_NUM_THREADS="4")


def test_cpp(fresh, tmp_path):
    need_python_to_build(embed=True)
    need_program("cmake")
    need_program("c++", "g++", "clang++")
    folder = fresh.copy("cpp", tmp_path)
    fresh.run("cmake", "-S", folder, "-B", tmp_path / "build", f"-DCMAKE_INSTALL_PREFIX={tmp_path}", "-DCMAKE_BUILD_TYPE=Debug", build=True)
    fresh.run("cmake", "--build", tmp_path / "build", "--target", "install", build=True)
    lines = fresh.run(tmp_path / "bin" / "cloth").splitlines()
    assert [line.rpartition("; ")[2] for line in lines] == ["balanced", "balanced", "blown up"]


def test_fortran(fresh, tmp_path):
    need_python_to_build(embed=True)
    need_meson_python()
    need_program("gfortran")
    need_program("pkg-config")
    folder = fresh.copy("fortran", tmp_path)
    path = fresh.run("mflow-config", "--pkgconfigdir").strip()
    meson = [sys.executable, "-m", "mesonbuild.mesonmain"]
    fresh.run(*meson, "setup", tmp_path / "build", folder, f"--prefix={tmp_path}", PKG_CONFIG_PATH=path, build=True)
    fresh.run(*meson, "install", "-C", tmp_path / "build", build=True)
    assert fresh.run(tmp_path / "bin" / "oscillator").count("no error") == 3


# ---- docs/embedding.md ---------------------------------------------------------------------------------------------------------------


def test_code_of_the_docs_is_that_of_the_examples():
    """A block is under the name of its file, and stands there as it is; an ellipsis line divides excerpts."""
    blocks = re.findall(r"^\[`?(examples/[\w./]+)`?\]\([\w./]+\).*?\n\n```\w+\n(.*?)^```", DOCS, re.S | re.M)
    built = {path.parent.name for path in EXAMPLES.glob("*/*") if path.name in ("meson.build", "Makefile", "CMakeLists.txt")}
    assert {name.split("/")[1] for name, _ in blocks} == built
    for name, block in blocks:
        text = (ROOT / name).read_text(encoding="utf-8")
        for part in re.split(r"^ *(?:#|//|!|/\*) \.\.\..*\n", block, flags=re.M):
            assert part.strip("\n") in text, f"docs/embedding.md: not in {name}:\n{part}"


def test_commands_of_the_docs_run(fresh):
    commands = re.findall(r"^```sh\n(.*?)^```", DOCS, re.S | re.M)
    assert commands
    for command in commands:
        if "mflow-config" in command:
            fresh.run("sh", "-e", "-c", command)


def test_links_of_the_docs():
    for target in re.findall(r"\]\(([\w./]+)\)", DOCS):
        assert (ROOT / "docs" / target).exists(), target
