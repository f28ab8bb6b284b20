"""momentum="auto" of few unknowns: the Hessian is known in full, and runs on its quadratic cost little.

The pair of `mflow.stability.quadratic.tuned` is the best for any curvatures between the least and the largest. Where there are two of them,
or three, others are faster: Nesterov's method with lr = 1/L is rid of the largest at once. So the run that is ahead, from rest at this
point and to the gradient that ends it, is taken on the quadratic with each of some pairs, by the method's own kernel.
"""

from __future__ import annotations

import math

import numpy as np
from mflow_core.objectives.objective import Objective
from mflow_core.problems.problem import objective_problem
from mflow_core.stepping import stepper

from mflow.base.checks import Array
from mflow.base.methods import Method, as_method
from mflow.curvature.landscape import largest_step

__all__ = ["rehearsed"]

MOMENTA = (0.75, 1.0, 1.5, 2.0, 2.5, 3.0)  # 1 - s/sqrt(condition)
SHARES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9)  # of the stability limit
LONGEST = 20_000  # steps


def rehearsed(method: Method, H: Array, grad: Array, gtol: float, kappa: float, pair: tuple[float, float]) -> tuple[float, float]:
    """(lr, momentum) that ends soonest on the quadratic of a gradient and a positive definite Hessian: `pair`, or another one.

    method : with a momentum, whose own value does not count.
    """
    cost = Objective()
    cost.fill("quadratic", (grad.size,), np.zeros(grad.size), np.ascontiguousarray(H), -grad)
    problem = objective_problem(None, cost, (grad.size,))
    L, best, fewest = float(np.linalg.eigvalsh(H)[-1]), pair, LONGEST
    pairs = [pair]
    for s in MOMENTA:
        m = 1.0 - s / math.sqrt(kappa)
        if m > 0.0:
            limit = largest_step(as_method(method, {"momentum": m}), L)
            pairs += [(share * limit, m) for share in SHARES] + ([(1.0 / L, m)] if limit > 1.0 / L else [])
    for lr, m in pairs:
        run = stepper.Run(
            method.record, problem, np.zeros(grad.size), 0.0, math.nan, as_method(method, {"lr": lr, "momentum": m}).numbers, descend=True
        )
        if run.descend(fewest, gtol, False, math.inf) == stepper.CONVERGED and run.k < fewest:
            best, fewest = (lr, m), run.k
    return best
