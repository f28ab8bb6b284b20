"""The training driver: what a step costs beyond the same loop by hand; compiled objectives against Python, a C loop and two threads."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mflow

if TYPE_CHECKING:
    from conftest import Bench

BATCHES = 500


def cost(w: Any, g: Any) -> tuple[float, Any]:
    """A cost that costs nothing: what is left is the loop."""
    return 0.5, g


def by_hand(data: list[Any]) -> Any:
    w, losses = np.zeros(10), []
    optimizer = mflow.optim.Adam(w, lr=1e-3)
    for (g,) in data:
        loss, gradient = cost(w, g)
        losses.append(loss)
        optimizer.step(gradient)
    return w


def by_train(data: list[Any]) -> Any:
    return mflow.train(cost, np.zeros(10), data, "adam", 1, jac=True, lr=1e-3).last_params


def test_overhead_of_a_step(bench: Bench) -> None:
    data = [(row,) for row in np.random.default_rng(0).normal(size=(BATCHES, 10))]
    assert np.array_equal(by_train(data), by_hand(data))
    functions = {"train": bench.loop("run(data)", run=by_train, data=data), "loop by hand": bench.loop("run(data)", run=by_hand, data=data)}
    bench.compare(f"{BATCHES} steps of Adam, n = 10, empty cost", functions, rounds=15, seconds=5e-3)


# ---- compiled objectives ---------------------------------------------------------------------------------------------------------------


def regression(rows: int, columns: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, columns))
    return X, X @ rng.normal(size=columns) + 0.1 * rng.normal(size=rows)


@pytest.fixture(scope="module")
def library(load_c: Callable[..., ctypes.CDLL]) -> ctypes.CDLL:
    return load_c("training.c")


@pytest.mark.parametrize("columns", [10, 50])
@pytest.mark.parametrize("batch_size", [1, 32])
def test_sgd_on_least_squares(bench: Bench, library: ctypes.CDLL, batch_size: int, columns: int) -> None:
    """Ten epochs, shuffled anew; ns a sample. The twin is the loop alone, in C, over orders that are drawn already."""
    rows, epochs = 4096, 10
    X, y = regression(rows, columns)
    fun, generator = mflow.objectives.LeastSquares(X, y), np.random.default_rng(0)
    orders = [generator.permutation(rows) for _ in range(epochs)]
    how = {"epochs": epochs, "batch_size": batch_size, "seed": 0, "lr": 1e-3}
    pointer = ctypes.POINTER(ctypes.c_double)
    twin = library.sgd_least_squares
    twin.argtypes = [ctypes.c_long] * 3 + [pointer] * 2 + [ctypes.POINTER(ctypes.c_int64), ctypes.c_double] + [pointer] * 4
    w, g, losses, norms = np.zeros(columns), np.zeros(columns), np.empty(rows), np.empty(rows)
    fixed = [a.ctypes.data_as(pointer) for a in (X, y)]
    moving = [a.ctypes.data_as(pointer) for a in (w, g, losses, norms)]
    drawn = [order.ctypes.data_as(ctypes.POINTER(ctypes.c_int64)) for order in orders]

    def compiled() -> Any:
        return mflow.train(fun, np.zeros(columns), None, "sgd", **how)

    def python() -> Any:
        cost = lambda c, at: fun.batch(at).value_and_grad(c)  # noqa: E731
        return mflow.train(cost, np.zeros(columns), (np.arange(rows),), "sgd", jac=True, **how)

    def c_loop() -> Any:
        w[:] = 0.0
        for order in drawn:
            twin(rows, columns, batch_size, *fixed, order, 1e-3, *moving)
        return w

    result = compiled()
    assert np.array_equal(result.last_params, python().last_params)
    np.testing.assert_allclose(result.last_params, c_loop(), rtol=1e-9)
    functions = {
        name: (lambda count, run=run: [run() for _ in range(count)])
        for name, run in (("train", compiled), ("twin, C", c_loop), ("train, cost in Python", python))
    }
    found = bench.interleaved(functions, rounds=11, seconds=5e-3)
    each = {name: bench.Quartiles(*(v / (rows * epochs) for v in (q.lower, q.median, q.upper))) for name, q in found.items()}
    bench.show(functions["train"])
    for peer in ("twin, C", "train, cost in Python"):
        what = f"SGD on least squares, ns a sample, p = {columns}, batches of {batch_size}, {rows} rows"
        bench.line(bench.Line(what, each["train"], peer, each[peer]))


def test_two_threads_without_the_gil(bench: Bench) -> None:
    """Eight runs in one thread and in two: 0.5 is perfect. Short of it by what the machine's processors do besides."""
    X, y = regression(20_000, 20)
    fun = mflow.objectives.Logistic(X, y > 0)
    task = mflow.Training(fun, fun.x0, epochs=5, batch_size=32)

    def sweep(workers: int) -> Any:
        return mflow.sweep(task, ["adam"], np.geomspace(1e-3, 1e-1, 8), workers=workers)

    assert np.array_equal(sweep(1).loss, sweep(2).loss)
    functions = {
        "two threads": lambda count: [sweep(2) for _ in range(count)], "one thread": lambda count: [sweep(1) for _ in range(count)],
    }  # fmt: skip
    bench.compare("sweep of 8 runs on compiled logistic regression", functions, rounds=5, seconds=5e-3)
