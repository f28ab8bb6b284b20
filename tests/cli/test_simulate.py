"""`mflow simulate`: the published building, records of ground motion, the command, and its pictures."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

import mflow
from mflow import plot
from mflow.cli.building import half_sine, load_building, read_building, respond
from mflow.cli.commands import main
from mflow.cli.simulate import table
from mflow.data.ground_motion import GRAVITY, GroundMotion, read_record

AT2 = """PEER NGA STRONG MOTION DATABASE RECORD
Nowhere, 1/1/2000, Station, 180
ACCELERATION TIME SERIES IN UNITS OF G
NPTS=  7, DT= .0100 SEC
  0.1000E-02 -.2000E-02  0.3000E-02  .0000000E+00  -0.4E-2
  5.0000E-03  6.000E-03
"""


# ---- the building --------------------------------------------------------------------------------------------------------------------


def test_the_published_periods() -> None:
    """As the book prints them; 2.0 to its two digits."""
    omega, shapes = load_building().modes()
    periods = 2 * math.pi / omega
    assert round(periods[0], 1) == 2.0
    np.testing.assert_allclose(periods[1:], [0.6852, 0.4346, 0.3383, 0.2966], atol=1.5e-4)
    b = load_building()
    np.testing.assert_allclose(shapes.T @ np.diag(b.mass) @ shapes, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(shapes.T @ b.damping(0.03) @ shapes, np.diag(0.06 * omega), atol=1e-10)


@pytest.mark.parametrize("zeta", [0.0, 0.05])
def test_response_against_modal_superposition(zeta: float) -> None:
    """Each mode by itself, by SciPy's DOP853."""
    from scipy.integrate import solve_ivp

    b, pulse = load_building(), half_sine(0.3, 0.5)
    response = respond(b, pulse, dt=0.002, zeta=zeta, time=2.0)
    omega, shapes = b.modes()
    x = np.zeros(5)
    for w, shape in zip(omega, shapes.T, strict=True):
        share = shape @ b.mass

        def slope(t: float, y: np.ndarray, w: float = w, share: float = share) -> list[float]:
            ground = 0.3 * GRAVITY * math.sin(math.pi * t / 0.5) if t < 0.5 else 0.0
            return [y[1], -w * w * y[0] - 2 * zeta * w * y[1] - share * ground]

        first = solve_ivp(slope, (0, 0.5), [0.0, 0.0], "DOP853", rtol=1e-10, atol=1e-12)
        x += shape * solve_ivp(slope, (0.5, 2.0), first.y[:, -1], "DOP853", rtol=1e-10, atol=1e-12).y[0, -1]
    np.testing.assert_allclose(response.result.x[:, -1], x, atol=2e-4 * np.abs(x).max())
    assert response.base_shear == pytest.approx(b.stiffness[0] * np.abs(response.result.x[0]).max())


def test_drift_and_total_acceleration() -> None:
    """The floors' inertia forces are what the lowest storey carries, where nothing is damped."""
    b = load_building()
    response = respond(b, half_sine(0.3, 0.5), "central_difference", dt=0.005, zeta=0.0, time=1.0)
    np.testing.assert_allclose(response.drift.cumsum(axis=0), response.result.x, atol=1e-15)
    np.testing.assert_allclose(-b.mass @ response.total_acceleration, b.stiffness[0] * response.drift[0], rtol=1e-8, atol=1e-3)


@pytest.mark.parametrize("method", mflow.methods(family="second_order"), ids=lambda m: m.name)
def test_every_method(method: object) -> None:
    response = respond(load_building(), half_sine(0.3, 0.5), method, dt=0.002, time=1.0)  # type: ignore[arg-type]
    reference = respond(load_building(), half_sine(0.3, 0.5), dt=0.002, time=1.0)
    np.testing.assert_allclose(response.result.x[:, -1], reference.result.x[:, -1], rtol=0.05)
    assert [text for text in response.warnings if "is of first order where forces depend on velocities" not in text] == []
    assert "storey" in table(response)


def test_a_step_past_the_limit_is_told() -> None:
    response = respond(load_building(), half_sine(0.3, 0.5), "leapfrog", dt=0.1, time=1.0)
    assert "! dt = 0.1 exceeds the stability limit 0.0" in table(response)


def test_a_building_of_ones_own(tmp_path: object) -> None:
    path = tmp_path / "b.csv"  # type: ignore[operator]
    path.write_text("\ufeff# a tower\nmass, stiffness\n2,8\n1,4\n", encoding="utf-8")  # Excel's UTF-8 begins so
    b = read_building(path)
    assert b.matrix().tolist() == [[12.0, -4.0], [-4.0, 4.0]]
    assert np.all(np.isnan(b.height))
    assert "  -  " in table(respond(b, half_sine(0.1, 0.5), dt=0.01, time=1.0))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a first line with the columns"),
        ("mass,weight\n1,2\n", "expected a first line with the columns"),
        ("mass,stiffness\n", "expected a line for each storey"),
        ("mass,stiffness\n1\n", "row 2: 1 entries"),
        ("mass,stiffness\n1,-2\n", "row 2: stiffness: expected a finite number above 0, got '-2'"),
        ("mass,stiffness\nx,2\n", "row 2: mass: expected a finite number above 0, got 'x'"),
    ],
)
def test_buildings_that_are_none(tmp_path: object, text: str, words: str) -> None:
    path = tmp_path / "b.csv"  # type: ignore[operator]
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_building(path)


# ---- records -------------------------------------------------------------------------------------------------------------------------


def written(folder: object, name: str, text: str) -> object:
    path = folder / name  # type: ignore[operator]
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "heading", ["NPTS=  7, DT= .0100 SEC", "NPTS=7, DT=0.01", "    7    0.0100    NPTS, DT", "npts = 7 , dt = 1.0E-02 sec"]
)
def test_at2(tmp_path: object, heading: str) -> None:
    motion = read_record(written(tmp_path, "R.AT2", AT2.replace("NPTS=  7, DT= .0100 SEC", heading)))  # type: ignore[arg-type]
    np.testing.assert_allclose(motion.t, 0.01 * np.arange(7), rtol=1e-14)
    np.testing.assert_allclose(motion.a, GRAVITY * np.array([1, -2, 3, 0, -4, 5, 6]) * 1e-3, rtol=1e-14)
    assert (motion.name, motion.spacing) == ("R.AT2", pytest.approx(0.01))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("NPTS=  7, DT", "points 7, DT", "expected 'NPTS = .*, found none"),
        ("NPTS=  7", "NPTS=  8", "expected NPTS = 8 accelerations, got 7"),
        ("NPTS=  7", "NPTS=  6", "expected NPTS = 6 accelerations, got 7"),
        ("DT= .0100", "DT= 0.0", "line 4: expected DT above 0, got 0"),
        ("-0.4E-2", "-0.4X-2", "line 5: expected a finite number, got '-0.4X-2'"),
        ("6.000E-03", "NaN", "line 6: expected a finite number, got 'NaN'"),
        (
            "ACCELERATION TIME SERIES IN UNITS OF G",
            "VELOCITY TIME SERIES IN UNITS OF CM/S",
            "got a velocity",
        ),
        ("UNITS OF G", "UNITS OF FURLONG", "got units of FURLONG"),
        ("0.1000E-02", "0.1000E-02-.2000E-02", "expected NPTS = 7 accelerations, got 8"),
    ],
)
def test_at2_that_is_none(tmp_path: object, old: str, new: str, words: str) -> None:
    assert old in AT2
    with pytest.raises(ValueError, match=words):
        read_record(written(tmp_path, "r.at2", AT2.replace(old, new)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "unit", "first"),
    [
        ("time (s),acceleration (g)\n0,0.5\n0.1,0\n", None, 0.5 * GRAVITY),
        ("t; a [m/s^2]\n0; 0.5\n0.1; 0\n", None, 0.5),
        ("0 0.5\n0.1 0\n", "cm/s2", 0.005),
        ("# a comment\n\n1.0\t0.5\n1.1\t0\n", "g", 0.5 * GRAVITY),
        ("t,a (cm/s2)\n0,0.5\n0.1,0\n", "cm/s2", 0.005),
    ],
)
def test_tables(tmp_path: object, text: str, unit: str | None, first: float) -> None:
    motion = read_record(written(tmp_path, "r.csv", text), unit, scale=2.0)  # type: ignore[arg-type]
    assert motion.a.tolist() == [pytest.approx(2.0 * first), 0.0]
    np.testing.assert_allclose(motion.t, [0.0, 0.1], atol=1e-15)


@pytest.mark.parametrize(
    ("text", "unit", "words"),
    [
        ("0,0.5\n0.1,0\n", None, "expected a heading with the unit"),
        ("time,acc\n0,0.5\n0.1,0\n", None, "expected a heading with the unit"),
        ("0,0.5\n0.1,0\n", "ft", "unit: expected one of g, m/s2, .*, got 'ft', a unit of displacement"),
        ("0,0.5\n", "g", "expected two or more accelerations, got 1"),
        ("", "g", "expected two or more accelerations, got 0"),
        ("0,0.5\n0.1,0,3\n", "g", "line 2: expected two columns, .*, got 3"),
        ("0,0.5\n0.1,\n", "g", "line 2: expected two columns, .*, got 1"),
        ("0,0.5\n0.1,x\n", "g", "line 2: expected a finite number, got 'x'"),
        ("0,0.5\n0.1,inf\n", "g", "line 2: expected a finite number, got 'inf'"),
        ("t,a\nmore,words\n0,0.5\n", "g", "line 2: expected numbers below a line of names and units"),
        ("0,0.5\n0.1,0\n0.1,1\n", "g", "expected increasing times, got 0.1 s after 0.1 s"),
    ],
)
def test_tables_that_are_none(tmp_path: object, text: str, unit: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_record(written(tmp_path, "r.csv", text), unit)  # type: ignore[arg-type]


def test_the_ground_rests_after_the_record() -> None:
    """A step of acceleration that ends: the building swings about its rest, not about a displaced place."""
    motion = GroundMotion("step", np.array([0.0, 1.0]), np.array([2.0, 2.0]))
    response = respond(load_building(), motion, dt=0.01, zeta=0.3, time=30.0)
    assert np.abs(response.result.x[:, -1]).max() < 1e-3 * np.abs(response.result.x).max()


# ---- the command ---------------------------------------------------------------------------------------------------------------------


def test_command(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    picture, file = tmp_path / "s.png", tmp_path / "s.json"  # type: ignore[operator]
    record = written(tmp_path, "r.at2", AT2)
    options = ["--record", str(record), "--method", "hht", "--set", "alpha=-0.2", "--time", "1", "--out", str(picture), "--json", str(file)]
    assert main(["simulate", *options]) == 0
    out = capsys.readouterr().out
    assert "ground: r.at2, peak 0.006 g; hht (alpha = -0.2, load = interpolated), dt = 0.01 s, 100 steps to 1 s" in out
    assert picture.stat().st_size > 10_000
    content = json.loads(file.read_text())
    assert (content["method"], content["success"], len(content["peaks"]), len(content["t"])) == ("hht", True, 5, 101)
    assert content["energy"]["numerical"][0] == 0.0
    assert all(abs(left) < 1e-12 * max(content["energy"]["kinetic"]) for left in content["energy"]["residual"])
    assert content["peaks"][4]["displacement"] == pytest.approx(np.abs(content["x"][4]).max())


def test_json_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--no-plot", "--json", "-", "--time", "1", "--damping", "0.02", "--method", "leapfrog"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["damping_ratio"] == 0.02
    assert "peak displacement" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--method", "rk4"], "--method rk4: there are forward_euler_system"),
        (["--set", "betta=1"], "did you mean 'beta'"),
        (["--record", "nothing.at2"], "--record nothing.at2: there is no such file"),
        (["--model", "nothing.csv"], "--model nothing.csv: there is no such file"),
        (["--unit", "g"], "--unit belongs to --record"),
        (["--out", "s.txt"], "the name must end in"),
        (["--json", "no/where.json"], "there is no folder no"),
    ],
)
def test_what_the_command_refuses(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    assert main(["simulate", *options]) == 2
    assert words in capsys.readouterr().err


def test_a_bad_record_is_a_message(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, "r.at2", AT2.replace("NPTS=  7", "NPTS= 70"))
    assert main(["simulate", "--no-plot", "--record", str(path)]) == 2
    assert "expected NPTS = 70 accelerations, got 7" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--dt", "0"], ["--damping", "-1"], ["--set", "beta"], ["--time", "soon"]])
def test_numbers_that_are_none(option: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["simulate", "--no-plot", *option])


# ---- pictures ------------------------------------------------------------------------------------------------------------------------


def test_displacements_on_ones_own_axes() -> None:
    figure = pytest.importorskip("matplotlib.figure").Figure()
    ax = figure.subplots()
    s = mflow.solve_dynamics(stiffness=np.arange(1.0, 21.0), t_span=(0, 1), x0=np.arange(20.0), dt=0.1)
    assert plot.displacements(s, ax=ax, of="v", index=[0, -1], unit="m/s") is ax
    assert ax.get_ylabel() == "velocity (m/s)"
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), s.v[-1])
    assert len(plot.displacements(s).lines) == 8
    for wrong in ({"of": "y"}, {"index": [20]}, {"labels": ["a"]}, {"index": []}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            plot.displacements(s, **wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="solve_dynamics"):
        plot.displacements(3)


def test_energies_add_up_in_the_picture() -> None:
    pytest.importorskip("matplotlib")
    s = mflow.solve_dynamics(1.0, 0.1, 4.0, 1.0, (0, 10), [1.0], method=mflow.Newmark(0.3025, 0.6), dt=0.1)
    ax = plot.energy(s, unit="J")
    top, total = ax.lines[3], ax.lines[4]  # kinetic, potential, damping and numerical lie on each other
    np.testing.assert_allclose(top.get_ydata(), total.get_ydata(), rtol=1e-12)
    kepler = {"force": lambda t, x, v: -x / np.linalg.norm(x) ** 3, "potential": lambda x: -1 / np.linalg.norm(x), "velocity_free": True}
    s = mflow.solve_dynamics(**kepler, t_span=(0, 5), x0=[1.0, 0.0], v0=[0.0, 1.0], dt=0.05, method="leapfrog")
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in plot.energy(s).lines}
    np.testing.assert_allclose(lines["sum"], s.energy["kinetic"] + s.energy["potential"], rtol=1e-12)  # not on each other: one is below 0
    np.testing.assert_allclose(lines["potential"], s.energy["potential"], rtol=1e-12)
    with pytest.warns(UserWarning, match="stiffness: it differs from its transpose"):
        s = mflow.solve_dynamics(stiffness=[[2.0, 0.5], [0.0, 1.0]], t_span=(0, 1), x0=[1, 1], dt=0.1)
    with pytest.raises(ValueError, match="expected an energy ledger, got none"):
        plot.energy(s)


def test_a_folder_of_records_is_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row a record, as that record alone has it; what is no record is named, and the exit code says that not all were read."""
    t = 0.02 * np.arange(100)
    for name, size in (("a.csv", 0.1), ("b.csv", 0.2)):
        rows = "".join(f"{at:.2f},{size * np.sin(9 * at):.6e}\n" for at in t)
        (tmp_path / name).write_text("t (s),a (g)\n" + rows)
    assert main(["simulate", "--record", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["a.csv", "b.csv"]
    one, two = (float(line.split()[2]) for line in lines[2:])
    assert two == pytest.approx(2 * one, rel=1e-2)
    assert main(["simulate", "--record", str(tmp_path / "b.csv"), "--no-plot"]) == 0
    assert f"{two:.2f}" in capsys.readouterr().out
    (tmp_path / "notes.txt").write_text("no record\n")
    out = tmp_path.parent / "all.json"
    assert main(["simulate", "--record", str(tmp_path), "--json", str(out)]) == 1
    assert "notes.txt" in (text := capsys.readouterr().out)
    assert "! " in text
    assert len(json.loads(out.read_text())) == 2
    (tmp_path / "empty").mkdir()
    assert main(["simulate", "--record", str(tmp_path / "empty")]) == 2
    assert "expected a folder with records" in capsys.readouterr().err


@pytest.mark.parametrize(("dt", "code"), [("0.0943", 0), ("0.0946", 1), ("0.2", 1)])
def test_the_exit_code_says_that_steps_were_past_the_limit(dt: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """2/omega of the fastest of the five modes is 0.09445; how far the numbers have grown does not count."""
    options = ["simulate", "--no-plot", "--method", "central_difference", "--dt", dt, "--json", "-"]
    assert main(options) == code
    seen = capsys.readouterr()
    assert json.loads(seen.out)["stable"] is (code == 0)
    assert "no formula for the energy" not in seen.err


def test_a_damping_in_per_cent_is_warned_of() -> None:
    with pytest.warns(RuntimeWarning, match=r"respond: damping = 5 is 500 % of the critical one; for 5 % give 0\.05"):
        respond(load_building(), half_sine(0.3, 0.5), dt=0.01, zeta=5, time=0.1)


# ---- tables ----------------------------------------------------------------------------------------------------------------------------

TOWER = 'name,mass,stiffness,height\nlobby,2e4,3e7,4\n"roof, east",1e4,2e7,3\n'


def rows_of_file(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_a_motion_as_a_table_with_the_names_of_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, out = tmp_path / "tower.csv", tmp_path / "motion.csv"
    model.write_text(TOWER)
    assert main(["simulate", "--model", str(model), "--no-plot", "--time", "1", "--dt", "0.01", "--csv", str(out)]) == 0
    text = capsys.readouterr().out
    assert "\n     lobby " in text
    assert "\nroof, east " in text
    heads, *rows = rows_of_file(out)
    assert heads[:4] == ["time (s)", "ground (m/s^2)", "displacement lobby (m)", "displacement roof, east (m)"]
    numbers = np.array(rows, dtype=float)
    expected = respond(read_building(model), half_sine(0.3, 0.5), dt=0.01, time=1.0).result
    np.testing.assert_allclose(numbers[:, 0], expected.t, atol=1e-12)
    np.testing.assert_allclose(numbers[:, 2:4].T, expected.x, rtol=1e-12)
    ground = 0.3 * GRAVITY * np.sin(np.pi * np.minimum(numbers[:, 0], 0.5) / 0.5)
    np.testing.assert_allclose(numbers[:, 1], ground, atol=2e-2 * GRAVITY)


@pytest.mark.parametrize("name", ["", "one.at2"])
def test_a_wrong_option_is_no_fault_of_a_record(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a folder the record was shown as one that cannot be read, and the exit code was 1."""
    (tmp_path / "one.at2").write_text(AT2)
    assert main(["simulate", "--record", str(tmp_path / name), "--dt", "1e-300", "--no-plot"]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("mflow: error: dt: ")
    assert not said.out


def test_a_folder_as_a_table(tmp_path: Path) -> None:
    folder, out = tmp_path / "records", tmp_path / "peaks.csv"
    folder.mkdir()
    (folder / "one.at2").write_text(AT2)
    assert main(["simulate", "--record", str(folder), "--csv", str(out), "--quiet"]) == 0
    heads, row = rows_of_file(out)
    assert heads[:2] == ["record", "peak (m/s^2)"]
    assert row[0] == "one.at2"
    assert float(row[1]) == pytest.approx(6e-3 * GRAVITY)


@pytest.mark.parametrize("names", [["a", "a"], ["a", " "]])
def test_names_of_storeys_that_do_not_fit(names: list[str], tmp_path: Path) -> None:
    model = tmp_path / "tower.csv"
    model.write_text("mass,stiffness,name\n" + "".join(f"1,1,{name}\n" for name in names))
    with pytest.raises(ValueError, match="row 3: name: expected a name of its own for each storey"):
        read_building(model)
