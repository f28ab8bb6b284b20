"""Minibatches, splitting and scaling of arrays."""

import math
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mflow.data import minibatches, standardize, train_test_split


def epochs_of(batches: Any, per_epoch: int) -> list[list[int]]:
    parts = [batch.tolist() for batch in batches]
    groups = [parts[start : start + per_epoch] for start in range(0, len(parts), per_epoch)]
    return [[row for part in group for row in part] for group in groups]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 7, 50, 100, 101, 5000])
def test_every_row_once_an_epoch(batch_size: int, shuffle: bool) -> None:
    batches = minibatches(np.arange(100), batch_size=batch_size, epochs=3, seed=4, shuffle=shuffle)
    assert len(list(batches)) == len(batches) == 3 * math.ceil(100 / batch_size)
    orders = epochs_of(batches, batches.batches_per_epoch)
    assert len(orders) == 3
    assert all(sorted(order) == list(range(100)) for order in orders)
    assert (orders[0] != orders[1] != orders[2] != orders[0]) is shuffle
    assert (orders[0] == list(range(100))) is not shuffle


def test_rows_of_several_arrays_stay_together() -> None:
    X = np.arange(60.0).reshape(20, 3)
    y = np.arange(20, dtype=np.int8)
    labels = np.array([f"row {row}" for row in range(20)])
    for xb, yb, names in minibatches(X, y, labels, batch_size=6, seed=1):
        assert np.array_equal(xb, X[yb])
        assert names.tolist() == [f"row {row}" for row in yb]
        assert (xb.dtype.name, yb.dtype.name) == ("float64", "int8")


def test_seed_decides_the_order() -> None:
    def order(seed: int) -> list[int]:
        return [int(b[0]) for b in minibatches(np.arange(50), batch_size=1, epochs=2, seed=seed)]

    assert order(3) == order(3)
    assert order(3) != order(4)


def test_iterating_again_gives_the_same_batches_even_without_a_seed() -> None:
    batches = minibatches(np.arange(50), batch_size=8, epochs=2)
    first = epochs_of(batches, 7)
    assert epochs_of(batches, 7) == first
    repeated = minibatches(np.arange(50), batch_size=8, epochs=2, seed=batches.seed)
    assert epochs_of(repeated, 7) == first
    assert minibatches(np.arange(50), batch_size=8).seed != batches.seed


@pytest.mark.parametrize(("drop_last", "sizes"), [(False, [4, 4, 2]), (True, [4, 4])])
def test_last_batch(drop_last: bool, sizes: list[int]) -> None:
    batches = minibatches(np.arange(10), batch_size=4, epochs=2, seed=0, drop_last=drop_last)
    assert [len(batch) for batch in batches] == 2 * sizes
    assert len(batches) == 2 * len(sizes)


def test_even_division_has_no_short_batch_to_drop() -> None:
    assert len(minibatches(np.arange(12), batch_size=4, drop_last=True)) == 3


def test_no_epochs_give_no_batches() -> None:
    batches = minibatches(np.arange(3), batch_size=2, epochs=0)
    assert (len(batches), list(batches)) == (0, [])


@pytest.mark.parametrize("shuffle", [True, False])
def test_batches_are_contiguous_copies(shuffle: bool) -> None:
    X = np.asfortranarray(np.arange(24.0).reshape(8, 3))
    kept = X.copy()
    for batch in minibatches(X, batch_size=5, seed=0, shuffle=shuffle):
        assert batch.flags.c_contiguous
        batch[:] = -1.0
    assert np.array_equal(X, kept)


@pytest.mark.parametrize("shuffle", [True, False])
def test_memmap_is_read_batch_by_batch(tmp_path: Path, shuffle: bool) -> None:
    written = np.memmap(tmp_path / "rows.bin", dtype=np.float64, mode="w+", shape=(64, 1 << 16))
    written[:] = np.arange(64.0)[:, None]
    written.flush()
    X = np.memmap(tmp_path / "rows.bin", dtype=np.float64, mode="r", shape=(64, 1 << 16))
    batches = minibatches(X, np.arange(64), batch_size=2, seed=0, shuffle=shuffle)
    tracemalloc.start()
    try:
        correct = [bool((xb[:, -1] == yb).all()) for xb, yb in batches]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert correct == [True] * 32
    # A batch is 1 MiB of the 32 MiB file; a few may be alive at once.
    assert peak < 6 * 2**20


@pytest.mark.parametrize(
    ("arrays", "options", "error", "message"),
    [
        ((np.zeros(5),), {"batch_size": 0}, ValueError, "batch_size: expected a whole number of at least 1, got 0"),
        ((np.zeros(5),), {"batch_size": 6, "drop_last": True}, ValueError, "expected at most 5, .* with drop_last=True, got 6"),
        ((np.zeros(5),), {"batch_size": 2.5}, ValueError, "batch_size: expected .*, got 2.5"),
        ((np.zeros(5),), {"batch_size": True}, ValueError, "batch_size: expected .*, got True"),
        ((np.zeros(5),), {"batch_size": 2, "epochs": -1}, ValueError, "epochs: expected a whole number of at least 0, got -1"),
        ((np.zeros(5),), {"batch_size": 2, "epochs": 1.5}, ValueError, "epochs: expected .*, got 1.5"),
        ((np.zeros(5),), {"batch_size": 2, "seed": -3}, ValueError, "seed: expected .*, got -3"),
        ((np.zeros(5),), {"batch_size": 2, "seed": "a"}, TypeError, "seed: expected a whole number of at least 0, got 'a'"),
        ((np.zeros((0, 3)),), {"batch_size": 1}, ValueError, "array 0: expected at least one row, got 0"),
        ((np.float64(1.0),), {"batch_size": 1}, ValueError, "array 0: expected an array .*, got a scalar"),
        (
            (np.zeros(5), np.zeros(4)),
            {"batch_size": 1},
            ValueError,
            "array 0, array 1: expected arrays of one length, got 5, 4 rows",
        ),
        ((), {"batch_size": 1}, TypeError, "arrays: expected at least one, .*, got none"),
    ],
)
def test_minibatch_errors(arrays: tuple[Any, ...], options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        minibatches(*arrays, **options)


# --- splitting and scaling --------------------------------------------------


@pytest.mark.parametrize("stratify", [True, False])
def test_split_parts_the_rows(stratify: bool) -> None:
    rows = np.arange(100)
    y = np.repeat([0, 1, 2], [60, 30, 10])
    train, test, y_train, y_test = train_test_split(rows, y, test_fraction=0.2, seed=5, stratify=stratify)
    assert sorted([*train, *test]) == list(range(100))
    assert np.array_equal(y[train], y_train)
    assert np.array_equal(y[test], y_test)
    assert len(test) == 20
    assert (np.diff(train) > 0).all()
    assert (np.diff(test) > 0).all()
    assert (np.bincount(y_test).tolist() == [12, 6, 2]) is stratify


def test_split_is_decided_by_its_seed() -> None:
    rows = np.arange(100)

    def chosen(seed: int) -> list[int]:
        return [int(row) for row in train_test_split(rows, rows, seed=seed)[1]]

    assert chosen(0) == chosen(0)
    assert chosen(0) != chosen(1)


def test_split_leaves_no_part_empty() -> None:
    parts = train_test_split(np.arange(3), np.arange(3), test_fraction=0.01)
    assert [len(part) for part in parts] == [2, 1, 2, 1]
    parts = train_test_split(np.arange(3), np.arange(3), test_fraction=0.99)
    assert [len(part) for part in parts] == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        (np.arange(4), {}, "X, y: expected arrays of one length, got 5, 4 rows"),
        (np.arange(5), {"test_fraction": 0.0}, r"test_fraction: expected a finite number in \(0, 1\), got 0\.0"),
        (np.arange(5), {"test_fraction": 1.0}, "test_fraction: expected .*, got 1.0"),
        (np.arange(5), {"test_fraction": float("nan")}, "test_fraction: expected .*, got nan"),
        (np.array([0, 0, 0, 0, 7]), {"stratify": True}, "y: expected at least 2 rows of class .*7.*, got 1"),
        (np.zeros((5, 2)), {"stratify": True}, r"y: expected shape \(5,\), .*, got shape \(5, 2\)"),
        (np.arange(5), {"seed": -1}, "seed: expected .*, got -1"),
    ],
)
def test_split_errors(y: npt.NDArray[Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train_test_split(np.arange(5), y, **options)


def test_split_of_one_row_is_refused() -> None:
    with pytest.raises(ValueError, match=r"X, y: expected at least 2 rows, .*, got 1"):
        train_test_split(np.arange(1), np.arange(1))


def test_standardize_uses_the_training_rows_only() -> None:
    generator = np.random.default_rng(0)
    X_train = generator.normal(5.0, [1.0, 100.0, 1e-3], size=(50, 3))
    X_test = generator.normal(0.0, 1.0, size=(7, 3)).astype(np.float32)
    train, test = standardize(X_train, X_test)
    np.testing.assert_allclose(train.mean(axis=0), 0.0, atol=1e-10)
    np.testing.assert_allclose(train.std(axis=0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(test * X_train.std(axis=0) + X_train.mean(axis=0), X_test, rtol=1e-9)
    assert (test.dtype.name, test.flags.c_contiguous) == ("float64", True)
    assert np.array_equal(standardize(X_train), train)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((np.array([[1.0, 0.1], [2.0, 0.1], [3.0, 0.1]]),), "X_train: expected columns that vary, got constant column 1"),
        ((np.array([[1.0], [np.nan]]),), "X_train: expected finite numbers, got nan in entry 1"),
        ((np.zeros((0, 2)),), "X_train: expected at least one row, got 0"),
        ((np.array([[1.0], [2.0]]), np.ones((2, 2))), r"others\[0\]: expected the columns of X_train, .*, got shape \(2, 2\)"),
        ((np.array([[1.0], [2.0]]), np.float64(1.0)), r"others\[0\]: expected .*, got shape \(\)"),
    ],
)
def test_standardize_errors(arrays: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        standardize(*arrays)
