"""Jacobians by differences of slopes that are computed in float32, alone or beside float64: against the same equations in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mflow
from mflow.base.checks import Array
from support.levels import first_order

METHODS = first_order("implicit", "embedded")
N = 40
HEAT = 100.0 * (np.diag(-2.0 * np.ones(N)) + np.diag(np.ones(N - 1), 1) + np.diag(np.ones(N - 1), -1))


def plain(t: float, y: Array, kind: type) -> Any:
    return kind(-1.3) * np.asarray(y, kind) + kind(np.sin(t))


def van_der_pol(t: float, y: Array, kind: type) -> Any:
    a, b = np.asarray(y, kind)
    return np.array([b, kind(100.0) * ((kind(1.0) - a * a) * b) - a], kind)


def pendulum(t: float, y: Array, kind: type) -> Any:
    """Its velocity in float64, its force in float32, as of a network."""
    return np.array([y[1], float(-np.sin(kind(y[0])) - kind(0.1) * kind(y[1]))])


def heat(t: float, y: Array, kind: type) -> Any:
    return HEAT.astype(kind) @ np.asarray(y, kind) + kind(np.sin(t))


PROBLEMS: dict[str, tuple[Any, list[float], float]] = {
    "plain": (plain, [1.0, 2.0], 5.0), "van der pol": (van_der_pol, [2.0, 0.0], 150.0), "pendulum": (pendulum, [1.0, 0.0], 10.0),
    "heat": (heat, [0.0] * N, 3.0),
}  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_float32_costs_little_more_than_float64(problem: str, method: str) -> None:
    fun, y0, t_end = PROBLEMS[problem]
    runs = [
        mflow.solve_ivp(lambda t, y, kind=kind: fun(t, y, kind), (0, t_end), y0, method, rtol=1e-5, atol=1e-7, max_steps=2000, save="last")
        for kind in (np.float64, np.float32)
    ]
    assert all(r.success for r in runs)
    assert runs[1].nfev < 2.0 * runs[0].nfev + 100
    np.testing.assert_allclose(runs[1].y[:, -1], runs[0].y[:, -1], atol=1e-2 if problem == "van der pol" else 2e-4)


def test_gmres_takes_differences_of_float32() -> None:
    runs = [
        mflow.solve_ivp(lambda t, y, kind=kind: heat(t, y, kind), (0, 3), [0.0] * N, "bdf", rtol=1e-6, atol=1e-8, solver="newton_krylov")
        for kind in (np.float64, np.float32)
    ]
    assert runs[1].nfev < 3.0 * runs[0].nfev


def test_a_residual_that_cancels_to_few_bits_keeps_its_differences() -> None:
    """z = 1 - x by an algebraic equation whose residual is what rounding leaves: against the closed form."""
    r = mflow.solve_ivp(
        lambda t, y: np.array([-y[0] * y[1], y[0] + y[1] - 1.0]), (0, 1), [0.3, 0.7], "rodas5p", mass=[1.0, 0.0], rtol=1e-10, atol=1e-12
    )
    x = 0.3 / (0.3 + 0.7 * np.exp(r.t))  # x' = -x (1 - x)
    np.testing.assert_allclose(r.y, [x, 1.0 - x], atol=1e-9)
