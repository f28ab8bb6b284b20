"""`mflow compare`: one cost minimised by many methods, as a table, a picture and JSON."""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mflow_core
import numpy as np

from mflow.base.methods import Method
from mflow.base.progress import Progress
from mflow.base.result import place_of, words_of
from mflow.cli.arguments import PICTURES, add_names, add_words, check_file, positive, whole
from mflow.cli.output import number, print_error, save_picture, seconds, table, width
from mflow.cli.userfile import load_function, parse_numbers
from mflow.experiments import compare as job
from mflow.experiments.compare import Problem, Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__: list[str] = []

DESCRIPTION = "Minimise one cost by every method that can, full batch and minibatch, and show how each did: a table and a picture."
MAX_ITER = 1000
KINDS = {"full": "full batch", "large": "large steps", "minibatch": "minibatches"}
SETTINGS = ("problem", "objective", "x0", "method", "lr", "max_iter", "batch_size", "seed")  # the options that stand in the JSON
RULES = {
    "half": "half: half of the largest stable step",
    "found": "found: the best of eleven rates, 1e-4 to 10, in 30 full steps that are not counted, as no such step is known",
    "own": "own: the method's default, as none of these rates led down (--lr sets one for all)",
    "1/L": "1/L: nothing limits the step",
    "100/L": "100/L: a run of its own, far beyond what an explicit method bears",
    "given": "given: by --lr",
    "search": "search: a line search or a trust region finds each step",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `mflow compare`."""
    add = parser.add_argument
    cost = parser.add_mutually_exclusive_group()
    add_words(
        cost.add_argument, "--problem", words=lambda _: job.problem_names(), default="penguins", metavar="NAME",
        help="penguins (default; logistic regression), longley, engel (linear regression), rosenbrock, quadratic, or a NIST problem's name",
    )  # fmt: skip
    cost.add_argument("--objective", metavar="FILE.py:FUNCTION", help="your own cost: function(x) returns it, or (cost, gradient)")
    add("--x0", metavar="NUMBERS", help='where your own cost starts, as in "1,2,3"')
    add_names(parser, "--method", action="append", help="only this method; may be repeated (default: all that apply)")
    add("--lr", "--dt", type=positive, metavar="STEP", help="step for all (default: half of the largest stable one where known)")
    add("--max-iter", type=whole(1), default=MAX_ITER, metavar="N", help="steps, or passes by minibatches (default: %(default)s)")
    add("--batch-size", type=whole(1), metavar="N", help="rows in a minibatch (default: 32, fewer for small sets)")
    add("--seed", type=whole(0), default=0, metavar="N", help="draws held-out rows and minibatches (default: %(default)s)")
    add("--out", default="compare.png", metavar="FILE", help="the picture: .png, .svg or .pdf (default: %(default)s)")
    add("--no-plot", action="store_true", help="draw no picture")
    add("--progress", action=argparse.BooleanOptionalAction, help="show progress on stderr (default: where it is a terminal)")


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raise ValueError, with a text for the user, for a mistake in the arguments."""
    problem = arguments.loaded_problem = _problem(arguments)
    if arguments.batch_size is not None and problem.rows and arguments.batch_size > len(problem.rows[0]):
        raise ValueError(f"--batch-size {arguments.batch_size}: {problem.name} has {len(problem.rows[0])} rows to train on")
    arguments.tasks = job.task_list(problem, arguments.method, arguments.lr)
    if not arguments.no_plot:
        check_file("--out", arguments.out, PICTURES)


def command(arguments: argparse.Namespace) -> int:
    """Run `mflow compare`; the exit code."""
    problem, tasks = arguments.loaded_problem, arguments.tasks
    runs, interrupted = _collect(problem, tasks, arguments)
    print(_report(problem, runs, arguments))
    arguments.write_json(lambda: _contents(problem, runs, arguments))
    code = 0 if arguments.no_plot or not runs else _picture(problem, runs, Path(arguments.out), bool(arguments.method))
    if interrupted:
        print(f"mflow: stopped after {len(runs)} of {len(tasks)} runs", file=sys.stderr)
        return 130
    return code


def _problem(arguments: argparse.Namespace) -> Problem:
    if arguments.objective is None:
        if arguments.x0 is not None:
            raise ValueError("--x0 belongs to --objective FILE.py:FUNCTION")
        try:
            return job.problem(arguments.problem, arguments.seed)
        except (ValueError, FileNotFoundError) as error:
            raise ValueError(f"--problem: {str(error).removeprefix('name: ')}") from None
    if arguments.x0 is None:
        raise ValueError('--objective needs a start: --x0 "1,2,3"')
    start = parse_numbers(arguments.x0, "--x0").tolist()
    name, function = load_function(arguments.objective, "--objective", ("x",))
    try:
        return job.custom_problem(name, function, start)
    except Exception as error:
        place = place_of(error, os.path.dirname(os.path.abspath(arguments.objective.rpartition(":")[0])))
        where = f"--objective {arguments.objective} at the start {arguments.x0}"
        raise ValueError(f"{where}: {words_of(error)}" + (f" ({place})" if place else "")) from error


# ---- the runs -----------------------------------------------------------------------------------------------------------------------


def _collect(problem: Problem, tasks: list[tuple[Method, str]], arguments: argparse.Namespace) -> tuple[list[Run], bool]:
    """(runs, whether Ctrl-C ended them)."""
    names = [method.name for method, batch in tasks if batch == "full"]
    labels = [f"{method.name}, {KINDS[batch]}" for method, batch in tasks]
    results = job.compare(
        problem, names, lr=arguments.lr, max_iter=arguments.max_iter, batch_size=arguments.batch_size, seed=arguments.seed
    )
    shown = sys.stderr.isatty() if arguments.progress is None else arguments.progress
    runs: list[Run] = []
    try:
        for run in _with_progress(results, labels) if shown else results:
            runs.append(run)
    except KeyboardInterrupt:
        return runs, True
    return runs, False


def _with_progress(results: Iterator[Run], labels: list[str]) -> Iterator[Run]:
    """The same runs, with progress on stderr."""

    def note(done: float) -> str:
        index = min(int(done), len(labels) - 1)
        return f"{index + 1}/{len(labels)} {labels[index]}"

    with Progress(0.0, float(len(labels)), "compare", note=note) as progress:
        progress.update(0.0)
        for done, run in enumerate(results, 1):
            yield run
            progress.update(float(done))
        progress.close(float(len(labels)))


def _picture(problem: Problem, runs: list[Run], path: Path, every: bool) -> int:
    """Of every run, or of some of each kind."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        print_error("no picture, as matplotlib is not installed: pip install 'momentum-flow[plot]', or ask for --no-plot")
        return 2
    from mflow import plot

    drawn = [run for run in runs if run.history.loss]
    if not drawn:
        print_error("no picture, as no method took a step")
        return 2
    shown, title = drawn if every else job.chosen(drawn), f"{problem.name}: {problem.description}"
    ways = path.with_name(f"{path.stem}-paths{path.suffix}")
    save_picture(plot.comparison(shown, title=title), path)
    if problem.start.size == 2:
        save_picture(_paths(problem, shown, title), ways)
    print(f"Picture of loss against evaluations and time: {path}")
    if problem.start.size == 2:
        print(f"Picture of the paths through the plane of the two parameters: {ways}")
    if not every:
        print("It shows at most eight methods, the best of each kind; --method names others.")
    return 0


def _paths(problem: Problem, runs: list[Run], title: str) -> Figure:
    """The paths of two parameters, a panel for each kind of batch, over the contours of the cost."""
    from mflow import plot
    from mflow.plot.axes import figure_of, row_of_axes

    kinds = [kind for kind in KINDS if any(run.batch == kind for run in runs)]
    axes = row_of_axes(None, len(kinds), (6.4 * len(kinds), 4.8))
    for kind, ax in zip(kinds, axes, strict=True):
        members = [run for run in runs if run.batch == kind]
        points = np.concatenate([problem.start[None], *(np.array(run.history.x) for run in members if not run.bad)])  # these set the frame
        low, high = points.min(axis=0), points.max(axis=0)
        room = 0.15 * np.maximum(high - low, 1e-3 * (1.0 + np.abs(low)))
        frame = tuple(zip(low - room, high + room, strict=True))
        plot.paths({run.method: np.array(run.history.x).T for run in members}, problem.cost, ax=ax, limits=frame)
        ax.set_title(KINDS[kind], loc="left")
    figure = figure_of(axes[0])
    figure.suptitle(title)
    return figure


# ---- the table ----------------------------------------------------------------------------------------------------------------------


def _cells(run: Run) -> dict[str, str]:
    ended = run.reason.replace("_", " ")
    return {
        "method": run.method, "loss": number(run.loss), "score": number(run.score), "evals": f"{run.passes:.0f}", "calls": str(run.calls),
        "steps": str(run.steps), "time": seconds(run.seconds), "lr": number(run.lr, 3), "rule": run.rule,
        "max lr": number(run.largest_stable, 3), "ended": f"{ended} !" if run.bad else ended,
    }  # fmt: skip


def _tables(problem: Problem, runs: list[Run], batch_size: int) -> list[str]:
    """Full batch, then minibatches, in the same columns."""
    cells = [_cells(run) for run in runs]
    names = [name for name in cells[0] if (name != "score" or problem.score is not None) and (name != "calls" or problem.rows)]
    header = [problem.score_name if name == "score" else name for name in names]
    left = [names.index(name) for name in ("method", "rule", "ended")]
    spare = [name for name in ("calls", "rule", "evals", "max lr") if name in names]
    head, rule, *body = table(header, [[row[name] for name in names] for row in cells], spare, left).splitlines()
    lines = []
    small = f"Minibatches of {batch_size} row{'s' if batch_size != 1 else ''}"
    for kind, title in (("full", "Full batch"), ("large", "Full batch, large steps"), ("minibatch", small)):
        members = [line for run, line in zip(runs, body, strict=True) if run.batch == kind]
        if members:
            lines += ["", title, head, rule, *members]
    return lines


def _report(problem: Problem, runs: list[Run], arguments: argparse.Namespace) -> str:
    """Everything that is printed but the name of the picture."""
    source = "not found" if math.isnan(problem.curvature) else f"{problem.curvature:.4g}, {problem.curvature_source}"
    start = f"Loss at the start {problem.start_loss:.4g}; largest curvature L {source}; seed {arguments.seed}"
    lines = [f"{problem.name}: {problem.description}", start]
    if runs:
        lines += _tables(problem, runs, arguments.batch_size or problem.batch_size)
        lines += ["", *_notes(problem, runs)]
    return "\n".join(lines)


def _notes(problem: Problem, runs: list[Run]) -> list[str]:
    """What the columns mean, and what went wrong."""
    lines = []
    if problem.rows:
        lines.append(f"loss: on all training rows; {problem.score_name}: held out; evals: passes over the data; calls: of the cost.")
        lines.append("Integrators (lr is dt) follow the full gradient only: on minibatches explicit Euler is sgd.")
        lines.append("max lr: largest stable step for the curvature L of all rows; a small batch can be steeper.")
    elif problem.score is not None:
        lines.append("error: largest distance from the known answer, relative if that is not 0; evals: calls of the cost.")
    used = [RULES[rule] for rule in RULES if any(run.rule == rule for run in runs)]
    lines.append(f"lr is {'; '.join(used)}." if used else "No step was taken.")
    trouble: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        if run.bad:
            trouble.setdefault((run.batch, run.message), []).append(run.method)
    if problem.fault:  # no lower lr would help
        lines.append(f"! {problem.fault}.")
        trouble.clear()
    for (batch, message), names in trouble.items():
        lines.append(f"! {', '.join(names)} ({KINDS[batch]}): {message}")
    return [textwrap.fill(line, max(width(), 40), subsequent_indent="  ") for line in lines]


def _contents(problem: Problem, runs: list[Run], arguments: argparse.Namespace) -> dict[str, Any]:
    """What `--json` writes."""
    from mflow import __version__

    settings = {name: getattr(arguments, name) for name in SETTINGS}
    settings["batch_size"] = arguments.batch_size or problem.batch_size or None
    return {
        "versions": {"mflow": __version__, "numpy": np.__version__, "python": platform.python_version()},
        "isa": mflow_core.isa(),
        "settings": settings,
        "problem": {
            "name": problem.name, "description": problem.description, "start_loss": problem.start_loss, "start": problem.start,
            "curvature": problem.curvature, "curvature_source": problem.curvature_source,
            "score_name": problem.score_name if problem.score is not None else None,
            "n_rows": len(problem.rows[0]) if problem.rows else None, "gradient_fault": problem.fault or None,
        },
        "runs": [{**vars(run), "history": vars(run.history)} for run in runs],
    }  # fmt: skip
