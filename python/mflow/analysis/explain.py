"""`explain`: safe steps, posedness and a recommended method for a problem of the user.

The curvature of a cost is measured by products of its Hessian with vectors, one gradient each: Lanczos' three terms at the start, a short
descent along gradient flow, and Lanczos again where it ends. That is at most 60 gradients and a few vectors, whatever the number of
parameters. Where there are few parameters the whole Hessian is differenced instead. A right-hand side is integrated, and its Jacobian
is examined along the path.

The largest curvature is an interval [a, b]: a is a Ritz value, which the largest eigenvalue of the Hessian is not below but for rounding; b
is the larger one of the bounds from two random starts, each of which is missed with a probability of at most a tenth, both of a hundredth
(`mflow.spectra.krylov`).
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mflow_core.objectives.objective import Objective
from mflow_core.problems.signatures import is_compiled

from mflow.analysis.examined import FEW, MISS, ExaminedCost, checked
from mflow.analysis.field import Field
from mflow.analysis.posedness import DENSE, posedness_along
from mflow.analysis.results import Posedness, PosednessPath
from mflow.analysis.trials import Both, Trial, best_rate, clearly_lower, searched, trials_of, tried, worked
from mflow.base.checks import (
    Array,
    as_tuple,
    check_choice,
    check_flags,
    check_function,
    check_instance,
    check_list,
    check_number,
    check_start,
    check_whole,
    shown,
)
from mflow.base.methods import Method, as_method, methods
from mflow.base.tables import Readable, Table
from mflow.course.legs import STIFF as IMPLICIT  # tried where steps are stiff
from mflow.integrate.curvature import StiffnessWarning
from mflow.integrate.ivp import solve_ivp
from mflow.spectra import krylov, normality
from mflow.stability import limits
from mflow.stability.limits import max_stable_dt
from mflow.stability.quadratic import best_parameters, convergence_rate

__all__ = ["Report", "explain"]

STARTS = 2  # of Lanczos' method at the start
AT_START, AT_END, STEPS = 16, 14, 12  # products of each, products at the end, gradients of the descent: 59 gradients in all
FLAT = 1e-6  # curvatures below this share of the largest are taken for 0
NOTHING = 1e-12  # below this share of the largest none is seen
STIFF = 1000.0
IMPLICIT_STEPS = 5000  # of a trial of theirs
ROSE = 2.0  # of a gradient in the descent: its step was too long
TRIES = 100  # steps of each trial
SAFETY = 0.9
CONTROLLED: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-9}  # of the run of a right-hand side, and of what is recommended for it
LOOKS = 6  # at the curvature where a trial leads
NOISY: tuple[str, float, dict[str, float], str] = (
    "adam", 1e-3, {}, "As differences of noisy gradients tell no curvature, lr is the best of eleven rates, 1e-4 to 10, tried from x0.",
)  # fmt: skip
SEARCHES = "A step is not needed at all by lbfgs, which minimize takes without a method: its line search finds each."
EXPLICIT = "rk4"  # whose limit is compared with what happens where the Jacobian is far from normal
FAR_APART = 1e8  # condition number beyond which momentum is at its most
FAR = 0.05  # of the largest eigenvalue: the numerical range reaches farther than the eigenvalues by this


@dataclass(frozen=True, eq=False)
class Report(Readable):
    """The result of `explain`; ``str()`` of it is the text.

    kind : "cost" or "right-hand side". n : int. nfev : int, gradients, or slopes. curvature : (lower, upper), of a cost the interval of
    the largest curvature at the start; of a right-hand side that of the spectral radius on the path, an estimate where `complete` is False.
    probability : float, with which the interval of a cost holds, over random starts: 1 where all curvatures are known.
    least_curvature : float, the smallest Ritz value (at the start), below 0 where the cost curves down. condition : float, a lower bound of
    the condition number; inf where the cost is not convex, or has no curvature.
    eigenvalues : complex128 array, Ritz values of the flow's Jacobian at the start.
    verdicts : list of (where, verdict): of a cost at the start and after some steps of descent, of a right-hand side from some time on.
    Each begins with one of `mflow.posedness` ("well-posed", "linearly stable", "suspect", "not known", "ill-posed"); those of a cost go
    on with what was seen. path : `PosednessPath` or None.
    steps : dict of method's name -> its largest stable step, for the upper end of the interval.
    method : str, dt : float, parameters : dict, reason : str: the recommendation. parameters are what a call takes beside the method: lr
    (it is dt) and others for a cost, none (and dt = nan) where a line search finds the steps; of a right-hand side dt where steps are
    fixed, and rtol and atol where these choose them.
    complete : whether all eigenvalues are known.
    note : str, what is to be said of the steps where the Jacobian of a right-hand side is far from normal.
    ncheck : evaluations that compared the gradient of a cost with its values. gradient : what is wrong with it, or why that is not known,
    in words; empty where it is right. noisy : whether it is another one at each call; its curvatures are then those of the noise.
    trials : tuple of `mflow.analysis.trials.Trial`, of a cost: the recommendation, three usual choices, and the best of a step below the
    limit and of lbfgs, bfgs and cg that is not the recommendation, tried from x0; or empty.
    steepest : float, of a cost the largest curvature at the start and after some steps of descent, for which `steps` are.
    """

    kind: str
    n: int
    nfev: int
    curvature: tuple[float, float]
    least_curvature: float
    condition: float
    eigenvalues: Any
    verdicts: list[tuple[str, str]]
    path: PosednessPath | None
    steps: dict[str, float]
    method: str
    dt: float
    parameters: dict[str, float]
    reason: str
    complete: bool
    probability: float = math.nan
    note: str = ""
    ncheck: int = 0
    gradient: str = ""
    trials: tuple[Trial, ...] = ()
    steepest: float = math.nan
    noisy: bool = False

    def _parts(self) -> list[str | Table]:
        low, high = self.curvature
        quantity = "largest curvature at the start" if self.kind == "cost" else "spectral radius on the path"
        lines: list[str | Table] = [f"{self.kind} of {self.n} variable{'s' if self.n != 1 else ''}, {self.nfev} evaluations", ""]
        lines += [self.gradient, ""] if self.gradient else []
        size = f"{low:.6g}" + ("" if high - low <= 1e-4 * high else f" to {high:.6g}")
        if not self.complete:
            odds = f", with a probability of at least {self.probability:.2g}"
            size = f"about {size}, an estimate" if self.kind != "cost" else size + odds
        lines.append(f"{quantity}: {size}")
        if self.kind == "cost":
            if self.steepest > (1.0 + 1e-4) * high:
                lines.append(f"largest curvature after the first steps, for which the steps below are: {self.steepest:.6g}")
            lines.append(f"least curvature seen: {self.least_curvature:.4g}")
            known = "" if self.complete else "at least "
            none = "none, it is not convex here" if self.least_curvature < 0.0 else "none, no curvature was seen"
            lines.append("condition number: " + (f"{known}{self.condition:.4g}" if self.condition < math.inf else none))
        lines += [f"posedness, {where}: {verdict}" for where, verdict in self.verdicts]
        rows = [[name, _number(dt)] for name, dt in self.steps.items()]
        lines += ["", Table(["method", "largest stable step"], rows), "", f"Recommended: {self._call()}", self.reason]
        lines += [self.note] if self.note else []
        if self.trials:
            start = self.trials[0].loss[0]
            tries = [
                [t.label, f"{t.loss[-1]:.5g}", f"{t.evaluations[-1]:.0f}", t.reason.replace("_", " ")] for t in self.trials if t.loss.size
            ]
            lines += ["", f"Tried from x0, where the cost is {start:.5g}:", Table(["method", "cost", "evaluations", "ended"], tries)]
        return lines

    def _call(self) -> str:
        extra = "".join(f", {name} = {value:.4g}" for name, value in self.parameters.items() if name not in ("lr", "dt"))
        if math.isnan(self.dt):  # a line search finds each step
            return self.method
        return f"{self.method}, {'lr' if self.kind == 'cost' else 'dt'} = {self.dt:.4g}{extra}"


def _number(dt: float) -> str:
    return "no limit" if dt == math.inf else "none" if dt == 0.0 else f"{dt:.5g}"


def explain(
    fun: Callable[..., Any],
    x0: Any,
    *,
    jac: Callable[..., Any] | bool | None = None,
    kind: str | None = None,
    t_span: Sequence[float] | None = None,
    args: tuple[Any, ...] = (),
    names: Sequence[str] | None = None,
    check_gradient: bool = True,
    tries: int = TRIES,
) -> Report:
    """Examine a problem: which steps are safe, whether it is well-posed, and which method to use.

    Parameters
    ----------
    fun : callable
        A cost ``fun(x)``, with ``jac=True`` the pair (cost, gradient); or a right-hand side ``fun(t, y)``.
    x0 : array_like of real numbers, any shape
    jac : callable, True or None
        The gradient ``jac(x)`` of a cost; by default central differences (up to 1000 variables). Of a right-hand side the
        Jacobian ``jac(t, y)``.
    kind : "cost" or "rhs", optional
        By default a function of two arguments (t, y) is a right-hand side.
    t_span : (t0, t_end), optional
        Of a right-hand side; (0, 1) by default.
    args : tuple
        Further arguments of fun and jac.
    names : sequence of str, optional
        Methods whose steps are listed; by default all with a limit of this kind.
    check_gradient : bool
        Whether the gradient of a cost is compared with the cost at x0, along a fixed direction, by two evaluations (more where these do
        not agree), counted as ``ncheck`` alone.
    tries : int
        Steps in which the recommendation for a cost is tried, beside three usual choices (sgd and momentum with lr = 0.01, adam with
        0.001), and lbfgs, bfgs and cg in as many evaluations: the best of these three is recommended where it leads lower by a tenth
        of its gain, or by a millionth and is as low in half the evaluations. They are not counted in ``nfev``. 0: not at all, as for
        gradients by differences in more than 20 variables. A step that leads up is cut until it leads down.

    Returns
    -------
    Report
        ``str(report)`` is the text; ``curvature`` (an interval), ``steps``, ``verdicts``, ``method``, ``dt``, ``parameters``, ``reason``.

    Raises
    ------
    TypeError, ValueError
        fun does not return a number (or slopes of y's shape), a gradient is not finite, or has another shape than x0.

    See Also
    --------
    mflow.max_stable_dt, mflow.posedness, mflow.minimize, mflow.train

    Examples
    --------
    >>> import mflow
    >>> report = mflow.explain(lambda c: (c @ [0.5 * c[0], 50 * c[1]], [1.0, 100.0] * c), [1.0, 1.0], jac=True)
    >>> report.method, round(report.curvature[1], 3), round(report.steps["sgd"], 4)
    ('momentum', 100.0, 0.02)

    References
    ----------
    C. Lanczos, J. Res. Nat. Bur. Stand. 45 (1950) 255-282; B. Polyak, USSR Comput. Math. Math. Phys. 4(5) (1964) 1-17.
    """
    start, args = check_start(x0, "x0"), as_tuple(args)
    check_flags(check_gradient=check_gradient)
    check_function(fun, "fun", "a cost f(x), or a right-hand side f(t, y)")
    if not (jac is None or callable(jac) or (isinstance(jac, bool | np.bool_) and jac)):
        raise TypeError(f"jac: expected a function, or True where fun returns (cost, gradient), got {shown(jac)}")
    if kind is not None:
        check_choice(kind, "kind", ("cost", "rhs"))
    if names is not None:
        names = [check_instance(name, f"names[{k}]", str, "a text") for k, name in enumerate(check_list(names, "names", "texts"))]
    if not start.size:
        raise ValueError("x0: expected at least one entry, got none")
    if kind is None:
        kind = "rhs" if _arguments(fun) - len(args) == 2 else "cost"
    listed = _listed(names, kind == "cost")
    if kind == "rhs":
        return _explain_rhs(fun, start, jac, t_span or (0.0, 1.0), args, listed)
    if jac is None and isinstance(fun, Objective):
        jac = fun.grad  # its own
    report = _explain_cost(ExaminedCost(fun, jac, args, start), start, listed, check_gradient)
    tries = check_whole(tries, "tries")
    affordable = jac is not None or is_compiled(fun) or start.size <= FEW  # else a gradient takes many evaluations
    return _with_trials(report, fun, jac, args, start, tries) if tries and affordable else report


def _with_trials(report: Report, fun: Any, jac: Any, args: tuple[Any, ...], start: Array, steps: int) -> Report:
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


def _arguments(fun: Any) -> int:
    """The number of required arguments of a function; 1 where its signature is not known."""
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (TypeError, ValueError):
        return 1
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in places and p.default is inspect.Parameter.empty for p in parameters)


# ---- costs ------------------------------------------------------------------------------------------------------------------------------


def _explain_cost(cost: ExaminedCost, start: Array, listed: list[Method], check: bool) -> Report:
    x = start.reshape(-1).copy()
    g = cost.gradient(x)
    few = f"The cost's values carry {cost.digits.text}, so curvatures are rough." if cost.digits is not None else ""
    ncheck, gradient, noisy = checked(cost, x, g) if check and cost.jac is not None else (0, few, False)
    first = cost.curvatures(x, g, AT_START, STARTS)
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
    condition = math.inf if least < -FLAT * size or size == 0.0 else low / max(least, FLAT * FLAT * size)
    steps = {m.name: _limit_for_cost(m, worst) for m in listed}
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
        method=method,
        dt=dt,
        parameters={"lr": dt, **parameters},
        reason=f"{reason} {SEARCHES}",
        complete=first.complete,
        probability=1.0 if first.complete else 1.0 - MISS**STARTS,
        ncheck=ncheck,
        gradient=gradient,
        noisy=noisy,
        steepest=worst,
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


def _listed(names: Sequence[str] | None, cost: bool) -> list[Method]:
    """The methods whose steps are listed."""
    if names is not None:
        return [_with_limit(as_method(name, {}), cost) for name in names]
    kinds = ("step", "update") if cost else ("step",)
    out = [m for m in methods() if m.kind in kinds and {"linear"} <= m.flags and not {"second_order", "needs_rho"} & m.flags]
    return [m if "friction" not in m.parameters else as_method(m, {"friction": 1.0}) for m in out]


def _with_limit(method: Method, cost: bool) -> Method:
    """Raises ValueError for a method without a limit of this kind."""
    if "linear" in method.flags and "second_order" not in method.flags and (cost or method.kind == "step"):
        return method
    words = {"direction": "whose line search or trust region finds its steps", "update": "an optimizer", "sweep": "for rows of data"}
    why = "for second-order systems" if "second_order" in method.flags else words.get(method.kind, "which has none")
    told = "the cost's curvature alone" if cost else "the Jacobian's eigenvalues"
    raise ValueError(f"names: expected methods whose largest stable step follows from {told}, got {method.name}, {why}; omit it")


def _limit_for_cost(method: Method, curvature: float) -> float:
    return max_stable_dt(method, curvature=max(curvature, 0.0))


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
        text = f"curvatures{seen} differ by {condition:.3g} only, plain descent already shrinks errors by a factor of {rate:.2g} a step"
        return "sgd", lr, {}, f"Because {text}."
    best = best_parameters("momentum", min(condition, FAR_APART), L)
    mu = min(best.momentum, 0.99)
    lr = min(best.lr, SAFETY * 2.0 * (1.0 + mu) / L)
    fast = _steps_a_digit("momentum", L, condition, {"lr": lr, "momentum": mu})
    slow = _steps_a_digit("sgd", L, condition, {"lr": 2.0 / (L + L / condition)})
    gain = f"the condition number is {known} {condition:.3g}, for which momentum with lr = {lr:.3g} and momentum = {mu:.3g}"
    gain += f" needs about {fast:.3g} steps a digit, and sgd with its best lr {slow:.3g}"
    return "momentum", lr, {"momentum": mu}, f"Because {gain}."


def _steps_a_digit(method: str, L: float, condition: float, parameters: dict[str, Any]) -> float:
    """Steps in which errors shrink to a tenth; beyond `FAR_APART` they go with the condition number, and rates are rounded to 1."""
    least = L / min(condition, FAR_APART)
    return -max(1.0, condition / FAR_APART) / math.log10(convergence_rate(method, [least, L], **parameters))


# ---- right-hand sides -------------------------------------------------------------------------------------------------------------------


def _explain_rhs(fun: Any, start: Array, jac: Any, t_span: Sequence[float], args: tuple[Any, ...], listed: list[Method]) -> Report:
    t0, t1 = (check_number(t, f"t_span[{k}]") for k, t in enumerate(t_span))
    if t0 == t1:
        raise ValueError(f"t_span: expected t0 and t_end apart, got ({t0:g}, {t1:g})")
    count = [0]

    def counted(t: float, y: Array, *more: Any) -> Any:
        count[0] += 1
        return fun(t, y, *more)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StiffnessWarning)  # the report says what it means for the choice of a method
        run = solve_ivp(counted, (t0, t1), start, "dopri5", args=args, **CONTROLLED, max_steps=20_000)
    if run.t.size < 2:
        raise ValueError(f"fun: expected a right-hand side that can be integrated from x0, got no step: {run.message}")
    path = posedness_along(counted, run.t, run.y, jac=jac if callable(jac) else None, args=args, points=20)
    values = path.eigenvalues[np.isfinite(path.eigenvalues)]
    radii = np.array([float(np.max(np.abs(p.eigenvalues), initial=0.0)) for p in path.points])
    margins = np.array([0.0 if p.complete else p.error for p in path.points])
    interval = float(np.max(radii)), float(np.max(radii + margins))
    share = interval[0] / interval[1] if interval[0] > 0.0 else 1.0
    steps = {m.name: share * max_stable_dt(m, eigenvalues=values) for m in listed}
    verdicts = [(f"t = {path.t[0]:.4g}", path.verdicts[0])] + [(f"from t = {t:.4g}", after) for t, _, after in path.changes[:8]]
    implicit = lambda otherwise: _implicit(counted, count, (t0, t1), start, jac, args, otherwise)  # noqa: E731
    method, dt, reason = _advice_for_rhs(values, interval[1], abs(t1 - t0), run, all(p.complete for p in path.points), implicit)
    note = _transient_growth(lambda: Field(counted, t0, start, jac if callable(jac) else None, args), t0, path.points[0])
    least = float(np.min(-values.real)) if values.size else 0.0
    return Report(
        kind="right-hand side",
        n=start.size,
        nfev=count[0],
        curvature=interval,
        least_curvature=least,
        condition=math.nan,
        eigenvalues=path.points[0].eigenvalues,
        verdicts=verdicts,
        path=path,
        steps=steps,
        method=method,
        dt=dt,
        parameters=dict(CONTROLLED) if "embedded" in as_method(method, {}).flags else {"dt": dt},
        reason=reason,
        complete=all(p.complete for p in path.points),
        note=note,
    )


def _transient_growth(field_of: Callable[[], Field], t0: float, point: Posedness) -> str:
    """What is to be said where the Jacobian at the start is far from normal, so that errors grow within the limits of its eigenvalues."""
    scale = float(np.max(np.abs(point.eigenvalues), initial=0.0))
    method = as_method(EXPLICIT, {})
    dt = max_stable_dt(method, eigenvalues=point.eigenvalues)
    if (
        not math.isfinite(point.numerical_abscissa)
        or point.numerical_abscissa <= point.growth_rate + FAR * scale
        or not 0.0 < dt < math.inf
    ):
        return ""
    start, field = point.y.reshape(-1), field_of()
    if field.n <= DENSE:
        dense = field.matrix(t0, start)[0]
        times, back, entries = (lambda v: dense @ v), (lambda v: dense.T @ v), dense.size
    else:
        J = field.linear(t0, start, False)[0]
        if J.back is None:
            return ""
        times, back, entries = J.times, J.back, J.entries
    text = normality.warning_of(method, times, back, field.n, dt, entries, lambda some: limits.first_to_fail(method, some, 6))
    return f"At the start the limit {dt:.4g} of {EXPLICIT} is that of the eigenvalues, but {text}." if text else ""


def _implicit(
    fun: Any, count: list[int], t_span: tuple[float, float], start: Array, jac: Any, args: tuple[Any, ...], otherwise: float
) -> tuple[str, float, str]:  # fmt: skip
    """Of the implicit methods the one that reaches the end with the fewest evaluations, its mean step, or `otherwise`, and how they did, in
    words."""
    runs, evaluations = {}, {}
    for name in IMPLICIT:
        before = count[0]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                runs[name] = solve_ivp(fun, t_span, start, name, jac=jac, args=args, **CONTROLLED, max_steps=IMPLICIT_STEPS)
        except Exception:  # the right-hand side's own, where a step has led out of its domain
            continue
        evaluations[name] = count[0] - before
    done = [name for name in runs if runs[name].success]
    if not done:
        return IMPLICIT[0], otherwise, "as tried here, neither of " + " and ".join(IMPLICIT) + " reached the end, for which look at fun"
    best = min(done, key=lambda name: evaluations[name])
    others = [f"{name} in {evaluations[name]}" if name in done else f"{name} not at all" for name in IMPLICIT if name != best]
    told = f"as tried here, {best} reaches the end in {evaluations[best]} evaluations, {', '.join(others)}"
    return best, abs(t_span[1] - t_span[0]) / max(1, runs[best].nsteps), told


def _advice_for_rhs(
    values: Any, radius: float, span: float, run: Any, complete: bool, implicit: Callable[[float], tuple[str, float, str]]
) -> tuple[str, float, str]:
    """(method, dt, why). implicit : tries implicit methods; takes the step where none of them gets to the end."""
    mean = span / max(1, run.nsteps)
    limit = max_stable_dt("dopri5", eigenvalues=values)
    decays = values[values.real < 0.0]
    slowest = float(np.min(-decays.real, initial=math.inf)) if decays.size else math.inf
    known = "" if complete else "about "
    stiff = radius * span > STIFF and mean > 0.5 * limit and not _oscillates(values)
    if run.reason == "max_steps":
        name, step, told = implicit(10.0 * limit)
        text = f"{run.nsteps} explicit steps did not reach the end: stability limits them to about {limit:.3g}; {told}"
        return name, step, f"Because {text}. rtol and atol choose the steps, dt = is their mean."
    if not run.success:
        name, step, told = implicit(mean)
        text = f"an explicit run broke off ({run.reason}), which an implicit method with error control may survive; {told}"
        return name, step, f"Because {text}."
    if stiff:
        name, step, told = implicit(10.0 * mean)
        sizes = f"eigenvalues from {known}{slowest:.3g} to {known}{radius:.3g}"
        text = f"stability, not accuracy, dictates explicit steps ({sizes}), an implicit method pays: {told}"
        return name, step, f"Because {text}. rtol and atol choose the steps, dt = is their mean."
    if limit < math.inf and mean > SAFETY * limit:
        return (
            "rk4",
            SAFETY * max_stable_dt("rk4", eigenvalues=values),
            "Because stability limits the steps, and rk4's limit is wide for its cost.",
        )
    if mean > 0.5 * limit:
        text = f"its steps, {mean:.3g} at rtol = 1e-6, are close to the stability limit {limit:.3g}, yet {run.nsteps} of them reach the end"
        return "dopri5", mean, f"Because {text}; over a longer span an implicit method, {IMPLICIT[0]}, pays. dt = is their mean."
    text = f"accuracy asks for shorter steps than stability does ({mean:.3g} at rtol = 1e-6 against {limit:.3g})"
    return "dopri5", mean, f"Because {text}, error control chooses them best; dt = is their mean."


def _oscillates(values: Any) -> bool:
    """Whether the fastest eigenvalue belongs to an oscillation, which implicit methods damp or smear rather than speed up."""
    if not values.size:
        return False
    fastest = values[int(np.argmax(np.abs(values)))]
    return bool(abs(fastest.imag) > 5.0 * abs(fastest.real))
