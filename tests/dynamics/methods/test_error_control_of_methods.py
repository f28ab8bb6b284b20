"""Error control of hht, generalized alpha and leapfrog: the estimate against the true local error, and runs against the tolerance."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

import mflow

Array = np.ndarray
METHODS = {
    "leapfrog": mflow.VelocityVerlet(),
    "hht": mflow.HHT(alpha=-0.2),
    "hht undamped": mflow.HHT(alpha=0.0),
    "generalized alpha": mflow.GeneralizedAlpha(rho_inf=0.5),
    "annihilating": mflow.GeneralizedAlpha(rho_inf=0.0),
    "bathe": mflow.Bathe(),
    "bathe undamped": mflow.Bathe(rho_inf=1.0),
}
SOFT = np.array([[3.0, -1.0], [-1.0, 2.0]])


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_tolerances_are_followed(method: Any) -> None:
    """A pendulum with a spring: errors fall with the tolerance, steps with its cube root."""

    def slope(t: float, y: Array) -> list[float]:
        return [y[2], y[3], -3 * math.sin(y[0]) + y[1], y[0] - 2 * y[1] + math.cos(t)]

    def force(t: float, x: Array, v: Array) -> list[float]:
        return slope(t, np.concatenate([x, v]))[2:]

    want = solve_ivp(slope, (0, 10), [1.0, 0.0, 0.0, 0.5], "DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    call: dict[str, Any] = {"force": force, "velocity_free": True, "t_span": (0, 10), "x0": [1.0, 0.0], "v0": [0.0, 0.5]}
    errors, steps = [], []
    for tol in (1e-4, 1e-6):
        s = mflow.solve_dynamics(**call, method=method, rtol=tol, atol=tol)
        assert s.success
        errors.append(np.max(np.abs(np.concatenate([s.x[:, -1], s.v[:, -1]]) - want)))
        steps.append(s.nsteps)
        assert s.nrejected < 10
    assert errors[0] > 15 * errors[1]
    assert steps[1] / steps[0] == pytest.approx(100 ** (1 / 3), rel=0.1)
    newmark = mflow.solve_dynamics(**call, rtol=1e-6, atol=1e-6)
    other = np.max(np.abs(np.concatenate([newmark.x[:, -1], newmark.v[:, -1]]) - want))
    assert errors[1] < 1.7 * other
    if method == mflow.HHT(alpha=0.0):  # which is newmark
        assert steps[1] == newmark.nsteps


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_the_first_estimate_is_the_local_error(method: Any) -> None:
    """Of x'' = -K x, to its leading order: by the tolerance at which a step of h is just taken."""
    x0, v0, h = np.array([1.0, 0.5]), np.array([0.25, -1.0]), 1e-2
    flow = expm(h * np.block([[np.zeros((2, 2)), np.eye(2)], [-SOFT, np.zeros((2, 2))]])) @ np.concatenate([x0, v0])
    s = mflow.solve_dynamics(stiffness=SOFT, x0=x0, v0=v0, t_span=(0, h), dt=h, method=method)
    off = np.concatenate([s.x[:, -1], s.v[:, -1]]) - flow
    size = math.sqrt(np.mean(off**2))
    for part, count in ((0.98, 2), (1.02, 1)):  # in units of an absolute tolerance
        t = mflow.solve_dynamics(stiffness=SOFT, x0=x0, v0=v0, t_span=(0, h), method=method, rtol=3e-14, atol=size * part, first_step=h)
        assert (t.nrejected > 0) == (count == 2), method


def test_a_pulse_is_seen_by_an_alpha_method() -> None:
    s = mflow.solve_dynamics(
        stiffness=1.0, load=lambda t: [math.exp(-((t - 5) ** 2) * 40)], t_span=(0, 10), x0=[0.0], method="generalized_alpha", rtol=1e-4,
        atol=1e-5, max_step=0.3,
    )  # fmt: skip
    h = np.diff(s.t)
    assert np.min(h[(s.t[1:] > 4) & (s.t[1:] < 6)]) < 0.1 * np.max(h)
    want = solve_ivp(
        lambda t, y: [y[1], math.exp(-((t - 5) ** 2) * 40) - y[0]], (0, 10), [0, 0], "DOP853", rtol=1e-10, atol=1e-12, max_step=0.1
    )
    assert s.x[0, -1] == pytest.approx(want.y[0, -1], abs=2e-3)


@pytest.mark.parametrize("method", ["newmark", "hht", "generalized_alpha", "bathe"])
def test_steps_are_kept_rather_than_factored_anew(method: str) -> None:
    K = 2 * np.eye(20) - np.eye(20, k=1) - np.eye(20, k=-1)
    s = mflow.solve_dynamics(
        1.0, 0.1 * K, K, lambda t: np.full(20, math.sin(t)), (0, 20), np.zeros(20), method=method, rtol=1e-6, atol=1e-6
    )
    sizes = 1 + np.count_nonzero(np.abs(np.diff(s.t)[1:] / np.diff(s.t)[:-1] - 1) > 1e-9)
    assert s.nlu <= sizes + 3 < s.nsteps / 10


def test_what_has_no_estimate_says_so() -> None:
    for method in (mflow.HHT(load="shifted"), mflow.VelocityVerlet(damping="explicit")):
        with pytest.raises((ValueError, TypeError), match=r"error|dt"):
            mflow.solve_dynamics(stiffness=1.0, x0=[1.0], t_span=(0, 1), method=method, rtol=1e-6)
    with pytest.raises(ValueError, match="velocity_verlet is made for forces that do not depend on velocities"):
        mflow.solve_dynamics(stiffness=1.0, damping=0.1, x0=[1.0], t_span=(0, 1), method="leapfrog", rtol=1e-6)
    with pytest.raises(ValueError, match="dt: the error of velocity_verlet is not estimated on constraints: give dt"):
        mflow.solve_dynamics(
            load=[0.0, -1.0], x0=[1.0, 0.0], t_span=(0, 1), method="leapfrog", rtol=1e-6, constraints=lambda x: x @ x - 1.0
        )
