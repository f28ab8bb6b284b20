"""Arguments under other names, of other optimizers, or in the wrong place: the error says what they are here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mflow

X = np.random.default_rng(0).normal(size=(40, 3))
Y = X @ np.array([1.0, -2.0, 0.5])


def cost(w: Any, x: Any, y: Any) -> Any:
    r = x @ w - y
    return 0.5 * np.mean(r * r), x.T @ r / len(y)


@pytest.mark.parametrize(
    ("optimizer", "given", "words"),
    [
        ("adam", {"momentum": 0.9}, "adam: no parameter 'momentum'; there are: .*betas"),
        ("sgd", {"amsgrad": True}, "sgd: no parameter 'amsgrad'"),
        ("sgd", {"patiense": 3}, "train has no argument 'patiense'; did you mean 'patience'"),
    ],
)
def test_a_parameter_of_another_optimizer_is_told_from_no_argument(optimizer: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        mflow.train(cost, np.zeros(3), (X, Y), optimizer, jac=True, **given)


def test_a_group_without_params_is_named() -> None:
    groups = [{"params": np.zeros(3)}, {"lr": 0.1}]
    with pytest.raises(TypeError, match=r"params\[1\]: expected a group such as \{'params': ..., 'lr': ...\}"):
        mflow.train(cost, groups, (X, Y), "adamw", jac=True)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"start_lr": 1e-5}, "start_lr: here it is lr_min="),
        ({"num_iter": 50}, "num_iter: here it is steps="),
        ({"optimizer": "lbfgs"}, "optimizer: lbfgs takes the length of its steps from a search"),
    ],
)
def test_words_of_other_rate_finders(given: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        mflow.lr_find(cost, np.zeros(3), (X, Y), **given)


def test_a_run_that_grows_beyond_bounds_is_not_stopped_early() -> None:
    """On a quadratic each step multiplies the error by 1 - lr * curvature, which is below -1 here: the loss grows for ever."""
    curvature = float(np.linalg.eigvalsh(X.T @ X / len(X))[-1])
    growth = (20.0 * curvature - 1.0) ** 2
    r = mflow.train(cost, np.zeros(3), (X, Y), "sgd", 60, jac=True, lr=20.0, validation=(X, Y), patience=8)
    assert growth**8 > 1e10
    assert (r.reason, r.success) == ("diverged", False)
    assert "has not fallen for 8 epochs" in r.message
    assert math.isfinite(r.fun)


def test_the_limit_that_is_told_of_a_run_that_grows_is_that_of_its_start() -> None:
    """w^4 from 1 with lr = 0.6: the first epoch ends at 1e8, where the limit 2 / (12 w^2) is 1e-17; at the start it is 1/6."""

    def quartic(w: Any, x: Any) -> Any:
        return float(w[0] ** 4), 4.0 * w**3

    with np.errstate(over="ignore", invalid="ignore"):
        r = mflow.train(quartic, np.ones(1), (np.ones(4),), "sgd", 9, 1, jac=True, lr=0.6, check_gradient=False)
    assert r.reason in ("diverged", "non_finite")
    assert "lr = 0.6 exceeds the stability limit 0.1667 of sgd for the measured curvature 12 of a batch at the start; lower lr" in r.message


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ((i for i in range(3)), "x0: expected one array of numbers, got a generator; np.array"),
        (["15,0", "1"], "x0: expected real numbers, got the string '15,0' in entry 0; with a point for the decimal comma"),
        (["1", "a"], "x0: expected real numbers, got the string '1' in entry 0"),
    ],
)
def test_what_is_no_array_of_numbers_is_named(value: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        mflow.minimize(lambda x: float(x @ x), value)
