"""nonnegative= with a mass matrix: the plain run's cost, sums of M y that stay, and solutions that do leave."""

from typing import Any

import numpy as np
import pytest
from mflow_core import registry

import mflow
from support.problems import Array

TAKES = [record.name for record in registry.records() if {"mass", "embedded"} <= set(record.flags)]
MASS = np.array([3.0, 1.5, 2.0, 0.5])
TOL: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-8, "max_steps": 2000}


def enzyme(t: float, y: Array) -> Array:
    """M y' of E + S -> C, C -> E + S, C -> E + P, a binding much faster than the rest: rates of amounts, whose sums stay."""
    binding, back, on = 1e4 * y[0] * y[1], 50.0 * y[2], 0.5 * y[2]
    return np.array([-binding + back, -binding + back + on, binding - back - on, on])


@pytest.mark.parametrize("method", TAKES)
def test_at_the_plain_runs_cost(method: str) -> None:
    y0 = [1.0, 0.5, 0.0, 0.0]
    plain = mflow.solve_ivp(enzyme, (0.0, 200.0), y0, method, mass=MASS, **TOL)
    r = mflow.solve_ivp(enzyme, (0.0, 200.0), y0, method, mass=MASS, nonnegative=True, **TOL)
    assert r.success, r.message
    assert np.min(r.y) >= 0.0
    assert r.nfev < 1.3 * plain.nfev  # 30 to 120 times as many where each end below 0 is refused
    amounts = MASS[:, None] * r.y
    for kept in (amounts[1] + amounts[2], amounts[0] + amounts[2] + amounts[3]):  # enzyme; substrate, bound and made
        assert np.max(np.abs(kept - kept[0])) < 1e-6
    exact = mflow.solve_ivp(lambda t, y: enzyme(t, y) / MASS, (0.0, 200.0), y0, "radau5", rtol=1e-10, atol=1e-13)
    assert np.allclose(r.y[:, -1], exact.y[:, -1], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("method", TAKES)
@pytest.mark.parametrize("mass", [[2.0], [1e-3], [-2.0]])
def test_a_solution_that_leaves_is_told(method: str, mass: list[float]) -> None:
    r = mflow.solve_ivp(lambda t, y: [-mass[0]], (0.0, 2.0), [1.0], method, mass=mass, nonnegative=True, **TOL)
    assert r.reason == "left_domain"
    assert abs(r.t[-1] - 1.0) < 1e-3
    assert "its slope is -1:" in r.message


@pytest.mark.parametrize("method", TAKES)
def test_rows_that_mix_slopes_tell_them_too(method: str) -> None:
    """f of the component that leaves is above 0, and so it is of the one that stays at 0, where y' = 0."""
    M = np.array([[1.0, 2.0], [2.0, 1.0]])
    r = mflow.solve_ivp(lambda t, y: M @ [-1.0, 2.0], (0.0, 2.0), [1.0, 0.0], method, mass=M, nonnegative=True, **TOL)
    assert r.reason == "left_domain"
    assert abs(r.t[-1] - 1.0) < 1e-3
    assert "its slope is -1:" in r.message
    r = mflow.solve_ivp(lambda t, y: M @ [-y[0], 0.0], (0.0, 60.0), [1.0, 0.0], method, mass=M, nonnegative=True, **TOL)
    assert r.success, r.message


@pytest.mark.parametrize("method", TAKES)
def test_algebraic_and_coupled_rows(method: str) -> None:
    def algebraic(t: float, y: Array) -> list[float]:
        return [-1e4 * y[0] * y[1], y[0] - 2.0 * y[1]]

    r = mflow.solve_ivp(algebraic, (0.0, 50.0), [1.0, 0.5], method, mass=[1.0, 0.0], nonnegative=True, **TOL)
    assert r.success, r.message
    assert np.min(r.y) >= 0.0
    assert np.allclose(r.y[:, -1], [1.0 / (1.0 + 5e3 * 50.0), 0.5 / (1.0 + 5e3 * 50.0)], rtol=1e-2, atol=1e-8)
    M = np.array([[2.0, 1.0], [0.0, 1.0]])
    r = mflow.solve_ivp(lambda t, y: M @ [-1e3 * y[0], 1e3 * y[0] - y[1]], (0.0, 5.0), [1.0, 0.0], method, mass=M, nonnegative=True, **TOL)
    assert r.success, r.message
    assert np.min(r.y) >= 0.0
