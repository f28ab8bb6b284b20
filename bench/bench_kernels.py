"""Kernels of methods against C twins that call the same pointer, from 2 to 10 million numbers, and `Run.fixed` beyond the caches.

    python -m pytest bench/bench_kernels.py -k "rk4 and not run"

A kernel is timed as a host runs it that owns its loop. Twins are hand-written (twins.c, kernels.c) or, of pairs, written from their
tableaus. What counts is the processor's time of this thread. Steps are so short that no number gets small:
subnormal numbers take longer, and where they begin would depend on how often each contender was called.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from mflow_core import registry
from mflow_core.dynamics import force
from mflow_core.problems import problem
from mflow_core.stepping import stepper

if TYPE_CHECKING:
    from conftest import Bench

Array = np.ndarray[Any, np.dtype[np.float64]]

SHORT, LONG, RUN = 1.10, 1.05, 1.15  # kernels up to 1000 numbers, longer ones, and runs
LENGTHS = (2, 3, 4, 10, 30, 100, 200, 1000, 10_000, 100_000, 1_000_000, 10_000_000)
CHECKED_STEPS, CHECKED_DT, DT = 25, 1e-3, 1e-9

POINTER = ctypes.POINTER(ctypes.c_double)
RHS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, POINTER, POINTER, ctypes.c_ssize_t, ctypes.c_void_p)
ACCEL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_double, POINTER, POINTER, POINTER, ctypes.c_ssize_t, ctypes.c_void_p)
SOLVE = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_double] * 2, *[POINTER] * 2, *[ctypes.c_double] * 2, *[POINTER] * 2, ctypes.c_ssize_t,
                         ctypes.c_void_p)  # fmt: skip
HERE = Path(__file__).resolve().parent
SOURCES = "".join((HERE / name).read_text(encoding="utf-8") for name in ("twins.c", "kernels.c"))
PAIRS = "embedded_runge_kutta"
RECORDS = {
    r.name: r for r in registry.records() if r.family == PAIRS or f"STEP({r.name}," in SOURCES or f"void twin_{r.name}(mf_" in SOURCES
}


# ---- twins of pairs ----------------------------------------------------------------------------------------------------------------------


def total(row: Sequence[float], slope: str = "k{}[i]") -> str:
    return " + ".join(f"{w!r} * {slope.format(j)}" for j, w in enumerate(row) if w != 0.0)


def pair_source(record: registry.MethodRecord) -> str:
    """The steps of a pair with its coefficients as constants: stages, the carried slope and its error estimates, in one loop each."""
    table = record.tableau
    assert table is not None
    A, s = table["A"], record.stages
    slopes = ", ".join(f"*restrict k{j} = w + {j} * ld" for j in range(1, s - 1))
    lines = [f"INLINE void {record.name}_loop(mf_rhs_fn f, ptrdiff_t n, int few, ptrdiff_t steps, double h, double **now, double **next, "
             "double *w, double *err, ptrdiff_t ld) {",
             "for (ptrdiff_t step = 0; step < steps; step++) {",
             f"const double t = (double)step * h; double *y = now[0], *restrict k0 = now[1], *restrict z = w, "
             f"*restrict k{s - 1} = next[1], *restrict end = next[0], {slopes};"]  # fmt: skip
    for j in range(1, s):
        to = "end" if j == s - 1 else "z"
        lines.append(f"for (ptrdiff_t i = 0; i < n; i++) {to}[i] = kept(y[i] + h * ({total(A[j][:j])}), few);")
        lines.append(f"f(t + {float(table['c'][j])!r} * h, {to}, k{j}, n, NULL);")
    for e, row in enumerate(table["d"]):
        lines.append(f"for (ptrdiff_t i = 0; i < n; i++) err[{e} * ld + i] = kept(h * ({total(row)}), few);")
    return "\n".join([*lines, "exchange(now, next, 2);", "}", "}", f"PAIR({record.name})", ""])


@pytest.fixture(scope="module")
def library(load_c: Callable[..., ctypes.CDLL], twins: ctypes.CDLL, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """bench/kernels.c and the twins of pairs, compiled and loaded."""
    pairs = "".join(pair_source(record) for record in RECORDS.values() if record.family == PAIRS)
    source = tmp_path_factory.mktemp("pairs") / "kernels_and_pairs.c"
    source.write_text(f'#include "{HERE / "kernels.c"}"\n{pairs}', encoding="utf-8")
    return load_c(source)


# ---- contenders --------------------------------------------------------------------------------------------------------------------------


def address(function: Any) -> int | None:
    return ctypes.cast(function, ctypes.c_void_p).value


def pointers(vectors: Sequence[Array]) -> Any:
    return (ctypes.c_void_p * len(vectors))(*(vector.ctypes.data for vector in vectors))


class Subject:
    """A method, the callbacks of both sides, and a start."""

    def __init__(self, record: registry.MethodRecord, n: int, room: Callable[..., Array], twins: ctypes.CDLL, library: ctypes.CDLL) -> None:
        self.record, self.n, self.room, self.ld = record, n, room, (n + 7) // 8 * 8 + 8
        self.motion, self.pair = record.family == "second_order", record.family == PAIRS
        self.implicit = "implicit" in record.flags
        self.library = library if self.motion or self.pair else twins
        self.steps = library.kernel_steps
        self.accel, self.solve = library.springs, library.solved_springs
        self.rhs = twins.lorenz if n == 3 else twins.linear
        self.start = np.array([1.0, 1.0, 20.0]) if n == 3 else np.cos(np.arange(n))

    def vectors(self) -> list[Array]:
        """y; y and a slope; or x, v, a, and what else the method carries."""
        out = [self.room(self.n) for _ in range(self.record.sizes()["n_vec"])]
        out[0][:] = self.start
        if self.motion:
            out[2][:] = -self.start
        elif self.pair:
            self.slope_at(out[0], out[1])
        return out

    def slope_at(self, y: Array, out: Array) -> None:
        RHS(address(self.rhs))(0.0, y.ctypes.data_as(POINTER), out.ctypes.data_as(POINTER), self.n, None)


class Kernel:
    """mflow's kernel alone in a C loop of the host's: in place, or where it would make copies then, from one state to another."""

    def __init__(self, subject: Subject) -> None:
        s, record, sizes = subject, subject.record, subject.record.sizes()
        self.now = s.vectors()
        self.at = pointers(self.now)
        self.next = [s.room(s.n) for _ in self.now] if s.pair or s.implicit else None
        self.to = None if self.next is None else pointers(self.next)
        self.work, self.par = s.room(max(sizes["n_work"], 1) * s.ld), np.array([p[1] for p in record.parameters_] or [0.0])
        self.err = s.room(sizes["n_err"] * s.ld) if s.pair else None
        self.scalars, self.n, self.steps = np.zeros(8), s.n, s.steps
        rhs, accel, solve = (None, s.accel, s.solve) if s.motion else (s.rhs, None, None)
        self.head = [ctypes.c_void_p(record.address), *(ctypes.c_void_p(address(f)) if f else None for f in (rhs, accel, solve))]
        err = None if self.err is None else ctypes.c_void_p(self.err.ctypes.data)
        self.tail = [*(ctypes.c_void_p(q.ctypes.data) for q in (self.par, self.scalars)), self.at, self.to,
                     ctypes.c_void_p(self.work.ctypes.data), err, ctypes.c_ssize_t(s.ld), ctypes.c_uint(0)]  # fmt: skip

    def __call__(self, count: int, dt: float = DT) -> None:
        self.steps(*self.head, ctypes.c_ssize_t(self.n), ctypes.c_ssize_t(count), ctypes.c_double(dt), *self.tail)

    @property
    def y(self) -> Array:
        return next(q for q in (*self.now, *(self.next or [])) if q.ctypes.data == self.at[0])


class Twin:
    """Its twin."""

    def __init__(self, subject: Subject) -> None:
        s = subject
        self.subject, self.now, self.function = s, s.vectors(), getattr(s.library, f"twin_{s.record.name}")
        self.work = s.room(s.record.sizes()["n_work"] * s.ld if s.pair else 5 * s.ld)
        self.next = [s.room(s.n) for _ in self.now] if s.pair or s.implicit else []
        self.err = s.room(2 * s.ld)
        self.at, self.to = pointers(self.now), pointers(self.next)
        self.callback = ctypes.c_void_p(address(s.solve if s.implicit else s.accel if s.motion else s.rhs))

    def __call__(self, count: int, dt: float = DT) -> None:
        s, n, steps, h = self.subject, ctypes.c_ssize_t(self.subject.n), ctypes.c_ssize_t(count), ctypes.c_double(dt)
        work, ld = ctypes.c_void_p(self.work.ctypes.data), ctypes.c_ssize_t(s.ld)
        if s.implicit:
            self.function(self.callback, n, steps, h, self.at, self.to)
        elif s.motion:
            self.function(self.callback, n, steps, h, *(ctypes.c_void_p(q.ctypes.data) for q in self.now))
        elif s.pair:
            self.function(self.callback, n, steps, h, self.at, self.to, work, ctypes.c_void_p(self.err.ctypes.data), ld)
        else:
            self.function(self.callback, n, steps, ctypes.c_double(0.0), h, ctypes.c_void_p(self.now[0].ctypes.data), work, ld)

    @property
    def y(self) -> Array:
        return next(q for q in (*self.now, *self.next) if q.ctypes.data == self.at[0])


def run_of(subject: Subject, dt: float = DT) -> stepper.Run:
    s = subject
    if not s.motion:
        return stepper.Run(s.record, problem.rhs_problem(RHS(address(s.rhs)), s.start.shape), s.start, 0.0, dt)
    solver = {"solve_accel": SOLVE(address(s.solve))} if s.implicit else {}
    equation = force.Force(ACCEL(address(s.accel)), (s.n,), velocity_free=True, **solver)
    return stepper.Run(s.record, equation, s.start, 0.0, dt, {}, v0=np.zeros_like(s.start))


# ---- benches -----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def subject(name: str, n: int, room: Callable[..., Array], twins: ctypes.CDLL, library: ctypes.CDLL) -> Subject:
    return Subject(RECORDS[name], n, room, twins, library)


def how(n: int) -> dict[str, Any]:
    few = {"rounds": 9, "seconds": 2e-2} if n > 100_000 else {}
    return {"clock": time.thread_time_ns, **few}


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("name", RECORDS)
def test_kernel(name: str, n: int, subject: Subject, bench: Bench) -> None:
    kernel, twin = Kernel(subject), Twin(subject)
    kernel(CHECKED_STEPS, CHECKED_DT)
    twin(CHECKED_STEPS, CHECKED_DT)
    np.testing.assert_allclose(kernel.y, twin.y, rtol=1e-11, atol=1e-13)
    limits = {"C twin": SHORT if n <= 1000 else LONG}
    bench.compare(f"{name}, n = {n:,}: kernel, a step", {"mflow": kernel, "C twin": twin}, limits, **how(n))


@pytest.mark.parametrize("n", [n for n in LENGTHS if n >= 10_000])
@pytest.mark.parametrize("name", RECORDS)
def test_run(name: str, n: int, subject: Subject, bench: Bench) -> None:
    """A run keeps the last good state and looks at the new one."""
    run, twin = run_of(subject, CHECKED_DT), Twin(subject)
    run.fixed(CHECKED_STEPS)
    twin(CHECKED_STEPS, CHECKED_DT)
    np.testing.assert_allclose(run.y, twin.y, rtol=1e-11, atol=1e-13)
    run = run_of(subject)
    bench.compare(f"{name}, n = {n:,}: Run.fixed, a step", {"mflow": run.fixed, "C twin": twin}, {"C twin": RUN}, **how(n))
