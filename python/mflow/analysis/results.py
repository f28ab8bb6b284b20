"""Results of the analyses of problems: plain NumPy arrays, and a text."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.base.result import Result
from mflow.base.tables import Readable, Table

__all__ = [
    "BasinsResult",
    "FamilyResult",
    "Posedness",
    "PosednessPath",
]


@dataclass(frozen=True, eq=False)
class Posedness(Readable):
    """The verdict on y' = F(t, y) at a point: `mflow.posedness`.

    verdict : "ill-posed" (an eigenvalue with a positive real part), "well-posed" (all real parts negative), "linearly stable" (an
    eigenvalue that is 0 to rounding: errors neither grow nor fade exponentially, and may add up to a slow drift), "suspect" (one so near 0
    that the error of the eigenvalues decides its sign), "not known" (0 lies between the bounds of the largest real part).
    t : float. y : float64 array. eigenvalues : complex128 array (k,), by falling real part: all (complete is True), or outer ones, as
    estimates. error : float, of an eigenvalue, at most. growth_rate : float, the largest real part, or the best estimate of it.
    growth_interval : (low, high), bounds of the largest real part; -inf and inf where there are none. probability : float, that they hold:
    1 where rounding alone is against them, below it where the upper one rests on a random start, nan where it is an estimate that rests on
    Arnoldi's method having found the rightmost eigenvalue.
    numerical_abscissa : float, the largest eigenvalue of (J + J^T)/2 (an upper bound of it where n is large), the rate at which an error
    can grow at first, in the Euclidean norm; inf where it is not known. Where it is well above growth_rate, J is far from normal.
    doubling_time : float, after which the fastest growing error has doubled; inf where none is known to grow.
    index : int or None, of a gradient flow (symmetric Jacobian): the number of directions in which the cost falls. geometry : in words.
    text : the verdict as a sentence.
    """

    verdict: str
    t: float
    y: Array
    eigenvalues: NDArray[np.complex128]
    complete: bool
    error: float
    growth_rate: float
    doubling_time: float
    index: int | None
    geometry: str
    text: str
    growth_interval: tuple[float, float] = (-math.inf, math.inf)
    probability: float = math.nan
    numerical_abscissa: float = math.inf


@dataclass(frozen=True, eq=False)
class PosednessPath(Readable):
    """The verdict along a computed path: `IVPResult.posedness` or `mflow.posedness_along`.

    t : float64 array (m,). y : float64 array (n, m). points : list of m `Posedness`. verdicts : list of m str.
    eigenvalues : complex128 array (m, k), by falling real part, NaN where a point has fewer.
    changes : list of (t, before, after): where the verdict changes, t to the precision asked.
    growth : float64 array (m,), the factor by which the fastest growing small perturbation of the start has grown: the largest singular
    value of the propagator, or where exact_growth is False (more than 150 components) the bound from below, nan where it is
    not known, or a guess between 0 and inf where J changes faster than it could be followed. growth_bounds : float64 array
    (2, m), from below and above. growth_probability : float, of each upper bound, which rests on random vectors; 1 where exact.
    lyapunov : float64 array (p,), finite-time exponents log(singular value)/(t_end - t0), falling: all up to 60 components, the
    leading 6 up to 150, of more that of growth; -inf where a perturbation fades below the least number within a step.
    verdict : str, the worst at the points; between them the path is not looked at. method : Method or None, dt : float or None, of the run.
    """

    t: Array
    y: Array
    points: list[Posedness]
    verdicts: list[str]
    eigenvalues: NDArray[np.complex128]
    changes: list[tuple[float, str, str]]
    growth: Array
    lyapunov: Array
    exact_growth: bool
    verdict: str
    method: Any
    dt: float | None
    text: str
    growth_bounds: Array = field(default_factory=lambda: np.empty((2, 0)))
    growth_probability: float = math.nan


class FamilyResult(Result):
    """Solutions of one equation from many starts: `mflow.family`.

    t : float64 array (m,). y : float64 array (starts, n, m), NaN from where a solution ended early. starts : float64 array (starts, n).
    ends : float64 array (starts, n), the last good states. fun : the right-hand side ``fun(t, y)``, for a direction field.
    success : bool. reason : list of str, one a start. spread : float64 array (m,), the largest distance between two solutions over that
    at the start, for each time; above 1 the family spreads (ill-posed), below 1 it closes (well-posed); NaN with a single start. Of more
    than 200 starts neighbours in the list alone are compared, and it is a bound from below.
    nfev : int.
    """

    t: Array
    y: Array
    starts: Array
    ends: Array
    fun: Any
    success: bool
    reason: list[str]
    spread: Array
    nfev: int


@dataclass(frozen=True, eq=False)
class BasinsResult(Readable):
    """Which minimum each start reaches: `mflow.basins`.

    method : Method. dt : float. axes : (x, y) float64 arrays where the starts are a grid of the plane, else None.
    starts : float64 array (*grid, n), with grid = (len(y), len(x)) or (starts,). labels : int array (*grid): row of `minima`, or -1.
    minima : float64 array (k, n). ends : float64 array (*grid, n), the last good points. steps : int array (*grid), steps that were
    taken. flow_labels : int array (*grid): where the exact flow leads. changed : bool array (*grid): the path left the basin of its
    start; False where it took all its steps without an end. boundary : bool array (*grid), a neighbour reaches
    another minimum (grids alone, else all False).
    room : float64 array (*grid), how far the start is from the nearest start that the exact flow leads elsewhere.
    drift : float64 array (*grid), the largest distance of the numerical path from the exact flow's path, as curves; inf where it left
    the finite numbers. allowed_drift : float64 array (*grid), the least distance of the exact path from a start that leads elsewhere:
    a numerical path that drifts less stays in its basin. nan where only one basin is known.
    reasons : list of str: "converged", "max_iter", "diverged", "non_finite", one a start in C order.
    """

    method: Any
    dt: float
    axes: tuple[Array, Array] | None
    starts: Array
    labels: NDArray[np.int64]
    minima: Array
    ends: Array
    steps: NDArray[np.int64]
    flow_labels: NDArray[np.int64]
    changed: NDArray[np.bool_]
    boundary: NDArray[np.bool_]
    room: Array
    drift: Array
    allowed_drift: Array
    reasons: list[str]

    def _parts(self) -> list[str | Table]:
        lines: list[str | Table] = [f"{self.method.name}, dt = {self.dt:g}: {self.labels.size} starts"]
        for k, minimum in enumerate(self.minima):
            place = ", ".join(f"{v:.6g}" for v in minimum)
            lines.append(f"{int(np.sum(self.labels == k)):6d} reach ({place}), the exact flow {int(np.sum(self.flow_labels == k))}")
        lines.append(f"{int(np.sum(self.labels < 0)):6d} reach none, the exact flow {int(np.sum(self.flow_labels < 0))}")
        lines.append(f"{int(np.sum(self.changed)):6d} left the basin they started in")
        return lines
