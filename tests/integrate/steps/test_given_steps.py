"""Steps of the user's own sizes: a sequence, or a function of the step's number, the time and the state."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow
from support.problems import Array, Boom, decay_cfunc, start_of, waves


def test_equal_steps_given_one_by_one_are_fixed_steps(step_method: Any) -> None:
    """Powers of two, so that no time is rounded: the same bits, for every integrator."""
    call: dict[str, Any] = {"method": step_method.name}
    fixed = mflow.solve_ivp(waves, (0, 1), start_of(3), dt=0.0625, **call)
    given = mflow.solve_ivp(waves, (0, 1), start_of(3), dt=[0.0625] * 20, **call)
    asked = mflow.solve_ivp(waves, (0, 1), start_of(3), dt=lambda q, t, y: 0.0625, **call)
    for other in (given, asked):
        assert other.t.tobytes() == fixed.t.tobytes()
        assert other.y.tobytes() == fixed.y.tobytes()
        assert (other.nfev, other.nsteps, other.reason) == (fixed.nfev, fixed.nsteps, "finished")


def test_euler_multiplies_by_one_minus_each_step() -> None:
    sizes = [0.5, 0.25, 0.125, 0.0625, 0.0625]
    r = mflow.gradient_flow(lambda c: c, [1.0, 3.0], 1.0, dt=sizes)
    np.testing.assert_array_equal(r.t, np.concatenate([[0.0], np.cumsum(sizes)]))
    np.testing.assert_allclose(r.y[:, -1], np.array([1.0, 3.0]) * np.prod(1.0 - np.array(sizes)), rtol=1e-15)


@pytest.mark.parametrize("function", [False, True])
def test_times_are_a_compensated_sum(function: bool) -> None:
    sizes = np.random.default_rng(0).uniform(1e-4, 3e-4, 7000)
    dt: Any = (lambda q, t, y: sizes[q]) if function else sizes
    r = mflow.solve_ivp(decay_cfunc() if not function else (lambda t, y: -y), (0.1, 1.1), [1.0], "rk4", dt=dt)
    exact, total = [], Fraction(0.1)
    for h in sizes[: r.nsteps - 1]:
        total += Fraction(float(h))
        exact.append(float(total))
    np.testing.assert_array_equal(r.t[1:-1], exact)  # a plain sum is wrong in its last digits
    assert np.any(r.t[1:-1] != 0.1 + np.cumsum(sizes)[: r.nsteps - 1])
    assert r.t[-1] == 1.1
    assert abs(r.y[0, -1] - math.exp(-1.0)) < 1e-12


def test_a_function_sees_number_time_and_state_once_a_step() -> None:
    seen: list[tuple[int, float, float]] = []

    def dt(q: int, t: float, y: Array) -> float:
        seen.append((q, t, float(y[0])))
        return 0.1 * float(y[0])

    r = mflow.solve_ivp(lambda t, y: -y, (0, 0.5), [1.0], "rkc2", dt=dt, save_every=1)
    assert [q for q, _, _ in seen] == list(range(r.nsteps))
    np.testing.assert_array_equal([t for _, t, _ in seen], r.t[:-1])
    np.testing.assert_array_equal([y for _, _, y in seen], r.y[0, :-1])
    np.testing.assert_allclose(np.diff(r.t)[:-1], 0.1 * r.y[0, :-2], rtol=1e-14)


def test_output_events_and_the_other_direction() -> None:
    sizes = np.linspace(0.02, 0.1, 40)

    def half(t: float, y: Array) -> float:
        return float(y[0] - 0.5)

    whole = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], "rk4", dt=sizes, events=half)
    assert abs(whole.t_events[0][0] - math.log(2.0)) < 1e-5
    some = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], "rk4", dt=sizes, save_every=4)
    np.testing.assert_array_equal(some.t, [*whole.t[:-1:4], 1.0])
    at = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], "rk4", dt=sizes, t_eval=[0.3, 0.7], dense_output=True)
    np.testing.assert_allclose(at.y[0], np.exp([-0.3, -0.7]), rtol=1e-6)
    np.testing.assert_allclose(at.sol(0.55), np.exp(-0.55), rtol=1e-6)
    back = mflow.solve_ivp(lambda t, y: -y, (1, 0), [math.exp(-1.0)], "rk4", dt=sizes)
    np.testing.assert_allclose(back.t[:-1], 1.0 - whole.t[:-1], atol=1e-15)
    assert abs(back.y[0, -1] - 1.0) < 1e-6


@pytest.mark.parametrize("method", ["newmark", "generalized_alpha", "leapfrog"])
def test_dynamics_takes_them_too(method: str) -> None:
    call: dict[str, Any] = {"stiffness": 4.0, "damping": 0.1, "x0": [1.0], "v0": [0.0], "t_span": (0, 1), "method": method}
    fixed = mflow.solve_dynamics(dt=0.125, **call)
    given = mflow.solve_dynamics(dt=lambda q, t, x, v: 0.125, **call)
    np.testing.assert_array_equal(given.x, fixed.x)
    np.testing.assert_array_equal(given.energy.residual, fixed.energy.residual)


@pytest.mark.parametrize("function", [False, True])
@pytest.mark.parametrize("method", ["rk4", "dopri5", "rkc2", "trapezoidal"])
def test_a_resumed_run_has_the_same_bits(method: str, function: bool, tmp_path: Path) -> None:
    sizes = np.random.default_rng(1).uniform(0.01, 0.05, 100)

    def dt(q: int, t: float, y: Array) -> float:
        return float(sizes[q])

    def stop(t: float, y: Array) -> None:
        if t > 0.6:
            raise Boom

    call: dict[str, Any] = {"fun": waves, "t_span": (0.1, 1), "y0": start_of(3), "method": method, "dt": dt if function else sizes}
    straight = mflow.solve_ivp(**call)
    with pytest.raises(Boom):
        mflow.solve_ivp(**call, callback=stop, checkpoint=tmp_path / "a", checkpoint_every=3)
    resumed = mflow.solve_ivp(**call, resume=tmp_path / "a")
    assert resumed.t.tobytes() == straight.t.tobytes()
    assert resumed.y.tobytes() == straight.y.tobytes()
    assert (resumed.nfev, resumed.message) == (straight.nfev, straight.message)
    if not function:
        call["dt"] = sizes * 1.0000001
        with pytest.raises(ValueError, match=r"resume: .* was written by a call with other values of dt"):
            mflow.solve_ivp(**call, resume=tmp_path / "a")


@pytest.mark.parametrize(
    ("dt", "error", "words"),
    [
        ([0.1, 0.2], ValueError, r"dt: expected steps that reach t_end = 1.0, got 2 that end at 0.3"),
        ([0.5, -0.5], ValueError, r"dt\[1\]: expected a finite step above 0"),
        ([[0.1]], ValueError, r"dt: expected an array of shape \(n,\), got shape \(1, 1\)"),
        (["a"], TypeError, r"dt: expected real numbers"),
        ([1e-30, 1.0], ValueError, r"dt\[0\]: expected a step that moves t = 0.5, got 1e-30"),
        (lambda q, t, y: math.nan, ValueError, r"dt\(q, t, y\) at q = 0, t = 0.5: expected a finite step above 0"),
        (lambda q, t, y: "x", TypeError, r"dt\(q, t, y\) at q = 0, t = 0.5: expected"),
    ],
)
def test_steps_that_do_not_fit_are_refused(dt: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        mflow.solve_ivp(lambda t, y: -y, (0.5, 1) if "0.5" in words else (0, 1), [1.0], "rk4", dt=dt)


def test_tolerances_and_given_steps_are_two_ways() -> None:
    with pytest.raises(ValueError, match="give one of them"):
        mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], dt=[0.5, 0.5], rtol=1e-6)


@pytest.mark.parametrize("method", ["rk4", "backward_euler"])
@pytest.mark.parametrize("looks", [{}, {"callback": lambda *state: None}, {"max_steps": 10}])
@pytest.mark.parametrize(("least", "failed"), [(0.8, 0.2), (0.5, 0.4)])
def test_the_step_that_fails_is_the_one_that_is_named(method: str, looks: dict[str, Any], least: float, failed: float) -> None:
    """With a callback it was the step before."""
    sizes = [0.1, 0.2, 0.3, 0.4]
    for dt in (sizes, lambda k, t, y: sizes[k]):
        r = mflow.gradient_flow(lambda y: y if y[0] > least else math.nan * y, [1.0], 1.0, method, dt=dt, **looks)
        assert r.reason in ("non_finite", "solve_failed")
        assert f"dt = {failed:g} " in r.message
