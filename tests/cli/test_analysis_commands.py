"""`mflow stability` and `mflow explain`: text on stdout, mistakes as one line and exit code 2."""

from pathlib import Path
from typing import Any

import pytest

from mflow.cli.commands import main

COSTS = """
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

@dataclass
class Weights:  # a data class looks its module up
    w: float

def record(c):
    return Weights(2.0).w * float(c @ c)

def bowl(c):
    return 0.5 * c[0] ** 2 + 50 * c[1] ** 2, np.array([c[0], 100 * c[1]])

def plain(c):
    return bowl(c)[0]

def swing(t, y):
    return [y[1], -y[0]]

def turning(c):
    return 1j * (c @ c)

def broken(c):
    return float("nan")
"""


@pytest.fixture
def costs(tmp_path: Path) -> str:
    (tmp_path / "costs.py").write_text(COSTS)
    return str(tmp_path / "costs.py")


def test_facts_side_by_side(capsys: Any) -> None:
    assert main(["stability", "rk4", "trapezoidal", "newmark", "momentum", "--no-plot"]) == 0
    out = capsys.readouterr().out
    lines = {line.split("  ")[0].strip(): line.split()[-2:] for line in out.splitlines() if line}
    assert lines["real limit"] == ["no", "limit"]
    assert "2.785293563" in out
    assert "2.828427125" in out
    assert lines["R at infinity"] == ["inf", "-1"]
    assert lines["A-stable"] == ["no", "yes"]
    assert "limit on lr L" in out
    assert "3.8" in out


def test_an_alias_is_no_second_column(capsys: Any) -> None:
    assert main(["stability", "euler", "rk1", "euler", "--no-plot"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["euler"]


@pytest.mark.parametrize(
    ("names", "said"), [(["rk4", "rkc2", "euler"], "stability regions"), (["newmark", "hht"], "spectral radii"), (["sgd"], "")]
)
def test_picture_of_stability(names: list[str], said: str, tmp_path: Path, capsys: Any) -> None:
    """Regions of integrators, spectral radii of second-order methods; of optimizers alone there is none."""
    image = pytest.importorskip("PIL.Image")
    out = tmp_path / "s.png"
    assert main(["stability", *names, "--out", str(out)]) == 0
    assert out.exists() == bool(said)
    if said:
        assert f"Picture of the {said}: {out}" in capsys.readouterr().out
        assert len(image.open(out).convert("RGB").getcolors(1 << 20)) > 20  # not an empty page


@pytest.mark.parametrize(("target", "start"), [("bowl", "-1,2"), ("swing", "1,0"), ("record", "1,1")])
def test_picture_of_explain(costs: str, target: str, start: str, tmp_path: Path, capsys: Any) -> None:
    image = pytest.importorskip("PIL.Image")
    out = tmp_path / "e.png"
    assert main(["explain", f"{costs}:{target}", "--x0", start, "--out", str(out)]) == 0
    assert f"in a stability region: {out}" in capsys.readouterr().out
    assert len(image.open(out).convert("RGB").getcolors(1 << 20)) > 20


@pytest.mark.parametrize("function", ["bowl", "plain"])
def test_explain_a_cost(costs: str, function: str, capsys: Any) -> None:
    assert main(["explain", f"{costs}:{function}", "--x0", "-1,2", "--no-plot"]) == 0
    out = capsys.readouterr().out
    assert "largest curvature at the start: 100" in out
    assert "Recommended: momentum" in out
    assert sum(line.startswith("Because") and line.endswith(".") for line in out.splitlines()) == 1


def test_explain_methods_by_their_names(costs: str, capsys: Any) -> None:
    """Of the bowl c0^2/2 + 50 c1^2 from (-1, 2): Adam's metric is |g|, in which the largest curvature is 1/min |c|."""
    assert main(["explain", f"{costs}:bowl", "--x0", "-1,2", "--no-plot", "--names", "adam, lbfgs"]) == 0
    text = capsys.readouterr().out
    assert float(text.split("adam")[1].split()[0]) == pytest.approx(38.0, rel=1e-3)
    assert "lbfgs: Its line search finds each step" in text
    assert main(["explain", f"{costs}:bowl", "--x0", "-1,2", "--no-plot", "--names", "adm"]) == 2


def test_explain_a_right_hand_side(costs: str, capsys: Any) -> None:
    assert main(["explain", f"{costs}:swing", "--x0", "1,0", "--t-end", "3", "--no-plot"]) == 0
    out = capsys.readouterr().out
    assert "right-hand side of 2 variables" in out
    assert "linearly stable" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["stability", "adam", "--no-plot"], "no linear amplification"),
        (["stability", "rk44", "--no-plot"], "did you mean"),
        (["stability", "rk4", "--out", "x.gif"], "must end in"),
        (["explain", "nowhere.py:f", "--x0", "1", "--no-plot"], "there is no file"),
        (["explain", ".:f", "--x0", "1", "--no-plot"], "expected a file, got ., a folder"),
        (["explain", "{costs}:bowls", "--x0", "1", "--no-plot"], "did you mean 'bowl'"),
        (["explain", "{costs}:bowl", "--x0", "one", "--no-plot"], "finite numbers"),
        (["explain", "{costs}:swing", "--x0", "1,0", "--t-end", "0", "--no-plot"], "--t-end"),
        (["explain", "{costs}:broken", "--x0", "1", "--no-plot"], "fun: expected finite costs"),
        (["explain", "{costs}:turning", "--x0", "1", "--no-plot"], "fun: expected real numbers, got complex128"),
    ],
)
def test_mistakes(words: list[str], said: str, costs: str, capsys: Any) -> None:
    assert main([word.replace("{costs}", costs) for word in words]) == 2
    both = capsys.readouterr()
    assert said in both.out + both.err
    assert "Traceback" not in both.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["doctr"], "expected a command, got 'doctr'; did you mean 'doctor'?"),
        (["qqqq"], "expected a command, got 'qqqq'; there are compare, "),
        (["explain", "f:f", "--x0", "1", "--t-span", "9"], "explain: error: unrecognized arguments: --t-span (did you mean --t-end"),
        (["methods", "--jsn"], "mflow methods: error: unrecognized arguments: --jsn (did you mean --json?)"),
    ],
)  # fmt: skip
def test_what_is_misspelt_is_told_by_its_command(words: list[str], said: str, capsys: Any) -> None:
    """Options were refused under the usage of `mflow` itself."""
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", ["compare", "explain", "stability", "simulate", "spectrum", "methods"])
def test_a_picture_that_is_written_is_in_the_help(command: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = capsys.readouterr().out
    assert ("A picture is written" in text) == ("--no-plot" in text) == (command != "methods")


def test_a_radius_without_bound_is_inf(capsys: Any) -> None:
    """It was "no limit", which one line above says that every step is stable."""
    assert main(["stability", "leapfrog", "--no-plot"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("spectral radius at infinity")]
    assert [line.split()[-1] for line in lines] == ["inf"]
