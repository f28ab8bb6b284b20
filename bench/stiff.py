"""What a digit costs on stiff problems: evaluations and time at equal global error, by this library's implicit methods and by SciPy's.

    python bench/stiff.py                           # every problem, every method, and the targets
    python bench/stiff.py --problems hires orego --methods radau5 Radau

The problems are those of stiff_set.py, the same right-hand side and the same analytic Jacobian for all, in Python; calls of the right-hand
side are counted in it. Tolerances go down by half decades (decades for long problems), atol = rtol times a number of the problem (Hairer
and Wanner II, IV.10), by which errors at the end are measured too: max |y - y_end|/(atol/rtol + |y_end|). Where the right-hand side jumps
ours get its time as `breaks`, SciPy's begin anew there. Times are of the processor, the least of the repeats. What is said to be asked are
the targets of the project.
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

from mflow import Newton, methods, solve_ivp
from stiff_set import Stiff, pieces, problems

LEVELS = (1e-4, 1e-6, 1e-8)
PEERS = ("Radau", "BDF", "LSODA")
MOST_SECONDS = {"LSODA": 0.7, "Radau": 0.33, "BDF": 0.33}
SPREAD = ("radau5", "bdf")  # whose errors are to be between 0.01 and 10 tolerances
OLD = ("esdirk43", 0.01, 0.75)  # to this part of the tolerances its equations were once solved; the part of the evaluations now


@dataclass(frozen=True)
class Point:
    """One run: error at the end (nan: not reached), calls of the right-hand side, least time, and the error in the norm of error control,
    as a part of rtol."""

    tol: float
    error: float
    nfev: int
    seconds: float
    mean_error: float = math.nan


def run(problem: Stiff, method: str, tol: float, repeats: int = 1, **options: Any) -> Point:
    """One method at one tolerance; `options` go to this library's solve_ivp."""
    calls, best, y = 0, math.inf, None

    def counted(fun: Callable[[float, Any], Any]) -> Callable[[float, Any], Any]:
        def counting(t: float, y: Any) -> Any:
            nonlocal calls
            calls += 1
            return fun(t, y)

        return counting

    for _ in range(repeats):
        calls = 0
        with np.errstate(all="ignore"), warnings.catch_warnings():  # a run that goes wrong says so itself
            warnings.simplefilter("ignore")
            began = time.process_time()
            y = (_peers if method in PEERS else _ours)(problem, method, tol, tol * problem.floor, counted, options)
            best = min(best, time.process_time() - began)
    if y is None:
        return Point(tol, math.nan, calls, best)
    return Point(tol, problem.error(y), calls, best, problem.mean_error(y) / tol)


def _peers(problem: Stiff, method: str, tol: float, atol: float, counted: Any, options: dict[str, Any]) -> Any:
    y, band = problem.y0, problem.band
    if problem.mass is not None or (problem.is_sparse and method == "LSODA"):  # whose band would be full
        return None
    given: dict[str, Any] = {"jac": problem.jac}
    if band:
        given = {"jac": problem.jac, "lband": band, "uband": band} if method == "LSODA" else {"jac": problem.sparse_jac}
    for span, fun in pieces(problem):
        r = integrate.solve_ivp(counted(fun), span, y, method, rtol=tol, atol=atol, t_eval=span[1:], **given)
        if not r.success:
            return None
        y = r.y[:, -1]
    return y


def _ours(problem: Stiff, method: str, tol: float, atol: float, counted: Any, options: dict[str, Any]) -> Any:
    given = problem.given() | options
    r = solve_ivp(counted(problem.fun), (0.0, problem.t_end), problem.y0, method, rtol=tol, atol=atol, save="last", **given)
    return r.y[:, -1] if r.success else None


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


def said(what: str, value: float, most: float) -> None:
    """A target, where there is something to compare."""
    if math.isfinite(value):
        print(f"{what}: {value:.3f} ({most:g} asked: {'met' if value <= most else 'missed'})")


def report(results: dict[str, dict[str, list[Point]]], ours: Sequence[str]) -> None:
    """Work at each error, problem by problem, and the ratio of the best of ours to the best peer."""
    for quantity, unit in (("nfev", 1.0), ("seconds", 1e3)):
        print(f"\n{'evaluations' if quantity == 'nfev' else 'milliseconds'} at error " + ", ".join(f"{e:.0e}" for e in LEVELS))
        ratios: dict[str, list[float]] = {name: [] for name in ("best", *ours, *PEERS)}
        for name, by_method in results.items():
            work = {method: [unit * at_error(points, e, quantity) for e in LEVELS] for method, points in by_method.items()}
            for method, values in work.items():
                print(f"  {name:10s} {method:10s}" + "".join(f"{v:10.1f}" for v in values))
            for k in range(len(LEVELS)):
                peer, mine = (
                    min((work[m][k] for m in of if m in work and math.isfinite(work[m][k])), default=math.nan) for of in (PEERS, ours)
                )
                ratios["best"].append(mine / peer)
                for m, values in work.items():
                    ratios[m].append(mine / values[k] if m in PEERS else values[k] / peer)
            print(f"  {name:10s} {'ratio':10s}" + "".join(f"{v:10.2f}" for v in ratios["best"][-len(LEVELS) :]))
        for method in ours:
            values = [v for v in ratios[method] if math.isfinite(v)]
            print(f"  geometric mean of {method} over the best of SciPy: {_mean(values):.3f}, largest {max(values, default=math.nan):.2f}")
        if quantity == "nfev":
            said(
                "largest ratio of evaluations, best of ours over the best of SciPy",
                max(filter(math.isfinite, ratios["best"]), default=math.nan),
                1.1,
            )
            said("its geometric mean", _mean(ratios["best"]), 0.9)
        else:
            for peer_name, most in MOST_SECONDS.items():
                said(f"geometric mean of times, best of ours over {peer_name}", _mean(ratios[peer_name]), most)


def spread(results: dict[str, dict[str, list[Point]]], ours: Sequence[str]) -> None:
    """Error at the end over the tolerance, in the norm of error control, at 1e-4 ... 1e-10."""
    print("\nerror over tolerance, root mean square, at 1e-4, 1e-5, ... 1e-10")
    for name, by_method in results.items():
        for method in ours:
            cells = [p.mean_error for p in by_method[method] if 0.9e-10 < p.tol < 1.1e-4 and abs(math.log10(p.tol) % 1.0 - 0.5) > 0.4]
            outside = " !" if method in SPREAD and not all(0.01 <= v <= 10.0 for v in cells) else ""
            print(f"  {name:10s} {method:10s}" + "".join(f"{v:9.2g}" for v in cells) + outside)


def digits(names: Sequence[str], ours: Sequence[str]) -> None:
    """Digits of all components at rtol = 1e-7, with an atol below all of them."""
    print("\ndigits at rtol 1e-7 of printed ends (5 asked)")
    for name in names:
        problem = problems()[name]
        if problem.tiny is not None:
            ends = {m: _ours(problem, m, 1e-7, 1e-7 * problem.tiny, lambda fun: fun, {}) for m in ours}
            print(f"  {name:10s}" + "".join(f"  {m} {math.nan if y is None else problem.digits(y):.1f}" for m, y in ends.items()))


def once(results: dict[str, dict[str, list[Point]]]) -> None:
    """Evaluations of a method whose equations are solved less far than they once were."""
    method, fraction, most = OLD
    ratios = []
    for name, by_method in results.items():
        problem = problems()[name]
        before = [run(problem, method, tol, solver=Newton(fraction=fraction)) for tol in problem.ladder]
        ratios += [at_error(by_method[method], e, "nfev") / at_error(before, e, "nfev") for e in LEVELS]
        print(f"  {name:10s} {method} over its own at fraction {fraction}:" + "".join(f"{v:8.3f}" for v in ratios[-len(LEVELS) :]))
    said(f"geometric mean of evaluations, {method} over its own with equations solved to {fraction}", _mean(ratios), most)


def main() -> None:
    """Run the command."""
    known = problems()
    parser = argparse.ArgumentParser(prog="python bench/stiff.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--problems", nargs="+", default=list(known), choices=list(known), metavar="NAME")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="of this library or SciPy's (default: all implicit ones)")
    parser.add_argument("--repeats", type=int, default=1, help="of which the fastest counts")
    arguments = parser.parse_args()
    ours = [m.name for m in methods() if m.kind == "step" and m.is_implicit and "embedded" in m.flags and "second_order" not in m.flags]
    chosen = arguments.methods or [*ours, *PEERS]
    ours = [name for name in chosen if name not in PEERS]
    results: dict[str, dict[str, list[Point]]] = {}
    for name in arguments.problems:
        results[name] = {method: [run(known[name], method, tol, arguments.repeats) for tol in known[name].ladder] for method in chosen}
    report(results, ours)
    spread(results, ours)
    digits(arguments.problems, ours)
    if OLD[0] in ours:
        once(results)


if __name__ == "__main__":
    main()
