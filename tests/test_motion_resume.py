"""Going on in second order: `mflow.Stepper` on x'' = accel(t, x, v), and runs of `solve_dynamics` from a checkpoint, bit for bit.

Oracles: a run that was never interrupted, `solve_dynamics` itself, closed forms.
"""

import copy
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow
from motion import Array

ROWS = mflow.methods(family="second_order")
K = np.array([[6.0, -2.0], [-2.0, 4.0]])


class Boom(Exception):
    pass


class Fuse:
    """A function that fails at its k-th call."""

    def __init__(self, fun: Any, calls: int) -> None:
        self.fun, self.left = fun, calls

    def __call__(self, *args: Any) -> Any:
        if self.left == 0:
            raise Boom
        self.left -= 1
        return self.fun(*args)


def load(t: float) -> Array:
    return np.array([math.sin(3 * t), 10.0])


def pendulum(t: float, x: Array, v: Array) -> Array:
    return -K @ np.sin(x) - 0.3 * v * np.abs(v) + math.cos(t)


def crossing(t: float, x: Array, v: Array) -> float:
    return float(x[0] - 0.3 * v[1])


def same(a: Any, b: Any) -> None:
    """Two results, bit for bit."""
    assert (a.reason, a.nsteps, a.nrejected, a.message) == (b.reason, b.nsteps, b.nrejected, b.message)
    for name in ("t", "x", "v", "a"):
        assert a[name].tobytes() == b[name].tobytes(), name
    for name in a.energy:
        assert a.energy[name].tobytes() == b.energy[name].tobytes(), name
    if a.v_half is not None:
        assert a.v_half.tobytes() == b.v_half.tobytes()
    if a.sol is not None:
        at = np.linspace(a.t[0], a.t[-1], 57)
        assert a.sol(at).tobytes() == b.sol(at).tobytes()
        assert a.sol_v(at).tobytes() == b.sol_v(at).tobytes()
    if a.t_events is not None:
        for u, w in zip((*a.t_events, *a.x_events, *a.v_events), (*b.t_events, *b.x_events, *b.v_events), strict=True):
            assert u.tobytes() == w.tobytes()
    assert (a.nfev, a.nsolve, a.njev, a.nlu) == (b.nfev, b.nsolve, b.njev, b.nlu)


OUTPUTS: list[dict[str, Any]] = [
    {}, {"save": "last"}, {"dense_output": True, "save_every": 3}, {"t_eval": np.linspace(0, 2, 23)},
    {"events": crossing, "dense_output": True, "t_eval": [0.1, 0.77, 1.9]},
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda m: m.name)
@pytest.mark.parametrize("output", OUTPUTS, ids=["all", "last", "dense", "times", "everything"])
@pytest.mark.parametrize("kind", ["structure", "force"])
def test_a_resumed_run_has_the_same_bits(row: Any, output: dict[str, Any], kind: str, tmp_path: Path) -> None:
    """The trajectory, the ledger and the counters; interrupted by an exception out of the load or the force."""
    modes = [{"dt": 0.037}] + ([{"rtol": 1e-4}] if "embedded" in row.flags else [])
    for mode in modes:
        call: dict[str, Any] = {"t_span": (0, 2), "x0": [1.0, -0.5], "v0": [0.2, 0.0], "method": row.name, **mode, **output}
        what: dict[str, Any] = {"force": pendulum}
        if kind == "structure":
            what = {"mass": [2.0, 1.0], "damping": 0.1 * K, "stiffness": K, "load": load}
        which = "force" if kind == "force" else "load"
        counted = Fuse(what[which], 10**9)
        straight = mflow.solve_dynamics(**call, **{**what, which: counted})
        calls = 10**9 - counted.left
        for share, every in ((0.3, 7), (0.8, 11)):
            path = tmp_path / "state"
            path.unlink(missing_ok=True)
            with pytest.raises(Boom):
                mflow.solve_dynamics(
                    **call, **{**what, which: Fuse(what[which], int(share * calls))}, checkpoint=path, checkpoint_every=every
                )
            same(mflow.solve_dynamics(**call, **what, resume=path), straight)


def test_what_resumes_must_be_the_same_call(tmp_path: Path) -> None:
    call: dict[str, Any] = {"stiffness": K, "t_span": (0, 1), "x0": [1.0, 0.0], "v0": [0.0, 1.0], "dt": 0.1}
    whole = mflow.solve_dynamics(**call, checkpoint=tmp_path / "a", checkpoint_every=3)
    same(mflow.solve_dynamics(**call, resume=tmp_path / "a"), whole)
    for change, words in (
        ({"v0": [0.0, 2.0]}, "v0"),
        ({"energy": False}, "energy"),
        ({"dt": 0.2}, "dt"),
        ({"method": "leapfrog"}, "method"),
    ):
        with pytest.raises(ValueError, match=f"resume: .* other values of .*{words}"):
            mflow.solve_dynamics(**{**call, **change}, resume=tmp_path / "a")
    with pytest.raises(ValueError, match=r"resume: .* (damaged|other values)"):  # a force keeps other things than matrices do
        mflow.solve_dynamics(**{**call, "stiffness": None, "force": pendulum}, resume=tmp_path / "a")


# ---- steppers --------------------------------------------------------------------------------------------------------------------------


def facts(st: Any) -> tuple[Any, ...]:
    return st.t, st.k, st.x.tobytes(), st.v.tobytes(), st.a.tobytes(), st.nfev, st.nsolve, st.njev, st.nlu, st.nrejected, st.h


@pytest.mark.parametrize("row", ROWS, ids=lambda m: m.name)
def test_steppers_go_on_with_the_same_bits(row: Any, tmp_path: Path) -> None:
    ways: list[tuple[dict[str, Any], Any]] = [({}, lambda st: st.step(0.03))]
    if "embedded" in row.flags:
        ways.append(({"rtol": [1e-4, 1e-5], "atol": 1e-6, "max_step": 0.2}, lambda st: st.step()))
    for given, step in ways:
        straight: Any = mflow.Stepper(row.name, pendulum, [1.5, 0.2], [0.0, 1.0], **given)
        for k in range(30):
            step(straight)
            if k in (0, 1, 6, 24, 25):
                straight.save(tmp_path / "state")
                loaded = mflow.Stepper.load(tmp_path / "state", pendulum)
                for other in (loaded, pickle.loads(pickle.dumps(straight)), copy.copy(straight)):
                    ahead = copy.copy(straight)
                    assert facts(other) == facts(straight)
                    for _ in range(4):
                        step(other)
                        step(ahead)
                    assert facts(other) == facts(ahead)


@pytest.mark.parametrize("row", ROWS, ids=lambda m: m.name)
def test_stepper_and_driver_are_one_path(row: Any) -> None:
    s = mflow.solve_dynamics(force=pendulum, t_span=(0, 1), x0=[1.0, 0.5], v0=[0.0, -1.0], method=row.name, dt=0.05)
    st: Any = mflow.Stepper(row.name, pendulum, [1.0, 0.5], [0.0, -1.0])
    assert repr(st).startswith("<mflow.Stepper ")
    assert st.a.tobytes() == s.a[:, 0].tobytes()
    for k in range(1, 20):
        st.step(0.05)
        assert (st.x.tobytes(), st.v.tobytes(), st.a.tobytes()) == (s.x[:, k].tobytes(), s.v[:, k].tobytes(), s.a[:, k].tobytes())
    middle = st.interpolate(st.t - 0.025)
    assert middle.shape == (3, 2)
    np.testing.assert_allclose(middle[0], 0.5 * (s.x[:, 18] + s.x[:, 19]), atol=5e-3)


def test_stepper_under_error_control() -> None:
    s = mflow.solve_dynamics(force=pendulum, t_span=(0, 1), x0=[1.0, 0.5], rtol=1e-5, atol=1e-7)
    st: Any = mflow.Stepper("newmark", pendulum, [1.0, 0.5], rtol=1e-5, atol=1e-7)
    st.advance_to(1.0)
    assert st.t == 1.0
    assert (st.x.tobytes(), st.v.tobytes(), st.nfev) == (s.x[:, -1].tobytes(), s.v[:, -1].tobytes(), s.nfev)


def test_a_solver_of_ones_own() -> None:
    """Newmark on x'' = -9 x - 0.4 v with the equation solved by hand: the bits of nothing else, the numbers of Newton's iteration."""
    asked = []

    def solve(t: float, w: float, xp: Array, vp: Array, bx: float, bv: float, q: Any, guess: Array) -> Array:
        asked.append((w, q is None, guess.shape))
        return (w * (-9.0 * xp - 0.4 * vp) + (0.0 if q is None else q)) / (1.0 + w * (9.0 * bx + 0.4 * bv))

    for name in ("newmark", "staggered", "hht", "generalized_alpha"):
        asked.clear()
        mine: Any = mflow.Stepper(name, lambda t, x, v: -9.0 * x - 0.4 * v, [1.0, 2.0], [0.0, 1.0], solve_accel=solve)
        newton: Any = mflow.Stepper(
            name, lambda t, x, v: -9.0 * x - 0.4 * v, [1.0, 2.0], [0.0, 1.0], dadx=-9.0 * np.eye(2), dadv=-0.4 * np.eye(2)
        )
        for st in (mine, newton):
            st.advance(40, dt=0.1)
        assert len(asked) == 40
        np.testing.assert_allclose(mine.x, newton.x, rtol=0, atol=1e-12)
        np.testing.assert_allclose(mine.v, newton.v, rtol=0, atol=1e-12)
        assert mine.nsolve == newton.nsolve == 40
        assert newton.njev == 1


def test_stepper_refuses() -> None:
    def accel(t: float, x: Array, v: Array) -> Array:
        return -x

    for call, words in (
        (lambda: mflow.Stepper("newmark", accel, [1.0], [1.0, 2.0]), r"v0: shape \(2,\) came, but x0 has shape \(1,\)"),
        (lambda: mflow.Stepper("leapfrog", accel, [1.0], rtol=1e-3), "velocity_verlet has no error estimate"),
        (lambda: mflow.Stepper("newmark", accel, [1.0], max_step=0.1), "belong to error control"),
        (lambda: mflow.Stepper("newmark", accel, [1.0], solve_accel=accel, solver="newton"), "leave solver, dadx and dadv away"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    st: Any = mflow.Stepper("newmark", lambda t, x, v: np.zeros(3), [1.0])
    with pytest.raises(ValueError, match=r"returned shape \(3,\)"):
        st.step(0.1)
    st = mflow.Stepper("leapfrog", lambda t, x, v: x * np.inf, [1.0])
    with pytest.raises(FloatingPointError, match=r"non-finite .* the state stays at t = 0"), np.errstate(all="ignore"):
        st.step(0.1)
    assert (st.t, st.k) == (0.0, 0)
