"""What goes wrong beside the arguments: one line on standard error each, and files that stay whole."""

from __future__ import annotations

import gc
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mflow.cli import commands
from mflow.cli.commands import main
from mflow.cli.output import Shown, write_json

BUGS = {
    "def f(x):\n    y = x + 1\n    return y / (x[0] * 0 and 1) if False else missing\n": ("line 3, in f", "NameError"),
    "def g(x):\n    raise KeyError('mine')\n\ndef f(x):\n    return g(x)\n": ("line 2, in g", "KeyError: 'mine'"),
    "def f(x):\n    return f(x)\n": ("in f", "RecursionError"),
    "import numpy as np\n\ndef f(x):\n    return np.linalg.inv(np.zeros((2, 2)))\n": ("line 4, in f", "LinAlgError"),
    "def f(x):\n    raise SystemExit(3)\n": ("line 2, in f", "SystemExit: 3"),
    "def f(x):\n    raise BrokenPipeError('mine')\n": ("line 2, in f", "BrokenPipeError: mine"),
    "class E(ValueError):\n    def __str__(self): return 1 / 0\n\ndef f(x):\n    raise E\n": ("line 5, in f", "E (its __str__ raised"),
}


def ended(capsys: Any, *argv: str) -> tuple[int, str]:
    """(exit code, the one line on standard error)."""
    code = main(list(argv))
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    return code, text


def refused(capsys: Any, command: str, file: Path, content: bytes, x0: str) -> str:
    """The line that a command on the function f of a file with this content ends with."""
    file.write_bytes(content)
    target = [f"{file}:f"] if command == "explain" else ["--objective", f"{file}:f"]
    code, text = ended(capsys, command, *target, "--x0", x0, "--no-plot")
    assert code == 2
    return text


def test_a_wrong_gradient_is_named_and_no_lower_step_is_advised(tmp_path: Path, capsys: Any) -> None:
    for sign, wrong in (("-", True), ("", False)):
        (tmp_path / "costs.py").write_text(f"def f(x):\n    return (x[0] - 1) ** 2, [{sign}2 * (x[0] - 1)]\n")
        target = ["--objective", f"{tmp_path / 'costs.py'}:f", "--x0", "3", "--method", "sgd", "--method", "adam", "--max-iter", "5"]
        assert main(["compare", *target, "--no-plot", "--json", str(tmp_path / "out.json")]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert ("wrong sign" in text) == wrong
        assert "too large" not in text
        assert bool(json.loads((tmp_path / "out.json").read_text())["problem"]["gradient_fault"]) == wrong


@pytest.mark.parametrize("source", BUGS)
@pytest.mark.parametrize("command", ["compare", "explain"])
def test_a_bug_in_the_users_function_shows_its_file_and_line(source: str, command: str, tmp_path: Path, capsys: Any) -> None:
    text = refused(capsys, command, tmp_path / "costs.py", source.encode(), "1,2")
    assert all(words in text for words in ("costs.py", *BUGS[source])), text


@pytest.mark.parametrize(
    "content",
    [
        b"raise BaseException('hm')\n",
        b"def f(x:\n",
        b"\x00\x01\x02",
        b"\xff\xfe\xfa",
        b"raise SystemExit(3)\n",
        b"1/0\n",
        b"import no_such_module_here\n",
        b"f = 3\n",
        b"",
    ],
)
@pytest.mark.parametrize("command", ["compare", "explain"])
def test_no_content_of_a_python_file_gives_a_traceback(content: bytes, command: str, tmp_path: Path, capsys: Any) -> None:
    assert "costs.py" in refused(capsys, command, tmp_path / "costs.py", content, "1")


AT2 = b"PEER\nx\nACCELERATION TIME SERIES IN UNITS OF G\nNPTS= 99, DT= 1e-320 SEC\n1 2 3\n"
HEAD = b"mass,stiffness\n"
CONTENTS = [
    b"", b"\n\n", b"\x00" * 50, b"\xff\xfe\x00x", HEAD, HEAD + b"1,nan\n", HEAD + b"1e308,1e308\n1e-308,1e308\n", HEAD + b"1\x002,3\n",
    HEAD + b'"' + b"x" * 200_000 + b"\n", b"mass,mass,stiffness\n1,2,3\n", b"1 2\n3 4\n", b"a b\nc d\n", b"0 0\n1e308 1\n",
    b"0 1e308\n0.01 -1e308\n", AT2, b"0,1\n0,2\n",
]  # fmt: skip


@pytest.mark.parametrize("option", ["--record", "--model"])
@pytest.mark.parametrize("content", CONTENTS)
def test_no_content_of_a_table_gives_a_traceback(content: bytes, option: str, tmp_path: Path, capsys: Any) -> None:
    """Whatever it holds, it is read, or refused in one line; so is a start that cannot be computed with."""
    file = tmp_path / "table.txt"
    file.write_bytes(content)
    code = main(["simulate", option, str(file), "--no-plot", "--time", "1", "--dt", "0.1"])
    text = capsys.readouterr().err
    assert "Traceback" not in text
    assert code in (0, 1) or (code == 2 and text.count("\n") == 1), text


def test_a_traceback_can_be_asked_for(tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "costs.py"
    file.write_text("def f(x):\n    raise KeyError('mine')\n")
    monkeypatch.setenv("MFLOW_TRACEBACK", "1")
    with pytest.raises(KeyError, match="mine"):
        main(["explain", f"{file}:f", "--x0", "1", "--no-plot"])


@pytest.mark.parametrize("module", [module for module, _ in commands._MODULES], ids=lambda module: module.__name__.rpartition(".")[2])
def test_ctrl_c_ends_a_command_with_one_line(module: Any, monkeypatch: Any, capsys: Any) -> None:
    def interrupted(_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "check_arguments", interrupted)
    name = module.__name__.rpartition(".")[2]
    more = {"stability": ["rk4"], "explain": ["x.py:f", "--x0", "1"], "spectrum": ["--record", "x.at2"]}.get(name, [])
    assert ended(capsys, name, *more) == (130, "mflow: stopped\n")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_while_a_function_runs(tmp_path: Path) -> None:
    file = tmp_path / "costs.py"
    file.write_text("import sys, time\n\ndef f(x):\n    print('in f', file=sys.stderr, flush=True)\n    time.sleep(30)\n    return x @ x\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "mflow", "explain", f"{file}:f", "--x0", "1", "--no-plot"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "in f\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[1] == "mflow: stopped\n"
    assert process.returncode == 130


# ---- what --json writes --------------------------------------------------------------------------------------------------------------


def test_json_is_written_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "out.json"
    file.write_text("before")
    file.chmod(0o640)

    def fails(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", fails)
        with pytest.raises(ValueError, match=r"--json .*out\.json: No space left"):
            write_json(lambda: {"a": 1}, str(file), sys.stdout)
    assert file.read_text() == "before"
    write_json(lambda: {"a": [1.0, float("nan")]}, str(file), sys.stdout)
    assert json.loads(file.read_text()) == {"a": [1.0, None]}
    assert file.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_json_does_not_follow_a_link(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    target, link = tmp_path / "precious.txt", tmp_path / "out.json"
    target.write_text("precious")
    link.symlink_to(target)
    code, text = ended(capsys, "compare", "--problem", "quadratic", "--no-plot", "--json", str(link))
    assert code == 2
    assert "it is a link" in text
    with pytest.raises(ValueError, match="symbolic links"):
        write_json(dict, str(link), sys.stdout)
    assert target.read_text() == "precious"
    assert link.is_symlink()


def test_a_folder_that_cannot_be_written_to_is_told_before_the_work(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    for option, name in (("--json", "a.json"), ("--out", "a.png")):
        code, text = ended(capsys, "compare", "--problem", "quadratic", option, name)
        assert code == 2
        assert "cannot be written to" in text
        assert "adam" not in text


@pytest.mark.skipif(os.name == "nt", reason="devices of POSIX")
def test_json_goes_to_a_device(tmp_path: Path) -> None:
    write_json(dict, os.devnull, sys.stdout)
    assert Path(os.devnull).is_char_device()


SYNTAX = {
    b"import math\ndef f(x:\n    return 1\n": "costs.py, line 2",
    b"def f(x):\n\treturn 1.\n        return 2\n": "costs.py, line 3",
    b"import math\n\nimport helper\n\ndef f(x):\n    return 1.0\n": "helper.py, line 1",
    b"def f(x):\n    return eval('(')\n": "costs.py, line 2, in f",
}


@pytest.mark.parametrize("content", SYNTAX)
@pytest.mark.parametrize("command", ["compare", "explain"])
@pytest.mark.parametrize("inside", [False, True])
def test_errors_of_syntax_cite_the_users_file(
    content: bytes, command: str, inside: bool, tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    """Inside its folder a frame of importlib looked as if it were there, too."""
    (tmp_path / "helper.py").write_bytes(b"def g(x\n")
    sys.modules.pop("helper", None)
    if inside:
        monkeypatch.chdir(tmp_path)
    text = refused(capsys, command, Path("costs.py") if inside else tmp_path / "costs.py", content, "1,2")
    assert SYNTAX[content] in text
    assert "importlib" not in text
    assert text.count(SYNTAX[content]) == 1


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("\ndef f():\n    return 1.0\n", "expected a function f(x), got f() (costs.py, line 2)"),
        ("def f(x, y):\n    return 1.0\n", "expected a function f(x), got f(x, y) (costs.py, line 1)"),
        ("def f(*, x):\n    return 1.0\n", "expected a function f(x), got f(*, x) (costs.py, line 1)"),
        ("import functools\ndef g(x, y):\n    return 1.0\nf = functools.wraps(g)(lambda x, y: g(x, y))\n", "expected a function"),
    ],
)
def test_another_signature_shows_where_the_function_stands(source: str, words: str, tmp_path: Path, capsys: Any) -> None:
    assert words in refused(capsys, "compare", tmp_path / "costs.py", source.encode(), "1,2")
    if "f(x, y)" not in words and "import" not in source:
        assert words.replace("f(x),", "f(x) or f(t, y),") in refused(capsys, "explain", tmp_path / "costs.py", source.encode(), "1,2")


def test_a_cost_that_changes_its_argument(tmp_path: Path, capsys: Any) -> None:
    """`compare` says what to do about it; `explain` looks at copies, so that nothing is changed."""
    (tmp_path / "costs.py").write_text("def f(x):\n    x *= 2\n    return 0.25 * float(x @ x)\n")
    assert main(["compare", "--objective", f"{tmp_path / 'costs.py'}:f", "--x0", "1,2", "--method", "sgd", "--no-plot"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "mflow's arrays must not be changed in place: work on a copy, as in x = x.copy() (costs.py, line 2, in f)" in said
    assert main(["explain", f"{tmp_path / 'costs.py'}:f", "--x0", "1,2", "--no-plot"]) == 0
    assert "largest curvature at the start: 2\n" in capsys.readouterr().out


def test_a_file_that_raises_anything_at_all_when_it_is_imported(capsys: Any, tmp_path: Path) -> None:
    for command in ("explain", "compare"):
        assert "raised GeneratorExit" in refused(capsys, command, tmp_path / "odd.py", b"raise GeneratorExit\n", "1")


def test_a_version_that_nobody_can_write(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            pass

    monkeypatch.setattr(sys, "stdout", Full())
    code, text = ended(capsys, "--version")
    assert code == 2
    assert "No space left on device" in text


SMALL = ["methods", "rk4"]  # less than the buffer of standard output, so that it is written at the end
AS_JSON = ["methods", "--json", "-", "--quiet"]
GONE, FULL, READ = "gone", "/dev/full", "read"  # where standard output goes: into a pipe without a reader, to a device, into a pipe
RUNS = [
    *((words, GONE) for words in (SMALL, ["--help"], AS_JSON)),
    *((words, FULL) for words in (SMALL, ["--version"], AS_JSON) if os.path.exists(FULL)),
    *(([*SMALL, "--quiet", "--json", name], READ) for name in ("/dev/stdout", "/dev/fd/1")),
]
EACH_IN_A_CHILD = """
import json, os, sys, tempfile
import mflow.cli.commands
from mflow.__main__ import main
ended = []
for words, place in json.loads(sys.argv[1]):
    reader, out = os.pipe() if place != "/dev/full" else (os.open(os.devnull, os.O_RDONLY), os.open(place, os.O_WRONLY))
    if place == "gone":
        os.close(reader)
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            os.dup2(out, 1)
            os.dup2(said.fileno(), 2)
            sys.argv = ["mflow", *words]
            sys.exit(main())
        os.close(out)
        read = open(reader).read() if place != "gone" else ""
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said.seek(0)
        ended.append([code, said.read().decode(), read])
print(json.dumps(ended))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str, str]]:
    """(exit code, standard error, what was read of standard output) of RUNS, each in a process that runs to its end and whose standard
    output keeps a buffer. They are forked from one that has imported the command, which takes more than all that they do."""
    if os.name == "nt":
        pytest.skip("pipes break otherwise there")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-c", EACH_IN_A_CHILD, json.dumps(RUNS)], stdout=subprocess.PIPE, text=True, check=True, timeout=120,
        cwd=tmp_path_factory.mktemp("runs"), env=environment,
    )  # fmt: skip
    ended = [tuple(run) for run in json.loads(done.stdout)]
    assert len(ended) == len(RUNS)
    return ended


@pytest.mark.parametrize("words", [words for words, place in RUNS if place == GONE], ids=" ".join)
def test_a_reader_that_is_gone_is_no_error(words: list[str], runs: Any) -> None:
    assert runs[RUNS.index((words, GONE))] == (0, "", "")


@pytest.mark.skipif(not os.path.exists(FULL), reason="needs a device that is always full")
@pytest.mark.parametrize("words", [SMALL, ["--version"], AS_JSON], ids=" ".join)
def test_output_that_cannot_be_written_is_said(words: list[str], runs: Any) -> None:
    code, said, _ = runs[RUNS.index((words, FULL))]
    assert code == 2
    assert said.startswith("mflow: error: ")
    assert said.endswith("No space left on device\n")
    assert said.count("\n") == 1


def test_json_goes_into_a_pipe(runs: Any) -> None:
    into = [run for run, (_, place) in zip(runs, RUNS, strict=True) if place == READ]
    assert [(code, said, json.loads(text)["name"]) for code, said, text in into] == [(0, "", "rk4")] * 2


def test_json_without_a_standard_output_is_refused(monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["methods", "--json", "-"]) == 2
    monkeypatch.undo()
    assert capsys.readouterr().err == "mflow: error: --json -: there is no standard output; name a file\n"


def test_a_picture_that_cannot_be_written_is_said_in_words(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device", "picture.png")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    (tmp_path / "costs.py").write_text("def f(x):\n    return (x[0] - 1) ** 2\n")
    (tmp_path / "record.csv").write_text("".join(f"{0.01 * k},{(k * 7) % 5 - 2}\n" for k in range(100)))
    for words in (
        ["stability", "rk4"],
        ["explain", "costs.py:f", "--x0", "1"],
        ["simulate", "--time", "1"],
        ["spectrum", "--record", "record.csv", "--unit", "m/s2", "--count", "5"],
        ["compare", "--problem", "quadratic", "--method", "sgd", "--max-iter", "5"],
    ):
        assert ended(capsys, *words) == (2, f"mflow: error: no picture: {words[0]}.png: No space left on device\n")


def test_standard_output_is_not_flushed_by_what_stood_before_it() -> None:
    """A finalizer of io would do so, and from Python 3.13 on say on standard error what is raised there."""

    class Full(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            self.flushed += 1

    to = Full()
    shown = Shown(to)
    shown.writelines(["a\n", "b\n"])
    print("c", file=shown)
    assert shown.isatty() is False
    del shown
    gc.collect()
    assert (to.getvalue(), to.flushed) == ("a\nb\nc\n", 0)


@pytest.mark.parametrize("quiet", [[], ["--quiet"]], ids=["", "quiet"])
@pytest.mark.parametrize("command", ["compare", "explain"])
def test_a_function_that_closes_standard_output(command: str, quiet: list[str], tmp_path: Path, monkeypatch: Any) -> None:
    """What is asked for in a file is written all the same, and there is no traceback."""
    (tmp_path / "costs.py").write_text("import sys\n\ndef f(x):\n    sys.stdout.close()\n    return float(x @ x)\n")
    target = [f"{tmp_path / 'costs.py'}:f"] if command == "explain" else ["--objective", f"{tmp_path / 'costs.py'}:f", "--method", "lbfgs"]
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert main([command, *target, "--x0", "1,2", "--no-plot", "--json", str(tmp_path / "out.json"), *quiet]) == 0
    assert json.loads((tmp_path / "out.json").read_text())
