"""A training that diverges names the limit that its rate has passed: against eigenvalues of the Hessian by NumPy."""

import re

import numpy as np
import pytest

import mflow

SAID = re.compile(r"lr = (\S+) exceeds the stability limit (\S+) of (\w+) for the measured curvature (\S+) ")
SPREAD = np.array([1.0, 30.0, 400.0])
X = np.random.default_rng(3).normal(size=(90, 3)) * SPREAD
Y = X @ [1.0, -2.0, 0.5]
LARGEST = np.linalg.eigvalsh(X.T @ X / len(X))[-1]


def squares(w, X, y):
    r = X @ w - y
    return 0.5 * np.mean(r**2), X.T @ r / len(y)


def naive(w, X, y):
    """The logistic loss as it is written in books, which is nan where p is rounded to 0 or 1."""
    with np.errstate(all="ignore"):
        p = 1.0 / (1.0 + np.exp(-X @ w))
        return -np.mean(y * np.log(p) + (1.0 - y) * np.log(1.0 - p)), X.T @ (p - y) / len(y)


def _said(message):
    lr, limit, name, curvature = SAID.search(message).groups()
    return float(lr), float(limit), name, float(curvature)


@pytest.mark.parametrize("far", [3.0, 1e5])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("optimizer", "more", "bears"), [("sgd", {}, 2.0), ("momentum", {"momentum": 0.9}, 3.8), ("nesterov", {"momentum": 0.5}, 1.5)]
)
def test_a_diverged_rate_names_its_limit(optimizer, more, bears, compiled, far) -> None:
    """2/L; 2 (1 + mu)/L; 2 (1 + mu)/(1 + 2 mu)/L. Once it is passed, clipping is no cure."""
    lr = far * bears / LARGEST
    cost, data = (mflow.objectives.LeastSquares(X, Y), None) if compiled else (squares, (X, Y))
    with np.errstate(all="ignore"):
        r = mflow.train(cost, np.zeros(3), data, optimizer, epochs=3000, batch_size=90, lr=lr, jac=None if compiled else True, **more)
    assert r.reason == "diverged"
    at, limit, name, curvature = _said(r.message)
    assert (at, name) == (pytest.approx(lr, rel=1e-5), optimizer)
    assert curvature == pytest.approx(LARGEST, rel=1e-3)
    assert limit == pytest.approx(bears / LARGEST, rel=1e-3)
    assert "clip_norm" not in r.message
    assert "lower lr" in r.message


def test_of_batches_the_curvature_is_that_of_one() -> None:
    calls = 0

    def cost(w, X, y):
        nonlocal calls
        calls += 1
        return squares(w, X, y)

    with np.errstate(all="ignore"):
        r = mflow.train(cost, np.zeros(3), (X, Y), "sgd", epochs=3000, batch_size=10, lr=1.0, jac=True, seed=0)
    rows = X[np.unique(np.linspace(0, 89, 10).astype(int))]
    assert _said(r.message)[3] == pytest.approx(np.linalg.eigvalsh(rows.T @ rows / 10)[-1], rel=1e-3)
    assert "of a batch" in r.message
    assert calls == r.nfev + r.ncheck


def test_a_loss_that_has_grown_at_the_end_names_it_too() -> None:
    r = mflow.train(squares, np.zeros(3), (X, Y), "sgd", epochs=6, batch_size=90, lr=2.5 / LARGEST, jac=True)
    assert "ends above its start" in r.message
    assert _said(r.message)[1] == pytest.approx(2.0 / LARGEST, rel=1e-3)


def test_below_the_limit_nothing_is_said_and_nothing_is_looked_for() -> None:
    r = mflow.train(squares, np.zeros(3), (X, Y), "sgd", epochs=50, batch_size=90, lr=1.9 / LARGEST, jac=True)
    assert (r.reason, r.ncheck) == ("finished", 2)
    assert "limit" not in r.message


def test_methods_that_rescale_and_searches_name_none() -> None:
    flat = {"epochs": 400, "batch_size": 90, "jac": True}
    with np.errstate(all="ignore"):
        adam = mflow.train(lambda w, X, y: squares(w**3, X, y * 0.0 + 1e200), np.ones(3), (X, Y), "adam", lr=0.1, **flat)
        search = mflow.train(lambda w: (-float(w @ w), -2.0 * w), np.ones(3), optimizer="steepest_descent", epochs=2000, jac=True)
    assert "exceeds the stability limit" not in adam.message + search.message


@pytest.mark.parametrize("batch_size", [10, 90])
def test_steps_that_lead_to_a_nan_are_named_and_not_the_batch(batch_size) -> None:
    """At w = 0 the loss of every batch is log 2; its Hessian is X'X/4n. "look at that batch" was wrong: nothing is wrong with it."""
    labels = (Y > 0.0) * 1.0
    r = mflow.train(naive, np.zeros(3), (X, labels), "sgd", jac=True, lr=10.0, seed=0, batch_size=batch_size)
    assert r.reason == "non_finite"
    assert "look at" not in r.message
    assert "the steps led there" in r.message
    if batch_size == 90:
        assert _said(r.message)[1] == pytest.approx(8.0 / LARGEST, rel=1e-3)
    adam = mflow.train(naive, np.zeros(3), (X, labels), "adam", jac=True, lr=100.0, seed=0, batch_size=batch_size)
    assert adam.reason == "non_finite"
    assert "the steps led there: lower lr, or see mflow.lr_find" in adam.message


def test_a_batch_that_is_to_blame_is_named() -> None:
    bad = X.copy()
    bad[70, 1] = np.nan
    for fun, data in ((squares, (bad, Y)), (squares, iter([(X[:50], Y[:50]), (bad[50:], Y[50:])]))):
        r = mflow.train(fun, np.zeros(3), data, "sgd", jac=True, lr=1e-6, epochs=1, shuffle=isinstance(data, tuple), seed=1)
        assert (r.reason, "look at that batch" in r.message) == ("non_finite", True)
    r = mflow.train(squares, np.zeros(3), (X, Y), "sgd", jac=True, lr=1e-7, epochs=2, validation=(bad, Y))
    assert "look at the validation data" in r.message
    led = mflow.train(squares, np.zeros(3), (X, Y), "sgd", jac=True, lr=1e-7, epochs=2, validation=(X, Y), metric=_past_zero)
    assert "the loss of the validation data is finite, so the steps led there" in led.message


def _past_zero(w, X, y):
    return 1.0 if not w.any() else np.nan


def _quartic(w, X):
    """Of curvature 3 w^2: where steps have led far away, it is not that of the start."""
    with np.errstate(over="ignore"):
        return 0.25 * float(np.sum(w**4)), w**3


@pytest.mark.parametrize("more", [{}, {"validation": (np.ones((4, 1)),), "patience": 2}])
def test_where_parameters_have_run_off_the_limit_is_that_of_the_start(more):
    data = (np.ones((4, 1)),)
    r = mflow.train(_quartic, np.array([1.0]), data, "sgd", epochs=40, batch_size=2, jac=True, lr=3.2, seed=0, **more)
    assert (r.reason, r.success) == ("diverged", False)
    lr, limit, _, curvature = _said(r.message)
    assert (lr, limit, curvature) == (3.2, pytest.approx(2.0 / 3.0, rel=1e-2), pytest.approx(3.0, rel=1e-2))
    assert "at the start" in r.message


def test_a_run_that_has_run_off_is_not_stopped_early_with_success():
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = X @ [1.0, -2.0, 0.5]

    def cost(w, X, y):
        r = X @ w - y
        return 0.5 * float(np.mean(r**2)), X.T @ r / len(y)

    r = mflow.train(cost, np.zeros(3), (X, y), "sgd", epochs=40, batch_size=10, jac=True, lr=4.0, seed=0, validation=(X, y), patience=4)
    assert (r.reason, r.success) == ("diverged", False)
    assert "has not fallen for 4 epochs" in r.message
    assert "but the loss ends above its start" in r.message
