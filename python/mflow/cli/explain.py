"""`mflow explain FILE.py:FUNCTION --x0 ...`: what `mflow.explain` finds, as text and picture."""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

import numpy as np

from mflow.analysis.explain import Report, explain
from mflow.cli.arguments import check_picture, finite
from mflow.cli.userfile import load_function, parse_numbers

__all__ = ["picture"]

DESCRIPTION = (
    "Look at a cost f(x), or a right-hand side f(t, y): curvature, stable steps of each method, posedness, and which method to use with "
    "which step. A cost may return its gradient, too, as the pair (cost, gradient)."
)
EXPLICIT = "rk4"  # whose region is drawn where the recommended method is an optimizer or implicit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mflow explain`."""
    add = parser.add_argument
    add("target", metavar="FILE.py:FUNCTION", help="a cost f(x), or a right-hand side f(t, y)")
    add("--x0", required=True, metavar="NUMBERS", help='where to look, as in "1,2,3"')
    add("--t-end", type=finite(), default=1.0, metavar="T", help="of a right-hand side: how far to look (default: %(default)s)")
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
    report = explain(fun, start, jac=_brings_gradient(fun, start), t_span=(0.0, arguments.t_end))
    print(report)
    if not arguments.no_plot:
        picture(report).figure.savefig(arguments.out, dpi=120)
        print(f"\nPicture of the eigenvalues, times a stable step, in a stability region: {arguments.out}")
    return 0


def _brings_gradient(fun: Any, start: Any) -> bool | None:
    """Whether a cost returns the pair (cost, gradient): it is called once to see."""
    try:
        return True if isinstance(fun(start.copy()), tuple) else None
    except TypeError:  # a right-hand side takes (t, y)
        return None


def picture(report: Report) -> Any:
    """The eigenvalues times the recommended step, or nine tenths of the limit where that is less, over a stability region.

    Parameters
    ----------
    report : Report

    Returns
    -------
    matplotlib.axes.Axes
        Of a cost under an optimizer: Euler's region, as descent with learning rate lr is Euler's method with dt = lr.
    """
    plot: Any = import_module("mflow.plot")
    cost = report.kind == "cost"
    method = "euler" if cost else report.method if report.steps.get(report.method, np.inf) < np.inf else EXPLICIT
    limit = report.steps.get(method, np.inf)
    dt = min(report.dt, 0.9 * limit) if limit < np.inf else report.dt
    return plot.eigenvalues(report.path if report.path is not None else report.eigenvalues, method, dt)
