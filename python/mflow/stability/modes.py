"""Stability limits of second-order methods: their criterion on oscillators, and the modes of a force.

A mode is a pair (k, c) of x'' = -k x - c v: k = omega^2, c = 2 zeta omega. Those of a structure: structural.py. Growth of the structure
itself, from negative stiffness or damping, sets no limit.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array, check_function, check_start, real_array
from mflow.base.methods import Method
from mflow.base.pace import by_rows
from mflow.derivatives.agreement import BENDS, agreeing
from mflow.derivatives.differences import fitting_length
from mflow.spectra import krylov
from mflow.stability.criterion import criterion_of, oscillator_matrix

__all__ = ["START", "Modes", "force_modes", "limit_of_frequency", "radii", "tangents", "top_eigenvalue"]

START = 81  # stream of the random start vectors
CALLS = 25  # of a force, for its largest frequency
MANY_CALLS = 90  # where a step is chosen by it
TURNS = 0.1  # of a matrix of damping: a skew part that turns velocities and does not damp them, as a magnetic field does
DIFFERENCE = 1e-7  # of its arguments
MOST_DIFFERENCED = 1000  # degrees of freedom of a force whose tangents are differenced
OF_SIZE, ASYMMETRY = 6e-6, 1e-6  # of such a force, relative to max(1, |x|); of its derivatives, relative to the largest


def radii(matrix: Array) -> NDArray[np.float64]:
    """Spectral radii of matrices (..., n, n); inf where an entry is not finite."""
    return np.asarray(by_rows(_radii, matrix.reshape(-1, *matrix.shape[-2:])), dtype=np.float64).reshape(matrix.shape[:-2])


def _radii(matrix: Array) -> NDArray[np.float64]:
    good = np.all(np.isfinite(matrix), axis=(-2, -1))
    out = np.full(good.shape, math.inf)
    if np.any(good):
        out[good] = np.max(np.abs(np.linalg.eigvals(matrix[good])), axis=-1)
    return out


class Modes:
    """Modes (k, c), and whether a step of dt is stable for all of them.

    exact : False where k and c are bounds or estimates of the modes alone.
    """

    def __init__(self, k: Array, c: Array, exact: bool = True) -> None:
        order = np.argsort(k, kind="stable")
        self.k, self.c, self.exact = k[order], np.maximum(c[order], 0.0), exact
        moves = (self.k > 0.0) | ((self.k == 0.0) & (self.c > 0.0))
        self.k, self.c = self.k[moves], self.c[moves]

    @property
    def omega(self) -> float:
        """The largest frequency."""
        return math.sqrt(float(np.max(self.k, initial=0.0)))

    @property
    def fastest(self) -> float:
        """The largest rate, of swings or of what damps."""
        return max(self.omega, float(np.max(self.c, initial=0.0)))

    def kind(self, method: Method) -> str:
        """What `limit` is: "limit", "bound" (every step up to it is stable) or "estimate"."""
        return "limit" if self.exact else "estimate"

    def grows_at(self, method: Method) -> float:
        """A step at which a run was seen to grow, where `kind` is "bound"."""
        return math.inf

    def stable(self, method: Method, dt: float) -> bool:
        """Whether steps of dt make nothing grow but what grows by itself."""
        return bool(np.all(criterion_of(method).stable(self.k * dt * dt, self.c * dt)))

    def limit(self, method: Method) -> float:
        """The largest dt up to which every step is stable: 0 where none is, inf where all are."""
        criterion = criterion_of(method)
        if criterion.always or not self.k.size:
            return math.inf
        undamped = np.flatnonzero(self.c == 0.0)  # of them the fastest decides: limits are inversely proportional to the frequency
        chosen = np.append(np.flatnonzero(self.c > 0.0), undamped[-1:])
        return criterion.shortest(self.k[chosen], self.c[chosen])

    def gain(self, method: Method, dt: float) -> float:
        """By how much of itself a step of dt makes the fastest growing mode larger; 0 where none grows."""
        return max(float(np.max(radii(oscillator_matrix(method, self.k * dt * dt, self.c * dt)), initial=1.0)) - 1.0, 0.0)


def limit_of_frequency(method: Method, zeta: float) -> float:
    """The limit on omega dt of an oscillator with the damping ratio zeta."""
    return criterion_of(method).limit(1.0, 2.0 * zeta)[0]


# ---- of a force ------------------------------------------------------------------------------------------------------------------------


def force_modes(accel: Callable[[Array, Array], Array], x: Array, v: Array, velocity_free: bool, calls: int = CALLS) -> Modes:
    """The outermost modes of a force at one state, from differences of the force.

    accel takes x and v, each (n,), and is called ``calls`` times at most, and some times more where x or v is so small that its size may
    tell a shorter length of differences: directions are all unit vectors, or those of Arnoldi's method, whose largest value is a lower
    bound. Each of the two modes has the k and c that belong to one direction. Exceptions of accel are passed on; ValueError where it is
    not finite.
    """
    base = accel(x, v)
    sizes = [float(np.max(np.abs(part), initial=0.0)) for part in (x, v)]

    def tangent(on_x: float, on_v: float) -> Callable[[Array], Array]:
        def along(unit: Array, length: float) -> Array:
            step = length / max(float(np.max(np.abs(unit))), 1e-300) * unit
            out = (base - accel(x + on_x * step, v + on_v * step)) * (float(np.max(np.abs(unit))) / length)
            return np.asarray(out, dtype=np.float64)

        length = DIFFERENCE * max(1.0, *sizes)
        if length == DIFFERENCE:  # below 1, the size of what moves may tell a shorter one
            any_way = krylov.random_vector(x.size, START)
            length = fitting_length(lambda h: along(any_way, h), DIFFERENCE, sizes[0] if on_x else sizes[1])
        elif on_x:  # above 1 it may be that of an offset
            any_way = krylov.random_vector(x.size, START)
            length = agreeing(lambda h: along(any_way, h), length, sizes[0], BENDS).length

        def times(unit: Array) -> Array:
            out = along(unit, length)
            if not np.all(np.isfinite(out)):
                raise ValueError("force: expected finite values near the start, got NaN or an infinity")
            return out

        return times

    springs, dashpots = tangent(1.0, 0.0), None if velocity_free else tangent(0.0, 1.0)
    pairs = []
    slow = calls // 3
    of_x, of_v = springs, dashpots
    if dashpots is not None and x.size < slow:
        K, C = (np.stack([times(unit) for unit in np.eye(x.size)], axis=1) for times in (springs, dashpots))
        if np.linalg.norm(C - C.T) > TURNS * np.linalg.norm(C):
            from mflow.stability import structural  # above this module

            return structural.structure_modes(x.size, None, *(_without_noise(A) for A in (C, K)))
        of_x, of_v = (lambda unit: K @ unit), (lambda unit: C @ unit)
    k, direction = top_eigenvalue(of_x, x.size, calls - slow - 3)
    pairs.append((k, 0.0 if dashpots is None else float(direction @ dashpots(direction))))
    if of_v is not None:
        c, direction = top_eigenvalue(of_v, x.size, slow - 1)
        pairs.append((float(direction @ springs(direction)), c))
    return Modes(np.array([max(k, 0.0) for k, _ in pairs]), np.array([max(c, 0.0) for _, c in pairs]))


def tangents(force: Any, x0: Any, v0: Any) -> tuple[Array, Array]:
    """(stiffness, damping) of a force at a state, (n, n) each, by central differences. Raises TypeError or ValueError."""
    check_function(force, "force", "a function of (t, x, v)")
    if x0 is None:
        raise ValueError("x0: expected the positions at which force is looked at, got None")
    x = check_start(x0, "x0")
    v = np.zeros(x.shape) if v0 is None else check_start(v0, "v0")
    if x.ndim != 1 or v.shape != x.shape or not 0 < x.size <= MOST_DIFFERENCED:
        raise ValueError(f"x0, v0: expected arrays of shape (n,), n from 1 to {MOST_DIFFERENCED}, got shapes {x.shape} and {v.shape}")

    def along(of: int, j: int, length: float) -> Array:
        ends = []
        for sign in (1.0, -1.0):
            state = [x.copy(), v.copy()]
            state[of][j] += sign * length
            ends.append((state[of][j], real_array(force(0.0, *state), "force")))
        (up, above), (down, below) = ends
        if above.shape != x.shape or not (np.all(np.isfinite(above)) and np.all(np.isfinite(below))):
            raise ValueError(f"force: expected finite numbers of shape {x.shape} near x0 and v0, got others, of shape {above.shape}")
        return np.asarray((below - above) / (up - down))

    def slopes(of: int) -> Array:
        sizes = np.abs((x, v)[of])
        sizes[sizes == 0.0] = min(1.0, float(np.max(sizes)))  # the size of the others, where it is below 1
        lengths = [_length_of(functools.partial(along, of, j), float(size)) for j, size in enumerate(sizes)]
        return np.stack([along(of, j, length) for j, length in enumerate(lengths)], axis=1)

    K, C = slopes(0), slopes(1)
    for matrix, of in ((K, "x"), (C, "v")):
        if np.max(np.abs(matrix - matrix.T)) > ASYMMETRY * np.max(np.abs(matrix)):
            raise ValueError(f"force: expected symmetric derivatives by {of}, got others; write it as y' = F(y), and give jac=")
    return 0.5 * (K + K.T), 0.5 * (C + C.T)


def _length_of(slope: Callable[[float], Array], size: float) -> float:
    """Of a difference along one component: shorter than its share where that is another slope, below 1 or beside an offset."""
    return fitting_length(slope, OF_SIZE, size) if size <= 1.0 else agreeing(slope, OF_SIZE * size, size, BENDS).length


def _without_noise(A: Array) -> Array:
    """A matrix of differences, to some six digits of its largest entry."""
    unit = 2.0 ** np.ceil(np.log2(max(float(np.max(np.abs(A))), 1e-300))) * 2.0**-20
    return np.asarray(np.round(A / unit) * unit)


def top_eigenvalue(times: Callable[[Array], Array], n: int, count: int) -> tuple[float, Array]:
    """The largest real eigenvalue of a matrix that is given by its products, at most `count` of them, and its vector of length 1."""
    if n <= count:
        basis = np.eye(n)
        H = np.stack([times(unit) for unit in basis], axis=1)
    else:
        basis, H, _ = krylov.basis(times, krylov.random_vector(n, START), count, _exhausted)
    values, vectors = np.linalg.eig(H)
    best = int(np.argmax(values.real))
    direction = vectors[:, best].real @ basis
    size = float(np.linalg.norm(direction))
    return float(values[best].real), direction / size if size > 0.0 else basis[0]


def _exhausted(H: Array, k: int) -> bool:
    """Whether what is new of the last product is no more than the error of a difference."""
    return bool(H[k, k - 1] <= 1e-6 * np.linalg.norm(H[: k + 1, k - 1]))
