"""Compiled objectives: what `minimize` adds to them, how they stand against C, numba and NumPy, and a great many small fits.

Times of `minimize` are those of one iteration of the whole call: gradient, test, update, at ten unknowns, for every optimizer. The
fits are timed on a few thousand lanes: their cost is proportional to the number, so a million take a million times what one line says.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mflow
from mflow.problems import objectives

if TYPE_CHECKING:
    from conftest import Bench, Runner

Array = np.ndarray[Any, np.dtype[np.float64]]

HERE = Path(__file__).resolve().parent
SIZE, COUNT = ctypes.c_ssize_t, 10
AN_ITERATION = 300.0  # ns at n = 10
A_FIT = 15_000.0  # ns: a million in 15 s on one core
AGAINST_C = 1.15
OF_TWO = 0.6
ROWS, COLUMNS = 100_000, 50
LANES, STEPS, LR = 4096, 100, 1e-3
UPDATES = [m.name for m in mflow.methods() if m.kind == "update"]


@pytest.fixture(scope="session")
def library(load_c: Callable[..., ctypes.CDLL]) -> ctypes.CDLL:
    out = load_c("objectives.c")
    for name in ("twin_least_squares", "twin_logistic"):
        getattr(out, name).argtypes, getattr(out, name).restype = [SIZE, SIZE] + 4 * [ctypes.c_void_p], ctypes.c_double
    out.twin_fits.argtypes, out.twin_fits.restype = [SIZE, SIZE, SIZE, ctypes.c_double, ctypes.c_double, ctypes.c_void_p], None
    return out


def repeated(call: Callable[[], Any]) -> Runner:
    def run(count: int) -> None:
        for _ in range(count):
            call()

    return run


@pytest.mark.parametrize("method", UPDATES)
def test_an_iteration_of_minimize(method: str, bench: Bench, library: ctypes.CDLL) -> None:
    f = objectives.Rosenbrock(COUNT)
    how = {"lr": 1e-4} if any(p.name == "lr" for p in mflow.get_method(method).parameters_) else {}
    start = np.array(f.x0)

    def ours(count: int) -> None:
        assert mflow.minimize(f, start, method=method, maxiter=count, gtol=0.0, **how).nit == count

    def twin(count: int) -> None:
        library.twin_fits(1, COUNT, count, 1e-4, 0.0, start.copy().ctypes.data)

    if method == "adam":
        x = start.copy()
        library.twin_fits(1, COUNT, 50, 1e-4, 0.0, x.ctypes.data)
        np.testing.assert_allclose(mflow.minimize(f, start, method=method, maxiter=50, gtol=0.0, **how).x, x, rtol=1e-10)
    functions = {"mflow": ours, "C, Adam on it" if method == "adam" else "C, Adam": twin}
    bench.compare(f"minimize on Rosenbrock, n = {COUNT}: {method}, an iteration", functions, limit_ns=AN_ITERATION)


@pytest.mark.parametrize("name", ["LeastSquares", "Logistic"])
def test_cost_and_gradient(name: str, bench: Bench, library: ctypes.CDLL) -> None:
    rng = np.random.default_rng(0)
    X, c = rng.standard_normal((ROWS, COLUMNS)), rng.standard_normal(COLUMNS) / 7
    y = rng.standard_normal(ROWS) if name == "LeastSquares" else np.where(rng.random(ROWS) < 1 / (1 + np.exp(-X @ c)), 1.0, -1.0)
    f, g = getattr(objectives, name)(X, y), np.empty(COLUMNS)
    twin = getattr(library, "twin_least_squares" if name == "LeastSquares" else "twin_logistic")

    def by_hand() -> float:
        return float(twin(ROWS, COLUMNS, X.ctypes.data, y.ctypes.data, c.ctypes.data, g.ctypes.data))

    def by_numpy() -> Any:
        t = X @ c
        if name == "LeastSquares":
            return 0.5 * np.mean((t - y) ** 2), X.T @ (t - y) / ROWS
        v = y * t
        return np.mean(np.logaddexp(0.0, -v)), X.T @ (-y / (1 + np.exp(v))) / ROWS

    functions: dict[str, Callable[[], Any]] = {"mflow": lambda: f.value_and_grad(c), "C": by_hand, "NumPy": by_numpy}
    value, grad = f.value_and_grad(c)
    np.testing.assert_allclose(by_hand(), value, rtol=1e-10)
    np.testing.assert_allclose(g, grad, rtol=1e-8, atol=1e-12)
    numba = by_numba(name)
    if numba is not None:
        functions["numba"] = lambda: numba(X, y, c)
        np.testing.assert_allclose(numba(X, y, c)[1], grad, rtol=1e-8, atol=1e-12)
    what = f"{name}, cost and gradient, {ROWS:,} rows of {COLUMNS}"
    bench.compare(what, {k: repeated(v) for k, v in functions.items()}, {"C": AGAINST_C}, rounds=11, seconds=2e-2)


@pytest.mark.parametrize("name", ["LeastSquares", "Logistic"])
def test_two_threads(name: str, bench: Bench) -> None:
    rng = np.random.default_rng(0)
    X, c = rng.standard_normal((ROWS, COLUMNS)), rng.standard_normal(COLUMNS) / 7
    f = getattr(objectives, name)(X, np.sign(rng.standard_normal(ROWS)))

    def two() -> Any:
        with mflow.threads(2):
            return f.value_and_grad(c)

    assert np.array_equal(two()[1], f.value_and_grad(c)[1])
    functions = {"mflow": repeated(two), "one thread": repeated(lambda: f.value_and_grad(c))}
    bench.compare(f"{name} on two threads, {ROWS:,} rows of {COLUMNS}", functions, {"one thread": OF_TWO}, rounds=11, seconds=2e-2)


def test_sparse_rows(bench: Bench) -> None:
    """A table of words: 20 of 20 000 columns in each row, against SciPy's products with it."""
    sparse = pytest.importorskip("scipy.sparse")
    rng, rows, columns, entries = np.random.default_rng(0), 50_000, 20_000, 20
    at = rng.integers(0, columns, rows * entries)
    X = sparse.csr_array((rng.random(rows * entries), at, np.arange(0, rows * entries + 1, entries)), shape=(rows, columns))
    y, c = np.where(rng.random(rows) < 0.5, 1.0, -1.0), rng.standard_normal(columns)
    f, turned = objectives.Logistic(X, y), X.T.tocsr()

    def by_scipy() -> Any:
        v = y * (X @ c)
        return np.mean(np.logaddexp(0.0, -v)), turned @ (-y / (1 + np.exp(v))) / rows

    np.testing.assert_allclose(f.value_and_grad(c)[1], by_scipy()[1], rtol=1e-9, atol=1e-15)
    functions = {"mflow": repeated(lambda: f.value_and_grad(c)), "SciPy": repeated(by_scipy)}
    bench.compare(f"Logistic, cost and gradient, {rows:,} sparse rows of {entries}", functions, {"SciPy": 1.0}, rounds=11, seconds=2e-2)


def by_numba(name: str) -> Callable[[Array, Array, Array], tuple[float, Array]] | None:
    """The plain loops, compiled by numba without liberties in arithmetic; None where there is none."""
    try:
        import numba
    except ImportError:
        return None
    import math

    squares = name == "LeastSquares"

    def cost(X: Array, y: Array, c: Array) -> tuple[float, Array]:
        total, g = 0.0, np.zeros(X.shape[1])
        for i in range(X.shape[0]):
            t = 0.0
            for j in range(X.shape[1]):
                t += X[i, j] * c[j]
            if squares:
                s = t - y[i]
                total += 0.5 * s * s
            else:
                v = y[i] * t
                total += math.log1p(math.exp(-abs(v))) - min(v, 0.0)
                s = -y[i] / (1.0 + math.exp(v))
            for j in range(X.shape[1]):
                g[j] += s * X[i, j]
        return total / X.shape[0], g / X.shape[0]

    compiled: Callable[[Array, Array, Array], tuple[float, Array]] = numba.njit(error_model="numpy")(cost)
    return compiled


def test_many_fits(bench: Bench, library: ctypes.CDLL) -> None:
    f = objectives.Rosenbrock(COUNT)
    starts = np.random.default_rng(0).uniform(-2, 2, (LANES, COUNT))

    def ours(threads: int = 1) -> Any:
        return mflow.minimize_batch(f, starts, "adam", lr=LR, maxiter=STEPS, gtol=0.0, threads=threads)

    def by_hand() -> Array:
        x = starts.copy()
        library.twin_fits(LANES, COUNT, STEPS, LR, 0.0, x.ctypes.data)
        return x

    np.testing.assert_allclose(ours().x, by_hand(), rtol=1e-9, atol=1e-12)

    def lanes(call: Callable[[], Any]) -> Runner:
        """A unit of work is one lane: whole batches, as many as make up the count."""

        def run(count: int) -> None:
            for _ in range(max(1, round(count / LANES))):
                call()

        return run

    found = bench.interleaved({"mflow": repeated(ours), "C": repeated(by_hand)}, rounds=9, seconds=5e-2)
    per_lane = {name: bench.Quartiles(q.lower / LANES, q.median / LANES, q.upper / LANES) for name, q in found.items()}
    bench.show(lanes(ours), 5e-2)
    line = bench.Line(
        f"a fit of {COUNT} unknowns, {STEPS} Adam steps, in a batch", per_lane["mflow"], "C, one by one", per_lane["C"], None, A_FIT
    )
    bench.line(line)
