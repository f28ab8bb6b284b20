"""Forces whose slopes are infinite, or jump: the equation of an implicit step is monotone then, and has one root: `brentq` has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq, minimize

import mflow

FREQUENCY = (2 * np.pi) ** 2
LAWS: dict[str, Callable[[Any, Any], Any]] = {
    "damper 0.7": lambda x, v: -0.5 * np.sign(v) * np.abs(v) ** 0.7,
    "damper 0.5": lambda x, v: -0.5 * np.sign(v) * np.abs(v) ** 0.5,
    "damper 0.3": lambda x, v: -0.5 * np.sign(v) * np.abs(v) ** 0.3,
    "damper 0.15": lambda x, v: -0.5 * np.sign(v) * np.abs(v) ** 0.15,
    "cube root": lambda x, v: -10.0 * np.cbrt(x),
    "dry friction": lambda x, v: -0.5 * np.tanh(v / 1e-6),
    "contact": lambda x, v: -1e4 * np.maximum(x, 0.0) ** 1.5,
    "dead band": lambda x, v: -200.0 * (np.maximum(x - 0.01, 0.0) + np.minimum(x + 0.01, 0.0)),
}


def pushed(t: float) -> float:
    return 3.0 * np.sin(5.0 * t)


def by_brackets(law: Callable[[Any, Any], Any], dt: float, steps: int) -> list[float]:
    """x'' = 3 sin(5 t) - w^2 x + law(x, x') from rest, by the average acceleration; each step's equation by `brentq`."""
    x = v = a = 0.0
    path = [x]
    for k in range(1, steps + 1):
        x_known, v_known = x + dt * v + 0.25 * dt * dt * a, v + 0.5 * dt * a

        def gap(new: float, x_known: float = x_known, v_known: float = v_known, t: float = k * dt) -> float:
            place, speed = x_known + 0.25 * dt * dt * new, v_known + 0.5 * dt * new
            return float(new - pushed(t) + FREQUENCY * place - law(place, speed))

        a = brentq(gap, -1e3, 1e3, xtol=1e-15)
        x, v = x_known + 0.25 * dt * dt * a, v_known + 0.5 * dt * a
        path.append(x)
    return path


@pytest.mark.parametrize("solver", ["newton", "newton_krylov"])
@pytest.mark.parametrize("dt", [0.02, 0.005])
@pytest.mark.parametrize("law", LAWS)
def test_steps_from_rest_are_those_of_a_bracket(law: str, dt: float, solver: str) -> None:
    steps = 60
    s = mflow.solve_dynamics(
        mass=1.0, stiffness=FREQUENCY, load=lambda t: [pushed(t)], force=lambda t, x, v: LAWS[law](x, v), t_span=(0, steps * dt), x0=[0.0],
        dt=dt, solver=solver,
    )  # fmt: skip
    assert s.reason == "finished", s.message
    np.testing.assert_allclose(np.ravel(s.x), by_brackets(LAWS[law], dt, steps), rtol=0, atol=1e-9 * np.max(np.abs(s.x)))


@pytest.mark.parametrize("floor", [1e-300, 1e-9, 1e-3])
@pytest.mark.parametrize("power", [0.15, 0.5])
def test_slopes_that_are_given_need_not_say_how_the_force_runs(power: float, floor: float) -> None:
    def slope(t: float, x: Any, v: Any) -> Any:
        return np.diag(-0.5 * power * np.maximum(np.abs(v), floor) ** (power - 1.0))

    s = mflow.solve_dynamics(
        mass=1.0, stiffness=FREQUENCY, load=lambda t: [pushed(t)], force=lambda t, x, v: -0.5 * np.sign(v) * np.abs(v) ** power, dfdv=slope,
        t_span=(0, 0.3), x0=[0.0], dt=0.005,
    )  # fmt: skip
    assert s.reason == "finished", s.message
    path = by_brackets(lambda x, v: -0.5 * np.sign(v) * np.abs(v) ** power, 0.005, 60)
    np.testing.assert_allclose(np.ravel(s.x), path, rtol=0, atol=1e-9 * np.max(np.abs(path)))


STOREYS = np.eye(3) - np.eye(3, k=-1)
MASSES, SPRINGS, DAMPER = np.array([2e5, 2e5, 1.5e5]), np.array([2.5e8, 2e8, 1.5e8]), 8e5


def of_dampers(v: Any, power: float) -> Any:
    drift = STOREYS @ v
    return -STOREYS.T @ (DAMPER * np.sign(drift) * np.abs(drift) ** power)


@pytest.mark.parametrize("method", ["newmark", "hht", "bathe", "central_difference"])
@pytest.mark.parametrize("power", [0.3, 0.5, 0.7])
def test_dampers_between_storeys_under_an_earthquake(power: float, method: str) -> None:
    rng = np.random.default_rng(3)
    times = np.arange(0, 1.005, 0.01)
    record = 3.0 * rng.normal(size=times.size)
    stiffness = STOREYS.T @ np.diag(SPRINGS) @ STOREYS
    s = mflow.solve_dynamics(
        mass=MASSES, stiffness=stiffness, rayleigh=(0.4, 0.0006), load=(times, record, -MASSES), force=lambda t, x, v: of_dampers(v, power),
        t_span=(0, 0.6), x0=np.zeros(3), dt=0.005, method=method,
    )  # fmt: skip
    assert s.reason == "finished", s.message
    damping, h = 0.4 * np.diag(MASSES) + 0.0006 * stiffness, 2.5e-4
    x, v, peak = np.zeros(3), np.zeros(3), 0.0

    def slope(t: float, x: Any, v: Any) -> Any:
        return -np.interp(t, times, record) + (of_dampers(v, power) - stiffness @ x - damping @ v) / MASSES

    for k in range(2400):
        t, a1 = k * h, slope(k * h, x, v)
        a2 = slope(t + h / 2, x + h / 2 * v, v + h / 2 * a1)
        a3 = slope(t + h / 2, x + h / 2 * (v + h / 2 * a1), v + h / 2 * a2)
        a4 = slope(t + h, x + h * (v + h / 2 * a2), v + h * a3)
        x, v = x + h * v + h * h / 6 * (a1 + a2 + a3), v + h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
        peak = max(peak, float(np.max(np.abs(x))))
    assert np.max(np.abs(s.x[..., -1] - x)) < 0.03 * peak


def test_one_step_of_many_dampers_is_the_minimum_of_its_potential() -> None:
    power, dt, n, rng = 0.4, 0.01, 8, np.random.default_rng(5)
    incidence, springs, push = np.eye(n) - np.eye(n, k=-1), rng.uniform(50.0, 100.0, n), rng.normal(size=n)
    stiffness = incidence.T @ np.diag(springs) @ incidence

    def force(t: float, x: Any, v: Any) -> Any:
        drift = incidence @ v
        return push - stiffness @ x - incidence.T @ (np.sign(drift) * np.abs(drift) ** power)

    s = mflow.solve_dynamics(force=force, t_span=(0, dt), x0=np.zeros(n), dt=dt)
    assert s.reason == "finished", s.message
    before = s.a[..., 0]

    def potential(a: Any) -> tuple[float, Any]:
        x, v = dt * dt / 4 * (before + a), dt / 2 * (before + a)
        lost = np.sum(np.abs(incidence @ v) ** (1 + power)) / (1 + power) / (dt / 2)
        value = 0.5 * a @ a - push @ a + x @ stiffness @ x / (dt * dt / 2) + lost
        return float(value), a - force(dt, x, v)

    found = s.a[..., -1]
    best = minimize(potential, found + 0.1 * rng.normal(size=n), jac=True, method="BFGS", options={"gtol": 1e-10})
    assert potential(found)[0] <= best.fun + 1e-12 * abs(best.fun)
    np.testing.assert_allclose(found, best.x, rtol=0, atol=1e-3 * np.max(np.abs(found)))


def test_an_equation_without_a_root_is_not_solved() -> None:
    s = mflow.solve_dynamics(force=lambda t, x, v: 1e6 * x**2, t_span=(0, 1), x0=[1.0], dt=0.5)
    assert s.reason == "solve_failed"


@pytest.mark.parametrize("method", ["newmark", "hht", "bathe", "generalized_alpha"])
@pytest.mark.parametrize("far", [1e6, 1e9, 1e11, 1e12, 1e14, 1e18])
def test_slopes_that_are_far_too_large_do_not_make_steps_look_solved(method: str, far: float) -> None:
    """Of a damper -.2 v, whose equation is linear: as a matrix it needs no iteration."""
    how: dict[str, Any] = {"method": method, "dt": 0.1}
    right = mflow.solve_dynamics([1.0], [0.2], [1.0], None, (0, 10), [1.0], [0.0], **how)
    r = mflow.solve_dynamics([1.0], None, [1.0], None, (0, 10), [1.0], [0.0], force=lambda t, x, v: -0.2 * v, dfdv=[[-far]], **how)
    assert r.reason in ("finished", "solve_failed")
    np.testing.assert_allclose(r.x, right.x[:, : r.t.size], rtol=0.0, atol=1e-9)
