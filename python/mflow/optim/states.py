"""What ``state_dict`` of an optimizer gave, looked at before anything of it is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mflow.base.checks import Array, as_number, check_flags, check_instance, check_list, real_array

__all__ = ["checked_groups", "checked_vectors"]


def checked_groups(groups: Any) -> list[dict[str, Any]]:
    """The groups of a state: parameters and scalars as floats. Raises TypeError or ValueError that names the field."""
    out = []
    for g, entry in enumerate(check_list(groups, "state: groups", "a list of dicts, one a group")):
        where = f"state: group {g}"
        check_instance(entry, where, Mapping, "a dict")
        missing = {"parameters", "maximize", "scalars"} - set(entry)
        if missing:
            raise ValueError(f"{where}: expected parameters, maximize and scalars, got a dict without {', '.join(sorted(missing))}")
        check_instance(entry["parameters"], f"{where}: parameters", Mapping, "a dict")
        check_flags(**{f"{where}: maximize": entry["maximize"]})
        scalars = check_list(entry["scalars"], f"{where}: scalars", "a list of numbers")
        numbers = {str(name): _number(value, f"{where}: {name}") for name, value in entry["parameters"].items()}
        out.append({**entry, "parameters": numbers, "scalars": [_number(value, f"{where}: scalars") for value in scalars]})
    return out


def checked_vectors(vectors: Any) -> list[dict[str, Array]]:
    """The vectors of each array. Raises TypeError or ValueError that names the field."""
    out = []
    for i, by_name in enumerate(check_list(vectors, "state: vectors", "a list of dicts, one an array")):
        check_instance(by_name, f"state: vectors of array {i}", Mapping, "a dict")
        out.append({str(name): real_array(value, f"state: {name} of array {i}") for name, value in by_name.items()})
    return out


def _number(value: Any, argument: str) -> float:
    return float(value) if isinstance(value, bool) else as_number(value, argument, "a number")
