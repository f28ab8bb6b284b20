"""Parametrisation over methods x instruction sets, read from the registry: no test names a method to be run by the battery.

An argument called `step_record` (y' = f), `one_step_record` (those of them whose step begins from y alone), `stiff_pair_record` (those
with error control for stiff problems), `auto_step_record` (those with a limit that dt="auto" follows), `second_record` (x'' = F),
`update_record`, `flow_record` (updates that follow a linear flow), `any_record` (all but `second_record`) or `each_record` takes every
such method record of every level that this processor runs; `step_method` and so on take those of the active level, which are all that
the public classes see.
"""

import contextlib
import gc
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from mflow_core import registry

from support.case_names import addresses, case_name
from support.levels import KINDS, LEVELS, rows_at
from support.running.watchdog import Watchdog
from support.running.workers import heed_interrupts, keep_bytecode, keep_files_in_memory, start_workers


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for kind, belongs in KINDS.items():
        if f"{kind}_record" in metafunc.fixturenames:
            cases = [pytest.param(row, id=f"{row.name}-{level}") for level in LEVELS for row in rows_at(kind, level)]
            metafunc.parametrize(f"{kind}_record", cases)
        if f"{kind}_method" in metafunc.fixturenames:
            metafunc.parametrize(f"{kind}_method", [pytest.param(row, id=row.name) for row in registry.records() if belongs(row)])


@pytest.hookimpl(tryfirst=True)  # before xdist reads its options
def pytest_cmdline_main(config: pytest.Config) -> None:
    heed_interrupts()
    if not hasattr(config, "workerinput"):
        keep_bytecode()
    keep_files_in_memory()
    start_workers(config)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Watchdog())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Tests are hundreds of thousands of objects that stay: no garbage is looked for while they are made, nor later among them.

    Compilers and pictures make millions of objects that stay, too: looking for garbage after each 700 of them took a sixth of all time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


def pytest_make_parametrize_id(val: Any) -> str | None:
    return case_name(val)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in the environment that one session makes come first: a worker that has time for more takes them from the end of another's."""
    items.sort(key=lambda item: "fresh" not in getattr(item, "fixturenames", ()))
    if found := addresses(item.nodeid for item in items):
        raise pytest.UsageError(f"names of tests hold addresses, which differ from process to process: give them ids=. {found[:3]}")


@pytest.fixture(scope="session", autouse=True)
def disks_do_not_matter() -> Iterator[None]:
    """No test cuts the power: thousands of checkpoints waited for the disk, longer than for all else that they do. That they ask for it is
    in test_resume.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture
def no_more_memory() -> Iterator[Callable[..., None]]:
    """A function that leaves this process no block of `numbers` doubles, by two things, both undone at the end.

    It forbids to map more than a few MB from then on, and it takes what was mapped before and is free: tests that came earlier leave
    some in the allocator, enough for a block that would not have to be mapped.
    """
    if "asan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("the sanitizer's own allocator ends the process where no memory is left")
    resource = pytest.importorskip("resource")
    try:
        with open("/proc/self/statm") as file:
            file.read()
    except OSError:
        pytest.skip("needs /proc")
    before = resource.getrlimit(resource.RLIMIT_AS)
    taken: list[Any] = []

    def forbid(numbers: int = 1_000_000) -> None:
        with open("/proc/self/statm") as file:
            mapped = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + (4 << 20), before[1]))
        with contextlib.suppress(MemoryError):
            while True:
                taken.append(np.empty(numbers))

    yield forbid
    resource.setrlimit(resource.RLIMIT_AS, before)
    taken.clear()


@pytest.fixture
def torch() -> Iterator[Any]:
    module = pytest.importorskip("torch")
    before = module.get_default_dtype()
    module.set_default_dtype(module.float64)
    yield module
    module.set_default_dtype(before)
