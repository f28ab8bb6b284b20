"""A singular mass and no matrix (NewtonKrylov): rows add up components of other sizes, and steps are those of Newton's iteration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mflow
from mflow.base.checks import Array
from mflow.solvers import nonlinear
from support.levels import first_order

METHODS = [method for method in first_order("mass", "embedded") if method != "rodas5p"]  # whose stages are linear equations
AT_40 = [0.71582706872, 9.1855347646e-06, 0.28416374575]  # of Robertson's problem, by the test set


def robertson(t: float, y: Array) -> list[float]:
    first = -0.04 * y[0] + 1e4 * y[1] * y[2]
    return [first, -first - 3e7 * y[1] * y[1], y[0] + y[1] + y[2] - 1.0]


REST = 30  # unknowns at rest, y' = 0: with them there are more than GMRES has vectors


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("atol", [1e-8, 1e-9, 1e-10, 1e-12])
@pytest.mark.parametrize(("rest", "most"), [(REST, 12.0), (0, 1.1)])
def test_robertsons_steps_are_those_with_a_matrix(
    method: str, atol: float, rest: int, most: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nonlinear, "COUPLED", 0)  # by products alone, as of more than 300 unknowns
    calls, at_rest = [0, 0], [0.0] * rest

    def counted(k: int) -> Any:
        def fun(t: float, y: Array) -> list[float]:
            calls[k] += 1
            return robertson(t, y) + at_rest

        return fun

    how: dict[str, Any] = {"rtol": 1e-6, "atol": atol, "mass": [1.0, 1.0, 0.0] + [1.0] * rest, "max_steps": 1000}
    matrix = {"solver": mflow.Newton("banded"), "lband": 2, "uband": 2}
    plain = mflow.solve_ivp(counted(0), (0, 40), [1.0, 0.0, 0.0, *at_rest], method, **matrix, **how)
    r = mflow.solve_ivp(counted(1), (0, 40), [1.0, 0.0, 0.0, *at_rest], method, solver=mflow.NewtonKrylov(), **how)
    assert r.success, r.message
    assert np.max(np.abs(r.y[:3, -1] - AT_40) / (atol + 1e-6 * np.abs(AT_40))) < 10.0 * np.sqrt((3 + rest) / 3)
    assert r.nsteps < 1.2 * plain.nsteps + 10
    assert calls[1] < most * calls[0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", [2, 3])
def test_a_stiff_linear_pencil_whose_null_spaces_are_no_axes(method: str, seed: int) -> None:
    """Against the closed form of z' = B z, y = V (z, G z), by matrix exponentials of another library."""
    from scipy.linalg import expm

    rng, n, k = np.random.default_rng(seed), 6, 2
    A = -np.diag(np.exp(rng.uniform(-2.0, 8.0, n))) + 0.5 * rng.normal(size=(n, n))
    A[n - k :] = rng.normal(size=(k, n))
    A[n - k :, n - k :] += 3.0 * np.eye(k)
    U, V = (np.linalg.qr(rng.normal(size=(n, n)))[0] for _ in range(2))
    G = -np.linalg.solve(A[n - k :, n - k :], A[n - k :, : n - k])
    B, z = A[: n - k, : n - k] + A[: n - k, n - k :] @ G, rng.normal(size=n - k)
    M, J = U @ np.diag([1.0] * (n - k) + [0.0] * k) @ V.T, U @ A @ V.T
    ends = [V @ np.concatenate([part, G @ part]) for part in (z, expm(2.0 * B) @ z)]
    r = mflow.solve_ivp(
        lambda t, y: J @ y, (0, 2), ends[0], method, mass=M, solver=mflow.NewtonKrylov(), rtol=1e-6, atol=1e-9, max_steps=2000, save="last"
    )
    assert r.success, r.message
    np.testing.assert_allclose(r.y[:, -1], ends[1], atol=2e-5 * float(np.max(np.abs(ends[0]))))


@pytest.mark.parametrize("method", METHODS)
def test_a_mass_that_couples_the_unknowns_takes_no_more_evaluations_than_newton(method: str) -> None:
    """Heat by finite elements; radau5 took 11 times as many without a matrix."""
    n, calls = 40, [0, 0]
    beside = np.eye(n, k=1) + np.eye(n, k=-1)
    M, K = (4.0 * np.eye(n) + beside) / (6.0 * n), n * (2.0 * np.eye(n) - beside)

    def counted(k: int) -> Any:
        def fun(t: float, y: Array) -> Array:
            calls[k] += 1
            return -(K @ y) - y**3 / n

        return fun

    how: dict[str, Any] = {"mass": M, "rtol": 1e-5, "atol": 1e-8, "save": "last"}
    plain = mflow.solve_ivp(counted(0), (0, 1), np.ones(n), method, solver="newton", **how)
    r = mflow.solve_ivp(counted(1), (0, 1), np.ones(n), method, solver="newton_krylov", **how)
    assert r.success
    np.testing.assert_allclose(r.y, plain.y, rtol=0, atol=1e-9)
    assert calls[1] <= 1.1 * calls[0]
