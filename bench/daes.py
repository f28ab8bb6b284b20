"""The two differential-algebraic problems of bench/stiff_peers.py: chemical Akzo Nobel and the transistor amplifier, M y' = f(t, y).

Source: F. Mazzia and C. Magherini, Test Set for IVP Solvers, release 2.4 (University of Bari, 2008). Slopes at the start, which IDA asks
for, follow from the equations and the derivative by time of the algebraic ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mflow import Recoverable


@dataclass(frozen=True)
class Dae:
    """mass y' = fun(t, y) from y0, with these slopes, at t = 0 to t_end and y_end; `floor` is atol/rtol."""

    fun: Callable[[float, Any], Any]
    mass: Any
    y0: Any
    slopes: Any
    t_end: float
    y_end: Any
    floor: float


def _chemical(t: float, y: Any) -> Any:
    if y[1] < 0.0:
        raise Recoverable("outside of the domain")
    root = np.sqrt(y[1])
    r1, r2, r3, r4, r5 = (
        18.7 * y[0] ** 4 * root,
        0.58 * y[2] * y[3],
        0.58 / 34.4 * y[0] * y[4],
        0.09 * y[0] * y[3] ** 2,
        0.42 * y[5] ** 2 * root,
    )
    inflow = 3.3 * (0.9 / 737.0 - y[1])
    return np.array([
        -2.0 * r1 + r2 - r3 - r4, -0.5 * r1 - r4 - 0.5 * r5 + inflow, r1 - r2 + r3, -r2 + r3 - 2.0 * r4, r2 - r3 + r5,
        115.83 * y[0] * y[3] - y[5],
    ])  # fmt: skip


def _transistor(t: float, y: Any) -> Any:
    first, second = 1e-6 * (np.exp((y[1] - y[2]) / 0.026) - 1.0), 1e-6 * (np.exp((y[4] - y[5]) / 0.026) - 1.0)
    return np.array([
        (y[0] - 0.1 * np.sin(200.0 * np.pi * t)) / 1000.0, (2.0 * y[1] - 6.0) / 9000.0 + 0.01 * first, y[2] / 9000.0 - first,
        (y[3] - 6.0) / 9000.0 + 0.99 * first, (2.0 * y[4] - 6.0) / 9000.0 + 0.01 * second, y[5] / 9000.0 - second,
        (y[6] - 6.0) / 9000.0 + 0.99 * second, y[7] / 9000.0,
    ])  # fmt: skip


def chemical() -> Dae:
    """Chemical Akzo Nobel, 6 components, one of them algebraic."""
    y1, y2, y4, ks = 0.444, 0.00123, 0.007, 115.83
    y6 = ks * y1 * y4
    root = np.sqrt(y2)
    r1, r4, r5 = 18.7 * y1**4 * root, 0.09 * y1 * y4**2, 0.42 * y6**2 * root
    slopes = np.array([-2.0 * r1 - r4, -0.5 * r1 - r4 - 0.5 * r5 + 3.3 * (0.9 / 737.0 - y2), r1, -2.0 * r4, r5, 0.0])
    slopes[5] = ks * (slopes[0] * y4 + y1 * slopes[3])
    end = np.array([0.1150794920661702, 0.1203831471567715e-2, 0.1611562887407974, 0.3656156421249283e-3, 0.1708010885264404e-1,
                    0.4873531310307455e-2])  # fmt: skip
    return Dae(_chemical, np.diag([1.0, 1.0, 1.0, 1.0, 1.0, 0.0]), np.array([y1, y2, 0.0, y4, 0.0, y6]), slopes, 180.0, end, 1e-2)


def transistor() -> Dae:
    """The transistor amplifier, 8 components, M of rank 5."""
    mass = np.zeros((8, 8))
    for k, c in ((0, 1e-6), (3, 3e-6), (6, 5e-6)):
        mass[k : k + 2, k : k + 2] = [[-c, c], [c, -c]]
    mass[2, 2], mass[5, 5] = -2e-6, -4e-6
    slopes = np.array([51.338775, 51.338775, -500.0 / 3.0, -24.97576670, -24.97576670, -250.0 / 3.0, -10.00564453, -10.00564453])
    end = np.array([-0.5562145012262709e-2, 3.006522471903042, 2.849958788608128, 2.926422536206241, 2.704617865010554, 2.761837778393145,
                    4.770927631616772, 1.236995868091548])  # fmt: skip
    return Dae(_transistor, mass, np.array([0.0, 3.0, 3.0, 6.0, 3.0, 3.0, 6.0, 0.0]), slopes, 0.2, end, 1.0)
