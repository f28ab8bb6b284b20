"""Differential-algebraic problems M y' = f(t, y) of index 1, with published end values.

Equations written from their statement in the Test Set for IVP Solvers (F. Mazzia and C. Magherini, release 2.4, University of Bari, 2008;
earlier W. M. Lioen and J. J. B. de Swart, CWI), end values as printed there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any


@dataclass(frozen=True)
class Dae:
    """M y' = fun(t, y) from y0 at t = 0 to t_end, and the end; `atol` is for rtol = 1."""

    fun: Callable[[float, Array], Array]
    mass: Array
    y0: Array
    t_end: float
    y_end: Array
    jac: Any = None


def _akzo(t: float, y: Array) -> Array:
    y1, y2, y3, y4, y5, y6 = y.tolist()
    root = math.sqrt(y2) if y2 >= 0.0 else math.nan
    r1, r2, r3 = 18.7 * y1**4 * root, 0.58 * y3 * y4, 0.58 / 34.4 * y1 * y5
    r4, r5, inflow = 0.09 * y1 * y4 * y4, 0.42 * y6 * y6 * root, 3.3 * (0.9 / 737.0 - y2)
    return np.array(
        [
            -2.0 * r1 + r2 - r3 - r4, -0.5 * r1 - r4 - 0.5 * r5 + inflow, r1 - r2 + r3, -r2 + r3 - 2.0 * r4, r2 - r3 + r5,
            115.83 * y1 * y4 - y6,
        ]
    )  # fmt: skip


AKZO = Dae(
    _akzo,
    np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0]),
    np.array([0.444, 0.00123, 0.0, 0.007, 0.0, 115.83 * 0.444 * 0.007]),
    180.0,
    np.array([0.1150794920661702, 0.1203831471567715e-2, 0.1611562887407974, 0.3656156421249283e-3, 0.1708010885264404e-1,
              0.4873531310307455e-2]),
)  # fmt: skip


def _current(v: float) -> float:
    return 1e-6 * (math.exp(v / 0.026) - 1.0) if v < 10.0 else math.inf


def _transistor(t: float, y: Array) -> Array:
    y1, y2, y3, y4, y5, y6, y7, y8 = y.tolist()
    first, second = _current(y2 - y3), _current(y5 - y6)
    return np.array(
        [
            (y1 - 0.1 * math.sin(200.0 * math.pi * t)) / 1000.0, y2 / 9000.0 + (y2 - 6.0) / 9000.0 + 0.01 * first, y3 / 9000.0 - first,
            (y4 - 6.0) / 9000.0 + 0.99 * first, y5 / 9000.0 + (y5 - 6.0) / 9000.0 + 0.01 * second, y6 / 9000.0 - second,
            (y7 - 6.0) / 9000.0 + 0.99 * second, y8 / 9000.0,
        ]
    )  # fmt: skip


def _capacitors() -> Array:
    M = np.zeros((8, 8))
    for i, j, c in ((0, 1, 1e-6), (3, 4, 3e-6), (6, 7, 5e-6)):
        M[i, i] = M[j, j] = -c
        M[i, j] = M[j, i] = c
    M[2, 2], M[5, 5] = -2e-6, -4e-6
    return M


TRANSISTOR = Dae(
    _transistor,
    _capacitors(),
    np.array([0.0, 3.0, 3.0, 6.0, 3.0, 3.0, 6.0, 0.0]),
    0.2,
    np.array([-0.5562145012262709e-2, 3.006522471903042, 2.849958788608128, 2.926422536206241, 2.704617865010554, 2.761837778393145,
              4.770927631616772, 1.236995868091548]),
)  # fmt: skip


def _robertson(t: float, y: Array) -> Array:
    slow, fast = 0.04 * y[0], 1e4 * y[1] * y[2]
    return np.array([-slow + fast, slow - fast - 3e7 * y[1] * y[1], y[0] + y[1] + y[2] - 1.0])


ROBERTSON = Dae(
    _robertson,
    np.array([1.0, 1.0, 0.0]),
    np.array([1.0, 0.0, 0.0]),
    1e11,
    np.array([0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050]),
    lambda t, y: np.array([[-0.04, 1e4 * y[2], 1e4 * y[1]], [0.04, -1e4 * y[2] - 6e7 * y[1], -1e4 * y[1]], [1.0, 1.0, 1.0]]),
)


def pendulum(t: float, y: Array) -> Array:
    """x, y, u, v and the tension of a pendulum of length 1: its constraint is that of the acceleration, so that the index is 1."""
    x, z, u, v, tension = y
    return np.array([u, v, -tension * x, -tension * z - 9.81, u * u + v * v - tension * (x * x + z * z) - 9.81 * z])


PENDULUM_MASS = np.array([1.0, 1.0, 1.0, 1.0, 0.0])
PENDULUM_START = np.array([1.0, 0.0, 0.0, 0.0, 0.0])
