"""Solutions that come to rest in finite time where the right-hand side has a root's slope on both sides, as -cbrt(y).

Oracles: closed forms.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow
from support.problems import Array

METHODS = ["dopri5", "tsit5", "auto", "radau5", "bdf", "esdirk43", "rodas5p"]
# These are looked at after 1024 steps, or 128 very short ones, all others after 32 failed tries.
CALLS = {"dopri5": 9000, "tsit5": 9000, "auto": 9000, "rodas5p": 17000}

pytestmark = pytest.mark.filterwarnings("ignore::mflow.StiffnessWarning")

# f, the start, and where it rests from t = 1.5, 2 and 1/.7 on
ROOTS = {
    "cbrt": (lambda t, y: -np.cbrt(y), 1.0, 0.0),
    "sqrt": (lambda t, y: -np.sign(y) * np.sqrt(np.abs(y)), 1.0, 0.0),
    "cbrt at 3": (lambda t, y: -np.cbrt(y - 3.0), 2.0, 3.0),
    "power .3": (lambda t, y: -np.sign(y) * np.abs(y) ** 0.3, -1.0, 0.0),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ROOTS)
def test_what_comes_to_rest_stays_there(name: str, method: str) -> None:
    fun, start, rest = ROOTS[name]
    r = mflow.solve_ivp(fun, (0, 6), [start], method, rtol=1e-5, atol=1e-8, max_steps=4000, t_eval=[1.0, 6.0])
    assert r.reason == "finished"
    assert r.y[0, -1] == pytest.approx(rest, abs=8e-8 + 8e-5 * abs(rest))
    assert r.nfev < CALLS.get(method, 2500)
    if name == "cbrt":  # y = (1 - 2 t/3)^(3/2)
        assert r.y[0, 0] == pytest.approx(3.0**-1.5, rel=1e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_what_rests_goes_on_when_it_is_driven_to_either_side(side: float, method: str) -> None:
    """y' = drive(t) - sign(y) sqrt|y| with drive 0 until t = 4 and side behind: y = side u^2, u + log(1 - u) = -(t - 4)/2."""

    def fun(t: float, y: Array) -> Array:
        return np.asarray(side * (t > 4.0) - np.sign(y) * np.sqrt(np.abs(y)))

    r = mflow.solve_ivp(fun, (0, 6), [1.0], method, rtol=1e-5, atol=1e-7, max_steps=4000, t_eval=[3.9, 6.0])
    assert r.reason == "finished"
    assert abs(r.y[0, 0]) < 1e-6
    u = np.sqrt(side * r.y[0, 1])
    assert u + np.log1p(-u) == pytest.approx(-1.0, abs=1e-3)


def test_what_is_as_steep_as_a_line_is_left_alone() -> None:
    for rate in (1e3, 1e9):
        r = mflow.solve_ivp(lambda t, y, rate=rate: -rate * y, (0, 6), [1.0], "radau5", rtol=1e-5, atol=1e-8)
        assert r.success
        assert "kept at" not in r.message


def test_a_run_that_goes_on_at_rest_has_the_same_bits(tmp_path: Path) -> None:
    def go(**more: object) -> mflow.IVPResult:
        fun = ROOTS["cbrt"][0]
        return mflow.solve_ivp(fun, (0, 6), [1.0], "radau5", rtol=1e-5, atol=1e-8, checkpoint_every=10, **more)  # type: ignore[arg-type]

    path = tmp_path / "run"
    whole = go(checkpoint=tmp_path / "whole")
    assert "component 0 was kept at 0 or" in whole.message
    assert "leads there from both sides" in whole.message
    part = go(checkpoint=path, max_steps=whole.nsteps - 12)
    assert part.reason == "max_steps"
    rest = go(checkpoint=path, resume=path)
    np.testing.assert_array_equal(rest.y, whole.y)
    assert rest.message == whole.message


@pytest.mark.filterwarnings("ignore:solve_ivp. fun jumps")
@pytest.mark.parametrize("stop", [120, 147])
def test_a_run_resumed_behind_a_wall_that_let_go(stop: int, tmp_path: Path) -> None:
    def f(t: float, y: Array) -> Array:
        return -np.cbrt(y) if t < 30.0 else -0.01 * (1.0 + y)

    how: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-7}
    whole = mflow.solve_ivp(f, (0.0, 100.0), [1.0], "auto", **how)
    assert whole.y[0, -1] == pytest.approx(np.exp(-0.7) - 1.0, abs=1e-5)
    mflow.solve_ivp(f, (0.0, 100.0), [1.0], "auto", **how, checkpoint=tmp_path / "run", max_steps=min(stop, whole.nsteps - 3))
    again = mflow.solve_ivp(f, (0.0, 100.0), [1.0], "auto", **how, resume=tmp_path / "run")
    assert (again.nsteps, again.nfev) == (whole.nsteps, whole.nfev)
    assert np.array_equal(again.y[:, -1], whole.y[:, -1])


@pytest.mark.parametrize("method", ["bdf", "esdirk43", "radau5", "rodas5p"])
@pytest.mark.parametrize("others", [(), (1.0,)])
def test_what_is_at_rest_on_a_root_goes_where_it_is_driven(method: str, others: tuple[float, ...]) -> None:
    """y' = (t > 1) - 20 cbrt(y) goes to 1/8000; a difference of 1e-9 beside 0 says that next to nothing leads there."""

    def fun(t: float, y: Array) -> Array:
        return np.concatenate(([(t > 1.0) - 20.0 * np.cbrt(y[0])], -y[1:]))

    r = mflow.solve_ivp(fun, (0, 3), [0.0, *others], method)
    assert r.y[0, -1] == pytest.approx(1.0 / 8000.0, abs=1e-6)
    assert r.nfev < 1200


@pytest.mark.parametrize(("method", "power", "rtol"), [("bdf", 4, 1e-3), ("esdirk43", 1, 1e-6)])
def test_a_drive_that_leads_less_far_than_a_tolerance_costs_no_steps(method: str, power: int, rtol: float) -> None:
    """y' = sin^p t - 20 cbrt(y) follows (sin^p(t)/20)^3, most of the time nearer to 0 than atol, where its slope is 1e5 and more."""
    how: dict[str, Any] = {"rtol": rtol, "atol": 1e-3 * rtol, "max_steps": 20_000}
    r = mflow.solve_ivp(lambda t, y: np.sin(t) ** power - 20.0 * np.cbrt(y), (0, 6), [0.0], method, **how)
    assert r.success
    assert r.y[0, -1] == pytest.approx((np.sin(6.0) ** power / 20.0) ** 3, abs=2e-6)
    assert r.nfev < 15_000
