"""Descent as motion: what momentum tends to as the step goes to 0, and second-order methods in `minimize`."""

from __future__ import annotations

import ctypes
import itertools
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.integrate

import mflow

Array = np.ndarray
START = np.array([1.0, -0.7])

POINTER = ctypes.POINTER(ctypes.c_double)
COST = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, POINTER, ctypes.c_ssize_t, ctypes.c_void_p)


def cost(c: Array) -> tuple[float, Array]:
    """A bowl that is no quadratic."""
    return float(c[0] ** 2 / 2 + 2 * c[1] ** 2 + c[0] ** 4 / 4), np.array([c[0] + c[0] ** 3, 4 * c[1]])


def gradient(c: Array) -> Array:
    return cost(c)[1]


def motion(t: float, friction: float, strength: float) -> Array:
    """c at t of c'' = -friction c' - strength grad f from rest, by SciPy."""

    def slope(t: float, y: Array) -> Array:
        return np.concatenate([y[2:], -friction * y[2:] - strength * gradient(y[:2])])

    return scipy.integrate.solve_ivp(slope, (0, t), [*START, 0.0, 0.0], "DOP853", rtol=1e-11, atol=1e-13).y[:2, -1]


def after(steps: int, method: str, **parameters: Any) -> Array:
    with np.errstate(all="ignore"):
        return mflow.minimize(cost, START, jac=True, method=method, maxiter=steps, gtol=0.0, **parameters).x


# ---- the step goes to 0 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "parameters", "strength", "order"),
    [
        ("consistent_momentum", {"beta_hat": 1.3}, 1.3, 1),
        ("consistent_momentum", {"beta_hat": 1.3, "lookahead": True}, 1.3, 1),
        ("symplectic_euler", {}, 1.0, 1),
        ("symplectic_euler", {"damping": "implicit"}, 1.0, 1),
        ("newmark", {}, 1.0, 2),
        ("staggered", {}, 1.0, 2),
        ("central_difference", {}, 1.0, 2),
        ("generalized_alpha", {}, 1.0, 2),
    ],
)
def test_one_trajectory(method: str, parameters: dict[str, Any], strength: float, order: int) -> None:
    """consistent_momentum and the second-order methods go to the same motion, each at its order."""
    t, exact = 2.0, motion(2.0, 0.7, strength)
    errors = [np.abs(after(n, method, dt=t / n, friction=0.7, **parameters) - exact).max() for n in (100, 200, 400)]
    for coarse, fine in itertools.pairwise(errors):
        assert np.log2(coarse / fine) == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize("method", ["momentum", "nesterov"])
@pytest.mark.parametrize("mu", [0.5, 0.9])
def test_a_fixed_momentum_tends_to_a_gradient_flow(method: str, mu: float) -> None:
    """c' = -grad f/(1 - mu), to first order, and no motion with inertia: near the start the path is straight at that speed."""
    t = 0.4 * (1 - mu)
    exact = scipy.integrate.solve_ivp(lambda t, c: -gradient(c) / (1 - mu), (0, t), START, "DOP853", rtol=1e-11, atol=1e-13).y[:, -1]
    errors = [np.abs(after(n, method, lr=t / n, momentum=mu) - exact).max() for n in (400, 800, 1600)]
    for coarse, fine in itertools.pairwise(errors):
        assert np.log2(coarse / fine) == pytest.approx(1.0, abs=0.1)
    for short in (1e-2, 1e-3):  # from rest a motion with inertia has moved by its square, whatever its friction and strength
        speed = (START - after(4000, method, lr=short * (1 - mu) / 4000, momentum=mu)) / (short * (1 - mu))
        np.testing.assert_allclose(speed, gradient(START) / (1 - mu), rtol=0.05)


def test_inertia_is_seen_where_it_is() -> None:
    for short in (1e-2, 1e-3):
        speed = (START - after(400, "consistent_momentum", dt=short / 400, friction=0.7, beta_hat=1.0)) / short
        np.testing.assert_allclose(speed, 0.5 * short * gradient(START), rtol=0.05)


# ---- minimize ------------------------------------------------------------------------------------------------------------------------


def compiled_cost() -> Any:
    def bowl(c: Any, value: Any, grad: Any, n: int, ctx: Any) -> int:
        f, g = cost(np.array([c[0], c[1]]))
        if value:
            value[0] = f
        if grad:
            grad[0], grad[1] = g
        return 0

    return COST(bowl)


@pytest.mark.parametrize("method", mflow.methods(family="second_order"), ids=lambda m: m.name)
def test_a_compiled_cost_takes_the_same_path(method: Any) -> None:
    found = [
        mflow.minimize(fun, START, jac=jac, method=method, dt=0.02, friction=1.5, maxiter=150, gtol=1e-3)
        for fun, jac in ((compiled_cost(), None), (cost, True), (lambda c: cost(c)[0], gradient))
    ]
    for other in found[1:]:
        assert (found[0].reason, found[0].nit) == (other.reason, other.nit)
        np.testing.assert_array_equal(found[0].x, other.x)
        np.testing.assert_array_equal(found[0].jac, other.jac)
        assert found[0].fun == other.fun
    assert found[0].njev == found[1].njev == found[2].njev


def test_one_gradient_an_iteration() -> None:
    for name in ("leapfrog", "symplectic_euler"):
        res = mflow.minimize(cost, START, jac=True, method=name, dt=0.02, maxiter=50, gtol=0.0)
        assert (res.nit, res.nfev, res.njev) == (50, 51, 51)
        res = mflow.minimize(compiled_cost(), START, method=name, dt=0.02, maxiter=50, gtol=0.0)
        assert (res.nit, res.njev) == (50, 51)


def test_the_result_belongs_to_its_point() -> None:
    for fun, jac in ((cost, True), (lambda c: cost(c)[0], gradient), (compiled_cost(), None)):
        res = mflow.minimize(fun, START, jac=jac, method="newmark", dt=0.1, friction=2.0, gtol=1e-7)
        assert (res.reason, res.success) == ("converged", True)
        assert np.abs(res.jac).max() <= 1e-7
        assert res.fun == pytest.approx(cost(res.x)[0], rel=1e-14)
        np.testing.assert_allclose(res.jac, gradient(res.x), rtol=1e-14)


def test_a_callback_sees_each_point_and_stops() -> None:
    seen: list[Any] = []

    def watch(intermediate_result: Any) -> bool:
        seen.append((intermediate_result.nit, intermediate_result.fun, *intermediate_result.x))
        return len(seen) == 5

    res = mflow.minimize(cost, START, jac=True, method="staggered", dt=0.05, callback=watch)
    assert (res.reason, res.nit, [k for k, *_ in seen]) == ("callback", 5, [1, 2, 3, 4, 5])
    whole = mflow.solve_dynamics(force=lambda t, x, v: -gradient(x) - v, t_span=(0, 0.25), x0=START, method="staggered", dt=0.05)
    np.testing.assert_allclose([point for _, _, *point in seen], whole.x[:, 1:].T, rtol=1e-12)
    np.testing.assert_allclose([f for _, f, *_ in seen], [cost(x)[0] for x in whole.x[:, 1:].T], rtol=1e-12)


def test_a_gradient_that_leaves_its_domain_keeps_the_last_good_point() -> None:
    def half(c: Array) -> Any:
        return (float(c[0]), np.ones(1)) if c[0] > 0.5 else (np.nan, np.full(1, np.nan))

    res = mflow.minimize(half, [1.0], jac=True, method="leapfrog", dt=0.1, friction=0.1)
    assert (res.success, res.reason) == (False, "non_finite")
    assert 0.5 < res.x[0] < 0.6
    assert res.fun == res.x[0]


def test_a_start_at_the_minimum_takes_no_step() -> None:
    res = mflow.minimize(cost, np.zeros(2), jac=True, method="leapfrog", dt=0.1)
    assert (res.reason, res.nit, res.njev) == ("converged", 0, 1)


def test_a_schedule_of_steps() -> None:
    res = mflow.minimize(cost, START, jac=True, method="leapfrog", lr=lambda k: 0.1 if k < 3 else 0.05, maxiter=5, gtol=0.0)
    run, t = START, [0.1, 0.2, 0.3, 0.35, 0.4]
    v = np.zeros(2)
    a = -gradient(run)
    for h in np.diff([0.0, *t]):
        v = v + h / 2 * a
        run = run + h * v
        a = -gradient(run) - v
        v = v + h / 2 * a
    np.testing.assert_allclose(res.x, run, rtol=1e-12)


def test_exceptions_come_through_with_the_point_before() -> None:
    def fails(c: Array) -> Any:
        if c[0] < 0.8:
            raise KeyError("no more")
        return cost(c)

    with pytest.raises(KeyError, match="no more") as caught:
        mflow.minimize(fails, START, jac=True, method="leapfrog", dt=0.1)
    assert caught.value.partial_result.x[0] >= 0.8  # type: ignore[attr-defined]


@pytest.mark.parametrize("compiled", [True, False])
def test_newmark_comes_to_rest(compiled: bool) -> None:
    """Near the minimum the acceleration is a difference of large numbers: its rounding does not pass for an equation without solution."""
    cost = mflow.objectives.Rosenbrock(4)
    what: dict[str, Any] = {"fun": cost} if compiled else {"fun": cost.__call__, "jac": cost.grad}
    r = mflow.minimize(**what, x0=[-1.2, 1.0, -1.2, 1.0], method="newmark", dt=0.01, friction=1.0, maxiter=5000)
    assert (r.reason, r.success) == ("converged", True)
    np.testing.assert_allclose(r.x, 1.0, atol=1e-5)


@pytest.mark.parametrize("method", ["consistent_momentum", "leapfrog", "newmark"])
@pytest.mark.parametrize("friction", [None, 0.4])
def test_the_stable_step_is_that_of_the_descent_as_it_is_called(method: str, friction: float | None) -> None:
    """On 7.5 c^2/2, whose stiffest mode a run follows from outside: it decays below the limit, and grows above it."""
    said = {} if friction is None else {"friction": friction}
    limit = mflow.max_stable_dt(method, curvature=7.5, **said)
    z = (1.0 if friction is None else friction) / (2 * np.sqrt(7.5))
    if method == "consistent_momentum":  # symplectic Euler with explicit friction: omega dt < 2 sqrt(1 + z^2) - 2 z
        assert limit == pytest.approx((2 * np.sqrt(1 + z * z) - 2 * z) / np.sqrt(7.5), rel=1e-6)
    if method == "newmark":
        assert limit == np.inf
        return

    def end(share: float) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            r = mflow.minimize(
                lambda x: (3.75 * x @ x, 7.5 * x), [1.0], jac=True, method=method, dt=share * limit, maxiter=400, gtol=0.0, **said
            )
        return float(abs(r.x[0]))

    assert end(0.95) < 1e-3
    assert not end(1.05) < 1e3


def test_friction_of_a_structure_is_its_damping() -> None:
    with pytest.raises(ValueError, match=r"friction: it goes with curvature=.*give damping="):
        mflow.max_stable_dt("leapfrog", stiffness=7.5, friction=1.0)
    with pytest.raises(ValueError, match="stiffness, damping: expected none beside curvature="):
        mflow.max_stable_dt("leapfrog", stiffness=7.5, curvature=1.0)
