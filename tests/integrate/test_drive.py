"""The driver under error control and with dt="auto": what steers the steps, what is written down, and events through solve_ivp."""

import math
import threading
import time
from typing import Any

import mpmath
import numpy as np
import pytest
from mflow_core import registry

import mflow
from mflow.testproblems import get_problem
from support.oracles.reference import ulps
from support.oracles.tableaus import evaluations, rough_between
from support.problems import PROBLEMS, RHS_C, SHAPES, Array, decay, start_of, waves

EMBEDDED = [record.name for record in registry.records() if "embedded" in record.flags and "second_order" not in record.flags]
EXPLICIT = [
    record.name
    for record in registry.records()
    if record.kind == "step" and "linear" in record.flags and not {"implicit", "second_order"} & record.flags
]
REAL_ONLY = [name for name in EXPLICIT if mflow.stability_limit(name, axis="imaginary") == 0.0]


def circle(t: float, y: Array) -> Array:
    return np.array([y[1], -y[0]])


# ---- error control -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", EMBEDDED)
def test_the_error_follows_the_tolerance(method: str) -> None:
    for problem in PROBLEMS:
        errors = []
        for tol in (1e-3, 1e-5, 1e-7):
            r = mflow.solve_ivp(problem.fun, (0, problem.t_end), problem.y0, method, rtol=tol, atol=tol)
            assert r.reason == "finished"
            errors.append(float(np.max(np.abs(r.y[:, -1] - problem.exact(problem.t_end)))))
        assert errors[0] < 5e-2
        assert errors[2] < 1e-4
        assert errors[2] < errors[0]


@pytest.mark.parametrize("method", EMBEDDED)
def test_tolerances_of_each_component(method: str) -> None:
    """The second component hardly matters where its atol is large, and the vectors are what numbers repeated would be."""

    def fun(t: float, y: Array) -> Array:
        return np.array([-y[0], 400.0 * np.cos(400.0 * t)])

    both = mflow.solve_ivp(fun, (0, 1), [1.0, 0.0], method, rtol=1e-6, atol=1e-6)
    first = mflow.solve_ivp(fun, (0, 1), [1.0, 0.0], method, rtol=[1e-6, 1e-6], atol=[1e-6, 1e3])
    assert first.nsteps < both.nsteps
    assert abs(first.y[0, -1] - math.exp(-1)) < 1e-4
    for rtol, atol in (([1e-6, 1e-6], 1e-6), (1e-6, [1e-6, 1e-6]), (np.full(2, 1e-6), np.full(2, 1e-6))):
        r = mflow.solve_ivp(fun, (0, 1), [1.0, 0.0], method, rtol=rtol, atol=atol)
        assert (r.t.tobytes(), r.y.tobytes()) == (both.t.tobytes(), both.y.tobytes())
    infinite = mflow.solve_ivp(fun, (0, 1), [1.0, 0.0], method, rtol=1e-6, atol=[1e-6, math.inf])
    assert infinite.nsteps <= first.nsteps


@pytest.mark.parametrize("method", EMBEDDED)
def test_first_step_and_bounds(method: str) -> None:
    for sign in (1, -1):
        r = mflow.solve_ivp(circle, (1, 1 + sign * 9), [1.0, 0.0], method, first_step=0.01)
        assert r.t[1] == 1 + sign * 0.01
        r = mflow.solve_ivp(circle, (1, 1 + sign * 9), [1.0, 0.0], method, rtol=0.1, atol=0.1, max_step=0.125)
        assert np.max(np.abs(np.diff(r.t))) <= 0.125 * (1 + 1e-14)
        assert np.sum(np.abs(np.diff(r.t)) > 0.1249) > 10
        seen: list[tuple[float, float]] = []

        def bound(t: float, y: Array, seen: Any = seen) -> float:
            seen.append((t, 0.05 + 0.04 * float(y[0])))
            return seen[-1][1]

        r = mflow.solve_ivp(circle, (1, 1 + sign * 9), [1.0, 0.0], method, max_step=bound)
        bounds = dict(seen)
        assert list(bounds) == r.t[:-1].tolist()
        assert np.all(np.abs(np.diff(r.t)) <= np.array(list(bounds.values())) * (1 + 1e-12))
        assert r.y[0, -1] == pytest.approx(math.cos(9), abs=5e-3)
        low = 1e-3 if "multistep" in mflow.get_method(method).flags else 0.01  # its first steps are of first order
        least = mflow.solve_ivp(circle, (1, 1 + sign * 9), [1.0, 0.0], method, min_step=low, rtol=1e-4)
        assert np.min(np.abs(np.diff(least.t))[:-1]) >= low * (1 - 1e-12)
    with pytest.raises(ValueError, match=r"max_step\(t, y\) at t = 0: .*, got nan"):
        mflow.solve_ivp(circle, (0, 1), [1.0, 0.0], method, max_step=lambda t, y: math.nan)


def test_backwards_is_forwards_of_the_mirrored_problem() -> None:
    for method in EMBEDDED:
        back = mflow.solve_ivp(decay, (2, -1), [1.0, 3.0], method, rtol=1e-6, atol=1e-9, t_eval=[1.5, 0.0, -1.0])
        exact = np.exp(2 - np.array([1.5, 0.0, -1.0])) * np.array([[1.0], [3.0]])
        np.testing.assert_allclose(back.y[:, -1], exact[:, -1], rtol=2e-4)
        np.testing.assert_allclose(back.y, exact, rtol=1e-2 if rough_between(registry.find(method)) else 2e-4)
        out = mflow.solve_ivp(waves, (0, 2), start_of(3), method, rtol=1e-9, atol=1e-12)
        home = mflow.solve_ivp(waves, (2, 0), out.y[:, -1], method, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(home.y[:, -1], start_of(3), rtol=1e-4)


@pytest.mark.parametrize("method", EMBEDDED)
def test_evaluations_are_those_of_the_tableau(method: str) -> None:
    """Two for the first step, then stages: one fewer where the last slope is the next step's first. Looks where a component first passes
    0, and whether f depends on time, are counted apart."""
    record = next(record for record in registry.records() if record.name == method)
    calls = 0

    def fun(t: float, y: Array) -> Array:
        nonlocal calls
        calls += 1
        return circle(t, y)

    r = mflow.solve_ivp(fun, (0, 20), [1.0, 0.0], method, rtol=1e-5)
    assert r.nfev + r.ncheck == calls
    assert r.ncheck <= 4
    if {"implicit", "staged"} & set(record.flags):
        return
    tries = r.nsteps + r.nrejected
    assert r.nfev == evaluations(record, tries) + 1 + ("fsal" not in record.flags)


@pytest.mark.parametrize("method", EMBEDDED)
@pytest.mark.parametrize("shape", SHAPES)
def test_states_of_any_shape(method: str, shape: tuple[int, ...]) -> None:
    y0 = start_of(math.prod(shape)).reshape(shape)
    seen = set()

    def fun(t: float, y: Array) -> Array:
        seen.add(y.shape)
        return waves(t, y)

    r = mflow.solve_ivp(fun, (0, 1), y0, method, dense_output=True, t_eval=[0.0, 0.4, 1.0], events=lambda t, y: y.sum() - 0.1)
    flat = mflow.solve_ivp(waves, (0, 1), y0.ravel(), method, t_eval=[0.0, 0.4, 1.0])
    assert seen == {shape}
    assert r.y.shape == (*shape, 3)
    assert r.sol([0.1, 0.2]).shape == (*shape, 2)
    np.testing.assert_allclose(r.y.reshape(-1, 3), flat.y, rtol=1e-12, atol=1e-13)
    empty = mflow.solve_ivp(waves, (0, 1), np.empty((0, 2)), method, dense_output=True)
    assert (empty.reason, empty.y.shape[:2]) == ("finished", (0, 2))
    assert empty.sol(0.5).shape == (0, 2)
    for name in ("rtol", "atol"):
        assert mflow.solve_ivp(waves, (0, 1), np.empty((0, 2)), "dopri5", **{name: []}).reason == "finished"


# ---- what is written down --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [{"dt": 0.13}, {"rtol": 1e-5}])
def test_t_eval_is_sol_at_those_times(step_method: Any, mode: dict[str, Any]) -> None:
    if "rtol" in mode and "embedded" not in step_method.flags:
        return
    for span in ((0.0, 2.0), (2.0, 0.0)):
        times = np.linspace(*span, 23)
        plain = mflow.solve_ivp(waves, span, start_of(3), step_method.name, **mode)
        r = mflow.solve_ivp(waves, span, start_of(3), step_method.name, t_eval=times, dense_output=True, **mode)
        alone = mflow.solve_ivp(waves, span, start_of(3), step_method.name, t_eval=times, **mode)
        assert r.y.tobytes() == r.sol(times).tobytes() == alone.y.tobytes()
        assert r.t.tobytes() == times.tobytes()
        assert r.sol.ts.tobytes() == plain.t.tobytes()
        assert r.sol(plain.t).tobytes() == plain.y.tobytes()  # at the steps' ends the stored states
        assert r.nsteps == plain.nsteps


def test_order_of_the_continuous_extension(step_method: Any) -> None:
    """Inside the steps the error falls as that of the extension's degree says, and at least as h^3 where the method's own order allows."""
    steps = (0.1, 0.05) if "needs_rho" in step_method.flags else (0.2, 0.1)
    errors = []
    at = np.linspace(0.013, 1.9, 61)
    exact = np.exp(np.sin(at))
    for dt in steps:
        r = mflow.solve_ivp(lambda t, y: y * np.cos(t), (0, 2), [1.0], step_method.name, dt=dt, dense_output=True)
        errors.append(float(np.max(np.abs(r.sol(at)[0] - exact))))
    order = math.log2(errors[0] / errors[1])
    assert order > min(step_method.order, 3) - 0.35
    assert errors[1] < 0.1 * 0.5 ** (min(step_method.order, 4) * 2 - 3)


@pytest.mark.parametrize("method", EMBEDDED)
def test_save_every_and_last_keep_what_they_say(method: str) -> None:
    every = mflow.solve_ivp(circle, (0, 20), [1.0, 0.0], method)
    hits = lambda t, y: y[0]  # noqa: E731
    for more in ({}, {"dense_output": True}, {"events": hits}, {"dense_output": True, "events": hits}):
        last = mflow.solve_ivp(circle, (0, 20), [1.0, 0.0], method, save="last", **more)
        assert last.t.tolist() == [20.0]
        assert last.y.tobytes() == every.y[:, -1:].tobytes()
        third = mflow.solve_ivp(circle, (0, 20), [1.0, 0.0], method, save_every=3, **more)
        keep = sorted({*range(0, len(every.t), 3), len(every.t) - 1})
        assert third.t.tobytes() == every.t[keep].tobytes()
        assert third.y.tobytes() == np.ascontiguousarray(every.y[:, keep]).tobytes()
        if "dense_output" in more:
            assert last.sol.ts.tobytes() == third.sol.ts.tobytes() == every.t.tobytes()
        if "events" in more:
            np.testing.assert_allclose(last.t_events[0], (np.arange(6) + 0.5) * math.pi, atol=0.1)


# ---- dt="auto" -------------------------------------------------------------------------------------------------------------------------

RATES = np.array([1.0, 3.0, 50.0, 400.0])


@pytest.mark.parametrize("method", EXPLICIT)
def test_auto_steps_on_a_stiff_diagonal(method: str) -> None:
    r = mflow.solve_ivp(lambda t, y: -RATES * (y - np.cos(t)), (0, 2), np.full(4, 2.0), method, dt="auto")
    assert r.reason == "finished"
    limit = mflow.max_stable_dt(method, curvature=400.0) if "staged" not in mflow.get_method(method).flags else math.inf
    assert np.max(np.diff(r.t)) <= limit
    assert np.max(np.abs(r.y)) <= 2.0
    if math.isfinite(limit):  # where stages are chosen too, a transient is damped, but slowly
        assert r.y[3, -1] == pytest.approx(math.cos(2.0), abs=0.02)
        assert np.median(np.diff(r.t)) >= 0.8 * limit


@pytest.mark.parametrize("method", EXPLICIT)
def test_auto_steps_on_gradient_flow(method: str) -> None:
    rng = np.random.default_rng(1)
    Q, _ = np.linalg.qr(rng.normal(size=(40, 40)))
    A = Q @ np.diag(np.linspace(0.5, 900.0, 40)) @ Q.T
    r = mflow.gradient_flow(lambda c: A @ c, np.ones(40), 5.0, method, dt="auto")
    assert r.reason == "finished"
    norms = np.linalg.norm(r.y, axis=0)
    assert norms[-1] < 0.1 * norms[0]
    assert np.all(norms[1:] <= norms[:-1] * (1 + 1e-9))


@pytest.mark.filterwarnings("ignore:.*stable, not accurate")
@pytest.mark.parametrize("method", EXPLICIT)
def test_auto_steps_on_an_oscillation(method: str) -> None:
    if method in REAL_ONLY or mflow.get_method(method).order < 3:
        return
    r = mflow.solve_ivp(lambda t, y: np.array([y[1], -400.0 * y[0]]), (0, 5), [1.0, 0.0], method, dt="auto")
    assert r.reason == "finished"
    assert np.max(np.abs(r.y[0])) <= 1.001


def test_auto_says_where_no_step_is_stable() -> None:
    assert "euler" in REAL_ONLY
    with pytest.raises(ValueError, match=r'dt = "auto": euler has no stable step .*a stable step is not yet an accurate one'):
        mflow.solve_ivp(circle, (0, 5), [1.0, 0.0], "euler", dt="auto")
    with pytest.raises(ValueError, match='dt = "auto" follows the stability limit of an explicit method, and esdirk43 has none'):
        mflow.solve_ivp(circle, (0, 5), [1.0, 0.0], "esdirk43", dt="auto")
    noise = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"measures the Jacobian along the way, and at t = 0 differences of two lengths disagree"):
        mflow.solve_ivp(lambda t, y: noise.normal(size=20), (0, 1), np.zeros(20), "rk4", dt="auto")
    with pytest.raises(ValueError, match="give one of them"):
        mflow.solve_ivp(circle, (0, 5), [1.0, 0.0], "rk4", dt="auto", rtol=1e-3)


def test_auto_follows_a_curvature_that_changes() -> None:
    """y' = -(1 + 500 t^2)(y - cos t): the step shrinks as the problem stiffens, and nothing blows up."""
    r = mflow.solve_ivp(lambda t, y: -(1 + 500 * t * t) * (y - np.cos(t)), (0, 3), [1.0], "rk4", dt="auto")
    assert r.reason == "finished"
    assert r.y[0, -1] == pytest.approx(math.cos(3), abs=1e-2)
    steps = np.diff(r.t)
    assert 0.05 < steps[0] < 0.3 * 1.35  # what the start allows, or half of it where the curvature outgrows that within the step
    assert steps[-2] < 3 / 4500


@pytest.mark.parametrize("mode", [{"dt": 0.05}, {"rtol": 1e-4, "atol": 1e-6}, {"dt": "auto"}, {}])
def test_chebyshev_on_diffusion(mode: dict[str, Any]) -> None:
    n = 60
    A = (n + 1) ** 2 * (np.eye(n, k=1) - 2 * np.eye(n) + np.eye(n, k=-1))
    x = np.arange(1, n + 1) / (n + 1)
    y0 = np.sin(math.pi * x) + 0.3 * np.sin(5 * math.pi * x)
    r = mflow.solve_ivp(lambda t, y: A @ y, (0, 0.2), y0, "rkc2", **mode)
    assert r.reason == "finished"
    rate = 4 * (n + 1) ** 2 * math.sin(math.pi / (2 * (n + 1))) ** 2
    np.testing.assert_allclose(r.y[:, -1], math.exp(-0.2 * rate) * np.sin(math.pi * x), atol=0.03 if "dt" in mode else 3e-3)
    if mode.get("dt") == 0.05:
        assert r.nsteps == 4  # far beyond the 1.3e-4 that Euler's method could take


def test_chebyshev_sees_the_error_of_a_quadrature() -> None:
    """Two stages are Heun's method, for which the estimate of an integral of f(t) is 0: error control takes three or more."""
    r = mflow.solve_ivp(lambda t, y: np.array([40.0 * np.cos(40.0 * t)]), (0, 3), [0.0], "rkc2", rtol=1e-4, atol=1e-4)
    assert abs(r.y[0, -1] - math.sin(120.0)) < 1e-2
    for call in (mflow.solve_ivp, lambda f, span, y, m, **more: mflow.Stepper(m, f, y, rtol=1e-3, **more)):
        with pytest.raises(ValueError, match="stages: the error estimate of rkc2 needs 3 or more"):
            call(decay, (0, 1), [1.0], "rkc2", stages=2)


@pytest.mark.parametrize("tol", [1e-3, 1e-5])
def test_chebyshev_on_robertson_from_its_start(tol: float) -> None:
    """At the start the Jacobian changes over the length of a difference; the measurement must not take that for noise."""
    problem = get_problem("robertson")
    r = mflow.solve_ivp(problem.fun, (0, 4), problem.y0, "rkc2", rtol=tol, atol=tol * 1e-4)
    assert r.reason == "finished", r.message
    exact = mflow.solve_ivp(problem.fun, (0, 4), problem.y0, "esdirk43", rtol=1e-10, atol=1e-14, jac=problem.jac).y[:, -1]
    assert np.max(np.abs(r.y[:, -1] - exact)) < 20 * tol


@pytest.mark.parametrize("word", ["dt", "lr"])
@pytest.mark.parametrize("method", EXPLICIT)
def test_minimize_with_steps_of_its_own(method: str, word: str) -> None:
    scales = np.array([1.0, 20.0, 300.0])
    res = mflow.minimize(
        lambda x: (float(0.5 * x @ (scales * x)), scales * x), np.ones(3), jac=True, method=method, gtol=1e-6, **{word: "auto"}
    )
    assert res.reason == "converged", res.message
    assert res.nit < 12_000
    assert np.max(np.abs(res.x)) < 1e-5


# ---- events ------------------------------------------------------------------------------------------------------------------------------


def rising(t: float, y: Array) -> Array:
    return np.ones(1)


MODES: list[dict[str, Any]] = [
    {"method": "rk4", "dt": 1.0},
    {"method": "dopri5", "first_step": 3.0},
    {"method": "esdirk43", "first_step": 3.0},
]


@pytest.mark.parametrize("mode", MODES, ids=lambda m: m["method"])
def test_three_roots_of_a_cubic_in_one_step(mode: dict[str, Any]) -> None:
    roots = [0.31, 0.52, 0.83]

    def cubic(t: float, y: Array) -> float:
        return float((y[0] - roots[0]) * (y[0] - roots[1]) * (y[0] - roots[2]))

    r = mflow.solve_ivp(rising, (0, 3), [0.0], events=cubic, **mode)
    assert len(r.t_events[0]) == 3
    np.testing.assert_allclose(r.t_events[0], roots, rtol=1e-14)
    np.testing.assert_allclose(r.y_events[0][:, 0], roots, rtol=1e-14)
    for direction, want in ((1, [roots[0], roots[2]]), (-1, [roots[1]])):
        event = mflow.Event(cubic, direction=direction)
        np.testing.assert_allclose(mflow.solve_ivp(rising, (0, 3), [0.0], events=event, **mode).t_events[0], want, rtol=1e-14)
    for count in (1, 2, 3):
        event = mflow.Event(cubic, terminal=count)
        stop = mflow.solve_ivp(rising, (0, 3), [0.0], events=[event, lambda t, y: y[0] - 0.2], dense_output=True, **mode)
        assert (stop.reason, stop.status, stop.success) == ("event", 1, True)
        assert stop.t[-1] == stop.t_events[0][-1] == pytest.approx(roots[count - 1], rel=1e-14)
        assert stop.y[0, -1] == stop.y_events[0][-1, 0]
        assert len(stop.t_events[0]) == count
        assert len(stop.t_events[1]) == 1
        assert "event 0" in stop.message


def test_located_to_4_ulp_against_mpmath() -> None:
    """y = t^3/3 is in the extension of an order 4 method exactly but for rounding: the roots of y - c are (3c)^(1/3)."""
    for c in (0.1, 0.7, 2.0, 9.0):
        r = mflow.solve_ivp(lambda t, y: np.array([t * t]), (0, 4), [0.0], "rk4", dt=0.5, events=lambda t, y, c=c: t**3 / 3 - c)
        with mpmath.workdps(40):
            exact = mpmath.cbrt(3 * mpmath.mpf(c))
            assert ulps(float(r.t_events[0][0]), exact) <= 4


def test_events_in_every_method(step_method: Any) -> None:
    """cos t through 0: every method that is accurate finds the crossings where they are, counts and directions included."""
    events = [mflow.Event(lambda t, y: y[0], direction=d) for d in (0.0, 1.0, -1.0)]
    ways: list[dict[str, Any]] = [{"dt": 0.02}] + ([{"rtol": 1e-8, "atol": 1e-8}] if "embedded" in step_method.flags else [])
    for mode in ways:
        for sign in (1, -1):
            r = mflow.solve_ivp(circle, (0, sign * 10), [1.0, 0.0], step_method.name, events=events, **mode)
            tolerance = 0.6 if step_method.order == 1 else 0.02
            np.testing.assert_allclose(r.t_events[0], sign * math.pi * np.array([0.5, 1.5, 2.5]), atol=tolerance)
            assert r.t_events[0].tolist() == sorted([*r.t_events[1], *r.t_events[2]], key=abs)
            assert (len(r.t_events[1]), len(r.t_events[2])) == (1, 2)
            path = mflow.solve_ivp(circle, (0, sign * 10), [1.0, 0.0], step_method.name, dense_output=True, **mode).sol
            np.testing.assert_allclose(r.y_events[0], [path(t) for t in r.t_events[0]], atol=1e-12)


def test_a_terminal_event_cuts_the_output(step_method: Any) -> None:
    event = mflow.Event(lambda t, y: y[0] - 0.5, terminal=True)
    ways: list[dict[str, Any]] = [{"dt": 0.3}] + ([{"rtol": 1e-7}] if "embedded" in step_method.flags else [])
    for mode in ways:
        r = mflow.solve_ivp(decay, (0, 5), [1.0], step_method.name, events=event, dense_output=True, **mode)
        end = r.t[-1]
        assert r.reason == "event"
        assert (r.sol.t_max, r.sol(end)[0]) == (end, r.y[0, -1])
        whole = mflow.solve_ivp(decay, (0, 5), [1.0], step_method.name, dense_output=True, **mode)
        at = np.linspace(0, end, 37)
        np.testing.assert_allclose(r.sol(at), whole.sol(at), rtol=1e-13)
        times = np.array([0.0, 0.2, 0.5, 3.0])
        cut = mflow.solve_ivp(decay, (0, 5), [1.0], step_method.name, events=event, t_eval=times, **mode)
        assert cut.t.tolist() == [0.0, 0.2, 0.5]
        np.testing.assert_allclose(cut.y, whole.sol(cut.t), rtol=1e-13)
        assert cut.t_events[0][0] == end


def test_a_restart_from_the_event_does_not_fire_again(step_method: Any) -> None:
    event = mflow.Event(lambda t, y: math.cos(t) * y[0] - 0.3, terminal=True)
    ways: list[dict[str, Any]] = [{"dt": 0.07}] + ([{"rtol": 1e-6}] if "embedded" in step_method.flags else [])
    for mode in ways:
        whole = mflow.solve_ivp(lambda t, y: 0.0 * y, (0, 20), [1.0], step_method.name, events=event.fun, **mode)
        t, y, times = 0.0, [1.0], []
        while True:
            r = mflow.solve_ivp(lambda t, y: 0.0 * y, (t, 20), y, step_method.name, events=event, **mode)
            if r.reason != "event":
                break
            assert r.t[-1] > t
            t, y = r.t[-1], r.y[:, -1]
            times.append(t)
        np.testing.assert_allclose(times, whole.t_events[0], rtol=1e-12)
        assert len(times) == 6


def test_an_event_at_exactly_the_end(step_method: Any) -> None:
    def end(t: float, y: Array) -> float:
        return t - 1.0

    ways: list[dict[str, Any]] = [{"dt": 0.25}] + ([{"rtol": 1e-4}] if "embedded" in step_method.flags else [])
    for mode in ways:
        r = mflow.solve_ivp(decay, (0, 1), [1.0], step_method.name, events=end, **mode)
        assert (r.reason, r.t_events[0].tolist(), r.y_events[0].tolist()) == ("finished", [1.0], [[r.y[0, -1]]])
        for terminal, reason in ((1, "event"), (2, "finished")):
            r = mflow.solve_ivp(decay, (0, 1), [1.0], step_method.name, events=mflow.Event(end, terminal=terminal), **mode)
            assert (r.reason, r.t[-1], len(r.t_events[0])) == (reason, 1.0, 1)
        r = mflow.solve_ivp(decay, (0, 1), [1.0], step_method.name, events=mflow.Event(end, direction=-1), **mode)
        assert len(r.t_events[0]) == 0
        start = mflow.solve_ivp(decay, (1, 2), [1.0], step_method.name, events=end, **mode)
        assert len(start.t_events[0]) == 0  # a zero at the start is none


def test_many_events_over_many_pieces() -> None:
    """More than the core's buffers hold: they are collected between the pieces of the loop."""
    y0 = np.full(40, 1.0)
    r = mflow.solve_ivp(lambda t, y: np.cos(t) * np.ones(40), (0, 4000), y0, "rk4", dt=0.5, events=lambda t, y: math.cos(t), save="last")
    want = (np.arange(len(r.t_events[0])) + 0.5) * math.pi
    assert len(want) == 1273
    np.testing.assert_allclose(r.t_events[0], want, rtol=1e-14)


def compiled_event() -> Any:
    numba = pytest.importorskip("numba")
    double_p = numba.types.CPointer(numba.types.float64)

    @numba.cfunc(numba.types.int32(numba.types.float64, double_p, double_p, numba.types.intp, numba.types.voidptr))
    def crossing(t, y, g, n, ctx):  # type: ignore[no-untyped-def]
        g[0] = y[0]
        return 0

    return crossing


def compiled_circle() -> Any:
    numba = pytest.importorskip("numba")
    double_p = numba.types.CPointer(numba.types.float64)

    @numba.cfunc(numba.types.int32(numba.types.float64, double_p, double_p, numba.types.intp, numba.types.voidptr))
    def fun(t, y, dydt, n, ctx):  # type: ignore[no-untyped-def]
        dydt[0] = y[1]
        dydt[1] = -y[0]
        return 0

    return fun


def test_compiled_events_are_python_events() -> None:
    fun, event = compiled_circle(), compiled_event()
    pointers = RHS_C(lambda t, y, g, n, ctx: (g.__setitem__(0, y[0]), 0)[1])
    for mode in ({"method": "tsit5", "rtol": 1e-7}, {"method": "rk4", "dt": 0.1}):
        want = mflow.solve_ivp(circle, (0, 20), [1.0, 0.0], events=lambda t, y: y[0], **mode)
        for one in (event, pointers, mflow.Event(event)):
            r = mflow.solve_ivp(fun, (0, 20), [1.0, 0.0], events=one, **mode)
            assert r.t_events[0].tobytes() == want.t_events[0].tobytes()
            assert r.y_events[0].tobytes() == want.y_events[0].tobytes()
        stop = mflow.solve_ivp(fun, (0, 20), [1.0, 0.0], events=mflow.Event(event, terminal=3), **mode)
        assert stop.t[-1] == want.t_events[0][2]


def test_compiled_runs_with_events_let_other_threads_go() -> None:
    fun, event = compiled_circle(), compiled_event()
    done = threading.Event()
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    began = time.perf_counter()
    mflow.solve_ivp(fun, (0, 3000), [1.0, 0.0], "rk4", dt=0.002, events=event, save="last")
    took = time.perf_counter() - began
    done.set()
    thread.join()
    assert ticks > 0.2 * took / 0.0012  # with the GIL held it would tick once a piece, every 20 ms


# ---- what does not fit -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"rtol": 0.0}, ValueError, r"rtol: .*, got 0\.0"),
        ({"rtol": -1e-3}, ValueError, r"rtol: .*, got -0\.001"),
        ({"rtol": 1e-16}, ValueError, "rtol: .*100 eps.*, got 1e-16"),
        ({"rtol": [1e-3, 0.0]}, ValueError, r"rtol\[1\]: .*, got 0\.0"),
        ({"rtol": math.nan}, ValueError, "rtol: .*, got nan"),
        ({"rtol": "x"}, TypeError, "rtol: .*, got 'x'"),
        ({"rtol": [1e-3] * 3}, ValueError, r"rtol: .* shape \(2,\), got shape \(3,\)"),
        ({"atol": -1.0}, ValueError, r"atol: .*, got -1\.0"),
        ({"atol": math.inf}, ValueError, "atol: .*, got infinities alone"),
        ({"atol": [[1e-3, 1e-3, 1e-3]]}, ValueError, "atol: expected one number, .*, got shape"),
        ({"first_step": 0.0}, ValueError, r"first_step: .*, got 0\.0"),
        ({"first_step": 2.0}, ValueError, r"first_step: expected a step inside t_span .*, got 2\.0"),
        ({"max_step": 0.0}, ValueError, r"max_step: .*, got 0\.0"),
        ({"max_step": "x"}, TypeError, "max_step: .*, got 'x'"),
        ({"min_step": -1.0}, ValueError, r"min_step: .*, got -1\.0"),
        ({"min_step": 0.5, "max_step": 0.1}, ValueError, "min_step: expected a step of at most max_step = 0.1, got 0.5"),
        ({"max_steps": 0}, ValueError, "max_steps: .*, got 0"),
        ({"max_steps": 1.5}, ValueError, r"max_steps: .*, got 1\.5"),
        ({"method": "rk4", "rtol": 1e-3}, ValueError, "rk4 has no error estimate"),
        ({"dt": 0.1, "rtol": 1e-3}, ValueError, "give one of them"),
        ({"dt": 0.1, "max_step": 0.1}, ValueError, "belong to error control"),
        ({"t_eval": [0.0, 1.5]}, ValueError, r"t_eval: .*, got 1\.5 in entry 1"),
        ({"t_eval": [0.5, 0.1]}, ValueError, "t_eval: expected times sorted"),
        ({"t_eval": [0.5], "save_every": 2}, ValueError, "give one of them"),
        ({"events": 3}, TypeError, "events: expected a callable"),
        ({"events": [decay, "x"]}, TypeError, r"events\[1\]: expected a callable"),
        ({"events": mflow.Event(decay, terminal=-1)}, ValueError, "events.terminal: .*, got -1"),
        ({"events": mflow.Event(decay, samples=0)}, ValueError, "events.samples: .*, got 0"),
        ({"events": mflow.Event(decay, direction=math.nan)}, ValueError, "events.direction: .*, got nan"),
        ({"events": lambda t, y: y}, TypeError, "expected a single real number from an event, got ndarray of shape"),
        ({"events": lambda t, y: True}, TypeError, "expected a real number, got a bool"),
        ({"method": "adam"}, ValueError, "adam is no integrator"),
        ({"y0": [1.0, math.inf]}, ValueError, "y0: .*, got inf in entry 1"),
        ({"t_span": (0, math.nan)}, ValueError, r"t_span\[1\]: .*, got nan"),
        ({"rtl": 1e-3}, TypeError, "rtl"),
        ({"fun": lambda t, y: y[:1]}, ValueError, r"fun: expected a return value of shape \(2,\), as the state has, got shape \(1,\)"),
    ],
)
def test_arguments_that_do_not_fit(change: dict[str, Any], kind: type[Exception], words: str) -> None:
    good: dict[str, Any] = {"fun": decay, "t_span": (0, 1), "y0": [1.0, 2.0]}
    with pytest.raises(kind, match=words):
        mflow.solve_ivp(**{**good, **change})
