"""Solutions that end in finite time at a finite state: y' = -y^-k from 1 comes to 0 at t = 1/(1 + k), and there is none behind."""

import math
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.walls.jumps import end_words

METHODS = ("dopri5", "tsit5", "bs32", "rkc2", "dop853", "auto", "radau5")


def falls(k: float) -> Any:
    return lambda t, y: -np.sign(y) * np.abs(y) ** -k


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("k", [0.5, 1.0])
def test_a_run_ends_where_the_solution_does(method: str, k: float) -> None:
    """At default tolerances explicit steps went back and forth over 0 without end: dopri5 took 4e6 evaluations to t = .5006."""
    r = mflow.solve_ivp(falls(k), (0, 1), [1.0], method, max_steps=20_000)
    assert not r.success
    assert r.reason in {"step_too_small", "solve_failed"}
    assert r.t[-1] == pytest.approx(1.0 / (1.0 + k), rel=5e-3)
    assert r.nfev < 25_000
    assert "the solution ends near" in r.message


@pytest.mark.parametrize("offset", [1.4646, 2.0, 3.0, 10.0])
@pytest.mark.parametrize("method", ["dopri5", "tsit5"])
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_run_does_not_go_to_and_fro_over_a_pole_to_its_end(method: str, offset: float) -> None:
    """y = offset + sqrt(1 - 2 t) ends at t = 1/2; the run went on to 5, over the pole and back, at default tolerances."""
    r = mflow.solve_ivp(lambda t, y: -1.0 / (y - offset), (0, 5), [offset + 1.0], method)
    assert not r.success
    assert r.t[-1] >= 0.5
    assert "or before: the right-hand side grows without bound" in r.message


@pytest.mark.parametrize("period", [0.01, 0.03])
@pytest.mark.parametrize("method", ["dopri5", "tsit5"])
@pytest.mark.filterwarnings("ignore:solve_ivp. fun jumps")
def test_many_refused_steps_beside_a_pole_are_no_end(method: str, period: float) -> None:
    """y' = s/y, y^2 = y0^2 + 2 int s: s changes its sign with t again and again, so that y never comes to the pole."""

    def f(t: float, y: Any) -> Any:
        return (-1.0 if t % period < 0.5 * period else 1.0) / y

    start = np.sqrt(2.0 * period)
    r = mflow.solve_ivp(f, (0, 8 * period), [start], method, rtol=1e-6, atol=1e-9)
    assert r.nrejected > 0.5 * r.nsteps
    assert r.success
    assert r.y[0, -1] == pytest.approx(start, rel=1e-3)


def test_a_run_that_goes_on_from_a_file_ends_at_the_same_step(tmp_path: Any) -> None:
    whole = mflow.solve_ivp(falls(1.0), (0, 1), [1.0], "bs32", max_steps=20_000)
    path = tmp_path / "run.mflow"
    mflow.solve_ivp(falls(1.0), (0, 1), [1.0], "bs32", max_steps=20, checkpoint=path)
    rest = mflow.solve_ivp(falls(1.0), (0, 1), [1.0], "bs32", max_steps=20_000, resume=path)
    assert (rest.nsteps, rest.nfev, rest.message) == (whole.nsteps, whole.nfev, whole.message)
    assert np.array_equal(rest.y, whole.y)


@pytest.mark.parametrize("k", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("y", [1e-5, -3e-6])
def test_poles_are_seen(k: float, y: float) -> None:
    state = np.array([y, 2.0])
    h = 1.3 * abs(y) ** (1.0 + k)
    assert "y = [" in end_words(lambda t, z: np.array([falls(k)(t, z[0]), 1.0]), 0.5, state, h)


@pytest.mark.parametrize(
    "f",
    [
        lambda y: -np.tanh(y / 1e-8),  # steep
        lambda y: -np.sign(y),  # a jump
        lambda y: -np.cbrt(y / 1e-12),  # a slope of any steepness, which is 0 there
        lambda y: -y - 1e6 * y**3,
        lambda y: 1.0 / y,  # a pole that leads away
        lambda y: math.nan * y,
    ],
)
def test_what_is_steep_is_no_pole(f: Any) -> None:
    for h in (1e-9, 1e-7, 1e-6, 1e-5):
        assert end_words(lambda t, y: f(y), 0.0, np.array([1e-6]), h) == ""


@pytest.mark.parametrize("method", ["euler", "rk4", "ssprk104", "dopri5"])
@pytest.mark.parametrize("dt", [0.02, 0.003])
def test_fixed_steps_beyond_the_end_are_told_of(method: str, dt: float) -> None:
    """rk4 came to 1.298 at t = 1, euler to 3.35, without a word; there is no solution from t = 1/2 on."""
    with pytest.warns(RuntimeWarning, match="the solution ends near t = 0\\.[45]"):
        r = mflow.solve_ivp(falls(1.0), (0, 1), [1.0], method, dt=dt)
    assert "the solution ends near" in r.message
    assert len(r.doubts) == 1


def test_words_of_growth_are_said_once() -> None:
    J = np.array([[0.0, 1.0], [-1.0, -0.5]])
    with pytest.warns(RuntimeWarning, match="exceeds the stability limit"):
        r = mflow.solve_ivp(lambda t, y: J @ y, (0, 600), [1.0, 0.0], "rk4", dt=3.04)
    assert r.message.count("exceeds the stability limit") == 1


@pytest.mark.parametrize("method", ["tsit5", "dop853", "radau5", "esdirk43", "rodas5p", "auto"])
def test_a_pole_that_is_a_saddle_backwards_is_one(method: str) -> None:
    """y'' = 2 y^3 with y = 1/(1 - t): solutions nearby go elsewhere backwards, and no run could tell that it runs off."""
    with np.errstate(all="ignore"):
        r = mflow.solve_ivp(lambda t, y: np.array([y[1], 2.0 * y[0] ** 3]), (0, 2), [1.0, 1.0], method, rtol=1e-4, atol=1e-7)
    assert r.reason == "diverged"
    assert r.t[-1] == pytest.approx(1.0, abs=1e-3)


def test_a_gradient_flow_that_climbs_says_so() -> None:
    """-exp(-x^2) from 3: steps of 20 ended "finished" beyond -6, where it is higher."""
    with pytest.warns(RuntimeWarning, match="no gradient flow climbs"):
        r = mflow.gradient_flow(lambda c: 2 * c * np.exp(-c @ c), [3.0], 2000.0, "rodas5p", dt=20.0)
    assert r.reason == "finished"
    assert "no gradient flow climbs" in r.message
    assert len(r.doubts) == 1
    assert np.abs(r.y[0, -1]) > 3.5


@pytest.mark.parametrize("dt", [0.05, 0.064])
@pytest.mark.parametrize("method", ["euler", "rk4", "backward_euler", "rodas5p"])
def test_a_gradient_flow_that_falls_says_nothing(method: str, dt: float) -> None:
    L = np.array([1.0, 30.0])
    assert mflow.gradient_flow(lambda c: L * c, [1.0, 1.0], 5.0, method, dt=dt).doubts == ()


@pytest.mark.parametrize("method", ["tsit5", "radau5", "bdf", "rodas5p", "auto"])
@pytest.mark.parametrize("end", [10.0, -3.0])
def test_a_jump_at_the_end_itself_is_said_with_its_cure(method: str, end: float) -> None:
    """The last step asks fun at the end, on the far side of the jump: no step was short enough, and nothing said why."""

    def fun(t: float, y: Any) -> Any:
        return np.array([math.copysign(5.0, -end) * y[0] + (1e14 if abs(t) >= abs(end) else 0.0)])

    r = mflow.solve_ivp(fun, (0, end), [1.0], method, rtol=1e-8, atol=1e-8)
    assert r.reason == "step_too_small"
    assert f"the right-hand side jumps at the end itself: pass breaks=[{end}]" in r.message
    assert r.nfev < 25_000
    r = mflow.solve_ivp(fun, (0, end), [1.0], method, rtol=1e-8, atol=1e-8, breaks=[end])
    assert r.success
    assert abs(r.y[0, -1] - math.exp(-5.0 * abs(end))) < 1e-7


def test_a_jump_before_the_end_is_not_said_to_be_at_it() -> None:
    r = mflow.solve_ivp(lambda t, y: [-y[0] + (1e14 if t > 1.0 - 1e-14 else 0.0)], (0, 1), [1.0], "radau5", rtol=1e-9, atol=1e-9)
    assert r.reason == "step_too_small"
    assert "at the end itself" not in r.message


def test_auto_does_not_go_alone_to_a_place_that_neither_method_passes() -> None:
    """Explicit steps alone took 1.9e6 evaluations to the place where both had ended."""
    r = mflow.solve_ivp(lambda t, y: [-1e4 * y[0] + (1e14 if t >= 10.0 else 0.0)], (0, 10), [1.0], "auto", rtol=1e-9, atol=1e-9)
    assert r.reason == "step_too_small"
    assert r.nfev < 10_000


@pytest.mark.parametrize("method", ["dopri5", "radau5", "bdf"])
def test_the_end_is_told_with_the_digits_that_are_known(method: str) -> None:
    """It is 1/3 + 2000; with rtol = 1e-3 nine digits were told, of which three were right."""
    for rtol, digits in ((1e-3, 3), (1e-6, 6)):
        with np.errstate(all="ignore"):
            r = mflow.solve_ivp(falls(2.0), (2000, 2001), [1.0], method, rtol=rtol, atol=1e-3 * rtol, max_steps=20_000)
        told = r.message.split("the solution ends near t = ")[1].split(" ")[0].rstrip(":")
        assert len(told.partition(".")[2]) <= digits
        assert float(told) == pytest.approx(2000 + 1 / 3, abs=10.0**-digits * 20)
