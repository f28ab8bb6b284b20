"""--json and --quiet, which every subcommand has."""

import csv
import json
import os
import subprocess
import sys

import pytest

from mflow.base.methods import methods
from mflow.cli import arguments
from mflow.cli.commands import main

COST = "def cost(x):\n    return (x[0] - 1.0) ** 2 + 10.0 * (x[1] + 2.0) ** 2\n"
CALLS = {
    "compare": ["--problem", "quadratic", "--method", "sgd", "--max-iter", "5", "--no-plot"],
    "methods": [],
    "stability": ["rk4", "newmark", "sgd", "radau5", "--no-plot"],
    "explain": ["costs.py:cost", "--x0", "1,2", "--no-plot"],
    "simulate": ["--no-plot", "--time", "1"],
    "spectrum": ["--record", "record.csv", "--no-plot", "--count", "5"],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "costs.py").write_text(COST)
    lines = [f"{0.01 * k},{((k * 7) % 5 - 2) * 0.1}" for k in range(400)]
    (tmp_path / "record.csv").write_text("time (s),acceleration (m/s2)\n" + "\n".join(lines) + "\n")
    return tmp_path


@pytest.mark.parametrize("command", CALLS)
def test_json_on_standard_output_stands_alone(command, folder, capsys):
    assert main([command, *CALLS[command], "--json", "-"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)
    assert err.strip()


@pytest.mark.parametrize("command", CALLS)
def test_quiet_prints_nothing_and_writes_what_was_asked_for(command, folder, capsys):
    assert main([command, *CALLS[command], "--quiet", "--json", "found.json"]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert err == ""
    assert json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize("command", CALLS)
def test_json_needs_a_place_before_any_work(command, folder, capsys):
    assert main([command, *CALLS[command], "--json", "no/such/folder.json"]) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_quiet_errors_are_said(folder, capsys):
    assert main(["methods", "no_such_method", "--quiet"]) == 2
    assert "no method 'no_such_method'" in capsys.readouterr().err


def test_values_are_numbers(folder, capsys):
    assert main(["stability", "rk4", "backward_euler", "--no-plot", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rk4"]["order"] == 4
    assert found["rk4"]["real limit"] == pytest.approx(2.785293563405282, rel=1e-9)  # the root of 24 + 12 z + 4 z^2 + z^3 next to -2.8
    assert found["rk4"]["A-stable"] is False
    assert found["backward_euler"]["L-stable"] is True
    assert found["backward_euler"]["real limit"] is None  # JSON has no infinity
    assert main(["methods", "--json", "-"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in listed] == [method.name for method in methods()]
    assert main(["methods", "adam", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"]["betas"] == [0.9, 0.999]


COMPLETED = {
    "mflow st": "stability",
    "mflow methods dopr": "dopri5",
    "mflow compare --method radau": "radau5",
    "mflow simulate --method newm": "newmark",
    "mflow simulate --method newmark --set be": "beta=",
    "mflow simulate --unit cm": "cm/s2",
    "mflow explain costs.py:cost --names adam,lbf": "adam,lbfgs",
    "mflow methods --family implicit_s": "implicit_sgd",
    "mflow compare --problem Rat": "Rat43",
}
# A completion ends its process: each has one, which begins where modules are there.
COMPLETING = """
import os, sys
import argcomplete
from mflow.cli.commands import main
for k, line in enumerate(sys.argv[1:]):
    child = os.fork()
    if child == 0:
        os.environ |= {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_STDOUT_FILENAME": str(k)}
        main([])
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes of POSIX")
def test_shell_completion_knows_what_words_there_are(tmp_path):
    pytest.importorskip("argcomplete")
    run = subprocess.run(
        [sys.executable, "-c", COMPLETING, *COMPLETED], env={**os.environ, "_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": " "}, cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    words = [(tmp_path / str(k)).read_text().split() for k in range(len(COMPLETED))]
    assert [word for word, said in zip(COMPLETED.values(), words, strict=True) if word not in said] == [], run.stderr


@pytest.mark.parametrize("command", ["simulate", "spectrum"])
def test_a_table_on_standard_output_stands_alone(command, folder, capsys):
    """It went into a file named -."""
    assert main([command, *CALLS[command], "--csv", "-"]) == 0
    out, err = capsys.readouterr()
    heads, *rows = csv.reader(out.splitlines())
    assert heads[0] in ("time (s)", "period (s)")
    assert [len(row) for row in rows] == [len(heads)] * len(rows)
    assert len(rows) >= 5
    assert err.strip()
    assert sorted(os.listdir(folder)) == ["costs.py", "record.csv"]


MODEL = "mass,stiffness\n2e4,3e7\n"
TWICE = {
    "simulate --record record.csv --csv record.csv": "--csv record.csv: --record reads this file",
    "simulate --record record.csv --json ./record.csv": "--json ./record.csv: --record reads this file",
    "simulate --model tower.csv --csv tower.csv": "--csv tower.csv: --model reads this file",
    "simulate --record records --csv records/one.csv": "--csv records/one.csv: --record reads this file",
    "simulate --csv new.txt --json new.txt": "--json new.txt: --csv writes there, too",
    "simulate --csv - --json -": "--json -: --csv writes there, too",
    "spectrum --record record.csv --csv hard.csv": "--csv hard.csv: --record reads this file",
    "explain costs.py:cost --x0 1,2 --json costs.py": "--json costs.py: explain costs.py:cost reads this file",
    "compare --objective costs.py:cost --x0 1,2 --json costs.py": "--json costs.py: --objective reads this file",
}


@pytest.mark.parametrize("line", TWICE)
def test_no_file_is_written_twice_or_over_what_is_read(line, folder, capsys):
    """The user's record, model or function was replaced by the output, or one output by another, without a word."""
    (folder / "tower.csv").write_text(MODEL)
    (folder / "records").mkdir()
    (folder / "records" / "one.csv").write_text((folder / "record.csv").read_text())
    os.link(folder / "record.csv", folder / "hard.csv")
    before = {path: path.read_text() for path in folder.rglob("*.*")}
    assert main([*line.split(), "--no-plot"]) == 2
    assert TWICE[line] in capsys.readouterr().err
    assert {path: path.read_text() for path in folder.rglob("*.*")} == before


def test_a_picture_takes_no_name_of_another_output(folder, capsys):
    pytest.importorskip("matplotlib")
    assert main(["simulate", "--time", "1", "--csv", "x.png", "--out", "x.png"]) == 2
    assert "--csv x.png: --out writes there, too" in capsys.readouterr().err
    assert main(["simulate", "--time", "1", "--out", "-"]) == 2
    assert "--out -: the name must end in" in capsys.readouterr().err


def test_a_device_may_be_named_twice(folder, capsys):
    assert main(["simulate", *CALLS["simulate"], "--csv", os.devnull, "--json", os.devnull]) == 0


class Leaves:
    """A reader of standard output that is gone after some characters."""

    def __init__(self, most):
        self.left = most

    def write(self, text):
        self.left -= len(text)
        if self.left < 0:
            raise BrokenPipeError
        return len(text)

    def flush(self):
        if self.left < 0:
            raise BrokenPipeError


@pytest.mark.parametrize("most", [0, 100, 10**6])
def test_a_reader_that_leaves_does_not_change_the_exit_code(most, folder, monkeypatch):
    """A run past the stability limit ended with 0 or with 1, by when the reader of a pipe went."""
    past = ["simulate", "--method", "central_difference", "--dt", "0.5", "--time", "5", "--no-plot", "--json", "found.json"]
    monkeypatch.setattr(sys, "stdout", Leaves(most))
    assert main(past) == 1
    assert json.loads((folder / "found.json").read_text())["stable"] is False


def test_a_table_of_searches_says_where_their_steps_come_from(capsys):
    """It said that no step was taken, under a row of 36 steps."""
    assert main(["compare", "--problem", "rosenbrock", "--method", "lbfgs", "--no-plot"]) == 0
    said = capsys.readouterr().out
    assert "lr is search: a line search or a trust region finds each step." in said
    assert "No step was taken" not in said


@pytest.mark.parametrize(
    "call",
    [["simulate", "--method", "central_difference", "--dt", "0.2"], ["spectrum", "--damping", "5", "--count", "3", "--no-plot"]],
    ids=["simulate", "spectrum"],
)
def test_what_a_folder_is_warned_of_is_told_when_it_comes(call, folder, capsys, monkeypatch):
    """Before the next record is read, with the file's name; it was told after all of them, or not. What cannot be read is told too."""
    (folder / "records").mkdir()
    for name in "ab":
        (folder / "records" / f"{name}.csv").write_text((folder / "record.csv").read_text())
    (folder / "records" / "c.csv").write_text("no record\n")
    told, read = [], arguments.read_record

    def reading(path, *given):
        told.append(capsys.readouterr().err)
        return read(path, *given)

    monkeypatch.setattr(arguments, "read_record", reading)
    assert main([*call, "--record", "records", "--quiet"]) == 1
    last = capsys.readouterr()
    assert last.out == ""
    assert told[0] == ""
    assert [text.startswith(f"mflow: warning: {name}.csv: ") for name, text in zip("ab", told[1:], strict=True)] == [True, True]
    assert last.err.startswith("mflow: error: c.csv: ")
