"""Which learning rate: `lr_find` in one run, `sweep` over a grid of methods, rates and seeds.

    lr_find    lr rises geometrically, a step each, until the loss blows up; where it fell fastest is a good start
    sweep      a run of its own for each (method, lr, seed), in threads or on any executor; says which ended badly, and why

A cell of a sweep never disturbs another: what its cost raises is that cell's ending. Whether a run diverged is judged by the loss it ends
with on all the data, not by the method's own reason alone. Compiled costs run without the GIL, so threads are as good as processes there.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mflow_core.objectives.objective import Objective

from mflow.base.checks import Array, check_number
from mflow.base.methods import Method, as_method
from mflow.base.progress import Progress
from mflow.base.result import Result, attach
from mflow.experiments.compare import MARGIN, Problem
from mflow.experiments.compare import problem as named_problem
from mflow.optimize.minimize import minimize
from mflow.training.feeds import Cost, in_parts
from mflow.training.train import TrainResult, train

__all__ = ["Cell", "Descent", "LRFindResult", "SweepResult", "Training", "lr_find", "sweep"]

BAD = frozenset({"diverged", "non_finite", "raised", "rhs_failed", "solve_failed", "interrupted"})


# ---- lr_find ----------------------------------------------------------------------------------------------------------------------------


class LRFindResult(Result):
    """Result of `mflow.lr_find`.

    lr, loss, smooth : float64 arrays, an entry a step: the rates tried, the loss of their batches, and its moving average.
    suggestion : the rate at which the loss fell fastest against log(lr), before the minimum of the average: the steepest line through a
        fifth of the rates, so that the noise of single batches does not decide; nan where it never fell.
    minimum : the rate with the least average.
    success, status : whether there is a suggestion; 0, or -1.
    reason : "finished" (all rates tried), "diverged" (the loss left its range), "data_ended", "non_finite". message : in words.
    """

    lr: Array
    loss: Array
    smooth: Array
    suggestion: float
    minimum: float
    success: bool
    status: int
    reason: str
    message: str


class _Ladder:
    """A schedule that takes one rate after another."""

    def __init__(self, rates: Array) -> None:
        self.rates = rates

    def __call__(self, step: int) -> float:
        return float(self.rates[min(step, len(self.rates) - 1)])


def lr_find(
    fun: Callable[..., Any],
    params: Any,
    data: Any = None,
    optimizer: Any = "sgd",
    *,
    jac: Any = True,
    lr_min: float = 1e-6,
    lr_max: float = 10.0,
    steps: int = 100,
    batch_size: int | None = None,
    seed: int | None = 0,
    smooth: float = 0.9,
    stop_at: float = 4.0,
    progress: bool = False,
    **parameters: Any,
) -> LRFindResult:
    """Find a learning rate by raising it from step to step until the loss blows up.

    Parameters
    ----------
    fun, params, data, optimizer, jac, batch_size, seed, **parameters
        As in `mflow.train`; there must be a loss, and lr is not among the parameters. ``params`` are left as they are.
    lr_min, lr_max : float, default 1e-6 and 10
    steps : int, default 100
        Rates between them, geometrically, a step each.
    smooth : float in [0, 1), default 0.9
        Of the moving average of the loss.
    stop_at : float above 1, default 4
        The run ends where the average exceeds this many times its least.
    progress : bool

    Returns
    -------
    LRFindResult
        `mflow.plot.lr_find` draws it.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit.

    References
    ----------
    L. N. Smith, Cyclical Learning Rates for Training Neural Networks (2017), section 3.3.

    Examples
    --------
    >>> import numpy as np, mflow
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> y = X @ [1.0, -2.0, 0.5]
    >>> def cost(w, X, y):
    ...     r = X @ w - y
    ...     return 0.5 * np.mean(r**2), X.T @ r / len(y)
    >>> found = mflow.lr_find(cost, np.zeros(3), (X, y))
    >>> 0.01 < found.suggestion < 2.0  # steps above 2 diverge
    True
    """
    low, high = check_number(lr_min, "lr_min"), check_number(lr_max, "lr_max")
    if not 0.0 < low < high:
        raise ValueError(f"lr_min = {lr_min!r}, lr_max = {lr_max!r}: 0 < lr_min < lr_max is wanted")
    if isinstance(steps, bool) or int(steps) != steps or steps < 3:
        raise ValueError(f"steps = {steps!r}: a whole number from 3 on is wanted")
    if not 0.0 <= check_number(smooth, "smooth") < 1.0:
        raise ValueError(f"smooth = {smooth!r}: a number from 0 on and below 1 is wanted")
    if not check_number(stop_at, "stop_at") > 1.0:
        raise ValueError(f"stop_at = {stop_at!r}: a number above 1 is wanted")
    if "lr" in parameters:
        raise TypeError("lr: it is what is looked for; say where, with lr_min and lr_max")
    for taken in ("epochs", "max_steps", "step_callback"):
        if taken in parameters:
            raise TypeError(f"{taken}: a rate is one step here; steps= says how many there are")
    if jac is None:
        raise ValueError(
            "jac: there must be a loss to look at: True, where fun returns (loss, gradient), or the gradient, where fun is the loss"
        )
    rates: Array = np.geomspace(low, high, int(steps))
    watch = _Watch(smooth, stop_at)
    once = hasattr(data, "__next__")
    with np.errstate(all="ignore"):  # it is meant to blow up
        run = train(
            fun, params, data, optimizer, 1 if once else int(steps), batch_size, jac=jac, seed=seed, max_steps=int(steps),
            step_callback=watch, progress=progress, lr=_Ladder(rates), **parameters,
        )  # fmt: skip
    return _found(rates, watch, run)


class _Watch:
    """Follows the loss; stops where it has left its range."""

    def __init__(self, smooth: float, stop_at: float) -> None:
        self.smooth, self.stop_at = smooth, stop_at
        self.loss: list[float] = []
        self.average: list[float] = []
        self.sum = 0.0

    def __call__(self, state: Result) -> bool:
        self.loss.append(float(state.loss))
        self.sum = self.smooth * self.sum + (1.0 - self.smooth) * self.loss[-1]
        self.average.append(self.sum / (1.0 - self.smooth ** len(self.loss)))
        least = min(self.average)
        scale = max(abs(least), self.loss[0] - least)
        return max(self.average[-1], self.loss[-1] / self.stop_at) > least + (self.stop_at - 1.0) * scale


def _slopes(x: Array, y: Array, end: int, reach: int) -> Array:
    """Slopes of the lines through the points up to `reach` away on both sides (least squares), for all points before `end`."""
    out = []
    for i in range(end):
        part = slice(max(0, i - reach), min(end, i + reach) + 1)
        away = x[part] - x[part].mean()
        out.append(float(away @ y[part] / (away @ away)) if away.size > 2 else math.nan)
    return np.array([s if math.isfinite(s) else math.inf for s in out])


def _found(rates: Array, watch: _Watch, run: TrainResult) -> LRFindResult:
    tried = rates[: len(watch.loss)]
    smooth = np.array(watch.average)
    suggestion = minimum = math.nan
    if len(smooth) >= 3:
        least = int(np.argmin(smooth))
        minimum = float(tried[least])
        slopes = _slopes(np.log(tried), np.array(watch.loss), least, max(2, len(rates) // 10))
        if slopes.size and slopes.min() < 0.0:
            suggestion = float(tried[int(np.argmin(slopes))])
    reason = {"callback": "diverged", "max_steps": "finished"}.get(run.reason, run.reason)
    ended = run.reason == "finished" and len(tried) < len(rates)
    reason = "data_ended" if ended else reason
    text = {
        "finished": f"all of {len(tried)} rates were tried, and the loss stayed in its range: raise lr_max to see where it diverges",
        "diverged": f"the loss left its range at lr = {tried[-1]:.3g}" if len(tried) else run.message,
        "data_ended": f"the data ended after {len(tried)} of {len(rates)} rates: give what can be iterated over again",
    }.get(reason, run.message)
    good = not math.isnan(suggestion)
    text += f"; it fell fastest at {suggestion:.3g}" if good else "; it never fell: lower lr_min, or look at the gradient"
    return LRFindResult(
        lr=tried, loss=np.array(watch.loss), smooth=smooth, suggestion=suggestion, minimum=minimum,
        success=good, status=0 if good else -1, reason=reason, message=text,
    )  # fmt: skip


# ---- what a cell runs -------------------------------------------------------------------------------------------------------------------


_OWN = ("fun", "params", "data", "jac", "epochs", "batch_size")  # of `mflow.train`'s arguments, those that `Training` has itself


@dataclass
class Training:
    """A problem for `sweep`: minibatches by `mflow.train`.

    Parameters
    ----------
    fun, params, data, jac, epochs, batch_size
        As in `mflow.train`; there must be a loss. Compiled objectives train in threads side by side, without the GIL.
    options : dict
        More arguments of `mflow.train`.
    schedule : callable, optional
        ``schedule(lr)`` makes what `mflow.train` takes as lr, such as `mflow.schedules.InverseSqrtLR`; the number itself if not given.

    Examples
    --------
    >>> import numpy as np, mflow
    >>> task = mflow.Training(lambda w, x: (float(w @ w), 2 * w), np.ones(2), np.zeros((8, 1)), epochs=3)
    >>> mflow.sweep(task, ["sgd"], [0.1, 10.0]).reason[0, :, 0].tolist()
    ['finished', 'diverged']
    """

    fun: Callable[..., Any]
    params: Any
    data: Any = None
    jac: Any = True
    epochs: int = 10
    batch_size: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    schedule: Callable[[float], Any] | None = None

    def __post_init__(self) -> None:
        for name, instead in (("lr", "lrs= of sweep, or schedule="), ("seed", "seeds= of sweep"), *((n, f"{n}=") for n in _OWN)):
            if name in self.options:
                raise TypeError(f"options: {name} does not belong there: give {instead}")

    def __call__(self, method: Method, lr: float, seed: int) -> Result:
        """One run; ``loss`` and ``start_loss`` are over all the data."""
        if method.kind != "update":
            raise ValueError(f"{method.name} is no optimizer, and minibatches are for optimizers")
        rate = lr if self.schedule is None else self.schedule(lr)
        given = {**{k: v for k, v in method.given.items() if k != "lr"}, "lr": rate}
        run = train(
            self.fun, self.params, self.data, method.name, self.epochs, self.batch_size, jac=self.jac, seed=seed, **self.options, **given
        )
        start, end = self._loss(self.params), self._loss(run.last_params)
        return Result(loss=end, start_loss=start, reason=run.reason, message=run.message, nit=run.nit, curve=run.history.loss)

    def _loss(self, params: Any) -> float:
        if isinstance(self.fun, Objective):
            return self.fun(params)
        model, total, weight = Cost(self.fun, self.jac), 0.0, 0.0
        for args, rows in in_parts(self.data):
            total, weight = total + rows * model.loss(params, args), weight + rows
        return total / weight


@dataclass
class Descent:
    """A problem for `sweep`: the whole cost at once, by `mflow.minimize`. lr is dt for integrators.

    Parameters
    ----------
    fun, x0, jac, maxiter
        As in `mflow.minimize`.
    options : dict
        More arguments of `mflow.minimize`.

    Examples
    --------
    >>> import numpy as np, mflow
    >>> task = mflow.Descent(lambda x: (float(x @ x), 2 * x), np.ones(2), maxiter=100)
    >>> mflow.sweep(task, ["sgd", "rk4"], [0.1, 1.2]).reason[:, :, 0].tolist()
    [['converged', 'diverged'], ['converged', 'converged']]
    """

    fun: Any
    x0: Any
    jac: Any = True
    maxiter: int = 1000
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, method: Method, lr: float, seed: int) -> Result:
        """One run."""
        given = {k: v for k, v in method.given.items() if k not in ("lr", "dt")}
        bare = as_method(method.name, given)
        run = minimize(self.fun, self.x0, method=bare, jac=self.jac, maxiter=self.maxiter, lr=lr, **self.options)
        start = minimize(self.fun, self.x0, method="sgd", jac=self.jac, maxiter=0).fun
        return Result(loss=run.fun, start_loss=start, reason=run.reason, message=run.message, nit=run.nit, curve=np.empty(0))


@dataclass
class _Named:
    """A problem of `mflow.experiments.compare` by name: one of its own for each seed in its data, made where it is run."""

    name: str
    options: dict[str, Any]

    def __call__(self, method: Method, lr: float, seed: int) -> Result:
        out: Result = _of_problem(named_problem(self.name), self.options)(method, lr, seed)
        return out


def _of_problem(what: Problem, options: dict[str, Any]) -> Training | Descent:
    """Minibatches where the problem has rows, else the whole cost."""
    if what.objective is not None and what.rows:
        return Training(what.objective, what.start, **{"batch_size": what.batch_size, **options})
    if what.objective is not None:
        return Descent(what.objective, what.start, None, **options)
    if what.rows:
        return Training(what.batch_cost, what.start, what.rows, **{"batch_size": what.batch_size, **options})  # type: ignore[arg-type]
    return Descent(what.cost, what.start, what.has_gradient or None, **options)


@dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes
    ----------
    method, lr, seed : str, float, int
    loss, start_loss : float
        At the end and the start, on all the data; nan where there is none.
    reason, message : str
        As the run ended; "diverged" also where the loss ends clearly above its start; "raised": an exception.
    nit, seconds : int, float
    curve : float64 array
        Mean training loss of each epoch.
    """

    method: str
    lr: float
    seed: int
    loss: float
    start_loss: float
    reason: str
    message: str
    nit: int
    seconds: float
    curve: Array

    @property
    def bad(self) -> bool:
        """Whether the run did not end as a descent should."""
        return self.reason in BAD


def _run_cell(task: Callable[..., Any], label: str, method: Method, lr: float, seed: int) -> Cell:
    began = time.perf_counter()
    try:
        with np.errstate(all="ignore"):  # a diverging run overflows; the table says so
            run = task(method, lr, seed)
        loss = float(run["loss"] if "loss" in run else run["fun"])
        start = float(run.get("start_loss", math.nan))
        reason, message = str(run.get("reason", "finished")), str(run.get("message", ""))
        nit, curve = int(run.get("nit", 0)), np.asarray(run.get("curve", ()), dtype=np.float64)
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        return Cell(label, lr, seed, math.nan, math.nan, "raised", text, 0, time.perf_counter() - began, np.empty(0))
    if reason not in BAD and not loss <= (start + MARGIN * abs(start) if not math.isnan(start) else math.inf):
        message = f"the loss went from {start:.4g} to {loss:.4g}; {message}"
        reason = "diverged"
    return Cell(label, lr, seed, loss, start, reason, message, nit, time.perf_counter() - began, curve)


# ---- sweep ------------------------------------------------------------------------------------------------------------------------------


class SweepResult(Result):
    """Result of `mflow.sweep`; ``str`` of it is a table, `mflow.plot.sweep` a picture.

    methods, lrs, seeds : what was asked for.
    cells : list of `Cell`, in the order of methods, lrs, seeds.
    loss, reason : arrays (methods, lrs, seeds): loss at the end, and how each run ended.
    best_lr, best_loss : arrays (methods,): the rate with the least median over seeds, among those at which no run ended badly; nan if none.
    success : whether every method has a rate at which no run ended badly. status, message.
    """

    methods: list[str]
    lrs: Array
    seeds: list[int]
    cells: list[Cell]
    loss: Array
    reason: Any
    best_lr: Array
    best_loss: Array
    success: bool
    status: int
    message: str

    def bad(self) -> Any:
        """Bool array (methods, lrs, seeds): the runs that ended badly."""
        return np.isin(self.reason, list(BAD)) | (self.reason == "")

    def table(self) -> str:
        """Median of the final loss over seeds for each method and rate; the best rate of each method; what went wrong."""
        bad = self.bad()
        head = ["lr", *self.methods]
        rows = [head]
        for j, lr in enumerate(self.lrs):
            cells = [self._cell(i, j, int(bad[i, j].sum())) for i in range(len(self.methods))]
            rows.append([f"{lr:.3g}", *cells])
        widths = [max(len(row[j]) for row in rows) for j in range(len(head))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        lines.insert(1, "-" * len(lines[0]))
        lines += [
            "",
            f"Median of the loss at the end over {len(self.seeds)} seed{'s' if len(self.seeds) > 1 else ''}; * least of the method.",
        ]
        lines += [self._summary(i, name) for i, name in enumerate(self.methods)]
        lines += [f"! {c.method}, lr = {c.lr:.3g}, seed {c.seed}: {c.message}" for c in self.cells if c.reason == "raised"][:5]
        return "\n".join(lines)

    def _cell(self, i: int, j: int, bad: int) -> str:
        total = len(self.seeds)
        missing = int(np.sum(self.reason[i, j] == ""))
        if missing:
            return "not run"
        if bad == total:
            return str(max(set(self.reason[i, j]), key=list(self.reason[i, j]).count)).replace("_", " ")
        if bad:
            return f"{bad} of {total} bad"
        star = "*" if self.lrs[j] == self.best_lr[i] else " "
        return f"{np.median(self.loss[i, j]):.4g}{star}"

    def _summary(self, i: int, name: str) -> str:
        j = np.flatnonzero(self.lrs == self.best_lr[i])
        if not j.size:
            missing = bool(np.any(self.reason[i] == ""))
            return f"{name}: {'no rate was run with every seed' if missing else 'no rate without a bad ending'}"
        found = self.loss[i, j[0]]
        spread = f", from {found.min():.4g} to {found.max():.4g} over seeds" if len(self.seeds) > 1 else ""
        first = np.flatnonzero(np.isin(self.reason[i], list(BAD)).any(axis=-1) & (self.lrs > self.best_lr[i]))
        end = f"; first bad ending above it at lr = {self.lrs[first[0]]:.3g}" if first.size else "; no bad ending above it"
        return f"{name}: best lr = {self.best_lr[i]:.3g}, loss {np.median(found):.4g}{spread}{end}"

    def __str__(self) -> str:
        return self.table()


def _labelled(methods: Any) -> dict[str, Method]:
    """Methods by the names that the table shows."""
    if isinstance(methods, (str, Method)):
        methods = [methods]
    if isinstance(methods, Mapping):
        pairs: list[tuple[Any, Any]] = list(methods.items())
    else:
        pairs = [(None, m) for m in methods]
    out: dict[str, Method] = {}
    for label, entry in pairs:
        name, given = entry if isinstance(entry, tuple) else (entry, {})
        method = as_method(name, given)
        text = str(label) if label is not None else method.name if not method.given else repr(method)
        if text in out:
            raise ValueError(f"methods: {text} came twice")
        out[text] = method
    if not out:
        raise ValueError("methods: there are none")
    return out


class _Bar(Progress):
    def note(self, t: float) -> str:
        return f"{t:.0f} of {self.t1:.0f} runs"


def sweep(
    problem: Any,
    methods: Any,
    lrs: float | Iterable[float],
    seeds: Iterable[int] = (0,),
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    **options: Any,
) -> SweepResult:
    """Run every method with every learning rate and seed on one problem.

    Parameters
    ----------
    problem : `mflow.Training`, `mflow.Descent`, name of a problem of `mflow compare`, `mflow.experiments.compare.Problem`, or callable
        A callable ``problem(method, lr, seed)`` gets a `mflow.Method` and returns a mapping with "loss" (or "fun"), and if it has them
        "start_loss", "reason", "message", "nit", "curve".
    methods : names or instances, or a dict from labels to them
        ("nesterov", {"momentum": 0.95}) stands for an instance. lr is the sweep's.
    lrs : floats above 0, or one
    seeds : ints, default (0,)
        Draw the batches.
    workers : int, optional
        Threads: as many as there are processors if not given.
    executor : concurrent.futures.Executor, optional
        A process pool, Dask's or MPI's, in the place of threads; what the problem holds must then be picklable.
    progress : bool
    **options
        For a problem that comes by name or as `Problem`: the other fields of `Training` (where it has rows) or `Descent`.

    Returns
    -------
    SweepResult

    Raises
    ------
    TypeError, ValueError
        An argument does not fit. What a run raises is that cell's ending; KeyboardInterrupt comes through with what was done as its
        ``partial_result``.

    Examples
    --------
    >>> import mflow
    >>> found = mflow.sweep("penguins", ["sgd", "adam"], [1e-3, 1e-1, 1e3], epochs=3)
    >>> found.reason[0].ravel().tolist()
    ['finished', 'finished', 'diverged']
    """
    named = _labelled(methods)
    rates = [check_number(lr, "lrs", "a number above 0") for lr in (lrs if isinstance(lrs, Iterable) else [lrs])]
    draws = [int(s) for s in seeds]
    if not rates or min(rates) <= 0.0:
        raise ValueError(f"lrs = {rates}: numbers above 0 are wanted, at least one")
    if not draws or len(set(draws)) != len(draws):
        raise ValueError(f"seeds = {draws}: at least one is wanted, and each once")
    if workers is not None and (isinstance(workers, bool) or int(workers) != workers or workers < 1):
        raise ValueError(f"workers = {workers!r}: a whole number from 1 on is wanted")
    task = _task(problem, options)
    grid = [(label, method, lr, seed) for label, method in named.items() for lr in rates for seed in draws]
    bar = _Bar(0.0, float(len(grid)), "sweep") if progress else None
    cells: list[Cell | None] = [None] * len(grid)
    try:
        for done, (k, cell) in enumerate(_cells(task, grid, executor, workers), 1):
            cells[k] = cell
            if bar is not None:
                bar.update(float(done))
    except BaseException as error:
        attach(error, _collected(list(named), rates, draws, cells, str(error) or type(error).__name__), "in mflow.sweep; .partial_result")
        raise
    finally:
        if bar is not None:
            bar.close()
    return _collected(list(named), rates, draws, cells, "")


def _task(problem: Any, options: dict[str, Any]) -> Callable[..., Any]:
    if isinstance(problem, str):
        _of_problem(named_problem(problem), options)  # mistakes are named here, and not in each cell
        return _Named(problem, options)
    if isinstance(problem, Problem):
        return _of_problem(problem, options)
    if not callable(problem):
        raise TypeError(f"problem is a {type(problem).__name__}: mflow.Training, mflow.Descent, a name or a callable is wanted")
    if options:
        raise TypeError(f"{', '.join(options)}: options are for problems that come by name; put them into the problem")
    return problem  # type: ignore[no-any-return]


def _cells(
    task: Callable[..., Any], grid: list[tuple[str, Method, float, int]], executor: Executor | None, workers: int | None
) -> Iterator[tuple[int, Cell]]:
    """(number, cell) of each cell as it gets done."""
    pool = executor or ThreadPoolExecutor(workers or os.cpu_count() or 1)
    waiting: dict[Future[Cell], int] = {}
    try:
        waiting = {pool.submit(_run_cell, task, *entry): k for k, entry in enumerate(grid)}
        for future in as_completed(waiting):
            k = waiting[future]
            try:
                yield k, future.result()
            except Exception as error:  # it could not be sent, or its process died
                label, _, lr, seed = grid[k]
                yield k, Cell(label, lr, seed, math.nan, math.nan, "raised", f"{type(error).__name__}: {error}", 0, 0.0, np.empty(0))
    finally:
        for future in waiting:
            future.cancel()
        if executor is None:
            pool.shutdown(wait=True)


def _collected(names: list[str], rates: list[float], draws: list[int], cells: Sequence[Cell | None], why: str) -> SweepResult:
    shape = (len(names), len(rates), len(draws))
    loss = np.array([math.nan if c is None else c.loss for c in cells]).reshape(shape)
    reason = np.array(["" if c is None else c.reason for c in cells], dtype=object).reshape(shape)
    result = SweepResult(
        methods=names, lrs=np.array(rates), seeds=draws, cells=[c for c in cells if c is not None], loss=loss, reason=reason,
        best_lr=np.full(len(names), math.nan), best_loss=np.full(len(names), math.nan), success=False, status=-1, message=why,
    )  # fmt: skip
    usable = ~result.bad().any(axis=-1) & np.isfinite(loss).all(axis=-1)
    for i in range(len(names)):
        if usable[i].any():
            median = np.where(usable[i], np.median(loss[i], axis=-1), math.inf)
            result.best_lr[i], result.best_loss[i] = rates[int(np.argmin(median))], median.min()
    without = [name for name, lr in zip(names, result.best_lr, strict=True) if math.isnan(lr)]
    result.success, result.status = not without and not why, 0 if not without and not why else -1
    if not why:
        result.message = f"{len(cells)} run{'s' if len(cells) != 1 else ''}" + (
            f"; no rate without a bad ending for {', '.join(without)}" if without else ""
        )
    return result
