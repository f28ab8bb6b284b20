"""Methods with several accelerations a step: order conditions in high precision, what they keep on Kepler's problem, error control."""

from __future__ import annotations

import math
import warnings
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import mflow
from support.motion import coefficients
from support.oracles.series import Problem

Array = np.ndarray
MANY = [m for m in mflow.methods(family="second_order") if m.record.stages > 1 and not (m.is_implicit and "damping" not in m.parameters)]
PAIRS = [m for m in MANY if m.record.order_hat is not None]
SYMPLECTIC = [m for m in MANY if "symplectic" in m.flags]
COMPOSED = [m for m in MANY if "damping" in m.parameters]


@pytest.mark.parametrize("m", MANY, ids=lambda m: m.name)
def test_the_kernel_meets_the_conditions_of_its_order_and_no_more(m: Any) -> None:
    """With the coefficients that the kernel multiplies with, in 30 digits."""
    of = coefficients(m.name)
    with mp.workdps(30):
        p = Problem(m.order + 2)
        assert p.order(p.step(of.c, of.A, of.b, of.d), 1e-13) == m.order
        if m.record.order_hat is not None:
            assert p.order(p.step(of.c, of.A, of.b - of.e, of.d - of.f), 1e-13) == m.record.order_hat


def force(t: float, x: Array, v: Array) -> Array:
    return -x / (x @ x) ** 1.5


def potential(x: Array) -> float:
    return -1.0 / math.sqrt(x @ x)


def kepler(e: float) -> dict[str, Any]:
    return {"x0": [1 - e, 0.0], "v0": [0.0, math.sqrt((1 + e) / (1 - e))], "force": force, "velocity_free": True}


@pytest.mark.parametrize("m", MANY, ids=lambda m: m.name)
def test_the_order_is_measured_on_keplers_problem(m: Any) -> None:
    """x and v after a quarter of an orbit, against SciPy's DOP853 at 1e-13."""
    problem = kepler(0.3)
    want = solve_ivp(
        lambda t, y: [*y[2:], *force(t, y[:2], y[2:])], (0, 1.5), [*problem["x0"], *problem["v0"]], "DOP853", rtol=1e-13, atol=1e-15
    )
    errors = []
    for steps in (6, 12) if m.order == 8 else (20, 40):
        s = mflow.solve_dynamics(**problem, t_span=(0, 1.5), dt=1.5 / steps, method=m)
        errors.append(np.max(np.abs(np.concatenate([s.x[:, -1], s.v[:, -1]]) - want.y[:, -1])))
    assert math.log2(errors[0] / errors[1]) > m.order - 0.4  # the exact order is shown above


@pytest.mark.parametrize("m", SYMPLECTIC, ids=lambda m: m.name)
def test_steps_are_reversible_and_keep_angular_momentum(m: Any) -> None:
    problem = kepler(0.5)
    s = mflow.solve_dynamics(**problem, t_span=(0, 2), dt=0.05, method=m)
    back = mflow.solve_dynamics(x0=s.x[:, -1], v0=s.v[:, -1], force=force, velocity_free=True, t_span=(2, 0), dt=0.05, method=m)
    np.testing.assert_allclose(back.x[:, -1], problem["x0"], atol=1e-12)
    np.testing.assert_allclose(s.x[0] * s.v[1] - s.x[1] * s.v[0], (1 - 0.5) * problem["v0"][1], rtol=1e-13)
    assert np.linalg.norm(s.a[:, -1] - force(2.0, s.x[:, -1], s.v[:, -1])) < 1e-12


@pytest.mark.parametrize("m", COMPOSED, ids=lambda m: m.name)
def test_compositions_of_central_differences_keep_their_order_with_damping(m: Any) -> None:
    method = mflow.get_method(m.name, damping="implicit")

    def slope(t: float, y: Array) -> list[float]:
        return [y[1], math.cos(t) - math.sin(y[0]) - 0.4 * y[1]]

    want = solve_ivp(slope, (0, 2), [1.0, 0.5], "DOP853", rtol=1e-13, atol=1e-15).y[:, -1]
    errors = []
    for steps in (5, 10) if m.order == 8 else (10, 20):
        s = mflow.solve_dynamics(
            damping=0.4, load=lambda t: [math.cos(t)], force=lambda t, x, v: -np.sin(x), velocity_free=True,
            x0=[1.0], v0=[0.5], t_span=(0, 2), dt=2 / steps, method=method,
        )  # fmt: skip
        assert "first order" not in s.message
        errors.append(np.max(np.abs([s.x[0, -1] - want[0], s.v[0, -1] - want[1]])))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(m.order, abs=0.6)


@pytest.mark.parametrize("m", MANY, ids=lambda m: m.name)
def test_a_run_says_that_velocities_cost_the_order(m: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        call: dict[str, Any] = {"x0": [1.0], "t_span": (0, 1), "dt": 0.01, "method": m}
        with pytest.warns(RuntimeWarning, match=f"{m.name} is of first order where forces depend on velocities, as they do here.*newmark"):
            s = mflow.solve_dynamics(**call, force=lambda t, x, v: -x - 0.4 * v)
        given = f": give method=mflow.{type(m).__name__}(damping='implicit'), or take newmark"
        cure = given if "damping" in m.parameters else ": take newmark, which is of second order there"
        assert s.message.endswith(f"{m.name} is of first order where forces depend on velocities, as they do here{cure}")
        assert "order" not in mflow.solve_dynamics(**call, stiffness=1.0).message


@pytest.mark.parametrize("m", PAIRS, ids=lambda m: m.name)
def test_pairs_under_error_control(m: Any) -> None:
    """An orbit of e = 0.9: the step follows the planet, the error the tolerance; forces that depend on v are refused."""
    problem, errors, steps = kepler(0.9), [], []
    for tol in (1e-6, 1e-9):
        s = mflow.solve_dynamics(**problem, potential=potential, t_span=(0, 2 * math.pi), rtol=tol, atol=tol, method=m)
        assert s.success
        errors.append(np.max(np.abs(s.x[:, -1] - s.x[:, 0])))
        steps.append(np.diff(s.t))
        assert s.nfev <= (m.record.stages - 1) * (s.nsteps + s.nrejected) + 4
    assert errors[1] < 1e-2 * errors[0] < 1e-2
    assert errors[1] < 1e-6
    assert np.max(steps[1]) > 20 * np.min(steps[1])
    with pytest.raises(ValueError, match=f"method: {m.name} is made for forces that do not depend on velocities"):
        mflow.solve_dynamics(stiffness=1.0, damping=0.1, x0=[1.0], t_span=(0, 1), rtol=1e-6, method=m)


@pytest.mark.parametrize("name", ["suzuki_umeno8", "yoshida8"])
def test_the_energy_of_keplers_problem_does_not_drift(name: str) -> None:
    """20 orbits of e = 0.6 at 200 steps each: what the error is after an orbit is what it is after all of them."""
    s = mflow.solve_dynamics(**kepler(0.6), potential=potential, t_span=(0, 40 * math.pi), dt=2 * math.pi / 200, method=name)
    energy = s.energy.kinetic + s.energy.potential
    error = np.abs(energy / energy[0] - 1).reshape(-1)[:4000].reshape(20, 200).max(axis=1)
    assert np.max(error) < 1.5 * error[0] + 2e-14
    assert np.max(error) < 1e-6


def test_what_the_records_say_of_stability() -> None:
    assert mflow.stability_limit("yoshida4") == pytest.approx(1.5734019, abs=1e-7)
    for m in SYMPLECTIC:
        limit, of = mflow.stability_limit(m), coefficients(m.name)

        def trace(h: float, of: Any = of) -> float:
            """Of a step on x'' = -x, by the coefficients."""
            columns = []
            for x, v in ((1.0, 0.0), (0.0, 1.0)):
                k: list[float] = []
                for i, c in enumerate(of.c):
                    k.append(-(x + c * h * v + h * h * sum(of.A[i, j] * k[j] for j in range(i))))
                columns.append((x + h * v + h * h * float(of.b @ k), v + h * float(of.d @ k)))
            return columns[0][0] + columns[1][1]

        assert abs(trace(limit * (1 - 1e-6))) <= 2 < abs(trace(limit * (1 + 1e-6)))
        assert all(abs(trace(limit * part)) <= 2 + 1e-13 for part in np.linspace(0.05, 0.999, 400))
