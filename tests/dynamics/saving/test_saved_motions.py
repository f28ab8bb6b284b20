"""Saved motions with a right checksum and false contents: refused by name, or without consequence."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow
from support.hostile import altered
from support.hostile.altered import Stop, fuse

K = np.array([[2.0, -1.0], [-1.0, 2.0]])
SHARE = 23


def force(t: float, x: Any, v: Any) -> Any:
    return -K @ np.sin(x) - 0.3 * v * np.abs(v) + math.cos(t)


def crossing(t: float, x: Any, v: Any) -> float:
    return float(x[0] - 0.3 * v[1])


WAYS: list[dict[str, Any]] = [
    {"method": "velocity_verlet", "dt": 0.1, "energy": True},
    {"method": "newmark", "rtol": 1e-4},
    {"method": "hht", "dt": 0.05, "events": crossing, "dense_output": True, "t_eval": np.linspace(0, 2, 9)},
    {"method": "generalized_alpha", "dt": 0.1, "save": "last"},
]


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_no_field_of_a_checkpoint_is_believed(way: int, tmp_path: Path) -> None:
    call = {"force": force, "t_span": (0, 2), "x0": [1.0, -0.5], "v0": [0.2, 0.0], **WAYS[way]}
    with pytest.raises(Stop):
        mflow.solve_dynamics(**call, checkpoint=tmp_path / "good", checkpoint_every=1, callback=fuse(6))
    straight, named = mflow.solve_dynamics(**call), list[bool]()
    magic, cases = altered.read(tmp_path / "good")[0], altered.cases(tmp_path / "good")[way::SHARE]
    for words, facts, blocks in cases:
        altered.write(tmp_path / "bad", magic, facts, blocks)
        try:
            r = mflow.solve_dynamics(**call, resume=tmp_path / "bad")
        except ValueError as error:
            named.append("bad" in str(error))
            continue
        assert (r.reason, r.nsteps, r.nfev, r.njev) == (straight.reason, straight.nsteps, straight.nfev, straight.njev), words
        np.testing.assert_allclose(r.x, straight.x, rtol=1e-3, err_msg=words)
    assert all(named)
    assert len(named) > 20


@pytest.mark.parametrize("way", [{}, {"rtol": 1e-3}, {"energy": True}], ids=["fixed", "controlled", "energy"])
def test_no_field_of_a_stepper_is_believed(way: dict[str, Any], tmp_path: Path) -> None:
    def go_on(st: Any) -> Any:
        for _ in range(4):
            st.step(None if "rtol" in way else 0.1)
        return st

    st, named = go_on(mflow.Stepper("newmark", force, [1.0, 2.0], [0.1, 0.2], t0=0.5, **way)), list[bool]()
    st.save(tmp_path / "good")
    go_on(st)
    magic, cases = altered.read(tmp_path / "good")[0], altered.cases(tmp_path / "good")[len(way) :: SHARE]
    for words, facts, blocks in cases:
        altered.write(tmp_path / "bad", magic, facts, blocks)
        try:
            other = mflow.Stepper.load(tmp_path / "bad", force)
        except ValueError as error:
            named.append("bad" in str(error))
            continue
        go_on(other)
        assert other.k == st.k, words
        np.testing.assert_allclose([other.t, *other.x, *other.v], [st.t, *st.x, *st.v], rtol=1e-2, err_msg=words)
    assert all(named)
    assert len(named) > 15
