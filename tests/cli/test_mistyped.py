"""Commands and options that there are not: the answer stands under the usage of the right command and names what is meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import mflow
from mflow.cli.commands import main


@pytest.mark.parametrize(
    ("given", "usage", "words"),
    [
        (["doctr"], "usage: mflow [-h]", "expected a command, got 'doctr'; did you mean 'doctor'?"),
        (["frobnicate"], "usage: mflow [-h]", "there are compare, methods, stability"),
        (
            ["explain", "f.py:f", "--x0", "1", "--t-span", "0,10"],
            "usage: mflow explain",
            "--t-span (did you mean --t-end T, which looks from 0",
        ),
        (["spectrum", "--record", "r", "--zeta", "5"], "usage: mflow spectrum", "--zeta (did you mean --damping?)"),
        (["simulate", "--recrod", "r"], "usage: mflow simulate", "--recrod (did you mean --record?)"),
        (["stability", "euler", "--axis", "imaginary"], "usage: mflow stability", "--axis (not needed: the table has both axes)"),
        (["--nothing"], "usage: mflow [-h]", "unrecognized arguments: --nothing"),
    ],
)
def test_what_is_meant(given: list[str], usage: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as info:
        main(given)
    text = " ".join(capsys.readouterr().err.split())
    assert info.value.code == 2
    assert text.startswith(usage)
    assert words in text


def test_explain_of_a_cost_takes_no_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "f.py"
    file.write_text("def f(x):\n    return float(x @ x)\n")
    assert main(["explain", f"{file}:f", "--x0", "1", "--no-plot"]) == 0
    assert main(["explain", f"{file}:f", "--x0", "1", "--no-plot", "--t-end", "3"]) == 2
    assert "t_span: expected None for a cost" in capsys.readouterr().err


def test_a_radius_that_is_infinite_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stability", "leapfrog", "--no-plot"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "spectral radius at infinity inf" in text  # its amplification factor grows with (omega dt)^2
    assert "limit on omega dt 2" in text
    assert main(["stability", "newmark", "--no-plot"]) == 0
    assert "limit on omega dt no limit" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mflow.least_squares(lambda b: b - 1.0, [0.0], lr=float("nan")), "lr: expected a finite number above 0, got nan"),
        (lambda: mflow.minimize(lambda b: float(b @ b), [1.0], monitor_every=object()), "monitor_every: expected a whole number"),
        (lambda: mflow.explain(lambda b: float(b @ b), [1.0], t_span="x"), "t_span: expected two numbers"),
    ],
    ids=["lr", "monitor_every", "t_span"],
)
def test_arguments_that_a_call_does_not_use_are_checked(call: Callable[[], object], words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        call()


def test_methods_of_one_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods", "--family", "second_order"]) == 0
    rows = [line.split()[0] for line in capsys.readouterr().out.split("\n\n")[0].splitlines()[2:]]
    assert rows == [method.name for method in mflow.methods(family="second_order")]
    assert main(["methods", "--family", "second-order"]) == 2
    assert "did you mean 'second_order'?" in capsys.readouterr().err
    assert main(["methods", "rk4", "--family", "runge_kutta"]) == 2
    assert "--family: it belongs to the list" in capsys.readouterr().err
