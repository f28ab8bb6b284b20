"""Records of ground acceleration: PEER's AT2 files, and tables of time and acceleration.

    motion = read_record("RSN6_IMPVALL.I_I-ELC180.AT2")
    motion.t, motion.a                                      # s from 0 on, m/s^2

Nothing is guessed: a unit that neither the file nor the caller gives, missing or surplus values, and times that do not increase are errors
that name the file and the line.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mflow.base.checks import Array, check_choice, check_number

__all__ = ["GRAVITY", "UNITS", "GroundMotion", "read_record"]

GRAVITY = 9.80665  # m/s^2, the standard acceleration of gravity
UNITS = {"g": GRAVITY, "m/s2": 1.0, "cm/s2": 0.01}
HEADER_LINES = 12  # of an AT2 file, in which NPTS and DT must stand

_NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?)"
_NEW = re.compile(rf"NPTS\s*=\s*(\d+)\s*,?\s*DT\s*=\s*{_NUMBER}", re.IGNORECASE)
_OLD = re.compile(rf"^\s*(\d+)\s+{_NUMBER}\s+NPTS\s*,?\s*DT", re.IGNORECASE)
_IN_UNITS = re.compile(r"UNITS\s+OF\s+(\S+)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class GroundMotion:
    """Acceleration of the ground, linear between its times.

    Attributes
    ----------
    name : str
    t : ndarray (m,)
        Seconds, from 0 on.
    a : ndarray (m,)
        m/s^2.
    """

    name: str
    t: Array
    a: Array

    @property
    def spacing(self) -> float:
        """The smallest distance of two times."""
        return float(np.min(np.diff(self.t)))

    @property
    def peak(self) -> float:
        """The largest acceleration, m/s^2."""
        return float(np.max(np.abs(self.a)))


def read_record(path: str | os.PathLike[str], unit: str | None = None, scale: float = 1.0) -> GroundMotion:
    """Read a record of ground acceleration.

    Parameters
    ----------
    path : str or path
        ``.at2``: the format of PEER's strong-motion database, in g. Anything else: lines of time (s) and acceleration, separated by
        commas, semicolons or blanks; a heading, empty lines and lines that begin with # are skipped.
    unit : "g", "m/s2" or "cm/s2"
        The unit of a table whose heading does not name it (``acceleration (g)``, ``a [m/s2]``).
    scale : float
        A factor for all accelerations.

    Returns
    -------
    GroundMotion

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is no such record (the text names the line), or the unit is not known.

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
    Pacific Earthquake Engineering Research Center, PEER Ground Motion Database: https://ngawest2.berkeley.edu
    """
    if unit is not None:
        check_choice(unit, "unit", UNITS)
    check_number(scale, "scale")
    file = Path(path)
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    t, a = _at2(file, lines, unit) if file.suffix.lower() == ".at2" else _table(file, lines, unit)
    if t.size < 2:
        raise ValueError(f"{file}: expected two or more accelerations, got {t.size}")
    bad = np.flatnonzero(~(np.diff(t) > 0.0))
    if bad.size:
        raise ValueError(f"{file}: expected increasing times, got {t[bad[0] + 1]:g} s after {t[bad[0]]:g} s")
    return GroundMotion(file.name, t - t[0], scale * a)


def _number(file: Path, line: int, text: str) -> float:
    try:
        value = float(text.replace("D", "E").replace("d", "e"))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{file}, line {line}: expected a finite number, got {text!r}")
    return value


def _at2(file: Path, lines: list[str], unit: str | None) -> tuple[Array, Array]:
    matches = ((k, _NEW.search(line) or _OLD.search(line)) for k, line in enumerate(lines[:HEADER_LINES]))
    head, sizes = next(((k, match) for k, match in matches if match), (0, None))
    if sizes is None:
        raise ValueError(f"{file}: expected 'NPTS = ..., DT = ...' in its first {HEADER_LINES} lines, as in an AT2 file, found none")
    text = " ".join(lines[:head])
    if re.search(r"\b(VELOCITY|DISPLACEMENT)\s+TIME", text, re.IGNORECASE):
        raise ValueError(f"{file}: expected a record of the acceleration (AT2), got a velocity or a displacement")
    named = _IN_UNITS.search(text)
    known = {"G": "g", "G/S": "g", "CM/S/S": "cm/s2", "CM/SEC/SEC": "cm/s2", "CM/SEC2": "cm/s2"}
    stated = "g" if named is None else known.get(named[1].strip(".,;").upper(), "")
    if not stated:
        raise ValueError(f"{file}: expected units of g or cm/s2, got units of {named[1] if named else '?'}")
    if unit is not None and unit != stated:
        raise ValueError(f"unit: expected {stated!r}, as {file} states, got {unit!r}; omit unit")
    count, dt = int(sizes[1]), _number(file, head + 1, sizes[2])
    if not dt > 0.0:
        raise ValueError(f"{file}, line {head + 1}: expected DT above 0, got {dt:g}")
    values = [_number(file, k, word) for k, line in enumerate(lines[head + 1 :], head + 2) for word in line.split()]
    if len(values) != count:
        raise ValueError(f"{file}: expected NPTS = {count} accelerations, got {len(values)}; check that the file is complete")
    return dt * np.arange(count, dtype=np.float64), UNITS[stated] * np.array(values)


def _table(file: Path, lines: list[str], unit: str | None) -> tuple[Array, Array]:
    pairs: list[tuple[float, float]] = []
    heading = ""
    for number, line in enumerate(lines, 1):
        words = [word for word in re.split(r"[,;\s]+", line.strip()) if word]
        if not words or words[0].startswith("#"):
            continue
        if not pairs and not heading and not _is_number(words[0]):
            heading = line.strip()
            continue
        if len(words) != 2:
            raise ValueError(f"{file}, line {number}: expected two columns, time (s) and acceleration, got {len(words)}")
        pairs.append((_number(file, number, words[0]), _number(file, number, words[1])))
    unit = unit or _unit_of(heading)
    if unit is None:
        raise ValueError(f"{file}: expected a heading with the unit of the accelerations, found none; give it by unit= or --unit")
    table = np.array(pairs, dtype=np.float64).reshape(-1, 2)
    return np.ascontiguousarray(table[:, 0]), UNITS[unit] * table[:, 1]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unit_of(heading: str) -> str | None:
    """The unit in the heading's last brackets."""
    inside = re.findall(r"[(\[]([^)\]]*)[)\]]", heading)
    text = inside[-1].strip().lower().replace("^", "").replace("**", "").replace(" ", "") if inside else ""
    return {"g": "g", "m/s2": "m/s2", "m/s/s": "m/s2", "cm/s2": "cm/s2", "cm/s/s": "cm/s2"}.get(text)
