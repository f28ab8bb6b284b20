"""examples/cluster: an ensemble in chunks, on threads, processes and joblib's pool, which goes on where it was stopped."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import mflow
from support.places import ROOT

SCRIPT = ROOT / "examples" / "cluster" / "ensemble.py"
COUNT = 50


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("cluster_example", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def expected(example: Any) -> Any:
    rho = 20.0 + 10.0 * np.arange(COUNT) / COUNT
    settings = {"rtol": 1e-8, "atol": 1e-10, "save": "last"}
    return np.array([mflow.solve_ivp(example.lorenz, (0, 2), np.ones(3), "dop853", args=(one,), **settings).y[:, -1] for one in rho])


def test_threads_and_a_run_that_goes_on(example: Any, expected: Any, tmp_path: Any, capsys: Any) -> None:
    assert example.run(COUNT, 20, "threads", 2, tmp_path) == 0
    states = np.load(tmp_path / "states.npy")
    assert np.array_equal(states, expected)
    states[:] = 7.0  # what a second run computes is seen
    np.save(tmp_path / "states.npy", states)
    done = np.ones(COUNT, np.int8)
    done[20:40] = 0
    np.save(tmp_path / "done.npy", done)
    capsys.readouterr()
    assert example.run(COUNT, 12, "threads", 2, tmp_path) == 0  # chunks of another size than before
    assert capsys.readouterr().out == "42 of 50\n50 of 50\n"
    states = np.load(tmp_path / "states.npy")
    assert np.array_equal(states[20:40], expected[20:40])
    assert np.all(states[:20] == 7.0)


def test_files_of_another_run_and_what_ended_early(example: Any, tmp_path: Any) -> None:
    done = np.full(COUNT, example.FINISHED, np.int8)
    done[3] = example.UNFINISHED
    np.save(tmp_path / "done.npy", done)
    np.save(tmp_path / "states.npy", np.zeros((COUNT, 3)))
    assert example.run(COUNT, 20, "threads", 2, tmp_path) == 1  # known from the run before
    with pytest.raises(SystemExit, match=r"states\.npy: expected \(60, 3\) .*, got \(50, 3\)"):
        example.run(60, 20, "threads", 2, tmp_path)


@pytest.mark.parametrize("kind", ["processes", "joblib"])
def test_the_script(kind: str, expected: Any, tmp_path: Any) -> None:
    if kind == "joblib":
        pytest.importorskip("joblib")
    command = [sys.executable, SCRIPT, "--on", kind, "--count", str(COUNT), "--chunk", "30", "--folder", tmp_path]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    assert np.array_equal(np.load(tmp_path / "states.npy"), expected)
