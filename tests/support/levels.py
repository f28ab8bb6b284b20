"""The methods and instruction-set levels that tests go through, read from the registry."""

from collections.abc import Callable
from typing import Any

from mflow_core import registry

LEVELS = registry.available_levels()

KINDS: dict[str, Callable[[Any], bool]] = {
    "step": lambda row: row.kind == "step" and "second_order" not in row.flags,
    "stiff_pair": lambda row: KINDS["step"](row) and ({"implicit", "embedded"} <= row.flags or "multistep" in row.flags),
    "auto_step": lambda row: KINDS["step"](row) and "linear" in row.flags and "implicit" not in row.flags,  # takes dt="auto"
    "one_step": lambda row: KINDS["step"](row) and "multistep" not in row.flags,
    "second": lambda row: "second_order" in row.flags,
    "update": lambda row: row.kind == "update",
    "flow": lambda row: row.kind == "update" and "linear" in row.flags,
    "direction": lambda row: row.kind == "direction",
    "any": lambda row: row.kind in ("step", "update") and "second_order" not in row.flags,  # others have no state to step
    "each": lambda row: row.kind in ("step", "update"),
}


def rows_at(kind: str, level: str) -> list[Any]:
    return [row for row in registry.records_of(level) if KINDS[kind](row)]


def first_order(*flags: str, without: tuple[str, ...] = ()) -> list[str]:
    """Names of the methods for y' = f that have these flags and none of the others."""
    return [
        record.name
        for record in registry.records()
        if KINDS["step"](record) and record.flags.issuperset(flags) and record.flags.isdisjoint(without)
    ]


ITERATED = [name for name in first_order("implicit") if "G" not in (registry.find(name).tableau or {})]  # stages by iteration
EXPLICIT_PAIRS = first_order("embedded", without=("implicit", "staged"))
