"""Optimizers where integrators go: `gradient_flow` and `Stepper`, t counting lr."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mflow_core import registry

import mflow
from mflow.saving.savefile import read_state, write_state
from support.problems import Boom

UPDATES = [r for r in registry.records() if r.kind == "update"]
H = np.array([1.0, 6.0, 0.3])
START = np.array([1.0, -2.0, 0.5])


def grad(c: Any) -> Any:
    return H * c + 0.1 * c**3


def walked(record: Any, rates: Any) -> Any:
    """The same steps by the class of `mflow.optim`."""
    c = START.copy()
    opt = getattr(mflow.optim, record.class_name)(c, lr=rates[0])
    for lr in rates:
        opt.lr = lr
        opt.step(grad(opt.ask()))
    return c


@pytest.mark.parametrize("record", UPDATES, ids=lambda r: r.name)
def test_a_flow_by_an_optimizer_has_the_bits_of_its_class(record: Any) -> None:
    r = mflow.gradient_flow(grad, START, 1.0, record.name, lr=0.06)
    assert (r.reason, r.nsteps, r.nfev, r.t[-1]) == ("finished", 17, 17, 1.0)
    assert r.y[:, -1].tobytes() == walked(record, [0.06] * 16 + [1.0 - r.t[-2]]).tobytes()
    np.testing.assert_allclose(r.t[:-1], 0.06 * np.arange(17), rtol=1e-15)
    other = mflow.gradient_flow(grad, START, 1.0, record.name, dt=0.06, save_every=5)
    np.testing.assert_array_equal(other.t, [*r.t[[0, 5, 10, 15]], 1.0])
    np.testing.assert_array_equal(other.y[:, :-1], r.y[:, [0, 5, 10, 15]])
    last = mflow.gradient_flow(grad, START, 1.0, record.name, lr=0.06, save="last")
    np.testing.assert_array_equal(last.y[:, -1], r.y[:, -1])


@pytest.mark.parametrize("record", UPDATES, ids=lambda r: r.name)
def test_a_stepper_goes_on_with_the_same_bits(record: Any, tmp_path: Path) -> None:
    st = mflow.Stepper(record.name, grad=grad, y0=START, t0=2.0, lr=0.05)
    st.advance(3)
    st.step(0.02)
    st.save(tmp_path / "a")
    others = [mflow.Stepper.load(tmp_path / "a", grad), pickle.loads(pickle.dumps(st)), copy.copy(st)]
    for one in (st, *others):
        one.advance(4, 0.03)
    assert st.y.tobytes() == walked(record, [0.05] * 3 + [0.02] + [0.03] * 4).tobytes()
    assert st.t == pytest.approx(2.0 + 0.15 + 0.02 + 0.12, rel=1e-15)
    for one in others:
        assert (one.y.tobytes(), one.t, one.k) == (st.y.tobytes(), st.t, 8)
        assert repr(one).startswith("<mflow.Stepper")


def test_the_other_ways_of_a_stepper() -> None:
    st = mflow.Stepper("adam", grad=grad, y0=START, lr=0.1)
    st.advance_to(0.35)
    assert (st.t, st.k, st.nfev) == (0.35, 4, 4)
    st.set_state(t=1.0, y=START)
    fresh = mflow.Stepper("adam", grad=grad, y0=START, lr=0.1)
    st.advance(2)
    fresh.advance(2)
    assert st.t == 1.2
    assert st.y.tobytes() == fresh.y.tobytes()
    with pytest.raises(TypeError, match="interpolate: adam has steps alone"):
        st.interpolate(1.0)
    with pytest.raises(ValueError, match="t: expected a time ahead"):
        st.advance_to(0.5)


def test_what_is_not_finite_ends_it_at_the_last_good_step() -> None:
    def wall(c: Any) -> Any:
        return -100.0 * c if c[0] < 1e3 else c * np.nan

    r = mflow.gradient_flow(wall, [1.0], 1.0, "sgd", lr=0.06)
    assert (r.reason, r.success, r.nsteps) == ("non_finite", False, 4)
    assert np.isfinite(r.y).all()
    st = mflow.Stepper("sgd", grad=wall, y0=[1.0], lr=0.06)
    with pytest.raises(FloatingPointError, match="in step 4 of sgd"):
        st.advance(10)
    assert (st.k, st.y[0]) == (4, r.y[0, -1])


def test_callbacks_and_exceptions() -> None:
    seen: list[float] = []
    r = mflow.gradient_flow(grad, START, 1.0, "momentum", lr=0.1, callback=lambda t, y: seen.append(t) or len(seen) == 4)
    assert (r.reason, r.status, r.nsteps) == ("callback", 1, 4)
    np.testing.assert_array_equal(seen, r.t[1:])

    def boom(c: Any) -> Any:
        if c[0] < 0.9:
            raise Boom
        return H * c

    with pytest.raises(Boom) as error:
        mflow.gradient_flow(boom, START, 1.0, "sgd", lr=0.03)
    assert error.value.partial_result.reason == "rhs_failed"
    assert error.value.partial_result.nsteps > 2


@pytest.mark.parametrize("clock", [None, 3, [1.0], [0.5, 0.5], ["x", 0.0], [float("nan"), 0.0]])
def test_no_saved_clock_is_believed(clock: Any, tmp_path: Path) -> None:
    st = mflow.Stepper("adam", grad=grad, y0=START)
    st.advance(3)
    st.save(tmp_path / "a")
    facts, blocks = read_state(tmp_path / "a", "stepper")
    write_state(tmp_path / "b", "stepper", {**facts, "clock": clock}, blocks)
    with pytest.raises(ValueError, match="damaged"):
        mflow.Stepper.load(tmp_path / "b", grad)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mflow.Stepper("adam", grad, START), "grad: expected the gradient by name for adam, as a right-hand side is its negative"),
        (lambda: mflow.Stepper("adam", y0=START), "grad: expected the gradient by name"),
        (lambda: mflow.Stepper("adam", grad=grad), "y0: expected the parameters to start from"),
        (lambda: mflow.Stepper("rk4"), "fun: expected the slopes"),
        (lambda: mflow.Stepper("implicit_sgd", grad, START), "which learns from samples"),
        (lambda: mflow.gradient_flow(grad, START, 1.0, "adam", rtol=1e-3), "rtol: it is for integrators"),
        (lambda: mflow.gradient_flow(grad, START, 1.0, "adam", t_eval=[0.5]), "t_eval, hess: expected none of them for adam"),
        (lambda: mflow.gradient_flow(grad, START, -1.0, "adam"), "t_end: expected"),
        (lambda: mflow.gradient_flow(grad, START, 1.0, "adam", momentum=0.5), "gradient_flow has no argument 'momentum'"),
        (lambda: mflow.Stepper("sgd", grad=grad, y0=START).step(-0.1), "dt: expected"),
    ],
)
def test_what_does_not_fit_is_refused(call: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        call()
