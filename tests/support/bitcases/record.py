"""What a case is, and what of its result is recorded."""

from __future__ import annotations

import hashlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

MARK = 2  # hexadecimal digits


@dataclass(frozen=True)
class Case:
    """One computation.

    key : what is run, as driver, method and how. run : does it. take : the attributes of the result that count, all of a dict where
    there are none; one with a question mark counts where it is there. machine : whether libm, BLAS or LAPACK had a hand in it.
    needs : a package that may be missing.
    """

    key: str
    run: Callable[[], Any]
    take: tuple[str, ...] = ()
    machine: bool = False
    needs: str = ""

    @property
    def can_run(self) -> bool:
        """Whether the package that it needs is installed."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None


@dataclass(frozen=True)
class Outcome:
    """sha : of all bytes. entries : (where, number), the middle and the end of the first array. facts : (name, integer or word).
    marks : (name, the first digits of its own hash) of each array, which tell where a difference lies."""

    sha: str
    entries: list[tuple[str, float]]
    facts: list[tuple[str, Any]]
    marks: list[tuple[str, str]]

    def line(self) -> list[Any]:
        """What stands in the record."""
        entries, facts = ([value for _, value in pairs] for pairs in (self.entries, self.facts))
        return [self.sha, [value.hex() for value in entries], facts, "".join(mark for _, mark in self.marks)]


def _pieces(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Arrays, integers and words inside a result, with where they stand."""
    if value is None or isinstance(value, (str, bool, int, np.integer, np.bool_)):
        yield name, int(value) if isinstance(value, (bool, np.integer, np.bool_)) else value
    elif isinstance(value, (float, complex, np.ndarray, np.inexact)):
        yield name, np.asarray(value)
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield from _pieces(f"{name}.{key}" if name else str(key), value[key])
    elif isinstance(value, (list, tuple)):
        for i, entry in enumerate(value):
            yield from _pieces(f"{name}[{i}]", entry)
    else:
        raise TypeError(f"{name}: {type(value).__name__} cannot be recorded: take its attributes by name")


def outcome(case: Case) -> Outcome:
    """Runs a case. What it raises is its outcome, by the class of the exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = case.run()
        except Exception as error:
            result = {"raised": type(error).__name__}
    if case.take and not (isinstance(result, dict) and set(result) == {"raised"}):
        result = {name: getattr(result, name) for name in case.take if not name.endswith("?")} | {
            name: getattr(result, name[:-1]) for name in case.take if name.endswith("?") and hasattr(result, name[:-1])
        }
        pieces = [piece for name, value in result.items() for piece in _pieces(name, value)]
    else:
        pieces = list(_pieces("", result))
    return _packed(pieces)


def _packed(pieces: list[tuple[str, Any]]) -> Outcome:
    digest = hashlib.sha256()
    entries: list[tuple[str, float]] = []
    facts: list[tuple[str, Any]] = []
    marks: list[tuple[str, str]] = []
    for name, value in pieces:
        if not isinstance(value, np.ndarray):
            if value is not None:  # what is not there counts, but takes no room in the record
                facts.append((name, value))
            digest.update(repr(value).encode() + b";")
        elif value.dtype.kind in "biuOU":
            listed = [v if isinstance(v, str) else int(v) for v in value.ravel().tolist()]
            digest.update(repr((value.shape, listed)).encode())
            facts += [(f"{name}.flat[{i}]", v) for i, v in enumerate(listed[:4])]
        else:
            flat = np.ascontiguousarray(value, np.complex128 if value.dtype.kind == "c" else np.float64).ravel().view(np.float64)
            flat = np.where(np.isnan(flat), np.nan, flat)  # a NaN's sign and payload are no result
            raw = repr(value.shape).encode() + flat.tobytes()
            digest.update(raw)
            marks.append((name, hashlib.sha256(raw).hexdigest()[:MARK]))
            if flat.size and not entries:
                places = sorted({flat.size // 2, flat.size - 1})
                entries += [(f"{name}{f'.flat[{i}]' if value.ndim else ''}", float(flat[i])) for i in places]
    return Outcome(digest.hexdigest(), entries, facts, marks)
