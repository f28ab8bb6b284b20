"""Displacements and energies of results of `mflow.solve_dynamics`, and response spectra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mflow.base.checks import Array, check_choice, check_instance, check_list
from mflow.plot.axes import axes_for, drawn_by, dress, legend
from mflow.plot.fields import rows_against_t
from mflow.plot.palette import COLOURS, SHADE, stroke

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["displacements", "energy", "spectrum"]

ACCOUNTS = ("kinetic", "potential", "damping", "numerical", "load")


def _rows(result: Any, of: str) -> tuple[Array, Array]:
    """(t, rows (n, m)) of a result's x, v or a."""
    if not hasattr(result, "t") or not hasattr(result, of):
        raise TypeError(f"result: expected a result of mflow.solve_dynamics with t and {of}, got {type(result).__name__}{drawn_by(result)}")
    values = np.asarray(getattr(result, of), dtype=np.float64)
    return np.asarray(result.t, dtype=np.float64), values.reshape(-1, values.shape[-1])


def displacements(
    result: Any, *, ax: Axes | None = None, of: str = "x", index: Sequence[int] | None = None, labels: Sequence[str] | None = None,
    unit: str = "",
) -> Axes:  # fmt: skip
    """Draw x, v or a against time.

    Parameters
    ----------
    result : DynamicsResult
    ax : matplotlib Axes, optional
    of : "x", "v" or "a"
    index : sequence of int, optional
        Which degrees of freedom; all up to eight, else eight of them, if not given.
    labels : sequence of str, optional
        Names of all degrees of freedom.
    unit : str
        For the label of the axis.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        No such result, or an argument does not fit it.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.solve_dynamics

    Examples
    --------
    >>> import mflow
    >>> from mflow import plot
    >>> s = mflow.solve_dynamics(stiffness=1.0, t_span=(0, 10), x0=[1.0], dt=0.1)
    >>> len(plot.displacements(s).lines)
    1
    """
    check_choice(of, "of", ("x", "v", "a"))
    check_instance(unit, "unit", str, "a text")
    t, rows = _rows(result, of)
    name = {"x": "displacement", "v": "velocity", "a": "acceleration"}[of]
    ax = rows_against_t(t, rows, of, ax=ax, index=index, labels=labels)
    dress(ax, "t", f"{name} ({unit})" if unit else name)
    return ax


def _stacked(ax: Axes, t: Array, parts: dict[str, Array]) -> None:
    base = np.zeros_like(t)
    for k, (name, values) in enumerate(parts.items()):
        top = base + values
        ax.fill_between(t, base, top, color=COLOURS[k], alpha=0.45, linewidth=0, label=name)
        ax.plot(t, top, linewidth=0.7, **{**stroke(k), "linestyle": "-"})
        base = top


def _beside(ax: Axes, t: Array, parts: dict[str, Array]) -> None:
    for k, (name, values) in enumerate(parts.items()):
        ax.plot(t, values, linewidth=1.1, label=name, **stroke(k))
    ax.plot(t, np.sum(list(parts.values()), axis=0), color="#000000", linewidth=1.1, label="sum")


def energy(result: Any, *, ax: Axes | None = None, unit: str = "") -> Axes:
    """Draw the energy ledger: the work of the load, and where the energy is.

    Kinetic and potential energy, damping and numerical dissipation stand on each other; together they are the work of the load and the
    energy at the start, drawn as a line. What lies between the line and the areas is the residual. Where one of them is below 0, as the
    potential of gravity is, they are lines of their own, and their sum is another.

    Parameters
    ----------
    result : DynamicsResult
        With an energy ledger.
    ax : matplotlib Axes, optional
    unit : str
        For the label of the axis.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        The result has no ledger.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.solve_dynamics, mflow.energy_ledger

    Examples
    --------
    >>> import mflow
    >>> from mflow import plot
    >>> s = mflow.solve_dynamics(stiffness=1.0, damping=0.1, t_span=(0, 10), x0=[1.0], dt=0.1)
    >>> [text.get_text() for text in plot.energy(s).get_legend().get_texts()]
    ['kinetic', 'potential', 'damping', 'energy at the start + load']
    """
    check_instance(unit, "unit", str, "a text")
    ledger = getattr(result, "energy", None)
    if ledger is None and not (hasattr(result, "x") and hasattr(result, "v")):
        raise TypeError(f"result: expected a result of mflow.solve_dynamics, got {type(result).__name__}{drawn_by(result)}")
    if ledger is None:
        raise ValueError("result: expected an energy ledger, got none; run with energy=True (the stiffness must be symmetric)")
    t = np.asarray(result.t, dtype=np.float64)
    known = {name: np.asarray(ledger[name], dtype=np.float64) for name in ACCOUNTS}
    parts = {"kinetic": known["kinetic"], "potential": known["potential"], "damping": known["damping"]}
    if np.all(np.isfinite(known["numerical"])) and np.any(known["numerical"] != 0.0):
        parts["numerical"] = -known["numerical"]  # the ledger has what was gained
    shown = {name: values for name, values in parts.items() if name in ("kinetic", "potential") or np.any(values != 0.0)}
    ax = axes_for(ax)
    largest = max(float(np.max(np.abs(values))) for values in shown.values())
    below = min(float(np.min(values)) for values in shown.values()) < -1e-3 * largest
    (_beside if below else _stacked)(ax, t, shown)
    total = known["kinetic"][0] + known["potential"][0] + known["load"]
    ax.plot(t, total, color="#000000", linewidth=1.1, linestyle=(0, (5, 1.5)), label="energy at the start + load")
    ax.axhline(0.0, color=SHADE, linewidth=0.7, zorder=0)
    dress(ax, "t", f"energy ({unit})" if unit else "energy")
    legend(ax, handlelength=None)
    return ax


def spectrum(spectra: Any, *, ax: Axes | None = None, of: str = "psa", labels: Sequence[str] | None = None, unit: str = "") -> Axes:
    """Draw response spectra against the period.

    Parameters
    ----------
    spectra : ResponseSpectrum or sequence of such
        Results of `mflow.response_spectrum`.
    ax : matplotlib Axes, optional
    of : "sd", "sv", "sa", "psv" or "psa"
    labels : sequence of str, optional
        One for each spectrum; record and damping ratio where not given.
    unit : str
        For the label of the axis; by default that of the spectra, where all have the same one.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        No such results, or an argument does not fit them.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.response_spectrum

    Examples
    --------
    >>> import mflow, numpy as np
    >>> from mflow import plot
    >>> s = mflow.response_spectrum((0.01, np.sin(np.linspace(0, 20, 1001))), np.linspace(0.05, 3, 100))
    >>> len(plot.spectrum(s).lines)
    1
    """
    check_choice(of, "of", ("sd", "sv", "sa", "psv", "psa"))
    check_instance(unit, "unit", str, "a text")
    members = [spectra] if hasattr(spectra, "periods") else check_list(spectra, "spectra", "results of mflow.response_spectrum")
    for i, member in enumerate(members):
        if not hasattr(member, "periods") or not hasattr(member, of):
            raise TypeError(f"spectra[{i}]: expected a result of mflow.response_spectrum, got {type(member).__name__}")
    if not members:
        raise ValueError("spectra: expected at least one, got none")
    names = (
        [f"{m.name}, damping {m.damping:g}" for m in members] if labels is None else check_list(labels, "labels", f"{len(members)} names")
    )
    if len(names) != len(members):
        raise ValueError(f"labels: expected {len(members)} names, one for each spectrum, got {len(names)}")
    ax = axes_for(ax)
    for i, (member, name) in enumerate(zip(members, names, strict=True)):
        order = np.argsort(member.periods, kind="stable")
        ax.plot(member.periods[order], getattr(member, of)[order], label=str(name), **stroke(i))
    known = {member.units[of] for member in members}
    unit = unit or (known.pop() if len(known) == 1 else "")
    dress(ax, "period (s)", f"{of} ({unit})" if unit else of)
    legend(ax)
    return ax
