"""Adaptive integrators: dopri5 against C, C++ and Python peers; implicit steps against SciPy's at the same achieved error.

Lorenz, dopri5: time for an evaluation of the right-hand side, the whole of `solve_ivp` included, so that a contender that takes other
steps is not favoured; for SciPy, time for a step. All contenders but SciPy call the same compiled function.

Stiff problems: every contender is run down a ladder of tolerances, rtol = atol; the two neighbours between which its error passes the
one in question are timed, and the time at that error lies between them on a straight line in the logarithms.
"""

from __future__ import annotations

import ctypes
import shlex
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import mflow
from mflow.testproblems import get_problem

if TYPE_CHECKING:
    from conftest import Bench, Quartiles, Runner

Array = np.ndarray[Any, np.dtype[np.float64]]

AGAINST_C = 1.15
AGAINST_ODEINT = 1.2
AGAINST_SODA = 1 / 2
AGAINST_RK45 = 1 / 200
STIFF_COMPILED = 1 / 10
STIFF_PYTHON = 1 / 2

TOL = 1e-8
LONG = 100.0  # Lorenz is timed to here, and checked at the end of its test problem
FIRST = 1e-3
LADDER = [10.0 ** (-k / 2) for k in range(5, 25)]
ERRORS = {"robertson": (1e-7, 1e-9), "vdp": (1e-4, 1e-6, 1e-8), "hires": (1e-4, 1e-6, 1e-8)}  # Robertson's is never as large

HERE = Path(__file__).resolve().parent
POINTER = ctypes.POINTER(ctypes.c_double)
RHS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, POINTER, POINTER, ctypes.c_ssize_t, ctypes.c_void_p)


def compiled(source: str, folder: Path, compiler: str, flags: list[str]) -> ctypes.CDLL:
    target = folder / f"{source}.so"
    subprocess.run([*shlex.split(compiler), *flags, "-fPIC", "-shared", "-o", str(target), str(HERE / source), "-lm"], check=True)
    return ctypes.CDLL(str(target))


@pytest.fixture(scope="session")
def problems(tmp_path_factory: pytest.TempPathFactory, flags: list[str]) -> ctypes.CDLL:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler")
    return compiled("problems.c", tmp_path_factory.mktemp("problems"), compiler, flags)


class Loop:
    """An integrator behind the signature of twin_dopri5: (rhs, n, t, t_end, h, rtol, atol, y, counts)."""

    def __init__(self, function: Any, rhs: Any) -> None:
        self.function, self.rhs = function, ctypes.cast(rhs, ctypes.c_void_p).value
        function.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t, *5 * [ctypes.c_double], ctypes.c_void_p, ctypes.c_void_p]
        function.restype = ctypes.c_ssize_t

    def __call__(self, t_end: float, counts: Array | None = None) -> Array:
        y = get_problem("lorenz").y0.copy()
        where = None if counts is None else counts.ctypes.data
        self.function(self.rhs, 3, 0.0, t_end, FIRST, TOL, TOL, y.ctypes.data, where)
        return y


def repeat(call: Callable[[], Any]) -> Runner:
    def run(count: int) -> None:
        for _ in range(count):
            call()

    return run


def each(found: Quartiles, work: float) -> Quartiles:
    return type(found)(found.lower / work, found.median / work, found.upper / work)


# ---- dopri5 on Lorenz ------------------------------------------------------------------------------------------------------------------


class Lorenz:
    """Contenders, their work, and the line that they make."""

    def __init__(self, problems: ctypes.CDLL) -> None:
        self.what, self.rhs = get_problem("lorenz"), RHS(("f_lorenz", problems))
        self.close(self.solve(self.what.t_span[1]).y[:, -1])
        self.long = self.solve(LONG)

    def solve(self, t_end: float) -> Any:
        r = mflow.solve_ivp(
            self.rhs, (0.0, t_end), self.what.y0, "dopri5", rtol=TOL, atol=TOL, first_step=FIRST, save="last"
        )  # fmt: skip
        assert r.reason == "finished", r.message
        return r

    def close(self, y: Any) -> None:
        """All contenders come to the known end, within what chaos makes of the tolerance."""
        assert self.what.error(y) < 1e3 * TOL

    def compare(self, bench: Bench, per: str, work: float, peer: str, call: Callable[[], Any], peer_work: float, limit: float) -> None:
        functions = {"mflow": repeat(lambda: self.solve(LONG)), peer: repeat(call)}
        found = bench.interleaved(functions, rounds=15)
        bench.show(functions["mflow"])
        what = f"Lorenz, dopri5, rtol = atol = 1e-8, {per}"
        bench.line(bench.Line(what, each(found["mflow"], work), peer, each(found[peer], peer_work), limit))


@pytest.fixture
def lorenz(problems: ctypes.CDLL) -> Lorenz:
    return Lorenz(problems)


def test_lorenz_against_the_twin(bench: Bench, problems: ctypes.CDLL, lorenz: Lorenz) -> None:
    twin, counts = Loop(problems.twin_dopri5, lorenz.rhs), np.zeros(2, dtype=np.int64)
    lorenz.close(twin(lorenz.what.t_span[1], counts))
    twin(LONG, counts)
    calls = 6 * int(counts.sum()) + 1
    assert lorenz.long.nfev == pytest.approx(calls, rel=0.05)  # the same controller
    lorenz.compare(bench, "an evaluation", lorenz.long.nfev, "C twin", lambda: twin(LONG, counts), calls, AGAINST_C)


def test_lorenz_against_odeint(
    bench: Bench, lorenz: Lorenz, flags: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:  # fmt: skip
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None or not finds_odeint(compiler):
        pytest.skip("Boost odeint or a C++ compiler is not installed")
    library = compiled("odeint.cpp", tmp_path_factory.mktemp("odeint"), compiler, ["-std=c++17", *flags[1:]])
    peer, calls = Loop(library.odeint_dopri5, lorenz.rhs), np.zeros(1, dtype=np.int64)
    lorenz.close(peer(lorenz.what.t_span[1]))
    peer(LONG, calls)
    lorenz.compare(bench, "an evaluation", lorenz.long.nfev, "Boost odeint", lambda: peer(LONG), int(calls[0]), AGAINST_ODEINT)


def finds_odeint(compiler: str) -> bool:
    source = "#include <boost/numeric/odeint.hpp>"
    command = [*shlex.split(compiler), "-x", "c++", "-E", "-o", "/dev/null", "-"]
    return subprocess.run(command, input=source.encode(), capture_output=True, check=False).returncode == 0


def test_lorenz_against_numbalsoda(bench: Bench, problems: ctypes.CDLL, lorenz: Lorenz) -> None:
    """Its dop853, the only explicit method that it has."""
    soda = pytest.importorskip("numbalsoda")
    plain, counted = (ctypes.cast(getattr(problems, f"soda_lorenz{end}"), ctypes.c_void_p).value for end in ("", "_counted"))
    y0 = lorenz.what.y0.copy()

    def solve(address: Any, t_end: float) -> Array:
        y, success = soda.dop853(address, y0, np.array([0.0, t_end]), rtol=TOL, atol=TOL, mxstep=10_000_000)
        assert success
        return y[-1]

    lorenz.close(solve(plain, lorenz.what.t_span[1]))
    problems.soda_count.restype = ctypes.c_ssize_t
    before = problems.soda_count()
    solve(counted, LONG)
    calls = problems.soda_count() - before
    lorenz.compare(bench, "an evaluation", lorenz.long.nfev, "numbalsoda dop853", lambda: solve(plain, LONG), calls, AGAINST_SODA)


def test_lorenz_against_scipy(bench: Bench, lorenz: Lorenz) -> None:
    integrate = pytest.importorskip("scipy.integrate")
    t_end = lorenz.what.t_span[1]

    def solve() -> Any:
        return integrate.solve_ivp(lorenz.what.fun, (0.0, t_end), lorenz.what.y0, "RK45", rtol=TOL, atol=TOL)

    peer = solve()
    lorenz.close(peer.y[:, -1])
    lorenz.compare(bench, "a step", lorenz.long.nsteps, "scipy RK45", solve, peer.t.size - 1, AGAINST_RK45)


# ---- stiff problems at equal error -----------------------------------------------------------------------------------------------------


def rungs(solve: Callable[[float], tuple[float, bool]], error: float) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Two neighbours of the ladder, as (tolerance, error), between which the error passes the one asked for."""
    last: tuple[float, float] | None = None
    for tol in LADDER:
        off, good = solve(tol)
        here = (tol, off) if good and off > 0 else None
        if here is not None and here[1] <= error:
            return (last, here) if last is not None else None
        last = here or last
    return None


def stiff_contenders(name: str, problems: ctypes.CDLL) -> dict[str, Callable[[float], tuple[float, bool]]]:
    """(error, whether the end was reached) for a tolerance."""
    integrate = pytest.importorskip("scipy.integrate")
    what = get_problem(name)
    fun, jac = (RHS((f"{kind}_{name}", problems)) for kind in "fj")

    def own(fun: Any, jac: Any, tol: float) -> tuple[float, bool]:
        r = mflow.solve_ivp(fun, what.t_span, what.y0, "esdirk43", rtol=tol, atol=tol, jac=jac, save="last")
        return what.error(r.y[:, -1]), bool(r.success)

    def scipy(method: str, tol: float) -> tuple[float, bool]:
        with np.errstate(all="ignore"):
            r = integrate.solve_ivp(what.fun, what.t_span, what.y0, method, rtol=tol, atol=tol, jac=what.jac)
        return what.error(r.y[:, -1]), bool(r.success)

    return {
        "mflow, compiled": partial(own, fun, jac), "mflow, Python": partial(own, what.fun, what.jac),
        "scipy BDF": partial(scipy, "BDF"), "scipy Radau": partial(scipy, "Radau"),
    }  # fmt: skip


def between(low: Quartiles, high: Quartiles, share: float) -> Quartiles:
    return type(low)(*(a ** (1.0 - share) * b**share for a, b in zip(vars(low).values(), vars(high).values(), strict=True)))


@pytest.mark.parametrize(("name", "error"), [(name, error) for name, errors in ERRORS.items() for error in errors])
def test_stiff(name: str, error: float, bench: Bench, problems: ctypes.CDLL) -> None:
    contenders = stiff_contenders(name, problems)
    around = {who: rungs(solve, error) for who, solve in contenders.items()}
    assert around["mflow, compiled"] is not None, "the ladder does not reach this error"
    reached = {who: pair for who, pair in around.items() if pair is not None}
    functions: dict[str, Runner] = {}
    for who, pair in reached.items():
        for side, (tol, _) in zip(("above", "below"), pair, strict=True):
            functions[f"{who}, {side}"] = repeat(partial(contenders[who], tol))
    found = bench.interleaved(functions, rounds=7)
    bench.show(functions["mflow, compiled, below"])
    times = {}
    for who, ((_, above), (_, below)) in reached.items():
        share = float(np.log(error / above) / np.log(below / above))
        times[who] = between(found[f"{who}, above"], found[f"{who}, below"], share)
    for own, limit in (("mflow, compiled", STIFF_COMPILED), ("mflow, Python", STIFF_PYTHON)):
        for peer in ("scipy BDF", "scipy Radau"):
            if own in times and peer in times:
                bench.line(bench.Line(f"{name}, error {error:.0e}, esdirk43 {own[7:]}", times[own], peer, times[peer], limit))
