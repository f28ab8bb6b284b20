"""NewtonKrylov and radau5's iteration in fixed steps of stiff linear systems, against the linear equations of a step solved by NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

import mflow

ROOT6 = np.sqrt(6.0)
RADAU = np.array(  # Hairer and Wanner II, table IV.5.6
    [
        [(88 - 7 * ROOT6) / 360, (296 - 169 * ROOT6) / 1800, (-2 + 3 * ROOT6) / 225],
        [(296 + 169 * ROOT6) / 1800, (88 + 7 * ROOT6) / 360, (-2 - 3 * ROOT6) / 225],
        [(16 - ROOT6) / 36, (16 + ROOT6) / 36, 1 / 9],
    ]
)
EULER = np.array([[1.0]])


def stiff_system(seed):
    """A, b, y0 and a step: eigenvalues over eight decades, and eigenvectors that are no more than a few tens from normal."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    while True:
        V = np.linalg.qr(rng.normal(size=(n, n)))[0] if rng.random() < 0.5 else rng.normal(size=(n, n))
        if np.linalg.cond(V) <= 50.0:
            break
    A = V @ np.diag(-(10 ** rng.uniform(-1, 7, n))) @ np.linalg.inv(V)
    return A, rng.normal(size=n) * 10 ** rng.uniform(-2, 4), rng.normal(size=n) * 10 ** rng.uniform(-2, 4), 10 ** rng.uniform(-3, 0)


def steps(tableau, A, b, y, h, count):
    """The last stages of a stiffly accurate method: k = A (y + h a k) + b, all at once."""
    s, n = len(tableau), len(y)
    out = [y]
    for _ in range(count):
        k = np.linalg.solve(np.eye(s * n) - h * np.kron(tableau, A), np.tile(A @ out[-1] + b, s)).reshape(s, n)
        out.append(out[-1] + h * tableau[-1] @ k)
    return np.array(out).T


def with_more(A, b, y0, count):
    """The same system beside `count` unknowns that are at rest: with 30 GMRES has fewer vectors than there are unknowns."""
    return scipy.linalg.block_diag(A, np.zeros((count, count))), np.append(b, np.zeros(count)), np.append(y0, np.ones(count))


@pytest.mark.parametrize(
    ("solver", "more"), [(mflow.NewtonKrylov(), 0), (mflow.NewtonKrylov(), 30), (mflow.Newton(), 0)], ids=["few", "krylov", "newton"]
)
@pytest.mark.parametrize("method", ["radau5", "backward_euler"])
def test_stiff_linear_steps_are_solved(method, solver, more):
    for seed in range(60):
        A, b, y0, h = stiff_system(seed)
        A, b, y0 = with_more(A, b, y0, more)
        r = mflow.solve_ivp(lambda t, y, A=A, b=b: A @ y + b, (0.0, 3 * h), y0, method=method, dt=h, solver=solver)
        assert r.reason == "finished", (seed, r.message)
        right = steps(RADAU if method == "radau5" else EULER, A, b, y0, h, 3)
        size = np.maximum(np.abs(right[:, 1:]).max(axis=0), np.abs(right[:, :-1]).max(axis=0))
        assert np.all(np.abs(r.y - right)[:, 1:] <= 1e-8 * size), seed


N = 1100
POINTS = np.arange(1, N + 1) / (N + 1)


def heat(t, y):
    out = -2.0 * y
    out[1:] += y[:-1]
    out[:-1] += y[1:]
    return out * (N + 1) ** 2


def test_without_a_matrix_a_stiff_step_of_many_unknowns_is_solved():
    y0 = np.sin(np.pi * POINTS) + np.sign(POINTS - 0.3)
    r = mflow.solve_ivp(heat, (0.0, 0.01), y0, method="backward_euler", dt=0.01)
    band = np.full((3, N), -0.01 * (N + 1) ** 2)
    band[1] = 1.0 - 2.0 * band[1]
    assert r.success, r.message
    assert np.abs(r.y[:, -1] - scipy.linalg.solve_banded((1, 1), band, y0)).max() <= 1e-11


@pytest.mark.parametrize("control", [{"dt": 0.01}, {"min_step": 1e-3, "first_step": 0.01}])
def test_gmres_that_stalls_names_what_to_change(control):
    y0 = np.sin(np.pi * POINTS) + np.sign(POINTS - 0.3)
    r = mflow.solve_ivp(
        heat, (0.0, 0.01), y0, method="backward_euler" if "dt" in control else "radau5", solver=mflow.NewtonKrylov(cycles=2), **control
    )
    assert r.reason in ("solve_failed", "step_too_small")
    for word in ("GMRES", "cycles", "dim", "lband", "jac_sparsity"):
        assert word in r.message


def test_cycles():
    assert mflow.NewtonKrylov().cycles is None
    with pytest.raises(ValueError, match="cycles"):
        mflow.NewtonKrylov(cycles=0)
