"""A cost whose gradient is the parameters themselves, or a part of them, as weight decay alone has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mflow

DATA = np.zeros((4, 1))


def decay(w: Any, X: Any) -> Any:
    return 0.5 * float(w @ w), w


def crossed(p: Any, X: Any) -> Any:
    """a.b, whose gradients are each the other's parameters."""
    return float(p["a"] @ p["b"]), {"a": p["b"], "b": p["a"]}


def copied(cost: Any) -> Any:
    def fun(p: Any, X: Any) -> Any:
        value, g = cost(p, X)
        return value, {k: a.copy() for k, a in g.items()} if isinstance(g, dict) else g.copy()

    return fun


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "nesterov"])
def test_a_gradient_that_shares_memory_is_that_before_the_step(name: str, accumulate: int) -> None:
    """`train` refused it; the bits are those of a copy."""
    for cost, start in ((decay, np.array([1.0, -2.0])), (crossed, {"a": np.array([1.0, 2.0]), "b": np.array([0.5, -1.0])})):
        how: dict[str, Any] = {"optimizer": name, "epochs": 3, "batch_size": 2, "lr": 0.1, "jac": True, "accumulate": accumulate}
        r, same = mflow.train(cost, start, DATA, **how), mflow.train(copied(cost), start, DATA, **how)
        assert r.nit == same.nit > 0
        for one, other in zip(np.ravel(list(np.atleast_1d(r.last_params))), np.ravel(list(np.atleast_1d(same.last_params))), strict=True):
            if isinstance(one, dict):
                assert all(np.array_equal(one[key], other[key]) for key in one)
            else:
                assert one == other


def test_weight_decay_alone_is_a_power() -> None:
    """Each step of size 0.1 leaves 0.9 of the parameters."""
    r = mflow.train(decay, np.array([1.0, -2.0]), DATA, optimizer="sgd", epochs=3, batch_size=2, lr=0.1, jac=True)
    np.testing.assert_allclose(r.last_params, 0.9**6 * np.array([1.0, -2.0]), rtol=1e-15)


@pytest.mark.parametrize("turned", [lambda g: g.T.copy().T, lambda g: g[::-1].copy()[::-1], np.asfortranarray], ids=["T", "back", "F"])
@pytest.mark.parametrize("average", [None, 0.5])
def test_a_gradient_that_lies_otherwise_in_memory_trains_as_its_copy(turned: Any, average: Any) -> None:
    """(h.T @ d).T is one; `train` refused it, where torch takes any."""
    X = np.random.default_rng(0).normal(size=(12, 3))

    def cost(p: Any, X: Any, turn: Any = turned) -> Any:
        r = X @ p["W"] - X[:, :2]
        return 0.5 * float(np.mean(r**2)), {"W": turn(X.T @ r / r.size), "b": np.zeros(1)}

    start = {"W": np.ones((3, 2)), "b": np.zeros(1)}
    how: dict[str, Any] = {"optimizer": "adam", "epochs": 4, "batch_size": 6, "lr": 0.1, "jac": True, "seed": 0, "average": average}
    r = mflow.train(cost, start, (X,), **how)
    same = mflow.train(lambda p, X: cost(p, X, np.ascontiguousarray), start, (X,), **how)
    assert r.nit == 8
    assert np.array_equal(r.last_params["W"], same.last_params["W"])
