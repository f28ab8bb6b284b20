"""Parameters in groups: `train` takes them as an optimizer has them, so that one function serves a loop of one's own and `train`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mflow

Array = Any
DATA = np.random.default_rng(0).normal(size=(120, 3))
TARGET = DATA @ np.array([1.0, 2.0, -1.0])
ROWS = (DATA, TARGET)


def nested(p: Any, X: Array, y: Array) -> tuple[float, Any]:
    """A network, its weights in one group and its biases in another."""
    (W1, W2), (b1, b2) = p
    h = np.tanh(X @ W1 + b1)
    r = (h @ W2 + b2)[:, 0] - y
    d = (r / len(y))[:, None]
    inner = (d @ W2.T) * (1.0 - h * h)
    return 0.5 * float(np.mean(r * r)), [[X.T @ inner, h.T @ d], [inner.sum(axis=0), d.sum(axis=0)]]


def flat(p: Any, X: Array, y: Array) -> tuple[float, Any]:
    loss, (weights, biases) = nested([p[:2], p[2:]], X, y)
    return loss, [*weights, *biases]


def groups() -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    return [
        {"params": [rng.normal(size=(3, 4)), rng.normal(size=(4, 1))], "weight_decay": 0.1},
        {"params": [np.zeros(4), np.zeros(1)], "weight_decay": 0.0, "lr": 1e-2},
    ]


def loop() -> list[Array]:
    """The same steps in a loop by hand."""
    made = groups()
    opt = mflow.optim.AdamW(made, lr=3e-3)
    for X, y in mflow.minibatches(DATA, TARGET, batch_size=30, seed=0, epochs=3):
        opt.step(nested([g["params"] for g in made], X, y)[1])
    return [a for g in made for a in g["params"]]


@pytest.mark.parametrize("given", ["none", "arrays of each group", "groups", "flat", "groups of a named optimizer"])
def test_the_arrangement_of_the_optimizer_is_taken(given: str) -> None:
    """Only the flat list was, whose gradient `step` refuses."""
    made = groups()
    arrays = [g["params"] for g in made]
    params: Any = {"none": None, "arrays of each group": arrays, "flat": [*arrays[0], *arrays[1]]}.get(given, made)
    named = "named" in given
    opt = "adamw" if named else mflow.optim.AdamW(made, lr=3e-3)
    more = {"lr": 3e-3} if named else {}
    cost = flat if given == "flat" else nested
    run = mflow.train(cost, params, (DATA, TARGET), opt, epochs=3, batch_size=30, seed=0, jac=True, **more)
    last = run.last_params if given == "flat" else [a for part in run.last_params for a in part]
    for mine, hand in zip(last, loop(), strict=True):
        np.testing.assert_array_equal(mine, hand)
    moved = not np.array_equal(made[0]["params"][0], groups()[0]["params"][0])
    assert moved is not named  # a named optimizer trains copies


def test_groups_of_dicts_go_on_from_a_checkpoint(tmp_path: Any) -> None:
    def cost(p: Any) -> tuple[float, Any]:
        return float(p[0]["a"] @ p[0]["a"] + p[1] @ p[1]), [{"a": 2 * p[0]["a"]}, 2 * p[1]]

    made = [{"params": {"a": np.ones(2)}, "lr": 0.1}, {"params": np.ones(3)}]
    call: dict[str, Any] = {"jac": True, "lr": 0.01, "monitor": "curvature", "average": "ema"}
    mflow.train(cost, made, None, "adam", epochs=5, checkpoint=tmp_path / "c", **call)
    again = mflow.train(cost, made, None, "adam", epochs=9, resume=tmp_path / "c", **call)
    whole = mflow.train(cost, made, None, "adam", epochs=9, **call)
    np.testing.assert_array_equal(again.params[0]["a"], whole.params[0]["a"])
    np.testing.assert_array_equal(again.params[1], whole.params[1])
    np.testing.assert_array_equal(again.averaged_params[1], whole.averaged_params[1])
    assert whole.curvature.largest.size > 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda a: mflow.train(nested, [a[:2], a[2:]], ROWS, "adam", jac=True), "expected a flat list of arrays, got a list of arrays"),
        (lambda a: mflow.optim.Adam({"layer": {"W": a[0]}}), "expected a flat dict of arrays, got a dict of arrays as entry 'layer'"),
        (lambda a: mflow.optim.EMA([a[:2], a[2:]]), "put all arrays into one list or dict"),
        (lambda a: mflow.train(nested, None, (DATA, TARGET), "adam", jac=True), "params: expected where to start, got None"),
        (lambda a: mflow.train(nested, groups(), (DATA, TARGET), "lbfgs", jac=True), "got groups, and 'lbfgs' has no groups"),
        (lambda a: mflow.train(nested, [a[:2], a[2:]], ROWS, mflow.optim.Adam(groups()), jac=True), "as a flat list, or params=None"),
        (lambda a: mflow.lr_find(nested, groups(), (DATA, TARGET), "adamw"), "params: group 1 has an lr of its own"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(call: Any, words: str) -> None:
    arrays = [a for g in groups() for a in g["params"]]
    with pytest.raises((TypeError, ValueError, IndexError), match=words):
        call(arrays)


def test_a_search_for_a_rate_takes_groups() -> None:
    made = [{k: v for k, v in g.items() if k != "lr"} for g in groups()]
    assert mflow.lr_find(nested, made, (DATA, TARGET), "adamw", batch_size=20).success
