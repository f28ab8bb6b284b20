"""Evaluations of a run that went on from a file: all of them, as iterations are counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mflow

START = np.array([-1.2, 1.0, -1.2, 1.0])
COMPILED = mflow.objectives.Rosenbrock(4)


class Counting:
    """Rosenbrock's cost in Python, which counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        return COMPILED.value_and_grad(x)


@pytest.mark.parametrize("method", ["lbfgs", "bfgs", "cg", "adam", "momentum"])
@pytest.mark.parametrize("compiled", [True, False])
def test_counts_go_on(method: str, compiled: bool, tmp_path: Path) -> None:
    f: Any = COMPILED if compiled else Counting()
    how: dict[str, Any] = {"method": method, "jac": None if compiled else True, "gtol": 0.0, "check_gradient": False}
    how |= {} if method in ("lbfgs", "bfgs", "cg") else {"lr": 1e-4}
    file, again = tmp_path / "a", tmp_path / "b"
    first = mflow.minimize(f, START, maxiter=7, checkpoint=file, **how)
    second = mflow.minimize(f, START, maxiter=12, resume=file, checkpoint=again, **how)
    third = mflow.minimize(f, START, maxiter=15, resume=again, **how)
    whole = mflow.minimize(COMPILED if compiled else Counting(), START, maxiter=15, **how)
    assert third.x.tobytes() == whole.x.tobytes()
    assert third.nit == 15
    for name in ("nfev", "njev"):
        assert first[name] < second[name] < third[name]
        assert whole[name] <= third[name] <= whole[name] + 2  # a run that goes on may evaluate once where it stands
    if not compiled:
        assert third.nfev == f.calls


def test_a_file_that_does_not_say_leaves_those_of_the_call(tmp_path: Path) -> None:
    stepper = mflow.Stepper("adam", grad=COMPILED, y0=START, lr=1e-4)
    for _ in range(7):
        stepper.step()
    stepper.save(tmp_path / "a")
    r = mflow.minimize(COMPILED, START, method="adam", lr=1e-4, gtol=0.0, maxiter=12, resume=tmp_path / "a")
    assert r.nit == 12
    assert r.nfev <= 7


def test_counts_that_are_none_are_named(tmp_path: Path) -> None:
    from mflow.saving.savefile import read_state, write_state

    mflow.minimize(COMPILED, START, maxiter=7, gtol=0.0, checkpoint=tmp_path / "a")
    facts, blocks = read_state(tmp_path / "a", "stepper")
    for wrong in ([1], "7", [1.5, 2], [-1, 2]):
        write_state(tmp_path / "b", "stepper", {**facts, "counts": wrong}, blocks)
        with pytest.raises(ValueError, match=r"^resume: .* does not fit this call, or is damaged .*counts"):
            mflow.minimize(COMPILED, START, maxiter=9, gtol=0.0, resume=tmp_path / "b")
