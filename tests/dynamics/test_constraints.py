"""Constraints: pendulums against minimal coordinates, what stays and what drifts, what a bad start is told."""

from __future__ import annotations

import ctypes
import functools
import math
from typing import Any

import numpy as np
import pytest
from mflow_core import registry
from mflow_core.stepping import probe
from scipy.integrate import solve_ivp
from scipy.special import ellipk

import mflow

Array = np.ndarray
G = 9.81
ABLE = [m for m in mflow.methods(family="second_order") if probe.constrained_form(m.record, m.numbers)]
SECOND = [m for m in ABLE if m.order == 2]


def rods(x: Array) -> list[float]:
    return [x[0] ** 2 + x[1] ** 2 - 1.0, (x[2] - x[0]) ** 2 + (x[3] - x[1]) ** 2 - 1.0]


def rods_jac(x: Array) -> list[list[float]]:
    a, b = 2.0 * (x[2] - x[0]), 2.0 * (x[3] - x[1])
    return [[2.0 * x[0], 2.0 * x[1], 0.0, 0.0], [-a, -b, a, b]]


def place(p: Array) -> Array:
    x, y = np.sin(p[0]), -np.cos(p[0])
    return np.array([x, y, x + np.sin(p[1]), y - np.cos(p[1])])


def slope(t: float, y: Array) -> list[float]:
    """Two masses of 1 on rods of 1 in minimal coordinates: the textbooks' equations."""
    p, q, u, w = y
    d, below = p - q, 3.0 - math.cos(2 * p - 2 * q)
    first = -3 * G * math.sin(p) - G * math.sin(p - 2 * q) - 2 * math.sin(d) * (w * w + u * u * math.cos(d))
    return [u, w, first / below, 2 * math.sin(d) * (2 * u * u + 2 * G * math.cos(p) + w * w * math.cos(d)) / below]


@functools.cache
def reference(t: float) -> Array:
    """x of the double pendulum, at rest at (1, 1) rad at first."""
    return place(solve_ivp(slope, (0, t), [1.0, 1.0, 0.0, 0.0], "DOP853", rtol=1e-13, atol=1e-14).y[:, -1])


def pendulum(method: Any, t: float, dt: float, **more: Any) -> Any:
    call: dict[str, Any] = {"constraints": rods, "constraints_jac": rods_jac, "x0": place(np.array([1.0, 1.0]))} | more
    weight = np.array([0.0, -G, 0.0, -G])
    if "load" not in call:
        call |= {"force": lambda t, x, v: weight, "potential": lambda x: G * (x[1] + x[3]), "velocity_free": True}
    return mflow.solve_dynamics(t_span=(0, t), dt=dt, method=method, **call)


@pytest.mark.parametrize("m", ABLE, ids=lambda m: m.name)
def test_a_double_pendulum_ends_where_minimal_coordinates_do(m: Any) -> None:
    """With the order of the method, on the constraints to rounding."""
    steps = {1: 200, 2: 200, 4: 100, 6: 50, 8: 50}[m.order]
    errors = []
    for count in (steps, 2 * steps):
        s = pendulum(m, 1.0, 1.0 / count)
        assert s.success, s.message
        assert np.max(s.drift) < 1e-12
        errors.append(np.max(np.abs(s.x[:, -1] - reference(1.0))))
    assert errors[0] < (0.1 if m.order == 1 else 2e-3)
    assert math.log2(errors[0] / errors[1]) > m.order - 0.5 or errors[1] < 1e-11


def test_a_double_pendulum_at_t_2_to_1e_10() -> None:
    s = pendulum("suzuki_umeno8", 2.0, 1e-2)
    np.testing.assert_allclose(s.x[:, -1], reference(2.0), rtol=0, atol=1e-10)


def test_rattle_keeps_constraints_velocities_and_energy() -> None:
    s = pendulum("leapfrog", 10.0, 1e-3, save_every=10)
    assert np.max(s.drift) < 1e-14
    assert np.max(s.drift_v) < 1e-13
    error = (s.energy.kinetic + s.energy.potential) - (s.energy.kinetic[0] + s.energy.potential[0])
    assert np.max(np.abs(error)) < 1e-4
    assert abs(np.polyfit(s.t, error, 1)[0]) < 1e-5
    np.testing.assert_allclose(s.energy.residual, error, atol=1e-12)


def test_rattle_is_reversible() -> None:
    s = pendulum("leapfrog", 1.0, 1e-2)
    back = mflow.solve_dynamics(
        x0=s.x[:, -1], v0=s.v[:, -1], load=[0.0, -G, 0.0, -G], t_span=(1.0, 0.0), dt=1e-2, method="leapfrog", constraints=rods
    )
    np.testing.assert_allclose(back.x[:, -1], s.x[:, 0], atol=1e-11)
    np.testing.assert_allclose(back.v[:, -1], 0.0, atol=1e-11)


@pytest.mark.parametrize("m", SECOND, ids=lambda m: m.name)
def test_multipliers_are_the_tension(m: Any) -> None:
    """Of one pendulum: lambda = (g cos p + u^2)/2 for |x|^2 - 1, and half a period of it by an elliptic integral."""
    half = 2.0 * ellipk(math.sin(0.5) ** 2) / math.sqrt(G)
    s = mflow.solve_dynamics(
        mass=[2.0, 2.0], load=[0.0, -2 * G], x0=[math.sin(1.0), -math.cos(1.0)], t_span=(0, half), dt=half / 400, method=m,
        constraints=lambda x: x @ x - 1.0, constraints_jac=lambda x: 2.0 * x,
    )  # fmt: skip
    np.testing.assert_allclose(s.x[:, -1], [-math.sin(1.0), -math.cos(1.0)], atol=5e-4)
    tension = 2.0 * (-G * s.x[1] + np.sum(s.v**2, axis=0)) / 2.0
    assert s.multipliers.shape == (1, s.t.size)
    np.testing.assert_allclose(s.multipliers[0], tension, rtol=1e-8)
    np.testing.assert_allclose(2.0 * s.a, np.array([[0.0], [-2 * G]]) - 2.0 * s.x * s.multipliers, atol=1e-7)
    np.testing.assert_allclose(s.drift, 0.0, atol=1e-13)


def test_multipliers_without_a_jacobian() -> None:
    assert bad(v0=[0.0, 2.0]).multipliers[0, 0] == pytest.approx(2.0, rel=1e-7)


@pytest.mark.parametrize("method", ["newmark", "generalized_alpha", "staggered", "velocity_verlet"])
def test_springs_dashpots_and_a_rod(method: str) -> None:
    """A linear constraint leaves the motion of its null space: against SciPy on M' = Z'MZ and so on."""
    rng = np.random.default_rng(3)
    M, C, K = np.diag([1.0, 2.0, 3.0]), np.zeros((3, 3)), np.array([[4.0, -1.0, 0.0], [-1.0, 5.0, -2.0], [0.0, -2.0, 6.0]])
    if method != "velocity_verlet":
        C = 0.1 * K
    row = np.array([[1.0, -2.0, 0.5]])
    Z = np.linalg.svd(row)[2][1:].T
    z0 = rng.standard_normal(2)
    m, c, k = Z.T @ M @ Z, Z.T @ C @ Z, Z.T @ K @ Z

    def linear(t: float, y: Array) -> Array:
        return np.concatenate([y[2:], np.linalg.solve(m, Z.T @ [math.sin(t), 0.0, 1.0] - c @ y[2:] - k @ y[:2])])

    want = Z @ solve_ivp(linear, (0, 2), [*z0, 0, 0], "DOP853", rtol=1e-12, atol=1e-13).y[:2, -1]
    errors = []
    for steps in (100, 200):
        s = mflow.solve_dynamics(
            M, C if C.any() else None, K, lambda t: [math.sin(t), 0.0, 1.0], (0, 2), Z @ z0, dt=2 / steps, method=method,
            constraints=lambda x: row @ x, constraints_jac=row,
        )  # fmt: skip
        errors.append(np.max(np.abs(s.x[:, -1] - want)))
    assert errors[1] < 1e-3
    assert math.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.2)


def test_newmark_under_error_control_and_a_stiff_spring() -> None:
    """A stiff spring between the masses beside the rods does nothing: multipliers and Newton's iteration get along."""
    s = pendulum("newmark", 1.0, None, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(s.x[:, -1], reference(1.0), atol=1e-3)
    assert s.nsteps > 20

    def spring(t: float, x: Array, v: Array) -> Array:
        d = x[2:] - x[:2]
        pull = 1e4 * (1.0 - 1.0 / math.hypot(*d)) * d
        return np.array([*pull, *-pull]) + np.array([0.0, -G, 0.0, -G])

    stiff = pendulum("generalized_alpha", 1.0, 5e-3, load=None, force=spring)
    np.testing.assert_allclose(stiff.x[:, -1], reference(1.0), atol=2e-3)


def test_compiled_constraints_have_the_bits_of_python_ones() -> None:
    double = ctypes.POINTER(ctypes.c_double)

    @ctypes.CFUNCTYPE(ctypes.c_int, double, double, ctypes.c_ssize_t, ctypes.c_void_p)
    def g(x: Any, out: Any, n: int, ctx: Any) -> int:
        out[0] = x[0] * x[0] + x[1] * x[1] - 1.0
        return 0

    @ctypes.CFUNCTYPE(ctypes.c_int, double, double, ctypes.c_ssize_t, ctypes.c_void_p)
    def jac(x: Any, out: Any, n: int, ctx: Any) -> int:
        out[0], out[1] = 2.0 * x[0], 2.0 * x[1]
        return 0

    call: dict[str, Any] = {"load": [0.0, -G], "x0": [1.0, 0.0], "t_span": (0, 1), "dt": 1e-2, "method": "leapfrog"}
    a = mflow.solve_dynamics(**call, constraints=(g, 1), constraints_jac=jac)
    b = mflow.solve_dynamics(**call, constraints=lambda x: x[0] * x[0] + x[1] * x[1] - 1.0, constraints_jac=lambda x: 2.0 * x)
    assert a.x.tobytes() == b.x.tobytes()
    with pytest.raises(TypeError, match=r"constraints: a compiled function does not say how many numbers it fills: give \(function, how"):
        mflow.solve_dynamics(**call, constraints=g)


def test_the_bits_of_levels_and_of_a_resumed_run_agree(tmp_path: Any) -> None:
    for method in ("leapfrog", "generalized_alpha"):
        whole = pendulum(method, 0.5, 1e-2)
        path = tmp_path / method
        with pytest.raises(RuntimeError, match="enough"):
            pendulum(method, 0.5, 1e-2, checkpoint=path, checkpoint_every=10, callback=Stop(25))
        resumed = pendulum(method, 0.5, 1e-2, resume=path)
        assert resumed.x.tobytes() == whole.x.tobytes()


class Stop:
    """A callback that raises at a call."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, t: float, x: Array, v: Array) -> None:
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("enough")


def test_fixed_degrees_of_freedom_and_constraints() -> None:
    """A rod to a fixed point that is part of the state: a pendulum again."""
    s = mflow.solve_dynamics(
        load=[0, 0, 0, -G], x0=[0.5, 0.25, 1.5, 0.25], fixed=[0, 1], t_span=(0, 1), dt=1e-2, method="leapfrog",
        constraints=lambda x: (x[2] - x[0]) ** 2 + (x[3] - x[1]) ** 2 - 1.0,
    )  # fmt: skip
    t = mflow.solve_dynamics(load=[0, -G], x0=[1.0, 0.0], t_span=(0, 1), dt=1e-2, method="leapfrog", constraints=lambda x: x @ x - 1.0)
    np.testing.assert_allclose(s.x[2:] - s.x[:2], t.x, atol=1e-9)


def bad(**change: Any) -> Any:
    return mflow.solve_dynamics(**({"load": [0.0, -G], "x0": [1.0, 0.0], "t_span": (0, 1), "dt": 0.01, "method": "leapfrog",
                                   "constraints": lambda x: x @ x - 1.0} | change))  # fmt: skip


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"x0": [1.1, 0.0]}, r"x0: expected a start on the constraints, got g\(x0\)\[0\] = 0\.21, not 0: move x0 onto them"),
        ({"v0": [1.0, 0.0]}, "v0: expected a velocity along the constraints, got 2, not 0, for the rate of constraint 0: take off"),
        ({"constraints": lambda x: [x[0] - 1.0, x[1]]}, "constraints: expected fewer than the 2 degrees of freedom that move, got 2"),
        (
            {"constraints": lambda x: (x @ x - 1) ** 2, "constraints_jac": lambda x: 4 * (x @ x - 1) * x},
            "constraints: the gradient of constraint 0 is 0 at x0: it says nothing there",
        ),
        ({"method": "central_difference"}, "method: central_difference has no form that stays on constraints: use one of "),
        ({"method": "pefrl"}, "method: pefrl has no form that stays on constraints"),
        ({"constraints": None, "constraints_jac": [[1.0, 0.0]]}, "constraints_jac: it belongs to constraints=, which is not given"),
        ({"constraints_jac": lambda x: [1.0]}, r"constraints_jac: expected a function that returns the gradients of the constraints"),
        ({"method": mflow.HHT(load="shifted")}, 'load: "shifted" knows no force at the ends of steps, where constraints hold'),
    ],
)
def test_what_does_not_fit_is_said(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        bad(**change)


def test_redundant_constraints_are_named() -> None:
    with pytest.raises(ValueError, match="expected 3 independent ones, but constraint 2 follows from those before it at x0"):
        pendulum("leapfrog", 1.0, 0.1, constraints=lambda x: [*rods(x), sum(rods(x))], constraints_jac=None)


@pytest.mark.parametrize("method", ["leapfrog", "newmark"])
def test_runs_that_cannot_stay_on_constraints_say_why(method: str) -> None:
    """A point on a circle and a plane that come to touch; steps that are too long; a constraint that raises: what there is stays."""
    s = mflow.solve_dynamics(
        load=[0.0, 0.0, 0.0], x0=[1.0, 0.0, 0.0], v0=[0.0, 0.0, 1.0], t_span=(0, 2), dt=0.125, method=method,
        constraints=lambda x: [x[0] - 1.0, (x[2] - 1.0) * x[1] + 0.0 * x[0]],
    )  # fmt: skip
    assert s.reason == "solve_failed"
    assert s.t[-1] == 0.875
    assert "depend on" in s.message
    t = bad(load=[0.0, -1.0], t_span=(0, 40), dt=8.0, method=method)
    assert t.reason == "solve_failed"
    assert "the constraints were not met in an iteration for their multipliers" in t.message

    def fails(x: Array) -> float:
        if x[1] < -0.5:
            raise RuntimeError("too low")
        return float(x @ x - 1.0)

    with pytest.raises(RuntimeError, match="too low") as info:
        bad(constraints=fails, method=method)
    assert info.value.partial_result.t[-1] > 0.2  # type: ignore[attr-defined]


def test_every_able_method_is_found() -> None:
    names = {r.name for r in registry.records() if "second_order" in r.flags and probe.constrained_form(r, {}) == "drifts"}
    assert {"velocity_verlet", "staggered", "yoshida4", "suzuki_umeno8"} <= names


@pytest.mark.parametrize("method", ["hht", "generalized_alpha", "velocity_verlet"])
def test_estimates_that_do_not_hold_on_constraints_are_refused(method: str) -> None:
    with pytest.raises(ValueError, match=rf"^dt: the error of {method} is not estimated on constraints: give dt, or take newmark"):
        mflow.solve_dynamics(
            1.0,
            load=[0.0, -9.81],
            t_span=(0, 2),
            x0=[1.0, 0.0],
            method=method,
            rtol=1e-4,
            atol=1e-6,
            constraints=lambda x: np.array([x @ x - 1.0]),
        )


@pytest.mark.parametrize(("G", "told"), [
    (lambda x: [[2 * x[0], x[1]]], "the values of the constraint show"), (lambda x: [[-2 * x[0], -2 * x[1]]], "it has the wrong sign"),
    ([[1.2, 0.8]], "gradient of constraint 0 is not that of the constraint at x0"),
])  # fmt: skip
def test_a_wrong_gradient_is_told_before_the_run(G: Any, told: str) -> None:
    """Not as a start that is off: on the unit circle x0 and v0 are on the constraint."""
    with pytest.raises(ValueError, match=rf"constraints_jac: .*{told}"):
        mflow.solve_dynamics(
            mass=1.0, force=lambda t, x, v: [0.0, -9.81], t_span=(0, 1), x0=[0.6, 0.8], v0=[0.8, -0.6], dt=1e-3, method="velocity_verlet",
            constraints=lambda x: [x[0] ** 2 + x[1] ** 2 - 1], constraints_jac=G,
        )  # fmt: skip


def test_constraints_are_differenced_on_their_side_of_a_wall() -> None:
    """y = sqrt(x) under a force of 1 along x, so near x = 0, beside a third coordinate of 1, that central differences step beyond: with
    x = y^2, y'' = 2 y for small y."""

    def root(x: Any) -> Any:
        with np.errstate(invalid="ignore"):
            return [x[1] - np.sqrt(x[0])]

    s = mflow.solve_dynamics(
        np.ones(3), force=lambda t, x, v: np.array([1.0, 0.0, 0.0]), t_span=(0, 0.1), x0=[1e-6, 1e-3, 1.0], v0=np.zeros(3),
        method="velocity_verlet", dt=2e-4, constraints=root,
    )  # fmt: skip
    assert s.success
    assert s.x[1, -1] == pytest.approx(1e-3 * np.cosh(0.1 * np.sqrt(2.0)), rel=1e-4)
