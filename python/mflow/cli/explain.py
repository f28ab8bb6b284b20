"""`mflow explain FILE.py:FUNCTION --x0 ...`: what `mflow.explain` finds, as text and picture."""

from __future__ import annotations

import argparse
import math
from importlib import import_module
from typing import Any

import numpy as np

from mflow.cli.arguments import add_names, check_picture, finite
from mflow.cli.output import save_picture
from mflow.cli.userfile import load_function, parse_numbers
from mflow.explaining.explain import Report, explain

__all__ = ["picture"]

DESCRIPTION = (
    "Look at a cost f(x), or a right-hand side f(t, y): curvature, stable steps of each method, posedness, and which method to use with "
    "which step. A cost may return its gradient, too, as the pair (cost, gradient)."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mflow explain`."""
    add = parser.add_argument
    add("target", metavar="FILE.py:FUNCTION", help="a cost f(x), or a right-hand side f(t, y)")
    add("--x0", required=True, metavar="NUMBERS", help='where to look, as in "1,2,3"')
    add("--t-end", type=finite(), metavar="T", help="of a right-hand side: how far to look from t = 0 (default: 1)")
    add_names(parser, "--names", metavar="METHODS", help='whose largest stable step is listed, as in "adam,lbfgs"; of a cost any method')
    add("--out", default="explain.png", metavar="FILE", help="the picture: .png, .svg or .pdf (default: %(default)s)")
    add("--no-plot", action="store_true", help="the text alone")


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise ValueError, with a text for the user, for a mistake in the arguments."""
    arguments.start = parse_numbers(arguments.x0, "--x0")
    if arguments.t_end == 0.0:
        raise ValueError("--t-end: expected a number other than 0, got 0")
    check_picture(arguments.out, arguments.no_plot)
    arguments.function = load_function(arguments.target, "explain", ("x", "t, y"))[1]


def command(arguments: argparse.Namespace) -> int:
    """Run `mflow explain`; the exit code."""
    fun, start = arguments.function, arguments.start
    span = None if arguments.t_end is None else (0.0, arguments.t_end)
    names = None if arguments.names is None else [name.strip() for name in arguments.names.split(",")]
    report = explain(fun, start, jac=_brings_gradient(fun, start), t_span=span, names=names)
    print(report)
    arguments.write_json(lambda: contents(report))
    if not arguments.no_plot:
        save_picture(picture(report).figure, arguments.out, dpi=120)
        shown = "the trials" if math.isnan(report.dt) else "the eigenvalues, times the recommended step, in a stability region"
        print(f"\nPicture of {shown}: {arguments.out}")
    return 0


def contents(report: Report) -> dict[str, Any]:
    """What `--json` writes: the fields of the report, and its text."""
    fields = {name: value for name, value in vars(report).items() if name not in ("path", "trials")}
    return {**fields, "trials": [vars(trial) for trial in report.trials], "text": str(report)}


def _brings_gradient(fun: Any, start: Any) -> bool | None:
    """Whether a cost returns the pair (cost, gradient): it is called once to see."""
    try:
        return True if isinstance(fun(start.copy()), tuple) else None
    except TypeError:  # a right-hand side takes (t, y)
        return None


def picture(report: Report) -> Any:
    """The eigenvalues, times the recommended step, in the stability region of the recommended method; beside it the trials.

    Parameters
    ----------
    report : Report

    Returns
    -------
    matplotlib.axes.Axes
        The left one. Of an optimizer with momentum it is the plane of lr L and momentum, with a dot for each curvature L; of descent
        Euler's region, as learning rate lr is dt. A method with a line search has no region: there are the trials alone.
    """
    plot: Any = import_module("mflow.plot")
    has_region = not math.isnan(report.dt)
    both = has_region and bool(report.trials)
    figure = import_module("matplotlib.figure").Figure(figsize=(11.0, 4.4) if both else (6.0, 4.8), layout="constrained")
    axes = figure.subplots(1, 1 + both, squeeze=False)[0]
    if not has_region:
        _plot_trials(report, axes[0])
        return axes[0]
    if report.kind == "cost" and {"momentum"} & set(report.parameters):
        _momentum_plane(plot, report, axes[0])
    else:
        method = "euler" if report.kind == "cost" else report.method
        limit = report.steps.get(method, np.inf)
        dt = min(report.dt, 0.9 * limit) if limit < np.inf else report.dt
        plot.eigenvalues(report.path if report.path is not None else report.eigenvalues, method, dt, ax=axes[0])
    if both:
        _plot_trials(report, axes[1])
    return axes[0]


def _plot_trials(report: Report, ax: Any) -> None:
    """The loss of each trial against evaluations."""
    lowest = min(float(np.min(t.loss)) for t in report.trials if t.loss.size)
    start = report.trials[0].loss[0]
    for trial in report.trials:
        keep = (trial.loss > lowest) & (trial.loss <= 10.0 * start - 9.0 * lowest)
        width = 2.4 if trial.recommended else 1.2
        ax.loglog(trial.evaluations[keep], trial.loss[keep] - lowest, linewidth=width, label=trial.label)
    ax.set(xlabel="evaluations of cost and gradient", ylabel=f"cost - {lowest:.4g}, the lowest seen", title="tried from x0")
    ax.legend(fontsize="small")


def _momentum_plane(plot: Any, report: Report, ax: Any) -> None:
    """Where the method is stable, and the curvatures of the problem in it."""
    plot.parameter_region(report.method, ax=ax)
    curvatures = -np.asarray(report.eigenvalues).real
    z = report.dt * np.clip(curvatures, 0.0, None)
    ax.plot(z, np.full(z.size, report.parameters["momentum"]), "o", markersize=5, color="black", clip_on=False, label="curvatures seen")
    ax.set(xlabel="lr times curvature", title=f"{report.method}, lr = {report.dt:.3g}")
