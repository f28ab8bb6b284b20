"""A charge in a magnetic field, which turns velocities and does no work: the speed stays as it was, and methods that raise it say so."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import mflow

GYRO = [[0.0, -1.0], [1.0, 0.0]]


def field(t: float, x: Any, v: Any) -> Any:
    return np.array([v[1], -v[0]])


@pytest.mark.parametrize("given", [{"force": field}, {"mass": 1.0, "damping": GYRO}])
@pytest.mark.parametrize("method", ["leapfrog", "symplectic_euler"])
def test_a_speed_that_grows_is_reported(method: str, given: dict[str, Any]) -> None:
    call: dict[str, Any] = {**given, "x0": [0.0, 0.0], "v0": [1.0, 0.0], "method": method}
    with pytest.warns(RuntimeWarning, match=r"no stable step for forces that change velocities at the rate 1.*; take newmark"):
        r = mflow.solve_dynamics(t_span=(0, 20), dt=0.1, **call)
    assert np.linalg.norm(r.v[:, -1]) > 2.0  # exact: 1
    assert len(r.doubts) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        short = mflow.solve_dynamics(t_span=(0, 0.1), dt=1e-3, **call)
    assert abs(np.linalg.norm(short.v[:, -1]) - 1.0) < 1e-3
    assert not short.doubts


@pytest.mark.parametrize("given", [{"force": field}, {"mass": 1.0, "damping": GYRO}])
@pytest.mark.parametrize("method", ["newmark", "staggered"])
def test_methods_that_keep_it_are_silent(method: str, given: dict[str, Any]) -> None:
    r = mflow.solve_dynamics(x0=[0.0, 0.0], v0=[1.0, 0.0], t_span=(0, 20), dt=0.1, method=method, **given)
    assert abs(np.linalg.norm(r.v[:, -1]) - 1.0) < 1e-12
    assert not r.doubts


def test_the_limit_of_damping_without_a_symmetric_part() -> None:
    assert mflow.max_stable_dt("leapfrog", mass=[1.0, 1.0], damping=GYRO, stiffness=np.zeros((2, 2))) == 0.0
    assert mflow.max_stable_dt("newmark", mass=[1.0, 1.0], damping=GYRO, stiffness=np.zeros((2, 2))) == np.inf
