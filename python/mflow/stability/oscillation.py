"""Dissipation and dispersion: how a method damps an oscillation, and how it changes its period.

x'' = -omega^2 x - 2 zeta omega x' has the eigenvalues omega (-zeta +- i sqrt(1 - zeta^2)); over a step its solution is multiplied by
exp(W (-zeta +- i sqrt(1 - zeta^2))), W = omega dt. The step's matrix has a pair of eigenvalues r exp(+- i p) in their place, so

    period error   T'/T - 1 = W sqrt(1 - zeta^2)/p - 1
    damping ratio  -log r/sqrt(p^2 + log^2 r)

For integrators of y' = f(t, y), R(z) at the first of those eigenvalues takes the place of the pair.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mflow.base.checks import Array, as_array, check_number, check_vector
from mflow.base.methods import Method, as_method
from mflow.base.pace import by_rows
from mflow.stability.amplification import amplification
from mflow.stability.results import Oscillation

if TYPE_CHECKING:
    from mflow.base._records import MethodOptions

__all__ = ["dispersion", "dissipation", "oscillation"]

REAL = 1e-9  # a phase below this is zero: both eigenvalues are real


def oscillation(method: str | Method, omega_dt: ArrayLike, zeta: float = 0.0, **parameters: Unpack[MethodOptions]) -> Oscillation:
    """Dissipation and dispersion of a method, at steps of omega dt.

    Parameters
    ----------
    method : name or instance
        A second-order method, or an integrator of y' = f(t, y).
    omega_dt : array_like of float (m,)
        Steps, above 0.
    zeta : float
        Damping ratio of the oscillator, from 0 to below 1.
    **parameters
        Parameters of the method.

    Returns
    -------
    Oscillation
        Arrays ``spectral_radius``, ``amplitude``, ``period_error``, ``damping_ratio`` and ``algorithmic_damping``, (m,) each.

    Raises
    ------
    ValueError
        An optimizer, or a step or zeta outside its bounds.

    See Also
    --------
    mflow.dispersion, mflow.dissipation

    Examples
    --------
    >>> import mflow, numpy as np
    >>> o = mflow.oscillation("newmark", [0.1, 1.0])
    >>> o.period_error.round(6).tolist(), bool(np.abs(o.algorithmic_damping).max() < 1e-12)
    ([0.000833, 0.078405], True)

    References
    ----------
    H. Hilber, T. Hughes and R. Taylor, Earthquake Eng. Struct. Dyn. 5 (1977) 283-292; T. Hughes, The Finite Element Method (1987), 9.1.
    """
    method = as_method(method, parameters)
    if method.kind != "step":
        raise ValueError(
            f"method: expected an integrator, got the optimizer {method.name}; use mflow.convergence_rate or mflow.parameter_region"
        )
    W = check_vector(np.atleast_1d(as_array(omega_dt, "omega_dt")), "omega_dt")
    if not np.all(W > 0.0):
        raise ValueError(f"omega_dt: expected an array (m,) of finite numbers above 0, got {W.min()}")
    zeta = check_number(zeta, "zeta", "a damping ratio from 0 to below 1 (beyond it nothing oscillates)", low=0.0, high=1.0, open_high=True)
    radius, amplitude, period, damping = map(np.ascontiguousarray, by_rows(lambda some: _columns(method, some, zeta), W).T)
    return Oscillation(method, zeta, W, radius, amplitude, period, damping, damping - zeta)


def _columns(method: Method, W: Array, zeta: float) -> Array:
    """(m, 4): spectral radius, amplitude, period error and damping ratio."""
    damped = math.sqrt(1.0 - zeta * zeta)
    if "second_order" in method.flags:
        matrices = amplification(method, omega_dt=W, zeta=zeta)
        if bad := [float(w) for w, one in zip(W, matrices, strict=True) if not np.all(np.isfinite(one))]:
            raise ValueError(f"omega_dt: expected numbers whose squares are finite, got {bad[0]:g}")
        values = np.linalg.eigvals(matrices)
        radius, pair = np.max(np.abs(values), axis=1), _pair(values, np.exp(W * complex(-zeta, damped)))
    else:
        pair = amplification(method, W * complex(-zeta, damped))
        radius = np.abs(pair)
    amplitude, phase = np.abs(pair), np.abs(np.angle(pair))
    with np.errstate(all="ignore"):
        turns = (phase > REAL) & (phase < math.pi - REAL)
        period = np.where(turns, W * damped / phase - 1.0, math.nan)
        fade = -np.log(amplitude)
        damping = np.where(amplitude > 0.0, fade / np.sqrt(phase * phase + fade * fade), 1.0)
    return np.stack([radius, amplitude, period, damping], axis=1)


def _pair(values: NDArray[np.complex128], exact: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """In each row the eigenvalue of the oscillation: among complex ones, if there are any, the nearest to the exact one."""
    distance = np.abs(values - exact[:, None])
    oscillates = values.imag > REAL * np.abs(values)
    distance = np.where(oscillates | ~np.any(oscillates, axis=1)[:, None], distance, math.inf)
    return np.take_along_axis(values.astype(np.complex128), np.argmin(distance, axis=1)[:, None], axis=1)[:, 0]


def dissipation(method: str | Method, omega_dt: ArrayLike, zeta: float = 0.0, **parameters: Unpack[MethodOptions]) -> Array:
    """Damping ratio that a method adds to an oscillation (algorithmic damping); below 0 the oscillation grows.

    Parameters
    ----------
    method, omega_dt, zeta, **parameters
        As in `oscillation`.

    Returns
    -------
    float64 array (m,)

    Raises
    ------
    ValueError
        As `oscillation`.

    See Also
    --------
    mflow.dispersion, mflow.oscillation, mflow.plot.spectral_radius

    Examples
    --------
    >>> import mflow
    >>> mflow.dissipation("generalized_alpha", [0.5, 2.0], rho_inf=0.5).round(4).tolist()
    [0.002, 0.044]

    References
    ----------
    H. Hilber, T. Hughes and R. Taylor, Earthquake Eng. Struct. Dyn. 5 (1977) 283-292.
    """
    return oscillation(method, omega_dt, zeta, **parameters).algorithmic_damping


def dispersion(method: str | Method, omega_dt: ArrayLike, zeta: float = 0.0, **parameters: Unpack[MethodOptions]) -> Array:
    """Relative error of the period, T'/T - 1; nan where the numerical solution does not oscillate.

    Parameters
    ----------
    method, omega_dt, zeta, **parameters
        As in `oscillation`.

    Returns
    -------
    float64 array (m,)

    Raises
    ------
    ValueError
        As `oscillation`.

    See Also
    --------
    mflow.dissipation, mflow.oscillation, mflow.plot.period_error

    Examples
    --------
    >>> import mflow
    >>> mflow.dispersion("central_difference", [0.5]).round(6).tolist()
    [-0.010607]

    References
    ----------
    T. Hughes, The Finite Element Method (1987), 9.1.
    """
    return oscillation(method, omega_dt, zeta, **parameters).period_error
