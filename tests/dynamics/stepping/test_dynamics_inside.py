"""Inside a step: energies at t_eval and at events, events of (t, x, v), velocities at half steps.

Oracles: closed forms, sums over the saved states with NumPy, the identities of Verlet's method.
"""

import ctypes
import itertools
import math
from typing import Any

import numpy as np
import pytest

import mflow
from support.motion import ACCEL, Array

EPS = 2.0**-52
PLANE = list(itertools.product((0.0, 1 / 12, 1 / 6, 0.25, 0.5), (0.5, 0.6, 0.9)))
METHODS = [pytest.param(mflow.Newmark(b, g), id=f"newmark-{b:.2g}-{g}") for b, g in PLANE]
METHODS += [pytest.param(m, id=type(m).__name__) for m in (mflow.Staggered(), mflow.CentralDifference(), mflow.ConstantAcceleration())]


def springs(n: int) -> Array:
    return 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)


def structure_call(method: Any) -> dict[str, Any]:
    n = 5
    return {
        "mass": np.linspace(1, 2, n), "damping": 0.1 * springs(n), "stiffness": springs(n), "load": lambda t: np.cos(2 * t + np.arange(n)),
        "t_span": (0, 6), "x0": np.arange(n) - 2.0, "v0": np.ones(n), "method": method, "dt": 0.05,
    }  # fmt: skip


def closes(e: Any) -> None:
    assert all(np.all(np.isfinite(e[name])) for name in e)
    assert np.abs(e.residual).max() <= 2e-14 * max(np.abs(e[name]).max() for name in e)


@pytest.mark.parametrize("method", METHODS)
def test_energies_close_between_steps(method: Any) -> None:
    """At times inside steps: kinetic and potential of the state there, and a residual at rounding, with and without a dense solution."""
    call, times = structure_call(method), np.linspace(0, 6, 83)
    s = mflow.solve_dynamics(**call, t_eval=times)
    d = mflow.solve_dynamics(**call, t_eval=times, dense_output=True)
    closes(s.energy)
    closes(d.energy)
    np.testing.assert_allclose(s.energy.kinetic, np.einsum("it,i,it->t", s.v, call["mass"], s.v) / 2, rtol=1e-13)
    np.testing.assert_allclose(s.energy.potential, np.einsum("it,ij,jt->t", s.x, call["stiffness"], s.x) / 2, rtol=1e-12, atol=1e-14)
    for name in s.energy:
        np.testing.assert_allclose(s.energy[name], d.energy[name], rtol=0, atol=1e-12)
    every = mflow.solve_dynamics(**call)
    assert s.x[:, -1].tobytes() == every.x[:, -1].tobytes()  # looking inside changes nothing
    for name in s.energy:
        np.testing.assert_allclose(s.energy[name][-1], every.energy[name][-1], rtol=1e-13, atol=1e-13)
    # Works inside a step lie near those at both ends of it, linear between.
    for name in ("load", "damping"):
        near = np.interp(times, every.t, every.energy[name])
        assert np.abs(s.energy[name] - near).max() < 0.02 * np.abs(every.energy[name]).max()


@pytest.mark.parametrize("method", METHODS)
def test_the_ledger_closes_at_a_terminal_event(method: Any) -> None:
    def arrives(t: float, x: Array, v: Array) -> float:
        return float(t - 3.0 + 0.1 * x[0] + 0.05 * v[1])

    arrives.terminal = True  # type: ignore[attr-defined]
    call = structure_call(method)
    s = mflow.solve_dynamics(**call, events=arrives)
    assert s.reason == "event"
    assert abs(arrives(s.t[-1], s.x[:, -1], s.v[:, -1])) < 1e-13
    assert s.x_events[0][0].tobytes() == s.x[:, -1].tobytes()
    assert s.v_events[0][0].tobytes() == s.v[:, -1].tobytes()
    closes(s.energy)
    right = call["load"](s.t[-1]) - call["damping"] @ s.v[:, -1] - call["stiffness"] @ s.x[:, -1]
    np.testing.assert_allclose(call["mass"] * s.a[:, -1], right, atol=1e-13)  # a belongs to the state
    at = mflow.solve_dynamics(**call, events=arrives, t_eval=[1.0, 2.0, float(s.t[-1])])
    assert at.x[:, -1].tobytes() == s.x[:, -1].tobytes()
    closes(at.energy)
    last = mflow.solve_dynamics(**call, events=arrives, save="last")
    for name in s.energy:
        assert last.energy[name][-1] == s.energy[name][-1]
    # The same end by a run that stops there: what differs is the interpolant, of fourth order in x and of third in v and the energies.
    if getattr(method, "gamma", 0.5) == 0.5 and type(method).__name__ == "Newmark":
        plain = mflow.solve_dynamics(**{**call, "t_span": (0, float(s.t[-1]))})
        for name in ("kinetic", "potential", "load", "damping"):
            np.testing.assert_allclose(s.energy[name][-1], plain.energy[name][-1], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("potential", [None, lambda x: float(np.sum(1 - np.cos(x)))])
@pytest.mark.parametrize("mode", [{"dt": 0.05}, {"rtol": 1e-5}])
def test_forces_inside_a_step(potential: Any, mode: dict[str, Any]) -> None:
    """Without a potential the work of the whole force closes; with one there is no formula, and the residual says what the method did."""
    ends = lambda t, x, v: x[0] - 0.2  # noqa: E731
    ends.terminal = True  # type: ignore[attr-defined]
    s = mflow.solve_dynamics(force=lambda t, x, v: -np.sin(x), t_span=(0, 9), x0=[1.0], potential=potential, events=ends,
                             t_eval=np.linspace(0, 1.2, 31), **mode)  # fmt: skip
    assert s.reason == "event"
    e = s.energy
    if potential is None:
        closes(e)
    else:
        np.testing.assert_allclose(e.potential, 1 - np.cos(s.x[0]), atol=1e-15)
        assert np.abs(e.residual).max() < 1e-3


def test_a_force_that_fails_at_an_event_ends_the_run() -> None:
    ends = lambda t, x, v: x[0]  # noqa: E731
    ends.terminal = True  # type: ignore[attr-defined]

    def force(t: float, x: Array, v: Array) -> Array:
        if abs(x[0]) < 1e-6:
            raise KeyError("in the middle")
        return -x

    with pytest.raises(KeyError, match="in the middle"):
        mflow.solve_dynamics(force=force, t_span=(0, 9), x0=[1.0], method="leapfrog", dt=0.3, events=ends)


def test_a_force_that_is_not_finite_inside_says_nan_there() -> None:
    def force(t: float, x: Array, v: Array) -> Array:
        return -x if abs(t * 10 - round(t * 10)) < 1e-9 else np.full(1, np.nan)

    s = mflow.solve_dynamics(force=force, t_span=(0, 1), x0=[1.0], method="leapfrog", dt=0.1, t_eval=[0.0, 0.25, 1.0])
    assert s.reason == "finished"
    assert np.isfinite(s.energy.kinetic).tolist() == [True, False, True]


def test_compiled_events_of_x_and_v() -> None:
    calls: list[int] = []

    def meets(t: float, x: Any, v: Any, g: Any, n: int, ctx: Any) -> int:
        calls.append(n)
        g[0] = v[1] + x[0] * v[0]
        return 0

    call: dict[str, Any] = {"stiffness": [1.0, 2.0], "t_span": (0, 9), "x0": [1.0, -0.5], "dt": 0.05}
    a = mflow.solve_dynamics(**call, events=ACCEL(meets))
    b = mflow.solve_dynamics(**call, events=lambda t, x, v: v[1] + x[0] * v[0])
    assert set(calls) == {2}
    assert len(a.t_events[0]) > 3
    for name in ("t_events", "x_events", "v_events"):
        assert a[name][0].tobytes() == b[name][0].tobytes()
    with pytest.raises(TypeError, match="signature"):
        mflow.solve_dynamics(**call, events=ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double)(lambda t: 0))


def test_events_of_velocity_count_and_have_args() -> None:
    """The turning points of an oscillator: v = 0 every half period."""
    turn = lambda t, x, v, level: v[0] - level  # noqa: E731
    turn.direction = 1.0  # type: ignore[attr-defined]
    s = mflow.solve_dynamics(stiffness=1.0, t_span=(0, 20), x0=[1.0], dt=0.01, method=mflow.Newmark(1 / 12), events=turn, args=(0.0,))
    np.testing.assert_allclose(s.t_events[0], math.pi * np.array([1, 3, 5]), atol=1e-6)
    np.testing.assert_allclose(s.x_events[0][:, 0], -1.0, atol=1e-6)


# ---- half steps ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [mflow.VelocityVerlet(), mflow.Staggered(), mflow.Staggered(damping="explicit"),
                                    mflow.Staggered(damping="backward_euler"), mflow.VelocityVerlet(damping="explicit")])  # fmt: skip
def test_velocities_at_half_steps(method: Any) -> None:
    """x+ = x + dt v(1/2) with the bits of the step, and v(1/2) = v + dt/2 a."""
    h, K = 0.1, springs(4)
    call: dict[str, Any] = {"stiffness": K, "damping": 0.2, "x0": np.arange(4.0), "method": method, "dt": h}
    s = mflow.solve_dynamics(**call, t_span=(0, 2))
    assert s.v_half.shape == (4, s.nsteps)
    np.testing.assert_allclose(s.t_half, 0.5 * (s.t[1:] + s.t[:-1]), rtol=1e-15)
    assert (s.x[:, :-1] + h * s.v_half).tobytes() == s.x[:, 1:].tobytes()
    short = mflow.solve_dynamics(**call, t_span=(0, 1.03))
    assert short.v_half.shape == (4, 11)
    last = 1.03 - short.t[-2]
    assert (short.x[:, -2] + last * short.v_half[:, -1]).tobytes() == short.x[:, -1].tobytes()
    assert short.t_half[-1] == pytest.approx(1.015)
    for more in ({}, {"dense_output": True}):  # of the steps that begin at saved states
        some = mflow.solve_dynamics(**call, t_span=(0, 1.03), save_every=3, **more)
        assert some.t_half.tobytes() == short.t_half[::3].tobytes()
        assert some.v_half.tobytes() == np.ascontiguousarray(short.v_half[:, ::3]).tobytes()
    assert mflow.solve_dynamics(**call, t_span=(0, 1.03), save_every=5).t_half[-1] == short.t_half[-1]  # the shortened step
    for more in ({"save": "last"}, {"t_eval": [0.5]}):
        assert mflow.solve_dynamics(**call, t_span=(0, 1), **more).v_half is None
    assert mflow.solve_dynamics(**{**call, "method": "newmark"}, t_span=(0, 1)).v_half is None


def test_half_steps_of_other_shapes_with_fixed_and_events() -> None:
    ends = lambda t, x, v: t - 0.47  # noqa: E731
    ends.terminal = True  # type: ignore[attr-defined]
    x0 = np.array([[1.0, 0.0], [2.0, -1.0]])
    s = mflow.solve_dynamics(stiffness=1.0, t_span=(0, 1), x0=x0, method="leapfrog", dt=0.1, fixed=[0], events=ends)
    assert s.t[-1] == pytest.approx(0.47)
    assert s.v_half.shape == (2, 2, 5)
    assert np.all(s.v_half[0, 0] == 0.0)
    np.testing.assert_allclose(s.t_half, [0.05, 0.15, 0.25, 0.35, 0.45])
    np.testing.assert_allclose(s.x[..., 1:5], s.x[..., :4] + 0.1 * s.v_half[..., :4], atol=2 * EPS)


@pytest.mark.parametrize("more", [{"save": "last"}, {"save_every": 7}])
def test_the_ledger_of_a_run_that_an_event_has_ended_by_an_error(more: dict[str, Any]) -> None:
    """The step that was not taken is not booked."""

    def event(t: float, x: Array, v: Array) -> float:
        if t > 0.5:
            raise RuntimeError("no event here")
        return float(x[0]) - 5.0

    with pytest.raises(RuntimeError, match="no event here") as caught:
        mflow.solve_dynamics(
            [2.0, 1.0], 0.3, [[6.0, -2.0], [-2.0, 4.0]], lambda t: np.array([0.0, 10.0]), (0, 1), [1.0, 0.0], dt=0.01,
            method=mflow.Newmark(0.36, 0.7), events=event, **more,
        )  # fmt: skip
    ledger = caught.value.partial_result.energy
    assert np.max(np.abs(ledger.residual)) < 1e-13 * np.max(np.abs(ledger.load))
