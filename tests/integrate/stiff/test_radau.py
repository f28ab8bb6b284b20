"""`radau5` under error control: stiff problems with known ends, SciPy's Radau beside it, every linear solver, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

import mflow
from mflow.nonlinear import Newton

STIFF = ("hires", "robertson", "vdp_eps", "vdp")


def solved(problem, method="radau5", tol=1e-6, **more):
    return mflow.solve_ivp(problem.fun, problem.t_span, problem.y0, method, rtol=tol, atol=1e-3 * tol, save="last", jac=problem.jac, **more)


def test_between_steps_it_is_the_collocation_polynomial():
    """Events and output inside steps, against the closed form; SciPy's Radau has the same polynomial, of order 3."""
    fun = lambda t, y: np.array([-50.0 * (y[0] - np.cos(t)) - np.sin(t)])  # noqa: E731
    at = np.linspace(0.01, 2.9, 37)
    cross = lambda t, y: y[0] + 0.5  # noqa: E731
    r = mflow.solve_ivp(fun, (0, 3), [1.0], "radau5", rtol=1e-8, atol=1e-10, t_eval=at, dense_output=True, events=cross)
    np.testing.assert_allclose(r.y[0], np.cos(at), rtol=0, atol=2e-6)
    np.testing.assert_allclose(r.sol(at)[0], r.y[0], rtol=0, atol=1e-15)
    assert r.t_events[0] == pytest.approx([np.arccos(-0.5)], abs=1e-6)


def test_a_start_guess_outside_the_domain_is_given_up():
    """Extrapolated stages leave where the square root is; the step starts from y then."""
    r = mflow.solve_ivp(lambda t, y: -np.sqrt(y) if y[0] >= 0 else np.array([np.nan]), (0, 1.9), [1.0], "radau5", rtol=1e-6, atol=1e-9)
    assert r.reason == "finished"
    assert r.y[0, -1] == pytest.approx((1.0 - 0.95) ** 2, abs=1e-5)


@pytest.mark.parametrize(("rate", "tol"), [(1.0, 1e-6), (10.0, 1e-10), (1e3, 1e-9), (1e4, 1e-10)])
def test_fine_tolerances_are_those_of_the_end_and_not_of_the_estimate(rate, tol):
    """y' = -rate (y - cos t) - sin t from 0: y = cos t - exp(-rate t). Where the order is not reduced, the solution is of order 5 and the
    estimate of order 3; at large rates both are as large as each other."""
    r = mflow.solve_ivp(lambda t, y: -rate * (y - np.cos(t)) - np.sin(t), (0, 10), [0.0], "radau5", rtol=tol, atol=tol, jac=[[-rate]])
    error = abs(r.y[0, -1] - (np.cos(10.0) - np.exp(-10.0 * rate))) / (tol + tol * abs(np.cos(10.0)))
    assert 0.005 < error < 10.0


def test_tolerances_of_components_are_taken_as_those_of_all():
    def circle(t, y):
        return np.array([y[1], -y[0]])

    one, each, other = (
        mflow.solve_ivp(circle, (0, 10), [1.0, 0.0], "radau5", rtol=rtol, atol=atol)
        for rtol, atol in ((1e-8, 1e-9), ([1e-8, 1e-8], [1e-9, 1e-9]), ([1e-8, 1e-2], [1e-9, 1e3]))
    )
    assert one.y.tobytes() == each.y.tobytes()
    np.testing.assert_allclose(one.y[:, -1], [np.cos(10.0), -np.sin(10.0)], rtol=0, atol=1e-8)
    assert other.nfev < one.nfev


# ---- fixed steps: the root that continues ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dt", [0.5, 2.0, 4.0])
def test_logistic_growth_reaches_its_rest(dt):
    r = mflow.solve_ivp(lambda t, y: y * (1 - y), (0, 40), [0.1, 1e-3, 1.7], "radau5", dt=dt)
    assert r.reason == "finished"
    assert np.all(r.y > 0)
    np.testing.assert_allclose(r.y[:, -1], 1.0, rtol=0, atol=1e-6)


def test_a_branch_that_turns_back_is_no_root():
    for h in (0.3, 0.6):
        r = mflow.solve_ivp(lambda t, y: y * y, (0, h), [1.0], "radau5", dt=h)
        assert r.reason == "finished"
        assert r.y[0, -1] == pytest.approx(1.0 / (1.0 - h), rel=0.02)
    for h in (2.0, 30.0):
        r = mflow.solve_ivp(lambda t, y: y * y, (0, h), [1.0], "radau5", dt=h)
        assert r.reason == "solve_failed"
        assert "turns back" in r.message


# ---- differences in one call ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given", [{}, {"lband": 1, "uband": 1}, {"jac_sparsity": True, "solver": Newton("sparse")}], ids=["dense", "banded", "sparse"]
)
@pytest.mark.parametrize("method", ["radau5", "esdirk43"])
def test_vectorized_functions_give_the_same_bits_in_fewer_calls(method, given):
    n, seen = 12, set()

    def fun(t, y):
        wide = np.concatenate([np.ones((1, *y.shape[1:])), y, np.zeros((1, *y.shape[1:]))])
        return 300.0 * (wide[:-2] - 2.0 * y + wide[2:]) - y * y * y

    def columns(t, Y):
        assert Y.shape[0] == n
        seen.add(Y.shape[1])
        return fun(t, Y)

    more = dict(given)
    if "jac_sparsity" in more:
        more["jac_sparsity"] = scipy.sparse.diags_array([np.ones(n - 1), np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1]).tocsc()
    runs = [
        mflow.solve_ivp(f, (0, 0.5), np.linspace(0.0, 1.0, n), method, rtol=1e-6, atol=1e-8, vectorized=f is columns, **more)
        for f in (fun, columns)
    ]
    assert runs[0].y.tobytes() == runs[1].y.tobytes()
    groups = 3 if given else n
    assert seen == {1, groups}
    assert runs[0].nfev - runs[1].nfev == (groups - 1) * runs[1].njev > 0


def test_vectorized_functions_of_the_wrong_kind_are_named():
    with pytest.raises(ValueError, match=r"vectorized: expected a state of shape \(n,\), .*, got shape \(2, 2\)"):
        mflow.solve_ivp(lambda t, y: -y, (0, 1), np.ones((2, 2)), "radau5", vectorized=True)
    with pytest.raises(TypeError, match="vectorized: expected a Python function that returns its slopes"):
        mflow.solve_ivp(lambda t, y, out: None, (0, 1), [1.0], "radau5", inplace=True, vectorized=True)
    with pytest.raises(ValueError, match=r"fun: expected a return value of shape \(2, 1\), as vectorized=True says, got shape \(2,\)"):
        mflow.solve_ivp(lambda t, y: -y[:, 0], (0, 1), [1.0, 2.0], "radau5", vectorized=True)
    with pytest.raises(ZeroDivisionError):
        mflow.solve_ivp(lambda t, y: -y if y.shape[1] == 1 else 1 / 0, (0, 1), [1.0, 2.0], "radau5", vectorized=True)
