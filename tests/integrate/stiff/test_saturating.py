"""Slopes that saturate, and walls that give: their exact Jacobian is large on a narrow way, and 0 beside it.

With the steep J at hand every update is small where f is flat, whatever is left of a stage's equation: stages looked solved that were not,
silently, and error estimates are made of the same stages. The solutions are known: a strong pull keeps to what it pulls to, and a state
that is pushed to a wall rests there until the force turns. What runs are held to, up to 50 tolerances, is what they reach beside walls, and
not what is promised.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mflow

Array = Any


def _tanh(x: float) -> tuple[float, float]:
    return math.tanh(x), 1.0 / math.cosh(min(abs(x), 300.0)) ** 2


def _clip(x: float) -> tuple[float, float]:
    return min(1.0, max(-1.0, x)), float(abs(x) < 1.0)


@pytest.mark.parametrize("shape", [_tanh, _clip])
@pytest.mark.parametrize("method", ["esdirk43", "radau5", "bdf"])
def test_a_pull_that_saturates(shape: Callable[[float], tuple[float, float]], method: str) -> None:
    """|y - cos t| < 1.1e-7 all the way, as the pull needs no more than a thousandth of its strength."""

    def fun(t: float, y: Array) -> Array:
        return [-1e3 * shape(1e4 * (y[0] - math.cos(t)))[0]]

    def jac(t: float, y: Array) -> Array:
        return [[-1e7 * shape(1e4 * (y[0] - math.cos(t)))[1]]]

    for rtol in (1e-3, 1e-4):
        r = mflow.solve_ivp(fun, (0.0, 2.0), [1.0], method, jac=jac, rtol=rtol, atol=rtol)
        assert r.success
        np.testing.assert_allclose(r.y[0], np.cos(r.t), rtol=0.0, atol=4.0 * rtol)


@pytest.mark.parametrize("rtol", [1e-3, 1e-4, 1e-5])
def test_a_soft_wall(rtol: float) -> None:
    """y = t up to the wall at 1, then 1e-4 inside it."""

    def fun(t: float, y: Array) -> Array:
        return [1.0 - 1e4 * max(0.0, y[0] - 1.0)]

    r = mflow.solve_ivp(fun, (0.0, 3.0), [0.0], "esdirk43", jac=lambda t, y: [[-1e4 * (y[0] > 1.0)]], rtol=rtol, atol=rtol)
    exact = np.where(r.t < 1.0, r.t, 1.0 - 1e-4 * np.expm1(-1e4 * np.maximum(r.t - 1.0, 0.0)))
    assert r.success
    np.testing.assert_allclose(r.y[0], exact, rtol=0.0, atol=4.0 * rtol)


def test_a_soft_wall_that_the_state_leaves_again() -> None:
    """A force sin t pushes to the wall from t = pi/2 to pi, and again from 3 pi; 1.4e-4 is what the wall gives.

    Held to 50 tolerances: the last two steps before the wall are off by 26, which they are not where there is none; no estimate sees it.
    """

    def fun(t: float, y: Array) -> Array:
        return [math.sin(t) - 1e4 * max(0.0, y[0] - 1.0)]

    r = mflow.solve_ivp(fun, (0.0, 9.0), [0.0], "esdirk43", jac=lambda t, y: [[-1e4 * (y[0] > 1.0)]], rtol=1e-3, atol=1e-3)
    exact = np.where(r.t < math.pi / 2.0, 1.0 - np.cos(r.t), np.where(r.t < math.pi, 1.0, -np.cos(r.t)))
    assert r.success
    np.testing.assert_allclose(r.y[0], exact, rtol=0.0, atol=0.05)


@pytest.mark.parametrize(
    ("method", "stiffness", "rtol"),
    [("bdf", 1e6, 1e-3), ("bdf", 1e6, 1e-5), ("radau5", 1e5, 1e-4), ("radau5", 1e6, 1e-7), ("esdirk43", 1e6, 1e-6)],
)
def test_a_stiff_wall_that_the_state_leaves(method: str, stiffness: float, rtol: float) -> None:
    """1 - cos t, then 1 to within 1/stiffness, then -cos t. bdf went to -1477, radau5 ended at -.49 for -.75."""

    def fun(t: float, y: Array) -> Array:
        return [math.sin(t) - stiffness * max(0.0, y[0] - 1.0)]

    r = mflow.solve_ivp(fun, (0.0, 7.0), [0.0], method, jac=lambda t, y: [[-stiffness * (y[0] > 1.0)]], rtol=rtol, atol=rtol)
    exact = np.where(r.t < math.pi / 2.0, 1.0 - np.cos(r.t), np.where(r.t < math.pi, 1.0, -np.cos(r.t)))
    assert r.success
    np.testing.assert_allclose(r.y[0], exact, rtol=0.0, atol=30.0 * rtol + 2.0 / stiffness)


@pytest.mark.parametrize(
    ("method", "stiffness", "rtol", "most"),
    [("bdf", 1e5, 1e-4, 30.0), ("bdf", 1e8, 1e-4, 30.0), ("radau5", 1e7, 1e-3, 30.0), ("rodas5p", 1e4, 1e-3, 50.0),
     ("rodas5p", 1e5, 1e-5, 30.0), ("rodas5p", 1e7, 1e-7, 30.0), ("rodas5p", 1e8, 1e-8, 50.0)],
)  # fmt: skip
def test_a_long_step_does_not_leap_over_the_way_from_the_wall_and_back(method: str, stiffness: float, rtol: float, most: float) -> None:
    """Each left the wall's contact with one step to t = 4 ... 7, where the wall is met again: off by 1800 to 20 000 tolerances; the last
    three with one of a hundredth of the way: by 1e5 to 9e7."""

    def fun(t: float, y: Array) -> Array:
        return [math.sin(t) - stiffness * max(0.0, y[0] - 1.0)]

    r = mflow.solve_ivp(fun, (0.0, 7.0), [0.0], method, jac=lambda t, y: [[-stiffness * (y[0] > 1.0)]], rtol=rtol, atol=rtol)
    exact = np.where(r.t < math.pi / 2.0, 1.0 - np.cos(r.t), np.where(r.t < math.pi, 1.0, -np.cos(r.t)))
    assert r.success
    np.testing.assert_allclose(r.y[0], exact, rtol=0.0, atol=most * rtol + 2.0 / stiffness)


@pytest.mark.parametrize("method", ["bdf", "radau5", "esdirk43", "rodas5p"])
def test_a_force_in_the_middle_of_rest(method: str) -> None:
    """y' = -y + 1 for 4 < t < 9, else -y, from 0. What is narrower than the way between two looks is not promised."""

    def fun(t: float, y: Array) -> Array:
        return [float(4.0 < t < 9.0) - y[0]]

    r = mflow.solve_ivp(fun, (0.0, 10.0), [0.0], method, rtol=1e-4, atol=1e-4)
    assert abs(r.y[0, -1] - (math.exp(-1.0) - math.exp(-6.0))) < 5e-3


@pytest.mark.parametrize("at", [1.0, 1.0 - 1e-9, 1.0 + 1e-9])
def test_a_jacobian_beside_a_corner_is_not_called_wrong(at: float) -> None:
    """Differences to both sides of it give half of what either side has."""
    from mflow.solvers.jacobian_doubt import _compared

    def slope(t: float, y: Array) -> Array:
        return np.array([1.0 - 1e6 * max(0.0, y[0] - 1.0)])

    y, v = np.array([at]), np.array([0.7])
    for said in (0.0, -7e5):
        assert _compared(0.0, y, v, np.array([said]), slope) == ""
    for said in (7e5, -8e5):
        assert "is not the derivative" in _compared(0.0, y, v, np.array([said]), slope)
