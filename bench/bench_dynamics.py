"""Second-order runs against hand-written C: Newmark on an oscillator, leapfrog on chains, staggered damping; what the ledger costs.

Both sides do the same arithmetic on the same problem; the twins work in place and test nothing, mflow's loop keeps the last good state
and tests every new one for finite numbers. Chains call one accel pointer.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mflow_core import registry
from mflow_core.dynamics import force, structure
from mflow_core.stepping import stepper
from mflow_core.stepping.energy.energies import Energies

if TYPE_CHECKING:
    from conftest import Bench

Array = np.ndarray[Any, np.dtype[np.float64]]

ONE_DEGREE, SAME_POINTER, TRIDIAGONAL, LEDGER = 2.0, 1.35, 1.15, 1.15
CHECKED_STEPS = 100

ACCEL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, *[ctypes.POINTER(ctypes.c_double)] * 3, ctypes.c_ssize_t, ctypes.c_void_p)


@pytest.fixture(scope="module")
def library(load_c: Callable[..., ctypes.CDLL]) -> ctypes.CDLL:
    return load_c("motion.c")


def function(library: ctypes.CDLL, name: str, kinds: str) -> Any:
    """p: pointer, n: whole number, d: number."""
    found = getattr(library, name)
    found.argtypes = [{"p": ctypes.c_void_p, "n": ctypes.c_ssize_t, "d": ctypes.c_double}[kind] for kind in kinds]
    found.restype = None
    return found


def run_of(name: str, what: Any, x0: Array, dt: float, parameters: dict[str, float] | None = None) -> stepper.Run:
    return stepper.Run(registry.find(name), what, x0, 0.0, dt, parameters or {}, v0=np.zeros_like(x0))


def fixed(run: stepper.Run) -> Callable[[int], None]:
    def go(count: int) -> None:
        assert run.fixed(count) == 0

    return go


def at(*arrays: Array) -> list[int]:
    return [array.ctypes.data for array in arrays]


def bands(n: int, below: float, diagonal: float) -> tuple[Array, Any]:
    """A tridiagonal matrix of constant diagonals, as the twin takes it, and sparse."""
    sparse = pytest.importorskip("scipy.sparse")
    rows = np.stack([np.full(n, below), np.full(n, diagonal), np.full(n, below)])
    rows[0, 0] = rows[2, -1] = 0.0
    return rows, sparse.diags_array([rows[0, 1:], rows[1], rows[2, :-1]], offsets=[-1, 0, 1])


@pytest.mark.parametrize(("beta", "gamma"), [(0.25, 0.5), (1 / 6, 0.5)])
def test_newmark_of_one_degree(bench: Bench, library: ctypes.CDLL, beta: float, gamma: float) -> None:
    """k = 10, T = 1; hardly damped, so that millions of steps do not lead to subnormal numbers, which take longer."""
    twin, m, k, dt = function(library, "twin_newmark", "nddddddp"), 10 / (4 * np.pi**2), 10.0, 0.01
    c = 1e-9
    state, x0 = np.array([1.0, 0.0, -k / m]), np.ones(1)
    run = run_of("newmark", structure.Structure(1, m, c, k), x0, dt, {"beta": beta, "gamma": gamma})
    run.fixed(CHECKED_STEPS)
    twin(CHECKED_STEPS, m, c, k, dt, beta, gamma, state.ctypes.data)
    np.testing.assert_allclose(run.y, state[0], rtol=1e-11)
    functions = {"mflow": fixed(run), "C twin": lambda count: twin(count, m, c, k, dt, beta, gamma, state.ctypes.data)}
    bench.compare(f"newmark({beta:.3g}, {gamma:g}), one degree of freedom, a step", functions, {"C twin": ONE_DEGREE})


@pytest.mark.parametrize("n", [1_000, 10_000, 100_000, 1_000_000])
def test_leapfrog_of_a_chain(bench: Bench, library: ctypes.CDLL, room: Callable[..., Array], n: int) -> None:
    twin, accel = function(library, "twin_leapfrog", "pnndppp"), ACCEL(("chain", library))
    address, dt = ctypes.cast(accel, ctypes.c_void_p).value, 0.1
    start = np.sin(np.arange(n))
    x, v, a = room(n, start), room(n), room(n)
    accel(0.0, *(ctypes.cast(q, ctypes.POINTER(ctypes.c_double)) for q in at(x, v, a)), n, None)
    run = run_of("velocity_verlet", force.Force(accel, (n,), velocity_free=True), start, dt)
    run.fixed(CHECKED_STEPS)
    twin(address, n, CHECKED_STEPS, dt, *at(x, v, a))
    np.testing.assert_allclose(run.y, x, rtol=0, atol=1e-12)
    unit = 32 if n > 100_000 else 1  # a single step of the longest chain lasts as long as a measurement: a run takes many
    many = fixed(run)
    functions = {"mflow": lambda count: many(unit * count), "C twin": lambda count: twin(address, n, unit * count, dt, *at(x, v, a))}
    what = f"leapfrog, chain of {n:,}, one accel pointer, {'a step' if unit == 1 else f'{unit} steps'}"
    bench.compare(what, functions, {"C twin": SAME_POINTER}, rounds=15 if n > 50_000 else 31)


@pytest.mark.parametrize("n", [1_000, 10_000, 100_000])
def test_staggered_with_implicit_damping(bench: Bench, library: ctypes.CDLL, room: Callable[..., Array], n: int) -> None:
    twin, dt, start = function(library, "twin_staggered", "nndpppppp"), 0.1, np.sin(np.arange(n))
    k_rows, K = bands(n, -1.0, 2.0)
    c_rows, C = bands(n, -0.1, 0.25)
    x, v, a, lu, mass = room(n, start), room(n), room(n, -(K @ start)), room(3 * n), np.ones(n)
    kept_k, kept_c = room(3 * n, k_rows.ravel()), room(3 * n, c_rows.ravel())
    function(library, "twin_factor", "ndppp")(n, 0.5 * dt, *at(mass, kept_c, lu))
    run = run_of("staggered", structure.Structure(n, 1.0, C, K), start, dt)
    run.fixed(CHECKED_STEPS)
    where = at(kept_k, kept_c, lu, x, v, a)
    twin(n, CHECKED_STEPS, dt, *where)
    np.testing.assert_allclose(run.y, x, rtol=0, atol=1e-12)
    functions = {"mflow": fixed(run), "C twin": lambda count: twin(n, count, dt, *where)}
    bench.compare(
        f"staggered, tridiagonal damping, {n:,} masses, a step", functions, {"C twin": TRIDIAGONAL}, rounds=15 if n > 50_000 else 31
    )


@pytest.mark.parametrize("n", [1_000, 100_000])
@pytest.mark.parametrize("damped", [False, True])
def test_ledger(bench: Bench, n: int, damped: bool) -> None:
    """What the accounts cost: with damping its work is a product with C at every step, without it nothing is."""
    start, (_, K), (_, C) = np.sin(np.arange(n)), bands(n, -1.0, 2.0), bands(n, -0.1, 0.25)
    for name in ("staggered", "newmark"):
        runs = [run_of(name, structure.Structure(n, 1.0, C if damped else None, K), start, 0.1) for _ in range(2)]
        Energies(runs[0]).keep()
        functions = {"mflow": fixed(runs[0]), "without": fixed(runs[1])}
        what = f"ledger, {name}, {'damped' if damped else 'free'} chain of {n:,}, a step"
        bench.compare(what, functions, {"without": LEDGER}, rounds=15 if n > 50_000 else 31)


def test_cholesky_of_a_brick(bench: Bench) -> None:
    """A solid of 19 x 19 x 19 nodes with three displacements each, 20 577 in all: factors and solves by CHOLMOD and by SuperLU."""
    sparse = pytest.importorskip("scipy.sparse")
    cholmod = pytest.importorskip("sksparse.cholmod")
    linalg = pytest.importorskip("scipy.sparse.linalg")
    line, one = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(19, 19)), sparse.eye_array(19)
    nodes = sum(sparse.kron(sparse.kron(*two), last) for *two, last in ((line, one, one), (one, line, one), (one, one, line)))
    K = sparse.csc_array(sparse.kron(nodes, 2.5 * np.eye(3) + 0.5))
    n = K.shape[0]
    total = sparse.csc_array(sparse.eye_array(n) + 0.25 * K)
    ours = cholmod.analyze(total, mode="supernodal").cholesky(total)
    theirs, b = linalg.splu(total), np.sin(np.arange(n))
    np.testing.assert_allclose(ours.solve_A(b), theirs.solve(b), rtol=0, atol=1e-12)

    def repeated(call: Callable[[], Any]) -> Callable[[int], None]:
        def go(count: int) -> None:
            for _ in range(count):
                call()

        return go

    factors = {
        "CHOLMOD": repeated(lambda: cholmod.analyze(total, mode="supernodal").cholesky(total)),
        "SuperLU": repeated(lambda: linalg.splu(total)),
    }
    bench.compare(f"factors of a brick of {n:,}", factors, {"SuperLU": 0.5}, rounds=3)
    solves = {"CHOLMOD": repeated(lambda: ours.solve_A(b)), "SuperLU": repeated(lambda: theirs.solve(b))}
    bench.compare(f"a solve of a brick of {n:,}", solves, {"SuperLU": 0.8}, rounds=5)
