"""Fixed explicit steps past a stability limit that falls with time: what the steps make grow is told of, however long looks at what forces
the problem have found nothing. Limits are those of the methods' polynomials on the negative real axis, over the rates written out here;
solutions are SciPy's at tight tolerances, or closed forms.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import mflow
from support.problems import Array

SAID = "exceeds the stability limit"
LIMITS = {"euler": 2.0, "rk2": 2.0, "rk4": 2.785293563405282, "tvd_rk3": 2.512745326618332, "dopri5": 3.306567892634947}
RATES: dict[str, Callable[[float], float]] = {
    "rises": lambda t: 10.0 * t,
    "periodic": lambda t: 1.0 + 50.0 * math.sin(t) ** 2,
    "of days": lambda t: 60.0 * max(0.0, math.sin(t)) + 0.1,
    "pulse": lambda t: 201.0 if 2.0 < t < 4.0 else 1.0,
    "jumps": lambda t: 1.0 if t < 5.0 else 60.0,
    "passes": lambda t: 1.0 + 300.0 * math.exp(-((t - 5.0) ** 2)),
}


def told(call: Any) -> tuple[Any, list[str]]:
    with warnings.catch_warnings(record=True) as seen, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        r = call()
    return r, [str(w.message) for w in seen]


def forced(rate: Callable[[float], float], n: int = 1) -> Callable[[float, Array], Array]:
    return lambda t, y: -rate(t) * (y - math.sin(t) * np.ones(n))


@pytest.mark.parametrize("method", LIMITS)
@pytest.mark.parametrize("name", RATES)
def test_what_steps_make_grow_is_told_of(name: str, method: str) -> None:
    """The solution stays within 1 of 0, and steps of five thirds of the limit and more at the largest rate lead far away."""
    rate = RATES[name]
    h = LIMITS[method] / ((0.45 if method == "euler" else 0.6) * max(rate(t) for t in np.linspace(0, 9, 901)))
    r, seen = told(lambda: mflow.solve_ivp(forced(rate), (0, 9), [0.0], method, dt=h))
    assert r.reason == "finished"
    assert np.max(np.abs(r.y)) > 4.0
    assert SAID in r.message
    assert len(r.doubts) == 1
    assert r.doubts[0] in r.message
    assert len(seen) == 1
    near, limit = (float(r.message.split(words)[1].split(" ")[0]) for words in ("near t = ", "which is about "))
    assert limit < h
    around = [LIMITS[method] / rate(near + part * h) for part in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert min(around) * 0.99 < limit < max(around) * 1.01
    assert r.ncheck < 1200


@pytest.mark.parametrize("method", ["euler", "rk4"])
@pytest.mark.parametrize("name", RATES)
def test_within_the_limit_nothing_is_said(name: str, method: str) -> None:
    rate = RATES[name]
    h = 0.8 * LIMITS[method] / max(rate(t) for t in np.linspace(0, 9, 901))
    r, seen = told(lambda: mflow.solve_ivp(forced(rate), (0, 9), [0.0], method, dt=h))
    assert np.max(np.abs(r.y)) < 1.6
    assert not seen
    assert r.doubts == ()
    assert r.ncheck < 0.4 * r.nfev + 60


@pytest.mark.parametrize("n", [1, 2, 5])
def test_backwards_as_forwards(n: int) -> None:
    def backwards(t: float, y: Array) -> Array:
        return RATES["rises"](-t) * (y - math.sin(t) * np.ones(n))

    ahead, _ = told(lambda: mflow.solve_ivp(forced(RATES["rises"], n), (0, 9), np.zeros(n), "rk4", dt=0.1))
    back, seen = told(lambda: mflow.solve_ivp(backwards, (0, -9), np.zeros(n), "rk4", dt=0.1))
    assert np.array_equal(np.abs(back.y), np.abs(ahead.y))
    assert len(seen) == 1
    assert back.message.split("which is")[1] == ahead.message.split("which is")[1]


def test_a_constant_rate_backwards() -> None:
    r, seen = told(lambda: mflow.solve_ivp(lambda t, y: 100.0 * np.tanh(y), (0, -3), [1.0], "euler", dt=0.03))
    assert abs(r.y[0, -1]) > 0.5  # 0 is where it should be
    assert len(seen) == 1
    assert "which is about 0.02" in r.message


def test_a_run_that_overflows_says_where_it_passed_the_limit() -> None:
    r, seen = told(lambda: mflow.solve_ivp(forced(RATES["rises"]), (0, 40), [0.0], "euler", dt=0.1))
    assert r.reason == "non_finite"
    assert r.message.count(SAID) == 1
    assert "may have grown" not in r.message
    near, limit = (float(r.message.split(words)[1].split(" ")[0]) for words in ("near t = ", "which is about "))
    assert limit == pytest.approx(0.2 / near, rel=0.03)
    assert r.doubts == ()
    assert not seen


def test_a_fast_component_beside_a_slow_one() -> None:
    """The fast one feeds the slow one, or does not: either is told of."""
    for feeds in (0.0, 1.0):
        r, seen = told(
            lambda feeds=feeds: mflow.solve_ivp(
                lambda t, y: np.array([-(3.0 + 2.0 * math.cos(t)) * 40.0 * (y[0] - math.sin(t)), feeds * y[0] - y[1]]),
                (0, 6), [0.0, 1.0], "rk4", dt=0.02,
            )
        )  # fmt: skip
        assert np.max(np.abs(r.y)) > 100.0
        assert SAID in r.message
        assert len(seen) == 1


def test_the_other_doors() -> None:
    from mflow.scipy import RK4

    fun, h = forced(RATES["periodic"]), 0.09
    batch, seen = told(lambda: mflow.solve_ivp_batch(fun, (0, 9), [[0.0], [1.0]], "rk4", dt=h))
    assert SAID in batch.messages[0]
    assert SAID in batch.messages[1]
    assert all(SAID in batch.doubts[k][0] for k in (0, 1))
    assert seen
    st = mflow.Stepper("rk4", fun, [0.0])
    _, seen = told(lambda: st.advance(100, dt=h))
    assert [SAID in text for text in seen] == [True]
    _, seen = told(lambda: solve_ivp(fun, (0, 9), [0.0], method=RK4, dt=h))
    assert [SAID in text for text in seen] == [True]
    _, seen = told(lambda: mflow.solve_ivp(fun, (0, 9), [0.0], "rk4", dt=lambda k, t, y: h))
    assert [SAID in text for text in seen] == [True]
    _, seen = told(lambda: mflow.solve_ivp(fun, (0, 9), [0.0], "rk4", dt=h, breaks=[4.0]))
    assert [SAID in text for text in seen] == [True]


def test_a_run_that_is_resumed_says_the_same(tmp_path: Path) -> None:
    fun, path = forced(RATES["rises"]), tmp_path / "run"
    whole, _ = told(lambda: mflow.solve_ivp(fun, (0, 9), [0.0], "rk4", dt=0.1))
    assert SAID in whole.message
    for steps in (1, 3, 18, 40, 45, 89):
        more = {"method": "rk4", "dt": 0.1, "checkpoint": path, "checkpoint_every": 1}
        told(lambda steps=steps, more=more: mflow.solve_ivp(fun, (0, 9), [0.0], max_steps=steps, **more))
        rest, _ = told(lambda: mflow.solve_ivp(fun, (0, 9), [0.0], method="rk4", dt=0.1, resume=path))
        assert np.array_equal(rest.y, whole.y)
        assert (rest.message, rest.ncheck, rest.nfev, rest.doubts) == (whole.message, whole.ncheck, whole.nfev, whole.doubts)


@pytest.mark.parametrize(
    ("fun", "end", "start", "right"),
    [
        (lambda t, y: t * y, 11.0, [1.0], [math.exp(60.5)]),
        (lambda t, y: (1.0 + 3.0 * math.cos(t)) * y, 30.0, [1.0], [math.exp(30.0 + 3.0 * math.sin(30.0))]),
        (lambda t, y: [y[1], math.cos(t) - y[0]], 100.0, [0.0, 0.0],
         [50.0 * math.sin(100.0), 0.5 * math.sin(100.0) + 50.0 * math.cos(100.0)]),
        (lambda t, y: [0.3 * y[0] - 3.0 * y[1], 3.0 * y[0] + 0.3 * y[1]], 50.0, [1.0, 0.0],
         [math.exp(15.0) * math.cos(150.0), math.exp(15.0) * math.sin(150.0)]),
    ],
    ids=["t y", "(1 + 3 cos t) y", "resonance", "spiral"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["rk4", "tvd_rk3", "dopri5"])
def test_growth_of_the_solution_is_not_accused(method: str, fun: Any, end: float, start: list[float], right: list[float]) -> None:
    r, seen = told(lambda: mflow.solve_ivp(fun, (0, end), start, method, dt=0.01))
    assert np.linalg.norm(r.y[:, -1] - right) < 1e-2 * np.linalg.norm(right)
    assert not seen
    assert r.doubts == ()
    assert r.ncheck < 200


@pytest.mark.parametrize("dt", [0.0355, 0.037, 0.03734, 0.0385])
def test_modes_that_grow_slowly_on_a_saturating_front(dt: float) -> None:
    """Allen and Cahn: the fastest modes grow by a few percent a step, and only late is the state elsewhere."""
    n = 40
    L = (np.diag(-2.0 * np.ones(n)) + np.diag(np.ones(n - 1), 1) + np.diag(np.ones(n - 1), -1)) * n**2
    L[0, 1] = L[-1, -2] = 2.0 * n**2
    start = 0.1 * np.cos(9.0 * np.linspace(0, 1, n))

    def front(t: float, u: Array) -> Array:
        return 0.01 * (L @ u) + 10.0 * (u - u**3)

    right = solve_ivp(front, (0, 3), start, "Radau", rtol=1e-8, atol=1e-10).y[:, -1]
    limit = LIMITS["rk4"] / np.max(np.abs(np.linalg.eigvals(0.01 * L + 10.0 * np.diag(1.0 - 3.0 * right**2))))
    assert limit < dt < 1.2 * limit
    r, seen = told(lambda: mflow.solve_ivp(front, (0, 3), start, "rk4", dt=dt))
    assert np.max(np.abs(r.y[:, -1] - right)) > 0.03
    assert len(seen) == 1
    assert SAID in r.message
    r, seen = told(lambda: mflow.solve_ivp(front, (0, 3), start, "rk4", dt=0.9 * limit))
    assert np.max(np.abs(r.y[:, -1] - right)) < 1e-3
    assert not seen
