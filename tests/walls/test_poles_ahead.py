"""Error-controlled steps end at a pole in time whose integral diverges: at loose tolerances one led over it, and the run finished.

The solutions are known: -log(1 - t) and the like run off at t = 1, and no state stands behind it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow

POLES: dict[str, tuple[Callable[[float, Any], Any], float]] = {
    "1/(1 - t)": (lambda t, y: 1.0 / np.float64(1.0 - t) + 0.0 * y, 1.0),
    "-1/(1.03 - t)^2": (lambda t, y: -1.0 / np.float64(1.03 - t) ** 2 + 0.0 * y, 1.03),
    "tan t": (lambda t, y: np.tan(t) + 0.0 * y, 0.5 * np.pi),
    "-50 y + 1/(1.03 - t)": (lambda t, y: -50.0 * y + 1.0 / np.float64(1.03 - t), 1.03),
}
METHODS = ["bs32", "tsit5", "dopri5", "dop853", "rkc2", "radau5", "bdf", "rodas5p", "esdirk43", "auto"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", POLES)
def test_no_step_leads_over_a_pole(name: str, method: str) -> None:
    fun, pole = POLES[name]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        r = mflow.solve_ivp(fun, (0.0, 2.0), [0.0], method, rtol=1e-3, atol=1e-3)
    assert not r.success
    assert r.reason in ("diverged", "step_too_small")
    assert pole - 1e-6 < r.t[-1] < pole
    assert f"{pole:.6g}"[:4] in r.message


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("1/(1 - t)", "dopri5"), ("1/(1 - t)", "tsit5"), ("1/(1 - t)", "auto"), ("-1/(1.03 - t)^2", "dopri5"),
        ("-50 y + 1/(1.03 - t)", "tsit5"), ("tan t", "dopri5"),
    ],
)  # fmt: skip
def test_a_good_step_over_a_pole_is_seen(name: str, method: str) -> None:
    """Tolerances so loose that the estimate of a step over it is small by chance."""
    fun, pole = POLES[name]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        r = mflow.solve_ivp(fun, (0.0, 2.0), [0.0], method, rtol=1e-2, atol=1e-2)
    assert not r.success
    assert pole - 1e-6 < r.t[-1] < pole


@pytest.mark.parametrize(
    ("fun", "exact", "end", "method", "rtol"),
    [
        (lambda t, y: y / np.tan(t + 0.1), lambda t: np.sin(t + 0.1) / np.sin(0.1), 4.0, "dopri5", 1e-2),
        (lambda t, y: y / np.tan(t + 0.1), lambda t: np.sin(t + 0.1) / np.sin(0.1), 12.0, "dop853", 1e-3),
        (lambda t, y: y / np.tan(t + 0.5), lambda t: np.sin(t + 0.5) / np.sin(0.5), 4.0, "tsit5", 1e-3),
        (lambda t, y: y / (t - 0.3), lambda t: (0.3 - t) / 0.3, 1.0, "rodas5p", 1e-2),
        (lambda t, y: -y * np.tan(t), np.cos, 4.0, "dopri5", 1e-2),
    ],
)
def test_where_errors_decide_how_a_solution_goes_on_it_is_said(fun: Any, exact: Any, end: float, method: str, rtol: float) -> None:
    """What is 0 at a pole goes through, and so do others: numbers were off by 4 to 12 000 %, without a word."""
    with pytest.warns(RuntimeWarning, match="errors within the tolerances decide which one goes on"):
        r = mflow.solve_ivp(fun, (0.0, end), [1.0], method, rtol=rtol, atol=1e-3 * rtol)
    assert r.doubts
    before = r.t < 0.29 if end == 1.0 else r.t < 1.5
    np.testing.assert_allclose(r.y[0, before], exact(r.t[before]), rtol=0.1)


# y' = f(t, y) from y0; the first component is 0 at the pole
MEET: dict[str, tuple[Callable[[float, Any], Any], tuple[float, float], list[float]]] = {
    "2 y/t": (lambda t, y: 2.0 * y / np.float64(t), (-1.0, 1.0), [1.0]),
    "2 y/(t - .3)": (lambda t, y: 2.0 * y / np.float64(t - 0.3), (-1.0, 1.0), [1.69]),
    "3 y/(t - .3)": (lambda t, y: 3.0 * y / np.float64(t - 0.3), (-1.0, 1.0), [-(1.3**3)]),
    "1.5 y/(t - .3)": (lambda t, y: 1.5 * y / np.float64(t - 0.3), (0.0, 0.6), [0.3**1.5]),
    "2 y cot(t + .1)": (lambda t, y: 2.0 * y / np.tan(t + 0.1), (0.0, 6.0), [np.sin(0.1) ** 2]),
    "beside 0": (lambda t, y: np.array([2.0 * y[0] / np.float64(t - 0.3), -y[1]]), (-1.0, 1.0), [1.69, 0.0]),
    "beside another": (lambda t, y: np.array([2.0 * y[0] / np.float64(t - 0.3), -y[1]]), (-1.0, 1.0), [1.69, 1.0]),
    "with a 0": (lambda t, y: np.array([2.0 * y[0] / np.float64(t - 0.3) + y[1], -y[1]]), (-1.0, 1.0), [1.69, 0.0]),
}


@pytest.mark.parametrize("method", ["bs32", "tsit5", "dopri5", "dop853", "radau5", "bdf", "rodas5p", "esdirk43", "auto"])
@pytest.mark.parametrize("name", MEET)
def test_solutions_that_meet_below_their_tolerance_are_told(name: str, method: str) -> None:
    """(t - c)^p and the like are below atol long before c; what stands behind it is off by up to 30 orders, and it was told of few."""
    fun, span, y0 = MEET[name]
    right = {"2 y/t": 1.0, "3 y/(t - .3)": 0.343, "1.5 y/(t - .3)": 0.3**1.5, "2 y cot(t + .1)": np.sin(6.1) ** 2}.get(name, 0.49)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        r = mflow.solve_ivp(fun, span, y0, method)
    assert any("many of them meet there" in str(doubt) for doubt in r.doubts) or abs(r.y[0, -1] - right) < 0.02 * right


@pytest.mark.parametrize("method", ["tsit5", "dop853", "bdf", "esdirk43"])
@pytest.mark.parametrize(
    ("fun", "span", "y0", "exact"),
    [
        (lambda t, y: (np.cos(t) - y) / t, (-1.0, 1.0), [np.sin(1.0)], np.sinc(1.0 / np.pi)),
        (lambda t, y: -y * 0.02 / ((t - 1.0371) ** 2 + 1e-4), (0.0, 2.0), [1.0], np.exp(-2.0 * (np.arctan(103.71) + np.arctan(96.29)))),
    ],
    ids=["sin t/t", "steep"],
)
def test_what_holds_at_a_pole_is_not_told(fun: Any, span: tuple[float, float], y0: list[float], exact: float, method: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        r = mflow.solve_ivp(fun, span, y0, method, atol=1e-10 if exact < 0.5 else None)
    assert r.success
    assert not r.doubts
    np.testing.assert_allclose(r.y[0, -1], exact, rtol=0.02)


def test_a_warning_beside_a_pole_outlives_a_checkpoint(tmp_path: Path) -> None:
    def fun(t: float, y: Any) -> Any:
        return y / np.tan(t + 0.1)

    file = tmp_path / "run"
    with pytest.warns(RuntimeWarning, match="many of them meet there"):
        whole = mflow.solve_ivp(fun, (0, 4), [1.0], "tsit5")
    with pytest.warns(RuntimeWarning, match="many of them meet there"):
        mflow.solve_ivp(fun, (0, 4), [1.0], "tsit5", checkpoint=file, max_steps=whole.nsteps - 1)
    with pytest.warns(RuntimeWarning, match="many of them meet there"):
        r = mflow.solve_ivp(fun, (0, 4), [1.0], "tsit5", resume=file)
    assert (r.doubts, r.nfev, r.ncheck, r.y[0, -1]) == (whole.doubts, whole.nfev, whole.ncheck, whole.y[0, -1])


def test_a_run_backwards_stops_there_too() -> None:
    r = mflow.solve_ivp(lambda t, y: 1.0 / np.float64(t + 1.0) + 0.0 * y, (0.0, -2.0), [0.0], "tsit5", rtol=1e-3, atol=1e-3)
    assert r.reason == "diverged"
    assert -1.0 < r.t[-1] < -1.0 + 1e-6


@pytest.mark.parametrize(
    ("fun", "exact"),
    [
        (lambda t, y: abs(np.float64(1.0 - t)) ** -0.5 + 0.0 * y, 4.0),  # its integral is finite
        (lambda t, y: 1.0 / (1e-8 + (t - 1.0) ** 2) + 0.0 * y, 2e4 * np.arctan(1e4)),  # steep, and bounded
    ],
)
@pytest.mark.parametrize("method", ["tsit5", "esdirk43"])
def test_what_is_integrable_is_passed(fun: Any, exact: float, method: str) -> None:
    with np.errstate(all="ignore"):
        r = mflow.solve_ivp(fun, (0.0, 2.0), [0.0], method, rtol=1e-6, atol=1e-6)
    assert r.success, r.message
    np.testing.assert_allclose(r.y[0, -1], exact, rtol=1e-3)


@pytest.mark.parametrize("method", ["dopri5", "dop853", "esdirk43", "radau5", "bdf"])
def test_a_run_that_goes_on_beside_a_pole_has_the_same_bits(method: str, tmp_path: Path) -> None:
    """To a pole that ends it, and over one whose integral is finite."""

    def ends(t: float, y: Any) -> Any:
        return -y + 1.0 / (np.float64(5.03) - t)

    def passes(t: float, y: Any) -> Any:
        return np.abs(np.float64(5.03) - t) ** -0.9 + 0.0 * y

    file = tmp_path / "run"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for fun in (ends, passes):
            whole = mflow.solve_ivp(fun, (0, 10), [1.0], method)
            for cut in (whole.nsteps // 2, whole.nsteps - 1):
                mflow.solve_ivp(fun, (0, 10), [1.0], method, checkpoint=file, max_steps=cut)
                r = mflow.solve_ivp(fun, (0, 10), [1.0], method, resume=file)
                assert (r.reason, r.nsteps, r.nfev, r.y[0, -1]) == (whole.reason, whole.nsteps, whole.nfev, whole.y[0, -1])


def test_a_solution_that_is_0_at_a_pole_goes_through() -> None:
    """A step that ends at a distance d from the pole has its error enlarged by 1/d there. The last bits of tan decide how near one ends,
    and with that about an error of up to some hundredths; the warning says so."""
    for method in ("dopri5", "radau5", "bdf", "rodas5p"):
        with pytest.warns(RuntimeWarning, match="many of them meet there"):
            r = mflow.solve_ivp(lambda t, y: y / np.tan(t + 0.1), (0, 10), [1.0], method, rtol=1e-6, atol=1e-9)
        before = r.t < 3.0  # the first pole is at pi - 0.1
        np.testing.assert_allclose(r.y[0, before], np.sin(r.t[before] + 0.1) / np.sin(0.1), rtol=1e-3)
        np.testing.assert_allclose(r.y[0, -1], np.sin(10.1) / np.sin(0.1), rtol=0.05)


@pytest.mark.parametrize("wall", [lambda t, y: y * y, lambda t, y: np.array([np.nan if t > 0.5 else 1.0])], ids=["runs off", "nan"])
def test_auto_ends_before_the_first_time_that_is_asked_for(wall: Any) -> None:
    r = mflow.solve_ivp(wall, (0, 5), [1.0], "auto", t_eval=[3.0])
    assert not r.success
    assert r.y.shape == (1, 0)
    assert r.reason in ("diverged", "non_finite")
