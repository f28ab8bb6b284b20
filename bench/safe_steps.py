"""lr="auto" for every method with a linear limit: `python bench/safe_steps.py [--maxiter 150] [--methods NAME ...]`.

Over the 35 problems of More, Garbow and Hillstrom, Rosenbrock's valley of 2 to 1000 unknowns, logistic regression on raw and scaled
features, and the costs of `mflow compare`: the runs that end non_finite or diverged, or above their start (none, of all). Then, on
quadratics of condition 10 to 1e4, evaluations until the gradient has fallen by 1e6, those for curvature among them, over the least of a
grid of constants (1.3 at most).
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

import mflow
from mflow.base.methods import methods
from mflow.experiments.problems import problem, problem_names
from mflow.problems.mgh import mgh, mgh_names

SHARES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99)  # of the limit
SPREADS = (1.0, 1.5, 2.0, 2.5, 3.0)  # momentum 1 - s/sqrt(condition)


def limited() -> Iterator[str]:
    """Methods that follow a linear limit without solving equations."""
    for method in methods():
        if "linear" not in method.flags or method.kind == "sweep":
            continue
        if "second_order" in method.flags:
            if 0.0 < mflow.max_stable_dt(method, stiffness=1.0, damping=1.0) < math.inf:
                yield method.name
        elif not method.is_implicit:
            yield method.name


def costs() -> Iterator[tuple[str, Any, Any]]:
    """(name, cost, start)."""
    for name in mgh_names():
        yield f"mgh {name}", mgh(name), None
    for n in (2, 3, 10, 30, 100, 300, 1000):
        yield f"rosenbrock {n}", mflow.objectives.Rosenbrock(n), None
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 4)) * [1.0, 30.0, 4000.0, 0.01]
    y = (X @ [1.0, 0.03, 0.0, 10.0] > 0).astype(float)
    yield "logistic raw", mflow.objectives.Logistic(X, y, intercept=True), None
    yield "logistic scaled", mflow.objectives.Logistic((X - X.mean(0)) / X.std(0), y, intercept=True), None
    for name in problem_names():
        one = problem(name)
        yield f"compare {name}", one.objective, one.start


def safe(names: list[str], maxiter: int) -> None:
    """Counts runs that are not safe."""
    for name in names:
        runs, bad = 0, []
        for label, f, start in costs():
            x0 = f.x0 if start is None else start
            for extra in [{}, {"momentum": "auto"}] if name in ("momentum", "nesterov") else [{}]:
                r = mflow.minimize(f, x0, method=name, lr="auto", maxiter=maxiter if np.size(x0) < 500 else maxiter // 2, **extra)
                runs += 1
                if r.reason in ("non_finite", "diverged") or not r.fun <= f(x0) * (1.0 + 1e-12):
                    bad.append(f"{label} {extra or ''}: {r.reason}, {f(x0):.6g} -> {r.fun:.6g}")
        print(f"{name:24s} {runs} runs, {len(bad)} not safe", *bad, sep="\n    " if bad else "", flush=True)


def evaluations(method: str, d: Any, x0: Any, **settings: Any) -> float:
    """Until the gradient has fallen by 1e6; inf where it has not."""
    count = [0]

    def cost(x: Any) -> tuple[float, Any]:
        count[0] += 1
        return 0.5 * float(x @ (d * x)), d * x

    gtol = 1e-6 * np.max(np.abs(d * x0))
    run = mflow.minimize(cost, x0, method=method, jac=True, gtol=gtol, maxiter=50_000, check_gradient=False, **settings)
    return count[0] if run.reason == "converged" else math.inf


def quadratics() -> None:
    """Ratios to the best constants."""
    for method, tuned in (("sgd", False), ("momentum", True), ("nesterov", True)):
        for n in (2, 3, 10, 100):
            ratios = []
            for kappa in (10.0, 100.0, 1000.0, 10_000.0):
                d, x0 = np.geomspace(1.0 / kappa, 1.0, n), np.random.default_rng(0).standard_normal(n)
                pairs = [{"momentum": 1.0 - s / math.sqrt(kappa)} for s in SPREADS if s < math.sqrt(kappa)] if tuned else [{}]
                best = min(
                    evaluations(method, d, x0, lr=share * mflow.stability_limit(method, **m), **m) for m in pairs for share in SHARES
                )
                ratios.append(evaluations(method, d, x0, lr="auto", **({"momentum": "auto"} if tuned else {})) / best)
            print(f"{method:10s} n = {n:3d}: " + " ".join(f"{r:.2f}" for r in ratios), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maxiter", type=int, default=150)
    parser.add_argument("--methods", nargs="*", default=list(limited()))
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    safe(chosen.methods, chosen.maxiter)
    quadratics()
