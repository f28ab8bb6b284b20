"""The training driver: what an epoch costs beyond the same loop by hand (batches, gradient, step, the losses kept)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

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
