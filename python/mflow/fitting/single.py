"""A start of a fit by single residuals: w -= lr r_i J_i/(1 + lr |J_i|^2), backward Euler on one residual after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.fitting.run import Run

__all__ = ["one_by_one"]


def one_by_one(run: Run, passes: int, lr: float, residual_at: Any, seed: int) -> None:
    """So many passes over the residuals in an order from `seed`; the best end of a pass, x0 among them, becomes the start of the run."""
    run.set_up()
    if run.problem.begin():
        return
    problem, core, x = run.problem, run.core, run.core.x
    low, high = run.box if run.box is not None else (np.full(x.size, -np.inf), np.full(x.size, np.inf))
    D = np.where(core.lengths > 0.0, core.lengths, 1.0)
    weight = D**-2.0 if run.fixed is None else np.where(run.fixed, 0.0, D**-2.0)
    rng, best, lowest = np.random.default_rng(seed), x.copy(), core.cost
    for _ in range(passes):
        for i in rng.permutation(problem.m):
            r, J = _one(run, x, int(i), residual_at)
            run.spent += residual_at is None
            new = np.clip(x - lr * r / (1.0 + lr * float(J @ (weight * J))) * (weight * J), low, high)
            x = new if np.all(np.isfinite(new)) else x
        f = core.residuals(x)
        run.spent += 1
        cost = 0.5 * float(f @ f) if run.loss is None else run.loss.cost(f)
        if cost < lowest:
            best, lowest = x.copy(), cost
    run.x, run.spent = best, run.spent + 1


def _one(run: Run, x: Array, i: int, residual_at: Any) -> tuple[float, Array]:
    """Residual i and its gradient, with the weight of the loss."""
    problem = run.problem
    if residual_at is not None:
        value, slope = residual_at(x.copy(), i, *problem.args, **problem.kwargs)
        sigma = 1.0 if problem.sigma is None else problem.sigma[i % problem.sigma.size]
        r, J = float(value) / sigma, np.asarray(slope, dtype=np.float64).ravel() / sigma
    else:
        r, J = float(run.core.residuals(x)[i]), run.core.jacobian(x)[i]
    if run.loss is not None:
        root = float(run.loss.weights(np.array([r]))[0]) ** 0.5
        r, J = root * r, root * J
    return r, J
