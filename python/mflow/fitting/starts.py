"""Starts of fits: by single residuals, w -= lr r_i J_i/(1 + lr |J_i|^2), backward Euler on one residual after the other; and the sizes of a
model's parameters in the units of its data, by how the model scales with them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.derivatives.differences import tried
from mflow.fitting.run import Run

__all__ = ["one_by_one", "sizes_in_units"]

SHARE = 1e-4  # of x and of each parameter: how far they are moved
EXACT = 1e-6  # of what is to be made: what is left where the model scales so
WHOLE = 1e-3  # an exponent nearer to half a whole number is one


def sizes_in_units(model: Callable[..., Any], x: Any, y: Array, n: int, shares: tuple[float, ...]) -> tuple[list[Array], int]:
    """(what parameters of 1 become where x is measured in these shares of its largest value and y in its largest, evaluations); none where
    the model does not tell.

    With units X and Y, a fit over x/X of y/Y is one in other units where f(c x, c^a p) = f(x, p) and f(x, c^b p) = c f(x, p), powers by
    parameters, for all c; then p_j = 1 there is X^a_j Y^b_j here. The exponents are those of Euler's relations, for which
    x f_x + sum a_j p_j f_pj = 0 and sum b_j p_j f_pj = f, by least squares at p = 1: exactly those of rates, widths, places, amplitudes and
    offsets. Where one of the two does not hold, as for a model with units of its own, its exponents are 0.
    """
    X, Y = (float(np.max(np.abs(one), initial=0.0)) if isinstance(one, np.ndarray) and one.dtype.kind == "f" else 0.0 for one in (x, y))
    if not (0.0 < X < math.inf and 0.0 < Y < math.inf) or x.ndim != 1:
        return [], 0
    at, ones = x / X, np.ones(n)

    def values(move: tuple[float, Array]) -> Array:
        return np.broadcast_to(np.asarray(model(move[0] * at, *move[1]), dtype=np.float64).ravel(), y.ravel().shape)

    def slope(of_x: float, of_p: Array) -> Any:
        ends = [tried(values, (1.0 + sign * SHARE * of_x, 1.0 + sign * SHARE * of_p)) for sign in (1.0, -1.0)]
        return None if ends[0] is None or ends[1] is None else (ends[0] - ends[1]) / (2.0 * SHARE)

    found = [tried(values, (1.0, ones)), slope(1.0, 0.0 * ones), *(slope(0.0, one) for one in np.eye(n))]
    calls = 2 * n + 3
    if any(one is None or not np.isfinite(one).all() for one in found):
        return [], calls
    here, of_x, columns = found[0], found[1], np.stack(found[2:], axis=1)
    of_x, of_y = _exponents(columns, -of_x), _exponents(columns, here)
    with np.errstate(all="ignore"):
        sizes = [(share * X) ** of_x * Y**of_y for share in shares]
    return [one for one in sizes if np.all((one > 0.0) & (one < math.inf))], calls


def _exponents(columns: Array, aim: Array) -> Array:
    """By which the columns make `aim`; 0 where they do not."""
    found: Array = np.asarray(np.linalg.lstsq(columns, aim, rcond=EXACT)[0], dtype=np.float64)
    if not np.linalg.norm(columns @ found - aim) <= EXACT * np.linalg.norm(aim):
        return np.zeros(found.size)
    half = np.round(2.0 * found) / 2.0
    return np.asarray(np.where(np.abs(found - half) < WHOLE, half, found), dtype=np.float64)


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
