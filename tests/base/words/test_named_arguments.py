"""Absurd arguments: a sentence that begins with the argument's name, before anything runs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mflow

TABLE = np.array([[1.0, 2.0]])
T = np.linspace(0.0, 1.0, 20)
START = np.zeros(2)
HUGE = 10**400


def cost(x: Any) -> Any:
    return float(np.sum((x - 1) ** 2)), 2 * (x - 1)


def residuals(b: Any) -> Any:
    return np.array([b[0] - 1, b[1] - 2, b[0] * b[1] - 2])


def line(t: Any, a: float, b: float) -> Any:
    return a + b * t


def one(*given: Any) -> int:
    return 1


def decay(t: float, y: Any) -> Any:
    return -y


def data_cost(w: Any, X: Any, y: Any) -> Any:
    return 0.0, w


def curve() -> Any:
    return mflow.objectives.curve("exponential", T, 1 + T)


CALLS: dict[str, tuple[str, Callable[[], Any]]] = {
    "lr": ("lr", lambda: mflow.minimize(cost, START, jac=True, method="adam", lr=TABLE)),
    "momentum": ("momentum", lambda: mflow.minimize(cost, START, jac=True, method="momentum", lr=0.1, momentum=TABLE)),
    "dt": ("dt", lambda: mflow.minimize(cost, START, jac=True, method="newmark", dt=TABLE)),
    "friction": ("friction", lambda: mflow.minimize(cost, START, jac=True, method="newmark", dt=0.1, friction=TABLE)),
    "lr of a batch": ("lr", lambda: mflow.minimize_batch(mflow.objectives.Rosenbrock(2), np.zeros((3, 2)), lr=TABLE)),
    "check_finite": ("check_finite", lambda: mflow.curve_fit(line, T, 1 + T, check_finite=TABLE)),
    "method": ("method", lambda: mflow.curve_fit(line, T, 1 + T, method=TABLE)),
    "nan_policy": ("nan_policy", lambda: mflow.curve_fit(line, T, 1 + T, nan_policy=TABLE)),
    "maxfev": ("maxfev", lambda: mflow.curve_fit(line, T, 1 + T, maxfev=TABLE)),
    "flow": ("flow", lambda: mflow.ImplicitSGD("squared", flow=TABLE)),
    "batch_data": ("batch_data", lambda: mflow.least_squares_batch(curve(), np.ones((3, 3)), batch_data=TABLE)),
    "batch_data, a number": ("batch_data", lambda: mflow.least_squares_batch(curve(), np.ones((3, 3)), batch_data=3)),
    "ydata, huge": ("ydata", lambda: mflow.curve_fit(line, T, HUGE)),
    "ydata, a word": ("ydata", lambda: mflow.curve_fit(line, T, "x")),
    "ydata, complex": ("ydata", lambda: mflow.curve_fit(line, T, 1j)),
    "ydata, a dict": ("ydata", lambda: mflow.curve_fit(line, T, {})),
    "p0": ("p0", lambda: mflow.curve_fit(line, T, 1 + T, p0=HUGE)),
    "dt, huge": ("dt", lambda: mflow.solve_dynamics(1.0, 0.1, 4.0, None, (0, 1), [1.0], [0.0], dt=HUGE)),
    "loss": ("loss", lambda: mflow.least_squares(residuals, [0.5, 0.5], loss=one)),
    "data": ("data", lambda: mflow.train(data_cost, START, one, jac=True)),
    "fun": ("fun", lambda: mflow.energy_ledger(one, START, jac=True, lr=0.1)),
    "lr that overflows": ("energy_ledger.*lower lr", lambda: mflow.energy_ledger(cost, START, jac=True, lr=1e308)),
    "mass": ("mass", lambda: mflow.max_stable_dt("central_difference", stiffness=4.0, mass=5e-324)),
    "curvature": ("curvature", lambda: mflow.best_parameters("momentum", 10.0, 5e-324)),
    "x0": ("x0", lambda: mflow.check_grad(lambda x: 0.0, lambda x: x, [])),
    "grad": ("grad", lambda: mflow.gradient_flow(TABLE, np.ones(2), 1.0, dt=0.1)),
    "max_step": ("max_step", lambda: mflow.solve_ivp(decay, (0, 1), [1.0], max_step=5e-324)),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_sentence_begins_with_the_argument(call: str) -> None:
    argument, made = CALLS[call]
    with pytest.raises((TypeError, ValueError), match=f"^{argument}"):
        made()


RAGGED = [[1, [2]]]


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("load", lambda: mflow.solve_dynamics(1.0, None, 1.0, RAGGED, (0, 1), [1.0, 0.0], dt=0.1)),
        ("v0", lambda: mflow.solve_dynamics(1.0, None, 1.0, None, (0, 1), [1.0, 0.0], RAGGED, dt=0.1)),
        ("x0", lambda: mflow.solve_dynamics_batch(1.0, None, 1.0, None, (0, 1), RAGGED, dt=0.1)),
        ("v0", lambda: mflow.solve_dynamics_batch(1.0, None, 1.0, None, (0, 1), [[1.0], [2.0]], RAGGED, dt=0.1)),
        ("v0", lambda: mflow.solve_dynamics_batch(1.0, None, 1.0, None, (0, 1), [[1.0], [2.0]], [1, 2, 3], dt=0.1)),
        ("v0", lambda: mflow.solve_dynamics_batch(1.0, None, 1.0, None, (0, 1), [[1.0], [2.0]], np.zeros((2, 3, 4)), dt=0.1)),
        ("t_eval", lambda: mflow.solve_dynamics_batch(1.0, None, 1.0, None, (0, 1), [[1.0], [2.0]], t_eval="x", dt=0.1)),
        ("t_eval", lambda: mflow.solve_dynamics_batch(1.0, None, 1.0, None, (0, 1), [[1.0], [2.0]], t_eval=10**400, dt=0.1)),
        ("batch_args", lambda: mflow.solve_dynamics_batch(1.0, None, 1.0, None, (0, 1), [[1.0], [2.0]], batch_args=3, dt=0.1)),
        ("rtol_v", lambda: mflow.solve_dynamics(1.0, None, 1.0, None, (0, 1), [1.0], dt=0.1, rtol_v=1e-3)),
        ("t_eval", lambda: mflow.family(lambda t, y: -y, np.ones((2, 3)), (0, 1), t_eval=RAGGED)),
        ("x", lambda: mflow.check_gradient(lambda x: float(x @ x), RAGGED, lambda x: 2 * x)),
        ("omega_dt", lambda: mflow.oscillation("newmark", RAGGED)),
        ("omega_dt", lambda: mflow.oscillation("newmark", 1e308)),
        ("symbols", lambda: mflow.consistency("rk4", symbols=np.ones(3))),
        ("t_end", lambda: mflow.gradient_flow(lambda c: c, [1.0], np.inf, dt=0.1)),
        ("diag", lambda: mflow.curve_fit(lambda x, a: a * x, [1.0, 2.0], [1.0, 2.0], diag="x")),
        ("diag", lambda: mflow.curve_fit(lambda x, a: a * x, [1.0, 2.0], [1.0, 2.0], diag=10**400)),
    ],
)
def test_what_numpy_refuses_is_named(name: str, call: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"(^|, ){name}(,.*)?: expected|^dt, {name}: "):
        call()


ROWS = np.ones((3, 1))


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("load", lambda wrong: mflow.solve_dynamics(1.0, None, 1.0, lambda t: [wrong], (0, 1), [1.0], dt=0.1)),
        ("damping", lambda wrong: mflow.solve_dynamics(1.0, lambda v: [wrong], 1.0, None, (0, 1), [1.0], dt=0.1, method="velocity_verlet")),
        ("grad", lambda wrong: mflow.basins(lambda c: [wrong], starts=[[1.0]], dt=0.1)),
        ("metric", lambda wrong: mflow.train(data_loss, np.ones(1), (ROWS,), jac=True, validation=(ROWS,), metric=lambda w, X: wrong)),
    ],
)
def test_what_a_function_of_the_user_returns_is_named(name: str, call: Any) -> None:
    with pytest.raises(TypeError, match=rf"^{name}: expected "):
        call("x")


def data_loss(w: Any, X: Any) -> Any:
    return float(w @ w), 2 * w


def test_a_whole_number_beyond_all_floats_is_an_infinite_loss() -> None:
    """It was an OverflowError of float()."""
    for fun, metric in ((lambda w, X: (HUGE, w), None), (data_loss, lambda w, X: HUGE)):
        r = mflow.train(fun, np.ones(1), (ROWS,), jac=True, validation=(ROWS,), metric=metric)
        assert not r.success
        assert "loss is inf in epoch 0" in r.message
