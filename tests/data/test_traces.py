"""Records without times in their text, and those that ObsPy reads."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mflow.__main__ import main
from mflow.data.ground_motion import GRAVITY, read_record

KNET = """Origin Time       1996/08/11 03:12:00
Lat.              38.920
Long.             140.630
Depth. (km)       7
Mag.              5.9
Station Code      AKT013
Station Lat.      39.6069
Station Long.     140.3213
Station Height(m) 34
Record Time       1996/08/11 03:12:39
Sampling Freq(Hz) 100Hz
Duration Time(s)  59
Dir.              E-W
Scale Factor      2000(gal)/8388608
Max. Acc. (gal)   4.383
Last Correction   1996/08/11 03:00:00
Memo.             .
  -18205   -17995   -17836   -17940   -18086   -18136   -18047   -17988
  -17900   -17911   -18044   -18076   -18075   -17963   -17929   -17958
"""


def written(folder: Path, text: str, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_texts_of_accelerations_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "a record in units of g\nand more\n.1 .2 .3\n-.1E-03-.2E-03 .5\n\nend of data\n")
    motion = read_record(path, dt=0.02, scale=2.0)
    np.testing.assert_allclose(motion.a, 2 * GRAVITY * np.array([0.1, 0.2, 0.3, -1e-4, -2e-4, 0.5]), rtol=1e-15)
    np.testing.assert_allclose(motion.t, 0.02 * np.arange(6), rtol=1e-15)
    np.testing.assert_allclose(read_record(path, dt=0.02, column=1).a, GRAVITY * np.array([0.2, -2e-4]), rtol=1e-15)
    single = written(tmp_path, "1\n-2\n3e0\n", "b.txt")
    np.testing.assert_allclose(read_record(single, "cm/s2", dt=0.1).a, [0.01, -0.02, 0.03], rtol=1e-15)


@pytest.mark.parametrize(
    ("text", "given", "words"),
    [
        ("1\n2\n", {"dt": 0.1}, "found none; give it by unit= or --unit"),
        ("1\n2\n", {"dt": -1.0, "unit": "g"}, "dt: expected a finite number above 0"),
        ("1\n2\n", {"column": 0, "unit": "g"}, "column: expected 1 or above"),
        ("1 2\n3\n", {"dt": 0.1, "column": 1, "unit": "g"}, "line 2: expected a column 1, counted from 0, got 1 columns"),
        ("t, a_g\n0, 1\n1, 2\n", {"dt": 0.1}, "expected None for a record that states its times"),
        ("NPTS= 2, DT= .1 SEC, units of G\n1 2\n", {"dt": 0.1}, "expected None for a record that states its times"),
        ("1\nx\n", {"dt": 0.1, "unit": "g"}, "line 2: expected a finite number, got 'x'"),
        ("disp (cm)\n1\n2\n", {"dt": 0.1, "unit": "g"}, r"got a displacement by its heading, 'disp \(cm\)'"),
        ("d (m)\n1\n2\n", {"dt": 0.1, "unit": "g"}, "got a displacement by its heading"),
        ("PGV cm/s\n1\n2\n", {"dt": 0.1, "unit": "g"}, "got a velocity by its heading"),
        ("a (g), v (m/s)\n1,2\n3,4\n", {"dt": 0.1, "column": 1}, r"got a velocity by its heading, 'v \(m/s\)'"),
        ("a (g), v (m/s)\n1,2\n3,4\n", {"dt": 0.1}, "got a velocity by its heading.*give column="),
        ("DT=0.02\n1\n2\n", {"dt": 0.01, "unit": "g"}, "dt: expected 0.02 s, as the heading of .* states, got 0.01"),
        ("dt (ms): 20\n1\n2\n", {"dt": 20.0, "unit": "g"}, "dt: expected 0.02 s"),
        ("sampling rate 50 Hz\n1\n2\n", {"dt": 0.01, "unit": "g"}, "dt: expected 0.02 s"),
        ("200 samples/sec\n1\n2\n", {"dt": 0.01, "unit": "g"}, "dt: expected 0.005 s"),
        ("a (g)\n1,,3\n4,5,6\n", {"dt": 0.1}, "line 2: expected a number between all commas, got none as number 2"),
        ("1,,2\n3,4,5\n", {"dt": 0.1, "unit": "g", "column": 1}, "line 1: expected a number between all commas"),
        ("a (g)\n1 2 x\n4 5 6\n", {"dt": 0.1}, "line 2: expected numbers, or words of a heading, got 'x' among 2 numbers"),
        ("a (g)\n-0,015\n0,020\n", {"dt": 0.1}, "line 2: expected points as decimal marks, got -0,015"),
        ("a (g)\n1,5 2,5\n3,5 4,5\n", {"dt": 0.1}, "line 2: expected points as decimal marks, got 1,5"),
    ],
)
def test_what_a_text_without_times_must_be(tmp_path: Path, text: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_record(written(tmp_path, text), **given)


@pytest.mark.parametrize(
    ("text", "given", "a"),
    [
        ("DT = 20 msec, units of g\n1, 2,\n3, 4,\n", {"dt": 0.02}, [1, 2, 3, 4]),
        ("a (g), v (m/s)\n1,2\n3,4\n", {"dt": 0.1, "column": 0}, [1, 3]),
        ("El Centro 1940, PGV 30 cm/s, units of g\n1 2 3\n", {"dt": 0.1}, [1, 2, 3]),
        ("sampling rate 60 Hz\nLoma Prieta (M 6.9), 15 km\n1\n2\n", {"dt": 0.0167, "unit": "g"}, [1, 2]),
        ("# 1 2 x\n1,5\n0.1,0.2\n", {"dt": 0.1, "unit": "g"}, [1, 5, 0.1, 0.2]),
    ],
)
def test_headings_that_agree(tmp_path: Path, text: str, given: dict[str, Any], a: list[float]) -> None:
    np.testing.assert_allclose(read_record(written(tmp_path, text), **given).a, GRAVITY * np.array(a), rtol=1e-15)


def test_without_obspy_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "obspy", None)
    for text, words in ((KNET, "a K-NET or KiK-net file"), ("\0\0\0\1", "a binary file")):
        with pytest.raises(ImportError, match=rf"{words} is read by ObsPy: pip install 'momentum-flow\[records\]'"):
            read_record(written(tmp_path, text))
    assert main(["simulate", "--record", str(written(tmp_path, KNET)), "--no-plot"]) == 2
    assert "is read by ObsPy" in capsys.readouterr().err


def test_what_obspy_reads(tmp_path: Path) -> None:
    obspy = pytest.importorskip("obspy")
    motion = read_record(written(tmp_path, KNET, "a.EW"))
    np.testing.assert_allclose(motion.a[:2], np.array([-18205, -17995]) * 2000 / 8388608 / 100, rtol=1e-14)
    assert motion.t[1] == 0.01
    with pytest.raises(ValueError, match="unit: expected 'm/s2'"):
        read_record(written(tmp_path, KNET), "g")
    traces = []
    for channel in ("HNE", "HNN"):
        trace = obspy.Trace(np.array([0.0, 1.0, -2.0]))
        trace.stats.delta, trace.stats.channel = 0.005, channel
        traces.append(trace)
    path = tmp_path / "a.mseed"
    obspy.Stream(traces).write(str(path), "MSEED")
    np.testing.assert_allclose(read_record(path, "cm/s2", channel="HNN").a, [0.0, 0.01, -0.02])
    for given, words in (
        ({}, "got 2: HNE, HNN; give channel="),
        ({"channel": "HNE"}, "expected unit="),
        ({"channel": "Z"}, "got 0 for 'Z'"),
    ):
        with pytest.raises(ValueError, match=words):
            read_record(path, **given)


class Trace(SimpleNamespace):
    """What the reader uses of a trace of ObsPy's."""

    @property
    def id(self) -> str:
        return f".A..{self.stats.channel}"


def trace(data: Any, channel: str, file_format: str, calib: float = 1.0, delta: float = 0.01) -> Trace:
    return Trace(data=data, stats=SimpleNamespace(channel=channel, calib=calib, delta=delta, _format=file_format))


def stand_in(monkeypatch: pytest.MonkeyPatch, traces: list[Trace] | Exception) -> list[bytes]:
    """A module in ObsPy's place whose read gives these traces; the bytes that it has been given."""
    seen: list[bytes] = []

    def read(file: Any) -> list[Trace]:
        seen.append(file.read())
        if isinstance(traces, Exception):
            raise traces
        return traces

    module = ModuleType("obspy")
    module.read = read  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "obspy", module)
    return seen


def test_units_and_steps_of_traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = stand_in(monkeypatch, [trace(np.array([-18205, -17995], dtype=np.int32), "EW", "KNET", calib=2000 / 8388608 / 100)])
    path = written(tmp_path, KNET)
    motion = read_record(path, scale=2.0)
    np.testing.assert_allclose(motion.a, 2 * np.array([-18205, -17995]) * 2000 / 8388608 / 100, rtol=1e-14)
    assert motion.t.tolist() == [0.0, 0.01]
    assert seen == [path.read_bytes()]
    np.testing.assert_array_equal(read_record(path, "m/s2", scale=2.0).a, motion.a)
    with pytest.raises(ValueError, match="unit: expected 'm/s2'"):
        read_record(path, "g")


def test_one_trace_of_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gap = np.ma.masked_array([1.0, 2.0, 3.0], [False, True, False])
    stand_in(
        monkeypatch, [trace(np.array([0.0, 1.0, -2.0]), "HNE", "MSEED", 7.0, 0.005), trace(gap, "HNN", "MSEED"), trace([1], "HNZ", "MSEED")]
    )
    path = tmp_path / "a.mseed"
    path.write_bytes(b"\0\0\1")
    for channel in ("HNE", ".A..HNE"):
        motion = read_record(path, "cm/s2", channel=channel)
        np.testing.assert_allclose(motion.a, [0.0, 0.01, -0.02])  # calib is no unit here
        np.testing.assert_allclose(motion.t, [0.0, 0.005, 0.01])
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"unit": "g"}, "expected one trace, got 3: HNE, HNN, HNZ; give channel="),
        ({"channel": "HNE"}, "expected unit=, since MSEED does not say"),
        ({"channel": "Z"}, "channel: expected one trace of HNE, HNN, HNZ .*got 0 for 'Z'"),
        ({"channel": "HNN", "unit": "g"}, "without gaps, got 3 numbers, 1 of them missing"),
        ({"channel": "HNZ", "unit": "g"}, "expected two or more accelerations without gaps, got 1 numbers"),
    ]
    for given, words in wrong:
        with pytest.raises(ValueError, match=words):
            read_record(path, **given)


def test_what_obspy_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, TypeError("Unknown format"))
    with pytest.raises(ValueError, match=r"expected a record that ObsPy reads, got a K-NET or KiK-net file: Unknown format"):
        read_record(written(tmp_path, KNET))
