"""Modes and response spectra read as tables, in text, in notebooks and as frames."""

from __future__ import annotations

import numpy as np
import pytest

import mflow


def test_modes_print_periods_participation_and_effective_masses_with_their_sum():
    found = mflow.modes([2.0, 1.0], [[6.0, -2.0], [-2.0, 4.0]])
    first, second = (line.split() for line in str(found).splitlines()[1:3])
    assert first == ["1", "4.4429", "0.22508", "1.4142", "1.7321", "3", "100.00", "100.00"]
    assert second == ["2", "2.8099", "0.35588", "2.2361", "0", "0", "0.00", "100.00"]
    assert "2 of 2 modes; total mass 3, in them 3" in str(found)
    html = found._repr_html_()
    assert html.count("<tr>") == 3
    assert "effective mass" in html


def test_table_of_many_modes_is_short_and_says_how_many_there_are():
    n = 40
    found = mflow.modes(np.ones(n), 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1), 30)
    lines = str(found).splitlines()
    assert len(lines) == 1 + 21 + 2
    assert lines[11].split() == ["..."] * 8
    assert lines[-1].startswith("30 of 40 modes")


def test_rigid_motion_has_an_endless_period_and_massless_direction_no_share():
    lines = str(mflow.modes([1.0, 1.0], [[1.0, -1.0], [-1.0, 1.0]])).splitlines()
    assert lines[1].split()[1] == "inf"
    assert str(mflow.modes([1.0, 1.0], [2.0, 3.0], direction=[0.0, 0.0])).splitlines()[1].split()[-1] == "nan"


def test_spectrum_prints_its_peaks():
    record = 0.01, np.sin(np.pi * np.linspace(0, 1, 51)) ** 2
    s = mflow.response_spectrum(record, [0.0, 0.5, 2.0])
    said, heads, *rows = str(s).splitlines()
    assert "damping 5 %" in said
    assert heads.split() == ["period", "s", "sd", "sv", "sa", "psv", "psa"]
    assert np.allclose([float(row.split()[-1]) for row in rows], s.psa, rtol=1e-4)
    assert s._repr_html_().count("<tr>") == 4


def test_frames_have_a_row_a_mode_and_a_period():
    pytest.importorskip("pandas")
    found = mflow.modes([2.0, 1.0], [[6.0, -2.0], [-2.0, 4.0]])
    table = found.to_frame()
    assert table["effective_mass"].sum() == pytest.approx(found.total_mass)
    assert list(table["period"]) == list(found.periods)
    s = mflow.response_spectrum((0.01, np.sin(np.linspace(0, 3, 51))), [0.5, 2.0])
    assert list(s.to_frame()["psa"]) == list(s.psa)


def test_a_spectrum_says_its_units_where_they_are_known():
    pytest.importorskip("pandas")
    t = np.linspace(0.0, 1.0, 101)
    known = mflow.response_spectrum(mflow.data.GroundMotion("pulse", t, np.sin(np.pi * t) ** 2), [0.5, 2.0])
    assert known.to_frame().attrs["units"] == {"period": "s", "sd": "m", "sv": "m/s", "sa": "m/s^2", "psv": "m/s", "psa": "m/s^2"}
    assert "psa m/s^2" in str(known)
    unknown = mflow.response_spectrum((0.01, np.sin(np.pi * t) ** 2), [0.5, 2.0])
    assert set(unknown.units.values()) == {"s", ""}
    plot = pytest.importorskip("mflow.plot")
    axes = plot.spectrum(known)
    assert axes.get_ylabel() == "psa (m/s^2)"
    assert plot.spectrum([known, unknown], ax=axes).get_ylabel() == "psa"
    assert plot.spectrum(unknown, ax=axes, unit="g").get_ylabel() == "psa (g)"
