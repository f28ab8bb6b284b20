"""Kernels with problems whose stages can be solved, for tests of single steps; and parametrisation over the records that they are for."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.optimize
from mflow_core import registry

from support.kernels import Kernel
from support.levels import LEVELS
from support.oracles.tableaus import is_coupled, is_rosenbrock
from support.problems import Array, waves

STEPS = [
    (record, level)
    for level in LEVELS
    for record in registry.records_of(level)
    if record.kind == "step" and not record.flags & {"second_order", "multistep"}
]


def those(*flags: str, without: str = "", coupled: bool | None = None, linear: bool | None = None) -> Any:
    """Parametrises over the step methods that have these flags, on every level. coupled: only those whose stages are solved together, or
    only those that solve one by one, or none. linear: only those whose stages are linear equations, or only the others."""
    records = [(record, level) for record, level in STEPS if record.flags.issuperset(flags) and without not in record.flags]
    records = [(record, level) for record, level in records if coupled in (None, is_coupled(record))]
    records = [(record, level) for record, level in records if (linear if coupled is None else False) in (None, is_rosenbrock(record))]
    assert records
    return pytest.mark.parametrize("record", [pytest.param(record, id=f"{record.name}-{level}") for record, level in records])


# ---- problems with a solver --------------------------------------------------------------------------------------------


class Linear:
    """y' = J (y - cos t) - sin t, solved by elimination; y = cos t is one of its solutions. J is diagonal where it would be large."""

    def __init__(self, n: int, stiffness: float = 3.0) -> None:
        self.d = -np.linspace(0.2, stiffness, n)
        self.rest = 0.1 * np.random.default_rng(n).standard_normal((n, n)) / n if n <= 20 else np.zeros((1, 1))

    def rhs(self, t: float, y: Array) -> Array:
        away = y - math.cos(t)
        return self.d * away + (self.rest @ away if y.size <= 20 else 0.0) - math.sin(t)

    def lsolve(self, t: float, gh: float, r: Array) -> Array:
        if r.size > 20:
            return r / (1.0 - gh * self.d)
        return np.linalg.solve(np.eye(r.size) - gh * (np.diag(self.d) + self.rest), r)

    def solve(self, t: float, gh: float, r: Array, guess: Array) -> Array:
        if math.isinf(gh):
            return math.cos(t) + np.linalg.solve(np.diag(self.d) + self.rest, np.full(r.size, math.sin(t)))
        return math.cos(t) + self.lsolve(t, gh, (r - math.cos(t)) - gh * math.sin(t))

    def linearize(self, t: float, gh: float, y: Array, f: Array) -> Array:
        """The partial derivative of the right-hand side by t."""
        return self.d * math.sin(t) + (self.rest.sum(axis=1) * math.sin(t) if y.size <= 20 else 0.0) - math.cos(t)

    def system(self, row: Any, t: float, h: float, y: Array) -> Array:
        """All stages at once: f at them is f at y and J Z_j."""
        A, n, s = np.array(row.tableau["A"]), y.size, row.stages
        r = h * A @ np.stack([self.rhs(t + c * h, y) for c in row.tableau["c"]])
        if n > 20:
            return np.linalg.solve(np.eye(s) - h * A * self.d[:, None, None], r.T[:, :, None])[:, :, 0].T
        J = np.diag(self.d) + self.rest
        return np.linalg.solve(np.eye(s * n) - h * np.kron(A, J), r.ravel()).reshape(s, n)


def by_root(rhs: Any) -> Any:
    """A solver for small problems that are not linear, from SciPy."""

    def solve(t: float, gh: float, r: Array, guess: Array) -> Array:
        z = scipy.optimize.root(lambda z: z - gh * rhs(t, z) - r, guess, tol=1e-15).x
        assert np.max(np.abs(z - gh * rhs(t, z) - r)) < 1e-13
        return z

    return solve


def all_by_root(rhs: Any) -> Any:
    """The same for all stages together."""

    def system(row: Any, t: float, h: float, y: Array) -> Array:
        A, c = np.array(row.tableau["A"]), row.tableau["c"]

        def off(Z: Array) -> Array:
            stages = Z.reshape(row.stages, y.size)
            slopes = np.stack([rhs(t + node * h, y + z) for node, z in zip(c, stages, strict=True)])
            return (stages - h * A @ slopes).ravel()

        Z = scipy.optimize.root(off, np.zeros(row.stages * y.size), tol=1e-15).x
        assert np.max(np.abs(off(Z))) < 1e-13
        return Z.reshape(row.stages, y.size)

    return system


class Tangent:
    """J and the derivative by t of a right-hand side, by central differences where a step begins."""

    def __init__(self, rhs: Any) -> None:
        self.rhs, self.J = rhs, np.zeros((0, 0))

    def linearize(self, t: float, gh: float, y: Array, f: Array) -> Array:
        step = 6e-6
        units = step * np.eye(y.size)
        self.J = np.stack([(self.rhs(t, y + e) - self.rhs(t, y - e)) / (2.0 * step) for e in units], axis=1)
        return np.asarray((self.rhs(t + step, y) - self.rhs(t - step, y)) / (2.0 * step))

    def lsolve(self, t: float, gh: float, r: Array) -> Array:
        return np.linalg.solve(np.eye(r.size) - gh * self.J, r)


def kernel_of(record: Any, n: int, problem: Any = None, **more: Any) -> Kernel:
    """A kernel on `problem`, or on one that suits the method: waves, or the linear one that can be solved."""
    if problem is None and "implicit" in record.flags:
        problem = Linear(n)
        if is_rosenbrock(record):
            return Kernel(record, problem.rhs, n, lsolve=problem.lsolve, linearize=problem.linearize, **more)
        return kernel_with(record, problem.rhs, n, problem.solve, problem.system, **more)
    if problem is None:
        return Kernel(record, waves, n, **more)
    return kernel_with(record, problem, n, by_root(problem), all_by_root(problem), **more)


def kernel_with(record: Any, rhs: Any, n: int, solve: Any, system: Any, **more: Any) -> Kernel:
    """A kernel with the solver that the record calls."""
    if is_rosenbrock(record):
        tangent = Tangent(rhs)
        return Kernel(record, rhs, n, **{"lsolve": tangent.lsolve, "linearize": tangent.linearize, **more})
    return Kernel(record, rhs, n, system=system, **more) if is_coupled(record) else Kernel(record, rhs, n, solve, **more)
