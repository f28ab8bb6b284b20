"""Ten problems of a fresh user: what `explain` recommends is done as it says, once, and works."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp as reference

import mflow

STEPS = 4000


def logistic():
    """Features of sizes from 0.01 to 1000, one with a large mean."""
    rng = np.random.default_rng(0)
    sizes = 10.0 ** np.arange(-2, 4)
    X = rng.standard_normal((300, 6)) * sizes
    X[:, 3] += 50
    y = (rng.random(300) < 1 / (1 + np.exp(-X @ (rng.standard_normal(6) / sizes)))).astype(float)

    def cost(c):
        s = X @ c
        return float(np.mean(np.logaddexp(0, s) - y * s)), X.T @ (0.5 + 0.5 * np.tanh(0.5 * s) - y) / 300

    return cost, np.zeros(6)


def rosenbrock():
    f = mflow.objectives.Rosenbrock(2)
    return f.value_and_grad, np.array([-1.2, 1.0])


def network():
    rng = np.random.default_rng(1)
    X, H = np.linspace(-2, 2, 60)[:, None], 12
    y = np.sin(2 * X[:, 0])

    def cost(p):
        W, b, v, c = p[:H], p[H : 2 * H], p[2 * H : 3 * H], p[3 * H]
        Z = np.tanh(X * W + b)
        r = Z @ v + c - y
        D = (1 - Z**2) * (r[:, None] * v)
        return float(np.mean(r**2)), 2 / 60 * np.concatenate([(D * X).sum(0), D.sum(0), Z.T @ r, [r.sum()]])

    return cost, rng.standard_normal(3 * H + 1)


def quadratic():
    d = np.geomspace(1, 1e4, 50)
    Q, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((50, 50)))
    A = Q @ np.diag(d) @ Q.T
    return (lambda x: (0.5 * float(x @ A @ x), A @ x)), np.ones(50)


def outliers():
    """Huber's loss, all rows on its straight part at the start: there is no curvature to be measured there."""
    rng = np.random.default_rng(3)
    A = rng.standard_normal((80, 10))
    b = A @ np.arange(10.0) + rng.standard_normal(80)
    b[::9] += 100

    def cost(x):
        r = A @ x - b
        return float(np.sum(np.where(np.abs(r) < 1, 0.5 * r * r, np.abs(r) - 0.5))), A.T @ np.clip(r, -1, 1)

    return cost, np.zeros(10)


def noisy():
    """The gradient is that of a random half of the rows."""
    rng = np.random.default_rng(4)
    A = rng.standard_normal((200, 8))
    b = A @ np.ones(8)

    def cost(x):
        rows = rng.integers(0, 200, 100)
        return float(np.mean((A @ x - b) ** 2)), 2 * A[rows].T @ (A[rows] @ x - b[rows]) / 100

    return cost, np.zeros(8)


def himmelblau():
    def cost(c):
        a, b = c[0] ** 2 + c[1] - 11, c[0] + c[1] ** 2 - 7
        return a * a + b * b, np.array([4 * c[0] * a + 2 * b, 2 * a + 4 * c[1] * b])

    return cost, np.zeros(2)


@pytest.mark.parametrize("problem", [logistic, rosenbrock, network, quadratic, outliers, noisy, himmelblau])
@pytest.mark.filterwarnings("ignore::mflow.GradientWarning")
def test_costs(problem):
    """At least nine tenths of what L-BFGS gains by steps of its own."""
    cost, start = problem()
    report = mflow.explain(cost, start, jac=True)
    assert report.noisy == (problem is noisy)
    run = mflow.minimize(cost, start, jac=True, method=report.method, maxiter=STEPS, **report.parameters)
    value, best = cost(start)[0], mflow.minimize(cost, start, jac=True).fun
    assert run.reason in (("converged", "max_iter", "wrong_gradient") if problem is noisy else ("converged", "max_iter"))
    assert value - run.fun > 0.9 * (value - best)


def test_a_line_search_is_recommended_where_a_fixed_step_is_slow():
    report = mflow.explain(*logistic(), jac=True)
    first, fixed, *usual = report.trials
    assert (report.method, report.parameters) == (first.method, {})
    assert mflow.get_method(report.method).kind == "direction"
    assert np.isnan(report.dt)
    assert first.evaluations[-1] <= fixed.evaluations[-1]
    drop = [float(t.loss[0] - t.loss[-1]) for t in (first, fixed, *usual)]
    assert drop[0] == max(drop)
    assert drop[1] < 0.9 * drop[0]
    assert f"Recommended: {report.method}\n" in str(report)
    assert f"{first.loss[-1]:.5g}" in report.reason
    quick, slow = mflow.explain(*quadratic(), jac=True), "momentum"
    assert quick.method == slow
    assert quick.trials[-1].method in ("lbfgs", "bfgs", "cg")  # tried as well


STIFF = np.array([[-1000.0, 999.0, 0], [1.0, -2.0, 0.5], [0, 0, -0.1]])
SHEAR = -np.eye(20) + np.diag(np.full(19, 8.0), 1)


@pytest.mark.parametrize(
    ("slope", "start", "end"),
    [
        (lambda t, y: STIFF @ y, [1.0, 0.0, 2.0], 10.0),
        (lambda t, y: np.array([y[1], -100 * y[0] - 0.2 * y[1]]), [1.0, 0.0], 10.0),  # an oscillator with damping
        (lambda t, y: SHEAR @ y, [0.1] * 20, 20.0),  # far from normal
    ],
    ids=["stiff", "oscillator", "shear"],
)
def test_right_hand_sides(slope, start, end):
    report = mflow.explain(slope, start, t_span=(0.0, end))
    run = mflow.solve_ivp(slope, (0.0, end), start, report.method, **report.parameters)
    known = reference(slope, (0.0, end), start, method="LSODA", rtol=1e-10, atol=1e-12)
    assert run.reason == "finished"
    assert np.max(np.abs(run.y[:, -1] - known.y[:, -1])) < 1e-2 * np.max(np.abs(known.y))
