"""Calls of a first hour that are near to the right ones: each error or warning says what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mflow


def decay(t: float, y: Any, rate: float, lift: float = 0.0) -> Any:
    return lift - rate * y


def cost(x: Any, rate: float) -> Any:
    return rate * np.sum(x * x)


def line(x: Any, rate: float) -> Any:
    return rate * x


DICT = {"rate": 2.0}
CALLS: dict[str, Callable[[], Any]] = {
    "solve_ivp": lambda: mflow.solve_ivp(decay, (0, 1), [1.0], args=DICT),  # type: ignore[arg-type]
    "complex": lambda: mflow.solve_ivp(decay, (0, 1), [1j], args=DICT),  # type: ignore[arg-type]
    "batch": lambda: mflow.solve_ivp_batch(decay, (0, 1), [[1.0]], args=DICT),  # type: ignore[arg-type]
    "Stepper": lambda: mflow.Stepper("rk4", decay, [1.0], args=DICT),
    "newmark": lambda: mflow.Stepper("newmark", lambda t, x, v, rate: -rate * x, [1.0], args=DICT),
    "minimize": lambda: mflow.minimize(cost, [1.0], args=DICT),  # type: ignore[arg-type]
    "gradient_flow": lambda: mflow.gradient_flow(line, [1.0], 1.0, args=DICT),  # type: ignore[arg-type]
    "least_squares": lambda: mflow.least_squares(line, [1.0], args=DICT),  # type: ignore[arg-type]
    "solve_dynamics": lambda: mflow.solve_dynamics(force=lambda t, x, v, rate: -rate * x, x0=[1.0], t_span=(0, 1), args=DICT),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_dict_of_parameters_is_no_arguments_in_order(name: str) -> None:
    with pytest.raises(TypeError, match=r"args: expected values in the order .*, got a dict; of a dict d give args=\(d\['rate'\],\)"):
        CALLS[name]()


def test_a_dict_that_is_one_argument_goes_to_the_function() -> None:
    r = mflow.solve_ivp(lambda t, y, p: -p["rate"] * y, (0, 1), [1.0], args=DICT, rtol=1e-9, atol=1e-12)  # type: ignore[arg-type]
    assert r.y[0, -1] == pytest.approx(np.exp(-2.0), rel=1e-7)
    with pytest.raises(TypeError, match=r"args=\(d\['rate'\], d\['lift'\],\)"):  # in the function's order
        mflow.solve_ivp(decay, (0, 1), [1.0], args={"lift": 1.0, "rate": 2.0})  # type: ignore[arg-type]


def test_too_many_or_too_few_arguments_without_names_are_told_the_order() -> None:
    call: Any = mflow.convergence
    motion: Any = mflow.data.GroundMotion
    with pytest.raises(TypeError, match=r"missing 1 .*'a'; the order is \(name, t, a\): see help\(mflow\.data\.GroundMotion\)"):
        motion(np.arange(3.0), np.ones(3))
    with pytest.raises(TypeError, match=r"^[^;]*missing 1 required positional argument: 'k'\nin mflow\.solve_ivp"):
        mflow.convergence("rk4", (lambda t, y, k: y, (0, 1), [1.0]))  # the user's own function
    with pytest.raises(TypeError, match=r"the order is \(method, problem, exact\): see help\(mflow.convergence\)"):
        call("rk4", decay, (0, 5), [2.0])
    with pytest.raises(ValueError, match=r"t_span: expected two numbers .*; the order is family\(fun, starts, t_span\)"):
        mflow.family(lambda t, y: -y, (0, 5), [0.1, 0.5, 2.0])


@pytest.mark.parametrize("state", [np.ones((3, 1)), np.ones((3, 1), complex)])
def test_a_batch_in_which_nothing_runs_says_so(state: Any) -> None:
    words = r"no trajectory took a step, as a function raised in each: ValueError: fun: expected a return value of shape \(1,\)"
    with pytest.warns(RuntimeWarning, match=words if state.dtype == float else "no trajectory took a step") as told:
        r = mflow.solve_ivp_batch(lambda t, y, k: -k * y, (0, 1), state, args=(np.array([1.0, 2.0, 3.0]),))
    assert (len(told), sorted(r.errors), r.reason) == (1, [0, 1, 2], ["rhs_failed"] * 3)
    with pytest.warns(RuntimeWarning, match="no motion took a step, as a function raised in each: KeyError: 'a'"):
        mflow.solve_dynamics_batch(force=lambda t, x, v: DICT["a"], x0=[[1.0], [2.0]], t_span=(0, 1), dt=0.1)


def test_a_batch_in_which_one_runs_is_silent() -> None:
    r = mflow.solve_ivp_batch(lambda t, y: -y if y[0] > 1.0 else DICT["a"], (0, 0.1), [[1.0], [2.0]])
    assert r.reason == ["rhs_failed", "finished"]


def test_a_formula_that_divides_by_t_is_started_behind_it() -> None:
    def lane_emden(t: float, y: Any) -> Any:
        return np.array([y[1], -2.0 / np.float64(t) * y[1] - y[0]])

    with np.errstate(all="ignore"):
        r = mflow.solve_ivp(lane_emden, (0, 3), [1.0, 0.0], rtol=1e-9, atol=1e-12)
        pole = mflow.solve_ivp(lambda t, y: 1.0 / y, (0, 3), [0.0])
    assert r.reason == "non_finite"
    assert r.message.endswith("see its component 1; it is finite at t = 3e-06, so start there, from the first terms of a series")
    assert pole.message.endswith("see its component 0")  # a later start does not help
    begun = mflow.solve_ivp(lane_emden, (3e-6, 3), [1.0 - 9e-12 / 6, -1e-6], rtol=1e-9, atol=1e-12)
    assert begun.y[0, -1] == pytest.approx(np.sin(3.0) / 3.0, abs=1e-8)


def test_explain_takes_complex_states() -> None:
    report = mflow.explain(lambda t, z: 20j * z, [1.0 + 1.0j])
    assert report.steps["rk4"] == pytest.approx(2.0 * np.sqrt(2.0) / 20.0, rel=1e-6)
    with pytest.raises(TypeError, match="x0: expected real numbers for a cost, got complex ones"):
        mflow.explain(lambda z: abs(z) ** 2, [1j])


def test_pictures_by_other_names() -> None:
    plot = pytest.importorskip("mflow.plot")
    for name in ("phase_portrait", "streamplot", "quiver", "nullclines"):
        with pytest.raises(AttributeError, match=r"here it is mflow.plot.direction_field, with plane=True"):
            getattr(plot, name)
    with pytest.raises(AttributeError, match=r"here it is mflow\.plot\.solution"):
        plot.plot
    field = plot.direction_field(lambda t, y: [y[1], -y[0]], (-1, 1), (-1, 1), plane=True)
    swing = mflow.solve_ivp(lambda t, y: [y[1], -y[0]], (0, 1), [1.0, 0.0])
    family = plot.family([swing], component=1)
    names = [line.get_label() for line in plot.solution(swing).lines]
    assert names == [field.get_xlabel(), field.get_ylabel()] == ["y[0]", "y[1]"]
    assert (family.get_ylabel(), plot.iterates(swing, component=1).get_ylabel()) == ("y[1]", "y[1]")
