"""Results of the analyses of methods: plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.base.tables import Readable, Table

__all__ = ["Oscillation", "ParameterRegion", "StabilityRegion"]


@dataclass(frozen=True, eq=False)
class StabilityRegion:
    """|R(z)| of an integrator on a grid of the complex plane: `mflow.stability_region`.

    method : Method. z : complex128 array (rows, columns), real parts along columns, imaginary parts along rows, z = lambda dt.
    abs_R : float64 array (rows, columns). stable : bool array, abs_R <= 1. re, im : the ranges.
    """

    method: Any
    z: NDArray[np.complex128]
    abs_R: Array
    stable: NDArray[np.bool_]
    re: tuple[float, float]
    im: tuple[float, float]


@dataclass(frozen=True, eq=False)
class ParameterRegion:
    """Where an optimizer is stable on a quadratic: `mflow.parameter_region`.

    method : Method. curvature : float. lr : float64 array (columns,). momentum : float64 array (rows,). beta is lr; alpha is momentum dt.
    radius : float64 array (rows, columns), the spectral radius of a step, the factor by which errors shrink. stable : bool array,
    radius <= 1.
    """

    method: Any
    curvature: float
    lr: Array
    momentum: Array
    radius: Array
    stable: NDArray[np.bool_]
    dt: float = 1.0

    @property
    def alpha(self) -> Array:
        """The factor of v = (c+ - c)/dt in c+ = c + alpha v - beta g."""
        return self.momentum * self.dt

    @property
    def beta(self) -> Array:
        """The factor of the gradient there."""
        return self.lr


@dataclass(frozen=True, eq=False)
class Oscillation(Readable):
    """Dissipation and dispersion of a method on x'' = -omega^2 x - 2 zeta omega x': `mflow.oscillation`.

    method : Method. zeta : float, the damping ratio of the oscillator. omega_dt : float64 array (m,).
    spectral_radius : float64 array (m,), of the step's matrix; above 1 it grows.
    amplitude : float64 array (m,), the modulus of the pair of eigenvalues that follows the oscillation.
    period_error : float64 array (m,), T'/T - 1 with T the exact (damped) period; nan where the pair is real, without oscillation.
    damping_ratio : float64 array (m,), of the numerical solution: zeta and what the method adds to it.
    algorithmic_damping : float64 array (m,), damping_ratio - zeta.
    """

    method: Any
    zeta: float
    omega_dt: Array
    spectral_radius: Array
    amplitude: Array
    period_error: Array
    damping_ratio: Array
    algorithmic_damping: Array

    def _parts(self) -> list[str | Table]:
        names = ("omega_dt", "spectral_radius", "amplitude", "period_error", "damping_ratio", "algorithmic_damping")
        rows = np.stack([getattr(self, name) for name in names], axis=1)
        heads = [name.replace("_", " ") for name in names]
        return [f"{self.method.name}, zeta = {self.zeta:g}", Table(heads, [[f"{value:.6g}" for value in row] for row in rows])]
