"""What a minimisation by differences has learned of its cost, in a file: how differences are taken now, and where it has looked already.

asked: what the call asked for; mode: what is taken now. digits, step, noise, own, short, shrunk: of `CostLook`, whose lengths follow from
step, or are the array "scales" times that of "units", or x where it is longer; verdict, first, rises, still: what was seen. arrays: of n
numbers each, start, where the run began, and those of ARRAYS that there are.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from mflow.base.checks import Array, check_whole
from mflow.saving.fields import check_names
from mflow.saving.savefile import number_of

__all__ = ["ARRAYS", "look_of", "read_look"]

ARRAYS = ("at", "compared", "settled", "sighted", "scales", "units", "noisy", "way")
MODES = ("forward", "central")
ASKED = (*MODES, "own lengths")
NAMES = ("asked", "mode", "digits", "step", "noise", "own", "short", "shrunk", "verdict", "first", "rises", "still", "arrays")
LONGEST = 0.1  # of differences, relative
VERDICTS = ("", "flat", "minimum", "maximum", "level", "slope")


def look_of(facts: dict[str, Any], arrays: dict[str, Array]) -> dict[str, Any]:
    """What `CostLook.kept` gives, as JSON can hold it."""
    return {**facts, "arrays": {name: value.ravel().tolist() for name, value in arrays.items() if value.size}}


def read_look(facts: Any, n: int) -> tuple[dict[str, Any], dict[str, Array]]:
    """(facts, arrays) again. Raises TypeError or ValueError where a field is not one that `look_of` writes."""
    if not isinstance(facts, dict):
        raise ValueError(f"differences: expected a table of names and values, got {facts!r}")
    check_names("differences", facts, NAMES)
    arrays = facts["arrays"]
    if not isinstance(arrays, dict):
        raise ValueError(f"arrays: expected a table of names and numbers, got {arrays!r}")
    check_names("arrays", arrays, {"start"}, ARRAYS)
    for name, among in (("asked", ASKED), ("mode", MODES), ("verdict", VERDICTS), ("rises", (-1, 0, 1))):
        if isinstance(facts[name], bool) or facts[name] not in among:
            raise ValueError(f"{name}: expected one of {among}, got {facts[name]!r}")
    for name in ("own", "short", "shrunk"):
        if not isinstance(facts[name], bool):
            raise ValueError(f"{name}: expected true or false, got {facts[name]!r}")
    for name, most in (("step", LONGEST), ("noise", sys.float_info.max)):
        if not 0.0 <= number_of(facts[name], name) <= most:
            raise ValueError(f"{name}: expected a number from 0 to {most:g}, got {facts[name]!r}")
    if not isinstance(facts["still"], list):
        raise ValueError(f"still: expected a list, got {facts['still']!r}")
    number_of(facts["first"], "first")
    _check_lengths(facts, set(arrays))
    _check_digits(facts["digits"])
    found = {name: _array(values, name, n) for name, values in arrays.items()}
    for name in ("scales", "units"):
        if name in found and not (found[name] > 0.0).all():
            raise ValueError(f"{name}: expected lengths above 0")
    return {**facts, "still": [check_whole(j, "still", 0, n - 1) for j in facts["still"]]}, found


def _array(values: Any, name: str, n: int) -> Array:
    if not isinstance(values, list) or len(values) != n or not all(math.isfinite(number_of(value, name)) for value in values):
        raise ValueError(f"{name}: expected {n} finite numbers, got {values!r}")
    return np.array(values, np.float64)


def _check_lengths(facts: dict[str, Any], names: set[str]) -> None:
    """What is taken now follows from one of step, own and short, or is usual."""
    changed = (facts["step"] > 0.0) + facts["own"] + facts["short"]
    central = changed or facts["asked"] == "central"
    lengths = {"scales", "units"} if facts["own"] or facts["short"] else set()
    odd = changed > 1 or (facts["shrunk"] and not facts["short"])
    if odd or {"scales", "units"} & names != lengths or (central and facts["mode"] != "central"):
        raise ValueError("step, own, short, mode, scales: expected lengths of differences that a run may have come to, got others")
    if ("noisy" in names) != ("way" in names):
        raise ValueError("arrays: expected noisy and way, or neither")


def _check_digits(digits: Any) -> None:
    if digits is None:
        return
    if not isinstance(digits, list) or len(digits) != 3 or not isinstance(digits[1], str):
        raise ValueError(f"digits: expected an error, its kind and a quantum, got {digits!r}")
    if not (0.0 < number_of(digits[0], "digits") < 1.0 and 0.0 <= number_of(digits[2], "digits") < math.inf):
        raise ValueError(f"digits: expected an error between 0 and 1 and a quantum, at least 0, got {digits!r}")
