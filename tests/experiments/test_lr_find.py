"""`lr_find`: where a rate is suggested, between which rates it is known, and how little that depends on the batches drawn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mflow

Array = Any


def _network(rows: int = 300) -> tuple[Any, list[Array], tuple[Array, Array]]:
    """A classifier 4-16-2, where to start, and its data."""
    rng = np.random.default_rng(100)
    X = rng.normal(size=(rows, 4))
    y = (np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] > 0).astype(int)

    def cost(p: list[Array], X: Array, y: Array) -> tuple[float, list[Array]]:
        W1, b1, W2, b2 = p
        h = np.tanh(X @ W1 + b1)
        z = h @ W2 + b2
        q = np.exp(z - z.max(axis=1, keepdims=True))
        q /= q.sum(axis=1, keepdims=True)
        loss = -float(np.mean(np.log(q[np.arange(len(y)), y] + 1e-300)))
        q[np.arange(len(y)), y] -= 1.0
        d = q / len(y)
        inner = (d @ W2.T) * (1.0 - h * h)
        return loss, [X.T @ inner, inner.sum(axis=0), h.T @ d, d.sum(axis=0)]

    return cost, [0.5 * rng.normal(size=(4, 16)), np.zeros(16), 0.35 * rng.normal(size=(16, 2)), np.zeros(2)], (X, y)


@pytest.mark.parametrize(("optimizer", "lr"), [("adamw", 5e-3), ("sgd", 5e-2)])
def test_the_batches_drawn_hardly_move_the_suggestion(optimizer: str, lr: float) -> None:
    """Over seeds it moved by a factor of 130, or there was none, as the losses of batches were compared with each other."""
    cost, params, data = _network()
    found = [mflow.lr_find(cost, params, data, optimizer, seed=seed) for seed in range(6)]
    rates = [one.suggestion for one in found]
    assert max(rates) < 2.0 * min(rates)
    assert lr / 3.0 < min(rates) < max(rates) < 3.0 * lr
    for one in found:
        low, high = one.interval
        assert all(low < rate < high for rate in rates)
        assert f"fastest at {one.suggestion:.3g}, and at least half as fast between {low:.3g} and {high:.3g}" in one.message


def test_the_interval_is_that_of_the_loss_in_closed_form() -> None:
    """c' = -c over t, the sum of the rates: the loss exp(-2 t) falls fastest against log(lr) where 2 t = 1, for a geometric series t."""
    found = mflow.lr_find(lambda c: (0.5 * float(c @ c), 1.0 * c), np.ones(1), lr_min=1e-6, lr_max=1e-1, steps=400)
    ratio = found.lr[1] / found.lr[0]
    t = found.lr * ratio / (ratio - 1.0)
    fall = 2.0 * t * np.exp(-2.0 * t)
    best = found.lr[np.argmax(fall)]
    half = found.lr[fall >= 0.5 * fall.max()]
    assert found.suggestion == pytest.approx(best, rel=0.5)
    assert found.interval[0] == pytest.approx(half[0], rel=0.5)
    assert found.interval[1] == pytest.approx(half[-1], rel=0.5)


def test_the_sample_is_of_the_same_rows_after_each_step() -> None:
    """Its loss is that of the trained parameters on rows spread over all, or on the first batch of an iterable."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(1000, 3))
    y = X @ np.array([1.0, -2.0, 0.5])

    def cost(w: Array, X: Array, y: Array) -> tuple[float, Array]:
        r = X @ w - y
        return 0.5 * float(np.mean(r**2)), X.T @ r / len(y)

    steps = {"lr_min": 1e-3, "lr_max": 0.5, "steps": 40}
    rows = np.unique(np.linspace(0, 999, 256).astype(int))
    batches = [(X[k : k + 25], y[k : k + 25]) for k in range(0, 1000, 25)]
    for data, args in (
        ((X, y), (X[rows], y[rows])),
        (batches, batches[0]),
        (iter(batches), batches[0]),
        (lambda epoch: batches, batches[0]),
    ):
        found = mflow.lr_find(cost, np.zeros(3), data, shuffle=False, **({"batch_size": 25} if isinstance(data, tuple) else {}), **steps)
        w = np.zeros(3)
        for k, rate in enumerate(found.lr):
            assert found.loss[k] == cost(w, *batches[k])[0]
            w -= rate * cost(w, *batches[k])[1]
            assert found.sample_loss[k] == pytest.approx(cost(w, *args)[0], rel=1e-12)
    compiled = mflow.lr_find(mflow.objectives.LeastSquares(X, y), np.zeros(3), batch_size=25, shuffle=False, **steps)
    arrays = mflow.lr_find(cost, np.zeros(3), (X, y), batch_size=25, shuffle=False, **steps)
    np.testing.assert_allclose(compiled.sample_loss, arrays.sample_loss, rtol=1e-12)
    whole = mflow.lr_find(cost, np.zeros(3), (X, y), batch_size=1000, shuffle=False, **steps)
    np.testing.assert_array_equal(whole.sample_loss, whole.loss)


def test_residuals_of_implicit_steps_have_a_sample_too() -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(60, 2))
    y = X @ np.ones(2)
    found = mflow.lr_find(lambda w, X, y: X @ w - y, np.zeros(2), (X, y), "implicit_sgd", jac=lambda w, X, y: X, batch_size=10)
    assert found.success
    assert found.sample_loss[-1] < 1e-3 * found.sample_loss[0]


def test_a_fall_after_a_clear_rise_is_another_one() -> None:
    """Far beyond the stable rates losses leap up and down, and the steepest leap was suggested."""
    cost, params, data = _network()
    found = mflow.lr_find(cost, params, data, "momentum", batch_size=300)
    fallen = np.minimum.accumulate(found.sample_loss)
    before = found.lr < found.suggestion
    assert np.all(found.sample_loss[before] <= fallen[before] * 1.05)
    assert found.suggestion < 0.02


def test_a_loss_with_noise_of_its_own_says_what_hides_where() -> None:
    """Dropout, say: nothing is suggested, or the ends of the line are named; seldom is noise taken for a fall."""
    X = np.random.default_rng(3).normal(size=(512, 8))
    y = X @ np.ones(8)
    noisy = []
    for seed in range(8):
        noise = np.random.default_rng(seed)

        def cost(w: Array, X: Array, y: Array, noise: Any = noise) -> tuple[float, Array]:
            r = X @ w - y
            return 0.5 * float(np.mean(r**2)) + 4.0 * noise.normal(), X.T @ r / len(r)

        found = mflow.lr_find(cost, np.zeros(8), (X, y), batch_size=16, seed=seed, lr_max=0.5)
        if found.success and "hides where" in found.message:
            low, high = found.interval
            assert high / low > 30.0
            assert low < found.suggestion < high
            noisy.append(seed)
        elif not found.success:
            assert all(math.isnan(end) for end in found.interval)
            noisy.append(seed)
    assert len(noisy) >= 4


@pytest.mark.parametrize(
    ("optimizer", "words"), [("adam", "steps of adam are divided by"), ("sgd", "raise lr_max to see where it diverges")]
)
def test_what_a_loss_in_its_range_says_of_larger_rates(optimizer: str, words: str) -> None:
    found = mflow.lr_find(lambda c: (float(c @ c), 2.0 * c), np.array([1.0, 2.0]), None, optimizer, lr_max=0.5)
    assert found.reason == "finished"
    assert words in found.message
    assert ("raise lr_max" in found.message) == (optimizer == "sgd")
