"""Supports that move and degrees of freedom without mass: against closed forms, and against the same structure written otherwise."""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from scipy.integrate import solve_ivp

import mflow

Array = np.ndarray
K = np.array([[2.0, -1.0, 0.0, 0.0], [-1.0, 3.0, -2.0, 0.0], [0.0, -2.0, 5.0, -3.0], [0.0, 0.0, -3.0, 4.0]])
M = np.array([[2.0, 0.5, 0.0, 0.0], [0.5, 1.0, 0.25, 0.0], [0.0, 0.25, 1.5, 0.5], [0.0, 0.0, 0.5, 1.0]])
C = 0.1 * K + 0.2 * M


def left(t: Any) -> Any:
    return 0.3 * np.sin(1.3 * t)


def right(t: Any) -> Any:
    return 0.2 - 0.1 * np.cos(2.0 * t)


@pytest.mark.parametrize("method", ["yoshida4", "yoshida8"])
def test_parts_of_a_step_beside_the_run_follow_the_ends_of_a_table(method: str) -> None:
    t = np.linspace(0.0, 3.0, 61)
    body: dict[str, Any] = {"mass": np.eye(2), "stiffness": [[30.0, -10.0], [-10.0, 20.0]], "t_span": (0, 3), "x0": [0.1, 0.0]}
    table = mflow.solve_dynamics(**body, method=method, dt=0.02, fixed={1: (t, left(t))})
    motion = mflow.solve_dynamics(**body, method=method, dt=0.02, fixed={1: left})
    assert table.success
    assert np.max(np.abs(table.x - motion.x)) < 1e-6


@functools.cache
def exact(*t: float) -> Array:
    """x of degrees 1 and 2, where 0 and 3 are driven, by SciPy."""
    free, held = [1, 2], [0, 3]
    m, c, k = (A[np.ix_(free, free)] for A in (M, C, K))

    def slope(t: float, y: Array) -> Array:
        u = np.array([left(t), right(t)])
        du = np.array([0.39 * math.cos(1.3 * t), 0.2 * math.sin(2 * t)])
        ddu = np.array([-0.507 * math.sin(1.3 * t), 0.4 * math.cos(2 * t)])
        pull = sum(A[np.ix_(free, held)] @ w for A, w in ((K, u), (C, du), (M, ddu)))
        return np.concatenate([y[2:], np.linalg.solve(m, [math.sin(t), 0.5] - pull - c @ y[2:] - k @ y[:2])])

    return solve_ivp(slope, (0, t[-1]), [0.1, 0, 0, 0.2], "DOP853", t_eval=t, rtol=1e-12, atol=1e-13).y[:2]


TIMES = np.linspace(0, 4, 321)
MOTIONS = {
    "functions": {0: left, 3: right},
    "functions with derivatives": {0: lambda t: (left(t), 0.39 * np.cos(1.3 * t), -0.507 * np.sin(1.3 * t)), 3: right},
    "tables": {0: (TIMES, left(TIMES)), -1: (TIMES, right(TIMES))},
    "one function of two": {(0, 3): lambda t: [left(t), right(t)]},
}


@pytest.mark.parametrize("fixed", MOTIONS.values(), ids=MOTIONS)
@pytest.mark.parametrize("kind", ["matrices", "sparse", "force", "load table"])
def test_driven_ends(fixed: dict[Any, Any], kind: str) -> None:
    t = np.linspace(0, 2, 21)
    call: dict[str, Any] = {"mass": M, "damping": C, "stiffness": K, "load": lambda t: [0.0, math.sin(t), 0.5, 0.0]}
    if kind == "sparse":
        call |= {name: scipy.sparse.csr_array(call[name]) for name in ("mass", "damping", "stiffness")}
    elif kind == "force":
        call["stiffness"] = None
        call["force"] = lambda t, x, v: -K @ x
    elif kind == "load table":
        at = np.linspace(0, 4, 801)
        call["load"] = (at, np.array([0 * at, np.sin(at), 0.5 + 0 * at, 0 * at]))
    s = mflow.solve_dynamics(
        **call, x0=[0, 0.1, 0, 0], v0=[0, 0, 0.2, 0], t_span=(0, 2), dt=0.005, fixed=fixed, t_eval=t, dense_output=True
    )
    np.testing.assert_allclose(s.x[1:3], exact(*t), rtol=0, atol=2e-5)
    for row, u, speed in ((0, left(t), 0.39 * np.cos(1.3 * t)), (3, right(t), 0.2 * np.sin(2 * t))):
        np.testing.assert_allclose(s.x[row], u, rtol=0, atol=2e-8)
        np.testing.assert_allclose(s.v[row], speed, rtol=0, atol=1e-6)
        middle = t[:-1] + 0.0133
        np.testing.assert_allclose(s.sol(middle)[row], left(middle) if row == 0 else right(middle), rtol=0, atol=2e-8)
    assert np.max(np.abs(s.energy.residual)) < 1e-5


def test_ground_that_moves_is_a_load_of_inertia() -> None:
    """A frame on a moving base, total against relative places: x = y + u, M y'' + K y = -M u''."""

    def u(t: float) -> tuple[float, float, float]:
        return 0.1 * math.sin(3 * t), 0.3 * math.cos(3 * t), -0.9 * math.sin(3 * t)

    stiff = np.array([[5.0, -5.0, 0.0], [-5.0, 9.0, -4.0], [0.0, -4.0, 4.0]])
    s = mflow.solve_dynamics([1.0, 2.0, 1.0], None, stiff, None, (0, 3), [0, 0, 0], [0, 0.3, 0.3], dt=0.001, fixed={0: u})
    y = mflow.solve_dynamics([2.0, 1.0], None, stiff[1:, 1:], lambda t: [-2.0 * u(t)[2], -u(t)[2]], (0, 3), [0, 0], dt=0.001)
    np.testing.assert_allclose(s.x[1:] - [0.1 * np.sin(3 * s.t)], y.x, rtol=0, atol=1e-6)


def test_callbacks_and_events_see_supports_where_they_are() -> None:
    seen: list[tuple[float, float]] = []
    s = mflow.solve_dynamics(
        stiffness=[[1.0, -1.0], [-1.0, 1.0]], x0=[0, 0], t_span=(0, 3), dt=0.01, fixed={0: np.sin},
        callback=lambda t, x, v: seen.append((t, x[0])), events=lambda t, x, v: x[0] - 0.5,
    )  # fmt: skip
    np.testing.assert_allclose([x for _, x in seen], np.sin([t for t, _ in seen]), atol=1e-12)
    assert s.t_events[0][0] == pytest.approx(math.asin(0.5), abs=1e-6)
    np.testing.assert_allclose(s.x_events[0][:, 0], np.sin(s.t_events[0]), atol=1e-12)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"fixed": {0: ([0, 1], [0, 0.1])}},
            r"fixed\[0\]: its table ends at t = 1, before the run's 2: where the support goes is not known",
        ),
        ({"fixed": {0: ([1, 3], [0, 0.1])}}, r"fixed\[0\]: its table begins at t = 1, after the run's 0"),
        ({"fixed": {2: np.sin}}, "fixed: expected degrees of freedom from 0 to 1 as keys, or tuples of them, got 2"),
        ({"fixed": {0: np.sin, (0, 1): None}}, "fixed: degree of freedom 0 is given twice: one motion for each"),
        ({"fixed": {0: ([0, 0], [0, 0.1])}}, r"fixed\[0\]: expected a table of two or more finite times that increase"),
        ({"fixed": {0: lambda t: [1.0, 2.0]}}, r"fixed\[0\]: expected a function of t that returns the place of 1 degrees of freedom"),
        ({"fixed": {0: lambda t: math.nan}}, r"fixed\[0\]: expected finite numbers, got nan at t = "),
        (
            {"force": lambda t, x, v: -x, "potential": lambda x: x @ x / 2},
            "potential: a function of x alone does not go with supports that",
        ),
        ({"constraints": lambda x: x[0] - x[1]}, "constraints: a function of x alone does not go with supports that move"),
    ],
)
def test_what_does_not_fit_is_said(change: dict[str, Any], text: str) -> None:
    call = {"stiffness": [[1.0, -1.0], [-1.0, 1.0]], "x0": [0, 0], "t_span": (0, 2), "dt": 0.1, "fixed": {0: np.sin}}
    with pytest.raises(ValueError, match=text):
        mflow.solve_dynamics(**(call | change))


# ---- without mass ----------------------------------------------------------------------------------------------------------------------


def frame(kind: str, tiny: float = 0.0) -> dict[str, Any]:
    stiff = K + np.diag([1.0, 0.0, 0.0, 0.0])
    mass = np.diag([2.0, tiny, 1.5, tiny])
    if kind == "sparse":
        return {"mass": scipy.sparse.csr_array(mass), "stiffness": scipy.sparse.csr_array(stiff)}
    return {"mass": np.diag(mass) if kind == "diagonal" else mass, "stiffness": stiff}


@pytest.mark.parametrize("kind", ["diagonal", "dense", "sparse"])
@pytest.mark.parametrize("load", ["numbers", "function", "table", "none"])
@pytest.mark.parametrize("fixed", [None, [0], {0: np.sin}])
def test_degrees_of_freedom_without_mass_follow(kind: str, load: str, fixed: Any) -> None:
    """Against their elimination by hand."""
    at = np.linspace(0, 2, 21)
    given: Any = {"numbers": [0.1, 0.2, 0.3, 0.4], "function": lambda t: [0.1, math.sin(t), 0.0, math.cos(t)],
                  "table": (at, np.array([0 * at, np.sin(at), at, np.cos(at)])), "none": None}[load]  # fmt: skip
    s = mflow.solve_dynamics(**frame(kind), load=given, x0=[0.5, 0, 0.25, 0], t_span=(0, 2), dt=0.01, fixed=fixed)
    stiff = K + np.diag([1.0, 0.0, 0.0, 0.0])
    f = np.array([[0.0] * 4 if given is None else given if load == "numbers" else given(t) if load == "function"
                  else [np.interp(t, at, row) for row in given[1]] for t in s.t])  # fmt: skip
    own, rest = np.ix_([1, 3], [1, 3]), np.ix_([1, 3], [0, 2])
    np.testing.assert_allclose(stiff[own] @ s.x[[1, 3]], f[:, [1, 3]].T - stiff[rest] @ s.x[[0, 2]], atol=1e-12)
    small = stiff[np.ix_([0, 2], [0, 2])] - stiff[rest].T @ np.linalg.solve(stiff[own], stiff[rest])
    force = f[:, [0, 2]].T - stiff[rest].T @ np.linalg.solve(stiff[own], f[:, [1, 3]].T)
    free = [0, 1] if fixed is None else [1]
    acting = (force - small @ s.x[[0, 2]])[free]
    np.testing.assert_allclose(np.diag([2.0, 1.5])[np.ix_(free, free)] @ s.a[[0, 2]][free], acting, atol=1e-10)
    if load in ("function", "none"):
        centred = (s.x[:, 2:] - s.x[:, :-2]) / 0.02
        np.testing.assert_allclose(s.v[[1, 3], 1:-1], centred[[1, 3]], atol=2e-4)


def test_a_small_mass_tends_to_none() -> None:
    none = mflow.solve_dynamics(**frame("dense"), rayleigh=(0.1, 0.02), x0=[0.5, 0, 0.25, 0], t_span=(0, 2), dt=0.01)
    small = mflow.solve_dynamics(
        **frame("dense", 1e-9), rayleigh=(0.1, 0.02), x0=none.x[:, 0], v0=none.v[:, 0], t_span=(0, 2), dt=0.01, method="bathe"
    )
    np.testing.assert_allclose(none.x[:, -1], small.x[:, -1], atol=2e-5)


@pytest.mark.parametrize("sparse", [False, True])
def test_without_mass_and_without_hold(sparse: bool) -> None:
    stiff: Any = np.array([[1.0, 0.0], [0.0, 0.0]])
    with pytest.raises(ValueError, match="mass: degree of freedom 1 has no mass, and the stiffness does not hold it either"):
        mflow.solve_dynamics([1.0, 0.0], None, scipy.sparse.csr_array(stiff) if sparse else stiff, None, (0, 1), [1.0, 0.0], dt=0.1)
    with pytest.raises(ValueError, match="mass: degree of freedom 1 has a dashpot and no mass"):
        mflow.solve_dynamics([1.0, 0.0], np.eye(2), np.eye(2), None, (0, 1), [1.0, 0.0], dt=0.1)
    with pytest.raises(ValueError, match="mass: expected a mass for some degree of freedom that moves, got none"):
        mflow.solve_dynamics([0.0, 0.0], None, np.eye(2), None, (0, 1), [1.0, 0.0], dt=0.1)


@pytest.mark.parametrize(("motion", "told"), [
    (lambda t: (np.sin(3 * t), 3 * np.sin(3 * t), -9 * np.sin(3 * t)), "a velocity that is the derivative of its place"),
    (lambda t: (np.sin(3 * t), 3 * np.cos(3 * t), 9 * np.sin(3 * t)), "an acceleration that is the derivative of its velocity"),
    (lambda t: (1e-9 * np.sin(50 * t), 5e-8 * np.cos(50 * t), 0.0), "an acceleration"),
])  # fmt: skip
def test_a_motion_that_contradicts_itself_is_refused(motion, told):
    with pytest.raises(ValueError, match=rf"fixed\[0\]: expected {told}"):
        mflow.solve_dynamics([1.0, 1.0], None, [[2.0, -1.0], [-1.0, 1.0]], None, (0, 2), dt=0.01, fixed={0: motion})


@pytest.mark.parametrize("motion", [
    lambda t: (abs(t - 1), np.sign(t - 1), 0.0), lambda t: (0.0, 0.0, 0.0),
    lambda t: (max(t - 1.04, 0.0) ** 2, 2 * max(t - 1.04, 0.0), 2.0 * (t > 1.04)),
    lambda t: (1e-9 * np.sin(50 * t), 5e-8 * np.cos(50 * t), -2.5e-6 * np.sin(50 * t)),
])  # fmt: skip
def test_kinks_and_small_motions_contradict_nothing(motion):
    r = mflow.solve_dynamics([1.0, 1.0], None, [[2.0, -1.0], [-1.0, 1.0]], None, (0, 2), dt=0.01, fixed={0: motion})
    assert r.success


def test_a_motion_between_the_steps_is_told() -> None:
    """50 Hz in steps of one period: the support seems to rest, and the mass hardly moves; a slow motion is no matter for a word."""
    w, chain = 100 * np.pi, {"mass": [1.0, 1.0], "stiffness": [[100.0, -100.0], [-100.0, 100.0]], "x0": [0.0, 0.0]}
    t = np.arange(0, 2.0005, 0.001)
    for fast in (lambda a: 0.01 * np.sin(w * a), (t, 0.01 * np.sin(w * t))):
        with pytest.warns(RuntimeWarning, match="fixed: at steps that were looked at"):
            mflow.solve_dynamics(**chain, fixed={0: fast}, t_span=(0, 2), dt=0.02)
    with pytest.warns(RuntimeWarning, match="force: at steps that were looked at"):
        mflow.solve_dynamics(
            stiffness=[100.0], force=lambda a, x, v: np.sin(w * a) + 0 * x, velocity_free=True, t_span=(0, 2), x0=[0.0], dt=0.02
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mflow.solve_dynamics(**chain, fixed={0: lambda a: 0.01 * np.sin(3 * a)}, t_span=(0, 2), dt=0.02)
