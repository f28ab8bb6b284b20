"""An exception of the user's comes back as itself, and its partial result says truly whose it was."""

import numpy as np
import pytest

import mflow


class MineError(Exception):
    pass


def late(calls, value):
    """value, which raises after some calls."""
    count = [0]

    def function(*state, **more):
        count[0] += 1
        if count[0] > calls:
            raise MineError("mine")
        return value(*state, **more)

    return function


def decay(t, y):
    return -y


def cost(x):
    return float(np.sum(x**4))


def gradient(x):
    return 4.0 * x**3


def residuals(b):
    return [b[0] ** 2 - 2.0, b[1] - 1.0]


def loss(x, X):
    return float(np.mean((X @ x - 1.0) ** 2)), 2.0 * X.T @ (X @ x - 1.0) / len(X)


X = np.random.default_rng(0).standard_normal((64, 2))


def nothing(*state):
    return None


CALLS = {
    "callback of solve_ivp": (lambda f: mflow.solve_ivp(decay, (0, 1), [1.0], callback=f), nothing, "callback_failed"),
    "callback of solve_dynamics": (
        lambda f: mflow.solve_dynamics(stiffness=[1.0], x0=[1.0], t_span=(0, 1), dt=0.1, callback=f), nothing, "callback_failed",
    ),
    "callback of gradient_flow": (
        lambda f: mflow.gradient_flow(lambda c: c, [1.0], 1.0, method="dopri5", callback=f), nothing, "callback_failed",
    ),
    "callback of an optimizer's flow": (
        lambda f: mflow.gradient_flow(lambda c: c, [1.0], 1.0, method="adam", dt=0.1, callback=f), nothing, "callback_failed",
    ),
    "callback of minimize": (lambda f: mflow.minimize(cost, [1.0, 2.0], callback=f), nothing, "callback_failed"),
    "callback of an optimizer": (
        lambda f: mflow.minimize(cost, [1.0, 2.0], jac=gradient, method="adam", lr=0.1, callback=f), nothing, "callback_failed",
    ),
    "callback of least_squares": (lambda f: mflow.least_squares(residuals, [1.0, 3.0], callback=f), nothing, "callback_failed"),
    "callback of train": (
        lambda f: mflow.train(loss, np.zeros(2), (X,), "adam", jac=True, epochs=3, callback=f), nothing, "callback_failed",
    ),
    "max_step": (lambda f: mflow.solve_ivp(decay, (0, 1), [1.0], max_step=f), lambda t, y: 0.1, "callback_failed"),
    "dt": (lambda f: mflow.solve_ivp(decay, (0, 1), [1.0], method="rk4", dt=f), lambda k, t, y: 0.1, "callback_failed"),
    "fun": (lambda f: mflow.solve_ivp(f, (0, 1), [1.0]), decay, "rhs_failed"),
    "jac": (lambda f: mflow.solve_ivp(decay, (0, 1), [1.0], method="bdf", jac=f), lambda t, y: -np.eye(1), "rhs_failed"),
    "event": (lambda f: mflow.solve_ivp(decay, (0, 1), [1.0], events=f), lambda t, y: y[0] - 0.5, "event_failed"),
    "force": (
        lambda f: mflow.solve_dynamics(force=f, x0=[1.0], t_span=(0, 1), dt=0.1, method="velocity_verlet"),
        lambda t, x, v: -x, "rhs_failed",
    ),
    "cost": (lambda f: mflow.minimize(f, [1.0, 2.0]), cost, "rhs_failed"),
    "residuals": (lambda f: mflow.least_squares(f, [1.0, 3.0]), residuals, "rhs_failed"),
    "loss": (lambda f: mflow.train(f, np.zeros(2), (X,), "adam", jac=True, epochs=9), loss, "rhs_failed"),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_whose_exception_ended_the_run(name):
    call, function, reason = CALLS[name]
    with pytest.raises(MineError, match="mine") as told:
        call(late(1, function))
    partial = told.value.partial_result
    assert partial.reason == reason
    assert not partial.success
    if reason == "callback_failed":
        who = "the callback" if name.startswith("callback") else name
        assert partial.message.startswith(f"in {who}, MineError")


def test_a_bad_answer_of_a_callback_is_none_of_its_exceptions():
    """The TypeError is mflow's own."""
    with pytest.raises(TypeError, match="a step above 0") as told:
        mflow.solve_ivp(decay, (0, 1), [1.0], max_step=lambda t, y: "long")
    assert told.value.partial_result.reason == "callback_failed"
    with pytest.raises(ValueError, match="a finite step above 0") as told:
        mflow.solve_ivp(decay, (0, 1), [1.0], method="rk4", dt=lambda k, t, y: -1.0)
    assert told.value.partial_result.reason == "callback_failed"
    with pytest.raises(TypeError, match="callback: expected it to return True") as told:
        mflow.solve_ivp(decay, (0, 1), [1.0], callback=lambda t, y: y)
    assert told.value.partial_result.reason == "callback_failed"
    assert told.value.partial_result.message.startswith("in the callback, TypeError")
