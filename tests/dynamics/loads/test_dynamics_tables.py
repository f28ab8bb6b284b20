"""Textbook examples of direct integration, by the recurrences that the books print, in exact and in 50-digit arithmetic.

A. Chopra, Dynamics of Structures, the half-sine pulse on a single degree of freedom: its printed table too. K.-J. Bathe, Finite Element
Procedures (1996), chapter 9, the system of two degrees of freedom: its central difference and trapezoidal rule, recomputed in rational
numbers. Nothing here shares a line with the library, and none of the recurrences is written as the library has it.
"""

from fractions import Fraction as Q
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.sparse

import mflow

Pair = list[Q]

# ---- Chopra ------------------------------------------------------------------------------------------------------------------------------

PRINTED = ["0.0437", "0.2326", "0.6121", "1.0825", "1.4309", "1.4231", "0.9622", "0.1908", "-0.6044", "-1.1442"]


def pulse(t: Any) -> Any:
    return 10 * mpmath.sin(mpmath.pi * t / mpmath.mpf("0.6")) if t <= mpmath.mpf("0.6") else mpmath.mpf(0)


def chopra(beta: Any, gamma: Any, steps: int) -> list[Any]:
    """u, by the incremental form: khat = k + gamma c/(beta dt) + m/(beta dt^2), du = dphat/khat."""
    with mpmath.workdps(50):
        one, dt, k, z = mpmath.mpf(1), mpmath.mpf(1) / 10, mpmath.mpf(10), mpmath.mpf(1) / 20
        m = 10 / (4 * mpmath.pi**2)
        c = 2 * z * mpmath.sqrt(k * m)
        khat = k + gamma * c / (beta * dt) + m / (beta * dt**2)
        for_v, for_a = m / (beta * dt) + gamma * c / beta, m / (2 * beta) + dt * (gamma / (2 * beta) - one) * c
        u, v, out = mpmath.mpf(0), mpmath.mpf(0), []
        a = (pulse(mpmath.mpf(0)) - c * v - k * u) / m
        for i in range(steps):
            dp = pulse(mpmath.mpf(i + 1) / 10) - pulse(mpmath.mpf(i) / 10)
            du = (dp + for_v * v + for_a * a) / khat
            dv = gamma * du / (beta * dt) - gamma * v / beta + dt * (one - gamma / (2 * beta)) * a
            da = du / (beta * dt**2) - v / (beta * dt) - a / (2 * beta)
            u, v, a = u + du, v + dv, a + da
            out.append(u)
        return out


@pytest.mark.parametrize("as_table", [False, True])
@pytest.mark.parametrize("beta", [(1, 4), (1, 6)])
def test_chopra(as_table: bool, beta: tuple[int, int]) -> None:
    """Average and linear acceleration to all digits; average acceleration as printed."""
    m = 10 / (4 * np.pi**2)
    t = np.arange(11) * 0.1
    values = np.where(t <= 0.6 + 1e-9, 10 * np.sin(np.pi * t / 0.6), 0.0)
    load: Any = (t, values) if as_table else lambda s: float(values[round(10 * s)])
    s = mflow.solve_dynamics(mass=m, damping=0.1 * np.sqrt(10 * m), stiffness=10.0, load=load, t_span=(0, 1), x0=0.0, dt=0.1,
                             method=mflow.Newmark(beta[0] / beta[1], 0.5))  # fmt: skip
    u = chopra(mpmath.mpf(beta[0]) / beta[1], mpmath.mpf(1) / 2, 10)
    assert (s.reason, s.nsteps, s.nlu) == ("finished", 10, 2)
    np.testing.assert_allclose(s.x[0, 1:], [float(x) for x in u], rtol=0, atol=4e-15)
    if beta == (1, 4):
        assert [f"{float(x):.4f}" for x in u] == PRINTED == [f"{x:.4f}" for x in s.x[0, 1:]]


# ---- Bathe -------------------------------------------------------------------------------------------------------------------------------

MASS, STIFF, LOAD, DT = [Q(2), Q(1)], [[Q(6), Q(-2)], [Q(-2), Q(4)]], [Q(0), Q(10)], Q(28, 100)


def product(x: Pair) -> Pair:
    return [STIFF[i][0] * x[0] + STIFF[i][1] * x[1] for i in range(2)]


def solve(A: list[Pair], b: Pair) -> Pair:
    det = A[0][0] * A[1][1] - A[0][1] * A[1][0]
    return [(b[0] * A[1][1] - A[0][1] * b[1]) / det, (A[0][0] * b[1] - A[1][0] * b[0]) / det]


def central_difference(steps: int) -> list[Pair]:
    """(M/dt^2) u+ = R - (K - 2 M/dt^2) u - (M/dt^2) u-, u(-dt) = u0 - dt v0 + dt^2/2 a0."""
    now = [Q(0), Q(0)]
    before = [DT * DT / 2 * LOAD[i] / MASS[i] for i in range(2)]
    out = []
    for _ in range(steps):
        pull = product(now)
        now, before = [(LOAD[i] - pull[i] + MASS[i] / DT**2 * (2 * now[i] - before[i])) * DT**2 / MASS[i] for i in range(2)], now
        out.append(now)
    return out


def trapezoidal(steps: int) -> list[Pair]:
    """(K + 4 M/dt^2) u+ = R + M (4 u/dt^2 + 4 v/dt + a), v+ = 2 (u+ - u)/dt - v, a+ = 4 (u+ - u)/dt^2 - 4 v/dt - a."""
    u, v, a = [Q(0), Q(0)], [Q(0), Q(0)], [LOAD[i] / MASS[i] for i in range(2)]
    A = [[STIFF[i][j] + (4 * MASS[i] / DT**2 if i == j else 0) for j in range(2)] for i in range(2)]
    out = []
    for _ in range(steps):
        new = solve(A, [LOAD[i] + MASS[i] * (4 * u[i] / DT**2 + 4 * v[i] / DT + a[i]) for i in range(2)])
        a = [4 * (new[i] - u[i]) / DT**2 - 4 * v[i] / DT - a[i] for i in range(2)]
        v = [2 * (new[i] - u[i]) / DT - v[i] for i in range(2)]
        u = new
        out.append(u)
    return out


@pytest.mark.parametrize("kind", ["dense", "sparse", "table", "pattern"])
@pytest.mark.parametrize(("name", "exact"), [("central_difference", central_difference), ("newmark", trapezoidal),
                                             ("leapfrog", central_difference), ("staggered", central_difference)])  # fmt: skip
def test_bathe(name: str, exact: Any, kind: str) -> None:
    K: Any = np.array([[6.0, -2.0], [-2.0, 4.0]])
    load: Any = {"table": ([0.0, 9.0], [[0.0, 0.0], [10.0, 10.0]]), "pattern": ([0.0, 9.0], [1.0, 1.0], [0.0, 10.0])}.get(kind, [0.0, 10.0])
    K = scipy.sparse.csr_array(K) if kind == "sparse" else K
    s = mflow.solve_dynamics([2.0, 1.0], None, K, load, (0, 3.36), method=name, dt=0.28)
    want = np.array(exact(12), dtype=float).T
    np.testing.assert_allclose(s.x[:, 1:], want, rtol=0, atol=1e-14)
    # The closed form, from the frequencies sqrt(2) and sqrt(5): the methods are within their error of it.
    t = s.t
    first, second = 5 / 3 * (1 - np.cos(np.sqrt(2) * t)), -2 / 3 * (1 - np.cos(np.sqrt(5) * t))
    closed = np.array([first + second, first - 2 * second])
    assert np.abs(s.x - closed).max() < 0.4
    fine = mflow.solve_dynamics([2.0, 1.0], None, K, load, (0, 3.36), method=name, dt=0.0028)
    assert np.abs(fine.x[:, ::100] - closed).max() < 1e-4


@pytest.mark.parametrize("with_pattern", [False, True])
def test_a_table_that_changes_while_the_run_goes_on_is_kept_as_it_was(with_pattern: bool) -> None:
    def run(spoil: bool) -> Any:
        times, values, pattern = np.linspace(0.0, 1.0, 5), np.arange(5.0), np.array([1.0, 2.0])
        table = (times, values, pattern) if with_pattern else (times, np.outer(pattern, values))

        def callback(t: float, x: Any, v: Any) -> None:
            for part in table if spoil else ():
                part[...] = 0.0

        return mflow.solve_dynamics(1.0, None, [4.0, 9.0], table, (0, 1), [1.0, 0.0], dt=0.1, callback=callback).x

    np.testing.assert_array_equal(run(True), run(False))
