"""Steppers that go on from another state: a new start, and nothing that is written to a state is lost without a word."""

import math
import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.nonlinear import Newton
from support.places import environment_for
from support.problems import Array, start_of, waves


def stiff(t: float, y: Array) -> Array:
    return np.array([-50.0 * (y[0] - math.cos(t)), y[2], -y[1]])


def facts(st: mflow.Stepper) -> tuple[Any, ...]:
    return st.t, st.y.tobytes(), st.h


# ---- doses ------------------------------------------------------------------------------------------------------------------------------

RATE, DOSE, DAYS = 0.3, 100.0, 10


@pytest.mark.parametrize(
    ("method", "how", "error"),
    [
        ("dopri5", {"rtol": 1e-10, "atol": 1e-10}, 1e-7),
        ("rkc2", {"rtol": 1e-8, "atol": 1e-8}, 1e-3),
        ("esdirk43", {"rtol": 1e-8, "atol": 1e-8}, 1e-4),
        ("rk4", {}, 1e-7),
        ("backward_euler", {}, 2.0),
    ],
)
def test_ten_doses(method: str, how: dict[str, Any], error: float) -> None:
    """y' = -rate y, and a dose at the start of each day: after n days, dose times a geometric sum. `st.y[0] += dose` was lost, and the
    level wrong by all of it."""
    for way in ("y", "set_state", "y +="):
        st = mflow.Stepper(method, lambda t, y: -RATE * y, [0.0], **how)
        for day in range(DAYS):
            if way == "y":
                st.y = st.y + DOSE
            elif way == "y +=":
                y = st.y.copy()
                y[0] += DOSE
                st.y = y
            else:
                st.set_state(y=[st.y[0] + DOSE])
            if how:
                st.advance_to(day + 1.0)
            else:
                st.advance(100, 0.01)
        share = math.exp(-RATE)
        level = DOSE * share * (1 - share**DAYS) / (1 - share)
        assert abs(st.y[0] - level) < error
        assert abs(st.t - DAYS) < 1e-12


def test_what_is_handed_out_is_read_only() -> None:
    st = mflow.Stepper("rk4", waves, start_of(6).reshape(2, 3))
    motion = mflow.Stepper("newmark", lambda t, x, v: -x, [1.0, 2.0])
    for state in (st.y, motion.x, motion.y, motion.v, motion.a):
        with pytest.raises(ValueError, match="read-only"):
            state[0] += 1.0
    kept = st.y
    st.step(0.1)
    assert not np.array_equal(kept, st.y)  # a copy, not a window
    with pytest.raises(AttributeError):
        st.t = 3.0  # type: ignore[misc]
    with pytest.raises(AttributeError):
        motion.a = [0.0, 0.0]


# ---- a new start ------------------------------------------------------------------------------------------------------------------------


def test_it_goes_on_as_one_that_is_made_there(step_method: Any) -> None:
    """The same bits: no slope, no Jacobian, no spectral radius, no step of the time before."""
    ways: list[dict[str, Any]] = [{}] + ([{"rtol": 1e-5, "atol": 1e-7}] if "embedded" in step_method.flags else [])
    for how in ways:
        used = mflow.Stepper(step_method.name, stiff, [1.5, 0.0, 0.2], **how)
        for _ in range(7):
            used.step(None if how else 0.03)
        k, nfev, njev = used.k, used.nfev, used.njev
        used.set_state(t=2.5, y=[0.1, 1.0, -0.3])
        assert (used.t, used.y.tolist(), used.k) == (2.5, [0.1, 1.0, -0.3], k)
        assert "t = 2.5" in repr(used)
        with pytest.raises(ValueError, match="no last step"):
            used.interpolate(2.5)
        fresh = mflow.Stepper(step_method.name, stiff, [0.1, 1.0, -0.3], t0=2.5, **how)
        for _ in range(9):
            used.step(None if how else 0.03)
            fresh.step(None if how else 0.03)
            assert facts(used) == facts(fresh)
        assert (used.k - k, used.nfev - nfev, used.njev - njev) == (fresh.k, fresh.nfev, fresh.njev)


@pytest.mark.parametrize("solver", ["newton", "newton_krylov", Newton("sparse")])
@pytest.mark.parametrize("h", [0.7, 2.0, 5.0])
def test_no_trust_in_a_root_outlives_the_state(solver: Any, h: float, tmp_path: Any) -> None:
    """Fixed steps remember where I - h J was looked at: near there no look is taken again."""

    def bistable(t: float, y: Array) -> Array:
        return np.array([4.0 / (1 + y[1] ** 3) - y[0] + 0.1 * math.sin(t), 4.0 / (1 + y[0] ** 3) - y[1]])

    given: dict[str, Any] = {"jac_sparsity": np.ones((2, 2))} if isinstance(solver, Newton) else {}
    for start in ([1.31, 1.2], [0.1, 0.4], [1.0, 1.7]):
        used = mflow.Stepper("backward_euler", bistable, [1.0, 1.7], solver=solver, **given)
        try:
            for _ in range(6):
                used.step(h)
        except RuntimeError:
            pass
        used.set_state(t=1.0, y=start)
        used.save(tmp_path / "here")
        nfev, njev = used.nfev, used.njev
        fresh = mflow.Stepper("backward_euler", bistable, start, t0=1.0, solver=solver, **given)
        for _ in range(6):
            raised = []
            for st in (used, fresh):
                try:
                    st.step(h)
                except RuntimeError as error:
                    raised.append(str(error))
            assert len(raised) in (0, 2)
            assert facts(used) == facts(fresh)
            assert (used.nfev - nfev, used.njev - njev) == (fresh.nfev, fresh.njev)
        assert mflow.Stepper.load(tmp_path / "here", bistable, solver=solver, **given).y.tolist() == start


def test_saved_and_copied_after_it(step_method: Any, tmp_path: Any) -> None:
    st = mflow.Stepper(step_method.name, stiff, [1.5, 0.0, 0.2])
    st.advance(5, 0.03)
    st.set_state(t=-1.0, y=[0.1, 1.0, -0.3])
    st.save(tmp_path / "at the start")
    st.advance(2, 0.02)
    st.save(tmp_path / "later")
    for name, steps in (("at the start", 6), ("later", 4)):
        other = mflow.Stepper.load(tmp_path / name, stiff)
        other.advance(steps, 0.02)
        twin = mflow.Stepper(step_method.name, stiff, [0.1, 1.0, -0.3], t0=-1.0)
        twin.advance(6, 0.02)
        assert (other.t, other.y.tobytes()) == (twin.t, twin.y.tobytes())


def test_after_a_wall_and_after_a_failure() -> None:
    """What held a stepper up is left behind with the state."""
    st = mflow.Stepper("dopri5", lambda t, y: np.sqrt(1.0 - t) * y if t < 1.0 else y * np.nan, [1.0], rtol=1e-6)
    with pytest.raises((FloatingPointError, RuntimeError)), np.errstate(all="ignore"):
        st.advance_to(2.0)
    st.set_state(t=0.0, y=[2.0])
    st.advance_to(0.5)
    assert abs(st.y[0] - 2.0 * math.exp((1 - 0.5**1.5) * 2 / 3)) < 1e-5


def test_only_the_time_or_only_the_state() -> None:
    st = mflow.Stepper("rk4", lambda t, y: np.array([t]), [1.0], t0=1.0)
    st.step(1.0)  # 1 + (4 - 1)/2
    st.set_state(t=10.0)
    st.step(2.0)  # + (144 - 100)/2
    assert (st.t, st.y.tolist()) == (12.0, [24.5])
    st.y = [0.0]
    assert st.t == 12.0
    st.step(-2.0)
    assert st.y.tolist() == [-22.0]


def test_what_does_not_fit_is_named_and_changes_nothing() -> None:
    st = mflow.Stepper("rk4", waves, [1.0, 2.0], t0=0.5)
    st.step(0.1)
    motion = mflow.Stepper("newmark", lambda t, x, v: -x, [1.0, 2.0])
    before = st.t, st.y.tobytes()
    for call, words, kind in [
        ({"y": [1.0]}, r"y: expected an array of shape \(2,\), got shape \(1,\)", ValueError),
        ({"y": [[1.0, 2.0]]}, "y: expected an array of shape", ValueError),
        ({"y": [1.0, math.nan]}, "y: ", ValueError),
        ({"y": [1.0, 2j]}, "y: ", TypeError),
        ({"y": "ab"}, "y: ", (TypeError, ValueError)),
        ({"t": math.inf}, "t: expected a finite number", ValueError),
        ({"t": "x"}, "t: ", TypeError),
        ({"t": 3.0, "y": [math.inf, 0.0]}, "y: ", ValueError),
    ]:  # fmt: skip
        with pytest.raises(kind, match=words):
            st.set_state(**call)
        assert (st.t, st.y.tobytes()) == before
    with pytest.raises(ValueError, match="y: expected an array of shape"):
        st.y = [1.0, 2.0, 3.0]
    with pytest.raises(ValueError, match=r"v: expected an array of shape \(2,\)"):
        motion.v = [1.0]
    with pytest.raises(ValueError, match=r"x: expected an array of shape \(2,\)"):
        motion.x = 1.0
    with pytest.raises(ValueError, match="x, y: they are one thing"):
        motion.set_state(x=[1.0, 2.0], y=[1.0, 2.0])


def test_not_from_its_own_callback() -> None:
    def fun(t: float, y: Array) -> Array:
        st.y = [5.0]
        return -y

    st = mflow.Stepper("rk4", fun, [1.0])
    with pytest.raises(RuntimeError, match="already stepping"):
        st.step(0.1)
    assert st.y.tolist() == [1.0]
    reading = mflow.Stepper("rk4", lambda t, y: -reading.y, [1.0])
    with pytest.raises(RuntimeError, match="read its state between two steps"):
        reading.step(0.1)


def test_the_direction_is_a_number() -> None:
    with pytest.raises(ValueError, match="direction: expected a finite number, whose sign counts, got nan"):
        mflow.Stepper("dopri5", waves, [1.0], rtol=1e-3, direction=math.nan)


# ---- second order -----------------------------------------------------------------------------------------------------------------------


def test_a_ball_that_bounces() -> None:
    """Free fall from 1 m, 0.8 of the speed after each bounce: heights 0.64^k, exact for a quadratic motion."""
    ball = mflow.Stepper("velocity_verlet", lambda t, x, v: [-9.81], [1.0])
    fall = math.sqrt(2.0 / 9.81)
    ball.advance(50, fall / 50)
    for k in range(1, 6):
        ball.v = -0.8 * ball.v
        ball.set_state(x=[0.0])
        fall *= 0.8
        ball.advance(50, fall / 50)
        assert abs(ball.x[0] - 0.64**k) < 1e-12
        ball.advance(50, fall / 50)
        assert abs(ball.x[0]) < 1e-12


def pendulum(t: float, x: Array, v: Array) -> Array:
    return -np.sin(x) - 0.1 * v + 0.1 * math.cos(t)


def test_motion_goes_on_as_one_that_is_made_there(second_method: Any) -> None:
    ways: list[dict[str, Any]] = [{}, {"energy": True}] + ([{"rtol": 1e-5}] if "embedded" in second_method.flags else [])
    for how in ways:
        dt = None if "rtol" in how else 0.05
        used = mflow.Stepper(second_method.name, pendulum, [1.0, -0.5], [0.3, 0.0], **how)
        for _ in range(5):
            used.step(dt)
        k, nfev = used.k, used.nfev
        used.set_state(t=3.0, x=[0.2, 0.7], v=[0.0, -1.0])
        fresh = mflow.Stepper(second_method.name, pendulum, [0.2, 0.7], [0.0, -1.0], t0=3.0, **how)
        for _ in range(6):
            used.step(dt)
            fresh.step(dt)
            assert (*facts(used), used.v.tobytes(), used.a.tobytes()) == (*facts(fresh), fresh.v.tobytes(), fresh.a.tobytes())
        assert (used.k - k, used.nfev - nfev) == (fresh.k, fresh.nfev)
        if "energy" in how:
            np.testing.assert_array_equal(list(used.energy.values()), list(fresh.energy.values()))


# ---- threads and forks -------------------------------------------------------------------------------------------------------------------


def ramp() -> Any:
    """y_i' = 1: all entries of a state are the same."""
    numba = pytest.importorskip("numba")
    doubles = numba.types.CPointer(numba.types.float64)

    @numba.cfunc(numba.types.int32(numba.types.float64, doubles, doubles, numba.types.intp, numba.types.voidptr))
    def ones(t, y, out, n, ctx):  # type: ignore[no-untyped-def]
        for i in range(n):
            out[i] = 1.0
        return 0

    return ones


def test_a_state_that_is_read_while_another_thread_steps_is_whole() -> None:
    st = mflow.Stepper("rk4", ramp(), np.zeros(20000))
    st.step(0.5)
    over, whole, refused = threading.Event(), 0, 0

    def work() -> None:
        for _ in range(30):
            while True:
                try:
                    st.advance(20, 0.5)
                except RuntimeError:  # a read was at it
                    continue
                break
        over.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not over.is_set():
        try:
            y = st.y
        except RuntimeError as error:
            refused += "already stepping, in another thread" in str(error)
        else:
            assert np.all(y == y[0])
            whole += 1
    thread.join()
    assert refused > 0
    assert st.y[0] == 0.5 * 601


FORK = """
import os, threading, time, warnings
import numpy as np
import mflow
warnings.simplefilter("ignore", DeprecationWarning)    # a fork of a process that has threads: the very thing that is tested
from test_new_states import ramp
ones = ramp()
idle = mflow.Stepper("rk4", ones, np.zeros(3))
busy = mflow.Stepper("rk4", ones, np.zeros(200000))
mflow.solve_ivp_batch                                  # imported before the fork: a child cannot end what another thread was importing
stop = threading.Event()
def work():
    while not stop.is_set(): busy.advance(5, 0.5)
def batches():
    while not stop.is_set(): mflow.solve_ivp_batch(ones, (0, 1), np.zeros((64, 3)), rtol=1e-6, atol=1e-8, threads=2)
threads = [threading.Thread(target=one) for one in (work, batches)]
for thread in threads: thread.start()
seen = set()
deadline = time.monotonic() + 30
for attempt in range(40):
    time.sleep(0.002)
    child = os.fork()
    if child == 0:
        idle.step(0.5)                                 # its own state: goes on
        new = mflow.solve_ivp_batch(ones, (0, 1), np.zeros((8, 3)), rtol=1e-6, atol=1e-8, threads=2)
        ok = idle.y[0] == 0.5 and abs(new.y[0, 0, -1] - 1.0) < 1e-6 if new.y.ndim == 3 else True
        try:
            y = busy.y
            said = 1 if np.all(y == y[0]) else 3
        except RuntimeError as error:
            said = 2 if "when this process was forked" in str(error) else 3
        os._exit(said if ok else 3)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done: break
        assert time.monotonic() < deadline, "a child hangs"
        time.sleep(0.001)
    seen.add(os.waitstatus_to_exitcode(status))
    if 2 in seen and attempt > 2: break
stop.set()
for thread in threads: thread.join()
print(sorted(seen))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_that_is_forked_while_other_threads_step() -> None:
    """It never hangs: no lock of ours is held by a thread that it does not have. A run inside a step has its owner's mark, and says so."""
    pytest.importorskip("numba")
    environment = environment_for(__file__)
    out = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=False, timeout=120, env=environment)
    assert out.stdout.strip() in ("[1, 2]", "[2]"), out.stdout + out.stderr
