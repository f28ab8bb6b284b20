"""Developer sessions: `nox -l` lists them, `nox -s NAME` runs one."""

import os
import subprocess
from pathlib import Path

import nox

nox.options.sessions = ["tests", "lint", "types"]
nox.options.reuse_existing_virtualenvs = True
BUILD = ("meson-python", "meson", "ninja", "cython", "numpy")


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """The test suite against a real install, on each Python that is here. Arguments go to pytest."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, cython-lint and codespell: style, dead names, spelling."""
    session.install("ruff", "cython-lint", "codespell")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("cython-lint", "src/mflow_core")
    session.run("codespell", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "src", "python", "tests", "bench", "tools", "docs", "examples")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict on python/mflow."""
    session.install("mypy", "numpy", "types-tqdm")
    session.run("mypy")


@nox.session
def bench(session: nox.Session) -> None:
    """Ratios against C twins, NumPy, numba, torch and SciPy in one run. Quiet machine, please."""
    session.install(".[bench]")
    session.run("python", "-m", "pytest", "bench", *session.posargs)


@nox.session
def gallery(session: nox.Session) -> None:
    """Draw the pictures of docs/gallery again and write the page that shows them."""
    session.install(".[plot]")
    session.run("python", "tools/make_gallery.py", *session.posargs)


@nox.session
def stubs(session: nox.Session) -> None:
    """Write the type stubs of the classes that are made from rows."""
    session.install(".")
    session.run("python", "tools/make_stubs.py")


@nox.session
def asan(session: nox.Session) -> None:
    """The test suite under the address and undefined-behaviour sanitizers (gcc)."""
    session.install(*BUILD, "pytest", "pytest-benchmark", "mpmath", "scipy", "matplotlib", "tqdm")
    session.install(
        "--no-build-isolation", ".", "-Cbuild-dir=build/asan", "-Csetup-args=-Dbuildtype=debugoptimized",
        "-Csetup-args=-Db_sanitize=address,undefined", "-Csetup-args=-Db_lundef=false",
    )  # fmt: skip
    libraries = [
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    session.run(
        "python", "-m", "pytest", "-p", "no:cacheprovider", *session.posargs,
        env={
            "LD_PRELOAD": ":".join(libraries),
            "PYTHONMALLOC": "malloc",
            "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
            "HOME": os.environ.get("HOME", str(Path.cwd())),
        },
    )  # fmt: skip
