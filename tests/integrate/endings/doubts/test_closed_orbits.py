"""Runs that have left a closed orbit, by methods that let every oscillation grow: said where it is so, and nowhere else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import mflow

SAID = "comes back to it"
GM, EARTH = 1.32712440018e20, 1.495978707e11


def kepler(gm: float) -> Callable[[float, Any], Any]:
    def fun(_t: float, y: Any) -> Any:
        return np.concatenate([y[2:], -gm * y[:2] / np.hypot(*y[:2]) ** 3])

    return fun


def pendulum(_t: float, y: Any) -> Any:
    return np.array([y[1], -np.sin(y[0])])


def prey(_t: float, y: Any) -> Any:
    return np.array([y[0] * (1.0 - y[1]), y[1] * (y[0] - 1.0)])


@pytest.mark.parametrize(
    ("fun", "y0", "t_end", "method", "dt", "period"),
    [
        (kepler(1.0), [1.0, 0.0, 0.0, 1.0], 20.0 * np.pi, "euler", np.pi / 25.0, 2.0 * np.pi),
        (kepler(GM), [EARTH, 0.0, 0.0, (GM / EARTH) ** 0.5], 3.2e8, "euler", 3.2e5, 2.0 * np.pi * (EARTH**3 / GM) ** 0.5),
        (pendulum, [1.0, 0.0], 60.0, "euler", 0.05, 6.69998),  # 4 K(sin 1/2)
        (pendulum, [2.0, 0.0], 40.0, "euler", 0.05, 8.34975),  # it falls from where it is a saddle: 4 K(sin 1)
        (pendulum, [1.0, 0.0], 200.0, "rk2", 0.4, 6.69998),
        (prey, [1.2, 1.0], 100.0, "euler", 0.05, None),
    ],
)
def test_a_run_that_has_left_a_closed_orbit_is_told(
    fun: Callable[..., Any], y0: list[float], t_end: float, method: str, dt: float, period: float | None
) -> None:
    """None of them grows without end by itself, as energies show: finished, without a word, before."""
    with pytest.warns(RuntimeWarning, match=SAID):
        r = mflow.solve_ivp(fun, (0.0, t_end), y0, method=method, dt=dt)
    assert r.reason == "finished"
    (doubt,) = r.doubts
    if period is not None:
        assert float(doubt.partition("after about ")[2].partition(",")[0]) == pytest.approx(period, rel=1e-3)
    right = mflow.solve_ivp(fun, (0.0, t_end), y0, method="rk4", dt=dt)
    assert not right.doubts


@pytest.mark.parametrize(
    ("fun", "y0", "t_end", "dt"),
    [
        (pendulum, [1.0, 0.0], 20.0, 0.002),  # a growth of 2 %
        (lambda t, y: np.array([y[1], -np.sin(y[0]) - 0.02 * y[1]]), [1.0, 0.0], 200.0, 0.01),  # it fades, from an orbit nearly closed
        (lambda t, y: np.array([y[1], -np.sin(y[0]) + 0.5 * (t > 10.0)]), [1.0, 0.0], 40.0, 0.005),  # another force from 10 on
        (lambda t, y: np.array([y[1], -np.sin(y[0]), 1e-3]), [1.0, 0.0, 1.0], 20.0, 0.002),  # something else goes on
        (lambda t, y: np.array([y[1], (1.0 - y[0] ** 2) * y[1] - y[0]]), [2.0, 0.0], 50.0, 0.05),  # van der Pol's cycle
    ],
)
def test_other_runs_are_not(fun: Callable[..., Any], y0: list[float], t_end: float, dt: float) -> None:
    assert not mflow.solve_ivp(fun, (0.0, t_end), y0, method="euler", dt=dt).doubts


def test_a_dose_leads_to_another_orbit() -> None:
    r = mflow.solve_ivp(pendulum, (0.0, 10.0), [1.0, 0.0], method="euler", dt=0.001, doses=[(3.0, 1, 2.5)])
    assert np.max(np.abs(r.y[0])) > 3.0
    assert not r.doubts


def test_a_run_that_goes_on_from_a_file_says_the_same(tmp_path: Any) -> None:
    path = tmp_path / "orbit.npz"
    with pytest.warns(RuntimeWarning, match=SAID):
        one = mflow.solve_ivp(pendulum, (0.0, 60.0), [1.0, 0.0], method="euler", dt=0.05)
    mflow.solve_ivp(pendulum, (0.0, 60.0), [1.0, 0.0], method="euler", dt=0.05, max_steps=300, checkpoint=path)
    with pytest.warns(RuntimeWarning, match=SAID):
        two = mflow.solve_ivp(pendulum, (0.0, 60.0), [1.0, 0.0], method="euler", dt=0.05, resume=path)
    assert two.doubts == one.doubts
