"""How the error falls with the step: convergence orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mflow.base.checks import Array, check_fields, check_flags, check_list, check_whole, shown
from mflow.plot.axes import axes_for, dress, legend
from mflow.plot.palette import SHADE, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["convergence"]


def _members(table: Any, local: bool) -> dict[str, tuple[Array, Array, float]]:
    """name -> (dt, error, order): results, sequences of them, or a dict of name -> result or pair."""
    if hasattr(table, "dt"):
        table = [table]
    if isinstance(table, Mapping):
        pairs = list(table.items())
    else:
        expected = "results of mflow.convergence, or a dict of name -> result or pair (dt, error)"
        given = check_list(table, "table", expected)
        pairs = [(check_fields(one, f"table[{k}]", ("method", "dt"), expected).method.name, one) for k, one in enumerate(given)]
    out = {}
    for name, one in pairs:
        if hasattr(one, "dt"):
            error, order = (one.local_error, one.local_order) if local else (one.global_error, one.global_order)
            steps = one.dt
        else:
            pair = check_list(one, f"table[{name!r}]", "a result of mflow.convergence, or a pair (dt, error)")
            if len(pair) != 2:
                raise ValueError(f"table[{name!r}]: expected a pair (dt, error), got {shown(one)}")
            (steps, error), order = pair, np.nan
        dt, error = np.asarray(steps, dtype=np.float64), np.asarray(error, dtype=np.float64)
        if dt.ndim != 1 or dt.shape != error.shape or not dt.size:
            raise ValueError(f"{name}: expected steps and errors of one length, got shapes {dt.shape} and {error.shape}")
        out[str(name)] = (dt, error, float(order))
    if not out:
        raise ValueError("table: expected at least one method, got none")
    return out


def _slope(dt: Array, error: Array) -> float:
    """Observed order: the median of those between neighbours, which neither rounding at one end nor large steps at the other move."""
    order = np.argsort(dt)
    x, y = np.log(dt[order]), np.log(error[order])
    return float(np.median(np.diff(y) / np.diff(x))) if dt.size > 1 else float("nan")


def convergence(table: Any, *, ax: Axes | None = None, local: bool = False, orders: Sequence[int] | None = None) -> Axes:
    """Draw error against step, with lines of whole orders behind.

    Parameters
    ----------
    table : ConvergenceResult, sequence of such, or dict
        From `mflow.convergence`; or name -> result or pair (dt, error) of arrays.
    ax : matplotlib Axes, optional
    local : bool
        The error of one step in place of that at the end; results alone.
    orders : sequence of int, optional
        Which lines are drawn; the observed orders, rounded, if not given.

    Returns
    -------
    matplotlib.axes.Axes
        The legend has the observed order of each.

    Raises
    ------
    ValueError
        Steps and errors do not fit, or there is no method.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.convergence

    Examples
    --------
    >>> import numpy as np
    >>> from mflow import plot
    >>> dt = 0.5 ** np.arange(1.0, 6.0)
    >>> ax = plot.convergence({"euler": (dt, 0.2 * dt), "rk2": (dt, 0.1 * dt**2)})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['euler: order 1.00', 'rk2: order 2.00']
    """
    check_flags(local=local)
    members = _members(table, local)
    if orders is not None:
        orders = [check_whole(p, f"orders[{k}]") for k, p in enumerate(check_list(orders, "orders", "whole numbers"))]
    ax = axes_for(ax)
    observed = []
    for k, (name, (dt, error, order)) in enumerate(members.items()):
        good = (error > 0.0) & np.isfinite(error) & (dt > 0.0)
        p = order if np.isfinite(order) or np.count_nonzero(good) < 2 else _slope(dt[good], error[good])
        label = f"{name}: order {p:.2f}" if np.isfinite(p) else name
        ax.plot(dt[good], error[good], label=label, linewidth=1.4, markersize=5.0, zorder=3, **style(k))
        keep = _steady(dt[good], error[good], p)
        observed.append((p, dt[good][keep], error[good][keep]))
    ax.set_xscale("log")
    ax.set_yscale("log")
    steady = np.concatenate([error for _, _, error in observed])
    if steady.size and ax.get_ylim()[1] > 100.0 * steady.max():  # steps that are unstable leave the picture
        ax.set_ylim(top=10.0 * steady.max())
    _guides(ax, observed, orders)
    dress(ax, "dt", "error of one step" if local else "error at the end", log="xy")
    legend(ax)
    return ax


def _steady(dt: Array, error: Array, p: float) -> NDArray[np.bool_]:
    """All steps below the first at which the error jumps, by far more than its order allows: from there on the step is unstable."""
    keep = np.ones(dt.size, dtype=bool)
    order = np.argsort(dt)
    jumps = np.diff(np.log(error[order])) > ((p if np.isfinite(p) else 0.0) + 6.0) * np.diff(np.log(dt[order]))
    if np.any(jumps):
        keep[order[int(np.argmax(jumps)) + 1 :]] = False
    return keep


def _guides(ax: Axes, observed: Sequence[tuple[float, Array, Array]], orders: Sequence[int] | None) -> None:
    """A thin line of each whole order through the largest step of the first method that has it, a little above."""
    powers = list(orders) if orders is not None else sorted({round(p) for p, _, _ in observed if np.isfinite(p) and round(p) > 0})
    low, high = ax.get_ylim()
    left, right = ax.get_xlim()
    ax.set_xlim(left, right * (right / left) ** 0.08)  # room for their names
    for p in powers:
        near = [(abs(q - p), k) for k, (q, dt, _) in enumerate(observed) if np.isfinite(q) and dt.size]
        if not near:
            continue
        _, dt, error = observed[min(near)[1]]
        first = int(np.argmax(dt))
        line = 1.6 * error[first] * (dt / dt[first]) ** p
        shown = line >= low
        if np.count_nonzero(shown) < 2:
            continue
        ax.plot(dt[shown], line[shown], color=SHADE, linewidth=0.9, linestyle=(0, (4, 2)), zorder=2)
        look: dict[str, Any] = {"textcoords": "offset points", "ha": "left", "va": "center", "fontsize": "small", "color": "#606060"}
        ax.annotate(f"$dt^{p}$", (dt[first], line[first]), xytext=(4, 0), **look)
    ax.set_ylim(low, high)
