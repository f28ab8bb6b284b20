"""Sessions of a developer, each in a virtual environment of its own. What stands after `--` goes to the tool that a session runs:

    nox                                       tests, lint and types: before you send a change
    nox -s tests -- tests/integrate           one folder of the tests, on every Python that is here
    nox -s tests-3.12 -- -n0 -k adam --pdb    one Python, the tests of one word, in one process
    nox -s lint -- ruff                       one linter
    nox -s bench -- bench/bench_optim.py      one file of timings

What a session installs stands in pyproject.toml, and the versions of the linters there and in .pre-commit-config.yaml.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.reuse_existing_virtualenvs = True

PYPROJECT = nox.project.load_toml("pyproject.toml")
BUILD = PYPROJECT["build-system"]["requires"]
EXTRAS = PYPROJECT["project"]["optional-dependencies"]
LOWEST = ("numpy", "scipy", "matplotlib", "scikit-learn")  # what mflow itself imports; the rest serves the tests


def hooks(session: nox.Session, *arguments: str, **variables: str) -> None:
    """Runs the hooks of .pre-commit-config.yaml on all files that git knows."""
    session.install(*(package for package in EXTRAS["dev"] if package.startswith("pre-commit")))
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure", *arguments, env=variables)


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """The test suite against a real install, on each Python that is here; arguments go to pytest."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, dead names, spelling, by pre-commit; an argument names one hook. Mends what it can, and then fails."""
    hooks(session, *session.posargs, SKIP="mypy")


@nox.session
def types(session: nox.Session) -> None:
    """mypy --strict on python/mflow, by pre-commit."""
    hooks(session, "mypy")


@nox.session
def bench(session: nox.Session) -> None:
    """Ratios of times against C twins, NumPy, numba, torch and SciPy, on a quiet machine; arguments go to pytest."""
    session.install(".[bench]")
    folder = [] if any(word.startswith("bench") for word in session.posargs) else ["bench"]
    session.run("python", "-m", "pytest", *folder, *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The site in build/html, with warnings as errors; its tutorials run. Arguments go to sphinx-build."""
    session.install(".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-q", *session.posargs, "docs", "build/html")


@nox.session(python="3.11")
def minimal(session: nox.Session) -> None:
    """The test suite with the lowest versions that pyproject.toml allows, where it says one; arguments go to pytest."""
    packages = [*PYPROJECT["project"]["dependencies"], *EXTRAS["test"]]
    lowest = [package.replace(">=", "==") for package in packages if package.split(">=")[0] in LOWEST]
    session.install(".[test]", "pyparsing<3.3", *lowest)  # matplotlib 3.7 calls what later ones warn of
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def dist(session: nox.Session) -> None:
    """The source archive and a wheel in dist/, looked at by the tools that read them."""
    session.install("build", "twine", "check-wheel-contents", "auditwheel; sys_platform == 'linux'")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", *session.posargs)
    files = [str(path) for path in sorted(Path("dist").iterdir())]
    session.run("twine", "check", "--strict", *files)
    wheels = [name for name in files if name.endswith(".whl")]
    session.run("check-wheel-contents", *wheels)
    if sys.platform == "linux":
        session.run("auditwheel", "show", *wheels)


@nox.session
def stubs(session: nox.Session) -> None:
    """Writes what is derived from the method records: type stubs of their classes, and docs/arguments.md."""
    session.install(".")
    session.run("python", "tools/make_stubs.py")
    session.run("python", "tools/make_methods.py")


@nox.session
def asan(session: nox.Session) -> None:
    """The test suite under the address and undefined-behaviour sanitizers (gcc); arguments go to pytest."""
    session.install(*BUILD, *EXTRAS["test"])
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
            "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
            "HOME": os.environ.get("HOME", str(Path.cwd())),
        },
    )  # fmt: skip
