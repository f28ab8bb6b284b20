"""What methods of order 4 and more are between the ends of their steps: the order of x, v and a there, in a single run and in a batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mflow

Array = np.ndarray
OWN = [m for m in mflow.methods(family="second_order") if m.record.sizes()["n_dense"]]
THETA = np.linspace(0.04, 0.96, 24)


def pull(t: float, x: Array, v: Array) -> Array:
    return -np.sin(x) + np.array([0.2 * math.cos(t), 0.0])


CALL: dict[str, Any] = {"force": pull, "velocity_free": True, "x0": [1.0, -0.5], "v0": [0.0, 0.7], "rtol": None}


def exact(t: Array) -> tuple[Array, Array, Array]:
    s = mflow.solve_dynamics(**{**CALL, "rtol": 1e-13}, atol=1e-14, t_span=(0, 1.0), method="rkn86", t_eval=t, max_step=0.02)
    return s.x, s.v, s.a


def test_which_have_one() -> None:
    assert {m.order >= 4 for m in OWN} == {True}
    assert {m.name for m in mflow.methods(family="second_order") if m.order >= 4} == {m.name for m in OWN}


@pytest.mark.parametrize("m", OWN, ids=lambda m: m.name)
def test_orders_inside_a_step(m: Any) -> None:
    """Of the first step: dt^8, dt^7 and dt^6 of x, v and a from order 6 on, else dt^6, dt^5 and dt^4; but the method's own error of x at
    the end of the step, dt^(p+1), counts, with a dt less for each derivative: so x and v are of its order p at least."""
    errors = []
    first = {4: 0.1, 6: 0.1 if m.record.order_hat else 0.2, 8: 0.4}[m.order]  # small enough for orders, and large enough to show them
    for h in (first, first / 2):
        s = mflow.solve_dynamics(**CALL, t_span=(0, h), dt=h, method=m, t_eval=h * THETA)
        errors.append([np.max(np.abs(one - want)) for one, want in zip((s.x, s.v, s.a), exact(h * THETA), strict=True)])
        sol = mflow.solve_dynamics(**CALL, t_span=(0, h), dt=h, method=m, dense_output=True)
        np.testing.assert_allclose(sol.sol(h * THETA), s.x, rtol=0, atol=1e-15)
        np.testing.assert_allclose(sol.sol_v(h * THETA), s.v, rtol=0, atol=1e-15)
    least = np.minimum([8, 7, 6] if m.order > 5 else [6, 5, 4], [m.order + 1, m.order, m.order - 1])
    for (coarse, fine), order in zip(np.transpose(errors), least, strict=True):
        assert math.log2(coarse / fine) > order - 0.8 or fine < 1e-14, order


def test_cubics_would_be_far_worse() -> None:
    h, t = 0.2, 0.2 * THETA
    s, want = mflow.solve_dynamics(**CALL, t_span=(0, h), dt=h, method="rkn86", t_eval=t), exact(t)
    ends = mflow.solve_dynamics(**CALL, t_span=(0, h), dt=h, method="rkn86")
    (x0, x1), (v0, v1) = ends.x.T, ends.v.T
    d = x1 - x0
    cubic = (
        x0[:, None] + np.outer(h * v0, THETA) + np.outer(3 * d - h * (2 * v0 + v1), THETA**2) + np.outer(h * (v0 + v1) - 2 * d, THETA**3)
    )
    assert np.max(np.abs(s.x - want[0])) < 1e-5 * np.max(np.abs(cubic - want[0]))


def test_with_damping_and_at_events() -> None:
    """A composition that solves for its velocities; the root of x is where the polynomial has it."""
    z, w = 0.1, math.sqrt(1 - 0.01)

    def x(t: Array) -> Array:
        return np.exp(-z * t) * (np.cos(w * t) + z / w * np.sin(w * t))

    def down(t: float, x: Array, v: Array) -> float:
        return float(x[0])

    t = np.linspace(0.1, 4.9, 31)
    s = mflow.solve_dynamics(
        stiffness=1.0,
        rayleigh=(2 * z, 0.0),
        x0=[1.0],
        t_span=(0, 5),
        dt=0.25,
        method=mflow.Yoshida6(damping="implicit"),
        t_eval=t,
        events=down,
    )
    assert np.max(np.abs(s.x[0] - x(t))) < 2e-5
    root = (math.pi - math.atan2(w, z)) / w
    assert s.t_events[0][0] == pytest.approx(root, abs=2e-5)
    assert np.max(np.abs(s.energy.residual)) < 1e-13


def test_batches_have_the_same_numbers() -> None:
    t = np.linspace(0.05, 0.95, 7)
    for method in ("rkn86", "pefrl"):
        b = mflow.solve_dynamics_batch(
            each={"stiffness": np.array([1.0, 4.0])}, x0=np.array([[1.0], [0.5]]), t_span=(0, 1), dt=0.1, method=method, t_eval=t
        )
        for k, (stiff, start) in enumerate(((1.0, 1.0), (4.0, 0.5))):
            one = mflow.solve_dynamics(stiffness=stiff, x0=[start], t_span=(0, 1), dt=0.1, method=method, t_eval=t)
            np.testing.assert_allclose(np.asarray(b.x)[k].reshape(-1), one.x.reshape(-1), rtol=0, atol=1e-14)


def test_moving_supports_and_constraints_go_with_it() -> None:
    t = np.linspace(0.03, 0.97, 9)
    call: dict[str, Any] = {"stiffness": [[2.0, -1.0], [-1.0, 1.0]], "x0": [0.0, 0.2], "t_span": (0, 1), "t_eval": t, "method": "rkn86"}
    moved = [mflow.solve_dynamics(**call, dt=h, fixed={0: np.sin}) for h in (0.1, 0.01)]
    np.testing.assert_allclose(moved[0].x[1], moved[1].x[1], atol=1e-9)
    rod: dict[str, Any] = {"load": [0.0, -1.0], "x0": [1.0, 0.0], "constraints": lambda x: x @ x - 1.0, "t_span": (0, 1), "t_eval": t}
    coarse, fine = (mflow.solve_dynamics(**rod, dt=h, method="yoshida4") for h in (0.1, 0.01))
    np.testing.assert_allclose(coarse.x, fine.x, atol=1e-5)


@pytest.mark.parametrize("length", [0.05, 0.5])
def test_a_load_that_steps_of_error_control_have_led_past_is_told_of(length: float) -> None:
    """A blast that begins late: the body would move by 10/k and more, and the steps never see it."""

    def blast(t: float) -> list[float]:
        return [10.0 * (1.0 - (t - 0.5) / length) if 0.5 <= t < 0.5 + length else 0.0]

    how: dict[str, Any] = {"mass": 1.0, "damping": 0.5, "stiffness": (2.0 * np.pi / 0.3) ** 2, "load": blast, "t_span": (0, 3), "x0": [0.0]}
    with pytest.warns(RuntimeWarning, match="led past it"):
        r = mflow.solve_dynamics(**how)
    assert np.max(np.abs(r.x)) == 0.0
    assert any("led past it without seeing it" in text for text in r.doubts)
    seen = mflow.solve_dynamics(**how, breaks=[0.5, 0.5 + length])
    assert seen.doubts == ()
    assert np.max(np.abs(seen.x)) > 0.01


def test_loads_that_are_seen_are_not_told_of() -> None:
    for load in (lambda t: [1.0], lambda t: [np.sin(t)], lambda t: [min(t, 1.0)], lambda t: [np.exp(-8.0 * (t - 1.5) ** 2)]):
        r = mflow.solve_dynamics(1.0, 0.5, 1.0, load, (0, 3), [0.0], rtol=1e-2)
        assert r.doubts == ()
