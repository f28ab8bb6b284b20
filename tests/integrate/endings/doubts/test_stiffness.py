"""Stiffness is told once, where steps are held at the stability limit, and of no problem that is not stiff."""

import math
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.stability.limits import stiff_method
from mflow.testproblems import get_problem, problem_names
from support.levels import EXPLICIT_PAIRS
from support.problems import Array


def lotka_volterra(t: float, y: Array) -> Array:
    return np.array([1.5 * y[0] - y[0] * y[1], y[0] * y[1] - 3.0 * y[1]])


def brusselator(t: float, y: Array) -> Array:
    return np.array([1.0 + y[0] ** 2 * y[1] - 4.0 * y[0], 3.0 * y[0] - y[0] ** 2 * y[1]])


def pleiades(t: float, y: Array) -> Array:
    x, z = y[:7], y[7:14]
    dx, dz = x[None, :] - x[:, None], z[None, :] - z[:, None]
    r3 = (dx * dx + dz * dz + np.eye(7)) ** 1.5
    mass = np.arange(1.0, 8.0)
    return np.concatenate([y[14:], (mass * dx / r3).sum(axis=1), (mass * dz / r3).sum(axis=1)])


SEVEN = [3, 3, -1, -3, 2, -2, 2, 3, -3, 2, 0, 0, -4, 4, 0, 0, 0, 0, 0, 1.75, -1.5, 0, 0, 0, -1.25, 1, 0, 0]
SMOOTH: list[tuple[str, Any, float, Any]] = [
    ("lotka_volterra", lotka_volterra, 30.0, [10.0, 5.0]), ("brusselator", brusselator, 20.0, [1.5, 3.0]),
    ("pleiades", pleiades, 3.0, SEVEN), ("growth", lambda t, y: 3.0 * y, 100.0, [1.0]),
    ("two_bodies", get_problem("D3").fun, 20.0, get_problem("D3").y0),
]  # fmt: skip


def oregonator(t: float, y: Array) -> Array:
    return np.array([77.27 * (y[1] + y[0] * (1 - 8.375e-6 * y[0] - y[1])), (y[2] - (1 + y[0]) * y[1]) / 77.27, 0.161 * (y[0] - y[2])])


def robertson(t: float, y: Array) -> Array:
    with np.errstate(all="ignore"):  # a first step may be far too long
        slope: Array = get_problem("robertson").fun(t, y)
    return slope


def van_der_pol(t: float, y: Array) -> Array:
    return np.array([y[1], 1e3 * (1.0 - y[0] ** 2) * y[1] - y[0]])


STIFF: list[tuple[str, Any, tuple[float, float], Any]] = [
    ("robertson", robertson, (0.0, 40.0), [1.0, 0.0, 0.0]),
    ("van_der_pol", van_der_pol, (0.0, 100.0), [2.0, 0.0]),
    ("linear", lambda t, y: -2e5 * (y - math.cos(t)), (0.0, 1.0), [0.0]),
    ("hires", get_problem("hires").fun, (0.0, 321.8), get_problem("hires").y0),
    ("oregonator", oregonator, (0.0, 30.0), [1.0, 2.0, 3.0]),
]


@pytest.mark.parametrize("method", EXPLICIT_PAIRS)
@pytest.mark.parametrize(("name", "fun", "span", "y0"), STIFF, ids=[s[0] for s in STIFF])
def test_stiffness_is_told_once_with_the_method_to_take(method: str, name: str, fun: Any, span: Any, y0: Any) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        r = mflow.solve_ivp(fun, span, y0, method, max_steps=1000)
    assert r.reason in ("max_steps", "step_too_small", "non_finite")  # the last two: the steps, not the solution, have run off
    assert [w.category for w in told] == [mflow.StiffnessWarning], [str(w.message) for w in told]
    assert stiff_method() in str(told[0].message)
    assert told[0].filename == __file__
    assert "stiff" in r.message
    assert stiff_method() in r.message


@pytest.mark.parametrize("method", EXPLICIT_PAIRS)
@pytest.mark.parametrize(("name", "fun", "t_end", "y0"), SMOOTH, ids=[s[0] for s in SMOOTH])
def test_no_alarm_where_the_tolerances_rule(method: str, name: str, fun: Any, t_end: float, y0: Any) -> None:
    for rtol in (1e-3, 1e-6):
        r = mflow.solve_ivp(fun, (0, t_end), y0, method, rtol=rtol, atol=1e-3 * rtol)  # a warning is an error here
        assert r.reason == "finished"


@pytest.mark.parametrize("name", ["lorenz", "arenstorf", *problem_names("D"), *problem_names("E")])
def test_no_alarm_on_problems_that_are_known_not_to_be_stiff(name: str) -> None:
    problem = get_problem(name)
    for method in EXPLICIT_PAIRS:
        r = mflow.solve_ivp(problem.fun, problem.t_span, problem.y0, method, rtol=1e-5, atol=1e-7)
        assert r.reason == "finished"


def test_the_eigenvalue_is_measured() -> None:
    with pytest.warns(mflow.StiffnessWarning) as told:
        mflow.solve_ivp(lambda t, y: -2e5 * (y - math.cos(t)), (0, 0.1), [0.0], "dopri5", max_steps=1000)
    text = str(told[0].message)
    assert float(text.split("a rate of about ")[1].split(")", maxsplit=1)[0]) == pytest.approx(2e5, rel=0.01)


def test_a_few_steps_at_the_limit_are_no_matter() -> None:
    """y' = -y to t = 100 is at rest most of the time, in some 30 steps at the limit."""
    assert mflow.solve_ivp(lambda t, y: -y, (0, 100), [1.0]).success


FORCING: list[tuple[str, Any, float]] = [
    ("fast", lambda t, y: -y + np.sin(1000.0 * t), 2.0),
    ("faster", lambda t, y: -y + 100.0 * np.sin(5000.0 * t), 0.4),
    ("square", lambda t, y: -y + np.sign(np.sin(1000.0 * t)), 0.6),
    ("slower square", lambda t, y: -y + np.sign(np.sin(100.0 * t)), 6.0),
    ("pulses", lambda t, y: -y + np.exp(-3.0 * np.mod(100.0 * t, 6.28)), 4.0),
]


@pytest.mark.parametrize("method", EXPLICIT_PAIRS)
@pytest.mark.parametrize(("name", "fun", "t_end"), FORCING, ids=[f[0] for f in FORCING])
def test_fast_forcing_is_no_stiffness(method: str, name: str, fun: Any, t_end: float) -> None:
    """What drives the problem changes within a step: slopes of different times differ by it."""
    for rtol, atol in ((1e-2, 1e-9), (1e-3, 1e-3), (1e-3, 1e-9), (1e-6, 1e-3)):
        r = mflow.solve_ivp(fun, (0, t_end), [0.0], method, rtol=rtol, atol=atol, save="last", max_steps=2500)  # a warning is an error here
        assert "stiff" not in r.message


def gate(t: float, v: float) -> list[float]:
    """Rates of the gates of Hodgkin and Huxley (J. Physiol. 117 (1952) 500-544), V relative to rest."""
    m, n = (25 - v) / 10, (10 - v) / 10
    return [m / np.expm1(m), 4 * np.exp(-v / 18), 0.07 * np.exp(-v / 20), 1 / (np.exp((30 - v) / 10) + 1), 0.1 * n / np.expm1(n),
            0.125 * np.exp(-v / 80)]  # fmt: skip


def hodgkin_huxley(t: float, y: Array) -> Array:
    v, m, h, n = y
    a, b, c, d, e, f = gate(t, v)
    current = 10.0 - 120 * m**3 * h * (v - 115) - 36 * n**4 * (v + 12) - 0.3 * (v - 10.6)
    return np.array([current, a * (1 - m) - b * m, c * (1 - h) - d * h, e * (1 - n) - f * n])


@pytest.mark.parametrize("method", EXPLICIT_PAIRS)
def test_no_alarm_on_neurons_and_slow_cycles(method: str) -> None:
    for rtol in (1e-4, 1e-7):
        assert mflow.solve_ivp(hodgkin_huxley, (0, 30), [0.0, 0.05, 0.6, 0.32], method, rtol=rtol, atol=1e-3 * rtol).success
        assert mflow.solve_ivp(
            lambda t, y: [y[1], (1 - y[0] ** 2) * y[1] - y[0]], (0, 40), [2.0, 0.0], method, rtol=rtol, atol=1e-6
        ).success


SHORT: list[tuple[str, Any, float, Any]] = [
    ("robertson", robertson, 3.0, [1.0, 0.0, 0.0]),
    ("linear", lambda t, y: -1000.0 * (y - math.cos(t)), 10.0, [1.0]),
    ("flame", lambda t, y: y * y * (1.0 - y / 1000.0), 2.0, [1.0]),
]


@pytest.mark.parametrize("method", EXPLICIT_PAIRS)
@pytest.mark.parametrize(("name", "fun", "t_end", "y0"), SHORT, ids=[s[0] for s in SHORT])
def test_a_few_dozen_held_steps_are_told(method: str, name: str, fun: Any, t_end: float, y0: Any) -> None:
    few = mflow.solve_ivp(fun, (0, t_end), y0, "esdirk43").nsteps
    with pytest.warns(mflow.StiffnessWarning) as told:
        r = mflow.solve_ivp(fun, (0, t_end), y0, method)
    assert len(told) == 1
    assert r.nsteps > 5 * few


@pytest.mark.parametrize("way", ["advance_to", "step"])
def test_a_stepper_tells_it_too(way: str) -> None:
    st = mflow.Stepper("dopri5", lambda t, y: -1e4 * (y - 1.0), [0.0], rtol=1e-3, atol=1e-6)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        if way == "advance_to":
            st.advance_to(0.5)
            st.advance_to(1.0)
        else:
            for _ in range(400):
                st.step()
    assert [w.category for w in told] == [mflow.StiffnessWarning]
    assert "Stepper: near t" in str(told[0].message)
    assert told[0].filename == __file__


@pytest.mark.parametrize("rtol", [1e-3, 1e-4, 1e-5])
@pytest.mark.parametrize("method", EXPLICIT_PAIRS)
@pytest.mark.filterwarnings("ignore::mflow.StiffnessWarning")
def test_steps_that_run_off_are_not_the_solution(method: str, rtol: float) -> None:
    """Robertson's solution exists for all t; explicit steps leave it, after a few that were held."""
    assert mflow.solve_ivp(robertson, (0, 40), [1.0, 0.0, 0.0], method, rtol=rtol, max_steps=500).reason != "diverged"


def test_looking_changes_no_bit_and_costs_no_evaluation() -> None:
    from mflow_core.problems.problem import rhs_problem
    from mflow_core.stepping.stepper import Run

    ends = []
    for looks in (False, True):
        problem = rhs_problem(get_problem("robertson").fun, (3,), (), False, None)
        run = Run(mflow.get_method("dopri5").record, problem, np.array([1.0, 0.0, 0.0]))
        run.control(np.array([1e-3]), np.array([1e-6]))
        if looks:
            run.look_for_stiffness(mflow.stability_limit("dopri5"))
        assert run.begin(1.0) == 0
        run.adaptive(500, 1.0)
        ends.append((run.t, run.y.tobytes(), run.nfev, run.rejected))
        assert run.stiffness[0] is looks
    assert ends[0] == ends[1]


def test_a_warning_that_is_an_error_keeps_the_partial_result() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(mflow.StiffnessWarning) as info:
            mflow.solve_ivp(lambda t, y: -2e5 * (y - math.cos(t)), (0, 0.1), [0.0], "tsit5")
    r = info.value.partial_result  # type: ignore[attr-defined]
    assert r.reason == "interrupted"
    assert r.nsteps > 15


@pytest.mark.parametrize("method", EXPLICIT_PAIRS)
def test_a_run_that_goes_on_ends_for_the_same_reason(method: str, tmp_path: Path) -> None:
    """Steps that were held at the stability limit before the checkpoint count: what runs off are they, not the solution."""
    call: dict[str, Any] = {"fun": robertson, "t_span": (0.0, 40.0), "y0": [1.0, 0.0, 0.0], "method": method, "max_steps": 1000}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        straight = mflow.solve_ivp(**call)
        mflow.solve_ivp(**call, checkpoint=tmp_path / "state", checkpoint_every=max(1, straight.nsteps - 1))
        rest = mflow.solve_ivp(**call, resume=tmp_path / "state")
    assert (rest.reason, rest.nsteps) == (straight.reason, straight.nsteps)


@pytest.mark.parametrize(("method", "control"), [("dopri5", {"rtol": 1e-2, "atol": 1e-6}), ("tsit5", {"rtol": 3e-3, "atol": 0.1})])
def test_an_oscillation_at_the_stability_limit_is_not_called_stiff(method, control):
    with pytest.warns(
        mflow.StiffnessWarning, match=r"by an oscillation \(of a rate of about 200\).*lower rtol and atol to follow it"
    ) as told:
        mflow.solve_ivp(lambda t, y: [y[1], -(200.0**2) * y[0]], (0, 40), [1.0, 0.0], method=method, **control)
    assert not any("is stiff" in str(one.message) for one in told)


@pytest.mark.parametrize("turn", [0.0, 0.5])
def test_a_decay_at_the_stability_limit_is_called_stiff(turn):
    A = -2000.0 * np.array([[1.0, turn], [-turn, 1.0]])
    with pytest.warns(mflow.StiffnessWarning, match="is stiff"):
        mflow.solve_ivp(lambda t, y: A @ (y - np.cos(t)), (0, 5), [0.0, 0.5], method="tsit5")


@pytest.mark.parametrize("method", ["tsit5", "dopri5", "dop853"])
@pytest.mark.parametrize(("fast", "damped"), [(500.0, 0.3), (2100.0, 0.1)])
def test_a_damped_oscillator_that_follows_a_force_is_called_stiff(method: str, fast: float, damped: float) -> None:
    """Its steps are well within the stability limit. The rate that is told is that of the oscillator."""

    def fun(t: float, y: Array) -> Array:
        return np.array([y[1], -fast * fast * (y[0] - math.cos(t)) - 2.0 * damped * fast * y[1]])

    with pytest.warns(mflow.StiffnessWarning, match=re.escape(f"by what turns at a rate of about {fast:.3g} while it decays, ")):
        mflow.solve_ivp(fun, (0, 1), [1.0, 0.0], method, rtol=1e-6, atol=1e-8, save="last")


@pytest.mark.parametrize("rtol", [1e-3, 1e-5, 1e-7])
def test_a_ripple_that_does_not_decay_is_not(rtol: float) -> None:
    """A slow oscillator and a fast small one, neither of them damped: warnings are errors here."""
    rates = np.array([1.0, 50.0])
    y0 = [1.0, 1e-3, 0.0, 0.0]
    for method in ("tsit5", "dopri5", "dop853"):
        r = mflow.solve_ivp(lambda t, y: np.concatenate([rates * y[2:], -rates * y[:2]]), (0, 4), y0, method, rtol=rtol, atol=rtol)
        assert r.success
