"""`mflow-config` gives no folder in which there is nothing to be used."""

import os
import re
import shlex
import subprocess
import sysconfig

import pytest
from mflow_core import config

from support.hosts import need_program, need_python_to_build, tool_path
from support.places import ROOT

TUTORIAL = (ROOT / "docs" / "tutorials" / "embed_c.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("there", [True, False])
def test_folder_for_pkg_config_is_given_where_its_file_is(there, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(config, "folder", lambda name: str(tmp_path))
    if there:
        (tmp_path / "mflow.pc").write_text("Name: mflow\n")
    code = config.main(["--version", "--pkgconfigdir"])
    out, err = capsys.readouterr()
    assert out.splitlines() == [config.VERSION, *([str(tmp_path)] if there else [])]
    assert (code, "there is no mflow.pc in" in err) == ((0, False) if there else (1, True))


def test_nothing_asked_for_is_an_error_with_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        config.main([])
    assert ended.value.code == 2
    assert "expected one of --version, --cflags" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("said", "lacking"), [({}, "LDVERSION, LIBDIR"), ({"LDVERSION": "3.11"}, "LIBDIR"), ({"LIBDIR": "/a"}, "LDVERSION")]
)
def test_a_python_that_does_not_say_how_it_is_linked(said, lacking, monkeypatch, capsys):
    monkeypatch.setattr(sysconfig, "get_config_var", said.get)
    assert config.main(["--embed"]) == 1
    assert f"mflow-config: --embed: this Python does not say how it is linked (no {lacking});" in capsys.readouterr().err


def test_a_python_that_names_one_folder_of_its_library(monkeypatch, capsys):
    monkeypatch.setattr(sysconfig, "get_config_var", {"LDVERSION": "3.11", "LIBDIR": "/a b"}.get)
    assert config.main(["--embed"]) == 0
    _, *flags = shlex.split(capsys.readouterr().out)
    assert flags == ["-L/a b", "-Wl,-rpath,/a b", "-lpython3.11", "-lm"]


def test_the_c_program_of_the_tutorial(tmp_path):
    """Each program that the page shows is compiled by its command, and prints what stands under it."""
    need_python_to_build(embed=True)
    need_program("cc", "gcc", "clang")
    (whole, loop), (build, limit) = (re.findall(rf"^```{kind}\n(.*?)^```", TUTORIAL, re.S | re.M) for kind in ("c", "sh"))
    printed = re.findall(r"^```text\n(.*?)^```", TUTORIAL, re.S | re.M)
    call, array = (next(line for line in whole.splitlines(keepends=True) if text in line) for text in ("mflow->integrate", "*vectors[1]"))
    looped = whole.replace(call, loop).replace(array, "")
    for command, program, expected in zip((build, build, limit), (whole, looped, None), printed, strict=True):
        if program is not None:
            (tmp_path / "pendulum.c").write_text(program)
        run = subprocess.run(
            ["sh", "-e", "-c", command.replace("cc ", "cc -Wall -Wextra -Werror ")],
            cwd=tmp_path,
            env={**os.environ, "PATH": tool_path()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (run.stdout, run.returncode) == (expected, 0), run.stderr
