"""Records of ground motion: units where they stand, contradictions, and what is no acceleration in time."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mflow.data import ground_motion
from mflow.data.ground_motion import GRAVITY, GroundMotion, read_record

VALUES = np.array([1.0, -2.0, 3.0, 0.0, -4.0, 5.0])
IN_WORDS = {"g": GRAVITY, "m": 1.0, "cm": 0.01, "mm": 1e-3, "in": 0.0254, "ft": 0.3048}


def at2(
    third: str = "ACCELERATION TIME SERIES IN UNITS OF G", sizes: str = "NPTS=  6, DT= .0100 SEC", end: str = "", begin: str = ""
) -> str:
    head = f"PEER NGA STRONG MOTION DATABASE RECORD\nNowhere (15 km), 1/1/2000, Station, 180\n{third}\n{begin}{sizes}\n"
    return head + "  1.0 -.2000E+01  3.0  .0000E+00  -0.4D1\n  5.000\n" + end


def read(folder: Path, text: str, name: str = "r.at2", unit: str | None = None) -> Any:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_record(path, unit)


@pytest.mark.parametrize(
    ("third", "factor"),
    [
        ("ACCELERATION TIME SERIES IN UNITS OF G", "g"),
        ("ACCELERATION TIME HISTORY IN UNITS OF G. FILTER POINTS: HP=0.2 Hz LP=40.0 Hz", "g"),
        ("The units are (g)", "g"),
        ("Acceleration in g", "g"),
        ("ACCELERATION (G)", "g"),
        ("UNITS: g", "g"),
        ("units = G", "g"),
        ("ACCELERATION TIME SERIES IN M/S/S", "m"),
        ("ACCELERATION TIME SERIES IN UNITS OF M/S**2", "m"),
        ("Acceleration in m/s^2", "m"),
        ("ACCELERATION IN M/SEC/SEC", "m"),
        ("acc (m/s²)", "m"),
        ("UNITS: M/SEC2", "m"),
        ("acceleration [m s-2]", "m"),
        ("ACCELERATION TIME SERIES IN CM/SEC/SEC", "cm"),
        ("ACCELERATION (CM/S**2)", "cm"),
        ("UNITS: CM/S/S", "cm"),
        ("UNITS OF CM / SEC / SEC", "cm"),
        ("ACC. IN GALS", "cm"),
        ("Unit: cm/sec^2", "cm"),
        ("ACCELERATION IN UNITS OF MM/S/S", "mm"),
        ("ACCELERATION IN IN/S/S", "in"),
        ("ACCELERATION TIME SERIES IN UNITS OF IN/SEC/SEC", "in"),
        ("UNITS: FT/SEC2", "ft"),
        ("SPECTRUM COMPATIBLE ACCELERATION TIME HISTORY IN UNITS OF G", "g"),
    ],
)
def test_units_of_at2_stand_anywhere_in_the_header(tmp_path: Path, third: str, factor: str) -> None:
    motion = read(tmp_path, at2(third))
    np.testing.assert_allclose(motion.a, IN_WORDS[factor] * VALUES, rtol=1e-15)
    np.testing.assert_allclose(motion.t, 0.01 * np.arange(6), rtol=1e-15)


@pytest.mark.parametrize(
    ("sizes", "dt"),
    [
        ("NPTS= 6, DT= 5.0 MSEC", 0.005),
        ("NPTS= 6, DT= 5.0 ms", 0.005),
        ("NPTS= 6, DT= 5.0MSEC", 0.005),
        ("NPTS=6, DT (MSEC) = 5", 0.005),
        ("NPTS = 6, DT = 5 milliseconds", 0.005),
        ("6 5.0 NPTS, DT (msec)", 0.005),
        ("6 0.0050 NPTS, DT", 0.005),
        ("6 .005 NPTS, DT SEC", 0.005),
        ("NPTS=   6, DT=   .0050 SEC,", 0.005),
        ("DT= .005 SEC, NPTS= 6", 0.005),
        ("NPTS= 6 DT= .0050", 0.005),
        ("NPTS: 6, DT: .0050 (s)", 0.005),
        ("NPTS= 6, DT= .0050 SEC, HP= 0.1", 0.005),
        ("NPTS= 6, DT= .005 UNITS: G", 0.005),
    ],
)
def test_the_unit_of_dt(tmp_path: Path, sizes: str, dt: float) -> None:
    np.testing.assert_allclose(read(tmp_path, at2(sizes=sizes)).t, dt * np.arange(6), rtol=1e-15)


def test_the_record_of_el_centro_with_its_marks(tmp_path: Path) -> None:
    """As it is handed around: marks before NPTS, or behind it, and after the data."""
    third = "Points are listed in the format of 8F10.5, i.e., 8 points across in\na row with 5 decimal places\nThe units are (g)"
    for name in ("elCentro.at2", "elCentro.AT2", "elCentro.acc"):
        motion = read(tmp_path, at2(third, begin="*** Begin data ***\n", end="*** End Data ***\n"), name)
        np.testing.assert_allclose(motion.a, GRAVITY * VALUES, rtol=1e-15)
    for end in ("*** END OF DATA ***\n\n", "END\n", "*** End Data ***\nmore words\n"):
        assert read(tmp_path, at2(sizes="NPTS= 6, DT= .01 SEC\n*** Begin data ***", end=end)).a.size == 6
    with pytest.raises(ValueError, match="expected NPTS = 7 accelerations, got 6"):
        read(tmp_path, at2(sizes="NPTS= 7, DT= .01", end="*** End Data ***\n"))


@pytest.mark.parametrize(
    ("text", "unit", "words"),
    [
        (at2("Component 180"), None, "expected a header with the unit of the accelerations, found none; give it by unit="),
        (at2(), "m/s2", "unit: expected 'g', as .* states, got 'm/s2'"),
        (at2("UNITS: CM/S/S"), "g", "unit: expected 'cm/s2', as"),
        (at2("ACCELERATION IN IN/S/S"), "g", "unit: expected 'in/s2'"),
        (at2("ACCELERATION IN UNITS OF G (CM/S**2)"), None, "expected one unit of acceleration in its header, got g and cm/s2"),
        (at2("ACCELERATION IN UNITS OF FURLONG"), "g", "got units of FURLONG"),
        (at2("UNITS: COUNTS"), "g", "got units of COUNTS"),
        (at2("ACCELERATION TIME SERIES IN FURLONGS"), None, "got units of FURLONGS"),
        (at2("ACCELERATION IN VOLTS"), "g", "got units of VOLTS"),
        (at2("ACCELERATION (FURLONGS)"), "g", "got units of FURLONGS"),
        (at2("IN COUNTS"), "g", "got units of COUNTS"),
        (at2("ACCELERATION TIME HISTORY (DIGITAL UNITS)"), None, "got units of DIGITAL UNITS"),
        (at2("ACCELERATION, RAW COUNTS"), None, "got units of COUNTS"),
        (at2("ACCELERATION IN KM/S/S"), "g", "got units of KM/S/S"),
        (at2("ACCELERATION [yd/s2]"), "g", "got units of yd/s2"),
        (at2("VELOCITY TIME SERIES IN UNITS OF CM/S"), None, "got a velocity"),
        (at2("DISPLACEMENT TIME HISTORY IN CM"), None, "got a displ"),
        (at2("TIME SERIES IN UNITS OF CM/S"), None, "got a velocity in cm/s"),
        (at2("UNITS OF CM"), "g", "got a displacement in cm"),
        (at2("VELOCITY IN CM/SEC"), "cm/s2", "got a velocity"),
        (at2("PSEUDO-ACCELERATION RESPONSE SPECTRUM, 5 % DAMPING, UNITS OF G"), None, "got a spectrum"),
        (at2("FOURIER AMPLITUDE SPECTRUM IN UNITS OF G"), None, "got a spectrum"),
        (at2("SPECTRAL ACCELERATION IN G"), None, "got a spectrum"),
        (at2("FOURIER AMPLITUDE OF ACCELERATION IN UNITS OF G"), None, "got a spectrum"),
        (at2("Sa (g) vs period"), None, "got a spectrum"),
        (at2("ARIAS INTENSITY IN UNITS OF G"), None, "got an Arias intensity"),
        (at2("HUSID PLOT OF ACCELERATION IN UNITS OF G"), None, "got what is made of accelerations"),
        (at2("AUTOCORRELATION OF ACCELERATION TIME SERIES IN UNITS OF G"), None, "got what is made of accelerations"),
        (at2(sizes="NPTS= 6, DT= .02 SEC. CM/S/S"), None, "expected one unit of acceleration in its header, got g and cm/s2"),
        (at2(sizes="NPTS= 6, DT= .02 SEC, DT=.01"), None, "line 4: expected one DT, got .02 and 0.01"),
        (at2(sizes="NPTS= 6, DT= 200 HZ"), None, "line 4: expected DT in sec or msec, got HZ"),
        (at2(sizes="NPTS= 6, DT (SEC) = 5 MSEC"), None, "line 4: expected DT in sec or msec, got SEC and MSEC"),
        (at2(sizes="NPTS= 6, DT= 5 MOONS"), None, "expected DT in sec or msec, got MOONS"),
    ],
)
def test_what_an_at2_file_contradicts(tmp_path: Path, text: str, unit: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(tmp_path, text, unit=unit)


@pytest.mark.parametrize(
    "comment",
    [
        "VELOCITY IS THE INTEGRAL OF THIS",
        "HUSID ST STATION",
        "FOURIER TRANSFORM OF RECORD FILTERED",
        "THE INTEGRAL OF THE ACCELERATION FOLLOWS",
    ],
)
def test_a_comment_on_what_else_was_made_of_a_record(tmp_path: Path, comment: str) -> None:
    motion = read(tmp_path, at2(f"{comment}\nACCELERATION TIME HISTORY IN UNITS OF G"))
    np.testing.assert_allclose(motion.a, GRAVITY * VALUES, rtol=1e-15)


def test_a_caller_names_the_unit_of_an_at2_file_without_one(tmp_path: Path) -> None:
    np.testing.assert_allclose(read(tmp_path, at2("Component 180"), unit="cm/s2").a, 0.01 * VALUES, rtol=1e-15)
    assert read(tmp_path, at2("UNITS: CM/S/S"), unit="cm/s2").peak == pytest.approx(0.05)
    np.testing.assert_allclose(read(tmp_path, at2("Component 180"), unit="mg").a, 9.80665e-3 * VALUES, rtol=1e-15)
    np.testing.assert_allclose(read(tmp_path, at2("Component 180"), unit="gal").a, 0.01 * VALUES, rtol=1e-15)
    assert read(tmp_path, at2("UNITS: CM/S/S"), unit="gal").peak == pytest.approx(0.05)


@pytest.mark.parametrize("suffix", ["VT2", "dt2"])
def test_velocities_and_displacements_by_name(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(ValueError, match=r"expected a record of the acceleration \(AT2\), got a"):
        read(tmp_path, at2("Component 180"), f"r.{suffix}", "g")


@pytest.mark.parametrize(
    ("heading", "unit", "dt", "factor"),
    [
        ("t (ms), acc (cm/s2)", None, 1e-3, "cm"),
        ("t [msec]\tacc [g]", None, 1e-3, "g"),
        ("time (s), acceleration (g)", None, 1.0, "g"),
        ("t_ms,acc_g", None, 1e-3, "g"),
        ("time_s,acceleration_ms2", None, 1.0, "m"),
        ("t/s, a/(m/s^2)", None, 1.0, "m"),
        ("Time (seconds)   Accel. (in/s/s)", None, 1.0, "in"),
        ("# t (ms), a (cm/s**2)", None, 1e-3, "cm"),
        ("t (s) a (gal)", None, 1.0, "cm"),
        ("t (\u00b5s), a (g)", None, 1e-6, "g"),
        ("time,acc", "m/s2", 1.0, "m"),
        ("t (ms),acc", "g", 1e-3, "g"),
        ("# El Centro, velocity sensor removed\nt (s),a (g)", None, 1.0, "g"),
        ("# UNITS: CM/S/S\nt,a", None, 1.0, "cm"),
        ("\ufefftime (s),a (m/s/s)", "m/s2", 1.0, "m"),
        ("\ufeff# nothing", "g", 1.0, "g"),
        ("time in ms, acc in g", None, 1e-3, "g"),
        ("t_ms;acc_cm_s2", None, 1e-3, "cm"),
        ("# matched to a response spectrum\ntime (s), a (g)", None, 1.0, "g"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*times without a unit are seconds")
def test_headings_of_tables(tmp_path: Path, heading: str, unit: str | None, dt: float, factor: str) -> None:
    motion = read(tmp_path, f"{heading}\n0 1\n10 -2\n20 3\n", "r.csv", unit)
    np.testing.assert_allclose(motion.t, dt * np.array([0.0, 10.0, 20.0]), rtol=1e-15)
    np.testing.assert_allclose(motion.a, IN_WORDS[factor] * VALUES[:3], rtol=1e-15)


@pytest.mark.parametrize(
    ("heading", "unit", "words"),
    [
        ("t (s), acc (cm/s2)", "g", "unit: expected 'cm/s2', as .* states, got 'g'"),
        ("# t (s), a (m/s2)", "g", "unit: expected 'm/s2'"),
        ("t (s), acc_g", "m/s2", "unit: expected 'g'"),
        ("# units: cm/s/s\nt (s), a (g)", None, "one unit of acceleration in its heading"),
        ("# t (ms), a (g)\nt (s), a (g)", None, "expected one unit of time in its heading, got ms and s"),
        ("T (s), Sa (g)", None, "got a spectrum: the second column is 'Sa"),
        ("Period (s), acc (g)", None, "got a spectrum: its first column"),
        ("frequency (Hz), a (g)", None, "got a spectrum"),
        ("T, PSA", "g", "got a spectrum"),
        ("t (s), jerk (g/s)", None, "accelerations in the second column, got 'jerk"),
        ("t (s), da (m/s^3)", "m/s2", "accelerations in the second column"),
        ("t (s), acceleration (rad/s2)", "m/s2", "expected a heading with the unit"),
        ("sample, a (g)", None, "time in s or ms in the first column, under a heading such as t .s., got 'sample'"),
        ("day, a (g)", None, "time in s or ms in the first column"),
        ("index a_g", None, "time in s or ms in the first column"),
        ("T_s,SA_g", None, "got a spectrum"),
        ("Tn (s), A (g)", None, "got a spectrum"),
        ("T_n (s), a (g)", None, "got a spectrum"),
        ("T (s), response acceleration (g)", None, "got a spectrum"),
        ("# T (s), Sa (g)", None, "got a spectrum"),
        ("Damped response spectrum, El Centro", "g", "got a spectrum"),
        ("# Response Spectrum", "g", "got a spectrum"),
        ("t (s), v (cm/s)", "cm/s2", r"expected accelerations in the second column, got 'v \(cm/s\)'"),
        ("t, velocity", "g", "expected accel"),
        ("t (s), d (cm)", "g", "expected accelerations in the second column"),
        ("t v_cm/s", "g", "expected accelerations in the second"),
        ("acc (g), t (s)", None, "expected time in the first column"),
        ("n (samples), a (g)", None, "expected time in s or ms"),
        ("t (s), a (counts)", None, "expected a heading with the unit of the accelerations"),
        ("t (s), a (counts)", "g", "got units of counts"),
        ("# raw data in volts\nt (ms), a", "g", "got units of volts"),
    ],
)
def test_headings_that_contradict(tmp_path: Path, heading: str, unit: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(tmp_path, f"{heading}\n0 1\n10 -2\n20 3\n", "r.csv", unit)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.v1", "Uncorrected Accelerogram Data    Processed: 10/20/89\n", "a CSMIP volume 1"),
        ("a.csv", "SITE CODE= 47401WAKKANAI\nLAT.=   45.4150\n SAMPLING RATE= 100Hz\nUNIT  = gal(cm/s/s)\nNS,UD,EW\n", "a JMA file"),
    ],
)
def test_other_formats_are_named(tmp_path: Path, name: str, text: str, words: str) -> None:
    with pytest.raises(
        ValueError, match=f"expected an AT2 file, a table of time and acceleration or a format that ObsPy reads, got {words}"
    ):
        read(tmp_path, text + "0 1\n1 2\n", name, "g")


@pytest.mark.parametrize(
    "tail", ["", "\n", "\n  end of record\n", "\n\nDigitised by hand, 1971; see the report, page 12\nfiltered 0.1 to 25 Hz\n"]
)
@pytest.mark.parametrize("head", ["NPTS=   8, DT=   .0050 SEC,", "NPTS: 8, DT: 0.005 sec", "8 0.005 NPTS, DT"])
def test_columns_that_touch_and_remarks_after_the_values(tmp_path: Path, head: str, tail: str) -> None:
    path = tmp_path / "shake.acc"
    path.write_text(
        f"PEER\nA PLACE\nACCELERATION TIME SERIES IN UNITS OF G\n{head}\n  .1E-03-.2E-03 0.3E-03-0.4E-03\n -.5-.6+.7D+00-8.E-01{tail}"
    )
    motion = read_record(path)
    np.testing.assert_allclose(motion.a / GRAVITY, [1e-4, -2e-4, 3e-4, -4e-4, -0.5, -0.6, 0.7, -0.8], rtol=1e-15)
    np.testing.assert_allclose(motion.t, 0.005 * np.arange(8))


def test_surplus_values_and_words_among_them_are_still_wrong(tmp_path: Path) -> None:
    path = tmp_path / "shake.at2"
    for rows, words in (("1 2 3\n4", "expected NPTS = 3 accelerations, got 4"), ("1 2\nnothing\n3", "line 5: expected a finite number")):
        path.write_text(f"ACCELERATION IN UNITS OF G\n\nNPTS= 3, DT= .01\n{rows}\n")
        with pytest.raises(ValueError, match=words):
            read_record(path)


@pytest.mark.parametrize(
    ("third", "factor"),
    [("ACCELERATION TIME SERIES IN UNITS OF M S-2", 1.0), ("ACCELERATION cm s-2", 0.01), ("ACC (mm s-2)", 1e-3), ("UNITS: m s^-2", 1.0)],
)
def test_powers_of_the_second_are_read(tmp_path: Path, third: str, factor: float) -> None:
    """ "M S-2" was "a displacement in m"."""
    assert read(tmp_path, at2(third)).peak == pytest.approx(5.0 * factor)


def test_a_sentence_about_units_states_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unit of the accelerations, found none"):
        read(tmp_path, at2("ACCELERATION, no unit at all"))


@pytest.mark.parametrize("heading", ["a (g) x 10", "a (g) *10", "a (g)/10", "10 x (g)"])
def test_a_factor_beside_a_unit_is_refused(tmp_path: Path, heading: str) -> None:
    with pytest.raises(ValueError, match="got a factor"):
        read(tmp_path, f"t (s),{heading}\n0,0\n0.1,1\n0.2,0\n", "r.csv")


@pytest.mark.parametrize(
    "heading",
    ["t (s), jerk (g/s)", "t (s), a (g/s)", "sample, a (g)", "day, a (g)", "index, a (g)", "No., a (g)", "t (h), a (g)", "n, a (g)"],
)
def test_what_is_no_acceleration_in_seconds_is_refused(tmp_path, heading):
    (tmp_path / "r.csv").write_text(f"{heading}\n0,0\n1,.1\n2,0\n")
    with pytest.raises(ValueError, match=r"expected (time in s or ms|accelerations|a heading|accelerations in the second column)"):
        read_record(tmp_path / "r.csv")


def test_numbers_in_groups_are_no_numbers(tmp_path):
    (tmp_path / "r.csv").write_text("t (s), a (g)\n0,0\n1,1_0\n2,0\n")
    with pytest.raises(ValueError, match="line 3: expected a finite number, got '1_0'"):
        read_record(tmp_path / "r.csv")


def test_one_column_of_accelerations_is_read_with_dt(tmp_path: Path) -> None:
    """The error names what reads it; a row of a table that lacks its value has no such way out."""
    file = tmp_path / "column.txt"
    file.write_text("0.5\n1.0\n0.25\n")
    with pytest.raises(ValueError, match=r"line 1: expected two columns, .*, got 1; .* the time between them, dt="):
        read_record(file, unit="g")
    assert read_record(file, unit="g", dt=0.02).a.tolist() == [0.5 * GRAVITY, GRAVITY, 0.25 * GRAVITY]
    file.write_text("0,0.5\n0.1,\n")
    with pytest.raises(ValueError, match=r"line 2: expected two columns, .*, got 1$"):
        read_record(file, unit="g")


def test_what_never_ends_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if Path("/dev/zero").exists():  # read without end where nothing looks at it
        with pytest.raises(ValueError, match="expected a file with a record, got a device"):
            read_record("/dev/zero")
    monkeypatch.setattr(ground_motion, "LONGEST", 1 << 20)
    with open(tmp_path / "long.csv", "wb") as file:
        file.truncate((1 << 20) + 1)
    with pytest.raises(ValueError, match=r"long\.csv: expected a record of at most 1 MB, got more"):
        read_record(tmp_path / "long.csv")


def test_an_empty_file_and_one_without_line_ends(tmp_path: Path) -> None:
    for text in ("", " \n\n"):
        with pytest.raises(ValueError, match="expected two or more accelerations, got 0: the file is empty"):
            read(tmp_path, text, "r.csv")
    with pytest.raises(ValueError, match="expected lines of at most 16 MB, got one of 17 MB"):
        read(tmp_path, "1 " * (17 << 19), "r.csv", unit="g")


def test_a_record_times_a_factor() -> None:
    record = GroundMotion("pulse", np.array([0.0, 0.1]), np.array([1.0, -2.0]))
    for scaled in (1.5 * record, record * 1.5):
        assert scaled.a.tolist() == [1.5, -3.0]
        assert scaled.t is record.t
    assert (-record).a.tolist() == [-1.0, 2.0]
    assert (record / 2.0).a.tolist() == [0.5, -1.0]
    with pytest.raises(TypeError, match="factor"):
        record * "2"


@pytest.mark.parametrize(
    "head",
    [
        "# time in milliseconds\nt, a (g)\n", "# Units of time: ms\nt, a (g)\n", "# acceleration in g, time in ms\n",
        "# t is in msec\nt, a (g)\n",
        "# Time unit = ms; acceleration unit = g\n", "# units: ms, g\nt, a (g)\n", "# times are given in milliseconds\nt, a (g)\n",
    ],
)  # fmt: skip
def test_units_of_time_in_words_about_the_file(tmp_path: Path, head: str) -> None:
    assert read(tmp_path, head + "0,.1\n10,.2\n20,.3\n", "r.csv").t.tolist() == [0.0, 0.01, 0.02]


@pytest.mark.filterwarnings("ignore:.*times without a unit are seconds")
@pytest.mark.parametrize("head", ["# origin time 12:01\n", "# recorded at the same time in Memphis\n", "# 3 ms of pretrigger\n"])
def test_words_that_state_no_unit_of_time(tmp_path: Path, head: str) -> None:
    assert read(tmp_path, head + "t, a (g)\n0,.1\n10,.2\n", "r.csv").t.tolist() == [0.0, 10.0]


def test_contradictions_of_time_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected one unit of time in its heading, got ms and s"):
        read(tmp_path, "# time in ms\nt (s), a (g)\n0,.1\n10,.2\n", "r.csv")
    with pytest.raises(ValueError, match=r"its heading states a step of 0\.01 s, its times are 10 s apart"):
        read(tmp_path, "# dt = 10 ms\nt, a (g)\n0,.1\n10,.2\n", "r.csv")
    assert read(tmp_path, "# dt = 10 ms\nt, a (g)\n0,.1\n.01,.2\n", "r.csv").t.tolist() == [0.0, 0.01]


def test_a_table_of_components_takes_the_column(tmp_path):
    file = tmp_path / "four.csv"
    file.write_text("Time (s),NS (g),EW (cm/s2),disp (cm)\n0,1,200,3\n0.01,4,500,6\n")
    with pytest.raises(ValueError, match="got 4; give column=, that of the accelerations, counted from 0"):
        read_record(file)
    for column, factor, values in ((1, GRAVITY, [1.0, 4.0]), (2, 0.01, [200.0, 500.0])):
        motion = read_record(file, column=column)
        assert motion.t.tolist() == [0.0, 0.01]
        np.testing.assert_allclose(motion.a, factor * np.array(values), rtol=1e-15)
    with pytest.raises(ValueError, match=r"expected accelerations in column 3, got 'disp \(cm\)'"):
        read_record(file, column=3)
    with pytest.raises(ValueError, match="line 2: expected a column 4, counted from 0, got 4 columns"):
        read_record(file, column=4)
    with pytest.raises(ValueError, match="column: expected 1 or above"):
        read_record(file, column=0)
    with pytest.raises((ImportError, ValueError), match=r"column= in place of channel=|expected a record that ObsPy reads"):
        read_record(file, channel="EW")
    file.write_text("t,ax,ay\n0,1,2\n0.01,3,4\n")
    assert read_record(file, "m/s2", column=2).peak == 4.0
    file.write_text("Zeit (s);Beschl (m/s2)\n0,0100;1,2345\n0,0200;2,5\n")
    with pytest.raises(ValueError, match="line 2: expected points as decimal marks, got 0,0100"):
        read_record(file)


@pytest.mark.parametrize(
    ("unit", "factor"),
    [("G", GRAVITY), ("gal", 0.01), ("Gal", 0.01), ("m/s^2", 1.0), ("m/s**2", 1.0), ("cm/s/s", 0.01), ("cm/s^2", 0.01), ("mm/s2", 1e-3),
     ("in/s2", 0.0254), ("mg", 1e-3 * GRAVITY)],
)  # fmt: skip
def test_a_callers_unit_in_the_spellings_of_headers(tmp_path: Path, unit: str, factor: float) -> None:
    """Three were taken: g, m/s2, cm/s2."""
    path = tmp_path / "r.csv"
    path.write_text("t,a\n0,0\n0.01,2\n0.02,1\n")
    np.testing.assert_allclose(read_record(path, unit=unit).a, factor * np.array([0.0, 2.0, 1.0]), rtol=1e-15)


@pytest.mark.parametrize(
    ("unit", "words"), [("furlong", "got 'furlong'$"), ("cm/s", "a unit of velocity"), ("m", "displacement"), (1.0, "got 1.0")]
)
def test_a_unit_that_is_none_of_acceleration(tmp_path: Path, unit: Any, words: str) -> None:
    path = tmp_path / "r.csv"
    path.write_text("t,a\n0,0\n0.01,2\n0.02,1\n")
    with pytest.raises(ValueError, match=r"^unit: expected one of g, m/s2, .*" + words):
        read_record(path, unit=unit)


@pytest.mark.parametrize(
    "text",
    [
        'Time (s),"acc (m/s2)"\n"0.00","1"\n"0.01","2"\n',
        "time,acc\ns,m/s2\n0,1\n0.01,2\n",
        "t;a\nms;m/s^2\n0;1\n10;2\n",
        "t (s), acc [m\u00b7s\u207b\u00b2]\n0,1\n.01,2\n",
    ],
)
def test_tables_as_spreadsheets_write_them(text: str, tmp_path: Path) -> None:
    file = tmp_path / "sheet.csv"
    file.write_text(text, encoding="utf-8")
    motion = read_record(file)
    np.testing.assert_allclose(motion.t, [0.0, 0.01], rtol=1e-15)
    assert motion.a.tolist() == [1.0, 2.0]


def test_headings_that_say_too_little(tmp_path: Path) -> None:
    file = tmp_path / "sheet.csv"
    file.write_text("time,acc\nfirst,second\n0,1\n0.01,2\n")
    with pytest.raises(ValueError, match="line 2: expected numbers below a line of names and units"):
        read_record(file, "g")
    file.write_text("t, a (g)\n0,1\n10,2\n20,1\n")
    with pytest.warns(UserWarning, match="10 s apart: head the column t .ms. if it is in ms"):
        read_record(file)
    file.write_text("t_s, a (g)\n0,1\n10,2\n20,1\n")
    assert read_record(file).spacing == 10.0


@pytest.mark.parametrize("dt", [0.01, 0.005, 0.02, 0.0078125, 1.0 / 3.0, 1.0 / 60.0])
def test_the_spacing_is_the_step_that_a_record_states(tmp_path: Path, dt: float) -> None:
    path = tmp_path / "r.txt"
    path.write_text("# g\n" + "0.1 -0.2 0.3\n" * 700)
    assert read_record(path, "g", dt=dt).spacing == dt
    path.write_text("t (s), a (g)\n" + "".join(f"{12.0 + k * dt!r}, 0.1\n" for k in range(2000)))
    assert read_record(path).spacing == pytest.approx(dt, rel=1e-12)
    if dt in (0.01, 0.005, 0.02):
        assert read_record(path).spacing == dt


def test_the_spacing_of_uneven_times_is_their_smallest_distance() -> None:
    assert GroundMotion("r", np.array([0.0, 0.5, 0.75, 2.0]), np.ones(4)).spacing == 0.25
    assert GroundMotion("r", np.array([0.0, 0.01, 0.02, 0.0301]), np.ones(4)).spacing == 0.01


def test_attributes_of_other_libraries_are_answered() -> None:
    record = GroundMotion("r", np.array([0.0, 0.5]), np.ones(2))
    for name, ours in (("dt", "rec.spacing"), ("pga", "rec.peak"), ("npts", "rec.t.size"), ("acc", "rec.a")):
        with pytest.raises(AttributeError, match=f"no attribute '{name}': here it is {ours}"):
            getattr(record, name)
    with pytest.raises(AttributeError, match=r"no attribute 'colour'$"):
        _ = record.colour
    assert pickle.loads(pickle.dumps(copy.copy(record))).spacing == 0.5


@pytest.mark.parametrize("a_line", [1, 2, 8])
@pytest.mark.parametrize("sizes", ["40 0.01", "0.01 40", "40, .0100", "40\n0.01", "0.01\n40"])
def test_a_first_line_of_npts_and_dt_is_no_acceleration(tmp_path: Path, a_line: int, sizes: str) -> None:
    path, values = tmp_path / "r.txt", np.round(np.sin(np.arange(40.0)), 4)
    body = "\n".join(" ".join(f"{v}" for v in row) for row in values.reshape(-1, a_line))
    path.write_text(f"El Centro\n{sizes}\n{body}\n")
    np.testing.assert_array_equal(read_record(path, "g", dt=0.01).a, GRAVITY * values)
    with pytest.raises(ValueError, match=r"dt: expected 0.01 s, as .*, line 2, states, got 0.02; give that, or"):
        read_record(path, "g", dt=0.02)
    path.write_text(f"40\n{body}\n")
    np.testing.assert_array_equal(read_record(path, "g", dt=0.01).a, GRAVITY * values)
    path.write_text(f"{body}\n")
    np.testing.assert_array_equal(read_record(path, "g", dt=0.01).a, GRAVITY * values)
    if a_line != 2:
        path.write_text(f"41 0.01\n{body}\n")
        with pytest.raises(ValueError, match=r"line 1: expected as many accelerations as it states with its step, 41, got 40"):
            read_record(path, "g", dt=0.01)


def test_a_scale_of_any_type_of_number(tmp_path: Path) -> None:
    record = read(tmp_path, at2())
    np.testing.assert_array_equal(read_record(tmp_path / "r.at2", scale=Decimal("1.5")).a, 1.5 * record.a)
