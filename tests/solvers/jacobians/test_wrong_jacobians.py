"""Jacobians that are not the right one are named; packed ones are read as they are; counts are those of the user's functions."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse

import mflow
from mflow.nonlinear import FixedPoint, NewtonKrylov


def robertson(t, y):
    a, b, c = 0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1] ** 2
    return np.array([-a + b, a - b - c, c])


def robertson_jac(t, y):
    return np.array([[-0.04, 1e4 * y[2], 1e4 * y[1]], [0.04, -1e4 * y[2] - 6e7 * y[1], -1e4 * y[1]], [0.0, 6e7 * y[1], 0.0]])


WRONG = {
    "transposed": lambda t, y: robertson_jac(t, y).T,
    "negated": lambda t, y: -robertson_jac(t, y),
    "zero": lambda t, y: np.zeros((3, 3)),
    "half": lambda t, y: 0.5 * robertson_jac(t, y),
    "sparse": lambda t, y: scipy.sparse.csr_matrix(-robertson_jac(t, y)),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_jacobian_is_named(kind):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        r = mflow.solve_ivp(robertson, (0, 100), [1.0, 0, 0], "esdirk43", jac=WRONG[kind], max_steps=400)
    assert len([one for one in caught if "jac is not the derivative of fun" in str(one.message)]) == 1
    assert "jac is not the derivative of fun" in r.message
    fixed = mflow.solve_ivp(robertson, (0, 100), [1.0, 0, 0], "backward_euler", dt=1.0, jac=WRONG[kind])
    assert fixed.reason == "solve_failed"
    assert "jac is not the derivative of fun" in fixed.message


def test_a_pattern_that_misses_entries_is_named():
    a = 200 * (np.diag(np.full(20, -2.0)) + np.diag(np.ones(19), 1) + np.diag(np.ones(19), -1))
    r = mflow.solve_ivp(lambda t, y: a @ y, (0, 1), np.sin(np.arange(20.0)), "backward_euler", dt=0.1, jac_sparsity=np.eye(20))
    assert r.reason == "solve_failed"
    assert "jac_sparsity, lband and uband name, is not the derivative of fun" in r.message


def test_the_right_one_is_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for given in ({"jac": robertson_jac}, {}):
            for mode in ({"method": "esdirk43"}, {"method": "backward_euler", "dt": 1.0}):
                r = mflow.solve_ivp(robertson, (0, 100), [1.0, 0, 0], **mode, **given)
                assert r.reason == "finished"
        gone = mflow.solve_ivp(lambda t, y: y * y, (0, 2), [1.0], "backward_euler", dt=0.5, jac=lambda t, y: [[2 * y[0]]])
    assert gone.reason == "solve_failed"
    assert "not the derivative" not in gone.message


def test_a_wrong_hessian_is_named():
    def cost(x):
        return float(np.sum(x**4) + x[0] * x[1]), 4 * x**3 + x[::-1]

    res = mflow.minimize(cost, [2.0, 1.0], jac=True, method="backward_euler", dt=10.0, hess=lambda x: -np.diag(12 * x**2))
    assert res.reason == "solve_failed"
    assert "-hess is not the derivative" in res.message


# ---- packed bands ----------------------------------------------------------------------------------------------------------------------


def tridiagonal(n):
    return np.diag(np.full(n, -2.0)) + np.diag(np.full(n - 1, 1.0), 1) + np.diag(np.full(n - 1, 0.5), -1)


def packed(a, lower, upper):
    n = len(a)
    out = np.zeros((lower + upper + 1, n))
    for i in range(n):
        for j in range(max(0, i - lower), min(n, i + upper + 1)):
            out[upper + i - j, j] = a[i, j]
    return out


@pytest.mark.parametrize("n", [3, 4, 12, 60])
@pytest.mark.parametrize("form", ["full", "packed"])
@pytest.mark.parametrize("constant", [True, False])
def test_banded_jacobians_in_both_forms(n, form, constant):
    a = 50.0 * tridiagonal(n)
    value = a if form == "full" else packed(a, 1, 1)
    jac = value if constant else lambda t, y: value
    r = mflow.solve_ivp(lambda t, y: a @ y, (0, 1), np.ones(n), "backward_euler", dt=0.25, jac=jac, lband=1, uband=1)
    y = np.ones(n)
    for _ in range(4):
        y = np.linalg.solve(np.eye(n) - 0.25 * a, y)
    assert r.reason == "finished"
    assert np.abs(r.y[:, -1] - y).max() < 1e-13
    assert r.nfev <= 32  # once, f is looked at on the way to the first root


def test_bands_of_one_shape_and_two_meanings():
    both = np.array([[0.0, 1.0, 0.0], [2.0, -3.0, 4.0], [0.0, 5.0, 0.0]])
    with pytest.raises(ValueError, match="may be full or packed"):
        mflow.solve_ivp(lambda t, y: both @ y, (0, 1), np.ones(3), "backward_euler", dt=0.1, jac=both, lband=1, uband=1)
    with pytest.raises(ValueError, match="inside the band"):
        mflow.solve_ivp(lambda t, y: y, (0, 1), np.ones(3), "backward_euler", dt=0.1, jac=np.ones((3, 3)), lband=1, uband=1)
    with pytest.raises(ValueError, match=r"jac: expected shape \(5, 5\) or, packed, \(3, 5\)"):
        mflow.solve_ivp(lambda t, y: y, (0, 1), np.ones(5), "backward_euler", dt=0.1, jac=np.ones((4, 5)), lband=1, uband=1)
    with pytest.raises(ValueError, match="jac: expected shape"):
        mflow.solve_ivp(lambda t, y: y, (0, 1), np.ones(5), "backward_euler", dt=0.1, jac=np.ones((3, 5)))


# ---- fixed points, and steps without a matrix ------------------------------------------------------------------------------------------


def test_fixed_points_that_grow_at_first():
    rng = np.random.default_rng(0)
    for _ in range(150):
        n = int(rng.integers(2, 5))
        b = rng.standard_normal((n, n))
        b *= rng.uniform(0.05, 0.3) / np.linalg.norm(b, 2)
        start = np.r_[1.0, 100.0, 0.01, 3.0][:n]
        r = mflow.solve_ivp(lambda t, y, b=b: b @ y, (0, 1), start, "backward_euler", dt=1.0, solver="fixed_point")
        assert r.reason == "finished"
        assert np.abs(r.y[:, -1] - np.linalg.solve(np.eye(n) - b, start)).max() < 1e-11
    far = mflow.solve_ivp(lambda t, y: -50 * y, (0, 1), [1.0], "backward_euler", dt=1.0, solver=FixedPoint())
    assert far.reason == "solve_failed"


def test_steps_without_a_matrix_are_solved_to_rounding():
    a = np.array([[-1e7, 9.9e6], [9.9e6, -1e7]])
    r = mflow.solve_ivp(lambda t, y: a @ y + 1, (0, 3), [1e4, -1e4], "backward_euler", dt=1.0, solver=NewtonKrylov())
    y = np.array([1e4, -1e4])
    for k in range(3):
        y = np.linalg.solve(np.eye(2) - a, y + 1)
        assert np.abs(r.y[:, k + 1] - y).max() < 1e-8 * max(np.abs(r.y[:, k]).max(), np.abs(y).max())
    assert abs(r.y[0, 2] / 1.0000025e-5 - 1) < 1e-6


def test_random_stiff_linear_steps_without_a_matrix():
    rng = np.random.default_rng(5)
    for _ in range(150):
        n = int(rng.integers(1, 7))
        q = np.linalg.qr(rng.standard_normal((n, n)))[0]
        a = q @ np.diag(-(10.0 ** rng.uniform(-2, 7, n))) @ q.T
        b, y = rng.standard_normal(n) * 10 ** rng.uniform(-3, 3), rng.standard_normal(n) * 10 ** rng.uniform(-4, 5)
        dt = 10 ** rng.uniform(-4, 1)
        r = mflow.solve_ivp(lambda t, y, a=a, b=b: a @ y + b, (0, 2 * dt), y, "backward_euler", dt=dt, solver="newton_krylov")
        assert r.reason == "finished"
        for k in range(2):
            exact = np.linalg.solve(np.eye(n) - dt * a, r.y[:, k] + dt * b)
            assert np.abs(r.y[:, k + 1] - exact).max() < 1e-8 * max(np.abs(r.y[:, k]).max(), np.abs(exact).max())


# ---- counts ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dt", [None, 0.5, 5.0, np.inf])
@pytest.mark.parametrize("form", ["array", "sparse", "banded"])
def test_jacobians_are_counted(dt, form):
    calls = {"fun": 0, "jac": 0}

    def fun(t, y):
        calls["fun"] += 1
        return y * (1 - y)

    def jac(t, y):
        calls["jac"] += 1
        j = np.diag(1 - 2 * y)
        return scipy.sparse.csr_matrix(j) if form == "sparse" else j

    given = {"lband": 0, "uband": 0} if form == "banded" else {}
    end = np.inf if dt == np.inf else 10.0
    method = "esdirk43" if dt is None else "backward_euler"
    r = mflow.solve_ivp(fun, (0, end), [0.1, 0.2, 0.7], method, dt=dt, jac=jac, **given)
    assert r.reason == "finished"
    assert r.nfev + r.ncheck == calls["fun"]
    assert calls["jac"] - r.njev in (0, 1)  # one more looks at the stability of a steady state
    assert calls["jac"] == r.njev or dt == np.inf


@pytest.mark.parametrize("wrong", [np.array([[-3.0, 2.0], [1.0, -1000.0]]), np.zeros((2, 2))], ids=["permuted", "zero"])
def test_a_wrong_jacobian_of_a_method_without_iterations_is_named(wrong, step_method):
    """Nothing fails where no equation is iterated: hundreds of short steps, 9 % off, and not a word."""
    if "implicit" not in step_method.flags or step_method.family != "rosenbrock":
        pytest.skip("it iterates")
    A = np.array([[-1000.0, 1.0], [2.0, -3.0]])
    with pytest.warns(RuntimeWarning, match="jac is not the derivative of fun"):
        r = mflow.solve_ivp(lambda t, y: A @ y, (0, 1), [1.0, 2.0], step_method.name, jac=wrong)
    assert "jac is not the derivative of fun" in r.message
    right = mflow.solve_ivp(lambda t, y: A @ y, (0, 1), [1.0, 2.0], step_method.name, jac=A)
    assert "derivative" not in right.message


def test_calls_of_a_jacobian_that_is_not_finite_are_counted(step_method):
    if "implicit" not in step_method.flags:
        pytest.skip("no Jacobian")
    calls = []

    def jac(t, y):
        calls.append(t)
        return np.full((2, 2), np.nan)

    how = {"dt": 0.1} if "embedded" not in step_method.flags and "multistep" not in step_method.flags else {}
    r = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0, 2.0], step_method.name, jac=jac, **how)
    assert not r.success
    assert r.njev == len(calls)


@pytest.mark.parametrize("backwards", [False, True])
def test_what_a_jacobian_raises_at_its_first_call_brings_the_start_along(step_method, backwards):
    """It is asked for its form before the run begins."""
    if "implicit" not in step_method.flags:
        pytest.skip("no Jacobian")

    def jac(t, y):
        raise KeyError("mine")

    how = {"dt": 0.1} if "embedded" not in step_method.flags and "multistep" not in step_method.flags else {}
    with pytest.raises(KeyError) as caught:
        mflow.solve_ivp(lambda t, y: -y, (1, 0) if backwards else (0, 1), [1.0, 2.0], step_method.name, jac=jac, **how)
    partial = caught.value.partial_result
    assert partial.reason == "rhs_failed"
    assert np.array_equal(partial.y, [[1.0], [2.0]])
    with pytest.raises(KeyError) as caught:
        mflow.gradient_flow(lambda c: c, [1.0, 2.0], 1.0, method=step_method.name, hess=lambda c: jac(0, c), **how)
    assert np.array_equal(caught.value.partial_result.y, [[1.0], [2.0]])


def test_what_fun_raises_while_the_start_is_made_consistent_brings_the_start_along():
    def fun(t, y):
        raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        mflow.solve_ivp(fun, (0, 5), [1.0], "radau5", mass=[0.0])
    assert np.array_equal(caught.value.partial_result.y, [[1.0]])
    with pytest.raises(ValueError, match=r"jac returned|jac: expected") as plain:
        mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0, 2.0], "radau5", jac=lambda t, y: np.ones(5))
    assert not hasattr(plain.value, "partial_result")
