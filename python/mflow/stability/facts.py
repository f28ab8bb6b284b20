"""Facts of a method, computed from its coefficients or its kernel: stability function, A- and L-stability, SSP coefficient.

A step of a Runge-Kutta method multiplies the solution of y' = lambda y by R(z) = P(z)/Q(z), z = lambda dt:

    Q(z) = det(I - z A) = product (1 - z a_ii),   P = Q R to the degree of the stages,   R(z) = 1 + z b.1 + z^2 b.A 1 + ...

The polynomial of a method that chooses its stages at run time is computed from its kernel, on a circle (Fourier coefficients).
For second-order methods the matrix of a step on an oscillator, probed from the kernel, takes the place of R.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mflow.base.checks import Array
from mflow.base.methods import Method, as_method
from mflow.spectra.eigenvalues import bisect
from mflow.stability.amplification import amplification, step_matrices
from mflow.stability.conditions import coefficients, on_linear
from mflow.stability.limits import stability_limit

if TYPE_CHECKING:
    from mflow.base._records import MethodOptions

__all__ = ["StabilityFunction", "is_a_stable", "is_l_stable", "limit_at_infinity", "ssp_coefficient", "stability_function"]

ZERO = 1e-13  # coefficients of P, Q this small relative to their terms are rounding
FAR = 1e6  # omega dt that stands for infinity


class StabilityFunction:
    """R(z) of an integrator, as a function and as the quotient of two polynomials.

    method : Method. numerator, denominator : float64 arrays, coefficients of 1, z, z^2, ...; the denominator of an explicit method is
    [1.]. Called with z (array_like of complex) it runs the kernel and returns a complex128 array of z's shape.
    """

    def __init__(self, method: Method, numerator: Array, denominator: Array) -> None:
        self.method, self.numerator, self.denominator = method, numerator, denominator

    def __call__(self, z: ArrayLike) -> NDArray[np.complex128]:
        """R(z), from the kernel."""
        values: NDArray[np.complex128] = amplification(self.method, z)
        return values

    def __repr__(self) -> str:
        text = f"R(z) of {self.method.name} = {_polynomial(self.numerator)}"
        return text if len(self.denominator) == 1 else text.replace("= ", "= (", 1) + f")/({_polynomial(self.denominator)})"


def _polynomial(values: Array) -> str:
    parts = []
    for k, a in enumerate(values):
        if a != 0.0 or len(values) == 1:
            power = "" if k == 0 else "z" if k == 1 else f"z^{k}"
            size = f"{abs(a):.6g}" if k == 0 or abs(a) != 1.0 else ""
            parts.append((" - " if a < 0 else " + ") + (f"{size} {power}" if size and power else size or power))
    text = "".join(parts)
    return text[3:] if text.startswith(" + ") else "-" + text[3:]


def _integrator(method: str | Method, parameters: Mapping[str, Any], fact: str) -> Method:
    method = as_method(method, parameters)
    if method.kind != "step" or "second_order" in method.flags:
        use = "omega_dt=" if "second_order" in method.flags else "curvature="
        raise ValueError(
            f"method: expected an integrator of y' = f(t, y), got {method.name} without {fact}; use mflow.amplification with {use}"
        )
    return method


def stability_function(method: str | Method, **parameters: Unpack[MethodOptions]) -> StabilityFunction:
    """The stability function R(z): a step multiplies the solution of y' = lambda y by it, z = lambda dt.

    Parameters
    ----------
    method : name or instance of an integrator of y' = f(t, y)
    **parameters
        Parameters of the method.

    Returns
    -------
    StabilityFunction
        A function of z, with the coefficients ``numerator`` and ``denominator``.

    Raises
    ------
    ValueError
        Another kind of method, or one that chooses its stages at run time and is given no ``stages=``.

    See Also
    --------
    mflow.amplification, mflow.stability_limit

    Examples
    --------
    >>> import mflow
    >>> R = mflow.stability_function("trapezoidal")
    >>> R, complex(R(-2.0))
    (R(z) of trapezoidal = (1 + 0.5 z)/(1 - 0.5 z), 0j)

    References
    ----------
    E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), IV.2-IV.3.
    """
    method = _integrator(method, parameters, "stability function R(z)")
    if "multistep" in method.flags:
        raise ValueError(
            f"method: {method.name} is a multistep method, whose step multiplies by a matrix, and has no R(z); its largest root is "
            "mflow.amplification(method, z)"
        )
    if method.tableau is None:
        return StabilityFunction(method, _read_off(method), np.ones(1))
    A, b, _ = coefficients(method)
    A = on_linear(method, A)
    denominator, sizes = _determinant(A)
    series, terms = [1.0], [1.0]
    u, w = np.ones(b.size), np.ones(b.size)
    for _ in range(b.size):
        series.append(math.fsum(b * u))
        terms.append(float(np.abs(b) @ w))
        u, w = A @ u, np.abs(A) @ w
    count = b.size + 1
    numerator = np.convolve(denominator, series)[:count]
    bound = np.convolve(sizes, terms)[:count]
    numerator[np.abs(numerator) <= ZERO * bound] = 0.0
    return StabilityFunction(method, np.trim_zeros(numerator, "b"), denominator)


def _determinant(A: Array) -> tuple[Array, Array]:
    """det(I - z A) in powers of z, and its terms' sizes: a product over the diagonal where A is triangular, else over the eigenvalues."""
    triangular = not np.any(np.triu(A, 1))
    roots = np.diag(A) if triangular else np.linalg.eigvals(A)
    out, sizes = np.ones(1), np.ones(1)
    for a in roots[roots != 0.0]:
        out, sizes = np.convolve(out, [1.0, -a]), np.convolve(sizes, [1.0, abs(a)])
    return np.ascontiguousarray(out.real), sizes


def _read_off(method: Method) -> Array:
    """Coefficients of the polynomial of a method with as many stages as it was given: Fourier coefficients of R on the unit circle."""
    stages = int(method.parameters.get("stages") or 0)
    if not stages:
        raise ValueError(f"method: {method.name} chooses its stages when it runs; give stages=, as in {type(method).__name__}(stages=10)")
    count = 2 * stages + 2
    circle = np.exp(2j * math.pi * np.arange(count) / count)
    values = np.fft.fft(amplification(method, circle)).real / count
    out: Array = np.where(np.abs(values) <= 1e-15 * np.max(np.abs(values)), 0.0, values)[: stages + 1]
    return out


def limit_at_infinity(method: str | Method, **parameters: Unpack[MethodOptions]) -> float:
    """R(z) for z to minus infinity: the factor of a step that is far too long.

    Parameters
    ----------
    method : name or instance
        An integrator, or a second-order method.
    **parameters
        Parameters of the method.

    Returns
    -------
    float
        0: the step reaches the steady state (backward Euler). -1: it oscillates about it (trapezoidal rule). inf or -inf: explicit. For a
        second-order method the spectral radius for omega dt to infinity, to 1e-7; for a multistep method the modulus of its largest root.

    Raises
    ------
    ValueError
        Another kind of method, or one that chooses its stages at run time.

    See Also
    --------
    mflow.is_l_stable, mflow.stability_function

    Examples
    --------
    >>> import mflow
    >>> mflow.limit_at_infinity("backward_euler"), mflow.limit_at_infinity("trapezoidal")
    (0.0, -1.0)

    References
    ----------
    E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), IV.3; J. Chung and G. Hulbert, J. Appl. Mech. 60 (1993)
    371-375.
    """
    method = as_method(method, parameters)
    if "second_order" in method.flags:
        values = np.linalg.eigvals(amplification(method, omega_dt=FAR))
        outer = values[int(np.argmax(np.abs(values)))]
        if abs(outer) > 0.1 * FAR:
            return math.inf
        return float(abs(np.mean(values[np.abs(values - outer) <= 0.05])))  # eigenvalues that meet spread about their mean
    if "multistep" in method.flags:
        return _root_at_infinity(_integrator(method, {}, "limit"))
    R = stability_function(method)
    above, below = len(R.numerator), len(R.denominator)
    ratio = float(R.numerator[-1] / R.denominator[-1])
    if above < below:
        return 0.0
    return ratio if above == below else math.copysign(math.inf, ratio * (-1.0) ** (above - below))


def _root_at_infinity(method: Method) -> float:
    """The largest modulus of a multistep method's roots for z to minus infinity. Where it is 0 eigenvalues would show rounding alone."""
    matrix = step_matrices(method, np.array([-1e300 + 0j]))[0]
    power = float(np.max(np.abs(np.linalg.matrix_power(matrix, len(matrix)))))
    return 0.0 if power < ZERO else float(np.max(np.abs(np.linalg.eigvals(matrix))))


def is_a_stable(method: str | Method, **parameters: Unpack[MethodOptions]) -> bool:
    """Whether a method is A-stable: |R(z)| <= 1 for all z with a real part of at most 0, so that no step is too long.

    Parameters
    ----------
    method : name or instance
        An integrator; or a second-order method, A-stable where every omega dt is stable without damping.
    **parameters
        Parameters of the method.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        Another kind of method.

    See Also
    --------
    mflow.is_l_stable, mflow.stability_function, mflow.stability_limit

    Examples
    --------
    >>> import mflow
    >>> mflow.is_a_stable("trapezoidal"), mflow.is_a_stable("rk4"), mflow.is_a_stable("newmark")
    (True, False, True)

    References
    ----------
    G. Dahlquist, BIT 3 (1963) 27-43; E. Hairer and G. Wanner, Solving Ordinary Differential Equations II (1996), IV.3.
    """
    method = as_method(method, parameters)
    if "second_order" in method.flags:
        return stability_limit(method) == math.inf
    method = _integrator(method, {}, "A-stability")
    if not method.is_implicit:
        return False  # a polynomial leaves the unit disc
    if "multistep" in method.flags:
        return stability_limit(method, axis="imaginary") == math.inf
    R = stability_function(method)
    if np.any(np.roots(R.denominator[::-1]).real <= 0.0):  # a pole where solutions decay
        return False
    size = max(len(R.numerator), len(R.denominator))
    modulus = []  # |P(iy)|^2 and |Q(iy)|^2 as polynomials in x = y^2, with the sizes of their terms
    for part in (R.numerator, R.denominator):
        padded = np.zeros(size)
        padded[: len(part)] = part
        full = np.convolve(padded, padded * (-1.0) ** np.arange(size))[::2]  # P(z) P(-z) at z = iy
        modulus.append((full * (-1.0) ** np.arange(size), np.convolve(np.abs(padded), np.abs(padded))[::2]))
    (p, p_size), (q, q_size) = modulus
    E = np.where(np.abs(q - p) <= 10.0 * ZERO * (p_size + q_size), 0.0, q - p)
    E = np.trim_zeros(E, "b")
    if not E.size:
        return True
    extrema = np.roots(np.polynomial.polynomial.polyder(E)[::-1]) if E.size > 1 else np.empty(0)
    x = np.maximum(extrema.real, 0.0)
    lowest = np.polynomial.polynomial.polyval(x, E) / np.polynomial.polynomial.polyval(x, p_size + q_size)
    return bool(E[-1] > 0.0 and np.all(lowest >= -10.0 * ZERO))


def is_l_stable(method: str | Method, **parameters: Unpack[MethodOptions]) -> bool:
    """Whether a method is L-stable: A-stable with R(infinity) = 0, so that one step damps infinitely stiff components.

    Parameters
    ----------
    method : name or instance
        An integrator, or a second-order method.
    **parameters
        Parameters of the method.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        Another kind of method.

    See Also
    --------
    mflow.is_a_stable, mflow.limit_at_infinity

    Examples
    --------
    >>> import mflow
    >>> mflow.is_l_stable("backward_euler"), mflow.is_l_stable("trapezoidal"), mflow.is_l_stable("sdirk2")
    (True, False, True)

    References
    ----------
    B. Ehle, SIAM J. Math. Anal. 4 (1973) 671-680.
    """
    method = as_method(method, parameters)
    small = 1e-3 if "second_order" in method.flags else 1e-12
    return is_a_stable(method) and abs(limit_at_infinity(method)) <= small


def ssp_coefficient(method: str | Method, **parameters: Unpack[MethodOptions]) -> float:
    """The SSP (TVD) coefficient: steps of this many dt stay monotone where Euler steps of dt are monotone.

    Parameters
    ----------
    method : name or instance of a method with coefficients
    **parameters
        Parameters of the method.

    Returns
    -------
    float
        The radius of absolute monotonicity, to 1e-10 or better; 0 where the method is not SSP, inf for backward Euler.

    Raises
    ------
    ValueError
        The method stores no coefficients.

    See Also
    --------
    mflow.stability_limit, mflow.methods

    Notes
    -----
    The largest r for which, with K = [[A, 0], [b, 0]], the matrix I + r K is regular and r K (I + r K)^-1 and (I + r K)^-1 1 have no
    negative entry. It is positive only where A and b have no negative entry and K^2 is zero where K is; then it is found by bisection.

    Examples
    --------
    >>> import mflow
    >>> [round(mflow.ssp_coefficient(name), 9) for name in ("tvd_rk3", "ssprk104", "rk4", "backward_euler")]
    [1.0, 6.0, 0.0, inf]

    References
    ----------
    J. F. B. M. Kraaijevanger, BIT 31 (1991) 482-528; S. Gottlieb, C.-W. Shu and E. Tadmor, SIAM Rev. 43 (2001) 89-112.
    """
    A, b, _ = coefficients(as_method(method, parameters))
    s = b.size
    K = np.zeros((s + 1, s + 1))
    K[:s, :s], K[s, :s] = A, b
    tiny = 1e-14 * float(np.max(np.abs(K)))
    K[np.abs(K) <= tiny] = 0.0
    if np.any(K < 0.0) or np.any((tiny < K @ K) & (K == 0.0)):
        return 0.0

    def monotone(r: float) -> bool:
        matrix = np.eye(s + 1) + r * K
        try:
            both = np.linalg.solve(matrix, np.concatenate([r * K, np.ones((s + 1, 1))], axis=1))
        except np.linalg.LinAlgError:
            return False
        return bool(np.all(both >= -4e-15 * max(1.0, r)))

    lower, upper = 0.0, 1.0
    while monotone(upper):
        lower, upper = upper, 2.0 * upper
        if upper > 1e6:
            return math.inf
    return bisect(lambda r: not monotone(r), lower, upper, 1e-14)
