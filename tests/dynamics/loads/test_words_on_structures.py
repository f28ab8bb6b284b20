"""Numbers of structures that are taken as given, and are seldom meant so, are told of; those of ordinary structures are not."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import mflow

STOREYS = np.eye(3) - np.eye(3, k=-1)
MASSES, STIFFNESS = np.array([2e5, 2e5, 1.5e5]), STOREYS.T @ np.diag([2.5e8, 2e8, 1.5e8]) @ STOREYS
TIMES = np.arange(0, 1, 0.01)
SHAKEN = (TIMES, np.sin(3 * TIMES), -MASSES)


def shake(**given: Any) -> Any:
    body = {"mass": MASSES, "stiffness": STIFFNESS, "load": SHAKEN, "t_span": (0, 0.5), "x0": np.zeros(3), "dt": 0.01}
    return mflow.solve_dynamics(**{**body, **given})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rayleigh": (0.05, 0.05)}, "damping ratios of 0.397 in the slowest mode to 1.41 in the fastest"),
        ({"rayleigh": (60.0, 0.0)}, "damping ratios of 1.9 in the slowest mode"),
        ({"damping": [0.05] * 3}, "damps next to nothing here"),
        ({"load": (TIMES, np.sin(3 * TIMES), -1)}, r"\(t, a, -M @ r\)"),
    ],
)
def test_what_is_seldom_meant_is_told_of(given: dict[str, Any], words: str) -> None:
    with pytest.warns(UserWarning, match=words):
        shake(**given)


def test_the_ratios_are_those_of_the_modes() -> None:
    """The closed form a / (2 omega) + b omega / 2, with frequencies from NumPy's eigenvalues."""
    omega = np.sqrt(np.linalg.eigvals(STIFFNESS / MASSES[:, None]).real)
    ratios = 0.5 * (0.05 / omega + 0.05 * omega)
    with pytest.warns(UserWarning, match=f"ratios of {ratios.min():.3g} in the slowest mode to {ratios.max():.3g} in the fastest"):
        shake(rayleigh=(0.05, 0.05))


@pytest.mark.parametrize(
    "given",
    [{"rayleigh": (0.4, 0.0006)}, {"rayleigh": (0.9, 0.0)}, {"damping": [4e5] * 3}, {"mass": np.ones(3), "stiffness": np.eye(3)}],
)
def test_ordinary_numbers_are_not(given: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shake(**given)


def test_a_damping_that_is_not_linear_is_named() -> None:
    s = shake(damping=lambda v: 8e5 * np.sign(v) * np.abs(v) ** 0.3)
    assert s.reason == "solve_failed"
    assert "damping(v) is not linear in v" in s.message
    assert "force=" in s.message


def test_a_stiffness_that_pushes_away_is_named() -> None:
    s = shake(stiffness=STIFFNESS - 3e8 * np.eye(3), load=None, x0=[1e-3, 0.0, 0.0], t_span=(0, 40))
    assert s.reason == "non_finite"
    assert "below 0: it pushes away from rest" in s.message
