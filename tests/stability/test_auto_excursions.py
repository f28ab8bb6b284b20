"""dt="auto" far from rest: its steps follow the flow to where it rests, whatever the scale, and beside walls that stages overshoot."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mflow
from support.small_cases import for_all

FLOWS: dict[str, tuple[Callable[[Any], Any], float, float, float]] = {  # f, start, end, rest
    "logistic": (lambda y: y * (1.0 - y), 0.1, 400.0, 1.0),
    "two minima": (lambda y: y - y**3, 0.2, 400.0, 1.0),
    "level": (lambda y: 0.5 - np.sqrt(y), 2.0, 400.0, 0.25),
    "logarithm": (lambda y: -np.log(y / 0.5), 2.0, 400.0, 0.5),
}


@for_all("flow", FLOWS)
def test_the_rest_of_the_flow_is_reached(auto_step_method: Any, flow: str) -> None:
    """Each flow of one unknown is monotonic. Steps of the stability limit at the start came to cycles and rests of their own (rk4 on the
    logistic growth went round .3, .46, .6, .63 for ever), to the other side of 0, or beyond the wall."""
    f, start, end, rest = FLOWS[flow]
    with np.errstate(all="ignore"):
        r = mflow.solve_ivp(lambda t, y: f(y), (0, end), [start], auto_step_method.name, dt="auto")
    assert r.reason == "finished"
    assert r.y[0, -1] == pytest.approx(rest, rel=1e-6)


@for_all("scale", [1e-14, 1e-8, 1e12, 1e20])
def test_the_scale_of_the_state_does_not_matter(auto_step_method: Any, scale: float) -> None:
    """y' = S (1 - e^(3 y/S)) from S rests at 0: differences of 1.5e-8 lie far beyond the state, or are lost in its rounding."""
    with np.errstate(all="ignore"):
        r = mflow.solve_ivp(lambda t, y: scale * (1.0 - np.exp(3.0 * (y / scale))), (0, 40), [scale], auto_step_method.name, dt="auto")
    assert r.reason == "finished"
    assert abs(r.y[0, -1]) <= 1e-6 * scale


def test_a_radius_is_measured_in_units_of_a_small_state() -> None:
    """y' = -S ln(2 y/S) tends to S/2; the other side of the state is no number."""
    method = next(m for m in mflow.methods() if "needs_rho" in m.flags and "embedded" in m.flags)
    for scale in (1e-14, 1e-8):
        with np.errstate(all="ignore"):
            r = mflow.solve_ivp(lambda t, y, s=scale: -s * np.log(2.0 * y / s), (0, 40), [2 * scale], method.name, atol=1e-6 * scale)
        assert r.reason == "finished"
        assert r.y[0, -1] == pytest.approx(0.5 * scale, rel=1e-3)


def test_a_constant_slope_is_followed() -> None:
    r = mflow.solve_ivp(lambda t, y: 0.0 * y + 1.0, (0, 40), [1.0], "euler", dt="auto")
    assert r.y[0, -1] == pytest.approx(41.0, rel=1e-14)


def test_a_wall_in_time_still_ends_the_run(auto_step_method: Any) -> None:
    """y' = sqrt(1 - t): no step leads beyond t = 1."""
    if "needs_rho" in auto_step_method.flags:
        pytest.skip("no limit to follow")
    with np.errstate(all="ignore"):
        r = mflow.solve_ivp(lambda t, y: np.sqrt(1.0 - t) - 0.1 * y, (0, 2), [1.0], auto_step_method.name, dt="auto")
    assert r.reason == "non_finite"
    assert r.t[-1] <= 1.2  # Euler steps from where its slope was the last one
    assert r.nfev < 20_000


# f, the end, the start and the only point of rest
SATURATED: dict[str, tuple[Callable[[float, Any], Any], float, list[float], list[float]]] = {
    "pulled back": (lambda t, y: -np.tanh(y) - 0.03 * y, 2000.0, [3.0], [0.0]),
    "a gene that represses itself": (
        lambda t, y: np.array([1 / (1 + abs(y[1] / 0.1) ** 4) - y[0], y[0] - y[1]]), 400.0, [5.0, 5.0], [0.15330402, 0.15330402]
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SATURATED)
def test_no_cycle_or_rest_is_the_methods_alone(auto_step_method: Any, case: str) -> None:
    """Where the slope saturates a step may be stable at every look and go round for ever. The gene rests at y = 1/(1 + (y/.1)^4)."""
    f, end, start, rest = SATURATED[case]
    r = mflow.solve_ivp(f, (0, end), start, auto_step_method.name, dt="auto")
    assert r.reason == "finished"
    assert r.y[:, -1] == pytest.approx(rest, abs=2e-3)


@pytest.mark.parametrize("turn", [0.3, 1.0, 8.0])
def test_stages_that_follow_from_the_step_are_stable_where_modes_turn(turn: float) -> None:
    """The region of ten stages is no help at a step that takes three. Rest: A y + b = 0."""
    A, b = np.array([[-1.0, turn], [-turn, -1.0]]), np.array([1.0, -2.0])
    for name in [m.name for m in mflow.methods() if "staged" in m.flags]:
        r = mflow.solve_ivp(lambda t, y: A @ y + b, (0, 60), [1.0, 0.5], name, dt="auto")
        assert r.y[:, -1] == pytest.approx(np.linalg.solve(A, -b), abs=1e-2)


# f with a pole of its solution at t = 1: of the state, and in time, where the slope is finite again behind it
POLES: dict[str, Callable[[float, Any], Any]] = {
    "in time": lambda t, y: 1.36 * y / (1.0 - t),
    "in time, the slope of one sign": lambda t, y: 0.6 * y / abs(1.0 - t),
    "of the state": lambda t, y: y * y,
    "of an exponential": lambda t, y: np.exp(y - 1.0),
}


@pytest.mark.parametrize("pole", POLES)
@pytest.mark.parametrize("method", ["rkc2", "ssprk104", "rk4", "dopri5", "heun"])
def test_no_step_leads_over_a_pole(method: str, pole: str) -> None:
    """Runs finished on the other side, or raised OverflowError where the steps had shrunk to denormal numbers."""
    with np.errstate(all="ignore"):
        r = mflow.solve_ivp(POLES[pole], (0, 3), [1.0], method, dt="auto")
    assert not r.success
    assert r.reason in {"diverged", "step_too_small", "non_finite"}
    assert r.t[-1] == pytest.approx(1.0, rel=0.06)
    assert "tolerances" not in r.message
    assert "shrunk to 0" not in r.message


def test_a_slope_that_turns_within_a_step_is_seen(auto_step_method: Any) -> None:
    """h' = 1/10 - sqrt(h), h >= 0: the first step led to h = -7.4, where the slope is flat, and 300 time constants later h was -2."""
    r = mflow.solve_ivp(lambda t, h: 0.1 - np.sqrt(np.maximum(h, 0.0)), (0, 60), [4.0], auto_step_method.name, dt="auto")
    assert r.reason == "finished"
    assert r.y[0, -1] == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("method", ["euler", "rk4", "dopri5", "dop853", "midpoint", "ssprk104", "rkc2"])
def test_a_pole_beside_a_fast_component_is_seen(method: str) -> None:
    """y1 = 1/(1 - t) beside a component of rate 50, whose limit hid it: runs finished on the other side."""
    with np.errstate(all="ignore"):
        r = mflow.solve_ivp(lambda t, y: np.array([-50.0 * y[0] + y[1], y[1] / np.float64(1.0 - t)]), (0, 2), [1.0, 1.0], method, dt="auto")
    assert not r.success
    assert r.t[-1] == pytest.approx(1.0, rel=0.06)
