"""Stability limits of second-order methods: their criterion on oscillators, and the modes of a force.

A mode is a pair (k, c) of x'' = -k x - c v: k = omega^2, c = 2 zeta omega. Those of a structure: structural.py. Growth of the structure
itself, from negative stiffness or damping, sets no limit, unless steps make it faster: see `Growing`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
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

__all__ = [
    "EXACT", "FEW", "START", "STILL", "Growing", "GrowingModes", "Modes", "force_modes", "limit_of_frequency", "radii", "tangents",
    "top_eigenvalue",
]  # fmt: skip

START = 81  # stream of the random start vectors
CALLS = 25  # of a force, for its largest frequency
MANY_CALLS = 90  # where a step is chosen by it
TURNS = 0.1  # of a matrix of damping: a skew part that turns velocities and does not damp them, as a magnetic field does
DIFFERENCE = 1e-7  # of its arguments
MOST_DIFFERENCED = 1000  # degrees of freedom of a force whose tangents are differenced
OF_SIZE, ASYMMETRY = 6e-6, 1e-6  # of such a force, relative to max(1, |x|); of its derivatives, relative to the largest
CLOSE = 1e-8  # of a limit: to which it is looked for by rates of growth
LOOKS, FEWEST, MOST = 600, 8, 100  # steps that a search tries between h and 10 h: about LOOKS/n, within the other two
BESIDE = 10.0  # times the time of the slowest mode: beyond it a search tries each factor ten alone
FEW, NEARBY = 30, 3.0  # degrees of freedom; of the limit of modes without coupling: from where steps are close, where there are more
OWN = 1.25  # a structure that grows by itself may grow by this much faster
EXACT = 1e-11  # of the fastest mode: what growth may be rounding
NOISE = 2e-14  # of a step: what growth may be rounding, where its factors are at hand and not their logarithms
BELOW, BANDS = 3, 300  # where steps have parts, BANDS more are tried, from the limit divided by BELOW
AT_ONCE = 0.5  # of the fastest mode's time: up to there growth may have been hidden by rounding
LONGER, GRADUAL = 1.5, 1e-8  # of a limit; of the fastest mode: growth there of which the beginning was hidden by rounding
STILL = 1e-7  # of the fastest mode: what is slower may be a rigid motion, whose growth is the root of rounding


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

    def rate(self, method: Method) -> str:
        """In words: what is so fast that the limit is what it is."""
        return (
            f"the largest frequency {self.omega:.4g}"
            if self.omega > 0.0
            else f"forces that change velocities at the rate {self.fastest:.4g}"
        )

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


# ---- of a structure that grows by itself -----------------------------------------------------------------------------------------------


class Growing(Modes):
    """Modes of a structure that may grow by itself.

    Steps of dt are unstable where more of their factors R grow than eigenvalues of the structure do, or where one grows at more than `OWN`
    times the rate of the structure, by log|R|/dt. So implicit steps have a limit where they overtake a mode that grows. A factor below -1
    in place of one that grew counts by its size alone.
    """

    n: int
    grows = True  # perhaps

    @functools.cached_property
    def eigenvalues(self) -> NDArray[np.complex128]:
        """The eigenvalues of the structure."""
        raise NotImplementedError

    @functools.cached_property
    def growth(self) -> float:
        """Of the structure itself: the largest real part of its eigenvalues; 0 where that is rounding alone."""
        growth = float(self.eigenvalues.real.max())
        return growth if growth > STILL * float(np.abs(self.eigenvalues).max()) else 0.0

    def _rates(self, method: Method, dt: float) -> tuple[NDArray[np.complex128], float]:
        """z for the factors (1 + s)/(1 - s) of a step, s = dt z/2: for dt to 0 they are the structure's own. And the rounding of a factor
        near 1, in units of `NOISE`."""
        raise NotImplementedError

    def _of_modes(self, method: Method) -> float:
        """About the limit where more than `FEW` degrees of freedom do not grow."""
        raise NotImplementedError

    def _margin(self, method: Method, dt: float) -> float:
        """By how much something grows faster than the structure itself may: above 0 where the step is unstable."""
        z, near_one = self._rates(method, dt)
        own = self.eigenvalues
        size = min(float(np.abs(z).max(initial=0.0)), 1.0 / dt)
        z = z[np.abs(z) > STILL * size]
        own = own[(np.abs(own) > 0.5 * STILL * size) & (own.real > EXACT * float(np.abs(own).max(initial=0.0)))]
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            square = (0.5 * dt * np.abs(z)) ** 2
            over = z.real - np.maximum(EXACT * size, NOISE / dt * (square + near_one))  # and rounding of factors near -1
            rate = np.arctanh(np.clip(dt * over / (1.0 + square), -1.0, 1.0)) / dt  # log|factor| / dt
        rate = np.sort(np.where(np.isfinite(z), rate, math.inf))[::-1]
        beyond = float(rate[own.size]) if own.size < rate.size else -math.inf
        return max(beyond, float(np.max(rate, initial=-math.inf)) - OWN * float(np.max(own.real, initial=0.0)))

    def _search(self, method: Method, bound: float) -> float:
        """The limit: between the first step that grows, of many from the shortest, and the one before it."""
        least = (1e-9 if criterion_of(method).linear else 1e-6 if method.record.stages <= 1 else 1e-3) / self.fastest
        lower = upper = 0.0
        for upper in self._steps(method, least, bound if criterion_of(method).linear and not self.grows else 0.0):
            if self._margin(method, upper) > 0.0:
                break
            lower = upper
        else:
            return math.inf
        if lower == 0.0:
            return 0.0
        if method.record.stages > 1 and self.n <= FEW:  # where a part of the step has no solution, a narrow band of steps grows
            between = np.linspace(lower / BELOW, lower, BANDS).tolist()
            first = next((k for k, step in enumerate(between) if self._margin(method, step) > 0.0), 0)
            lower, upper = between[first - 1 : first + 1] if first > 0 else (lower, upper)
        limit = _root(lambda dt: self._margin(method, dt), lower, upper)
        return 0.0 if self._came_gradually(method, limit) else limit

    def _steps(self, method: Method, least: float, stable: float) -> Iterator[float]:
        """Steps to try. least : whose growth is told from rounding. stable : steps up to there do not grow."""
        fastest, rates = self.fastest, np.abs(self.eigenvalues)
        slowest = float(np.min(rates[rates > STILL * fastest], initial=fastest))
        close = 10.0 ** (1.0 / min(max(LOOKS // self.n, FEWEST), MOST))
        begin = 1e-2 / fastest
        if self.n > FEW and 0.0 < (known := self._of_modes(method)) < math.inf:
            begin = max(begin, known / NEARBY)
        step = max(least, stable)
        while step < 1e9 / fastest:
            yield step
            after = step * (close if begin <= step and step * slowest < BESIDE else 10.0)
            step = begin if step < begin < after else after

    def _came_gradually(self, method: Method, limit: float) -> bool:
        """Whether all steps grow, the short ones below rounding: nothing damps, and a longer one grows but a little more."""
        rates, fastest = self.eigenvalues, self.fastest
        damped = float(np.max(rates.real[np.abs(rates) > STILL * fastest], initial=-math.inf)) < -EXACT * fastest
        hidden = not damped and self.growth == 0.0 and limit * fastest < AT_ONCE
        return hidden and self._margin(method, LONGER * limit) <= GRADUAL * min(fastest, 1.0 / limit)


class GrowingModes(Growing):
    """Modes, and those that grow by themselves, (k, c) with one of them below 0."""

    def __init__(self, others: Modes, k: Array, c: Array) -> None:
        super().__init__(others.k, others.c)
        self.n, self.grown = k.size, (k, c)
        self.limits: dict[Method, float] = {}

    @functools.cached_property
    def eigenvalues(self) -> NDArray[np.complex128]:
        """The eigenvalues of what grows."""
        k, c = self.grown
        return _of_quadratic(np.ones(k.size), c, k)

    @property
    def fastest(self) -> float:
        """The largest rate of what grows."""
        return float(np.max(np.abs(self.eigenvalues)))

    def limit(self, method: Method) -> float:
        """The largest dt up to which every step is stable: 0 where none is, inf where all are."""
        if method not in self.limits:
            self.limits[method] = min(super().limit(method), self._search(method, 0.0))
        return self.limits[method]

    def rate(self, method: Method) -> str:
        """In words: what is so fast that the limit is what it is."""
        others = super().limit(method) <= self.limit(method)
        return super().rate(method) if others else f"what grows by itself at the rate {self.growth:.4g}"

    def stable(self, method: Method, dt: float) -> bool:
        """Whether steps of dt make nothing grow but what grows by itself."""
        return super().stable(method, dt) and self._margin(method, dt) <= 0.0

    def gain(self, method: Method, dt: float) -> float:
        """By how much of itself a step of dt makes the fastest growing mode larger, beyond what grows by itself."""
        return max(super().gain(method, dt), math.expm1(dt * max(self._margin(method, dt), 0.0)))

    def _of_modes(self, method: Method) -> float:
        return math.inf

    def _rates(self, method: Method, dt: float) -> tuple[NDArray[np.complex128], float]:
        criterion, (k, c) = criterion_of(method), self.grown
        if criterion.linear and criterion.order == 2:
            with np.errstate(over="ignore", invalid="ignore"):  # of steps whose square is no number
                b = [r + p * k + q * c for r, p, q in criterion.matrices(dt)]
                return _of_quadratic(0.25 * b[2], b[1] / (2.0 * dt), b[0] / (dt * dt)), 0.0
        matrix = oscillator_matrix(method, k * dt * dt, c * dt)
        if not np.all(np.isfinite(matrix)):
            return np.array([math.inf + 0j]), 1.0
        factors = np.linalg.eigvals(matrix).ravel().astype(np.complex128)
        with np.errstate(divide="ignore", invalid="ignore"):
            return (2.0 / dt) * (factors - 1.0) / (factors + 1.0), 1.0


def _of_quadratic(a: Array, b: Array, c: Array) -> NDArray[np.complex128]:
    """The roots of a z^2 + b z + c, without cancellation."""
    with np.errstate(all="ignore"):
        half = -0.5 * (b + np.where(b < 0.0, -1.0, 1.0) * np.sqrt((b * b - 4.0 * a * c).astype(np.complex128)))
        return np.concatenate([half / a, np.where(half == 0.0, 0.0, c / half)])


def _root(margin: Callable[[float], float], lower: float, upper: float) -> float:
    """Where margin rises through 0 between two steps: by straight lines, of which none keeps an end for long (the Illinois method)."""
    f, g = (max(min(margin(h) * h, 1.0), -1.0) for h in (lower, upper))
    kept = 0
    for k in range(100):
        if upper - lower <= CLOSE * upper:
            break
        halve = k % 4 == 3 or g == 1.0  # a factor has passed -1: margin jumps
        step = 0.5 * (lower + upper) if halve else lower + min(max(f / (f - g), 1e-10), 1.0 - 1e-10) * (upper - lower)
        value = max(min(margin(step) * step, 1.0), -1.0)
        if value <= 0.0:
            lower, f, g, kept = step, value, g * (0.5 if kept == 1 and g < 1.0 else 1.0), 1
        else:
            upper, g, f, kept = step, value, f * (0.5 if kept == -1 else 1.0), -1
    return lower


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
    if x.ndim == 0 or v.shape != x.shape or not 0 < x.size <= MOST_DIFFERENCED:
        size = f"of 1 to {MOST_DIFFERENCED} numbers"
        raise ValueError(f"x0, v0: expected arrays of one shape, {size}, got shapes {x.shape} and {v.shape}")

    def along(of: int, j: int, length: float) -> Array:
        ends = []
        for sign in (1.0, -1.0):
            state = [x.copy(), v.copy()]
            state[of].flat[j] += sign * length
            ends.append((state[of].flat[j], real_array(force(0.0, *state), "force")))
        (up, above), (down, below) = ends
        if above.shape != x.shape or not (np.all(np.isfinite(above)) and np.all(np.isfinite(below))):
            raise ValueError(f"force: expected finite numbers of shape {x.shape} near x0 and v0, got others, of shape {above.shape}")
        return np.asarray((below - above) / (up - down)).ravel()

    def slopes(of: int) -> Array:
        sizes = np.abs((x, v)[of]).ravel()
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
