"""Names of other libraries, and misspelt ones, lead to those that are there."""

from pathlib import Path

import numpy as np
import pytest

import mflow
from mflow import data
from mflow.data import minibatches, tables, train_test_split


def test_names_of_other_libraries_lead_to_ours():
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    with pytest.raises(TypeError, match=r"test_size: here it is test_fraction="):
        train_test_split(X, y, test_size=0.2)
    with pytest.raises(TypeError, match="random_state: here it is seed="):
        train_test_split(X, y, random_state=0)
    with pytest.raises(TypeError, match=r"array 0: expected arrays one by one, as in minibatches\(X, y, ...\), got a tuple of 2 arrays"):
        minibatches((X, y), batch_size=4)


def test_misspelt_names_of_data_and_plot_are_answered_with_near_ones():
    with pytest.raises(AttributeError, match=r"mflow\.data has no 'load_penguin'; did you mean 'load_penguins'"):
        getattr(data, "load_penguin")  # noqa: B009
    plot = pytest.importorskip("mflow.plot")
    with pytest.raises(AttributeError, match=r"mflow\.plot has no 'xyz'; there are: animate, basins"):
        getattr(plot, "xyz")  # noqa: B009


def test_an_installation_without_the_files_of_nist_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "files", lambda package: tmp_path)
    for load in (mflow.data.load_nist, mflow.objectives.nist):
        with pytest.raises(
            FileNotFoundError, match=r"Misra1a.dat is not in this installation, whose distributor has left .*https://www.itl"
        ):
            load("Misra1a")
