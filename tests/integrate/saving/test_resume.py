"""Going on: from a checkpoint, a saved, pickled or copied stepper, with the bits of a run that was never interrupted."""

import copy
import math
import os
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mflow_core import registry

import mflow
from support.levels import ITERATED
from support.problems import Array, Boom, decay_cfunc, start_of, waves

EMBEDDED = [record.name for record in registry.records() if "embedded" in record.flags and "second_order" not in record.flags]


class Fuse:
    """A right-hand side that goes off at its n-th call, and at all that follow: one that only a measurement makes is none of the run."""

    def __init__(self, fun: Any, at: float = math.inf) -> None:
        self.fun, self.at, self.calls = fun, at, 0

    def __call__(self, t: float, y: Array) -> Array:
        self.calls += 1
        if self.calls >= self.at:
            raise Boom
        out: Array = self.fun(t, y)
        return out


def modes(record: Any) -> list[dict[str, Any]]:
    ways: list[dict[str, Any]] = [{"dt": 0.07}]
    if "embedded" in record.flags:
        loose = 100.0 if record.order_hat < 2 else 1.0  # an estimate of first order asks for a hundred times as many steps
        ways += [{"rtol": 1e-5 * loose, "atol": 1e-7 * loose, "max_step": 0.3}]
        ways += [{"rtol": [1e-4 * loose, 1e-5 * loose, 1e-6 * loose], "atol": 1e-8 * loose}]
    if "linear" in record.flags and "implicit" not in record.flags:
        ways.append({"dt": "auto"})
    return ways


def same(a: Any, b: Any, counts: bool = True) -> None:
    """Two results, bit for bit."""
    assert (a.reason, a.nsteps, a.nrejected, a.message) == (b.reason, b.nsteps, b.nrejected, b.message)
    assert a.t.tobytes() == b.t.tobytes()
    assert a.y.tobytes() == b.y.tobytes()
    assert (a.sol is None) == (b.sol is None)
    if a.sol is not None:
        at = np.linspace(a.t[0], a.t[-1], 57)
        assert a.sol.ts.tobytes() == b.sol.ts.tobytes()
        assert a.sol(at).tobytes() == b.sol(at).tobytes()
    assert (a.t_events is None) == (b.t_events is None)
    if a.t_events is not None:
        for u, v in zip((*a.t_events, *a.y_events), (*b.t_events, *b.y_events), strict=True):
            assert u.tobytes() == v.tobytes()
    if counts:
        assert (a.nfev, a.njev, a.nlu) == (b.nfev, b.njev, b.nlu)


def stiff(t: float, y: Array) -> Array:
    """Oscillates, and has a fast component: everything that a controller and Newton's iteration remember is in use."""
    return np.array([y[1], (1.0 - y[0] * y[0]) * y[1] - y[0], -15.0 * (y[2] - np.cos(3.0 * t))])


def crossing(t: float, y: Array) -> float:
    return float(y[0] - 0.3)


def late(t: float, y: Array) -> float:
    return float(y[2] - 0.1 * np.sin(9 * t))


OUTPUTS: list[dict[str, Any]] = [
    {},
    {"dense_output": True, "save_every": 3},
    {"t_eval": np.linspace(0, 3, 41)},
    {"events": [crossing, late], "save": "last"},
    {"events": crossing, "dense_output": True, "t_eval": [0.1, 0.2, 2.9]},
]


PLACES = ((0.3, 1), (0.6, 2), (0.9, 6))  # the share of the run that is done, and steps from one checkpoint to the next


@pytest.mark.parametrize("number", range(len(OUTPUTS)), ids=["all", "dense", "times", "events", "everything"])
def test_a_resumed_run_has_the_same_bits(step_method: Any, number: int, tmp_path: Path) -> None:
    """Interrupted by an exception out of the right-hand side. Every mode meets every place, with one output or another."""
    y0, output = np.array([1.5, 0.0, 0.2]), OUTPUTS[number]
    for turn, mode in enumerate(modes(step_method)):
        call: dict[str, Any] = {"method": step_method.name, **mode, **output}
        straight = mflow.solve_ivp(stiff, (0, 3), y0, **call)
        share, every = PLACES[(number + turn) % len(PLACES)]
        path = tmp_path / f"state {turn}"
        looks = mode.get("dt") == "auto"  # which come early; those at the end of other runs take exceptions for what they ask
        calls = (0.5 + 0.5 * share) * (straight.nfev + straight.ncheck) if looks else share * straight.nfev
        fuse = Fuse(stiff, int(calls))
        with pytest.raises(Boom):
            mflow.solve_ivp(fuse, (0, 3), y0, checkpoint=path, checkpoint_every=every, **call)
        same(mflow.solve_ivp(stiff, (0, 3), y0, resume=path, **call), straight)


def test_a_checkpoint_is_on_the_disk_before_it_takes_the_place_of_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, asked, replace = tmp_path / "state", [], os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: asked.append(("fsync", os.fstat(handle).st_size)))

    def replaced(source: Any, target: Any) -> None:
        asked.append(("replace", os.stat(source).st_size))
        replace(source, target)

    monkeypatch.setattr(os, "replace", replaced)
    mflow.solve_ivp(waves, (0, 1), start_of(4), "rk4", dt=0.25, checkpoint=path, checkpoint_every=2)
    assert [what for what, _ in asked] == ["fsync", "replace"] * (len(asked) // 2)
    assert len(asked) >= 4
    assert asked[-1][1] == asked[-2][1] == path.stat().st_size > 100


def test_resumed_twice_and_while_writing(tmp_path: Path) -> None:
    y0 = [1.5, 0.0, 0.2]
    call: dict[str, Any] = {"method": "esdirk43", "rtol": 1e-6, "dense_output": True, "events": [crossing]}
    straight = mflow.solve_ivp(stiff, (0, 3), y0, **call)
    path = tmp_path / "state"
    with pytest.raises(Boom):
        mflow.solve_ivp(Fuse(stiff, 100), (0, 3), y0, checkpoint=path, checkpoint_every=2, **call)
    with pytest.raises(Boom):
        mflow.solve_ivp(Fuse(stiff, 150), (0, 3), y0, resume=path, checkpoint=path, checkpoint_every=3, **call)
    same(mflow.solve_ivp(stiff, (0, 3), y0, resume=path, checkpoint=path, **call), straight)
    same(mflow.solve_ivp(stiff, (0, 3), y0, resume=path, **call), straight)  # the file of a finished run
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_a_step_bound_that_is_a_function_and_a_callback(tmp_path: Path) -> None:
    call: dict[str, Any] = {"rtol": 1e-4, "max_step": lambda t, y: 0.05 + 0.02 * math.sin(t), "callback": lambda t, y: None}
    straight = mflow.solve_ivp(waves, (0, 2), start_of(4), **call)
    with pytest.raises(Boom):
        mflow.solve_ivp(Fuse(waves, 120), (0, 2), start_of(4), checkpoint=tmp_path / "a", checkpoint_every=5, **call)
    same(mflow.solve_ivp(waves, (0, 2), start_of(4), resume=tmp_path / "a", **call), straight)


def test_a_run_that_stopped_stops_again(tmp_path: Path) -> None:
    """The file never holds a state behind a terminal event or a callback's stop."""

    def hit(t: float, y: Array) -> float:
        return float(y[0] - 0.5)

    hit.terminal = True  # type: ignore[attr-defined]
    for call in ({"events": hit}, {"callback": lambda t, y: y[0] < 0.5}):
        path = tmp_path / "state"
        first = mflow.solve_ivp(lambda t, y: -y, (0, 5), [1.0], "rk4", dt=0.1, checkpoint=path, checkpoint_every=1, **call)
        again = mflow.solve_ivp(lambda t, y: -y, (0, 5), [1.0], "rk4", dt=0.1, resume=path, **call)
        assert first.reason in ("event", "callback")
        same(again, first)


def test_an_ending_is_the_same_after_a_resume(tmp_path: Path) -> None:
    for method in EMBEDDED:
        fun = lambda t, y: y * y  # noqa: E731
        straight = mflow.solve_ivp(fun, (0, 2), [1.0], method)
        path = tmp_path / method
        with pytest.raises(Boom):
            # the last 260 evaluations look back along the solution, when the run is over
            mflow.solve_ivp(Fuse(fun, straight.nfev - 280), (0, 2), [1.0], method, checkpoint=path, checkpoint_every=20)
        same(mflow.solve_ivp(fun, (0, 2), [1.0], method, resume=path), straight)
        wall = lambda t, y: np.full(1, math.nan) if t > 1.0 else -y  # noqa: E731
        straight = mflow.solve_ivp(wall, (0, 2), [1.0], method, rtol=1e-6)
        for left in (12, 25, 40):
            with pytest.raises(Boom):
                mflow.solve_ivp(Fuse(wall, straight.nfev - left), (0, 2), [1.0], method, rtol=1e-6, checkpoint=path, checkpoint_every=1)
            same(mflow.solve_ivp(wall, (0, 2), [1.0], method, rtol=1e-6, resume=path), straight)


def test_compiled_runs_and_files_of_python_ones_are_the_same(tmp_path: Path) -> None:
    fun = decay_cfunc()
    call: dict[str, Any] = {"method": "tsit5", "rtol": 1e-7, "t_eval": np.linspace(0, 2, 9)}
    straight = mflow.solve_ivp(fun, (0, 2), start_of(5), **call)
    with pytest.raises(Boom):
        mflow.solve_ivp(
            Fuse(lambda t, y: -y, straight.nfev // 2), (0, 2), start_of(5), checkpoint=tmp_path / "a", checkpoint_every=2, **call
        )
    same(mflow.solve_ivp(fun, (0, 2), start_of(5), resume=tmp_path / "a", **call), straight)


def test_gradient_flow_resumes(tmp_path: Path) -> None:
    def grad(c: Array) -> Array:
        return np.sinh(c) - 0.2 * np.roll(c, 1)

    c0 = start_of(6).reshape(2, 3)
    for call in ({"method": "rkc2", "dt": 0.05}, {"method": "backward_euler", "dt": 0.1}, {"method": "bs32", "rtol": 1e-5}, {"dt": "auto"}):
        straight = mflow.gradient_flow(grad, c0, 1.0, **call)
        calls = 0

        def failing(c: Array, straight: Any = straight) -> Array:
            nonlocal calls
            calls += 1
            if calls == straight.nfev * 2 // 3:
                raise Boom
            return grad(c)

        with pytest.raises(Boom):
            mflow.gradient_flow(failing, c0, 1.0, checkpoint=tmp_path / "a", checkpoint_every=1, **call)
        same(mflow.gradient_flow(grad, c0, 1.0, resume=tmp_path / "a", **call), straight)


@pytest.mark.parametrize(
    "arguments",
    [
        {"jac": lambda t, y: np.array([[0, 1, 0], [-2 * y[0] * y[1] - 1, 1 - y[0] ** 2, 0], [0, 0, -15.0]])},
        {"lband": 1, "uband": 1},
        {"jac_sparsity": np.array([[0, 1, 0], [1, 1, 0], [0, 0, 1]])},
        {"solver": "newton_krylov"},
        {"solver": mflow.nonlinear.Newton(full=True)},
    ],
    ids=["analytic", "banded", "pattern", "krylov", "full"],
)
def test_every_solver_resumes(arguments: dict[str, Any], tmp_path: Path) -> None:
    y0 = [1.5, 0.0, 0.2]
    for mode in ({"method": "esdirk43", "rtol": 1e-5}, {"method": "sdirk2", "dt": 0.05}):
        straight = mflow.solve_ivp(stiff, (0, 2), y0, **mode, **arguments)
        for share in (0.4, 0.8):
            fuse = Fuse(stiff, int(share * straight.nfev))
            with pytest.raises(Boom):
                mflow.solve_ivp(fuse, (0, 2), y0, checkpoint=tmp_path / "a", checkpoint_every=1, **mode, **arguments)
            same(mflow.solve_ivp(stiff, (0, 2), y0, resume=tmp_path / "a", **mode, **arguments), straight)


# ---- files that do not fit -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    mflow.solve_ivp(waves, (0, 1), [1.0, 2.0], "rk4", dt=0.1, events=crossing, checkpoint=path, checkpoint_every=4)
    return path


def test_damaged_checkpoints_are_refused(checkpoint: Path) -> None:
    good, bad = checkpoint.read_bytes(), checkpoint.with_name("bad")
    call: dict[str, Any] = {"method": "rk4", "dt": 0.1, "events": crossing}
    for i in range(0, len(good), 3):
        bad.write_bytes(good[:i] + bytes([good[i] ^ 0x40]) + good[i + 1 :])
        with pytest.raises(ValueError, match="bad: damaged"):
            mflow.solve_ivp(waves, (0, 1), [1.0, 2.0], resume=bad, **call)
    for cut in range(0, len(good), 7):
        bad.write_bytes(good[:cut])
        with pytest.raises(ValueError, match="bad: damaged"):
            mflow.solve_ivp(waves, (0, 1), [1.0, 2.0], resume=bad, **call)
    with pytest.raises(FileNotFoundError):
        mflow.solve_ivp(waves, (0, 1), [1.0, 2.0], resume=checkpoint.with_name("none"), **call)
    st = mflow.Stepper("rk4", waves, [1.0, 2.0])
    st.save(bad)
    with pytest.raises(ValueError, match="expected a checkpoint, got a stepper"):
        mflow.solve_ivp(waves, (0, 1), [1.0, 2.0], resume=bad, **call)
    with pytest.raises(ValueError, match="expected a stepper, got a checkpoint"):
        mflow.Stepper.load(checkpoint, waves)


def test_a_right_checksum_over_wrong_contents(checkpoint: Path) -> None:
    good, bad = checkpoint.read_bytes(), checkpoint.with_name("bad")
    magic, body = good[: good.index(b"{") - 4], good[good.index(b"{") :]
    wrong = [b"{}\n", b"[]\n", b"", b'{"facts": {}, "blocks": []}\n', body[:-1], body[:-9], body.replace(b'"run"', b'"rum"'), body + b"x"]
    wrong += [body.replace(b'"done"', b'"dome"'), body.replace(b'"looks"', b'"looky"'), body.replace(b'["events", 24]', b'["events", 16]')]
    for contents in wrong:
        bad.write_bytes(magic + zlib.crc32(contents).to_bytes(4, "little") + contents)
        with pytest.raises(ValueError, match=r"bad|saved state"):
            mflow.solve_ivp(waves, (0, 1), [1.0, 2.0], "rk4", dt=0.1, events=crossing, resume=bad)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"method": "rk3"}, "method"),
        ({"dt": 0.2}, "dt"),
        ({"y0": [1.0, 2.5]}, "y0"),
        ({"y0": [[1.0, 2.0]]}, "shape"),
        ({"t_span": (0, 2)}, "t_span"),
        ({"t_span": (-1, 1)}, "t_span"),
        ({"events": None}, "events"),
        ({"save_every": 2}, 'save: save was "all", and is every 2 steps here'),
        ({"save": "last"}, 'save: save was "all", and is "last" here'),
        ({"dense_output": True}, "dense_output: dense_output was False, and is True here"),
        ({"t_eval": [0.5]}, "t_eval: t_eval was not given, and is \\[0.5\\] here"),
        ({"t_eval": np.linspace(0.0, 1.0)}, "t_eval: t_eval was not given, and is 50 values here"),
        ({"y0": [1.0, 2.0 + 1e-9]}, "y0: y0 holds other values here"),
        ({"method": "dopri5", "dt": None, "rtol": 1e-3}, "method"),
    ],
)
def test_other_arguments_are_named(checkpoint: Path, change: dict[str, Any], words: str) -> None:
    call: dict[str, Any] = {"fun": waves, "t_span": (0, 1), "y0": [1.0, 2.0], "method": "rk4", "dt": 0.1, "events": crossing}
    with pytest.raises(ValueError, match=f"resume: .* other values of .*{words}"):
        mflow.solve_ivp(**{**call, **change}, resume=checkpoint)


def test_checkpoint_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="checkpoint_every: expected checkpoint="):
        mflow.solve_ivp(waves, (0, 1), [1.0], dt=0.1, checkpoint_every=3)
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="checkpoint_every: "):
            mflow.solve_ivp(waves, (0, 1), [1.0], dt=0.1, checkpoint=tmp_path / "a", checkpoint_every=wrong)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        mflow.solve_ivp(waves, (0, 1), [1.0], dt=0.1, checkpoint=tmp_path / "none" / "a")
    with pytest.raises(ValueError, match=r"checkpoint: .*, got the folder"):
        mflow.solve_ivp(waves, (0, 1), [1.0], dt=0.1, checkpoint=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_writing_leaves_the_old_file_where_it_fails(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = checkpoint.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        mflow.solve_ivp(waves, (0, 1), [1.0, 3.0], "rk4", dt=0.1, checkpoint=checkpoint, checkpoint_every=1)
    assert checkpoint.read_bytes() == before
    assert [p.name for p in checkpoint.parent.iterdir()] == ["state"]


# ---- steppers --------------------------------------------------------------------------------------------------------------------------


def steppers(record: Any) -> list[tuple[Any, Any]]:
    """(makes one, steps it) for fixed steps and error control."""

    def fixed() -> mflow.Stepper:
        return mflow.Stepper(record.name, stiff, [1.5, 0.0, 0.2], t0=0.1)

    def controlled() -> mflow.Stepper:
        return mflow.Stepper(record.name, stiff, [1.5, 0.0, 0.2], rtol=[1e-4, 1e-5, 1e-6], atol=1e-7, max_step=0.2)

    ways: list[tuple[Any, Any]] = [(fixed, lambda st: st.step(0.03))]
    if "embedded" in record.flags:
        ways.append((controlled, lambda st: st.step()))
    return ways


def facts(st: mflow.Stepper) -> tuple[Any, ...]:
    return st.t, st.k, st.y.tobytes(), st.nfev, st.njev, st.nlu, st.nrejected, st.h


def test_steppers_go_on_with_the_same_bits(step_method: Any, tmp_path: Path) -> None:
    for make, step in steppers(step_method):
        straight = make()
        for k in range(30):
            step(straight)
            if k in (0, 1, 6, 24, 25):
                straight.save(tmp_path / "state")
                others = [
                    mflow.Stepper.load(tmp_path / "state", stiff),
                    pickle.loads(pickle.dumps(straight)),
                    copy.copy(straight),
                    copy.deepcopy(straight),
                ]
                copied = copy.copy(straight)
                for _ in range(5):
                    step(copied)
                after = facts(copied)
                inside = copied.t - 0.3 * (copied.t - earliest(copied, straight.t))
                middle = copied.interpolate(inside)
                for other in others:
                    assert facts(other) == facts(straight)
                    for _ in range(5):
                        step(other)
                    assert facts(other) == after
                    assert other.interpolate(inside).tobytes() == middle.tobytes()
        assert straight.k == 30


def earliest(st: mflow.Stepper, low: float) -> float:
    """The first time that a stepper can look at: where its last step began."""
    high = st.t
    for _ in range(60):
        middle = 0.5 * (low + high)
        try:
            st.interpolate(middle)
        except ValueError:
            low = middle
        else:
            high = middle
    return high


def test_copies_do_not_disturb_each_other(step_method: Any) -> None:
    for make, step in steppers(step_method):
        a = make()
        for _ in range(3):
            step(a)
        b = copy.copy(a)
        before = facts(a)
        for _ in range(4):
            step(b)
        assert facts(a) == before
        for _ in range(4):
            step(a)
        assert facts(a)[:3] == facts(b)[:3]
        more = [x - y for x, y in zip(facts(b)[3:6], facts(a)[3:6], strict=True)]  # the Jacobian that was at hand is made once more
        assert more == ([4, 1, 1] if step_method.name in ITERATED else [0, 0, 0])
        assert facts(a)[6:] == facts(b)[6:]


def test_a_stepper_with_its_own_solver_and_jacobian(tmp_path: Path) -> None:
    more: dict[str, Any] = {"solver": mflow.nonlinear.Newton(full=True), "jac_sparsity": np.array([[0, 1, 0], [1, 1, 0], [0, 0, 1]])}
    st = mflow.Stepper("esdirk43", stiff, [1.5, 0.0, 0.2], rtol=1e-5, atol=1e-8, **more)
    st.advance_to(0.7)
    st.save(tmp_path / "a")
    other = mflow.Stepper.load(tmp_path / "a", stiff, **more)
    for one in (st, other):
        one.advance_to(1.5)
    assert facts(st) == facts(other)
    assert pickle.loads(pickle.dumps(st)).y.tobytes() == st.y.tobytes()


def test_a_stepper_before_its_first_step(step_method: Any, tmp_path: Path) -> None:
    for make, step in steppers(step_method):
        straight = make()
        straight.save(tmp_path / "a")
        other, third = mflow.Stepper.load(tmp_path / "a", stiff), pickle.loads(pickle.dumps(straight))
        for st in (straight, other, third):
            for _ in range(3):
                step(st)
        assert facts(straight) == facts(other) == facts(third)


# ---- results ---------------------------------------------------------------------------------------------------------------------------


def test_results_pickle_and_copy() -> None:
    r = mflow.solve_ivp(waves, (0, 2), start_of(6).reshape(2, 3), dense_output=True, events=lambda t, y: y[0, 0] - 0.2)
    for other in (pickle.loads(pickle.dumps(r)), copy.copy(r), copy.deepcopy(r)):
        assert type(other) is type(r)
        same(other, r)
        assert other.sol(0.7).tobytes() == r.sol(0.7).tobytes()
        assert list(other) == list(r)
    best = mflow.minimize(lambda x: (float(x @ x), 2 * x), [1.0, 2.0], jac=True, method="momentum", lr=0.1)
    for other_best in (pickle.loads(pickle.dumps(best)), copy.deepcopy(best)):
        assert other_best.x.tobytes() == best.x.tobytes()
        assert other_best.method == best.method


def test_steppers_without_dt_need_error_control() -> None:
    st = mflow.Stepper("dopri5", waves, [1.0])
    with pytest.raises(TypeError, match="give rtol= and atol="):
        st.step()
    with pytest.raises(TypeError, match="under error control"):
        mflow.Stepper("dopri5", waves, [1.0], rtol=1e-3).step(0.1)
    with pytest.raises(ValueError, match="no error estimate"):
        mflow.Stepper("rk4", waves, [1.0], rtol=1e-3)
    with pytest.raises(ValueError, match="give rtol or atol"):
        mflow.Stepper("dopri5", waves, [1.0], max_step=0.1)
    with pytest.raises(ValueError, match="goes one way"):
        mflow.Stepper("dopri5", waves, [1.0], rtol=1e-3).advance_to(-1.0)


@pytest.mark.parametrize("how", [{"method": "rk4", "dt": 0.3}, {"method": "dopri5"}])
@pytest.mark.parametrize("end", [0.5, 2.0])
def test_resume_wants_the_same_end(tmp_path: Path, how: dict[str, Any], end: float) -> None:
    """A grid whose last step was shorter does not go on: t would jump by more than the step. Nor does a run go back."""
    path = tmp_path / "run"
    mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], checkpoint=path, checkpoint_every=2, **how)
    with pytest.raises(ValueError, match="t_span was"):
        mflow.solve_ivp(lambda t, y: -y, (0, end), [1.0], resume=path, **how)


def test_resume_counts_all_gradients(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(t: float, y: Array) -> None:
        if t > 0.5:
            raise Stop

    path, start = tmp_path / "run", np.ones(2)
    with pytest.raises(Stop):
        mflow.gradient_flow(lambda c: c, start, 1.0, "dopri5", checkpoint=path, checkpoint_every=1, callback=stop)
    straight = mflow.gradient_flow(lambda c: c, start, 1.0, "dopri5")
    resumed = mflow.gradient_flow(lambda c: c, start, 1.0, "dopri5", resume=path)
    assert (resumed.nfev, resumed.nsteps) == (straight.nfev, straight.nsteps)
    assert resumed.y.tobytes() == straight.y.tobytes()


def test_span_without_length_with_dense_output() -> None:
    r = mflow.solve_ivp(lambda t, y: -y, (2, 2), [1.0], t_eval=[2.0], dense_output=True)
    assert (r.t.tolist(), r.y.tolist(), r.sol(2.0).tolist()) == ([2.0], [[1.0]], [1.0])
