"""atol = 0 where components begin at 0: they have a size of their own only later, and one made of others has no digits below theirs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.base.checks import Array

IMPLICIT = ["radau5", "bdf", "esdirk43", "rodas5p"]
ROBERTSON_AT_40 = [0.71582706872, 9.1855347646e-06, 0.28416374575]  # the reference solution of the test set, at t = 40


def robertson(t: float, y: Array) -> list[float]:
    fast = 3e7 * y[1] * y[1]
    first = -0.04 * y[0] + 1e4 * y[1] * y[2]
    return [first, -first - fast, fast]


def with_sum(t: float, y: Array) -> list[float]:
    return [*robertson(t, y)[:2], y[0] + y[1] + y[2] - 1.0]


@pytest.mark.parametrize("method", IMPLICIT)
@pytest.mark.parametrize("mass", [None, [1.0, 1.0, 0.0]], ids=["ode", "dae"])
def test_components_that_begin_at_0_are_measured_by_what_they_become(method: str, mass: Any) -> None:
    given = {} if mass is None else {"mass": mass}
    r = mflow.solve_ivp(
        robertson if mass is None else with_sum, (0, 40), [1.0, 0.0, 0.0], method, rtol=1e-7, atol=0.0, max_steps=600, **given
    )
    assert r.success, r.message
    np.testing.assert_allclose(r.y[:, -1], ROBERTSON_AT_40, rtol=1e-6)


@pytest.mark.parametrize("method", IMPLICIT)
def test_an_algebraic_component_keeps_its_own_units(method: str) -> None:
    """What is lost to rounding is that of its own terms, not of the largest component."""
    r = mflow.solve_ivp(
        lambda t, y: [-y[0], 1e-20 * y[0] - y[1]], (0, 5), [1.0, 1e-20], method, rtol=1e-8, atol=0.0, mass=[1.0, 0.0], max_steps=400
    )
    np.testing.assert_allclose(r.y[:, -1], [math.exp(-5.0), 1e-20 * math.exp(-5.0)], rtol=1e-6)


@pytest.mark.parametrize("method", [*IMPLICIT, "dopri5"])
def test_what_decays_from_a_start_other_than_0_is_measured_by_itself_alone(method: str) -> None:
    r = mflow.solve_ivp(lambda t, y: [-y[0], y[0] - 2.0 * y[1]], (0, 200), [1.0, 0.0], method, rtol=1e-8, atol=0.0)
    np.testing.assert_allclose(r.y[0, -1], math.exp(-200.0), rtol=1e-4)


@pytest.mark.parametrize("method", ["bdf", "radau5"])
def test_a_stepper_goes_on_from_a_file_by_the_same_bits(method: str, tmp_path: Any) -> None:
    how: dict[str, Any] = {"mass": [1.0, 1.0, 0.0]}
    one = mflow.Stepper(method, with_sum, [1.0, 0.0, 0.0], rtol=1e-6, atol=0.0, **how)
    for _ in range(30):
        one.step()
    one.save(tmp_path / "state")
    other = mflow.Stepper.load(tmp_path / "state", with_sum, **how)
    for _ in range(30):
        one.step(), other.step()
    assert one.t == other.t
    assert np.array_equal(one.y, other.y)
