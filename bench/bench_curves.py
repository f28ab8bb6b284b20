"""Fifteen ordinary fits against SciPy's `curve_fit`: calls of the model, cost and time; compiled ones; a batch of decays.

Calls are those of the model, differences counted. Data and starts are fixed; noise is 2 % of the range unless said.
"""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

import mflow

if TYPE_CHECKING:
    from conftest import Bench

scipy = pytest.importorskip("scipy")
pytest.importorskip("scipy.optimize")

WALL, COMPILED, CALLS = 0.6, 0.05, 1.0  # of SciPy's
BATCH = 10_000.0  # nanoseconds of a decay of three parameters and 50 points in a batch, on one core
SAME = 1e-9  # of the cost
DECAYS = 20_000
SETS = 50
exp, sin = np.exp, np.sin
T = np.linspace(0, 5, 50)


class Problem(NamedTuple):
    """A model with its data; compiled: its name in fits.c."""

    name: str
    compiled: str
    f: Callable[..., Any]
    x: Any
    y: Any
    p0: list[float]


def problems() -> Iterator[Problem]:
    """The fifteen."""
    rng = np.random.default_rng(12)

    def made(name: str, compiled: str, f: Any, x: Any, true: Any, p0: Any, noise: float = 0.02, outliers: int = 0) -> Problem:
        y = f(x, *true)
        s = noise * np.ptp(y)
        y = y + s * rng.standard_normal(x.size)
        if outliers:
            y[rng.choice(x.size, outliers, False)] += 10 * s * rng.choice([-1, 1], outliers)
        return Problem(name, compiled, f, x, y, [float(p) for p in p0])

    def decay(t: Any, a: float, k: float, c: float) -> Any:
        return a * exp(-k * t) + c

    def peak(x: Any, a: float, m: float, s: float) -> Any:
        return a * exp(-0.5 * ((x - m) / s) ** 2)

    ten = np.linspace(0, 10, 80)
    yield made("decay", "decay", decay, T, (2.5, 1.3, 0.5), (1, 1, 1))
    yield made("decay from far", "decay", decay, T, (20, 0.4, 3), (1, 1, 0))
    yield made(
        "two decays", "two_decays", lambda t, a, k, b, j: a * exp(-k * t) + b * exp(-j * t), T, (3, 0.4, 5, 3.0), (1, 0.5, 1, 2.0), 0.005
    )
    yield made("growth", "growth", lambda t, a, k: a * exp(k * t), T, (0.7, 0.6), (1, 0.1))
    yield made("Michaelis-Menten", "michaelis", lambda s, v, k: v * s / (k + s), np.linspace(0.1, 10, 30), (4, 1.7), (1, 1))
    yield made("Gaussian", "gaussian", peak, np.linspace(-5, 5, 60), (3, 0.7, 1.2), (1, 0, 1))
    yield made(
        "Gaussian on a line", "peak_on_a_line", lambda x, a, m, s, b, c: peak(x, a, m, s) + b * x + c, ten, (5, 6, 0.8, 0.2, 1),
        (3, 5, 1, 0, 0),
    )  # fmt: skip
    yield made(
        "two Gaussians", "two_peaks", lambda x, a, m, s, b, n, u: peak(x, a, m, s) + peak(x, b, n, u), np.linspace(0, 10, 100),
        (5, 3, 0.6, 3, 6, 1.0), (4, 2.5, 1, 4, 6.5, 1),
    )  # fmt: skip
    yield made("sine", "wave", lambda t, a, w, p, c: a * sin(w * t + p) + c, ten, (2, 1.8, 0.6, 0.3), (1, 1.7, 0, 0))
    yield made(
        "damped sine", "damped_wave", lambda t, a, k, w, p: a * exp(-k * t) * sin(w * t + p), np.linspace(0, 10, 100), (3, 0.3, 2.5, 0.5),
        (2, 0.1, 2.4, 0),
    )  # fmt: skip
    yield made(
        "logistic growth", "logistic", lambda t, l, k, m: l / (1 + exp(-k * (t - m))), np.linspace(0, 10, 50), (8, 1.4, 4.5), (5, 1, 5)
    )
    yield made("power law", "power", lambda x, a, b: a * x**b, np.linspace(0.5, 10, 40), (1.5, 1.7), (1, 1))
    yield made("decay with outliers", "decay", decay, T, (2.5, 1.3, 0.5), (1, 1, 1), outliers=5)
    yield made(
        "4PL", "four_parameters", lambda x, a, b, c, d: d + (a - d) / (1 + (x / c) ** b), np.geomspace(0.01, 100, 40), (0.1, 1.3, 2, 3.0),
        (0, 1, 1, 2.5),
    )  # fmt: skip
    yield made("Arrhenius", "arrhenius", lambda t, a, e: a * exp(-e / (8.314e-3 * t)), np.linspace(280, 360, 30), (1e6, 35.0), (1e5, 30.0))


ALL = list(problems())


def counted(p: Problem) -> tuple[Callable[..., Any], list[float]]:
    """The model, and the lowest cost after each of its calls."""
    costs: list[float] = []

    def f(x: Any, *b: Any) -> Any:
        value = p.f(x, *b)
        costs.append(min(costs[-1] if costs else np.inf, 0.5 * float(np.sum((value - p.y) ** 2))))
        return value

    return f, costs


def quietly(run: Callable[[], Any]) -> Any:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return run()


def test_calls_to_the_same_cost(bench: Bench) -> None:
    """In sum: all calls of a run, and calls until SciPy's last cost is reached."""
    ours = until = theirs = 0
    for p in ALL:
        f, costs = counted(p)
        quietly(lambda f=f, p=p: scipy.optimize.curve_fit(f, p.x, p.y, p.p0, maxfev=5000))
        theirs, best = theirs + len(costs), costs[-1]
        f, costs = counted(p)
        quietly(lambda f=f, p=p: mflow.curve_fit(f, p.x, p.y, p.p0))
        assert costs[-1] <= best * (1 + SAME), p.name
        ours += len(costs)
        until += next(k + 1 for k, cost in enumerate(costs) if cost <= best * (1 + SAME))
    bench.show(lambda count: [mflow.curve_fit(p.f, p.x, p.y, p.p0) for p in ALL[:1] for _ in range(count)])
    print(f"\ncalls of 15 fits: SciPy {theirs}, mflow {ours} ({ours / theirs:.3f}), {until} until SciPy's cost ({until / theirs:.3f})")
    assert ours <= CALLS * theirs


@pytest.mark.parametrize("p", ALL, ids=lambda p: p.name)
def test_a_fit(p: Problem, bench: Bench) -> None:
    """Python models, one fit."""

    def ours(count: int) -> None:
        for _ in range(count):
            mflow.curve_fit(p.f, p.x, p.y, p.p0)

    def peer(count: int) -> None:
        for _ in range(count):
            scipy.optimize.curve_fit(p.f, p.x, p.y, p.p0, maxfev=5000)

    quietly(lambda: bench.compare(f"curve_fit, {p.name}", {"mflow": ours, "SciPy": peer}, seconds=4e-3, rounds=15))


def test_all_fits(bench: Bench) -> None:
    """Python models, the fifteen in a row."""

    def ours(count: int) -> None:
        for _ in range(count):
            for p in ALL:
                mflow.curve_fit(p.f, p.x, p.y, p.p0)

    def peer(count: int) -> None:
        for _ in range(count):
            for p in ALL:
                scipy.optimize.curve_fit(p.f, p.x, p.y, p.p0, maxfev=5000)

    bench.show(ours)
    found = quietly(lambda: bench.interleaved({"mflow": ours, "SciPy": peer}, seconds=10e-3))
    bench.line(bench.Line("curve_fit, 15 fits, Python models", found["mflow"], "SciPy", found["SciPy"], limit=WALL))


@pytest.fixture(scope="module")
def compiled(load_c: Callable[..., ctypes.CDLL]) -> list[Any]:
    """The fifteen as LowLevelCallables with their data."""
    library = load_c("fits.c")
    pointer = ctypes.POINTER(ctypes.c_double)
    out = []
    for p in ALL:
        f = library[p.compiled]
        f.argtypes, f.restype = [pointer, pointer, pointer, ctypes.c_ssize_t, ctypes.c_ssize_t, ctypes.c_void_p], ctypes.c_int
        data = (ctypes.c_void_p * 2)(p.x.ctypes.data, p.y.ctypes.data)
        signature = "int (double const *, double *, double *, ptrdiff_t, ptrdiff_t, void *)"
        call = scipy.LowLevelCallable(f, ctypes.cast(data, ctypes.c_void_p), signature)
        model = library[f"{p.compiled}_model"]
        model.argtypes, model.restype = f.argtypes, f.restype
        out.append((call, data, p, mflow.compile_fit(model, p.x.size, len(p.p0), jac=True)))
    return out


def test_compiled_models(compiled: list[Any], bench: Bench) -> None:
    """Each fit by a call of its own, by one of a prepared fit, and as one of a batch; a unit is SETS times the fifteen."""
    tolerances: dict[str, Any] = {"ftol": 1.49e-8, "xtol": 1.49e-8, "gtol": None}

    def single(count: int) -> None:
        for _ in range(count * SETS):
            for call, _, p, _ in compiled:
                mflow.least_squares(call, p.p0, True, m=p.x.size, check_gradient=False, **tolerances)

    starts = [np.array(p.p0) for _, _, p, _ in compiled]

    def prepared(count: int) -> None:
        for _ in range(count * SETS):
            for (_, _, p, fit), p0 in zip(compiled, starts, strict=True):
                fit(p.x, p.y, p0)

    def many(count: int) -> None:
        for _ in range(count):
            for call, _, p, _ in compiled:
                mflow.least_squares_batch(call, np.broadcast_to(p.p0, (SETS, len(p.p0))), m=p.x.size, threads=1, **tolerances)

    def peer(count: int) -> None:
        for _ in range(count * SETS):
            for p in ALL:
                scipy.optimize.curve_fit(p.f, p.x, p.y, p.p0, maxfev=5000)

    for call, _, p, fit in compiled:
        r = mflow.least_squares(call, p.p0, True, m=p.x.size, **tolerances)
        fit(p.x, p.y, p.p0)
        assert fit.cost <= r.cost * (1 + 1e-7), p.name
        f, costs = counted(p)
        quietly(lambda f=f, p=p: scipy.optimize.curve_fit(f, p.x, p.y, p.p0, maxfev=5000))
        assert r.cost <= costs[-1] * (1 + 1e-7), p.name
    runs = {"mflow, one by one": single, "mflow, prepared": prepared, "mflow, in a batch": many, "SciPy, Python": peer}
    bench.show(many)
    found = quietly(lambda: bench.interleaved(runs, rounds=9, seconds=10e-3))
    for name in ("mflow, one by one", "mflow, prepared", "mflow, in a batch"):
        bench.line(bench.Line(f"{SETS} times 15 fits, compiled: {name}", found[name], "SciPy", found["SciPy, Python"], limit=COMPILED))


def test_a_batch_of_decays(bench: Bench) -> None:
    """Decays of three parameters with 50 points, each from (1, 1, 1), on one core."""
    rng = np.random.default_rng(0)
    true = np.stack([rng.uniform(1, 4, DECAYS), rng.uniform(0.5, 2, DECAYS), rng.uniform(0, 1, DECAYS)], axis=1)
    y = true[:, :1] * exp(-true[:, 1:2] * T) + true[:, 2:] + 0.02 * rng.standard_normal((DECAYS, T.size))
    f, starts = mflow.objectives.curve("exponential", T, y[0]), np.ones((DECAYS, 3))

    def ours(count: int) -> None:
        for done in range(0, count, DECAYS):
            some = min(DECAYS, count - done)
            mflow.least_squares_batch(f, starts[:some], batch_data={"y": y[:some]}, threads=1)

    r = mflow.least_squares_batch(f, starts, batch_data={"y": y}, threads=1)
    assert r.success
    assert np.max(np.abs(r.x - true)) < 0.5
    bench.show(ours)
    found = bench.interleaved({"mflow": ours}, seconds=50e-3)["mflow"]
    bench.line(bench.Line("a decay of 3 parameters and 50 points in a batch", found, "", None, limit_ns=BATCH))
