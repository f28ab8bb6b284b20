"""Descent by line searches and nonlinear least squares: what an iteration and what a fit costs, against SciPy.

Rosenbrock's valley in ten variables is compiled for mflow and Python for SciPy, whose minimizers call Python only; NIST's models are
Python for both.
"""

from __future__ import annotations

import ctypes
import shlex
import shutil
import subprocess
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mflow
from mflow.data import load_nist, nist_names

if TYPE_CHECKING:
    from conftest import Bench

scipy = pytest.importorskip("scipy")
pytest.importorskip("scipy.optimize")

N = 10
BLOCK = 40
PER_ITERATION = 300.0  # nanoseconds of an iteration, evaluations of a compiled objective of ten variables apart
SOURCE = """#include <stddef.h>
int valley(const double *x, double *value, double *grad, ptrdiff_t n, void *ctx) {
  double v = 0; if (grad) grad[0] = 0;
  for (ptrdiff_t i = 0; i + 1 < n; i++) {
    const double u = x[i + 1] - x[i] * x[i], w = 1 - x[i];
    v += 100 * u * u + w * w;
    if (grad) { grad[i] += -400 * x[i] * u - 2 * w; grad[i + 1] = 200 * u; }
  }
  if (value) *value = v;
  return 0;
}
"""


@pytest.fixture(scope="module")
def valley(tmp_path_factory: pytest.TempPathFactory, flags: list[str]) -> Any:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        pytest.skip("no C compiler for the objective")
    folder = tmp_path_factory.mktemp("fits")
    (folder / "valley.c").write_text(SOURCE)
    subprocess.run([*shlex.split(compiler), *flags, "-fPIC", "-shared", "-o", str(folder / "v.so"), str(folder / "valley.c")], check=True)
    f = ctypes.CDLL(str(folder / "v.so")).valley
    pointer = ctypes.POINTER(ctypes.c_double)
    f.argtypes, f.restype = [pointer, pointer, pointer, ctypes.c_ssize_t, ctypes.c_void_p], ctypes.c_int
    return f


@pytest.mark.parametrize("kind", ["exact", "backtracking", "armijo", "strong_wolfe", "barzilai_borwein"])
def test_an_iteration(kind: str, bench: Bench, valley: Any) -> None:
    """One iteration with its evaluations, and its share of the call of `minimize`."""
    start = np.full(N, -1.0)

    def blocks(run: Callable[[int], Any]) -> Callable[[int], None]:
        """A runner of so many iterations, in descents of BLOCK: none is near its end by then."""

        def go(count: int) -> None:
            for done in range(0, count, BLOCK):
                run(min(BLOCK, count - done))

        return go

    def ours(count: int) -> Any:
        return mflow.minimize(valley, start, method="steepest_descent", line_search=kind, gtol=0, maxiter=count)

    def peer(count: int) -> Any:
        rosen, der = scipy.optimize.rosen, scipy.optimize.rosen_der
        return scipy.optimize.minimize(rosen, start, jac=der, method="CG", options={"maxiter": count, "gtol": 0})

    assert ours(BLOCK).nit == peer(BLOCK).nit == BLOCK
    bench.compare(f"an iteration, {kind}, n = {N}", {"mflow": blocks(ours), "SciPy, CG": blocks(peer)}, seconds=10e-3, rounds=9)


def test_overhead(bench: Bench, valley: Any) -> None:
    """`minimize` with a fixed step and a compiled objective."""
    start = np.full(N, -1.0)

    def plain(count: int) -> None:
        mflow.minimize(valley, start, method="sgd", lr=1e-6, gtol=0, maxiter=max(1, count))

    bench.compare(f"minimize, an iteration of sgd, n = {N}", {"mflow": plain}, seconds=10e-3)
    found = bench.interleaved({"mflow": plain}, seconds=10e-3)["mflow"]
    bench.line(bench.Line(f"minimize, an iteration of sgd, n = {N}", found, "", None, limit_ns=PER_ITERATION))


def test_the_nist_sets(bench: Bench) -> None:
    """All 27 sets from the near start, model and Jacobian in NumPy."""
    problems = [load_nist(name) for name in nist_names()]

    def ours(count: int) -> None:
        for _ in range(count):
            for p in problems:
                mflow.least_squares(p.residual, p.starts[1], p.jacobian)

    def peer(count: int) -> None:
        for _ in range(count):
            for p in problems:
                scipy.optimize.least_squares(p.residual, p.starts[1], p.jacobian, method="lm", xtol=1e-12, ftol=1e-12, gtol=1e-12)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        bench.compare("27 NIST sets, near start", {"mflow": ours, "SciPy, lm": peer}, seconds=1e-3, rounds=5)
