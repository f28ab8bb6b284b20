"""Blocks of long vectors are in large pages where the system has them: what the kernel lists of this process tells, not a time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mflow_core import registry
from mflow_core.dynamics.structure import Structure
from mflow_core.optimize.line_descent import LineDescent
from mflow_core.optimize.sweep import Learner
from mflow_core.problems.problem import objective_problem

import mflow

N = 4_500_000  # a block of one vector has pages of its own, and untouched ones take no memory
MAPS = Path("/proc/self/smaps")

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not MAPS.exists() or not Path("/sys/kernel/mm/transparent_hugepage").exists(),
    reason="no list of mappings, or no large pages",
)


def advised() -> int:
    """Bytes of the mappings of this process that large pages were asked for."""
    total = size = 0
    for line in MAPS.read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "Size":
            size = 1024 * int(rest.split()[0])
        elif name == "VmFlags" and "hg" in rest.split():
            total += size
    return total


def adam(x: Any) -> Any:
    return mflow.optim.Adam(x, check_finite=False)


def learner(x: Any) -> Any:
    return Learner(registry.find("implicit_sgd"), {}, "squared", x.size)


def descent(x: Any) -> Any:
    record = registry.find("lbfgs")
    return LineDescent(record, objective_problem(lambda c: 0.0, lambda c: c, x.shape), x, 0, {}, {"maxcor": 2})


def structure(x: Any) -> Any:
    return Structure(x.size, np.broadcast_to(1.0, x.shape), None, None)


@pytest.mark.parametrize(("make", "vectors"), [(adam, 2), (learner, 1), (descent, 10), (structure, 10)])
def test_long_vectors_are_in_large_pages(make: Callable[[Any], Any], vectors: int) -> None:
    x = np.zeros(N)
    before = advised()
    made = make(x)
    assert advised() - before >= 0.9 * vectors * x.nbytes
    del made
