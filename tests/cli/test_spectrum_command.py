"""`mflow spectrum`: table, picture, JSON, and words for mistakes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow
from mflow.cli.commands import main


@pytest.fixture
def record(tmp_path: Path) -> Path:
    t = 0.01 * np.arange(400)
    path = tmp_path / "shake.csv"
    path.write_text("t (s),a (g)\n" + "".join(f"{at:.2f},{0.2 * np.sin(6 * at) * np.exp(-at):.8e}\n" for at in t))
    return path


def test_table_picture_and_json(record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, out = tmp_path / "s.png", tmp_path / "s.json"
    more = ["--damping", "0.02", "--damping", "0.1", "--count", "30", "--out", str(picture), "--json", str(out)]
    assert main(["spectrum", "--record", str(record), *more]) == 0
    text = capsys.readouterr().out
    assert text.count("period (s)") == 2
    assert "shake" in text
    assert picture.stat().st_size > 1000
    found = json.loads(out.read_text())
    want = mflow.response_spectrum(mflow.data.read_record(record), np.geomspace(0.05, 5, 30), 0.1)
    np.testing.assert_allclose(found["spectra"][1]["psa"], want.psa)


def test_a_table_of_two_spectra(record: Path, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    more = ["--damping", "0.02", "--damping", "0.1", "--count", "7", "--no-plot", "--csv", str(out)]
    assert main(["spectrum", "--record", str(record), *more]) == 0
    heads = out.read_text().splitlines()[0].split(",")
    want = mflow.response_spectrum(mflow.data.read_record(record), np.geomspace(0.05, 5, 7), 0.1)
    numbers = np.loadtxt(out, delimiter=",", skiprows=1)
    np.testing.assert_allclose(numbers[:, heads.index("psa at 0.1 (m/s^2)")], want.psa)
    np.testing.assert_allclose(numbers[:, 0], want.periods)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--periods", "2", "1"], "--periods: expected FIRST below LAST"),
        (["--record", "nothing.at2"], "there is no such file"),
        (["--record", os.devnull], "expected a file or a folder, got a device"),
        (["--column", "2"], "expected a column 2, counted from 0"),
    ],
)
def test_mistakes(more: list[str], words: str, record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spectrum", "--record", str(record), "--no-plot", *more]) == 2
    assert words in capsys.readouterr().err


def test_a_column_of_a_text_without_times(tmp_path: Path) -> None:
    a = np.sin(0.06 * np.arange(300))
    path, out = tmp_path / "both.txt", tmp_path / "s.json"
    path.write_text("a0 (g) a1 (g)\n" + "".join(f"{2 * one:.8e} {one:.8e}\n" for one in a))
    given = ["--record", str(path), "--record-dt", "0.01", "--column", "1", "--no-plot"]
    assert main(["spectrum", *given, "--count", "5", "--json", str(out)]) == 0
    want = mflow.response_spectrum(mflow.data.read_record(path, dt=0.01, column=1), np.geomspace(0.05, 5, 5))
    np.testing.assert_allclose(json.loads(out.read_text())["spectra"][0]["psa"], want.psa)
    assert main(["simulate", *given]) == 0


def test_periods_below_what_the_record_holds(record: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spectrum", "--record", str(record), "--no-plot", "--periods", "0.01", "1"]) == 0
    assert "! response_spectrum" in capsys.readouterr().out


def test_the_picture_names_its_curves() -> None:
    plot: Any = mflow.plot
    s = [mflow.response_spectrum((0.01, np.sin(np.linspace(0, 20, 500))), [2.0, 0.5, 1.0], z) for z in (0.02, 0.05)]
    ax = plot.spectrum(s, of="sd", unit="m")
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [0.5, 1.0, 2.0])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["the record, damping 0.02", "the record, damping 0.05"]
    for wrong, error in (([], ValueError), ([1.0], TypeError)):
        with pytest.raises(error, match="spectra"):
            plot.spectrum(wrong)


def test_a_folder_of_records(record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It was refused. Each record's numbers are those it has alone; what is no record is named, and the exit code says so."""
    folder, out, csv = tmp_path / "records", tmp_path / "s.json", tmp_path / "s.csv"
    folder.mkdir()
    (folder / "b.csv").write_text(record.read_text())
    (folder / "a.csv").write_text(record.read_text().replace("(g)", "(m/s2)"))
    given = ["spectrum", "--record", str(folder), "--count", "9", "--json", str(out), "--csv", str(csv)]
    assert main([*given, "--out", str(tmp_path / "s.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == ["a.csv", "b.csv"]
    want = mflow.response_spectrum(mflow.data.read_record(record), np.geomspace(0.05, 5, 9))
    k = int(np.argmax(want.psa))
    assert lines[3].split()[3:] == [f"{want.psa[k] / mflow.data.ground_motion.GRAVITY:.4f}", f"{want.periods[k]:.4g}"]
    np.testing.assert_allclose([s["spectra"][0]["sd"] for s in json.loads(out.read_text())][1], want.sd)
    heads = csv.read_text().splitlines()[0].split(",")
    numbers = np.loadtxt(csv, delimiter=",", skiprows=1)
    np.testing.assert_allclose(numbers[:, heads.index("sv of b.csv at 0.05 (m/s)")], want.sv)
    assert (tmp_path / "s.png").stat().st_size > 1000
    (folder / "notes.txt").write_text("no record\n")
    assert main([*given, "--no-plot"]) == 1
    assert "notes.txt" in (text := capsys.readouterr().out)
    assert "! " in text
    assert len(json.loads(out.read_text())) == 2
    (folder / "empty").mkdir()
    assert main(["spectrum", "--record", str(folder / "empty")]) == 2
    assert "expected a folder with records" in capsys.readouterr().err


def test_a_picture_without_names_says_so(record: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of more than 12 curves; the legend was left out without a word."""
    for count, said in ((12, ""), (13, " (its 13 curves are not named, as they are more than 12; --csv FILE has each with its name)")):
        damping = [text for k in range(1, count + 1) for text in ("--damping", f"{k / 100}")]
        out = str(tmp_path / f"{count}.png")
        assert main(["spectrum", "--record", str(record), "--count", "3", *damping, "--out", out]) == 0
        assert capsys.readouterr().out.endswith(f"Picture of the pseudo-acceleration: {out}{said}\n")
