"""Amplification of linear problems, probed from the kernels: the stability limits of `limits` follow from it.

No limit is stored: a Runge-Kutta method is run on y' = z y, an optimizer on a quadratic, from unit vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from mflow_core.optimize import updater
from mflow_core.stepping import probe
from numpy.typing import ArrayLike, NDArray

from mflow.base.checks import Array, complex_array, real_array
from mflow.base.methods import Method, as_method
from mflow.base.pace import by_rows
from mflow.spectra.krylov import random_vector
from mflow.stability.criterion import oscillator_matrix
from mflow.stability.modes import radii

if TYPE_CHECKING:
    from mflow.base._records import MethodOptions

__all__ = [
    "STEP_TOLERANCE",
    "UPDATE_TOLERANCE",
    "amplification",
    "farthest_radius",
    "finds_steps",
    "grows",
    "measured_radius",
    "refuse_searches",
    "spectral_radius",
    "stability_values",
    "step_matrices",
]

STEP_TOLERANCE = 1e-13  # |R| may exceed 1 by this: rounding on the boundary
UPDATE_TOLERANCE = 1e-13
SQUARINGS = 6  # of a step's matrix, after which its eigenvalues are computed
SMALL = 0.5  # norm of a power: no eigenvalue reaches 1, whatever its rounding


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


def finds_steps(method: Method) -> str:
    """What finds each step of a direction."""
    return "Its trust region sets the length of each step" if "trust_region" in method.flags else "Its line search finds each step"


def refuse_searches(method: Method) -> None:
    """Raises ValueError for a direction."""
    if method.kind == "direction":
        raise ValueError(
            f"method: {method.name} has no step to be limited. {finds_steps(method)}; give a method that takes steps of a given length, "
            'such as "sgd"'
        )


def amplification(
    method: str | Method,
    z: ArrayLike | None = None,
    *,
    curvature: ArrayLike | None = None,
    omega_dt: ArrayLike | None = None,
    zeta: ArrayLike = 0.0,
    **parameters: Unpack[MethodOptions],
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
    **parameters
        Parameters of the method.

    Returns
    -------
    complex128 array of z's shape, the stability function R(z), of a multistep method the root of largest modulus; or float64 array
    (*curvature.shape, n_vec, n_vec), the matrix that takes (c, v) to its next value. For second-order methods it acts on x, dt v, dt^2 a
    and the other carried vectors. Errors grow where the ``spectral_radius``, a float64 array without the last two axes (for R(z) the
    modulus), is above 1.

    Raises
    ------
    ValueError
        The method has no linear amplification (Adam: the step depends on the size of the gradient), or z, curvature and omega_dt
        do not suit it.

    See Also
    --------
    mflow.stability_function, mflow.stability_limit, mflow.stability_region

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
    refuse_searches(method)
    if "linear" not in method.flags:
        in_a_run = (
            'monitor="curvature" of mflow.minimize and mflow.train finds in a run by which factor lr may grow, curvature.limit / '
            "curvature.largest (nan where it steps by signs)"
        )
        raise ValueError(
            f"method: {method.name} has no linear amplification: its step follows from more than the curvature, as from the size of the "
            "gradient or from the number of the step; " + (in_a_run if method.kind == "update" else "try learning rates with mflow compare")
        )
    if "second_order" in method.flags:
        if omega_dt is None or z is not None or curvature is not None:
            raise ValueError(f"omega_dt: expected omega_dt= (and zeta=) alone for the second-order method {method.name}")
        w, ratio = real_array(omega_dt, "omega_dt"), real_array(zeta, "zeta")
        try:
            w, ratio = np.broadcast_arrays(w, ratio)
        except ValueError:
            raise ValueError(f"omega_dt, zeta: expected shapes that broadcast, got {w.shape} and {ratio.shape}") from None
        with np.errstate(over="ignore"):  # the matrix of a w whose square overflows is not finite
            stiffness, damping = (w * w).ravel(), (2.0 * ratio * w).ravel()
        matrix = by_rows(lambda k, c: oscillator_matrix(method, k, c), stiffness, damping)
        return Amplification(matrix.reshape(*w.shape, *matrix.shape[1:]), True)
    if omega_dt is not None:
        raise ValueError(f"omega_dt: expected a second-order method, got {method.name}")
    if method.kind == "step":
        if z is None or curvature is not None:
            got = "no z" if curvature is None else "curvature=, which is for optimizers; give z = -curvature dt"
            raise ValueError(f"z: expected z = lambda dt alone for the integrator {method.name}, got {got}")
        z = complex_array(z, "z")
        return Amplification(stability_values(method, z, farthest_radius(method, z)), False)
    if curvature is None or z is not None:
        raise ValueError(f"curvature: expected curvature= (and lr=) alone for the optimizer {method.name}")
    return Amplification(_update_matrix(method, real_array(curvature, "curvature")), True)


def farthest_radius(method: Method, z: NDArray[np.complex128]) -> float:
    """The largest |z| where the method takes as many stages as the farthest of them needs; else 0."""
    asks = "needs_rho" in method.flags and not method.parameters.get("stages")
    return float(np.max(by_rows(np.abs, np.ascontiguousarray(z).ravel()), initial=0.0)) if asks else 0.0


def stability_values(method: Method, z: NDArray[np.complex128], rho: float) -> NDArray[np.complex128]:
    """R(z) of an integrator of y' = f(t, y), of a multistep method its root of largest modulus, of z's shape; rho: `farthest_radius`."""
    flat = np.ascontiguousarray(z).ravel()
    if "multistep" in method.flags:
        roots: NDArray[np.complex128] = by_rows(lambda some: _largest_root(method, some), flat)
        return roots.reshape(z.shape)
    with np.errstate(all="ignore"):
        out: NDArray[np.complex128] = by_rows(lambda some: probe.stability_values(method.record, method.numbers, some, rho), flat)
    return out.reshape(z.shape)


def grows(method: Method, z: NDArray[np.complex128], allowed: float) -> NDArray[np.bool_]:
    """Where |R(z)| of an integrator is not at most `allowed`, a number from 1 on; z has one axis."""
    with np.errstate(all="ignore"):
        if "multistep" in method.flags:
            out: NDArray[np.bool_] = by_rows(lambda some: _root_grows(method, some, allowed), z)
        else:
            out = ~(np.abs(np.asarray(amplification(method, z))) <= allowed)
    return out


def _root_grows(method: Method, z: NDArray[np.complex128], allowed: float) -> NDArray[np.bool_]:
    """The same of the root of largest modulus. A power of the step's matrix of small norm says that no root grows, in a fifth of the time
    that eigenvalues take."""
    out, left, power = np.zeros(z.size, bool), np.arange(z.size), step_matrices(method, z)
    for _ in range(SQUARINGS):
        power = power @ power
        large = ~(np.max(np.sum(np.abs(power), axis=2), axis=1) <= SMALL)
        left, power = left[large], power[large]
    out[left] = ~(np.abs(_largest_root(method, z[left])) <= allowed)
    return out


def step_matrices(method: Method, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """What a step of a multistep method multiplies y and its differences by, (count, order + 1, order + 1); z has one axis."""
    with np.errstate(all="ignore"):
        out: NDArray[np.complex128] = probe.step_matrices(method.record, method.numbers, np.ascontiguousarray(z, dtype=np.complex128))
    return out


def _largest_root(method: Method, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """The eigenvalue of largest modulus of each step's matrix; nan where that is not finite."""
    matrices = step_matrices(method, z)
    finite = np.all(np.isfinite(matrices), axis=(1, 2))
    values = np.linalg.eigvals(np.where(finite[:, None, None], matrices, 0.0))
    largest = np.take_along_axis(values, np.argmax(np.abs(values), axis=1)[:, None], axis=1)[:, 0]
    return np.where(finite, largest, complex(math.nan, math.nan))


def _update_matrix(method: Method, curvature: Array) -> Array:
    """Columns: where the unit vectors of (c, v, ...) go in a step that is not the first."""
    n_vec = method.sizes["n_vec"]
    values = {**method.all_numbers, "clip_value": math.inf}  # clipping is not linear and must not act on the unit vectors
    coefficients = updater.begin(method.record, values, 1)

    def of(L: Array) -> Array:
        out = np.empty((L.size, n_vec, n_vec))
        for j in range(n_vec):
            vectors = [np.full(L.size, float(i == j)) for i in range(n_vec)]
            at = updater.ask(method.record, coefficients, vectors)
            updater.update(method.record, coefficients, 1.0, vectors, L * at)
            out[:, :, j] = np.stack(vectors, axis=1)
        return out

    matrices: Array = by_rows(of, np.ascontiguousarray(curvature).ravel())
    return matrices.reshape(*curvature.shape, n_vec, n_vec)


def spectral_radius(slope: Callable[[Array], Array], y: Array, iterations: int = 20, size: float = 1.5e-8, stream: int = 51) -> float:
    """About the largest |eigenvalue| of the Jacobian of ``slope`` at y, by power iteration on differences.

    y is a float64 array of any shape; ``iterations`` + 1 evaluations. ``size`` is the length of the difference against max(1, |y|).
    The result is the mean growth of the second half of the iterations, as the growth of complex pairs oscillates. It is
    good to a few per cent where the largest eigenvalues are not close together; nan where a slope is not finite. It begins with a random
    direction of a fixed seed, ``stream`` chooses which.
    """
    base = slope(y)
    v = random_vector(y.size, stream).reshape(y.shape)
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
    long, from another start, gives another result: rounding, or a right-hand side in single precision.
    """
    try:
        with np.errstate(all="ignore"):
            first, second = spectral_radius(slope, y, size=size), spectral_radius(slope, y, size=8 * size, stream=52)
    except Exception:
        return math.nan
    return first if abs(first - second) <= 0.1 * max(first, second) else math.nan
