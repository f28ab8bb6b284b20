"""Training whose loss runs off, and methods that other functions take."""

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


@pytest.mark.parametrize(
    ("lr", "optimizer", "ends"), [(0.1, "sgd", "finished"), (0.1, "adam", "finished"), (1e3, "sgd", "above its start")]
)
def test_a_gradient_of_the_wrong_sign_in_minibatches_is_found(lr: float, optimizer: str, ends: str) -> None:
    """Batches are not looked at beforehand; the advice was a lower lr, or there was no word."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(256, 5))
    y = (X @ rng.normal(size=5) > 0) * 1.0
    calls = [0]

    def cost(w, X, y, sign):
        calls[0] += 1
        z = X @ w
        return float(np.mean(np.logaddexp(0.0, z) - y * z)), sign * X.T @ (0.5 + 0.5 * np.tanh(0.5 * z) - y) / len(y)

    call = {"epochs": 5, "batch_size": 32, "seed": 0, "lr": lr, "jac": True}
    with pytest.warns(mflow.GradientWarning, match="it has the wrong sign"):
        wrong = mflow.train(lambda w, X, y: cost(w, X, y, -1.0), np.zeros(5), (X, y), optimizer, **call)
    assert "not that of the loss at the params that are kept" in wrong.message
    assert ends in f"{wrong.reason}; {wrong.message}"
    assert "lower lr" not in wrong.message
    assert calls[0] == wrong.nfev + wrong.ncheck
    calls[0] = 0
    right = mflow.train(lambda w, X, y: cost(w, X, y, 1.0), np.zeros(5), (X, y), optimizer, **{**call, "lr": 0.01})
    assert (right.ncheck, calls[0]) == (0, right.nfev)
    still = mflow.train(lambda w, X, y: cost(w, X, y, -1.0), np.zeros(5), (X, y), optimizer, check_gradient=False, **call)
    assert still.ncheck == 0
    np.testing.assert_array_equal(still.last_params, wrong.last_params)  # it is looked at after the run


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
    assert run.ncheck == 3
