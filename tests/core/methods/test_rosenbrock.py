"""Rosenbrock methods: conditions of order for ODEs and for DAEs of index 1, and steps, in 40 digits from the numbers that are stored.

Trees and weights are those of Hairer and Wanner, Solving Ordinary Differential Equations II (1996), IV.7 and VI.4: a vertex with one branch
brings alpha_ij + gamma_ij, one with more alpha_ij, and a fat one (a component z of 0 = g(y, z)) multiplies by omega = (alpha + gamma)^-1.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.sparse

from mflow import get_method, solve_ivp
from support.daes import AKZO
from support.kernels import Kernel
from support.oracles.tableaus import is_rosenbrock, stability_function
from support.solvable import STEPS

Tree = tuple[Any, ...]  # (whether it is fat, branches)
RECORDS = [pytest.param(record, id=f"{record.name}-{level}") for record, level in STEPS if is_rosenbrock(record)]
DIGITS = 40
ROUNDING = 2e-13  # of published coefficients of 16 digits, in sums of products of them


@functools.cache
def trees(order: int, fat: bool) -> list[Tree]:
    """All trees with so many meager vertices and a root of this kind; a fat root has no single fat branch."""
    return [(fat, branches) for branches in forests(order if fat else order - 1, fat)]


@functools.cache
def forests(total: int, below_fat: bool = False) -> list[tuple[Tree, ...]]:
    out: set[tuple[Tree, ...]] = {()} if total == 0 and not below_fat else set()
    for order in range(1, total + 1):
        for tree in trees(order, False) + (trees(order, True) if order < total or not below_fat else []):
            out.update(tuple(sorted((tree, *rest))) for rest in forests(total - order))
    return sorted(out)


def meager(tree: Tree) -> int:
    return (not tree[0]) + sum(map(meager, tree[1]))


def density(tree: Tree) -> int:
    return math.prod(map(density, tree[1])) * (1 if tree[0] else meager(tree))


def plain(tree: Tree) -> bool:
    """Whether it is a tree of an ODE."""
    return not tree[0] and all(map(plain, tree[1]))


class Coefficients:
    """alpha, beta, omega, b and e Gamma of a record, in 40 digits."""

    def __init__(self, record: Any) -> None:
        t = record.tableau
        self.alpha, self.gamma = mpmath.matrix(t["A"]), mpmath.matrix(t["G"])
        self.beta, self.b = self.alpha + self.gamma, mpmath.matrix(t["b"]).T
        self.omega, self.s = self.beta**-1, record.stages
        self.known: dict[Tree, Any] = {}

    def weight(self, tree: Tree) -> Any:
        if tree not in self.known:
            matrix = self.beta if len(tree[1]) == 1 else self.alpha
            out = mpmath.matrix([1] * self.s)
            for branch in tree[1]:
                inner = matrix * self.weight(branch)
                out = mpmath.matrix([u * v for u, v in zip(out, inner, strict=True)])
            self.known[tree] = self.omega * out if tree[0] else out
        return self.known[tree]

    def off(self, tree: Tree, b: Any, power: Any = 1) -> float:
        return abs(float((b * self.weight(tree))[0] - power / mpmath.mpf(density(tree))))


@functools.cache
def numbers_of(record: Any) -> Coefficients:
    with mpmath.workdps(DIGITS):
        return Coefficients(record)


def kernel_weights(record: Any) -> tuple[Any, Any]:
    """(b - bhat, rows of powers of theta) over the k_i, from the kernel's sums of unit vectors u_i, which Gamma makes of the k_i."""
    s, G = record.stages, np.array(record.tableau["G"])
    kernel = Kernel(record, lambda t, y: np.zeros(s), s, lsolve=lambda t, gh, r: np.zeros(s), linearize=lambda t, gh, y, f: np.zeros(s))
    count = [0]

    def unit(t: float, gh: float, r: Any) -> Any:
        count[0] += 1
        return np.eye(s)[count[0] - 1]

    kernel.lsolve = unit
    assert kernel.step(0.0, np.zeros((1, s)), 1.0) == 0
    err = kernel.errors[0] @ G
    kernel.dense()
    return err, [line @ G for line in kernel.D[:-1, :s]]


def test_trees_are_counted_right() -> None:
    assert [len([tree for tree in trees(k, False) if plain(tree)]) for k in range(1, 6)] == [1, 1, 2, 4, 9]
    assert [(len(trees(k, False)), len(trees(k, True))) for k in (1, 2, 3)] == [(1, 1), (2, 5), (10, 28)]


@pytest.mark.parametrize("record", RECORDS)
def test_conditions_of_differential_and_algebraic_components(record: Any) -> None:
    """y of order p needs all trees with a meager root up to p, z those with a fat root up to p - 1; not all of the next are met."""
    with mpmath.workdps(DIGITS):
        n = numbers_of(record)
        for order in range(1, record.order + 1):
            assert max(n.off(tree, n.b) for tree in trees(order, False)) < ROUNDING
        for order in range(1, record.order):
            assert max(n.off(tree, n.b) for tree in trees(order, True)) < ROUNDING
        assert max(n.off(tree, n.b) for tree in trees(record.order + 1, False) if plain(tree)) > 1e-4


@pytest.mark.parametrize("record", RECORDS)
def test_conditions_of_the_embedded_formula(record: Any) -> None:
    with mpmath.workdps(DIGITS):
        n = numbers_of(record)
        b = n.b - mpmath.matrix(kernel_weights(record)[0].tolist()).T
        for order in range(1, record.order_hat + 1):
            assert max(n.off(tree, b) for tree in trees(order, False)) < ROUNDING
        assert max(n.off(tree, b) for tree in trees(record.order_hat + 1, False) if plain(tree)) > 1e-4


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("theta", [0.25, 0.5, 0.875, 1.0])
def test_conditions_of_the_extension(record: Any, theta: float) -> None:
    """b(theta) weight = theta^k/density up to its degree; at the end it is the method's own."""
    with mpmath.workdps(DIGITS):
        n = numbers_of(record)
        rows = kernel_weights(record)[1]
        b = mpmath.matrix(sum(theta ** (k + 1) * row for k, row in enumerate(rows)).tolist()).T
        for order in range(1, len(rows) + 1):
            worst = max(n.off(tree, b, mpmath.mpf(theta) ** order) for tree in trees(order, False) if plain(tree))
            assert worst < 10 * ROUNDING
    if theta == 1.0:
        np.testing.assert_allclose([float(x) for x in b], record.tableau["b"], rtol=0, atol=1e-13)


@pytest.mark.parametrize("record", RECORDS)
def test_it_is_stiffly_accurate_and_forgets_at_infinity(record: Any) -> None:
    with mpmath.workdps(DIGITS):
        n = numbers_of(record)
        assert max(abs(n.beta[n.s - 1, j] - n.b[j]) for j in range(n.s)) < ROUNDING
        assert abs(sum(n.alpha[n.s - 1, j] for j in range(n.s)) - 1) < ROUNDING
        assert abs(1 - (n.b * n.omega * mpmath.matrix([1] * n.s))[0]) < ROUNDING  # R at infinity
    assert max(abs(stability_function(record, -x)) for x in np.geomspace(1e-3, 1e8, 100)) < 1.0


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("with_mass", [False, True])
def test_a_step_in_40_digits(record: Any, with_mass: bool) -> None:
    """M y' = f, f = (t - y1^2, y1 y2 - cos t) or, with M singular, 0 = its second part: from the k_i as they are defined."""
    t0, h, start = 0.25, 0.125, [0.75, math.cos(0.25) / 0.75]
    M = np.array([[2.0, 0.5], [0.0, 0.0]]) if with_mass else np.eye(2)
    with mpmath.workdps(DIGITS):
        n = numbers_of(record)
        y = mpmath.matrix(start)
        J = mpmath.matrix([[-2 * y[0], 0], [y[1], y[0]]])
        by_time = mpmath.matrix([1, mpmath.sin(t0)])
        K: list[Any] = []
        for i in range(n.s):
            t = t0 + h * sum(n.alpha[i, j] for j in range(n.s))
            at = y + sum((n.alpha[i, j] * K[j] for j in range(i)), start=mpmath.zeros(2, 1))
            f = mpmath.matrix([t - at[0] ** 2, at[0] * at[1] - mpmath.cos(t)])
            known = h * f + h * J * sum((n.gamma[i, j] * K[j] for j in range(i)), start=mpmath.zeros(2, 1))
            known += h**2 * sum(n.gamma[i, j] for j in range(n.s)) * by_time
            K.append(mpmath.lu_solve(mpmath.matrix(M.tolist()) - h * n.gamma[i, i] * J, known))
        want = [float(v) for v in y + sum((n.b[i] * K[i] for i in range(n.s)), start=mpmath.zeros(2, 1))]
    J0 = np.array([[-2.0 * start[0], 0.0], [start[1], start[0]]])
    kernel = Kernel(
        record, lambda t, y: np.array([t - y[0] ** 2, y[0] * y[1] - math.cos(t)]), 2,
        lsolve=lambda t, gh, r: np.linalg.solve(M - gh * J0, r), linearize=lambda t, gh, y, f: np.array([1.0, math.sin(t)]),
        mass=M if with_mass else None,
    )  # fmt: skip
    for in_place in (False, True):
        assert kernel.step(t0, np.array([start]), h, in_place=in_place) == 0
        np.testing.assert_allclose(kernel.y, want, rtol=0, atol=1e-13)


@pytest.mark.parametrize("record", RECORDS)
def test_calls_of_a_step(record: Any) -> None:
    """f and the derivatives once at the start, then a solve for each stage with one and the same matrix."""
    kernel = Kernel(record, lambda t, y: -y, 3, lsolve=lambda t, gh, r: r / (1.0 + gh), linearize=lambda t, gh, y, f: np.zeros(3))
    assert kernel.step(0.3, np.ones((1, 3)), 0.2) == 0
    kinds = [call[0] for call in kernel.calls]
    assert kinds == ["rhs", "linearize", "lsolve", *["rhs", "lsolve"] * (record.stages - 1)]
    gamma = record.tableau["G"][0][0]
    assert {call[1:3] for call in kernel.calls if call[0] == "lsolve"} == {(0.3, gamma * 0.2)}
    assert kernel.calls[1][4].tolist() == [-1.0] * 3  # f(t, y) in
    np.testing.assert_allclose([call[1] for call in kernel.calls if call[0] == "rhs"], 0.3 + 0.2 * np.array(record.tableau["c"]))


@pytest.mark.parametrize("way", ["analytic", "banded", "sparse", "coloured"])
def test_every_way_to_the_jacobian_gives_the_same_solution(way: str) -> None:
    """It is part of the result; differences are right to some 8 digits."""
    n = 12
    wide = np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1)
    jac = lambda t, y: 4.0 * (wide - 3.0 * np.eye(n)) - np.diag(3.0 * y * y)  # noqa: E731
    given: Any = {"analytic": {"jac": jac}, "banded": {"lband": 1, "uband": 1}, "coloured": {"jac_sparsity": wide},
                  "sparse": {"jac": lambda t, y: scipy.sparse.csc_array(jac(t, y))}}[way]  # fmt: skip

    def chain(t: float, y: Any) -> Any:
        return 4.0 * (wide @ y - 3.0 * y) - y**3

    want, r = (solve_ivp(chain, (0, 1), np.sin(np.arange(1.0, n + 1.0)), "rodas5p", dt=0.04, **more) for more in ({}, given))
    np.testing.assert_allclose(r.y, want.y, rtol=0, atol=1e-9)


@pytest.mark.parametrize("solver", ["newton_krylov", "fixed_point"])
def test_solvers_without_a_matrix_are_refused(solver: str) -> None:
    with pytest.raises(ValueError, match="solver: expected 'newton' for rodas5p"):
        solve_ivp(lambda t, y: -y, (0, 1), [1.0], "rodas5p", solver=solver)


def test_a_step_costs_one_factorisation_and_no_iteration() -> None:
    calls = [0]

    def fun(t: float, y: Any) -> Any:
        calls[0] += 1
        return AKZO.fun(t, y)

    r = solve_ivp(fun, (0.0, 180.0), AKZO.y0, "rodas5p", mass=AKZO.mass, rtol=1e-5, atol=1e-9)
    tries = r.nsteps + r.nrejected
    assert r.reason == "finished"
    assert r.nlu == tries
    assert r.njev == r.nsteps  # a try of another length from the same place has it at hand
    assert r.nfev + r.ncheck == calls[0]
    assert get_method("rodas5p").stages * r.nsteps < calls[0] <= (get_method("rodas5p").stages + 1) * tries + 7 * r.njev + 12
