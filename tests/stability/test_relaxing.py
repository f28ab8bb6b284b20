"""dt="auto" relaxes: after hundreds of time constants a state is at rest, under every method that takes it."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.polynomial import chebyshev

import mflow
from mflow.stability.limits import limit_on_ray
from mflow.stability.spectrum import DAMPING, STAGES, relaxing


def rotated(rates: Any) -> Any:
    q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(len(rates), len(rates))))
    return (q * rates) @ q.T


def test_one_mode_is_at_rest(auto_step_method: Any) -> None:
    """y' = 1 - rate y from 3: rkc2 ended at 2.87 where 0.232 is right."""
    for rate, constants in ((4.311, 600), (4.311, 200), (1e-3, 333), (5e4, 250)):
        r = mflow.solve_ivp(lambda t, y, rate=rate: 1.0 - rate * y, (0, constants / rate), [3.0], auto_step_method.name, dt="auto")
        assert r.reason == "finished"
        assert abs(rate * r.y[0, -1] - 1.0) <= 1e-3 * abs(3.0 * rate - 1.0)


def test_many_modes_are_at_rest(auto_step_method: Any) -> None:
    for n in (8, 40):
        A = rotated(np.geomspace(1.0, 12.0, n))
        x = np.linalg.solve(A, np.ones(n))
        r = mflow.solve_ivp(lambda t, y, A=A: 1.0 - A @ y, (0, 200), x + 1.0, auto_step_method.name, dt="auto")
        assert np.max(np.abs(r.y[:, -1] - x)) <= 1e-3


def test_damped_oscillations_are_at_rest(auto_step_method: Any) -> None:
    """Eigenvalues -1 +- 3i and -8 +- 2i. (rkc2 is for real ones.)"""
    if "needs_rho" in auto_step_method.flags:
        pytest.skip("another kind of method")
    A = np.zeros((4, 4))
    A[:2, :2], A[2:, 2:] = [[-1, 3], [-3, -1]], [[-8, 2], [-2, -8]]
    r = mflow.solve_ivp(lambda t, y: A @ y, (0, 200), np.ones(4), auto_step_method.name, dt="auto")
    assert np.max(np.abs(r.y[:, -1])) <= 1e-3


@pytest.mark.parametrize("stages", [0, 3, 6, 25])
def test_very_stiff_modes_under_rkc2(stages: int) -> None:
    A = rotated(np.geomspace(1.0, 100.0, 40))
    r = mflow.gradient_flow(lambda c: A @ c - 1.0, np.full(40, 3.0), 200.0, "rkc2", dt="auto", stages=stages, save="last")
    assert np.max(np.abs(r.y[:, -1] - np.linalg.solve(A, np.ones(40)))) <= 1e-3


def test_minimize_relaxes() -> None:
    A = rotated(np.geomspace(1.0, 1e3, 30))
    r = mflow.minimize(lambda c: (0.5 * c @ (A @ c), A @ c), np.ones(30), jac=True, method="rkc2", dt="auto", gtol=1e-6, maxiter=2000)
    assert r.reason == "converged"
    assert np.max(np.abs(r.x)) < 1e-5


def test_factors_over_the_spectrum(auto_step_method: Any) -> None:
    """At nine tenths of the limit every mode faster than the step shrinks by a fifth at least (rk2 and its like: 0.82)."""
    method = relaxing(mflow.get_method(auto_step_method.name))
    if "staged" in method.flags:
        method = type(method)(**{**method.given, "stages": STAGES})
    limit = limit_on_ray(method, -1.0)
    assert np.max(np.abs(mflow.amplification(method, -np.linspace(1.0, 0.9 * limit, 2000)))) <= (
        0.5 if "staged" in method.flags else 0.8201
    )


# ---- the damping of rkc2 -----------------------------------------------------------------------------------------------------------------


def closed_form(s: int, damping: float, z: Any) -> tuple[Any, float]:
    """(R(z), the length of the stability interval) from the Chebyshev polynomial of degree s and its derivatives."""
    T = np.eye(s + 1)[s]
    w0 = 1.0 + damping / s**2
    first, second = chebyshev.chebder(T), chebyshev.chebder(T, 2)
    b = chebyshev.chebval(w0, second) / chebyshev.chebval(w0, first) ** 2
    w1 = chebyshev.chebval(w0, first) / chebyshev.chebval(w0, second)
    return 1.0 - b * chebyshev.chebval(w0, T) + b * chebyshev.chebval(w0 + w1 * z, T), (w0 + 1.0) / w1


@pytest.mark.parametrize("damping", [0.0, 2.0 / 13.0, 1.0, 4.0, 10.0])
@pytest.mark.parametrize("stages", [2, 3, 4, 10, 31])
def test_the_stability_function_of_a_damping(stages: int, damping: float) -> None:
    method = mflow.RKC2(stages=stages, damping=damping)
    expected, length = closed_form(stages, damping, 0.0)
    z = -np.linspace(0.0, length, 301)
    expected, _ = closed_form(stages, damping, z)
    np.testing.assert_allclose(mflow.amplification(method, z).real, expected, rtol=0, atol=1e-10)
    assert np.max(np.abs(expected)) <= 1.0 + 1e-12


@pytest.mark.parametrize("damping", [0.0, 1.0, 4.0, 10.0])
def test_the_least_number_of_stages_that_is_stable(damping: float) -> None:
    """In one step of a known radius: evaluations tell the stages; one fewer would not reach."""
    for reach in (1e-3, 1.0, 7.0, 50.0, 333.0, 2e4):
        st = mflow.Stepper(mflow.RKC2(damping=damping), lambda t, y: -y, [1.0])
        st._run.hold_rho(1.0)
        st.step(reach)
        s = st.nfev - 1  # the slope at the start, s - 1 stages, and the slope at the end
        assert closed_form(s, damping, 0.0)[1] >= reach
        assert s == 3 or closed_form(s - 1, damping, 0.0)[1] < reach
        assert abs(st.y[0]) <= 1.0


def test_a_damping_that_was_chosen_stays() -> None:
    assert relaxing(mflow.RKC2()).parameters["damping"] == DAMPING
    assert relaxing(mflow.RKC2(damping=1.0)).parameters["damping"] == 1.0
    assert relaxing(mflow.RK4()) == mflow.RK4()
    with pytest.raises(ValueError, match="damping"):
        mflow.RKC2(damping=-1.0)
    with pytest.raises(ValueError, match="damping"):
        mflow.RKC2(damping=math.nan)


def test_more_damping_is_still_of_second_order() -> None:
    """y' = -y + sin t, error against the closed form, halved steps."""
    exact = 0.5 * (math.sin(1.0) - math.cos(1.0)) + 1.5 * math.exp(-1.0)
    errors = []
    for steps in (20, 40):
        r = mflow.solve_ivp(lambda t, y: math.sin(t) - y, (0, 1), [1.0], mflow.RKC2(stages=5, damping=4.0), dt=1 / steps)
        errors.append(abs(r.y[0, -1] - exact))
    assert 3.5 < errors[0] / errors[1] < 4.5


def test_a_start_far_from_rest_is_forgotten(auto_step_method: Any) -> None:
    """A start of a thousand times the rest: however few the steps, 300 time constants leave nothing of it."""
    for start, rest in ((1000.0, 1.0), (-1000.0, 1.0), (1.0, 1000.0)):
        for constants in (300, 1000):
            r = mflow.solve_ivp(lambda t, y, rest=rest: rest - y, (0, constants), [start], auto_step_method.name, dt="auto")
            assert abs(r.y[0, -1] - rest) < 1e-3 * rest
