"""What the subcommands share of their arguments: types for argparse, checks of the files that they write.

Each subcommand is a module with ``DESCRIPTION``, ``add_arguments(parser)``, ``check_arguments(arguments)``, which raises ValueError for a
mistake before any work is done, and ``command(arguments)``, which prints its text and returns the exit code; one that does not always draw
where --no-plot is not given also has ``draws(arguments)``. Every subcommand has --json and --quiet: `mflow.cli.commands` sends the text
where they say, and hands over ``arguments.write_json(function that makes the value)`` and ``arguments.write_csv(header, function that makes
the rows)``.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mflow.base.checks import check_number, check_whole, in_range
from mflow.base.methods import methods
from mflow.data.ground_motion import GroundMotion, read_record
from mflow.data.record_units import ACCELERATIONS

__all__ = [
    "PICTURES",
    "UsageError",
    "add_names",
    "add_record_options",
    "add_words",
    "check_apart",
    "check_file",
    "check_picture",
    "finite",
    "positive",
    "record_of",
    "records_in",
    "whole",
]

PICTURES = (".png", ".svg", ".pdf")


class UsageError(ValueError):
    """A mistake in what was asked for: its text is shown without a traceback, and the exit code is 2."""


def add_words(add: Callable[..., Any], *names: str, words: Callable[[argparse.Namespace], Iterable[str]], **options: Any) -> None:
    """Declare an argument, by `add`, whose words argcomplete, where it is there, completes; those before a comma stay."""

    def complete(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        before = prefix[: prefix.rfind(",") + 1]
        return [before + word for word in words(parsed_args)]

    add(*names, **options).completer = complete


def add_names(parser: argparse.ArgumentParser, *names: str, family: str | None = None, **options: Any) -> None:
    """Declare an argument that takes names of methods, of a family alone where one is given."""
    add_words(parser.add_argument, *names, words=lambda _: [m.name for m in methods(family)], **{"metavar": "NAME"} | options)


def finite(low: float = -math.inf, *, open_low: bool = False) -> Callable[[str], float]:
    """A type for argparse: a finite number of at least `low`, or above it.

    Examples
    --------
    >>> from mflow.cli.arguments import finite
    >>> finite(0.0)("0.05")
    0.05
    """

    def convert(text: str) -> float:
        try:
            return check_number(float(text), "", low=low, open_low=open_low)
        except (TypeError, ValueError):
            expected = in_range("a finite number", low, open_low=open_low)
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}") from None

    return convert


positive = finite(0.0, open_low=True)


def whole(low: int) -> Callable[[str], int]:
    """A type for argparse: a whole number of at least `low`.

    Examples
    --------
    >>> from mflow.cli.arguments import whole
    >>> whole(1)("32")
    32
    """

    def convert(text: str) -> int:
        try:
            return check_whole(int(text), "", low)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {in_range('a whole number', low)}, got {text!r}") from None

    return convert


def add_record_options(add: Callable[..., Any]) -> None:
    """Declare what a record of the ground does not say itself."""
    add_words(add, "--unit", words=lambda _: ACCELERATIONS, metavar="UNIT", help="of a record that does not say: g, m/s2, cm/s2, gal, ...")
    add("--scale", type=positive, default=1.0, metavar="FACTOR", help="for the record's acceleration (default: %(default)s)")
    add("--record-dt", type=positive, metavar="SECONDS", help="between accelerations, of a record that is a text of these alone")
    add("--column", type=whole(0), metavar="N", help="of a table: the accelerations are those of this column, counted from 0")
    add("--channel", metavar="NAME", help="of a record with several: its number in COSMOS and CSMIP volumes, or its name, such as HNE")


def record_of(arguments: argparse.Namespace, path: str | Path) -> GroundMotion:
    """The record in a file. Raises ValueError, with the option and the file, where it cannot be read, or holds something else."""
    try:
        return read_record(path, arguments.unit, arguments.scale, arguments.record_dt, arguments.column, arguments.channel)
    except (OSError, csv.Error, ArithmeticError, MemoryError, ImportError) as error:
        raise ValueError(f"--record {path}: {str(error).removeprefix(f'{path}: ')}") from None


def records_in(folder: str) -> list[Path]:
    """The files of a folder, by name. Raises ValueError where it has none."""
    files = sorted(path for path in Path(folder).iterdir() if path.is_file() and not path.name.startswith("."))
    if not files:
        raise ValueError(f"--record {folder}: expected a folder with records, got one without files")
    return files


def check_file(option: str, name: str | None, endings: Sequence[str] = ()) -> None:
    """Raise ValueError where a file of this name cannot be written. None, and - where no ending is asked for, are no files."""
    if name is None or (name == "-" and not endings):
        return
    path = Path(name)
    if path.is_dir():
        raise ValueError(f"{option} {name}: expected the name of a file, got a folder")
    if path.is_symlink() and (path.is_file() or not path.exists()):  # /dev/stdout is one to a pipe
        raise ValueError(f"{option} {name}: it is a link, and what it leads to is not written to; name the file itself, or remove the link")
    if endings and path.suffix.lower() not in endings:
        raise ValueError(f"{option} {name}: the name must end in {', '.join(endings)}")
    folder = path.parent
    if not folder.is_dir():
        raise ValueError(f"{option} {name}: there is no folder {folder}")
    special = path.exists() and not path.is_file()  # a device, or a pipe
    if not os.access(path if special else folder, os.W_OK):
        what = "it" if special else f"the folder {folder}"
        raise ValueError(f"{option} {name}: {what} cannot be written to; name a file in a folder of your own")


def check_apart(written: Mapping[str, str | None], read: Mapping[str, str | None]) -> None:
    """Raise ValueError where two options write to one file, or one to a file, or into a folder's files, that another reads."""
    names = {option: name for option, name in written.items() if name is not None and (Path(name).is_file() or not Path(name).exists())}
    for option, name in names.items():
        for other, taken in names.items():
            if other != option and _is_same(name, taken):
                raise ValueError(f"{option} {name}: {other} writes there, too; name another file")
        for other, source in read.items():
            if source is None or name == "-" or not Path(name).is_file():
                continue
            if _is_same(name, source) or (Path(source).is_dir() and _is_same(Path(name).parent, source)):
                raise ValueError(f"{option} {name}: {other} reads this file, which would be lost; name another file")


def _is_same(one: str | Path, other: str | Path) -> bool:
    """Whether two names are those of one file, or will be when it is written."""
    if os.path.exists(one) and os.path.exists(other):
        return os.path.samefile(one, other)
    return os.path.realpath(one) == os.path.realpath(other)


def check_picture(out: str, no_plot: bool) -> None:
    """Raise ValueError where a picture is asked for and cannot be drawn or written."""
    if no_plot:
        return
    if importlib.util.find_spec("matplotlib") is None:
        raise ValueError("matplotlib is not installed: pip install 'momentum-flow[plot]', or give --no-plot")
    check_file("--out", out, PICTURES)
