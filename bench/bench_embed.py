"""Rows called by a host: from C and numba loops through the table of functions, against the same arithmetic by hand; and on threads."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mflow_core import abi, registry

from bench_optim import COEFFICIENTS, WIDTH

if TYPE_CHECKING:
    from conftest import Bench, Room

numba = pytest.importorskip("numba")

UPDATE_AGAINST_C, STEP_AGAINST_C = 1.10, 1.15
TWO_THREADS = 1 / 1.8
H = 0.01


@pytest.fixture(scope="module")
def host(load_c: Callable[..., ctypes.CDLL]) -> ctypes.CDLL:
    return load_c("embed.c")


def address(array: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


update, step = abi.function("update"), abi.function("step")


@numba.njit(nogil=True)
def numba_updates(record: int, coef: Any, x: Any, g: Any, count: int) -> int:
    for _ in range(count):
        update(record, coef.ctypes.data, 1.0, 0, g.size, x.ctypes.data, g.ctypes.data)
    return 0


@numba.njit(nogil=True)
def numba_steps(record: int, frame: Any, count: int) -> int:
    for k in range(count):
        frame[0].k = k
        frame[0].t = k * frame[0].h
        step(record, frame.ctypes.data)
    return 0


@pytest.mark.parametrize("n", [10, 1000])
def test_update(bench: Bench, host: ctypes.CDLL, twins: ctypes.CDLL, room: Room, n: int) -> None:
    record = registry.find("adam")
    par = np.array([p[1] for p in record.parameters_])
    g, scal, coef = room(n, np.cos(np.arange(n)) + 0.1), np.zeros(8), np.zeros(32)
    assert abi.function("begin")(record.address, par.ctypes.data, 0, scal.ctypes.data, coef.ctypes.data) == 0
    table, functions, states = ctypes.c_void_p(abi.table()), {}, {}
    for name in ("C", "numba", "twin"):
        states[name] = [room(n) for _ in range(3)]
    pointers = {name: np.array([a.ctypes.data for a in vectors], np.uintp) for name, vectors in states.items()}
    k = np.zeros(WIDTH)
    defaults = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8}
    k[: len(COEFFICIENTS["adam"](defaults, 1))] = COEFFICIENTS["adam"](defaults, 1)

    def by_c(count: int) -> None:
        host.api_updates(
            table,
            ctypes.c_void_p(record.address),
            address(coef),
            ctypes.c_ssize_t(n),
            address(pointers["C"]),
            address(g),
            ctypes.c_ssize_t(count),
        )

    def by_twin(count: int) -> None:
        twins.twin_adam(
            ctypes.c_ssize_t(n), ctypes.c_ssize_t(count), address(k), ctypes.c_ssize_t(0), *map(address, states["twin"]), address(g)
        )

    functions = {"C": by_c, "numba": lambda count: numba_updates(record.address, coef, pointers["numba"], g, count), "twin": by_twin}
    for run in functions.values():
        run(20)
    assert states["C"][0].tobytes() == states["numba"][0].tobytes()
    np.testing.assert_allclose(states["C"][0], states["twin"][0], rtol=1e-12)
    for name in ("C", "numba"):
        bench.compare(f"mf_update adam n={n} from {name}", {name: functions[name], "C twin": by_twin}, limits={"C twin": UPDATE_AGAINST_C})


def test_step(bench: Bench, host: ctypes.CDLL, room: Room) -> None:
    record = registry.find("rk4")
    rhs = ctypes.cast(host.swing, ctypes.c_void_p).value
    problem = np.zeros(1, abi.dtype("mf_problem"))
    problem["size"], problem["n"], problem["rhs"] = problem.itemsize, 2, rhs
    states, frames, keep = {}, {}, []
    for name in ("C", "numba", "hand"):
        y, work = room(8, 1.0), room(8 * record.sizes()["n_work"] + 16)
        vectors = np.array([y.ctypes.data], np.uintp)
        frame = np.zeros(1, abi.dtype("mf_frame"))
        for field, value in {"size": frame.itemsize, "n": 2, "ld": 8, "h": H, "x0": vectors.ctypes.data, "x1": vectors.ctypes.data,
                             "work": work.ctypes.data, "p": problem.ctypes.data}.items():  # fmt: skip
            frame[field] = value
        states[name], frames[name] = y, frame
        keep += [vectors, work]
    table, hand_work = ctypes.c_void_p(abi.table()), room(16)

    def by_c(count: int) -> None:
        host.api_steps(table, ctypes.c_void_p(record.address), address(frames["C"]), ctypes.c_ssize_t(count))

    def by_hand(count: int) -> None:
        host.hand_steps(ctypes.c_void_p(rhs), ctypes.c_double(H), address(states["hand"]), address(hand_work), ctypes.c_ssize_t(count))

    functions = {"C": by_c, "numba": lambda count: numba_steps(record.address, frames["numba"], count), "hand": by_hand}
    for run in functions.values():
        run(500)
    assert states["C"].tobytes() == states["numba"].tobytes()
    np.testing.assert_allclose(states["C"][:2], states["hand"][:2], rtol=1e-13)
    for name in ("C", "numba"):
        bench.compare(f"mf_step rk4 n=2 from {name}", {name: functions[name], "C by hand": by_hand}, limits={"C by hand": STEP_AGAINST_C})


def test_two_threads(bench: Bench, host: ctypes.CDLL) -> None:
    """Two independent steppers on two threads against the same two in turn. The machine has to have two cores to spare."""
    record = registry.find("rk4")
    problem, options, y = np.zeros(1, abi.dtype("mf_problem")), np.zeros(1, abi.dtype("mf_run_options")), np.ones(2)
    problem["size"], problem["n"], problem["rhs"] = problem.itemsize, 2, ctypes.cast(host.swing, ctypes.c_void_p).value
    options["size"], options["dt"] = options.itemsize, 1e-3
    start = np.array([y.ctypes.data], np.uintp)
    runs = [abi.function("run_new")(record.address, *(a.ctypes.data for a in (problem, options, start)), 0) for _ in range(2)]
    assert all(runs)
    advance, steps, at = abi.function("run_advance"), 2000, [0, 0]

    def go(which: int, count: int) -> None:
        at[which] += count * steps
        assert advance(runs[which], at[which] * 1e-3, 10**9) == 0

    def in_turn(count: int) -> None:
        go(0, count)
        go(1, count)

    def together(count: int) -> None:
        threads = [threading.Thread(target=go, args=(which, count)) for which in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    bench.compare(
        "two runs of 2000 rk4 steps, two threads", {"together": together, "in turn": in_turn}, limits={"in turn": TWO_THREADS}, seconds=0.03
    )
    for run in runs:
        abi.function("run_free")(run)
