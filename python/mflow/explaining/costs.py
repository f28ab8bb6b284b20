"""What is measured of a cost, and the methods that are tried from x0.

The curvature of a cost is measured by products of its Hessian with vectors, one gradient each: Lanczos' three terms at the start, a short
descent along gradient flow, and Lanczos again where it ends. That is at most 64 gradients and a few vectors, whatever the number of
parameters. Where there are few parameters the whole Hessian is differenced instead.

The largest curvature is an interval [a, b]: a is a Ritz value, which the largest eigenvalue of the Hessian is not below but for rounding; b
is the larger one of the bounds from two random starts, each of which is missed with a probability of at most a tenth, both of a hundredth
(`mflow.spectra.krylov`).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from mflow_core.objectives.objective import Objective

from mflow.base.checks import Array
from mflow.base.methods import Method, as_method
from mflow.explaining.examined import MISS, ExaminedCost, checked
from mflow.explaining.named import Seen, asks_for_gradient, limit_of
from mflow.explaining.report import Report
from mflow.explaining.trials import Both, Trial, best_rate, clearly_lower, searched, trials_of, tried, worked
from mflow.spectra import krylov
from mflow.stability.limits import max_stable_dt
from mflow.stability.quadratic import convergence_rate

__all__ = ["TRIES", "explain_cost", "with_trials"]

STARTS = 2  # of Lanczos' method at the start
AT_START, AT_END, STEPS = (
    16,
    14,
    12,
)  # products of each, products at the end, gradients of the descent: 59 gradients in all, and two each for the length of differences
FLAT = 1e-6  # curvatures below this share of the largest are taken for 0
NOTHING = 1e-12  # below this share of the largest none is seen
ROSE = 2.0  # of a gradient in the descent: its step was too long
TRIES = 100  # steps of each trial
SAFETY = 0.9
LOOKS = 6  # at the curvature where a trial leads
NOISY: tuple[str, float, dict[str, float], str] = (
    "adam", 1e-3, {}, "As differences of noisy gradients tell no curvature, lr is the best of eleven rates, 1e-4 to 10, tried from x0.",
)  # fmt: skip
UNKNOWN = "Differences of the gradient over no two lengths agree, so curvatures are estimates, and which steps are stable is not known."
SEARCHES = "A step is not needed at all by lbfgs, which minimize takes without a method: its line search finds each."
FAR_APART = 1e8  # condition number beyond which momentum is at its most


def explain_cost(cost: ExaminedCost, start: Array, table: list[Method], check: bool) -> Report:
    """The report on a cost, whose recommendation has not been tried."""
    x = start.reshape(-1).copy()
    g = cost.gradient(x)
    looked = 0 if cost.jac is None else cost.look(x)
    few = f"The cost's values carry {cost.digits.text}, so curvatures are rough." if cost.digits is not None else ""
    ncheck, gradient, noisy = checked(cost, x, g) if check and cost.jac is not None else (0, few, False)
    first = cost.curvatures(x, g, AT_START, STARTS)
    start_of = (start.reshape(-1), g if any(asks_for_gradient(m) for m in table) else np.empty(0))
    real = first.values.real
    top = int(np.argmax(real))
    low, high = max(float(real[top]), 0.0), max(first.bounds[1], 0.0)
    size = max(high, float(np.max(np.abs(real))))
    least = float(np.min(real))
    verdicts = [("start", _verdict_of_cost(first, size))]
    lr = 1.0 / size if size > 0.0 else 1.0
    x, g, lr = _descent(cost, x, g, lr)
    later = cost.curvatures(x, g, AT_END)
    at_end = float(np.max(np.abs(later.values.real)))
    verdicts.append((f"after {STEPS} steps of descent with lr = {lr:.3g}", _verdict_of_cost(later, at_end)))
    worst = max(high, later.bounds[1])  # the step must be safe on the way, too
    if cost.unknown:
        gradient = f"{gradient} {UNKNOWN}".strip()
    condition = math.inf if least < -FLAT * size or size == 0.0 else low / max(least, FLAT * FLAT * size)
    seen = Seen(*start_of, max(worst, 0.0), condition, first.complete, AT_START, STARTS)
    limits = {m.name: limit_of(m, cost, seen) for m in table}
    steps = {name: limit for name, (limit, _) in limits.items()}
    method, dt, parameters, reason = NOISY if noisy else _advice_for_cost(worst, condition, least < -FLAT * size, first.complete)
    return Report(
        kind="cost",
        n=start.size,
        nfev=cost.count,
        curvature=(low, high),
        least_curvature=least,
        condition=condition,
        eigenvalues=-first.values,
        verdicts=verdicts,
        path=None,
        steps=steps,
        safe_steps=dict(steps),
        method=method,
        dt=dt,
        parameters={"lr": dt, **parameters},
        reason=f"{reason} {SEARCHES}",
        complete=first.complete,
        probability=math.nan if cost.unknown else 1.0 if first.complete else 1.0 - MISS**STARTS,
        ncheck=ncheck + looked,
        gradient=gradient,
        noisy=noisy,
        steepest=worst,
        facts={name: fact for name, (_, fact) in limits.items() if fact},
    )


def _descent(cost: ExaminedCost, x: Array, g: Array, lr: float) -> tuple[Array, Array, float]:
    """(point, gradient, lr) after some steps of descent; one that doubles the gradient, or leaves the domain, is taken back, and lr cut."""
    for _ in range(STEPS):
        ahead = x - lr * g
        with np.errstate(all="ignore"):
            try:
                there = cost.gradient(ahead)
            except ValueError:  # not finite there
                there = np.full(g.shape, math.inf)
        if float(np.max(np.abs(there))) <= ROSE * float(np.max(np.abs(g))):
            x, g = ahead, there
        else:
            lr *= 0.25
    return x, g, lr


def _verdict_of_cost(ritz: krylov.Ritz, size: float) -> str:
    """In the words of `posedness`, for c' = -grad f: eigenvalues are minus the curvatures."""
    curvatures, complete = ritz.values.real, ritz.complete
    if np.any(curvatures < -FLAT * size):  # one such value is a direction; more of them may be ghosts (Ritz values that appear twice)
        falling = max(1, int(np.sum((curvatures < -FLAT * size) & krylov.sure(ritz))))
        return f"ill-posed, the cost curves down in {falling}{'' if complete else ' or more'} of its directions: paths part here"
    if np.any(np.abs(curvatures) <= FLAT * size):
        flat = float(np.max(np.abs(curvatures), where=np.abs(curvatures) <= FLAT * size, initial=0.0))
        below = f"with less than {1.05 * flat / size:.2g} of the largest curvature" if flat > NOTHING * size else "without curvature"
        return f"suspect or linearly stable, there are directions {below}: errors add up along them"
    if not complete and ritz.bounds[0] <= 0.0:
        text = "not known, the cost curves up in all directions seen"
    else:
        text = "well-posed, the cost curves up everywhere"
    return text + f", curvatures {float(np.min(curvatures)):.3g} to {float(np.max(curvatures)):.3g}"


def _advice_for_cost(L: float, condition: float, not_convex: bool, complete: bool) -> tuple[str, float, dict[str, float], str]:
    """(method, lr, its other parameters, why)."""
    if L <= 0.0:
        text = "no curvature was seen that limits a step, so any step is stable and a line search should choose it"
        return "sgd", 1.0, {}, f"Because {text}."
    if not_convex:
        lr = SAFETY / L
        text = (
            f"the cost is not convex at the start, where momentum carries past saddles, and lr = {lr:.3g} is inside its limit {3.8 / L:.3g}"
        )
        return "momentum", lr, {"momentum": 0.9}, f"Because {text}."
    seen, known = ("", "about") if complete else (" seen", "at least")
    if condition < 4.0:
        lr = SAFETY * 2.0 / (L + L / condition)
        rate = convergence_rate("sgd", [L / condition, L], lr=lr)
        alike = f"curvatures{seen} at x0 " + ("are equal" if condition < 1.005 else f"differ by a factor of {condition:.3g} only")
        of = f"{L / condition:.3g}" if condition < 1.005 else f"{L / condition:.3g} to {L:.3g}"
        text = f"{alike}: on a quadratic with curvatures of {of} plain descent shrinks errors by a factor of {rate:.2g} a step already"
        return "sgd", lr, {}, f"Because {text}."
    root = math.sqrt(min(condition, FAR_APART))  # Polyak (1964): what best_parameters("momentum", ...) finds by a search
    mu = min(((root - 1.0) / (root + 1.0)) ** 2, 0.99)
    lr = min((2.0 * root / (root + 1.0)) ** 2, SAFETY * 2.0 * (1.0 + mu)) / L
    if condition == math.inf:
        text = f"no curvature was seen at x0, so the condition number is not known: momentum = {mu:.3g} is that of a great one"
        return "momentum", lr, {"momentum": mu}, f"Because {text}, and lr = {lr:.3g} is for the curvature on the way, {L:.3g}."
    fast = _steps_a_digit("momentum", L, condition, {"lr": lr, "momentum": mu})
    slow = _steps_a_digit("sgd", L, condition, {"lr": 2.0 / (L + L / condition)})
    gain = f"the condition number is {known} {condition:.3g}, for which momentum with lr = {lr:.3g} and momentum = {mu:.3g}"
    gain += f" needs about {fast:.3g} steps a digit, and sgd with its best lr {slow:.3g}"
    return "momentum", lr, {"momentum": mu}, f"Because {gain}."


def _steps_a_digit(method: str, L: float, condition: float, parameters: dict[str, Any]) -> float:
    """Steps in which errors shrink to a tenth; beyond `FAR_APART` they go with the condition number, and rates are rounded to 1."""
    least = L / min(condition, FAR_APART)
    return -max(1.0, condition / FAR_APART) / math.log10(convergence_rate(method, [least, L], **parameters))


def with_trials(report: Report, fun: Any, jac: Any, args: tuple[Any, ...], start: Array, steps: int) -> Report:
    """The report of a cost with its recommendation tried."""
    cost = ExaminedCost(fun, jac, args, start)

    def both(x: Array) -> tuple[float, Array]:
        if cost.jac is True:
            value, grad = cost.pair(x)
            return float(value), np.asarray(grad, dtype=np.float64)
        if isinstance(fun, Objective):
            return fun.value_and_grad(x)
        return cost.value(x.ravel()), cost.gradient(x.ravel()).reshape(x.shape)

    others = {name: value for name, value in report.parameters.items() if name != "lr"}
    rate = best_rate(both, start, report.method, steps) if report.noisy else math.nan
    trials, lr, why = trials_of(both, start, report.method, report.dt if math.isnan(rate) else rate, others, steps)
    reason = report.reason
    if why:
        reason += f" lr was cut from {report.dt:.3g} to {lr:.3g}, {why}."
    if not report.noisy:
        before = lr
        trials[0], lr = _safe_at_the_end(cost, both, start, trials[0], steps)
        if lr < before:
            reason += f" lr was cut from {before:.3g} to {lr:.3g}, as the cost is curved more where the trial led."
    report = replace(report, trials=tuple(trials), dt=lr, parameters={"lr": lr, **others}, reason=reason)
    return report if report.noisy else _beside_a_search(report, both, start)


def _beside_a_search(report: Report, both: Both, start: Array) -> Report:
    """The report with the best direction of a line search tried in as many evaluations, and recommended where it is `clearly_lower`."""
    first, *others = report.trials
    search = searched(both, start, int(first.evaluations[-1]) if first.evaluations.size else TRIES)
    if not clearly_lower(search, first):
        return replace(report, trials=(*report.trials, search))
    with_step = f"{first.loss[-1]:.5g} by {first.label}" if first.loss.size else f"nothing by {first.label}"
    text = f"Because from x0, where the cost is {search.loss[0]:.5g}, it leads to {search.loss[-1]:.5g} in {search.evaluations[-1]:.0f}"
    text += f" evaluations, which lead to {with_step}: its line search finds each step, and past gradients tell it of curvature."
    why = report.reason.removesuffix(SEARCHES).strip()
    text += f" That fixed step was chosen {why[0].lower()}{why[1:]}"
    tried_ones = (replace(search, recommended=True), replace(first, recommended=False), *others)
    return replace(report, trials=tried_ones, method=search.method, dt=math.nan, parameters={}, reason=text)


def _safe_at_the_end(cost: ExaminedCost, both: Both, start: Array, trial: Trial, steps: int) -> tuple[Trial, float]:
    """(the trial, its lr) with an lr below the limit for the curvature where it leads, too."""
    lr, others = trial.parameters["lr"], {name: value for name, value in trial.parameters.items() if name != "lr"}
    for _ in range(LOOKS):
        if trial.end is None or not worked(trial):
            break
        try:
            at = trial.end.ravel()
            largest = cost.curvatures(at, cost.gradient(at), AT_END).bounds[1]
        except ValueError:  # not finite there
            break
        limit = max_stable_dt(as_method(trial.method, others), curvature=max(largest, 0.0))
        if lr <= limit:
            break
        lr = SAFETY * limit
        trial = tried(both, start, trial.method, {"lr": lr, **others}, steps, True)
    return trial, lr
