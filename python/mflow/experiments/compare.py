"""The comparison behind `mflow compare`: one cost, every method that can minimise it, full batch and minibatches.

    for run in compare(problem("penguins"), max_iter=100):
        print(run.method, run.batch, run.loss, run.reason)

Methods are those of the library: a new method takes part by itself. An evaluation is one call of the cost with its gradient; a call
on b of n rows is b/n of a pass over the data.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mflow import optim
from mflow.base.checks import Array
from mflow.base.methods import Method, get_method, methods
from mflow.base.result import OptimizeResult, place_of, words_of
from mflow.base.tables import frame
from mflow.data.rows import minibatches
from mflow.experiments.problems import Problem, custom_problem, problem, problem_names
from mflow.explaining.trials import RATES
from mflow.optimize.minimize import minimize
from mflow.stability.limits import max_stable_dt

__all__ = [
    "BAD", "MARGIN", "History", "Problem", "Run", "applicable", "chosen",
    "compare", "custom_problem", "kind_of", "largest_stable_step", "problem", "problem_names", "task_list",
]  # fmt: skip

TRIED = 30  # full steps with each of `RATES`, of methods with a scale of their own
LARGE = 100.0  # times 1/L, of the large steps of methods that nothing limits
MARGIN = 0.01  # a final loss this part above the loss at the start: the run diverged
# Endings that a table should mark, of comparisons and of sweeps.
BAD = frozenset({"diverged", "non_finite", "raised", "rhs_failed", "callback_failed", "solve_failed", "no_step", "interrupted"})


@dataclass
class History:
    """Loss along a run: lists of equal length. ``seconds`` leaves out the recording itself; ``x`` is kept of two parameters alone."""

    calls: list[int] = field(default_factory=list)
    passes: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    x: list[Array] = field(default_factory=list)

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row a record, parameters that were kept as columns ``x[0]``, ``x[1]``. ImportError without pandas."""
        columns = {name: values for name, values in vars(self).items() if name != "x"}
        return frame(columns | {f"x[{j}]": [point[j] for point in self.x] for j in range(self.x[0].size if self.x else 0)})


@dataclass
class Run:
    """One method on one problem.

    Attributes
    ----------
    method, family, batch : str
        ``batch`` is "full", "large" (full, at a step far beyond 1/L) or "minibatch".
    parameters : dict
        All values in use, lr (dt) apart.
    lr, rule : float, str
        The step and where it comes from: "given", "half" of the largest stable one, "found" among some rates by a few full steps, where a
        method has a scale of its own, "own" default of the method where none of these led down, "1/L" where no step is unstable, "100/L"
        for the large steps of such a method, "search" where a line search or a trust region finds it.
    largest_stable : float or None
        Largest stable step for the problem's curvature; None where the method has no such limit.
    loss, score : float
        At the end, on all training rows; ``score`` is nan where the problem has none.
    calls, passes, steps, seconds : int, float, int, float
    reason, message : str
        As in `OptimizeResult`; "diverged" also where the loss ends clearly above its start; "raised" where the cost raised an
        exception; "no_step" where no step is known.
    x : float64 array, the last good point
    history : History
    """

    method: str
    family: str
    batch: str
    parameters: dict[str, Any]
    lr: float
    rule: str
    largest_stable: float | None
    loss: float = math.nan
    score: float = math.nan
    calls: int = 0
    passes: float = 0.0
    steps: int = 0
    seconds: float = 0.0
    reason: str = ""
    message: str = ""
    x: Array = field(default_factory=lambda: np.empty(0))
    history: History = field(default_factory=History)

    def to_frame(self) -> Any:
        """Its history as a pandas DataFrame, with the columns method and batch: of many runs, ``pandas.concat`` makes one table."""
        table = self.history.to_frame()
        table.insert(0, "method", self.method)
        table.insert(1, "batch", self.batch)
        return table

    @property
    def bad(self) -> bool:
        """Whether the run did not end as a descent should."""
        return self.reason in BAD


# ---- steps --------------------------------------------------------------------------------------------------------------------------


def applicable(method: Method) -> bool:
    """Whether the method can minimise a cost by itself: directions, optimizers, and integrators of first-order systems."""
    return method.kind in ("direction", "update") or (method.kind == "step" and "second_order" not in method.flags)


@functools.lru_cache(maxsize=1024)  # full batch and minibatches ask the same, and an optimizer's limit is a long search
def largest_stable_step(method: Method, curvature: float) -> float | None:
    """Largest stable dt or lr for this largest curvature; inf where nothing limits it, None where no limit is known.

    Examples
    --------
    >>> import mflow
    >>> from mflow.experiments.compare import largest_stable_step
    >>> round(largest_stable_step(mflow.get_method("euler"), 4.0), 6), largest_stable_step(mflow.get_method("adam"), 4.0)
    (0.5, None)
    """
    if "linear" not in method.flags or not 0.0 < curvature < math.inf:
        return None
    limit = max_stable_dt(method, curvature=curvature)
    if limit == 0.0 or (math.isinf(limit) and method.kind == "update"):
        return None  # no explicit update is stable at every lr, or at none: the search for the limit ended before it
    return limit


def _planned(method: Method, problem: Problem, lr: float | None, batch: str, found: dict[str, tuple[float, str]]) -> tuple[Method, Run]:
    """The method with its step, and the run to be filled in. found: rates that were looked for before."""
    parameters = method.parameters
    limit = largest_stable_step(method, problem.curvature)
    if method.kind == "direction":
        step, rule = (1.0, "search") if lr is None else (lr, "given")
    elif lr is not None:
        step, rule = lr, "given"
    elif limit is not None and math.isfinite(limit):
        step, rule = 0.5 * limit, "half"
    elif "lr" in parameters:
        if method.name not in found:
            found[method.name] = _found_rate(problem, method)
        step, rule = found[method.name]
    elif problem.curvature > 0.0:
        step, rule = (LARGE / problem.curvature, "100/L") if batch == "large" else (1.0 / problem.curvature, "1/L")
    else:
        step, rule = math.nan, "none"
    if "lr" in parameters:
        method = type(method)(**{**method.given, "lr": step})
    values = {name: value for name, value in method.parameters.items() if name != "lr"}
    return method, Run(method.name, method.family, batch, values, step, rule, limit)


def _found_rate(problem: Problem, method: Method) -> tuple[float, str]:
    """(lr, rule) of a method with a scale of its own: of `RATES` the one that leads lowest in `TRIED` full steps, or its default."""
    best, lowest = float(method.parameters["lr"]), problem.start_loss
    fun: Any = problem.cost if problem.objective is None else problem.objective
    jac = (problem.has_gradient or None) if problem.objective is None else None
    for lr in RATES:
        tried = type(method)(**{**method.given, "lr": lr})
        with np.errstate(all="ignore"):
            try:
                end = minimize(fun, problem.start, method=tried, jac=jac, maxiter=TRIED, check_gradient=False)
            except Exception:  # a cost may raise where a rate that is too large leads: the other rates are tried
                continue
        if end.fun < lowest:
            best, lowest = lr, float(end.fun)
    return best, "found" if lowest < problem.start_loss else "own"


def kind_of(run: Run) -> str:
    """What a method is, from its record: "rescaling", "momentum", "descent", "search", "implicit", "stabilized",
    "pair" or "explicit"."""
    method = get_method(run.method)
    if method.kind == "update":
        if "linear" not in method.flags:
            return "rescaling"
        return "momentum" if method.sizes["n_vec"] > 1 else "descent"
    if method.kind == "direction":
        return "search"
    if method.is_implicit:
        return "implicit"
    return "stabilized" if "staged" in method.flags else "pair" if "embedded" in method.flags else "explicit"


def chosen(runs: Sequence[Run], most: int = 8) -> list[Run]:
    """Of many runs those that a picture can show: the lowest of each kind, then the lowest of the others, in their order.

    Minibatches, full batches and large steps are chosen by themselves.

    Examples
    --------
    >>> from mflow.experiments.compare import chosen, compare, problem
    >>> few = chosen(list(compare(problem("quadratic"), max_iter=20)))
    >>> sum(run.batch == "full" for run in few), sum(run.batch == "large" for run in few) <= 8
    (8, True)
    """
    kept: set[int] = set()
    for batch in dict.fromkeys(run.batch for run in runs):
        order = [k for k in range(len(runs)) if runs[k].batch == batch and runs[k].history.loss]
        order.sort(key=lambda k: (runs[k].bad, math.inf if math.isnan(runs[k].loss) else runs[k].loss))
        first = {kind_of(runs[k]): k for k in reversed(order)}
        picked = sorted(first.values(), key=order.index)[:most]
        kept.update([*picked, *(k for k in order if k not in picked)][:most])
    return [run for k, run in enumerate(runs) if k in kept]


# ---- runs ---------------------------------------------------------------------------------------------------------------------------


class _Clock:
    """Counts calls and time of a run, and keeps its history. Time spent inside `record` does not count."""

    def __init__(self, rows: int) -> None:
        self.history = History()
        self.calls = self.rows_seen = 0
        self.rows = rows
        self.paused = 0.0
        self.began = time.perf_counter()

    @property
    def passes(self) -> float:
        return self.rows_seen / self.rows

    def count(self, rows: int) -> None:
        self.calls += 1
        self.rows_seen += rows

    def record(self, loss: Callable[[], float], x: Array) -> None:
        now = time.perf_counter()
        history = self.history
        history.seconds.append(now - self.began - self.paused)
        history.calls.append(self.calls)
        history.passes.append(self.passes)
        history.loss.append(float(loss()))
        if x.size == 2:
            history.x.append(np.array(x))
        self.paused += time.perf_counter() - now


def _full_batch(problem: Problem, method: Method, run: Run, max_iter: int) -> Run:
    """By `minimize`, on the compiled cost where there is one: its calls are those of the result."""
    clock = _Clock(1)

    def cost(x: Array) -> Any:
        clock.count(1)
        out = problem.cost(x)
        if clock.calls == 1:
            clock.record(lambda: problem.start_loss, problem.start)
        return out

    def watch(intermediate_result: OptimizeResult) -> None:
        if compiled is not None:
            clock.calls = clock.rows_seen = intermediate_result.njev
        clock.record(lambda: intermediate_result.fun, intermediate_result.x)

    step: dict[str, Any] = {"dt": run.lr} if method.kind == "step" or (method.kind == "direction" and run.rule == "given") else {}
    compiled = None if method.is_implicit else problem.objective  # the calls of a solver are counted here alone
    fun, jac = (cost, problem.has_gradient or None) if compiled is None else (compiled, None)
    if compiled is not None:
        clock.count(1)
        clock.record(lambda: problem.start_loss, problem.start)
    try:
        result = minimize(fun, problem.start, method=method, jac=jac, maxiter=max_iter, callback=watch, check_gradient=False, **step)
    except Exception as error:  # a cost may raise where a diverging run takes it; the other methods go on
        partial = getattr(error, "partial_result", None)
        x, nit = (problem.start, 0) if partial is None else (partial.x, partial.nit)
        return _closed(problem, run, clock, x, nit, "raised", _words(error))
    if compiled is not None:
        clock.calls = clock.rows_seen = result.njev
    return _closed(problem, run, clock, result.x, result.nit, result.reason, result.message)


def _words(error: Exception) -> str:
    """An exception of the user's cost, with its place."""
    place = place_of(error)
    return words_of(error) + (f" ({place})" if place else "")


def _minibatch(problem: Problem, method: Method, run: Run, max_iter: int, batch_size: int, seed: int) -> Run:
    """By the class of `mflow.optim`; ``max_iter`` passes over the data. The first pass is recorded batch by batch."""
    assert problem.batch_cost is not None
    c = problem.start.copy()
    optimizer = getattr(optim, type(method).__name__)(c, check_finite=False, **method.given)
    batches = minibatches(*problem.rows, batch_size=batch_size, epochs=max_iter, seed=seed)
    clock = _Clock(len(problem.rows[0]))
    clock.record(lambda: problem.start_loss, c)
    reason, message, steps = "max_iter", f"{max_iter} passes over the data in batches of {batch_size} rows", 0
    for batch in batches:
        arrays = batch if len(problem.rows) > 1 else (batch,)
        gradient = problem.batch_cost(c, *arrays)[1]
        clock.count(len(arrays[0]))
        if not np.all(np.isfinite(gradient)):
            reason, message = "non_finite", f"the gradient is not finite in step {steps}"
            break
        optimizer.step(gradient)
        steps += 1
        if steps < batches.batches_per_epoch or steps % batches.batches_per_epoch == 0:
            clock.record(lambda: problem.cost(c)[0], c)
    return _closed(problem, run, clock, c, steps, reason, message)


def _closed(problem: Problem, run: Run, clock: _Clock, x: Array, steps: int, reason: str, message: str) -> Run:
    """The run with its results; whether it diverged is judged by the loss, not by the method's own reason alone."""
    losses = clock.history.loss or [problem.start_loss]
    last = losses[-1]
    best = min((loss for loss in losses if math.isfinite(loss)), default=problem.start_loss)
    margin = MARGIN * max(abs(problem.start_loss), problem.start_loss - best)
    if reason in ("max_iter", "converged", "non_finite") and not last <= problem.start_loss + margin:
        message = f"the loss went from {problem.start_loss:.4g} to {last:.4g}; {message}"
        reason = "diverged"
    return replace(
        run, loss=last, score=problem.score(x) if problem.score is not None else math.nan, calls=clock.calls, passes=clock.passes,
        steps=steps, seconds=max(clock.history.seconds, default=0.0), reason=reason, message=message, x=np.array(x), history=clock.history,
    )  # fmt: skip


def _applicable_methods(names: Iterable[str] | None) -> list[Method]:
    """Applicable methods, each once, in the library's order or the order of the names."""
    if names is None:
        return [method for method in methods() if applicable(method)]
    named = {method.name: method for method in (get_method(name) for name in names)}
    for method in named.values():
        if not applicable(method):
            raise ValueError(f"method: expected one that minimises a cost by itself, got {method.name}; see mflow methods {method.name}")
    return list(named.values())


def task_list(problem: Problem, names: Iterable[str] | None = None, lr: float | None = None) -> list[tuple[Method, str]]:
    """What `compare` will run: (method, "full", "large" or "minibatch"), full batches first.

    An integrator follows the full gradient, so minibatches are for optimizers; explicit Euler on them is sgd. Large steps are for implicit
    methods that no step makes unstable, where lr is not given.
    Raises ValueError for a name that is unknown or a method that minimises nothing.
    """
    applied = _applicable_methods(names)
    tasks = [(method, "full") for method in applied]
    if lr is None and problem.curvature > 0.0:
        free = [m for m in applied if m.kind == "step" and m.is_implicit and largest_stable_step(m, problem.curvature) == math.inf]
        tasks += [(method, "large") for method in free]
    if problem.rows:
        tasks += [(method, "minibatch") for method in applied if method.kind == "update"]
    return tasks


def compare(
    problem: Problem,
    names: Iterable[str] | None = None,
    *,
    lr: float | None = None,
    max_iter: int = 1000,
    batch_size: int | None = None,
    seed: int = 0,
) -> Iterator[Run]:
    """Minimise one cost by many methods.

    Parameters
    ----------
    problem : Problem
    names : iterable of str, optional
        Methods or aliases; all that are applicable if not given.
    lr : float, optional
        Step for all of them. Not given: half of the largest stable step for the problem's curvature where that is known, else the
        best of some rates in a few full steps, which are not counted.
    max_iter : int
        Steps with full batches, passes over the data with minibatches.
    batch_size : int, optional
        Rows in a minibatch: ``problem.batch_size`` if not given.
    seed : int
        Draws the batches.

    Yields
    ------
    Run
        In the order of `task_list`, each when it is done.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit. An exception in the cost ends that run alone.

    Examples
    --------
    >>> from mflow.experiments.compare import compare, problem
    >>> [(run.method, run.rule, run.reason) for run in compare(problem("quadratic"), ["rk4", "adam"], max_iter=5)]
    [('rk4', 'half', 'max_iter'), ('adam', 'found', 'converged')]

    References
    ----------
    Y. Nesterov, Introductory Lectures on Convex Optimization (2004), 1.2.3: gradient descent with 1/L, half of its limit 2/L.
    """
    found: dict[str, tuple[float, str]] = {}
    for method, batch in task_list(problem, names, lr):
        prepared, run = _planned(method, problem, lr, batch, found)
        if math.isnan(run.lr):
            text = f"no curvature could be measured at the start ({problem.curvature:g}): give a step with --lr"
            yield replace(run, loss=problem.start_loss, reason="no_step", message=text, x=problem.start.copy())
            continue
        with np.errstate(all="ignore"):  # a diverging run overflows; the table says so
            if batch != "minibatch":
                done = _full_batch(problem, prepared, run, max_iter)
            else:
                done = _minibatch(problem, prepared, run, max_iter, batch_size or problem.batch_size, seed)
        yield done
