"""What a digit costs on stiff problems: evaluations and time at equal global error, by this library's implicit methods and by SciPy's.

    python bench/stiff.py                           # every problem, every method
    python bench/stiff.py --problems hires orego --methods radau5 Radau

The same right-hand side and the same analytic Jacobian for all, in Python; calls of the right-hand side are counted in it. Tolerances go
down by half decades, atol = rtol times a number of the problem (Hairer and Wanner II, IV.10), by which errors at the end are measured
too: max |y - y_end|/(atol/rtol + |y_end|). Ratios are to the best of SciPy's Radau, BDF and LSODA.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import integrate

from mflow import methods, solve_ivp
from mflow.testproblems import get_problem

LEVELS = (1e-4, 1e-6, 1e-8)
PEERS = ("Radau", "BDF", "LSODA")
LADDER = tuple(10.0 ** (-k / 2) for k in range(4, 25))
TEST_SET = "F. Mazzia and C. Magherini, Test Set for IVP Solvers, release 2.4 (University of Bari, 2008)"


@dataclass(frozen=True)
class Stiff:
    """y' = fun(t, y); `floor` is atol/rtol."""

    fun: Callable[[float, Any], Any]
    jac: Callable[[float, Any], Any]
    y0: Any
    t_end: float
    y_end: Any
    floor: float

    def error(self, y: Any) -> float:
        return float(np.max(np.abs(y - self.y_end) / (self.floor + np.abs(self.y_end))))


def _known(name: str, floor: float) -> Stiff:
    p = get_problem(name)
    return Stiff(p.fun, p.jac, p.y0, p.t_span[1], p.y_end, floor)


def _orego(t: float, y: Any) -> Any:
    return np.array([77.27 * (y[1] + y[0] * (1.0 - 8.375e-6 * y[0] - y[1])), (y[2] - (1.0 + y[0]) * y[1]) / 77.27, 0.161 * (y[0] - y[2])])


def _orego_jac(t: float, y: Any) -> Any:
    return np.array(
        [
            [77.27 * (1.0 - 2.0 * 8.375e-6 * y[0] - y[1]), 77.27 * (1.0 - y[0]), 0.0],
            [-y[1] / 77.27, -(1.0 + y[0]) / 77.27, 1.0 / 77.27],
            [0.161, 0.0, -0.161],
        ]
    )


# Reactions of POLLU (J. Verwer, SIAM J. Sci. Comput. 15 (1994) 1243-1250): rate constant, what reacts, what is made; numbers from 1.
_REACTIONS = [
    (0.35, (1,), (2, 3)), (26.6, (2, 4), (1,)), (1.23e4, (5, 2), (1, 6)), (8.6e-4, (7,), (5, 5, 8)), (8.2e-4, (7,), (8,)),
    (1.5e4, (7, 6), (5, 8)), (1.3e-4, (9,), (5, 8, 10)), (2.4e4, (9, 6), (11,)), (1.65e4, (11, 2), (1, 10, 12)), (9e3, (11, 1), (13,)),
    (0.022, (13,), (11, 1)), (1.2e4, (10, 2), (1, 14)), (1.88, (14,), (7, 5)), (1.63e4, (1, 6), (15,)), (4.8e6, (3,), (4,)),
    (3.5e-4, (4,), (16,)), (0.0175, (4,), (3,)), (1e8, (16,), (6, 6)), (4.44e11, (16,), (3,)), (1240.0, (17, 6), (5, 18)),
    (2.1, (19,), (2,)), (5.78, (19,), (1, 3)), (0.0474, (1, 4), (19,)), (1780.0, (19, 1), (20,)), (3.12, (20,), (1, 19)),
]  # fmt: skip
_RATES = np.array([reaction[0] for reaction in _REACTIONS])
_FIRST = np.array([reaction[1][0] - 1 for reaction in _REACTIONS])
_SECOND = np.array([reaction[1][1] - 1 if len(reaction[1]) > 1 else 20 for reaction in _REACTIONS])  # place 20 holds a one
_BALANCE = np.zeros((20, 25))
for _k, (_, _used, _made) in enumerate(_REACTIONS):
    np.add.at(_BALANCE[:, _k], np.array(_used) - 1, -1.0)
    np.add.at(_BALANCE[:, _k], np.array(_made) - 1, 1.0)


def _pollu(t: float, y: Any) -> Any:
    one = np.append(y, 1.0)
    return _BALANCE @ (_RATES * one[_FIRST] * one[_SECOND])


def _pollu_jac(t: float, y: Any) -> Any:
    one, rates = np.append(y, 1.0), np.zeros((25, 21))
    np.add.at(rates, (np.arange(25), _FIRST), _RATES * one[_SECOND])
    np.add.at(rates, (np.arange(25), _SECOND), _RATES * one[_FIRST])
    return _BALANCE @ rates[:, :20]


def _problems() -> dict[str, Stiff]:
    """The set; end values of rober, orego and pollu as printed in the Test Set for IVP Solvers."""
    rober = get_problem("robertson")
    pollu = np.zeros(20)
    pollu[[1, 3, 6, 7, 8, 16]] = 0.2, 0.04, 0.1, 0.3, 0.01, 0.007
    pollu_end = [
        0.5646255480022769e-1, 0.1342484130422339, 0.4139734331099427e-8, 0.5523140207484359e-2, 0.2018977262302196e-6,
        0.1464541863493966e-6, 0.7784249118997964e-1, 0.3245075353396018, 0.7494013383880406e-2, 0.1622293157301561e-7,
        0.1135863833257075e-7, 0.2230505975721359e-2, 0.2087162882798630e-3, 0.1396921016840158e-4, 0.8964884856898295e-2,
        0.4352846369330103e-17, 0.6899219696263405e-2, 0.1007803037365946e-3, 0.1772146513969984e-5, 0.5682943292316392e-4,
    ]  # fmt: skip
    return {
        "hires": _known("hires", 1e-4),
        "rober": Stiff(
            rober.fun, rober.jac, rober.y0, 1e11, np.array([0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050]), 1e-6
        ),
        "orego": Stiff(
            _orego, _orego_jac, np.array([1.0, 2.0, 3.0]), 360.0, np.array([1.000814870318523, 1228.178521549917, 132.0554942846706]), 1e-6
        ),
        "vdpol": _known("vdp_eps", 1.0),
        "pollu": Stiff(_pollu, _pollu_jac, pollu, 60.0, np.array(pollu_end), 1.0),
    }


@dataclass(frozen=True)
class Point:
    """One run: error at the end (nan: not reached), calls of the right-hand side, fastest time, and counts where the solver has them."""

    tol: float
    error: float
    nfev: int
    seconds: float
    steps: int
    njev: int
    nlu: int


def run(problem: Stiff, method: str, tol: float, repeats: int = 1, **options: Any) -> Point:
    """One method at one tolerance; `options` go to this library's solve_ivp."""
    calls = 0

    def fun(t: float, y: Any) -> Any:
        nonlocal calls
        calls += 1
        return problem.fun(t, y)

    best, atol = math.inf, tol * problem.floor
    for _ in range(repeats):
        calls = 0
        with np.errstate(all="ignore"), warnings.catch_warnings():  # a run that goes wrong says so itself
            warnings.simplefilter("ignore")
            began = time.perf_counter()
            if method in PEERS:
                span = (0.0, problem.t_end)
                r = integrate.solve_ivp(fun, span, problem.y0, method, rtol=tol, atol=atol, t_eval=span[1:], jac=problem.jac)
            else:
                r = solve_ivp(fun, (0.0, problem.t_end), problem.y0, method, rtol=tol, atol=atol, save="last", jac=problem.jac, **options)
            best = min(best, time.perf_counter() - began)
    error = problem.error(r.y[:, -1]) if r.success else math.nan
    return Point(tol, error, calls, best, getattr(r, "nsteps", 0), r.njev, r.nlu)


def at_error(points: Sequence[Point], error: float, quantity: str) -> float:
    """The least work with which the error is reached: interpolated in logarithms; the loosest run, if that is better already."""
    good = [p for p in points if math.isfinite(p.error) and p.error > 0.0]
    work = [float(getattr(p, quantity)) for p in good]
    best = min((w for p, w in zip(good, work, strict=True) if p.error <= error), default=math.nan)
    for a, b in pairwise(range(len(good))):
        if good[b].error <= error < good[a].error:
            share = math.log(error / good[a].error) / math.log(good[b].error / good[a].error)
            best = min(best, work[a] ** (1.0 - share) * work[b] ** share)
    return best


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if math.isfinite(v)]
    return math.exp(sum(map(math.log, known)) / len(known)) if known else math.nan


def report(results: dict[str, dict[str, list[Point]]], ours: Sequence[str]) -> None:
    """Work at each error, problem by problem, and the ratio of the best of ours to the best peer."""
    for quantity, unit in (("nfev", 1.0), ("seconds", 1e3)):
        print(f"\n{'evaluations' if quantity == 'nfev' else 'milliseconds'} at error " + ", ".join(f"{e:.0e}" for e in LEVELS))
        ratios: dict[str, list[float]] = {name: [] for name in (*ours, "best")}
        for name, by_method in results.items():
            work = {method: [unit * at_error(points, e, quantity) for e in LEVELS] for method, points in by_method.items()}
            for method, values in work.items():
                print(f"  {name:8s} {method:10s}" + "".join(f"{v:10.1f}" for v in values))
            for k in range(len(LEVELS)):
                peer = min((work[m][k] for m in PEERS if m in work and math.isfinite(work[m][k])), default=math.nan)
                mine = [work[m][k] for m in ours if math.isfinite(work[m][k])]
                for m in ours:
                    ratios[m].append(work[m][k] / peer)
                ratios["best"].append(min(mine, default=math.nan) / peer)
            print(f"  {name:8s} {'ratio':10s}" + "".join(f"{v:10.2f}" for v in ratios["best"][-len(LEVELS) :]))
        for method, values in ratios.items():
            print(f"  geometric mean of {method} over the best of SciPy: {_mean(values):.3f}, largest {max(values, default=math.nan):.2f}")


def spread(results: dict[str, dict[str, list[Point]]], ours: Sequence[str]) -> None:
    """Error at the end over the tolerance, at 1e-4 ... 1e-10."""
    print("\nerror over tolerance")
    for name, by_method in results.items():
        for method in ours:
            cells = [p.error / p.tol for p in by_method[method] if 0.9e-10 < p.tol < 1.1e-4]
            print(f"  {name:8s} {method:10s}" + "".join(f"{v:9.2g}" for v in cells[::2]))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python bench/stiff.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--problems", nargs="+", default=list(_problems()), choices=list(_problems()), metavar="NAME")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="of this library or SciPy's (default: all implicit ones)")
    parser.add_argument("--repeats", type=int, default=1, help="of which the fastest counts")
    arguments = parser.parse_args()
    ours = [m.name for m in methods() if m.kind == "step" and m.is_implicit and "embedded" in m.flags and "second_order" not in m.flags]
    chosen = arguments.methods or [*ours, *PEERS]
    ours = [name for name in chosen if name not in PEERS]
    results: dict[str, dict[str, list[Point]]] = {}
    for name in arguments.problems:
        problem = _problems()[name]
        results[name] = {method: [run(problem, method, tol, arguments.repeats) for tol in LADDER] for method in chosen}
    report(results, ours)
    spread(results, ours)


if __name__ == "__main__":
    main()
