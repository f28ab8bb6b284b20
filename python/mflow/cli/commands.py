"""The `mflow` command: `mflow compare`, `mflow methods` and, from modules of their own, the commands of _MODULES."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import math
import os
import platform
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import mflow_core
import numpy as np

from mflow.base.methods import Method, describe, get_method, methods
from mflow.cli import explain as explain_command
from mflow.cli import simulate
from mflow.cli import stability as stability_command
from mflow.cli.userfile import load_function, parse_numbers
from mflow.experiments import compare as job
from mflow.experiments.compare import Problem, Run
from mflow.stability.amplification import stability_limit

__all__ = ["main"]

WIDTH = 100
PICTURES = (".png", ".svg", ".pdf")
MAX_ITER = 1000
RULES = {
    "half": "half: half of the largest stable step",
    "own": "own: the method's default, as no such step is known, not tuned for this problem (--lr sets one for all)",
    "1/L": "1/L: nothing limits the step",
    "given": "given: by --lr",
}


class UsageError(Exception):
    """A mistake in what was asked for: its text is shown, without a traceback, and the exit code is 2."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process if not given.

    Returns
    -------
    int
        Exit code: 0, 2 for a mistake in the arguments or a picture that could not be drawn, 130 after Ctrl-C. A mistake that
        argparse itself finds raises SystemExit(2).

    Examples
    --------
    >>> from mflow.cli.commands import main
    >>> main(["methods", "no_such_method"])
    2
    """
    parser = _parser()
    arguments = parser.parse_args(_joined(sys.argv[1:] if argv is None else argv))
    if "run" not in arguments:
        parser.print_help()
        return 0
    try:
        code: int = arguments.run(arguments)
        return code
    except UsageError as error:
        print(f"mflow: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # as in `mflow methods | head`: nobody listens any more, and the interpreter's last flush must not complain
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 0


def _version() -> str:
    from mflow import __version__

    return f"mflow {__version__} (kernels: {mflow_core.isa()})"


def _joined(argv: Sequence[str]) -> list[str]:
    """`--x0 -1,2` as `--x0=-1,2`: argparse takes a text that begins with a minus for an option."""
    out: list[str] = []
    for text in argv:
        if out and out[-1] == "--x0" and text[:1] == "-" and text[1:2] in set("0123456789."):
            out[-1] = f"--x0={text}"
        else:
            out.append(text)
    return out


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0.0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"a number above 0 is wanted, not {text!r}")
    return number


def _whole(lowest: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = lowest - 1
        if number < lowest:
            raise argparse.ArgumentTypeError(f"a whole number from {lowest} on is wanted, not {text!r}")
        return number

    return convert


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mflow", description="Optimization as motion: integrators and optimizers as one family.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_compare(commands.add_parser("compare", help="minimise one cost by many methods: a table and a picture", description=_COMPARE))
    listing = commands.add_parser("methods", help="list the methods, or describe one", description="List the methods, or describe one.")
    listing.add_argument("name", nargs="?", metavar="NAME", help="name or alias of a method")
    listing.set_defaults(run=_methods)
    for module, text in _MODULES:
        command = commands.add_parser(
            module.__name__.rpartition(".")[2].removesuffix("_command"), help=text, description=module.DESCRIPTION
        )
        module.add_arguments(command)
        command.set_defaults(run=functools.partial(_of_module, module))
    return parser


# Commands with a module of their own, which has DESCRIPTION, add_arguments, check_arguments (ValueError: a mistake in them), command.
_MODULES = (
    (stability_command, "limits, order and stability of methods, with their regions"),
    (explain_command, "look at your own problem: safe steps, posedness, what to take"),
    (simulate, "a shear building on shaking ground: table, energy ledger, picture"),
)


_COMPARE = "Minimise one cost by every method that can, full batch and minibatch, and show how each did: a table and a picture."


def _add_compare(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--problem", default="penguins", metavar="NAME",
        help="penguins (default; logistic regression), longley, engel (linear regression), rosenbrock, quadratic, or a NIST problem's name",
    )  # fmt: skip
    what.add_argument("--objective", metavar="FILE.py:FUNCTION", help="your own cost: function(x) returns it, or (cost, gradient)")
    add("--x0", metavar="NUMBERS", help='where your own cost starts, as in "1,2,3"')
    add("--method", action="append", metavar="NAME", help="only this method; may be repeated (default: all that apply)")
    add("--lr", "--dt", type=_positive, metavar="STEP", help="step for all (default: half of the largest stable one where known)")
    add("--max-iter", type=_whole(1), default=MAX_ITER, metavar="N", help="steps, or passes by minibatches (default: %(default)s)")
    add("--batch-size", type=_whole(1), metavar="N", help="rows in a minibatch (default: 32, fewer for small sets)")
    add("--seed", type=_whole(0), default=0, metavar="N", help="draws held-out rows and minibatches (default: %(default)s)")
    add("--out", default="compare.png", metavar="FILE", help="the picture: .png, .svg or .pdf (default: %(default)s)")
    add("--no-plot", action="store_true", help="draw no picture")
    add("--json", metavar="FILE", help="write settings, results and histories; - for standard output (the table then goes to stderr)")
    add("--progress", action=argparse.BooleanOptionalAction, help="show progress on stderr (default: where it is a terminal)")
    parser.set_defaults(run=_compare)


def _of_module(module: Any, arguments: argparse.Namespace) -> int:
    try:
        module.check_arguments(arguments)
    except ValueError as error:
        raise UsageError(str(error)) from None
    code: int = module.command(arguments)
    return code


# ---- compare ------------------------------------------------------------------------------------------------------------------------


def _compare(arguments: argparse.Namespace) -> int:
    what = _problem(arguments)
    if arguments.batch_size is not None and what.rows and arguments.batch_size > len(what.rows[0]):
        raise UsageError(f"--batch-size {arguments.batch_size}: {what.name} has {len(what.rows[0])} rows to train on")
    try:
        tasks = job.task_list(what, arguments.method)
    except ValueError as error:
        raise UsageError(str(error)) from None
    for path in [arguments.out] * (not arguments.no_plot) + [arguments.json] * (arguments.json not in (None, "-")):
        _check_target(Path(path))
    if not arguments.no_plot and Path(arguments.out).suffix.lower() not in PICTURES:
        raise UsageError(f"--out {arguments.out}: the name must end in {', '.join(PICTURES)}")
    runs, interrupted = _collect(what, tasks, arguments)
    out = sys.stderr if arguments.json == "-" else sys.stdout
    print(_report(what, runs, arguments), file=out)
    if arguments.json is not None:
        _write_json(what, runs, arguments)
    code = 0 if arguments.no_plot or not runs else _picture(what, runs, Path(arguments.out), out)
    if interrupted:
        print(f"mflow: stopped after {len(runs)} of {len(tasks)} runs", file=sys.stderr)
        return 130
    return code


def _check_target(path: Path) -> None:
    """Said before the work, not after it."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; the name of a file is wanted")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}")


def _problem(arguments: argparse.Namespace) -> Problem:
    if arguments.objective is None:
        if arguments.x0 is not None:
            raise UsageError("--x0 belongs to --objective FILE.py:FUNCTION")
        try:
            return job.problem(arguments.problem, arguments.seed)
        except ValueError as error:
            raise UsageError(f"--problem: {error}") from None
    if arguments.x0 is None:
        raise UsageError('--objective needs a start: --x0 "1,2,3"')
    start = _numbers(arguments.x0)
    name, function = _load(arguments.objective)
    try:
        return job.custom_problem(name, function, start)
    except Exception as error:
        raise UsageError(f"--objective {arguments.objective} at the start {arguments.x0}: {type(error).__name__}: {error}") from error


def _numbers(text: str) -> list[float]:
    try:
        return [float(value) for value in parse_numbers(text, "--x0")]
        return [float(number) for number in parse_numbers(text, "--x0")]
    except ValueError as error:
        raise UsageError(str(error)) from error


def _load(target: str) -> tuple[str, Callable[[Any], Any]]:
    """(name, function) of FILE.py:FUNCTION."""
    try:
        return load_function(target, "--objective")
    except ValueError as error:
        raise UsageError(str(error)) from error


def _collect(what: Problem, tasks: list[tuple[Method, str]], arguments: argparse.Namespace) -> tuple[list[Run], bool]:
    """(runs, whether Ctrl-C came)."""
    names = [method.name for method, batch in tasks if batch == "full"]
    labels = [f"{method.name}, {'full batch' if batch == 'full' else 'minibatches'}" for method, batch in tasks]
    found = job.compare(
        what, names, lr=arguments.lr, max_iter=arguments.max_iter, batch_size=arguments.batch_size, seed=arguments.seed
    )  # fmt: skip
    runs: list[Run] = []
    try:
        for run in _with_progress(found, labels, arguments.progress):
            runs.append(run)
    except KeyboardInterrupt:
        return runs, True
    return runs, False


def _with_progress(found: Iterator[Run], labels: list[str], asked: bool | None) -> Iterator[Run]:
    """The same runs, with a bar on stderr; on what is no terminal, if asked, a line each."""
    terminal = sys.stderr.isatty()
    if not (terminal if asked is None else asked):
        yield from found
        return
    bar = None
    if terminal:
        with contextlib.suppress(ImportError):
            from tqdm import tqdm

            bar = tqdm(total=len(labels), unit="run", file=sys.stderr, leave=False)
    try:
        for number, label in enumerate(labels, 1):
            if bar is not None:
                bar.set_description(label)
            elif terminal:
                print(f"\r\033[K[{number}/{len(labels)}] {label}", end="", file=sys.stderr, flush=True)
            else:
                print(f"[{number}/{len(labels)}] {label}", file=sys.stderr)
            yield next(found)
            if bar is not None:
                bar.update()
    finally:
        if bar is not None:
            bar.close()
        elif terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _picture(what: Problem, runs: list[Run], path: Path, out: TextIO) -> int:
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        print(
            "mflow: error: no picture, as matplotlib is not installed: pip install 'momentum-flow[plot]', or ask for --no-plot",
            file=sys.stderr,
        )
        return 2
    from mflow import plot

    drawn = [run for run in runs if run.history.loss]
    if not drawn:
        print("mflow: error: no picture, as no method took a step", file=sys.stderr)
        return 2
    try:
        plot.comparison(drawn, title=f"{what.name}: {what.description}").savefig(path, dpi=110)
    except OSError as error:
        print(f"mflow: error: no picture: {path}: {error.strerror}", file=sys.stderr)
        return 2
    print(f"Picture of loss against evaluations and time: {path}", file=out)
    return 0


# ---- the table ----------------------------------------------------------------------------------------------------------------------


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}g}"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{1e3 * value:.1f} ms" if value >= 1e-3 else f"{1e6 * value:.0f} us"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int, spare: Sequence[str] = (), left: Sequence[int] = (0,)) -> str:
    """Aligned columns; where they do not fit the width, first closer together, then without the `spare` ones, in that order."""
    keep = list(range(len(header)))
    waiting = list(spare)
    while True:
        sizes = {i: max(len(header[i]), *(len(row[i]) for row in rows), 0) if rows else len(header[i]) for i in keep}
        gap = 2 if sum(sizes.values()) + 2 * (len(keep) - 1) <= width else 1
        if not waiting or sum(sizes.values()) + gap * (len(keep) - 1) <= width:
            break
        keep.remove(header.index(waiting.pop(0)))
    lines = []
    for row in (header, *rows):
        cells = [row[i].ljust(sizes[i]) if i in left else row[i].rjust(sizes[i]) for i in keep]
        lines.append((" " * gap).join(cells).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def _width() -> int:
    return shutil.get_terminal_size((WIDTH, 24)).columns


def _cells(run: Run) -> dict[str, str]:
    ended = run.reason.replace("_", " ")
    return {
        "method": run.method, "loss": _number(run.loss), "score": _number(run.score), "evals": f"{run.passes:.0f}", "calls": str(run.calls),
        "steps": str(run.steps), "time": _seconds(run.seconds), "lr": _number(run.lr, 3), "rule": run.rule,
        "max lr": _number(run.largest_stable, 3), "ended": f"{ended} !" if run.bad else ended,
    }  # fmt: skip


def _tables(what: Problem, runs: list[Run], batch_size: int) -> list[str]:
    """Full batch, then minibatches, in the same columns."""
    cells = [_cells(run) for run in runs]
    names = [name for name in cells[0] if (name != "score" or what.score is not None) and (name != "calls" or what.rows)]
    header = [what.score_name if name == "score" else name for name in names]
    left = [names.index(name) for name in ("method", "rule", "ended")]
    spare = [name for name in ("calls", "rule", "evals", "max lr") if name in names]
    head, rule, *body = _table(header, [[row[name] for name in names] for row in cells], _width(), spare, left).splitlines()
    lines = []
    for kind, title in (("full", "Full batch"), ("minibatch", f"Minibatches of {batch_size} row{'s' if batch_size != 1 else ''}")):
        members = [line for run, line in zip(runs, body, strict=True) if run.batch == kind]
        if members:
            lines += ["", title, head, rule, *members]
    return lines


def _report(what: Problem, runs: list[Run], arguments: argparse.Namespace) -> str:
    """Everything that is printed but the name of the picture."""
    source = "not found" if math.isnan(what.curvature) else f"{what.curvature:.4g}, {what.curvature_source}"
    start = f"Loss at the start {what.start_loss:.4g}; largest curvature L {source}; seed {arguments.seed}"
    lines = [f"{what.name}: {what.description}", start]
    if runs:
        lines += _tables(what, runs, arguments.batch_size or what.batch_size)
        lines += ["", *_notes(what, runs)]
    return "\n".join(lines)


def _notes(what: Problem, runs: list[Run]) -> list[str]:
    """What the columns mean, and what went wrong."""
    lines = []
    if what.rows:
        lines.append(f"loss: on all training rows; {what.score_name}: held out; evals: passes over the data; calls: of the cost.")
        lines.append("Integrators (lr is dt) follow the full gradient only: on minibatches explicit Euler is sgd.")
        lines.append("max lr: largest stable step for the curvature L of all rows; a small batch can be steeper.")
    elif what.score is not None:
        lines.append("error: largest distance from the known answer, relative if that is not 0; evals: calls of the cost.")
    used = [RULES[rule] for rule in RULES if any(run.rule == rule for run in runs)]
    lines.append(f"lr is {'; '.join(used)}." if used else "No step was taken.")
    trouble: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        if run.bad:
            trouble.setdefault((run.batch, run.message), []).append(run.method)
    for (batch, message), names in trouble.items():
        lines.append(f"! {', '.join(names)} ({'full batch' if batch == 'full' else 'minibatches'}): {message}")
    return [textwrap.fill(line, max(_width(), 40), subsequent_indent="  ") for line in lines]


# ---- json ---------------------------------------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """As JSON has it: no nan and no infinity, which stand as null."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _record(what: Problem, runs: list[Run], arguments: argparse.Namespace) -> dict[str, Any]:
    from mflow import __version__

    settings = {key: value for key, value in vars(arguments).items() if key not in ("run", "progress", "json", "out", "no_plot")}
    settings["batch_size"] = arguments.batch_size or what.batch_size or None
    return {
        "versions": {"mflow": __version__, "numpy": np.__version__, "python": platform.python_version()},
        "isa": mflow_core.isa(),
        "settings": settings,
        "problem": {
            "name": what.name, "description": what.description, "start_loss": what.start_loss, "start": what.start,
            "curvature": what.curvature, "curvature_source": what.curvature_source,
            "score_name": what.score_name if what.score is not None else None, "n_rows": len(what.rows[0]) if what.rows else None,
        },
        "runs": [{**vars(run), "history": vars(run.history)} for run in runs],
    }  # fmt: skip


def _write_json(what: Problem, runs: list[Run], arguments: argparse.Namespace) -> None:
    text = json.dumps(_plain(_record(what, runs, arguments)), allow_nan=False)
    if arguments.json == "-":
        print(text)
        return
    try:
        Path(arguments.json).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--json {arguments.json}: {error.strerror}") from None


# ---- methods ------------------------------------------------------------------------------------------------------------------------


def _limit(method: Method, axis: str | None = None) -> float | None:
    """Stability limit, None where the method has none of this kind."""
    if "linear" not in method.flags:
        return None
    try:
        return stability_limit(method, axis)
    except ValueError:  # a family that is asked in another way
        return None


def _scales(method: Method, limit: float) -> bool:
    """Whether an optimizer's limit is one of lr L alone: not so where a friction has a time of its own."""
    from mflow.stability.amplification import max_stable_dt

    return math.isclose(100.0 * max_stable_dt(method, curvature=100.0), limit, rel_tol=1e-6)


def _limit_cell(method: Method) -> str:
    limit = _limit(method)
    if limit is None:
        return "-"
    if method.kind == "step":
        return f"|z| <= {limit:.4g}"
    return f"lr L <= {limit:.4g}" if _scales(method, limit) else f"lr <= {limit:.4g} at L=1"


def _methods(arguments: argparse.Namespace) -> int:
    if arguments.name is not None:
        try:
            print(_description(get_method(arguments.name)))
        except ValueError as error:
            raise UsageError(str(error)) from None
        return 0
    rows = [
        [m.name, ", ".join(m.aliases) or "-", m.family, str(m.order), str(m.stages), _limit_cell(m)] for m in methods()
    ]  # fmt: skip
    print(_table(["method", "also called", "family", "order", "stages", "stable up to"], rows, _width(), ("also called",), (0, 1, 2, 5)))
    print("\nz = lambda dt on the negative real axis; L: largest curvature; at default parameters; -: no such limit (nonlinear).")
    print(f"mflow methods NAME tells more. {_version()}")
    return 0


def _coefficients(method: Method) -> list[str]:
    """Tables of a Runge-Kutta method: Butcher's, and Shu and Osher's where that is how it is stored."""
    butcher = method.butcher
    if butcher is None:
        return []
    A, b, c = butcher
    rows = [[_number(c[i], 6), "|", *(_number(v, 6) for v in A[i])] for i in range(len(c))]
    lines = ["", "Butcher's table (c | A, and b below)", *_matrix([*rows, ["", "|", *(_number(v, 6) for v in b)]])]
    for name in ("alpha", "beta"):
        if name in method.tableau:
            lines += ["", f"Shu and Osher's {name}", *_matrix([[_number(v, 6) for v in row] for row in method.tableau[name]])]
    return lines


def _matrix(rows: list[list[str]]) -> list[str]:
    sizes = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
    return ["    " + "  ".join(cell.rjust(size) for cell, size in zip(row, sizes, strict=True)).rstrip() for row in rows]


def _stability(method: Method) -> list[str]:
    limit = _limit(method)
    if limit is None:
        return ["no limit in closed form: the step depends on more than the curvature" if method.kind == "update" else "not known"]
    if method.kind == "step":
        imaginary = _limit(method, "imaginary")
        return [
            f"|lambda| dt <= {limit:.6g} on the negative real axis (gradient flow)",
            *([f"|lambda| dt <= {imaginary:.6g} on the imaginary axis (oscillations)"] if imaginary is not None else []),
        ]
    if _scales(method, limit):
        return [f"lr L <= {limit:.6g}, L the largest curvature of the cost"]
    return [f"lr <= {limit:.6g} for the curvature L = 1, and not a matter of lr L alone: mflow.max_stable_dt tells it for others"]


def _description(method: Method) -> str:
    lines = [
        f"{method.name}: a method of the family {method.family}", "", describe(method.record), "",
        f"order {method.order}, stages {method.stages}, carried vectors {', '.join(method.vectors)}",
        f"flags {', '.join(sorted(method.flags)) or 'none'}",
    ]  # fmt: skip
    lines += _coefficients(method)
    lines += ["", "Stability, at default parameters", *(f"    {text}" for text in _stability(method)), "", _version()]
    return "\n".join(lines)
