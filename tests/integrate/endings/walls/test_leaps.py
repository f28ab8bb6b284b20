"""Fixed steps that leap past where f is steep: one step leads to where the Jacobian is small, and all that follow are smooth, finite and
wrong. The right values are roots written out here, or SciPy's at tight tolerances; the limits are those of 1 + z + z^2/2 + ...
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import mflow
from mflow.course.past_limit import PastLimit
from support.problems import Array
from support.warned import told

SAID = "exceeds the stability limit"
LIMITS = {"euler": 2.0, "rk2": 2.0, "rk4": 2.785293563405282, "tvd_rk3": 2.512745326618332, "dopri5": 3.306567892634947}
K, V = 1e-3, 0.7  # of the switch
REST = (0.3 + 1.7 * K - math.sqrt((0.3 + 1.7 * K) ** 2 - 0.84 * K)) / 0.6  # the root of v (1 - w)(K + w) = w (K + 1 - w)


def modified(t: float, w: Array) -> Array:
    """Goldbeter and Koshland: the share of a protein that is modified, by enzymes that are saturated."""
    return np.array([V * (1 - w[0]) / (K + 1 - w[0]) - w[0] / (K + w[0])])


def feedback(t: float, y: Array) -> Array:
    """One that is fed back through a steep switch."""
    q = abs(y[0]) ** 8
    return np.array([3.0 * (1 - y[0]) - 3.0 * y[1], 50.0 * q / (q + 0.5**8) - 10.0 * y[1]])


@pytest.mark.parametrize("method", LIMITS)
def test_a_step_past_a_pole_of_kinetics_is_told_of(method: str) -> None:
    """Beside the rest at w = .0023 the share runs off below 0, where the slope is flat: never above the edge again."""
    assert modified(0.0, np.array([REST]))[0] == pytest.approx(0.0, abs=1e-12)
    r, seen = told(lambda: mflow.solve_ivp(modified, (0, 10), [0.9], method=method, dt=0.05))
    assert r.reason == "finished"
    assert abs(r.y[0, -1] - REST) > 0.1
    assert [text for text in seen if SAID in text] == [f"solve_ivp: {r.doubts[0]}"]
    named = float(r.message.split("which is about ")[1].split(" ")[0])
    steepest = V * K / (K + 1 - REST) ** 2 + K / (K + REST) ** 2  # on the way to the rest
    assert 0.99 * LIMITS[method] / steepest < named < 0.05
    advised = float(r.message.split("Take dt = ")[1].split(" ")[0])
    r, seen = told(lambda: mflow.solve_ivp(modified, (0, 10), [0.9], method=method, dt=advised))
    assert r.y[0, -1] == pytest.approx(REST, rel=1e-6)
    assert not seen
    assert r.doubts == ()


@pytest.mark.parametrize(("method", "dt"), [("euler", 0.13), ("euler", 0.1), ("rk4", 0.2), ("dopri5", 0.25)])
def test_a_step_past_a_steep_switch_is_told_of(method: str, dt: float) -> None:
    """The run comes to rest at (-4, 5), a root of f that the solution never sees."""
    r, seen = told(lambda: mflow.solve_ivp(feedback, (0, 10), [0.3, 0.0], method=method, dt=dt))
    right = solve_ivp(feedback, (0, 10), [0.3, 0.0], "Radau", rtol=1e-9, atol=1e-12).y[:, -1]
    assert r.y[:, -1] == pytest.approx([-4.0, 5.0], abs=1e-3)
    assert abs(right[0] + 4.0) > 4.0
    assert len(seen) == len(r.doubts) == 1
    assert SAID in r.doubts[0]


@pytest.mark.parametrize("method", LIMITS)
def test_the_same_switch_within_its_limit_says_nothing(method: str) -> None:
    r, seen = told(lambda: mflow.solve_ivp(feedback, (0, 10), [0.3, 0.0], method=method, dt=0.02))
    right = solve_ivp(feedback, (0, 10), [0.3, 0.0], "Radau", rtol=1e-9, atol=1e-12).y[:, -1]
    assert r.y[:, -1] == pytest.approx(right, rel=0.02)
    assert not seen
    assert r.doubts == ()


@pytest.mark.parametrize("fast", [60.0, 120.0])
def test_a_transient_past_the_limit_that_comes_back_is_not_told_of(fast: float) -> None:
    """h |lambda| is 3.1 and 6.1 at first, and below 2 after a few steps; the state, thrown about, comes to rest where it should."""
    r, seen = told(
        lambda: mflow.solve_ivp(lambda t, y: -(fast * np.exp(-10.0 * t) + 2.0) * (y - 1.0), (0, 2), [1.2], method="euler", dt=0.05)
    )
    assert np.max(np.abs(r.y - 1.0)) > 0.2
    assert r.y[0, -1] == pytest.approx(1.0, abs=2e-3)
    assert not seen
    assert r.doubts == ()


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_a_leap_is_told_of_in_the_same_words_after_a_resume(method: str, tmp_path: Path) -> None:
    """With the measurement behind, and the verdict ahead."""
    path, whole = tmp_path / "run", told(lambda: mflow.solve_ivp(modified, (0, 10), [0.9], method=method, dt=0.05))[0]
    for steps in (60, 62, 63, 66, 69, 71):
        more = {"method": method, "dt": 0.05, "checkpoint": path, "checkpoint_every": 1}
        told(lambda steps=steps, more=more: mflow.solve_ivp(modified, (0, 10), [0.9], max_steps=steps, **more))
        rest, _ = told(lambda: mflow.solve_ivp(modified, (0, 10), [0.9], method=method, dt=0.05, resume=path))
        assert np.array_equal(rest.y, whole.y)
        assert (rest.message, rest.doubts, rest.ncheck) == (whole.message, whole.doubts, whole.ncheck)


def test_a_dose_is_no_leap() -> None:
    """The state jumps between two steps, not in one: with and without a measurement behind."""
    r, seen = told(
        lambda: mflow.solve_ivp(
            lambda t, y: -30.0 * (y - 1.0), (0, 3), [2.0], method="euler", dt=0.06, doses=[(0.6, 0, 5.0), (1.5, 0, -9.0)]
        )
    )
    assert r.y[0, -1] == pytest.approx(1.0, abs=0.05)
    assert not seen
    assert r.doubts == ()


def test_a_batch_names_the_trajectories_that_are_doubted() -> None:
    r, _ = told(lambda: mflow.solve_ivp_batch(lambda t, y: -25.0 * np.tanh(y), (0, 10), [[0.9], [0.0], [5.0]], method="euler", dt=0.1))
    assert sorted(r.messages) == [0, 2]
    assert SAID in r.messages[2]


def past_limit(fun: Any, start: list[float], steps: int, dt: float) -> tuple[mflow.Stepper, PastLimit]:
    st = mflow.Stepper("euler", fun, start)
    told(lambda: st.advance(steps, dt))
    return st, st._past


def test_every_number_of_the_looks_is_checked() -> None:
    """A checkpoint whose fields no run can have: negative squares, counts without their vectors, a mark of another size."""
    _, looks = past_limit(modified, [0.9], 63, 0.05)
    saved = looks.pack()
    assert saved["mark"] is not None
    assert looks.misfit(saved) == ""
    ill = [(0, -1.0), (1, 0.0), (2, -1.0), (2, 5.0), (3, 1e9), (4, 1e9), (5, -1.0), (6, -4.0), (11, 2.0), (12, 0.5), (13, math.nan)]
    for place, value in ill:
        state = [*saved["state"]]
        state[place] = value
        assert looks.misfit({**saved, "state": state}).startswith("past: "), place
    for name, value in (
        ("text", 3), ("inside", 2), ("inside", 0), ("inside", 1.0), ("first", ["0.5", "words", 8]),
        ("inside", "yes"), ("patience", 0), ("evaluations", -1), ("state", []), ("first", [1.0, "words", 0]),
        ("first", [-1.0, "words", 8]), ("first", [1.0, 8, 8]), ("mark", [0.0, [1.0, 2.0], 0.1]), ("mark", [0.0, [math.inf], 0.1]),
        ("mark", [0.0, [1.0], 0.0]), ("mark", [0.0]),
    ):  # fmt: skip
        assert looks.misfit({**saved, name: value}), (name, value)
    assert looks.misfit({**saved, "more": 1})
    assert looks.misfit({**saved, "evaluations": 999, "state": []})
    assert looks.evaluations == saved["evaluations"]  # nothing is taken of what is refused
    assert looks.misfit(saved) == ""


def test_what_was_measured_goes_into_a_checkpoint() -> None:
    """Whether all modes were inside acquits a state that has grown by itself, after a resume too."""
    _, looks = past_limit(lambda t, y: -19.0 * np.tanh(y), [1.0], 40, 0.1)
    assert looks.pack()["inside"] is True
    other = mflow.Stepper("euler", lambda t, y: -19.0 * np.tanh(y), [1.0])
    assert other._past.inside is None
    other._past._unpack({**looks.pack(), "state": other._past.watch.pack().tolist()})
    assert other._past.inside is True


def test_results_name_what_speaks_against_them_in_a_field() -> None:
    r, _ = told(lambda: mflow.solve_ivp(lambda t, y: -y, (0, 50), [1.0], method="rk4", dt=0.1))
    assert r.doubts == ()
    r, _ = told(lambda: mflow.solve_ivp(modified, (0, 10), [0.9], method="rk4", dt=0.05))
    assert r.message.endswith(f"; but {r.doubts[0]}")
    r, _ = told(lambda: mflow.gradient_flow(lambda c: 50.0 * np.tanh(c), [1.0], 16.0, "sgd", lr=0.08))
    assert r.message.endswith(f"; but {r.doubts[0]}")


@pytest.mark.parametrize("share", [1.05, 1.2, 1.5, 2.5])
def test_momentum_past_its_limit_that_goes_round_a_cycle(share: float) -> None:
    """The limit of momentum b on curvature L is 2 (1 + b)/L; beyond, 50 log cosh c is not left, and no rest is found."""
    lr = share * 2.0 * 1.9 / 50.0
    r, seen = told(lambda: mflow.gradient_flow(lambda c: 50.0 * np.tanh(c), [1.0, 2.0], 400 * lr, "momentum", lr=lr, momentum=0.9))
    assert np.max(np.abs(r.y[:, -1])) > 1.0
    assert len(seen) == len(r.doubts) == 1
    named = float(r.message.split("which is about ")[1].split(" ")[0])
    assert named == pytest.approx(0.076, rel=0.1)


def test_momentum_that_comes_to_rest_says_nothing() -> None:
    for method, lr in (("momentum", 0.05), ("nesterov", 0.02)):
        r, seen = told(
            lambda method=method, lr=lr: mflow.gradient_flow(lambda c: 50.0 * np.tanh(c), [0.1, 0.2], 400 * lr, method, lr=lr, momentum=0.9)
        )
        assert np.max(np.abs(r.y[:, -1])) < 1e-3
        assert not seen
        assert r.doubts == ()
    r, seen = told(lambda: mflow.gradient_flow(lambda c: np.array([1.0, 9.0]) * c, [1.0, 1.0], 6.0, "momentum", lr=0.2, momentum=0.9))
    assert not seen  # still on its way, back and forth across the valley, inside the limit


@pytest.mark.parametrize("method", ["euler", "rk2", "rk3", "rk4"])
def test_a_first_step_that_leaps_off_is_told_though_later_ones_are_stable(method):
    """y' = c/y has y = sqrt(y0^2 + 2 c t): 1.4e25 here, and steps lead to 1e42 and more."""
    with pytest.warns(RuntimeWarning, match="exceeds the stability limit"):
        r = mflow.solve_ivp(lambda t, y: 1e50 / y, (1, 2), [1e6], method, dt=0.1)
    assert "the state grew from 1e+06" in r.message
    assert r.y[0, -1] > 1e10 * np.sqrt(1e12 + 2e50)
