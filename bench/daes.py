"""Differential-algebraic problems, M y' = f(t, y): chemical Akzo Nobel and the transistor amplifier of bench/stiff_peers.py, a pendulum.

    python bench/daes.py            # how well the pendulum keeps to its constraints, by method and tolerance

Source: F. Mazzia and C. Magherini, Test Set for IVP Solvers, release 2.4 (University of Bari, 2008). Slopes at the start, which IDA asks
for, follow from the equations and the derivative by time of the algebraic ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import integrate

from mflow import Recoverable, methods, solve_ivp


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


def pendulum() -> Dae:
    """A unit pendulum from rest at an angle of pi/2, x, y, u, v and the tension l, as index 1: of the length x^2 + y^2 = 1 the second
    derivative is the algebraic equation, u^2 + v^2 - l (x^2 + y^2) - y = 0. Nothing holds the length itself. y_end is by the angle."""
    swing = integrate.solve_ivp(lambda t, p: [p[1], -np.sin(p[0])], (0.0, 10.0), [0.5 * np.pi, 0.0], "DOP853", rtol=1e-13, atol=1e-13)
    angle, turn = swing.y[:, -1]
    place = np.array([np.sin(angle), -np.cos(angle), turn * np.cos(angle), turn * np.sin(angle), turn**2 + np.cos(angle)])
    return Dae(_pendulum, np.diag([1.0, 1.0, 1.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, -1.0, 0.0]),
               10.0, place, 1.0)  # fmt: skip


def _pendulum(t: float, s: Any) -> Any:
    x, y, u, v, tension = s
    return np.array([u, v, -tension * x, -tension * y - 1.0, u * u + v * v - tension * (x * x + y * y) - y])


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python bench/daes.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tols", nargs="+", type=float, default=(1e-4, 1e-6, 1e-8, 1e-10), metavar="RTOL")
    arguments = parser.parse_args()
    p, names = pendulum(), [m.name for m in methods() if m.kind == "step" and {"mass", "embedded"} <= set(m.flags)]
    print(f"pendulum, 0 to {p.t_end:g}: acceleration constraint over rtol = atol (10 asked), drift of the length, error at the end")
    for name in names:
        for tol in arguments.tols:
            r = solve_ivp(p.fun, (0.0, p.t_end), p.y0, name, mass=p.mass, rtol=tol, atol=tol)
            left = np.max(np.abs([_pendulum(t, s)[4] for t, s in zip(r.t, r.y.T, strict=True)])) / tol
            drift = np.max(np.abs(r.y[0] ** 2 + r.y[1] ** 2 - 1.0))
            error = np.max(np.abs(r.y[:, -1] - p.y_end))
            verdict = "met" if left <= 10.0 else "missed"
            print(f"  {name:10s}{tol:8.0e}{left:10.2g} {verdict:6s}{drift:10.1e}{error:10.1e}  {r.nfev} evaluations, {r.reason}")


if __name__ == "__main__":
    main()
