"""Runs that touch a wall at 0, below which the right-hand side is not finite: they go on behind it, as cheaply as with `nonnegative`."""

import functools
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp as scipy_solve_ivp

import mflow
from support.problems import Array

IMPLICIT = ["esdirk43", "bdf", "radau5", "rodas5p"]
CALLS = {1e-3: 6000, 1e-6: 16000}

pytestmark = pytest.mark.filterwarnings("ignore::mflow.StiffnessWarning", "ignore:invalid value:RuntimeWarning")


def stops_once(t: float) -> float:
    """An inflow that is 0 at t = pi, 3 pi, ... alone."""
    return float(0.25 * (1.0 + np.cos(t)))


def stops_for_a_while(t: float) -> float:
    """One that is 0 from pi to 2 pi, and so on."""
    return max(0.0, float(np.sin(t)))


def level(inflow: object, t0: float, u0: float, t_end: float) -> float:
    """h of h' = q - sqrt(h) by u = sqrt(h), which is smooth behind the time where h = 0: u' = (q/u - 1)/2."""
    r = scipy_solve_ivp(lambda t, u: 0.5 * (inflow(t) / u - 1.0), (t0, t_end), [u0], "Radau", rtol=1e-11, atol=1e-14)  # type: ignore[operator]
    return float(r.y[0, -1]) ** 2


# Behind t = 9 pi any start near q is forgotten at once; behind 8 pi q = s, and u = s/2.
ONCE = level(stops_once, 9 * np.pi + 1e-2, stops_once(9 * np.pi + 1e-2), 30.0)
WHILE = level(stops_for_a_while, 8 * np.pi + 1e-6, 0.5e-6, 27.0)


@pytest.mark.parametrize("rtol", [1e-3, 1e-6])
@pytest.mark.parametrize("method", [*IMPLICIT, "auto"])
def test_a_tank_whose_inflow_stops(method: str, rtol: float) -> None:
    for inflow, end, exact in ((stops_once, 30.0, ONCE), (stops_for_a_while, 27.0, WHILE)):
        r = mflow.solve_ivp(lambda t, h, q=inflow: q(t) - np.sqrt(h), (0, end), [1.0], method, rtol=rtol, atol=1e-3 * rtol, max_steps=9000)
        assert r.success, r.message
        assert abs(r.y[0, -1] - exact) < 10 * rtol * (exact + 1e-3), inflow
        assert np.all(r.y >= 0.0)
        assert method == "auto" or r.nfev < CALLS[rtol]
        assert method == "auto" or "component 0 was kept at 0 or above" in r.message


@functools.cache
def two_levels(t_end: float) -> list[float]:
    """Of two tanks in series, whose lower one has an outlet half as wide, from 1: by the roots of their levels, in pieces between the times
    where the upper one is empty."""

    def upper(t: float, u: Array) -> Array:
        return 0.5 * (stops_once(t) / u - 1.0)

    ends = [0.0, np.pi - 0.04, np.pi + 0.04, 3 * np.pi - 0.04, 3 * np.pi + 0.04, t_end]
    starts = [1.0, None, stops_once(ends[2]), None, stops_once(ends[4])]
    lower = 1.0
    for a, b, u in zip(ends, ends[1:], starts, strict=False):
        root = None if u is None else scipy_solve_ivp(upper, (a, b), [u], "Radau", rtol=1e-8, atol=1e-11, dense_output=True).sol
        q = stops_once if root is None else (lambda t, root=root: float(root(t)[0]))
        lower = scipy_solve_ivp(lambda t, v, q=q: 0.5 * (q(t) / v - 0.5), (a, b), [lower], rtol=1e-7, atol=1e-9).y[0, -1]
    return [q(t_end) ** 2, lower**2]


@pytest.mark.parametrize("method", IMPLICIT)
def test_tanks_in_series(method: str) -> None:
    """The upper one runs empty for a moment."""

    def fun(t: float, h: Array) -> Array:
        return np.array([stops_once(t) - np.sqrt(h[0]), np.sqrt(h[0]) - 0.5 * np.sqrt(h[1])])

    r = mflow.solve_ivp(fun, (0, 12), [1.0, 1.0], method, rtol=1e-6, atol=1e-9, max_steps=9000)
    assert r.success, r.message
    np.testing.assert_allclose(r.y[:, -1], two_levels(12.0), rtol=2e-5)


def test_a_long_step_from_a_wall_is_solved() -> None:
    """h' = q - h^(1/3): at h = 0 the derivative is infinite, and updates are small whatever is left: a step of 2.4 was accepted."""
    exact = float(
        scipy_solve_ivp(
            lambda t, v: (stops_once(t) - v) / (3.0 * v**2), (9 * np.pi + 0.3, 30.0), [stops_once(9 * np.pi + 0.3)], "Radau", rtol=1e-9
        ).y[0, -1]
        ** 3
    )
    for signs in (None, True):
        r = mflow.solve_ivp(lambda t, h: stops_once(t) - h ** (1 / 3), (0, 30), [1.0], "esdirk43", nonnegative=signs, max_steps=9000)
        assert r.success, r.message
        assert abs(r.y[0, -1] - exact) < 1e-4, signs


def test_a_solution_that_leaves_ends_there() -> None:
    """h' = -.1 - sqrt(h): sqrt(h) = u, u' = -(.1/u + 1)/2; h = 0 at t = 2 (1 - .1 ln 11)."""
    for method in [*IMPLICIT, "tsit5"]:
        r = mflow.solve_ivp(lambda t, h: -0.1 - np.sqrt(h), (0, 30), [1.0], method, rtol=1e-6, atol=1e-9)
        assert r.reason == "non_finite", (method, r.message)
        assert r.t[-1] == pytest.approx(2.0 - 0.2 * np.log(11.0), abs=1e-5)
        assert "kept at 0" not in r.message


@pytest.mark.parametrize("method", ["radau5", "bdf"])
def test_a_run_that_goes_on_behind_a_wall_has_the_same_bits(method: str, tmp_path: Path) -> None:
    def go(t_end: float, **more: object) -> mflow.IVPResult:
        fun = lambda t, h: stops_once(t) - np.sqrt(h)  # noqa: E731
        return mflow.solve_ivp(fun, (0, t_end), [1.0], method, rtol=1e-6, atol=1e-9, checkpoint_every=100, **more)  # type: ignore[arg-type]

    path = tmp_path / "run"
    whole = go(12.0, checkpoint=tmp_path / "whole")
    assert "kept at 0 or above" in whole.message
    part = go(12.0, checkpoint=path, max_steps=int(np.searchsorted(whole.t, 5.0)))
    assert part.reason == "max_steps"
    assert 3.5 < part.t[-1] < 12.0
    rest = go(12.0, checkpoint=path, resume=path)
    np.testing.assert_array_equal(rest.y, whole.y)
    assert rest.message == whole.message
    assert rest.nfev == whole.nfev


def tanks(t: float, h: Array) -> Array:
    return np.array([stops_for_a_while(t) - np.sqrt(h[0]), np.sqrt(h[0]) - 2.0 * np.sqrt(h[1])])


@functools.cache
def of_tanks() -> Array:
    """The same with sqrt(max(h, 0)), which has no wall, by SciPy's short steps."""
    return scipy_solve_ivp(
        lambda t, h: tanks(t, np.maximum(h, 0.0)), (0, 14), [1.0, 0.3], rtol=1e-8, atol=1e-11, max_step=0.02, t_eval=[6.0, 8.0, 14.0]
    ).y


@pytest.mark.parametrize("method", ["bs32", "dopri5", "dop853", "tsit5", "esdirk43", "bdf", "radau5", "rodas5p"])
def test_two_tanks_run_empty_together_and_fill_again(method: str) -> None:
    """From t = pi to 2 pi nothing flows in."""
    r = mflow.solve_ivp(tanks, (0, 14), [1.0, 0.3], method, rtol=1e-6, atol=1e-8, t_eval=[6.0, 8.0, 14.0])
    assert r.reason == "finished"
    np.testing.assert_allclose(r.y, of_tanks(), atol=2e-6)
