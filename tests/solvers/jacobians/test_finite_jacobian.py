"""Jacobians, Hessians and tangents with NaN or an infinity: the run ends after the second call in vain and names the entry.

The oracle of the entry is the place where the test puts it; the oracle of the calls is a counter in the user's own function.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mflow

A = np.array([[-1.0, 0.5], [0.5, -100.0]])
H = np.array([[2.0, 0.5], [0.5, 10.0]])


class Broken:
    """A matrix with one entry that is not finite, after some good calls; it counts its calls."""

    def __init__(self, matrix: Any, place: tuple[int, int], entry: float, good: int = 0) -> None:
        self.matrix, self.place, self.entry, self.good, self.calls = matrix, place, entry, good, 0

    def __call__(self, *state: Any) -> Any:
        self.calls += 1
        out = np.array(self.matrix)
        if self.calls > self.good:
            out[self.place] = self.entry
        return out


@pytest.mark.parametrize("entry", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("method", ["radau5", "bdf", "esdirk43", "rodas5p", "backward_euler", "trapezoidal", "sdirk2"])
def test_a_jacobian_that_is_not_finite_ends_the_run_at_once(method: str, entry: float) -> None:
    jac = Broken(A, (1, 0), entry)
    fixed = {"dt": 0.01} if method in ("backward_euler", "trapezoidal", "sdirk2") else {}
    run = mflow.solve_ivp(lambda t, y: A @ y, (0, 1), [1.0, 1.0], method=method, jac=jac, **fixed)
    assert run.reason == "non_finite"
    assert run.message == f"jac is not finite at t = 0 (after 0 steps), the state is: its entry (1, 0) is {entry:g}"
    assert not run.success
    assert run.njev == jac.calls <= 3
    np.testing.assert_array_equal(run.y[:, -1], [1.0, 1.0])


@pytest.mark.parametrize("method", ["radau5", "bdf"])
def test_an_entry_of_a_sparse_jacobian_is_named(method: str) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    n = 40
    J = sparse.diags_array([np.ones(n - 1), np.full(n, -3.0), np.ones(n - 1)], offsets=[-1, 0, 1]).tolil()
    J[7, 8] = math.nan
    run = mflow.solve_ivp(lambda t, y: -y, (0, 1), np.ones(n), method=method, jac=lambda t, y: J.tocsr())
    assert run.reason == "non_finite"
    assert "its entry (7, 8) is nan" in run.message
    assert run.njev <= 4


@pytest.mark.parametrize("method", ["radau5", "bdf", "esdirk43"])
def test_a_jacobian_that_is_not_finite_ahead_of_the_state_alone_does_not_end_the_run(method: str) -> None:
    """y' = -50 (y - cos t), whose solution is known, with a Jacobian that every third call says nan and, asked again, is right."""
    calls = [0]

    def jac(t: float, y: Any) -> Any:
        calls[0] += 1
        return [[math.nan if calls[0] % 3 == 2 else -50.0]]

    run = mflow.solve_ivp(lambda t, y: -50.0 * (y - np.cos(t)), (0, 2), [1.0], method=method, jac=jac, rtol=1e-6, atol=1e-9)
    exact = (2500 * math.cos(2) + 50 * math.sin(2)) / 2501 + math.exp(-100) / 2501
    assert run.success
    assert run.y[0, -1] == pytest.approx(exact, abs=1e-5)


def test_a_state_that_is_not_finite_is_not_the_jacobians_fault() -> None:
    run = mflow.solve_ivp(lambda t, y: np.full(1, math.nan), (0, 1), [1.0], method="radau5", jac=lambda t, y: -y.reshape(1, 1))
    assert run.reason == "non_finite"
    assert "jac" not in run.message


def cost(x: Any) -> float:
    return float(0.25 * (x @ H @ x) ** 2 + 0.5 * x @ x)


def grad(x: Any) -> Any:
    return (x @ H @ x) * (H @ x) + x


@pytest.mark.parametrize("entry", [math.nan, math.inf])
@pytest.mark.parametrize(("method", "more"), [("backward_euler", {"dt": 0.1}), ("backward_euler", {"dt": math.inf}), ("trust_ncg", {})])
def test_a_hessian_that_is_not_finite_is_named(method: str, more: dict[str, float], entry: float) -> None:
    hess = Broken(H, (0, 1), entry)
    r = mflow.minimize(cost, [1.0, 1.0], jac=grad, hess=hess, method=method, **more)
    assert (r.success, r.reason) == (False, "non_finite")
    assert r.message.startswith(f"hess is not finite in iteration 0: its entry (0, 1) is {entry:g}")
    assert hess.calls <= 3
    np.testing.assert_array_equal(r.x, [1.0, 1.0])


def test_products_with_a_hessian_that_are_not_finite_are_named() -> None:
    r = mflow.minimize(cost, [1.0, 1.0], jac=grad, hessp=lambda x, p: np.array([p[0], math.nan]), method="trust_ncg")
    assert r.reason == "non_finite"
    assert r.message.startswith("hessp is not finite in iteration 0: its entry 1 is nan")


def test_a_hessian_of_gradient_flow_is_named() -> None:
    hess = Broken(H, (1, 1), math.nan)
    run = mflow.gradient_flow(grad, [1.0, 1.0], 1.0, "radau5", hess=hess)
    assert run.reason == "non_finite"
    assert "its entry (1, 1) is nan" in run.message
    assert run.message.startswith("hess is not finite at t = 0")
    assert hess.calls <= 3


def test_a_jacobian_of_residuals_is_named_behind_the_start_too() -> None:
    t = np.linspace(0.0, 1.0, 9)
    y = np.exp(-1.3 * t)

    def exact(p: Any) -> Any:
        return np.stack([np.exp(-p[1] * t), -p[0] * t * np.exp(-p[1] * t)], 1)

    broken = [0]

    def jac(p: Any) -> Any:
        broken[0] += 1
        J = exact(p)
        if broken[0] > 1:
            J[3, 1] = math.nan
        return J

    r = mflow.least_squares(lambda p: p[0] * np.exp(-p[1] * t) - y, [2.0, 0.5], jac=jac, check_gradient=False)
    assert not r.success
    assert "jac is not finite at points tried beyond x: its entry (3, 1) is nan" in r.message


@pytest.mark.parametrize("entry", [math.nan, -math.inf])
def test_a_tangent_of_a_force_is_named(entry: float) -> None:
    dfdx = Broken(-np.diag([4.0, 2.0]), (1, 0), entry)
    run = mflow.solve_dynamics(
        mass=[1.0, 1.0], force=lambda t, x, v: -np.array([x[0] + x[0] ** 3, 2 * x[1]]), dfdx=dfdx, t_span=(0, 1), x0=[1.0, 1.0],
        v0=[0.0, 0.0], dt=0.1, method="newmark",
    )  # fmt: skip
    assert run.reason == "non_finite"
    assert run.message == f"dfdx is not finite at t = 0 (after 0 steps), the state is: its entry (1, 0) is {entry:g}"
    assert dfdx.calls <= 4


@pytest.mark.parametrize("method", ["radau5", "bdf", "esdirk43", "rodas5p"])
def test_a_jacobian_that_is_not_finite_from_a_time_on_is_blamed(method):
    """bdf and esdirk43 asked whether the solution has left the domain of the right-hand side."""
    r = mflow.solve_ivp(lambda t, y: -(y**3), (0, 1), [1.0, 2.0], method, jac=lambda t, y: np.eye(2) * (-1.0 if t <= 0.1 else np.nan))
    assert r.reason == "non_finite"
    assert r.message.startswith("jac is not finite at t = ")
