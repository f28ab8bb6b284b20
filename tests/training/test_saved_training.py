"""Checkpoints of training with a right checksum and false contents: refused by name, or without consequence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mflow_core import registry

import mflow
from support.hostile import altered
from support.hostile.altered import Stop, fuse

X = np.random.default_rng(0).normal(size=(12, 3))
Y = X @ np.array([1.0, 2.0, 3.0])
SHARE = 19


def cost(c: Any, x: Any, y: Any) -> Any:
    r = x @ c - y
    return float(r @ r) / len(y), 2 * x.T @ r / len(y)


WAYS: list[dict[str, Any]] = [
    {"optimizer": "adam"},
    {"optimizer": "momentum", "lr": mflow.schedules.CosineAnnealingLR(0.05, 12), "track_lr": True},
    {"optimizer": "sgd", "lr": mflow.schedules.ReduceLROnPlateau(0.05), "validation": (X, Y), "patience": 9, "accumulate": 2},
]


def started(way: int, path: Path) -> dict[str, Any]:
    call = {"fun": cost, "params": np.zeros(3), "data": (X, Y), "jac": True, "epochs": 4, "batch_size": 4, "seed": 1, **WAYS[way]}
    with pytest.raises(Stop):
        mflow.train(**call, checkpoint=path, checkpoint_every=1, step_callback=fuse(6))
    return call


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_no_field_is_believed(way: int, tmp_path: Path) -> None:
    call, bad, named = started(way, tmp_path / "good"), tmp_path / "bad", list[bool]()
    straight = mflow.train(**call)
    magic, cases = altered.read(tmp_path / "good")[0], altered.cases(tmp_path / "good", lambda name: name.startswith(("best", "vector")))
    for words, other, some in cases[way::SHARE]:
        altered.write(bad, magic, other, some)
        try:
            r = mflow.train(**call, resume=bad)  # warnings are errors here: a vector that is not finite is loaded, and said
        except (ValueError, RuntimeWarning) as error:
            named.append("bad" in str(error) or "as it was saved" in str(error))
            continue
        assert (r.reason, r.nit, r.nfev) == (straight.reason, straight.nit, straight.nfev), words
        for a, b in ((r.params, straight.params), (r.history.loss, straight.history.loss), (r.history.step_lr, straight.history.step_lr)):
            np.testing.assert_array_equal(a, b, err_msg=words)
    assert all(named)
    assert len(named) > 40


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("counters", "epoch"), -3, "epoch: expected a whole number of at least 0, got -3"),  # it hung
        (("counters", "batch"), 10**6, "batch: expected the one after"),
        (("counters", "nit"), 7, "row step_loss: expected 7 numbers"),
        (("counters", "best"), 1e-9, "best: expected "),
        (("counters", "loss"), "x", "loss: expected a number, got 'x'"),
        (("optimizer", "steps"), 0, "optimizer: steps: expected"),
        (("optimizer", "groups"), None, "does not fit"),
        (("elapsed",), -1.0, "elapsed: expected"),
    ],
)
def test_the_field_is_named_and_nothing_changes(place: tuple[str, ...], value: Any, words: str, tmp_path: Path) -> None:
    call = started(0, tmp_path / "good")
    magic, facts, blocks = altered.read(tmp_path / "good")
    altered.write(tmp_path / "bad", magic, altered.put(facts, place, value), blocks)
    params = np.full(3, 7.0)
    opt = mflow.optim.Adam(params, lr=0.001)
    call.pop("optimizer")
    with pytest.raises(ValueError, match=f"resume: .*bad.*{words}"):
        mflow.train(**{**call, "params": params, "optimizer": opt}, resume=tmp_path / "bad")
    assert params.tolist() == [7.0] * 3
    assert opt.steps == 0


def test_parameters_that_are_not_finite_are_said(tmp_path: Path) -> None:
    call = started(0, tmp_path / "good")
    magic, facts, blocks = altered.read(tmp_path / "good")
    altered.write(tmp_path / "bad", magic, facts, {**blocks, "params 0": np.array([1.0, np.nan, 0.0]).tobytes()})
    r = mflow.train(**call, resume=tmp_path / "bad")
    assert (r.reason, r.success) == ("non_finite", False)
    assert "params are not finite at the start" in r.message


def resumed(path: Path, call: dict[str, Any], facts: Any, blocks: dict[str, bytes]) -> str:
    """What a run from this file is refused with."""
    altered.write(path, b"mflow training 2", facts, blocks)
    with pytest.raises(ValueError, match=r"resume: .* does not fit this call") as caught:
        mflow.train(**call, resume=path)
    return str(caught.value)


@pytest.mark.parametrize("name", [r.name for r in registry.records() if r.kind == "update" and len(r.vectors) > 1])
def test_vectors_that_no_gradients_leave(name: str, tmp_path: Path) -> None:
    """A mean of squares below 0, for every method that has one; NaN beside a parameter that is a number, for every vector."""
    call = {"fun": cost, "params": np.zeros(3), "data": (X, Y), "jac": True, "epochs": 4, "batch_size": 4, "seed": 1, "optimizer": name}
    with pytest.raises(Stop):
        mflow.train(**call, checkpoint=tmp_path / "good", checkpoint_every=1, step_callback=fuse(6))
    _, facts, blocks = altered.read(tmp_path / "good")
    squares = {"adagrad": "s", "adadelta": "vu", "rmsprop": "v", "adam": "v", "adamw": "v", "adamax": "u", "nadam": "v", "radam": "v",
               "adabelief": "s", "sparse_adam": "v", "rprop": "h", "schedule_free_adamw": "v"}.get(name, "")  # fmt: skip
    for block in [key for key in blocks if key.startswith("vector")]:
        vector = np.frombuffer(blocks[block]).copy()
        vector[1] = np.nan
        assert f"{block}: expected numbers, got nan" in resumed(tmp_path / "bad", call, facts, {**blocks, block: vector.tobytes()})
        vector[1] = -1.0
        negative = {**blocks, block: vector.tobytes()}
        if block[-1] in squares:
            assert f"{block[-1]} of array 0, got -1.0 in entry 1" in resumed(tmp_path / "bad", call, facts, negative)
        else:
            altered.write(tmp_path / "bad", b"mflow training 2", facts, negative)
            assert mflow.train(**call, resume=tmp_path / "bad").reason == "finished"


@pytest.mark.parametrize("way", range(3))
def test_what_follows_from_the_history_is_compared_with_it(way: int, tmp_path: Path) -> None:
    """Neither the generator nor a checksum of fields is in the file: they follow from the seed, the parameters and the losses."""
    call = started(way, tmp_path / "good")
    _, facts, blocks = altered.read(tmp_path / "good")
    assert "generator" not in facts
    assert not [name for name in facts if "checksum" in name]
    if way == 0:
        for j, factor in ((0, 1.0 + 1e-12), (2, 0.5), (4, -1.0)):
            scalars = facts["optimizer"]["groups"][0]["scalars"]
            other = altered.put(facts, ("optimizer", "groups", 0, "scalars", j), scalars[j] * factor)
            assert "optimizer: scalars: expected" in resumed(tmp_path / "bad", call, other, blocks)
    else:
        other = altered.put(facts, ("optimizer", "groups", 0, "parameters", "lr"), 0.04)
        assert "optimizer: lr: expected" in resumed(tmp_path / "bad", call, other, blocks)
    if way == 2:
        for name, value in (("lr", 0.005), ("best", 1e-3), ("num_bad_epochs", 3), ("cooldown_counter", 2)):
            other = altered.put(facts, ("schedules", 0, name), value)
            assert f"schedules: {name}: expected" in resumed(tmp_path / "bad", call, other, blocks)
