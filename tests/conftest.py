"""Parametrisation over rows x instruction sets, read from the registry: no test names a method to be run by the battery.

An argument called `step_row` (y' = f), `second_row` (x'' = F), `update_row`, `flow_row` (updates that follow a linear flow), `any_row`
(all but `second_row`) or `each_row` takes every such row of every level that this processor runs; `step_method` and so on take the
rows of the active level, which are all that the public classes see.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from mflow_core import registry

LEVELS = registry.available_levels()

KINDS: dict[str, Callable[[Any], bool]] = {
    "step": lambda row: row.kind == "step" and "second_order" not in row.flags,
    "second": lambda row: "second_order" in row.flags,
    "update": lambda row: row.kind == "update",
    "flow": lambda row: row.kind == "update" and "linear" in row.flags,
    "any": lambda row: "second_order" not in row.flags,
    "each": lambda row: True,
}


def rows_at(kind: str, level: str) -> list[Any]:
    return [row for row in registry._rows_of(level) if KINDS[kind](row)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for kind, belongs in KINDS.items():
        if f"{kind}_row" in metafunc.fixturenames:
            cases = [pytest.param(row, id=f"{row.name}-{level}") for level in LEVELS for row in rows_at(kind, level)]
            metafunc.parametrize(f"{kind}_row", cases)
        if f"{kind}_method" in metafunc.fixturenames:
            metafunc.parametrize(f"{kind}_method", [pytest.param(row, id=row.name) for row in registry.rows() if belongs(row)])


@pytest.fixture
def no_more_memory() -> Iterator[Callable[[], None]]:
    """A function that forbids this process to map more than a few MB from then on; undone at the end."""
    resource = pytest.importorskip("resource")
    try:
        with open("/proc/self/statm") as file:
            file.read()
    except OSError:
        pytest.skip("needs /proc")
    before = resource.getrlimit(resource.RLIMIT_AS)

    def forbid() -> None:
        with open("/proc/self/statm") as file:
            mapped = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + (4 << 20), before[1]))

    yield forbid
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def torch() -> Iterator[Any]:
    module = pytest.importorskip("torch")
    before = module.get_default_dtype()
    module.set_default_dtype(module.float64)
    yield module
    module.set_default_dtype(before)
