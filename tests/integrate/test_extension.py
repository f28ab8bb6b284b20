"""The continuous extension: slopes that it alone meets, and looks into the last step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import mflow
from support.problems import cfunc

Array = np.ndarray


# ---- slopes that the continuous extension alone meets -----------------------------------------------------------------------------------


def no_slope_from_one_on(t: float, y: Array) -> Array:
    return np.full(1, np.nan if t >= 1.0 else 1.0)


def no_slope_at_a_tenth(t: float, y: Array) -> Array:
    return np.full(1, np.nan if abs(t - 0.1) < 1e-12 else 1.0)


def test_no_nan_between_fixed_steps() -> None:
    """Euler never asks for the slope at the end of its last step; the cubic between the ends does."""
    r = mflow.solve_ivp(no_slope_from_one_on, (0, 1), [0.0], "euler", dt=0.1, t_eval=[0.5, 0.95, 1.0])
    assert (r.reason, r.nsteps) == ("non_finite", 9)
    np.testing.assert_allclose(r.y, [[0.5]], rtol=1e-14)
    assert mflow.solve_ivp(no_slope_from_one_on, (0, 1), [0.0], "euler", dt=0.1, t_eval=[0.5, 1.0]).success
    r = mflow.solve_ivp(no_slope_from_one_on, (0, 1), [0.0], "euler", dt=0.1, dense_output=True)
    assert r.reason == "non_finite"
    assert np.all(np.isfinite(r.sol(np.linspace(0.0, r.t[-1], 50))))


def test_dop853_has_slopes_for_its_extension_alone() -> None:
    """K_14 lies at a tenth of the step: with fixed steps the run ends there, under error control another step goes round it."""
    r = mflow.solve_ivp(no_slope_at_a_tenth, (0, 1), [0.0], "dop853", dt=1.0, t_eval=[0.5, 1.0])
    assert (r.reason, r.t.size) == ("non_finite", 0)
    r = mflow.solve_ivp(no_slope_at_a_tenth, (0, 1), [0.0], "dop853", rtol=1e-6, atol=1e-6, first_step=1.0, t_eval=[0.5, 1.0])
    assert (r.reason, r.nrejected) == ("finished", 1)
    np.testing.assert_allclose(r.y, [[0.5, 1.0]], rtol=1e-14)


def test_a_smaller_step_asked_for_by_the_extension_is_taken() -> None:
    def slope(t: float, y: Array) -> Array:
        if abs(t - 0.1) < 1e-12:
            raise mflow.Recoverable
        return np.ones(1)

    r = mflow.solve_ivp(slope, (0, 1), [0.0], "dop853", rtol=1e-6, atol=1e-6, first_step=1.0, events=lambda t, y: y[0] - 0.5)
    assert (r.reason, r.nrejected) == ("finished", 1)
    np.testing.assert_allclose(r.t_events[0], [0.5], rtol=1e-14)


@pytest.mark.parametrize("spans", [(0, 1), [[0, 1]] * 3])
def test_no_nan_between_steps_of_a_batch(spans: Any) -> None:
    @cfunc("block")
    def ones(t, y, f, n, lanes, ctx):
        for i in range(lanes):
            f[i] = 1.0 if t[i] < y[lanes + i] - 1e-9 else math.nan
            f[lanes + i] = 0.0
        return 0

    starts = [[0.0, 2.0], [0.0, 1.0], [0.0, 3.0]]  # the second component: where slopes end
    r = mflow.solve_ivp_batch(ones, spans, starts, "euler", dt=0.1, t_eval=[0.5, 0.95, 1.0], batch=True)
    assert r.reason == ["finished", "non_finite", "finished"]
    assert r.reached.tolist() == [3, 1, 3]
    assert r.nsteps.tolist() == [10, 9, 10]
    np.testing.assert_allclose(r.y[:, 0], [[0.5, 0.95, 1.0], [0.5, np.nan, np.nan], [0.5, 0.95, 1.0]], rtol=1e-13)


# ---- looks into the last step -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made_before", [False, True])
def test_no_look_into_a_step_after_a_failed_try(step_method: Any, made_before: bool) -> None:
    """A failed try overwrites what the step before had left: the answer would be of another step."""
    broken = [False]

    def slope(t: float, y: Array) -> Array:
        return np.full(1, np.nan) if broken[0] else -y

    st = mflow.Stepper(step_method.name, slope, [1.0])
    st.step(0.1)
    st.step(0.1)
    if made_before:
        assert abs(st.interpolate(0.15)[0] - np.exp(-0.15)) < 0.02
    broken[0] = True
    with pytest.raises((FloatingPointError, RuntimeError)):
        st.step(0.1)
    broken[0] = False
    with pytest.raises(ValueError, match="no last step"):
        st.interpolate(0.15)
    st.step(0.1)
    assert abs(st.interpolate(0.25)[0] - np.exp(-0.25)) < 0.03
