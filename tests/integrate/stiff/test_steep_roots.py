"""Roots of a step's equation at which the slope of f is infinite, over which Newton's iteration bounces.

The solutions are known: f is made of them. Whether steps meet the root from one side or the other hangs on rounding, so each is tried with
drives that differ in the last places.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mflow

SAME = [1.0 + k * 1e-15 for k in range(-6, 7)]


def cube(t: float, y: Any, drive: float) -> Any:
    """y = sin(t)^3."""
    s = drive * math.sin(t)
    return 3.0 * s**2 * drive * math.cos(t) - 20.0 * (np.cbrt(y) - s)


def drag(t: float, y: Any, drive: float) -> Any:
    return drive * math.sin(t) - 20.0 * np.cbrt(y)


@pytest.mark.parametrize("drive", SAME)
def test_a_step_gets_over_a_root_with_an_infinite_slope(drive: float) -> None:
    r = mflow.solve_ivp(cube, (0.0, 6.0), [0.0], "esdirk43", rtol=1e-6, atol=1e-9, max_steps=2000, args=(drive,))
    assert r.success
    assert r.nfev < 4000
    np.testing.assert_allclose(r.y[0], np.sin(r.t) ** 3, rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("drive", SAME)
def test_what_drags_as_a_root_does_costs_few_steps(drive: float) -> None:
    r = mflow.solve_ivp(drag, (0.0, 6.0), [0.0], "esdirk43", rtol=1e-6, atol=1e-9, max_steps=2000, args=(drive,))
    assert r.success
    assert r.nfev < 3000  # some 1500; 6300 to 200 000 where Newton's iteration alone has to find such roots
    assert r.y[0, -1] == pytest.approx((math.sin(6.0) / 20.0) ** 3, rel=1e-3)


def test_a_jump_is_no_root() -> None:
    """y' = 1 - 3 sgn(y) holds y at 0, where no value of f is 0: steps of fixed length do not claim to have solved their equation there."""
    r = mflow.solve_ivp(lambda t, y: 1.0 - 3.0 * np.sign(y), (0.0, 1.0), [1.0], "backward_euler", dt=0.1)
    assert r.success or r.reason == "solve_failed"
    if r.success:
        np.testing.assert_allclose(r.y[0], np.maximum(1.0 - 2.0 * r.t, 0.0), rtol=0.0, atol=1e-9)
