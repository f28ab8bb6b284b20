"""Loads that are functions and begin late: steps under error control, which grow while nothing happens, do not pass them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import mflow

integrate = pytest.importorskip("scipy.integrate")

OMEGA = 2.0 * np.pi / 0.3


def _ricker(t: float) -> float:
    a = (4.0 * np.pi * (t - 0.5)) ** 2
    return float((1.0 - 2.0 * a) * np.exp(-a))


LOADS: dict[str, Callable[[float], float]] = {
    "blast": lambda t: 10.0 * (1.0 - (t - 0.5) / 0.5) if 0.5 <= t < 1.0 else 0.0,
    "short blast": lambda t: 10.0 * (1.0 - (t - 0.5) / 0.05) if 0.5 <= t < 0.55 else 0.0,
    "Ricker's": _ricker,
    "train": lambda t: float(t % 0.5 > 0.4),
    "late": lambda t: 5.0 * (t >= 2.9),
    "dead load, then a blow": lambda t: 1.0 + 5.0 * (1.5 <= t < 1.55),
}


@pytest.mark.parametrize("name", LOADS)
def test_a_load_that_begins_late_is_seen(name: str) -> None:
    load, calls = LOADS[name], 0

    def counted(t: float) -> list[float]:
        nonlocal calls
        calls += 1
        return [load(t)]

    r = mflow.solve_dynamics(1.0, 0.5, OMEGA**2, counted, (0, 3), [0.0], rtol=1e-5, atol=1e-8)
    exact = integrate.solve_ivp(
        lambda t, y: [y[1], load(t) - 0.5 * y[1] - OMEGA**2 * y[0]], (0, 3), [0.0, 0.0], "RK45", r.t, rtol=1e-8, atol=1e-12, max_step=0.005
    )
    assert (r.reason, calls) == ("finished", r.nfev + r.ncheck)
    assert np.abs(r.x[0] - exact.y[0]).max() < 0.02 * np.abs(exact.y[0]).max()


@pytest.mark.parametrize("name", LOADS)
def test_a_force_that_begins_late_is_seen(name: str) -> None:
    load, calls = LOADS[name], 0

    def force(t: float, x: np.ndarray, v: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        return load(t) - 0.5 * v - OMEGA**2 * x

    how = {"rtol": 1e-5, "atol": 1e-8}
    r = mflow.solve_dynamics(force=force, t_span=(0, 3), x0=[0.0], **how)
    assert (r.reason, calls) == ("finished", r.nfev + r.ncheck)
    of_load = mflow.solve_dynamics(1.0, 0.5, OMEGA**2, lambda t: [load(t)], (0, 3), [0.0], **how)
    assert abs(r.x[0, -1] - of_load.x[0, -1]) < 0.01 * np.abs(of_load.x).max()


def test_a_load_that_knows_the_times_of_steps_alone() -> None:
    def load(t: float) -> list[float]:
        if t > 1.0:
            raise LookupError(t)
        return [1.0]

    r = mflow.solve_dynamics(1.0, 0.5, OMEGA**2, load, (0, 1), [0.0])
    assert r.reason == "finished"
    with pytest.raises(LookupError):
        mflow.solve_dynamics(1.0, 0.5, OMEGA**2, load, (0, 2), [0.0])
