"""Trajectories of a function for blocks that go where no solution goes are told of, by closed forms; those that may go there are not."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

import mflow
from mflow.walls.crossed import crossed
from support.warned import told

NUMBERS, SIZE = ctypes.POINTER(ctypes.c_double), ctypes.c_ssize_t
LANES = ctypes.CFUNCTYPE(ctypes.c_int, NUMBERS, NUMBERS, NUMBERS, SIZE, SIZE, ctypes.c_void_p)


@LANES
def used_up(t: Any, y: Any, f: Any, n: int, lanes: int, ctx: Any) -> int:
    """Gone about t = y0, and 0 behind that; beside it what decays."""
    for l in range(lanes):
        f[l] = -y[l] / (1e-8 + y[l])
        f[lanes + l] = -y[lanes + l]
    return 0


@LANES
def swings(t: Any, y: Any, f: Any, n: int, lanes: int, ctx: Any) -> int:
    for l in range(lanes):
        f[l], f[lanes + l] = y[lanes + l], -y[l]
    return 0


@LANES
def forced(t: Any, y: Any, f: Any, n: int, lanes: int, ctx: Any) -> int:
    """The forcing 1/(1 - t) ends every solution at t = 1."""
    for l in range(lanes):
        f[l] = 1.0 / (1.0 - t[l]) - y[l] if t[l] != 1.0 else 1e300
    return 0


@LANES
def shrinks(t: Any, y: Any, f: Any, n: int, lanes: int, ctx: Any) -> int:
    """y' = 2 y/(t - 1) has a pole, and its solutions (t - 1)^2 go through."""
    for l in range(lanes):
        f[l] = 2.0 * y[l] / (t[l] - 1.0) if t[l] != 1.0 else 0.0
    return 0


def solve(fun: Any, span: tuple[float, float], y0: Any) -> Any:
    return told(lambda: mflow.solve_ivp_batch(fun, span, y0, batch=True))


def test_what_has_gone_over_zero_is_told_trajectory_by_trajectory() -> None:
    y0 = np.stack([np.linspace(1.0, 5.0, 6), np.ones(6)], axis=1)
    r, seen = solve(used_up, (0, 3), y0)
    gone = y0[:, 0] < 3.0
    assert sorted(r.doubts) == np.flatnonzero(gone & (r.y[:, 0] < -0.1)).tolist()
    assert r.doubts
    assert len(seen) == 1
    assert "component 0 has changed its sign" in seen[0]
    assert all("component 0 has changed its sign" in r.messages[k] for k in r.doubts)
    assert set(np.flatnonzero(r.ncheck)) <= {0, *np.flatnonzero(r.y[:, 0] < 0.0)}


def test_what_swings_is_not() -> None:
    r, seen = solve(swings, (0, 10), [[1.0, 0.0], [0.0, 1.0], [-2.0, 1.0]])
    assert not seen
    assert r.doubts == {}


def test_a_pole_of_the_forcing_is_told() -> None:
    r, seen = solve(forced, (0, 2.2), [[1.0], [2.0]])
    assert r.reason[0] == "finished"
    assert "grows without bound at t = 1" in seen[0]
    assert r[0].doubts
    r, _ = solve(forced, (0, 2.2), [[5.0], [2.0]])
    assert r.reason[0] == "diverged"


def test_a_pole_that_solutions_pass_is_not() -> None:
    r, seen = solve(shrinks, (0, 0.9), [[1.0]])
    assert not seen
    assert abs(r.y[0, 0] - 0.01) < 1e-3
    _, seen = solve(shrinks, (0, 2.2), [[1.0]])
    assert not [text for text in seen if "grows without bound" in text]


def test_a_component_that_crosses_beside_one_that_swings_farther_is_found() -> None:
    """y' = -y / (1e-8 + y) may not leave its side; the oscillator beside it goes from 1 to -0.9 by itself."""

    def slope(t: float, y: Any) -> Any:
        return np.array([y[2], -y[0] / 1.0, -y[0], -y[3] / (1e-8 + y[3])])

    start, end = np.array([1.0, 0.0, 0.0, 1.0]), np.array([-0.9, 0.0, 0.4, -0.1])
    assert crossed(slope, 0.0, 1.1, end, start) == 3
    assert crossed(slope, 0.0, 1.1, np.array([-0.9, 0.0, 0.4, 0.1]), start) == -1
