"""Runs beside a wall: where slopes stop being numbers. A wall in state space that the solution never crosses ends no run; one in time ends
it soon, for a true reason."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mflow_core import registry
from scipy.integrate import solve_ivp as scipy_solve_ivp

import mflow
from mflow.stability.limits import stiff_method
from support.levels import EXPLICIT_PAIRS, ITERATED, first_order
from support.oracles.tableaus import is_coupled
from support.problems import Array, cfunc

ADAPTIVE = [r.name for r in registry.records() if "embedded" in r.flags and "second_order" not in r.flags]
MOST = 2000  # evaluations of the whole run
SOON = 1200  # evaluations after the first non-finite one: some 50 steps, halving the distance, of up to 12 slopes


def tank_level(q: float, h0: float, t: float) -> float:
    """h' = q - sqrt(h): with u = sqrt(h), t = 2 (u0 - u) + 2 q ln((u0 - q)/(u - q)). Bisection for the logarithm of |u - q|."""
    u0 = math.sqrt(h0)
    sign = math.copysign(1.0, u0 - q)
    low, high = -750.0, math.log(abs(u0 - q))
    for _ in range(200):
        x = 0.5 * (low + high)
        late = 2.0 * (u0 - q - sign * math.exp(x)) + 2.0 * q * (math.log(abs(u0 - q)) - x) > t
        low, high = (x, high) if late else (low, x)
    return (q + sign * math.exp(low)) ** 2


def tank(q: float) -> Callable[[float, Array], Array]:
    def fun(t: float, h: Array) -> Array:
        with np.errstate(invalid="ignore"):
            return q - np.sqrt(h)

    return fun


@pytest.mark.filterwarnings("ignore::mflow.StiffnessWarning")  # at rest |lambda| is 1/(2 q)
@pytest.mark.parametrize("method", ADAPTIVE)
@pytest.mark.parametrize("rtol", [1e-3, 1e-6])
def test_a_tank_that_runs_low_is_followed_to_rest(method: str, rtol: float) -> None:
    for q in (0.01, 0.05, 0.1, 0.3):
        for h0 in (1.0, 4.0):
            r = mflow.solve_ivp(tank(q), (0, 50), [h0], method, rtol=rtol, atol=1e-3 * rtol)
            assert r.success, (q, h0, r.message)
            assert r.nfev < 6000  # SciPy's RK23 takes 6400
            exact = tank_level(q, h0, 50.0)
            assert abs(r.y[0, -1] - exact) < 3 * rtol * (exact + 1e-3), (q, h0)


@pytest.mark.filterwarnings("ignore::mflow.StiffnessWarning")
@pytest.mark.parametrize("method", ["dopri5", "esdirk43"])
def test_other_ways_to_the_same_tank(method: str) -> None:
    expected = tank_level(0.05, 1.0, 50.0)
    st = mflow.Stepper(method, tank(0.05), [1.0], rtol=1e-6, atol=1e-9)
    st.advance_to(50.0)
    assert st.y[0] == pytest.approx(expected, rel=1e-5)
    batch = mflow.solve_ivp_batch(tank(0.05), (0, 50), [[1.0], [4.0]], method, rtol=1e-6, atol=1e-9)
    assert batch.success
    np.testing.assert_allclose(batch.y[:, 0], [expected, tank_level(0.05, 4.0, 50.0)], rtol=1e-5)
    backwards = mflow.solve_ivp(lambda t, h: -tank(0.05)(t, h), (50, 0), [1.0], method, rtol=1e-6, atol=1e-9)
    assert backwards.y[0, -1] == pytest.approx(expected, rel=1e-5)


def test_a_block_of_tanks() -> None:
    @cfunc("block")
    def fun(t, y, f, n, lanes, ctx):  # type: ignore[no-untyped-def]
        for i in range(lanes):
            f[i] = y[lanes + i] - math.sqrt(y[i]) if y[i] >= 0.0 else math.nan
        return 0

    q = np.array([0.01, 0.05, 0.1, 0.2])
    for method in EXPLICIT_PAIRS:
        r = mflow.solve_ivp_batch(fun, (0, 50), np.ones((4, 1)), method, batch_args=q[:, None], rtol=1e-6, atol=1e-9, batch=True)
        assert r.success, (method, r.message)
        np.testing.assert_allclose(r.y[:, 0], [tank_level(one, 1.0, 50.0) for one in q], rtol=1e-5, atol=1e-8)


def hodgkin_huxley(current: float) -> Callable[[float, Array], Array]:
    """Hodgkin and Huxley, J. Physiol. 117 (1952) 500-544, with rest at -65 mV; written as it stands in textbooks."""

    def fun(t: float, y: Array) -> Array:
        v, m, h, n = y
        with np.errstate(over="ignore", invalid="ignore"):
            am, bm = 0.1 * (v + 40.0) / (1.0 - np.exp(-(v + 40.0) / 10.0)), 4.0 * np.exp(-(v + 65.0) / 18.0)
            ah, bh = 0.07 * np.exp(-(v + 65.0) / 20.0), 1.0 / (1.0 + np.exp(-(v + 35.0) / 10.0))
            an, bn = 0.01 * (v + 55.0) / (1.0 - np.exp(-(v + 55.0) / 10.0)), 0.125 * np.exp(-(v + 65.0) / 80.0)
            ions = 120.0 * m**3 * h * (v - 50.0) + 36.0 * n**4 * (v + 77.0) + 0.3 * (v + 54.387)
            return np.array([current - ions, am * (1 - m) - bm * m, ah * (1 - h) - bh * h, an * (1 - n) - bn * n])

    return fun


@pytest.mark.parametrize("method", ADAPTIVE)
def test_a_neuron_is_bounded(method: str) -> None:
    r = mflow.solve_ivp(hodgkin_huxley(10.0), (0, 10), [-65.0, 0.053, 0.596, 0.318], method)
    assert r.reason == "finished", r.message
    assert r.y[0].min() > -80.0
    assert 20.0 < r.y[0].max() < 50.0


def test_a_start_beside_the_wall() -> None:
    """The trial for the first step leaves the domain: it is made nearer, and steps grow from there."""
    for method in ADAPTIVE:
        if "needs_rho" in mflow.get_method(method).flags:
            continue  # the Jacobian is measured by differences longer than the distance to the wall
        r = mflow.solve_ivp(tank(0.5), (0, 20), [1e-9], method, rtol=1e-6, atol=1e-9)
        assert r.success, (method, r.message)
        assert r.nfev < 2500, method
        assert r.y[0, -1] == pytest.approx(tank_level(0.5, 1e-9, 20.0), rel=1e-4)


def test_newton_starts_from_the_state_where_a_guess_leaves_the_domain() -> None:
    """Few steps: the guess of a stage, not its solution, was outside."""
    r = mflow.solve_ivp(tank(0.1), (0, 50), [4.0], "esdirk43")
    assert (r.reason, r.y[0, -1]) == ("finished", pytest.approx(tank_level(0.1, 4.0, 50.0), rel=1e-3))
    assert r.nsteps < 60
    full = mflow.solve_ivp(tank(0.1), (0, 50), [4.0], "esdirk43", solver=mflow.Newton(full=True))
    assert (full.reason, full.y[0, -1]) == ("finished", pytest.approx(tank_level(0.1, 4.0, 50.0), rel=1e-3))


# ---- walls in time --------------------------------------------------------------------------------------------------------------------

SINGULAR: list[tuple[str, Any, float, str]] = [
    ("1/sqrt(1 - t)", lambda t, y: 1.0 / np.sqrt(1.0 - t) + 0.0 * y, 2.0, "non_finite"),  # bounded: 2 - 2 sqrt(1 - t)
    ("log(1 - t)", lambda t, y: np.log(1.0 - t) + 0.0 * y, -1.0, "non_finite"),  # bounded too
    ("nan", lambda t, y: np.full(1, math.nan) if t > 1.0 else -y, 0.0, "non_finite"),
]


@pytest.mark.parametrize("method", ADAPTIVE)
@pytest.mark.parametrize(("name", "fun", "end", "reason"), SINGULAR, ids=[s[0] for s in SINGULAR])
def test_a_wall_in_time_ends_soon_and_is_no_blow_up(method: str, name: str, fun: Any, end: float, reason: str) -> None:
    finite: list[bool] = []

    def counted(t: float, y: Array) -> Array:
        with np.errstate(all="ignore"):
            slope = np.asarray(fun(t, y))
        finite.append(bool(np.isfinite(slope).all()))
        return slope

    r = mflow.solve_ivp(counted, (0, 3), [0.0], method)
    assert (r.reason, r.success) == (reason, False), r.message
    assert "runs off" not in r.message
    assert len(finite) <= MOST
    assert len(finite) - finite.index(False) <= SOON
    assert r.t[-1] == pytest.approx(1.0, abs=1e-13)
    assert r.y[0, -1] == pytest.approx(end, abs=0.02)


def test_the_wall_is_found_to_the_last_bits() -> None:
    """Steps of 16 units in the last place are the last ones tried; min_step ends the search sooner."""

    def fun(t: float, y: Array) -> Array:
        return np.full(1, math.nan) if t > 1.0 else -y

    r = mflow.solve_ivp(fun, (0, 2), [1.0], "dopri5")
    assert 0.0 <= 1.0 - r.t[-1] <= 16 * np.spacing(1.0)
    coarse = mflow.solve_ivp(fun, (0, 2), [1.0], "dopri5", min_step=1e-3)
    assert coarse.reason == "non_finite"
    assert 0.0 <= 1.0 - coarse.t[-1] <= 1e-3
    assert coarse.nfev < r.nfev


def test_a_slope_that_only_the_next_step_needs() -> None:
    """dop853's estimate has no part of the slope at the end; where that is no number, the step is not good."""

    def fun(t: float, y: Array) -> Array:
        return np.full(1, math.nan) if t == 1.0 else -y

    r = mflow.solve_ivp(fun, (0, 2), [1.0], "dop853", first_step=1.0, rtol=1e-3)
    assert r.reason == "finished", r.message
    assert r.y[0, -1] == pytest.approx(math.exp(-2.0), rel=1e-3)


def test_growth_is_no_blow_up_and_a_blow_up_is_dated() -> None:
    """y' = y ends in overflow at t = 709.78, exp(t); that is no time in which the solution runs off. y' = y^2 is 1/(1 - t)."""
    with np.errstate(all="ignore"):
        r = mflow.solve_ivp(lambda t, y: y, (0, 1000), [1.0], "dop853")
        assert (r.reason, "runs off" in r.message) == ("non_finite", False)
        assert "largest number" in r.message
        assert r.t[-1] == pytest.approx(709.78, rel=1e-2)
        wall = mflow.solve_ivp(lambda t, y: 5.0 * y if t < 4 else y * math.nan, (0, 10), [1.0], "dop853")
        assert (wall.reason, "runs off" in wall.message) == ("non_finite", False)  # grown by e^20
        off = mflow.solve_ivp(lambda t, y: y * y, (0, 3), [1.0], "dop853", rtol=1e-10, atol=1e-12)
    assert off.reason == "diverged"
    assert float(off.message.split("near t = ")[1].split()[0]) == pytest.approx(1.0, abs=1e-8)


def test_a_block_says_diverged_of_what_runs_off_alone() -> None:
    @cfunc("block")
    def fun(t, y, f, n, lanes, ctx):  # type: ignore[no-untyped-def]
        for i in range(lanes):
            power = y[lanes + i]
            f[i] = y[i] ** power if power != 1.0 or t[i] < 4.0 else math.nan
            if power == 1.0:
                f[i] *= 5.0
        return 0

    r = mflow.solve_ivp_batch(fun, (0, 10), np.ones((3, 1)), "dopri5", batch_args=np.array([[1.0], [2.0], [3.0]]), batch=True)
    assert r.reason == ["non_finite", "diverged", "diverged"]  # grown by e^20 as far as the wall; 1/(1 - t); (1 - 2 t)^(-1/2)
    np.testing.assert_allclose(r.t, [4.0, 1.0, 0.5], rtol=1e-3)


def test_the_first_trajectories_of_a_block_alone_are_followed_back() -> None:
    @cfunc("block")
    def fun(t, y, f, n, lanes, ctx):  # type: ignore[no-untyped-def]
        for i in range(lanes):
            f[i] = y[i] * y[i]
        return 0

    for times in (None, [0.0, 0.25]):
        r = mflow.solve_ivp_batch(fun, (0, 3), np.linspace(1.0, 2.0, 70)[:, None], "dopri5", times, batch=True)
        assert r.reason[:64] == ["diverged"] * 64
        assert set(r.reason[64:]) <= {"non_finite", "step_too_small"}
        assert ["only the first 64" in r[k].message for k in range(70)] == [False] * 64 + [True] * 6


# ---- what asks for a smaller step --------------------------------------------------------------------------------------------------------


def test_the_method_says_that_it_is_the_one_who_asks() -> None:
    """-1e50/y^2 of y = 1e6 is a spectral radius of 1e38: more than 10 000 stages for any step. Nobody but rkc2 asked for a smaller one."""
    r = mflow.solve_ivp(lambda t, y: 1e50 / y, (1, 2), [1e6], "rkc2")
    assert r.reason == "step_too_small"
    for words in ("10 000 stages", "rkc2", "e+38", stiff_method()):
        assert words in r.message
    fixed = mflow.solve_ivp(lambda t, y: -1e10 * y, (0, 1), [1.0], "rkc2", dt=0.5)
    assert (fixed.reason, fixed.nsteps) == ("step_too_small", 0)
    assert "10 000 stages" in fixed.message
    assert "dt = 0.5" in fixed.message
    least = mflow.minimize(lambda c: (5e9 * c[0] ** 2, np.array([1e10 * c[0]])), [1.0], jac=True, method="rkc2", dt=0.5)
    assert least.reason == "solve_failed"
    assert "10 000 stages" in least.message


def test_a_tiny_start_beside_the_default_atol_is_told() -> None:
    with pytest.warns(RuntimeWarning, match="atol: the start is at most 1e-09"):
        r = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1e-9])
    assert r.success
    mflow.solve_ivp(lambda t, y: -y, (0, 1), [1e-9], atol=1e-12)
    mflow.solve_ivp(lambda t, y: 1.0 - y, (0, 1), [0.0])
    mflow.solve_ivp(lambda t, y: -y, (0, 1), [1e-9, 1.0])
    with pytest.warns(RuntimeWarning, match="solve_dynamics: atol"):
        mflow.solve_dynamics(np.eye(1), stiffness=np.eye(1), t_span=(0, 1), x0=[1e-9], v0=[0.0], method="newmark", rtol=1e-3)


def silent(fun: Callable[[float, Array], Array]) -> Callable[[float, Array], Array]:
    def quiet(t: float, y: Array) -> Array:
        with np.errstate(invalid="ignore"):
            return fun(t, y)

    return quiet


def test_no_state_is_accepted_beyond_the_wall() -> None:
    """y' = -arccos y: y = cos u, u' = u / sin u. Newton's last update led beyond 1, where the slope is NaN."""
    fun = silent(lambda t, y: -np.arccos(y))
    u = scipy_solve_ivp(lambda t, u: u / np.sin(u), (0, 1), [math.acos(1 - 1e-8)], rtol=1e-11, atol=1e-14).y[0, -1]
    for rtol, near in ((1e-3, 0.06), (1e-6, 1e-3), (1e-9, 1e-5)):
        r = mflow.solve_ivp(fun, (0, 1), [1 - 1e-8], "esdirk43", rtol=rtol, atol=1e-3 * rtol)
        assert r.success, r.message
        assert np.all(np.isfinite(fun(0.0, r.y)))
        assert abs(r.y[0, -1] - math.cos(u)) < near


@pytest.mark.parametrize("t_end", [5.0, 50.0, 1000.0])
def test_a_rest_nearer_to_the_wall_than_the_tolerance(t_end: float) -> None:
    """At rest 5e-7 beside the end of arcsin, with an allowed error of 1e-3."""
    c = 1.57 - 0.000185012508
    r = mflow.solve_ivp(silent(lambda t, y: c - np.arcsin(y)), (0, t_end), [-0.06193024], "esdirk43")
    assert r.success
    assert r.y[0, -1] == pytest.approx(math.sin(c), abs=1e-7)
    assert r.nsteps < 100


@pytest.mark.parametrize("name", first_order("implicit"))
@pytest.mark.parametrize("how", [{}, {"lband": 0, "uband": 0}, {"solver": "newton_krylov"}], ids=["dense", "banded", "krylov"])
def test_differences_turn_round_at_a_wall(name: str, how: Any) -> None:
    """f ends at the start: a difference to the other side is as good."""
    if "solver" in how and is_coupled(registry.find(name)):
        pytest.skip("products for stages that are solved together do not turn round")
    if "solver" in how and name not in ITERATED:
        pytest.skip("stages that are linear equations take no products")

    def fun(t: float, y: Array) -> Array:
        return np.interp(y, [0.0, 1.0], [0.0, -1.0], right=math.nan)

    r = mflow.solve_ivp(fun, (0, 1), [1.0], name, dt=0.1, **how)
    assert r.success, r.message
    exact = mflow.solve_ivp(lambda t, y: -y, (0, 1), [1.0], name, dt=0.1)
    np.testing.assert_allclose(r.y, exact.y, rtol=1e-9)


def test_what_fixed_implicit_steps_meet_is_told_as_it_is() -> None:
    r = mflow.solve_ivp(lambda t, y: -1.0 - 0.0 * y if t < 0.55 else y * math.nan, (0, 1), [1.0], "backward_euler", dt=0.1)
    assert r.reason == "non_finite"
    assert "met slopes that are not finite" in r.message
    assert "non-finite state" not in r.message


@pytest.mark.parametrize("method", ["euler", "rk2", "rk4"])
def test_a_state_that_had_not_grown_is_not_put_down_to_dt(method):
    """A right-hand side that turns NaN was told as oscillations that the method has no stable step for."""
    r = mflow.solve_ivp(lambda t, y: np.array([y[1], -y[0]]) if t < 0.5 else y * np.nan, (0, 1), [1.0, 0.0], method, dt=0.01)
    assert r.reason == "non_finite"
    assert "left its domain" in r.message
    assert "oscillates" not in r.message


@pytest.mark.filterwarnings("ignore::mflow.StiffnessWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("method", ["radau5", "rodas5p", "tsit5"])
def test_a_crawl_beside_a_wall_says_what_holds_it(method: str) -> None:
    """The inflow is 0 at t = 3 pi/2 alone, where the level is that of the outlet, y[0] + y[1] = 1: a wall that no component alone has."""

    def fun(t: float, y: Array) -> Array:
        return 0.5 * (0.2 * (1.0 + np.sin(t)) - np.sqrt(y.sum() - 1.0)) * np.ones(2)

    with pytest.warns(RuntimeWarning, match=r"of the tries fail.*along the edge of the domain") as told:
        r = mflow.solve_ivp(fun, (0, 30), [1.435, 1.435], method, rtol=1e-6, atol=1e-9, max_steps=9000)
    assert sum("of the tries fail" in str(w.message) for w in told) == 1
    assert r.reason == "max_steps"
    assert "of the tries fail" in r.message


@pytest.mark.filterwarnings("ignore::mflow.StiffnessWarning")
@pytest.mark.parametrize("method", ["rodas5p", "tsit5"])
def test_what_a_crawl_beside_a_wall_advises_leads_to_the_end(method: str) -> None:
    """Values on the other side of the wall, as np.sqrt(np.maximum(h - 1, 0)): by SciPy's Radau at 1e-9 h - 1 is 5.12911e-6 at the end."""
    r = mflow.solve_ivp(
        lambda t, h: 0.2 * (1.0 + np.sin(t)) - np.sqrt(np.maximum(h - 1.0, 0.0)), (0, 30), [2.87], method, rtol=1e-8, atol=1e-11
    )
    assert r.success
    assert abs(r.y[0, -1] - 1.0 - 5.12911e-6) < 1e-8
