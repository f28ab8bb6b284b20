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
