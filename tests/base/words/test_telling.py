"""Warnings point at the user's own line, from whatever depth they come."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mflow
import mflow.scipy
from mflow.base.telling import tell

CALLS: dict[str, Callable[[], Any]] = {
    "minimize": lambda: mflow.minimize(lambda x: (x[0] - 1) ** 2, [0.0], jac=lambda x: [x[0] - 1], maxiter=1),
    "least_squares": lambda: mflow.least_squares(lambda b: [b[0] - 1.0, b[0] - 2.0, 0.0], [0.0, 1.0]),
    "friction": lambda: mflow.minimize(lambda x: x[0] ** 2, [1.0], method="consistent_momentum", friction=0.0, maxiter=1),
    "explicit": lambda: mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], method="rk4", dt=0.1, jac=[[-1.0]]),
    "small start": lambda: mflow.solve_ivp(lambda t, y: -y, (0, 1), [1e-12]),
    "small motion": lambda: mflow.solve_dynamics(stiffness=1.0, x0=[1e-12], v0=[0.0], t_span=(0, 1), rtol=1e-3),
    "unstable": lambda: mflow.solve_ivp(lambda t, y: -100.0 * y, (0, 1), [1.0], method="euler", dt=0.1),
    "bound": lambda: mflow.max_stable_dt("sgd", jac=[[2.0]]),
    "growth": lambda: mflow.max_stable_dt("euler", jac=np.diag(-np.ones(30)) + 40 * np.diag(np.ones(29), 1)),
    "train": lambda: mflow.train(lambda c: (float(c @ c), -2 * c), np.ones(2), jac=True, epochs=1),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_line_is_the_users(call: str) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        CALLS[call]()
    assert told
    assert {one.filename for one in told} == {__file__}
    line = CALLS[call].__code__.co_firstlineno
    assert {one.lineno for one in told} == {line}


def test_through_scipy() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    with pytest.warns(RuntimeWarning, match="does not use Hessian information") as told:
        optimize.minimize(lambda x: x @ x, [1.0], method=mflow.scipy.minimize_momentum, options={"lr": 0.1}, hess=lambda x: np.eye(1))
    assert told[0].filename == __file__


def test_at_the_first_line_outside_of_the_library() -> None:
    with pytest.warns(UserWarning, match="words") as told:
        tell("words", UserWarning)
    assert told[0].filename == __file__


class Pendulum:
    def late(self, y: Any, t: float) -> Any:
        return -y

    def early(self, t: float, y: Any) -> Any:
        return -y


LATE: dict[str, Callable[[], Any]] = {
    "solve_ivp": lambda: mflow.solve_ivp(lambda y, t: -y, (0, 1), [1.0]),
    "method of a class": lambda: mflow.solve_ivp(Pendulum().late, (0, 1), [1.0]),
    "batch": lambda: mflow.solve_ivp_batch(lambda y, t, k: -y, (0, 1), [[1.0]], args=(1.0,)),
    "Stepper": lambda: mflow.Stepper("rk4", lambda y, t: -y, [1.0]),
    "force": lambda: mflow.solve_dynamics(force=lambda x, v, t: -x, mass=1.0, t_span=(0, 1), x0=[1.0], method="leapfrog", dt=0.1),
    "compiled": lambda: [pytest.importorskip("numba"), mflow.compile(lambda y, t: -y)],
    "complex": lambda: mflow.solve_ivp(lambda y, t: 1j * y, (0, 1), [1.0 + 0j]),
}


@pytest.mark.parametrize("call", LATE)
def test_the_order_of_odeint_is_seen(call: str) -> None:
    with pytest.warns(UserWarning, match="the time last as odeint has it; write") as told:
        LATE[call]()
    assert [one.filename for one in told] == [__file__]


def test_the_order_of_others_is_none_of_ours() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fun in (lambda t, y: -y, Pendulum().early, lambda s, u: -u, lambda *both: -both[1], lambda t, y, k=1.0: -k * y, np.add):
            mflow.solve_ivp(fun, (0, 1), [1.0])
