"""Batches: 10 000 Lorenz trajectories of 1000 RK4 steps, against hand-written C that calls the same function for blocks of lanes.

Times are those of `solve_ivp_batch` as users call it, on one thread unless the line says otherwise. Error control on lanes stands beside
the same lanes one by one, for orientation.
"""

from __future__ import annotations

import ctypes
import os
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

HERE = Path(__file__).resolve().parent
POINTER = ctypes.POINTER(ctypes.c_double)
LANES = ctypes.CFUNCTYPE(ctypes.c_int, POINTER, POINTER, POINTER, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p)
LANE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, POINTER, POINTER, ctypes.c_ssize_t, ctypes.c_void_p)

AGAINST_C = 1.15
COUNT, STEPS, DT = 10_000, 1000, 1e-3
TOL, T_END, FEW = 1e-8, 10.0, 2000  # error control


@pytest.fixture(scope="session")
def library(load_c: Callable[..., ctypes.CDLL]) -> ctypes.CDLL:
    return load_c("lanes.c", f"-DBLOCK={core.BLOCK}")


def starts(count: int) -> Array:
    return np.array([1.0, 1.0, 20.0]) + np.random.default_rng(0).standard_normal((count, 3))


def repeated(call: Callable[[], Any]) -> Runner:
    def run(count: int) -> None:
        for _ in range(count):
            call()

    return run


def test_rk4(bench: Bench, library: ctypes.CDLL) -> None:
    fun, y0 = LANES(("lorenz_lanes", library)), starts(COUNT)
    twin = library.lanes_rk4
    twin.argtypes = [LANES, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_double, ctypes.c_void_p]
    twin.restype = None

    def by_hand() -> Array:
        y = y0.copy()
        twin(fun, 3, COUNT, STEPS, DT, y.ctypes.data)
        return y

    def batch(threads: int = 1) -> Any:
        return mflow.solve_ivp_batch(fun, (0.0, STEPS * DT), y0, "rk4", dt=DT, batch=True, threads=threads)

    found = batch()
    assert found.success
    np.testing.assert_allclose(found.y, by_hand(), rtol=1e-9)
    limits = {"C, blocks of lanes": AGAINST_C}
    functions = {"mflow": repeated(batch), "C, blocks of lanes": repeated(by_hand)}
    bench.compare(f"Lorenz, {COUNT:,} lanes of {STEPS} rk4 steps", functions, limits, rounds=11)
    threads = os.cpu_count() or 1
    functions["mflow"] = repeated(lambda: batch(threads))
    bench.compare(f"the same on {threads} threads", functions, rounds=11)


def test_from_symbols(bench: Bench, library: ctypes.CDLL) -> None:
    pytest.importorskip("numba")
    x, y, z = pytest.importorskip("sympy").symbols("x y z")
    block = mflow.compiled_from_sympy([10 * (y - x), x * (28 - z) - y, x * y - 8 * z / 3], [x, y, z], batch=True)
    how: dict[str, Any] = {"dt": DT, "batch": True, "threads": 1}
    functions = {
        "mflow": repeated(lambda: mflow.solve_ivp_batch(block, (0.0, STEPS * DT), starts(COUNT), "rk4", **how)),
        "the same formula in C": repeated(
            lambda: mflow.solve_ivp_batch(LANES(("lorenz_lanes", library)), (0.0, STEPS * DT), starts(COUNT), "rk4", **how)
        ),
    }
    bench.compare("the same, right-hand side from symbols", functions, rounds=11)


@pytest.mark.parametrize("method", ["dopri5", "dop853"])
def test_error_control(method: str, bench: Bench, library: ctypes.CDLL) -> None:
    block, lane, y0 = LANES(("lorenz_lanes", library)), LANE(("lorenz_lane", library)), starts(FEW)
    how: dict[str, Any] = {"rtol": TOL, "atol": TOL, "threads": 1}

    def of_blocks() -> Any:
        return mflow.solve_ivp_batch(block, (0.0, T_END), y0, method, batch=True, **how)

    def one_by_one() -> Any:
        return mflow.solve_ivp_batch(lane, (0.0, T_END), y0, method, **how)

    found, other = of_blocks(), one_by_one()
    assert found.success
    assert other.success
    assert abs(int(found.nsteps.sum()) / int(other.nsteps.sum()) - 1.0) < 0.01
    functions = {"mflow": repeated(of_blocks), "the same, lane by lane": repeated(one_by_one)}
    bench.compare(f"Lorenz to t = {T_END:g}, {FEW:,} lanes, {method}, tolerance {TOL:g}", functions, rounds=7)


def own_numbers(count: int) -> Array:
    """sigma, rho and beta of each trajectory, rho between 20 and 30."""
    rho = np.random.default_rng(1).uniform(20.0, 30.0, count)
    return np.stack([np.full(count, 10.0), rho, np.full(count, 8.0 / 3.0)], axis=1)


def by_taylor(hy: Any, y0: Array, own: Array, tol: float) -> Callable[[], Array]:
    """heyoka's batches of Taylor series, as many trajectories at once as a register holds."""
    x, y, z = hy.make_vars("x", "y", "z")
    system = [(x, hy.par[0] * (y - x)), (y, x * (hy.par[1] - z) - y), (z, x * y - hy.par[2] * z)]
    width = hy.recommended_simd_size()
    run = hy.taylor_adaptive_batch(system, np.zeros((3, width)), tol=tol, pars=np.zeros((3, width)))

    def integrate() -> Array:
        out = np.empty_like(y0)
        for k in range(0, len(y0), width):  # a multiple of it
            run.set_time(0.0)
            run.state[:], run.pars[:] = y0[k : k + width].T, own[k : k + width].T
            run.propagate_until(T_END)
            out[k : k + width] = run.state.T
        return out

    return integrate


@pytest.mark.parametrize("tol", [1e-6, 1e-8])
def test_own_parameters(tol: float, bench: Bench, library: ctypes.CDLL) -> None:
    hy = pytest.importorskip("heyoka")
    fun, y0, own = LANES(("lorenz_own_lanes", library)), starts(COUNT), own_numbers(COUNT)

    def batch() -> Any:
        return mflow.solve_ivp_batch(fun, (0.0, T_END), y0, "dop853", batch=True, batch_args=own, rtol=tol, atol=tol, threads=1)

    series = by_taylor(hy, y0, own, tol)
    found, other = batch(), series()
    assert found.success
    assert np.median(np.abs(found.y - other)) < 1e5 * tol  # errors grow by e^9 until then
    functions = {"mflow": repeated(batch), "heyoka, Taylor series": repeated(series)}
    bench.compare(f"Lorenz to t = {T_END:g}, {COUNT:,} own parameters, dop853, tolerance {tol:g}", functions, rounds=5)
