"""What developers lean on: names of tests that every process finds, workers where they help, one version of each linter."""

from __future__ import annotations

import ast
import compileall
import faulthandler
import functools
import importlib.util
import inspect
import os
import platform
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mflow_core
import numpy as np
import pytest

from support.case_names import LONGEST, addresses, case_name
from support.running.watchdog import Watchdog
from support.running.workers import ALONE, keep_bytecode, start_workers, workers
from support.small_cases import for_all

ROOT = Path(__file__).resolve().parents[1]


HASH_SEED = os.environ.get("PYTHONHASHSEED", "random")  # of this process: Dask's clusters set it for those that they start

# ---- names -----------------------------------------------------------------------------------------------------------------------------


def test_names_do_not_depend_on_the_process(request: pytest.FixtureRequest) -> None:
    """pytest-xdist and `--lf` find a test by its name and place: neither may hang on addresses, or on the order of a set.

    What this session has collected is collected again, by a process that orders sets otherwise. Workers of pytest-xdist, each of which
    orders sets in its own way, have collected the same names: otherwise it would have run no test.
    """
    workers_here = getattr(request.config, "workerinput", {"workercount": 1})["workercount"]
    if workers_here > 1 and HASH_SEED == "random":
        pytest.skip("pytest-xdist has compared what its workers collected")
    names = [item.nodeid for item in request.session.items]
    files = list(dict.fromkeys(str(item.path) for item in request.session.items))
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *files]
    seed = "2" if HASH_SEED == "1" else "1"
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTEST_ADDOPTS": ""}
    run = subprocess.run(command, cwd=request.config.rootpath, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr
    chosen = set(names)  # by -k, or by name
    again = [line for line in run.stdout.splitlines() if line in chosen]
    assert again == names, sorted(chosen.symmetric_difference(again))[:5]


class Plain:
    pass


class Told:
    def __repr__(self) -> str:
        return f"Told({object.__repr__(self)})"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({}, "nothing"),
        ({"fun": np.sin, "lanes": True, "t_span": (0, 1.5)}, "fun=sin,lanes=True,t_span=[0,1.5]"),
        (lambda: None, "lambda"),
        (functools.partial(np.add, 1, where=True), "add(0=1,where=True)"),
        (np.arange(3.0), "[0.0,1.0,2.0]"),
        (np.zeros((5, 2)), "array[5, 2]"),
        ({"b", "a", "c"}, "{a,b,c}"),
        (Plain(), "Plain"),
        ([Told()], "[Told(<test_tooling.Told object>)]"),
        (ROOT / "README.md", "README.md"),
        ("words", None),
        (0.5, None),
        (ValueError, None),
    ],
)
def test_case_names(value: Any, name: str | None) -> None:
    assert case_name(value) == name


def test_long_names_are_cut() -> None:
    assert case_name(["word"] * 50) == ("[" + "word," * 50)[: LONGEST - 3] + "..."


def test_addresses_are_found() -> None:
    name = f"test_one[{Plain()!r}]"
    assert addresses([name, "test_two[Plain at 0]"]) == [name]


def test_small_cases_in_one_test_name_the_one_that_fails() -> None:
    seen = []

    @for_all("n", [1, 2, 3])
    def odd(n: int, step: int) -> None:
        seen.append(n)
        assert n % step

    assert list(inspect.signature(odd).parameters) == ["step"]
    with pytest.raises(AssertionError) as caught:
        odd(step=2)
    assert (seen, caught.value.__notes__) == ([1, 2], ["in the case n = 2"])

    @for_all(("n", "m"), [(1, 1), (1, 2)])
    def equal(n: int, m: int) -> None:
        assert n == m

    assert not inspect.signature(equal).parameters
    with pytest.raises(AssertionError) as caught:
        equal()
    assert caught.value.__notes__ == ["in the case n, m = (1, 2)"]


# ---- workers ---------------------------------------------------------------------------------------------------------------------------


QUIET = {
    "usepdb": False,
    "trace": False,
    "capture": "fd",
    "keyword": "",
    "markexpr": "",
    "lf": False,
    "stepwise": False,
    "collectonly": False,
}


def workers_of(*arguments: str, **option: Any) -> int:
    invocation = SimpleNamespace(dir=ROOT)
    config: Any = SimpleNamespace(option=SimpleNamespace(**(QUIET | option)), args=arguments, invocation_params=invocation)
    return workers(config)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors are counted where a process can be bound to some")
def test_workers_for_folders_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))
    assert workers_of("tests") == 4
    assert workers_of("tests/test_tooling.py", "tests/core") == 4
    assert workers_of("tests/test_tooling.py") == workers_of("tests/test_tooling.py::test_case_names") == 0
    assert (
        workers_of("tests", usepdb=True)
        == workers_of("tests", capture="no")
        == workers_of("tests", keyword="adam")
        == workers_of("tests", lf=True)
        == 0
    )
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64))
    assert workers_of("tests") == 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(1))
    assert workers_of("tests") == 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors are counted where a process can be bound to some")
@pytest.mark.parametrize(("given", "started"), [(None, (2, "worksteal")), (3, (3, "no"))])
def test_workers_take_tests_in_their_order(given: int | None, started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ALONE:
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(2))
    option = SimpleNamespace(**QUIET, numprocesses=given, tx=[], dist="no")
    start_workers(SimpleNamespace(option=option, args=["tests"], invocation_params=SimpleNamespace(dir=ROOT)))  # type: ignore[arg-type]
    assert (option.numprocesses, option.dist) == started


def test_one_timer_for_the_tests_of_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test has its whole time; a failure, at which pytest stops the timer, leaves no later test without one."""
    started: list[float] = []
    now = 0.0
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda seconds, **more: started.append(now + seconds))
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: None)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    dog: Any = Watchdog(limit=300.0, spare=60.0)
    try:
        for now in (0.0, 10.0, 59.0, 61.0, 100.0):
            dog.pytest_runtest_protocol("a", None)
            assert now + 300.0 <= started[-1] <= now + 360.0
        assert len(started) == 2
        dog.pytest_exception_interact(None, None, None)
        dog.pytest_runtest_protocol("b", None)
        assert started[2:] == [460.0]
    finally:
        dog.pytest_unconfigure(None)


def test_a_test_that_hangs_ends_its_process_and_shows_where() -> None:
    text = """
import sys, time
from support.running.watchdog import Watchdog
def hangs():
    time.sleep(60)
Watchdog(limit=0.05, spare=0.05).pytest_runtest_protocol("a", None)
sys.stderr = None  # as captured
hangs()
"""
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT / "tests", capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "in hangs" in done.stderr


def test_bytecode_is_kept_for_an_editable_install_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[Any] = []
    monkeypatch.setattr(compileall, "compile_dir", lambda folder, **more: compiled.append(folder))
    for finder, forbidden in ((object, False), (type("MesonpyMetaFinder", (), {}), True), (type("MesonpyMetaFinder", (), {}), False)):
        assert compiled == []
        with monkeypatch.context() as patch:
            patch.setattr(sys, "meta_path", [*(one for one in sys.meta_path if "Mesonpy" not in type(one).__name__), finder()])
            patch.setattr(sys, "dont_write_bytecode", forbidden)
            keep_bytecode()
    assert compiled == [ROOT / "python" / "mflow"]


# ---- versions --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_interrupts_that_a_shell_ignores_are_heeded() -> None:
    """In this process, its workers and what tests start: as a shell without job control starts `pytest &`."""
    child = "import signal, sys; sys.exit(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    text = f"""
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
from support.running.workers import heed_interrupts
if "heed" in sys.argv:
    heed_interrupts()
print(subprocess.run([sys.executable, "-c", {child!r}]).returncode)
signal.raise_signal(signal.SIGINT)
"""
    for words, ended, ignored in (([], 0, "1"), (["heed"], -signal.SIGINT, "0")):
        done = subprocess.run([sys.executable, "-c", text, *words], cwd=ROOT / "tests", capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.strip()) == (ended, ignored), done.stderr


def test_one_version_of_each_linter() -> None:
    """Those of the extra `dev` are those of the hooks, and every hook names the versions of all it takes."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    dev = {package for package in extras["dev"] if not package.startswith(("nox", "pre-commit"))}
    lists = re.findall(r"additional_dependencies: \[(.*?)\]", (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = {package.strip() for names in lists for package in names.split(",")}
    assert dev <= hooks
    assert all(re.fullmatch(r"[\w-]+==[\w.]+", package) for package in hooks)
    assert len({package.partition("==")[0] for package in hooks}) == len(hooks)


def test_the_conda_recipe_asks_for_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    recipe = (ROOT / "tools" / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    host, run = recipe.partition("  host:\n")[2].split("  run:\n")
    for text, packages in ((host, project["build-system"]["requires"]), (run, project["project"]["dependencies"])):
        assert packages
        for package in packages:
            assert f"- {package.replace('>=', ' >=')}\n" in text
    assert [f"{name} = {value}" for name, value in project["project"]["scripts"].items()] == re.findall(r"- (mflow.* = .*)", recipe)
    built = re.search(r"version: '(.*?)'", (ROOT / "meson.build").read_text(encoding="utf-8"))
    assert built is not None
    assert f'version: "{built[1]}"' in recipe


def bench_conftest() -> Any:
    """The module that the benches share, which no package holds."""
    spec = importlib.util.spec_from_file_location("bench_conftest", ROOT / "bench" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = bench  # dataclasses look themselves up there
    try:
        spec.loader.exec_module(bench)
    finally:
        del sys.modules[spec.name]
    return bench


def test_a_gate_that_worsens_is_told() -> None:
    """Of the benches: a ratio that is worse by more than a tenth than the one that was kept, where it is a gate."""
    bench = bench_conftest()
    times = [bench.Quartiles(ns, ns, ns) for ns in (100.0, 109.0, 112.0, 200.0)]
    kept = bench.figures([
        bench.Line("step", times[0], "C", times[3], 1.0), bench.Line("call", times[0], "", None, limit_ns=1e3),
        bench.Line("look", times[0], "C", times[3]), bench.Line("gone", times[0], "C", times[3], 1.0),
    ])  # fmt: skip
    assert (kept["step, against C"]["figure"], kept["call, against "]["figure"]) == (0.5, 100.0)
    for now, told in ((times[0], 0), (times[1], 0), (times[2], 2)):
        lines = [
            bench.Line("step", now, "C", times[3], 1.0),
            bench.Line("call", now, "", None, limit_ns=1e3),
            bench.Line("look", now, "C", times[3]),
        ]
        assert len(bench.worse_than(kept, bench.figures(lines))) == told
    assert bench.worse_than(kept, bench.figures(lines))["step, against C"] == "step, against C: 0.56, was 0.5"
    assert bench.machine().endswith(f"{mflow_core.isa()}, Python {platform.python_version()}")
    assert bench.markdown(lines).count("\n| step | 112.0 | C | 200.0 | 0.560 | 0.560 | 0.560 | <= 1.000 | met |\n") == 1
    assert "-ffp-contract=off" in bench.kernel_flags()


@pytest.mark.parametrize(("compare", "quiet"), [(None, True), ([], True), (True, False), ("0001", False)])
def test_a_bench_that_compares_shows_what_pytest_benchmark_says(compare: Any, quiet: bool) -> None:
    option = SimpleNamespace(benchmark_disable=True, benchmark_quiet=None, benchmark_compare=compare, verbose=0)
    bench_conftest().pytest_configure(SimpleNamespace(args=[str(ROOT / "bench")], option=option, stash={}))
    assert (option.benchmark_disable, option.benchmark_quiet) == (False, quiet)


def test_a_bench_file_imports_no_peer_at_its_top() -> None:
    """Without numba bench_embed.py ended the collection of all: a peer that is not installed is skipped."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    here = {path.stem for path in (ROOT / "bench").glob("*.py")} | {"mflow", "mflow_core", "pytest"}
    allowed = here | set(sys.stdlib_module_names) | {re.split(r"[<>=]", package)[0] for package in needed}
    for path in [*(ROOT / "bench").glob("bench_*.py"), ROOT / "bench" / "conftest.py"]:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                assert {name.split(".")[0] for name in names} <= allowed, path.name


# ---- the build -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def translator(tmp_path: Path) -> Any:
    """Runs tools/cythonize.py as meson does, on a kernel of two levels and a module that cimports `shared.pxd`."""
    main = pytest.importorskip("Cython.Compiler.Main")
    spec = importlib.util.spec_from_file_location("cythonize", ROOT / "tools" / "cythonize.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    package = tmp_path / "pack"
    package.mkdir()
    for name in ("__init__.py", "__init__.pxd"):
        (package / name).touch()
    (package / "shared.pxd").write_text("cdef inline double twice(double x) noexcept nogil:\n    return 2 * x\n")
    (package / "kernel.pyx").write_text("cdef double half(double x) noexcept nogil:\n    return x / 2\n\n\nname = __name__\n")
    (package / "user.pyx").write_text("from pack.shared cimport twice\n\n\ndef four():\n    return twice(2.0)\n")
    names = ["pack._kernel_v4", "pack._kernel_v3", "pack.user"]
    places = [tmp_path / f"{name}.c" for name in names]
    arguments = ["-3", "-I", str(tmp_path)]

    def run(*extra: str) -> int:
        sources = [f"pack/kernel={names[0]},{names[1]}", f"pack/user={names[2]}"]
        words = [str(tmp_path / "dep"), *map(str, places), "--", str(tmp_path), *sources, "--", *arguments, *extra]
        return int(tool.main(words))

    return SimpleNamespace(run=run, package=package, places=places, names=names, arguments=arguments, main=main, tool=tool)


def test_copies_of_a_translation_are_what_cython_writes_for_their_level(translator: Any, tmp_path: Path) -> None:
    assert translator.run() == 0
    for name, place in zip(translator.names, translator.places, strict=True):
        source = translator.package / ("user.pyx" if name == "pack.user" else "kernel.pyx")
        alone = tmp_path / "alone.c"
        options, _ = translator.tool.parse_command_line([*translator.arguments, "--module-name", name, "-o", str(alone), str(source)])
        assert translator.main.compile([str(source)], options).num_errors == 0
        text, mark, _ = place.read_text(encoding="utf-8").rpartition("\n/* Cython ")
        assert mark
        assert text == alone.read_text(encoding="utf-8")
    needed = (tmp_path / "dep").read_text(encoding="utf-8")
    assert needed.startswith(f"{translator.places[0]}:")
    assert all(str(translator.package / name) in needed for name in ("kernel.pyx", "user.pyx", "shared.pxd"))
    with pytest.raises(SystemExit, match="equally long"):
        translator.tool.renamed("", "pack._kernel_v3", "pack._kernel_base")
    methods = "".join(f"    def function_{i}(self):\n        return 'the text of function {i} of this class'\n" for i in range(60))
    (translator.package / "kernel.pyx").write_text(f"class Named:\n{methods}")
    options, _ = translator.tool.parse_command_line([*translator.arguments, "-o", str(alone), str(translator.package / "kernel.pyx")])
    assert translator.main.compile([str(translator.package / "kernel.pyx")], options).num_errors == 0
    if "/* compression: none " in alone.read_text(encoding="utf-8"):  # from Cython 3.2 on
        with pytest.raises(SystemExit, match="the strings of _kernel_v4 contain its name"):
            translator.run()


def test_only_what_is_old_is_translated_again(translator: Any) -> None:
    def times() -> list[int]:
        return [place.stat().st_mtime_ns for place in translator.places]

    assert translator.run() == 0
    before = times()
    assert translator.run() == 0
    assert times() == before
    kernel, used = translator.package / "kernel.pyx", translator.package / "shared.pxd"
    later = max(before) + 1
    os.utime(used, ns=(later, later))
    assert translator.run() == 0
    assert [new > old for new, old in zip(times(), before, strict=True)] == [False, False, True]
    before = times()
    assert translator.run("-X", "cdivision=True") == 0  # other arguments: everything
    assert all(new > old for new, old in zip(times(), before, strict=True))
    kernel.write_text("cdef double half(double x) noexcept nogil:\n    return x / nothing_of_this_name\n")
    os.utime(kernel, ns=(max(times()) + 1, max(times()) + 1))
    assert translator.run("-X", "cdivision=True") == 1
    assert not translator.places[0].exists()  # nor does the next build take it for done
