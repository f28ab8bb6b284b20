"""Contacts and friction that are given as numbers: the error writes what is meant."""

from __future__ import annotations

from typing import Any

import pytest

import mflow


@pytest.mark.parametrize("name", ["contacts", "friction"])
@pytest.mark.parametrize(
    ("given", "where", "end"),
    [
        ([(0, 0.5)], r"\[0\]", r"\(0, 0\.5\)"),
        ([(0, 0.5), (1, 0.2)], r"\[0\]", r"\(0, 0\.5\)"),
        ((0, 0.5), "", r"\(0, 0\.5\)"),
        ([1, 0.25], "", r"\(1, 0\.25\)"),
    ],
)
def test_the_error_writes_it(name: str, given: Any, where: str, end: str) -> None:
    kind = {"contacts": "Contact", "friction": "Friction"}[name]
    with pytest.raises(TypeError, match=rf"^{name}{where}: expected .*; write mflow\.{kind}{end}$"):
        mflow.solve_dynamics(stiffness=[4.0, 2.0], t_span=(0, 1), x0=[1.0, 0.0], dt=0.1, **{name: given})
