"""Centred RMSprop carried the mean of squares in older versions, and carries the spread now: no state of one goes on as the other."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.saving.saved_run import HEAD, NUMBERS
from mflow.saving.savefile import read_state, write_state
from support.problems import Array

SETTINGS: dict[str, Any] = {"method": "rmsprop", "centered": True, "lr": 1e-2, "gtol": 0.0}


def cost(x: Array) -> tuple[float, Array]:
    return float(0.5 * np.sum((x - 3) ** 2) + 0.1 * np.sum(x**4)), x - 3 + 0.4 * x**3


def older(packed: bytes) -> bytes:
    """The bytes of a run as they were without the number beside the vectors."""
    magic, form, flags, n, n_vec, n_scal, n_par, length = HEAD.unpack_from(packed)
    at = HEAD.size + length + 8 * (NUMBERS + n_par)
    body = HEAD.pack(magic, form, flags, n, n_vec, 0, n_par, length) + packed[HEAD.size : at] + packed[at + 8 * n_scal : -4]
    return body + struct.pack("<I", zlib.crc32(body))


def test_a_file_of_an_older_centred_rmsprop_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run"
    whole = mflow.minimize(cost, [5.0, -2.0], jac=True, maxiter=60, **SETTINGS)
    mflow.minimize(cost, [5.0, -2.0], jac=True, maxiter=50, checkpoint=path, **SETTINGS)
    again = mflow.minimize(cost, [5.0, -2.0], jac=True, maxiter=60, resume=path, **SETTINGS)
    np.testing.assert_array_equal(again.x, whole.x)
    facts, blocks = read_state(path, "stepper")
    blocks["run"] = older(blocks["run"])
    write_state(path, "stepper", facts, blocks)
    with pytest.raises(ValueError, match="in older files v of centred RMSprop is another mean"):
        mflow.minimize(cost, [5.0, -2.0], jac=True, maxiter=60, resume=path, **SETTINGS)


def test_a_state_dict_of_an_older_centred_rmsprop_is_refused_with_the_way_to_mend_it() -> None:
    c, d = np.ones(2), np.ones(2)
    opt, other = mflow.optim.RMSprop(c, centered=True), mflow.optim.RMSprop(d, centered=True)
    for k in range(5):
        opt.step(np.array([1.0 + k, 2.0]))
    state = opt.state_dict()
    before = {**state, "groups": [{**state["groups"][0], "scalars": []}]}
    with pytest.raises(ValueError, match=r"take a\*\*2 from each v.*the scalars \[1\.0\]"):
        other.load_state_dict(before)
    other.load_state_dict({**before, "groups": [{**before["groups"][0], "scalars": [1.0]}]})
    d[...] = c
    opt.step(np.ones(2))
    other.step(np.ones(2))
    np.testing.assert_array_equal(c, d)
