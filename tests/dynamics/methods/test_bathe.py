"""The rho_inf-Bathe method: what the paper says of it, from its own amplification matrix; and a published example."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import expm

import mflow


def amplification(rho: float, w: float) -> np.ndarray:
    """Of (v, x) of x'' = -x at h = w: as first-order methods, trapezoidal rule and the three-point formula on y' = A y."""
    g = 2 / (2 + math.sqrt(2 + 2 * rho))
    q1 = (rho + 1) / (2 * g * (rho - 1) + 4)
    A, one = w * np.array([[0.0, -1.0], [1.0, 0.0]]), np.eye(2)
    middle = np.linalg.solve(one - g / 2 * A, one + g / 2 * A)
    return np.linalg.solve(one - (0.5 - g * q1) * A, one + ((g - 1) * q1 + 0.5) * A + q1 * A @ middle)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.8, 1.0 - 1e-12, 1.0])
def test_spectral_radius_period_and_limits(rho: float) -> None:
    method = mflow.Bathe(rho_inf=rho)
    w = np.array([0.05, 0.5, 2.0, 10.0, 1e4])
    of = [np.linalg.eigvals(amplification(rho, one)) for one in w]
    osc = mflow.oscillation(method, w)
    found = osc.spectral_radius
    np.testing.assert_allclose(found, [np.max(np.abs(one)) for one in of], rtol=0, atol=1e-9)
    assert found[-1] == pytest.approx(rho, abs=1e-3)
    period = [one_w / abs(np.angle(one[0])) - 1 for one, one_w in zip(of[:3], w, strict=False)]
    np.testing.assert_allclose(osc.period_error[:3], period, rtol=1e-6, atol=1e-10)
    assert mflow.max_stable_dt(method, stiffness=[1.0]) == math.inf


def test_the_error_is_the_one_of_tr_bdf2() -> None:
    """At rho_inf = 0 a step on y' = A y is TR-BDF2: its error constant is (3 g - 4)/12 g + 1/6 ... of dt^3, 0.0405 at g = 2 - sqrt(2)."""
    errors = [np.linalg.norm(amplification(0.0, h) - expm(h * np.array([[0.0, -1.0], [1.0, 0.0]]))) / h**3 for h in (1e-2, 5e-3)]
    s = [mflow.solve_dynamics(stiffness=[1.0], x0=[1.0], v0=[0.0], t_span=(0, h), dt=h, method="tr_bdf2_motion") for h in (1e-2, 5e-3)]
    for one, h, want in zip(s, (1e-2, 5e-3), errors, strict=True):
        off = np.hypot(one.x[0, -1] - math.cos(h), one.v[0, -1] + math.sin(h)) / h**3
        assert off * math.sqrt(2) == pytest.approx(want, rel=1e-4)
        assert off == pytest.approx(0.0404, abs=2e-4)


def test_bathes_three_masses() -> None:
    """Bathe and Noh's model of a stiff and a flexible part (Comput. Struct. 98-99 (2012) 1-6): k1 = 1e7, k2 = 1, m2 = m3 = 1, the end
    driven by u1 = sin(1.2 t). Mass 3 follows the flexible spring alone; the stiff frequency is gone after the first steps, where average
    acceleration keeps it."""
    M, K = np.diag([1.0, 1.0]), np.array([[1e7 + 1.0, -1.0], [-1.0, 1.0]])
    call = {"mass": M, "stiffness": K, "load": lambda t: [1e7 * math.sin(1.2 * t), 0.0], "x0": [0.0, 0.0], "t_span": (0, 10), "dt": 0.2618}
    s, average = (mflow.solve_dynamics(**call, method=m) for m in ("bathe", "newmark"))
    np.testing.assert_allclose(s.x[0, 1:], np.sin(1.2 * s.t[1:]), atol=1e-5)
    exact = (1.2 * np.sin(s.t) - np.sin(1.2 * s.t)) / 0.44  # x3'' = sin(1.2 t) - x3
    np.testing.assert_allclose(s.x[1], exact, atol=0.08)
    velocity = np.abs(s.v[0, 3:] - 1.2 * np.cos(1.2 * s.t[3:]))
    assert np.max(velocity) < 2e-2 < 0.5 < np.max(np.abs(average.v[0] - 1.2 * np.cos(1.2 * average.t)))
