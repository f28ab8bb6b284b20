"""`bdf` under error control: stiff problems with known ends, SciPy's BDF beside it, every linear solver, orders, resuming at every step."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.sparse

import mflow
from mflow.testproblems import get_problem

STIFF = ("hires", "robertson", "vdp_eps", "vdp")


def solved(problem, tol=1e-6, **more):
    return mflow.solve_ivp(problem.fun, problem.t_span, problem.y0, "bdf", rtol=tol, atol=1e-3 * tol, save="last", jac=problem.jac, **more)


@pytest.mark.parametrize("span", [(0.0, 30.0), (30.0, 0.0)])
def test_a_fast_component_is_followed_at_the_pace_of_the_slow_one(span):
    sign = 1.0 if span[1] > span[0] else -1.0
    fun = lambda t, y: -sign * 1e6 * (y - np.cos(t))  # noqa: E731
    r = mflow.solve_ivp(fun, span, [np.cos(span[0]) + 1.0], "bdf", rtol=1e-6, atol=1e-8)
    assert r.reason == "finished"
    assert r.nsteps < 800
    late = np.abs(r.t - span[0]) > 1e-3
    np.testing.assert_allclose(r.y[0, late], np.cos(r.t[late]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("mu", [1e3, 1e6])
def test_van_der_pol_over_its_jumps(mu):
    fun = lambda t, y: np.array([y[1], mu * (1.0 - y[0] ** 2) * y[1] - y[0]])  # noqa: E731
    jac = lambda t, y: np.array([[0.0, 1.0], [-2.0 * mu * y[0] * y[1] - 1.0, mu * (1.0 - y[0] ** 2)]])  # noqa: E731
    r = mflow.solve_ivp(fun, (0, 2.0 * mu), [2.0, 0.0], "bdf", rtol=1e-6, atol=1e-6 / mu, jac=jac, save="last")
    exact = scipy.integrate.solve_ivp(fun, (0, 2.0 * mu), [2.0, 0.0], "Radau", rtol=1e-7, atol=1e-7 / mu, jac=jac).y[:, -1]
    assert r.reason == "finished"
    assert r.y[0, -1] == pytest.approx(exact[0], rel=1e-4)


def test_between_steps_it_is_the_polynomial_of_the_differences():
    fun = lambda t, y: np.array([-50.0 * (y[0] - np.cos(t)) - np.sin(t)])  # noqa: E731
    at = np.linspace(0.01, 2.9, 37)
    cross = lambda t, y: y[0] + 0.5  # noqa: E731
    r = mflow.solve_ivp(fun, (0, 3), [1.0], "bdf", rtol=1e-8, atol=1e-10, t_eval=at, dense_output=True, events=cross)
    np.testing.assert_allclose(r.y[0], np.cos(at), rtol=0, atol=1e-7)
    np.testing.assert_allclose(r.sol(at)[0], r.y[0], rtol=0, atol=1e-15)
    assert r.t_events[0] == pytest.approx([np.arccos(-0.5)], abs=1e-7)


@pytest.mark.parametrize("bound", [{"order": k} for k in range(2, 6)] + [{"max_order": 2}, {"max_order": 4}], ids=str)
def test_orders_that_are_given_and_bounded(bound):
    """A lower order takes more steps for the same tolerance, and as few carried vectors as it needs."""
    problem = get_problem("hires")
    r = solved(problem, **bound)
    free = solved(problem)
    assert r.reason == "finished"
    finer = problem.error(solved(problem, tol=1e-7, **bound).y[:, -1], rtol=1e-6, atol=1e-9)
    assert finer < 0.9 * problem.error(r.y[:, -1], rtol=1e-6, atol=1e-9) < 400.0
    assert mflow.BDF(**bound).sizes["n_vec"] == max(bound.values()) + 3
    assert mflow.BDF(**bound).order == max(bound.values())
    assert r.nsteps > (2 if max(bound.values()) == 2 else 0.8) * free.nsteps


@pytest.mark.parametrize(("given", "text"), [({"order": 6}, "order"), ({"max_order": 0}, "max_order"), ({"order": 1.5}, "order")])
def test_orders_that_are_none(given, text):
    with pytest.raises(ValueError, match=text):
        mflow.BDF(**given)


def test_it_resumes_at_every_step_with_the_same_bits(tmp_path):
    """Under error control, through changes of order and step, from the bytes of a stepper."""
    problem = get_problem("vdp")
    fun = problem.fun
    st = mflow.Stepper("bdf", fun, problem.y0, rtol=1e-5, atol=1e-8)
    seen = []
    for k in range(120):
        st.save(tmp_path / str(k))
        st.step()
        seen.append((st.t, st.y.tobytes()))
    for k in range(120):
        other = mflow.Stepper.load(tmp_path / str(k), fun)
        for t, y in seen[k : k + 3]:
            other.step()
            assert (other.t, other.y.tobytes()) == (t, y)


def test_pieces_that_are_landed_on_cost_little_more():
    """A step that was cut short to land is followed by one a thousand times as long: a lower order, not a lost digit."""
    fun = lambda t, y: np.array([-200.0 * (y[0] - np.sin(t)) + np.cos(t)])  # noqa: E731
    st = mflow.Stepper("bdf", fun, [0.0], rtol=1e-6, atol=1e-9)
    for t in np.linspace(0.5, 5.0, 10):
        st.advance_to(t)
        assert st.t == t
        assert st.y[0] == pytest.approx(np.sin(t), abs=2e-5)
    whole = mflow.solve_ivp(fun, (0, 5), [0.0], "bdf", rtol=1e-6, atol=1e-9)
    assert st.k < 6 * whole.nsteps


def test_batches_take_it():
    r = mflow.solve_ivp_batch(
        lambda t, y: -100.0 * (y - np.cos(t)), (0, 1), np.linspace(0.0, 2.0, 5)[:, None], method="bdf", rtol=1e-6, atol=1e-9
    )
    one = mflow.solve_ivp(lambda t, y: -100.0 * (y - np.cos(t)), (0, 1), [2.0], "bdf", rtol=1e-6, atol=1e-9)
    assert np.array_equal(np.ravel(r[-1].y[..., -1]), one.y[:, -1])
