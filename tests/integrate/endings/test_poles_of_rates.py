"""Steps under error control do not leap over the pole of a rate s/(K + s), beyond 0, where no solution goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import mflow

pytestmark = pytest.mark.filterwarnings("ignore::mflow.StiffnessWarning")  # a rate of 1/K: so they are
METHODS = ["auto", "dopri5", "tsit5", "bs32", "dop853", "esdirk43", "rodas5p", "radau5", "bdf"]


def eliminated(K: float) -> Any:
    return lambda t, s: -s / (K + s)


def exact(K: float, t: float) -> float:
    """s - 1 + K log s = -t."""
    return float(np.exp(brentq(lambda u: np.exp(u) - 1.0 + K * u + t, -1e5, 1.0, xtol=1e-12)))


@pytest.mark.parametrize("K", [1e-2, 1e-3])
@pytest.mark.parametrize("method", METHODS)
def test_elimination_ends_at_0(method: str, K: float) -> None:
    calls = [0]

    def fun(t: float, s: Any) -> Any:
        calls[0] += 1
        return -s / (K + s)

    r = mflow.solve_ivp(fun, (0, 2), [1.0], method, t_eval=[0.5, 0.9, 2.0])
    assert r.reason == "finished", r.message
    np.testing.assert_allclose(r.y[0], [exact(K, t) for t in r.t], rtol=5e-3, atol=2e-3)
    assert abs(r.y[0, -1]) < 2e-6
    assert calls[0] == r.nfev + r.ncheck


@pytest.mark.parametrize(("rtol", "atol"), [(1e-3, 1e-6), (1e-4, 1e-7)])
@pytest.mark.parametrize("method", ["auto", "bs32", "dopri5", "tsit5", "esdirk43", "rodas5p"])
def test_biomass_keeps_the_balance_of_its_substrate(method: str, rtol: float, atol: float) -> None:
    def fun(t: float, y: Any) -> Any:
        rate = y[1] * y[0] / (1e-3 + y[0])
        return np.array([-rate, 0.4 * rate])

    r = mflow.solve_ivp(fun, (0, 10), [1.0, 0.1], method, rtol=rtol, atol=atol)
    np.testing.assert_allclose(r.y[:, -1], [0.0, 0.5], atol=2e-3)


@pytest.mark.parametrize(
    "rate",
    [
        lambda s: s[0] / (1e-3 + s[0]) * s[1] / (2e-3 + s[1]),
        lambda s: s[0] / (1e-3 + s[0] + s[0] ** 2 / 0.5),
        lambda s: s[0] ** 2 / (1e-6 + s[0] ** 2),
        lambda s: s[0] / (1e-3 + abs(s[0])),
    ],
    ids=["two substrates", "inhibited", "of second order", "without a pole"],
)
@pytest.mark.parametrize("method", ["auto", "tsit5", "esdirk43"])
def test_relatives_of_the_rate(method: str, rate: Any) -> None:
    r = mflow.solve_ivp(lambda t, s: -rate(s) * np.array([1.0, 0.7]), (0, 8), [1.0, 1.0], method)
    assert r.reason == "finished"
    assert -1e-4 < r.y[0, -1] < 1e-3
    np.testing.assert_allclose(1.0 - r.y[1, -1], 0.7 * (1.0 - r.y[0, -1]), rtol=1e-9)


@pytest.mark.parametrize("method", ["tsit5", "rodas5p"])
def test_steppers_and_checkpoints(method: str, tmp_path: Path) -> None:
    def made() -> Any:
        return mflow.Stepper(method, eliminated(1e-3), [1.0], t0=0.0, rtol=1e-3, atol=1e-6)

    whole, first = made(), made()
    for one, count in ((whole, 40), (first, 20)):
        for _ in range(count):
            one.step()
    first.save(tmp_path / "half")
    second = mflow.Stepper.load(tmp_path / "half", eliminated(1e-3))
    for _ in range(20):
        second.step()
    assert (second.t, second.y.tobytes(), second.nfev) == (whole.t, whole.y.tobytes(), whole.nfev)
    assert whole.y[0] > -1e-5


def test_a_compiled_rate() -> None:
    numba = pytest.importorskip("numba")

    @numba.njit
    def fun(t: float, y: Any) -> Any:
        return -y / (1e-3 + y)

    r = mflow.solve_ivp(fun, (0, 3), [1.0])
    assert abs(r.y[0, -1]) < 1e-5


@pytest.mark.parametrize("method", ["bdf", "radau5", "rodas5p", "esdirk43", "auto"])
def test_many_components_that_end_one_after_the_other_are_all_kept(method: str) -> None:
    """Those at rest, whose errors change their sign in every other step, used up the looks of those that came later."""
    r = mflow.solve_ivp(lambda t, y: -y / (1e-5 + y), (0, 3), np.linspace(1.0, 2.0, 20), method)
    assert np.all(np.abs(r.y[:, -1]) < 1e-5)


@pytest.mark.parametrize("method", ["esdirk43", "auto"])
def test_doses_of_one_leave_what_is_known_of_others_beyond_0(method: str) -> None:
    """What an error had taken below 0 was lost with each dose, and with each step thrown away for another: one ended at -1.34."""
    times = np.linspace(0.1, 2.9, 10)
    r = mflow.solve_ivp(
        lambda t, y: np.append(-y[:-1] / (3e-6 + y[:-1]), -0.1 * y[-1]), (0, 3), np.linspace(0.5, 1.5, 10), method,
        doses=[(t, 9, 0.05) for t in times], save="last",
    )  # fmt: skip
    left = 1.5 * np.exp(-0.3) + np.sum(0.05 * np.exp(-0.1 * (3.0 - times)))
    np.testing.assert_allclose(r.y[:, -1], np.append(np.zeros(9), left), atol=3e-3)


@pytest.mark.parametrize(("method", "death"), [("tsit5", 0.8), ("dopri5", 0.9)])
def test_what_an_error_has_taken_below_0_is_put_back_where_no_step_works(method: str, death: float) -> None:
    """Next to a pole of the rate of a predator that depends on the ratio: prey and predator die out, both above 0 for ever."""

    def fun(t: float, y: Any) -> Any:
        eaten = y[0] * y[1] / (y[0] + y[1] + 1e-6)
        return np.array([-eaten, eaten - death * y[1]])

    r = mflow.solve_ivp(fun, (0, 100), [1.0, 0.1], method)
    assert r.success, r.message
    assert np.all(np.abs(r.y[:, -1]) < 1e-5)


@pytest.mark.parametrize("method", ["dopri5", "dop853", "radau5", "esdirk43"])
def test_what_crosses_0_is_looked_at_once(method: str) -> None:
    n = 3
    rates = np.arange(1.0, n + 1)
    fun = lambda t, y: np.concatenate([y[n:], -(rates**2) * y[:n]])  # noqa: E731
    r = mflow.solve_ivp(fun, (0, 40), np.concatenate([np.ones(n), np.zeros(n)]), method, rtol=1e-6, atol=1e-9)
    assert 0 < r.ncheck <= 2 * n + 4  # and a few that find that f does not depend on time
    np.testing.assert_allclose(r.y[:n, -1], np.cos(40 * rates), atol=2e-3)


def test_a_value_that_is_missing_at_0_alone_is_never_asked_for() -> None:
    def fun(t: float, y: Any) -> list[float]:
        return [-1.0 / (1.0 + 0.0 * np.log(abs(float(y[0])))) if y[0] else 1 / 0]

    assert mflow.solve_ivp(fun, (0, 3), [1.0]).y[0, -1] == pytest.approx(-2.0)


@pytest.mark.parametrize("up", [1.0, 3.0])
def test_a_slope_that_jumps_at_0_goes_through(up: float) -> None:
    """y' = -2 + up sign(y): crossed once, or slid along by a jump that no look at 0 takes for a pole."""
    r = mflow.solve_ivp(lambda t, y: np.where(y > 0, -1.0, -up), (0, 3), [1.0], "tsit5")
    assert r.y[0, -1] == pytest.approx(-2.0 * up, rel=5e-3)
    assert r.nfev < 1000


@pytest.mark.parametrize(
    "mass", [[2.0], [[2.0]], [[2.0, 0.5], [0.5, 1.0]], [[2.0, 0.0], [0.0, 0.0]]], ids=["diagonal", "one", "full", "singular"]
)
@pytest.mark.parametrize("method", ["esdirk43", "rodas5p", "radau5", "bdf"])
def test_elimination_with_a_mass_matrix(method: str, mass: Any) -> None:
    """M (s, w)' = M (-s/(K + s), -w), or 2 s' = -2 s/(K + s) with w = s beside it."""
    K, M, calls = 1e-3, np.array(mass), [0]
    size = len(mass)

    def fun(t: float, y: Any) -> Any:
        calls[0] += 1
        rates = np.array([-y[0] / (K + y[0]), -y[-1]])[:size]
        if M.ndim == 2 and not np.any(M[-1]):
            return np.array([2.0 * rates[0], y[1] - y[0]])
        return M * rates if M.ndim == 1 else M @ rates

    r = mflow.solve_ivp(fun, (0, 3), np.ones(size), method, mass=mass)
    assert r.reason == "finished", r.message
    assert abs(r.y[0, -1]) < 1e-5
    assert calls[0] == r.nfev + r.ncheck


@pytest.mark.parametrize("method", ["dopri5", "tsit5", "bs32"])
def test_prepared_solvers_look_as_solve_ivp_does(method: str) -> None:
    numba = pytest.importorskip("numba")

    @numba.njit
    def fun(t, s, ds):  # type: ignore[no-untyped-def]
        ds[0] = -s[0] / (1e-3 + s[0])

    prepared = mflow.compile_solver(fun, 1, method, inplace=True)
    assert prepared((0, 2), [1.0])[0] == mflow.solve_ivp(eliminated(1e-3), (0, 2), [1.0], method).y[0, -1]
    assert abs(prepared((0, 2), [1.0])[0]) < 2e-6


# ---- 0, where no solution goes through ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("K", [1e-5, 1e-7, 1e-12])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_used_up_below_the_tolerances_stays_at_0(method: str, K: float) -> None:
    r = mflow.solve_ivp(eliminated(K), (0, 3), [1.0], method, t_eval=[0.5, 3.0])
    assert r.reason == "finished", r.message
    np.testing.assert_allclose(r.y[0], [exact(K, 0.5), 0.0], atol=2e-3)
    assert (-1e-8 if method == "esdirk43" else -1e-9) < r.y[0, -1] < 2e-6  # a hundredth of atol at most
    assert K > 1e-6 or ("component 0 was kept at 0 or above" in r.message and "lets nothing cross" in r.message)


@pytest.mark.parametrize("method", METHODS)
def test_a_rate_of_second_order_in_what_is_used_up(method: str) -> None:
    r = mflow.solve_ivp(lambda t, y: -(y**2) / (1e-8 + y**2), (0, 4), [1.0], method)
    assert r.reason == "finished", r.message
    np.testing.assert_allclose(r.y[0, -1], 0.0, atol=2e-6)  # of y - 1 - 1e-8 (1/y - 1) = -t


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("method", METHODS)
def test_a_second_order_decay_has_no_end(method: str, sign: float) -> None:
    calls = [0]

    def fun(t: float, y: Any) -> Any:
        calls[0] += 1
        return -sign * 1e4 * y**2

    r = mflow.solve_ivp(fun, (0, 2e4), [sign], method)
    assert r.reason == "finished", r.message
    assert 0.0 <= sign * r.y[0, -1] < 5e-6  # 1 / (1 + 2e8), within atol
    assert calls[0] == r.nfev + r.ncheck


@pytest.mark.parametrize("method", ["auto", "esdirk43", "radau5", "bdf", "rodas5p"])
def test_a_barrier_at_0_is_not_passed(method: str) -> None:
    r = mflow.solve_ivp(lambda t, y: -1.0 + 1e-6 / y, (0, 3), [1.0], method)
    assert r.reason == "finished", r.message
    np.testing.assert_allclose(r.y[0, -1], 1e-6, atol=2e-6)


@pytest.mark.parametrize("method", ["tsit5", "bs32", "radau5", "bdf"])
def test_what_goes_through_0_or_comes_back_is_left_alone(method: str) -> None:
    """An oscillation, a decay that explicit steps take over 0 and back, and a slope that is 0 where the component is by chance."""
    kw: dict[str, Any] = {"rtol": 1e-4, "atol": 1e-6}
    swings = mflow.solve_ivp(lambda t, y: np.array([y[1], -y[0]]), (0, 10), [1.0, 0.0], method, **kw)
    np.testing.assert_allclose(swings.y[:, -1], [np.cos(10), -np.sin(10)], atol=2e-2)
    decays = mflow.solve_ivp(lambda t, y: -50 * y, (0, 3), [1.0], method, **kw)
    chance = mflow.solve_ivp(lambda t, y: np.array([-y[1], (t > 1.0) * 1.0]), (0, 4), [0.5, 0.0], method, breaks=[1.0], **kw)
    np.testing.assert_allclose(chance.y[:, -1], [0.5 - 4.5, 3.0], rtol=1e-3)
    for r in (swings, decays, chance):
        assert r.reason == "finished", r.message
        assert "kept" not in r.message


@pytest.mark.parametrize("method", METHODS)
def test_what_was_kept_at_0_is_let_go_where_it_is_led_over(method: str) -> None:
    """By time, by another component, and beyond a pole."""
    kw: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-9}
    r = mflow.solve_ivp(lambda t, y: np.array([-20 * y[0] - max(0.0, y[1] - 1), 0.3]), (0, 10), [1.0, 0.0], method, **kw)
    assert r.reason == "finished", r.message
    np.testing.assert_allclose(r.y[:, -1], [-0.05 * (2.0 - 0.3 / 20), 3.0], rtol=1e-4)
    r = mflow.solve_ivp(lambda t, y: -50 * abs(y) if t < 5 else -1.0 + 0 * y, (0, 10), [1.0], method, breaks=[5.0])
    np.testing.assert_allclose(r.y[0, -1], -5.0, rtol=1e-3)
    r = mflow.solve_ivp(lambda t, y: -y / (1e-8 + y) if t < 3 else -1.0 + 0 * y, (0, 6), [1.0], method, breaks=[3.0])
    np.testing.assert_allclose(r.y[0, -1], -3.0, rtol=1e-3)
    with pytest.warns(RuntimeWarning, match="many of them meet there"):
        r = mflow.solve_ivp(lambda t, y: y / np.tan(t + 0.1), (0, 10), [1.0], method, rtol=1e-4, atol=1e-7)
    before = r.t < 3.0  # the first pole is at pi - 0.1
    np.testing.assert_allclose(r.y[0, before], np.sin(r.t[before] + 0.1) / np.sin(0.1), rtol=5e-3 if method == "bs32" else 1e-3)
    # an error is enlarged by 1/distance where a step ends beside a pole, which the last bits of tan decide
    np.testing.assert_allclose(r.y[0, -1], np.sin(10.1) / np.sin(0.1), rtol=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_a_solution_that_crosses_0_at_a_pole_in_time_does(method: str) -> None:
    """y' = a(t) y, where a is not bounded: what is 0 need not stay so. Others begin at that point as well."""
    with pytest.warns(RuntimeWarning, match="many of them meet there"):
        r = mflow.solve_ivp(lambda t, y: y / t if t != 0.0 else 1.0 + 0 * y, (-1, 1), [-1.0], method)
    assert len(r.doubts) == 1
    np.testing.assert_allclose(r.y[0, -1], 1.0, rtol=3e-2)
    with pytest.warns(RuntimeWarning, match=r"pole at t = 1\.5\d+, which a solution passes only where it is 0"):
        r = mflow.solve_ivp(lambda t, y: -y * np.tan(t), (0, 3), [1.0], method)
    np.testing.assert_allclose(r.y[0, -1], np.cos(3.0), rtol=3e-2)


def test_an_action_may_lead_over_0() -> None:
    def leave(t: float, y: Any) -> float:
        return t - 6.0

    leave.action = lambda t, y: y - 1.0  # type: ignore[attr-defined]
    for method in METHODS:
        r = mflow.solve_ivp(lambda t, y: -30 * abs(y), (0, 6.02), [1.0], method, events=[leave])
        np.testing.assert_allclose(r.y[0, -1], -np.exp(0.6), rtol=1e-3)


def test_a_population_that_is_lost_below_atol_is_told() -> None:
    def epidemic(t: float, y: Any) -> Any:
        return np.array([0.02 - 20 * y[0] * y[1] - 0.02 * y[0], 20 * y[0] * y[1] - 5.02 * y[1]])

    with pytest.warns(RuntimeWarning, match="component 1 is 0 now, where it stays.* below atol = 1e-06, give a smaller one"):
        lost = mflow.solve_ivp(epidemic, (0, 200), [0.9, 1e-3], "dop853")
    assert lost.doubts
    kept = mflow.solve_ivp(epidemic, (0, 200), [0.9, 1e-3], "dop853", atol=1e-16)
    exact = solve_ivp(epidemic, (0, 200), [0.9, 1e-3], "Radau", rtol=1e-9, atol=1e-18).y[:, -1]
    np.testing.assert_allclose(kept.y[:, -1], exact, rtol=0.05)
    assert not kept.doubts


@pytest.mark.parametrize("method", ["tsit5", "bdf"])
def test_checkpoints_remember_what_is_kept(method: str, tmp_path: Path) -> None:
    path = str(tmp_path / "run.mflow")
    whole = mflow.solve_ivp(eliminated(1e-12), (0, 3), [1.0], method)
    mflow.solve_ivp(eliminated(1e-12), (0, 3), [1.0], method, checkpoint=path, checkpoint_every=3, max_steps=whole.nsteps - 4)
    r = mflow.solve_ivp(eliminated(1e-12), (0, 3), [1.0], method, resume=path)
    assert (r.y[0, -1], r.nsteps, r.nfev) == (whole.y[0, -1], whole.nsteps, whole.nfev)
    assert "lets nothing cross" in r.message
