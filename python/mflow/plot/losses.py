"""Loss against evaluations and time, as `mflow compare` draws it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mflow.base.checks import Array, check_fields, check_instance, check_list, check_number
from mflow.plot.axes import dress, figure_of, legend, new_figure, row_of_axes
from mflow.plot.palette import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mflow.experiments.compare import Run

__all__ = ["comparison", "loss_curves"]

TITLES = {"full": "full batch", "large": "full batch, a hundred times 1/L", "minibatch": "minibatches"}
ABOVE = 30.0  # a diverging curve is drawn until its loss is this many times the largest loss at the start


def _shown(run: Run, ceiling: float, lowest: float) -> tuple[Array, Array, Array]:
    """(evaluations, seconds, loss above the lowest) of what can be drawn: up to where a diverging run leaves, at the ceiling."""
    history = run.history
    loss = np.array(history.loss, dtype=np.float64) - lowest
    if run.bad:
        outside = np.flatnonzero(~(loss <= ceiling))
        loss[outside[:1]] = ceiling
        end = int(outside[0]) + 1 if outside.size else loss.size
    else:
        outside = np.flatnonzero(~np.isfinite(loss))
        end = int(outside[0]) if outside.size else loss.size
    passes, seconds = np.array(history.passes, dtype=np.float64)[:end], np.array(history.seconds, dtype=np.float64)[:end]
    loss = loss[:end]
    keep = (passes > 0) & (loss > 0)  # minibatches start at 0 evaluations: no place for that, nor for the lowest, on a logarithmic axis
    return passes[keep], seconds[keep], loss[keep]


def _draw(axis: Axes, x: Array, loss: Array, run: Run, look: dict[str, Any], index: int) -> None:
    label = f"{run.method} ({run.reason.replace('_', ' ')})" if run.bad else run.method
    stagger = 1.0 - 0.06 * (index % 9)  # markers of curves that lie on each other do not
    marked = np.unique((np.geomspace(1.0, max(x.size, 1), 8) * stagger).astype(np.intp).clip(0, max(x.size - 1, 0)))
    axis.plot(x, loss, label=label, linewidth=1.4, markersize=4.5, markevery=marked.tolist(), alpha=0.9, **look)
    if run.bad and x.size:
        cross: dict[str, Any] = {"marker": "x", "markersize": 9, "markeredgewidth": 2.2, "linestyle": "none"}
        axis.plot(x[-1:], loss[-1:], color=look["color"], clip_on=False, zorder=5, **cross)


def loss_curves(
    runs: Sequence[Run], axes: Sequence[Axes] | None = None, *, order: Sequence[str] | None = None, best: float | None = None
) -> Figure:
    """Draw loss, above the lowest seen, against evaluations and against time.

    Parameters
    ----------
    runs : sequence of Run, at least one
        From `mflow.experiments.compare.compare`.
    axes : two matplotlib Axes, optional
        Where to draw; a new figure if not given. The legend goes outside, to the right of the second.
    order : sequence of str, optional
        Names of methods in the order that gives each its colour and dashes; for several pictures that should agree.

    best : float, optional
        What is taken off the losses, so that a logarithmic axis shows how they converge: the lowest of all if not given; 0 for the loss
        itself.

    Returns
    -------
    matplotlib.figure.Figure
        Of the axes. Runs that diverged end in a cross where they leave.

    Raises
    ------
    ValueError
        No runs, or not two axes.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.plot.comparison

    Examples
    --------
    >>> from mflow.experiments.compare import compare, problem
    >>> from mflow.plot import loss_curves
    >>> figure = loss_curves(list(compare(problem("quadratic"), ["sgd", "rk4"], max_iter=50)))
    >>> [axis.get_xlabel() for axis in figure.axes]
    ['evaluations of cost and gradient', 'time (s)']
    """
    if isinstance(runs, Mapping):
        raise TypeError(
            "runs: expected a list of runs of mflow.experiments.compare.compare, got a dict; mflow.plot.history draws those of mflow.train"
        )
    runs = _checked(runs)
    left, right = row_of_axes(axes, 2, (12, 4.8), sharey=True)
    names = list(dict.fromkeys(run.method for run in runs))
    if order is not None:
        given = check_list(order, "order", "the names of methods")
        asked = [check_instance(name, f"order[{k}]", str, "the name of a method") for k, name in enumerate(given)]
        missing = [name for name in names if name not in asked]
        if missing:
            raise ValueError(f"order: expected the method of every run, got none for {missing[0]!r}")
        names = asked
    finite = [loss for run in runs for loss in run.history.loss if math.isfinite(loss)]
    lowest = min(finite, default=0.0) if best is None else check_number(best, "best")
    starts = [run.history.loss[0] - lowest for run in runs if run.history.loss and math.isfinite(run.history.loss[0])]
    ceiling = ABOVE * max([s for s in starts if s > 0.0], default=1.0)
    for run in runs:
        if not run.history.loss:
            continue
        index = names.index(run.method)
        passes, seconds, loss = _shown(run, ceiling, lowest)
        for axis, x in ((left, passes), (right, seconds)):
            _draw(axis, x, loss, run, style(index), index)
    _label_axes(left, right, lowest, batches=any(run.batch == "minibatch" for run in runs))
    return figure_of(left)


def _checked(runs: Any) -> list[Run]:
    """Runs, one at least. Raises TypeError or ValueError."""
    given = check_list(runs, "runs", "runs of mflow.experiments.compare.compare")
    for k, run in enumerate(given):
        check_fields(run, f"runs[{k}]", ("method", "batch", "history"), "a run of mflow.experiments.compare.compare")
    if not given:
        raise ValueError("runs: expected at least one, got none")
    return given


def _label_axes(left: Axes, right: Axes, lowest: float, batches: bool) -> None:
    evaluations = "evaluations (passes over the data)" if batches else "evaluations of cost and gradient"
    y = "loss" if lowest == 0.0 else f"loss - {lowest:.6g}, the lowest"
    for axis, x, label in ((left, evaluations, y), (right, "time (s)", right.get_ylabel())):
        dress(axis, x, label, log="xy")
    legend(right, handlelength=3.6)


def comparison(runs: Sequence[Run], title: str = "") -> Figure:
    """The picture of `mflow compare`: full batch above, then large steps, then minibatches, a method in the same style in both.

    Parameters
    ----------
    runs : sequence of Run, at least one
    title : str

    Returns
    -------
    matplotlib.figure.Figure
        Raises ValueError without runs, ImportError without matplotlib.

    See Also
    --------
    mflow.minimize, mflow.plot.loss_curves

    Examples
    --------
    >>> from mflow.experiments.compare import compare, problem
    >>> from mflow.plot import comparison
    >>> len(comparison(list(compare(problem("penguins"), ["sgd", "adam"], max_iter=5))).axes)
    4
    """
    runs = _checked(runs)
    check_instance(title, "title", str, "a text")
    groups = [(kind, [run for run in runs if run.batch == kind]) for kind in TITLES]
    groups = [(kind, members) for kind, members in groups if members]
    if not groups:
        raise ValueError("runs: expected at least one, got none")
    order = list(dict.fromkeys(run.method for run in runs))
    heights = [max(3.6, 0.22 * len(members) + 0.6) for _, members in groups]
    figure = new_figure((13, sum(heights) + 0.6))
    grid = figure.subplots(len(groups), 2, sharey="row", squeeze=False, height_ratios=heights)
    for (kind, members), axes in zip(groups, grid, strict=True):
        loss_curves(members, list(axes), order=order)
        axes[0].set_title(TITLES[kind], loc="left")
    if title:
        figure.suptitle(title)
    return figure
