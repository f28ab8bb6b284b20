"""The fields of a file that holds the state of steps, looked at before anything of it is used, whoever reads it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from mflow.base.checks import Array, check_number, check_whole
from mflow.base.methods import AUTO, Method, get_method
from mflow.saving.savefile import numbers_of

__all__ = ["CONTROL", "GROWTH", "MANY", "NOT_CONTROLLED", "are_same", "check_fields", "check_names", "counts_of", "method_of", "read_start"]

MANY = 2**53  # counts that a file holds, exactly, among its real numbers
GROWTH = 10.0  # of a step, at most, from one to the next
NOT_CONTROLLED = {"rtol": None, "atol": None, "direction": 1.0, "first_step": None, "max_step": None, "min_step": None}
CONTROL = tuple(NOT_CONTROLLED)  # what is saved of how a stepper was made
START = {"method", "parameters", "shape", "t0", "control"}
OPTIONAL = {"rebuilt", "problem_bytes", "clock", "mass", "counts", "complex", "past", "ahead", "differences"}


def check_names(what: str, given: Iterable[str], expected: Iterable[str], optional: Iterable[str] = ()) -> None:
    """Raises ValueError where there are other names than those expected; what : a word for them."""
    names, given = set(expected), set(given)
    if given - set(optional) != names:
        raise ValueError(f"{what}: expected {', '.join(sorted(names))}, got {', '.join(sorted(given)) or 'none'}")


def check_fields(facts: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raises ValueError where a fact is another one than expected, or of another kind: True is not 1."""
    for name, value in expected.items():
        if repr(facts[name]) != repr(value):
            raise ValueError(f"{name}: expected {value!r}, got {facts[name]!r}")


def are_same(facts: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether facts of a state that was never in a file are those expected; an array in the place of one is not."""
    try:
        return all(bool(facts[name] == value) for name, value in expected.items())
    except ValueError:  # arrays have no single truth value
        return False


def counts_of(facts: dict[str, Any], least: int = 0) -> tuple[int, int]:
    """Evaluations of the cost and of its gradient so far; 0 where the file does not say. least : each step takes one of a gradient.

    Raises TypeError or ValueError.
    """
    counts = facts.get("counts", [0, least])
    if not isinstance(counts, list) or len(counts) != 2:
        raise ValueError(f"counts: expected two whole numbers, got {counts!r}")
    return check_whole(counts[0], "counts", 0, MANY), check_whole(counts[1], "counts", least, MANY)


def method_of(name: Any, parameters: Any) -> Method:
    """A method with all of its parameters, as a file names them. Raises TypeError or ValueError."""
    if not isinstance(name, str) or not isinstance(parameters, dict):
        raise ValueError(f"method, parameters: expected a name and a table, got {name!r} and {parameters!r}")
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in parameters.items()}
    method = get_method(name, **given)
    check_names(f"parameters of {method.name}", given, method.parameters)
    return method


def read_start(facts: dict[str, Any], blocks: dict[str, bytes]) -> tuple[Method | str, Any, float, dict[str, Any]]:
    """(method, start, t0, what belongs to error control) of saved steps. Raises where a field is not one that `Stepper.save` writes."""
    check_names("facts", facts, START, OPTIONAL)
    named = facts["method"] != AUTO or facts["parameters"]
    method: Method | str = method_of(facts["method"], facts["parameters"]) if named else AUTO
    if not isinstance(facts["shape"], list):
        raise ValueError(f"shape: expected a list, got {facts['shape']!r}")
    shape = tuple(check_whole(n, "shape", 0, MANY) for n in facts["shape"])
    _check_control(facts["control"])
    rebuilt = facts.get("rebuilt", [0, 0, 0])
    if not isinstance(rebuilt, list) or len(rebuilt) != 3:
        raise ValueError(f"rebuilt: expected 3 whole numbers, got {rebuilt!r}")
    for count in rebuilt:
        check_whole(count, "rebuilt", 0, MANY)
    check_whole(facts.get("problem_bytes", 0), "problem_bytes", 0, MANY)
    counts_of(facts)
    if "clock" in facts:
        check_clock(facts["clock"])
    if not isinstance(facts.get("complex", False), bool):
        raise ValueError(f"complex: expected true or false, got {facts['complex']!r}")
    start: Array = numbers_of(blocks, "start", (2 * math.prod(shape),) if facts.get("complex") else shape)
    t0 = check_number(facts["t0"], "t0")
    return method, start.view(np.complex128).reshape(shape) if facts.get("complex") else start, t0, facts["control"]


def check_clock(clock: Any) -> tuple[float, float]:
    """A time, and what rounds away beside it. Raises ValueError."""
    if not isinstance(clock, list) or len(clock) != 2 or not all(isinstance(value, float) and math.isfinite(value) for value in clock):
        raise ValueError(f"clock: expected two finite numbers, got {clock!r}")
    t, lost = clock
    if t + lost != t:
        raise ValueError(f"clock: expected a time and what rounds away beside it, got {clock!r}")
    return t, lost


def _check_control(control: Any) -> None:
    if not isinstance(control, dict) or set(control) - {"energy"} != set(CONTROL):
        raise ValueError(f"control: expected {', '.join(CONTROL)}, got {control!r}")
    for name in ("direction", "first_step", "max_step", "min_step"):
        value = control[name]
        if isinstance(value, bool) or not (isinstance(value, int | float) or (value is None and name != "direction")):
            raise ValueError(f"{name}: expected a number, got {value!r}")
    if not isinstance(control.get("energy", False), bool):
        raise ValueError(f"energy: expected true or false, got {control['energy']!r}")
    for name in ("rtol", "atol"):
        if any(isinstance(one, bool) for one in np.array(control[name], dtype=object).ravel()):
            raise ValueError(f"{name}: expected numbers, got {control[name]!r}")
