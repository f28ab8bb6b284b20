"""Large systems: sparse factors against those of a band, and implicit methods with sparse factors against explicit ones.

    OPENBLAS_NUM_THREADS=1 python bench/stiff_sparse.py                    # every problem
    OPENBLAS_NUM_THREADS=1 python bench/stiff_sparse.py --problems heat gray_scott --repeats 7

Without it the threads of the BLAS that SuperLU calls wait for each other on a busy machine, and complex factors take 2 to 50 times as long.
The problems are those of bench/stiff_set.py that have a band. Where it is narrow, bdf and radau5 run with the band and with the same
Jacobian as a sparse matrix, at one tolerance, and the ratio of the times is to be at most 1.3; the same is said without the time in the
functions that make the Jacobians, as SciPy takes 40 microseconds to make a matrix of given entries, and with a function that returns one
matrix, whose values it writes anew. Where it is wide, bdf and radau5 with sparse factors run against an explicit pair, rkc2, which is made
for diffusion, and auto: the time at equal error counts, as in stiff.py. Runs take turns; of the processor's times medians count.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from typing import Any

import numpy as np

import stiff
import stiff_set
from mflow import solve_ivp

MOST = 1.3
NARROW, WIDE = ("medical", "bruss100", "bruss"), ("heat", "gray_scott")
EXPLICIT = ("tsit5", "rkc2")


class Clocked:
    """A Jacobian whose time is counted."""

    def __init__(self, jac: Any) -> None:
        self.jac, self.seconds = jac, 0.0

    def __call__(self, t: float, y: Any) -> Any:
        """The Jacobian."""
        began = time.process_time()
        made = self.jac(t, y)
        self.seconds += time.process_time() - began
        return made


def timed(problem: stiff_set.Stiff, method: str, tol: float, given: dict[str, Any]) -> tuple[float, Any]:
    """(seconds, the result)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a problem is stiff
        began = time.process_time()
        r = solve_ivp(problem.fun, (0.0, problem.t_end), problem.y0, method, rtol=tol, atol=tol * problem.floor, save="last", **given)
        return time.process_time() - began, r


def narrow(name: str, repeats: int, tol: float) -> None:
    """Sparse over banded."""
    problem = stiff_set.problems()[name]
    band = problem.given()
    loose = {key: value for key, value in band.items() if key not in ("lband", "uband")} | {"jac": problem.sparse_jac}
    kept, places = problem.sparse_jac(0.0, problem.y0), stiff_set._in_band(problem.y0.size, problem.band)[:2]

    def refilled(t: float, y: Any) -> Any:
        kept.data[:] = problem.jac(t, y)[places]  # type: ignore[misc]
        return kept

    for method in ("bdf", "radau5"):
        runs, without, again = [], [], []
        for _ in range(repeats):
            clocks = [Clocked(given["jac"]) for given in (band, loose)]
            runs.append([timed(problem, method, tol, given | {"jac": jac}) for given, jac in zip((band, loose), clocks, strict=True)])
            rest = [run[0] - jac.seconds for run, jac in zip(runs[-1], clocks, strict=True)]
            without.append(rest[1] / rest[0])
            again.append(timed(problem, method, tol, loose | {"jac": refilled})[0] / runs[-1][0][0])
        banded, other = runs[0][0][1], runs[0][1][1]
        ratio = statistics.median(b[0] / a[0] for a, b in runs)
        apart = problem.mean_error(banded.y[:, -1]) / tol, problem.mean_error(other.y[:, -1]) / tol
        ms = [1e3 * statistics.median(run[k][0] for run in runs) for k in range(2)]
        print(f"  {name:10s} {method:8s} band {ms[0]:.1f} ms, sparse {ms[1]:.1f} ms, errors over tolerance {apart[0]:.2g}, {apart[1]:.2g}")
        stiff.said(f"  {name:10s} {method:8s} sparse over band", ratio, MOST)
        stiff.said(f"  {name:10s} {method:8s} without the functions that make J", statistics.median(without), MOST)
        stiff.said(f"  {name:10s} {method:8s} with one matrix whose values are written anew", statistics.median(again), MOST)


def wide(name: str, repeats: int) -> None:
    """Implicit with sparse factors, and explicit."""
    problem = stiff_set.problems()[name]
    sparse, plain = problem.given(), {"breaks": problem.breaks} if problem.breaks else {}
    contenders = {"bdf": sparse, "radau5": sparse, "tsit5": plain, "rkc2": plain, "auto": sparse}
    points: dict[str, list[stiff.Point]] = {method: [] for method in contenders}
    for tol in problem.ladder[:4]:
        runs = [{method: timed(problem, method, tol, given) for method, given in contenders.items()} for _ in range(repeats)]
        for method in contenders:
            r = runs[0][method][1]
            error = problem.error(r.y[:, -1]) if r.success else np.nan
            points[method].append(stiff.Point(tol, error, r.nfev, statistics.median(run[method][0] for run in runs)))
    for method, line in points.items():
        cells = "".join(f"  {1e3 * p.seconds:9.1f} ms {p.nfev:6d} calls {p.error:.0e}" for p in line)
        print(f"  {name:10s} {method:8s}{cells}", flush=True)
    for level in (1e-3, 1e-4, 1e-5):
        work = {method: stiff.at_error(line, level, "seconds") for method, line in points.items()}
        implicit, explicit = (min((work[m] for m in of if work[m] == work[m]), default=np.nan) for of in (("bdf", "radau5"), EXPLICIT))
        auto = work["auto"] / min(implicit, explicit)
        print(f"  {name:10s} at error {level:.0e}: implicit over explicit {implicit / explicit:.2f}, auto over the better {auto:.2f}")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python bench/stiff_sparse.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--problems", nargs="+", default=[*NARROW, *WIDE], choices=[*NARROW, *WIDE], metavar="NAME")
    parser.add_argument("--repeats", type=int, default=5, help="turns, of which the median counts")
    parser.add_argument("--tol", type=float, default=1e-6, help="rtol of sparse over banded")
    arguments = parser.parse_args()
    for name in arguments.problems:
        if name in NARROW:
            narrow(name, arguments.repeats, arguments.tol)
        else:
            wide(name, arguments.repeats)


if __name__ == "__main__":
    main()
