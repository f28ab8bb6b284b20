"""Runs that begin anew on their way, against the same done by restarts in a loop of Python: spikes of an integrate-and-fire neuron through
`Stepper.set_state` and SciPy's `solve_ivp` from spike to spike, ten doses through SciPy from dose to dose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mflow

if TYPE_CHECKING:
    from conftest import Bench

scipy_ivp = pytest.importorskip("scipy.integrate").solve_ivp

TOL = {"rtol": 1e-8, "atol": 1e-10}
AGAINST_RESTARTS = 0.5
SPIKES, DRIVE = 20, 2.0
END = 10.0 * np.log(DRIVE / (DRIVE - 1.0)) * (SPIKES + 0.5)


def lif(t: float, v: Any) -> Any:
    return (DRIVE - v) / 10.0


def threshold(t: float, v: Any) -> float:
    return float(v[0] - 1.0)


def fires(t: float, v: Any) -> float:
    return float(v[0] - 1.0)


fires.action = lambda t, v: [0.0]  # type: ignore[attr-defined]
threshold.terminal = True  # type: ignore[attr-defined]


def acting(count: int) -> None:
    for _ in range(count):
        assert mflow.solve_ivp(lif, (0, END), [0.0], events=fires, **TOL).t_events[0].size == SPIKES


def restarted(solve: Any) -> Any:
    def run(count: int) -> None:
        for _ in range(count):
            t, spikes = 0.0, 0
            while t < END:
                r = solve(lif, (t, END), [0.0], events=threshold, **TOL)
                t, spikes = r.t[-1], spikes + (r.status == 1)
            assert spikes == SPIKES

    return run


def test_spikes(bench: Bench) -> None:
    functions = {"mflow": acting, "scipy, restarts": restarted(scipy_ivp), "mflow, restarts": restarted(mflow.solve_ivp)}
    bench.compare("20 spikes", functions, {"scipy, restarts": AGAINST_RESTARTS, "mflow, restarts": 1.0}, seconds=0.05)


def body(t: float, y: Any) -> Any:
    return np.array([-1.2 * y[0], 1.2 * y[0] - 0.3 * y[1]])


def dosed(count: int) -> None:
    doses = [(12.0 * j, 0, 100.0) for j in range(10)]
    for _ in range(count):
        mflow.solve_ivp(body, (0, 120), [0.0, 0.0], doses=doses, **TOL)


def by_hand(count: int) -> None:
    for _ in range(count):
        y = np.zeros(2)
        for j in range(10):
            y = scipy_ivp(body, (12.0 * j, 12.0 * (j + 1)), y + np.array([100.0, 0.0]), **TOL).y[:, -1]


def test_doses(bench: Bench) -> None:
    bench.compare("10 doses", {"mflow": dosed, "scipy, restarts": by_hand}, {"scipy, restarts": AGAINST_RESTARTS}, seconds=0.05)
