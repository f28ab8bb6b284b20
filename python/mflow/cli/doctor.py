"""`mflow doctor`: what this installation has, what it lacks, and whether its kernels give the same bits at every level."""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import time
import warnings
from typing import Any

import numpy as np
from mflow_core import get_include

from mflow.base.extras import Extra, extras
from mflow.base.methods import Method, methods
from mflow.cli.methods import version
from mflow.cli.output import table
from mflow.data.tables import load_nist, nist_names
from mflow.dynamics.solve import solve_dynamics
from mflow.implicit.linear import ImplicitSGD
from mflow.integrate.ivp import solve_ivp
from mflow.optimize.minimize import minimize

__all__: list[str] = []

DESCRIPTION = "Look at this installation: instruction-set levels, optional packages, a compiler; test that the bits of all methods agree."
PATIENCE = 2.0  # seconds after which the self-test says how far it is
# What mflow works with and no extra brings, and what for.
OTHERS = {
    "torch": "mflow.torch, derivatives", "jax": "derivatives", "autograd": "derivatives", "obspy": "records of ground motion",
    "dask": "clusters", "joblib": "clusters", "mpi4py": "clusters",
}  # fmt: skip
TIMEOUT = 120.0  # seconds for the self-test at one level


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`mflow doctor` has no options of its own."""


def check_arguments(arguments: argparse.Namespace) -> None:
    """There is nothing to check."""


def command(arguments: argparse.Namespace) -> int:
    """Run `mflow doctor`; the exit code, 1 where something is broken."""
    begun = time.perf_counter()
    bits = compare_levels(bool(getattr(arguments, "quiet", False)))
    found: dict[str, Any] = {
        "version": version(), "python": platform.python_version(), "numpy": np.__version__, "system": platform.platform(),
        "compiler": compiler(), "include": get_include(), "nist": has_nist(), "packages": packages(), "bits": bits,
    }  # fmt: skip
    print(found["version"], around(), sep="\n")
    print(f"C compiler here: {found['compiler']}", f"C header: in {found['include']} (mflow-config)", sep="\n")
    if not found["nist"]:
        print("NIST's problems are not here: whoever distributes this installation has left their files out")
    print()
    rows = [[p["extra"] or "-", p["name"], p["needs"] or "-", p["version"] or "missing", p["advice"]] for p in found["packages"]]
    print(table(["extra", "package", "needs", "here", ""], rows, ("needs",), (0, 1, 2, 3, 4)))
    print(f"\n{said_of(bits)} ({time.perf_counter() - begun:.1f} s)")
    arguments.write_json(lambda: found)
    return 0 if bits["same"] and not bits["failed"] else 1


def around() -> str:
    """What else a report of a fault has to name: Python, NumPy, SciPy where it is installed, and the system."""
    scipy = f"SciPy {here}, " if (here := installed("scipy")) else ""
    return f"Python {platform.python_version()}, NumPy {np.__version__}, {scipy}{platform.platform()}"


def said_of(bits: dict[str, Any]) -> str:
    """The self-test in a sentence."""
    if bits["failed"]:
        return "self-test: " + "; ".join(f"level {level} failed: {words}" for level, words in bits["failed"].items())
    levels = ", ".join(bits["levels"])
    if not bits["same"]:
        return f"self-test: the bits of {', '.join(bits['different'])} differ between the levels {levels}; this is a fault of mflow"
    return f"self-test: {bits['count']} methods ran, and have the same bits at the level{'s' * (len(bits['levels']) > 1)} {levels}"


def compiler() -> str:
    """The first line of what the C compiler says of itself; building mflow or a host needs one, using mflow does not."""
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    words = [word for word in reversed(command.split()) if not word.startswith("-")]  # the last: `ccache gcc -pthread`
    name = next((word for word in (*words, "cc", "gcc", "clang") if shutil.which(word)), None)
    if name is None:
        return "none (needed to build mflow or a host of its C API, not to use it)"
    try:
        told = subprocess.run([name, "--version"], capture_output=True, text=True, timeout=TIMEOUT, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{name} does not run: {error}"
    return told.splitlines()[0] if told else name


def has_nist() -> bool:
    """Whether the files of NIST's problems are here; a distributor may leave them out."""
    try:
        load_nist(nist_names()[0])
    except FileNotFoundError:
        return False
    return True


def packages() -> list[dict[str, str]]:
    """The optional packages, each once: those of the installed distribution's extras, and those without one; what is here, what to do."""
    by_name: dict[str, list[Extra]] = {}
    for extra in extras():
        by_name.setdefault(extra.package, []).append(extra)
    out = []
    for name, its in by_name.items():
        here, bound = installed(name), next((extra for extra in its if extra.needs), its[0])
        own = min(its, key=lambda extra: sum(other.extra == extra.extra for other in extras()))  # that brings the fewest others
        advice, brought_by = "" if here and bound.fits(here) else own.advice, ", ".join(extra.extra for extra in its)
        out.append({"extra": brought_by, "name": name, "needs": bound.needs, "version": here, "advice": advice})
    for name, purpose in OTHERS.items():
        if name not in by_name:
            here = installed(name)
            out.append(
                {"extra": "", "name": name, "needs": "", "version": here, "advice": "" if here else f"pip install {name}: {purpose}"}
            )
    return out


def installed(package: str) -> str:
    """The version that is here, or ""."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def compare_levels(quiet: bool = True) -> dict[str, Any]:
    """Run the self-test at every level that this build and this processor have, each in a process of its own, side by side.

    Where it takes long, it says on standard error how far it is.
    """
    from mflow_core._levels import LEVELS
    from mflow_core.registry import LEVEL

    usable = LEVELS[LEVELS.index(LEVEL) :] if "MFLOW_ISA" not in os.environ else (LEVEL,)
    seen: dict[str, dict[str, str]] = {}
    failed: dict[str, str] = {}
    begun = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(len(usable)) as pool:
        waiting = {pool.submit(_prints_at, level) for level in usable}
        while waiting:
            done, waiting = concurrent.futures.wait(waiting, PATIENCE, concurrent.futures.FIRST_COMPLETED)
            for level, prints, words in (future.result() for future in done):
                if prints is None:
                    failed[level] = words
                else:
                    seen[level] = prints
            spent = time.perf_counter() - begun
            if waiting and spent >= PATIENCE and not quiet:
                print(f"self-test: {len(usable) - len(waiting)} of {len(usable)} levels done after {spent:.0f} s", file=sys.stderr)
    seen = {level: seen[level] for level in usable if level in seen}
    first = next(iter(seen.values()), {})
    different = sorted(name for name in first if any(other.get(name) != first[name] for other in seen.values()))
    return {"levels": list(seen), "count": len(first), "same": bool(seen) and not different, "different": different, "failed": failed}


def _prints_at(level: str) -> tuple[str, dict[str, str] | None, str]:
    """(level, its fingerprints, "") or (level, None, what went wrong)."""
    code = "import json; from mflow.cli.doctor import fingerprints; print(json.dumps(fingerprints()))"
    try:
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "MFLOW_ISA": level},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return level, None, str(error)
    if run.returncode != 0:
        return level, None, (run.stderr.strip().splitlines() or ["no words"])[-1]
    return level, json.loads(run.stdout), ""


def fingerprints() -> dict[str, str]:
    """A hash of what each method computes on a small problem of its kind."""
    return {method.name: hashlib.sha256(np.ascontiguousarray(numbers_of(method)).tobytes()).hexdigest()[:16] for method in methods()}


def numbers_of(method: Method) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What a method computes on a small problem of its kind, by products and sums alone."""
    if method.kind in ("update", "direction"):
        start = np.linspace(-1.2, 1.0, 7)
        return np.asarray(minimize(_valley, start, jac=True, method=method, maxiter=25, gtol=0.0, check_gradient=False).x)
    if method.kind == "sweep":
        X = np.linspace(-1.0, 1.0, 60).reshape(20, 3) ** 2
        return np.asarray(ImplicitSGD("squared", lr=0.5).fit(X, X @ [1.0, -2.0, 0.5], epochs=2, seed=0).coef)
    if "second_order" in method.flags:
        K = [[6.0, -2.0, 0.0], [-2.0, 4.0, -1.0], [0.0, -1.0, 3.0]]
        with warnings.catch_warnings():  # of steps past a limit: some methods have none for undamped motion
            warnings.simplefilter("ignore", RuntimeWarning)
            return solve_dynamics(mass=[2.0, 1.0, 1.5], stiffness=K, t_span=(0.0, 1.0), x0=[1.0, 0.5, -0.25], method=method, dt=0.05).x
    return np.asarray(solve_ivp(_oscillator, (0.0, 1.0), [2.0, -0.5], method=method, dt=0.05).y)


def _valley(x: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
    return float(np.sum(x**4 / 4 - x**2 / 2 + 0.1 * x)), x * x * x - x + 0.1


def _oscillator(t: float, y: np.ndarray[Any, Any]) -> list[float]:
    return [y[1], (1.0 - y[0] * y[0]) * y[1] - y[0]]
