"""What second-order methods make of an oscillation: spectral radius and period error against the step.

Computed from the matrix of a step, probed from the kernel (`mflow.amplification`); results of `mflow.oscillation` are drawn as they are.
The step is counted in periods of the undamped oscillator, dt/T = omega dt/(2 pi), as the structural literature does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mflow.arrays import Array
from mflow.methods import Method, as_method
from mflow.palette import SHADE, dress, place, stroke
from mflow.stability import amplification

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["period_error", "spectral_radius"]


def _probe(method: Method, omega_dt: Array, zeta: float) -> tuple[Array, Array]:
    """(spectral radius, period error) of each step."""
    matrices = amplification(method, omega_dt=omega_dt, zeta=zeta)
    radius, error = np.full(omega_dt.size, math.inf), np.full(omega_dt.size, math.nan)
    exact = omega_dt * math.sqrt(max(1.0 - zeta * zeta, 0.0))
    for k, matrix in enumerate(matrices):
        if not np.all(np.isfinite(matrix)):
            continue
        values = np.linalg.eigvals(matrix)
        radius[k] = float(np.max(np.abs(values)))
        turning = values[values.imag > 1e-9 * radius[k]]
        if turning.size and exact[k] > 0.0:
            pair = turning[np.argmax(np.abs(turning))]
            error[k] = exact[k] / math.atan2(pair.imag, pair.real) - 1.0
    return radius, error


def _members(methods: Any, omega_dt: Array, zeta: float) -> dict[str, tuple[Array, Array, Array]]:
    """name -> (omega dt, spectral radius, period error)."""
    if isinstance(methods, (str, Method)) or hasattr(methods, "period_error"):
        methods = [methods]
    pairs = methods.items() if isinstance(methods, Mapping) else [(None, m) for m in methods]
    out = {}
    for name, given in pairs:
        if hasattr(given, "period_error"):
            method, row = given.method, (given.omega_dt, given.spectral_radius, given.period_error)
        else:
            method = as_method(given, {})
            if "second_order" not in method.flags or "linear" not in method.flags:
                raise ValueError(
                    f"{method.name} is no method for x'' = F(t, x, v); plot.stability_regions suits integrators of first order"
                )
            row = (omega_dt, *_probe(method, omega_dt, zeta))
        label = str(name) if name is not None else method.name
        out[label if label not in out else f"{label} {method.given}"] = row
    if not out:
        raise ValueError("methods: at least one is wanted")
    return out


def _steps(omega_dt: ArrayLike | None, low: float, high: float, logarithmic: bool) -> Array:
    if omega_dt is None:
        at = np.geomspace(low, high, 400) if logarithmic else np.linspace(low, high, 400)
        return np.asarray(2.0 * math.pi * at, dtype=np.float64)
    out = np.asarray(omega_dt, dtype=np.float64)
    if out.ndim != 1 or out.size < 2 or not np.all(out > 0.0) or not np.all(np.isfinite(out)):
        raise ValueError(f"omega_dt: a row of at least two finite numbers above 0 is wanted, shape {out.shape} came")
    return out


def spectral_radius(
    methods: str | Method | Sequence[Any] | Mapping[str, Any],
    *,
    ax: Axes | None = None,
    zeta: float = 0.0,
    omega_dt: ArrayLike | None = None,
) -> Axes:
    """Draw by what a step multiplies an oscillation, against the step: above 1 it grows, below 1 it is damped.

    Parameters
    ----------
    methods : name or instance of a second-order method, a sequence of such or of results of `mflow.oscillation`, or a dict of
        label -> such
    ax : matplotlib Axes, optional
    zeta : float
        The oscillator's own damping ratio.
    omega_dt : array_like (m,), optional
        Steps times frequency; from a hundredth of a period to a hundred periods if not given.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        A method of first order, or steps that are no row of numbers above 0.
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> import mflow
    >>> from mflow import plot
    >>> ax = plot.spectral_radius({"average": mflow.Newmark(0.25, 0.5), "central": "central_difference"})
    >>> ax.get_xlabel()
    'dt / T'

    References
    ----------
    T. Hughes, The Finite Element Method (1987), 9.1.
    """
    members = _members(methods, _steps(omega_dt, 1e-2, 1e2, True), zeta)
    ax = place(ax)
    for k, (name, (w, radius, _)) in enumerate(members.items()):
        ax.plot(w / (2.0 * math.pi), np.minimum(radius, 10.0), label=name, linewidth=1.7, zorder=3, **stroke(k))
    ax.axhline(1.0, color=SHADE, linewidth=0.9, zorder=1)
    ax.set_xscale("log")
    ax.set_ylim(0.0, 1.3)
    ax.set_xlabel("dt / T")
    ax.set_ylabel("spectral radius")
    dress(ax)
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize="small", frameon=False, handlelength=3.2)
    return ax


def period_error(
    methods: str | Method | Sequence[Any] | Mapping[str, Any],
    *,
    ax: Axes | None = None,
    zeta: float = 0.0,
    omega_dt: ArrayLike | None = None,
) -> Axes:
    """Draw by how much a method lengthens the period of an oscillation, against the step.

    Parameters
    ----------
    methods, ax, zeta
        As `spectral_radius`.
    omega_dt : array_like (m,), optional
        Steps times frequency; up to 0.4 periods if not given.

    Returns
    -------
    matplotlib.axes.Axes
        A curve ends where no oscillation is left.

    Raises
    ------
    ValueError
        As `spectral_radius`.
    ImportError
        matplotlib is not installed.

    Examples
    --------
    >>> import mflow
    >>> from mflow import plot
    >>> plot.period_error([mflow.Newmark(0.25, 0.5)]).get_ylabel()
    "T'/T - 1 (%)"

    References
    ----------
    T. Hughes, The Finite Element Method (1987), 9.1; K.-J. Bathe, Finite Element Procedures (1996), 9.4.
    """
    members = _members(methods, _steps(omega_dt, 1e-3, 0.4, False), zeta)
    ax = place(ax)
    for k, (name, (w, _, error)) in enumerate(members.items()):
        ax.plot(w / (2.0 * math.pi), 100.0 * error, label=name, linewidth=1.7, zorder=3, **stroke(k))
    ax.axhline(0.0, color=SHADE, linewidth=0.9, zorder=1)
    ax.set_xlabel("dt / T")
    ax.set_ylabel("T'/T - 1 (%)")
    dress(ax)
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize="small", frameon=False, handlelength=3.2)
    return ax
