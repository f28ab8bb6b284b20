"""Records in the volumes of strong-motion networks: COSMOS, CSMIP (volume 2), SMC of the USGS, and ESM's ASCII files.

What each holds is announced in its header: how many numbers, in which of Fortran's formats, in which unit and how far apart. All of it is
checked against the numbers that follow. Numbers of a line are taken at its blanks where as many stand there as should, else by the columns
of the format, in which they may touch; an empty column is a missing value, and an error.

- COSMOS Strong Motion Data Format, versions 1.00 and 1.20 (COSMOS, Richmond, California, 2001): for each channel and each quantity lines of
  text, integers (2: quantity, 3: unit, 50: channel), reals (34: recorder's step in s, 62: step in ms), comments, what announces the data.
- CSMIP volume 2 (California Strong Motion Instrumentation Program, 1985): "N points of accel data equally spaced at DT sec".
- A. Converse and A. G. Brady, BAP, USGS Open-File Report 92-296A (1992): 11 lines of text, 48 integers (1: what is missing, 16: comments,
  17: values), 50 reals (1: what is missing, 2: samples a second), comments, cm/s^2 in 8F10.
- ESM (Engineering Strong-Motion database), DYNA 1.x: lines of KEY: value, then one number a line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mflow.base.checks import Array, shown
from mflow.data.record_units import ACCELERATIONS, kind_of, plain_number

__all__ = ["READERS", "read_volume"]

UNKNOWN = -999.0  # in COSMOS headers
QUANTITIES = {1: "acceleration", 2: "velocity", 3: "displacement"}  # the codes of COSMOS, table 1
UNIT_CODES = {2: "g", 4: "cm/s2", 7: "in/s2", 10: "cm/s2", 11: "mg"}  # table 2 of version 1.20
SAME_STEP = 3e-3  # two statements of a step that differ by less differ by their rounding
SMC_TEXT, SMC_INTEGERS, SMC_REALS = 11, 6, 10  # lines

_INTEGERS = re.compile(r"^\s*(\d+)\s+integer-header\s+values\s+follow\b.*?format\s*=?\s*(\(.*)", re.I)
_REALS = re.compile(r"^\s*(\d+)\s+real-header\s+values\s+follow\b.*?format\s*=?\s*(\(.*)", re.I)
_COMMENTS = re.compile(r"^\s*(\d+)\s+comment\s+line", re.I)
_DATA = re.compile(r"^\s*(\d+)\s+(.*?\bpts\b.*?)units\s*=\s*([^,(]*?)\s*(?:\((\d+)\))?\s*,\s*format\s*=?\s*(\(.*)", re.I)
_CSMIP = re.compile(
    r"^\s*(\d+)\s+points\s+of\s+(\w+)\s+data\s+equally\s+spaced\s+at\s+([\d.Ee+-]+)\s*sec\s*,\s*in\s+([A-Za-z/\d]+)[^()]*(\(.*)?", re.I
)
_KEY = re.compile(r"^([A-Za-z][\w/^ .()-]*?)\s*:\s*(.*)$")


class Section(NamedTuple):
    """One quantity of one channel. names: what the channel may be called."""

    names: tuple[str, ...]
    quantity: str
    unit: str
    dt: float
    values: Array


class Volume:
    """The lines of a file, and errors that name it and its format."""

    def __init__(self, file: Path, kind: str, lines: list[str]) -> None:
        self.file, self.kind, self.lines = file, kind, lines

    def error(self, expected: str, got: str, line: int | None = None) -> ValueError:
        """line: its number, from 0."""
        where = "" if line is None else f", line {line + 1}"
        return ValueError(f"{self.file}{where}: expected {expected} in {self.kind}, got {got}")

    def numbers(self, at: int, count: int, fortran: str, what: str) -> tuple[Array, int]:
        """`count` numbers from line `at` on, as the format has them, and the line behind."""
        match = re.search(r"(\d+)\s*\(?\s*[IFEDG](\d+)", re.sub(r"\d*P,?", "", fortran.upper()))
        if match is None or not int(match[1]) or not int(match[2]):
            raise self.error("one of Fortran's formats, such as (8F10.3),", fortran, at - 1)
        per_line, width = int(match[1]), int(match[2])
        values: list[float] = []
        while len(values) < count:
            if at >= len(self.lines):
                raise self.error(f"{count} {what}", f"{len(values)}; check that the file is complete")
            expected = min(per_line, count - len(values))
            values += self._of_line(at, expected, width, f"{what} {len(values) + 1} to {len(values) + expected} of {count}")
            at += 1
        return np.array(values), at

    def _of_line(self, at: int, expected: int, width: int, what: str) -> list[float]:
        line = self.lines[at].rstrip()
        words = line.split()
        if len(words) != expected or None in map(_number, words):
            words = [line[j * width : (j + 1) * width] for j in range(expected)]
            if line[expected * width :].strip():
                words.append(line[expected * width :])
        values = [one for one in map(_number, words) if one is not None]
        if len(values) != len(words) or len(values) != expected:
            bad = next((word.strip() for word in words if _number(word) is None), f"{len(values)} numbers")
            raise self.error(what, repr(bad) if bad else "an empty column, a missing value", at)
        return values


def read_volume(file: Path, kind: str, lines: list[str], unit: str | None, channel: str | None) -> tuple[Array, Array]:
    """(t, a) of a file of this kind, one of `READERS`, in s and m/s^2.

    Raises ValueError where it holds no acceleration, not what its header announces, a unit that is not `unit`, or several channels of which
    `channel` names none.
    """
    volume = Volume(file, kind, lines)
    sections = [one for one in READERS[kind](volume) if one.quantity == "acceleration"]
    if not sections:
        raise volume.error("accelerations", "none of them")
    chosen = [one for one in sections if channel is None or channel in one.names]
    if len(chosen) != 1:
        names = ", ".join("/".join(one.names) or "one without a name" for one in sections)
        if channel is None:
            raise ValueError(f"{file}: expected one channel, got {len(chosen)}: {names}; give channel=")
        raise ValueError(f"channel: expected one of {names} in {file}, got {shown(channel)}")
    one = chosen[0]
    stated = kind_of(one.unit)
    if stated is None or stated[0] != "acceleration":
        raise volume.error("a unit of acceleration", one.unit or "none")
    if unit is not None and unit != stated[1]:
        raise ValueError(f"unit: expected {stated[1]!r}, as {file} states, got {unit!r}; omit unit")
    if one.values.size < 2:
        raise volume.error("two or more accelerations", str(one.values.size))
    return one.dt * np.arange(one.values.size, dtype=np.float64), ACCELERATIONS[stated[1]] * one.values


def _number(text: str) -> float | None:
    """A finite number, Fortran's 1.5D-3 too."""
    try:
        value = float(plain_number(text))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


# ---- COSMOS -----------------------------------------------------------------------------------------------------------------------------


def _cosmos(volume: Volume) -> list[Section]:
    out: list[Section] = []
    at = 0
    while (at := _next(volume, at, _INTEGERS)) < len(volume.lines):
        section, at = _cosmos_section(volume, at)
        out.append(section)
    if not out:
        raise volume.error('a line "N Integer-header values follow"', "none")
    return out


def _next(volume: Volume, at: int, pattern: re.Pattern[str]) -> int:
    """The first line from `at` on that the pattern matches; behind the last one where there is none."""
    return next((j for j in range(at, len(volume.lines)) if pattern.match(volume.lines[j])), len(volume.lines))


def _announced(volume: Volume, at: int, pattern: re.Pattern[str], what: str) -> re.Match[str]:
    match = pattern.match(volume.lines[at]) if at < len(volume.lines) else None
    if match is None:
        raise volume.error(f"a line that announces {what}", shown(volume.lines[at].strip()) if at < len(volume.lines) else "its end", at)
    return match


def _cosmos_section(volume: Volume, at: int) -> tuple[Section, int]:
    match = _announced(volume, at, _INTEGERS, "integers")
    integers, at = volume.numbers(at + 1, int(match[1]), match[2], "integers of the header")
    match = _announced(volume, at, _REALS, "reals")
    reals, at = volume.numbers(at + 1, int(match[1]), match[2], "reals of the header")
    comments: list[str] = []
    match_of_comments = _COMMENTS.match(volume.lines[at]) if at < len(volume.lines) else None
    if match_of_comments:
        comments = volume.lines[at + 1 : at + 1 + int(match_of_comments[1])]
        wrong = next((j for j, line in enumerate(comments) if not line.lstrip().startswith("|")), None)
        if wrong is not None:
            raise volume.error(f"{match_of_comments[1]} comments that begin with |", shown(comments[wrong].strip()), at + 1 + wrong)
        at += 1 + len(comments)
    match = _announced(volume, at, _DATA, "data (N acceleration pts, ..., units=..., Format=...)")
    count, words = int(match[1]), match[2]
    code = int(_at(integers, 2))
    quantity = QUANTITIES.get(code) or next((one for one in QUANTITIES.values() if one[:5] in words.lower()), "another quantity")
    unit = _cosmos_unit(volume, at, match, integers)
    dt = _cosmos_step(volume, at, words, count, reals)
    values, at = volume.numbers(at + 1, count, match[5], "values")
    tail = volume.lines[at].strip() if at < len(volume.lines) else ""
    if tail and _number(tail.split()[0]) is not None and not _INTEGERS.match(tail):
        raise volume.error(f"{count} values, as is announced,", "more", at)
    number = int(_at(integers, 50))
    scnl = [word for line in comments for word in re.findall(r"<SCNL>\s*(\S+)", line)]
    names = [*([str(number)] if number > 0 else []), *scnl, *(part for one in scnl for part in one.split(".")[2:3])]
    return Section(tuple(dict.fromkeys(names)), quantity, unit, dt, values), at


def _at(values: Array, place: int) -> float:
    """A number of a header, by its place in the published tables, from 1 on."""
    return float(values[place - 1]) if place <= values.size else UNKNOWN


def _cosmos_unit(volume: Volume, at: int, match: re.Match[str], integers: Array) -> str:
    """By its name; by its code where it has none. From version 1.20 on both must be the same."""
    name, code = match[3].strip(), UNIT_CODES.get(int(match[4] or _at(integers, 3)))
    said = kind_of(name)
    if said is not None and code is not None and _at(integers, 4) >= 120.0 and said != kind_of(code):
        raise volume.error("one unit", f"{name} and the code of {code}", at)
    return name or code or ""


def _cosmos_step(volume: Volume, at: int, words: str, count: int, reals: Array) -> float:
    """The step, s. The recorder's own is that of data that have not been interpolated, and is asked last."""
    rate = re.search(r"([\d.]+)\s*pts/sec", words, re.I)
    length = re.search(r"approx\.?\s*([\d.]+)\s*sec", words, re.I)
    told = [1e-3 * _at(reals, 62)] if _at(reals, 62) > 0.0 else []
    told += [1.0 / float(rate[1])] if rate and float(rate[1]) > 0.0 else []
    told = told or ([_at(reals, 34)] if _at(reals, 34) > 0.0 else [])
    if not told:
        raise volume.error("the step of the data (real 62, in ms, or pts/sec)", "none", at)
    if not abs(told[0] - told[-1]) <= SAME_STEP * told[-1]:
        raise volume.error("one step of the data", f"{told[0]:g} s (real 62) and {told[-1]:g} s (pts/sec)", at)
    if length and not abs(told[0] * count - float(length[1])) <= 1.5 + 0.02 * float(length[1]):
        raise volume.error(f"some {length[1]} s of data", f"{count} values {told[0]:g} s apart", at)
    return told[0]


# ---- CSMIP ------------------------------------------------------------------------------------------------------------------------------


def _csmip(volume: Volume) -> list[Section]:
    out: list[Section] = []
    at, first = 0, 0
    while (at := _next(volume, at, _CSMIP)) < len(volume.lines):
        match = _announced(volume, at, _CSMIP, "data")
        quantity = next((one for one in QUANTITIES.values() if one.startswith(match[2].lower()[:5])), match[2])
        dt = _number(match[3])
        if dt is None or not dt > 0.0:
            raise volume.error("a step above 0", match[3], at)
        heading = "\n".join(volume.lines[first:at])
        values, at = volume.numbers(at + 1, int(match[1]), match[5] or "(8F10.3)", f"values of {match[2]}")
        number = re.search(r"\bchan(?:nel)?\s*(\d+)", heading, re.I)
        out.append(Section((number[1],) if number else (), quantity, match[4], dt, values))
        if at < len(volume.lines) and volume.lines[at].startswith("/&"):
            first = at + 1
    return out


# ---- SMC --------------------------------------------------------------------------------------------------------------------------------


def _smc(volume: Volume) -> list[Section]:
    if "ACCELERO" not in volume.lines[0].upper():
        raise volume.error("an accelerogram", shown(volume.lines[0].strip()), 0)
    integers, at = volume.numbers(SMC_TEXT, 8 * SMC_INTEGERS, "(8I10)", "integers of the header")
    reals, at = volume.numbers(at, 5 * SMC_REALS, "(5E15.7)", "reals of the header")
    comments, count, rate = _at(integers, 16), _at(integers, 17), _at(reals, 2)
    if count == _at(integers, 1) or count < 0.0:
        raise volume.error("the number of values (integer 17)", "none", SMC_TEXT + 2)
    if rate == _at(reals, 1) or not rate > 0.0:
        raise volume.error("samples a second (real 2)", "none", SMC_TEXT + SMC_INTEGERS)
    for _ in range(int(max(comments, 0.0))):
        if at >= len(volume.lines) or not volume.lines[at].lstrip().startswith("|"):
            raise volume.error(
                f"{comments:g} comments that begin with |", shown(volume.lines[at].strip() if at < len(volume.lines) else ""), at
            )
        at += 1
    values, at = volume.numbers(at, int(count), "(8F10.4)", "values")
    missing = np.count_nonzero(np.abs(values) >= abs(_at(reals, 1)))
    if missing:
        raise volume.error("values without gaps", f"{missing} that are missing ({_at(reals, 1):g})")
    if at < len(volume.lines) and volume.lines[at].strip():
        raise volume.error(f"{count:g} values, as is announced,", "more", at)
    return [Section((), "acceleration", "cm/s2", 1.0 / rate, values)]


# ---- ESM --------------------------------------------------------------------------------------------------------------------------------


def _esm(volume: Volume) -> list[Section]:
    head: dict[str, str] = {}
    at = 0
    while at < len(volume.lines) and (match := _KEY.match(volume.lines[at])):
        head[match[1].upper()] = match[2].strip()
        at += 1
    quantity = head.get("DATA_TYPE", "").lower()
    if quantity and quantity != "acceleration":
        raise volume.error("DATA_TYPE: ACCELERATION", head["DATA_TYPE"])
    dt, count = (_number(head.get(key, "")) for key in ("SAMPLING_INTERVAL_S", "NDATA"))
    if dt is None or not dt > 0.0:
        raise volume.error("SAMPLING_INTERVAL_S above 0", shown(head.get("SAMPLING_INTERVAL_S")))
    if count is None or count < 0.0 or count != int(count):
        raise volume.error("NDATA, a whole number,", shown(head.get("NDATA")))
    last = len(volume.lines)
    while last > at and not volume.lines[last - 1].strip():
        last -= 1
    if last - at != count:
        raise volume.error(f"NDATA: {count:g} values", f"{last - at}; check that the file is complete")
    values, _ = volume.numbers(at, int(count), "(1F20.6)", "values")
    return [Section(tuple(one for one in (head.get("STREAM"),) if one), "acceleration", head.get("UNITS", ""), dt, values)]


READERS: dict[str, Callable[[Volume], list[Section]]] = {
    "a COSMOS file": _cosmos,
    "a CSMIP volume 2": _csmip,
    "an SMC file": _smc,
    "an ESM (DYNA ASC) file": _esm,
}
