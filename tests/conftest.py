"""Parametrisation over rows x instruction sets, read from the registry: no test names a method to be run by the battery.

An argument called `step_row`, `update_row`, `linear_row` or `any_row` takes every such row of every level that this processor runs;
`step_method`, `update_method` and `any_method` take the rows of the active level, which are all that the public classes see.
"""

from collections.abc import Callable
from typing import Any

import pytest
from mflow_core import registry

LEVELS = registry.available_levels()

KINDS: dict[str, Callable[[Any], bool]] = {
    "step": lambda row: row.kind == "step",
    "update": lambda row: row.kind == "update",
    "linear": lambda row: "linear" in row.flags,
    "any": lambda row: True,
}


def rows_at(kind: str, level: str) -> list[Any]:
    return [row for row in registry._rows_of(level) if KINDS[kind](row)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for kind in KINDS:
        if f"{kind}_row" in metafunc.fixturenames:
            cases = [pytest.param(row, id=f"{row.name}-{level}") for level in LEVELS for row in rows_at(kind, level)]
            metafunc.parametrize(f"{kind}_row", cases)
        if f"{kind}_method" in metafunc.fixturenames:
            metafunc.parametrize(f"{kind}_method", [pytest.param(row, id=row.name) for row in registry.rows() if KINDS[kind](row)])
