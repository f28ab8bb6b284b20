"""Records of ground acceleration: PEER's AT2 files, tables of time and acceleration, volumes of networks (volumes.py), and what ObsPy reads
(traces.py).

    motion = read_record("RSN6_IMPVALL.I_I-ELC180.AT2")
    motion.t, motion.a                                      # s from 0 on, m/s^2

Nothing is guessed: units that neither the file nor the caller gives, or that contradict each other, what is no acceleration in time,
missing or surplus values, and times that do not increase are errors that name the file and the line.
"""

from __future__ import annotations

import math
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mflow_core.problems.sparse import check_unmasked

from mflow.base.checks import Array, check_number, check_whole, shown
from mflow.base.tables import Readable, Table
from mflow.base.telling import knows_other_words, tell
from mflow.data.record_units import (
    ACCELERATIONS,
    GRAVITY,
    TIMES,
    foreign_format,
    history_of,
    kind_of,
    other_quantity,
    plain_number,
    raw_unit,
    spacing_of,
    stated_step,
    stated_times,
    stated_units,
    time_unit,
    units_of_column,
)  # fmt: skip
from mflow.data.traces import read_traces
from mflow.data.volumes import READERS, read_volume

__all__ = ["GRAVITY", "UNITS", "GroundMotion", "read_record"]

LONGEST_LINE = 1 << 24  # bytes: a record without line ends
LONGEST = 1 << 29  # bytes: some days of 200 samples a second
UNITS = {name: ACCELERATIONS[name] for name in ("g", "m/s2", "cm/s2")}  # that a caller is told to give
HEADER_LINES = 12  # of an AT2 file, in which NPTS and DT must stand
OTHER_WORDS = ("NPTS", "UNITS", "UNIT", "IN", "ACCELERATION", "ACC")  # that may follow DT in its line, and are no unit
LEAST_COUNT = 10  # that a number in the first line is taken for, where the step beside it is not the one that is given
SAME_STEP = 3e-3  # a dt that differs by less from what a heading states differs by its rounding
LONG_STEP = 2.0  # s: no record of shaking has such steps
_PLAIN = str.maketrans({'"': "", "\u00b7": " "})  # of cells in quotes, and products of units
KNOWN = "g, m/s2, cm/s2, mm/s2, in/s2, ft/s2, gal or mg"

_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?)"
_OF_TIME = r"(?:\s*[(\[]\s*(?P<before>[A-Za-z]+)\s*[)\]])?"
_DT = rf"DT{_OF_TIME}\s*[=:]\s*(?P<dt>{_NUMBER[1:-1]})\s*[(\[]?(?P<after>[A-Za-z]*)"
_COUNT = r"NPTS\s*[=:]\s*(?P<count>\d+)"
_HEADS = (
    re.compile(rf"{_COUNT}\s*,?\s*{_DT}", re.IGNORECASE),
    re.compile(rf"{_DT}[^A-Za-z0-9]*\s*{_COUNT}", re.IGNORECASE),
    re.compile(rf"^\s*(?P<count>\d+)\s+(?P<dt>{_NUMBER[1:-1]})\s+NPTS\s*,?\s*DT{_OF_TIME}(?P<after>\s+[A-Za-z]+)?", re.IGNORECASE),
)
_MARK = re.compile(r"^\s*\*{2,}.*$")
_STUCK = re.compile(r"(?<=[\d.])(?=[-+])")  # -.1E-03-.2E-03: Fortran's columns leave no blank before a sign
_DECIMAL = re.compile(r"([-+]?\d+),(\d+)")  # 0,015: a decimal comma, or two numbers
_END = re.compile(r"^\W*end(?:\s+of)?(?:\s+(?:data|file|record))?\W*$", re.IGNORECASE)


@knows_other_words
@dataclass(frozen=True, eq=False)
class GroundMotion(Readable):
    """Acceleration of the ground, linear between its times.

    Attributes
    ----------
    name : str
    t : ndarray (m,)
        Seconds, from 0 on.
    a : ndarray (m,)
        m/s^2.

    See Also
    --------
    mflow.data.read_record, mflow.response_spectrum, mflow.solve_dynamics

    Examples
    --------
    >>> from mflow.data import GroundMotion
    >>> import numpy as np
    >>> pulse = GroundMotion("pulse", np.array([0.0, 0.1, 0.2]), np.array([0.0, 3.0, 0.0]))
    >>> pulse.peak, pulse.spacing
    (3.0, 0.1)
    """

    name: str
    t: Array
    a: Array

    def __post_init__(self) -> None:
        check_unmasked(self.t, "t")
        check_unmasked(self.a, "a")

    def _parts(self) -> list[str | Table]:
        return [f"{self.name}: {self.t.size} accelerations to {self.t[-1]:.5g} s, peak {self.peak:.5g} m/s^2 ({self.peak / GRAVITY:.4g} g)"]

    def __mul__(self, factor: float) -> GroundMotion:
        """The motion with accelerations times a number, as ``1.5 * record``."""
        return GroundMotion(self.name, self.t, self.a * check_number(factor, "factor"))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> GroundMotion:
        return self * (1.0 / check_number(divisor, "divisor"))

    def __neg__(self) -> GroundMotion:
        return self * -1.0

    @property
    def spacing(self) -> float:
        """The distance of two times; the smallest, where they are at different ones."""
        return spacing_of(self.t)

    @property
    def peak(self) -> float:
        """The largest acceleration, m/s^2."""
        return float(np.max(np.abs(self.a)))


@knows_other_words
def read_record(
    path: str | os.PathLike[str],
    unit: str | None = None,
    scale: float = 1.0,
    dt: float | None = None,
    column: int | None = None,
    channel: str | None = None,
) -> GroundMotion:
    """Read a record of ground acceleration.

    Parameters
    ----------
    path : str or path
        ``.at2``, or any file with NPTS = ..., DT = ... in its first lines: the format of PEER's strong-motion database, whose header
        states the units (UNITS OF G, IN CM/S/S, ...) and may give DT in msec. Anything else: lines of time and acceleration, separated by
        commas, semicolons or blanks, below a heading such as ``t (ms), a (m/s2)``; time without a unit is in seconds. Empty lines are
        skipped, and so are lines that begin with #, but units in them count. COSMOS (V1, V2, V1C, V2C), CSMIP's volume 2, SMC and ESM's
        ASCII files are known by their first lines; they state their units. K-NET and KiK-net files, MiniSEED, SAC and what else ObsPy
        knows are read by it, where it is installed (``pip install 'momentum-flow[records]'``); those that state no unit need ``unit``.
    unit : "g", "m/s2", "cm/s2", "gal", ...
        The unit where the file states none, in any of the spellings that headers have ("G", "m/s^2", "cm/s/s", "in/s2", "mg", ...); where
        it does, it must be the same.
    scale : float
        A factor for all accelerations.
    dt : float
        The time between two accelerations, s, of a text of accelerations alone, below a heading of any length: all of its numbers, line by
        line from left to right, but for a first line of their number and the step, as ``600 0.01``. A DT or a sampling rate in the
        heading must agree with it.
    column : int
        The accelerations are those of this column, counted from 0: of a text with ``dt``, or of a table with more than two, whose column 0
        is the time.
    channel : str
        Of files that hold several, which one: of those that ObsPy reads its channel, such as "EW" or "HNE", or its id; of COSMOS and CSMIP
        the number of the channel, as "1", or its SEED name.

    Returns
    -------
    GroundMotion

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is no such record (the text names the line), its unit is not known, or what it states contradicts itself or ``unit``; it holds
        a velocity, a displacement or a spectrum; it has a format that is not read (CSMIP's volume 1, JMA), which the text names.
    ImportError
        It has a format that ObsPy reads, and that is not installed.

    See Also
    --------
    mflow.response_spectrum, mflow.solve_dynamics

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from mflow.data.ground_motion import read_record
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "record.csv")
    ...     _ = path.write_text("time (s), acceleration (g)\\n0, 0\\n0.01, 0.1\\n0.02, 0\\n")
    ...     motion = read_record(path)
    >>> motion.t.tolist(), round(motion.peak, 6)
    ([0.0, 0.01, 0.02], 0.980665)

    References
    ----------
    Pacific Earthquake Engineering Research Center, PEER Ground Motion Database: https://ngawest2.berkeley.edu; COSMOS Strong Motion Data
    Format (2001); A. Converse and A. G. Brady, USGS Open-File Report 92-296A (1992); L. Luzi and others, Engineering Strong-Motion database
    (ESM), doi:10.13127/ESM.2.
    """
    unit = None if unit is None else _given_unit(unit)
    scale = check_number(scale, "scale")
    file = Path(path)
    if dt is not None:
        dt = check_number(dt, "dt", low=0.0, open_low=True)
    if column is not None:
        check_whole(column, "column", 0)
    content = _content(file)
    lines = content.decode("utf-8-sig", errors="replace").splitlines()
    kind = foreign_format("\n".join(lines[:20]))
    if kind in READERS:
        if dt is not None or column is not None:
            raise ValueError(f"{'column' if dt is None else 'dt'}: expected None for {kind}, whose header has its layout; omit it")
        t, a = read_volume(file, kind, lines, unit, channel)
        return GroundMotion(file.name, t, scale * a)
    if dt is None and (column is None or channel is not None):
        traced = read_traces(file, content, kind, unit, channel)
        if traced is not None:
            return GroundMotion(file.name, traced[0], scale * traced[1])
    _check_suffix(file)
    lines = [line.translate(_PLAIN).replace("\u207b", "^-") for line in lines]
    if dt is not None:
        a = _values(file, lines, dt, unit, column)
        return GroundMotion(file.name, dt * np.arange(a.size, dtype=np.float64), scale * a)
    is_at2 = file.suffix.lower() == ".at2" or any(pattern.search(line) for line in lines[:HEADER_LINES] for pattern in _HEADS)
    if is_at2 and column is not None:
        raise ValueError(f"column: expected None for {file}, whose header has its layout; omit it")
    t, a = _at2(file, lines, unit) if is_at2 else _table(file, lines, unit, column)
    if t.size < 2:
        raise ValueError(f"{file}: expected two or more accelerations, got {t.size}")
    bad = np.flatnonzero(~(np.diff(t) > 0.0))
    if bad.size:
        raise ValueError(f"{file}: expected increasing times, got {t[bad[0] + 1]:g} s after {t[bad[0]]:g} s")
    return GroundMotion(file.name, t - t[0], scale * a)


def _given_unit(unit: Any) -> str:
    """The name of a unit of acceleration in a caller's spelling."""
    kind = kind_of(unit) if isinstance(unit, str) else None
    if kind is None or kind[0] != "acceleration":
        raise ValueError(f"unit: expected one of {KNOWN}, got {shown(unit)}" + (f", a unit of {kind[0]}" if kind else ""))
    return kind[1]


def _content(file: Path) -> bytes:
    """The bytes of a file or of a pipe. Raises ValueError for a device, which may never end, and for more than any record has."""
    if stat.S_ISCHR(file.stat().st_mode) or stat.S_ISBLK(file.stat().st_mode):
        raise ValueError(f"{file}: expected a file with a record, got a device")
    with open(file, "rb") as opened:
        content = opened.read(LONGEST + 1)
    if len(content) > LONGEST:
        raise ValueError(f"{file}: expected a record of at most {LONGEST >> 20} MB, got more")
    if not content.strip():
        raise ValueError(f"{file}: expected two or more accelerations, got 0: the file is empty")
    if (longest := max(map(len, content.splitlines()))) > LONGEST_LINE:
        raise ValueError(f"{file}: expected lines of at most {LONGEST_LINE >> 20} MB, got one of {longest >> 20} MB")
    return content


def _values(file: Path, lines: list[str], dt: float, unit: str | None, column: int | None) -> Array:
    """The accelerations of a text without times. Raises ValueError where it has times, or its unit is not known."""
    heading: list[str] = []
    values: list[float] = []
    width, skipped = 0, _sizes_lines(file, lines, dt)  # columns of the first line of values; lines that state NPTS and DT
    for number, line in enumerate(lines, 1):
        words = [word for word in re.split(r"[,;\s]+", _STUCK.sub(" ", line).strip()) if word]
        if number in skipped:
            continue
        if not values and (not words or not all(map(_is_number, words))):
            _check_heading_line(file, number, line, words)
            heading.append(line)
        elif words and not (words[0].startswith("#") or _END.match(line) or _MARK.match(line)):
            _check_commas(file, number, line)
            width = width or len(words)
            if column is not None and column >= len(words):
                raise ValueError(f"{file}, line {number}: expected a column {column}, counted from 0, got {len(words)} columns")
            values += [_number(file, number, word) for word in (words if column is None else words[column : column + 1])]
    text = "\n".join(heading)
    if any(pattern.search(text) for pattern in _HEADS) or re.match(r"^\W*t(ime)?\b", heading[-1] if heading else "", re.IGNORECASE):
        raise ValueError(f"{file}: dt: expected None for a record that states its times, got dt=; omit it")
    if len(values) < 2:
        raise ValueError(f"{file}: expected two or more accelerations, got {len(values)}")
    stated = stated_step(text)
    if stated is not None and not abs(dt - stated) <= SAME_STEP * stated:
        raise ValueError(f"dt: expected {stated:g} s, as the heading of {file} states, got {dt:g}; give that, or correct the heading")
    _check_quantity(file, [line for line in heading if line.strip()], column, width)
    return ACCELERATIONS[_acceleration_unit(file, text, unit)] * np.array(values)


def _sizes_lines(file: Path, lines: list[str], dt: float) -> list[int]:
    """The numbers of first lines that state how many values follow and perhaps their step: "600 0.01", or each in a line of its own.

    Raises ValueError where one of the two is not what follows, or not dt.
    """
    rows = []  # number of the line, and its words
    for number, line in enumerate(lines, 1):
        words = [word for word in re.split(r"[,;\s]+", _STUCK.sub(" ", line).strip()) if word]
        if words and all(map(_is_number, words)):
            rows.append((number, words))
            if len(words) > 2 and len(rows) == 1:
                return []
    for heads in (1, 2):  # lines
        first = [float(plain_number(word)) for _, words in rows[:heads] for word in words]
        after = [len(words) for _, words in rows[heads:]]
        for count, step in (first, first[::-1]) if len(first) == 2 and after else ():
            if _are_sizes(file, rows[0][0], (count, step, dt), after, len(rows[0][1])):
                return [number for number, _ in rows[:heads]]
    count = float(plain_number(rows[0][1][0])) if rows and len(rows[0][1]) == 1 else 0.0
    return [rows[0][0]] if count >= LEAST_COUNT and count == sum(len(words) for _, words in rows[1:]) else []


def _are_sizes(file: Path, line: int, stated: tuple[float, float, float], after: list[int], width: int) -> bool:
    """Whether two numbers are the count and the step of the lines after them, of so many words each. stated : the two, and dt. width : of
    the line of the first."""
    count, step, dt = stated
    fits, same = count in (sum(after), len(after)), abs(step - dt) <= SAME_STEP * dt
    if fits and same:
        return True
    if not (count.is_integer() and count >= LEAST_COUNT and ((fits and 0.0 < step < 1.0) or (same and after[0] != width))):
        return False
    if fits:
        raise ValueError(f"dt: expected {step:g} s, as {file}, line {line}, states, got {dt:g}; give that, or correct the line")
    raise ValueError(
        f"{file}, line {line}: expected as many accelerations as it states with its step, {count:g}, got {sum(after)}; check that the "
        "file is complete, or begin the line with #"
    )


def _check_heading_line(file: Path, number: int, line: str, words: list[str]) -> None:
    """ValueError where a line above the first values is one of numbers with one entry that is none."""
    bad = [word for word in words if not _is_number(word)]
    if len(bad) != 1 or len(words) < 3 or bad[0].startswith("#") or _MARK.match(line):
        return
    if _is_number(words[0]) or len(bad[0]) == 1:
        raise ValueError(
            f"{file}, line {number}: expected numbers, or words of a heading, got {bad[0]!r} among {len(words) - 1} numbers; "
            "correct it, or begin a line of the heading with #"
        )


def _check_commas(file: Path, number: int, line: str) -> None:
    """ValueError where a value is missing between two commas, or commas may be decimal ones."""
    parts = [part.strip() for part in re.split(r"[,;]", line.strip())]
    if "" in parts[:-1]:  # a comma at the end shifts nothing
        raise ValueError(f"{file}, line {number}: expected a number between all commas, got none as number {parts.index('') + 1}")
    fields = re.split(r"[;\s]+", line.strip(" \t;"))
    pairs = [match for match in map(_DECIMAL.fullmatch, fields) if match]
    for whole, part in (match.groups() for match in pairs):
        if len(pairs) > 1 or ";" in line or whole == "-0" or (len(part) > 1 and (part[0] == "0" or whole in ("0", "+0"))):
            raise ValueError(
                f"{file}, line {number}: expected points as decimal marks, got {whole},{part}; where a comma separates two numbers, "
                "write a blank behind it"
            )


def _check_quantity(file: Path, heading: list[str], column: int | None, width: int) -> None:
    """ValueError where a heading says that the values, or those of the column, are velocities or displacements."""
    if not heading:
        return
    text = "\n".join(heading)
    accelerations = re.search(r"(?<![a-z])acc", text, re.IGNORECASE) or any(kind == "acceleration" for kind, _ in stated_units(text)[0])
    names = [part.strip() for part in re.split(r"[,;\t]|(?<=[)\]])\s+", heading[-1]) if part.strip()]
    if len(names) != width and len(names) == 1:
        names = heading[-1].split() if len(heading[-1].split()) == width else names
    if column is not None and len(names) == width:
        names = [names[column]]
    elif accelerations and (column is not None or len(names) not in (1, width)):  # words about the record
        return
    for name in names if accelerations else [*heading, *names]:
        other = other_quantity(name)
        told = accelerations and re.search(r"(?<![\w^/])\d", name)  # PGV 30 cm/s: words about the record
        if other is not None and not told:
            fix = "; give column=, of the accelerations" if accelerations and width > 1 else ""
            raise ValueError(f"{file}: expected accelerations, got a {other} by its heading, {name!r}{fix}")


def _number(file: Path, line: int, text: str) -> float:
    value = float(plain_number(text)) if _is_number(text) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"{file}, line {line}: expected a finite number, got {text!r}")
    return value


def _check_suffix(file: Path) -> None:
    other = {".vt2": "velocity", ".dt2": "displacement"}.get(file.suffix.lower())
    if other:
        raise ValueError(f"{file}: expected a record of the acceleration (AT2), got a {other} by its name")


def _acceleration_unit(file: Path, text: str, unit: str | None) -> str:
    """The unit of acceleration that a header states, or that the caller gives where it states none."""
    other = history_of(text)
    if other is not None:
        raise ValueError(f"{file}: expected a record of the acceleration (AT2), got {other}")
    kinds, unknown = stated_units(text)
    if unknown is not None:
        raise ValueError(f"{file}: expected units of {KNOWN}, got units of {unknown}")
    stated = [name for kind, name in kinds if kind == "acceleration"]
    if not stated and kinds:
        kind, name = kinds[0]
        raise ValueError(f"{file}: expected a record of the acceleration (AT2), got a {kind} in {name}")
    return _one_unit(file, list(dict.fromkeys(stated)), unit, "header")


def _one_unit(file: Path, stated: list[str], unit: str | None, where: str) -> str:
    if len(stated) > 1:
        raise ValueError(f"{file}: expected one unit of acceleration in its {where}, got {' and '.join(stated)}")
    if not stated and unit is None:
        raise ValueError(
            f"{file}: expected a {where} with the unit of the accelerations, found none; give it by unit= or --unit: "
            + ", ".join(map(repr, UNITS))
        )
    if stated and unit is not None and unit != stated[0]:
        raise ValueError(f"unit: expected {stated[0]!r}, as {file} states, got {unit!r}; omit unit")
    return stated[0] if stated else str(unit)


def _at2(file: Path, lines: list[str], unit: str | None) -> tuple[Array, Array]:
    matches = ((k, pattern.search(line)) for k, line in enumerate(lines[:HEADER_LINES]) for pattern in _HEADS)
    head, sizes = next(((k, match) for k, match in matches if match), (0, None))
    if sizes is None:
        raise ValueError(f"{file}: expected 'NPTS = ..., DT = ...' in its first {HEADER_LINES} lines, as in an AT2 file, found none")
    rest = lines[head][: sizes.start()] + " " + lines[head][sizes.end("dt") :]
    stated = _acceleration_unit(file, "\n".join([*lines[:head], rest]), unit)
    again = stated_step(rest)
    if again is not None:
        raise ValueError(f"{file}, line {head + 1}: expected one DT, got {sizes['dt'].strip()} and {again:g}; correct the line")
    count, dt = int(sizes["count"]), _number(file, head + 1, sizes["dt"]) * _of_dt(file, head + 1, sizes)
    if not dt > 0.0:
        raise ValueError(f"{file}, line {head + 1}: expected DT above 0, got {dt:g}")
    values: list[float] = []
    for number, line in enumerate(lines[head + 1 :], head + 2):
        words = _STUCK.sub(" ", line).split()
        if _END.match(line) or (len(values) >= count and words and not _is_number(words[0])):  # what follows the values is a remark
            break
        if not _MARK.match(line):
            values += [_number(file, number, word) for word in words]
    if len(values) != count:
        raise ValueError(f"{file}: expected NPTS = {count} accelerations, got {len(values)}; check that the file is complete")
    return dt * np.arange(count, dtype=np.float64), ACCELERATIONS[stated] * np.array(values)


def _of_dt(file: Path, line: int, sizes: re.Match[str]) -> float:
    """Seconds in the unit of DT; seconds where none stands there."""
    words = [word.strip() for word in (sizes["before"], sizes["after"]) if word and word.strip()]
    if sizes["after"] and (words[-1].upper() in OTHER_WORDS or re.match(r"\s*[:=]", sizes.string[sizes.end("after") :])):
        words = words[:-1]
    units = [time_unit(word) for word in words]
    if any(name is None for name in units) or len(set(units)) > 1:
        raise ValueError(f"{file}, line {line}: expected DT in sec or msec, got {' and '.join(words)}")
    return TIMES[units[0]] if units and units[0] else 1.0


def _table(file: Path, lines: list[str], unit: str | None, column: int | None) -> tuple[Array, Array]:
    at = 1 if column is None else column
    if at == 0:
        raise ValueError(f"column: expected 1 or above, as column 0 of a table is its time, got 0; with dt= {file} has none")
    pairs: list[tuple[float, float]] = []
    heading, comments = "", []
    for number, line in enumerate(lines, 1):
        words = [word for word in re.split(r"[,;\s]+", line.strip()) if word]
        if not words or words[0].startswith("#"):
            comments += [line.strip().lstrip("# ")] if words and not pairs else []
            continue
        if not pairs and not heading and not _is_number(words[0]):
            heading = line.strip()
            continue
        if pairs and (_END.match(line) or _MARK.match(line)):
            continue
        if not pairs and heading and not _is_number(words[0]):
            heading = _with_units(file, number, heading, line)
            continue
        if len(words) > 2:
            _check_commas(file, number, line)
        if column is not None and not 2 <= at + 1 <= len(words):
            raise ValueError(f"{file}, line {number}: expected a column {at}, counted from 0, got {len(words)} columns")
        if column is None and len(words) != 2:
            fix = "; of accelerations alone give the time between them, dt=" if len(words) == 1 and not pairs else ""
            if len(words) > 2:
                fix = "; give column=, that of the accelerations, counted from 0"
            raise ValueError(f"{file}, line {number}: expected two columns, time (s) and acceleration, got {len(words)}{fix}")
        pairs.append((_number(file, number, words[0]), _number(file, number, words[at])))
    stated, unit = _heading(file, heading, comments, unit, column)
    of_time = stated or "s"
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    step = TIMES[of_time] * np.diff(table[:2, 0])
    _check_stated_step(file, "\n".join([*comments, heading]), step)
    if not stated and step.size and step[0] >= LONG_STEP:
        text = f"times without a unit are seconds, so that accelerations are {step[0]:g} s apart: head the column t (ms) if it is in ms"
        tell(f"{file}: {text}", UserWarning)
    return np.ascontiguousarray(TIMES[of_time] * table[:, 0]), ACCELERATIONS[unit] * table[:, 1]


def _with_units(file: Path, number: int, heading: str, line: str) -> str:
    """A heading of names with the units of a line below it."""
    names, units = ([part.strip() for part in re.split(r"[,;\t]", text)] for text in (heading, line))
    if len(names) != len(units) or any(time_unit(unit) is None and kind_of(unit) is None for unit in units if unit):
        raise ValueError(f"{file}, line {number}: expected numbers below a line of names and units, as t (s), a (g), got {line.strip()!r}")
    return ", ".join(f"{name} ({unit})" if unit else name for name, unit in zip(names, units, strict=True))


def _check_stated_step(file: Path, text: str, first: Array) -> None:
    """ValueError where words state a step (DT = 10 ms) that the times have in another unit."""
    stated = stated_step(text)
    if stated is None or not first.size:
        return
    if any(abs(first[0] - other * stated) <= SAME_STEP * first[0] for other in (1e3, 1e6, 1e-3, 1e-6)):
        raise ValueError(
            f"{file}: its heading states a step of {stated:g} s, its times are {first[0]:g} s apart: write their unit, as t (ms)"
        )


def _heading(file: Path, heading: str, comments: list[str], unit: str | None, column: int | None) -> tuple[str, str]:
    """The units of a table's times, "" where none is stated, and accelerations. Raises ValueError where it is no such table."""
    times: list[str] = []
    accelerations: list[str] = []
    for line in [*comments, heading]:
        if re.search(r"response\s+spectr|fourier", line, re.IGNORECASE) and not re.match(r"[\W_]*t(ime)?\b", heading, re.IGNORECASE):
            raise ValueError(f"{file}: expected accelerations in time, got a spectrum: {line!r}")
        first, second = _columns(line, column)
        if second is None or (line != heading and not all(units_of_column(name)[1] for name in (first, second))):  # words about the file
            accelerations += [name for kind, name in stated_units(line)[0] if kind == "acceleration"]
            times += stated_times(line)
            continue
        times += _of_times(file, first)
        accelerations += _of_accelerations(file, second, unit, "the second column" if column is None else f"column {column}")
    times = list(dict.fromkeys(times))
    if len(times) > 1:
        raise ValueError(f"{file}: expected one unit of time in its heading, got {' and '.join(times)}")
    if raw := raw_unit("\n".join([*comments, heading]), accelerations):
        raise ValueError(f"{file}: expected accelerations, got units of {raw}; write them in {KNOWN}, with that unit in the heading")
    return (times or [""])[0], _one_unit(file, list(dict.fromkeys(accelerations)), unit, "heading")


def _columns(line: str, column: int | None) -> tuple[str, str | None]:
    """The names of the first column in a line and of the one that is asked for; None for that where the line names no columns."""
    parts = [part.strip() for part in re.split(r"[,;\t]", line) if part.strip()]
    if len(parts) == 1:
        parts = [part.strip() for part in re.split(r"(?<=[)\]])\s*(?=\S)|\s{2,}", line) if part.strip()]
    if len(parts) == 1:
        parts = line.split()
    if column is None:
        return (parts[0], parts[1]) if len(parts) == 2 else (line, None)
    return (parts[0], parts[column]) if len(parts) > column else (line, None)


def _of_times(file: Path, name: str) -> list[str]:
    """The unit in the name of the first column."""
    if re.search(r"period|freq|\bhz\b|omega|^\W*t_?n\b", name, re.IGNORECASE):
        raise ValueError(f"{file}: expected accelerations in time, got a spectrum: its first column is {name!r}")
    words, bracketed = units_of_column(name)
    units = [one for one in map(time_unit, words) if one is not None]
    if not units and any((kind_of(word) or ("",))[0] == "acceleration" for word in words):
        raise ValueError(f"{file}: expected time in the first column and acceleration in the second, got {name!r} first")
    if not units and (bracketed or not re.match(r"[\W_]*t(im(e|es|ing))?(?![a-z])", name, re.IGNORECASE)):
        raise ValueError(f"{file}: expected time in s or ms in the first column, under a heading such as t (s), got {name!r}")
    return units[:1]


def _of_accelerations(file: Path, name: str, unit: str | None, where: str) -> list[str]:
    """The unit in the name of the column where they are."""
    if re.search(r"spectr|pseudo|response\s+acc|(?<![a-z])p?s[avd](?![a-z])", name, re.IGNORECASE):
        raise ValueError(f"{file}: expected accelerations in time, got a spectrum: {where} is {name!r}")
    if re.search(r"[)\]]\s*(?:[x*\u00d7/]\s*)?[\d.]*\d|\d\s*[x*\u00d7]\s*[(\[]", name, re.IGNORECASE):
        raise ValueError(
            f"{file}: expected a unit alone in the heading of the accelerations, got a factor, {name!r}: give scale= and remove it"
        )
    words, bracketed = units_of_column(name)
    kinds = [kind for kind in map(kind_of, words) if kind is not None]
    found = [one for kind, one in kinds if kind == "acceleration"]
    other = re.search(r"vel|disp|jerk", name, re.IGNORECASE) or (kinds and not found and (bracketed or kinds[-1][0] == "velocity"))
    if other:
        raise ValueError(f"{file}: expected accelerations in {where}, got {name!r}")
    if bracketed and not found and (unit is None or re.search(r"/\s*s|\bs\s*\^?\s*-", words[-1], re.IGNORECASE)):  # rad/s2
        raise ValueError(f"{file}: expected a heading with the unit of the accelerations ({KNOWN}), got {name!r}")
    return found[-1:]


def _is_number(text: str) -> bool:
    try:
        float(plain_number(text))
    except ValueError:
        return False
    return True
