"""What a digit costs: error against time and evaluations, by this library's adaptive methods and by SciPy's, as table and picture.

    python bench/workprecision.py --problems lorenz --methods dopri5 RK45 --out lorenz.png
    python bench/workprecision.py --help

Methods come from the registry: a new one with an error estimate takes part by itself. Every run takes rtol = atol = tol as asked, the
same right-hand side and, where the method can use one, the same Jacobian, both in Python. The error is that at the end,
max |y - y_end|/(1 + |y_end|). Stiff problems are for methods that are made for them.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
import textwrap
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mflow import Method, methods, solve_ivp
from mflow.plot.palette import COLOURS, MARKERS
from mflow.testproblems import InitialValueProblem, get_problem, problem_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Point", "at_error", "contenders", "measure", "picture", "table"]

PROBLEMS = ("lorenz", "arenstorf", "vdp", "robertson", "hires")
TOLERANCES = tuple(10.0**-k for k in range(3, 12))
QUICK = tuple(10.0**-k for k in (3, 5, 7))
LEVELS = (1e-4, 1e-6, 1e-8)  # errors at which the table compares
SCIPY = {"RK23": False, "RK45": False, "DOP853": False, "LSODA": None, "Radau": True, "BDF": True}  # implicit? None: it changes
SAME = {"RK23": "bs32", "RK45": "dopri5", "DOP853": "dop853"}  # the same pair of formulas
PATIENCE = 4.0  # seconds; a method whose run takes longer is not asked for more digits
SHORT = 0.3  # seconds; shorter runs are repeated until they have lasted so long or been three, and the fastest counts


@dataclass(frozen=True)
class Point:
    """One run.

    Attributes
    ----------
    problem, method, library : str
    tol : float
        rtol = atol.
    error : float
        At the end, max |y - y_end|/(1 + |y_end|); nan where the end was not reached.
    seconds : float
    nfev : int
        Evaluations of the right-hand side; those of an analytic Jacobian are not among them.
    message : str
        What went wrong, if anything did.
    """

    problem: str
    method: str
    library: str
    tol: float
    error: float
    seconds: float
    nfev: int
    message: str = ""


def adaptive() -> list[Method]:
    """This library's methods for y' = f under error control; those of second order solve other equations."""
    return [m for m in methods() if m.kind == "step" and "embedded" in m.flags and "second_order" not in m.flags]


def contenders(stiff: bool, chosen: Sequence[str] | None = None) -> list[str]:
    """Names of the methods that run on a problem: this library's with an error estimate, then SciPy's.

    Parameters
    ----------
    stiff : bool
        Implicit methods and those that stretch their stages over the spectral radius, or the other explicit ones; LSODA is both.
    chosen : sequence of str, optional
        Only these.

    Examples
    --------
    >>> from workprecision import contenders
    >>> contenders(stiff=True, chosen=["RK45", "Radau"])
    ['Radau']
    """
    kinds: dict[str, bool | None] = {m.name: bool({"implicit", "needs_rho"} & m.flags) for m in adaptive()}
    kinds |= SCIPY
    return [name for name, implicit in kinds.items() if implicit in (None, stiff) and (chosen is None or name in chosen)]


def measure(
    problems: Sequence[str] = PROBLEMS, chosen: Sequence[str] | None = None, tolerances: Sequence[float] = TOLERANCES
) -> Iterator[Point]:
    """Run every contender on every problem at every tolerance, one after the other.

    Parameters
    ----------
    problems : sequence of str
        From `mflow.testproblems.problem_names`.
    chosen : sequence of str, optional
        Methods of this library or of SciPy; all that suit the problem if not given.
    tolerances : sequence of float
        Taken from the largest to the smallest, until a run lasts longer than four seconds.

    Yields
    ------
    Point

    Raises
    ------
    ValueError
        There is no such problem or method.
    ImportError
        A method of SciPy's is to run, and SciPy is not installed.

    Examples
    --------
    >>> from workprecision import measure
    >>> [point.method for point in measure(["A1"], ["RK45"], [1e-4])]
    ['RK45']
    """
    known = [*(m.name for m in adaptive()), *SCIPY]
    for name in chosen or ():
        if name not in known:
            raise ValueError(f"chosen: expected adaptive methods among {', '.join(known)}, got {name!r}")
    chosen_problems = [get_problem(name) for name in problems]
    if any(name in SCIPY for problem in chosen_problems for name in contenders(problem.stiff, chosen)):
        import_module("scipy.integrate")  # not part of anybody's time
    for problem in chosen_problems:
        for method in contenders(problem.stiff, chosen):
            for tol in sorted(tolerances, reverse=True):
                point = _run(problem, method, tol)
                yield point
                if point.seconds > PATIENCE:
                    break


def _run(problem: InitialValueProblem, method: str, tol: float) -> Point:
    library = "SciPy" if method in SCIPY else "mflow"
    spent, best = 0.0, math.inf
    for _ in range(3):
        with np.errstate(all="ignore"), warnings.catch_warnings():  # a run that goes wrong says so itself
            warnings.simplefilter("ignore")
            began = time.perf_counter()
            y, nfev, message = (_by_scipy if library == "SciPy" else _by_mflow)(problem, method, tol)
            took = time.perf_counter() - began
        spent, best = spent + took, min(best, took)
        if spent > SHORT or message:
            break
    error = math.nan if message else problem.error(y)
    return Point(problem.name, method, library, tol, error, best, nfev, message)


def _by_mflow(problem: InitialValueProblem, method: str, tol: float) -> tuple[Any, int, str]:
    jac: dict[str, Any] = {"jac": problem.jac} if problem.stiff else {}
    r = solve_ivp(problem.fun, problem.t_span, problem.y0, method, rtol=tol, atol=tol, save="last", **jac)
    return r.y[:, -1], r.nfev, "" if r.success else r.message


def _by_scipy(problem: InitialValueProblem, method: str, tol: float) -> tuple[Any, int, str]:
    from scipy import integrate

    jac: dict[str, Any] = {"jac": problem.jac} if problem.stiff else {}
    r = integrate.solve_ivp(
        problem.fun, problem.t_span, problem.y0, method, rtol=max(tol, 2.3e-14), atol=tol, t_eval=problem.t_span[1:], **jac
    )
    return (r.y[:, -1], r.nfev, "") if r.success else (problem.y0, r.nfev, r.message)


# ---- what it says ----------------------------------------------------------------------------------------------------------------------


def at_error(points: Sequence[Point], error: float, quantity: str = "seconds") -> float:
    """What one method spends on an error, by interpolation between its runs in the logarithms of both.

    Parameters
    ----------
    points : sequence of Point
        Runs of one method on one problem.
    error : float
    quantity : "seconds" or "nfev"

    Returns
    -------
    float
        The least work with which the error is reached, by a run or between two of them; nan where no run comes down to it, and where
        every run is already better.

    Examples
    --------
    >>> from workprecision import Point, at_error
    >>> runs = [Point("A1", "x", "mflow", 1e-2, 1e-2, 1.0, 10), Point("A1", "x", "mflow", 1e-4, 1e-4, 1.0, 1000)]
    >>> round(at_error(runs, 1e-3, "nfev"))
    100
    """
    good = sorted((p for p in points if p.error > 0 and math.isfinite(p.error)), key=lambda p: -p.tol)
    best = math.nan
    for a, b in pairwise(good):
        if b.error <= error <= a.error and a.error > b.error:
            share = math.log(error / a.error) / math.log(b.error / a.error)
            work = float(getattr(a, quantity)) ** (1.0 - share) * float(getattr(b, quantity)) ** share
            best = work if math.isnan(best) else min(best, work)
    return best


def _groups(points: Sequence[Point]) -> dict[str, dict[str, list[Point]]]:
    """Points by problem and method, in their order."""
    out: dict[str, dict[str, list[Point]]] = {}
    for point in points:
        out.setdefault(point.problem, {}).setdefault(point.method, []).append(point)
    return out


def _seconds(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f} s" if value >= 1 else f"{1e3 * value:.2f} ms"


def table(points: Sequence[Point]) -> str:
    """Time and evaluations at errors of 1e-4, 1e-6 and 1e-8, by problem and method; what went wrong below.

    Examples
    --------
    >>> from workprecision import measure, table
    >>> print(table(list(measure(["A1"], ["RK45"], [1e-4, 1e-8]))).splitlines()[0])
    A1: exponential decay
    """
    lines: list[str] = []
    for name, by_method in _groups(points).items():
        lines += ["", f"{name}: {get_problem(name).title}"]
        head = ["method", "library", *(f"time, {e:.0e}" for e in LEVELS), *(f"nfev, {e:.0e}" for e in LEVELS), "least error"]
        rows = [head]
        for method, runs in by_method.items():
            times = [_seconds(at_error(runs, e)) for e in LEVELS]
            work = [at_error(runs, e, "nfev") for e in LEVELS]
            least = min((p.error for p in runs if math.isfinite(p.error)), default=math.nan)
            rows.append([method, runs[0].library, *times, *("-" if math.isnan(w) else f"{w:.0f}" for w in work), f"{least:.1e}"])
        widths = [max(len(row[j]) for row in rows) for j in range(len(head))]
        for row in rows:
            cells = [cell.ljust(width) if j < 2 else cell.rjust(width) for j, (cell, width) in enumerate(zip(row, widths, strict=True))]
            lines.append("  ".join(cells).rstrip())
        lines.insert(len(lines) - len(rows) + 1, "-" * (sum(widths) + 2 * len(widths) - 2))
    lines += ["", "Time and evaluations (nfev) for that error at the end, between two runs of the ladder of tolerances; - : outside it."]
    for p in points:
        if p.message:
            lines += textwrap.wrap(f"! {p.method} on {p.problem}, tolerance {p.tol:.0e}: {p.message}", 110, subsequent_indent="  ")
    return "\n".join(lines[1:])


def picture(points: Sequence[Point]) -> Figure:
    """Draw error against time and against evaluations, a row of two pictures for each problem.

    Parameters
    ----------
    points : sequence of Point, at least one

    Returns
    -------
    matplotlib.figure.Figure
        This library's methods in full lines with filled markers, SciPy's dashed with hollow ones; the same pair of formulas in the
        same colour with the same marker. Raises ValueError without points, ImportError without matplotlib.

    Examples
    --------
    >>> from workprecision import measure, picture
    >>> len(picture(list(measure(["A1"], ["RK45"], [1e-4, 1e-6]))).axes)
    2
    """
    from matplotlib.figure import Figure

    groups = _groups(points)
    if not groups:
        raise ValueError("points: expected at least one, got none")
    order = list(dict.fromkeys(SAME.get(point.method, point.method) for point in points))
    figure = Figure(figsize=(11, 3.1 * len(groups) + 0.4), layout="constrained")
    grid = figure.subplots(len(groups), 2, sharey="row", squeeze=False)
    for (name, by_method), (left, right) in zip(groups.items(), grid, strict=True):
        for axis, quantity in ((left, "seconds"), (right, "nfev")):
            for method, runs in by_method.items():
                _curve(axis, runs, quantity, order.index(SAME.get(method, method)))
            _dress(axis)
        problem = get_problem(name)
        left.set_title(problem.title, loc="left", fontsize="medium")
        left.set_ylabel("error at the end")
        right.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, handlelength=3.2)
    grid[-1][0].set_xlabel("time (s)")
    grid[-1][1].set_xlabel("evaluations of the right-hand side")
    figure.suptitle("Error against work, rtol = atol down a ladder; right-hand sides in Python", fontsize="medium")
    return figure


def _curve(axis: Axes, runs: Sequence[Point], quantity: str, index: int) -> None:
    good = [p for p in runs if p.error > 0 and math.isfinite(p.error)]
    if not good:
        return
    own = runs[0].library == "mflow"
    colour = COLOURS[index % len(COLOURS)]
    style: dict[str, Any] = {"linestyle": "-", "linewidth": 1.8} if own else {"linestyle": (0, (4, 1.8)), "linewidth": 1.2}
    style |= {"marker": MARKERS[index % len(MARKERS)], "markersize": 5.0, "color": colour, "markeredgecolor": colour}
    style["markerfacecolor"] = colour if own else "white"
    label = runs[0].method if own else f"{runs[0].method} (SciPy)"
    axis.plot([getattr(p, quantity) for p in good], [p.error for p in good], label=label, zorder=3 if own else 2, **style)


def _dress(axis: Axes) -> None:
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.grid(which="major", color="#d8d8d8", linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


# ---- the command -----------------------------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add = parser.add_argument
    add("--problems", nargs="+", default=list(PROBLEMS), metavar="NAME", help="default: %(default)s; also DETEST's A1 to E5")
    add("--methods", nargs="+", metavar="NAME", help="only these, of this library or SciPy's (default: all that suit the problem)")
    add("--out", default="workprecision.png", metavar="FILE", help="the picture: .png, .svg or .pdf (default: %(default)s)")
    add("--quick", action="store_true", help="three tolerances in place of nine")


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise ValueError, with a text for the user, for what can be seen to be wrong before any work is done."""
    for package, extra in (("scipy", "pip install scipy"), ("matplotlib", "pip install 'momentum-flow[plot]'")):
        if importlib.util.find_spec(package) is None:
            raise ValueError(f"{package} is not installed, and this command compares with SciPy and draws with matplotlib: {extra}")
    known = [*(m.name for m in adaptive()), *SCIPY]
    for name in arguments.methods or ():
        if name not in known:
            raise ValueError(f"--methods {name}: no adaptive method; there are {', '.join(known)}")
    for name in arguments.problems:
        if name not in problem_names():
            raise ValueError(f"--problems {name}: there are {', '.join(problem_names())}")
    if not any(contenders(get_problem(name).stiff, arguments.methods) for name in arguments.problems):
        raise ValueError("--methods: none of them suits these problems (stiff ones are for implicit methods, the others for explicit ones)")
    path = Path(arguments.out)
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise ValueError(f"--out {arguments.out}: the name must end in .png, .svg, .pdf")
    if not path.absolute().parent.is_dir():
        raise ValueError(f"--out {arguments.out}: there is no folder {path.parent}")


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; the exit code. A mistake in the arguments is one line and exit code 2."""
    parser = argparse.ArgumentParser(prog="python bench/workprecision.py", description=(__doc__ or "").partition("\n")[0])
    add_arguments(parser)
    arguments = parser.parse_args(words)
    try:
        check_arguments(arguments)
    except ValueError as error:
        print(f"{parser.prog}: error: {error}", file=sys.stderr)
        return 2
    points = list(measure(arguments.problems, arguments.methods, QUICK if arguments.quick else TOLERANCES))
    print(table(points))
    picture(points).savefig(arguments.out, dpi=90)
    print(f"Picture of error against time and evaluations: {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
