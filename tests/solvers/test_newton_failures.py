"""Newton's iteration where callbacks fail: values that are not finite, exceptions, Jacobians of the wrong shape."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from mflow_core.problems.problem import Recoverable, rhs_problem
from mflow_core.solvers.solver import Solver

import mflow
from mflow.solvers.nonlinear import make_solver
from support.battery import RETRY_NON_FINITE, RETRY_SOLVE, bound


@pytest.mark.parametrize("kind", ["dense", "krylov", "fixed_point"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("gh", [0.1, np.inf])
def test_non_finite_slope_is_definite_and_cheap(kind, value, gh):
    calls = []

    def fun(t, y):
        calls.append(1)
        return np.full(3, value)

    solver = Solver(kind)
    solver.bind(rhs_problem(fun, (3,)))
    _, status, _ = solver.solve(0.0, gh, np.ones(3), np.ones(3))
    assert status == (RETRY_SOLVE if kind == "fixed_point" and gh == np.inf else RETRY_NON_FINITE)
    assert len(calls) <= 64


def test_non_finite_beyond_a_point_is_met_by_shorter_steps():
    # log: an undamped step leaves the domain.
    with np.errstate(invalid="ignore", divide="ignore"):
        solver = bound(lambda t, y: -np.log(y), 1)
        z, status, _ = solver.solve(0.0, np.inf, [0.0], [8.0])
    assert status == 0
    assert abs(z[0] - 1.0) < 1e-13


@pytest.mark.parametrize("controlled", [False, True])
def test_non_finite_jacobian(controlled):
    solver = bound(lambda t, y: -y, 2, jac=lambda t, y: np.full((2, 2), np.nan))
    given = {"rtol": 1e-6, "atol": 1e-9} if controlled else {}
    assert solver.solve(0.0, 0.1, [1.0, 1.0], [1.0, 1.0], **given)[1] == RETRY_NON_FINITE


@pytest.mark.parametrize("kind", ["dense", "krylov", "fixed_point", "banded"])
def test_exceptions_come_through(kind):
    count = 0

    def fun(t, y):
        nonlocal count
        count += 1
        if count == 3:
            raise LookupError("third call")
        return -(y**2)

    solver = Solver(kind, max_iter=50)
    solver.bind(rhs_problem(fun, (2,)))
    with pytest.raises(LookupError, match="third call"):
        solver.solve(0.0, 0.1, [1.0, 2.0], [1.0, 2.0])
    assert count == 3  # and nothing was called after it
    assert solver.solve(0.0, 0.1, [1.0, 2.0], [1.0, 2.0])[1] == 0


def test_recoverable_passes_through():
    def fun(t, y):
        raise Recoverable

    assert bound(fun, 1).solve(0.0, 0.1, [1.0], [1.0], rtol=1e-3, atol=1e-6)[1] == 1


def test_exceptions_of_jacobians_come_through():
    def jac(t, y):
        raise LookupError("in jac")

    with pytest.raises(LookupError, match="in jac"):
        bound(lambda t, y: -y, 2, jac=jac).solve(0.0, 0.1, [1.0, 2.0], [1.0, 2.0])
    calls = []

    def sparse(t, y):
        calls.append(1)
        if len(calls) > 1:
            raise LookupError("in jac")
        return scipy.sparse.identity(2)

    problem = rhs_problem(lambda t, y: -y, (2,), jac=sparse)
    solver = make_solver(None, problem, (2,), (0.0, np.ones(2)), jac=sparse)
    solver.bind(problem)
    with pytest.raises(LookupError, match="in jac"):
        solver.solve(0.0, 0.1, [1.0, 2.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("result", "error", "words"),
    [
        (None, TypeError, r"jac: expected an array of shape \(2, 2\), got None"),
        (np.ones((3, 2)), ValueError, r"expected shape \(2, 2\).* got shape \(3, 2\)"),
        (np.ones(4), ValueError, r"expected shape \(2, 2\).* got shape \(4,\)"),
        (np.ones((2, 2)) * 1j, TypeError, "complex128"),
        ([["a", "b"], ["c", "d"]], TypeError, "real numbers"),
    ],
)
def test_wrong_jacobians_are_named(result, error, words):
    with pytest.raises(error, match=words):
        bound(lambda t, y: -y, 2, jac=lambda t, y: result).solve(0.0, 0.1, [1.0, 2.0], [1.0, 2.0])


def test_wrong_constant_jacobian_is_named_at_once():
    with pytest.raises(ValueError, match=r"jac: expected shape .*, got shape \(3, 3\)"):
        rhs_problem(lambda t, y: -y, (2,), jac=np.eye(3))
    with pytest.raises(TypeError, match="jac: expected a function, a constant array"):
        rhs_problem(lambda t, y: -y, (2,), jac=object())


def test_jacobian_gets_arrays_of_its_own():
    kept = []

    def jac(t, y):
        kept.append(y)
        assert not y.flags.writeable
        return [[-2.0 * y[0]]]

    solver = bound(lambda t, y: -(y**2), 1, jac=jac, full=True)
    solver.solve(0.0, 1.0, [3.0], [3.0])
    values = [float(y[0]) for y in kept]
    assert len(set(values)) == len(values) > 2  # none was overwritten


def test_solver_must_fit_the_problem():
    with pytest.raises(ValueError, match="pass jac"):
        Solver("dense", jac=True).bind(rhs_problem(lambda t, y: -y, (2,)))
    with pytest.raises(ValueError, match=r"of 2 columns.* got 3"):
        Solver("dense", pattern=([0, 0, 0], [0, 1, 2, 3], [0, 1, 2])).bind(rhs_problem(lambda t, y: -y, (2,)))
    with pytest.raises(ValueError, match="not attached"):
        Solver("dense").solve(0.0, 0.1, [1.0], [1.0])
    with pytest.raises(ValueError, match="r: expected 2 numbers, got 3"):
        bound(lambda t, y: -y, 2).solve(0.0, 0.1, np.ones(3), np.ones(2))


def test_float32_is_named_where_a_fixed_step_is_not_solved():
    """The advice was a shorter step, or a Jacobian, neither of which helps."""
    rate = np.float32(10)

    def slope(t, y):
        return (-rate * (y.astype(np.float32) - np.float32(np.cos(t)))).astype(float)

    runs = [mflow.solve_ivp(slope, (0, 1), [1.3], method=m, dt=0.05) for m in ("backward_euler", "trapezoidal", "radau5")]
    failed = [r for r in runs if r.reason != "finished"]
    assert failed
    for r in failed:
        assert r.reason == "solve_failed"
        assert "fun's slopes carry about 7 digits (float32)" in r.message

    def cost(c):
        grad = c.astype(np.float32) * np.float32(1.1e3) / np.float32(1.1e3)
        return float(0.5 * np.float32(c @ c)), grad.astype(float)

    descents = [mflow.minimize(cost, [1.0, 2.0], jac=True, method="backward_euler", dt=dt) for dt in (10.0, 1e3, 1e5)]
    stuck = [r for r in descents if r.reason != "converged"]
    assert stuck
    for r in stuck:
        assert r.reason == "solve_failed"
        assert "the gradient carries about" in r.message
