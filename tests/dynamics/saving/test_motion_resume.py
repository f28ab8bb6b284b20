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
from support.motion import Array, estimates
from support.problems import Boom

METHODS = mflow.methods(family="second_order")
K = np.array([[6.0, -2.0], [-2.0, 4.0]])


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
    {}, {"save": "last"}, {"dense_output": True, "save_every": 3}, {"t_eval": np.linspace(0, 1, 13)},
    {"events": crossing, "dense_output": True, "t_eval": [0.1, 0.37, 0.9]},
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:solve_dynamics. .* is of first order where forces:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:solve_dynamics. dt = 0.037 exceeds:RuntimeWarning")  # two methods have no stable step for the force
@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
@pytest.mark.parametrize("number", range(len(OUTPUTS)), ids=["all", "last", "dense", "times", "everything"])
@pytest.mark.parametrize("kind", ["structure", "force"])
def test_a_resumed_run_has_the_same_bits(method: Any, number: int, kind: str, tmp_path: Path) -> None:
    """The trajectory, the ledger and the counters; interrupted early or late by an exception out of the load or the force."""
    output = OUTPUTS[number]
    modes = [{"dt": 0.037}] + ([{"rtol": 1e-4}] if estimates(method) else [])
    for turn, mode in enumerate(modes):
        call: dict[str, Any] = {"t_span": (0, 1), "x0": [1.0, -0.5], "v0": [0.2, 0.0], "method": method.name, **mode, **output}
        arguments: dict[str, Any] = {"force": pendulum}
        if kind == "structure":
            arguments = {"mass": [2.0, 1.0], "damping": 0.1 * K, "stiffness": K, "load": load}
        which = "force" if kind == "force" else "load"
        counted = Fuse(arguments[which], 10**9)
        straight = mflow.solve_dynamics(**call, **{**arguments, which: counted})
        calls = 10**9 - counted.left
        share, every = ((0.4, 4), (0.8, 5))[(number + turn) % 2]
        looks = straight.ncheck if turn else 0  # where the load begins, asked for at the start of a run under error control
        path, fuse = tmp_path / f"state {turn}", Fuse(arguments[which], int(looks + share * (calls - looks)))
        with pytest.raises(Boom):
            mflow.solve_dynamics(**call, **{**arguments, which: fuse}, checkpoint=path, checkpoint_every=every)
        same(mflow.solve_dynamics(**call, **arguments, resume=path), straight)


def test_what_resumes_must_be_the_same_call(tmp_path: Path) -> None:
    call: dict[str, Any] = {"stiffness": K, "t_span": (0, 1), "x0": [1.0, 0.0], "v0": [0.0, 1.0], "dt": 0.1}
    whole = mflow.solve_dynamics(**call, checkpoint=tmp_path / "a", checkpoint_every=3)
    same(mflow.solve_dynamics(**call, resume=tmp_path / "a"), whole)
    for change, words in (
        ({"v0": [0.0, 2.0]}, "v0"),
        ({"energy": False}, "energy"),
        ({"dt": 0.2}, "dt"),
        ({"stiffness": K + 1e-9}, "stiffness"),
        ({"mass": 2.0}, "mass"),
        ({"damping": 0.1}, "damping"),
        ({"load": [0.0, 1.0]}, "load"),
        ({"load": ([0.0, 1.0], np.ones((2, 2)))}, "load"),
        ({"load": load}, "load"),
        ({"rayleigh": (0.0, 0.1)}, "rayleigh"),
        ({"linear_solver": "cg"}, "linear_solver"),
        ({"method": "leapfrog"}, "method"),
    ):
        with pytest.raises(ValueError, match=f"resume: .* other values of .*{words}"):
            mflow.solve_dynamics(**{**call, **change}, resume=tmp_path / "a")
    with pytest.raises(ValueError, match=r"resume: .* (damaged|other values)"):  # a force keeps other things than matrices do
        mflow.solve_dynamics(**{**call, "stiffness": None, "force": pendulum}, resume=tmp_path / "a")


def test_what_resumes_must_have_the_same_tolerances(tmp_path: Path) -> None:
    call: dict[str, Any] = {"force": pendulum, "t_span": (0, 1), "x0": [1.0, 0.0], "rtol": 1e-4, "rtol_v": 1e-3, "atol_v": 1e-5}
    whole = mflow.solve_dynamics(**call, checkpoint=tmp_path / "a", checkpoint_every=3)
    same(mflow.solve_dynamics(**call, resume=tmp_path / "a"), whole)
    for change in ({"rtol_v": 1e-2}, {"atol_v": math.inf}, {"dfdx": -K}, {"velocity_free": True}, {"mass": [1.0, 2.0]}):
        with pytest.raises(ValueError, match=f"resume: .* other values of .*{next(iter(change))}"):
            mflow.solve_dynamics(**{**call, **change}, resume=tmp_path / "a")


# ---- steppers --------------------------------------------------------------------------------------------------------------------------


def facts(st: Any) -> tuple[Any, ...]:
    return st.t, st.k, st.x.tobytes(), st.v.tobytes(), st.a.tobytes(), st.nfev, st.nsolve, st.njev, st.nlu, st.nrejected, st.h


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_steppers_go_on_with_the_same_bits(method: Any, tmp_path: Path) -> None:
    ways: list[tuple[dict[str, Any], Any]] = [({}, lambda st: st.step(0.03))]
    if "embedded" in method.flags:
        ways.append(({"rtol": [1e-4, 1e-5], "atol": 1e-6, "max_step": 0.2}, lambda st: st.step()))
    for given, step in ways:
        straight: Any = mflow.Stepper(method.name, pendulum, [1.5, 0.2], [0.0, 1.0], **given)
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


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
@pytest.mark.filterwarnings("ignore:solve_dynamics. .* is of first order where forces:RuntimeWarning")
def test_stepper_and_driver_are_one_path(method: Any) -> None:
    s = mflow.solve_dynamics(force=pendulum, t_span=(0, 1), x0=[1.0, 0.5], v0=[0.0, -1.0], method=method.name, dt=0.05)
    st: Any = mflow.Stepper(method.name, pendulum, [1.0, 0.5], [0.0, -1.0])
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
        by_hand: Any = mflow.Stepper(name, lambda t, x, v: -9.0 * x - 0.4 * v, [1.0, 2.0], [0.0, 1.0], solve_accel=solve)
        newton: Any = mflow.Stepper(
            name, lambda t, x, v: -9.0 * x - 0.4 * v, [1.0, 2.0], [0.0, 1.0], dadx=-9.0 * np.eye(2), dadv=-0.4 * np.eye(2)
        )
        for st in (by_hand, newton):
            st.advance(40, dt=0.1)
        assert len(asked) == 40
        np.testing.assert_allclose(by_hand.x, newton.x, rtol=0, atol=1e-12)
        np.testing.assert_allclose(by_hand.v, newton.v, rtol=0, atol=1e-12)
        assert by_hand.nsolve == newton.nsolve == 40
        assert newton.njev == 1


def test_stepper_refuses() -> None:
    def accel(t: float, x: Array, v: Array) -> Array:
        return -x

    for call, words in (
        (lambda: mflow.Stepper("newmark", accel, [1.0], [1.0, 2.0]), r"v0: .* x0's shape \(1,\), got shape \(2,\)"),
        (lambda: mflow.Stepper("staggered", accel, [1.0], rtol=1e-3), "staggered has no error estimate"),
        (lambda: mflow.Stepper("newmark", accel, [1.0], max_step=0.1), "belong to error control"),
        (lambda: mflow.Stepper("newmark", accel, [1.0], solve_accel=accel, solver="newton"), "omit solver, dadx and dadv"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    st: Any = mflow.Stepper("newmark", lambda t, x, v: np.zeros(3), [1.0])
    with pytest.raises(ValueError, match=r"expected a function that returns .*, got shape \(3,\)"):
        st.step(0.1)
    st = mflow.Stepper("leapfrog", lambda t, x, v: x * np.inf, [1.0])
    words = "the accel is not finite at the start, t = 0: see its component 0; the state stays at t = 0"
    with pytest.raises(FloatingPointError, match=words), np.errstate(all="ignore"):
        st.step(0.1)
    assert (st.t, st.k) == (0.0, 0)


def test_steppers_keep_the_ledger(tmp_path: Path) -> None:
    """Against `solve_dynamics`, to the bit; without asking for it there is none; saved, loaded and copied it goes on."""
    for method in ("newmark", mflow.Newmark(0.3025, 0.6), "staggered", mflow.HHT()):
        s = mflow.solve_dynamics(force=pendulum, t_span=(0, 2), x0=[1.0, -0.5], dt=0.05, method=method)
        st: Any = mflow.Stepper(method, pendulum, [1.0, -0.5], energy=True)
        st.advance(15, dt=0.05)
        st.save(tmp_path / "state")
        others = [mflow.Stepper.load(tmp_path / "state", pendulum), copy.copy(st), pickle.loads(pickle.dumps(st))]
        for one in (st, *others):
            one.advance(25, dt=0.05)
            assert [one.energy[name] for name in s.energy if name != "numerical"] == [
                s.energy[name][-1] for name in s.energy if name != "numerical"
            ]
            np.testing.assert_array_equal(one.energy.numerical, s.energy.numerical[-1])
    assert mflow.Stepper("newmark", pendulum, [1.0, -0.5]).energy is None
    st = mflow.Stepper("leapfrog", lambda t, x, v: -x, [1.0], energy=True, potential=lambda x: 0.5 * float(x @ x))
    assert (st.energy.potential, st.energy.kinetic, st.nfev) == (0.5, 0.0, 4)  # three calls look for what is no potential in it
    st.advance(100, dt=0.1)
    assert abs(st.energy.kinetic + st.energy.potential - 0.5) < 0.1**2 / 4
    with pytest.raises(ValueError, match="potential: it belongs to the energy ledger"):
        mflow.Stepper("leapfrog", pendulum, [1.0, -0.5], potential=lambda x: 0.0)


def test_a_steppers_sparse_tangent_stays_sparse() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    n = 300
    T = sparse.diags_array([np.ones(n - 1), np.full(n, -2.0), np.ones(n - 1)], offsets=[-1, 0, 1]).tocsr()
    start = np.sin(np.arange(n))
    st: Any = mflow.Stepper("newmark", lambda t, x, v: T @ x - x**3, start, dadx=lambda t, x, v: T - sparse.diags_array(3 * x**2))
    same: Any = mflow.Stepper("newmark", lambda t, x, v: T @ x - x**3, start, dadx=lambda t, x, v: T.toarray() - np.diag(3 * x**2))
    st.advance(20, dt=0.1)
    same.advance(20, dt=0.1)
    np.testing.assert_allclose(st.x, same.x, rtol=0, atol=1e-12)
    assert (st._force.solver.kind, same._force.solver.kind) == ("sparse", "dense")
