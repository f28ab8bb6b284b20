"""--json and --quiet, which every subcommand has."""

import json
import os
import subprocess
import sys

import pytest

from mflow.base.methods import methods
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


@pytest.mark.parametrize(
    ("line", "word"),
    [("mflow st", "stability"), ("mflow methods dopr", "dopri5"), ("mflow compare --method radau", "radau5")],
)
def test_shell_completion_knows_the_subcommands_and_methods(line, word, tmp_path):
    pytest.importorskip("argcomplete")
    done = tmp_path / "completions"
    run = subprocess.run(
        [sys.executable, "-m", "mflow"],
        env={
            **os.environ, "_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": " ",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(done),
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert word in done.read_text(), run.stderr
