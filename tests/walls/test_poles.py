"""dt="auto" steps over no pole of the forcing whose integral diverges, and over everything that only looks like one."""

from __future__ import annotations

import numpy as np
import pytest

import mflow
from mflow.walls.poles import pole_words
from support.problems import Array

# from 0 to 2; where the pole is
POLES = {
    "1/(1 - t)^2": (lambda t: (1.0 - t) ** -2.0, 1.0),
    "1/(1 - t)": (lambda t: 1.0 / (1.0 - t), 1.0),
    "1/|1 - t|^1.5": (lambda t: np.abs(1.0 - t) ** -1.5, 1.0),
    "at another place": (lambda t: (1.0371 - t) ** -2.0, 1.0371),
    "tan": (lambda t: np.tan(t + 0.123), 0.5 * np.pi - 0.123),
}
# the integral is finite, or f is bounded
NONE = {
    "|1 - t|^-1/2": lambda t: np.abs(1.0 - t) ** -0.5,
    "log": lambda t: np.log(np.abs(1.0 - t)),
    "narrow": lambda t: 1.0 / ((t - 1.0) ** 2 + 1e-4),
    "bell": lambda t: 1e3 * np.exp(-(((t - 1.0) / 0.01) ** 2)),
    "pulse": lambda t: 1e3 * (np.abs(t - 1.0) < 0.01),
    "fast": lambda t: 30.0 * np.sin(40.0 * t),
    "none": lambda t: 0.0 * t,
}

pytestmark = pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning", "ignore:invalid value:RuntimeWarning")


@pytest.mark.parametrize("method", ["euler", "rk4", "tsit5"])
@pytest.mark.parametrize("name", POLES)
def test_a_pole_in_time_ends_the_run_before_it(name: str, method: str) -> None:
    forcing, pole = POLES[name]
    for rate in (1.0, 20.0):
        r = mflow.solve_ivp(lambda t, y, rate=rate: forcing(np.float64(t)) - rate * y, (0, 2), [1.0], method, dt="auto")
        assert r.reason == "non_finite"
        assert r.t[-1] < pole
        assert f"grows without bound at t = {pole:.6g}"[:-1] in r.message
        assert np.all(np.abs(r.y) < 1e3)


@pytest.mark.filterwarnings('ignore:solve_ivp. dt = "auto" gives steps that are stable')  # true of these: they are not accurate
@pytest.mark.parametrize("method", ["euler", "rk4", "tsit5"])
@pytest.mark.parametrize("name", NONE)
def test_what_has_an_integral_is_stepped_over(name: str, method: str) -> None:
    for rate in (1.0, 20.0):
        r = mflow.solve_ivp(lambda t, y, rate=rate: NONE[name](np.float64(t)) - rate * y, (0, 2), [1.0], method, dt="auto")
        assert r.reason == "finished", (rate, r.message)


@pytest.mark.parametrize("power", [0.25, 0.5, 0.75, 0.9, 1.0, 1.25, 2.0, 5.0])
def test_a_pole_is_one_from_power_1_on(power: float) -> None:
    for pole in (0.3, 0.5, 0.777777):
        with np.errstate(divide="ignore"):
            words = pole_words(lambda t, y, c=pole: y + np.abs(np.float64(t - c)) ** -power, 0.0, 1.0, np.ones(2))
        assert bool(words) == (power >= 1.0), pole


def test_a_function_that_raises_at_the_pole_is_looked_at_too() -> None:
    assert "t = 0.5," in pole_words(lambda t, y: y + 1.0 / (t - 0.5), 0.0, 1.0, np.ones(1))


def test_a_motion_backwards_is_looked_at_too() -> None:
    def fun(t: float, y: Array) -> Array:
        return np.asarray(y + np.float64(t) ** -2.0)

    r = mflow.solve_ivp(fun, (1, -1), [1.0], "euler", dt="auto")
    assert r.reason == "non_finite"
    assert r.t[-1] > 0.0


@pytest.mark.parametrize("method", ["rk4", "dopri5", "euler"])
def test_a_pole_at_which_the_state_never_is(method: str) -> None:
    """y = t + 1 of y' = 1/(y - t) from 1: f at the state of any one time has a pole ahead, which moves on with the state."""
    r = mflow.solve_ivp(lambda t, y: 1.0 / (y - t), (0.0, 40.0), [1.0], method, dt="auto")
    assert r.reason == "finished"
    assert r.y[0, -1] == pytest.approx(41.0, rel=1e-9)
