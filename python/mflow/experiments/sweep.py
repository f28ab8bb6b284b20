"""`sweep`: a run for each method, learning rate and seed, in threads or on any executor; which ended badly, and why.

A cell of a sweep never disturbs another: an exception in its cost is that cell's ending. Whether a run diverged is judged by its final loss
on all the data, not by the method's own reason alone. Compiled costs run without the GIL, so threads are as good as processes there.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from mflow.base.checks import Array, check_flags, check_list, check_number, check_whole, shown
from mflow.base.executors import as_they_end, call_off, check_executor, check_pickles
from mflow.base.foreign import refuse
from mflow.base.methods import Method, as_method
from mflow.base.progress import Progress
from mflow.base.result import Result, attach
from mflow.base.tables import Readable, Table, frame
from mflow.base.threads import processors
from mflow.experiments.compare import BAD, MARGIN
from mflow.experiments.tasks import task_of

if TYPE_CHECKING:
    from mflow.base._records import SweepOptions

__all__ = ["Cell", "SweepResult", "sweep"]


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


class SweepResult(Readable, Result):
    """Result of `mflow.sweep`; ``str`` of it is a table, `mflow.plot.sweep` a picture.

    methods, lrs, seeds : as they were given.
    cells : list of `Cell`, in the order of methods, lrs, seeds.
    loss, reason : arrays (methods, lrs, seeds): loss at the end, and how each run ended.
    best_lr, best_loss : arrays (methods,): the rate with the least median over seeds, among those at which no run ended badly; nan if none.
    success : whether every method has a rate at which no run ended badly. status, message.

    See Also
    --------
    mflow.sweep, mflow.plot.sweep

    Examples
    --------
    >>> import mflow
    >>> r = mflow.sweep("penguins", ["sgd"], [1e-2, 1e-1], seeds=[0], epochs=3)
    >>> r.methods, r.loss.shape, r.success
    (['sgd'], (1, 2, 1), True)
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

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row a run, its cell without the curve. ImportError without pandas."""
        names = ("method", "lr", "seed", "loss", "start_loss", "reason", "nit", "seconds", "message")
        return frame({name: [getattr(cell, name) for cell in self.cells] for name in names})

    def _parts(self) -> list[str | Table]:
        bad, rows = self.bad(), []
        for j, lr in enumerate(self.lrs):
            cells = [self._cell(i, j, int(bad[i, j].sum())) for i in range(len(self.methods))]
            rows.append([f"{lr:.3g}", *cells])
        lines: list[str | Table] = [
            Table(["lr", *self.methods], rows),
            "",
            f"Median of the loss at the end over {len(self.seeds)} seed{'s' if len(self.seeds) > 1 else ''}; * least of the method.",
        ]
        lines += [self._summary(i, name) for i, name in enumerate(self.methods)]
        lines += [f"! {c.method}, lr = {c.lr:.3g}, seed {c.seed}: {c.message}" for c in self.cells if c.reason == "raised"][:5]
        return lines

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
        losses = self.loss[i, j[0]]
        spread = f", from {losses.min():.4g} to {losses.max():.4g} over seeds" if len(self.seeds) > 1 else ""
        first = np.flatnonzero(np.isin(self.reason[i], list(BAD)).any(axis=-1) & (self.lrs > self.best_lr[i]))
        end = f"; first bad ending above it at lr = {self.lrs[first[0]]:.3g}" if first.size else "; no bad ending above it"
        return f"{name}: best lr = {self.best_lr[i]:.3g}, loss {np.median(losses):.4g}{spread}{end}"


def _labelled(methods: Any) -> dict[str, Method]:
    """Methods by their labels in the table."""
    if isinstance(methods, (str, Method)):
        methods = [methods]
    if isinstance(methods, Mapping):
        pairs: list[tuple[Any, Any]] = list(methods.items())
    else:
        pairs = [(None, m) for m in check_list(methods, "methods", "names or instances of methods")]
    out: dict[str, Method] = {}
    for label, entry in pairs:
        if isinstance(entry, tuple) and (len(entry) != 2 or not isinstance(entry[1], Mapping)):
            raise TypeError(f"methods: expected a name, an instance or a pair (name, dict of parameters), got {shown(entry)}")
        name, given = entry if isinstance(entry, tuple) else (entry, {})
        method = as_method(name, given, "methods")
        text = str(label) if label is not None else method.name if not method.given else repr(method)
        if text in out:
            raise ValueError(f"methods: expected each method once, got {text} twice; give labels with a dict")
        out[text] = method
    if not out:
        raise ValueError("methods: expected at least one, got none")
    return out


def sweep(
    problem: Any,
    methods: Any,
    lrs: float | Iterable[float],
    seeds: Iterable[int] = (0,),
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    **options: Unpack[SweepOptions],
) -> SweepResult:
    """Run every method with every learning rate and seed on one problem.

    Parameters
    ----------
    problem : `mflow.Training`, `mflow.Descent`, name of a problem of `mflow compare`, `mflow.experiments.problems.Problem`, or callable
        A cost, with its parts in options, stands for a Training or a Descent of them. Another callable ``problem(method, lr, seed)``
        takes a `mflow.Method` and returns a mapping with "loss" (or "fun"), and if it has them "start_loss", "reason", "message", "nit",
        "curve".
    methods : names or instances, or a dict from labels to them
        ("nesterov", {"momentum": 0.95}) stands for an instance. lr is the sweep's.
    lrs : floats above 0, or one
    seeds : ints, default (0,)
        Seeds of the batches.
    workers : int, optional
        Threads: as many as there are processors if not given.
    executor : concurrent.futures.Executor, optional
        A process pool, Dask's or MPI's, in place of threads; the problem must then be picklable.
    progress : bool
        The number of runs done, on stderr: by tqdm where that is installed, else one plain line.
    **options
        For a problem given by name or as `Problem`: the other fields of `Training` (where it has rows) or `Descent`. For a cost: the
        fields of a `Training` (params, data, epochs ...), as `mflow.lr_find` takes them, or with x0 those of a `Descent`.

    Returns
    -------
    SweepResult

    Raises
    ------
    TypeError, ValueError
        An argument does not fit. An exception in a run is that cell's ending; KeyboardInterrupt is passed on at once, with the runs that
        were done as its ``partial_result``, and those under way in threads end by themselves.

    See Also
    --------
    mflow.lr_find, mflow.train, mflow.minimize, mflow.plot.sweep

    Examples
    --------
    >>> import mflow
    >>> result = mflow.sweep("penguins", ["sgd", "adam"], [1e-3, 1e-1, 1e3], epochs=3)
    >>> result.reason[0].ravel().tolist()
    ['finished', 'finished', 'diverged']
    """
    check_flags(progress=progress)
    refuse("sweep", options, ARGUMENTS, {})  # other names are those of the task
    labelled = _labelled(methods)
    several = isinstance(lrs, Iterable) and getattr(lrs, "ndim", 1) > 0
    given = check_list(lrs, "lrs", "a number above 0, or several") if several else [lrs]
    rates = [check_number(lr, "lrs", low=0.0, open_low=True) for lr in given]
    draws = [check_whole(s, f"seeds[{k}]") for k, s in enumerate(check_list(seeds, "seeds", "whole numbers"))]
    check_executor(executor)
    if not rates:
        raise ValueError("lrs: expected at least one number above 0, got none")
    if not draws or len(set(draws)) != len(draws):
        raise ValueError(f"seeds: expected at least one, and each once, got {draws}")
    count = processors() if workers is None else check_whole(workers, "workers", 1)
    task = task_of(problem, {**options})
    grid = [(label, method, lr, seed) for label, method in labelled.items() for lr in rates for seed in draws]
    bar = Progress(0.0, float(len(grid)), "sweep", note=lambda done: f"{done:.0f} of {len(grid)} runs") if progress else None
    cells: list[Cell | None] = [None] * len(grid)
    try:
        for done, (k, cell) in enumerate(_cells(task, grid, executor, count), 1):
            cells[k] = cell
            if bar is not None:
                bar.update(float(done))
    except BaseException as error:
        text = str(error) or type(error).__name__
        attach(error, lambda: _collected(list(labelled), rates, draws, cells, text), "in mflow.sweep; .partial_result")
        raise
    finally:
        if bar is not None:
            bar.close()
    return _collected(list(labelled), rates, draws, cells, "")


ARGUMENTS = tuple(name for name in inspect.signature(sweep).parameters if name != "options")


def _cells(
    task: Callable[..., Any], grid: list[tuple[str, Method, float, int]], executor: Executor | None, workers: int
) -> Iterator[tuple[int, Cell]]:
    """(number, cell) of each cell when it is done."""
    pool = executor or ThreadPoolExecutor(workers)
    waiting: dict[Future[Cell], int] = {}
    try:
        for k, entry in enumerate(grid):
            try:
                check_pickles(pool, (task, *entry))
            except TypeError as error:
                yield k, _lost(entry, error)
            else:
                waiting[pool.submit(_run_cell, task, *entry)] = k
        for future in as_they_end(waiting):
            k = waiting[future]
            try:
                yield k, future.result()
            except Exception as error:  # the run could not be sent, or its process died
                yield k, _lost(grid[k], error)
    except BaseException:
        if executor is None:  # nobody waits for the runs under way: they end by themselves, and none of the others begins
            pool.shutdown(wait=False, cancel_futures=True)
        raise
    finally:
        call_off(pool, waiting)
    if executor is None:
        pool.shutdown(wait=True)


def _lost(entry: tuple[str, Method, float, int], error: Exception) -> Cell:
    label, _, lr, seed = entry
    return Cell(label, lr, seed, math.nan, math.nan, "raised", f"{type(error).__name__}: {error}", 0, 0.0, np.empty(0))


def _collected(names: list[str], rates: list[float], draws: list[int], cells: Sequence[Cell | None], error: str) -> SweepResult:
    shape = (len(names), len(rates), len(draws))
    loss = np.array([math.nan if c is None else c.loss for c in cells]).reshape(shape)
    reason = np.array(["" if c is None else c.reason for c in cells], dtype=object).reshape(shape)
    result = SweepResult(
        methods=names, lrs=np.array(rates), seeds=draws, cells=[c for c in cells if c is not None], loss=loss, reason=reason,
        best_lr=np.full(len(names), math.nan), best_loss=np.full(len(names), math.nan), success=False, status=-1, message=error,
    )  # fmt: skip
    usable = ~result.bad().any(axis=-1) & np.isfinite(loss).all(axis=-1)
    for i in range(len(names)):
        if usable[i].any():
            median = np.where(usable[i], np.median(loss[i], axis=-1), math.inf)
            result.best_lr[i], result.best_loss[i] = rates[int(np.argmin(median))], median.min()
    without = [name for name, lr in zip(names, result.best_lr, strict=True) if math.isnan(lr)]
    result.success, result.status = not without and not error, 0 if not without and not error else -1
    if not error:
        result.message = f"{len(cells)} run{'s' if len(cells) != 1 else ''}" + (
            f"; no rate without a bad ending for {', '.join(without)}" if without else ""
        )
    return result
