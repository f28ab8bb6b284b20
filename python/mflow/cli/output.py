"""What the subcommands share of their output: numbers, tables that fit the terminal, JSON, errors."""

from __future__ import annotations

import csv
import errno
import io
import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import numpy as np

from mflow.base.telling import heard
from mflow.cli.arguments import UsageError, record_of, records_in
from mflow.saving.savefile import replace_file

if TYPE_CHECKING:
    import argparse

    from matplotlib.figure import Figure

    from mflow.data.ground_motion import GroundMotion

__all__ = [
    "Shown", "each_record", "number", "print_error", "print_warning", "save_picture", "seconds", "table", "width", "write_csv",
    "write_json",
]  # fmt: skip

Found = TypeVar("Found")

WIDTH = 100


class Shown:
    """Standard output whose reader may leave before the end, as of `| head`, or that the user's function may close: the rest goes nowhere,
    and the command ends with its own code.

    Raises UsageError where it cannot be written to. It owns nothing, so it is no class of io, whose finalizers flush once more: from
    Python 3.13 on they say on standard error what was raised there.
    """

    def __init__(self, to: TextIO) -> None:
        self.to = to

    def __getattr__(self, name: str) -> Any:  # isatty, encoding, buffer: for what a file of the user asks
        return getattr(self.to, name)

    def write(self, text: str, /) -> int:
        """Write a text; to nowhere where nobody reads it any more."""
        self._tried(lambda: self.to.write(text))
        return len(text)

    def writelines(self, texts: Iterable[str], /) -> None:
        """Write texts one after the other."""
        for text in texts:
            self.write(text)

    def flush(self) -> None:
        """Hand over what has been written."""
        self._tried(self.to.flush)

    def _tried(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except BrokenPipeError:
            self.to = io.StringIO()
        except ValueError:
            if not self.to.closed:
                raise
            self.to = io.StringIO()
        except OSError as error:
            raise UsageError(f"standard output: {error.strerror}") from None


def print_error(text: str) -> None:
    """One line on standard error, as the command says every mistake."""
    if not sys.stderr.closed:  # by the user's own function
        print(f"mflow: error: {' '.join(text.split())}", file=sys.stderr)


def print_warning(text: str) -> None:
    """One line on standard error for what was computed and may mislead."""
    print(f"mflow: warning: {' '.join(text.split())}", file=sys.stderr)


def each_record(arguments: argparse.Namespace, compute: Callable[[GroundMotion], Found]) -> list[tuple[str, Found | str]]:
    """What is computed of every record in the folder of `--record`, with the file's name; words say why where one cannot be read.

    What is wrong with the options, which `compute` finds, is no fault of the record: it ends the command. A long folder takes minutes:
    what a record is warned of is told when it comes, with the name. With `--quiet`, whose tables are held back, so is what cannot be read.
    """
    found: list[tuple[str, Found | str]] = []
    for path in records_in(arguments.record):
        with heard() as words:
            try:
                record = record_of(arguments, path)
            except ValueError as error:
                why = str(error).removeprefix("--record ").removeprefix(f"{path}: ")
                found.append((path.name, why))
                if arguments.quiet:
                    print_error(f"{path.name}: {why}")
            else:
                found.append((path.name, compute(record)))
        for text in dict.fromkeys(text for text, _ in words):
            print_warning(f"{path.name}: {text}")
    return found


def number(value: float | None, digits: int = 4) -> str:
    """A number for a table; - where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}g}"


def seconds(value: float) -> str:
    """A time with its unit."""
    return f"{value:.2f} s" if value >= 1 else f"{1e3 * value:.1f} ms" if value >= 1e-3 else f"{1e6 * value:.0f} us"


def width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size((WIDTH, 24)).columns


def table(header: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str] = (), left: Sequence[int] = (0,)) -> str:
    """Aligned columns, those in `left` to the left.

    Columns that do not fit the terminal move closer together first; then the `spare` ones are dropped, in that order.
    """
    keep = list(range(len(header)))
    waiting = list(spare)
    while True:
        sizes = {i: max(len(header[i]), *(len(row[i]) for row in rows), 0) if rows else len(header[i]) for i in keep}
        gap = 2 if sum(sizes.values()) + 2 * (len(keep) - 1) <= width() else 1
        if not waiting or sum(sizes.values()) + gap * (len(keep) - 1) <= width():
            break
        keep.remove(header.index(waiting.pop(0)))
    lines = []
    for row in (header, *rows):
        cells = [row[i].ljust(sizes[i]) if i in left else row[i].rjust(sizes[i]) for i in keep]
        lines.append((" " * gap).join(cells).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def _plain(value: Any) -> Any:
    """The value as JSON can hold it: lists for arrays, null for NaN and infinities."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, complex):
        return [_plain(value.real), _plain(value.imag)]
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def write_json(value: Callable[[], Any], name: str | None, to: TextIO) -> None:
    """Write a value, made when it is needed, to a file, or with the name - to a stream; nowhere without a name.

    Raises UsageError where the file cannot be written.
    """
    if name is None:
        return
    _write("--json", name, json.dumps(_plain(value()), allow_nan=False) + "\n", to)


def write_csv(header: Sequence[str], rows: Callable[[], Iterable[Sequence[Any]]], name: str | None, to: TextIO) -> None:
    """Write rows, made when they are needed, as a table that spreadsheets read, to where `write_json` would.

    What is no finite number is empty. Raises UsageError where the file cannot be written.
    """
    if name is None:
        return
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(header)
    lines.writerows([["" if isinstance(entry, float) and not math.isfinite(entry) else entry for entry in row] for row in rows()])
    _write("--csv", name, text.getvalue(), to)


def save_picture(figure: Figure, out: str | Path, dpi: int = 110) -> None:
    """Write a picture. Raises UsageError where the file cannot be written."""
    try:
        figure.savefig(out, dpi=dpi)
    except OSError as error:
        raise UsageError(f"no picture: {out}: {error.strerror}") from None


def _write(option: str, name: str, text: str, to: TextIO) -> None:
    """Write a text to a file, or with the name - to a stream. Raises UsageError, with the option, where the file cannot be written."""
    if name == "-":
        to.write(text)
        return
    try:
        _replace(Path(name), text)
    except OSError as error:
        raise UsageError(f"{option} {name}: {error.strerror}") from None


def _replace(path: Path, text: str) -> None:
    """Write a file as a whole or not at all; a device or a pipe is written to as it is. Links to files are refused by `check_file`."""
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    if path.is_symlink():  # one that has come since the arguments were looked at
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    replace_file(path, text.encode())
