"""Numbers that are not finite in what a saved stepper or optimizer carries: refused by name, or said where they may be right."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mflow
from mflow.saving.savefile import read_state, write_state

if TYPE_CHECKING:
    from pathlib import Path


def altered(path: Path, old: float, new: float) -> None:
    """The file with the last number `old` of its run changed, and checksums that fit again."""
    facts, blocks = read_state(path, "stepper")
    run = blocks["run"]
    place = run.rindex(np.float64(old).tobytes())
    run = run[:place] + np.float64(new).tobytes() + run[place + 8 : -4]
    write_state(path, "stepper", facts, {**blocks, "run": run + zlib.crc32(run).to_bytes(4, "little")})


def optimizer(method: str) -> Any:
    st = mflow.Stepper(method, grad=lambda c: 2.0 * c, y0=[1.25, 2.5], lr=0.1)
    st.advance(3)
    return st


def numbers(st: Any, name: str) -> Any:
    return st._run.vector(st.method.record.vectors.index(name))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize(("method", "name"), [("momentum", "v"), ("adam", "m"), ("adam", "v"), ("nesterov", "v")])
def test_a_stepper_refuses_what_no_step_leaves(method: str, name: str, value: float, tmp_path: Path) -> None:
    st, path = optimizer(method), tmp_path / "state"
    st.save(path)
    altered(path, numbers(st, name)[1], value)
    if (method, name, value) == ("adam", "v", math.inf):  # a square may have overflowed
        with pytest.warns(RuntimeWarning, match="v is inf in entry 1, as it was saved"):
            mflow.Stepper.load(path, lambda c: 2.0 * c)
    else:
        with pytest.raises(ValueError, match=f"{name}: expected finite numbers, got {value} in entry 1"):
            mflow.Stepper.load(path, lambda c: 2.0 * c)


def test_a_slope_that_is_not_finite_is_said(tmp_path: Path) -> None:
    st, path = mflow.Stepper("dopri5", lambda t, y: -y, [1.25, 2.5], rtol=1e-6, atol=1e-9), tmp_path / "state"
    st.step()
    st.save(path)
    name = st.method.record.vectors[1]
    altered(path, numbers(st, name)[1], math.inf)
    with pytest.warns(RuntimeWarning, match=f"{name} is inf in entry 1, as it was saved"):
        mflow.Stepper.load(path, lambda t, y: -y)


@pytest.mark.parametrize("method", ["dopri5", "dop853", "bdf", "radau5", "esdirk43", "rodas5p", "rk4", "rkc2", "backward_euler"])
def test_what_is_finite_loads_without_a_word(method: str, tmp_path: Path) -> None:
    """Warnings are errors here; the oracle is the run that was never saved."""
    tolerances = {} if method in ("rk4", "backward_euler") else {"rtol": 1e-6, "atol": 1e-9}
    st, path = mflow.Stepper(method, lambda t, y: -y, [1.25, 2.5], **tolerances), tmp_path / "state"
    step = (lambda s: s.step()) if tolerances else (lambda s: s.step(0.1))
    for _ in range(3):
        step(st)
    st.save(path)
    again = mflow.Stepper.load(path, lambda t, y: -y)
    step(st)
    step(again)
    np.testing.assert_array_equal(st.y, again.y)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_state_that_is_set_is_finite(value: float) -> None:
    st = mflow.Stepper("rk4", lambda t, y: -y, [1.25, 2.5])
    with pytest.raises(ValueError, match="y: expected"):
        st.set_state(y=[1.0, value])
    with pytest.raises(ValueError, match="t: expected"):
        st.set_state(t=value)
    np.testing.assert_array_equal(st.y, [1.25, 2.5])


@pytest.mark.parametrize(("name", "value"), [("m", math.inf), ("m", math.nan), ("v", math.nan)])
def test_an_optimizer_refuses_what_no_step_leaves(name: str, value: float) -> None:
    def made(check: bool) -> Any:
        c = np.array([1.0, 2.0])
        return c, mflow.optim.Adam(c, lr=0.1, check_finite=check)

    _, opt = made(True)
    opt.step(np.array([0.5, 0.25]))
    state = opt.state_dict()
    state["vectors"][0][name][1] = value
    c, fresh = made(True)
    before = fresh.state_dict()
    with pytest.raises(ValueError, match=f"{name} of array 0, got {value} in entry 1; check_finite=False loads it"):
        fresh.load_state_dict(state)
    np.testing.assert_array_equal(fresh.state_dict()["vectors"][0]["m"], before["vectors"][0]["m"])
    _, careless = made(False)
    with pytest.warns(RuntimeWarning, match=f"{name} of array 0 is {value} in entry 1"):
        careless.load_state_dict(state)
    np.testing.assert_array_equal(c, [1.0, 2.0])
    state["vectors"][0][name][1], state["vectors"][0]["v"][1] = 0.0, math.inf  # a square that has overflowed stands still
    with pytest.warns(RuntimeWarning, match="v of array 0 is inf in entry 1"):
        fresh.load_state_dict(state)
