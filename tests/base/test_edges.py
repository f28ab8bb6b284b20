"""Values that no argument means: each public function runs, or refuses with the argument's name before the run starts."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from support.hostile import hunt

SHARE = 40  # one of so many values is tried in a run of the suite; MFLOW_HUNT=all tries them all
EXPENSIVE = {"compile", "compiled_from_sympy", "minimize", "posedness_along", "trace", "train"}  # each call compiles, or takes long


def chosen(name: str, parameter: str, label: str, everything: bool) -> bool:
    """Which values a run of the suite tries: always the same ones, spread over all arguments."""
    return everything or hashlib.sha256(f"{name} {parameter} {label}".encode()).digest()[0] % SHARE == 0


@pytest.fixture(scope="module")
def calls() -> list[hunt.Call]:
    return hunt.calls_of_examples()


def test_every_public_function_is_hunted(calls: Any) -> None:
    """One with parameters and without an example that calls it would be left out without a word."""
    assert len(calls) > 100
    called = {call.name for call in calls}
    assert {"mflow.solve_ivp", "mflow.minimize", "mflow.least_squares", "mflow.train", "mflow.explain", "mflow.plot.history"} <= called


def test_no_value_gives_a_raw_error(calls: Any, tmp_path: Any, monkeypatch: Any) -> None:
    import os

    monkeypatch.chdir(tmp_path)
    everything = os.environ.get("MFLOW_HUNT") == "all"
    wrong = []
    for call in calls:
        if call.name.rpartition(".")[2] in EXPENSIVE and not everything:
            continue
        for parameter in hunt.parameters(call):
            for label, make in hunt.VALUES.items():
                if chosen(call.name, parameter, label, everything):
                    fault = call.with_value(parameter, make())
                    if fault:
                        wrong.append(f"{call.name}({parameter}={label}): {fault}")
    assert not wrong, "\n" + "\n".join(wrong)
