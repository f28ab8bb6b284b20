"""dt="auto": a step inside the stability region, from a few differences of the right-hand side in a Krylov space.

The Jacobian J of slope(t, .) at y acts on a vector by one difference, J v = (slope(t, y + s v) - slope(t, y))/s. Arnoldi's method builds
an orthonormal basis Q of the space that J spans from one start vector, and H = Q^T J Q, whose eigenvalues (Ritz values) approach the
outermost eigenvalues of J first; where J is symmetric (gradient flow) H is made so, which is Lanczos' method with its basis kept
orthogonal. Each Ritz value is moved outward by its residual, so that values which have not converged err on the safe side. That is an
estimate: an eigenvalue to which the start vector is nearly blind may lie farther out, by as much as 16 iterations do not see. Of a small
problem (n <= ITERATIONS) all columns of the Jacobian are differenced instead, and the eigenvalues are exact but for the difference.

The stability limit along the ray of each value is probed from the kernel of the method (`mflow.stability.limits`) and cached.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array
from mflow.base.methods import Method, as_method
from mflow.spectra.krylov import random_vector
from mflow.stability import limits

__all__ = ["STAGES", "SafeStep", "Spectrum", "axis_limits", "relaxing", "safe_step", "spectrum", "steepens", "upper_radius"]

ITERATIONS = 16
EVERY, SELDOM = 25, 200  # steps between measurements, at most; the second where dt changed by less than
STEADY = 0.02
# Fields of `Looks` that a file has only where something has been seen.
OF_COURSE = {
    "astray", "place", "lasting", "compare", "crossed", "decay", "drift", "swing", "swung", "met", "apart", "spent", "uneven",
    "taken", "missed", "beyond",
}  # fmt: skip
MOST_TAKEN = 1000  # changes of the step that are remembered
SAFETY = 0.9  # share of the limit that is used
# Lengths of differences relative to max(1, |y|): the second where rounding spoils the first (single precision), the third where J changes
# along them (Robertson at its start).
SIZES = (1.5e-8, 1e-4, 1.5e-11)
SIDES = (1.0, -1.0, 1.0 / 32.0, -1.0 / 32.0)  # of a difference, until the slope is finite
RESOLVED = 1.0  # dt |lambda| of a mode that grows: beyond, a step may lead to states that belong to the method alone
AGREE = 0.1  # relative difference that the results of two lengths may have
NOISE = 1e-6  # error of differences: directions this close to an axis are on it, values this small relative to the largest are 0
PER_OCTAVE = 32  # rays of a method's boundary for each halving of the angle to the imaginary axis
LEAST_STAGES = 3  # that a method takes which chooses their number
STAGES = 10  # of a method that chooses its stages at run time, where dt is chosen too
DAMPING = 4.0  # of a method whose damping can be chosen: stiff modes shrink by more than half in every step
MARGIN = 1.05  # of the spectral radius
AHEAD = (0.0, 0.25, 0.5, 1.0)  # of a step: where the Jacobian is compared
ROUNDING = 1e-15  # of the slope

Slope = Callable[[float, Array], Any]


class Spectrum(NamedTuple):
    """The outer eigenvalues of a Jacobian.

    values : complex128 array (k,), Ritz values. residuals : float64 array (k,), the distance within which an eigenvalue lies.
    evaluations : of the slope. reason : "", or why there are no values. jacobian : of a small problem, all of it.
    """

    values: NDArray[np.complex128]
    residuals: Array
    evaluations: int
    reason: str
    jacobian: Array | None = None


@dataclass
class Looks:
    """When to measure again, in steps.

    After twice as many steps as the last time, up to `EVERY`, or `SELDOM` where little changes; after one step where dt was reduced.
    slope : the norm of the slope at the last look; inf where nobody asked for it. fastest, turn, omega, ahead : of oscillations
    (`mflow.course.turns`): the largest norm of the slope so far; the largest part of a turn that a step has made of one, in radians, and
    its frequency; the frequency at the last look, with steps that are not settled yet. 0: none. decay, drift: the real part beside that
    frequency, and the sum of what steps so far have changed such oscillations by that the solution does not.
    swing, swung, met, spent: the largest frequency of any mode at the last look; the sum over all steps of (the part of a turn that it made
    in each) to the power of their errors; that part where steps were compared last; and the evaluations that comparisons took. uneven: 1
    where f depends on time, or that frequency has changed.
    astray, apart, place, lasting, compare: by how much the way of steps leaves that of steps of half their length, of how far the solution
    goes, for each unit of `swung`, and beside that, by `turns.compare` at the time `place`; what is left of that swing at the end; and the
    step before which that is looked at next. crossed: 1 + the component that has a sign which no solution has (`turns.cross`), 0: none.
    taken, missed: (count, step) of all steps, until there are too many changes of them; and how far from the end of steps of half their
    length the run ended (`turns.retrace`), of how far a component goes. beyond: 1 + the component that steps have taken over 0 where no
    solution crosses; it decays there. 0: none.
    """

    next: int = 0
    gap: int = 1
    dt: float = math.inf
    slope: float = math.inf
    fastest: float = 0.0
    turn: float = 0.0
    omega: float = 0.0
    ahead: float = 0.0
    astray: float = 0.0
    place: float = 0.0
    lasting: float = 0.0
    compare: int = 0
    crossed: int = 0
    decay: float = 0.0
    drift: float = 0.0
    swing: float = 0.0
    swung: float = 0.0
    met: float = 0.0
    apart: float = 0.0
    spent: int = 0
    uneven: int = 0
    taken: tuple[tuple[int, float], ...] = ()
    missed: float = 0.0
    beyond: int = 0

    def due(self, k: int) -> bool:
        """Whether it is time before step k."""
        return k >= self.next

    def found(self, k: int, dt: float) -> None:
        """A step was chosen before step k."""
        steady = abs(dt - self.dt) <= STEADY * dt
        self.gap = 1 if dt < 0.67 * self.dt else min(2 * self.gap, SELDOM if steady else EVERY)
        self.next, self.dt = k + self.gap, dt

    def took(self, count: int, step: float) -> None:
        """So many steps of this length were taken for good."""
        if self.taken and self.taken[-1][1] == step:
            self.taken = (*self.taken[:-1], (self.taken[-1][0] + count, step))
        elif len(self.taken) < MOST_TAKEN:
            self.taken += ((count, step),)


class SafeStep(NamedTuple):
    """A step inside the stability region.

    dt : float; 0 where no step is stable, inf where nothing limits it, nan where the slope cannot be measured. rho : float, about the
    spectral radius, estimated from above, nan likewise. evaluations : of the slope. reason : in words where dt is 0, inf or nan, else "".
    growth : the largest real part of an eigenvalue that is known, 0 where none is above 0. swing : the largest imaginary part of one.
    jacobian : of a small problem.
    """

    dt: float
    rho: float
    evaluations: int
    reason: str
    growth: float = 0.0
    swing: float = 0.0
    jacobian: Array | None = None


def safe_step(
    slope: Slope, t: float, y: Array, method: str | Method, symmetric: bool = False, *, safety: float = SAFETY,
    iterations: int = ITERATIONS, scale: float = 0.0,
) -> SafeStep:  # fmt: skip
    """The largest step that keeps a method stable around (t, y), times ``safety``, with the spectral radius.

    Parameters
    ----------
    slope : callable
        ``slope(t, y)`` -> float64 array of y's shape.
    t, y : where; y is a float64 array of any shape.
    method : name or instance of an integrator with the flag "linear"
    symmetric : bool
        The Jacobian is symmetric, as that of a gradient flow.
    safety : float
        Share of the limit that is used.
    iterations : int
        At most ``iterations`` + 7 evaluations of the slope, more where differences of the first length tell nothing.
    scale : float
        A size that the state has had, by which differences are taken where those in units of y are lost in the slope's rounding.

    Returns
    -------
    SafeStep

    Raises
    ------
    ValueError
        The method has no linear amplification. Exceptions of ``slope`` are passed on.

    Notes
    -----
    Eigenvalues with a positive real part belong to solutions that grow by themselves and set no limit of stability; they are given the
    limit of decay at the same rate, and at most one growth by e a step, so that the growth is resolved.

    Examples
    --------
    >>> import numpy as np, mflow.stability.spectrum
    >>> step = mflow.stability.spectrum.safe_step(lambda t, y: -4.0 * y, 0.0, np.ones(2), "euler", safety=1.0)
    >>> round(step.dt, 6), round(step.rho, 6)
    (0.5, 4.2)

    References
    ----------
    Y. Saad, Numerical Methods for Large Eigenvalue Problems (2011), chapters 4 and 6; Y. Zhou and R.-C. Li, Linear Algebra Appl. 435
    (2011) 480-493.
    """
    method = as_method(method, {})
    if method.kind != "step" or "linear" not in method.flags:
        raise ValueError(f'method: expected an integrator with the flag "linear" for dt="auto", got {method.name}')
    measured = spectrum(slope, t, y, symmetric=symmetric, iterations=iterations, scale=scale)
    if measured.reason:
        return SafeStep(math.nan, math.nan, measured.evaluations, measured.reason)
    sizes = np.abs(measured.values) + measured.residuals
    largest = float(np.max(sizes, initial=0.0))
    rho = MARGIN * largest
    if "staged" in method.flags and not method.parameters["stages"]:
        dt, worst = _longest_staged(method, measured.values, sizes, safety * rho)
    else:
        dt, worst = _longest(method, measured.values, sizes)
    if dt == 0.0:
        return SafeStep(0.0, rho, measured.evaluations, f"{method.name} has no stable step for the eigenvalue {worst:.4g}")
    if dt == math.inf:
        return SafeStep(math.inf, rho, measured.evaluations, f"no eigenvalue found limits the step of {method.name}")
    values, residuals = measured.values, measured.residuals
    growth = np.max(values.real[residuals < 0.5 * values.real], initial=0.0)
    swing = np.max(values.imag[(residuals < 0.5 * values.imag) & (values.imag > NOISE * largest)], initial=0.0)
    return SafeStep(safety * dt, rho, measured.evaluations, "", float(growth), float(swing), measured.jacobian)


def relaxing(method: Method) -> Method:
    """The method as dt="auto" takes it, to relax to a steady state: one whose damping can be chosen is damped well, unless it was chosen.

    With nine tenths of the limit no stiff mode keeps more than 0.82 of itself in a step of the methods of few stages. A Chebyshev method
    made for accuracy keeps up to 0.95, all along its interval, in steps 32 times as long at ten stages.
    """
    if "damping" not in method.parameters or "damping" in method.given or "staged" not in method.flags:
        return method
    return as_method(method, {"damping": DAMPING})


def upper_radius(slope: Slope, t: float, y: Array, *, symmetric: bool = False) -> tuple[float, str]:
    """(about the spectral radius of the slope's Jacobian at (t, y), estimated from above, ""), or (nan, why it cannot be measured)."""
    measured = spectrum(slope, t, y, symmetric=symmetric)
    if measured.reason:
        return math.nan, measured.reason
    return MARGIN * float(np.max(np.abs(measured.values) + measured.residuals, initial=0.0)), ""


def steepens(slope: Slope, t: float, y: Array, base: Array, h: float, along: Array | None = None) -> float:
    """By what factor, at most, a difference of the slope in one direction is larger within h of time than at t; 0 where time changes
    nothing. base : the slope at (t, y). along : how fast y moves meanwhile, where time is known to matter; by default not at all.
    Differences that are not finite, and what may be their rounding, say nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from mflow.stability.spectrum import steepens
    >>> round(steepens(lambda t, y: -y / (1 - t), 0.0, np.ones(2), -np.ones(2), 0.5), 3)
    2.0
    """
    there = base if along is not None else np.array(slope(t + h, y), dtype=np.float64)
    if along is None and np.array_equal(there, base):
        return 0.0
    if not np.all(np.isfinite(there)):
        return 1.0
    length = _lengths(y, 0.0)[0]
    v = random_vector(y.size, 53).reshape(y.shape)
    first, largest = 0.0, 1.0
    for part in AHEAD:
        at = t + part * h
        state = y if along is None else y + part * h * along
        here = base if part == 0.0 else there if part == 1.0 and along is None else np.array(slope(at, state), dtype=np.float64)
        change = float(np.linalg.norm(np.asarray(slope(at, state + length * v), dtype=np.float64) - here))
        rounding = ROUNDING * float(np.linalg.norm(here))
        if part == 0.0:
            first = change + rounding
        elif first > 0.0 and change - rounding > largest * first and math.isfinite(change):
            largest = (change - rounding) / first
    return largest


def _longest(method: Method, values: Any, sizes: Array) -> tuple[float, complex]:
    """The largest stable step for eigenvalues at `values`, as far from 0 as `sizes`, and the one that sets it."""
    dt, worst, largest = math.inf, 0j, float(np.max(sizes, initial=0.0))
    for value, size in zip(values, sizes, strict=True):
        if abs(value) > NOISE * largest:
            limit = _limit_towards(method, complex(value))
            limit = (min(limit, RESOLVED) if value.real > NOISE * abs(value) else limit) / float(size)
            if limit < dt:
                dt, worst = limit, complex(value)
    return dt, worst


def _longest_staged(method: Method, values: Any, sizes: Array, rho: float) -> tuple[float, complex]:
    """The same of a method that takes its stages by the length of the step, times rho. Their region grows with their number, STAGES are
    worth their slopes; but away from the real axis a step may be inside the region of more stages than it would take."""
    for stages in range(STAGES, LEAST_STAGES - 1, -1):
        dt, worst = _longest(as_method(method, {"stages": stages}), values, sizes)
        fewer = _ray(as_method(method, {"stages": stages - 1}), 0) if stages > LEAST_STAGES else 0.0
        if rho * dt > fewer:
            break
    return dt, worst


# ---- limits along rays --------------------------------------------------------------------------------------------------------------


def _limit_towards(method: Method, value: complex) -> float:
    """The stability limit in the direction of an eigenvalue: the smaller one of the two cached rays on either side."""
    size = abs(value)
    if value.real >= -NOISE * size:
        if value.real > NOISE * size:
            return _ray(method, 0)
        return _axis(method)
    if abs(value.imag) <= NOISE * size:
        return _ray(method, 0)
    angle = math.atan2(-value.real, abs(value.imag))
    outer = min(0, math.ceil(PER_OCTAVE * math.log2(angle / (0.5 * math.pi))))
    return min(_ray(method, outer), _ray(method, outer - 1))


def axis_limits(method: Method) -> tuple[float, float]:
    """The limits on the negative real axis and on the imaginary one, cached."""
    return _ray(method, 0), _axis(method)


@functools.lru_cache(maxsize=4096)
def _ray(method: Method, k: int) -> float:
    """The limit on the ray (pi/2) 2^(k/PER_OCTAVE) away from the imaginary axis; k = 0: the negative real axis."""
    if k == 0:
        return limits.limit_on_ray(method, -1.0)
    angle = 0.5 * math.pi * 2.0 ** (k / PER_OCTAVE)
    return limits.limit_on_ray(method, complex(-math.sin(angle), math.cos(angle)))


@functools.lru_cache(maxsize=256)
def _axis(method: Method) -> float:
    return limits.limit_on_ray(method, 1j)


# ---- eigenvalues --------------------------------------------------------------------------------------------------------------------


def spectrum(
    slope: Slope, t: float, y: Array, *, symmetric: bool = False, iterations: int = ITERATIONS, scale: float = 0.0
) -> Spectrum:  # fmt: skip
    """Outer eigenvalues of the Jacobian of ``slope(t, .)`` at y; parameters as in `safe_step`."""
    none = np.empty(0, dtype=np.complex128)
    with np.errstate(all="ignore"):
        base = np.array(slope(t, y), dtype=np.float64)
        if y.size == 0:
            return Spectrum(none, np.empty(0), 1, "")
        if not np.all(np.isfinite(base)):
            return Spectrum(none, np.empty(0), 1, f"the slope at t = {t:g} is not finite")
        evaluations, why = 1, ""
        for length in _lengths(y, scale):
            jacobian = _Differences(slope, t, y, base, length)
            H, next_norm, why = _project(jacobian, iterations)
            evaluations += jacobian.evaluations
            if not why:
                break
        if why == FLAT:
            H, next_norm, why = np.zeros((1, 1)), 0.0, ""
        if why:
            return Spectrum(none, np.empty(0), evaluations, why)
        if symmetric:
            real, vectors = np.linalg.eigh(0.5 * (H + H.T))
            values: NDArray[np.complex128] = real.astype(np.complex128)
        else:
            values, vectors = np.linalg.eig(H.astype(np.complex128))
        return Spectrum(values, next_norm * np.abs(vectors[-1]), evaluations, "", H if y.size == H.shape[0] <= iterations else None)


FLAT = "the slope does not change over differences"  # where f is constant, or they are lost in its rounding
ROUGH = "differences of two lengths disagree: the right-hand side is too rough, or rounded too coarsely, to be measured"


def _lengths(y: Array, scale: float) -> list[float]:
    """Of differences, in the order in which they are tried; those of a state smaller than 1 in its own size, and of one that has been much
    larger in that size, come last."""
    norm = float(np.linalg.norm(y))
    norm = norm if norm < math.inf else float(np.max(np.abs(y)))  # squares of large numbers overflow
    own = [size * norm for size in SIZES[:2]] if 0.0 < norm < 1.0 else []
    return [*(size * max(1.0, norm) for size in SIZES), *own, *([SIZES[0] * scale] if max(1.0, norm) < scale < math.inf else [])]


class _Differences:
    """J v by one-sided differences, for unit vectors v: to the other side, and nearer, where the slope is not finite."""

    def __init__(self, slope: Slope, t: float, y: Array, base: Array, length: float) -> None:
        self.slope, self.t, self.y, self.base, self.length = slope, t, y, base, length
        self.evaluations = 0

    def __call__(self, v: Array, times: float = 1.0) -> Array:
        for share in SIDES:
            length = share * times * self.length
            self.evaluations += 1
            moved = np.asarray(self.slope(self.t, self.y + length * v.reshape(self.y.shape)), dtype=np.float64)
            if np.all(np.isfinite(moved)):
                break
        return np.asarray((moved - self.base).reshape(-1) / length, dtype=np.float64)


def _project(jacobian: _Differences, iterations: int) -> tuple[Array, float, str]:
    """(H, norm of the next vector before it is scaled, "" or why there is no H) by Arnoldi's method; the Jacobian where n is small."""
    n = jacobian.y.size
    v = random_vector(n, 53)
    first = jacobian(v)
    check = jacobian(v, 8.0)
    if not (np.all(np.isfinite(first)) and np.all(np.isfinite(check))):
        return np.empty((0, 0)), 0.0, f"the slope near y at t = {jacobian.t:g} is not finite"
    if not (first.any() or check.any()):
        return np.empty((0, 0)), 0.0, FLAT
    if np.linalg.norm(first - check) > AGREE * max(np.linalg.norm(first), np.linalg.norm(check)):
        return np.empty((0, 0)), 0.0, ROUGH
    if n <= iterations:
        J = np.stack([jacobian(unit) for unit in np.eye(n)], axis=1)
        return J, 0.0, "" if np.all(np.isfinite(J)) else f"the slope near y at t = {jacobian.t:g} is not finite"
    Q, H = np.empty((iterations, n)), np.zeros((iterations, iterations))
    left = 0.0
    for k in range(iterations):
        Q[k] = v
        w = first if k == 0 else jacobian(v)
        if not np.all(np.isfinite(w)):
            return np.empty((0, 0)), 0.0, f"the slope near y at t = {jacobian.t:g} is not finite"
        before = float(np.linalg.norm(w))
        for _ in range(2):  # twice is enough to keep the basis orthogonal
            part = Q[: k + 1] @ w
            H[: k + 1, k] += part
            w = w - part @ Q[: k + 1]
        left = float(np.linalg.norm(w))
        if left <= NOISE * before or k == iterations - 1:
            return H[: k + 1, : k + 1], left if left > NOISE * before else 0.0, ""
        H[k + 1, k] = left
        v = w / left
    raise ValueError(f"iterations: expected a whole number of at least 1, got {iterations!r}")
