"""Saved files with a right checksum and false contents: refused by name, or without consequence; and what is no saved file at all."""

import itertools
import math
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.saving.savefile import read_state, write_state
from support.hostile import altered
from support.hostile.altered import Stop, fuse
from support.problems import Array, waves

SHARE = 17  # of the altered files: one in so many, others for each way


def crossing(t: float, y: Array) -> float:
    return float(y[0] - 0.3)


WAYS: list[dict[str, Any]] = [
    {"method": "rk4", "dt": 0.1, "events": crossing},
    {"method": "rk4", "dt": 0.1, "t_eval": np.linspace(0, 1, 20)},
    {"method": "dopri5", "rtol": 1e-8, "atol": 1e-8, "dense_output": True},
    {"method": "dopri5", "rtol": 1e-8, "atol": 1e-8, "save": "last"},
    {"method": "rk4", "dt": "auto"},
    {"method": "rkc2", "rtol": 1e-4, "save_every": 3},
    {"method": "esdirk43", "rtol": 1e-7, "atol": 1e-8},
    {"method": "rk4", "dt": lambda q, t, y: 0.07 + 0.01 * q},
    {"method": "rk4", "dt": [0.1, 0.05] * 10},
]


@pytest.mark.filterwarnings("ignore:.*stable, not accurate")
@pytest.mark.parametrize("way", range(len(WAYS)))
def test_no_field_of_a_checkpoint_is_believed(way: int, tmp_path: Path) -> None:
    call: dict[str, Any] = {"fun": waves, "t_span": (0, 1), "y0": [1.0, 2.0], **WAYS[way]}
    with pytest.raises(Stop):
        mflow.solve_ivp(**call, checkpoint=tmp_path / "good", checkpoint_every=1, callback=fuse(5))
    straight, bad = mflow.solve_ivp(**call), tmp_path / "bad"
    magic = altered.read(tmp_path / "good")[0]
    named: list[bool] = []
    for words, other, blocks in altered.cases(tmp_path / "good")[way % SHARE :: SHARE]:
        altered.write(bad, magic, other, blocks)
        try:
            r = mflow.solve_ivp(**call, resume=bad)
        except ValueError as error:
            named.append("bad" in str(error))
            continue
        assert (r.reason, r.nsteps, r.nfev) == (straight.reason, straight.nsteps, straight.nfev), words
        np.testing.assert_allclose(r.y, straight.y, rtol=1e-3, err_msg=words)
    assert all(named)
    assert len(named) > 12


def test_times_behind_that_are_not(tmp_path: Path) -> None:
    """`done` reached out of the array, or left times out of a run that said it was finished."""
    call: dict[str, Any] = {"t_span": (0, 1), "y0": [1.0, 2.0], "method": "rk4", "dt": 0.1, "t_eval": np.linspace(0, 1, 20)}
    with pytest.raises(Stop):
        mflow.solve_ivp(waves, **call, checkpoint=tmp_path / "good", checkpoint_every=1, callback=fuse(4))
    magic, facts, blocks = altered.read(tmp_path / "good")
    for done in (-1000000, 20, "7", None):
        altered.write(tmp_path / "bad", magic, {**facts, "done": done}, blocks)
        with pytest.raises(ValueError, match=r"resume: .*bad does not fit .*done: expected "):
            mflow.solve_ivp(waves, **call, resume=tmp_path / "bad")


# The bytes of large counts, as the time of a run: usual times, which nobody can tell from the right one.
USUAL_TIMES = {f"run, number 0 = {(2**power).to_bytes(8, 'little').hex()}" for power in (40, 62)}
STEPPERS: list[tuple[str, dict[str, Any]]] = [
    ("rk4", {}),
    ("dopri5", {"rtol": 1e-5, "atol": [1e-6, 1e-7]}),
    ("esdirk43", {"rtol": 1e-5, "direction": -1.0, "max_step": 0.5}),
]


@pytest.mark.parametrize("way", range(len(STEPPERS)))
def test_no_field_of_a_stepper_is_believed(way: int, tmp_path: Path) -> None:
    method, more = STEPPERS[way]

    def go_on(st: mflow.Stepper) -> mflow.Stepper:
        for _ in range(4):
            st.step(None if more else 0.1)
        return st

    st = go_on(mflow.Stepper(method, waves, [1.0, 2.0], t0=0.5, **more))
    st.save(tmp_path / "good")
    go_on(st)
    magic, named = altered.read(tmp_path / "good")[0], list[bool]()
    for words, facts, blocks in altered.cases(tmp_path / "good")[way % SHARE :: SHARE]:
        if words in USUAL_TIMES:
            continue
        altered.write(tmp_path / "bad", magic, facts, blocks)
        try:
            other = mflow.Stepper.load(tmp_path / "bad", waves)
        except ValueError as error:
            named.append("bad" in str(error))
            continue
        go_on(other)
        assert other.k == st.k, words
        np.testing.assert_allclose([other.t, *other.y], [st.t, *st.y], rtol=1e-2, err_msg=words)
    assert all(named)
    assert len(named) > 12


# ---- what is no saved file --------------------------------------------------------------------------------------------------------------


def test_only_files_are_read_and_their_first_line_first(tmp_path: Path) -> None:
    call: dict[str, Any] = {"fun": waves, "t_span": (0, 1), "y0": [1.0], "dt": 0.1}
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(1 << 40)  # a sparse terabyte
    with pytest.raises(ValueError, match=r"huge: damaged, or not a checkpoint"):
        mflow.solve_ivp(**call, resume=huge)
    with huge.open("r+b") as file:
        file.write(b'mflow checkpoint 2\n0000{"facts": {}, "blocks": [["run", 1000]]}\n')
    with pytest.raises(ValueError, match=r"huge: damaged, or not a checkpoint"):
        mflow.solve_ivp(**call, resume=huge)
    with pytest.raises(ValueError, match=r"resume: expected the path of a file, got .*, a folder"):
        mflow.solve_ivp(**call, resume=tmp_path)
    with pytest.raises(TypeError, match="resume: expected the path of a file, got 3"):
        mflow.solve_ivp(**call, resume=3)
    with pytest.raises(ValueError, match="path: expected the path of a file"):
        mflow.Stepper.load(tmp_path, waves)
    with pytest.raises(ValueError, match="resume: expected the path of a file"):
        mflow.train(lambda c: (float(c @ c), 2 * c), np.ones(2), jac=True, resume=tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none on this system")
def test_devices_and_pipes_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for a writer
    for path in ("/dev/zero", tmp_path / "pipe"):
        with pytest.raises(ValueError, match="which is a device, a pipe or a socket"):
            mflow.solve_ivp(waves, (0, 1), [1.0], dt=0.1, resume=path)
    with pytest.raises(ValueError, match="device"):
        mflow.Stepper.load("/dev/zero", waves)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are none on this system")
def test_only_files_are_written(tmp_path: Path) -> None:
    """A rename would put a file in the place of the pipe; of /dev/null, where the user may do that."""
    os.mkfifo(tmp_path / "pipe")
    st = mflow.Stepper("rk4", waves, [1.0])
    with pytest.raises(FileExistsError, match="expected a file to save to, got a folder or a device"):
        st.save(tmp_path / "pipe")
    with pytest.raises(ValueError, match="path: expected the path of a file, got the folder"):
        st.save(tmp_path)
    assert not (tmp_path / "pipe").is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["pipe"]


def test_a_deep_line_of_json(tmp_path: Path) -> None:
    body = b'{"facts": ' + b"[" * 100000
    (tmp_path / "deep").write_bytes(b"mflow stepper 2\n0000" + body + b"\n")
    with pytest.raises(ValueError, match="deep: damaged"):
        read_state(tmp_path / "deep", "stepper")


def test_a_whole_number_without_end_is_no_field(tmp_path: Path) -> None:
    mflow.minimize(lambda x: (x @ x, 2 * x), [1.0, 2.0], jac=True, method="lbfgs", maxiter=1, checkpoint=tmp_path / "good")
    magic, facts, blocks = altered.read(tmp_path / "good")
    altered.write(tmp_path / "bad", magic, {**facts, "stalling": [10**400, 0]}, blocks)
    with pytest.raises(ValueError, match="bad: damaged"):
        mflow.minimize(lambda x: (x @ x, 2 * x), [1.0, 2.0], jac=True, method="lbfgs", resume=tmp_path / "bad")


KILLED = """
import os, signal, sys
from mflow.saving import savefile
os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)       # a kill in the middle of a save
savefile.write_state(sys.argv[1], "stepper", {}, {"run": bytes(100)})
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is none on this system")
def test_what_a_kill_left_behind_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "state"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    others = [".state2.abcdefgh.mflow.part", "state_results.part", "stateabcdefgh.part.txt", "state.part", "stateABCDEFGH.part"]
    for name in others:
        (tmp_path / name).write_bytes(b"a user's own")
    (tmp_path / "stateabcdefgh.part").write_bytes(b"mflow stepper 2\n....")  # as earlier versions called theirs
    (tmp_path / "stateabcdefgi.part").write_bytes(b"a user's own")
    assert len(list(tmp_path.iterdir())) == 1 + len(others) + 2
    write_state(path, "stepper", {}, {})
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*others, "state", "stateabcdefgi.part"])


def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fcntl")
    path, replace, seen = tmp_path / "state", os.replace, []

    def within(source: Any, target: Any) -> None:
        if not seen:
            seen.append(source)
            write_state(path, "stepper", {"which": "second"}, {})  # another writer comes to its end first
            assert Path(source).exists()
        replace(source, target)

    monkeypatch.setattr(os, "replace", within)
    write_state(path, "stepper", {"which": "first"}, {})
    assert read_state(path, "stepper")[0] == {"which": "first"}
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


# ---- counts ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("jacobian", ["differences", "given"])
@pytest.mark.parametrize("second", [False, True])
def test_a_loaded_stepper_counts_what_it_calls(second: bool, jacobian: str, tmp_path: Path) -> None:
    calls = {"fun": 0, "jac": 0}

    def fun(t: float, *state: Array) -> Array:
        calls["fun"] += 1
        return -50.0 * np.sin(state[0]) - (state[1] if second else 0.0)

    def jac(t: float, *state: Array) -> Array:
        calls["jac"] += 1
        return np.diag(-50.0 * np.cos(state[0]))

    more: dict[str, Any] = {}
    if jacobian == "given":
        more = {"dadx": jac, "dadv": -np.eye(2)} if second else {"jac": jac}
    st = mflow.Stepper("newmark", fun, [1.0, 2.0], **more) if second else mflow.Stepper("backward_euler", fun, [1.0, 2.0], **more)
    st.advance(3, 0.01)
    assert st.nfev == calls["fun"]
    for _ in range(2):  # saved, loaded, and saved again
        st.save(tmp_path / "state")
        st = mflow.Stepper.load(tmp_path / "state", fun, **more)
        before = st.njev - calls["jac"]
        st.advance(3, 0.01)
        assert st.nfev == calls["fun"]
        if jacobian == "given":
            assert st.njev - calls["jac"] == before
        assert math.isfinite(st.y[0])


def test_steps_taken_back_are_counted() -> None:
    """dt = "auto" goes back where the curvature has outgrown its steps: those evaluations were made."""
    times: list[float] = []

    def fun(t: float, y: Array) -> Array:
        times.append(t)
        return -(1 + 500 * t * t) * (y - np.cos(t))

    r = mflow.solve_ivp(fun, (0, 3), [1.0], "rk4", dt="auto")
    assert any(later < sooner - 0.01 for sooner, later in itertools.pairwise(times))  # it did go back
    assert r.nfev + r.ncheck == len(times)


@pytest.mark.parametrize("wrong", ["x", 3, None, 1.0, []])
def test_whether_a_saved_state_is_complex_is_true_or_false(tmp_path: Path, wrong: Any) -> None:
    stepper = mflow.Stepper("rk4", lambda t, y: 1j * y, [1.0 + 0j])
    stepper.save(tmp_path / "good")
    magic, facts, blocks = altered.read(tmp_path / "good")
    altered.write(tmp_path / "bad", magic, {**facts, "complex": wrong}, blocks)
    with pytest.raises(ValueError, match="bad"):
        mflow.Stepper.load(tmp_path / "bad", lambda t, y: 1j * y)


@pytest.mark.parametrize("method", ["rkc2", "velocity_verlet", "newmark"])
def test_fixed_steps_do_not_become_those_of_error_control(method: str, tmp_path: Path) -> None:
    """A tolerance in the file made them so: the first step was chosen anew, and was as long as the tolerance let it."""
    moves = method != "rkc2"
    fun: Any = (lambda t, x, v: -x) if moves else waves
    st = mflow.Stepper(method, fun, [1.0, 2.0], *([[0.0, 1.0]] if moves else []))
    for _ in range(3):
        st.step(0.1)
    st.save(tmp_path / "good")
    magic, facts, blocks = altered.read(tmp_path / "good")
    altered.write(tmp_path / "bad", magic, altered.put(facts, ("control", "rtol"), 20), blocks)
    with pytest.raises(ValueError, match=r"bad: .*h: expected a next step of at most 10 times the way 0.3 of 3 steps, got 0.0"):
        mflow.Stepper.load(tmp_path / "bad", fun)


def test_a_next_step_that_no_steps_lead_to(tmp_path: Path) -> None:
    """Each is at most ten times the one before; that of a state which was set, or of a short way, is none of these."""
    st = mflow.Stepper("dopri5", waves, [1.0, 2.0], rtol=1e-5, atol=1e-7)
    st.advance_to(1e-3)
    st.save(tmp_path / "good")
    mflow.Stepper.load(tmp_path / "good", waves)
    for words, facts, blocks in altered.cases(tmp_path / "good"):
        if words == "run, number 10 = " + struct.pack("<d", 1e300).hex():
            altered.write(tmp_path / "bad", altered.read(tmp_path / "good")[0], facts, blocks)
            with pytest.raises(ValueError, match=r"h: expected a next step of at most 10 times the way 0.001 of 1 step, got 1e\+300"):
                mflow.Stepper.load(tmp_path / "bad", waves)
            break
    else:
        pytest.fail("the step was not among the numbers")
    st.y = [3.0, 4.0]
    st.save(tmp_path / "good")
    assert mflow.Stepper.load(tmp_path / "good", waves).y.tolist() == [3.0, 4.0]


def test_the_time_of_an_optimizer_is_not_before_its_start(tmp_path: Path) -> None:
    st = mflow.Stepper("adam", grad=lambda c: c, y0=[1.0], lr=0.1, t0=2.0)
    st.step()
    st.save(tmp_path / "good")
    magic, facts, blocks = altered.read(tmp_path / "good")
    altered.write(tmp_path / "bad", magic, {**facts, "clock": [-1e300, 0.0]}, blocks)
    with pytest.raises(ValueError, match="clock: expected a time that follows from 1 step from t = 2"):
        mflow.Stepper.load(tmp_path / "bad", lambda c: c)
