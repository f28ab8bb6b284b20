"""dt="auto": steps of a stable size that take a component over 0 where no solution crosses. Oracle: signs of solutions."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import mflow


def lotka_volterra(t, y):
    return np.array([y[0] * (1 - y[1]), y[1] * (y[0] - 1)])


def grazing(t, y):
    """Rosenzweig and MacArthur: prey that saturates the predator."""
    return np.array([y[0] * (1 - y[0] / 20) - y[0] * y[1] / (1 + y[0]), y[1] * (y[0] / (1 + y[0]) - 0.3)])


def solve(fun, t_end, y0, method, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mflow.solve_ivp(fun, (0, t_end), y0, method, dt="auto", max_steps=5000, **more)


def test_a_population_does_not_run_away_below_zero():
    r = solve(lotka_volterra, 60, [2.0, 1.0], "euler")  # 58 million steps, as the prey grew below 0
    assert r.success
    assert np.all(np.abs(r.y) < 50)
    assert r.doubts


@pytest.mark.parametrize("method", ["rk2", "rk4"])
def test_steps_that_cross_are_taken_again(method):
    r = solve(grazing, 60, [5.0, 1.0], method)
    assert r.success
    assert np.all(r.y > 0)  # as of each solution


@pytest.mark.parametrize(("fun", "y0", "t_end"), [(lotka_volterra, [10.0, 1.0], 30), (grazing, [5.0, 1.0], 150)])
def test_what_decayed_to_the_other_side_and_grows_there_ends_the_run(fun, y0, t_end):
    r = solve(fun, t_end, y0, "euler")
    assert r.reason == "left_domain"
    assert "component 0 has changed its sign, which no solution does" in r.message
    assert "rtol= in place of dt" in r.message
    assert r.y[0, -1] < 0


@pytest.mark.parametrize("fun", [
    lambda t, y: np.array([-100.0 * y[0], y[0] - y[1]]),  # goes from side to side, and decays
    lambda t, y: y + np.where((t > 1) & (t < 1.5), -8.0, 0.0),  # led over 0 by a forcing that is over at the end
])  # fmt: skip
def test_other_crossings_stay(fun):
    r = solve(fun, 3, [1.0, 0.5], "euler")
    assert r.success
    assert r.nsteps < 400
    assert np.any(r.y < 0)


def test_backwards():
    r = solve(lambda t, y: -lotka_volterra(-t, y), -60, [2.0, 1.0], "euler")
    assert r.success
    assert np.all(np.abs(r.y) < 50)


def test_a_run_that_goes_on_from_a_file_ends_for_the_same_reason(tmp_path):
    whole = solve(lotka_volterra, 30, [10.0, 1.0], "euler")
    path = tmp_path / "run"
    stopped = solve(lotka_volterra, 30, [10.0, 1.0], "euler", checkpoint=path, checkpoint_every=1, callback=lambda t, y: t > 12.0)
    assert stopped.y[0, -1] < 0 < whole.t[-1] - stopped.t[-1]  # on the other side, where it decays
    r = solve(lotka_volterra, 30, [10.0, 1.0], "euler", resume=path)
    assert (r.reason, r.message) == ("left_domain", whole.message)
    assert np.array_equal(r.y, whole.y)
    assert (r.nfev, r.ncheck) == (whole.nfev, whole.ncheck)
