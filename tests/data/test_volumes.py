"""Volumes of strong-motion networks, written here from the published tables by a writer that shares nothing with the reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mflow.data.ground_motion import GRAVITY, read_record

A = np.array([1.25, -2000.5, 3.0, -0.0625, 12345.678, -9.5, 0.0, 4.0, -1.0, 2.5, 7.0])


def fortran(values: Any, per_line: int, cell: Callable[[Any], str]) -> str:
    cells = [cell(value) for value in values]
    return "".join("".join(cells[k : k + per_line]) + "\n" for k in range(0, len(cells), per_line))


def cosmos(
    data: np.ndarray, quantity: int = 1, unit: str = "cm/sec2 (04)", *, channel: int = 1, step_ms: float = 5.0, version: int = 120,
    comments: tuple[str, ...] = ("|<SCNL>BK.OAKV.HNE.--   <AUTH> 2020", "| processed"), announced: int | None = None,
    words: str = "acceleration pts, approx   0 secs", per_line: int = 8, recorder: float = -999.0, code: int = 4,
) -> str:  # fmt: skip
    integers, reals = [-999] * 100, [-999.0] * 100
    integers[:5] = [2, quantity, code, version, 1]
    integers[49], integers[53] = channel, 90
    reals[61], reals[33], reals[63] = step_ms, recorder, float(np.max(np.abs(data)))
    count = len(data) if announced is None else announced
    return (
        f"Corrected {words.split(maxsplit=1)[0]}   (Format v01.20 with 13 text lines)\n"
        + "".join(f"line {k}: A PLACE, 12 KM, MAGNITUDE 6.1\n" for k in range(2, 13))
        + "Values used when parameter or data value is unknown/unspecified:  -999, -999.0\n"
        + " 100 Integer-header values follow on  10 lines, Format= (10I8)\n"
        + fortran(integers, 10, lambda v: f"{v:8d}")
        + " 100 Real-header values follow on  20 lines, Format= (5F15.6)\n"
        + fortran(reals, 5, lambda v: f"{v:15.6f}")
        + (f'{len(comments):4d} Comment line(s) follow, each starting with a "|":\n' if comments else "")
        + "".join(f"{line}\n" for line in comments)
        + f"{count:8d} {words}, units={unit},Format=({per_line}F10.3)\n"
        + fortran(data, per_line, lambda v: f"{v:10.3f}")
        + f"End-of-data for chan {channel} acceleration\n"
    )


def smc(data: np.ndarray, *, title: str = "2 CORRECTED ACCELEROGRAM", count: int | None = None, comments: int = 2, rate: float = 200.0,
        cell: Callable[[float], str] = lambda v: f"{v:10.4f}") -> str:  # fmt: skip
    integers, reals = [-32768] * 48, [1.7e38] * 50
    integers[1:6], integers[15], integers[16], reals[1] = [1994, 17, 12, 30, 55], comments, len(data) if count is None else count, rate
    return (
        f"{title}\n*\n"
        + "".join(f"line {k}\n" for k in range(3, 12))
        + fortran(integers, 8, lambda v: f"{v:10d}")
        + fortran(reals, 5, lambda v: f"{v:15.7E}")
        + "".join(f"| comment {k}\n" for k in range(comments))
        + fortran(data, 8, cell)
    )


def esm(data: np.ndarray, **keys: Any) -> str:
    head = {
        "EVENT_NAME": "NORTHERN_ITALY", "EVENT_ID": "IT-1976-0002", "MAGNITUDE_L": "", "VS30_M/S": "", "SAMPLING_INTERVAL_S": "0.005000",
        "NDATA": len(data), "STREAM": "HNE", "UNITS": "cm/s^2", "INSTRUMENT_ANALOG/DIGITAL": "D", "PGA_CM/S^2": "-12.5",
        "DATA_TYPE": "ACCELERATION", "HEADER_FORMAT": "DYNA 1.2", "USER5": "",
    }  # fmt: skip
    return "".join(f"{key}: {value}\n" for key, value in (head | keys).items()) + "".join(f"{v:.6f}\n" for v in data)


def csmip(data: np.ndarray, quantities: tuple[str, ...] = ("accel", "veloc", "displ"), channel: int = 3) -> str:
    text = "Corrected accelerogram      Chan  3:  90 Deg\n".replace("3:", f"{channel}:") + "".join(f"header {k}\n" for k in range(2, 26))
    for quantity in quantities:
        unit = {"accel": "cm/sec2", "veloc": "cm/sec", "displ": "cm"}[quantity]
        text += f"{len(data):5d} points of {quantity} data equally spaced at  .020 sec, in {unit}. (8f10.3)\n"
        text += fortran(data, 8, lambda v: f"{v:10.3f}")
    return text + f"/&  ---------- End of data for channel  {channel} ----------\n"


def written(folder: Path, text: str, name: str = "a.v2") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("per_line", [8, 1])
@pytest.mark.parametrize("name", ["a.v1", "a.V2", "a.v1c", "a.V2C"])
def test_cosmos(tmp_path: Path, name: str, per_line: int) -> None:
    motion = read_record(written(tmp_path, cosmos(A, per_line=per_line), name), scale=2.0)
    np.testing.assert_allclose(motion.a, 0.02 * np.round(A, 3), rtol=1e-14)
    np.testing.assert_allclose(motion.t, 0.005 * np.arange(A.size), rtol=1e-14)
    np.testing.assert_allclose(read_record(written(tmp_path, cosmos(A), name), "cm/s2").a, 0.01 * np.round(A, 3), rtol=1e-14)


def test_one_channel_of_a_cosmos_file(tmp_path: Path) -> None:
    parts = [
        part
        for k, code in ((1, "HNE"), (2, "HNN"))
        for part in (
            cosmos(k * A, channel=k, comments=(f"|<SCNL>BK.OAKV.{code}.--",)),
            cosmos(A, 2, "cm/sec (05)", channel=k, words="velocity pts, approx 0 secs", code=5),
            cosmos(A, 3, "cm (06)", channel=k, words="displacement pts, approx 0 secs", code=6),
        )
    ]
    path = written(tmp_path, "".join(parts))
    for channel in ("2", "HNN", "BK.OAKV.HNN.--"):
        np.testing.assert_allclose(read_record(path, channel=channel).a, 0.01 * np.round(2 * A, 3), rtol=1e-14)
    with pytest.raises(ValueError, match=r"expected one channel, got 2: 1/BK.OAKV.HNE.--/HNE, 2/.*; give channel="):
        read_record(path)
    with pytest.raises(ValueError, match=r"channel: expected one of 1/.* got 'HNZ'"):
        read_record(path, channel="HNZ")
    only_velocity = written(tmp_path, parts[1])
    with pytest.raises(ValueError, match="expected accelerations in a COSMOS file, got none of them"):
        read_record(only_velocity)


def test_units_and_steps_of_cosmos_files(tmp_path: Path) -> None:
    for text, factor, step in (
        (cosmos(A, unit="g (02)", code=2), GRAVITY, 0.005),
        (cosmos(A, unit="mg (11)", code=11), GRAVITY / 1000, 0.005),
        (cosmos(A, unit="(04)"), 0.01, 0.005),
        (cosmos(A, unit="cm/s/s     ", version=100, code=3, comments=()), 0.01, 0.005),
        (cosmos(A, step_ms=-999.0, words="acceleration pts at  200 pts/sec"), 0.01, 0.005),
        (cosmos(A, step_ms=-999.0, recorder=0.01), 0.01, 0.01),
        (cosmos(A, recorder=0.01), 0.01, 0.005),
    ):
        motion = read_record(written(tmp_path, text))
        np.testing.assert_allclose(motion.a, factor * np.round(A, 3), rtol=1e-14)
        np.testing.assert_allclose(motion.t[1], step, rtol=1e-14)


def test_columns_that_touch(tmp_path: Path) -> None:
    wide = np.array([-12345.678, -23456.789, 12345.678, -1.0])
    for text in (cosmos(wide), smc(wide, cell=lambda v: f"{v:10.3f}")):
        assert "-12345.678-23456.789 12345.678" in text
        np.testing.assert_allclose(read_record(written(tmp_path, text)).a, 0.01 * wide, rtol=1e-14)
    full = np.array([123456.789, 234567.891])
    np.testing.assert_allclose(read_record(written(tmp_path, cosmos(full))).a, 0.01 * full, rtol=1e-14)


@pytest.mark.parametrize(("title", "comments"), [("2 CORRECTED ACCELEROGRAM", 2), ("1 UNCORRECTED ACCELEROGRAM", 0)])
def test_smc(tmp_path: Path, title: str, comments: int) -> None:
    small = A / 100
    motion = read_record(written(tmp_path, smc(small, title=title, comments=comments), "a.smc"))
    np.testing.assert_allclose(motion.a, 0.01 * np.round(small, 4), rtol=1e-14)
    np.testing.assert_allclose(motion.t, np.arange(A.size) / 200, rtol=1e-14)


def test_esm(tmp_path: Path) -> None:
    motion = read_record(written(tmp_path, esm(A) + "\n", "a.asc"))
    np.testing.assert_allclose(motion.a, 0.01 * A, rtol=1e-14)
    assert motion.t[1] == 0.005
    np.testing.assert_allclose(read_record(written(tmp_path, esm(A, UNITS="g"), "a.asc"), channel="HNE").a, GRAVITY * A, rtol=1e-14)


def test_csmip(tmp_path: Path) -> None:
    motion = read_record(written(tmp_path, csmip(A)))
    np.testing.assert_allclose(motion.a, 0.01 * np.round(A, 3), rtol=1e-14)
    np.testing.assert_allclose(motion.t, 0.02 * np.arange(A.size), rtol=1e-14)
    both = written(tmp_path, csmip(A) + csmip(2 * A, channel=12))
    np.testing.assert_allclose(read_record(both, channel="12").a, 0.01 * np.round(2 * A, 3), rtol=1e-14)
    with pytest.raises(ValueError, match="expected one channel, got 2: 3, 12"):
        read_record(both)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    (cosmos(A, announced=12), {}, "line 51: expected values 9 to 12 of 12 in a COSMOS file, got an empty column"),
    (cosmos(A, announced=8), {}, "expected 8 values, as is announced, in a COSMOS file, got more"),
    (cosmos(A).rsplit("\n", 3)[0], {}, "expected 11 values in a COSMOS file, got 8; check that the file is complete"),
    (cosmos(A, unit="counts (50)", code=50), {}, "expected a unit of acceleration in a COSMOS file, got counts"),
    (cosmos(A, unit="g (04)"), {}, "expected one unit in a COSMOS file, got g and the code of cm/s2"),
    (cosmos(A), {"unit": "g"}, "unit: expected 'cm/s2', as .* states, got 'g'; omit unit"),
    (cosmos(A), {"dt": 0.01}, "dt: expected None for a COSMOS file"),
    (cosmos(A, step_ms=-999.0), {}, "expected the step of the data .* got none"),
    (cosmos(A, words="acceleration pts at 100 pts/sec"), {}, r"got 0.005 s \(real 62\) and 0.01 s \(pts/sec\)"),
    (cosmos(A, words="acceleration pts, approx 55 secs"), {}, "expected some 55 s of data in a COSMOS file, got 11 values 0.005 s apart"),
    (cosmos(A, comments=("|ok", "no bar")), {}, "expected 2 comments that begin with | in a COSMOS file, got 'no bar'"),
    (cosmos(A).replace("-0.062", "      "), {}, "got an empty column, a missing value"),
    (cosmos(A).replace("-0.062", "   NaN"), {}, "expected values 1 to 8 of 11 in a COSMOS file, got 'NaN'"),
    (cosmos(A).replace("Real-header", "Other"), {}, "expected a line that announces reals in a COSMOS file"),
    (smc(A, count=12), {}, "expected values 9 to 12 of 12 in an SMC file, got"),
    (smc(A, count=3), {}, "line 30: expected values 1 to 3 of 3 in an SMC file"),
    (smc(A, title="3 VELOCITY"), {}, "line 1: expected an accelerogram in an SMC file, got '3 VELOCITY'"),
    (smc(A, rate=1.7e38), {}, r"expected samples a second \(real 2\) in an SMC file, got none"),
    (smc(A, cell=lambda v: f"{1.7e38 if v == 0.0 else v:10.3G}"), {}, "values without gaps in an SMC file, got 1 that are missing"),
    (smc(A).replace("| comment 1", "comment 1"), {}, "expected 2 comments that begin with | in an SMC file, got 'comment 1'"),
    (esm(A, NDATA=12), {}, "expected NDATA: 12 values in an ESM"),
    (esm(A, DATA_TYPE="VELOCITY"), {}, "expected DATA_TYPE: ACCELERATION in an ESM .* got VELOCITY"),
    (esm(A, SAMPLING_INTERVAL_S=""), {}, "expected SAMPLING_INTERVAL_S above 0"),
    (esm(A, UNITS="cm"), {}, "expected a unit of acceleration in an ESM"),
    (esm(A).replace("3.000000", "three"), {}, "line 16: expected values 3 to 3 of 11 in an ESM .* got 'three'"),
    (csmip(A, ("veloc",)), {}, "expected accelerations in a CSMIP volume 2, got none of them"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(WRONG)))
def test_what_a_volume_must_be(tmp_path: Path, case: int) -> None:
    text, given, words = WRONG[case]
    with pytest.raises(ValueError, match=words):
        read_record(written(tmp_path, text), **given)
