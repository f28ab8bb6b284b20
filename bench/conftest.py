"""How mflow is timed: every gate is a ratio of lower quartiles, measured alternately in one process.

    python -m pytest bench

Contenders take turns; each measurement repeats its work until it lasts a few milliseconds; the lower quartile of the rounds counts,
for it moves least when a machine is busy. Nothing is asserted on time: a target that is not reached is shown as "missed" in the table
at the end, and in pytest-benchmark's extra_info. A bench fails only where its contenders compute different numbers.

    python -m pytest bench --bench-store         keeps the table in .benchmarks/gates.json, by machine and instruction set
    python -m pytest bench --bench-gate          fails where a gate is worse by more than a tenth than the run kept there of this machine;
                                                 with --bench-store too the better figure stays

    python -m pytest bench --strict-targets      fails where a target is missed
    python -m pytest bench --bench-table FILE    writes the table as Markdown, with the peers that are installed

The C twins are compiled with the flags of the installed kernels, for the instruction set in use: this folder needs an installed mflow and
a C compiler, not the rest of the checkout. pytest-benchmark's own options work as everywhere; its file holds the table in extra_info, and
the instruction set in machine_info:

    python -m pytest bench --benchmark-autosave  keeps a run in .benchmarks
    python -m pytest bench --benchmark-compare   shows the times of this run beside those of the last one kept, or of the one named
"""

from __future__ import annotations

import ctypes
import gc
import json
import math
import os
import platform
import re
import shlex
import shutil
import subprocess
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mflow_core
import numpy as np
import pytest
from mflow_core._levels import FLAGS, VERSION

HERE = Path(__file__).resolve().parent
KEPT = HERE.parent / ".benchmarks" / "gates.json"
WORSE = 1.10  # of the figure that was kept
HEADS = ("what", "mflow ns", "peer", "peer ns", "mflow/peer", "medians", "upper", "target", "")
TABLE = pytest.StashKey[list["Line"]]()
WORSENED = pytest.StashKey[dict[str, str]]()

Runner = Callable[[int], Any]  # does its work so many times
Clock = Callable[[], int]  # nanoseconds


# ---- pytest: collect bench_*.py, switch pytest-benchmark on, print the table -----------------------------------------------------------


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    if file_path.parent == HERE and file_path.match("bench_*.py") and not parent.session.isinitpath(file_path):
        return pytest.Module.from_parent(parent, path=file_path)
    return None  # files named on the command line are collected by pytest itself


def alone(config: pytest.Config) -> bool:
    """Whether benches alone are named on the command line."""
    paths = [Path(str(arg).partition("::")[0]).resolve() for arg in config.args]
    return bool(paths) and all(path == HERE or HERE in path.parents for path in paths)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("mflow's benches")
    group.addoption("--bench-store", action="store_true", help=f"keep the table of this machine in {KEPT.name}")
    group.addoption("--strict-targets", action="store_true", help="fail where a target is missed")
    group.addoption("--bench-table", type=Path, metavar="FILE", help="write the table to a file, as Markdown")
    group.addoption("--bench-gate", action="store_true", help=f"fail where a gate is worse than in {KEPT.name} by more than a tenth")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    if alone(config) and getattr(config.option, "numprocesses", None):
        raise pytest.UsageError("benches run one at a time, or they would time each other: leave -n away")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE], config.stash[WORSENED] = [], {}
    if alone(config) and hasattr(config.option, "benchmark_disable"):
        config.option.benchmark_disable = False  # addopts switches it off for the tests
        compares = config.option.benchmark_compare not in (None, False, [])
        config.option.benchmark_quiet = config.option.verbose <= 0 and not compares  # our table says what its table would, but for that


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    lines = config.stash[TABLE]
    if not lines:
        return
    rows = [HEADS] + [line.cells() for line in lines]
    widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))]
    terminalreporter.section(f"mflow against its peers, level {mflow_core.isa()}: lower quartiles, interleaved")
    for row in rows:
        left = (0, 2, 8)
        cells = [cell.ljust(width) if j in left else cell.rjust(width) for j, (cell, width) in enumerate(zip(row, widths, strict=True))]
        terminalreporter.write_line("  ".join(cells).rstrip())
    missed = sum(line.met() is False for line in lines)
    terminalreporter.write_line(f"{sum(line.met() is True for line in lines)} targets met, {missed} missed")
    for text in config.stash[WORSENED].values():
        terminalreporter.write_line(f"worse than the run that was kept: {text}", red=True)


# ---- runs that are kept ---------------------------------------------------------------------------------------------------------------


def machine() -> str:
    """This machine, as far as its times depend on it: processor, instruction set, Python."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        text = ""
    name = re.search(r"^model name\s*: (.*)$", text, re.MULTILINE)
    return f"{name[1] if name else platform.processor() or platform.machine()}, {mflow_core.isa()}, Python {platform.python_version()}"


def read_kept(path: Path) -> dict[str, dict[str, Any]]:
    """{machine: {"what, against peer": figures}} of all runs that were kept."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def figures(lines: Sequence[Line]) -> dict[str, Any]:
    """The lines of a table by name; figure: the ratio to the peer, nanoseconds where there is none."""
    return {
        f"{line.what}, against {line.peer}": {
            "figure": line.ratio if line.other else line.mflow.lower, "mflow_ns": line.mflow.lower,
            "peer_ns": line.other.lower if line.other else None, "gate": line.met() is not None, "met": line.met(),
        } for line in lines
    }  # fmt: skip


def worse_than(kept: dict[str, Any], now: dict[str, Any]) -> dict[str, str]:
    """Gates whose figure has worsened by more than WORSE, with the words for it."""
    return {
        name: f"{name}: {now[name]['figure']:.4g}, was {old['figure']:.4g}"
        for name, old in kept.items()
        if old["gate"] and name in now and now[name]["figure"] > WORSE * old["figure"]
    }


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    now = figures(config.stash[TABLE])
    if not now:
        return
    all_kept = read_kept(KEPT)
    config.stash[WORSENED] = worse = worse_than(all_kept.get(machine(), {}), now) if config.getoption("--bench-gate") else {}
    missed = config.getoption("--strict-targets") and any(line.met() is False for line in config.stash[TABLE])
    if (worse or missed) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if config.getoption("--bench-store"):
        KEPT.parent.mkdir(exist_ok=True)
        all_kept[machine()] = all_kept.get(machine(), {}) | {name: line for name, line in now.items() if name not in worse}
        KEPT.write_text(json.dumps(all_kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    if config.getoption("--bench-table"):
        config.getoption("--bench-table").write_text(markdown(config.stash[TABLE]), encoding="utf-8")


def markdown(lines: Sequence[Line]) -> str:
    """The table for a page of the docs, under the machine that it was measured on."""
    rows = [HEADS, ("---",) * len(HEADS), *(line.cells() for line in lines)]
    return f"{machine()}\n\n" + "".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in rows)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info["mflow"] = {"isa": mflow_core.isa(), "version": VERSION, "flags": FLAGS[mflow_core.isa()]}


# ---- measuring -------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quartiles:
    """Nanoseconds of one unit of work."""

    lower: float
    median: float
    upper: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Quartiles:
        return cls(*(float(q) for q in np.percentile(samples, (25, 50, 75))))


@dataclass(frozen=True)
class Line:
    """One comparison: limit is the largest mflow/peer, limit_ns the largest time of mflow; None: for orientation."""

    what: str
    mflow: Quartiles
    peer: str
    other: Quartiles | None
    limit: float | None = None
    limit_ns: float | None = None

    @property
    def ratio(self) -> float:
        return self.mflow.lower / self.other.lower if self.other else math.nan

    def met(self) -> bool | None:
        if self.limit is None and self.limit_ns is None:
            return None
        return (self.limit is None or self.ratio <= self.limit) and (self.limit_ns is None or self.mflow.lower <= self.limit_ns)

    def cells(self) -> tuple[str, ...]:
        wanted = [] if self.limit is None else [f"<= {self.limit:.3f}"]
        wanted += [] if self.limit_ns is None else [f"<= {self.limit_ns:,.0f} ns"]
        verdict = {True: "met", False: "missed", None: ""}[self.met()]
        other = f"{self.other.lower:,.1f}" if self.other else ""
        ratios = [f"{getattr(self.mflow, q) / getattr(self.other, q):.3f}" if self.other else "" for q in ("lower", "median", "upper")]
        return self.what, f"{self.mflow.lower:,.1f}", self.peer, other, *ratios, ", ".join(wanted), verdict


def loop(statement: str, **names: Any) -> Runner:
    """A runner of a Python statement: the plain for loop of `timeit`, one call each."""
    return timeit.Timer(statement, globals=names).timeit


def calibrate(run: Runner, seconds: float, clock: Clock = time.perf_counter_ns) -> int:
    """How often to repeat so that one measurement lasts about `seconds`."""
    count = 1
    while True:
        took = seconds
        for _ in range(3):  # an interruption must not pass for work
            began = clock()
            run(count)
            took = min(took, (clock() - began) * 1e-9)
            if took < seconds / 2:
                break
        else:
            return max(1, round(count * seconds / took))
        count = max(2 * count, min(100 * count, int(count * seconds / max(took, 1e-7))))


def interleaved(
    functions: dict[str, Runner], rounds: int = 31, seconds: float = 2e-3, clock: Clock = time.perf_counter_ns
) -> dict[str, Quartiles]:
    """Times all contenders alternately, starting each round with another one. time.thread_time_ns: what this thread alone has worked."""
    counts = {name: calibrate(run, seconds, clock) for name, run in functions.items()}
    samples: dict[str, list[float]] = {name: [] for name in functions}
    names = list(functions)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for k in range(rounds):
            for name in names[k % len(names) :] + names[: k % len(names)]:
                began = clock()
                functions[name](counts[name])
                samples[name].append((clock() - began) / counts[name])
    finally:
        if collecting:
            gc.enable()
    return {name: Quartiles.of(values) for name, values in samples.items()}


class Bench:
    """Measures and writes down; one for each test."""

    loop = staticmethod(loop)
    interleaved = staticmethod(interleaved)
    Line, Quartiles = Line, Quartiles

    def __init__(self, benchmark: Any, lines: list[Line]) -> None:
        self.benchmark, self.lines, self.shown = benchmark, lines, False

    def show(self, run: Runner, seconds: float = 2e-3) -> None:
        """Hands mflow's contender to pytest-benchmark, once a test."""
        if not self.shown:
            self.benchmark.pedantic(run, args=(calibrate(run, seconds),), rounds=3)
            self.shown = True

    def line(self, line: Line) -> None:
        """One line of the table, and the same in extra_info."""
        self.lines.append(line)
        self.benchmark.extra_info.setdefault("comparisons", []).append(
            {
                "what": line.what, "peer": line.peer, "ratio": line.ratio if line.other else None, "met": line.met(),
                "limit": line.limit, "limit_ns": line.limit_ns, "mflow_ns": vars(line.mflow), "peer_ns": line.other and vars(line.other),
            }
        )  # fmt: skip

    def compare(
        self, what: str, functions: dict[str, Runner], limits: dict[str, float] | None = None, limit_ns: float | None = None, **how: Any
    ) -> dict[str, Quartiles]:
        """A line for mflow (the first of the functions) against each of the others. limits: the largest ratio, by peer."""
        found = interleaved(functions, **how)
        first, *peers = functions
        self.show(functions[first], how.get("seconds", 2e-3))
        for k, peer in enumerate(peers):
            self.line(Line(what, found[first], peer, found[peer], (limits or {}).get(peer), None if k else limit_ns))
        return found


@pytest.fixture
def bench(benchmark: Any, pytestconfig: pytest.Config) -> Bench:
    return Bench(benchmark, pytestconfig.stash[TABLE])


# ---- the C twins -----------------------------------------------------------------------------------------------------------------------


def kernel_flags() -> list[str]:
    """Those of the installed kernels of the level in use."""
    return ["-std=c11", *shlex.split(FLAGS[mflow_core.isa()])]


@pytest.fixture(scope="session")
def flags() -> list[str]:
    """`kernel_flags`, for benches that compile more."""
    return kernel_flags()


@pytest.fixture(scope="session")
def load_c(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ctypes.CDLL]:
    """Compiles a C file, by its name in this folder or its path, with `kernel_flags` and more, and loads it."""
    compiler = shlex.split(os.environ.get("CC", "")) or [name for name in ("cc", "gcc", "clang") if shutil.which(name)][:1]
    if not compiler or not shutil.which(compiler[0]):
        pytest.skip("no C compiler for the hand-written twins: set CC")

    def load(source: str | Path, *more: str) -> ctypes.CDLL:
        path = HERE / source
        target = str(tmp_path_factory.mktemp(path.stem) / f"{path.stem}.so")
        flags = [*kernel_flags(), *more, f"-I{mflow_core.get_include()}", f"-I{HERE}", "-fPIC", "-shared"]
        subprocess.run([*compiler, *flags, "-o", target, str(path), "-lm"], check=True)
        return ctypes.CDLL(target)

    return load


@pytest.fixture(scope="session")
def twins(load_c: Callable[..., ctypes.CDLL]) -> ctypes.CDLL:
    return load_c("twins.c")


class Room:
    """Makes vectors that start on a cache line, as mflow's own do, each at another place in its page: vectors of one contender that lie
    a multiple of 4096 bytes apart would hold each other up. Contenders differ in code, not in luck."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, n: int, fill: Any = 0.0) -> np.ndarray[Any, np.dtype[np.float64]]:
        """n numbers."""
        block = np.empty(n + 512)
        self.made += 1
        start = (-(block.ctypes.data // 8) + 104 * self.made) % 512  # 104 doubles are 13 lines
        out = block[start : start + n]
        out[...] = fill
        return out


@pytest.fixture
def room() -> Iterator[Room]:
    yield Room()
    gc.collect()
