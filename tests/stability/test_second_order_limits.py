"""Limits of second-order methods, for every damping ratio and for structures: against closed forms and schemes in NumPy and mpmath."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.sparse

import mflow
from mflow.stability import criterion
from support.motion import ORACLES, Oscillators

Array = np.ndarray
ZETAS = [0.0, 1e-8, 1e-4, 0.1, 0.9, 1.0, 3.0, 100.0, 1e4, 1e6]


def closed_form(name: str, par: dict[str, Any], z: float) -> float | None:
    """What is published, for the limit on omega dt."""
    root = math.hypot(1.0, z)
    if name == "forward_euler_system":
        return 2 * z if z <= 1 else 2 / (z + math.sqrt(z * z - 1))
    if name == "symplectic_euler":
        return 2 * z + 2 * root if par.get("damping") == "implicit" else 2 / (z + root)
    if name == "constant_acceleration":
        return min(4 * z, 1 / z) if z else 0.0
    if name == "central_difference" or (name == "staggered" and not par):
        return 2.0
    if name == "staggered" and par["damping"] == "backward_euler":
        return z + math.sqrt(z * z + 2)
    if name == "newmark" and par["gamma"] >= 0.5:
        d, g = par["gamma"] / 2 - par["beta"], par["gamma"] - 0.5
        return (z * g + math.sqrt(d + z * z * g * g)) / d if d > 0 else math.inf
    return math.inf if name in ("hht", "generalized_alpha") else None


CHOICES: list[tuple[str, dict[str, Any]]] = [
    ("forward_euler_system", {}),
    ("symplectic_euler", {}),
    ("symplectic_euler", {"damping": "implicit"}),
    ("constant_acceleration", {}),
    ("central_difference", {}),
    ("staggered", {}),
    ("staggered", {"damping": "backward_euler"}),
    ("staggered", {"damping": "explicit"}),
    ("velocity_verlet", {}),
    ("velocity_verlet", {"damping": "explicit"}),
    *(
        ("newmark", {"beta": b, "gamma": g})
        for b, g in ((0.25, 0.5), (1 / 6, 0.5), (0.1, 0.6), (0.0, 0.9), (0.3, 0.45), (0.3, 0.49), (0.1, 0.3))
    ),
    *(("hht", {"alpha": a, "load": load}) for a in (-1 / 3, -0.1) for load in ("interpolated", "shifted")),
    *(("generalized_alpha", {"rho_inf": r, "load": load}) for r in (0.0, 0.5, 1.0) for load in ("interpolated", "shifted")),
    *((m.name, {}) for m in mflow.methods(family="second_order") if m.record.stages > 1),  # no closed form: test_higher_order.py
    *((m.name, {"damping": "implicit"}) for m in mflow.methods(family="second_order") if m.record.stages > 1 and m.parameters),
]


@pytest.mark.parametrize(("name", "par"), CHOICES)
def test_limits_are_the_published_ones_for_every_damping_ratio(name: str, par: dict[str, Any]) -> None:
    for z in ZETAS:
        expected = closed_form(name, par, z)
        if expected is not None:
            assert mflow.stability_limit(name, zeta=z, **par) == pytest.approx(expected, rel=1e-11), z


def trace_and_determinant(name: str, par: dict[str, Any], K: Any, C: Any) -> tuple[Any, Any]:
    """Of a step of 1 on x'' = -K x - C v, in mpmath, for methods whose state is x and v; the velocity in the a of the next step is v+."""
    columns = []
    for x, v in ((mp.mpf(1), mp.mpf(0)), (mp.mpf(0), mp.mpf(1))):
        a, word = -K * x - C * v, par.get("damping")
        if name == "newmark":
            b, g = mp.mpf(par["beta"]), mp.mpf(par["gamma"])
            xp, vp = x + v + (mp.mpf(1) / 2 - b) * a, v + (1 - g) * a
            new = -(K * xp + C * vp) / (1 + b * K + g * C)
            columns.append((xp + b * new, vp + g * new))
        elif word == "explicit":
            half = v + a / 2
            x1 = x + half
            columns.append((x1, half - (K * x1 + C * half) / 2))
        elif name == "velocity_verlet":  # its a is that of the half step: kick and drift from v(1/2) to v(1/2)
            drifted = x + v
            columns.append((drifted, v - K * drifted - C * v))
    (p, q), (r, s) = columns
    return p + s, p * s - q * r


@pytest.mark.parametrize(
    ("name", "par"),
    [
        ("newmark", {"beta": 0.3, "gamma": 0.49}),
        ("newmark", {"beta": 0.3, "gamma": 0.45}),
        ("newmark", {"beta": 0.1, "gamma": 0.3}),
        ("velocity_verlet", {}),
        ("velocity_verlet", {"damping": "explicit"}),
        ("staggered", {"damping": "explicit"}),
    ],
)
def test_limits_that_have_no_published_form(name: str, par: dict[str, Any]) -> None:
    """No root outside the unit circle up to the limit, and one at once beyond it: with 60 digits, by Schur's conditions on trace and
    determinant, on a grid of steps for each damping ratio."""

    def stable(w: Any, z: float) -> bool:
        trace, determinant = trace_and_determinant(name, par, w * w, 2 * mp.mpf(z) * w)
        rounding = mp.mpf(10) ** -50  # of the oracle's own 60 digits
        return abs(trace) <= 1 + determinant + rounding and determinant <= 1 + rounding

    with mp.workdps(60):
        for z in ZETAS:
            limit = mp.mpf(mflow.stability_limit(name, zeta=z, **par))
            if limit == 0:
                assert all(not stable(mp.mpf(10) ** -k, z) for k in range(3, 15))
                continue
            assert not stable(limit * (1 + mp.mpf(10) ** -10), z), z
            inside = [*np.geomspace(1e-7, 1.0 - 1e-10, 150).tolist(), *np.linspace(0.01, 0.99, 99).tolist()]
            assert all(stable(part * limit, z) for part in inside), z


def test_inputs_that_were_wrong() -> None:
    assert mflow.stability_limit("staggered", zeta=100.0, damping="backward_euler") == pytest.approx(100 + math.sqrt(10002.0), rel=1e-12)
    assert mflow.stability_limit(mflow.Newmark(beta=0.3, gamma=0.49), zeta=5.0) == pytest.approx(1000.0, rel=1e-9)
    assert mflow.stability_limit("forward_euler_system", zeta=1e-8) == pytest.approx(2e-8, rel=1e-9)


# ---- structures ------------------------------------------------------------------------------------------------------------------------


def chain(n: int) -> tuple[Array, Array]:
    """Equal springs; one of the dashpots is stronger, so that damping is no a M + b K."""
    K = 2.0 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    c = np.full(n, 2.0)
    c[0] = 3.0
    return K, np.diag(c)


def growth(name: str, par: dict[str, Any], M: Array, C: Array, K: Array, h: float) -> float:
    """The spectral radius of a step written in NumPy."""
    n, p = len(K), Oscillators(M, C, K)
    words = {q.name: q.choices for q in mflow.get_method(name).parameters_ if q.choices}
    values = {q.name: q.default for q in mflow.get_method(name).parameters_} | par
    values = {key: float(words[key].index(value)) if key in words else value for key, value in values.items()}
    p.load = lambda t: np.zeros((n, 3 * n))  # type: ignore[assignment,return-value]
    one = np.eye(3 * n)
    x, v, a = one[:n], one[n : 2 * n], one[2 * n :]
    out = ORACLES[name](p, 0.0, (x, v, a, p.accel(0.0, x, v)), h, values)
    carried = np.concatenate([out[0], out[1], out[2]])
    return float(np.max(np.abs(np.linalg.eigvals(carried))))


@pytest.mark.parametrize(
    ("name", "par", "expected"),
    [
        ("forward_euler_system", {}, 0.50033),
        ("constant_acceleration", {}, 2 / 3),
        ("newmark", {"beta": 0.3, "gamma": 0.45}, 10.0066),
        ("newmark", {"beta": 0.1, "gamma": 0.6}, None),
        ("symplectic_euler", {}, None),
        ("symplectic_euler", {"damping": "implicit"}, None),
        ("staggered", {"damping": "backward_euler"}, None),
        ("velocity_verlet", {}, None),
        ("velocity_verlet", {"damping": "explicit"}, None),
        ("staggered", {"damping": "explicit"}, None),
        ("central_difference", {}, None),
    ],
)
@pytest.mark.parametrize("kind", ["chain", "random"])
def test_damping_that_couples_the_modes(name: str, par: dict[str, Any], expected: float | None, kind: str) -> None:
    """Against the spectral radius of the whole step, at the number of masses where it was 0."""
    n, rng = 61, np.random.default_rng(4)
    K, C = chain(n)
    M = np.eye(n)
    if kind == "random":
        n = 9
        M, K, C = (B @ B.T / n + s * np.eye(n) for B, s in zip(rng.standard_normal((3, n, n)), (1.0, 0.1, 0.1), strict=True))
    limit = mflow.max_stable_dt(mflow.get_method(name, **par), mass=M, damping=C, stiffness=K)
    if expected is not None and kind == "chain":
        assert limit == pytest.approx(expected, rel=1e-4)
    assert 0.0 < limit < math.inf
    assert growth(name, par, M, C, K, 0.999 * limit) <= 1.0 + 1e-9
    assert growth(name, par, M, C, K, 1.001 * limit) > 1.0 + 1e-7


@pytest.mark.parametrize("name", ["forward_euler_system", "constant_acceleration", "central_difference", "symplectic_euler"])
def test_many_masses_have_a_bound_or_the_limit(name: str) -> None:
    """The chain's limit converges with its length: that of 80 masses, by all eigenvalues, is that of 3000 to 1e-3."""
    n = 3000
    K, C = (scipy.sparse.diags_array([-np.ones(n - 1), np.full(n, 2.0), -np.ones(n - 1)], offsets=[-1, 0, 1]), np.full(n, 2.0))
    C[0] = 3.0
    few = mflow.max_stable_dt(name, damping=chain(80)[1], stiffness=chain(80)[0])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        limit = mflow.max_stable_dt(name, damping=scipy.sparse.diags_array(C), stiffness=K)
    assert 0.995 * few < limit <= few * (1.0 + 1e-9)
    assert bool(caught) == (name == "forward_euler_system")
    assert all("a bound: every step up to it is stable" in str(w.message) for w in caught)


def test_auto_steps_of_many_masses() -> None:
    K, C = chain(61)
    s = mflow.solve_dynamics(stiffness=K, damping=C, x0=np.ones(61), t_span=(0, 20), method="forward_euler_system", dt="auto")
    assert s.success
    assert s.t[1] == pytest.approx(0.9 * 0.50033, rel=1e-4)
    with pytest.warns(RuntimeWarning, match=r"exceeds the stability limit 0.5003 of forward_euler_system"):
        mflow.solve_dynamics(stiffness=K, damping=C, x0=np.ones(61), t_span=(0, 2), method="forward_euler_system", dt=0.55)


@pytest.mark.parametrize(
    ("name", "par"),
    [("central_difference", {}), ("symplectic_euler", {}), ("forward_euler_system", {}), ("velocity_verlet", {"damping": "explicit"})],
)
def test_gyroscopes_and_dashpots_alone(name: str, par: dict[str, Any]) -> None:
    """A damping matrix that is not symmetric, and damping without any stiffness."""
    method, M, K = mflow.get_method(name, **par), np.eye(2), np.diag([4.0, 9.0])
    C = np.array([[0.4, 3.0], [-3.0, 0.6]])
    limit = mflow.max_stable_dt(method, damping=C, stiffness=K)
    assert 0.0 < limit < 2.0
    assert growth(name, par, M, C, K, 0.999 * limit) <= 1.0 + 1e-9
    assert growth(name, par, M, C, K, 1.001 * limit) > 1.0 + 1e-7
    C = np.array([[3.0, 1.0], [1.0, 2.0]])
    alone = mflow.max_stable_dt(method, damping=C)
    if name == "central_difference":
        assert alone == math.inf
    else:
        assert alone == pytest.approx((4.0 if name == "velocity_verlet" else 2.0) / np.linalg.eigvalsh(C)[-1], rel=1e-7)


def test_a_structure_grows_by_itself_and_sets_no_limit_by_that() -> None:
    """A damping ratio below 0 alone, and one among masses that are coupled."""
    assert mflow.max_stable_dt("central_difference", stiffness=[1.0, 4.0], damping=[-0.1, 0.1]) == pytest.approx(1.0)
    K, C = chain(20)
    C[3, 3] = -0.5
    limit = mflow.max_stable_dt("symplectic_euler", stiffness=K, damping=C)
    undamped = 2.0 / math.sqrt(np.linalg.eigvalsh(K)[-1])
    assert 0.4 * undamped < limit < undamped


def test_every_pair_of_choices_is_tried() -> None:
    """A method that is added must be in the list above."""
    names = {name for name, _ in CHOICES}
    assert names == {m.name for m in mflow.methods(family="second_order")}
    for m in mflow.methods(family="second_order"):
        words = [p.choices for p in m.parameters_ if p.choices]
        for choice in itertools.product(*words):
            given = dict(zip([p.name for p in m.parameters_ if p.choices], choice, strict=True))
            assert any(n == m.name and all(p.get(key, m.parameters[key]) == value for key, value in given.items()) for n, p in CHOICES)


# ---- forces ---------------------------------------------------------------------------------------------------------------------------


def test_the_step_of_a_force_is_that_of_its_matrices():
    """Stiffness, damping that is a M + b K and damping that is not, and masses: the limit of the matrices themselves."""
    rng = np.random.default_rng(2)
    A, B = rng.standard_normal((2, 6, 6))
    K, M = A @ A.T + np.eye(6), rng.uniform(1.0, 3.0, 6)
    for C in (np.zeros((6, 6)), 0.3 * np.diag(M) + 0.02 * K, 0.1 * B @ B.T):
        for method in ("central_difference", "symplectic_euler", "velocity_verlet"):
            known = mflow.max_stable_dt(method, mass=M, stiffness=K, damping=C)
            found = mflow.max_stable_dt(method, mass=M, force=lambda t, x, v, C=C: -K @ x - C @ v, x0=rng.standard_normal(6))
            assert found == pytest.approx(known, rel=1e-6)


def test_the_step_of_a_pendulum_where_it_hangs_and_elsewhere():
    """x'' = -9 sin x - 2 z 3 x': omega^2 = 9 cos x0; symplectic Euler with explicit damping bears -2 z + 2 sqrt(1 + z^2) at x0 = 0."""
    z = 0.25
    force = lambda t, x, v: -9.0 * np.sin(x) - 6.0 * z * v  # noqa: E731
    assert mflow.max_stable_dt("central_difference", force=lambda t, x, v: -9.0 * np.sin(x), x0=[1.0]) == pytest.approx(
        2.0 / np.sqrt(9.0 * np.cos(1.0)), rel=1e-8
    )
    explicit = mflow.get_method("symplectic_euler", damping="explicit")
    assert mflow.max_stable_dt(explicit, force=force, x0=[0.0]) == pytest.approx((-2 * z + 2 * np.sqrt(1 + z * z)) / 3.0, rel=1e-7)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "x0: expected the positions"),
        ({"x0": [1.0], "stiffness": 2.0}, "stiffness: expected none beside force="),
        ({"x0": [1.0], "v0": [1.0, 2.0]}, "x0, v0: expected arrays of one shape, of 1 to 1000 numbers"),
        ({"x0": [1.0, 1.0], "force": lambda t, x, v: np.array([-x[0] + x[1], -x[1]])}, "force: expected symmetric derivatives by x"),
        ({"x0": [1.0], "force": lambda t, x, v: x * np.nan}, "force: expected finite numbers"),
        ({"x0": [1.0], "force": None}, "x0, v0: they are where force= is looked at"),
    ],
)
def test_forces_that_do_not_fit(more, words):
    with pytest.raises(ValueError, match=words):
        mflow.max_stable_dt("central_difference", **{"force": lambda t, x, v: -x, **more})


def test_whether_a_step_is_stable_is_asked_in_few_looks(monkeypatch: Any) -> None:
    """Of a thousand modes a warning asks whether a step is stable: each was looked at until its limit was known to the last bit."""
    looks, matrices, k = [0], criterion.oscillator_matrix, np.linspace(1.0, 30.0, 100)

    def counted(*given: Any) -> Any:
        looks[0] += 1
        return matrices(*given)

    monkeypatch.setattr(criterion, "oscillator_matrix", counted)
    rkn64 = mflow.get_method("rkn64")
    limits = np.array([criterion.Scanned(rkn64).limit(float(one), 0.1)[0] for one in k])
    looks[0] = 0
    stable = criterion.Scanned(rkn64).stable(k, np.full(100, 0.1))
    assert np.array_equal(stable, limits >= 1.0)
    assert 10 < np.count_nonzero(stable) < 90
    assert looks[0] < 200


@pytest.mark.parametrize("rest", [[1.0, 1.0, 1.0], [1.0, 3.0, 1.0, 1.0]])
def test_determinants_decide_where_no_coefficient_is_negative(rest: list[float]) -> None:
    """K + b_1 s + ... + b_n s^n for many K at once, against the roots."""
    asked = criterion.Criterion.__new__(criterion.Criterion)
    asked.order, asked.powers = len(rest), np.array([[0, 0], [1, 0]])
    asked.b = np.array([[0.0, 1.0], *([b, 0.0] for b in rest)])
    K = np.linspace(0.05, 4.0, 99)
    stable = [bool(np.max(np.roots([*rest[::-1], k]).real) < 0.0) for k in K]
    assert 10 < sum(stable) < 90
    assert asked.stable(K, np.zeros(K.size)).tolist() == stable


# ---- arguments of solve_dynamics -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("fixed", [[0, 3], [-4, -1], np.array([True, False, False, True])])
def test_what_is_held_and_damped_as_in_solve_dynamics(sparse: bool, fixed: Any) -> None:
    """The limit of velocity Verlet of the structure by hand: eigenvalues of what moves, with its damping ratios."""
    M, C0 = np.array([2.0, 1.0, 3.0, 1.0]), np.diag([0.3, 0.0, 0.1, 0.2])
    K = np.array([[4.0, -2.0, 0.0, 0.0], [-2.0, 5.0, -3.0, 0.0], [0.0, -3.0, 6.0, -1.0], [0.0, 0.0, -1.0, 2.0]])
    a, b, free = 0.1, 0.02, [1, 2]
    part = np.ix_(free, free)
    found = mflow.max_stable_dt(
        "velocity_verlet", mass=M, stiffness=scipy.sparse.csr_array(K) if sparse else K, damping=C0, rayleigh=(a, b), fixed=fixed
    )
    by_hand = mflow.max_stable_dt("velocity_verlet", mass=M[free], stiffness=K[part], damping=C0[part] + a * np.diag(M)[part] + b * K[part])
    assert found == pytest.approx(by_hand, rel=1e-12)
    bare = mflow.max_stable_dt("central_difference", mass=M, stiffness=K, fixed=fixed)
    assert bare == pytest.approx(2.0 / math.sqrt(np.max(np.linalg.eigvals(K[part] / M[free][:, None]).real)), rel=1e-9)


def test_a_state_of_rows_as_solve_dynamics_takes_it() -> None:
    """Springs of 9 and 4 along x and y, masses of one number each row."""
    k = np.array([9.0, 4.0])
    for mass, least in (([1.0, 4.0, 4.0], 1.0), (None, 1.0), (np.full((3, 2), 4.0), 4.0)):
        dt = mflow.max_stable_dt("leapfrog", mass=mass, force=lambda t, x, v: -k * x, x0=np.ones((3, 2)))
        assert dt == pytest.approx(2.0 / math.sqrt(9.0 / least), rel=1e-6)


def test_what_is_no_degree_of_freedom_and_what_does_not_go_together() -> None:
    with pytest.raises(ValueError, match=r"fixed: expected indices of degrees of freedom from 0 to 1, .*, got \[2\]"):
        mflow.max_stable_dt("leapfrog", mass=[1.0, 1.0], stiffness=[1.0, 1.0], fixed=[2])
    with pytest.raises(ValueError, match="fixed: expected degrees of freedom that leave some to move, got all 2"):
        mflow.max_stable_dt("leapfrog", mass=[1.0, 1.0], stiffness=[1.0, 1.0], fixed=[0, 1])
    with pytest.raises(ValueError, match="rayleigh: expected none beside force="):
        mflow.max_stable_dt("leapfrog", force=lambda t, x, v: -x, x0=[1.0], rayleigh=(0.1, 0.0))
    with pytest.raises(ValueError, match="rayleigh, fixed: expected a second-order method, got euler"):
        mflow.max_stable_dt("euler", jac=[[-1.0]], fixed=[0])


@pytest.mark.parametrize("n", [400, 520, 700])
def test_of_many_modes_that_grow_none_is_left_out(n: int) -> None:
    """Modes that grow slowly, and one past buckling among them: trapezoidal steps on it, of R = (1 + s)/(1 - s), grow 1.25
    times as fast as the solution at some step; with 400 or 700 others beside it that is the same step."""
    k, c = np.linspace(1.0, 30.0, n) ** 2, np.full(n, -0.01)
    k[n // 3], c[n // 3] = -9.0, 0.1
    rate = -0.05 + math.sqrt(0.05**2 + 9.0)
    found = mflow.max_stable_dt("newmark", mass=np.ones(n), stiffness=k, damping=c)
    s = 0.5 * found * rate
    assert math.log((1.0 + s) / (1.0 - s)) / found == pytest.approx(1.25 * rate, rel=1e-6)
