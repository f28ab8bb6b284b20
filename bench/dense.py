"""Between the steps: what dense output costs, and how far it is off, beside SciPy's `sol`.

    python bench/dense.py
    python bench/dense.py --problems hires circle --tols 1e-6 --points 10000

Each of ours has SciPy's method of its kind beside it, both with dense_output=True and the same Python functions. Calls: evaluations of the
run with it over those without. Time: of the run, and of `sol` at many ascending times and at single ones, interleaved, medians, over
SciPy's. Errors: the largest at those times over the one at the steps, both over the tolerance; the reference is radau5 at 1e-12.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from typing import Any

import numpy as np
from scipy import integrate

import stiff
import stiff_set
from mflow import solve_ivp

PAIRS = {"radau5": "Radau", "bdf": "BDF", "rodas5p": "Radau", "dop853": "DOP853", "tsit5": "RK45"}
EXPLICIT = ("dop853", "tsit5")
LONELY = 200  # times that are asked for one by one


def _circle(t: float, y: Any) -> Any:
    return np.array([y[1], -y[0]])


def problems() -> dict[str, tuple[Any, Any, Any, float, float]]:
    """name -> (fun, jac, y0, t_end, atol/rtol); what is not stiff has no jac."""
    known = stiff_set.problems()
    out: dict[str, Any] = {}
    for name in ("hires", "orego", "vdpol"):
        p = known[name]
        out[name] = p.fun, p.jac, p.y0, p.t_end, p.floor
    return {**out, "circle": (_circle, None, np.array([1.0, 0.0]), 20.0, 1.0)}


def solve(method: str, of: tuple[Any, ...], tol: float, dense: bool) -> tuple[Any, float]:
    """The result and the seconds."""
    fun, jac, y0, t_end, floor = of
    given = {} if jac is None or method in ("dop853", "tsit5", "DOP853", "RK45") else {"jac": jac}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        began = time.perf_counter()
        if method in PAIRS.values():
            r = integrate.solve_ivp(fun, (0.0, t_end), y0, method, rtol=tol, atol=tol * floor, dense_output=dense, **given)
        else:
            r = solve_ivp(fun, (0.0, t_end), y0, method, rtol=tol, atol=tol * floor, dense_output=dense, **given)
    return r, time.perf_counter() - began


def asked(sol: Any, t: Any) -> float:
    """Seconds."""
    began = time.perf_counter()
    sol(t)
    return time.perf_counter() - began


def alone(sol: Any, t: Any) -> float:
    """The same, one by one."""
    began = time.perf_counter()
    for one in t:
        sol(one)
    return time.perf_counter() - began


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python bench/dense.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--problems", nargs="+", default=list(problems()), choices=list(problems()), metavar="NAME")
    parser.add_argument("--tols", nargs="+", type=float, default=(1e-4, 1e-6, 1e-8), metavar="RTOL")
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    ratios: dict[str, list[list[float]]] = {}
    print(f"{'':18s}{'rtol':>7s}  calls: ours, SciPy's; over SciPy's: run, many, one by one; errors inside/at steps: ours, SciPy's")
    for name in arguments.problems:
        of = problems()[name]
        exact, _ = solve("dop853" if of[1] is None else "radau5", of, 1e-12, True)
        t = np.unique(np.concatenate([np.linspace(0.0, of[3], arguments.points), exact.t[:: max(1, exact.t.size // arguments.points)]]))
        y = exact.sol(t)
        size = of[4] + np.abs(y)
        for ours, peer in PAIRS.items():
            if (ours in EXPLICIT) != (of[1] is None):
                continue
            for tol in arguments.tols:
                cells: dict[str, dict[str, list[float]]] = {who: {"run": [], "many": [], "one": []} for who in (ours, peer)}
                calls, errors = {}, {}
                for _ in range(arguments.repeats):
                    for who, cell in cells.items():
                        r, seconds = solve(who, of, tol, True)
                        cell["run"].append(seconds)
                        cell["many"].append(asked(r.sol, t))
                        cell["one"].append(alone(r.sol, t[:: max(1, t.size // LONELY)]))
                for who in cells:
                    r, plain = solve(who, of, tol, True)[0], solve(who, of, tol, False)[0]
                    calls[who] = r.nfev / plain.nfev
                    at = exact.sol(r.t)
                    ends = np.max(np.abs(r.y - at) / (of[4] + np.abs(at)))
                    errors[who] = np.max(np.abs(r.sol(t) - y) / size) / tol, ends / tol
                row = [statistics.median(cells[ours][what]) / statistics.median(cells[peer][what]) for what in ("run", "many", "one")]
                ratios.setdefault(ours, []).append(row)
                print(
                    f"{name:8s}{ours:10s}{tol:7.0e}{calls[ours]:8.2f}{calls[peer]:6.2f}   " + "".join(f"{v:7.2f}" for v in row)
                    + f"   {errors[ours][0]:8.2g}/{errors[ours][1]:.2g}{errors[peer][0]:12.2g}/{errors[peer][1]:.2g}", flush=True
                )  # fmt: skip
    for ours, rows in ratios.items():
        means = [stiff._mean([row[k] for row in rows]) for k in range(3)]
        print(f"{ours} over {PAIRS[ours]}: run {means[0]:.2f}, sol at many times {means[1]:.2f}, one by one {means[2]:.2f}")


if __name__ == "__main__":
    main()
