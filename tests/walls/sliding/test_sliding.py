"""Jumps that attract from both sides: a run that cannot go on there, or is stopped there, says so; others are not taken for one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import mflow
from mflow.base.checks import Array
from mflow.walls.jumps import sliding_words

WALLS: dict[str, Any] = {
    "sign": (lambda t, y: -np.sign(y), [1.0]),
    "driven": (lambda t, y: np.cos(t) - 2.0 * np.sign(y), [0.7]),
    "friction": (lambda t, y: np.array([y[1], np.sin(0.7 * t) - 0.5 * np.sign(y[1]) - y[0]]), [0.3, 0.0]),
    "thermostat": (lambda t, y: np.where(y > 1.0, -1.0, 3.0), [0.0]),
}


@pytest.mark.parametrize("wall", WALLS)
@pytest.mark.parametrize("method", ["backward_euler", "trapezoidal", "sdirk2"])
def test_an_implicit_step_without_a_root_names_the_jump(method: str, wall: str) -> None:
    fun, start = WALLS[wall]
    r = mflow.solve_ivp(fun, (0, 5), start, method, dt=0.01)
    assert r.reason == "solve_failed"
    assert "both sides of the jump lead back to it: the solution slides along it" in r.message


def block(t_end: float) -> tuple[Array, list[float]]:
    """x and v of x'' = sin(.7 t) - .5 sign v - x from .3 at rest, from closed forms of its parts, and when it begins to move, stops, and
    moves again: it sticks while |sin(.7 t) - x| < .5."""
    w, c = 0.7, 1.0 / (1.0 - 0.49)

    def moving(s: float, since: float, x: float, side: float) -> Array:
        a, b = x + 0.5 * side - c * np.sin(w * since), -c * w * np.cos(w * since)
        cos, sin = np.cos(s - since), np.sin(s - since)
        return np.array([c * np.sin(w * s) - 0.5 * side + a * cos + b * sin, c * w * np.cos(w * s) - a * sin + b * cos])

    up = float(np.arcsin(0.8) / w)
    stop = float(brentq(lambda s: moving(s, up, 0.3, 1.0)[1], up + 1.0, up + 4.0, xtol=1e-14))
    x = float(moving(stop, up, 0.3, 1.0)[0])
    down = float(brentq(lambda s: np.sin(w * s) - x + 0.5, stop, stop + 1.0, xtol=1e-14))
    return moving(t_end, down, x, -1.0), [up, stop, down]


AT_5: dict[str, Array] = {"sign": np.zeros(1), "driven": np.zeros(1), "friction": block(5.0)[0], "thermostat": np.ones(1)}


def test_the_closed_form_of_the_block_is_near_that_of_a_round_jump() -> None:
    round_jump = solve_ivp(lambda t, y: [y[1], np.sin(0.7 * t) - 0.5 * np.tanh(1e4 * y[1]) - y[0]], (0, 5), [0.3, 0.0], "LSODA", rtol=1e-8)
    assert round_jump.y[:, -1] == pytest.approx(block(5.0)[0], abs=1e-3)


@pytest.mark.parametrize("wall", WALLS)
@pytest.mark.parametrize("method", ["dopri5", "bs32", "esdirk43", "bdf"])
def test_steps_under_error_control_slide_along_the_jump(method: str, wall: str) -> None:
    """No warning is given: what jumps is followed."""
    fun, start = WALLS[wall]
    r = mflow.solve_ivp(fun, (0, 5), start, method, rtol=1e-8, atol=1e-10, max_steps=3000)
    assert r.reason == "finished"
    assert r.y[:, -1] == pytest.approx(AT_5[wall], abs=2e-7)
    if wall == "sign":  # at y = 0, for sign(0) = 0, it rests
        assert r.y[0, -1] == pytest.approx(0.0, abs=1e-10)
        return
    if wall != "friction":  # which moves at the end
        assert f"slid along {float(wall == 'thermostat'):g}, where the right-hand side jumps" in r.message


POLES: dict[str, Any] = {
    "root": lambda d: np.abs(d) ** -0.5,
    "tenth root": lambda d: np.abs(d) ** -0.1,
    "cubic": lambda d: np.abs(d) ** -3.0,
    "logarithm": lambda d: 1.0 - np.log(np.abs(d)),
    "beside a jump": lambda d: 1.0 + 1e-3 / np.abs(d),
}


@pytest.mark.parametrize("pole", POLES)
@pytest.mark.parametrize("at", [0.0, 10.0])
@pytest.mark.parametrize("method", ["dopri5", "bs32"])
def test_nothing_slides_along_a_pole(method: str, at: float, pole: str) -> None:
    def fun(t: float, y: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(-np.sign(y - at) * POLES[pole](y - at))

    r = mflow.solve_ivp(fun, (0, 2), [at + 0.5], method, rtol=1e-6, atol=1e-9, max_steps=4000)
    assert "slid along" not in r.message
    assert not (r.success and pole in ("root", "cubic"))


@pytest.mark.parametrize("method", ["dopri5", "bs32", "bdf"])
def test_a_run_in_portions_of_few_steps_is_not_asked_for_jumps(method: str) -> None:
    calls = []
    r = mflow.solve_ivp(lambda t, y: calls.append(t) or -y, (0, 3), [1.0], method, rtol=1e-8, atol=1e-9, max_steps=3)
    assert r.reason == "max_steps"
    assert r.ncheck == 0
    assert len(calls) == r.nfev < 60


def test_a_jump_far_ahead_is_none_that_a_run_stands_at() -> None:
    assert sliding_words(WALLS["sign"][0], 0.0, np.array([0.98]), 1e-2, 4.0) == ""
    assert "both sides" in sliding_words(WALLS["sign"][0], 0.0, np.array([0.98]), 1e-2)
    fun = lambda t, y: [-np.sign(y[0]), np.sign(np.sin(1e3 * t))]  # noqa: E731  # what is rejected is the other jump's
    r = mflow.solve_ivp(fun, (0, 3), [1.0, 0.0], "dopri5", rtol=1e-6, atol=1e-9, max_steps=100)
    assert r.nrejected > 8
    assert "y = " not in r.message or abs(float(r.message.split("y = [")[1].split(",")[0])) > 0.5


@pytest.mark.parametrize("how", [{"method": "dopri5", "rtol": 1e-8, "min_step": 0.5}, {"method": "backward_euler", "dt": 0.01}])
def test_what_words_ask_for_is_counted_apart(how: dict[str, Any]) -> None:
    fun = WALLS["sign"][0] if "dt" in how else lambda t, y: -y
    calls: list[float] = []
    r = mflow.solve_ivp(lambda t, y: calls.append(t) or fun(t, y), (0, 3), [1.0], **how)
    assert r.reason in ("step_too_small", "solve_failed")
    assert 0 < r.ncheck < 200
    assert len(calls) == r.nfev + r.ncheck


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("method", ["dopri5", "radau5", "bdf", "bs32"])
def test_noise_and_slopes_of_few_digits_are_no_jump(method: str) -> None:
    rng = np.random.default_rng(0)
    noisy = mflow.solve_ivp(
        lambda t, y: np.array([y[1], -y[0]]) + 1e-2 * rng.normal(size=2), (0, 20), [1.0, 0.0], method, rtol=1e-6, atol=1e-9, max_steps=2000
    )
    few = mflow.solve_ivp(
        lambda t, y: -1e5 * (np.float32(y) - np.float32(1)) + np.float32(np.cos(t)),
        (0, 20),
        [0.5],
        method,
        rtol=1e-8,
        atol=1e-10,
        max_steps=2000,
    )
    assert not noisy.success
    for r in (noisy, few):
        assert "slides along" not in r.message


def single(y: Array) -> Array:
    return np.asarray(y).astype(np.float32).astype(np.float64)


STAIRS: dict[str, Any] = {  # smooth right-hand sides whose states have lost digits: what has jumped jumps again beside it
    "stiff": (lambda t, y: -1e5 * (single(y) - 1.0) + np.cos(t), [0.5]),
    "cubic": (lambda t, y: -1e4 * single(y) ** 3 + 1e3, [1.0]),
    "far": (lambda t, y: -1e2 * (single(y + 1000.0) - 1001.0) + np.sin(t), [0.5]),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("stairs", STAIRS)
@pytest.mark.parametrize("method", ["dopri5", "radau5"])
def test_a_state_taken_to_float32_makes_stairs_and_no_jump(method: str, stairs: str) -> None:
    fun, start = STAIRS[stairs]
    r = mflow.solve_ivp(fun, (0, 20), start, method, rtol=1e-6 if stairs == "far" else 1e-9, atol=1e-11, max_steps=1000)
    assert r.reason == "max_steps"
    assert r.ncheck > 0
    assert "slides along" not in r.message


def test_a_jump_stays_one_where_the_state_is_single_beside_it() -> None:
    fun = lambda t, y: -np.sign(y - 1.0) - 1e-2 * single(y)  # noqa: E731
    assert "near t = 0 y = [1.0]" in sliding_words(fun, 0.0, np.array([1.0 + 1e-4]), 1e-4)


def test_what_is_smooth_or_crossed_or_left_is_no_such_jump() -> None:
    rng = np.random.default_rng(0)
    for k in range(400):
        n = int(rng.integers(1, 4))
        A, d, y = rng.standard_normal((n, n)) * 10.0 ** rng.uniform(0, 4), rng.standard_normal(n), rng.standard_normal(n)
        fun = [
            lambda t, y, A=A: A @ y + np.sin(10.0 * y),
            lambda t, y: np.tanh(50.0 * y) - 1e3 * y**3,
            lambda t, y, d=d: (4.0 + 0.5 * np.sign(y @ d)) * d,
            lambda t, y: np.sign(y),
        ][k % 4]
        assert sliding_words(fun, 0.0, y, 10.0 ** rng.uniform(-8, 0)) == ""
