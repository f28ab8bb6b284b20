"""Between the long steps of methods for stiff problems: a transient that a step damps out is seen where it is asked for."""

import math
from typing import Any

import numpy as np
import pytest
from mflow_core import registry

import mflow
from support.problems import Array

FAST = 1e5
METHODS = [
    record.name
    for record in registry.records()
    if {"implicit", "embedded"} <= set(record.flags) and {"A_inv", "G"} & set(record.tableau or {}) and "second_order" not in record.flags
]


def fun(t: float, y: Array) -> list[float]:
    return [-FAST * (y[0] - math.cos(t))]


def exact(t: Any, y0: float) -> Any:
    """Of the linear equation, from t = 0."""
    near = FAST * (FAST * np.cos(t) + np.sin(t)) / (FAST**2 + 1.0)
    return near + (y0 - FAST**2 / (FAST**2 + 1.0)) * np.exp(-FAST * np.asarray(t))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tol", [1e-4, 1e-6])
def test_a_fast_decay_is_inside_the_tolerance(method: str, tol: float) -> None:
    r = mflow.solve_ivp(fun, (0.0, 3.0), [2.0], method, rtol=tol, atol=tol, jac=[[-FAST]], dense_output=True)
    for a, b in zip(r.t[:-1], r.t[1:], strict=True):
        t = a + (b - a) * np.linspace(0.01, 0.99, 50)
        error = np.abs(r.sol(t)[0] - exact(t, 2.0)) / (tol + tol * np.abs(exact(t, 2.0)))
        assert np.max(error) < 3.0  # 11 to 1800 without a look inside


@pytest.mark.parametrize("method", METHODS)
def test_times_and_events_inside(method: str) -> None:
    call: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-6, "jac": [[-FAST]]}
    ends = mflow.solve_ivp(fun, (0.0, 3.0), [2.0], method, **call)
    inside = np.concatenate([[a + 0.4 * (b - a)] for a, b in zip(ends.t[:-1], ends.t[1:], strict=True)])
    r = mflow.solve_ivp(fun, (0.0, 3.0), [2.0], method, t_eval=inside, **call)
    assert np.max(np.abs(r.y[0] - exact(inside, 2.0))) < 4e-6
    assert r.nsteps > ends.nsteps
    r = mflow.solve_ivp(fun, (0.0, 3.0), [2.0], method, events=lambda t, y: y[0] - 1.0001, **call)
    assert abs(r.t_events[0][0] * FAST - math.log(1e4)) < 0.05  # its slope there is FAST times 1e-4


@pytest.mark.parametrize("method", METHODS)
def test_ends_alone_cost_nothing(method: str) -> None:
    call: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-6, "jac": [[-FAST]]}
    plain = mflow.solve_ivp(fun, (0.0, 3.0), [2.0], method, **call)
    at_ends = mflow.solve_ivp(fun, (0.0, 3.0), [2.0], method, t_eval=[0.0, 3.0], **call)
    assert (plain.nfev, plain.nsteps) == (at_ends.nfev, at_ends.nsteps)
    assert plain.y[0, -1] == at_ends.y[0, -1]
