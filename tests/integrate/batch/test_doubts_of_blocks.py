"""Fixed steps past the stability limit, of functions for blocks of trajectories and of prepared solvers: y' = -rate tanh y, whose limit is
that of the method's polynomial over the rate, and which goes back and forth beyond.
"""

from __future__ import annotations

import ctypes
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import mflow
from support.problems import Array
from support.warned import told

SAID = "exceeds the stability limit"
NUMBERS, SIZE = ctypes.POINTER(ctypes.c_double), ctypes.c_ssize_t
LANES = ctypes.CFUNCTYPE(ctypes.c_int, NUMBERS, NUMBERS, NUMBERS, SIZE, SIZE, ctypes.c_void_p)
LIMITS = {"euler": 2.0, "rk4": 2.785293563405282, "tvd_rk3": 2.512745326618332, "bs32": 2.512745326618332}
RATE = 20.0


@LANES
def pulled(t: Any, y: Any, f: Any, n: int, lanes: int, ctx: Any) -> int:
    """Two components, the second of which decays slowly."""
    for l in range(lanes):
        f[l], f[lanes + l] = -RATE * math.tanh(y[l]), -0.1 * y[lanes + l]
    return 0


def starts(count: int) -> Array:
    return np.stack([np.linspace(1.0, 2.0, count), np.ones(count)], axis=1)


@pytest.mark.parametrize("method", LIMITS)
def test_blocks_past_the_limit_are_told_of(method: str) -> None:
    h = 1.4 * LIMITS[method] / RATE
    r, seen = told(lambda: mflow.solve_ivp_batch(pulled, (0, 60 * h), starts(70), method, dt=h, batch=True, threads=2))
    assert np.all(r.status == 0)
    assert np.abs(r.y[0, 0]) > 0.1
    assert len(seen) == 1
    assert seen[0].startswith("solve_ivp_batch: trajectory 0, the first of its block")
    assert SAID in r.messages[0]
    assert r[0].doubts == r.doubts[0]
    assert len(r.doubts) > 1  # the first of each block
    named = float(r.messages[0].split("which is about ")[1].split(" ")[0])
    assert 0.99 * LIMITS[method] / RATE < named < 1.3 * LIMITS[method] / RATE
    within, seen = told(lambda: mflow.solve_ivp_batch(pulled, (0, 60 * h), starts(70), method, dt=0.5 * h, batch=True, threads=2))
    assert not seen
    assert within.doubts == {}
    assert within[0].doubts == ()


def test_looks_change_no_bits_of_a_block() -> None:
    """Against runs one by one, whose looks are others."""
    h = 1.4 * LIMITS["rk4"] / RATE
    r, _ = told(lambda: mflow.solve_ivp_batch(pulled, (0, 60 * h), starts(3), "rk4", dt=h, batch=True))
    f = lambda t, y: [-RATE * math.tanh(y[0]), -0.1 * y[1]]  # noqa: E731
    for k, start in enumerate(starts(3)):
        alone, _ = told(lambda start=start: mflow.solve_ivp(f, (0, 60 * h), start, "rk4", dt=h, save="last"))
        assert np.array_equal(r.y[k], alone.y[:, -1])


def test_pieces_on_an_executor_say_the_same() -> None:
    h = 1.4 * LIMITS["euler"] / RATE
    whole, _ = told(lambda: mflow.solve_ivp_batch(pulled, (0, 60 * h), starts(70), "euler", dt=h, batch=True))
    with ThreadPoolExecutor(2) as pool:
        r, seen = told(lambda: mflow.solve_ivp_batch(pulled, (0, 60 * h), starts(70), "euler", dt=h, batch=True, executor=pool))
    assert len(seen) == 1
    assert r.doubts == whole.doubts


def test_a_prepared_solver_tells_once() -> None:
    pytest.importorskip("numba")

    def f(t, y, rate):  # type: ignore[no-untyped-def]
        return np.array([-rate * np.tanh(y[0]), -0.1 * y[1]])

    h = 1.4 * LIMITS["rk4"] / RATE
    solver = mflow.compile_solver(f, 2, "rk4", dt=h)
    y, seen = told(lambda: solver((0.0, 60 * h), [1.0, 1.0], [0.4 * RATE]))
    assert abs(y[0]) < 1e-3
    assert not seen
    y, seen = told(lambda: solver((0.0, 60 * h), [1.0, 1.0], [RATE]))
    assert abs(y[0]) > 0.1
    assert len(seen) == 1
    assert seen[0].startswith("compile_solver: near t = ")
    assert SAID in seen[0]
    assert not told(lambda: solver((0.0, 60 * h), [1.0, 1.0], [RATE]))[1]
    whole, _ = told(lambda: mflow.solve_ivp(lambda t, y: f(t, y, RATE), (0, 60 * h), [1.0, 1.0], "rk4", dt=h, save="last"))
    assert y == pytest.approx(whole.y[:, -1], rel=1e-9)


SLOPE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, NUMBERS, NUMBERS, SIZE, ctypes.c_void_p)


def test_a_right_hand_side_in_pieces_is_looked_at_as_a_whole() -> None:
    """Slopes of one piece beside those of another show nothing of a step."""

    @SLOPE
    def fun(t: float, y: Any, dydt: Any, n: int, ctx: Any) -> int:
        np.ctypeslib.as_array(dydt, (n,))[:] = -RATE * np.tanh(np.ctypeslib.as_array(y, (n,)))
        return 0

    start, dt = np.linspace(1.0, 2.0, 60_000), 0.14
    r, seen = told(lambda: mflow.solve_ivp(fun, (0, 140 * dt), start, "euler", dt=dt, elementwise=True, threads=2, save="last"))
    assert np.min(np.abs(r.y[:, -1])) > 0.1
    assert len(seen) == len(r.doubts) == 1
    assert SAID in r.doubts[0]


RATES = {
    "rises": lambda t: 10.0 * t,
    "of days": lambda t: 60.0 * max(0.0, math.sin(t)) + 0.1,
    "pulse": lambda t: 201.0 if 2.0 < t < 4.0 else 1.0,
    "jumps": lambda t: 1.0 if t < 5.0 else 60.0,
}


@pytest.mark.parametrize("method", ["rk4", "tvd_rk3"])
@pytest.mark.parametrize("name", RATES)
def test_blocks_past_a_limit_that_depends_on_time(name: str, method: str) -> None:
    """y' = -rate(t) (y - sin t) from 0 stays within 1; looks at the forcing, at the start, do not hide what steps make grow later on."""
    rate = RATES[name]

    @LANES
    def forced(t: Any, y: Any, f: Any, n: int, lanes: int, ctx: Any) -> int:
        for l in range(lanes):
            f[l] = -rate(t[l]) * (y[l] - math.sin(t[l]))
        return 0

    h = LIMITS[method] / (0.45 * max(rate(0.01 * k) for k in range(901)))
    r, seen = told(lambda: mflow.solve_ivp_batch(forced, (0, 9), np.zeros((1, 1)), method, dt=h, batch=True))
    assert np.abs(r.y[0, 0]) > 1e6
    assert len(seen) == 1
    assert SAID in r.messages[0]
    within, seen = told(lambda: mflow.solve_ivp_batch(forced, (0, 9), np.zeros((1, 1)), method, dt=0.3 * h, batch=True))
    assert np.abs(within.y[0, 0]) < 1.5
    assert not seen
