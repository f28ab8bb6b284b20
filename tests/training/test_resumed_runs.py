"""Runs that were interrupted: every optimizer under every kind of schedule goes on from its checkpoint, and what had ended ends alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mflow_core import registry

import mflow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(23, 3))
Y = X @ [1.0, -2.0, 0.5]
RATES = {
    "rising": lambda: mflow.schedules.LinearLR(0.02),
    "cycle": lambda: mflow.schedules.OneCycleLR(0.05, 200),
    "warm-up": lambda: mflow.schedules.CosineAnnealingLR(0.02, 50, warmup=5),
    "function": lambda: lambda step: 0.01 + 0.001 * step,
}


def cost(w: Any, X: Any, y: Any) -> Any:
    r = X @ w - y
    return 0.5 * float(np.mean(r**2)), X.T @ r / len(y)


@pytest.mark.parametrize("rates", RATES)
@pytest.mark.parametrize("name", [record.name for record in registry.records() if record.kind == "update"])
def test_a_rising_lr_resumes(tmp_path: Any, name: str, rates: str) -> None:
    """Scalars of schedule-free methods were expected as a constant lr would leave them, and the file of a good run could not be read."""
    how = {"batch_size": 4, "seed": 1, "jac": True}
    whole = mflow.train(cost, np.zeros(3), (X, Y), name, epochs=5, lr=RATES[rates](), **how)
    mflow.train(cost, np.zeros(3), (X, Y), name, epochs=3, lr=RATES[rates](), checkpoint=tmp_path / "run", **how)
    again = mflow.train(cost, np.zeros(3), (X, Y), name, epochs=5, lr=RATES[rates](), resume=tmp_path / "run", **how)
    assert np.array_equal(whole.params, again.params)


@pytest.mark.parametrize("steps", [1, 5, 6, 17, 18, 24])
@pytest.mark.parametrize("validation", [None, (X[:5], Y[:5])])
def test_what_ended_by_max_steps_ends_alike(tmp_path: Any, steps: int, validation: Any) -> None:
    """The parameters of an epoch before were returned."""
    how = {"batch_size": 4, "seed": 1, "jac": True, "lr": 0.02, "epochs": 8, "max_steps": steps, "validation": validation}
    first = mflow.train(cost, np.zeros(3), (X, Y), "sgd", checkpoint=tmp_path / "run", **how)
    again = mflow.train(cost, np.zeros(3), (X, Y), "sgd", resume=tmp_path / "run", **how)
    assert np.array_equal(first.params, again.params)
    assert np.array_equal(first.history.loss, again.history.loss)
    assert (first.nit, first.epochs, first.reason) == (again.nit, again.epochs, again.reason)


def test_a_resumed_run_with_nothing_left_tells_of_the_epochs_that_were_done(tmp_path: Path) -> None:
    def call(epochs: int, **more: Any) -> Any:
        return mflow.train(lambda c: (c @ c, 2.0 * c), np.ones(2), None, "sgd", epochs=epochs, jac=True, lr=0.1, **more)

    call(7, checkpoint=tmp_path / "run")
    r = call(5, resume=tmp_path / "run")
    assert r.message.startswith("7 epochs, 7 steps were done before, and epochs = 5 asks for no more")
    assert (r.reason, r.epochs, r.nit) == ("finished", 7, 7)
    assert call(7, resume=tmp_path / "run").message.startswith("7 epochs, 7 steps;")


def test_only_the_entries_of_the_data_that_differ_are_named(tmp_path: Path) -> None:
    def call(batch_size: int, **more: Any) -> Any:
        X = np.arange(16.0).reshape(8, 2)
        return mflow.train(lambda w, X: X.T @ (X @ w) / 8, np.ones(2), (X,), "sgd", 2, batch_size, lr=1e-3, seed=0, **more)

    call(4, checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match=r"with other data: batch_size was 4, and is 2 here$"):
        call(2, resume=tmp_path / "run")


def test_another_rate_from_a_checkpoint_on(tmp_path: Any) -> None:
    """The message named a way that loses the moments alone; the one that it names keeps them, as a run whose rate falls then."""

    def cost(w: Any) -> tuple[float, Any]:
        return 0.5 * float(w @ w), w.copy()

    call: dict[str, Any] = {"optimizer": "adam", "jac": True, "epochs": 5}
    path = tmp_path / "run"
    mflow.train(cost, np.ones(2), lr=0.05, checkpoint=path, **call)
    with pytest.raises(ValueError, match=r"opt = result\.optimizer; opt\.lr = \.\.\.; mflow\.train\(fun, None, data, opt\)"):
        mflow.train(cost, np.ones(2), lr=0.001, resume=path, **call)
    opt = mflow.train(cost, np.ones(2), lr=0.05, resume=path, **call).optimizer
    opt.lr = 0.001
    r = mflow.train(cost, None, optimizer=opt, jac=True, epochs=5)
    expected = mflow.train(cost, np.ones(2), lr=lambda k: 0.05 if k < 5 else 0.001, **{**call, "epochs": 10})
    np.testing.assert_array_equal(r.last_params, expected.last_params)
