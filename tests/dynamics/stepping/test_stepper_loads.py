"""Steppers on tables of loads: what their steps do not see and which ends they pass is told once; closed forms as oracles."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any

import numpy as np
import pytest

import mflow

Array = np.ndarray
BODY: dict[str, Any] = {"x0": [0.0], "mass": 1.0, "stiffness": 100.0, "damping": 1.0}
T = np.arange(0.0, 2.0005, 0.001)
FAST = np.sin(100.0 * math.pi * T)  # of period .02


def walked(count: int, dt: float, **more: Any) -> tuple[mflow.Stepper, list[str]]:
    """A stepper after `count` calls of step, and what it has told."""
    st = mflow.Stepper("newmark", **BODY, **more)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(count):
            st.step(dt)
    return st, [str(one.message) for one in told]


@pytest.mark.parametrize("load", [(T, FAST[None]), (T, FAST, [1.0])], ids=["values", "pattern"])
def test_a_load_that_steps_do_not_see_is_told_of_once(load: Any) -> None:
    st, told = walked(100, 0.02, load=load)
    assert abs(st.x[0]) < 1e-14  # every step ends where the load is 0: the answer of peak 3e-4 is missed
    assert len(told) == 1
    assert "load: 100 % of the table's impulse falls between steps of dt = 0.02" in told[0]
    assert walked(100, 0.002, load=load)[1] == []


@pytest.mark.parametrize("call", ["advance", "advance_to"])
def test_so_do_many_steps_in_one_call(call: str) -> None:
    st = mflow.Stepper("newmark", **BODY, load=(T, FAST[None]))
    go = (lambda: st.advance(50, dt=0.02)) if call == "advance" else lambda: st.advance_to(1.0, dt=0.02)
    with pytest.warns(RuntimeWarning, match="falls between steps"):
        go()


def test_steps_of_another_size_are_looked_at_anew() -> None:
    st = mflow.Stepper("newmark", **BODY, load=(T, FAST[None]))
    st.advance(100, dt=0.002)
    with pytest.warns(RuntimeWarning, match="steps of dt = 0.02"):
        st.advance(20, dt=0.02)


def test_the_end_of_a_table_that_is_held_is_told_of() -> None:
    t = np.linspace(0.0, 1.0, 101)
    load = (t, np.exp(-3.0 * t))
    st, told = walked(300, 0.01, load=load)
    assert len(told) == 1
    assert "past the end of the load's table, t = 1, its value there, 4.98 % of its peak, is held" in told[0]
    for after in ("hold", "zero"):
        st, told = walked(300, 0.01, load=load, after=after)
        assert told == []
        run = mflow.solve_dynamics(**BODY, load=load, after=after, t_span=(0, 3), dt=0.01)
        assert st.x[0] == run.x[0, -1]
        assert copy.copy(st).x[0] == st.x[0]
    late = math.exp(-0.5 * 2.0)  # free vibration decays from t = 1 on
    assert abs(st.x[0]) < 0.02 * late
    assert walked(300, 0.01, load=(t, 1.0 - t))[1] == []  # it ends at 0


def test_after_needs_a_table() -> None:
    with pytest.raises(ValueError, match="after: expected a table as load"):
        mflow.Stepper("newmark", **BODY, after="zero")
    with pytest.raises(ValueError, match="after: expected 'hold' or 'zero', got 'no'"):
        mflow.Stepper("newmark", **BODY, load=(T, FAST[None]), after="no")


@pytest.mark.parametrize("call", ["step", "advance_to"])
def test_error_control_passes_over_no_pulse(call: str) -> None:
    """A triangle of impulse 1 at t = 1.01, as the steps before it are long: x = sin(t - 1.01) behind it, by Duhamel's integral."""
    pulse = np.array([0.0, 1.0, 1.01, 1.02, 3.0]), np.array([[0.0, 0.0, 100.0, 0.0, 0.0]])
    st = mflow.Stepper("newmark", x0=[0.0], mass=1.0, stiffness=1.0, load=pulse, rtol=1e-6, atol=1e-6)
    if call == "step":
        while st.t < 3.0:
            st.step()
    else:
        st.advance_to(3.0)
    triangle = (2.0 - 2.0 * math.cos(0.01)) / 0.01**2  # of its Fourier transform at the frequency 1
    assert abs(st.interpolate(st.t)[0, 0] - triangle * math.sin(st.t - 1.01)) < 1e-4


def single(t: float, x: Array, v: Any = None) -> Array:
    """-x in float32."""
    return -np.asarray(x, np.float32)


def run_of(force: Any) -> Any:
    return mflow.solve_dynamics(mass=3.0, force=force, x0=[1.0], t_span=(0, 5), method="rkn64", rtol=1e-10, atol=1e-10)


def test_a_force_of_seven_digits_is_told_of() -> None:
    with pytest.warns(RuntimeWarning, match=r"solve_dynamics: values of the force carry about 7 digits \(float32\), and rtol = 1e-10"):
        run = run_of(single)
    assert "values of the force carry about 7 digits" in run.message
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "digits" not in run_of(lambda t, x, v: -x).message


@pytest.mark.parametrize(("method", "who"), [("rkn64", "values of the force carry"), ("dopri5", "fun's slopes carry")])
def test_a_stepper_tells_of_seven_digits_once(method: str, who: str) -> None:
    st = mflow.Stepper(method, single, [1.0], rtol=1e-10, atol=1e-10)
    with pytest.warns(RuntimeWarning, match=f"Stepper: {who} about 7 digits") as told:
        st.advance_to(5.0)
    assert len(told) == 1


def test_seven_digits_beside_matrices_and_constraints() -> None:
    force = lambda t, x, v: np.array([0.0, -0.7], np.float32) - np.asarray(0.3 * x, np.float32)  # noqa: E731
    more: dict[str, Any] = {"mass": 3.0, "force": force, "x0": [1.0, 0.0], "t_span": (0, 1), "rtol": 1e-8, "atol": 1e-8}
    for beside in ({"stiffness": 1.0}, {"constraints": lambda x: [x @ x - 1.0]}):
        with pytest.warns(RuntimeWarning, match="values of the force carry about 7 digits"):
            mflow.solve_dynamics(**more, **beside)
