"""Fixed explicit steps past the stability limit whose solution saturates: nothing overflows, and the run says what it is. Accurate runs are
not accused. The limits are closed forms of 1 + z + z^2/2 + ..., the eigenvalues those of the Jacobians written out here, and the solutions
SciPy's at tight tolerances.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from mflow_core.problems.problem import rhs_problem
from mflow_core.stepping import stepper
from mflow_core.stepping.watch import past
from scipy.integrate import solve_ivp

import mflow
from support.problems import Array
from support.warned import told

PAST = 1.05  # of the limit: half as much again, and most of these overflow
LIMITS = {"euler": 2.0, "rk2": 2.0, "rk4": 2.785293563405282, "tvd_rk3": 2.512745326618332, "dopri5": 3.306567892634947}
SAID = "exceeds the stability limit"
TOTAL, BINDS, LETS_GO, MAKES = 0.05, 1000.0, 10.0, 30.0  # enzyme in all, and its rates


def enzyme(t: float, y: Array) -> Array:
    """Michaelis and Menten: substrate, complex, product."""
    bound = BINDS * y[0] * (TOTAL - y[1])
    return np.array([-bound + LETS_GO * y[1], bound - (LETS_GO + MAKES) * y[1], MAKES * y[1]])


def enzyme_limit(y: Array) -> float:
    """1/|lambda| of the fastest mode."""
    a, b = BINDS * (TOTAL - y[1]), BINDS * y[0]
    return float(1.0 / np.max(np.abs(np.linalg.eigvals([[-a, b + LETS_GO], [a, -b - LETS_GO - MAKES]]))))


START = np.array([5.0, 0.0, 0.0])
FAST = enzyme_limit(np.array([4.0, 0.8 * TOTAL, 1.0]))  # with a fifth of the substrate gone
SATURATES = [method for method in LIMITS if method != "dopri5"]  # which overflows


def bounce(c: Array) -> Array:
    """The gradient of 50 log cosh c: its limit with Euler steps is 2/50."""
    return 50.0 * np.tanh(c)


@pytest.mark.parametrize("method", SATURATES)
def test_saturating_kinetics_past_the_limit_are_told_of(method: str) -> None:
    h = PAST * LIMITS[method] * FAST
    calls = [0]

    def counted(t: float, y: Array) -> Array:
        calls[0] += 1
        return enzyme(t, y)

    r, seen = told(lambda: mflow.solve_ivp(counted, (0, 150 * h), START, method=method, dt=h))
    right = solve_ivp(enzyme, (0, 150 * h), START, "Radau", rtol=1e-9, atol=1e-12).y[:, -1]
    assert r.reason == "finished"
    assert np.all(np.isfinite(r.y))
    assert abs(r.y[2, -1] - right[2]) > 0.1 * right[2]  # it is wrong, and says so
    assert SAID in r.message
    assert f"of {method}" in r.message
    assert [text for text in seen if SAID in text] == [f"solve_ivp: {r.message.split('; but ')[1]}"]
    assert calls[0] == r.nfev + r.ncheck
    assert 0 < r.ncheck < 400


@pytest.mark.parametrize("method", LIMITS)
def test_the_limit_that_is_named_is_right(method: str) -> None:
    """From above, as the state goes back and forth beside the steepest place; and the step that is advised works."""
    h = 1.5 * LIMITS[method] / 40.0
    r, _ = told(lambda: mflow.solve_ivp(lambda t, y: [-40.0 * math.tanh(y[0]) + 1e-3], (0, 200 * h), [0.01], method=method, dt=h))
    named = float(r.message.split("which is about ")[1].split(" ")[0])
    assert 0.99 * LIMITS[method] / 40.0 < named < min(h, 1.25 * LIMITS[method] / 40.0)
    advised = float(r.message.split("Take dt = ")[1].split(" ")[0])
    r, seen = told(lambda: mflow.solve_ivp(lambda t, y: [-40.0 * math.tanh(y[0]) + 1e-3], (0, 200 * h), [0.01], method=method, dt=advised))
    assert not seen
    assert r.ncheck == 0
    assert r.y[0, -1] == pytest.approx(2.5e-5, rel=1e-6)


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_the_same_run_within_the_limit_says_nothing(method: str) -> None:
    h = 0.8 * LIMITS[method] * enzyme_limit(START)
    r, seen = told(lambda: mflow.solve_ivp(enzyme, (0, 400 * h), START, method=method, dt=h))
    right = solve_ivp(enzyme, (0, 400 * h), START, "Radau", rtol=1e-9, atol=1e-12).y[:, -1]
    assert r.y[:, -1] == pytest.approx(right, rel=0.02)
    assert not seen
    assert SAID not in r.message


@pytest.mark.parametrize(("method", "more"), [("euler", {"dt": 0.08}), ("rk4", {"dt": 0.08}), ("sgd", {"lr": 0.08})])
def test_a_flow_that_bounces_or_comes_to_a_false_rest(method: str, more: dict[str, float]) -> None:
    r, seen = told(lambda: mflow.gradient_flow(bounce, [1.0, 2.0], 16.0, method, **more))  # type: ignore[misc]
    assert r.reason == "finished"
    assert np.min(np.abs(r.y[:, -1])) > 0.1
    assert SAID in r.message
    assert len([text for text in seen if SAID in text]) == 1
    assert r.ncheck > 0


@pytest.mark.parametrize(("method", "more"), [("euler", {"dt": 0.08}), ("sgd", {"lr": 0.08})])
def test_a_measurement_that_is_interrupted_leaves_the_run_so_far(method: str, more: dict[str, float]) -> None:
    calls, most = 0, 10**9

    def interrupted(c: Array) -> Array:
        nonlocal calls
        calls += 1
        if calls > most:
            raise KeyboardInterrupt
        return bounce(c)

    whole, _ = told(lambda: mflow.gradient_flow(interrupted, [1.0, 2.0], 16.0, method, **more))  # type: ignore[misc]
    calls, most = 0, calls - 1  # the last evaluation of all is one of a measurement
    with pytest.raises(KeyboardInterrupt) as seen:
        told(lambda: mflow.gradient_flow(interrupted, [1.0, 2.0], 16.0, method, **more))  # type: ignore[misc]
    partial = seen.value.partial_result  # type: ignore[attr-defined]
    assert partial.reason == "interrupted"
    assert partial.t[-1] > 15.9
    assert np.array_equal(partial.y[:, 1], whole.y[:, 1])


@pytest.mark.parametrize(("method", "more"), [("euler", {"dt": 0.036}), ("sgd", {"lr": 0.036}), ("rk4", {"dt": 0.05})])
def test_a_flow_near_its_limit_comes_to_rest(method: str, more: dict[str, float]) -> None:
    r, seen = told(lambda: mflow.gradient_flow(bounce, [1.0, 2.0], 16.0, method, **more))  # type: ignore[misc]
    assert np.max(np.abs(r.y[:, -1])) < 1e-3
    assert not seen
    assert SAID not in r.message


def test_growth_below_a_million_is_told_of() -> None:
    r, seen = told(lambda: mflow.solve_ivp(lambda t, y: [-10.0 * y[0], -y[1]], (0, 10.45), [1e-3, 1.0], method="euler", dt=0.209))
    assert 1e-3 < abs(r.y[0, -1]) < 1e3  # 1.09^50
    assert SAID in r.message
    assert len(seen) == 1


def test_a_run_that_overflows_after_all_says_that_alone() -> None:
    r, seen = told(lambda: mflow.solve_ivp(lambda t, y: -y, (0, 1e4), [1.0], method="euler", dt=3.0))
    assert r.reason == "non_finite"
    assert "stay finite" not in r.message
    assert not seen


def test_growth_that_is_the_problems_own_is_not() -> None:
    for rate, method in ((1.0, "euler"), (3.0, "rk4")):
        r, seen = told(lambda rate=rate, method=method: mflow.solve_ivp(lambda t, y: rate * y, (0, 30), [1e-3], method=method, dt=0.9))
        assert not seen
        assert SAID not in r.message


def test_oscillations_and_chaos_are_not_accused() -> None:
    def lorenz(t: float, y: Array) -> Array:
        return np.array([10.0 * (y[1] - y[0]), y[0] * (28.0 - y[2]) - y[1], y[0] * y[1] - 8.0 / 3.0 * y[2]])

    def predators(t: float, y: Array) -> Array:
        return np.array([y[0] - y[0] * y[1], y[0] * y[1] - y[1]])

    for method in ("euler", "rk4"):
        for fun, start in ((lorenz, [1.0, 1.0, 1.0]), (predators, [2.0, 1.0])):
            r, seen = told(lambda fun=fun, start=start, method=method: mflow.solve_ivp(fun, (0, 20), start, method=method, dt=0.01))
            assert not seen
            assert r.ncheck < (10 if method == "rk4" else 0.3 * r.nfev)  # once round what may be a closed orbit
    noise = np.random.default_rng(1)
    r, seen = told(lambda: mflow.solve_ivp(lambda t, y: -y + noise.normal(size=2), (0, 20), [1.0, 1.0], method="euler", dt=0.1))
    assert not seen
    assert SAID not in r.message


def test_fast_modes_that_are_not_there_do_no_harm() -> None:
    """Past the limit for the eigenvalue -1000, whose mode is 0 all along."""
    r, seen = told(lambda: mflow.solve_ivp(lambda t, y: [-y[0], -1000.0 * y[1]], (0, 5), [1.0, 0.0], method="euler", dt=0.01))
    assert r.y[0, -1] == pytest.approx(math.exp(-5), rel=0.03)
    assert not seen
    assert r.ncheck == 0


def test_steps_given_one_by_one() -> None:
    h = PAST * LIMITS["rk4"] * FAST
    r, _ = told(lambda: mflow.solve_ivp(enzyme, (0, 150 * h), START, method="rk4", dt=lambda q, t, y: h))
    assert SAID in r.message


def test_a_batch_tells_of_its_trajectories() -> None:
    h = PAST * LIMITS["euler"] * FAST
    r, _ = told(lambda: mflow.solve_ivp_batch(enzyme, (0, 150 * h), [START, 1e-2 * START], method="euler", dt=h))
    assert SAID in r.messages[0]
    assert SAID in r[0].message
    assert 1 not in r.messages


def test_a_stepper_tells_once() -> None:
    h = PAST * LIMITS["rk4"] * FAST
    calls = [0]

    def counted(t: float, y: Array) -> Array:
        calls[0] += 1
        return enzyme(t, y)

    st = mflow.Stepper("rk4", counted, START)
    _, seen = told(lambda: [st.step(h) for _ in range(150)])
    assert len(seen) == 1
    assert seen[0].startswith("Stepper: near t = ")
    assert SAID in seen[0]
    assert st.nfev == calls[0]
    whole, _ = told(lambda: mflow.solve_ivp(enzyme, (0, st.t), START, method="rk4", dt=h, save="last"))
    assert np.array_equal(st.y, whole.y[:, -1])  # looks change no bits


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_a_stepper_that_is_loaded_tells_at_the_same_step(method: str, tmp_path: Path) -> None:
    h = PAST * LIMITS[method] * FAST
    _, whole = told(lambda: mflow.Stepper(method, enzyme, START).advance(150, h))
    for steps in (4, 9, 149):
        st = mflow.Stepper(method, enzyme, START)
        _, before = told(lambda st=st, steps=steps: st.advance(steps, h))
        st.save(tmp_path / "st")
        st = mflow.Stepper.load(tmp_path / "st", enzyme)
        _, behind = told(lambda st=st, steps=steps: st.advance(150 - steps, h))
        assert before + behind == whole


def test_scipys_driver_tells() -> None:
    from mflow.scipy import RK4

    h = PAST * LIMITS["rk4"] * FAST
    r, seen = told(lambda: solve_ivp(enzyme, (0, 150 * h), START, method=RK4, dt=h))
    assert r.status == 0
    assert len(seen) == 1
    assert SAID in seen[0]


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_a_run_that_is_resumed_says_the_same(method: str, tmp_path: Path) -> None:
    h = PAST * LIMITS[method] * FAST
    span, path = (0, 150 * h), tmp_path / "run"
    whole, _ = told(lambda: mflow.solve_ivp(enzyme, span, START, method=method, dt=h))
    assert SAID in whole.message
    for steps in (4, 5, 9, 40, 149):  # in the middle of a look, before and behind the verdict
        more = {"method": method, "dt": h, "checkpoint": path, "checkpoint_every": 1}
        told(lambda steps=steps, more=more: mflow.solve_ivp(enzyme, span, START, max_steps=steps, **more))
        rest, _ = told(lambda: mflow.solve_ivp(enzyme, span, START, method=method, dt=h, resume=path))
        assert np.array_equal(rest.y, whole.y)
        assert (rest.message, rest.ncheck, rest.nfev) == (whole.message, whole.ncheck, whole.nfev)


def test_an_error_of_the_function_around_a_step_is_the_runs_alone() -> None:
    """The measurement asks where the run does not: what is raised there does not come through."""

    def walled(c: Array) -> Array:
        if np.any(np.abs(c) < 0.5):
            raise ValueError("not here")
        return bounce(c)

    r, _ = told(lambda: mflow.gradient_flow(walled, [1.9150080481545375], 16.0, "euler", dt=0.08))
    assert r.reason == "finished"
    assert r.ncheck > 0


def test_an_oscillation_that_euler_lets_grow_is_told_of() -> None:
    r, seen = told(lambda: mflow.solve_ivp(lambda t, y: [y[1], -4.0 * y[0]], (0, 20), [1.0, 0.0], method="euler", dt=0.1))
    assert 10.0 < abs(np.linalg.norm(r.y[:, -1])) < 200.0  # 1.04^100
    assert SAID in r.message
    assert len(seen) == 1


def test_a_run_that_overflows_past_its_limit_gives_one_reason() -> None:
    """Ozone in the light: one mode of -100 beside slow ones. The words of a run that stays finite are no second reason beside the first."""

    def ozone(t: float, y: Array) -> Array:
        light, atoms, titration = 0.0089 * y[0], 100.0 * y[2], 4.4e-4 * y[1] * y[3]
        return np.array([titration - light, light - titration, light - atoms, atoms - titration])

    with np.errstate(all="ignore"):
        r = mflow.solve_ivp(ozone, (0, 40), [20.0, 5.0, 0.0, 30.0], "euler", dt=0.0202)
    assert r.reason == "non_finite"
    assert r.message.count(SAID) == 1
    assert "but" not in r.message
    assert "stay finite" not in r.message
    assert "limit of euler, about 0.02 for errors" in r.message  # 2/100


def test_a_curvature_that_has_grown_since_the_start_is_among_the_reasons() -> None:
    """y' = -y^3 from 10 within the limit, then a source that takes y to 400: |lambda| = 3 y^2 has become 1600 times as large."""
    with np.errstate(all="ignore"):
        r = mflow.solve_ivp(lambda t, y: 2e7 * (t > 0.5) - y**3, (0, 1), [10.0], "rk4", dt=1e-3)
    assert r.reason == "non_finite"
    assert "inside the stability limits" in r.message
    assert "but the rate may have grown on the way" in r.message


def test_an_oscillation_that_doubles_by_steps_is_told() -> None:
    """Of y'' = -4 y a step of Euler's is 1 +- 2 i h: its amplitude is sqrt(1 + 4 h^2)^n, 7.4 for h = .01, n = 10 000; silent before."""
    r, seen = told(lambda: mflow.solve_ivp(lambda t, y: [y[1], -4.0 * y[0]], (0, 100), [1.0, 0.0], "euler", dt=0.01))
    assert len(seen) == len(r.doubts) == 1
    assert f"more than the solution does ({(1.0 + 4e-4) ** 5000:.3g} in 10000 steps)" in r.message
    r, seen = told(lambda: mflow.solve_ivp(lambda t, y: [y[1], -4.0 * y[0]], (0, 100), [1.0, 0.0], "euler", dt=0.002))
    assert not seen
    assert not r.doubts  # 1.49 times; its speed is twice as large as its start


def test_growth_beside_an_oscillation_is_not_its_growth() -> None:
    """Steps of Euler's method that are exact: the oscillation, which they would let grow a hundredfold, is at rest all along."""
    r, seen = told(lambda: mflow.solve_ivp(lambda t, y: [y[1], t - y[0]], (1, 100), [1.0, 1.0], method="euler", dt=0.1))
    assert r.y[:, -1] == pytest.approx([100.0, 1.0], rel=1e-9)
    assert not seen
    assert SAID not in r.message
    r, seen = told(lambda: mflow.solve_ivp(lambda t, y: [y[1], -y[0], 1.0], (0, 100), [0.0, 0.0, 1.0], method="euler", dt=0.1))
    assert r.y[:, -1] == pytest.approx([0.0, 0.0, 101.0], rel=1e-9)
    assert not seen
    assert SAID not in r.message


def test_the_oscillation_that_has_grown_is_named_where_others_are_faster() -> None:
    """A fast one is at rest; the slow one grows by |1 + 0.1 i|^1000 = 145."""
    r, _ = told(
        lambda: mflow.solve_ivp(lambda t, y: [y[1], -y[0], y[3], -9.0 * y[2]], (0, 100), [1.0, 0.0, 0.0, 0.0], method="euler", dt=0.1)
    )
    assert np.linalg.norm(r.y[:, -1]) == pytest.approx(1.01**500, rel=1e-6)
    assert SAID in r.message
    assert "its rate is about 1," in r.message


def test_steps_that_land_beside_the_solution_by_chance_acquit_no_run() -> None:
    """Chaotic steps: one of three that are looked at leads to where the solution does, which is within 0.3 of 0 after the first ones."""
    h = 2.671 * 2.0 / 3.29
    r, seen = told(
        lambda: mflow.solve_ivp(
            lambda t, y: -3.29 * np.arctan(y - 0.3 * np.cos(0.0329 * t)), (0, 179 * h), [-0.00382695], method="midpoint", dt=h
        )
    )
    assert np.max(np.abs(r.y[0, -3:])) > 5.0
    assert SAID in r.message
    assert len(seen) == 1


@pytest.mark.parametrize(("method", "limit"), [("bs32", 2.5127), ("dopri5", 3.3066)])
def test_the_first_slope_is_looked_at_where_the_step_before_has_left_it(method: str, limit: float) -> None:
    """A cycle of pairs that ask for no first slope: between this and the second one it shows. SciPy's Radau stays within 0.3 of 0."""
    h = 2.902 * limit / 87.8
    r, seen = told(
        lambda: mflow.solve_ivp(lambda t, y: -87.8 * np.arctan(y - 0.3 * np.cos(0.878 * t)), (0, 300 * h), [0.91384], method=method, dt=h)
    )
    assert np.max(np.abs(r.y[0, -3:])) > 1.0
    assert SAID in r.message
    assert len(seen) == 1


@pytest.mark.parametrize("n", [1, 3, 40, 1001])
def test_whether_a_state_outgrows_its_start(n: int) -> None:
    """Against NumPy's largest component; 0 and NaN outgrow nothing."""
    start, end = np.cos(np.arange(n)), 5.0 * np.sin(1.0 + np.arange(n))
    run = stepper.Run(mflow.get_method("rk4").record, rhs_problem(lambda t, y: -y, (n,)), end, 0.0, 0.1)
    watch = past.Past(run)
    ratio = float(np.max(np.abs(end)) / np.max(np.abs(start)))
    assert watch.outgrows(start, 0.999 * ratio)
    assert not watch.outgrows(start, 1.001 * ratio)
    assert not watch.outgrows(np.zeros(n), 0.5)
    assert not watch.outgrows(np.full(n, np.nan), 0.5)
    with pytest.raises(TypeError, match="start: expected a C-contiguous float64 array, got dtype float32"):
        watch.outgrows(start.astype(np.float32), 0.5)
