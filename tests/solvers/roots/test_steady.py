"""The steady state of an infinite step is the one that the flow from the start reaches: SciPy's LSODA follows that flow; or none is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp as scipy_solve_ivp

import mflow


def pendulum(c: float) -> Any:
    return lambda t, y: np.array([y[1], -c * y[1] - np.sin(y[0])])


def duffing(c: float, tilt: float) -> Any:
    return lambda t, y: np.array([y[1], -c * y[1] + y[0] - y[0] ** 3 + tilt])


def rest_of(fun: Any, start: Any, **given: Any) -> Any:
    return mflow.solve_ivp(fun, (0, np.inf), start, "backward_euler", dt=np.inf, **given)


def check(fun: Any, start: Any, **given: Any) -> None:
    r = rest_of(fun, start, **given)
    flow = scipy_solve_ivp(fun, (0, 600), start, method="LSODA", rtol=1e-10, atol=1e-12)
    assert r.reason == "finished", r.message
    assert np.abs(fun(0.0, flow.y[:, -1])).max() < 1e-7
    assert np.abs(r.y[:, -1] - flow.y[:, -1]).max() < 1e-5
    assert np.abs(fun(0.0, r.y[:, -1])).max() < 1e-12
    assert "is stable" in r.message


@pytest.mark.parametrize("speed", [3.0, -5.5, 8.0])
@pytest.mark.parametrize("c", [0.12, 0.3, 0.9])
def test_pendulums_that_swing_over(c: float, speed: float) -> None:
    check(pendulum(c), [0.1, speed])


def test_the_pendulum_that_swings_over_once() -> None:
    r = rest_of(pendulum(0.3), [0.0, 3.0])
    assert np.abs(r.y[:, -1] - [2 * np.pi, 0.0]).max() < 1e-12


@pytest.mark.parametrize("start", [[0.57, 1.81], [-1.36, -2.96], [0.41, 1.88]])
@pytest.mark.parametrize("c", [0.15, 0.6])
def test_two_wells_and_friction(c: float, start: Any) -> None:
    check(duffing(c, 0.05), start)


@pytest.mark.parametrize("how", ["jac", "banded", "sparse", "krylov"])
def test_every_solver_reaches_it(how: str) -> None:
    def jac(t: float, y: Any) -> Any:
        return np.array([[0.0, 1.0], [-np.cos(y[0]), -0.3]])

    given: dict[str, Any] = {
        "jac": {"jac": jac}, "banded": {"lband": 1, "uband": 1}, "krylov": {"solver": "newton_krylov"},
        "sparse": {"jac_sparsity": np.ones((2, 2)), "solver": mflow.nonlinear.Newton("sparse")},
    }  # fmt: skip
    check(pendulum(0.3), [0.0, 3.0], **given[how])


def test_costs_of_many_wells() -> None:
    rng = np.random.default_rng(5)
    for _ in range(12):
        n = int(rng.integers(1, 4))
        q, a, w = np.linalg.qr(rng.standard_normal((n, n)))[0], 2 * rng.standard_normal(n), rng.uniform(0.5, 4, n)

        def slope(t: float, y: Any, q: Any = q, a: Any = a, w: Any = w) -> Any:
            return -(0.4 * y + q.T @ (a * np.sin(w * (q @ y))))

        start = 2 * rng.standard_normal(n)
        end = scipy_solve_ivp(slope, (0, 1000), start, method="LSODA", rtol=1e-10, atol=1e-12).y[:, -1]
        r = mflow.gradient_flow(lambda c, f=slope: -f(0.0, c), start, np.inf, "backward_euler", dt=np.inf)
        assert r.reason == "finished"
        assert np.abs(r.y[:, -1] - end).max() < 1e-5
        assert "it is a minimum" in r.message


def test_competing_species() -> None:
    rng = np.random.default_rng(2)
    for _ in range(8):
        n = int(rng.integers(2, 5))
        a, rate = np.abs(rng.standard_normal((n, n))) + np.eye(n), rng.uniform(0.5, 2, n)

        def fun(t: float, y: Any, a: Any = a, rate: Any = rate) -> Any:
            return y * (rate - a @ y)

        start = rng.uniform(0.05, 1.5, n)
        end = scipy_solve_ivp(fun, (0, 3000), start, method="LSODA", rtol=1e-10, atol=1e-14).y[:, -1]
        assert np.abs(rest_of(fun, start).y[:, -1] - end).max() < 1e-5


@pytest.mark.parametrize(
    ("fun", "start", "words"),
    [
        (lambda t, y: [y[1], -y[0]], [1.0, 0.0], "do not fall"),
        (lambda t, y: [y[1], -np.sin(y[0])], [0.0, 1.9], "do not fall"),
        (lambda t, y: [y[1], (1 - y[0] ** 2) * y[1] - y[0]], [0.1, 0.0], "do not fall"),
        (lambda t, y: y, [1.0], "grows without bound"),
        (lambda t, y: np.ones(1), [0.0], "grows without bound"),
        (lambda t, y: y * y, [1.0], "no steady state was reached along the flow"),
    ],
    ids=["centre", "pendulum", "limit cycle", "growth", "drift", "blow-up"],
)
def test_flows_that_never_rest(fun: Any, start: Any, words: str) -> None:
    r = rest_of(fun, start)
    assert (r.reason, r.success, r.y[:, -1].tolist()) == ("solve_failed", False, start)
    assert words in r.message


def test_linear_problems_take_one_step_of_newton() -> None:
    a = np.array([[-3.0, 1.0, 0.5], [0.2, -2.0, 9.0], [0.0, -9.0, -0.1]])
    r = rest_of(lambda t, y: a @ y + [1.0, 2.0, 3.0], [5.0, -4.0, 1.0])
    np.testing.assert_allclose(r.y[:, -1], np.linalg.solve(a, [-1.0, -2.0, -3.0]), rtol=1e-12)
    assert r.nfev < 40
