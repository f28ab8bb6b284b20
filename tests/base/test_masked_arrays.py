"""Masked arrays: NumPy drops a mask without a word, and numbers that were hidden would count; every door refuses them by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mflow

T = np.linspace(0.0, 1.0, 5)
EYE = np.eye(2)
HIDDEN: Any = np.ma.array([1.0, 9999.0], mask=[False, True])
TABLE: Any = np.ma.array(np.ones((2, 5)), mask=np.eye(2, 5))
MATRIX: Any = np.ma.array(-EYE, mask=EYE)
ROWS: Any = np.ma.array(np.ones((6, 1)), mask=np.eye(6, 1))


def decay(t: float, y: Any) -> Any:
    return -y


def loss(w: Any, X: Any) -> Any:
    return float(np.sum((X @ w) ** 2)), 2.0 * X.T @ (X @ w)


def solved(fun: Any = decay, method: str = "bdf", **more: Any) -> Any:
    return mflow.solve_ivp(fun, (0, 1), [1.0, 2.0], method, **more)


def moved(**more: Any) -> Any:
    given: dict[str, Any] = {"mass": [1.0, 1.0], "stiffness": [4.0, 4.0], "t_span": (0, 1), "x0": [1.0, 0.0], "dt": 0.1}
    return mflow.solve_dynamics(**{**given, **more})


DOORS: dict[str, tuple[Callable[[], Any], str]] = {
    "slopes": (lambda: solved(lambda t, y: HIDDEN, "rk4", dt=0.1), "fun: "),
    "jac": (lambda: solved(jac=MATRIX), "jac: "),
    "jac's return": (lambda: solved(jac=lambda t, y: MATRIX), "jac: "),
    "mass": (lambda: solved(method="radau5", mass=HIDDEN), "mass: "),
    "doses": (lambda: solved(doses=np.ma.array([[0.5, 0, 1.0]], mask=[[0, 0, 1]])), "doses: "),
    "an event": (lambda: solved(events=[lambda t, y: HIDDEN[1:]]), "events: "),
    "load": (lambda: moved(load=HIDDEN), "load: "),
    "load, a table": (lambda: moved(load=(T, TABLE)), "load: "),
    "load, its times": (lambda: moved(load=(np.ma.array(T, mask=T > 0.9), np.ones((2, 5)))), "load: "),
    "load, its pattern": (lambda: moved(load=(T, np.ones(5), HIDDEN)), "load, its pattern: "),
    "load, a function": (lambda: moved(load=lambda t: HIDDEN), "load: "),
    "force": (lambda: moved(force=lambda t, x, v: HIDDEN), "force: "),
    "dfdx": (lambda: moved(force=lambda t, x, v: -(x**3), dfdx=lambda t, x, v: MATRIX, method="newmark"), "dfdx: "),
    "fixed": (lambda: moved(fixed={1: (T, np.ma.array(np.zeros(5), mask=T > 0.9))}), r"fixed\[1\]: "),
    "a record": (lambda: mflow.data.GroundMotion("a", T, np.ma.array(T, mask=T > 0.9)), "a: "),
    "cost": (lambda: mflow.minimize(lambda x: np.ma.array(x @ x, mask=True), [1.0, 2.0]), "fun: "),
    "gradient": (lambda: mflow.minimize(lambda x: (x @ x, HIDDEN), [1.0, 2.0], jac=True), ""),
    "data": (lambda: mflow.train(loss, np.zeros(1), (ROWS,), "sgd", lr=0.1, epochs=1, jac=True, batch_size=3), r"data\[0\]: "),
    "minibatches": (lambda: mflow.minibatches(ROWS, batch_size=3), "array 0: "),
    "parameters": (lambda: mflow.optim.SGD(HIDDEN, lr=0.1), "params: "),
    "a step's gradient": (lambda: mflow.optim.SGD(np.ones(2), lr=0.1).step(HIDDEN), ""),
    "sparse gradient": (lambda: mflow.optim.SparseGradient([1, 2], HIDDEN), "values: "),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_masked_entry_is_refused_by_name(door: str) -> None:
    call, name = DOORS[door]
    with pytest.raises(ValueError, match=rf"^{name}.*expected numbers that all count, got a masked array with \d of \d+ entries masked"):
        call()


def test_an_array_with_an_empty_mask_is_an_array() -> None:
    plain: Any = np.ma.array([1.0, 2.0])
    np.testing.assert_array_equal(moved(load=plain).x, moved(load=[1.0, 2.0]).x)
    np.testing.assert_array_equal(solved(lambda t, y: np.ma.array(-y)).y, solved().y)
