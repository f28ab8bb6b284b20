"""`mflow doctor` tells of packages, levels and bits; faults that are put in are found."""

from __future__ import annotations

import importlib.metadata
import json
import time

import mflow_core
import numpy as np
from mflow_core import registry

from mflow.cli import doctor
from mflow.cli.commands import main
from mflow.data import tables


def test_every_method_has_a_fingerprint_that_depends_on_its_numbers():
    prints = doctor.fingerprints()
    assert set(prints) == {record.name for record in registry.records()}
    assert len(set(prints.values())) > 0.8 * len(prints)  # some methods agree where their parameters say so
    assert doctor.fingerprints() == prints
    assert all(np.isfinite(doctor.numbers_of(method)).all() for method in doctor.methods())


def test_doctor_runs_whole(tmp_path, capsys):
    file = tmp_path / "found.json"
    assert main(["doctor", "--json", str(file)]) == 0
    said = capsys.readouterr().out
    found = json.loads(file.read_text())
    assert found["numpy"] == np.__version__
    assert found["bits"]["same"]
    assert found["bits"]["count"] == len(registry.records())
    assert registry.LEVEL in found["bits"]["levels"]
    assert "the same bits" in said
    assert f"C header: in {mflow_core.get_include()}" in said
    assert f"C compiler here: {found['compiler']}" in said
    assert found["version"].startswith(f"mflow {mflow_core.__version__} ")
    assert found["nist"]
    assert "NIST" not in said
    names = [one["name"] for one in found["packages"]]
    assert len(names) == len(set(names))
    assert {"torch", "jax", "dask", "joblib", "matplotlib", "numba", "scipy"} <= set(names)


def test_different_bits_are_named(monkeypatch):
    bits = {"levels": ["v4", "v3"], "count": 2, "same": False, "different": ["rk4"], "failed": {}}
    monkeypatch.setattr(doctor, "compare_levels", lambda quiet: bits)
    assert "the bits of rk4 differ between the levels v4, v3" in doctor.said_of(bits)
    assert main(["doctor"]) == 1


def test_level_that_does_not_load_is_named(monkeypatch):
    monkeypatch.setenv("MFLOW_ISA", registry.LEVEL)
    monkeypatch.setattr(doctor.sys, "executable", "/nonexistent")
    bits = doctor.compare_levels()
    assert list(bits["failed"]) == [registry.LEVEL]
    assert f"level {registry.LEVEL} failed" in doctor.said_of(bits)


def test_missing_and_old_packages_are_said(monkeypatch):
    lines = ["numpy>=1.25", "matplotlib>=3.7; extra == 'plot'", 'tqdm; extra == "progress"', "nox>=2; extra == 'dev'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: lines)
    versions = {"matplotlib": "3.6.9"}

    def version(name):
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    plot, progress, *others = doctor.packages()
    assert (plot["name"], plot["version"], plot["advice"]) == ("matplotlib", "3.6.9", "pip install 'momentum-flow[plot]'")
    assert [(one["name"], one["extra"]) for one in others] == [(name, "") for name in doctor.OTHERS]
    assert others[0]["advice"] == "pip install torch: mflow.torch, derivatives"
    assert (progress["version"], progress["advice"]) == ("", "pip install 'momentum-flow[progress]'")


def test_a_package_that_is_too_new_is_said(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["scikit-sparse<0.5; extra == 'cholesky'", "a<3,>=1.2; extra == 'b'"])
    monkeypatch.setattr(doctor, "installed", lambda name: {"scikit-sparse": "0.5.1", "a": "2.9"}.get(name, ""))
    sparse, a, *_ = doctor.packages()
    assert (sparse["needs"], sparse["advice"]) == ("<0.5", "pip install 'momentum-flow[cholesky]'")
    assert (a["needs"], a["advice"]) == (">=1.2,<3", "")


def test_package_of_two_extras_is_one_row_with_the_smaller_advice(monkeypatch):
    lines = ["numba; extra == 'sympy'", "sympy; extra == 'sympy'", "numba; extra == 'compile'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: lines)
    monkeypatch.setattr(doctor, "installed", lambda name: "")
    numba, sympy, *_ = doctor.packages()
    assert (numba["extra"], numba["advice"]) == ("sympy, compile", "pip install 'momentum-flow[compile]'")
    assert (sympy["extra"], sympy["advice"]) == ("sympy", "pip install 'momentum-flow[sympy]'")


def test_long_self_test_says_how_far_it_is(monkeypatch, capsys):
    def slow(level):
        time.sleep(0.2)
        return level, {"rk4": "0"}, ""

    monkeypatch.setattr(doctor, "PATIENCE", 0.02)
    monkeypatch.setattr(doctor, "_prints_at", slow)
    assert doctor.compare_levels()["same"]
    assert capsys.readouterr().err == ""
    assert doctor.compare_levels(quiet=False)["same"]
    assert "levels done after 0 s" in capsys.readouterr().err


def test_doctor_says_that_the_files_of_nist_are_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(doctor, "compare_levels", lambda quiet: {"same": True, "failed": {}, "levels": ["v2"], "count": 1, "different": []})
    monkeypatch.setattr(tables, "files", lambda package: tmp_path)
    assert main(["doctor", "--json", str(tmp_path / "found.json")]) == 0
    assert "NIST's problems are not here" in capsys.readouterr().out
    assert json.loads((tmp_path / "found.json").read_text())["nist"] is False
