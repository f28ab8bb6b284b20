"""Amplification of linear problems, probed from the kernels, and the stability limits that follow from it.

No limit is stored: a Runge-Kutta method is run on y' = z y, an optimizer on a quadratic, from unit vectors.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from mflow_core.optimize import updater
from mflow_core.stepping import probe
from numpy.typing import ArrayLike, NDArray

from mflow.base.checks import Array, check_number
from mflow.base.methods import Method, as_method
from mflow.stability import limits
from mflow.stability.modes import limit_of_frequency, oscillator_matrix, radii, structure_modes

__all__ = ["amplification", "explain_step", "max_stable_dt", "measured_radius", "spectral_radius", "stability_limit"]

SPACING = 0.01
LR_RATIO = 1.02
STEP_TOLERANCE = 1e-13  # |R| may exceed 1 by this: rounding on the boundary
UPDATE_TOLERANCE = 1e-13


class Amplification(np.ndarray[Any, np.dtype[Any]]):
    """Amplification of a step: an array of numbers or of square matrices, (..., n, n), that knows its ``spectral_radius``.

    Results of arithmetic and functions are plain arrays.

    >>> import mflow
    >>> float(mflow.amplification("momentum", curvature=4.0, lr=1.0, momentum=0.9).spectral_radius) > 1.0
    True
    """

    of_matrices: bool

    def __new__(cls, values: Any, of_matrices: bool) -> Amplification:
        made = np.asarray(values).view(cls)
        made.of_matrices = of_matrices
        return made

    def __array_finalize__(self, source: Any) -> None:
        self.of_matrices = getattr(source, "of_matrices", False)

    def __reduce__(self) -> Any:
        return Amplification, (np.array(self), self.of_matrices)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        plain = np.asarray(array)
        return plain[()] if return_scalar or plain.ndim == 0 else plain

    @property
    def spectral_radius(self) -> Any:
        """Largest modulus of the eigenvalues of each matrix, or of each number; inf where an entry is not finite. Above 1 errors grow."""
        plain = np.asarray(self)
        if not self.of_matrices:
            return np.abs(plain)
        if plain.ndim < 2 or plain.shape[-1] != plain.shape[-2]:
            raise ValueError(f"spectral_radius: expected whole matrices of shape (..., n, n), got shape {plain.shape}")
        radius = radii(plain)
        return radius[()] if radius.ndim == 0 else radius


def amplification(
    method: str | Method,
    z: ArrayLike | None = None,
    *,
    curvature: ArrayLike | None = None,
    omega_dt: ArrayLike | None = None,
    zeta: ArrayLike = 0.0,
    **parameters: Any,
) -> Any:
    """The factor, or matrix, by which a step multiplies the solution of a linear problem.

    Parameters
    ----------
    method : name or instance
        A method with the flag "linear".
    z : array_like of complex
        Integrators: lambda dt on y' = lambda y.
    curvature : array_like of float
        Optimizers: L on f = L c^2/2; lr and the other parameters by name.
    omega_dt, zeta : array_like of float
        Second-order methods: omega dt and the damping ratio of x'' = -omega^2 x - 2 zeta omega x'.

    Returns
    -------
    complex128 array of z's shape, the stability function R(z); or float64 array (*curvature.shape, n_vec, n_vec), the matrix that
    takes (c, v) to its next value. For second-order methods it acts on x, dt v, dt^2 a and the other carried vectors. Errors grow where
    the ``spectral_radius``, a float64 array without the last two axes (for R(z) the modulus), is above 1.

    Raises
    ------
    ValueError
        The method has no linear amplification (Adam: the step depends on the size of the gradient), or z, curvature and omega_dt
        do not suit it.

    Examples
    --------
    >>> import mflow
    >>> complex(mflow.amplification("euler", -0.5))
    (0.5+0j)
    >>> mflow.amplification("central_difference", omega_dt=[1.9, 2.1]).spectral_radius.round(3)
    array([1.   , 1.877])

    References
    ----------
    G. Dahlquist, BIT 3 (1963) 27-43; B. Polyak, USSR Comput. Math. Math. Phys. 4(5) (1964) 1-17.
    """
    method = as_method(method, parameters)
    if "linear" not in method.flags:
        raise ValueError(
            f"method: {method.name} has no linear amplification: its step depends on the size of the gradient, not on the curvature alone; "
            "try learning rates with mflow compare"
        )
    if "second_order" in method.flags:
        if omega_dt is None or z is not None or curvature is not None:
            raise ValueError(f"omega_dt: expected omega_dt= (and zeta=) alone for the second-order method {method.name}")
        w, ratio = np.broadcast_arrays(np.asarray(omega_dt, dtype=np.float64), np.asarray(zeta, dtype=np.float64))
        matrix = oscillator_matrix(method, (w * w).ravel(), (2.0 * ratio * w).ravel())
        return Amplification(matrix.reshape(*w.shape, *matrix.shape[1:]), True)
    if omega_dt is not None:
        raise ValueError(f"omega_dt: expected a second-order method, got {method.name}")
    if method.kind == "step":
        if z is None or curvature is not None:
            raise ValueError(f"z: expected z = lambda dt alone for the integrator {method.name}")
        return Amplification(_stability_function(method, np.asarray(z, dtype=np.complex128)), False)
    if curvature is None or z is not None:
        raise ValueError(f"curvature: expected curvature= (and lr=) alone for the optimizer {method.name}")
    return Amplification(_update_matrix(method, np.asarray(curvature, dtype=np.float64)), True)


def _stability_function(method: Method, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    flat = np.ascontiguousarray(z).ravel()
    rho = 0.0
    if "needs_rho" in method.flags and not method.parameters.get("stages"):
        rho = float(np.max(np.abs(flat), initial=0.0))  # the method takes as many stages as the farthest of them needs
    with np.errstate(all="ignore"):
        out: NDArray[np.complex128] = probe.stability_values(method.record, method.numbers, flat, rho).reshape(z.shape)
    return out


def _update_matrix(method: Method, curvature: Array) -> Array:
    """Columns: where the unit vectors of (c, v, ...) go in a step that is not the first."""
    L = np.ascontiguousarray(curvature).ravel()
    n_vec = method.sizes["n_vec"]
    values = {**method.all_numbers, "clip_value": math.inf}  # clipping is not linear and must not act on the unit vectors
    coefficients = updater.begin(method.record, values, 1)
    out = np.empty((L.size, n_vec, n_vec))
    for j in range(n_vec):
        vectors = [np.full(L.size, float(i == j)) for i in range(n_vec)]
        at = updater.ask(method.record, coefficients, vectors)
        updater.update(method.record, coefficients, 1.0, vectors, L * at)
        out[:, :, j] = np.stack(vectors, axis=1)
    return out.reshape(*curvature.shape, n_vec, n_vec)


def stability_limit(
    method: str | Method,
    axis: str | None = None,
    *,
    direction: complex | None = None,
    zeta: float = 0.0,
    **parameters: Any,
) -> float:
    """The stability limit: the largest x with |R| <= 1 on all of (0, x].

    Parameters
    ----------
    method : name or instance of a method with the flag "linear"
    axis : "real", "imaginary", "curvature" or "frequency"
        Integrators: the negative real axis (the default; gradient flow) or the imaginary one (oscillations), x = |lambda| dt.
        Optimizers: "curvature", x = lr L at L = 1. Where the limit does not depend on lr L alone (`consistent_momentum`), use
        `max_stable_dt` with the L of the problem. Second-order methods: "frequency", x = omega dt of an oscillator.
    direction : complex, or an angle in radians
        Integrators: along any other ray, in place of axis: towards this complex number, or, where it is real, at this angle to the
        positive real axis (2.356 is halfway between both axes; -1 is an angle too, the point is -1 + 0j). 0 on rays where the solution
        itself grows.
    zeta : float
        The oscillator's damping ratio.

    Returns
    -------
    float
        0 where the method is unstable from the start, inf where no limit was found up to 1e4 (with s given stages, 2.2 s^2).

    Raises
    ------
    ValueError
        The method has no linear amplification, or no such axis.

    Examples
    --------
    >>> import mflow
    >>> round(mflow.stability_limit("rk4"), 6), round(mflow.stability_limit("momentum", momentum=0.9), 6)
    (2.785294, 3.8)
    >>> round(mflow.stability_limit("euler", direction=-1 + 1j), 6)
    1.414214

    References
    ----------
    E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), IV.2.
    """
    method = as_method(method, parameters)
    if direction is not None:
        return limit_on_ray(method, _unit(method, axis, direction))
    if "second_order" in method.flags:
        if axis not in (None, "frequency"):
            raise ValueError(f'axis: expected "frequency" for the second-order method {method.name}, got {axis!r}')
        return limit_of_frequency(method, check_number(zeta, "zeta", low=0.0))
    if zeta != 0.0:
        raise ValueError(f"zeta: expected a second-order method, got {method.name}; omit zeta")
    if method.kind == "step":
        if axis not in (None, "real", "imaginary"):
            raise ValueError(f'axis: expected "real" or "imaginary" for the integrator {method.name}, got {axis!r}')
        return limit_on_ray(method, 1j if axis == "imaginary" else -1.0)
    if axis not in (None, "curvature"):
        raise ValueError(f'axis: expected "curvature" for the optimizer {method.name}, got {axis!r}')
    return _limit_of_lr(method, 1.0)


def _unit(method: Method, axis: str | None, direction: complex) -> complex:
    """A direction in the form that `limit_on_ray` takes: a unit vector, exactly on an axis where only rounding has moved it."""
    if axis is not None:
        raise ValueError(f"axis, direction: expected one of them, got axis = {axis!r} and direction = {direction!r}")
    if method.kind != "step" or "second_order" in method.flags:
        raise ValueError(f"direction: expected an integrator of y' = f(t, y), got {method.name}; omit direction")
    number = complex(direction)
    if isinstance(direction, (int, float, np.integer, np.floating)):
        if abs(direction) > 2 * math.pi:
            raise ValueError(f"direction: expected an angle in radians, got {direction!r}; from degrees, math.radians({direction!r})")
        number = complex(math.cos(direction), math.sin(direction))
    if not (math.isfinite(number.real) and math.isfinite(number.imag)) or number == 0:
        raise ValueError(f"direction: expected a complex number other than 0, or an angle, got {direction!r}")
    number /= abs(number)
    if abs(number.imag) < 1e-15:
        return complex(math.copysign(1.0, number.real))
    return complex(0.0, math.copysign(1.0, number.imag)) if abs(number.real) < 1e-15 else number


def limit_on_ray(method: Method, direction: complex) -> float:
    """The stability limit along a unit vector, exactly -1 or 1j on an axis."""
    on_axis = direction.real == 0.0 or direction.imag == 0.0
    allowed = 1.0 + (STEP_TOLERANCE if on_axis else 4e-16)

    def unstable(x: Array) -> NDArray[np.bool_]:
        with np.errstate(all="ignore"):
            bad: NDArray[np.bool_] = ~(np.abs(amplification(method, x * direction)) <= allowed)
        return bad

    def unstable_at(x: float) -> bool:
        return bool(unstable(np.array([x]))[0])

    if on_axis or not unstable_at(limits.FIRST):
        return _first_failure(unstable, farthest(method))
    upper = limits.FIRST  # close to the imaginary axis the limit may lie anywhere below
    while unstable_at(0.5 * upper):
        upper *= 0.5
        if upper < 1e-9:
            return 0.0
    return limits.bisect(unstable_at, 0.5 * upper, upper)


def _limit_of_lr(method: Method, curvature: float) -> float:
    """Largest lr on f = curvature c^2/2: up from a step that is stable until one is not, then by bisection.

    The limits of first-order methods scale with 1/curvature, those of second-order ones with its root, and friction sets a third scale.
    """

    def unstable(lr: float) -> bool:
        matrix = amplification(type(method)(**{**method.given, "lr": lr}), curvature=curvature)
        if not np.all(np.isfinite(matrix)):
            return True
        return not float(np.max(np.abs(np.linalg.eigvals(matrix)))) <= 1.0 + UPDATE_TOLERANCE

    scales = (1.0 / curvature, 1.0 / math.sqrt(curvature))
    lower = min(scales)
    while unstable(lower):
        lower *= 0.5
        if lower < 1e-12 * min(scales):
            return 0.0
    upper = lower
    while not unstable(upper):
        lower, upper = upper, upper * LR_RATIO
        if upper > 1e6 * max(scales):
            return math.inf
    return limits.bisect(unstable, lower, upper)


def farthest(method: Method) -> float:
    """Where the search for limits ends: no polynomial of s stages that begins with 1 + z is stable beyond 2 s^2."""
    return max(1e4, 2.2 * float(method.parameters.get("stages") or 0) ** 2)


def _first_failure(unstable: Callable[[Array], NDArray[np.bool_]], most: float) -> float:
    """Scan outward from limits.FIRST, then bisect."""
    lower = limits.FIRST
    if unstable(np.array([limits.FIRST]))[0]:
        return 0.0
    while lower < most:
        x: Array = lower + SPACING * np.arange(1.0, 513.0)
        bad = np.flatnonzero(unstable(x))
        if bad.size:
            upper = float(x[bad[0]])
            lower = upper - SPACING
            break
        lower = float(x[-1])
        if lower > 50:  # explicit methods of few stages are unstable by here: search in larger strides
            far: Array = np.geomspace(lower, most, 2000).astype(np.float64)
            bad = np.flatnonzero(unstable(far))
            if not bad.size:
                return math.inf
            upper, lower = float(far[bad[0]]), float(far[max(bad[0] - 1, 0)])
            break
    return limits.bisect(lambda x: bool(unstable(np.array([x]))[0]), lower, upper)


def max_stable_dt(
    method: str | Method,
    *,
    jac: Any = None,
    curvature: float | None = None,
    eigenvalues: ArrayLike | None = None,
    n: int | None = None,
    symmetric: bool | None = None,
    mass: Any = None,
    stiffness: Any = None,
    damping: Any = None,
    **parameters: Any,
) -> float:
    """The largest stable step (learning rate) for a linear problem.

    Parameters
    ----------
    method : name or instance of a method with the flag "linear"
    jac : array_like (n, n), SciPy sparse matrix or LinearOperator, or callable
        Jacobian of y' = F(y), for integrators; or of a gradient flow, minus the Hessian, for optimizers. Or a function ``jac(v)`` that
        returns J v, with n, the length of v. Eigenvalues with a positive real part belong to solutions that grow by themselves and set
        no limit. Up to 1000 rows all eigenvalues are computed, beyond that the outer ones, by Lanczos' or Arnoldi's method.
    eigenvalues : array_like of complex
        In place of jac.
    symmetric : bool
        Whether jac is symmetric, where only its products are known; this saves memory.
    curvature : float
        In place of jac: the largest curvature L of the cost (the largest eigenvalue of its Hessian).
    mass, stiffness, damping : None, a number, n numbers (a diagonal), or a dense or SciPy sparse matrix (n, n)
        M x'' + C v + K x = 0, for second-order methods.

    Returns
    -------
    float, inf where nothing limits the step.

    Raises
    ------
    ValueError
        Not exactly one of jac, curvature and eigenvalues is given; a matrix is not square or not finite; the method has no linear
        amplification.

    Warns
    -----
    RuntimeWarning
        The eigenvalue that limits the step was not found to 1 %; or the jac of an optimizer has no eigenvalue below 0, as if the Hessian
        had been given without its minus.

    Examples
    --------
    >>> import mflow
    >>> round(mflow.max_stable_dt("euler", jac=[[-4.0, 0.0], [0.0, -1.0]]), 6)
    0.5
    >>> round(mflow.max_stable_dt("nesterov", curvature=10.0, momentum=0.9), 6)
    0.135714

    References
    ----------
    E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), IV.2.
    """
    method = as_method(method, parameters)
    given = [a for a in (mass, stiffness, damping) if a is not None]
    if "second_order" in method.flags:
        if not given or jac is not None or curvature is not None or eigenvalues is not None:
            raise ValueError(f"stiffness: expected stiffness= (and mass=, damping=) alone for the second-order method {method.name}")
        n = max(np.shape(a)[0] if np.ndim(a) or hasattr(a, "tocsr") else 1 for a in given)
        return structure_modes(n, mass, damping, stiffness).limit(method)
    if given:
        raise ValueError(f"mass, stiffness, damping: expected a second-order method, got {method.name}; omit them")
    count = sum(a is not None for a in (jac, curvature, eigenvalues))
    if count != 1:
        raise ValueError(f"jac, curvature, eigenvalues: expected one of them, got {count}")
    if curvature is not None:
        L = check_number(curvature, "curvature", low=0.0)
        if L == 0.0:
            return math.inf
        return stability_limit(method) / L if method.kind == "step" else _limit_of_lr(method, L)
    if "linear" not in method.flags:
        amplification(method)  # its error says what to use instead
    if eigenvalues is not None:
        values = np.asarray(eigenvalues, dtype=np.complex128).ravel()
        if not np.all(np.isfinite(values)):
            raise ValueError("eigenvalues: expected finite numbers, got NaN or an infinity")
    else:
        values = limits.eigenvalues_of(jac, n, symmetric, lambda some: _first_to_fail(method, some, 3))
    if jac is not None and method.kind != "step" and values.size and np.min(values.real) >= 0.0 < np.max(values.real):
        text = f"max_stable_dt: for {method.name} jac is minus the Hessian; this jac has no eigenvalue below 0, so nothing limits lr"
        warnings.warn(f"{text}; if it is the Hessian itself, give jac=-H or curvature=", RuntimeWarning, stacklevel=2)
    return float(_first_to_fail(method, values)[0])


def _first_to_fail(method: Method, values: NDArray[np.complex128], candidates: int = limits.CANDIDATES) -> tuple[float, complex]:
    """(the largest step for these eigenvalues, the one that limits it)."""
    if method.kind == "step":
        rays = functools.partial(limit_on_ray, method)
        return limits.first_to_fail(values, lambda z: _outside(method, z), rays, candidates=candidates, most=farthest(method))
    size = float(np.max(np.abs(values), initial=0.0))
    if np.any(np.abs(values.imag) > 1e-9 * size):
        raise ValueError(f"jac: expected real eigenvalues for the optimizer {method.name}, got complex ones; give a symmetric jac")
    k = int(np.argmin(values.real)) if values.size else 0
    if not values.size or values[k].real >= 0.0:
        return math.inf, 0j
    return _limit_of_lr(method, -float(values[k].real)), complex(values[k])


def _outside(method: Method, z: NDArray[np.complex128]) -> NDArray[np.bool_]:
    with np.errstate(all="ignore"):
        bad: NDArray[np.bool_] = ~(np.abs(amplification(method, z)) <= 1.0 + STEP_TOLERANCE)
    return bad


def spectral_radius(slope: Callable[[Array], Array], y: Array, iterations: int = 20, size: float = 1.5e-8) -> float:
    """About the largest |eigenvalue| of the Jacobian of ``slope`` at y, by power iteration on differences.

    y is a float64 array of any shape; ``iterations`` + 1 evaluations. ``size`` is the length of the difference against max(1, |y|).
    The result is the mean growth of the second half of the iterations, as the growth of complex pairs oscillates. It is
    good to a few per cent where the largest eigenvalues are not close together; nan where a slope is not finite.
    """
    base = slope(y)
    v = np.cos(1.0 + np.arange(y.size, dtype=np.float64)).reshape(y.shape)  # no special direction, and always the same
    length = size * max(1.0, float(np.linalg.norm(y)))
    growths = []
    for _ in range(iterations):
        norm = float(np.linalg.norm(v))
        if not 0.0 < norm < math.inf:
            return 0.0 if norm == 0.0 else math.nan
        v = v * (length / norm)
        v = slope(y + v) - base
        growths.append(float(np.linalg.norm(v)) / length)
    late = growths[iterations // 2 :]
    if not 0.0 < min(late) < math.inf:
        return 0.0 if min(late) == 0.0 else math.nan
    return math.exp(math.fsum(map(math.log, late)) / len(late))


def measured_radius(slope: Callable[[Array], Array], y: Array, size: float = 1.5e-8) -> float:
    """`spectral_radius` for a message: nan where it cannot be trusted.

    That is where the user's function raises at the points tried (the run itself has ended already), or where a difference eight times as
    long gives another result: rounding, or a right-hand side in single precision.
    """
    try:
        with np.errstate(all="ignore"):
            first, second = spectral_radius(slope, y, size=size), spectral_radius(slope, y, size=8 * size)
    except Exception:
        return math.nan
    return first if abs(first - second) <= 0.1 * max(first, second) else math.nan


def explain_step(run: Any, method: Method, dt: float, start: Array, t0: float) -> str:
    """Why a run with fixed steps may have left the finite numbers: the second half of its message."""
    if "linear" not in method.flags:
        return "lower the step"
    radius = measured_radius(lambda y: run.slope(t0, y), start)
    if not radius < math.inf:
        return "lower the step, or look for the cause in the right-hand side"
    real, imaginary = stability_limit(method), stability_limit(method, axis="imaginary")
    measured = f"for the measured curvature {radius:.4g} at the start"
    if dt * radius > real:
        return f"dt = {dt:g} exceeds the stability limit {real / radius:.4g} of {method.name} {measured}"
    if dt * radius > imaginary:
        limit = (
            f"its limit for oscillations is {imaginary / radius:.4g}" if imaginary > 0 else f"{method.name} has no stable step for those"
        )
        return (
            f"dt = {dt:g} is below the limit {real / radius:.4g} of {method.name} for decay {measured}; if the problem oscillates, {limit}"
        )
    return (
        f"dt = {dt:g} is inside the stability limits of {method.name} {measured}: the right-hand side may have left its domain, "
        "or the solution blows up"
    )
