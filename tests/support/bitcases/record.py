"""What a case is, and what of its result is recorded."""

from __future__ import annotations

import hashlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_ENTRIES = 3


@dataclass(frozen=True)
class Case:
    """One computation.

    key : what is run, as driver, method and how. run : does it. take : the attributes of the result that count; all of a dict where
    there are none, and one with a question mark where there is one. machine : whether libm, BLAS or LAPACK had a hand in it. needs : a package that may be missing.
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
    """sha : of all bytes. entries : (where, number) of a few. facts : (name, integer or word)."""

    sha: str
    entries: list[tuple[str, float]]
    facts: list[tuple[str, Any]]

    def line(self) -> list[Any]:
        """What stands in the record."""
        return [self.sha, [value.hex() for _, value in self.entries], [value for _, value in self.facts]]


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
    digest, entries, facts, arrays = hashlib.sha256(), [], [], []
    for name, value in pieces:
        if not isinstance(value, np.ndarray):
            if value is not None:  # what is not there counts, but takes no room in the record
                facts.append((name, value))
            digest.update(repr(value).encode() + b";")
            continue
        if value.dtype.kind in "biuOU":
            listed = [v if isinstance(v, str) else int(v) for v in value.ravel().tolist()]
            digest.update(repr((value.shape, listed)).encode())
            facts += [(f"{name}[{i}]", v) for i, v in list(enumerate(listed))[:4]]
            continue
        flat = np.ascontiguousarray(value, np.complex128 if value.dtype.kind == "c" else np.float64).ravel().view(np.float64)
        flat = np.where(np.isnan(flat), np.nan, flat)  # a NaN's sign and payload are no result
        digest.update(repr(value.shape).encode() + flat.tobytes())
        if flat.size:
            arrays.append((name, flat))
    if arrays:
        name, flat = arrays[0]
        at = flat.size // 2
        entries.append((f"{name}.flat[{at}]", float(flat[at])))
        entries += [(f"{name}.flat[{flat.size - 1}]", float(flat[-1])) for name, flat in arrays]
    return Outcome(digest.hexdigest(), entries[:MOST_ENTRIES], facts)
