"""Training whose loss runs off, and methods that other functions take."""

import re
from typing import Any

import numpy as np
import pytest

import mflow

X = np.random.default_rng(5).normal(size=(4, 3))


@pytest.mark.parametrize("ends", [{"epochs": 60}, {"epochs": 200, "max_steps": 60}], ids=["epochs", "max_steps"])
def test_a_loss_that_runs_off_is_no_success(ends):
    """w <- w - 4 (2 w) = -7 w: after 60 steps a loss of w^2 is 7^118 times its start at the last gradient, and finite."""
    r = mflow.train(lambda w: float(w @ w), np.ones(2), optimizer="sgd", lr=4.0, jac=lambda w: 2 * w, **ends)
    assert (r.reason, r.success, r.status) == ("diverged", False, -1)
    assert r.history.step_loss[-1] == pytest.approx(2.0 * 7.0**118, rel=1e-12)
    assert "has grown beyond bounds" in r.message
    assert "lower lr" in r.message


def test_a_loss_that_rises_without_running_off_ends_as_before():
    """1.2^38 is about 1e3; and a loss from 1e-30 to 1e-14 has not run off either."""
    for start in (1.0, 1e-15):
        r = mflow.train(lambda w: float(w @ w), np.array([start]), optimizer="sgd", lr=1.1, jac=lambda w: 2 * w, epochs=20)
        assert (r.reason, r.success) == ("finished", True)
    r = mflow.train(lambda w: float(w @ w), np.array([1e-15]), optimizer="sgd", lr=4.0, jac=lambda w: 2 * w, epochs=11)
    assert (r.reason, r.success) == ("finished", True)


def test_implicit_steps_on_another_loss_name_what_takes_it():
    rows = mflow.objectives.Logistic(X, np.array([0, 1, 0, 1]))
    with pytest.raises(TypeError, match=r'no residuals; mflow.ImplicitSGD."logistic"..fit.X, y. takes implicit steps on this loss'):
        mflow.train(rows, np.zeros(3), optimizer="implicit_sgd", epochs=1)
    mflow.ImplicitSGD("logistic").fit(X, [-1, 1, -1, 1])
    with pytest.raises(ValueError, match=r"does not minimise by itself; mflow.train and mflow.minimize_batch take it"):
        mflow.minimize(lambda x: float(x @ x), [1.0], method="implicit_sgd")


@pytest.mark.parametrize(("lr", "optimizer"), [(0.1, "sgd"), (0.1, "adam"), (1e3, "sgd")])
def test_a_gradient_of_the_wrong_sign_in_minibatches_is_found(lr: float, optimizer: str) -> None:
    """The advice was a lower lr, or there was no word."""
    X, y = _classes()
    calls = [0]

    def cost(w, X, y, sign):
        calls[0] += 1
        loss, grad = _logistic(w, X, y)
        return loss, sign * grad

    call = {"epochs": 5, "batch_size": 32, "seed": 0, "lr": lr, "jac": True}
    with pytest.warns(mflow.GradientWarning, match="it has the wrong sign"):
        wrong = mflow.train(lambda w, X, y: cost(w, X, y, -1.0), np.zeros(5), (X, y), optimizer, **call)
    assert "not that of the loss at x0" in wrong.message
    assert wrong.reason == "finished"
    assert "lower lr" not in wrong.message
    assert calls[0] == wrong.nfev + wrong.ncheck
    calls[0] = 0
    right = mflow.train(lambda w, X, y: cost(w, X, y, 1.0), np.zeros(5), (X, y), optimizer, **{**call, "lr": 0.01})
    assert (right.ncheck, calls[0]) == (2, right.nfev + 2)
    calls[0] = 0
    still = mflow.train(lambda w, X, y: cost(w, X, y, -1.0), np.zeros(5), (X, y), optimizer, check_gradient=False, **call)
    assert calls[0] == still.nfev + still.ncheck
    assert still.ncheck == 0 or (optimizer, lr) == ("sgd", 1e3)  # whose loss has grown, so that a limit is looked for
    np.testing.assert_array_equal(still.last_params, wrong.last_params)  # nothing is drawn for the look


def _classes() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(256, 5))
    return X, (X @ rng.normal(size=5) > 0) * 1.0


def _logistic(w: np.ndarray, X: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    z = X @ w
    return float(np.mean(np.logaddexp(0.0, z) - y * z)), X.T @ (0.5 + 0.5 * np.tanh(0.5 * z) - y) / len(y)


@pytest.mark.parametrize("factor", [2.0, 0.5, 1.02])
@pytest.mark.parametrize("batches", [1, 2, "iterable", "iterator", "function", "accumulated", "ahead", "one array again"])
def test_a_gradient_with_a_wrong_factor_in_minibatches_is_found(batches: Any, factor: float) -> None:
    """It trains as at another rate, which no run shows: each batch of a training has a gradient of its own to be compared."""
    X, y = _classes()
    halves = [(X[:128], y[:128]), (X[128:], y[128:])]
    data: Any = {
        "iterable": halves, "iterator": iter(halves), "function": lambda epoch: iter(halves),
    }.get(batches, (X, y))  # fmt: skip
    more: dict[str, Any] = {"accumulated": {"accumulate": 2}, "ahead": {"optimizer": "nesterov", "form": "pull"}}.get(batches, {})
    more |= {"batch_size": 256 if batches == 1 else 128} if data is not halves and isinstance(data, tuple) else {}
    kept = np.empty(5)

    def cost(w: np.ndarray, X: np.ndarray, y: np.ndarray, factor: float = factor) -> tuple[float, Any]:
        loss, grad = _logistic(w, X, y)
        kept[:] = factor * grad
        return loss, kept if batches == "one array again" else factor * grad

    call = {"optimizer": "sgd", "epochs": 1, "jac": True, "lr": 0.1, "seed": 0, **more}
    with pytest.warns(mflow.GradientWarning, match="train: the gradient is not that of the loss at x0"):
        wrong = mflow.train(cost, np.zeros(5), data, **call)
    assert wrong.ncheck > 2
    data = iter(halves) if batches == "iterator" else data
    right = mflow.train(lambda w, X, y: cost(w, X, y, 1.0), np.zeros(5), data, **call)
    assert right.ncheck == 2
    data = iter(halves) if batches == "iterator" else data
    without = mflow.train(lambda w, X, y: cost(w, X, y, 1.0), np.zeros(5), data, check_gradient=False, **call)
    assert right.last_params.tobytes() == without.last_params.tobytes()


def test_a_gradient_that_cannot_be_judged_at_the_start_is_looked_at_where_the_loss_rose() -> None:
    """At a kink two slopes differ."""
    X, y = _classes()

    def cost(w: np.ndarray, X: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
        loss, grad = _logistic(w, X, y)
        return loss + float(np.sum(np.abs(w))), -grad - np.sign(w)

    with pytest.warns(mflow.GradientWarning, match="it has the wrong sign"):
        run = mflow.train(cost, np.zeros(5), (X, y), "sgd", epochs=5, batch_size=32, seed=0, jac=True, lr=0.1)
    assert "not that of the loss at the params that are kept" in run.message


def test_arrays_that_do_not_fit_the_cost_are_named() -> None:
    """It was the cost's own "missing 1 required positional argument"."""
    X, y = _classes()
    for arrays, more, words in (
        ((X, y), {"validation": (X,)}, r"validation: expected what _logistic\(.*\) .* got 1 array: missing a required argument: 'y'"),
        ((X, y), {"validation": (X,), "metric": lambda w, X, y: 0.0}, "validation: expected what <lambda>"),
        ((X, y, y), {}, "data: expected what _logistic.* got 3 arrays: too many positional arguments"),
    ):
        with pytest.raises(TypeError, match=words):
            mflow.train(_logistic, np.zeros(5), arrays, jac=True, epochs=1, **more)


def test_a_rate_that_is_too_high_is_not_blamed_on_the_gradient() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(256, 5))
    y = X @ rng.normal(size=5)
    run = mflow.train(
        lambda w, X, y: (0.5 * float(np.mean((X @ w - y) ** 2)), X.T @ (X @ w - y) / len(y)),
        np.zeros(5), (X, y), "sgd", epochs=3, batch_size=32, seed=0, lr=3.0, jac=True,
    )  # fmt: skip
    assert "lower lr" in run.message
    assert "gradient is" not in run.message
    assert "lr = 3 exceeds the stability limit" in run.message
    assert run.ncheck > 2


def _with_one_gradient(size: float, name: str, at: int = 1, **options: object) -> mflow.TrainResult:
    """|w - 1|^2/2, of which one gradient has an entry of this size; the loss itself is right."""
    count = 0

    def cost(w: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal count
        count += 1
        return float(0.5 * np.sum((w - 1.0) ** 2)), np.array([size if count == at + 1 else w[0] - 1.0, w[1] - 1.0])

    return mflow.train(cost, np.zeros(2), None, name, epochs=200, jac=True, lr=0.02, check_gradient=False, **options)


@pytest.mark.parametrize(("size", "name"), [(1e150, "adam"), (1e20, "adagrad"), (1e20, "adamax"), (1e150, "schedule_free_adamw")])
def test_one_gradient_that_holds_a_parameter_is_told(size: float, name: str) -> None:
    """It is divided by the root of the mean of squares, which keeps one gradient for thousands of steps; nothing was said."""
    said = f"gradient of step 1 is of norm {size:.3g}, those of the other steps at most 1.41: "
    with pytest.warns(RuntimeWarning, match=re.escape(said)) as told:
        result = _with_one_gradient(size, name)
    assert len(told) == 1
    assert said in result.message
    assert f"of {name} keeps it, and 1 of 2 parameters move by less than 0.0001" in result.message
    assert abs(result.last_params[0]) < 0.15 < 0.3 < result.last_params[1]


def test_one_gradient_that_steers_lion_is_told() -> None:
    """Its mean of gradients keeps the sign for 4600 steps; the advice was a lower lr."""
    said = "gradient of step 1 is of norm 1e+20, those of the other steps at most "
    with pytest.warns(RuntimeWarning, match=re.escape(said)):
        result = _with_one_gradient(1e20, "lion")
    assert "m of lion keeps it, and 1 of 2 parameters go on in its direction" in result.message
    np.testing.assert_allclose(result.last_params[0], 0.02 - 0.02 * 199, rtol=1e-12)


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "asgd", "schedule_free_sgd"])
def test_a_run_that_one_gradient_throws_far_off_is_no_success(name: str) -> None:
    """It was "finished" at 1e95, as the loss fell again."""
    result = _with_one_gradient(1e100, name)
    assert (result.reason, result.success) == ("diverged", False)
    assert "the loss has grown beyond bounds to " in result.message
    assert np.abs(result.last_params[0]) > 1e90


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("options", [{"clip_norm": 1.0}, {"clip_value": 1.0}])
def test_a_gradient_that_is_cut_holds_nothing(options: dict[str, float]) -> None:
    assert "keeps it" not in _with_one_gradient(1e150, "adam", **options).message


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["adam", "adagrad", "rmsprop", "adadelta", "radam", "sgd"])
def test_a_gradient_that_is_large_at_the_start_alone_holds_nothing(name: str) -> None:
    assert "keeps it" not in _with_one_gradient(100.0, name, at=0).message
    steep = mflow.train(lambda w: (float(w @ w), 2.0 * w), np.full(2, 1e6), None, name, epochs=50, jac=True, lr=0.4)
    assert "keeps it" not in steep.message
