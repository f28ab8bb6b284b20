"""method="auto" against its two methods alone: evaluations and time at the same tolerance, and errors, on stiff problems and on DETEST.

    python bench/auto.py                              # the set of stiff_set.py, and DETEST A to E
    python bench/auto.py --problems hires D5 --tols 1e-4 1e-8
    python bench/auto.py --random 49 --tols 1e-3 1e-5 1e-8     # systems drawn at random, in place of these

Ratios are to the better of the two methods that auto has at the tolerance; the aim is 1.3. Right-hand sides and Jacobians of the stiff set
are Python functions, calls are counted in the right-hand side; DETEST has no Jacobian, and calls for differences count. Runs of the three
take turns, of each the fastest counts. A fixed method that ends early, or takes more than a hundred thousand steps, has no work.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from functools import partial
from typing import Any

import numpy as np

import detest
import stiff_set
from mflow import solve_ivp
from mflow.course.legs import CALM, pair_for

TOLS = (1e-3, 1e-4, 1e-6, 1e-8, 1e-10)
MOST_STEPS = 100_000


def problems() -> dict[str, stiff_set.Stiff]:
    """The stiff set, but for problems with a mass matrix, which auto does not take, then DETEST."""
    out = {name: p for name, p in stiff_set.problems().items() if p.mass is None}
    for name, (fun, y0) in detest.PROBLEMS.items():
        out[name] = stiff_set.Stiff(fun, None, y0, detest.T_END, partial(detest.end_of, name), 1.0)
    return out


def drawn(count: int) -> dict[str, stiff_set.Stiff]:
    """Random stiff systems: reactions of two with rates of many sizes, linear ones that follow a forcing, relaxation oscillators."""
    rng, out = np.random.default_rng(20261129), {}
    for k in range(count):
        kind = ("reactions", "forced", "oscillator")[k % 3]
        if kind == "reactions":
            n = int(rng.integers(3, 9))
            rates, pairs = 10.0 ** rng.uniform(-2.0, 6.0, 2 * n), rng.integers(0, n, (2 * n, 4))
            y0, t_end = rng.uniform(0.0, 1.0, n), 10.0 ** rng.uniform(-1.0, 3.0)

            def fun(t: float, y: Any, rates: Any = rates, pairs: Any = pairs, n: int = n) -> Any:
                speed = rates * y[pairs[:, 0]] * y[pairs[:, 1]]
                return np.bincount(pairs[:, 2:].ravel(), np.repeat(speed, 2), n) - np.bincount(pairs[:, :2].ravel(), np.repeat(speed, 2), n)

        elif kind == "forced":
            n = int(rng.integers(2, 9))
            Q = np.linalg.qr(rng.normal(size=(n, n)))[0] + 0.3 * rng.normal(size=(n, n))
            A, w = Q @ np.diag(-(10.0 ** rng.uniform(-1.0, 5.0, n))) @ np.linalg.inv(Q), rng.uniform(0.1, 3.0, n)
            y0, t_end = rng.normal(size=n), 10.0 ** rng.uniform(0.0, 2.0)

            def fun(t: float, y: Any, A: Any = A, w: Any = w) -> Any:  # type: ignore[misc]
                return A @ (y - np.sin(w * t)) + w * np.cos(w * t)

        else:
            mu, y0, t_end = 10.0 ** rng.uniform(0.0, 4.0), np.array([2.0, 0.0]), 10.0 ** rng.uniform(0.0, 1.0)

            def fun(t: float, y: Any, mu: float = mu) -> Any:  # type: ignore[misc]
                return np.array([y[1], mu * ((1.0 - y[0] ** 2) * y[1] - y[0])])

        out[f"{kind}{k}"] = stiff_set.Stiff(fun, None, y0, float(t_end), None, 1.0)  # type: ignore[arg-type]
    return out


def measure(problem: stiff_set.Stiff, method: str, tol: float) -> tuple[float, float, float, str]:
    """(calls, seconds, error at the end, what the run says); infinities where it did not get there."""
    calls = 0

    def fun(t: float, y: Any) -> Any:
        nonlocal calls
        calls += 1
        return problem.fun(t, y)

    atol, implicit = tol * problem.floor, method not in CALM
    more = problem.given() if implicit else {"breaks": problem.breaks} if problem.breaks else {}
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.perf_counter()
        r = solve_ivp(fun, (0.0, problem.t_end), problem.y0, method, rtol=tol, atol=atol, save="last", max_steps=MOST_STEPS, **more)
        seconds = time.perf_counter() - began
    if not r.success:
        return math.inf, math.inf, math.nan, r.reason
    return calls, seconds, math.nan if problem.y_end is None else problem.error(r.y[:, -1]), r.message


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python bench/auto.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--problems", nargs="+", metavar="NAME")
    parser.add_argument("--random", type=int, default=0, metavar="COUNT", help="so many systems drawn at random")
    parser.add_argument("--tols", nargs="+", type=float, default=TOLS, metavar="RTOL")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--words", action="store_true", help="print what each run of auto says")
    arguments = parser.parse_args()
    known = drawn(arguments.random) if arguments.random else problems()
    ratios: dict[str, list[tuple[float, float, str]]] = {"stiff": [], "detest": []}
    print(f"{'':8s}{'rtol':>8s}{'explicit':>10s}{'implicit':>10s}{'auto':>8s}{'calls':>7s}{'time':>7s}   errors over rtol")
    for name in arguments.problems or known:
        for tol in arguments.tols:
            pair = pair_for(np.size(known[name].y0), tol, tol)
            names = pair.calm.name, pair.stiff.name, "auto"
            runs = [[measure(known[name], method, tol) for method in names] for _ in range(arguments.repeats)]
            calls = [runs[0][k][0] for k in range(3)]
            seconds = [min(run[k][1] for run in runs) for k in range(3)]
            errors = [runs[0][k][2] / tol for k in range(3)]
            if not math.isfinite(min(calls[:2])):  # neither gets there
                print(f"{name:8s}{tol:8.0e}   no method alone gets there; auto: {calls[2]:.0f} calls, {runs[0][2][3]}", flush=True)
                continue
            ratio = calls[2] / min(calls[:2]), seconds[2] / min(seconds[:2])
            ratios["detest" if name in detest.PROBLEMS else "stiff"].append((*ratio, f"{name} at {tol:g}"))
            print(
                f"{name:8s}{tol:8.0e}{calls[0]:10.0f}{calls[1]:10.0f}{calls[2]:8.0f}{ratio[0]:7.2f}{ratio[1]:7.2f}   "
                + "".join(f"{error:9.2g}" for error in errors),
                flush=True,
            )
            if arguments.words:
                print(f"        {runs[0][2][3]}")
    for of, found in ratios.items():
        if found:
            for k, what in enumerate(("evaluations", "time")):
                worst = max(found, key=lambda one: one[k])
                mean = math.exp(sum(math.log(one[k]) for one in found) / len(found))
                over = sum(one[k] > 1.3 for one in found)
                print(f"{of}: {what} of auto over the better of its two: mean {mean:.2f}, largest {worst[k]:.2f} ({worst[2]}), "
                      f"{over} of {len(found)} above 1.3")  # fmt: skip


if __name__ == "__main__":
    main()
