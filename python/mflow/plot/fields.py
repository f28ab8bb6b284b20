"""Solutions against time: one with its components, families over their direction field, the steps of a method with the true curve.

All functions take plain arrays, (t, y) with y of shape (n_points,) or (n, n_points), as well as the results of the drivers and of
`mflow.family`. They return the axes; ``.figure`` is the figure of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mflow.base.checks import Array, check_choice, check_flags, check_function, check_list, check_range, check_whole, shown
from mflow.plot.axes import axes_for, drawn_by, dress, legend
from mflow.plot.palette import COLOURS, MARKERS, SHADE, STROKES, stroke

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["curves_of", "direction_field", "family", "iterates", "rows_against_t", "solution"]

FINE = 400  # points between the ends where a result has a dense output
CURVES = 8  # of more components this many are drawn, evenly spaced
MOST = 10_000  # strokes in a row
FAR = 1e3  # a run is drawn until it is this many times as far out as the true curve


def _rows(source: Any, name: str) -> tuple[Array, Array]:
    """(t, y (n, n_points)) of one solution: a result, or a pair of arrays."""
    try:
        t, y = (source.t, source.y) if hasattr(source, "t") and hasattr(source, "y") else source
        real = not np.iscomplexobj(y)
        t, y = np.asarray(t, dtype=np.float64), np.asarray(y, dtype=np.float64) if real else np.asarray(y)
    except (TypeError, ValueError):
        got = f"{type(source).__name__}{drawn_by(source)}"
        raise TypeError(f"{name}: expected a result with t and y, or a pair (t, y), got {got}") from None
    if not real:
        raise TypeError(f"{name}: expected real components, got complex ones; draw (t, y.real) and (t, y.imag)")
    if t.ndim != 1 or y.shape[-1:] != t.shape:
        raise ValueError(f"{name}: y of shape {y.shape} does not fit t of shape {t.shape}; the last axis of y belongs to t")
    return t, y.reshape(-1, t.size)


def _curve(source: Any, component: int, name: str) -> tuple[Array, Array]:
    """(t, y (n_points,)) of one component."""
    t, rows = _rows(source, name)
    return t, rows[check_whole(component, "component", 0, len(rows) - 1)]


def curves_of(solutions: Any, component: int = 0) -> list[tuple[Array, Array]]:
    """The pairs (t, y) of a family.

    Parameters
    ----------
    solutions : a result of `mflow.family` or `mflow.solve_ivp_batch`, or a sequence of results of `mflow.solve_ivp` or of pairs (t, y)
    component : int

    Returns
    -------
    list of (float64 array (n_points,), float64 array (n_points,))

    Raises
    ------
    TypeError, ValueError
        A member is no solution, or there is none.

    Examples
    --------
    >>> from mflow.plot.fields import curves_of
    >>> len(curves_of([([0.0, 1.0], [1.0, 2.0]), ([0.0, 1.0], [2.0, 4.0])]))
    2
    """
    if hasattr(solutions, "t") and hasattr(solutions, "y"):
        t, y = np.asarray(solutions.t, dtype=np.float64), np.asarray(solutions.y, dtype=np.float64)
        if y.ndim < 3 or y.shape[-1:] != t.shape:
            raise ValueError(f"solutions: expected y of shape (starts, n, times), got {y.shape}; give the batch a t_eval")
        solutions = [(t, trajectory) for trajectory in y]
    members = check_list(solutions, "solutions", "results with t and y, or pairs (t, y)")
    out = [_curve(one, component, f"solutions[{k}]") for k, one in enumerate(members)]
    if not out:
        raise ValueError("solutions: expected at least one, got none")
    return out


def rows_against_t(
    t: Array, rows: Array, symbol: str, *, ax: Axes | None = None, index: Sequence[int] | None = None, labels: Sequence[str] | None = None
) -> Axes:
    """Draw the rows (n, m), or some of them, against t (m,), each with its name: the body of `solution` and of `plot.displacements`."""
    n = len(rows)
    labels = None if labels is None else check_list(labels, "labels", f"{n} names")
    if labels is not None and len(labels) != n:
        raise ValueError(f"labels: expected {n} names, one for each row of {symbol}, got {len(labels)}")
    if index is not None:
        index = [check_whole(k, f"index[{i}]", -n, n - 1) for i, k in enumerate(check_list(index, "index", f"numbers from 0 to {n - 1}"))]
    selected = index if index is not None else sorted({round(k) for k in np.linspace(0, n - 1, min(n, CURVES))})
    if not selected:
        raise ValueError(f"index: expected numbers from 0 to {n - 1}, got none")
    ax = axes_for(ax)
    for i, k in enumerate(selected):
        ax.plot(t, rows[k], label=labels[k] if labels is not None else f"{symbol}[{k % n}]", linewidth=1.3, **stroke(i))
    if len(selected) > 1 or labels is not None:
        legend(ax, title=f"{len(selected)} of {n}; index= chooses" if index is None and len(selected) < n else None)
    return ax


def solution(
    result: Any, *, ax: Axes | None = None, index: Sequence[int] | None = None, labels: Sequence[str] | None = None, log: str = ""
) -> Axes:
    """Draw the components of a solution against time.

    Parameters
    ----------
    result : a result of `mflow.solve_ivp` or `mflow.gradient_flow`, or a pair (t, y)
        With ``dense_output=True`` the curve between the steps is drawn, else straight lines between the saved points.
    ax : matplotlib Axes, optional
    index : sequence of int, optional
        Which components; all up to eight, else eight of them, if not given.
    labels : sequence of str, optional
        Names of all components.
    log : "", "x", "y" or "xy"
        Axes with a logarithmic scale; what is not above 0 is not drawn there.

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
    mflow.family : solutions from many starts.
    mflow.plot.iterates : the steps of several methods.
    mflow.plot.displacements : of a motion.

    Examples
    --------
    >>> import mflow
    >>> from mflow import plot
    >>> r = mflow.solve_ivp(lambda t, y: [y[1], -y[0]], (0, 10), [1.0, 0.0], dense_output=True)
    >>> [line.get_label() for line in plot.solution(r).lines]
    ['y[0]', 'y[1]']
    """
    check_choice(log, "log", ("", "x", "y", "xy"))
    t, rows = _rows(result, "result")
    dense = getattr(result, "sol", None)
    if dense is not None and t.size > 1:
        between = np.geomspace(t[t > 0].min(), t[t > 0].max(), FINE) if "x" in log and (t > 0).any() else np.linspace(t[0], t[-1], FINE)
        t = np.unique(np.concatenate([t, np.clip(between, t.min(), t.max())]))
        rows = np.reshape(dense(t), (-1, t.size))
    ax = rows_against_t(t, rows, "y", ax=ax, index=index, labels=labels)
    dress(ax, "t", "y", log=log)
    return ax


def direction_field(
    fun: Callable[[float, Array], Any],
    x_range: Sequence[float],
    y_range: Sequence[float],
    *,
    ax: Axes | None = None,
    plane: bool = False,
    count: tuple[int, int] = (24, 16),
) -> Axes:
    """Draw the direction field of y' = fun(t, y).

    Parameters
    ----------
    fun : callable
        ``fun(t, y)``; y holds one number, or two with ``plane``.
    x_range, y_range : (float, float)
        Of t and of y; with ``plane`` of the two components of y, at t = 0.
    ax : matplotlib Axes, optional
        Where to draw; a new figure if not given.
    plane : bool
        The phase plane of two components in place of one component against time.
    count : (int, int)
        Strokes along x and along y, all of one length on the axes.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        fun does not return one number (two with ``plane``), or a range is empty.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.family, mflow.plot.family

    Examples
    --------
    >>> from mflow import plot
    >>> plot.direction_field(lambda t, y: y, (0, 2), (-3, 3)).get_xlabel()
    't'
    """
    check_function(fun, "fun", "a function of (t, y)")
    check_flags(plane=plane)
    ranges = [check_range(given, name) for given, name in ((x_range, "x_range"), (y_range, "y_range"))]
    sizes = [check_whole(n, f"count[{k}]", 1, MOST) for k, n in enumerate(check_list(count, "count", "two numbers of strokes"))]
    if len(sizes) != 2:
        raise ValueError(f"count: expected two numbers of strokes, got {shown(count)}")
    ax = axes_for(ax)
    (x, dx), (y, dy) = (_centres(*r, n) for r, n in zip(ranges, sizes, strict=True))
    at = [(a, b) for b in y for a in x]
    slopes = np.empty((len(at), 2))
    for k, (a, b) in enumerate(at):
        try:
            value = np.ravel(np.asarray(fun(0.0, np.array([a, b])) if plane else fun(a, np.array([b])), dtype=np.float64))
        except IndexError as error:
            error.add_note(f"direction_field: y has {1 + plane} component{'s' * plane}" + ("" if plane else "; plane=True gives it two"))
            raise
        if value.size != 1 + plane:
            fix = "" if plane else "; plane=True takes two"
            raise ValueError(f"fun: expected {1 + plane} number{'s' * plane} returned, got {value.size}{fix}")
        slopes[k] = value if plane else (1.0, value[0])
    strokes = slopes / (dx, dy)  # in units of cells, which look alike everywhere
    length = np.linalg.norm(strokes, axis=1, keepdims=True)
    strokes = 0.62 * strokes * (dx, dy) / np.where(length > 0, length, np.inf)
    good = np.all(np.isfinite(strokes), axis=1)
    points, strokes = np.array(at)[good], strokes[good]
    ax.quiver(
        points[:, 0], points[:, 1], strokes[:, 0], strokes[:, 1],
        angles="xy", scale_units="xy", scale=1.0, pivot="mid", color=SHADE, alpha=0.75, width=0.0022, zorder=1,
        headwidth=3.6 if plane else 0, headlength=4.0 if plane else 0, headaxislength=3.6 if plane else 0,
    )  # fmt: skip
    ax.set_xlim(*ranges[0])
    ax.set_ylim(*ranges[1])
    dress(ax, *(("y[0]", "y[1]") if plane else ("t", "y")), keep=True, grid=False)
    return ax


def _centres(low: float, high: float, n: int) -> tuple[Array, float]:
    width = (high - low) / n
    return np.asarray(low + width * (np.arange(n) + 0.5), dtype=np.float64), width


def family(
    solutions: Any,
    fun: Callable[[float, Array], Any] | None = None,
    *,
    ax: Axes | None = None,
    component: int = 0,
    highlight: int | None = None,
    y_range: Sequence[float] | None = None,
) -> Axes:
    """Draw solutions of one equation from many starts, over the direction field.

    Parameters
    ----------
    solutions : FamilyResult or sequence
        From `mflow.family`, from `mflow.solve_ivp_batch` with ``t_eval``, or a sequence of results or pairs (t, y).
    fun : callable, optional
        ``fun(t, y)`` of one component: its direction field is drawn below. A FamilyResult of one component brings its own.
    ax : matplotlib Axes, optional
    component : int
        Which component is drawn where the solutions have several.
    highlight : int, optional
        The number of a solution that is drawn heavier.
    y_range : (float, float), optional
        The range that is shown; by default that of all solutions.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        As `mflow.plot.fields.curves_of`.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.family, mflow.plot.direction_field

    Examples
    --------
    >>> import numpy as np
    >>> from mflow import plot
    >>> t = np.linspace(0, 2, 50)
    >>> ax = plot.family([(t, c0 * np.exp(t)) for c0 in (-1.0, 0.5, 1.0)], lambda t, y: y)
    >>> len(ax.get_lines())
    3
    """
    curves = curves_of(solutions, component)
    if fun is not None:
        check_function(fun, "fun", "a function of (t, y)")
    y_range = None if y_range is None else check_range(y_range, "y_range")
    highlight = None if highlight is None else check_whole(highlight, "highlight", 0, len(curves) - 1)
    ax = axes_for(ax)
    whole = hasattr(solutions, "y") and np.ndim(solutions.y) == 3 and np.shape(solutions.y)[1] == 1
    if fun is None and whole:
        fun = getattr(solutions, "fun", None)
    finite = np.concatenate([y[np.isfinite(y)] for _, y in curves])
    low, high = (float(np.min(finite, initial=0.0)), float(np.max(finite, initial=0.0))) if y_range is None else y_range
    margin = 0.04 * (high - low) if y_range is None else 0.0
    times = np.concatenate([t for t, _ in curves])
    if fun is not None and high > low and np.ptp(times) > 0:
        direction_field(fun, (times.min(), times.max()), (low - margin, high + margin), ax=ax)
    for k, (t, y) in enumerate(curves):
        heavy = k == highlight
        colour = COLOURS[1] if heavy else COLOURS[0]
        mark: dict[str, Any] = {"marker": "o", "markevery": [0], "markersize": 5.0 if heavy else 3.5, "clip_on": True}
        ax.plot(t, y, color=colour, linewidth=2.6 if heavy else 1.3, zorder=4 if heavy else 3, **mark)
    if y_range is not None:
        ax.set_ylim(low, high)
    if fun is not None and np.ptp(times) > 0:
        ax.set_xlim(times.min() - 0.02 * np.ptp(times), times.max())  # room for the dots at the starts
    dress(ax, "t", "y" if _count(solutions) == 1 else f"y[{component}]", keep=True, grid=False)
    return ax


def _count(solutions: Any) -> int:
    """Components of the solutions."""
    y = solutions.y[0] if hasattr(solutions, "y") else solutions[0].y if hasattr(solutions[0], "y") else solutions[0][1]
    return 1 if np.ndim(y) == 1 else len(y)


def iterates(
    runs: Any,
    exact: Callable[[Array], Any] | tuple[Any, Any] | None = None,
    *,
    ax: Axes | None = None,
    component: int = 0,
) -> Axes:
    """Draw the steps of a method as dots, with the true curve.

    Parameters
    ----------
    runs : a result or pair (t, y), or a dict of name -> such
        From `mflow.solve_ivp` and its like; with names there is a legend.
    exact : callable or pair (t, y), optional
        ``exact(t)`` for an array of times returns the true solution, (n_points,) or (n, n_points).
    ax : matplotlib Axes, optional
    component : int
        Which component is drawn where the solutions have several.

    Returns
    -------
    matplotlib.axes.Axes
        A run is drawn until it is a thousand times as far out as the true curve.

    Raises
    ------
    TypeError, ValueError
        There is no run, or one is no solution.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.solve_ivp, mflow.plot.solution

    Examples
    --------
    >>> import numpy as np, mflow
    >>> from mflow import plot
    >>> runs = {f"dt = {dt}": mflow.solve_ivp(lambda t, y: -y, (0, 12), [1.0], "euler", dt=dt) for dt in (0.5, 1.9)}
    >>> ax = plot.iterates(runs, lambda t: np.exp(-t))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['solution', 'dt = 0.5', 'dt = 1.9']
    """
    named = isinstance(runs, Mapping) and not hasattr(runs, "t")
    members = {
        str(name): _curve(run, component, f"runs[{name!r}]" if named else "runs")
        for name, run in (runs if named else {"iterates": runs}).items()
    }
    if not members:
        raise ValueError("runs: expected at least one, got none")
    ax = axes_for(ax)
    scale = 0.0
    if exact is not None:
        ends = [t[[0, -1]] for t, _ in members.values()]
        t, y = _exact_curve(exact, float(np.min(ends)), float(np.max(ends)), component)
        scale = float(np.nanmax(np.abs(y), initial=0.0))
        ax.plot(t, y, color="black", linewidth=1.6, label="solution", zorder=2)
    for k, (name, (t, y)) in enumerate(members.items()):
        outside = np.flatnonzero(~(np.abs(y) <= (FAR * scale or np.inf)))
        end = int(outside[0]) if outside.size else y.size
        look: dict[str, Any] = {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)]}
        ax.plot(t[:end], y[:end], label=name, linestyle=STROKES[(k + 2) % len(STROKES)], linewidth=1.1, markersize=5.0, zorder=3, **look)
    several = any(len(_rows(run, "runs")[1]) > 1 for run in (runs.values() if named else [runs]))
    dress(ax, "t", f"y[{component}]" if several else "y", keep=True)
    if named or exact is not None:
        legend(ax, "inside")
    return ax


def _exact_curve(exact: Any, start: float, end: float, component: int) -> tuple[Array, Array]:
    if not callable(exact):
        return _curve(exact, component, "exact")
    t = np.linspace(start, end, 400)
    return _curve((t, np.broadcast_to(np.asarray(exact(t), dtype=np.float64), np.shape(exact(t)))), component, "exact")
