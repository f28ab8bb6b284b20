"""How many processes pytest-xdist runs the tests in, where `-n` does not say; and signals that a shell has turned off."""

from __future__ import annotations

import compileall
import os
import signal
import sys

import pytest

from support.places import ROOT

MOST = 8  # workers: each collects the whole suite before its first test
# A worker has a processor to itself: the linear algebra of NumPy, SciPy and torch would start as many threads in each of them, which wait
# for each other in busy loops.
ALONE = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def workers(config: pytest.Config) -> int:
    """One a processor for folders of tests; none (this process) for files, chosen tests, and whatever talks with a person.

    Workers take some seconds to start, more than most files of tests take to run.
    """
    option = config.option
    talks = option.usepdb or option.trace or option.capture == "no"
    chosen = option.keyword or option.markexpr or any(getattr(option, name, False) for name in ("lf", "failedfirst", "stepwise"))
    folders = any((config.invocation_params.dir / argument).is_dir() for argument in config.args)
    if talks or chosen or option.collectonly or not folders:
        return 0
    count = min(MOST, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    return count if count > 1 else 0


def start_workers(config: pytest.Config) -> None:
    """As if `-n` and `--dist` had been given on the command line, unless they were, or xdist is not here, or this is a worker."""
    option = config.option
    if hasattr(config, "workerinput") or not hasattr(option, "numprocesses"):
        return
    if option.numprocesses is None and not option.tx and option.dist == "no":
        option.numprocesses = workers(config)
        if option.numprocesses:
            # Half of the tests each, in their order, and half of what is left of another's for one that is done. Where workers take whole
            # files, xdist goes through all that it has handed out after each test: over a minute of work for twenty thousand.
            option.dist = "worksteal"
    if option.numprocesses:
        for name in ALONE:
            os.environ.setdefault(name, "1")


ROOM = 2 << 30  # bytes that a file system in memory must have left: a run leaves some 150 MB there


def keep_files_in_memory(place: str = "/dev/shm") -> None:
    """Lets pytest put the tests' own folders there, where nothing forbids it: a disk waits for each file that takes another's place."""
    try:
        free = os.statvfs(place)
    except (AttributeError, OSError):
        return
    if os.access(place, os.W_OK) and not free.f_flag & os.ST_NOEXEC and free.f_bavail * free.f_frsize > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", place)


def keep_bytecode() -> None:
    """Compiles mflow's sources, which takes a second, where its editable install keeps nothing of that: each process that a test starts
    would do so again, for half of its time. Where Python writes no bytecode, neither does this."""
    if not sys.dont_write_bytecode and any(type(finder).__name__ == "MesonpyMetaFinder" for finder in sys.meta_path):
        compileall.compile_dir(ROOT / "python" / "mflow", quiet=2)


def heed_interrupts() -> None:
    """Takes SIGINT again where it is ignored, as it is for what a shell starts in the background: tests of Ctrl-C would wait for ever."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
