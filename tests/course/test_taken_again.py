"""A run with dt="auto" that is not at rest at its end, and not where steps of half the length end, says so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

import mflow

SAYS = "stable, not accurate"
Slope = Callable[[float, Any], NDArray[np.float64]]


def orbit(t: float, y: Any) -> NDArray[np.float64]:
    return np.concatenate([y[2:], -y[:2] / np.hypot(*y[:2]) ** 3])


def goodwin(t: float, y: Any) -> NDArray[np.float64]:
    return np.array([1.0 / (1.0 + y[2] ** 10) - 0.5 * y[0], y[0] - 0.5 * y[1], y[1] - 0.5 * y[2]])


def rough(t: float, y: Any) -> NDArray[np.float64]:
    return -y + np.sin(7.0 * t) * np.sign(np.sin(3.0 * t))


def swing(t: float, y: Any) -> NDArray[np.float64]:
    return np.array([y[1], -25.0 * y[0] - y[1]])


def logistic(t: float, y: Any) -> NDArray[np.float64]:
    return np.asarray(y * (1.0 - y))


CASES: list[tuple[Slope, float, list[float], str]] = [
    (orbit, 20.0, [0.2, 0.0, 0.0, 3.0], "rk4"),  # an eccentricity of 0.8
    (orbit, 20.0, [0.2, 0.0, 0.0, 3.0], "dopri5"),
    (goodwin, 60.0, [0.1, 0.2, 2.5], "dopri5"),
    (goodwin, 60.0, [0.1, 0.2, 2.5], "rkc2"),
    (rough, 20.0, [1.0], "dopri5"),
    (rough, 20.0, [1.0], "euler"),
    (swing, 40.0, [1.0, 0.0], "rk4"),
    (logistic, 3.0, [0.05], "euler"),
    (logistic, 3.0, [0.05], "rk4"),
    (logistic, 30.0, [0.05], "euler"),
]


@pytest.mark.filterwarnings(f"ignore:.*{SAYS}")
@pytest.mark.parametrize("case", range(len(CASES)))
def test_what_is_elsewhere_is_told_of_and_nothing_else(case: int) -> None:
    """Against an accurate solution, in parts of how far a component goes. The first was .34 off without a word."""
    f, end, start, method = CASES[case]
    true = solve_ivp(f, (0.0, end), start, method="DOP853", rtol=1e-9, atol=1e-12, max_step=end / 400.0).y
    way = np.max(np.abs(true - true[:, :1]), axis=1)
    r = mflow.solve_ivp(f, (0, end), start, method, dt="auto")
    off = np.max(np.abs(r.y[:, -1] - true[:, -1]) / way)
    assert r.reason == "finished"
    assert not 0.05 < off < 0.07  # else rounding decides
    assert (off > 0.06) == bool(r.doubts)
    assert not r.doubts or (SAYS in r.doubts[0] and SAYS in r.message)


@pytest.mark.filterwarnings(f"ignore:.*{SAYS}")
def test_steps_that_keep_what_the_solution_forgets_are_told_of() -> None:
    """The solution is 2e-9 at the end, and euler .27, as nine tenths of its limit let a tenth of the damping through."""
    r = mflow.solve_ivp(swing, (0, 40), [1.0, 0.0], "euler", dt="auto")
    assert np.max(np.abs(r.y[:, -1])) > 0.1
    assert "the solution oscillates with a period of about 1.26" in r.doubts[0]
    for method in ("rk2", "rkc2", "dopri5"):
        r = mflow.solve_ivp(swing, (0, 40), [1.0, 0.0], method, dt="auto")
        assert np.max(np.abs(r.y[:, -1])) < 0.01
        assert not r.doubts


def test_what_is_at_rest_is_not_taken_again() -> None:
    r = mflow.solve_ivp(logistic, (0, 30), [0.05], "euler", dt="auto")
    assert r.ncheck < 10


@pytest.mark.filterwarnings(f"ignore:.*{SAYS}")
def test_runs_that_were_resumed_say_the_same(tmp_path: Path) -> None:
    whole = mflow.solve_ivp(rough, (0, 20), [1.0], "dopri5", dt="auto")
    assert whole.doubts
    resumed = 0
    for at in range(1, len(whole.t) - 1):
        path = tmp_path / str(at)
        first = mflow.solve_ivp(rough, (0, 20), [1.0], "dopri5", dt="auto", checkpoint=path, max_steps=at)
        assert first.reason == "max_steps"
        if path.exists():  # it is not where steps may be taken again
            r = mflow.solve_ivp(rough, (0, 20), [1.0], "dopri5", dt="auto", checkpoint=path, resume=path)
            assert (r.doubts, r.message, r.nfev, r.ncheck) == (whole.doubts, whole.message, whole.nfev, whole.ncheck)
            again = mflow.solve_ivp(rough, (0, 20), [1.0], "dopri5", dt="auto", resume=path)  # from the end
            assert again.doubts == whole.doubts
            resumed += 1
    assert resumed > 2
