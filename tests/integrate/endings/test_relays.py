"""Slopes that jump where a component passes a number, towards it from both sides: relays and dry friction, against closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

import mflow

# a method that measures the largest rate of f on its way has none to measure where f jumps
CONTROLLED = [m.name for m in mflow.methods() if "embedded" in m.flags and not {"second_order", "needs_rho"} & m.flags] + ["auto"]
TOLERANCES: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-9}
TIMES = [2.0, 3.0, 3.8, 5.0, 8.0, 12.0]
MOST = 25_000
pytestmark = pytest.mark.filterwarnings("ignore:.*jumps")


def relay(t: float, y: Any) -> Any:
    return -np.sign(y) + 1.5 * np.sin(t)


def exact_relay(t_end: float) -> float:
    """y of y' = 1.5 sin t - sign y from 1: it stays at 0 while |1.5 sin t| <= 1, and moves by 1.5 (cos t0 - cos t) -+ (t - t0) else."""
    t, y = 0.0, 1.0
    while True:
        side = np.sign(y)
        if y == 0.0:
            leaves = [k * np.pi + np.arcsin(2.0 / 3.0) for k in range(5)]
            t = t if abs(1.5 * np.sin(t)) > 1.0 else min((s for s in leaves if s > t), default=np.inf)
            if t >= t_end:
                return 0.0
            side = np.sign(np.sin(t))

        def way(s: Any, t: float = t, y: float = y, side: float = side) -> Any:
            return y - side * (s - t) + 1.5 * (np.cos(t) - np.cos(s))

        grid = np.linspace(t, t_end, 20_001)[1:]
        back = np.flatnonzero(side * way(grid) < -1e-13)
        if not back.size:
            return float(way(t_end))
        t, y = float(brentq(way, grid[back[0] - 1], grid[back[0]])), 0.0


EXACT = np.array([exact_relay(t) for t in TIMES])


@pytest.mark.parametrize("method", CONTROLLED)
def test_a_relay_with_a_forcing_slides_and_goes_on(method: str) -> None:
    calls = 0

    def counted(t: float, y: Any) -> Any:
        nonlocal calls
        calls += 1
        assert calls < MOST
        return relay(t, y)

    r = mflow.solve_ivp(counted, (0, 12), [1.0], method, t_eval=TIMES, **TOLERANCES)
    assert r.success
    assert r.nfev + r.ncheck == calls
    assert np.max(np.abs(r.y[0] - EXACT)) < 2e-5


def test_a_long_run_slides_as_a_short_one() -> None:
    """What slides for less than a thousandth of the run was not followed. From its first arrival on the solution is periodic."""
    r = mflow.solve_ivp(relay, (0, 150), [1.0], "radau5", t_eval=[149.0], max_steps=20_000, **TOLERANCES)
    assert r.success
    assert r.y[0, -1] == pytest.approx(exact_relay(2.0 * np.pi + 149.0 % (2.0 * np.pi)), abs=2e-5)


@pytest.mark.parametrize("method", ["dopri5", "radau5", "bdf"])
def test_a_block_with_dry_friction_sticks_where_it_stops(method: str) -> None:
    # x'' = -x - .3 sign v: half swings about +-.3, whose ends are 1, -.4, -.2; there |x| < .3, and it stays
    def slope(t: float, y: Any) -> Any:
        return np.array([y[1], -y[0] - 0.3 * np.sign(y[1])])

    jac = None if method == "dopri5" else (lambda t, y: np.array([[0.0, 1.0], [-1.0, 0.0]]))
    start = 0.3 + 0.7 * np.cos(0.1), -0.7 * np.sin(0.1)
    r = mflow.solve_ivp(slope, (0.1, 30), start, method, jac=jac, max_steps=2000, **TOLERANCES)
    assert r.success
    assert "component 1 slid along 0, where the right-hand side jumps and leads back from both sides" in r.message
    assert r.y[0, -1] == pytest.approx(-0.2, abs=2e-5)
    assert abs(r.y[1, -1]) < 1e-9


def test_two_relays_slide_at_once_and_backwards() -> None:
    def slope(t: float, y: Any) -> Any:
        return np.array([-np.sign(y[0]) + 0.5 * np.sin(t), -np.sign(y[1] - 0.3) + 0.4 * np.cos(t) + 0.1 * y[0]])

    r = mflow.solve_ivp(slope, (0, 20), [1.0, 1.0], "dopri5", max_steps=2000, **TOLERANCES)
    back = mflow.solve_ivp(lambda t, y: -slope(-t, y), (0, -20), [1.0, 1.0], "dopri5", max_steps=2000, **TOLERANCES)
    assert r.y[:, -1] == pytest.approx([0.0, 0.3], abs=1e-9)
    assert np.array_equal(back.y, r.y)


@pytest.mark.parametrize("method", ["dopri5", "bdf", "auto"])
def test_a_run_that_slides_goes_on_from_a_file(method: str, tmp_path: Path) -> None:
    whole = mflow.solve_ivp(relay, (0, 12), [1.0], method, **TOLERANCES)
    sliding = np.flatnonzero((whole.t > 3.75) & (whole.t < 3.87))
    for cut in (int(sliding[1]), whole.nsteps - 3):
        file = tmp_path / f"{cut}"
        mflow.solve_ivp(relay, (0, 12), [1.0], method, checkpoint=file, max_steps=cut, **TOLERANCES)
        r = mflow.solve_ivp(relay, (0, 12), [1.0], method, resume=file, **TOLERANCES)
        assert np.array_equal(r.y, whole.y)
        assert np.array_equal(r.t, whole.t)


@pytest.mark.parametrize("method", ["dopri5", "radau5", "auto"])
def test_the_event_of_a_relay_is_told_once_each_time_it_arrives(method: str) -> None:
    r = mflow.solve_ivp(relay, (0, 12), [1.0], method, events=[lambda t, y: y[0], lambda t, y: t - 9.7], **TOLERANCES)
    arrivals = []
    for low, high in ((3.0, 3.8), (5.0, 6.9), (8.5, 10.0)):
        grid = np.linspace(low, high, 50)
        values = np.array([exact_relay(t) for t in grid])
        arrivals.append(grid[np.flatnonzero(values == 0.0)[0]])
    assert r.t_events[0] == pytest.approx(arrivals, abs=0.05)
    assert r.t_events[1] == pytest.approx([9.7])


def test_a_surface_that_no_component_has_alone_is_not_slid_along() -> None:
    def oblique(t: float, y: Any) -> Any:
        return np.array([-np.sign(y[0] + y[1]), 0.1 + 0 * t])

    r = mflow.solve_ivp(oblique, (0, 3), [1.0, 0.5], "dopri5", max_steps=400, **TOLERANCES)
    assert not r.success
    assert r.reason == "max_steps"
    assert "slid" not in r.message


def test_a_gradient_that_jumps_ends_for_a_reason() -> None:
    r = mflow.gradient_flow(lambda x: x - 0.5 + np.sign(x), [1.0], 10.0, "dopri5", max_steps=400, **TOLERANCES)
    assert r.reason == "max_steps"
    assert "the right-hand side jumps" in r.message


@pytest.mark.parametrize("method", ["bdf", "esdirk43", "radau5"])
def test_what_is_steep_and_smooth_is_no_jump(method: str) -> None:
    """|y| stays below 1e-6 after t = 1.3. Kept as at a jump, and let go, bdf ended at -19 with success."""
    call: dict[str, Any] = {"method": method, "rtol": 1e-3, "atol": 1e-3, "max_steps": 1500}
    r = mflow.solve_ivp(lambda t, y: -np.tanh(1e6 * y) + 0.5 * np.sin(t), (0, 10), [1.0], **call)
    assert "slid" not in r.message
    assert "kept" not in r.message
    assert abs(r.y[0, -1]) < 1e-2
