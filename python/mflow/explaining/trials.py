"""A recommendation tried on the spot: its loss against evaluations beside that of three usual choices."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mflow.base.checks import Array
from mflow.base.methods import methods
from mflow.optimize.minimize import minimize

__all__ = ["USUAL", "Both", "Trial", "best_rate", "clearly_lower", "searched", "trials_of", "tried", "worked"]

USUAL: tuple[tuple[str, dict[str, float]], ...] = (
    ("sgd", {"lr": 0.01}), ("momentum", {"lr": 0.01, "momentum": 0.9}), ("adam", {"lr": 1e-3}),
)  # fmt: skip
CUT, CUTS = 0.25, 14  # of a recommended step that has led up, and how often

AS_LOW = 1e-3  # of a gain
LOWER, LONGER, CLEARLY = 4, 4, 0.1  # cuts, and times the steps, of one that a usual choice leads lower than by this share of its gain
SLIGHTLY = 1e-6  # of its gain: nearer to the lowest cost than this, both are there
ROOM, VECTORS = 512 * 512, 64  # a method is tried that remembers so many numbers, or vectors: no matrix of many variables
RATES = tuple(10.0 ** (0.5 * k) for k in range(-8, 3))

Both = Callable[[Array], tuple[float, Array]]


@dataclass(frozen=True, eq=False)
class Trial:
    """One run. method : str. parameters : dict, lr among them. evaluations, loss : float64 arrays of equal length, from the start on; they
    end where the loss is no longer finite. reason : its ending. recommended : bool. end : where it ended, or None."""

    method: str
    parameters: dict[str, float]
    evaluations: Array
    loss: Array
    reason: str
    recommended: bool
    end: Array | None = None

    @property
    def label(self) -> str:
        """The method with its parameters, for a legend or a table."""
        return ", ".join([self.method, *(f"{name} = {value:.4g}" for name, value in self.parameters.items())])


def tried(both: Both, start: Array, method: str, parameters: dict[str, float], steps: int, recommended: bool = False) -> Trial:
    """So many steps of a method. both: (cost, gradient), of an array of the start's shape."""
    evaluations, loss, count, last = [], [], [0], None

    def cost(x: Array) -> tuple[float, Array]:
        count[0] += 1
        out = both(x)
        evaluations.append(float(count[0]))
        loss.append(float(out[0]))
        return out

    with np.errstate(all="ignore"):
        try:
            settings: dict[str, Any] = dict(parameters)
            end = minimize(cost, start, method=method, jac=True, gtol=0.0, maxiter=steps, check_gradient=False, **settings)
            reason, last = end.reason, end.x
        except Exception:  # the cost's own, where a step has led out of its domain
            reason = "rhs_failed"
    values = np.array(loss)
    bad = np.flatnonzero(~np.isfinite(values))
    shown = int(bad[0]) if bad.size else values.size
    return Trial(method, parameters, np.array(evaluations)[:shown], values[:shown], reason, recommended, last)


def searched(both: Both, start: Array, evaluations: int) -> Trial:
    """The directions with a line search that step by themselves, each with so many evaluations: the one that leads lowest, or leads as low
    in fewer. Losses are those of its iterates."""
    known = [m for m in methods() if m.kind == "direction" and "trust_region" not in m.flags]
    small = [m for m in known if m.record.room(start.size) <= max(ROOM, VECTORS * start.size)]
    runs = [_searched(both, start, m.name, evaluations) for m in small]
    gain = max(float(run.loss[0] - run.loss[-1]) for run in runs)
    level = float(runs[0].loss[0]) - (1.0 - AS_LOW) * gain

    def reached(run: Trial) -> float:
        below = np.flatnonzero(run.loss <= level)
        return float(run.evaluations[below[0]]) if below.size else math.inf

    return min(runs, key=reached)


def _searched(both: Both, start: Array, method: str, most: int) -> Trial:
    first = both(start)
    evaluations, loss = [1.0], [float(first[0])]

    def keep(intermediate_result: Any) -> bool:
        if intermediate_result.nfev <= most:
            evaluations.append(float(intermediate_result.nfev))
            loss.append(float(intermediate_result.fun))
        return bool(intermediate_result.nfev >= most)

    last = None
    with np.errstate(all="ignore"):
        try:
            end = minimize(both, start, method=method, jac=True, gtol=0.0, maxiter=most, check_gradient=False, callback=keep)
            reason, last = ("max_iter" if end.reason == "callback" else end.reason), end.x
        except Exception:  # the cost's own, where a step has led out of its domain
            reason = "rhs_failed"
    return Trial(method, {}, np.array(evaluations), np.array(loss), reason, False, last)


def clearly_lower(run: Trial, than: Trial) -> bool:
    """Whether a run has led lower than another by a clear share of its gain; or by a small one, and was as low in half the evaluations."""
    gain = float(run.loss[0] - run.loss[-1])
    if not gain > 0.0 or not than.loss.size:
        return gain > 0.0
    ahead = float(than.loss[-1] - run.loss[-1])
    as_low = run.evaluations[np.flatnonzero(run.loss <= than.loss[-1])]
    soon = bool(as_low.size) and float(as_low[0]) <= 0.5 * float(than.evaluations[-1])
    return ahead > CLEARLY * gain or (soon and ahead > SLIGHTLY * gain)


def best_rate(both: Both, start: Array, method: str, steps: int) -> float:
    """Of `RATES` the lr that leads lowest in so many steps, by the mean of the last tenth of its losses; nan where none leads down."""
    best, lowest = math.nan, both(start)[0]
    for lr in RATES:
        run = tried(both, start, method, {"lr": lr}, steps)
        mean = float(np.mean(run.loss[-max(1, steps // 10) :])) if worked(run) else math.inf
        if mean < lowest:
            best, lowest = lr, mean
    return best


def worked(trial: Trial) -> bool:
    """Whether it has led down, and is where it can go on."""
    good = trial.reason in ("converged", "max_iter") and trial.loss.size > 1
    return good and bool(trial.loss[-1] < trial.loss[0] or trial.reason == "converged")


def trials_of(both: Both, start: Array, method: str, lr: float, parameters: dict[str, float], steps: int) -> tuple[list[Trial], float, str]:
    """(the recommended method and the usual choices, its lr, why that was cut).

    It is cut until it leads down; and where a usual choice leads clearly lower, if that leads lower in more steps: a step that is too long
    for a cost of linear growth does not diverge, it wanders.
    """
    cuts, why = 0, ""
    while True:
        first = tried(both, start, method, {"lr": lr, **parameters}, steps, True)
        if worked(first) or cuts == CUTS:
            break
        lr, cuts = CUT * lr, cuts + 1
    if cuts:
        why = "as longer steps led up from x0, where the curvature is not what it is farther on"
    others = [tried(both, start, name, settings, steps) for name, settings in USUAL]
    lowest = min((float(trial.loss[-1]) for trial in others if worked(trial)), default=math.inf)
    if worked(first) and lowest < math.inf and first.loss[-1] > lowest + CLEARLY * (first.loss[0] - lowest):
        rates = [lr * CUT**k for k in range(LOWER + 1)]
        longer = [tried(both, start, method, {"lr": rate, **parameters}, LONGER * steps) for rate in rates]
        ends = [float(trial.loss[-1]) if worked(trial) else math.inf for trial in longer]
        if min(ends) < ends[0]:
            lr, why = rates[int(np.argmin(ends))], f"which leads lower in {LONGER * steps} steps"
            first = tried(both, start, method, {"lr": lr, **parameters}, steps, True)
    return [first, *others], lr, why
