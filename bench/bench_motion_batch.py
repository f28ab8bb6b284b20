"""10 000 nonlinear one-degree systems of 2000 leapfrog steps in a batch, against C; RATTLE on a double pendulum for a million steps."""

from __future__ import annotations

import ctypes
import math
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mflow_core.lanes import lanes as core

import mflow

if TYPE_CHECKING:
    from conftest import Bench, Runner

Array = np.ndarray[Any, np.dtype[np.float64]]

AGAINST_C = 1.5
COUNT, STEPS, DT = 10_000, 2000, 1e-3
GRAVITY = 9.81
POINTER = ctypes.POINTER(ctypes.c_double)
LANES = ctypes.CFUNCTYPE(ctypes.c_int, *[POINTER] * 4, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p)
CONSTRAINT = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, ctypes.c_ssize_t, ctypes.c_void_p)


@pytest.fixture(scope="module")
def library(flags: list[str], tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """bench/motion_batch.c, compiled and loaded."""
    compiler = shlex.split(os.environ.get("CC", "")) or [name for name in ("cc", "gcc", "clang") if shutil.which(name)][:1]
    if not compiler:
        pytest.skip("no C compiler: set CC")
    target = tmp_path_factory.mktemp("motion") / "motion_batch.so"
    what = [*flags, f"-DBLOCK={core.BLOCK}", "-fPIC", "-shared", "-o", str(target), str(Path(__file__).with_name("motion_batch.c"))]
    subprocess.run([*compiler, *what], check=True)
    return ctypes.CDLL(str(target))


def repeated(call: Callable[[], Any]) -> Runner:
    def run(count: int) -> None:
        for _ in range(count):
            call()

    return run


def test_duffing_oscillators(bench: Bench, library: ctypes.CDLL) -> None:
    """x'' = -x - k x^3, k of each its own, on one thread: against blocks in C by the same call, and against a plain loop over systems."""
    rng = np.random.default_rng(0)
    x0, k = rng.standard_normal((COUNT, 1)), rng.uniform(0.5, 2.0, (COUNT, 1))
    force = LANES(("duffing", library))
    twins = {"C, blocks of lanes": library.duffing_blocks, "C, one after the other": library.duffing_loop}
    for twin in twins.values():
        twin.argtypes, twin.restype = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_double, *[ctypes.c_void_p] * 3], None
    x, v = x0.copy(), np.zeros_like(x0)

    def by_hand(name: str) -> Array:
        x[:], v[:] = x0, 0.0
        address = ctypes.cast(force, ctypes.c_void_p)
        twins[name](address, COUNT, STEPS, DT, *(a.ctypes.data for a in (x, v, k)))
        return x

    def batch() -> Any:
        return mflow.solve_dynamics_batch(
            t_span=(0.0, STEPS * DT), x0=x0, force=force, batch=True, batch_args=k, dt=DT, method="leapfrog", velocity_free=True, threads=1
        )

    found = batch()
    assert found.success
    for name in twins:
        np.testing.assert_allclose(found.x, by_hand(name), rtol=1e-9, atol=1e-12)
    functions = {"mflow": repeated(batch), **{name: repeated(lambda name=name: by_hand(name)) for name in twins}}
    bench.compare(f"{COUNT:,} Duffing oscillators, {STEPS} leapfrog steps", functions, {"C, one after the other": AGAINST_C}, rounds=9)


def test_a_double_pendulum_for_a_million_steps(library: ctypes.CDLL) -> None:
    """m = l = 1, at rest at (1, 1) rad, dt = 1e-3: on the rods to 1e-12, and the energy error has no slope."""
    g, jac = CONSTRAINT(("rods", library)), CONSTRAINT(("rods_jac", library))
    x, y = math.sin(1.0), -math.cos(1.0)
    s = mflow.solve_dynamics(
        load=[0.0, -GRAVITY, 0.0, -GRAVITY], x0=[x, y, 2 * x, 2 * y], t_span=(0, 1000), dt=1e-3, method="leapfrog", constraints=(g, 2),
        constraints_jac=jac, save_every=10,
    )  # fmt: skip
    energy = 0.5 * np.sum(s.v**2, axis=0) + GRAVITY * (s.x[1] + s.x[3])
    slope = float(np.polyfit(s.t, energy - energy[0], 1)[0]) / abs(float(energy[0]))
    print(
        f"RATTLE, 1e6 steps: |g| <= {np.max(s.drift):.2g}, |G v| <= {np.max(s.drift_v):.2g}, slope of the energy error {slope:.2g} |E0|/s"
    )
    assert np.max(s.drift) <= 1e-12
    assert abs(slope) < 1e-12
