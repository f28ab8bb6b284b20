"""Pictures of training: histories, effective learning rates, the search for a rate, and sweeps over rates and methods."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mflow.base.checks import Array, check_fields, check_instance
from mflow.base.result import Result
from mflow.plot.axes import axes_for, drawn_by, dress, figure_of, legend, row_of_axes
from mflow.plot.palette import COLOURS, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mflow.experiments.lr_find import LRFindResult
    from mflow.experiments.sweep import SweepResult
    from mflow.training.train import TrainResult

__all__ = ["curvature", "curves", "effective_lr", "history", "lr_find", "sweep"]


ABOVE = 1e6  # a curve is drawn until it is this many times its first value


def _shown(values: Array) -> Array:
    """Values up to where a diverging run leaves: nan from there on."""
    first = next((abs(float(v)) for v in values if math.isfinite(v) and v != 0.0), 1.0)
    with np.errstate(invalid="ignore"):
        out = np.flatnonzero(np.abs(values) > ABOVE * first)
    return np.where(np.arange(len(values)) < (out[0] if out.size else len(values)), values, math.nan)


def _logarithmic(values: Array) -> bool:
    """Whether a logarithmic axis shows all there is, and needs to."""
    finite = values[np.isfinite(values)]
    return bool(finite.size and finite.min() > 0.0 and finite.max() > 3.0 * finite.min())


def history(result: TrainResult | Mapping[str, TrainResult], axes: Any = None) -> Figure:
    """Loss against epochs, and learning rate and gradient norm against steps.

    Parameters
    ----------
    result : TrainResult, or a dict of them by label
        From `mflow.train`. Training loss in full lines, validation loss dashed; a ring at the best parameters, a cross where a run broke.
    axes : three matplotlib Axes, optional
        A new figure if not given.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        No result, or not three axes.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.train, mflow.plot.curves

    Examples
    --------
    >>> import numpy as np, mflow
    >>> run = mflow.train(lambda w: (float(w @ w), 2 * w), np.ones(2), epochs=30, jac=True, lr=0.1)
    >>> [axis.get_ylabel() for axis in mflow.plot.history(run).axes]
    ['loss', 'learning rate', 'norm of the gradient']
    """
    runs = _runs(result, "result", "", ("history",))
    if not runs:
        raise ValueError("result: expected at least one, got none")
    left, middle, right = row_of_axes(axes, 3, (12, 3.6))
    for k, (label, run) in enumerate(runs.items()):
        kept, colour = run.history, COLOURS[k % len(COLOURS)]
        epochs = np.arange(1, len(kept.loss) + 1)
        loss = _shown(kept.loss)
        left.plot(epochs, loss, color=colour, label=f"{label} training".strip())
        if np.any(np.isfinite(kept.val_loss)):
            left.plot(epochs, _shown(kept.val_loss), color=colour, linestyle=(0, (5, 1.5)), label=f"{label} validation".strip())
        if run.best_epoch >= 0 and math.isfinite(run.fun):
            left.plot([run.best_epoch + 1], [run.fun], marker="o", markersize=8, markerfacecolor="none", color=colour, linestyle="none")
        last = np.flatnonzero(np.isfinite(loss))[-1:]
        if run.status == -1 and last.size:
            left.plot(epochs[last], loss[last], marker="x", markersize=9, markeredgewidth=2.2, color=colour, linestyle="none")
        steps = np.arange(1, len(kept.step_lr) + 1)
        middle.plot(steps, kept.step_lr, color=colour)
        right.plot(steps, _shown(kept.step_grad_norm), color=colour, linewidth=0.8)
    for axis, name, y in ((left, "epoch", "loss"), (middle, "step", "learning rate"), (right, "step", "norm of the gradient")):
        drawn = np.concatenate([np.asarray(line.get_ydata(), dtype=np.float64) for line in axis.lines])
        dress(axis, name, y, log="y" if _logarithmic(drawn) else "")
    legend(left, "inside")
    return figure_of(left)


def _by_label(result: Any) -> bool:
    """Whether these are results by label: a result is a dict itself."""
    return isinstance(result, Mapping) and not isinstance(result, Result)


def _runs(given: Any, argument: str, label: str | None, fields: tuple[str, ...]) -> dict[str, Any]:
    """Results by label. A single one has this label, or its method's name where that is None. Raises TypeError."""
    runs = dict(given) if _by_label(given) else {label: given}
    for name, run in runs.items():
        where = argument if name == label else f"{argument}[{name!r}]"
        check_fields(run, where, fields, "a result of mflow.train, or a dict of such by label", drawn_by(run))
    return {given.optimizer.record.name if name is None else name: run for name, run in runs.items()}


def curvature(results: Any, *, ax: Axes | None = None) -> Axes:
    """The largest curvature along runs, as a share of what their methods bear: at 1 is the edge of stability.

    Parameters
    ----------
    results : result of `mflow.train` or `mflow.minimize` with ``monitor="curvature"``, or a dict of them by label
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    TypeError, ValueError
        Something else than such a result, or none; or one whose curvature was never looked at.
    ImportError
        matplotlib is not installed.

    See Also
    --------
    mflow.train

    Examples
    --------
    >>> import numpy as np, mflow
    >>> settings = {"method": "sgd", "lr": 0.25, "gtol": 0, "maxiter": 60, "monitor": "curvature", "monitor_every": 20}
    >>> run = mflow.minimize(lambda x: (float(x @ x), 2 * x), np.ones(3), jac=True, **settings)
    >>> line = mflow.plot.curvature(run).lines[0]
    >>> line.get_ydata().round(3).tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    runs: dict[str, Any]
    runs = {"": results} if isinstance(results, Mapping) and "nfev" in results else check_instance(results, "results", Mapping, "a result")
    if not runs:
        raise ValueError("results: expected at least one, got none")
    for label, run in runs.items():
        check_fields(run, "results", ("curvature",), 'a result with monitor="curvature", or a dict of such by label')
        if not run.curvature.step.size:
            where = f"results[{label!r}]" if label else "results"
            raise ValueError(
                f"{where}: expected a run whose curvature was looked at, got none of {run.nit} steps that was; lower monitor_every"
            )
    ax = axes_for(ax)
    for k, (label, run) in enumerate(runs.items()):
        seen = run.curvature
        limit = seen.lr * seen.limit
        known = limit[np.isfinite(limit)]
        text = f"{label} (limit {known[-1]:.4g}/lr)".strip() if known.size else label or "no limit"
        ax.plot(seen.step, seen.largest / seen.limit, color=COLOURS[k % len(COLOURS)], linewidth=1.2, label=text)
    ax.axhline(1.0, color="0.3", linewidth=1.0, linestyle=(0, (4, 2)))
    dress(ax, "step", "largest curvature / limit of the method")
    legend(ax, "inside")
    return ax


def effective_lr(results: TrainResult | Mapping[str, TrainResult], *, ax: Axes | None = None) -> Axes:
    """The step per unit of gradient against the number of steps: Adagrad's goes to zero, those with a moving average do not.

    Parameters
    ----------
    results : TrainResult, or a dict of them by label
        From `mflow.train(..., track_lr=True)`. The line is the median over parameters, the band from the smallest to the largest.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        No results, or one without effective rates.

    See Also
    --------
    mflow.optim.Adam, mflow.train

    Examples
    --------
    >>> import numpy as np, mflow
    >>> runs = {
    ...     name: mflow.train(lambda w, s: s * np.ones(2), np.zeros(2), [1.0, -1.0], name, 50, track_lr=True)
    ...     for name in ("adagrad", "rmsprop", "adadelta")
    ... }
    >>> len(mflow.plot.effective_lr(runs).lines)
    3
    """
    runs = _runs(results, "results", None, ("history", "optimizer"))
    if not runs:
        raise ValueError("results: expected at least one, got none")
    axis = axes_for(ax, (7, 4.4))
    for k, (label, run) in enumerate(runs.items()):
        if "effective_lr" not in run.history:
            raise ValueError(f"results[{label!r}]: expected effective learning rates, got none; run mflow.train(..., track_lr=True)")
        low, median, high = run.history.effective_lr.T
        look = style(k)
        axis.plot(run.history.step, median, label=label, markersize=4.5, markevery=0.12, **look)
        axis.fill_between(run.history.step, low, high, color=look["color"], alpha=0.15, linewidth=0)
    axis.set_xscale("log")
    dress(axis, "steps", "effective learning rate", log="y")
    legend(axis, "inside", fontsize="medium")
    return axis


def lr_find(result: LRFindResult, *, ax: Axes | None = None) -> Axes:
    """Loss against learning rate, with the rate at which it fell fastest, and the interval where it fell at least half as fast.

    Parameters
    ----------
    result : LRFindResult
        From `mflow.lr_find`.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        No rate was tried.

    See Also
    --------
    mflow.lr_find

    Examples
    --------
    >>> import numpy as np, mflow
    >>> result = mflow.lr_find(lambda w: (float(w @ w), 2 * w), np.ones(2))
    >>> mflow.plot.lr_find(result).get_xscale()
    'log'
    """
    its = ("lr", "loss", "smooth", "sample_loss", "suggestion", "interval", "message")
    check_fields(result, "result", its, "a result of mflow.lr_find", drawn_by(result))
    if not len(result.lr):
        raise ValueError(f"result: expected at least one rate, got none ({result.message})")
    axis = axes_for(ax, (7, 4.0))
    axis.plot(result.lr, result.loss, color="#999999", linewidth=0.9, label="loss of a batch")
    axis.plot(result.lr, result.smooth, color=COLOURS[0], linewidth=1.8, label="moving average")
    if not np.array_equal(result.sample_loss, result.loss, equal_nan=True):
        axis.plot(result.lr, result.sample_loss, color=COLOURS[2], linewidth=1.8, linestyle=(0, (1, 1)), label="loss of the same rows")
    if math.isfinite(result.suggestion):
        axis.axvspan(*result.interval, color=COLOURS[1], alpha=0.1, linewidth=0)
        axis.axvline(result.suggestion, color=COLOURS[1], linestyle=(0, (5, 1.5)), label=f"falls fastest: {result.suggestion:.3g}")
    axis.set_xscale("log")
    low, high = float(result.smooth.min()), float(max(result.smooth[0], result.smooth.min()))
    room = max(high - low, 1e-3 * abs(high), 1e-300)
    axis.set_ylim(low - 0.15 * room, high + 1.0 * room)  # losses that grow without bound leave at the top
    dress(axis, "learning rate", "loss")
    legend(axis, "inside", fontsize="medium")
    return axis


def sweep(result: SweepResult, *, ax: Axes | None = None) -> Axes:
    """Final loss against learning rate for each method: median over seeds, band from least to largest; crosses where runs ended badly.

    Parameters
    ----------
    result : SweepResult
        From `mflow.sweep`. The rows of crosses above the curves say where each method diverges: large if for all seeds, small if for some.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    See Also
    --------
    mflow.sweep

    Examples
    --------
    >>> import mflow
    >>> result = mflow.sweep("penguins", ["sgd", "adam"], [1e-2, 1e3], epochs=2)
    >>> mflow.plot.sweep(result).get_ylabel()
    'loss at the end'
    """
    check_fields(result, "result", ("cells", "lrs", "loss", "methods"), "a result of mflow.sweep", drawn_by(result))
    axis = axes_for(ax, (7.5, 5.0))
    bad = result.bad()
    order = np.argsort(result.lrs)
    lrs = result.lrs[order]
    good = result.loss[~bad & np.isfinite(result.loss)]
    starts = [c.start_loss for c in result.cells if math.isfinite(c.start_loss)]
    logarithmic = _logarithmic(np.concatenate([good, starts])) if good.size else False
    for i, name in enumerate(result.methods):
        loss = np.where(bad[i], math.nan, result.loss[i])[order]
        some = np.isfinite(loss).any(axis=-1)
        look = style(i)
        median, low, high = (np.array([f(row[np.isfinite(row)]) for row in loss[some]]) for f in (np.median, np.min, np.max))
        axis.plot(lrs[some], median, label=name, markersize=5, **look)
        axis.fill_between(lrs[some], low, high, color=look["color"], alpha=0.18, linewidth=0)
        share = bad[i][order].mean(axis=-1)
        height = 1.03 + 0.035 * (len(result.methods) - 1 - i)
        for size, marked in ((8.0, share == 1.0), (4.5, (share > 0.0) & (share < 1.0))):
            if not marked.any():
                continue
            axis.plot(
                lrs[marked], np.full(int(marked.sum()), height), marker="x", markersize=size, markeredgewidth=1.8, linestyle="none",
                color=look["color"], clip_on=False, transform=axis.get_xaxis_transform(),
            )  # fmt: skip
    if starts:
        axis.axhline(float(np.median(starts)), color="#666666", linewidth=0.8, linestyle=(0, (1.2, 1.2)), label="at the start")
    axis.set_xscale("log")
    dress(axis, "learning rate (x above: ended badly)", "loss at the end", log="y" if logarithmic else "")
    legend(axis)
    return axis


def curves(result: SweepResult, *, ax: Axes | None = None) -> Axes:
    """Training loss against epochs at each method's best rate: median over seeds, band from least to largest.

    Parameters
    ----------
    result : SweepResult
        From `mflow.sweep` of a `Training`. A method without a rate that went well is left out.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    See Also
    --------
    mflow.train, mflow.plot.history

    Examples
    --------
    >>> import mflow
    >>> result = mflow.sweep("penguins", ["sgd", "adam"], [1e-2, 1e3], epochs=2)
    >>> mflow.plot.curves(result).get_ylabel()
    'mean training loss of the epoch'
    """
    check_fields(result, "result", ("cells", "lrs", "loss", "methods"), "a result of mflow.sweep", drawn_by(result))
    axis = axes_for(ax, (7.5, 5.0))
    from matplotlib.ticker import MaxNLocator  # axes_for says what to install where it is missing

    for i, name in enumerate(result.methods):
        runs = [c.curve for c in result.cells if c.method == name and c.lr == result.best_lr[i] and c.curve.size]
        if not runs:
            continue
        every, look = np.array(runs), style(i)
        epochs = np.arange(1, every.shape[1] + 1)
        label = f"{name}, lr = {result.best_lr[i]:.3g}"
        axis.plot(epochs, np.median(every, axis=0), label=label, markersize=5, markevery=0.12, **look)
        axis.fill_between(epochs, every.min(axis=0), every.max(axis=0), color=look["color"], alpha=0.18, linewidth=0)
    drawn = [np.asarray(line.get_ydata(), dtype=np.float64) for line in axis.lines]
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    dress(axis, "epoch", "mean training loss of the epoch", log="y" if drawn and _logarithmic(np.concatenate(drawn)) else "")
    legend(axis, "inside", handlelength=3.2)
    return axis
