"""Variable steps that keep the symmetry of a method: an orbit of eccentricity .95, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow

Array = np.ndarray
E = 0.95
ORBIT: dict[str, Any] = {"velocity_free": True, "x0": [1 - E, 0.0], "v0": [0.0, ((1 + E) / (1 - E)) ** 0.5], "energy": False}


def pull(t: float, x: Array, v: Array) -> Array:
    return -x / np.hypot(*x) ** 3


def size(x: Array, v: Array) -> float:
    return float(0.03 * np.hypot(*x) ** 1.5)


def energies(s: Any) -> Array:
    return np.asarray(0.5 * np.sum(s.v**2, axis=0) - 1.0 / np.hypot(*s.x))


def apocentres(s: Any) -> Array:
    """Energies where the orbit is farthest, one each turn."""
    r = np.hypot(*s.x)
    top = np.flatnonzero((r[1:-1] >= r[:-2]) & (r[1:-1] > r[2:])) + 1
    return energies(s)[top]


@pytest.mark.filterwarnings("ignore:solve_dynamics. dt = .* exceeds the stability limit:RuntimeWarning")
@pytest.mark.parametrize("method", ["leapfrog", "yoshida4"])
def test_an_eccentric_orbit_does_not_drift(method: str) -> None:
    """Energies of 20 turns at some 310 steps each; by the same sizes without the rule they drift, and fixed steps of that number lose the
    orbit."""
    span = (0.0, 40 * np.pi)
    s = mflow.solve_dynamics(force=pull, t_span=span, method=method, dt=mflow.SymmetricSteps(size), **ORBIT)
    assert s.success
    assert s.nsteps < 320 * 20
    of_turns = apocentres(s)
    assert of_turns.size == 20
    off = float(np.max(np.abs(energies(s) + 0.5)))
    assert off < 4e-3
    slope = np.polyfit(np.arange(20), of_turns, 1)[0]
    assert abs(slope) < 1e-7 * off
    plain = mflow.solve_dynamics(force=pull, t_span=span, method=method, dt=lambda q, t, x, v: size(x, v), **ORBIT)
    drifting = apocentres(plain)
    assert abs(np.polyfit(np.arange(drifting.size), drifting, 1)[0]) > 1000 * abs(slope)
    fixed = mflow.solve_dynamics(force=pull, t_span=(0, 4 * np.pi), method=method, dt=2 * np.pi / 310, **ORBIT)
    assert np.max(np.abs(energies(fixed) + 0.5)) > 0.3


def test_the_rule_is_its_own_reverse() -> None:
    dt = mflow.SymmetricSteps(size)
    s = mflow.solve_dynamics(force=pull, t_span=(0, 3.0), method="leapfrog", dt=dt, **ORBIT)
    steps = np.diff(s.t)[:-1].tolist()  # the last one is cut
    for q in range(1, len(steps)):
        assert 1 / steps[q] + 1 / steps[q - 1] == pytest.approx(2 / size(s.x[:, q], s.v[:, q]), rel=1e-9)


def test_a_resumed_run_has_the_same_bits(tmp_path: Path) -> None:
    def stop(t: float, x: Array, v: Array) -> bool:
        return t > 2.0

    call: dict[str, Any] = {"force": pull, "t_span": (0, 5.0), "method": "leapfrog", "dt": mflow.SymmetricSteps(size), **ORBIT}
    whole = mflow.solve_dynamics(**call)
    mflow.solve_dynamics(**call, callback=stop, checkpoint=tmp_path / "a", checkpoint_every=7)
    again = mflow.solve_dynamics(**call, resume=tmp_path / "a")
    np.testing.assert_array_equal(again.x, whole.x)
    np.testing.assert_array_equal(again.t, whole.t)


def test_what_symmetric_steps_refuse() -> None:
    with pytest.raises(TypeError, match=r"size: expected a function of \(x, v\)"):
        mflow.SymmetricSteps(0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="bathe is not one as it is given"):
        mflow.solve_dynamics(stiffness=1.0, x0=[1.0], t_span=(0, 1), method="bathe", dt=mflow.SymmetricSteps(size))
    with pytest.raises(ValueError, match="hht is not one as it is given"):
        mflow.solve_dynamics(stiffness=1.0, x0=[1.0], t_span=(0, 1), method="hht", dt=mflow.SymmetricSteps(size))
    with pytest.raises(ValueError, match=r"size\(x, v\): expected a finite number above 0, got 0"):
        mflow.solve_dynamics(stiffness=1.0, x0=[0.0], t_span=(0, 1), method="leapfrog", dt=mflow.SymmetricSteps(lambda x, v: 0.0))
    with pytest.warns(RuntimeWarning, match="changes more than twofold within a step"):
        s = mflow.solve_dynamics(
            stiffness=1.0, x0=[1.0], t_span=(0, 6), method="newmark", dt=mflow.SymmetricSteps(lambda x, v: 0.01 if x[0] < 0 else 0.5)
        )
    assert s.success
