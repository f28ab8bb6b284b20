"""The result of `mflow.explain`, and its text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mflow.analysis.posedness import MEANING
from mflow.analysis.results import PosednessPath
from mflow.base.methods import Method, as_method, methods
from mflow.base.tables import Readable, Table, frame
from mflow.explaining.trials import Trial

__all__ = ["Report", "listed"]

WORDS = {  # what the verdicts of a right-hand side mean, for those who know "ill-posed" as "without a solution"
    "ill-posed": "neighbouring solutions move apart there, so that small errors grow; the solution is there all the same",
    "suspect": MEANING["suspect"],
}
# In words: a minimum to the last digit ends a line search, too; each is tried for some steps, or as many evaluations as another took.
ENDED = {"line_search_failed": "no lower cost found", "max_iter": "still going"}


@dataclass(frozen=True, eq=False)
class Report(Readable):
    """The result of `explain`; ``str()`` of it is the text.

    kind : "cost" or "right-hand side". n : int. nfev : int, gradients, or slopes. curvature : (lower, upper), of a cost the interval of
    the largest curvature at the start; of a right-hand side that of the spectral radius on the path, an estimate where `complete` is False.
    probability : float, with which the interval of a cost holds, over random starts: 1 where all curvatures are known,
    nan where they are estimates, as `gradient` says.
    least_curvature : float, the smallest Ritz value (at the start), below 0 where the cost curves down. condition : float, a lower bound of
    the condition number; inf where the cost is not convex, or has no curvature.
    eigenvalues : complex128 array, Ritz values of the flow's Jacobian at the start.
    verdicts : list of (where, verdict): of a cost at the start and after some steps of descent, of a right-hand side from some time on.
    Each begins with one of `mflow.posedness` ("well-posed", "linearly stable", "suspect", "not known", "ill-posed"); those of a cost go
    on with what was seen. path : `PosednessPath` or None, without its growth, which `IVPResult.posedness` computes.
    steps : dict of method's name -> its largest stable step, for the upper end of the interval; of a right-hand side the largest that is
    stable at all points of the path that were looked at; beside an oscillation that grows by itself, the largest with which errors grow at
    most twice as fast as it does (`note` says so).
    safe_steps : dict of method's name -> a step that is safe as well where the Jacobian of a right-hand side is far from normal, so that in
    steps below that of ``steps`` errors grow by orders of magnitude before they fade: about the largest step with which the numerical range
    is inside the stability region, where that is shorter, in an inner product in which solutions do not grow if they do for a while in the
    usual one (`note` says so, and by how much errors grow at most); nan where none is known; else, and of a cost, that of ``steps``.
    method : str, dt : float, parameters : dict, reason : str: the recommendation. parameters are what a call takes beside the method: lr
    (it is dt) and others for a cost, none (and dt = nan) where a line search finds the steps; of a right-hand side dt where steps are
    fixed, and rtol and atol where these choose them: dt is then their mean in a run over t_span.
    step_range : (shortest, longest), of the steps that these chose in that run, its last one left out; (nan, nan) where there was none.
    looked : str, of a right-hand side how far its path was followed, and at how many points its Jacobian was looked at.
    complete : whether all eigenvalues are known.
    note : str, what is to be said of the steps where the Jacobian of a right-hand side is far from normal, or solutions grow by themselves.
    ncheck : evaluations that compared the gradient of a cost with its values. gradient : what is wrong with it, or why that is not known,
    in words; empty where it is right. noisy : whether it is another one at each call; its curvatures are then those of the noise.
    trials : tuple of `mflow.explaining.trials.Trial`, of a cost: the recommendation, three usual choices, and the best of a step below the
    limit and of lbfgs, bfgs and cg that is not the recommendation, tried from x0; or empty.
    facts : dict of method's name -> what is to be said, of methods that were named whose step does not follow from curvature alone.
    steepest : float, of a cost the largest curvature at the start and after some steps of descent, for which `steps` are (of many
    variables the upper end of its interval).
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
    safe_steps: dict[str, float]
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
    step_range: tuple[float, float] = (math.nan, math.nan)
    looked: str = ""
    facts: dict[str, str] = field(default_factory=dict)

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row a method: method, largest_stable, safe (inf without a limit). ImportError without pandas."""
        return frame({"method": self.steps, "largest_stable": self.steps.values(), "safe": map(self.safe_steps.get, self.steps)})

    def _parts(self) -> list[str | Table]:
        low, high = self.curvature
        quantity = "largest curvature at the start" if self.kind == "cost" else "spectral radius on the path"
        lines: list[str | Table] = [f"{self.kind} of {self.n} variable{'s' if self.n != 1 else ''}, {self.nfev} evaluations", ""]
        lines += [self.gradient, ""] if self.gradient else []
        lines += [self.looked] if self.looked else []
        size = f"{low:.6g}" + ("" if high - low <= 1e-4 * high else f" to {high:.6g}")
        if not self.complete:
            odds = f", with a probability of at least {self.probability:.2g}"
            size = f"about {size}, an estimate" if self.kind != "cost" else size + odds
        lines.append(f"{quantity}: {size}")
        if self.kind == "cost":
            if self.steepest > (1.0 + 1e-4) * high:
                most = "" if self.complete else "at most "
                lines.append(f"largest curvature after the first steps, for which the steps below are: {most}{self.steepest:.6g}")
            lines.append(f"least curvature seen: {self.least_curvature:.4g}")
            known = "" if self.complete else "at least "
            none = "none, it is not convex here" if self.least_curvature < 0.0 else "none, no curvature was seen"
            lines.append("condition number: " + (f"{known}{self.condition:.4g}" if self.condition < math.inf else none))
        lines += [f"posedness, {where}: {verdict}" for where, verdict in self.verdicts]
        if self.kind != "cost":
            lines += [f"{word}: {meaning}" for word, meaning in WORDS.items() if any(verdict == word for _, verdict in self.verdicts)]
        rows = [[name, _number(dt, "not by curvature")] for name, dt in self.steps.items()]
        header = ["method", "largest stable step"]
        shorter = any(not (math.isnan(dt) or self.safe_steps[name] >= dt) for name, dt in self.steps.items())
        if shorter:
            header, rows = [*header, "safe step"], [[*row, _number(self.safe_steps[row[0]], "not known")] for row in rows]
        lines += ["", Table(header, rows)]
        for fact in dict.fromkeys(self.facts.values()):
            lines.append(f"{', '.join(name for name, told in self.facts.items() if told == fact)}: {fact}")
        if shorter:
            lines.append(
                "Take a fixed step of at most the safe one: beyond it errors may grow by orders of magnitude before they fade, and beyond "
                "the largest stable step they grow from step to step, at some point of the path."
            )
            unbounded = [name for name, dt in self.steps.items() if dt == math.inf > self.safe_steps[name]]
            if unbounded:
                lines.append(
                    f"No limit is what the eigenvalues say of {', '.join(unbounded)}: errors fade in the end with any step, and with one "
                    "beyond the safe one they may grow before."
                )
        elif self.looked and any(math.isfinite(dt) for dt in self.steps.values()):
            lines.append("With a fixed step beyond it, errors grow from step to step at some point of the path.")
        lines += ["", f"Recommended: {self._call()}", self.reason]
        lines += [self.note] if self.note else []
        if self.trials:
            start = self.trials[0].loss[0]
            tries = [
                [t.label, f"{t.loss[-1]:.5g}", f"{t.evaluations[-1]:.0f}", ENDED.get(t.reason, t.reason.replace("_", " "))]
                for t in self.trials
                if t.loss.size
            ]
            lines += ["", f"Tried from x0, where the cost is {start:.5g}:", Table(["method", "cost", "evaluations", "ended"], tries)]
        return lines

    def _call(self) -> str:
        extra = "".join(f", {name} = {value:.4g}" for name, value in self.parameters.items() if name not in ("lr", "dt"))
        if math.isnan(self.dt):  # a line search finds each step
            return self.method
        if "rtol" not in self.parameters:
            return f"{self.method}, {'lr' if self.kind == 'cost' else 'dt'} = {self.dt:.4g}{extra}"
        low, high = self.step_range
        chosen = "" if math.isnan(low) else f", which choose the steps: here {low:.2g} to {high:.2g} long, {self.dt:.2g} on average"
        return self.method + extra + chosen


def _number(dt: float, unknown: str) -> str:
    return {math.inf: "no limit", 0.0: "none is stable"}.get(dt, unknown if math.isnan(dt) else f"{dt:.5g}")


def listed(names: Sequence[str] | None, cost: bool) -> list[Method]:
    """The methods whose steps are listed."""
    if names is not None:
        return [as_method(name, {}) if cost else _with_limit(as_method(name, {})) for name in names]
    kinds = ("step", "update") if cost else ("step",)
    return [m for m in methods() if m.kind in kinds and {"linear"} <= m.flags and not {"second_order", "needs_rho"} & m.flags]


def _with_limit(method: Method) -> Method:
    """Raises ValueError for a method without a limit by the eigenvalues of a right-hand side."""
    if "linear" in method.flags and "second_order" not in method.flags and method.kind == "step":
        return method
    words = {"direction": "whose line search or trust region finds its steps", "update": "an optimizer", "sweep": "for rows of data"}
    why = words.get(method.kind, "which has none")
    if "second_order" in method.flags:
        why = f"for second-order systems (mflow.max_stable_dt({method.name!r}, force=, x0=) gives its step)"
    told = "the Jacobian's eigenvalues"
    raise ValueError(f"names: expected methods whose largest stable step follows from {told}, got {method.name}, {why}; omit it")
