"""`params` and `fun` of a training belong together: the loss, computed again at `params`, is `fun`."""

import numpy as np
import pytest

import mflow
from mflow import objectives

rng = np.random.default_rng(3)
X = rng.normal(size=(24, 3))
Y = X @ np.array([1.0, -2.0, 0.5]) + rng.normal(size=24)


def cost(c, X, y):
    r = X @ c - y
    return 0.5 * np.mean(r * r), X.T @ r / len(y)


def own(c):
    r = X @ c - Y
    return 0.5 * float(np.mean(r * r))


def test_one_wild_gradient_is_not_kept():
    calls = []

    def wild(c):
        calls.append(c.copy())
        return float(c @ c), np.full(1, 1e100) if len(calls) == 6 else 2.0 * c

    result = mflow.train(wild, np.ones(1), None, "sgd", 6, jac=True, lr=0.01, check_gradient=False)
    assert abs(result.last_params[0]) > 1e97
    assert result.fun == float(result.params @ result.params)
    np.testing.assert_array_equal(result.params, calls[5])
    assert result.best_epoch == 5


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "nesterov", "schedule_free_sgd", "implicit_sgd"])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("lr", [0.1, 3.0])
@pytest.mark.parametrize("epochs", [1, 7])
def test_fun_is_the_loss_of_params(optimizer, compiled, lr, epochs):
    """lr = 3 leads ever farther away."""
    keywords = {"optimizer": optimizer, "epochs": epochs, "lr": lr, "batch_size": 24, "seed": 0}
    if compiled:
        result = mflow.train(objectives.LeastSquares(X, Y), np.zeros(3), **keywords)
    elif optimizer == "implicit_sgd":
        result = mflow.train(lambda c, X, y: X @ c - y, np.zeros(3), (X, Y), jac=lambda c, X, y: X, **keywords)
    else:
        result = mflow.train(cost, np.zeros(3), (X, Y), jac=True, **keywords)
    assert result.fun == pytest.approx(own(result.params), rel=1e-12)
    assert result.fun <= result.history.loss.min()
    assert result.fun <= own(result.last_params) * (1.0 + 1e-12)


@pytest.mark.parametrize("keywords", [{"batch_size": 8, "accumulate": 3}, {"batch_size": 24, "max_steps": 2}])
def test_epochs_of_one_step_however_they_are_made(keywords):
    result = mflow.train(cost, np.zeros(3), (X, Y), "sgd", 4, jac=True, lr=3.0, seed=0, **keywords)
    assert result.fun == pytest.approx(own(result.params), rel=1e-12)
    np.testing.assert_array_equal(result.params, np.zeros(3))


@pytest.mark.parametrize("data", [[(X, Y)], lambda epoch: iter([(X, Y)])])
def test_batches_of_the_users(data):
    for lr in (0.1, 3.0):
        result = mflow.train(cost, np.zeros(3), data, "sgd", 4, jac=True, lr=lr)
        assert result.fun == pytest.approx(own(result.params), rel=1e-12)


def test_resumed_after_the_step_whose_epoch_is_not_closed(tmp_path):
    path, keywords = tmp_path / "run", {"jac": True, "lr": 3.0, "seed": 0, "batch_size": 24}
    mflow.train(cost, np.zeros(3), (X, Y), "sgd", 4, checkpoint=path, max_steps=1, **keywords)
    resumed = mflow.train(cost, np.zeros(3), (X, Y), "sgd", 4, resume=path, **keywords)
    straight = mflow.train(cost, np.zeros(3), (X, Y), "sgd", 4, **keywords)
    np.testing.assert_array_equal(resumed.params, straight.params)
    np.testing.assert_array_equal(resumed.last_params, straight.last_params)
    assert resumed.fun == straight.fun == own(np.zeros(3))


@pytest.mark.parametrize("lr", [0.1, 3.0])
def test_a_finished_run_resumed_has_the_same_result(tmp_path, lr):
    path, keywords = tmp_path / "run", {"jac": True, "lr": lr, "seed": 0, "batch_size": 24}
    first = mflow.train(cost, np.zeros(3), (X, Y), "sgd", 4, checkpoint=path, **keywords)
    again = mflow.train(cost, np.zeros(3), (X, Y), "sgd", 4, resume=path, **keywords)
    np.testing.assert_array_equal(again.params, first.params)
    assert (again.fun, again.best_epoch) == (first.fun, first.best_epoch)


def test_words_say_which_parameters_have_the_least_loss():
    falls = mflow.train(cost, np.zeros(3), (X, Y), "sgd", 4, jac=True, lr=0.1, batch_size=24)
    assert f"the least loss, {own(falls.last_params):.6g}, is that of the last parameters" in falls.message
    runs_off = mflow.train(cost, np.zeros(3), (X, Y), "sgd", 30, jac=True, lr=30.0, batch_size=24)
    assert runs_off.reason == "diverged"
    assert "params are those before the step of epoch 0, whose loss is the least" in runs_off.message
    np.testing.assert_array_equal(runs_off.params, np.zeros(3))
