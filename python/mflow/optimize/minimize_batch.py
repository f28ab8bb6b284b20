"""`minimize_batch`: many minimisations by one optimizer, each from its own start, over its own data if wanted, with its own ending.

All of it runs in the core (`mflow_core.lanes.lane_descent`), without Python and without the GIL. Here are the arguments and the result.
"""

from __future__ import annotations

import math
import os
import threading
from concurrent import futures
from typing import Any

import numpy as np
from mflow_core.lanes import lane_descent
from mflow_core.objectives.objective import Objective
from numpy.typing import NDArray

from mflow.base.checks import Array, check_number
from mflow.base.methods import Method
from mflow.base.result import OptimizeResult, Result, attach
from mflow.integrate.ensemble import Bar, on_threads
from mflow.optimize.minimize import resolve

__all__ = ["MinimizeBatchResult", "minimize_batch"]

PIECE = 256  # lanes that a thread takes at a time
PIECES = 4  # for each worker of an executor
REASONS = {code: name for name, code in lane_descent.ENDINGS.items()}
STATUS = {"converged": 0, "max_iter": 1}


class MinimizeBatchResult(Result):
    """Result of `mflow.minimize_batch`. ``result[l]`` is lane l as an OptimizeResult.

    x : float64 array (lanes, *shape), the last point of each lane whose cost and gradient were finite (its start, if there was none).
    fun, gmax : float64 arrays (lanes,), the cost there and the largest entry of its gradient; NaN if there was none.
    nit, nfev : int arrays (lanes,).
    reason : list of str, a lane each: "converged", "max_iter", "non_finite", "diverged", "rhs_failed", "executor_failed", "interrupted".
    status : int array (lanes,): 0 converged, 1 iteration limit, -1 the rest.
    success : whether every lane converged. message : what happened to the batch, in words.
    method : the Method.
    """

    x: Array
    fun: Array
    gmax: Array
    nit: NDArray[np.int64]
    nfev: NDArray[np.int64]
    reason: list[str]
    status: NDArray[np.int64]
    success: bool
    message: str
    method: Method

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
            return self._lane(range(len(self.reason))[int(key)])
        return super().__getitem__(key)

    def _lane(self, lane: int) -> OptimizeResult:
        status, reason = int(self.status[lane]), self.reason[lane]
        return OptimizeResult(
            x=self.x[lane].copy(), fun=float(self.fun[lane]), gmax=float(self.gmax[lane]), nit=int(self.nit[lane]),
            nfev=int(self.nfev[lane]), success=status == 0, status=status, reason=reason,
            message=f"{reason} after {int(self.nit[lane])} iterations", method=self.method,
        )  # fmt: skip


def minimize_batch(
    fun: Any,
    starts: Any,
    method: str | Method = "adam",
    *,
    batch_data: dict[str, Any] | None = None,
    maxiter: int = 10_000,
    gtol: float = 1e-5,
    threads: int | None = None,
    executor: futures.Executor | None = None,
    progress: bool = False,
    **parameters: Any,
) -> MinimizeBatchResult:
    """Minimise a compiled cost from many starts, or many costs of one family.

    Parameters
    ----------
    fun : `mflow.objectives.Objective`, another compiled cost, or a list of them, one a lane
        As in `mflow.minimize`. A function must be safe to call from several threads.
    starts : array_like (lanes, *shape)
        A start for each lane. ``np.broadcast_to(f.x0, (lanes, f.n))`` for one in common.
    method : name or instance
        An optimizer; its parameters by name. lr may be a function of the iteration number.
    batch_data : dict of array_like (lanes, ...), optional
        Data of an objective, a set a lane, by the names of its own arguments: ``{"y": Y}`` fits one table X to many labels, Y (lanes, m);
        ``{"X": ..., "y": ...}``; for `Quadratic` ``{"A": ..., "b": ...}``.
    maxiter, gtol
        As in `mflow.minimize`, a lane each. gtol = 0 or below never converges but at a gradient of exactly 0.
    threads : int, optional
        The processor's number of cores if not given. Results do not depend on it.
    executor : concurrent.futures.Executor, optional
        Where pieces of the batch are run; what they need is pickled. A piece that is lost ends with ``reason="executor_failed"``.
    progress : bool
        A progress bar on stderr, where tqdm is installed.

    Returns
    -------
    MinimizeBatchResult
        A lane has the bits that `mflow.minimize` gives it alone.

    Raises
    ------
    TypeError, ValueError
        An argument does not fit; the text names it. KeyboardInterrupt comes through, with what was computed as its ``partial_result``.

    Examples
    --------
    >>> import mflow, numpy as np
    >>> f = mflow.objectives.Rosenbrock(2)
    >>> r = mflow.minimize_batch(f, np.random.default_rng(0).uniform(-2, 2, (100, 2)), "adam", lr=0.05, gtol=1e-4)
    >>> r.success, bool(np.max(np.abs(r.x - 1)) < 1e-3)
    (True, True)
    """
    points = _starts(starts)
    if isinstance(maxiter, bool) or int(maxiter) != maxiter or maxiter < 0:
        raise ValueError(f"maxiter = {maxiter!r}: a whole number from 0 on is wanted")
    if threads is not None and (isinstance(threads, bool) or int(threads) != threads or threads < 1):
        raise ValueError(f"threads = {threads!r}: a whole number from 1 on is wanted")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor: a concurrent.futures.Executor is wanted (something with submit), not {type(executor).__name__}")
    chosen, _, schedule = resolve(method, parameters)
    if chosen.kind != "update":
        raise ValueError(f"method: {chosen.name} is no optimizer: batches take those of mflow.optim")
    rates = None if schedule is None else np.array([check_number(schedule(k), f"lr({k})") for k in range(int(maxiter))])
    data = data_for_batch(fun, batch_data, len(points))
    what = (chosen, fun, points, int(maxiter), check_number(gtol, "gtol"), data, rates)
    if isinstance(fun, (list, tuple)) and len(fun) != len(points):
        raise ValueError(f"fun: {len(fun)} costs came for {len(points)} starts: one a lane is wanted")
    with Bar(len(points), progress) as bar:
        if executor is not None:
            return _on_executor(executor, what, bar)
        return _here(what, threads or os.cpu_count() or 1, bar)


# ---- arguments --------------------------------------------------------------------------------------------------------------------------


def _starts(value: Any) -> Array:
    """(lanes, *shape), real; a lane whose start is not finite ends at once, as the others may be sound."""
    points = np.asarray(value)
    if points.dtype.kind not in "biuf":
        raise TypeError(f"starts: dtype {points.dtype} came; real numbers are wanted")
    if points.ndim < 2:
        raise ValueError(f"starts: shape {points.shape} came; (lanes, n) is wanted")
    return np.ascontiguousarray(points, dtype=np.float64)


def data_for_batch(fun: Any, given: dict[str, Any] | None, lanes: int) -> tuple[Array | None, Array | None]:
    """The arrays that stand in the place of the objective's X and y, a set a lane."""
    if not given:
        return None, None
    if not isinstance(fun, Objective):
        raise TypeError("batch_data is for one objective of mflow.objectives: give a list of costs instead")
    return fun.data_for_batch(given, lanes)


# ---- the work ---------------------------------------------------------------------------------------------------------------------------


class _Work:
    """The lanes, and who takes which next."""

    def __init__(self, what: tuple[Any, ...]) -> None:
        method, fun, points, maxiter, gtol, (table, labels), rates = what
        self.method, self.shape = method, points.shape
        costs = list(fun) if isinstance(fun, (list, tuple)) else fun
        flat = points.reshape(len(points), math.prod(points.shape[1:]))
        self.core = lane_descent.Descents(method.record, costs, flat, maxiter, gtol, method.numbers, table, labels, rates)
        self.lock, self.next, self.done = threading.Lock(), 0, 0

    def work(self) -> None:
        """Piece after piece, until none is left or someone says stop."""
        while True:
            with self.lock:
                first, self.next = self.next, min(self.next + PIECE, self.shape[0])
            if first >= self.shape[0]:
                return
            self.core.work(first, min(first + PIECE, self.shape[0]))
            with self.lock:
                self.done += min(PIECE, self.shape[0] - first)

    def stop(self) -> None:
        with self.lock:
            self.next = self.shape[0]
        self.core.stop()

    def result(self) -> MinimizeBatchResult:
        core = self.core
        reason = [REASONS.get(code, "rhs_failed") for code in core.code.tolist()]
        evaluated = np.where(core.code == lane_descent.ENDINGS["interrupted"], 0, core.nit + 1)
        return _result(self.method, core.x.reshape(self.shape), core.fun, core.gmax, core.nit, evaluated, reason)


def _result(
    method: Method, x: Array, fun: Array, gmax: Array, nit: NDArray[np.int64], nfev: NDArray[np.int64], reason: list[str]
) -> MinimizeBatchResult:  # fmt: skip
    status = np.array([STATUS.get(one, -1) for one in reason], dtype=np.int64)
    counts = {one: reason.count(one) for one in dict.fromkeys(reason)}
    message = ", ".join(f"{count} {one}" for one, count in counts.items()) or "no lanes"
    return MinimizeBatchResult(
        x=x, fun=fun, gmax=gmax, nit=nit, nfev=nfev, reason=reason, status=status, success=not np.any(status), message=message,
        method=method,
    )  # fmt: skip


def _here(what: tuple[Any, ...], threads: int, bar: Bar) -> MinimizeBatchResult:
    work = _Work(what)
    pieces = -(-work.shape[0] // PIECE)
    if not pieces:
        return work.result()
    try:
        on_threads(work.work, work.stop, lambda: work.done, min(threads, pieces), bar)
    except BaseException as error:
        attach(error, work.result(), "in mflow.minimize_batch; .partial_result holds the lanes that were done")
        raise
    return work.result()


def _piece(what: tuple[Any, ...]) -> MinimizeBatchResult:
    """What a worker of an executor does."""
    return _here(what, 1, Bar(0, False))


def _on_executor(executor: futures.Executor, what: tuple[Any, ...], bar: Bar) -> MinimizeBatchResult:
    method, fun, points, maxiter, gtol, data, rates = what
    lanes = len(points)
    workers = getattr(executor, "_max_workers", None) or getattr(executor, "num_workers", None) or os.cpu_count() or 1
    size = max(1, -(-lanes // (PIECES * int(workers))))
    out = _result(
        method, points.copy(), np.full(lanes, np.nan), np.full(lanes, np.nan), np.zeros(lanes, np.int64), np.zeros(lanes, np.int64),
        ["interrupted"] * lanes,
    )  # fmt: skip
    pieces: dict[futures.Future[MinimizeBatchResult], slice] = {}
    reason, done = out.reason, 0
    try:
        for first in range(0, lanes, size):
            part = slice(first, min(first + size, lanes))
            own = fun[part] if isinstance(fun, (list, tuple)) else fun
            some = tuple(None if one is None else one[part] for one in data)
            pieces[executor.submit(_piece, (method, own, points[part], maxiter, gtol, some, rates))] = part
        for future in futures.as_completed(pieces):
            part = pieces[future]
            count = part.stop - part.start
            try:
                got = future.result()
            except (TypeError, ValueError):  # an argument, or something that does not pickle: every piece has it
                raise
            except Exception:
                reason[part] = ["executor_failed"] * count
            else:
                for name in ("x", "fun", "gmax", "nit", "nfev"):
                    out[name][part] = got[name]
                reason[part] = got.reason
            done += count
            bar.show(done)
    except BaseException as error:
        for future in pieces:
            future.cancel()
        attach(error, _result(method, out.x, out.fun, out.gmax, out.nit, out.nfev, reason), "in mflow.minimize_batch")
        raise
    return _result(method, out.x, out.fun, out.gmax, out.nit, out.nfev, reason)
