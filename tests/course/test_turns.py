"""dt="auto" gives stable steps; where those do not follow an oscillation, the run says so, and where there is none, it does not."""

import re
import warnings
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.course.turns import swing
from mflow.integrate.checkpoint import _looks
from mflow.stability.spectrum import Looks

SAYS = "stable, not accurate"


def told(solve: Any, *args: Any, **more: Any) -> tuple[Any, list[str]]:
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        result = solve(*args, dt="auto", **more)
    return result, [str(one.message) for one in record if SAYS in str(one.message)]


def test_an_oscillation_with_few_steps_is_told_of() -> None:
    """A pendulum came out at rest, 0 for 0.962, without a word; the true frequency of a linear one is named."""
    r, said = told(mflow.solve_ivp, lambda t, y: [y[1], -np.sin(y[0])], (0, 60), [1.0, 0.0], "rk4")
    assert len(said) == 1
    assert r.reason == "finished"
    assert SAYS in r.message
    assert any(SAYS in one for one in r.doubts)
    r, said = told(mflow.solve_ivp, lambda t, y: [y[1], -4.0 * y[0]], (0, 6), [1.0, 0.0], "rk4")
    assert "period of about 3.14" in said[0]


@pytest.mark.parametrize("mu", [2.0, 5.0])
def test_the_period_of_a_linearized_equation_is_not_called_that_of_the_solution(mu: float) -> None:
    """Van der Pol's has periods of 7.63 and 11.61; it was told to oscillate with one of 1.41 and 1.22."""
    r, said = told(mflow.solve_ivp, lambda t, y: [y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]], (0, 20), [2.0, 0.0], "euler")
    assert len(said) == 1
    assert "the solution oscillates" not in said[0]
    period = float(said[0].split("linearized about a state on the way, the equation oscillates with a period of about ")[1].split(",")[0])
    x, v = r.y
    square = 1.0 + 2.0 * mu * x * v - (0.5 * mu * (1.0 - x**2)) ** 2  # of the imaginary part of the Jacobian's eigenvalues
    assert np.min(np.abs(2.0 * np.pi / np.sqrt(square[square > 0.0]) - period)) < 0.02 * period
    _, said = told(mflow.solve_ivp, lambda t, y: [y[1], -np.sin(y[0])], (0, 60), [1.0, 0.0], "rk4")
    assert "linearized about a state on the way" in said[0]  # also where steps are few


def test_numpy_tells_nothing_of_places_where_the_run_does_not_stand() -> None:
    """Steps that were taken in advance, and not followed, overflowed."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.filterwarnings("ignore", f".*{SAYS}")
        r = mflow.solve_ivp(
            lambda t, y: [y[1], y[0] - y[0] ** 3 - 0.2 * y[1] + 0.3 * np.cos(t)], (0, 30), [0.1, 0.0], "euler", dt="auto"
        )  # fmt: skip
    assert r.success


def test_a_motion_with_few_steps_is_told_of() -> None:
    r, said = told(mflow.solve_dynamics, stiffness=1.0, x0=[1.0], t_span=(0, 60), method="leapfrog")
    assert abs(r.x[0, -1] - np.cos(60.0)) > 1.0  # it is that wrong
    assert len(said) == 1
    assert "period of about 6.28" in said[0]
    assert SAYS in r.doubts[0]
    assert SAYS in r.message


@pytest.mark.parametrize("damping", [0.5, 5.0])
def test_a_motion_that_comes_to_rest_is_not(damping: float) -> None:
    r, said = told(mflow.solve_dynamics, stiffness=1.0, damping=damping, x0=[1.0], t_span=(0, 60), method="leapfrog")
    assert not said
    assert not r.doubts
    assert abs(r.x[0, -1]) < 1e-4


def test_a_slow_motion_beside_a_stiff_spring_is_not() -> None:
    K = np.diag([1.0, 1e4])
    r, said = told(mflow.solve_dynamics, mass=np.eye(2), stiffness=K, x0=[1.0, 0.0], t_span=(0, 6), method="leapfrog")
    assert not said
    assert abs(r.x[0, -1] - np.cos(6.0)) < 1e-3


def test_what_is_resolved_or_at_rest_is_not() -> None:
    """A wave that few modes make up, an oscillation beside a fast decay, and one that is over at the end."""
    n = 64
    x = 2 * np.pi * np.arange(n) / n
    r, said = told(mflow.solve_ivp, lambda t, u: (np.roll(u, 1) - np.roll(u, -1)) / (2 * x[1]), (0, 6), np.sin(x), "rk4")
    assert not said
    assert np.max(np.abs(r.y[:, -1] - np.sin(x - 6.0 * np.sin(x[1]) / x[1]))) < 1e-3
    _, said = told(mflow.solve_ivp, lambda t, y: [y[1], -y[0], -50.0 * y[2]], (0, 6), [1.0, 0.0, 1.0], "rk4")
    assert not said
    r, said = told(mflow.solve_ivp, lambda t, y: [y[1], -y[0] - 0.5 * y[1]], (0, 60), [1.0, 0.0], "rk4")
    assert not said
    assert np.max(np.abs(r.y[:, -1])) < 1e-4


def orbit(t: float, y: Any) -> Any:
    return np.concatenate([y[2:], -y[:2] / (y[0] ** 2 + y[1] ** 2) ** 1.5])


def prey(t: float, y: Any) -> Any:
    return np.array([y[0] * (1.1 - 0.4 * y[1]), y[1] * (0.1 * y[0] - 0.4)])


@pytest.mark.parametrize("method", ["rk3", "tvd_rk3", "rk4", "dopri5"])
def test_an_orbit_that_steps_do_not_follow_is_told_of(method: str) -> None:
    """The Jacobian has a growing eigenvalue beside the pair: runs ended 1.4 radii and 8e4 radii from the circle, without a word."""
    r, said = told(mflow.solve_ivp, orbit, (0, 60), [1.0, 0.0, 0.0, 1.0], method)
    assert np.hypot(*(r.y[:2, -1] - [np.cos(60.0), np.sin(60.0)])) > 1.0
    assert len(said) == 1
    assert SAYS in r.doubts[0]
    assert SAYS in r.message


def test_an_orbit_that_steps_follow_is_not() -> None:
    """A component of rate 50 keeps the steps short."""
    r, said = told(mflow.solve_ivp, lambda t, y: [*orbit(t, y[:4]), -50.0 * y[4]], (0, 20), [1.0, 0.0, 0.0, 1.0, 1.0], "rk4")
    assert not said
    assert np.hypot(*(r.y[:2, -1] - [np.cos(20.0), np.sin(20.0)])) < 1e-4


def test_a_damped_swing_that_is_over_is_not() -> None:
    """y'' = -y - y'/10, which has fallen by e^-15: dopri5 is 2e-4 from it."""
    r, said = told(mflow.solve_ivp, lambda t, y: [y[1], -y[0] - 0.1 * y[1]], (0, 300), [1.0, 0.0], "dopri5")
    assert not said
    assert np.max(np.abs(r.y[:, -1])) < 1e-3


@pytest.mark.parametrize("end", [8.0, 30.0])
def test_a_component_that_no_solution_lets_change_its_sign_is_told_of(end: float) -> None:
    """Prey stays above 0, as its slope is 0 there; euler's decays to the other side, and grows there."""
    r, said = told(mflow.solve_ivp, prey, (0, end), [10.0, 5.0], "euler")
    assert r.y[0, -1] < -0.1
    assert r.reason == "left_domain"
    assert re.match(r"the run was ended at t = [\d.]+ after \d+ steps: .*component 0 has changed its sign", r.message)
    r, said = told(mflow.solve_ivp, lambda t, y: -y, (0, 60), [1.0], "euler")  # it goes back and forth, and has come to rest
    assert not said
    r, said = told(mflow.solve_ivp, lambda t, y: [-1.0, -50.0 * y[1]], (0, 3), [1.0, 1.0], "rk4")  # where the slope is not 0
    assert not said
    assert r.y[0, -1] == pytest.approx(-2.0)


def test_a_harvested_population_that_steps_take_below_zero_has_not_diverged() -> None:
    """y stays above 0 for ever, and falls to it; below 0 rk4's steps meet the pole of the harvest at -.01, and run away."""
    r, _ = told(mflow.solve_ivp, lambda t, y: y * (1 - y) - 0.3 * y / (y + 0.01), (0, 40), [0.2], "rk4")
    assert r.reason == "left_domain"
    assert "component 0 has changed its sign" in r.message
    assert "runs off" not in r.message
    again, _ = told(mflow.solve_ivp, lambda t, y: y * y, (0, 3), [1.0], "rk4")  # 1/(1 - t) does diverge
    assert again.reason == "diverged"


def test_real_eigenvalues_are_no_pair_and_pairs_are_found() -> None:
    rng = np.random.default_rng(0)
    for k in range(300):
        n = int(rng.integers(2, 9))
        A, y = rng.normal(size=(n, n)), rng.normal(size=n)
        A = A + A.T if k % 2 else np.triu(A)
        assert swing(lambda t, y, A=A: A @ y, 0.0, y, A @ y) == 0.0
        B = rng.normal(size=(2, 2))
        B = B - B.T + 0.1 * np.diag(rng.normal(size=2))
        pair = np.linalg.eigvals(B)[0]
        if abs(pair.imag) > 0.8 * abs(pair):
            found = swing(lambda t, y, B=B: B @ y, 0.0, y[:2], B @ y[:2])
            assert abs(found - complex(pair.real, abs(pair.imag))) < 1e-3 * abs(pair)


def test_a_run_that_goes_on_from_a_file_says_the_same(tmp_path: Any) -> None:
    def f(t: float, y: Any) -> Any:
        return [y[1], -y[0]]

    whole, _ = told(mflow.solve_ivp, f, (0, 60), [1.0, 0.0], "rk4")
    path, looks = tmp_path / "run.mflow", []

    def stop(t: float, y: Any) -> bool:
        looks.append(t)
        return t > 40.0

    told(mflow.solve_ivp, f, (0, 60), [1.0, 0.0], "rk4", checkpoint=path, checkpoint_every=5, callback=stop)
    rest, said = told(mflow.solve_ivp, f, (0, 60), [1.0, 0.0], "rk4", resume=path)
    assert rest.doubts == whole.doubts
    assert said
    assert np.array_equal(rest.y, whole.y)
    assert (rest.nfev, rest.ncheck) == (whole.nfev, whole.ncheck)


@pytest.mark.parametrize(("f", "start", "method"), [(orbit, [1.0, 0.0, 0.0, 1.0], "tvd_rk3"), (prey, [10.0, 5.0], "rk2")])
def test_a_run_of_such_a_course_that_goes_on_from_a_file_says_the_same(f: Any, start: Any, method: str, tmp_path: Any) -> None:
    whole, _ = told(mflow.solve_ivp, f, (0, 28), start, method)
    told(mflow.solve_ivp, f, (0, 28), start, method, checkpoint=tmp_path / "run", checkpoint_every=5, callback=lambda t, y: t > 15.0)
    for _ in range(2):  # from the middle, and from the end
        rest, said = told(mflow.solve_ivp, f, (0, 28), start, method, resume=tmp_path / "run", checkpoint=tmp_path / "run")
        assert rest.doubts == whole.doubts
        assert said
        assert np.array_equal(rest.y, whole.y)
        assert (rest.nfev, rest.ncheck) == (whole.nfev, whole.ncheck)


def decay_of_two(t: float, y: Any) -> Any:
    return np.array([-y[0], -50.0 * y[1]])


def chain_of_three(t: float, y: Any) -> Any:
    return np.array([-y[0], y[0] - 0.3 * y[1], 0.3 * y[1]])


def lorenz(t: float, y: Any) -> Any:
    return np.array([10.0 * (y[1] - y[0]), y[0] * (28.0 - y[2]) - y[1], y[0] * y[1] - 8.0 / 3.0 * y[2]])


COSTS: list[tuple[Any, float, list[float]]] = [
    (decay_of_two, 5.0, [1.0, 1.0]),
    (chain_of_three, 20.0, [1.0, 0.0, 0.0]),
    (lorenz, 10.0, [1.0, 1.0, 1.0]),
    (orbit, 20.0, [1.0, 0.0, 0.0, 1.0]),
    (prey, 30.0, [10.0, 5.0]),
]


@pytest.mark.filterwarnings("ignore:.*stable, not accurate")
@pytest.mark.parametrize("method", ["rk4", "dopri5"])
@pytest.mark.parametrize("case", range(len(COSTS)))
def test_looks_take_a_small_part_of_the_evaluations(case: int, method: str) -> None:
    """Of the first two 350 beside 578, and 216 beside 107. More only where the run is wrong at its end, and says so."""
    f, end, start = COSTS[case]
    with np.errstate(all="ignore"):  # steps that are taken again
        r = mflow.solve_ivp(f, (0, end), start, method, dt="auto")
    assert r.reason == "finished"
    again = 0.5 * r.nfev if (f, method) == (orbit, "dopri5") else 0.0  # half steps, which end elsewhere
    assert r.ncheck <= max(again, 0.3 * r.nfev if r.nfev > 300 else 60)


def test_errors_of_a_linear_oscillation_add_up() -> None:
    """euler takes 70 steps in each period of y'' = -y - y'/10, and is .65 from the solution; dopri5 takes 7 of y'' = -4 y, and is .011."""
    r, said = told(mflow.solve_ivp, lambda t, y: [y[1], -y[0] - 0.1 * y[1]], (0, 30), [1.0, 0.0], "euler")
    w = np.sqrt(1.0 - 0.05**2)
    exact = np.exp(-1.5) * np.array([np.cos(30.0 * w) + 0.05 / w * np.sin(30.0 * w), -np.sin(30.0 * w) / w])
    assert np.linalg.norm(r.y[:, -1] - exact) > 0.5
    assert len(said) == 1
    assert "the errors of all steps add up to about 1 of that oscillation" in r.doubts[0]
    r, said = told(mflow.solve_ivp, lambda t, y: [y[1], -4.0 * y[0]], (0, 30), [1.0, 0.0], "dopri5")
    assert not said
    assert abs(r.y[0, -1] - np.cos(60.0)) < 0.02


def test_a_saved_oscillation_has_a_frequency() -> None:
    """Words divide by it: a damaged file ended the run that went on from it by a ZeroDivisionError."""
    with pytest.raises(ValueError, match="looks: omega: expected a number above 0 beside drift"):
        _looks(asdict(Looks(dt=0.1, gap=1, drift=1.0)))


@pytest.mark.parametrize(("method", "rate"), [("dopri5", 50.0), ("rk4", 50.0)])
def test_a_long_orbit_is_looked_at_where_it_is_fast(method: str, rate: float) -> None:
    """Of eccentricity 0.8 and 0.9 errors are made beside the focus, a small part of the way: the body is .2 to .3 from its place."""
    e, end = (0.8, 20.0) if method == "dopri5" else (0.9, 20.0)
    start = [1.0 - e, 0.0, 0.0, np.sqrt((1.0 + e) / (1.0 - e)), 1.0]
    r, said = told(mflow.solve_ivp, lambda t, y: [*orbit(t, y[:4]), -rate * y[4]], (0, end), start, method)
    anomaly = end
    for _ in range(200):  # Newton's method for Kepler's equation
        anomaly -= (anomaly - e * np.sin(anomaly) - end) / (1.0 - e * np.cos(anomaly))
    exact = np.array([np.cos(anomaly) - e, np.sqrt(1.0 - e * e) * np.sin(anomaly)])
    assert np.linalg.norm(r.y[:2, -1] - exact) > 0.1
    assert len(said) == 1


@pytest.mark.parametrize("method", ["euler", "rk4"])
def test_what_f_raises_in_a_look_does_not_end_a_run(method: str) -> None:
    """Python's own 1/0: in looks ahead of the run it ended runs that never come there; where the run comes, it is raised."""

    def f(t: float, y: Any) -> Any:
        if t > 1.0:
            raise ZeroDivisionError
        return [-y[0] * (1.0 + 1.0 / (1.0 + abs(1.0 - t)))]

    r = mflow.solve_ivp(f, (0, 1), [1.0], method, dt="auto")
    assert r.reason == "finished"
    with pytest.raises(ZeroDivisionError) as caught:
        mflow.solve_ivp(f, (0, 3), [1.0], method, dt="auto")
    assert 0.0 < caught.value.partial_result.t[-2] <= 1.0  # type: ignore[attr-defined]
    asked: list[float] = []

    def near(t: float, y: Any) -> Any:
        if y[0] < 0.0:
            asked.append(t)
            raise ValueError("math domain error")
        return [-(y[0] ** 0.5)]

    r = mflow.solve_ivp(near, (0, 1), [1.0], method, dt="auto")
    assert r.reason == "finished"
