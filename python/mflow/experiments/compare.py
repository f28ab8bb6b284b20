"""The comparison behind `mflow compare`: one cost, every method that can minimise it, full batch and minibatches.

    for run in compare(problem("penguins"), max_iter=100):
        print(run.method, run.batch, run.loss, run.reason)

Methods come from the library's rows: a new row takes part by itself. An evaluation is one call of the cost with its gradient; a call
on b of n rows is b/n of a pass over the data.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mflow import optim
from mflow.base.checks import Array, check_number, check_start
from mflow.base.methods import Method, get_method, methods
from mflow.base.result import OptimizeResult
from mflow.data.rows import minibatches, standardize, train_test_split
from mflow.data.tables import load_engel, load_longley, load_nist, load_penguins, nist_names
from mflow.optimize.minimize import FRICTION, minimize
from mflow.problems import objectives
from mflow.stability.amplification import max_stable_dt, spectral_radius

__all__ = [
    "History", "Problem", "Run", "applicable", "compare", "custom_problem", "largest_stable_step", "problem", "problem_names", "task_list",
]  # fmt: skip

DECAY = 1e-3  # L2 on the weights of the classification: small, but the minimum is then at a finite place
MARGIN = 0.01  # a final loss this part above the loss at the start: the run diverged
ROWS_A_BATCH = 32
BAD = frozenset({"diverged", "non_finite", "raised", "rhs_failed", "no_step"})  # endings that a table should mark


@dataclass(frozen=True, eq=False)
class Problem:
    """A cost to be minimised.

    Attributes
    ----------
    name, description : str
    start : float64 array of any shape
    cost : callable
        ``cost(x)`` returns (value, gradient), or the value alone where ``has_gradient`` is False.
    curvature : float
        Largest curvature of the cost, at the start if it is not the same everywhere; nan where it could not be found.
    curvature_source : str
        "exact" or "measured at the start".
    start_loss : float
    score : callable or None
        ``score(x)``, called ``score_name`` in tables.
    rows : tuple of arrays (n_rows, ...)
        What minibatches are drawn from (of the library's own problems: numbers of rows); empty where the cost is no mean over rows.
    batch_cost : callable or None
        ``batch_cost(x, *batch)`` returns (value, gradient) for some of the rows.
    objective : `mflow.objectives.Objective` or None
        The same cost compiled, where it is: drivers take it as it is.
    """

    name: str
    description: str
    start: Array
    cost: Callable[[Array], Any]
    has_gradient: bool
    curvature: float
    curvature_source: str
    start_loss: float
    score: Callable[[Array], float] | None = None
    score_name: str = "score"
    rows: tuple[Array, ...] = ()
    batch_cost: Callable[..., tuple[float, Array]] | None = None
    objective: objectives.Objective | None = None

    @property
    def batch_size(self) -> int:
        """Rows in a minibatch unless one says otherwise: 32, or a quarter of a small set; 0 where there are no rows."""
        return min(ROWS_A_BATCH, max(1, len(self.rows[0]) // 4)) if self.rows else 0


@dataclass
class History:
    """Loss along a run: lists of equal length. ``seconds`` leaves out the recording itself."""

    calls: list[int] = field(default_factory=list)
    passes: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)


@dataclass
class Run:
    """One method on one problem.

    Attributes
    ----------
    method, family, batch : str
        ``batch`` is "full" or "minibatch".
    parameters : dict
        All values in use, lr (dt) apart.
    lr, rule : float, str
        The step and where it comes from: "given", "half" of the largest stable one, "own" default of the row, "1/L" where no step
        is unstable.
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

    @property
    def bad(self) -> bool:
        """Whether the run did not end as a descent should."""
        return self.reason in BAD


# ---- problems -----------------------------------------------------------------------------------------------------------------------


def _with_bias(X: Array) -> Array:
    return np.hstack([X, np.ones((len(X), 1))])


def _of_rows(f: objectives.Objective) -> dict[str, Any]:
    """What a problem takes from a compiled mean over rows: minibatches are drawn from the rows' numbers."""
    start = f.x0
    return {
        "start": start, "cost": f.value_and_grad, "has_gradient": True, "start_loss": f(start), "rows": (np.arange(f.m),),
        "batch_cost": lambda c, rows: f.batch(rows).value_and_grad(c), "objective": f,
    }  # fmt: skip


def _measured(gradient: Callable[[Array], Array], start: Array) -> float:
    with np.errstate(all="ignore"):
        return spectral_radius(gradient, start)


def _penguins(seed: int) -> Problem:
    birds = load_penguins()
    X, X_test, y, y_test = train_test_split(birds.X, birds.y, seed=seed, stratify=True)
    scaled, scaled_test = standardize(X, X_test)
    test = _with_bias(scaled_test)
    f = objectives.Softmax(scaled, y, len(birds.target_names), DECAY, intercept=True)
    return Problem(
        name="penguins",
        description=f"logistic regression of {len(birds.target_names)} species on {scaled.shape[1]} body measurements, "
        f"{len(y)} birds to train on, {len(y_test)} held out",
        curvature=_measured(f.grad, f.x0),
        curvature_source="measured at the start",
        score=lambda c: float(np.mean(np.argmax(test @ c, axis=1) == y_test)),
        score_name="accuracy",
        **_of_rows(f),
    )


def _regression(name: str, seed: int) -> Problem:
    """Linear least squares on standardised columns; y is measured from its training mean in its standard deviations."""
    table = load_longley() if name == "longley" else load_engel()
    X, X_test, y, y_test = train_test_split(table.X, table.y, seed=seed)
    scaled, scaled_test = standardize(X, X_test)
    test = _with_bias(scaled_test)
    target, target_test = ((part - y.mean()) / y.std() for part in (y, y_test))
    f = objectives.LeastSquares(scaled, target, intercept=True)
    spread = float(np.sum((target_test - target_test.mean()) ** 2))
    return Problem(
        name=name,
        description=f"linear least squares of {table.target_names[0]} on {len(table.feature_names)} "
        f"column{'s' if len(table.feature_names) > 1 else ''}, {len(y)} rows to train on, {len(y_test)} held out",
        curvature=float(np.linalg.eigvalsh(f.hess(f.x0))[-1]),
        curvature_source="exact",
        score=lambda c: 1.0 - float(np.sum((test @ c - target_test) ** 2)) / spread,
        score_name="R2",
        **_of_rows(f),
    )


def _plain(name: str, description: str, f: objectives.Objective, answer: Array, exact: float) -> Problem:
    """A problem without rows whose answer is known; ``exact`` is its curvature, nan where it is to be measured."""
    start = f.x0
    scale = np.where(answer == 0.0, 1.0, np.abs(answer))
    measure = math.isnan(exact)
    return Problem(
        name=name,
        description=description,
        start=start,
        cost=f.value_and_grad,
        has_gradient=True,
        curvature=_measured(f.grad, start) if measure else exact,
        curvature_source="measured at the start" if measure else "exact",
        start_loss=f(start),
        score=lambda x: float(np.max(np.abs(x - answer) / scale)),
        score_name="error",
        objective=f,
    )


def _rosenbrock(seed: int) -> Problem:
    text = "Rosenbrock's valley from (-1.2, 1); the answer is (1, 1)"
    return _plain("rosenbrock", text, objectives.Rosenbrock(2), np.ones(2), math.nan)


def _quadratic(seed: int) -> Problem:
    text = "sum of L_i x_i^2/2 in 20 directions, L_i from 0.01 to 10"
    return _plain("quadratic", text, objectives.Quadratic(np.geomspace(1e-2, 10.0, 20)), np.zeros(20), 10.0)


def _nist(name: str) -> Problem:
    study = load_nist(name)
    text = f"NIST nonlinear regression, {study.level} difficulty, {len(study.y)} observations, from the nearer start"
    return _plain(study.name, text, study.objective, study.certified_parameters, math.nan)


_PROBLEMS: dict[str, Callable[[int], Problem]] = {
    "penguins": _penguins,
    "longley": lambda seed: _regression("longley", seed),
    "engel": lambda seed: _regression("engel", seed),
    "rosenbrock": _rosenbrock,
    "quadratic": _quadratic,
}


def problem_names() -> tuple[str, ...]:
    """Names that `problem` takes."""
    return (*_PROBLEMS, *nist_names())


def problem(name: str, seed: int = 0) -> Problem:
    """A problem of the library by name.

    ``name`` is one of `problem_names()`, in any case of letters; ``seed`` draws the rows that are held out. Raises ValueError, with
    the nearest names, where there is none of this name.

    Examples
    --------
    >>> from mflow.experiments.compare import problem
    >>> problem("rosenbrock").start
    array([-1.2,  1. ])
    """
    from mflow_core.registry import unknown

    by_lower_case = {known.lower(): known for known in problem_names()}
    known = by_lower_case.get(name.lower())
    if known is None:
        raise ValueError(unknown("no problem", name, problem_names()))
    return _PROBLEMS[known](seed) if known in _PROBLEMS else _nist(known)


def custom_problem(name: str, function: Callable[[Array], Any], x0: Any) -> Problem:
    """A problem from a cost of one's own.

    Parameters
    ----------
    name : str
    function : callable
        ``function(x)`` returns the cost, or the pair (cost, gradient). Without a gradient, differences stand in for it.
    x0 : array_like of real numbers, any shape

    Returns
    -------
    Problem
        Without rows: full batch only.

    Raises
    ------
    TypeError, ValueError
        ``x0`` does not fit, or the function does not return what is wanted at x0. What it raises itself comes through.

    Examples
    --------
    >>> from mflow.experiments.compare import custom_problem
    >>> round(custom_problem("bowl", lambda x: (x @ x, 2 * x), [1.0, 2.0]).curvature, 6)
    2.0
    """
    start = check_start(x0, "x0")
    first = function(start.copy())
    has_gradient = isinstance(first, tuple)
    if has_gradient and (len(first) != 2 or np.shape(first[1]) != start.shape):
        came = f"a tuple of {len(first)}" if len(first) != 2 else f"a gradient of shape {np.shape(first[1])}"
        raise ValueError(f"{name}(x0) returned {came}; the cost, or (cost, gradient of shape {start.shape}) is wanted")
    value = check_number(first[0] if has_gradient else first, f"{name}(x0)")

    def gradient(x: Array) -> Array:
        return np.asarray(function(x)[1], dtype=np.float64) if has_gradient else _central_differences(function, x)

    return Problem(
        name=name,
        description=f"your cost of {start.size} number{'s' if start.size != 1 else ''}"
        + ("" if has_gradient else "; no gradient came with it: finite differences"),
        start=start,
        cost=function,
        has_gradient=has_gradient,
        curvature=_measured(gradient, start),
        curvature_source="measured at the start",
        start_loss=value,
    )


def _central_differences(function: Callable[[Array], Any], x: Array) -> Array:
    """Gradient for measuring curvature: the wide step keeps rounding small, as differences of this are taken again."""
    out = np.empty_like(x)
    for i in range(x.size):
        values = []
        width = 1e-4 * max(1.0, abs(float(x.flat[i])))
        for sign in (1.0, -1.0):
            moved = x.copy()
            moved.flat[i] += sign * width
            values.append(float(function(moved)))
        out.flat[i] = (values[0] - values[1]) / (2.0 * width)
    return out


# ---- steps --------------------------------------------------------------------------------------------------------------------------


def applicable(method: Method) -> bool:
    """Whether the method can minimise a cost by itself: optimizers, and integrators of first-order systems."""
    return method.kind == "update" or (method.kind == "step" and "second_order" not in method.flags)


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


def _planned(method: Method, what: Problem, lr: float | None, batch: str) -> tuple[Method, Run]:
    """The method with its step, and the run to be filled in."""
    parameters = method.parameters
    if "friction" in parameters:  # without friction nothing is minimised; `minimize` does the same
        method = type(method)(**{**method.given, "friction": FRICTION})
    limit = largest_stable_step(method, what.curvature)
    if lr is not None:
        step, rule = lr, "given"
    elif limit is not None and math.isfinite(limit):
        step, rule = 0.5 * limit, "half"
    elif "lr" in parameters:
        step, rule = float(parameters["lr"]), "own"
    elif what.curvature > 0.0:
        step, rule = 1.0 / what.curvature, "1/L"
    else:
        step, rule = math.nan, "none"
    if "lr" in parameters:
        method = type(method)(**{**method.given, "lr": step})
    values = {name: value for name, value in method.parameters.items() if name != "lr"}
    return method, Run(method.name, method.family, batch, values, step, rule, limit)


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

    def record(self, loss: Callable[[], float]) -> None:
        now = time.perf_counter()
        history = self.history
        history.seconds.append(now - self.began - self.paused)
        history.calls.append(self.calls)
        history.passes.append(self.passes)
        history.loss.append(float(loss()))
        self.paused += time.perf_counter() - now


def _full_batch(what: Problem, method: Method, run: Run, max_iter: int) -> Run:
    """By `minimize`, on the compiled cost where there is one: its calls are those of the result."""
    clock = _Clock(1)

    def cost(x: Array) -> Any:
        clock.count(1)
        out = what.cost(x)
        if clock.calls == 1:
            clock.record(lambda: what.start_loss)
        return out

    def watch(intermediate_result: OptimizeResult) -> None:
        if compiled is not None:
            clock.calls = clock.rows_seen = intermediate_result.njev
        clock.record(lambda: intermediate_result.fun)

    step: dict[str, Any] = {"dt": run.lr} if method.kind == "step" else {}
    compiled = None if method.is_implicit else what.objective  # the calls of a solver are counted here alone
    fun, jac = (cost, what.has_gradient or None) if compiled is None else (compiled, None)
    if compiled is not None:
        clock.count(1)
        clock.record(lambda: what.start_loss)
    try:
        result = minimize(fun, what.start, method=method, jac=jac, maxiter=max_iter, callback=watch, **step)
    except Exception as error:  # a cost may raise where a diverging run takes it; the other methods go on
        partial = getattr(error, "partial_result", None)
        x, nit = (what.start, 0) if partial is None else (partial.x, partial.nit)
        return _closed(what, run, clock, x, nit, "raised", f"{type(error).__name__}: {error}")
    if compiled is not None:
        clock.calls = clock.rows_seen = result.njev
    return _closed(what, run, clock, result.x, result.nit, result.reason, result.message)


def _minibatch(what: Problem, method: Method, run: Run, max_iter: int, batch_size: int, seed: int) -> Run:
    """By the class of `mflow.optim`; ``max_iter`` passes over the data. The first pass is recorded batch by batch."""
    assert what.batch_cost is not None
    c = what.start.copy()
    optimizer = getattr(optim, type(method).__name__)(c, check_finite=False, **method.given)
    batches = minibatches(*what.rows, batch_size=batch_size, epochs=max_iter, seed=seed)
    clock = _Clock(len(what.rows[0]))
    clock.record(lambda: what.start_loss)
    reason, message, steps = "max_iter", f"{max_iter} passes over the data in batches of {batch_size} rows", 0
    for batch in batches:
        arrays = batch if len(what.rows) > 1 else (batch,)
        gradient = what.batch_cost(c, *arrays)[1]
        clock.count(len(arrays[0]))
        if not np.all(np.isfinite(gradient)):
            reason, message = "non_finite", f"the gradient is not finite in step {steps}"
            break
        optimizer.step(gradient)
        steps += 1
        if steps < batches.batches_per_epoch or steps % batches.batches_per_epoch == 0:
            clock.record(lambda: what.cost(c)[0])
    return _closed(what, run, clock, c, steps, reason, message)


def _closed(what: Problem, run: Run, clock: _Clock, x: Array, steps: int, reason: str, message: str) -> Run:
    """The run with its results; whether it diverged is judged by the loss, not by the method's own reason alone."""
    losses = clock.history.loss or [what.start_loss]
    last = losses[-1]
    best = min((loss for loss in losses if math.isfinite(loss)), default=what.start_loss)
    margin = MARGIN * max(abs(what.start_loss), what.start_loss - best)
    if reason in ("max_iter", "converged", "non_finite") and not last <= what.start_loss + margin:
        message = f"the loss went from {what.start_loss:.4g} to {last:.4g}; {message}"
        reason = "diverged"
    return replace(
        run, loss=last, score=what.score(x) if what.score is not None else math.nan, calls=clock.calls, passes=clock.passes,
        steps=steps, seconds=max(clock.history.seconds, default=0.0), reason=reason, message=message, x=np.array(x), history=clock.history,
    )  # fmt: skip


def _chosen(names: Iterable[str] | None) -> list[Method]:
    """Applicable methods, each once, in the library's order or the order of the names."""
    if names is None:
        return [method for method in methods() if applicable(method)]
    wanted = {method.name: method for method in (get_method(name) for name in names)}
    for method in wanted.values():
        if not applicable(method):
            raise ValueError(f"method: {method.name} does not minimise a cost by itself; see mflow methods {method.name}")
    return list(wanted.values())


def task_list(what: Problem, names: Iterable[str] | None = None) -> list[tuple[Method, str]]:
    """What `compare` will run: (method, "full" or "minibatch"), full batches first.

    An integrator follows the full gradient, so minibatches are for optimizers; explicit Euler on them is sgd.
    Raises ValueError for a name that is unknown or a method that minimises nothing.
    """
    chosen = _chosen(names)
    tasks = [(method, "full") for method in chosen]
    if what.rows:
        tasks += [(method, "minibatch") for method in chosen if method.kind == "update"]
    return tasks


def compare(
    what: Problem,
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
    what : Problem
    names : iterable of str, optional
        Methods or aliases; all that are applicable if not given.
    lr : float, optional
        Step for all of them. Not given: half of the largest stable step for the problem's curvature where that is known, else the
        method's own default.
    max_iter : int
        Steps with full batches, passes over the data with minibatches.
    batch_size : int, optional
        Rows in a minibatch: ``what.batch_size`` if not given.
    seed : int
        Draws the batches.

    Yields
    ------
    Run
        In the order of `task_list`, each when it is done.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit. What the cost raises during a run ends that run alone.

    Examples
    --------
    >>> from mflow.experiments.compare import compare, problem
    >>> [(run.method, run.rule, run.reason) for run in compare(problem("quadratic"), ["rk4", "adam"], max_iter=5)]
    [('rk4', 'half', 'max_iter'), ('adam', 'own', 'max_iter')]

    References
    ----------
    Y. Nesterov, Introductory Lectures on Convex Optimization (2004), 1.2.3: gradient descent with 1/L, half of its limit 2/L.
    """
    for method, batch in task_list(what, names):
        prepared, run = _planned(method, what, lr, batch)
        if math.isnan(run.lr):
            text = f"no curvature could be measured at the start ({what.curvature:g}): give a step with --lr"
            yield replace(run, loss=what.start_loss, reason="no_step", message=text, x=what.start.copy())
            continue
        with np.errstate(all="ignore"):  # a diverging run overflows; the table says so
            if batch == "full":
                done = _full_batch(what, prepared, run, max_iter)
            else:
                done = _minibatch(what, prepared, run, max_iter, batch_size or what.batch_size, seed)
        yield done
