"""Steps of long states, whose new numbers are looked at while they are written: against formulas, and where one is not finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mflow_core import registry
from mflow_core.problems import problem
from mflow_core.stepping import stepper

import mflow

N = 50_003  # beyond LONG of pool.pxd, and no multiple of a block or a register; steps look at their ends from LOOKED_AT of run.pyx on
Array = np.ndarray[Any, np.dtype[np.float64]]
EXPLICIT = {r.name: r for r in registry.records() if r.family == "runge_kutta"}
STEPS, H = 2, 0.1


def decay(t: float, y: Array) -> Array:
    return -y + t


def polynomial(name: str, z: float) -> float:
    """The amplification of a method of order p with p stages: 1 + z + ... + z^p/p!."""
    return float(sum(z**k / np.prod(np.arange(1.0, k + 1)) for k in range(EXPLICIT[name].order + 1)))


@pytest.mark.parametrize("name", [name for name, r in EXPLICIT.items() if r.order == r.stages])
def test_a_long_state_decays_by_the_polynomial_of_its_order(name: str) -> None:
    start = np.linspace(-1.0, 1.0, N)
    r = mflow.solve_ivp(lambda t, y: -y, (0.0, STEPS * H), start, method=name, dt=H, save="last")
    np.testing.assert_allclose(r.y[:, -1], start * polynomial(name, -H) ** STEPS, rtol=1e-14)


@pytest.mark.parametrize("name", EXPLICIT)
def test_long_and_short_states_have_the_same_bits(name: str) -> None:
    start = np.linspace(-1.0, 1.0, N)
    few = [0, 1, 1023, 1024, 49_999, N - 1]
    long, short = (mflow.solve_ivp(decay, (0.0, STEPS * H), y, method=name, dt=H, save="last").y[:, -1] for y in (start, start[few]))
    assert long[few].tobytes() == short.tobytes()


@pytest.mark.parametrize(("name", "where"), [("euler", 1024), ("rk4", N - 1), ("tvd_rk3", 1024), ("ssprk104", N - 1)])
def test_a_number_that_is_not_finite_ends_a_long_run_at_its_last_good_state(name: str, where: int) -> None:
    def breaks(t: float, y: Array) -> Array:
        slope = -y
        if t >= 1.5 * H:
            slope[where] = np.inf
        return slope

    r = mflow.solve_ivp(breaks, (0.0, 5 * H), np.ones(N), method=name, dt=H, save="last")
    assert not r.success
    assert np.isfinite(r.y).all()
    assert H / 2 < r.t[-1] < 2.5 * H


@pytest.mark.parametrize("name", ["euler", "midpoint", "rk3", "rk4", "tvd_rk2", "tvd_rk3"])
def test_every_number_of_a_step_is_looked_at(name: str) -> None:
    """In whole registers and in what is left of them, by the loop for each form of the last combination."""
    for n in (64, 75):
        for where in range(n):
            bad = np.full(n, 1e300)
            bad[where] = np.inf
            run = stepper.Run(EXPLICIT[name], problem.rhs_problem(lambda t, y, bad=bad: -y if t < H / 2 else bad, (n,)), np.ones(n), 0.0, H)
            assert run.fixed(3) == stepper.NON_FINITE
            assert np.isfinite(run.y).all()


@pytest.mark.parametrize("steps", [2, 9])  # few are taken from state to state, more of them in place
@pytest.mark.parametrize("name", ["velocity_verlet", "newmark"])
def test_long_motions_follow_cosines(name: str, steps: int) -> None:
    x0 = np.linspace(-1.0, 1.0, N)
    r = mflow.solve_dynamics(1.0, None, 1.0, t_span=(0.0, steps * H), x0=x0, method=name, dt=H, save="last")
    turn = np.arccos(1.0 - H * H / 2) if name == "velocity_verlet" else 2.0 * np.arctan(H / 2)
    np.testing.assert_allclose(r.x[:, -1], x0 * np.cos(steps * turn), rtol=1e-12)


@pytest.mark.parametrize("name", ["velocity_verlet", "newmark"])
def test_long_and_short_motions_have_the_same_bits(name: str) -> None:
    """Steps of long states are looked at, those of short ones are plain."""
    x0 = np.linspace(-1.0, 1.0, N)
    few = [0, 1, 1023, 1024, 49_999, N - 1]
    how: dict[str, Any] = {"t_span": (0.0, 3 * H), "method": name, "dt": H, "save": "last"}
    long, short = (mflow.solve_dynamics(1.0, None, 1.0, x0=x, **how) for x in (x0, x0[few]))
    for one, other in ((long.x, short.x), (long.v, short.v)):
        assert one[few, -1].tobytes() == other[:, -1].tobytes()


def test_a_force_that_is_not_finite_ends_a_long_motion_at_its_last_good_state() -> None:
    def breaks(t: float, x: Array, v: Array) -> Array:
        force = -x
        if t >= 1.5 * H:
            force[N - 1] = np.nan
        return force

    r = mflow.solve_dynamics(force=breaks, t_span=(0.0, 5 * H), x0=np.ones(N), method="velocity_verlet", dt=H, save="last")
    assert not r.success
    assert np.isfinite(r.x).all()
    assert np.isfinite(r.v).all()
    assert abs(r.t[-1] - H) < 1e-12
