"""Limits of structures whose damping is no a M + b K, beyond the sizes at which all eigenvalues of steps are computed.

The oracles are the spectral radius of a step written in NumPy, and quadratic eigenvalues by SciPy. Most cases lower the sizes, so that
small structures go the way of large ones.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.linalg
import scipy.sparse

import mflow
from mflow.spectra import definite
from mflow.stability import structural
from stability.test_second_order_limits import CHOICES, chain, growth

Array = np.ndarray
N = 14
ONE_FORCE = [(name, par) for name, par in CHOICES if mflow.get_method(name).record.stages <= 1]


def structure_of(kind: str, n: int, seed: int) -> tuple[Array, Array, Array]:
    """M, C and K of a chain."""
    rng = np.random.default_rng(seed)
    k, M = rng.uniform(0.5, 2.0, n + 1), np.diag(rng.uniform(0.5, 2.0, n))
    if kind == "one":  # of an even chain, where each mode moves the dashpot
        k, M = np.ones(n + 1), np.eye(n)
    K = np.diag(k[:-1] + k[1:]) - np.diag(k[1:-1], 1) - np.diag(k[1:-1], -1)
    B = rng.standard_normal((n, n))
    C = {
        "dashpots": lambda: 0.02 * K + 0.01 * M + np.diag((rng.random(n) < 0.1) * 1.0),
        "one": lambda: np.diag((np.arange(n) == 3) * 2.0),
        "heavy": lambda: 10.0 * B @ B.T / n + np.eye(n),
        "light": lambda: 1e-2 * B @ B.T / n,
    }[kind]()
    return M, C, K


@pytest.fixture
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structural, "DENSE", 4)


@pytest.mark.usefixtures("small_sizes")
@pytest.mark.parametrize("kind", ["dashpots", "one", "heavy", "light"])
@pytest.mark.parametrize(("name", "par"), ONE_FORCE)
def test_the_limit_is_where_a_step_begins_to_grow(name: str, par: dict[str, Any], kind: str) -> None:
    method = mflow.get_method(name, **par)
    M, C, K = structure_of(kind, N, len(name))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        limit = mflow.max_stable_dt(method, mass=M, damping=C, stiffness=K)
    if limit == math.inf:
        assert all(growth(name, par, M, C, K, h) <= 1.0 + 1e-8 for h in np.geomspace(1e-2, 1e3, 11))
        return
    assert growth(name, par, M, C, K, (1.0 - 1e-6) * limit) <= 1.0 + 1e-10
    assert growth(name, par, M, C, K, 1.01 * limit) > 1.0 + 1e-9
    assert all(growth(name, par, M, C, K, share * limit) <= 1.0 + 1e-10 for share in (0.02, 0.3, 0.7, 0.9, 0.99))


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_array])
def test_steps_of_210_masses_against_quadratic_eigenvalues(form: Any) -> None:
    """The factor -1 of symplectic Euler: 4 M - 2 h C - h^2 K is singular; forward Euler: |1 + h z| = 1, z of the structure itself."""
    n = 210
    M, C, K = structure_of("dashpots", n, 7)
    inverse, zero, one = 1.0 / np.diag(M)[:, None], np.zeros((n, n)), np.eye(n)
    given = {"mass": form(M), "damping": form(C), "stiffness": form(K)}
    z = scipy.linalg.eigvals(np.block([[zero, one], [0.25 * inverse * K, 0.5 * inverse * C]]))
    largest = np.max(z.real[np.abs(z.imag) <= 1e-9 * np.abs(z).max()])
    assert mflow.max_stable_dt("symplectic_euler", **given) == pytest.approx(1.0 / largest, rel=1e-9)
    if form is np.asarray:
        z = scipy.linalg.eigvals(np.block([[zero, one], [-inverse * K, -inverse * C]]))
        assert mflow.max_stable_dt("forward_euler_system", **given) == pytest.approx(np.min(-2.0 * z.real / np.abs(z) ** 2), rel=1e-7)


@pytest.mark.parametrize("weights", [(4.0, 1.0, 2.0), (4.0, 1.0, 0.0), (4.0, 0.0, 2.0), (1e-12, 3.0, 1e3)])
@pytest.mark.parametrize("lower", [1e-6, 0.9, 50.0])
def test_the_first_singular_step_from_any_start(weights: tuple[float, float, float], lower: float) -> None:
    M, C, K = structure_of("heavy", N, 2)
    r, p, q = weights
    z = np.linalg.eigvals(np.block([[np.zeros((N, N)), np.eye(N)], [np.linalg.solve(r * M, p * K), np.linalg.solve(r * M, q * C)]]))
    expected = 1.0 / np.max(z.real[np.abs(z.imag) <= 1e-9 * np.abs(z).max()])
    for form in (np.asarray, scipy.sparse.csr_array):
        low, high = definite.last_definite(form(M), form(C), form(K), weights, lower * expected)
        assert expected * (1.0 - 1e-8) < low <= high < expected * (1.0 + 1e-8)


def test_a_matrix_that_stays_definite() -> None:
    M, C, _ = structure_of("one", N, 3)
    assert definite.last_definite(M, C, np.zeros((N, N)), (1.0, 1.0, 0.0), 1.0) == (math.inf, math.inf)


@pytest.mark.parametrize(("name", "par"), [("forward_euler_system", {}), ("newmark", {"beta": 0.3, "gamma": 0.45})])
def test_a_bound_tells_how_far_the_limit_may_lie(name: str, par: dict[str, float], monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond all sizes: the bound alone is a hundredth of the step at which something grows."""
    for size in ("DENSE", "SMALL", "MANY"):
        monkeypatch.setattr(structural, size, 4)
    n = 100
    C, K = np.diag(np.random.default_rng(0).uniform(0.0, 1.0, n)), chain(n)[0]
    with pytest.warns(RuntimeWarning, match="a bound: every step up to it is stable, and longer ones may be; at .* a run grows") as told:
        limit = mflow.max_stable_dt(name, damping=C, stiffness=K, **par)
    upper = float(str(told[0].message).split("; at ")[1].split()[0])
    assert 0.0 < limit < upper
    assert growth(name, par, np.eye(n), C, K, upper) > 1.001
    assert growth(name, par, np.eye(n), C, K, limit) <= 1.0 + 1e-9


def test_a_matrix_within_rounding_of_singular_is_not_definite() -> None:
    """Cholesky passes where rounding lifts the last pivot above 0; the inverse does not."""
    half = np.array([[0.5, 0.8], [0.1, 0.4], [0.7, 0.7]])
    B = half @ half.T
    assert np.linalg.cholesky(B)[2, 2] > 0.0
    assert not definite.is_definite([(1.0, B)])


TURNS = np.array([[0.0, -1.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("name", "par", "C", "K", "expected"),
    [
        # held by the turning alone; steps of gamma = 1/2 are those of the mass M + (beta - 1/4) h^2 K, which is singular first at h^2 = 10
        ("newmark", {"beta": 0.3, "gamma": 0.5}, 5.0 * TURNS, -np.diag([1.0, 2.0]), math.sqrt(10.0)),
        # a step of negative length within the step: what damps has no solution near h = 0.37, and again none grows beyond that
        ("yoshida6", {"damping": "implicit"}, np.array([[0.29, 1.04], [1.04, 4.04]]), np.array([[10.86, 2.36], [2.36, 0.62]]), 0.3698163),
        ("blanes_moan_rkn11", {}, 5.0 * TURNS, -np.eye(2), 0.0),
        ("symplectic_euler", {"damping": "implicit"}, 1e-3 * TURNS, np.diag([4.0, 9.0]), 0.0),
    ],
)
def test_the_first_step_that_grows_and_not_a_later_one(name: str, par: dict[str, Any], C: Array, K: Array, expected: float) -> None:
    """The spectral radius of the whole step on a grid of steps: an island of stable ones beyond the limit is none."""
    M, limit = np.eye(2), mflow.max_stable_dt(mflow.get_method(name, **par), damping=C, stiffness=K)
    assert limit == pytest.approx(expected, rel=1e-6)
    if expected == 0.0:
        assert all(growth(name, par, M, C, K, h) > 1.0 + 1e-13 for h in (0.02, 0.1, 0.3))
        return
    assert growth(name, par, M, C, K, 1.001 * limit) > 1.0 + 1e-4
    assert all(growth(name, par, M, C, K, share * limit) < 1.0 + 1e-9 for share in np.linspace(0.01, 0.9999, 150))


def test_eigenvalues_of_the_structure_tell_the_limit_beside_gyroscopes() -> None:
    """Forward Euler: |1 + h z| = 1 for the eigenvalues of the structure, damped by a millionth."""
    C, K = 3.0 * TURNS + 1e-6 * np.eye(2), np.diag([4.0, 9.0])
    z = np.linalg.eigvals(np.block([[np.zeros((2, 2)), np.eye(2)], [-K, -C]]))
    limit = mflow.max_stable_dt("forward_euler_system", damping=C, stiffness=K)
    assert limit == pytest.approx(float(np.min(-2.0 * z.real / np.abs(z) ** 2)), rel=1e-8)


@pytest.mark.parametrize("name", ["forward_euler_system", "constant_acceleration"])
def test_a_mode_without_damping_has_no_stable_step_in_any_coordinates(name: str) -> None:
    """In others than its own its damping is the difference of a M and b K, 1e-16 of which gave limits of 1e-18 to 1e-15."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        Q = np.linalg.qr(rng.normal(size=(2, 2)))[0]
        K, C = (Q @ np.diag(d) @ Q.T for d in (10.0 ** rng.uniform(-2, 3, 2), [10.0 ** rng.uniform(-2, 1), 0.0]))
        assert mflow.max_stable_dt(name, stiffness=0.5 * (K + K.T), damping=0.5 * (C + C.T)) == 0.0


GROWING = {
    "damping of both signs": ([[-0.1, 0.01], [0.01, -0.1]], np.diag([40.0, 1.0]), (0.0, 0.5)),
    "gyroscopic": ([[0.0, 1.0], [-1.0, 0.0]], -15.0 * np.eye(2), (0.25, 0.5)),
    "gyroscopic, with damping of the steps": ([[0.0, 1.0], [-1.0, 0.0]], -15.0 * np.eye(2), (0.3, 0.6)),
}


def rate_of_newmark(C: np.ndarray, K: np.ndarray, beta: float, gamma: float, h: float) -> float:
    """log of the spectral radius of a step of (x, v, a), over h."""
    one = np.eye(len(K))
    inverse = np.linalg.inv(one + gamma * h * C + beta * h * h * K)
    a = [-inverse @ K, -inverse @ (C + h * K), -inverse @ ((1.0 - gamma) * h * C + (0.5 - beta) * h * h * K)]
    x = [one + beta * h * h * a[0], h * one + beta * h * h * a[1], (0.5 - beta) * h * h * one + beta * h * h * a[2]]
    v = [gamma * h * a[0], one + gamma * h * a[1], (1.0 - gamma) * h * one + gamma * h * a[2]]
    return math.log(np.abs(np.linalg.eigvals(np.block([x, v, a]))).max()) / h


@pytest.mark.parametrize("name", GROWING)
def test_what_grows_by_itself_is_compared_by_rates_of_growth(name: str) -> None:
    """The limit is where steps grow a quarter faster than the structure: fast modes counted too much, those that grow fast too little."""
    C, K, (beta, gamma) = np.array(GROWING[name][0]), *GROWING[name][1:]
    own = np.linalg.eigvals(np.block([[np.zeros((2, 2)), np.eye(2)], [-K, -C]])).real.max()
    dt = mflow.max_stable_dt(mflow.Newmark(beta=beta, gamma=gamma), damping=C, stiffness=K)
    below = np.geomspace(1e-3, min(0.999 * dt, 100.0), 300)
    assert max(rate_of_newmark(C, K, beta, gamma, h) for h in below) <= 1.25 * own
    assert dt == math.inf or rate_of_newmark(C, K, beta, gamma, 1.001 * dt) > 1.25 * own


def growing_factors(C: np.ndarray, K: np.ndarray, beta: float, gamma: float, h: float) -> int:
    """How many of a mode by itself, k and c, from the polynomial of its step, in 40 digits."""
    with mpmath.workdps(40):
        count = 0
        for k, c in zip(map(mpmath.mpf, K), map(mpmath.mpf, C), strict=True):
            p = [1 + gamma * h * c + beta * h * h * k, -2 + (1 - 2 * gamma) * h * c + (0.5 + gamma - 2 * beta) * h * h * k]
            p.append(1 - (1 - gamma) * h * c + (0.5 - gamma + beta) * h * h * k)
            count += sum(abs(root) > 1 + mpmath.mpf(10) ** -13 for root in mpmath.polyroots(p, maxsteps=200, extraprec=200))
        return count


BUCKLING = {
    "the trapezoidal rule": ([-1.0, 4.0, 30.0], [0.1, 0.5, 0.01], (0.25, 0.5), 1),
    "damping of the steps": ([-1.0, 4.0, 30.0], [0.1, 0.5, 0.01], (0.3, 0.6), 1),
    "a little": ([-0.0126, 0.93, 83.0], [1.576, 0.001, 0.0013], (0.25, 0.5), 1),
    "a swing that steps excite more slowly": ([-9.0, 4.0, 30.0], [0.1, 0.5, 0.01], (0.25, 0.45), 1),
    "damping below 0": ([2.0, 4.0, 30.0], [-0.1, 0.5, 0.9], (0.25, 0.45), 2),
    "damping below 0, and steps that end at -1": ([2.0, 4.0, 30.0], [-0.1, 0.5, 0.9], (0.3, 0.6), 2),
}


@pytest.mark.parametrize("name", BUCKLING)
def test_a_structure_that_grows_by_itself_has_one_limit_in_all_coordinates(name: str) -> None:
    """Known modes had no limit, or 0, unlike the same ones in other coordinates, where a swing that steps excite slowly set none."""
    k, c, (beta, gamma), own = BUCKLING[name]
    Q = np.linalg.qr(np.array([[1.0, 2.0, 0.5], [-0.3, 1.0, 2.0], [0.7, -0.4, 1.0]]))[0]
    C, K = Q @ np.diag(c) @ Q.T, Q @ np.diag(k) @ Q.T
    method = mflow.Newmark(beta=beta, gamma=gamma)
    dt = mflow.max_stable_dt(method, damping=c, stiffness=k)
    assert mflow.max_stable_dt(method, damping=C + C.T, stiffness=K + K.T, mass=2.0 * np.eye(3)) == pytest.approx(dt, rel=1e-6)
    growth = np.linalg.eigvals(np.block([[np.zeros((3, 3)), np.eye(3)], [-K, -C]])).real.max()

    def stable(h: float) -> bool:
        return growing_factors(c, k, beta, gamma, h) <= own and rate_of_newmark(C, K, beta, gamma, h) <= 1.25 * growth

    assert all(stable(h) for h in np.geomspace(min(1e-2, 0.1 * dt), min(0.999 * dt, 1e3), 12))
    assert dt == math.inf or not stable(1.001 * dt)
