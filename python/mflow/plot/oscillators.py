"""Oscillations under a method: spectral radius and period error against the step.

The curves are results of `mflow.oscillation`. The step is counted in periods of the undamped oscillator,
dt/T = omega dt/(2 pi), as the structural literature does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from mflow.base.checks import Array, check_list, real_array
from mflow.base.methods import Method, as_method
from mflow.plot.axes import axes_for, dress, legend
from mflow.plot.palette import SHADE, stroke
from mflow.stability.oscillation import oscillation
from mflow.stability.results import Oscillation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["period_error", "spectral_radius"]


def _members(methods: Any, omega_dt: Array, zeta: float) -> dict[str, Oscillation]:
    if isinstance(methods, (str, Method)) or hasattr(methods, "period_error"):
        methods = [methods]
    expected = "methods, or results of mflow.oscillation"
    pairs = methods.items() if isinstance(methods, Mapping) else [(None, m) for m in check_list(methods, "methods", expected)]
    out: dict[str, Oscillation] = {}
    for name, given in pairs:
        result = given if hasattr(given, "period_error") else oscillation(as_method(given, {}, "methods"), omega_dt, zeta)
        label = str(name) if name is not None else result.method.name
        out[label if label not in out else repr(result.method)] = result
    if not out:
        raise ValueError("methods: expected at least one, got none")
    return out


def _steps(omega_dt: ArrayLike | None, in_periods: Array) -> Array:
    return real_array(2.0 * math.pi * in_periods if omega_dt is None else omega_dt, "omega_dt")


def spectral_radius(
    methods: str | Method | Sequence[Any] | Mapping[str, Any],
    *,
    ax: Axes | None = None,
    zeta: float = 0.0,
    omega_dt: ArrayLike | None = None,
) -> Axes:
    """Draw the factor by which a step multiplies an oscillation, against the step: it grows above 1 and is damped below 1.

    Parameters
    ----------
    methods : name or instance, a sequence of such or of results of `mflow.oscillation`, or a dict of label -> such
        Second-order methods, and integrators of y' = f(t, y).
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
        An optimizer, steps that are no one-dimensional array of numbers above 0, or zeta not in [0, 1).
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.oscillation, mflow.plot.period_error

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
    members = _members(methods, _steps(omega_dt, np.geomspace(1e-2, 1e2, 400)), zeta)
    ax = axes_for(ax)
    for k, (name, one) in enumerate(members.items()):
        ax.plot(one.omega_dt / (2.0 * math.pi), np.minimum(one.spectral_radius, 10.0), label=name, linewidth=1.7, zorder=3, **stroke(k))
    ax.axhline(1.0, color=SHADE, linewidth=0.9, zorder=1)
    ax.set_xscale("log")
    ax.set_ylim(0.0, 1.3)
    dress(ax, "dt / T", "spectral radius")
    legend(ax)
    return ax


def period_error(
    methods: str | Method | Sequence[Any] | Mapping[str, Any],
    *,
    ax: Axes | None = None,
    zeta: float = 0.0,
    omega_dt: ArrayLike | None = None,
) -> Axes:
    """Draw the relative error of the period of an oscillation, against the step.

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

    See Also
    --------
    mflow.oscillation, mflow.plot.spectral_radius

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
    members = _members(methods, _steps(omega_dt, np.linspace(1e-3, 0.4, 400)), zeta)
    ax = axes_for(ax)
    for k, (name, one) in enumerate(members.items()):
        ax.plot(one.omega_dt / (2.0 * math.pi), 100.0 * one.period_error, label=name, linewidth=1.7, zorder=3, **stroke(k))
    ax.axhline(0.0, color=SHADE, linewidth=0.9, zorder=1)
    dress(ax, "dt / T", "T'/T - 1 (%)")
    legend(ax)
    return ax
